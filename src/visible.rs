//! Which characters a person sees as they are: the one rule for what may be shown without escaping it.
//!
//! Whatever comes from outside can hold characters that move the cursor, change colours, hide text, turn its direction or
//! leave no mark at all. [`MailboxName`](crate::MailboxName) and the reports of the shell both ask here, so what one shows
//! the other does not change. Not here: what stands in place of such a character.

use crate::wire::scan::Odd;

/// Whether a character shows as itself, in its place: not a control (C0, DEL, C1), not invisible, not a blank other than the
/// space, and without influence on the direction of others (UAX #9).
pub fn is_visible(c: char) -> bool {
    if c.is_ascii() {
        return matches!(c, ' '..='~');
    }
    #[cfg(feature = "unicode")]
    return by_properties(c);
    #[cfg(not(feature = "unicode"))]
    return is_letter(c);
}

/// By Unicode's properties.
#[cfg(feature = "unicode")]
fn by_properties(c: char) -> bool {
    use icu_properties::props::{
        BidiControl, DefaultIgnorableCodePoint, GeneralCategory, NoncharacterCodePoint,
    };
    use icu_properties::{CodePointMapData, CodePointSetData};

    let category = CodePointMapData::<GeneralCategory>::new().get(c);
    !matches!(
        category,
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
            | GeneralCategory::SpaceSeparator
    ) && !CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
        && !CodePointSetData::new::<BidiControl>().contains(c)
        && !CodePointSetData::new::<NoncharacterCodePoint>().contains(c)
        && !BLANK.contains(&c)
}

/// By what the standard library knows: letters and digits, without those that leave no mark.
#[cfg(any(test, not(feature = "unicode")))]
fn is_letter(c: char) -> bool {
    const FILLERS: [char; 4] = ['\u{115f}', '\u{1160}', '\u{3164}', '\u{ffa0}'];
    c.is_alphanumeric() && !FILLERS.contains(&c) && !BLANK.contains(&c)
}

/// Symbols and marks that no property tells apart and that still leave no mark: the empty Braille cell, a note without a
/// head, the filler of Khitan.
const BLANK: [char; 3] = ['\u{2800}', '\u{1d159}', '\u{16fe4}'];

/// Whether every character of a text [is visible](is_visible).
pub fn all_visible(text: &str) -> bool {
    is_plain(text.as_bytes()) || text.chars().all(is_visible)
}

/// Whether all is printable ASCII, the space included, as nearly everything is.
#[inline]
pub fn is_plain(text: &[u8]) -> bool {
    let odd = Odd {
        below: b' ',
        these: [0x7f],
        eight_bit: true,
    };
    !odd.is_in(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[cfg(feature = "unicode")]
    #[test]
    fn without_the_properties_nothing_invisible_shows() {
        for c in ('\u{80}'..=char::MAX).filter(|c| is_letter(*c)) {
            assert!(by_properties(c), "U+{:04X}", u32::from(c));
        }
    }

    #[cfg(feature = "unicode")]
    #[test]
    fn what_shows_and_what_does_not() {
        for c in "aZ~ !\"\\äßЖ中😀\u{301}\u{5d0}\u{627}€\u{ac00}\u{fffd}".chars() {
            assert!(is_visible(c), "U+{:04X}", u32::from(c));
        }
        for c in [
            // Controls, and blanks that are no space.
            '\0',
            '\t',
            '\n',
            '\u{1b}',
            '\u{7f}',
            '\u{80}',
            '\u{85}',
            '\u{9b}',
            '\u{a0}',
            '\u{1680}',
            '\u{2003}',
            '\u{202f}',
            '\u{205f}',
            '\u{3000}',
            '\u{2028}',
            '\u{2029}',
            // Direction.
            '\u{61c}',
            '\u{200e}',
            '\u{200f}',
            '\u{202a}',
            '\u{202e}',
            '\u{2066}',
            '\u{2069}',
            // Invisible.
            '\u{ad}',
            '\u{34f}',
            '\u{115f}',
            '\u{1160}',
            '\u{17b4}',
            '\u{180b}',
            '\u{180e}',
            '\u{200b}',
            '\u{200d}',
            '\u{2060}',
            '\u{2800}',
            '\u{3164}',
            '\u{fe0f}',
            '\u{feff}',
            '\u{ffa0}',
            '\u{fff0}',
            '\u{fff9}',
            '\u{16fe4}',
            '\u{1bca0}',
            '\u{1d159}',
            '\u{1d173}',
            '\u{e0001}',
            '\u{e0041}',
            '\u{e0100}',
            // No characters.
            '\u{fdd0}',
            '\u{ffff}',
            '\u{10fffe}',
        ] {
            assert!(!is_visible(c), "U+{:04X}", u32::from(c));
        }
    }

    #[test]
    fn one_odd_byte_is_found_wherever_it_stands() {
        for length in 0..70 {
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
        fn bytes_and_characters_agree(text in "[ -\u{ff}]{0,40}") {
            prop_assert_eq!(is_plain(text.as_bytes()), text.chars().all(|c| c.is_ascii() && is_visible(c)));
            prop_assert_eq!(all_visible(&text), text.chars().all(is_visible));
        }
    }
}
