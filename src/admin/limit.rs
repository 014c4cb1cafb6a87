//! Limits of quotas as people write them, and what SETQUOTA has to be sent so that the other limits of a root stay.
//!
//! SETQUOTA replaces all limits of a root (RFC 2087 section 4.1): one that is not named is gone. So what is there is read first, and sent
//! along. Not here: the requests themselves (`quota`).

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::ops::ControlFlow;

use crate::account::Account;
use crate::error::{Advice, Error, Reason};
use crate::session::{IntoMailbox, MailboxName, Pace, Request, Session, Software, Ticket};

use super::many::Targets;
use super::quota::{GetQuota, GetQuotaRoot, Quota, SetQuota};

/// Roots that are read together before they are changed.
const ROOTS_TOGETHER: usize = 200;

/// Roots that are remembered while many are changed, to tell which ones lie below others.
const ROOTS_ABOVE: usize = 16;

/// Numbers are 63 bits wide (RFC 9208 section 7).
const MOST: u64 = i64::MAX as u64;

/// A limit for one resource (RFC 9208 section 4.1.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// The resource's name, in capitals.
    pub resource: String,
    /// The limit, in the resource's own unit: KiB for storage.
    pub amount: u64,
}

impl Limit {
    /// At most `amount` KiB of messages (the resource STORAGE).
    ///
    /// ```
    /// # use imapadm::{Error, Session, admin::quota::Limit};
    /// fn provision(imap: &mut Session, user: &str) -> Result<(), Error> {
    ///     imap.set_quota(user, &[Limit::storage_kib(2_097_152), Limit::messages(50_000)])?;
    ///     Ok(())
    /// }
    /// ```
    pub fn storage_kib(amount: u64) -> Self {
        Self {
            resource: "STORAGE".into(),
            amount,
        }
    }

    /// At most `amount` messages (the resource MESSAGE).
    pub fn messages(amount: u64) -> Self {
        Self {
            resource: "MESSAGE".into(),
            amount,
        }
    }

    /// Reads a resource and its limit as typed. Storage may have a unit (`500M`, `2.5G`); without one it is KiB.
    ///
    /// # Errors
    /// [`Error::Usage`] for what is no number, or too large.
    pub fn parse(resource: &str, typed: &str) -> Result<Self, Error> {
        let change = LimitChange::parse(resource, typed)?;
        match change.by {
            By::To => Ok(Self {
                resource: change.resource,
                amount: change.amount,
            }),
            By::More | By::Less => Err(invalid(&change.resource, typed)),
        }
    }
}

/// A limit as it is asked for: a number, or so much more or less than the limit there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitChange {
    resource: String,
    by: By,
    amount: u64,
}

/// How a limit changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    To,
    More,
    Less,
}

/// That a word is no limit, and what would be one.
fn invalid(resource: &str, typed: &str) -> Error {
    Error::Usage(if resource.ends_with("STORAGE") {
        format!(
            "invalid limit {typed:?}; write a whole number of KiB, one with a unit (500M, 2.5G, 1T), +1G or -500M to change the current \
             limit, or none"
        )
    } else {
        format!(
            "invalid limit {typed:?} for {resource}; write a whole number, +100 or -100 to change the current limit, or none"
        )
    })
}

