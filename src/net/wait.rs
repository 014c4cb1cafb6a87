//! Waiting: time limits, the flag by which a signal ends a wait, and work that can be given up on.
//!
//! Not here: installing signal handlers, which is the program's business.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// The longest single wait in the kernel. A signal that comes just before a system call goes unnoticed by it,
/// so no call may last longer than a user would put up with after Ctrl-C.
pub(super) const SLICE: Duration = Duration::from_millis(200);

/// How long to wait, at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// From looking up the name to the end of the login, all in all: connecting, the greeting, TLS, the login. What passes between opening
    /// a session and logging in, such as somebody typing a password, does not count; each further login has all of it anew.
    pub connect: Duration,
    /// For the next byte to arrive, and for the next byte to be taken.
    pub read: Duration,
}

impl Default for Timeouts {
    /// 30 seconds to connect, 30 seconds of silence.
    fn default() -> Self {
        Timeouts {
            connect: Duration::from_secs(30),
            read: Duration::from_secs(30),
        }
    }
}

/// A flag that a signal handler raises to end a wait. Clones share the flag.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// A flag that is not raised.
    pub fn new() -> Self {
        Interrupt::default()
    }

    /// Whether the flag is raised. It stays so until [`Interrupt::clear`].
    pub fn raised(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Raises the flag, as a signal does.
    pub fn raise(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Lowers the flag.
    pub fn clear(&self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

impl From<Arc<AtomicBool>> for Interrupt {
    fn from(flag: Arc<AtomicBool>) -> Self {
        Interrupt(flag)
    }
}

/// Why a wait ended without what was waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// The limit has passed.
    TimedOut,
    /// The flag was raised.
    Interrupted,
}

/// One wait: its limit, which may be restarted, and its flag.
pub(super) struct Wait<'a> {
    interrupt: &'a Interrupt,
    limit: Duration,
    /// `None`: the limit is beyond what the clock can tell, so there is none.
    deadline: Option<Instant>,
}

impl<'a> Wait<'a> {
    pub(super) fn new(interrupt: &'a Interrupt, limit: Duration) -> Self {
        let deadline = Instant::now().checked_add(limit);
        Wait {
            interrupt,
            limit,
            deadline,
        }
    }

    /// Gives the full limit anew, as something has moved.
    pub(super) fn restart(&mut self) {
        self.deadline = Instant::now().checked_add(self.limit);
    }

    /// What is left of the limit; zero once it has passed.
    pub(super) fn left(&self) -> Duration {
        match self.deadline {
            Some(deadline) => deadline.saturating_duration_since(Instant::now()),
            None => Duration::MAX,
        }
    }

    /// Whether it is none: what can't be done at once is not done.
    pub(super) fn is_none(&self) -> bool {
        self.limit.is_zero()
    }

    /// How long the next system call may take: at most a slice; zero only where there is to be [no wait](Self::is_none) at all.
    pub(super) fn slice(&self) -> Duration {
        if self.is_none() {
            return Duration::ZERO;
        }
        self.left().clamp(Duration::from_millis(1), SLICE)
    }

    /// Whether to go on.
    pub(super) fn check(&self) -> Result<(), Ended> {
        if self.interrupt.raised() {
            Err(Ended::Interrupted)
        } else if self.left().is_zero() {
            Err(Ended::TimedOut)
        } else {
            Ok(())
        }
    }

    pub(super) fn interrupt(&self) -> &'a Interrupt {
        self.interrupt
    }
}

/// Does in another thread what knows neither limit nor flag: the resolver, and connecting.
///
/// When the wait ends first, the thread is left to finish by itself and its result is dropped; there is no other
/// way to leave the system's resolver.
///
/// # Errors
/// The outer error is a thread that could not be started (or died), the inner one a wait that ended.
pub(super) fn in_background<T: Send + 'static>(
    wait: &Wait<'_>,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<Result<T, Ended>> {
    let (sender, receiver) = mpsc::sync_channel(1);
    thread::Builder::new()
        .name("connect".to_owned())
        .spawn(move || {
            // Nobody may be there any more to take it.
            let _ = sender.send(work());
        })?;
    loop {
        if let Err(ended) = wait.check() {
            return Ok(Err(ended));
        }
        match receiver.recv_timeout(wait.slice()) {
            Ok(result) => return Ok(Ok(result)),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Err(io::Error::other("the connecting thread ended early"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_is_shared_and_lowered() {
        let flag = Arc::new(AtomicBool::new(false));
        let interrupt = Interrupt::from(flag.clone());
        let clone = interrupt.clone();
        flag.store(true, Ordering::SeqCst);
        assert!(interrupt.raised() && clone.raised());
        clone.clear();
        assert!(!interrupt.raised() && !flag.load(Ordering::SeqCst));
    }

    #[test]
    fn background_work_is_given_up_on() {
        let interrupt = Interrupt::new();
        let start = Instant::now();
        let wait = Wait::new(&interrupt, Duration::from_millis(50));
        let result = in_background(&wait, || thread::sleep(Duration::from_secs(3))).unwrap();
        assert_eq!(result, Err(Ended::TimedOut));
        assert!(start.elapsed() < Duration::from_secs(2));

        let wait = Wait::new(&interrupt, Duration::MAX);
        assert_eq!(in_background(&wait, || 7).unwrap(), Ok(7));
        assert!(in_background(&wait, || panic!("on purpose")).is_err());

        let raised = Interrupt::from(Arc::new(AtomicBool::new(true)));
        let wait = Wait::new(&raised, Duration::MAX);
        assert_eq!(in_background(&wait, || 7).unwrap(), Err(Ended::Interrupted));
    }
}
