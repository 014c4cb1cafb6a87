//! Many mailboxes, one engine: which they are, what is sent for each, and the one account of what became of it.
//!
//! [`Session::find`] collects [`Targets`] in little memory. [`Session::each_of`] makes the requests for each of them as they are sent and
//! tells of every reply as it comes, and [`Session::delete_each`] deletes them deepest first; both end in an [`Account`]. Not here: how far
//! ahead requests are sent (`session::flow`), and what any request means.

use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::VecDeque;
use std::ops::ControlFlow;

use crate::account::{Account, Outcome};
use crate::error::{Error, Reason};
use crate::session::{IntoMailbox, MailboxName, Next, Pace, Request, Session};
use crate::wire::utf7;

use super::mailbox::{Delete, Listed, Listing, is_cyrus_user};
use super::mailboxes::Mailboxes;

/// Which mailboxes a command is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// Those that match a LIST pattern.
    Pattern(MailboxName),
    /// This one and all below it.
    Subtree(MailboxName),
}

impl Reach {
    /// The pattern, or the mailbox.
    pub fn name(&self) -> &MailboxName {
        let (Reach::Pattern(name) | Reach::Subtree(name)) = self;
        name
    }

    /// The pattern as it is typed, or the mailbox.
    pub fn shown(&self) -> String {
        match self {
            Reach::Pattern(pattern) => {
                let wire = pattern.wire();
                utf7::decode(wire)
                    .unwrap_or(String::from_utf8_lossy(wire))
                    .into_owned()
            }
            Reach::Subtree(root) => root.to_string(),
        }
    }

    /// That it comes to nothing.
    pub fn not_listed(&self) -> Error {
        Error::NotListed {
            mailbox: match self {
                Reach::Pattern(_) => format!("that matches {}", self.shown()),
                Reach::Subtree(_) => self.shown(),
            },
        }
    }
}

/// What mailboxes are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To do something to each. Names without a mailbox (\Noselect, \NonExistent) are only counted.
    Use,
    /// To be deleted. Of a pattern this is also what the server removes along with those that match
    /// ([`Session::takes_all_below`]), though it does not match itself. Of a subtree it is also the names without a mailbox: they are part
    /// of what is to go, and some servers keep them when nothing is below them any more.
    Delete,
    /// To be told, not touched: what DELETE of a mailbox that [takes all below](Session::takes_all_below) removes. With virtual domains
    /// that is user.dora.Sub@example.net for user.dora@example.net, and without them somebody else's, which nobody can tell from the names.
    Tell,
}

/// The mailboxes that a [`Reach`] comes to, by name and each once. They take ten bytes each besides their names.
#[derive(Debug, Clone, Default)]
pub struct Targets {
    all: Mailboxes,
    /// Places in `all`.
    order: Vec<u32>,
    passed_over: u64,
}

impl Targets {
    /// These mailboxes, in this order.
    pub fn of(mailboxes: impl IntoIterator<Item = MailboxName>) -> Self {
        let mut targets = Self::default();
        for mailbox in mailboxes {
            let listed = Listed::new(mailbox.wire().into(), None, b"");
            if let (true, Ok(place)) = (targets.all.push(&listed), targets.all.len().try_into()) {
                let place: u32 = place;
                targets.order.push(place - 1);
            }
        }
        targets
    }

