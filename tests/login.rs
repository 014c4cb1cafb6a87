//! Who logs in, how, and where the password comes from; and that it never shows.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{IpAddr, UdpSocket};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use imapadm::auth::{self, Circumstances, Credentials, Method, Offer, Secret};
use imapadm::net::{Address, Security};
use imapadm::wire::Command;
use imapadm::{Advice, Options, Session};

use super::support::faulty::{Conn, Faulty};
use super::support::raw::Raw;
use super::support::run::{Imapadm, Run};
use super::support::servers::{Kind, Server, cyrus, dovecot, unique};

/// What [`Imapadm::on_port`] logs in with.
const USER: &str = "someone";
const PASSWORD: &str = "s3cret-Passw0rd";

/// The password stands nowhere in the output, in no form that it is sent in.
#[track_caller]
fn discreet(run: Run, password: &str) -> Run {
    let hex: String = password.bytes().map(|byte| format!("{byte:02x}")).collect();
    let all = format!("{}{}", run.stdout, run.stderr);
    assert!(!all.contains(password), "the password in\n{run}");
    assert!(!all.to_lowercase().contains(&hex), "in hex in\n{run}");
    // In base64 the letters depend on what stands before: three shifts, without the ends that are shared.
    for before in ["", "x", "xx"] {
        let encoded = BASE64.encode(format!("{before}{password}"));
        let inner = &encoded[4..encoded.len() - 4];
        assert!(!all.contains(inner), "in base64 in\n{run}");
    }
    run
}

/// One AUTHENTICATE or LOGIN as the server sees it: the command, and the client's answers to the challenges.
fn takes(challenges: &'static [&'static str], capabilities: &'static str) -> Faulty {
    Faulty::script(move |conn| {
        let code = format!("[CAPABILITY IMAP4rev1 {capabilities}]");
        conn.send(format!("* OK {code} hi\r\n"));
        let (tag, _) = conn.expect_command();
        for challenge in challenges {
            conn.send(format!("+ {challenge}\r\n"));
            conn.expect_line();
        }
        conn.send(format!("{tag} OK {code} in\r\n"));
        conn.answer(done);
    })
}

fn done(tag: &str, command: &str) -> String {
    match command {
        // Who asks for the separator.
        "LIST \"\" \"\"" => format!("* LIST (\\Noselect) \"/\" \"\"\r\n{tag} OK done\r\n"),
        _ => format!("{tag} OK done\r\n"),
    }
}

/// The lines of the login, the first without its tag.
fn login_lines(server: &Faulty, count: usize) -> Vec<String> {
    let mut lines = server.received();
    lines.truncate(count);
    let first = lines[0].split_once(' ').expect("a tag").1.to_owned();
    lines[0] = first;
    lines
}

fn decoded(text: &str) -> String {
    String::from_utf8(BASE64.decode(text).expect("base64")).expect("UTF-8")
}

#[test]
fn plain_sends_all_at_once_where_the_server_takes_it() {
    let server = takes(&[], "AUTH=PLAIN SASL-IR");
    let run = Imapadm::on_port(server.port).args(["-c", "session"]).run();
    discreet(run, PASSWORD).ok().says("mechanism\tPLAIN");
    let lines = login_lines(&server, 1);
    let initial = lines[0].strip_prefix("AUTHENTICATE PLAIN ").expect("it");
    assert_eq!(decoded(initial), format!("\0{USER}\0{PASSWORD}"));
}

#[test]
fn plain_waits_for_the_challenge_where_it_has_to() {
    let server = takes(&[""], "AUTH=PLAIN");
    let run = Imapadm::on_port(server.port).args(["-c", "session"]).run();
    discreet(run, PASSWORD).ok().says("mechanism\tPLAIN");
    let lines = login_lines(&server, 2);
    assert_eq!(lines[0], "AUTHENTICATE PLAIN");
    assert_eq!(decoded(&lines[1]), format!("\0{USER}\0{PASSWORD}"));
}

