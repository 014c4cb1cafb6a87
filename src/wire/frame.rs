//! Cuts the stream of bytes into whole responses, or commands, each with its literals inside (RFC 3501
//! section 2.2 and 4.3).
//!
//! Here live the one buffer that is read into, and the limits on what the other side may make us keep.
//! Reading from the network is not done here, nor is anything inside a response looked at beyond what
//! is needed to find its end.

use std::fmt;

use super::response;

mod commands;

pub use commands::Input;

/// The least room that [`Framer::space`] offers.
const ROOM: usize = 16 * 1024;
/// The buffer at rest: some reads' worth, and still in the processor's cache.
const REST: usize = 64 * 1024;
/// A buffer that grew beyond this is given back as soon as little is left in it.
const KEEP: usize = 4 * REST;

/// What the other side may make this one keep in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one response or command without its literals, line ends included.
    pub line: usize,
    /// Bytes of all literals of one response or command together.
    pub literal: usize,
}

impl Default for Limits {
    /// 1 MiB of line, 16 MiB of literals.
    fn default() -> Self {
        Self {
            line: 1024 * 1024,
            literal: 16 * 1024 * 1024,
        }
    }
}

/// A response or command that goes beyond a limit. The stream can't be framed any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The line does not end.
    #[error("a line of more than {limit} bytes, the most that is read")]
    LineTooLong {
        /// [`Limits::line`].
        limit: usize,
    },
    /// A literal is announced that would not fit (RFC 3501 section 4.3).
    #[error(
        "a literal of {announced} bytes was announced, but no more than {limit} bytes of literals are \
         read at once"
    )]
    LiteralTooLong {
        /// The length that the other side named.
        announced: u64,
        /// [`Limits::literal`].
        limit: usize,
    },
    /// A literal is announced whose length is not even a number of 64 bits (RFC 3501 section 4.3).
    #[error(
        "a literal of 2^64 bytes or more was announced, but no more than {limit} bytes of literals are \
         read at once"
    )]
    LiteralOverflow {
        /// [`Limits::literal`].
        limit: usize,
    },
}

/// Where a whole response or command stands in the [`Framer`] that found it.
///
/// Good until the next call of [`Framer::space`] or [`Framer::clear`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    // Counted from the start of the stream, so that a frame kept for too long finds nothing
    // instead of somebody else's bytes.
    start: u64,
    end: u64,
}

/// The buffer that is read into, and the search for ends of responses, or commands, in it.
///
/// Read into [`space`](Self::space), say how much came with [`filled`](Self::filled), take frames
/// with [`next_frame`](Self::next_frame) until there is none, and begin again. That reads a server; whoever
/// is one reads its client with [`next_command`](Self::next_command) instead.
///
/// A line ends with LF, before which any number of CRs may stand. A quoted string that holds a line
/// end, which only a server without respect for RFC 3501 section 9 sends, is cut there.
pub struct Framer {
    limits: Limits,
    /// All of it is readable; what counts is `start..end`.
    buffer: Vec<u8>,
    /// Where `buffer` begins in the stream.
    base: u64,
    /// The first byte of the response that is not framed yet.
    start: usize,
    /// Behind the last byte received.
    end: usize,
    /// Where the current line begins: behind the last literal, or `start`.
    line: usize,
    /// Up to here no LF was found. Beyond `end` while a literal is not all there.
    scanned: usize,
    /// Bytes of the response's lines before `line`.
    line_bytes: usize,
    /// Bytes of the response's literals before `line`.
    literal_bytes: usize,
}

impl fmt::Debug for Framer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the bytes: they could hold a token, and they are many.
        f.debug_struct("Framer")
            .field("limits", &self.limits)
            .field("buffer", &self.buffer.len())
            .field("pending", &self.pending().len())
            .finish_non_exhaustive()
    }
}

