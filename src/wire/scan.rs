//! Looks at eight bytes at once. A listing has a million names, and most of what is done with each is to see that nothing is odd about it.

/// Bytes that a text is searched for, mostly in vain.
#[derive(Clone, Copy)]
pub(crate) struct Odd<const N: usize> {
    /// All below this one, which is at most 0x80.
    pub(crate) below: u8,
    /// These, all of them ASCII.
    pub(crate) these: [u8; N],
    /// All that are not ASCII.
    pub(crate) eight_bit: bool,
}

const ONES: u64 = u64::from_ne_bytes([1; 8]);
const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);

impl<const N: usize> Odd<N> {
    /// Whether any of them is in these bytes.
    #[inline]
    pub(crate) fn is_in(self, bytes: &[u8]) -> bool {
        let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) else {
            return bytes.iter().any(|byte| self.is(*byte));
        };
        // The last eight overlap those before, which is cheaper than a rest byte by byte.
        if bytes.len() <= 16 {
            self.is_in_word(first) | self.is_in_word(last)
        } else {
            let mut words = bytes.as_chunks().0.iter();
            self.is_in_word(last) || words.any(|word| self.is_in_word(word))
        }
    }

    /// Whether this is one.
    pub(crate) const fn is(self, byte: u8) -> bool {
        let mut at = 0;
        while at < N {
            if byte == self.these[at] {
                return true;
            }
            at += 1;
        }
        byte < self.below || (self.eight_bit && byte >= 0x80)
    }

    /// The old trick: taking away too much from a byte sets its highest bit. What is borrowed from the byte above may set that one's
    /// too, but only where one was found already.
    #[inline]
    fn is_in_word(self, word: &[u8; 8]) -> bool {
        let word = u64::from_le_bytes(*word);
        let mut found = word.wrapping_sub(ONES * u64::from(self.below)) & !word;
        for byte in self.these {
            let same = word ^ (ONES * u64::from(byte));
            found |= same.wrapping_sub(ONES) & !same;
        }
        if self.eight_bit {
            found |= word;
        }
        found & HIGH != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SOME: Odd<3> = Odd {
        below: 0x21,
        these: [0x7f, b'(', b'"'],
        eight_bit: false,
    };

    #[test]
    fn one_odd_byte_is_found_wherever_it_stands() {
        for length in 0..40 {
            let plain = vec![b'!'; length];
            assert!(!SOME.is_in(&plain));
            for at in 0..length {
                for byte in 0..=u8::MAX {
                    let mut text = plain.clone();
                    text[at] = byte;
                    let eight_bit = Odd {
                        eight_bit: true,
                        ..SOME
                    };
                    let is_odd = byte < 0x21 || [0x7f, b'(', b'"'].contains(&byte);
                    assert_eq!(SOME.is_in(&text), is_odd, "{byte:#x} at {at} of {length}");
                    assert_eq!(eight_bit.is_in(&text), is_odd || byte >= 0x80);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn eight_at_once_and_one_by_one_agree(text in prop::collection::vec(prop_oneof![Just(0x20u8), Just(0x21), Just(0x7f), Just(0x80), any::<u8>()], 0..40)) {
            for eight_bit in [false, true] {
                let odd = Odd { eight_bit, ..SOME };
                prop_assert_eq!(odd.is_in(&text), text.iter().any(|byte| odd.is(*byte)));
            }
        }
    }
}
