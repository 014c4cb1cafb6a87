//! The one persistent session: greeting, STARTTLS, login, the pipeline, and the state that outlives each command.
//!
//! Lives here: [`Session`] and how requests travel. Not here: what any command means — `admin` adds those to [`Session`]
//! as methods, over [`Session::run`] and [`Session::submit`].

mod alias;
mod flow;
mod link;
mod login;
mod name;
mod pipeline;
mod request;
mod secrets;
mod state;
mod utf8;
mod waiting;

use std::time::{Duration, Instant};

use crate::account::Outcome;
use crate::error::Error;
use crate::net::{Address, Interrupt, Security, Timeouts, TlsOptions};
use crate::wire::cursor::ParseError;
use crate::wire::encode::{Encoder, Literals};
use crate::wire::frame::Frame;
use crate::wire::response::{self, Code, Condition, Data, Response, Status, Untagged};

pub(crate) use flow::Next;
pub use flow::Pace;
pub use link::{Direction, Trace};
pub use name::{IntoMailbox, MailboxName, RAW};
pub use pipeline::Ticket;
pub(crate) use request::Bare;
pub use request::{Effect, Fit, Request};
pub(crate) use state::Software;
pub use state::{Capabilities, Extension, Namespace, Namespaces, Notice, Selected, State, Stray};
pub use waiting::{Waiting, Watch};

use crate::net::{IoError, TlsError};
use link::{Link, LinkError};
use pipeline::{Pipeline, Subject};
use waiting::Progress;

/// The bytes of unanswered commands that may be under way at once: over a round trip of 20 ms as many as a fast server answers meanwhile.
///
/// The buffers on the way need not hold that much, see [`Session::flush`].
const WINDOW: usize = 256 * 1024;
/// Commands are gathered up to this many bytes before they are written.
const BATCH: usize = 8 * 1024;

/// The bytes of responses that may stand in memory before anybody asks for the replies that they make up; see [`Session::is_full`].
const MOST_HELD: usize = 4 * 1024 * 1024;

/// Responses that are dealt with between two tries to send the rest of a batch.
const AT_A_TIME: usize = 1_000;

/// How long an answer on its way is still waited for when the user interrupts.
const GRACE: Duration = Duration::from_secs(1);

/// How to reach a server.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where it is.
    pub address: Address,
    /// TLS from the start, STARTTLS, or cleartext.
    pub security: Security,
    /// What TLS trusts and shows.
    pub tls: TlsOptions,
    /// Time limits on connecting and on each read.
    pub timeouts: Timeouts,
    /// Whether a password may cross a network in cleartext.
    pub allow_cleartext: bool,
    /// The hierarchy separator of a server that won't say.
    pub separator: Option<u8>,
    /// Whether [`Session::run_each`] sends requests before the ones before them are answered. Without, each waits its turn, for a server
    /// that can't stand it, or to find out whether it can.
    pub pipeline: bool,
    /// Whether both directions are compressed once somebody is logged in (COMPRESS=DEFLATE, RFC 4978), where the server can do that. What
    /// is compressed tells by its length something of what is in it, also to who can't read it for TLS; secrets are left out of it.
    pub compress: bool,
    /// Ends a wait when it is raised.
    pub interrupt: Interrupt,
}

impl Options {
    /// The defaults for a server: STARTTLS, verified certificates, 30 s. On a Unix socket no TLS: it is as private, and has no name
    /// that a certificate could be for.
    pub fn new(address: Address) -> Self {
        Self {
            security: match address {
                Address::Tcp { .. } => Security::StartTls,
                Address::Unix(_) => Security::None,
            },
            address,
            tls: TlsOptions::default(),
            timeouts: Timeouts::default(),
            allow_cleartext: false,
            separator: None,
            pipeline: true,
            compress: false,
            interrupt: Interrupt::new(),
        }
    }
}

