//! The command line: its options, and what they mean for connections and scripts. No IMAP here.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, ValueEnum};

use imapadm::Error;
use imapadm::auth::{Method, PasswordSource};
use imapadm::net::{Interrupt, Security, Target, Timeouts, TlsOptions};

use crate::report::Format;
use crate::shell::Settings;
use crate::shell::script::Source;

/// The shell for administering IMAP servers.
///
/// Without a script it is interactive; `help` lists its commands. Exit status: 0 all well, 1 a command failed, 2 usage, 4 no
/// connection, 5 no TLS, 6 no login, 7 connection lost, 130 interrupted.
#[derive(Debug, Parser)]
#[command(name = "imapadm", version, max_term_width = 100)]
pub struct Cli {
    /// A host, host:port, [v6]:port, imap://user@host, imaps://user@host, or a Unix socket's path. Left out, the shell starts
    /// unconnected
    server: Option<String>,
    /// The port's number or name [default: 143, with --tls 993]
    #[arg(id = "port_word", value_name = "PORT")]
    port_word: Option<String>,
    /// The same as the word PORT
    #[arg(
        short = 'p',
        long = "port",
        value_name = "PORT",
        conflicts_with = "port_word"
    )]
    port: Option<String>,

    /// Who logs in [default: the user on this machine]
    #[arg(short, long)]
    user: Option<String>,
    /// Whom to act as, where the server allows it (authorization identity)
    #[arg(short = 'z', long)]
    authz: Option<String>,
    /// How to log in: mechanisms in the order of preference, such as SCRAM-SHA-256,PLAIN [default: the strongest that the
    /// server offers]
    #[arg(short, long, value_name = "MECHANISMS")]
    auth: Option<String>,
    /// Take the password from the first line of a file
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Take the password from the first line that a command prints
    #[arg(long, value_name = "COMMAND", conflicts_with = "password_file")]
    password_command: Option<String>,

    /// TLS from the start [default on port 993; elsewhere STARTTLS where the server offers it]
    #[arg(long, conflicts_with = "notls")]
    tls: bool,
    /// No TLS at all
    #[arg(long)]
    notls: bool,
    /// Trust the certificate authorities in this PEM file instead of the public ones
    #[arg(long, value_name = "FILE")]
    cafile: Option<PathBuf>,
    /// Trust the certificate authorities in the PEM files of this folder instead of the public ones
    #[arg(long, visible_alias = "capath", value_name = "DIR")]
    cadir: Option<PathBuf>,
    /// The client's own certificate, PEM
    #[arg(long, value_name = "FILE")]
    cert: Option<PathBuf>,
    /// The key of --cert, PEM [default: in the same file]
    #[arg(short = 't', long, value_name = "FILE", requires = "cert")]
    tlskey: Option<PathBuf>,
    /// Accept any certificate; warns at each connect
    #[arg(long)]
    no_verify: bool,
    /// Let a password cross the network without TLS
    #[arg(long)]
    allow_cleartext: bool,

    /// How long to wait for a connection, and for each sign of life of the server
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    timeout: Duration,
    /// The hierarchy separator, for a server that won't say
    #[arg(long, value_name = "CHARACTER", value_parser = separator)]
    separator: Option<u8>,

    /// Run the commands in a file; may stand several times
    #[arg(short, long = "file", value_name = "FILE")]
    file: Vec<PathBuf>,
    /// Run a command; may stand several times
    #[arg(short = 'c', long = "command", value_name = "COMMAND")]
    command: Vec<String>,
    /// Carry on after a failing command, and sum up at the end
    #[arg(short, long)]
    keep_going: bool,
    /// Write what is said to the server and by it, with passwords masked, to a file or with - to stderr
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// How results look
    #[arg(long, value_enum, default_value = "text")]
    format: FormatName,
    /// Whether results may be coloured
    #[arg(long, value_enum, default_value = "auto", value_name = "WHEN")]
    color: Colour,

    /// The scripts, in the order they stand on the command line.
    #[arg(skip)]
    sources: Vec<Source>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FormatName {
    /// Columns for people; in a pipe, parted by tabs
    Text,
    /// One JSON object a line for each command
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Colour {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    Always,
    Never,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let wrong = || "write a number of seconds greater than 0, such as 30 or 2.5".to_owned();
    let seconds: f64 = text.parse().map_err(|_| wrong())?;
    // A year is for ever, and far from what overflows.
    if !(0.001..=31_536_000.0).contains(&seconds) {
        return Err(wrong());
    }
    Ok(Duration::from_secs_f64(seconds))
}

fn separator(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        [byte] if byte.is_ascii_graphic() => Ok(*byte),
        _ => Err("write one character, such as . or /".into()),
    }
}

