//! The names of status response codes (RFC 3501 section 7.1 and its extensions), as values to match on.
//!
//! Not here: where a code stands in a response and what its arguments are (`response`).

use std::fmt;

use super::response::{Code, words};

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// The name of a status response code: the word in the brackets of `NO [NOPERM] Permission denied`.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ResponseCode {
            $($(#[$doc])* $variant,)*
            /// Any other code, in capitals. Untrusted.
            Other(Box<str>),
        }

        impl ResponseCode {
            const ALL: &'static [(&'static str, ResponseCode)] = &[$(($name, ResponseCode::$variant),)*];

            /// The code in capitals, as it is written in IMAP.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $name,)*
                    Self::Other(name) => name,
                }
            }
        }
    };
}

codes! {
    /// The text must be shown to the user (RFC 3501).
    Alert = "ALERT",
    /// The mailbox, user or message exists already (RFC 5530).
    AlreadyExists = "ALREADYEXISTS",
    /// The user or the password is wrong (RFC 5530).
    AuthenticationFailed = "AUTHENTICATIONFAILED",
    /// The password is right, but the user may not act as the other one (RFC 5530).
    AuthorizationFailed = "AUTHORIZATIONFAILED",
    /// The server does not know the charset (RFC 3501).
    BadCharset = "BADCHARSET",
    /// The operation can never succeed on this server (RFC 5530).
    Cannot = "CANNOT",
    /// The server says that the client is at fault (RFC 5530).
    ClientBug = "CLIENTBUG",
    /// Compression is already active (RFC 4978).
    CompressionActive = "COMPRESSIONACTIVE",
    /// The user should ask the administrator (RFC 5530).
    ContactAdmin = "CONTACTADMIN",
    /// The server's data are damaged (RFC 5530).
    Corruption = "CORRUPTION",
    /// The password has expired (RFC 5530).
    Expired = "EXPIRED",
    /// The mailbox has mailboxes below it (RFC 9051).
    HasChildren = "HASCHILDREN",
    /// A long command is still running (RFC 9585).
    InProgress = "INPROGRESS",
    /// Something that the command needs is in use (RFC 5530).
    InUse = "INUSE",
    /// A limit of the server is reached (RFC 5530).
    Limit = "LIMIT",
    /// Something about metadata; the arguments say what (RFC 5464).
    Metadata = "METADATA",
    /// The mailbox does not exist (RFC 5530).
    NonExistent = "NONEXISTENT",
    /// A right is lacking (RFC 5530, RFC 4314).
    NoPerm = "NOPERM",
    /// The operation would exceed a quota (RFC 9208).
    OverQuota = "OVERQUOTA",
    /// The server could not parse a message (RFC 3501).
    Parse = "PARSE",
    /// The server wants TLS first (RFC 5530).
    PrivacyRequired = "PRIVACYREQUIRED",
    /// The user or the mailbox is on another server (RFC 2221, RFC 2193).
    Referral = "REFERRAL",
    /// The server has a bug (RFC 5530).
    ServerBug = "SERVERBUG",
    /// The message or value is too big (RFC 4469).
    TooBig = "TOOBIG",
    /// The target does not exist and could be created (RFC 3501).
    TryCreate = "TRYCREATE",
    /// The server can't do it now (RFC 5530).
    Unavailable = "UNAVAILABLE",
    /// The server can't use the special-use attribute (RFC 6154).
    UseAttr = "USEATTR",
    /// Gmail wants a login with a web browser first.
    WebAlert = "WEBALERT",
}

impl ResponseCode {
    /// The code of that name, in any case.
    pub fn from_name(name: &str) -> Self {
        Self::known(name.as_bytes())
            .unwrap_or_else(|| Self::Other(name.to_ascii_uppercase().into()))
    }

    fn known(name: &[u8]) -> Option<Self> {
        let mut all = Self::ALL.iter();
        let (_, code) = all.find(|(known, _)| known.as_bytes().eq_ignore_ascii_case(name))?;
        Some(code.clone())
    }
}

impl Code<'_> {
    /// Which code it is, to match on.
    pub fn response_code(&self) -> ResponseCode {
        ResponseCode::known(self.name).unwrap_or_else(|| {
            let name = self.name.to_ascii_uppercase();
            ResponseCode::Other(words(&name).into())
        })
    }
}

impl fmt::Display for ResponseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_its_own_code_in_any_case() {
        for (name, code) in ResponseCode::ALL {
            assert_eq!(code.as_str(), *name);
            assert_eq!(ResponseCode::from_name(name), *code);
            assert_eq!(ResponseCode::from_name(&name.to_lowercase()), *code);
        }
        let other = ResponseCode::from_name("x-odd");
        assert_eq!(other, ResponseCode::Other("X-ODD".into()));
        assert_eq!(other.to_string(), "X-ODD");
    }
}
