//! Why bytes stopped flowing: the public error, and what the layers below tell each other.

use std::io;
use std::time::Duration;

use super::TlsError;
use super::text::{seconds, words};
use super::wait::Ended;

/// Why bytes stopped flowing.
///
/// After [`TimedOut`](IoError::TimedOut) and [`Interrupted`](IoError::Interrupted) from a read the connection is
/// as it was and reading may go on. After any error from a write it is not known how much was sent, so the
/// connection is good for reading last words and for dropping.
#[derive(Debug, thiserror::Error)]
pub enum IoError {
    /// Nothing moved within the limit.
    #[error(
        "the server was silent for {}; try again, or allow more time",
        seconds(after)
    )]
    TimedOut {
        /// The limit.
        after: Duration,
    },
    /// The interrupt flag is raised.
    #[error("interrupted; repeat the command if you still want it")]
    Interrupted,
    /// The server closed the connection, in TLS with or without saying so.
    #[error(
        "the server closed the connection; connect again, and check the server's log if this happens again"
    )]
    Closed,
    /// The connection broke. A TLS error is inside if that was it, see [`IoError::tls`].
    #[error("the connection broke: {}; {}", words(.0), broken_advice(.0))]
    Broken(#[source] io::Error),
}

impl IoError {
    /// The TLS error that broke the connection, if that was it.
    ///
    /// In TLS 1.3 a server's refusal of the client certificate comes after the handshake, with the first read.
    pub fn tls(&self) -> Option<&TlsError> {
        match self {
            IoError::Broken(error) => error.get_ref()?.downcast_ref(),
            _ => None,
        }
    }

    /// The same, taken out; the error itself if it was something else.
    ///
    /// # Errors
    /// The error, unchanged.
    pub fn into_tls(self) -> Result<TlsError, IoError> {
        match self {
            IoError::Broken(error) => match error.downcast::<TlsError>() {
                Ok(error) => Ok(error),
                Err(error) => Err(IoError::Broken(error)),
            },
            other => Err(other),
        }
    }
}

/// TLS errors end in advice of their own.
fn broken_advice(error: &io::Error) -> &'static str {
    if error.get_ref().is_some_and(|inner| inner.is::<TlsError>()) {
        "then connect again"
    } else {
        "connect again"
    }
}

/// Why a step on the socket did not happen.
#[derive(Debug)]
pub(super) enum Stop {
    Ended(Ended),
    Failed(io::Error),
}

impl Stop {
    pub(super) fn closed() -> Self {
        Stop::Failed(io::ErrorKind::UnexpectedEof.into())
    }

    /// What came can't be what the other end meant.
    pub(super) fn damaged(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Stop::Failed(io::Error::new(io::ErrorKind::InvalidData, error))
    }

    pub(super) fn into_io_error(self, limit: Duration) -> IoError {
        match self {
            Stop::Ended(Ended::TimedOut) => IoError::TimedOut { after: limit },
            Stop::Ended(Ended::Interrupted) => IoError::Interrupted,
            Stop::Failed(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe
                ) =>
            {
                IoError::Closed
            }
            Stop::Failed(error) => IoError::Broken(error),
        }
    }
}

impl From<TlsError> for Stop {
    fn from(error: TlsError) -> Self {
        Stop::damaged(error)
    }
}

/// How a peer that goes away in the middle shows.
pub(super) fn is_closing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
    )
}
