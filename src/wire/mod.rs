//! The wire: bytes to IMAP data items and back (RFC 3501, RFC 9051).
//!
//! Here live the framing of responses, a borrowed cursor over one response, the outer shape of a
//! response (tag, condition, code, keyword), the encoder of commands, LIST patterns, and modified UTF-7.
//! What does not live here: I/O (`net`), the order of commands and replies (`session`), and the
//! meaning of any reply, such as LIST or ACL (`admin`).

pub mod code;
pub mod cursor;
pub mod encode;
pub mod frame;
pub(crate) mod pattern;
pub mod response;
pub(crate) mod scan;
pub mod utf7;

#[cfg(test)]
mod oracle;

pub use code::ResponseCode;
pub use cursor::{Cursor, MAX_DEPTH, ParseError};
pub use encode::{EncodeError, Encoded, Encoder, Literals};
pub use frame::{Frame, FrameError, Framer, Limits};
pub use response::{Code, Condition, Data, Response, Status, Untagged, parse};
