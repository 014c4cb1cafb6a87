//! Which names may be one and the same mailbox's: a server may answer by another name than the one that was asked about.
//!
//! Cyrus calls a user's own `user.joe.Junk` INBOX.Junk, servers with virtual domains add the domain, others change case or take a doubled
//! separator for one. Lives here: how such names are recognized. Not here: what follows from it (`pipeline`).

use std::borrow::Cow;

use crate::wire::utf7;

use super::Session;
use super::name::MailboxName;
use super::state::State;

/// Another user's INBOX is below one of these, where the server has not told its namespaces.
const OTHER_USERS: [&str; 2] = ["user", "other users"];

/// A name without what servers change in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Plain {
    /// Equal for all names of one mailbox, as far as they are foreseen: for the user's own what is below INBOX.
    pub(super) key: Vec<u8>,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Kind {
    /// INBOX, or below it.
    Inbox,
    /// Another user's INBOX, or what stands in the key from here on below it.
    Of(usize),
    Other,
}

impl Plain {
    pub(super) fn new(name: &[u8], state: &State) -> Self {
        let shape = shape(name);
        if let Some(tail) = below(&shape, b"inbox") {
            let key = tail.to_vec();
            return Self {
                key,
                kind: Kind::Inbox,
            };
        }
        let mut kind = Kind::Other;
        if let Some(rest) = other_users(&shape, state) {
            if let Some(tail) = state.user().and_then(|user| below_user(rest, user)) {
                let key = tail.to_vec();
                return Self {
                    key,
                    kind: Kind::Inbox,
                };
            }
            let end = rest.iter().position(|byte| is_separator(*byte));
            let tail = end.map_or(0, |end| rest.len() - end - 1);
            kind = Kind::Of(shape.len() - tail);
        }
        Self { key: shape, kind }
    }

    /// Whether the mailbox of the one name may be that of the other.
    pub(super) fn may_be(&self, other: &Self, state: &State) -> bool {
        if self.key == other.key {
            return true;
        }
        // Nobody knows whose INBOX it is.
        match (&self.kind, &other.kind) {
            (Kind::Inbox, Kind::Of(at)) => state.user().is_none() && self.key == other.key[*at..],
            (Kind::Of(at), Kind::Inbox) => state.user().is_none() && other.key == self.key[*at..],
            _ => false,
        }
    }

    /// Whether it is below INBOX or another user's: without knowing who is logged in, the two can't be told apart.
    pub(super) fn side(&self) -> Option<Side> {
        match self.kind {
            Kind::Inbox => Some(Side::Own),
            Kind::Of(..) => Some(Side::Others),
            Kind::Other => None,
        }
    }
}

impl Session {
    /// A name without what servers change in it: equal for all names of one mailbox, as far as they are foreseen, and for others too.
    pub(crate) fn plain_name(&self, name: &MailboxName) -> Vec<u8> {
        Plain::new(name.wire(), &self.state).key
    }
}

/// Where a name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Own,
    Others,
}

/// Whether the server may call the mailbox `asked` by the name `told`.
pub(super) fn may_be_same(told: &[u8], asked: &[u8], state: &State) -> bool {
    if MailboxName::same(told, asked) {
        return true;
    }
    // The empty name is the server itself, or a quota root of that name.
    if told.is_empty() || asked.is_empty() {
        return false;
    }
    let domains = (domain(told), domain(asked));
    let domains_fit = match domains {
        (Some(a), Some(b)) => a.eq_ignore_ascii_case(b),
        _ => true,
    };
    domains_fit && Plain::new(told, state).may_be(&Plain::new(asked, state), state)
}

/// The name decoded, in small letters, without its domain, without separators at its end and each but once.
fn shape(name: &[u8]) -> Vec<u8> {
    // Nearly every name has nothing of all that but capitals and separators.
    if name.is_ascii() && memchr::memchr2(b'&', b'@', name).is_none() {
        return without_doubles(name.iter().map(u8::to_ascii_lowercase), name.len());
    }
    let decoded = match name.contains(&b'&') {
        true => utf7::decode(name).map(Cow::into_owned),
        false => None,
    };
    let text = match decoded {
        Some(text) => text.to_lowercase().into_bytes(),
        None if name.is_ascii() => name.to_ascii_lowercase(),
        None => String::from_utf8_lossy(name).to_lowercase().into_bytes(),
    };
    let text = match domain_at(&text) {
        Some(range) => [&text[..range.start], &text[range.end..]].concat(),
        None => text,
    };
    without_doubles(text.iter().copied(), text.len())
}

/// The letters of a name without separators at its end and each but once.
fn without_doubles(text: impl Iterator<Item = u8>, length: usize) -> Vec<u8> {
    let mut shape = Vec::with_capacity(length);
    for byte in text {
        if !(is_separator(byte) && shape.last() == Some(&byte)) {
            shape.push(byte);
        }
    }
    while shape.len() > 1 && shape.last().is_some_and(|last| is_separator(*last)) {
        shape.pop();
    }
    shape
}

