//! A server's certificate in words, and its fingerprint: what a person needs to decide about it.
//!
//! Lives here: reading a certificate (x509-parser does it) and naming it by its fingerprint. Not here: whether it is
//! trusted (`verify`), and where accepted ones are remembered, which is the shell's business.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use rustls::pki_types::UnixTime;
use sha2::{Digest as _, Sha256};
use x509_parser::certificate::X509Certificate;
use x509_parser::error::X509Error;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::objects::oid_registry;
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey;
use x509_parser::time::ASN1Time;
use x509_parser::x509::{X509Name, X509Version};

/// Characters kept of one name; a host's has 253 at most (RFC 1035 section 2.3.4).
const LONGEST_NAME: usize = 300;
/// Names kept of one certificate.
const MOST_NAMES: usize = 100;

/// What a certificate says of itself (RFC 5280 section 4.1), in words.
///
/// All of it is the server's claim. Control characters are removed and lengths are bounded; characters that change the
/// direction of writing are not removed, so escape it before it reaches a terminal. What can't be read is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Whose it is, such as `CN=mail.example.org, O=Example`.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// The first day, as `2026-01-31` in UTC.
    pub not_before: String,
    /// The last day, as `2026-01-31` in UTC.
    pub not_after: String,
    /// The host names and IP addresses that it is for (the subject alternative names).
    pub names: Vec<String>,
    /// What tells it from all others.
    pub fingerprint: Fingerprint,
}

impl Certificate {
    /// Reads a certificate in DER form. One that is none has a fingerprint and nothing else.
    pub(super) fn read(der: &[u8]) -> Self {
        let mut certificate = Certificate {
            subject: String::new(),
            issuer: String::new(),
            not_before: String::new(),
            not_after: String::new(),
            names: Vec::new(),
            fingerprint: Fingerprint::of(der),
        };
        if let Some(parsed) = parse(der) {
            certificate.subject = distinguished(parsed.subject());
            certificate.issuer = distinguished(parsed.issuer());
            certificate.not_before = day(parsed.validity().not_before);
            certificate.not_after = day(parsed.validity().not_after);
            certificate.names = names(&parsed);
        }
        certificate
    }
}

/// On one line, the fingerprint first.
impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.fingerprint)?;
        if self.not_after.is_empty() {
            return f.write_str(" (its contents cannot be read)");
        }
        // Quoted, so that a name can't pass for the words around it.
        write!(
            f,
            " (subject {:?}, issuer {:?}, valid from {} to {})",
            self.subject, self.issuer, self.not_before, self.not_after
        )
    }
}

/// The certificate, if it is laid out as one.
pub(super) fn parse(der: &[u8]) -> Option<X509Certificate<'_>> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Some(certificate),
        _ => None,
    }
}

/// The certificate of an authority, by which the user trusts whatever it signs for one server.
#[derive(Clone, PartialEq, Eq)]
pub struct Authority {
    der: Vec<u8>,
    certificate: Certificate,
}

impl Authority {
    /// Reads a certificate in DER form; `None` if it is none, or not an authority's (RFC 5280 section 4.2.1.9).
    pub fn from_der(der: Vec<u8>) -> Option<Self> {
        parse(&der).filter(|parsed| parsed.is_ca())?;
        let certificate = Certificate::read(&der);
        Some(Authority { der, certificate })
    }

    /// The certificate in DER form.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// What stands in it.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authority({})", self.certificate)
    }
}

/// What a user accepted by hand for a server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Known {
    /// One certificate: another one is a change.
    Certificate(Fingerprint),
    /// An authority: whatever certificate it signs for the server's name is accepted while it is valid.
    Authority(Box<Authority>),
}

impl Known {
    /// The fingerprint of the certificate, the server's or the authority's.
    pub fn fingerprint(&self) -> Fingerprint {
        match self {
            Known::Certificate(fingerprint) => *fingerprint,
            Known::Authority(authority) => authority.certificate.fingerprint,
        }
    }
}

