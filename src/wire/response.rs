//! The outer shape of one response: continuation, tagged, untagged (RFC 3501 section 7, RFC 9051
//! section 7).
//!
//! Here end the things that all responses share: tag, condition, response code, text, number and
//! keyword. What stands behind a keyword is read in `admin`, over [`Data::body`].

use std::borrow::Cow;
use std::fmt;

use super::cursor::{self, Cursor, ParseError};

/// One response of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Response<'a> {
    /// `+ text`: the server waits for more of the command (RFC 3501 section 7.5).
    Continuation(&'a [u8]),
    /// `tag OK text`: a command is over (RFC 3501 section 7.1).
    Tagged {
        /// The tag of the command.
        tag: &'a [u8],
        /// How it went. The condition is OK, NO or BAD; or BYE, with which some servers answer LOGOUT.
        status: Status<'a>,
    },
    /// `* …`: everything else.
    Untagged(Untagged<'a>),
}

/// A response that answers no command by its tag (RFC 3501 section 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Untagged<'a> {
    /// `* OK text` and the like, also the greeting (RFC 3501 section 7.1).
    Status(Status<'a>),
    /// `* LIST …`, `* 12 EXPUNGE`, and any keyword that nobody knows.
    Data(Data<'a>),
}

/// How a command went, or how the server is (RFC 3501 section 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Condition {
    /// Done, or for information (RFC 3501 section 7.1.1).
    Ok,
    /// Refused, or a warning (RFC 3501 section 7.1.2).
    No,
    /// Not understood (RFC 3501 section 7.1.3).
    Bad,
    /// Greeting: already logged in (RFC 3501 section 7.1.4).
    PreAuth,
    /// The server is about to close the connection (RFC 3501 section 7.1.5).
    Bye,
}

impl Condition {
    /// The condition that this word names, in any case.
    pub(super) fn from_word(word: &[u8]) -> Option<Self> {
        // The length is enough to send most keywords away.
        let (name, condition): (&[u8], _) = match word.len() {
            2 if word.first()?.eq_ignore_ascii_case(&b'O') => (b"OK", Self::Ok),
            2 => (b"NO", Self::No),
            3 if word.get(1)?.eq_ignore_ascii_case(&b'A') => (b"BAD", Self::Bad),
            3 => (b"BYE", Self::Bye),
            7 => (b"PREAUTH", Self::PreAuth),
            _ => return None,
        };
        word.eq_ignore_ascii_case(name).then_some(condition)
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "OK",
            Self::No => "NO",
            Self::Bad => "BAD",
            Self::PreAuth => "PREAUTH",
            Self::Bye => "BYE",
        })
    }
}

/// Condition, code and words (RFC 3501 section 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status<'a> {
    /// OK, NO, BAD, PREAUTH or BYE.
    pub condition: Condition,
    /// The response code in brackets, for programs.
    pub code: Option<Code<'a>>,
    /// The words, for people. No charset is promised.
    pub text: &'a [u8],
}

impl Status<'_> {
    /// Code and words as the server wrote them, for people: `[LIMIT] Too many connections`. Untrusted.
    pub fn said(&self) -> String {
        let text = words(self.text);
        match &self.code {
            Some(code) => format!("{code} {text}").trim_end().to_owned(),
            None => text.into_owned(),
        }
    }
}

/// A server's words for people, up to a length that can be read; a trace has all of them.
pub(crate) fn words(text: &[u8]) -> Cow<'_, str> {
    if text.len() <= MOST_WORDS {
        return String::from_utf8_lossy(text);
    }
    // Not in the middle of a character, if it is UTF-8.
    let is_inner = |at: &usize| text.get(*at).is_some_and(|byte| byte & 0xc0 == 0x80);
    let end = (MOST_WORDS - 3..=MOST_WORDS).rev().find(|at| !is_inner(at));
    let (shown, rest) = text.split_at(end.unwrap_or(MOST_WORDS));
    let shown = String::from_utf8_lossy(shown);
    Cow::Owned(format!("{shown}… ({} more bytes)", rest.len()))
}

/// How much of a server's text is shown, in bytes. Real ones have a tenth of it.
const MOST_WORDS: usize = 2_000;

