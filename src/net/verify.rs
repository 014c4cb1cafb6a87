//! The server's certificate: whether to trust it, and, when not, why in terms a user can act on.
//!
//! rustls does the checking. What is added: a certificate that signed itself is told from one with an unknown
//! authority, and that from one whose authority has another key than the trusted one of its name; a certificate that
//! the user gave as trusted is trusted even if it is the server's own; certificates are known by their fingerprint; one of
//! an old version can be pinned; and a key that is too short is called so.

use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{
    CryptoProvider, verify_tls12_signature, verify_tls13_signature,
    verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};

use webpki::RawPublicKeyEntity;

use super::certificate::{
    Authority, Certificate, Fingerprint, Known, RsaKey, has_extensions, parse, rsa_key,
    signed_itself,
};

/// How far to trust the server's certificate.
#[derive(Debug)]
pub(super) enum Trust {
    /// As far as these roots vouch for it, or if it is itself one of `given`. One that they refuse is accepted if it is the `known` one,
    /// or if the `known` authority vouches for it.
    Roots {
        roots: Arc<WebPkiServerVerifier>,
        given: Vec<CertificateDer<'static>>,
        known: Option<Accepted>,
    },
    /// This one alone, whatever it says.
    Pinned(Fingerprint),
    /// Blindly.
    Anyone,
}

/// What was accepted by hand.
#[derive(Debug)]
pub(super) struct Accepted {
    known: Known,
    /// What an authority vouches for.
    vouches: Option<Arc<WebPkiServerVerifier>>,
}

impl Accepted {
    pub(super) fn new(known: &Known, provider: &Arc<CryptoProvider>) -> Result<Self, Error> {
        let vouches = match known {
            Known::Certificate(_) => None,
            Known::Authority(authority) => Some(alone(authority.der(), provider)?),
        };
        Ok(Accepted {
            known: known.clone(),
            vouches,
        })
    }
}

/// The check against these roots.
pub(super) fn vouching(
    roots: RootCertStore,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, Error> {
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(|error| Error::General(error.to_string()))
}

/// The check against one authority.
fn alone(der: &[u8], provider: &Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>, Error> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(der))?;
    vouching(roots, provider)
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
    UnknownIssuer {
        found: Certificate,
        /// The one of the chain that could be trusted in its place.
        authority: Option<Box<Authority>>,
    },
    #[error(
        "the certificate is signed by an authority with the name of a trusted one and another key"
    )]
    OtherKey(Certificate),
    #[error("the certificate is of an old version, which names no host")]
    OldVersion(Certificate),
    #[error("an RSA key has {} bits", key.bits)]
    KeyLength {
        key: RsaKey,
        /// Whose key it is, if not the server's: the name of an authority that signed.
        authority: Option<String>,
    },
    #[error("the certificate is not the pinned one")]
    NotPinned {
        pin: Fingerprint,
        found: Certificate,
    },
    #[error("the certificate is not the known one")]
    NotKnown { known: Known, found: Certificate },
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
        self.judge(end_entity, intermediates, server_name, ocsp_response, now)?;
        // No proof that the server has such a key can be checked, so the handshake is about to fail, whoever trusts it.
        match rsa_key(end_entity).filter(|key| !key.is_usable()) {
            None => Ok(ServerCertVerified::assertion()),
            Some(key) => Err(Refusal::KeyLength {
                key,
                authority: None,
            }
            .into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        match old_key(cert) {
            None => verify_tls12_signature(message, cert, dss, algorithms),
            Some(key) => {
                let key = RawPublicKeyEntity::try_from(&key)
                    .map_err(|_| Error::from(CertificateError::BadEncoding))?;
                let fit = algorithms
                    .mapping
                    .iter()
                    .find(|(scheme, _)| *scheme == dss.scheme);
                // The scheme does not say which curve the key is on (RFC 5246 section 7.4.1.4.1).
                let mut fit = fit.into_iter().flat_map(|(_, fit)| *fit);
                let proven = fit.any(|algorithm| {
                    key.verify_signature(*algorithm, message, dss.signature())
                        .is_ok()
                });
                if proven {
                    Ok(HandshakeSignatureValid::assertion())
                } else {
                    Err(CertificateError::BadSignature.into())
                }
            }
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        match old_key(cert) {
            None => verify_tls13_signature(message, cert, dss, algorithms),
            Some(key) => verify_tls13_signature_with_raw_key(message, &key, dss, algorithms),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

impl Verifier {
    /// Whether the certificate is to be trusted; that the server has its key is proven later.
    fn judge(
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
                        .map_err(|error| {
                            let authority =
                                || self.authority(end_entity, intermediates, server_name, now);
                            clearer(error, end_entity, intermediates, given, authority)
                        })
                });
                let (Err(_), Some(accepted)) = (&verdict, known) else {
                    return verdict;
                };
                let changed = || {
                    Err(Refusal::NotKnown {
                        known: accepted.known.clone(),
                        found: Certificate::read(end_entity),
                    }
                    .into())
                };
                match (&accepted.known, &accepted.vouches) {
                    (Known::Certificate(known), _) if Fingerprint::of(end_entity) == *known => {
                        Ok(ServerCertVerified::assertion())
                    }
                    (Known::Authority(_), Some(vouches)) => {
                        let verdict = vouches.verify_server_cert(
                            end_entity,
                            intermediates,
                            server_name,
                            ocsp_response,
                            now,
                        );
                        match verdict {
                            Err(error) if is_the_certificates(&error) => {
                                Err(clearer(error, end_entity, &[], &[], || None))
                            }
                            Err(_) => changed(),
                            verdict => verdict,
                        }
                    }
                    _ => changed(),
                }
            }
        }
    }
}

