//! How a connection ended, and whether a request may be repeated.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::account::Outcome;
use crate::auth::SecretError;
use crate::net::{ConnectError, TlsError, words};
use crate::wire::code::ResponseCode;
use crate::wire::frame::FrameError;

use super::Error;

/// How a connection ended.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LostCause {
    /// Nothing could be read or sent for as long as [`Timeouts::read`](crate::net::Timeouts::read).
    #[error("{}", silent(*after, *waiting))]
    TimedOut {
        /// The limit.
        after: Duration,
        /// How many requests were waiting for their answers.
        waiting: usize,
    },
    /// The login was not done within [`Timeouts::connect`](crate::net::Timeouts::connect).
    #[error("the login did not finish within {} s (the time limit, set with --timeout)", after.as_secs_f32())]
    LoginTimedOut {
        /// The limit.
        after: Duration,
    },
    /// The server closed the connection without saying why.
    #[error("the server closed the connection")]
    Closed,
    /// The server ended the session with a BYE (RFC 3501 section 7.1.5).
    #[error("the server closed it with: {text}")]
    Bye {
        /// Its status response code.
        code: Option<ResponseCode>,
        /// Its code and words. Untrusted.
        text: String,
    },
    /// The system, or TLS, reported an error.
    #[error("{}", words(.0))]
    Io(#[source] Arc<io::Error>),
    /// The server sent a response that is too long to be read.
    #[error("{0}")]
    Unreadable(#[source] FrameError),
    /// The server's reply to one command is longer than 256 MiB, and may have no end; so this side ended the session.
    #[error("the server's reply to {verb} is too long (over 256 MiB)")]
    Endless {
        /// The command.
        verb: &'static str,
    },
    /// This side ended the session: after a logout, or because nothing more could be said on the connection.
    #[error("{why}")]
    Ended {
        /// Why.
        why: &'static str,
    },
}

fn silent(after: Duration, waiting: usize) -> String {
    let mut text = format!(
        "no answer within {} s (the time limit, set with --timeout)",
        after.as_secs_f32()
    );
    if waiting > 1 {
        text.push_str(&format!(
            "; {waiting} commands were sent ahead, which some servers cannot handle: try --no-pipeline"
        ));
    }
    text
}

/// Whether what failed may be tried again; see [`Error::retry`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// It may be tried again as it is, on a new connection where this one is gone: nothing was changed, and the cause may pass.
    Safe,
    /// It may have been done. Look at the server before trying again.
    Unknown,
    /// It would fail again in the same way.
    Never,
}

impl Error {
    /// Whether the same request may be tried again. A program that reconnects asks this; see
    /// [`ends_session`](Error::ends_session) for whether it has to.
    ///
    /// Where many things were asked for in one call, the answer is about those that were not done.
    pub fn retry(&self) -> Retry {
        match self {
            error if error.is_unknown() => Retry::Unknown,
            Error::Stopped { cause, .. } => cause.retry(),
            Error::Lost { .. }
            | Error::LoginLost { .. }
            | Error::Interrupted { .. }
            | Error::DeadlineExceeded { .. }
            | Error::Declined
            | Error::BelowStayed
            | Error::NotImap { cause: Some(_), .. }
            | Error::Password(SecretError::Interrupted | SecretError::CommandTimedOut { .. }) => {
                Retry::Safe
            }
            // A name may not be found because the network is down.
            Error::Connect(
                ConnectError::NoSuchHost { .. }
                | ConnectError::LookupTimedOut { .. }
                | ConnectError::Refused { .. }
                | ConnectError::TimedOut { .. }
                | ConnectError::Socket { .. }
                | ConnectError::Interrupted,
            ) => Retry::Safe,
            Error::Tls(
                TlsError::Closed { .. }
                | TlsError::TimedOut { .. }
                | TlsError::Broken { .. }
                | TlsError::Interrupted,
            ) => Retry::Safe,
            Error::TurnedAway { code: None, .. } => Retry::Safe,
            Error::TurnedAway { code, .. } => by_code(code.as_ref()),
            Error::Refused(_) | Error::Login { .. } => by_code(self.code()),
            _ => Retry::Never,
        }
    }
}

/// What the status response codes of RFC 5530 say: these causes pass.
fn by_code(code: Option<&ResponseCode>) -> Retry {
    match code {
        Some(ResponseCode::Unavailable | ResponseCode::InUse | ResponseCode::Limit) => Retry::Safe,
        _ => Retry::Never,
    }
}

impl Error {
    /// The same end of a wait, told of the request `verb`.
    pub(crate) fn about(self, verb: &'static str, outcome: Outcome) -> Self {
        match self {
            Error::Lost { cause, .. } => Error::Lost {
                verb,
                cause,
                outcome,
            },
            Error::Interrupted { .. } => Error::Interrupted { verb, outcome },
            Error::DeadlineExceeded { .. } => Error::DeadlineExceeded { verb, outcome },
            other => other,
        }
    }

    /// Whether somebody gave up waiting, and the connection still stands.
    pub(crate) fn is_given_up(&self) -> bool {
        matches!(
            self,
            Error::Interrupted { .. } | Error::DeadlineExceeded { .. }
        )
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;
    use crate::error::Refusal;
    use crate::wire::response::Condition;

    #[test]
    fn what_may_be_repeated() {
        let lost = |outcome| Error::Lost {
            verb: "DELETE",
            cause: LostCause::Closed,
            outcome,
        };
        assert_eq!(lost(Outcome::NotSent).retry(), Retry::Safe);
        assert_eq!(lost(Outcome::Failed).retry(), Retry::Safe);
        assert_eq!(lost(Outcome::Unknown).retry(), Retry::Unknown);
        let late = |outcome| Error::DeadlineExceeded {
            verb: "DELETE",
            outcome,
        };
        assert_eq!(late(Outcome::Failed).retry(), Retry::Safe);
        assert_eq!(late(Outcome::Unknown).retry(), Retry::Unknown);
        assert_eq!(Error::NothingSelected.retry(), Retry::Never);
        for (code, wanted) in [
            (None, Retry::Never),
            (Some("NOPERM"), Retry::Never),
            (Some("INUSE"), Retry::Safe),
            (Some("UNAVAILABLE"), Retry::Safe),
        ] {
            let refused = Error::Refused(Box::new(Refusal {
                verb: "DELETE",
                condition: Condition::No,
                code: code.map(ResponseCode::from_name),
                arguments: String::new(),
                text: String::new(),
                advice: None,
            }));
            assert_eq!(refused.retry(), wanted, "{code:?}");
        }
    }

    #[test]
    fn the_cause_can_be_followed_to_the_systems_error() {
        let broken = io::Error::from(io::ErrorKind::ConnectionReset);
        let error = Error::Lost {
            verb: "DELETE",
            cause: LostCause::Io(Arc::new(broken)),
            outcome: Outcome::Unknown,
        };
        let cause = error.source().expect("a cause");
        assert!(cause.is::<LostCause>());
        let system = cause.source().expect("the system's error");
        let system = system
            .downcast_ref::<Arc<io::Error>>()
            .map(|error| error.kind());
        assert_eq!(system, Some(io::ErrorKind::ConnectionReset));
    }
}
