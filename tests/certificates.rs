//! Certificates that are good, and all the ways in which they are not; and what hears TLS where none is meant.
//!
//! What the words are exactly is the library's; here the status must be 5, the words must name what is wrong, and no
//! password may have left before the certificate was looked at.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustls::version::{TLS12, TLS13};

use super::support::certs::{self, Authority, Form, Identity, named, on, openssl, trusting};
use super::support::faulty::Faulty;
use super::support::run::{Imapadm, Run};

/// What [`Imapadm::on_tls_port`] logs in with.
const PASSWORD: &str = "s3cret-Passw0rd";

/// Refused for its certificate: the status, each of the words, and nothing sent that somebody could use.
#[track_caller]
fn refused(server: &Faulty, run: Run, words: &[&str]) {
    let mut run = run.fails(5).never_says(PASSWORD);
    for word in words {
        run = run.complains(word);
    }
    assert!(run.stdout.is_empty(), "{run}");
    no_login(server);
}

/// Nobody tried to log in.
#[track_caller]
fn no_login(server: &Faulty) {
    let received = server.received();
    assert!(
        received
            .iter()
            .all(|line| !line.contains("LOGIN") && !line.contains("AUTHENTICATE")),
        "{received:?}"
    );
}

#[track_caller]
fn accepted(run: Run) -> Run {
    run.ok().says("tls\tTLSv1.").says("user\tsomeone")
}

#[test]
fn a_good_certificate_is_taken_in_both_forms() {
    let authority = Authority::new("Good CA");
    let identity = authority.signs(&named(&["localhost"]));
    for form in Form::BOTH {
        let server = certs::serving(form, identity.config(None));
        let run = accepted(trusting(on(&server, form), &authority.pem()).run());
        assert_eq!(run.stderr, "", "{run}");
        let received = server.received();
        assert!(
            received.iter().any(|line| line.contains("AUTHENTICATE")),
            "{received:?}"
        );
    }
}

#[test]
fn one_that_expired_tells_the_day() {
    let authority = Authority::new("Old CA");
    let mut params = named(&["localhost"]);
    params.not_before = rcgen::date_time_ymd(2019, 1, 1);
    params.not_after = rcgen::date_time_ymd(2020, 2, 3);
    let config = authority.signs(&params).config(None);
    for form in Form::BOTH {
        let server = certs::serving(form, config.clone());
        let run = trusting(on(&server, form), &authority.pem()).run();
        refused(&server, run, &["localhost", "expired", "2020-02-03"]);
    }
}

#[test]
fn one_whose_time_has_not_come_tells_the_day() {
    let authority = Authority::new("Young CA");
    let mut params = named(&["localhost"]);
    params.not_before = rcgen::date_time_ymd(3000, 4, 5);
    params.not_after = rcgen::date_time_ymd(3001, 4, 5);
    let config = authority.signs(&params).config(None);
    for form in Form::BOTH {
        let server = certs::serving(form, config.clone());
        let run = trusting(on(&server, form), &authority.pem()).run();
        refused(&server, run, &["localhost", "not valid yet", "3000-04-05"]);
    }
}

#[test]
fn one_for_another_name_tells_both() {
    let authority = Authority::new("CA");
    let names = ["mail.example.org", "*.example.net"];
    let config = authority.signs(&named(&names)).config(None);
    for form in Form::BOTH {
        let server = certs::serving(form, config.clone());
        let run = trusting(on(&server, form), &authority.pem()).run();
        refused(&server, run, &["localhost", names[0], names[1]]);
    }
    // A common name alone is no name.
    let mut params = named(&[]);
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "localhost");
    let server = certs::serving(Form::Implicit, authority.signs(&params).config(None));
    let run = trusting(on(&server, Form::Implicit), &authority.pem()).run();
    refused(&server, run, &["localhost"]);
}

#[test]
fn one_of_an_unknown_authority_is_refused() {
    let (theirs, ours) = (Authority::new("Theirs"), Authority::new("Ours"));
    let config = theirs.signs(&named(&["localhost"])).config(None);
    for form in Form::BOTH {
        let server = certs::serving(form, config.clone());
        // With another authority, and with the public ones.
        let run = trusting(on(&server, form), &ours.pem()).run();
        refused(&server, run, &["localhost", "authority", "--cafile"]);
        let run = on(&server, form).run();
        refused(&server, run, &["localhost", "--cafile"]);
    }
}