#[test]
fn the_login_mechanism_answers_both_questions() {
    let server = takes(&["VXNlcm5hbWU6", "UGFzc3dvcmQ6"], "AUTH=LOGIN SASL-IR");
    let run = Imapadm::on_port(server.port).args(["-c", "session"]).run();
    discreet(run, PASSWORD).ok().says("mechanism\tLOGIN");
    let lines = login_lines(&server, 3);
    assert_eq!(lines[0], "AUTHENTICATE LOGIN");
    assert_eq!(decoded(&lines[1]), USER);
    assert_eq!(decoded(&lines[2]), PASSWORD);
}

#[test]
fn the_login_command_is_for_servers_without_mechanisms() {
    for capabilities in ["", "AUTH=GSSAPI AUTH=XYZZY"] {
        let server = takes(&[], capabilities);
        let run = Imapadm::on_port(server.port).args(["-c", "session"]).run();
        discreet(run, PASSWORD)
            .ok()
            .says("mechanism\tLOGIN command");
        let lines = login_lines(&server, 1);
        assert!(lines[0].starts_with("LOGIN "), "{lines:?}");
        assert_eq!(
            lines[0].replace('"', ""),
            format!("LOGIN {USER} {PASSWORD}")
        );
    }
}

#[test]
fn cram_md5_answers_as_its_standard_has_it() {
    // The example of RFC 2195 section 2.
    let server = takes(
        &["PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+"],
        "AUTH=LOGIN AUTH=PLAIN AUTH=CRAM-MD5 SASL-IR",
    );
    let run = Imapadm::on_port(server.port)
        .user("tim")
        .password("tanstaaftanstaaf")
        .args(["-c", "session"])
        .run();
    discreet(run, "tanstaaftanstaaf")
        .ok()
        .says("mechanism\tCRAM-MD5");
    let lines = login_lines(&server, 2);
    assert_eq!(lines[0], "AUTHENTICATE CRAM-MD5", "the strongest is taken");
    assert_eq!(decoded(&lines[1]), "tim b913a602c7eda7a495b4e6e7334d3890");
}

#[test]
fn every_mechanism_that_is_asked_for_works_on_real_servers() {
    for server in [cyrus(), dovecot()] {
        let mut mechanisms = vec![
            "SCRAM-SHA-256",
            "SCRAM-SHA-1",
            "CRAM-MD5",
            "PLAIN",
            "LOGIN",
            "plain",
        ];
        if server.kind == Kind::Cyrus {
            mechanisms.push("SCRAM-SHA-512");
        }
        for mechanism in mechanisms {
            for notls in [None, Some("--notls")] {
                let run = Imapadm::on(server)
                    .args(["--auth", mechanism, "-c", "session"])
                    .args(notls)
                    .run();
                discreet(run, &server.password)
                    .ok()
                    .says(&format!("mechanism\t{}", mechanism.to_uppercase()));
            }
        }
    }
}

#[test]
fn a_wrong_password_is_no_login_and_the_server_says_why() {
    for server in [cyrus(), dovecot()] {
        for mechanism in ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"] {
            let run = Imapadm::on(server)
                .password("entirely wrong words")
                .args(["--auth", mechanism, "-c", "session"])
                .run();
            let words = match server.kind {
                Kind::Cyrus => "authentication failure",
                Kind::Dovecot => "Authentication failed",
            };
            let run = discreet(run, "entirely wrong words").fails(6);
            assert!(run.stdout.is_empty(), "{run}");
            run.complains(words).complains(&server.admin);
        }
    }
}