    /// Those of a listing for which `is_meant`.
    fn select(all: Mailboxes, purpose: Purpose, is_meant: impl Fn(&Listed<'_>) -> bool) -> Self {
        let mut order = all.by_name();
        let mut passed_over = 0;
        order.retain(|place| {
            let Some(listed) = at(&all, *place) else {
                return false;
            };
            // Without a name it would stand for the server in some commands.
            if listed.mailbox.is_empty() || !is_meant(&listed) {
                return false;
            }
            let goes_along = purpose != Purpose::Delete && listed.is_only_a_name();
            passed_over += u64::from(goes_along);
            !goes_along
        });
        Self {
            all,
            order,
            passed_over,
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// How many of them are mailboxes, and not only names.
    pub fn mailboxes(&self) -> u64 {
        let mailboxes = self.iter().filter(|listed| !listed.is_only_a_name());
        mailboxes.count() as u64
    }

    /// How many names without a mailbox were passed over.
    pub fn passed_over(&self) -> u64 {
        self.passed_over
    }

    /// The one at `index`, by name.
    pub fn get(&self, index: usize) -> Option<Listed<'_>> {
        at(&self.all, *self.order.get(index)?)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Listed<'_>> {
        self.order.iter().filter_map(|place| at(&self.all, *place))
    }

    /// Marks all that lie above the one at `index`.
    fn mark_above(&self, index: usize, marks: &mut [bool]) {
        let Some(listed) = self.get(index) else {
            return;
        };
        for (end, byte) in listed.mailbox.iter().enumerate() {
            if listed.separator == Some(*byte)
                && let Some(index) = self.find(&listed.mailbox[..end])
            {
                marks[index] = true;
            }
        }
    }

    /// Where a name stands, if it is among them.
    fn find(&self, wire: &[u8]) -> Option<usize> {
        self.order
            .binary_search_by(|place| {
                at(&self.all, *place)
                    .map_or(std::cmp::Ordering::Less, |one| (*one.mailbox).cmp(wire))
            })
            .ok()
    }
}

fn at(all: &Mailboxes, place: u32) -> Option<Listed<'_>> {
    all.get(usize::try_from(place).ok()?)
}

/// The account of a command that does several things, as it goes on, and the one error that is told at the end.
///
/// A lone failure is the command's own error and says it all, so the first failure is told of only when there is something else beside it.
#[derive(Debug)]
pub struct Tally<K> {
    account: Account,
    /// The first thing of all, if it failed.
    held: Option<(MailboxName, K, Error)>,
    /// What failed first, or what stopped everything.
    first: Option<(Option<MailboxName>, Error)>,
}

impl<K> Default for Tally<K> {
    fn default() -> Self {
        Self {
            account: Account::default(),
            held: None,
            first: None,
        }
    }
}

impl<K> Tally<K> {
    /// Counts one thing that was done to a mailbox, or that failed, and tells of it: `outcome` is what became of it where it did not fail.
    pub fn count<T>(
        &mut self,
        mailbox: MailboxName,
        key: K,
        result: Result<T, Error>,
        outcome: impl FnOnce(&T) -> Outcome,
        tell: &mut impl FnMut(&MailboxName, K, Result<T, &Error>),
    ) {
        if let Some((mailbox, key, error)) = self.held.take() {
            tell(&mailbox, key, Err(&error));
            self.keep(Some(mailbox), error);
        }
        match result {
            Ok(reply) => {
                self.account.count(outcome(&reply));
                tell(&mailbox, key, Ok(reply));
            }
            Err(error) => {
                self.account.count(error.outcome());
                if self.account.all() == 1 {
                    self.held = Some((mailbox, key, error));
                } else {
                    tell(&mailbox, key, Err(&error));
                    self.keep(Some(mailbox), error);
                }
            }
        }
    }

    /// Counts what was never sent, and why.
    pub fn leave<T>(
        &mut self,
        count: u64,
        cause: Option<Error>,
        tell: &mut impl FnMut(&MailboxName, K, Result<T, &Error>),
    ) {
        if count > 0
            && let Some((mailbox, key, error)) = self.held.take()
        {
            tell(&mailbox, key, Err(&error));
            self.keep(Some(mailbox), error);
        }
        self.account.add(Outcome::NotSent, count);
        if let Some(cause) = cause {
            self.keep(None, cause);
        }
    }

    /// Whether the connection was lost or the user interrupted.
    fn is_over(&self) -> bool {
        let held = self.held.as_ref().map(|(_, _, error)| error);
        let first = self.first.as_ref().map(|(_, error)| error);
        held.or(first).is_some_and(Error::is_grave)
    }

    /// What became of everything so far.
    pub fn account(&self) -> Account {
        self.account
    }

    /// The first failure is told, and a lost connection or an interrupt must not hide behind it.
    fn keep(&mut self, mailbox: Option<MailboxName>, error: Error) {
        match &self.first {
            Some((_, first)) if first.is_grave() || !error.is_grave() => {}
            _ => self.first = Some((mailbox, error)),
        }
    }

