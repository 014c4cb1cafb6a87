//! A request is a value: one IMAP command that knows how to write itself, which responses are its own, and its reply.
//!
//! Lives here: the trait [`Request`] and what it speaks of. Not here: any actual command (`admin` holds those, and the
//! session's own are next to what needs them), nor how requests travel (`pipeline`).

use crate::account::Outcome;
use crate::error::{Advice, Error, Refusal};
use crate::wire::cursor::ParseError;
use crate::wire::encode::Encoder;
use crate::wire::response::{Data, Status};

use super::alias;
use super::name::MailboxName;
use super::state::{Extension, State};

/// What a request does to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It only reads, and its reply is what it is for: a reply that lacks anything is an error. Losing it loses nothing.
    Read,
    /// It changes nothing that outlasts the session, and whether it was done is all that counts: LOGIN, SELECT, NOOP.
    Session,
    /// It changes something that outlasts the session: a lost answer leaves unknown whether it was done.
    Change,
}

impl Effect {
    /// What became of a request of this kind that was sent and never answered.
    pub(crate) fn unanswered(self) -> Outcome {
        match self {
            Effect::Change => Outcome::Unknown,
            Effect::Read | Effect::Session => Outcome::Failed,
        }
    }
}

/// How closely an untagged response must fit before a request takes it: the kind of response, and the name in it.
#[derive(Debug, Clone, Copy)]
pub enum Fit<'s> {
    /// The mailbox or root that was asked about.
    Exact,
    /// Another name that may be the same mailbox's, with what the session knows: servers rewrite names (INBOX, virtual domains). A response
    /// that fits exactly comes before it, and after it still counts more.
    Alias(&'s State),
}

impl Fit<'_> {
    /// Whether a response about the mailbox or root `told` fits the question about `asked`.
    pub fn is_about(&self, told: &[u8], asked: &[u8]) -> bool {
        match self {
            Fit::Exact => MailboxName::same(told, asked),
            Fit::Alias(state) => alias::may_be_same(told, asked, state),
        }
    }

    /// Whether only the very name fits.
    pub fn is_exact(&self) -> bool {
        matches!(self, Fit::Exact)
    }
}

/// What to say to a server that asks for more with a `+` (RFC 3501 section 7.5).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Continuation {
    /// There is nothing more: the exchange is cancelled with a single `*`. Where the server then refuses the command, that is an
    /// [`Error::UnexpectedContinuation`], and the session goes on.
    Cancel,
    /// This line, without its line end. It goes to the trace as it is: it is no place for secrets.
    Send(Vec<u8>),
    /// Nothing yet: [`Session::proceed`](super::Session::proceed) sends the line later, as DONE ends an IDLE (RFC 2177). The server may be
    /// silent until then for as long as it likes.
    Hold,
}

/// One IMAP command, as a value.
///
/// # Who is asked, and when
/// A response goes to the requests in flight, the oldest first. All are asked with [`Fit::Exact`] before any is asked with [`Fit::Alias`], so
/// a response about `INBOX` goes to whoever asked about INBOX before it goes to whoever asked about `user.bob`, which may be the same
/// mailbox. [`take`](Self::take) is called once for each of these rounds until one request takes the response; it must leave alone what is
/// not its own, as a response may be unsolicited. A request that was given up on still takes its responses.
///
/// [`finish`](Self::finish) or [`refused`](Self::refused) comes last, with the tagged response; neither does where the connection is lost.
///
/// # How it travels
/// [`Session::submit`](super::Session::submit) sends it and [`Session::wait`](super::Session::wait) returns its reply;
/// [`Session::run`](super::Session::run) does both.
pub trait Request: Send + 'static {
    /// What a tagged OK and the untagged responses before it amount to.
    type Reply: Send + 'static;

    /// The command's name, such as `GETACL`.
    fn verb(&self) -> &'static str;

    /// Whether it changes anything.
    fn effect(&self) -> Effect;

    /// The extension that it needs.
    fn extension(&self) -> Option<Extension> {
        None
    }

    /// Whether nothing else may be in flight with it: commands that change what others mean.
    fn alone(&self) -> bool {
        false
    }

    /// The commands that may not be in flight with it, because nothing in their responses tells whose they are.
    fn rivals(&self) -> &'static [&'static str] {
        &[]
    }

    /// The mailbox or quota root that its responses are about. Another name that may be the same one's is not asked about at the same time.
    fn subject(&self) -> Option<&MailboxName> {
        None
    }

    /// Whether what its responses mean differs between servers, so that the session should know which one it is.
    fn depends_on_server(&self) -> bool {
        false
    }

    /// Writes the command, from its name on.
    fn write(&self, command: &mut Encoder<'_>);

    /// The request is on its way: what the session can't be sure of any more goes out of `state`.
    fn sent(&self, state: &mut State) {
        let _ = state;
    }

    /// The server asks for more with a `+` and this text. Literals are the session's own business; this is for commands that are a
    /// dialogue, such as IDLE. Such a command has to be [`alone`](Self::alone), or nobody could tell which one the server asks about.
    fn on_continue(&mut self, text: &[u8]) -> Continuation {
        let _ = text;
        Continuation::Cancel
    }

    /// Takes an untagged response if it is this request's own: `Ok(true)` when it was.
    ///
    /// # Errors
    /// A response of this request's kind that can't be read. The session counts it, and a reply that lacks it is never
    /// passed off as whole.
    fn take(&mut self, data: &Data<'_>, fit: Fit<'_>) -> Result<bool, ParseError> {
        let _ = (data, fit);
        Ok(false)
    }

    /// Takes an untagged OK if it is this request's own: `true` when it was.
    fn take_status(&mut self, status: &Status<'_>) -> bool {
        let _ = status;
        false
    }

    /// The reply, after a tagged OK; what the session has to remember of it goes into `state`.
    ///
    /// # Errors
    /// [`Error::Missing`] where the response that the command is for never came.
    fn finish(self, ok: &Status<'_>, state: &mut State) -> Result<Self::Reply, Error>;

    /// What a reply means: [`Outcome::Done`], or [`Outcome::Unchanged`] where everything already was as asked.
    fn outcome(reply: &Self::Reply) -> Outcome {
        let _ = reply;
        Outcome::Done
    }

    /// After a tagged NO or BAD: what the session has to remember goes into `state`; returns what to do next.
    fn refused(&self, refusal: &Refusal, state: &mut State) -> Option<Advice> {
        let _ = (refusal, state);
        None
    }
}

/// A request whose responses can be had one by one as they come, so that none has to be kept; see
/// [`Session::stream`](super::Session::stream).
pub trait Streamed: Request {
    /// What one response is read into.
    type Item<'d>;

    /// Reads one response. `Ok(None)` leaves it to the session: it is not this request's.
    ///
    /// # Errors
    /// As [`take`](Request::take).
    fn item<'d>(data: &Data<'d>) -> Result<Option<Self::Item<'d>>, ParseError>;
}

/// A command without arguments that changes nothing and whose OK is all its reply: NOOP, STARTTLS, LOGOUT.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bare(pub(crate) &'static str);

impl Request for Bare {
    type Reply = ();
    fn verb(&self) -> &'static str {
        self.0
    }
    fn effect(&self) -> Effect {
        Effect::Session
    }
    fn alone(&self) -> bool {
        true
    }
    fn write(&self, command: &mut Encoder<'_>) {
        command.atom(self.0);
    }
    fn finish(self, _: &Status<'_>, _: &mut State) -> Result<(), Error> {
        Ok(())
    }
}
