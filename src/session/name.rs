//! The name of a mailbox: the server's bytes, and how people type and read them.
//!
//! Lives here: [`MailboxName`] and the two ways into it. Not here: the hierarchy (separators, parents: `state`) and
//! the code of modified UTF-7 itself (`wire::utf7`).

use std::borrow::Cow;
use std::fmt;

use crate::error::Error;
use crate::visible::{all_visible, is_plain};
use crate::wire::scan::Odd;
use crate::wire::utf7;

/// A mailbox's name as the server has it (RFC 3501 section 5.1).
///
/// The server's bytes are the identity. People see and type UTF-8: [`Display`](fmt::Display) decodes modified UTF-7, and
/// [`MailboxName::typed`] encodes it. A name that does not decode, or whose decoded form would be read back as another
/// mailbox, is shown as the server has it. Behind [`RAW`] it is shown where even that would mean another one, where it holds a
/// wildcard, where it begins or ends with a space, and where not all of it [is visible](crate::visible). So what is shown is safe on a
/// terminal, can always be typed back, and means this mailbox alone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MailboxName(Box<[u8]>);

impl MailboxName {
    /// A name as a person types it: UTF-8, or modified UTF-7 where every `&` begins a valid shift (`user.&ANwmYA-`).
    ///
    /// # Errors
    /// [`Error::Usage`] for an empty name and for one with a NUL, neither of which IMAP can carry.
    pub fn typed(text: &str) -> Result<Self, Error> {
        let name = Self::pattern(text)?;
        if name.0.is_empty() {
            return Err(Error::Usage("empty mailbox name; give a mailbox".into()));
        }
        Ok(name)
    }

    /// A LIST pattern as a person types it: like [`typed`](Self::typed), but it may be empty.
    ///
    /// # Errors
    /// [`Error::Usage`] for a NUL.
    pub fn pattern(text: &str) -> Result<Self, Error> {
        if text.contains('\0') {
            return Err(Error::Usage(
                "a mailbox name cannot contain a NUL (\\0); remove it".into(),
            ));
        }
        if text.eq_ignore_ascii_case("INBOX") {
            // Case-insensitive by RFC 3501 section 5.1, yet Cyrus finds nothing under `LIST "" inbox`.
            return Ok(Self(Box::from(&b"INBOX"[..])));
        }
        if let Some(raw) = text.strip_prefix(RAW) {
            return unescape(raw).map(|bytes| Self(bytes.into_boxed_slice()));
        }
        // ASCII without a shift is the same on the wire.
        if utf7::is_wire_form(text) || (is_plain(text.as_bytes()) && !text.contains('&')) {
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

    /// How the name `wire` is shown to people, safe on a terminal; see [`MailboxName`].
    pub fn show(wire: &[u8]) -> Cow<'_, str> {
        // Nearly every name is plain ASCII without a shift: it is its own decoded form.
        if is_its_own_text(wire)
            && let Ok(text) = std::str::from_utf8(wire)
        {
            return Cow::Borrowed(text);
        }
        show_unusual(wire)
    }

    /// The same in bytes of UTF-8, for whoever writes many names.
    #[inline]
    pub fn show_bytes(wire: &[u8]) -> Cow<'_, [u8]> {
        if is_its_own_text(wire) {
            return Cow::Borrowed(wire);
        }
        match show_unusual(wire) {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        }
    }