/// One connection to one server, and all that is known of both.
pub struct Session {
    link: Link,
    pipeline: Pipeline,
    state: State,
    options: Options,
    /// Commands that are written and not yet sent.
    out: Vec<u8>,
    /// How much of a command that is sent in pieces waits for the server's word to go on.
    held_back: usize,
    /// Whether nothing has come since a command was refused.
    after_refusal: bool,
    /// Why the session is over.
    over: Option<String>,
    /// What TLS had to say when it ended the session.
    broken_tls: Option<TlsError>,
    /// The request for the server's ID, as long as its answer may still come.
    asked_id: Option<u64>,
    /// Who is told while a change takes long.
    watch: Option<Watch>,
    /// What is left of the time to connect and log in, see [`Timeouts::connect`].
    time_to_login: Duration,
    /// Tells this session's tickets from another's.
    number: u64,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("server", &self.state.server)
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}

/// What one response turned out to be.
enum Event {
    /// A `+`: the server wants more of a command; its text.
    Continuation(Vec<u8>),
    /// A tagged response ended this request.
    Completed(u64),
    /// The sink has no room for more.
    TooLong,
    /// Anything else; it has been dealt with.
    Other,
}

/// What a sink made of a streamed response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It was its own.
    Yes,
    /// It was not.
    No,
    /// It was, and no more fits. What is still to come may have no end, so the connection is of no more use.
    TooLong,
}

/// Who takes a streamed response.
pub(crate) type Sink<'s> = &'s mut dyn FnMut(&Data<'_>) -> Result<Taken, ParseError>;

/// A sink that is lent to whoever reads responses.
struct Streaming<'s> {
    /// The request whose responses it takes.
    id: u64,
    /// That request's name, which most of them have for a keyword.
    verb: &'static str,
    sink: Sink<'s>,
}

impl Session {
    /// What the session knows.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// What the session knows, to take notices from it.
    pub fn state_mut(&mut self) -> &mut State {
        &mut self.state
    }

    /// Has `watch` told while an answer takes long: what a server says of how far it is (INPROGRESS, RFC 9585), and that a change has not
    /// been answered within [`Timeouts::read`], which goes on as long as the connection lives.
    pub fn set_watch(&mut self, watch: Watch) {
        self.watch = Some(watch);
    }

    /// Whether the connection still stands, as far as is known.
    pub fn is_open(&self) -> bool {
        self.over.is_none()
    }

    /// How this server was reached.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Sends a request and waits for its reply.
    ///
    /// # Errors
    /// As [`submit`](Self::submit) and [`wait`](Self::wait).
    pub fn run<R: Request>(&mut self, request: R) -> Result<R::Reply, Error> {
        let ticket = self.submit(request)?;
        self.wait(ticket)
    }

    /// Whether so much of replies has come that nobody has asked for yet that more requests should wait until some of them are: a server
    /// may answer each with megabytes, and they stand in memory until [`wait`](Self::wait) takes them.
    pub fn is_full(&self) -> bool {
        self.pipeline.is_full(MOST_HELD)
    }

    /// Does `work` as long as its answers come within `limit` altogether; what takes longer is given up on like something
    /// that the user interrupted, and the session goes on. A shorter limit around this one stays in force.
    ///
    /// # Errors
    /// What `work` returns; [`Error::Interrupted`] when the limit was reached.
    pub fn within<T>(
        &mut self,
        limit: Duration,
        work: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let outer = self.link.deadline;
        // A limit beyond what the clock can tell is none.
        let own = Instant::now().checked_add(limit);
        self.link.deadline = outer.into_iter().chain(own).min();
        let result = work(self);
        self.link.deadline = outer;
        result
    }

