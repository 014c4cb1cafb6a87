//! The one error type of the library: whose fault it is, what the server said, and what to do next.
//!
//! [`Refusal`] and [`Reason`] say what a server refused and why, [`Advice`] what to do about an error. Not here: the words of an advice
//! (each program has its own), nor the errors of connecting and of TLS, which `net` makes and this type carries.

mod advice;
mod lost;
mod refusal;

pub use advice::Advice;
pub use lost::{LostCause, Retry};
pub use refusal::{Reason, Refusal};

use crate::account::{Account, Outcome};
use crate::auth::{AuthError, SecretError};
use crate::net::{ConnectError, FileError, TlsError};
use crate::wire::code::ResponseCode;
use crate::wire::encode::EncodeError;
use crate::wire::response::Condition;

/// Whose fault an [`Error`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// What was asked for can't be asked, or may not be.
    User,
    /// The server refused, or answered what can't be read.
    Server,
    /// The connection could not be made, or did not last.
    Network,
}

/// Why something could not be done.
///
/// The text says what happened, [`advice`](Error::advice) what to do next. Text that came from a server is untrusted: escape it before it
/// reaches a terminal.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// What was asked can't be put into an IMAP command.
    #[error("{0}")]
    Usage(String),
    /// Nothing is connected.
    #[error("not connected")]
    NotConnected,
    /// Nobody is logged in, as after UNAUTHENTICATE (RFC 8437), so that the server does not say whether it has the extension that a command
    /// needs. Nothing was sent.
    #[error("{what} needs a login, and nobody is logged in")]
    NotLoggedIn {
        /// The command that was asked for.
        what: &'static str,
    },
    /// A command was left without a mailbox, and none is selected.
    #[error("no mailbox is selected")]
    NothingSelected,
    /// The server does not have the extension that a command needs. Nothing was sent.
    #[error("{what} needs the extension {extension} ({rfc}), which this server does not offer")]
    Unsupported {
        /// The command that was asked for.
        what: &'static str,
        /// The name in the server's CAPABILITY that is missing.
        extension: &'static str,
        /// Where the extension is defined.
        rfc: &'static str,
    },
    /// The server answered NO or BAD.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// No connection could be made.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// TLS could not be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A certificate or key file can't be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The server turned the connection away in its greeting.
    #[error("{server} rejected the connection: {text}")]
    TurnedAway {
        /// The server.
        server: String,
        /// The status response code of its BYE.
        code: Option<ResponseCode>,
        /// What stands behind the code in its brackets. Untrusted.
        arguments: String,
        /// Code and words of its BYE. Untrusted.
        text: String,
    },
    /// Going on could put the session into the hands of somebody else.
    #[error("the connection to {server} is not secure: {why}")]
    Insecure {
        /// The server.
        server: String,
        /// What is wrong, and what to do next.
        why: String,
    },
    /// The server lists no such mailbox; nothing was sent to change it.
    #[error("the server lists no mailbox {mailbox}, so nothing was done")]
    NotListed {
        /// The name that was looked for.
        mailbox: String,
    },
    /// A mailbox has others below it, as the server says, and the server lists none of them; nothing was done.
    #[error(
        "the server says that {mailbox} has mailboxes below it (\\HasChildren), but it lists none of them, so nothing was done"
    )]
    ChildrenUnlisted {
        /// The mailbox.
        mailbox: String,
    },
    /// A mailbox was not deleted because one below it stayed; nothing was sent for it.
    #[error("not tried, because a mailbox below it was not deleted")]
    BelowStayed,
    /// A listing is longer than what can be kept. The rest of it could not be waited for, so the connection was ended.
    #[error(
        "the server's reply to {verb} is too long (over 256 MiB), so the connection was closed; nothing was changed"
    )]
    TooLong {
        /// The command.
        verb: &'static str,
    },
    /// The server asked for more after a command that was complete, and refused it when there was no more. The session goes on.
    #[error(
        "the server asked for more data after {verb}, which was complete, and then refused it: {text}; nothing was changed"
    )]
    UnexpectedContinuation {
        /// The command.
        verb: &'static str,
        /// What it said in the end. Untrusted.
        text: String,
    },
    /// The server said OK to a CREATE or RENAME, but lists nothing by the new name.
    #[error(
        "the server said OK to {verb}, but lists no mailbox {mailbox}: it was not created, or you lack the right l (lookup) on it"
    )]
    NotMade {
        /// The command.
        verb: &'static str,
        /// The name that was asked for.
        mailbox: String,
    },
    /// The server said OK to a change and made something else of it.
    #[error("the server said OK to {verb}, but {found}")]
    NotAsAsked {
        /// The command.
        verb: &'static str,
        /// What is there now.
        found: String,
        /// What to do next.
        advice: Advice,
    },
    /// What answered does not speak IMAP.
    #[error("{server} is not an IMAP server ({why})")]
    NotImap {
        /// The server.
        server: String,
        /// What it sent instead.
        why: String,
        /// How the connection ended, where it sent nothing at all.
        #[source]
        cause: Option<LostCause>,
    },
    /// No way to log in, or credentials that can't be sent.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// The password could not be had.
    #[error(transparent)]
    Password(#[from] SecretError),
    /// The server refused the login.
    #[error("the server refused the login of {user} with {mechanism}: {}", .refusal.words())]
    Login {
        /// Who was to log in.
        user: String,
        /// With which mechanism.
        mechanism: &'static str,
        /// What the server said, and within the mechanism where it said more there.
        refusal: Box<Refusal>,
    },
    /// The connection ended during the login.
    #[error("the connection was lost while logging in: {cause}")]
    LoginLost {
        /// How it ended.
        #[source]
        cause: LostCause,
    },
    /// Part of a reply could not be read, so the reply is not whole.
    #[error(
        "the reply to {verb} is incomplete: {count} of the server's responses could not be read, the first one {why}: {sample}; nothing \
         was changed"
    )]
    Incomplete {
        /// The command.
        verb: &'static str,
        /// How many responses.
        count: usize,
        /// What was wrong with the first one.
        why: String,
        /// The beginning of the first one.
        sample: String,
    },
    /// The server said OK without the response that the command is for.
    #[error("the server said OK to {verb} but sent no {missing} response")]
    Missing {
        /// The command.
        verb: &'static str,
        /// The untagged response that did not come.
        missing: &'static str,
        /// What to do next.
        advice: Advice,
    },
    /// The server said OK and answered about another mailbox or quota root than the one that was asked about. The names are untrusted.
    #[error("the server answered {verb} for \"{told}\" instead of \"{asked}\"")]
    AboutAnother {
        /// The command.
        verb: &'static str,
        /// The name that was asked about.
        asked: String,
        /// The name that the server answered about.
        told: String,
    },
    /// The connection ended while a command waited for its answer.
    #[error("{}", lost(.verb, .cause, *.outcome))]
    Lost {
        /// The command.
        verb: &'static str,
        /// How it ended.
        #[source]
        cause: LostCause,
        /// [`Outcome::NotSent`]; [`Outcome::Unknown`] where it may have been done; [`Outcome::Failed`] where it only reads.
        outcome: Outcome,
    },
    /// The user interrupted a command that waited for its answer.
    #[error("{}", given_up("interrupted", .verb, *.outcome))]
    Interrupted {
        /// The command.
        verb: &'static str,
        /// As in [`Error::Lost`].
        outcome: Outcome,
    },
    /// The time limit of [`Session::within`](crate::Session::within) passed before a command was answered. The session goes on.
    #[error("{}", given_up("the time limit passed", .verb, *.outcome))]
    DeadlineExceeded {
        /// The command.
        verb: &'static str,
        /// As in [`Error::Lost`].
        outcome: Outcome,
    },
    /// Whoever was asked before it said no. Nothing was sent to change anything.
    #[error("nothing was changed")]
    Declined,
    /// Several things were done in one command and some of them failed; each was reported on its own.
    #[error("{} of {} failed: {}{first}", .account.failed, .account.all(), of(.mailbox.as_deref()))]
    Several {
        /// What became of them.
        account: Account,
        /// The mailbox for which something failed first.
        mailbox: Option<String>,
        /// What failed first.
        #[source]
        first: Box<Error>,
    },
    /// Many things were to be done in one command, and the user or the end of the connection stopped it half way; each that was sent was
    /// reported on its own.
    #[error("{}", sentence(
        &how(.cause),
        &format!("{} of {} were done{}", .account.done, .account.all(), rest(.account))
    ))]
    Stopped {
        /// What stopped it: [`Error::Lost`], [`Error::Interrupted`], [`Error::DeadlineExceeded`].
        #[source]
        cause: Box<Error>,
        /// What became of all that there was to do.
        account: Account,
    },
}

