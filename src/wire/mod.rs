//! The wire: bytes to IMAP data items and back (RFC 3501, RFC 9051).
//!
//! The wire has two sides, which share the framer, the cursor and the encoder. A client writes commands
//! with the encoder and reads the outer shape of responses (tag, condition, code, keyword); a server reads
//! commands and writes responses. Beside them here: LIST patterns, and modified UTF-7.
//! What does not live here: I/O (`net`), the order of commands and replies (`session`), and the
//! meaning of any reply, such as LIST or ACL (`admin`).

pub mod code;
pub mod command;
pub mod cursor;
pub mod encode;
pub mod frame;
pub(crate) mod pattern;
pub mod respond;
pub mod response;
pub(crate) mod scan;
pub mod utf7;

#[cfg(test)]
mod oracle;

pub use code::ResponseCode;
pub use command::{Arguments, Command};
pub use cursor::{Cursor, MAX_DEPTH, ParseError};
pub use encode::{EncodeError, Encoded, Encoder, Literals};
pub use frame::{Frame, FrameError, Framer, Input, Limits};
pub use response::{Code, Condition, Data, Response, Status, Untagged, parse};
