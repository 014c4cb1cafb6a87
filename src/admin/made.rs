//! What a CREATE or RENAME made, and why one made nothing.
//!
//! Servers make other mailboxes than they were asked for and say OK: they drop an empty level of the hierarchy or the separator at the end,
//! put a prefix in front, or make nothing. Lives here: the two steps of [`Session::create`] and [`Session::rename`], between which other
//! requests may be sent; which names are looked up afterwards; the advice for which something has to be asked first. Not here: the requests
//! themselves (`mailbox`).

use std::ops::ControlFlow;

use crate::error::{Advice, Error, Reason, Refusal};
use crate::session::{Effect, Fit, IntoMailbox, MailboxName, Request, Session, State, Ticket};
use crate::wire::cursor::ParseError;
use crate::wire::encode::Encoder;
use crate::wire::response::{Data, Status};

use super::mailbox::{Create, LISTINGS, Listed, Listing, Mailbox, Rename, Renamed};

/// LIST of one name: what is there under it.
#[derive(Debug)]
struct LookUp {
    mailbox: MailboxName,
    found: Option<Mailbox>,
}

impl Request for LookUp {
    type Reply = Option<Mailbox>;
    fn verb(&self) -> &'static str {
        "LIST"
    }
    fn effect(&self) -> Effect {
        Effect::Read
    }
    fn rivals(&self) -> &'static [&'static str] {
        LISTINGS
    }
    fn write(&self, command: &mut Encoder<'_>) {
        command
            .atom("LIST")
            .space()
            .astring(b"")
            .space()
            .list_mailbox(self.mailbox.wire());
    }
    fn take(&mut self, data: &Data<'_>, _: Fit<'_>) -> Result<bool, ParseError> {
        if !data.is("LIST") {
            return Ok(false);
        }
        let listed = Listed::read(data.body)?;
        let is_it = MailboxName::same(&listed.mailbox, self.mailbox.wire());
        if is_it {
            self.found = Some(listed.to_mailbox()).filter(|found| !found.has("\\NonExistent"));
        }
        Ok(is_it)
    }
    fn finish(self, _: &Status<'_>, _: &mut State) -> Result<Option<Mailbox>, Error> {
        Ok(self.found)
    }
}

/// A CREATE or RENAME that was sent, and the looks at what came of it; see [`Session::start_create`].
#[derive(Debug)]
#[must_use = "the command was sent, but its outcome is in Session::finish_create or finish_rename"]
pub struct Making<R: Request> {
    verb: &'static str,
    /// The name that a RENAME is from.
    from: Option<MailboxName>,
    mailbox: MailboxName,
    ticket: Ticket<R>,
    looks: Vec<Ticket<LookUp>>,
}

/// The name that servers which drop what means nothing make of `name`: no empty levels, no spaces around it, INBOX in capitals.
fn tidied(name: &MailboxName, separator: u8) -> MailboxName {
    let wire = name.wire().trim_ascii();
    let levels: Vec<&[u8]> = wire
        .split(|byte| *byte == separator)
        .filter(|level| !level.is_empty())
        .collect();
    let mut tidy = levels.join(&separator);
    if let Some(head) = tidy.get_mut(..5)
        && head.eq_ignore_ascii_case(b"INBOX")
        && levels.first().is_some_and(|level| level.len() == 5)
    {
        head.copy_from_slice(b"INBOX");
    }
    MailboxName::from_wire(&tidy)
}

/// Whether a name has anything that [`tidied`] could take out, whatever the separator is.
fn may_be_untidy(wire: &[u8]) -> bool {
    let is_odd = |byte: Option<&u8>| byte.is_some_and(|b| *b == b' ' || b.is_ascii_punctuation());
    let doubled = |pair: &[u8]| pair[0] == pair[1] && pair[0].is_ascii_punctuation();
    let inbox = wire
        .get(..5)
        .is_some_and(|head| head.eq_ignore_ascii_case(b"INBOX") && head != b"INBOX");
    is_odd(wire.first()) || is_odd(wire.last()) || inbox || wire.windows(2).any(doubled)
}

/// Below what Cyrus keeps what was deleted, unless its `deletedprefix` says otherwise.
const DELETED: &[u8] = b"DELETED";

/// Names that are shown of those that are kept.
const MOST_SHOWN: usize = 5;

