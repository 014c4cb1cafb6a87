//! How a server is named, how TLS is settled, and what a server that is silent, slow or absent comes to.

use std::net::TcpListener;
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use super::support::faulty::Faulty;
use super::support::run::{Imapadm, Run};
use super::support::servers::{Server, cyrus, dovecot};

/// A run that names its server itself; the user, the password and the authority are given.
fn named(server: &Server, words: &[&str]) -> Imapadm {
    let run = Imapadm::bare();
    let password = run.file("password", format!("{}\n", server.password));
    run.arg("--password-file")
        .arg(password)
        .arg("--cafile")
        .arg(&server.ca)
        .args(["-c", "session"])
        .args(words)
}

/// A port of 127.0.0.1 on which nothing listens.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}

/// A server that nobody must connect to.
fn unwanted() -> Faulty {
    Faulty::script(|conn| conn.send("* BYE nobody was to come here\r\n"))
}

/// Started where /etc/hosts says this and nothing else.
fn with_hosts(run: Imapadm, hosts: &str) -> Imapadm {
    let file = run.file("hosts", hosts);
    let root = std::fs::metadata("/proc/self").expect("a process").uid() == 0;
    let as_root = if root { "--mount" } else { "--map-root-user" };
    run.through(&[
        "unshare",
        "--mount",
        as_root,
        "sh",
        "-c",
        "mount --bind \"$0\" /etc/hosts && exec \"$@\"",
        file.to_str().expect("a path"),
    ])
}

#[track_caller]
fn in_tls(run: Run) -> Run {
    run.ok().says("tls\tTLSv1.")
}

#[test]
fn every_way_to_name_a_server_leads_to_it() {
    for server in [cyrus(), dovecot()] {
        let (imap, imaps, admin) = (server.imap, server.imaps, &server.admin);
        let plain = imap.to_string();
        let forms: [&[&str]; 5] = [
            &[&format!("localhost:{imap}")],
            &["localhost", &plain],
            &["--port", &plain, "localhost"],
            &["-p", &plain, "LocalHost"],
            &[&format!("127.0.0.1:{imap}"), "--port", &plain],
        ];
        for form in forms {
            in_tls(named(server, form).args(["-u", admin]).run()).says(&format!("user\t{admin}"));
        }
        for url in [
            format!("imap://{admin}@localhost:{imap}"),
            format!("imaps://{admin}@localhost:{imaps}"),
            format!("IMAP://{admin}@127.0.0.1:{imap}/"),
        ] {
            in_tls(named(server, &[&url]).run()).says(&format!("user\t{admin}"));
        }
    }
}

#[test]
fn the_path_of_a_unix_socket_is_a_server() {
    let server = cyrus();
    let path = server.socket.as_ref().expect("Cyrus has one");
    let path = path.to_str().expect("UTF-8");
    named(server, &[path, "-u", &server.admin])
        .run()
        .ok()
        .says("tls\tnone")
        .says(&format!("peer\t{path}"));
    named(server, &["/nonexistent/imap.sock", "-u", "x"])
        .run()
        .fails(4)
        .complains("/nonexistent/imap.sock");
}

