//! Rights: listacl, setacl, deleteacl, myrights, listrights.

use std::ops::ControlFlow;

use imapadm::Error;
use imapadm::admin::acl::{Acl, DeleteAcl, GetAcl, ListRights, MyRights, Removed, SetAcl};
use imapadm::admin::many::{Purpose, Targets};
use imapadm::session::{MailboxName, Pace};

use super::super::Shell;
use super::super::advice;
use super::super::ask::{Question, confirm, counted};
use super::super::command::{Argument, Command, Count, Effect, Input, Limits, Step};
use super::super::meaning::{ArgumentKind, Scope};
use super::many::{RECURSIVE, YES, change_each, each, name_row, over, undone};
use super::{
    MAILBOX, MAILBOX_OR_SELECTED, MAILBOXES, MAILBOXES_OR_SELECTED, columns, in_turn, submit,
};
use crate::report::{Cell, Column, REASON, Report, Value};

const IDENTIFIERS: Argument = Argument {
    name: "IDENTIFIER",
    kind: ArgumentKind::Identifier,
    count: Count::Repeated,
};

pub static LISTACL: Command = Command {
    name: "listacl",
    aliases: &["listaclmailbox", "lam"],
    flags: &[RECURSIVE],
    arguments: &[MAILBOXES_OR_SELECTED],
    summary: "list the ACLs of mailboxes",
    columns: &[
        columns::MAILBOX,
        columns::IDENTIFIER,
        columns::RIGHTS,
        REASON,
    ],
    lists: true,
    limits: Limits::Keeps,
    start: listacl,
    ..Command::BASE
};

fn listacl(shell: &mut Shell, input: &Input) -> Result<Step, Error> {
    match input.scope(0, shell)? {
        Scope::One(mailbox) => submit(shell, GetAcl::new(mailbox), |acl, out| entries(&acl, out)),
        Scope::Many(reach) => {
            let session = shell.session()?;
            session.check_extension(&GetAcl::new(reach.name().clone()))?;
            each(
                input,
                reach,
                |_, mailbox| Ok([(GetAcl::new(mailbox.clone()), ())]),
                name_row,
                None,
                |_, (), acl, out| entries(&acl, out),
            )
        }
    }
}

fn entries(acl: &Acl, out: &mut Report) {
    for entry in &acl.entries {
        out.row(&[
            ("mailbox", Value::text(&acl.mailbox)),
            ("identifier", Value::str(entry.identifier.as_str())),
            ("rights", Value::str(entry.rights.as_str())),
        ]);
    }
}

pub static SETACL: Command = Command {
    name: "setacl",
    aliases: &["setaclmailbox", "sam"],
    flags: &[RECURSIVE, YES],
    arguments: &[
        MAILBOXES,
        IDENTIFIERS,
        Argument {
            name: "RIGHTS",
            kind: ArgumentKind::Rights,
            count: Count::Repeated,
        },
    ],
    summary: "set the rights of identifiers on mailboxes",
    details: "RIGHTS are letters (l lookup, r read, s seen, w write flags, i insert, p post, k create mailboxes, x delete mailbox, t delete \
              messages, e expunge, a administer), +letters to add, -letters to remove, or one of none, read (lrs), post (lrsp), append \
              (lrsip), write (lrswipkxte), delete (lrxte), all (lrswipkxtea). The result shows the rights you asked for; use listacl to \
                                        see what the server set.",
    columns: &[
        columns::MAILBOX,
        columns::IDENTIFIER,
        columns::RIGHTS.meaning("as requested"),
        columns::SET,
        REASON,
    ],
    effect: Effect::Changes,
    limits: Limits::Keeps,
    start: setacl,
    ..Command::BASE
};

