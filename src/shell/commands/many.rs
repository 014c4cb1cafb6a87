//! One command for many mailboxes: a pattern, or a mailbox with all below it.
//!
//! Lives here: which mailboxes that are, the question before many are changed, the pipeline over all of them, and the account at the end. Not
//! here: what is done to each one (the commands say), nor how its progress looks (`report::progress`).

use imapadm::admin::mailbox::{Found, Reach};
use imapadm::session::{MailboxName, RAW, Request};
use imapadm::{Error, Outcome, Session};

use super::super::Shell;
use super::super::ask::ask;
use super::super::command::{Command, Flag, Flow, Input, Step};
use super::{Tally, alone};
use crate::report::progress::Progress;
use crate::report::{Cell, Report, Value, complain};

pub(super) const RECURSIVE: Flag = Flag {
    name: "recursive",
    short: Some('r'),
    value: None,
    help: "with all mailboxes below it",
};
pub(super) const YES: Flag = Flag {
    name: "yes",
    short: Some('y'),
    value: None,
    help: "change many mailboxes without asking",
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
        Some(word) if word.contains(['*', '%']) && !word.starts_with(RAW) => {
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

/// The mailboxes that were found; before many are changed, whoever sits at the terminal is asked. `None`: they said no.
///
/// # Errors
/// They pressed Ctrl-C.
pub(super) fn agreed(
    shell: &Shell,
    command: &Command,
    found: Found,
    yes: bool,
) -> Result<Option<Found>, Error> {
    let count = found.mailboxes.len();
    let asks = command.flow == Flow::Changes && shell.settings.interactive && !yes && count > 1;
    if asks && let [first, .., last] = &found.mailboxes[..] {
        let question = format!(
            "{} will change {count} mailboxes, from {} to {}. Go on? (yes/no) ",
            command.name, first.name, last.name
        );
        if !ask(&question)? {
            complain("nothing was changed");
            return Ok(None);
        }
    }
    Ok(Some(found))
}

/// Tells of names that are no mailboxes.
pub(super) fn tell_skipped(skipped: usize) {
    match skipped {
        0 => {}
        1 => complain("1 name without a mailbox (\\Noselect, \\NonExistent) was passed over"),
        more => complain(&format!(
            "{more} names without a mailbox (\\Noselect, \\NonExistent) were passed over"
        )),
    }
}

/// Does something to every mailbox of `reach`: `make` gives the requests for one of them, `row` and the flag `undone` are what is shown of
/// each request that failed, and `tell` reports the reply of one that did not. A failure is a row of its own, and the others go on.
pub(super) fn each<R, K>(
    input: &Input,
    reach: Reach,
    make: impl Fn(&mut Session, &MailboxName) -> Result<Vec<(R, K)>, Error> + 'static,
    row: impl Fn(&K) -> Vec<Cell<'_>> + 'static,
    undone: Option<(&'static str, bool)>,
    tell: impl FnMut(&K, R::Reply, &mut Report) + 'static,
) -> Result<Step, Error>
where
    R: Request,
    K: 'static,
{
    let make_all = move |session: &mut Session, mailboxes: Vec<MailboxName>| {
        let mut made = Made::default();
        for mailbox in mailboxes {
            match make(session, &mailbox) {
                Ok(requests) => made.requests.extend(requests),
                Err(error) if error.is_grave() => return Err(error),
                Err(error) => made.unfit.push((mailbox, error)),
            }
        }
        Ok(made)
    };
    each_of(input, reach, make_all, row, undone, tell)
}

/// What is to be sent, with what belongs to each.
pub(super) struct Made<R, K> {
    pub(super) requests: Vec<(R, K)>,
    /// Mailboxes for which there is no request, and why.
    pub(super) unfit: Vec<(MailboxName, Error)>,
}

impl<R, K> Default for Made<R, K> {
    fn default() -> Self {
        Self {
            requests: Vec::new(),
            unfit: Vec::new(),
        }
    }
}

/// As [`each`], where the requests for all mailboxes are made together: something has to be asked about every one first.
pub(super) fn each_of<R, K>(
    input: &Input,
    reach: Reach,
    make: impl FnOnce(&mut Session, Vec<MailboxName>) -> Result<Made<R, K>, Error> + 'static,
    row: impl Fn(&K) -> Vec<Cell<'_>> + 'static,
    undone: Option<(&'static str, bool)>,
    mut tell: impl FnMut(&K, R::Reply, &mut Report) + 'static,
) -> Result<Step, Error>
where
    R: Request,
    K: 'static,
{
    let command = input.command;
    let yes = input.has("yes");
    alone(move |shell, out| {
        let found = shell.session()?.find(&reach)?;
        let Some(found) = agreed(shell, command, found, yes)? else {
            return Ok(());
        };
        let session = shell.session()?;
        let mailboxes = found.mailboxes.into_iter();
        let Made { requests, unfit } = make(session, mailboxes.map(|found| found.name).collect())?;
        let all = requests.len() + unfit.len();
        let mut tally = Tally::of(all);
        let mut fail = |mut cells: Vec<Cell<'_>>, error, out: &mut Report| {
            cells.extend(undone.map(|(key, is)| (key, Value::Flag(is))));
            tally.fail(cells, error, out);
        };
        for (mailbox, error) in unfit {
            fail(vec![("mailbox", Value::text(mailbox))], error, out);
        }
        let mut done = 0;
        let mut progress = Progress::new(requests.len());
        let sent = session.run_each(requests, |key, result| {
            progress.step();
            match result {
                Ok(reply) => {
                    done += 1;
                    tell(&key, reply, out);
                }
                Err(error) => {
                    fail(row(&key), error, out);
                }
            }
        });
        progress.end();
        tell_skipped(found.skipped);
        tally.account.add(Outcome::Done, done);
        let counted = tally.account.all();
        tally
            .account
            .add(Outcome::NotSent, (all as u64).saturating_sub(counted));
        if let Err(cause) = sent
            && !tally.first.as_ref().is_some_and(Error::is_grave)
        {
            tally.first = Some(cause);
        }
        tally.verdict()
    })
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
            Ok(requests.map(|request| (request.clone(), request)).collect())
        },
        row,
        Some((done, false)),
        move |request, (), out| {
            let mut cells = row(request);
            cells.push((done, Value::Flag(true)));
            out.row(&cells);
        },
    )
}