    /// From now on, waits for answers only until `limit` is over, altogether; what takes longer is given up on like something that the
    /// user interrupted. For the end of a session, when what is in flight is still worth hearing of.
    pub fn hurry(&mut self, limit: Duration) {
        let now = Instant::now();
        // Whoever waits no more at all does not begin anew with that.
        let is_over = limit.is_zero() && self.link.deadline.is_some_and(|before| before <= now);
        if !is_over {
            self.link.deadline = now.checked_add(limit);
        }
    }

    /// Sends a request, or queues it to be sent with others; does not wait for its reply.
    ///
    /// It waits for earlier replies where the request can't be in flight with them, or where too much is under way.
    ///
    /// # Errors
    /// The session is over, the user has interrupted, the server lacks the extension, or an argument can't be sent; nothing of the
    /// request was sent then. What goes wrong later is with the ticket.
    pub fn submit<R: Request>(&mut self, request: R) -> Result<Ticket<R>, Error> {
        let ticket = self.write(request)?;
        self.make_room();
        Ok(ticket)
    }

    /// Queues a request, or sends it where it can't be queued; reads no response that could be its own.
    fn write<R: Request>(&mut self, request: R) -> Result<Ticket<R>, Error> {
        let verb = request.verb();
        let subject = self
            .make_ready(&request)
            .map_err(|error| unsent(verb, error))?;
        self.ask_which_server(&request)?;
        let id = self.pipeline.next_id();
        let start = self.out.len();
        let mut encoder = Encoder::begin(&mut self.out, literals(&self.state));
        if self.state.names_in_utf8 {
            encoder.names_in_utf8();
        }
        encoder.atom(&Pipeline::tag(id)).space();
        request.write(&mut encoder);
        let encoded = encoder.finish()?;
        let bytes = encoded.range.len();
        let ticket = Ticket::new(self.number, id);
        if !encoded.pauses.is_empty() || !encoded.secrets.is_empty() || bytes > WINDOW {
            // A command that has to be sent in pieces, or apart from others so that its secrets can be masked and wiped.
            let command = zeroize::Zeroizing::new(self.out.split_off(start));
            let shift = |at: &usize| at - start;
            let pauses: Vec<usize> = encoded.pauses.iter().map(shift).collect();
            let secrets: Vec<_> = encoded
                .secrets
                .iter()
                .map(|r| r.start - start..r.end - start)
                .collect();
            wipe(&mut self.out, start, bytes);
            self.settle().map_err(|error| unsent(verb, error))?;
            request.sent(&mut self.state);
            self.pipeline.push(&ticket, request, bytes, subject);
            self.send_in_pieces(id, &command, &pauses, &secrets);
        } else {
            request.sent(&mut self.state);
            self.pipeline.push(&ticket, request, bytes, subject);
        }
        Ok(ticket)
    }

