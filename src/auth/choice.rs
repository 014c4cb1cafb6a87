//! Which ways to log in: what the server offers, the user wants and the connection allows, the strongest first.

use super::{AuthError, Secret};

/// A way to log in. Their order is from the strongest to the weakest, those at the end only on demand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Method {
    /// EXTERNAL (RFC 4422 appendix A): the server knows the client already, by its certificate or its socket.
    External,
    /// SCRAM-SHA-512-PLUS: as SCRAM-SHA-512, and bound to the TLS connection.
    ScramSha512Plus,
    /// SCRAM-SHA-256-PLUS (RFC 7677): as SCRAM-SHA-256, and bound to the TLS connection.
    ScramSha256Plus,
    /// SCRAM-SHA-1-PLUS (RFC 5802): as SCRAM-SHA-1, and bound to the TLS connection.
    ScramSha1Plus,
    /// SCRAM-SHA-512 (draft-melnikov-scram-sha-512): both sides prove that they know the password.
    ScramSha512,
    /// SCRAM-SHA-256 (RFC 7677): both sides prove that they know the password.
    ScramSha256,
    /// SCRAM-SHA-1 (RFC 5802): both sides prove that they know the password.
    ScramSha1,
    /// CRAM-MD5 (RFC 2195): the password itself is not sent.
    Cram,
    /// PLAIN (RFC 4616).
    Plain,
    /// LOGIN, obsolete but still the only one on some servers.
    Login,
    /// The LOGIN command (RFC 9051 section 6.2.3).
    LoginCommand,
    /// OAUTHBEARER (RFC 7628): a bearer token in place of a password.
    OauthBearer,
    /// XOAUTH2: the same in the form of before the standard, as Google and Microsoft have it.
    Xoauth2,
    /// GSSAPI (RFC 4752): a Kerberos ticket. Only when asked for: without a ticket it would wait on the network for
    /// nothing.
    #[cfg(feature = "gssapi")]
    Gssapi,
    /// ANONYMOUS (RFC 4505). Only when asked for: nobody is logged in as nobody by mistake.
    Anonymous,
}

/// From the strongest to the weakest, then those that are only taken when asked for.
const ALL: &[Method] = &[
    Method::External,
    Method::ScramSha512Plus,
    Method::ScramSha256Plus,
    Method::ScramSha1Plus,
    Method::ScramSha512,
    Method::ScramSha256,
    Method::ScramSha1,
    Method::Cram,
    Method::Plain,
    Method::Login,
    Method::LoginCommand,
    Method::OauthBearer,
    Method::Xoauth2,
    #[cfg(feature = "gssapi")]
    Method::Gssapi,
    Method::Anonymous,
];

/// The secret that a [`Method`] is to be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// A password.
    Password,
    /// A bearer token (RFC 6750).
    Token,
    /// None at all.
    Nothing,
}

impl Needs {
    /// Whether `secret` is of this kind. What needs nothing is content with any.
    pub fn fits(self, secret: &Secret) -> bool {
        match self {
            Needs::Password => matches!(secret, Secret::Password(_)),
            Needs::Token => matches!(secret, Secret::Token(_)),
            Needs::Nothing => true,
        }
    }
}