impl fmt::Display for Code<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = words(self.name);
        if self.arguments.is_empty() {
            write!(f, "[{name}]")
        } else {
            write!(f, "[{name} {}]", words(self.arguments))
        }
    }
}

/// A response code: `[NAME arguments]` (RFC 3501 section 7.1, RFC 5530).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code<'a> {
    /// The name as it was sent; see [`Code::is`].
    pub name: &'a [u8],
    /// What stands between the name and `]`, without the spaces behind the name; often nothing.
    pub arguments: &'a [u8],
}

impl<'a> Code<'a> {
    /// Whether the code has this name. Case does not count.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// A cursor over the arguments; its offsets count from their start.
    pub fn cursor(&self) -> Cursor<'a> {
        Cursor::new(self.arguments)
    }
}

/// An untagged response with data (RFC 3501 sections 7.2 to 7.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Data<'a> {
    /// The number before the keyword: `* 12 EXPUNGE`.
    pub number: Option<u64>,
    /// The keyword as it was sent; see [`Data::is`].
    pub keyword: &'a [u8],
    /// Stands behind the keyword and its space; its offsets count from the start of the frame.
    pub body: Cursor<'a>,
}

impl Data<'_> {
    /// Whether the response has this keyword. Case does not count.
    #[inline]
    pub fn is(&self, keyword: &str) -> bool {
        self.keyword == keyword.as_bytes() || self.keyword.eq_ignore_ascii_case(keyword.as_bytes())
    }
}

/// Reads the outer shape of a response, which comes without its line end
/// (RFC 3501 section 9: response, greeting, continue-req).
///
/// An unknown keyword is no error, it is [`Data`]. A response without any text behind the condition,
/// or a bare `+`, is accepted, as servers send them.
pub fn parse(frame: &[u8]) -> Result<Response<'_>, ParseError> {
    let mut cursor = Cursor::new(frame);
    cursor.skip_spaces();
    match cursor.peek() {
        Some(b'+') => {
            cursor.expect_byte(b'+', "a plus sign")?;
            let text = cursor.text();
            Ok(Response::Continuation(
                text.strip_prefix(b" ").unwrap_or(text),
            ))
        }
        Some(b'*') => {
            cursor.expect_byte(b'*', "an asterisk")?;
            cursor.expect_space()?;
            untagged(frame, cursor).map(Response::Untagged)
        }
        _ => tagged(frame, cursor),
    }
}

/// A response that is untagged data of this keyword, written as it mostly is (`* LIST …`). `None` tells nothing: then [`parse`] does.
///
/// A long listing is a million times the same kind of response, and need not be asked about all others each time.
#[inline]
pub(crate) fn data_of<'a>(frame: &'a [u8], keyword: &str) -> Option<Data<'a>> {
    let (keyword, rest) = frame
        .strip_prefix(b"* ")?
        .split_at_checked(keyword.len())
        .filter(|(word, _)| *word == keyword.as_bytes())?;
    if rest.first() != Some(&b' ') {
        return None;
    }
    let mut body = Cursor::at(frame, 2 + keyword.len());
    body.space()?;
    Some(Data {
        number: None,
        keyword,
        body,
    })
}

/// Whether the grammar permits a literal on a line that begins so (RFC 3501 section 9).
///
/// The text of a status is one line whatever it holds, a continuation's too, and nothing else begins
/// with a tag; what is left is untagged data.
pub(super) fn may_hold_literals(line: &[u8]) -> bool {
    let line = line.trim_ascii_start();
    line.strip_prefix(b"* ")
        .is_some_and(|rest| Condition::from_word(word(rest.trim_ascii_start())).is_none())
}

/// Everything up to the first space.
fn word(bytes: &[u8]) -> &[u8] {
    // Keywords are short: a loop beats the set-up of memchr.
    let end = bytes.iter().position(|b| *b == b' ');
    bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default()
}

fn untagged<'a>(frame: &'a [u8], mut cursor: Cursor<'a>) -> Result<Untagged<'a>, ParseError> {
    let first = word(cursor.rest());
    let after = cursor.offset() + first.len();
    if let Some(condition) = Condition::from_word(first) {
        return Ok(Untagged::Status(status(condition, frame, after)));
    }
    let mut number = None;
    // `* 12 EXPUNGE`, but not a keyword that merely begins with a digit.
    if first.iter().all(u8::is_ascii_digit) && !first.is_empty() {
        number = Some(cursor.number().ok_or(cursor.error("a number below 2^64"))?);
        cursor.expect_space()?;
    }
    let keyword = cursor.atom().ok_or(cursor.error("a keyword"))?;
    if !cursor.is_end() {
        cursor.expect_space()?;
    }
    Ok(Untagged::Data(Data {
        number,
        keyword,
        body: cursor,
    }))
}

