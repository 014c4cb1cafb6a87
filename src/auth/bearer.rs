//! Bearer tokens: OAUTHBEARER (RFC 7628) and its forerunner XOAUTH2 of Google and Microsoft.
//!
//! rsasl writes what is sent. The answer to an error is made here: RFC 7628 section 3.2.3 wants a single `0x01`, where
//! rsasl sends nothing, and rsasl gives up on errors that are not quite JSON as the standard has it.

use serde_json::Value;

use super::engine::Engine;
use super::mechanism::{LONGEST_CHALLENGE, bad_challenge, check, complaint};
use super::{AuthError, Credentials, Mechanism, Method, SecretBytes, Surroundings};

/// How far it has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Start,
    Sent,
    Refused,
}

/// One run of either.
pub(super) struct Bearer {
    method: Method,
    credentials: Credentials,
    engine: Engine,
    stage: Stage,
    complaint: Option<String>,
}

impl Bearer {
    pub(super) fn new(
        method: Method,
        credentials: Credentials,
        surroundings: &Surroundings,
    ) -> Self {
        Bearer {
            method,
            engine: Engine::new(method, &credentials, surroundings),
            credentials,
            stage: Stage::Start,
            complaint: None,
        }
    }
}

impl Mechanism for Bearer {
    fn name(&self) -> &'static str {
        self.method.name()
    }

    fn initial(&mut self) -> Option<SecretBytes> {
        check(self.method, &self.credentials).ok()?;
        let (message, _) = self.engine.step(None).ok()?;
        self.stage = Stage::Sent;
        Some(message)
    }

    fn respond(&mut self, challenge: &[u8]) -> Result<SecretBytes, AuthError> {
        check(self.method, &self.credentials)?;
        let bad = |why: &str| Err(bad_challenge(self.method, why));
        match self.stage {
            Stage::Start if !challenge.is_empty() => bad("its first challenge is not empty"),
            Stage::Start => {
                let (message, _) = self.engine.step(None)?;
                self.stage = Stage::Sent;
                Ok(message)
            }
            Stage::Sent if challenge.is_empty() => bad("it asks again"),
            Stage::Sent if challenge.len() > LONGEST_CHALLENGE => {
                bad("its error is longer than 4096 bytes")
            }
            Stage::Sent => {
                self.complaint = Some(reason(challenge));
                self.stage = Stage::Refused;
                let answer: &[u8] = match self.method {
                    Method::OauthBearer => b"\x01",
                    _ => b"",
                };
                Ok(SecretBytes::new(answer.to_vec()))
            }
            Stage::Refused => bad("it goes on after its error"),
        }
    }

    fn has_shown_secret(&self) -> bool {
        self.stage != Stage::Start
    }

    fn complaint(&self) -> Option<&str> {
        self.complaint.as_deref()
    }
}

