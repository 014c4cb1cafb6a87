//! One session for several threads. A connection that is lost is made again, and what is safe to repeat is repeated.
//!
//!     IMAPADM_PASSWORD=… cargo run --example shared_session -- SERVER USER [CA-FILE]

use std::sync::{Mutex, PoisonError};
use std::thread;

use imapadm::auth::{Credentials, SecretKind, SecretSource};
use imapadm::net::{Roots, TlsOptions};
use imapadm::session::{BackOff, Connector};
use imapadm::{Error, Options, Retry, Session};

/// A session is `Send` and not `Sync`: one thread at a time has it.
struct Shared {
    connector: Connector,
    session: Mutex<Option<Session>>,
}

impl Shared {
    /// Does `work` once, and once more on a new connection where the old one was lost before anything could have been changed.
    fn run<T>(&self, work: impl Fn(&mut Session) -> Result<T, Error>) -> Result<T, Error> {
        let mut slot = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tries = 2;
        loop {
            tries -= 1;
            let session = match &mut *slot {
                Some(session) => session,
                none => none.insert(self.connector.connect()?),
            };
            match work(session) {
                Err(error) if error.ends_session() => {
                    *slot = None;
                    if tries == 0 || error.retry() != Retry::Safe {
                        return Err(error);
                    }
                }
                result => return result,
            }
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [server, user, rest @ ..] = &args[..] else {
        return Err("usage: shared_session SERVER USER [CA-FILE]".into());
    };
    let mut options = Options::parse(server)?;
    if let [ca] = rest {
        options = options.tls(TlsOptions::new().roots(Roots::file(ca)));
    }
    let password = SecretSource::Environment.fetch(SecretKind::Password, "")?;
    let connector = Connector::new(options, Credentials::password(user, password));
    let session = Mutex::new(None);
    let shared = Shared {
        connector: connector.back_off(BackOff::default()),
        session,
    };
    let mailboxes = Mutex::new(shared.run(|imap| imap.list("*", ""))?.into_iter());
    let next = || {
        mailboxes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .next()
    };
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(mailbox) = next() {
                    match shared.run(|imap| imap.get_acl(&mailbox.name)) {
                        Ok(acl) => println!("{}: {} entries", mailbox.name, acl.entries.len()),
                        Err(error) => eprintln!("{}: {error}", mailbox.name),
                    }
                }
            });
        }
    });
    Ok(())
}
