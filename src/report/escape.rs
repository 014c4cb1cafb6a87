//! What stands in place of characters that a terminal would obey or nobody would see.
//!
//! A server's words and everything else from outside pass through here before they reach people. Which characters these are is
//! decided in the library ([`imapadm::visible`]), by which mailbox names are shown too.

use std::borrow::Cow;
use std::fmt::Write as _;

use imapadm::visible::{all_visible, is_visible};

/// The text with everything escaped that could move the cursor, change colours, hide text or turn its direction.
///
/// Control characters become `\n`, `\t`, `\r` or `\xNN`; invisible and direction-changing ones `\u{…}`.
pub fn escape(text: &str) -> Cow<'_, str> {
    if all_visible(text) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' => safe.push_str("\\t"),
            c if is_visible(c) => safe.push(c),
            // Writing to a String cannot fail.
            c if u32::from(c) < 0x100 => drop(write!(safe, "\\x{:02X}", u32::from(c))),
            c => drop(write!(safe, "\\u{{{:X}}}", u32::from(c))),
        }
    }
    Cow::Owned(safe)
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
        // Invisible: a joiner, fillers, a selector, a blank that is no space.
        assert_eq!(
            escape("a\u{34f}\u{115f}\u{3164}\u{fe0f}\u{a0}\u{2800}b"),
            "a\\u{34F}\\u{115F}\\u{3164}\\u{FE0F}\\xA0\\u{2800}b"
        );
    }

    proptest! {
        #[test]
        fn nothing_dangerous_is_left(text: String) {
            prop_assert!(all_visible(&escape(&text)));
        }
    }
}