    /// Asks which server it is, where that matters to a request and only its ID can tell: the question goes along with the request, and so
    /// costs no time of its own.
    fn ask_which_server<R: Request>(&mut self, request: &R) -> Result<(), Error> {
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
        let ticket = self.write(login::AskWhich)?;
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

    /// What has to be so before a request may be written. Returns what it asks about.
    fn make_ready<R: Request>(&mut self, request: &R) -> Result<Option<Subject>, Error> {
        let verb = request.verb();
        self.check_open(verb)?;
        if self.options.interrupt.raised() {
            return Err(Error::Interrupted {
                verb,
                outcome: Outcome::NotSent,
            });
        }
        if self.pipeline.is_empty() {
            self.hear_what_was_said()?;
        }
        self.check_extension(request)?;
        if request.alone() || self.pipeline.is_closed() {
            self.settle()?;
        }
        let subject = Subject::of(request, &self.state);
        while self
            .pipeline
            .has_rival(request.rivals(), subject.as_ref(), &self.state)
        {
            self.flush_to_wait()?;
            self.pump(None)?;
        }
        Ok(subject)
    }

    /// Sends what has gathered and reads replies until there is room for more; what goes wrong is with the tickets.
    fn make_room(&mut self) {
        if self.out.len() >= BATCH && self.flush().is_err() {
            return;
        }
        while self.pipeline.bytes() > WINDOW {
            if self.flush_to_wait().is_err() || self.pump(None).is_err() {
                return;
            }
        }
    }

    /// Sends what is queued, unless there is a response to deal with first: commands that follow each other closely go out together.
    fn flush_to_wait(&mut self) -> Result<(), Error> {
        if self.out.is_empty() || self.link.framer.pending().contains(&b'\n') {
            return Ok(());
        }
        self.flush()
    }

    /// Waits for the reply to a request.
    ///
    /// # Errors
    /// What the server refused, what could not be read, or how the connection was lost; see [`Error`].
    pub fn wait<R: Request>(&mut self, ticket: Ticket<R>) -> Result<R::Reply, Error> {
        if ticket.session != self.number {
            return Err(Error::Usage(
                "this ticket belongs to another session".into(),
            ));
        }
        self.drive(ticket.id, None)?;
        match self.pipeline.claim(ticket.id) {
            Some(Ok(reply)) => match reply.downcast::<R::Reply>() {
                Ok(reply) => Ok(*reply),
                Err(_) => Err(Error::Usage(
                    "this ticket belongs to another session".into(),
                )),
            },
            Some(Err(error)) => Err(error),
            None => Err(Error::Usage(
                "this ticket belongs to another session".into(),
            )),
        }
    }

    /// Reads responses until a request is answered. Its reply stays with the ticket, also where nobody waits until it comes: whoever
    /// gives up on [`wait`](Self::wait) forgoes the reply, and whoever gives up on this can come back for it.
    ///
    /// # Errors
    /// The connection was lost, or the user has interrupted; under [`within`](Self::within) also that the limit was reached.
    pub fn await_answer<R: Request>(&mut self, ticket: &Ticket<R>) -> Result<(), Error> {
        while ticket.session == self.number && self.pipeline.describe(ticket.id).is_some() {
            self.flush_to_wait()?;
            self.pump(None)?;
        }
        Ok(())
    }

    /// Reads responses until no request of this name is in flight.
    pub(crate) fn settle_all(&mut self, verb: &str) -> Result<(), Error> {
        while self.pipeline.holds(verb) {
            self.flush_to_wait()?;
            self.pump(None)?;
        }
        Ok(())
    }

    /// Sends a request whose untagged responses go to `sink` as they come, so that none has to be kept.
    pub(crate) fn stream<R: Request>(
        &mut self,
        request: R,
        sink: Sink<'_>,
    ) -> Result<R::Reply, Error> {
        let ticket = self.write(request)?;
        self.drive(ticket.id, Some(sink))?;
        self.wait(ticket)
    }

    /// Waits until everything in flight is answered; the replies stay with their tickets.
    ///
    /// # Errors
    /// The connection was lost.
    pub fn settle(&mut self) -> Result<(), Error> {
        self.flush()?;
        while !self.pipeline.is_empty() {
            self.pump(None)?;
        }
        Ok(())
    }

    /// Sends what is queued, dealing meanwhile with the replies that come.
    ///
    /// A server that can't get rid of its replies takes no more commands, so where the system takes no more, these replies are read, and
    /// they go to their tickets; then it waits for either direction. So a write never waits for a server that waits for us, however small the
    /// buffers on the way are and however long its replies.
    ///
    /// Ctrl-C is not heeded, as half a command may have been sent, after which nothing else can be said on the connection; but from then on
    /// only what the server takes counts as a sign of life, not what it says.
    ///
    /// # Errors
    /// The connection was lost, which it also is when neither direction moves within the time limit.
    pub fn flush(&mut self) -> Result<(), Error> {
        if self.out.is_empty() || self.over.is_some() {
            return Ok(());
        }
        let queued = self.link.queue(&self.out);
        if queued.is_ok() {
            self.out.clear();
        }
        let mut sent = queued.and_then(|()| self.link.push());
        let limit = self.options.timeouts.read;
        let mut moved = Instant::now();
        let mut left = self.link.queued();
        loop {
            match sent {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) => return Err(self.lose(error)),
            }
            if self.link.queued() < left {
                left = self.link.queued();
                moved = Instant::now();
            }
            let rest = limit.saturating_sub(moved.elapsed());
            self.deal_with_what_came(rest)?;
            if !self.options.interrupt.raised() {
                moved = moved.max(self.link.heard);
            }
            sent = if moved.elapsed() < limit {
                self.link.push()
            } else {
                Err(IoError::TimedOut { after: limit }.into())
            };
        }
    }

