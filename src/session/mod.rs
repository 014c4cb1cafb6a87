//! The one persistent session: greeting, STARTTLS, login, the pipeline, and the state that outlives each command.
//!
//! Lives here: [`Session`] and how requests travel. Not here: what any command means — `admin` adds those to [`Session`]
//! as methods, over [`Session::run`] and [`Session::submit`].

mod alias;
mod authenticate;
mod boxed;
mod capability;
mod compress;
mod connector;
mod flow;
mod link;
mod login;
mod logout;
mod name;
mod opening;
mod options;
mod pipeline;
mod receive;
mod request;
mod secrets;
mod send;
mod starttls;
mod state;
mod utf8;
mod waiting;

use std::time::{Duration, Instant};

use crate::error::Error;

pub use boxed::BoxedRequest;
pub use connector::{BackOff, Connector};
pub(crate) use flow::Next;
pub use flow::Pace;
pub use link::{Direction, Trace};
pub use name::{IntoMailbox, MailboxName, RAW};
pub use options::Options;
pub use pipeline::Ticket;
pub(crate) use receive::Taken;
pub(crate) use request::Bare;
pub use request::{Continuation, Effect, Fit, Request, Streamed};
pub(crate) use state::Software;
pub use state::{Capabilities, Extension, Namespace, Namespaces, Notice, Selected, State, Stray};
pub use waiting::{Unsolicited, Waiting, Watch};

use link::{Deadline, Link};
use pipeline::Pipeline;

/// The bytes of unanswered commands that may be under way at once: over a round trip of 20 ms as many as a fast server answers meanwhile.
///
/// The buffers on the way need not hold that much, see [`Session::flush`].
const WINDOW: usize = 256 * 1024;

/// How long an answer on its way is still waited for when the user interrupts.
const GRACE: Duration = Duration::from_secs(1);

/// One connection to one server, and all that is known of both.
pub struct Session {
    link: Link,
    pipeline: Pipeline,
    state: State,
    options: Options,
    /// Whether nothing has come since a command was refused.
    after_refusal: bool,
    /// The request for the server's ID, as long as its answer may still come.
    asked_id: Option<u64>,
    /// Who is told while a change takes long.
    watch: Option<Watch>,
    /// Who is told of data that nobody asked for.
    unsolicited: Option<Unsolicited>,
    /// Whether the session reads by itself what a server asks for, as in AUTHENTICATE.
    in_dialogue: bool,
    /// Tells this session's tickets from another's.
    number: u64,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("server", &self.state.server)
            .field("over", &self.link.over)
            .finish_non_exhaustive()
    }
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
    /// been answered within [`Timeouts::read`](crate::net::Timeouts::read), which goes on as long as the connection lives.
    pub fn set_watch(&mut self, watch: Watch) {
        self.watch = Some(watch);
    }

    /// Has `tell` told of every untagged response with data that no request took: new messages in the selected mailbox (EXISTS), messages
    /// that are gone (EXPUNGE), changed flags. What the session [remembers](State) of it is up to date before `tell` is called.
    ///
    /// Responses are read only while something waits for an answer, or in [`listen`](Self::listen).
    pub fn on_unsolicited(&mut self, tell: Unsolicited) {
        self.unsolicited = Some(tell);
    }

    /// Whether the connection still stands, as far as is known.
    pub fn is_open(&self) -> bool {
        self.link.over.is_none()
    }

    /// How this server was reached.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Does `work` as long as its answers come within `limit` altogether. What takes longer is given up on, and the session goes on. A
    /// shorter limit around this one stays in force.
    ///
    /// # Errors
    /// What `work` returns; [`Error::DeadlineExceeded`] when the limit has passed.
    pub fn within<T>(
        &mut self,
        limit: Duration,
        work: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let outer = self.link.deadline;
        // A limit beyond what the clock can tell is none.
        let own = Instant::now().checked_add(limit).map(|at| Deadline {
            at,
            is_interrupt: false,
        });
        self.link.deadline = outer.into_iter().chain(own).min_by_key(|limit| limit.at);
        let result = work(self);
        self.link.deadline = outer;
        result
    }

    /// From now on, waits for answers only until `limit` is over, altogether; what takes longer is given up on like something that the
    /// user interrupted. For the end of a session, when what is in flight is still worth hearing of.
    pub fn hurry(&mut self, limit: Duration) {
        let now = Instant::now();
        // Whoever waits no more at all does not begin anew with that.
        let is_over = limit.is_zero() && self.link.deadline.is_some_and(|before| before.at <= now);
        if !is_over {
            self.link.hurry(limit);
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.link.close();
    }
}
