//! What to trust in TLS and who to be: the options, the files of certificates and keys they name, and the
//! rustls configuration made of them.
//!
//! Not here: the handshake (`stream`), the check of the server's certificate (`verify`), and what goes wrong with
//! either (`tls_error`).

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use zeroize::Zeroizing;

use super::verify::{Trust, Verifier};

/// More than the bundle of all public authorities (some 200 KiB) by far; a device or a disk image is not read.
const LARGEST_FILE: u64 = 16 * 1024 * 1024;

/// What to trust, and who to be, in TLS. TLS 1.2 is the oldest version spoken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsOptions {
    /// Whether the server's certificate is checked. Without, anyone in between can pose as the server.
    pub verify: bool,
    /// A PEM file of authorities to trust in place of the public ones; a server's own certificate may stand in
    /// it too.
    pub cafile: Option<PathBuf>,
    /// A folder of such files: every `*.pem` and `*.crt`, and OpenSSL's hashed `*.0`.
    pub cadir: Option<PathBuf>,
    /// The client's own certificate, followed by its chain (PEM).
    pub cert: Option<PathBuf>,
    /// Its private key (PEM: PKCS#8, PKCS#1 or SEC1); without it, the key is looked for in `cert`.
    pub key: Option<PathBuf>,
    /// The name the server's certificate must have, when it is not the host's.
    pub server_name: Option<String>,
}

impl Default for TlsOptions {
    /// The certificate is checked against the public authorities; the client shows none.
    fn default() -> Self {
        TlsOptions {
            verify: true,
            cafile: None,
            cadir: None,
            cert: None,
            key: None,
            server_name: None,
        }
    }
}

impl TlsOptions {
    /// Reads every file named, so that a mistake can show before anything is sent.
    ///
    /// # Errors
    /// The first file that can't be used.
    pub fn check(&self) -> Result<(), FileError> {
        self.config().map(drop)
    }

    /// The configuration for one connection.
    pub(super) fn config(&self) -> Result<Arc<ClientConfig>, FileError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = Verifier {
            trust: self.trust(&provider)?,
            provider: provider.clone(),
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(FileError::Setup)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let config = match (&self.cert, &self.key) {
            (None, None) => builder.with_no_client_auth(),
            (None, Some(key)) => return Err(FileError::KeyWithoutCert { key: key.clone() }),
            (Some(cert), key) => {
                let chain = read_certificates(cert)?;
                let key_file = key.as_ref().unwrap_or(cert);
                let private = read_key(key_file, key.is_none())?;
                builder
                    .with_client_auth_cert(chain, private)
                    .map_err(|error| match error {
                        rustls::Error::InconsistentKeys(_) => FileError::KeyMismatch {
                            cert: cert.clone(),
                            key: key_file.clone(),
                        },
                        error => FileError::BadKey {
                            file: key_file.clone(),
                            reason: error.to_string(),
                        },
                    })?
            }
        };
        Ok(Arc::new(config))
    }

