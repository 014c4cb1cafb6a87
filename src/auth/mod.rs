//! Proving who one is: SASL mechanisms (`mechanisms`), which way to log in (`choice`), and where a password comes
//! from (`credentials`).
//!
//! Nothing here knows sockets or IMAP: base64, continuation lines and tags are the session's business.

mod choice;
mod credentials;
mod mechanisms;

pub use choice::{Method, choose};
pub use credentials::{Credentials, Origin, PASSWORD_VARIABLE, PasswordError, PasswordSource};
pub use mechanisms::{Mechanism, SecretBytes, check, mechanism};

/// Why one cannot log in with what there is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// The server offers no way to log in that is known here, or not the wanted one.
    #[error("{}", none_offered(offered, wanted.as_deref(), *login_disabled))]
    NoneOffered {
        /// What the server offers, as in `AUTH=`.
        offered: Vec<String>,
        /// What the user asked for.
        wanted: Option<String>,
        /// Whether the server forbids the LOGIN command (LOGINDISABLED).
        login_disabled: bool,
    },
    /// Every way that is left would show the password to the network.
    #[error(
        "the connection is not encrypted and {method} would send the password in clear{}; connect with TLS, or \
         give --allow-cleartext if nobody can listen on this network",
        offers(offered)
    )]
    NeedsPrivacy {
        /// The way that would otherwise have been taken.
        method: &'static str,
        /// What the server offers, as in `AUTH=`.
        offered: Vec<String>,
    },
    /// Only PLAIN carries another identity to act as.
    #[error(
        "acting as another user needs the mechanism PLAIN{}{}; log in as that user, or have the server's \
         administrator enable PLAIN",
        wanted.as_ref().map(|name| format!(", not {name}")).unwrap_or_default(),
        offers(offered)
    )]
    AuthzUnsupported {
        /// What the server offers, as in `AUTH=`.
        offered: Vec<String>,
        /// What the user asked for.
        wanted: Option<String>,
    },
    /// A way to log in that is not known here.
    #[error(
        "{name:?} is no way to log in that is known here; use CRAM-MD5, PLAIN or LOGIN, or leave it to the server's \
         offer"
    )]
    UnknownMethod {
        /// What the user asked for.
        name: String,
    },
    /// The server's challenge makes no sense: the server's fault.
    #[error(
        "the server broke the rules of {mechanism}: {why}; choose another mechanism, and tell the server's \
         administrator"
    )]
    BadChallenge {
        /// The mechanism.
        mechanism: &'static str,
        /// What is wrong, in our words.
        why: String,
    },
    /// A NUL byte where none can be carried.
    #[error("the {what} holds a NUL byte, which cannot be sent; correct it where it comes from")]
    NulInCredentials {
        /// `user`, `password` or `user to act as`.
        what: &'static str,
    },
    /// Longer than any server takes.
    #[error(
        "the {what} is {length} bytes long and {limit} is the most that can be sent; check where it comes from"
    )]
    TooLong {
        /// `user`, `password` or `user to act as`.
        what: &'static str,
        /// Its length in bytes.
        length: usize,
        /// The limit in bytes.
        limit: usize,
    },
}

/// The server's offer, as a part of a sentence.
fn offers(offered: &[String]) -> String {
    if offered.is_empty() {
        " (the server offers no mechanism)".to_owned()
    } else {
        format!(" (the server offers {})", names(offered))
    }
}

fn none_offered(offered: &[String], wanted: Option<&str>, login_disabled: bool) -> String {
    let offer = match (offered.is_empty(), login_disabled) {
        (true, true) => "no way to log in".to_owned(),
        (true, false) => "only the LOGIN command".to_owned(),
        (false, true) => format!("{} and forbids the LOGIN command", names(offered)),
        (false, false) => format!("{} and the LOGIN command", names(offered)),
    };
    let advice = if login_disabled {
        // What many servers do as long as there is no TLS.
        "connect with TLS if this connection is not encrypted, as the server may offer more then, or ask its \
         administrator"
    } else {
        "choose one of these, or leave the choice to imapadm"
    };
    match wanted {
        Some(wanted) => format!("the server does not offer {wanted} but {offer}; {advice}"),
        None => format!(
            "the server offers {offer}, and none of what imapadm can do (CRAM-MD5, PLAIN, LOGIN); {advice}"
        ),
    }
}

/// A server's mechanism names for a person to read. They are the server's words, so control characters go.
fn names(offered: &[String]) -> String {
    offered
        .join(", ")
        .chars()
        .filter(|letter| !letter.is_control())
        .take(400)
        .collect()
}
