//! Connecting: from what is said of a server to a session that is logged in.
//!
//! Lives here: the certificate that nobody vouches for, the secret and where it comes from, the tries at the prompt, another user on the
//! same connection. Not here: TLS and SASL themselves (the library), and who says what (`config`).

use std::io::{self, Write as _};

use imapadm::auth::{Credentials, Kind, Method, Needs, Secret, SecretSource, netrc};
use imapadm::net::{Certificate, TlsError};
use imapadm::session::State;
use imapadm::{Error, Session};
use secrecy::SecretString;

use super::ask::ask;
use super::{Shell, host, trace};
use crate::config::{Origin, Plan, Profile, Stack};
use crate::known::KnownServers;
use crate::report::complain;
use crate::report::escape::escape;

/// How often a password is asked for.
const TRIES: usize = 3;

impl Shell {
    /// What was said of the last connection.
    ///
    /// # Errors
    /// [`Error::Usage`] if there was none.
    pub fn last(&self) -> Result<Stack, Error> {
        self.last.clone().ok_or_else(|| {
            Error::Usage(
                "no server is named and none was connected to before; name one: connect SERVER"
                    .into(),
            )
        })
    }

    /// Connects and logs in, in place of the session that there is.
    ///
    /// # Errors
    /// Whatever keeps it from being connected or logged in; a session that there was goes on then.
    pub fn connect(&mut self, stack: Stack) -> Result<&State, Error> {
        self.replace(stack, true)
    }

    /// Connects without logging in.
    ///
    /// # Errors
    /// Whatever keeps it from being connected.
    pub fn connect_only(&mut self, stack: Stack) -> Result<&State, Error> {
        self.replace(stack, false)
    }

    fn replace(&mut self, stack: Stack, login: bool) -> Result<&State, Error> {
        // The session that there is stays until the new one stands.
        if self.session.is_none() {
            self.last = Some(stack.clone());
        }
        let plan = stack.plan(&self.settings.interrupt)?;
        let mut session = self.open(&plan)?;
        if login && !session.state().is_authenticated() {
            session = self.log_in(session, &plan)?;
        }
        warn_of_no_compression(&session);
        self.disconnect();
        self.last = Some(stack);
        Ok(self.session.insert(session).state())
    }

    /// Logs in on the session that there is, or on a new one to the same server where that has to be.
    ///
    /// # Errors
    /// Nothing is connected, or whatever keeps it from being logged in.
    pub fn authenticate(&mut self, options: Profile) -> Result<&State, Error> {
        let stays = self.session()?.state();
        let authenticated = stays.is_authenticated();
        let another = options
            .user
            .as_deref()
            .is_some_and(|user| stays.user() != Some(user));
        let anew = options.says_of_tls();
        let mut options = options;
        if authenticated && another && self.settings.interactive && !options.has_secret() {
            // The secret at hand is somebody else's.
            options.password = Some(SecretSource::Prompt);
        }
        let mut stack = self.last()?;
        stack.push(Origin::Connect, options);
        if anew || (authenticated && !self.leave()?) {
            return self.connect(stack);
        }
        let plan = stack.plan(&self.settings.interrupt)?;
        let session = self.session.take().ok_or(Error::NotConnected)?;
        self.cache.clear();
        let session = self.log_in(session, &plan)?;
        warn_of_no_compression(&session);
        self.last = Some(stack);
        Ok(self.session.insert(session).state())
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
        let name = host(&options.address);
        let checked = options.tls.verify && options.tls.pin.is_none();
        // Without a home, as some services run, nothing is remembered.
        let known = KnownServers::of_user();
        if checked && let Ok(known) = &known {
            options.tls.known = known.lookup(&server)?;
        }
        let open = |options| {
            let trace = self
                .settings
                .trace
                .as_deref()
                .map(trace::open)
                .transpose()?;
            Session::open_traced(options, trace)
        };
        let session = match open(options.clone()) {
            Err(Error::Tls(
                ref error @ (TlsError::SelfSigned {
                    ref certificate, ..
                }
                | TlsError::UnknownIssuer {
                    ref certificate, ..
                }),
            )) if checked && self.settings.interactive => {
                show(&name, error, certificate);
                if !ask(&format!(
                    "Trust this certificate for {server} from now on? (yes/no) "
                )) {
                    return Err(Error::Insecure {
                        server,
                        why: "its certificate is not trusted; get it in a way you trust, and give it with --cafile or --pin"
                            .into(),
                    });
                }
                known?.remember(&server, certificate.fingerprint)?;
                options.tls.known = Some(certificate.fingerprint);
                open(options)?
            }
            Err(Error::Tls(error @ TlsError::Changed { .. })) => {
                return Err(Error::Insecure {
                    server,
                    why: match &known {
                        Ok(known) => format!("{error} ({})", known.path().display()),
                        Err(_) => error.to_string(),
                    },
                });
            }
            result => result?,
        };
        if !plan.options.tls.verify && session.state().channel().tls.is_some() {
            complain(&format!(
                "warning: the certificate of {name} was not checked (--no-verify): anybody could answer in its place"
            ));
        }
        Ok(session)
    }

