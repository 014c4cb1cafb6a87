//! Each mechanism on each server that has it, and servers that play SCRAM falsely.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use super::support::certs::{self, Authority, Form, named, trusting};
use super::support::faulty::{Conn, Faulty};
use super::support::raw::Raw;
use super::support::run::{Imapadm, Run};
use super::support::servers::{Kind, Server, cyrus, dovecot};

/// What [`Imapadm::on_port`] logs in with.
const USER: &str = "someone";
const PASSWORD: &str = "s3cret-Passw0rd";

/// What a login rests upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Password,
    Token,
    Certificate,
    Nothing,
}

/// Every mechanism, what it takes, and whether Cyrus and Dovecot have it.
const MECHANISMS: &[(&str, By, bool, bool)] = &[
    ("PLAIN", By::Password, true, true),
    ("LOGIN", By::Password, true, true),
    ("LOGIN command", By::Password, true, true),
    ("CRAM-MD5", By::Password, true, true),
    ("SCRAM-SHA-1", By::Password, true, true),
    ("SCRAM-SHA-256", By::Password, true, true),
    ("SCRAM-SHA-512", By::Password, true, false),
    ("EXTERNAL", By::Certificate, true, true),
    ("OAUTHBEARER", By::Token, false, true),
    ("XOAUTH2", By::Token, false, true),
    ("ANONYMOUS", By::Nothing, true, true),
];

/// `-u alice` on that server, with what the mechanism takes.
fn alice(server: &Server, by: By) -> Imapadm {
    let mut run = Imapadm::on(server).user("alice");
    if by != By::Password {
        run = run.no_password();
    }
    match by {
        By::Token => {
            // Cyrus knows no tokens; there Dovecot's is as good as any.
            let token = dovecot().token.as_ref().expect("a token");
            let file = run.file("token", format!("{token}\n"));
            run.arg("--token-file").arg(file)
        }
        By::Certificate => run.certificate(server),
        By::Password | By::Nothing => run,
    }
}

fn has(server: &Server, (_, _, cyrus, dovecot): (&str, By, bool, bool)) -> bool {
    match server.kind {
        Kind::Cyrus => cyrus,
        Kind::Dovecot => dovecot,
    }
}

#[test]
fn every_mechanism_on_every_server_that_has_it() {
    for server in [cyrus(), dovecot()] {
        for &entry in MECHANISMS.iter().filter(|&&entry| has(server, entry)) {
            let (mechanism, by, ..) = entry;
            for (port, option) in [
                (server.imap, None),
                (server.imaps, Some("--tls")),
                (server.imap, Some("--notls")),
            ] {
                if by == By::Certificate && option == Some("--notls") {
                    continue;
                }
                let run = alice(server, by)
                    .port(port)
                    .args(option)
                    // A command after the login: it is not only said to be done.
                    .args(["--auth", mechanism, "-c", "list", "-c", "session"])
                    .run()
                    .ok()
                    .says(&format!("mechanism\t{mechanism}\n"))
                    .never_says(&server.password);
                assert_eq!(run.stderr, "", "{mechanism}: {run}");
                if by != By::Nothing {
                    run.says("user\talice\n");
                }
            }
        }
    }
}

#[test]
fn a_mechanism_that_a_server_lacks_is_refused_with_its_offer() {
    for server in [cyrus(), dovecot()] {
        for &entry in MECHANISMS.iter().filter(|&&entry| !has(server, entry)) {
            let (mechanism, by, ..) = entry;
            alice(server, by)
                .args(["--auth", mechanism, "-c", "session"])
                .run()
                .fails(6)
                .complains(mechanism)
                .complains("SCRAM-SHA-256");
        }
    }
}

