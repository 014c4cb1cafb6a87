//! One command for many mailboxes: a pattern, or a mailbox with all below it.
//!
//! Lives here: which mailboxes are meant, the question before many are changed, and their rows. Not here: what is done to each one (the
//! commands say), the engine that does it and keeps the account (`imapadm::admin::many`), nor how its progress looks (`report::progress`).

use std::ops::ControlFlow;

use imapadm::admin::many::{Purpose, Reach, Targets};
use imapadm::session::{MailboxName, Pace, Request};
use imapadm::{Account, Error, Session};

use super::super::Shell;
use super::super::ask::ask;
use super::super::command::{Command, Flag, Flow, Input, Step, is_pattern};
use super::alone;
use crate::report::progress::Progress;
use crate::report::{Cell, Report, Value, complain};

pub(super) const RECURSIVE: Flag = Flag {
    name: "recursive",
    short: Some('r'),
    value: None,
    help: "with all mailboxes below it",
    secret: false,
};
pub(super) const YES: Flag = Flag {
    name: "yes",
    short: Some('y'),
    value: None,
    help: "change many mailboxes without asking",
    secret: false,
};

/// What a command is for.
pub(super) enum Scope {
    /// One mailbox.
    One(MailboxName),
    /// As many as that comes to.
    Many(Reach),
}

/// What the word at `index` stands for: a name with `*` or `%` is a pattern, unless it is written behind `wire:`.
///
/// # Errors
/// As [`Input::mailbox`].
pub(super) fn scope(input: &Input, index: usize, shell: &Shell) -> Result<Scope, Error> {
    match input.word(index) {
        Some(word) if is_pattern(word) => {
            if input.has("recursive") {
                return Err(input.command.misuse(
                    "--recursive is for one mailbox and all below it; a pattern such as user.* says itself what it matches",
                ));
            }
            Ok(Scope::Many(Reach::Pattern(MailboxName::pattern(word)?)))
        }
        _ => {
            let mailbox = input.mailbox(index, shell)?;
            Ok(if input.has("recursive") {
                Scope::Many(Reach::Subtree(mailbox))
            } else {
                Scope::One(mailbox)
            })
        }
    }
}

/// Whether these may be changed: before many are, whoever sits at the terminal is asked.
///
/// # Errors
/// They pressed Ctrl-C.
pub(super) fn agreed(
    shell: &Shell,
    command: &Command,
    targets: &Targets,
    yes: bool,
) -> Result<bool, Error> {
    let count = targets.len();
    let asks = command.flow == Flow::Changes && shell.settings.interactive && !yes && count > 1;
    let ends = targets.get(0).zip(targets.get(count.saturating_sub(1)));
    if asks && let Some((first, last)) = ends {
        let question = format!(
            "{} will change {count} mailboxes, from {} to {}. Go on? (yes/no) ",
            command.name,
            MailboxName::show(&first.mailbox),
            MailboxName::show(&last.mailbox)
        );
        if !ask(&question)? {
            complain("nothing was changed");
            return Ok(false);
        }
    }
    Ok(true)
}

/// Tells of names that are no mailboxes.
pub(super) fn tell_passed_over(count: u64) {
    match count {
        0 => {}
        1 => complain("1 name without a mailbox (\\Noselect, \\NonExistent) was passed over"),
        more => complain(&format!(
            "{more} names without a mailbox (\\Noselect, \\NonExistent) were passed over"
        )),
    }
}

/// Finds the mailboxes of `reach`, asks where that is due, and lets `work` do what is to be done to them. It is called with each row as it
/// comes, and with how far it is.
pub(super) fn over(
    input: &Input,
    reach: Reach,
    purpose: Purpose,
    work: impl FnOnce(&mut Session, &Targets, &mut Teller<'_>) -> Result<Account, Error> + 'static,
) -> Result<Step, Error> {
    let command = input.command;
    let yes = input.has("yes");
    alone(move |shell, out| {
        let targets = shell.session()?.find(&reach, purpose)?;
        if !agreed(shell, command, &targets, yes)? {
            return Ok(());
        }
        let mut teller = Teller {
            out,
            progress: Progress::new(targets.len()),
            last: None,
            reads: command.flow == Flow::Reads,
        };
        let result = work(shell.session()?, &targets, &mut teller);
        teller.progress.end();
        tell_passed_over(targets.passed_over());
        out.account(result?);
        Ok(())
    })
}

/// Where the rows of a command for many mailboxes go.
pub(super) struct Teller<'a> {
    pub(super) out: &'a mut Report,
    progress: Progress,
    /// The mailbox of the last row.
    last: Option<MailboxName>,
    reads: bool,
}

impl Teller<'_> {
    /// Something was told of a mailbox. Whether it is worth going on: what only reads need not where nobody can hear of it any more.
    pub(super) fn told(&mut self, mailbox: &MailboxName) -> ControlFlow<()> {
        if self.last.as_ref() != Some(mailbox) {
            self.last = Some(mailbox.clone());
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
        row.push(("reason", Value::text(error)));
        self.out.row(&row);
    }
}

/// Does something to every mailbox of `reach`: `make` gives the requests for one of them, `row` and the flag `undone` are what is shown of
/// each request that failed, and `tell` reports the reply of one that did not. A failure is a row of its own, and the others go on.
pub(super) fn each<R, K, I>(
    input: &Input,
    reach: Reach,
    make: impl Fn(&mut Session, &MailboxName) -> Result<I, Error> + 'static,
    row: impl for<'k> Fn(&'k MailboxName, Option<&'k K>) -> Vec<Cell<'k>> + 'static,
    undone: Option<(&'static str, bool)>,
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
        move |session, targets, teller| {
            session.each_of(
                targets,
                &mut Pace::default(),
                make,
                |mailbox, key, result| {
                    match (result, key) {
                        (Ok(reply), Some(key)) => tell(mailbox, key, reply, teller.out),
                        (Ok(_), None) => {}
                        (Err(error), key) => {
                            let mut cells = row(mailbox, key);
                            cells.extend(undone.map(|(key, is)| (key, Value::Flag(is))));
                            teller.failed(cells, error);
                        }
                    }
                    teller.told(mailbox)
                },
            )
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