    /// Logs in; a password that is asked for is asked for again when it was wrong.
    fn log_in(&mut self, mut session: Session, plan: &Plan) -> Result<Session, Error> {
        let token = matches!(plan.secret, Some((Kind::Token, _)));
        let methods = session.login_methods(&plan.auth, plan.authz.is_some(), token)?;
        let (bare, rest): (Vec<Method>, Vec<Method>) = methods
            .into_iter()
            .partition(|method| method.needs() == Needs::Nothing);
        if !bare.is_empty() {
            let credentials = Credentials {
                user: plan.user.clone().unwrap_or_default(),
                authz: plan.authz.clone(),
                secret: Secret::None,
            };
            match session.login(&credentials, &bare) {
                Ok(()) => return Ok(session),
                // What TLS or the socket says of us did not do; a secret may.
                Err(Error::Login { .. }) if plan.auth.is_empty() && !rest.is_empty() => {}
                Err(error) => return Err(error),
            }
            if !session.is_open() {
                session = self.open(plan)?;
            }
        }
        let name = host(&plan.options.address);
        let mut user = plan.user.clone();
        let (kind, source) = match plan.secret.clone() {
            Some(secret) => secret,
            None => match in_netrc(&name, user.as_deref()) {
                Some((login, password)) => {
                    user = user.or(login);
                    (Kind::Password, SecretSource::Given(password))
                }
                None => (Kind::Password, SecretSource::Prompt),
            },
        };
        let user = user
            .or_else(local_user)
            .ok_or_else(|| Error::Usage("no user is named; name one with --user".into()))?;
        let prompt = format!("Password for {}: ", escape(&format!("{user}@{name}")));
        let mut tries = match source {
            SecretSource::Prompt => TRIES,
            _ => 1,
        };
        loop {
            tries -= 1;
            let secret = source.fetch(kind, &prompt)?;
            self.password = Some(secret.clone());
            let credentials = Credentials {
                user: user.clone(),
                authz: plan.authz.clone(),
                secret: match kind {
                    Kind::Password => Secret::Password(secret),
                    Kind::Token => Secret::Token(secret),
                },
            };
            match session.login(&credentials, &rest) {
                Ok(()) => return Ok(session),
                Err(error) if tries > 0 && may_be_mistyped(&error) => complain(&error.to_string()),
                Err(error) => return Err(error),
            }
            if !session.is_open() {
                session = self.open(plan)?;
            }
        }
    }
}

/// That the session goes on without what was asked for.
fn warn_of_no_compression(session: &Session) {
    if let Some(why) = session.state().uncompressed() {
        complain(&format!(
            "warning: nothing is compressed, as --compress asks for: {why}"
        ));
    }
}

/// Whether another password could help.
fn may_be_mistyped(error: &Error) -> bool {
    matches!(error, Error::Login { code, .. }
        if matches!(code.as_deref(), None | Some("AUTHENTICATIONFAILED" | "AUTHORIZATIONFAILED")))
}

/// What the user's netrc file says of the server. One that can't be used is passed over, aloud: nobody named it.
fn in_netrc(host: &str, user: Option<&str>) -> Option<(Option<String>, SecretString)> {
    let file = dirs::home_dir()?.join(".netrc");
    netrc(&file, host, user).unwrap_or_else(|error| {
        complain(&format!("warning: {error}"));
        None
    })
}

/// Who is logged in on this machine, as cyradm takes it.
fn local_user() -> Option<String> {
    ["USER", "LOGNAME"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok())
        .filter(|name| !name.is_empty())
}

/// Shows a certificate that nobody vouches for, to somebody who is to judge it.
fn show(host: &str, error: &TlsError, certificate: &Certificate) {
    let why = match error {
        TlsError::SelfSigned { .. } => "is self-signed",
        _ => "is signed by an authority that is not known here",
    };
    let text = format!(
        "The certificate of {host} {why}, so nobody vouches for it:\n  \
         subject      {}\n  issuer       {}\n  names        {}\n  valid        {} to {}\n  fingerprint  {}\n\
         Compare the fingerprint with what the server's administrator tells you, or with what stands on the server:\n  \
         openssl x509 -in CERTIFICATE -noout -fingerprint -sha256\n",
        certificate.subject,
        certificate.issuer,
        certificate.names.join(", "),
        certificate.not_before,
        certificate.not_after,
        certificate.fingerprint,
    );
    for line in text.lines() {
        // Nobody may be listening any more; the question then gets no answer.
        let _ = writeln!(io::stderr(), "{}", escape(line));
    }
}
