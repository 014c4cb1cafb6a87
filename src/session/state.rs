//! What a session knows: capabilities, namespaces, the hierarchy separator, the selected mailbox, who is logged in.
//!
//! Lives here: the state and how unsolicited responses change it. Not here: who asks for it (`capability`, `admin::server`).

use std::collections::VecDeque;
use std::fmt;

use crate::error::LostCause;
use crate::net::Channel;
use crate::wire::code::ResponseCode;
use crate::wire::cursor::{Cursor, ParseError};
use crate::wire::response::{Data, Status};

use super::name::MailboxName;

/// An extension without which a command is not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extension {
    /// Its name in CAPABILITY.
    pub name: &'static str,
    /// Other capabilities that imply it.
    pub implied_by: &'static [&'static str],
    /// Where it is defined, for messages: `RFC 4314`.
    pub rfc: &'static str,
}

/// The server's capabilities (RFC 3501 section 7.2.1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities(Vec<String>);

impl Capabilities {
    /// Reads the atoms of a CAPABILITY response or code.
    pub(crate) fn read(mut cursor: Cursor<'_>) -> Self {
        let mut names = Vec::new();
        loop {
            cursor.skip_spaces();
            match cursor.atom() {
                Some(name) if names.len() < MOST_CAPABILITIES => {
                    names.push(String::from_utf8_lossy(name).into_owned());
                }
                // A word that is no atom is passed over.
                None if cursor.value().is_some() => {}
                _ => return Self(names),
            }
        }
    }

    /// Whether `name` is among them; case does not count.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|have| have.eq_ignore_ascii_case(name))
    }

    /// Whether the extension is there, by its own name or by one that implies it.
    pub fn offers(&self, extension: &Extension) -> bool {
        self.has(extension.name) || extension.implied_by.iter().any(|name| self.has(name))
    }

    /// The part behind `=` of every capability `prefix=…`: the SASL mechanisms of `AUTH`, the letters of `RIGHTS`.
    pub fn values<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter_map(move |name| {
            let (key, value) = name.split_once('=')?;
            key.eq_ignore_ascii_case(prefix).then_some(value)
        })
    }

    /// All of them, as the server wrote them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A server could send capabilities for ever; no real one has a tenth of this many.
const MOST_CAPABILITIES: usize = 2_000;

/// One namespace (RFC 2342 section 5): a prefix and the hierarchy separator below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    /// What its mailboxes' names begin with; may be empty.
    pub prefix: MailboxName,
    /// The hierarchy separator; `None` where the namespace is flat.
    pub separator: Option<u8>,
}

/// The server's namespaces (RFC 2342).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Namespaces {
    /// The logged-in user's own.
    pub personal: Vec<Namespace>,
    /// Other users'.
    pub other: Vec<Namespace>,
    /// Shared by all.
    pub shared: Vec<Namespace>,
}

impl Namespaces {
    /// All of them, with the word for each kind.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Namespace)> {
        self.personal
            .iter()
            .map(|n| ("personal", n))
            .chain(self.other.iter().map(|n| ("other", n)))
            .chain(self.shared.iter().map(|n| ("shared", n)))
    }

    /// The separator for a name: that of the namespace with the longest prefix that the name begins with.
    pub fn separator_for(&self, name: &[u8]) -> Option<u8> {
        self.iter()
            .filter(|(_, namespace)| name.starts_with(namespace.prefix.wire()))
            .max_by_key(|(_, namespace)| namespace.prefix.wire().len())
            .and_then(|(_, namespace)| namespace.separator)
    }

    /// The separator of the first namespace that has one: personal, other users', shared.
    pub fn separator(&self) -> Option<u8> {
        self.iter().find_map(|(_, namespace)| namespace.separator)
    }
}

