//! The one error type of the library: whose fault it is, what the server said, what to do next.
//!
//! Lives here: [`Error`], [`Refusal`] and [`Fault`]. Not here: how an error is printed (that is `report`'s and the
//! shell's), nor the errors of connecting and of TLS, which `net` makes and this type carries.

use std::fmt;

use crate::account::{Account, Outcome};
use crate::auth::{AuthError, SecretError};
use crate::net::{ConnectError, FileError, TlsError};
use crate::wire::encode::EncodeError;
use crate::wire::response::Condition;

mod lost;
pub use lost::{LostCause, Retry};

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

/// A command that the server answered with NO or BAD (RFC 3501 section 7.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The IMAP command that was refused, such as `DELETE`.
    pub verb: &'static str,
    /// `No` (the server will not) or `Bad` (the server did not understand).
    pub condition: Condition,
    /// The status response code (RFC 5530 and others) in capitals, such as `NOPERM`.
    pub code: Option<String>,
    /// What stands behind the code in its brackets, such as the `MAXSIZE 1024` of METADATA (RFC 5464 section 4.3); mostly nothing.
    /// Untrusted.
    pub arguments: String,
    /// The server's own words. Untrusted: escape them before they reach a terminal.
    pub text: String,
    /// What to do next, where the command knows.
    pub advice: Option<String>,
}

impl Refusal {
    /// The server's code and words: `[NOPERM] Permission denied`.
    pub(crate) fn words(&self) -> String {
        let code = match &self.code {
            Some(code) if self.arguments.is_empty() => format!("[{code}] "),
            Some(code) => format!("[{code} {}] ", self.arguments),
            None => String::new(),
        };
        format!("{code}{}", self.text).trim_end().to_owned()
    }

    /// All that the server said: `NO [NOPERM] Permission denied`.
    pub(crate) fn said(&self) -> String {
        format!("{} {}", self.condition, self.words())
            .trim_end()
            .to_owned()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server refused {}: {}", self.verb, self.said())?;
        match &self.advice {
            Some(advice) if self.text.ends_with(['.', '!', '?']) => write!(f, " {advice}"),
            Some(advice) => write!(f, ". {advice}"),
            None => Ok(()),
        }
    }
}

