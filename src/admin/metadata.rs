//! Metadata of mailboxes and of the server (RFC 5464): GETMETADATA, SETMETADATA, and the names of entries.
//!
//! Not here: the short names that people type for some entries (the shell's), nor the older ANNOTATEMORE commands.

use std::collections::HashMap;
use std::fmt;

use crate::error::{Advice, Error, Reason, Refusal};
use crate::session::{Effect, Extension, Fit, IntoMailbox, MailboxName, Request, Session, State};
use crate::wire::code::ResponseCode;
use crate::wire::cursor::{Cursor, ParseError};
use crate::wire::encode::Encoder;
use crate::wire::response::{Data, Status};

use super::{about_another, name_asked_for, right_advice};

const METADATA: Extension = Extension {
    name: "METADATA",
    implied_by: &[],
    rfc: "RFC 5464",
};

/// Enough for the server's own metadata; what has METADATA has it too (RFC 5464 section 1).
const METADATA_SERVER: Extension = Extension {
    name: "METADATA-SERVER",
    implied_by: &["METADATA"],
    rfc: "RFC 5464",
};

/// The part of an entry's name that says who sees its value (RFC 5464 section 3.3).
pub const SHARED: &str = "/shared";
/// The part of an entry's name for values that only the logged-in user sees (RFC 5464 section 3.3).
pub const PRIVATE: &str = "/private";

/// One entry and its value (RFC 5464 section 3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name, such as `/shared/comment`, as the server writes it. Case does not count.
    pub name: String,
    /// Its value, which may hold any bytes; `None` where it has none.
    pub value: Option<Vec<u8>>,
}

impl Entry {
    /// Whether it is the entry `name` or one below it.
    pub fn is_within(&self, name: &str) -> bool {
        is_within(&self.name, name, Depth::Infinity)
    }
}

/// What a mailbox or the server says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// The mailbox, as the server names it; the empty name is the server.
    pub mailbox: MailboxName,
    /// The entries that were asked for, in the server's order.
    pub entries: Vec<Entry>,
    /// Where [`GetMetadata::max_size`] kept values back: the size of the longest (RFC 5464 section 4.2.1).
    pub longest: Option<u64>,
}

impl Metadata {
    /// The value of an entry; `None` where it has none.
    pub fn value(&self, name: &str) -> Option<&[u8]> {
        let found = self
            .entries
            .iter()
            .find(|entry| entry.name.eq_ignore_ascii_case(name));
        found?.value.as_deref()
    }

    /// The entry of that name and those below it, in the server's order.
    pub fn within<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Entry> {
        self.entries
            .iter()
            .filter(move |entry| entry.is_within(name))
    }
}

/// How far below the entries that are named GETMETADATA goes (RFC 5464 section 4.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Depth {
    /// Those entries alone.
    #[default]
    Zero,
    /// Those directly below them too.
    One,
    /// All below them too.
    Infinity,
}

impl Depth {
    /// Reads a depth as typed: `0`, `1` or `infinity`.
    ///
    /// # Errors
    /// [`Error::Usage`] for anything else.
    pub fn parse(typed: &str) -> Result<Self, Error> {
        match typed {
            "0" => Ok(Depth::Zero),
            "1" => Ok(Depth::One),
            all if all.eq_ignore_ascii_case("infinity") => Ok(Depth::Infinity),
            other => Err(Error::Usage(format!(
                "invalid depth {other:?}; write 0 (the entries themselves), 1 (and those directly below) or infinity (and all below)"
            ))),
        }
    }
}

impl fmt::Display for Depth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Depth::Zero => "0",
            Depth::One => "1",
            Depth::Infinity => "infinity",
        })
    }
}

/// Whether an entry is the one called `top` or, as far as `depth` goes, below it. Case does not count (RFC 5464 section 3.2).
fn is_within(entry: &str, top: &str, depth: Depth) -> bool {
    let Some((head, tail)) = entry.split_at_checked(top.len()) else {
        return false;
    };
    head.eq_ignore_ascii_case(top)
        && (tail.is_empty() || (depth != Depth::Zero && tail.starts_with('/')))
}

/// That a name can be an entry's (RFC 5464 section 3.2). Servers answer BAD to others, and after some of those Cyrus takes the rest of
/// the line for another command.
fn check_name(name: &str) -> Result<(), Error> {
    let wrong = |why: &str| {
        Err(Error::Usage(format!(
            "invalid metadata entry {name:?}: {why}; write it like /shared/comment (for all) or /private/comment (only for you)"
        )))
    };
    let begins = [SHARED, PRIVATE]
        .iter()
        .any(|top| is_within(name, top, Depth::Infinity));
    if !begins {
        wrong("it does not begin with /shared or /private")
    } else if name.contains(['*', '%']) {
        wrong("it contains a wildcard, * or %")
    } else if !name.is_ascii() || name.contains(|c: char| c.is_ascii_control()) {
        wrong("it contains characters other than printable ASCII")
    } else if name.contains("//") {
        wrong("it contains two slashes in a row")
    } else if name.ends_with('/') {
        wrong("it ends with a slash")
    } else {
        Ok(())
    }
}

