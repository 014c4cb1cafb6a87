//! What servers say to a login beside yes and no: another server, a mechanism that they don't have after all, a time limit.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::support::faulty::{Conn, Faulty};
use super::support::run::{Imapadm, Run};

const PASSWORD: &str = "s3cret-Passw0rd";

#[track_caller]
fn never(run: &Run, text: &str) {
    let shown = run.stdout.contains(text) || run.stderr.contains(text);
    assert!(!shown, "{text:?} in\n{run}");
}

/// Greets with these capabilities, and answers each command with `answer` until the client goes.
fn greets(
    capabilities: &'static str,
    answer: impl Fn(&str, &str, &mut Conn) -> String + Send + Sync + 'static,
) -> Faulty {
    Faulty::script(move |conn| {
        conn.send(format!(
            "* OK [CAPABILITY IMAP4rev1 {capabilities}] hello\r\n"
        ));
        loop {
            let (tag, command) = conn.expect_command();
            let reply = answer(&tag, &command, conn);
            conn.send(reply);
        }
    })
}

fn session(server: &Faulty) -> Run {
    Imapadm::on_port(server.port)
        .args(["-k", "-c", "session"])
        .run()
}

/// A login that is refused with these words.
fn refused_with(words: &'static str) -> Run {
    let server = greets("AUTH=PLAIN SASL-IR", move |tag, command, _| {
        if command.starts_with("AUTHENTICATE") || command.starts_with("LOGIN") {
            format!("{tag} {words}\r\n")
        } else {
            format!("{tag} OK [CAPABILITY IMAP4rev1] done\r\n")
        }
    });
    let run = session(&server).fails(6);
    let tries = server.received();
    let tries = tries
        .iter()
        .filter(|line| line.contains(" AUTHENTICATE ") || line.contains(" LOGIN "));
    assert_eq!(
        tries.count(),
        1,
        "what is not about the mechanism is tried once"
    );
    run
}

#[test]
fn a_referral_names_the_other_server() {
    for url in [
        "imap://joe@mail2.example.org/",
        "imap://joe;AUTH=*@mail2.example.org/",
        "imap://mail2.example.org:1143/",
        "IMAP://mail2.example.org/INBOX imap://mail3.example.org/",
    ] {
        let words = format!("NO [REFERRAL {url}] Specified user is invalid on this server.").leak();
        let run = refused_with(words);
        run.complains(&format!("[REFERRAL {url}]"))
            .complains("this user's server is mail2.example.org")
            .never_says("check the user and the password");
    }
    // What is no address is still shown, and blames nobody.
    refused_with("NO [REFERRAL elsewhere] Not here")
        .complains("[REFERRAL elsewhere] Not here; this user belongs to another server")
        .never_says("check the user and the password");
}

#[test]
fn a_referral_in_the_greeting_names_the_other_server() {
    let server = Faulty::script(|conn| {
        conn.send("* BYE [REFERRAL imap://mail2.example.org/] We have moved.\r\n");
    });
    session(&server)
        .fails(4)
        .complains("[REFERRAL imap://mail2.example.org/] We have moved; this user's server is mail2.example.org");
    for (greeting, advice) in [
        ("[UNAVAILABLE] Going down.", "try again later"),
        ("[LIMIT] Too many connections", "close other connections"),
        ("[X-ODD some thing] Go away!", "Go away! Wait and try again"),
    ] {
        let server = Faulty::script(move |conn| conn.send(format!("* BYE {greeting}\r\n")));
        let words = greeting.trim_end_matches('.');
        session(&server).fails(4).complains(words).complains(advice);
    }
}

#[test]
fn a_referral_with_the_login_names_the_other_server() {
    let server = greets("AUTH=PLAIN SASL-IR", |tag, command, _| match command {
        "LOGOUT" => format!("* BYE\r\n{tag} OK\r\n"),
        _ => format!(
            "* CAPABILITY IMAP4rev1\r\n{tag} OK [REFERRAL imap://joe@mail2.example.org/] Logged in\r\n"
        ),
    });
    session(&server)
        .ok()
        .complains("the server recommends mail2.example.org for this user");
}

