//! Quotas (RFC 2087, RFC 9208): GETQUOTA, GETQUOTAROOT, SETQUOTA. Not here: limits as people write them, and how those that are not named
//! are kept (`limit`).

use crate::error::{Advice, Error, Reason, Refusal};
use crate::session::{
    Effect, Extension, Fit, IntoMailbox, MailboxName, Request, Session, Software, State,
};
use crate::wire::cursor::{Cursor, ParseError};
use crate::wire::encode::Encoder;
use crate::wire::response::{Data, Status};

use super::{Answer, about_another, name_asked_for, name_before_list};

pub use super::limit::{Asked, Limit, LimitChange, QuotaWarning, QuotasRead};

const QUOTA: Extension = Extension {
    name: "QUOTA",
    implied_by: &[],
    rfc: "RFC 9208",
};

/// Usage and limit of one resource below a quota root (RFC 9208 section 5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Its name: `STORAGE` and `ANNOTATION-STORAGE` (KiB), `MESSAGE`, `MAILBOX`, or the server's own.
    pub name: String,
    /// How much is used.
    pub usage: u64,
    /// How much may be used.
    pub limit: u64,
}

/// A quota root and its resources; none where it has no limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quota {
    /// The root: on Cyrus a mailbox, elsewhere any name.
    pub root: MailboxName,
    /// Its resources, in the server's order.
    pub resources: Vec<Resource>,
    /// Whether the server told of its resources; `false` where it said OK and nothing else, so that nobody knows of any limit.
    pub told: bool,
}

impl Resource {
    /// How much of it is used, in percent, rounded down; `None` where the limit is 0.
    pub fn percent(&self) -> Option<u64> {
        let percent =
            u128::from(self.usage) * 100 / u128::from(std::num::NonZero::new(self.limit)?.get());
        Some(u64::try_from(percent).unwrap_or(u64::MAX))
    }
}

impl Quota {
    /// The resource of that name, in any case: `quota.get("STORAGE")`.
    ///
    /// ```
    /// # use imapadm::{Error, Session};
    /// fn warn(imap: &mut Session, user: &str) -> Result<(), Error> {
    ///     for quota in imap.get_quota_root(user)? {
    ///         if let Some(percent) = quota.get("STORAGE").and_then(|storage| storage.percent())
    ///             && percent >= 90
    ///         {
    ///             println!("{} uses {percent} % of its storage", quota.root);
    ///         }
    ///     }
    ///     Ok(())
    /// }
    /// ```
    pub fn get(&self, name: &str) -> Option<&Resource> {
        let mut resources = self.resources.iter();
        resources.find(|resource| resource.name.eq_ignore_ascii_case(name))
    }

    /// Reads what stands behind `QUOTA`. Courier sends no list for a root without limits.
    fn read(mut body: Cursor<'_>) -> Result<Self, ParseError> {
        let root = MailboxName::from_wire(&name_before_list(&mut body, "a quota root")?);
        let mut resources = Vec::new();
        if body.is_end() {
            return Ok(Self {
                root,
                resources,
                told: true,
            });
        }
        body.expect_open()?;
        while body.close().is_none() {
            let name = String::from_utf8_lossy(body.expect_atom()?).into_owned();
            body.expect_space()?;
            let usage = body.expect_number()?;
            body.expect_space()?;
            let limit = body.expect_number()?;
            resources.push(Resource { name, usage, limit });
            body.skip_spaces();
        }
        body.expect_end()?;
        Ok(Self {
            root,
            resources,
            told: true,
        })
    }

    /// What this line and a later one for the same root say together.
    fn and(mut self, later: Quota, at: Cursor<'_>) -> Result<Self, ParseError> {
        for resource in later.resources {
            let same = |have: &Resource| have.name.eq_ignore_ascii_case(&resource.name);
            match self.resources.iter().position(same) {
                Some(at) => self.resources[at] = resource,
                None if self.resources.len() < MOST_RESOURCES => self.resources.push(resource),
                None => return Err(at.error("fewer resources")),
            }
        }
        Ok(self)
    }
}

/// The largest limit that Cyrus 3.6 can read.
const CYRUS_MOST: u64 = i32::MAX as u64;

/// GETQUOTA (RFC 9208 section 4.1.1).
#[derive(Debug, Clone)]
pub struct GetQuota {
    root: MailboxName,
    reply: Answer<Quota>,
}

impl GetQuota {
    /// Asks for the resources of `root`.
    pub fn new(root: MailboxName) -> Self {
        Self {
            root,
            reply: Answer::default(),
        }
    }
}

