//! TLS against real servers in this process: every way a handshake can fail, and what the user is told.
//!
//! Not here: the system's authorities named by `SSL_CERT_FILE`, since a test can't change the environment of the process
//! that runs it; the tests against running servers start one of its own.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use tempfile::TempDir;

use super::*;

const SOON: Timeouts = Timeouts {
    connect: Duration::from_secs(10),
    read: Duration::from_secs(10),
};

type Authority = CertifiedIssuer<'static, KeyPair>;
type Served = StreamOwned<ServerConnection, TcpStream>;

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate and its key.
struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: KeyPair,
    pem: String,
}

impl Identity {
    fn signed(params: &CertificateParams, by: &Authority) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, by).unwrap();
        Identity {
            chain: vec![certificate.der().clone()],
            pem: certificate.pem(),
            key,
        }
    }

    fn self_signed(params: &CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Identity {
            chain: vec![certificate.der().clone()],
            pem: certificate.pem(),
            key,
        }
    }

    fn private(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::try_from(self.key.serialize_der()).unwrap()
    }
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, name);
    params
}

const BOTH: &[&rustls::SupportedProtocolVersion] =
    &[&rustls::version::TLS13, &rustls::version::TLS12];

fn server_config(
    identity: &Identity,
    clients: Option<&Authority>,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .unwrap();
            builder.with_client_cert_verifier(verifier)
        }
    };
    Arc::new(
        builder
            .with_single_cert(identity.chain.clone(), identity.private())
            .unwrap(),
    )
}

/// Accepts one connection and does `work` with it.
fn listen<T: Send + 'static>(
    work: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (Address, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = Address::Tcp {
        host: "127.0.0.1".to_owned(),
        port: listener.local_addr().unwrap().port(),
    };
    let thread = thread::spawn(move || {
        let stream = listener.accept().unwrap().0;
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        work(stream)
    });
    (address, thread)
}

fn serve(
    config: Arc<ServerConfig>,
    work: impl FnOnce(Served) + Send + 'static,
) -> (Address, JoinHandle<()>) {
    listen(move |stream| {
        work(StreamOwned::new(
            ServerConnection::new(config).unwrap(),
            stream,
        ))
    })
}

/// Greets, and reads until the client goes.
fn greet(mut tls: Served) {
    let _ = tls.write_all(b"* OK hello\r\n");
    let mut rest = Vec::new();
    let _ = tls.read_to_end(&mut rest);
}

fn connect(address: &Address) -> Stream {
    Stream::connect(address, &SOON, &Interrupt::new()).unwrap()
}

fn secure(address: &Address, host: &str, options: &TlsOptions) -> Result<Stream, TlsError> {
    connect(address).start_tls(host, options, &SOON, &Interrupt::new())
}

/// Files of certificates.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Files(TempDir::new().unwrap())
    }

    fn put(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn trusting(&self, pem: &str) -> TlsOptions {
        TlsOptions::new().roots(Roots::file(self.put("ca.pem", pem)))
    }
}

/// The error of a handshake with a server of this identity, for the host `mail`.
fn error(identity: &Identity, options: &TlsOptions) -> TlsError {
    let (address, server) = serve(server_config(identity, None, BOTH), greet);
    let error = secure(&address, "mail", options).unwrap_err();
    server.join().unwrap();
    error
}

fn works(identity: &Identity, host: &str, options: &TlsOptions) {
    let (address, server) = serve(server_config(identity, None, BOTH), greet);
    let mut stream = secure(&address, host, options).unwrap();
    assert_eq!(read_line(&mut stream), "* OK hello\r\n");
    stream.shutdown();
    server.join().unwrap();
}

fn read_line(stream: &mut Stream) -> String {
    let mut line = Vec::new();
    let mut byte = [0];
    while line.last() != Some(&b'\n') {
        let count = stream.read(&mut byte).unwrap();
        line.extend_from_slice(&byte[..count]);
    }
    String::from_utf8(line).unwrap()
}

