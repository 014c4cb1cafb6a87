//! One command for many mailboxes: a pattern, or a mailbox with all below it.
//!
//! Lives here: which mailboxes are meant, the question before many are changed, and their rows. Not here: what is done to each one (the
//! commands say), the engine that does it and keeps the account (`imapadm::admin::many`), nor how its progress looks (`report::progress`).

use std::ops::ControlFlow;
use std::time::Duration;

use imapadm::admin::holdings::Holdings;
use imapadm::admin::many::{Purpose, Reach, Targets};
use imapadm::session::{MailboxName, Pace, Request};
use imapadm::{Account, Error, Session};

use super::super::Shell;
use super::super::advice;
use super::super::ask::{self, Question, confirm, counted, number, size};
use super::super::command::{Command, Flag, Input, Step};
use super::in_turn;
use crate::report::progress::Progress;
use crate::report::{Cell, Report, Value, complain};

pub(super) const RECURSIVE: Flag =
    Flag::switch("recursive", "include all mailboxes below it").short('r');
pub(super) const YES: Flag = Flag::switch("yes", "change many mailboxes without asking").short('y');

/// Deletes that are under way at once where somebody watches.
const MOST_DELETES: usize = 16;

/// How long messages are counted before the question is asked.
const COUNTING: Duration = Duration::from_secs(10);

/// Asks, at a terminal, before more than the one mailbox named is changed or deleted.
///
/// # Errors
/// As [`confirm`]; the connection was lost.
pub(super) fn permit(
    shell: &mut Shell,
    command: &Command,
    reach: &Reach,
    purpose: Purpose,
    targets: &Targets,
    yes: bool,
) -> Result<(), Error> {
    if !command.changes() || yes || !shell.settings.interactive {
        return Ok(());
    }
    let (count, is_own) = match purpose {
        Purpose::Use => (targets.len() as u64, targets.len() < 2),
        Purpose::Delete | Purpose::Tell => {
            let count = targets.mailboxes();
            // Names alone hold no messages, and what is named by itself is meant.
            let is_own = count == 0 || count == 1 && names_one(reach, targets);
            (count, is_own)
        }
    };
    if is_own {
        return Ok(());
    }
    let will = match purpose {
        Purpose::Use => format!(
            "{} will change {}",
            command.name,
            these(reach, targets, count)
        ),
        Purpose::Delete | Purpose::Tell => {
            let session = shell.session()?;
            let mut progress = Progress::of("counting messages", targets.len());
            let held = session.holdings(targets, COUNTING, || progress.step());
            progress.end();
            format!(
                "{} will delete {}: {}",
                command.name,
                these(reach, targets, count),
                amount(&held?)
            )
        }
    };
    let names = || -> Box<dyn Iterator<Item = String> + '_> {
        let listed = targets
            .iter()
            .filter(|listed| purpose == Purpose::Use || !listed.is_only_a_name());
        Box::new(listed.map(|listed| MailboxName::show(&listed.mailbox).into_owned()))
    };
    let question = Question {
        will,
        count,
        things: "mailboxes",
        names: &names,
    };
    confirm(&question, &shell.settings.interrupt)
}

/// Whether the mailbox that was named is among them itself.
fn names_one(reach: &Reach, targets: &Targets) -> bool {
    match reach {
        Reach::Pattern(_) => false,
        Reach::Subtree(root) => targets
            .iter()
            .filter(|listed| !listed.is_only_a_name())
            .any(|listed| MailboxName::same(&listed.mailbox, root.wire())),
    }
}

/// The mailboxes in words: `user.zoe and 14 mailboxes below it`.
fn these(reach: &Reach, targets: &Targets, count: u64) -> String {
    match reach {
        Reach::Pattern(_) => {
            let which = counted(count, "mailbox", "mailboxes");
            let matches = if count == 1 { "matches" } else { "match" };
            format!("{which} that {matches} {}", reach.shown())
        }
        Reach::Subtree(root) if names_one(reach, targets) => {
            let below = counted(count - 1, "mailbox", "mailboxes");
            format!("{root} and {below} below it")
        }
        Reach::Subtree(root) => {
            format!("{} below {root}", counted(count, "mailbox", "mailboxes"))
        }
    }
}