    /// The bytes by which names are compared: INBOX, also in front of others, is the same in whatever case (RFC 3501
    /// section 5.1; Courier and Cyrus extend it to what is below).
    fn folded(wire: &[u8]) -> Cow<'_, [u8]> {
        match wire.split_at_checked(5) {
            Some((head, tail))
                if head != b"INBOX"
                    && head.eq_ignore_ascii_case(b"INBOX")
                    && tail.first().is_none_or(u8::is_ascii_punctuation) =>
            {
                Cow::Owned([b"INBOX", tail].concat())
            }
            _ => Cow::Borrowed(wire),
        }
    }

    /// Whether both name the same mailbox: equal bytes, but for the case of INBOX.
    pub fn same(a: &[u8], b: &[u8]) -> bool {
        a == b || Self::folded(a) == Self::folded(b)
    }

    /// Whether this name lies below `parent` in the hierarchy that `separator` makes.
    pub fn is_below(&self, parent: &MailboxName, separator: u8) -> bool {
        let (own, parent) = (Self::folded(&self.0), Self::folded(&parent.0));
        own.strip_prefix(&*parent)
            .is_some_and(|rest| rest.len() > 1 && rest[0] == separator)
    }

    /// The mailbox `part` right below this one, in the hierarchy that `separator` makes. `part` is as a person types it, and may itself hold
    /// separators.
    ///
    /// ```
    /// # use imapadm::MailboxName;
    /// # fn main() -> Result<(), imapadm::Error> {
    /// let user = MailboxName::typed("user.zoë")?;
    /// assert_eq!(user.child(b'.', "Entwürfe")?.to_string(), "user.zoë.Entwürfe");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`typed`](Self::typed).
    pub fn child(&self, separator: u8, part: &str) -> Result<Self, Error> {
        let part = Self::typed(part)?;
        Ok(Self(
            [&self.0, &[separator][..], &part.0]
                .concat()
                .into_boxed_slice(),
        ))
    }

    /// The names above this one in the hierarchy that `separator` makes, the nearest first.
    pub fn parents(&self, separator: Option<u8>) -> impl Iterator<Item = MailboxName> {
        let places = self
            .0
            .iter()
            .enumerate()
            .rev()
            .filter(move |(_, byte)| Some(**byte) == separator);
        places
            .filter(|(at, _)| *at > 0)
            .map(|(at, _)| Self::from_wire(&self.0[..at]))
    }
}

/// Whether a name is shown just as the server has it: printable ASCII without a shift or a wildcard, and nothing that means more.
#[inline]
fn is_its_own_text(wire: &[u8]) -> bool {
    let odd = Odd {
        below: b' ',
        these: [0x7f, b'&', b'*', b'%'],
        eight_bit: true,
    };
    !odd.is_in(wire) && !has_outer_space(wire) && !wire.starts_with(RAW.as_bytes())
}

/// How a name is shown that may not be its own text.
fn show_unusual(wire: &[u8]) -> Cow<'_, str> {
    // A command would take wildcards for a pattern, and do to others what is meant for this one. A space at either end is not seen.
    if wire.contains(&b'*') || wire.contains(&b'%') || has_outer_space(wire) {
        return Cow::Owned(escape(wire));
    }
    let means_it = |text: &str| MailboxName::pattern(text).is_ok_and(|name| name.wire() == wire);
    match (utf7::decode(wire), std::str::from_utf8(wire)) {
        (Some(text), _) if !all_visible(&text) => Cow::Owned(escape(wire)),
        (Some(text), _) if means_it(&text) => text,
        (_, Ok(text)) if all_visible(text) && means_it(text) => Cow::Borrowed(text),
        _ => Cow::Owned(escape(wire)),
    }
}

#[inline]
fn has_outer_space(wire: &[u8]) -> bool {
    wire.first() == Some(&b' ') || wire.last() == Some(&b' ')
}

/// Begins a name that is given byte by byte, as the server has it: `\xNN` is one byte, `\\` a backslash.
pub const RAW: &str = "wire:";

/// A name in its raw form.
fn escape(wire: &[u8]) -> String {
    let mut text = RAW.to_owned();
    let last = wire.len().saturating_sub(1);
    for (at, &byte) in wire.iter().enumerate() {
        match byte {
            b'\\' => text.push_str("\\\\"),
            b' ' if at == 0 || at == last => text.push_str("\\x20"),
            0x20..0x7f => text.push(char::from(byte)),
            _ => text.push_str(&format!("\\x{byte:02X}")),
        }
    }
    text
}

/// The bytes of a raw form, without its beginning.
fn unescape(raw: &str) -> Result<Vec<u8>, Error> {
    let wrong = || {
        Error::Usage(format!(
            "invalid raw name {RAW}{raw}; after {RAW}, write ASCII, \\xNN for any other byte, and \\\\ for a backslash"
        ))
    };
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        match (byte, behind) {
            (b'\\', [b'\\', behind @ ..]) => {
                bytes.push(b'\\');
                rest = behind;
            }
            (b'\\', [b'x', high, low, behind @ ..]) => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                let value = digit(high)
                    .zip(digit(low))
                    .map(|(high, low)| high * 16 + low);
                let value = value
                    .and_then(|value| u8::try_from(value).ok())
                    .filter(|value| *value != 0);
                bytes.push(value.ok_or_else(wrong)?);
                rest = behind;
            }
            (b'\\', _) => return Err(wrong()),
            (byte, _) if (0x20..0x7f).contains(&byte) => bytes.push(byte),
            _ => return Err(wrong()),
        }
    }
    Ok(bytes)
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

    /// The name, which may also be empty: to metadata that is the server itself (RFC 5464 section 4.2).
    ///
    /// # Errors
    /// As [`MailboxName::pattern`].
    fn into_mailbox_or_server(self) -> Result<MailboxName, Error>
    where
        Self: Sized,
    {
        self.into_mailbox()
    }
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
    fn into_mailbox_or_server(self) -> Result<MailboxName, Error> {
        MailboxName::pattern(self)
    }
}

