//! Access control lists (RFC 4314): GETACL, SETACL, DELETEACL, MYRIGHTS, LISTRIGHTS, and rights as people write them.

use std::collections::VecDeque;
use std::fmt;
use std::ops::ControlFlow;

use crate::account::{Account, Outcome};
use crate::error::{Advice, Error, Reason, Refusal};
use crate::session::{
    Capabilities, Effect, Extension, Fit, IntoMailbox, MailboxName, Pace, Request, Session,
    Software, State, Ticket,
};
use crate::wire::cursor::{Cursor, ParseError};
use crate::wire::encode::Encoder;
use crate::wire::response::{Data, Status};

use super::many::{Tally, Targets};
use super::{Answer, name_asked_for, right_advice};

/// Lists that are asked for together before they are emptied.
const LISTS_TOGETHER: usize = 200;

const ACL: Extension = Extension {
    name: "ACL",
    implied_by: &[],
    rfc: "RFC 4314",
};

/// One entry of an access control list: an identifier and its rights (RFC 4314 section 2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AclEntry {
    /// The identifier: a user, `anyone`, `group:…`; with a leading `-` its rights are taken away.
    pub identifier: String,
    /// The rights, in the server's order.
    pub rights: String,
}

/// A mailbox's access control list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acl {
    /// The mailbox.
    pub mailbox: MailboxName,
    /// Its entries, in the server's order.
    pub entries: Vec<AclEntry>,
}

impl Acl {
    /// The entry of an identifier. Case does not count: Cyrus removes `bob` when it is told to remove `Bob`.
    pub fn entry(&self, identifier: &str) -> Option<&AclEntry> {
        let mut entries = self.entries.iter();
        entries.find(|entry| entry.identifier.eq_ignore_ascii_case(identifier))
    }
}

/// What SETACL does with the rights it names (RFC 4314 section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// They become the identifier's rights.
    Replace,
    /// They are added (`+`).
    Add,
    /// They are taken away (`-`).
    Remove,
}

/// A change to an identifier's rights, as typed: `lrs`, `+w`, `-x`, `read`, `+write`, `none`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RightsChange {
    /// What happens with the letters.
    pub mode: Mode,
    /// The rights, one letter each.
    pub letters: String,
}

/// The shorthands: the word, its letters by RFC 4314, and by RFC 2086 for servers without RIGHTS=.
const SHORTHANDS: [(&str, &str, &str); 7] = [
    ("none", "", ""),
    ("read", "lrs", "lrs"),
    ("post", "lrsp", "lrsp"),
    ("append", "lrsip", "lrsip"),
    ("write", "lrswipkxte", "lrswipcd"),
    ("delete", "lrxte", "lrcd"),
    ("all", "lrswipkxtea", "lrswipcda"),
];

impl RightsChange {
    /// Reads rights as typed; a shorthand becomes the letters that this server knows.
    ///
    /// No server expands the shorthands: it would take `all` as the letters a, l and l.
    ///
    /// # Errors
    /// [`Error::Usage`] for anything but letters and digits.
    pub fn parse(typed: &str, capabilities: &Capabilities) -> Result<Self, Error> {
        let (mode, word) = match typed.as_bytes().first() {
            Some(b'+') => (Mode::Add, &typed[1..]),
            Some(b'-') => (Mode::Remove, &typed[1..]),
            _ => (Mode::Replace, typed),
        };
        if word.is_empty() && mode != Mode::Replace {
            return Err(Error::Usage(format!(
                "{typed:?} contains no rights; write them after the sign, as in +lrs"
            )));
        }
        let letters = match SHORTHANDS.iter().find(|(name, ..)| *name == word) {
            Some((_, new, old)) => {
                if has_rfc4314_rights(capabilities) {
                    *new
                } else {
                    *old
                }
            }
            None => word,
        };
        // A mistyped shorthand whose letters happen to be rights would give them: `raed` holds a, administer.
        if let Some((meant, ..)) = SHORTHANDS
            .iter()
            .find(|(name, ..)| word.len() > 3 && strsim::damerau_levenshtein(name, word) == 1)
        {
            return Err(Error::Usage(format!(
                "did you mean {meant} by {word}? If you mean the rights themselves, write their letters in another order"
            )));
        }
        // RFC 4314 section 2.1: rights are lower-case letters, and digits for the implementation's own.
        if let Some(odd) = letters
            .chars()
            .find(|c| !c.is_ascii_lowercase() && !c.is_ascii_digit())
        {
            return Err(Error::Usage(format!(
                "invalid right {odd:?} in {typed:?}; write letters such as lrswipkxtea, or one of none, read, post, append, write, \
                 delete, all, optionally with + or - in front"
            )));
        }
        Ok(Self {
            mode,
            letters: letters.to_owned(),
        })
    }
}

