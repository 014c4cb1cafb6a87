//! How answers arrive: the one loop that reads responses, hands each to whoever it belongs to, and ends when the connection does.
//!
//! Here: [`Session::wait`] and the loop behind it. Not here: which request a response belongs to (`pipeline`), how bytes become
//! responses (`link`, `wire`), and what an unsolicited response changes (`state`).

use std::ops::ControlFlow;
use std::time::Instant;

use crate::account::Outcome;
use crate::error::{Error, LostCause};
use crate::wire::cursor::ParseError;
use crate::wire::frame::Frame;
use crate::wire::response::{self, Code, Condition, Data, Response, Status, Untagged};

use super::link::LinkError;
use super::pipeline::Ticket;
use super::request::{Request, Streamed};
use super::state::{Bye, Capabilities, Notice, State};
use super::waiting::{Progress, Waiting};
use super::{GRACE, Session, utf8};

/// The bytes of responses that may stand in memory before anybody asks for the replies that they make up; see [`Session::is_full`].
const MOST_HELD: usize = 4 * 1024 * 1024;

/// Responses after which it is looked whether the user has had enough.
const LOOK_UP: u32 = 64;

/// What one response turned out to be.
pub(super) enum Event {
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
pub(super) struct Streaming<'s> {
    /// The request whose responses it takes.
    id: u64,
    /// That request's name, which most of them have for a keyword.
    verb: &'static str,
    sink: Sink<'s>,
}

impl Session {
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

    /// Sends a request and hands each of its responses to `each` as it comes. After a `Break` the rest is read and thrown away; put it
    /// [`within`](Self::within) a time limit where there may be no end of it.
    ///
    /// # Errors
    /// As [`run`](Self::run). `each` has then seen the responses that could be read.
    pub fn stream<R: Streamed>(
        &mut self,
        request: R,
        mut each: impl FnMut(R::Item<'_>) -> ControlFlow<()>,
    ) -> Result<R::Reply, Error> {
        let mut more = true;
        self.stream_to(request, &mut |data| {
            let Some(item) = R::item(data)? else {
                return Ok(Taken::No);
            };
            if more {
                more = each(item).is_continue();
            }
            Ok(Taken::Yes)
        })
    }

    /// Waits for one response and deals with it, whatever it is about. For a request that [holds](super::Continuation::Hold): the responses
    /// that come meanwhile are nobody's, and go to [`on_unsolicited`](Self::on_unsolicited). Nothing at all for as long as
    /// [`Timeouts::read`](crate::net::Timeouts::read) ends this wait too, and is no error then.
    ///
    /// # Errors
    /// As [`await_answer`](Self::await_answer).
    pub fn listen(&mut self) -> Result<(), Error> {
        self.check_open("a command")?;
        self.flush_to_wait()?;
        self.pump(None).map(drop)
    }

    /// Sends the line that the server waits for, without its line end: a request [held](super::Continuation::Hold) it back. Waits for the
    /// server to ask for it where it has not yet. Does nothing where the request is answered already.
    ///
    /// # Errors
    /// The line holds a line end, or the connection was lost.
    pub fn proceed<R: Request>(&mut self, ticket: &Ticket<R>, line: &[u8]) -> Result<(), Error> {
        if line.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            return Err(Error::Usage("a line cannot contain a line end".into()));
        }
        while ticket.session == self.number && self.pipeline.describe(ticket.id).is_some() {
            if self.pipeline.take_turn(ticket.id) {
                return self.say_line(line);
            }
            self.flush_to_wait()?;
            self.pump(None)?;
        }
        Ok(())
    }

    fn say_line(&mut self, line: &[u8]) -> Result<(), Error> {
        let line = [line, b"\r\n"].concat();
        self.link.send(&line, &[]).map_err(|error| self.lose(error))
    }

