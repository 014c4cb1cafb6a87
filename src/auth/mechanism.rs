//! What a SASL mechanism is: a run of messages that proves who one is, the bytes of them, and the checks that all mechanisms share.
//!
//! Not here: any mechanism (`mechanisms`, `scram`, `bearer`).

use std::fmt;

use zeroize::Zeroizing;

use super::{AuthError, Credentials, Method, Needs, Secret};

/// The longest challenge looked at, in bytes. A real one has some hundred.
pub(super) const LONGEST_CHALLENGE: usize = 4096;

/// The longest user or password sent, in bytes. Servers must take 255 (RFC 4616 section 2).
pub(super) const LONGEST_FIELD: usize = 4096;

/// The longest token sent, in bytes. Those that list groups and rights grow to some thousands.
pub(super) const LONGEST_TOKEN: usize = 64 * 1024;

/// The longest part of a server's reason that is kept, in letters.
const LONGEST_COMPLAINT: usize = 200;

/// Bytes that are wiped when dropped, and that Debug does not show.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretBytes(Zeroizing<Vec<u8>>);

impl SecretBytes {
    /// Takes the bytes over.
    pub fn new(bytes: Vec<u8>) -> Self {
        SecretBytes(Zeroizing::new(bytes))
    }

    /// The bytes. They must not be copied to where nobody wipes them.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The parts in one piece, allocated at once: a vector that grows leaves unwiped copies behind.
    pub(super) fn concat(parts: &[&[u8]]) -> Self {
        let mut bytes = Vec::with_capacity(parts.iter().map(|part| part.len()).sum());
        for part in parts {
            bytes.extend_from_slice(part);
        }
        SecretBytes::new(bytes)
    }
}

impl From<Zeroizing<Vec<u8>>> for SecretBytes {
    fn from(bytes: Zeroizing<Vec<u8>>) -> Self {
        SecretBytes(bytes)
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBytes([REDACTED])")
    }
}

/// What a mechanism may need to know beside the credentials.
#[derive(Clone)]
pub struct Surroundings {
    /// The server's name as the user gave it.
    pub host: String,
    /// Its port, if it has one.
    pub port: Option<u16>,
    /// The channel binding `tls-exporter` (RFC 9266), if it can be had.
    pub exporter: Option<Zeroizing<[u8; 32]>>,
    /// Whether nobody can listen on the connection, as far as is known: it is encrypted, or does not leave the machine.
    pub private: bool,
    /// Whether the server offers any mechanism with channel binding. If it does not although it could be had, SCRAM says
    /// so, and a server that did offer one ends the login: somebody in between has changed its offer (RFC 5802
    /// section 6).
    pub binding_offered: bool,
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings")
            .field("host", &self.host)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

/// One run of a SASL mechanism (RFC 4422), before base64.
pub trait Mechanism: Send {
    /// Its name, as in `AUTH=`.
    fn name(&self) -> &'static str;

    /// The initial response, to send along with the command where the server has SASL-IR (RFC 4959).
    ///
    /// `None` when the server speaks first, and when these credentials can't be sent: [`Mechanism::respond`]
    /// then says why, and so does [`check`], beforehand.
    fn initial(&mut self) -> Option<SecretBytes>;

    /// The answer to a challenge. Where the initial response was not sent along, the server's first challenge is
    /// empty and this gives the initial response.
    ///
    /// # Errors
    /// [`AuthError::BadChallenge`] for a challenge that does not fit, [`AuthError::Unproven`] for a server that does not
    /// know the password, [`AuthError::Failed`], and what [`check`] finds. The exchange is then to be cancelled (with `*`
    /// in IMAP).
    fn respond(&mut self, challenge: &[u8]) -> Result<SecretBytes, AuthError>;

    /// To be called when the server says that the login has succeeded, and to be believed before the server.
    ///
    /// # Errors
    /// [`AuthError::Unproven`] where the server has not done its part. The connection is to be closed then.
    fn finish(&mut self) -> Result<(), AuthError> {
        Ok(())
    }

    /// What somebody should know of a login that succeeded.
    fn warning(&self) -> Option<String> {
        None
    }

    /// Whether anything was said from which the secret could be had or tried: the secret itself, or a proof made with it. A server that
    /// refused the login before has not looked at the secret.
    fn has_shown_secret(&self) -> bool;

    /// Why the login fails, where the server has said it within the exchange. Its own words, at most some hundred letters;
    /// untrusted.
    fn complaint(&self) -> Option<&str> {
        None
    }

    /// Whether the server's refusal, its `code` and `words`, is about the kind of channel binding and not about the
    /// password, so that [`Method::without_binding`] may be tried.
    fn is_binding_refused(&self, code: Option<&str>, words: &str) -> bool {
        let _ = (code, words);
        false
    }
}

/// Whether these credentials can be carried by this method at all.
///
/// # Errors
/// [`AuthError::SecretUnfit`], [`AuthError::Empty`], [`AuthError::NulInCredentials`], [`AuthError::BadLetters`],
/// [`AuthError::TooLong`], or [`AuthError::AuthzUnsupported`].
pub fn check(method: Method, credentials: &Credentials) -> Result<(), AuthError> {
    let Credentials {
        user,
        authz,
        secret,
    } = credentials;
    if authz.is_some() && !method.carries_authz() {
        return Err(AuthError::AuthzUnsupported {
            offered: vec![method.name().to_owned()],
            wanted: vec![method.name()],
        });
    }
    let needs = method.needs();
    if !needs.fits(secret) {
        return Err(AuthError::SecretUnfit {
            method: method.name(),
            token: needs == Needs::Token,
        });
    }
    let (what, limit) = match secret {
        Secret::Token(_) => ("token", LONGEST_TOKEN),
        _ => ("password", LONGEST_FIELD),
    };
    // What is not sent does not matter. A token says by itself whose it is.
    let mut fields = vec![("user to act as", authz.as_deref(), true, LONGEST_FIELD)];
    if needs != Needs::Nothing {
        fields.push((
            "user",
            Some(user),
            method == Method::OauthBearer,
            LONGEST_FIELD,
        ));
        fields.push((what, Some(secret.expose()), false, limit));
    }
    for (what, field, optional, limit) in fields {
        let field = field.unwrap_or_default();
        if field.is_empty() && !optional {
            return Err(AuthError::Empty { what });
        }
        if field.contains('\0') {
            return Err(AuthError::NulInCredentials { what });
        }
        if field.len() > limit {
            return Err(AuthError::TooLong {
                what,
                length: field.len(),
                limit,
            });
        }
        // 0x01 parts the fields in both mechanisms for tokens, and a token has no spaces (RFC 6750 section 2.1).
        let wrong =
            |letter: char| letter.is_control() || (what == "token" && !letter.is_ascii_graphic());
        if needs == Needs::Token && field.contains(wrong) {
            return Err(AuthError::BadLetters { what });
        }
    }
    Ok(())
}

pub(super) fn bad_challenge(method: Method, why: &str) -> AuthError {
    AuthError::BadChallenge {
        mechanism: method.name(),
        why: why.to_owned(),
    }
}

/// A server's reason, cut to what a person may want to read. It is escaped where it is printed, as all of a server's words.
pub(super) fn complaint(words: &str) -> String {
    words.chars().take(LONGEST_COMPLAINT).collect()
}