/// The selected mailbox (RFC 3501 section 6.3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selected {
    /// Its name.
    pub mailbox: MailboxName,
    /// Whether it may only be read: it was opened with EXAMINE, or the server said READ-ONLY. `None` where the server said neither that
    /// nor READ-WRITE.
    pub read_only: Option<bool>,
    /// Messages in it, where told.
    pub exists: Option<u64>,
    /// Messages with the \Recent flag, where told.
    pub recent: Option<u64>,
    /// Sequence number of the first unseen message, where told.
    pub unseen: Option<u64>,
    /// Its UIDVALIDITY, where told.
    pub uidvalidity: Option<u64>,
    /// The next UID, where told.
    pub uidnext: Option<u64>,
    /// The flags in use, where told.
    pub flags: Option<Vec<String>>,
    /// The flags that can be changed for good, where told; if not, all can (RFC 3501 section 7.1).
    pub permanent_flags: Option<Vec<String>>,
}

impl Selected {
    /// A mailbox of which nothing is known yet.
    pub(crate) fn new(mailbox: MailboxName, examined: bool) -> Self {
        Self {
            mailbox,
            read_only: examined.then_some(true),
            exists: None,
            recent: None,
            unseen: None,
            uidvalidity: None,
            uidnext: None,
            flags: None,
            permanent_flags: None,
        }
    }
}

/// Something that nobody asked for and a person should see.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Notice {
    /// What is to be seen. May hold the server's words, untrusted.
    pub text: String,
    /// Whether the server said it; otherwise it is a warning of this library.
    pub from_server: bool,
}

impl Notice {
    /// The server's words.
    pub(crate) fn said(text: String) -> Self {
        Self {
            text,
            from_server: true,
        }
    }

    /// A warning.
    pub(crate) fn warning(text: String) -> Self {
        Self {
            text,
            from_server: false,
        }
    }
}

/// How a server ended the session (RFC 3501 section 7.1.5).
#[derive(Debug, Clone)]
pub(crate) struct Bye {
    code: Option<ResponseCode>,
    /// Code and words, untrusted.
    pub(crate) text: String,
}

impl Bye {
    pub(crate) fn read(status: &Status<'_>) -> Self {
        Self {
            code: status.code.map(|code| code.response_code()),
            text: status.said(),
        }
    }
}

impl From<Bye> for LostCause {
    fn from(Bye { code, text }: Bye) -> Self {
        LostCause::Bye { code, text }
    }
}

/// A response that could not be read, or that nobody claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stray {
    /// The beginning of it, untrusted.
    pub sample: String,
    /// Why it could not be read; `None` where it was readable and merely unknown.
    pub why: Option<String>,
}

/// A server some of whose ways have to be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Software {
    /// Cyrus IMAP.
    Cyrus,
    /// Dovecot.
    Dovecot,
    /// Courier-IMAP.
    Courier,
}

impl Software {
    /// The one that a server's own words name.
    fn named_in(words: &str) -> Option<Self> {
        let names = [
            ("Cyrus", Self::Cyrus),
            ("Dovecot", Self::Dovecot),
            ("Courier", Self::Courier),
        ];
        let named = names.into_iter().find(|(name, _)| words.contains(name));
        named.map(|(_, software)| software)
    }
}

/// Everything that a session remembers about its server and itself.
#[derive(Debug, Clone)]
pub struct State {
    pub(crate) server: String,
    pub(crate) channel: Channel,
    pub(crate) greeting: String,
    /// The name that the server gives itself in its ID; empty once it was asked and told none.
    pub(crate) id: Option<String>,
    pub(crate) capabilities: Option<Capabilities>,
    /// Whether mailbox names are in UTF-8 on the wire: IMAP4rev2 without IMAP4rev1 (RFC 9051 section 5.1).
    pub(crate) names_in_utf8: bool,
    pub(crate) namespaces: Option<Namespaces>,
    pub(crate) root_separator: Option<Option<u8>>,
    pub(crate) forced_separator: Option<u8>,
    pub(crate) user: Option<String>,
    pub(crate) mechanism: Option<&'static str>,
    pub(crate) authenticated: bool,
    pub(crate) selected: Option<Selected>,
    pub(crate) bye: Option<Bye>,
    pub(crate) uncompressed: Option<String>,
    notices: VecDeque<Notice>,
    strays: VecDeque<Stray>,
    stray_count: u64,
}

/// How many notices and strays are kept; a hostile server can send any number.
const MOST_KEPT: usize = 100;
/// How much of a stray response is kept, in bytes.
const SAMPLE: usize = 200;