/// That an entry can have a value: it is named as [`GetMetadata::new`] wants it, and stands below `/shared` or `/private`.
///
/// # Errors
/// [`Error::Usage`] for any other name.
pub fn check_writable(name: &str) -> Result<(), Error> {
    check_name(name)?;
    if [SHARED, PRIVATE].iter().any(|top| name.len() == top.len()) {
        return Err(Error::Usage(format!(
            "{name} alone cannot have a value; name an entry below it, as in {name}/comment"
        )));
    }
    Ok(())
}

/// Reads the entries with their values, up to the closing parenthesis.
fn read_entries(
    body: &mut Cursor<'_>,
    mut keep: impl FnMut(Entry, &Cursor<'_>) -> Result<(), ParseError>,
) -> Result<(), ParseError> {
    body.skip_spaces();
    while body.close().is_none() {
        let name = String::from_utf8_lossy(&body.expect_astring("an entry")?).into_owned();
        body.expect_space()?;
        let value = body.expect_nstring()?.map(std::borrow::Cow::into_owned);
        keep(Entry { name, value }, body)?;
        body.skip_spaces();
    }
    body.expect_end()
}

/// What stands behind `METADATA` in answer to LIST with RETURN (METADATA …) (RFC 9590): the mailbox and its entries; `None` for the news that
/// something has changed.
pub(super) fn read_listed(
    mut body: Cursor<'_>,
) -> Result<Option<(MailboxName, Vec<Entry>)>, ParseError> {
    let mailbox = MailboxName::from_wire(&body.expect_astring("a mailbox")?);
    body.expect_space()?;
    if body.open().is_none() {
        return Ok(None);
    }
    let mut entries = Vec::new();
    read_entries(&mut body, |entry, _| {
        entries.push(entry);
        Ok(())
    })?;
    Ok(Some((mailbox, entries)))
}

/// Entries that one reply may have; a hostile server must not fill the memory. Cyrus has about fifty for a mailbox.
const MOST_ENTRIES: usize = 10_000;
/// Bytes of names and values that one reply may have.
const MOST_BYTES: usize = 32 * 1024 * 1024;

/// The longest value that Cyrus takes.
const CYRUS_MOST: usize = 131_072;

/// GETMETADATA (RFC 5464 section 4.2).
#[derive(Debug, Clone)]
pub struct GetMetadata {
    mailbox: MailboxName,
    asked: Vec<String>,
    depth: Depth,
    max_size: Option<u32>,
    /// The mailbox as the server names it, once it has.
    known_as: Option<MailboxName>,
    /// Another mailbox that the server answered about.
    other: Option<MailboxName>,
    entries: Vec<Entry>,
    /// Where in `entries` each name is, in lower case.
    places: HashMap<String, usize>,
    bytes: usize,
}

impl GetMetadata {
    /// Asks for the values of `entries` of a mailbox, or of the server where the name is empty.
    ///
    /// # Errors
    /// [`Error::Usage`] for no entry at all, and for a name that can't be one: it begins with `/shared` or `/private` and holds
    /// printable ASCII without `*`, `%` and empty parts.
    pub fn new<E: Into<String>>(
        mailbox: MailboxName,
        entries: impl IntoIterator<Item = E>,
    ) -> Result<Self, Error> {
        let asked: Vec<String> = entries.into_iter().map(Into::into).collect();
        for name in &asked {
            check_name(name)?;
        }
        if asked.is_empty() {
            return Err(Error::Usage(
                "no metadata entry is given; give one, or /shared and /private with infinite depth for all".into(),
            ));
        }
        Ok(Self {
            mailbox,
            asked,
            depth: Depth::Zero,
            max_size: None,
            known_as: None,
            other: None,
            entries: Vec::new(),
            places: HashMap::new(),
            bytes: 0,
        })
    }

    /// Goes below the entries too (RFC 5464 section 4.2.2).
    pub fn depth(mut self, depth: Depth) -> Self {
        self.depth = depth;
        self
    }

    /// Leaves out values of more than `bytes` (RFC 5464 section 4.2.1); see [`Metadata::longest`].
    pub fn max_size(mut self, bytes: u32) -> Self {
        self.max_size = Some(bytes);
        self
    }

    /// Whether the server takes the name for a pattern, as Cyrus and Dovecot do, and answers for all that match.
    fn is_pattern(&self) -> bool {
        has_wildcard(&self.mailbox)
    }

    /// Whether a response for the mailbox `name` is this request's own.
    fn is_own(&mut self, name: &[u8], fit: Fit<'_>) -> bool {
        let is_same = MailboxName::same(name, self.mailbox.wire());
        match &self.known_as {
            Some(known) if MailboxName::same(name, known.wire()) => true,
            // What came under another name before was not this one's.
            Some(_) if is_same => {
                self.forget();
                true
            }
            Some(_) => false,
            // Nor is it one of many that a name which is also a pattern brings along.
            None => is_same || (!self.is_pattern() && fit.is_about(name, self.mailbox.wire())),
        }
    }

    fn forget(&mut self) {
        self.known_as = None;
        self.entries.clear();
        self.places.clear();
        self.bytes = 0;
    }

    /// Keeps what was asked for: Cyrus also sends `/private/admin` when `/shared/admin` and `/private/comment` are.
    fn keep(&mut self, entry: Entry, at: &Cursor<'_>) -> Result<(), ParseError> {
        let asked = |top: &String| is_within(&entry.name, top, self.depth);
        if !self.asked.iter().any(asked) {
            return Ok(());
        }
        let bytes = entry.name.len() + entry.value.as_ref().map_or(0, Vec::len);
        if self.entries.len() >= MOST_ENTRIES || bytes > MOST_BYTES.saturating_sub(self.bytes) {
            return Err(at.error("less metadata"));
        }
        self.bytes += bytes;
        let at = *self
            .places
            .entry(entry.name.to_ascii_lowercase())
            .or_insert(self.entries.len());
        match self.entries.get_mut(at) {
            // The later one is the newer one.
            Some(have) => *have = entry,
            None => self.entries.push(entry),
        }
        Ok(())
    }
}

fn has_wildcard(mailbox: &MailboxName) -> bool {
    mailbox
        .wire()
        .iter()
        .any(|byte| matches!(byte, b'*' | b'%'))
}

impl Request for GetMetadata {
    type Reply = Metadata;
    fn verb(&self) -> &'static str {
        "GETMETADATA"
    }
    fn effect(&self) -> Effect {
        Effect::Read
    }
    fn depends_on_server(&self) -> bool {
        true
    }
    fn extension(&self) -> Option<Extension> {
        Some(extension_for(&self.mailbox))
    }
    fn subject(&self) -> Option<&MailboxName> {
        Some(&self.mailbox)
    }
    fn write(&self, command: &mut Encoder<'_>) {
        command.atom("GETMETADATA").space();
        // In front of the mailbox, as the grammar has it (RFC 5464 section 5); its examples put them behind, where Dovecot refuses them.
        let depth = (self.depth != Depth::Zero).then_some(self.depth);
        if depth.is_some() || self.max_size.is_some() {
            command.open();
            if let Some(depth) = depth {
                command.atom("DEPTH").space().atom(&depth.to_string());
            }
            if let Some(bytes) = self.max_size {
                if depth.is_some() {
                    command.space();
                }
                command.atom("MAXSIZE").space().number(bytes.into());
            }
            command.close().space();
        }
        command.mailbox(self.mailbox.wire()).space().open();
        for (at, name) in self.asked.iter().enumerate() {
            if at > 0 {
                command.space();
            }
            command.astring(name.as_bytes());
        }
        command.close();
    }
    fn take(&mut self, data: &Data<'_>, fit: Fit<'_>) -> Result<bool, ParseError> {
        if !data.is("METADATA") {
            return Ok(false);
        }
        let mut body = data.body;
        let name = name_asked_for(&mut body, self.mailbox.wire(), "a mailbox")?;
        if !self.is_own(&name, fit) {
            // Nobody else wants those that a name with a wildcard brought along.
            if !fit.is_exact() && self.is_pattern() {
                return Ok(true);
            }
            if !fit.is_exact() && body.peek() == Some(b'(') {
                self.other = Some(MailboxName::from_wire(&name));
            }
            return Ok(false);
        }
        if body.open().is_none() {
            // Names alone: something has changed there, and nobody asked (RFC 5464 section 4.4.2).
            return match body.astring() {
                Some(entry) if entry.starts_with(b"/") => Ok(false),
                _ => Err(body.error("a list of entries")),
            };
        }
        if self.known_as.is_none() {
            self.known_as = Some(MailboxName::from_wire(&name));
        }
        read_entries(&mut body, |entry, body| self.keep(entry, body))?;
        Ok(true)
    }
    fn finish(self, ok: &Status<'_>, state: &mut State) -> Result<Metadata, Error> {
        // Dovecot sends no METADATA where nothing below the entries has a value; an entry by itself gets its answer.
        if self.known_as.is_none() && self.is_pattern() && self.depth == Depth::Zero {
            return Err(Error::Missing {
                verb: "GETMETADATA",
                missing: "fitting METADATA",
                advice: Advice::AvoidWildcards,
            });
        }
        if let (None, Some(other)) = (&self.known_as, &self.other) {
            return Err(about_another("GETMETADATA", &self.mailbox, other));
        }
        // Cyrus answers for every entry, except where the user may not read them.
        if self.known_as.is_none() && self.max_size.is_none() && state.is_cyrus() {
            return Err(Error::Missing {
                verb: "GETMETADATA",
                missing: "METADATA",
                advice: Advice::NeedRight {
                    right: 'r',
                    mailbox: Some(self.mailbox.to_string()),
                    or_unknown_entry: false,
                },
            });
        }
        Ok(Metadata {
            longest: longest(ok),
            mailbox: self.known_as.unwrap_or(self.mailbox),
            entries: self.entries,
        })
    }
    fn refused(&self, refusal: &Refusal, state: &mut State) -> Option<Advice> {
        if refusal.is(Reason::PermissionDenied) && self.mailbox.wire().is_empty() {
            return Some(Advice::LogInAsAdministrator { or_owner: false });
        }
        advice(refusal, &self.mailbox, state)
            .or_else(|| right_advice(refusal, 'r', Some(&self.mailbox)))
    }
}

