//! The SASL mechanisms (RFC 4422): what each says, and to which challenge. Bytes only, before base64.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::{AuthError, Credentials, Method};

/// The longest challenge looked at, in bytes. A real one has some fifty.
const LONGEST_CHALLENGE: usize = 4096;

/// The longest user or password sent, in bytes. Servers must take 255 (RFC 4616 section 2), tokens are longer.
const LONGEST_FIELD: usize = 4096;

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
    fn concat(parts: &[&[u8]]) -> Self {
        let mut bytes = Vec::with_capacity(parts.iter().map(|part| part.len()).sum());
        for part in parts {
            bytes.extend_from_slice(part);
        }
        SecretBytes::new(bytes)
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBytes([REDACTED])")
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
    /// [`AuthError::BadChallenge`] for a challenge that does not fit, and what [`check`] finds. The exchange is
    /// then to be cancelled (with `*` in IMAP).
    fn respond(&mut self, challenge: &[u8]) -> Result<SecretBytes, AuthError>;
}

/// Whether these credentials can be carried by this method at all.
///
/// # Errors
/// [`AuthError::NulInCredentials`], [`AuthError::TooLong`], or [`AuthError::AuthzUnsupported`].
pub fn check(method: Method, credentials: &Credentials) -> Result<(), AuthError> {
    let authz = credentials.authz.as_deref();
    if authz.is_some() && method != Method::Plain {
        return Err(AuthError::AuthzUnsupported {
            offered: vec![method.name().to_owned()],
            wanted: Some(method.name().to_owned()),
        });
    }
    let fields = [
        ("user", credentials.user.as_str()),
        ("user to act as", authz.unwrap_or_default()),
        ("password", credentials.password.expose_secret()),
    ];
    for (what, field) in fields {
        if field.contains('\0') {
            return Err(AuthError::NulInCredentials { what });
        }
        if field.len() > LONGEST_FIELD {
            return Err(AuthError::TooLong {
                what,
                length: field.len(),
                limit: LONGEST_FIELD,
            });
        }
    }
    Ok(())
}

/// The mechanism for a method, ready to run once; `None` for the LOGIN command, which is none.
pub fn mechanism(method: Method, credentials: &Credentials) -> Option<Box<dyn Mechanism>> {
    let credentials = credentials.clone();
    Some(match method {
        Method::Cram => Box::new(CramMd5 {
            credentials,
            done: false,
        }),
        Method::Plain => Box::new(Plain {
            credentials,
            done: false,
        }),
        Method::Login => Box::new(Login {
            credentials,
            step: 0,
        }),
        Method::LoginCommand => return None,
    })
}

fn bad_challenge(method: Method, why: &str) -> AuthError {
    AuthError::BadChallenge {
        mechanism: method.name(),
        why: why.to_owned(),
    }
}

fn secret(password: &SecretString) -> &[u8] {
    password.expose_secret().as_bytes()
}

/// PLAIN (RFC 4616).
struct Plain {
    credentials: Credentials,
    done: bool,
}

impl Plain {
    fn message(&self) -> Result<SecretBytes, AuthError> {
        check(Method::Plain, &self.credentials)?;
        let Credentials {
            user,
            authz,
            password,
        } = &self.credentials;
        let authz = authz.as_deref().unwrap_or_default();
        Ok(SecretBytes::concat(&[
            authz.as_bytes(),
            b"\0",
            user.as_bytes(),
            b"\0",
            secret(password),
        ]))
    }
}

impl Mechanism for Plain {
    fn name(&self) -> &'static str {
        Method::Plain.name()
    }

    fn initial(&mut self) -> Option<SecretBytes> {
        self.message().ok()
    }

    fn respond(&mut self, challenge: &[u8]) -> Result<SecretBytes, AuthError> {
        let bad = |why| bad_challenge(Method::Plain, why);
        if !challenge.is_empty() {
            return Err(bad("its challenge is not empty"));
        }
        if self.done {
            return Err(bad("it asks again"));
        }
        self.done = true;
        self.message()
    }
}

