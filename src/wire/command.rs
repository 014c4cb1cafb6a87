//! One command of a client: its tag, its name, and readers for its arguments (RFC 3501 and RFC 9051 section 9).
//!
//! The readers are the counterpart of [`Encoder`](super::Encoder), and read with the same [`Cursor`]. They keep to the grammar, where a
//! [`Cursor`] alone is as tolerant as real servers need: a server answers BAD to what is no IMAP. What a command means is not known here.

use std::borrow::Cow;
use std::fmt;
use std::ops::RangeInclusive;

use super::cursor::{Cursor, ParseError};
use super::encode::is_bare;
use super::utf7;

/// One command, up to its arguments.
#[derive(Debug, Clone, Copy)]
pub struct Command<'a> {
    /// What the answer must repeat.
    pub tag: &'a str,
    /// Whether UID stands before the name (RFC 3501 section 6.4.8).
    pub uid: bool,
    /// The name as it was sent; see [`Command::is`].
    pub name: &'a str,
    /// What stands behind the name, the space between them included.
    pub arguments: Arguments<'a>,
}

impl<'a> Command<'a> {
    /// Reads a command, which comes without its line end.
    ///
    /// # Errors
    /// No tag or no name. [`tag`] says with which tag to answer BAD.
    pub fn read(frame: &'a [u8]) -> Result<Self, ParseError> {
        let mut arguments = Arguments {
            cursor: Cursor::new(frame),
            names_in_utf8: false,
        };
        let tag = arguments.run(is_tag_char, "a tag")?;
        arguments.space()?;
        let mut name = arguments.run(is_bare, "a command")?;
        let uid = name.eq_ignore_ascii_case("UID");
        if uid {
            arguments.space()?;
            name = arguments.run(is_bare, "a command")?;
        }
        if !arguments.is_end() && arguments.peek() != Some(b' ') {
            return Err(arguments.cursor.error("a space or the end of the line"));
        }
        Ok(Self {
            tag,
            uid,
            name,
            arguments,
        })
    }

    /// Whether the command has this name. Case does not count.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

/// The tag at the start of what a client sent, if there is one: whatever follows can be answered with it.
pub fn tag(frame: &[u8]) -> Option<&str> {
    let end = frame.iter().position(|b| !is_tag_char(*b));
    let tag = frame.get(..end.unwrap_or(frame.len()))?;
    std::str::from_utf8(tag).ok().filter(|tag| !tag.is_empty())
}

/// Reads the arguments of a command one after the other, the spaces between them too.
///
/// An error tells the byte in the frame and what the grammar has there. Then nothing more can be read: answer BAD.
#[derive(Clone, Copy)]
pub struct Arguments<'a> {
    cursor: Cursor<'a>,
    names_in_utf8: bool,
}

impl fmt::Debug for Arguments<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the bytes: there may be a password among them.
        f.debug_struct("Arguments")
            .field("offset", &self.cursor.offset())
            .field("left", &self.cursor.rest().len())
            .finish_non_exhaustive()
    }
}

impl<'a> Arguments<'a> {
    /// From here on, mailbox names come in UTF-8, as IMAP4rev2 has them (RFC 9051 section 5.1).
    pub fn names_in_utf8(&mut self) -> &mut Self {
        self.names_in_utf8 = true;
        self
    }

    /// Whether everything was read.
    pub fn is_end(&self) -> bool {
        self.cursor.rest().is_empty()
    }

    /// The next byte, which stays unread: it tells apart what the grammar offers to choose from.
    pub fn peek(&self) -> Option<u8> {
        self.cursor.peek()
    }

    /// The error that something else was expected at this place.
    pub fn error(&self, expected: &'static str) -> ParseError {
        self.cursor.error(expected)
    }

    /// Fails unless everything was read.
    pub fn end(&self) -> Result<(), ParseError> {
        if self.is_end() {
            Ok(())
        } else {
            Err(self.error("the end of the line"))
        }
    }

