//! Mailboxes: create, delete, rename, list, status, subscribe.

use std::collections::HashSet;
use std::ops::ControlFlow;

use imapadm::admin::mailbox::{Delete, Listing, MailboxStatus};
use imapadm::admin::many::{Purpose, Reach, Targets};
use imapadm::admin::overview::{Overview, Wanted};
use imapadm::admin::subscription::Subscribe;
use imapadm::session::MailboxName;
use imapadm::{Account, Error, Outcome};

use super::super::Shell;
use super::super::command::{Argument, Command, Count, Effect, Flag, Input, Limits, Step};
use super::super::meaning::{ArgumentKind, Scope};
use super::many::{self, RECURSIVE, YES, name_row};
use super::{
    MAILBOX, MAILBOX_OR_SELECTED, MAILBOXES, MAILBOXES_OR_SELECTED, PARTITION, PARTITION_FLAG,
    columns, in_turn, partition, submit,
};
use crate::report::{Cell, Column, REASON, Report, Value, complain};

const NEW_MAILBOX: Argument = Argument {
    kind: ArgumentKind::NewMailbox,
    ..MAILBOX
};

const UNSEEN: Column = Column::new("unseen", "");
const SIZE: Column = Column::new("size", "bytes");
const STATUS_OPTION: &str = "with --status";
const SUBSCRIBED: &[Column] = &[
    columns::MAILBOX,
    Column::new("subscribed", "whether it is subscribed now"),
    REASON,
];

pub static CREATE: Command = Command {
    name: "createmailbox",
    aliases: &["create", "cm"],
    flags: &[PARTITION_FLAG],
    arguments: &[NEW_MAILBOX, PARTITION],
    summary: "create a mailbox",
    details: "On Cyrus, user.NAME (or user/NAME) makes the user's INBOX. The result shows the name of the mailbox that was created: some \
              servers change the name you asked for. A new name that contains * or % is refused unless you write it as wire:NAME.",
    columns: &[
        columns::MAILBOX.meaning("the name it has now"),
        Column::new("created", ""),
        columns::PARTITION,
    ],
    effect: Effect::Changes,
    limits: Limits::Keeps,
    start: create,
    ..Command::BASE
};

fn create(shell: &mut Shell, input: &Input) -> Result<Step, Error> {
    let mailbox = input.mailbox(0, shell)?;
    let partition = partition(input, 1)?.map(str::to_owned);
    let session = shell.session()?;
    let making = session.start_create(mailbox.clone(), partition.as_deref())?;
    Ok(Step::Sent(Box::new(move |shell, out| {
        let made = shell.session()?.finish_create(making)?;
        let mut cells: Vec<Cell<'_>> = vec![
            ("mailbox", Value::text(&made)),
            ("created", Value::Flag(true)),
        ];
        cells.extend(partition.map(|partition| ("partition", Value::str(partition))));
        out.row(&cells);
        tell_other_name("created", &made, &mailbox);
        Ok(())
    })))
}

pub static DELETE: Command = Command {
    name: "deletemailbox",
    aliases: &["delete", "dm"],
    flags: &[RECURSIVE, YES],
    arguments: &[MAILBOXES],
    summary: "delete mailboxes and their messages",
    details: "There is no undo. Deleting a user's root mailbox (user.NAME) on Cyrus deletes all mailboxes below it; each is listed. At a \
              terminal, a command that deletes more than the one mailbox named first shows how many mailboxes and messages it will \
              delete, and asks. Mailboxes are deleted deepest first, at most 16 at a time, and each result is listed. If a mailbox \
              cannot be deleted, those above it are not tried. You need the right x on each mailbox; a Cyrus administrator can grant it \
              with setacl.",
    columns: &[
        columns::MAILBOX,
        Column::new("deleted", "whether it was deleted"),
        REASON.meaning("why it was not deleted"),
        Column::new("unchanged", "it was already gone").optional(),
    ],
    effect: Effect::Destroys,
    start: delete,
    ..Command::BASE
};

