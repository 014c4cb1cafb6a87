//! Writes commands: atoms, quoted strings and literals, chosen by content (RFC 3501 sections 4 and 9,
//! RFC 7888).
//!
//! Here is decided how an argument is spelled so that the server reads exactly these bytes. Tags,
//! the sending itself and the waiting for a continuation belong to `session`.

use std::fmt;
use std::ops::Range;

use zeroize::Zeroize;

use super::{cursor, utf7};

/// The longest string that is quoted; longer ones go in a literal, as servers cap the line.
const QUOTED_MOST: usize = 1000;
/// The longest non-synchronizing literal under LITERAL- (RFC 7888 section 5).
const MINUS_MOST: usize = 4096;

/// Which literals the server takes without a pause (RFC 7888).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Literals {
    /// None: each must wait for a continuation (RFC 3501 section 4.3).
    #[default]
    Synchronizing,
    /// LITERAL-: those up to 4096 bytes.
    Minus,
    /// LITERAL+: all.
    Plus,
}

/// An argument that no command can carry, or a response that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A NUL byte (RFC 3501 section 4.3: CHAR8 has none).
    #[error("an argument contains a NUL byte, which IMAP cannot carry; remove it")]
    Nul,
    /// A word that must stand bare, but can't (RFC 3501 section 9: atom).
    #[error(
        "{text:?} cannot be sent as a bare word: give at least one character, all of them ASCII, \
         without spaces, quotes, parentheses, braces and control characters"
    )]
    NotAnAtom {
        /// The word.
        text: String,
    },
    /// CR or LF where no literal is possible.
    #[error(
        "an argument contains a line break where IMAP allows only one line; write it on one line"
    )]
    LineBreak,
    /// Raw text at the end of a command that the server would take for the start of a literal
    /// (RFC 3501 section 4.3).
    #[error(
        "the command would end in a length in braces, such as {{5}}, and the server would take the \
         next command for data; put the argument in quotes"
    )]
    OpenLiteral,
    /// A status response that a client would not read as it is meant (RFC 3501 section 7.1).
    #[error(
        "the status response would not be read as it is meant: give it a text, which does not begin \
         with a bracket, and a tag and a code that are atoms"
    )]
    NotAStatus,
}

/// A whole command, at its place in the shared buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// Where in the buffer it stands, line end included.
    pub range: Range<usize>,
    /// Offsets in the buffer before which sending must stop until the server says `+`: right behind
    /// each synchronizing `{n}` CRLF (RFC 3501 section 7.5).
    pub pauses: Vec<usize>,
    /// Places in the buffer that a trace must not show: the whole spelling of each secret, with its
    /// quotes or the length of its literal.
    pub secrets: Vec<Range<usize>>,
}

/// Writes one command to the end of a shared buffer.
///
/// The first thing that can't be written is remembered, and [`finish`](Self::finish) returns it.
/// Unless that returns a command, the buffer is left as it was, so nothing is ever sent by half.
#[must_use = "a command that is not finished is taken back"]
pub struct Encoder<'b> {
    out: &'b mut Vec<u8>,
    start: usize,
    /// Behind the last literal, or `start`: where the current line begins.
    line: usize,
    /// What the server takes; `None` for a response, whose literals nobody pauses before.
    literals: Option<Literals>,
    names_in_utf8: bool,
    error: Option<EncodeError>,
    pauses: Vec<usize>,
    secrets: Vec<Range<usize>>,
    finished: bool,
}

impl<'b> Encoder<'b> {
    /// Begins a command at the end of `out`.
    pub fn begin(out: &'b mut Vec<u8>, literals: Literals) -> Self {
        Self::new(out, Some(literals))
    }

    /// Begins a response, as [`respond`](super::respond) writes it.
    pub(super) fn begin_response(out: &'b mut Vec<u8>) -> Self {
        Self::new(out, None)
    }

    fn new(out: &'b mut Vec<u8>, literals: Option<Literals>) -> Self {
        Self {
            start: out.len(),
            line: out.len(),
            out,
            literals,
            names_in_utf8: false,
            error: None,
            pauses: Vec::new(),
            secrets: Vec::new(),
            finished: false,
        }
    }