impl Request for GetQuota {
    type Reply = Quota;
    fn verb(&self) -> &'static str {
        "GETQUOTA"
    }
    fn effect(&self) -> Effect {
        Effect::Read
    }
    fn extension(&self) -> Option<Extension> {
        Some(QUOTA)
    }
    fn rivals(&self) -> &'static [&'static str] {
        &["GETQUOTAROOT"]
    }
    fn subject(&self) -> Option<&MailboxName> {
        Some(&self.root)
    }
    fn write(&self, command: &mut Encoder<'_>) {
        command.atom("GETQUOTA").space().mailbox(self.root.wire());
    }
    fn take(&mut self, data: &Data<'_>, fit: Fit<'_>) -> Result<bool, ParseError> {
        if !data.is("QUOTA") {
            return Ok(false);
        }
        let root = name_before_list(&mut data.body.clone(), "a quota root")?;
        if !self.reply.is_for(&root, &self.root, fit) {
            return Ok(false);
        }
        let mut quota = Quota::read(data.body)?;
        // One line for each resource is as good as one for all.
        if let Some(before) = self.reply.told.take()
            && (self.reply.exact || !fit.is_exact())
        {
            quota = before.and(quota, data.body)?;
        }
        self.reply.take(quota, fit);
        Ok(true)
    }
    fn finish(self, _: &Status<'_>, state: &mut State) -> Result<Quota, Error> {
        match (self.reply.told, self.reply.other) {
            (Some(quota), _) => Ok(quota),
            (None, Some(other)) => Err(about_another("GETQUOTA", &self.root, &other)),
            // Cyrus always sends one: its limits must not be taken for none.
            (None, None) if state.is_cyrus() => Err(Error::Missing {
                verb: "GETQUOTA",
                missing: "QUOTA",
                advice: Advice::TryAgain,
            }),
            // Dovecot 2.3 sends no QUOTA line for a root without limits.
            (None, None) => Ok(Quota {
                root: self.root,
                resources: Vec::new(),
                told: state.is_dovecot(),
            }),
        }
    }
    fn refused(&self, refusal: &Refusal, _: &mut State) -> Option<Advice> {
        quota_advice(refusal)
    }
}

/// Resources that one root may have, told one by one; a hostile server must not fill the memory.
const MOST_RESOURCES: usize = 1_000;

/// Quota roots that one mailbox may have; a hostile server must not fill the memory.
const MOST_ROOTS: usize = 1_000;

/// GETQUOTAROOT (RFC 9208 section 4.1.2).
#[derive(Debug, Clone)]
pub struct GetQuotaRoot {
    mailbox: MailboxName,
    roots: Answer<Vec<MailboxName>>,
    quotas: Vec<Quota>,
}

impl GetQuotaRoot {
    /// Asks for the quota roots of `mailbox` and their resources.
    pub fn new(mailbox: MailboxName) -> Self {
        Self {
            mailbox,
            roots: Answer::default(),
            quotas: Vec::new(),
        }
    }
}