    /// One space.
    pub fn space(&mut self) -> Result<(), ParseError> {
        self.cursor.expect_byte(b' ', "a space")
    }

    /// `(`, unless [`MAX_DEPTH`](super::MAX_DEPTH) lists are open already.
    pub fn open(&mut self) -> Result<(), ParseError> {
        let mut ahead = self.cursor;
        let after = ahead.offset() + 1;
        ahead.expect_open()?;
        if ahead.offset() != after {
            self.cursor.expect_byte(b'(', "an opening parenthesis")?;
            return Err(self.error("no space behind an opening parenthesis"));
        }
        self.cursor = ahead;
        Ok(())
    }

    /// `)`
    pub fn close(&mut self) -> Result<(), ParseError> {
        if self.peek() == Some(b')') {
            self.cursor.expect_close()
        } else {
            Err(self.error("a closing parenthesis"))
        }
    }

    /// A list of any length in parentheses, with one space between its items. Several lists in each other are bounded as in
    /// [`open`](Self::open), so `item` may read a list itself.
    pub fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, ParseError>,
    ) -> Result<Vec<T>, ParseError> {
        let mut items = Vec::new();
        self.open()?;
        while self.peek() != Some(b')') {
            if !items.is_empty() {
                self.space()?;
            }
            items.push(item(self)?);
        }
        self.close()?;
        Ok(items)
    }

    /// An atom, or fails in the words of `what`: "a status item".
    pub fn atom(&mut self, what: &'static str) -> Result<&'a str, ParseError> {
        self.run(is_bare, what)
    }

    /// A number of at most 64 bits (RFC 9051 section 9: number64).
    pub fn number(&mut self) -> Result<u64, ParseError> {
        self.cursor.expect_number()
    }

    /// A string: quoted, of UTF-8, or a literal (RFC 3501 section 4.3). There is no NUL in it.
    pub fn string(&mut self, what: &'static str) -> Result<Cow<'a, [u8]>, ParseError> {
        let mut ahead = self.cursor;
        let is_quoted = match ahead.peek() {
            Some(b'"') => true,
            Some(b'{') => false,
            _ => return Err(self.error(what)),
        };
        let string = ahead.expect_string().map_err(|_| self.error(what))?;
        if string.contains(&0) {
            return Err(self.error("a string without NUL"));
        }
        if is_quoted && std::str::from_utf8(&string).is_err() {
            return Err(self.error("a quoted string of UTF-8"));
        }
        self.cursor = ahead;
        Ok(string)
    }

    /// A literal8, or a literal, of any bytes (RFC 3516, RFC 9051 section 9).
    pub fn literal8(&mut self) -> Result<&'a [u8], ParseError> {
        match (self.peek(), self.cursor.string()) {
            (Some(b'~' | b'{'), Some(Cow::Borrowed(bytes))) => Ok(bytes),
            _ => Err(self.error("a literal")),
        }
    }

    /// A string or NIL (RFC 3501 section 4.5).
    pub fn nstring(&mut self, what: &'static str) -> Result<Option<Cow<'a, [u8]>>, ParseError> {
        if self.cursor.nil().is_some() {
            return Ok(None);
        }
        self.string(what).map(Some)
    }

    /// An astring: a word or a string (RFC 3501 section 9).
    pub fn astring(&mut self, what: &'static str) -> Result<Cow<'a, [u8]>, ParseError> {
        self.word_or_string(|b| is_bare(b) || b == b']', what)
    }

    /// A mailbox name, in its form of RFC 3501 however it came. INBOX is as it was sent.
    pub fn mailbox(&mut self) -> Result<Cow<'a, [u8]>, ParseError> {
        let at = *self;
        let name = self.astring("a mailbox")?;
        at.in_utf7(name)
    }

    /// A mailbox pattern of LIST and LSUB (RFC 3501 section 6.3.8), in the form of RFC 3501 however it came.
    pub fn list_mailbox(&mut self) -> Result<Cow<'a, [u8]>, ParseError> {
        let at = *self;
        let pattern = self.word_or_string(
            |b| is_bare(b) || matches!(b, b'%' | b'*' | b']'),
            "a mailbox pattern",
        )?;
        at.in_utf7(pattern)
    }

    /// A flag that a client may set (RFC 3501 section 9): `\Seen`, `$Forwarded`, any atom.
    pub fn flag(&mut self) -> Result<&'a str, ParseError> {
        let mut ahead = self.cursor;
        let flag = ahead
            .flag()
            .filter(|flag| flag.is_ascii() && *flag != b"\\*");
        let flag = flag.and_then(|flag| std::str::from_utf8(flag).ok());
        let flag = flag.ok_or(self.error("a flag"))?;
        self.cursor = ahead;
        Ok(flag)
    }

    /// A sequence set (RFC 3501 section 9).
    pub fn sequence_set(&mut self) -> Result<SequenceSet<'a>, ParseError> {
        let before = self.cursor;
        let what = "a sequence set, such as 1,3:5,7:*";
        let fits = |b: u8| b.is_ascii_digit() || matches!(b, b'*' | b':' | b',');
        let set = SequenceSet(self.run(fits, what)?);
        if set.parts().any(|part| part.is_none()) {
            return Err(before.error(what));
        }
        Ok(set)
    }

    /// A date-time, in quotes (RFC 3501 section 9).
    pub fn date_time(&mut self) -> Result<DateTime, ParseError> {
        let mut ahead = self.cursor;
        let quoted = ahead.string().filter(|_| self.peek() == Some(b'"'));
        let date = quoted.and_then(|text| DateTime::read(&text));
        let date =
            date.ok_or(self.error(r#"a date and time, such as " 1-Feb-2024 00:00:00 +0000""#))?;
        self.cursor = ahead;
        Ok(date)
    }

    /// All that is left, as it is: base64 and the like.
    pub fn text(&mut self) -> &'a [u8] {
        self.cursor.text()
    }

    /// The cursor that reads, for a grammar of which nothing is known here.
    pub fn cursor(&mut self) -> &mut Cursor<'a> {
        &mut self.cursor
    }

    fn word_or_string(
        &mut self,
        fits: impl Fn(u8) -> bool,
        what: &'static str,
    ) -> Result<Cow<'a, [u8]>, ParseError> {
        match self.peek() {
            Some(b'"' | b'{') => self.string(what),
            _ => self.run(fits, what).map(|word| word.as_bytes().into()),
        }
    }

    fn in_utf7(&self, name: Cow<'a, [u8]>) -> Result<Cow<'a, [u8]>, ParseError> {
        if !self.names_in_utf8 {
            return Ok(name);
        }
        let text = std::str::from_utf8(&name).map_err(|_| self.error("a mailbox in UTF-8"))?;
        Ok(Cow::Owned(utf7::encode(text).into_bytes()))
    }

    /// At least one byte that fits, all of them ASCII.
    fn run(
        &mut self,
        fits: impl Fn(u8) -> bool,
        what: &'static str,
    ) -> Result<&'a str, ParseError> {
        let rest = self.cursor.rest();
        let end = rest.iter().position(|b| !fits(*b)).unwrap_or(rest.len());
        let word = rest.get(..end).filter(|word| !word.is_empty());
        let word = word.and_then(|word| std::str::from_utf8(word).ok());
        let word = word.ok_or(self.error(what))?;
        self.cursor.same(word.as_bytes());
        Ok(word)
    }
}

