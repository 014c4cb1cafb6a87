//! Modified UTF-7, in which mailbox names travel (RFC 3501 section 5.1.3).
//!
//! Decoding is strict: each name has exactly one form on the wire, so whatever decodes encodes back to
//! the same bytes. What to do with a name that does not decode is not decided here.

use std::borrow::Cow;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

fn is_printable(unit: u16) -> bool {
    (0x20..=0x7e).contains(&unit)
}

/// The form of a name on the wire: printable ASCII, the rest as base64 of UTF-16 between `&` and `-`
/// (RFC 3501 section 5.1.3).
pub fn encode(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    // UTF-16 that waits for whole groups of six bits, and how many bits of it there are.
    let mut bits: u32 = 0;
    let mut held = 0;
    let mut shifted = false;
    for unit in name.encode_utf16() {
        if is_printable(unit) {
            end_shift(&mut out, &mut bits, &mut held, &mut shifted);
            match u8::try_from(unit) {
                Ok(b'&') | Err(_) => out.push_str("&-"),
                Ok(byte) => out.push(char::from(byte)),
            }
            continue;
        }
        if !shifted {
            out.push('&');
            shifted = true;
        }
        bits = (bits << 16) | u32::from(unit);
        held += 16;
        while held >= 6 {
            held -= 6;
            push_sextet(&mut out, bits >> held);
        }
    }
    end_shift(&mut out, &mut bits, &mut held, &mut shifted);
    out
}

fn push_sextet(out: &mut String, bits: u32) {
    out.push(char::from(ALPHABET[(bits & 63) as usize]));
}

fn end_shift(out: &mut String, bits: &mut u32, held: &mut u32, shifted: &mut bool) {
    if *shifted {
        if *held > 0 {
            push_sextet(out, *bits << (6 - *held));
        }
        out.push('-');
    }
    (*bits, *held, *shifted) = (0, 0, false);
}

/// The name that these bytes stand for, or nothing when they are not the one valid form of any
/// (RFC 3501 section 5.1.3).
///
/// Not valid are: bytes that are not printable ASCII, printable ASCII in base64, two shifts in a row
/// that should be one, a shift without its `-`, lone surrogates, and padding bits that are not zero.
pub fn decode(wire: &[u8]) -> Option<Cow<'_, str>> {
    let text = std::str::from_utf8(wire).ok()?;
    if !wire.iter().all(|b| is_printable(u16::from(*b))) {
        return None;
    }
    if !text.contains('&') {
        return Some(Cow::Borrowed(text));
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut after_shift = false;
    while let Some(at) = rest.find('&') {
        let (plain, shift) = (rest.get(..at)?, rest.get(at + 1..)?);
        let (base64, behind) = shift.split_once('-')?;
        out.push_str(plain);
        if base64.is_empty() {
            out.push('&');
            after_shift = false;
        } else {
            if after_shift && plain.is_empty() {
                return None;
            }
            decode_shift(base64.as_bytes(), &mut out)?;
            after_shift = true;
        }
        rest = behind;
    }
    out.push_str(rest);
    Some(Cow::Owned(out))
}

fn decode_shift(base64: &[u8], out: &mut String) -> Option<()> {
    let mut bits: u32 = 0;
    let mut held = 0;
    let mut units = Vec::with_capacity(base64.len() * 6 / 16);
    for byte in base64 {
        bits = (bits << 6) | sextet(*byte)?;
        held += 6;
        if held >= 16 {
            held -= 16;
            let unit = u16::try_from((bits >> held) & 0xffff).ok()?;
            if is_printable(unit) {
                return None;
            }
            units.push(unit);
        }
    }
    // Six bits left over would be a character of base64 that carries nothing.
    if held >= 6 || bits & ((1 << held) - 1) != 0 {
        return None;
    }
    for decoded in char::decode_utf16(units) {
        out.push(decoded.ok()?);
    }
    Some(())
}

fn sextet(byte: u8) -> Option<u32> {
    Some(u32::from(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b',' => 63,
        _ => return None,
    }))
}

