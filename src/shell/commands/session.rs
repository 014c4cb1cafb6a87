//! What is known of the session and the server: session, capability, namespace, id, noop.

use imapadm::Error;
use imapadm::admin::server::Id;

use super::super::Shell;
use super::super::command::{Command, Limits};
use super::selected::access;
use super::{columns, in_turn, submit};
use crate::report::{Column, Report, Value, complain};

pub static SESSION: Command = Command {
    name: "session",
    summary: "show the session: server, TLS and user",
    columns: &[Column::new("item", ""), Column::new("value", "")],
    start: |_, _| in_turn(session),
    ..Command::BASE
};

fn session(shell: &mut Shell, out: &mut Report) -> Result<(), Error> {
    let session = shell.session()?;
    let separator = match session.separator() {
        Err(error) if error.is_grave() => return Err(error),
        separator => separator,
    };
    session.capabilities()?;
    let state = session.state();
    let mut row = |item: &'static str, value: Value<'_>| {
        out.row(&[("item", Value::str(item)), ("value", value)])
    };
    row("server", Value::str(state.server()));
    row("peer", Value::str(state.channel().peer.as_str()));
    let tls = state
        .channel()
        .tls
        .as_ref()
        .map(|tls| format!("{} {}", tls.version, tls.cipher));
    row("tls", tls.map_or(Value::Absent("none"), Value::str));
    row("compressed", Value::Answer(state.channel().compressed));
    row("greeting", Value::str(state.greeting()));
    row("user", state.user().map_or(Value::Absent("-"), Value::str));
    row(
        "mechanism",
        state.mechanism().map_or(Value::Absent("-"), Value::str),
    );
    row(
        "separator",
        match separator {
            Ok(Some(byte)) => Value::text(char::from(byte)),
            Ok(None) => Value::Absent("none"),
            Err(_) => Value::Absent("unknown"),
        },
    );
    if let Some(namespaces) = state.namespaces() {
        for (kind, namespace) in namespaces.iter() {
            let item = match kind {
                "personal" => "namespace-personal",
                "other" => "namespace-other",
                _ => "namespace-shared",
            };
            row(item, Value::text(&namespace.prefix));
        }
    }
    match state.selected() {
        Some(selected) => {
            row("selected", Value::text(&selected.mailbox));
            row("access", access(selected));
            row(
                "messages",
                selected.exists.map_or(Value::Absent("-"), Value::Number),
            );
        }
        None => row("selected", Value::Absent("none")),
    }
    let (_, strays) = state.strays();
    row("strays", Value::Number(strays));
    row("capabilities", Value::words(state.capabilities().iter()));
    Ok(())
}

pub static CAPABILITY: Command = Command {
    name: "capability",
    aliases: &["capa"],
    summary: "list the server's capabilities",
    columns: &[Column::new("capability", "")],
    lists: true,
    limits: Limits::Keeps,
    start: |_, _| {
        in_turn(|shell, out| {
            for name in shell.session()?.capabilities()?.iter() {
                out.row(&[("capability", Value::str(name))]);
            }
            Ok(())
        })
    },
    ..Command::BASE
};

pub static NAMESPACE: Command = Command {
    name: "namespace",
    aliases: &["ns"],
    summary: "list namespaces and their separators",
    columns: &[
        Column::new("kind", "personal, other or shared"),
        Column::new("prefix", ""),
        columns::SEPARATOR,
    ],
    lists: true,
    limits: Limits::Keeps,
    start: |_, _| {
        in_turn(|shell, out| {
            for (kind, namespace) in shell.session()?.namespaces()?.iter() {
                let separator = namespace.separator.map(char::from);
                out.row(&[
                    ("kind", Value::str(kind)),
                    ("prefix", Value::text(&namespace.prefix)),
                    (
                        "separator",
                        separator.map_or(Value::Absent("none"), Value::text),
                    ),
                ]);
            }
            Ok(())
        })
    },
    ..Command::BASE
};

pub static ID: Command = Command {
    name: "id",
    aliases: &["version", "ver"],
    summary: "show the server's software and version",
    columns: &[Column::new("field", ""), Column::new("value", "")],
    lists: true,
    start: |shell, _| {
        submit(shell, Id::default(), |fields, out| {
            for (field, value) in fields {
                out.row(&[
                    ("field", Value::str(field)),
                    ("value", value.map_or(Value::Absent("-"), Value::str)),
                ]);
            }
        })
    },
    ..Command::BASE
};

pub static NOOP: Command = Command {
    name: "noop",
    summary: "check that the server still answers",
    limits: Limits::Keeps,
    start: |_, _| {
        in_turn(|shell, _| {
            shell.session()?.noop()?;
            if shell.settings.interactive {
                // It has no rows; a person wants to see that an answer came.
                complain("the server answered");
            }
            Ok(())
        })
    },
    ..Command::BASE
};
