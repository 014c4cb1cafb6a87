//! The SASL mechanisms (RFC 4422): what each says, and to which challenge. Bytes only, before base64.
//!
//! Not here: SCRAM (`scram`), bearer tokens (`bearer`), and rsasl, which does the work behind most of them (`engine`).

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use zeroize::Zeroizing;

use super::bearer::Bearer;
use super::engine::Engine;
#[cfg(feature = "gssapi")]
use super::mechanism::LONGEST_TOKEN;
use super::mechanism::{
    LONGEST_CHALLENGE, Mechanism, SecretBytes, Surroundings, bad_challenge, check,
};
#[cfg(feature = "sasl")]
use super::scram::Scram;
use super::{AuthError, Credentials, Method, Needs};

/// The mechanism for a method, ready to run once; `None` for the LOGIN command, which is none.
pub fn mechanism(
    method: Method,
    credentials: &Credentials,
    surroundings: &Surroundings,
) -> Option<Box<dyn Mechanism>> {
    let credentials = credentials.clone();
    Some(match method {
        Method::LoginCommand => return None,
        Method::Cram => Box::new(CramMd5 {
            credentials,
            done: false,
        }),
        Method::Login => Box::new(Login {
            engine: Engine::new(method, &credentials, surroundings),
            credentials,
            step: 0,
        }),
        Method::OauthBearer | Method::Xoauth2 => {
            Box::new(Bearer::new(method, credentials, surroundings))
        }
        #[cfg(feature = "gssapi")]
        Method::Gssapi => Box::new(Gssapi {
            engine: Engine::new(method, &credentials, surroundings),
            credentials,
            stage: GssapiStage::Start,
        }),
        #[cfg(feature = "sasl")]
        Method::ScramSha512Plus
        | Method::ScramSha256Plus
        | Method::ScramSha1Plus
        | Method::ScramSha512
        | Method::ScramSha256
        | Method::ScramSha1 => Box::new(Scram::new(method, credentials, surroundings)),
        // What is not built in is among these: it is never chosen, and fails when it is to say something.
        _ => Box::new(OneMessage {
            method,
            credentials,
            surroundings: surroundings.clone(),
            said: false,
            done: false,
        }),
    })
}

/// PLAIN (RFC 4616), EXTERNAL (RFC 4422 appendix A) and ANONYMOUS (RFC 4505): the client says one thing and that is all.
///
/// EXTERNAL says whom to act as (the user, where nobody else is named) or nothing, and the server takes who the client is from the connection. ANONYMOUS says
/// nothing: the name that it could leave behind (section 1) is nobody's business.
struct OneMessage {
    method: Method,
    credentials: Credentials,
    surroundings: Surroundings,
    /// Whether the message was handed out.
    said: bool,
    done: bool,
}

impl OneMessage {
    fn message(&mut self) -> Result<SecretBytes, AuthError> {
        check(self.method, &self.credentials)?;
        let mut engine = Engine::new(self.method, &self.credentials, &self.surroundings);
        self.said = true;
        engine.step(None).map(|(message, _)| message)
    }
}

impl Mechanism for OneMessage {
    fn name(&self) -> &'static str {
        self.method.name()
    }

    fn initial(&mut self) -> Option<SecretBytes> {
        self.message().ok()
    }

    fn respond(&mut self, challenge: &[u8]) -> Result<SecretBytes, AuthError> {
        if !challenge.is_empty() {
            return Err(bad_challenge(self.method, "its challenge is not empty"));
        }
        if self.done {
            return Err(bad_challenge(self.method, "it asks again"));
        }
        self.done = true;
        self.message()
    }

    fn has_shown_secret(&self) -> bool {
        self.said && self.method.needs() != Needs::Nothing
    }
}