impl IntoMailbox for &String {
    fn into_mailbox(self) -> Result<MailboxName, Error> {
        self.as_str().into_mailbox()
    }
    fn into_mailbox_or_server(self) -> Result<MailboxName, Error> {
        self.as_str().into_mailbox_or_server()
    }
}

impl IntoMailbox for String {
    fn into_mailbox(self) -> Result<MailboxName, Error> {
        self.as_str().into_mailbox()
    }
    fn into_mailbox_or_server(self) -> Result<MailboxName, Error> {
        self.as_str().into_mailbox_or_server()
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
        for nothing in ["", "wire:"] {
            let error = MailboxName::typed(nothing).unwrap_err().to_string();
            assert!(error.contains("empty mailbox name"), "{error}");
        }
        // As a pattern it is what LIST takes for the question about the separator.
        assert_eq!(MailboxName::pattern("wire:").unwrap().wire(), b"");
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
            "wire:broken&shift"
        );
        assert_eq!(MailboxName::from_wire(b"wire:x").to_string(), "wire:wire:x");
        for wrong in ["wire:\\", "wire:\\x4", "wire:\\x00", "wire:\\y", "wire:ü"] {
            assert!(MailboxName::typed(wrong).is_err(), "{wrong}");
        }
        assert_eq!(
            MailboxName::from_wire(b"Zo\xc3\xab").to_string(),
            "wire:Zo\\xC3\\xAB"
        );
        assert_eq!(
            MailboxName::from_wire(b"esc\x1b[2J").to_string(),
            "wire:esc\\x1B[2J"
        );
    }

    #[test]
    fn a_name_that_can_not_be_seen_as_it_is_is_shown_raw() {
        for (wire, shown) in [
            // A tab, ESC, DEL, NEL, a C1 control.
            ("a&AAk-b", "wire:a&AAk-b"),
            ("a&ABs-[2J", "wire:a&ABs-[2J"),
            ("a&AH8-", "wire:a&AH8-"),
            ("a&AIU-b", "wire:a&AIU-b"),
            ("a&AJs-31m", "wire:a&AJs-31m"),
            // Right-to-left override, zero-width space, no-break space, Hangul filler, variation selector, the empty Braille cell.
            ("txt&IC4-gpj", "wire:txt&IC4-gpj"),
            ("a&IAs-b", "wire:a&IAs-b"),
            ("a&AKA-b", "wire:a&AKA-b"),
            ("a&MWQ-b", "wire:a&MWQ-b"),
            ("&J2T+Dw-", "wire:&J2T+Dw-"),
            ("a&KAA-", "wire:a&KAA-"),
            // Spaces that nobody sees.
            (" a", "wire:\\x20a"),
            ("a ", "wire:a\\x20"),
            (" ", "wire:\\x20"),
            ("  a  ", "wire:\\x20 a \\x20"),
            ("&AOk- ", "wire:&AOk-\\x20"),
            // Hebrew turns by itself; a space inside is seen.
            ("&BeIF0Q-", "עב"),
            ("a b", "a b"),
        ] {
            let name = MailboxName::from_wire(wire.as_bytes());
            assert_eq!(name.to_string(), shown, "{wire}");
            assert_eq!(MailboxName::typed(shown).unwrap(), name, "{shown}");
        }
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
        fn any_bytes_but_nul_are_shown_so_that_they_can_be_typed_back(bytes in proptest::collection::vec(1u8.., 1..40)) {
            let name = MailboxName::from_wire(&bytes);
            // INBOX alone is taken in any case and comes back in capitals.
            prop_assert!(MailboxName::same(MailboxName::typed(&name.to_string()).unwrap().wire(), name.wire()));
        }

        #[test]
        fn whatever_is_shown_is_seen(text in "[ -\u{ff}\u{2000}-\u{206f}\u{3164}\u{fe0f}\u{e0041}]{1,12}") {
            for wire in [utf7::encode(&text).into_bytes(), text.into_bytes()] {
                let shown = MailboxName::show(&wire);
                prop_assert_eq!(&*MailboxName::show_bytes(&wire), shown.as_bytes());
                prop_assert!(all_visible(&shown), "{shown:?}");
                prop_assert_eq!(shown.trim(), &*shown);
            }
        }
    }
}