/// Whether it is of version 3, and so can name hosts (RFC 5280 section 4.1.2.1).
pub(super) fn has_extensions(certificate: &X509Certificate<'_>) -> bool {
    certificate.version() == X509Version::V3
}

/// Whether it is signed with its own key. An authority that has the name of what it signed is still another one.
pub(super) fn signed_itself(certificate: &X509Certificate<'_>) -> bool {
    if certificate.issuer().as_raw() != certificate.subject().as_raw() {
        return false;
    }
    match certificate.verify_signature(None) {
        Ok(()) => true,
        // Too old or too rare a way to sign, or too short a key: what remains is what it says of its keys.
        Err(X509Error::SignatureUnsupportedAlgorithm) => says_it_signed_itself(certificate),
        Err(_) => {
            key_of(certificate).is_some_and(|key| !key.is_usable())
                && says_it_signed_itself(certificate)
        }
    }
}

/// Whether the names of the key that signed it and of its own key, where it has both, are one (RFC 5280 section 4.2.1.1).
fn says_it_signed_itself(certificate: &X509Certificate<'_>) -> bool {
    let mut signer = None;
    let mut own = None;
    for extension in certificate.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(id) => signer = id.key_identifier.as_ref(),
            ParsedExtension::SubjectKeyIdentifier(id) => own = Some(id),
            _ => {}
        }
    }
    signer.is_none() || own.is_none() || signer == own
}

/// An RSA key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RsaKey {
    /// The length of its modulus.
    pub(super) bits: usize,
}

impl RsaKey {
    /// The lengths that ring can check signatures of; shorter ones are no longer safe.
    pub(super) const USABLE: std::ops::RangeInclusive<usize> = 2048..=8192;

    pub(super) fn is_usable(self) -> bool {
        Self::USABLE.contains(&self.bits)
    }
}

/// The certificate's key, if it is an RSA key.
pub(super) fn rsa_key(der: &[u8]) -> Option<RsaKey> {
    key_of(&parse(der)?)
}

fn key_of(certificate: &X509Certificate<'_>) -> Option<RsaKey> {
    let PublicKey::RSA(key) = certificate.public_key().parsed().ok()? else {
        return None;
    };
    let zeros = key.modulus.iter().take_while(|&&byte| byte == 0).count();
    let modulus = key.modulus.get(zeros..)?;
    let unused = modulus.first()?.leading_zeros();
    Some(RsaKey {
        bits: modulus.len() * 8 - usize::try_from(unused).unwrap_or(0),
    })
}

fn distinguished(name: &X509Name<'_>) -> String {
    // An error is a string in none of the usual encodings.
    name.to_string_with_registry(oid_registry())
        .map(|text| tame(&text))
        .unwrap_or_default()
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    extension
        .value
        .general_names
        .iter()
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(tame(name)),
            GeneralName::IPAddress(bytes) => <[u8; 4]>::try_from(*bytes)
                .map(IpAddr::from)
                .or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from))
                .ok()
                .map(|ip| ip.to_string()),
            _ => None,
        })
        .take(MOST_NAMES)
        .collect()
}

/// A name from outside, without control characters and not longer than any honest one.
fn tame(name: &str) -> String {
    let mut letters = name.chars().filter(|letter| !letter.is_control());
    let mut kept: String = letters.by_ref().take(LONGEST_NAME).collect();
    if letters.next().is_some() {
        kept.push('…');
    }
    kept
}

/// A time's day as `2026-01-31`, in UTC.
fn day(time: ASN1Time) -> String {
    let time = time.to_datetime();
    format!(
        "{:04}-{:02}-{:02}",
        time.year(),
        u8::from(time.month()),
        time.day()
    )
}

