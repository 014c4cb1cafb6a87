//! How sessions end: by the server's BYE in all its forms, by LOGOUT, and in the middle of a command.

use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use imapadm::Session;
use imapadm::auth::Credentials;
use imapadm::net::Address;

use super::support::faulty::{Conn, Faulty};
use super::support::run::{Imapadm, wait};

/// Longer than any end may take; what waits longer waited for nothing.
const SOON: Duration = Duration::from_secs(5);

/// What takes longer than this was waiting for the client to give up.
const FOREVER: Duration = Duration::from_secs(60);

fn in_session(script: impl Fn(&mut Conn) + Send + Sync + 'static) -> Faulty {
    Faulty::script(move |conn| {
        conn.let_in("ACL NAMESPACE");
        script(conn);
    })
}

fn library(server: &Faulty) -> Session {
    let mut session = Session::open(options(server)).expect("a session");
    let credentials = Credentials::password("someone", "s3cret-Passw0rd");
    session.login(&credentials, &[]).expect("a login");
    session
}

#[test]
fn a_bye_is_the_end_also_when_the_connection_stays_open() {
    for more in ["", "* OK still here\r\n", "* BYE idle for too long\r\n"] {
        let server = in_session(move |conn| {
            conn.expect_command();
            conn.send("* BYE idle for too long.\r\n");
            loop {
                conn.stall(Duration::from_millis(50));
                conn.send(more);
            }
        });
        let run = Imapadm::on_port(server.port)
            .args(["-c", "deletemailbox a"])
            .limit(FOREVER)
            .run()
            .fails(7)
            .complains(
                "the server closed it with: idle for too long; it is unknown whether it was done",
            );
        assert!(run.took < SOON, "{run}");
    }
}

#[test]
fn a_bye_with_a_code_shows_it() {
    let server = in_session(|conn| {
        conn.expect_command();
        conn.send("* BYE [UNAVAILABLE] Shutting down\r\n");
    });
    Imapadm::on_port(server.port)
        .args(["-c", "listacl a"])
        .run()
        .fails(7)
        .complains("with: [UNAVAILABLE] Shutting down; it changed nothing");
}

#[test]
fn a_bye_before_a_refusal_gives_the_reason() {
    for refusal in ["BAD Internal error", "NO Not now.", "BAD"] {
        let server = in_session(move |conn| {
            let (tag, _) = conn.expect_command();
            conn.send(format!("* BYE the disk is full\r\n{tag} {refusal}\r\n"));
            // Nothing more may come.
            assert_eq!(conn.line(), None);
        });
        let run = Imapadm::on_port(server.port)
            .args(["-c", "deletemailbox a", "-c", "listacl b"])
            .run()
            .complains(refusal)
            .complains("with: the disk is full; connect again");
        assert!(run.took < SOON, "{run}");
    }
}

#[test]
fn a_tagged_bye_ends_the_session_too() {
    let server = in_session(|conn| {
        let (tag, _) = conn.expect_command();
        conn.send(format!("{tag} BYE no more\r\n"));
        conn.stall(FOREVER);
    });
    let run = Imapadm::on_port(server.port)
        .args(["-c", "deletemailbox a"])
        .run()
        .fails(7)
        .complains("with: no more; it is unknown");
    assert!(run.took < SOON, "{run}");
}

#[test]
fn what_answers_logout_in_another_way_is_not_waited_for() {
    for answer in [
        "* BYE bye\r\n",
        "TAG BYE bye\r\n",
        "* BYE\r\n",
        "* BYE bye\r\nTAG OK done\r\n",
    ] {
        let server = in_session(move |conn| {
            let (tag, command) = conn.expect_command();
            assert_eq!(command, "LOGOUT");
            conn.send(answer.replace("TAG", &tag));
            conn.stall(FOREVER);
        });
        let mut session = library(&server);
        let start = std::time::Instant::now();
        session.logout();
        // LOGOUT is waited for two seconds where nothing answers it.
        assert!(start.elapsed() < Duration::from_millis(1500), "{answer:?}");
        assert!(!session.is_open());
    }
}

#[test]
fn after_a_bye_that_came_while_idle_nothing_is_sent() {
    for first in [
        "* BYE Autologout; idle for too long\r\n",
        "* OK soon\r\n* BYE Autologout\r\n",
    ] {
        let (told, tell) = mpsc::channel();
        let told = Mutex::new(told);
        let server = in_session(move |conn| {
            let (tag, _) = conn.expect_command();
            // In one piece with the answer: nobody can say that it came later.
            conn.send(format!("* ACL a joe lr\r\n{tag} OK done\r\n{first}"));
            assert_eq!(conn.line(), None, "it was sent after BYE");
            told.lock().unwrap().send(()).unwrap();
        });
        let mut session = library(&server);
        session.get_acl("a").expect("its ACL");
        let error = session.delete("a").expect_err("it is over");
        assert_eq!(error.kind(), "not-sent");
        assert!(error.to_string().contains("Autologout"), "{error}");
        drop(session);
        tell.recv().expect("the script's end");
    }
}

#[test]
fn limits_have_no_limit_and_an_outer_one_stays() {
    let server = in_session(|conn| {
        let (tag, _) = conn.expect_command();
        conn.send(format!("* ACL a joe lr\r\n{tag} OK done\r\n"));
        conn.expect_command();
        conn.stall(FOREVER);
    });
    let mut session = library(&server);
    session
        .within(Duration::MAX, |session| session.get_acl("a"))
        .expect("an answer");
    let start = std::time::Instant::now();
    let error = session.within(Duration::from_millis(100), |session| {
        session.within(Duration::from_secs(1000), |_| Ok(()))?;
        session.within(Duration::MAX, |session| session.get_acl("a"))
    });
    assert_eq!(error.unwrap_err().kind(), "deadline");
    assert!(start.elapsed() < SOON);
    session.hurry(Duration::MAX);
}

