//! SCRAM (RFC 5802, RFC 7677) in front of rsasl: what a server's message must look like before rsasl may see it, and
//! whether the server has proven itself.

use super::engine::Engine;
use super::mechanism::{LONGEST_CHALLENGE, bad_challenge, check, complaint};
use super::{AuthError, Credentials, Mechanism, Method, SecretBytes, Surroundings};

/// The most rounds of hashing that a server may ask for.
///
/// Servers use 4096 (Dovecot, Cyrus) to some 600 000 (the advice of OWASP for PBKDF2), which takes less than a second.
/// The number comes before the server has proven anything, so without a limit anybody could keep this machine busy for
/// hours: four thousand million is a number too.
pub(super) const MOST_ITERATIONS: u32 = 1_000_000;

/// The fewest rounds of hashing that make a proof hard to guess the password from; RFC 5802 section 5.1 asks servers for so many.
///
/// Whoever stands in between could ask for one round and have the password from the proof in no time, so less is refused where anybody
/// could. Where nobody can, it is the server's own choice, and the alternative would be PLAIN, which tells all: it is a warning then.
const FEWEST_ITERATIONS: u32 = 4096;

/// How far it has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing has been said.
    Start,
    /// Who logs in has been said.
    Named,
    /// The proof has been sent.
    Answered,
    /// The server has proven that it knows the password, too.
    Proven,
    /// The server has said `e=`.
    Refused,
}

/// One run of SCRAM.
pub(super) struct Scram {
    method: Method,
    credentials: Credentials,
    engine: Engine,
    stage: Stage,
    /// Whether the proof has been sent.
    proven: bool,
    /// Whether nobody can listen, as far as is known.
    private: bool,
    /// The rounds of hashing that the server has asked for.
    iterations: u32,
    complaint: Option<String>,
}

impl Scram {
    pub(super) fn new(
        method: Method,
        credentials: Credentials,
        surroundings: &Surroundings,
    ) -> Self {
        Scram {
            method,
            engine: Engine::new(method, &credentials, surroundings),
            credentials,
            stage: Stage::Start,
            proven: false,
            private: surroundings.private,
            iterations: 0,
            complaint: None,
        }
    }

    /// The server's `e=` (RFC 5802 section 5.1), which takes an empty answer so that it can refuse in its own words.
    fn is_refused(&mut self, message: &[u8]) -> bool {
        let Some(error) = message.strip_prefix(b"e=") else {
            return false;
        };
        let error = error.split(|&byte| byte == b',').next().unwrap_or_default();
        self.complaint = Some(complaint(&String::from_utf8_lossy(error)));
        self.stage = Stage::Refused;
        true
    }
}

