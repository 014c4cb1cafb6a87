//! The connection and the server: connect, authenticate, starttls, disconnect, session, capability, namespace, id, noop.

use imapadm::Error;
use imapadm::admin::server::Id;
use imapadm::net::{Address, Known};
use imapadm::session::State;

use super::super::Shell;
use super::super::command::{Argument, Command, Count, Effect, Flag, Input, Step};
use super::super::meaning::ArgumentKind;
use super::selected::access;
use super::{columns, in_turn, submit};
use crate::config::table::{self, Opt, Reader, SETTINGS};
use crate::config::{Origin, Profile, security_word};
use crate::files::known::KnownServers;
use crate::report::{Column, REASON, Report, Value};

const OPTIONAL_SERVER: Argument = Argument {
    name: "SERVER",
    kind: ArgumentKind::Server,
    count: Count::Optional,
};
const OPTIONAL_PORT: Argument = Argument {
    name: "PORT",
    kind: ArgumentKind::Name,
    count: Count::Optional,
};
const OPTIONAL_USER: Argument = Argument {
    name: "USER",
    kind: ArgumentKind::Name,
    count: Count::Optional,
};

/// An option without a value.
const fn switch(name: &'static str, help: &'static str) -> Flag {
    Flag {
        name,
        short: None,
        value: None,
        help,
        secret: false,
    }
}

/// An option with a value.
const fn option(name: &'static str, value: &'static str, help: &'static str) -> Flag {
    Flag {
        name,
        short: None,
        value: Some(value),
        help,
        secret: false,
    }
}

const MINSSF: Flag = option("minssf", "BITS", "refuse a weaker encryption than this");
const MAXSSF: Flag = option(
    "maxssf",
    "BITS",
    "taken for cyradm's sake; TLS encrypts, SASL never does",
);
const SERVICE: Flag = option(
    "service",
    "NAME",
    "taken for cyradm's sake; the service is imap",
);

/// The options of the table that can be written in a place, each alias on its own.
const fn count(place: u8) -> usize {
    let (mut count, mut at) = (0, 0);
    while at < SETTINGS.len() {
        let options = SETTINGS[at].options;
        let mut index = 0;
        while index < options.len() {
            if options[index].stands(place) {
                count += 1 + options[index].alias.is_some() as usize;
            }
            index += 1;
        }
        at += 1;
    }
    count
}

/// The same as options of a command, with the command's own at the end.
const fn flags<const N: usize>(place: u8, own: &[Flag]) -> [Flag; N] {
    let mut all = [switch("", ""); N];
    let (mut filled, mut at) = (0, 0);
    while at < SETTINGS.len() {
        let options = SETTINGS[at].options;
        let mut index = 0;
        while index < options.len() {
            let option = &options[index];
            if option.stands(place) {
                let flag = Flag {
                    name: option.name,
                    short: option.short,
                    value: match option.reader {
                        Reader::Switch(_) => None,
                        _ => Some(option.value),
                    },
                    help: option.help,
                    secret: option.secret,
                };
                all[filled] = flag;
                filled += 1;
                if let Some((name, help)) = option.alias {
                    all[filled] = Flag {
                        name,
                        short: None,
                        help,
                        ..flag
                    };
                    filled += 1;
                }
            }
            index += 1;
        }
        at += 1;
    }
    let mut index = 0;
    while index < own.len() {
        all[filled + index] = own[index];
        index += 1;
    }
    all
}

const OF_CONNECT: &[Flag] = &[switch("noauthenticate", "leave the login to authenticate")];
const OF_AUTHENTICATE: &[Flag] = &[MINSSF, MAXSSF, SERVICE];
static CONNECT_FLAGS: [Flag; count(table::CONNECT) + OF_CONNECT.len()] =
    flags(table::CONNECT, OF_CONNECT);
static AUTHENTICATE_FLAGS: [Flag; count(table::AUTHENTICATE) + OF_AUTHENTICATE.len()] =
    flags(table::AUTHENTICATE, OF_AUTHENTICATE);