#[test]
fn a_referral_of_a_mailbox_names_the_other_server() {
    let server = Faulty::script(|conn| {
        conn.let_in("");
        conn.answer(|tag, command| match command {
            _ if command.starts_with("SELECT") => {
                format!("{tag} NO [REFERRAL imap://joe;AUTH=*@mail2.example.org/shared] Remote mailbox.\r\n")
            }
            _ => format!("{tag} OK [CAPABILITY IMAP4rev1] done\r\n"),
        });
    });
    Imapadm::on_port(server.port)
        .args(["-c", "select shared"])
        .run()
        .fails(1)
        .complains("Remote mailbox. The mailbox is on mail2.example.org");
}

#[test]
fn the_code_of_a_refused_login_is_shown_and_says_what_to_do() {
    for (words, advice) in [
        ("BAD [UNAVAILABLE] Backend is down.", "try again later"),
        ("NO [UNAVAILABLE] Backend is down", "try again later"),
        ("NO [EXPIRED] Password has expired.", "set a new one"),
        ("NO [CONTACTADMIN] Ask us", "ask the server's administrator"),
        ("NO [LIMIT] Too many", "close other connections"),
        ("NO [INUSE] Busy", "wait and try again"),
        (
            "NO [WEBALERT https://mail.example.org/x?a=1&b=2] Log in by web.",
            "open that address in a web browser",
        ),
        ("NO [AUTHORIZATIONFAILED] Not an admin", "may not act as"),
        ("NO [PRIVACYREQUIRED] Encrypt first", "--tls"),
        (
            "NO [AUTHENTICATIONFAILED] Authentication failed.",
            "check the user and the password",
        ),
        (
            "NO [ALERT] The disk is full",
            "check the user and the password",
        ),
        (
            "NO No such user!",
            "such user! Check the user and the password",
        ),
        (
            "NO [X-OWN (a \"b\") c] Odd",
            "check the user and the password",
        ),
    ] {
        let run = refused_with(words);
        let (_, shown) = words.split_once(' ').unwrap();
        let run = run.complains(shown.trim_end_matches('.')).complains(advice);
        assert!(!run.stderr.contains(".;"), "two sentences in one: {run}");
        if !advice.contains("check the user") && !advice.contains("Check") {
            run.never_says("check the user and the password");
        }
    }
}

#[test]
fn a_mechanism_that_the_server_refuses_is_followed_by_the_next() {
    // BAD, or NO before anything of the password was sent.
    for (refused, words) in [
        ("AUTHENTICATE PLAIN", "BAD Unknown command"),
        ("AUTHENTICATE PLAIN", "BAD [CANNOT] Not today"),
        ("AUTHENTICATE LOGIN", "NO Unsupported mechanism"),
        (
            "AUTHENTICATE CRAM-MD5",
            "NO Authentication mechanism not supported",
        ),
    ] {
        let mechanism = refused.rsplit(' ').next().unwrap();
        let capabilities = format!("AUTH={mechanism}").leak();
        let server = greets(capabilities, move |tag, command, _| {
            if command.starts_with("AUTHENTICATE") {
                assert_eq!(command, refused);
                format!("{tag} {words}\r\n")
            } else {
                format!("{tag} OK [CAPABILITY IMAP4rev1] done\r\n")
            }
        });
        session(&server)
            .ok()
            .says("mechanism\tLOGIN command")
            .complains(words)
            .complains("--auth LOGIN");
        // Not where the user names what may be used.
        Imapadm::on_port(server.port)
            .args(["--auth", mechanism, "-c", "session"])
            .run()
            .fails(if mechanism == "LOGIN" { 0 } else { 6 });
    }
}