impl Method {
    /// The mechanism's name (`SCRAM-SHA-256-PLUS`, `PLAIN` and so on), or `LOGIN command`.
    pub fn name(self) -> &'static str {
        match self {
            Method::External => "EXTERNAL",
            Method::ScramSha512Plus => "SCRAM-SHA-512-PLUS",
            Method::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
            Method::ScramSha1Plus => "SCRAM-SHA-1-PLUS",
            Method::ScramSha512 => "SCRAM-SHA-512",
            Method::ScramSha256 => "SCRAM-SHA-256",
            Method::ScramSha1 => "SCRAM-SHA-1",
            Method::Cram => "CRAM-MD5",
            Method::Plain => "PLAIN",
            Method::Login => "LOGIN",
            Method::LoginCommand => "LOGIN command",
            Method::OauthBearer => "OAUTHBEARER",
            Method::Xoauth2 => "XOAUTH2",
            #[cfg(feature = "gssapi")]
            Method::Gssapi => "GSSAPI",
            Method::Anonymous => "ANONYMOUS",
        }
    }

    /// Reads a [`Method::name`], in any case of letters.
    ///
    /// # Errors
    /// [`AuthError::UnknownMethod`], and [`AuthError::NotBuilt`] for GSSAPI without the feature `gssapi`. SCRAM without the feature `sasl` is
    /// never chosen.
    pub fn parse(name: &str) -> Result<Method, AuthError> {
        let name = name.trim();
        if !cfg!(feature = "gssapi") && name.eq_ignore_ascii_case("GSSAPI") {
            return Err(AuthError::NotBuilt {
                method: "GSSAPI",
                feature: "gssapi",
            });
        }
        ALL.iter()
            .copied()
            .find(|method| method.name().eq_ignore_ascii_case(name))
            .ok_or_else(|| AuthError::UnknownMethod {
                name: name.to_owned(),
            })
    }

    /// Reads several names with commas or spaces between them, such as `SCRAM-SHA-256,PLAIN`. Their order stays, as it
    /// is the user's preference.
    ///
    /// # Errors
    /// As [`parse`](Self::parse); an empty list is [`AuthError::UnknownMethod`] too.
    pub fn parse_list(list: &str) -> Result<Vec<Method>, AuthError> {
        let mut methods = Vec::new();
        for part in list.split(',') {
            let mut words = part.split_whitespace().peekable();
            while let Some(word) = words.next() {
                // The one name that has a space in it.
                let command = word.eq_ignore_ascii_case("LOGIN")
                    && words
                        .next_if(|next| next.eq_ignore_ascii_case("command"))
                        .is_some();
                let method = if command {
                    Method::LoginCommand
                } else {
                    Method::parse(word)?
                };
                if !methods.contains(&method) {
                    methods.push(method);
                }
            }
        }
        if methods.is_empty() {
            return Err(AuthError::UnknownMethod {
                name: list.to_owned(),
            });
        }
        Ok(methods)
    }

    /// The secret that it takes.
    pub fn needs(self) -> Needs {
        match self {
            Method::External | Method::Anonymous => Needs::Nothing,
            #[cfg(feature = "gssapi")]
            Method::Gssapi => Needs::Nothing,
            Method::OauthBearer | Method::Xoauth2 => Needs::Token,
            _ => Needs::Password,
        }
    }

    /// The form of the same hash without channel binding, of a -PLUS form.
    pub fn without_binding(self) -> Option<Method> {
        match self {
            Method::ScramSha512Plus => Some(Method::ScramSha512),
            Method::ScramSha256Plus => Some(Method::ScramSha256),
            Method::ScramSha1Plus => Some(Method::ScramSha1),
            _ => None,
        }
    }

    /// Whether it is one of SCRAM's.
    pub(crate) fn is_scram(self) -> bool {
        self.without_binding().is_some()
            || matches!(
                self,
                Method::ScramSha512 | Method::ScramSha256 | Method::ScramSha1
            )
    }

    /// Whether it proves that one knows the password, for which the server must hold it in a way that fits.
    pub(crate) fn is_proof(self) -> bool {
        self.is_scram() || self == Method::Cram
    }

    /// Whether who listens on the network learns the secret.
    fn shows_secret(self) -> bool {
        matches!(
            self,
            Method::Plain
                | Method::Login
                | Method::LoginCommand
                | Method::OauthBearer
                | Method::Xoauth2
        )
    }

    /// Whether it can say whom to act as.
    pub(crate) fn carries_authz(self) -> bool {
        self.is_scram() || matches!(self, Method::Plain | Method::External | Method::OauthBearer)
    }
}

/// What a server offers for logging in.
#[derive(Debug, Clone, Copy)]
pub struct Offer<'a> {
    /// Its mechanisms, the part after `AUTH=`.
    pub mechanisms: &'a [String],
    /// Whether it forbids the LOGIN command (LOGINDISABLED).
    pub login_disabled: bool,
}

impl Offer<'_> {
    fn has(&self, method: Method) -> bool {
        match method {
            Method::LoginCommand => !self.login_disabled,
            method if method.is_scram() && !cfg!(feature = "sasl") => false,
            method => self
                .mechanisms
                .iter()
                .any(|name| name.eq_ignore_ascii_case(method.name())),
        }
    }

    /// Whether the server offers any mechanism with channel binding.
    pub fn has_binding(&self) -> bool {
        ALL.iter()
            .any(|&method| method.without_binding().is_some() && self.has(method))
    }
}

/// What a login may rest upon.
#[derive(Debug, Clone, Copy, Default)]
pub struct Circumstances {
    /// Whether a secret may be sent as it is, as the connection is private or the user allows it.
    pub private: bool,
    /// Whether the server can know the client below SASL: by a client certificate, or a Unix socket.
    pub identified: bool,
    /// Whether the channel binding `tls-exporter` can be had (RFC 9266).
    pub binding: bool,
    /// Whether to act as somebody else.
    pub authz: bool,
    /// Whether a token, not a password, is at hand.
    pub token: bool,
}

