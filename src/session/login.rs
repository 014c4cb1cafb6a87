//! From nothing to a session: the connection, the greeting, STARTTLS, capabilities, the login; and its end.
//!
//! Lives here: opening and logging in, and the requests that only those need. Not here: the mechanisms themselves
//! (`auth`), nor TLS (`net`).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use zeroize::Zeroizing;

use crate::auth::{self, Credentials, Mechanism, Method, SecretBytes};
use crate::error::Error;
use crate::net::{Address, IoError, Security, Stream};
use crate::wire::encode::Encoder;
use crate::wire::response::{self, Condition, Data, Response, Status, Untagged};

use secrecy::ExposeSecret as _;

use super::link::{Link, LinkError, Trace};
use super::pipeline::Pipeline;
use super::request::{Bare, Effect, Fit, Request};
use super::state::{Capabilities, State, sample};
use super::{Event, Options, Session, WINDOW};

/// Lines that may stand before the greeting (a «motd») before what answers is taken for no IMAP server.
const MOST_BANNER_LINES: usize = 200;
/// Challenges in one SASL exchange; no mechanism has more than a handful.
const MOST_CHALLENGES: usize = 20;
/// How long the answer to LOGOUT, and to what was given up on before, is waited for.
const FAREWELL: Duration = Duration::from_secs(2);
/// The sessions that this process has opened.
static SESSIONS: AtomicU64 = AtomicU64::new(0);

impl Session {
    /// Connects, reads the greeting and goes over to TLS as the options say; logs nobody in.
    ///
    /// After a PREAUTH greeting the session [is authenticated](State::is_authenticated) already.
    ///
    /// # Errors
    /// No connection, no TLS, no IMAP server, or one that says BYE.
    pub fn open(options: Options) -> Result<Self, Error> {
        Self::open_traced(options, None)
    }