#[test]
fn a_trusted_server_in_both_versions() {
    let ca = authority("ca");
    let identity = Identity::signed(&named("mail"), &ca);
    let files = Files::new();
    let options = files.trusting(&ca.pem());
    for (versions, name) in [
        (&[&rustls::version::TLS13][..], "TLSv1.3"),
        (&[&rustls::version::TLS12][..], "TLSv1.2"),
    ] {
        let (address, server) = serve(server_config(&identity, None, versions), |mut tls| {
            let mut data = vec![0; 3 << 20];
            tls.read_exact(&mut data).unwrap();
            tls.write_all(&data).unwrap();
            tls.flush().unwrap();
            let mut rest = Vec::new();
            // Only a proper goodbye ends this without an error.
            tls.read_to_end(&mut rest).unwrap();
        });
        let mut stream = secure(&address, "mail", &options).unwrap();
        let info = stream.info();
        assert!(info.private);
        let tls = info.tls.unwrap();
        assert_eq!(tls.version, name);
        assert!(tls.cipher.starts_with("TLS"), "{}", tls.cipher);
        let sent: Vec<u8> = (0..3 << 20).map(|at: u32| at.to_le_bytes()[1]).collect();
        stream.write_all(&sent).unwrap();
        let mut received = vec![0; sent.len()];
        let mut filled = 0;
        while filled < received.len() {
            filled += stream.read(&mut received[filled..]).unwrap();
        }
        assert!(sent == received);
        let mut buf = [0; 4];
        let silent = stream.read_within(&mut buf, Duration::from_millis(30));
        assert!(matches!(silent, Err(IoError::TimedOut { .. })));
        stream.shutdown();
        server.join().unwrap();
    }
}

#[test]
fn both_ends_export_the_same() {
    let ca = authority("ca");
    let identity = Identity::signed(&named("mail"), &ca);
    let files = Files::new();
    let options = files.trusting(&ca.pem());
    for (versions, exports) in [
        (&[&rustls::version::TLS13][..], true),
        (&[&rustls::version::TLS12][..], false),
    ] {
        let (address, server) = serve(server_config(&identity, None, versions), |mut tls| {
            tls.write_all(b"* OK hello\r\n").unwrap();
            tls.read_exact(&mut [0]).unwrap();
            // What RFC 9266 section 2 names.
            let exported = tls
                .conn
                .export_keying_material([0; 32], b"EXPORTER-Channel-Binding", None)
                .unwrap();
            tls.write_all(&exported).unwrap();
            tls.flush().unwrap();
        });
        let mut stream = secure(&address, "mail", &options).unwrap();
        assert_eq!(read_line(&mut stream), "* OK hello\r\n");
        let own = stream.tls_exporter();
        stream.write_all(b".").unwrap();
        let mut theirs = [0; 32];
        let mut filled = 0;
        while filled < theirs.len() {
            filled += stream.read(&mut theirs[filled..]).unwrap();
        }
        assert_eq!(own.map(|own| *own), exports.then_some(theirs));
        server.join().unwrap();
    }
}

#[test]
fn authorities_from_a_folder_and_names_of_all_kinds() {
    let ca = authority("ca");
    let files = Files::new();
    files.put("ca.crt", &ca.pem());
    let mut options = TlsOptions::new().roots(Roots::folder(files.0.path()));
    works(
        &Identity::signed(&named("*.example.org"), &ca),
        "imap.example.org.",
        &options,
    );
    works(
        &Identity::signed(&named("127.0.0.1"), &ca),
        "127.0.0.1",
        &options,
    );
    works(&Identity::signed(&named("::1"), &ca), "::1", &options);
    options.server_name = Some("inner".to_owned());
    works(&Identity::signed(&named("inner"), &ca), "outer", &options);
}

#[test]
fn unknown_authority() {
    let ca = authority("ca");
    let identity = Identity::signed(&named("mail"), &ca);
    let files = Files::new();
    for options in [
        TlsOptions::default(),
        files.trusting(&authority("other").pem()),
    ] {
        let error = error(&identity, &options);
        assert!(
            matches!(&error, TlsError::UnknownIssuer { certificate, .. } if certificate.names == ["mail"]),
            "{error:?}"
        );
        let words = error.to_string();
        assert!(words.contains("--cafile"), "{words}");
        // The advice works.
        let (_, advised) = words.rsplit_once("--pin ").unwrap();
        let options = TlsOptions {
            pin: Some(advised.parse().unwrap()),
            ..options
        };
        works(&identity, "mail", &options);
    }
}

