//! Quotas: listquota, listquotaroot, setquota.

use std::collections::HashSet;

use imapadm::Error;
use imapadm::admin::quota::{GetQuota, GetQuotaRoot, Limit, Quota, SetQuota};
use imapadm::session::MailboxName;

use super::super::Shell;
use super::super::command::{Argument, Command, Count, Flow, Input, Kind, Step};
use super::many::{RECURSIVE, Scope, YES, each, name_row, scope};
use super::{MAILBOX_OR_SELECTED, submit};
use crate::report::{Cell, Report, Value};

const ROOTS: Argument = Argument {
    name: "ROOT|PATTERN",
    kind: Kind::Root,
    count: Count::One,
};

pub static LISTQUOTA: Command = Command {
    name: "listquota",
    aliases: &["lq"],
    flags: &[RECURSIVE],
    arguments: &[ROOTS],
    summary: "show usage and limits of quota roots",
    details: "Storage is in KiB. On Cyrus a quota root is a mailbox, and holds for all below it. A pattern, or --recursive, is for mailboxes, and \
              shows each of their quota roots once.",
    flow: Flow::Reads,
    lists: true,
    start: listquota,
    ..Command::BASE
};

fn listquota(shell: &mut Shell, input: &Input) -> Result<Step, Error> {
    let reach = match root_scope(input, shell)? {
        Scope::One(root) => {
            return submit(shell, GetQuota::new(root), |quota, out| {
                rows(None, &quota, out)
            });
        }
        Scope::Many(reach) => reach,
    };
    let session = shell.session()?;
    session.check_extension(&GetQuotaRoot::new(reach.name().clone()))?;
    // Most mailboxes are no roots: what holds for them is asked for, and many of them have the same.
    let mut seen = Seen::default();
    each(
        input,
        reach,
        |_, mailbox| Ok([(GetQuotaRoot::new(mailbox.clone()), ())]),
        name_row,
        None,
        move |_, (), quotas, out| {
            for quota in &quotas {
                if seen.is_new(&quota.root) {
                    rows(None, quota, out);
                }
            }
        },
    )
}

/// The quota roots that were shown. Mailboxes come by name, so those of one root come close together, and the oldest roots may be forgotten.
#[derive(Default)]
struct Seen {
    lately: HashSet<MailboxName>,
    before: HashSet<MailboxName>,
}

/// Roots after which older ones are forgotten.
const ROOTS_KEPT: usize = 50_000;

impl Seen {
    /// Whether a root was not seen before.
    fn is_new(&mut self, root: &MailboxName) -> bool {
        if self.lately.contains(root) {
            return false;
        }
        let is_new = !self.before.contains(root);
        if self.lately.len() >= ROOTS_KEPT {
            self.before = std::mem::take(&mut self.lately);
        }
        self.lately.insert(root.clone());
        is_new
    }
}

/// What the root stands for. Unlike a mailbox it may be empty, which is Cyrus's root of the whole server.
fn root_scope(input: &Input, shell: &Shell) -> Result<Scope, Error> {
    match input.word(0) {
        Some("") => Ok(Scope::One(MailboxName::pattern("")?)),
        _ => scope(input, 0, shell),
    }
}

pub static LISTQUOTAROOT: Command = Command {
    name: "listquotaroot",
    aliases: &["lqr", "lqm"],
    flags: &[],
    arguments: &[MAILBOX_OR_SELECTED],
    summary: "show the quota roots of a mailbox",
    details: "",
    flow: Flow::Reads,
    lists: true,
    start: listquotaroot,
    ..Command::BASE
};

fn listquotaroot(shell: &mut Shell, input: &Input) -> Result<Step, Error> {
    let mailbox = input.mailbox(0, shell)?;
    submit(
        shell,
        GetQuotaRoot::new(mailbox.clone()),
        move |quotas, out| {
            for quota in &quotas {
                rows(Some(&mailbox), quota, out);
            }
            if quotas.is_empty() {
                let nothing = |key| (key, Value::Absent("-"));
                out.row(&[
                    ("mailbox", Value::text(&mailbox)),
                    nothing("root"),
                    nothing("resource"),
                    nothing("usage"),
                    UNLIMITED,
                ]);
            }
        },
    )
}

const UNLIMITED: Cell<'static> = ("limit", Value::Absent("none"));

