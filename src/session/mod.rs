//! The one persistent session: greeting, STARTTLS, login, the pipeline, and the state that outlives each command.
//!
//! Here: [`Session`] and how requests travel. Not here: what any command means. `admin` adds those to [`Session`] as methods, on top of
//! [`Session::run`] and [`Session::submit`].
//!
//! ```no_run
//! use imapadm::auth::{Credentials, SecretString};
//! use imapadm::session::{BackOff, Connector};
//! use imapadm::{Error, Options};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let credentials = Credentials::password("cyrus", SecretString::from("secret"));
//! let connector = Connector::new(Options::parse("imap.example.org")?, credentials);
//! let mut session = connector.back_off(BackOff::default()).connect()?;
//! match session.delete("user.bob") {
//!     Err(Error::Lost { cause, .. }) => println!("the connection was lost: {cause}"),
//!     Err(error) => println!("{error}; try again: {:?}", error.retry()),
//!     Ok(_) => session.logout(),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Blocking
//! A method that needs an answer blocks until the answer is there. Three limits end a wait:
//! - [`Timeouts::read`](crate::net::Timeouts::read): the server is silent for that long. The connection is lost then. Only a change waits
//!   on, for as long as the connection lives, because nobody could tell whether it was done.
//! - [`Timeouts::connect`](crate::net::Timeouts::connect): connecting and logging in take longer than that, all in all.
//! - [`Session::within`]: a limit of the caller's on any work. The session goes on.
//!
//! # Cancellation
//! Raise [`Options::interrupt`] in a signal handler or in another thread. A wait then ends within 1.2 s: the flag is looked at every
//! 0.2 s, and an answer that is on its way is still taken for 1 s. The error is [`Error::Interrupted`], its outcome says whether the
//! request may have been done, and the session goes on. Two waits end the connection instead, because nothing else can be said on it: in
//! the middle of a command that is sent in pieces, and in the middle of a login.
//!
//! Dropping a session closes the connection without LOGOUT; [`Session::logout`] says it.
//!
//! # Threads
//! A session is [`Send`] and not [`Sync`]. To share one, put it into a `Mutex`; `tests/examples/shared_session.rs` does, and makes a
//! lost connection anew.

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
use crate::wire::response::Data;

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
pub use waiting::{Waiting, Watch};

use link::{Deadline, Link};
use pipeline::Pipeline;
use waiting::Unsolicited;

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
    /// How many responses have been dealt with.
    taken: u32,
    /// Since when the user has had enough, while there is always more to read.
    stopping: Option<Instant>,
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
    ///
    /// `tell` is called in the middle of a wait, and must not take long. What it sees is untrusted.
    pub fn on_unsolicited(&mut self, tell: impl FnMut(&Data<'_>) + Send + 'static) {
        self.unsolicited = Some(Box::new(tell));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_can_go_to_another_thread() {
        fn is_send<T: Send>() {}
        is_send::<Session>();
        is_send::<Connector>();
        is_send::<Error>();
    }
}