/// A server's words, and what to do next, as one sentence: the words may end in a full stop of their own.
pub(crate) fn sentence(words: &str, advice: &str) -> String {
    let words = words.trim_end();
    if words.ends_with(['!', '?']) {
        let mut letters = advice.chars();
        let first: String = letters
            .next()
            .into_iter()
            .flat_map(char::to_uppercase)
            .collect();
        return format!("{words} {first}{}", letters.as_str());
    }
    format!(
        "{}; {advice}",
        words.trim_end_matches(['.', ',', ';', ':', ' '])
    )
}

/// The host that a referral names (RFC 2221, RFC 2193): `imap://joe;AUTH=*@mail2.example.org/`.
pub(crate) fn referred_host(code: &ResponseCode, arguments: &str) -> Option<String> {
    if *code != ResponseCode::Referral {
        return None;
    }
    let first = arguments.split_whitespace().next()?.trim_matches('"');
    let (_, rest) = first.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let server = authority
        .rsplit_once('@')
        .map_or(authority, |(_, server)| server);
    (!server.is_empty() && !server.starts_with(':')).then(|| server.to_owned())
}

/// What to do next where the code says more than that a login failed (RFC 5530, RFC 2221; WEBALERT is Gmail's).
fn advice_on(code: &ResponseCode, arguments: &str) -> Option<Advice> {
    Some(match code {
        ResponseCode::Referral => Advice::ConnectTo {
            host: referred_host(code, arguments),
            for_user: true,
        },
        ResponseCode::Unavailable => Advice::TryLoginLater,
        ResponseCode::AuthorizationFailed => Advice::CheckAuthorization,
        ResponseCode::Expired => Advice::RenewPassword,
        ResponseCode::PrivacyRequired => Advice::UseTls,
        ResponseCode::ContactAdmin => Advice::AskAdministrator,
        ResponseCode::Limit => Advice::CloseConnections,
        ResponseCode::InUse => Advice::WaitForLogin,
        ResponseCode::NoPerm => Advice::AskForLogin,
        ResponseCode::ServerBug => Advice::ReportToAdministrator,
        ResponseCode::WebAlert => Advice::LogInWithBrowser {
            at_address: !arguments.is_empty(),
        },
        _ => return None,
    })
}

