//! Addresses such as `imaps://joe@mail.example.org` (RFC 5092): the user, the host, the port, and whether there is TLS.

use ::url::Url;

use super::host::{IMAP, IMAPS, TargetError, check_host};

/// What such an address says.
pub(super) struct Parts {
    pub(super) host: String,
    pub(super) port: Option<u16>,
    /// Whether there is TLS from the first byte.
    pub(super) tls: bool,
    pub(super) user: Option<String>,
}

/// `imap://` and `imaps://`. No error repeats the text, which may hold a password in any odd place.
pub(super) fn parse(scheme: &str, text: &str) -> Result<Parts, TargetError> {
    let tls = scheme.eq_ignore_ascii_case("imaps");
    if !tls && !scheme.eq_ignore_ascii_case("imap") {
        return Err(TargetError::UnknownScheme {
            // What stands before `://` could be anything if an `@` is in it.
            scheme: if scheme.contains('@') {
                "…".to_owned()
            } else {
                scheme.to_owned()
            },
        });
    }
    // The URL parser refuses service names as ports, and encodes the `;` of `;AUTH=`: both are taken off first.
    let (text, service) = take_service(&drop_auth(text)?);
    let url = Url::parse(&text).map_err(|error| TargetError::BadUrl {
        reason: error.to_string(),
    })?;
    if url.password().is_some() {
        return Err(TargetError::PasswordInUrl);
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err(TargetError::PathInUrl);
    }
    let host = match url.host() {
        None => return Err(TargetError::EmptyHost),
        Some(::url::Host::Ipv6(ip)) => ip.to_string(),
        Some(::url::Host::Ipv4(ip)) => ip.to_string(),
        Some(::url::Host::Domain(name)) => {
            check_host(&percent_decode(name).ok_or_else(|| TargetError::BadUrl {
                reason: "the host cannot be decoded".to_owned(),
            })?)?
        }
    };
    let user = match url.username() {
        "" => None,
        user => Some(
            percent_decode(user)
                .filter(|user| !user.chars().any(char::is_control))
                .ok_or(TargetError::BadUser)?,
        ),
    };
    if url.port() == Some(0) {
        return Err(TargetError::BadPort {
            port: "0".to_owned(),
        });
    }
    Ok(Parts {
        host,
        port: service.or(url.port()),
        tls,
        user,
    })
}

/// Takes `;AUTH=…` (RFC 5092 section 3.2) off the user. It names a mechanism; ours is chosen from what the
/// server offers.
fn drop_auth(text: &str) -> Result<String, TargetError> {
    let end = text
        .split_once("://")
        .map(|(scheme, rest)| scheme.len() + 3 + rest.find(['/', '?', '#']).unwrap_or(rest.len()))
        .unwrap_or(text.len());
    let (front, tail) = text.split_at(end);
    let Some((user, host)) = front.rsplit_once('@') else {
        return Ok(text.to_owned());
    };
    let Some(start) = user.to_ascii_uppercase().find(";AUTH=") else {
        return Ok(text.to_owned());
    };
    let (user, auth) = user.split_at(start);
    if auth.contains(':') {
        return Err(TargetError::PasswordInUrl);
    }
    Ok(format!("{user}@{host}{tail}"))
}

/// Takes `:imap` or `:imaps` off the end of the authority.
fn take_service(text: &str) -> (String, Option<u16>) {
    let whole = || (text.to_owned(), None);
    let Some((scheme, rest)) = text.split_once("://") else {
        return whole();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let Some((host, service)) = authority.rsplit_once(':') else {
        return whole();
    };
    match service.to_ascii_lowercase().as_str() {
        "imap" => (format!("{scheme}://{host}{tail}"), Some(IMAP)),
        "imaps" => (format!("{scheme}://{host}{tail}"), Some(IMAPS)),
        _ => whole(),
    }
}

/// RFC 3986 section 2.1; `None` if it is malformed or the result is not UTF-8.
fn percent_decode(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let high = char::from(bytes.next()?).to_digit(16)?;
        let low = char::from(bytes.next()?).to_digit(16)?;
        decoded.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(decoded).ok()
}