#[test]
fn what_cannot_name_a_server_is_misuse_and_nothing_is_tried() {
    let server = unwanted();
    let port = server.port.to_string();
    let here = format!("127.0.0.1:{port}");
    let cases: [&[&str]; 21] = [
        &["--port", "1", &here],
        &[&here, "2"],
        &["localhost", "0"],
        &["localhost", "65536"],
        &["localhost", "+143"],
        &["localhost", "smtp"],
        &["localhost:abc"],
        &["localhost:"],
        &["--port", &port, "localhost", &port],
        &["--port", &port],
        &["http://localhost"],
        &["imap://localhost/INBOX"],
        &["someone@localhost"],
        &[""],
        &["local host"],
        &["[::1"],
        &["[localhost]:143"],
        &["a:b:c"],
        &["/tmp/imap.sock", "143"],
        &["--tls", "--notls", &here],
        &["--timeout", "0", &here],
    ];
    for case in cases {
        let run = Imapadm::bare().args(["-c", "noop"]).args(case).run();
        let run = run.fails(2);
        assert!(!run.stderr.is_empty() && run.stdout.is_empty(), "{run}");
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_bad_port_is_named_and_two_ports_are_both() {
    Imapadm::bare()
        .args(["-c", "noop", "localhost", "smtp"])
        .run()
        .fails(2)
        .complains("invalid port \"smtp\"");
    Imapadm::bare()
        .args(["-c", "noop", "--port", "1143", "localhost:2143"])
        .run()
        .fails(2)
        .complains("1143")
        .complains("2143");
}

#[test]
fn a_password_in_an_address_is_refused_and_not_repeated() {
    for url in [
        "imap://bob:hunter2hunter2@localhost",
        "imaps://bob:hunter2hunter2@localhost:1/",
        "imap://bob;AUTH=PLAIN:hunter2hunter2@localhost",
        "bob:hunter2hunter2@localhost",
        "imap://bob:hunter2hunter2@local host",
    ] {
        Imapadm::bare()
            .args(["-c", "noop", url])
            .run()
            .fails(2)
            .never_says("hunter2");
        // The same in a command.
        Imapadm::bare()
            .stdin(format!("connect '{url}'\n"))
            .run()
            .fails(2)
            .never_says("hunter2");
    }
}

#[test]
fn port_words_are_ports() {
    // Nothing is asked of whoever may listen there: the name of the port is all that is looked at.
    for (words, port) in [
        (["localhost", "imap"], 143),
        (["localhost", "imaps"], 993),
        (["localhost", "IMAPS"], 993),
    ] {
        let run = with_hosts(
            Imapadm::bare().args(["-c", "noop", "-u", "x"]).args(words),
            "127.0.0.9 localhost\n",
        )
        .run()
        .fails(4);
        assert!(run.stderr.contains(&format!("127.0.0.9:{port}")), "{run}");
    }
    let run = with_hosts(
        Imapadm::bare().args(["-c", "noop", "--tls", "localhost"]),
        "127.0.0.9 localhost\n",
    );
    run.run().fails(4).complains("127.0.0.9:993");
}

#[test]
fn nothing_listening_is_no_connection() {
    let port = free_port();
    for host in ["127.0.0.1", "[::1]"] {
        let server = format!("{host}:{port}");
        Imapadm::bare()
            .args(["-c", "noop", "-u", "x", &server])
            .run()
            .fails(4)
            .complains(&server)
            .complains("refused");
    }
    Imapadm::bare()
        .args(["-c", "noop", "-u", "x", "[::1]"])
        .run()
        .fails(4)
        .complains("[::1]:143");
}

#[test]
fn a_host_that_nobody_knows_is_no_connection() {
    Imapadm::bare()
        .args(["-c", "noop", "-u", "x", "--timeout", "10"])
        .arg("no-such-host.invalid")
        .run()
        .fails(4)
        .complains("no-such-host.invalid");
}

#[test]
fn the_addresses_of_a_name_are_tried_in_turn() {
    let hosts = "::1 several.example.org\n127.0.0.1 several.example.org\n";
    let server = Faulty::script(|conn| {
        conn.let_in("");
        let separator = "* LIST (\\Noselect) \"/\" \"\"";
        conn.answer(|tag, _| format!("{separator}\r\n{tag} OK done\r\n"));
    });
    let run = Imapadm::bare();
    let password = run.file("password", "x\n");
    let at = format!("several.example.org:{}", server.port);
    let run = run
        .arg("--password-file")
        .arg(password)
        .args(["--notls", "-u", "x", "-c", "session", &at]);
    with_hosts(run, hosts)
        .run()
        .ok()
        .says(&format!("peer\t127.0.0.1:{}", server.port));

    let at = format!("several.example.org:{}", free_port());
    let run = Imapadm::bare().args(["-u", "x", "-c", "session", &at]);
    with_hosts(run, hosts)
        .run()
        .fails(4)
        .complains("127.0.0.1:")
        .complains("[::1]:");
}

#[test]
fn starttls_is_used_wherever_it_is_offered() {
    for server in [cyrus(), dovecot()] {
        in_tls(Imapadm::on(server).args(["-c", "session"]).run());
    }
}

#[test]
fn tls_from_the_start_in_every_way_to_ask_for_it() {
    for server in [cyrus(), dovecot()] {
        let run = Imapadm::on(server).port(server.imaps);
        in_tls(run.args(["--tls", "-c", "session"]).run());
        let url = format!("imaps://localhost:{}", server.imaps);
        in_tls(named(server, &[&url, "-u", &server.admin]).run());
    }
}

#[test]
fn without_tls_when_that_is_wanted() {
    for server in [cyrus(), dovecot()] {
        let run = Imapadm::on(server).args(["--notls", "-c", "session"]).run();
        run.ok().says("tls\tnone");
    }
}

#[test]
fn the_connect_command_takes_the_same_servers() {
    for server in [cyrus(), dovecot()] {
        let run = Imapadm::bare();
        let password = run.file("password", &server.password);
        // One of the command line would be for the first port alone.
        let password = format!("--password-file '{}'", password.display());
        let script = format!(
            "connect --tls {password} --user {admin} localhost {imaps}\ndisconnect\n\
             connect {password} imap://{admin}@localhost:{imap}\n\
             session\nconnect --notls {password} -u {admin} localhost:{imap}\n",
            admin = server.admin,
            imap = server.imap,
            imaps = server.imaps
        );
        let run = run.arg("--cafile").arg(&server.ca);
        let run = run.stdin(script).run().ok();
        let connected: Vec<_> = run
            .stdout
            .lines()
            .filter(|line| line.ends_with("\tconnected"))
            .collect();
        assert_eq!(connected.len(), 3, "{run}");
        assert!(connected[0].contains("TLSv1.") && connected[1].contains("TLSv1."));
        assert!(connected[2].contains("none"), "{run}");
    }
}

#[test]
fn an_authority_that_is_not_known_ends_it_with_advice() {
    for server in [cyrus(), dovecot()] {
        for (port, tls) in [(server.imap, None), (server.imaps, Some("--tls"))] {
            Imapadm::on(server)
                .no_cafile()
                .port(port)
                .args(tls)
                .args(["-c", "session"])
                .run()
                .fails(5)
                .complains("--cafile")
                .never_says(&server.password);
        }
    }
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    for server in [cyrus(), dovecot()] {
        for (port, tls) in [(server.imap, None), (server.imaps, Some("--tls"))] {
            let at = format!("mail.example.org:{port}");
            let run = named(server, &[&at, "-u", "x"]).args(tls);
            with_hosts(run, "127.0.0.1 mail.example.org\n")
                .run()
                .fails(5)
                .complains("mail.example.org")
                .complains("localhost");
        }
    }
}

#[test]
fn no_verify_takes_any_certificate_and_warns_each_time() {
    for server in [cyrus(), dovecot()] {
        let run = Imapadm::on(server)
            .no_cafile()
            .args(["--no-verify", "-c", "session", "-c", "disconnect"])
            .args(["-c", "connect"])
            .run();
        let run = in_tls(run);
        assert_eq!(run.stderr.matches("warning").count(), 2, "{run}");
        assert!(!run.stdout.contains("warning"), "{run}");
        // Without TLS there was nothing to check.
        let run = Imapadm::on(server)
            .no_cafile()
            .args(["--no-verify", "--notls"]);
        let run = run.args(["-c", "noop"]).run().ok();
        assert_eq!(run.stderr, "", "{run}");
    }
}

#[test]
fn a_folder_of_authorities_is_as_good_as_a_file() {
    for server in [cyrus(), dovecot()] {
        let run = Imapadm::on(server).no_cafile();
        let ca = std::fs::read(&server.ca).expect("the authority");
        let folder = run.file("authorities/ours.pem", ca);
        let folder = folder.parent().expect("a folder").to_owned();
        in_tls(run.arg("--cadir").arg(folder).args(["-c", "session"]).run());
    }
    let run = Imapadm::on(cyrus()).no_cafile();
    let empty = run.home().join("empty");
    std::fs::create_dir(&empty).expect("a folder");
    let run = run.arg("--cadir").arg(&empty).args(["-c", "session"]);
    run.run().fails(5).complains("empty");
}

#[test]
fn files_that_are_no_authorities_are_named_before_anything_is_sent() {
    let server = unwanted();
    let on = || Imapadm::on_tls_port(server.port).args(["-c", "noop"]);
    on().args(["--cafile", "/nonexistent/ca.pem"])
        .run()
        .fails(5)
        .complains("/nonexistent/ca.pem");
    on().args(["--cadir", "/nonexistent/dir"])
        .run()
        .fails(5)
        .complains("/nonexistent/dir");
    for (name, content) in [
        ("empty.pem", &b""[..]),
        ("garbage.pem", b"\x00\xff\x1b[2J not PEM at all\n"),
        ("half.pem", b"-----BEGIN CERTIFICATE-----\nMIIB\n"),
        (
            "wrong.pem",
            b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
        ),
        (
            "base64.pem",
            b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n",
        ),
    ] {
        let run = on();
        let file = run.file(name, content);
        let run = run.arg("--cafile").arg(file).run();
        run.fails(5).complains(name).never_says("\x1b");
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_client_certificate_is_shown_to_a_server_that_wants_one() {
    let own = Server::start_dovecot(&["--set", "auth_ssl_require_client_cert: yes"]);
    let without = Imapadm::on(&own).args(["-c", "session"]).run().fails(6);
    assert!(without.stderr.contains("certificate"), "{without}");
    // Cyrus asks for one and does without.
    for server in [&own, cyrus()] {
        for (port, tls) in [(server.imap, None), (server.imaps, Some("--tls"))] {
            let on = || {
                let run = Imapadm::on(server).port(port).args(tls);
                run.args(["-c", "session"])
            };
            let run = on().arg("--cert").arg(&server.client_cert);
            in_tls(run.arg("--tlskey").arg(&server.client_key).run());
            // Both in one file.
            let mut both = std::fs::read(&server.client_cert).expect("the certificate");
            both.extend(std::fs::read(&server.client_key).expect("the key"));
            let run = on();
            let both = run.file("both.pem", both);
            in_tls(run.arg("--cert").arg(both).run());
        }
    }
}

#[test]
fn a_client_certificate_that_cannot_be_used_is_named() {
    let server = unwanted();
    let ground = cyrus();
    let on = || Imapadm::on_tls_port(server.port).args(["-c", "noop"]);
    on().arg("--cert")
        .arg(&ground.client_cert)
        .run()
        .fails(5)
        .complains("client.pem");
    on().arg("--cert")
        .arg(&ground.ca)
        .arg("--tlskey")
        .arg(&ground.client_key)
        .run()
        .fails(5)
        .complains("client.key");
    on().args(["--cert", "/nonexistent/me.pem"])
        .run()
        .fails(5)
        .complains("/nonexistent/me.pem");
    on().arg("--tlskey")
        .arg(&ground.client_key)
        .run()
        .fails(2)
        .complains("--cert");
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_tls_port_spoken_to_in_cleartext_gets_advice() {
    for server in [cyrus(), dovecot()] {
        Imapadm::on(server)
            .port(server.imaps)
            .args(["--timeout", "1", "-c", "noop"])
            .run()
            .fails(4)
            .complains("--tls");
    }
}

#[test]
fn a_cleartext_port_spoken_to_in_tls_gets_advice() {
    for server in [cyrus(), dovecot()] {
        Imapadm::on(server)
            .args(["--tls", "-c", "noop"])
            .run()
            .fails(5)
            .complains("without --tls");
    }
}

#[test]
fn a_handshake_that_goes_wrong_is_no_tls() {
    for starttls in [true, false] {
        for garbled in [true, false] {
            let server = Faulty::script(move |conn| {
                if starttls {
                    conn.send("* OK [CAPABILITY IMAP4rev1 STARTTLS] hi\r\n");
                    let (tag, command) = conn.expect_command();
                    assert_eq!(command, "STARTTLS");
                    conn.send(format!("{tag} OK go\r\n"));
                }
                if garbled {
                    conn.garble_handshake();
                } else {
                    conn.stall(Duration::from_secs(30));
                }
            });
            Imapadm::on_tls_port(server.port)
                .args((!starttls).then_some("--tls"))
                .args(["--timeout", "1", "-c", "noop"])
                .limit(Duration::from_secs(20))
                .run()
                .fails(5)
                .never_says("s3cret");
        }
    }
}

#[test]
fn a_starttls_that_is_offered_and_then_refused_is_no_tls() {
    for condition in ["NO", "BAD"] {
        let server = Faulty::script(move |conn| {
            conn.send("* OK [CAPABILITY IMAP4rev1 STARTTLS] hi\r\n");
            conn.answer(|tag, command| match command {
                "STARTTLS" => format!("{tag} {condition} not today\r\n"),
                _ => format!("{tag} OK done\r\n"),
            });
        });
        Imapadm::on_tls_port(server.port)
            .args(["-c", "noop"])
            .run()
            .fails(5)
            .complains("not today");
        assert!(
            !server.received().iter().any(|line| line.contains("LOGIN")),
            "{:?}",
            server.received()
        );
    }
}

#[test]
fn a_server_that_says_nothing_is_no_connection_and_soon() {
    let server = Faulty::script(|conn| conn.stall(Duration::from_secs(60)));
    Imapadm::on_port(server.port)
        .args(["--timeout", "0.5", "-c", "noop"])
        .limit(Duration::from_secs(20))
        .run()
        .fails(4)
        .complains("no greeting");
    // Nor does one whose banner never ends in a greeting, however busily it talks.
    let server = Faulty::script(|conn| {
        for _ in 0..100_000 {
            conn.send("welcome to this machine\r\n");
        }
        conn.stall(Duration::from_secs(60));
    });
    Imapadm::on_port(server.port)
        .args(["--timeout", "5", "-c", "noop"])
        .limit(Duration::from_secs(20))
        .run()
        .fails(4)
        .complains("welcome");
}

#[test]
fn silence_in_a_command_tells_whether_it_may_have_been_done() {
    for (command, may_be_done) in [
        ("createmailbox a", true),
        ("deletemailbox a", true),
        ("renamemailbox a b", true),
        ("setacl a bob lr", true),
        // Without --only it would read the limits there are first, and that would be late.
        ("setquota --only r STORAGE 5", true),
        ("subscribe a", true),
        ("listacl a", false),
        ("listmailbox", false),
        ("listquota r", false),
        ("status a", false),
    ] {
        let server = Faulty::script(|conn| {
            conn.let_in("ACL QUOTA");
            conn.expect_line();
            conn.stall(Duration::from_secs(60));
        });
        let run = Imapadm::on_port(server.port)
            .args(["--timeout", "0.3", "-c", command, "-c", "noop"])
            // A change is waited for as long as the connection lives; the limit on the run ends that.
            .args(
                may_be_done
                    .then_some(["--max-time", "0.8"])
                    .into_iter()
                    .flatten(),
            )
            .limit(Duration::from_secs(20))
            .run()
            .fails(7)
            .complains(command);
        let unknown = run.stderr.contains("unknown whether");
        assert_eq!(unknown, may_be_done, "{command}: {run}");
        assert_eq!(server.received().len(), 2, "{:?}", server.received());
    }
}

#[test]
fn a_reply_that_drips_is_not_late_as_long_as_it_drips() {
    let server = Faulty::script(|conn| {
        let pause = Duration::from_millis(20);
        conn.let_in("");
        let (tag, _) = conn.expect_command();
        // 100 bytes and more, 20 ms each: several times the limit.
        conn.send_slowly("* LIST (\\HasNoChildren) \"/\" ", pause);
        conn.send_slowly("a-name-that-comes-letter-by-letter-", pause);
        conn.send_slowly(format!("and-is-long\r\n{tag} OK at last\r\n"), pause);
    });
    let run = Imapadm::on_port(server.port)
        .args(["--timeout", "0.7", "-c", "list"])
        .run()
        .ok()
        .says("a-name-that-comes-letter-by-letter-and-is-long\t");
    assert!(run.took > Duration::from_millis(1400), "{run}");
}
