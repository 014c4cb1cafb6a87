//! Many requests, each sent before the ones before it are answered.
//!
//! Lives here: how far ahead requests are sent, what an interrupt and a lost connection do to those under way, and how each one is heard of.
//! Not here: for which mailboxes they are, and the account of them (`admin::many`).

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::time::Duration;

use crate::account::Outcome;
use crate::error::Error;

use super::{GRACE, Request, Session, Ticket};

/// Requests that may wait for their answers.
const MOST_AHEAD: usize = 500;

/// How many requests may be under way at once, and who hears of it when the sending stops.
#[derive(Default)]
pub struct Pace<'p> {
    most: Option<usize>,
    stopping: Option<&'p mut dyn FnMut(usize)>,
}

impl<'p> Pace<'p> {
    /// At most `most` requests are under way at once, and at least one; without this, as many as the session sends ahead.
    #[must_use]
    pub fn at_most(mut self, most: usize) -> Self {
        self.most = Some(most);
        self
    }

    /// When the user interrupts, `stopping` hears how many requests are sent and not yet answered, before their answers are waited for.
    #[must_use]
    pub fn when_stopping(mut self, stopping: &'p mut dyn FnMut(usize)) -> Self {
        self.stopping = Some(stopping);
        self
    }
}

impl std::fmt::Debug for Pace<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pace")
            .field("most", &self.most)
            .finish_non_exhaustive()
    }
}

/// What is to be done next: a request, or the reason why it can't be made, behind what belongs to it; nothing once there is no more to do, and
/// an error when nothing more can be done.
pub(crate) type Next<R, K> = Result<Option<(K, Result<R, Error>)>, Error>;

/// The requests under way, oldest first, and between them those that could not be sent.
type Ahead<R, K> = VecDeque<(K, Result<Ticket<R>, Error>)>;

impl Session {
    /// Sends many requests, each before the ones before it are answered, and tells `each` what became of every one, in their order. Each
    /// request stands behind what belongs to it, such as the mailbox it is about, which comes back with the reply. Requests of different types can be sent as
    /// [`BoxedRequest`](super::BoxedRequest).
    ///
    /// After a `Break` nothing more is sent, and `each` still hears of everything that was.
    ///
    /// A failure does not keep the others from being sent, but for one that [is grave](Error::is_grave): nothing is sent after that, and
    /// `each` still hears of everything that was.
    ///
    /// # Errors
    /// The session was over, or the user had interrupted, before all were sent; `each` has not heard of those left.
    pub fn run_each<R: Request, K>(
        &mut self,
        requests: impl IntoIterator<Item = (K, R)>,
        each: impl FnMut(K, Result<R::Reply, Error>) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let mut requests = requests.into_iter();
        self.run_next(
            &mut Pace::default(),
            |_| Ok(requests.next().map(|(key, request)| (key, Ok(request)))),
            each,
        )
    }

    /// The same, where each request is made when its turn to be sent comes.
    pub(crate) fn run_next<R: Request, K>(
        &mut self,
        pace: &mut Pace<'_>,
        mut next: impl FnMut(&mut Session) -> Next<R, K>,
        mut each: impl FnMut(K, Result<R::Reply, Error>) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let most = match pace.most {
            _ if !self.options.pipeline => 0,
            // One more is under way between its being sent and the wait for the oldest.
            Some(most) => most.saturating_sub(1).min(MOST_AHEAD),
            None => MOST_AHEAD,
        };
        let mut ahead: Ahead<R, K> = VecDeque::new();
        let mut stopped = Ok(());
        let mut grave = false;
        let mut enough = false;
        while !enough {
            let (key, request) = match next(self) {
                Ok(Some(next)) => next,
                Ok(None) => break,
                Err(error) => {
                    stopped = Err(error);
                    break;
                }
            };
            if grave {
                // What `each` has heard of those before says nothing of this one.
                let verb = request.as_ref().map_or("a command", Request::verb);
                stopped = self
                    .check_open(verb)
                    .and(Err(self.given_up(verb, Outcome::NotSent)));
                break;
            }
            match request.and_then(|request| self.submit(request)) {
                Err(error) if error.is_grave() => {
                    stopped = Err(error);
                    break;
                }
                // One that was not sent is told of in its turn.
                ticket => ahead.push_back((key, ticket)),
            }
            grave |= self.tell(&mut ahead, most, &mut |key, result| {
                enough |= each(key, result).is_break();
            });
        }
        self.tell_rest(ahead, grave, pace, &mut |key, result| {
            let _ = each(key, result);
        });
        stopped
    }

    /// Tells of all that are still under way; `grave` is whether one of them has been given up on.
    fn tell_rest<R: Request, K>(
        &mut self,
        mut ahead: Ahead<R, K>,
        grave: bool,
        pace: &mut Pace<'_>,
        each: &mut impl FnMut(K, Result<R::Reply, Error>),
    ) {
        if ahead.is_empty() && !grave {
            return;
        }
        if self.options.interrupt.raised() {
            if let Some(stopping) = &mut pace.stopping {
                stopping(ahead.len() + usize::from(grave));
            }
            // What is under way is still heard of, as long as the answers keep coming and nobody interrupts once more.
            let interrupt = self.options.interrupt.clone();
            let before = self.link.deadline;
            interrupt.clear();
            let mut patience = GRACE;
            while !ahead.is_empty() {
                if interrupt.raised() {
                    patience = Duration::ZERO;
                }
                self.hurry(patience);
                let one_less = ahead.len() - 1;
                if self.tell(&mut ahead, one_less, each) {
                    // Nothing came for so long: nothing more is waited for.
                    patience = Duration::ZERO;
                }
            }
            self.link.deadline = before;
            interrupt.raise();
        }
        while !ahead.is_empty() {
            self.tell(&mut ahead, 0, each);
        }
    }

    /// Tells of the oldest requests until only `most` are waiting; whether something grave stopped it.
    fn tell<R: Request, K>(
        &mut self,
        ahead: &mut Ahead<R, K>,
        most: usize,
        each: &mut impl FnMut(K, Result<R::Reply, Error>),
    ) -> bool {
        while ahead.len() > most || self.is_full() {
            let Some((key, ticket)) = ahead.pop_front() else {
                break;
            };
            let result = ticket.and_then(|ticket| self.wait(ticket));
            let grave = result.as_ref().is_err_and(Error::is_grave);
            each(key, result);
            if grave {
                return true;
            }
        }
        false
    }
}