#[test]
fn an_authority_that_has_a_new_key() {
    let files = Files::new();
    let old = authority("The Authority");
    let elliptic = authority("The Authority");
    let edwards = {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, "The Authority");
        let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        CertifiedIssuer::self_signed(params, key).unwrap()
    };
    let bystander = authority("bystander");
    let trusted = files.trusting(&format!("{}{}", bystander.pem(), old.pem()));
    for new in [&elliptic, &edwards] {
        let identity = Identity::signed(&named("mail"), new);
        let found = error(&identity, &trusted);
        assert!(
            matches!(found, TlsError::AuthorityMismatch { .. }),
            "{found:?}"
        );
        let words = found.to_string();
        assert!(
            words.contains("CN=The Authority")
                && words.contains("renewed")
                && words.contains("forged"),
            "{words}"
        );
        // Both keys, while the servers go over from one to the other.
        let both = files.trusting(&format!("{}{}", old.pem(), new.pem()));
        works(&identity, "mail", &both);
        works(&Identity::signed(&named("mail"), &old), "mail", &both);
    }
}

fn fingerprint(identity: &Identity) -> Fingerprint {
    Fingerprint::of(&identity.chain[0])
}

/// Certificates that the usual check accepts, and that it refuses for every reason there is.
fn all_kinds(ca: &Authority) -> Vec<Identity> {
    let mut expired = named("mail");
    expired.not_after = rcgen::date_time_ymd(2001, 2, 3);
    let mut early = named("mail");
    early.not_before = rcgen::date_time_ymd(3000, 1, 1);
    early.not_after = rcgen::date_time_ymd(3001, 1, 1);
    let mut like_openssl = named("mail");
    like_openssl.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    vec![
        Identity::signed(&named("mail"), ca),
        Identity::signed(&named("mail"), &authority("unknown")),
        Identity::signed(&named("mail"), &authority("ca")),
        Identity::self_signed(&named("mail")),
        Identity::self_signed(&like_openssl),
        Identity::signed(&expired, ca),
        Identity::signed(&early, ca),
        Identity::signed(&named("elsewhere"), ca),
        Identity::signed(&CertificateParams::new(vec![]).unwrap(), ca),
    ]
}

#[test]
fn a_pinned_certificate_and_no_other() {
    let ca = authority("ca");
    let files = Files::new();
    let other = fingerprint(&Identity::self_signed(&named("mail")));
    for (identity, verify) in all_kinds(&ca)
        .iter()
        .flat_map(|identity| [(identity, true), (identity, false)])
    {
        let pinned = |pin| TlsOptions {
            pin: Some(pin),
            verify,
            // Not heeded.
            known: Some(Known::Certificate(fingerprint(identity))),
            ..files.trusting(&ca.pem())
        };
        works(identity, "mail", &pinned(fingerprint(identity)));
        let found = error(identity, &pinned(other));
        let TlsError::PinMismatch {
            host,
            expected,
            found: shown,
        } = &found
        else {
            panic!("{found:?}");
        };
        assert_eq!((host.as_str(), *expected), ("mail", other));
        assert_eq!(shown.fingerprint, fingerprint(identity));
        let words = found.to_string();
        for part in [
            &other.to_string(),
            &shown.to_string(),
            "intercepting the connection",
        ] {
            assert!(words.contains(part), "{words}");
        }
    }
}

