//! What a session is opened with.

use super::link::Trace;
use crate::net::{Address, Interrupt, Security, Timeouts, TlsOptions};

/// How to reach a server.
#[derive(Debug, Clone)]
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
}