/// Deleted mailboxes that can be brought back.
#[derive(Default)]
struct Kept {
    count: usize,
    first: Vec<String>,
}

impl Kept {
    fn add(&mut self, name: String) {
        self.count += 1;
        if self.first.len() < MOST_SHOWN {
            self.first.push(name);
        }
    }
}

impl Session {
    /// Creates a mailbox, on Cyrus on a partition if one is given (RFC 3501 section 6.3.3). Returns the name that it has now, which is
    /// not always the one that was asked for.
    ///
    /// A separator at the end is sent as it is: some stores make a mailbox that may hold others only this way.
    ///
    /// # Errors
    /// The server's refusal: it exists, the name is not allowed, the right is lacking. [`Error::NotMade`] where the server says OK and then
    /// does not list it.
    pub fn create(
        &mut self,
        mailbox: impl IntoMailbox,
        partition: Option<&str>,
    ) -> Result<MailboxName, Error> {
        let making = self.start_create(mailbox.into_mailbox()?, partition)?;
        self.finish_create(making)
    }

    /// Sends a CREATE and what looks up its outcome, where the server may have made another name; does not wait for the replies.
    ///
    /// # Errors
    /// As [`submit`](Self::submit).
    pub fn start_create(
        &mut self,
        mailbox: MailboxName,
        partition: Option<&str>,
    ) -> Result<Making<Create>, Error> {
        let request = self.create_request(mailbox.clone(), partition)?;
        self.start_making(request, mailbox)
    }

    /// Waits for the outcome of [`start_create`](Self::start_create).
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn finish_create(&mut self, making: Making<Create>) -> Result<MailboxName, Error> {
        let Making {
            verb,
            mailbox,
            ticket,
            looks,
            ..
        } = making;
        match self.wait(ticket) {
            Ok(Some(told)) => Ok(told),
            Ok(None) => self.what_was_made(verb, mailbox, looks),
            Err(Error::Refused(mut refusal)) => {
                if let Some(advice) = self.advise(&mailbox, &refusal) {
                    refusal.advice = Some(advice);
                }
                Err(Error::Refused(refusal))
            }
            Err(error) => Err(error),
        }
    }

    /// Renames a mailbox, on Cyrus to a partition if one is given (RFC 3501 section 6.3.5).
    ///
    /// # Errors
    /// The server's refusal, or as [`create`](Self::create).
    pub fn rename(
        &mut self,
        from: impl IntoMailbox,
        to: impl IntoMailbox,
        partition: Option<&str>,
    ) -> Result<Renamed, Error> {
        let making = self.start_rename(from.into_mailbox()?, to.into_mailbox()?, partition)?;
        self.finish_rename(making)
    }

    /// Sends a RENAME, as [`start_create`](Self::start_create) does a CREATE.
    ///
    /// # Errors
    /// As [`submit`](Self::submit).
    pub fn start_rename(
        &mut self,
        from: MailboxName,
        to: MailboxName,
        partition: Option<&str>,
    ) -> Result<Making<Rename>, Error> {
        let request = self.rename_request(from.clone(), to.clone(), partition)?;
        let making = self.start_making(request, to)?;
        Ok(Making {
            from: Some(from),
            ..making
        })
    }

    /// Waits for the outcome of [`start_rename`](Self::start_rename).
    ///
    /// # Errors
    /// As [`rename`](Self::rename).
    pub fn finish_rename(&mut self, making: Making<Rename>) -> Result<Renamed, Error> {
        let mut renamed = match (self.wait(making.ticket), making.from) {
            (Err(Error::Refused(mut refusal)), Some(from)) => {
                if let Some(advice) = self.advise_of_deleted(&from) {
                    refusal.advice = Some(advice);
                }
                return Err(Error::Refused(refusal));
            }
            (renamed, _) => renamed?,
        };
        if renamed.to == making.mailbox {
            renamed.to = self.what_was_made(making.verb, making.mailbox, making.looks)?;
        }
        Ok(renamed)
    }

