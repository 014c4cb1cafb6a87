//! The server's certificate: whether to trust it, and, when not, why in terms a user can act on.
//!
//! rustls does the checking. What is added: a certificate that signed itself is told from one with an unknown
//! authority, and a certificate that the user gave as trusted is trusted even if it is the server's own.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme};

/// How far to trust the server's certificate.
#[derive(Debug)]
pub(super) enum Trust {
    /// As far as these roots vouch for it, or if it is itself one of `pinned`.
    Roots {
        roots: Arc<WebPkiServerVerifier>,
        pinned: Vec<CertificateDer<'static>>,
    },
    /// Blindly. The handshake's signatures are still checked, so the peer does have the certificate's key.
    Anyone,
}

/// Our verifier for rustls.
#[derive(Debug)]
pub(super) struct Verifier {
    pub(super) trust: Trust,
    pub(super) provider: Arc<CryptoProvider>,
}

/// The mark, inside a [`CertificateError`], of a certificate that signed itself.
#[derive(Debug, thiserror::Error)]
#[error("the certificate is self-signed")]
pub(super) struct SelfSigned;

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Trust::Roots { roots, pinned } = &self.trust else {
            return Ok(ServerCertVerified::assertion());
        };
        let facts = Facts::read(end_entity);
        // `openssl req -x509` makes self-signed certificates that say they are authorities. The usual check
        // refuses these for a server, even as the user's own root, so that «give it with --cafile» would fail
        // for the very certificates people have.
        if let Some(facts) = &facts
            && pinned.iter().any(|pin| pin.as_ref() == end_entity.as_ref())
        {
            facts.check_time(now)?;
            verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
            return Ok(ServerCertVerified::assertion());
        }
        roots
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            .map_err(|error| match error {
                // `Other` is, among others, an authority's certificate used for a server.
                Error::InvalidCertificate(
                    CertificateError::UnknownIssuer
                    | CertificateError::BadSignature
                    | CertificateError::Other(_),
                ) if facts
                    .as_ref()
                    .is_some_and(|facts| facts.issuer == facts.subject) =>
                {
                    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(
                        SelfSigned,
                    ))))
                }
                error => error,
            })
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

/// What is read from a certificate (RFC 5280 section 4.1) beside what rustls checks.
struct Facts<'a> {
    issuer: &'a [u8],
    subject: &'a [u8],
    /// Seconds since 1970.
    not_before: u64,
    /// Seconds since 1970.
    not_after: u64,
}

impl<'a> Facts<'a> {
    /// `None` if the certificate is not laid out as one; rustls then has the word.
    fn read(certificate: &'a [u8]) -> Option<Self> {
        const SEQUENCE: u8 = 0x30;
        const VERSION: u8 = 0xa0;
        let mut outer = Der(certificate);
        let mut certificate = Der(outer.expect(SEQUENCE)?);
        let mut fields = Der(certificate.expect(SEQUENCE)?);
        if fields.0.first() == Some(&VERSION) {
            fields.next()?;
        }
        let _serial = fields.next()?;
        let _algorithm = fields.expect(SEQUENCE)?;
        let issuer = fields.expect(SEQUENCE)?;
        let mut validity = Der(fields.expect(SEQUENCE)?);
        let subject = fields.expect(SEQUENCE)?;
        Some(Facts {
            issuer,
            subject,
            not_before: time(validity.next()?)?,
            not_after: time(validity.next()?)?,
        })
    }

    fn check_time(&self, now: UnixTime) -> Result<(), CertificateError> {
        let at = |seconds| UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        if now.as_secs() < self.not_before {
            return Err(CertificateError::NotValidYetContext {
                time: now,
                not_before: at(self.not_before),
            });
        }
        if now.as_secs() > self.not_after {
            return Err(CertificateError::ExpiredContext {
                time: now,
                not_after: at(self.not_after),
            });
        }
        Ok(())
    }
}