    /// From here on, mailbox names are written in UTF-8, as IMAP4rev2 has them (RFC 9051 section 5.1).
    pub fn names_in_utf8(&mut self) -> &mut Self {
        self.names_in_utf8 = true;
        self
    }

    /// A mailbox name in its form of RFC 3501: as an [`astring`](Self::astring), where the server wants it so.
    pub fn mailbox(&mut self, name: &[u8]) -> &mut Self {
        match self.in_utf8(name) {
            Some(text) => self.quoted(text.as_bytes()),
            None => self.astring(name),
        }
    }

    /// The name in UTF-8, where it is to be written so and that is another form.
    fn in_utf8(&self, name: &[u8]) -> Option<String> {
        if !self.names_in_utf8 {
            return None;
        }
        // A line break can't be quoted; such a name has no other form than the one it came in.
        let text = utf7::decode(name).filter(|text| !text.contains(['\r', '\n', '\0']))?;
        (text.as_bytes() != name).then(|| text.into_owned())
    }

    /// A bare word: verb, tag, flag, sequence set (RFC 3501 section 9).
    ///
    /// A backslash may come first, for flags; `*`, `%`, `:` and `,` may stand anywhere.
    pub fn atom(&mut self, text: &str) -> &mut Self {
        let word = text.strip_prefix('\\').unwrap_or(text);
        let fits = |b: u8| is_bare(b) || matches!(b, b'*' | b'%' | b']');
        if !word.is_empty() && word.bytes().all(|b| fits(b) && b != b'}') {
            self.put(text.as_bytes())
        } else {
            self.fail(|| EncodeError::NotAnAtom {
                text: text.to_owned(),
            })
        }
    }

    /// One space.
    pub fn space(&mut self) -> &mut Self {
        self.put(b" ")
    }

    /// `(`
    pub fn open(&mut self) -> &mut Self {
        self.put(b"(")
    }

    /// `)`
    pub fn close(&mut self) -> &mut Self {
        self.put(b")")
    }

    /// A number in decimal (RFC 3501 section 9).
    pub fn number(&mut self, number: u64) -> &mut Self {
        if self.error.is_none() {
            use std::io::Write;
            // Writing to a Vec does not fail.
            let _ = write!(self.out, "{number}");
        }
        self
    }

    /// An astring (RFC 3501 section 9): bare when every byte is plainly safe, else quoted, else a literal.
    ///
    /// The grammar lets more stand bare, but some servers end a word at `~`, `[` or `}`, and then the command is about another mailbox.
    /// What is spelled like NIL is quoted, because to a server NIL may be no string.
    pub fn astring(&mut self, bytes: &[u8]) -> &mut Self {
        if !bytes.is_empty() && bytes.iter().all(|b| is_plainly_safe(*b)) && !is_nil(bytes) {
            self.put(bytes)
        } else {
            self.string(bytes)
        }
    }

    /// A string (RFC 3501 section 4.3): quoted when it can be, else a literal.
    pub fn string(&mut self, bytes: &[u8]) -> &mut Self {
        if bytes.contains(&0) {
            return self.fail(|| EncodeError::Nul);
        }
        let fits = |b: &u8| b.is_ascii() && !matches!(b, b'\r' | b'\n');
        if bytes.len() <= QUOTED_MOST && bytes.iter().all(fits) {
            self.quoted(bytes)
        } else {
            self.literal(bytes)
        }
    }

    /// A mailbox pattern of LIST and LSUB (RFC 3501 section 6.3.8). It is always quoted, or a literal: some
    /// servers take no bare `%` and `*`, though the grammar has them.
    pub fn list_mailbox(&mut self, pattern: &[u8]) -> &mut Self {
        if let Some(text) = self.in_utf8(pattern) {
            return self.quoted(text.as_bytes());
        }
        self.string(pattern)
    }

    /// As [`astring`](Self::astring), and noted as a secret.
    pub fn secret_astring(&mut self, bytes: &[u8]) -> &mut Self {
        let from = self.out.len();
        self.astring(bytes).secret_since(from)
    }

