//! The requests in flight: which response belongs to which, and what became of each.
//!
//! Lives here: [`Ticket`], the queue, the matching of untagged and tagged responses. No I/O (that is `link`'s), and no
//! knowledge of what any command means.

use std::any::Any;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::{Arc, Weak};

use crate::account::Outcome;
use crate::error::{Advice, Error, LostCause, Refusal, referred_host};
use crate::wire::cursor::ParseError;
use crate::wire::encode::Encoder;
use crate::wire::response::{Condition, Data, Status, words};

use super::alias::{Plain, Side};
use super::boxed::BoxedRequest;
use super::request::{Continuation, Effect, Fit, Request};
use super::secrets::Secrets;
use super::state::State;

/// A request that was submitted; [`Session::wait`](super::Session::wait) turns it into the reply.
///
/// A ticket that is dropped forgoes the reply, not the command.
#[must_use = "the command was sent, but its outcome is in Session::wait"]
#[derive(Debug)]
pub struct Ticket<R: Request> {
    pub(super) session: u64,
    pub(super) id: u64,
    /// Gone with the ticket: nobody asks for the reply then.
    holder: Arc<()>,
    request: PhantomData<fn() -> R>,
}

impl<R: Request> Ticket<R> {
    pub(super) fn new(session: u64, id: u64) -> Self {
        Self {
            session,
            id,
            holder: Arc::new(()),
            request: PhantomData,
        }
    }
}

/// A request's reply or error, its type forgotten until the ticket gives it back.
type Answer = Result<Box<dyn Any + Send>, Error>;

/// What was wrong with a request's responses.
struct Damage {
    count: usize,
    why: String,
    sample: String,
}

/// One request that was sent and not yet answered.
struct InFlight {
    id: u64,
    verb: &'static str,
    effect: Effect,
    alone: bool,
    bytes: usize,
    damage: Option<Damage>,
    /// It took a response while older requests were still unanswered.
    early: bool,
    /// It took a response at all.
    fed: bool,
    /// Bytes of the responses that it took.
    held: usize,
    /// The same, with those that could not be read.
    taken: usize,
    /// Nobody waits for it any more (its user was interrupted): its answer is read and thrown away.
    abandoned: bool,
    /// Dead where nobody asks for its reply: what the session learns of it is all then.
    holder: Weak<()>,
    /// Its bytes, counted from the first command on.
    range: Range<u64>,
    /// What it asks about.
    subject: Option<Subject>,
    /// Who is to speak.
    turn: Turn,
    work: BoxedRequest<Box<dyn Any + Send>>,
}

/// The mailbox or quota root that a request asks about.
pub(super) struct Subject {
    wire: Box<[u8]>,
    plain: Plain,
    /// Without quotes nothing tells such a name from the words behind it.
    has_space: bool,
}

impl Subject {
    pub(super) fn of<R: Request>(request: &R, state: &State) -> Option<Self> {
        let wire = request.subject()?.wire();
        Some(Self {
            wire: wire.into(),
            plain: Plain::new(wire, state),
            has_space: wire.contains(&b' '),
        })
    }
}

/// Whose turn it is to say something of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// The server's: it is to answer.
    Server,
    /// This side's: the server has asked for more, and [`Continuation::Hold`] was the answer.
    Client,
    /// The server's, which has asked for more than there is, and was told so.
    Cancelled,
}

impl InFlight {
    /// Counts a response that it took, or that was its own and could not be read; whether there are too many.
    fn is_too_much(&mut self, response: &[u8]) -> bool {
        self.taken += response.len();
        self.taken > MOST_OF_ONE
    }

    fn damaged(&mut self, error: &ParseError, response: &[u8], secrets: &Secrets) {
        let damage = self.damage.get_or_insert_with(|| Damage {
            count: 0,
            why: error.to_string(),
            sample: secrets.sample(response),
        });
        damage.count += 1;
    }
}

/// An outcome that nobody has asked for yet.
struct Outstanding {
    answer: Answer,
    held: usize,
    holder: Weak<()>,
}

fn is_alive(holder: &Weak<()>) -> bool {
    holder.strong_count() > 0
}

/// Hashes the numbers of requests, which nobody outside chooses.
#[derive(Default)]
struct ById(u64);

