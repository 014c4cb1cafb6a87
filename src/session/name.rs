//! The name of a mailbox: the server's bytes, and how people type and read them.
//!
//! Lives here: [`MailboxName`] and the two ways into it. Not here: the hierarchy (separators, parents: `state`) and
//! the code of modified UTF-7 itself (`wire::utf7`).

use std::borrow::Cow;
use std::fmt;

use crate::error::Error;
use crate::wire::utf7;

/// A mailbox's name as the server has it (RFC 3501 section 5.1).
///
/// The server's bytes are the identity. People see and type UTF-8: [`Display`](fmt::Display) decodes modified UTF-7, and
/// [`MailboxName::typed`] encodes it. A name that does not decode, or whose decoded form would be read back as another
/// mailbox, is shown as the server has it, so what is shown can always be typed back.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MailboxName(Box<[u8]>);

impl MailboxName {
    /// A name as a person types it: UTF-8, or modified UTF-7 where every `&` begins a valid shift (`user.&ANwmYA-`).
    ///
    /// # Errors
    /// [`Error::Usage`] for an empty name and for one with a NUL, neither of which IMAP can carry.
    pub fn typed(text: &str) -> Result<Self, Error> {
        if text.is_empty() {
            return Err(Error::Usage(
                "a mailbox name cannot be empty; name a mailbox".into(),
            ));
        }
        Self::pattern(text)
    }

    /// A LIST pattern as a person types it: like [`typed`](Self::typed), but it may be empty.
    ///
    /// # Errors
    /// [`Error::Usage`] for a NUL.
    pub fn pattern(text: &str) -> Result<Self, Error> {
        if text.contains('\0') {
            return Err(Error::Usage(
                "a mailbox name cannot hold a NUL (\\0); take it out".into(),
            ));
        }
        if text.eq_ignore_ascii_case("INBOX") {
            // Case-insensitive by RFC 3501 section 5.1, yet Cyrus finds nothing under `LIST "" inbox`.
            return Ok(Self(Box::from(&b"INBOX"[..])));
        }
        if utf7::is_wire_form(text) {
            return Ok(Self(Box::from(text.as_bytes())));
        }
        Ok(Self(utf7::encode(text).into_bytes().into_boxed_slice()))
    }

    /// A name as the server sent it.
    pub fn from_wire(bytes: &[u8]) -> Self {
        Self(Box::from(bytes))
    }

    /// The bytes for the server.
    pub fn wire(&self) -> &[u8] {
        &self.0
    }

    /// How the name `wire` is shown to people; see [`MailboxName`].
    ///
    /// Not safe for a terminal yet: a name can hold anything.
    pub fn show(wire: &[u8]) -> Cow<'_, str> {
        // Nearly every name is plain ASCII without a shift: it is its own decoded form.
        if let Ok(text) = std::str::from_utf8(wire)
            && text.bytes().all(|b| (0x20..0x7f).contains(&b) && b != b'&')
        {
            return Cow::Borrowed(text);
        }
        match utf7::decode(wire) {
            Some(text) if Self::pattern(&text).is_ok_and(|name| name.wire() == wire) => text,
            _ => raw(wire),
        }
    }

    /// Whether both name the same mailbox: equal bytes, or both INBOX in whatever case.
    pub fn same(a: &[u8], b: &[u8]) -> bool {
        a == b || (a.eq_ignore_ascii_case(b"INBOX") && b.eq_ignore_ascii_case(b"INBOX"))
    }

    /// Whether this name lies below `parent` in the hierarchy that `separator` makes.
    pub fn is_below(&self, parent: &MailboxName, separator: u8) -> bool {
        self.0.len() > parent.0.len() + 1
            && self.0.starts_with(&parent.0)
            && self.0[parent.0.len()] == separator
    }

    /// The name above this one in the hierarchy that `separator` makes; `None` at the top.
    pub fn parent(&self, separator: Option<u8>) -> Option<MailboxName> {
        let at = self.0.iter().rposition(|&byte| Some(byte) == separator)?;
        (at > 0).then(|| Self::from_wire(&self.0[..at]))
    }
}