impl Framer {
    /// A framer at the start of a stream.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            buffer: Vec::new(),
            base: 0,
            start: 0,
            end: 0,
            line: 0,
            scanned: 0,
            line_bytes: 0,
            literal_bytes: 0,
        }
    }

    /// Room to read into, at least 16 KiB. Frames taken before are not good any more.
    pub fn space(&mut self) -> &mut [u8] {
        let pending = self.end - self.start;
        if self.buffer.len() > KEEP && pending <= ROOM {
            // A huge response is over: its memory goes back.
            self.move_to_front();
            self.buffer.truncate(REST);
            self.buffer.shrink_to_fit();
        } else if pending == 0 || self.buffer.len() - self.end < ROOM {
            self.move_to_front();
        }
        if self.buffer.len() - self.end < ROOM {
            // Doubled, so that a long literal is not copied over and over.
            let size = (self.buffer.len() * 2).max(REST);
            self.buffer.resize(size, 0);
        }
        self.buffer.get_mut(self.end..).unwrap_or_default()
    }

    /// Says that the first `n` bytes of [`space`](Self::space) were read into.
    pub fn filled(&mut self, n: usize) {
        self.end = self.end.saturating_add(n).min(self.buffer.len());
    }

    /// The next whole response, or none before more was read.
    ///
    /// After an error the stream is lost: the same error comes again, until [`clear`](Self::clear).
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        loop {
            let Some(found) = self.next_line()? else {
                return Ok(None);
            };
            let line = self.buffer.get(self.line..found.end).unwrap_or_default();
            if line.last() == Some(&b'}')
                && let Some(announced) = self.literal_at_end_of(line)
            {
                // Checked before anything moves, so that the error stays.
                self.pass(found, announced?);
                continue;
            }
            return Ok(Some(self.cut(found)));
        }
    }

    /// The current line, once its end is there. It is found again until it is passed or cut.
    #[inline]
    fn next_line(&mut self) -> Result<Option<Line>, FrameError> {
        // Empty, too, while the end of a literal is still to come.
        let unseen = self.buffer.get(self.scanned..self.end).unwrap_or_default();
        let Some(at) = memchr::memchr(b'\n', unseen) else {
            self.scanned = self.scanned.max(self.end);
            self.check_line(self.end)?;
            return Ok(None);
        };
        let lf = self.scanned + at;
        self.check_line(lf + 1)?;
        let mut line = self.buffer.get(self.line..lf).unwrap_or_default();
        while let Some(shorter) = line.strip_suffix(b"\r") {
            line = shorter;
        }
        Ok(Some(Line {
            end: self.line + line.len(),
            next: lf + 1,
        }))
    }

    /// Goes on behind a literal of so many bytes that this line announces.
    fn pass(&mut self, line: Line, literal: usize) {
        self.line_bytes += line.next - self.line;
        self.literal_bytes += literal;
        self.line = line.next + literal;
        self.scanned = self.line;
    }

    /// Ends the frame with this line.
    #[inline]
    fn cut(&mut self, line: Line) -> Frame {
        let frame = Frame {
            start: self.base + self.start as u64,
            end: self.base + line.end as u64,
        };
        self.start = line.next;
        self.line = self.start;
        self.scanned = self.start;
        self.line_bytes = 0;
        self.literal_bytes = 0;
        frame
    }

    /// The bytes of a response, without its last line end.
    ///
    /// Nothing, for a frame that is not good any more.
    pub fn bytes(&self, frame: Frame) -> &[u8] {
        let index = |at: u64| usize::try_from(at.checked_sub(self.base)?).ok();
        index(frame.start)
            .zip(index(frame.end))
            .and_then(|(start, end)| self.buffer.get(..self.end)?.get(start..end))
            .unwrap_or_default()
    }

    /// What was received and not framed.
    ///
    /// Behind the answer to STARTTLS there must be nothing: whatever stands there was sent in
    /// cleartext, by anybody (RFC 3501 section 6.2.1, CVE-2011-0411 and its kin).
    pub fn pending(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Forgets everything received, as for a new stream.
    pub fn clear(&mut self) {
        *self = Self {
            base: self.base + self.end as u64,
            buffer: std::mem::take(&mut self.buffer),
            ..Self::new(self.limits)
        };
    }

    fn move_to_front(&mut self) {
        self.buffer.copy_within(self.start..self.end, 0);
        self.base += self.start as u64;
        self.end -= self.start;
        self.line -= self.start;
        self.scanned -= self.start;
        self.start = 0;
    }

    fn check_line(&self, end: usize) -> Result<(), FrameError> {
        let limit = self.limits.line;
        // Saturating, because `line` is beyond the end inside a literal.
        if end.saturating_sub(self.line) > limit - self.line_bytes.min(limit) {
            return Err(FrameError::LineTooLong { limit });
        }
        Ok(())
    }

    /// The length of the literal that this line of a response announces at its end, if the grammar permits one.
    #[cold]
    fn literal_at_end_of(&self, line: &[u8]) -> Option<Result<usize, FrameError>> {
        let literal = Announced::at_end_of(line)?;
        // The first line tells what the response is, and behind a literal that was asked already.
        let first = self.line == self.start;
        if (first && !response::may_hold_literals(line))
            || ends_in_quotes(literal.before)
                && !(first
                    && behind_bare_backslash(literal.before)
                        .is_some_and(|rest| !ends_in_quotes(rest)))
        {
            return None;
        }
        Some(self.room_for(literal.size))
    }

    /// The length of a literal that keeps to the limits; `None` stands for one that is no number of 64 bits.
    fn room_for(&self, announced: Option<u64>) -> Result<usize, FrameError> {
        let limit = self.limits.literal;
        let announced = announced.ok_or(FrameError::LiteralOverflow { limit })?;
        usize::try_from(announced)
            .ok()
            .filter(|n| *n <= limit - self.literal_bytes.min(limit))
            // With limits of its own choice a caller could come near the end of the numbers.
            .filter(|n| *n < usize::MAX / 2)
            .ok_or(FrameError::LiteralTooLong { announced, limit })
    }
}

