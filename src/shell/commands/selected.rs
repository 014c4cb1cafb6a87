//! The selected mailbox: select, examine, close, unselect, expunge.

use imapadm::admin::selected::{Numbers, Select};
use imapadm::session::Selected;
use imapadm::{Error, MailboxName, Session};

use super::super::Shell;
use super::super::ask::{Question, confirm, counted};
use super::super::command::{Command, Effect, Flag, Input, Step};
use super::{MAILBOX, columns, in_turn};
use crate::report::{Column, Report, Value, complain};

const YES: Flag = Flag::switch("yes", "remove them without asking").short('y');

/// What the server says of a mailbox when it is selected.
const SELECTED: &[Column] = &[
    columns::MAILBOX,
    Column::new(
        "access",
        "read-write or read-only; null here and below: the server did not say",
    ),
    columns::MESSAGES,
    columns::RECENT,
    Column::new("firstunseen", "the number of the first unseen message"),
    columns::UIDNEXT,
    columns::UIDVALIDITY,
    Column::new("flags", ""),
    Column::new("permanentflags", ""),
];

pub static SELECT: Command = Command {
    name: "select",
    aliases: &["sel"],
    arguments: &[MAILBOX],
    summary: "select a mailbox",
    details: "Commands without a MAILBOX argument then use this mailbox.",
    columns: SELECTED,
    start: |shell, input| select(shell, input, false),
    ..Command::BASE
};

pub static EXAMINE: Command = Command {
    name: "examine",
    aliases: &["ex"],
    arguments: &[MAILBOX],
    summary: "select a mailbox read-only",
    columns: SELECTED,
    start: |shell, input| select(shell, input, true),
    ..Command::BASE
};

