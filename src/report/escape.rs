//! What is safe to print on a terminal.
//!
//! A server's words, mailbox names and everything else from outside pass through here before they reach people.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The text with everything escaped that could move the cursor, change colours, hide text or turn its direction.
///
/// Control characters become `\n`, `\t`, `\r` or `\xNN`; invisible and direction-changing ones `\u{…}`.
pub fn escape(text: &str) -> Cow<'_, str> {
    // Every byte at once, not up to the first odd one: a listing has a million names, nearly all of them plain.
    let plain = text
        .bytes()
        .fold(true, |plain, byte| plain & (0x20..0x7f).contains(&byte));
    if plain || !text.chars().any(is_dangerous) {
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

    proptest! {
        #[test]
        fn nothing_dangerous_is_left(text: String) {
            prop_assert!(!escape(&text).chars().any(is_dangerous));
        }
    }
}
