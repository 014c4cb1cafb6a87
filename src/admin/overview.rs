//! Listings that tell more of each mailbox than its name: its counts, one's own rights on it, its metadata.
//!
//! One LIST where the server has LIST-STATUS (RFC 5819), LIST-MYRIGHTS (RFC 8440) and LIST-METADATA (RFC 9590), else a listing and many requests
//! in the pipeline. Not here: a plain listing (`mailbox`).

use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;

use crate::account::Outcome;
use crate::error::Error;
use crate::session::{Effect, MailboxName, Pace, Request, Session, State, Taken};
use crate::wire::cursor::ParseError;
use crate::wire::encode::Encoder;
use crate::wire::pattern::Pattern;
use crate::wire::response::{Condition, Data, Status as StatusResponse};

use super::acl::{MyRights, Rights};
use super::mailbox::{Listed, Listing, Mailbox, MailboxStatus, Status};
use super::many::Tally;
use super::metadata::{GetMetadata, Metadata, read_listed};

/// What is asked of each mailbox.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Its counts ([`MailboxStatus`]).
    pub status: bool,
    /// The logged-in user's rights on it.
    pub rights: bool,
    /// These entries of its metadata, such as `/shared/comment`.
    pub metadata: Vec<String>,
}

/// A mailbox and what is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overview {
    /// The mailbox.
    pub mailbox: Mailbox,
    /// Its counts, where they were asked for and the server tells them: not of names without a mailbox, nor without the right r.
    pub status: Option<MailboxStatus>,
    /// The logged-in user's rights, in the server's order, where they were asked for and the server tells them.
    pub rights: Option<String>,
    /// Its metadata, where entries were asked for and the server tells them.
    pub metadata: Option<Metadata>,
}

impl Overview {
    fn new(mailbox: Mailbox) -> Self {
        Self {
            mailbox,
            status: None,
            rights: None,
            metadata: None,
        }
    }

    /// Whether nothing more is to come for it.
    fn is_whole(&self, wanted: &Wanted) -> bool {
        let entries = self.metadata.as_ref().map_or(0, |told| told.entries.len());
        let told = (self.status.is_some() || !wanted.status)
            && (self.rights.is_some() || !wanted.rights)
            && entries >= wanted.metadata.len();
        told || self.mailbox.is_only_a_name()
    }
}

/// LIST with RETURN (RFC 5258); its responses are streamed.
struct ListReturn {
    of: Listing,
    base: MailboxName,
    pattern: MailboxName,
    status: Option<Status>,
    rights: bool,
    metadata: Vec<String>,
    special_use: bool,
}

impl Request for ListReturn {
    type Reply = ();
    fn verb(&self) -> &'static str {
        "LIST"
    }
    fn effect(&self) -> Effect {
        Effect::Read
    }
    fn alone(&self) -> bool {
        // Its STATUS and MYRIGHTS responses look like those of other requests.
        true
    }
    fn write(&self, command: &mut Encoder<'_>) {
        command.atom("LIST").space();
        if self.of == Listing::Subscribed {
            command.open().atom("SUBSCRIBED").close().space();
        }
        command
            .mailbox(self.base.wire())
            .space()
            .list_mailbox(self.pattern.wire())
            .space()
            .atom("RETURN")
            .space()
            .open()
            .atom("SUBSCRIBED")
            .space()
            .atom("CHILDREN");
        if self.special_use {
            command.space().atom("SPECIAL-USE");
        }
        if self.rights {
            command.space().atom("MYRIGHTS");
        }
        if !self.metadata.is_empty() {
            command.space().atom("METADATA").space().open();
            for (at, entry) in self.metadata.iter().enumerate() {
                if at > 0 {
                    command.space();
                }
                command.astring(entry.as_bytes());
            }
            command.close();
        }
        if let Some(status) = &self.status {
            command.space().atom("STATUS");
            status.write_items(command);
        }
        command.close();
    }
    fn finish(self, _: &StatusResponse<'_>, _: &mut State) -> Result<(), Error> {
        Ok(())
    }
}

/// Mailboxes that wait for what is still to be told of them, in the order of the listing.
struct Waiting<F> {
    asked: Pattern,
    wanted: Wanted,
    overviews: VecDeque<Overview>,
    each: F,
}