fn delete(shell: &mut Shell, input: &Input) -> Result<Step, Error> {
    let mailbox = match input.scope(0, shell)? {
        Scope::One(mailbox) => mailbox,
        // What lies below such a user can't be named one by one, and goes with the root.
        Scope::Many(Reach::Subtree(root))
            if root.wire().contains(&b'@') && shell.session()?.takes_all_below(&root) =>
        {
            root
        }
        Scope::Many(reach) => return delete_many(input, reach),
    };
    if shell.session()?.takes_all_below(&mailbox) {
        let (command, yes) = (input.command, input.has("yes"));
        return in_turn(move |shell, out| delete_user(shell, command, mailbox, yes, out));
    }
    let request = Delete {
        mailbox: mailbox.clone(),
    };
    submit(shell, request, move |(), out| {
        out.row(&[
            ("mailbox", Value::text(&mailbox)),
            ("deleted", Value::Flag(true)),
        ])
    })
}

/// Deletes a mailbox that takes all below it along, and tells of each that has gone with it.
fn delete_user(
    shell: &mut Shell,
    command: &Command,
    root: MailboxName,
    yes: bool,
    out: &mut Report,
) -> Result<(), Error> {
    let reach = Reach::Subtree(root.clone());
    let find = |shell: &mut Shell| match shell.session()?.find(&reach, Purpose::Tell) {
        // The server may know it all the same, or says why not.
        Err(Error::NotListed { .. }) => Ok(Targets::default()),
        found => found,
    };
    let before = find(shell)?;
    many::permit(shell, command, &reach, Purpose::Delete, &before, yes)?;
    shell.session()?.delete(&root)?;
    // What the names say would go is not always what went.
    let after = match before.len() {
        0 | 1 => Targets::default(),
        _ => find(shell)?,
    };
    let names = |targets: &Targets| -> HashSet<MailboxName> {
        let wires = targets
            .iter()
            .map(|listed| MailboxName::from_wire(&listed.mailbox));
        wires.collect()
    };
    let left = names(&after);
    let mut below: Vec<MailboxName> = names(&before).into_iter().collect();
    below.retain(|name| *name != root && !left.contains(name));
    below.sort();
    if shell.settings.interactive && before.len() > 1 {
        let mut account = Account::default();
        account.add(Outcome::Done, 1 + below.len() as u64);
        many::tell_deleted(account);
    }
    for gone in std::iter::once(root).chain(below) {
        out.row(&[
            ("mailbox", Value::text(&gone)),
            ("deleted", Value::Flag(true)),
        ]);
    }
    Ok(())
}

fn delete_many(input: &Input, reach: Reach) -> Result<Step, Error> {
    many::over(
        input,
        reach,
        Purpose::Delete,
        |session, targets, pace, teller| {
            session.delete_each(targets, pace, |mailbox, result| {
                let name = ("mailbox", Value::text(mailbox));
                match result {
                    Ok(outcome) => {
                        let is_done = matches!(outcome, Outcome::Done);
                        let mut cells = vec![name, ("deleted", Value::Flag(is_done))];
                        if !is_done {
                            cells.push(("unchanged", Value::str("already gone")));
                        }
                        teller.out.row(&cells);
                    }
                    Err(error) => {
                        let gone = many::undone("deleted", false, error);
                        teller.failed(vec![name, gone], error);
                    }
                }
                teller.told(mailbox)
            })
        },
    )
}

pub static RENAME: Command = Command {
    name: "renamemailbox",
    aliases: &["rename", "renm"],
    flags: &[PARTITION_FLAG],
    arguments: &[
        Argument {
            name: "OLD",
            kind: ArgumentKind::Mailbox,
            count: Count::One,
        },
        Argument {
            name: "NEW",
            kind: ArgumentKind::NewMailbox,
            count: Count::One,
        },
        PARTITION,
    ],
    summary: "rename a mailbox and all below it",
    details: "On Cyrus, give the same name twice and a partition to move the mailbox to that partition.",
    columns: &[
        columns::MAILBOX.meaning("the old name"),
        Column::new("renamed", ""),
        Column::new("to", "the name it has now"),
        columns::PARTITION,
        Column::new("mailboxes", "how many were renamed, if known").optional(),
    ],
    effect: Effect::Changes,
    start: rename,
    ..Command::BASE
};

