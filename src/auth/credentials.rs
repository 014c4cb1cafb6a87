//! Who logs in, and with what. Not here: where the secret comes from (`source`), nor how it is proven (`mechanisms`).

use secrecy::{ExposeSecret as _, SecretString};

/// What proves who one is, wiped when dropped. Debug does not show it.
#[derive(Debug, Clone)]
pub enum Secret {
    /// A password.
    Password(SecretString),
    /// A bearer token of OAuth 2.0 (RFC 6750).
    Token(SecretString),
    /// None: the server knows the client by other means, or wants none.
    None,
}

impl Secret {
    /// The password or the token; empty for none. It must not be copied to where nobody wipes it.
    pub(crate) fn expose(&self) -> &str {
        match self {
            Secret::Password(secret) | Secret::Token(secret) => secret.expose_secret(),
            Secret::None => "",
        }
    }
}

/// Who logs in, with what, and as whom to act. Debug does not show the secret.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Whose secret it is (the authentication identity). EXTERNAL asks to act as it, where it is
    /// not empty; ANONYMOUS does not send it.
    pub user: String,
    /// Whom to act as, if it is somebody else (the authorization identity).
    pub authz: Option<String>,
    /// What proves it.
    pub secret: Secret,
}

impl Credentials {
    /// A user with a password, who acts for nobody else.
    ///
    /// ```
    /// let credentials = imapadm::auth::Credentials::password("cyrus", "pa55w0rd");
    /// assert!(!format!("{credentials:?}").contains("pa55w0rd"));
    /// ```
    pub fn password(user: impl Into<String>, password: impl Into<SecretString>) -> Self {
        Credentials {
            user: user.into(),
            authz: None,
            secret: Secret::Password(password.into()),
        }
    }
}