/// What an error says: its status and its scope (RFC 7628 section 3.2.2), or all of it where it is no such JSON.
fn reason(error: &[u8]) -> String {
    let Ok(Value::Object(fields)) = serde_json::from_slice(error) else {
        return complaint(&String::from_utf8_lossy(error));
    };
    let told: Vec<String> = ["status", "scope"]
        .into_iter()
        .filter_map(|name| {
            let value = match fields.get(name)? {
                Value::String(text) => complaint(text),
                Value::Number(number) => number.to_string(),
                _ => return None,
            };
            Some(format!("{name} {value}"))
        })
        .collect();
    if told.is_empty() {
        complaint(&String::from_utf8_lossy(error))
    } else {
        told.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{Secret, mechanism};
    use proptest::prelude::*;

    const TOKEN: &str = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==";

    fn start(method: Method, user: &str, authz: Option<&str>) -> Box<dyn Mechanism> {
        let credentials = Credentials {
            user: user.into(),
            authz: authz.map(str::to_owned),
            secret: Secret::Token(TOKEN.into()),
        };
        let surroundings = Surroundings {
            private: true,
            host: "server.example.com".into(),
            port: Some(143),
            exporter: None,
            binding_offered: false,
        };
        mechanism(method, &credentials, &surroundings).unwrap()
    }

    fn text(message: &SecretBytes) -> &str {
        str::from_utf8(message.expose()).unwrap()
    }

    #[test]
    fn oauthbearer_as_in_rfc_7628() {
        // Section 4.1.
        let user = "user@example.com";
        let message = format!(
            "n,a={user},\x01host=server.example.com\x01port=143\x01auth=Bearer {TOKEN}\x01\x01"
        );
        let mut bearer = start(Method::OauthBearer, user, None);
        assert_eq!(bearer.name(), "OAUTHBEARER");
        assert_eq!(text(&bearer.initial().unwrap()), message);
        assert_eq!(bearer.finish(), Ok(()));
        let mut bearer = start(Method::OauthBearer, user, None);
        assert_eq!(text(&bearer.respond(b"").unwrap()), message);
        // Section 4.3.
        let error = br#"{"status":"invalid_token","scope":"example_scope","openid-configuration":"https://example.com/.well-known/openid-configuration"}"#;
        assert_eq!(text(&bearer.respond(error).unwrap()), "\x01");
        assert_eq!(
            bearer.complaint(),
            Some("status invalid_token, scope example_scope")
        );
        assert!(bearer.respond(b"").is_err());
    }

    #[test]
    fn the_identity_to_act_as_is_escaped() {
        for (user, authz, header) in [
            ("a,b=c", None, "n,a=a=2Cb=3Dc,\x01"),
            ("tim", Some("kurt"), "n,a=kurt,\x01"),
            ("", None, "n,,\x01"),
        ] {
            let mut bearer = start(Method::OauthBearer, user, authz);
            let message = bearer.initial().unwrap();
            assert!(text(&message).starts_with(header), "{user}");
        }
    }

    #[test]
    fn xoauth2_as_google_has_it() {
        let mut bearer = start(Method::Xoauth2, "someuser@example.com", None);
        assert_eq!(
            text(&bearer.initial().unwrap()),
            format!("user=someuser@example.com\x01auth=Bearer {TOKEN}\x01\x01")
        );
        let error = br#"{"status":"401","schemes":"bearer","scope":"https://mail.google.com/"}"#;
        assert_eq!(text(&bearer.respond(error).unwrap()), "");
        assert_eq!(
            bearer.complaint(),
            Some("status 401, scope https://mail.google.com/")
        );
    }

    #[test]
    fn errors_of_every_kind_are_told_in_short() {
        for (error, told) in [
            ("{\"status\":400}", "status 400"),
            ("{\"scope\":\"x\",\"status\":[]}", "scope x"),
            ("{\"schemes\":\"bearer\"}", "{\"schemes\":\"bearer\"}"),
            ("no JSON", "no JSON"),
            ("[1]", "[1]"),
        ] {
            assert_eq!(reason(error.as_bytes()), told);
        }
        let long = format!("{{\"status\":\"{}\"}}", "x".repeat(3000));
        assert_eq!(reason(long.as_bytes()).len(), "status ".len() + 200);
        let deep = "[".repeat(4000);
        assert_eq!(reason(deep.as_bytes()).len(), 200);
        let mut bearer = start(Method::Xoauth2, "u", None);
        bearer.initial().unwrap();
        assert!(bearer.respond(&[b'x'; LONGEST_CHALLENGE + 1]).is_err());
    }

    proptest! {
        #[test]
        fn any_error_is_no_harm(challenges in proptest::collection::vec(any::<Vec<u8>>(), 0..4)) {
            for method in [Method::OauthBearer, Method::Xoauth2] {
                let mut bearer = start(method, "u", None);
                for challenge in &challenges {
                    let _ = bearer.respond(challenge);
                }
                let complaint = bearer.complaint().unwrap_or_default();
                prop_assert!(!complaint.contains(TOKEN) && complaint.chars().count() < 500);
            }
        }
    }
}
