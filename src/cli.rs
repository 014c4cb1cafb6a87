//! The command line: the options about scripts and output, and those of the table (`config::table`). No IMAP here.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{
    Arg, ArgAction, ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, ValueEnum,
};

use imapadm::Error;
use imapadm::auth::SecretSource;
use imapadm::visible::all_visible;
use secrecy::{ExposeSecret as _, SecretString};

use crate::config::Profile;
use crate::config::table::{self, Opt, Reader, Scope, Setting};
use crate::report::escape::escape;
use crate::shell::script::Source;

/// A shell for administering IMAP servers.
///
/// Without a script, it is interactive; `help` lists the commands. Exit status: 0 success, 1 a command failed, 2 usage error, 4 no
/// connection, 5 no TLS, 6 login failed, 7 connection lost, 130 interrupted, 141 the reader of the results closed the pipe.
#[derive(Debug, Parser)]
#[command(name = "imapadm", version, max_term_width = 100)]
pub struct Cli {
    /// A server named in the configuration, a host, host:port, [v6]:port, imap://user@host, imaps://user@host, or the path of
    /// a Unix socket. Without it, the shell starts unconnected
    server: Option<String>,
    /// The port's number, or imap or imaps [default: 143, with --tls 993]
    #[arg(id = "port_word", value_name = "PORT")]
    port_word: Option<String>,

    /// Run the commands in a file; may be repeated
    #[arg(short, long = "file", value_name = "FILE")]
    file: Vec<PathBuf>,
    /// Run a command; may be repeated
    #[arg(short = 'c', long = "command", value_name = "COMMAND")]
    command: Vec<String>,
    /// Continue after a command fails, and print a summary at the end
    #[arg(short, long)]
    keep_going: bool,
    /// Skip the lines of the script before this one
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    from_line: Option<u64>,
    /// Write the commands that failed or were not sent to a file, as a script; commands that may have been done are comments in it
    #[arg(long, value_name = "FILE")]
    failed: Option<PathBuf>,
    /// Refuse a change in the last line of standard input if that line has no line end, because part of it may be missing
    #[arg(long)]
    strict: bool,
    /// Allow scripts to delete by pattern and with --recursive, as if each such command had --yes
    #[arg(short, long)]
    yes: bool,
    /// Send each command only after the previous one is answered
    #[arg(long)]
    no_pipeline: bool,
    /// Write the IMAP traffic, with passwords masked, to a file, or to stderr with -
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// When to colour results
    #[arg(long, value_enum, default_value = "auto", value_name = "WHEN")]
    color: Colour,

    /// Show the connection settings and where each comes from, and exit
    #[arg(long)]
    show_config: bool,