/// Whether the server splits the rights c and d into k, x, t and e (RFC 4314 section 2.1.1).
fn has_rfc4314_rights(capabilities: &Capabilities) -> bool {
    capabilities
        .values("RIGHTS")
        .any(|letters| "kxte".chars().all(|letter| letters.contains(letter)))
}

impl fmt::Display for RightsChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.mode {
            Mode::Replace => "",
            Mode::Add => "+",
            Mode::Remove => "-",
        };
        write!(f, "{sign}{}", self.letters)
    }
}

/// GETACL (RFC 4314 section 3.3).
#[derive(Debug, Clone)]
pub struct GetAcl {
    mailbox: MailboxName,
    reply: Answer<Acl>,
}

impl GetAcl {
    /// Asks for the list of `mailbox`.
    pub fn new(mailbox: MailboxName) -> Self {
        Self {
            mailbox,
            reply: Answer::default(),
        }
    }
}

/// The mailbox at the head of a response, if it is the one asked about.
fn head<'a, T>(
    data: &Data<'a>,
    mailbox: &MailboxName,
    fit: Fit<'_>,
    answer: &mut Answer<T>,
) -> Result<Option<(MailboxName, Cursor<'a>)>, ParseError> {
    let mut body = data.body;
    let name = name_asked_for(&mut body, mailbox.wire(), "a mailbox")?;
    Ok(answer
        .is_for(&name, mailbox, fit)
        .then(|| (MailboxName::from_wire(&name), body)))
}

/// Rights in a reply: letters and digits (RFC 4314 section 2.1), or none. What holds anything else is no such thing, but a part of a name.
fn read_rights(body: &mut Cursor<'_>) -> Result<String, ParseError> {
    let before = *body;
    let rights = body.expect_astring("rights")?;
    if !rights.iter().all(u8::is_ascii_alphanumeric) {
        return Err(before.error("rights"));
    }
    Ok(String::from_utf8_lossy(&rights).into_owned())
}

impl Request for GetAcl {
    type Reply = Acl;
    fn verb(&self) -> &'static str {
        "GETACL"
    }
    fn effect(&self) -> Effect {
        Effect::Read
    }
    fn extension(&self) -> Option<Extension> {
        Some(ACL)
    }
    fn subject(&self) -> Option<&MailboxName> {
        Some(&self.mailbox)
    }
    fn write(&self, command: &mut Encoder<'_>) {
        command.atom("GETACL").space().mailbox(self.mailbox.wire());
    }
    fn take(&mut self, data: &Data<'_>, fit: Fit<'_>) -> Result<bool, ParseError> {
        if !data.is("ACL") {
            return Ok(false);
        }
        let Some((mailbox, mut body)) = head(data, &self.mailbox, fit, &mut self.reply)? else {
            return Ok(false);
        };
        let mut entries = Vec::new();
        while !body.is_end() {
            let identifier =
                String::from_utf8_lossy(&body.expect_astring("an identifier")?).into_owned();
            body.expect_space()?;
            let rights = read_rights(&mut body)?;
            entries.push(AclEntry { identifier, rights });
            body.skip_spaces();
        }
        self.reply.take(Acl { mailbox, entries }, fit);
        Ok(true)
    }
    fn finish(self, _: &Status<'_>, _: &mut State) -> Result<Acl, Error> {
        self.reply
            .or_missing("GETACL", "ACL", &self.mailbox, Advice::TryAgain)
    }
    fn refused(&self, refusal: &Refusal, _: &mut State) -> Option<Advice> {
        acl_advice(refusal, &self.mailbox)
    }
}

/// SETACL (RFC 4314 section 3.1).
#[derive(Debug, Clone)]
pub struct SetAcl {
    /// The mailbox.
    pub mailbox: MailboxName,
    /// Whose rights change.
    pub identifier: String,
    /// How they change.
    pub change: RightsChange,
}

impl Request for SetAcl {
    type Reply = ();
    fn verb(&self) -> &'static str {
        "SETACL"
    }
    fn effect(&self) -> Effect {
        Effect::Change
    }
    fn extension(&self) -> Option<Extension> {
        Some(ACL)
    }
    fn write(&self, command: &mut Encoder<'_>) {
        command
            .atom("SETACL")
            .space()
            .mailbox(self.mailbox.wire())
            .space()
            .astring(self.identifier.as_bytes());
        command.space().astring(self.change.to_string().as_bytes());
    }
    fn finish(self, _: &Status<'_>, _: &mut State) -> Result<(), Error> {
        Ok(())
    }
    fn refused(&self, refusal: &Refusal, _: &mut State) -> Option<Advice> {
        acl_advice(refusal, &self.mailbox)
    }
}

