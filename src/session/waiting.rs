//! What can be told while an answer takes long.
//!
//! Lives here: what a server says of how far it is (INPROGRESS, RFC 9585), and the form in which a caller hears of it. Not here: who shows
//! it.

use std::time::Duration;

use crate::wire::response::{Data, Status};

/// Who is told while an answer takes long. It is called in the middle of a wait, and must not take long itself.
pub type Watch = Box<dyn FnMut(&Waiting) + Send>;

/// Who is told of data that nobody asked for.
pub(super) type Unsolicited = Box<dyn FnMut(&Data<'_>) + Send>;

/// An answer that takes long.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Waiting {
    /// The IMAP command that is not answered yet.
    pub verb: &'static str,
    /// How long the server has said nothing, where that is why this is told.
    pub silent: Option<Duration>,
    /// How far the server is, where it says so: in steps of its own.
    pub done: Option<u64>,
    /// How many steps there are, where it says so.
    pub goal: Option<u64>,
}

/// What a server says of how far it is.
pub(super) struct Progress {
    pub(super) tag: Vec<u8>,
    pub(super) done: Option<u64>,
    pub(super) goal: Option<u64>,
}

impl Progress {
    /// Reads `[INPROGRESS ("a7" 454 1000)]` (RFC 9585 section 4): every part may be NIL, or all of it be missing.
    pub(super) fn read(status: &Status<'_>) -> Option<Self> {
        let code = status.code.filter(|code| code.is("INPROGRESS"))?;
        let arguments = String::from_utf8_lossy(code.arguments);
        let inner = arguments.trim().trim_matches(['(', ')']);
        let mut words = inner.split_whitespace();
        let tag = words.next().unwrap_or_default().trim_matches('"');
        Some(Self {
            tag: tag.as_bytes().to_vec(),
            done: words.next().and_then(|word| word.parse().ok()),
            goal: words.next().and_then(|word| word.parse().ok()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::response::{Response, Untagged, parse};

    fn read(line: &str) -> Option<(String, Option<u64>, Option<u64>)> {
        let Ok(Response::Untagged(Untagged::Status(status))) = parse(line.as_bytes()) else {
            panic!("{line}");
        };
        let read = Progress::read(&status)?;
        Some((String::from_utf8(read.tag).unwrap(), read.done, read.goal))
    }

    #[test]
    fn as_in_rfc_9585() {
        for (line, wanted) in [
            (
                "* OK [INPROGRESS (\"A001\" 454 1000)] Processing",
                Some(("A001", Some(454), Some(1000))),
            ),
            (
                "* OK [INPROGRESS (\"A001\" 999 NIL)] Still here",
                Some(("A001", Some(999), None)),
            ),
            (
                "* OK [INPROGRESS (NIL NIL NIL)] x",
                Some(("NIL", None, None)),
            ),
            ("* OK [INPROGRESS] x", Some(("", None, None))),
            (
                "* OK [INPROGRESS (\"A\" 99999999999999999999999 -1)] x",
                Some(("A", None, None)),
            ),
            ("* OK [ALERT] x", None),
        ] {
            let wanted = wanted.map(|(tag, done, goal)| (tag.to_owned(), done, goal));
            assert_eq!(read(line), wanted, "{line}");
        }
    }
}