impl LimitChange {
    /// Reads a resource and its limit as typed: as [`Limit::parse`], or with `+` or `-` in front.
    ///
    /// # Errors
    /// [`Error::Usage`] for what is no number, or too large.
    pub fn parse(resource: &str, typed: &str) -> Result<Self, Error> {
        let resource = resource.to_ascii_uppercase();
        let wrong = || invalid(&resource, typed);
        let (by, number) = match typed.as_bytes().first() {
            Some(b'+') => (By::More, &typed[1..]),
            Some(b'-') => (By::Less, &typed[1..]),
            _ => (By::To, typed),
        };
        let end = number.find(|c: char| !c.is_ascii_digit() && c != '.');
        let (number, unit) = number.split_at(end.unwrap_or(number.len()));
        let shift = if unit.is_empty() {
            0
        } else if resource.ends_with("STORAGE") {
            shift(unit).ok_or_else(wrong)?
        } else {
            return Err(wrong());
        };
        let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
        // A part of a KiB can't be asked for.
        let is_whole = !number.contains('.');
        if whole.is_empty() || part.is_empty() || part.contains('.') || !(is_whole || shift > 0) {
            return Err(wrong());
        }
        let too_large = || {
            Error::Usage(format!(
                "{typed} is larger than any limit IMAP can set; write none for no limit"
            ))
        };
        let whole: u64 = whole.parse().map_err(|_| too_large())?;
        let part = match part.len() {
            ..=18 => part.parse::<u128>().map_err(|_| wrong())?,
            _ => return Err(wrong()),
        };
        let digits = u32::try_from(number.split_once('.').map_or(1, |(_, part)| part.len()));
        let part = (part << shift) / 10_u128.pow(digits.map_err(|_| wrong())?);
        let amount = (u128::from(whole) << shift) + part;
        let amount = u64::try_from(amount).ok().filter(|amount| *amount <= MOST);
        Ok(Self {
            amount: amount.ok_or_else(too_large)?,
            resource,
            by,
        })
    }

    /// The resource's name, in capitals.
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// Whether it depends on the limit there is.
    pub fn is_relative(&self) -> bool {
        self.by != By::To
    }

    /// The limit that it comes to for `root`, which had the limit `before`.
    ///
    /// # Errors
    /// [`Error::Usage`] where there is no limit to change, or none is left of it.
    pub fn limit(&self, root: &MailboxName, before: Option<u64>) -> Result<Limit, Error> {
        let resource = &self.resource;
        let there_is = || {
            before.ok_or_else(|| {
                Error::Usage(format!(
                    "{root} has no limit for {resource} to change; set one first, without + or -"
                ))
            })
        };
        let amount = match self.by {
            By::To => self.amount,
            By::More => {
                let before = there_is()?;
                let sum = before.checked_add(self.amount);
                sum.filter(|sum| *sum <= MOST).ok_or_else(|| {
                    Error::Usage(format!(
                        "{self} makes the limit of {root} for {resource}, which is {before}, larger than any limit IMAP can set; write none for no limit"
                    ))
                })?
            }
            By::Less => {
                let before = there_is()?;
                before.checked_sub(self.amount).ok_or_else(|| {
                    Error::Usage(format!(
                        "{self} is more than the limit of {root} for {resource}, which is {before}; give the new limit itself"
                    ))
                })?
            }
        };
        Ok(Limit {
            resource: resource.clone(),
            amount,
        })
    }
}

impl From<Limit> for LimitChange {
    fn from(limit: Limit) -> Self {
        Self {
            resource: limit.resource,
            by: By::To,
            amount: limit.amount,
        }
    }
}

/// As it could be typed: `500`, `+1048576`.
impl fmt::Display for LimitChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.by {
            By::To => "",
            By::More => "+",
            By::Less => "-",
        };
        write!(f, "{sign}{}", self.amount)
    }
}

/// How many times a unit doubles a KiB; bytes are too fine for any limit.
fn shift(unit: &str) -> Option<u32> {
    let unit = unit.to_ascii_uppercase();
    let unit = unit
        .strip_suffix("IB")
        .or(unit.strip_suffix('B'))
        .unwrap_or(&unit);
    match unit {
        "K" => Some(0),
        "M" => Some(10),
        "G" => Some(20),
        "T" => Some(30),
        _ => None,
    }
}

/// What an administrator should know of a limit that was set.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum QuotaWarning {
    /// The mailbox had no quota of its own until now, but was part of another root.
    OwnRoot {
        /// The mailbox.
        root: MailboxName,
        /// The root that it was part of.
        above: MailboxName,
    },
    /// More is used than the new limit allows.
    BelowUsage {
        /// The root.
        root: MailboxName,
        /// The new limit.
        limit: Limit,
        /// What is used.
        usage: u64,
    },
}