/// What may be wrong with a login, by the server's code and the mechanism.
fn login_advice(mechanism: &'static str, refusal: &Refusal) -> Advice {
    let code = refusal.code.as_ref();
    let advice = code.and_then(|code| advice_on(code, &refusal.arguments));
    // What else is known: that the server ended the session, and why.
    let advice = advice.or_else(|| refusal.advice.clone());
    advice.unwrap_or_else(|| match mechanism {
        mechanism if refusal.condition == Condition::Bad => Advice::ChooseMechanism { mechanism },
        "EXTERNAL" => Advice::CheckCertificate,
        "OAUTHBEARER" | "XOAUTH2" => Advice::CheckToken,
        "GSSAPI" => Advice::CheckTicket,
        "ANONYMOUS" => Advice::LogInAsUser,
        // Such a server can check a password that it is shown, but not a proof.
        scram if scram.starts_with("SCRAM-") => Advice::CheckPasswordOrMechanism,
        _ => Advice::CheckPassword,
    })
}

fn lost(verb: &str, cause: &LostCause, outcome: Outcome) -> String {
    if outcome == Outcome::NotSent {
        return format!("{verb} was not sent, because the connection was lost: {cause}");
    }
    sentence(
        &format!("the connection was lost before {verb} was answered: {cause}"),
        what_became(outcome),
    )
}

