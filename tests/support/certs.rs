//! Certificates of every kind, made when a test needs them, and a server that shows one.
//!
//! Here are the certificates and the IMAP that every scripted server behind TLS speaks; what a server does beside that
//! is its test's, through [`Faulty`].

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};

use super::faulty::{Conn, Faulty};
use super::run::Imapadm;

/// Somebody who signs.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key.
pub struct Identity {
    der: CertificateDer<'static>,
    /// What a server sends behind it.
    chain: Vec<CertificateDer<'static>>,
    key: KeyPair,
    pub pem: String,
}

impl Authority {
    /// With a key of its own, whatever others have the same name.
    pub fn new(name: &str) -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        Authority(CertifiedIssuer::self_signed(params, key).expect("an authority"))
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    pub fn fingerprint(&self) -> String {
        fingerprint(self.0.der())
    }

    /// A certificate of that kind.
    pub fn signs(&self, params: &CertificateParams) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        Identity {
            der: certificate.der().clone(),
            chain: Vec::new(),
            pem: certificate.pem(),
            key,
        }
    }
}

impl Identity {
    /// One that nobody vouches for.
    pub fn self_signed(params: &CertificateParams) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        Identity {
            der: certificate.der().clone(),
            chain: Vec::new(),
            pem: certificate.pem(),
            key,
        }
    }

    /// One of X.509's version 1 for localhost, signed by itself; its key is of that kind, as `openssl genpkey` has them.
    pub fn of_version_1(kind: &[&str]) -> Identity {
        let home = Imapadm::bare();
        let (key, request) = (home.home().join("key"), home.home().join("request"));
        openssl(&[&["genpkey", "-out", text(&key)], kind].concat());
        let subject = ["-subj", "/CN=localhost", "-out", text(&request)];
        openssl(&[&["req", "-new", "-key", text(&key)], &subject[..]].concat());
        // Without extensions it is of version 1.
        let pem = openssl(&[
            "x509",
            "-req",
            "-in",
            text(&request),
            "-signkey",
            text(&key),
        ]);
        let key = std::fs::read_to_string(key).expect("the key");
        Identity {
            der: CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate"),
            chain: Vec::new(),
            pem,
            key: KeyPair::from_pem(&key).expect("a key"),
        }
    }

    /// The same, which a server sends together with these authorities.
    pub fn with(mut self, authorities: &[&Authority]) -> Identity {
        let chain = authorities.iter().map(|one| one.0.der().clone());
        self.chain = chain.collect();
        self
    }

    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// As `openssl x509 -fingerprint -sha256` has it, without the colons and in small letters.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.der)
    }

    /// What a server with this certificate is made of; with `clients`, it demands a certificate that they signed.
    pub fn config(&self, clients: Option<&Authority>) -> Arc<ServerConfig> {
        self.config_of(clients, rustls::ALL_VERSIONS)
    }

    /// The same for these versions of TLS.
    pub fn config_of(
        &self,
        clients: Option<&Authority>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .expect("the versions");
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.0.der().clone()).expect("an authority");
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                        .build()
                        .expect("a verifier");
                builder.with_client_cert_verifier(verifier)
            }
        };
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).expect("a key");
        let key = provider.key_provider.load_private_key(key).expect("a key");
        let chain = std::iter::once(&self.der).chain(&self.chain).cloned();
        // Not looked at, as it may be one that rustls does not read.
        let shown = SingleCertAndKey::from(CertifiedKey::new(chain.collect(), key));
        Arc::new(builder.with_cert_resolver(Arc::new(shown)))
    }
}

fn fingerprint(der: &[u8]) -> String {
    let digest = rustls::crypto::ring::default_provider()
        .cipher_suites
        .iter()
        .find_map(|suite| match suite {
            rustls::SupportedCipherSuite::Tls13(suite)
                if suite.common.hash_provider.output_len() == 32 =>
            {
                Some(suite.common.hash_provider.hash(der))
            }
            _ => None,
        })
        .expect("a suite with SHA-256");
    let bytes = digest.as_ref().iter();
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// What openssl prints.
pub fn openssl(args: &[&str]) -> String {
    let output = Command::new("openssl")
        .args(args)
        .output()
        .expect("openssl runs");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {args:?}: {words}");
    String::from_utf8(output.stdout).expect("text")
}

/// A certificate to be, for these names, valid from yesterday to tomorrow.
pub fn named(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names.clone()).expect("names");
    let first = names.first().map_or("nobody", String::as_str);
    params.distinguished_name.push(DnType::CommonName, first);
    params
}

/// Where TLS begins: with the first byte, or after the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Implicit,
    StartTls,
}

impl Form {
    pub const BOTH: [Form; 2] = [Form::Implicit, Form::StartTls];

    /// The option that asks for it; STARTTLS needs none.
    pub fn option(self) -> Option<&'static str> {
        (self == Form::Implicit).then_some("--tls")
    }
}

/// An IMAP server with this certificate, which lets everybody in who gets through the handshake.
pub fn serving(form: Form, config: Arc<ServerConfig>) -> Faulty {
    Faulty::script(move |conn| {
        secure(conn, form, &config);
        conn.answer(imap);
    })
}

/// Gets a connection into TLS, as its server; in either form the client then has a greeting. Ends the script when the
/// client breaks off.
pub fn secure(conn: &mut Conn, form: Form, config: &Arc<ServerConfig>) {
    match form {
        Form::Implicit => {
            conn.tls_or_gone(config);
            conn.send("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR ID] ready\r\n");
        }
        Form::StartTls => {
            conn.send("* OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] ready\r\n");
            let (tag, command) = conn.expect_command();
            assert_eq!(command, "STARTTLS");
            conn.send(format!("{tag} OK go on\r\n"));
            conn.tls_or_gone(config);
        }
    }
}

/// What any server says to the commands of a login and what comes with it.
pub fn imap(tag: &str, command: &str) -> String {
    let verb = command.split(' ').next().unwrap_or_default();
    match verb {
        "CAPABILITY" => {
            format!("* CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR ID\r\n{tag} OK done\r\n")
        }
        "ID" => format!("* ID (\"name\" \"scripted\")\r\n{tag} OK done\r\n"),
        "LIST" => format!("* LIST (\\Noselect) \"/\" \"\"\r\n{tag} OK done\r\n"),
        "LOGOUT" => format!("* BYE till then\r\n{tag} OK done\r\n"),
        _ => format!("{tag} OK done\r\n"),
    }
}

/// A run on such a server, which ends soon when something hangs.
pub fn on(server: &Faulty, form: Form) -> Imapadm {
    Imapadm::on_tls_port(server.port)
        .args(form.option())
        .args(["--timeout", "10", "-c", "session"])
        .limit(Duration::from_secs(30))
}

/// The same, trusting this certificate, in a file of the run's home.
pub fn trusting(run: Imapadm, pem: &str) -> Imapadm {
    let file: PathBuf = run.file("trusted.pem", pem);
    run.arg("--cafile").arg(file)
}