impl SetAcl {
    /// That a list, read afterwards, has the rights that were asked for. More of them is no failure: servers give some rights only together.
    ///
    /// # Errors
    /// [`Error::NotAsAsked`].
    fn shows_in(&self, list: &Acl) -> Result<(), Error> {
        // The rights c and d stand for others (RFC 4314 section 2.1.1), and a server may show either.
        let asked = self.change.letters.chars().filter(|c| !"cd".contains(*c));
        let entry = list.entry(&self.identifier);
        let there = entry.map_or("", |entry| entry.rights.as_str());
        // Under another name, such as `bob` for `user=bob`, it may be there all the same.
        if entry.is_none() && self.identifier.contains(['=', ':', '@']) {
            return Ok(());
        }
        let differs: String = match self.change.mode {
            Mode::Replace | Mode::Add => asked.filter(|c| !there.contains(*c)).collect(),
            Mode::Remove => asked.filter(|c| there.contains(*c)).collect(),
        };
        if differs.is_empty() {
            return Ok(());
        }
        let who = &self.identifier;
        Err(Error::NotAsAsked {
            verb: "SETACL",
            found: match entry {
                Some(_) => format!("{who} now has {there} on {}", self.mailbox),
                None => format!("{who} is not in the ACL of {}", self.mailbox),
            },
            advice: Advice::SeeRights,
        })
    }
}

/// DELETEACL (RFC 4314 section 3.2).
#[derive(Debug, Clone)]
pub struct DeleteAcl {
    /// The mailbox.
    pub mailbox: MailboxName,
    /// Whose entry goes.
    pub identifier: String,
}

impl Request for DeleteAcl {
    type Reply = ();
    fn verb(&self) -> &'static str {
        "DELETEACL"
    }
    fn effect(&self) -> Effect {
        Effect::Change
    }
    fn extension(&self) -> Option<Extension> {
        Some(ACL)
    }
    fn write(&self, command: &mut Encoder<'_>) {
        command
            .atom("DELETEACL")
            .space()
            .mailbox(self.mailbox.wire())
            .space()
            .astring(self.identifier.as_bytes());
    }
    fn finish(self, _: &Status<'_>, _: &mut State) -> Result<(), Error> {
        Ok(())
    }
    fn refused(&self, refusal: &Refusal, _: &mut State) -> Option<Advice> {
        acl_advice(refusal, &self.mailbox)
    }
}

/// Changes of one mailbox's list that were sent, and the looks at the list around them; see [`Session::start_set_acl`] and
/// [`Session::start_delete_acl`].
#[derive(Debug)]
#[must_use = "the commands were sent, but their outcome is in Session::finish_set_acl or finish_delete_acl"]
pub struct Editing<R: Request> {
    mailbox: MailboxName,
    before: Option<Ticket<GetAcl>>,
    sent: Vec<(Result<Ticket<R>, Error>, R)>,
    after: Option<Ticket<GetAcl>>,
    /// How many were not sent, and why.
    stopped: (u64, Option<Error>),
}

/// The same once it was answered.
struct Edited<R> {
    mailbox: MailboxName,
    /// The lists, where they could be had.
    before: Option<Acl>,
    after: Option<Acl>,
    results: Vec<(R, Result<(), Error>)>,
    stopped: (u64, Option<Error>),
}

/// What became of an entry that was to be removed from a list, where the server said OK.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Removed {
    /// It is not on the list any more.
    Gone,
    /// It was not on the list.
    WasNotListed,
    /// It is still on the list, with these rights: Cyrus leaves an owner some.
    Left {
        /// The rights that it has now.
        rights: String,
        /// Whether it had others before, as far as is known.
        changed: bool,
    },
}

impl Removed {
    /// [`Outcome::Unchanged`] where the list is as it was.
    pub fn outcome(&self) -> Outcome {
        match self {
            Removed::Gone | Removed::Left { changed: true, .. } => Outcome::Done,
            Removed::WasNotListed | Removed::Left { changed: false, .. } => Outcome::Unchanged,
        }
    }
}

/// What became of the entry of `identifier`, one of those `typed`, as far as the lists before and after tell.
fn removed(
    identifier: &str,
    typed: &[String],
    before: Option<&Acl>,
    after: Option<&Acl>,
) -> Removed {
    let had = before.map(|before| before.entry(identifier));
    if let Some(left) = after.and_then(|after| after.entry(identifier)) {
        return Removed::Left {
            rights: left.rights.clone(),
            changed: !matches!(had, Some(Some(had)) if had.rights == left.rights),
        };
    }
    // Under another name, such as one without its domain, it may have been there all the same.
    let went_under_another = || {
        let entries = before.into_iter().flat_map(|before| &before.entries);
        let mut others = entries.filter(|entry| {
            !typed
                .iter()
                .any(|typed| entry.identifier.eq_ignore_ascii_case(typed))
        });
        others.any(|entry| after.is_some_and(|after| after.entry(&entry.identifier).is_none()))
    };
    match had {
        Some(None) if !went_under_another() => Removed::WasNotListed,
        _ => Removed::Gone,
    }
}