#[test]
fn without_a_choice_the_strongest_is_taken() {
    for (server, mechanism) in [(cyrus(), "SCRAM-SHA-512"), (dovecot(), "SCRAM-SHA-256")] {
        // In TLS Cyrus offers the forms with -PLUS as well, but knows only a binding that TLS 1.3 does not have. Nobody
        // is to hear of that.
        for (port, option) in [
            (server.imap, None),
            (server.imaps, Some("--tls")),
            (server.imap, Some("--notls")),
        ] {
            let run = Imapadm::on(server)
                .port(port)
                .args(option)
                .args(["-c", "session"])
                .run()
                .ok()
                .says(&format!("mechanism\t{mechanism}\n"));
            assert_eq!(run.stderr, "", "{run}");
        }
    }
}

#[test]
fn what_is_at_hand_decides_among_the_mechanisms() {
    for server in [cyrus(), dovecot()] {
        alice(server, By::Certificate)
            .args(["-c", "session"])
            .run()
            .ok()
            .says("mechanism\tEXTERNAL\n");
        // Dovecot offers EXTERNAL to all; who has no certificate does not try it.
        let run = Imapadm::on(server).args(["-c", "session"]).run().ok();
        assert!(!run.stdout.contains("mechanism\tEXTERNAL"), "{run}");
        assert_eq!(run.stderr, "", "{run}");
    }
    alice(dovecot(), By::Token)
        .args(["-c", "session"])
        .run()
        .ok()
        .says("mechanism\tOAUTHBEARER\n");
}

#[test]
fn a_certificate_of_another_is_not_who_was_asked_for() {
    // Alice's certificate, and the administrator's name and password: Cyrus tells them apart. (Dovecot takes the
    // certificate for who one is in every mechanism.)
    let server = cyrus();
    Imapadm::on(server)
        .certificate(server)
        .args(["-c", "session"])
        .run()
        .ok()
        .says(&format!("user\t{}\n", server.admin));
}

#[test]
fn external_without_a_certificate_is_no_login() {
    for server in [cyrus(), dovecot()] {
        Imapadm::on(server)
            .args(["--auth", "EXTERNAL", "-c", "session"])
            .run()
            .fails(6)
            .complains("EXTERNAL")
            .never_says(&server.password);
    }
    // Nor is another's name with it.
    for server in [cyrus(), dovecot()] {
        alice(server, By::Certificate)
            .args(["--auth", "EXTERNAL", "--authz", "bob", "-c", "session"])
            .run()
            .fails(6);
    }
}

#[test]
fn a_token_that_expired_is_refused_and_the_reason_is_told() {
    let server = dovecot();
    let expired = server.expired_token.as_ref().expect("an old token");
    for (mechanism, reason) in [("OAUTHBEARER", "invalid_token"), ("XOAUTH2", "401")] {
        let run = Imapadm::on(server).user("alice").no_password();
        let file = run.file("token", expired);
        run.arg("--token-file")
            .arg(file)
            .args(["--auth", mechanism, "-c", "session"])
            .run()
            .fails(6)
            .complains(reason)
            .never_says(expired)
            .never_says(&BASE64.encode(expired)[4..40]);
    }
}

#[test]
fn a_wrong_password_is_no_login_in_any_mechanism() {
    for server in [cyrus(), dovecot()] {
        for &entry in MECHANISMS {
            let (mechanism, by, ..) = entry;
            if by != By::Password || !has(server, entry) {
                continue;
            }
            let run = Imapadm::on(server)
                .password("entirely wrong words")
                .args(["--auth", mechanism, "-c", "session"])
                .run()
                .fails(6)
                .complains(&server.admin)
                .never_says("entirely wrong words");
            assert!(run.stdout.is_empty(), "{run}");
        }
    }
}

#[test]
fn a_list_of_mechanisms_is_an_order() {
    let server = dovecot();
    for (list, taken) in [
        ("CRAM-MD5,PLAIN", "CRAM-MD5"),
        ("PLAIN,CRAM-MD5", "PLAIN"),
        ("plain, scram-sha-256", "PLAIN"),
        ("SCRAM-SHA-512,SCRAM-SHA-1,PLAIN", "SCRAM-SHA-1"),
    ] {
        Imapadm::on(server)
            .args(["--auth", list, "-c", "session"])
            .run()
            .ok()
            .says(&format!("mechanism\t{taken}\n"));
    }
    for list in ["PLAIN,ROT13", "", ",", "PLAIN;LOGIN"] {
        let run = Imapadm::on(server).args(["--auth", list, "-c", "session"]);
        run.run().fails(2);
    }
}

