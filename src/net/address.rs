//! Which server is meant: every notation a user may write for one, and what each says of port and TLS.
//!
//! Not here: addresses such as `imaps://mail.example.org` (`url`), looking names up and connecting, which is `stream`.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use super::host::{IMAP, IMAPS, check_host, one_port, parse_port, split_host};

pub use super::host::TargetError;

/// Where a server listens.
///
/// Displayed as `host:port`, `[v6]:port` or the socket's path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// A TCP port.
    Tcp {
        /// A name or an IP address; a v6 address stands here without brackets.
        host: String,
        /// The port, 1 to 65535.
        port: u16,
    },
    /// A Unix socket.
    Unix(PathBuf),
}

impl Address {
    /// Whether the notation names this machine: a Unix socket, `localhost`, or a loopback address.
    ///
    /// Good for words only. What decides whether a password may go in clear is the connected peer's address,
    /// see [`Channel::private`](super::Channel::private).
    pub fn is_local(&self) -> bool {
        match self {
            Address::Unix(_) => true,
            Address::Tcp { host, .. } => {
                let host = host.strip_suffix('.').unwrap_or(host);
                host.eq_ignore_ascii_case("localhost")
                    || host.parse::<IpAddr>().is_ok_and(is_loopback)
            }
        }
    }

    /// The host, as TLS checks it and as prompts show it; `localhost` for a Unix socket.
    pub fn host(&self) -> &str {
        match self {
            Address::Tcp { host, .. } => host,
            Address::Unix(_) => "localhost",
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Address::Tcp { host, port } => write!(f, "{host}:{port}"),
            Address::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Whether an address never leaves the machine; `::ffff:127.0.0.1` counts too.
pub(super) fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

/// How the connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Security {
    /// In clear at first, then STARTTLS, without which there is no session.
    StartTls,
    /// TLS from the first byte.
    Tls,
    /// No TLS at all.
    None,
}

/// A server as the user wrote it.
///
/// [`Target::settle`] makes of it what to connect to, once the other flags have had their say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Where. Its port is a default one as long as [`Target::explicit_port`] is `None`.
    pub address: Address,
    /// What the notation says about TLS: `imaps://` and port 993 mean TLS; the others say nothing.
    pub security: Option<Security>,
    /// The user named in an `imap://` address.
    pub user: Option<String>,
    /// The port, if one was written.
    pub explicit_port: Option<u16>,
}

impl Target {
    /// Reads a server: a host, `host:port`, `[v6]`, `[v6]:port`, a bare v6 address, `imap://user@host:port`,
    /// `imaps://…` (RFC 5092 section 3, the server part only), or the path of a Unix socket.
    ///
    /// `port` is the value of a separate port option: a number or the service name `imap` or `imaps`.
    ///
    /// # Errors
    /// A [`TargetError`] for anything else. It never repeats a part that could be a password.
    pub fn parse(server: &str, port: Option<&str>) -> Result<Target, TargetError> {
        let port = port.map(parse_port).transpose()?;
        // Before anything else, as the URL parser would silently drop tabs and line ends.
        if server.chars().any(char::is_control) {
            return Err(TargetError::Unprintable);
        }
        if server.is_empty() {
            return Err(TargetError::EmptyHost);
        }
        if server.starts_with('/') {
            return match port {
                Some(_) => Err(TargetError::PortWithSocket),
                None => Ok(Target {
                    address: Address::Unix(PathBuf::from(server)),
                    security: None,
                    user: None,
                    explicit_port: None,
                }),
            };
        }
        if let Some((_scheme, _)) = server.split_once("://") {
            #[cfg(feature = "url")]
            return Self::of_url(_scheme, server, port);
            #[cfg(not(feature = "url"))]
            return Err(TargetError::BadUrl {
                reason: "this imapadm was built without the feature url".to_owned(),
            });
        }
        if server.contains('@') {
            return Err(TargetError::UserInHost);
        }
        let (host, written) = split_host(server)?;
        let port = one_port(written.map(parse_port).transpose()?, port)?;
        Ok(Target::tcp(check_host(host)?, port, None, None))
    }

    #[cfg(feature = "url")]
    fn of_url(scheme: &str, text: &str, option: Option<u16>) -> Result<Self, TargetError> {
        let url = super::url::parse(scheme, text)?;
        let security = if url.tls {
            Security::Tls
        } else {
            Security::StartTls
        };
        let port = one_port(url.port, option)?;
        Ok(Self::tcp(url.host, port, Some(security), url.user))
    }