/// The logged-in user's rights on a mailbox (RFC 4314 section 3.8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rights {
    /// The mailbox, as the server names it.
    pub mailbox: MailboxName,
    /// The rights, in the server's order.
    pub rights: String,
}

impl Rights {
    /// Reads what stands behind `MYRIGHTS`.
    pub(super) fn read(mut body: Cursor<'_>) -> Result<Self, ParseError> {
        let mailbox = MailboxName::from_wire(&body.expect_astring("a mailbox")?);
        body.expect_space()?;
        Self::read_of(mailbox, body)
    }

    /// The same, from behind the mailbox.
    fn read_of(mailbox: MailboxName, mut body: Cursor<'_>) -> Result<Self, ParseError> {
        let rights = read_rights(&mut body)?;
        body.expect_end()?;
        Ok(Self { mailbox, rights })
    }
}

/// MYRIGHTS (RFC 4314 section 3.5).
#[derive(Debug, Clone)]
pub struct MyRights {
    mailbox: MailboxName,
    reply: Answer<Rights>,
}

impl MyRights {
    /// Asks for the logged-in user's rights on `mailbox`.
    pub fn new(mailbox: MailboxName) -> Self {
        Self {
            mailbox,
            reply: Answer::default(),
        }
    }
}

impl Request for MyRights {
    type Reply = Rights;
    fn verb(&self) -> &'static str {
        "MYRIGHTS"
    }
    fn effect(&self) -> Effect {
        Effect::Read
    }
    fn extension(&self) -> Option<Extension> {
        Some(ACL)
    }
    fn subject(&self) -> Option<&MailboxName> {
        Some(&self.mailbox)
    }
    fn write(&self, command: &mut Encoder<'_>) {
        command
            .atom("MYRIGHTS")
            .space()
            .mailbox(self.mailbox.wire());
    }
    fn take(&mut self, data: &Data<'_>, fit: Fit<'_>) -> Result<bool, ParseError> {
        if !data.is("MYRIGHTS") {
            return Ok(false);
        }
        let Some((mailbox, body)) = head(data, &self.mailbox, fit, &mut self.reply)? else {
            return Ok(false);
        };
        self.reply.take(Rights::read_of(mailbox, body)?, fit);
        Ok(true)
    }
    fn finish(self, _: &Status<'_>, _: &mut State) -> Result<Rights, Error> {
        self.reply
            .or_missing("MYRIGHTS", "MYRIGHTS", &self.mailbox, Advice::TryAgain)
    }
    fn refused(&self, refusal: &Refusal, _: &mut State) -> Option<Advice> {
        refusal
            .is(Reason::NoSuchMailbox)
            .then_some(Advice::LookForName)
    }
}

/// What an identifier can be given on a mailbox (RFC 4314 section 3.7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grantable {
    /// The mailbox, as the server names it.
    pub mailbox: MailboxName,
    /// The identifier, as the server names it.
    pub identifier: String,
    /// The rights that it always has.
    pub required: String,
    /// Those that can be given, each group only as a whole.
    pub optional: Vec<String>,
}

/// LISTRIGHTS (RFC 4314 section 3.4).
#[derive(Debug, Clone)]
pub struct ListRights {
    mailbox: MailboxName,
    identifier: String,
    reply: Answer<Grantable>,
}

impl ListRights {
    /// Asks what `identifier` can be given on `mailbox`.
    pub fn new(mailbox: MailboxName, identifier: String) -> Self {
        Self {
            mailbox,
            identifier,
            reply: Answer::default(),
        }
    }
}

