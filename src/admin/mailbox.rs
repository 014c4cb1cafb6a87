//! Mailboxes: CREATE, DELETE, RENAME, LIST, STATUS.
//!
//! Many of them at once are in `many`, subscriptions (SUBSCRIBE, LSUB) are in `subscription`, the selected mailbox in `selected`.

use std::fmt;
use std::ops::ControlFlow;

use crate::error::{Advice, Error, Reason, Refusal};
use crate::session::{
    Effect, Fit, IntoMailbox, MailboxName, Request, Session, Software, State, Taken,
};
use crate::wire::cursor::{Cursor, ParseError};
use crate::wire::encode::Encoder;
use crate::wire::pattern::Pattern;
use crate::wire::response::{Data, Status as StatusResponse};

use super::listed::{Head, announced};
use super::mailboxes::{EACH, MOST_BYTES, Mailboxes};
use super::{Answer, name_before_list, right_advice};

pub use super::listed::{Listed, Mailbox};

/// CREATE (RFC 3501 section 6.3.3), with a partition on Cyrus.
#[derive(Debug, Clone)]
pub struct Create {
    /// The mailbox to create.
    pub mailbox: MailboxName,
    /// The partition to create it on; Cyrus alone has partitions.
    pub partition: Option<String>,
    /// The name under which the server announced it.
    now: Option<MailboxName>,
}

impl Create {
    /// A mailbox to be, on a partition or where the server puts it.
    pub fn new(mailbox: MailboxName, partition: Option<String>) -> Self {
        Self {
            mailbox,
            partition,
            now: None,
        }
    }
}

impl Request for Create {
    /// The name that it was made under, where the server says so because it is another one than was asked for
    /// (RFC 9051 section 6.3.4).
    type Reply = Option<MailboxName>;
    fn verb(&self) -> &'static str {
        "CREATE"
    }
    fn effect(&self) -> Effect {
        Effect::Change
    }
    fn write(&self, command: &mut Encoder<'_>) {
        command.atom("CREATE").space().mailbox(self.mailbox.wire());
        if let Some(partition) = &self.partition {
            command.space().astring(partition.as_bytes());
        }
    }
    fn take(&mut self, data: &Data<'_>, fit: Fit<'_>) -> Result<bool, ParseError> {
        if fit.is_exact()
            && let Some((now, asked)) = announced(data)
            && MailboxName::same(asked.wire(), self.mailbox.wire())
        {
            self.now = Some(now);
            return Ok(true);
        }
        Ok(false)
    }
    fn finish(self, _: &StatusResponse<'_>, _: &mut State) -> Result<Option<MailboxName>, Error> {
        Ok(self.now)
    }
    fn refused(&self, refusal: &Refusal, _: &mut State) -> Option<Advice> {
        Some(match refusal.reason()? {
            Reason::AlreadyExists => Advice::LookAtMailbox,
            Reason::InvalidName => Advice::AvoidSpecialCharacters,
            Reason::NoSuchPartition => Advice::NamePartition,
            Reason::PermissionDenied => Advice::NeedRightToCreate,
            _ => return None,
        })
    }
}

/// DELETE (RFC 3501 section 6.3.4).
#[derive(Debug, Clone)]
pub struct Delete {
    /// The mailbox to delete.
    pub mailbox: MailboxName,
}

impl Request for Delete {
    type Reply = ();
    fn verb(&self) -> &'static str {
        "DELETE"
    }
    fn effect(&self) -> Effect {
        Effect::Change
    }
    fn write(&self, command: &mut Encoder<'_>) {
        command.atom("DELETE").space().mailbox(self.mailbox.wire());
    }
    fn finish(self, _: &StatusResponse<'_>, state: &mut State) -> Result<(), Error> {
        state.forget_mailbox(&self.mailbox);
        Ok(())
    }
    fn refused(&self, refusal: &Refusal, state: &mut State) -> Option<Advice> {
        Some(match refusal.reason()? {
            Reason::HasChildren => Advice::DeleteChildrenToo,
            Reason::PermissionDenied if !state.capabilities().has("ACL") => {
                Advice::LogInAsAdministrator { or_owner: true }
            }
            // A Cyrus administrator has only the rights l and a everywhere: enough to give itself this one.
            Reason::PermissionDenied => Advice::TakeRight {
                right: 'x',
                mailbox: self.mailbox.to_string(),
                user: state.user().map(str::to_owned),
            },
            Reason::NoSuchMailbox => Advice::LookForName,
            _ => return None,
        })
    }
}