/// Why something could not be done.
///
/// Every message says what happened and ends in what to do next where anything can be done. Text that came from a server is
/// untrusted: escape it before it reaches a terminal.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// What was asked can't be put into an IMAP command.
    #[error("{0}")]
    Usage(String),
    /// Nothing is connected.
    #[error("not connected; connect with: connect SERVER")]
    NotConnected,
    /// A command was left without a mailbox, and none is selected.
    #[error("no mailbox is selected, and this needs one; select it first with: select MAILBOX")]
    NothingSelected,
    /// The server does not have the extension that a command needs. Nothing was sent.
    #[error(
        "{what} needs the extension {extension} ({rfc}), which this server does not offer; see what it offers with: capability"
    )]
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
    #[error("{}", sentence(&format!("{server} turned the connection away: {text}"), &turned_away_advice(.code.as_deref(), arguments)))]
    TurnedAway {
        /// The server.
        server: String,
        /// The status response code of its BYE, in capitals.
        code: Option<String>,
        /// What stands behind the code in its brackets. Untrusted.
        arguments: String,
        /// Code and words of its BYE. Untrusted.
        text: String,
    },
    /// Going on could put the session into the hands of somebody else.
    #[error("the connection to {server} is not safe: {why}")]
    Insecure {
        /// The server.
        server: String,
        /// What is wrong, and what to do next.
        why: String,
    },
    /// The server lists no such mailbox; nothing was sent to change it.
    #[error(
        "the server lists no mailbox {mailbox}, so nothing was done; look for its exact name with listmailbox, or you may not be allowed to see it (right l)"
    )]
    NotListed {
        /// The name that was looked for.
        mailbox: String,
    },
    /// A mailbox has others below it, as the server says, and the server lists none of them; nothing was done.
    #[error(
        "the server says that {mailbox} has mailboxes below it (\\HasChildren), but it lists none of them, so nothing was done; \
         you may not be allowed to see them (right l), or the separator is another one (--separator)"
    )]
    ChildrenUnlisted {
        /// The mailbox.
        mailbox: String,
    },
    /// A mailbox was not deleted because one below it stayed; nothing was sent for it.
    #[error("a mailbox below it stayed, so it was not tried")]
    BelowStayed,
    /// A listing is longer than what can be kept. The rest of it could not be waited for, so the connection was ended.
    #[error(
        "the server's reply to {verb} is longer than can be kept (256 MiB), so the connection was ended; \
         nothing was changed, connect again and name fewer mailboxes"
    )]
    TooLong {
        /// The command.
        verb: &'static str,
    },
    /// The server asked for more after a command that was complete, and refused it when there was no more. The session goes on.
    #[error(
        "the server asked for more after {verb}, which was complete, and then refused it: {text}; nothing was changed, report it with the \
         server's name and version"
    )]
    UnexpectedContinuation {
        /// The command.
        verb: &'static str,
        /// What it said in the end. Untrusted.
        text: String,
    },
    /// The server said OK to a CREATE or RENAME, but lists nothing by the new name.
    #[error(
        "the server said OK to {verb}, but lists no mailbox {mailbox}: it made nothing, or you may not see what it made (right l); leave out a \
         separator at the end and empty levels of the hierarchy"
    )]
    NotMade {
        /// The command.
        verb: &'static str,
        /// The name that was asked for.
        mailbox: String,
    },
    /// The server said OK to a change and made something else of it.
    #[error("the server said OK to {verb}, but {found}; {advice}")]
    NotAsAsked {
        /// The command.
        verb: &'static str,
        /// What is there now.
        found: String,
        /// What to do next.
        advice: &'static str,
    },
    /// What answered does not speak IMAP.
    #[error("{server} does not answer as an IMAP server ({why}); check the host and the port")]
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
    #[error("{}", sentence(
        &format!("the server refused the login of {user} with {mechanism}: {}", .refusal.words()),
        &login_advice(mechanism, refusal)
    ))]
    Login {
        /// Who was to log in.
        user: String,
        /// With which mechanism.
        mechanism: &'static str,
        /// What the server said, and within the mechanism where it said more there.
        refusal: Box<Refusal>,
    },
    /// The connection ended during the login.
    #[error("{}", sentence(&format!("the connection was lost while logging in: {cause}"), "connect again"))]
    LoginLost {
        /// How it ended.
        #[source]
        cause: LostCause,
    },
    /// Part of a reply could not be read, so the reply is not whole.
    #[error(
        "the reply to {verb} is not whole: {count} of the server's responses could not be read, the first one {why}: {sample}; \
         nothing was changed, report it with the server's name and version"
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
    #[error("the server said OK to {verb} but sent no {missing} response; {advice}")]
    Missing {
        /// The command.
        verb: &'static str,
        /// The untagged response that did not come.
        missing: &'static str,
        /// What to do next.
        advice: &'static str,
    },
    /// The server said OK and answered about another mailbox or quota root than the one that was asked about. The names are untrusted.
    #[error(
        "the server answered {verb} about \"{told}\" instead of \"{asked}\", so there is no answer; {advice}"
    )]
    AboutAnother {
        /// The command.
        verb: &'static str,
        /// The name that was asked about.
        asked: String,
        /// The name that the server answered about.
        told: String,
        /// What to do next.
        advice: &'static str,
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
    #[error("{}", interrupted(.verb, *.outcome))]
    Interrupted {
        /// The command.
        verb: &'static str,
        /// As in [`Error::Lost`].
        outcome: Outcome,
    },
    /// The time limit of [`Session::within`](crate::Session::within) passed before a command was answered. The session goes on.
    #[error("{}", late(.verb, *.outcome))]
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
    #[error("{} of {} failed: {first}", .account.failed, .account.all())]
    Several {
        /// What became of them.
        account: Account,
        /// What failed first, and why.
        first: String,
    },
    /// Many things were to be done in one command, and the user or the end of the connection stopped it half way; each that was sent was
    /// reported on its own.
    #[error("{}", sentence(
        &how(.cause),
        &format!("{} of {} were done{}", .account.done, .account.all(), rest(.cause, .account))
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
pub(crate) fn referred_host(code: &str, arguments: &str) -> Option<String> {
    if code != "REFERRAL" {
        return None;
    }
    let first = arguments.split_whitespace().next()?;
    let url = url::Url::parse(first.trim_matches('"')).ok()?;
    let host = url.host_str().filter(|host| !host.is_empty())?;
    Some(match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    })
}

/// What to do next where the code says more than that a login failed (RFC 5530, RFC 2221; WEBALERT is Gmail's).
fn advice_on(code: &str, arguments: &str) -> Option<String> {
    if let Some(host) = referred_host(code, arguments) {
        return Some(format!("this user's server is {host}; connect to that one"));
    }
    let advice = match code {
        "REFERRAL" => "this user belongs to another server; connect to that one",
        "UNAVAILABLE" => {
            "the server can't check anybody now, so this says nothing about user or password; try again later"
        }
        "AUTHORIZATIONFAILED" => {
            "the password is right, but this user may not act as the other one; check --authz, or the server's list of administrators"
        }
        "EXPIRED" => "the password has expired; set a new one, then log in with that",
        "PRIVACYREQUIRED" => "the server wants TLS first; connect without --notls, or with --tls",
        "CONTACTADMIN" => "ask the server's administrator",
        "LIMIT" => {
            "a limit of the server is reached; close other connections, or wait and try again"
        }
        "INUSE" => "something that the login needs is in use; wait and try again",
        "NOPERM" => "this user may not log in here; ask the server's administrator",
        "SERVERBUG" => "it is a fault of the server; report it to its administrator",
        "WEBALERT" if arguments.is_empty() => "log in with a web browser once, as the server asks",
        "WEBALERT" => "open that address in a web browser and do what it asks, then try again",
        _ => return None,
    };
    Some(advice.to_owned())
}

