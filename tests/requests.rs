//! Requests that another program writes: dialogues such as IDLE, streams, several types at once, and how errors tell what to do.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use imapadm::admin::acl::GetAcl;
use imapadm::admin::mailbox::Status as GetStatus;
use imapadm::auth::Credentials;
use imapadm::net::{Address, Roots, Security};
use imapadm::session::{
    BackOff, BoxedRequest, Connector, Continuation, Effect, Extension, Request, State, Streamed,
    Trace,
};
use imapadm::wire::cursor::ParseError;
use imapadm::wire::encode::Encoder;
use imapadm::wire::response::{Data, Status};
use imapadm::{Error, LostCause, MailboxName, Options, Outcome, ResponseCode, Retry, Session};

use super::library::{credentials, open};
use super::support::faulty::{Conn, Faulty};
use super::support::place::Place;
use super::support::raw::{Raw, message};

/// Longer than any of this may take.
const LONG: Duration = Duration::from_secs(20);

/// IDLE (RFC 2177).
#[derive(Clone, Copy)]
struct Idle {
    /// Whether it knows that the server asks for more.
    holds: bool,
}

impl Request for Idle {
    type Reply = ();
    fn verb(&self) -> &'static str {
        "IDLE"
    }
    fn effect(&self) -> Effect {
        Effect::Session
    }
    fn extension(&self) -> Option<Extension> {
        Some(Extension {
            name: "IDLE",
            implied_by: &["IMAP4rev2"],
            rfc: "RFC 2177",
        })
    }
    fn alone(&self) -> bool {
        true
    }
    fn write(&self, command: &mut Encoder<'_>) {
        command.atom("IDLE");
    }
    fn on_continue(&mut self, _: &[u8]) -> Continuation {
        if self.holds {
            Continuation::Hold
        } else {
            Continuation::Cancel
        }
    }
    fn finish(self, _: &Status<'_>, _: &mut State) -> Result<(), Error> {
        Ok(())
    }
}

/// LIST of everything below a mailbox, name by name.
struct Names(String);

impl Request for Names {
    type Reply = ();
    fn verb(&self) -> &'static str {
        "LIST"
    }
    fn effect(&self) -> Effect {
        Effect::Read
    }
    fn write(&self, command: &mut Encoder<'_>) {
        command.atom("LIST").space().string(b"").space();
        command.list_mailbox(format!("{}*", self.0).as_bytes());
    }
    fn finish(self, _: &Status<'_>, _: &mut State) -> Result<(), Error> {
        Ok(())
    }
}

impl Streamed for Names {
    type Item<'d> = String;
    fn item<'d>(data: &Data<'d>) -> Result<Option<String>, ParseError> {
        if !data.is("LIST") {
            return Ok(None);
        }
        let mut cursor = data.body;
        cursor.expect_value()?;
        cursor.expect_space()?;
        cursor.expect_value()?;
        cursor.expect_space()?;
        let name = cursor.expect_astring("mailbox name")?;
        Ok(Some(String::from_utf8_lossy(&name).into_owned()))
    }
}

fn options(server: &Faulty) -> Options {
    let mut options = Options::new(Address::Tcp {
        host: "127.0.0.1".into(),
        port: server.port,
    });
    options.security = Security::None;
    options
}

fn session(server: &Faulty) -> Session {
    let mut session = Session::open(options(server)).expect("a session");
    session.login(&someone(), &[]).expect("a login");
    session
}

fn someone() -> Credentials {
    Credentials::password("someone", "s3cret-Passw0rd")
}

fn in_session(script: impl Fn(&mut Conn) + Send + Sync + 'static) -> Faulty {
    Faulty::script(move |conn| {
        conn.let_in("ACL NAMESPACE IDLE");
        script(conn);
    })
}

#[test]
fn a_continuation_that_nobody_expects_fails_at_once_and_the_session_goes_on() {
    for place in Place::both() {
        let mut imap = open(place.server, &place.user);
        imap.select(&place.root).expect("select");
        let error = imap
            .within(LONG, |imap| imap.run(Idle { holds: false }))
            .expect_err("IDLE wants more");
        assert!(
            matches!(error, Error::UnexpectedContinuation { verb: "IDLE", .. }),
            "{error:?}"
        );
        assert_eq!(error.retry(), Retry::Never);
        assert!(imap.is_open());
        imap.status(&place.root).expect("the session goes on");
    }
}

#[test]
fn a_continuation_out_of_nowhere_does_no_harm_where_the_command_is_done() {
    let server = in_session(|conn| {
        let (tag, _) = conn.expect_command();
        conn.send(format!("+ what?\r\n* ACL a joe lr\r\n{tag} OK done\r\n"));
        assert_eq!(conn.expect_line(), "*");
        conn.send("* BAD what is that?\r\n");
        conn.answer(|tag, _| format!("{tag} OK done\r\n"));
    });
    let mut imap = session(&server);
    let acl = imap.get_acl("a").expect("an answer");
    assert_eq!(acl.entries.len(), 1);
    imap.noop().expect("the session goes on");
}

