//! What a server frames: commands, whose literals may wait to be asked for (RFC 3501 section 4.3, RFC 7888).

use super::{Announced, Frame, FrameError, Framer, Line, ends_in_quotes};

/// What a client sent, as [`Framer::next_command`] finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// A whole command.
    Command(Frame),
    /// A synchronizing literal is announced, and the client waits (RFC 3501 section 4.3).
    ///
    /// Either [`Framer::go_on`], then send `+`; or [`Framer::refuse`], and answer the command with NO or BAD.
    NeedContinuation {
        /// The command so far, its `{n}` included, to tell which command it is.
        begun: Frame,
        /// The length of the literal. [`u64::MAX`] stands for more than that, too.
        size: u64,
    },
}

impl Framer {
    /// The next whole command, or a literal that the client waits to send; or none before more was read.
    ///
    /// A literal that is announced is found again until [`go_on`](Self::go_on) or [`refuse`](Self::refuse) was called. A
    /// non-synchronizing literal (`{n+}`, RFC 7888) is read without further ado.
    ///
    /// # Errors
    /// A line, or a non-synchronizing literal, is longer than the limits. The stream is lost, and the same error comes again: a
    /// server says BYE and closes the connection (RFC 7888 section 4).
    pub fn next_command(&mut self) -> Result<Option<Input>, FrameError> {
        loop {
            let Some(line) = self.next_line()? else {
                return Ok(None);
            };
            let Some(literal) = self.announced(line) else {
                return Ok(Some(Input::Command(self.cut(line))));
            };
            let size = literal.size;
            if literal.follows_at_once {
                let size = self.room_for(size)?;
                self.pass(line, size);
                continue;
            }
            return Ok(Some(Input::NeedContinuation {
                begun: Frame {
                    start: self.base + self.start as u64,
                    end: self.base + line.end as u64,
                },
                size: size.unwrap_or(u64::MAX),
            }));
        }
    }

    /// Takes the literal of [`Input::NeedContinuation`]: the caller sends `+` next. Does nothing when none waits.
    ///
    /// # Errors
    /// The literal is longer than the limits. It still waits, and can be [refused](Self::refuse).
    pub fn go_on(&mut self) -> Result<(), FrameError> {
        if let Some((line, size)) = self.waiting()? {
            let size = self.room_for(size)?;
            self.pass(line, size);
        }
        Ok(())
    }

    /// Forgets a command whose literal waits: the caller answers NO or BAD, and the client's next line begins another command.
    /// Does nothing when none waits.
    pub fn refuse(&mut self) {
        if let Ok(Some((line, _))) = self.waiting() {
            self.cut(line);
        }
    }

    /// The line whose synchronizing literal waits, and the literal's length.
    fn waiting(&mut self) -> Result<Option<(Line, Option<u64>)>, FrameError> {
        let line = self.next_line()?;
        Ok(line.and_then(|line| {
            let literal = self.announced(line)?;
            (!literal.follows_at_once).then_some((line, literal.size))
        }))
    }

    /// The literal that this line of a command announces.
    fn announced(&self, line: Line) -> Option<Announced<'_>> {
        let line = self.buffer.get(self.line..line.end)?;
        Announced::at_end_of(line).filter(|literal| !ends_in_quotes(literal.before))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Limits;
    use super::*;
    use proptest::prelude::*;

    const SMALL: Limits = Limits {
        line: 60,
        literal: 20,
    };

    fn feed(framer: &mut Framer, bytes: &[u8]) {
        framer.space()[..bytes.len()].copy_from_slice(bytes);
        framer.filled(bytes.len());
    }

    /// What a server makes of these pieces: commands as they are, `+` and the length for a literal that it takes, `-` and what was
    /// begun for one that it refuses, `!` for the end.
    fn served(limits: Limits, pieces: &[&[u8]]) -> Vec<String> {
        let mut framer = Framer::new(limits);
        let mut found = Vec::new();
        for piece in pieces {
            feed(&mut framer, piece);
            loop {
                let next = framer.next_command();
                match next {
                    Ok(None) => break,
                    Ok(Some(Input::Command(frame))) => {
                        found.push(framer.bytes(frame).escape_ascii().to_string());
                    }
                    Ok(Some(Input::NeedContinuation { begun, size })) => {
                        assert_eq!(framer.next_command(), next, "it still waits");
                        match framer.go_on() {
                            Ok(()) => found.push(format!("+{size}")),
                            Err(_) => {
                                assert_eq!(framer.next_command(), next, "it still waits");
                                let begun = framer.bytes(begun).escape_ascii().to_string();
                                found.push(format!("-{begun}"));
                                framer.refuse();
                            }
                        }
                    }
                    Err(error) => {
                        assert_eq!(framer.next_command(), Err(error), "the error stays");
                        found.push(format!("!{error}"));
                        return found;
                    }
                }
            }
        }
        found
    }