impl Hasher for ById {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(self.0 ^ u64::from(*byte));
        }
    }
    fn write_u64(&mut self, id: u64) {
        // The table looks at both ends of a hash.
        self.0 = id.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(20);
    }
}

/// Outcomes, and their bytes, below which nobody looks whether their tickets are gone.
const FEW: (usize, usize) = (1_000, 1024 * 1024);

/// The bytes of responses that one request may take: more than any mailbox or server has to tell, and no end to be waited for.
const MOST_OF_ONE: usize = 256 * 1024 * 1024;

/// The requests in flight, oldest first, and the outcomes that nobody has asked for yet.
#[derive(Default)]
pub(super) struct Pipeline {
    last: u64,
    queue: VecDeque<InFlight>,
    /// Each with the bytes of the responses that it was made from.
    outcomes: HashMap<u64, Outstanding, BuildHasherDefault<ById>>,
    /// With so many outcomes, or so many bytes of them, it is time to look for those whose tickets are gone.
    sweep_at: (usize, usize),
    /// Bytes of all commands.
    written: u64,
    bytes: usize,
    held: usize,
    /// A request whose responses are more than [`MOST_OF_ONE`].
    endless: Option<&'static str>,
    /// How many requests of each name are in flight.
    verbs: Vec<(&'static str, usize)>,
    /// What is asked about, without what servers change in names: the name it was asked by, and how often.
    subjects: HashMap<Vec<u8>, (Box<[u8]>, usize)>,
    /// How many of those are below INBOX, how many below other users' mailboxes, and how many have spaces.
    own: usize,
    others: usize,
    with_space: usize,
}

impl Pipeline {
    /// The number for the next request, from which its tag is made.
    pub(super) fn next_id(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Writes the tag of request `id`.
    pub(super) fn tag(id: u64, command: &mut Encoder<'_>) {
        command.atom("a").number(id);
    }

    pub(super) fn push<R: Request>(
        &mut self,
        ticket: &Ticket<R>,
        request: R,
        bytes: usize,
        subject: Option<Subject>,
    ) {
        let id = ticket.id;
        self.bytes += bytes;
        self.count(request.verb(), subject.as_ref(), true);
        self.queue.push_back(InFlight {
            id,
            verb: request.verb(),
            effect: request.effect(),
            alone: request.alone(),
            bytes,
            damage: None,
            early: false,
            fed: false,
            held: 0,
            taken: 0,
            abandoned: false,
            holder: Arc::downgrade(&ticket.holder),
            range: self.written..self.written + bytes as u64,
            subject,
            turn: Turn::Server,
            work: BoxedRequest::new(request, |reply| Box::new(reply) as Box<dyn Any + Send>),
        });
        self.written += bytes as u64;
    }

    /// How many requests are in flight.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Counts a request that comes or goes.
    fn count(&mut self, verb: &'static str, subject: Option<&Subject>, comes: bool) {
        let step = |count: &mut usize| {
            *count = if comes {
                *count + 1
            } else {
                count.saturating_sub(1)
            };
        };
        match self.verbs.iter_mut().find(|(have, _)| *have == verb) {
            Some((_, count)) => step(count),
            None => self.verbs.push((verb, 1)),
        }
        let Some(subject) = subject else { return };
        match subject.plain.side() {
            Some(Side::Own) => step(&mut self.own),
            Some(Side::Others) => step(&mut self.others),
            None => {}
        }
        if subject.has_space {
            step(&mut self.with_space);
        }
        match self.subjects.get_mut(&subject.plain.key) {
            Some((_, count)) => {
                step(count);
                if *count == 0 {
                    self.subjects.remove(&subject.plain.key);
                }
            }
            None => {
                let one = (subject.wire.clone(), 1);
                self.subjects.insert(subject.plain.key.clone(), one);
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether the newest request wants nothing in flight beside it.
    pub(super) fn is_closed(&self) -> bool {
        self.queue.back().is_some_and(|entry| entry.alone)
    }

    /// Whether a request of this name is in flight.
    pub(super) fn holds(&self, verb: &str) -> bool {
        self.verbs
            .iter()
            .any(|(have, count)| *count > 0 && *have == verb)
    }

    /// Whether something is in flight whose responses could not be told from this request's: a command that it can't be beside, or one
    /// that asks about the same mailbox by another name.
    pub(super) fn has_rival(
        &self,
        rivals: &[&str],
        subject: Option<&Subject>,
        state: &State,
    ) -> bool {
        if rivals.iter().any(|verb| self.holds(verb)) {
            return true;
        }
        let Some(subject) = subject else {
            return false;
        };
        let same = self.subjects.get(&subject.plain.key);
        if same.is_some_and(|(wire, _)| *wire != subject.wire) {
            return true;
        }
        // Whose INBOX is it? Where nobody knows, it may be any user's.
        state.user().is_none()
            && match subject.plain.side() {
                Some(Side::Own) => self.others > 0,
                Some(Side::Others) => self.own > 0,
                None => false,
            }
    }

    /// Bytes of the requests whose answers are not here yet.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_done(&self, id: u64) -> bool {
        self.outcomes.contains_key(&id)
    }

    pub(super) fn claim(&mut self, id: u64) -> Option<Answer> {
        let outcome = self.outcomes.remove(&id)?;
        self.held -= outcome.held;
        Some(outcome.answer)
    }

    /// Keeps an outcome for its ticket.
    fn keep(&mut self, id: u64, answer: Answer, held: usize, holder: Weak<()>) {
        let outcome = Outstanding {
            answer,
            held,
            holder,
        };
        self.outcomes.insert(id, outcome);
        if self.outcomes.len() > self.sweep_at.0.max(FEW.0)
            || self.held > self.sweep_at.1.max(FEW.1)
        {
            let held = &mut self.held;
            self.outcomes.retain(|_, outcome| {
                let stays = is_alive(&outcome.holder);
                *held -= if stays { 0 } else { outcome.held };
                stays
            });
            // Not again before there are twice as many.
            self.sweep_at = (self.outcomes.len() * 2, self.held * 2);
        }
    }

    /// Whether responses of more than `most` bytes wait for somebody who will ask for their replies.
    pub(super) fn is_full(&self, most: usize) -> bool {
        let forgone = |outcome: &&Outstanding| !is_alive(&outcome.holder);
        self.held > most && {
            let outcomes = self.outcomes.values().filter(forgone);
            let of_nobody: usize = outcomes.map(|outcome| outcome.held).sum();
            self.held - of_nobody > most
        }
    }

    /// Where request `id` is in the queue, which is in the order of their numbers and may be long.
    fn place_of(&self, id: u64) -> Option<usize> {
        self.queue.binary_search_by_key(&id, |entry| entry.id).ok()
    }

    /// The verb of a request in flight, and what becomes of it when nobody waits for its answer any more.
    pub(super) fn describe(&self, id: u64) -> Option<(&'static str, Outcome)> {
        let entry = self.queue.get(self.place_of(id)?)?;
        Some((entry.verb, entry.effect.unanswered()))
    }

    /// The verb of the oldest request in flight, if it changes something.
    pub(super) fn awaited_change(&self) -> Option<&'static str> {
        let oldest = self.queue.front()?;
        (oldest.effect == Effect::Change).then_some(oldest.verb)
    }

    /// The verb of the request with this tag; of the oldest one where the tag is none's.
    pub(super) fn verb_of(&self, tag: &[u8]) -> Option<&'static str> {
        let id = id_of(tag);
        let named = id.and_then(|id| self.queue.get(self.place_of(id)?));
        named.or(self.queue.front()).map(|entry| entry.verb)
    }

    /// Nobody will wait for request `id`.
    pub(super) fn abandon(&mut self, id: u64) {
        if let Some(entry) = self.place_of(id).and_then(|at| self.queue.get_mut(at)) {
            entry.abandoned = true;
        }
        self.claim(id);
    }

    /// Offers an untagged response to the requests in flight: by the very name first, then by one that may be the same mailbox's, the
    /// oldest first. A name with spaces comes before the shorter one that it begins with, in case the server sends names without quotes.
    ///
    /// `Ok(true)` when one took it.
    pub(super) fn offer(
        &mut self,
        data: &Data<'_>,
        response: &[u8],
        state: &State,
        secrets: &Secrets,
    ) -> Result<bool, ParseError> {
        let rounds = [
            (Fit::Exact, true),
            (Fit::Exact, false),
            (Fit::Alias(state), false),
        ];
        let from = usize::from(self.with_space == 0);
        for (fit, only_with_space) in rounds.into_iter().skip(from) {
            for (at, entry) in self.queue.iter_mut().enumerate() {
                let has_space = entry.subject.as_ref().is_some_and(|name| name.has_space);
                if only_with_space && !has_space {
                    continue;
                }
                match entry.work.take(data, fit) {
                    Ok(true) => {
                        entry.fed = true;
                        entry.held += response.len();
                        self.held += response.len();
                        entry.early = at > 0;
                        if entry.is_too_much(response) {
                            self.endless = Some(entry.verb);
                        }
                        return Ok(true);
                    }
                    Ok(false) => {}
                    Err(error) => {
                        entry.damaged(&error, response, secrets);
                        if entry.is_too_much(response) {
                            self.endless = Some(entry.verb);
                        }
                        return Err(error);
                    }
                }
            }
        }
        Ok(false)
    }

    /// The request whose reply is longer than any can be, so that there may be no end of it.
    pub(super) fn endless(&self) -> Option<&'static str> {
        self.endless
    }

