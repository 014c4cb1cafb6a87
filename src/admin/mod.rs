//! What an administrator does, one file a subject: the types, the requests and how their replies are read.
//!
//! Every operation is a method of [`Session`](crate::Session), and a [`Request`](crate::session::Request) value for whoever
//! wants to send many before waiting for the first. Not here: sockets and the pipeline (`session`), and how anything is
//! typed or shown (the shell).

pub mod acl;
pub mod holdings;
mod limit;
mod listed;
pub mod made;
pub mod mailbox;
pub mod mailboxes;
pub mod many;
pub mod metadata;
pub mod overview;
pub mod quota;
pub mod selected;
pub mod server;
pub mod subscription;

use std::borrow::Cow;

use crate::error::{Advice, Error, Reason, Refusal};
use crate::session::{Fit, MailboxName};
use crate::wire::cursor::{Cursor, ParseError};

/// Reads the name at the beginning of a reply to a question about `asked`.
///
/// Some servers send names bare that should be quoted. The one that was asked for is known, whatever it holds; another one of that kind
/// can't be told from what stands behind it.
fn name_asked_for<'a>(
    body: &mut Cursor<'a>,
    asked: &[u8],
    what: &'static str,
) -> Result<Cow<'a, [u8]>, ParseError> {
    body.skip_spaces();
    let mut ahead = *body;
    if asked.contains(&b' ')
        && body.is_bare()
        && ahead.same(asked).is_some()
        && ahead.space().is_some()
    {
        let name = &body.rest()[..asked.len()];
        *body = ahead;
        return Ok(Cow::Borrowed(name));
    }
    let name = body.expect_astring(what)?;
    if !body.is_end() {
        body.expect_space()?;
    }
    Ok(name)
}

/// The one untagged response that a request is for.
#[derive(Debug, Clone)]
struct Answer<T> {
    told: Option<T>,
    /// Whether it is about the very name that was asked about.
    exact: bool,
    /// Another mailbox or root that the server answered about.
    other: Option<MailboxName>,
}

impl<T> Default for Answer<T> {
    fn default() -> Self {
        Self {
            told: None,
            exact: false,
            other: None,
        }
    }
}

impl<T> Answer<T> {
    /// Whether a response about `told` is the answer to the question about `asked`, as far as is known until now.
    fn is_for(&mut self, told: &[u8], asked: &MailboxName, fit: Fit<'_>) -> bool {
        let fits = fit.is_about(told, asked.wire()) && (fit.is_exact() || !self.exact);
        if !fits && !fit.is_exact() {
            self.other = Some(MailboxName::from_wire(told));
        }
        fits
    }

    /// Takes the answer; the later one is the newer one.
    fn take(&mut self, told: T, fit: Fit<'_>) {
        self.told = Some(told);
        self.exact = fit.is_exact();
    }

    /// The answer, or why there is none.
    fn or_missing(
        self,
        verb: &'static str,
        missing: &'static str,
        asked: &MailboxName,
        advice: Advice,
    ) -> Result<T, Error> {
        match (self.told, self.other) {
            (Some(told), _) => Ok(told),
            (None, Some(other)) => Err(about_another(verb, asked, &other)),
            (None, None) => Err(Error::Missing {
                verb,
                missing,
                advice,
            }),
        }
    }
}

fn about_another(verb: &'static str, asked: &MailboxName, told: &MailboxName) -> Error {
    Error::AboutAnother {
        verb,
        asked: asked.to_string(),
        told: told.to_string(),
    }
}

/// Reads the name in front of a list in parentheses, up to that: also one with spaces, where only one list is there for it to end at.
fn name_before_list<'a>(
    body: &mut Cursor<'a>,
    what: &'static str,
) -> Result<Cow<'a, [u8]>, ParseError> {
    body.skip_spaces();
    let start = *body;
    let name = body.expect_astring(what)?;
    if body.is_end() || (body.space().is_some() && body.peek() == Some(b'(')) {
        return Ok(name);
    }
    let error = body.error("an opening parenthesis");
    let rest = start.rest();
    let mut lists = memchr::memchr_iter(b'(', rest);
    let (Some(list), None) = (lists.next(), lists.next()) else {
        return Err(error);
    };
    let name = rest[..list].trim_ascii_end();
    if !start.is_bare() || name.len() == list || name.iter().any(u8::is_ascii_control) {
        return Err(error);
    }
    *body = start;
    body.same(&rest[..list]);
    Ok(Cow::Borrowed(name))
}

/// What to do where a request about a mailbox was refused that needs one right on it.
///
/// A server also says that a mailbox does not exist where the user may not see it (RFC 4314 section 6).
fn right_advice(refusal: &Refusal, right: char, mailbox: Option<&MailboxName>) -> Option<Advice> {
    match refusal.reason()? {
        Reason::NoSuchMailbox => Some(Advice::LookForName),
        Reason::PermissionDenied => Some(Advice::NeedRight {
            right,
            mailbox: mailbox.map(MailboxName::to_string),
            or_unknown_entry: false,
        }),
        _ => None,
    }
}