/// Whether a name, as typed, is already in its form on the wire (RFC 3501 section 5.1.3).
///
/// That is: printable ASCII with at least one `&` that decodes. Without an `&` both forms are the
/// same and there is nothing to decide.
pub fn is_wire_form(typed: &str) -> bool {
    typed.contains('&') && decode(typed.as_bytes()).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_ways() {
        for (name, wire) in [
            ("", ""),
            ("INBOX", "INBOX"),
            ("A&B", "A&-B"),
            ("&", "&-"),
            ("&&", "&-&-"),
            ("Entwürfe", "Entw&APw-rfe"),
            ("日本語", "&ZeVnLIqe-"),
            ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
            ("é&é", "&AOk-&-&AOk-"),
            ("é-", "&AOk--"),
            ("😀", "&2D3eAA-"),
            ("a\u{1}b\u{7f}", "a&AAE-b&AH8-"),
            ("\0", "&AAA-"),
        ] {
            assert_eq!(encode(name), wire);
            assert_eq!(decode(wire.as_bytes()).as_deref(), Some(name), "{wire}");
        }
        assert!(matches!(decode(b"INBOX"), Some(Cow::Borrowed(_))));
    }

    #[test]
    fn what_is_not_the_one_form_does_not_decode() {
        for wire in [
            &b"&"[..],
            b"a&",
            b"&AOk",
            b"&A-",
            b"&AA-",
            b"&AO-",
            b"&====-",
            b"&AOk=-",
            b"&AO/-",
            b"&AO k-",
            // Two shifts that should be one, as in RFC 3501.
            b"&U,BTFw-&ZeVnLIqe-",
            b"&AOk-&AOk-",
            // An encoded `A`, `&`, space, `~`.
            b"&AEE-",
            b"&ACY-",
            b"&ACA-",
            b"&AH4-",
            b"&AOkAQQ-",
            // Padding that is not zero, or that is a whole character.
            b"&AOl-",
            b"&AOm-",
            b"&AOkA-",
            b"&AOkAA-",
            // Lone surrogates, and a pair the wrong way round.
            b"&2D0-",
            b"&3gA-",
            b"&3gDYPQ-",
            b"&2D0A6Q-",
            // Not printable ASCII.
            b"\xc3\xa9",
            b"\xff",
            b"a\x01",
            b"a\x7f",
            b"a\tb",
            b"a\0",
            b"a\r\n",
        ] {
            assert_eq!(decode(wire), None, "{}", wire.escape_ascii());
        }
    }

    #[test]
    fn wire_forms_as_typed() {
        for yes in ["Entw&APw-rfe", "A&-B", "&ZeVnLIqe-"] {
            assert!(is_wire_form(yes), "{yes}");
        }
        for no in ["", "INBOX", "A&B", "Entwürfe", "R&D", "&-ü", "&AEE-"] {
            assert!(!is_wire_form(no), "{no}");
        }
    }

    proptest! {
        #[test]
        fn any_name_comes_back(name in any::<String>()) {
            let wire = encode(&name);
            prop_assert!(wire.bytes().all(|b| (0x20..=0x7e).contains(&b)));
            prop_assert_eq!(decode(wire.as_bytes()), Some(Cow::Borrowed(&name[..])));
            prop_assert_eq!(is_wire_form(&wire), wire.contains('&'));
        }

        #[test]
        fn any_name_of_mixed_characters_comes_back(name in "[ab&é語😀\u{1}-]{0,12}") {
            let wire = encode(&name);
            prop_assert_eq!(decode(wire.as_bytes()), Some(Cow::Borrowed(&name[..])));
        }

        #[test]
        fn whatever_decodes_has_one_form_only(wire in "([A&-]|&[A-Za-z0-9+,]{1,6}-){0,8}") {
            if let Some(name) = decode(wire.as_bytes()) {
                prop_assert_eq!(encode(&name), wire);
            }
        }

        #[test]
        fn no_bytes_panic(wire in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Some(name) = decode(&wire) {
                prop_assert_eq!(encode(&name).into_bytes(), wire);
            }
        }
    }
}