impl<F: FnMut(Overview)> Waiting<F> {
    /// Takes a response if it is part of the listing.
    fn take(&mut self, data: &Data<'_>) -> Result<Taken, ParseError> {
        if data.is("LIST") {
            let listed = Listed::read(data.body)?;
            if !self.asked.fits(&listed.mailbox, listed.separator) {
                return Ok(Taken::No);
            }
            self.overviews.push_back(Overview::new(listed.to_mailbox()));
        } else if data.is("STATUS") && self.wanted.status {
            let status = MailboxStatus::read(data.body)?;
            let Some(overview) = self.of(&status.mailbox) else {
                return Ok(Taken::No);
            };
            overview.status = Some(status);
        } else if data.is("MYRIGHTS") && self.wanted.rights {
            let rights = Rights::read(data.body)?;
            let Some(overview) = self.of(&rights.mailbox) else {
                return Ok(Taken::No);
            };
            overview.rights = Some(rights.rights);
        } else if data.is("METADATA") && !self.wanted.metadata.is_empty() {
            let Some((mailbox, entries)) = read_listed(data.body)? else {
                return Ok(Taken::No);
            };
            let most = self.wanted.metadata.len();
            let Some(overview) = self.of(&mailbox) else {
                return Ok(Taken::No);
            };
            let told = overview.metadata.get_or_insert_with(|| Metadata {
                mailbox,
                entries: Vec::new(),
                longest: None,
            });
            told.entries.extend(entries);
            // No more than was asked for can be an answer.
            told.entries.truncate(most);
        } else {
            return Ok(Taken::No);
        }
        while self
            .overviews
            .front()
            .is_some_and(|overview| overview.is_whole(&self.wanted))
        {
            self.hand_out();
        }
        // One that is told nothing (no right to) must not hold up all that come behind it: servers answer for a mailbox before the next.
        while self.overviews.len() > MOST_WAITING {
            self.hand_out();
        }
        Ok(Taken::Yes)
    }

    /// The newest one of that name: servers tell of a mailbox right behind its LIST response.
    fn of(&mut self, mailbox: &MailboxName) -> Option<&mut Overview> {
        self.overviews
            .iter_mut()
            .rev()
            .find(|overview| MailboxName::same(overview.mailbox.name.wire(), mailbox.wire()))
    }

    fn hand_out(&mut self) {
        if let Some(overview) = self.overviews.pop_front() {
            (self.each)(overview);
        }
    }
}

/// Mailboxes whose replies stand in memory together, where each has to be asked about on its own.
const AT_A_TIME: usize = 5_000;

/// Mailboxes of which something may still be told; a server that tells it later than this is not listened to any more.
const MOST_WAITING: usize = 1_000;

impl Session {
    /// Calls `each` for every mailbox of a listing, with what is `wanted` of it; in one round trip where the server can do that. After a
    /// `Break` it hears of no more.
    ///
    /// # Errors
    /// The server lacks the extension for what is wanted; [`Error::Several`] where replies about some mailboxes could not be read, of which
    /// `each` has then heard without them; else as [`list_compact`](Self::list_compact).
    pub fn overview(
        &mut self,
        of: Listing,
        base: &MailboxName,
        pattern: &MailboxName,
        wanted: Wanted,
        mut each: impl FnMut(Overview) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        if wanted.rights {
            self.check_extension(&MyRights::new(pattern.clone()))?;
        }
        if !wanted.metadata.is_empty() {
            let request = GetMetadata::new(pattern.clone(), wanted.metadata.clone())?;
            self.check_extension(&request)?;
        }
        let capabilities = self.capabilities()?;
        let revision2 = capabilities.has("IMAP4rev2");
        let extended = capabilities.has("LIST-EXTENDED") || revision2;
        let with_status = !wanted.status || capabilities.has("LIST-STATUS") || revision2;
        let with_rights = !wanted.rights || capabilities.has("LIST-MYRIGHTS");
        let with_metadata = wanted.metadata.is_empty() || capabilities.has("LIST-METADATA");
        let special_use = capabilities.has("SPECIAL-USE");
        if !extended || !with_status || !with_rights || !with_metadata {
            return self.overview_by_pipeline(of, base, pattern, &wanted, each);
        }
        let status = match wanted.status {
            true => Some(self.status_request(pattern.clone())?),
            false => None,
        };
        let request = ListReturn {
            of,
            base: base.clone(),
            pattern: pattern.clone(),
            status,
            rights: wanted.rights,
            metadata: wanted.metadata.clone(),
            special_use,
        };
        let mut more = true;
        let mut waiting = Waiting {
            asked: Pattern::new(base.wire(), pattern.wire()),
            wanted,
            overviews: VecDeque::new(),
            each: |overview| {
                if more {
                    more = each(overview).is_continue();
                }
            },
        };
        let result = self.stream_to(request, &mut |data| waiting.take(data));
        while !waiting.overviews.is_empty() {
            waiting.hand_out();
        }
        result
    }

