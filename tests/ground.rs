//! Tests of the ground itself: when one of these fails, do not look for the mistake in the program.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::support::faulty::Faulty;
use super::support::pty::Terminal;
use super::support::raw::{Raw, message};
use super::support::run::Imapadm;
use super::support::servers::{Kind, Server, cyrus, dovecot, unique};

#[test]
fn both_servers_let_the_admin_in_and_offer_starttls() {
    for server in [cyrus(), dovecot()] {
        let mut raw = Raw::connect(server);
        assert!(raw.greeting.contains("STARTTLS"), "{}", raw.greeting);
        let login = format!("LOGIN {} wrong", server.admin);
        assert_eq!(raw.command(&login).status, "NO");
        raw.ok(&format!("LOGIN {} {}", server.admin, server.password));
        raw.ok("LOGOUT");
    }
}

#[test]
fn a_certificate_is_a_login() {
    for server in [cyrus(), dovecot()] {
        let mut raw = Raw::connect_tls(server, true);
        assert!(raw.greeting.contains("AUTH=EXTERNAL"), "{}", raw.greeting);
        let bob = format!("AUTHENTICATE EXTERNAL {}", BASE64.encode("bob"));
        assert_eq!(raw.command(&bob).status, "NO", "{:?}", server.kind);
        raw.ok("AUTHENTICATE EXTERNAL =");
        raw.ok("LIST \"\" INBOX");
        assert_eq!(
            Raw::connect_tls(server, false)
                .command("AUTHENTICATE EXTERNAL =")
                .status,
            "NO"
        );
    }
    // Dovecot takes the certificate for who one is, whatever one says.
    let mut raw = Raw::connect_tls(dovecot(), true);
    raw.ok(&format!("LOGIN bob {}", dovecot().password));
    raw.ok("CREATE alices-by-certificate");
    let mut alice = Raw::login(dovecot(), "alice");
    alice.ok("DELETE alices-by-certificate");
}

#[test]
fn nobody_in_particular_is_let_in_too() {
    for server in [cyrus(), dovecot()] {
        let mut raw = Raw::connect(server);
        raw.ok(&format!(
            "AUTHENTICATE ANONYMOUS {}",
            BASE64.encode("me@here")
        ));
        raw.ok("NOOP");
    }
}

#[test]
fn dovecot_takes_a_token_until_it_expires() {
    let server = dovecot();
    let token = server.token.as_ref().expect("a token");
    let expired = server.expired_token.as_ref().expect("an old token");
    let bearer = |token: &str| BASE64.encode(format!("n,a=alice,\x01auth=Bearer {token}\x01\x01"));
    let google = |token: &str| BASE64.encode(format!("user=alice\x01auth=Bearer {token}\x01\x01"));
    for (mechanism, good, bad) in [
        ("OAUTHBEARER", bearer(token), bearer(expired)),
        ("XOAUTH2", google(token), google(expired)),
    ] {
        let mut raw = Raw::connect(server);
        raw.send(format!("x AUTHENTICATE {mechanism} {bad}\r\n").as_bytes());
        // It says why, and wants to hear that this was heard (RFC 7628 section 3.2.3).
        let why = raw.line();
        let why = BASE64.decode(why.strip_prefix("+ ").expect("a challenge"));
        let why = String::from_utf8(why.expect("base64")).expect("UTF-8");
        assert!(why.contains("\"status\""), "{why}");
        raw.send(b"AQ==\r\n");
        assert!(raw.line().starts_with("x NO"));
        raw.ok(&format!("AUTHENTICATE {mechanism} {good}"));
        raw.ok("LIST \"\" INBOX");
    }
}

#[test]
fn a_wrong_password_costs_little_time() {
    for server in [cyrus(), dovecot()] {
        let mut raw = Raw::connect(server);
        let started = Instant::now();
        raw.command("LOGIN nobody-of-this-name wrong");
        assert!(
            started.elapsed() < Duration::from_millis(1500),
            "{:?}",
            server.kind
        );
    }
}

#[test]
fn cyrus_answers_on_its_unix_socket() {
    let server = cyrus();
    let mut raw = Raw::connect_socket(server.socket.as_deref().expect("Cyrus has one"));
    raw.ok(&format!("LOGIN {} {}", server.admin, server.password));
}

