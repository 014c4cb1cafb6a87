//! IMAP administration: mailboxes, rights, quotas, metadata, subscriptions and messages of any IMAP server, over one persistent
//! [`Session`].
//!
//! It succeeds Perl's IMAP::Admin. What that module does, method by method:
//!
//! ```no_run
//! use imapadm::admin::quota::Limit;
//! use imapadm::auth::{Credentials, SecretKind, SecretSource};
//! use imapadm::net::Address;
//! use imapadm::{Error, Options, Session};
//!
//! # fn main() -> Result<(), Error> {
//! // $imap = IMAP::Admin->new(Server => "name.of.server", Login => "cyrus", Password => …);
//! // STARTTLS, a verified certificate, a time limit on every wait; the separator comes from the server.
//! let address = Address::Tcp { host: "name.of.server".into(), port: 143 };
//! let mut imap = Session::open(Options::new(address))?;
//! let password = SecretSource::File("/etc/imapadm/password".into()).fetch(SecretKind::Password, "")?;
//! imap.login(&Credentials::password("cyrus", password), &[])?;
//!
//! // $err = $imap->create("user.bob"); $imap->create("user.bob.old", "slow");
//! imap.create("user.bob", None)?;
//! imap.create("user.bob.old", Some("slow"))?;
//!
//! // $imap->rename("user.bob.old", "user.bob.Archive"[, "fast"]);
//! imap.rename("user.bob.old", "user.bob.Archive", None)?;
//!
//! // @list = $imap->list("user.bob*");
//! for mailbox in imap.list("user.bob*", "")? {
//!     println!("{} {:?}", mailbox.name, mailbox.attributes);
//! }
//!
//! // $imap->set_quota("user.bob", 10000); $imap->set_quota("user.bob", "none");
//! imap.set_quota("user.bob", &[Limit::parse("STORAGE", "10000")?])?;
//! imap.set_quota("user.bob", &[])?;
//!
//! // @quota = $imap->get_quotaroot("user.bob.Archive"); @quota = $imap->get_quota("user.bob");
//! for quota in imap.get_quota_root("user.bob.Archive")? {
//!     println!("{} limits it", quota.root);
//! }
//! for resource in imap.get_quota("user.bob")?.resources {
//!     println!("{} {} of {}", resource.name, resource.usage, resource.limit);
//! }
//!
//! // $imap->set_acl("user.bob", "cyrus", "all", "anyone", "lrs");
//! imap.set_acl("user.bob", [("cyrus", "all"), ("anyone", "lrs")])?;
//!
//! // @acl = $imap->get_acl("user.bob");
//! for entry in imap.get_acl("user.bob")?.entries {
//!     println!("{} {}", entry.identifier, entry.rights);
//! }
//!
//! // $imap->delete_acl("user.bob", "anyone");
//! imap.delete_acl("user.bob", ["anyone"])?;
//!
//! // $imap->subscribe("user.bob"); $imap->unsubscribe("user.bob");
//! imap.subscribe("user.bob")?;
//! imap.unsubscribe("user.bob")?;
//!
//! // @lines = $imap->select("user.bob"); @numbers = $imap->expunge();
//! let selected = imap.select("user.bob")?;
//! if let Some(count) = selected.exists {
//!     println!("{count} messages");
//! }
//! for number in imap.expunge()? {
//!     println!("{number} is gone; those behind it have moved up");
//! }
//! imap.unselect()?;
//!
//! // $imap->{'Capability'}
//! println!("QUOTA: {}", imap.capabilities()?.has("QUOTA"));
//!
//! // $imap->delete("user.bob.Archive"); $imap->h_delete("user.bob");
//! imap.delete("user.bob.Archive")?;
//! imap.delete_subtree("user.bob", |mailbox, result| match result {
//!     Ok(_) => println!("{mailbox} is gone"),
//!     Err(error) => println!("{mailbox} stayed: {error}"),
//! })?;
//!
//! // print $imap->error; is the Err of every method: whose fault it is, the server's words, what to do next.
//! if let Err(error) = imap.delete("user.nobody") {
//!     println!("{error} ({:?}, {:?})", error.kind(), error.code());
//! }
//!
//! // $imap->close;
//! imap.logout();
//! # Ok(())
//! # }
//! ```
//!
//! Many commands at once, without waiting for each: [`Session::submit`] takes any [`Request`](session::Request) and returns a
//! ticket; [`Session::wait`] turns it into the reply.
//!
//! ```no_run
//! # use imapadm::{Error, MailboxName, Session, admin::acl::GetAcl};
//! # fn all(imap: &mut Session, names: Vec<MailboxName>) -> Result<(), Error> {
//! let tickets = names.into_iter().map(|name| imap.submit(GetAcl::new(name))).collect::<Result<Vec<_>, _>>()?;
//! for ticket in tickets {
//!     println!("{:?}", imap.wait(ticket)?);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Programs that do more are in `tests/examples/`: quotas as CSV, provisioning, a session that threads share and that reconnects, a
//! transport and a request of one's own. How waits end, and how to end one, stands in [`session`].
//!
//! # The rooms
//! `admin` (what an administrator does) stands on `session` (the connection, the pipeline, the state), which stands on `auth`, `net`
//! (sockets and TLS) and `wire` (bytes to IMAP and back). Nothing below knows what is above it.

pub mod account;
pub mod admin;
pub mod auth;
pub mod error;
pub mod net;
pub mod open;
pub mod session;
pub mod visible;
pub mod wire;

pub use account::{Account, Outcome};
pub use error::{Advice, Error, Fault, LostCause, Reason, Refusal, Retry};
pub use session::{MailboxName, Options, Session};
pub use wire::ResponseCode;