fn rename(shell: &mut Shell, input: &Input) -> Result<Step, Error> {
    let from = input.mailbox(0, shell)?;
    let to = input.mailbox(1, shell)?;
    let partition = partition(input, 2)?.map(str::to_owned);
    let session = shell.session()?;
    let making = session.start_rename(from.clone(), to.clone(), partition.as_deref())?;
    Ok(Step::Sent(Box::new(move |shell, out| {
        let mut renamed = shell.session()?.finish_rename(making)?;
        if renamed.count.is_none() && shell.settings.interactive {
            // Most servers don't say how many went along; where somebody watches, they are looked up.
            let reach = Reach::Subtree(renamed.to.clone());
            let there = shell.session()?.find(&reach, Purpose::Use).ok();
            renamed.count = there.map(|there| there.len() as u64);
        }
        let mut cells: Vec<Cell<'_>> = vec![
            ("mailbox", Value::text(&from)),
            ("renamed", Value::Flag(true)),
            ("to", Value::text(&renamed.to)),
        ];
        cells.extend(partition.map(|partition| ("partition", Value::str(partition))));
        let count = renamed.count;
        cells.extend(count.map(|count| ("mailboxes", Value::Number(count))));
        out.row(&cells);
        tell_other_name("renamed it to", &renamed.to, &to);
        Ok(())
    })))
}

/// Says that a server chose another name than was asked for: whoever goes on with the one that was typed goes wrong.
fn tell_other_name(what: &str, made: &MailboxName, asked: &MailboxName) {
    if !MailboxName::same(made.wire(), asked.wire()) {
        complain(&format!("the server {what} {made}, not {asked}"));
    }
}

pub static LIST: Command = Command {
    name: "listmailbox",
    aliases: &["list", "lm"],
    flags: &[
        Flag::switch("subscribed", "list only subscribed mailboxes").short('s'),
        Flag::switch("status", "show message counts too"),
        Flag::switch("myrights", "show your own rights too"),
    ],
    arguments: &[
        Argument {
            name: "PATTERN",
            kind: ArgumentKind::Pattern,
            count: Count::Optional,
        },
        Argument {
            name: "BASE",
            kind: ArgumentKind::Base,
            count: Count::Optional,
        },
    ],
    summary: "list mailboxes",
    details: "In PATTERN, * matches anything and % matches anything except the hierarchy separator. Without PATTERN, all mailboxes are \
              listed. The server puts BASE in front of PATTERN.",
    columns: &[
        columns::MAILBOX,
        Column::new("attributes", ""),
        columns::SEPARATOR,
        columns::MESSAGES.meaning(STATUS_OPTION).optional(),
        columns::RECENT.meaning(STATUS_OPTION).optional(),
        UNSEEN.meaning(STATUS_OPTION).optional(),
        columns::UIDNEXT.meaning(STATUS_OPTION).optional(),
        columns::UIDVALIDITY.meaning(STATUS_OPTION).optional(),
        SIZE.meaning("bytes; with --status").optional(),
        columns::RIGHTS
            .meaning("your own; with --myrights")
            .optional(),
    ],
    // Nothing in a LIST response tells which LIST it answers, and rows leave as they come.
    lists: true,
    limits: Limits::Keeps,
    start: list,
    ..Command::BASE
};

fn list(shell: &mut Shell, input: &Input) -> Result<Step, Error> {
    let of = if input.has("subscribed") {
        Listing::Subscribed
    } else {
        Listing::All
    };
    let pattern = input.mailbox(0, shell)?;
    let base = input.mailbox(1, shell)?;
    let wanted = Wanted {
        status: input.has("status"),
        rights: input.has("myrights"),
        ..Wanted::default()
    };
    if wanted != Wanted::default() {
        return in_turn(move |shell, out| {
            out.sort();
            let session = shell.session()?;
            session.overview(of, &base, &pattern, wanted.clone(), |overview| {
                told(&overview, &wanted, out);
                if out.is_broken() {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            })
        });
    }
    in_turn(move |shell, out| {
        out.sort();
        shell.session()?.list_each(of, &base, &pattern, |found| {
            let separator = found.separator.as_ref().map(std::slice::from_ref);
            out.row(&[
                (
                    "mailbox",
                    Value::Text(MailboxName::show_bytes(&found.mailbox)),
                ),
                ("attributes", Value::Words(found.attribute_words().into())),
                (
                    "separator",
                    separator.map_or(Value::Absent("none"), |byte| Value::Text(byte.into())),
                ),
            ]);
            ControlFlow::Continue(())
        })
    })
}

/// The row of a mailbox of which more than its name is told.
fn told(overview: &Overview, wanted: &Wanted, out: &mut Report) {
    let mailbox = &overview.mailbox;
    let mut cells: Vec<Cell<'_>> = vec![
        ("mailbox", Value::text(&mailbox.name)),
        ("attributes", Value::words(&mailbox.attributes)),
        (
            "separator",
            mailbox
                .separator
                .map_or(Value::Absent("none"), |byte| Value::text(char::from(byte))),
        ),
    ];
    if wanted.status {
        cells.extend(counts(overview.status.as_ref()));
    }
    if wanted.rights {
        let rights = overview.rights.as_deref();
        cells.push(("rights", rights.map_or(Value::Absent("-"), Value::str)));
    }
    out.row(&cells);
}