#[test]
fn the_strongest_is_taken_and_a_password_tried_once() {
    for server in [cyrus(), dovecot()] {
        let strongest = match server.kind {
            Kind::Cyrus => "SCRAM-SHA-512",
            Kind::Dovecot => "SCRAM-SHA-256",
        };
        let run = Imapadm::on(server)
            .args(["--trace", "-", "-c", "session"])
            .run();
        discreet(run, &server.password)
            .ok()
            .says(&format!("mechanism\t{strongest}\n"))
            .complains(&format!("AUTHENTICATE {strongest} <secret>"))
            // The server's signature would do to try passwords against.
            .complains("S: + <secret>");
        let run = Imapadm::on(server)
            .password("entirely wrong words")
            .args(["--trace", "-", "-c", "session"])
            .run();
        let run = discreet(run, "entirely wrong words").fails(6);
        // Cyrus offers -PLUS and binds to tls-unique, which TLS 1.3 has not got: each try would count as a failed login.
        assert_eq!(run.stderr.matches(" AUTHENTICATE ").count(), 1, "{run}");
        run.complains("--auth PLAIN");
    }
    // Asked for by name it is tried, and what is named behind it follows.
    let list = "SCRAM-SHA-256-PLUS,SCRAM-SHA-256";
    let run = Imapadm::on(cyrus()).args(["--auth", list, "--trace", "-", "-c", "session"]);
    run.run()
        .ok()
        .says("mechanism\tSCRAM-SHA-256\n")
        .complains("AUTHENTICATE SCRAM-SHA-256-PLUS <secret>");
    // By name alone there is no other.
    let run = Imapadm::on(cyrus()).args(["--auth", "SCRAM-SHA-256-PLUS", "-c", "session"]);
    run.run()
        .fails(6)
        .complains("SCRAM-SHA-256 works without it");
}

#[test]
fn the_order_of_the_list_is_the_users() {
    for (list, taken) in [
        ("PLAIN,SCRAM-SHA-256", "PLAIN"),
        ("cram-md5 PLAIN", "CRAM-MD5"),
        ("XOAUTH2,LOGIN", "LOGIN"),
    ] {
        let run = Imapadm::on(dovecot()).args(["--auth", list, "-c", "session"]);
        run.run().ok().says(&format!("mechanism\t{taken}\n"));
    }
}

#[test]
fn a_client_certificate_is_enough() {
    let server = cyrus();
    let run = |auth: Option<&str>| {
        Imapadm::on(server)
            .user("alice")
            .args(auth.map(|auth| format!("--auth={auth}")))
            .certificate(server)
            .args(["-c", "session"])
            .run()
    };
    for auth in [None, Some("EXTERNAL")] {
        run(auth).ok().says("mechanism\tEXTERNAL\n");
    }
    run(Some("PLAIN")).ok().says("mechanism\tPLAIN\n");
}

#[test]
fn a_server_that_proves_nothing_is_left() {
    // OK at once, and OK after a proof that it can't have checked.
    for challenges in [&[] as &[&str], &["dj1BQUFB"]] {
        let server = takes(challenges, "AUTH=SCRAM-SHA-256 SASL-IR");
        let run = Imapadm::on_port(server.port)
            .args(["-c", "session", "-c", "list"])
            .run();
        let run = discreet(run, PASSWORD).fails(6);
        assert!(run.stdout.is_empty(), "{run}");
        // Nothing but the login was sent, and at most the word that it is given up.
        let lines = server.received();
        assert!(lines.len() <= 2, "{lines:?}");
    }
}

/// A server on a Unix socket, for one connection, that knows nobody by it. It returns what it was told.
fn stranger_on_a_socket(path: &Path) -> JoinHandle<Vec<String>> {
    let listener = UnixListener::bind(path).expect("a socket");
    thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a connection");
        let mut writer = stream.try_clone().expect("a socket");
        let code = "[CAPABILITY IMAP4rev1 AUTH=EXTERNAL AUTH=PLAIN AUTH=LOGIN SASL-IR]";
        // It may leave whenever it likes.
        let _ = write!(writer, "* OK {code} hi\r\n");
        let mut lines = Vec::new();
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let (tag, command) = line.split_once(' ').expect("a tag");
            let _ = match command {
                command if command.starts_with("AUTHENTICATE EXTERNAL") => {
                    write!(writer, "{tag} NO who are you\r\n")
                }
                command if command.starts_with("AUTHENTICATE") => {
                    write!(writer, "{tag} OK {code} in\r\n")
                }
                command => write!(writer, "{}", done(tag, command)),
            };
            lines.push(command.to_owned());
        }
        lines
    })
}