impl Request for GetQuotaRoot {
    /// Each root with its resources; none where nothing limits the mailbox.
    type Reply = Vec<Quota>;
    fn verb(&self) -> &'static str {
        "GETQUOTAROOT"
    }
    fn effect(&self) -> Effect {
        Effect::Read
    }
    fn extension(&self) -> Option<Extension> {
        Some(QUOTA)
    }
    fn rivals(&self) -> &'static [&'static str] {
        &["GETQUOTA", "SETQUOTA"]
    }
    fn subject(&self) -> Option<&MailboxName> {
        Some(&self.mailbox)
    }
    fn write(&self, command: &mut Encoder<'_>) {
        command
            .atom("GETQUOTAROOT")
            .space()
            .mailbox(self.mailbox.wire());
    }
    fn take(&mut self, data: &Data<'_>, fit: Fit<'_>) -> Result<bool, ParseError> {
        if data.is("QUOTAROOT") {
            let mut body = data.body;
            let mailbox = name_asked_for(&mut body, self.mailbox.wire(), "a mailbox")?;
            if !self.roots.is_for(&mailbox, &self.mailbox, fit) {
                return Ok(false);
            }
            let mut roots = Vec::new();
            while !body.is_end() {
                roots.push(MailboxName::from_wire(
                    &body.expect_astring("a quota root")?,
                ));
                body.skip_spaces();
            }
            self.roots.take(roots, fit);
            Ok(true)
        } else if data.is("QUOTA") {
            let root = name_before_list(&mut data.body.clone(), "a quota root")?;
            let is_own = match &self.roots.told {
                Some(roots) => roots.iter().any(|own| MailboxName::same(own.wire(), &root)),
                // Which roots are its own the server may say later.
                None => !fit.is_exact(),
            };
            if !is_own {
                return Ok(false);
            }
            let quota = Quota::read(data.body)?;
            match self.quotas.iter().position(|have| have.root == quota.root) {
                Some(at) => {
                    let before = self.quotas.remove(at);
                    self.quotas.insert(at, before.and(quota, data.body)?);
                }
                None if self.quotas.len() < MOST_ROOTS => self.quotas.push(quota),
                None => return Err(data.body.error("fewer QUOTA responses")),
            }
            Ok(true)
        } else {
            Ok(false)
        }
    }
    fn finish(mut self, _: &Status<'_>, state: &mut State) -> Result<Vec<Quota>, Error> {
        let roots = match (self.roots.told, self.roots.other) {
            (Some(roots), _) => roots,
            (None, Some(other)) => {
                return Err(about_another("GETQUOTAROOT", &self.mailbox, &other));
            }
            (None, None) if !self.quotas.is_empty() || !may_tell_nothing(state) => {
                return Err(Error::Missing {
                    verb: "GETQUOTAROOT",
                    missing: "QUOTAROOT",
                    advice: Advice::AskRootItself,
                });
            }
            // Dovecot 2.3 sends neither line where there is no quota.
            (None, None) => Vec::new(),
        };
        let is_own = |quota: &Quota| {
            let root = quota.root.wire();
            roots.iter().any(|own| MailboxName::same(own.wire(), root))
        };
        self.quotas.retain(is_own);
        // Of a root that is named without a QUOTA line nothing is told.
        for root in roots {
            let is_told = |have: &Quota| MailboxName::same(have.root.wire(), root.wire());
            if !self.quotas.iter().any(is_told) {
                self.quotas.push(Quota {
                    root,
                    resources: Vec::new(),
                    told: state.is_dovecot(),
                });
            }
        }
        Ok(self.quotas)
    }
    fn refused(&self, refusal: &Refusal, _: &mut State) -> Option<Advice> {
        quota_advice(refusal)
    }
}

/// SETQUOTA (RFC 9208 section 4.1.3).
#[derive(Debug, Clone)]
pub struct SetQuota {
    /// The quota root.
    pub root: MailboxName,
    /// The new limits; none removes them all (on Cyrus; Dovecot changes only what is named).
    pub limits: Vec<Limit>,
    /// What the server says that it set.
    told: Option<Quota>,
}

impl Request for SetQuota {
    /// The limits that the root has now, where the server says (RFC 2087 section 4.1).
    type Reply = Option<Quota>;
    fn verb(&self) -> &'static str {
        "SETQUOTA"
    }
    fn effect(&self) -> Effect {
        Effect::Change
    }
    fn extension(&self) -> Option<Extension> {
        Some(QUOTA)
    }
    fn rivals(&self) -> &'static [&'static str] {
        &["GETQUOTAROOT"]
    }
    fn subject(&self) -> Option<&MailboxName> {
        Some(&self.root)
    }
    fn write(&self, command: &mut Encoder<'_>) {
        command
            .atom("SETQUOTA")
            .space()
            .mailbox(self.root.wire())
            .space()
            .open();
        for (at, limit) in self.limits.iter().enumerate() {
            if at > 0 {
                command.space();
            }
            command.atom(&limit.resource).space().number(limit.amount);
        }
        command.close();
    }
    fn take(&mut self, data: &Data<'_>, fit: Fit<'_>) -> Result<bool, ParseError> {
        if !data.is("QUOTA") {
            return Ok(false);
        }
        let root = name_before_list(&mut data.body.clone(), "a quota root")?;
        if !fit.is_about(&root, self.root.wire()) {
            return Ok(false);
        }
        let quota = Quota::read(data.body)?;
        self.told = Some(match self.told.take() {
            Some(before) => before.and(quota, data.body)?,
            None => quota,
        });
        Ok(true)
    }
    fn finish(self, _: &Status<'_>, _: &mut State) -> Result<Option<Quota>, Error> {
        Ok(self.told)
    }
    fn refused(&self, refusal: &Refusal, _: &mut State) -> Option<Advice> {
        match refusal.reason()? {
            Reason::PermissionDenied => Some(Advice::LogInAsAdministrator { or_owner: false }),
            Reason::NoSuchResource => Some(Advice::SeeResources),
            _ => quota_advice(refusal),
        }
    }
}