fn options(server: &Faulty) -> imapadm::Options {
    let address = Address::Tcp {
        host: "127.0.0.1".into(),
        port: server.port,
    };
    let mut options = imapadm::Options::new(address);
    options.security = imapadm::net::Security::None;
    options
}

#[test]
fn a_change_may_take_longer_than_the_limit_on_silence_and_a_read_may_not() {
    let (told, tell) = mpsc::channel();
    let heard = Mutex::new(tell);
    let server = in_session(move |conn| {
        let (tag, command) = conn.expect_command();
        assert!(command.starts_with("DELETE"), "{command}");
        // Answered only once the client has waited for longer than its limit, twice.
        let heard = heard.lock().unwrap();
        heard.recv().unwrap();
        heard.recv().unwrap();
        conn.send(format!(
            "* OK [INPROGRESS (\"{tag}\" 454 1000)] busy\r\n{tag} OK done\r\n"
        ));
        conn.expect_command();
        conn.stall(FOREVER);
    });
    let mut options = options(&server);
    options.timeouts.read = Duration::from_millis(100);
    let mut session = Session::open(options).expect("a session");
    let credentials = Credentials::password("someone", "s3cret-Passw0rd");
    session.login(&credentials, &[]).expect("a login");
    let progress = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&progress);
    session.set_watch(Box::new(move |waiting| match waiting.silent {
        Some(_) => drop(told.send(())),
        None => seen
            .lock()
            .unwrap()
            .push((waiting.verb, waiting.done, waiting.goal)),
    }));
    session.delete("a").expect("a late answer");
    let progress = progress.lock().unwrap().clone();
    assert_eq!(progress, [("DELETE", Some(454), Some(1000))]);
    let error = session.get_acl("a").expect_err("silence");
    assert_eq!(error.kind(), "lost");
    assert!(
        error.to_string().contains("no answer within 0.1 s"),
        "{error}"
    );
}

#[test]
fn silence_behind_many_commands_suggests_to_send_one_at_a_time() {
    let server = in_session(|conn| {
        conn.expect_command();
        conn.expect_command();
        conn.stall(FOREVER);
    });
    Imapadm::on_port(server.port)
        .args(["--timeout", "1", "-k", "-c", "listacl a", "-c", "listacl b"])
        .run()
        .fails(7)
        .complains("2 commands were sent ahead")
        .complains("--no-pipeline");
}

#[test]
fn after_an_interrupt_what_has_come_already_still_counts() {
    let (told, tell) = mpsc::channel();
    let told = Mutex::new(told);
    let server = in_session(move |conn| {
        let tags: Vec<_> = (0..3).map(|_| conn.expect_command().0).collect();
        let all: String = tags
            .iter()
            .map(|tag| format!("* ACL a joe lr\r\n{tag} OK done\r\n"))
            .collect();
        conn.send(all);
        told.lock().unwrap().send(()).unwrap();
        conn.stall(FOREVER);
    });
    let mut session = library(&server);
    let tickets: Vec<_> = (0..3)
        .map(|_| {
            let name = imapadm::MailboxName::from_wire(b"a");
            session
                .submit(imapadm::admin::acl::GetAcl::new(name))
                .unwrap()
        })
        .collect();
    session.flush().unwrap();
    tell.recv().unwrap();
    session.options().interrupt.raise();
    session.hurry(Duration::ZERO);
    for ticket in tickets {
        session.wait(ticket).expect("it has come");
    }
}

#[test]
fn a_run_that_takes_too_long_says_what_became_of_it_and_exits_with_7() {
    for script in ["deletemailbox a\ndeletemailbox b\n", "listacl a\n"] {
        let server = in_session(|conn| {
            conn.expect_command();
            loop {
                conn.stall(Duration::from_millis(50));
                conn.send("* OK [INPROGRESS] still at it\r\n");
            }
        });
        let run = Imapadm::on_port(server.port)
            .args(["--max-time", "1"])
            .stdin(script)
            .run()
            .fails(7)
            .complains("the time limit of --max-time (1 s) has passed");
        assert!(run.took < SOON * 2, "{run}");
        if script.starts_with("delete") {
            run.complains("unknown whether it was done");
            assert!(!server.received().iter().any(|line| line.contains(" b")));
        }
    }
    // While the script waits for its input.
    let server = in_session(|conn| {
        conn.answer(|tag, _| format!("* ACL a joe lr\r\n{tag} OK done\r\n"));
    });
    let started = Imapadm::on_port(server.port).args(["--max-time", "1"]);
    let mut child = started.start();
    let mut input = child.stdin.take().expect("stdin");
    std::io::Write::write_all(&mut input, b"listacl a\n").expect("a line");
    let status = wait(&mut child, FOREVER).expect("its end");
    assert_eq!(status.code(), Some(7));
    drop(input);
    let mut shown = String::new();
    std::io::Read::read_to_string(&mut child.stdout.take().expect("stdout"), &mut shown).unwrap();
    assert_eq!(shown, "a\tjoe\tlr\n");
}

#[test]
fn a_run_in_time_ends_as_it_would_without_a_limit() {
    let server = in_session(|conn| {
        conn.answer(|tag, _| format!("* ACL a joe lr\r\n{tag} OK done\r\n"));
    });
    let run = Imapadm::on_port(server.port).args(["-c", "listacl a"]);
    run.file("config/imapadm/config.toml", "[defaults]\nmax-time = 60\n");
    run.run().ok().never_says("--max-time");
}