#[test]
fn a_refused_external_leaves_the_password() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("imap.sock");
    let login = |credentials: &Credentials, wanted: &[Method]| {
        let _ = std::fs::remove_file(&path);
        let server = stranger_on_a_socket(&path);
        let mut session = Session::open(Options::new(Address::Unix(path.clone()))).expect("it");
        let methods = session.login_methods(wanted, false, false).expect("some");
        assert_eq!(methods[0], Method::External);
        let result = session.login(credentials, wanted);
        let user = session.state().user().map(str::to_owned);
        drop(session);
        (result, user, server.join().expect("a server"))
    };
    let password = Credentials::password(USER, PASSWORD);
    let (result, user, lines) = login(&password, &[]);
    result.expect("a login");
    assert_eq!(user.as_deref(), Some(USER));
    // Who names a user means that one, whoever the socket is for.
    let external = format!("AUTHENTICATE EXTERNAL {}", BASE64.encode(USER));
    assert_eq!(lines[0], external);
    assert!(lines[1].starts_with("AUTHENTICATE PLAIN "), "{lines:?}");
    // By name it is the only one; and without a password there is no other.
    let nothing = Credentials {
        secret: Secret::None,
        ..password.clone()
    };
    let by_name = [Method::External, Method::Plain];
    for (credentials, wanted) in [(&password, &by_name[..]), (&nothing, &[])] {
        let (result, _, lines) = login(credentials, wanted);
        let error = result.expect_err("a refusal");
        assert!(error.to_string().contains("who are you"), "{error}");
        assert_eq!(lines, [external.as_str()]);
    }
}

#[test]
fn tokens_are_sent_and_a_refusal_says_why() {
    let error = br#"{"status":"invalid_token","scope":"mail \u001b[2J"}"#;
    for (auth, answer) in [("OAUTHBEARER", "AQ=="), ("XOAUTH2", "")] {
        let server = Faulty::script(move |conn| {
            conn.send(format!(
                "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN AUTH={auth} SASL-IR] hi\r\n"
            ));
            let (tag, _) = conn.expect_command();
            conn.send(format!("+ {}\r\n", BASE64.encode(error)));
            conn.expect_line();
            conn.send(format!("{tag} NO [AUTHENTICATIONFAILED] no\r\n"));
        });
        let address = Address::Tcp {
            host: "127.0.0.1".to_owned(),
            port: server.port,
        };
        let mut session =
            Session::open(Options::new(address).security(Security::None)).expect("a session");
        let credentials = Credentials {
            user: USER.to_owned(),
            authz: None,
            secret: Secret::Token("t0ken".into()),
        };
        let error = session.login(&credentials, &[]).expect_err("a refusal");
        let words = error.to_string();
        assert!(
            words.contains("status invalid_token, scope mail"),
            "{words}"
        );
        assert_eq!(error.advice(), Some(Advice::CheckToken));
        assert!(!words.contains("t0ken"), "{words}");
        let lines = login_lines(&server, 2);
        let initial = lines[0].rsplit(' ').next().expect("a response");
        assert!(decoded(initial).ends_with("\x01auth=Bearer t0ken\x01\x01"));
        assert_eq!(lines[1], answer);
        // A password is of no use for it, and is not sent to find that out.
        let password = Credentials::password(USER, PASSWORD);
        let method = Method::parse(auth).expect("a method");
        let error = session.login(&password, &[method]).expect_err("no token");
        assert!(error.to_string().contains("needs a token"), "{error}");
    }
}