    /// As [`text`](Self::text), and noted as a secret.
    pub fn secret_text(&mut self, bytes: &[u8]) -> &mut Self {
        let from = self.out.len();
        self.text(bytes).secret_since(from)
    }

    /// Bytes as they are, on one line: base64 and the like.
    pub fn text(&mut self, bytes: &[u8]) -> &mut Self {
        if bytes.contains(&0) {
            self.fail(|| EncodeError::Nul)
        } else if bytes.iter().any(|b| matches!(b, b'\r' | b'\n')) {
            self.fail(|| EncodeError::LineBreak)
        } else {
            self.put(bytes)
        }
    }

    /// Ends the command with CRLF; or returns what could not be written, and takes it all back.
    pub fn finish(mut self) -> Result<Encoded, EncodeError> {
        if ends_like_a_literal(self.out.get(self.line..).unwrap_or_default()) {
            self.fail(|| EncodeError::OpenLiteral);
        }
        self.finish_text()
    }

    /// As [`finish`](Self::finish), where the line ends in a text for people, in which `{5}` means nothing.
    pub(super) fn finish_text(mut self) -> Result<Encoded, EncodeError> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        self.out.extend_from_slice(b"\r\n");
        self.finished = true;
        Ok(Encoded {
            range: self.start..self.out.len(),
            pauses: std::mem::take(&mut self.pauses),
            secrets: std::mem::take(&mut self.secrets),
        })
    }

    fn put(&mut self, bytes: &[u8]) -> &mut Self {
        if self.error.is_none() {
            self.out.extend_from_slice(bytes);
        }
        self
    }

    fn fail(&mut self, error: impl FnOnce() -> EncodeError) -> &mut Self {
        self.error.get_or_insert_with(error);
        self
    }

    fn secret_since(&mut self, from: usize) -> &mut Self {
        if self.error.is_none() {
            self.secrets.push(from..self.out.len());
        }
        self
    }

    fn quoted(&mut self, bytes: &[u8]) -> &mut Self {
        self.put(b"\"");
        for run in bytes.split_inclusive(|b| matches!(b, b'"' | b'\\')) {
            match run.split_last() {
                Some((special @ (b'"' | b'\\'), plain)) => {
                    self.put(plain).put(&[b'\\', *special]);
                }
                _ => {
                    self.put(run);
                }
            }
        }
        self.put(b"\"")
    }

    fn literal(&mut self, bytes: &[u8]) -> &mut Self {
        let (pause, end): (_, &[u8]) = match self.literals {
            Some(Literals::Plus) => (false, b"+}\r\n"),
            Some(Literals::Minus) if bytes.len() <= MINUS_MOST => (false, b"+}\r\n"),
            Some(Literals::Synchronizing | Literals::Minus) => (true, b"}\r\n"),
            None => (false, b"}\r\n"),
        };
        self.put(b"{").number(bytes.len() as u64).put(end);
        if pause && self.error.is_none() {
            self.pauses.push(self.out.len());
        }
        self.put(bytes);
        self.line = self.out.len();
        self
    }
}

impl fmt::Debug for Encoder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the bytes: there may be a password among them.
        f.debug_struct("Encoder")
            .field("range", &(self.start..self.out.len()))
            .field("literals", &self.literals)
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

impl Drop for Encoder<'_> {
    fn drop(&mut self) {
        if !self.finished {
            if !self.secrets.is_empty()
                && let Some(written) = self.out.get_mut(self.start..)
            {
                // Truncation alone would leave the secret in the spare capacity.
                written.zeroize();
            }
            self.out.truncate(self.start);
        }
    }
}

/// An ATOM-CHAR as the grammar has it: no 8-bit (RFC 3501 section 9).
pub(super) fn is_bare(byte: u8) -> bool {
    byte.is_ascii() && cursor::is_atom_char(byte)
}

/// What no server is known to stumble over in a bare word.
fn is_plainly_safe(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".-_/&+,=:@#$".contains(&byte)
}

fn is_nil(bytes: &[u8]) -> bool {
    bytes.eq_ignore_ascii_case(b"NIL")
}