#[test]
fn an_authority_with_the_name_of_the_one_before_is_another() {
    let (old, new) = (Authority::new("Same Name"), Authority::new("Same Name"));
    let config = new.signs(&named(&["localhost"])).config(None);
    for form in Form::BOTH {
        let server = certs::serving(form, config.clone());
        let run = trusting(on(&server, form), &old.pem()).run();
        refused(&server, run, &["localhost", "authority"]);
        // While both are in use, both are trusted.
        let both = format!("{}{}", old.pem(), new.pem());
        accepted(trusting(on(&server, form), &both).run());
    }
}

#[test]
fn a_self_signed_one_is_refused_until_it_is_given() {
    let identity = Identity::self_signed(&named(&["localhost"]));
    let other = Identity::self_signed(&named(&["localhost"]));
    for form in Form::BOTH {
        let server = certs::serving(form, identity.config(None));
        let run = on(&server, form).run();
        refused(&server, run, &["localhost", "self-signed"]);
        // The server has got a new one since.
        let run = trusting(on(&server, form), &other.pem).run();
        refused(&server, run, &["localhost"]);
        accepted(trusting(on(&server, form), &identity.pem).run());
    }
}

#[test]
fn a_client_certificate_that_lacks_or_is_wrong_is_refused() {
    let authority = Authority::new("CA");
    let identity = authority.signs(&named(&["localhost"]));
    let config = identity.config(Some(&authority));
    let mine = |authority: &Authority| authority.signs(&named(&["alice"]));
    for form in Form::BOTH {
        let server = certs::serving(form, config.clone());
        let run = trusting(on(&server, form), &authority.pem()).run();
        refused(&server, run, &["client certificate"]);
        let with = |identity: &Identity| {
            let run = trusting(on(&server, form), &authority.pem());
            let file = run.file("me.pem", format!("{}{}", identity.pem, identity.key_pem()));
            run.arg("--cert").arg(file).run()
        };
        let stranger = mine(&Authority::new("Somebody"));
        refused(&server, with(&stranger), &["client certificate"]);
        let mut params = named(&["alice"]);
        params.not_after = rcgen::date_time_ymd(2020, 2, 3);
        let expired = authority.signs(&params);
        refused(&server, with(&expired), &["client certificate"]);
        accepted(with(&mine(&authority)));
    }
}

/// `openssl s_server` with this certificate and these options. Dropping it ends it.
struct OpenSsl {
    child: Child,
    port: u16,
    /// Holds the certificate.
    _home: Imapadm,
}

impl OpenSsl {
    fn start(identity: &Identity, options: &[&str]) -> OpenSsl {
        OpenSsl::with(&identity.pem, &identity.key_pem(), options)
    }

    /// With a certificate that rustls can't serve.
    fn with(certificate: &str, key: &str, options: &[&str]) -> OpenSsl {
        let home = Imapadm::bare();
        let certificate = home.file("server.pem", certificate);
        let key = home.file("server.key", key);
        let mut child = Command::new("openssl")
            .args(["s_server", "-accept", "127.0.0.1:0", "-cert"])
            .arg(certificate)
            .arg("-key")
            .arg(key)
            .args(options)
            // Open, so that it waits for something to send.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl runs");
        let lines = BufReader::new(child.stdout.as_mut().expect("its stdout is piped")).lines();
        // `ACCEPT 127.0.0.1:PORT` is what it says when it listens.
        let port = lines
            .map(|line| line.expect("a line"))
            .find_map(|line| {
                line.strip_prefix("ACCEPT ")?
                    .rsplit_once(':')?
                    .1
                    .parse()
                    .ok()
            })
            .expect("a port");
        OpenSsl {
            child,
            port,
            _home: home,
        }
    }
}

