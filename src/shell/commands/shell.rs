//! The shell itself: help and quit.

use imapadm::Error;

use super::super::Shell;
use super::super::command::{Argument, Command, Count, Input, Limits, Step};
use super::super::meaning::ArgumentKind;
use super::super::topics::{TOPICS, Topic, WIDTH};
use super::in_turn;
use crate::report::{Column, Value};

pub static HELP: Command = Command {
    name: "help",
    aliases: &["?"],
    arguments: &[Argument {
        name: "COMMAND|TOPIC",
        kind: ArgumentKind::Topic,
        count: Count::Optional,
    }],
    summary: "explain a command or a topic",
    columns: &[
        Column::new("command", "without an argument").optional(),
        Column::new("aliases", "without an argument").optional(),
        Column::new("summary", "without an argument").optional(),
        Column::new("help", "one line of the text").optional(),
    ],
    limits: Limits::Keeps,
    start: help,
    ..Command::BASE
};

fn help(shell: &mut Shell, input: &Input) -> Result<Step, Error> {
    let Some(name) = input.word(0) else {
        return in_turn(|shell, out| {
            for command in shell.commands {
                out.row(&[
                    ("command", Value::str(command.name)),
                    ("aliases", Value::words(command.aliases)),
                    ("summary", Value::str(command.summary)),
                ]);
            }
            for topic in TOPICS {
                out.row(&[
                    ("command", Value::str(format!("help {}", topic.name))),
                    ("aliases", Value::words(NONE)),
                    ("summary", Value::str(topic.summary)),
                ]);
            }
            Ok(())
        });
    };
    if let Some(topic) = Topic::find(name) {
        return in_turn(|shell, out| {
            for line in topic.text(shell.commands).lines() {
                out.row(&[("help", Value::str(line))]);
            }
            Ok(())
        });
    }
    let mut commands = shell.commands.iter();
    let Some(command) = commands.find(|command| command.is_called(name)) else {
        return Err(input.command.misuse(&format!("no topic {name:?}")));
    };
    in_turn(move |_, out| {
        let mut paragraph = |text: &str| {
            for line in textwrap::wrap(text, WIDTH) {
                out.row(&[("help", Value::str(line))]);
            }
        };
        paragraph(&command.usage());
        if !command.aliases.is_empty() {
            paragraph(&format!("also: {}", command.aliases.join(", ")));
        }
        paragraph(&format!("{}.", command.summary));
        for flag in command.flags {
            paragraph(&format!("--{}: {}", flag.name, flag.help));
        }
        if !command.details.is_empty() {
            paragraph(command.details);
        }
        if !command.columns.is_empty() {
            let columns = command.columns.iter().map(|column| match column.meaning {
                "" => column.label().into_owned(),
                meaning => format!("{} ({meaning})", column.label()),
            });
            let columns: Vec<_> = columns.collect();
            paragraph(&format!("columns: {}", columns.join(", ")));
        }
        Ok(())
    })
}

/// No words.
const NONE: [&str; 0] = [];

pub static QUIT: Command = Command {
    name: "quit",
    aliases: &["exit"],
    arguments: &[Argument {
        name: "STATUS",
        kind: ArgumentKind::Name,
        count: Count::Optional,
    }],
    summary: "log out and exit",
    details: "Without STATUS, the exit status of a script shows whether a command failed.",
    check: |input| status(input).map(drop),
    start: quit,
    ..Command::BASE
};

fn quit(_: &mut Shell, input: &Input) -> Result<Step, Error> {
    let status = status(input)?;
    in_turn(move |shell, _| {
        shell.quit = Some(status);
        Ok(())
    })
}

/// The exit status that is asked for, if one is.
fn status(input: &Input) -> Result<Option<u8>, Error> {
    let status = input.word(0).map(str::parse).transpose();
    status.map_err(|_| {
        let word = input.word(0).unwrap_or_default();
        input.command.misuse(&format!(
            "invalid exit status {word:?}; write a number from 0 to 255"
        ))
    })
}
