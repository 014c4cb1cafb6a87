//! The selected mailbox and its messages: SELECT, EXAMINE, CLOSE, UNSELECT, EXPUNGE, and SEARCH for what these would remove.

use std::fmt;

use crate::error::{Advice, Error, Refusal};
use crate::session::{
    Effect, Extension, Fit, IntoMailbox, MailboxName, Request, Selected, Session, State,
};
use crate::wire::cursor::{Cursor, ParseError};
use crate::wire::encode::Encoder;
use crate::wire::response::{Data, Status};

use super::right_advice;

/// SELECT or EXAMINE (RFC 3501 sections 6.3.1 and 6.3.2).
#[derive(Debug, Clone)]
pub struct Select {
    selected: Selected,
    examine: bool,
}

impl Select {
    /// Opens a mailbox, or with `read_only` only examines it.
    pub fn new(mailbox: MailboxName, read_only: bool) -> Self {
        Self {
            selected: Selected::new(mailbox, read_only),
            examine: read_only,
        }
    }
}

impl Request for Select {
    type Reply = Selected;
    fn verb(&self) -> &'static str {
        if self.examine { "EXAMINE" } else { "SELECT" }
    }
    fn effect(&self) -> Effect {
        Effect::Session
    }
    fn alone(&self) -> bool {
        true
    }
    fn sent(&self, state: &mut State) {
        // Until it is answered nobody knows which mailbox EXPUNGE would mean.
        state.selected = None;
    }
    fn write(&self, command: &mut Encoder<'_>) {
        command
            .atom(self.verb())
            .space()
            .mailbox(self.selected.mailbox.wire());
    }
    fn take(&mut self, data: &Data<'_>, _: Fit<'_>) -> Result<bool, ParseError> {
        match data.number {
            Some(number) if data.is("EXISTS") => {
                data.body.expect_end()?;
                self.selected.exists = Some(number);
            }
            Some(number) if data.is("RECENT") => {
                data.body.expect_end()?;
                self.selected.recent = Some(number);
            }
            None if data.is("FLAGS") => self.selected.flags = Some(flags(data.body)?),
            _ => return Ok(false),
        }
        Ok(true)
    }
    fn take_status(&mut self, status: &Status<'_>) -> bool {
        let Some(code) = status.code else {
            return false;
        };
        let number = code.cursor().number();
        if code.is("UIDVALIDITY") {
            self.selected.uidvalidity = number;
        } else if code.is("UIDNEXT") {
            self.selected.uidnext = number;
        } else if code.is("UNSEEN") {
            self.selected.unseen = number;
        } else if code.is("PERMANENTFLAGS") {
            self.selected.permanent_flags = flags(code.cursor()).ok();
        } else {
            return false;
        }
        true
    }
    fn finish(mut self, ok: &Status<'_>, state: &mut State) -> Result<Selected, Error> {
        if let Some(code) = ok.code {
            if code.is("READ-ONLY") {
                self.selected.read_only = Some(true);
            } else if code.is("READ-WRITE") && !self.examine {
                self.selected.read_only = Some(false);
            }
        }
        state.selected = Some(self.selected.clone());
        Ok(self.selected)
    }
    fn refused(&self, refusal: &Refusal, _: &mut State) -> Option<Advice> {
        // Nothing is selected now (RFC 3501 section 6.3.1), as has been noted when it was sent.
        right_advice(refusal, 'r', Some(&self.selected.mailbox))
    }
}

fn flags(mut list: Cursor<'_>) -> Result<Vec<String>, ParseError> {
    let mut flags = Vec::new();
    list.expect_open()?;
    while list.close().is_none() {
        flags.push(String::from_utf8_lossy(list.expect_flag()?).into_owned());
        list.skip_spaces();
    }
    list.expect_end()?;
    Ok(flags)
}

/// Leaving a mailbox as it is.
const UNSELECT: Extension = Extension {
    name: "UNSELECT",
    implied_by: &["IMAP4rev2"],
    rfc: "RFC 3691",
};

/// CLOSE (RFC 3501 section 6.4.2) or UNSELECT (RFC 3691): both leave the selected mailbox; CLOSE also expunges it.
#[derive(Debug, Clone)]
pub struct Leave {
    /// `true` for CLOSE, which removes the messages flagged \Deleted unless the mailbox was only examined.
    pub expunge: bool,
}