/// The number of `[METADATA LONGENTRIES 2199]` (RFC 5464 section 4.2.1).
fn longest(ok: &Status<'_>) -> Option<u64> {
    let code = ok.code.filter(|code| code.is("METADATA"))?;
    let mut arguments = code.cursor();
    let word = arguments.atom()?;
    arguments.space()?;
    let number = arguments.number();
    number.filter(|_| word.eq_ignore_ascii_case(b"LONGENTRIES"))
}

/// SETMETADATA (RFC 5464 section 4.3). [`Session::set_metadata_request`] makes one that was checked.
#[derive(Debug, Clone)]
pub struct SetMetadata {
    /// The mailbox; the empty name is the server.
    pub mailbox: MailboxName,
    /// The entries and their new values; `None` removes one.
    pub entries: Vec<(String, Option<Vec<u8>>)>,
}

impl Request for SetMetadata {
    type Reply = ();
    fn verb(&self) -> &'static str {
        "SETMETADATA"
    }
    fn effect(&self) -> Effect {
        Effect::Change
    }
    fn depends_on_server(&self) -> bool {
        true
    }
    fn extension(&self) -> Option<Extension> {
        Some(extension_for(&self.mailbox))
    }
    fn write(&self, command: &mut Encoder<'_>) {
        command
            .atom("SETMETADATA")
            .space()
            .mailbox(self.mailbox.wire())
            .space()
            .open();
        for (at, (name, value)) in self.entries.iter().enumerate() {
            if at > 0 {
                command.space();
            }
            command.astring(name.as_bytes()).space();
            match value {
                Some(value) => command.string(value),
                None => command.atom("NIL"),
            };
        }
        command.close();
    }
    fn finish(self, _: &Status<'_>, _: &mut State) -> Result<(), Error> {
        Ok(())
    }
    fn refused(&self, refusal: &Refusal, state: &mut State) -> Option<Advice> {
        if let Some(advice) = advice(refusal, &self.mailbox, state) {
            return Some(advice);
        }
        Some(match refusal.reason() {
            Some(Reason::PermissionDenied) if self.mailbox.wire().is_empty() => {
                Advice::SetServerEntryAsAdministrator
            }
            Some(Reason::PermissionDenied) => Advice::NeedRight {
                right: 'w',
                mailbox: Some(self.mailbox.to_string()),
                or_unknown_entry: state.is_cyrus(),
            },
            Some(Reason::NoSuchMailbox) => Advice::LookForName,
            Some(Reason::Impossible) => Advice::UseAnotherEntry,
            _ if refusal.says(&["cannot be changed"]) => Advice::UseAnotherEntry,
            _ => return None,
        })
    }
}