fn select(shell: &mut Shell, input: &Input, read_only: bool) -> Result<Step, Error> {
    let mailbox = input.mailbox(0, shell)?;
    in_turn(move |shell, out| {
        let selected = shell.session()?.run(Select::new(mailbox, read_only))?;
        let number = |number: Option<u64>| number.map_or(Value::Absent("-"), Value::Number);
        let words = |words: Option<Vec<String>>| match words {
            Some(words) => Value::words(words),
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
    flags: &[YES],
    summary: "expunge and close the selected mailbox",
    details: "Removes the messages flagged \\Deleted and shows how many were removed. At a terminal, it first shows how many there are, \
              and asks. A mailbox selected with examine is not changed. To close a mailbox without expunging it, use unselect.",
    columns: &[
        columns::MAILBOX,
        Column::new("closed", ""),
        Column::new(
            "expunged",
            "how many messages it removed; null: the server did not say",
        ),
    ],
    effect: Effect::Destroys,
    start: |_, input| {
        let (command, yes) = (input.command, input.has("yes"));
        in_turn(move |shell, out| close(shell, command, yes, out))
    },
    ..Command::BASE
};

fn close(shell: &mut Shell, command: &Command, yes: bool, out: &mut Report) -> Result<(), Error> {
    let (mailbox, read_only) = selected(shell)?;
    let session = shell.session()?;
    if read_only && session.has_unselect()? {
        // Some servers expunge at CLOSE what was only examined.
        session.unselect()?;
        return closed(&mailbox, Some(0), out);
    }
    let risk = read_only.then_some(
        "although the mailbox is selected read-only: this server has no UNSELECT and may expunge on CLOSE",
    );
    let flagged = permit(shell, command, yes, &mailbox, risk)?;
    let session = shell.session()?;
    let had = match flagged {
        Some(_) => "had",
        None => "may have had",
    };
    let none = flagged.is_some_and(|flagged| flagged.count() == 0);
    let gone = match risk {
        _ if none => Some(0),
        // CLOSE doesn't tell what it removes.
        None => Some(session.expunge()?.len() as u64),
        Some(_) => None,
    };
    session.close()?;
    if let (Some(risk), false, false) = (risk, none, shell.settings.interactive) {
        complain(&format!(
            "{mailbox} {had} messages flagged \\Deleted; check that they are still there, {risk}"
        ));
    }
    closed(&mailbox, gone, out)
}

fn closed(mailbox: &MailboxName, gone: Option<u64>, out: &mut Report) -> Result<(), Error> {
    out.row(&[
        ("mailbox", Value::text(mailbox)),
        ("closed", Value::Flag(true)),
        ("expunged", gone.map_or(Value::Absent("-"), Value::Number)),
    ]);
    Ok(())
}

/// The selected mailbox, and whether it is only examined.
fn selected(shell: &mut Shell) -> Result<(MailboxName, bool), Error> {
    let session = shell.session()?;
    // Whatever is still in flight may change which mailbox that is.
    session.settle()?;
    let selected = session.state().selected().ok_or(Error::NothingSelected)?;
    Ok((selected.mailbox.clone(), selected.read_only == Some(true)))
}

/// The messages that are flagged \Deleted, where the server tells.
fn flagged(session: &mut Session) -> Result<Option<Numbers>, Error> {
    match session.flagged_deleted() {
        Ok(flagged) => Ok(Some(flagged)),
        Err(error) if error.is_grave() => Err(error),
        Err(_) => Ok(None),
    }
}

/// The messages that are flagged \\Deleted, where the server tells; at a terminal it has been asked whether they may go.
fn permit(
    shell: &mut Shell,
    command: &Command,
    yes: bool,
    mailbox: &MailboxName,
    risk: Option<&str>,
) -> Result<Option<Numbers>, Error> {
    let mut flagged = flagged(shell.session()?)?;
    while shell.settings.interactive && !yes && flagged.as_ref().is_none_or(|f| f.count() > 0) {
        let question = question(command, mailbox, flagged.as_ref(), risk);
        let names = || -> Box<dyn Iterator<Item = String> + '_> {
            let runs = flagged.iter().flat_map(Numbers::runs);
            Box::new(runs.map(|(first, last)| match first == last {
                true => format!("message {first}"),
                false => format!("messages {first} to {last}"),
            }))
        };
        let question = Question {
            will: question,
            count: flagged.as_ref().map_or(1, Numbers::count),
            things: "messages",
            names: &names,
        };
        confirm(&question, &shell.settings.interrupt)?;
        // While the question stood, somebody else may have flagged more: a yes is for what was shown.
        let now = self::flagged(shell.session()?)?;
        if now == flagged {
            break;
        }
        complain(&format!(
            "the messages flagged \\Deleted in {mailbox} have changed"
        ));
        flagged = now;
    }
    Ok(flagged)
}

/// What is about to happen to messages.
fn question(
    command: &Command,
    mailbox: &MailboxName,
    flagged: Option<&Numbers>,
    risk: Option<&str>,
) -> String {
    let how_many = match flagged {
        Some(flagged) => counted(flagged.count(), "message", "messages"),
        None => "all messages".to_owned(),
    };
    let may = if risk.is_some() { "may" } else { "will" };
    let mut will = format!(
        "{} {may} remove {how_many} flagged \\Deleted from {mailbox}",
        command.name
    );
    if let Some(risk) = risk {
        will.push_str(&format!(", {risk}"));
    }
    if flagged.is_none() {
        will.push_str("; the server does not report how many there are");
    }
    will
}

pub static UNSELECT: Command = Command {
    name: "unselect",
    aliases: &["unsel"],
    summary: "leave the mailbox without expunging it",
    columns: &[columns::MAILBOX, Column::new("unselected", "")],
    start: |_, _| {
        in_turn(|shell, out| {
            let mailbox = shell.selected().cloned();
            shell.session()?.unselect()?;
            left(mailbox, "unselected", out);
            Ok(())
        })
    },
    ..Command::BASE
};

fn left(mailbox: Option<imapadm::MailboxName>, how: &'static str, out: &mut Report) {
    if let Some(mailbox) = mailbox {
        out.row(&[("mailbox", Value::text(&mailbox)), (how, Value::Flag(true))]);
    }
}

pub static EXPUNGE: Command = Command {
    name: "expunge",
    flags: &[YES],
    summary: "remove the messages flagged \\Deleted",
    details: "At a terminal, it first shows how many there are, and asks. Message numbers are shown as the server sends them: each \
              removal shifts the numbers after it down by one, so 3 and 3 are messages 3 and 4.",
    columns: &[
        columns::MAILBOX,
        Column::new(
            "number",
            "as the server sent it; each removal shifts the numbers after it",
        ),
        Column::new("expunged", ""),
    ],
    effect: Effect::Destroys,
    start: |_, input| {
        let (command, yes) = (input.command, input.has("yes"));
        in_turn(move |shell, out| expunge(shell, command, yes, out))
    },
    ..Command::BASE
};

fn expunge(shell: &mut Shell, command: &Command, yes: bool, out: &mut Report) -> Result<(), Error> {
    let (mailbox, read_only) = selected(shell)?;
    // What is only examined can't be expunged, which the session says.
    if shell.settings.interactive && !read_only && !yes {
        permit(shell, command, yes, &mailbox, None)?;
    }
    let gone = shell.session()?.expunge()?;
    for number in &gone {
        out.row(&[
            ("mailbox", Value::text(&mailbox)),
            ("number", Value::Number(*number)),
            ("expunged", Value::Flag(true)),
        ]);
    }
    if shell.settings.interactive {
        complain(&match gone.len() {
            0 => format!("no message in {mailbox} is flagged \\Deleted, so none was removed"),
            _ => format!(
                "{} removed from {mailbox}",
                counted(gone.len() as u64, "message", "messages")
            ),
        });
    }
    Ok(())
}
