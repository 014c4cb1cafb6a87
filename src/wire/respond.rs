//! Writes responses, with the encoder that writes commands (RFC 3501 section 7).
//!
//! What is written here, [`parse`](super::parse) reads.

use super::encode::{EncodeError, Encoder};
use super::response::{self, Response, Status, Untagged};

/// Begins untagged data at the end of `out`: `* LIST`, or `* 12 EXPUNGE` with its number. The rest is written with the encoder.
///
/// A literal in it is sent without a pause: nobody waits for leave to send a response (RFC 3501 section 4.3).
pub fn data<'b>(out: &'b mut Vec<u8>, number: Option<u64>, keyword: &str) -> Encoder<'b> {
    let mut encoder = Encoder::begin_response(out);
    encoder.atom("*").space();
    if let Some(number) = number {
        encoder.number(number).space();
    }
    encoder.atom(keyword);
    encoder
}

/// Writes an untagged status: the greeting, a warning, BYE (RFC 3501 section 7.1).
///
/// # Errors
/// As [`tagged`].
pub fn untagged(out: &mut Vec<u8>, status: &Status<'_>) -> Result<(), EncodeError> {
    let meant = Response::Untagged(Untagged::Status(*status));
    write(out, b"*", status, &meant)
}

/// Writes the end of a command: `A1 OK done` (RFC 3501 section 7.1).
///
/// # Errors
/// There is no such status: no text, a line break in it, a code that is none, a text that would be read as a code, a tag that is none.
/// Nothing is written then.
pub fn tagged(out: &mut Vec<u8>, tag: &str, status: &Status<'_>) -> Result<(), EncodeError> {
    let tag = tag.as_bytes();
    let meant = Response::Tagged {
        tag,
        status: *status,
    };
    write(out, tag, status, &meant)
}

/// Asks for more of a command: `+ text` (RFC 3501 section 7.5). The text may be a challenge, and empty.
///
/// # Errors
/// A line break or NUL in the text. Nothing is written then.
pub fn continuation(out: &mut Vec<u8>, text: &[u8]) -> Result<(), EncodeError> {
    line(out, &[b"+ ", text])
}

fn write(
    out: &mut Vec<u8>,
    tag: &[u8],
    status: &Status<'_>,
    meant: &Response<'_>,
) -> Result<(), EncodeError> {
    let condition = status.condition.to_string();
    let mut parts = vec![tag, b" ", condition.as_bytes(), b" "];
    if let Some(code) = &status.code {
        parts.extend([&b"["[..], code.name]);
        if !code.arguments.is_empty() {
            parts.extend([&b" "[..], code.arguments]);
        }
        parts.push(b"] ");
    }
    parts.push(status.text);
    let start = out.len();
    line(out, &parts)?;
    // What a client would take for something else is not sent.
    let written = out.get(start..out.len() - 2).unwrap_or_default();
    if status.text.is_empty() || response::parse(written).as_ref() != Ok(meant) {
        out.truncate(start);
        return Err(EncodeError::NotAStatus);
    }
    Ok(())
}

fn line(out: &mut Vec<u8>, parts: &[&[u8]]) -> Result<(), EncodeError> {
    let mut encoder = Encoder::begin_response(out);
    for part in parts {
        encoder.text(part);
    }
    encoder.finish_text().map(drop)
}

#[cfg(test)]
mod tests {
    use super::super::{Code, Condition, Cursor, Data, Framer, Limits};
    use super::*;
    use proptest::prelude::*;