fn tagged<'a>(frame: &'a [u8], cursor: Cursor<'a>) -> Result<Response<'a>, ParseError> {
    let tag = word(cursor.rest());
    if tag.is_empty() || !tag.iter().all(|b| cursor::is_atom_char(*b) || *b == b']') {
        return Err(cursor.error("a tag, an asterisk or a plus sign"));
    }
    let mut cursor = Cursor::at(frame, cursor.offset() + tag.len());
    cursor.expect_space()?;
    let name = word(cursor.rest());
    let condition = match Condition::from_word(name) {
        Some(condition) if condition != Condition::PreAuth => condition,
        _ => return Err(cursor.error("OK, NO or BAD")),
    };
    Ok(Response::Tagged {
        tag,
        status: status(condition, frame, cursor.offset() + name.len()),
    })
}

/// The status whose condition ends at `after`.
fn status(condition: Condition, frame: &[u8], after: usize) -> Status<'_> {
    let rest = frame.get(after..).unwrap_or_default();
    let rest = rest.strip_prefix(b" ").unwrap_or(rest);
    match code(rest.trim_ascii_start()) {
        Some((code, text)) => Status {
            condition,
            code: Some(code),
            text: text.strip_prefix(b" ").unwrap_or(text),
        },
        None => Status {
            condition,
            code: None,
            text: rest,
        },
    }
}

/// The code at the start of the text, and what stands behind its bracket.
fn code(text: &[u8]) -> Option<(Code<'_>, &[u8])> {
    let inside = text.strip_prefix(b"[")?;
    let mut cursor = Cursor::new(inside);
    let name = cursor.atom()?;
    match cursor.peek()? {
        b']' => Some((
            Code {
                name,
                arguments: b"",
            },
            inside.get(name.len() + 1..)?,
        )),
        b' ' => {
            let rest = inside.get(name.len() + 1..)?;
            // The grammar of an unknown code ends it at the first bracket, so that is what is left
            // when quotes or parentheses do not come out even.
            let end = closing_bracket(rest).or_else(|| memchr::memchr(b']', rest))?;
            Some((
                Code {
                    name,
                    arguments: rest.get(..end)?.trim_ascii_start(),
                },
                rest.get(end + 1..)?,
            ))
        }
        _ => None,
    }
}

