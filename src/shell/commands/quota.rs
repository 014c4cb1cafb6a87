//! Quotas: listquota, listquotaroot, setquota.

use std::collections::HashSet;

use imapadm::Error;
use imapadm::admin::many::{Purpose, Reach};
use imapadm::admin::quota::{
    Asked, GetQuota, GetQuotaRoot, Limit, LimitChange, Quota, QuotaWarning,
};
use imapadm::session::MailboxName;

use super::super::Shell;
use super::super::command::{Argument, Command, Count, Effect, Flag, Input, Limits, Step};
use super::super::meaning::{ArgumentKind, Scope};
use super::many::{RECURSIVE, YES, each, name_row, over, undone};
use super::{MAILBOX_OR_SELECTED, columns, in_turn, submit};
use crate::report::{Cell, REASON, Report, Value, complain};

const ROOTS: Argument = Argument {
    name: "ROOT|PATTERN",
    kind: ArgumentKind::Roots,
    count: Count::One,
};

pub static LISTQUOTA: Command = Command {
    name: "listquota",
    aliases: &["lq"],
    flags: &[RECURSIVE],
    arguments: &[ROOTS],
    summary: "show usage and limits of quota roots",
    details: "Storage is in KiB. On Cyrus, a quota root is a mailbox, and its limits apply to all mailboxes below it. A pattern or \
              --recursive selects mailboxes, and shows each of their quota roots once.",
    columns: &[
        columns::MAILBOX
            .meaning("whose quota could not be read")
            .optional(),
        columns::ROOT,
        columns::RESOURCE,
        columns::USAGE,
        columns::LIMIT,
        REASON,
    ],
    lists: true,
    limits: Limits::Keeps,
    start: listquota,
    ..Command::BASE
};

fn listquota(shell: &mut Shell, input: &Input) -> Result<Step, Error> {
    let reach = match input.scope(0, shell)? {
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

pub static LISTQUOTAROOT: Command = Command {
    name: "listquotaroot",
    aliases: &["lqr", "lqm"],
    arguments: &[MAILBOX_OR_SELECTED],
    summary: "show the quota roots of a mailbox",
    columns: &[
        columns::MAILBOX,
        columns::ROOT,
        columns::RESOURCE,
        columns::USAGE,
        columns::LIMIT,
    ],
    lists: true,
    limits: Limits::Keeps,
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
                if quota.told {
                    UNLIMITED
                } else {
                    ("limit", Value::Absent("-"))
                },
            ])
            .collect();
        out.row(&cells);
    }
}

const ONLY: Flag = Flag::switch(
    "only",
    "set only these limits, without reading the current ones; Cyrus then removes all others",
);

pub static SETQUOTA: Command = Command {
    name: "setquota",
    aliases: &["sq"],
    flags: &[RECURSIVE, YES, ONLY],
    arguments: &[
        ROOTS,
        Argument {
            name: "LIMIT|none|RESOURCE LIMIT...",
            kind: ArgumentKind::Text,
            count: Count::Rest,
        },
    ],
    summary: "set the limits of quota roots",
    details: "LIMIT alone sets STORAGE, in KiB or with a unit: 500M, 2.5G, 1T. +1G and -500M change the current limit. For several \
              resources: setquota ROOT STORAGE 10G MESSAGE 100000. Other limits are kept: if the server would remove them (Cyrus), they \
              are read first and set again. --only skips that. none removes all limits. On Dovecot, 0 removes a limit, and new limits \
              take effect in the next session.",
    columns: &[
        columns::ROOT,
        columns::RESOURCE.meaning("null: all"),
        columns::LIMIT,
        columns::SET,
        REASON,
    ],
    effect: Effect::Changes,
    limits: Limits::Changes(root_to_read),
    check: |input| limits(input).map(drop),
    start: setquota,
    ..Command::BASE
};

/// The one root whose limits it has to know.
fn root_to_read(input: &Input) -> Option<MailboxName> {
    match input.named_scope().ok()? {
        Scope::One(root) if !input.has("only") => Some(root),
        _ => None,
    }
}

