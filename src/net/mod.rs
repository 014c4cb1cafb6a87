//! Reaching a server: addresses, TCP and Unix sockets, TLS on either, and a time limit on every wait.
//!
//! A connection is a `stream` on a `tls_layer` on a `socket` on a `transport`, and `deflate` compresses in between. `address` reads
//! what a user writes for a server; `connect` makes the connection; `wait` has the time limits and the flag that Ctrl-C raises.
//! `tls` says what to trust and who to be, `roots` and `pem` read that, `verify` checks the server's certificate and `certificate`
//! shows it. Errors are in `io_error`, `tls_error` and beside what they are of; `text` words them. Nothing here knows IMAP: when to send
//! STARTTLS is the session's business.

mod address;
mod certificate;
mod connect;
mod deflate;
mod host;
mod io_error;
mod pem;
mod roots;
mod socket;
mod stream;
mod text;
mod tls;
mod tls_error;
mod tls_layer;
mod transport;
#[cfg(feature = "url")]
mod url;
mod verify;
mod wait;

#[cfg(test)]
mod tls_tests;

pub use address::{Address, Security, Target, TargetError};
pub use certificate::{Authority, Certificate, Fingerprint, FingerprintError, Known};
pub use connect::{Attempt, ConnectError};
pub use io_error::IoError;
pub use pem::{FileError, PemPlace};
pub use roots::Roots;
/// The version of rustls that [`TlsOptions::config`] takes a configuration of.
#[cfg(feature = "rustls-config")]
pub use rustls;
pub use stream::{Channel, Stream};
pub(crate) use text::words;
#[cfg(feature = "rustls-config")]
pub use tls::GivenConfig;
pub use tls::{ClientIdentity, TlsOptions};
pub use tls_error::TlsError;
pub use tls_layer::TlsInfo;
pub use transport::{Ready, Transport};
pub use wait::{Interrupt, Timeouts};