/// The first `]` that is neither in a quoted string nor in parentheses.
fn closing_bracket(arguments: &[u8]) -> Option<usize> {
    let mut depth = 0usize;
    let mut before = b' ';
    let mut bytes = arguments.iter().enumerate();
    while let Some((i, byte)) = bytes.next() {
        match byte {
            b']' if depth == 0 => return Some(i),
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            // An inch sign inside a word does not begin a string.
            b'"' if matches!(before, b' ' | b'(') => loop {
                match bytes.next()?.1 {
                    b'"' => break,
                    b'\\' => {
                        bytes.next()?;
                    }
                    _ => {}
                }
            },
            _ => {}
        }
        before = *byte;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn data(frame: &[u8]) -> Data<'_> {
        match parse(frame) {
            Ok(Response::Untagged(Untagged::Data(data))) => data,
            other => panic!("{other:?}"),
        }
    }

    fn untagged_status(frame: &[u8]) -> Status<'_> {
        match parse(frame) {
            Ok(Response::Untagged(Untagged::Status(status))) => status,
            other => panic!("{other:?}"),
        }
    }

    fn code_of(text: &str) -> (Option<(String, String)>, String) {
        let frame = format!("* OK {text}");
        let status = untagged_status(frame.as_bytes());
        let owned = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (
            status.code.map(|c| (owned(c.name), owned(c.arguments))),
            owned(status.text),
        )
    }

    #[test]
    fn continuations() {
        for (frame, text) in [
            (&b"+ go ahead"[..], &b"go ahead"[..]),
            (b"+ ", b""),
            (b"+", b""),
            (b"+ PDEyMw==", b"PDEyMw=="),
            (b"+  two", b" two"),
        ] {
            assert_eq!(parse(frame), Ok(Response::Continuation(text)));
        }
    }

    #[test]
    fn tagged() {
        let Ok(Response::Tagged { tag, status }) = parse(b"a001 NO [HASCHILDREN] no such luck")
        else {
            panic!("not tagged");
        };
        assert_eq!(tag, b"a001");
        assert_eq!(status.condition, Condition::No);
        assert!(status.code.is_some_and(|code| code.is("hasChildren")));
        assert_eq!(status.text, b"no such luck");
        for frame in [&b"a OK"[..], b"a OK ", b"a ok"] {
            assert_eq!(
                parse(frame),
                Ok(Response::Tagged {
                    tag: b"a",
                    status: Status {
                        condition: Condition::Ok,
                        code: None,
                        text: b"",
                    }
                })
            );
        }
    }

    #[test]
    fn not_responses() {
        for (frame, offset) in [
            (&b""[..], 0),
            (b" ", 1),
            (b"*", 1),
            (b"* ", 2),
            (b"*OK", 1),
            (b"a", 1),
            (b"a ", 2),
            (b"a FOO", 2),
            (b"a PREAUTH x", 2),
            (b"a OKAY", 2),
            (b"\"a\" OK", 0),
            (b"* \"x\"", 2),
            (b"* 12 ", 5),
            (b"* 12 (", 5),
            (b"* 99999999999999999999 EXISTS", 2),
            (b"* LIST(x)", 6),
            (b"  a  FOO", 5),
            (b"* 12", 4),
        ] {
            let error = parse(frame).unwrap_err();
            assert_eq!(error.offset, offset, "{}", frame.escape_ascii());
        }
    }

    #[test]
    fn untagged_data() {
        let expunge = data(b"* 12 EXPUNGE");
        assert_eq!(expunge.number, Some(12));
        assert!(expunge.is("expunge"));
        assert!(expunge.body.is_end());

        let spaced = data(b" *  12   EXPUNGE ");
        assert_eq!(spaced.number, Some(12));
        assert!(spaced.is("EXPUNGE") && spaced.body.is_end());

        let list = data(b"* LIST (\\HasNoChildren) \".\" INBOX");
        assert_eq!(list.number, None);
        assert_eq!(list.body.offset(), 7);
        assert_eq!(list.body.rest(), b"(\\HasNoChildren) \".\" INBOX");

        assert_eq!(data(b"* SEARCH").body.rest(), b"");
        assert_eq!(data(b"* X-UNHEARD-OF {1}\r\nx").body.rest(), b"{1}\r\nx");
        assert_eq!(data(b"* 2FA on").keyword, b"2FA");
        assert_eq!(data(b"* OKAY then").keyword, b"OKAY");
        assert_eq!(data(b"* 3 OK {5}").number, Some(3));
    }

    #[test]
    fn words_without_end_are_cut() {
        assert_eq!(words(&[b'x'; MOST_WORDS]).len(), MOST_WORDS);
        let long = "é".repeat(MOST_WORDS);
        for start in 0..3 {
            let cut = words(&long.as_bytes()[start * 2..]);
            assert!(cut.len() < MOST_WORDS + 30, "{}", cut.len());
            assert!(cut.ends_with(" more bytes)") && !cut.contains('\u{fffd}'));
        }
        assert!(words(&long.as_bytes()[1..]).starts_with('\u{fffd}'));
        assert!(words(&vec![0x80; 5_000]).ends_with("(3000 more bytes)"));
    }

    #[test]
    fn conditions() {
        for condition in [
            Condition::Ok,
            Condition::No,
            Condition::Bad,
            Condition::PreAuth,
            Condition::Bye,
        ] {
            for word in [condition.to_string(), condition.to_string().to_lowercase()] {
                let frame = format!("* {word} hello");
                let status = untagged_status(frame.as_bytes());
                assert_eq!(status.condition, condition);
                assert_eq!((status.code, status.text), (None, &b"hello"[..]));
            }
        }
    }

    #[test]
    fn codes() {
        for (text, name, arguments, rest) in [
            ("[ALERT] Beware", "ALERT", "", "Beware"),
            ("[ALERT]Beware", "ALERT", "", "Beware"),
            ("[READ-WRITE]", "READ-WRITE", "", ""),
            (
                "[CAPABILITY IMAP4rev1 ID] hi",
                "CAPABILITY",
                "IMAP4rev1 ID",
                "hi",
            ),
            (
                "[PERMANENTFLAGS (\\Deleted \\*)] Limited",
                "PERMANENTFLAGS",
                "(\\Deleted \\*)",
                "Limited",
            ),
            ("[BADCHARSET (\"a]b\")] x", "BADCHARSET", "(\"a]b\")", "x"),
            ("[X \"a\\\"]b\" c] x", "X", "\"a\\\"]b\" c", "x"),
            ("[X (a]b)] x", "X", "(a]b)", "x"),
            ("[MYRIGHTS \"lr\"] ACL", "MYRIGHTS", "\"lr\"", "ACL"),
            // Uneven quotes and parentheses: the first bracket ends it.
            ("[X 3.5\"] disk", "X", "3.5\"", "disk"),
            ("[X \"a] b", "X", "\"a", "b"),
            ("[X (a] b", "X", "(a", "b"),
            ("[X a)] b", "X", "a)", "b"),
            ("[X ] b", "X", "", "b"),
            (" [X  a b ]  c", "X", "a b ", " c"),
        ] {
            assert_eq!(
                code_of(text),
                (Some((name.into(), arguments.into())), rest.into()),
                "{text}"
            );
        }
        for text in [
            "[",
            "[]",
            "[] x",
            "[ALERT",
            "[ALERT x",
            "[ X] y",
            "[(X)] y",
            "[X(y)] z",
            "x [ALERT]",
            "  x [ALERT]",
        ] {
            assert_eq!(code_of(text), (None, text.into()), "{text}");
        }
    }

    #[test]
    fn code_arguments_are_read_over_a_cursor() {
        let status = untagged_status(b"* OK [APPENDUID 38505 3955] done");
        let mut cursor = status.code.unwrap().cursor();
        assert_eq!(cursor.number(), Some(38505));
        assert_eq!(cursor.expect_space(), Ok(()));
        assert_eq!(cursor.number(), Some(3955));
        assert_eq!(cursor.expect_end(), Ok(()));
    }

    #[test]
    fn literals_are_for_data_only() {
        assert!(may_hold_literals(b"* LIST () NIL {1}"));
        assert!(may_hold_literals(b"* OKAY {1}"));
        for line in [
            &b"* OK {1}"[..],
            b"* bye {1}",
            b"+ {1}",
            b"a1 OK {1}",
            b"a {1}",
            b"",
        ] {
            assert!(!may_hold_literals(line));
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn data_that_is_told_at_a_glance_is_what_a_closer_look_tells(
            frame in prop_oneof![
                "[* ]{0,3}(LIST|LSUB|list|LISTX|OK|7)[ (\\]]{0,3}[ -~]{0,20}",
                "[ -~]{0,12}",
            ],
            keyword in prop_oneof![Just("LIST"), Just("STATUS"), Just("OK")],
        ) {
            if let Some(data) = data_of(frame.as_bytes(), keyword)
                && keyword != "OK"
            {
                prop_assert_eq!(parse(frame.as_bytes()), Ok(Response::Untagged(Untagged::Data(data))));
                prop_assert!(data.is(keyword));
            }
        }

        #[test]
        fn nothing_of_a_status_is_lost(text in "[ -~]{0,40}", condition in 0usize..5) {
            let word = ["OK", "NO", "BAD", "BYE", "PREAUTH"][condition];
            for text in [format!("[{text}"), text] {
                let frame = format!("* {word} {text}");
                let status = untagged_status(frame.as_bytes());
                prop_assert_eq!(status.condition.to_string(), word);
                match status.code {
                    None => prop_assert_eq!(status.text, text.as_bytes()),
                    Some(code) => {
                        prop_assert!(text.as_bytes().ends_with(status.text));
                        let all = code.name.len() + code.arguments.len() + status.text.len();
                        // Two brackets and spaces.
                        let spaces = text.bytes().filter(|byte| *byte == b' ').count();
                        prop_assert!((2..=2 + spaces).contains(&(text.len() - all)));
                    }
                }
            }
        }
    }
}
