//! Metadata: getmetadata, setmetadata. Not here: the short names of entries (`entry`).

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::rc::Rc;

use imapadm::admin::mailbox::Listing;
use imapadm::admin::many::{Reach, Tally};
use imapadm::admin::metadata::{Depth, GetMetadata, Metadata, PRIVATE, SHARED, check_writable};
use imapadm::admin::overview;
use imapadm::session::MailboxName;
use imapadm::{Advice, Error, Outcome};

use super::super::Shell;
use super::super::advice;
use super::super::command::{Argument, Command, Count, Effect, Flag, Input, Limits, Step};
use super::super::entry::Typed;
use super::super::meaning::{ArgumentKind, Scope};
use super::many::{RECURSIVE, YES, each, name_row, tell_passed_over};
use super::{MAILBOXES, columns, in_turn, submit};
use crate::report::{Column, REASON, Report, Value};

const ENTRY: Column = Column::new("entry", "");
const VALUE: Column = Column::new("value", "");

pub static GETMETADATA: Command = Command {
    name: "getmetadata",
    aliases: &["getmd"],
    flags: &[
        Flag::option(
            "depth",
            "0|1|infinity",
            "include the entries directly below those named, or all entries below them",
        ),
        RECURSIVE,
    ],
    arguments: &[
        Argument {
            kind: ArgumentKind::MailboxesOrServer,
            count: Count::Optional,
            ..MAILBOXES
        },
        Argument {
            name: "ENTRY",
            kind: ArgumentKind::Entry,
            count: Count::Any,
        },
    ],
    summary: "show metadata of mailboxes or the server",
    details: "Without MAILBOX, or with '', shows the server's metadata. ENTRY is a path or a short name: admin, comment, expire, motd, \
              news2mail, pop3showafter, sharedseen, shutdown, sieve, specialuse, squat. Both /shared (for all) and /private (yours) are \
              searched, unless ENTRY begins with one of them. Without ENTRY, shows every entry that has a value. A value is unknown if \
              the server does not report it. Bytes that are not UTF-8 are shown as \\xNN.",
    columns: &[
        columns::MAILBOX_OR_SERVER,
        ENTRY,
        VALUE.meaning("null: none, or the server did not say"),
        REASON,
    ],
    lists: true,
    check: |input| {
        let server = MailboxName::pattern("")?;
        Wanted::read(input)?.request(server).map(drop)
    },
    limits: Limits::Keeps,
    start: getmetadata,
    ..Command::BASE
};

fn getmetadata(shell: &mut Shell, input: &Input) -> Result<Step, Error> {
    let wanted = Rc::new(Wanted::read(input)?);
    match input.scope(0, shell)? {
        Scope::One(mailbox) => {
            let request = wanted.request(mailbox)?;
            submit(shell, request, move |metadata, out| {
                wanted.report(&metadata, out);
            })
        }
        // One LIST says it all where the server has LIST-METADATA.
        Scope::Many(Reach::Pattern(pattern))
            if wanted.named
                && wanted.depth == Depth::Zero
                && shell.session()?.capabilities()?.has("LIST-METADATA") =>
        {
            in_turn(move |shell, out| list_metadata(shell, pattern, &wanted, out))
        }
        Scope::Many(reach) => {
            let model = wanted.request(reach.name().clone())?;
            shell.session()?.check_extension(&model)?;
            let asked = Rc::clone(&wanted);
            each(
                input,
                reach,
                move |_, mailbox| Ok([(asked.request(mailbox.clone())?, ())]),
                name_row,
                None,
                move |_, (), metadata, out| wanted.report(&metadata, out),
            )
        }
    }
}

/// The metadata of all mailboxes that match a pattern, by one LIST.
fn list_metadata(
    shell: &mut Shell,
    pattern: MailboxName,
    wanted: &Wanted,
    out: &mut Report,
) -> Result<(), Error> {
    let base = MailboxName::pattern("")?;
    let asked = overview::Wanted {
        metadata: wanted.entries.clone(),
        ..overview::Wanted::default()
    };
    let mut tally = Tally::default();
    let mut passed_over = 0;
    let mut tell = |mailbox: &MailboxName, (): (), result: Result<Metadata, &Error>| match result {
        Ok(metadata) => wanted.report(&metadata, out),
        Err(error) => out.row(&[
            ("mailbox", Value::text(mailbox)),
            ("reason", Value::text(advice::message(error))),
        ]),
    };
    let session = shell.session()?;
    session.overview(Listing::All, &base, &pattern, asked, |overview| {
        if overview.mailbox.is_only_a_name() {
            passed_over += 1;
            return ControlFlow::Continue(());
        }
        let told = overview.metadata.ok_or_else(|| Error::Missing {
            verb: "LIST",
            missing: "METADATA",
            advice: Advice::NeedRight {
                right: 'r',
                mailbox: Some(overview.mailbox.name.to_string()),
                or_unknown_entry: false,
            },
        });
        tally.count(
            overview.mailbox.name,
            (),
            told,
            |_| Outcome::Done,
            &mut tell,
        );
        ControlFlow::Continue(())
    })?;
    if passed_over == 0 && tally.account().all() == 0 {
        return Err(Reach::Pattern(pattern).not_listed());
    }
    tell_passed_over(passed_over);
    out.account(tally.finish()?);
    Ok(())
}

