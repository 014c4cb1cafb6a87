//! What goes wrong in a TLS handshake, told apart by what the user can do about it.

use std::io;
use std::time::Duration;

use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};

use super::certificate::{Authority, Certificate, Fingerprint, Known, date};
use super::pem::FileError;
use super::text::{seconds, words};
use super::verify::Refusal;

/// Why there is no TLS. `host` is the name that the certificate was checked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file of certificates or keys can't be used; nothing was sent.
    #[error(transparent)]
    File(#[from] FileError),
    /// The name to check the certificate for can't be one.
    #[error(
        "{host:?} is neither a host name nor an IP address, so no certificate can match it; give the name in the server's certificate"
    )]
    BadName {
        /// The name.
        host: String,
    },
    /// Signed by an authority that is not trusted.
    #[error(
        "the certificate of {host} is signed by an authority that is not trusted here; give that authority's certificate with --cafile, \
         or make the server send its intermediate certificates too; or, if the server's administrator confirms this fingerprint, trust \
         only this certificate with --pin {}",
        certificate.fingerprint
    )]
    UnknownIssuer {
        /// The host.
        host: String,
        /// What it shows.
        certificate: Box<Certificate>,
        /// The authority that the server sent along and that vouches for it, for this host: it could be trusted in its place
        /// ([`TlsOptions::known`](super::TlsOptions::known)).
        authority: Option<Box<Authority>>,
    },
    /// Signed by an authority that has a trusted one's name, but not its key.
    #[error(
        "the certificate of {host} is signed by an authority that has the name of a trusted one ({:?}) but another \
         key: it was renewed, or the certificate is forged; get that authority's current certificate from a source you trust, and give \
                                        it with --cafile",
        certificate.issuer
    )]
    AuthorityMismatch {
        /// The host.
        host: String,
        /// What it shows.
        certificate: Box<Certificate>,
    },
    /// Signed by itself.
    #[error(
        "the certificate of {host} is self-signed, so its identity cannot be verified; get the certificate from a source you trust, such \
         as the server's administrator or its disk, and give it with --cafile; or, if the administrator \
         confirms this fingerprint, trust it with --pin {}",
        certificate.fingerprint
    )]
    SelfSigned {
        /// The host.
        host: String,
        /// What it shows.
        certificate: Box<Certificate>,
    },
    /// Of an old version (RFC 5280 section 4.1.2.1), which can't say for which host it is.
    #[error(
        "the certificate of {host} is an old version (X.509 version 1 or 2) that names no host, so its identity cannot be verified; the \
         server's administrator should replace it; until then, if the administrator confirms this fingerprint, trust only this \
         certificate with --pin {}",
        certificate.fingerprint
    )]
    OldVersion {
        /// The host.
        host: String,
        /// What it shows.
        certificate: Box<Certificate>,
    },
    /// An RSA key of a length with which nothing can be proven.
    #[error(
        "the certificate of {host} can't be used: {} too {} (RSA with {bits} bits; 2048 to 8192 are required); the server's \
         administrator must replace it",
        match authority {
            None => "its key is".to_owned(),
            Some(name) => format!("the key of the authority {name:?} that signed it is"),
        },
        if *bits < 2048 { "short" } else { "long" }
    )]
    KeyLength {
        /// The host.
        host: String,
        /// How long the key is.
        bits: usize,
        /// Whose key it is, if not the server's.
        authority: Option<String>,
    },
    /// Not the one that it must be ([`TlsOptions::pin`](super::TlsOptions::pin)).
    #[error(
        "THE CERTIFICATE OF {host} IS NOT THE PINNED ONE: expected {expected}, got {found}; either it was replaced (ask the server's \
         administrator, then pin the new one), or an attacker is intercepting the connection"
    )]
    PinMismatch {
        /// The host.
        host: String,
        /// The one that it must be.
        expected: Fingerprint,
        /// What it shows.
        found: Box<Certificate>,
    },
    /// Not the one that was accepted before ([`TlsOptions::known`](super::TlsOptions::known)), nor signed by the accepted authority, nor
    /// one that is trusted anyway.
    #[error(
        "THE {} OF {host} HAS CHANGED since it was accepted: known {}, got {found}; either it was replaced (ask the server's \
         administrator, then remove the old one from the known servers, to be asked again), or an attacker is intercepting the connection",
        match known {
            Known::Certificate(_) => "CERTIFICATE",
            Known::Authority(_) => "AUTHORITY",
        },
        match known {
            Known::Certificate(fingerprint) => fingerprint.to_string(),
            Known::Authority(authority) => authority.certificate().to_string(),
        }
    )]
    Changed {
        /// The host.
        host: String,
        /// What was accepted.
        known: Known,
        /// What it shows.
        found: Box<Certificate>,
    },
    /// Past its end.
    #[error(
        "the certificate of {host} expired{}; the server's administrator must renew it (or this machine's clock is wrong)",
        on.as_ref().map(|date| format!(" on {date}")).unwrap_or_default()
    )]
    Expired {
        /// The host.
        host: String,
        /// The last day, as `2026-01-31` in UTC, if known.
        on: Option<String>,
    },
    /// Before its beginning.
    #[error(
        "the certificate of {host} is not valid yet{}; check this machine's clock",
        from.as_ref().map(|date| format!(", only from {date}")).unwrap_or_default()
    )]
    NotYetValid {
        /// The host.
        host: String,
        /// The first day, as `2026-01-31` in UTC, if known.
        from: Option<String>,
    },
    /// For other names.
    #[error("the certificate is not for {host}, {}", whose(names))]
    WrongName {
        /// The host.
        host: String,
        /// The names it is for; empty if it has none.
        names: Vec<String>,
    },
    /// Refused for another reason.
    #[error(
        "the certificate of {host} cannot be accepted: {reason}; the server's administrator must replace it"
    )]
    BadCertificate {
        /// The host.
        host: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Only TLS 1.1 or older.
    #[error(
        "{host} supports only TLS versions older than 1.2, which are no longer secure; its administrator must update it or enable TLS 1.2"
    )]
    TooOld {
        /// The host.
        host: String,
    },
    /// Nothing in common: ciphers, key exchanges.
    #[error(
        "{host} and imapadm have no cipher suite in common ({reason}); the server's administrator must enable current cipher suites"
    )]
    Incompatible {
        /// The host.
        host: String,
        /// What is missing.
        reason: String,
    },
    /// The other side answered in clear.
    #[error(
        "{host} does not use TLS on this port; it answered in cleartext{}; connect without --tls, so that STARTTLS is used, or give the \
         TLS port, usually 993",
        if said.is_empty() { String::new() } else { format!(" ({said:?})") }
    )]
    Plaintext {
        /// The host.
        host: String,
        /// The beginning of what it said, safe to show.
        said: String,
    },
    /// Closed in the middle.
    #[error(
        "{host} closed the connection during the TLS handshake; check the server's log for the reason, and check the port"
    )]
    Closed {
        /// The host.
        host: String,
    },
    /// Too slow.
    #[error(
        "{host} did not finish the TLS handshake within {}; check that the port uses TLS, or allow more time",
        seconds(after)
    )]
    TimedOut {
        /// The host.
        host: String,
        /// The limit.
        after: Duration,
    },
    /// The interrupt flag is raised.
    #[error("interrupted during the TLS handshake")]
    Interrupted,
    /// The server wants a certificate from us.
    #[error(
        "{host} requires a client certificate; give one that this server accepts, and its private key"
    )]
    ClientCertificateDemanded {
        /// The host.
        host: String,
    },
    /// The server does not take ours.
    #[error(
        "{host} refused the client certificate ({reason}); give one that is signed by an authority this server \
         trusts and that has not expired"
    )]
    ClientCertificateRefused {
        /// The host.
        host: String,
        /// The server's alert, in words.
        reason: &'static str,
    },
    /// The server ended the handshake for another reason.
    #[error("{host} ended TLS with the alert {alert}; check the server's log for the reason")]
    Alert {
        /// The host.
        host: String,
        /// The alert's name.
        alert: String,
    },
    /// TLS is on already: a fault of the caller.
    #[error("TLS is already on; this is a fault of imapadm, please report it")]
    AlreadyOn,
    /// The connection broke.
    #[error(
        "the connection to {host} broke during the TLS handshake: {}; try again",
        words(source)
    )]
    Broken {
        /// The host.
        host: String,
        /// The system's reason.
        source: io::Error,
    },
    /// Anything else that rustls reports.
    #[error(
        "TLS with {host} failed: {reason}; try again, and check the server's log if this happens again"
    )]
    Other {
        /// The host.
        host: String,
        /// rustls's words.
        reason: String,
    },
}

