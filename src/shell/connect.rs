//! Connecting: from what is said of a server to a session that is logged in.
//!
//! Lives here: the certificate that nobody vouches for, the secret and where it comes from, the tries at the prompt, another user on the
//! same connection. Not here: TLS and SASL themselves (the library), and who says what (`config`).

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use imapadm::auth::{
    Credentials, Method, Needs, Secret, SecretError, SecretKind, SecretSource, netrc,
};
use imapadm::net::{Certificate, Fingerprint, Interrupt, Known, Security, TlsError};
use imapadm::session::{State, Waiting, Watch};
use imapadm::wire::response::Condition;
use imapadm::{Error, ResponseCode, Session};
use secrecy::SecretString;

use super::ask::ask;
use super::{Shell, advice, trace};
use crate::config::table::Scope;
use crate::config::{Origin, Plan, Profile, Stack, local_user};
use crate::files::known::KnownServers;
use crate::report::complain;
use crate::report::escape::escape;

/// How often a password is asked for.
const TRIES: usize = 3;

/// How often at most it is told how far the server is.
const TELL_AGAIN: Duration = Duration::from_secs(2);

/// How long after Ctrl-C a wait for a secret ends.
const SLICE: Duration = Duration::from_millis(100);

impl Shell {
    /// What was said of the last connection.
    ///
    /// # Errors
    /// [`Error::Usage`] if there was none.
    pub fn last(&self) -> Result<Stack, Error> {
        let last = self.last.clone();
        let last = last.map(|stack| stack.with_secrets_for(self.recipient()));
        last.ok_or_else(|| {
            Error::Usage(
                "no server is given, and there was no earlier connection; write: connect SERVER"
                    .into(),
            )
        })
    }

    /// Connects, and logs in if that is wanted, in place of the session that there is.
    ///
    /// # Errors
    /// Whatever keeps it from being connected or logged in. A session that there was goes on then, but not in a script: what comes behind it
    /// was meant for another server.
    pub fn connect(&mut self, stack: Stack, login: bool) -> Result<&State, Error> {
        // The session that there is stays until the new one stands.
        if self.session.is_none() {
            self.last = Some(stack.clone());
        }
        let session = self.new_session(&stack, login, 0);
        self.become_session(session, stack)
    }

    /// A session of its own, logged in on if that is wanted, with an encryption of so many bits at least.
    fn new_session(&mut self, stack: &Stack, login: bool, bits: u32) -> Result<Session, Error> {
        let plan = stack.plan(&self.settings.interrupt)?;
        let mut session = self.open(&plan)?;
        check_strength(&session, bits)?;
        if session.state().is_authenticated() {
            if plan.user.is_some() || plan.authz.is_some() {
                complain(
                    "warning: the server claims you are already logged in (PREAUTH), so no login was sent; see your user name with session",
                );
            }
        } else if login {
            self.log_in(&mut session, &plan)?;
        }
        Ok(session)
    }

    /// Makes a session that is logged in the one that there is; in a script, none is left of one that failed.
    fn become_session(
        &mut self,
        session: Result<Session, Error>,
        stack: Stack,
    ) -> Result<&State, Error> {
        match session {
            Ok(session) => {
                warn_of_no_compression(&session);
                self.disconnect();
                self.last = Some(stack);
                Ok(self.session.insert(session).state())
            }
            Err(error) => {
                if !self.settings.interactive {
                    self.disconnect();
                }
                Err(error)
            }
        }
    }

    /// Logs in on the session that there is, or on a new one to the same server where that has to be; not with an encryption of less than
    /// so many bits.
    ///
    /// # Errors
    /// Nothing is connected, or whatever keeps it from being logged in. In a script, no session is left then.
    pub fn authenticate(&mut self, mut options: Profile, bits: u32) -> Result<&State, Error> {
        let authenticated = self.session()?.state().is_authenticated();
        let mut stack = self.last()?;
        let before = stack.user().or_else(local_user);
        stack.forget_identity();
        let user = options.user.clone().or(stack.user());
        if user.is_some() && user != before {
            // Neither whom another one acted as nor his secret is meant for this one.
            options.authz.get_or_insert_default();
            if self.settings.interactive && !options.says(Scope::Secret) {
                options.password = Some(SecretSource::Prompt);
            }
        }
        let anew = options.says_of_tls();
        stack.push(Origin::Connect, options);
        if anew || (authenticated && !self.leave()?) {
            let session = self.new_session(&stack, true, bits);
            return self.become_session(session, stack);
        }
        let plan = stack.plan(&self.settings.interrupt)?;
        let mut session = self.session.take().ok_or(Error::NotConnected)?;
        self.cache.clear();
        let result = check_strength(&session, bits).and_then(|()| self.log_in(&mut session, &plan));
        match result {
            Ok(()) => self.become_session(Ok(session), stack),
            Err(error) => {
                // Nobody is logged in on it, but somebody can be.
                if self.settings.interactive && session.is_open() {
                    self.session = Some(session);
                } else {
                    session.logout();
                }
                Err(error)
            }
        }
    }