    /// The one place where a port says something about TLS.
    fn tcp(
        host: String,
        explicit_port: Option<u16>,
        scheme: Option<Security>,
        user: Option<String>,
    ) -> Target {
        let security = match explicit_port {
            Some(IMAPS) if scheme.is_none() => Some(Security::Tls),
            // `imap://` speaks of STARTTLS at the most, but that is the default anyway: leave room for the
            // configuration to say something else.
            _ => scheme.filter(|&security| security == Security::Tls),
        };
        let port = explicit_port.unwrap_or_else(|| default_port(security));
        Target {
            address: Address::Tcp { host, port },
            security,
            user,
            explicit_port,
        }
    }

    /// The port to use with this security: the written one, else 993 for TLS and 143 otherwise.
    pub fn port_or_default(&self, security: Security) -> u16 {
        self.explicit_port
            .unwrap_or_else(|| default_port(Some(security)))
    }

    /// What to connect to, and how. `forced` (a flag, say) wins over what the notation says; if neither speaks,
    /// it is STARTTLS, and no TLS on a Unix socket, which has no name that a certificate could
    /// confirm.
    pub fn settle(self, forced: Option<Security>) -> (Address, Security) {
        let security = forced.or(self.security).unwrap_or(match self.address {
            Address::Tcp { .. } => Security::StartTls,
            Address::Unix(_) => Security::None,
        });
        let port = self.port_or_default(security);
        let address = match self.address {
            Address::Tcp { host, .. } => Address::Tcp { host, port },
            unix @ Address::Unix(_) => unix,
        };
        (address, security)
    }
}

fn default_port(security: Option<Security>) -> u16 {
    match security {
        Some(Security::Tls) => IMAPS,
        _ => IMAP,
    }
}

#[cfg(all(test, feature = "url"))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn settled(server: &str, port: Option<&str>) -> (String, Security) {
        let (address, security) = Target::parse(server, port).unwrap().settle(None);
        (address.to_string(), security)
    }

    #[test]
    fn every_notation() {
        use Security::{None as Clear, StartTls, Tls};
        let cases = [
            ("mail", None, "mail:143", StartTls),
            ("imap.example.org.", None, "imap.example.org.:143", StartTls),
            ("mail:1143", None, "mail:1143", StartTls),
            ("mail", Some("1143"), "mail:1143", StartTls),
            ("mail:1143", Some("1143"), "mail:1143", StartTls),
            ("mail:993", None, "mail:993", Tls),
            ("mail:imaps", None, "mail:993", Tls),
            ("mail", Some("IMAPS"), "mail:993", Tls),
            ("mail", Some("imap"), "mail:143", StartTls),
            ("192.0.2.1:143", None, "192.0.2.1:143", StartTls),
            ("::1", None, "[::1]:143", StartTls),
            ("[::1]", None, "[::1]:143", StartTls),
            ("[::1]:993", None, "[::1]:993", Tls),
            ("::1", Some("993"), "[::1]:993", Tls),
            ("fe80::1%eth0", None, "[fe80::1%eth0]:143", StartTls),
            ("imap://mail", None, "mail:143", StartTls),
            ("imap://mail/", None, "mail:143", StartTls),
            ("IMAPS://mail", None, "mail:993", Tls),
            ("imaps://mail:10993", None, "mail:10993", Tls),
            ("imap://mail:993", None, "mail:993", StartTls),
            ("imap://mail:imaps", None, "mail:993", StartTls),
            (
                "imaps://[2001:db8::1]:1993/",
                None,
                "[2001:db8::1]:1993",
                Tls,
            ),
            ("imap://m%61il", None, "mail:143", StartTls),
            (
                "bücher.example",
                None,
                "xn--bcher-kva.example:143",
                StartTls,
            ),
            (
                "imap://bücher.example",
                None,
                "xn--bcher-kva.example:143",
                StartTls,
            ),
            ("/run/imap.sock", None, "/run/imap.sock", Clear),
        ];
        for (server, port, address, security) in cases {
            assert_eq!(
                settled(server, port),
                (address.to_owned(), security),
                "{server} {port:?}"
            );
        }
    }

    #[test]
    fn a_forced_security_moves_the_default_port_only() {
        let settle = |server: &str, forced| {
            let (address, security) = Target::parse(server, None).unwrap().settle(Some(forced));
            (address.to_string(), security)
        };
        assert_eq!(
            settle("mail", Security::Tls),
            ("mail:993".to_owned(), Security::Tls)
        );
        assert_eq!(
            settle("mail:143", Security::Tls),
            ("mail:143".to_owned(), Security::Tls)
        );
        assert_eq!(
            settle("imaps://mail", Security::None),
            ("mail:143".to_owned(), Security::None)
        );
        assert_eq!(
            settle("/s", Security::Tls),
            ("/s".to_owned(), Security::Tls)
        );
    }

    #[test]
    fn users_in_addresses() {
        let user = |server: &str| Target::parse(server, None).map(|target| target.user);
        assert_eq!(user("imap://mail"), Ok(None));
        assert_eq!(user("imap://cyrus@mail"), Ok(Some("cyrus".to_owned())));
        assert_eq!(
            user("imap://j%C3%B6rg%40x%3By@mail"),
            Ok(Some("jörg@x;y".to_owned()))
        );
        assert_eq!(
            user("imap://joe;AUTH=PLAIN@mail"),
            Ok(Some("joe".to_owned()))
        );
        assert_eq!(user("imap://;AUTH=*@mail"), Ok(None));
        assert_eq!(
            user("imap://joe;auth=PLAIN:x@mail"),
            Err(TargetError::PasswordInUrl)
        );
        assert_eq!(user("imap://j%00e@mail"), Err(TargetError::BadUser));
        assert_eq!(user("imap://j%fe@mail"), Err(TargetError::BadUser));
        assert_eq!(user("imap://j%4@mail"), Err(TargetError::BadUser));
    }

    #[test]
    fn refusals() {
        let error = |server: &str, port| Target::parse(server, port).unwrap_err();
        assert_eq!(error("", None), TargetError::EmptyHost);
        assert_eq!(error(":143", None), TargetError::EmptyHost);
        assert_eq!(error("imap://", None), TargetError::EmptyHost);
        assert_eq!(error("mail\n", None), TargetError::Unprintable);
        assert_eq!(error("ma\0il", None), TargetError::Unprintable);
        assert_eq!(error("/run/\x1b[2J", None), TargetError::Unprintable);
        assert_eq!(
            error("/run/imap.sock", Some("143")),
            TargetError::PortWithSocket
        );
        assert_eq!(
            error("mail:143", Some("993")),
            TargetError::TwoPorts {
                written: 143,
                option: 993
            }
        );
        assert_eq!(error("joe@mail", None), TargetError::UserInHost);
        assert_eq!(error("imap://joe:x@mail", None), TargetError::PasswordInUrl);
        assert_eq!(error("imap://joe@mail/INBOX", None), TargetError::PathInUrl);
        assert_eq!(error("imap://mail?x", None), TargetError::PathInUrl);
        assert!(matches!(
            error("http://mail", None),
            TargetError::UnknownScheme { .. }
        ));
        for port in [
            "",
            "0",
            "65536",
            "-1",
            "+143",
            "pop3",
            "1 43",
            "99999999999",
        ] {
            assert!(
                matches!(error("mail", Some(port)), TargetError::BadPort { .. }),
                "{port}"
            );
        }
        assert!(matches!(
            error("imap://mail:0", None),
            TargetError::BadPort { .. }
        ));
        for host in [
            "ma il",
            "a b",
            "[::1",
            "[mail]",
            "[::1]x",
            "1:2:3",
            "mail/x",
            "a..b",
            ".a",
            "-x",
            "ma%il",
            "a\\b",
            "[::1%]:143",
        ] {
            assert!(
                matches!(error(host, None), TargetError::BadHost { .. }),
                "{host}"
            );
        }
    }

    #[test]
    fn a_password_is_never_repeated() {
        for server in [
            "imap://joe:hunter2@mail",
            "imap://joe:hunter2/x@mail",
            "imap://joe:hun/hunter2@mail",
            "imap://joe:1/hunter2@mail",
            "imap://joe:1?hunter2@mail",
            "imap://joe:hunter2@ma il",
            "imap://joe:hunter2@mail:99999",
            "joe:hunter2@mail",
            "joe:hunter2@http://mail",
        ] {
            let error = Target::parse(server, None).unwrap_err();
            let words = format!("{error} {error:?}");
            assert!(!words.contains("hunter2"), "{server}: {words}");
        }
    }

    #[test]
    fn local_by_its_words() {
        let local = |server: &str| Target::parse(server, None).unwrap().address.is_local();
        for server in [
            "localhost",
            "LocalHost.",
            "127.0.0.9",
            "::1",
            "::ffff:127.0.0.1",
            "/s",
        ] {
            assert!(local(server), "{server}");
        }
        for server in ["localhost.example.org", "192.0.2.1", "::2", "mail"] {
            assert!(!local(server), "{server}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(server in "\\PC{0,40}", port in proptest::option::of("\\PC{0,6}")) {
            let _ = Target::parse(&server, port.as_deref());
        }

        #[test]
        fn what_is_shown_reads_back(host in "[a-z0-9]{1,9}(\\.[a-z0-9]{1,9}){0,3}", port in 1u16..) {
            let shown = Target::parse(&format!("{host}:{port}"), None).unwrap();
            let again = Target::parse(&shown.address.to_string(), None).unwrap();
            prop_assert_eq!(shown, again);
        }
    }
}