fn setacl(shell: &mut Shell, input: &Input) -> Result<Step, Error> {
    let (pairs, _) = input.words_from(1).as_chunks::<2>();
    let changes: Vec<_> = pairs
        .iter()
        .map(|[identifier, rights]| (identifier.as_str(), rights.as_str()))
        .collect();
    match input.scope(0, shell)? {
        Scope::One(mailbox) => {
            let requests = shell.session()?.set_acl_requests(&mailbox, &changes)?;
            let setting = shell.session()?.start_set_acl(mailbox, requests)?;
            Ok(Step::Sent(Box::new(move |shell, out| {
                let tell = |request: &SetAcl, result: Result<(), &Error>| {
                    let mut cells = change(request);
                    cells.push(match result {
                        Ok(()) => ("set", Value::Flag(true)),
                        Err(error) => undone("set", false, error),
                    });
                    cells.extend(
                        result
                            .err()
                            .map(|error| ("reason", Value::text(advice::message(error)))),
                    );
                    out.row(&cells);
                };
                shell.session()?.finish_set_acl(setting, tell).map(drop)
            })))
        }
        Scope::Many(reach) => {
            // What is wrong with the words is wrong with them for every mailbox.
            let session = shell.session()?;
            let model = session.set_acl_requests(reach.name(), &changes)?;
            let requests = move |mailbox: &MailboxName| {
                let of_this = |request: &SetAcl| SetAcl {
                    mailbox: mailbox.clone(),
                    ..request.clone()
                };
                model.iter().map(of_this).collect()
            };
            change_each(input, reach, requests, change, "set")
        }
    }
}

/// The row of one change.
fn change(request: &SetAcl) -> Vec<Cell<'_>> {
    vec![
        ("mailbox", Value::text(&request.mailbox)),
        ("identifier", Value::str(request.identifier.as_str())),
        ("rights", Value::text(&request.change)),
    ]
}

pub static DELETEACL: Command = Command {
    name: "deleteacl",
    aliases: &["deleteaclmailbox", "dam"],
    flags: &[RECURSIVE, YES],
    arguments: &[MAILBOXES, IDENTIFIERS],
    summary: "remove identifiers from ACLs",
    details: "The identifier * means every entry in the mailbox's own ACL; yours is removed last. For a single mailbox, the result shows \
              which identifiers were not in the ACL, and which rights the server did not remove.",
    columns: &[
        columns::MAILBOX,
        columns::IDENTIFIER,
        Column::new("deleted", "whether it was removed"),
        REASON
            .meaning("why it failed, that it was not in the ACL, or which rights the server kept"),
    ],
    effect: Effect::Changes,
    limits: Limits::Keeps,
    start: deleteacl,
    ..Command::BASE
};

fn deleteacl(shell: &mut Shell, input: &Input) -> Result<Step, Error> {
    let identifiers = input.words_from(1).to_vec();
    for identifier in &identifiers {
        shell.session()?.check_identifier(identifier)?;
    }
    let every = identifiers.iter().any(|identifier| identifier == "*");
    let (command, yes) = (input.command, input.has("yes"));
    match input.scope(0, shell)? {
        Scope::One(mailbox) if every => in_turn(move |shell, out| {
            if shell.settings.interactive && !yes {
                permit_all(shell, command, &mailbox)?;
            }
            let targets = Targets::of([mailbox]);
            let session = shell.session()?;
            session
                .delete_all_entries(
                    &targets,
                    &mut Pace::default(),
                    |mailbox, request, result| {
                        gone(mailbox, request, result, out);
                        ControlFlow::Continue(())
                    },
                )
                .map(drop)
        }),
        Scope::One(mailbox) => {
            let removal = shell.session()?.start_delete_acl(mailbox, identifiers)?;
            Ok(Step::Sent(Box::new(move |shell, out| {
                let tell = |request: &DeleteAcl, result: Result<&Removed, &Error>| {
                    row_of(request, result, out);
                };
                shell.session()?.finish_delete_acl(removal, tell).map(drop)
            })))
        }
        Scope::Many(reach) => {
            let session = shell.session()?;
            session.check_extension(&GetAcl::new(reach.name().clone()))?;
            if !every {
                // To read all the lists too would take twice as long.
                let requests = move |mailbox: &MailboxName| -> Vec<DeleteAcl> {
                    let of_this = |identifier: &String| DeleteAcl {
                        mailbox: mailbox.clone(),
                        identifier: identifier.clone(),
                    };
                    identifiers.iter().map(of_this).collect()
                };
                return change_each(input, reach, requests, entry, "deleted");
            }
            over(
                input,
                reach,
                Purpose::Use,
                |session, targets, pace, teller| {
                    session.delete_all_entries(targets, pace, |mailbox, request, result| {
                        gone(mailbox, request, result, teller.out);
                        teller.told(mailbox)
                    })
                },
            )
        }
    }
}

