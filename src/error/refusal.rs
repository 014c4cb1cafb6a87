//! A command that the server refused, and the reason as far as it can be told.

use std::fmt;

use crate::wire::code::ResponseCode;
use crate::wire::response::Condition;

use super::advice::Advice;

/// A command that the server answered with NO or BAD (RFC 3501 section 7.1).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// The IMAP command that was refused, such as `DELETE`.
    pub verb: &'static str,
    /// `No` (the server will not) or `Bad` (the server did not understand).
    pub condition: Condition,
    /// The status response code (RFC 5530 and others).
    pub code: Option<ResponseCode>,
    /// What stands behind the code in its brackets, such as the `MAXSIZE 1024` of METADATA (RFC 5464 section 4.3); mostly nothing.
    /// Untrusted.
    pub arguments: String,
    /// The server's own words. Untrusted: escape them before they reach a terminal.
    pub text: String,
    /// What to do next, where the command knows.
    pub advice: Option<Advice>,
}

/// Why the server refused a command, from its response code or, on a server that sends none, from its known words.
///
/// Cyrus sends no code for most of these. Words that are not known here give no reason at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The mailbox exists already.
    AlreadyExists,
    /// The mailbox or quota root does not exist, or the user may not see it (RFC 4314 section 6).
    NoSuchMailbox,
    /// The user lacks a right, or has to be an administrator.
    PermissionDenied,
    /// A quota is exceeded.
    OverQuota,
    /// The server does not allow this mailbox name.
    InvalidName,
    /// The mailbox has mailboxes below it.
    HasChildren,
    /// The server has no such partition (Cyrus).
    NoSuchPartition,
    /// The server does not know this right (RFC 4314).
    NoSuchRight,
    /// The server does not know this quota resource (RFC 9208).
    NoSuchResource,
    /// A value is larger than the server takes.
    TooBig,
    /// A limit of the server is reached: connections, mailboxes, entries.
    LimitReached,
    /// Something that the command needs is in use; it may succeed later.
    InUse,
    /// The server can't do it now; it may succeed later.
    Unavailable,
    /// The server never does this.
    Impossible,
    /// The mailbox or the user is on another server.
    OnAnotherServer,
    /// The user or the password is wrong.
    AuthenticationFailed,
    /// The user may not act as the other one.
    AuthorizationFailed,
    /// The password has expired.
    PasswordExpired,
    /// The server wants TLS first.
    TlsRequired,
    /// The server has a bug, or its data are damaged.
    ServerFault,
}

/// What servers say that send no code, in lower case. The first that fits counts.
const PHRASES: &[(Reason, &[&str])] = &[
    (Reason::AlreadyExists, &["already exists"]),
    (
        Reason::InvalidName,
        &["invalid mailbox name", "character not allowed in mailbox"],
    ),
    (
        Reason::NoSuchMailbox,
        &["does not exist", "doesn't exist", "no such mailbox"],
    ),
    (
        Reason::PermissionDenied,
        &[
            "permission denied",
            "no permission",
            "lacking rights",
            "only by admin",
        ],
    ),
    (Reason::HasChildren, &["inferior hierarchical names"]),
    (
        Reason::NoSuchRight,
        &["right is not supported", "invalid acl right"],
    ),
    (Reason::NoSuchResource, &["resource name", "quota list"]),
    (
        Reason::OverQuota,
        &["over quota", "quota exceeded", "exceeds quota"],
    ),
    (Reason::Unavailable, &["server(s) unavailable"]),
];

impl Reason {
    /// What a code says by itself, whatever was refused.
    pub(super) fn of_code(code: &ResponseCode) -> Option<Self> {
        Some(match code {
            ResponseCode::AlreadyExists => Self::AlreadyExists,
            ResponseCode::NonExistent | ResponseCode::TryCreate => Self::NoSuchMailbox,
            ResponseCode::NoPerm => Self::PermissionDenied,
            ResponseCode::OverQuota => Self::OverQuota,
            ResponseCode::HasChildren => Self::HasChildren,
            ResponseCode::TooBig => Self::TooBig,
            ResponseCode::Limit => Self::LimitReached,
            ResponseCode::InUse => Self::InUse,
            ResponseCode::Unavailable => Self::Unavailable,
            ResponseCode::Cannot => Self::Impossible,
            ResponseCode::Referral => Self::OnAnotherServer,
            ResponseCode::AuthenticationFailed => Self::AuthenticationFailed,
            ResponseCode::AuthorizationFailed => Self::AuthorizationFailed,
            ResponseCode::Expired => Self::PasswordExpired,
            ResponseCode::PrivacyRequired => Self::TlsRequired,
            ResponseCode::ServerBug | ResponseCode::Corruption => Self::ServerFault,
            _ => return None,
        })
    }
}