/// LOGIN (draft-murchison-sasl-login): the server asks for the user, then for the password.
struct Login {
    credentials: Credentials,
    engine: Engine,
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
        let bad = |why| Err(bad_challenge(Method::Login, why));
        // The texts of the two questions differ from server to server, so their order counts. One case is told
        // by its text: the password must not be given where a user is asked for, as users end up in logs.
        let asks_user = challenge
            .get(..4)
            .is_some_and(|start| start.eq_ignore_ascii_case(b"user"));
        match self.step {
            1 if asks_user => return bad("it asks for the user twice"),
            0 | 1 => {}
            _ => return bad("it asks for more than user and password"),
        }
        self.step += 1;
        self.engine.step(None).map(|(message, _)| message)
    }

    fn has_shown_secret(&self) -> bool {
        self.step > 1
    }
}

/// GSSAPI (RFC 4752). Who the client is, its ticket says.
#[cfg(feature = "gssapi")]
struct Gssapi {
    credentials: Credentials,
    engine: Engine,
    stage: GssapiStage,
}

#[cfg(feature = "gssapi")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GssapiStage {
    Start,
    Running,
    Done,
}

#[cfg(feature = "gssapi")]
impl Gssapi {
    fn step(&mut self, challenge: Option<&[u8]>) -> Result<SecretBytes, AuthError> {
        let (message, last) = self.engine.step(challenge)?;
        self.stage = if last {
            GssapiStage::Done
        } else {
            GssapiStage::Running
        };
        Ok(message)
    }
}

#[cfg(feature = "gssapi")]
impl Mechanism for Gssapi {
    fn name(&self) -> &'static str {
        Method::Gssapi.name()
    }

    /// Never: without a ticket it fails, and then the reason would be lost.
    fn initial(&mut self) -> Option<SecretBytes> {
        None
    }

    fn respond(&mut self, challenge: &[u8]) -> Result<SecretBytes, AuthError> {
        check(Method::Gssapi, &self.credentials)?;
        let bad = |why| Err(bad_challenge(Method::Gssapi, why));
        match self.stage {
            GssapiStage::Start if challenge.is_empty() => self.step(None),
            GssapiStage::Start => bad("its first challenge is not empty"),
            // Kerberos' tickets may list many groups.
            GssapiStage::Running if challenge.len() > LONGEST_TOKEN => bad("its token is too long"),
            GssapiStage::Running => self.step(Some(challenge)),
            GssapiStage::Done => bad("it goes on after the end"),
        }
    }

    fn has_shown_secret(&self) -> bool {
        self.stage != GssapiStage::Start
    }

    fn finish(&mut self) -> Result<(), AuthError> {
        if self.stage == GssapiStage::Done {
            Ok(())
        } else {
            Err(AuthError::Unproven {
                mechanism: Method::Gssapi.name(),
            })
        }
    }
}