impl Request for Leave {
    type Reply = ();
    fn verb(&self) -> &'static str {
        if self.expunge { "CLOSE" } else { "UNSELECT" }
    }
    fn effect(&self) -> Effect {
        if self.expunge {
            Effect::Change
        } else {
            Effect::Session
        }
    }
    fn extension(&self) -> Option<Extension> {
        (!self.expunge).then_some(UNSELECT)
    }
    fn alone(&self) -> bool {
        true
    }
    fn sent(&self, state: &mut State) {
        state.selected = None;
    }
    fn write(&self, command: &mut Encoder<'_>) {
        command.atom(self.verb());
    }
    fn finish(self, _: &Status<'_>, _: &mut State) -> Result<(), Error> {
        Ok(())
    }
}

/// More messages than any mailbox holds: a hostile server must not fill the memory.
const MOST_EXPUNGED: usize = 10_000_000;

/// More runs of numbers than any search finds.
const MOST_RUNS: usize = MOST_EXPUNGED / 2;

/// EXPUNGE (RFC 3501 section 6.4.3).
#[derive(Debug, Clone, Default)]
pub struct Expunge {
    numbers: Vec<u64>,
}

impl Request for Expunge {
    /// The numbers as the server gave them (RFC 3501 section 7.4.1): each one shifts those after it down by one.
    type Reply = Vec<u64>;
    fn verb(&self) -> &'static str {
        "EXPUNGE"
    }
    fn effect(&self) -> Effect {
        Effect::Change
    }
    fn alone(&self) -> bool {
        true
    }
    fn write(&self, command: &mut Encoder<'_>) {
        command.atom("EXPUNGE");
    }
    fn take(&mut self, data: &Data<'_>, _: Fit<'_>) -> Result<bool, ParseError> {
        match data.number {
            // EXPUNGED is what GNU Mailutils says.
            Some(number) if data.is("EXPUNGE") || data.is("EXPUNGED") => {
                data.body.expect_end()?;
                if self.numbers.len() >= MOST_EXPUNGED {
                    return Err(data.body.error("fewer EXPUNGE responses"));
                }
                self.numbers.push(number);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
    fn finish(self, _: &Status<'_>, _: &mut State) -> Result<Vec<u64>, Error> {
        Ok(self.numbers)
    }
    fn refused(&self, refusal: &Refusal, state: &mut State) -> Option<Advice> {
        let selected = state.selected().map(|selected| &selected.mailbox);
        right_advice(refusal, 'e', selected)
    }
}

/// Numbers of messages in the selected mailbox, in ascending order. A long run of them takes no more room than one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Numbers {
    /// The first and the last of each run.
    runs: Vec<(u64, u64)>,
}

impl Numbers {
    /// Adds what may be in any order, and twice.
    fn add(&mut self, first: u64, last: u64) {
        let (first, last) = (first.min(last), first.max(last));
        match self.runs.last_mut() {
            // The next one, as in most replies.
            Some((begin, end)) if *begin <= first && first <= end.saturating_add(1) => {
                *end = last.max(*end);
            }
            _ => self.runs.push((first, last)),
        }
    }

    /// That there are not more than any mailbox has, before more are added.
    fn check(&self, at: Cursor<'_>) -> Result<(), ParseError> {
        if self.runs.len() > MOST_RUNS {
            return Err(at.error("fewer message numbers"));
        }
        Ok(())
    }

    /// Brings the runs into order.
    fn in_order(mut self) -> Self {
        self.runs.sort_unstable();
        let mut numbers = Self::default();
        for (first, last) in self.runs {
            numbers.add(first, last);
        }
        numbers
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        let lengths = self.runs.iter().map(|(first, last)| last - first);
        lengths.fold(0, |sum, length| {
            sum.saturating_add(length).saturating_add(1)
        })
    }

    /// The first and the last of each run of numbers.
    pub fn runs(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.runs.iter().copied()
    }
}

/// `2, 4-7`.
impl fmt::Display for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (first, last)) in self.runs.iter().enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            if first == last {
                write!(f, "{comma}{first}")?;
            } else {
                write!(f, "{comma}{first}-{last}")?;
            }
        }
        Ok(())
    }
}

/// SEARCH with RETURN.
const ESEARCH: Extension = Extension {
    name: "ESEARCH",
    implied_by: &["IMAP4rev2"],
    rfc: "RFC 4731",
};

/// Messages that one SEARCH looks at, so that its reply fits into one response of a length that is accepted.
const SEARCHED: u64 = 100_000;

/// SEARCH DELETED (RFC 3501 section 6.4.4) in a part of the selected mailbox, with ESEARCH (RFC 4731) where the server has it.
#[derive(Debug, Clone)]
struct SearchDeleted {
    /// The first and the last message to look at; no last one is the end of the mailbox, and neither is all of it.
    part: Option<(u64, Option<u64>)>,
    extended: bool,
    found: Option<Numbers>,
}