    fn trust(&self, provider: &Arc<rustls::crypto::CryptoProvider>) -> Result<Trust, FileError> {
        if !self.verify {
            return Ok(Trust::Anyone);
        }
        let mut roots = RootCertStore::empty();
        let mut pinned = Vec::new();
        if let Some(file) = &self.cafile {
            for certificate in read_certificates(file)? {
                roots
                    .add(certificate.clone())
                    .map_err(|error| FileError::BadCertificate {
                        file: file.clone(),
                        reason: error.to_string(),
                    })?;
                pinned.push(certificate);
            }
        }
        if let Some(dir) = &self.cadir {
            let certificates = read_dir(dir)?;
            // A folder of the system's holds what others put there: an old certificate that rustls does not
            // take vouches for nobody, but is no reason to trust none of the others.
            let (taken, _) = roots.add_parsable_certificates(certificates.iter().cloned());
            if taken == 0 {
                return Err(FileError::EmptyDir { dir: dir.clone() });
            }
            pinned.extend(certificates);
        }
        if self.cafile.is_none() && self.cadir.is_none() {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        let roots = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
            .build()
            .map_err(|error| FileError::Setup(rustls::Error::General(error.to_string())))?;
        Ok(Trust::Roots { roots, pinned })
    }
}

/// A file of certificates or keys that can't be used; the user's to mend.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It can't be opened or read.
    #[error("cannot read {}: {}; check the path and who may read it", file.display(), super::stream::words(source))]
    Unreadable {
        /// The file or folder.
        file: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It is larger than any file of certificates.
    #[error("{} is too large to be a file of certificates; check the path", file.display())]
    TooLarge {
        /// The file.
        file: PathBuf,
    },
    /// Its PEM armour or base64 is broken.
    #[error("{} is damaged: {reason}; export it again in PEM form", file.display())]
    BadPem {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// No certificate in it.
    #[error(
        "{} holds no certificate; it needs a PEM block `BEGIN CERTIFICATE`, and a DER file is converted with \
         `openssl x509 -inform der`",
        file.display()
    )]
    NoCertificate {
        /// The file.
        file: PathBuf,
    },
    /// A certificate that is none inside.
    #[error("{} holds a certificate that can't be used: {reason}; export it again", file.display())]
    BadCertificate {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// No certificate in the whole folder.
    #[error(
        "the folder {} holds no certificate that can be used in any *.pem, *.crt or *.0 file; check the path, \
         or give one file with --cafile",
        dir.display()
    )]
    EmptyDir {
        /// The folder.
        dir: PathBuf,
    },
    /// No private key in it.
    #[error("{} holds no private key; it needs a PEM block `BEGIN PRIVATE KEY`", file.display())]
    NoKey {
        /// The file.
        file: PathBuf,
    },
    /// No private key beside the certificate, and no file of its own for it.
    #[error(
        "{} holds the certificate but not its private key; name the key's file as well, or put the key into \
         the same file",
        file.display()
    )]
    NoKeyBeside {
        /// The file.
        file: PathBuf,
    },
    /// The private key is encrypted.
    #[error(
        "the private key in {} is encrypted; decrypt it with `openssl pkey -in FILE -out NEWFILE` into a file \
         that only you can read",
        file.display()
    )]
    EncryptedKey {
        /// The file.
        file: PathBuf,
    },
    /// A private key of a kind that is not supported, or damaged.
    #[error("the private key in {} can't be used: {reason}; give an RSA, ECDSA or Ed25519 key", file.display())]
    BadKey {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The key is not the certificate's.
    #[error(
        "the private key in {} does not belong to the first certificate in {}; give the pair that was made \
         together, the client's own certificate first",
        key.display(),
        cert.display()
    )]
    KeyMismatch {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// A key alone.
    #[error("the private key {} is given without a certificate; name the certificate's file too", key.display())]
    KeyWithoutCert {
        /// The key's file.
        key: PathBuf,
    },
    /// TLS itself could not be set up: a fault of this program.
    #[error("TLS could not be set up ({0}); this is a fault of imapadm, please report it")]
    Setup(rustls::Error),
}

/// The file's bytes, wiped after use as a key may be among them.
fn read(file: &Path) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let unreadable = |source| FileError::Unreadable {
        file: file.to_owned(),
        source,
    };
    let opened = File::open(file).map_err(unreadable)?;
    let size = opened.metadata().map_err(unreadable)?.len();
    // One allocation from the start: a vector that grows leaves unwiped copies behind.
    let capacity = usize::try_from(size.min(LARGEST_FILE)).unwrap_or(0) + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
    opened
        .take(LARGEST_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(FileError::TooLarge {
            file: file.to_owned(),
        });
    }
    Ok(bytes)
}

