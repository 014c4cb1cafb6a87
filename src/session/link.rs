//! The connection of a session: what is to be sent, what has come, the trace of both, every time limit, and how it ended.
//!
//! Here: all that dies with a connection and has to be made anew for the next one; sending, and reading one framed response. Not here:
//! what a response means (`pipeline`, `state`), and what outlives the connection (`Session`).

use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::error::LostCause;
use crate::net::{Interrupt, IoError, Stream, Timeouts, TlsError, TlsOptions, words};
use crate::wire::frame::{Frame, FrameError, Framer, Limits};

use super::WINDOW;
use super::secrets::{MASK, Secrets};

/// Which way a traced line went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To the server; secrets are masked.
    Sent,
    /// From the server. Untrusted.
    Received,
}

/// Where a session's protocol is shown. Clones show it in the same place.
#[derive(Clone)]
pub struct Trace(Arc<Mutex<Show>>);

type Show = dyn FnMut(Direction, &[u8]) + Send;

impl Trace {
    /// Has `show` called once for each command line and for each response, secrets already masked. What the server sent is untrusted.
    pub fn new(show: impl FnMut(Direction, &[u8]) + Send + 'static) -> Trace {
        Trace(Arc::new(Mutex::new(show)))
    }

    fn show(&self, direction: Direction, bytes: &[u8]) {
        // One that has panicked shows nothing more.
        if let Ok(mut show) = self.0.lock() {
            show(direction, bytes);
        }
    }
}

impl std::fmt::Debug for Trace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Trace")
    }
}

/// Why no response can be had.
#[derive(Debug)]
pub(super) enum LinkError {
    /// The connection is of no more use.
    Lost(LostCause, Option<TlsError>),
    /// The user wants the wait to end.
    Interrupted,
    /// The caller's time limit has passed.
    DeadlineExceeded,
}

impl From<IoError> for LinkError {
    fn from(error: IoError) -> Self {
        let cause = match error {
            IoError::TimedOut { after } => LostCause::TimedOut { after, waiting: 0 },
            IoError::Closed => LostCause::Closed,
            IoError::Interrupted => return LinkError::Interrupted,
            IoError::Broken(error)
                if error.get_ref().is_some_and(|inner| inner.is::<TlsError>()) =>
            {
                let text = io::Error::new(error.kind(), words(&error));
                return LinkError::Lost(LostCause::Io(Arc::new(text)), error.downcast().ok());
            }
            IoError::Broken(error) => LostCause::Io(Arc::new(error)),
        };
        cause.into()
    }
}

impl From<LostCause> for LinkError {
    fn from(cause: LostCause) -> Self {
        LinkError::Lost(cause, None)
    }
}

impl From<FrameError> for LinkError {
    fn from(error: FrameError) -> Self {
        LostCause::Unreadable(error).into()
    }
}

impl LinkError {
    /// Whether somebody gave up waiting, and the connection still stands.
    fn is_given_up(&self) -> bool {
        matches!(self, LinkError::Interrupted | LinkError::DeadlineExceeded)
    }
}

/// How long a server that has said BYE is still listened to.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// How long what has come already is still taken when the wait for more is over: a server may send without end.
const STILL_TAKEN: Duration = Duration::from_millis(250);

/// The time in which somebody has to be logged in, whatever comes meanwhile.
#[derive(Debug, Clone, Copy)]
pub(super) struct LoginTime {
    /// When it ends.
    pub(super) until: Instant,
    /// How long it is from the beginning, for messages.
    pub(super) after: Duration,
}

/// Until when an answer is worth waiting for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    /// When it passes.
    pub(super) at: Instant,
    /// Whether it is what is left of a wait that the user has interrupted.
    pub(super) is_interrupt: bool,
}

/// One connection.
pub(super) struct Link {
    stream: Option<Stream>,
    pub(super) framer: Framer,
    trace: Option<Trace>,
    /// What must not be shown of what the server says.
    pub(super) secrets: Secrets,
    /// When the server was last heard.
    pub(super) heard: Instant,
    /// Until when an answer is worth waiting for.
    pub(super) deadline: Option<Deadline>,
    /// Commands that are written and not yet sent.
    pub(super) out: Vec<u8>,
    /// How much of a command that is sent in pieces waits for the server's word to go on.
    pub(super) held_back: usize,
    /// How it ended.
    pub(super) over: Option<LostCause>,
    /// What TLS had to say when it ended.
    pub(super) broken_tls: Option<TlsError>,
    /// What is left of the time to connect and log in, see [`Timeouts::connect`].
    pub(super) time_to_login: Duration,
    /// Until when the login has to be done.
    pub(super) login: Option<LoginTime>,
    /// How long the server may be silent, however long a wait may be altogether.
    silence: Duration,
    /// Since when the user wants the wait to end.
    interrupted: Option<Instant>,
    /// When the server said BYE: it has [`LAST_WORDS`] from then on to say more and close the connection.
    farewell: Option<Instant>,
    /// Whether SCRAM is under way, see [`is_signature`].
    pub(super) in_scram: bool,
}

