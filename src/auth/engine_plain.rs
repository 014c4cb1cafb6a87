//! What stands in for rsasl in a library without the feature `sasl`: the mechanisms whose messages are only put together, with nothing to
//! compute.

use super::{AuthError, Credentials, Method, SecretBytes, Surroundings};

/// One run of one mechanism.
pub(super) struct Engine {
    method: Method,
    credentials: Credentials,
    host: String,
    port: Option<u16>,
    steps: u8,
}

impl Engine {
    /// Nothing is computed or sent yet.
    pub(super) fn new(
        method: Method,
        credentials: &Credentials,
        surroundings: &Surroundings,
    ) -> Engine {
        Engine {
            method,
            credentials: credentials.clone(),
            host: surroundings.host.clone(),
            port: surroundings.port,
            steps: 0,
        }
    }

    /// One message to the server, and whether it is the last one.
    ///
    /// # Errors
    /// [`AuthError::NotBuilt`] for a mechanism that needs the feature `sasl`.
    pub(super) fn step(&mut self, _: Option<&[u8]>) -> Result<(SecretBytes, bool), AuthError> {
        let user = self.credentials.user.as_str();
        let authz = self.credentials.authz.as_deref().unwrap_or_default();
        let secret = self.credentials.secret.expose();
        let acts_as = if authz.is_empty() { user } else { authz };
        self.steps += 1;
        let parts: Vec<&str> = match self.method {
            // RFC 4616 section 2.
            Method::Plain => vec![authz, "\0", user, "\0", secret],
            // RFC 4422 appendix A.1.
            Method::External => vec![acts_as],
            Method::Anonymous => Vec::new(),
            Method::Login if self.steps == 1 => vec![user],
            Method::Login => vec![secret],
            Method::Xoauth2 => vec!["user=", user, "\x01auth=Bearer ", secret, "\x01\x01"],
            Method::OauthBearer => return Ok((self.bearer(acts_as, secret), true)),
            method => {
                return Err(AuthError::NotBuilt {
                    method: method.name(),
                    feature: "sasl",
                });
            }
        };
        let last = self.method != Method::Login || self.steps > 1;
        Ok((joined(&parts), last))
    }

    /// RFC 7628 section 3.1.
    fn bearer(&self, acts_as: &str, token: &str) -> SecretBytes {
        let acts_as = acts_as.replace('=', "=3D").replace(',', "=2C");
        let port = self.port.map(|port| port.to_string());
        let mut parts = match acts_as.as_str() {
            "" => vec!["n,,\x01"],
            name => vec!["n,a=", name, ",\x01"],
        };
        if let Some(port) = &port {
            parts.extend(["host=", &self.host, "\x01port=", port, "\x01"]);
        }
        parts.extend(["auth=Bearer ", token, "\x01\x01"]);
        joined(&parts)
    }
}

fn joined(parts: &[&str]) -> SecretBytes {
    let parts: Vec<&[u8]> = parts.iter().map(|part| part.as_bytes()).collect();
    SecretBytes::concat(&parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Secret;

    #[test]
    fn each_mechanism_says_what_its_rfc_has() {
        let credentials = Credentials {
            user: "joe".into(),
            authz: Some("a,b".into()),
            secret: Secret::Password("pw".into()),
        };
        let surroundings = Surroundings {
            host: "mail.example.org".into(),
            port: Some(143),
            exporter: None,
            private: true,
            binding_offered: false,
        };
        for (method, wanted) in [
            (Method::Plain, "a,b\0joe\0pw"),
            (Method::External, "a,b"),
            (Method::Anonymous, ""),
            (Method::Login, "joe"),
            (Method::Xoauth2, "user=joe\x01auth=Bearer pw\x01\x01"),
            (
                Method::OauthBearer,
                "n,a=a=2Cb,\x01host=mail.example.org\x01port=143\x01auth=Bearer pw\x01\x01",
            ),
        ] {
            let mut engine = Engine::new(method, &credentials, &surroundings);
            let (said, _) = engine.step(None).unwrap();
            assert_eq!(said.expose(), wanted.as_bytes(), "{}", method.name());
        }
        let mut scram = Engine::new(Method::ScramSha256, &credentials, &surroundings);
        assert!(matches!(scram.step(None), Err(AuthError::NotBuilt { .. })));
    }
}
