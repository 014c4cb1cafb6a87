//! The bytes of a session: what is to be sent, what has come, and the trace of both.
//!
//! Lives here: sending, and reading one framed response. Not here: what a response means (`pipeline`, `state`).

use std::ops::Range;
use std::time::{Duration, Instant};

use crate::net::{Interrupt, IoError, Stream, Timeouts, TlsError, TlsOptions, words};
use crate::wire::frame::{Frame, FrameError, Framer, Limits};

use super::secrets::{MASK, Secrets};

/// Which way a traced line went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To the server; secrets are masked.
    Sent,
    /// From the server. Untrusted.
    Received,
}

/// Where a session's protocol is shown: one call for each command line or response, secrets already masked.
pub type Trace = Box<dyn FnMut(Direction, &[u8]) + Send>;

/// Why no response can be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    #[error("{}", cause(.0))]
    Io(#[from] IoError),
    #[error("the server sent what no client can take: {0}")]
    Frame(#[from] FrameError),
    #[error(
        "the login was not done within {} s (the time limit, which --timeout sets)",
        after.as_secs_f32()
    )]
    Late { after: Duration },
}

impl LinkError {
    pub(super) fn is_interrupt(&self) -> bool {
        matches!(self, LinkError::Io(IoError::Interrupted))
    }

    /// Whether nothing came for as long as the time limit.
    pub(super) fn is_silence(&self) -> bool {
        matches!(self, LinkError::Io(IoError::TimedOut { .. }))
    }

    /// Whether the server may have said why in a BYE before.
    pub(super) fn is_end(&self) -> bool {
        matches!(self, LinkError::Io(IoError::Closed | IoError::Broken(_)))
    }
}

/// What ended the connection, without the advice: what to do next depends on what was under way.
fn cause(error: &IoError) -> String {
    match error {
        IoError::TimedOut { after } => {
            format!(
                "no answer within {} s (the time limit, which --timeout sets)",
                after.as_secs_f32()
            )
        }
        IoError::Closed => "the server closed the connection".into(),
        IoError::Interrupted => "interrupted".into(),
        IoError::Broken(error) => words(error),
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

/// One connection, its framing and its trace.
pub(super) struct Link {
    stream: Option<Stream>,
    pub(super) framer: Framer,
    trace: Option<Trace>,
    /// What must not be shown of what the server says.
    pub(super) secrets: Secrets,
    /// When the server was last heard.
    pub(super) heard: Instant,
    /// Until when an answer is worth waiting for; past it the wait counts as interrupted.
    pub(super) deadline: Option<Instant>,
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
    pub(super) fn new(stream: Stream, trace: Option<Trace>, silence: Duration) -> Self {
        Self {
            stream: Some(stream),
            framer: Framer::new(Limits::default()),
            trace,
            secrets: Secrets::default(),
            heard: Instant::now(),
            deadline: None,
            login: None,
            silence,
            interrupted: None,
            farewell: None,
            in_scram: false,
        }
    }

    /// Sends `bytes`; the ranges `secrets` of them are masked in the trace.
    pub(super) fn send(&mut self, bytes: &[u8], secrets: &[Range<usize>]) -> Result<(), LinkError> {
        if let Some(trace) = &mut self.trace {
            show_sent(trace, bytes, secrets);
        }
        let stream = self.stream.as_mut().ok_or(IoError::Closed)?;
        Ok(stream.write_all(bytes)?)
    }

    /// Takes bytes without secrets, which [`push`](Self::push) then sends.
    pub(super) fn queue(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        if let Some(trace) = &mut self.trace {
            show_sent(trace, bytes, &[]);
        }
        Ok(self.stream.as_mut().ok_or(IoError::Closed)?.queue(bytes)?)
    }

    /// Sends of what is queued as much as the system takes at once; `true` when that is all of it.
    pub(super) fn push(&mut self) -> Result<bool, LinkError> {
        Ok(self.stream.as_mut().ok_or(IoError::Closed)?.push()?)
    }

    /// How many bytes of the queue are still here.
    pub(super) fn queued(&self) -> usize {
        self.stream.as_ref().map_or(0, Stream::queued)
    }

    /// How many bytes of commands in the queue are known not to have gone. In a compressed queue nobody can tell where a command begins.
    pub(super) fn unsent(&self) -> usize {
        let is_plain = |stream: &&Stream| !stream.info().compressed;
        self.stream
            .as_ref()
            .filter(is_plain)
            .map_or(0, Stream::queued)
    }

    /// Waits until something can be read or more can be sent, at most for `limit`: whether that came.
    pub(super) fn wait_ready(&mut self, limit: Duration) -> Result<bool, LinkError> {
        let stream = self.stream.as_mut().ok_or(IoError::Closed)?;
        Ok(stream.wait_ready(limit)?)
    }

    /// The next whole response of those that have been read.
    fn next(&mut self) -> Result<Option<Frame>, LinkError> {
        let frame = self.framer.next_frame()?;
        if let (Some(frame), Some(trace)) = (frame, &mut self.trace) {
            let bytes = &*self.secrets.mask(self.framer.bytes(frame));
            if self.in_scram && is_signature(bytes) {
                trace(Direction::Received, b"+ <secret>");
            } else {
                trace(Direction::Received, bytes);
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
            Some(since) if error.is_interrupt() => self.receive_what_came(since),
            Some(_) => Err(error),
            None => match self.receive_until(end, error) {
                Err(error) if error.is_interrupt() => {
                    let since = *self.interrupted.get_or_insert_with(Instant::now);
                    self.receive_what_came(since)
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
        let first = [closing, late, self.deadline].into_iter().flatten().min();
        let error = match self.login {
            _ if first.is_some() && first == closing => IoError::Closed.into(),
            Some(LoginTime { after, .. }) if first == late => LinkError::Late { after },
            _ => IoError::Interrupted.into(),
        };
        (first, error)
    }

    /// One whole response of what has come, where waiting was to end at `since`.
    fn receive_what_came(&mut self, since: Instant) -> Result<Frame, LinkError> {
        let frame = if since.elapsed() < STILL_TAKEN {
            self.try_receive()?
        } else {
            None
        };
        frame.ok_or_else(|| {
            self.interrupted = None;
            IoError::Interrupted.into()
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
fn show_sent(trace: &mut Trace, bytes: &[u8], secrets: &[Range<usize>]) {
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
        trace(Direction::Sent, line.strip_suffix(b"\r").unwrap_or(line));
    }
}