/// That something was given up before a command was answered.
fn given_up(why: &str, verb: &str, outcome: Outcome) -> String {
    let when = match outcome {
        Outcome::NotSent => "sent",
        _ => "answered",
    };
    format!("{why} before {verb} was {when}; {}", what_became(outcome))
}

fn what_became(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Unknown => "it is unknown whether it was done",
        _ => "it changed nothing",
    }
}

/// What stopped something half way.
fn how(cause: &Error) -> String {
    match cause {
        Error::Lost { cause, .. } => format!("the connection was lost: {cause}"),
        Error::Interrupted { .. } => "interrupted".into(),
        Error::DeadlineExceeded { .. } => "the time limit passed".into(),
        other => other.to_string(),
    }
}

/// What became of those that were not done.
fn rest(account: &Account) -> String {
    let mut others = String::new();
    for (count, what) in [(account.failed, "failed"), (account.not_sent, "not sent")] {
        if count > 0 {
            others.push_str(&format!(", {count} {what}"));
        }
    }
    if account.unknown > 0 {
        let unknown = account.unknown;
        others.push_str(&format!(", {unknown} unknown whether done"));
    }
    others
}

/// In front of what happened to a mailbox.
fn of(mailbox: Option<&str>) -> String {
    mailbox.map_or_else(String::new, |mailbox| format!("{mailbox}: "))
}