    fn start_making<R: Request>(
        &mut self,
        request: R,
        mailbox: MailboxName,
    ) -> Result<Making<R>, Error> {
        let mut names = vec![mailbox.clone()];
        if may_be_untidy(mailbox.wire()) {
            match self.separator_for(&mailbox) {
                Ok(Some(separator)) => names.push(tidied(&mailbox, separator)),
                Err(error) if error.is_grave() => return Err(error),
                // Without a separator, there are no levels that a server could make one of.
                Ok(None) | Err(_) => {}
            }
        }
        let verb = request.verb();
        let ticket = self.submit(request)?;
        let mut looks = Vec::new();
        // The names most servers are asked for have nothing to tidy, and are not looked up.
        if names.last() != Some(&mailbox) {
            for name in names {
                if !self.options().pipeline && self.settle().is_err() {
                    break;
                }
                let look = LookUp {
                    mailbox: name,
                    found: None,
                };
                match self.submit(look) {
                    Ok(look) => looks.push(look),
                    // What became of the command itself is still to be told.
                    Err(_) => break,
                }
            }
        }
        Ok(Making {
            verb,
            from: None,
            mailbox,
            ticket,
            looks,
        })
    }

    /// Which of the names that were looked up is there.
    fn what_was_made(
        &mut self,
        verb: &'static str,
        asked: MailboxName,
        looks: Vec<Ticket<LookUp>>,
    ) -> Result<MailboxName, Error> {
        let mut is_sure = !looks.is_empty();
        let mut made = None;
        for look in looks {
            match self.wait(look) {
                Ok(Some(found)) => made = made.or(Some(found.name)),
                Ok(None) => {}
                Err(_) => is_sure = false,
            }
        }
        match made {
            Some(made) => Ok(made),
            None if is_sure => Err(Error::NotMade {
                verb,
                mailbox: asked.to_string(),
            }),
            // All that was seen is the server's OK.
            None => Ok(asked),
        }
    }

    /// What there is to be brought back in place of a name that is not there: Cyrus keeps deleted mailboxes below `DELETED`, each with the
    /// time of its end behind its name.
    fn advise_of_deleted(&mut self, from: &MailboxName) -> Option<Advice> {
        let separator = self.separator_for(from).ok()??;
        let below = from.wire().strip_prefix(DELETED)?;
        if below.first() != Some(&separator) || !self.is_cyrus() {
            return None;
        }
        let look = LookUp {
            mailbox: from.clone(),
            found: None,
        };
        if self
            .run(look)
            .ok()?
            .is_some_and(|found| !found.is_only_a_name())
        {
            return None;
        }
        // What is kept of this mailbox and those below it, else all that is kept of its user.
        let levels: Vec<&[u8]> = from.wire().split(|byte| *byte == separator).collect();
        let user = levels.get(..3)?.join(&separator);
        let mut kept = Kept::default();
        for above in [from.wire(), &user] {
            let pattern = MailboxName::from_wire(&[above, &[separator, b'*']].concat());
            let nothing = MailboxName::from_wire(b"");
            self.list_each(Listing::All, &nothing, &pattern, |listed| {
                kept.add(MailboxName::show(&listed.mailbox).into_owned());
                ControlFlow::Continue(())
            })
            .ok()?;
            if kept.count > 0 {
                break;
            }
        }
        let user = MailboxName::show(&user).into_owned();
        let separator = char::from(separator);
        Some(if kept.count == 0 {
            Advice::NothingKept {
                below: user,
                pattern: format!("DELETED{separator}*"),
            }
        } else {
            Advice::NameKept {
                more: kept.count - kept.first.len(),
                first: kept.first,
                pattern: format!("{user}{separator}*"),
            }
        })
    }

    /// Why a CREATE was refused, where something has to be asked to know.
    fn advise(&mut self, mailbox: &MailboxName, refusal: &Refusal) -> Option<Advice> {
        let is_name = refusal.is(Reason::InvalidName);
        let is_denied = refusal.is(Reason::PermissionDenied);
        if !is_name && !is_denied {
            return None;
        }
        let separator = self.separator_for(mailbox).ok()??;
        let wire = mailbox.wire();
        let levels = wire.contains(&separator);
        let other = |byte: &u8| *byte != separator && matches!(byte, b'/' | b'.' | b'\\');
        let meant = wire.iter().copied().find(|byte| other(byte));
        // With a separator in it, a name may hold the others as they are, but for the slash.
        if let Some(other) = meant.filter(|other| !levels || (is_name && *other == b'/')) {
            let meant: Vec<u8> = wire
                .iter()
                .map(|byte| if *byte == other { separator } else { *byte })
                .collect();
            return Some(Advice::WriteSeparator {
                separator: char::from(separator),
                meant: MailboxName::from_wire(&meant).to_string(),
            });
        }
        if !is_denied || !self.is_cyrus() {
            return None;
        }
        // A Cyrus administrator, who has no mailboxes of his own, is refused only what lies below a user who is not there.
        if !self.namespaces().ok()?.personal.is_empty() {
            return None;
        }
        let (root, rest) = below_user(wire, separator)?;
        let user = MailboxName::from_wire(root);
        let look = LookUp {
            mailbox: user.clone(),
            found: None,
        };
        if self.run(look).ok()?.is_some() {
            return None;
        }
        let dotted = [root, &b"^"[..], rest].concat();
        Some(Advice::CreateFirst {
            mailbox: user.to_string(),
            dotted: (separator == b'.').then(|| MailboxName::from_wire(&dotted).to_string()),
        })
    }
}