impl Link {
    pub(super) fn new(
        stream: Stream,
        trace: Option<Trace>,
        silence: Duration,
        time_to_login: Duration,
    ) -> Self {
        Self {
            stream: Some(stream),
            framer: Framer::new(Limits::default()),
            trace,
            secrets: Secrets::default(),
            heard: Instant::now(),
            deadline: None,
            // Never grown while a secret is in it, or a copy of that would stay behind.
            out: Vec::with_capacity(2 * WINDOW),
            held_back: 0,
            over: None,
            broken_tls: None,
            time_to_login,
            login: None,
            silence,
            interrupted: None,
            farewell: None,
            in_scram: false,
        }
    }

    /// Sends `bytes`; the ranges `secrets` of them are masked in the trace.
    pub(super) fn send(&mut self, bytes: &[u8], secrets: &[Range<usize>]) -> Result<(), LinkError> {
        if let Some(trace) = &self.trace {
            show_sent(trace, bytes, secrets);
        }
        let stream = self.stream.as_mut().ok_or(IoError::Closed)?;
        Ok(stream.write_all(bytes)?)
    }

    /// Takes what is written and holds no secrets, which [`push`](Self::push) then sends.
    pub(super) fn queue(&mut self) -> Result<(), LinkError> {
        if let Some(trace) = &self.trace {
            show_sent(trace, &self.out, &[]);
        }
        let stream = self.stream.as_mut().ok_or(IoError::Closed)?;
        stream.queue(&self.out)?;
        self.out.clear();
        Ok(())
    }

    /// Sends of what is queued as much as the system takes at once; `true` when that is all of it.
    pub(super) fn push(&mut self) -> Result<bool, LinkError> {
        Ok(self.stream.as_mut().ok_or(IoError::Closed)?.push()?)
    }

    /// How many bytes of the queue are still here.
    pub(super) fn queued(&self) -> usize {
        self.stream.as_ref().map_or(0, Stream::queued)
    }

    /// How many bytes at the end of all commands are known not to have gone. In a compressed queue nobody can tell where a command begins.
    pub(super) fn unsent(&self) -> usize {
        let is_plain = |stream: &&Stream| !stream.info().compressed;
        let queued = self.stream.as_ref().filter(is_plain);
        self.out.len() + self.held_back + queued.map_or(0, Stream::queued)
    }

    /// Waits until something can be read or more can be sent, at most for `limit`: whether that came.
    pub(super) fn wait_ready(&mut self, limit: Duration) -> Result<bool, LinkError> {
        let stream = self.stream.as_mut().ok_or(IoError::Closed)?;
        Ok(stream.wait_ready(limit)?)
    }

    /// The next whole response of those that have been read.
    fn next(&mut self) -> Result<Option<Frame>, LinkError> {
        let frame = self.framer.next_frame()?;
        if let (Some(frame), Some(trace)) = (frame, &self.trace) {
            let bytes = &*self.secrets.mask(self.framer.bytes(frame));
            if self.in_scram && is_signature(bytes) {
                trace.show(Direction::Received, b"+ <secret>");
            } else {
                trace.show(Direction::Received, bytes);
            }
        }
        Ok(frame)
    }

    /// One whole response if it has come, without waiting for it.
    pub(super) fn try_receive(&mut self) -> Result<Option<Frame>, LinkError> {
        loop {
            if let Some(frame) = self.next()? {
                return Ok(Some(frame));
            }
            let stream = self.stream.as_mut().ok_or(IoError::Closed)?;
            let Some(count) = stream.read_now(self.framer.space())? else {
                return Ok(None);
            };
            self.heard = Instant::now();
            self.framer.filled(count);
        }
    }

    /// The server has said BYE. What it still has to say is heard for a moment; saying BYE again does not make that longer.
    pub(super) fn bid_farewell(&mut self) {
        self.farewell.get_or_insert_with(Instant::now);
    }

    /// Waits for one whole response.
    ///
    /// What has come already is delivered also when the wait is over, as long as there is no end of it.
    #[inline]
    pub(super) fn receive(&mut self) -> Result<Frame, LinkError> {
        // Mostly it is here and nothing ends the wait: a long listing asks neither what would, nor the clock.
        if self.farewell.is_none()
            && self.login.is_none()
            && self.deadline.is_none()
            && let Some(frame) = self.next()?
        {
            self.interrupted = None;
            return Ok(frame);
        }
        self.wait_for_response()
    }

    fn wait_for_response(&mut self) -> Result<Frame, LinkError> {
        let (end, error) = self.end_of_wait();
        match end.filter(|end| *end <= Instant::now()) {
            Some(since) if error.is_given_up() => self.receive_what_came(since, error),
            Some(_) => Err(error),
            None => match self.receive_until(end, error) {
                Err(error) if error.is_given_up() => {
                    let since = *self.interrupted.get_or_insert_with(Instant::now);
                    self.receive_what_came(since, error)
                }
                result => {
                    self.interrupted = None;
                    result
                }
            },
        }
    }