#[test]
fn a_known_certificate_where_the_usual_check_refuses_it() {
    let ca = authority("ca");
    let files = Files::new();
    let other = fingerprint(&Identity::self_signed(&named("mail")));
    let knowing = |known| TlsOptions {
        known: Some(known),
        ..files.trusting(&ca.pem())
    };
    for (number, identity) in all_kinds(&ca).iter().enumerate() {
        works(
            identity,
            "mail",
            &knowing(Known::Certificate(fingerprint(identity))),
        );
        if number == 0 {
            // The usual check accepts it.
            works(identity, "mail", &knowing(Known::Certificate(other)));
            continue;
        }
        let found = error(identity, &knowing(Known::Certificate(other)));
        let TlsError::Changed {
            host,
            known,
            found: shown,
        } = &found
        else {
            panic!("{found:?}");
        };
        assert_eq!((host.as_str(), known.fingerprint()), ("mail", other));
        assert_eq!(shown.fingerprint, fingerprint(identity));
        let words = found.to_string();
        for part in [
            &other.to_string(),
            &shown.to_string(),
            "intercepting the connection",
        ] {
            assert!(words.contains(part), "{words}");
        }
    }
}

#[test]
fn the_server_is_asked_for_the_name_that_is_checked() {
    let ca = authority("ca");
    let identity = Identity::signed(&named("inner"), &ca);
    let files = Files::new();
    let (address, server) = listen({
        let config = server_config(&identity, None, BOTH);
        move |stream| {
            let mut tls = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
            tls.write_all(b"* OK hello\r\n").unwrap();
            let name = tls.conn.server_name().map(str::to_owned);
            let _ = tls.read_to_end(&mut Vec::new());
            name
        }
    });
    let options = TlsOptions {
        server_name: Some("inner".to_owned()),
        ..files.trusting(&ca.pem())
    };
    let mut stream = secure(&address, "outer", &options).unwrap();
    assert_eq!(read_line(&mut stream), "* OK hello\r\n");
    stream.shutdown();
    assert_eq!(server.join().unwrap().as_deref(), Some("inner"));
    let found = error(&Identity::signed(&named("mail"), &ca), &options);
    assert!(
        matches!(&found, TlsError::WrongName { host, .. } if host == "inner"),
        "{found:?}"
    );
    let bad = TlsOptions {
        server_name: Some("a b".to_owned()),
        ..TlsOptions::default()
    };
    let (address, server) = listen(|mut stream| stream.read_to_end(&mut Vec::new()).unwrap());
    let found = secure(&address, "mail", &bad).unwrap_err();
    assert!(matches!(found, TlsError::BadName { .. }), "{found:?}");
    assert_eq!(server.join().unwrap(), 0);
}

#[test]
fn self_signed_certificates_and_how_to_trust_them() {
    let files = Files::new();
    let mut like_openssl = named("mail");
    like_openssl.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    for params in [named("mail"), like_openssl] {
        let identity = Identity::self_signed(&params);
        let found = error(&identity, &TlsOptions::default());
        assert!(
            matches!(&found, TlsError::SelfSigned { certificate, .. } if certificate.subject == certificate.issuer),
            "{found:?}"
        );
        let pin = format!("--pin {}", fingerprint(&identity));
        let words = found.to_string();
        assert!(
            words.contains("--cafile") && words.contains(&pin),
            "{words}"
        );
        let another = Identity::self_signed(&params);
        let found = error(&identity, &files.trusting(&another.pem));
        assert!(matches!(found, TlsError::SelfSigned { .. }), "{found}");
        // The advice works.
        let options = files.trusting(&identity.pem);
        works(&identity, "mail", &options);
        // And does not turn off the rest.
        let (address, server) = serve(server_config(&identity, None, BOTH), greet);
        let found = secure(&address, "other", &options).unwrap_err();
        assert!(matches!(found, TlsError::WrongName { .. }), "{found}");
        server.join().unwrap();
        let mut old = params.clone();
        old.not_after = rcgen::date_time_ymd(2001, 2, 3);
        let old = Identity::self_signed(&old);
        let found = error(&old, &files.trusting(&old.pem));
        assert!(matches!(found, TlsError::Expired { .. }), "{found}");
    }
}