/// CRAM-MD5 (RFC 2195), which rsasl has not got.
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
        let mut mac =
            <Hmac<Md5> as KeyInit>::new_from_slice(self.credentials.secret.expose().as_bytes())
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

    fn has_shown_secret(&self) -> bool {
        self.done
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
    use crate::auth::Secret;
    use crate::auth::mechanism::{LONGEST_FIELD, LONGEST_TOKEN};
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    fn who(user: &str, authz: Option<&str>, password: &str) -> Credentials {
        Credentials {
            user: user.to_owned(),
            authz: authz.map(str::to_owned),
            secret: Secret::Password(password.into()),
        }
    }

    fn surroundings() -> Surroundings {
        Surroundings {
            host: "mail.example.org".into(),
            port: Some(143),
            exporter: None,
            private: true,
            binding_offered: false,
        }
    }

    fn token(user: &str, token: &str) -> Credentials {
        Credentials {
            secret: Secret::Token(token.into()),
            ..who(user, None, "")
        }
    }

    fn start(method: Method, credentials: &Credentials) -> Box<dyn Mechanism> {
        mechanism(method, credentials, &surroundings()).unwrap()
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
        assert!(mechanism(Method::LoginCommand, &who("a", None, "b"), &surroundings()).is_none());
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
    fn external_and_anonymous_need_no_secret() {
        let nobody = |user: &str, authz: Option<&str>| Credentials {
            secret: Secret::None,
            ..who(user, authz, "")
        };
        let mut external = start(Method::External, &nobody("", None));
        assert_eq!(external.initial().unwrap().expose(), b"");
        let mut external = start(Method::External, &nobody("tim", None));
        assert_eq!(external.initial().unwrap().expose(), b"tim");
        let mut external = start(Method::External, &nobody("", Some("kurt")));
        assert_eq!(external.respond(b"").unwrap().expose(), b"kurt");
        assert!(external.respond(b"").is_err());
        // A password that is at hand stays where it is.
        let mut external = start(Method::External, &who("tim", None, "hunter2"));
        assert_eq!(external.initial().unwrap().expose(), b"tim");
        let mut anonymous = start(Method::Anonymous, &nobody("tim", None));
        assert_eq!(anonymous.initial().unwrap().expose(), b"");
        assert!(matches!(
            check(Method::Anonymous, &nobody("", Some("kurt"))),
            Err(AuthError::AuthzUnsupported { .. })
        ));
    }

    #[test]
    fn secrets_that_do_not_fit() {
        let unfit = |method, credentials: &Credentials| {
            matches!(
                check(method, credentials),
                Err(AuthError::SecretUnfit { .. })
            )
        };
        assert!(unfit(Method::Plain, &token("a", "b")));
        assert!(unfit(Method::Xoauth2, &who("a", None, "b")));
        let empty = |what| Err(AuthError::Empty { what });
        assert_eq!(check(Method::Plain, &who("a", None, "")), empty("password"));
        assert_eq!(check(Method::ScramSha1, &who("", None, "b")), empty("user"));
        assert_eq!(check(Method::Xoauth2, &token("", "b")), empty("user"));
        assert_eq!(check(Method::OauthBearer, &token("", "b")), Ok(()));
        // Nothing may end a field and begin another.
        for (user, secret) in [
            ("a\u{1}", "b"),
            ("a", "b\u{1}auth=x"),
            ("a", "b c"),
            ("a", "ö"),
        ] {
            assert!(matches!(
                check(Method::Xoauth2, &token(user, secret)),
                Err(AuthError::BadLetters { .. })
            ));
        }
        assert!(check(Method::Xoauth2, &token("a", &"x".repeat(LONGEST_TOKEN))).is_ok());
        assert!(check(Method::Xoauth2, &token("a", &"x".repeat(LONGEST_TOKEN + 1))).is_err());
    }

    #[test]
    fn nothing_secret_is_shown() {
        let credentials = who("tim", None, "hunter2");
        let mut plain = start(Method::Plain, &credentials);
        let bytes = plain.initial().unwrap();
        let long = who("tim", None, &"hunter2".repeat(1000));
        let error = check(Method::Plain, &long).unwrap_err();
        let bearer = token("tim", "hunter2");
        let unfit = check(Method::Plain, &bearer).unwrap_err();
        let mut around = surroundings();
        around.exporter = Some(Zeroizing::new(*b"hunter2 hunter2 hunter2 hunter2 "));
        let shown = format!(
            "{credentials:?} {bytes:?} {error:?} {error} {bearer:?} {unfit:?} {unfit} {around:?}"
        );
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("tim"));
    }

    proptest! {
        #[test]
        fn any_challenge_is_no_harm(challenges in proptest::collection::vec(any::<Vec<u8>>(), 0..4)) {
            for method in [Method::Cram, Method::Plain, Method::Login, Method::External, Method::Anonymous] {
                let mut mechanism = start(method, &who("a", None, "b"));
                for challenge in &challenges {
                    let _ = mechanism.respond(challenge);
                }
            }
        }
    }
}