/// Where `@example.net` stands: a domain goes on to the next slash, as its own parts have dots between them.
fn domain_at(name: &[u8]) -> Option<std::ops::Range<usize>> {
    let start = memchr::memchr(b'@', name).filter(|at| *at > 0)?;
    let end = memchr::memchr(b'/', &name[start..]).map_or(name.len(), |length| start + length);
    Some(start..end)
}

fn domain(name: &[u8]) -> Option<&[u8]> {
    domain_at(name).and_then(|range| name.get(range))
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b'.' | b'/' | b'\\')
}

/// What is below `top`, or nothing where it is `top` itself.
fn below<'a>(name: &'a [u8], top: &[u8]) -> Option<&'a [u8]> {
    match name.strip_prefix(top)? {
        [] => Some(b""),
        [separator, tail @ ..] if is_separator(*separator) => Some(tail),
        _ => None,
    }
}

/// What is below this user's INBOX, in a name behind the prefix of other users' mailboxes. Cyrus writes a dot in a user's name as ^.
fn below_user<'a>(rest: &'a [u8], user: &str) -> Option<&'a [u8]> {
    // Mostly the first letter tells that it is another one's.
    let differs = |(a, b): (&u8, u8)| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric();
        plain(*a) && plain(b) && *a != b.to_ascii_lowercase()
    };
    if rest.first().zip(user.bytes().next()).is_some_and(differs) {
        return None;
    }
    let user = shape(user.as_bytes());
    let (owner, tail) = rest.split_at_checked(user.len())?;
    let same = owner
        .iter()
        .zip(&user)
        .all(|(a, b)| a == b || (*a == b'^' && *b == b'.'));
    same.then(|| below(tail, b"")).flatten()
}

/// What stands behind the prefix of other users' mailboxes.
fn other_users<'a>(name: &'a [u8], state: &State) -> Option<&'a [u8]> {
    let mut usual = OTHER_USERS
        .iter()
        .map(|prefix| below(name, prefix.as_bytes()));
    let told = state.namespaces().map_or(&[][..], |told| &told.other);
    let told = || {
        told.iter().find_map(|namespace| {
            let prefix = shape(namespace.prefix.wire());
            below(name, &prefix).filter(|_| !prefix.is_empty())
        })
    };
    let rest = usual.find_map(|rest| rest).or_else(told)?;
    (!rest.is_empty()).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_one_mailbox() {
        let joe = State::of_user(Some("joe"));
        let max = State::of_user(Some("max.muster@example.net"));
        for (state, a, b) in [
            (&joe, "INBOX", "user.joe"),
            (&joe, "INBOX.Junk", "user.joe.Junk"),
            (&joe, "Other Users/joe/Junk", "INBOX/Junk"),
            (&joe, "Junk", "user/joe/Junk"),
            (&joe, "inbox", "INBOX"),
            (&joe, "user.bob", "user.bob@example.net"),
            (&joe, "user/bob/x", "user/bob@example.net/x"),
            (&joe, "user.bob.x", "user.bob.x@example.net"),
            (&joe, "foo", "FOO"),
            (&joe, "Zo&AOs-", "Zoë"),
            (&joe, "a//b/", "a/b"),
            (&max, "INBOX", "user.max^muster"),
            (&max, "INBOX/x", "user/max.muster@example.net/x"),
            (&State::of_user(None), "INBOX.x", "user.bob.x"),
        ] {
            assert!(may_be_same(a.as_bytes(), b.as_bytes(), state), "{a} {b}");
            assert!(may_be_same(b.as_bytes(), a.as_bytes(), state), "{b} {a}");
        }
        for (state, a, b) in [
            (&joe, "", "INBOX"),
            (&joe, "INBOX", "user.bob"),
            (&joe, "INBOX.x", "user.joe"),
            (&joe, "INBOX", "archive.joe"),
            (&joe, "INBOX.keep", "INBOX.keep~1"),
            (&joe, "user.bob@a.example", "user.bob@b.example"),
            (&joe, "ab", "a.b"),
            (&joe, "other", "a"),
            (&State::of_user(None), "user.joe.x", "user.bob.x"),
        ] {
            assert!(!may_be_same(a.as_bytes(), b.as_bytes(), state), "{a} {b}");
            assert!(!may_be_same(b.as_bytes(), a.as_bytes(), state), "{b} {a}");
        }
    }

    #[test]
    fn prefixes_that_the_server_tells() {
        let mut joe = State::of_user(Some("joe"));
        joe.namespaces = Some(super::super::state::Namespaces {
            other: vec![super::super::state::Namespace {
                prefix: MailboxName::from_wire(b"Benutzer/"),
                separator: Some(b'/'),
            }],
            ..Default::default()
        });
        assert!(may_be_same(b"Benutzer/joe/x", b"INBOX/x", &joe));
        assert!(!may_be_same(b"Benutzer/bob/x", b"INBOX/x", &joe));
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics_and_each_name_is_itself(
            a in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..30),
            b in "[a-z./@&^-]{0,12}",
        ) {
            let joe = State::of_user(Some("joe"));
            let both = (may_be_same(&a, b.as_bytes(), &joe), may_be_same(b.as_bytes(), &a, &joe));
            proptest::prop_assert_eq!(both.0, both.1);
            proptest::prop_assert!(may_be_same(&a, &a, &joe));
        }
    }
}