    /// The same for servers that have only STATUS, MYRIGHTS and GETMETADATA: a listing, and then so many of its mailboxes at a time.
    fn overview_by_pipeline(
        &mut self,
        of: Listing,
        base: &MailboxName,
        pattern: &MailboxName,
        wanted: &Wanted,
        mut each: impl FnMut(Overview) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let all = self.list_compact(of, base, pattern)?;
        let mut tally = Tally::default();
        let mut all = all.iter().peekable();
        while all.peek().is_some() {
            let listed = all.by_ref().take(AT_A_TIME);
            let mut overviews: Vec<Overview> = listed
                .map(|listed| Overview::new(listed.to_mailbox()))
                .collect();
            let mut failed = BTreeMap::new();
            if wanted.status {
                let ask = |session: &mut Session, mailbox| session.status_request(mailbox);
                let keep = |overview: &mut Overview, status| overview.status = Some(status);
                self.ask_of(&mut overviews, &mut failed, ask, keep)?;
            }
            if wanted.rights {
                let ask = |_: &mut Session, mailbox| Ok(MyRights::new(mailbox));
                let keep = |overview: &mut Overview, rights: Rights| {
                    overview.rights = Some(rights.rights);
                };
                self.ask_of(&mut overviews, &mut failed, ask, keep)?;
            }
            if !wanted.metadata.is_empty() {
                let ask =
                    |_: &mut Session, mailbox| GetMetadata::new(mailbox, wanted.metadata.clone());
                let keep = |overview: &mut Overview, metadata| overview.metadata = Some(metadata);
                self.ask_of(&mut overviews, &mut failed, ask, keep)?;
            }
            for (at, overview) in overviews.into_iter().enumerate() {
                let mailbox = overview.mailbox.name.clone();
                let result = failed.remove(&at).map_or(Ok(()), Err);
                tally.count(mailbox, (), result, |()| Outcome::Done, &mut |_, (), _| {});
                if each(overview).is_break() {
                    return Ok(());
                }
            }
        }
        tally.finish().map(drop)
    }

    /// Asks something of each of these mailboxes. What the server refuses to tell is left out, as with LIST-STATUS; what can't be read, and
    /// what it does not understand, goes into `failed`.
    fn ask_of<R: Request>(
        &mut self,
        overviews: &mut [Overview],
        failed: &mut BTreeMap<usize, Error>,
        ask: impl Fn(&mut Session, MailboxName) -> Result<R, Error>,
        keep: impl Fn(&mut Overview, R::Reply),
    ) -> Result<(), Error> {
        let mailboxes: Vec<(usize, MailboxName)> = overviews
            .iter()
            .enumerate()
            .filter(|(_, overview)| !overview.mailbox.is_only_a_name())
            .map(|(at, overview)| (at, overview.mailbox.name.clone()))
            .collect();
        let mut mailboxes = mailboxes.into_iter();
        let mut over = None;
        self.run_next(
            &mut Pace::default(),
            |session| {
                let next = mailboxes.next();
                Ok(next.map(|(at, mailbox)| (at, ask(session, mailbox))))
            },
            |at, result| {
                match (result, overviews.get_mut(at)) {
                    (Ok(reply), Some(overview)) => keep(overview, reply),
                    (Ok(_), None) => {}
                    (Err(error), _) if error.is_grave() => over = over.take().or(Some(error)),
                    (Err(Error::Refused(refusal)), _) if refusal.condition == Condition::No => {}
                    (Err(error), _) => drop(failed.entry(at).or_insert(error)),
                }
                ControlFlow::Continue(())
            },
        )?;
        over.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::response::{Response, Untagged, parse};

    /// What is handed out after each of the lines, and at the end.
    fn handed_out(wanted: Wanted, lines: &[&str]) -> Vec<(String, Option<u64>, Option<String>)> {
        let mut out = Vec::new();
        let mut waiting = Waiting {
            asked: Pattern::new(b"", b"*"),
            wanted,
            overviews: VecDeque::new(),
            each: |overview: Overview| {
                let messages = overview.status.map(|status| status.items[0].1);
                out.push((overview.mailbox.name.to_string(), messages, overview.rights));
            },
        };
        for line in lines {
            match parse(line.as_bytes()).unwrap() {
                Response::Untagged(Untagged::Data(data)) => {
                    waiting.take(&data).unwrap();
                }
                other => panic!("{other:?}"),
            }
        }
        while !waiting.overviews.is_empty() {
            waiting.hand_out();
        }
        out
    }

    #[test]
    fn what_is_told_comes_in_any_order_or_not_at_all() {
        let both = Wanted {
            status: true,
            rights: true,
            ..Wanted::default()
        };
        let out = handed_out(
            both,
            &[
                "* LIST () \".\" a",
                "* STATUS a (MESSAGES 1)",
                "* MYRIGHTS a lrs",
                "* LIST (\\Noselect) \".\" b",
                "* LIST () \".\" c",
                "* LIST () \".\" d",
                "* MYRIGHTS d lr",
                "* MYRIGHTS c l",
                "* STATUS d (MESSAGES 4)",
                "* STATUS elsewhere (MESSAGES 9)",
            ],
        );
        let row = |name: &str, messages, rights: Option<&str>| {
            (name.to_owned(), messages, rights.map(str::to_owned))
        };
        assert_eq!(
            out,
            [
                row("a", Some(1), Some("lrs")),
                row("b", None, None),
                row("c", None, Some("l")),
                row("d", Some(4), Some("lr")),
            ]
        );
    }
}
