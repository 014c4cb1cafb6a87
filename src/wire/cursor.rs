//! A borrowed cursor over the bytes of one response: atoms, strings, numbers, lists.
//!
//! Each item has two readers: `atom` says whether it is there (and does not move when it is not),
//! `expect_atom` makes its absence an error with the byte offset. What a response means is not known
//! here. The readers are as tolerant as real servers need, and none of them panics or recurses.
//!
//! Where the grammar has one space there may be several, and spaces behind `(`, before `)` and at the
//! end mean nothing: some servers send them.

use std::borrow::Cow;
use std::fmt;

use super::scan::Odd;

/// How deep parentheses may nest before [`Cursor::open`] and [`Cursor::value`] refuse.
///
/// No reply of RFC 3501 or its extensions comes near it, BODYSTRUCTURE aside, which is not read here.
pub const MAX_DEPTH: usize = 64;

/// What [`Cursor::expect_open`] and [`Cursor::expect_value`] say about a deeper nesting.
const TOO_DEEP: &str = "no more than 64 levels of parentheses";

/// A response that does not hold what its grammar says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("at byte {offset}: expected {expected}")]
pub struct ParseError {
    /// Where, counted from the start of the frame.
    pub offset: usize,
    /// What should have stood there, with its article: "a mailbox".
    pub expected: &'static str,
}

const ATOM: u8 = 1;
const LOOSE: u8 = 2;

/// One lookup instead of a dozen comparisons: names are most of the bytes of a long LIST.
static CLASS: [u8; 256] = classes();

/// What ends a bare astring, as servers send them.
const NOT_LOOSE: Odd<4> = Odd {
    below: b' ' + 1,
    these: [0x7f, b'(', b')', b'"'],
    eight_bit: false,
};

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        if !NOT_LOOSE.is(b) {
            table[byte] |= LOOSE;
            if !matches!(b, b'{' | b'%' | b'*' | b'\\' | b']') {
                table[byte] |= ATOM;
            }
        }
        byte += 1;
    }
    table
}

#[inline]
fn is(byte: u8, class: u8) -> bool {
    CLASS[usize::from(byte)] & class != 0
}

/// Whether the byte is an ATOM-CHAR (RFC 3501 section 9), or 8-bit, which some servers send.
pub(super) fn is_atom_char(byte: u8) -> bool {
    is(byte, ATOM)
}

/// A position in the bytes of one response.
///
/// It is small and [`Copy`]: to look ahead, copy it and read from the copy.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
}

impl fmt::Debug for Cursor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Cursor({} of {}: b\"{}\")",
            self.at,
            self.bytes.len(),
            self.rest().escape_ascii()
        )
    }
}