impl fmt::Display for QuotaWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            QuotaWarning::OwnRoot { root, above } => write!(
                f,
                "{root} is now its own quota root: the limits of {above} no longer apply to it, and its contents no longer count there"
            ),
            QuotaWarning::BelowUsage { root, limit, usage } => write!(
                f,
                "the new limit of {root} for {} is {}, but {usage} is used: nothing can be added until usage drops below the limit",
                limit.resource, limit.amount
            ),
        }
    }
}

/// The limits that were asked for of one root, as numbers, and what is to be known of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Asked {
    /// The limits that were named; none where all are taken away.
    pub limits: Vec<Limit>,
    /// What an administrator should know once they are set.
    pub warnings: Vec<QuotaWarning>,
}

/// What is there before limits are set.
#[derive(Debug, Default)]
struct Before {
    /// The root; `None` where there is none yet.
    quota: Option<Quota>,
    /// The root that the mailbox is part of.
    above: Option<MailboxName>,
}

/// What was read of one root.
#[derive(Debug)]
struct Reading {
    quota: Result<Quota, Error>,
    /// The root that the mailbox is part of, where it is none.
    above: Option<MailboxName>,
}

/// What is there of quota roots that are to be changed; see [`Session::read_quotas`].
#[derive(Debug, Default)]
pub struct QuotasRead {
    /// By what servers leave of a name, each with the name that was asked by.
    readings: HashMap<Vec<u8>, (MailboxName, Option<Reading>)>,
    /// Roots that were changed since then.
    changed: HashSet<MailboxName>,
    /// Nothing is read ahead: it need not be known, or would be known of the wrong root.
    is_none: bool,
}

impl QuotasRead {
    /// Whether there is nothing to be read ahead before `root` is changed.
    pub fn covers(&self, root: &MailboxName, session: &Session) -> bool {
        let read = self.readings.get(&session.plain_name(root));
        self.is_none || read.is_some_and(|(name, _)| name == root)
    }
}

impl Session {
    /// Changes limits of a quota root and keeps the others; no changes at all take all limits away. Returns the limits that were asked for
    /// as numbers, and what the server said that it set.
    ///
    /// # Errors
    /// As [`set_quota`](Self::set_quota); what is there could not be read; a limit that is to be changed is not there.
    pub fn change_quota(
        &mut self,
        root: impl IntoMailbox,
        changes: &[LimitChange],
    ) -> Result<(Asked, Option<Quota>), Error> {
        let root = root.into_mailbox()?;
        let mut before = Before::default();
        if self.has_to_read(changes) {
            let read = self.run(GetQuota::new(root.clone()));
            before = self.before(read, changes)?;
        }
        if before.quota.is_none() {
            before.above = match self.run_root_of(&root) {
                Ok(above) => above,
                Err(error) if error.is_grave() => return Err(error),
                Err(_) => None,
            };
        }
        let (request, asked) = self.plan(root, changes, before)?;
        let told = self.run(request)?;
        Ok((asked, told))
    }