/// Where a session is, and as whom.
const CONNECTED: &[Column] = &[
    Column::new("server", ""),
    Column::new("user", "null: nobody is logged in"),
    Column::new("tls", "the version; null: none"),
    Column::new("connected", ""),
];

pub static CONNECT: Command = Command {
    name: "connect",
    aliases: &["server", "servername"],
    flags: &CONNECT_FLAGS,
    arguments: &[OPTIONAL_SERVER, OPTIONAL_PORT],
    summary: "connect to a server and log in",
    details: "SERVER is one that the configuration names, or written as on the command line: host, host:port, imap://user@host, \
              imaps://host, or a Unix socket's path. Without one, the last server is connected to again.",
    columns: CONNECTED,
    check: |input| profile(input, table::CONNECT).map(drop),
    start: connect,
    ..Command::BASE
};

fn connect(shell: &mut Shell, input: &Input) -> Result<Step, Error> {
    let port = match (input.option("port"), input.word(1)) {
        (Some(_), Some(_)) => {
            return Err(input.command.misuse("the port is given twice; keep one"));
        }
        (option, word) => option.or(word),
    };
    let mut options = profile(input, table::CONNECT)?;
    let server = match input.word(0) {
        Some(word) => {
            // It is part of the server's notation.
            options.port = None;
            Some(shell.settings.config.server(word, port)?)
        }
        None => None,
    };
    let login = !input.has("noauthenticate");
    in_turn(move |shell, out| {
        let stack = match server {
            Some(server) => shell.inside(options, server),
            None => {
                let mut stack = shell.last()?;
                stack.push(Origin::Connect, options);
                stack
            }
        };
        about(shell.connect(stack, login)?, out);
        Ok(())
    })
}

/// The number that an option has for its value; `what` says of which kind it has to be.
fn number(input: &Input, name: &str, what: &str) -> Result<Option<u32>, Error> {
    let number = input.option(name).map(str::parse).transpose();
    number.map_err(|_| input.command.misuse(&format!("--{name} is {what}")))
}

/// What the options say of a connection, where the command stands for a place of the table.
fn profile(input: &Input, place: u8) -> Result<Profile, Error> {
    let value = |option: &Opt| {
        let alias = option.alias.and_then(|(alias, _)| input.option(alias));
        input.option(option.name).or(alias)
    };
    let mut profile = Profile::default();
    for (setting, option) in table::options(place) {
        let Some(text) = value(option) else { continue };
        let said = |other: &&str| *other != option.name && input.has(other);
        let others = setting.options.iter().map(|other| other.name);
        let mut others = others.chain(option.excludes.iter().copied());
        if let Some(other) = others.find(|other| said(other)) {
            return Err(input.command.misuse(&format!(
                "--{} and --{other} exclude each other",
                option.name
            )));
        }
        option
            .read(&mut profile, text)
            .map_err(|why| input.command.misuse(&format!("--{}: {why}", option.name)))?;
    }
    // cyradm's --tlskey is a file that holds the certificate too.
    if profile.cert.is_none() {
        profile.cert = profile.tlskey.take();
    }
    Ok(profile)
}

pub static AUTHENTICATE: Command = Command {
    name: "authenticate",
    aliases: &["auth", "login"],
    flags: &AUTHENTICATE_FLAGS,
    arguments: &[OPTIONAL_USER],
    summary: "log in, also as another user",
    details: "Who is logged in already is logged out first; the connection stays where the server can do that (UNAUTHENTICATE, RFC 8437), \
              and is made anew elsewhere, as it is with an option about TLS.",
    columns: CONNECTED,
    check: |input| login(input).map(drop),
    start: authenticate,
    ..Command::BASE
};

fn authenticate(_: &mut Shell, input: &Input) -> Result<Step, Error> {
    let (options, least) = login(input)?;
    in_turn(move |shell, out| {
        about(shell.authenticate(options, least)?, out);
        Ok(())
    })
}