/// The limits that the words behind the root ask for; none of them takes all limits away.
fn limits(input: &Input) -> Result<Vec<LimitChange>, Error> {
    let misuse = |why: &str| Err(input.command.misuse(why));
    let changes = match input.words_from(1) {
        [none] if none.eq_ignore_ascii_case("none") => Vec::new(),
        [name] if is_resource(name) => return misuse(&format!("missing LIMIT after {name:?}")),
        [amount] => vec![LimitChange::parse("STORAGE", amount)?],
        pairs => {
            let mut changes: Vec<LimitChange> = Vec::new();
            for pair in pairs.chunks(2) {
                let [resource, amount] = pair else {
                    return misuse(&format!("missing LIMIT after {:?}", pair.concat()));
                };
                if !resource.starts_with(|c: char| c.is_ascii_alphabetic()) {
                    return misuse(&format!(
                        "invalid resource {resource:?}; with several limits, write RESOURCE LIMIT for each"
                    ));
                }
                if amount.eq_ignore_ascii_case("none") {
                    return misuse("none removes all limits; use it alone");
                }
                let change = LimitChange::parse(resource, amount)?;
                if changes
                    .iter()
                    .any(|have| have.resource() == change.resource())
                {
                    return misuse(&format!(
                        "{} is given twice; give it once",
                        change.resource()
                    ));
                }
                changes.push(change);
            }
            changes
        }
    };
    if input.has("only")
        && let Some(change) = changes.iter().find(|change| change.is_relative())
    {
        return misuse(&format!(
            "--only does not read the current limit, so {change} cannot change it; give the new limit itself"
        ));
    }
    Ok(changes)
}

/// Whether a word that stands alone is a resource without its limit, and no mistyped limit.
fn is_resource(word: &str) -> bool {
    let word = word.to_ascii_uppercase();
    word.starts_with("X-")
        || ["STORAGE", "MESSAGE", "MAILBOX", "ANNOTATION-STORAGE"].contains(&word.as_str())
}

fn setquota(shell: &mut Shell, input: &Input) -> Result<Step, Error> {
    let changes = limits(input)?;
    let scope = input.scope(0, shell)?;
    if input.has("only") {
        return set_only(shell, input, scope, &changes);
    }
    // What is wrong with the limits is wrong with them for every root.
    let (Scope::One(model) | Scope::Many(Reach::Pattern(model) | Reach::Subtree(model))) = &scope;
    let absolute = changes.iter().filter(|change| !change.is_relative());
    let absolute: Vec<Limit> = absolute
        .map_while(|change| change.limit(model, None).ok())
        .collect();
    let session = shell.session.as_mut().ok_or(Error::NotConnected)?;
    session.check_extension(&GetQuota::new(model.clone()))?;
    if changes.is_empty() || !absolute.is_empty() {
        session.set_quota_request(model.clone(), absolute)?;
    }
    match scope {
        Scope::One(root) => {
            let tell =
                |root: &MailboxName, asked: &Asked, told: Option<&Quota>, out: &mut Report| {
                    set(root, &asked.limits, told, out);
                    for warning in &asked.warnings {
                        complain(&warning.to_string());
                    }
                };
            if let Some((asked, ticket)) =
                session.start_change_quota(&root, &changes, &mut shell.quotas)?
            {
                return Ok(Step::Sent(Box::new(move |shell, out| {
                    let told = shell.session()?.wait(ticket)?;
                    tell(&root, &asked, told.as_ref(), out);
                    Ok(())
                })));
            }
            in_turn(move |shell, out| {
                let (asked, told) = shell.session()?.change_quota(root.clone(), &changes)?;
                tell(&root, &asked, told.as_ref(), out);
                Ok(())
            })
        }
        Scope::Many(reach) => over(
            input,
            reach,
            Purpose::Use,
            move |session, targets, pace, teller| {
                let mut warned = Warned::default();
                let result =
                    session.change_quotas(targets, &changes, pace, |root, asked, result| {
                        match (asked, result) {
                            (Some(asked), Ok(told)) => {
                                set(root, &asked.limits, told.as_ref(), teller.out);
                                warned.count(&asked.warnings);
                            }
                            (_, Err(error)) => teller.failed(
                                vec![("root", Value::text(root)), undone("set", false, error)],
                                error,
                            ),
                            (None, Ok(_)) => {}
                        }
                        teller.told(root)
                    });
                warned.tell();
                result
            },
        ),
    }
}

