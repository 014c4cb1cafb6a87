//! What a session is opened with.

use super::link::Trace;
use crate::net::{Address, Interrupt, Security, Target, TargetError, Timeouts, TlsOptions};

/// How to reach a server, and how to talk to it.
///
/// ```
/// use std::time::Duration;
/// use imapadm::Options;
/// use imapadm::net::Timeouts;
///
/// let mut timeouts = Timeouts::default();
/// timeouts.read = Duration::from_secs(120);
/// let options = Options::parse("imap.example.org")?.timeouts(timeouts);
/// # Ok::<(), imapadm::net::TargetError>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// Where it is.
    pub address: Address,
    /// TLS from the start, STARTTLS, or cleartext.
    pub security: Security,
    /// What TLS trusts and shows.
    pub tls: TlsOptions,
    /// Time limits on connecting and on each read.
    pub timeouts: Timeouts,
    /// Whether a password may cross a network in cleartext.
    pub allow_cleartext: bool,
    /// The hierarchy separator of a server that won't say.
    pub separator: Option<u8>,
    /// Whether [`Session::run_each`](super::Session::run_each) sends requests before the ones before them are answered. Without, each waits its turn, for a server
    /// that can't stand it, or to find out whether it can.
    pub pipeline: bool,
    /// Whether both directions are compressed once somebody is logged in (COMPRESS=DEFLATE, RFC 4978), where the server can do that. What
    /// is compressed tells by its length something of what is in it, also to who can't read it for TLS; secrets are left out of it.
    pub compress: bool,
    /// Is shown every command and every response, secrets masked.
    pub trace: Option<Trace>,
    /// Ends a wait when it is raised.
    pub interrupt: Interrupt,
}

impl Options {
    /// The defaults for a server: STARTTLS, verified certificates, 30 s. On a Unix socket no TLS: it is as private, and has no name
    /// that a certificate could be for.
    pub fn new(address: Address) -> Self {
        Self {
            security: match address {
                Address::Tcp { .. } => Security::StartTls,
                Address::Unix(_) => Security::None,
            },
            address,
            tls: TlsOptions::default(),
            timeouts: Timeouts::default(),
            allow_cleartext: false,
            separator: None,
            pipeline: true,
            compress: false,
            trace: None,
            interrupt: Interrupt::new(),
        }
    }

    /// The defaults for a server as people write it: `HOST`, `HOST:PORT`, `imap://HOST`, `imaps://HOST`, or the path of a Unix socket. See
    /// [`Target::parse`].
    ///
    /// # Errors
    /// It is none of these.
    pub fn parse(server: &str) -> Result<Self, TargetError> {
        let (address, security) = Target::parse(server, None)?.settle(None);
        Ok(Self::new(address).security(security))
    }

    /// With this [`security`](Self::security).
    #[must_use]
    pub fn security(mut self, security: Security) -> Self {
        self.security = security;
        self
    }

    /// With these [TLS options](Self::tls).
    #[must_use]
    pub fn tls(mut self, tls: TlsOptions) -> Self {
        self.tls = tls;
        self
    }

    /// With these [time limits](Self::timeouts).
    #[must_use]
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// With this [trace](Self::trace).
    #[must_use]
    pub fn trace(mut self, trace: Trace) -> Self {
        self.trace = Some(trace);
        self
    }

    /// With a flag that ends every wait of the session when it is [raised](Interrupt::raise), from a signal handler or another thread.
    #[must_use]
    pub fn interrupt(mut self, interrupt: Interrupt) -> Self {
        self.interrupt = interrupt;
        self
    }
}