#[test]
fn a_server_that_asks_without_end_is_told_once() {
    let server = in_session(|conn| {
        let (tag, _) = conn.expect_command();
        conn.send("+\r\n+\r\n+ more\r\n");
        assert_eq!(conn.expect_line(), "*");
        conn.send(format!("{tag} BAD no\r\n"));
        conn.answer(|tag, _| format!("{tag} OK done\r\n"));
    });
    let mut imap = session(&server);
    let error = imap.get_acl("a").expect_err("no answer");
    assert_eq!(error.kind(), "continuation");
    imap.noop().expect("the session goes on");
}

#[test]
fn idle_hears_of_a_new_message_and_ends_with_done() {
    let place = Place::dovecot();
    let mut imap = open(place.server, &place.user);
    imap.select(&place.root).expect("select");
    let (tell, told) = mpsc::channel();
    imap.on_unsolicited(move |data| {
        if data.is("EXISTS") {
            let _ = tell.send(data.number);
        }
    });
    let ticket = imap.submit(Idle { holds: true }).expect("sent");
    let (user, root) = (place.user.clone(), place.root.clone());
    let other = thread::spawn(move || {
        Raw::login(place.server, &user).append(&root, &message("a new one"));
    });
    imap.within(LONG, |imap| {
        while told.try_recv() != Ok(Some(1)) {
            imap.listen()?;
        }
        Ok(())
    })
    .expect("a new message");
    other.join().expect("the other one");
    imap.proceed(&ticket, b"DONE").expect("said");
    imap.wait(ticket).expect("IDLE is over");
    let exists = imap.state().selected().and_then(|selected| selected.exists);
    assert_eq!(exists, Some(1));
    imap.noop().expect("the session goes on");
}

#[test]
fn a_request_that_holds_outlasts_the_limit_on_silence() {
    for place in Place::both() {
        let mut options = Options::new(Address::Tcp {
            host: place.server.name().to_owned(),
            port: place.server.imap,
        });
        options.tls.roots = Roots::file(&place.server.ca);
        let mut imap = Session::open(options.clone()).expect("a session");
        imap.login(&credentials(place.server, &place.user), &[])
            .expect("a login");
        imap.select(&place.root).expect("select");
        let ticket = imap.submit(Idle { holds: true }).expect("sent");
        let error = imap
            .within(Duration::from_millis(300), |imap| {
                imap.await_answer(&ticket)
            })
            .expect_err("nothing happens");
        assert!(matches!(error, Error::DeadlineExceeded { .. }), "{error:?}");
        assert!(imap.proceed(&ticket, b"DO\r\nNE").is_err());
        imap.proceed(&ticket, b"DONE").expect("said");
        imap.wait(ticket).expect("IDLE is over");
        imap.noop().expect("the session goes on");
    }
    // Where the server is silent for longer than the limit, nothing is lost either.
    let (go, wait) = mpsc::channel();
    let wait = Mutex::new(wait);
    let server = in_session(move |conn| {
        let (tag, _) = conn.expect_command();
        conn.send("+ idling\r\n");
        wait.lock().expect("the word").recv().expect("the word");
        conn.send("* 7 EXISTS\r\n");
        assert_eq!(conn.expect_line(), "DONE");
        conn.send(format!("{tag} OK done\r\n"));
    });
    let mut options = options(&server);
    options.timeouts.read = Duration::from_millis(50);
    let mut imap = Session::open(options).expect("a session");
    imap.login(&someone(), &[]).expect("a login");
    let exists = Arc::new(Mutex::new(None));
    let told = Arc::clone(&exists);
    imap.on_unsolicited(move |data| {
        *told.lock().expect("the number") = data.number;
    });
    let ticket = imap.submit(Idle { holds: true }).expect("sent");
    imap.within(LONG, |imap| {
        // The continuation, and then nothing, twice.
        for _ in 0..3 {
            imap.listen()?;
        }
        go.send(()).expect("the server listens");
        while exists.lock().expect("the number").is_none() {
            imap.listen()?;
        }
        imap.proceed(&ticket, b"DONE")
    })
    .expect("it waits");
    imap.wait(ticket).expect("IDLE is over");
    assert_eq!(*exists.lock().expect("the number"), Some(7));
}

