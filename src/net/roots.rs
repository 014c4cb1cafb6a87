//! The authorities that are trusted to sign a server's certificate: the public ones, the system's, and those that are given.
//!
//! Not here: the check of a certificate against them (`verify`).

use std::path::PathBuf;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
#[cfg(feature = "native-certs")]
use rustls_native_certs::{CertificateResult, ErrorKind, load_native_certs};

#[cfg(feature = "native-certs")]
use super::pem::pem_words;
use super::pem::{FileError, Pem, read_certificates, read_dir};
#[cfg(feature = "native-certs")]
use super::text::words;

/// Authorities that are trusted to sign a server's certificate. A server's own certificate may be among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roots(Vec<Source>);

/// Some authorities.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    Public,
    #[cfg(feature = "native-certs")]
    System,
    Pem(Pem),
    Folder(PathBuf),
}

impl Default for Roots {
    /// The public ones.
    fn default() -> Self {
        Roots::public()
    }
}

impl Roots {
    /// The public authorities, as compiled in (webpki-roots).
    pub fn public() -> Self {
        Roots(vec![Source::Public])
    }

    /// The authorities that this system trusts. `SSL_CERT_FILE` and `SSL_CERT_DIR` say where they are, if not where the system keeps
    /// them. Needs the feature `native-certs`.
    #[cfg(feature = "native-certs")]
    pub fn system() -> Self {
        Roots(vec![Source::System])
    }

    /// The certificates in a PEM file.
    pub fn file(file: impl Into<PathBuf>) -> Self {
        Roots(vec![Source::Pem(Pem::File(file.into()))])
    }

    /// The certificates in the files of a folder: every `*.pem` and `*.crt`, and OpenSSL's hashed `*.0`.
    pub fn folder(folder: impl Into<PathBuf>) -> Self {
        Roots(vec![Source::Folder(folder.into())])
    }

    /// The certificates in a PEM text.
    pub fn pem(text: impl Into<Vec<u8>>) -> Self {
        Roots(vec![Source::Pem(Pem::memory(text))])
    }

    /// These and others.
    #[must_use]
    pub fn and(mut self, others: Roots) -> Self {
        self.0.extend(others.0);
        self
    }

    /// Whether the public authorities are among them.
    pub fn are_public(&self) -> bool {
        self.0.contains(&Source::Public)
    }

    /// All of them; the second list lacks the public ones.
    pub(super) fn read(&self) -> Result<(RootCertStore, Vec<CertificateDer<'static>>), FileError> {
        let mut roots = RootCertStore::empty();
        let mut given = Vec::new();
        for source in &self.0 {
            match source {
                Source::Public => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
                #[cfg(feature = "native-certs")]
                Source::System => given.extend(add_system_roots(&mut roots, load_native_certs())?),
                Source::Pem(pem) => {
                    for certificate in read_certificates(pem)? {
                        let added = roots.add(certificate.clone());
                        added.map_err(|error| FileError::BadCertificate {
                            file: pem.place(),
                            reason: error.to_string(),
                        })?;
                        given.push(certificate);
                    }
                }
                Source::Folder(dir) => {
                    let certificates = read_dir(dir)?;
                    // A folder of the system's holds what others put there: an old certificate that rustls does not
                    // take vouches for nobody, but is no reason to trust none of the others.
                    let (taken, _) = roots.add_parsable_certificates(certificates.iter().cloned());
                    if taken == 0 {
                        return Err(FileError::EmptyDir { dir: dir.clone() });
                    }
                    given.extend(certificates);
                }
            }
        }
        Ok((roots, given))
    }
}

/// Trusts what the system trusts. Some of it may be of no use, as in any folder of the system's, but not all.
#[cfg(feature = "native-certs")]
fn add_system_roots(
    roots: &mut RootCertStore,
    found: CertificateResult,
) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let (taken, _) = roots.add_parsable_certificates(found.certs.iter().cloned());
    if taken > 0 {
        return Ok(found.certs);
    }
    let reason = match found.errors.first().map(|error| &error.kind) {
        Some(ErrorKind::Io { inner, path }) => {
            format!("cannot read {}: {}", path.display(), words(inner))
        }
        Some(ErrorKind::Pem(error)) => pem_words(error).to_owned(),
        Some(_) => "the system does not provide them".to_owned(),
        None => "there are none".to_owned(),
    };
    Err(FileError::NoSystemRoots { reason })
}

#[cfg(all(test, feature = "native-certs"))]
mod tests {
    use super::*;
    use std::fs;
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

    #[test]
    fn authorities_of_the_system() {
        use rustls_native_certs::load_certs_from_paths;
        let dir = TempDir::new().unwrap();
        let (cert, key) = pair();
        let load = |path: &Path| {
            let mut roots = RootCertStore::empty();
            add_system_roots(&mut roots, load_certs_from_paths(Some(path), None))
        };
        let none = |path: &Path, why: &str| {
            let words = load(path).unwrap_err().to_string();
            assert!(
                words.contains(why) && words.contains("SSL_CERT_FILE"),
                "{words}"
            );
        };
        let good = put(&dir, "good.pem", &cert);
        assert_eq!(load(&good).unwrap().len(), 1);
        // One that is none does not make the others unusable.
        let junk = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(load(&put(&dir, "partly.pem", &format!("{junk}{cert}"))).is_ok());
        none(&put(&dir, "key.pem", &key), "there are none");
        none(&put(&dir, "junk.pem", junk), "there are none");
        none(
            &put(&dir, "cut.pem", &cert[..cert.len() / 2]),
            "no END line",
        );
        none(&dir.path().join("missing"), "cannot read");
    }

    #[test]
    fn roots_are_those_that_are_named() {
        let (cert, _) = pair();
        let count = |roots: Roots| roots.read().unwrap().0.len();
        let public = count(Roots::default());
        assert!(public > 50);
        assert_eq!(count(Roots::pem(cert.clone())), 1);
        assert_eq!(
            count(Roots::public().and(Roots::pem(cert.clone()))),
            public + 1
        );
        assert!(Roots::pem(cert).and(Roots::public()).are_public());
        assert!(!Roots::system().are_public());
    }
}
