//! The connection and the server: connect, disconnect, session, capability, namespace, id, noop.

use imapadm::Error;
use imapadm::admin::server::Id;
use imapadm::net::{Security, Target};
use imapadm::session::State;

use super::super::Shell;
use super::super::command::{Argument, Command, Count, Flag, Flow, Input, Kind, Step};
use super::{alone, submit};
use crate::report::{Report, Value};

const OPTIONAL_SERVER: Argument = Argument {
    name: "SERVER",
    kind: Kind::Word,
    count: Count::Optional,
};
const OPTIONAL_PORT: Argument = Argument {
    name: "PORT",
    kind: Kind::Word,
    count: Count::Optional,
};

pub static CONNECT: Command = Command {
    name: "connect",
    aliases: &["server", "servername"],
    flags: &[
        Flag {
            name: "user",
            short: Some('u'),
            value: Some("USER"),
            help: "who logs in",
        },
        Flag {
            name: "tls",
            short: None,
            value: None,
            help: "TLS from the start",
        },
        Flag {
            name: "notls",
            short: None,
            value: None,
            help: "no TLS",
        },
    ],
    arguments: &[OPTIONAL_SERVER, OPTIONAL_PORT],
    summary: "connect to a server and log in",
    details: "SERVER is written as on the command line: host, host:port, imap://user@host, imaps://host, or a Unix socket's path. Without \
              one, the last server is connected to again.",
    flow: Flow::Reads,
    start: connect,
};

fn connect(_: &mut Shell, input: &Input) -> Result<Step, Error> {
    let security = match (input.has("tls"), input.has("notls")) {
        (true, true) => return Err(input.command.misuse("--tls and --notls exclude each other")),
        (true, false) => Some(Security::Tls),
        (false, true) => Some(Security::None),
        (false, false) => None,
    };
    let named = match input.word(0) {
        Some(server) => Some(
            Target::parse(server, input.word(1))
                .map_err(|error| Error::Usage(error.to_string()))?,
        ),
        None => None,
    };
    let user = input.option("user").map(str::to_owned);
    alone(move |shell, out| {
        let mut target = match named {
            Some(target) => target,
            None => shell.last_target()?,
        };
        target.security = security.or(target.security);
        target.user = user.or(target.user);
        about(shell.connect(target)?, out);
        Ok(())
    })
}

/// One row: where the session is, and as whom.
fn about(state: &State, out: &mut Report) {
    let tls = state.channel().tls.as_ref().map(|tls| tls.version.clone());
    out.row(&[
        ("server", Value::str(state.server())),
        ("user", state.user().map_or(Value::Absent("-"), Value::str)),
        ("tls", tls.map_or(Value::Absent("none"), Value::str)),
        ("connected", Value::Flag(true)),
    ]);
}

pub static DISCONNECT: Command = Command {
    name: "disconnect",
    aliases: &["disc"],
    flags: &[],
    arguments: &[],
    summary: "log out and close the connection",
    details: "",
    flow: Flow::Reads,
    start: |_, _| {
        alone(|shell, out| {
            let server = shell.session()?.state().server().to_owned();
            shell.disconnect();
            out.row(&[
                ("server", Value::str(server)),
                ("connected", Value::Flag(false)),
            ]);
            Ok(())
        })
    },
};

pub static SESSION: Command = Command {
    name: "session",
    aliases: &[],
    flags: &[],
    arguments: &[],
    summary: "show all that is known of the session",
    details: "",
    flow: Flow::Reads,
    start: |_, _| alone(session),
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
            row(
                "access",
                Value::str(if selected.read_only {
                    "read-only"
                } else {
                    "read-write"
                }),
            );
            row("messages", Value::Number(selected.exists));
        }
        None => row("selected", Value::Absent("none")),
    }
    let (_, strays) = state.strays();
    row("strays", Value::Number(strays));
    row(
        "capabilities",
        Value::Words(state.capabilities().iter().map(Into::into).collect()),
    );
    Ok(())
}

pub static CAPABILITY: Command = Command {
    name: "capability",
    aliases: &["capa"],
    flags: &[],
    arguments: &[],
    summary: "list what the server can do",
    details: "",
    flow: Flow::Reads,
    start: |_, _| {
        alone(|shell, out| {
            for name in shell.session()?.capabilities()?.iter() {
                out.row(&[("capability", Value::str(name))]);
            }
            Ok(())
        })
    },
};

pub static NAMESPACE: Command = Command {
    name: "namespace",
    aliases: &["ns"],
    flags: &[],
    arguments: &[],
    summary: "list namespaces and their separators",
    details: "",
    flow: Flow::Reads,
    start: |_, _| {
        alone(|shell, out| {
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
};

pub static ID: Command = Command {
    name: "id",
    aliases: &["version", "ver"],
    flags: &[],
    arguments: &[],
    summary: "show which software the server is",
    details: "",
    flow: Flow::Reads,
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
};

pub static NOOP: Command = Command {
    name: "noop",
    aliases: &[],
    flags: &[],
    arguments: &[],
    summary: "ask whether the server is still there",
    details: "",
    flow: Flow::Reads,
    start: |_, _| alone(|shell, _| shell.session()?.noop()),
};