fn extension_for(mailbox: &MailboxName) -> Extension {
    if mailbox.wire().is_empty() {
        METADATA_SERVER
    } else {
        METADATA
    }
}

/// What to do after a refusal that only metadata know.
fn advice(refusal: &Refusal, mailbox: &MailboxName, state: &State) -> Option<Advice> {
    if refusal.code == Some(ResponseCode::Metadata) {
        // RFC 5464 section 4.3.
        let mut words = refusal.arguments.split_ascii_whitespace();
        let kind = words.next().unwrap_or_default().to_ascii_uppercase();
        match (kind.as_str(), words.next().map(str::parse)) {
            ("MAXSIZE", Some(Ok(most))) => return Some(Advice::ShortenValue { most }),
            ("TOOMANY", _) => return Some(Advice::RemoveEntry),
            ("NOPRIVATE", _) => return Some(Advice::UseSharedEntry),
            _ => {}
        }
    }
    if refusal.says(&["must begin with", "entry name"]) {
        Some(Advice::NameMetadataEntry)
    } else if refusal.says(&["not enabled"]) && state.is_dovecot() {
        Some(Advice::EnableMetadata {
            of_server: mailbox.wire().is_empty(),
        })
    } else {
        None
    }
}

impl Session {
    /// The values of entries of a mailbox, or of the server where the name is empty (RFC 5464 section 4.2).
    ///
    /// `imap.get_metadata("user.bob", ["/shared", "/private"], Depth::Infinity)` is all there is.
    ///
    /// # Errors
    /// The server has no METADATA, a name that can't be an entry's, or its refusal.
    pub fn get_metadata<E: Into<String>>(
        &mut self,
        mailbox: impl IntoMailbox,
        entries: impl IntoIterator<Item = E>,
        depth: Depth,
    ) -> Result<Metadata, Error> {
        let mailbox = mailbox.into_mailbox_or_server()?;
        self.run(GetMetadata::new(mailbox, entries)?.depth(depth))
    }

