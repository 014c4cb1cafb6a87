//! Exit statuses: what each one means, and which one an error amounts to.

use imapadm::Error;

/// All well.
pub const OK: u8 = 0;
/// A command failed.
pub const FAILED: u8 = 1;
/// The command line, or a command that can't be right and was not sent.
pub const USAGE: u8 = 2;
/// No connection.
pub const CONNECT: u8 = 4;
/// No TLS.
pub const TLS: u8 = 5;
/// No login.
pub const AUTH: u8 = 6;
/// The connection was lost.
pub const LOST: u8 = 7;
/// Ctrl-C.
pub const INTERRUPTED: u8 = 130;
/// Whoever reads the results is gone: what a shell shows for a program that SIGPIPE ended.
pub const UNREAD: u8 = 141;

/// Each with its meaning, for README and `help scripts`.
pub static ALL: &[(u8, &str)] = &[
    (OK, "success"),
    (FAILED, "a command failed"),
    (
        USAGE,
        "usage error: in the command line, or in a command, which was not sent",
    ),
    (CONNECT, "no connection, or no IMAP server at that address"),
    (TLS, "TLS failed, or the connection is not secure"),
    (AUTH, "the login failed"),
    (
        LOST,
        "the connection was lost, or --max-time was reached; each command that was running says whether it may have been done",
    ),
    (INTERRUPTED, "interrupted"),
    (
        UNREAD,
        "the reader of the results closed the pipe, as in \"imapadm … | head\"",
    ),
];

/// The exit status that an error amounts to.
pub fn of(error: &Error) -> u8 {
    if error.is_interrupt() {
        return INTERRUPTED;
    }
    match error.kind() {
        "usage" => USAGE,
        "connect" | "not-imap" | "bye" => CONNECT,
        "tls" | "file" | "insecure" => TLS,
        "auth" | "login" | "password" => AUTH,
        "lost" | "not-sent" | "deadline" => LOST,
        _ => FAILED,
    }
}