impl Verifier {
    /// The authority in the server's chain that vouches for its certificate, for this name and now; one that signed itself if there is one.
    fn authority(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        now: UnixTime,
    ) -> Option<Authority> {
        /// Authorities that are looked at; a chain has two or three.
        const MOST: usize = 10;
        let found = intermediates.iter().take(MOST).rev();
        let (roots, others): (Vec<_>, Vec<_>) =
            found.partition(|one| parse(one).as_ref().is_some_and(signed_itself));
        roots.into_iter().chain(others).find_map(|one| {
            let authority = Authority::from_der(one.to_vec())?;
            let vouches = alone(one, &self.provider).ok()?;
            vouches
                .verify_server_cert(end_entity, intermediates, server_name, &[], now)
                .ok()?;
            Some(authority)
        })
    }
}

/// Whether an error is about the certificate itself, and not about who signed it.
fn is_the_certificates(error: &Error) -> bool {
    matches!(
        error,
        Error::InvalidCertificate(
            CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. }
                | CertificateError::NotValidForName
                | CertificateError::NotValidForNameContext { .. }
        )
    )
}

/// The public key (SubjectPublicKeyInfo) of a certificate that webpki does not read, for it is of version 1 or 2 (RFC 5280 section
/// 4.1.2.1). Whoever trusts such a certificate by its fingerprint trusts this key.
fn old_key(certificate: &CertificateDer<'_>) -> Option<SubjectPublicKeyInfoDer<'static>> {
    let parsed = parse(certificate)?;
    (!has_extensions(&parsed)).then(|| parsed.tbs_certificate.subject_pki.raw.to_vec().into())
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
    if !has_extensions(&parsed) {
        return Some(Err(
            Refusal::OldVersion(Certificate::read(certificate)).into()
        ));
    }
    Some(
        ParsedCertificate::try_from(certificate)
            .and_then(|parsed| verify_server_name(&parsed, server_name))
            .map(|()| ServerCertVerified::assertion()),
    )
}

/// rustls's error with what it does not tell apart.
fn clearer(
    error: Error,
    certificate: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    given: &[CertificateDer<'_>],
    authority: impl FnOnce() -> Option<Authority>,
) -> Error {
    let Error::InvalidCertificate(reason) = &error else {
        return error;
    };
    let parsed = parse(certificate);
    if parsed
        .as_ref()
        .is_some_and(|parsed| !has_extensions(parsed))
    {
        return Refusal::OldVersion(Certificate::read(certificate)).into();
    }
    // Both keys of one kind, or of two.
    let other_key = matches!(
        reason,
        CertificateError::BadSignature
            | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. }
    );
    let unknown = matches!(reason, CertificateError::UnknownIssuer);
    // Among others, an authority's certificate used for a server.
    let other = matches!(reason, CertificateError::Other(_));
    if (other_key || unknown || other) && parsed.as_ref().is_some_and(signed_itself) {
        return Refusal::SelfSigned(Certificate::read(certificate)).into();
    }
    if other_key
        && let Some((key, authority)) = unusable_authority(certificate, intermediates, given)
    {
        return Refusal::KeyLength {
            key,
            authority: Some(authority),
        }
        .into();
    }
    if other_key {
        Refusal::OtherKey(Certificate::read(certificate)).into()
    } else if unknown {
        Refusal::UnknownIssuer {
            found: Certificate::read(certificate),
            authority: authority().map(Box::new),
        }
        .into()
    } else {
        error
    }
}

/// The first authority, from the server's certificate upwards, whose signatures can't be checked for the length of its key.
fn unusable_authority(
    certificate: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    given: &[CertificateDer<'_>],
) -> Option<(RsaKey, String)> {
    let chain = std::iter::once(certificate).chain(intermediates);
    let issuers = chain.filter_map(|signed| Some(parse(signed)?.issuer().as_raw().to_vec()));
    let authorities = || intermediates.iter().chain(given);
    issuers
        .flat_map(|issuer| {
            authorities().filter(move |one| {
                parse(one).is_some_and(|one| one.subject().as_raw() == issuer.as_slice())
            })
        })
        .find_map(|authority| {
            let key = rsa_key(authority).filter(|key| !key.is_usable())?;
            Some((key, Certificate::read(authority).subject))
        })
}