    /// The account, or one error for all failures.
    ///
    /// # Errors
    /// The error itself of the only thing there was to do, or where nothing was ever sent; [`Error::Stopped`] where the connection was lost or
    /// the user interrupted; else [`Error::Several`].
    pub fn finish(self) -> Result<Account, Error> {
        let Self {
            account,
            held,
            first,
        } = self;
        if let Some((_, _, error)) = held {
            return Err(error);
        }
        match first {
            None => Ok(account),
            Some((None, cause)) if account.all() == account.not_sent => Err(cause),
            Some((_, cause)) if cause.is_grave() => Err(Error::Stopped {
                cause: Box::new(cause),
                account,
            }),
            Some((mailbox, error)) => Err(Error::Several {
                account,
                mailbox: mailbox.map(|mailbox| mailbox.to_string()),
                first: Box::new(error),
            }),
        }
    }
}

impl Session {
    /// The mailboxes that a command is for.
    ///
    /// # Errors
    /// [`Error::NotListed`] if there is none at all; [`Error::TooLong`] for more than can be kept; else as [`list`](Self::list). To be
    /// deleted, [`Error::Usage`] also for all that is in a namespace.
    pub fn find(&mut self, reach: &Reach, purpose: Purpose) -> Result<Targets, Error> {
        let targets = match reach {
            Reach::Pattern(pattern) => self.find_matching(pattern, purpose)?,
            Reach::Subtree(root) => {
                if purpose == Purpose::Delete {
                    self.check_is_no_namespace(root)?;
                }
                self.find_subtree(root, purpose)?
            }
        };
        if targets.is_empty() && targets.passed_over == 0 {
            return Err(reach.not_listed());
        }
        Ok(targets)
    }

    fn find_matching(&mut self, pattern: &MailboxName, purpose: Purpose) -> Result<Targets, Error> {
        let all = self.list_compact(Listing::All, &MailboxName::from_wire(b""), pattern)?;
        let targets = Targets::select(all, Purpose::Use, |_| true);
        // Behind a `*` at the end, all that is below what matches matches too.
        if purpose == Purpose::Use || pattern.wire().ends_with(b"*") {
            return Ok(targets);
        }
        let takes_along =
            |listed: Listed<'_>| is_cyrus_user(&MailboxName::from_wire(&listed.mailbox));
        if !targets.iter().any(takes_along) || !self.is_cyrus() {
            return Ok(targets);
        }
        let Some(separator) = self.separator_for(pattern)? else {
            return Ok(targets);
        };
        let below = MailboxName::from_wire(&[pattern.wire(), &[separator, b'*']].concat());
        let mut all = Mailboxes::new();
        for listed in targets.iter() {
            if !all.push(&listed) {
                return Err(Error::TooLong { verb: "LIST" });
            }
        }
        self.list_into(&mut all, Listing::All, &MailboxName::from_wire(b""), &below)?;
        let goes = |listed: &Listed<'_>| {
            let own = |name: &[u8]| targets.find(name).is_some();
            let name = MailboxName::from_wire(&listed.mailbox);
            own(&listed.mailbox)
                || name
                    .parents(Some(separator))
                    .any(|parent| own(parent.wire()) && is_cyrus_user(&parent))
        };
        let mut all = Targets::select(all, Purpose::Use, goes);
        all.passed_over = targets.passed_over;
        Ok(all)
    }