#[test]
fn scram_that_is_not_for_this_user_is_followed_by_what_shows_the_password_only_where_that_may_be() {
    let mailutils = |capabilities| {
        greets(capabilities, |tag, command, conn| {
            if command.starts_with("AUTHENTICATE SCRAM") {
                if !command.contains("SHA-256 ") && !command.contains("SHA-1 ") {
                    conn.send("+ \r\n");
                    conn.expect_line();
                }
                format!("{tag} NO [AUTHENTICATIONFAILED] AUTHENTICATE failed\r\n")
            } else {
                format!("{tag} OK [CAPABILITY IMAP4rev1] done\r\n")
            }
        })
    };
    for capabilities in [
        "AUTH=SCRAM-SHA-256 AUTH=SCRAM-SHA-1 AUTH=PLAIN SASL-IR",
        "AUTH=SCRAM-SHA-256 AUTH=SCRAM-SHA-1 AUTH=PLAIN",
    ] {
        let server = mailutils(capabilities);
        let run = Imapadm::on_port(server.port)
            .args(["--auth", "SCRAM-SHA-256", "-c", "session"])
            .run();
        run.fails(6).complains("--auth PLAIN");
        assert!(!server.received().iter().any(|line| line.contains("PLAIN")));
        drop(server);
    }
    let server = mailutils("AUTH=SCRAM-SHA-256 AUTH=SCRAM-SHA-1 AUTH=PLAIN SASL-IR");
    session(&server)
        .ok()
        .says("mechanism\tPLAIN")
        .complains("refused SCRAM-SHA-256 (NO [AUTHENTICATIONFAILED] AUTHENTICATE failed)");
    // One failed login is enough: another kind of SCRAM needs the same of the server.
    let tries = server.received();
    assert!(
        !tries.iter().any(|line| line.contains("SCRAM-SHA-1 ")),
        "{tries:?}"
    );
}

#[test]
fn a_password_that_was_refused_is_not_tried_in_another_way() {
    let server = greets("AUTH=PLAIN AUTH=LOGIN SASL-IR", |tag, command, _| {
        if command.starts_with("AUTHENTICATE") || command.starts_with("LOGIN ") {
            format!("{tag} NO Login failed.\r\n")
        } else {
            format!("{tag} OK [CAPABILITY IMAP4rev1] done\r\n")
        }
    });
    session(&server)
        .fails(6)
        .complains("Login failed; check the user and the password")
        .never_says(PASSWORD);
    let tries = server.received().len();
    assert!(tries <= 2, "{:?}", server.received());
}

/// What goes on and on until the client has enough of it.
fn endlessly(conn: &mut Conn, what: &str) -> ! {
    loop {
        for byte in what.bytes() {
            conn.send([byte]);
            conn.stall(Duration::from_millis(20));
        }
    }
}

#[test]
fn one_time_limit_covers_all_from_connecting_to_the_login() {
    let noise = "* OK wait a moment\r\n";
    for stage in ["greeting", "one byte", "capability", "login", "challenge"] {
        let server = Faulty::script(move |conn| {
            match stage {
                "greeting" => endlessly(conn, "* NO not yet\r\n"),
                "one byte" => endlessly(conn, "x"),
                "capability" => conn.send("* OK hello\r\n"),
                "login" => conn.send("* OK [CAPABILITY IMAP4rev1] hello\r\n"),
                _ => conn.send("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hello\r\n"),
            }
            conn.expect_command();
            endlessly(conn, noise);
        });
        let run = Imapadm::on_port(server.port)
            .args(["--timeout", "1", "-c", "session"])
            .run();
        let status = if matches!(stage, "greeting" | "one byte") {
            4
        } else {
            7
        };
        assert_eq!(run.status, Some(status), "{stage}: {run}");
        assert!(run.took < Duration::from_secs(10), "{stage}: {run}");
        run.complains("within 1 s");
    }
}

#[test]
fn what_passes_before_the_password_is_there_is_no_part_of_the_limit() {
    let server = greets("AUTH=PLAIN SASL-IR", |tag, _, _| {
        format!("{tag} OK [CAPABILITY IMAP4rev1] done\r\n")
    });
    Imapadm::on_port(server.port)
        .no_password()
        .args([
            "--timeout",
            "1",
            "--password-command",
            "sleep 1.5; echo secret",
            "-c",
            "session",
        ])
        .run()
        .ok();
}