/// RENAME (RFC 3501 section 6.3.5), with a partition on Cyrus.
///
/// On Cyrus, renaming a mailbox to itself with a partition moves it to that partition.
#[derive(Debug, Clone)]
pub struct Rename {
    /// Its name now.
    pub from: MailboxName,
    /// Its name afterwards.
    pub to: MailboxName,
    /// The partition to move it to; Cyrus alone has partitions.
    pub partition: Option<String>,
    /// Mailboxes that the server said it renamed.
    count: u64,
    /// The name under which the server announced it.
    now: Option<MailboxName>,
}

/// What a RENAME did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Renamed {
    /// The name that the mailbox has now, which is not always the one that was asked for.
    pub to: MailboxName,
    /// How many mailboxes were renamed with it, itself included, where the server says so (Cyrus: one untagged OK each).
    pub count: Option<u64>,
}

impl Rename {
    /// A rename, to a partition or staying where it is.
    pub fn new(from: MailboxName, to: MailboxName, partition: Option<String>) -> Self {
        Self {
            from,
            to,
            partition,
            count: 0,
            now: None,
        }
    }
}

impl Request for Rename {
    type Reply = Renamed;
    fn verb(&self) -> &'static str {
        "RENAME"
    }
    fn effect(&self) -> Effect {
        Effect::Change
    }
    fn write(&self, command: &mut Encoder<'_>) {
        command
            .atom("RENAME")
            .space()
            .mailbox(self.from.wire())
            .space()
            .mailbox(self.to.wire());
        if let Some(partition) = &self.partition {
            command.space().astring(partition.as_bytes());
        }
    }
    fn take(&mut self, data: &Data<'_>, fit: Fit<'_>) -> Result<bool, ParseError> {
        if fit.is_exact()
            && let Some((now, before)) = announced(data)
            && MailboxName::same(before.wire(), self.from.wire())
        {
            self.now = Some(now);
            return Ok(true);
        }
        Ok(false)
    }
    fn take_status(&mut self, status: &StatusResponse<'_>) -> bool {
        // Cyrus 3.6: `* OK rename A B` for each mailbox, the names neither quoted nor parted from each other.
        let ours = status.text.starts_with(b"rename ");
        self.count += u64::from(ours);
        ours
    }
    fn finish(self, _: &StatusResponse<'_>, state: &mut State) -> Result<Renamed, Error> {
        let to = self.now.unwrap_or(self.to);
        state.rename_mailbox(&self.from, &to);
        Ok(Renamed {
            to,
            count: (self.count > 0).then_some(self.count),
        })
    }
    fn refused(&self, refusal: &Refusal, _: &mut State) -> Option<Advice> {
        Some(match refusal.reason() {
            Some(Reason::AlreadyExists) => Advice::ChooseFreeName {
                or_partition: self.partition.is_some(),
            },
            Some(Reason::NoSuchMailbox) => Advice::LookForName,
            Some(Reason::PermissionDenied) => Advice::NeedRightsToRename,
            // What Cyrus says of a partition that it does not have.
            Some(Reason::Unavailable) if self.partition.is_some() && refusal.code.is_none() => {
                Advice::NamePartition
            }
            _ if refusal.says(&["not supported on mailbox"]) => Advice::AllowUserMoves,
            _ if refusal.says(&["cross-server or cross-partition"]) => Advice::RenameThenMove,
            _ => return None,
        })
    }
}

/// Which mailboxes a listing is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listing {
    /// All that can be seen: LIST (RFC 3501 section 6.3.8).
    All,
    /// The subscribed ones: LSUB (RFC 3501 section 6.3.9).
    Subscribed,
}

/// The commands of which one at a time is in flight: nothing in a LIST response tells which LIST it answers.
pub(super) const LISTINGS: &[&str] = &["LIST", "LSUB"];

/// LIST or LSUB; its responses are streamed, see [`Session::list_each`].
#[derive(Debug)]
struct List {
    of: Listing,
    base: MailboxName,
    pattern: MailboxName,
}