#[test]
fn a_mechanism_that_is_not_offered_is_told_with_what_is() {
    let server = takes(&[], "AUTH=PLAIN AUTH=XYZZY SASL-IR");
    Imapadm::on_port(server.port)
        .args(["--auth", "CRAM-MD5", "-c", "noop"])
        .run()
        .fails(6)
        .complains("CRAM-MD5")
        .complains("PLAIN, XYZZY");
    assert_eq!(server.received().len(), 0, "{:?}", server.received());
    let run = Imapadm::on_port(server.port).args(["--auth", "ROT13", "-c", "noop"]);
    let run = run.run().complains("ROT13").complains("CRAM-MD5");
    assert!(matches!(run.status, Some(2 | 6)), "{run}");
    assert_eq!(
        server.connections(),
        1,
        "an unknown one needs no connection"
    );
}

#[test]
fn a_server_that_forbids_plain_passwords_never_gets_one() {
    let own = Server::start_dovecot(&[
        "--listen",
        "127.0.0.2",
        "--set",
        "disable_plaintext_auth: yes",
    ]);
    for mechanism in ["PLAIN", "LOGIN", "LOGIN command"] {
        let run = Imapadm::on(&own)
            .args(["--notls", "--auth", mechanism, "-c", "session"])
            .run();
        discreet(run, &own.password)
            .fails(6)
            .complains("CRAM-MD5")
            .complains("TLS");
    }
    // What it does offer is enough, and in TLS it offers the rest.
    let run = Imapadm::on(&own).args(["--notls", "-c", "session"]).run();
    run.ok().says("tls\tnone");
    let run = Imapadm::on(&own).args(["--auth", "PLAIN", "-c", "session"]);
    run.run().ok().says("mechanism\tPLAIN");

    let server = takes(&[], "LOGINDISABLED");
    Imapadm::on_port(server.port)
        .args(["-c", "noop"])
        .run()
        .fails(6);
    assert_eq!(server.received().len(), 0, "{:?}", server.received());
}

/// An address of this machine that is not loopback, if it has one. Nothing is sent to find it.
fn outward() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_loopback() && !ip.is_unspecified()).then_some(ip)
}

#[test]
fn a_password_does_not_cross_a_network_in_cleartext_unasked() {
    let offered = ["PLAIN".to_owned(), "LOGIN".to_owned()];
    let offer = Offer {
        mechanisms: &offered,
        login_disabled: false,
    };
    for private in [false, true] {
        let with = Circumstances {
            private,
            ..Circumstances::default()
        };
        assert_eq!(auth::choose(offer, &[], with).is_ok(), private);
    }
    // A machine without a network shows no more than this.
    let Some(ip) = outward() else { return };
    let greet = |conn: &mut Conn, capabilities: &str| {
        let code = format!("[CAPABILITY IMAP4rev1 {capabilities}]");
        conn.send(format!("* OK {code} hi\r\n"));
    };
    for capabilities in ["AUTH=PLAIN SASL-IR", "AUTH=LOGIN", ""] {
        let server = Faulty::at(ip, move |conn| {
            greet(conn, capabilities);
            if let Some(line) = conn.line() {
                let tag = line.split(' ').next().expect("a tag").to_owned();
                if line.contains("LOGIN") && !line.contains(PASSWORD) {
                    for _ in 0..2 {
                        conn.send("+ Og==\r\n");
                        conn.expect_line();
                    }
                }
                conn.send(format!("{tag} OK in\r\n"));
                conn.answer(done);
            }
        });
        let on = |ip: IpAddr| {
            let run = Imapadm::bare();
            let password = run.file("password", PASSWORD);
            run.arg("--password-file")
                .arg(password)
                .args(["-u", USER, "-c", "noop"])
                .arg(format!("{ip}:{}", server.port))
        };
        on(ip).run().fails(5).complains("does not offer STARTTLS");
        on(ip)
            .arg("--notls")
            .run()
            .fails(6)
            .complains("not encrypted")
            .complains("--allow-cleartext");
        assert_eq!(server.received().len(), 0, "{:?}", server.received());
        discreet(
            on(ip).args(["--notls", "--allow-cleartext"]).run(),
            PASSWORD,
        )
        .ok();
    }
}