#[test]
fn a_trusted_certificate_without_its_key_is_of_no_use() {
    let files = Files::new();
    let identity = Identity::self_signed(&named("mail"));
    let thief = Identity {
        chain: identity.chain.clone(),
        key: KeyPair::generate().unwrap(),
        pem: identity.pem.clone(),
    };
    let provider = rustls::crypto::ring::default_provider();
    let key = provider
        .key_provider
        .load_private_key(thief.private())
        .unwrap();
    let certified = rustls::sign::CertifiedKey::new(thief.chain.clone(), key);
    let config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(BOTH)
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(certified)));
    let config = Arc::new(config);
    let blind = TlsOptions {
        verify: false,
        ..TlsOptions::default()
    };
    let pinned = TlsOptions {
        pin: Some(fingerprint(&identity)),
        ..TlsOptions::default()
    };
    let known = TlsOptions {
        known: Some(Known::Certificate(fingerprint(&identity))),
        ..TlsOptions::default()
    };
    for options in [files.trusting(&identity.pem), blind, pinned, known] {
        let (address, server) = serve(config.clone(), greet);
        let error = secure(&address, "mail", &options).unwrap_err();
        assert!(
            matches!(&error, TlsError::BadCertificate { reason, .. } if reason.contains("the private key")),
            "{error:?}"
        );
        server.join().unwrap();
    }
}

#[test]
fn expired_early_and_wrong_names() {
    let ca = authority("ca");
    let files = Files::new();
    let options = files.trusting(&ca.pem());
    let mut params = named("mail");
    params.not_before = rcgen::date_time_ymd(2000, 1, 1);
    params.not_after = rcgen::date_time_ymd(2001, 2, 3);
    let found = error(&Identity::signed(&params, &ca), &options);
    assert!(matches!(found, TlsError::Expired { .. }), "{found}");
    assert!(found.to_string().contains("on 2001-02-03"), "{found}");
    params.not_before = rcgen::date_time_ymd(3000, 1, 1);
    params.not_after = rcgen::date_time_ymd(3001, 1, 1);
    let found = error(&Identity::signed(&params, &ca), &options);
    assert!(matches!(found, TlsError::NotYetValid { .. }), "{found}");
    assert!(found.to_string().contains("from 3000-01-01"), "{found}");
    let found = error(&Identity::signed(&named("imap.example.org"), &ca), &options);
    assert!(
        matches!(&found, TlsError::WrongName { names, .. } if names == &["imap.example.org"]),
        "{found:?}"
    );
    let nameless = CertificateParams::new(vec![]).unwrap();
    let found = error(&Identity::signed(&nameless, &ca), &options);
    assert!(
        matches!(&found, TlsError::WrongName { names, .. } if names.is_empty()),
        "{found:?}"
    );
}

#[test]
fn without_verifying_anything_goes() {
    let mut params = named("elsewhere");
    params.not_after = rcgen::date_time_ymd(2001, 2, 3);
    let options = TlsOptions {
        verify: false,
        ..TlsOptions::default()
    };
    works(&Identity::self_signed(&params), "mail", &options);
}

#[test]
fn client_certificates() {
    let ca = authority("ca");
    let identity = Identity::signed(&named("mail"), &ca);
    let files = Files::new();
    let none = files.trusting(&ca.pem());
    let with = |client: &Identity| {
        let identity = ClientIdentity::pem(client.pem.as_str(), client.key.serialize_pem());
        files.trusting(&ca.pem()).identity(identity)
    };
    for versions in [&[&rustls::version::TLS13], &[&rustls::version::TLS12]] {
        // What the server says, in the handshake or (TLS 1.3) with the first read.
        let outcome = |options: &TlsOptions| {
            let config = server_config(&identity, Some(&ca), versions);
            let (address, server) = serve(config, greet);
            let mut buf = [0; 64];
            let outcome = match secure(&address, "mail", options) {
                Err(error) => Err(error.to_string()),
                Ok(mut stream) => match stream.read(&mut buf) {
                    Ok(count) => {
                        stream.shutdown();
                        Ok(count)
                    }
                    Err(error) => {
                        assert!(error.tls().is_some(), "{error:?}");
                        Err(error.to_string())
                    }
                },
            };
            server.join().unwrap();
            outcome
        };
        let demanded = outcome(&none).unwrap_err();
        assert!(
            demanded.contains("requires a client certificate"),
            "{demanded}"
        );
        let good = Identity::signed(&named("client"), &ca);
        assert_eq!(outcome(&with(&good)), Ok(12));
        let bad = Identity::signed(&named("client"), &authority("other"));
        let refused = outcome(&with(&bad)).unwrap_err();
        assert!(
            refused.contains("refused the client certificate"),
            "{refused}"
        );
    }
}