/// The rest of the sentence about a wrong name.
fn whose(names: &[String]) -> String {
    const SHOWN: usize = 8;
    if names.is_empty() {
        return "and names no host at all (a common name alone no longer counts); the server's administrator \
                must replace it with one that has a subject alternative name"
            .to_owned();
    }
    let mut list = names
        .iter()
        .take(SHOWN)
        .map(|name| plain_name(name))
        .collect::<Vec<_>>()
        .join(", ");
    if names.len() > SHOWN {
        list.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    format!("but for {list}; connect to the server by a name that its certificate has")
}

/// rustls writes names as `DnsName("mail")`, its Debug form; only what is inside means something to a user.
fn plain_name(name: &str) -> String {
    let inner = match (name.find('('), name.rfind(')')) {
        (Some(start), Some(end)) if start < end => &name[start + 1..end],
        _ => name,
    };
    inner
        .trim_matches('"')
        .chars()
        .filter(|letter| !letter.is_control())
        .collect()
}

impl TlsError {
    /// rustls's error in our terms. `first` is how the server's first bytes began.
    pub(super) fn from_rustls(host: &str, error: Error, first: &[u8], client: Client) -> Self {
        let host = host.to_owned();
        match error {
            Error::InvalidCertificate(error) => certificate(host, error),
            Error::NoCertificatesPresented => TlsError::BadCertificate {
                host,
                reason: "there is none".to_owned(),
            },
            // The record types of TLS are 20 to 24 (RFC 8446 section 5.1): anything else is another protocol.
            Error::InvalidMessage(_)
                if first.first().is_some_and(|byte| !(20..=24).contains(byte)) =>
            {
                TlsError::Plaintext {
                    host,
                    said: first_line(first),
                }
            }
            Error::PeerIncompatible(
                PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
            ) => TlsError::TooOld { host },
            Error::PeerIncompatible(reason) => TlsError::Incompatible {
                host,
                reason: format!("{reason:?}"),
            },
            Error::AlertReceived(alert) => from_alert(host, alert, client),
            error => TlsError::Other {
                host,
                reason: error.to_string(),
            },
        }
    }
}

fn certificate(host: String, error: CertificateError) -> TlsError {
    match error {
        CertificateError::Expired => TlsError::Expired { host, on: None },
        CertificateError::ExpiredContext { not_after, .. } => TlsError::Expired {
            host,
            on: date(not_after),
        },
        CertificateError::NotValidYet => TlsError::NotYetValid { host, from: None },
        CertificateError::NotValidYetContext { not_before, .. } => TlsError::NotYetValid {
            host,
            from: date(not_before),
        },
        CertificateError::NotValidForName => TlsError::WrongName {
            host,
            names: Vec::new(),
        },
        CertificateError::NotValidForNameContext { presented, .. } => TlsError::WrongName {
            host,
            names: presented.iter().map(|name| plain_name(name)).collect(),
        },
        // What is wrong with signatures in the chain is told apart by the verifier, so this is the handshake's.
        CertificateError::BadSignature => TlsError::BadCertificate {
            host,
            reason: "the server did not prove that it has the private key, so an attacker may be intercepting the connection"
                .to_owned(),
        },
        CertificateError::UnsupportedSignatureAlgorithmContext { .. } => TlsError::BadCertificate {
            host,
            reason: "its signature algorithm is unknown or no longer secure, such as SHA-1"
                .to_owned(),
        },
        CertificateError::Other(other) => match other.0.downcast_ref::<Refusal>() {
            Some(refusal) => refused(host, refusal),
            None => TlsError::BadCertificate {
                host,
                reason: other.to_string(),
            },
        },
        error => TlsError::BadCertificate {
            host,
            reason: error.to_string(),
        },
    }
}

/// What our own verifier says.
fn refused(host: String, refusal: &Refusal) -> TlsError {
    let boxed = |certificate: &Certificate| Box::new(certificate.clone());
    match refusal {
        Refusal::SelfSigned(certificate) => TlsError::SelfSigned {
            host,
            certificate: boxed(certificate),
        },
        Refusal::UnknownIssuer { found, authority } => TlsError::UnknownIssuer {
            host,
            certificate: boxed(found),
            authority: authority.clone(),
        },
        Refusal::OtherKey(certificate) => TlsError::AuthorityMismatch {
            host,
            certificate: boxed(certificate),
        },
        Refusal::OldVersion(certificate) => TlsError::OldVersion {
            host,
            certificate: boxed(certificate),
        },
        Refusal::KeyLength { key, authority } => TlsError::KeyLength {
            host,
            bits: key.bits,
            authority: authority.clone(),
        },
        Refusal::NotPinned { pin, found } => TlsError::PinMismatch {
            host,
            expected: *pin,
            found: boxed(found),
        },
        Refusal::NotKnown { known, found } => TlsError::Changed {
            host,
            known: known.clone(),
            found: boxed(found),
        },
    }
}

/// What became of the client's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Client {
    /// The server has not asked for one.
    NotAsked,
    /// It asked, and there was none.
    Lacking,
    /// It asked, and got one.
    Shown,
}

