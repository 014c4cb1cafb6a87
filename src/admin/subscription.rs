//! Subscriptions: SUBSCRIBE and UNSUBSCRIBE. The list of them is a listing, in `mailbox`.

use crate::error::{Advice, Error, Reason, Refusal};
use crate::session::{Effect, IntoMailbox, MailboxName, Request, Session, State};
use crate::wire::encode::Encoder;
use crate::wire::response::Status;

/// SUBSCRIBE or UNSUBSCRIBE (RFC 3501 sections 6.3.6 and 6.3.7).
#[derive(Debug, Clone)]
pub struct Subscribe {
    /// The mailbox.
    pub mailbox: MailboxName,
    /// `true` subscribes, `false` unsubscribes.
    pub subscribed: bool,
}

impl Request for Subscribe {
    type Reply = ();
    fn verb(&self) -> &'static str {
        if self.subscribed {
            "SUBSCRIBE"
        } else {
            "UNSUBSCRIBE"
        }
    }
    fn effect(&self) -> Effect {
        Effect::Change
    }
    fn write(&self, command: &mut Encoder<'_>) {
        command
            .atom(self.verb())
            .space()
            .mailbox(self.mailbox.wire());
    }
    fn finish(self, _: &Status<'_>, _: &mut State) -> Result<(), Error> {
        Ok(())
    }
    fn refused(&self, refusal: &Refusal, _: &mut State) -> Option<Advice> {
        refusal
            .is(Reason::NoSuchMailbox)
            .then_some(Advice::LookForName)
    }
}

impl Session {
    /// Adds a mailbox to the logged-in user's subscriptions (RFC 3501 section 6.3.6).
    ///
    /// # Errors
    /// The server's refusal.
    pub fn subscribe(&mut self, mailbox: impl IntoMailbox) -> Result<(), Error> {
        self.run(Subscribe {
            mailbox: mailbox.into_mailbox()?,
            subscribed: true,
        })
    }

    /// Takes a mailbox out of the logged-in user's subscriptions (RFC 3501 section 6.3.7).
    ///
    /// # Errors
    /// The server's refusal.
    pub fn unsubscribe(&mut self, mailbox: impl IntoMailbox) -> Result<(), Error> {
        self.run(Subscribe {
            mailbox: mailbox.into_mailbox()?,
            subscribed: false,
        })
    }
}