/// A line whose end was found, in the buffer's own count.
#[derive(Clone, Copy)]
struct Line {
    /// Before its line end.
    end: usize,
    /// Behind its line end.
    next: usize,
}

/// `{n}` and its kin, as they stand at the end of a line (RFC 3501 section 4.3, RFC 3516, RFC 7888).
struct Announced<'l> {
    /// What stands before it.
    before: &'l [u8],
    /// The length, if that is a number of 64 bits.
    size: Option<u64>,
    /// Whether it is `{n+}`: the bytes come without being asked for.
    follows_at_once: bool,
}

impl<'l> Announced<'l> {
    fn at_end_of(line: &'l [u8]) -> Option<Self> {
        let inside = line.strip_suffix(b"}")?;
        let (before, follows_at_once) = match inside.strip_suffix(b"+") {
            Some(before) => (before, true),
            None => (inside, false),
        };
        let digits_from = before
            .iter()
            .rposition(|b| !b.is_ascii_digit())
            .map_or(0, |last| last + 1);
        let (before, digits) = before.split_at_checked(digits_from)?;
        let before = before.strip_suffix(b"{")?;
        let before = before.strip_suffix(b"~").unwrap_or(before);
        if digits.is_empty() || !matches!(before.last(), Some(b' ' | b'(')) {
            return None;
        }
        let size = digits.iter().try_fold(0u64, |n, digit| {
            n.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
        });
        Some(Self {
            before,
            size,
            follows_at_once,
        })
    }
}

/// What stands behind the separator of a LIST response, where that is a backslash that should be escaped and is not: `"\"`.
fn behind_bare_backslash(line: &[u8]) -> Option<&[u8]> {
    let quote = memchr::memchr(b'"', line)?;
    let is_separator = line.get(..quote)?.trim_ascii_end().ends_with(b")");
    let rest = line.get(quote..)?.strip_prefix(b"\"\\\" ")?;
    is_separator.then_some(rest)
}

