//! The selected mailbox: select, examine, close, unselect, expunge.

use imapadm::Error;
use imapadm::admin::message::Select;
use imapadm::session::Selected;

use super::super::Shell;
use super::super::command::{Command, Flow, Input, Step};
use super::{MAILBOX, alone};
use crate::report::{Report, Value};

pub static SELECT: Command = Command {
    name: "select",
    aliases: &["sel"],
    flags: &[],
    arguments: &[MAILBOX],
    summary: "select a mailbox to work on",
    details: "Commands that are given no mailbox then mean this one.",
    flow: Flow::Reads,
    start: |shell, input| select(shell, input, false),
};

pub static EXAMINE: Command = Command {
    name: "examine",
    aliases: &["ex"],
    flags: &[],
    arguments: &[MAILBOX],
    summary: "select a mailbox only to read it",
    details: "",
    flow: Flow::Reads,
    start: |shell, input| select(shell, input, true),
};

fn select(shell: &mut Shell, input: &Input, read_only: bool) -> Result<Step, Error> {
    let mailbox = input.mailbox(0, shell)?;
    alone(move |shell, out| {
        let selected = shell.session()?.run(Select::new(mailbox, read_only))?;
        let number = |number: Option<u64>| number.map_or(Value::Absent("-"), Value::Number);
        let words = |words: Option<Vec<String>>| match words {
            Some(words) => Value::Words(words.into_iter().map(Into::into).collect()),
            None => Value::Absent("-"),
        };
        out.row(&[
            ("mailbox", Value::text(&selected.mailbox)),
            ("access", access(&selected)),
            ("messages", number(selected.exists)),
            ("recent", number(selected.recent)),
            ("firstunseen", number(selected.unseen)),
            ("uidnext", number(selected.uidnext)),
            ("uidvalidity", number(selected.uidvalidity)),
            ("flags", words(selected.flags)),
            ("permanentflags", words(selected.permanent_flags)),
        ]);
        Ok(())
    })
}

/// Whether a mailbox may be changed, as far as the server said.
pub(super) fn access(selected: &Selected) -> Value<'static> {
    match selected.read_only {
        Some(true) => Value::str("read-only"),
        Some(false) => Value::str("read-write"),
        None => Value::Absent("-"),
    }
}

pub static CLOSE: Command = Command {
    name: "close",
    aliases: &[],
    flags: &[],
    arguments: &[],
    summary: "leave the selected mailbox, expunged",
    details: "Removes its messages flagged \\Deleted. To leave it as it is, use unselect.",
    flow: Flow::Reads,
    start: |_, _| {
        alone(|shell, out| {
            let mailbox = shell.selected().cloned();
            shell.session()?.close()?;
            left(mailbox, "closed", out);
            Ok(())
        })
    },
};

pub static UNSELECT: Command = Command {
    name: "unselect",
    aliases: &["unsel"],
    flags: &[],
    arguments: &[],
    summary: "leave the selected mailbox as it is",
    details: "",
    flow: Flow::Reads,
    start: |_, _| {
        alone(|shell, out| {
            let mailbox = shell.selected().cloned();
            shell.session()?.unselect()?;
            left(mailbox, "unselected", out);
            Ok(())
        })
    },
};

fn left(mailbox: Option<imapadm::MailboxName>, how: &'static str, out: &mut Report) {
    if let Some(mailbox) = mailbox {
        out.row(&[("mailbox", Value::text(&mailbox)), (how, Value::Flag(true))]);
    }
}

pub static EXPUNGE: Command = Command {
    name: "expunge",
    aliases: &[],
    flags: &[],
    arguments: &[],
    summary: "remove the messages flagged \\Deleted",
    details: "Shows the numbers as the server gives them: each one shifts those after it down by one, so 3 and 3 are messages 3 and 4.",
    flow: Flow::Reads,
    start: |_, _| {
        alone(|shell, out| {
            // Whatever is still in flight may change which mailbox that is.
            shell.session()?.settle()?;
            let mailbox = shell.selected().cloned().ok_or(Error::NothingSelected)?;
            for number in shell.session()?.expunge()? {
                out.row(&[
                    ("mailbox", Value::text(&mailbox)),
                    ("number", Value::Number(number)),
                    ("expunged", Value::Flag(true)),
                ]);
            }
            Ok(())
        })
    },
};