/// The warnings of many roots: the first one, and how many there were.
#[derive(Default)]
struct Warned {
    first: Option<String>,
    more: u64,
}

impl Warned {
    fn count(&mut self, warnings: &[QuotaWarning]) {
        for warning in warnings {
            match self.first {
                Some(_) => self.more += 1,
                None => self.first = Some(warning.to_string()),
            }
        }
    }

    fn tell(&self) {
        match (&self.first, self.more) {
            (None, _) => {}
            (Some(first), 0) => complain(first),
            (Some(first), 1) => complain(&format!("{first}; the same applies to 1 other root")),
            (Some(first), more) => {
                complain(&format!("{first}; the same applies to {more} other roots"))
            }
        }
    }
}

/// Sets the limits as they are, whatever was there before.
fn set_only(
    shell: &mut Shell,
    input: &Input,
    scope: Scope,
    changes: &[LimitChange],
) -> Result<Step, Error> {
    let session = shell.session()?;
    match scope {
        Scope::One(root) => {
            let limits = absolute(&root, changes)?;
            let request = session.set_quota_request(root.clone(), limits.clone())?;
            submit(shell, request, move |told, out| {
                set(&root, &limits, told.as_ref(), out);
            })
        }
        Scope::Many(reach) => {
            let limits = absolute(reach.name(), changes)?;
            // What is wrong with the limits is wrong with them for every root.
            let model = session.set_quota_request(reach.name().clone(), limits.clone())?;
            each(
                input,
                reach,
                move |_, mailbox| {
                    let mut request = model.clone();
                    request.root = mailbox.clone();
                    Ok([(request, ())])
                },
                |mailbox, _| vec![("root", Value::text(mailbox))],
                Some(("set", false)),
                move |root, (), told, out| set(root, &limits, told.as_ref(), out),
            )
        }
    }
}

fn absolute(root: &MailboxName, changes: &[LimitChange]) -> Result<Vec<Limit>, Error> {
    let changes = changes.iter();
    changes.map(|change| change.limit(root, None)).collect()
}

/// The rows of the limits that were set: as the server told them, else as they were asked for.
fn set(root: &MailboxName, limits: &[Limit], told: Option<&Quota>, out: &mut Report) {
    for limit in limits {
        let name = limit.resource.as_str();
        let now = told.map(|quota| {
            let mut resources = quota.resources.iter();
            let now = resources.find(|now| now.name.eq_ignore_ascii_case(name));
            now.map(|now| now.limit)
        });
        let (value, set) = match now {
            None => (Value::Number(limit.amount), true),
            Some(Some(now)) => (Value::Number(now), true),
            Some(None) => (Value::Absent("none"), false),
        };
        out.row(&[
            ("root", Value::text(root)),
            ("resource", Value::str(name)),
            ("limit", value),
            ("set", Value::Flag(set)),
        ]);
        match now {
            Some(Some(now)) if now != limit.amount => complain(&format!(
                "the server set the limit of {root} for {name} to {now}, not to {}",
                limit.amount
            )),
            Some(None) => complain(&format!(
                "the server said OK, but {root} has no limit for {name}"
            )),
            _ => {}
        }
    }
    if limits.is_empty() {
        let left = told.is_some_and(|quota| !quota.resources.is_empty());
        out.row(&[
            ("root", Value::text(root)),
            ("resource", Value::Absent("all")),
            UNLIMITED,
            ("set", Value::Flag(!left)),
        ]);
        if left {
            complain(&format!("the server said OK, but {root} still has limits"));
        }
    }
}