fn bad_pem(file: &Path, error: &pem::Error) -> FileError {
    // The library's own words may quote the file, and the file may be a key.
    let reason = match error {
        pem::Error::MissingSectionEnd { .. } => "a block has no END line",
        pem::Error::IllegalSectionStart { .. } => "a BEGIN line is malformed",
        pem::Error::Base64Decode(_) => "the base64 in it does not decode",
        _ => "it can't be read as PEM",
    };
    FileError::BadPem {
        file: file.to_owned(),
        reason: reason.to_owned(),
    }
}

/// All certificates of a file, in its order; other blocks are passed over.
fn certificates_in(file: &Path) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let bytes = read(file)?;
    CertificateDer::pem_slice_iter(&bytes)
        .collect::<Result<_, _>>()
        .map_err(|error| bad_pem(file, &error))
}

fn read_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let certificates = certificates_in(file)?;
    if certificates.is_empty() {
        return Err(FileError::NoCertificate {
            file: file.to_owned(),
        });
    }
    Ok(certificates)
}

/// The certificates of a folder's files, each once: hashed names are links to files that are there too.
fn read_dir(dir: &Path) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let unreadable = |source| FileError::Unreadable {
        file: dir.to_owned(),
        source,
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let fits = path.extension().is_some_and(|extension| {
            ["pem", "crt", "0"]
                .iter()
                .any(|known| extension.eq_ignore_ascii_case(known))
        });
        if fits && !path.is_dir() {
            files.push(path);
        }
    }
    files.sort();
    let mut seen = std::collections::HashSet::new();
    let mut certificates = Vec::new();
    for file in files {
        // A file without any certificate (a key, say) is passed over; a damaged one is an error.
        for certificate in certificates_in(&file)? {
            if seen.insert(certificate.clone()) {
                certificates.push(certificate);
            }
        }
    }
    Ok(certificates)
}

/// The first private key of a file. `beside`: the file is the certificate's, as none was named for the key.
fn read_key(file: &Path, beside: bool) -> Result<PrivateKeyDer<'static>, FileError> {
    let bytes = read(file)?;
    let file = file.to_owned();
    match PrivateKeyDer::from_pem_slice(&bytes) {
        Ok(key) => {
            // The old way to encrypt, still inside a block of the plain kind (RFC 1421 section 4.6.1.1).
            if contains(&bytes, b"Proc-Type: 4,ENCRYPTED") {
                return Err(FileError::EncryptedKey { file });
            }
            Ok(key)
        }
        Err(_) if contains(&bytes, b"ENCRYPTED") => Err(FileError::EncryptedKey { file }),
        Err(pem::Error::NoItemsFound) if beside => Err(FileError::NoKeyBeside { file }),
        Err(pem::Error::NoItemsFound) => Err(FileError::NoKey { file }),
        Err(error) => Err(bad_pem(&file, &error)),
    }
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    /// An RSA key in the two forms that rcgen does not write itself is not needed here: the PEM label decides.
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
        TlsOptions {
            cafile: Some(file),
            ..TlsOptions::default()
        }
        .check()
    }

    fn with_cert(cert: &Path, key: Option<&Path>) -> Result<(), FileError> {
        TlsOptions {
            cert: Some(cert.to_owned()),
            key: key.map(Path::to_owned),
            ..TlsOptions::default()
        }
        .check()
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
            Err(FileError::TooLarge { .. })
        ));
    }

    #[test]
    fn folders_of_authorities() {
        let dir = TempDir::new().unwrap();
        let check = || {
            TlsOptions {
                cadir: Some(dir.path().to_owned()),
                ..TlsOptions::default()
            }
            .check()
        };
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
        assert_eq!(read_dir(dir.path()).unwrap().len(), 2);
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
        let alone = TlsOptions {
            key: Some(key_file),
            ..TlsOptions::default()
        };
        assert!(matches!(
            alone.check(),
            Err(FileError::KeyWithoutCert { .. })
        ));
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
}
