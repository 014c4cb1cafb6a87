//! Completion: command names, options, rights, metadata entries, and mailbox names one level at a time.
//!
//! What each word is comes from the table of commands. Not here: the terminal (`editor`).

use std::collections::HashMap;
use std::time::{Duration, Instant};

use imapadm::admin::mailbox::{ListCompact, Listing};
use imapadm::admin::mailboxes::Mailboxes;
use imapadm::session::{MailboxName, Ticket};
use imapadm::{Error, Session};

use super::command::Command;
use super::entry::entry_names;
use super::meaning::ArgumentKind;
use super::table::find;
use super::topics::TOPICS;
use super::words::partial;
use super::{Shell, table};

/// Names that are listed at most: nobody reads more, and rustyline's pager panics beyond 65,535.
const MOST_LISTED: usize = 1_000;
/// Of more than that so many are shown, and how many more there are. It is fewer than rustyline asks before («Display all …
/// possibilities?»), as what it asks would not be so.
const FIRST_SHOWN: usize = 99;
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
pub struct Cache {
    levels: HashMap<String, (Instant, Vec<String>)>,
    /// The listing that was asked for and has not been taken yet.
    asked: Option<Asked>,
}

/// A listing on its way. It may come long after the key press that asked for it.
struct Asked {
    level: String,
    ticket: Ticket<ListCompact>,
    /// Something has changed since it was asked for.
    outdated: bool,
}

impl Cache {
    /// Forgets them: something may have changed.
    pub fn clear(&mut self) {
        self.levels.clear();
        if let Some(asked) = &mut self.asked {
            asked.outdated = true;
        }
    }

    /// The names of a level. While an answer is on its way, nothing else is asked: what comes late is there at the next key press,
    /// and a slow server gets one question, not one for each of them.
    fn level(&mut self, session: &mut Session, level: &str) -> Option<&[String]> {
        self.collect(session);
        if self.asked.is_some() {
            return None;
        }
        let is_fresh = |(when, _): &(Instant, _)| when.elapsed() < FRESH;
        if !self.levels.get(level).is_some_and(is_fresh) {
            let pattern = MailboxName::pattern(&format!("{level}%")).ok()?;
            let request = ListCompact::new(Listing::All, pattern, MOST_KEPT);
            self.asked = Some(Asked {
                level: level.to_owned(),
                ticket: session.submit(request).ok()?,
                outdated: false,
            });
            self.collect(session);
        }
        self.levels.get(level).map(|(_, names)| names.as_slice())
    }

    /// Takes the listing that was asked for, if it comes in time.
    fn collect(&mut self, session: &mut Session) {
        let Some(asked) = self.asked.take() else {
            return;
        };
        match session.await_answer(&asked.ticket) {
            Err(Error::Interrupted { .. } | Error::DeadlineExceeded { .. })
                if session.is_open() =>
            {
                self.asked = Some(asked);
            }
            _ => {
                if let Ok(listed) = session.wait(asked.ticket)
                    && !asked.outdated
                {
                    self.levels
                        .insert(asked.level, (Instant::now(), shown(&listed)));
                }
            }
        }
    }
}

/// The words that the text before the cursor can become, and the byte from which they replace it.
pub fn complete(shell: &mut Shell, before: &str) -> (usize, Vec<Candidate>) {
    let at = partial(before);
    if at.redirects {
        return (at.start, Vec::new());
    }
    let Some((command, words)) = at.before.split_first() else {
        let names = with_prefix(table::ALL.iter().map(|command| command.name), &at.text);
        // Aliases would only get in the way of what can be typed out.
        if !names.is_empty() {
            return (at.start, names);
        }
        let aliases = table::ALL
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
        Some(ArgumentKind::Topic) => {
            let commands = table::ALL.iter().map(|command| command.name);
            let topics = TOPICS.iter().map(|topic| topic.name);
            with_prefix(commands.chain(topics), &at.text)
        }
        Some(ArgumentKind::Server) => with_prefix(shell.settings.config.names(), &at.text)
            .into_iter()
            .map(|candidate| Candidate {
                inserted: format!("{} ", quoted(&candidate.shown, at.quote, true)),
                ..candidate
            })
            .collect(),
        Some(ArgumentKind::Rights) => with_prefix(
            ["none", "read", "post", "append", "write", "delete", "all"].into_iter(),
            &at.text,
        ),
        Some(ArgumentKind::Entry) => with_prefix(entry_names(), &at.text),
        Some(
            ArgumentKind::Mailbox
            | ArgumentKind::NewMailbox
            | ArgumentKind::Mailboxes
            | ArgumentKind::MailboxesOrServer
            | ArgumentKind::Roots
            | ArgumentKind::Pattern
            | ArgumentKind::Base,
        ) => {
            let (separator, names) = mailboxes(shell, &at.text);
            narrow(names, separator, &at.text, at.quote)
        }
        Some(ArgumentKind::Identifier | ArgumentKind::Name | ArgumentKind::Text) | None => {
            Vec::new()
        }
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
    let all = names.len();
    let shown = if all > MOST_LISTED { FIRST_SHOWN } else { all };
    let mut list: Vec<_> = names
        .into_iter()
        .take(shown)
        .map(|name| Candidate {
            inserted: quoted(&name, quote, true),
            shown: name,
        })
        .collect();
    if all > shown {
        list.push(Candidate {
            // Short, as each column is as wide as the longest.
            shown: format!("… {} more", all - shown),
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
    let mut separator = None;
    let names = session.within(PATIENCE, |session| {
        separator = session.separator()?.map(char::from);
        // Ask for the whole level, not for what begins like the word: one answer serves every word on it.
        let level = separator
            .and_then(|separator| typed.rfind(separator))
            .map_or("", |at| &typed[..=at]);
        // A wildcard in the word would list another level than the one it is on.
        if level.contains(['*', '%']) {
            return Ok(None);
        }
        Ok(cache.level(session, level))
    });
    let Ok(Some(names)) = names else {
        return nothing;
    };
    let fitting = names.iter().filter(|name| name.starts_with(typed));
    (separator, fitting.cloned().collect())
}

/// The names of a listing as they are typed; those with others below them stand there with the separator too.
fn shown(listed: &Mailboxes) -> Vec<String> {
    let mut names = Vec::with_capacity(listed.len());
    for found in listed.iter() {
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
    }
    names.sort_unstable();
    names.dedup();
    names
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
        let names = |count| (0..count).map(|n| format!("box{}.{n}", n % 10)).collect();
        for (count, more) in [(5_000, "… 4901 more"), (70_000, "… 69901 more")] {
            let list = narrow(names(count), Some('.'), "box", None);
            // No more than rustyline lists without a question that counts them.
            assert_eq!(
                list.len(),
                rustyline::Config::default().completion_prompt_limit()
            );
            assert_eq!(list.last().map(|last| &*last.shown), Some(more));
            assert!(list.last().is_some_and(|last| last.inserted.is_empty()));
        }
        let list = narrow(names(1_000), Some('.'), "box", None);
        assert_eq!(list.len(), 1_000);
    }
}