/// What mailboxes hold, in words: `1,234 messages, 56 MiB`, and what is not known of it.
fn amount(held: &Holdings) -> String {
    if held.asked < held.mailboxes {
        let counted_so_far = match held.counted {
            0 => String::new(),
            _ => format!(
                ", {} in the first {}",
                messages_and_size(held),
                counted(held.asked, "mailbox", "mailboxes")
            ),
        };
        return format!("too many to count their messages{counted_so_far}");
    }
    let why = match &held.refusal {
        Some(refusal) => format!("STATUS: {} {}", refusal.condition, refusal.text),
        None => "the server does not report it".to_owned(),
    };
    match held.mailboxes - held.counted {
        0 => messages_and_size(held),
        _ if held.counted == 0 => {
            let size = match held.sized {
                0 => String::new(),
                sized if sized == held.mailboxes => format!("{}, ", size(held.bytes)),
                sized => format!("{} in {} of them, ", size(held.bytes), number(sized)),
            };
            format!("{size}number of messages unknown ({why})")
        }
        more => format!(
            "{}; messages unknown in {} ({why})",
            messages_and_size(held),
            counted(more, "mailbox", "mailboxes")
        ),
    }
}

fn messages_and_size(held: &Holdings) -> String {
    let messages = counted(held.messages, "message", "messages");
    match held.sized {
        0 => messages,
        _ => format!("{messages}, {}", size(held.bytes)),
    }
}

/// Sums up what was deleted.
pub(super) fn tell_deleted(account: Account) {
    let deleted = counted(account.done, "mailbox", "mailboxes");
    complain(&match account.unchanged {
        0 => format!("{deleted} deleted"),
        1 => format!("{deleted} deleted, 1 name was already gone"),
        gone => format!(
            "{deleted} deleted, {} names were already gone",
            number(gone)
        ),
    });
}

/// Tells of names that are no mailboxes.
pub(super) fn tell_passed_over(count: u64) {
    match count {
        0 => {}
        1 => complain("1 name without a mailbox (\\Noselect, \\NonExistent) was skipped"),
        more => complain(&format!(
            "{more} names without a mailbox (\\Noselect, \\NonExistent) were skipped"
        )),
    }
}

/// Finds the mailboxes of `reach`, asks where that is due, and lets `act` do what is to be done to them. It is called with each row as it
/// comes, and with how far it is.
pub(super) fn over(
    input: &Input,
    reach: Reach,
    purpose: Purpose,
    act: impl FnOnce(&mut Session, &Targets, &mut Pace<'_>, &mut Teller<'_>) -> Result<Account, Error>
    + 'static,
) -> Result<Step, Error> {
    let command = input.command;
    let yes = input.has("yes");
    in_turn(move |shell, out| {
        let targets = shell.session()?.find(&reach, purpose)?;
        permit(shell, command, &reach, purpose, &targets, yes)?;
        let mut teller = Teller {
            out,
            progress: Progress::new(targets.len()),
            last: Vec::new(),
            reads: !command.changes(),
        };
        let aside = teller.progress.aside();
        let mut stopping = |sent| aside(&ask::stopping(sent));
        let mut pace = Pace::default();
        if shell.settings.interactive {
            pace = pace.when_stopping(&mut stopping);
            if purpose == Purpose::Delete {
                // Whoever sees the wrong rows go by must have something left to stop.
                pace = pace.at_most(MOST_DELETES);
            }
        }
        let result = act(shell.session()?, &targets, &mut pace, &mut teller);
        teller.progress.end();
        tell_passed_over(targets.passed_over());
        let account = result?;
        out.account(account);
        if shell.settings.interactive && purpose == Purpose::Delete {
            tell_deleted(account);
        }
        Ok(())
    })
}