#[test]
fn scram_can_act_as_another() {
    let server = cyrus();
    let user = server.user();
    Raw::admin(server).ok(&format!("CREATE user.{user}"));
    Imapadm::on(server)
        .args(["-z", &user, "--auth", "SCRAM-SHA-256"])
        .args(["-c", "list", "-c", "session"])
        .run()
        .ok()
        .says("INBOX\t")
        .says(&format!("user\t{user}\n"));
    // Who may not, is told so.
    Imapadm::on(server)
        .user("alice")
        .args(["-z", &user, "--auth", "SCRAM-SHA-256", "-c", "session"])
        .run()
        .fails(6);
}

// ---- SCRAM, the server's side (RFC 5802 section 3), with SHA-256

fn mac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length will do");
    mac.update(text);
    mac.finalize().into_bytes().into()
}

fn salted(password: &str, salt: &[u8], iterations: u32) -> [u8; 32] {
    let first = [salt, &1u32.to_be_bytes()].concat();
    let mut last = mac(password.as_bytes(), &first);
    let mut sum = last;
    for _ in 1..iterations {
        last = mac(password.as_bytes(), &last);
        sum.iter_mut()
            .zip(last)
            .for_each(|(sum, byte)| *sum ^= byte);
    }
    sum
}

/// What the server's side does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deceit {
    None,
    /// A signature of one who does not know the password.
    Forged,
    /// A signature that is cut off.
    Shortened,
    /// An empty last message.
    Empty,
    /// OK in place of the last message.
    OkBeforeProof,
    /// OK in place of the very first one.
    OkAtOnce,
    /// A nonce that is not the client's.
    OtherNonce,
    /// The client's own nonce with nothing added.
    NothingAdded,
    Iterations(&'static str),
    /// An extension that must be understood.
    Extension,
}

const SALT: &[u8] = b"a grain of salt";

/// One exchange after `AUTHENTICATE SCRAM-…`; returns the client's GS2 header and its channel binding.
fn scram(conn: &mut Conn, tag: &str, initial: &str, deceit: Deceit) -> (String, Vec<u8>) {
    let first = text(initial);
    // gs2-cbind-flag "," [authzid] ","
    let bare_at = first.match_indices(',').nth(1).expect("a header").0 + 1;
    let (header, bare) = first.split_at(bare_at);
    let (user, nonce) = bare.split_once(",r=").expect("user and nonce");
    assert_eq!(user, format!("n={USER}"));
    assert!(nonce.len() >= 16, "a nonce that cannot be guessed: {nonce}");
    let done = |conn: &mut Conn| conn.send(format!("{tag} OK in\r\n"));
    if deceit == Deceit::OkAtOnce {
        done(conn);
        return (header.to_owned(), Vec::new());
    }
    let nonce = match deceit {
        Deceit::OtherNonce => "entirely-another-nonce".to_owned(),
        Deceit::NothingAdded => nonce.to_owned(),
        _ => format!("{nonce}and-mine"),
    };
    let iterations = match deceit {
        Deceit::Iterations(count) => count,
        _ => "4096",
    };
    let mut challenge = format!("r={nonce},s={},i={iterations}", BASE64.encode(SALT));
    if deceit == Deceit::Extension {
        challenge.insert_str(0, "m=something,");
    }
    conn.send(format!("+ {}\r\n", BASE64.encode(&challenge)));
    let answer = conn.expect_line();
    if answer == "*" {
        conn.send(format!("{tag} BAD cancelled\r\n"));
        return (header.to_owned(), Vec::new());
    }
    let last = text(&answer);
    let (without_proof, proof) = last.split_once(",p=").expect("a proof");
    let (binding, theirs) = without_proof.split_once(",r=").expect("a nonce");
    assert_eq!(theirs, nonce);
    let binding = BASE64
        .decode(binding.strip_prefix("c=").expect("the binding"))
        .expect("base64");
    let bound = binding
        .strip_prefix(header.as_bytes())
        .expect("the header again")
        .to_vec();
    let signed = format!("{bare},{challenge},{without_proof}");
    let key = salted(PASSWORD, SALT, 4096);
    let client_key = mac(&key, b"Client Key");
    let signature = mac(&Sha256::digest(client_key), signed.as_bytes());
    let wanted: Vec<u8> = client_key
        .iter()
        .zip(signature)
        .map(|(key, byte)| key ^ byte)
        .collect();
    assert_eq!(proof, BASE64.encode(wanted), "the client's proof");
    let signature = mac(&mac(&key, b"Server Key"), signed.as_bytes());
    let signature = match deceit {
        Deceit::Forged => BASE64.encode([7; 32]),
        Deceit::Shortened => BASE64.encode(&signature[..16]),
        _ => BASE64.encode(signature),
    };
    match deceit {
        Deceit::OkBeforeProof => {}
        Deceit::Empty => {
            conn.send("+ \r\n");
            conn.line();
        }
        _ => {
            conn.send(format!("+ {}\r\n", BASE64.encode(format!("v={signature}"))));
            conn.line();
        }
    }
    done(conn);
    (header.to_owned(), bound)
}