    /// The same, showing the protocol to `trace`, secrets masked.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_traced(options: Options, trace: Option<Trace>) -> Result<Self, Error> {
        options.tls.check()?;
        let mut stream = Stream::connect(&options.address, &options.timeouts, &options.interrupt)?;
        if options.security == Security::Tls {
            stream = stream.start_tls(
                options.address.host(),
                &options.tls,
                &options.timeouts,
                &options.interrupt,
            )?;
        }
        let state = State::new(
            options.address.to_string(),
            stream.info(),
            options.separator,
        );
        let mut session = Self {
            link: Link::new(stream, trace),
            pipeline: Pipeline::default(),
            state,
            options,
            // Never grown while a secret is in it, or a copy of that would stay behind.
            out: Vec::with_capacity(2 * WINDOW),
            over: None,
            number: SESSIONS.fetch_add(1, Ordering::Relaxed),
        };
        session.greet()?;
        if session.state.authenticated
            && !session.state.channel.private
            && !session.options.allow_cleartext
        {
            // Whoever stands in between could greet so, and then answer for the server (RFC 9051 section 7.1.4).
            return Err(session.insecure(
                "it takes the login for done (PREAUTH) on a connection that anybody on the way can change; use --tls, or --allow-cleartext if you know the way",
            ));
        }
        // A Unix socket is as private as TLS.
        let over_network = matches!(session.options.address, Address::Tcp { .. });
        if session.options.security == Security::StartTls
            && over_network
            && !session.state.authenticated
        {
            session.start_tls()?;
        }
        Ok(session)
    }

    /// Reads the greeting (RFC 3501 section 7.1), which lines of something else may precede.
    fn greet(&mut self) -> Result<(), Error> {
        let server = self.state.server.clone();
        let mut before = String::new();
        for _ in 0..MOST_BANNER_LINES {
            let frame = match self.link.receive() {
                Ok(frame) => frame,
                Err(error) if error.is_interrupt() => {
                    return Err(Error::Interrupted {
                        verb: "the greeting",
                        unknown: false,
                    });
                }
                // In TLS 1.3 a refused client certificate shows only now.
                Err(LinkError::Io(error)) if error.tls().is_some() => {
                    return Err(error.into_tls().map_or_else(
                        |error| Error::LoginLost {
                            cause: error.to_string(),
                        },
                        Error::Tls,
                    ));
                }
                Err(error) => {
                    return Err(Error::NotImap {
                        server,
                        why: no_greeting(&error, &before, self.options.security),
                    });
                }
            };
            let bytes = self.link.framer.bytes(frame);
            if let Ok(Response::Untagged(Untagged::Status(status))) = response::parse(bytes) {
                let text = String::from_utf8_lossy(status.text).into_owned();
                match status.condition {
                    Condition::Bye => return Err(Error::TurnedAway { server, text }),
                    Condition::Ok | Condition::PreAuth => {
                        super::learn(&mut self.state, &status);
                        self.state.authenticated = status.condition == Condition::PreAuth;
                        self.state.greeting = text;
                        return Ok(());
                    }
                    Condition::No | Condition::Bad => {}
                }
            }
            if before.is_empty() {
                before = sample(bytes);
                if let Some(protocol) = other_protocol(bytes) {
                    return Err(Error::NotImap {
                        server,
                        why: format!("it greets as {protocol}: {before}"),
                    });
                }
            }
        }
        Err(Error::NotImap {
            server,
            why: format!("it sends other lines without end, the first one: {before}"),
        })
    }

    /// STARTTLS where the server offers it (RFC 3501 section 6.2.1).
    fn start_tls(&mut self) -> Result<(), Error> {
        if !self.first_capabilities()?.has("STARTTLS") {
            return Ok(());
        }
        match self.run(Bare("STARTTLS")) {
            Err(Error::Refused(refusal)) => {
                let why = format!(
                    "it offers STARTTLS but refuses it: {}; try --tls, or ask whoever runs it",
                    refusal.text
                );
                return Err(self.insecure(&why));
            }
            result => result?,
        }
        if !self.link.framer.pending().is_empty() {
            // Whoever stands in between could have put it there, to be taken for the server's words inside of TLS.
            self.link.close();
            return Err(self.insecure(
                "more came in cleartext behind its OK to STARTTLS, as from somebody who tampers with the connection; find out who stands in between",
            ));
        }
        let options = &self.options;
        self.link.start_tls(
            options.address.host(),
            &options.tls,
            &options.timeouts,
            &options.interrupt,
        )?;
        self.state.forget_cleartext();
        if let Some(stream) = self.link.stream() {
            self.state.channel = stream.info();
        }
        Ok(())
    }

    /// The capabilities before the login; a server that won't tell them can't be worked with.
    fn first_capabilities(&mut self) -> Result<&Capabilities, Error> {
        match self.known_capabilities() {
            Err(Error::Refused(refusal)) => {
                let why = format!(
                    "it does not tell its capabilities: {} {}",
                    refusal.condition, refusal.text
                );
                Err(Error::NotImap {
                    server: self.state.server.clone(),
                    why,
                })
            }
            Err(error) => Err(error),
            Ok(_) => Ok(self.state.capabilities()),
        }
    }

    fn insecure(&self, why: &str) -> Error {
        Error::Insecure {
            server: self.state.server.clone(),
            why: why.to_owned(),
        }
    }

    /// Logs in with the strongest method that the server offers, or with the one that is `wanted`.
    ///
    /// A password goes over the network in cleartext only with [`Options::allow_cleartext`].
    ///
    /// # Errors
    /// No usable method, or the server's refusal.
    pub fn login(&mut self, credentials: &Credentials, wanted: Option<&str>) -> Result<(), Error> {
        let private = self.state.channel.private || self.options.allow_cleartext;
        let capabilities = self.first_capabilities()?;
        let offered: Vec<String> = capabilities.values("AUTH").map(str::to_owned).collect();
        let disabled = capabilities.has("LOGINDISABLED");
        let method = auth::choose(
            &offered,
            disabled,
            wanted,
            private,
            credentials.authz.is_some(),
        )?;
        auth::check(method, credentials)?;

        let before = self.state.capabilities.clone();
        self.state.capabilities = None;
        let result = match auth::mechanism(method, credentials) {
            Some(mechanism) => {
                let initial_response = before.as_ref().is_some_and(|have| have.has("SASL-IR"));
                self.authenticate(mechanism, initial_response)
            }
            None => self.run(Login {
                credentials: credentials.clone(),
            }),
        };
        match result {
            Ok(()) => {
                self.state.authenticated = true;
                self.state.user = Some(
                    credentials
                        .authz
                        .as_ref()
                        .unwrap_or(&credentials.user)
                        .clone(),
                );
                self.state.mechanism = Some(method.name());
                Ok(())
            }
            Err(error) => {
                self.state.capabilities = before;
                Err(login_error(error, credentials, method))
            }
        }
    }

    /// Runs AUTHENTICATE (RFC 3501 section 6.2.2, RFC 4959).
    fn authenticate(
        &mut self,
        mut mechanism: Box<dyn Mechanism>,
        initial_response: bool,
    ) -> Result<(), Error> {
        let initial = if initial_response {
            mechanism.initial()
        } else {
            None
        };
        let request = Authenticate {
            mechanism: mechanism.name(),
            initial: initial.as_ref().map(encode),
        };
        let ticket = self.submit(request)?;
        self.flush()?;
        let mut challenges = 0;
        let mut cancelled = None;
        while !self.pipeline.is_done(ticket.id) {
            let event = match self.pump(None) {
                Ok(event) => event,
                Err(Error::Interrupted { .. }) => {
                    self.fail(&IoError::Interrupted.into());
                    return Err(Error::Interrupted {
                        verb: "AUTHENTICATE",
                        unknown: false,
                    });
                }
                // The ticket has the outcome.
                Err(_) => break,
            };
            let Event::Continuation(text) = event else {
                continue;
            };
            challenges += 1;
            let response = if cancelled.is_some() || challenges > MOST_CHALLENGES {
                Err(auth::AuthError::BadChallenge {
                    mechanism: mechanism.name(),
                    why: "it asks without end".into(),
                })
            } else {
                match BASE64.decode(text.trim_ascii()) {
                    Ok(challenge) => mechanism.respond(&challenge),
                    Err(_) => Err(auth::AuthError::BadChallenge {
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
                Err(_) => return Err(self.fail(&IoError::Closed.into())),
            };
            let secret = 0..line.len() - 2;
            self.link
                .send(line.as_bytes(), &[secret])
                .map_err(|error| self.fail(&error))?;
        }
        let outcome = self.wait(ticket);
        match cancelled {
            Some(error) => Err(error.into()),
            None => outcome,
        }
    }

    /// Ends the session politely: LOGOUT, and its answer if it comes (RFC 3501 section 6.1.3).
    pub fn logout(&mut self) {
        if self.is_open() {
            // The answer does not matter: the session ends either way.
            let _ = self.within(FAREWELL, |session| session.run(Bare("LOGOUT")));
            self.over.get_or_insert_with(|| "logged out".into());
            self.link.close();
        }
    }
}

/// Base64 that is wiped when dropped.
fn encode(secret: &SecretBytes) -> Zeroizing<String> {
    Zeroizing::new(BASE64.encode(secret.expose()))
}

fn login_error(error: Error, credentials: &Credentials, method: Method) -> Error {
    match error {
        Error::Refused(refusal) => Error::Login {
            user: credentials.user.clone(),
            mechanism: method.name(),
            code: refusal.code,
            words: refusal.text,
        },
        Error::Lost { cause, .. } => Error::LoginLost { cause },
        other => other,
    }
}

/// The words for a greeting that never came.
fn no_greeting(error: &LinkError, before: &str, security: Security) -> String {
    let mut why = match error {
        LinkError::Io(IoError::TimedOut { after }) => {
            format!("no greeting within {} s", after.as_secs_f32())
        }
        LinkError::Io(IoError::Closed) => "it closed the connection without a greeting".into(),
        other => other.to_string(),
    };
    if !before.is_empty() {
        why.push_str(&format!("; it sent: {before}"));
    } else if security != Security::Tls {
        why.push_str("; if this port wants TLS from the start, add --tls");
    }
    why
}

/// Which protocol a first line belongs to, if it is a well-known other one, or TLS.
fn other_protocol(line: &[u8]) -> Option<&'static str> {
    if line.starts_with(b"+OK") {
        Some("a POP3 server")
    } else if line.starts_with(b"220") || line.starts_with(b"554") {
        Some("an SMTP or FTP server")
    } else if line.starts_with(b"SSH-") {
        Some("an SSH server")
    } else if line.starts_with(b"HTTP/") {
        Some("a web server")
    } else if line.starts_with(b"\"IMPLEMENTATION\"") {
        Some("a ManageSieve server")
    } else if line.starts_with(&[0x15, 0x03]) {
        Some("a TLS server (add --tls)")
    } else {
        None
    }
}

/// CAPABILITY (RFC 3501 section 6.1.1); the session reads the response itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Capability;

impl Request for Capability {
    type Reply = ();
    fn verb(&self) -> &'static str {
        "CAPABILITY"
    }
    fn effect(&self) -> Effect {
        Effect::Read
    }
    fn write(&self, command: &mut Encoder<'_>) {
        command.atom("CAPABILITY");
    }
    fn take(&mut self, data: &Data<'_>, _: Fit) -> Result<bool, crate::wire::cursor::ParseError> {
        Ok(data.is("CAPABILITY"))
    }
    fn finish(self, _: &Status<'_>, state: &mut State) -> Result<(), Error> {
        if state.capabilities.is_none() {
            return Err(Error::Missing {
                verb: "CAPABILITY",
                missing: "CAPABILITY",
                advice: "it is not an IMAP server that can be worked with",
            });
        }
        Ok(())
    }
}

/// LOGIN (RFC 3501 section 6.2.3).
struct Login {
    credentials: Credentials,
}

impl Request for Login {
    type Reply = ();
    fn verb(&self) -> &'static str {
        "LOGIN"
    }
    fn effect(&self) -> Effect {
        Effect::Session
    }
    fn alone(&self) -> bool {
        true
    }
    fn write(&self, command: &mut Encoder<'_>) {
        command
            .atom("LOGIN")
            .space()
            .astring(self.credentials.user.as_bytes())
            .space();
        command.secret_astring(self.credentials.password.expose_secret().as_bytes());
    }
    fn finish(self, _: &Status<'_>, _: &mut State) -> Result<(), Error> {
        Ok(())
    }
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
    fn finish(self, _: &Status<'_>, _: &mut State) -> Result<(), Error> {
        Ok(())
    }
}