impl Drop for OpenSsl {
    fn drop(&mut self) {
        // It may have ended; a drop must not panic.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_server_of_yesterday_is_refused() {
    let authority = Authority::new("CA");
    let identity = authority.signs(&named(&["localhost"]));
    for version in ["-tls1", "-tls1_1"] {
        // Without the lower level openssl itself would refuse its old versions.
        let server = OpenSsl::start(&identity, &[version, "-cipher", "DEFAULT@SECLEVEL=0"]);
        let run =
            Imapadm::on_tls_port(server.port).args(["--tls", "--timeout", "10", "-c", "noop"]);
        trusting(run, &authority.pem())
            .run()
            .fails(5)
            .complains("localhost")
            .complains("1.2")
            .never_says(PASSWORD);
    }
    // The same server with what it should have: what failed above was the version.
    let server = OpenSsl::start(&identity, &["-tls1_2"]);
    let run = Imapadm::on_tls_port(server.port).args(["--tls", "--timeout", "1", "-c", "noop"]);
    trusting(run, &authority.pem())
        .run()
        .fails(4)
        .complains("no greeting");
}

#[test]
fn cleartext_where_tls_is_expected_is_told() {
    let server = Faulty::script(|conn| {
        conn.send("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] ready\r\n");
        conn.stall(Duration::from_secs(30));
    });
    let run = on(&server, Form::Implicit).run();
    refused(&server, run, &["localhost", "does not use TLS", "--tls"]);
    // After STARTTLS, too.
    let server = Faulty::script(|conn| {
        conn.send("* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n");
        let (tag, _) = conn.expect_command();
        conn.send(format!("{tag} OK go on\r\n"));
        conn.expect_bytes(5);
        conn.send("* OK why do you talk so strangely?\r\n");
        conn.stall(Duration::from_secs(30));
    });
    let run = on(&server, Form::StartTls).run();
    let words = ["OK to STARTTLS", "cleartext", "* OK why do you talk"];
    refused(&server, run, &words);
    let run = on(&server, Form::StartTls).run();
    run.never_says("without --tls");
}

#[test]
fn tls_where_cleartext_is_expected_is_told() {
    let authority = Authority::new("CA");
    let config = authority.signs(&named(&["localhost"])).config(None);
    // Two who wait for one another.
    let server = certs::serving(Form::Implicit, config);
    let run = Imapadm::on_tls_port(server.port).args(["--timeout", "1", "-c", "noop"]);
    run.run().fails(4).complains("--tls").never_says(PASSWORD);
    no_login(&server);
}

#[test]
fn a_handshake_that_is_cut_off_is_told() {
    for form in Form::BOTH {
        let server = Faulty::script(move |conn| {
            if form == Form::StartTls {
                conn.send("* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n");
                let (tag, _) = conn.expect_command();
                conn.send(format!("{tag} OK go on\r\n"));
            }
            conn.expect_bytes(100);
        });
        let run = on(&server, form).run();
        refused(&server, run, &["localhost", "during the TLS handshake"]);
    }
}

#[test]
fn the_systems_authorities_are_trusted_when_that_is_asked_for() {
    let (system, other) = (Authority::new("The System's"), Authority::new("Ours"));
    let config = system.signs(&named(&["localhost"])).config(None);
    let ours = other.signs(&named(&["localhost"])).config(None);
    for form in Form::BOTH {
        let server = certs::serving(form, config.clone());
        // Where the system's are is for OpenSSL's variable to say.
        let with = |server: &Faulty| {
            let run = on(server, form);
            let file = run.file("system.pem", system.pem());
            run.env("SSL_CERT_FILE", file)
        };
        refused(&server, with(&server).run(), &["localhost"]);
        accepted(with(&server).arg("--system-roots").run());
        let private = certs::serving(form, ours.clone());
        let run = with(&private).arg("--system-roots").run();
        refused(&private, run, &["localhost"]);
    }
}

#[test]
fn a_key_of_a_length_that_proves_nothing_is_called_so() {
    let home = Imapadm::bare();
    for (bits, word) in [("1024", "too short"), ("1536", "too short")] {
        let key = home.home().join("key.pem");
        let key_path = key.to_str().expect("UTF-8");
        openssl(&["genrsa", "-out", key_path, bits]);
        let pem = openssl(&[
            "req",
            "-x509",
            "-key",
            key_path,
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost",
        ]);
        let key_pem = std::fs::read_to_string(&key).expect("the key");
        let fingerprint = openssl(&[
            "x509",
            "-noout",
            "-fingerprint",
            "-sha256",
            "-in",
            home.file("c.pem", &pem).to_str().expect("UTF-8"),
        ]);
        for version in ["-tls1_2", "-tls1_3"] {
            let server = OpenSsl::with(&pem, &key_pem, &[version, "-cipher", "DEFAULT@SECLEVEL=0"]);
            let run = || {
                Imapadm::on_tls_port(server.port).args(["--tls", "--timeout", "10", "-c", "noop"])
            };
            // Whoever trusts it.
            for run in [
                trusting(run(), &pem),
                run().args(["--pin", fingerprint.trim()]),
                run().arg("--no-verify"),
            ] {
                run.run()
                    .fails(5)
                    .complains(word)
                    .complains(bits)
                    .never_says("intercepting the connection")
                    .never_says(PASSWORD);
            }
        }
    }
    // The key of the authority is no better.
    let file = |name: &str, text: &str| home.file(name, text).to_str().expect("UTF-8").to_owned();
    let key = file("ca.key", &openssl(&["genrsa", "1024"]));
    let ca = openssl(&["req", "-x509", "-key", &key, "-subj", "/CN=Weak CA"]);
    let ca_file = file("ca.pem", &ca);
    let server_key = openssl(&["genrsa", "2048"]);
    let server_file = file("server.key", &server_key);
    let request = openssl(&[
        "req",
        "-new",
        "-key",
        &server_file,
        "-subj",
        "/CN=localhost",
    ]);
    let request = file("request", &request);
    let names = file("names", "subjectAltName=DNS:localhost");
    let signed = openssl(&[
        "x509",
        "-req",
        "-in",
        &request,
        "-CA",
        &ca_file,
        "-CAkey",
        &key,
        "-extfile",
        &names,
        "-CAcreateserial",
    ]);
    let server = OpenSsl::with(&signed, &server_key, &["-cipher", "DEFAULT@SECLEVEL=0"]);
    let run = Imapadm::on_tls_port(server.port).args(["--tls", "--timeout", "10", "-c", "noop"]);
    trusting(run, &ca)
        .run()
        .fails(5)
        .complains("Weak CA")
        .complains("too short")
        .complains("1024");
}

#[test]
fn a_client_certificate_that_lacks_is_told_in_every_version_of_tls() {
    let authority = Authority::new("CA");
    let identity = authority.signs(&named(&["localhost"]));
    // openssl speaks of a failed handshake in TLS 1.2, others of the certificate.
    for version in ["-tls1_2", "-tls1_3"] {
        let server = OpenSsl::start(&identity, &[version, "-Verify", "1"]);
        let run =
            Imapadm::on_tls_port(server.port).args(["--tls", "--timeout", "10", "-c", "noop"]);
        trusting(run, &authority.pem())
            .run()
            .fails(5)
            .complains("client certificate")
            .never_says("in common");
    }
    for form in Form::BOTH {
        for version in [&TLS12, &TLS13] {
            let config = identity.config_of(Some(&authority), &[version]);
            let server = certs::serving(form, config);
            let run = trusting(on(&server, form), &authority.pem()).run();
            refused(&server, run, &["requires a client certificate"]);
        }
    }
    // Nothing in common is still called so.
    let server = OpenSsl::start(&identity, &["-tls1_2", "-cipher", "AES128-SHA"]);
    let run = Imapadm::on_tls_port(server.port).args(["--tls", "--timeout", "10", "-c", "noop"]);
    trusting(run, &authority.pem())
        .run()
        .fails(5)
        .complains("in common");
}

#[test]
fn an_authority_of_the_same_name_makes_none_self_signed() {
    // An appliance that names all its certificates alike.
    let authority = Authority::new("localhost");
    let identity = authority.signs(&named(&["localhost"]));
    let other = Authority::new("localhost");
    for form in Form::BOTH {
        let server = certs::serving(form, identity.config(None));
        let run = on(&server, form).run();
        refused(
            &server,
            run,
            &["signed by an authority that is not trusted"],
        );
        let run = on(&server, form).run();
        run.never_says("self-signed");
        let run = trusting(on(&server, form), &other.pem()).run();
        refused(&server, run, &["another key"]);
        accepted(trusting(on(&server, form), &authority.pem()).run());
    }
}

#[test]
fn one_of_version_1_can_be_pinned() {
    for kind in [
        &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"][..],
        &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
        &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
    ] {
        let identity = Identity::of_version_1(kind);
        let other = Identity::of_version_1(kind);
        for form in Form::BOTH {
            for version in [&TLS12, &TLS13] {
                let server = certs::serving(form, identity.config_of(None, &[version]));
                let pin = format!("sha256:{}", identity.fingerprint());
                accepted(on(&server, form).args(["--pin", &pin]).run());
                accepted(on(&server, form).arg("--no-verify").run());
                // It names no host, so neither an authority nor a file can vouch for it.
                for run in [
                    on(&server, form),
                    trusting(on(&server, form), &identity.pem),
                ] {
                    let before = server.received().len();
                    let run = run.run().fails(5).complains("version 1").complains(&pin);
                    run.never_says(PASSWORD).never_says("Unsupported");
                    let after = server.received()[before..].join("\n");
                    assert!(!after.contains("AUTHENTICATE"), "{after}");
                }
                let pin = format!("sha256:{}", other.fingerprint());
                let run = on(&server, form).args(["--pin", &pin]).run().fails(5);
                run.complains("NOT THE PINNED ONE");
            }
        }
    }
}
