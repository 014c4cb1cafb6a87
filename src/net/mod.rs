//! Reaching a server: addresses, TCP and Unix sockets, TLS on either, and a time limit on every wait.
//!
//! What a user may write for a server is read in `address`; `connect` makes the connection and `stream` is the
//! connection; `tls` reads certificates and keys, `verify` judges the server's, `certificate` says what stands in it,
//! `tls_error` what went wrong; `deflate` compresses; `wait` has the limits and the flag that Ctrl-C raises. Nothing here knows IMAP: when to
//! say STARTTLS, and that nothing may have been read beyond it, is the session's business.

mod address;
mod certificate;
mod connect;
mod deflate;
mod stream;
mod tls;
mod tls_error;
mod verify;
mod wait;

#[cfg(test)]
mod tls_tests;

pub use address::{Address, Security, Target, TargetError};
pub use certificate::{Authority, Certificate, Fingerprint, FingerprintError, Known};
pub use connect::{Attempt, ConnectError};
pub(crate) use stream::words;
pub use stream::{Channel, IoError, Stream, TlsInfo};
pub use tls::{FileError, TlsOptions};
pub use tls_error::TlsError;
pub use wait::{Interrupt, Timeouts};
