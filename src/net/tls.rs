//! What to trust in TLS and who to be: the options, and the rustls configuration made of them.
//!
//! Not here: the files that they name (`pem`), the handshake (`tls_layer`), the check of the server's certificate (`verify`), and
//! what goes wrong with either (`tls_error`).

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::client::ResolvesClientCert;
use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, SignatureScheme};

use super::certificate::{Fingerprint, Known};
use super::pem::{FileError, Pem, read_certificates, read_key};
use super::roots::Roots;
use super::tls_error::Client;
use super::verify::{Accepted, Trust, Verifier, vouching};

/// What to trust, and who to be, in TLS. TLS 1.2 is the oldest version spoken.
///
/// ```
/// use imapadm::net::{ClientIdentity, Roots, TlsOptions};
///
/// let options = TlsOptions::new()
///     .roots(Roots::public().and(Roots::file("/etc/ssl/company-ca.pem")))
///     .identity(ClientIdentity::file("/etc/imapadm/client.pem"))
///     .server_name("imap.example.org");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsOptions {
    /// Whether the server's certificate is checked. Without, anyone in between can pose as the server.
    pub verify: bool,
    /// The authorities that are trusted.
    pub roots: Roots,
    /// The one certificate that the server may have, whoever signed it and whatever its names and dates; `verify`, `known` and `roots`
    /// then mean nothing.
    pub pin: Option<Fingerprint>,
    /// What was accepted before, by hand: the server's certificate, or its authority. It is accepted again where the usual check refuses
    /// it, and any other that is refused is [`TlsError::Changed`](super::TlsError::Changed).
    pub known: Option<Known>,
    /// The client's own certificate and key.
    pub identity: Option<ClientIdentity>,
    /// The name the server's certificate must have, when it is not the host's; the server is asked for it too (SNI,
    /// RFC 6066 section 3).
    pub server_name: Option<String>,
    /// A configuration of the caller's own; all other options but `server_name` then mean nothing.
    #[cfg(feature = "rustls-config")]
    pub config: Option<GivenConfig>,
}

/// A `rustls::ClientConfig` of the caller's own. Two are equal if they are the same one.
#[cfg(feature = "rustls-config")]
#[derive(Debug, Clone)]
pub struct GivenConfig(pub Arc<ClientConfig>);

#[cfg(feature = "rustls-config")]
impl PartialEq for GivenConfig {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

#[cfg(feature = "rustls-config")]
impl Eq for GivenConfig {}

impl Default for TlsOptions {
    /// The certificate is checked against the public authorities; the client shows none.
    fn default() -> Self {
        TlsOptions {
            verify: true,
            roots: Roots::public(),
            pin: None,
            known: None,
            identity: None,
            server_name: None,
            #[cfg(feature = "rustls-config")]
            config: None,
        }
    }
}

impl TlsOptions {
    /// The certificate is checked against the public authorities; the client shows none.
    pub fn new() -> Self {
        TlsOptions::default()
    }

    /// Trusts these authorities instead of the public ones.
    #[must_use]
    pub fn roots(mut self, roots: Roots) -> Self {
        self.roots = roots;
        self
    }

    /// Accepts only the certificate with this fingerprint.
    #[must_use]
    pub fn pin(mut self, pin: Fingerprint) -> Self {
        self.pin = Some(pin);
        self
    }

    /// Accepts a certificate, or an authority, that was accepted by hand before.
    #[must_use]
    pub fn known(mut self, known: Known) -> Self {
        self.known = Some(known);
        self
    }

    /// Accepts any certificate. Anyone in between can then pose as the server.
    #[must_use]
    pub fn accept_anyone(mut self) -> Self {
        self.verify = false;
        self
    }

