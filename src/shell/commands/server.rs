//! The connection and the server: connect, authenticate, starttls, disconnect, session, capability, namespace, id, noop.

use std::path::PathBuf;

use imapadm::Error;
use imapadm::admin::server::Id;
use imapadm::auth::{Method, SecretSource};
use imapadm::net::{Address, Known, Security};
use imapadm::session::State;

use super::super::Shell;
use super::super::command::{Argument, Command, Count, Flag, Flow, Input, Kind, Step};
use super::message::access;
use super::{alone, submit};
use crate::config::{Origin, Profile, read_seconds, read_separator, security_word};
use crate::files::known::KnownServers;
use crate::report::{Report, Value};

const OPTIONAL_SERVER: Argument = Argument {
    name: "SERVER",
    kind: Kind::Server,
    count: Count::Optional,
};
const OPTIONAL_PORT: Argument = Argument {
    name: "PORT",
    kind: Kind::Name,
    count: Count::Optional,
};
const OPTIONAL_USER: Argument = Argument {
    name: "USER",
    kind: Kind::Name,
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

/// An option whose value is, or may hold, a secret.
const fn secret(name: &'static str, value: &'static str, help: &'static str) -> Flag {
    Flag {
        secret: true,
        ..option(name, value, help)
    }
}

const USER: Flag = Flag {
    short: Some('u'),
    ..option("user", "USER", "who logs in")
};
const AUTHZ: Flag = Flag {
    short: Some('z'),
    ..option("authz", "USER", "whom to act as")
};
const MECHANISMS: Flag = option(
    "mechanisms",
    "LIST",
    "the mechanisms that will do, the best first",
);
const AUTH: Flag = Flag {
    short: Some('a'),
    ..option("auth", "LIST", "the same as --mechanisms")
};
const PASSWORD: Flag = Flag {
    short: Some('w'),
    ..secret(
        "password",
        "PASSWORD",
        "the password itself, for all to see who look on",
    )
};
const PASSWORD_FD: Flag = option(
    "password-fd",
    "N",
    "the file descriptor N gives the password",
);
const TOKEN_FILE: Flag = option("token-file", "FILE", "a bearer token is its first line");
const TOKEN_COMMAND: Flag = secret("token-command", "COMMAND", "it prints a bearer token");
const SYSTEM_ROOTS: Flag = switch("system-roots", "trust the system's authorities too");
const TLS_SERVER_NAME: Flag = option("tls-server-name", "NAME", "the name in the certificate");
const NO_VERIFY: Flag = switch("no-verify", "accept any certificate");
const ALLOW_CLEARTEXT: Flag = switch("allow-cleartext", "a password may cross a network so");
const PASSWORD_FILE: Flag = option("password-file", "FILE", "the password is its first line");
const PASSWORD_COMMAND: Flag = secret("password-command", "COMMAND", "it prints the password");
const TLS: Flag = switch("tls", "TLS from the start");
const STARTTLS_FLAG: Flag = switch("starttls", "STARTTLS, and no session without it");
const NOTLS: Flag = switch("notls", "no TLS");
const CAFILE: Flag = option("cafile", "FILE", "authorities to trust");
const CADIR: Flag = option("cadir", "DIR", "a folder of authorities to trust");
const CAPATH: Flag = option("capath", "DIR", "the same as --cadir");
const CERT: Flag = option("cert", "FILE", "the client's certificate");
const TLSKEY: Flag = Flag {
    short: Some('t'),
    ..option("tlskey", "FILE", "its key; alone, a file with both")
};
const PIN: Flag = option(
    "pin",
    "FINGERPRINT",
    "the only certificate that will do, sha256:HEX",
);

const PORT: Flag = Flag {
    short: Some('p'),
    ..option("port", "PORT", "the same as the word PORT")
};
const TIMEOUT: Flag = option(
    "timeout",
    "SECONDS",
    "how long to connect, and to wait for each sign of life",
);
const COMPRESS: Flag = switch("compress", "compress both directions where the server can");
const SEPARATOR: Flag = option(
    "separator",
    "CHARACTER",
    "the hierarchy separator of a server that won't say",
);

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

/// The options that say how to connect and as whom, which [`profile`] reads; with the command's own before, between and behind them.
macro_rules! connection_flags {
    ([$($before:expr),*] [$($between:expr),*] [$($behind:expr),*]) => {
        &[
            $($before,)*
            AUTHZ,
            AUTH,
            MECHANISMS,
            PASSWORD,
            PASSWORD_FILE,
            PASSWORD_FD,
            PASSWORD_COMMAND,
            TOKEN_FILE,
            TOKEN_COMMAND,
            $($between,)*
            NOTLS,
            CAFILE,
            CADIR,
            CAPATH,
            SYSTEM_ROOTS,
            CERT,
            TLSKEY,
            TLS_SERVER_NAME,
            PIN,
            NO_VERIFY,
            ALLOW_CLEARTEXT,
            $($behind,)*
        ]
    };
}

pub static CONNECT: Command = Command {
    name: "connect",
    aliases: &["server", "servername"],
    flags: connection_flags!(
        [PORT, USER]
        [TLS, STARTTLS_FLAG]
        [
            TIMEOUT,
            COMPRESS,
            SEPARATOR,
            switch("noauthenticate", "leave the login to authenticate")
        ]
    ),
    arguments: &[OPTIONAL_SERVER, OPTIONAL_PORT],
    summary: "connect to a server and log in",
    details: "SERVER is one that the configuration names, or written as on the command line: host, host:port, imap://user@host, \
              imaps://host, or a Unix socket's path. Without one, the last server is connected to again.",
    flow: Flow::Reads,
    check: |input| profile(input).map(drop),
    start: connect,
    ..Command::BASE
};

fn connect(shell: &mut Shell, input: &Input) -> Result<Step, Error> {
    let port = match (input.option("port"), input.word(1)) {
        (Some(_), Some(_)) => return Err(input.command.misuse("the port is named twice")),
        (option, word) => option.or(word),
    };
    let mut options = profile(input)?;
    let server = match input.word(0) {
        Some(word) => Some(shell.settings.config.server(word, port)?),
        None => {
            if port.is_some() {
                options.port = Profile::notation("localhost", port)?.port;
            }
            None
        }
    };
    let login = !input.has("noauthenticate");
    alone(move |shell, out| {
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

/// The value of an option, read as on the command line.
fn value<T>(
    input: &Input,
    name: &str,
    read: fn(&str) -> Result<T, String>,
) -> Result<Option<T>, Error> {
    let value = input.option(name).map(read).transpose();
    value.map_err(|error| input.command.misuse(&format!("--{name}: {error}")))
}

/// The one place where a secret is said to come from.
fn one_secret<const N: usize>(
    input: &Input,
    sources: [Option<SecretSource>; N],
) -> Result<Option<SecretSource>, Error> {
    let mut sources = sources.into_iter().flatten();
    match (sources.next(), sources.next()) {
        (_, Some(_)) => Err(input.command.misuse("the secret is given twice")),
        (source, None) => Ok(source),
    }
}

/// What the options say of a connection.
fn profile(input: &Input) -> Result<Profile, Error> {
    let text = |name: &str| input.option(name).map(str::to_owned);
    let path = |name: &str| input.option(name).map(PathBuf::from);
    let security: Vec<Security> = [
        ("tls", Security::Tls),
        ("starttls", Security::StartTls),
        ("notls", Security::None),
    ]
    .into_iter()
    .filter_map(|(name, security)| input.has(name).then_some(security))
    .collect();
    if security.len() > 1 {
        return Err(input
            .command
            .misuse("--tls, --starttls and --notls exclude each other"));
    }
    let yes = |name: &str| input.has(name).then_some(true);
    let descriptor = number(
        input,
        "password-fd",
        "the number of an open file descriptor",
    )?;
    // cyradm's --tlskey is a file that holds the certificate too.
    let (cert, tlskey) = match (path("cert"), path("tlskey")) {
        (None, Some(both)) => (Some(both), None),
        (cert, tlskey) => (cert, tlskey),
    };
    Ok(Profile {
        security: security.first().copied(),
        user: text("user"),
        authz: text("authz"),
        auth: match input.option("auth").or(input.option("mechanisms")) {
            Some(list) => Some(Method::parse_list(list)?),
            None => None,
        },
        cafile: path("cafile"),
        cadir: path("cadir").or(path("capath")),
        cert,
        tlskey,
        pin: match input.option("pin") {
            Some(pin) => Some(
                pin.parse()
                    .map_err(|error| input.command.misuse(&format!("{error}")))?,
            ),
            None => None,
        },
        system_roots: yes("system-roots"),
        tls_server_name: text("tls-server-name"),
        verify: input.has("no-verify").then_some(false),
        allow_cleartext: yes("allow-cleartext"),
        password: one_secret(
            input,
            [
                path("password-file").map(SecretSource::File),
                descriptor.map(SecretSource::Descriptor),
                text("password-command").map(SecretSource::Command),
                text("password").map(|password| SecretSource::Given(password.into())),
            ],
        )?,
        token: one_secret(
            input,
            [
                path("token-file").map(SecretSource::File),
                text("token-command").map(SecretSource::Command),
            ],
        )?,
        timeout: value(input, "timeout", read_seconds)?,
        separator: value(input, "separator", read_separator)?,
        compress: yes("compress"),
        ..Profile::default()
    })
}

pub static AUTHENTICATE: Command = Command {
    name: "authenticate",
    aliases: &["auth", "login"],
    flags: connection_flags!(
        []
        [MINSSF, MAXSSF, SERVICE]
        []
    ),
    arguments: &[OPTIONAL_USER],
    summary: "log in, also as another user",
    details: "Who is logged in already is logged out first; the connection stays where the server can do that (UNAUTHENTICATE, RFC 8437), \
              and is made anew elsewhere, as it is with an option about TLS.",
    flow: Flow::Reads,
    check: |input| login(input).map(drop),
    start: authenticate,
    ..Command::BASE
};

fn authenticate(_: &mut Shell, input: &Input) -> Result<Step, Error> {
    let (options, least) = login(input)?;
    alone(move |shell, out| {
        about(shell.authenticate(options, least)?, out);
        Ok(())
    })
}

/// What the words say of a login, and the bits of the weakest encryption that will do.
fn login(input: &Input) -> Result<(Profile, u32), Error> {
    let mut options = profile(input)?;
    options.user = input.word(0).map(str::to_owned);
    let least = number(input, "minssf", "a number of bits")?.unwrap_or(0);
    number(input, "maxssf", "a number of bits")?;
    Ok((options, least))
}

pub static UNAUTHENTICATE: Command = Command {
    name: "unauthenticate",
    aliases: &["unauth"],
    flags: &[],
    arguments: &[],
    summary: "log out and keep the connection",
    details: "The server needs UNAUTHENTICATE (RFC 8437); authenticate then logs in anew.",
    flow: Flow::Reads,
    start: |_, _| {
        alone(|shell, out| {
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
    aliases: &[],
    flags: &[],
    arguments: &[],
    summary: "encrypt a connection that is in cleartext",
    details: "Only before the login: connect --noauthenticate --notls SERVER, starttls, authenticate.",
    flow: Flow::Reads,
    start: |_, _| {
        alone(|shell, out| {
            about(shell.start_tls()?, out);
            Ok(())
        })
    },
    ..Command::BASE
};

pub static SERVERS: Command = Command {
    name: "servers",
    aliases: &[],
    flags: &[],
    arguments: &[],
    summary: "list the servers that have a name",
    details: "They stand in imapadm/config.toml in the folder of configurations, mostly ~/.config, as [servers.NAME].",
    flow: Flow::Reads,
    lists: true,
    start: |_, _| alone(servers),
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
    aliases: &[],
    flags: &[option(
        "forget",
        "HOST[:PORT]",
        "remove what was accepted for a server; without PORT, for all its ports",
    )],
    arguments: &[],
    summary: "list the certificates and authorities accepted by hand",
    details: "They are asked about when a server is first connected to at a terminal, and kept in imapadm/known_servers in the folder of data, \
              mostly ~/.local/share. After --forget the server's next certificate is asked about again.",
    lists: true,
    flow: Flow::Reads,
    start: |_, input| {
        let forget = input.option("forget").map(str::to_owned);
        alone(move |shell, out| known(shell, forget.as_deref(), out))
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
                ("disconnected", Value::Flag(true)),
            ]);
            Ok(())
        })
    },
    ..Command::BASE
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
    flags: &[],
    arguments: &[],
    summary: "list what the server can do",
    details: "",
    flow: Flow::Reads,
    lists: true,
    start: |_, _| {
        alone(|shell, out| {
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
    flags: &[],
    arguments: &[],
    summary: "list namespaces and their separators",
    details: "",
    flow: Flow::Reads,
    lists: true,
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
    ..Command::BASE
};

pub static ID: Command = Command {
    name: "id",
    aliases: &["version", "ver"],
    flags: &[],
    arguments: &[],
    summary: "show which software the server is",
    details: "",
    flow: Flow::Reads,
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
    aliases: &[],
    flags: &[],
    arguments: &[],
    summary: "ask whether the server is still there",
    details: "",
    flow: Flow::Reads,
    start: |_, _| alone(|shell, _| shell.session()?.noop()),
    ..Command::BASE
};