/// The rows of one root; one without limits still gets its row.
fn rows(mailbox: Option<&MailboxName>, quota: &Quota, out: &mut Report) {
    let head = || {
        let mailbox = mailbox.map(|mailbox| ("mailbox", Value::text(mailbox)));
        mailbox
            .into_iter()
            .chain([("root", Value::text(&quota.root))])
    };
    for resource in &quota.resources {
        let cells: Vec<Cell<'_>> = head()
            .chain([
                ("resource", Value::str(resource.name.as_str())),
                ("usage", Value::Number(resource.usage)),
                ("limit", Value::Number(resource.limit)),
            ])
            .collect();
        out.row(&cells);
    }
    if quota.resources.is_empty() {
        let cells: Vec<Cell<'_>> = head()
            .chain([
                ("resource", Value::Absent("-")),
                ("usage", Value::Absent("-")),
                UNLIMITED,
            ])
            .collect();
        out.row(&cells);
    }
}

pub static SETQUOTA: Command = Command {
    name: "setquota",
    aliases: &["sq"],
    flags: &[RECURSIVE, YES],
    arguments: &[
        ROOTS,
        Argument {
            name: "LIMIT|none|RESOURCE LIMIT...",
            kind: Kind::Text,
            count: Count::Rest,
        },
    ],
    summary: "set the limits of quota roots",
    details: "LIMIT alone is for STORAGE: KiB, or with a unit as in 500M, 10G, 2T. Several resources: setquota ROOT STORAGE 10G MESSAGE \
              100000. Cyrus removes the limits that are not named, Dovecot keeps them; none removes all. On Dovecot, 0 removes one, and new limits show from the next session on.",
    flow: Flow::Changes,
    check: |input| limits(input).map(drop),
    start: setquota,
    ..Command::BASE
};

/// The limits that the words behind the root ask for; none of them takes all limits away.
fn limits(input: &Input) -> Result<Vec<Limit>, Error> {
    Ok(match input.words_from(1) {
        [none] if none.eq_ignore_ascii_case("none") => Vec::new(),
        [name] if name.starts_with(|c: char| c.is_ascii_alphabetic()) => {
            return Err(input
                .command
                .misuse(&format!("{name:?} lacks its limit, and is none itself")));
        }
        [amount] => vec![Limit::parse("STORAGE", amount)?],
        pairs => {
            let mut limits: Vec<Limit> = Vec::new();
            for pair in pairs.chunks(2) {
                let [resource, amount] = pair else {
                    return Err(input
                        .command
                        .misuse(&format!("{:?} lacks its limit", pair.concat())));
                };
                if !resource.starts_with(|c: char| c.is_ascii_alphabetic()) {
                    return Err(input.command.misuse(&format!(
                        "{resource:?} is no resource; several limits each need theirs"
                    )));
                }
                if amount.eq_ignore_ascii_case("none") {
                    return Err(input
                        .command
                        .misuse("none stands alone and is for all resources"));
                }
                let limit = Limit::parse(resource, amount)?;
                if limits.iter().any(|have| have.resource == limit.resource) {
                    return Err(input
                        .command
                        .misuse(&format!("{} is named twice", limit.resource)));
                }
                limits.push(limit);
            }
            limits
        }
    })
}

fn setquota(shell: &mut Shell, input: &Input) -> Result<Step, Error> {
    let limits = limits(input)?;
    match root_scope(input, shell)? {
        Scope::One(root) => {
            let request = shell
                .session()?
                .set_quota_request(root.clone(), limits.clone())?;
            submit(shell, request, move |(), out| set(&root, &limits, out))
        }
        Scope::Many(reach) => {
            // What is wrong with the limits is wrong with them for every root.
            let model = shell
                .session()?
                .set_quota_request(reach.name().clone(), limits.clone())?;
            each(
                input,
                reach,
                move |_, mailbox| {
                    let request = SetQuota {
                        root: mailbox.clone(),
                        ..model.clone()
                    };
                    Ok([(request, ())])
                },
                |mailbox, _| vec![("root", Value::text(mailbox))],
                Some(("set", false)),
                move |root, (), (), out| set(root, &limits, out),
            )
        }
    }
}

/// The rows of the limits that were set.
fn set(root: &MailboxName, limits: &[Limit], out: &mut Report) {
    for limit in limits {
        out.row(&[
            ("root", Value::text(root)),
            ("resource", Value::str(limit.resource.as_str())),
            ("limit", Value::Number(limit.amount)),
            ("set", Value::Flag(true)),
        ]);
    }
    if limits.is_empty() {
        out.row(&[
            ("root", Value::text(root)),
            ("resource", Value::Absent("all")),
            UNLIMITED,
            ("set", Value::Flag(true)),
        ]);
    }
}