impl Circumstances {
    /// Whether to think of a method that nobody asked for.
    fn suggest(&self, method: Method) -> bool {
        match method {
            Method::External => self.identified,
            Method::Anonymous => false,
            #[cfg(feature = "gssapi")]
            Method::Gssapi => false,
            method => (method.needs() == Needs::Token) == self.token,
        }
    }
}

/// All the ways to log in that can be tried: the strongest first, or in the order of `wanted`. Never empty.
///
/// An empty `wanted` means any; then ANONYMOUS and GSSAPI are left out, and so is EXTERNAL where the server can't know
/// the client, and what takes another kind of secret than the one at hand. `LOGIN` in it is the mechanism, then the
/// LOGIN command.
///
/// # Errors
/// An [`AuthError`] that says what the server offers and what to do.
pub fn choose(
    offer: Offer<'_>,
    wanted: &[Method],
    circumstances: Circumstances,
) -> Result<Vec<Method>, AuthError> {
    let mut asked: Vec<Method> = Vec::new();
    if wanted.is_empty() {
        let suggested = ALL.iter().filter(|&&method| circumstances.suggest(method));
        asked.extend(suggested);
    }
    for &method in wanted {
        let spare = (method == Method::Login).then_some(Method::LoginCommand);
        for method in [Some(method), spare].into_iter().flatten() {
            if !asked.contains(&method) {
                asked.push(method);
            }
        }
    }
    let offered = || offer.mechanisms.to_vec();
    let names = || wanted.iter().map(|method| method.name()).collect();

    // One reason after the other falls away, so that the error names the one that is left.
    let able = |method: &Method| !circumstances.authz || method.carries_authz();
    let usable: Vec<Method> = asked
        .iter()
        .copied()
        .filter(|&method| offer.has(method))
        .collect();
    if usable.is_empty() && (wanted.is_empty() || asked.iter().any(able)) {
        return Err(AuthError::NoneOffered {
            offered: offered(),
            wanted: names(),
            login_disabled: offer.login_disabled,
            token: circumstances.token,
        });
    }
    let able: Vec<Method> = usable.into_iter().filter(able).collect();
    if able.is_empty() {
        return Err(AuthError::AuthzUnsupported {
            offered: offered(),
            wanted: names(),
        });
    }
    let bindable: Vec<Method> = able
        .iter()
        .copied()
        .filter(|method| circumstances.binding || method.without_binding().is_none())
        .collect();
    let Some(&strongest) = bindable.first() else {
        return Err(AuthError::NoBinding {
            method: able[0].name(),
        });
    };
    let discreet: Vec<Method> = bindable
        .into_iter()
        .filter(|method| circumstances.private || !method.shows_secret())
        .collect();
    if discreet.is_empty() {
        return Err(AuthError::NeedsPrivacy {
            method: strongest.name(),
            offered: offered(),
        });
    }
    Ok(discreet)
}

#[cfg(all(test, feature = "sasl"))]
mod tests {
    use super::*;

    fn names(list: &str) -> Vec<String> {
        list.split_whitespace().map(str::to_owned).collect()
    }

    /// What is chosen of `offered`; a `!` in it stands for LOGINDISABLED. Spoken names, as they read best in a table.
    fn chosen(offered: &str, wanted: &str, with: Circumstances) -> Result<String, AuthError> {
        let mechanisms = names(&offered.replace('!', ""));
        let offer = Offer {
            mechanisms: &mechanisms,
            login_disabled: offered.contains('!'),
        };
        let wanted = match wanted {
            "" => Vec::new(),
            wanted => Method::parse_list(wanted)?,
        };
        let names: Vec<_> = choose(offer, &wanted, with)?
            .into_iter()
            .map(Method::name)
            .collect();
        Ok(names.join(","))
    }

    const PRIVATE: Circumstances = Circumstances {
        private: true,
        identified: false,
        binding: false,
        authz: false,
        token: false,
    };
    const OPEN: Circumstances = Circumstances {
        private: false,
        ..PRIVATE
    };
    const BOUND: Circumstances = Circumstances {
        binding: true,
        ..PRIVATE
    };
    const KNOWN: Circumstances = Circumstances {
        identified: true,
        ..BOUND
    };
    const ACTING: Circumstances = Circumstances {
        authz: true,
        ..PRIVATE
    };
    const TOKEN: Circumstances = Circumstances {
        token: true,
        ..PRIVATE
    };
    const CYRUS: &str = "PLAIN LOGIN CRAM-MD5 SCRAM-SHA-1-PLUS SCRAM-SHA-1 SCRAM-SHA-256-PLUS SCRAM-SHA-256 \
                         SCRAM-SHA-512-PLUS SCRAM-SHA-512 EXTERNAL ANONYMOUS GSSAPI !";