    /// A mailbox and all below it, as the server lists them.
    fn find_subtree(&mut self, root: &MailboxName, purpose: Purpose) -> Result<Targets, Error> {
        let mut all = Mailboxes::new();
        self.list_into(&mut all, Listing::All, &MailboxName::from_wire(b""), root)?;
        // The root may itself hold `%` or `*`, which LIST takes for wildcards: only what really is it counts.
        let own = all
            .iter()
            .filter(|listed| MailboxName::same(&listed.mailbox, root.wire()))
            .last();
        let (has_children, has_none) = own.as_ref().map_or((false, false), |own| {
            (own.has("\\HasChildren"), own.has("\\NoInferiors"))
        });
        // What the server says of this name counts more than what it says of others; only where it says none may the user know better.
        let separator = match own.map(|own| own.separator) {
            Some(separator) => separator.or(self.options().separator),
            None => self.separator_for(root)?,
        };
        let domain = match purpose {
            Purpose::Tell => root.wire().iter().rposition(|byte| *byte == b'@'),
            Purpose::Use | Purpose::Delete => None,
        };
        let domain = domain.map(|at| root.wire().split_at(at));
        let is_below = |listed: &Listed<'_>| {
            separator.is_some_and(|separator| {
                MailboxName::from_wire(&listed.mailbox).is_below(root, separator)
                    || domain.is_some_and(|(local, domain)| {
                        let rest = listed.mailbox.strip_prefix(local);
                        rest.is_some_and(|rest| {
                            rest.first() == Some(&separator) && rest.ends_with(domain)
                        })
                    })
            })
        };
        if let Some(separator) = separator.filter(|_| !has_none) {
            let mut patterns = vec![[root.wire(), &[separator, b'*']].concat()];
            patterns
                .extend(domain.map(|(local, domain)| [local, &[separator, b'*'], domain].concat()));
            for below in patterns {
                let below = MailboxName::from_wire(&below);
                self.list_into(&mut all, Listing::All, &MailboxName::from_wire(b""), &below)?;
            }
        }
        if has_children && !all.iter().any(|listed| is_below(&listed)) {
            return Err(Error::ChildrenUnlisted {
                mailbox: root.to_string(),
            });
        }
        Ok(Targets::select(all, purpose, |listed| {
            MailboxName::same(&listed.mailbox, root.wire()) || is_below(listed)
        }))
    }

    /// Does something to each of many mailboxes, in their order. `make` gives the requests for one of them when its turn comes, each with a
    /// key that comes back with its reply; where it fails, that is a failure of this mailbox, whose key is `None`. `tell` hears of
    /// everything that was done or failed, as the replies come; after a `Break` nothing more is sent. A failure does not keep the others from
    /// being sent, but for one that [is grave](Error::is_grave). Of a lone failure `tell` does not hear: it is the error that is returned.
    ///
    /// # Errors
    /// As [`Tally::finish`].
    pub fn each_of<R, K, I>(
        &mut self,
        targets: &Targets,
        pace: &mut Pace<'_>,
        mut make: impl FnMut(&mut Session, &MailboxName) -> Result<I, Error>,
        mut tell: impl FnMut(&MailboxName, Option<&K>, Result<R::Reply, &Error>) -> ControlFlow<()>,
    ) -> Result<Account, Error>
    where
        R: Request,
        I: IntoIterator<Item = (R, K)>,
    {
        let mut tally = Tally::default();
        let enough = Cell::new(false);
        let mut tell = |mailbox: &MailboxName, key: Option<K>, result: Result<R::Reply, &Error>| {
            enough.set(enough.get() | tell(mailbox, key.as_ref(), result).is_break());
        };
        let mut left = targets.iter();
        let mut made = VecDeque::new();
        // Requests that were taken up, and how many the last mailbox came to.
        let (mut taken, mut of_each) = (0, 1);
        let next = |session: &mut Session| -> Next<R, (MailboxName, Option<K>)> {
            loop {
                if let Some((request, mailbox, key)) = made.pop_front() {
                    taken += 1;
                    return Ok(Some(((mailbox, Some(key)), Ok(request))));
                }
                let Some(listed) = left.next() else {
                    return Ok(None);
                };
                let mailbox = MailboxName::from_wire(&listed.mailbox);
                match make(session, &mailbox) {
                    Ok(requests) => {
                        let of_this = requests.into_iter();
                        made.extend(of_this.map(|(request, key)| (request, mailbox.clone(), key)));
                        of_each = made.len().max(1);
                    }
                    Err(error) => {
                        taken += 1;
                        if error.is_grave() {
                            return Err(error);
                        }
                        return Ok(Some(((mailbox, None), Err(error))));
                    }
                }
            }
        };
        let sent = self.run_next(pace, next, |(mailbox, key), result| {
            tally.count(mailbox, key, result, R::outcome, &mut tell);
            flow(enough.get())
        });
        let not_made = u64::try_from(left.count() * of_each + made.len()).unwrap_or(u64::MAX);
        tally.leave(
            not_made + taken - tally.account.all(),
            sent.err(),
            &mut tell,
        );
        tally.finish()
    }

    /// Deletes many mailboxes, deepest first and those of one depth at a time: whether a mailbox may go depends on what became of those below
    /// it, and on nothing beside it. `tell` hears of each as it goes or stays; [`Outcome::Unchanged`] is one that was gone already, with what
    /// was below it or because somebody else deleted it. After a `Break` nothing more is sent. Of a lone failure `tell` does not hear.
    ///
    /// A mailbox above one that stayed is not tried: the server could take that along (a user's root on Cyrus does).
    ///
    /// # Errors
    /// As [`Tally::finish`].
    pub fn delete_each(
        &mut self,
        targets: &Targets,
        pace: &mut Pace<'_>,
        mut tell: impl FnMut(&MailboxName, Result<Outcome, &Error>) -> ControlFlow<()>,
    ) -> Result<Account, Error> {
        let mut tally = Tally::default();
        let enough = Cell::new(false);
        let mut tell = |mailbox: &MailboxName, (): (), result: Result<Outcome, &Error>| {
            enough.set(enough.get() | tell(mailbox, result).is_break());
        };
        let mut order: Vec<(Reverse<usize>, usize)> =
            targets.iter().map(depth).map(Reverse).zip(0..).collect();
        order.sort_unstable();
        // Those above one that stayed.
        let mut needed = vec![false; targets.len()];
        let mut stopped = None;
        for level in order.chunk_by(|a, b| a.0 == b.0) {
            let mut level = level.iter();
            let next = |_: &mut Session| {
                Ok(level.next().and_then(|(_, index)| {
                    let mailbox = MailboxName::from_wire(&targets.get(*index)?.mailbox);
                    let request = if needed[*index] {
                        Err(Error::BelowStayed)
                    } else {
                        Ok(Delete { mailbox })
                    };
                    Some((*index, request))
                }))
            };
            let mut stayed = Vec::new();
            let sent = self.run_next(pace, next, |index, result| {
                let Some(listed) = targets.get(index) else {
                    return ControlFlow::Continue(());
                };
                let result = match result {
                    Ok(()) => Ok(Outcome::Done),
                    // Dovecot lists some names that go with what was below them without \Noselect.
                    Err(Error::Refused(refusal))
                        if refusal.is(Reason::NoSuchMailbox)
                            && (tally.account.done > 0 || listed.is_only_a_name()) =>
                    {
                        Ok(Outcome::Unchanged)
                    }
                    Err(error) => {
                        stayed.push(index);
                        Err(error)
                    }
                };
                let mailbox = MailboxName::from_wire(&listed.mailbox);
                tally.count(mailbox, (), result, |outcome| *outcome, &mut tell);
                flow(enough.get())
            });
            for index in stayed {
                targets.mark_above(index, &mut needed);
            }
            stopped = sent.err();
            if stopped.is_some() || enough.get() || tally.is_over() {
                break;
            }
        }
        let all = u64::try_from(targets.len()).unwrap_or(u64::MAX);
        tally.leave(all - tally.account.all(), stopped, &mut tell);
        tally.finish()
    }

    /// Deletes a mailbox and all below it, as [`delete_each`](Self::delete_each) does.
    ///
    /// # Errors
    /// The listing failed, nothing by that name exists, it is a namespace; else as [`delete_each`](Self::delete_each).
    pub fn delete_subtree(
        &mut self,
        mailbox: impl IntoMailbox,
        mut tell: impl FnMut(&MailboxName, Result<Outcome, &Error>),
    ) -> Result<Account, Error> {
        let reach = Reach::Subtree(mailbox.into_mailbox()?);
        let targets = self.find(&reach, Purpose::Delete)?;
        let account = self.delete_each(&targets, &mut Pace::default(), |mailbox, result| {
            tell(mailbox, result);
            ControlFlow::Continue(())
        })?;
        // Only names, which no DELETE takes away.
        if account.done == 0 {
            return Err(reach.not_listed());
        }
        Ok(account)
    }
}