impl Error {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Error::Stopped { cause, .. } => cause.fault(),
            Error::Usage(_)
            | Error::NotConnected
            | Error::NotLoggedIn { .. }
            | Error::NothingSelected
            | Error::File(_)
            | Error::Password(_)
            | Error::Declined
            | Error::Interrupted { .. } => Fault::User,
            Error::Auth(error) if error.is_servers() => Fault::Server,
            Error::Auth(_) => Fault::User,
            Error::Unsupported { .. }
            | Error::Refused(_)
            | Error::TurnedAway { .. }
            | Error::Insecure { .. }
            | Error::NotListed { .. }
            | Error::ChildrenUnlisted { .. }
            | Error::BelowStayed
            | Error::TooLong { .. }
            | Error::UnexpectedContinuation { .. }
            | Error::NotMade { .. }
            | Error::NotAsAsked { .. }
            | Error::NotImap { .. }
            | Error::Login { .. }
            | Error::Incomplete { .. }
            | Error::Missing { .. }
            | Error::AboutAnother { .. }
            | Error::Several { .. } => Fault::Server,
            Error::Connect(_)
            | Error::Tls(_)
            | Error::LoginLost { .. }
            | Error::Lost { .. }
            | Error::DeadlineExceeded { .. } => Fault::Network,
        }
    }

    /// Whether the user put an end to it (Ctrl-C, SIGTERM), at whatever stage.
    pub fn is_interrupt(&self) -> bool {
        match self {
            Error::Stopped { cause, .. } => cause.is_interrupt(),
            Error::Interrupted { .. }
            | Error::Connect(ConnectError::Interrupted)
            | Error::Tls(TlsError::Interrupted)
            | Error::Password(SecretError::Interrupted) => true,
            _ => false,
        }
    }

    /// One word for programs, as in the JSON output's `error.kind`.
    pub fn kind(&self) -> &'static str {
        match self {
            Error::Lost {
                outcome: Outcome::NotSent,
                ..
            }
            | Error::Interrupted {
                outcome: Outcome::NotSent,
                ..
            }
            | Error::DeadlineExceeded {
                outcome: Outcome::NotSent,
                ..
            } => "not-sent",
            error if error.is_interrupt() => "interrupted",
            Error::Stopped { cause, .. } if cause.is_interrupt() => "interrupted",
            Error::Stopped { cause, .. } if cause.ends_session() => "lost",
            Error::Stopped { cause, .. } if cause.is_given_up() => "deadline",
            Error::Stopped { cause, .. } => cause.kind(),
            Error::Usage(_) => "usage",
            Error::NotConnected => "not-connected",
            Error::NotLoggedIn { .. } => "not-logged-in",
            Error::NothingSelected => "nothing-selected",
            Error::Unsupported { .. } => "unsupported",
            Error::Refused(refusal) if refusal.condition == Condition::Bad => "bad",
            Error::Refused(_) => "no",
            Error::Connect(_) => "connect",
            Error::Tls(_) => "tls",
            Error::Insecure { .. } => "insecure",
            Error::NotAsAsked { .. } => "not-as-asked",
            Error::NotListed { .. } | Error::NotMade { .. } => "not-listed",
            Error::ChildrenUnlisted { .. } => "incomplete",
            Error::BelowStayed => "not-tried",
            Error::TooLong { .. } => "too-long",
            Error::UnexpectedContinuation { .. } => "continuation",
            Error::File(_) => "file",
            Error::TurnedAway { .. } => "bye",
            Error::NotImap { .. } => "not-imap",
            Error::Auth(_) => "auth",
            Error::Password(_) => "password",
            Error::Login { .. } => "login",
            Error::LoginLost { .. } | Error::Lost { .. } => "lost",
            Error::Incomplete { .. } => "incomplete",
            Error::Missing { .. } | Error::AboutAnother { .. } => "missing",
            Error::Interrupted { .. } => "interrupted",
            Error::DeadlineExceeded { .. } => "deadline",
            Error::Declined => "declined",
            Error::Several { .. } => "several",
        }
    }

    /// The status response code that the server gave (RFC 5530).
    pub fn code(&self) -> Option<&ResponseCode> {
        match self {
            Error::Refused(refusal) | Error::Login { refusal, .. } => refusal.code.as_ref(),
            Error::TurnedAway { code, .. } => code.as_ref(),
            _ => None,
        }
    }

    /// Why the server refused it, from its response code or its known words.
    ///
    /// ```
    /// # use imapadm::{Error, Reason, Session};
    /// fn ensure(imap: &mut Session, mailbox: &str) -> Result<(), Error> {
    ///     match imap.create(mailbox, None) {
    ///         Err(error) if error.reason() == Some(Reason::AlreadyExists) => Ok(()),
    ///         other => other.map(drop),
    ///     }
    /// }
    /// ```
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Error::Refused(refusal) | Error::Login { refusal, .. } => refusal.reason(),
            Error::TurnedAway { code, .. } => code.as_ref().and_then(Reason::of_code),
            Error::NotListed { .. } => Some(Reason::NoSuchMailbox),
            _ => None,
        }
    }

    /// What to do next, where anything can be done.
    pub fn advice(&self) -> Option<Advice> {
        Some(match self {
            Error::Refused(refusal) => return refusal.advice.clone(),
            Error::Several { first, .. } => return first.advice(),
            Error::Missing { advice, .. } | Error::NotAsAsked { advice, .. } => advice.clone(),
            Error::Login {
                mechanism, refusal, ..
            } => login_advice(mechanism, refusal),
            Error::TurnedAway {
                code, arguments, ..
            } => code
                .as_ref()
                .and_then(|code| advice_on(code, arguments))
                .unwrap_or(Advice::WaitOrAsk),
            Error::Lost { outcome, .. } => match outcome {
                Outcome::Unknown => Advice::ConnectAgainAndLook,
                _ => Advice::ConnectAgainAndRepeat,
            },
            Error::Interrupted {
                outcome: Outcome::Unknown,
                ..
            }
            | Error::DeadlineExceeded {
                outcome: Outcome::Unknown,
                ..
            } => Advice::Look,
            Error::Stopped { cause, account } => Advice::RepeatForTheRest {
                connect: cause.ends_session(),
                look: account.unknown > 0,
            },
            Error::NotConnected => Advice::Connect,
            Error::NotLoggedIn { .. } => Advice::LogIn,
            Error::NothingSelected => Advice::SelectMailbox,
            Error::Unsupported { .. } => Advice::SeeCapabilities,
            Error::NotListed { .. } => Advice::LookForName,
            Error::ChildrenUnlisted { .. } => Advice::CheckRightsOrSeparator,
            Error::TooLong { .. } => Advice::NameFewerMailboxes,
            Error::NotMade { .. } => Advice::WriteNamePlainly,
            Error::NotImap { .. } => Advice::CheckHostAndPort,
            Error::LoginLost { .. } => Advice::ConnectAgain,
            Error::Incomplete { .. } | Error::UnexpectedContinuation { .. } => Advice::ReportReply,
            Error::AboutAnother { .. } => Advice::LookForNameOrRoot,
            _ => return None,
        })
    }

    /// What became of what was asked for: of many things that were asked for together, the outcome that has to be looked into first.
    pub fn outcome(&self) -> Outcome {
        match self {
            Error::Lost { outcome, .. }
            | Error::Interrupted { outcome, .. }
            | Error::DeadlineExceeded { outcome, .. } => *outcome,
            Error::Declined => Outcome::NotSent,
            Error::Stopped { account, .. } | Error::Several { account, .. }
                if account.unknown > 0 =>
            {
                Outcome::Unknown
            }
            _ => Outcome::Failed,
        }
    }

    /// The counts, where many things were asked for together.
    pub fn account(&self) -> Option<&Account> {
        match self {
            Error::Stopped { account, .. } | Error::Several { account, .. } => Some(account),
            _ => None,
        }
    }

    /// Whether what was asked may have been done all the same.
    pub fn is_unknown(&self) -> bool {
        self.outcome() == Outcome::Unknown
    }

    /// Whether nothing that comes after it can go on: the connection is gone, the user has put an end to it, or the time is over.
    pub fn is_grave(&self) -> bool {
        match self {
            Error::Stopped { cause, .. } => cause.is_grave(),
            Error::DeadlineExceeded { .. } => true,
            _ => self.ends_session() || self.is_interrupt(),
        }
    }

    /// Whether the connection is gone with it.
    pub fn ends_session(&self) -> bool {
        match self {
            Error::Stopped { cause, .. } => cause.ends_session(),
            Error::Lost { .. }
            | Error::LoginLost { .. }
            | Error::TooLong { .. }
            | Error::Auth(AuthError::Unproven { .. }) => true,
            _ => false,
        }
    }
}