    #[test]
    fn the_strongest_usable_one_comes_first() {
        let plus = "SCRAM-SHA-512-PLUS,SCRAM-SHA-256-PLUS,SCRAM-SHA-1-PLUS";
        let scram = "SCRAM-SHA-512,SCRAM-SHA-256,SCRAM-SHA-1";
        let rest = "CRAM-MD5,PLAIN,LOGIN";
        let cases = [
            (
                "LOGIN PLAIN CRAM-MD5",
                "",
                PRIVATE,
                "CRAM-MD5,PLAIN,LOGIN,LOGIN command",
            ),
            ("login plain cram-md5 !", "", PRIVATE, rest),
            ("GSSAPI LOGIN PLAIN !", "", PRIVATE, "PLAIN,LOGIN"),
            ("LOGIN", "", PRIVATE, "LOGIN,LOGIN command"),
            ("", "", PRIVATE, "LOGIN command"),
            ("GSSAPI", "", PRIVATE, "LOGIN command"),
            ("PLAIN CRAM-MD5 !", "", OPEN, "CRAM-MD5"),
            (
                "PLAIN SCRAM-SHA-1 CRAM-MD5",
                "",
                OPEN,
                "SCRAM-SHA-1,CRAM-MD5",
            ),
            (CYRUS, "", PRIVATE, &format!("{scram},{rest}")),
            (CYRUS, "", BOUND, &format!("{plus},{scram},{rest}")),
            (CYRUS, "", KNOWN, &format!("EXTERNAL,{plus},{scram},{rest}")),
            (CYRUS, "", OPEN, &format!("{scram},CRAM-MD5")),
            (CYRUS, "", ACTING, &format!("{scram},PLAIN")),
            // The user's own order.
            ("PLAIN CRAM-MD5", "plain", PRIVATE, "PLAIN"),
            (CYRUS, "plain scram-sha-1", PRIVATE, "PLAIN,SCRAM-SHA-1"),
            (CYRUS, "PLAIN,SCRAM-SHA-1,PLAIN", OPEN, "SCRAM-SHA-1"),
            ("PLAIN LOGIN", "LOGIN", PRIVATE, "LOGIN,LOGIN command"),
            ("PLAIN", "LOGIN", PRIVATE, "LOGIN command"),
            ("PLAIN LOGIN", "login command", PRIVATE, "LOGIN command"),
            (CYRUS, "EXTERNAL", PRIVATE, "EXTERNAL"),
            (CYRUS, "ANONYMOUS", OPEN, "ANONYMOUS"),
            ("PLAIN CRAM-MD5", "", ACTING, "PLAIN"),
            // Tokens.
            (
                "PLAIN XOAUTH2 OAUTHBEARER",
                "",
                TOKEN,
                "OAUTHBEARER,XOAUTH2",
            ),
            ("PLAIN XOAUTH2 OAUTHBEARER !", "", PRIVATE, "PLAIN"),
            ("PLAIN XOAUTH2", "XOAUTH2", PRIVATE, "XOAUTH2"),
            ("PLAIN XOAUTH2", "XOAUTH2,PLAIN", TOKEN, "XOAUTH2,PLAIN"),
        ];
        for (offered, wanted, with, expected) in cases {
            let found = chosen(offered, wanted, with);
            assert_eq!(
                found.as_deref(),
                Ok(expected),
                "{offered} {wanted} {with:?}"
            );
        }
        #[cfg(feature = "gssapi")]
        assert_eq!(chosen(CYRUS, "GSSAPI", OPEN).as_deref(), Ok("GSSAPI"));
    }

    #[test]
    fn a_secret_never_goes_in_clear() {
        for offered in ["PLAIN", "LOGIN", "", "PLAIN LOGIN"] {
            for wanted in ["", "LOGIN"] {
                let error = chosen(offered, wanted, OPEN).unwrap_err();
                assert!(matches!(error, AuthError::NeedsPrivacy { .. }), "{error}");
                assert!(error.to_string().contains("--allow-cleartext"), "{error}");
            }
        }
        for wanted in ["", "OAUTHBEARER", "XOAUTH2"] {
            let open = Circumstances {
                private: false,
                ..TOKEN
            };
            let error = chosen("OAUTHBEARER XOAUTH2", wanted, open).unwrap_err();
            assert!(matches!(error, AuthError::NeedsPrivacy { .. }), "{error}");
        }
        // CRAM-MD5 would not show it, but cannot act for another.
        let open = Circumstances {
            private: false,
            ..ACTING
        };
        let error = chosen("CRAM-MD5 PLAIN", "", open).unwrap_err();
        assert!(matches!(
            error,
            AuthError::NeedsPrivacy {
                method: "PLAIN",
                ..
            }
        ));
        let error = chosen("CRAM-MD5 PLAIN", "PLAIN", OPEN);
        assert!(matches!(error, Err(AuthError::NeedsPrivacy { .. })));
    }