/// LOGIN (draft-murchison-sasl-login): the server asks for the user, then for the password.
struct Login {
    credentials: Credentials,
    step: u8,
}

impl Mechanism for Login {
    fn name(&self) -> &'static str {
        Method::Login.name()
    }

    fn initial(&mut self) -> Option<SecretBytes> {
        None
    }

    fn respond(&mut self, challenge: &[u8]) -> Result<SecretBytes, AuthError> {
        check(Method::Login, &self.credentials)?;
        let bad = |why| bad_challenge(Method::Login, why);
        // The texts of the two questions differ from server to server, so their order counts. One case is told
        // by its text: the password must not be given where a user is asked for, as users end up in logs.
        let asks_user = challenge
            .get(..4)
            .is_some_and(|start| start.eq_ignore_ascii_case(b"user"));
        let answer = match self.step {
            0 => self.credentials.user.as_bytes(),
            1 if asks_user => return Err(bad("it asks for the user twice")),
            1 => secret(&self.credentials.password),
            _ => return Err(bad("it asks for more than user and password")),
        };
        self.step += 1;
        Ok(SecretBytes::concat(&[answer]))
    }
}

/// CRAM-MD5 (RFC 2195).
struct CramMd5 {
    credentials: Credentials,
    done: bool,
}

impl Mechanism for CramMd5 {
    fn name(&self) -> &'static str {
        Method::Cram.name()
    }

    fn initial(&mut self) -> Option<SecretBytes> {
        None
    }

    fn respond(&mut self, challenge: &[u8]) -> Result<SecretBytes, AuthError> {
        check(Method::Cram, &self.credentials)?;
        let bad = |why| bad_challenge(Method::Cram, why);
        if self.done {
            return Err(bad("it challenges twice"));
        }
        if challenge.is_empty() {
            return Err(bad("its challenge is empty"));
        }
        if challenge.len() > LONGEST_CHALLENGE {
            return Err(bad("its challenge is longer than 4096 bytes"));
        }
        self.done = true;
        // HMAC takes keys of every length; the error is there for other kinds of keys.
        let mut mac = <Hmac<Md5> as KeyInit>::new_from_slice(secret(&self.credentials.password))
            .map_err(|_| bad("the password can't be its key"))?;
        mac.update(challenge);
        let mut hex = Zeroizing::new([0; 32]);
        for (pair, byte) in hex.chunks_exact_mut(2).zip(mac.finalize().into_bytes()) {
            pair.copy_from_slice(&hex_digits(byte));
        }
        Ok(SecretBytes::concat(&[
            self.credentials.user.as_bytes(),
            b" ",
            &*hex,
        ]))
    }
}

