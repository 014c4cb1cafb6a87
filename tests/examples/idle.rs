//! Waits for a new message in a mailbox with IDLE (RFC 2177), a command that the library does not have: a request of one's own.
//!
//!     IMAPADM_PASSWORD=… cargo run --example idle -- SERVER USER MAILBOX SECONDS [CA-FILE]

use std::error::Error as StdError;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use imapadm::auth::{Credentials, SecretKind, SecretSource};
use imapadm::net::{Roots, TlsOptions};
use imapadm::session::{Connector, Continuation, Effect, Request, State};
use imapadm::wire::encode::Encoder;
use imapadm::wire::response::Status;
use imapadm::{Error, Options};

struct Idle;

impl Request for Idle {
    type Reply = ();
    fn verb(&self) -> &'static str {
        "IDLE"
    }
    fn effect(&self) -> Effect {
        Effect::Session
    }
    fn alone(&self) -> bool {
        true
    }
    fn write(&self, command: &mut Encoder<'_>) {
        command.atom("IDLE");
    }
    /// The server is ready. It speaks from now on, until it is told DONE.
    fn on_continue(&mut self, _: &[u8]) -> Continuation {
        Continuation::Hold
    }
    fn finish(self, _: &Status<'_>, _: &mut State) -> Result<(), Error> {
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn StdError>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [server, user, mailbox, seconds, rest @ ..] = &args[..] else {
        return Err("usage: idle SERVER USER MAILBOX SECONDS [CA-FILE]".into());
    };
    let mut options = Options::parse(server)?;
    if let [ca] = rest {
        options = options.tls(TlsOptions::new().roots(Roots::file(ca)));
    }
    let password = SecretSource::Environment.fetch(SecretKind::Password, "")?;
    let mut imap = Connector::new(options, Credentials::password(user, password)).connect()?;
    imap.select(mailbox.as_str())?;
    let news = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&news);
    imap.on_unsolicited(move |data| {
        told.fetch_or(data.is("EXISTS"), Ordering::Relaxed);
    });
    let idle = imap.submit(Idle)?;
    let waited = imap.within(Duration::from_secs(seconds.parse()?), |imap| {
        while !news.load(Ordering::Relaxed) {
            imap.listen()?;
        }
        Ok(())
    });
    match waited {
        Ok(()) => println!("news"),
        Err(Error::DeadlineExceeded { .. }) => println!("nothing new"),
        Err(error) => return Err(error.into()),
    }
    imap.proceed(&idle, b"DONE")?;
    imap.wait(idle)?;
    imap.logout();
    Ok(())
}
