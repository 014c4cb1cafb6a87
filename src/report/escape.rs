//! What is safe to print on a terminal.
//!
//! A server's words, mailbox names and everything else from outside pass through here before they reach people.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The text with everything escaped that could move the cursor, change colours, hide text or turn its direction.
///
/// Control characters become `\n`, `\t`, `\r` or `\xNN`; invisible and direction-changing ones `\u{…}`.
pub fn escape(text: &str) -> Cow<'_, str> {
    if is_plain(text.as_bytes()) || !text.chars().any(is_dangerous) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' => safe.push_str("\\t"),
            c if !is_dangerous(c) => safe.push(c),
            // Writing to a String cannot fail.
            c if u32::from(c) < 0x100 => drop(write!(safe, "\\x{:02X}", u32::from(c))),
            c => drop(write!(safe, "\\u{{{:X}}}", u32::from(c))),
        }
    }
    Cow::Owned(safe)
}

/// Whether all is printable ASCII. It looks at eight bytes at once: a listing has a million names, nearly all of them plain.
pub(super) fn is_plain(text: &[u8]) -> bool {
    let all = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(true, |plain, byte| plain & (0x20..0x7f).contains(byte))
    };
    match text.last_chunk::<8>() {
        // The last eight overlap those before, which is cheaper than a rest byte by byte.
        Some(last) => all(last) && text.as_chunks::<8>().0.iter().all(|eight| all(eight)),
        None => all(text),
    }
}

fn is_dangerous(c: char) -> bool {
    c.is_control()
        || matches!(c,
            // Soft hyphen, zero-width characters, and everything that changes direction (UAX #9).
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn terminal_tricks_are_made_visible() {
        assert_eq!(escape("user.Zoë 北京"), "user.Zoë 北京");
        assert_eq!(escape("\x1b[2Jgone"), "\\x1B[2Jgone");
        assert_eq!(escape("a\nb\tc\r"), "a\\nb\\tc\\r");
        assert_eq!(escape("c1\u{9b}31m"), "c1\\x9B31m");
        assert_eq!(escape("txt\u{202e}gpj"), "txt\\u{202E}gpj");
    }

    #[test]
    fn one_odd_byte_is_found_wherever_it_stands() {
        for length in 0..40 {
            assert!(is_plain(&vec![b'~'; length]));
            for at in 0..length {
                for odd in [0x1f, 0x7f, 0x80, 0xff] {
                    let mut text = vec![b' '; length];
                    text[at] = odd;
                    assert!(!is_plain(&text), "{odd:#x} at {at} of {length}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn nothing_dangerous_is_left(text: String) {
            prop_assert!(!escape(&text).chars().any(is_dangerous));
        }
    }
}
