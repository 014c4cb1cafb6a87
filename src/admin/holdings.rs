//! What many mailboxes hold together: how many messages, and how large they are. Whoever deletes them wants to know before.
//!
//! STATUS in the pipeline, for a limited time; where STATUS is refused, Cyrus still tells its administrator the size, as metadata. Not here:
//! which mailboxes these are (`many`), and the counts of each (`overview`).

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use crate::account::Outcome;
use crate::error::{Error, Refusal};
use crate::session::{MailboxName, Pace, Request, Session};

use super::mailbox::MailboxStatus;
use super::many::Targets;
use super::metadata::GetMetadata;

/// Cyrus's entry for the size of a mailbox in bytes.
const CYRUS_SIZE: &str = "/shared/vendor/cmu/cyrus-imapd/size";

/// What mailboxes hold together, as far as the server tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holdings {
    /// How many mailboxes there are, without names that are none.
    pub mailboxes: u64,
    /// Of how many of them the server was asked before the time was over.
    pub asked: u64,
    /// Of how many it told the messages.
    pub counted: u64,
    /// The messages in these.
    pub messages: u64,
    /// Of how many it told the size.
    pub sized: u64,
    /// The bytes in these.
    pub bytes: u64,
    /// How the server refused STATUS, the first time it did.
    pub refusal: Option<Refusal>,
}

impl Holdings {
    fn add(&mut self, status: &MailboxStatus) -> bool {
        let item = |name: &str| {
            let found = status.items.iter().find(|(item, _)| item == name);
            found.map(|(_, number)| *number)
        };
        if let Some(messages) = item("MESSAGES") {
            self.counted += 1;
            self.messages = self.messages.saturating_add(messages);
        }
        let bytes = item("SIZE");
        self.add_size(bytes);
        bytes.is_some()
    }

    fn add_size(&mut self, bytes: Option<u64>) {
        if let Some(bytes) = bytes {
            self.sized += 1;
            self.bytes = self.bytes.saturating_add(bytes);
        }
    }
}

impl Session {
    /// Counts the messages in many mailboxes for at most `limit`; `step` hears of each mailbox as it is counted. Mailboxes of which the
    /// server doesn't tell are left out of the sums, and so are those that there was no time for.
    ///
    /// # Errors
    /// The connection was lost, or the user interrupted. Nothing was changed.
    pub fn holdings(
        &mut self,
        targets: &Targets,
        limit: Duration,
        mut step: impl FnMut(),
    ) -> Result<Holdings, Error> {
        let end = Instant::now().checked_add(limit);
        let mut holdings = Holdings {
            mailboxes: targets.mailboxes(),
            ..Holdings::default()
        };
        let names = || {
            let listed = targets.iter().filter(|listed| !listed.is_only_a_name());
            listed.map(|listed| MailboxName::from_wire(&listed.mailbox))
        };
        let mut unsized_ones = Vec::new();
        // Its capabilities decide what to ask for; they are asked for at most once.
        let status = self.status_request(MailboxName::from_wire(b""))?.brief();
        self.read_each(
            end,
            (0_usize..)
                .zip(names())
                .map(|(at, mailbox)| (at, status.clone().of(mailbox))),
            |at, result| {
                step();
                holdings.asked += 1;
                let sized = match result {
                    Ok(status) => holdings.add(&status),
                    Err(error) => {
                        if let (Error::Refused(refusal), None) = (error, &holdings.refusal) {
                            holdings.refusal = Some(*refusal);
                        }
                        false
                    }
                };
                if !sized {
                    unsized_ones.push(at);
                }
            },
        )?;
        let is_told = self.is_cyrus() && self.known_capabilities()?.has("METADATA");
        if is_told && !unsized_ones.is_empty() {
            let mut wanted = unsized_ones.into_iter().peekable();
            let these = (0_usize..)
                .zip(names())
                .filter(|(at, _)| wanted.next_if_eq(at).is_some());
            let requests = these.filter_map(|(_, mailbox)| {
                let request = GetMetadata::new(mailbox, [CYRUS_SIZE]);
                Some(((), request.ok()?))
            });
            self.read_each(end, requests, |(), result| {
                let value = result.ok().and_then(|metadata| {
                    let value = std::str::from_utf8(metadata.value(CYRUS_SIZE)?).ok()?;
                    value.parse().ok()
                });
                holdings.add_size(value);
            })?;
        }
        Ok(holdings)
    }

    /// Sends requests that only read until `end`, and tells `each` of every reply or refusal.
    fn read_each<R: Request, K>(
        &mut self,
        end: Option<Instant>,
        requests: impl IntoIterator<Item = (K, R)>,
        mut each: impl FnMut(K, Result<R::Reply, Error>),
    ) -> Result<(), Error> {
        let limit = match end {
            Some(end) => end.saturating_duration_since(Instant::now()),
            None => return Ok(()),
        };
        if limit.is_zero() {
            return Ok(());
        }
        let mut requests = requests.into_iter();
        let mut verb = "a command";
        let mut lost = None;
        let sent = self.within(limit, |session| {
            session.run_next(
                &mut Pace::default(),
                |_| {
                    let next = requests.next().map(|(key, request)| (key, Ok(request)));
                    if let Some((_, Ok(request))) = &next {
                        verb = R::verb(request);
                    }
                    Ok(next)
                },
                |key, result| match result {
                    Err(error) if error.is_grave() => {
                        lost = lost.take().or(error.ends_session().then_some(error));
                        ControlFlow::Break(())
                    }
                    result => {
                        each(key, result);
                        ControlFlow::Continue(())
                    }
                },
            )
        });
        if self.options().interrupt.raised() {
            return Err(Error::Interrupted {
                verb,
                outcome: Outcome::Failed,
            });
        }
        match lost.or(sent.err().filter(Error::ends_session)) {
            Some(error) => Err(error),
            // What there was no time for.
            None => Ok(()),
        }
    }
}