    /// The server has asked for more with a `+`, of the oldest request in flight. Returns the line to send.
    pub(super) fn continued(&mut self, text: &[u8]) -> Option<Vec<u8>> {
        let entry = self.queue.front_mut()?;
        match entry.work.on_continue(text) {
            Continuation::Send(line) => Some(line),
            Continuation::Hold => {
                entry.turn = Turn::Client;
                None
            }
            // Once only: a server that asks again and again would be answered for ever.
            Continuation::Cancel if entry.turn == Turn::Cancelled => None,
            Continuation::Cancel => {
                entry.turn = Turn::Cancelled;
                Some(b"*".to_vec())
            }
        }
    }

    /// Whether it is this side's turn to say something of the oldest request.
    pub(super) fn is_held(&self) -> bool {
        self.queue
            .front()
            .is_some_and(|entry| entry.turn == Turn::Client)
    }

    /// Whether it is this side's turn to say something of request `id`; it no longer is after this.
    pub(super) fn take_turn(&mut self, id: u64) -> bool {
        let entry = self.place_of(id).and_then(|at| self.queue.get_mut(at));
        entry.is_some_and(|entry| {
            let is_ours = entry.turn == Turn::Client;
            if is_ours {
                entry.turn = Turn::Server;
            }
            is_ours
        })
    }

