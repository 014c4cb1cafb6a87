//! Proving who one is: which ways to log in (`choice`), the SASL mechanisms (`mechanisms`, `scram`, `bearer`, and rsasl
//! behind them in `engine`), who logs in with what (`credentials`), and where a secret comes from (`source`, `netrc`).
//!
//! Nothing here knows sockets or IMAP: base64, continuation lines and tags are the session's business.

mod bearer;
mod choice;
mod credentials;
#[cfg(feature = "sasl")]
mod engine;
#[cfg(not(feature = "sasl"))]
#[path = "engine_plain.rs"]
mod engine;
mod mechanism;
mod mechanisms;
mod netrc;
#[cfg(feature = "sasl")]
mod scram;
mod source;

pub use choice::{Circumstances, Method, Needs, Offer, choose};
pub use credentials::{Credentials, Secret};
pub use mechanism::{Mechanism, SecretBytes, Surroundings, check};
pub use mechanisms::mechanism;
pub use netrc::netrc;
pub use secrecy::SecretString;
pub use source::{Origin, SecretError, SecretKind, SecretSource};

/// Why one cannot log in with what there is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// The server offers no way to log in that is known here, or none of the wanted ones.
    #[error("{}", none_offered(offered, wanted, *login_disabled, *token))]
    NoneOffered {
        /// What the server offers, as in `AUTH=`.
        offered: Vec<String>,
        /// What the user asked for; empty for anything.
        wanted: Vec<&'static str>,
        /// Whether the server forbids the LOGIN command (LOGINDISABLED).
        login_disabled: bool,
        /// Whether a token is at hand and not a password.
        token: bool,
    },
    /// Every way that is left would show the secret to the network.
    #[error(
        "the connection is not encrypted, and {method} would send the password or token in cleartext{}; connect with TLS, or give \
         --allow-cleartext if nobody can listen on this network",
        offers(offered)
    )]
    NeedsPrivacy {
        /// The way that would otherwise have been taken.
        method: &'static str,
        /// What the server offers, as in `AUTH=`.
        offered: Vec<String>,
    },
    /// No mechanism is left that carries another identity to act as.
    #[error(
        "acting as another user needs one of SCRAM's mechanisms, PLAIN, EXTERNAL or OAUTHBEARER{}{}; log in as that user, or ask the \
         server's administrator to enable one of them",
        if wanted.is_empty() { String::new() } else { format!(", not {}", wanted.join(" or ")) },
        offers(offered)
    )]
    AuthzUnsupported {
        /// What the server offers, as in `AUTH=`.
        offered: Vec<String>,
        /// What the user asked for; empty for anything.
        wanted: Vec<&'static str>,
    },
    /// A -PLUS form without something to bind to.
    #[error(
        "{method} binds the login to TLS, which needs TLS 1.3 on this connection; connect with TLS 1.3, or use the mechanism without -PLUS"
    )]
    NoBinding {
        /// The mechanism that was asked for.
        method: &'static str,
    },
    /// A way to log in that is not known here.
    #[error(
        "unknown mechanism {name:?}; use some of {KNOWN}, or let imapadm choose from the server's offer"
    )]
    UnknownMethod {
        /// What the user asked for.
        name: String,
    },
    /// A mechanism that needs a Cargo feature which this crate was built without.
    #[error(
        "this imapadm was built without {method}; build it with `--features {feature}`, or use another mechanism"
    )]
    NotBuilt {
        /// The mechanism.
        method: &'static str,
        /// The feature.
        feature: &'static str,
    },
    /// The secret at hand is of another kind than the ways that are left take.
    #[error(
        "{method} needs {}; give one, or choose another mechanism",
        if *token { "a token, not a password" } else { "a password" }
    )]
    SecretUnfit {
        /// The first of those ways.
        method: &'static str,
        /// Whether it takes a token.
        token: bool,
    },
    /// The server's challenge makes no sense: the server's fault.
    #[error(
        "the server violated the rules of {mechanism}: {why}; choose another mechanism, and tell the server's administrator"
    )]
    BadChallenge {
        /// The mechanism.
        mechanism: &'static str,
        /// What is wrong, in our words.
        why: String,
    },
    /// The server has not shown that it knows the password. The connection is closed then.
    #[error(
        "the server did not prove with {mechanism} that it knows the password, so an attacker may have answered; check the network path, \
         and ask the server's administrator"
    )]
    Unproven {
        /// The mechanism.
        mechanism: &'static str,
    },
    /// A mechanism can't be run on this side.
    #[error("{mechanism} cannot be used: {why}; fix that, or choose another mechanism")]
    Failed {
        /// The mechanism.
        mechanism: &'static str,
        /// What is wrong.
        why: String,
    },
    /// Nothing where something is needed.
    #[error("the {what} is empty, which no server accepts; give one")]
    Empty {
        /// `user`, `password` or `token`.
        what: &'static str,
    },
    /// A NUL byte where none can be carried.
    #[error("the {what} contains a NUL byte, which cannot be sent; correct it at its source")]
    NulInCredentials {
        /// `user`, `password`, `token` or `user to act as`.
        what: &'static str,
    },
    /// A letter that would end a field in a mechanism for tokens.
    #[error("the {what} contains a character that cannot be sent with a token; check its source")]
    BadLetters {
        /// `user`, `token` or `user to act as`.
        what: &'static str,
    },
    /// Longer than any server takes.
    #[error("the {what} is {length} bytes long, but at most {limit} can be sent; check its source")]
    TooLong {
        /// `user`, `password`, `token` or `user to act as`.
        what: &'static str,
        /// Its length in bytes.
        length: usize,
        /// The limit in bytes.
        limit: usize,
    },
}

