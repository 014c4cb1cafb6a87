//! Which way to log in: the strongest that the server offers, the user wants and the connection allows.

use super::AuthError;

/// A way to log in. Their order is from the strongest to the weakest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// AUTHENTICATE CRAM-MD5 (RFC 2195): the password itself is not sent.
    Cram,
    /// AUTHENTICATE PLAIN (RFC 4616).
    Plain,
    /// AUTHENTICATE LOGIN, obsolete but still the only one on some servers.
    Login,
    /// The LOGIN command (RFC 9051 section 6.2.3).
    LoginCommand,
}

/// From the strongest to the weakest.
const ALL: [Method; 4] = [
    Method::Cram,
    Method::Plain,
    Method::Login,
    Method::LoginCommand,
];

impl Method {
    /// `CRAM-MD5`, `PLAIN`, `LOGIN` (the mechanism's names) or `LOGIN command`.
    pub fn name(self) -> &'static str {
        match self {
            Method::Cram => "CRAM-MD5",
            Method::Plain => "PLAIN",
            Method::Login => "LOGIN",
            Method::LoginCommand => "LOGIN command",
        }
    }

    /// Reads a [`Method::name`], in any case of letters.
    ///
    /// # Errors
    /// [`AuthError::UnknownMethod`].
    pub fn parse(name: &str) -> Result<Method, AuthError> {
        ALL.into_iter()
            .find(|method| method.name().eq_ignore_ascii_case(name.trim()))
            .ok_or_else(|| AuthError::UnknownMethod {
                name: name.to_owned(),
            })
    }

    /// Whether who listens on the network learns the password.
    fn shows_password(self) -> bool {
        self != Method::Cram
    }

    /// Whether it can say whom to act as.
    fn carries_authz(self) -> bool {
        self == Method::Plain
    }
}