#[test]
fn the_certificates_are_good() {
    for server in [cyrus(), dovecot()] {
        for (port, starttls) in [(server.imaps, false), (server.imap, true)] {
            let mut openssl = Command::new("openssl");
            openssl
                .args(["s_client", "-verify_return_error", "-verify_hostname"])
                .args(["localhost", "-connect", &format!("127.0.0.1:{port}")])
                .arg("-CAfile")
                .arg(&server.ca)
                .arg("-cert")
                .arg(&server.client_cert)
                .arg("-key")
                .arg(&server.client_key);
            if starttls {
                openssl.args(["-starttls", "imap"]);
            }
            let output = openssl.stdin(Stdio::null()).output().expect("openssl runs");
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(
                text.contains("Verify return code: 0 (ok)"),
                "{:?} {port}: {text}\n{}",
                server.kind,
                String::from_utf8_lossy(&output.stderr)
            );
        }
    }
}

#[test]
fn cyrus_has_two_partitions_and_moves_users() {
    let server = cyrus();
    let (user, moved) = (server.user(), unique("moved"));
    let mut admin = Raw::admin(server);
    admin.ok(&format!("CREATE user.{user} fast"));
    let mut owner = Raw::login(server, &user);
    owner.append("INBOX", &message("one"));
    let status = owner.command("STATUS INBOX (MESSAGES)");
    assert_eq!(status.named("STATUS"), ["INBOX (MESSAGES 1)"]);
    drop(owner);
    let other = unique("t");
    admin.ok(&format!("CREATE user.{other}"));
    admin.ok(&format!("RENAME user.{other} user.{moved}"));
    let listed = admin.command(&format!("LIST \"\" user.{moved}"));
    assert_eq!(listed.named("LIST").len(), 1, "{listed:?}");
}

#[test]
fn dovecot_shares_mailboxes_and_stores_quotas_and_metadata() {
    let server = dovecot();
    let (owner, friend, plain) = (server.user(), server.user(), server.plain_user());
    let mut raw = Raw::login(server, &owner);
    raw.ok("CREATE given");
    raw.ok(&format!("SETACL given {friend} lr"));
    raw.ok("SETMETADATA given (/shared/comment \"two\")");
    let read = raw.command("GETMETADATA given /shared/comment");
    // A literal, with the rest of the line after it.
    assert_eq!(
        read.named("METADATA"),
        ["given (/shared/comment {3}\r\ntwo)"]
    );
    raw.ok("SETQUOTA \"User quota\" (STORAGE 100 MESSAGE 5)");

    // A session has the limits that it found at its start.
    let mut raw = Raw::login(server, &owner);
    let quota = raw.command("GETQUOTAROOT INBOX");
    assert_eq!(
        quota.named("QUOTA"),
        ["\"User quota\" (STORAGE 0 100 MESSAGE 0 5)"]
    );

    let shared = format!("shared/{owner}/given");
    let mut raw = Raw::login(server, &friend);
    assert!(
        raw.ok("LIST \"\" *")
            .iter()
            .any(|line| line.ends_with(&shared))
    );
    let mut raw = Raw::admin(server);
    assert!(
        raw.ok("LIST \"\" shared/*")
            .iter()
            .any(|line| line.ends_with(&shared))
    );
    let mut raw = Raw::login(server, &plain);
    assert_eq!(
        raw.command("SETQUOTA \"User quota\" (STORAGE 100)").status,
        "NO"
    );
    // The master user is let in as another, with that one's rights.
    let mut raw = Raw::login(server, &format!("{owner}*master"));
    let rights = raw.command("MYRIGHTS given");
    assert_eq!(rights.named("MYRIGHTS"), ["given lrwstipekxacd"]);
}

#[test]
fn a_server_of_ones_own_has_its_settings_and_leaves_nothing() {
    let own = Server::start_cyrus(&["--set", "unixhierarchysep: yes"]);
    assert_eq!(own.kind, Kind::Cyrus);
    let mut raw = Raw::admin(&own);
    assert!(raw.ok("NAMESPACE")[0].contains("user/"));
    let (folder, port) = (own.folder.clone(), own.imap);
    assert!(folder.is_dir());
    // With the connection open, too.
    drop(own);
    assert_gone(&folder, port);

    let own = Server::start_dovecot(&["--separator", ".", "--layout", "fs"]);
    let mut raw = Raw::login(&own, "alice");
    assert!(raw.ok("NAMESPACE")[0].contains("(\"shared.\" \".\")"));
    let (folder, port) = (own.folder.clone(), own.imap);
    drop(own);
    assert_gone(&folder, port);
}