fn flow(enough: bool) -> ControlFlow<()> {
    if enough {
        ControlFlow::Break(())
    } else {
        ControlFlow::Continue(())
    }
}

/// How deep a mailbox lies.
fn depth(listed: Listed<'_>) -> usize {
    let bytes = listed.mailbox.iter();
    bytes
        .filter(|byte| listed.separator == Some(**byte))
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::response::{Response, Untagged, parse};

    /// A listing of these lines.
    fn listing(lines: &[&str]) -> Mailboxes {
        let mut all = Mailboxes::new();
        for line in lines {
            match parse(format!("* LIST {line}").as_bytes()).unwrap() {
                Response::Untagged(Untagged::Data(data)) => {
                    assert!(all.push(&Listed::read(data.body).unwrap()));
                }
                other => panic!("{other:?}"),
            }
        }
        all
    }

    fn names(targets: &Targets) -> Vec<String> {
        let names = targets.iter();
        names
            .map(|listed| String::from_utf8_lossy(&listed.mailbox).into_owned())
            .collect()
    }

    #[test]
    fn targets_are_the_last_word_on_each_name() {
        let lines = [
            "() \".\" b",
            "() \".\" a",
            "(\\Noselect) \".\" c",
            "(\\NonExistent) \".\" a",
            "() \".\" c",
            "(\\NONEXISTENT) \".\" d",
            "() \".\" b",
        ];
        let targets = Targets::select(listing(&lines), Purpose::Use, |_| true);
        assert_eq!(names(&targets), ["b", "c"]);
        assert_eq!((targets.len(), targets.passed_over()), (2, 2));
        let targets = Targets::select(listing(&lines), Purpose::Delete, |_| true);
        assert_eq!(names(&targets), ["a", "b", "c", "d"]);
        assert_eq!(targets.passed_over(), 0);
        let targets = Targets::select(listing(&lines), Purpose::Use, |one| *one.mailbox != *b"b");
        assert_eq!(names(&targets), ["c"]);
    }

    #[test]
    fn those_above_are_marked_and_nothing_beside_them() {
        let targets = Targets::select(
            listing(&[
                "() \".\" a",
                "() \".\" a.b",
                "() \".\" a.b.c",
                "() \".\" a.bc",
                "() \".\" b",
            ]),
            Purpose::Delete,
            |_| true,
        );
        let marked = |index| {
            let mut marks = vec![false; targets.len()];
            targets.mark_above(index, &mut marks);
            marks
        };
        assert_eq!(marked(2), [true, true, false, false, false]);
        assert_eq!(marked(3), [true, false, false, false, false]);
        assert_eq!(marked(4), [false; 5]);
        let depths: Vec<usize> = targets.iter().map(depth).collect();
        assert_eq!(depths, [0, 1, 2, 1, 0]);
    }

    /// What is told of things that end so, and the end.
    fn tallied(
        results: Vec<Result<Outcome, Error>>,
        left: u64,
        cause: Option<Error>,
    ) -> (Vec<bool>, Result<Account, Error>) {
        let mut told = Vec::new();
        let mut tell = |_: &MailboxName, (): (), result: Result<Outcome, &Error>| {
            told.push(result.is_ok());
        };
        let mut tally = Tally::default();
        for (at, result) in results.into_iter().enumerate() {
            let mailbox = MailboxName::from_wire(format!("m{at}").as_bytes());
            tally.count(mailbox, (), result, |outcome| *outcome, &mut tell);
        }
        tally.leave(left, cause, &mut tell);
        (told, tally.finish())
    }

    fn refused() -> Error {
        Error::Usage("no".into())
    }

    fn lost(outcome: Outcome) -> Error {
        Error::Lost {
            verb: "SETACL",
            cause: crate::error::LostCause::Closed,
            outcome,
        }
    }

    #[test]
    fn a_lone_failure_is_the_error_and_no_row() {
        let (told, end) = tallied(vec![Err(refused())], 0, None);
        assert!(told.is_empty());
        assert!(matches!(end, Err(Error::Usage(_))), "{end:?}");
        // With anything beside it, even if that was never sent, it is a row.
        for (more, left) in [(vec![Ok(Outcome::Done)], 0), (vec![], 1)] {
            let mut results = vec![Err(refused())];
            let expected = 1 + more.len();
            results.extend(more);
            let (told, end) = tallied(results, left, None);
            assert_eq!(told.len(), expected);
            match end {
                Err(Error::Several {
                    account,
                    mailbox,
                    first,
                }) => {
                    assert_eq!(account.failed, 1);
                    assert_eq!(
                        (mailbox.as_deref(), &*first.to_string()),
                        (Some("m0"), "no")
                    );
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn the_account_holds_each_once_whatever_ends_it() {
        let (told, end) = tallied(vec![Ok(Outcome::Done), Ok(Outcome::Unchanged)], 0, None);
        assert_eq!(told.len(), 2);
        let account = end.unwrap();
        assert_eq!((account.done, account.unchanged, account.all()), (1, 1, 2));

        // A lost connection is not hidden by what failed before it.
        let results = vec![
            Ok(Outcome::Done),
            Err(refused()),
            Err(lost(Outcome::Unknown)),
        ];
        let (_, end) = tallied(results, 4, Some(lost(Outcome::NotSent)));
        match end {
            Err(Error::Stopped { cause, account }) => {
                assert_eq!(cause.outcome(), Outcome::Unknown);
                let Account {
                    done,
                    failed,
                    unknown,
                    not_sent,
                    ..
                } = account;
                assert_eq!((done, failed, unknown, not_sent), (1, 1, 1, 4));
            }
            other => panic!("{other:?}"),
        }

        // Nothing was sent at all.
        let (_, end) = tallied(vec![], 3, Some(lost(Outcome::NotSent)));
        assert_eq!(end.unwrap_err().kind(), "not-sent");
    }
}