impl AuthError {
    /// Whether it is the server's fault and not the user's.
    pub(crate) fn is_servers(&self) -> bool {
        matches!(
            self,
            AuthError::BadChallenge { .. } | AuthError::Unproven { .. }
        )
    }
}

/// All that can be done, for a person to read.
const KNOWN: &str = if cfg!(feature = "gssapi") {
    "SCRAM-SHA-512, SCRAM-SHA-256, SCRAM-SHA-1 (also with -PLUS), CRAM-MD5, PLAIN, LOGIN, EXTERNAL, OAUTHBEARER, XOAUTH2, \
     GSSAPI, ANONYMOUS"
} else {
    "SCRAM-SHA-512, SCRAM-SHA-256, SCRAM-SHA-1 (also with -PLUS), CRAM-MD5, PLAIN, LOGIN, EXTERNAL, OAUTHBEARER, XOAUTH2, \
     ANONYMOUS"
};

/// The server's offer, as a part of a sentence.
fn offers(offered: &[String]) -> String {
    if offered.is_empty() {
        " (the server offers no mechanism)".to_owned()
    } else {
        format!(" (the server offers {})", names(offered))
    }
}

fn none_offered(
    offered: &[String],
    wanted: &[&'static str],
    login_disabled: bool,
    token: bool,
) -> String {
    let offer = match (offered.is_empty(), login_disabled) {
        (true, true) => "no login mechanism".to_owned(),
        (true, false) => "only the LOGIN command".to_owned(),
        (false, true) => format!("{} and forbids the LOGIN command", names(offered)),
        (false, false) => format!("{} and the LOGIN command", names(offered)),
    };
    let advice = if login_disabled {
        // What many servers do as long as there is no TLS.
        "connect with TLS if this connection is not encrypted, as the server may offer more then, or ask its \
         administrator"
    } else if token && wanted.is_empty() {
        "give a password, or ask the server's administrator"
    } else {
        "choose one of these, or let imapadm choose"
    };
    if !wanted.is_empty() {
        let wanted = wanted.join(" or ");
        format!("the server does not offer {wanted} but {offer}; {advice}")
    } else if token {
        format!(
            "the server offers {offer}, none of which accepts a token (OAUTHBEARER and XOAUTH2 do); {advice}"
        )
    } else {
        format!("the server offers {offer}, none of which imapadm supports ({KNOWN}); {advice}")
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