fn text(encoded: &str) -> String {
    String::from_utf8(BASE64.decode(encoded).expect("base64")).expect("UTF-8")
}

/// A server in cleartext whose SCRAM is as honest as said, and which has PLAIN for those who fall back to it.
fn playing(deceit: Deceit) -> Faulty {
    Faulty::script(move |conn| {
        conn.send("* OK [CAPABILITY IMAP4rev1 AUTH=SCRAM-SHA-256 AUTH=PLAIN SASL-IR] ready\r\n");
        loop {
            let (tag, command) = conn.expect_command();
            match command.strip_prefix("AUTHENTICATE SCRAM-SHA-256 ") {
                Some(initial) => drop(scram(conn, &tag, initial, deceit)),
                None => conn.send(certs::imap(&tag, &command)),
            }
        }
    })
}

fn with_scram(server: &Faulty) -> Run {
    Imapadm::on_port(server.port)
        .args(["--timeout", "10", "-c", "createmailbox a", "-c", "session"])
        .limit(Duration::from_secs(40))
        .run()
        .never_says(PASSWORD)
}

#[test]
fn an_honest_server_is_believed() {
    let server = playing(Deceit::None);
    with_scram(&server)
        .ok()
        .says("mechanism\tSCRAM-SHA-256\n")
        .says("a\tcreated");
}

#[test]
fn a_server_that_does_not_know_the_password_is_not_believed() {
    for deceit in [
        Deceit::Forged,
        Deceit::Shortened,
        Deceit::Empty,
        Deceit::OkBeforeProof,
        Deceit::OkAtOnce,
        Deceit::OtherNonce,
        Deceit::NothingAdded,
        Deceit::Extension,
    ] {
        let server = playing(deceit);
        let run = with_scram(&server);
        assert_eq!(run.status, Some(6), "{deceit:?}: {run}");
        assert!(run.stdout.is_empty(), "{deceit:?}: {run}");
        let run = run.complains("SCRAM-SHA-256");
        if !matches!(
            deceit,
            Deceit::OtherNonce | Deceit::NothingAdded | Deceit::Extension | Deceit::Empty
        ) {
            run.complains("did not prove");
        }
        nothing_given_away(&server, deceit);
    }
}

#[test]
fn hours_of_hashing_are_refused_at_once() {
    for count in [
        "10000000",
        "4294967295",
        "99999999999999999999",
        "0",
        "-1",
        "",
        "4096x",
    ] {
        let deceit = Deceit::Iterations(count);
        let server = playing(deceit);
        let run = with_scram(&server).fails(6).complains("SCRAM-SHA-256");
        assert!(run.took < Duration::from_secs(5), "{count}: {run}");
        nothing_given_away(&server, deceit);
    }
}