    /// The same for many mailboxes, each of which becomes a quota root if it is none. `tell` hears of each.
    ///
    /// # Errors
    /// As [`each_of`](Self::each_of).
    pub fn change_quotas(
        &mut self,
        targets: &Targets,
        changes: &[LimitChange],
        pace: &mut Pace<'_>,
        tell: impl FnMut(&MailboxName, Option<&Asked>, Result<Option<Quota>, &Error>) -> ControlFlow<()>,
    ) -> Result<Account, Error> {
        let mut to_read = targets.iter();
        let mut read: VecDeque<(Option<u8>, Result<Before, Error>)> = VecDeque::new();
        let mut roots: VecDeque<(MailboxName, Option<u8>)> = VecDeque::new();
        let make = |session: &mut Session, mailbox: &MailboxName| {
            if read.is_empty() {
                let (names, separators): (Vec<MailboxName>, Vec<Option<u8>>) = to_read
                    .by_ref()
                    .take(ROOTS_TOGETHER)
                    .map(|listed| (MailboxName::from_wire(&listed.mailbox), listed.separator))
                    .unzip();
                let all = session.read_together(&names, changes)?;
                read.extend(separators.into_iter().zip(all));
            }
            let (separator, before) = read.pop_front().unwrap_or((None, Ok(Before::default())));
            let mut before = before?;
            // Those that were set a moment ago were none yet when this one was read.
            if before.quota.is_none() && before.above.is_none() {
                let mut above = roots.iter();
                let above = above.find(|(root, separator)| {
                    separator.is_some_and(|separator| mailbox.is_below(root, separator))
                });
                before.above = above.map(|(root, _)| root.clone());
            }
            if before.above.is_none() {
                roots.push_front((mailbox.clone(), separator));
                roots.truncate(ROOTS_ABOVE);
            }
            let (request, asked) = session.plan(mailbox.clone(), changes, before)?;
            Ok([(request, asked)])
        };
        self.each_of(targets, pace, make, tell)
    }

    /// What is there of many roots, each or why not.
    fn read_together(
        &mut self,
        names: &[MailboxName],
        changes: &[LimitChange],
    ) -> Result<Vec<Result<Before, Error>>, Error> {
        if !self.has_to_read(changes) {
            return Ok(names.iter().map(|_| Ok(Before::default())).collect());
        }
        let read = self.read_roots(names)?;
        let all = read.into_iter().map(|Reading { quota, above }| {
            let before = self.before(quota, changes)?;
            Ok(Before { above, ..before })
        });
        Ok(all.collect())
    }

    /// What GETQUOTA says of many roots, and which roots those are part of that are none yet.
    fn read_roots(&mut self, names: &[MailboxName]) -> Result<Vec<Reading>, Error> {
        let mut all = Vec::new();
        for quota in self.ask_together(names.iter().map(|name| GetQuota::new(name.clone())))? {
            all.push(Reading { quota, above: None });
        }
        if !self.mailboxes_are_roots() {
            return Ok(all);
        }
        let is_none = |reading: &Reading| matches!(&reading.quota, Err(Error::Refused(_)));
        // Each with the mailbox to ask about: where there is none yet, it will be part of what the one above it is part of.
        let mut asked: Vec<(usize, MailboxName)> = (0..all.len().min(names.len()))
            .filter(|at| is_none(&all[*at]))
            .map(|at| (at, names[at].clone()))
            .collect();
        while !asked.is_empty() {
            let distinct: HashSet<&MailboxName> = asked.iter().map(|(_, name)| name).collect();
            let distinct: Vec<MailboxName> = distinct.into_iter().cloned().collect();
            let answers = self.ask_together(distinct.iter().cloned().map(GetQuotaRoot::new))?;
            let mut roots: HashMap<MailboxName, Option<MailboxName>> = HashMap::new();
            for (name, answer) in distinct.into_iter().zip(answers) {
                match answer {
                    Ok(quotas) => {
                        roots.insert(name, quotas.into_iter().next().map(|quota| quota.root));
                    }
                    Err(Error::Refused(refusal)) if refusal.is(Reason::NoSuchMailbox) => {}
                    Err(_) => {
                        roots.insert(name, None);
                    }
                }
            }
            let mut above = Vec::new();
            for (at, name) in asked {
                match roots.get(&name) {
                    Some(root) => all[at].above.clone_from(root),
                    None => above.extend(self.parent(&name).map(|parent| (at, parent))),
                }
            }
            asked = above;
        }
        Ok(all)
    }