    /// Sends a request whose untagged responses go to `sink` as they come, so that none has to be kept.
    pub(crate) fn stream_to<R: Request>(
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

    /// Reads responses until request `id` is answered.
    ///
    /// After an interrupt an answer that is on its way is still taken, for as long as [`GRACE`].
    pub(super) fn drive(&mut self, id: u64, mut sink: Option<Sink<'_>>) -> Result<(), Error> {
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
                    self.end(LostCause::Ended {
                        why: "its reply had no end",
                    });
                    self.pipeline.abandon(id);
                    result = Err(Error::TooLong { verb });
                    break;
                }
                Ok(_) => {}
                Err(Error::Interrupted { .. }) if !in_grace && self.link.deadline.is_none() => {
                    in_grace = true;
                    interrupt.clear();
                    self.link.hurry(GRACE);
                }
                Err(error) if error.is_given_up() => {
                    self.pipeline.abandon(id);
                    result = Err(error.about(verb, outcome));
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

    /// Reads one response and deals with it; with a sink, also those that the sink takes before it.
    pub(super) fn pump(&mut self, mut sink: Option<Streaming<'_>>) -> Result<Event, Error> {
        loop {
            let event = self.pump_one(&mut sink)?;
            self.taken = self.taken.wrapping_add(1);
            if self.taken.is_multiple_of(LOOK_UP) {
                self.check_patience()?;
            }
            if let Some(event) = event {
                return Ok(event);
            }
        }
    }

    /// Where there is always more to read, nothing ever waits, and so nothing else would see that the user has had enough.
    fn check_patience(&mut self) -> Result<(), Error> {
        if !self.options.interrupt.raised() {
            self.stopping = None;
        } else if self.stopping.get_or_insert_with(Instant::now).elapsed() > GRACE {
            self.stopping = None;
            return Err(self.given_up("a command", Outcome::Unknown));
        }
        Ok(())
    }

    /// Reads one response and deals with it; `None` if the sink took it.
    #[inline]
    fn pump_one(&mut self, sink: &mut Option<Streaming<'_>>) -> Result<Option<Event>, Error> {
        let frame = match self.link.receive() {
            Ok(frame) => frame,
            Err(LinkError::Lost(LostCause::TimedOut { .. }, _)) if self.waits_on() => {
                return Ok(Some(Event::Other));
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
        if self.pipeline.is_held() {
            // The server has nothing to say until this side does.
            return true;
        }
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
    pub(super) fn deal(
        &mut self,
        frame: Frame,
        streaming: &mut Option<Streaming<'_>>,
    ) -> Option<Event> {
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
                self.state.bye = Some(Bye::read(&status));
                self.end(LostCause::Closed);
                return Some(Event::Other);
            }
            Response::Tagged { tag, status } => {
                learn(&mut self.state, &status);
                if status.condition == Condition::Ok {
                    // The words of a refusal are shown with it.
                    heed(&mut self.state, &status);
                }
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
                    self.state.bye = Some(Bye::read(&status));
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
                    Ok(false) => {
                        if let Some(tell) = &mut self.unsolicited {
                            tell(&data);
                        }
                        if !observed {
                            self.state.stray(secrets.sample(bytes), None);
                        }
                    }
                    Ok(true) => {}
                    Err(error) => self.state.stray(secrets.sample(bytes), Some(&error)),
                }
                if let Some(verb) = self.pipeline.endless() {
                    self.end(LostCause::Endless { verb });
                }
                Event::Other
            }
        };
        // Where a command goes out in pieces, or in a dialogue of the session's own, whoever sends it reads what the server asks for.
        if let Event::Continuation(text) = &event
            && self.link.held_back == 0
            && !self.in_dialogue
            && let Some(line) = self.pipeline.continued(text)
        {
            // An untagged BAD about a line that the server did not wait for after all is no news.
            self.after_refusal = true;
            // What goes wrong is with the ticket.
            let _ = self.say_line(&line);
        }
        Some(event)
    }

    /// A server that has said BYE answers what is in flight, and nothing else is said to it.
    fn end_after_bye(&mut self) {
        if self.state.bye.is_some() && self.pipeline.is_empty() && self.link.over.is_none() {
            self.end(LostCause::Closed);
        }
    }

    /// What an error on the connection amounts to: nothing but the wait is over, or the connection is, with all that waits for it.
    pub(super) fn lose(&mut self, error: LinkError) -> Error {
        let (mut cause, tls) = match error {
            LinkError::Lost(cause, tls) => (cause, tls),
            LinkError::Interrupted | LinkError::DeadlineExceeded => {
                return self.given_up("a command", Outcome::Unknown);
            }
        };
        if let LostCause::TimedOut { waiting, .. } = &mut cause {
            *waiting = self.pipeline.len();
        }
        let lost = self.end(cause);
        self.link.broken_tls = tls;
        lost
    }

    /// Somebody gave up waiting: the user, or a caller whose time limit has passed.
    pub(super) fn given_up(&self, verb: &'static str, outcome: Outcome) -> Error {
        if self.link.is_late() && !self.options.interrupt.raised() {
            Error::DeadlineExceeded { verb, outcome }
        } else {
            Error::Interrupted { verb, outcome }
        }
    }

    /// Ends the connection, for a cause: ends everything that waits for it. A server that has said BYE has said the cause.
    pub(super) fn end(&mut self, mut cause: LostCause) -> Error {
        if let (Some(bye), LostCause::Closed | LostCause::Io(_)) = (&self.state.bye, &cause) {
            cause = bye.clone().into();
        }
        self.pipeline.lose_all(&cause, self.link.unsent());
        self.link.out.clear();
        self.link.close();
        self.state.selected = None;
        self.link.over = Some(cause.clone());
        Error::Lost {
            verb: "a command",
            cause,
            outcome: Outcome::Unknown,
        }
    }
}

/// Why a connection ended on which nothing could be said behind half a command.
pub(super) const INTERRUPTED: &str = "interrupted";

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

/// What any status response may tell: capabilities (RFC 3501 section 7.1).
pub(super) fn learn(state: &mut State, status: &Status<'_>) {
    if let Some(code) = status.code
        && code.is("CAPABILITY")
    {
        state.learn_capabilities(Capabilities::read(code.cursor()));
    }
}

/// Keeps what a person should hear: alerts, and the NO and BAD that belong to no command.
pub(super) fn heed(state: &mut State, status: &Status<'_>) {
    let alert = status.code.is_some_and(|code| code.is("ALERT"));
    if alert || matches!(status.condition, Condition::No | Condition::Bad) {
        state.notice(Notice::said(if alert {
            format!("ALERT: {}", response::words(status.text))
        } else {
            format!("{}: {}", status.condition, status.said())
        }));
    }
}