    /// Sets the values of entries of a mailbox, or of the server where the name is empty (RFC 5464 section 4.3): all of them or, on
    /// a failure, none. `None` removes an entry; so does an empty value on Cyrus, while Dovecot keeps it.
    ///
    /// # Errors
    /// The server has no METADATA, a name or value that can't be one, or its refusal.
    pub fn set_metadata<E: Into<String>, V: Into<Vec<u8>>>(
        &mut self,
        mailbox: impl IntoMailbox,
        entries: impl IntoIterator<Item = (E, Option<V>)>,
    ) -> Result<(), Error> {
        let entries = entries
            .into_iter()
            .map(|(name, value)| (name.into(), value.map(Into::into)))
            .collect();
        let request = self.set_metadata_request(mailbox.into_mailbox_or_server()?, entries)?;
        self.run(request)
    }

    /// The request of [`set_metadata`](Self::set_metadata), after the checks that need no answer.
    pub fn set_metadata_request(
        &mut self,
        mailbox: MailboxName,
        entries: Vec<(String, Option<Vec<u8>>)>,
    ) -> Result<SetMetadata, Error> {
        self.require("SETMETADATA", extension_for(&mailbox))?;
        if entries.is_empty() {
            return Err(Error::Usage(
                "no metadata entry is given; give one, such as /shared/comment".into(),
            ));
        }
        for (at, (name, value)) in entries.iter().enumerate() {
            check_writable(name)?;
            if entries[..at]
                .iter()
                .any(|(before, _)| before.eq_ignore_ascii_case(name))
            {
                return Err(Error::Usage(format!("the entry {name} is given twice")));
            }
            // Cyrus would cut it off there, and say OK.
            if value.as_ref().is_some_and(|value| value.contains(&0)) {
                return Err(Error::Usage(format!(
                    "the value of {name} contains a NUL byte, which no server accepts; remove it"
                )));
            }
        }
        // Cyrus 3.6.1 ends the connection without a word over a longer literal that comes without a pause.
        let too_long = entries
            .iter()
            .find(|(_, value)| value.as_ref().is_some_and(|value| value.len() > CYRUS_MOST));
        if let Some((name, _)) = too_long.filter(|_| self.is_cyrus()) {
            return Err(Error::Usage(format!(
                "the value of {name} is longer than the {CYRUS_MOST} bytes that Cyrus accepts; shorten it"
            )));
        }
        // Cyrus would change all mailboxes that the name matches as a pattern.
        if has_wildcard(&mailbox) && self.is_cyrus() {
            return Err(Error::Usage(format!(
                "Cyrus treats * and % in {mailbox} as wildcards and would change every mailbox that matches; rename it, or give a name \
                 without them"
            )));
        }
        Ok(SetMetadata { mailbox, entries })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::encode::{EncodeError, Literals};
    use crate::wire::response::{Condition, Response, Untagged, parse};
    use proptest::prelude::*;

    fn mailbox(name: &str) -> MailboxName {
        MailboxName::pattern(name).unwrap()
    }

    fn get(name: &str, entries: &[&str]) -> GetMetadata {
        GetMetadata::new(mailbox(name), entries.iter().copied()).unwrap()
    }

    fn set(name: &str, entries: &[(&str, Option<&[u8]>)]) -> SetMetadata {
        let own =
            |(name, value): &(&str, Option<&[u8]>)| ((*name).to_owned(), value.map(<[u8]>::to_vec));
        SetMetadata {
            mailbox: mailbox(name),
            entries: entries.iter().map(own).collect(),
        }
    }

    fn written(request: &impl Request) -> Result<Vec<u8>, EncodeError> {
        let mut out = Vec::new();
        let mut encoder = Encoder::begin(&mut out, Literals::Plus);
        request.write(&mut encoder);
        encoder.finish()?;
        Ok(out)
    }

    fn take(request: &mut GetMetadata, line: &[u8], fit: Fit<'_>) -> Result<bool, ParseError> {
        let Response::Untagged(Untagged::Data(data)) = parse(line).unwrap() else {
            panic!("{}", line.escape_ascii())
        };
        request.take(&data, fit)
    }

    fn took(request: &mut GetMetadata, line: &str) -> bool {
        take(request, line.as_bytes(), Fit::Exact).unwrap()
            || take(request, line.as_bytes(), Fit::Alias(&state(""))).unwrap()
    }

    fn state(greeting: &str) -> State {
        let mut state = State::of_user(None);
        state.greeting = greeting.into();
        state
    }

    fn finish(request: GetMetadata, ok: &str, greeting: &str) -> Result<Metadata, Error> {
        let Response::Tagged { status, .. } = parse(ok.as_bytes()).unwrap() else {
            panic!("{ok}")
        };
        request.finish(&status, &mut state(greeting))
    }

    #[test]
    fn options_stand_before_the_mailbox() {
        for (request, line) in [
            (
                get("", &["/shared/comment"]),
                "GETMETADATA \"\" (/shared/comment)\r\n",
            ),
            (
                get("m", &["/shared", "/private"]).depth(Depth::Infinity),
                "GETMETADATA (DEPTH infinity) m (/shared /private)\r\n",
            ),
            (
                get("a b", &["/shared/x y"]).depth(Depth::One).max_size(5),
                "GETMETADATA (DEPTH 1 MAXSIZE 5) \"a b\" (\"/shared/x y\")\r\n",
            ),
            (
                get("m", &["/shared/x"]).max_size(0),
                "GETMETADATA (MAXSIZE 0) m (/shared/x)\r\n",
            ),
        ] {
            assert_eq!(written(&request).unwrap(), line.as_bytes());
        }
    }

    #[test]
    fn values_go_as_strings_or_literals_and_never_as_nil() {
        let request = set(
            "m",
            &[
                ("/shared/a", Some(b"NIL")),
                ("/shared/b", None),
                ("/private/c", Some(b"say \"\\\"")),
                ("/private/d", Some(b"")),
                ("/private/e", Some(b"two\r\n\xfc")),
            ],
        );
        assert_eq!(
            written(&request).unwrap(),
            b"SETMETADATA m (/shared/a \"NIL\" /shared/b NIL /private/c \"say \\\"\\\\\\\"\" /private/d \"\" \
              /private/e {6+}\r\ntwo\r\n\xfc)\r\n"
                .as_slice()
        );
        let request = set("m", &[("/shared/a", Some(b"a\0b"))]);
        assert_eq!(written(&request), Err(EncodeError::Nul));
    }

    #[test]
    fn names_of_entries() {
        for name in [
            "/shared",
            "/private",
            "/shared/comment",
            "/PRIVATE/Comment",
            "/shared/vendor/x y/(z)\"",
        ] {
            check_name(name).unwrap_or_else(|error| panic!("{error}"));
        }
        for (name, why) in [
            ("", "begin"),
            ("comment", "begin"),
            ("/comment", "begin"),
            ("/sharedcomment", "begin"),
            ("/s\u{e4}ared/x", "begin"),
            ("/shared/*", "wildcard"),
            ("/shared/%/x", "wildcard"),
            ("/shared//x", "two slashes"),
            ("/shared/", "ends"),
            ("/shared/x/", "ends"),
            ("/shared/\u{fc}", "ASCII"),
            ("/shared/x\r\ny", "ASCII"),
            ("/shared/\0", "ASCII"),
        ] {
            let error = check_name(name).unwrap_err();
            assert_eq!(error.kind(), "usage");
            assert!(error.to_string().contains(why), "{name:?}: {error}");
            assert!(error.to_string().contains("write it like"), "{error}");
        }
        assert!(check_writable("/shared/x").is_ok());
        for whole in ["/shared", "/Private"] {
            assert!(
                check_writable(whole)
                    .unwrap_err()
                    .to_string()
                    .contains("below")
            );
        }
        let none: [&str; 0] = [];
        assert!(GetMetadata::new(mailbox("m"), none).is_err());
        assert!(GetMetadata::new(mailbox("m"), ["/shared/a", "b"]).is_err());
    }

    #[test]
    fn depths_as_typed() {
        assert_eq!(Depth::parse("0").unwrap(), Depth::Zero);
        assert_eq!(Depth::parse("1").unwrap(), Depth::One);
        assert_eq!(Depth::parse("INFINITY").unwrap(), Depth::Infinity);
        assert_eq!(Depth::parse("2").unwrap_err().kind(), "usage");
    }

    #[test]
    fn several_responses_make_one_reply_of_what_was_asked() {
        let mut request = get(
            "",
            &["/shared/comment", "/shared/admin", "/private/comment"],
        );
        assert!(took(
            &mut request,
            "* METADATA \"\" (\"/private/comment\" NIL \"/shared/comment\" {3}\r\na\"b \"/private/admin\" NIL)"
        ));
        assert!(took(
            &mut request,
            "* METADATA \"\" (/Shared/Admin \"me\" /PRIVATE/COMMENT \"later\")"
        ));
        assert!(!took(
            &mut request,
            "* METADATA \"INBOX\" (/shared/comment NIL)"
        ));
        assert!(!took(&mut request, "* METADATA \"\" /shared/comment"));
        assert!(!took(&mut request, "* ACL \"\""));
        let reply = finish(request, "a1 OK done", "").unwrap();
        assert_eq!(reply.mailbox, mailbox(""));
        assert_eq!(reply.longest, None);
        assert_eq!(reply.entries.len(), 3, "{reply:?}");
        assert_eq!(reply.value("/SHARED/comment"), Some(&b"a\"b"[..]));
        assert_eq!(reply.value("/shared/admin"), Some(&b"me"[..]));
        assert_eq!(reply.value("/private/comment"), Some(&b"later"[..]));
        assert_eq!(reply.value("/private/admin"), None);
        assert_eq!(reply.within("/shared").count(), 2);
        assert_eq!(reply.within("/shared/com").count(), 0);
    }

    #[test]
    fn a_depth_takes_in_what_is_below() {
        for (depth, count) in [(Depth::Zero, 1), (Depth::Infinity, 3)] {
            let mut request = get("m", &["/shared"]).depth(depth);
            assert!(took(
                &mut request,
                "* METADATA m (/shared NIL /shared/a {2}\r\n\x00\u{7f} /shared/b/c NIL /sharedx \"no\" /private/a NIL)"
            ));
            let reply = finish(request, "a1 OK done", "").unwrap();
            assert_eq!(reply.entries.len(), count);
        }
    }

    #[test]
    fn a_mailbox_by_another_name_is_taken_unless_it_may_be_another() {
        let mut request = get("INBOX", &["/shared/a"]);
        assert!(took(&mut request, "* METADATA user.bob (/shared/a NIL)"));
        assert!(!took(&mut request, "* METADATA user.eve (/shared/a NIL)"));
        assert_eq!(
            finish(request, "a1 OK done", "").unwrap().mailbox,
            mailbox("user.bob")
        );
        let mut server = get("", &["/shared/a"]);
        assert!(!took(&mut server, "* METADATA user.bob (/shared/a NIL)"));
        let mut bob = get("user.bob", &["/shared/a"]);
        assert!(!took(&mut bob, "* METADATA \"\" (/shared/a NIL)"));
    }

    #[test]
    fn a_name_with_a_wildcard_means_its_own_mailbox_alone() {
        let mut request = get("st*ar", &["/shared/a"]);
        assert!(took(&mut request, "* METADATA star (/shared/a \"other\")"));
        assert!(took(&mut request, "* METADATA st*ar (/shared/a \"own\")"));
        assert!(took(&mut request, "* METADATA stxar (/shared/a \"other\")"));
        let reply = finish(request, "a1 OK done", "").unwrap();
        assert_eq!(reply.value("/shared/a"), Some(&b"own"[..]));

        let mut request = get("st%", &["/shared/a"]);
        assert!(took(&mut request, "* METADATA star (/shared/a \"other\")"));
        let error = finish(request, "a1 OK done", "").unwrap_err();
        assert_eq!(error.kind(), "missing");
        assert_eq!(error.advice(), Some(Advice::AvoidWildcards));
    }

    #[test]
    fn silence_is_no_value_on_dovecot_and_no_right_on_cyrus() {
        let reply = finish(get("m", &["/shared"]), "a1 OK done", "Dovecot ready").unwrap();
        assert!(reply.entries.is_empty());
        let error = finish(get("m", &["/shared"]), "a1 OK done", "Cyrus IMAP").unwrap_err();
        assert!(matches!(
            error.advice(),
            Some(Advice::NeedRight { right: 'r', .. })
        ));
    }

    #[test]
    fn values_that_were_too_long_are_told() {
        for (ok, longest) in [
            ("a1 OK [METADATA LONGENTRIES 2199] done", Some(2199)),
            ("a1 OK [METADATA longentries 5]", Some(5)),
            ("a1 OK [METADATA LONGENTRIES]", None),
            ("a1 OK [METADATA LONGENTRIES x] done", None),
            ("a1 OK [METADATA MAXSIZE 5] done", None),
            ("a1 OK [OTHER LONGENTRIES 5] done", None),
        ] {
            let request = get("m", &["/shared/a"]).max_size(3);
            assert_eq!(
                finish(request, ok, "Cyrus").unwrap().longest,
                longest,
                "{ok}"
            );
        }
    }

    #[test]
    fn what_is_malformed_is_an_error() {
        for line in [
            "* METADATA m",
            "* METADATA m ",
            "* METADATA m garbage",
            "* METADATA m NIL",
            "* METADATA m (",
            "* METADATA m (/shared/a",
            "* METADATA m (/shared/a)",
            "* METADATA m (/shared/a NIL",
            "* METADATA m (/shared/a atom)",
            "* METADATA m (/shared/a (\"x\"))",
            "* METADATA m (/shared/a \"x)",
            "* METADATA m ((((((((",
        ] {
            let mut request = get("m", &["/shared/a"]);
            assert!(
                take(&mut request, line.as_bytes(), Fit::Exact).is_err(),
                "{line}"
            );
        }
        assert!(take(&mut get("m", &["/shared/a"]), b"* METADATA (", Fit::Exact).is_err());
    }

    #[test]
    fn a_reply_has_an_end() {
        let mut request = get("m", &["/shared"]).depth(Depth::Infinity);
        let line = |at: usize| format!("* METADATA m (/shared/{at} NIL)");
        for at in 0..MOST_ENTRIES {
            assert!(took(&mut request, &line(at)));
        }
        assert!(take(&mut request, line(MOST_ENTRIES).as_bytes(), Fit::Exact).is_err());

        let mut request = get("m", &["/shared"]).depth(Depth::Infinity);
        let megabyte = "x".repeat(1024 * 1024);
        let full = (0..40).find(|at| {
            let line = format!("* METADATA m (/shared/{at} \"{megabyte}\")");
            take(&mut request, line.as_bytes(), Fit::Exact).is_err()
        });
        assert_eq!(full, Some(31));
    }

    fn refused(request: &impl Request, line: &str, greeting: &str) -> Option<Advice> {
        let Response::Tagged { status, .. } = parse(line.as_bytes()).unwrap() else {
            panic!("{line}")
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let refusal = Refusal {
            verb: request.verb(),
            condition: Condition::No,
            code: status.code.map(|code| code.response_code()),
            arguments: status
                .code
                .map(|code| text(code.arguments))
                .unwrap_or_default(),
            text: text(status.text),
            advice: None,
        };
        request.refused(&refusal, &mut state(greeting))
    }

    #[test]
    fn refusals_say_what_to_do() {
        let request = set("m", &[("/shared/a", None)]);
        let server = set("", &[("/shared/a", None)]);
        let need = |right, or_unknown_entry| Advice::NeedRight {
            right,
            mailbox: Some("m".into()),
            or_unknown_entry,
        };
        for (request, line, greeting, advice) in [
            (
                &request,
                "a NO [METADATA MAXSIZE 1024] too long",
                "",
                Advice::ShortenValue { most: 1024 },
            ),
            (
                &request,
                "a NO [METADATA TOOMANY] no",
                "",
                Advice::RemoveEntry,
            ),
            (
                &request,
                "a NO [METADATA noprivate] no",
                "",
                Advice::UseSharedEntry,
            ),
            (
                &request,
                "a NO [METADATA] Permission denied",
                "",
                need('w', false),
            ),
            (
                &request,
                "a NO Mailbox does not exist",
                "",
                Advice::LookForName,
            ),
            (&request, "a NO [NOPERM] no", "", need('w', false)),
            (&request, "a NO Permission denied", "Cyrus", need('w', true)),
            (
                &server,
                "a NO Permission denied",
                "Cyrus",
                Advice::SetServerEntryAsAdministrator,
            ),
            (
                &request,
                "a NO [CANNOT] The attribute cannot be changed",
                "Dovecot",
                Advice::UseAnotherEntry,
            ),
            (
                &request,
                "a BAD entry must begin with /shared or /private",
                "",
                Advice::NameMetadataEntry,
            ),
            (
                &server,
                "a NO Mailbox attributes not enabled",
                "Dovecot ready",
                Advice::EnableMetadata { of_server: true },
            ),
        ] {
            assert_eq!(refused(request, line, greeting), Some(advice), "{line}");
        }
        assert_eq!(refused(&request, "a NO because", ""), None);
        let get = get("m", &["/shared/a"]);
        assert_eq!(
            refused(&get, "a NO Permission denied", ""),
            Some(need('r', false))
        );
    }

    proptest! {
        #[test]
        fn any_value_comes_back_as_it_was_sent(value in proptest::collection::vec(1u8.., 0..40)) {
            let line = written(&set("m", &[("/shared/a", Some(&value))])).unwrap();
            let body = line.strip_prefix(b"SETMETADATA ").unwrap().strip_suffix(b"\r\n").unwrap();
            let mut request = get("m", &["/shared/a"]);
            prop_assert!(take(&mut request, &[b"* METADATA ", body].concat(), Fit::Exact).unwrap());
            let reply = finish(request, "a1 OK done", "").unwrap();
            prop_assert_eq!(reply.value("/shared/a"), Some(&value[..]));
        }

        #[test]
        fn any_response_is_read_or_an_error(body in proptest::collection::vec(any::<u8>(), 0..60)) {
            let mut request = get("m", &["/shared"]).depth(Depth::Infinity);
            let line = [b"* METADATA m (/shared/a ", &body[..]].concat();
            if let Ok(Response::Untagged(Untagged::Data(data))) = parse(&line) {
                let _ = request.take(&data, Fit::Exact);
            }
        }
    }
}