impl Request for ListRights {
    type Reply = Grantable;
    fn verb(&self) -> &'static str {
        "LISTRIGHTS"
    }
    fn effect(&self) -> Effect {
        Effect::Read
    }
    fn extension(&self) -> Option<Extension> {
        Some(ACL)
    }
    fn subject(&self) -> Option<&MailboxName> {
        Some(&self.mailbox)
    }
    fn write(&self, command: &mut Encoder<'_>) {
        command
            .atom("LISTRIGHTS")
            .space()
            .mailbox(self.mailbox.wire())
            .space()
            .astring(self.identifier.as_bytes());
    }
    fn take(&mut self, data: &Data<'_>, fit: Fit<'_>) -> Result<bool, ParseError> {
        if !data.is("LISTRIGHTS") {
            return Ok(false);
        }
        let Some((mailbox, mut body)) = head(data, &self.mailbox, fit, &mut self.reply)? else {
            return Ok(false);
        };
        let identifier = name_asked_for(&mut body, self.identifier.as_bytes(), "an identifier")?;
        if *identifier != *self.identifier.as_bytes() {
            let same = identifier.eq_ignore_ascii_case(self.identifier.as_bytes());
            if fit.is_exact() || !same {
                return Ok(false);
            }
        }
        let required = read_rights(&mut body)?;
        let mut optional = Vec::new();
        body.skip_spaces();
        while !body.is_end() {
            optional.push(read_rights(&mut body)?);
            body.skip_spaces();
        }
        let granted = Grantable {
            mailbox,
            identifier: String::from_utf8_lossy(&identifier).into_owned(),
            required,
            optional,
        };
        self.reply.take(granted, fit);
        Ok(true)
    }
    fn finish(self, _: &Status<'_>, _: &mut State) -> Result<Grantable, Error> {
        self.reply
            .or_missing("LISTRIGHTS", "LISTRIGHTS", &self.mailbox, Advice::TryAgain)
    }
    fn refused(&self, refusal: &Refusal, _: &mut State) -> Option<Advice> {
        acl_advice(refusal, &self.mailbox)
    }
}

fn acl_advice(refusal: &Refusal, mailbox: &MailboxName) -> Option<Advice> {
    if refusal.is(Reason::NoSuchRight) {
        return Some(Advice::SeeRights);
    }
    right_advice(refusal, 'a', Some(mailbox))
}

/// That an identifier can be sent and means somebody.
///
/// # Errors
/// [`Error::Usage`] for one that is empty or holds a NUL.
pub fn check_identifier(identifier: &str) -> Result<(), Error> {
    if identifier.is_empty() || identifier == "-" {
        return Err(Error::Usage(
            "empty identifier; give a user, a group or anyone".into(),
        ));
    }
    if identifier.contains('\0') {
        return Err(Error::Usage(
            "an identifier cannot contain a NUL (\\0); remove it".into(),
        ));
    }
    Ok(())
}

impl Session {
    /// That an identifier can be sent, means somebody, and does no harm.
    ///
    /// # Errors
    /// [`Error::Usage`] for one that is empty, holds a NUL, or would spoil the mailbox on this server.
    pub fn check_identifier(&mut self, identifier: &str) -> Result<(), Error> {
        check_identifier(identifier)?;
        // Cyrus 3.6.1 says NO, keeps the entry all the same, and then lets nobody remove it or create anything below.
        if identifier.contains(['"', '\\']) && self.is_cyrus() {
            return Err(Error::Usage(format!(
                "an identifier with a quote or a backslash ({identifier}) would permanently damage the mailbox's ACL on Cyrus; remove it"
            )));
        }
        Ok(())
    }

    /// The access control list of a mailbox (RFC 4314 section 3.3).
    ///
    /// # Errors
    /// The server has no ACL, or its refusal.
    pub fn get_acl(&mut self, mailbox: impl IntoMailbox) -> Result<Acl, Error> {
        self.run(GetAcl::new(mailbox.into_mailbox()?))
    }

    /// Sets the rights of one or more identifiers on a mailbox (RFC 4314 section 3.1).
    ///
    /// Rights are letters, `+` or `-` letters, or one of `none`, `read`, `post`, `append`, `write`, `delete`, `all`. All are
    /// checked before the first is sent.
    ///
    /// # Errors
    /// The server has no ACL, rights that are none, or the first refusal; those before it are set.
    pub fn set_acl<I: AsRef<str>, R: AsRef<str>>(
        &mut self,
        mailbox: impl IntoMailbox,
        changes: impl IntoIterator<Item = (I, R)>,
    ) -> Result<(), Error> {
        let changes: Vec<_> = changes.into_iter().collect();
        let changes: Vec<_> = changes
            .iter()
            .map(|(identifier, rights)| (identifier.as_ref(), rights.as_ref()))
            .collect();
        let mailbox = mailbox.into_mailbox()?;
        for request in self.set_acl_requests(&mailbox, &changes)? {
            self.run(request)?;
        }
        Ok(())
    }

    /// Sends the requests of [`set_acl_requests`](Self::set_acl_requests) and, behind them, a look at the list; does not wait for the replies.
    ///
    /// # Errors
    /// As [`submit`](Self::submit).
    pub fn start_set_acl(
        &mut self,
        mailbox: MailboxName,
        requests: Vec<SetAcl>,
    ) -> Result<Editing<SetAcl>, Error> {
        self.start_editing(mailbox, requests, false)
    }

