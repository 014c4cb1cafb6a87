//! The end of a login or of the session: UNAUTHENTICATE (RFC 8437) and LOGOUT (RFC 3501 section 6.1.3).

use std::time::Duration;

use crate::error::Error;
use crate::wire::encode::Encoder;
use crate::wire::response::Status;

use super::Session;
use super::receive::learn;
use super::request::{Bare, Effect, Request};
use super::state::{Extension, State};

/// How long the answer to LOGOUT, and to what was given up on before, is waited for.
const FAREWELL: Duration = Duration::from_secs(2);

impl Session {
    /// Makes the session nobody's again; somebody else can then log in on the same connection (UNAUTHENTICATE, RFC 8437).
    ///
    /// # Errors
    /// The server lacks it, or refuses; the session is then as it was. [`Error::Usage`] on a compressed connection: Cyrus 3.6 takes what
    /// follows for uncompressed, and another server may not.
    pub fn unauthenticate(&mut self) -> Result<(), Error> {
        if self.state.channel.compressed {
            return Err(Error::Usage(
                "the connection is compressed, and servers differ in whether it stays so after UNAUTHENTICATE; connect again instead"
                    .into(),
            ));
        }
        self.run(Unauthenticate)
    }

    /// LOGOUT, to its answer. Some servers send no more than their BYE, so nothing is waited for behind that.
    fn say_goodbye(&mut self) -> Result<(), Error> {
        let ticket = self.submit(Bare("LOGOUT"))?;
        self.flush()?;
        while !self.pipeline.is_done(ticket.id) && self.state.bye.is_none() {
            self.pump(None)?;
        }
        while self.is_open() && !self.pipeline.is_empty() {
            match self.link.try_receive() {
                Ok(Some(frame)) => drop(self.deal(frame, &mut None)),
                _ => break,
            }
        }
        Ok(())
    }

    /// Ends the session politely: LOGOUT, and its answer if it comes (RFC 3501 section 6.1.3).
    pub fn logout(&mut self) {
        if self.is_open() {
            // The answer does not matter: the session ends either way.
            let _ = self.within(FAREWELL, Self::say_goodbye);
            self.give_up("logged out");
        }
    }
}

/// UNAUTHENTICATE (RFC 8437 section 4).
struct Unauthenticate;

impl Request for Unauthenticate {
    type Reply = ();
    fn verb(&self) -> &'static str {
        "UNAUTHENTICATE"
    }
    fn effect(&self) -> Effect {
        Effect::Session
    }
    fn extension(&self) -> Option<Extension> {
        Some(Extension {
            name: "UNAUTHENTICATE",
            implied_by: &[],
            rfc: "RFC 8437",
        })
    }
    fn alone(&self) -> bool {
        true
    }
    fn write(&self, command: &mut Encoder<'_>) {
        command.atom("UNAUTHENTICATE");
    }
    fn finish(self, status: &Status<'_>, state: &mut State) -> Result<(), Error> {
        state.forget_user();
        // Its OK may tell what is offered now (RFC 8437 section 4).
        learn(state, status);
        Ok(())
    }
}