/// Asks before everybody on a mailbox's list is taken off it: `*` names nobody.
fn permit_all(shell: &mut Shell, command: &Command, mailbox: &MailboxName) -> Result<(), Error> {
    let list = shell.session()?.get_acl(mailbox)?;
    let count = list.entries.len() as u64;
    if count < 2 {
        return Ok(());
    }
    let names = || -> Box<dyn Iterator<Item = String> + '_> {
        let entries = list.entries.iter();
        Box::new(entries.map(|entry| format!("{} {}", entry.identifier, entry.rights)))
    };
    let question = Question {
        will: format!(
            "{} will remove {} from the ACL of {mailbox}",
            command.name,
            counted(count, "identifier", "identifiers")
        ),
        count,
        things: "identifiers",
        names: &names,
    };
    confirm(&question, &shell.settings.interrupt)
}

/// Reports what became of one entry.
fn row_of(request: &DeleteAcl, result: Result<&Removed, &Error>, out: &mut Report) {
    let reason = match result {
        Ok(Removed::Gone) => None,
        Ok(Removed::WasNotListed) => Some("was not in the ACL".into()),
        Ok(Removed::Left { rights, .. }) => {
            Some(format!("the server still gives it the rights {rights}"))
        }
        // What may still come.
        Ok(_) => None,
        Err(error) => Some(advice::message(error)),
    };
    let mut cells = entry(request);
    cells.push(match result {
        Err(error) => undone("deleted", false, error),
        Ok(_) => ("deleted", Value::Flag(reason.is_none())),
    });
    cells.extend(reason.map(|reason| ("reason", Value::str(reason))));
    out.row(&cells);
}

/// Reports an entry that went or stayed, or a list that could not be had.
fn gone(
    mailbox: &MailboxName,
    request: Option<&DeleteAcl>,
    result: Result<(), &Error>,
    out: &mut Report,
) {
    let mut cells = match request {
        Some(request) => entry(request),
        None => name_row(mailbox, request),
    };
    cells.push(match result {
        Ok(()) => ("deleted", Value::Flag(true)),
        Err(error) => undone("deleted", false, error),
    });
    cells.extend(
        result
            .err()
            .map(|error| ("reason", Value::text(advice::message(error)))),
    );
    out.row(&cells);
}

/// The row of one entry that goes.
fn entry(request: &DeleteAcl) -> Vec<Cell<'_>> {
    vec![
        ("mailbox", Value::text(&request.mailbox)),
        ("identifier", Value::str(request.identifier.as_str())),
    ]
}

pub static MYRIGHTS: Command = Command {
    name: "myrights",
    aliases: &["mr"],
    arguments: &[MAILBOX_OR_SELECTED],
    summary: "show your own rights on a mailbox",
    columns: &[columns::MAILBOX, columns::RIGHTS],
    limits: Limits::Keeps,
    start: myrights,
    ..Command::BASE
};

fn myrights(shell: &mut Shell, input: &Input) -> Result<Step, Error> {
    let mailbox = input.mailbox(0, shell)?;
    submit(shell, MyRights::new(mailbox), |reply, out| {
        out.row(&[
            ("mailbox", Value::text(&reply.mailbox)),
            ("rights", Value::str(reply.rights)),
        ]);
    })
}

pub static LISTRIGHTS: Command = Command {
    name: "listrights",
    aliases: &["lr"],
    arguments: &[
        MAILBOX,
        Argument {
            name: "IDENTIFIER",
            kind: ArgumentKind::Identifier,
            count: Count::One,
        },
    ],
    summary: "show the rights an identifier can have",
    details: "The identifier always has the required rights. Each group of optional rights can only be granted as a whole.",
    columns: &[
        columns::MAILBOX,
        columns::IDENTIFIER,
        Column::new("required", "the rights it always has"),
        Column::new("optional", "each group can only be granted as a whole"),
    ],
    limits: Limits::Keeps,
    start: listrights,
    ..Command::BASE
};

fn listrights(shell: &mut Shell, input: &Input) -> Result<Step, Error> {
    let mailbox = input.mailbox(0, shell)?;
    let identifier = input.word(1).unwrap_or_default().to_owned();
    shell.session()?.check_identifier(&identifier)?;
    submit(
        shell,
        ListRights::new(mailbox, identifier),
        |rights, out| {
            out.row(&[
                ("mailbox", Value::text(&rights.mailbox)),
                ("identifier", Value::str(rights.identifier)),
                ("required", Value::str(rights.required)),
                ("optional", Value::words(rights.optional)),
            ]);
        },
    )
}