#[test]
fn a_dovecot_master_user_acts_as_another() {
    let server = dovecot();
    let (user, folder) = (server.user(), unique("mastered"));
    Raw::login(server, &user).ok(&format!("CREATE {folder}"));
    let run = Imapadm::on(server)
        .user("master")
        .args(["--authz", &user, "-c", "list", "-c", "session"])
        .run();
    discreet(run, &server.password)
        .ok()
        .says(&format!("{folder}\t"))
        .says("mechanism\tSCRAM-SHA-256\n")
        .says(&format!("user\t{user}"));
}

#[test]
fn a_cyrus_administrator_acts_as_another() {
    let server = cyrus();
    let user = server.user();
    Raw::admin(server).ok(&format!("CREATE user.{user}"));
    Imapadm::on(server)
        .args(["-z", &user, "-c", "list", "-c", "session"])
        .run()
        .ok()
        .says("INBOX\t")
        .says(&format!("user\t{user}"));
    // Who may not, is told so.
    Imapadm::on(server)
        .user("alice")
        .args(["-z", &user, "-c", "list"])
        .run()
        .fails(6);
}

#[test]
fn acting_as_another_needs_a_mechanism_that_says_so() {
    for mechanism in ["LOGIN", "CRAM-MD5"] {
        Imapadm::on(dovecot())
            .args(["-z", "alice", "--auth", mechanism, "-c", "list"])
            .run()
            .fails(6)
            .complains("PLAIN");
    }
}

#[test]
fn a_password_file_gives_its_first_line() {
    for server in [cyrus(), dovecot()] {
        let words = &server.password;
        for content in [
            words.clone(),
            format!("{words}\r\n"),
            format!("{words}\nand a second line\n"),
        ] {
            let run = Imapadm::on(server).no_password();
            let file = run.file("secret", content);
            let run = run.arg("--password-file").arg(file);
            discreet(run.args(["-c", "noop"]).run(), words).ok();
        }
    }
}

#[test]
fn a_password_file_without_a_password_is_no_login() {
    let on = || Imapadm::on(cyrus()).no_password().args(["-c", "noop"]);
    on().args(["--password-file", "/nonexistent/secret"])
        .run()
        .fails(6)
        .complains("/nonexistent/secret");
    for (content, words) in [
        (&b""[..], "empty"),
        (b"\n", "empty"),
        (b"\nsecond-line-secret\n", "empty"),
        (b"caf\xe9-secret\n", "UTF-8"),
    ] {
        let run = on();
        let file = run.file("the-file", content);
        let run = run.arg("--password-file").arg(file).run();
        run.fails(6)
            .complains("the-file")
            .complains(words)
            .never_says("-secret");
    }
}

#[test]
fn a_command_can_print_the_password() {
    for server in [cyrus(), dovecot()] {
        let run = Imapadm::on(server).no_password();
        let file = run.file("secret", &server.password);
        let command = format!("cat '{}'; echo; echo more", file.display());
        let run = run.args(["--password-command", &command, "-c", "session"]);
        discreet(run.run(), &server.password).ok();
    }
}

#[test]
fn a_command_that_prints_none_is_no_login() {
    let on = |command: &str| {
        Imapadm::on(cyrus())
            .no_password()
            .args(["--password-command", command])
    };
    on("exit 3")
        .args(["-c", "noop"])
        .run()
        .fails(6)
        .complains("3");
    on("true")
        .args(["-c", "noop"])
        .run()
        .fails(6)
        .complains("empty");
    on("/nonexistent/program")
        .args(["-c", "noop"])
        .run()
        .fails(6);
    on("echo half-a-secret; exit 1")
        .args(["-c", "noop"])
        .run()
        .fails(6)
        .never_says("half-a-secret\n");
    // It does not read the script away.
    let word = &cyrus().password;
    let run = on(&format!("cat; echo {word}")).stdin("help noop\n").run();
    let run = run.ok();
    assert!(!run.stdout.is_empty(), "{run}");
}

