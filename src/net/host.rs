//! The host and the port of a server, as they are written, and what is wrong with them.

use std::net::Ipv6Addr;

/// The port of IMAP, in clear or with STARTTLS (RFC 9051 section 11.1).
pub(super) const IMAP: u16 = 143;
/// The port of IMAP with TLS from the first byte (RFC 8314 section 3.2).
pub(super) const IMAPS: u16 = 993;

/// Why a server's notation was refused; always the user's to mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Nothing where the host should be.
    #[error("the server name is empty; give a host, as in `imap.example.org`")]
    EmptyHost,
    /// A control character, such as a line end or NUL, anywhere in it.
    #[error(
        "the server name contains a control character; type it again (it may have been pasted with a line end)"
    )]
    Unprintable,
    /// A host that can't be one.
    #[error("invalid host {host:?}: {why}; give a host name or an IP address")]
    BadHost {
        /// What stood there.
        host: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A port that is neither a number nor a known service.
    #[error("invalid port {port:?}; give a number from 1 to 65535, or `imap` or `imaps`")]
    BadPort {
        /// What stood there.
        port: String,
    },
    /// Two ports that differ.
    #[error("the server has port {written}, but the option has {option}; give only one")]
    TwoPorts {
        /// The port written with the server.
        written: u16,
        /// The port of the separate option.
        option: u16,
    },
    /// A port for a Unix socket.
    #[error("a Unix socket has no port; omit the port, or give a host instead of the path")]
    PortWithSocket,
    /// A password in the address.
    #[error(
        "the address contains a password, which shows in `ps` and in the shell's history; remove it, change it if others use this \
         machine, and use --password-file"
    )]
    PasswordInUrl,
    /// Something after the host in an `imap://` address.
    #[error(
        "the address continues after the host; give only the server, as in `imap://user@host`, and name the mailbox in a command"
    )]
    PathInUrl,
    /// An address the URL grammar refuses.
    #[error("not a valid address ({reason}); write it as `imap://user@host:port`")]
    BadUrl {
        /// What is wrong with it.
        reason: String,
    },
    /// A scheme other than IMAP's.
    #[error("{scheme:?} is not a scheme for IMAP; write `imap://` or `imaps://`")]
    UnknownScheme {
        /// The scheme.
        scheme: String,
    },
    /// `user@host` without a scheme.
    #[error("a user cannot be written before a bare host; write `imap://user@host`, or use --user")]
    UserInHost,
    /// The user's percent-encoding does not decode.
    #[error("the user in the address cannot be decoded (percent-encoding or UTF-8); use --user")]
    BadUser,
}

pub(super) fn parse_port(text: &str) -> Result<u16, TargetError> {
    if text.eq_ignore_ascii_case("imap") {
        return Ok(IMAP);
    }
    if text.eq_ignore_ascii_case("imaps") {
        return Ok(IMAPS);
    }
    // Digits only: u16's own parser would also take `+143`.
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<u16>() {
        Ok(port) if digits && port != 0 => Ok(port),
        _ => Err(TargetError::BadPort {
            port: text.to_owned(),
        }),
    }
}

/// The port, when it may stand with the server and in an option.
pub(super) fn one_port(
    written: Option<u16>,
    option: Option<u16>,
) -> Result<Option<u16>, TargetError> {
    match (written, option) {
        (Some(written), Some(option)) if written != option => {
            Err(TargetError::TwoPorts { written, option })
        }
        (written, option) => Ok(written.or(option)),
    }
}

/// Splits `host`, `host:port`, `[v6]`, `[v6]:port` or a bare v6 address.
pub(super) fn split_host(server: &str) -> Result<(&str, Option<&str>), TargetError> {
    if let Some(rest) = server.strip_prefix('[') {
        let bad = |why| TargetError::BadHost {
            host: server.to_owned(),
            why,
        };
        let (host, after) = rest
            .split_once(']')
            .ok_or_else(|| bad("the bracket is not closed"))?;
        if !is_v6(host) {
            return Err(bad("the brackets do not contain an IPv6 address"));
        }
        return match (after, after.strip_prefix(':')) {
            ("", _) => Ok((host, None)),
            (_, Some(port)) => Ok((host, Some(port))),
            (_, None) => Err(bad("only a port may follow the brackets")),
        };
    }
    // `::1:143` is itself a v6 address: without brackets it is read as one.
    if is_v6(server) {
        return Ok((server, None));
    }
    match server.split_once(':') {
        Some((_, rest)) if rest.contains(':') => Err(TargetError::BadHost {
            host: server.to_owned(),
            why: "it has several colons but is not an IPv6 address",
        }),
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((server, None)),
    }
}

/// A v6 address, with or without a zone (`fe80::1%eth0`, RFC 4007 section 11).
fn is_v6(host: &str) -> bool {
    let (ip, zone) = match host.split_once('%') {
        Some((ip, zone)) => (ip, Some(zone)),
        None => (host, None),
    };
    let zone_ok = zone.is_none_or(|zone| {
        !zone.is_empty()
            && zone
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    });
    zone_ok && ip.parse::<Ipv6Addr>().is_ok()
}

/// A name beyond ASCII in its ASCII form (IDNA).
#[cfg(feature = "url")]
fn to_ascii(host: &str) -> Result<String, &'static str> {
    match url::Host::parse(host) {
        Ok(url::Host::Domain(name)) => Ok(name),
        _ => Err("it is not a valid international domain name"),
    }
}

#[cfg(not(feature = "url"))]
fn to_ascii(_: &str) -> Result<String, &'static str> {
    Err("it is not ASCII; write its ASCII form, which begins with xn--")
}

/// The host in the form the resolver and TLS take: a name beyond ASCII becomes its ASCII form (IDNA).
pub(super) fn check_host(host: &str) -> Result<String, TargetError> {
    let bad = |why| TargetError::BadHost {
        host: host.to_owned(),
        why,
    };
    if host.is_empty() {
        return Err(TargetError::EmptyHost);
    }
    if is_v6(host) {
        return Ok(host.to_owned());
    }
    if host.chars().any(char::is_whitespace) {
        return Err(bad("it contains a space"));
    }
    let name = if host.is_ascii() {
        host.to_owned()
    } else {
        to_ascii(host).map_err(bad)?
    };
    // RFC 1035 section 2.3.4, and one more for a final dot.
    if name.len() > 254 {
        return Err(bad("it is too long"));
    }
    // The underscore is no letter of host names, but networks have such names.
    let letters = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if !letters {
        return Err(bad(
            "it contains a character that is not allowed in a host name",
        ));
    }
    let inner = name.strip_suffix('.').unwrap_or(&name);
    if inner
        .split('.')
        .any(|label| label.is_empty() || label.len() > 63)
    {
        return Err(bad("a part between its dots is empty or too long"));
    }
    if name.starts_with('-') {
        return Err(bad("it begins with a hyphen, like an option"));
    }
    Ok(name)
}
