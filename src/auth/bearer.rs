//! Bearer tokens: OAUTHBEARER (RFC 7628) and its forerunner XOAUTH2 of Google and Microsoft.
//!
//! rsasl writes what is sent. The answer to an error is made here: RFC 7628 section 3.2.3 wants a single `0x01`, where
//! rsasl sends nothing, and rsasl gives up on errors that are not quite JSON as the standard has it.

use serde_json::Value;

use super::engine::Engine;
use super::mechanisms::{LONGEST_CHALLENGE, bad_challenge, check, complaint};
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
