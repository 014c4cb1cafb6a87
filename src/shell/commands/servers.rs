//! The servers that the user's own files name: servers, known.

use imapadm::Error;
use imapadm::net::{Address, Known};

use super::super::Shell;
use super::super::advice;
use super::super::command::{Command, Effect, Flag};
use super::in_turn;
use crate::config::{Profile, security_word};
use crate::files::known::KnownServers;
use crate::report::{Column, REASON, Report, Value};

pub static SERVERS: Command = Command {
    name: "servers",
    summary: "list the configured servers",
    details: "Servers are configured as [servers.NAME] in imapadm/config.toml in the configuration directory, usually ~/.config.",
    columns: &[
        Column::new("name", ""),
        Column::new("host", ""),
        Column::new("port", "null: a Unix socket"),
        Column::new("security", "tls, starttls or none"),
        Column::new("user", ""),
        REASON.meaning("why its configuration is wrong"),
    ],
    lists: true,
    start: |_, _| in_turn(servers),
    ..Command::BASE
};

fn servers(shell: &mut Shell, out: &mut Report) -> Result<(), Error> {
    let settings = &shell.settings;
    for name in settings.config.names() {
        let server = settings.config.server(name, None)?;
        let plan = match settings
            .inside(Profile::default(), server)
            .plan(&settings.interrupt)
        {
            Ok(plan) => plan,
            // The others can be connected to all the same.
            Err(error) => {
                out.row(&[
                    ("name", Value::str(name)),
                    ("reason", Value::text(advice::message(&error))),
                ]);
                continue;
            }
        };
        let (host, port) = match &plan.options.address {
            Address::Tcp { host, port } => (Value::text(host), Value::Number((*port).into())),
            Address::Unix(path) => (Value::text(path.display()), Value::Absent("-")),
        };
        out.row(&[
            ("name", Value::str(name)),
            ("host", host),
            ("port", port),
            ("security", Value::str(security_word(plan.options.security))),
            ("user", plan.user.map_or(Value::Absent("-"), Value::str)),
        ]);
    }
    Ok(())
}

pub static KNOWN: Command = Command {
    name: "known",
    flags: &[Flag::option(
        "forget",
        "HOST[:PORT]",
        "forget what was accepted for a server; without PORT, for all its ports",
    )],
    summary: "list the certificates you accepted",
    details: "At a terminal, imapadm asks about a certificate that it does not trust. Accepted ones are kept in imapadm/known_servers in \
              the data directory, usually ~/.local/share. After --forget, imapadm asks again at the next connection.",
    columns: &[
        Column::new("server", ""),
        Column::new("kind", "certificate or authority"),
        Column::new("fingerprint", ""),
        Column::new("accepted", "when"),
        Column::new("subject", "of an authority"),
        Column::new("forgotten", "with --forget").optional(),
    ],
    // It may forget some.
    effect: Effect::Changes,
    lists: true,
    start: |_, input| {
        let forget = input.option("forget").map(str::to_owned);
        in_turn(move |shell, out| known(shell, forget.as_deref(), out))
    },
    ..Command::BASE
};

fn known(shell: &Shell, forget: Option<&str>, out: &mut Report) -> Result<(), Error> {
    let servers = KnownServers::of_user()?;
    let entries = match forget {
        None => servers.all()?,
        Some(word) => {
            // Also by the name that the configuration has for it.
            let named = shell.settings.config.names().any(|name| name == word);
            let address = if named {
                let server = shell.settings.config.server(word, None)?;
                let plan = shell.inside(Profile::default(), server);
                plan.plan(&shell.settings.interrupt)?
                    .options
                    .address
                    .to_string()
            } else {
                word.to_owned()
            };
            let gone = servers.forget(&address)?;
            if gone.is_empty() {
                return Err(Error::Usage(format!(
                    "no certificate was accepted for {address}; use known to list those that were"
                )));
            }
            gone
        }
    };
    for entry in entries {
        let (kind, subject) = match &entry.known {
            Known::Authority(authority) => ("authority", Some(&authority.certificate().subject)),
            _ => ("certificate", None),
        };
        let mut row = vec![
            ("server", Value::str(&entry.server)),
            ("kind", Value::str(kind)),
            ("fingerprint", Value::text(entry.known.fingerprint())),
            (
                "accepted",
                entry
                    .accepted
                    .as_ref()
                    .map_or(Value::Absent("-"), Value::str),
            ),
            ("subject", subject.map_or(Value::Absent("-"), Value::str)),
        ];
        if forget.is_some() {
            row.push(("forgotten", Value::Flag(true)));
        }
        out.row(&row);
    }
    Ok(())
}