/// What is asked of each mailbox.
struct Wanted {
    entries: Vec<String>,
    /// Whether somebody typed them, and so wants to hear of those without a value too.
    named: bool,
    depth: Depth,
}

impl Wanted {
    fn read(input: &Input) -> Result<Self, Error> {
        let depth = input.option("depth").map(Depth::parse).transpose()?;
        let words = input.words_from(1);
        if words.is_empty() {
            return Ok(Self {
                entries: vec![SHARED.to_owned(), PRIVATE.to_owned()],
                named: false,
                depth: depth.unwrap_or(Depth::Infinity),
            });
        }
        let mut entries: Vec<String> = Vec::new();
        for word in words {
            let typed = Typed::read(word)?;
            let tops = match typed.under {
                Some(top) => vec![top],
                None => vec![SHARED, PRIVATE],
            };
            for entry in tops.into_iter().map(|top| typed.under(top)) {
                if !entries.iter().any(|have| have.eq_ignore_ascii_case(&entry)) {
                    entries.push(entry);
                }
            }
        }
        Ok(Self {
            entries,
            named: true,
            depth: depth.unwrap_or_default(),
        })
    }

    /// The request for one mailbox.
    fn request(&self, mailbox: MailboxName) -> Result<GetMetadata, Error> {
        Ok(GetMetadata::new(mailbox, self.entries.iter().map(String::as_str))?.depth(self.depth))
    }

    /// The rows of one reply, in the order in which the entries were asked for.
    fn report(&self, metadata: &Metadata, out: &mut Report) {
        for (at, asked) in self.entries.iter().enumerate() {
            let mut none = true;
            for entry in metadata.within(asked) {
                let Some(value) = &entry.value else {
                    continue;
                };
                none = false;
                // An entry below two that were asked for stands once.
                let mut before = self.entries[..at].iter();
                if !before.any(|other| entry.is_within(other)) {
                    row(&metadata.mailbox, &entry.name, Value::str(show(value)), out);
                }
            }
            if none && self.named {
                // To who may see a mailbox and not read it, Cyrus tells some entries and is silent about the others.
                let told = self.depth != Depth::Zero || metadata.within(asked).next().is_some();
                let value = if told { NONE } else { UNKNOWN };
                row(&metadata.mailbox, asked, value, out);
            }
        }
    }
}

fn row(mailbox: &MailboxName, entry: &str, value: Value<'_>, out: &mut Report) {
    out.row(&[
        ("mailbox", place(mailbox)),
        ("entry", Value::str(entry)),
        ("value", value),
    ]);
}

/// The server says that there is no value.
const NONE: Value<'static> = Value::Absent("none");
/// The server did not say.
const UNKNOWN: Value<'static> = Value::Absent("unknown");

/// A mailbox, or the server as it is typed.
fn place(mailbox: &MailboxName) -> Value<'static> {
    if mailbox.wire().is_empty() {
        Value::Absent("''")
    } else {
        Value::text(mailbox)
    }
}

/// A value as people read it.
fn show(value: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(value) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => {
            let mut shown = String::with_capacity(value.len() + 16);
            for part in value.utf8_chunks() {
                shown.push_str(part.valid());
                for byte in part.invalid() {
                    shown.push_str(&format!("\\x{byte:02X}"));
                }
            }
            Cow::Owned(shown)
        }
    }
}

pub static SETMETADATA: Command = Command {
    name: "setmetadata",
    aliases: &["setmd"],
    flags: &[
        Flag::switch(
            "private",
            "set the entry under /private, where only you can see it",
        ),
        RECURSIVE,
        YES,
    ],
    arguments: &[
        Argument {
            kind: ArgumentKind::MailboxesOrServer,
            ..MAILBOXES
        },
        Argument {
            name: "ENTRY",
            kind: ArgumentKind::Entry,
            count: Count::One,
        },
        Argument {
            name: "VALUE",
            kind: ArgumentKind::Text,
            count: Count::One,
        },
    ],
    summary: "set metadata of mailboxes or the server",
    details: "MAILBOX '' is the server. ENTRY is a path or a short name, as in getmetadata. Unless it begins with /shared or /private, \
              comment and specialuse are set under /private, and all others under /shared. The value none removes the entry. Cyrus accepts \
              only the entries it defines; Dovecot accepts any.",
    columns: &[
        columns::MAILBOX_OR_SERVER,
        ENTRY,
        VALUE.meaning("null: removed"),
        columns::SET,
        REASON,
    ],
    effect: Effect::Changes,
    check: |input| check_writable(&entry(input)?),
    start: setmetadata,
    ..Command::BASE
};