    #[test]
    fn errors_say_what_is_offered() {
        let none = chosen("NTLM !", "", PRIVATE).unwrap_err();
        assert!(matches!(none, AuthError::NoneOffered { .. }));
        assert!(none.to_string().contains("NTLM and forbids"), "{none}");
        assert!(none.to_string().contains("SCRAM-SHA-256"), "{none}");
        let wanted = chosen("PLAIN", "CRAM-MD5,SCRAM-SHA-1", PRIVATE).unwrap_err();
        assert!(
            wanted
                .to_string()
                .contains("does not offer CRAM-MD5 or SCRAM-SHA-1 but PLAIN"),
            "{wanted}"
        );
        let nothing = chosen("!", "LOGIN", PRIVATE).unwrap_err();
        assert!(
            nothing.to_string().contains("connect with TLS"),
            "{nothing}"
        );
        let token = chosen("PLAIN", "", TOKEN).unwrap_err();
        assert!(token.to_string().contains("accepts a token"), "{token}");
        let authz = chosen("CRAM-MD5", "", ACTING).unwrap_err();
        assert!(matches!(authz, AuthError::AuthzUnsupported { .. }));
        for wanted in ["CRAM-MD5", "LOGIN"] {
            let authz = chosen("PLAIN !", wanted, ACTING).unwrap_err();
            assert!(
                authz.to_string().contains(&format!(", not {wanted}")),
                "{authz}"
            );
        }
        let missing = chosen("LOGIN !", "PLAIN", ACTING).unwrap_err();
        assert!(matches!(missing, AuthError::NoneOffered { .. }));
        let binding = chosen(CYRUS, "SCRAM-SHA-256-PLUS", PRIVATE).unwrap_err();
        assert!(binding.to_string().contains("TLS 1.3"), "{binding}");
        assert!(matches!(
            chosen("", "SCRAM", PRIVATE),
            Err(AuthError::UnknownMethod { .. })
        ));
    }

    #[test]
    fn a_hostile_offer_does_not_reach_the_terminal() {
        let mechanisms = ["\x1b[2J".to_owned(), "X".repeat(100_000)];
        let offer = Offer {
            mechanisms: &mechanisms,
            login_disabled: true,
        };
        let words = choose(offer, &[], PRIVATE).unwrap_err().to_string();
        assert!(!words.contains('\x1b') && words.len() < 1000);
    }

    #[test]
    fn names_read_back() {
        for &method in ALL {
            assert_eq!(Method::parse(method.name()), Ok(method));
            assert_eq!(Method::parse(&method.name().to_lowercase()), Ok(method));
            assert_eq!(Method::parse_list(method.name()), Ok(vec![method]));
        }
        assert!(Method::parse("").is_err());
        assert_eq!(
            Method::parse("gssapi").is_ok(),
            cfg!(feature = "gssapi"),
            "only where it is built in"
        );
    }

    #[test]
    fn lists_of_names() {
        use Method::{Login, LoginCommand, Plain, ScramSha256};
        let read = |list| Method::parse_list(list);
        assert_eq!(read("SCRAM-SHA-256,PLAIN"), Ok(vec![ScramSha256, Plain]));
        assert_eq!(
            read(" plain  scram-sha-256, Plain,"),
            Ok(vec![Plain, ScramSha256])
        );
        assert_eq!(
            read("login command,login PLAIN"),
            Ok(vec![LoginCommand, Login, Plain])
        );
        for wrong in ["", " , ", "PLAIN,ROT13", "command", "PLAIN command"] {
            assert!(
                matches!(read(wrong), Err(AuthError::UnknownMethod { .. })),
                "{wrong}"
            );
        }
    }

    #[test]
    fn which_secret_fits() {
        let (password, token) = (
            Secret::Password("x".into()),
            Secret::Token("y".to_owned().into()),
        );
        assert!(Method::Plain.needs().fits(&password));
        assert!(!Method::Plain.needs().fits(&token) && !Method::Plain.needs().fits(&Secret::None));
        assert!(Method::Xoauth2.needs().fits(&token));
        assert!(!Method::OauthBearer.needs().fits(&password));
        for secret in [&password, &token, &Secret::None] {
            assert!(Method::External.needs().fits(secret));
        }
    }
}
