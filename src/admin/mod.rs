//! What an administrator does, one file a subject: the types, the requests and how their replies are read.
//!
//! Every operation is a method of [`Session`](crate::Session), and a [`Request`](crate::session::Request) value for whoever
//! wants to send many before waiting for the first. Not here: sockets and the pipeline (`session`), and how anything is
//! typed or shown (the shell).

pub mod acl;
pub mod holdings;
pub mod made;
pub mod mailbox;
pub mod mailboxes;
pub mod many;
pub mod message;
pub mod metadata;
pub mod overview;
pub mod quota;
pub mod server;
pub mod subscription;

use crate::error::Refusal;

/// Whether a refusal says that something is missing (RFC 5530 NONEXISTENT; Cyrus 3.6 only has the words).
fn is_missing(refusal: &Refusal) -> bool {
    has(
        refusal,
        "NONEXISTENT",
        &["does not exist", "doesn't exist", "no such mailbox"],
    )
}

/// What to do when the server says that a mailbox does not exist. It also says so of one that the user may not see
/// (RFC 4314 section 6).
const MISSING: &str =
    "Look for its exact name with listmailbox, or you may not be allowed to see it (right l)";

/// Whether a refusal says that a right is lacking (RFC 5530 NOPERM; Cyrus 3.6 only has the words).
fn is_denied(refusal: &Refusal) -> bool {
    has(
        refusal,
        "NOPERM",
        &["permission denied", "no permission", "lacking rights"],
    )
}

/// Whether a refusal has this code or, on a server that gives none, one of these phrases.
fn has(refusal: &Refusal, code: &str, phrases: &[&str]) -> bool {
    if refusal.code.as_deref() == Some(code) {
        return true;
    }
    let text = refusal.text.to_ascii_lowercase();
    phrases.iter().any(|phrase| text.contains(phrase))
}