impl State {
    pub(crate) fn new(server: String, channel: Channel, forced_separator: Option<u8>) -> Self {
        Self {
            server,
            channel,
            greeting: String::new(),
            id: None,
            capabilities: None,
            names_in_utf8: false,
            namespaces: None,
            root_separator: None,
            forced_separator,
            user: None,
            mechanism: None,
            authenticated: false,
            selected: None,
            bye: None,
            uncompressed: None,
            notices: VecDeque::new(),
            strays: VecDeque::new(),
            stray_count: 0,
        }
    }

    /// A session's state as it may be in a test, with this user.
    #[cfg(test)]
    pub(crate) fn of_user(user: Option<&str>) -> Self {
        let channel = Channel {
            peer: String::new(),
            tls: None,
            private: true,
            compressed: false,
        };
        let mut state = Self::new(String::new(), channel, None);
        state.user = user.map(str::to_owned);
        state
    }

    /// The server, as it was named to connect to it.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The connection: the peer's address, and TLS.
    pub fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Why the connection is not compressed although [`Options::compress`](crate::Options::compress) asks for it. May hold the server's words.
    pub fn uncompressed(&self) -> Option<&str> {
        self.uncompressed.as_deref()
    }

    /// The words of the greeting. Untrusted.
    pub fn greeting(&self) -> &str {
        &self.greeting
    }

    /// The capabilities as last told, empty where they were never told.
    pub fn capabilities(&self) -> &Capabilities {
        static NONE: Capabilities = Capabilities(Vec::new());
        self.capabilities.as_ref().unwrap_or(&NONE)
    }

    /// The namespaces, once asked for.
    pub fn namespaces(&self) -> Option<&Namespaces> {
        self.namespaces.as_ref()
    }

