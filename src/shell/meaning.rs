//! What a word of a command stands for.
//!
//! Lives here: the kinds of arguments, the check that each of them has, and the one place where a name is special: the selected
//! mailbox, the server, the root of a server, patterns. Running a command and checking a script both ask here. Not here: which
//! arguments a command takes (`command`).

use imapadm::Error;
use imapadm::admin::acl::{RightsChange, check_identifier};
use imapadm::admin::many::Reach;
use imapadm::session::{Capabilities, MailboxName, RAW};

use super::entry::check_entry;

/// What an argument is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArgumentKind {
    /// One mailbox; the selected one where it is left out.
    Mailbox,
    /// A mailbox to be created. Every other command would take a name with a wildcard for a pattern, so such a name is refused unless
    /// it is written behind [`RAW`].
    NewMailbox,
    /// A mailbox, or a pattern for many; the selected mailbox where it is left out.
    Mailboxes,
    /// The same, but the server itself where it is empty or left out.
    MailboxesOrServer,
    /// A quota root, or a pattern for mailboxes. Empty, it is Cyrus's root of the whole server.
    Roots,
    /// A LIST pattern; everything where it is left out.
    Pattern,
    /// What the server puts in front of a LIST pattern; nothing where it is left out.
    Base,
    /// An ACL identifier.
    Identifier,
    /// ACL rights.
    Rights,
    /// A server that the configuration names, or any other.
    Server,
    /// A metadata entry.
    Entry,
    /// What help explains: a command of the shell, or a topic.
    Topic,
    /// A name of anything else.
    Name,
    /// Any text, also none.
    Text,
}

/// What a word stands for, where that is mailboxes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// One mailbox, quota root or server, by its name.
    One(MailboxName),
    /// As many mailboxes as that comes to.
    Many(Reach),
}

impl ArgumentKind {
    /// Checks that a word can be one, as far as that can be told without a server.
    ///
    /// # Errors
    /// [`Error::Usage`].
    pub fn check(self, word: &str) -> Result<(), Error> {
        match self {
            Self::Identifier => check_identifier(word),
            Self::Rights => RightsChange::parse(word, &Capabilities::default()).map(drop),
            Self::Entry => check_entry(word),
            Self::Server | Self::Topic | Self::Name | Self::Text => Ok(()),
            _ => self
                .resolve(Some(word), || Err(Error::NothingSelected))
                .map(drop),
        }
    }

    /// What a word stands for, or its absence; `selected` says which mailbox is selected.
    ///
    /// # Errors
    /// [`Error::Usage`] for a word that can't be a name; whatever `selected` says.
    pub fn resolve(
        self,
        word: Option<&str>,
        selected: impl FnOnce() -> Result<MailboxName, Error>,
    ) -> Result<Scope, Error> {
        let pattern =
            |word| MailboxName::pattern(word).map(|name| Scope::Many(Reach::Pattern(name)));
        match (self, word) {
            (Self::Pattern, word) => pattern(word.unwrap_or("*")),
            (Self::Base, word) => MailboxName::pattern(word.unwrap_or_default()).map(Scope::One),
            (Self::MailboxesOrServer, None) | (Self::MailboxesOrServer | Self::Roots, Some("")) => {
                MailboxName::pattern("").map(Scope::One)
            }
            (Self::Mailboxes | Self::MailboxesOrServer | Self::Roots, Some(word))
                if is_pattern(word) =>
            {
                pattern(word)
            }
            (Self::NewMailbox, Some(word)) if is_pattern(word) => Err(Error::Usage(format!(
                "{word:?} contains a wildcard (* or %), so other commands would treat it as a pattern; choose another name, or write {} \
                 to use this one",
                shell_words::quote(&MailboxName::pattern(word)?.to_string())
            ))),
            (_, Some(word)) => MailboxName::typed(word).map(Scope::One),
            (_, None) => selected().map(Scope::One),
        }
    }

    /// Whether an empty word means anything.
    pub fn may_be_empty(self) -> bool {
        matches!(
            self,
            Self::MailboxesOrServer | Self::Roots | Self::Pattern | Self::Base | Self::Text
        )
    }
}

/// Whether a word stands for all mailboxes that match it; behind `wire:` it is one name, whatever it holds.
fn is_pattern(word: &str) -> bool {
    word.contains(['*', '%']) && !word.starts_with(RAW)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ArgumentKind::{Base, Mailbox, Mailboxes, MailboxesOrServer, NewMailbox, Pattern, Roots};

    #[test]
    fn what_a_word_stands_for_depends_on_the_argument_alone() {
        let one = |name| Some(Scope::One(MailboxName::pattern(name).unwrap()));
        let many = |name| {
            Some(Scope::Many(Reach::Pattern(
                MailboxName::pattern(name).unwrap(),
            )))
        };
        for (kind, word, expected) in [
            (Mailbox, None, one("chosen")),
            (Mailbox, Some("a*"), one("a*")),
            (Mailbox, Some(""), None),
            (Mailboxes, None, one("chosen")),
            (Mailboxes, Some("a%"), many("a%")),
            (Mailboxes, Some("wire:a*"), one("wire:a*")),
            (Mailboxes, Some(""), None),
            (MailboxesOrServer, None, one("")),
            (MailboxesOrServer, Some(""), one("")),
            (MailboxesOrServer, Some("a*"), many("a*")),
            (Roots, Some(""), one("")),
            (Roots, Some("a"), one("a")),
            (Roots, Some("*"), many("*")),
            (NewMailbox, Some("a"), one("a")),
            (NewMailbox, Some("a*"), None),
            (NewMailbox, Some("wire:a*"), one("wire:a*")),
            (Pattern, None, many("*")),
            (Pattern, Some("a"), many("a")),
            (Base, None, one("")),
            (Base, Some("a"), one("a")),
        ] {
            let resolved = kind.resolve(word, || MailboxName::typed("chosen"));
            assert_eq!(resolved.ok(), expected, "{kind:?} {word:?}");
        }
    }

    #[test]
    fn a_check_and_a_run_agree_on_every_word() {
        for kind in [
            Mailbox,
            NewMailbox,
            Mailboxes,
            MailboxesOrServer,
            Roots,
            Pattern,
            Base,
        ] {
            for word in [
                "", "a", "a*", "%", "wire:*", "wire:\\x", "a\0", "R&D", "&AOs-",
            ] {
                let run = kind.resolve(Some(word), || panic!("nothing is left out"));
                assert_eq!(kind.check(word).is_ok(), run.is_ok(), "{kind:?} {word:?}");
            }
        }
    }
}