    /// Offers an untagged OK to the oldest request in flight.
    pub(super) fn offer_status(&mut self, status: &Status<'_>) -> bool {
        self.queue
            .iter_mut()
            .any(|entry| entry.work.take_status(status))
    }

    /// A response so broken that not even its kind is known: it may have been part of what the oldest request reads.
    pub(super) fn unreadable(&mut self, error: &ParseError, response: &[u8], secrets: &Secrets) {
        if let Some(entry) = self.queue.front_mut()
            && entry.effect == Effect::Read
        {
            entry.damaged(error, response, secrets);
        }
    }

    /// Marks request `id` as having missed a response.
    pub(super) fn damage(
        &mut self,
        id: u64,
        error: &ParseError,
        response: &[u8],
        secrets: &Secrets,
    ) {
        if let Some(entry) = self.place_of(id).and_then(|at| self.queue.get_mut(at)) {
            entry.damaged(error, response, secrets);
        }
    }

    /// Ends the request that `tag` names: its id, or `None` for a tag that nobody sent.
    pub(super) fn complete(
        &mut self,
        tag: &[u8],
        status: &Status<'_>,
        state: &mut State,
    ) -> Option<u64> {
        let id = id_of(tag)?;
        let entry = self.queue.remove(self.place_of(id)?)?;
        self.bytes -= entry.bytes;
        self.count(entry.verb, entry.subject.as_ref(), false);
        if entry.abandoned {
            self.held -= entry.held;
            if entry.effect == Effect::Read
                && entry.damage.is_none()
                && status.condition == Condition::Ok
            {
                // What it tells of the server, such as its separator, is known from now on; else the same would be asked again and again.
                let _ = entry.work.finish(status, state);
            }
            // Of anything else its user was told that it is unknown: the state must not follow what nobody saw.
            return Some(id);
        }
        let reads = entry.effect == Effect::Read;
        // A later request of its kind took a response by name before this one, which went without: it may have been this one's, the
        // server knowing the mailbox by another name.
        let mixed_up = || {
            self.queue
                .iter()
                .any(|later| later.early && later.verb == entry.verb)
        };
        let outcome = match (status.condition, entry.damage) {
            (Condition::Ok, Some(damage)) if reads => Err(Error::Incomplete {
                verb: entry.verb,
                count: damage.count,
                why: damage.why,
                sample: damage.sample,
            }),
            (Condition::Ok, _) if reads && !entry.fed && mixed_up() => Err(Error::Missing {
                verb: entry.verb,
                missing: "fitting",
                advice: Advice::AskAlone,
            }),
            (Condition::Ok, _) => entry.work.finish(status, state),
            (_, _) if entry.turn == Turn::Cancelled => Err(Error::UnexpectedContinuation {
                verb: entry.verb,
                text: status.said(),
            }),
            (condition, _) => {
                let mut refusal = refusal(entry.verb, condition, status);
                refusal.advice = entry.work.refused(&refusal, state);
                if let Some(bye) = &state.bye {
                    refusal.advice = Some(Advice::ConnectAfterBye {
                        bye: bye.text.clone(),
                    });
                } else if refusal.advice.is_none() {
                    refusal.advice =
                        on_another_server(&refusal).or_else(|| not_logged_in(entry.verb, state));
                }
                Err(Error::Refused(Box::new(refusal)))
            }
        };
        if is_alive(&entry.holder) {
            self.keep(id, outcome, entry.held, entry.holder);
        } else {
            self.held -= entry.held;
        }
        Some(id)
    }

