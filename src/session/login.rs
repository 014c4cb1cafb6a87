//! From nothing to a session: the connection, the greeting, STARTTLS, capabilities, the login; and its end.
//!
//! Lives here: opening and logging in, and the requests that only those need. Not here: the mechanisms themselves
//! (`auth`), nor TLS (`net`).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use zeroize::Zeroizing;

use crate::account::Outcome;
use crate::auth::{
    self, AuthError, Circumstances, Credentials, Mechanism, Method, Offer, Secret, SecretBytes,
    Surroundings,
};
use crate::error::{Error, referred_host, sentence};
use crate::net::{Address, IoError, Security, Stream, Timeouts, TlsError};
use crate::wire::encode::Encoder;
use crate::wire::response::{self, Condition, Data, Response, Status, Untagged, words};

use super::link::{Link, LinkError, LoginTime, Trace};
use super::pipeline::Pipeline;
use super::request::{Bare, Effect, Fit, Request};
use super::state::{Capabilities, Extension, Notice, State, sample};
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
        let start = Instant::now();
        let mut stream = Stream::connect(&options.address, &options.timeouts, &options.interrupt)?;
        if options.security == Security::Tls {
            let limit = options.timeouts.connect;
            stream = stream.start_tls(
                options.address.host(),
                &options.tls,
                &Timeouts {
                    connect: limit.saturating_sub(start.elapsed()),
                    ..options.timeouts
                },
                &options.interrupt,
            )?;
        }
        let state = State::new(
            options.address.to_string(),
            stream.info(),
            options.separator,
        );
        let mut session = Self {
            link: Link::new(stream, trace, options.timeouts.read),
            asked_id: None,
            watch: None,
            time_to_login: options.timeouts.connect.saturating_sub(start.elapsed()),
            pipeline: Pipeline::default(),
            state,
            options,
            // Never grown while a secret is in it, or a copy of that would stay behind.
            out: Vec::with_capacity(2 * WINDOW),
            held_back: 0,
            after_refusal: false,
            over: None,
            broken_tls: None,
            number: SESSIONS.fetch_add(1, Ordering::Relaxed),
        };
        session.in_time_to_login(Self::begin)?;
        Ok(session)
    }

    /// From the greeting to a connection on which somebody can log in.
    fn begin(&mut self) -> Result<(), Error> {
        self.greet()?;
        let wants_tls = self.options.security == Security::StartTls;
        let in_clear = !self.state.channel.private && !self.options.allow_cleartext;
        if self.state.authenticated && (wants_tls || in_clear) {
            // Whoever stands in between could greet so, and then answer for the server (RFC 9051 section 7.1.4).
            return Err(self.insecure(
                "it takes the login for done (PREAUTH) before anything is encrypted, and anybody on the way could say so; use --tls, or --notls \
                 (and --allow-cleartext over a network) if you know the way",
            ));
        }
        if wants_tls {
            self.start_tls()?;
        }
        if self.state.authenticated {
            self.compress_if_wanted()?;
        }
        Ok(())
    }

    /// Does a part of the way to the login in what is left of its time.
    fn in_time_to_login<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let start = Instant::now();
        let until = start.checked_add(self.time_to_login);
        // A part of such a part has no time of its own.
        let Some(until) = until.filter(|_| self.link.login.is_none()) else {
            return work(self);
        };
        self.link.login = Some(LoginTime {
            until,
            after: self.options.timeouts.connect,
        });
        let result = work(self);
        self.link.login = None;
        self.time_to_login = self.time_to_login.saturating_sub(start.elapsed());
        // In TLS 1.3 a refused client certificate shows only with the first answer, or before the first command.
        result.map_err(|error| self.broken_tls.take().map_or(error, Error::Tls))
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
                        outcome: Outcome::NotSent,
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
                match status.condition {
                    Condition::Bye => {
                        let (code, arguments) = code_of(&status);
                        return Err(Error::TurnedAway {
                            server,
                            code,
                            arguments,
                            text: status.said(),
                        });
                    }
                    Condition::Ok | Condition::PreAuth => {
                        super::learn(&mut self.state, &status);
                        self.state.authenticated = status.condition == Condition::PreAuth;
                        self.state.greeting = words(status.text).into_owned();
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

    /// STARTTLS (RFC 3501 section 6.2.1): encrypts a connection that is in cleartext, before anybody has logged in.
    ///
    /// # Errors
    /// [`Error::Insecure`] for a server that does not offer it, refuses it, or sends more in cleartext behind its OK; [`Error::Tls`] for
    /// a handshake that fails. [`Error::Usage`] where there is TLS already, and after the login.
    pub fn start_tls(&mut self) -> Result<(), Error> {
        if self.state.channel.tls.is_some() {
            return Err(Error::Usage("the connection is encrypted already".into()));
        }
        if self.state.authenticated {
            return Err(Error::Usage(
                "STARTTLS comes before the login; connect anew, without --notls".into(),
            ));
        }
        if !self.first_capabilities()?.has("STARTTLS") {
            return Err(self.insecure(
                "it does not offer STARTTLS, or somebody on the way has taken the offer away; use --tls if it has a port for that (mostly 993), or \
                 --notls if nobody can listen on the way",
            ));
        }
        match self.run(Bare("STARTTLS")) {
            Err(Error::Refused(refusal)) => {
                let why = sentence(
                    &format!("it offers STARTTLS but refuses it: {}", refusal.said()),
                    "try --tls, or ask whoever runs it",
                );
                return Err(self.insecure(&why));
            }
            result => result?,
        }
        if !self.link.framer.pending().is_empty() {
            // Whoever stands in between could have put it there, to be taken for the server's words inside of TLS.
            self.give_up("it was tampered with");
            return Err(self.insecure(
                "more came in cleartext behind its OK to STARTTLS, as from somebody who tampers with the connection; find out who stands in between",
            ));
        }
        let options = &self.options;
        let limit = options.timeouts.connect;
        let started = self.link.start_tls(
            options.address.host(),
            &options.tls,
            &Timeouts {
                connect: self.link.login.map_or(limit, |login| {
                    login.until.saturating_duration_since(Instant::now())
                }),
                ..options.timeouts
            },
            &options.interrupt,
        );
        if let Err(error) = started {
            self.give_up("there is no TLS on it");
            if let TlsError::Plaintext { said, .. } = &error {
                return Err(self.insecure(&format!(
                    "it said OK to STARTTLS and then went on in cleartext{}: its TLS does not work, or somebody on the way answers for it; ask \
                     whoever runs it, or use --tls if it has a port for that (mostly 993)",
                    if said.is_empty() { String::new() } else { format!(" ({said:?})") }
                )));
            }
            return Err(error.into());
        }
        self.state.forget_cleartext();
        if let Some(stream) = self.link.stream() {
            self.state.channel = stream.info();
        }
        // In TLS 1.3 a refused client certificate shows only with the first answer.
        match self.first_capabilities() {
            Ok(_) => Ok(()),
            Err(error) => Err(self.broken_tls.take().map_or(error, Error::Tls)),
        }
    }

    /// The connection can't be trusted any more: nothing is said on it.
    fn give_up(&mut self, why: &str) {
        self.link.close();
        self.over.get_or_insert_with(|| why.to_owned());
    }

    /// The capabilities before the login; a server that won't tell them can't be worked with.
    fn first_capabilities(&mut self) -> Result<&Capabilities, Error> {
        match self.known_capabilities() {
            Err(Error::Refused(refusal)) => {
                let why = format!("it does not tell its capabilities: {}", refusal.said());
                Err(Error::NotImap {
                    server: self.state.server.clone(),
                    why,
                })
            }
            Err(Error::Lost { cause, .. }) => Err(Error::LoginLost { cause }),
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

    /// The ways to log in that would be tried, strongest first or in the order of `wanted`; so that a caller knows what
    /// secret is needed before it asks anybody for it. An empty `wanted` means any.
    ///
    /// `authz` is whether to act as another user, `token` whether a token is at hand and not a password.
    ///
    /// # Errors
    /// [`Error::Auth`] when there is none; the server won't tell its capabilities, or the connection was lost.
    pub fn login_methods(
        &mut self,
        wanted: &[Method],
        authz: bool,
        token: bool,
    ) -> Result<Vec<Method>, Error> {
        self.in_time_to_login(|session| session.usable_methods(wanted, authz, token))
    }

    /// Whether it is Cyrus, asking the server where the login may depend on that.
    fn is_cyrus_for_sure(&mut self) -> Result<bool, Error> {
        let (mechanisms, login_disabled) = self.offered()?;
        let offer = Offer {
            mechanisms: &mechanisms,
            login_disabled,
        };
        Ok(if offer.has_binding() {
            self.is_cyrus()
        } else {
            self.state.is_cyrus()
        })
    }

    fn usable_methods(
        &mut self,
        wanted: &[Method],
        authz: bool,
        token: bool,
    ) -> Result<Vec<Method>, Error> {
        // Cyrus 3.6 offers the -PLUS forms and knows only the channel binding of TLS before 1.3, which it says in the third message: it counts
        // that as a failed login and makes everybody wait for three seconds. There, they have to be asked for by name.
        let channel = &self.state.channel;
        let shows_certificate = channel.tls.is_some() && self.options.tls.cert.is_some();
        let circumstances = Circumstances {
            private: channel.private || self.options.allow_cleartext,
            identified: shows_certificate || matches!(self.options.address, Address::Unix(_)),
            binding: self
                .link
                .stream()
                .is_some_and(|stream| stream.tls_exporter().is_some())
                && (!self.is_cyrus_for_sure()?
                    || wanted
                        .iter()
                        .any(|method| method.without_binding().is_some())),
            authz,
            token,
        };
        let (mechanisms, login_disabled) = self.offered()?;
        let offer = Offer {
            mechanisms: &mechanisms,
            login_disabled,
        };
        Ok(auth::choose(offer, wanted, circumstances)?)
    }

    /// Logs in with the first of the [`login_methods`](Self::login_methods) that the credentials' secret fits.
    ///
    /// Another one of them follows where the server refused the mechanism and not the password, which is then tried only once: the same
    /// hash without -PLUS, where the server has not got our channel binding (RFC 9266); the next one that the secret fits after a BAD,
    /// and after a NO that came before anything of the secret was sent, as from a server that offers SCRAM but holds this user's password
    /// in another way; and so after EXTERNAL, where nobody asked for it by name. What was tried in vain stands in a [notice](super::Notice).
    ///
    /// A code that speaks of the user or the server (RFC 5530: EXPIRED, UNAVAILABLE and so on) ends it at once.
    ///
    /// A secret goes over the network in cleartext only with [`Options::allow_cleartext`].
    ///
    /// # Errors
    /// No usable method, or the server's refusal. After [`AuthError::Unproven`] the session is over.
    pub fn login(&mut self, credentials: &Credentials, wanted: &[Method]) -> Result<(), Error> {
        let result = self.in_time_to_login(|session| session.log_in(credentials, wanted));
        self.time_to_login = self.options.timeouts.connect;
        result
    }

    fn log_in(&mut self, credentials: &Credentials, wanted: &[Method]) -> Result<(), Error> {
        let token = matches!(credentials.secret, Secret::Token(_));
        let methods = self.login_methods(wanted, credentials.authz.is_some(), token)?;
        let fits = |method: &Method| method.needs().fits(&credentials.secret);
        let mut method = match methods.iter().copied().find(fits) {
            Some(method) => method,
            None => {
                let method = methods.first().copied().unwrap_or(Method::Plain);
                auth::check(method, credentials)?;
                method
            }
        };
        let mut in_vain: Vec<String> = Vec::new();
        loop {
            let failure = match self.try_method(method, credentials) {
                Ok(()) => break,
                Err(failure) => failure,
            };
            let other = if failure.is_binding_refused {
                method.without_binding()
            } else if failure.is_of_mechanism
                && !(method == Method::External && wanted.contains(&method))
            {
                let behind: Vec<Method> = methods
                    .iter()
                    .copied()
                    .skip_while(|other| *other != method)
                    .skip(1)
                    .filter(fits)
                    .collect();
                // A password that is not held so as one proof needs it is hardly held so as another does, and each try counts as a
                // failed login: what works with a password held in any way is next.
                let alike = |other: &&Method| method.is_proof() && other.is_proof();
                let different = behind.iter().find(|other| !alike(other));
                different.or(behind.first()).copied()
            } else {
                None
            };
            match other {
                Some(other) if methods.contains(&other) && self.is_open() => {
                    if let Error::Login { refusal, .. } = &failure.error
                        && !failure.is_binding_refused
                        && method != Method::External
                    {
                        in_vain.push(format!("{} ({})", method.name(), refusal.said()));
                    }
                    method = other;
                }
                _ => return Err(failure.error),
            }
        }
        if !in_vain.is_empty() {
            self.state.notice(Notice::warning(format!(
                "the server offers but refused {}, so the login was done with {}; to begin with that, give --auth {}",
                in_vain.join(" and "),
                method.name(),
                method.name().trim_end_matches(" command"),
            )));
        }
        self.compress_if_wanted()
    }

    /// Logs in with this method and no other.
    fn try_method(
        &mut self,
        method: Method,
        credentials: &Credentials,
    ) -> Result<(), LoginFailure> {
        auth::check(method, credentials).map_err(Error::from)?;
        self.link.secrets.add(credentials.secret.expose());
        let surroundings = self.surroundings()?;
        let before = self.state.capabilities.clone();
        self.state.capabilities = None;
        let mut mechanism = auth::mechanism(method, credentials, &surroundings);
        let result = match &mut mechanism {
            Some(mechanism) => {
                let initial_response = before.as_ref().is_some_and(|have| have.has("SASL-IR"));
                self.link.in_scram = method.is_scram();
                let result = self.authenticate(&mut **mechanism, initial_response);
                self.link.in_scram = false;
                result
            }
            None => self.run(Login {
                credentials: credentials.clone(),
            }),
        };
        match result {
            Ok(()) => {
                if let Some(warning) = mechanism.as_deref().and_then(Mechanism::warning) {
                    self.state.notice(Notice::warning(warning));
                }
                self.state.authenticated = true;
                self.state.user = user_after(method, credentials);
                self.state.mechanism = Some(method.name());
                Ok(())
            }
            Err(error) => {
                self.state.capabilities = before;
                Err(LoginFailure::new(
                    error,
                    credentials,
                    method,
                    mechanism.as_deref(),
                ))
            }
        }
    }

    /// The server's mechanisms, and whether it forbids the LOGIN command.
    fn offered(&mut self) -> Result<(Vec<String>, bool), Error> {
        let capabilities = self.first_capabilities()?;
        let mechanisms = capabilities.values("AUTH").map(str::to_owned).collect();
        Ok((mechanisms, capabilities.has("LOGINDISABLED")))
    }

    /// What a mechanism may need to know of the connection.
    fn surroundings(&mut self) -> Result<Surroundings, Error> {
        let (host, port) = match &self.options.address {
            Address::Tcp { host, port } => (host.clone(), Some(*port)),
            Address::Unix(_) => ("localhost".to_owned(), None),
        };
        let exporter = self.link.stream().and_then(Stream::tls_exporter);
        let (mechanisms, login_disabled) = self.offered()?;
        let offer = Offer {
            mechanisms: &mechanisms,
            login_disabled,
        };
        Ok(Surroundings {
            host,
            port,
            exporter,
            private: self.state.channel.private,
            binding_offered: offer.has_binding(),
        })
    }

    /// Runs AUTHENTICATE (RFC 3501 section 6.2.2, RFC 4959).
    fn authenticate(
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
                        outcome: Outcome::NotSent,
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
                Err(AuthError::BadChallenge {
                    mechanism: mechanism.name(),
                    why: "it asks without end".into(),
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
                Err(_) => return Err(self.fail(&IoError::Closed.into())),
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
            self.over = Some("it was closed, as the server is not to be trusted".into());
            self.link.close();
        }
        Err(error.into())
    }

    /// Compresses both directions from now on (COMPRESS=DEFLATE, RFC 4978), to the connection's end. After [`Options::compress`] this does
    /// nothing more.
    ///
    /// # Errors
    /// The server lacks it or refuses it, and the session goes on as it was; or the connection was lost.
    pub fn compress(&mut self) -> Result<(), Error> {
        if self.state.channel.compressed {
            return Ok(());
        }
        if self.state.capabilities().has("XIMAPPROXY") {
            // It passes the server's capabilities on, COMPRESS among them, and what is compressed then means nothing to it.
            return Err(Error::Usage(
                "imapproxy stands in between (XIMAPPROXY) and can't pass on what is compressed; connect to the server itself for that"
                    .into(),
            ));
        }
        self.run(Compress)?;
        self.link.start_deflate();
        if let Some(stream) = self.link.stream() {
            self.state.channel = stream.info();
        }
        Ok(())
    }

    /// What [`Options::compress`] asks for; a server that can't do it is no reason to do without the session.
    fn compress_if_wanted(&mut self) -> Result<(), Error> {
        self.state.uncompressed = None;
        if !self.options.compress {
            return Ok(());
        }
        match self.compress() {
            Err(error @ (Error::Unsupported { .. } | Error::Refused(_) | Error::Usage(_))) => {
                self.state.uncompressed = Some(error.to_string());
                Ok(())
            }
            result => result,
        }
    }

    /// Makes the session nobody's again; somebody else can then log in on the same connection (UNAUTHENTICATE, RFC 8437).
    ///
    /// # Errors
    /// The server lacks it, or refuses; the session is then as it was. [`Error::Usage`] on a compressed connection: Cyrus 3.6 takes what
    /// follows for uncompressed, and another server may not.
    pub fn unauthenticate(&mut self) -> Result<(), Error> {
        if self.state.channel.compressed {
            return Err(Error::Usage(
                "the connection is compressed, and whether it stays so after UNAUTHENTICATE differs between servers; connect anew instead"
                    .into(),
            ));
        }
        self.run(Unauthenticate)
    }

    /// LOGOUT, to its answer. Some servers send no more than their BYE, so nothing is waited for behind that.
    fn say_goodbye(&mut self) -> Result<(), Error> {
        let ticket = self.submit(Bare("LOGOUT"))?;
        self.flush()?;
        while !self.pipeline.is_done(ticket.id) && self.state.bye.is_none() {
            self.pump(None)?;
        }
        while self.is_open() && !self.pipeline.is_empty() {
            match self.link.try_receive() {
                Ok(Some(frame)) => drop(self.deal(frame, &mut None)),
                _ => break,
            }
        }
        Ok(())
    }

    /// Ends the session politely: LOGOUT, and its answer if it comes (RFC 3501 section 6.1.3).
    pub fn logout(&mut self) {
        if self.is_open() {
            // The answer does not matter: the session ends either way.
            let _ = self.within(FAREWELL, Self::say_goodbye);
            self.over.get_or_insert_with(|| "logged out".into());
            self.link.close();
        }
    }
}

/// The response code of a status and what stands behind it.
fn code_of(status: &Status<'_>) -> (Option<String>, String) {
    match &status.code {
        Some(code) => (
            Some(words(&code.name.to_ascii_uppercase()).into_owned()),
            words(code.arguments).into_owned(),
        ),
        None => (None, String::new()),
    }
}

/// Base64 that is wiped when dropped.
fn encode(secret: &SecretBytes) -> Zeroizing<String> {
    Zeroizing::new(BASE64.encode(secret.expose()))
}

/// Who is logged in then, as far as it is known here: EXTERNAL and GSSAPI leave it to the server.
fn user_after(method: Method, credentials: &Credentials) -> Option<String> {
    let own = match method {
        Method::External => Some(credentials.user.clone()).filter(|user| !user.is_empty()),
        #[cfg(feature = "gssapi")]
        Method::Gssapi => None,
        Method::Anonymous => Some("anonymous".to_owned()),
        _ => Some(credentials.user.clone()),
    };
    credentials.authz.clone().or(own)
}

/// A login with one method that has failed.
struct LoginFailure {
    error: Error,
    /// Whether it refused the mechanism, as far as can be told, and another one may do.
    is_of_mechanism: bool,
    /// Whether it said so because of the channel binding.
    is_binding_refused: bool,
}

impl LoginFailure {
    fn new(
        error: Error,
        credentials: &Credentials,
        method: Method,
        mechanism: Option<&dyn Mechanism>,
    ) -> Self {
        let mut refusal = match error {
            Error::Refused(refusal) => refusal,
            Error::Lost { cause, .. } => return Error::LoginLost { cause }.into(),
            other => return other.into(),
        };
        let code = refusal.code.as_deref();
        let is_binding_refused =
            mechanism.is_some_and(|mechanism| mechanism.is_binding_refused(code, &refusal.text));
        let shown = mechanism.is_none_or(Mechanism::has_shown_secret);
        let is_of_mechanism = (refusal.condition == Condition::Bad || !shown)
            && code.is_none_or(|code| code == "AUTHENTICATIONFAILED" || code == "CANNOT");
        if let Some(complaint) = mechanism.and_then(Mechanism::complaint) {
            refusal.text.push_str(&format!(" ({complaint})"));
        }
        if let Some(plain) = method.without_binding().filter(|_| is_binding_refused) {
            let name = plain.name();
            refusal.text.push_str(&format!(
                " (as it seems, it lacks the channel binding tls-exporter, without which there is {name})"
            ));
        }
        LoginFailure {
            error: Error::Login {
                user: credentials.user.clone(),
                mechanism: method.name(),
                refusal,
            },
            is_of_mechanism,
            is_binding_refused,
        }
    }
}

impl From<Error> for LoginFailure {
    fn from(error: Error) -> Self {
        LoginFailure {
            error,
            is_of_mechanism: false,
            is_binding_refused: false,
        }
    }
}

/// The words for a greeting that never came.
fn no_greeting(error: &LinkError, before: &str, security: Security) -> String {
    let mut why = match error {
        LinkError::Io(IoError::TimedOut { after }) | LinkError::Late { after } => {
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
    fn take(
        &mut self,
        data: &Data<'_>,
        _: Fit<'_>,
    ) -> Result<bool, crate::wire::cursor::ParseError> {
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

/// ID (RFC 2971), for the server's name alone, and without saying ours: what the session has to know of it.
pub(super) struct AskWhich;

impl Request for AskWhich {
    type Reply = ();
    fn verb(&self) -> &'static str {
        "ID"
    }
    fn effect(&self) -> Effect {
        Effect::Session
    }
    fn write(&self, command: &mut Encoder<'_>) {
        command.atom("ID").space().atom("NIL");
    }
    fn take(&mut self, data: &Data<'_>, _: Fit) -> Result<bool, crate::wire::cursor::ParseError> {
        // The state reads it, whoever asked.
        Ok(data.is("ID"))
    }
    fn finish(self, _: &Status<'_>, _: &mut State) -> Result<(), Error> {
        Ok(())
    }
}

/// UNAUTHENTICATE (RFC 8437 section 4).
struct Unauthenticate;

impl Request for Unauthenticate {
    type Reply = ();
    fn verb(&self) -> &'static str {
        "UNAUTHENTICATE"
    }
    fn effect(&self) -> Effect {
        Effect::Session
    }
    fn extension(&self) -> Option<Extension> {
        Some(Extension {
            name: "UNAUTHENTICATE",
            implied_by: &[],
            rfc: "RFC 8437",
        })
    }
    fn alone(&self) -> bool {
        true
    }
    fn write(&self, command: &mut Encoder<'_>) {
        command.atom("UNAUTHENTICATE");
    }
    fn finish(self, status: &Status<'_>, state: &mut State) -> Result<(), Error> {
        state.forget_user();
        // Its OK may tell what is offered now (RFC 8437 section 4).
        super::learn(state, status);
        Ok(())
    }
}

/// COMPRESS (RFC 4978 section 3).
struct Compress;

impl Request for Compress {
    type Reply = ();
    fn verb(&self) -> &'static str {
        "COMPRESS"
    }
    fn effect(&self) -> Effect {
        Effect::Session
    }
    fn extension(&self) -> Option<Extension> {
        Some(Extension {
            name: "COMPRESS=DEFLATE",
            implied_by: &[],
            rfc: "RFC 4978",
        })
    }
    fn alone(&self) -> bool {
        // The bytes behind it are of another kind.
        true
    }
    fn write(&self, command: &mut Encoder<'_>) {
        command.atom("COMPRESS").space().atom("DEFLATE");
    }
    fn finish(self, _: &Status<'_>, _: &mut State) -> Result<(), Error> {
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
        command.secret_astring(self.credentials.secret.expose().as_bytes());
    }
    fn finish(self, status: &Status<'_>, state: &mut State) -> Result<(), Error> {
        heed_referral(status, state);
        Ok(())
    }
}

/// A login that succeeded on another server than the user's own (RFC 2221 section 4.1).
fn heed_referral(status: &Status<'_>, state: &mut State) {
    if let (Some(code), arguments) = code_of(status)
        && code == "REFERRAL"
    {
        let host = referred_host(&code, &arguments).unwrap_or(arguments);
        state.notice(Notice::warning(format!(
            "the login was done, but the server says that {host} serves this user better; connect to that one"
        )));
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
    fn finish(self, status: &Status<'_>, state: &mut State) -> Result<(), Error> {
        heed_referral(status, state);
        Ok(())
    }
}
