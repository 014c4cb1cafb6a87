//! Completion: command names, options, rights, metadata entries, and mailbox names one level at a time.
//!
//! What each word is comes from the table of commands. Not here: the terminal (`editor`).

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use imapadm::Session;
use imapadm::admin::mailbox::Listing;
use imapadm::session::MailboxName;

use super::command::{Command, Kind};
use super::words::partial;
use super::{Shell, commands, find};

/// Candidates that are shown at most: nobody reads more, and rustyline's pager panics beyond 65,535.
const MOST_SHOWN: usize = 1_000;
/// Names that are kept of one level.
const MOST_KEPT: usize = 200_000;
/// How long a key press may wait for the server; a slow answer is for the next one.
const PATIENCE: Duration = Duration::from_millis(1500);
/// How long a listing is good for.
const FRESH: Duration = Duration::from_secs(20);

/// One way to complete the word.
pub struct Candidate {
    /// What the list shows.
    pub shown: String,
    /// What takes the word's place.
    pub inserted: String,
}

/// Listings of one level that were asked for lately.
#[derive(Default)]
pub struct Cache(HashMap<String, (Instant, Vec<String>)>);

impl Cache {
    /// Forgets them: something may have changed.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// The words that the text before the cursor can become, and the byte from which they replace it.
pub fn complete(shell: &mut Shell, before: &str) -> (usize, Vec<Candidate>) {
    let at = partial(before);
    let Some((command, words)) = at.before.split_first() else {
        let names = with_prefix(commands::ALL.iter().map(|command| command.name), &at.text);
        // Aliases would only get in the way of what can be typed out.
        if !names.is_empty() {
            return (at.start, names);
        }
        let aliases = commands::ALL
            .iter()
            .flat_map(|command| command.aliases.iter().copied());
        return (at.start, with_prefix(aliases, &at.text));
    };
    let Some(command) = find(command) else {
        return (at.start, Vec::new());
    };
    if at.text.starts_with('-') && words.iter().all(|word| word.starts_with('-')) {
        let names: Vec<String> = command
            .flags
            .iter()
            .map(|flag| format!("--{}", flag.name))
            .collect();
        return (
            at.start,
            with_prefix(names.iter().map(String::as_str), &at.text),
        );
    }
    let Some(plain) = plain_words(command, words) else {
        // What an option's value can be, nobody knows.
        return (at.start, Vec::new());
    };
    let candidates = match command.argument(plain).map(|argument| argument.kind) {
        Some(Kind::Command) => {
            with_prefix(commands::ALL.iter().map(|command| command.name), &at.text)
        }
        Some(Kind::Server) => with_prefix(shell.settings.config.names(), &at.text)
            .into_iter()
            .map(|candidate| Candidate {
                inserted: format!("{} ", quoted(&candidate.shown, at.quote, true)),
                ..candidate
            })
            .collect(),
        Some(Kind::Rights) => with_prefix(
            ["none", "read", "post", "append", "write", "delete", "all"].into_iter(),
            &at.text,
        ),
        Some(Kind::Entry) => with_prefix(commands::entry_names(), &at.text),
        Some(
            Kind::Mailbox | Kind::NewMailbox | Kind::MailboxOrServer | Kind::Pattern | Kind::Root,
        ) => {
            let (separator, names) = mailboxes(shell, &at.text);
            narrow(names, separator, &at.text, at.quote)
        }
        Some(Kind::Identifier | Kind::Name | Kind::Text) | None => Vec::new(),
    };
    (at.start, candidates)
}

/// How many plain words there are, options and their values apart; `None` where the next word is an option's value.
fn plain_words(command: &Command, words: &[String]) -> Option<usize> {
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        if word == "--" || !word.starts_with('-') {
            let behind = rest.filter(|word| *word != "--").count();
            return Some(behind + usize::from(word != "--"));
        }
        let takes_value = command.flag(word).is_ok_and(|flag| flag.value.is_some());
        if takes_value && !word.contains('=') {
            rest.next()?;
        }
    }
    Some(0)
}

/// The words of a fixed list that begin with what is typed, each with a space behind it.
fn with_prefix<'a>(names: impl Iterator<Item = &'a str>, prefix: &str) -> Vec<Candidate> {
    let mut fitting: Vec<&str> = names.filter(|name| name.starts_with(prefix)).collect();
    fitting.sort_unstable();
    fitting.dedup();
    fitting
        .into_iter()
        .map(|name| Candidate {
            shown: name.to_owned(),
            inserted: format!("{name} "),
        })
        .collect()
}

/// What a key press makes of the names that fit: the only one, or what they have in common, or the list of them.
fn narrow(
    names: Vec<String>,
    separator: Option<char>,
    typed: &str,
    quote: Option<char>,
) -> Vec<Candidate> {
    let Some(first) = names.first() else {
        return Vec::new();
    };
    let common = names
        .iter()
        .fold(first.as_str(), |common, name| common_prefix(common, name));
    if names.len() == 1 {
        // One with others below it goes on; its quote stays open for that.
        let done = !separator.is_some_and(|separator| common.ends_with(separator));
        return vec![Candidate {
            shown: common.to_owned(),
            inserted: quoted(common, quote, done),
        }];
    }
    if common.len() > typed.len() {
        return vec![Candidate {
            shown: common.to_owned(),
            inserted: quoted(common, quote, false),
        }];
    }
    let more = names.len().saturating_sub(MOST_SHOWN);
    let mut list: Vec<_> = names
        .into_iter()
        .take(MOST_SHOWN)
        .map(|name| Candidate {
            inserted: quoted(&name, quote, true),
            shown: name,
        })
        .collect();
    if more > 0 {
        list.push(Candidate {
            shown: format!("… and {more} more"),
            inserted: String::new(),
        });
    }
    list
}