#[test]
fn servers_that_do_not_speak_tls() {
    let outcome = |words: &'static [u8]| {
        let (address, server) = listen(move |mut stream| {
            let mut hello = [0; 5];
            stream.read_exact(&mut hello).unwrap();
            stream.write_all(words).unwrap();
            // Stays until the client goes, as a reset could outrun the words.
            let _ = stream.read_to_end(&mut Vec::new());
        });
        let short = Timeouts {
            connect: Duration::from_millis(300),
            ..SOON
        };
        let result =
            connect(&address).start_tls("mail", &TlsOptions::default(), &short, &Interrupt::new());
        server.join().unwrap();
        result.unwrap_err()
    };
    let plain = outcome(b"* OK [CAPABILITY IMAP4rev1] hello\r\n");
    assert!(
        matches!(&plain, TlsError::Plaintext { said, .. } if said.starts_with("* OK")),
        "{plain:?}"
    );
    assert!(plain.to_string().contains("without --tls"));
    // An alert «protocol version», and a ServerHello of TLS 1.0.
    let old = outcome(&[21, 3, 1, 0, 2, 2, 70]);
    assert!(matches!(old, TlsError::TooOld { .. }), "{old:?}");
    let mut hello = vec![22, 3, 1, 0, 42, 2, 0, 0, 38, 3, 1];
    hello.extend([0; 32]);
    hello.extend([0, 0, 0x2f, 0]);
    let old = outcome(hello.leak());
    assert!(matches!(old, TlsError::TooOld { .. }), "{old:?}");
    let none = outcome(&[21, 3, 3, 0, 2, 2, 40]);
    assert!(matches!(none, TlsError::Incompatible { .. }), "{none:?}");
    let start = Instant::now();
    let silent = outcome(b"");
    assert!(matches!(silent, TlsError::TimedOut { .. }), "{silent:?}");
    assert!(start.elapsed() < Duration::from_secs(3));
}