impl Refusal {
    /// Why the server refused it, as far as its code or its words tell.
    pub fn reason(&self) -> Option<Reason> {
        match &self.code {
            // Dovecot's code for a name that it does not allow.
            Some(ResponseCode::Cannot) if self.verb == "CREATE" => Some(Reason::InvalidName),
            Some(ResponseCode::Metadata) => self.metadata_reason().or_else(|| self.by_words()),
            code => code
                .as_ref()
                .and_then(Reason::of_code)
                .or_else(|| self.by_words()),
        }
    }

    /// RFC 5464 section 4.3.
    fn metadata_reason(&self) -> Option<Reason> {
        let word = self.arguments.split_ascii_whitespace().next()?;
        match word.to_ascii_uppercase().as_str() {
            "MAXSIZE" => Some(Reason::TooBig),
            "TOOMANY" => Some(Reason::LimitReached),
            "NOPRIVATE" => Some(Reason::Impossible),
            _ => None,
        }
    }

    fn by_words(&self) -> Option<Reason> {
        let said = |(_, phrases): &&(Reason, &[&str])| self.says(phrases);
        match PHRASES.iter().find(said) {
            Some((reason, _)) => Some(*reason),
            None if self.verb == "CREATE" && self.says(&["partition"]) => {
                Some(Reason::NoSuchPartition)
            }
            None => None,
        }
    }

    /// Whether the server's words hold one of these phrases, which are in lower case.
    pub(crate) fn says(&self, phrases: &[&str]) -> bool {
        let text = self.text.to_ascii_lowercase();
        phrases.iter().any(|phrase| text.contains(phrase))
    }

    /// Whether it was refused for this reason.
    pub(crate) fn is(&self, reason: Reason) -> bool {
        self.reason() == Some(reason)
    }

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
        write!(f, "the server refused {}: {}", self.verb, self.said())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_comes_from_the_code_or_else_from_the_words() {
        for (verb, code, arguments, text, reason) in [
            (
                "CREATE",
                None,
                "",
                "Mailbox already exists",
                Some(Reason::AlreadyExists),
            ),
            (
                "CREATE",
                Some("ALREADYEXISTS"),
                "",
                "no",
                Some(Reason::AlreadyExists),
            ),
            (
                "CREATE",
                Some("CANNOT"),
                "",
                "Character not allowed",
                Some(Reason::InvalidName),
            ),
            (
                "CREATE",
                None,
                "",
                "Invalid mailbox name",
                Some(Reason::InvalidName),
            ),
            (
                "CREATE",
                None,
                "",
                "Invalid partition name",
                Some(Reason::NoSuchPartition),
            ),
            (
                "RENAME",
                None,
                "",
                "Cross-server or cross-partition move w/rename not supported",
                None,
            ),
            (
                "RENAME",
                Some("CANNOT"),
                "",
                "Renaming INBOX",
                Some(Reason::Impossible),
            ),
            (
                "RENAME",
                None,
                "",
                "Server(s) unavailable to complete operation",
                Some(Reason::Unavailable),
            ),
            (
                "DELETE",
                Some("NONEXISTENT"),
                "",
                "Unknown Mailbox",
                Some(Reason::NoSuchMailbox),
            ),
            (
                "DELETE",
                None,
                "",
                "Mailbox does not exist",
                Some(Reason::NoSuchMailbox),
            ),
            (
                "DELETE",
                None,
                "",
                "Mailbox has inferior hierarchical names",
                Some(Reason::HasChildren),
            ),
            (
                "DELETE",
                Some("NOPERM"),
                "",
                "does not exist",
                Some(Reason::PermissionDenied),
            ),
            // A code that gives no reason does not hide the words.
            (
                "DELETE",
                Some("ALERT"),
                "",
                "PERMISSION DENIED",
                Some(Reason::PermissionDenied),
            ),
            ("DELETE", Some("X-ODD"), "", "because", None),
            (
                "SETQUOTA",
                None,
                "",
                "setting quotas only by administrators",
                Some(Reason::PermissionDenied),
            ),
            (
                "SETACL",
                None,
                "",
                "The right is not supported",
                Some(Reason::NoSuchRight),
            ),
            (
                "SETMETADATA",
                Some("METADATA"),
                "maxsize 1024",
                "no",
                Some(Reason::TooBig),
            ),
            (
                "SETMETADATA",
                Some("METADATA"),
                "TOOMANY",
                "no",
                Some(Reason::LimitReached),
            ),
            (
                "SETMETADATA",
                Some("METADATA"),
                "",
                "Permission denied",
                Some(Reason::PermissionDenied),
            ),
            (
                "SELECT",
                Some("REFERRAL"),
                "imap://b/",
                "try b",
                Some(Reason::OnAnotherServer),
            ),
        ] {
            let refusal = Refusal {
                verb,
                condition: Condition::No,
                code: code.map(ResponseCode::from_name),
                arguments: arguments.into(),
                text: text.into(),
                advice: None,
            };
            assert_eq!(refusal.reason(), reason, "{refusal}");
        }
    }
}