#[test]
fn a_server_that_repeats_the_password_does_not_get_it_shown() {
    let hex: String = PASSWORD.bytes().map(|byte| format!("{byte:02x}")).collect();
    for mechanism in ["PLAIN", "LOGIN", "LOGIN command", "CRAM-MD5"] {
        for verdict in ["NO", "BAD", "OK"] {
            let theirs = hex.clone();
            let name = mechanism.split(' ').next().unwrap();
            let server = Faulty::script(move |conn| {
                let code = format!("[CAPABILITY IMAP4rev1 ACL AUTH={mechanism}]");
                conn.send(format!("* OK {code} hello\r\n"));
                let (tag, first) = conn.expect_command();
                let mut lines = vec![first.clone()];
                let challenges = match (name, first.starts_with("AUTH")) {
                    (_, false) => 0,
                    ("LOGIN", _) => 2,
                    _ => 1,
                };
                for at in 0..challenges {
                    conn.send(match (name, at) {
                        ("PLAIN", _) => "+ \r\n",
                        ("LOGIN", 0) => "+ VXNlcm5hbWU6\r\n",
                        ("LOGIN", _) => "+ UGFzc3dvcmQ6\r\n",
                        _ => "+ PDEuMkBleGFtcGxlLm9yZz4=\r\n",
                    });
                    lines.push(conn.expect_line());
                }
                let told = format!("{} {PASSWORD} {theirs}", lines.join(" "));
                conn.send(format!(
                    "* NO [ALERT] {told}\r\n{tag} {verdict} {code} {told}\r\n"
                ));
                conn.answer(|tag, _| {
                    format!("* ACL a {told}\r\n* X-ODD {told}\r\n** {told}\r\n{tag} NO [X {told}] {told}\r\n* BYE {told}\r\n")
                });
            });
            let run = Imapadm::on_port(server.port)
                .args(["--auth", name, "--trace", "-", "-k"])
                .args(["-c", "listacl a", "-c", "session", "-c", "listacl a"])
                .run();
            let proof = server
                .received()
                .into_iter()
                .find(|line| line.len() > 40 && !line.contains(' '));
            let run = run
                .never_says(PASSWORD)
                .never_says(&hex)
                .complains("<secret>");
            for before in ["", "x", "xx"] {
                let encoded = BASE64.encode(format!("{before}{PASSWORD}"));
                never(&run, &encoded[4..encoded.len() - 4]);
            }
            if let Some(proof) = proof {
                never(&run, &proof);
            }
        }
    }
}

#[test]
fn a_cheap_hash_is_refused_where_anybody_can_listen_and_a_warning_elsewhere() {
    use imapadm::auth::{Credentials, Method, Surroundings, mechanism};
    for private in [true, false] {
        for (iterations, is_cheap) in [(1, true), (4095, true), (4096, false)] {
            let surroundings = Surroundings {
                host: "mail.example.org".into(),
                port: None,
                exporter: None,
                private,
                binding_offered: false,
            };
            let credentials = Credentials::password("joe", PASSWORD);
            let mut scram = mechanism(Method::ScramSha256, &credentials, &surroundings).unwrap();
            let first = scram.initial().unwrap();
            let first = String::from_utf8(first.expose().to_vec()).unwrap();
            let nonce = first.split("r=").nth(1).unwrap();
            let challenge = format!("r={nonce}more,s=QSXCR+Q6sek8bf92,i={iterations}");
            let answer = scram.respond(challenge.as_bytes());
            assert_eq!(
                answer.is_ok(),
                private || !is_cheap,
                "{iterations} {private}"
            );
            assert_eq!(scram.warning().is_some(), is_cheap, "{iterations}");
        }
    }
}

/// A server with this greeting, which offers ID and answers with this name.
fn named(greeting: &'static str, id: &'static str) -> Faulty {
    Faulty::script(move |conn| {
        let code = "[CAPABILITY IMAP4rev1 ACL ID RIGHTS=kxte]";
        conn.send(format!("* OK {code} {greeting}\r\n"));
        conn.answer(|tag, command| {
            let verb = command.split(' ').next().unwrap_or_default();
            match verb {
                "LOGIN" => format!("{tag} OK {code} in\r\n"),
                "ID" => format!("* ID {id}\r\n{tag} OK done\r\n"),
                "GETACL" => format!("* ACL a \"-anyone\" lr\r\n{tag} OK done\r\n"),
                _ => format!("{tag} OK done\r\n"),
            }
        });
    })
}