/// Whether the server is, or may be, one that tells nothing where there is no limit.
fn may_tell_nothing(state: &State) -> bool {
    state.is_dovecot() || state.wants_id()
}

fn quota_advice(refusal: &Refusal) -> Option<Advice> {
    match refusal.reason()? {
        Reason::NoSuchMailbox => Some(Advice::LookForQuotaRoot),
        Reason::PermissionDenied => Some(Advice::LogInAsAdministrator { or_owner: true }),
        _ => None,
    }
}

impl Session {
    /// The resources of a quota root (RFC 9208 section 4.1.1); none where it has no limits.
    ///
    /// # Errors
    /// The server has no QUOTA, no such root, or its refusal.
    pub fn get_quota(&mut self, root: impl IntoMailbox) -> Result<Quota, Error> {
        self.run(GetQuota::new(root.into_mailbox()?))
    }

    /// The quota roots of a mailbox with their resources (RFC 9208 section 4.1.2).
    ///
    /// # Errors
    /// The server has no QUOTA, or its refusal.
    pub fn get_quota_root(&mut self, mailbox: impl IntoMailbox) -> Result<Vec<Quota>, Error> {
        self.run(GetQuotaRoot::new(mailbox.into_mailbox()?))
    }

    /// Sets the limits of a quota root (RFC 9208 section 4.1.3); returns what the server says that it set.
    ///
    /// Limits that are not named are removed by Cyrus and kept by Dovecot; [`change_quota`](Self::change_quota) keeps them. None at all means no limit; Dovecot would ignore it, so it is
    /// refused there.
    ///
    /// # Errors
    /// The server has no QUOTA, a number that it would choke on, or its refusal.
    pub fn set_quota(
        &mut self,
        root: impl IntoMailbox,
        limits: &[Limit],
    ) -> Result<Option<Quota>, Error> {
        let request = self.set_quota_request(root.into_mailbox()?, limits.to_vec())?;
        self.run(request)
    }

    /// The request of [`set_quota`](Self::set_quota), after the checks that need no answer.
    pub fn set_quota_request(
        &mut self,
        root: MailboxName,
        limits: Vec<Limit>,
    ) -> Result<SetQuota, Error> {
        self.require("SETQUOTA", QUOTA)?;
        // Dovecot 2.3 says OK to an empty list and changes nothing.
        if limits.is_empty() && self.software() == Some(Software::Dovecot) {
            return Err(Error::Usage(format!(
                "Dovecot ignores a quota without limits; set each resource to 0, which means no limit there: setquota '{root}' STORAGE 0"
            )));
        }
        // From 2^31 on, Cyrus 3.6.1 ends the connection with «BYE Fatal error: num too big».
        let too_big = limits.iter().find(|limit| limit.amount > CYRUS_MOST);
        if let Some(limit) = too_big.filter(|_| self.is_cyrus()) {
            return Err(Error::Usage(format!(
                "{} is too large a limit for {} on Cyrus; the maximum is {} (2 TiB less 1 KiB of storage); none means no limit",
                limit.amount, limit.resource, CYRUS_MOST
            )));
        }
        Ok(SetQuota {
            root,
            limits,
            told: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::response::{Response, Untagged, parse};

    #[test]
    fn every_form_of_a_quota_line() {
        let read = |line: &str| {
            let Response::Untagged(Untagged::Data(data)) = parse(line.as_bytes()).unwrap() else {
                panic!("{line}")
            };
            Quota::read(data.body)
        };
        assert_eq!(
            read("* QUOTA user.alice (STORAGE 0 20 MESSAGE 0 50)")
                .unwrap()
                .resources
                .len(),
            2
        );
        assert!(read("* QUOTA user.alice ()").unwrap().resources.is_empty());
        assert!(read("* QUOTA \"ROOT\"").unwrap().resources.is_empty());
        assert_eq!(
            read("* QUOTA \"User quota\" (STORAGE 1 2)")
                .unwrap()
                .root
                .to_string(),
            "User quota"
        );
        for line in [
            "* QUOTA",
            "* QUOTA x (STORAGE 1)",
            "* QUOTA x (STORAGE -1 2)",
            "* QUOTA x (STORAGE 1 2",
        ] {
            assert!(read(line).is_err(), "{line}");
        }
    }
}