    /// Encrypts the session that there is.
    ///
    /// # Errors
    /// As [`Session::start_tls`].
    pub fn start_tls(&mut self) -> Result<&State, Error> {
        let session = self.session.as_mut().ok_or(Error::NotConnected)?;
        session.start_tls()?;
        warn_unchecked(session);
        if let Some(last) = &mut self.last {
            // A connection that has to be made anew is to be encrypted too.
            let encrypted = Profile {
                security: Some(Security::StartTls),
                ..Profile::default()
            };
            last.push(Origin::Connect, encrypted);
        }
        self.session().map(|session| session.state())
    }

    /// Makes the session nobody's again, where the server can do that (RFC 8437).
    fn leave(&mut self) -> Result<bool, Error> {
        let session = self.session()?;
        if session.state().channel().compressed {
            return Ok(false);
        }
        match session.unauthenticate() {
            Ok(()) => Ok(true),
            Err(Error::Unsupported { .. } | Error::Refused(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Opens a session that nobody has logged in on.
    fn open(&self, plan: &Plan) -> Result<Session, Error> {
        let mut options = plan.options.clone();
        options.pipeline = self.settings.pipeline;
        let server = options.address.to_string();
        let name = options.address.host().to_owned();
        let tls = &options.tls;
        // Who says whom to trust does not want to be told of certificates that somebody once accepted.
        let by_default = tls.roots.are_public() && tls.pin.is_none();
        let checked = tls.verify && by_default && options.security != Security::None;
        // Without a home, as some services run, nothing is remembered.
        let known = KnownServers::of_user();
        if checked && let Ok(known) = &known {
            options.tls.known = known.lookup(&server)?;
        }
        let trace = self.settings.trace.as_deref();
        options.trace = trace.map(trace::open).transpose()?;
        let mut session = match Session::open(options.clone()) {
            Err(Error::Tls(
                ref error @ (TlsError::SelfSigned {
                    ref certificate, ..
                }
                | TlsError::OldVersion {
                    ref certificate, ..
                }
                | TlsError::UnknownIssuer {
                    ref certificate, ..
                }),
            )) if checked && self.settings.interactive => {
                let accepted = accept(&server, &name, error, certificate)?;
                match known {
                    Ok(known) => known.remember(&server, &accepted)?,
                    Err(error) => complain(&format!(
                        "the certificate is trusted for this connection only: {error}"
                    )),
                }
                options.tls.known = Some(accepted);
                Session::open(options)?
            }
            Err(Error::Tls(error @ TlsError::Changed { .. })) => {
                return Err(Error::Insecure {
                    why: match &known {
                        Ok(known) => format!(
                            "{error} ({}; known --forget {server} removes the old one)",
                            known.path().display()
                        ),
                        Err(_) => error.to_string(),
                    },
                    server,
                });
            }
            result => result?,
        };
        warn_unchecked(&session);
        session.set_watch(tell_of_waiting());
        Ok(session)
    }

    /// Logs in, with what is wanted in its order; a password that is asked for is asked for again when it was wrong.
    fn log_in(&mut self, session: &mut Session, plan: &Plan) -> Result<(), Error> {
        // From here on the secrets of the program's start are this server's and this user's.
        if self.recipient.is_none() {
            self.recipient.clone_from(&plan.recipient);
        }
        let token = matches!(plan.secret, Some((SecretKind::Token, _)));
        let methods = session.login_methods(&plan.auth, plan.authz.is_some(), token)?;
        let bare = |method: &Method| method.needs() == Needs::Nothing;
        let mut refused = None;
        for group in methods.chunk_by(|a, b| bare(a) == bare(b)) {
            if !session.is_open() {
                *session = self.open(plan)?;
            }
            let result = if group.first().is_some_and(bare) {
                let credentials = Credentials {
                    user: plan.user.clone().unwrap_or_default(),
                    authz: plan.authz.clone(),
                    secret: Secret::None,
                };
                session.login(&credentials, group)
            } else {
                self.log_in_with_secret(session, plan, group)
            };
            match result {
                // What one way did not do, the next one may.
                Err(error @ Error::Login { .. }) => refused = Some(error),
                result => return result,
            }
        }
        refused.map_or(Ok(()), Err)
    }

    fn log_in_with_secret(
        &mut self,
        session: &mut Session,
        plan: &Plan,
        methods: &[Method],
    ) -> Result<(), Error> {
        let name = plan.options.address.host();
        let mut user = plan.user.clone();
        let (kind, source) = match plan.secret.clone() {
            Some(secret) => secret,
            None => match in_netrc(name, user.as_deref()) {
                Some((login, password)) => {
                    user = user.or(login);
                    (SecretKind::Password, SecretSource::Given(password))
                }
                None => (SecretKind::Password, SecretSource::Prompt),
            },
        };
        if matches!(source, SecretSource::Prompt)
            && let Some(withheld) = &plan.withheld
        {
            complain(withheld);
        }
        let user = user
            .or_else(local_user)
            .ok_or_else(|| Error::Usage("no user is given; use --user".into()))?;
        let prompt = format!("Password for {}: ", escape(&format!("{user}@{name}")));
        let mut tries = match source {
            SecretSource::Prompt => TRIES,
            _ => 1,
        };
        loop {
            tries -= 1;
            let secret = match fetch(&source, kind, &prompt, &self.settings.interrupt) {
                // A key pressed too early.
                Err(error @ Error::Password(SecretError::Empty { .. })) if tries > 0 => {
                    complain(&advice::message(&error));
                    continue;
                }
                result => result?,
            };
            self.password = Some(secret.clone());
            let credentials = Credentials {
                user: user.clone(),
                authz: plan.authz.clone(),
                secret: match kind {
                    SecretKind::Password => Secret::Password(secret),
                    SecretKind::Token => Secret::Token(secret),
                },
            };
            match session.login(&credentials, methods) {
                Ok(()) => return Ok(()),
                Err(error) if tries > 0 && may_be_mistyped(&error) => {
                    complain(&advice::message(&error))
                }
                Err(error) => return Err(error),
            }
            if !session.is_open() {
                *session = self.open(plan)?;
            }
        }
    }
}

/// Fetches a secret, unless the user puts an end to the wait for it.
fn fetch(
    source: &SecretSource,
    kind: SecretKind,
    prompt: &str,
    interrupt: &Interrupt,
) -> Result<SecretString, Error> {
    // At the prompt Ctrl-C is a key like others.
    if matches!(source, SecretSource::Prompt | SecretSource::Given(_)) {
        return Ok(source.fetch(kind, prompt)?);
    }
    let (sender, receiver) = mpsc::sync_channel(1);
    let source = source.clone();
    let started = thread::Builder::new().name("secret".into()).spawn(move || {
        // Whoever waited may have given up; a pipe that nobody writes to is then left to the end of the program.
        let _ = sender.send(source.fetch(kind, ""));
    });
    started.map_err(|error| Error::Usage(format!("cannot start a thread: {error}")))?;
    loop {
        match receiver.recv_timeout(SLICE) {
            // A command gets the Ctrl-C too, and fails of it.
            Ok(Err(_)) if interrupt.raised() => return Err(SecretError::Interrupted.into()),
            Ok(secret) => return Ok(secret?),
            Err(RecvTimeoutError::Timeout) if !interrupt.raised() => {}
            Err(_) => return Err(SecretError::Interrupted.into()),
        }
    }
}

/// That the encryption has so many bits at least.
fn check_strength(session: &Session, bits: u32) -> Result<(), Error> {
    let have = session
        .state()
        .channel()
        .tls
        .as_ref()
        .map_or(0, |tls| tls.bits);
    if have < bits {
        return Err(Error::Usage(format!(
            "the connection has {have} bits of encryption, but --minssf requires {bits}; connect with --tls, or lower --minssf"
        )));
    }
    Ok(())
}

/// Says why an answer takes long: how far the server is, to people at a terminal; that it is silent, to everybody.
fn tell_of_waiting() -> Watch {
    let for_people = io::stderr().is_terminal();
    let mut told: Option<Instant> = None;
    let mut silent: Option<&'static str> = None;
    Box::new(move |waiting| {
        let Waiting { verb, .. } = *waiting;
        if let Some(time) = waiting.silent {
            // Once is enough in a log.
            if for_people || silent != Some(verb) {
                silent = Some(verb);
                complain(&format!(
                    "no answer to {verb} for {} s; waiting as long as the connection lasts (press Ctrl-C to stop)",
                    time.as_secs()
                ));
            }
            return;
        }
        if !for_people || told.is_some_and(|before| before.elapsed() < TELL_AGAIN) {
            return;
        }
        told = Some(Instant::now());
        complain(&match (waiting.done, waiting.goal) {
            (Some(done), Some(goal)) => format!("{verb}: {done} of {goal}"),
            (Some(done), None) => format!("{verb}: {done}"),
            _ => format!("{verb}: the server is still working"),
        });
    })
}

/// Says so where anybody could be at the other end.
fn warn_unchecked(session: &Session) {
    let options = session.options();
    let unchecked = !options.tls.verify && options.tls.pin.is_none();
    if unchecked && session.state().channel().tls.is_some() {
        complain(&format!(
            "warning: the certificate of {} was not checked (--no-verify): another server could be answering in its place",
            options.address.host()
        ));
    }
}

/// That the session goes on without what was asked for.
fn warn_of_no_compression(session: &Session) {
    if let Some(why) = session.state().uncompressed() {
        complain(&format!("warning: --compress had no effect: {why}"));
    }
}

/// Whether another password could help.
fn may_be_mistyped(error: &Error) -> bool {
    matches!(error, Error::Login { refusal, .. }
        if refusal.condition == Condition::No
            && matches!(refusal.code, None | Some(ResponseCode::AuthenticationFailed)))
}

/// What the user's netrc file says of the server. One that can't be used is passed over, aloud: nobody named it.
fn in_netrc(host: &str, user: Option<&str>) -> Option<(Option<String>, SecretString)> {
    let file = dirs::home_dir()?.join(".netrc");
    netrc(&file, host, user).unwrap_or_else(|error| {
        complain(&format!("warning: {error}"));
        None
    })
}

/// Shows what the server is known by, and asks what of it is to be trusted from now on.
fn accept(
    server: &str,
    host: &str,
    error: &TlsError,
    certificate: &Certificate,
) -> Result<Known, Error> {
    show(host, error, certificate);
    let authority = match error {
        TlsError::UnknownIssuer { authority, .. } => authority.as_ref(),
        _ => None,
    };
    let answer = match authority {
        None => ask(
            &format!("Trust this certificate for {server} from now on? (yes/no) "),
            &["yes"],
        )?,
        Some(authority) => {
            show_authority(authority.certificate());
            print(&format!(
                "You can trust, for {server}, from now on:\n  \
                 yes        this certificate alone\n  \
                 authority  every certificate of this authority, so also a renewed one\n  \
                 no         neither: do not connect\n"
            ));
            ask("Trust it? (yes/authority/no) ", &["yes", "authority"])?
        }
    };
    match (answer, authority) {
        (Some(0), _) => Ok(Known::Certificate(certificate.fingerprint)),
        (Some(_), Some(authority)) => Ok(Known::Authority(authority.clone())),
        _ => Err(Error::Insecure {
            server: server.to_owned(),
            why: "its certificate is not trusted; get the certificate from a source you trust, and give it with --cafile or --pin"
                .into(),
        }),
    }
}

/// Shows the authority that signed what was shown before.
fn show_authority(authority: &Certificate) {
    let text = format!(
        "The server also sent the certificate of the authority that signed it:\n  \
         authority    {}\n  valid        {} to {}\n  fingerprint\n{}",
        authority.subject,
        authority.not_before,
        authority.not_after,
        both(authority.fingerprint),
    );
    print(&text);
}

/// Prints text that may hold names from a server.
fn print(text: &str) {
    for line in text.lines() {
        // Nobody may be listening any more; the question then gets no answer.
        let _ = writeln!(io::stderr(), "{}", escape(line));
    }
}

/// A fingerprint in both forms that are in use, in lines that a terminal of 80 columns does not break.
fn both(fingerprint: Fingerprint) -> String {
    let colons = format!("{fingerprint:#}");
    let (first, second) = colons.split_at(colons.len() / 2 + 1);
    format!("    {fingerprint}\n    {first}\n    {second}\n")
}

/// Shows a certificate that nobody vouches for, to somebody who is to judge it.
fn show(host: &str, error: &TlsError, certificate: &Certificate) {
    let why = match error {
        TlsError::SelfSigned { .. } => "is self-signed",
        TlsError::OldVersion { .. } => {
            "is an old version (X.509 version 1 or 2) without host names"
        }
        _ => "is signed by an unknown authority",
    };
    let text = format!(
        "The certificate of {host} {why},\nso its identity cannot be verified:\n  \
         subject      {}\n  issuer       {}\n  names        {}\n  valid        {} to {}\n  fingerprint\n{}\
         Compare the fingerprint with the one that the server's administrator tells you,\nor look at it on the server:\n  \
         openssl x509 -in CERTIFICATE -noout -fingerprint -sha256\n",
        certificate.subject,
        certificate.issuer,
        certificate.names.join(", "),
        certificate.not_before,
        certificate.not_after,
        both(certificate.fingerprint),
    );
    print(&text);
}
