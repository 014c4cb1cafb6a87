//! How fast the library lists all mailboxes of a server into one compact collection, as a program would keep them that
//! has to look at all of them more than once.
//!
//! ```text
//! library_list PORT        # on 127.0.0.1; prints how many mailboxes, their names' bytes, and seconds for the listing alone
//! ```

use std::error::Error;
use std::ops::ControlFlow;
use std::time::Instant;

use imapadm::admin::mailbox::{Listed, Listing};
use imapadm::auth::{Credentials, Kind, SecretSource};
use imapadm::net::{Address, Security};
use imapadm::{MailboxName, Options, Session};

/// Mailboxes side by side: all names in one piece of memory, and what they have in common once.
///
/// A `Vec<Mailbox>` spends an allocation on each name and two on its attributes; this one spends six bytes on a mailbox besides
/// its name.
#[derive(Default)]
struct Mailboxes {
    names: Vec<u8>,
    /// Where each name ends.
    ends: Vec<u32>,
    /// Which of `kinds` each is.
    kind_of: Vec<u16>,
    /// Separator and attributes: a server has a handful of combinations.
    kinds: Vec<(Option<u8>, Vec<String>)>,
}

impl Mailboxes {
    /// Adds one; `None` when there is no more room, which is beyond 4 GiB of names or 65,536 kinds.
    fn push(&mut self, listed: &Listed<'_>) -> Option<()> {
        // Neighbours are mostly of one kind.
        let last = self.kind_of.last().map_or(0, |kind| usize::from(*kind));
        let kind = match self.kinds.get(last) {
            Some(kind) if is_of(kind, listed) => last,
            _ => match self.kinds.iter().position(|kind| is_of(kind, listed)) {
                Some(at) => at,
                None => {
                    let attributes = listed.attributes().map(|word| word.into_owned());
                    self.kinds.push((listed.separator, attributes.collect()));
                    self.kinds.len() - 1
                }
            },
        };
        self.names.extend_from_slice(&listed.mailbox);
        self.ends.push(u32::try_from(self.names.len()).ok()?);
        self.kind_of.push(u16::try_from(kind).ok()?);
        Some(())
    }

    /// Each name as the server has it, its separator and its attributes.
    fn iter(&self) -> impl Iterator<Item = (&[u8], Option<u8>, &[String])> {
        let mut start = 0;
        self.ends
            .iter()
            .zip(&self.kind_of)
            .filter_map(move |(end, kind)| {
                let end = usize::try_from(*end).ok()?;
                let name = self.names.get(start..end)?;
                start = end;
                let (separator, attributes) = self.kinds.get(usize::from(*kind))?;
                Some((name, *separator, attributes.as_slice()))
            })
    }
}

fn is_of((separator, attributes): &(Option<u8>, Vec<String>), listed: &Listed<'_>) -> bool {
    *separator == listed.separator
        && listed
            .attributes()
            .eq(attributes.iter().map(String::as_str))
}

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
    let password = SecretSource::Environment.fetch(Kind::Password, "")?;
    session.login(&Credentials::password("cyrus", password), &[])?;

    let start = Instant::now();
    let mut mailboxes = Mailboxes::default();
    session.list_each(
        Listing::All,
        &MailboxName::pattern("")?,
        &MailboxName::pattern("*")?,
        |listed| match mailboxes.push(listed) {
            Some(()) => ControlFlow::Continue(()),
            None => ControlFlow::Break(()),
        },
    )?;
    let taken = start.elapsed();
    session.logout();

    let bytes: usize = mailboxes.iter().map(|(name, _, _)| name.len()).sum();
    println!(
        "{} {bytes} {:.6}",
        mailboxes.ends.len(),
        taken.as_secs_f64()
    );
    Ok(())
}
