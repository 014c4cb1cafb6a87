//! The commands of the shell, one file a subject, and the table of them all.
//!
//! Each command stands once: its names, options, arguments, help, and how it runs. Not here: what it does to the server
//! (`imapadm::admin`), nor how its rows look (`report`).

mod acl;
mod mailbox;
mod message;
mod quota;
mod server;
mod shell;

use imapadm::Error;
use imapadm::session::{Request, Ticket};

use super::Shell;
use super::command::{Argument, Collect, Command, Count, Flag, Input, Kind};
use crate::report::Report;

/// Every command, in the order of `help`.
pub static ALL: &[&Command] = &[
    &server::CONNECT,
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
) -> Result<Collect, Error> {
    let ticket = shell.session()?.submit(request)?;
    Ok(Box::new(move |shell, out| {
        let reply = shell.session()?.wait(ticket)?;
        report(reply, out);
        Ok(())
    }))
}

/// Sends several requests of one command; each reply goes to `report` with its request, and a failure does not hide the
/// others.
fn submit_all<R: Request + Clone>(
    shell: &mut Shell,
    requests: Vec<R>,
    report: fn(&R, R::Reply, &mut Report),
) -> Result<Collect, Error> {
    let session = shell.session()?;
    let sent = requests
        .into_iter()
        .map(|request| Ok((session.submit(request.clone())?, request)))
        .collect::<Result<Vec<(Ticket<R>, R)>, Error>>()?;
    Ok(Box::new(move |shell, out| {
        let all = sent.len();
        let mut failures = Vec::new();
        for (ticket, request) in sent {
            match shell.session()?.wait(ticket) {
                Ok(reply) => report(&request, reply, out),
                Err(error) => failures.push(error),
            }
        }
        sum_up(failures, all)
    }))
}

/// One error for the failures of a command that did `all` things.
fn sum_up(failures: Vec<Error>, all: usize) -> Result<(), Error> {
    let failed = failures.len();
    match failures.into_iter().next() {
        None => Ok(()),
        Some(error)
            if all == 1 || error.ends_session() || matches!(error, Error::Interrupted { .. }) =>
        {
            Err(error)
        }
        Some(first) => Err(Error::Several {
            failed,
            all,
            first: first.to_string(),
        }),
    }
}

/// A command whose work is all in the collecting.
fn alone(
    work: impl FnOnce(&mut Shell, &mut Report) -> Result<(), Error> + 'static,
) -> Result<Collect, Error> {
    Ok(Box::new(work))
}