#[test]
fn a_stream_can_be_left_early_and_the_session_goes_on() {
    for place in Place::both() {
        let mut imap = open(place.server, &place.user);
        for number in 0..5 {
            imap.create(place.at(&format!("n{number}")).as_str(), None)
                .expect("create");
        }
        let mut names = Vec::new();
        imap.stream(Names(place.at("n")), |name| {
            names.push(name);
            if names.len() < 2 {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })
        .expect("a listing");
        assert_eq!(names.len(), 2, "{names:?}");
        let mut count = 0;
        imap.stream(Names(place.at("n")), |_| {
            count += 1;
            ControlFlow::Continue(())
        })
        .expect("a listing");
        assert_eq!(count, 5);
    }
}

#[test]
fn requests_of_several_types_go_out_together_until_one_is_enough() {
    for place in Place::both() {
        let mut imap = open(place.server, &place.user);
        let name = MailboxName::typed(&place.root).expect("a name");
        let status: GetStatus = imap.status_request(name.clone()).expect("a request");
        let requests = vec![
            (
                "acl",
                BoxedRequest::new(GetAcl::new(name.clone()), |acl| acl.mailbox.to_string()),
            ),
            (
                "status",
                BoxedRequest::new(status, |status| status.mailbox.to_string()),
            ),
        ];
        let mut told = Vec::new();
        imap.run_each(requests, |what, reply| {
            told.push((what, reply.expect("a reply")));
            ControlFlow::Continue(())
        })
        .expect("all were sent");
        let wanted = [("acl", place.root.clone()), ("status", place.root.clone())];
        assert_eq!(told, wanted);

        let mut left = 3_000;
        let many = std::iter::repeat_with(|| {
            left -= 1;
            ((), GetAcl::new(name.clone()))
        });
        let mut told = 0;
        imap.run_each(many.take(3_000), |(), _| {
            told += 1;
            ControlFlow::Break(())
        })
        .expect("enough");
        // What had been sent is told of; nothing was sent after the first reply.
        assert!((1..3_000).contains(&told), "{told}");
        imap.noop().expect("the session goes on");
    }
}

#[test]
fn how_a_connection_ended_is_a_value() {
    let server = in_session(|conn| {
        conn.expect_command();
        conn.send("* BYE [UNAVAILABLE] Shutting down\r\n");
    });
    match session(&server).get_acl("a") {
        Err(Error::Lost {
            cause: LostCause::Bye { code, text },
            outcome: Outcome::Failed,
            ..
        }) => {
            assert_eq!(code, Some(ResponseCode::Unavailable));
            assert_eq!(text, "[UNAVAILABLE] Shutting down");
        }
        other => panic!("{other:?}"),
    }
    let server = in_session(|conn| drop(conn.expect_command()));
    let error = session(&server).delete("a").expect_err("it hung up");
    assert!(
        matches!(
            error,
            Error::Lost {
                cause: LostCause::Closed,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(error.retry(), Retry::Unknown);
    let server = in_session(|conn| {
        conn.expect_command();
        conn.stall(LONG);
    });
    let mut options = options(&server);
    options.timeouts.read = Duration::from_millis(200);
    let mut imap = Session::open(options).expect("a session");
    imap.login(&someone(), &[]).expect("a login");
    let error = imap.get_acl("a").expect_err("no answer");
    assert!(
        matches!(
            error,
            Error::Lost {
                cause: LostCause::TimedOut { waiting: 1, .. },
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(error.retry(), Retry::Safe);
}

#[test]
fn a_session_runs_over_whatever_carries_bytes() {
    let place = Place::dovecot();
    let server = place.server;
    let socket = std::net::TcpStream::connect((server.name(), server.imap)).expect("a connection");
    let mut options = Options::new(Address::Tcp {
        host: server.name().to_owned(),
        port: 1,
    });
    options.tls.roots = Roots::file(&server.ca);
    let shown = Arc::new(Mutex::new(Vec::new()));
    let lines = Arc::clone(&shown);
    options.trace = Some(Trace::new(move |_, line| {
        lines
            .lock()
            .expect("the lines")
            .push(String::from_utf8_lossy(line).into_owned());
    }));
    let mut imap = Session::over(Box::new(socket), "a tunnel", options).expect("a session");
    assert!(imap.state().channel().tls.is_some());
    imap.login(&credentials(server, &place.user), &[])
        .expect("a login");
    assert_eq!(imap.list(&place.root, "").expect("a list").len(), 1);
    let shown = shown.lock().expect("the lines");
    assert!(shown.iter().any(|line| line.contains("LIST")), "{shown:?}");
    assert!(!shown.iter().any(|line| line.contains(&server.password)));
}

#[test]
fn a_connector_tries_again_as_long_as_that_is_safe() {
    let server = Faulty::script(|conn| {
        if conn.number < 2 {
            conn.send("* BYE busy\r\n");
        } else {
            conn.let_in("ACL");
            conn.answer(|tag, _| format!("{tag} OK done\r\n"));
        }
    });
    let mut back_off = BackOff::default();
    back_off.first = Duration::from_millis(1);
    let connector = Connector::new(options(&server), someone());
    assert_eq!(connector.connect().expect_err("busy").retry(), Retry::Safe);
    let mut imap = connector.back_off(back_off).connect().expect("a session");
    imap.noop().expect("logged in");
    assert_eq!(server.connections(), 3);

    let server = Faulty::script(|conn| {
        conn.send("* OK [CAPABILITY IMAP4rev1] hello\r\n");
        conn.answer(|tag, _| format!("{tag} NO [AUTHENTICATIONFAILED] no\r\n"));
    });
    let connector = Connector::new(options(&server), someone()).back_off(back_off);
    assert_eq!(connector.connect().expect_err("no").kind(), "login");
    assert_eq!(server.connections(), 1);
}