/// An alert from the server (RFC 8446 section 6.2, RFC 5246 section 7.2.2).
fn from_alert(host: String, alert: AlertDescription, client: Client) -> TlsError {
    let about = |reason: &'static str| match client {
        Client::Shown => TlsError::ClientCertificateRefused {
            host: host.clone(),
            reason,
        },
        // Before TLS 1.3 there was no alert of its own for a certificate that is missing.
        Client::Lacking => TlsError::ClientCertificateDemanded { host: host.clone() },
        Client::NotAsked => TlsError::Alert {
            host: host.clone(),
            alert: format!("{alert:?}"),
        },
    };
    match alert {
        AlertDescription::CertificateRequired => TlsError::ClientCertificateDemanded { host },
        AlertDescription::NoCertificate => TlsError::ClientCertificateDemanded { host },
        AlertDescription::BadCertificate => about("bad certificate"),
        AlertDescription::UnsupportedCertificate => about("unsupported kind of certificate"),
        AlertDescription::CertificateRevoked => about("it is revoked"),
        AlertDescription::CertificateExpired => about("it has expired"),
        AlertDescription::CertificateUnknown => about("certificate unknown"),
        AlertDescription::UnknownCA => about("its authority is unknown to the server"),
        AlertDescription::AccessDenied => about("access denied"),
        AlertDescription::ProtocolVersion => TlsError::TooOld { host },
        // Who asks for a certificate has found a way to encrypt before: it is about the certificate.
        AlertDescription::HandshakeFailure if client != Client::NotAsked => {
            about("the server's alert HandshakeFailure")
        }
        AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => {
            TlsError::Incompatible {
                host,
                reason: format!("the server's alert {alert:?}"),
            }
        }
        alert => TlsError::Alert {
            host,
            alert: format!("{alert:?}"),
        },
    }
}