/// The same for rustls's times; `None` for one that no calendar has.
pub(super) fn date(time: UnixTime) -> Option<String> {
    let seconds = i64::try_from(time.as_secs()).ok()?;
    Some(day(ASN1Time::from_timestamp(seconds).ok()?))
}

/// A certificate's fingerprint: the SHA-256 of its DER form, written `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of a certificate in DER form.
    pub fn of(der: &[u8]) -> Self {
        Fingerprint(Sha256::digest(der).into())
    }
}

/// `sha256:` and the digits; with `#`, as openssl writes them: capitals in pairs, with colons.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            let pairs: Vec<_> = self.0.iter().map(|byte| format!("{byte:02X}")).collect();
            return f.write_str(&pairs.join(":"));
        }
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// A text that is no fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid fingerprint {text:?}; write sha256: and 64 hexadecimal digits, with or without colons \
     between the pairs, as `openssl x509 -in FILE -noout -fingerprint -sha256` shows them"
)]
pub struct FingerprintError {
    /// The beginning of what was written.
    pub text: String,
}

/// Reads 64 digits, or 32 pairs of digits with colons between them, behind `sha256:` or as openssl writes it behind
/// `sha256 Fingerprint=`; capitals are as good.
impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        digits(text)
            .map(Fingerprint)
            .ok_or_else(|| FingerprintError {
                text: text.chars().take(120).collect(),
            })
    }
}

