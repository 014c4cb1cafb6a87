//! How a request leaves: encoded, queued with others, sent whole or in pieces.
//!
//! Here: [`Session::submit`] and what has to be true before a request may go. Not here: its answer (`receive`), and which response is
//! whose (`pipeline`).

use std::time::{Duration, Instant};

use crate::account::Outcome;
use crate::error::{Error, LostCause};
use crate::net::IoError;
use crate::wire::encode::{Encoder, Literals};

use super::pipeline::{Pipeline, Subject, Ticket};
use super::receive::{Event, INTERRUPTED};
use super::request::Request;
use super::state::State;
use super::{Session, WINDOW};

/// Commands are gathered up to this many bytes before they are written.
const BATCH: usize = 8 * 1024;

/// Responses that are dealt with between two tries to send the rest of a batch.
const AT_A_TIME: usize = 1_000;

impl Session {
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
    pub(super) fn write<R: Request>(&mut self, request: R) -> Result<Ticket<R>, Error> {
        let verb = request.verb();
        let subject = self
            .make_ready(&request)
            .map_err(|error| error.about(verb, Outcome::NotSent))?;
        self.ask_which_server(&request)?;
        let id = self.pipeline.next_id();
        let start = self.link.out.len();
        let mut encoder = Encoder::begin(&mut self.link.out, literals(&self.state));
        if self.state.names_in_utf8 {
            encoder.names_in_utf8();
        }
        Pipeline::tag(id, &mut encoder);
        encoder.space();
        request.write(&mut encoder);
        let encoded = encoder.finish()?;
        let bytes = encoded.range.len();
        let ticket = Ticket::new(self.number, id);
        if !encoded.pauses.is_empty() || !encoded.secrets.is_empty() || bytes > WINDOW {
            // A command that has to be sent in pieces, or apart from others so that its secrets can be masked and wiped.
            let command = zeroize::Zeroizing::new(self.link.out.split_off(start));
            let shift = |at: &usize| at - start;
            let pauses: Vec<usize> = encoded.pauses.iter().map(shift).collect();
            let secrets: Vec<_> = encoded
                .secrets
                .iter()
                .map(|r| r.start - start..r.end - start)
                .collect();
            wipe(&mut self.link.out, start, bytes);
            self.settle()
                .map_err(|error| error.about(verb, Outcome::NotSent))?;
            request.sent(&mut self.state);
            self.pipeline.push(&ticket, request, bytes, subject);
            self.send_in_pieces(id, &command, &pauses, &secrets);
        } else {
            request.sent(&mut self.state);
            self.pipeline.push(&ticket, request, bytes, subject);
        }
        Ok(ticket)
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
        if self.link.out.len() >= BATCH && self.flush().is_err() {
            return;
        }
        while self.pipeline.bytes() > WINDOW {
            if self.flush_to_wait().is_err() || self.pump(None).is_err() {
                return;
            }
        }
    }

    /// Sends what is queued, unless there is a response to deal with first: commands that follow each other closely go out together.
    pub(super) fn flush_to_wait(&mut self) -> Result<(), Error> {
        if self.link.out.is_empty() || self.link.framer.pending().contains(&b'\n') {
            return Ok(());
        }
        self.flush()
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
        if self.link.out.is_empty() || self.link.over.is_some() {
            return Ok(());
        }
        let mut sent = self.link.queue().and_then(|()| self.link.push());
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

    pub(super) fn check_open(&self, verb: &'static str) -> Result<(), Error> {
        let bye = || self.state.bye.clone().map(LostCause::from);
        let Some(cause) = self.link.over.clone().or_else(bye) else {
            return Ok(());
        };
        Err(Error::Lost {
            verb,
            cause,
            outcome: Outcome::NotSent,
        })
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
            self.link.held_back = command.len() - end;
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
        self.link.held_back = 0;
    }

    /// Waits for a `+`; `false` when request `id` has its outcome instead.
    fn is_continued(&mut self, id: u64) -> bool {
        loop {
            match self.pump(None) {
                Ok(Event::Continuation(_)) => return true,
                Ok(Event::Completed(done)) if done == id => return false,
                Ok(_) => {}
                Err(error) if error.is_given_up() => {
                    // Half a command has been sent: nothing else can be said on this connection.
                    self.end(LostCause::Ended { why: INTERRUPTED });
                    return false;
                }
                Err(_) => return false,
            }
        }
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
