//! SCRAM (RFC 5802, RFC 7677) in front of rsasl: what a server's message must look like before rsasl may see it, and
//! whether the server has proven itself.

use super::engine::Engine;
use super::mechanisms::{LONGEST_CHALLENGE, bad_challenge, check, complaint};
use super::{AuthError, Credentials, Mechanism, Method, SecretBytes, Surroundings};

/// The most rounds of hashing that a server may ask for.
///
/// Servers use 4096 (Dovecot, Cyrus) to some 600 000 (the advice of OWASP for PBKDF2), which takes less than a second.
/// The number comes before the server has proven anything, so without a limit anybody could keep this machine busy for
/// hours: four thousand million is a number too. There is no lower limit: RFC 5802 section 5.1 asks servers for 4096 but
/// clients for nothing, and who refused less would be left with PLAIN, which tells all.
pub(super) const MOST_ITERATIONS: u32 = 1_000_000;

/// How far it has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing has been said.
    Start,
    /// Who logs in has been said.
    Named,
    /// The proof has been sent.
    Answered,
    /// The server has proven that it knows the password, too.
    Proven,
    /// The server has said `e=`.
    Refused,
}

/// One run of SCRAM.
pub(super) struct Scram {
    method: Method,
    credentials: Credentials,
    engine: Engine,
    stage: Stage,
    complaint: Option<String>,
}

impl Scram {
    pub(super) fn new(
        method: Method,
        credentials: Credentials,
        surroundings: &Surroundings,
    ) -> Self {
        Scram {
            method,
            engine: Engine::new(method, &credentials, surroundings),
            credentials,
            stage: Stage::Start,
            complaint: None,
        }
    }

    /// The server's `e=` (RFC 5802 section 5.1), which takes an empty answer so that it can refuse in its own words.
    fn is_refused(&mut self, message: &[u8]) -> bool {
        let Some(error) = message.strip_prefix(b"e=") else {
            return false;
        };
        let error = error.split(|&byte| byte == b',').next().unwrap_or_default();
        self.complaint = Some(complaint(&String::from_utf8_lossy(error)));
        self.stage = Stage::Refused;
        true
    }
}

impl Mechanism for Scram {
    fn name(&self) -> &'static str {
        self.method.name()
    }

    fn initial(&mut self) -> Option<SecretBytes> {
        check(self.method, &self.credentials).ok()?;
        let (message, _) = self.engine.step(None).ok()?;
        self.stage = Stage::Named;
        Some(message)
    }

    fn respond(&mut self, challenge: &[u8]) -> Result<SecretBytes, AuthError> {
        check(self.method, &self.credentials)?;
        let method = self.method;
        let bad = |why: &str| Err(bad_challenge(method, why));
        if challenge.len() > LONGEST_CHALLENGE {
            return bad("its challenge is longer than 4096 bytes");
        }
        if matches!(self.stage, Stage::Named | Stage::Answered) && self.is_refused(challenge) {
            return Ok(SecretBytes::new(Vec::new()));
        }
        match self.stage {
            Stage::Start if !challenge.is_empty() => bad("its first challenge is not empty"),
            Stage::Start => {
                let (message, _) = self.engine.step(None)?;
                self.stage = Stage::Named;
                Ok(message)
            }
            Stage::Named => {
                look_at_first(challenge).map_err(|why| bad_challenge(method, &why))?;
                let (message, _) = self.engine.step(Some(challenge))?;
                self.stage = Stage::Answered;
                Ok(message)
            }
            Stage::Answered => {
                if !challenge.starts_with(b"v=") {
                    return bad("its last message holds no signature");
                }
                // rsasl compares the signature. What can't even be decoded proves nothing either.
                let unproven = AuthError::Unproven {
                    mechanism: method.name(),
                };
                let (message, _) = self.engine.step(Some(challenge)).map_err(|_| unproven)?;
                self.stage = Stage::Proven;
                Ok(message)
            }
            Stage::Proven => bad("it goes on after its signature"),
            Stage::Refused => bad("it goes on after its error"),
        }
    }

    fn finish(&mut self) -> Result<(), AuthError> {
        if self.stage == Stage::Proven {
            Ok(())
        } else {
            Err(AuthError::Unproven {
                mechanism: self.method.name(),
            })
        }
    }

    fn complaint(&self) -> Option<&str> {
        self.complaint.as_deref()
    }

    fn is_binding_refused(&self, code: Option<&str>, words: &str) -> bool {
        self.method.without_binding().is_some()
            && match self.stage {
                // The password has not come into it yet; but a server that speaks of credentials means the user.
                Stage::Start | Stage::Named => code != Some("AUTHENTICATIONFAILED"),
                // Cyrus up to 3.6 binds to tls-unique alone, looks only now, and before it looks at the proof. It says this
                // then (SASL_BADPROT), and «authentication failure» for a wrong password.
                Stage::Answered => words == "bad protocol / cancel",
                Stage::Refused => matches!(
                    self.complaint(),
                    Some("unsupported-channel-binding-type" | "channel-binding-not-supported")
                ),
                Stage::Proven => false,
            }
    }
}

/// Whether a server-first-message (RFC 5802 section 7) may go to rsasl, which panics on an attribute that is cut short
/// and hashes as often as it is told.
fn look_at_first(message: &[u8]) -> Result<(), String> {
    if message.starts_with(b"m=") {
        return Err("it demands an extension that is not known here".into());
    }
    let mut attributes = message.split(|&byte| byte == b',');
    let mut value = |name: &[u8]| {
        let attribute = attributes.next().unwrap_or_default();
        attribute
            .strip_prefix(name)
            .filter(|value| !value.is_empty())
    };
    let (Some(_nonce), Some(_salt), Some(iterations)) = (value(b"r="), value(b"s="), value(b"i="))
    else {
        return Err("its challenge lacks the nonce, the salt or the iteration count".into());
    };
    if !iterations.iter().all(u8::is_ascii_digit) {
        return Err("its iteration count is no number".into());
    }
    // What is too long for a number is too much as well.
    let count = str::from_utf8(iterations)
        .ok()
        .and_then(|digits| digits.parse::<u32>().ok());
    match count {
        Some(0) => Err("its iteration count is 0".into()),
        Some(1..=MOST_ITERATIONS) => Ok(()),
        _ => Err(format!(
            "it wants the password hashed more than {MOST_ITERATIONS} times, which only wastes time"
        )),
    }
}