    /// Shows this certificate to a server that asks for one.
    #[must_use]
    pub fn identity(mut self, identity: ClientIdentity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Expects this name in the server's certificate instead of the host's.
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// Uses a configuration of the caller's own (feature `rustls-config`); all other options but the server's name then mean nothing.
    #[cfg(feature = "rustls-config")]
    #[must_use]
    pub fn config(mut self, config: Arc<ClientConfig>) -> Self {
        self.config = Some(GivenConfig(config));
        self
    }

    /// Reads every file named, so that a mistake can show before anything is sent.
    ///
    /// # Errors
    /// The first file that can't be used.
    pub fn check(&self) -> Result<(), FileError> {
        self.setup().map(drop)
    }

    /// The configuration for one connection, and what tells whether its server asked for a certificate.
    pub(super) fn setup(&self) -> Result<(Arc<ClientConfig>, Arc<Identity>), FileError> {
        #[cfg(feature = "rustls-config")]
        if let Some(GivenConfig(config)) = &self.config {
            let identity = Identity {
                key: None,
                asked: AtomicBool::new(false),
            };
            return Ok((Arc::clone(config), Arc::new(identity)));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = Verifier {
            trust: self.trust(&provider)?,
            provider: provider.clone(),
        };
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(FileError::Setup)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let key = self.identity.as_ref();
        let key = key.map(|identity| identity.read(&provider)).transpose()?;
        let identity = Arc::new(Identity {
            key: key.map(Arc::new),
            asked: AtomicBool::new(false),
        });
        let config = builder.with_client_cert_resolver(Arc::clone(&identity) as Arc<_>);
        Ok((Arc::new(config), identity))
    }

    fn trust(&self, provider: &Arc<CryptoProvider>) -> Result<Trust, FileError> {
        if let Some(pin) = self.pin {
            return Ok(Trust::Pinned(pin));
        }
        if !self.verify {
            return Ok(Trust::Anyone);
        }
        let (roots, given) = self.roots.read()?;
        let setup = |error: rustls::Error| FileError::Setup(error);
        let known = self.known.as_ref();
        Ok(Trust::Roots {
            roots: vouching(roots, provider).map_err(setup)?,
            given,
            known: known
                .map(|known| Accepted::new(known, provider))
                .transpose()
                .map_err(setup)?,
        })
    }
}

/// The client's own certificate, followed by its chain, and its private key (PEM: PKCS#8, PKCS#1 or SEC1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientIdentity {
    cert: Pem,
    /// `None`: in the same place.
    key: Option<Pem>,
}

impl ClientIdentity {
    /// Both in one file.
    pub fn file(both: impl Into<PathBuf>) -> Self {
        ClientIdentity {
            cert: Pem::File(both.into()),
            key: None,
        }
    }

    /// Each in its file.
    pub fn files(cert: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        ClientIdentity {
            cert: Pem::File(cert.into()),
            key: Some(Pem::File(key.into())),
        }
    }

    /// Each as a PEM text. Both are wiped from memory when they are dropped.
    pub fn pem(cert: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        ClientIdentity {
            cert: Pem::memory(cert),
            key: Some(Pem::memory(key)),
        }
    }

    fn read(&self, provider: &CryptoProvider) -> Result<CertifiedKey, FileError> {
        let chain = read_certificates(&self.cert)?;
        let key = self.key.as_ref().unwrap_or(&self.cert);
        let private = read_key(key, self.key.is_none())?;
        CertifiedKey::from_der(chain, private, provider).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => FileError::KeyMismatch {
                cert: self.cert.place(),
                key: key.place(),
            },
            error => FileError::BadKey {
                file: key.place(),
                reason: error.to_string(),
            },
        })
    }
}

/// The client's certificate and key, if it has any, and whether the server has asked for them.
#[derive(Debug)]
pub(super) struct Identity {
    key: Option<Arc<CertifiedKey>>,
    asked: AtomicBool,
}

impl Identity {
    /// What became of the client's certificate so far.
    pub(super) fn client(&self) -> Client {
        match (self.asked.load(Ordering::SeqCst), &self.key) {
            (false, _) => Client::NotAsked,
            (true, None) => Client::Lacking,
            (true, Some(_)) => Client::Shown,
        }
    }
}

