//! The shell's commands that change who one is, and how: connect, starttls, authenticate, unauthenticate.

use std::time::Duration;

use super::support::certs::{self, Authority, Identity, named};
use super::support::faulty::Faulty;
use super::support::run::{Imapadm, Run};
use super::support::servers::{Kind, Server, cyrus, dovecot};

/// Unconnected, with the password of everybody and the authority.
fn unconnected(server: &Server) -> Imapadm {
    let run = Imapadm::bare();
    let password = run.file("password", format!("{}\n", server.password));
    run.arg("--password-file")
        .arg(password)
        .arg("--cafile")
        .arg(&server.ca)
}

/// The values of an item in all the `session` rows of a script, one after the other.
fn items<'a>(run: &'a Run, item: &str) -> Vec<&'a str> {
    let rows = run.stdout.lines();
    rows.filter_map(|line| line.strip_prefix(item)?.strip_prefix('\t'))
        .collect()
}

/// With a password that is everybody's, as it is nobody's in particular.
fn everybody(server: &Server) -> Imapadm {
    let run = Imapadm::on(server).no_password();
    run.file(
        ".netrc",
        format!("machine localhost password {}\n", server.password),
    );
    run
}

#[test]
fn step_by_step_from_a_connection_to_a_login() {
    for server in [cyrus(), dovecot()] {
        let script = format!(
            "connect --noauthenticate --notls localhost {}\nsession\nstarttls\nsession\nauthenticate {}\nsession\nlist\n",
            server.imap, server.admin
        );
        let run = unconnected(server).stdin(script).run().ok();
        assert_eq!(run.stderr, "", "{run}");
        let (tls, users) = (items(&run, "tls"), items(&run, "user"));
        assert_eq!(tls[0], "none", "{run}");
        assert!(tls[1].starts_with("TLSv1.") && tls[1] == tls[2], "{run}");
        assert_eq!(users, ["-", "-", &server.admin], "{run}");
    }
}

#[test]
fn starttls_comes_once_and_before_the_login() {
    for server in [cyrus(), dovecot()] {
        let run = Imapadm::on(server).args(["--notls", "-c", "starttls"]);
        run.run().fails(2).complains("before the login");
        let run = Imapadm::on(server).args(["-c", "starttls"]).run();
        run.fails(2).complains("already");
    }
}

#[test]
fn a_starttls_that_fails_is_followed_by_no_password() {
    let authority = Authority::new("Nobody's");
    let strangers = [
        authority.signs(&named(&["localhost"])),
        Identity::self_signed(&named(&["localhost"])),
    ];
    for (config, behind) in [
        (Some(strangers[0].config(None)), ""),
        (Some(strangers[1].config(None)), ""),
        (None, "* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n"),
        (None, "x"),
    ] {
        let server = Faulty::script(move |conn| {
            conn.send("* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN SASL-IR] ready\r\n");
            let (tag, command) = conn.expect_command();
            assert_eq!(command, "STARTTLS");
            conn.send(format!("{tag} OK go on\r\n{behind}"));
            if let Some(config) = &config {
                conn.tls_or_gone(config);
            }
            conn.answer(certs::imap);
        });
        let run = Imapadm::bare();
        let password = run.file("password", "s3cret-Passw0rd\n");
        let script = format!(
            "connect --noauthenticate --notls localhost {}\nstarttls\nauthenticate someone\nnoop\n",
            server.port
        );
        let run = run
            .arg("--password-file")
            .arg(password)
            .args(["--keep-going", "--timeout", "5"])
            .limit(Duration::from_secs(30))
            .stdin(script)
            .run();
        assert_ne!(run.status, Some(0), "{run}");
        let run = run.complains("localhost");
        let received = server.received();
        assert_eq!(received.len(), 1, "{received:?} in\n{run}");
    }
}

#[test]
fn one_becomes_another_user() {
    for server in [cyrus(), dovecot()] {
        let run = everybody(server)
            .args(["--trace", "-"])
            .stdin("session\nauthenticate alice\nsession\nlogin --mechanisms PLAIN bob\nsession\n")
            .run()
            .ok();
        assert_eq!(
            items(&run, "user"),
            [&server.admin, "alice", "bob"],
            "{run}"
        );
        assert_eq!(items(&run, "mechanism")[2], "PLAIN", "{run}");
        for tls in items(&run, "tls") {
            assert!(tls.starts_with("TLSv1."), "as it was: {run}");
        }
        // RFC 8437: where the server can do it, the connection stays.
        assert_eq!(
            run.stderr.contains(" UNAUTHENTICATE\n"),
            server.kind == Kind::Cyrus,
            "{run}"
        );
    }
}