#[test]
fn a_server_that_drips_does_not_stretch_the_handshake() {
    let (address, server) = listen(|mut stream| {
        // A long record, a byte at a time.
        for byte in [22, 3, 3, 0x40, 0]
            .into_iter()
            .chain(std::iter::repeat_n(0, 200))
        {
            if stream.write_all(&[byte]).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    });
    let short = Timeouts {
        connect: Duration::from_millis(400),
        ..SOON
    };
    let start = Instant::now();
    let result =
        connect(&address).start_tls("mail", &TlsOptions::default(), &short, &Interrupt::new());
    assert!(
        matches!(result, Err(TlsError::TimedOut { .. })),
        "{result:?}"
    );
    assert!(start.elapsed() < Duration::from_secs(2));
    server.join().unwrap();
}

#[test]
fn a_server_that_hangs_up() {
    let (address, server) = listen(|mut stream| {
        let mut hello = [0; 4096];
        let _ = stream.read(&mut hello);
    });
    let error = secure(&address, "mail", &TlsOptions::default()).unwrap_err();
    assert!(matches!(error, TlsError::Closed { .. }), "{error:?}");
    server.join().unwrap();
}

#[test]
fn a_raised_flag_ends_a_handshake() {
    let (address, server) = listen(|mut stream| {
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let raised = Interrupt::from(Arc::new(AtomicBool::new(true)));
    let result = connect(&address).start_tls("mail", &TlsOptions::default(), &SOON, &raised);
    assert!(matches!(result, Err(TlsError::Interrupted)));
    server.join().unwrap();
}

#[test]
fn bad_options_show_before_anything_is_sent() {
    let (address, server) = listen(|mut stream| {
        let mut sent = Vec::new();
        stream.read_to_end(&mut sent).unwrap();
        sent.len()
    });
    let options = TlsOptions::new().roots(Roots::file("/nowhere/ca.pem"));
    let error = secure(&address, "mail", &options).unwrap_err();
    assert!(matches!(
        error,
        TlsError::File(FileError::Unreadable { .. })
    ));
    assert_eq!(server.join().unwrap(), 0);
}

#[test]
fn both_ways_of_closing() {
    let ca = authority("ca");
    let identity = Identity::signed(&named("mail"), &ca);
    let files = Files::new();
    let options = files.trusting(&ca.pem());
    for polite in [true, false] {
        let (address, server) = serve(server_config(&identity, None, BOTH), move |mut tls| {
            tls.write_all(b"* BYE\r\n").unwrap();
            if polite {
                tls.conn.send_close_notify();
            }
            tls.flush().unwrap();
        });
        let mut stream = secure(&address, "mail", &options).unwrap();
        assert_eq!(read_line(&mut stream), "* BYE\r\n");
        let mut buf = [0; 4];
        for _ in 0..2 {
            assert!(matches!(stream.read(&mut buf), Err(IoError::Closed)));
        }
        server.join().unwrap();
    }
}

#[test]
fn last_words_come_before_the_error_behind_them() {
    let ca = authority("ca");
    let identity = Identity::signed(&named("mail"), &ca);
    let files = Files::new();
    let options = files.trusting(&ca.pem());
    let (address, server) = serve(server_config(&identity, None, BOTH), |mut tls| {
        tls.write_all(b"* BYE\r\n").unwrap();
        tls.flush().unwrap();
        // Not a record at all.
        tls.sock.write_all(b"* in clear\r\n").unwrap();
        let _ = tls.sock.read_to_end(&mut Vec::new());
    });
    let mut stream = secure(&address, "mail", &options).unwrap();
    thread::sleep(Duration::from_millis(100));
    assert_eq!(read_line(&mut stream), "* BYE\r\n");
    let mut buf = [0; 4];
    let error = stream.read(&mut buf).unwrap_err();
    assert!(error.tls().is_some(), "{error:?}");
    drop(stream);
    server.join().unwrap();
}

#[test]
fn starttls_over_a_unix_socket() {
    let ca = authority("ca");
    let identity = Identity::signed(&named("localhost"), &ca);
    let files = Files::new();
    let options = files.trusting(&ca.pem());
    let path = files.0.path().join("imap");
    let listener = UnixListener::bind(&path).unwrap();
    let config = server_config(&identity, None, BOTH);
    let server = thread::spawn(move || {
        let mut socket = listener.accept().unwrap().0;
        socket.write_all(b"* OK in clear\r\n").unwrap();
        let mut command = [0; 12];
        socket.read_exact(&mut command).unwrap();
        assert_eq!(&command, b"a STARTTLS\r\n");
        socket.write_all(b"a OK go\r\n").unwrap();
        let mut tls = StreamOwned::new(ServerConnection::new(config).unwrap(), socket);
        tls.write_all(b"* in TLS\r\n").unwrap();
        let _ = tls.read_to_end(&mut Vec::new());
    });
    let address = Address::Unix(path);
    let mut stream = connect(&address);
    assert_eq!(read_line(&mut stream), "* OK in clear\r\n");
    stream.write_all(b"a STARTTLS\r\n").unwrap();
    assert_eq!(read_line(&mut stream), "a OK go\r\n");
    let mut stream = stream
        .start_tls(address.host(), &options, &SOON, &Interrupt::new())
        .unwrap();
    assert_eq!(read_line(&mut stream), "* in TLS\r\n");
    assert!(stream.info().tls.is_some());
    let again = stream.start_tls("localhost", &options, &SOON, &Interrupt::new());
    assert!(matches!(again, Err(TlsError::AlreadyOn)));
    server.join().unwrap();
}

#[test]
#[cfg(feature = "rustls-config")]
fn a_configuration_of_the_callers_own() {
    let ca = authority("ca");
    let mut roots = RootCertStore::empty();
    roots.add(ca.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let options = TlsOptions::new().config(Arc::new(config));
    assert_eq!(options, options.clone());
    works(&Identity::signed(&named("mail"), &ca), "mail", &options);
    let found = error(&Identity::self_signed(&named("mail")), &options);
    assert!(found.to_string().contains("mail"), "{found}");
}