    fn status<'a>(code: Option<(&'a str, &'a str)>, text: &'a str) -> Status<'a> {
        Status {
            condition: Condition::No,
            code: code.map(|(name, arguments)| Code {
                name: name.as_bytes(),
                arguments: arguments.as_bytes(),
            }),
            text: text.as_bytes(),
        }
    }

    #[test]
    fn statuses() {
        let mut out = Vec::new();
        tagged(&mut out, "A1", &status(Some(("NOPERM", "")), "not for you")).unwrap();
        let greeting = Status {
            condition: Condition::Ok,
            ..status(Some(("CAPABILITY", "IMAP4rev1 ACL")), "ready {5}")
        };
        untagged(&mut out, &greeting).unwrap();
        continuation(&mut out, b"").unwrap();
        assert_eq!(
            out,
            b"A1 NO [NOPERM] not for you\r\n* OK [CAPABILITY IMAP4rev1 ACL] ready {5}\r\n+ \r\n"
        );
    }

    #[test]
    fn what_would_be_read_as_something_else_is_not_written() {
        let mut out = b"before".to_vec();
        for (tag, status) in [
            ("A 1", status(None, "x")),
            ("", status(None, "x")),
            ("*", status(None, "x")),
            ("+", status(None, "x")),
            ("A1", status(None, "")),
            ("A1", status(None, "[CLOSED] x")),
            ("A1", status(Some(("A B", "")), "x")),
            ("A1", status(Some(("", "")), "x")),
            ("A1", status(Some(("A", "b] c")), "x")),
            ("A1", status(Some(("A", " b")), "x")),
            (
                "A1",
                Status {
                    condition: Condition::PreAuth,
                    ..status(None, "x")
                },
            ),
        ] {
            let written = tagged(&mut out, tag, &status);
            assert_eq!(written, Err(EncodeError::NotAStatus), "{tag} {status:?}");
        }
        let split = tagged(&mut out, "A1", &status(None, "x\r\nA2 OK"));
        assert_eq!(split, Err(EncodeError::LineBreak));
        assert_eq!(continuation(&mut out, b"a\n"), Err(EncodeError::LineBreak));
        assert_eq!(continuation(&mut out, b"a\0"), Err(EncodeError::Nul));
        assert_eq!(out, b"before");
    }

    proptest! {
        #[test]
        fn a_client_reads_what_is_written(
            name in prop::collection::vec(1u8..=255, 0..12),
            number in prop::option::of(any::<u64>()),
            text in "[ -~]{1,20}",
            code in prop::option::of(("[A-Z]{1,5}", "[ -~]{0,9}")),
        ) {
            let mut out = Vec::new();
            let mut encoder = data(&mut out, number, "LIST");
            encoder.space().open().atom("\\Noselect").close().space();
            encoder.string(b"/").space().mailbox(&name);
            let encoded = encoder.finish().unwrap();
            prop_assert!(encoded.pauses.is_empty());
            let code = code.as_ref().map(|(name, arguments)| (name.as_str(), arguments.as_str()));
            let meant = status(code, &text);
            let written = tagged(&mut out, "A1", &meant).is_ok();
            continuation(&mut out, text.as_bytes()).unwrap();

            let mut framer = Framer::new(Limits::default());
            framer.space()[..out.len()].copy_from_slice(&out);
            framer.filled(out.len());
            let frame = framer.next_frame().unwrap().unwrap();
            let Ok(Response::Untagged(Untagged::Data(Data { number: read, keyword, mut body }))) =
                response::parse(framer.bytes(frame))
            else {
                panic!("no data");
            };
            prop_assert!(read == number && keyword == b"LIST");
            body.expect_value()?;
            body.expect_space()?;
            body.expect_string()?;
            body.expect_space()?;
            prop_assert_eq!(&*body.expect_astring("it")?, &name[..]);
            prop_assert_eq!(Cursor::rest(&body), b"");
            if written {
                let frame = framer.next_frame().unwrap().unwrap();
                let read = response::parse(framer.bytes(frame));
                prop_assert_eq!(read, Ok(Response::Tagged { tag: b"A1", status: meant }));
            }
            let frame = framer.next_frame().unwrap().unwrap();
            let read = response::parse(framer.bytes(frame));
            prop_assert_eq!(read, Ok(Response::Continuation(text.as_bytes())));
            prop_assert!(framer.pending().is_empty());
        }
    }
}