/// Any ASTRING-CHAR but the plus sign (RFC 3501 section 9: tag).
fn is_tag_char(byte: u8) -> bool {
    (is_bare(byte) && byte != b'+') || byte == b']'
}

/// A set of message numbers or UIDs: `1,3:5,7:*` (RFC 3501 section 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SequenceSet<'a>(&'a str);

impl<'a> SequenceSet<'a> {
    /// The set as it was sent.
    pub fn as_str(&self) -> &'a str {
        self.0
    }

    /// The ranges in the order of the set, where `last` is the number that `*` stands for. None is empty, and the numbers need not exist.
    pub fn ranges(&self, last: u32) -> impl Iterator<Item = RangeInclusive<u32>> + 'a {
        self.parts().flatten().map(move |(from, to)| {
            let (from, to) = (from.unwrap_or(last), to.unwrap_or(last));
            // The order of the two does not count.
            from.min(to)..=from.max(to)
        })
    }

    /// From and to, `*` as `None`; and what is no range at all.
    fn parts(&self) -> impl Iterator<Item = Option<(Option<u32>, Option<u32>)>> + 'a {
        let number = |text: &str| match text {
            "*" => Some(None),
            _ if text.starts_with('0') => None,
            _ => text.parse().ok().map(Some),
        };
        self.0.split(',').map(move |part| {
            let (from, to) = part.split_once(':').unwrap_or((part, part));
            Some((number(from)?, number(to)?))
        })
    }
}