impl From<EncodeError> for Error {
    fn from(error: EncodeError) -> Self {
        Error::Usage(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_stopped_half_way_says_how_much_was_done() {
        let stopped = |cause, unknown| Error::Stopped {
            cause: Box::new(cause),
            account: Account {
                done: 20,
                unknown,
                not_sent: 80 - unknown,
                ..Account::default()
            },
        };
        let interrupted = stopped(
            Error::Interrupted {
                verb: "SETACL",
                outcome: Outcome::NotSent,
            },
            0,
        );
        assert_eq!(
            interrupted.to_string(),
            "interrupted; 20 of 100 were done, 80 not sent"
        );
        let rest = |connect, look| Some(Advice::RepeatForTheRest { connect, look });
        assert_eq!(interrupted.advice(), rest(false, false));
        assert_eq!(interrupted.kind(), "interrupted");
        assert!(interrupted.is_grave() && !interrupted.is_unknown());
        let lost = stopped(
            Error::Lost {
                verb: "SETACL",
                cause: LostCause::Closed,
                outcome: Outcome::Unknown,
            },
            7,
        );
        assert_eq!(
            lost.to_string(),
            "the connection was lost: the server closed the connection; 20 of 100 were done, 73 not sent, 7 unknown whether done"
        );
        assert_eq!(lost.advice(), rest(true, true));
        assert_eq!((lost.kind(), lost.fault()), ("lost", Fault::Network));
        assert!(lost.ends_session() && lost.is_unknown());
    }

    #[test]
    fn what_was_never_sent_is_told_from_what_is_unknown() {
        let lost = |outcome| Error::Lost {
            verb: "DELETE",
            cause: LostCause::Closed,
            outcome,
        };
        assert_eq!(lost(Outcome::NotSent).kind(), "not-sent");
        assert_eq!(lost(Outcome::Unknown).kind(), "lost");
        assert!(
            lost(Outcome::NotSent)
                .to_string()
                .contains("DELETE was not sent")
        );
        assert!(!lost(Outcome::NotSent).is_unknown());
        assert!(!lost(Outcome::Failed).is_unknown());
    }
}