impl ResolvesClientCert for Identity {
    fn resolve(
        &self,
        _authorities: &[&[u8]],
        _schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::SeqCst);
        self.key.clone()
    }

    fn has_certs(&self) -> bool {
        self.key.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::super::pem::LARGEST_FILE;
    use super::*;
    use std::fs::{self, File};
    use std::path::Path;
    use tempfile::TempDir;

    fn pair() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(vec!["me".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    fn put(dir: &TempDir, name: &str, text: &str) -> PathBuf {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn with_ca(file: PathBuf) -> Result<(), FileError> {
        TlsOptions::new().roots(Roots::file(file)).check()
    }

    fn with_cert(cert: &Path, key: Option<&Path>) -> Result<(), FileError> {
        let identity = match key {
            Some(key) => ClientIdentity::files(cert, key),
            None => ClientIdentity::file(cert),
        };
        TlsOptions::new().identity(identity).check()
    }

    #[test]
    fn the_defaults_work() {
        TlsOptions::default().check().unwrap();
    }

    #[test]
    fn files_of_authorities() {
        let dir = TempDir::new().unwrap();
        let (cert, key) = pair();
        with_ca(put(&dir, "good", &format!("a comment\n{cert}{cert}"))).unwrap();
        let missing = dir.path().join("missing");
        let error = with_ca(missing.clone()).unwrap_err();
        assert!(matches!(error, FileError::Unreadable { .. }));
        assert!(error.to_string().contains(&missing.display().to_string()));
        assert!(!error.to_string().contains("os error"), "{error}");
        assert!(matches!(
            with_ca(put(&dir, "empty", "")),
            Err(FileError::NoCertificate { .. })
        ));
        assert!(matches!(
            with_ca(put(&dir, "key", &key)),
            Err(FileError::NoCertificate { .. })
        ));
        let cut = &cert[..cert.len() / 2];
        assert!(matches!(
            with_ca(put(&dir, "cut", cut)),
            Err(FileError::BadPem { .. })
        ));
        let wrong = "-----BEGIN CERTIFICATE-----\n????\n-----END CERTIFICATE-----\n";
        assert!(matches!(
            with_ca(put(&dir, "b64", wrong)),
            Err(FileError::BadPem { .. })
        ));
        let junk = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(
            with_ca(put(&dir, "junk", junk)),
            Err(FileError::BadCertificate { .. })
        ));
        assert!(matches!(
            with_ca(dir.path().to_owned()),
            Err(FileError::Unreadable { .. })
        ));
        assert!(matches!(
            with_ca(PathBuf::from("/dev/zero")),
            Err(FileError::Unreadable { .. })
        ));
        let large = File::create(dir.path().join("large")).unwrap();
        large.set_len(LARGEST_FILE + 1).unwrap();
        assert!(matches!(
            with_ca(dir.path().join("large")),
            Err(FileError::TooLarge { .. })
        ));
    }

    #[test]
    fn folders_of_authorities() {
        let dir = TempDir::new().unwrap();
        let check = || TlsOptions::new().roots(Roots::folder(dir.path())).check();
        let (cert, key) = pair();
        put(&dir, "README", "not PEM, not read");
        put(&dir, "one.txt", &cert);
        assert!(matches!(check(), Err(FileError::EmptyDir { .. })));
        put(&dir, "key.pem", &key);
        put(
            &dir,
            "old.pem",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        );
        assert!(matches!(check(), Err(FileError::EmptyDir { .. })));
        put(&dir, "one.crt", &cert);
        std::os::unix::fs::symlink("one.crt", dir.path().join("5ed36f99.0")).unwrap();
        check().unwrap();
        assert_eq!(super::super::pem::read_dir(dir.path()).unwrap().len(), 2);
        std::os::unix::fs::symlink("gone.pem", dir.path().join("dangling.pem")).unwrap();
        assert!(matches!(check(), Err(FileError::Unreadable { .. })));
    }

    #[test]
    fn certificates_and_keys() {
        let dir = TempDir::new().unwrap();
        let (cert, key) = pair();
        let (_, other) = pair();
        let cert_file = put(&dir, "cert", &cert);
        let key_file = put(&dir, "key", &key);
        with_cert(&cert_file, Some(&key_file)).unwrap();
        with_cert(&put(&dir, "both", &format!("{key}{cert}")), None).unwrap();
        assert!(matches!(
            with_cert(&cert_file, None),
            Err(FileError::NoKeyBeside { .. })
        ));
        let empty = put(&dir, "empty", "");
        assert!(matches!(
            with_cert(&cert_file, Some(&empty)),
            Err(FileError::NoKey { .. })
        ));
        assert!(matches!(
            with_cert(&key_file, Some(&key_file)),
            Err(FileError::NoCertificate { .. })
        ));
        let other = put(&dir, "other", &other);
        assert!(matches!(
            with_cert(&cert_file, Some(&other)),
            Err(FileError::KeyMismatch { .. })
        ));
        for (label, extra) in [
            ("ENCRYPTED PRIVATE KEY", ""),
            (
                "RSA PRIVATE KEY",
                "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n",
            ),
        ] {
            let text = format!("-----BEGIN {label}-----\n{extra}AAAA\n-----END {label}-----\n");
            let file = put(&dir, "encrypted", &text);
            let error = with_cert(&cert_file, Some(&file)).unwrap_err();
            assert!(matches!(error, FileError::EncryptedKey { .. }), "{error}");
        }
        let junk = put(
            &dir,
            "junk",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        );
        assert!(matches!(
            with_cert(&cert_file, Some(&junk)),
            Err(FileError::BadKey { .. })
        ));
    }

    /// Made for this test, as nothing here makes RSA keys.
    const RSA: &str = "\
-----BEGIN PRIVATE KEY-----
MIIEvAIBADANBgkqhkiG9w0BAQEFAASCBKYwggSiAgEAAoIBAQCme8KOCDiduKIB
ZcecZutHFuEy8m0z/RKVH1mXNvPmuw/vOjTbpFTM2LOF6XE/m5ABpfIcjKysiB1b
NZgqBzsPqo7k0xIHRrEXTuGifr/BaImknszbcXPQ5Iy9hHps4EqLOedrh0u+trdM
I2myr3l4lK+boRzkdcu7RBmSSvLIQl2atcp3eIih2LnAzl5B3p3pR7TfjgpuxAHc
QEK3xeTdecSVseWBoEidwPzvq56BZ+rJuIWDjiH3eNEz25CoSX0ETkEyZf/0okP6
aOKMOZnew2xtYlZr1n0q/DgephNSZLP24TRUnAiQCaR8E4HNCNq7SkLjSzjustFA
iqB6g9GTAgMBAAECggEAOxrnCIvMpdod0gczZch4MSXjT7YXpQRs63pU0UWWM80n
rBPrHitqW8t3eMxXA3EUIDGtEguzZhFw8qfFXO5yPm6cCosQ9HpZdt/vZURAica2
TzZ9nk7aAkiR2trEqBC9Bk7JZTiEYLH3w1UzOlfn9TI8YjFB064qZVKZDYIETaoG
trVE2jBLgu3Uli100g0w8l7gXXGB/XtjEjz+N/5VJU36EpEDUqRbfA+WaIi6PstI
WuJLcbRVC62Rjv6TtxTndx+FRS2Tzvi+8FYEW1ZIsBEw+v9jVKNoskQVu8/YgJ4p
E/cmGySib3dYwHZ7BpUJV2YlshTJcIUHQeyxmLv3CQKBgQDlBq8owwID4bsoIlU/
KJ2VPkDfRN9vHkAJyv4vZwg46QMJ8wQJ8vOCRfIx0Xr3XECeZHr7GlNkyhYFDcRL
D+vEgiNMo7YLlzgHO4xi3NioQxFnmOxhIQNSPOnBIXULX9abSAoMBcICIE1C2tYh
5GMffhJthihGe1Z2upBhNVP3RQKBgQC6F12MAKe0NrLsxsDqBumSx2TEdV+O+Dbx
qC55f2iH/bc5B1How62vxZeN/x3twTiaoka5bPY6VT3yYIOH23Qr1qsy0zPuozAk
25cCUPq6dXC3nzFPBOIuxgOASZaEPW6knTCK7AzZ7e2mKvVEvg4jDk7k4tjcMFO9
riYhl1wm9wKBgA+7k9DDBKJroUWyhhSen6Se8CnmO0sQ0ulZTnjHJSNzrkfCr+ZX
EC9EysxtTXsslSvMTz5soonr7/NM7M0TPOj036PmIx1MuAaXKp+n+CIm6U0qjiJl
+CpwEMa5m6a6YK2uFzKYOqmWunf7PHZ7j+ub53wqmR2uX1QsoLpsxWXZAoGAEQ6J
NYbt2DfXSJqjHhBKInkCRHuZqaoYpyfKMrq54xUfUSvZlyMwbVcIICzNGnjGbm4H
W4GgRBKCHhA4niBAUrBXes4fCXWNuSMjgUPY53RSQ5Jk26BP9weRVJXqJO7YkGAU
Dfe66dLEIKH5XzaoZxAtrQ8Z33zSgCVRO2z7NlsCgYAsOiqYtPP7ds43eTNZR/oK
xL40OoCdz5XgJGjEiBR0ETWhthcE8/c+D4ulqNvXENfxm8cnDrN5qo78k7jm8ISJ
eZSHMkNnxCifoQcEqjY+i0E5GyeefiVc++d+ZVOfzK9ZfhLRUYn7CKK/QyxBRjRW
ZfCewVlH0I6Db4aNK6iIqg==
-----END PRIVATE KEY-----
";

    /// The private key inside PKCS#8 (RFC 5208 section 5) begins with this byte: what stands before it has the same
    /// length in every key of the kind.
    fn inner(pkcs8: &[u8], start: usize, label: &str) -> String {
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD.encode(&pkcs8[start..]);
        let lines: Vec<&str> = text
            .as_bytes()
            .chunks(64)
            .map(|line| std::str::from_utf8(line).unwrap())
            .collect();
        format!(
            "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
            lines.join("\n")
        )
    }

    #[test]
    fn keys_of_all_kinds() {
        let rsa = rcgen::KeyPair::from_pem(RSA).unwrap();
        let ec = rcgen::KeyPair::generate().unwrap();
        let edwards = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let pkcs1 = inner(&rsa.serialize_der(), 26, "RSA PRIVATE KEY");
        let sec1 = inner(&ec.serialize_der(), 29, "EC PRIVATE KEY");
        // openssl puts the curve before the key, in a block of its own.
        let with_curve = format!(
            "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n{sec1}"
        );
        let dir = TempDir::new().unwrap();
        for (pair, pem) in [
            (&rsa, RSA),
            (&rsa, &pkcs1),
            (&ec, &ec.serialize_pem()),
            (&ec, &sec1),
            (&ec, &with_curve),
            (&edwards, &edwards.serialize_pem()),
        ] {
            let params = rcgen::CertificateParams::new(vec!["me".to_owned()]).unwrap();
            let cert = params.self_signed(pair).unwrap().pem();
            let cert_file = put(&dir, "cert", &cert);
            with_cert(&cert_file, Some(&put(&dir, "key", pem))).unwrap();
            with_cert(&put(&dir, "both", &format!("{cert}{pem}")), None).unwrap();
            let (other, _) = self::pair();
            let error = with_cert(&put(&dir, "other", &other), Some(&put(&dir, "key", pem)));
            assert!(
                matches!(error, Err(FileError::KeyMismatch { .. })),
                "{error:?}"
            );
        }
    }

    #[test]
    fn a_damaged_key_is_not_quoted() {
        let dir = TempDir::new().unwrap();
        let (cert, _) = pair();
        let cert = put(&dir, "cert", &cert);
        for text in [
            "-----BEGIN PRIVATE KEY-----\nc2VjcmV0!!\n-----END PRIVATE KEY-----\n",
            "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n",
            "-----BEGIN c2VjcmV0\n",
        ] {
            let key = put(&dir, "key", text);
            let error = with_cert(&cert, Some(&key)).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("c2Vj"), "{error:?}");
        }
    }

    #[test]
    fn material_from_memory() {
        let (cert, key) = pair();
        let (_, other) = pair();
        let roots = |text: &str| TlsOptions::new().roots(Roots::pem(text)).check();
        roots(&format!("{cert}{cert}")).unwrap();
        let error = roots(&key).unwrap_err();
        assert!(matches!(error, FileError::NoCertificate { .. }));
        assert!(
            error
                .to_string()
                .starts_with("the PEM text given contains no certificate"),
            "{error}"
        );
        let with = |cert: &str, key: &str| {
            let options = TlsOptions::new().identity(ClientIdentity::pem(cert, key));
            assert!(
                !format!("{options:?}").contains(&key[40..60]),
                "a key is never shown"
            );
            options.check()
        };
        with(&cert, &key).unwrap();
        assert!(matches!(
            with(&cert, &other),
            Err(FileError::KeyMismatch { .. })
        ));
        assert!(matches!(with(&cert, &cert), Err(FileError::NoKey { .. })));
        assert!(matches!(
            with(&key, &key),
            Err(FileError::NoCertificate { .. })
        ));
    }
}