/// A walk over DER items that stand one after another.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The next item's tag and content.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, mut rest) = rest.split_first()?;
        let mut length = usize::from(first);
        if first >= 0x80 {
            let count = usize::from(first & 0x7f);
            if !(1..=4).contains(&count) {
                return None;
            }
            let (bytes, after) = rest.split_at_checked(count)?;
            // Four bytes fit a usize wherever this runs.
            length = bytes.iter().try_fold(0usize, |sum, &byte| {
                sum.checked_mul(256)?.checked_add(byte.into())
            })?;
            rest = after;
        }
        let (content, after) = rest.split_at_checked(length)?;
        self.0 = after;
        Some((tag, content))
    }

    fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next()
            .and_then(|(found, content)| (found == tag).then_some(content))
    }
}

/// A `Time` (RFC 5280 section 4.1.2.5) as seconds since 1970; an earlier one as 0.
fn time((tag, content): (u8, &[u8])) -> Option<u64> {
    const UTC_TIME: u8 = 0x17;
    const GENERALIZED_TIME: u8 = 0x18;
    let digits = content.strip_suffix(b"Z")?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let text = std::str::from_utf8(digits).ok()?;
    let (year, rest) = match (tag, text.len()) {
        (UTC_TIME, 12) => {
            let year: i64 = text.get(..2)?.parse().ok()?;
            (
                if year < 50 { 2000 + year } else { 1900 + year },
                &text[2..],
            )
        }
        (GENERALIZED_TIME, 14) => (text.get(..4)?.parse().ok()?, &text[4..]),
        _ => return None,
    };
    let part = |at: usize| rest.get(at..at + 2)?.parse::<i64>().ok();
    let days = days_from_civil(year, part(0)?, part(2)?);
    let seconds = ((days * 24 + part(4)?) * 60 + part(6)?) * 60 + part(8)?;
    Some(u64::try_from(seconds).unwrap_or(0))
}

/// Days from 1970-01-01 in the Gregorian calendar. Years begin in March here, so that the leap day is the last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// A time as `2026-01-31`, in UTC.
pub(super) fn date(time: UnixTime) -> String {
    // A certificate's year has four digits; anything later is shown as the last such day.
    let days = i64::try_from(time.as_secs() / 86_400)
        .unwrap_or(i64::MAX)
        .min(2_932_896)
        + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    #[test]
    fn times_of_certificates() {
        assert_eq!(time((0x17, b"700101000000Z")), Some(0));
        assert_eq!(time((0x17, b"491231235959Z")), Some(2_524_607_999));
        assert_eq!(time((0x18, b"20240229120001Z")), Some(1_709_208_001));
        assert_eq!(time((0x18, b"19500101000000Z")), Some(0));
        assert_eq!(time((0x18, b"99991231235959Z")), Some(253_402_300_799));
        assert_eq!(time((0x17, b"7001010000Z")), None);
        assert_eq!(time((0x17, b"70010100000xZ")), None);
    }

    #[test]
    fn what_a_certificate_says() {
        let mut params = rcgen::CertificateParams::new(vec!["mail".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2001, 2, 3);
        params.not_after = rcgen::date_time_ymd(2051, 12, 31);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let facts = Facts::read(certificate.der()).unwrap();
        assert_eq!(facts.issuer, facts.subject);
        assert!(!facts.issuer.is_empty());
        let shown = |seconds| date(UnixTime::since_unix_epoch(Duration::from_secs(seconds)));
        assert_eq!(shown(facts.not_before), "2001-02-03");
        assert_eq!(shown(facts.not_after), "2051-12-31");
        let der: &[u8] = certificate.der();
        for end in 0..der.len() {
            assert!(Facts::read(&der[..end]).is_none());
        }
    }

    proptest! {
        #[test]
        fn dates_go_both_ways(days in 0i64..2_932_896) {
            let seconds = u64::try_from(days * 86_400).unwrap();
            let shown = date(UnixTime::since_unix_epoch(Duration::from_secs(seconds + 5)));
            let digits = shown.replace('-', "");
            let stamp = format!("{digits}000000Z");
            prop_assert_eq!(time((0x18, stamp.as_bytes())), Some(seconds));
        }

        #[test]
        fn any_bytes_are_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = Facts::read(&bytes);
            let _ = time((0x17, &bytes));
        }
    }
}