fn common_prefix<'a>(a: &'a str, b: &str) -> &'a str {
    let end = a
        .char_indices()
        .zip(b.chars())
        .find(|((_, x), y)| x != y)
        .map(|((at, _), _)| at);
    &a[..end.unwrap_or(a.len().min(b.len()))]
}

/// A name, or the beginning of one, as a word of the line: in the quote that is open, else in one only if it needs it.
fn quoted(name: &str, open: Option<char>, done: bool) -> String {
    let single = open == Some('\'') && !name.contains('\'');
    let end = |quote: char| {
        if done {
            quote.to_string()
        } else {
            String::new()
        }
    };
    if single {
        return format!("'{name}{}", end('\''));
    }
    if open.is_none() && shell_words::quote(name) == name {
        return name.to_owned();
    }
    if open.is_none() && done {
        return shell_words::quote(name).into_owned();
    }
    format!(
        "\"{}{}",
        name.replace('\\', "\\\\").replace('"', "\\\""),
        end('"')
    )
}

/// The separator, and the mailboxes one level below what is typed, sorted; those with others below them stand there with the separator too.
fn mailboxes(shell: &mut Shell, typed: &str) -> (Option<char>, Vec<String>) {
    let nothing = (None, Vec::new());
    let Shell {
        session: Some(session),
        cache,
        ..
    } = shell
    else {
        return nothing;
    };
    let Ok(separator) = session.within(PATIENCE, Session::separator) else {
        return nothing;
    };
    let separator = separator.map(char::from);
    // Ask for the whole level, not for what begins like the word: one answer serves every word on it.
    let level = separator
        .and_then(|separator| typed.rfind(separator))
        .map_or("", |at| &typed[..=at]);
    // A wildcard in the word would list another level than the one it is on.
    if level.contains(['*', '%']) {
        return nothing;
    }
    if cache
        .0
        .get(level)
        .is_none_or(|(when, _)| when.elapsed() >= FRESH)
    {
        let Some(names) = list_level(session, level) else {
            return nothing;
        };
        cache.0.insert(level.to_owned(), (Instant::now(), names));
    }
    let names = cache
        .0
        .get(level)
        .map(|(_, names)| names.as_slice())
        .unwrap_or_default();
    (
        separator,
        names
            .iter()
            .filter(|name| name.starts_with(typed))
            .cloned()
            .collect(),
    )
}

/// Asks the server for one level.
fn list_level(session: &mut Session, level: &str) -> Option<Vec<String>> {
    let pattern = MailboxName::pattern(&format!("{level}%")).ok()?;
    let mut names = Vec::new();
    let listed = session.within(PATIENCE, |session| {
        session.list_each(
            Listing::All,
            &MailboxName::from_wire(b""),
            &pattern,
            |found| {
                let name = MailboxName::show(&found.mailbox);
                let only_a_name = found.has("\\Noselect") || found.has("\\NonExistent");
                if let Some(separator) = found.separator
                    && (only_a_name || found.has("\\HasChildren"))
                {
                    names.push(format!("{name}{}", char::from(separator)));
                }
                if !only_a_name {
                    names.push(name.into_owned());
                }
                if names.len() < MOST_KEPT {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            },
        )
    });
    listed.ok()?;
    names.sort_unstable();
    names.dedup();
    Some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inserted(names: &[&str], typed: &str, quote: Option<char>) -> Vec<String> {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        narrow(names, Some('.'), typed, quote)
            .into_iter()
            .map(|candidate| candidate.inserted)
            .collect()
    }

    #[test]
    fn the_only_name_is_inserted_so_that_it_works() {
        assert_eq!(inserted(&["user.zoe"], "user.z", None), ["user.zoe"]);
        assert_eq!(
            inserted(&["user.Nuit blanche"], "user.N", None),
            ["'user.Nuit blanche'"]
        );
        assert_eq!(
            inserted(&["user.Nuit blanche"], "user.N", Some('"')),
            ["\"user.Nuit blanche\""]
        );
        assert_eq!(inserted(&["it's"], "it", Some('\'')), ["\"it's\""]);
        assert_eq!(inserted(&["a \"b\\c"], "a", Some('"')), [r#""a \"b\\c""#]);
        assert_eq!(inserted(&["end "], "en", None), ["'end '"]);
        // More below it: the quote stays open.
        assert_eq!(
            inserted(&["user.sp ace."], "user.s", None),
            ["\"user.sp ace."]
        );
    }

    #[test]
    fn several_names_are_inserted_as_far_as_they_agree() {
        assert_eq!(
            inserted(&["Reports", "Reports 2023"], "Rep", None),
            ["Reports"]
        );
        assert_eq!(inserted(&["a b1", "a b2"], "a", None), ["\"a b"]);
        assert_eq!(inserted(&["Zoë", "Zoé"], "Z", None), ["Zo"]);
        assert_eq!(inserted(&["one", "other"], "o", None), ["one", "other"]);
    }

    #[test]
    fn a_long_list_is_cut_and_says_so() {
        let names: Vec<String> = (0..70_000).map(|n| format!("box{n:05}")).collect();
        let list = narrow(names, Some('.'), "box", None);
        assert_eq!(list.len(), MOST_SHOWN + 1);
        assert_eq!(list[MOST_SHOWN].shown, "… and 69000 more");
    }
}