/// What to do about a server that says BYE at once.
fn turned_away_advice(code: Option<&str>, arguments: &str) -> String {
    code.and_then(|code| advice_on(code, arguments))
        .unwrap_or_else(|| "wait and try again, or ask whoever runs it".to_owned())
}

/// What may be wrong with a login, by the server's code and the mechanism.
fn login_advice(mechanism: &str, refusal: &Refusal) -> String {
    let code = refusal.code.as_deref();
    let advice = code.and_then(|code| advice_on(code, &refusal.arguments));
    advice.unwrap_or_else(|| {
        if refusal.condition == Condition::Bad {
            format!("it does not take {mechanism}, whatever it offers; choose another mechanism with --auth")
        } else {
            mechanism_advice(mechanism).to_owned()
        }
    })
}

/// What may be wrong with a login, by its mechanism.
fn mechanism_advice(mechanism: &str) -> &'static str {
    match mechanism {
        "EXTERNAL" => "check the client certificate and whom the server takes it for",
        "OAUTHBEARER" | "XOAUTH2" => "check the user and the token, which may have expired",
        "GSSAPI" => "check whose ticket it is, with klist",
        "ANONYMOUS" => "log in as somebody",
        // Such a server can check a password that it is shown, but not a proof.
        scram if scram.starts_with("SCRAM-") => {
            "check the user and the password; a server that keeps passwords hashed in another way may need --auth PLAIN"
        }
        _ => "check the user and the password",
    }
}

fn lost(verb: &str, cause: &LostCause, outcome: Outcome) -> String {
    match outcome {
        Outcome::NotSent => sentence(
            &format!("{verb} was not sent, because the connection was lost: {cause}"),
            "connect again and repeat it",
        ),
        Outcome::Unknown => sentence(
            &format!("the connection was lost before {verb} was answered: {cause}"),
            "it is unknown whether it was done: connect again and look before repeating it",
        ),
        _ => sentence(
            &format!("the connection was lost before {verb} was answered: {cause}"),
            "it changes nothing: connect again and repeat it",
        ),
    }
}

fn interrupted(verb: &str, outcome: Outcome) -> String {
    match outcome {
        Outcome::NotSent => format!("interrupted before {verb} was sent; it changed nothing"),
        Outcome::Unknown => format!(
            "interrupted before {verb} was answered; it is unknown whether it was done: look before repeating it"
        ),
        _ => format!("interrupted before {verb} was answered; it changed nothing"),
    }
}

fn late(verb: &str, outcome: Outcome) -> String {
    match outcome {
        Outcome::NotSent => {
            format!("the time limit passed before {verb} was sent; it changed nothing")
        }
        Outcome::Unknown => format!(
            "the time limit passed before {verb} was answered; it is unknown whether it was done: look before repeating it"
        ),
        _ => format!("the time limit passed before {verb} was answered; it changed nothing"),
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

/// What became of those that were not done, and what to do next.
fn rest(cause: &Error, account: &Account) -> String {
    let connect = if cause.ends_session() {
        "connect again and "
    } else {
        ""
    };
    let Account {
        failed,
        unknown,
        not_sent,
        ..
    } = account;
    let mut others = String::new();
    for (count, what) in [(failed, "failed"), (not_sent, "not sent")] {
        if *count > 0 {
            others.push_str(&format!(", {count} {what}"));
        }
    }
    if *unknown > 0 {
        format!(
            "{others}, of {unknown} it is unknown whether they were done: {connect}look before repeating it"
        )
    } else {
        format!("{others}: {connect}repeat it for those that were not done")
    }
}

impl Error {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Error::Stopped { cause, .. } => cause.fault(),
            Error::Usage(_)
            | Error::NotConnected
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

    /// The status response code that the server gave, in capitals (RFC 5530).
    pub fn code(&self) -> Option<&str> {
        match self {
            Error::Refused(refusal) => refusal.code.as_deref(),
            Error::Login { refusal, .. } => refusal.code.as_deref(),
            Error::TurnedAway { code, .. } => code.as_deref(),
            _ => None,
        }
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
            "interrupted; 20 of 100 were done, 80 not sent: repeat it for those that were not done"
        );
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
            "the connection was lost: the server closed the connection; 20 of 100 were done, 73 not sent, of 7 it is unknown whether they were done: \
             connect again and look before repeating it"
        );
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