    /// Deals with the responses that have come, and once there are none waits for more of them or for room to send, at most for `limit`.
    ///
    /// No streamed response goes by its sink here: the command that it answers is the last one written, and [`flush`](Self::flush) does
    /// this only while the end of that has not been sent.
    fn deal_with_what_came(&mut self, limit: Duration) -> Result<(), Error> {
        for _ in 0..AT_A_TIME {
            match self.link.try_receive() {
                Ok(Some(frame)) => drop(self.deal(frame, &mut None)),
                Ok(None) => {
                    let waited = self.link.wait_ready(limit);
                    return waited.map(drop).map_err(|error| self.lose(error));
                }
                Err(error) => return Err(self.lose(error)),
            }
        }
        Ok(())
    }

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
            self.run(login::Capability)?;
        }
        Ok(self.state.capabilities())
    }

    /// Where nothing is in flight: a server that has said BYE must not be sent a command of which nobody then knows whether it was done.
    fn hear_what_was_said(&mut self) -> Result<(), Error> {
        loop {
            match self.link.poll() {
                Ok(true) => drop(self.pump(None)?),
                Ok(false) => return Ok(()),
                Err(error) => return Err(self.lose(error)),
            }
            self.check_open("a command")?;
        }
    }

    fn check_open(&self, verb: &'static str) -> Result<(), Error> {
        let cause = match (&self.over, &self.state.bye) {
            (Some(cause), _) => cause.clone(),
            (None, Some(bye)) => closed_with(bye),
            (None, None) => return Ok(()),
        };
        Err(Error::Lost {
            verb,
            cause,
            outcome: Outcome::NotSent,
        })
    }

    /// Reads responses until request `id` is answered.
    ///
    /// After an interrupt an answer that is on its way is still taken, for as long as [`GRACE`].
    fn drive(&mut self, id: u64, mut sink: Option<Sink<'_>>) -> Result<(), Error> {
        let interrupt = self.options.interrupt.clone();
        let mut in_grace = false;
        let mut result = Ok(());
        while !self.pipeline.is_done(id) {
            let Some((verb, outcome)) = self.pipeline.describe(id) else {
                break;
            };
            // The sink is lent for one response at a time.
            let lent = sink.as_mut().map(|sink| Streaming {
                id,
                verb,
                sink: &mut **sink,
            });
            match self.flush_to_wait().and_then(|()| self.pump(lent)) {
                Ok(Event::TooLong) => {
                    self.end("its reply had no end".into());
                    self.pipeline.abandon(id);
                    result = Err(Error::TooLong { verb });
                    break;
                }
                Ok(_) => {}
                Err(Error::Interrupted { .. }) if !in_grace && self.link.deadline.is_none() => {
                    in_grace = true;
                    interrupt.clear();
                    self.link.deadline = Some(Instant::now() + GRACE);
                }
                Err(Error::Interrupted { .. }) => {
                    self.pipeline.abandon(id);
                    result = Err(Error::Interrupted { verb, outcome });
                    break;
                }
                // Its own outcome, which says whether it may have been done, is with its ticket.
                Err(_) if self.pipeline.is_done(id) => {}
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
        }
        if in_grace {
            self.link.deadline = None;
            interrupt.raise();
        }
        result
    }

    /// Sends a command that holds synchronizing literals or secrets, waiting for each continuation (RFC 3501 section 7.5).
    /// What goes wrong is with the ticket.
    fn send_in_pieces(
        &mut self,
        id: u64,
        command: &[u8],
        pauses: &[usize],
        secrets: &[std::ops::Range<usize>],
    ) {
        let mut start = 0;
        for end in pauses.iter().copied().chain([command.len()]) {
            // A pause may fall inside of a secret, between the length of its literal and its text.
            let within: Vec<_> = secrets
                .iter()
                .map(|secret| {
                    secret.start.clamp(start, end) - start..secret.end.clamp(start, end) - start
                })
                .filter(|part| !part.is_empty())
                .collect();
            self.held_back = command.len() - end;
            if let Err(error) = self.link.send(&command[start..end], &within) {
                self.lose(error);
                break;
            }
            start = end;
            // A tagged response instead of a continuation is the outcome.
            if end < command.len() && !self.is_continued(id) {
                break;
            }
        }
        self.held_back = 0;
    }

    /// Waits for a `+`; `false` when request `id` has its outcome instead.
    fn is_continued(&mut self, id: u64) -> bool {
        loop {
            match self.pump(None) {
                Ok(Event::Continuation(_)) => return true,
                Ok(Event::Completed(done)) if done == id => return false,
                Ok(_) => {}
                Err(Error::Interrupted { .. }) => {
                    // Half a command has been sent: nothing else can be said on this connection.
                    self.fail(&IoError::Interrupted.into());
                    return false;
                }
                Err(_) => return false,
            }
        }
    }

    /// Reads one response and deals with it; with a sink, also those that the sink takes before it.
    fn pump(&mut self, mut sink: Option<Streaming<'_>>) -> Result<Event, Error> {
        let (mut taken, mut stopping) = (0_u32, None);
        loop {
            if let Some(event) = self.pump_one(&mut sink)? {
                return Ok(event);
            }
            // Where there is always more to read, nothing ever waits, and so nothing would see that the user has had enough.
            taken = taken.wrapping_add(1);
            if taken.is_multiple_of(1024)
                && self.options.interrupt.raised()
                && stopping.get_or_insert_with(Instant::now).elapsed() > GRACE
            {
                return Err(Error::Interrupted {
                    verb: "a command",
                    outcome: Outcome::Unknown,
                });
            }
        }
    }

    /// Reads one response and deals with it; `None` if the sink took it.
    #[inline]
    fn pump_one(&mut self, sink: &mut Option<Streaming<'_>>) -> Result<Option<Event>, Error> {
        let frame = match self.link.receive() {
            Ok(frame) => frame,
            Err(error) if error.is_silence() && self.waits_on() => return Ok(Some(Event::Other)),
            Err(error) if error.is_interrupt() => {
                return Err(Error::Interrupted {
                    verb: "a command",
                    outcome: Outcome::Unknown,
                });
            }
            Err(error) => return Err(self.lose(error)),
        };
        Ok(self.deal(frame, sink))
    }

    /// After a silence as long as the time limit: whether it goes on waiting, as a change may take as long as the connection lives. What
    /// it has done when nobody waits for its answer any more would be unknown.
    ///
    /// The system finds out whether the other end is still there; see [`Stream::connect`](crate::net::Stream::connect).
    fn waits_on(&mut self) -> bool {
        let Some(verb) = self.pipeline.awaited_change() else {
            return false;
        };
        if let Some(watch) = &mut self.watch {
            watch(&Waiting {
                verb,
                silent: Some(self.link.heard.elapsed()),
                done: None,
                goal: None,
            });
        }
        true
    }

    /// Deals with one response; `None` if the sink took it. A long listing goes through here a million times.
    #[inline]
    fn deal(&mut self, frame: Frame, streaming: &mut Option<Streaming<'_>>) -> Option<Event> {
        let mut bytes = self.link.framer.bytes(frame);
        let converted;
        if self.state.names_in_utf8
            && let Some(response) = utf8::with_names_in_utf7(bytes)
        {
            converted = response;
            bytes = &converted;
        }
        let mut taken = None;
        if let Some(Streaming { verb, sink, .. }) = streaming
            && let Some(data) = response::data_of(bytes, verb)
        {
            match sink(&data) {
                Ok(Taken::Yes) => return None,
                other => taken = Some(other),
            }
        }
        if bytes.trim_ascii().is_empty() {
            // An empty line between responses means nothing.
            return Some(Event::Other);
        }
        let secrets = &self.link.secrets;
        let mut response = match response::parse(bytes) {
            Ok(response) => response,
            Err(error) => {
                self.pipeline.unreadable(&error, bytes, secrets);
                self.state.stray(secrets.sample(bytes), Some(&error));
                return Some(Event::Other);
            }
        };
        let masked;
        if is_for_people(&response) {
            masked = secrets.mask(bytes);
            response = response::parse(&masked).unwrap_or(response);
        }
        let event = match response {
            Response::Continuation(text) => Event::Continuation(text.to_vec()),
            Response::Tagged { status, .. } if status.condition == Condition::Bye => {
                self.state.bye = Some(status.said());
                self.fail(&IoError::Closed.into());
                return Some(Event::Other);
            }
            Response::Tagged { tag, status } => {
                learn(&mut self.state, &status);
                match self.pipeline.complete(tag, &status, &mut self.state) {
                    Some(id) => {
                        self.after_refusal = status.condition != Condition::Ok;
                        self.end_after_bye();
                        Event::Completed(id)
                    }
                    None => {
                        self.state.stray(secrets.sample(bytes), None);
                        Event::Other
                    }
                }
            }
            Response::Untagged(Untagged::Status(status)) => {
                learn(&mut self.state, &status);
                if status.condition == Condition::Bye {
                    self.state.bye = Some(status.said());
                    self.link.bid_farewell();
                    self.end_after_bye();
                } else if let Some(progress) = Progress::read(&status) {
                    let verb = self.pipeline.verb_of(&progress.tag);
                    if let (Some(verb), Some(watch)) = (verb, &mut self.watch) {
                        watch(&Waiting {
                            verb,
                            silent: None,
                            done: progress.done,
                            goal: progress.goal,
                        });
                    }
                } else if status.condition == Condition::Bad && self.after_refusal {
                    // Cyrus takes the rest of a line that it refused for another command.
                    self.state.stray(secrets.sample(bytes), None);
                } else if status.condition != Condition::Ok || !self.pipeline.offer_status(&status)
                {
                    heed(&mut self.state, &status);
                }
                Event::Other
            }
            Response::Untagged(Untagged::Data(data)) => {
                self.after_refusal = false;
                if let Some(Streaming { id, sink, .. }) = streaming {
                    match taken.unwrap_or_else(|| sink(&data)) {
                        Ok(Taken::Yes) => return None,
                        Ok(Taken::No) => {}
                        Ok(Taken::TooLong) => return Some(Event::TooLong),
                        Err(error) => {
                            self.pipeline.damage(*id, &error, bytes, secrets);
                            self.state.stray(secrets.sample(bytes), Some(&error));
                            return Some(Event::Other);
                        }
                    }
                }
                let observed = self.state.observe(&data);
                match self.pipeline.offer(&data, bytes, &self.state, secrets) {
                    Ok(false) if !observed => self.state.stray(secrets.sample(bytes), None),
                    Ok(_) => {}
                    Err(error) => self.state.stray(secrets.sample(bytes), Some(&error)),
                }
                Event::Other
            }
        };
        Some(event)
    }

    /// A server that has said BYE answers what is in flight, and nothing else is said to it.
    fn end_after_bye(&mut self) {
        if self.state.bye.is_some() && self.pipeline.is_empty() && self.over.is_none() {
            self.fail(&IoError::Closed.into());
        }
    }

    /// [`fail`](Self::fail), keeping what TLS had to say.
    fn lose(&mut self, error: LinkError) -> Error {
        let lost = self.fail(&error);
        if let LinkError::Io(error) = error {
            self.broken_tls = error.into_tls().ok();
        }
        lost
    }

    /// The connection is of no more use: ends everything that waits for it.
    fn fail(&mut self, error: &LinkError) -> Error {
        let cause = match &self.state.bye {
            Some(bye) if error.is_end() => closed_with(bye),
            _ if error.is_silence() && self.pipeline.len() > 1 => format!(
                "{error}; {} commands were sent ahead, which some servers can't take: try --no-pipeline",
                self.pipeline.len()
            ),
            _ => error.to_string(),
        };
        self.end(cause)
    }

    /// Ends the connection, for a cause.
    fn end(&mut self, cause: String) -> Error {
        let verb = "a command";
        let unsent = self.out.len() + self.link.unsent() + self.held_back;
        self.pipeline.lose_all(&cause, unsent);
        self.out.clear();
        self.link.close();
        self.state.selected = None;
        self.over = Some(cause.clone());
        Error::Lost {
            verb,
            cause,
            outcome: Outcome::Unknown,
        }
    }
}

