//! The commands of the shell, one file a subject, and the table of them all.
//!
//! Each command stands once: its names, options, arguments, help, and how it runs. Not here: what it does to the server
//! (`imapadm::admin`), nor how its rows look (`report`).

mod acl;
mod connect;
mod mailbox;
mod many;
mod metadata;
mod quota;
mod selected;
mod servers;
mod session;
mod shell;

use imapadm::Error;
use imapadm::session::Request;

pub use metadata::{check_entry, entry_names};

use super::Shell;
use super::command::{Argument, Command, Count, Flag, Input, Step};
use super::meaning::ArgumentKind;
use crate::report::Report;

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

const MAILBOX: Argument = Argument {
    name: "MAILBOX",
    kind: ArgumentKind::Mailbox,
    count: Count::One,
};
const MAILBOX_OR_SELECTED: Argument = Argument {
    name: "MAILBOX",
    kind: ArgumentKind::Mailbox,
    count: Count::Optional,
};
const MAILBOXES: Argument = Argument {
    name: "MAILBOX|PATTERN",
    kind: ArgumentKind::Mailboxes,
    count: Count::One,
};
const MAILBOXES_OR_SELECTED: Argument = Argument {
    name: "MAILBOX|PATTERN",
    kind: ArgumentKind::Mailboxes,
    count: Count::Optional,
};
const PARTITION: Argument = Argument {
    name: "PARTITION",
    kind: ArgumentKind::Name,
    count: Count::Optional,
};
const PARTITION_FLAG: Flag = Flag::option(
    "partition",
    "PARTITION",
    "where to put it (Cyrus alone has partitions)",
);

/// The columns that several commands have.
mod columns {
    use crate::report::Column;

    pub(super) const MAILBOX: Column = Column::new("mailbox", "");
    pub(super) const MAILBOX_OR_SERVER: Column = MAILBOX.meaning("null: the server");
    pub(super) const IDENTIFIER: Column = Column::new("identifier", "");
    pub(super) const RIGHTS: Column = Column::new("rights", "");
    pub(super) const PARTITION: Column = Column::new("partition", "if one was named").optional();
    pub(super) const SEPARATOR: Column =
        Column::new("separator", "the hierarchy separator; null: none");
    pub(super) const ROOT: Column = Column::new("root", "the quota root");
    pub(super) const RESOURCE: Column = Column::new("resource", "");
    pub(super) const USAGE: Column = Column::new("usage", "KiB for STORAGE");
    pub(super) const LIMIT: Column = Column::new("limit", "KiB for STORAGE; null: none");
    pub(super) const SET: Column = Column::new("set", "whether it was set");
    pub(super) const MESSAGES: Column = Column::new("messages", "");
    pub(super) const RECENT: Column = Column::new("recent", "");
    pub(super) const UIDNEXT: Column = Column::new("uidnext", "");
    pub(super) const UIDVALIDITY: Column = Column::new("uidvalidity", "");
}

/// The partition of a command that takes it as an option and as a last word.
fn partition(input: &Input, index: usize) -> Result<Option<&str>, Error> {
    match (input.option("partition"), input.word(index)) {
        (Some(_), Some(_)) => Err(input.command.misuse("the partition is named twice")),
        (option, word) => Ok(option.or(word)),
    }
}

/// Sends one request; its reply goes to `report`.
fn submit<R: Request>(
    shell: &mut Shell,
    request: R,
    report: impl FnOnce(R::Reply, &mut Report) + 'static,
) -> Result<Step, Error> {
    let ticket = shell.session()?.submit(request)?;
    Ok(Step::Sent(Box::new(move |shell, out| {
        let reply = shell.session()?.wait(ticket)?;
        report(reply, out);
        Ok(())
    })))
}

/// A command that is more than requests to be sent and replies to be collected: it is done when its turn comes.
fn in_turn(
    work: impl FnOnce(&mut Shell, &mut Report) -> Result<(), Error> + 'static,
) -> Result<Step, Error> {
    Ok(Step::Work(Box::new(work)))
}