#[test]
fn which_server_it_is_tells_its_id_where_the_greeting_does_not() {
    // Cyrus takes no quotes in identifiers: nothing is sent there.
    for (greeting, id, is_cyrus, asked) in [
        ("Cyrus IMAP 3.6 ready", "NIL", true, 0),
        (
            "mail ready",
            "(\"name\" \"Cyrus IMAPD\" \"version\" \"3.6\")",
            true,
            1,
        ),
        (
            "perdition ready",
            "( \"os\" NIL \"NAME\" \"Cyrus IMAPD\" )",
            true,
            1,
        ),
        ("mail ready", "(\"name\" \"Something else\")", false, 1),
        ("mail ready", "NIL", false, 1),
        ("mail ready", "(\"name\" NIL)", false, 1),
        ("mail ready", "(((", false, 1),
        ("Dovecot ready.", "(\"name\" \"Cyrus IMAPD\")", true, 0),
    ] {
        let is_cyrus = is_cyrus && asked == 1 || greeting.starts_with("Cyrus");
        for pipeline in [None, Some("--no-pipeline")] {
            let server = named(greeting, id);
            let run = Imapadm::on_port(server.port)
                .args(pipeline)
                .args(["-k", "-c", "listacl a", "-c", "setaclmailbox a 'b\"c' lr"])
                .run();
            let lines = server.received();
            let count = |verb: &str| lines.iter().filter(|line| line.contains(verb)).count();
            assert_eq!(count(" ID "), asked, "{greeting} {id}: {lines:?}");
            assert_eq!(count(" SETACL ") == 0, is_cyrus, "{greeting} {id}: {run}");
        }
    }
}

#[test]
fn nothing_is_compressed_behind_imapproxy() {
    let server = greets("COMPRESS=DEFLATE XIMAPPROXY", |tag, command, _| {
        assert!(!command.starts_with("COMPRESS"), "{command}");
        format!("{tag} OK [CAPABILITY IMAP4rev1 COMPRESS=DEFLATE XIMAPPROXY] done\r\n")
    });
    Imapadm::on_port(server.port)
        .args(["--compress", "-c", "session"])
        .run()
        .ok()
        .complains("imapproxy");
}

#[test]
fn a_server_of_imap4rev2_alone_has_names_in_utf8() {
    for (capabilities, zoe, rnd) in [
        ("IMAP4rev2 ACL NAMESPACE", "\"Zoë\"", "\"R&D\""),
        ("IMAP4rev1 IMAP4rev2 ACL NAMESPACE", "Zo&AOs-", "R&-D"),
    ] {
        let server = Faulty::script(move |conn| {
            let code = format!("[CAPABILITY {capabilities}]");
            conn.send(format!("* OK {code} hi\r\n"));
            conn.answer(|tag, command| {
                let verb = command.split(' ').next().unwrap_or_default();
                let data = match verb {
                    "LOGIN" => return format!("{tag} OK {code} in\r\n"),
                    "GETACL" => {
                        assert_eq!(command, format!("GETACL {zoe}"));
                        format!("* ACL {zoe} joë lr\r\n")
                    }
                    "NAMESPACE" => "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n".to_owned(),
                    "LIST" => format!("* LIST () \"/\" {zoe}\r\n* LIST () \"/\" {rnd}\r\n"),
                    "DELETE" => {
                        assert_eq!(command, format!("DELETE {rnd}"));
                        String::new()
                    }
                    _ => String::new(),
                };
                format!("{data}{tag} OK done\r\n")
            });
        });
        Imapadm::on_port(server.port)
            .args([
                "-c",
                "listmailbox",
                "-c",
                "listacl Zoë",
                "-c",
                "deletemailbox 'R&D'",
            ])
            .run()
            .ok()
            .says("Zoë\t\t/\nR&D\t\t/\n")
            .says("Zoë\tjoë\tlr\n")
            .says("R&D\tdeleted");
    }
}