impl Mechanism for Scram {
    fn name(&self) -> &'static str {
        self.method.name()
    }

    fn initial(&mut self) -> Option<SecretBytes> {
        check(self.method, &self.credentials).ok()?;
        let (message, _) = self.engine.step(None).ok()?;
        self.stage = Stage::Named;
        Some(message)
    }

    fn respond(&mut self, challenge: &[u8]) -> Result<SecretBytes, AuthError> {
        check(self.method, &self.credentials)?;
        let method = self.method;
        let bad = |why: &str| Err(bad_challenge(method, why));
        if challenge.len() > LONGEST_CHALLENGE {
            return bad("its challenge is longer than 4096 bytes");
        }
        if matches!(self.stage, Stage::Named | Stage::Answered) && self.is_refused(challenge) {
            return Ok(SecretBytes::new(Vec::new()));
        }
        match self.stage {
            Stage::Start if !challenge.is_empty() => bad("its first challenge is not empty"),
            Stage::Start => {
                let (message, _) = self.engine.step(None)?;
                self.stage = Stage::Named;
                Ok(message)
            }
            Stage::Named => {
                self.iterations = look_at_first(method, challenge)?;
                if self.iterations < FEWEST_ITERATIONS && !self.private {
                    return bad(&format!(
                        "it asks for only {} hash iterations, but without TLS at least {FEWEST_ITERATIONS} are safe",
                        self.iterations
                    ));
                }
                let (message, _) = self.engine.step(Some(challenge))?;
                self.stage = Stage::Answered;
                self.proven = true;
                Ok(message)
            }
            Stage::Answered => {
                if !challenge.starts_with(b"v=") {
                    return bad("its last message holds no signature");
                }
                // rsasl compares the signature. What can't even be decoded proves nothing either.
                let unproven = AuthError::Unproven {
                    mechanism: method.name(),
                };
                let (message, _) = self.engine.step(Some(challenge)).map_err(|_| unproven)?;
                self.stage = Stage::Proven;
                Ok(message)
            }
            Stage::Proven => bad("it goes on after its signature"),
            Stage::Refused => bad("it goes on after its error"),
        }
    }

    fn finish(&mut self) -> Result<(), AuthError> {
        if self.stage == Stage::Proven {
            Ok(())
        } else {
            Err(AuthError::Unproven {
                mechanism: self.method.name(),
            })
        }
    }

    fn warning(&self) -> Option<String> {
        (self.iterations < FEWEST_ITERATIONS).then(|| {
            format!(
                "the server uses only {} hash iterations for {}, but RFC 5802 requires at least {FEWEST_ITERATIONS}; tell its \
                 administrator",
                self.iterations,
                self.method.name()
            )
        })
    }

    fn has_shown_secret(&self) -> bool {
        match self.stage {
            Stage::Start | Stage::Named => false,
            Stage::Answered | Stage::Proven => true,
            Stage::Refused => self.proven,
        }
    }

    fn complaint(&self) -> Option<&str> {
        self.complaint.as_deref()
    }

    fn is_binding_refused(&self, code: Option<&str>, words: &str) -> bool {
        self.method.without_binding().is_some()
            && match self.stage {
                // The password has not come into it yet; but a server that speaks of credentials means the user.
                Stage::Start | Stage::Named => code != Some("AUTHENTICATIONFAILED"),
                // Cyrus up to 3.6 binds to tls-unique alone, looks only now, and before it looks at the proof. It says this
                // then (SASL_BADPROT), and «authentication failure» for a wrong password.
                Stage::Answered => words == "bad protocol / cancel",
                Stage::Refused => matches!(
                    self.complaint(),
                    Some("unsupported-channel-binding-type" | "channel-binding-not-supported")
                ),
                Stage::Proven => false,
            }
    }
}