    /// Waits for the outcome of [`start_set_acl`](Self::start_set_acl) and tells what became of each change. Of a lone failure `tell` does not
    /// hear.
    ///
    /// # Errors
    /// As [`Tally::finish`]; [`Error::NotAsAsked`] is among the failures where the server said OK and the list shows otherwise.
    pub fn finish_set_acl(
        &mut self,
        editing: Editing<SetAcl>,
        mut tell: impl FnMut(&SetAcl, Result<(), &Error>),
    ) -> Result<Account, Error> {
        let edited = self.finish_editing(editing);
        // Of two changes of one entry only the last one has to show.
        let identifiers: Vec<String> = edited
            .results
            .iter()
            .map(|(request, _)| request.identifier.clone())
            .collect();
        let mut tally = Tally::default();
        let mut tell = |_: &MailboxName, request: SetAcl, result: Result<(), &Error>| {
            tell(&request, result);
        };
        for (at, (request, result)) in edited.results.into_iter().enumerate() {
            let is_last = !identifiers[at + 1..].contains(&request.identifier);
            let result = result.and_then(|()| match &edited.after {
                Some(list) if is_last => request.shows_in(list),
                _ => Ok(()),
            });
            let mailbox = edited.mailbox.clone();
            tally.count(mailbox, request, result, SetAcl::outcome, &mut tell);
        }
        let (left, cause) = edited.stopped;
        tally.leave(left, cause, &mut tell);
        tally.finish()
    }

    /// Sends changes of a mailbox's list and looks at the list behind them, and before them if that matters.
    fn start_editing<R: Request + Clone>(
        &mut self,
        mailbox: MailboxName,
        requests: Vec<R>,
        look_before: bool,
    ) -> Result<Editing<R>, Error> {
        let look = GetAcl::new(mailbox.clone());
        let before = match look_before {
            true => Some(self.submit_next(look.clone())?),
            false => None,
        };
        let all = requests.len();
        let mut sent = Vec::new();
        let mut stopped = None;
        for request in requests {
            match self.submit_next(request.clone()) {
                Err(error) if error.is_grave() => {
                    stopped = Some(error);
                    break;
                }
                ticket => sent.push((ticket, request)),
            }
        }
        // What was sent is told of whether or not this look can be had.
        let after = self.submit_next(look).ok();
        let left = u64::try_from(all - sent.len()).unwrap_or(u64::MAX);
        Ok(Editing {
            mailbox,
            before,
            sent,
            after,
            stopped: (left, stopped),
        })
    }

    /// Waits for all that was sent.
    fn finish_editing<R: Request<Reply = ()>>(&mut self, editing: Editing<R>) -> Edited<R> {
        let before = editing.before.and_then(|look| self.wait(look).ok());
        let mut results = Vec::new();
        for (ticket, request) in editing.sent {
            let result = ticket.and_then(|ticket| self.wait(ticket));
            results.push((request, result));
        }
        let after = editing.after.and_then(|look| self.wait(look).ok());
        Edited {
            mailbox: editing.mailbox,
            before,
            after,
            results,
            stopped: editing.stopped,
        }
    }

    /// Sends a request before those before it are answered, unless the session is not to do that.
    fn submit_next<R: Request>(&mut self, request: R) -> Result<Ticket<R>, Error> {
        if !self.options().pipeline {
            self.settle()?;
        }
        self.submit(request)
    }

    /// The requests of [`set_acl`](Self::set_acl), after the checks that need no answer.
    pub fn set_acl_requests(
        &mut self,
        mailbox: &MailboxName,
        changes: &[(&str, &str)],
    ) -> Result<Vec<SetAcl>, Error> {
        self.require("SETACL", ACL)?;
        for (identifier, _) in changes {
            self.check_identifier(identifier)?;
        }
        let capabilities = self.known_capabilities()?;
        let request = |(identifier, rights): &(&str, &str)| {
            let change = RightsChange::parse(rights, capabilities)?;
            Ok(SetAcl {
                mailbox: mailbox.clone(),
                identifier: (*identifier).to_owned(),
                change,
            })
        };
        changes.iter().map(request).collect()
    }