/// The counts of a mailbox, every one at its place, also where the server leaves some out.
fn counts(status: Option<&MailboxStatus>) -> [Cell<'static>; 6] {
    [
        "messages",
        "recent",
        "unseen",
        "uidnext",
        "uidvalidity",
        "size",
    ]
    .map(|key| {
        let mut items = status.into_iter().flat_map(|status| &status.items);
        let number = items.find(|(item, _)| item.eq_ignore_ascii_case(key));
        let value = number.map_or(Value::Absent("-"), |(_, number)| Value::Number(*number));
        (key, value)
    })
}

pub static STATUS: Command = Command {
    name: "status",
    aliases: &["stat"],
    arguments: &[MAILBOX_OR_SELECTED],
    summary: "count the messages of a mailbox",
    details: "Shows messages, recent, unseen, uidnext, uidvalidity and, if the server supports it, the size in bytes.",
    columns: &[
        columns::MAILBOX,
        columns::MESSAGES,
        columns::RECENT,
        UNSEEN,
        columns::UIDNEXT,
        columns::UIDVALIDITY,
        SIZE,
    ],
    limits: Limits::Keeps,
    start: status,
    ..Command::BASE
};

fn status(shell: &mut Shell, input: &Input) -> Result<Step, Error> {
    let mailbox = input.mailbox(0, shell)?;
    let request = shell.session()?.status_request(mailbox)?;
    submit(shell, request, |status, out| {
        let mut cells: Vec<Cell<'_>> = vec![("mailbox", Value::text(&status.mailbox))];
        cells.extend(counts(Some(&status)));
        out.row(&cells);
    })
}

pub static SUBSCRIBE: Command = Command {
    name: "subscribe",
    aliases: &["sub"],
    flags: &[RECURSIVE, YES],
    arguments: &[MAILBOXES_OR_SELECTED],
    summary: "subscribe to mailboxes",
    details: "Subscriptions belong to the user who is logged in. To list them, use listmailbox --subscribed.",
    columns: SUBSCRIBED,
    effect: Effect::Changes,
    limits: Limits::Keeps,
    start: |shell, input| subscription(shell, input, true),
    ..Command::BASE
};

pub static UNSUBSCRIBE: Command = Command {
    name: "unsubscribe",
    aliases: &["unsub"],
    flags: &[RECURSIVE, YES],
    arguments: &[MAILBOXES_OR_SELECTED],
    summary: "unsubscribe from mailboxes",
    columns: SUBSCRIBED,
    effect: Effect::Changes,
    limits: Limits::Keeps,
    start: |shell, input| subscription(shell, input, false),
    ..Command::BASE
};

fn subscription(shell: &mut Shell, input: &Input, subscribed: bool) -> Result<Step, Error> {
    let row = move |mailbox: &MailboxName, out: &mut Report| {
        out.row(&[
            ("mailbox", Value::text(mailbox)),
            ("subscribed", Value::Flag(subscribed)),
        ]);
    };
    let request = move |mailbox: MailboxName| Subscribe {
        mailbox,
        subscribed,
    };
    match input.scope(0, shell)? {
        Scope::One(mailbox) => submit(shell, request(mailbox.clone()), move |(), out| {
            row(&mailbox, out);
        }),
        Scope::Many(reach) => many::each(
            input,
            reach,
            move |_, mailbox| Ok([(request(mailbox.clone()), ())]),
            name_row,
            Some(("subscribed", !subscribed)),
            move |mailbox, (), (), out| row(mailbox, out),
        ),
    }
}