/// Whether a server-first-message (RFC 5802 section 7) may go to rsasl, which panics on an attribute that is cut short
/// and hashes as often as it is told. Returns how often that is.
fn look_at_first(method: Method, message: &[u8]) -> Result<u32, AuthError> {
    let bad = |why: &str| Err(bad_challenge(method, why));
    if message.starts_with(b"m=") {
        return bad("it requires an unknown extension");
    }
    let mut attributes = message.split(|&byte| byte == b',');
    let mut value = |name: &[u8]| {
        let attribute = attributes.next().unwrap_or_default();
        attribute
            .strip_prefix(name)
            .filter(|value| !value.is_empty())
    };
    let (Some(_nonce), Some(_salt), Some(iterations)) = (value(b"r="), value(b"s="), value(b"i="))
    else {
        return bad("its challenge is missing the nonce, the salt or the iteration count");
    };
    if !iterations.iter().all(u8::is_ascii_digit) {
        return bad("its iteration count is not a number");
    }
    // What is too long for a number is too much as well.
    let count = str::from_utf8(iterations)
        .ok()
        .and_then(|digits| digits.parse::<u32>().ok());
    let count = match count {
        Some(0) => return bad("its iteration count is 0"),
        Some(count @ 1..=MOST_ITERATIONS) => count,
        _ => {
            return bad(&format!(
                "it asks for more than {MOST_ITERATIONS} hash iterations"
            ));
        }
    };
    if attributes.next().is_some() {
        // The proof covers all of the message, but rsasl's only these three, so it would look like a wrong password.
        return Err(AuthError::Failed {
            mechanism: method.name(),
            why: "the server's challenge contains an extension that imapadm does not support"
                .into(),
        });
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{Secret, mechanism};
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use hmac::{Hmac, KeyInit, Mac};
    use proptest::prelude::*;
    use sha1::Sha1;
    use sha2::{Digest, Sha256, Sha512};
    use zeroize::Zeroizing;

    /// The server's side of SCRAM, from RFC 5802 section 3 and without rsasl.
    #[derive(Clone, Copy)]
    struct Hash {
        hmac: fn(&[u8], &[u8]) -> Vec<u8>,
        hash: fn(&[u8]) -> Vec<u8>,
    }

    macro_rules! hash {
        ($hash:ty) => {
            Hash {
                hmac: |key, text| {
                    let mut mac = <Hmac<$hash> as KeyInit>::new_from_slice(key).unwrap();
                    mac.update(text);
                    mac.finalize().into_bytes().to_vec()
                },
                hash: |text| <$hash>::digest(text).to_vec(),
            }
        };
    }

    const SHA1: Hash = hash!(Sha1);
    const SHA256: Hash = hash!(Sha256);
    const SHA512: Hash = hash!(Sha512);

    impl Hash {
        /// PBKDF2 with one block.
        fn hi(self, password: &str, salt: &[u8], count: u32) -> Vec<u8> {
            let mut last = (self.hmac)(password.as_bytes(), &[salt, &[0, 0, 0, 1]].concat());
            let mut sum = last.clone();
            for _ in 1..count {
                last = (self.hmac)(password.as_bytes(), &last);
                sum = xor(&sum, &last);
            }
            sum
        }

        /// The client's proof and the server's signature, in base64.
        fn proofs(self, password: &str, first: &str, server: &str, last: &str) -> (String, String) {
            let mut parts = server.split(',').map(|part| &part[2..]);
            let _nonce = parts.next();
            let salt = STANDARD.decode(parts.next().unwrap()).unwrap();
            let count = parts.next().unwrap().parse().unwrap();
            let salted = self.hi(password, &salt, count);
            let message = format!("{first},{server},{last}");
            let client_key = (self.hmac)(&salted, b"Client Key");
            let signature = (self.hmac)(&(self.hash)(&client_key), message.as_bytes());
            let server_key = (self.hmac)(&salted, b"Server Key");
            (
                STANDARD.encode(xor(&client_key, &signature)),
                STANDARD.encode((self.hmac)(&server_key, message.as_bytes())),
            )
        }
    }

    fn xor(left: &[u8], right: &[u8]) -> Vec<u8> {
        left.iter().zip(right).map(|(a, b)| a ^ b).collect()
    }

    #[test]
    fn the_servers_side_counts_as_the_standards_do() {
        // RFC 5802 section 5.
        assert_eq!(
            SHA1.proofs(
                "pencil",
                "n=user,r=fyko+d2lbbFgONRv9qkxdawL",
                "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
                "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j",
            ),
            (
                "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=".to_owned(),
                "rmF9pqV8S7suAoZWja4dJRkFsKQ=".to_owned()
            )
        );
        // RFC 7677 section 3.
        assert_eq!(
            SHA256.proofs(
                "pencil",
                "n=user,r=rOprNGfwEbeRWgbNEkqO",
                "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
                "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
            ),
            (
                "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=".to_owned(),
                "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=".to_owned()
            )
        );
    }

    const EXPORTER: [u8; 32] = [7; 32];

    fn surroundings(exporter: bool, binding_offered: bool) -> Surroundings {
        Surroundings {
            private: true,
            host: "mail.example.org".into(),
            port: Some(143),
            exporter: exporter.then(|| Zeroizing::new(EXPORTER)),
            binding_offered,
        }
    }

    fn who(user: &str, authz: Option<&str>, password: &str) -> Credentials {
        Credentials {
            user: user.into(),
            authz: authz.map(str::to_owned),
            secret: Secret::Password(password.into()),
        }
    }

    fn text(message: &SecretBytes) -> String {
        String::from_utf8(message.expose().to_vec()).unwrap()
    }

    /// A run up to the server's last word, which is returned with it.
    fn answered(
        method: Method,
        hash: Hash,
        credentials: &Credentials,
        surroundings: &Surroundings,
        header: &str,
        password: &str,
    ) -> (Box<dyn Mechanism>, String) {
        let mut scram = mechanism(method, credentials, surroundings).unwrap();
        let first = text(&scram.initial().unwrap());
        let bare = first.strip_prefix(header).expect(&first);
        let nonce = bare.split_once(",r=").unwrap().1;
        assert!(nonce.len() >= 16, "{nonce}");
        let server = format!("r={nonce}3rfcNHYJY1ZV,s=QSXCR+Q6sek8bf92,i=4096");
        let last = text(&scram.respond(server.as_bytes()).unwrap());
        let (without_proof, proof) = last.split_once(",p=").unwrap();
        let mut bound = header.as_bytes().to_vec();
        if header.starts_with("p=") {
            bound.extend_from_slice(&EXPORTER);
        }
        let expected = format!("c={},r={nonce}3rfcNHYJY1ZV", STANDARD.encode(bound));
        assert_eq!(without_proof, expected);
        let (own, signature) = hash.proofs(password, bare, &server, without_proof);
        assert_eq!(proof, own);
        (scram, format!("v={signature}"))
    }

    #[test]
    fn every_hash_with_and_without_binding() {
        use Method::{
            ScramSha1, ScramSha1Plus, ScramSha256, ScramSha256Plus, ScramSha512, ScramSha512Plus,
        };
        let plain = surroundings(false, false);
        let offered = surroundings(true, true);
        let withheld = surroundings(true, false);
        let bound = "p=tls-exporter,,";
        let cases = [
            (ScramSha1, SHA1, &plain, "n,,"),
            (ScramSha256, SHA256, &plain, "n,,"),
            (ScramSha512, SHA512, &plain, "n,,"),
            (ScramSha1Plus, SHA1, &offered, bound),
            (ScramSha256Plus, SHA256, &offered, bound),
            (ScramSha512Plus, SHA512, &offered, bound),
            // After a -PLUS form that the server could not do: `y` would be refused (RFC 5802 section 6).
            (ScramSha256, SHA256, &offered, "n,,"),
            // Where binding would have been taken, a server that offered it hears that its offer was changed.
            (ScramSha512, SHA512, &withheld, "y,,"),
        ];
        for (method, hash, surroundings, header) in cases {
            let tim = who("tim", None, "pencil");
            let (mut scram, last) = answered(method, hash, &tim, surroundings, header, "pencil");
            assert_eq!(scram.name(), method.name());
            assert!(scram.finish().is_err(), "an OK before the signature");
            assert_eq!(text(&scram.respond(last.as_bytes()).unwrap()), "");
            assert_eq!(scram.finish(), Ok(()));
            assert!(scram.respond(b"").is_err());
        }
    }

    #[test]
    fn names_and_passwords_are_prepared_and_escaped() {
        let plain = surroundings(false, false);
        // SASLprep: a soft hyphen goes, a no-break space is a space, and ª is an a (RFC 4013 section 3).
        let cases = [
            ("pässwörd", "pässwörd"),
            ("pa\u{308}ss", "päss"),
            ("I\u{ad}X\u{a0}\u{aa}", "IX a"),
            // Younger than SASLprep, so as it is.
            ("\u{1f980}", "\u{1f980}"),
        ];
        for (password, hashed) in cases {
            let credentials = who("jo\u{308}rg,=", Some("a,b"), password);
            let header = "n,a=a=2Cb,";
            let (mut scram, last) = answered(
                Method::ScramSha256,
                SHA256,
                &credentials,
                &plain,
                header,
                hashed,
            );
            assert!(scram.respond(last.as_bytes()).is_ok());
        }
        let mut scram = mechanism(Method::ScramSha1, &who("jo\u{308}rg,=", None, "x"), &plain);
        let first = text(&scram.as_mut().unwrap().initial().unwrap());
        assert!(first.starts_with("n,,n=jörg=2C=3D,r="), "{first}");
    }

    #[test]
    fn a_forged_signature_proves_nothing() {
        let plain = surroundings(false, false);
        let tim = who("tim", None, "pencil");
        let run = || answered(Method::ScramSha256, SHA256, &tim, &plain, "n,,", "pencil");
        let long = format!("v={}", STANDARD.encode([0; 32]));
        for forged in [
            "v=",
            "v=AAAA",
            "v=!",
            &long,
            "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=,x",
        ] {
            let (mut scram, _) = run();
            let error = scram.respond(forged.as_bytes()).unwrap_err();
            assert!(
                matches!(error, AuthError::Unproven { .. }),
                "{forged}: {error}"
            );
            assert!(scram.finish().is_err());
            // Never stepped again after an error.
            assert!(scram.respond(forged.as_bytes()).is_err());
        }
        for other in ["", "v", "x=y", "r=1,s=2,i=3"] {
            let (mut scram, _) = run();
            assert!(scram.respond(other.as_bytes()).is_err(), "{other}");
            assert!(scram.finish().is_err());
        }
    }

    /// A client that has named itself, and its nonce.
    fn named(method: Method) -> (Box<dyn Mechanism>, String) {
        let credentials = who("tim", None, "pencil");
        let surroundings = surroundings(true, true);
        let mut scram = mechanism(method, &credentials, &surroundings).unwrap();
        assert!(scram.respond(b"more").is_err());
        let first = text(&scram.respond(b"").unwrap());
        let nonce = first.split_once(",r=").unwrap().1.to_owned();
        (scram, nonce)
    }

    #[test]
    fn the_first_message_is_looked_at() {
        let bad = [
            "",
            "r",
            "r=NONCE",
            // Not ours, ours without more, and ours in another place.
            "r=other,s=QSXC,i=4096",
            "r=NONCE,s=QSXC,i=4096",
            "r=xNONCEx,s=QSXC,i=4096",
            "r=NONCEx,s=QSXC",
            "r=NONCEx,s,i",
            "r=NONCEx,,",
            "r=NONCEx,s=QSXC,i",
            "r=NONCEx,s=QSXC,i=",
            "r=NONCEx,s=QSXC,i=0",
            "r=NONCEx,s=QSXC,i=+1",
            "r=NONCEx,s=QSXC,i=-1",
            "r=NONCEx,s=QSXC,i=1e3",
            "r=NONCEx,s=!,i=4096",
            "m=x,r=NONCEx,s=QSXC,i=4096",
            "s=QSXC,r=NONCEx,i=4096",
            "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
        ];
        for message in bad {
            let (mut scram, nonce) = named(Method::ScramSha1);
            let error = scram
                .respond(message.replace("NONCE", &nonce).as_bytes())
                .unwrap_err();
            assert!(
                matches!(error, AuthError::BadChallenge { .. }),
                "{message}: {error}"
            );
            assert!(scram.finish().is_err());
        }
        let (mut scram, nonce) = named(Method::ScramSha1);
        let extended = format!("r={nonce}x,s=QSXC,i=4096,x=y");
        let error = scram.respond(extended.as_bytes()).unwrap_err();
        assert!(matches!(error, AuthError::Failed { .. }), "{error}");
        // Weaker than advised, but who would be left with PLAIN is worse off.
        let (mut scram, nonce) = named(Method::ScramSha1);
        let weak = format!("r={nonce}x,s=QSXC,i=1");
        assert!(scram.respond(weak.as_bytes()).is_ok());
    }

    #[test]
    fn nobody_makes_us_hash_for_hours() {
        for count in [
            "1000001",
            "4294967295",
            "4294967296",
            "99999999999999999999999",
        ] {
            let (mut scram, nonce) = named(Method::ScramSha512);
            let message = format!("r={nonce}x,s=QSXC,i={count}");
            let error = scram.respond(message.as_bytes()).unwrap_err();
            assert!(
                error
                    .to_string()
                    .contains("more than 1000000 hash iterations"),
                "{error}"
            );
        }
        let at_most = format!("r=x,s=QSXC,i={MOST_ITERATIONS}");
        assert_eq!(
            look_at_first(Method::ScramSha1, at_most.as_bytes()),
            Ok(MOST_ITERATIONS)
        );
        let (mut scram, nonce) = named(Method::ScramSha1);
        let long = format!("r={nonce}{},s=QSXC,i=1", "x".repeat(LONGEST_CHALLENGE));
        assert!(scram.respond(long.as_bytes()).is_err());
    }

    #[test]
    fn the_servers_error_is_told() {
        let (mut scram, nonce) = named(Method::ScramSha256Plus);
        assert_eq!(scram.complaint(), None);
        let server = format!("r={nonce}x,s=QSXC,i=1");
        scram.respond(server.as_bytes()).unwrap();
        assert_eq!(text(&scram.respond(b"e=invalid-proof,x=y").unwrap()), "");
        assert_eq!(scram.complaint(), Some("invalid-proof"));
        assert!(!scram.is_binding_refused(None, "bad protocol / cancel"));
        assert!(scram.finish().is_err() && scram.respond(b"").is_err());
        let (mut scram, _) = named(Method::ScramSha256);
        let long = format!("e={}", "\u{1b}".repeat(4000));
        assert!(scram.respond(long.as_bytes()).is_ok());
        assert_eq!(scram.complaint().unwrap().len(), 200);
    }

    #[test]
    fn what_concerns_the_binding_alone() {
        let refused = |method, said: &str, code, words: &str| {
            let (mut scram, nonce) = named(method);
            if !said.is_empty() {
                let said = said.replace("NONCE", &nonce);
                scram.respond(said.as_bytes()).unwrap();
            }
            scram.is_binding_refused(code, words)
        };
        let (plus, plain) = (Method::ScramSha256Plus, Method::ScramSha256);
        let first = "r=NONCEx,s=QSXC,i=1";
        assert!(refused(plus, "", None, "no mechanism available"));
        assert!(refused(plus, first, None, "bad protocol / cancel"));
        assert!(refused(
            plus,
            "e=unsupported-channel-binding-type",
            None,
            ""
        ));
        // A wrong password is not tried twice, and somebody in between is not helped.
        assert!(!refused(plus, "", Some("AUTHENTICATIONFAILED"), ""));
        assert!(!refused(plus, first, None, "authentication failure"));
        assert!(!refused(plus, "e=channel-bindings-dont-match", None, ""));
        assert!(!refused(plus, "e=invalid-proof", None, ""));
        assert!(!refused(plain, "", None, "no mechanism available"));
        assert!(!refused(plain, first, None, "bad protocol / cancel"));
    }

    #[test]
    fn without_a_binding_there_is_no_plus() {
        let tim = who("tim", None, "pencil");
        let none = surroundings(false, true);
        let mut scram = mechanism(Method::ScramSha1Plus, &tim, &none).unwrap();
        assert!(scram.initial().is_none());
        let error = scram.respond(b"").unwrap_err();
        assert!(matches!(error, AuthError::Failed { .. }), "{error}");
    }

    proptest! {
        #[test]
        fn any_message_is_no_harm(
            messages in proptest::collection::vec(
                prop_oneof![any::<Vec<u8>>(), "([rsivem]=?[!-~]{0,3},?){0,5}".prop_map(String::into_bytes)],
                1..4,
            ),
            ours in any::<bool>(),
        ) {
            let (mut scram, nonce) = named(Method::ScramSha1);
            if ours {
                let server = format!("r={nonce}x,s=QSXC,i=1");
                prop_assert!(scram.respond(server.as_bytes()).is_ok());
            }
            for message in &messages {
                let _ = scram.respond(message);
                prop_assert!(scram.finish().is_err());
            }
        }
    }
}
