//! AUTHENTICATE (RFC 3501 section 6.2.2): the exchange of challenges and responses.
//!
//! Not here: the mechanisms themselves (`auth`), and which of them is tried (`login`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use zeroize::Zeroizing;

use crate::account::Outcome;
use crate::auth::{AuthError, Mechanism, SecretBytes};
use crate::error::{Error, LostCause};
use crate::wire::encode::Encoder;
use crate::wire::response::Status;

use super::Session;
use super::login::heed_referral;
use super::receive::{Event, INTERRUPTED};
use super::request::{Effect, Request};
use super::state::State;

/// Challenges in one SASL exchange; no mechanism has more than a handful.
const MOST_CHALLENGES: usize = 20;

impl Session {
    /// Runs AUTHENTICATE (RFC 3501 section 6.2.2, RFC 4959).
    pub(super) fn authenticate(
        &mut self,
        mechanism: &mut dyn Mechanism,
        initial_response: bool,
    ) -> Result<(), Error> {
        let initial = if initial_response {
            mechanism.initial()
        } else {
            None
        };
        if let Some(initial) = initial.as_ref().filter(|_| mechanism.has_shown_secret()) {
            self.link.secrets.add_line(&encode(initial));
        }
        let request = Authenticate {
            mechanism: mechanism.name(),
            initial: initial.as_ref().map(encode),
        };
        self.in_dialogue = true;
        let result = self.exchange(mechanism, request);
        self.in_dialogue = false;
        result
    }

    /// The challenges of AUTHENTICATE and the answers to them.
    fn exchange(
        &mut self,
        mechanism: &mut dyn Mechanism,
        request: Authenticate,
    ) -> Result<(), Error> {
        let ticket = self.submit(request)?;
        self.flush()?;
        let mut challenges = 0;
        let mut cancelled = None;
        while !self.pipeline.is_done(ticket.id) {
            let event = match self.pump(None) {
                Ok(event) => event,
                Err(error) if error.is_given_up() => {
                    self.end(LostCause::Ended { why: INTERRUPTED });
                    return Err(error.about("AUTHENTICATE", Outcome::NotSent));
                }
                // The ticket has the outcome.
                Err(_) => break,
            };
            let Event::Continuation(text) = event else {
                continue;
            };
            challenges += 1;
            let response = if cancelled.is_some() || challenges > MOST_CHALLENGES {
                Err(AuthError::BadChallenge {
                    mechanism: mechanism.name(),
                    why: "it sends challenges without end".into(),
                })
            } else {
                match BASE64.decode(text.trim_ascii()) {
                    Ok(challenge) => mechanism.respond(&challenge),
                    Err(_) => Err(AuthError::BadChallenge {
                        mechanism: mechanism.name(),
                        why: "its challenge is not base64".into(),
                    }),
                }
            };
            let line = match response {
                Ok(response) => {
                    let text = encode(&response);
                    // With its length at once: growing would leave a copy behind.
                    Zeroizing::new([text.as_str(), "\r\n"].concat())
                }
                Err(error) if cancelled.is_none() => {
                    cancelled = Some(error);
                    // RFC 3501 section 6.2.2: the client cancels the exchange with a single `*`.
                    Zeroizing::new("*\r\n".to_owned())
                }
                Err(_) => return Err(self.end(LostCause::Closed)),
            };
            let secret = 0..line.len() - 2;
            if cancelled.is_none() && mechanism.has_shown_secret() {
                self.link.secrets.add_line(&line[secret.clone()]);
            }
            self.link
                .send(line.as_bytes(), &[secret])
                .map_err(|error| self.lose(error))?;
        }
        let outcome = self.wait(ticket);
        let (error, trusted) = match cancelled {
            Some(error) => {
                // Who says OK to a login that was given up plays by no rules.
                let trusted = outcome.is_err() && !matches!(error, AuthError::Unproven { .. });
                (error, trusted)
            }
            None => {
                outcome?;
                match mechanism.finish() {
                    Ok(()) => return Ok(()),
                    Err(error) => (error, false),
                }
            }
        };
        if !trusted && self.is_open() {
            self.give_up("it was closed because the server cannot be trusted");
        }
        Err(error.into())
    }
}

/// Base64 that is wiped when dropped.
fn encode(secret: &SecretBytes) -> Zeroizing<String> {
    Zeroizing::new(BASE64.encode(secret.expose()))
}

/// AUTHENTICATE (RFC 3501 section 6.2.2), with an initial response where the server takes one (RFC 4959).
struct Authenticate {
    mechanism: &'static str,
    initial: Option<Zeroizing<String>>,
}

impl Request for Authenticate {
    type Reply = ();
    fn verb(&self) -> &'static str {
        "AUTHENTICATE"
    }
    fn effect(&self) -> Effect {
        Effect::Session
    }
    fn alone(&self) -> bool {
        true
    }
    fn write(&self, command: &mut Encoder<'_>) {
        command.atom("AUTHENTICATE").space().atom(self.mechanism);
        if let Some(initial) = &self.initial {
            // RFC 4959 section 3: an empty initial response is a single `=`.
            let text = if initial.is_empty() {
                "="
            } else {
                initial.as_str()
            };
            command.space().secret_text(text.as_bytes());
        }
    }
    fn finish(self, status: &Status<'_>, state: &mut State) -> Result<(), Error> {
        heed_referral(status, state);
        Ok(())
    }
}