/// Whether the last thing on the line is `{5}` or `{5+}`. Only [`Encoder::text`] can leave that behind.
fn ends_like_a_literal(command: &[u8]) -> bool {
    let Some(before) = command.strip_suffix(b"}") else {
        return false;
    };
    let before = before.strip_suffix(b"+").unwrap_or(before);
    let digits = before.iter().rev().take_while(|b| b.is_ascii_digit());
    let count = digits.count();
    count > 0
        && before
            .len()
            .checked_sub(count + 1)
            .and_then(|at| before.get(at))
            == Some(&b'{')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Cursor;
    use proptest::prelude::*;

    fn written(literals: Literals, write: impl FnOnce(&mut Encoder<'_>)) -> (Vec<u8>, Encoded) {
        let mut out = b"before\r\n".to_vec();
        let mut encoder = Encoder::begin(&mut out, literals);
        write(&mut encoder);
        let encoded = encoder.finish().unwrap();
        assert_eq!(encoded.range, 8..out.len());
        (out[encoded.range.clone()].to_vec(), encoded)
    }

    fn refused(write: impl FnOnce(&mut Encoder<'_>)) -> EncodeError {
        let mut out = b"before\r\n".to_vec();
        let mut encoder = Encoder::begin(&mut out, Literals::Plus);
        write(encoder.atom("A1").space());
        encoder.space().astring(b"more").atom("not an atom either");
        let error = encoder.finish().unwrap_err();
        assert_eq!(out, b"before\r\n", "nothing is left behind");
        error
    }

    fn spelled(write: impl FnOnce(&mut Encoder<'_>)) -> Vec<u8> {
        let (mut bytes, _) = written(Literals::Plus, write);
        bytes.truncate(bytes.len() - 2);
        bytes
    }

    #[test]
    fn a_whole_command() {
        let (bytes, encoded) = written(Literals::Synchronizing, |e| {
            e.atom("A1").space().atom("SETQUOTA").space();
            e.astring(b"user.al ice").space().open();
            e.atom("STORAGE").space().number(512).close();
        });
        assert_eq!(bytes, b"A1 SETQUOTA \"user.al ice\" (STORAGE 512)\r\n");
        assert_eq!(
            (encoded.pauses.capacity(), encoded.secrets.capacity()),
            (0, 0)
        );
    }

    #[test]
    fn astrings_by_content() {
        for (value, wire) in [
            (&b""[..], &b"\"\""[..]),
            (b"INBOX", b"INBOX"),
            (b"user.alice", b"user.alice"),
            (b"/shared/comment", b"/shared/comment"),
            (b"Entw&APw-rfe", b"Entw&APw-rfe"),
            (b"NIL", b"\"NIL\""),
            (b"nil", b"\"nil\""),
            (b"NILS", b"NILS"),
            (b"sp ace", b"\"sp ace\""),
            (b"a\"b\\c", b"\"a\\\"b\\\\c\""),
            (b"per%cent*", b"\"per%cent*\""),
            (b"br]acket", b"\"br]acket\""),
            (b"ti~lde", b"\"ti~lde\""),
            (b"a[b", b"\"a[b\""),
            (b"a}b", b"\"a}b\""),
            (b"it's!", b"\"it's!\""),
            (b"a.b-c_d/e&+,=:@#$1", b"a.b-c_d/e&+,=:@#$1"),
            (b"{5}", b"\"{5}\""),
            (b"\x01", b"\"\x01\""),
            (b"a\nb", b"{3+}\r\na\nb"),
            (b"a\r\nb", b"{4+}\r\na\r\nb"),
            (b"\xc3\xa9", b"{2+}\r\n\xc3\xa9"),
            // In a literal, what looks like one is harmless even at the end.
            (b"\xff {5}", b"{5+}\r\n\xff {5}"),
        ] {
            assert_eq!(
                spelled(|e| {
                    e.astring(value);
                }),
                wire,
                "{}",
                value.escape_ascii()
            );
        }
        assert_eq!(
            spelled(|e| {
                e.string(b"INBOX");
            }),
            b"\"INBOX\""
        );
        assert_eq!(
            spelled(|e| {
                e.list_mailbox(b"user.%").space().list_mailbox(b"").space();
                e.list_mailbox(b"a *").space().list_mailbox(b"nil");
            }),
            b"\"user.%\" \"\" \"a *\" \"nil\""
        );
    }

    #[test]
    fn names_in_utf8_where_the_server_wants_them_so() {
        let name = "Zo&AOs-".as_bytes();
        let both = |e: &mut Encoder<'_>| {
            e.mailbox(name).space().mailbox(b"R&-D \"x\"").space();
            e.mailbox(b"plain")
                .space()
                .list_mailbox(b"Zo&AOs-*")
                .space();
            e.astring(name).space().mailbox(b"odd&shift");
        };
        assert_eq!(
            spelled(both),
            b"Zo&AOs- \"R&-D \\\"x\\\"\" plain \"Zo&AOs-*\" Zo&AOs- odd&shift"
        );
        let bytes = spelled(|e| both(e.names_in_utf8()));
        assert_eq!(
            String::from_utf8(bytes).unwrap(),
            "\"Zo\u{eb}\" \"R&D \\\"x\\\"\" plain \"Zo\u{eb}*\" Zo&AOs- odd&shift"
        );
    }

    #[test]
    fn long_strings_go_in_literals() {
        let (bytes, _) = written(Literals::Plus, |e| {
            e.string(&[b'x'; QUOTED_MOST]);
        });
        assert!(bytes.starts_with(b"\"x"));
        let (bytes, _) = written(Literals::Plus, |e| {
            e.string(&[b'x'; QUOTED_MOST + 1]);
        });
        assert!(bytes.starts_with(b"{1001+}\r\nx"));
    }

    #[test]
    fn pauses_stand_behind_synchronizing_literals() {
        let small = [0xff; MINUS_MOST];
        let large = [0xff; MINUS_MOST + 1];
        for (literals, expected) in [
            (Literals::Synchronizing, 2),
            (Literals::Minus, 1),
            (Literals::Plus, 0),
        ] {
            let mut out = b"before\r\n".to_vec();
            let mut encoder = Encoder::begin(&mut out, literals);
            encoder.atom("A").space().string(&small);
            encoder.space().string(&large);
            let encoded = encoder.finish().unwrap();
            assert_eq!(encoded.pauses.len(), expected);
            for pause in encoded.pauses {
                assert!(out[..pause].ends_with(b"}\r\n") && !out[..pause].ends_with(b"+}\r\n"));
                assert_eq!(out[pause], 0xff);
            }
        }
    }

    #[test]
    fn secrets_are_noted_whole() {
        let (_, encoded) = written(Literals::Synchronizing, |e| {
            e.atom("A1").space().atom("LOGIN").space().astring(b"bob");
            e.space().secret_astring(b"p\"w").space();
            e.secret_astring(b"\xff").space().secret_text(b"AGJvYg==");
        });
        let mut out = b"before\r\n".to_vec();
        let mut encoder = Encoder::begin(&mut out, Literals::Synchronizing);
        encoder
            .atom("A1")
            .space()
            .atom("LOGIN")
            .space()
            .astring(b"bob");
        encoder.space().secret_astring(b"p\"w").space();
        encoder
            .secret_astring(b"\xff")
            .space()
            .secret_text(b"AGJvYg==");
        assert!(!format!("{encoder:?}").contains("112"), "no bytes in Debug");
        assert_eq!(encoder.finish().unwrap(), encoded);
        let shown: Vec<_> = encoded.secrets.iter().map(|s| &out[s.clone()]).collect();
        assert_eq!(shown, [&b"\"p\\\"w\""[..], b"{1}\r\n\xff", b"AGJvYg=="]);
    }

    #[test]
    fn atoms_that_are_none() {
        for word in [
            "", " ", "a b", "(", "a)", "\"a\"", "{5}", "a}", "\r\n", "a\nb", "\0", "\x7f", "é",
            "\\", "a\\b", "\\\\a",
        ] {
            let error = refused(|e| {
                e.atom(word);
            });
            assert_eq!(error, EncodeError::NotAnAtom { text: word.into() });
        }
        for word in [
            "A001", "\\Seen", "\\*", "$kw", "1:*", "1,3:5", "UID", "BODY[]", "+FLAGS", "%",
        ] {
            assert_eq!(
                spelled(|e| {
                    e.atom(word);
                }),
                word.as_bytes()
            );
        }
    }

    #[test]
    fn what_no_command_can_carry() {
        assert_eq!(
            refused(|e| {
                e.astring(b"a\0b");
            }),
            EncodeError::Nul
        );
        assert_eq!(
            refused(|e| {
                e.secret_astring(b"\0");
            }),
            EncodeError::Nul
        );
        assert_eq!(
            refused(|e| {
                e.list_mailbox(b"%\0");
            }),
            EncodeError::Nul
        );
        for text in [&b"a\nA2 LOGOUT"[..], b"\r"] {
            assert_eq!(
                refused(|e| {
                    e.secret_text(text);
                }),
                EncodeError::LineBreak
            );
        }
        assert_eq!(
            refused(|e| {
                e.text(b"\0");
            }),
            EncodeError::Nul
        );
        // The first error counts.
        assert_eq!(
            refused(|e| {
                e.text(b"\n").astring(b"\0");
            }),
            EncodeError::LineBreak
        );
    }

    #[test]
    fn no_command_ends_in_the_start_of_a_literal() {
        for end in ["{5}", "a {5+}", "a{0}"] {
            let mut out = Vec::new();
            let mut encoder = Encoder::begin(&mut out, Literals::Plus);
            // Also behind a real one.
            encoder.astring(b"\xff {1}").space().text(end.as_bytes());
            assert_eq!(encoder.finish(), Err(EncodeError::OpenLiteral), "{end}");
            assert_eq!(out, b"");
        }
        for end in ["{5", "5}", "{}", "{+}", "{5}x", "{a5}", "}"] {
            assert_eq!(
                spelled(|e| {
                    e.text(end.as_bytes());
                }),
                end.as_bytes()
            );
        }
    }

    #[test]
    fn a_command_that_is_not_finished_leaves_nothing() {
        let mut out = b"before\r\n".to_vec();
        Encoder::begin(&mut out, Literals::Plus)
            .atom("A1")
            .space()
            .secret_astring(b"secret");
        assert_eq!(out, b"before\r\n");
    }

    #[test]
    fn errors_can_be_acted_on() {
        for (error, words) in [
            (EncodeError::Nul, "remove it"),
            (EncodeError::LineBreak, "one line"),
            (EncodeError::OpenLiteral, "such as {5}"),
            (
                EncodeError::NotAnAtom { text: "a b".into() },
                "\"a b\" cannot be sent as a bare word",
            ),
        ] {
            assert!(error.to_string().contains(words), "{error}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            values in prop::collection::vec(
                prop_oneof![
                    prop::collection::vec(1u8..=255, 0..30),
                    prop::collection::vec(1u8..=127, 0..30),
                    "[a-zA-Z.]{0,5}".prop_map(String::into_bytes),
                    (900usize..5000).prop_map(|n| vec![b'x'; n]),
                ],
                1..6,
            ),
            mode in 0usize..3,
        ) {
            let mode = [Literals::Synchronizing, Literals::Minus, Literals::Plus][mode];
            let (bytes, encoded) = written(mode, |e| {
                e.atom("A1");
                for value in &values {
                    e.space().astring(value).space().string(value);
                    e.space().list_mailbox(value).space().secret_astring(value);
                }
            });
            prop_assert_eq!(encoded.secrets.len(), values.len());
            let mut cursor = Cursor::new(&bytes);
            prop_assert_eq!(cursor.atom(), Some(&b"A1"[..]));
            for value in &values {
                cursor.expect_space()?;
                prop_assert_eq!(&cursor.expect_astring("it")?.into_owned(), value);
                cursor.expect_space()?;
                prop_assert_eq!(&cursor.expect_string()?.into_owned(), value);
                cursor.expect_space()?;
                prop_assert_eq!(&cursor.expect_astring("it")?.into_owned(), value);
                cursor.expect_space()?;
                prop_assert_eq!(&cursor.expect_astring("it")?.into_owned(), value);
            }
            prop_assert_eq!(cursor.rest(), b"\r\n");
        }
    }
}