/// Whether the words of a response may be shown to people.
fn is_for_people(response: &Response<'_>) -> bool {
    match response {
        Response::Tagged { status, .. } | Response::Untagged(Untagged::Status(status)) => {
            // An OK says nothing but in some codes, and there are very many.
            let quiet = |code: &Code<'_>| code.is("CAPABILITY");
            status.condition != Condition::Ok || status.code.is_some_and(|code| !quiet(&code))
        }
        Response::Continuation(_) | Response::Untagged(Untagged::Data(_)) => false,
    }
}

/// How a session ended whose server has said BYE.
fn closed_with(bye: &str) -> String {
    format!("the server closed it, saying: {bye}")
}

/// An error that came before anything of the request `verb` was sent.
fn unsent(verb: &'static str, error: Error) -> Error {
    match error {
        Error::Lost { cause, .. } => Error::Lost {
            verb,
            cause,
            outcome: Outcome::NotSent,
        },
        Error::Interrupted { .. } => Error::Interrupted {
            verb,
            outcome: Outcome::NotSent,
        },
        other => other,
    }
}

/// Overwrites what a command left behind in the shared buffer beyond `start`.
fn wipe(out: &mut Vec<u8>, start: usize, bytes: usize) {
    out.resize(start + bytes, 0);
    out.truncate(start);
}

/// How literals may be sent: without waiting where the server has RFC 7888.
fn literals(state: &State) -> Literals {
    if state.capabilities().has("LITERAL+") {
        Literals::Plus
    } else if state.capabilities().has("LITERAL-") || state.capabilities().has("IMAP4rev2") {
        Literals::Minus
    } else {
        Literals::Synchronizing
    }
}

/// What any status response may tell: capabilities (RFC 3501 section 7.1).
fn learn(state: &mut State, status: &Status<'_>) {
    if let Some(code) = status.code
        && code.is("CAPABILITY")
    {
        state.learn_capabilities(Capabilities::read(code.cursor()));
    }
}

/// Keeps what a person should hear: alerts, and the NO and BAD that belong to no command.
fn heed(state: &mut State, status: &Status<'_>) {
    let alert = status.code.is_some_and(|code| code.is("ALERT"));
    if alert || matches!(status.condition, Condition::No | Condition::Bad) {
        state.notice(Notice::said(if alert {
            format!("ALERT: {}", response::words(status.text))
        } else {
            format!("{}: {}", status.condition, status.said())
        }));
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.link.close();
    }
}
