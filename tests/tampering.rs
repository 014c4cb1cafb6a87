//! Somebody stands between the program and its server, and changes what the server says before TLS begins.
//!
//! Whatever he does, nothing may reach him that he could use, and nothing that he said may count inside of TLS.

use std::sync::Arc;
use std::time::Duration;

use super::support::certs::{self, Authority, Form, named, trusting};
use super::support::faulty::Faulty;
use super::support::run::{Imapadm, Run};

/// What [`Imapadm::on_tls_port`] logs in with.
const PASSWORD: &str = "s3cret-Passw0rd";

/// With TLS as it is without any option: by STARTTLS, or not at all.
fn on(server: &Faulty) -> Imapadm {
    Imapadm::on_tls_port(server.port)
        .args(["--timeout", "5", "-c", "list", "-c", "session"])
        .limit(Duration::from_secs(30))
}

/// No TLS and therefore nothing else: the status, the words, and no command sent but those that come before.
#[track_caller]
fn refused(server: &Faulty, run: Run, words: &[&str]) {
    let mut run = run.fails(5).never_says(PASSWORD);
    for word in words {
        run = run.complains(word);
    }
    assert!(run.stdout.is_empty(), "{run}");
    let received = server.received();
    for line in &received {
        let command = line.split_once(' ').map_or(line.as_str(), |(_, rest)| rest);
        assert!(
            ["CAPABILITY", "STARTTLS", "LOGOUT"].contains(&command),
            "{command:?} in {received:?}"
        );
    }
}

#[test]
fn a_server_without_starttls_gets_no_password() {
    for (greeting, capabilities) in [
        ("[CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] ", ""),
        ("[CAPABILITY IMAP4rev1] ", ""),
        ("[CAPABILITY IMAP4rev1 LOGINDISABLED] ", ""),
        ("", "IMAP4rev1 AUTH=PLAIN AUTH=CRAM-MD5 SASL-IR"),
        ("", "IMAP4rev1"),
        // Near is not enough.
        ("[CAPABILITY IMAP4rev1 XSTARTTLS STARTTLS2] ", ""),
    ] {
        let server = Faulty::script(move |conn| {
            conn.send(format!("* OK {greeting}ready\r\n"));
            conn.answer(|tag, command| match command {
                "CAPABILITY" => format!("* CAPABILITY {capabilities}\r\n{tag} OK done\r\n"),
                _ => certs::imap(tag, command),
            });
        });
        refused(&server, on(&server).run(), &["STARTTLS", "--tls"]);
        // A password may go in cleartext: that TLS may be left out was not said.
        let run = on(&server).arg("--allow-cleartext").run();
        refused(&server, run, &["STARTTLS"]);
        if !greeting.contains("LOGINDISABLED") {
            let run = Imapadm::on_port(server.port).args(["-c", "session"]).run();
            run.ok().says("tls\tnone");
        }
    }
}

#[test]
fn a_starttls_that_is_refused_ends_it() {
    for condition in ["NO", "BAD"] {
        let server = Faulty::script(move |conn| {
            conn.send("* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN] ready\r\n");
            conn.answer(|tag, command| match command {
                "STARTTLS" => format!("{tag} {condition} not \x1b[31mtoday\r\n"),
                _ => certs::imap(tag, command),
            });
        });
        let run = on(&server).run().never_says("\x1b");
        refused(&server, run, &["STARTTLS", "today"]);
    }
}

#[test]
fn a_response_behind_the_ok_to_starttls_ends_it() {
    let authority = Authority::new("CA");
    let config = authority.signs(&named(&["localhost"])).config(None);
    for injected in [
        "* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n",
        "a2 OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] fine\r\n",
        "* PREAUTH welcome\r\n",
        "* BYE\r\n",
        "x",
        "\r\n",
    ] {
        let config = Arc::clone(&config);
        let server = Faulty::script(move |conn| {
            conn.send("* OK [CAPABILITY IMAP4rev1 STARTTLS] hi\r\n");
            let (tag, command) = conn.expect_command();
            assert_eq!(command, "STARTTLS");
            // In one packet with the OK: as one who tampers would send it.
            conn.send(format!("{tag} OK begin\r\n{injected}"));
            // Even when TLS could begin, it must not.
            conn.tls_or_gone(&config);
            conn.answer(certs::imap);
        });
        let run = trusting(on(&server), &authority.pem()).run();
        refused(&server, run, &["STARTTLS", "cleartext"]);
    }
}

#[test]
fn a_login_that_is_done_before_tls_ends_it() {
    for capabilities in [
        "",
        "[CAPABILITY IMAP4rev1] ",
        "[CAPABILITY IMAP4rev1 STARTTLS] ",
    ] {
        let server = Faulty::script(move |conn| {
            conn.send(format!("* PREAUTH {capabilities}you are in\r\n"));
            conn.answer(certs::imap);
        });
        // A change would tell the one in between what is being done, or not be done where it was meant to be.
        let run = Imapadm::on_tls_port(server.port)
            .args(["--timeout", "5", "-c", "createmailbox a"])
            .run();
        refused(&server, run, &["PREAUTH"]);
    }
}

#[test]
fn a_login_that_is_done_inside_tls_is_one() {
    let authority = Authority::new("CA");
    let config = authority.signs(&named(&["localhost"])).config(None);
    let server = Faulty::script(move |conn| {
        conn.tls_or_gone(&config);
        conn.send("* PREAUTH [CAPABILITY IMAP4rev1] you are in\r\n");
        conn.answer(certs::imap);
    });
    let run =
        Imapadm::on_tls_port(server.port)
            .no_password()
            .args(["--tls", "-c", "createmailbox a"]);
    trusting(run, &authority.pem())
        .run()
        .ok()
        .says("a\tcreated");
}

#[test]
fn what_was_offered_in_cleartext_is_forgotten_in_tls() {
    let authority = Authority::new("CA");
    let config = authority.signs(&named(&["localhost"])).config(None);
    let server = Faulty::script(move |conn| {
        // Forged: mechanisms that the server lacks, and extensions that would change what is sent.
        conn.send(
            "* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=CRAM-MD5 AUTH=LOGIN QUOTA XFORGED] ready\r\n",
        );
        let (tag, _) = conn.expect_command();
        conn.send(format!("{tag} OK go on\r\n"));
        conn.tls_or_gone(&config);
        conn.answer(certs::imap);
    });
    let run = Imapadm::on_tls_port(server.port).args(["--timeout", "5", "-c", "session"]);
    trusting(run, &authority.pem())
        .run()
        .ok()
        .says("mechanism\tPLAIN")
        .never_says("XFORGED")
        .never_says("QUOTA");
    let received = server.received();
    assert!(received[1].ends_with(" CAPABILITY"), "{received:?}");
    assert!(received[2].contains(" AUTHENTICATE PLAIN "), "{received:?}");
}

#[test]
fn a_stranger_who_speaks_tls_gets_no_password_either() {
    // He has a certificate of his own, for the right name.
    let config = Authority::new("Stranger")
        .signs(&named(&["localhost"]))
        .config(None);
    for form in Form::BOTH {
        let server = certs::serving(form, config.clone());
        let run = Imapadm::on_tls_port(server.port)
            .args(form.option())
            .args(["--allow-cleartext", "-c", "session"])
            .run();
        refused(&server, run, &["localhost"]);
    }
}