    /// The answers to many small questions, all of which are asked at once: no more than one round trip for all, as far as the session
    /// lets so many be under way.
    fn ask_together<R: Request>(
        &mut self,
        questions: impl Iterator<Item = R>,
    ) -> Result<Vec<Result<R::Reply, Error>>, Error> {
        let mut answers = Vec::new();
        let mut asked = VecDeque::new();
        let mut questions = questions.fuse();
        loop {
            let question = questions.next();
            let is_last = question.is_none();
            if let Some(question) = question {
                asked.push_back(self.submit(question));
            }
            let waits = is_last || self.is_full() || !self.options().pipeline;
            while waits && let Some(ticket) = asked.pop_front() {
                let answer = ticket.and_then(|ticket| self.wait(ticket));
                match answer {
                    Err(error) if error.is_grave() => return Err(error),
                    answer => answers.push(answer),
                }
            }
            if is_last {
                return Ok(answers);
            }
        }
    }

    /// The name above another one.
    fn parent(&mut self, name: &MailboxName) -> Option<MailboxName> {
        let separator = self.separator_for(name).ok()??;
        let end = name.wire().iter().rposition(|byte| *byte == separator)?;
        let above = name.wire().get(..end).filter(|above| !above.is_empty())?;
        Some(MailboxName::from_wire(above))
    }

    /// Reads what is there of quota roots that [`start_change_quota`](Self::start_change_quota) will then change one by one: so their answers
    /// come together, and none of the changes has to wait for its own. Nothing is read of servers that are not known to need it.
    ///
    /// Between this and the changes, nothing else may change these roots' limits.
    ///
    /// # Errors
    /// As [`run_each`](Self::run_each). That one of them can't be read is told when it is to be changed.
    pub fn read_quotas(&mut self, roots: Vec<MailboxName>) -> Result<QuotasRead, Error> {
        let mut read = QuotasRead::default();
        // Where nobody knows whose INBOX is whose, a change of one root may be that of another.
        if !self.has_to_read(&[]) || self.state().user().is_none() {
            read.is_none = true;
            return Ok(read);
        }
        let mut names = Vec::new();
        for root in roots {
            if let Entry::Vacant(place) = read.readings.entry(self.plain_name(&root)) {
                place.insert((root.clone(), None));
                names.push(root);
            }
        }
        for (name, reading) in names.iter().zip(self.read_roots(&names)?) {
            let plain = self.plain_name(name);
            read.readings.insert(plain, (name.clone(), Some(reading)));
        }
        Ok(read)
    }

    /// Changes limits as [`change_quota`](Self::change_quota) does, where what is there has been read, or need not be; does not wait for
    /// the reply. `None` where it has to be read first, and nothing was sent.
    ///
    /// # Errors
    /// As [`change_quota`](Self::change_quota) and [`submit`](Self::submit).
    pub fn start_change_quota(
        &mut self,
        root: &MailboxName,
        changes: &[LimitChange],
        read: &mut QuotasRead,
    ) -> Result<Option<(Asked, Ticket<SetQuota>)>, Error> {
        // What was read of the same root by another name is old from now on.
        let own = read.readings.remove(&self.plain_name(root));
        let own = own.filter(|(name, _)| name == root);
        let mut before = match own.and_then(|(_, reading)| reading) {
            Some(Reading { quota, above }) => {
                let before = self.before(quota, changes)?;
                Before { above, ..before }
            }
            None if self.has_to_read(changes) => return Ok(None),
            None => Before::default(),
        };
        // Those that became roots since then were none yet when this one was read.
        let are_roots = self.mailboxes_are_roots();
        if are_roots && before.quota.is_none() && !read.changed.is_empty() {
            let mut name = self.parent(root);
            while let Some(above) = name.filter(|above| before.above.as_ref() != Some(above)) {
                if read.changed.contains(&above) {
                    before.above = Some(above);
                    break;
                }
                name = self.parent(&above);
            }
        }
        let (request, asked) = self.plan(root.clone(), changes, before)?;
        let ticket = self.submit(request)?;
        if are_roots {
            read.changed.insert(root.clone());
        }
        Ok(Some((asked, ticket)))
    }

    /// Whether what is there has to be known. Cyrus removes limits that are not named, Dovecot is asked for what is used; of others nothing is
    /// known, and they are sent what was asked for.
    fn has_to_read(&mut self, changes: &[LimitChange]) -> bool {
        let known = matches!(self.software(), Some(Software::Cyrus | Software::Dovecot));
        known || changes.iter().any(LimitChange::is_relative)
    }