#[test]
fn who_cannot_become_another_is_told() {
    for server in [cyrus(), dovecot()] {
        let run = Imapadm::on(server);
        let wrong = run.file("wrong", "entirely wrong words\n");
        let script = format!(
            "authenticate --password-file {} alice\n",
            wrong.to_str().expect("UTF-8")
        );
        run.stdin(script)
            .run()
            .fails(6)
            .complains("alice")
            .never_says("entirely wrong words");
    }
}

#[test]
fn a_login_can_ask_for_so_much_encryption() {
    for server in [cyrus(), dovecot()] {
        let on = |tls: Option<&str>, options: &str| {
            everybody(server)
                .args(tls)
                .args([
                    "-c",
                    &format!("authenticate {options} alice"),
                    "-c",
                    "session",
                ])
                .run()
        };
        on(None, "--minssf 128 --maxssf 512 --service imap")
            .ok()
            .says("user\talice\n");
        on(None, "--minssf 512").fails(2).complains("512");
        on(Some("--notls"), "--minssf 0").ok().says("user\talice\n");
        on(Some("--notls"), "--minssf 1").fails(2);
        on(None, "--minssf much").fails(2).complains("minssf");
    }
}

#[test]
fn unauthenticate_is_for_servers_that_have_it() {
    everybody(cyrus())
        .stdin("unauthenticate\nsession\nauthenticate alice\nsession\n")
        .run()
        .ok()
        .says("user\t-\n")
        .says("user\talice\n");
    // What needs a login then says so, also where the server offers an extension only after it.
    everybody(cyrus())
        .arg("--keep-going")
        .stdin("unauthenticate\nstatus user.bob\nlistacl user.bob\nsetquota user.bob 1G\n")
        .run()
        .fails(1)
        .complains("refused STATUS: BAD Please login first. Log in with: authenticate USER")
        .complains("GETACL needs a login, and nobody is logged in; log in with: authenticate USER")
        .complains("QUOTA needs a login, and nobody is logged in; log in with: authenticate USER");
    let run = Imapadm::on(dovecot())
        .arg("--keep-going")
        .stdin("unauthenticate\nsession\n")
        .run();
    assert_ne!(run.status, Some(0), "{run}");
    let run = run.complains("UNAUTHENTICATE");
    assert_eq!(items(&run, "user"), [&dovecot().admin], "{run}");
}

#[test]
fn another_users_password_is_not_tried() {
    for server in [cyrus(), dovecot()] {
        // Nobody is there to be asked for the right one.
        Imapadm::on(server)
            .args(["--trace", "-", "-c", "authenticate alice"])
            .through(&["setsid", "--wait"])
            .run()
            .fails(6)
            .complains("no terminal");
        // Nor is whom one acted as carried over to another.
        let run = Imapadm::on(server).args(["-c", "connect --user alice"]);
        run.through(&["setsid", "--wait"]).run().fails(6);
    }
}

#[test]
fn what_fails_in_a_script_leaves_nobody_to_go_on_as() {
    for server in [cyrus(), dovecot()] {
        let run = Imapadm::on(server);
        let wrong = run.file("wrong", "entirely wrong words\n");
        let script = format!(
            "authenticate --password-file {} alice\nsession\nconnect\nsession\n",
            wrong.display()
        );
        let run = run.arg("--keep-going").stdin(script).run().fails(1);
        assert_eq!(items(&run, "user"), [&server.admin], "{run}");
        run.complains("line 2: session: not connected");
    }
}

#[test]
fn a_connection_that_fails_leaves_none_to_a_script() {
    for server in [cyrus(), dovecot()] {
        let script = format!(
            "connect localhost:1\nsession\nconnect localhost {}\nsession\nconnect --tls localhost {0}\nsession\n",
            server.imap
        );
        let run = Imapadm::on(server).arg("--keep-going").stdin(script).run();
        // What comes behind it was meant for another server.
        let run = run.fails(1).complains("lines 1, 2, 5, 6");
        assert_eq!(items(&run, "user"), [&server.admin], "{run}");
    }
}

#[test]
fn connect_takes_its_own_options() {
    let (one, other) = (cyrus(), dovecot());
    // The first server's authority is not the second's, which has its own in the command.
    let script = format!(
        "session\nserver --cafile {} --user alice --auth SCRAM-SHA-1 localhost {}\nsession\n",
        other.ca.display(),
        other.imap
    );
    let run = everybody(one).stdin(script).run().ok();
    assert_eq!(items(&run, "user"), [&one.admin, "alice"], "{run}");
    assert_eq!(items(&run, "mechanism")[1], "SCRAM-SHA-1", "{run}");
    let script = format!("connect localhost {}\n", other.imap);
    Imapadm::on(one).stdin(script).run().fails(5);
    let script = format!(
        "connect --tlskey {} --cert {} --user alice localhost {}\nsession\n",
        one.client_key.display(),
        one.client_cert.display(),
        one.imap
    );
    let run = Imapadm::on(one).stdin(script).run().ok();
    assert_eq!(items(&run, "mechanism"), ["EXTERNAL"], "{run}");
}
