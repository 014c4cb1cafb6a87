//! Help on what concerns several commands: `help json`, `help scripts` and so on.
//!
//! The texts are in `topics/`, at most 78 columns wide. What the tables of the shell know is generated. Not here: help on one command
//! (`commands/shell`).

use super::command::Command;
use super::status;

/// A topic of help.
pub struct Topic {
    /// What it is called.
    pub name: &'static str,
    /// One line about it.
    pub summary: &'static str,
    text: &'static str,
    /// What is generated, after the text.
    generated: fn(&[&'static Command]) -> String,
}

/// Every topic.
pub static TOPICS: &[Topic] = &[
    Topic {
        name: "json",
        summary: "what --format json writes",
        text: include_str!("topics/json.md"),
        generated: keys,
    },
    Topic {
        name: "patterns",
        summary: "patterns, and how to write mailbox names",
        text: include_str!("topics/patterns.md"),
        generated: |_| String::new(),
    },
    Topic {
        name: "quoting",
        summary: "words, quotes and comments",
        text: include_str!("topics/quoting.md"),
        generated: |_| String::new(),
    },
    Topic {
        name: "refusals",
        summary: "connections that are refused",
        text: include_str!("topics/refusals.md"),
        generated: |_| String::new(),
    },
    Topic {
        name: "scripts",
        summary: "how scripts run, and exit statuses",
        text: include_str!("topics/scripts.md"),
        generated: |_| exit_statuses(),
    },
];

impl Topic {
    /// The topic of that name.
    pub fn find(name: &str) -> Option<&'static Self> {
        TOPICS.iter().find(|topic| topic.name == name)
    }

    /// All of it; `commands` is the table of commands.
    pub fn text(&self, commands: &[&'static Command]) -> String {
        format!("{}{}", self.text, (self.generated)(commands))
    }
}

/// Columns that help is wrapped at: every terminal has them.
pub const WIDTH: usize = 78;

/// The commands that have rows, those of the same columns together.
fn groups(commands: &[&'static Command]) -> Vec<Vec<&'static Command>> {
    let mut groups: Vec<Vec<&'static Command>> = Vec::new();
    for &command in commands {
        if command.columns.is_empty() {
            continue;
        }
        match groups
            .iter_mut()
            .find(|group| group[0].columns == command.columns)
        {
            Some(group) => group.push(command),
            None => groups.push(vec![command]),
        }
    }
    groups
}

fn names(group: &[&Command]) -> String {
    let names: Vec<&str> = group.iter().map(|command| command.name).collect();
    names.join(", ")
}

/// The keys of each command's rows, with what they mean.
fn keys(commands: &[&'static Command]) -> String {
    let mut text = String::new();
    for group in groups(commands) {
        text.push_str(&format!("\n{}\n", names(&group)));
        for column in group[0].columns {
            let line = format!("    {:16}{}", column.label(), column.meaning);
            text.push_str(&wrapped(line.trim_end(), 20));
        }
    }
    text
}

fn exit_statuses() -> String {
    let lines = status::ALL
        .iter()
        .map(|(status, meaning)| wrapped(&format!("    {status:<5}{meaning}"), 9));
    lines.collect()
}

/// The lines of an item in a list, those after the first indented.
fn wrapped(item: &str, indent: usize) -> String {
    let indent = " ".repeat(indent);
    let options = textwrap::Options::new(WIDTH).subsequent_indent(&indent);
    let lines = textwrap::wrap(item, options).into_iter();
    lines.map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::table;

    #[test]
    fn topics_fit_a_terminal_and_say_something() {
        for topic in TOPICS {
            let text = topic.text(table::ALL);
            for line in text.lines() {
                // The example of a summary is one line of output.
                let is_output = line.trim_start().starts_with('{');
                assert!(
                    line.chars().count() <= WIDTH || is_output,
                    "{}: {line}",
                    topic.name
                );
            }
            assert!(Topic::find(topic.name).is_some() && text.lines().count() > 10);
            assert!(
                table::find(topic.name).is_none(),
                "{} is a command",
                topic.name
            );
        }
    }

    /// A table of the README between its marks.
    fn table(head: &str, rows: impl Iterator<Item = String>) -> String {
        let columns = head.matches('|').count() - 1;
        format!(
            "{head}\n|{}\n{}",
            "---|".repeat(columns),
            rows.collect::<String>()
        )
    }

    #[test]
    fn the_readme_has_the_tables() {
        let commands: String = table::ALL
            .iter()
            .map(|command| {
                let aliases: Vec<_> = command.aliases.iter().map(|a| format!("`{a}`")).collect();
                let aliases = if aliases.is_empty() {
                    String::new()
                } else {
                    format!(" ({})", aliases.join(", "))
                };
                let item = format!("- `{}`{aliases}: {}", command.usage(), command.summary);
                let options = textwrap::Options::new(100)
                    .subsequent_indent("  ")
                    .word_splitter(textwrap::WordSplitter::NoHyphenation);
                textwrap::fill(&item, options) + "\n"
            })
            .collect();
        let statuses = status::ALL
            .iter()
            .map(|(status, meaning)| format!("| {status} | {} |\n", meaning.replace('|', "\\|")));
        let topics = TOPICS
            .iter()
            .map(|topic| format!("| `help {}` | {} |\n", topic.name, topic.summary));
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
        let before = std::fs::read_to_string(path).unwrap();
        let mut readme = before.clone();
        for (name, table) in [
            ("commands", commands),
            ("statuses", table("| exit status | meaning |", statuses)),
            ("topics", table("| command | explains |", topics)),
        ] {
            let (open, close) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
            let (head, rest) = readme.split_once(&open).unwrap();
            let (_, tail) = rest.split_once(&close).unwrap();
            readme = format!("{head}{open}{table}{close}{tail}");
        }
        if std::env::var_os("IMAPADM_BLESS").is_some() {
            std::fs::write(path, readme).unwrap();
        } else {
            assert_eq!(
                before, readme,
                "write it anew with IMAPADM_BLESS=1 cargo test readme"
            );
        }
    }
}
