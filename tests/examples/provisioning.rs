//! Makes mailboxes for new users on a Cyrus server, with quota and rights. Whoever is there already is left alone, so that it can be
//! run again after it was stopped half way.
//!
//!     printf 'alice 1000000\nbob 500000\n' | IMAPADM_PASSWORD=… cargo run --example provisioning -- SERVER ADMIN [CA-FILE]

use std::error::Error;
use std::io;

use imapadm::admin::quota::Limit;
use imapadm::auth::{Credentials, SecretKind, SecretSource};
use imapadm::net::{Roots, TlsOptions};
use imapadm::session::{BackOff, Connector};
use imapadm::{MailboxName, Options, Reason, Session};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [server, admin, rest @ ..] = &args[..] else {
        return Err("usage: provisioning SERVER ADMIN [CA-FILE]".into());
    };
    let mut options = Options::parse(server)?;
    if let [ca] = rest {
        options = options.tls(TlsOptions::new().roots(Roots::file(ca)));
    }
    let password = SecretSource::Environment.fetch(SecretKind::Password, "")?;
    let connector = Connector::new(options, Credentials::password(admin, password));
    let mut imap = connector.back_off(BackOff::default()).connect()?;

    let mut failed = 0;
    for line in io::stdin().lines() {
        let line = line?;
        let Some((user, kib)) = line.split_once(' ') else {
            return Err(format!("a line is USER KIB, not {line:?}").into());
        };
        match provide(&mut imap, admin, user, kib) {
            Ok(true) => println!("{user}: made"),
            Ok(false) => println!("{user}: was there"),
            // The next one would fail alike.
            Err(error) if error.is_grave() => return Err(error.into()),
            Err(error) => {
                failed += 1;
                eprintln!("{user}: {error}");
            }
        }
    }
    imap.logout();
    match failed {
        0 => Ok(()),
        _ => Err(format!("{failed} failed").into()),
    }
}

/// Whether the user's mailbox had to be made.
fn provide(imap: &mut Session, admin: &str, user: &str, kib: &str) -> Result<bool, imapadm::Error> {
    let inbox = MailboxName::typed(&format!("user.{user}"))?;
    match imap.create(&inbox, None) {
        Err(error) if error.reason() == Some(Reason::AlreadyExists) => return Ok(false),
        result => result?,
    };
    imap.set_quota(&inbox, &[Limit::parse("STORAGE", kib)?])?;
    imap.set_acl(&inbox, [(admin, "all"), ("anyone", "p")])?;
    Ok(true)
}