    /// What ends a wait first, whatever comes meanwhile, and as what it then ends.
    fn end_of_wait(&self) -> (Option<Instant>, LinkError) {
        let closing = self.farewell.map(|since| since + LAST_WORDS);
        let late = self.login.map(|login| login.until);
        let deadline = self.deadline.map(|deadline| deadline.at);
        let first = [closing, late, deadline].into_iter().flatten().min();
        let error = match self.login {
            _ if first.is_some() && first == closing => LostCause::Closed.into(),
            Some(LoginTime { after, .. }) if first == late => {
                LostCause::LoginTimedOut { after }.into()
            }
            _ if self.deadline.is_some_and(|deadline| !deadline.is_interrupt) => {
                LinkError::DeadlineExceeded
            }
            _ => LinkError::Interrupted,
        };
        (first, error)
    }

    /// One whole response of what has come, where waiting was to end at `since` with `error`.
    fn receive_what_came(&mut self, since: Instant, error: LinkError) -> Result<Frame, LinkError> {
        let frame = if since.elapsed() < STILL_TAKEN {
            self.try_receive()?
        } else {
            None
        };
        frame.ok_or_else(|| {
            self.interrupted = None;
            error
        })
    }

    fn receive_until(
        &mut self,
        end: Option<Instant>,
        at_end: LinkError,
    ) -> Result<Frame, LinkError> {
        loop {
            if let Some(frame) = self.next()? {
                return Ok(frame);
            }
            let limit = self.silence;
            let stream = self.stream.as_mut().ok_or(IoError::Closed)?;
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            let count = match left.filter(|left| *left < limit) {
                None => stream.read(self.framer.space())?,
                Some(left) => match stream.read_within(self.framer.space(), left) {
                    Err(IoError::TimedOut { .. }) => return Err(at_end),
                    result => result?,
                },
            };
            if count == 0 {
                return Err(IoError::Closed.into());
            }
            self.heard = Instant::now();
            self.framer.filled(count);
        }
    }

    /// Takes in what has come already, without waiting; whole responses are then had from [`receive`](Self::receive).
    ///
    /// Returns whether there is one.
    pub(super) fn poll(&mut self) -> Result<bool, LinkError> {
        if self.framer.pending().contains(&b'\n') {
            return Ok(true);
        }
        let stream = self.stream.as_mut().ok_or(IoError::Closed)?;
        match stream.read_within(self.framer.space(), Duration::ZERO) {
            Ok(count) => {
                self.framer.filled(count);
                Ok(self.framer.pending().contains(&b'\n'))
            }
            Err(IoError::TimedOut { .. } | IoError::Interrupted) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Goes over to TLS on the same connection.
    pub(super) fn start_tls(
        &mut self,
        host: &str,
        options: &TlsOptions,
        timeouts: &Timeouts,
        interrupt: &Interrupt,
    ) -> Result<(), TlsError> {
        if let Some(stream) = self.stream.take() {
            self.stream = Some(stream.start_tls(host, options, timeouts, interrupt)?);
            self.framer.clear();
        }
        Ok(())
    }

    /// Compresses both directions; what has come behind the answer to COMPRESS is compressed already.
    pub(super) fn start_deflate(&mut self) {
        if let Some(stream) = &mut self.stream {
            stream.start_deflate(self.framer.pending());
            self.framer.clear();
        }
    }

    /// From now on, waits only until `limit` is over, as after an interrupt.
    pub(super) fn hurry(&mut self, limit: Duration) {
        let now = Instant::now();
        self.deadline = now.checked_add(limit).map(|at| Deadline {
            at,
            is_interrupt: true,
        });
    }

    /// Whether the caller's time limit has passed.
    pub(super) fn is_late(&self) -> bool {
        let now = Instant::now();
        self.deadline
            .is_some_and(|deadline| !deadline.is_interrupt && deadline.at <= now)
    }

    pub(super) fn stream(&self) -> Option<&Stream> {
        self.stream.as_ref()
    }

    /// Closes the connection, if it still stands.
    pub(super) fn close(&mut self) {
        if let Some(mut stream) = self.stream.take() {
            stream.shutdown();
        }
    }
}

/// Whether this is a server's signature in SCRAM (RFC 5802 section 7, `v=` in base64): beside the challenge before it,
/// passwords could be tried against it at leisure by whoever is shown the trace.
fn is_signature(response: &[u8]) -> bool {
    response.starts_with(b"+ dj")
}

/// Shows what is sent line by line, every secret as `<secret>`.
fn show_sent(trace: &Trace, bytes: &[u8], secrets: &[Range<usize>]) {
    let mut masked = Vec::with_capacity(bytes.len());
    let mut at = 0;
    for secret in secrets {
        masked.extend_from_slice(&bytes[at..secret.start]);
        masked.extend_from_slice(MASK);
        at = secret.end;
    }
    masked.extend_from_slice(&bytes[at..]);
    for line in masked.split_inclusive(|&b| b == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        trace.show(Direction::Sent, line.strip_suffix(b"\r").unwrap_or(line));
    }
}
