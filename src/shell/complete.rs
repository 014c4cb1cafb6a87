//! Completion: command names, options, and mailbox names one level at a time.
//!
//! What each word is comes from the table of commands. Not here: the terminal (`editor`).

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use imapadm::Session;
use imapadm::admin::mailbox::Listing;
use imapadm::session::MailboxName;

use super::command::Kind;
use super::words::partial;
use super::{Shell, commands, find};
use crate::report::escape::escape;

/// Candidates that are offered at most: nobody reads more, and rustyline's pager panics beyond 65,535.
const MOST: usize = 1_000;
/// How long a key press may wait for the server; a slow answer is for the next one.
const PATIENCE: Duration = Duration::from_millis(1500);
/// How long a listing is good for.
const FRESH: Duration = Duration::from_secs(20);

/// Listings of one level that were asked for lately, by the LIST pattern.
#[derive(Default)]
pub struct Cache(HashMap<String, (Instant, Vec<String>)>);

/// The words that the text before the cursor can become, and the byte from which they replace it.
pub fn complete(shell: &mut Shell, cache: &mut Cache, before: &str) -> (usize, Vec<String>) {
    let at = partial(before);
    let Some((command, words)) = at.before.split_first() else {
        let names = commands::ALL.iter().flat_map(|command| {
            std::iter::once(command.name).chain(command.aliases.iter().copied())
        });
        return (at.start, with_prefix(names, &at.text));
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
    let plain = words
        .iter()
        .skip_while(|word| word.starts_with('-'))
        .count();
    let candidates = match command.argument(plain).map(|argument| argument.kind) {
        Some(Kind::Command) => {
            with_prefix(commands::ALL.iter().map(|command| command.name), &at.text)
        }
        Some(Kind::Rights) => with_prefix(
            ["none", "read", "post", "append", "write", "delete", "all"].into_iter(),
            &at.text,
        ),
        Some(Kind::Mailbox | Kind::Pattern | Kind::Root) => mailboxes(shell, cache, &at.text),
        Some(Kind::Identifier | Kind::Word) | None => Vec::new(),
    };
    let quoted = candidates
        .into_iter()
        .map(|name| quote(&name, at.quote))
        .collect();
    (at.start, quoted)
}

fn with_prefix<'a>(names: impl Iterator<Item = &'a str>, prefix: &str) -> Vec<String> {
    let mut fitting: Vec<String> = names
        .filter(|name| name.starts_with(prefix))
        .map(|name| format!("{name} "))
        .collect();
    fitting.sort();
    fitting.dedup();
    fitting
}

/// The mailboxes one level below what is typed; those with others below them end in the separator.
fn mailboxes(shell: &mut Shell, cache: &mut Cache, typed: &str) -> Vec<String> {
    let Some(session) = &mut shell.session else {
        return Vec::new();
    };
    let separator = session.within(PATIENCE, Session::separator).ok().flatten();
    // Ask for the whole level, not for what begins like the word: one answer serves every word on it.
    let level = separator
        .and_then(|separator| typed.rfind(char::from(separator)))
        .map_or("", |at| &typed[..=at]);
    // A wildcard in the word would list another level than the one it is on.
    if level.contains(['*', '%']) {
        return Vec::new();
    }
    let fresh = |entry: &&(Instant, Vec<String>)| entry.0.elapsed() < FRESH;
    let names = match cache.0.get(level).filter(fresh) {
        Some((_, names)) => names.clone(),
        None => {
            let mut names = Vec::new();
            let Ok(pattern) = MailboxName::pattern(&format!("{level}%")) else {
                return Vec::new();
            };
            let nothing = MailboxName::from_wire(b"");
            let listed = session.within(PATIENCE, |session| {
                session.list_each(Listing::All, &nothing, &pattern, |found| {
                    let name = MailboxName::show(&found.mailbox).into_owned();
                    let only_a_name = found.has("\\Noselect") || found.has("\\NonExistent");
                    if let Some(separator) = found.separator
                        && (only_a_name || found.has("\\HasChildren"))
                    {
                        names.push(format!("{name}{}", char::from(separator)));
                    }
                    if !only_a_name {
                        names.push(name);
                    }
                    ControlFlow::Continue(())
                })
            });
            if listed.is_err() {
                return Vec::new();
            }
            names.sort();
            names.dedup();
            cache
                .0
                .insert(level.to_owned(), (Instant::now(), names.clone()));
            names
        }
    };
    // A name that can't be printed as it is can't be typed either.
    names
        .into_iter()
        .filter(|name| name.starts_with(typed) && escape(name) == *name)
        .take(MOST)
        .collect()
}

/// A name as a word of the line, in the quote that is open.
fn quote(name: &str, open: Option<char>) -> String {
    match open {
        Some('"') => format!("\"{}", name.replace('\\', "\\\\").replace('"', "\\\"")),
        Some('\'') if !name.contains('\'') => format!("'{name}"),
        // A trailing space ends a word that is complete; it is no part of the name.
        _ => match name.strip_suffix(' ') {
            Some(word) => format!("{} ", shell_words::quote(word)),
            None => shell_words::quote(name).into_owned(),
        },
    }
}