/// No command was done, and nobody fell back to a mechanism that sends the password.
#[track_caller]
fn nothing_given_away(server: &Faulty, deceit: Deceit) {
    let received = server.received();
    for line in &received {
        assert!(
            !line.contains("CREATE") && !line.contains("PLAIN") && !line.contains(PASSWORD),
            "{deceit:?}: {received:?}"
        );
    }
}

/// A server in TLS that has SCRAM with and without channel binding, and gives `check` what the client bound itself to.
fn binding(
    with_plus: bool,
    without: bool,
    refuses_plus: bool,
    check: impl Fn(&str, &[u8], &[u8]) + Send + Sync + 'static,
) -> (Faulty, Authority) {
    let authority = Authority::new("CA");
    let config = authority.signs(&named(&["localhost"])).config(None);
    let check = Arc::new(check);
    let server = Faulty::script(move |conn| {
        let mut offer = String::new();
        if with_plus {
            offer.push_str(" AUTH=SCRAM-SHA-256-PLUS");
        }
        if without {
            offer.push_str(" AUTH=SCRAM-SHA-256");
        }
        conn.tls_or_gone(&config);
        conn.send(format!(
            "* OK [CAPABILITY IMAP4rev1{offer} SASL-IR] ready\r\n"
        ));
        let exported = conn.tls_exporter();
        loop {
            let (tag, command) = conn.expect_command();
            let words: Vec<&str> = command.split(' ').collect();
            match words[..] {
                ["AUTHENTICATE", "SCRAM-SHA-256-PLUS", _] if refuses_plus => {
                    conn.send(format!("{tag} NO no such binding here\r\n"));
                }
                ["AUTHENTICATE", name, initial] => {
                    let (header, bound) = scram(conn, &tag, initial, Deceit::None);
                    assert_eq!(name.ends_with("-PLUS"), header.starts_with("p="));
                    check(&header, &bound, &exported);
                }
                _ => conn.send(certs::imap(&tag, &command)),
            }
        }
    });
    (server, authority)
}

fn bound(server: &Faulty, authority: &Authority) -> Imapadm {
    trusting(certs::on(server, Form::Implicit), &authority.pem())
}

#[test]
fn plus_binds_the_login_to_the_tls_connection() {
    let (server, authority) = binding(true, true, false, |header, bound, exported| {
        assert_eq!(header, "p=tls-exporter,,");
        assert_eq!(bound, exported);
    });
    let run = bound(&server, &authority).run();
    run.ok().says("mechanism\tSCRAM-SHA-256-PLUS\n");
}

#[test]
fn without_plus_the_server_is_told_that_it_could_have_been() {
    // RFC 5802 section 6: `y` uncovers one in between who took -PLUS out of the offer.
    let (server, authority) = binding(false, true, false, |header, bound, _| {
        assert_eq!(header, "y,,");
        assert_eq!(bound, b"");
    });
    let run = bound(&server, &authority).run();
    run.ok().says("mechanism\tSCRAM-SHA-256\n");
}

#[test]
fn a_plus_that_is_refused_falls_back_to_the_form_without() {
    let (server, authority) = binding(true, true, true, |header, _, _| {
        // It is offered, so `y` would be a lie.
        assert_eq!(header, "n,,");
    });
    let run = bound(&server, &authority).run().ok();
    run.says("mechanism\tSCRAM-SHA-256\n");
    // Unless the binding was what was asked for.
    let run = bound(&server, &authority).args(["--auth", "SCRAM-SHA-256-PLUS"]);
    run.run().fails(6).complains("no such binding here");
    // And unless there is nothing to fall back to.
    let (server, authority) = binding(true, false, true, |_, _, _| panic!("it was refused"));
    bound(&server, &authority).run().fails(6);
}