impl<'a> Cursor<'a> {
    /// A cursor at the start of these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self::at(bytes, 0)
    }

    /// A cursor in the middle, whose offsets still count from the start of `bytes`.
    pub(super) fn at(bytes: &'a [u8], at: usize) -> Self {
        Self {
            bytes,
            at: at.min(bytes.len()),
            depth: 0,
        }
    }

    /// How many bytes were read, counted from the start of the frame.
    #[inline]
    pub fn offset(&self) -> usize {
        self.at
    }

    /// All that was not read yet.
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Whether everything was read but spaces.
    #[inline]
    pub fn is_end(&self) -> bool {
        self.rest().iter().all(|byte| *byte == b' ')
    }

    /// The next byte, which stays unread.
    #[inline]
    pub fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// The error that something else was expected at this place.
    ///
    /// For readers of whole replies, which know better than the cursor what is missing.
    #[inline]
    pub fn error(&self, expected: &'static str) -> ParseError {
        ParseError {
            offset: self.at,
            expected,
        }
    }

    /// Reads this one byte.
    #[inline]
    pub fn byte(&mut self, byte: u8) -> Option<()> {
        if self.peek() == Some(byte) {
            self.at += 1;
            Some(())
        } else {
            None
        }
    }

    /// Reads this one byte, or fails in the words of `expected`.
    #[inline]
    pub fn expect_byte(&mut self, byte: u8, expected: &'static str) -> Result<(), ParseError> {
        self.byte(byte).ok_or(self.error(expected))
    }

    /// Reads exactly these bytes, which the caller has read before: a long listing repeats itself.
    #[inline]
    pub fn same(&mut self, bytes: &[u8]) -> Option<()> {
        self.rest()
            .starts_with(bytes)
            .then(|| self.at += bytes.len())
    }

    /// Reads a space (RFC 3501 section 9, SP), and those behind it.
    #[inline]
    pub fn space(&mut self) -> Option<()> {
        self.byte(b' ')?;
        self.skip_spaces();
        Some(())
    }

    /// Reads a space and those behind it, or fails.
    #[inline]
    pub fn expect_space(&mut self) -> Result<(), ParseError> {
        self.space().ok_or(self.error("a space"))
    }

    /// Passes over any number of spaces, also none.
    #[inline]
    pub fn skip_spaces(&mut self) {
        while self.byte(b' ').is_some() {}
    }

    /// Reads an atom (RFC 3501 section 9). Bytes from 0x80 are accepted in it, `]` is not.
    #[inline]
    pub fn atom(&mut self) -> Option<&'a [u8]> {
        self.run(ATOM)
    }

    /// Reads an atom, or fails.
    #[inline]
    pub fn expect_atom(&mut self) -> Result<&'a [u8], ParseError> {
        self.atom().ok_or(self.error("an atom"))
    }

    /// Reads a quoted string or a literal (RFC 3501 section 4.3), or a literal8 (RFC 3516).
    ///
    /// The result is borrowed unless it is quoted and holds a backslash. A string with a
    /// backslash before anything but `"` and `\`, which no server should send, is none: what it means can't be told.
    pub fn string(&mut self) -> Option<Cow<'a, [u8]>> {
        match self.peek()? {
            b'"' => {
                let (inner, escaped, end) = self.quoted_at(self.at)?;
                self.at = end;
                Some(if escaped {
                    Cow::Owned(unescape(inner))
                } else {
                    Cow::Borrowed(inner)
                })
            }
            b'{' | b'~' => {
                let (inner, end) = self.literal_at(self.at)?;
                self.at = end;
                Some(Cow::Borrowed(inner))
            }
            _ => None,
        }
    }

    /// Reads a quoted string or a literal, or fails.
    pub fn expect_string(&mut self) -> Result<Cow<'a, [u8]>, ParseError> {
        self.string().ok_or(self.error("a string"))
    }

    /// Reads an astring: an atom, which may hold `]`, or a string (RFC 3501 section 9).
    ///
    /// More is accepted than the grammar has, because servers send mailbox names bare that should
    /// be quoted: 8-bit bytes, `\ { % * & [` in any place where the whole is not a literal.
    pub fn astring(&mut self) -> Option<Cow<'a, [u8]>> {
        // Most names are bare, and `string` need not be asked about those.
        if matches!(self.peek()?, b'"' | b'{' | b'~')
            && let Some(string) = self.string()
        {
            return Some(string);
        }
        self.run(LOOSE).map(Cow::Borrowed)
    }

    /// Reads all that is left, where it is one bare word as [`astring`](Self::astring) reads it. That is seen faster than where a word ends.
    #[inline]
    pub(crate) fn bare_rest(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest();
        if matches!(rest.first(), None | Some(b'{' | b'~')) || NOT_LOOSE.is_in(rest) {
            return None;
        }
        self.at = self.bytes.len();
        Some(rest)
    }

    /// Whether the next word, as [`astring`](Self::astring) reads it, is bare: neither quoted nor a literal.
    pub(crate) fn is_bare(&self) -> bool {
        self.peek().is_some_and(|byte| is(byte, LOOSE)) && self.literal_at(self.at).is_none()
    }

    /// Reads an astring, or fails in the words of `what`: "a mailbox".
    pub fn expect_astring(&mut self, what: &'static str) -> Result<Cow<'a, [u8]>, ParseError> {
        self.astring().ok_or(self.error(what))
    }

    /// Reads a string or NIL (RFC 3501 section 4.5); `Some(None)` is NIL.
    pub fn nstring(&mut self) -> Option<Option<Cow<'a, [u8]>>> {
        if self.nil().is_some() {
            return Some(None);
        }
        self.string().map(Some)
    }

    /// Reads a string or NIL, or fails.
    pub fn expect_nstring(&mut self) -> Result<Option<Cow<'a, [u8]>>, ParseError> {
        self.nstring().ok_or(self.error("a string or NIL"))
    }

    /// Reads the digits of a number (RFC 3501 section 9; 63 bits since RFC 9051).
    ///
    /// Digits that do not fit 64 bits are no number.
    pub fn number(&mut self) -> Option<u64> {
        let mut value: u64 = 0;
        let mut at = self.at;
        while let Some(digit) = self.bytes.get(at).copied().filter(u8::is_ascii_digit) {
            value = value
                .checked_mul(10)?
                .checked_add(u64::from(digit - b'0'))?;
            at += 1;
        }
        if at == self.at {
            return None;
        }
        self.at = at;
        Some(value)
    }

    /// Reads a number, or fails.
    pub fn expect_number(&mut self) -> Result<u64, ParseError> {
        self.number().ok_or(self.error("a number"))
    }

    /// Reads NIL in any case (RFC 3501 section 4.5); an atom that only begins so is not it.
    #[inline]
    pub fn nil(&mut self) -> Option<()> {
        let rest = self.rest();
        let word = rest.get(..3)?;
        if !word.eq_ignore_ascii_case(b"NIL") || rest.get(3).is_some_and(|b| is(*b, LOOSE)) {
            return None;
        }
        self.at += 3;
        Some(())
    }

    /// Reads NIL, or fails.
    pub fn expect_nil(&mut self) -> Result<(), ParseError> {
        self.nil().ok_or(self.error("NIL"))
    }

    /// Reads a flag or mailbox attribute: `\Seen`, `\*`, `$Forwarded`, any atom (RFC 3501 section
    /// 2.3.2 and 7.2.2).
    pub fn flag(&mut self) -> Option<&'a [u8]> {
        let mut ahead = *self;
        if ahead.byte(b'\\').is_none() {
            return self.atom();
        }
        if ahead.byte(b'*').is_none() {
            ahead.atom()?;
        }
        let flag = self.bytes.get(self.at..ahead.at)?;
        self.at = ahead.at;
        Some(flag)
    }

    /// Reads a flag, or fails.
    pub fn expect_flag(&mut self) -> Result<&'a [u8], ParseError> {
        self.flag().ok_or(self.error("a flag"))
    }

    /// Reads `(` and spaces behind it, unless [`MAX_DEPTH`] lists are open already.
    #[inline]
    pub fn open(&mut self) -> Option<()> {
        if self.depth >= MAX_DEPTH {
            return None;
        }
        self.byte(b'(')?;
        self.depth += 1;
        self.skip_spaces();
        Some(())
    }

    /// Reads `(`, or fails; a nesting too deep is an error that says so.
    pub fn expect_open(&mut self) -> Result<(), ParseError> {
        let expected = if self.depth >= MAX_DEPTH && self.peek() == Some(b'(') {
            TOO_DEEP
        } else {
            "an opening parenthesis"
        };
        self.open().ok_or(self.error(expected))
    }

    /// Reads `)`, with spaces before it.
    #[inline]
    pub fn close(&mut self) -> Option<()> {
        let mut ahead = *self;
        ahead.skip_spaces();
        ahead.byte(b')')?;
        ahead.depth = self.depth.saturating_sub(1);
        *self = ahead;
        Some(())
    }

    /// Reads `)`, or fails.
    #[inline]
    pub fn expect_close(&mut self) -> Result<(), ParseError> {
        self.close().ok_or(self.error("a closing parenthesis"))
    }

    /// Reads any one value, however nested, and gives its bytes as they stand: an atom or flag, a
    /// number, a string, a literal, a list of values.
    ///
    /// This is how an item that nobody knows survives: it is passed over, or kept raw.
    pub fn value(&mut self) -> Option<&'a [u8]> {
        self.expect_value().ok()
    }

    /// Reads any one value, or fails; a nesting too deep is an error that says so.
    pub fn expect_value(&mut self) -> Result<&'a [u8], ParseError> {
        let mut ahead = *self;
        loop {
            match ahead.peek() {
                Some(b'(') => {
                    ahead.expect_open()?;
                    continue;
                }
                Some(b')') if ahead.depth > self.depth => {
                    ahead.expect_close()?;
                }
                // Unescaping would cost an allocation that nobody needs.
                Some(b'"') => match ahead.quoted_at(ahead.at) {
                    Some((_, _, end)) => ahead.at = end,
                    None => return Err(ahead.error("a closing quote")),
                },
                _ => match ahead.literal_at(ahead.at) {
                    Some((_, end)) => ahead.at = end,
                    None if ahead.run(LOOSE).is_some() => {}
                    None if ahead.depth > self.depth => {
                        return Err(ahead.error("a value or a closing parenthesis"));
                    }
                    None => return Err(ahead.error("a value")),
                },
            }
            if ahead.depth <= self.depth {
                break;
            }
            ahead.skip_spaces();
        }
        let value = self.bytes.get(self.at..ahead.at).unwrap_or_default();
        self.at = ahead.at;
        Ok(value)
    }

    /// Reads all that is left.
    pub fn text(&mut self) -> &'a [u8] {
        let rest = self.rest();
        self.at = self.bytes.len();
        rest
    }

    /// Fails unless everything was read but spaces.
    pub fn expect_end(&self) -> Result<(), ParseError> {
        if self.is_end() {
            Ok(())
        } else {
            Err(self.error("the end of the line"))
        }
    }

    #[inline]
    fn run(&mut self, class: u8) -> Option<&'a [u8]> {
        let rest = self.rest();
        let len = rest
            .iter()
            .position(|b| !is(*b, class))
            .unwrap_or(rest.len());
        if len == 0 {
            return None;
        }
        self.at += len;
        rest.get(..len)
    }

    /// The inside of the quoted string here, whether it holds a backslash, and where it ends.
    fn quoted_at(&self, at: usize) -> Option<(&'a [u8], bool, usize)> {
        let rest = self.bytes.get(at..)?.strip_prefix(b"\"")?;
        let mut escaped = false;
        let mut bytes = rest.iter().enumerate();
        while let Some((i, byte)) = bytes.next() {
            match byte {
                b'"' => return Some((rest.get(..i)?, escaped, at + i + 2)),
                b'\\' => {
                    escaped = true;
                    // Nothing else is escaped (RFC 3501 section 9, QUOTED-CHAR). A server that means the backslash itself may mean others
                    // too, and what it sends can't be told from another string.
                    if !matches!(bytes.next(), Some((_, b'"' | b'\\'))) {
                        return None;
                    }
                }
                // A quoted string ends on its line, or what follows would be swallowed.
                b'\r' | b'\n' => return None,
                _ => {}
            }
        }
        None
    }

    /// The content of the literal or literal8 here, and where it ends.
    fn literal_at(&self, at: usize) -> Option<(&'a [u8], usize)> {
        let mut ahead = Self::at(self.bytes, at);
        let _literal8 = ahead.byte(b'~');
        ahead.byte(b'{')?;
        let len = usize::try_from(ahead.number()?).ok()?;
        let _non_synchronizing = ahead.byte(b'+');
        ahead.byte(b'}')?;
        // None before a bare LF, two where a server translates line ends that are CRLF already.
        while ahead.byte(b'\r').is_some() {}
        ahead.byte(b'\n')?;
        let content = ahead.rest().get(..len)?;
        Some((content, ahead.at + len))
    }
}

fn unescape(quoted: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(quoted.len());
    let mut bytes = quoted.iter();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'\\' => *bytes.next().unwrap_or(byte),
            _ => *byte,
        });
    }
    out
}

#[cfg(test)]
mod tests;