/// Where the rows of a command for many mailboxes go.
pub(super) struct Teller<'a> {
    pub(super) out: &'a mut Report,
    progress: Progress,
    /// The mailbox of the last row.
    last: Vec<u8>,
    reads: bool,
}

impl Teller<'_> {
    /// Something was told of a mailbox. Whether it is worth going on: what only reads need not where nobody can hear of it any more.
    pub(super) fn told(&mut self, mailbox: &MailboxName) -> ControlFlow<()> {
        if self.last != mailbox.wire() {
            self.last.clear();
            self.last.extend_from_slice(mailbox.wire());
            self.progress.step();
        }
        if self.reads && self.out.is_broken() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    /// The row of something that failed.
    pub(super) fn failed(&mut self, mut row: Vec<Cell<'_>>, error: &Error) {
        row.push(("reason", Value::text(advice::message(error))));
        self.out.row(&row);
    }
}

/// The cell `key` of something that did not succeed: `is`, as it was before, or that nobody knows whether it was done.
pub(super) fn undone(key: &'static str, is: bool, error: &Error) -> Cell<'static> {
    let value = match error.is_unknown() {
        true => Value::Absent("unknown"),
        false => Value::Flag(is),
    };
    (key, value)
}

/// Does something to every mailbox of `reach`: `make` gives the requests for one of them, `row` and the flag `before` are what is shown of
/// each request that failed, and `tell` reports the reply of one that did not. A failure is a row of its own, and the others go on.
pub(super) fn each<R, K, I>(
    input: &Input,
    reach: Reach,
    make: impl Fn(&mut Session, &MailboxName) -> Result<I, Error> + 'static,
    row: impl for<'k> Fn(&'k MailboxName, Option<&'k K>) -> Vec<Cell<'k>> + 'static,
    before: Option<(&'static str, bool)>,
    mut tell: impl FnMut(&MailboxName, &K, R::Reply, &mut Report) + 'static,
) -> Result<Step, Error>
where
    R: Request,
    I: IntoIterator<Item = (R, K)>,
    K: 'static,
{
    over(
        input,
        reach,
        Purpose::Use,
        move |session, targets, pace, teller| {
            session.each_of(targets, pace, make, |mailbox, key, result| {
                match (result, key) {
                    (Ok(reply), Some(key)) => tell(mailbox, key, reply, teller.out),
                    (Ok(_), None) => {}
                    (Err(error), key) => {
                        let mut cells = row(mailbox, key);
                        cells.extend(before.map(|(key, is)| undone(key, is, error)));
                        teller.failed(cells, error);
                    }
                }
                teller.told(mailbox)
            })
        },
    )
}

/// The row of a mailbox of which nothing else is to be told.
pub(super) fn name_row<'k, K>(mailbox: &'k MailboxName, _: Option<&'k K>) -> Vec<Cell<'k>> {
    vec![("mailbox", Value::text(mailbox))]
}

/// The same for changes, whose reply is only that they are `done`.
pub(super) fn change_each<R>(
    input: &Input,
    reach: Reach,
    make: impl Fn(&MailboxName) -> Vec<R> + 'static,
    row: fn(&R) -> Vec<Cell<'_>>,
    done: &'static str,
) -> Result<Step, Error>
where
    R: Request<Reply = ()> + Clone,
{
    each(
        input,
        reach,
        move |_, mailbox| {
            let requests = make(mailbox).into_iter();
            Ok(requests.map(|request| (request.clone(), request)))
        },
        move |mailbox, request| match request {
            Some(request) => row(request),
            None => name_row(mailbox, request),
        },
        Some((done, false)),
        move |_, request, (), out| {
            let mut cells = row(request);
            cells.push((done, Value::Flag(true)));
            out.row(&cells);
        },
    )
}
