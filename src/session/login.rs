//! The login: which ways there are, which of them is tried, and what follows a refusal.
//!
//! Here: the choice, and the LOGIN command. Not here: the exchange of AUTHENTICATE (`authenticate`), and the mechanisms (`auth`).

use crate::auth::{
    self, Circumstances, Credentials, Mechanism, Method, Offer, Secret, Surroundings,
};
use crate::error::{Error, referred_host};
use crate::net::{Address, Stream};
use crate::wire::code::ResponseCode;
use crate::wire::encode::Encoder;
use crate::wire::response::{Condition, Status, words};

use super::Session;
use super::request::{Effect, Request};
use super::state::{Notice, State};

impl Session {
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
        let shows_certificate = channel.tls.is_some() && self.options.tls.identity.is_some();
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
    /// A secret goes over the network in cleartext only with [`Options::allow_cleartext`](super::Options::allow_cleartext).
    ///
    /// # Errors
    /// No usable method, or the server's refusal. After [`AuthError::Unproven`](auth::AuthError::Unproven) the session is over.
    pub fn login(&mut self, credentials: &Credentials, wanted: &[Method]) -> Result<(), Error> {
        let result = self.in_time_to_login(|session| session.log_in(credentials, wanted));
        self.link.time_to_login = self.options.timeouts.connect;
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
                "the server offers but refused {}, so the login used {}; to start with it, give --auth {}",
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
}

/// The response code of a status and what stands behind it.
pub(super) fn code_of(status: &Status<'_>) -> (Option<ResponseCode>, String) {
    match &status.code {
        Some(code) => (
            Some(code.response_code()),
            words(code.arguments).into_owned(),
        ),
        None => (None, String::new()),
    }
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
        let code = refusal.code.as_ref();
        let is_binding_refused = mechanism.is_some_and(|mechanism| {
            mechanism.is_binding_refused(code.map(ResponseCode::as_str), &refusal.text)
        });
        let shown = mechanism.is_none_or(Mechanism::has_shown_secret);
        let is_of_mechanism = (refusal.condition == Condition::Bad || !shown)
            && matches!(
                code,
                None | Some(ResponseCode::AuthenticationFailed | ResponseCode::Cannot)
            );
        if let Some(complaint) = mechanism.and_then(Mechanism::complaint) {
            refusal.text.push_str(&format!(" ({complaint})"));
        }
        if let Some(plain) = method.without_binding().filter(|_| is_binding_refused) {
            let name = plain.name();
            refusal.text.push_str(&format!(
                " (the server seems to lack the channel binding tls-exporter; {name} works without it)"
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
pub(super) fn heed_referral(status: &Status<'_>, state: &mut State) {
    if let (Some(code), arguments) = code_of(status)
        && code == ResponseCode::Referral
    {
        let host = referred_host(&code, &arguments).unwrap_or(arguments);
        state.notice(Notice::warning(format!(
            "you are logged in, but the server recommends {host} for this user; connect to that server"
        )));
    }
}