/// What the words say of a login, and the bits of the weakest encryption that will do.
fn login(input: &Input) -> Result<(Profile, u32), Error> {
    let mut options = profile(input, table::AUTHENTICATE)?;
    options.user = input.word(0).map(str::to_owned);
    let least = number(input, "minssf", "a number of bits")?.unwrap_or(0);
    number(input, "maxssf", "a number of bits")?;
    Ok((options, least))
}

pub static UNAUTHENTICATE: Command = Command {
    name: "unauthenticate",
    aliases: &["unauth"],
    summary: "log out and keep the connection",
    details: "The server needs UNAUTHENTICATE (RFC 8437); authenticate then logs in anew.",
    columns: CONNECTED,
    start: |_, _| {
        in_turn(|shell, out| {
            let session = shell.session()?;
            session.unauthenticate()?;
            about(session.state(), out);
            Ok(())
        })
    },
    ..Command::BASE
};

pub static STARTTLS: Command = Command {
    name: "starttls",
    summary: "encrypt a connection that is in cleartext",
    details: "Only before the login: connect --noauthenticate --notls SERVER, starttls, authenticate.",
    columns: CONNECTED,
    start: |_, _| {
        in_turn(|shell, out| {
            about(shell.start_tls()?, out);
            Ok(())
        })
    },
    ..Command::BASE
};

pub static SERVERS: Command = Command {
    name: "servers",
    summary: "list the servers that have a name",
    details: "They stand in imapadm/config.toml in the folder of configurations, mostly ~/.config, as [servers.NAME].",
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
                out.row(&[("name", Value::str(name)), ("reason", Value::text(error))]);
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
    flags: &[option(
        "forget",
        "HOST[:PORT]",
        "remove what was accepted for a server; without PORT, for all its ports",
    )],
    summary: "list the certificates you accepted",
    details: "They are asked about when a server is first connected to at a terminal, and kept in imapadm/known_servers in the folder of data, \
              mostly ~/.local/share. After --forget the server's next certificate is asked about again.",
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
                    "nothing was accepted for {address}; known lists what was"
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
    summary: "log out and close the connection",
    columns: &[Column::new("server", ""), Column::new("disconnected", "")],
    start: |_, _| {
        in_turn(|shell, out| {
            let server = shell.session()?.state().server().to_owned();
            shell.disconnect();
            out.row(&[
                ("server", Value::str(server)),
                ("disconnected", Value::Flag(true)),
            ]);
            Ok(())
        })
    },
    ..Command::BASE
};

pub static SESSION: Command = Command {
    name: "session",
    summary: "show all that is known of the session",
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
    summary: "list what the server can do",
    columns: &[Column::new("capability", "")],
    lists: true,
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
    summary: "show which software the server is",
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
    summary: "ask whether the server is still there",
    start: |_, _| in_turn(|shell, _| shell.session()?.noop()),
    ..Command::BASE
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_of_the_table_is_read() {
        let commands = [
            (&CONNECT, table::CONNECT),
            (&AUTHENTICATE, table::AUTHENTICATE),
        ];
        for (command, place) in commands {
            for (setting, option) in table::options(place) {
                for name in [Some(option.name), option.alias.map(|(name, _)| name)]
                    .into_iter()
                    .flatten()
                {
                    let mut words = vec![format!("--{name}")];
                    if !option.value.is_empty() {
                        words.push(table::sample(option).to_owned());
                    }
                    let input = command.read(&words).unwrap();
                    let profile = profile(&input, place).unwrap();
                    // cyradm's --tlskey alone holds the certificate too.
                    let said =
                        setting.is_said(&profile) || name == "tlskey" && profile.cert.is_some();
                    assert!(said, "{} --{name}", command.name);
                }
            }
        }
    }

    #[test]
    fn options_that_contradict_each_other() {
        for words in [
            "--tls --notls",
            "--password-fd 3 --password x",
            "--no-verify --pin sha256:0000000000000000000000000000000000000000000000000000000000000000",
        ] {
            let words: Vec<_> = words.split(' ').map(str::to_owned).collect();
            let error = CONNECT.read(&words).unwrap_err().to_string();
            assert!(error.contains("exclude each other"), "{error}");
        }
    }
}
