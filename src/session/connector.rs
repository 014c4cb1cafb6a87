//! All that it takes to connect and log in, as a value: what a program keeps that has to connect again.

use std::thread;
use std::time::{Duration, Instant};

use crate::account::Outcome;
use crate::auth::{Credentials, Method};
use crate::error::{Error, Retry};

use super::Session;
use super::options::Options;

/// How long the interrupt flag may go unnoticed between two tries.
const SLICE: Duration = Duration::from_millis(200);

/// Connects and logs in, as often as it is asked to.
///
/// ```no_run
/// use imapadm::auth::{Credentials, SecretString};
/// use imapadm::net::Address;
/// use imapadm::session::{BackOff, Connector};
/// use imapadm::{Error, Options};
///
/// # fn main() -> Result<(), Error> {
/// let address = Address::Tcp { host: "imap.example.org".into(), port: 143 };
/// let credentials = Credentials::password("cyrus", SecretString::from("secret"));
/// let connector = Connector::new(Options::new(address), credentials).back_off(BackOff::default());
/// let mut session = connector.connect()?;
/// session.noop()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Connector {
    options: Options,
    credentials: Credentials,
    methods: Vec<Method>,
    back_off: Option<BackOff>,
}

/// How often, and after how long, a connection is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackOff {
    /// How long the first pause is; each one after it is twice as long.
    pub first: Duration,
    /// How long a pause is at most.
    pub longest: Duration,
    /// How many times it is tried in all.
    pub tries: u32,
}

impl Default for BackOff {
    /// Five tries, after pauses of 1, 2, 4 and 8 seconds.
    fn default() -> Self {
        BackOff {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(60),
            tries: 5,
        }
    }
}

impl Connector {
    /// Connects once, and logs in with the strongest method that there is.
    pub fn new(options: Options, credentials: Credentials) -> Connector {
        Connector {
            options,
            credentials,
            methods: Vec::new(),
            back_off: None,
        }
    }

    /// Logs in with one of these methods, in this order; see [`Session::login`].
    #[must_use]
    pub fn methods(mut self, methods: impl Into<Vec<Method>>) -> Connector {
        self.methods = methods.into();
        self
    }

    /// Tries again where that is [safe](Retry::Safe). A refused login is not tried again: it might lock the user out.
    #[must_use]
    pub fn back_off(mut self, back_off: BackOff) -> Connector {
        self.back_off = Some(back_off);
        self
    }

    /// What it connects with.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Connects and logs in. Blocks until that is done, or has failed for the last time.
    ///
    /// # Errors
    /// As [`Session::open`] and [`Session::login`]; [`Error::Interrupted`] during a pause.
    pub fn connect(&self) -> Result<Session, Error> {
        let tries = self.back_off.map_or(1, |back_off| back_off.tries);
        let mut pause = self
            .back_off
            .map_or(Duration::ZERO, |back_off| back_off.first);
        let mut tried = 1;
        loop {
            match self.connect_once() {
                Err(error)
                    if tried < tries && error.retry() == Retry::Safe && !error.is_interrupt() =>
                {
                    self.wait(pause)?;
                }
                result => return result,
            }
            tried += 1;
            let longest = self.back_off.map_or(pause, |back_off| back_off.longest);
            pause = pause.saturating_mul(2).min(longest);
        }
    }

    fn connect_once(&self) -> Result<Session, Error> {
        let mut session = Session::open(self.options.clone())?;
        if !session.state().is_authenticated() {
            session.login(&self.credentials, &self.methods)?;
        }
        Ok(session)
    }

    fn wait(&self, pause: Duration) -> Result<(), Error> {
        let start = Instant::now();
        while let Some(left) = pause.checked_sub(start.elapsed()) {
            if self.options.interrupt.raised() {
                return Err(Error::Interrupted {
                    verb: "connecting",
                    outcome: Outcome::NotSent,
                });
            }
            thread::sleep(left.min(SLICE));
        }
        Ok(())
    }
}