    /// The scripts, in their order on the command line.
    #[arg(skip)]
    sources: Vec<Source>,
    /// What the options of the table say of a connection.
    #[arg(skip)]
    profile: Profile,
    /// The value of --port, which belongs to the server's notation.
    #[arg(skip)]
    port: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Colour {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    Always,
    Never,
}

/// The command line as clap knows it: the options declared here, and those of the table.
fn command() -> clap::Command {
    let options = table::options(table::COMMAND_LINE);
    Cli::command().args(options.map(|(setting, option)| argument(setting, option)))
}

/// An option of the table.
fn argument(setting: &'static Setting, option: &'static Opt) -> Arg {
    let others = setting.options.iter().map(|other| other.name);
    let others = others.chain(option.excludes.iter().copied());
    let on_line = |name: &&str| {
        *name != option.name
            && table::options(table::COMMAND_LINE).any(|(_, option)| option.name == *name)
    };
    let argument = Arg::new(option.name)
        .long(option.name)
        .short(option.short)
        .visible_aliases(option.alias.map(|(name, _)| name))
        .help(capitalized(option.help))
        .help_heading(match setting.scope {
            Scope::Login | Scope::Secret => Some("Login"),
            Scope::Tls | Scope::Trust | Scope::OwnCertificate => Some("TLS"),
            Scope::Server | Scope::Connection => Some("Connection"),
            Scope::Program => None,
        })
        .conflicts_with_all(others.filter(on_line));
    let argument = match option.requires {
        Some(other) => argument.requires(other),
        None => argument,
    };
    match option.reader {
        Reader::Switch(_) => argument.action(ArgAction::SetTrue),
        Reader::Path(_) => argument
            .value_name(option.value)
            .value_parser(clap::value_parser!(PathBuf)),
        Reader::Text(_) | Reader::Number(_) | Reader::List(_) => {
            // Read here, so that clap words the error; from then on the value is not shown.
            let check = |text: &str| {
                option.read(&mut Profile::default(), text)?;
                Ok::<_, String>(SecretString::from(text))
            };
            argument.value_name(option.value).value_parser(check)
        }
    }
}

/// What the options of the table say.
fn profile(matches: &ArgMatches) -> Result<Profile, Error> {
    let mut profile = Profile::default();
    for (_, option) in table::options(table::COMMAND_LINE) {
        if matches.value_source(option.name) != Some(ValueSource::CommandLine) {
            continue;
        }
        match option.reader {
            Reader::Switch(set) => set(&mut profile, true),
            Reader::Path(set) => {
                if let Some(path) = matches.get_one::<PathBuf>(option.name) {
                    set(&mut profile, path.clone());
                }
            }
            _ => {
                if let Some(text) = matches.get_one::<SecretString>(option.name) {
                    let read = option.read(&mut profile, text.expose_secret());
                    read.map_err(|why| Error::Usage(format!("--{}: {why}", option.name)))?;
                }
            }
        }
    }
    Ok(profile)
}

/// Help of the command line begins with a capital letter.
fn capitalized(text: &str) -> String {
    let (first, rest) = text.split_at(text.len().min(1));
    first.to_uppercase() + rest
}

impl Cli {
    /// Reads the command line; on help, version and misuse it prints and ends the program (0 or 2).
    ///
    /// # Errors
    /// [`Error::Usage`] for options that do not go together.
    pub fn read() -> Result<Self, Error> {
        let matches = command()
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
        cli.profile = profile(&matches)?;
        cli.profile.port = None;
        cli.port = matches
            .get_one::<SecretString>("port")
            .map(|port| port.expose_secret().to_owned());
        Ok(cli)
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
                "--from-line works with one script only: one -f FILE, or standard input".into(),
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
        if self.port.is_some() && self.port_word.is_some() {
            return Err(Error::Usage("the port is given twice; give it once".into()));
        }
        let port = self.port.as_deref().or(self.port_word.as_deref());
        match &self.server {
            Some(server) => Ok(Some((server, port))),
            None if port.is_some() => Err(Error::Usage(
                "a port is given, but no server; write: imapadm --port PORT SERVER".into(),
            )),
            None => Ok(None),
        }
    }

    /// What the options say of every connection.
    pub fn profile(&self) -> Profile {
        self.profile.clone()
    }

    /// Whether commands are sent before those before them are answered.
    pub fn pipeline(&self) -> bool {
        !self.no_pipeline
    }

    /// Whether the password stands on the command line, for all to see.
    pub fn shows_password(&self) -> bool {
        matches!(self.profile.password, Some(SecretSource::Given(_)))
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
        command().debug_assert();
    }

    #[test]
    fn every_option_of_the_table_is_read() {
        for (setting, option) in table::options(table::COMMAND_LINE) {
            let needed = option.requires.map(|name| format!("--{name}=word"));
            for name in [Some(option.name), option.alias.map(|(name, _)| name)]
                .into_iter()
                .flatten()
            {
                let mut words = vec!["imapadm".to_owned()];
                words.extend(needed.clone());
                words.push(format!("--{name}"));
                if !option.value.is_empty() {
                    words.push(table::sample(option).to_owned());
                }
                let matches = command().try_get_matches_from(words).unwrap();
                assert!(setting.is_said(&profile(&matches).unwrap()), "--{name}");
            }
        }
    }

    #[test]
    fn options_that_contradict_each_other() {
        for (words, fits) in [
            ("--tls --notls", false),
            ("--password-fd 3 --password-file x", false),
            ("--token-file x --password-fd 3", false),
            ("--no-verify --pin sha256:00", false),
            ("--cafile x --cadir y", true),
            ("--tls --no-verify", true),
            ("--tlskey x", false),
            ("--tlskey x --cert y", true),
        ] {
            let words = ["imapadm"].into_iter().chain(words.split(' '));
            assert_eq!(command().try_get_matches_from(words).is_ok(), fits);
        }
    }
}
