//! The commands of the shell, one file per subject.
//!
//! Each command is declared once: its names, options, arguments, columns, effect, help, and how it runs. Not here: the table of them
//! all (`table`), what a command does to the server (`imapadm::admin`), and how its rows look (`report`).

pub mod acl;
pub mod connect;
pub mod mailbox;
mod many;
pub mod metadata;
pub mod quota;
pub mod selected;
pub mod servers;
pub mod session;
pub mod shell;

use imapadm::Error;
use imapadm::session::Request;

use super::Shell;
use super::command::{Argument, Count, Flag, Input, Step};
use super::meaning::ArgumentKind;
use crate::report::Report;

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
    "the partition to use (Cyrus only)",
);

/// The columns that several commands have.
mod columns {
    use crate::report::Column;

    pub(super) const MAILBOX: Column = Column::new("mailbox", "");
    pub(super) const MAILBOX_OR_SERVER: Column = MAILBOX.meaning("null: the server");
    pub(super) const IDENTIFIER: Column = Column::new("identifier", "");
    pub(super) const RIGHTS: Column = Column::new("rights", "");
    pub(super) const PARTITION: Column = Column::new("partition", "if one was given").optional();
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
        (Some(_), Some(_)) => Err(input
            .command
            .misuse("the partition is given twice; give it once")),
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
