//! The table of commands. Parsing, help, completion and the tables of README come from it.

use super::command::Command;
use super::commands::{acl, connect, mailbox, metadata, quota, selected, servers, session, shell};

/// Every command, in the order of `help`.
pub static ALL: &[&Command] = &[
    &connect::CONNECT,
    &servers::SERVERS,
    &servers::KNOWN,
    &connect::AUTHENTICATE,
    &connect::UNAUTHENTICATE,
    &connect::STARTTLS,
    &connect::DISCONNECT,
    &session::SESSION,
    &mailbox::CREATE,
    &mailbox::DELETE,
    &mailbox::RENAME,
    &mailbox::LIST,
    &mailbox::STATUS,
    &mailbox::SUBSCRIBE,
    &mailbox::UNSUBSCRIBE,
    &acl::LISTACL,
    &acl::SETACL,
    &acl::DELETEACL,
    &acl::MYRIGHTS,
    &acl::LISTRIGHTS,
    &quota::LISTQUOTA,
    &quota::LISTQUOTAROOT,
    &quota::SETQUOTA,
    &metadata::GETMETADATA,
    &metadata::SETMETADATA,
    &selected::SELECT,
    &selected::EXAMINE,
    &selected::CLOSE,
    &selected::UNSELECT,
    &selected::EXPUNGE,
    &session::CAPABILITY,
    &session::NAMESPACE,
    &session::ID,
    &session::NOOP,
    &shell::HELP,
    &shell::QUIT,
];

/// The command that a word names.
pub fn find(name: &str) -> Option<&'static Command> {
    ALL.iter().copied().find(|command| command.is_called(name))
}

/// The command name or alias most like a word that is none.
pub fn nearest(word: &str) -> Option<&'static str> {
    let word = word.to_lowercase();
    ALL.iter()
        .flat_map(|command| std::iter::once(command.name).chain(command.aliases.iter().copied()))
        .map(|name| (strsim::normalized_damerau_levenshtein(&word, name), name))
        .filter(|(likeness, _)| *likeness >= 0.6)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| name)
}