impl Request for List {
    type Reply = ();
    fn verb(&self) -> &'static str {
        self.of.verb()
    }
    fn effect(&self) -> Effect {
        Effect::Read
    }
    fn rivals(&self) -> &'static [&'static str] {
        LISTINGS
    }
    fn write(&self, command: &mut Encoder<'_>) {
        command
            .atom(self.of.verb())
            .space()
            .mailbox(self.base.wire())
            .space()
            .list_mailbox(self.pattern.wire());
    }
    fn finish(self, _: &StatusResponse<'_>, _: &mut State) -> Result<(), Error> {
        Ok(())
    }
}

/// LIST or LSUB whose reply is kept, for whoever can't wait for the whole of it at once. [`Session::list_compact`] does without: a
/// listing that is waited for is streamed.
#[derive(Debug)]
pub struct ListCompact {
    list: List,
    asked: Pattern,
    most: usize,
    reply: Mailboxes,
}

impl ListCompact {
    /// What matches a pattern; of more mailboxes than `most`, so many.
    pub fn new(of: Listing, pattern: MailboxName, most: usize) -> Self {
        Self {
            asked: Pattern::new(b"", pattern.wire()),
            list: List {
                of,
                base: MailboxName::from_wire(b""),
                pattern,
            },
            most,
            reply: Mailboxes::new(),
        }
    }
}

impl Request for ListCompact {
    type Reply = Mailboxes;
    fn verb(&self) -> &'static str {
        self.list.verb()
    }
    fn effect(&self) -> Effect {
        self.list.effect()
    }
    fn rivals(&self) -> &'static [&'static str] {
        self.list.rivals()
    }
    fn write(&self, command: &mut Encoder<'_>) {
        self.list.write(command);
    }
    fn take(&mut self, data: &Data<'_>, _: Fit<'_>) -> Result<bool, ParseError> {
        if !data.is(self.list.verb()) {
            return Ok(false);
        }
        let listed = Listed::read(data.body)?;
        if !self.asked.fits(&listed.mailbox, listed.separator) {
            return Ok(false);
        }
        if self.reply.len() < self.most && !self.reply.push(&listed) {
            self.most = self.reply.len();
        }
        Ok(true)
    }
    fn finish(self, _: &StatusResponse<'_>, _: &mut State) -> Result<Mailboxes, Error> {
        Ok(self.reply)
    }
}

impl Listing {
    fn verb(self) -> &'static str {
        match self {
            Listing::All => "LIST",
            Listing::Subscribed => "LSUB",
        }
    }
}

/// Counts in a mailbox (RFC 3501 section 6.3.10, RFC 8438): `MESSAGES`, `RECENT`, `UNSEEN`, `UIDNEXT`,
/// `UIDVALIDITY` and `SIZE` (bytes).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxStatus {
    /// The mailbox.
    pub mailbox: MailboxName,
    /// Item and number, in the server's order.
    pub items: Vec<(String, u64)>,
}

impl MailboxStatus {
    /// Reads what stands behind `STATUS`.
    pub(super) fn read(mut body: Cursor<'_>) -> Result<Self, ParseError> {
        let mailbox = name_before_list(&mut body, "a mailbox")?;
        body.expect_open()?;
        let mut items = Vec::new();
        while body.close().is_none() {
            let item = String::from_utf8_lossy(body.expect_atom()?).to_ascii_uppercase();
            body.expect_space()?;
            if ASKED.contains(&item.as_str()) {
                items.push((item, body.expect_number()?));
            } else {
                // An item of an extension, whose value may be no number.
                body.expect_value()?;
            }
            body.skip_spaces();
        }
        body.expect_end()?;
        Ok(Self {
            mailbox: MailboxName::from_wire(&mailbox),
            items,
        })
    }
}

/// The items that STATUS is asked for, as far as the server has them.
const ASKED: [&str; 6] = [
    "MESSAGES",
    "RECENT",
    "UNSEEN",
    "UIDNEXT",
    "UIDVALIDITY",
    "SIZE",
];

/// STATUS (RFC 3501 section 6.3.10).
#[derive(Debug, Clone)]
pub struct Status {
    mailbox: MailboxName,
    with_size: bool,
    with_recent: bool,
    /// Only how many messages there are, and their size.
    brief: bool,
    reply: Answer<MailboxStatus>,
}

