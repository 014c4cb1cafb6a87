//! The connection: connect, authenticate, unauthenticate, starttls, disconnect.
//!
//! Not here: how a connection is made (`shell::connect`), and the table of its options (`config::table`).

use imapadm::Error;
use imapadm::session::State;

use super::super::Shell;
use super::super::command::{Argument, Command, Count, Flag, Input, Step};
use super::super::meaning::ArgumentKind;
use super::in_turn;
use crate::config::table::{self, Opt, Reader, SETTINGS};
use crate::config::{Origin, Profile};
use crate::report::{Column, Report, Value};

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

const MINSSF: Flag = Flag::option("minssf", "BITS", "refuse encryption weaker than this");
const MAXSSF: Flag = Flag::option(
    "maxssf",
    "BITS",
    "accepted for cyradm compatibility; only TLS encrypts here, not SASL",
);
const SERVICE: Flag = Flag::option(
    "service",
    "NAME",
    "accepted for cyradm compatibility; the service is always imap",
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
    let mut all = [Flag::switch("", ""); N];
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

const OF_CONNECT: &[Flag] = &[Flag::switch(
    "noauthenticate",
    "connect without logging in; use authenticate later",
)];
const OF_AUTHENTICATE: &[Flag] = &[MINSSF, MAXSSF, SERVICE];
static CONNECT_FLAGS: [Flag; count(table::CONNECT) + OF_CONNECT.len()] =
    flags(table::CONNECT, OF_CONNECT);
static AUTHENTICATE_FLAGS: [Flag; count(table::AUTHENTICATE) + OF_AUTHENTICATE.len()] =
    flags(table::AUTHENTICATE, OF_AUTHENTICATE);

/// Where a session is, and as whom.
const CONNECTED: &[Column] = &[
    Column::new("server", ""),
    Column::new("user", "null: not logged in"),
    Column::new("tls", "the version; null: none"),
    Column::new("connected", ""),
];

pub static CONNECT: Command = Command {
    name: "connect",
    aliases: &["server", "servername"],
    flags: &CONNECT_FLAGS,
    arguments: &[OPTIONAL_SERVER, OPTIONAL_PORT],
    summary: "connect to a server and log in",
    details: "SERVER is a name from the configuration, or what the command line accepts: host, host:port, imap://user@host, \
              imaps://host, or the path of a Unix socket. Without SERVER, connects to the last server again.",
    columns: CONNECTED,
    check: |input| profile(input, table::CONNECT).map(drop),
    start: connect,
    ..Command::BASE
};

fn connect(shell: &mut Shell, input: &Input) -> Result<Step, Error> {
    let port = match (input.option("port"), input.word(1)) {
        (Some(_), Some(_)) => {
            return Err(input
                .command
                .misuse("the port is given twice; give it once"));
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
                "--{} and --{other} cannot be combined",
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
    summary: "log in, or log in as another user",
    details: "Logs out first if you are logged in. The connection is kept if the server supports UNAUTHENTICATE (RFC 8437). Otherwise, \
              or with a TLS option, imapadm reconnects.",
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
    details: "The server must support UNAUTHENTICATE (RFC 8437). Use authenticate to log in again.",
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
    summary: "encrypt a cleartext connection",
    details: "Works only before login: connect --noauthenticate --notls SERVER, then starttls, then authenticate.",
    columns: CONNECTED,
    start: |_, _| {
        in_turn(|shell, out| {
            about(shell.start_tls()?, out);
            Ok(())
        })
    },
    ..Command::BASE
};

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
            assert!(error.contains("cannot be combined"), "{error}");
        }
    }
}
