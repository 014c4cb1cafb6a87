//! The server's certificate: whether to trust it, and, when not, why in terms a user can act on.
//!
//! rustls does the checking. What is added: a certificate that signed itself is told from one with an unknown
//! authority, and that from one whose authority has another key than the trusted one of its name; a certificate that
//! the user gave as trusted is trusted even if it is the server's own; and certificates are known by their fingerprint.

use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme};

use super::certificate::{Certificate, Fingerprint, parse};

/// How far to trust the server's certificate.
#[derive(Debug)]
pub(super) enum Trust {
    /// As far as these roots vouch for it, or if it is itself one of `given`. One that they refuse is accepted if its
    /// fingerprint is the `known` one.
    Roots {
        roots: Arc<WebPkiServerVerifier>,
        given: Vec<CertificateDer<'static>>,
        known: Option<Fingerprint>,
    },
    /// This one alone, whatever it says.
    Pinned(Fingerprint),
    /// Blindly.
    Anyone,
}

/// Our verifier for rustls. However little is trusted, the handshake's signatures are checked, so the peer does have the
/// certificate's key.
#[derive(Debug)]
pub(super) struct Verifier {
    pub(super) trust: Trust,
    pub(super) provider: Arc<CryptoProvider>,
}

/// Why a certificate is refused where rustls has no word for it, or none that carries the certificate along. It travels
/// inside a [`CertificateError`].
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("the certificate is self-signed")]
    SelfSigned(Certificate),
    #[error("the certificate is signed by an unknown authority")]
    UnknownIssuer(Certificate),
    #[error(
        "the certificate is signed by an authority with the name of a trusted one and another key"
    )]
    OtherKey(Certificate),
    #[error("the certificate is not the pinned one")]
    NotPinned {
        pin: Fingerprint,
        found: Certificate,
    },
    #[error("the certificate is not the known one")]
    NotKnown {
        known: Fingerprint,
        found: Certificate,
    },
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(refusal))))
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.trust {
            Trust::Anyone => Ok(ServerCertVerified::assertion()),
            Trust::Pinned(pin) if Fingerprint::of(end_entity) == *pin => {
                Ok(ServerCertVerified::assertion())
            }
            Trust::Pinned(pin) => Err(Refusal::NotPinned {
                pin: *pin,
                found: Certificate::read(end_entity),
            }
            .into()),
            Trust::Roots {
                roots,
                given,
                known,
            } => {
                let verdict = if given.iter().any(|own| own.as_ref() == end_entity.as_ref()) {
                    own_certificate(end_entity, server_name, now)
                } else {
                    None
                };
                let verdict = verdict.unwrap_or_else(|| {
                    roots
                        .verify_server_cert(
                            end_entity,
                            intermediates,
                            server_name,
                            ocsp_response,
                            now,
                        )
                        .map_err(|error| clearer(error, end_entity))
                });
                match (verdict, known) {
                    (Err(_), Some(known)) if Fingerprint::of(end_entity) == *known => {
                        Ok(ServerCertVerified::assertion())
                    }
                    (Err(_), Some(known)) => Err(Refusal::NotKnown {
                        known: *known,
                        found: Certificate::read(end_entity),
                    }
                    .into()),
                    (verdict, _) => verdict,
                }
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// The verdict on a server's certificate that the user gave as trusted: its time and its names are left to check. `None`
/// if it can't be read; rustls then has the word.
///
/// `openssl req -x509` makes self-signed certificates that say they are authorities. The usual check refuses these for a
/// server, even as the user's own root, so that «give it with --cafile» would fail for the very certificates people
/// have.
fn own_certificate(
    certificate: &CertificateDer<'_>,
    server_name: &ServerName<'_>,
    now: UnixTime,
) -> Option<Result<ServerCertVerified, Error>> {
    let parsed = parse(certificate)?;
    // A time before 1970 has passed as surely as 1970 itself.
    let seconds = |time: i64| u64::try_from(time).unwrap_or(0);
    let not_before = seconds(parsed.validity().not_before.timestamp());
    let not_after = seconds(parsed.validity().not_after.timestamp());
    let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    if now.as_secs() < not_before {
        let error = CertificateError::NotValidYetContext {
            time: now,
            not_before: at(not_before),
        };
        return Some(Err(error.into()));
    }
    if now.as_secs() > not_after {
        let error = CertificateError::ExpiredContext {
            time: now,
            not_after: at(not_after),
        };
        return Some(Err(error.into()));
    }
    Some(
        ParsedCertificate::try_from(certificate)
            .and_then(|parsed| verify_server_name(&parsed, server_name))
            .map(|()| ServerCertVerified::assertion()),
    )
}

/// rustls's error with what it does not tell apart.
fn clearer(error: Error, certificate: &CertificateDer<'_>) -> Error {
    let Error::InvalidCertificate(reason) = &error else {
        return error;
    };
    // Both keys of one kind, or of two.
    let other_key = matches!(
        reason,
        CertificateError::BadSignature
            | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. }
    );
    let unknown = matches!(reason, CertificateError::UnknownIssuer);
    // Among others, an authority's certificate used for a server.
    let other = matches!(reason, CertificateError::Other(_));
    let signed_itself = parse(certificate)
        .is_some_and(|parsed| parsed.issuer().as_raw() == parsed.subject().as_raw());
    if signed_itself && (other_key || unknown || other) {
        Refusal::SelfSigned(Certificate::read(certificate)).into()
    } else if other_key {
        Refusal::OtherKey(Certificate::read(certificate)).into()
    } else if unknown {
        Refusal::UnknownIssuer(Certificate::read(certificate)).into()
    } else {
        error
    }
}