/// The user's root that a name lies below on Cyrus (`user.NAME`), and what stands behind it.
fn below_user(wire: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let rest = wire.strip_prefix(b"user")?.strip_prefix(&[separator])?;
    let end = rest.iter().position(|byte| *byte == separator)?;
    let (root, rest) = wire.split_at(wire.len() - rest.len() + end);
    Some((root, &rest[1..]))
}

#[cfg(test)]
mod tests {
    use super::super::listed::announced;
    use super::*;
    use crate::wire::response::{Response, Untagged, parse};

    #[test]
    fn what_servers_take_out_of_a_name() {
        for (typed, separator, tidy) in [
            ("user.q2..x", b'.', "user.q2.x"),
            (".user.q2", b'.', "user.q2"),
            ("Projects/", b'/', "Projects"),
            ("a//b///c/", b'/', "a/b/c"),
            (" a b ", b'/', "a b"),
            ("inbox.foo", b'.', "INBOX.foo"),
            ("inboxes/", b'/', "inboxes"),
            ("a..b", b'/', "a..b"),
            ("INBOX.foo", b'.', "INBOX.foo"),
        ] {
            let name = MailboxName::from_wire(typed.as_bytes());
            let tidy = MailboxName::from_wire(tidy.as_bytes());
            assert_eq!(tidied(&name, separator), tidy, "{typed}");
            assert!(
                tidy == name || may_be_untidy(name.wire()),
                "{typed} is not looked at"
            );
        }
        for plain in [
            "user.bob",
            "a/b",
            "Entw&APw-rfe/x",
            "INBOX.foo",
            "two words",
        ] {
            assert!(!may_be_untidy(plain.as_bytes()), "{plain}");
        }
    }

    #[test]
    fn a_mailbox_that_is_announced_under_another_name() {
        let read = |line: &str| match parse(line.as_bytes()).unwrap() {
            Response::Untagged(Untagged::Data(data)) => {
                announced(&data).map(|(now, old)| (now.to_string(), old.to_string()))
            }
            other => panic!("{other:?}"),
        };
        let names = Some(("INBOX/Foo".to_owned(), "Foo".to_owned()));
        for line in [
            "* LIST () \"/\" \"INBOX/Foo\" (\"OLDNAME\" (\"Foo\"))",
            "* LIST (\\Marked \\HasNoChildren) \"/\" INBOX/Foo (OLDNAME (Foo))",
            "* LIST () \"/\" INBOX/Foo (\"CHILDINFO\" (\"SUBSCRIBED\") \"oldname\" (\"Foo\"))",
        ] {
            assert_eq!(read(line), names, "{line}");
        }
        for line in [
            "* LIST () \"/\" INBOX/Foo",
            "* LIST () \"/\" INBOX/Foo (\"CHILDINFO\" (\"SUBSCRIBED\"))",
            "* LIST () \"/\" INBOX/Foo (\"OLDNAME\" ())",
            "* LIST () \"/\" INBOX/Foo (\"OLDNAME\"",
            "* LSUB () \"/\" INBOX/Foo (\"OLDNAME\" (\"Foo\"))",
        ] {
            assert_eq!(read(line), None, "{line}");
        }
    }

    #[test]
    fn who_a_mailbox_belongs_to() {
        let below = |name: &'static str| below_user(name.as_bytes(), b'.');
        assert_eq!(
            below("user.max.muster.Sent"),
            Some((&b"user.max"[..], &b"muster.Sent"[..]))
        );
        for name in ["user.max", "user", "users.max.x", "shared.max.x"] {
            assert_eq!(below(name), None, "{name}");
        }
    }
}