#[test]
fn a_killed_script_leaves_nothing_either() {
    for script in ["cyrus", "dovecot"] {
        let mut child = Command::new(
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/servers/{script}")),
        )
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the script starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped"))
            .read_line(&mut line)
            .expect("its line");
        let told: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        let folder = told["folder"].as_str().expect("a folder").to_owned();
        let port = told["imap"].as_u64().and_then(|port| port.try_into().ok());
        // SIGKILL, of which the script hears nothing. Nobody is left to wait for, so it takes a moment.
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
        let deadline = Instant::now() + Duration::from_secs(20);
        while Path::new(&folder).exists() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_gone(Path::new(&folder), port.expect("a port"));
    }
}

#[track_caller]
fn assert_gone(folder: &Path, port: u16) {
    assert!(!folder.exists(), "{} stayed", folder.display());
    assert!(
        TcpStream::connect(("127.0.0.1", port)).is_err(),
        "something still listens on {port}"
    );
}

#[test]
fn dovecot_can_refuse_plain_passwords() {
    // On 127.0.0.1 it takes every local connection for a secure one.
    let own = Server::start_dovecot(&[
        "--listen",
        "127.0.0.2",
        "--set",
        "disable_plaintext_auth: yes",
    ]);
    let mut raw = Raw::connect(&own);
    assert!(raw.greeting.contains("LOGINDISABLED"), "{}", raw.greeting);
    let answer = raw.command(&format!("LOGIN alice {}", own.password));
    assert_eq!(answer.status, "NO", "{answer:?}");
}

#[test]
fn users_and_names_are_handed_out_once() {
    let server = dovecot();
    assert_ne!(server.user(), server.user());
    assert_ne!(server.plain_user(), server.user());
    assert_ne!(unique("x"), unique("x"));
}

#[test]
fn a_run_sees_its_own_home_and_nothing_of_ours() {
    let run = Imapadm::on(cyrus())
        .user("alice")
        .arg("--format")
        .arg("json");
    let args = run.arguments();
    assert_eq!(args.last(), Some(&OsString::from("localhost")));
    assert!(args.contains(&OsString::from("--password-file")));
    let environment = run.environment();
    let home = environment.iter().find(|(name, _)| name == "HOME");
    assert_eq!(home.expect("a home").1, run.home().as_os_str());
    assert!(
        environment
            .iter()
            .all(|(name, _)| name != "IMAPADM_PASSWORD")
    );
    let home = run.home().to_owned();
    drop(run);
    assert!(!home.exists());
}

#[test]
fn the_terminal_shows_what_a_program_draws() {
    let none: [&str; 0] = [];
    let path = std::env::var_os("PATH").expect("a PATH");
    let mut terminal = Terminal::start(
        Path::new("/bin/cat"),
        &none,
        &[("PATH".into(), path)],
        (10, 40),
    );
    terminal.type_("h\u{e9}llo\r");
    // Once as typed, once as cat says it.
    terminal.wait_until("two lines", Duration::from_secs(10), |screen| {
        screen.matches("h\u{e9}llo").count() == 2
    });
    terminal.resize(5, 20);
    terminal.type_("\x04");
    assert_eq!(terminal.exit_status(Duration::from_secs(10)).exit_code(), 0);
}

#[test]
fn the_faulty_server_follows_its_script() {
    let faulty = Faulty::script(|conn| {
        conn.send(format!("* OK connection {}\r\n", conn.number));
        conn.answer(|tag, command| match command {
            "NOOP" => format!("{tag} OK done\r\n"),
            _ => format!("{tag} BAD {command}?\r\n"),
        });
    });
    for number in 0..2 {
        let mut socket = TcpStream::connect(("127.0.0.1", faulty.port)).expect("it listens");
        socket.write_all(b"a NOOP\r\n").expect("it reads");
        let mut lines = BufReader::new(&socket).lines();
        let greeting = lines.next().expect("a line").expect("in time");
        assert_eq!(greeting, format!("* OK connection {number}"));
        assert_eq!(lines.next().expect("a line").expect("in time"), "a OK done");
    }
    assert_eq!(faulty.received(), ["a NOOP", "a NOOP"]);
    assert_eq!(faulty.connections(), 2);

    // A script that stalls does not outlive its server.
    let stalling = Faulty::script(|conn| conn.stall(Duration::from_secs(3600)));
    let mut socket = TcpStream::connect(("127.0.0.1", stalling.port)).expect("it listens");
    let started = Instant::now();
    drop(stalling);
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(socket.read(&mut [0; 10]).expect("closed, not reset"), 0);
}