impl Request for SearchDeleted {
    type Reply = Numbers;
    fn verb(&self) -> &'static str {
        "SEARCH"
    }
    fn effect(&self) -> Effect {
        Effect::Read
    }
    fn alone(&self) -> bool {
        // Its numbers are those of this moment.
        true
    }
    fn write(&self, command: &mut Encoder<'_>) {
        command.atom("SEARCH").space();
        if self.extended {
            command.atom("RETURN").space().open().atom("ALL").close();
            command.space();
        }
        match self.part {
            Some((first, Some(last))) => command.atom(&format!("{first}:{last}")).space(),
            Some((first, None)) => command.text(format!("{first}:*").as_bytes()).space(),
            None => command,
        };
        command.atom("DELETED");
    }
    fn take(&mut self, data: &Data<'_>, _: Fit<'_>) -> Result<bool, ParseError> {
        let mut body = data.body;
        if data.number.is_some() {
            return Ok(false);
        }
        if data.is("SEARCH") {
            let found = self.found.get_or_insert_default();
            found.check(body)?;
            body.skip_spaces();
            while let Some(number) = body.number() {
                found.add(number, number);
                body.skip_spaces();
            }
            // CONDSTORE's (MODSEQ …) may follow.
            if body.peek() == Some(b'(') {
                body.expect_value()?;
            }
            body.expect_end()?;
        } else if data.is("ESEARCH") {
            let found = self.found.get_or_insert_default();
            found.check(body)?;
            body.skip_spaces();
            if body.peek() == Some(b'(') {
                body.expect_value()?;
                body.skip_spaces();
            }
            while !body.is_end() {
                let item = body.expect_atom()?;
                body.expect_space()?;
                if item.eq_ignore_ascii_case(b"ALL") {
                    let set = body.expect_atom()?;
                    let expected = body.error("a set of message numbers");
                    read_set(set, found).ok_or(expected)?;
                } else {
                    body.expect_value()?;
                }
                body.skip_spaces();
            }
        } else {
            return Ok(false);
        }
        Ok(true)
    }
    fn finish(self, _: &Status<'_>, _: &mut State) -> Result<Numbers, Error> {
        let found = self.found.ok_or(Error::Missing {
            verb: "SEARCH",
            missing: "SEARCH",
            advice: Advice::TryAgain,
        })?;
        Ok(found.in_order())
    }
    fn refused(&self, refusal: &Refusal, state: &mut State) -> Option<Advice> {
        let selected = state.selected().map(|selected| &selected.mailbox);
        right_advice(refusal, 'r', selected)
    }
}

/// Reads `2,4:7` (RFC 3501 section 9, sequence-set without `*`).
fn read_set(set: &[u8], numbers: &mut Numbers) -> Option<()> {
    for run in std::str::from_utf8(set).ok()?.split(',') {
        let (first, last) = run.split_once(':').unwrap_or((run, run));
        numbers.add(first.parse().ok()?, last.parse().ok()?);
    }
    Some(())
}

impl Session {
    /// The messages of the selected mailbox that are flagged \Deleted, which [`expunge`](Self::expunge) and [`close`](Self::close) would
    /// remove (RFC 3501 section 6.4.4).
    ///
    /// # Errors
    /// Nothing is selected, or the server's refusal.
    pub fn flagged_deleted(&mut self) -> Result<Numbers, Error> {
        self.require_selected()?;
        let extended = self.known_capabilities()?.offers(&ESEARCH);
        // Dovecot and Cyrus search what they last told of the mailbox, but expunge what others have flagged since.
        self.noop()?;
        // Where the server has not said how many there are, or what can't be, it is asked about all at once.
        let exists = self.state().selected().and_then(|s| s.exists);
        let messages = exists
            .filter(|&messages| messages <= MOST_EXPUNGED as u64)
            .unwrap_or(0);
        let mut all = Numbers::default();
        let mut first = 1;
        loop {
            let last = first + SEARCHED - 1;
            let part = match (first, last < messages) {
                (1, false) => None,
                (first, false) => Some((first, None)),
                (first, true) => Some((first, Some(last))),
            };
            let found = self.run(SearchDeleted {
                part,
                extended,
                found: None,
            })?;
            for (first, last) in found.runs() {
                all.add(first, last);
            }
            if last >= messages {
                return Ok(all.in_order());
            }
            first = last + 1;
        }
    }

    /// Selects a mailbox to read and change it (RFC 3501 section 6.3.1).
    ///
    /// # Errors
    /// The server's refusal; nothing is selected then.
    pub fn select(&mut self, mailbox: impl IntoMailbox) -> Result<Selected, Error> {
        self.run(Select::new(mailbox.into_mailbox()?, false))
    }