/// Lower case, as RFC 2195 section 2 has it.
fn hex_digits(byte: u8) -> [u8; 2] {
    let digit = |value: u8| {
        if value < 10 {
            b'0' + value
        } else {
            b'a' + value - 10
        }
    };
    [digit(byte >> 4), digit(byte & 15)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    fn who(user: &str, authz: Option<&str>, password: &str) -> Credentials {
        Credentials {
            user: user.to_owned(),
            authz: authz.map(str::to_owned),
            password: password.into(),
        }
    }

    fn start(method: Method, credentials: &Credentials) -> Box<dyn Mechanism> {
        mechanism(method, credentials).unwrap()
    }

    #[test]
    fn cram_md5_as_in_rfc_2195() {
        let mut cram = start(Method::Cram, &who("tim", None, "tanstaaftanstaaf"));
        assert_eq!(cram.name(), "CRAM-MD5");
        assert!(cram.initial().is_none());
        let challenge = STANDARD
            .decode("PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+")
            .unwrap();
        let answer = cram.respond(&challenge).unwrap();
        assert_eq!(answer.expose(), b"tim b913a602c7eda7a495b4e6e7334d3890");
        assert_eq!(
            STANDARD.encode(answer.expose()),
            "dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw"
        );
        assert!(cram.respond(&challenge).is_err());
    }

    #[test]
    fn cram_md5_with_a_long_password_and_odd_challenges() {
        // Longer than MD5's block, so it is hashed first. The digest is Python's.
        let mut cram = start(Method::Cram, &who("x", None, &"\u{1}".repeat(80)));
        let answer = cram.respond(b"<1.2@mail>").unwrap();
        assert_eq!(answer.expose(), b"x 40c068b9363925bc3a1a161fe24ead6d");
        let mut cram = start(Method::Cram, &who("x", None, "y"));
        assert!(cram.respond(b"").is_err());
        assert!(cram.respond(&[b'x'; 4097]).is_err());
        assert!(cram.respond(&[b'x'; 4096]).is_ok());
    }

    #[test]
    fn plain_as_in_rfc_4616() {
        let mut plain = start(Method::Plain, &who("tim", None, "tanstaaftanstaaf"));
        assert_eq!(plain.name(), "PLAIN");
        let message = b"\0tim\0tanstaaftanstaaf";
        assert_eq!(plain.initial().unwrap().expose(), message);
        assert_eq!(plain.respond(b"").unwrap().expose(), message);
        assert!(plain.respond(b"").is_err());
        let mut plain = start(Method::Plain, &who("Kurt", Some("Ursel"), "xipj3plmq"));
        assert!(plain.respond(b"more").is_err());
        assert_eq!(
            plain.respond(b"").unwrap().expose(),
            b"Ursel\0Kurt\0xipj3plmq"
        );
    }

    #[test]
    fn login_gives_user_then_password() {
        let mut login = start(Method::Login, &who("jörg", None, "pass word"));
        assert!(login.initial().is_none());
        assert_eq!(
            login.respond(b"Username:").unwrap().expose(),
            "jörg".as_bytes()
        );
        assert!(login.respond(b"User Name\0").is_err());
        assert_eq!(login.respond(b"Password:").unwrap().expose(), b"pass word");
        assert!(login.respond(b"Password:").is_err());
        assert!(mechanism(Method::LoginCommand, &who("a", None, "b")).is_none());
    }

    #[test]
    fn what_cannot_be_carried() {
        let nul = |what| Err(AuthError::NulInCredentials { what });
        assert_eq!(check(Method::Plain, &who("a\0", None, "b")), nul("user"));
        assert_eq!(check(Method::Login, &who("a", None, "\0")), nul("password"));
        assert_eq!(
            check(Method::Plain, &who("a", Some("\0"), "b")),
            nul("user to act as")
        );
        let mut plain = start(Method::Plain, &who("a", None, "b\0"));
        assert!(plain.initial().is_none());
        assert_eq!(plain.respond(b"").map(drop), nul("password"));
        let long = "x".repeat(LONGEST_FIELD + 1);
        assert!(matches!(
            check(Method::LoginCommand, &who("a", None, &long)),
            Err(AuthError::TooLong {
                what: "password",
                ..
            })
        ));
        assert!(matches!(
            check(Method::Cram, &who("a", Some("b"), "c")),
            Err(AuthError::AuthzUnsupported { .. })
        ));
    }

    #[test]
    fn nothing_secret_is_shown() {
        let credentials = who("tim", None, "hunter2");
        let mut plain = start(Method::Plain, &credentials);
        let bytes = plain.initial().unwrap();
        let long = who("tim", None, &"hunter2".repeat(1000));
        let error = check(Method::Plain, &long).unwrap_err();
        let shown = format!("{credentials:?} {bytes:?} {error:?} {error}");
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("tim"));
    }

    proptest! {
        #[test]
        fn any_challenge_is_no_harm(challenges in proptest::collection::vec(any::<Vec<u8>>(), 0..4)) {
            for method in [Method::Cram, Method::Plain, Method::Login] {
                let mut mechanism = start(method, &who("a", None, "b"));
                for challenge in &challenges {
                    let _ = mechanism.respond(challenge);
                }
            }
        }
    }
}
