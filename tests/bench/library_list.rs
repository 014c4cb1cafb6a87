//! How fast the library lists all mailboxes of a server into one compact collection, as a program would keep them that
//! has to look at all of them more than once.
//!
//! ```text
//! library_list PORT        # on 127.0.0.1; prints how many mailboxes, their names' bytes, and seconds for the listing alone
//! ```

use std::error::Error;
use std::time::Instant;

use imapadm::admin::mailbox::Listing;
use imapadm::auth::{Credentials, SecretKind, SecretSource};
use imapadm::net::{Address, Security};
use imapadm::{MailboxName, Options, Session};

fn main() -> Result<(), Box<dyn Error>> {
    let port = std::env::args()
        .nth(1)
        .ok_or("name the port of a server on 127.0.0.1")?
        .parse()?;
    let address = Address::Tcp {
        host: "127.0.0.1".into(),
        port,
    };
    let mut options = Options::new(address);
    options.security = Security::None;
    let mut session = Session::open(options)?;
    let password = SecretSource::Environment.fetch(SecretKind::Password, "")?;
    session.login(&Credentials::password("cyrus", password), &[])?;

    let start = Instant::now();
    let mailboxes = session.list_compact(
        Listing::All,
        &MailboxName::pattern("")?,
        &MailboxName::pattern("*")?,
    )?;
    let taken = start.elapsed();
    session.logout();

    let bytes: usize = mailboxes.iter().map(|listed| listed.mailbox.len()).sum();
    println!("{} {bytes} {:.6}", mailboxes.len(), taken.as_secs_f64());
    Ok(())
}
