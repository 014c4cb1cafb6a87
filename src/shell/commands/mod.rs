//! The commands of the shell, one file a subject, and the table of them all.
//!
//! Each command stands once: its names, options, arguments, help, and how it runs. Not here: what it does to the server
//! (`imapadm::admin`), nor how its rows look (`report`).

mod acl;
mod mailbox;
mod many;
mod message;
mod metadata;
mod quota;
mod server;
mod shell;

use imapadm::session::{Request, Ticket};
use imapadm::{Account, Error, Outcome};

pub use metadata::entry_names;

use super::Shell;
use super::command::{Argument, Command, Count, Flag, Input, Kind, Step};
use crate::report::{Cell, Report, Value};

/// Every command, in the order of `help`.
pub static ALL: &[&Command] = &[
    &server::CONNECT,
    &server::SERVERS,
    &server::AUTHENTICATE,
    &server::UNAUTHENTICATE,
    &server::STARTTLS,
    &server::DISCONNECT,
    &server::SESSION,
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
    &message::SELECT,
    &message::EXAMINE,
    &message::CLOSE,
    &message::UNSELECT,
    &message::EXPUNGE,
    &server::CAPABILITY,
    &server::NAMESPACE,
    &server::ID,
    &server::NOOP,
    &shell::HELP,
    &shell::QUIT,
];

const MAILBOX: Argument = Argument {
    name: "MAILBOX",
    kind: Kind::Mailbox,
    count: Count::One,
};
const MAILBOX_OR_SELECTED: Argument = Argument {
    name: "MAILBOX",
    kind: Kind::Mailbox,
    count: Count::Optional,
};
const MAILBOXES: Argument = Argument {
    name: "MAILBOX|PATTERN",
    kind: Kind::Mailbox,
    count: Count::One,
};
const MAILBOXES_OR_SELECTED: Argument = Argument {
    name: "MAILBOX|PATTERN",
    kind: Kind::Mailbox,
    count: Count::Optional,
};
const PARTITION: Argument = Argument {
    name: "PARTITION",
    kind: Kind::Word,
    count: Count::Optional,
};
const PARTITION_FLAG: Flag = Flag {
    name: "partition",
    short: None,
    value: Some("PARTITION"),
    help: "where to put it (Cyrus alone has partitions)",
};

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

/// Sends several requests of one command and reports each with what became of it; a failure does not hide the others.
fn submit_all<R: Request<Reply = ()> + Clone>(
    shell: &mut Shell,
    requests: Vec<R>,
    row: fn(&R) -> Vec<Cell<'_>>,
    done: &'static str,
) -> Result<Step, Error> {
    let session = shell.session()?;
    let sent = requests
        .into_iter()
        .map(|request| Ok((session.submit(request.clone())?, request)))
        .collect::<Result<Vec<(Ticket<R>, R)>, Error>>()?;
    Ok(Step::Sent(Box::new(move |shell, out| {
        let mut tally = Tally::of(sent.len());
        for (ticket, request) in sent {
            let result = shell.session()?.wait(ticket);
            tally.count(row(&request), done, result, out);
        }
        tally.verdict()
    })))
}

/// What became of a command that does several things.
struct Tally {
    all: usize,
    account: Account,
    /// The failure that is told at the end.
    first: Option<Error>,
}

impl Tally {
    fn of(all: usize) -> Self {
        Self {
            all,
            account: Account::default(),
            first: None,
        }
    }

    /// Reports one of them: its row, and whether it is `done`.
    fn count(
        &mut self,
        mut row: Vec<Cell<'_>>,
        done: &'static str,
        result: Result<(), Error>,
        out: &mut Report,
    ) {
        row.push((done, Value::Flag(result.is_ok())));
        match result {
            Ok(()) => {
                self.account.count(Outcome::Done);
                out.row(&row);
            }
            Err(error) => self.fail(row, error, out),
        }
    }

    /// Reports one that failed.
    fn fail(&mut self, mut row: Vec<Cell<'_>>, error: Error, out: &mut Report) {
        // A lone failure is the command's own error, and says it all.
        if self.all > 1 {
            row.push(("reason", Value::text(&error)));
            out.row(&row);
        }
        self.account.count(error.outcome());
        // The first one is told, and a lost connection or an interrupt must not hide behind it.
        match &self.first {
            Some(first) if first.is_grave() || !error.is_grave() => {}
            _ => self.first = Some(error),
        }
    }

    /// One error for all failures.
    fn verdict(self) -> Result<(), Error> {
        match self.first {
            None => Ok(()),
            Some(first) if self.all == 1 => Err(first),
            Some(first) if first.is_grave() => Err(Error::Stopped {
                cause: Box::new(first),
                account: self.account,
            }),
            Some(first) => Err(Error::Several {
                account: self.account,
                first: first.to_string(),
            }),
        }
    }
}

/// A command that is not done by sending requests and collecting their replies.
fn alone(
    work: impl FnOnce(&mut Shell, &mut Report) -> Result<(), Error> + 'static,
) -> Result<Step, Error> {
    Ok(Step::Work(Box::new(work)))
}