#[test]
fn the_environment_can_hold_the_password() {
    for server in [cyrus(), dovecot()] {
        let run = Imapadm::on(server).no_password();
        let run = run.env("IMAPADM_PASSWORD", &server.password);
        discreet(run.args(["-c", "noop"]).run(), &server.password).ok();
    }
    Imapadm::on(cyrus())
        .no_password()
        .env("IMAPADM_PASSWORD", "")
        .args(["-c", "noop"])
        .run()
        .fails(6)
        .complains("IMAPADM_PASSWORD");
}

#[test]
fn what_is_on_the_command_line_goes_before_the_environment() {
    let server = cyrus();
    // The file is right, the environment wrong.
    Imapadm::on(server)
        .env("IMAPADM_PASSWORD", "wrong")
        .args(["-c", "noop"])
        .run()
        .ok();
    Imapadm::on(server)
        .no_password()
        .env("IMAPADM_PASSWORD", "wrong")
        .args(["--password-command", &format!("echo {}", server.password)])
        .args(["-c", "noop"])
        .run()
        .ok();
    // And the other way round.
    Imapadm::on(server)
        .password("wrong")
        .env("IMAPADM_PASSWORD", &server.password)
        .args(["-c", "noop"])
        .run()
        .fails(6);
    Imapadm::on(server)
        .args(["--password-command", "true", "-c", "noop"])
        .run()
        .fails(2);
}

#[test]
fn without_a_terminal_nobody_can_be_asked() {
    for server in [cyrus(), dovecot()] {
        let run = Imapadm::on(server)
            .no_password()
            .through(&["setsid"])
            .limit(Duration::from_secs(20))
            .args(["-c", "noop"])
            .run();
        run.fails(6)
            .complains("terminal")
            .complains("--password-file");
    }
}

#[test]
fn a_trace_shows_the_login_without_the_password() {
    for server in [cyrus(), dovecot()] {
        for mechanism in ["PLAIN", "LOGIN", "CRAM-MD5", "LOGIN command"] {
            let run = Imapadm::on(server);
            let trace = run.home().join("trace");
            let run = run
                .args(["--notls", "--auth", mechanism, "-c", "noop", "--trace"])
                .arg(&trace);
            let mut ended = run.run().ok();
            ended.stderr = std::fs::read_to_string(&trace).expect("the trace");
            let ended = discreet(ended, &server.password);
            let verb = match mechanism {
                "LOGIN command" => "LOGIN",
                _ => "AUTHENTICATE",
            };
            ended.complains(verb).complains("NOOP");
        }
    }
}

/// Users and passwords with what quoting, base64 and UTF-8 could trip over.
const ODD: [(&str, &str); 6] = [
    ("user with spaces", "pass word with spaces"),
    ("quo\"ted", "\"quotes\" and \\back\\slashes\\"),
    (
        "zo\u{eb}@b\u{fc}ro.example",
        "p\u{e4}ssw\u{f6}rd-\u{5317}\u{4eac}",
    ),
    ("percent%s{3}", "{5}literal+ (list) *%"),
    ("-dash", "-starts-with-a-dash"),
    ("tab\there", " leading and trailing "),
];

#[test]
fn odd_credentials_arrive_as_they_are_in_a_mechanism() {
    for (user, password) in ODD {
        let server = takes(&[], "AUTH=PLAIN SASL-IR");
        let run = Imapadm::bare();
        let file = run.file("password", format!("{password}\n"));
        let run = run
            .arg(format!("--user={user}"))
            .arg("--password-file")
            .arg(file)
            .args(["--notls", "-c", "session"])
            .arg(format!("localhost:{}", server.port));
        discreet(run.run(), password).ok();
        let lines = login_lines(&server, 1);
        let initial = lines[0].strip_prefix("AUTHENTICATE PLAIN ").expect("it");
        assert_eq!(decoded(initial), format!("\0{user}\0{password}"));
    }
}