/// The entry that is to be set.
fn entry(input: &Input) -> Result<String, Error> {
    let word = input.word(1).unwrap_or_default();
    let typed = Typed::read(word)?;
    match (typed.under, input.has("private")) {
        (Some(SHARED), true) => Err(input.command.misuse(&format!(
            "{word} is not a private entry; omit --private, or name a private entry"
        ))),
        (_, true) => Ok(typed.under(PRIVATE)),
        (top, false) => Ok(typed.under(top.unwrap_or(typed.usual))),
    }
}

fn setmetadata(shell: &mut Shell, input: &Input) -> Result<Step, Error> {
    let entry = entry(input)?;
    let value = input
        .word(2)
        .filter(|value| !value.eq_ignore_ascii_case("none"))
        .map(|value| value.as_bytes().to_vec());
    let entries = vec![(entry.clone(), value.clone())];
    let set = move |mailbox: &MailboxName, out: &mut Report| {
        let value = value.as_deref();
        out.row(&[
            ("mailbox", place(mailbox)),
            ("entry", Value::str(entry.as_str())),
            ("value", value.map_or(NONE, |value| Value::str(show(value)))),
            ("set", Value::Flag(true)),
        ]);
    };
    match input.scope(0, shell)? {
        Scope::One(mailbox) => {
            let request = shell
                .session()?
                .set_metadata_request(mailbox.clone(), entries)?;
            submit(shell, request, move |(), out| set(&mailbox, out))
        }
        Scope::Many(reach) => {
            // What is wrong with the words is wrong with them for every mailbox.
            let any = MailboxName::typed("INBOX")?;
            shell
                .session()?
                .set_metadata_request(any, entries.clone())?;
            each(
                input,
                reach,
                move |session, mailbox| {
                    let request = session.set_metadata_request(mailbox.clone(), entries.clone())?;
                    Ok([(request, ())])
                },
                name_row,
                Some(("set", false)),
                move |mailbox, (), (), out| set(mailbox, out),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::entry::{SHORTS, entry_names};
    use super::*;

    fn wanted(words: &[&str]) -> Result<Wanted, Error> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        Wanted::read(&GETMETADATA.read(&words)?)
    }

    #[test]
    fn entries_without_a_side_are_looked_for_on_both() {
        for (words, entries) in [
            (&["m"][..], &["/shared", "/private"][..]),
            (&["m", "comment"], &["/shared/comment", "/private/comment"]),
            (
                &["m", "/Private/x", "/comment", "comment"],
                &["/private/x", "/shared/comment", "/private/comment"],
            ),
            (
                &["m", "SQUAT"],
                &[
                    "/shared/vendor/cmu/cyrus-imapd/squat",
                    "/private/vendor/cmu/cyrus-imapd/squat",
                ],
            ),
            (&["m", "/sharedx"], &["/shared/sharedx", "/private/sharedx"]),
            (&["m", "/shared"], &["/shared"]),
        ] {
            assert_eq!(wanted(words).unwrap().entries, entries, "{words:?}");
        }
        assert_eq!(wanted(&["m"]).unwrap().depth, Depth::Infinity);
        assert_eq!(wanted(&["m", "motd"]).unwrap().depth, Depth::Zero);
        assert_eq!(wanted(&["--depth", "1", "m"]).unwrap().depth, Depth::One);
        assert!(wanted(&["--depth", "2", "m"]).is_err());
        for wrong in ["coment", "comment/x", "shared/x"] {
            let error = wanted(&["m", wrong]).err().map(|error| error.to_string());
            assert!(
                error.is_some_and(|text| text.contains("pop3showafter")),
                "{wrong}"
            );
        }
    }

    #[test]
    fn every_short_name_can_be_asked_for() {
        let mut words = vec!["m"];
        words.extend(entry_names());
        let wanted = wanted(&words).unwrap();
        assert_eq!(wanted.entries.len(), 2 * SHORTS.len());
        wanted
            .request(MailboxName::pattern("").unwrap())
            .expect("names that can be sent");
    }

    #[test]
    fn a_value_that_is_no_text_shows_its_bytes() {
        assert_eq!(show("Zo\u{eb}".as_bytes()), "Zo\u{eb}");
        assert_eq!(show(b"Zo\xeb, \xff\x00"), "Zo\\xEB, \\xFF\0");
    }
}
