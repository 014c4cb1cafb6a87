//! Certificates and keys in PEM: the files they are in, and what is wrong with those.
//!
//! Not here: what they are for (`tls`).

use std::fmt;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use super::text::words;

/// More than the bundle of all public authorities (some 200 KiB) by far; a device or a disk image is not read.
pub(super) const LARGEST_FILE: u64 = 16 * 1024 * 1024;

/// A PEM text: in a file, or given.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Pem {
    File(PathBuf),
    Memory(Zeroizing<Vec<u8>>),
}

impl Pem {
    pub(super) fn memory(text: impl Into<Vec<u8>>) -> Self {
        Pem::Memory(Zeroizing::new(text.into()))
    }

    pub(super) fn place(&self) -> PemPlace {
        match self {
            Pem::File(file) => PemPlace::File(file.clone()),
            Pem::Memory(_) => PemPlace::Memory,
        }
    }

    fn read(&self) -> Result<Zeroizing<Vec<u8>>, FileError> {
        match self {
            Pem::File(file) => read(file),
            Pem::Memory(text) => Ok(text.clone()),
        }
    }
}

/// Without the text, which may be a key.
impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place().fmt(f)
    }
}

/// Where a PEM text is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PemPlace {
    /// In this file.
    File(PathBuf),
    /// In memory, given by the program.
    Memory,
}

impl fmt::Display for PemPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PemPlace::File(file) => file.display().fmt(f),
            PemPlace::Memory => f.write_str("the PEM text given"),
        }
    }
}

/// A file of certificates or keys that can't be used; the user's to mend.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// It can't be opened or read.
    #[error("cannot read {}: {}; check the path, and that you may read it", file.display(), words(source))]
    Unreadable {
        /// The file or folder.
        file: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It is larger than any file of certificates.
    #[error("{} is too large for a certificate file; check the path", file.display())]
    TooLarge {
        /// The file.
        file: PathBuf,
    },
    /// Its PEM armour or base64 is broken.
    #[error("{} is damaged: {reason}; export it again in PEM form", file)]
    BadPem {
        /// Where it is.
        file: PemPlace,
        /// What is wrong with it.
        reason: String,
    },
    /// No certificate in it.
    #[error(
        "{} contains no certificate; it needs a PEM block `BEGIN CERTIFICATE` (convert a DER file with `openssl x509 -inform der`)",
        file
    )]
    NoCertificate {
        /// Where it is.
        file: PemPlace,
    },
    /// A certificate that is none inside.
    #[error(
        "{} contains a certificate that cannot be used: {reason}; export it again",
        file
    )]
    BadCertificate {
        /// Where it is.
        file: PemPlace,
        /// What is wrong with it.
        reason: String,
    },
    /// No certificate in the whole folder.
    #[error(
        "the directory {} contains no usable certificate in any *.pem, *.crt or *.0 file; check the path, or give one file with --cafile",
        dir.display()
    )]
    EmptyDir {
        /// The folder.
        dir: PathBuf,
    },
    /// No authority that the system trusts.
    #[error(
        "none of the system's certificate authorities can be used ({reason}); install them (on Debian, the package ca-certificates), set \
         SSL_CERT_FILE or SSL_CERT_DIR, or give a file with --cafile"
    )]
    NoSystemRoots {
        /// What went wrong first.
        reason: String,
    },
    /// No private key in it.
    #[error(
        "{} contains no private key; it needs a PEM block `BEGIN PRIVATE KEY`",
        file
    )]
    NoKey {
        /// Where it is.
        file: PemPlace,
    },
    /// No private key beside the certificate, and no file of its own for it.
    #[error(
        "{} contains the certificate but not its private key; give the key's file as well, or put the key into the same file",
        file
    )]
    NoKeyBeside {
        /// Where it is.
        file: PemPlace,
    },
    /// The private key is encrypted.
    #[error(
        "the private key in {} is encrypted; decrypt it with `openssl pkey -in FILE -out NEWFILE` into a file \
         that only you can read",
        file
    )]
    EncryptedKey {
        /// Where it is.
        file: PemPlace,
    },
    /// A private key of a kind that is not supported, or damaged.
    #[error(
        "the private key in {} cannot be used: {reason}; give an RSA, ECDSA or Ed25519 key",
        file
    )]
    BadKey {
        /// Where it is.
        file: PemPlace,
        /// What is wrong with it.
        reason: String,
    },
    /// The key is not the certificate's.
    #[error(
        "the private key in {} does not belong to the first certificate in {}; give a matching pair, with the client certificate first",
        key,
        cert
    )]
    KeyMismatch {
        /// Where the certificate is.
        cert: PemPlace,
        /// Where the key is.
        key: PemPlace,
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
    let opened = crate::open::to_read(file).map_err(unreadable)?;
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

fn bad_pem(pem: &Pem, error: &pem::Error) -> FileError {
    FileError::BadPem {
        file: pem.place(),
        reason: pem_words(error).to_owned(),
    }
}

/// What is wrong with a file. The library's own words may quote it, and it may be a key.
pub(super) fn pem_words(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::MissingSectionEnd { .. } => "a block has no END line",
        pem::Error::IllegalSectionStart { .. } => "a BEGIN line is malformed",
        pem::Error::Base64Decode(_) => "its base64 cannot be decoded",
        _ => "it is not valid PEM",
    }
}

/// All certificates of a text, in its order; other blocks are passed over.
fn certificates_in(pem: &Pem) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let bytes = pem.read()?;
    CertificateDer::pem_slice_iter(&bytes)
        .collect::<Result<_, _>>()
        .map_err(|error| bad_pem(pem, &error))
}

pub(super) fn read_certificates(pem: &Pem) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let certificates = certificates_in(pem)?;
    if certificates.is_empty() {
        return Err(FileError::NoCertificate { file: pem.place() });
    }
    Ok(certificates)
}

/// The certificates of a folder's files, each once: hashed names are links to files that are there too.
pub(super) fn read_dir(dir: &Path) -> Result<Vec<CertificateDer<'static>>, FileError> {
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
        for certificate in certificates_in(&Pem::File(file))? {
            if seen.insert(certificate.clone()) {
                certificates.push(certificate);
            }
        }
    }
    Ok(certificates)
}

/// The first private key of a text. `beside`: the text is the certificate's, as there is none for the key.
pub(super) fn read_key(pem: &Pem, beside: bool) -> Result<PrivateKeyDer<'static>, FileError> {
    let bytes = pem.read()?;
    let file = pem.place();
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
        Err(error) => Err(bad_pem(pem, &error)),
    }
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}
