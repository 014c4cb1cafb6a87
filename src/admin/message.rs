//! The selected mailbox and its messages: SELECT, EXAMINE, CLOSE, UNSELECT, EXPUNGE.

use crate::error::{Error, Refusal};
use crate::session::{
    Effect, Extension, Fit, IntoMailbox, MailboxName, Request, Selected, Session, State,
};
use crate::wire::cursor::{Cursor, ParseError};
use crate::wire::encode::Encoder;
use crate::wire::response::{Data, Status};

use super::is_denied;
use super::mailbox::read_advice;

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
            .astring(self.selected.mailbox.wire());
    }
    fn take(&mut self, data: &Data<'_>, _: Fit) -> Result<bool, ParseError> {
        match data.number {
            Some(number) if data.is("EXISTS") => self.selected.exists = Some(number),
            Some(number) if data.is("RECENT") => self.selected.recent = Some(number),
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
    fn refused(&self, refusal: &Refusal, _: &mut State) -> Option<String> {
        // Nothing is selected now (RFC 3501 section 6.3.1), as has been noted when it was sent.
        read_advice(refusal)
    }
}

fn flags(mut list: Cursor<'_>) -> Result<Vec<String>, ParseError> {
    let mut flags = Vec::new();
    list.expect_open()?;
    while list.close().is_none() {
        flags.push(String::from_utf8_lossy(list.expect_flag()?).into_owned());
        list.skip_spaces();
    }
    Ok(flags)
}

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
        (!self.expunge).then_some(Extension {
            name: "UNSELECT",
            implied_by: &["IMAP4rev2"],
            rfc: "RFC 3691",
        })
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
    fn take(&mut self, data: &Data<'_>, _: Fit) -> Result<bool, ParseError> {
        match data.number {
            Some(number) if data.is("EXPUNGE") => {
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
    fn refused(&self, refusal: &Refusal, _: &mut State) -> Option<String> {
        is_denied(refusal).then(|| {
            "You need the right e (expunge) on it, and it must be selected, not examined".into()
        })
    }
}

impl Session {
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
                "the mailbox is only examined, so nothing can be removed from it; select it".into(),
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