fn digits(text: &str) -> Option<[u8; 32]> {
    let behind = |start: &str| {
        let (head, digits) = text.split_at_checked(start.len())?;
        head.eq_ignore_ascii_case(start).then_some(digits)
    };
    let digits = behind("sha256:")
        .or_else(|| behind("sha256 Fingerprint="))
        .unwrap_or(text);
    if !digits.is_ascii() {
        return None;
    }
    // Pairs stand two apart, or three where a colon follows each but the last.
    let step = match digits.len() {
        64 => 2,
        95 => 3,
        _ => return None,
    };
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks(step)) {
        let (pair, colon) = pair.split_at_checked(2)?;
        if !matches!(colon, b"" | b":") {
            return None;
        }
        let digit = |letter: u8| char::from(letter).to_digit(16);
        *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn made(names: &[&str], common: &str) -> rcgen::Certificate {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = rcgen::CertificateParams::new(names).unwrap();
        params.not_before = rcgen::date_time_ymd(2001, 2, 3);
        params.not_after = rcgen::date_time_ymd(2051, 12, 31);
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, common);
        params
            .distinguished_name
            .push(rcgen::DnType::OrganizationName, "Post & Söhne");
        params
            .self_signed(&rcgen::KeyPair::generate().unwrap())
            .unwrap()
    }

    #[test]
    fn lengths_of_keys() {
        for (bits, usable) in [
            (1024, false),
            (2047, false),
            (2048, true),
            (8192, true),
            (8193, false),
        ] {
            assert_eq!(RsaKey { bits }.is_usable(), usable, "{bits}");
        }
        assert_eq!(rsa_key(made(&["mail"], "mail").der()), None);
        assert_eq!(rsa_key(b"no certificate"), None);
    }

    #[test]
    fn what_a_certificate_says() {
        let made = made(&["mail.example.org", "192.0.2.1", "2001:db8::1"], "mail");
        let read = Certificate::read(made.der());
        assert_eq!(read.subject, "CN=mail, O=Post & Söhne");
        assert_eq!(read.issuer, read.subject);
        assert_eq!(read.not_before, "2001-02-03");
        assert_eq!(read.not_after, "2051-12-31");
        assert_eq!(read.names, ["mail.example.org", "192.0.2.1", "2001:db8::1"]);
        assert_eq!(read.fingerprint, Fingerprint::of(made.der()));
        assert_eq!(
            read.to_string(),
            format!(
                "{} (subject \"CN=mail, O=Post & Söhne\", issuer \"CN=mail, O=Post & Söhne\", \
                 valid from 2001-02-03 to 2051-12-31)",
                read.fingerprint
            )
        );
    }

    #[test]
    fn nothing_in_it_plays_tricks() {
        let long = format!("\x1b[2J\r\n\"{}", "x".repeat(5000));
        let many: Vec<String> = (0..300).map(|number| format!("n{number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let read = Certificate::read(made(&many, &long).der());
        assert!(read.subject.starts_with("CN=[2J\"xxx") && read.subject.ends_with('…'));
        assert_eq!(read.subject.chars().count(), LONGEST_NAME + 1);
        assert_eq!(read.names.len(), MOST_NAMES);
        assert!(read.to_string().contains("CN=[2J\\\"xxx"));
    }

    #[test]
    fn what_is_no_certificate_has_a_fingerprint() {
        let made = made(&["mail"], "mail");
        let der: &[u8] = made.der();
        for end in 0..der.len() {
            assert!(parse(&der[..end]).is_none());
        }
        let longer = [der, b"x"].concat();
        assert!(parse(&longer).is_none());
        let read = Certificate::read(&longer);
        assert_eq!(read.subject, "");
        assert!(read.to_string().contains("cannot be read"), "{read}");
    }

    #[test]
    fn days() {
        let date = |seconds| date(UnixTime::since_unix_epoch(Duration::from_secs(seconds)));
        assert_eq!(date(0).unwrap(), "1970-01-01");
        assert_eq!(date(1_709_208_001).unwrap(), "2024-02-29");
        assert_eq!(date(253_402_300_799).unwrap(), "9999-12-31");
        assert_eq!(date(u64::MAX), None);
    }

    #[test]
    fn fingerprints() {
        // SHA-256 of "abc" (FIPS 180-2 appendix B.1).
        let text = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let fingerprint = Fingerprint::of(b"abc");
        assert_eq!(fingerprint.to_string(), text);
        assert_eq!(format!("{fingerprint:?}"), format!("Fingerprint({text})"));
        let colons = "SHA256:BA:78:16:BF:8F:01:CF:EA:41:41:40:DE:5D:AE:22:23:\
                      B0:03:61:A3:96:17:7A:9C:B4:10:FF:61:F2:00:15:AD";
        let digits = text.strip_prefix("sha256:").unwrap();
        let openssl = format!("sha256 Fingerprint={fingerprint:#}");
        for good in [text, &text.to_uppercase(), colons, digits, &openssl] {
            assert_eq!(good.parse(), Ok(fingerprint), "{good}");
        }
        let sha1 = format!("sha1:{digits}");
        let dashes = colons.replace(':', "-").replacen('-', ":", 1);
        let short = &text[..text.len() - 1];
        let odd = text.replace('b', "+");
        let wide = format!("{}é", &text[..text.len() - 2]);
        let end = format!("{}:", &colons[..colons.len() - 1]);
        for bad in ["", "sha256:", &sha1, &dashes, short, &odd, &wide, &end] {
            let error = bad.parse::<Fingerprint>().unwrap_err();
            assert!(error.to_string().contains("-fingerprint -sha256"), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn fingerprints_go_both_ways(bytes: [u8; 32]) {
            let fingerprint = Fingerprint(bytes);
            prop_assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
        }

        #[test]
        fn any_text_is_no_harm(text in "(sha256:)?[0-9a-f:é]{0,100}") {
            let _ = text.parse::<Fingerprint>();
        }

        #[test]
        fn damage_is_no_harm(spots in proptest::collection::vec((0usize..600, any::<u8>()), 0..8)) {
            static DER: std::sync::LazyLock<Vec<u8>> =
                std::sync::LazyLock::new(|| made(&["mail", "192.0.2.1"], "mail").der().to_vec());
            let mut der = DER.clone();
            for (at, byte) in spots {
                let at = at % der.len();
                der[at] = byte;
            }
            let _ = Certificate::read(&der).to_string();
        }
    }
}