    #[test]
    fn a_synchronizing_literal_is_asked_for() {
        assert_eq!(
            served(
                SMALL,
                &[b"a LOGIN {3}\r\n", b"bob {4}\r\n", b"a\r\nb\r\nb NOOP\r\n"]
            ),
            ["+3", "+4", r"a LOGIN {3}\r\nbob {4}\r\na\r\nb", "b NOOP"]
        );
    }

    #[test]
    fn others_are_read_at_once() {
        for (input, expected) in [
            (
                "a LOGIN {3+}\r\nbob {1+}\r\n\n\r\n",
                r"a LOGIN {3+}\r\nbob {1+}\r\n\n",
            ),
            ("a X ({0+}\n)\n", r"a X ({0+}\n)"),
            (
                "a APPEND m ~{2+}\r\n\0\n\r\n",
                r"a APPEND m ~{2+}\r\n\x00\n",
            ),
        ] {
            let input = format!("{input}b NOOP\r\n");
            assert_eq!(served(SMALL, &[input.as_bytes()]), [expected, "b NOOP"]);
        }
    }

    #[test]
    fn what_only_looks_like_a_literal_ends_the_command() {
        for line in [
            r#"a LOGIN "bob {3}"#,
            r#"a LOGIN "bo\" {3}"#,
            "a CREATE m{3}",
            "a X {3-}",
            "a X {}",
            "a X {+}",
            "a X {3 }",
            "{3}",
            "PGJvYkBleGFtcGxlPg=={3}",
            "a X {3} ",
        ] {
            let input = format!("{line}\r\nb NOOP\r\n");
            let expected = line.as_bytes().escape_ascii().to_string();
            let found = served(SMALL, &[input.as_bytes()]);
            assert_eq!(found, [&expected, "b NOOP"]);
        }
    }

    #[test]
    fn one_that_is_too_large_is_refused_and_the_stream_goes_on() {
        for size in ["21", "18446744073709551615", "18446744073709551616"] {
            let input = format!("a APPEND m {{{size}}}\r\n");
            assert_eq!(
                served(SMALL, &[input.as_bytes(), b"b NOOP\r\n"]),
                [format!("-a APPEND m {{{size}}}"), "b NOOP".to_owned()]
            );
        }
        // All literals of a command count together, and those of the one before do not.
        assert_eq!(
            served(
                SMALL,
                &[b"a X {11+}\r\n12345678901 {10}\r\n", b"b X {20}\r\n"]
            ),
            [r"-a X {11+}\r\n12345678901 {10}", "+20"]
        );
    }

    #[test]
    fn one_that_comes_unasked_and_is_too_large_ends_the_stream() {
        for size in ["21", "18446744073709551616"] {
            let found = served(
                SMALL,
                &[format!("a X {{{size}+}}\r\nb NOOP\r\n").as_bytes()],
            );
            assert!(
                found.len() == 1 && found[0].starts_with("!a literal of"),
                "{found:?}"
            );
        }
        let found = served(SMALL, &[&[b'x'; 61]]);
        assert_eq!(
            found,
            ["!a line of more than 60 bytes, the most that is read"]
        );
    }

    #[test]
    fn nothing_waits_where_nothing_was_announced() {
        let mut framer = Framer::new(SMALL);
        framer.refuse();
        assert_eq!(framer.go_on(), Ok(()));
        feed(&mut framer, b"a NOOP\r\nb X {3+}\r\nabc\r\n");
        framer.refuse();
        assert_eq!(framer.go_on(), Ok(()));
        for expected in [&b"a NOOP"[..], b"b X {3+}\r\nabc"] {
            let Ok(Some(Input::Command(frame))) = framer.next_command() else {
                panic!("no command");
            };
            assert_eq!(framer.bytes(frame), expected);
            framer.refuse();
        }
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(
            parts in prop::collection::vec(
                prop_oneof![
                    Just("a X ".to_owned()),
                    Just("\r\n".to_owned()),
                    Just("\n".to_owned()),
                    Just("\"".to_owned()),
                    Just("\\".to_owned()),
                    "~?\\{[0-9]{1,2}\\+?\\}\r?\n",
                    "[ -~\r\n]{1,9}",
                ],
                0..40,
            ),
            size in 1usize..20,
        ) {
            let input = parts.concat().into_bytes();
            let pieces: Vec<&[u8]> = input.chunks(size).collect();
            // A client that does not wait is only less polite.
            prop_assert_eq!(served(SMALL, &pieces), served(SMALL, &[&input]));
        }
    }
}