impl Status {
    /// Asks only how many messages there are, and their size where the server has that: the rest may cost it a look at each message.
    pub(super) fn brief(mut self) -> Self {
        self.brief = true;
        self
    }

    /// The same for another mailbox.
    pub(super) fn of(mut self, mailbox: MailboxName) -> Self {
        self.mailbox = mailbox;
        self
    }

    /// Writes the items in their parentheses, with a space in front.
    pub(super) fn write_items(&self, command: &mut Encoder<'_>) {
        command.space().open().atom("MESSAGES");
        if self.with_recent && !self.brief {
            command.space().atom("RECENT");
        }
        for item in ["UNSEEN", "UIDNEXT", "UIDVALIDITY"] {
            if !self.brief {
                command.space().atom(item);
            }
        }
        if self.with_size {
            command.space().atom("SIZE");
        }
        command.close();
    }
}

impl Request for Status {
    type Reply = MailboxStatus;
    fn verb(&self) -> &'static str {
        "STATUS"
    }
    fn effect(&self) -> Effect {
        Effect::Read
    }
    fn subject(&self) -> Option<&MailboxName> {
        Some(&self.mailbox)
    }
    fn write(&self, command: &mut Encoder<'_>) {
        command.atom("STATUS").space().mailbox(self.mailbox.wire());
        self.write_items(command);
    }
    fn take(&mut self, data: &Data<'_>, fit: Fit<'_>) -> Result<bool, ParseError> {
        if !data.is("STATUS") {
            return Ok(false);
        }
        let mailbox = name_before_list(&mut data.body.clone(), "a mailbox")?;
        if !self.reply.is_for(&mailbox, &self.mailbox, fit) {
            return Ok(false);
        }
        self.reply.take(MailboxStatus::read(data.body)?, fit);
        Ok(true)
    }
    fn finish(self, _: &StatusResponse<'_>, _: &mut State) -> Result<MailboxStatus, Error> {
        self.reply
            .or_missing("STATUS", "STATUS", &self.mailbox, Advice::CheckSelectable)
    }
    fn refused(&self, refusal: &Refusal, _: &mut State) -> Option<Advice> {
        right_advice(refusal, 'r', Some(&self.mailbox))
    }
}

/// Whether a mailbox is a user's root on Cyrus (`user.NAME`, `user/NAME`, `user.NAME@example.net`), which DELETE removes with all below it.
pub(super) fn is_cyrus_user(mailbox: &MailboxName) -> bool {
    // The dots of a domain part no levels.
    let name = mailbox.wire();
    let local = name.iter().rposition(|byte| *byte == b'@');
    let name = &name[..local.unwrap_or(name.len())];
    [b'.', b'/'].into_iter().any(|separator| {
        let rest = name
            .strip_prefix(b"user")
            .and_then(|rest| rest.strip_prefix(&[separator]));
        rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(&separator))
    })
}

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.verb())
    }
}

impl Session {
    /// The request of [`create`](Self::create), after the checks that need no answer.
    pub fn create_request(
        &mut self,
        mailbox: MailboxName,
        partition: Option<&str>,
    ) -> Result<Create, Error> {
        let partition = self.check_partition("CREATE with a partition", partition)?;
        Ok(Create::new(mailbox, partition))
    }

    /// Deletes a mailbox (RFC 3501 section 6.3.4).
    ///
    /// # Errors
    /// The server's refusal: it does not exist, it has children, the right is lacking.
    pub fn delete(&mut self, mailbox: impl IntoMailbox) -> Result<(), Error> {
        self.run(Delete {
            mailbox: mailbox.into_mailbox()?,
        })
    }

    /// Whether the server removes with this mailbox what is below it, without being asked: Cyrus does for a user's root.
    pub fn takes_all_below(&mut self, mailbox: &MailboxName) -> bool {
        is_cyrus_user(mailbox) && self.is_cyrus()
    }