#[test]
fn odd_credentials_arrive_as_they_are_in_the_login_command() {
    for (user, password) in ODD {
        for capabilities in ["IMAP4rev1", "IMAP4rev1 LITERAL+", "IMAP4rev1 LITERAL-"] {
            let server = Faulty::script(move |conn| {
                conn.send(format!("* OK [CAPABILITY {capabilities}] hi\r\n"));
                let bytes = conn.expect_whole_command();
                let command = Command::read(&bytes).expect("a command");
                assert!(command.is("LOGIN"), "{command:?}");
                let mut read = command.arguments;
                for expected in [user, password] {
                    read.space().expect("a space");
                    // Before IMAP4rev2, only a literal may hold such.
                    assert!(expected.is_ascii() || read.peek() == Some(b'{'));
                    let word = read.astring("a word").expect("a word");
                    assert_eq!(*word, *expected.as_bytes());
                }
                read.end().expect("no more");
                conn.send(format!("{} OK in\r\n", command.tag));
                conn.answer(done);
            });
            let run = Imapadm::bare();
            let file = run.file("password", password);
            let run = run
                .arg(format!("--user={user}"))
                .arg("--password-file")
                .arg(file)
                .args(["--notls", "-c", "noop"])
                .arg(format!("localhost:{}", server.port));
            discreet(run.run(), password).ok();
        }
    }
}

#[test]
fn a_preauth_greeting_needs_no_login() {
    let server = Faulty::script(|conn| {
        conn.send("* PREAUTH [CAPABILITY IMAP4rev1 ACL AUTH=PLAIN] you are in\r\n");
        conn.answer(done);
    });
    // No password is at hand, and none is asked for.
    Imapadm::on_port(server.port)
        .no_password()
        .args(["-c", "createmailbox a"])
        .run()
        .ok()
        .says("a\tcreated");
    let received = server.received();
    assert!(received[0].ends_with("CREATE a"), "{received:?}");
}

#[test]
fn a_server_that_turns_one_away_is_quoted() {
    let server = Faulty::script(|conn| conn.send("* BYE too many \x1b[31mconnections\r\n"));
    Imapadm::on_port(server.port)
        .args(["-c", "noop"])
        .run()
        .fails(4)
        .complains("too many")
        .complains("connections")
        .never_says("\x1b");
}

#[test]
fn banner_lines_before_the_greeting_do_no_harm() {
    let server = Faulty::script(|conn| {
        conn.send("Welcome to this machine!\r\n\r\n* not a greeting\r\nUse it wisely.\n");
        conn.let_in("");
        conn.answer(done);
    });
    Imapadm::on_port(server.port)
        .args(["-c", "createmailbox a"])
        .run()
        .ok()
        .says("a\tcreated");
}

#[test]
fn what_is_no_imap_server_is_named() {
    for (greeting, name) in [
        ("HTTP/1.1 400 Bad Request\r\n\r\n", "web server"),
        ("220 mail.example.org ESMTP Postfix\r\n", "SMTP"),
        ("+OK POP3 ready\r\n", "POP3"),
        ("SSH-2.0-OpenSSH_9.2\r\n", "SSH"),
    ] {
        let server = Faulty::script(move |conn| {
            conn.send(greeting);
            conn.stall(Duration::from_secs(30));
        });
        let run = Imapadm::on_port(server.port)
            .args(["-c", "noop"])
            .limit(Duration::from_secs(20))
            .run()
            .fails(4)
            .complains(name);
        discreet(run, PASSWORD);
        assert_eq!(server.received().len(), 0);
    }
}

#[test]
fn a_refused_login_shows_the_servers_words_and_code_safely() {
    let server = Faulty::script(|conn| {
        conn.send("* OK [CAPABILITY IMAP4rev1] hi\r\n");
        conn.answer(|tag, _| format!("{tag} NO [EXPIRED] your password\x1b[2J is old\r\n"));
    });
    let run = Imapadm::on_port(server.port).args(["-c", "noop"]).run();
    discreet(run, PASSWORD)
        .fails(6)
        .complains("is old")
        .never_says("\x1b");
}
