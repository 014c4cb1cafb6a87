//! What the server can do, and which server it is.
//!
//! Here: CAPABILITY and the session's own ID, and when each is asked for. Not here: what is kept of the answers (`state`).

use crate::error::{Advice, Error};
use crate::wire::cursor::ParseError;
use crate::wire::encode::Encoder;
use crate::wire::response::{Data, Status};

use super::Session;
use super::request::{Effect, Fit, Request};
use super::state::{Capabilities, Extension, Software, State};

impl Session {
    /// That the server offers the extension that a request needs.
    ///
    /// # Errors
    /// [`Error::Unsupported`]; or its capabilities had to be asked for, and could not.
    pub fn check_extension<R: Request>(&mut self, request: &R) -> Result<(), Error> {
        match request.extension() {
            Some(extension) => self.require(request.verb(), extension),
            None => Ok(()),
        }
    }

    /// That a server offers an extension, asking for its capabilities if it has not told them.
    pub(crate) fn require(
        &mut self,
        what: &'static str,
        extension: Extension,
    ) -> Result<(), Error> {
        if self.known_capabilities()?.offers(&extension) {
            Ok(())
        } else if !self.state.is_authenticated() {
            // Most extensions are offered only to who is logged in.
            Err(Error::NotLoggedIn { what })
        } else {
            Err(Error::Unsupported {
                what,
                extension: extension.name,
                rfc: extension.rfc,
            })
        }
    }

    /// The capabilities, asked for only where the server has not told them.
    pub(crate) fn known_capabilities(&mut self) -> Result<&Capabilities, Error> {
        if self.state.capabilities.is_none() {
            self.run(Capability)?;
        }
        Ok(self.state.capabilities())
    }

    /// The capabilities before the login; a server that won't tell them can't be worked with.
    pub(super) fn first_capabilities(&mut self) -> Result<&Capabilities, Error> {
        match self.known_capabilities() {
            Err(Error::Refused(refusal)) => {
                let why = format!("it does not list its capabilities: {}", refusal.said());
                Err(Error::NotImap {
                    server: self.state.server.clone(),
                    why,
                    cause: None,
                })
            }
            Err(Error::Lost { cause, .. }) => Err(Error::LoginLost { cause }),
            Err(error) => Err(error),
            Ok(_) => Ok(self.state.capabilities()),
        }
    }

    /// Asks which server it is, where that matters to a request and only its ID can tell: the question goes along with the request, and so
    /// costs no time of its own.
    pub(super) fn ask_which_server<R: Request>(&mut self, request: &R) -> Result<(), Error> {
        if !request.depends_on_server() || request.alone() || !self.state.wants_id() {
            return Ok(());
        }
        self.ask_for_id()?;
        if !self.options.pipeline {
            self.hear_its_id();
        }
        Ok(())
    }

    /// Sends the question, once, also where there is no answer.
    fn ask_for_id(&mut self) -> Result<(), Error> {
        self.state.id = Some(String::new());
        let ticket = self.write(AskWhich)?;
        self.asked_id = Some(ticket.id);
        Ok(())
    }

    fn hear_its_id(&mut self) {
        if let Some(id) = self.asked_id.take() {
            // Whatever goes wrong meets the next command too.
            let _ = self.drive(id, None);
        }
    }

    /// Which server it is, where something depends on that: the answer to the question is waited for then.
    pub(crate) fn software(&mut self) -> Option<Software> {
        if self.state.software().is_none() {
            if self.state.wants_id() {
                // Whatever goes wrong meets the next command too.
                let _ = self.ask_for_id();
            }
            self.hear_its_id();
        }
        self.state.software()
    }

    /// [`software`](Self::software): whether it is Cyrus.
    pub(crate) fn is_cyrus(&mut self) -> bool {
        self.software() == Some(Software::Cyrus)
    }
}

/// CAPABILITY (RFC 3501 section 6.1.1); the session reads the response itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Capability;

impl Request for Capability {
    type Reply = ();
    fn verb(&self) -> &'static str {
        "CAPABILITY"
    }
    fn effect(&self) -> Effect {
        Effect::Read
    }
    fn write(&self, command: &mut Encoder<'_>) {
        command.atom("CAPABILITY");
    }
    fn take(&mut self, data: &Data<'_>, _: Fit<'_>) -> Result<bool, ParseError> {
        Ok(data.is("CAPABILITY"))
    }
    fn finish(self, _: &Status<'_>, state: &mut State) -> Result<(), Error> {
        if state.capabilities.is_none() {
            return Err(Error::Missing {
                verb: "CAPABILITY",
                missing: "CAPABILITY",
                advice: Advice::CheckHostAndPort,
            });
        }
        Ok(())
    }
}

/// ID (RFC 2971), for the server's name alone, and without saying ours: what the session has to know of it.
pub(super) struct AskWhich;

impl Request for AskWhich {
    type Reply = ();
    fn verb(&self) -> &'static str {
        "ID"
    }
    fn effect(&self) -> Effect {
        Effect::Session
    }
    fn write(&self, command: &mut Encoder<'_>) {
        command.atom("ID").space().atom("NIL");
    }
    fn take(&mut self, data: &Data<'_>, _: Fit) -> Result<bool, ParseError> {
        // The state reads it, whoever asked.
        Ok(data.is("ID"))
    }
    fn finish(self, _: &Status<'_>, _: &mut State) -> Result<(), Error> {
        Ok(())
    }
}