    /// That a mailbox is not where everybody's are: one word forgotten behind Cyrus's `user` must not empty the server.
    ///
    /// # Errors
    /// [`Error::Usage`] if it is; or the connection was lost.
    pub(super) fn check_is_no_namespace(&mut self, root: &MailboxName) -> Result<(), Error> {
        if MailboxName::same(root.wire(), b"INBOX") {
            return Ok(());
        }
        let namespaces = match self.namespaces() {
            Ok(namespaces) => namespaces,
            Err(error) if error.is_grave() => return Err(error),
            // A server without them, or one that won't tell.
            Err(_) => return Ok(()),
        };
        let is_prefix = namespaces.iter().any(|(_, namespace)| {
            let prefix = namespace.prefix.wire();
            prefix == root.wire()
                || prefix.split_last().is_some_and(|(last, name)| {
                    Some(*last) == namespace.separator && name == root.wire()
                })
        });
        if is_prefix {
            return Err(Error::Usage(format!(
                "{root} is a namespace, not a mailbox: everything in it would be deleted; name the mailbox to delete"
            )));
        }
        Ok(())
    }

    /// The request of [`rename`](Self::rename), after the checks that need no answer.
    pub fn rename_request(
        &mut self,
        from: MailboxName,
        to: MailboxName,
        partition: Option<&str>,
    ) -> Result<Rename, Error> {
        // Cyrus 3.6.1: the server process crashes, the target is half made and the connection is gone.
        if MailboxName::same(from.wire(), b"INBOX") && self.is_cyrus() {
            return Err(Error::Usage(
                "Cyrus fails when INBOX is renamed; create the new mailbox and move the messages into it instead".into(),
            ));
        }
        let partition = self.check_partition("RENAME with a partition", partition)?;
        // Courier says OK to the RENAME of a mailbox that does not exist.
        if self.software() == Some(Software::Courier) && !self.is_listed(&from)? {
            return Err(Error::NotListed {
                mailbox: from.to_string(),
            });
        }
        Ok(Rename::new(from, to, partition))
    }

    /// Partitions are Cyrus's; Dovecot ignores the extra word and says OK, which would be a lie.
    fn check_partition(
        &mut self,
        what: &'static str,
        partition: Option<&str>,
    ) -> Result<Option<String>, Error> {
        match partition {
            Some(_) if !self.is_cyrus() => Err(Error::Unsupported {
                what,
                extension: "partitions",
                rfc: "of Cyrus",
            }),
            Some("") => Err(Error::Usage(
                "empty partition name; give a partition, or omit it".into(),
            )),
            partition => Ok(partition.map(str::to_owned)),
        }
    }

    /// Whether the server lists exactly this mailbox.
    fn is_listed(&mut self, mailbox: &MailboxName) -> Result<bool, Error> {
        let mut listed = false;
        self.list_each(
            Listing::All,
            &MailboxName::from_wire(b""),
            mailbox,
            |found| {
                if MailboxName::same(&found.mailbox, mailbox.wire()) {
                    listed = !found.has("\\NonExistent");
                }
                ControlFlow::Continue(())
            },
        )?;
        Ok(listed)
    }

    /// The mailboxes that match `pattern` (`*` matches anything, `%` all but the separator), below `base` if it is not empty.
    ///
    /// # Errors
    /// The server's refusal, or a response that can't be read: a listing is whole or it is an error. [`Error::TooLong`] for more than 256 MiB,
    /// some two million mailboxes; [`list_compact`](Self::list_compact) keeps more, and [`list_each`](Self::list_each) has no limit.
    pub fn list(&mut self, pattern: &str, base: &str) -> Result<Vec<Mailbox>, Error> {
        self.collect(Listing::All, pattern, base)
    }

    /// The subscribed mailboxes that match `pattern` (RFC 3501 section 6.3.9).
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub fn list_subscribed(&mut self, pattern: &str, base: &str) -> Result<Vec<Mailbox>, Error> {
        self.collect(Listing::Subscribed, pattern, base)
    }

    fn collect(&mut self, of: Listing, pattern: &str, base: &str) -> Result<Vec<Mailbox>, Error> {
        let mut found = Vec::new();
        let mut taken = 0;
        self.list_until(
            of,
            &MailboxName::pattern(base)?,
            &MailboxName::pattern(pattern)?,
            |listed| {
                let attributes = listed.attributes().count() * size_of::<String>();
                let bytes = listed.mailbox.len() + listed.attribute_words().len() + attributes;
                taken += size_of::<Mailbox>() + bytes;
                found.push(listed.to_mailbox());
                taken <= MOST_BYTES
            },
        )?;
        Ok(found)
    }