    /// What GETQUOTA found. That there is no such root yet is no error: SETQUOTA makes it, or is refused.
    fn before(
        &mut self,
        read: Result<Quota, Error>,
        changes: &[LimitChange],
    ) -> Result<Before, Error> {
        // On Dovecot only a warning hangs on it.
        let is_needed = self.is_cyrus() || changes.iter().any(LimitChange::is_relative);
        match read {
            Ok(quota) if !quota.told && is_needed => Err(Error::Missing {
                verb: "GETQUOTA",
                missing: "QUOTA",
                advice: Advice::GiveLimitItself,
            }),
            Ok(quota) => Ok(Before {
                quota: Some(quota),
                above: None,
            }),
            Err(Error::Refused(refusal)) if refusal.is(Reason::NoSuchMailbox) => {
                Ok(Before::default())
            }
            // Cyrus shows administrators every root, and takes limits from nobody else: the refusal of SETQUOTA says so better.
            Err(Error::Refused(refusal)) if !is_needed || refusal.is(Reason::PermissionDenied) => {
                Ok(Before::default())
            }
            Err(Error::Refused(mut refusal)) => {
                refusal.advice = Some(Advice::SetWithoutReading);
                Err(Error::Refused(refusal))
            }
            Err(error) => Err(error),
        }
    }

    /// Whether a mailbox becomes a quota root when a limit is set on it.
    fn mailboxes_are_roots(&mut self) -> bool {
        self.is_cyrus()
    }

    /// The root that a mailbox is part of, where mailboxes are roots.
    fn run_root_of(&mut self, mailbox: &MailboxName) -> Result<Option<MailboxName>, Error> {
        if !self.mailboxes_are_roots() {
            return Ok(None);
        }
        let roots = self.run(GetQuotaRoot::new(mailbox.clone()))?;
        Ok(roots.into_iter().next().map(|quota| quota.root))
    }

