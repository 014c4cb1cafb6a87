//! The crate rsasl, made to speak for one [`Method`]: what it is given, and its errors as ours.
//!
//! Not here: what rsasl must not be handed, and when. It trusts a challenge's form (it panics on one that is cut short)
//! and must not be stepped again after an error, so every mechanism here looks first and steps after.

use rsasl::callback::{Context, Request, SessionCallback, SessionData};
use rsasl::config::SASLConfig;
use rsasl::mechanisms::anonymous::ANONYMOUS;
use rsasl::mechanisms::external::EXTERNAL;
#[cfg(feature = "gssapi")]
use rsasl::mechanisms::gssapi::{
    GSSAPI,
    properties::{GssSecurityLayer, GssService, SecurityLayer},
};
use rsasl::mechanisms::login::LOGIN;
use rsasl::mechanisms::oauthbearer::OAUTHBEARER;
use rsasl::mechanisms::plain::PLAIN;
use rsasl::mechanisms::scram::{
    SCRAM_SHA1, SCRAM_SHA1_PLUS, SCRAM_SHA256, SCRAM_SHA256_PLUS, SCRAM_SHA512, SCRAM_SHA512_PLUS,
};
use rsasl::mechanisms::xoauth2::XOAUTH2;
use rsasl::prelude::{
    ChannelBindingCallback, Mechanism, Mechname, Registry, SASLClient, Session, SessionError, State,
};
#[cfg(feature = "gssapi")]
use rsasl::property::Hostname;
use rsasl::property::{AuthId, AuthzId, OAuthBearerKV, OAuthBearerToken, Password};
use rsasl::validate::NoValidation;
use stringprep::saslprep;
use zeroize::Zeroizing;

use super::{AuthError, Credentials, Method, SecretBytes, Surroundings};

/// All that rsasl is to know. Which of them runs is told by name.
static MECHANISMS: &[Mechanism] = &[
    SCRAM_SHA512_PLUS,
    SCRAM_SHA256_PLUS,
    SCRAM_SHA1_PLUS,
    SCRAM_SHA512,
    SCRAM_SHA256,
    SCRAM_SHA1,
    PLAIN,
    LOGIN,
    EXTERNAL,
    ANONYMOUS,
    OAUTHBEARER,
    XOAUTH2,
    #[cfg(feature = "gssapi")]
    GSSAPI,
];

/// Room for what a mechanism adds to the credentials; a challenge that is sent back is no longer than half of it.
const ROOM: usize = 16 * 1024;

/// One run of one mechanism.
pub(super) struct Engine {
    method: Method,
    /// `None` once it has finished or failed: rsasl must not be stepped any more then.
    session: Option<Session<NoValidation, Binding>>,
    /// The most that it writes at once. A vector that grows leaves unwiped copies behind.
    most: usize,
}

impl Engine {
    /// Nothing is computed or sent yet.
    pub(super) fn new(
        method: Method,
        credentials: &Credentials,
        surroundings: &Surroundings,
    ) -> Engine {
        let answers = Answers::new(method, credentials, surroundings);
        // Every letter of a name may become three.
        let names = 3 * (answers.user.len() + answers.authz.as_ref().map_or(0, |name| name.len()));
        let most = names + answers.secret.len() + ROOM;
        let binding = Binding(surroundings.exporter.clone());
        let session = SASLConfig::builder()
            .with_registry(Registry::with_mechanisms(MECHANISMS))
            .with_callback(answers)
            .and_then(|config| {
                let name = Mechname::parse(method.name().as_bytes());
                SASLClient::with_cb(config, binding).start_suggested_iter(name)
            });
        Engine {
            method,
            session: session.ok(),
            most,
        }
    }

