//! The command line: its options, and what they mean for connections and scripts. No IMAP here.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, ValueEnum};

use imapadm::Error;
use imapadm::auth::{Method, SecretSource};
use imapadm::net::{Fingerprint, Security};
use imapadm::visible::all_visible;
use secrecy::SecretString;

use crate::config::{FormatName, Profile, read_seconds, read_separator};
use crate::report::escape::escape;
use crate::shell::script::Source;

/// The shell for administering IMAP servers.
///
/// Without a script it is interactive; `help` lists its commands. Exit status: 0 all well, 1 a command failed, 2 usage, 4 no
/// connection, 5 no TLS, 6 no login, 7 connection lost, 130 interrupted, 141 nobody reads the results.
#[derive(Debug, Parser)]
#[command(name = "imapadm", version, max_term_width = 100)]
pub struct Cli {
    /// A server named in the configuration, a host, host:port, [v6]:port, imap://user@host, imaps://user@host, or a Unix socket's
    /// path. Left out, the shell starts unconnected
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
    /// How to log in: one mechanism or several, the best first, such as SCRAM-SHA-256,PLAIN [default: the strongest that the server
    /// offers]
    #[arg(short, long, visible_alias = "mechanisms", value_name = "LIST", value_parser = methods)]
    auth: Option<Methods>,
    /// Take the password from the first line of a file that only you can read
    #[arg(long, value_name = "FILE", group = "password_source")]
    password_file: Option<PathBuf>,
    /// Take the password from the first line that a file descriptor gives
    #[arg(long, value_name = "N", group = "password_source")]
    password_fd: Option<u32>,
    /// Take the password from the first line that a command prints
    #[arg(long, value_name = "COMMAND", group = "password_source")]
    password_command: Option<String>,
    /// The password itself; everybody on this machine can see it in `ps`
    #[arg(short = 'w', long, value_name = "PASSWORD", group = "password_source", value_parser = conceal)]
    password: Option<SecretString>,
    /// Log in with the bearer token in the first line of a file (OAUTHBEARER, XOAUTH2)
    #[arg(
        long,
        value_name = "FILE",
        group = "token_source",
        conflicts_with = "password_source"
    )]
    token_file: Option<PathBuf>,
    /// Log in with the bearer token in the first line that a command prints
    #[arg(
        long,
        value_name = "COMMAND",
        group = "token_source",
        conflicts_with = "password_source"
    )]
    token_command: Option<String>,

    /// TLS from the start [default on port 993]
    #[arg(long, group = "security")]
    tls: bool,
    /// STARTTLS, and no session without it [default on other ports]
    #[arg(long, group = "security")]
    starttls: bool,
    /// No TLS at all
    #[arg(long, group = "security")]
    notls: bool,
    /// Trust the system's certificate authorities beside those that come with imapadm
    #[arg(long)]
    system_roots: bool,
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
    /// The name that the server's certificate must have [default: the host]
    #[arg(long, value_name = "NAME")]
    tls_server_name: Option<String>,
    /// Accept this one certificate only, whoever signed it: sha256:HEX
    #[arg(long, value_name = "FINGERPRINT")]
    pin: Option<Fingerprint>,
    /// Accept any certificate; warns at each connect
    #[arg(long, conflicts_with = "pin")]
    no_verify: bool,
    /// Let a password cross the network without TLS
    #[arg(long)]
    allow_cleartext: bool,

    /// How long connecting and logging in may take together, and how long the server may be
    /// silent [default: 30]
    #[arg(long, value_name = "SECONDS", value_parser = read_seconds)]
    timeout: Option<Duration>,
    /// How long a whole run of scripts may take; exits with 7 when that is over
    /// [default: no limit]
    #[arg(long, value_name = "SECONDS", value_parser = read_seconds)]
    max_time: Option<Duration>,
    /// Compress what is sent and what comes, where the server can (COMPRESS=DEFLATE)
    #[arg(long)]
    compress: bool,
    /// The hierarchy separator, for a server that won't say
    #[arg(long, value_name = "CHARACTER", value_parser = read_separator)]
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
    /// Leave out the lines of the script before this one
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    from_line: Option<u64>,
    /// Write the commands that are still to be done at the end of a script, because they failed or were not sent, to a file, as a
    /// script; those that may have been done are comments in it
    #[arg(long, value_name = "FILE")]
    failed: Option<PathBuf>,
    /// Refuse a change in the last line of standard input where that line has no end, so that part of it may be missing
    #[arg(long)]
    strict: bool,
    /// Let scripts delete by pattern and with --recursive, as if each such command said --yes
    #[arg(short, long)]
    yes: bool,
    /// Send each command only when the one before it is answered
    #[arg(long)]
    no_pipeline: bool,
    /// Write what is said to the server and by it, with passwords masked, to a file or with - to stderr
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// How results look [default: text]
    #[arg(long, value_enum)]
    format: Option<FormatName>,
    /// Whether results may be coloured
    #[arg(long, value_enum, default_value = "auto", value_name = "WHEN")]
    color: Colour,

    /// Show what a connection would be made with, and where each setting comes from
    #[arg(long)]
    show_config: bool,

    /// The scripts, in the order they stand on the command line.
    #[arg(skip)]
    sources: Vec<Source>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Colour {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    Always,
    Never,
}