/// A point in time with its zone, as `INTERNALDATE` and APPEND have it (RFC 3501 section 9: date-time).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DateTime {
    /// The year, of four digits.
    pub year: u16,
    /// The month, from 1.
    pub month: u8,
    /// The day of the month, from 1.
    pub day: u8,
    /// The hour, up to 23.
    pub hour: u8,
    /// The minute, up to 59.
    pub minute: u8,
    /// The second, up to 60 for a leap second.
    pub second: u8,
    /// The zone, in minutes east of UTC.
    pub zone: i16,
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

impl DateTime {
    /// Reads what stands between the quotes.
    fn read(text: &[u8]) -> Option<Self> {
        // Of fixed width: ` 1-Feb-2024 00:00:00 +0000`.
        let text = std::str::from_utf8(text).ok().filter(|t| t.len() == 26)?;
        let digits = |range: std::ops::Range<usize>| {
            let digits = text.get(range)?;
            let all = digits.bytes().all(|b| b.is_ascii_digit());
            all.then(|| digits.parse::<u16>().ok())?
        };
        let below = |range, limit: u16| {
            let number = digits(range).filter(|number| *number < limit)?;
            u8::try_from(number).ok()
        };
        let marks = [
            (2, "-"),
            (6, "-"),
            (11, " "),
            (14, ":"),
            (17, ":"),
            (20, " "),
        ];
        if marks
            .iter()
            .any(|(at, mark)| text.get(*at..at + 1) != Some(mark))
        {
            return None;
        }
        let month = text.get(3..6)?;
        let month = MONTHS.iter().position(|m| m.eq_ignore_ascii_case(month))?;
        let month = u8::try_from(month + 1).ok()?;
        let year = digits(7..11)?;
        let day = if text.starts_with(' ') {
            below(1..2, 10)?
        } else {
            below(0..2, 32)?
        };
        let calendar = time::Month::try_from(month).ok()?;
        time::Date::from_calendar_date(year.into(), calendar, day).ok()?;
        let east = i16::from(below(22..24, 100)?) * 60 + i16::from(below(24..26, 60)?);
        Some(Self {
            year,
            month,
            day,
            hour: below(12..14, 24)?,
            minute: below(15..17, 60)?,
            second: below(18..20, 61)?,
            zone: match text.get(21..22)? {
                "+" => east,
                "-" => -east,
                _ => return None,
            },
        })
    }
}

impl fmt::Display for DateTime {
    /// As it stands between the quotes: ` 1-Feb-2024 00:00:00 +0000`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let month = MONTHS.get(usize::from(self.month).wrapping_sub(1));
        let sign = if self.zone < 0 { '-' } else { '+' };
        let zone = self.zone.unsigned_abs();
        write!(
            f,
            "{:2}-{}-{:04} {:02}:{:02}:{:02} {sign}{:02}{:02}",
            self.day,
            month.unwrap_or(&"???"),
            self.year,
            self.hour,
            self.minute,
            self.second,
            zone / 60,
            zone % 60,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(text: &str) -> Arguments<'_> {
        Arguments {
            cursor: Cursor::new(text.as_bytes()),
            names_in_utf8: false,
        }
    }