/// The bytes that are not printable ASCII as `\xNN`, so that names which differ never look the same.
fn raw(wire: &[u8]) -> Cow<'_, str> {
    let mut text = String::with_capacity(wire.len() + 8);
    for &byte in wire {
        if (0x20..0x7f).contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("\\x{byte:02X}"));
        }
    }
    Cow::Owned(text)
}

impl fmt::Display for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Self::show(&self.0))
    }
}

impl fmt::Debug for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MailboxName({:?})", Self::show(&self.0))
    }
}

/// What a method takes as a mailbox: a [`MailboxName`], or text as a person types it.
pub trait IntoMailbox {
    /// The name.
    ///
    /// # Errors
    /// As [`MailboxName::typed`].
    fn into_mailbox(self) -> Result<MailboxName, Error>;
}

impl IntoMailbox for MailboxName {
    fn into_mailbox(self) -> Result<MailboxName, Error> {
        Ok(self)
    }
}

impl IntoMailbox for &MailboxName {
    fn into_mailbox(self) -> Result<MailboxName, Error> {
        Ok(self.clone())
    }
}

impl IntoMailbox for &str {
    fn into_mailbox(self) -> Result<MailboxName, Error> {
        MailboxName::typed(self)
    }
}

impl IntoMailbox for &String {
    fn into_mailbox(self) -> Result<MailboxName, Error> {
        MailboxName::typed(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn typed_names_become_wire_form() {
        for (typed, wire) in [
            ("user.zoe", &b"user.zoe"[..]),
            ("user.Zoë", b"user.Zo&AOs-"),
            ("R&D", b"R&-D"),
            ("R&-D", b"R&-D"),
            ("user.&ANwmYA-", b"user.&ANwmYA-"),
            ("inbox", b"INBOX"),
            ("a\nb", b"a&AAo-b"),
            ("sp ace\"quote\\back", b"sp ace\"quote\\back"),
        ] {
            assert_eq!(MailboxName::typed(typed).unwrap().wire(), wire, "{typed:?}");
        }
    }

    #[test]
    fn nul_and_nothing_are_no_names() {
        assert_eq!(MailboxName::typed("a\0b").unwrap_err().kind(), "usage");
        assert_eq!(MailboxName::typed("").unwrap_err().kind(), "usage");
    }

    #[test]
    fn an_ambiguous_name_is_shown_as_the_server_has_it() {
        assert_eq!(MailboxName::from_wire(b"R&-D").to_string(), "R&D");
        // Decoded it would be `R&-D`, which typed means the mailbox above.
        assert_eq!(MailboxName::from_wire(b"R&--D").to_string(), "R&--D");
        assert_eq!(MailboxName::typed("R&--D").unwrap().wire(), b"R&--D");
    }

    #[test]
    fn a_name_that_does_not_decode_is_shown_raw() {
        assert_eq!(
            MailboxName::from_wire(b"broken&shift").to_string(),
            "broken&shift"
        );
        assert_eq!(
            MailboxName::from_wire(b"Zo\xc3\xab").to_string(),
            "Zo\\xC3\\xAB"
        );
        assert_eq!(
            MailboxName::from_wire(b"esc\x1b[2J").to_string(),
            "esc\\x1B[2J"
        );
    }

    #[test]
    fn below_means_a_separator_in_between() {
        let parent = MailboxName::from_wire(b"user.bob");
        assert!(MailboxName::from_wire(b"user.bob.work").is_below(&parent, b'.'));
        assert!(!MailboxName::from_wire(b"user.bobby").is_below(&parent, b'.'));
        assert!(!MailboxName::from_wire(b"user.bob").is_below(&parent, b'.'));
        assert!(!MailboxName::from_wire(b"user.bob.").is_below(&parent, b'.'));
    }

    proptest! {
        #[test]
        fn what_is_shown_can_be_typed_back(text in "[^\0]{1,40}") {
            let name = MailboxName::typed(&text).unwrap();
            prop_assert_eq!(MailboxName::typed(&name.to_string()).unwrap(), name);
        }

        #[test]
        fn showing_any_bytes_never_panics(bytes: Vec<u8>) {
            let _ = MailboxName::from_wire(&bytes).to_string();
        }
    }
}