    /// Who is logged in; `None` before the login, and after a PREAUTH greeting, which does not tell.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// How the login was done.
    pub fn mechanism(&self) -> Option<&'static str> {
        self.mechanism
    }

    /// Whether the session is past its login.
    pub fn is_authenticated(&self) -> bool {
        self.authenticated
    }

    /// The selected mailbox.
    pub fn selected(&self) -> Option<&Selected> {
        self.selected.as_ref()
    }

    /// Which server it is, as far as it is told: by its ID (RFC 2971), its capabilities, its greeting. Whoever runs it can change the
    /// greeting, and a proxy in front has one of its own.
    pub(crate) fn software(&self) -> Option<Software> {
        // Only Cyrus has these.
        let own = ["X-CREATEDMODSEQ", "NO_ATOMIC_RENAME", "X-SIEVE-MAILBOX"];
        if own.iter().any(|name| self.capabilities().has(name)) {
            return Some(Software::Cyrus);
        }
        let told = self.id.as_deref().and_then(Software::named_in);
        told.or_else(|| Software::named_in(&self.greeting))
    }

    /// Whether it is Cyrus: some of its faults must be kept out of the way of.
    pub(crate) fn is_cyrus(&self) -> bool {
        self.software() == Some(Software::Cyrus)
    }

    /// Whether it is Dovecot, which says OK to some things that it does not do.
    pub(crate) fn is_dovecot(&self) -> bool {
        self.software() == Some(Software::Dovecot)
    }

    /// Whether only its ID could tell which server it is, and it has not been asked for that.
    pub(crate) fn wants_id(&self) -> bool {
        self.id.is_none() && self.software().is_none() && self.capabilities().has("ID")
    }

    /// The notices since the last call, oldest first: alerts (RFC 3501 section 7.1), warnings, errors that belong to no command.
    pub fn take_notices(&mut self) -> impl Iterator<Item = Notice> + use<'_> {
        self.notices.drain(..)
    }

    /// The latest responses that could not be read or that nobody asked for, and how many there were in all.
    pub fn strays(&self) -> (impl Iterator<Item = &Stray>, u64) {
        (self.strays.iter(), self.stray_count)
    }

    pub(crate) fn notice(&mut self, notice: Notice) {
        if self.notices.len() < MOST_KEPT {
            self.notices.push_back(notice);
        }
    }

    /// Keeps a response, or the beginning of it, that was of no use.
    pub(crate) fn stray(&mut self, sample: String, why: Option<&ParseError>) {
        self.stray_count += 1;
        if self.strays.len() == MOST_KEPT {
            self.strays.pop_front();
        }
        self.strays.push_back(Stray {
            sample,
            why: why.map(ToString::to_string),
        });
    }

    pub(crate) fn learn_capabilities(&mut self, capabilities: Capabilities) {
        self.names_in_utf8 = capabilities.has("IMAP4rev2") && !capabilities.has("IMAP4rev1");
        self.capabilities = Some(capabilities);
    }

    /// Reads what the server may say at any time (RFC 3501 section 7.3 and 7.4): `true` when `data` was such.
    pub(crate) fn observe(&mut self, data: &Data<'_>) -> bool {
        if data.is("CAPABILITY") {
            self.learn_capabilities(Capabilities::read(data.body));
            return true;
        }
        if data.is("ID") {
            if let Some(name) = id_name(data.body) {
                self.id = Some(name);
            }
            // Its own request reads all of it.
            return false;
        }
        let Some(number) = data.number else {
            return data.is("FLAGS");
        };
        let Some(selected) = &mut self.selected else {
            return false;
        };
        if data.is("FETCH") {
            return true;
        }
        if !data.body.is_end() {
            return false;
        }
        if data.is("EXISTS") {
            selected.exists = Some(number);
        } else if data.is("RECENT") {
            selected.recent = Some(number);
        } else if data.is("EXPUNGE") || data.is("EXPUNGED") {
            selected.exists = selected.exists.map(|exists| exists.saturating_sub(1));
        } else {
            return false;
        }
        true
    }

    /// A mailbox is gone: if it was the selected one, nothing is selected any more.
    pub(crate) fn forget_mailbox(&mut self, gone: &MailboxName) {
        if self
            .selected
            .as_ref()
            .is_some_and(|selected| selected.mailbox == *gone)
        {
            self.selected = None;
        }
    }

    /// A mailbox has another name: so has the selected one, if it is that.
    pub(crate) fn rename_mailbox(&mut self, from: &MailboxName, to: &MailboxName) {
        let Some(selected) = &mut self.selected else {
            return;
        };
        if selected.mailbox == *from {
            selected.mailbox = to.clone();
        } else if let Some(below) = selected.mailbox.wire().strip_prefix(from.wire())
            && below.first().is_some_and(u8::is_ascii_punctuation)
        {
            // It went along, if that is the separator; if not, none is better than the wrong one.
            self.selected = None;
        }
    }

    /// After UNAUTHENTICATE: nothing of what one user may do or see is another's (RFC 8437 section 4).
    pub(crate) fn forget_user(&mut self) {
        self.authenticated = false;
        self.user = None;
        self.mechanism = None;
        self.selected = None;
        self.namespaces = None;
        self.root_separator = None;
        self.capabilities = None;
    }

    /// After STARTTLS: what was learnt in cleartext could have come from anybody (RFC 3501 section 6.2.1).
    pub(crate) fn forget_cleartext(&mut self) {
        self.capabilities = None;
        self.names_in_utf8 = false;
        self.id = None;
        self.notices.clear();
    }
}

/// The server's name in an ID response (RFC 2971 section 3.3).
fn id_name(mut body: Cursor<'_>) -> Option<String> {
    body.skip_spaces();
    body.open()?;
    for _ in 0..MOST_ID_FIELDS {
        body.skip_spaces();
        let field = body.expect_string().ok()?;
        body.skip_spaces();
        let value = body.expect_nstring().ok()?;
        if field.eq_ignore_ascii_case(b"name") {
            return value.map(|name| String::from_utf8_lossy(&name).into_owned());
        }
    }
    None
}

/// RFC 2971 section 3.3 allows thirty.
const MOST_ID_FIELDS: usize = 30;

/// The beginning of a response, for messages.
pub(crate) fn sample(response: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(&response[..response.len().min(SAMPLE)]).into_owned();
    if response.len() > SAMPLE {
        text.push('…');
    }
    text
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.prefix)
    }
}