/// The strongest way to log in that can be taken.
///
/// - `offered`: the server's mechanisms, the part after `AUTH=`.
/// - `login_disabled`: whether the server says LOGINDISABLED.
/// - `wanted`: the only one the user will have, see [`Method::parse`]. `LOGIN` is the mechanism, or the LOGIN
///   command where the server has not got the mechanism.
/// - `private`: whether a password may be sent as it is, as the connection is private or the user allows it.
/// - `needs_authz`: whether to act as somebody else.
///
/// # Errors
/// An [`AuthError`] that says what the server offers and what to do.
pub fn choose(
    offered: &[String],
    login_disabled: bool,
    wanted: Option<&str>,
    private: bool,
    needs_authz: bool,
) -> Result<Method, AuthError> {
    let asked = wanted.map(Method::parse).transpose()?;
    let asked_for = |method: Method| match asked {
        None => true,
        Some(Method::Login) => matches!(method, Method::Login | Method::LoginCommand),
        Some(asked) => asked == method,
    };
    let is_offered = |method: Method| match method {
        Method::LoginCommand => !login_disabled,
        method => offered
            .iter()
            .any(|name| name.eq_ignore_ascii_case(method.name())),
    };
    let usable: Vec<Method> = ALL
        .into_iter()
        .filter(|&method| asked_for(method) && is_offered(method))
        .collect();
    // One reason after the other falls away, so that the error names the one that is left.
    if usable.is_empty() && !(needs_authz && asked.is_some_and(|asked| !asked.carries_authz())) {
        return Err(AuthError::NoneOffered {
            offered: offered.to_vec(),
            wanted: wanted.map(str::to_owned),
            login_disabled,
        });
    }
    let able: Vec<Method> = usable
        .into_iter()
        .filter(|method| !needs_authz || method.carries_authz())
        .collect();
    let Some(&strongest) = able.first() else {
        return Err(AuthError::AuthzUnsupported {
            offered: offered.to_vec(),
            wanted: asked.map(|asked| asked.name().to_owned()),
        });
    };
    able.into_iter()
        .find(|method| private || !method.shows_password())
        .ok_or_else(|| AuthError::NeedsPrivacy {
            method: strongest.name(),
            offered: offered.to_vec(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &str) -> Vec<String> {
        list.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn the_strongest_usable_one() {
        use Method::{Cram, Login, LoginCommand, Plain};
        let cases = [
            // offered, LOGINDISABLED, wanted, private, for another user
            ("LOGIN PLAIN CRAM-MD5", false, None, true, false, Cram),
            ("login plain cram-md5", false, None, true, false, Cram),
            ("GSSAPI LOGIN PLAIN", false, None, true, false, Plain),
            ("LOGIN", false, None, true, false, Login),
            ("", false, None, true, false, LoginCommand),
            ("GSSAPI", false, None, true, false, LoginCommand),
            ("PLAIN CRAM-MD5", true, None, false, false, Cram),
            ("PLAIN CRAM-MD5", false, Some("plain"), true, false, Plain),
            ("PLAIN LOGIN", false, Some("LOGIN"), true, false, Login),
            ("PLAIN", false, Some("LOGIN"), true, false, LoginCommand),
            (
                "PLAIN LOGIN",
                false,
                Some("login command"),
                true,
                false,
                LoginCommand,
            ),
            ("PLAIN CRAM-MD5", false, None, true, true, Plain),
        ];
        for (offered, disabled, wanted, private, authz, expected) in cases {
            assert_eq!(
                choose(&names(offered), disabled, wanted, private, authz),
                Ok(expected),
                "{offered} {wanted:?}"
            );
        }
    }

    #[test]
    fn a_password_never_goes_in_clear() {
        for offered in ["PLAIN", "LOGIN", "", "PLAIN LOGIN"] {
            for wanted in [None, Some("LOGIN")] {
                let error = choose(&names(offered), false, wanted, false, false).unwrap_err();
                assert!(matches!(error, AuthError::NeedsPrivacy { .. }), "{error}");
                assert!(error.to_string().contains("--allow-cleartext"), "{error}");
            }
        }
        // CRAM-MD5 would not show it, but cannot act for another.
        let error = choose(&names("CRAM-MD5 PLAIN"), false, None, false, true).unwrap_err();
        assert!(matches!(
            error,
            AuthError::NeedsPrivacy {
                method: "PLAIN",
                ..
            }
        ));
        let error = choose(&names("CRAM-MD5 PLAIN"), false, Some("PLAIN"), false, false);
        assert!(matches!(error, Err(AuthError::NeedsPrivacy { .. })));
    }

    #[test]
    fn errors_say_what_is_offered() {
        let none = choose(&names("GSSAPI"), true, None, true, false).unwrap_err();
        assert!(matches!(none, AuthError::NoneOffered { .. }));
        assert!(none.to_string().contains("GSSAPI and forbids"), "{none}");
        let wanted = choose(&names("PLAIN"), false, Some("CRAM-MD5"), true, false).unwrap_err();
        assert!(
            wanted
                .to_string()
                .contains("does not offer CRAM-MD5 but PLAIN"),
            "{wanted}"
        );
        let nothing = choose(&[], true, Some("LOGIN"), true, false).unwrap_err();
        assert!(
            nothing.to_string().contains("connect with TLS"),
            "{nothing}"
        );
        let authz = choose(&names("CRAM-MD5"), false, None, true, true).unwrap_err();
        assert!(matches!(authz, AuthError::AuthzUnsupported { .. }));
        for wanted in ["CRAM-MD5", "LOGIN"] {
            let authz = choose(&names("PLAIN"), true, Some(wanted), true, true).unwrap_err();
            assert!(
                authz.to_string().contains(&format!("PLAIN, not {wanted}")),
                "{authz}"
            );
        }
        let missing = choose(&names("LOGIN"), true, Some("PLAIN"), true, true).unwrap_err();
        assert!(matches!(missing, AuthError::NoneOffered { .. }));
        assert!(matches!(
            choose(&[], false, Some("SCRAM"), true, false),
            Err(AuthError::UnknownMethod { .. })
        ));
    }

    #[test]
    fn a_hostile_offer_does_not_reach_the_terminal() {
        let offered = ["\x1b[2J".to_owned(), "X".repeat(100_000)];
        let error = choose(&offered, true, None, true, false).unwrap_err();
        let words = error.to_string();
        assert!(!words.contains('\x1b') && words.len() < 1000);
    }

    #[test]
    fn names_read_back() {
        for method in ALL {
            assert_eq!(Method::parse(method.name()), Ok(method));
            assert_eq!(Method::parse(&method.name().to_lowercase()), Ok(method));
        }
        assert!(Method::parse("").is_err());
    }
}