    #[test]
    fn tag_and_name() {
        let command = Command::read(b"a1 uid Fetch 1:* FLAGS").unwrap();
        assert_eq!((command.tag, command.name), ("a1", "Fetch"));
        assert!(command.uid && command.is("FETCH"));
        assert_eq!(command.arguments.peek(), Some(b' '));
        for (line, offset, expected, answered) in [
            ("", 0, "a tag", None),
            (" NOOP", 0, "a tag", None),
            ("+ NOOP", 0, "a tag", None),
            ("* OK", 0, "a tag", None),
            ("a+b NOOP", 1, "a space", Some("a")),
            ("a", 1, "a space", Some("a")),
            ("a ", 2, "a command", Some("a")),
            ("a  NOOP", 2, "a command", Some("a")),
            ("a UID", 5, "a space", Some("a")),
            ("a UID (", 6, "a command", Some("a")),
            ("a NO\"OP", 4, "a space or the end of the line", Some("a")),
        ] {
            let error = Command::read(line.as_bytes()).unwrap_err();
            assert_eq!((error.offset, error.expected), (offset, expected), "{line}");
            assert_eq!(tag(line.as_bytes()), answered, "{line}");
        }
    }

    #[test]
    fn errors_tell_the_byte_and_the_production() {
        type Read = fn(&mut Arguments<'_>) -> Result<(), ParseError>;
        let rows: [(&str, Read, usize, &str); 17] = [
            ("", |a| a.space(), 0, "a space"),
            ("x", |a| a.end(), 0, "the end of the line"),
            ("(", |a| a.atom("a verb").map(drop), 0, "a verb"),
            (
                "a]b",
                |a| a.atom("a verb").and_then(|_| a.end()),
                1,
                "the end of the line",
            ),
            (
                "99999999999999999999",
                |a| a.number().map(drop),
                0,
                "a number",
            ),
            ("word", |a| a.string("a text").map(drop), 0, "a text"),
            ("\"open", |a| a.astring("a user").map(drop), 0, "a user"),
            ("\"odd\\x\"", |a| a.astring("a user").map(drop), 0, "a user"),
            (
                "\"\0\"",
                |a| a.astring("a user").map(drop),
                0,
                "a string without NUL",
            ),
            (
                "{1}\r\n\0",
                |a| a.astring("a user").map(drop),
                0,
                "a string without NUL",
            ),
            (
                "~{1}\r\nx",
                |a| a.astring("a user").and_then(|_| a.end()),
                1,
                "the end of the line",
            ),
            ("{9}", |a| a.astring("a user").map(drop), 0, "a user"),
            (
                "Zo\u{eb}",
                |a| a.mailbox().and_then(|_| a.end()),
                2,
                "the end of the line",
            ),
            ("%", |a| a.mailbox().map(drop), 0, "a mailbox"),
            (
                "( x)",
                |a| a.list(Arguments::flag).map(drop),
                1,
                "no space behind an opening parenthesis",
            ),
            ("(x )", |a| a.list(Arguments::flag).map(drop), 3, "a flag"),
            ("\\*", |a| a.flag().map(drop), 0, "a flag"),
        ];
        for (text, read, offset, expected) in rows {
            let error = read(&mut arguments(text)).unwrap_err();
            assert_eq!((error.offset, error.expected), (offset, expected), "{text}");
        }
        let mut latin1 = Arguments {
            cursor: Cursor::new(b"\"\xe4\""),
            names_in_utf8: false,
        };
        let error = latin1.string("a text").unwrap_err();
        assert_eq!(error.expected, "a quoted string of UTF-8");
    }

    #[test]
    fn nesting_is_bounded() {
        fn nested(arguments: &mut Arguments<'_>) -> Result<(), ParseError> {
            arguments.list(nested).map(drop)
        }
        let depth = super::super::MAX_DEPTH;
        let text = format!("{}{}", "(".repeat(depth), ")".repeat(depth));
        let mut read = arguments(&text);
        assert_eq!(nested(&mut read).and_then(|()| read.end()), Ok(()));
        let text = "(".repeat(1_000_000);
        let error = nested(&mut arguments(&text)).unwrap_err();
        assert_eq!(error.offset, depth);
        assert!(error.expected.contains("64 levels"));
    }

    #[test]
    fn nothing_secret_is_in_debug() {
        let command = Command::read(b"a LOGIN bob secret").unwrap();
        assert!(!format!("{command:?}").contains("secret"), "{command:?}");
    }

    #[test]
    fn nil_and_literals() {
        let mut read = arguments("NIL nil \"NIL\" NILS");
        assert_eq!(read.nstring("it"), Ok(None));
        read.space().unwrap();
        assert_eq!(read.nstring("it"), Ok(None));
        read.space().unwrap();
        assert_eq!(read.nstring("it"), Ok(Some(b"NIL".into())));
        read.space().unwrap();
        assert!(read.nstring("it").is_err());
        assert_eq!(arguments("~{2}\r\n\0\n").literal8(), Ok(&b"\0\n"[..]));
        assert!(arguments("\"a\"").literal8().is_err());
    }

    #[test]
    fn sequence_sets() {
        for (text, ranges) in [
            ("1", vec![1..=1]),
            ("*", vec![9..=9]),
            ("5:3,7:*", vec![3..=5, 7..=9]),
            ("12:*", vec![9..=12]),
            ("4294967295", vec![u32::MAX..=u32::MAX]),
        ] {
            let set = arguments(text).sequence_set().unwrap();
            assert_eq!(set.as_str(), text);
            assert_eq!(set.ranges(9).collect::<Vec<_>>(), ranges);
        }
        for text in [
            "",
            "0",
            "01",
            "1,",
            ",1",
            "1:",
            "1:2:3",
            "4294967296",
            "**",
            "x",
        ] {
            let error = arguments(text).sequence_set().unwrap_err();
            assert_eq!(error.offset, 0, "{text}");
        }
    }

    #[test]
    fn dates() {
        for text in [
            " 1-Feb-2024 00:00:00 +0000",
            "29-Feb-2024 23:59:60 -0130",
            "31-Dec-0001 12:34:56 +1400",
        ] {
            let quoted = format!("\"{text}\"");
            let date = arguments(&quoted).date_time().unwrap();
            assert_eq!(date.to_string(), text);
        }
        for text in [
            " 1-Feb-2024 00:00:00 +000",
            "1-Feb-2024 00:00:00 +00000",
            "30-Feb-2024 00:00:00 +0000",
            "29-Feb-2023 00:00:00 +0000",
            " 0-Feb-2024 00:00:00 +0000",
            " 1-Foo-2024 00:00:00 +0000",
            " 1-Feb-2024 24:00:00 +0000",
            " 1-Feb-2024 00:60:00 +0000",
            " 1-Feb-2024 00:00:61 +0000",
            " 1-Feb-2024 00:00:00 +0060",
            " 1-Feb-2024 00:00:00 00000",
            " 1 Feb-2024 00:00:00 +0000",
            "+1-Feb-2024 00:00:00 +0000",
            " 1-Feb-+024 00:00:00 +0000",
            " 1-F\u{eb}-2024 00:00:00 +0000",
        ] {
            let quoted = format!("\"{text}\"");
            assert!(arguments(&quoted).date_time().is_err(), "{text}");
        }
        assert!(
            arguments("{26}\r\n 1-Feb-2024 00:00:00 +0000")
                .date_time()
                .is_err()
        );
    }
}