/// The printable beginning of the first line.
fn first_line(bytes: &[u8]) -> String {
    let line = bytes
        .split(|byte| b"\r\n".contains(byte))
        .next()
        .unwrap_or_default();
    line.iter()
        .map_while(|&byte| (byte.is_ascii_graphic() || byte == b' ').then_some(char::from(byte)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_about_certificates_depend_on_having_shown_one() {
        let error = |alert, client| {
            TlsError::from_rustls("mail", Error::AlertReceived(alert), b"\x15", client)
        };
        use AlertDescription::{
            BadCertificate, CertificateRequired, HandshakeFailure, ProtocolVersion, UnknownCA,
            UnrecognisedName,
        };
        for alert in [CertificateRequired, BadCertificate, HandshakeFailure] {
            assert!(matches!(
                error(alert, Client::Lacking),
                TlsError::ClientCertificateDemanded { .. }
            ));
        }
        for alert in [UnknownCA, HandshakeFailure] {
            assert!(matches!(
                error(alert, Client::Shown),
                TlsError::ClientCertificateRefused { .. }
            ));
        }
        assert!(matches!(
            error(HandshakeFailure, Client::NotAsked),
            TlsError::Incompatible { .. }
        ));
        assert!(matches!(
            error(BadCertificate, Client::NotAsked),
            TlsError::Alert { .. }
        ));
        assert!(matches!(
            error(ProtocolVersion, Client::Shown),
            TlsError::TooOld { .. }
        ));
        assert!(matches!(
            error(UnrecognisedName, Client::Shown),
            TlsError::Alert { .. }
        ));
    }

    #[test]
    fn names_in_words() {
        assert_eq!(
            plain_name("DnsName(\"mail.example.org\")"),
            "mail.example.org"
        );
        assert_eq!(plain_name("IpAddress(127.0.0.1)"), "127.0.0.1");
        assert_eq!(plain_name("mail"), "mail");
        let names: Vec<String> = (0..10).map(|number| format!("n{number}")).collect();
        assert!(whose(&names).contains("n7 and 2 more"));
        assert!(whose(&[]).contains("no host at all"));
    }

    #[test]
    fn what_was_said_is_safe_to_show() {
        assert_eq!(first_line(b"* OK hello\r\n* x"), "* OK hello");
        assert_eq!(first_line(b"\x1b[2J"), "");
        assert_eq!(first_line(b""), "");
    }
}