impl Cli {
    /// Reads the command line; on help, version and misuse it prints and ends the program (0 or 2).
    pub fn read() -> Self {
        let matches = Self::command().get_matches();
        let mut cli = Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
        let places = |id: &str| {
            matches
                .indices_of(id)
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
        };
        let files =
            places("file")
                .into_iter()
                .zip(cli.file.iter().map(|file| match file.to_str() {
                    Some("-") => Source::Stdin,
                    _ => Source::File(file.clone()),
                }));
        let commands = places("command").into_iter().zip(
            (1..)
                .zip(&cli.command)
                .map(|(number, line)| Source::Line(line.clone(), number)),
        );
        let mut sources: Vec<_> = files.chain(commands).collect();
        sources.sort_by_key(|(place, _)| *place);
        cli.sources = sources.into_iter().map(|(_, source)| source).collect();
        cli
    }

    /// The scripts to run; none means the interactive shell.
    pub fn sources(&self) -> Vec<Source> {
        if self.sources.is_empty() && !std::io::stdin().is_terminal() {
            vec![Source::Stdin]
        } else {
            self.sources.clone()
        }
    }

    /// Whether to carry on after a failing command.
    pub fn keep_going(&self) -> bool {
        self.keep_going
    }

    /// How results look.
    pub fn format(&self) -> Format {
        match self.format {
            FormatName::Text => Format::Text,
            FormatName::Json => Format::Json,
        }
    }

    /// Whether results may be coloured.
    pub fn colour(&self) -> bool {
        match self.color {
            Colour::Auto => {
                let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
                wanted && std::io::stdout().is_terminal()
            }
            Colour::Always => true,
            Colour::Never => false,
        }
    }

    /// TLS from the start, or none, where that was asked for.
    fn security(&self) -> Option<Security> {
        match (self.tls, self.notls) {
            (true, _) => Some(Security::Tls),
            (_, true) => Some(Security::None),
            _ => None,
        }
    }

    /// The server to connect to at the start.
    ///
    /// # Errors
    /// [`Error::Usage`] for what is no server.
    pub fn target(&self) -> Result<Option<Target>, Error> {
        let port = self.port.as_deref().or(self.port_word.as_deref());
        match &self.server {
            Some(server) => {
                let mut target =
                    Target::parse(server, port).map_err(|error| Error::Usage(error.to_string()))?;
                target.security = self.security().or(target.security);
                target.user = self.user.clone().or(target.user);
                Ok(Some(target))
            }
            None if port.is_some() => Err(Error::Usage(
                "a port is named, but no server; name one: imapadm --port PORT SERVER".into(),
            )),
            None => Ok(None),
        }
    }

    /// What every connection is made with.
    ///
    /// # Errors
    /// [`Error::Auth`] for a mechanism that is unknown.
    pub fn settings(&self, interrupt: Interrupt) -> Result<Settings, Error> {
        let auth = self.auth.as_deref().map(Method::parse_list).transpose()?;
        Ok(Settings {
            user: self.user.clone(),
            authz: self.authz.clone(),
            auth: auth.unwrap_or_default(),
            password: PasswordSource::pick(
                self.password_file.clone(),
                self.password_command.clone(),
            ),
            security: self.security(),
            tls: TlsOptions {
                verify: !self.no_verify,
                cafile: self.cafile.clone(),
                cadir: self.cadir.clone(),
                cert: self.cert.clone(),
                key: self.tlskey.clone(),
                server_name: None,
                system_roots: false,
                pin: None,
                known: None,
            },
            timeouts: Timeouts {
                connect: self.timeout,
                read: self.timeout,
            },
            allow_cleartext: self.allow_cleartext,
            separator: self.separator,
            trace: self.trace.clone(),
            interrupt,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn seconds_and_separators() {
        assert_eq!(seconds("2.5"), Ok(Duration::from_millis(2500)));
        for wrong in ["0", "-1", "NaN", "inf", "1e300", "ten"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
        assert_eq!(separator("/"), Ok(b'/'));
        assert!(separator("//").is_err() && separator("é").is_err() && separator("").is_err());
    }
}