/// Whether a quoted string is open at the end. None reaches over a literal, so one line is enough.
fn ends_in_quotes(line: &[u8]) -> bool {
    let mut quoted = false;
    let mut bytes = line.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => quoted = !quoted,
            b'\\' if quoted => {
                bytes.next();
            }
            _ => {}
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn feed(framer: &mut Framer, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let space = framer.space();
            let n = space.len().min(bytes.len());
            space[..n].copy_from_slice(&bytes[..n]);
            framer.filled(n);
            bytes = &bytes[n..];
        }
    }

    /// The frames of the input that comes in these pieces, and the error that ended it.
    fn frames(
        limits: Limits,
        input: &[u8],
        pieces: &[usize],
    ) -> (Vec<Vec<u8>>, Option<FrameError>) {
        let mut framer = Framer::new(limits);
        let mut found = Vec::new();
        let mut rest = input;
        let mut pieces = pieces.iter().cycle();
        while !rest.is_empty() {
            let n = pieces.next().map_or(rest.len(), |n| (*n).min(rest.len()));
            let (piece, behind) = rest.split_at(n);
            feed(&mut framer, piece);
            rest = behind;
            loop {
                match framer.next_frame() {
                    Ok(Some(frame)) => found.push(framer.bytes(frame).to_vec()),
                    Ok(None) => break,
                    Err(error) => {
                        assert_eq!(framer.next_frame(), Err(error), "the error stays");
                        return (found, Some(error));
                    }
                }
            }
        }
        let tail: usize = framer.pending().len();
        assert!(input.len() >= tail);
        assert_eq!(framer.pending(), &input[input.len() - tail..]);
        (found, None)
    }

    fn whole(input: &[u8]) -> Vec<Vec<u8>> {
        let (found, error) = frames(Limits::default(), input, &[]);
        assert_eq!(error, None);
        found
    }

    #[test]
    fn lines_end_with_crlf_or_lf() {
        assert_eq!(
            whole(b"* OK a\r\n* OK b\n\r\n\n* OK c\r\r\n* rest"),
            [&b"* OK a"[..], b"* OK b", b"", b"", b"* OK c"]
        );
    }

    #[test]
    fn literals_stand_inside_their_response() {
        for whole_response in [
            "* METADATA foo (/shared/comment {3}\r\ntwo /private/comment {5}\r\nwords)",
            "* LIST () \"/\" {5}\r\na\r\n\n*",
            "* LIST () \"/\" {0}\n",
            "* LIST () \"/\" ~{3}\r\na\0b",
            "* X ({3+}\r\n{1} ~{1}\r\n))",
            "* 1 FETCH (BODY[HEADER.FIELDS (SUBJECT DATE)] {9}\r\n* OK no\r\n)",
            "* LIST () \"\\\"\" {1}\r\n\n",
            "* LIST () \"\\\" {3}\r\na\n\n",
            " *  LIST (\\Noselect)  \"\\\"  {3}\r\r\na\n\n",
            "* METADATA a (/shared/comment \"\\\" x\" /shared/x {1}\r\n\n)",
        ] {
            let input = format!("{whole_response}\r\na1 OK done\r\n");
            assert_eq!(
                whole(input.as_bytes()),
                [whole_response.as_bytes(), b"a1 OK done"]
            );
        }
    }

    #[test]
    fn what_only_looks_like_a_literal_ends_the_line() {
        for line in [
            "* OK see {5}",
            "* ok see {5}",
            "* NO ({5}",
            "* BAD {5}",
            "* BYE {99999999999999999999999}",
            "* PREAUTH [X {5}",
            "a1 OK {5}",
            "a1 NO {5}",
            "a1 BAD {99999999}",
            "+ {5}",
            "+ idling ({5+}",
            "* LIST () \"/\" \"brace {5}",
            "* LIST () \"/\" \"a\\\" {5}",
            "* LIST () \"/\" \"\\\" {5}",
            "* LIST () \"\\\" \"{5}",
            "* METADATA a (/shared/comment \"\\\" {5}",
            "* LIST () \"/\" INBOX.brace{5}",
            "* LIST () \"/\" {}",
            "* LIST () \"/\" {+}",
            "* LIST () \"/\" {5 }",
            "* LIST () \"/\" {-5}",
            "* LIST () \"/\" 5}",
            "* LIST () \"/\" a~{5}",
            "}",
            "{5}",
            "5}",
            " {5}",
        ] {
            let input = format!("{line}\r\n* 1 EXISTS\r\n");
            assert_eq!(whole(input.as_bytes()), [line.as_bytes(), b"* 1 EXISTS"]);
        }
    }

    #[test]
    fn the_line_is_limited() {
        let limits = Limits {
            line: 20,
            literal: 10,
        };
        let error = Some(FrameError::LineTooLong { limit: 20 });
        for pieces in [&[][..], &[1], &[7]] {
            assert_eq!(
                frames(limits, b"* OK 789012345678\r\n\n", pieces).0.len(),
                2
            );
            assert_eq!(
                frames(limits, b"* OK 7890123456789\r\n", pieces),
                (vec![b"* OK 7890123456789".to_vec()], None)
            );
            assert_eq!(
                frames(limits, b"* OK 78901234567890\r\n", pieces),
                (vec![], error)
            );
            assert_eq!(frames(limits, &[b'x'; 100], pieces), (vec![], error));
            // Both lines together: `* X {10}` CRLF is ten, eight more and the line end are twenty.
            assert_eq!(
                frames(limits, b"* X {10}\r\n1234567890 2345678\r\n", pieces).1,
                None
            );
            assert_eq!(
                frames(limits, b"* X {10}\r\n1234567890 23456789\r\n", pieces).1,
                error
            );
        }
    }

    #[test]
    fn literals_are_limited_together() {
        let limits = Limits {
            line: 100,
            literal: 10,
        };
        for pieces in [&[][..], &[1], &[7]] {
            let input = b"* X {4}\r\n1234 {6}\r\n123456\r\n";
            assert_eq!(frames(limits, input, pieces).0.len(), 1);
            let error = |announced| {
                let limit = 10;
                Some(FrameError::LiteralTooLong { announced, limit })
            };
            let input = b"* X {4}\r\n1234 {7}\r\n1234567\r\n";
            assert_eq!(frames(limits, input, pieces), (vec![], error(7)));
            let input = b"* X {18446744073709551615}\r\n";
            assert_eq!(frames(limits, input, pieces), (vec![], error(u64::MAX)));
            let input = b"* X {18446744073709551616}\r\n";
            assert_eq!(
                frames(limits, input, pieces),
                (vec![], Some(FrameError::LiteralOverflow { limit: 10 }))
            );
        }
        // Also when the caller sets no limit worth the name.
        let limits = Limits {
            line: usize::MAX,
            literal: usize::MAX,
        };
        assert!(matches!(
            frames(limits, b"* X {18446744073709551615}\r\n", &[]).1,
            Some(FrameError::LiteralTooLong { .. })
        ));
    }

    #[test]
    fn errors_name_the_limit() {
        let error = FrameError::LineTooLong { limit: 77 };
        assert!(error.to_string().contains("77"));
        let error = FrameError::LiteralTooLong {
            announced: 99,
            limit: 77,
        };
        assert!(error.to_string().contains("99") && error.to_string().contains("77"));
        let error = FrameError::LiteralOverflow { limit: 77 };
        assert!(error.to_string().contains("77"));
    }

    #[test]
    fn a_huge_response_gives_its_memory_back() {
        let mut framer = Framer::new(Limits::default());
        let size = 5_000_000;
        feed(&mut framer, format!("* X {{{size}}}\r\n").as_bytes());
        assert_eq!(framer.next_frame(), Ok(None));
        for _ in 0..size / 1000 {
            feed(&mut framer, &[b'\n'; 1000]);
            assert_eq!(framer.next_frame(), Ok(None));
        }
        feed(&mut framer, b"\r\n* OK");
        let frame = framer.next_frame().unwrap().unwrap();
        assert_eq!(framer.bytes(frame).len(), size + "* X {5000000}\r\n".len());
        assert!(framer.buffer.len() > size);
        assert!(framer.space().len() >= ROOM);
        assert!(framer.buffer.capacity() <= KEEP);
        assert_eq!(framer.pending(), b"* OK");
        assert_eq!(framer.bytes(frame), b"", "the old frame finds nothing");
        feed(&mut framer, b" yes\r\n");
        let frame = framer.next_frame().unwrap().unwrap();
        assert_eq!(framer.bytes(frame), b"* OK yes");
    }

    #[test]
    fn the_buffer_stays_small_while_a_list_streams() {
        let mut framer = Framer::new(Limits::default());
        let line = b"* LIST (\\HasNoChildren) \".\" INBOX.some.mailbox\r\n";
        let mut count = 0;
        for _ in 0..50_000 {
            feed(&mut framer, line);
            while framer.next_frame().unwrap().is_some() {
                count += 1;
            }
        }
        assert_eq!(count, 50_000);
        assert_eq!(framer.buffer.len(), REST);
    }

    #[test]
    fn pending_shows_what_was_injected_and_clear_forgets_it() {
        let mut framer = Framer::new(Limits::default());
        feed(
            &mut framer,
            b"a1 OK Begin TLS\r\n* CAPABILITY EVIL\r\n* X {500}\r\nhalf",
        );
        let frame = framer.next_frame().unwrap().unwrap();
        assert_eq!(framer.bytes(frame), b"a1 OK Begin TLS");
        assert_eq!(framer.pending(), b"* CAPABILITY EVIL\r\n* X {500}\r\nhalf");
        assert!(framer.next_frame().unwrap().is_some());
        assert!(framer.next_frame().unwrap().is_none());
        framer.clear();
        assert_eq!(framer.pending(), b"");
        assert_eq!(framer.bytes(frame), b"");
        feed(&mut framer, b"* OK new\r\n");
        let frame = framer.next_frame().unwrap().unwrap();
        assert_eq!(framer.bytes(frame), b"* OK new");
    }

    #[test]
    fn more_filled_than_there_was_room_is_no_panic() {
        let mut framer = Framer::new(Limits::default());
        framer.filled(5);
        assert_eq!(framer.next_frame(), Ok(None));
        framer.space();
        framer.filled(usize::MAX);
        assert_eq!(framer.pending().len(), REST);
    }

    /// Bytes that look like IMAP often enough to reach every branch.
    fn imapish() -> impl Strategy<Value = Vec<u8>> {
        let part = prop_oneof![
            Just(b"* ".to_vec()),
            Just(b"* OK ".to_vec()),
            Just(b"+ ".to_vec()),
            Just(b"\r\n".to_vec()),
            Just(b"\n".to_vec()),
            Just(b" {".to_vec()),
            Just(b"}\r\n".to_vec()),
            Just(b"+}\r\n".to_vec()),
            Just(b"\"".to_vec()),
            Just(b"\\".to_vec()),
            Just(b"* X ({3}\r\nabc {4}\r\n".to_vec()),
            Just(b"* X ~{12}\r\n".to_vec()),
            "[0-9]{1,3}".prop_map(String::into_bytes),
            "[a-z( )]{1,9}".prop_map(String::into_bytes),
            prop::collection::vec(any::<u8>(), 0..9),
        ];
        prop::collection::vec(part, 0..60).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(
            input in imapish(),
            pieces in prop::collection::vec(1usize..40, 1..20),
            line in 10usize..200,
            literal in 0usize..200,
        ) {
            let limits = Limits { line, literal };
            prop_assert_eq!(frames(limits, &input, &pieces), frames(limits, &input, &[]));
            let (found, _) = frames(Limits::default(), &input, &pieces);
            prop_assert_eq!(found, frames(Limits::default(), &input, &[]).0);
        }

        #[test]
        fn pieces_make_no_difference_to_long_input(
            lines in prop::collection::vec((0usize..60_000, any::<bool>()), 1..8),
            pieces in prop::collection::vec(1usize..70_000, 1..9),
        ) {
            let mut input = Vec::new();
            let mut expected = Vec::new();
            for (n, literal) in lines {
                let from = input.len();
                input.extend_from_slice(b"* X ");
                if literal {
                    input.extend_from_slice(format!("{{{n}}}\r\n").as_bytes());
                }
                input.resize(input.len() + n, if literal { b'\n' } else { b'x' });
                expected.push(input[from..].to_vec());
                input.extend_from_slice(b"\r\n");
            }
            prop_assert_eq!(frames(Limits::default(), &input, &pieces), (expected, None));
        }
    }
}