    /// The connection is gone: everything in flight ends with it, each saying whether it may have been done.
    ///
    /// `unsent` bytes at the end of all that was written never left this program.
    pub(super) fn lose_all(&mut self, cause: &LostCause, unsent: usize) {
        let sent = self.written.saturating_sub(unsent as u64);
        for entry in std::mem::take(&mut self.queue) {
            self.held -= entry.held;
            if !entry.abandoned && is_alive(&entry.holder) {
                let lost = Error::Lost {
                    verb: entry.verb,
                    cause: cause.clone(),
                    outcome: if entry.range.start >= sent {
                        Outcome::NotSent
                    } else {
                        entry.effect.unanswered()
                    },
                };
                self.keep(entry.id, Err(lost), 0, entry.holder);
            }
        }
        self.bytes = 0;
        self.endless = None;
        self.verbs.clear();
        self.subjects.clear();
        (self.own, self.others, self.with_space) = (0, 0, 0);
    }
}

/// The number in a tag of ours.
fn id_of(tag: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(tag).ok()?.strip_prefix('a')?;
    digits.parse().ok()
}

/// What to do about a mailbox that lives elsewhere (RFC 2193).
fn on_another_server(refusal: &Refusal) -> Option<Advice> {
    let host = referred_host(refusal.code.as_ref()?, &refusal.arguments)?;
    Some(Advice::ConnectTo {
        host: Some(host),
        for_user: false,
    })
}

/// What to do where a command was refused while nobody is logged in, as after UNAUTHENTICATE.
fn not_logged_in(verb: &str, state: &State) -> Option<Advice> {
    // The commands that need no login (RFC 9051, sections 6.1 and 6.2; RFC 2971).
    let early = [
        "AUTHENTICATE",
        "LOGIN",
        "STARTTLS",
        "CAPABILITY",
        "NOOP",
        "LOGOUT",
        "ID",
    ];
    (!state.is_authenticated() && !early.contains(&verb)).then_some(Advice::LogIn)
}

/// A tagged NO or BAD as an error value.
fn refusal(verb: &'static str, condition: Condition, status: &Status<'_>) -> Refusal {
    Refusal {
        verb,
        condition,
        code: status.code.map(|code| code.response_code()),
        arguments: status
            .code
            .map(|code| words(code.arguments).into_owned())
            .unwrap_or_default(),
        text: words(status.text).into_owned(),
        advice: None,
    }
}
