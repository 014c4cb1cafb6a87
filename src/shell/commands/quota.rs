//! Quotas: listquota, listquotaroot, setquota.

use imapadm::Error;
use imapadm::admin::quota::{GetQuota, GetQuotaRoot, Limit, Quota};
use imapadm::session::MailboxName;

use super::super::Shell;
use super::super::command::{Argument, Command, Count, Flow, Input, Kind, Step};
use super::{MAILBOX_OR_SELECTED, submit};
use crate::report::{Cell, Report, Value};

const ROOT: Argument = Argument {
    name: "ROOT",
    kind: Kind::Root,
    count: Count::One,
};

pub static LISTQUOTA: Command = Command {
    name: "listquota",
    aliases: &["lq"],
    flags: &[],
    arguments: &[ROOT],
    summary: "show usage and limits of a quota root",
    details: "Storage is in KiB. On Cyrus a quota root is a mailbox, and holds for all below it.",
    flow: Flow::Reads,
    start: listquota,
};

fn listquota(shell: &mut Shell, input: &Input) -> Result<Step, Error> {
    let root = MailboxName::pattern(input.word(0).unwrap_or_default())?;
    submit(shell, GetQuota::new(root), |quota, out| {
        rows(None, &quota, out)
    })
}

pub static LISTQUOTAROOT: Command = Command {
    name: "listquotaroot",
    aliases: &["lqr", "lqm"],
    flags: &[],
    arguments: &[MAILBOX_OR_SELECTED],
    summary: "show the quota roots of a mailbox",
    details: "",
    flow: Flow::Reads,
    start: listquotaroot,
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
    flags: &[],
    arguments: &[
        ROOT,
        Argument {
            name: "LIMIT|none|RESOURCE LIMIT...",
            kind: Kind::Word,
            count: Count::Rest,
        },
    ],
    summary: "set the limits of a quota root",
    details: "LIMIT alone is for STORAGE: KiB, or with a unit as in 500M, 10G, 2T. Several resources: setquota ROOT STORAGE 10G MESSAGE \
              100000. Cyrus removes the limits that are not named, Dovecot keeps them; none removes all. On Dovecot, 0 removes one, and new limits show from the next session on.",
    flow: Flow::Changes,
    start: setquota,
};

fn setquota(shell: &mut Shell, input: &Input) -> Result<Step, Error> {
    let root = MailboxName::pattern(input.word(0).unwrap_or_default())?;
    let limits = match input.words_from(1) {
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
    };
    let request = shell
        .session()?
        .set_quota_request(root.clone(), limits.clone())?;
    submit(shell, request, move |(), out| {
        for limit in &limits {
            out.row(&[
                ("root", Value::text(&root)),
                ("resource", Value::str(limit.resource.as_str())),
                ("limit", Value::Number(limit.amount)),
                ("set", Value::Flag(true)),
            ]);
        }
        if limits.is_empty() {
            out.row(&[
                ("root", Value::text(&root)),
                ("resource", Value::Absent("all")),
                UNLIMITED,
                ("set", Value::Flag(true)),
            ]);
        }
    })
}