/// A list of mechanisms; clap would take a bare `Vec` for an option that may be repeated.
type Methods = Vec<Method>;

/// From here on it is not shown.
fn conceal(text: &str) -> Result<SecretString, std::convert::Infallible> {
    Ok(text.into())
}

fn methods(text: &str) -> Result<Methods, String> {
    Method::parse_list(text).map_err(|error| error.to_string())
}

impl Cli {
    /// Reads the command line; on help, version and misuse it prints and ends the program (0 or 2).
    pub fn read() -> Self {
        let matches = Self::command()
            .try_get_matches()
            .unwrap_or_else(|error| leave(&error));
        let mut cli = Self::from_arg_matches(&matches).unwrap_or_else(|error| leave(&error));
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

    /// The first line of the script to run.
    ///
    /// # Errors
    /// [`Error::Usage`] where it isn't clear which script is meant.
    pub fn first_line(&self) -> Result<Option<u64>, Error> {
        match (self.from_line, &self.sources()[..]) {
            (None, _) => Ok(None),
            (line, [Source::Stdin | Source::File(_)]) => Ok(line),
            _ => Err(Error::Usage(
                "--from-line is for one script, from -f FILE or standard input; name that one alone".into(),
            )),
        }
    }

    /// Where the commands go that are still to be done at the end of a script.
    pub fn failed(&self) -> Option<&Path> {
        self.failed.as_deref()
    }

    /// Whether a change in a last line without an end is refused.
    pub fn strict(&self) -> bool {
        self.strict
    }

    /// Whether a script may delete many mailboxes with one command without saying so there.
    pub fn yes(&self) -> bool {
        self.yes
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

    /// The server's word and its port's.
    ///
    /// # Errors
    /// [`Error::Usage`] for a port without a server.
    pub fn server(&self) -> Result<Option<(&str, Option<&str>)>, Error> {
        let port = self.port.as_deref().or(self.port_word.as_deref());
        match &self.server {
            Some(server) => Ok(Some((server, port))),
            None if port.is_some() => Err(Error::Usage(
                "a port is named, but no server; name one: imapadm --port PORT SERVER".into(),
            )),
            None => Ok(None),
        }
    }

    /// What the options say of every connection.
    pub fn profile(&self) -> Profile {
        let yes = |flag: bool| flag.then_some(true);
        let password_file = self.password_file.clone().map(SecretSource::File);
        let token_file = self.token_file.clone().map(SecretSource::File);
        Profile {
            security: match (self.tls, self.starttls, self.notls) {
                (true, ..) => Some(Security::Tls),
                (_, true, _) => Some(Security::StartTls),
                (.., true) => Some(Security::None),
                _ => None,
            },
            user: self.user.clone(),
            authz: self.authz.clone(),
            auth: self.auth.clone(),
            cafile: self.cafile.clone(),
            cadir: self.cadir.clone(),
            system_roots: yes(self.system_roots),
            cert: self.cert.clone(),
            tlskey: self.tlskey.clone(),
            tls_server_name: self.tls_server_name.clone(),
            pin: self.pin,
            verify: self.no_verify.then_some(false),
            password: password_file
                .or(self.password_fd.map(SecretSource::Descriptor))
                .or(self.password_command.clone().map(SecretSource::Command))
                .or(self.password.clone().map(SecretSource::Given)),
            token: token_file.or(self.token_command.clone().map(SecretSource::Command)),
            separator: self.separator,
            timeout: self.timeout,
            max_time: self.max_time,
            format: self.format,
            allow_cleartext: yes(self.allow_cleartext),
            compress: yes(self.compress),
            ..Profile::default()
        }
    }

    /// Whether commands are sent before those before them are answered.
    pub fn pipeline(&self) -> bool {
        !self.no_pipeline
    }

    /// Whether the password stands on the command line, for all to see.
    pub fn shows_password(&self) -> bool {
        self.password.is_some()
    }

    /// Whether to show the settings, and do nothing else.
    pub fn show_config(&self) -> bool {
        self.show_config
    }

    /// Where the protocol is written to: a file, or `-` for stderr.
    pub fn trace(&self) -> Option<&Path> {
        self.trace.as_deref()
    }
}

/// Prints what clap has to say, and ends the program (0 or 2).
fn leave(error: &clap::Error) -> ! {
    // clap repeats a word that it does not know, and a script may have that from anybody.
    if std::env::args_os().all(|word| all_visible(&word.to_string_lossy())) {
        error.exit();
    }
    for line in error.render().to_string().lines() {
        // Nobody may be listening; the exit status says the same.
        let _ = writeln!(std::io::stderr(), "{}", escape(line));
    }
    std::process::exit(error.exit_code());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