    /// Selects a mailbox only to read it (RFC 3501 section 6.3.2).
    ///
    /// # Errors
    /// The server's refusal; nothing is selected then.
    pub fn examine(&mut self, mailbox: impl IntoMailbox) -> Result<Selected, Error> {
        self.run(Select::new(mailbox.into_mailbox()?, true))
    }

    /// Leaves the selected mailbox and removes its messages flagged \Deleted (RFC 3501 section 6.4.2).
    ///
    /// # Errors
    /// Nothing is selected, or the server's refusal.
    pub fn close(&mut self) -> Result<(), Error> {
        self.require_selected()?;
        self.run(Leave { expunge: true })
    }

    /// Whether the server can leave a mailbox as it is ([`unselect`](Self::unselect)).
    ///
    /// # Errors
    /// The capabilities had to be asked for, and could not be had.
    pub fn has_unselect(&mut self) -> Result<bool, Error> {
        Ok(self.known_capabilities()?.offers(&UNSELECT))
    }

    /// Leaves the selected mailbox and changes nothing in it (RFC 3691).
    ///
    /// # Errors
    /// Nothing is selected, the server has no UNSELECT, or its refusal.
    pub fn unselect(&mut self) -> Result<(), Error> {
        self.require_selected()?;
        self.run(Leave { expunge: false })
    }

    /// Removes the messages flagged \Deleted from the selected mailbox (RFC 3501 section 6.4.3).
    ///
    /// Returns the numbers as the server gave them: each one shifts those after it down by one, so `3, 3` are messages 3 and 4.
    ///
    /// # Errors
    /// Nothing is selected, or the server's refusal.
    pub fn expunge(&mut self) -> Result<Vec<u64>, Error> {
        self.require_selected()?;
        // Dovecot says OK and removes nothing.
        if self
            .state()
            .selected()
            .is_some_and(|selected| selected.read_only == Some(true))
        {
            return Err(Error::Usage(
                "the mailbox is selected read-only, so nothing can be removed from it; select it read-write".into(),
            ));
        }
        self.run(Expunge::default())
    }

    fn require_selected(&mut self) -> Result<(), Error> {
        self.settle()?;
        if self.state().selected().is_none() {
            Err(Error::NothingSelected)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::response::{Response, Untagged, parse};

    fn found(lines: &[&str]) -> Result<Numbers, ParseError> {
        let mut search = SearchDeleted {
            part: None,
            extended: false,
            found: None,
        };
        for line in lines {
            match parse(line.as_bytes()).unwrap() {
                Response::Untagged(Untagged::Data(data)) => {
                    assert!(search.take(&data, Fit::Exact)?, "{line}");
                }
                other => panic!("{other:?}"),
            }
        }
        Ok(search.found.unwrap().in_order())
    }

    #[test]
    fn every_form_of_a_search_reply() {
        for (lines, numbers, count) in [
            (&["* SEARCH"][..], "", 0),
            (&["* SEARCH 2 4 5 6 9"], "2, 4-6, 9", 5),
            (&["* SEARCH  7 "], "7", 1),
            (&["* SEARCH 5 3 4 3", "* SEARCH 1"], "1, 3-5", 4),
            (&["* SEARCH 2 3 (MODSEQ 917162500)"], "2-3", 2),
            (&["* ESEARCH (TAG \"a3\") ALL 2,4:6"], "2, 4-6", 4),
            (&["* ESEARCH (TAG \"a3\")"], "", 0),
            (&["* ESEARCH (TAG \"a3\") COUNT 2 ALL 6:5"], "5-6", 2),
            (&["* ESEARCH ALL 1:1000000"], "1-1000000", 1_000_000),
        ] {
            let numbers_found = found(lines).unwrap_or_else(|error| panic!("{lines:?}: {error}"));
            assert_eq!(numbers_found.to_string(), numbers, "{lines:?}");
            assert_eq!(numbers_found.count(), count, "{lines:?}");
        }
        let most = format!("* ESEARCH ALL 1:{0},1:{0}", u64::MAX);
        assert_eq!(found(&[&most]).unwrap().count(), u64::MAX);
    }

    #[test]
    fn a_search_reply_that_is_none_is_an_error() {
        for line in [
            "* SEARCH 1 two",
            "* ESEARCH (TAG \"a3\") ALL 1:x",
            "* ESEARCH (TAG \"a3\") ALL",
            "* ESEARCH (TAG \"a3\") ALL 1:*",
        ] {
            assert!(found(&[line]).is_err(), "{line}");
        }
    }
}