    /// What is to be sent, and what was asked for.
    fn plan(
        &mut self,
        root: MailboxName,
        changes: &[LimitChange],
        before: Before,
    ) -> Result<(SetQuota, Asked), Error> {
        let is_dovecot = self.software() == Some(Software::Dovecot);
        let resources = before
            .quota
            .map(|quota| quota.resources)
            .unwrap_or_default();
        let there = |name: &str| {
            let mut resources = resources.iter();
            resources.find(|resource| resource.name.eq_ignore_ascii_case(name))
        };
        let mut asked = Asked::default();
        for change in changes {
            let now = there(&change.resource);
            let limit = change.limit(&root, now.map(|now| now.limit))?;
            // Dovecot takes 0 for no limit.
            if limit.amount == 0 && change.is_relative() && is_dovecot {
                return Err(Error::Usage(format!(
                    "{change} reduces the limit of {root} for {} to 0, which means no limit on Dovecot; give the new limit itself",
                    limit.resource
                )));
            }
            let unlimited = limit.amount == 0 && is_dovecot;
            if let Some(now) = now.filter(|now| now.usage > limit.amount && !unlimited) {
                asked.warnings.push(QuotaWarning::BelowUsage {
                    root: root.clone(),
                    limit: limit.clone(),
                    usage: now.usage,
                });
            }
            asked.limits.push(limit);
        }
        if let Some(above) = before.above.filter(|above| *above != root) {
            let root = root.clone();
            asked.warnings.push(QuotaWarning::OwnRoot { root, above });
        }
        let mut limits = asked.limits.clone();
        // Dovecot keeps by itself what is not named, and says OK to no limit that it shows of another place.
        if !limits.is_empty() && !is_dovecot {
            let is_named = |name: &str| {
                let mut named = asked.limits.iter();
                named.any(|limit| limit.resource.eq_ignore_ascii_case(name))
            };
            limits.extend(
                resources
                    .iter()
                    .filter(|resource| !is_named(&resource.name))
                    .map(|resource| Limit {
                        resource: resource.name.clone(),
                        amount: resource.limit,
                    }),
            );
        }
        Ok((self.set_quota_request(root, limits)?, asked))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_as_people_write_them() {
        for (resource, typed, amount) in [
            ("STORAGE", "100", 100),
            ("storage", "500M", 500 * 1024),
            ("STORAGE", "10G", 10 * 1024 * 1024),
            ("STORAGE", "10gib", 10 * 1024 * 1024),
            ("STORAGE", "2TB", 2 * 1024 * 1024 * 1024),
            ("STORAGE", "1T", 1024 * 1024 * 1024),
            ("STORAGE", "2.5G", 5 * 512 * 1024),
            ("STORAGE", "0.5M", 512),
            ("STORAGE", "1.75T", 7 * 256 * 1024 * 1024),
            ("STORAGE", "1.3m", 1331),
            ("STORAGE", "5k", 5),
            ("MESSAGE", "1000", 1000),
            ("X-ANNOTATION-STORAGE", "1M", 1024),
            ("STORAGE", "0", 0),
        ] {
            let limit = Limit::parse(resource, typed).unwrap();
            assert_eq!(
                limit,
                Limit {
                    resource: resource.to_uppercase(),
                    amount
                },
                "{typed}"
            );
        }
    }

    #[test]
    fn what_is_no_limit_is_refused() {
        for (resource, typed) in [
            ("STORAGE", ""),
            ("STORAGE", "-1"),
            ("STORAGE", "+1"),
            ("STORAGE", "1.5"),
            ("STORAGE", "1.5K"),
            ("STORAGE", ".5G"),
            ("STORAGE", "1.G"),
            ("STORAGE", "1.2.3G"),
            ("STORAGE", "1,5G"),
            ("STORAGE", "1.0000000000000000001G"),
            ("STORAGE", "unlimited"),
            ("STORAGE", "10X"),
            ("STORAGE", "B"),
            ("STORAGE", "10B"),
            ("STORAGE", "99999999999999999999"),
            ("STORAGE", "9223372036854775807G"),
            ("STORAGE", "８"),
            ("MESSAGE", "10M"),
            ("MESSAGE", "1.5"),
            ("MESSAGE", "all"),
        ] {
            let error = Limit::parse(resource, typed).unwrap_err();
            assert_eq!(error.kind(), "usage", "{resource} {typed}");
            let text = error.to_string();
            assert!(
                text.starts_with("invalid limit") || text.contains("larger than any"),
                "{text}"
            );
        }
        for typed in [
            "+",
            "-",
            "+-1",
            "--1",
            "+x",
            "-1.5",
            "+99999999999999999999",
        ] {
            assert!(LimitChange::parse("STORAGE", typed).is_err(), "{typed}");
        }
    }

    #[test]
    fn limits_that_depend_on_the_one_there_is() {
        let root = MailboxName::from_wire(b"user.bob");
        let limit = |typed: &str, before| {
            let change = LimitChange::parse("STORAGE", typed).unwrap();
            change.limit(&root, before).map(|limit| limit.amount)
        };
        assert_eq!(limit("+1G", Some(5)).unwrap(), 1_048_581);
        assert_eq!(limit("+0.5M", Some(0)).unwrap(), 512);
        assert_eq!(limit("-1M", Some(2048)).unwrap(), 1024);
        assert_eq!(limit("-1M", Some(1024)).unwrap(), 0);
        assert_eq!(limit("7", None).unwrap(), 7);
        for (typed, before, words) in [
            ("+1G", None, "no limit for STORAGE"),
            ("-1", None, "no limit for STORAGE"),
            ("-2", Some(1), "is more than the limit"),
            ("+1", Some(MOST), "larger than any"),
            ("+9223372036854775807", Some(MOST), "larger than any"),
        ] {
            let error = limit(typed, before).unwrap_err().to_string();
            assert!(error.contains(words), "{typed}: {error}");
        }
    }
}