    /// Removes the entries of one or more identifiers from a mailbox's list (RFC 4314 section 3.2).
    ///
    /// The server says OK also for an identifier that is not on the list; [`start_delete_acl`](Self::start_delete_acl) tells those apart.
    ///
    /// # Errors
    /// The server has no ACL, or the first refusal; those before it are gone.
    pub fn delete_acl<'a>(
        &mut self,
        mailbox: impl IntoMailbox,
        identifiers: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), Error> {
        let mailbox = mailbox.into_mailbox()?;
        for identifier in identifiers {
            self.check_identifier(identifier)?;
            self.run(DeleteAcl {
                mailbox: mailbox.clone(),
                identifier: identifier.to_owned(),
            })?;
        }
        Ok(())
    }

    /// Sends what removes entries from a mailbox's list, between two looks at the list; does not wait for the replies.
    ///
    /// # Errors
    /// As [`check_identifier`](Self::check_identifier) and [`submit`](Self::submit).
    pub fn start_delete_acl(
        &mut self,
        mailbox: MailboxName,
        identifiers: Vec<String>,
    ) -> Result<Editing<DeleteAcl>, Error> {
        for identifier in &identifiers {
            self.check_identifier(identifier)?;
        }
        let requests = identifiers.into_iter().map(|identifier| DeleteAcl {
            mailbox: mailbox.clone(),
            identifier,
        });
        let requests = requests.collect();
        self.start_editing(mailbox, requests, true)
    }

    /// Waits for the outcome of [`start_delete_acl`](Self::start_delete_acl) and tells what became of each entry. Of a lone failure `tell` does
    /// not hear.
    ///
    /// # Errors
    /// As [`Tally::finish`].
    pub fn finish_delete_acl(
        &mut self,
        editing: Editing<DeleteAcl>,
        mut tell: impl FnMut(&DeleteAcl, Result<&Removed, &Error>),
    ) -> Result<Account, Error> {
        let edited = self.finish_editing(editing);
        let typed: Vec<String> = edited
            .results
            .iter()
            .map(|(request, _)| request.identifier.clone())
            .collect();
        let (before, after) = (edited.before.as_ref(), edited.after.as_ref());
        let mut tally = Tally::default();
        let mut tell = |_: &MailboxName, request: DeleteAcl, result: Result<Removed, &Error>| {
            tell(&request, result.as_ref().map_err(|error| *error));
        };
        for (request, result) in edited.results {
            let removed = result.map(|()| removed(&request.identifier, &typed, before, after));
            let mailbox = edited.mailbox.clone();
            tally.count(mailbox, request, removed, Removed::outcome, &mut tell);
        }
        let (left, cause) = edited.stopped;
        tally.leave(left, cause, &mut tell);
        tally.finish()
    }

    /// Takes every entry off the lists of many mailboxes, the logged-in user's own last: whoever takes away its own rights first may not take
    /// away the others'. `tell` hears of each entry; of a mailbox whose list could not be had, without one.
    ///
    /// # Errors
    /// As [`each_of`](Self::each_of).
    pub fn delete_all_entries(
        &mut self,
        targets: &Targets,
        pace: &mut Pace<'_>,
        tell: impl FnMut(&MailboxName, Option<&DeleteAcl>, Result<(), &Error>) -> ControlFlow<()>,
    ) -> Result<Account, Error> {
        let mut to_ask = targets.iter();
        let mut lists = VecDeque::new();
        let make = |session: &mut Session, mailbox: &MailboxName| {
            if lists.is_empty() {
                let ask = to_ask.by_ref().take(LISTS_TOGETHER);
                let ask = ask.map(|listed| MailboxName::from_wire(&listed.mailbox));
                let ask = ask.map(|mailbox| ((), GetAcl::new(mailbox)));
                session.run_each(ask, |(), result| {
                    lists.push_back(result);
                    ControlFlow::Continue(())
                })?;
            }
            let acl = lists.pop_front().transpose()?;
            let entries = acl.map(|acl| session.removable(acl)).unwrap_or_default();
            let requests = entries.into_iter().map(|entry| DeleteAcl {
                mailbox: mailbox.clone(),
                identifier: entry.identifier,
            });
            Ok(requests
                .map(|request| (request.clone(), request))
                .collect::<Vec<_>>())
        };
        self.each_of(targets, pace, make, tell)
    }

    /// The entries of a list that can be taken off it, the logged-in user's own last.
    fn removable(&mut self, acl: Acl) -> Vec<AclEntry> {
        let mut entries = acl.entries;
        let is_global = |entry: &AclEntry| entry.identifier.starts_with('#');
        // Dovecot shows the entries of its global ACL file with a `#`; they are no part of the mailbox's own list.
        if entries.iter().any(is_global) && self.software() == Some(Software::Dovecot) {
            entries.retain(|entry| !is_global(entry));
        }
        let own = self.state().user();
        entries.sort_by_key(|entry| Some(entry.identifier.as_str()) == own);
        entries
    }

    /// The logged-in user's rights on a mailbox, in the server's order (RFC 4314 section 3.5).
    ///
    /// # Errors
    /// The server has no ACL, or its refusal.
    pub fn my_rights(&mut self, mailbox: impl IntoMailbox) -> Result<String, Error> {
        Ok(self.run(MyRights::new(mailbox.into_mailbox()?))?.rights)
    }

    /// What an identifier always has and what it can be given on a mailbox (RFC 4314 section 3.4).
    ///
    /// # Errors
    /// The server has no ACL, or its refusal.
    pub fn list_rights(
        &mut self,
        mailbox: impl IntoMailbox,
        identifier: &str,
    ) -> Result<Grantable, Error> {
        self.check_identifier(identifier)?;
        self.run(ListRights::new(
            mailbox.into_mailbox()?,
            identifier.to_owned(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::cursor::Cursor;
    use crate::wire::response::{Response, Untagged, parse};

    fn capabilities(text: &str) -> Capabilities {
        Capabilities::read(Cursor::new(text.as_bytes()))
    }

    #[test]
    fn shorthands_become_the_letters_the_server_knows() {
        let new = capabilities("IMAP4rev1 ACL RIGHTS=kxten");
        let old = capabilities("IMAP4rev1 ACL");
        for (typed, with_new, with_old) in [
            ("all", "lrswipkxtea", "lrswipcda"),
            ("write", "lrswipkxte", "lrswipcd"),
            ("none", "", ""),
            ("+read", "+lrs", "+lrs"),
            ("-delete", "-lrxte", "-lrcd"),
            ("lrs9", "lrs9", "lrs9"),
            ("", "", ""),
        ] {
            assert_eq!(
                RightsChange::parse(typed, &new).unwrap().to_string(),
                with_new,
                "{typed}"
            );
            assert_eq!(
                RightsChange::parse(typed, &old).unwrap().to_string(),
                with_old,
                "{typed}"
            );
        }
    }

    #[test]
    fn what_is_no_right_is_refused_before_sending() {
        for typed in ["lr s", "LRS", "lr\"", "+", "-", "++w", "Ã¼"] {
            assert_eq!(
                RightsChange::parse(typed, &capabilities("ACL"))
                    .unwrap_err()
                    .kind(),
                "usage",
                "{typed:?}"
            );
        }
    }

    fn take<R: Request>(mut request: R, line: &str) -> R {
        let Response::Untagged(Untagged::Data(data)) = parse(line.as_bytes()).unwrap() else {
            panic!("{line}")
        };
        assert!(request.take(&data, Fit::Exact).unwrap(), "{line}");
        request
    }

    #[test]
    fn acl_lines_of_real_servers() {
        let entries = |line: &str| {
            take(GetAcl::new(MailboxName::from_wire(b"foo")), line)
                .reply
                .told
                .unwrap()
                .entries
        };
        let dovecot =
            entries("* ACL foo $staff lrs bob \"\" -bob xc \"with space\" lr #admin akxeilprwtscd");
        assert_eq!(dovecot.len(), 5);
        assert_eq!(
            dovecot[1],
            AclEntry {
                identifier: "bob".into(),
                rights: String::new()
            }
        );
        assert_eq!(dovecot[2].identifier, "-bob");
        assert_eq!(dovecot[3].identifier, "with space");
        assert!(entries("* ACL foo").is_empty());
        assert_eq!(entries("* ACL \"foo\" \"owner\" \"acdilrsw\"").len(), 1);
    }

    #[test]
    fn listrights_keeps_its_groups() {
        let request = ListRights::new(MailboxName::from_wire(b"INBOX.foo"), "alice".into());
        let reply = take(
            request,
            "* LISTRIGHTS INBOX.foo alice lkxcan r s w i p te d",
        )
        .reply
        .told
        .unwrap();
        assert_eq!(reply.required, "lkxcan");
        assert_eq!(reply.optional, ["r", "s", "w", "i", "p", "te", "d"]);
    }

    #[test]
    fn the_own_name_counts_more_than_another_one_of_the_mailbox() {
        let bob = State::of_user(Some("bob"));
        let line = |line: &'static str, fit, request: &mut MyRights| {
            let Response::Untagged(Untagged::Data(data)) = parse(line.as_bytes()).unwrap() else {
                panic!("{line}")
            };
            request.take(&data, fit).unwrap()
        };
        let mut request = MyRights::new(MailboxName::from_wire(b"user.bob"));
        let (inbox, own) = ("* MYRIGHTS INBOX lrs", "* MYRIGHTS user.bob lr");
        assert!(!line(inbox, Fit::Exact, &mut request));
        assert!(line(inbox, Fit::Alias(&bob), &mut request));
        assert!(!line(
            "* MYRIGHTS user.eve l",
            Fit::Alias(&bob),
            &mut request
        ));
        assert_eq!(request.reply.told.as_ref().unwrap().rights, "lrs");
        assert!(line(own, Fit::Exact, &mut request));
        assert!(!line(inbox, Fit::Alias(&bob), &mut request));
        assert_eq!(request.reply.told.unwrap().rights, "lr");
    }
}