    /// One message to the server, and whether it is the last one.
    ///
    /// # Errors
    /// [`AuthError::Unproven`] for a wrong signature, [`AuthError::BadChallenge`] for other challenges that do not fit,
    /// [`AuthError::Failed`] for what is not the server's fault. It must not be stepped again then.
    pub(super) fn step(
        &mut self,
        challenge: Option<&[u8]>,
    ) -> Result<(SecretBytes, bool), AuthError> {
        let mechanism = self.method.name();
        let mut session = self.session.take().ok_or_else(|| AuthError::Failed {
            mechanism,
            why: "it is over already".into(),
        })?;
        let mut out = Zeroizing::new(Vec::with_capacity(self.most));
        match session.step(challenge, &mut *out) {
            Ok(State::Running) => {
                self.session = Some(session);
                Ok((SecretBytes::from(out), false))
            }
            Ok(State::Finished(_)) => Ok((SecretBytes::from(out), true)),
            Err(SessionError::MutualAuthenticationFailed) => Err(AuthError::Unproven { mechanism }),
            // Before anything came from the server it can't be its fault; nor is what Kerberos itself says.
            Err(error) if challenge.is_none() || !self.method.is_scram() => {
                Err(AuthError::Failed {
                    mechanism,
                    why: error.to_string(),
                })
            }
            Err(error) => Err(AuthError::BadChallenge {
                mechanism,
                why: error.to_string(),
            }),
        }
    }
}

/// The channel binding, for the -PLUS forms.
struct Binding(Option<Zeroizing<[u8; 32]>>);

impl ChannelBindingCallback for Binding {
    fn get_cb_data(&self, name: &str) -> Option<&[u8]> {
        match &self.0 {
            Some(exporter) if name == "tls-exporter" => Some(&exporter[..]),
            _ => None,
        }
    }
}

/// What rsasl may ask for.
struct Answers {
    user: String,
    authz: Option<String>,
    secret: Zeroizing<String>,
    /// Whether a plain form of SCRAM says that a -PLUS form would have been taken, had it been offered; and whether a
    /// -PLUS form may run at all.
    binding: bool,
    host: String,
    port: Option<String>,
}

impl Answers {
    fn new(method: Method, credentials: &Credentials, surroundings: &Surroundings) -> Self {
        let mut user = credentials.user.clone();
        let mut authz = credentials.authz.clone().filter(|authz| !authz.is_empty());
        let mut secret = Zeroizing::new(credentials.secret.expose().to_owned());
        if method.is_scram() {
            user = prepared(&user);
            secret = Zeroizing::new(prepared(&secret));
        }
        if method == Method::External {
            // The connection says who one is. Whoever also names a user means that one, and not whoever the certificate is for.
            authz = authz.or_else(|| Some(user.clone()).filter(|user| !user.is_empty()));
        }
        if method == Method::OauthBearer {
            // RFC 7628 section 3.1: the identity to act as, which is the user where there is no other. rsasl sends it as it
            // is, but it must be a saslname (RFC 5801 section 4).
            authz = authz
                .or_else(|| Some(user.clone()).filter(|user| !user.is_empty()))
                .map(|name| name.replace('=', "=3D").replace(',', "=2C"));
        }
        Answers {
            user,
            authz,
            secret,
            binding: surroundings.exporter.is_some()
                && (method.without_binding().is_some() || !surroundings.binding_offered),
            host: surroundings.host.clone(),
            port: surroundings.port.map(|port| port.to_string()),
        }
    }
}

/// A user or password as SCRAM hashes it (RFC 5802 section 5.1: SASLprep, RFC 4013).
///
/// What SASLprep forbids, such as letters that are younger than it, stays as it is: servers that take such passwords at
/// all have hashed them so.
fn prepared(text: &str) -> String {
    saslprep(text).map_or_else(|_| text.to_owned(), |prepared| prepared.into_owned())
}

impl SessionCallback for Answers {
    fn callback(
        &self,
        _: &SessionData,
        _: &Context<'_>,
        request: &mut Request<'_>,
    ) -> Result<(), SessionError> {
        request
            .satisfy::<AuthId>(&self.user)?
            .satisfy::<Password>(self.secret.as_bytes())?
            .satisfy::<OAuthBearerToken>(&self.secret)?;
        if let Some(authz) = &self.authz {
            request.satisfy::<AuthzId>(authz)?;
        }
        if let Some(port) = &self.port {
            request.satisfy::<OAuthBearerKV>(&[("host", &self.host), ("port", port)])?;
        }
        #[cfg(feature = "gssapi")]
        request
            .satisfy::<GssService>("imap")?
            .satisfy::<Hostname>(&self.host)?
            // TLS protects what comes after; a second layer below IMAP there is none here.
            .satisfy::<GssSecurityLayer>(&SecurityLayer::NO_SECURITY_LAYER)?;
        Ok(())
    }

    fn enable_channel_binding(&self) -> bool {
        self.binding
    }
}