    /// A listing in one compact collection, in the server's order.
    ///
    /// # Errors
    /// As [`list`](Self::list); [`Error::TooLong`] for more than it can hold, see [`Mailboxes::push`].
    pub fn list_compact(
        &mut self,
        of: Listing,
        base: &MailboxName,
        pattern: &MailboxName,
    ) -> Result<Mailboxes, Error> {
        let mut mailboxes = Mailboxes::new();
        self.list_into(&mut mailboxes, of, base, pattern)?;
        Ok(mailboxes)
    }

    /// Adds a listing to what is there.
    pub(super) fn list_into(
        &mut self,
        mailboxes: &mut Mailboxes,
        of: Listing,
        base: &MailboxName,
        pattern: &MailboxName,
    ) -> Result<(), Error> {
        self.list_until(of, base, pattern, |listed| mailboxes.push(listed))
    }

    /// Calls `each` for every mailbox of a listing as it comes in, so that a million of them never stand in memory.
    ///
    /// Only a response whose name fits the pattern is of the listing: a server may announce other mailboxes meanwhile (RFC 9051 section
    /// 6.3.9). `each` sees every response as it comes, two where a mailbox changes while it is listed; the later one counts then.
    ///
    /// After a `Break` the rest is read and thrown away.
    ///
    /// # Errors
    /// As [`list`](Self::list); `each` has then seen the ones that could be read.
    pub fn list_each(
        &mut self,
        of: Listing,
        base: &MailboxName,
        pattern: &MailboxName,
        mut each: impl FnMut(&Listed<'_>) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let mut more = true;
        self.list_until(of, base, pattern, |listed| {
            if more {
                more = each(listed).is_continue();
            }
            true
        })
    }

    /// The same, but the connection is ended when `fits` says that no more fits: the rest may never end.
    fn list_until(
        &mut self,
        of: Listing,
        base: &MailboxName,
        pattern: &MailboxName,
        mut fits: impl FnMut(&Listed<'_>) -> bool,
    ) -> Result<(), Error> {
        let request = List {
            of,
            base: base.clone(),
            pattern: pattern.clone(),
        };
        let mut head = Head::default();
        let asked = Pattern::new(base.wire(), pattern.wire());
        let mut unasked = 0;
        self.stream_to(request, &mut |data| {
            if !data.is(of.verb()) {
                return Ok(Taken::No);
            }
            let listed = Listed::read_like(data.body, &mut head)?;
            if !asked.fits(&listed.mailbox, listed.separator) {
                // It may tell of others, but not without end.
                unasked += listed.mailbox.len() + EACH;
                return Ok(if unasked > MOST_BYTES {
                    Taken::TooLong
                } else {
                    Taken::No
                });
            }
            Ok(if fits(&listed) {
                Taken::Yes
            } else {
                Taken::TooLong
            })
        })
    }

    /// The counts of a mailbox without selecting it (RFC 3501 section 6.3.10).
    ///
    /// # Errors
    /// The server's refusal.
    pub fn status(&mut self, mailbox: impl IntoMailbox) -> Result<MailboxStatus, Error> {
        let request = self.status_request(mailbox.into_mailbox()?)?;
        self.run(request)
    }

    /// The request of [`status`](Self::status): the items that this server has.
    pub fn status_request(&mut self, mailbox: MailboxName) -> Result<Status, Error> {
        let capabilities = self.known_capabilities()?;
        let revision2 = capabilities.has("IMAP4rev2");
        Ok(Status {
            mailbox,
            // RFC 8438; IMAP4rev2 has it built in, and has dropped RECENT (RFC 9051 appendix E).
            with_size: capabilities.has("STATUS=SIZE") || revision2,
            with_recent: !revision2 || capabilities.has("IMAP4rev1"),
            brief: false,
            reply: Answer::default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_roots_of_cyrus_users_are_known_with_their_domains() {
        let is_root = |name: &str| is_cyrus_user(&MailboxName::from_wire(name.as_bytes()));
        for name in [
            "user.zoe",
            "user/zoe",
            "user.zoe@example.net",
            "user/z.oe@example.net",
        ] {
            assert!(is_root(name), "{name}");
        }
        for name in [
            "user",
            "user.",
            "user/",
            "users.zoe",
            "user.zoe.Sub",
            "user/zoe/Sub",
            "INBOX",
            "shared.zoe",
            "user.@example.net",
            "user.zoe.Sub@example.net",
        ] {
            assert!(!is_root(name), "{name}");
        }
    }
}
