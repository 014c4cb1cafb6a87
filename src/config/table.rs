//! The table of connection options. Each one is declared here once, with the ways to write it: on the command line, as a key of the
//! configuration file, and as an option of the shell's `connect` and `authenticate`.
//!
//! To add one: a field of [`Profile`], an entry here, and its use in [`Stack::plan`](super::Stack::plan). Reading, help, completion,
//! conflicts and `--show-config` follow; a test tells if README does not list it.

use std::path::PathBuf;
use std::time::Duration;

use imapadm::auth::{Method, SecretKind, SecretSource};
use imapadm::net::{Security, Target};

use super::profile::{FormatName, Profile, security_word};

/// How long to wait where nobody says.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// What a setting is about. Some scopes hold together: see [`Stack::plan`](super::Stack::plan).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Which server.
    Server,
    /// Who logs in, and how.
    Login,
    /// A password or a token.
    Secret,
    /// Which certificates of a server are trusted: taken as a whole from one speaker.
    Trust,
    /// The client's certificate and its key: taken as a whole from one speaker.
    OwnCertificate,
    /// What else there is about TLS.
    Tls,
    /// The connection.
    Connection,
    /// The whole program.
    Program,
}

/// One setting of a connection.
pub struct Setting {
    /// Its name in `--show-config`.
    pub name: &'static str,
    /// What it is about.
    pub scope: Scope,
    /// Whether the command line says it for every server, and not only for the one it names. Never so for what makes a connection
    /// less safe.
    pub everywhere: bool,
    /// How it is written.
    pub options: &'static [Opt],
    /// Its value in words; of a secret only where it comes from.
    show: fn(&Profile) -> Option<String>,
    /// Its value where nobody says, if that does not depend on the server.
    pub default: Option<&'static str>,
    withdraw: fn(&mut Profile),
}

/// One way to write a setting.
pub struct Opt {
    /// Its long name, without dashes; in the file, its key.
    pub name: &'static str,
    /// Its one-letter name.
    pub short: Option<char>,
    /// Another long name, and its help in the shell.
    pub alias: Option<(&'static str, &'static str)>,
    /// The name of its value in help; empty for a switch.
    pub value: &'static str,
    /// One line of help, which begins with a small letter.
    pub help: &'static str,
    /// Whether the value is, or may hold, a secret: it is never repeated.
    pub secret: bool,
    /// Where it can be written.
    pub places: u8,
    /// Options of other settings that contradict it, beside all options of the same setting.
    pub excludes: &'static [&'static str],
    /// An option that it needs beside it on the command line.
    pub requires: Option<&'static str>,
    /// How it is read.
    pub reader: Reader,
}

/// The command line.
pub const COMMAND_LINE: u8 = 1;
/// The configuration file.
pub const FILE: u8 = 2;
/// The shell's `connect`.
pub const CONNECT: u8 = 4;
/// The shell's `authenticate`.
pub const AUTHENTICATE: u8 = 8;
/// The shell's two commands.
const SHELL: u8 = CONNECT | AUTHENTICATE;
/// Everywhere.
const ALL: u8 = COMMAND_LINE | FILE | SHELL;

/// How an option's value is read into a profile; the error says what is wrong with it.
#[derive(Clone, Copy)]
pub enum Reader {
    /// There is no value; the file says true or false.
    Switch(fn(&mut Profile, bool)),
    /// A text.
    Text(fn(&mut Profile, &str) -> Result<(), String>),
    /// A number, or a word for one; the file may have it without quotes.
    Number(fn(&mut Profile, &str) -> Result<(), String>),
    /// Several words with commas between; the file may have an array.
    List(fn(&mut Profile, &str) -> Result<(), String>),
    /// A path. In the file it is relative to the file's folder, and may begin with `~/`.
    Path(fn(&mut Profile, PathBuf)),
}

impl Setting {
    /// What a profile says of it, in words.
    pub fn show(&self, profile: &Profile) -> Option<String> {
        (self.show)(profile)
    }

    /// Whether a profile says anything of it.
    pub fn is_said(&self, profile: &Profile) -> bool {
        self.show(profile).is_some()
    }

    /// Takes back what a profile says of it.
    pub fn withdraw(&self, profile: &mut Profile) {
        (self.withdraw)(profile);
    }
}

impl Opt {
    /// Whether it can be written there.
    pub const fn stands(&self, place: u8) -> bool {
        self.places & place != 0
    }

    /// Reads a value as it is written on a line; a switch has none.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(&self, profile: &mut Profile, value: &str) -> Result<(), String> {
        match self.reader {
            Reader::Switch(set) => {
                set(profile, true);
                Ok(())
            }
            Reader::Text(read) | Reader::Number(read) | Reader::List(read) => read(profile, value),
            Reader::Path(set) => {
                set(profile, value.into());
                Ok(())
            }
        }
    }
}

impl Profile {
    /// Whether it says anything of a scope.
    pub fn says(&self, scope: Scope) -> bool {
        SETTINGS
            .iter()
            .any(|setting| setting.scope == scope && setting.is_said(self))
    }

    /// Whether it says anything of TLS, which is settled when a connection is made.
    pub fn says_of_tls(&self) -> bool {
        [Scope::Tls, Scope::Trust, Scope::OwnCertificate]
            .into_iter()
            .any(|scope| self.says(scope))
    }

    /// Takes back what it says of some settings.
    pub fn withdraw(&mut self, which: impl Fn(&Setting) -> bool) {
        for setting in SETTINGS.iter().filter(|setting| which(setting)) {
            setting.withdraw(self);
        }
    }
}

/// Every option that can be written in a place, with its setting.
pub fn options(place: u8) -> impl Iterator<Item = (&'static Setting, &'static Opt)> {
    SETTINGS
        .iter()
        .flat_map(|setting| setting.options.iter().map(move |option| (setting, option)))
        .filter(move |(_, option)| option.stands(place))
}

/// An option without a short name that anybody may see.
const OPT: Opt = Opt {
    name: "",
    short: None,
    alias: None,
    value: "",
    help: "",
    secret: false,
    places: ALL,
    excludes: &[],
    requires: None,
    reader: Reader::Switch(|_, _| ()),
};

/// A setting of its field: the field shown in words by `$show`, and what else there is to say.
macro_rules! setting {
    ($field:ident, $name:literal, $scope:ident, $show:expr, { $($more:tt)* }, [$({ $($option:tt)* }),* $(,)?]) => {
        Setting {
            name: $name,
            scope: Scope::$scope,
            options: &[$(Opt { $($option)*, ..OPT }),*],
            show: |profile| profile.$field.as_ref().map($show),
            withdraw: |profile| profile.$field = None,
            $($more)*
            ..Setting {
                name: "",
                scope: Scope::Connection,
                everywhere: false,
                options: &[],
                show: |_| None,
                default: None,
                withdraw: |_| (),
            }
        }
    };
}

/// Every setting, in the order of `--show-config`.
// An entry may have a word for all fields that the others leave to the macro.
#[allow(clippy::needless_update)]
pub static SETTINGS: &[Setting] = &[
    setting!(host, "host", Server, String::clone, {}, [{
        name: "host",
        value: "SERVER",
        help: "the server: host, host:port, an imap:// URL, or the path of a Unix socket",
        places: FILE,
        reader: Reader::Text(|profile, text| {
            let said = Profile::notation(text, None).map_err(|error| error.to_string())?;
            (profile.host, profile.port) = (said.host, said.port);
            (profile.security, profile.user) = (said.security, said.user);
            Ok(())
        })
    }]),
    setting!(port, "port", Server, ToString::to_string, {}, [{
        name: "port",
        short: Some('p'),
        value: "PORT",
        help: "the port's number, or imap or imaps (default: 143, with --tls 993)",
        places: COMMAND_LINE | FILE | CONNECT,
        reader: Reader::Number(|profile, text| {
            let wrong = |error: imapadm::net::TargetError| error.to_string();
            // A host's notation may hold another one.
            let server = match (&profile.host, profile.port) {
                (Some(_), Some(port)) => format!("localhost:{port}"),
                (Some(host), None) => host.clone(),
                (None, _) => "localhost".into(),
            };
            profile.port = Target::parse(&server, Some(text)).map_err(wrong)?.explicit_port;
            Ok(())
        })
    }]),
    setting!(security, "security", Tls, |security| security_word(*security).into(), {}, [
        {
            name: "security",
            value: "tls|starttls|none",
            help: "TLS from the start, STARTTLS, or neither",
            places: FILE,
            reader: Reader::Text(|profile, text| {
                let all = [Security::Tls, Security::StartTls, Security::None];
                let found = all.into_iter().find(|security| security_word(*security) == text);
                profile.security = Some(found.ok_or_else(|| {
                    format!("invalid security {text:?}; write \"tls\", \"starttls\" or \"none\"")
                })?);
                Ok(())
            })
        },
        {
            name: "tls",
            help: "use TLS from the start (default on port 993)",
            places: COMMAND_LINE | CONNECT,
            reader: Reader::Switch(|profile, _| profile.security = Some(Security::Tls))
        },
        {
            name: "starttls",
            help: "use STARTTLS, and refuse to continue without it (default on other ports)",
            places: COMMAND_LINE | CONNECT,
            reader: Reader::Switch(|profile, _| profile.security = Some(Security::StartTls))
        },
        {
            name: "notls",
            help: "do not use TLS",
            places: COMMAND_LINE | SHELL,
            reader: Reader::Switch(|profile, _| profile.security = Some(Security::None))
        },
    ]),
    setting!(user, "user", Login, String::clone, { everywhere: true, }, [{
        name: "user",
        short: Some('u'),
        value: "USER",
        help: "the user to log in as (default: your user name on this machine)",
        // To authenticate it is the argument.
        places: COMMAND_LINE | FILE | CONNECT,
        reader: Reader::Text(|profile, text| text_into(&mut profile.user, text))
    }]),
    setting!(authz, "authz", Login, String::clone, {}, [{
        name: "authz",
        short: Some('z'),
        value: "USER",
        help: "the user to act as, if the server allows it (authorization identity)",
        reader: Reader::Text(|profile, text| text_into(&mut profile.authz, text))
    }]),
    setting!(auth, "auth", Login, |list| list.iter().map(|one| one.name()).collect::<Vec<_>>().join(","), {}, [{
        name: "auth",
        short: Some('a'),
        alias: Some(("mechanisms", "the same as --auth")),
        value: "LIST",
        help: "SASL mechanisms to use, in order of preference, such as SCRAM-SHA-256,PLAIN (default: the strongest that the server offers)",
        reader: Reader::List(|profile, text| {
            profile.auth = Some(Method::parse_list(text).map_err(|error| error.to_string())?);
            Ok(())
        })
    }]),
    setting!(cafile, "cafile", Trust, |file| file.display().to_string(), { everywhere: true, }, [{
        name: "cafile",
        value: "FILE",
        help: "trust the certificate authorities in this PEM file, not the public ones",
        reader: Reader::Path(|profile, path| profile.cafile = Some(path))
    }]),
    setting!(cadir, "cadir", Trust, |file| file.display().to_string(), { everywhere: true, }, [{
        name: "cadir",
        alias: Some(("capath", "the same as --cadir")),
        value: "DIR",
        help: "trust the certificate authorities in the PEM files of this directory, not the public ones",
        reader: Reader::Path(|profile, path| profile.cadir = Some(path))
    }]),
    setting!(system_roots, "system-roots", Trust, ToString::to_string, { everywhere: true, default: Some("false"), }, [{
        name: "system-roots",
        help: "also trust the system's certificate authorities",
        reader: Reader::Switch(|profile, on| profile.system_roots = Some(on))
    }]),
    setting!(cert, "cert", OwnCertificate, |file| file.display().to_string(), {}, [{
        name: "cert",
        value: "FILE",
        help: "the client certificate, in PEM format",
        reader: Reader::Path(|profile, path| profile.cert = Some(path))
    }]),
    setting!(tlskey, "tlskey", OwnCertificate, |file| file.display().to_string(), {}, [{
        name: "tlskey",
        short: Some('t'),
        value: "FILE",
        help: "the private key of --cert, in PEM format (default: in the same file)",
        requires: Some("cert"),
        reader: Reader::Path(|profile, path| profile.tlskey = Some(path))
    }]),
    setting!(tls_server_name, "tls-server-name", Tls, String::clone, {}, [{
        name: "tls-server-name",
        value: "NAME",
        help: "the host name that the server's certificate must contain (default: the host)",
        reader: Reader::Text(|profile, text| text_into(&mut profile.tls_server_name, text))
    }]),
    setting!(pin, "pin", Trust, ToString::to_string, {}, [{
        name: "pin",
        value: "FINGERPRINT",
        help: "accept only the certificate with this fingerprint, whoever signed it: sha256:HEX",
        reader: Reader::Text(|profile, text| {
            let pin: Result<_, imapadm::net::FingerprintError> = text.parse();
            profile.pin = Some(pin.map_err(|error| error.to_string())?);
            Ok(())
        })
    }]),
    setting!(verify, "verify", Tls, ToString::to_string, { default: Some("true"), }, [{
        name: "no-verify",
        help: "accept any certificate; warns at each connection",
        places: COMMAND_LINE | SHELL,
        excludes: &["pin"],
        reader: Reader::Switch(|profile, _| profile.verify = Some(false))
    }]),
    setting!(password, "password", Secret, |source| source_words(source, SecretKind::Password), { everywhere: true, }, [
        {
            name: "password-file",
            value: "FILE",
            help: "read the password from the first line of a file that only you can read",
            reader: Reader::Path(|profile, path| profile.password = Some(SecretSource::File(path)))
        },
        {
            name: "password-fd",
            value: "N",
            help: "read the password from the first line of file descriptor N",
            places: COMMAND_LINE | SHELL,
            reader: Reader::Number(|profile, text| {
                let number = text.parse();
                let wrong = |_| format!("invalid file descriptor {text:?}; write its number");
                profile.password = Some(SecretSource::Descriptor(number.map_err(wrong)?));
                Ok(())
            })
        },
        {
            name: "password-command",
            value: "COMMAND",
            help: "read the password from the first line of a command's output",
            secret: true,
            reader: Reader::Text(|profile, text| {
                profile.password = Some(SecretSource::Command(text.into()));
                Ok(())
            })
        },
        {
            name: "password",
            short: Some('w'),
            value: "PASSWORD",
            help: "the password itself; on the command line, everyone on this machine can see it in `ps`",
            secret: true,
            places: COMMAND_LINE | SHELL,
            reader: Reader::Text(|profile, text| {
                profile.password = Some(SecretSource::Given(text.into()));
                Ok(())
            })
        },
    ]),
    setting!(token, "token", Secret, |source| source_words(source, SecretKind::Token), { everywhere: true, }, [
        {
            name: "token-file",
            value: "FILE",
            help: "log in with the bearer token in the first line of a file (OAUTHBEARER, XOAUTH2)",
            excludes: PASSWORDS,
            reader: Reader::Path(|profile, path| profile.token = Some(SecretSource::File(path)))
        },
        {
            name: "token-command",
            value: "COMMAND",
            help: "log in with the bearer token in the first line of a command's output",
            secret: true,
            excludes: PASSWORDS,
            reader: Reader::Text(|profile, text| {
                profile.token = Some(SecretSource::Command(text.into()));
                Ok(())
            })
        },
    ]),
    setting!(separator, "separator", Connection, |byte| char::from(*byte).to_string(), {}, [{
        name: "separator",
        value: "CHARACTER",
        help: "the hierarchy separator, for a server that does not report it",
        places: COMMAND_LINE | FILE | CONNECT,
        reader: Reader::Text(|profile, text| match text.as_bytes() {
            [byte] if byte.is_ascii_graphic() => {
                profile.separator = Some(*byte);
                Ok(())
            }
            _ => Err("write one character, such as . or /".into()),
        })
    }]),
    setting!(timeout, "timeout", Connection, in_seconds, { everywhere: true, default: Some("30"), }, [{
        name: "timeout",
        value: "SECONDS",
        help: "time limit for connecting and logging in together, and for each wait for the server (default: 30)",
        places: COMMAND_LINE | FILE | CONNECT,
        reader: Reader::Number(|profile, text| seconds_into(&mut profile.timeout, text))
    }]),
    setting!(max_time, "max-time", Program, in_seconds, {}, [{
        name: "max-time",
        value: "SECONDS",
        help: "time limit for the whole run of the scripts; exit status 7 when it is reached (default: no limit)",
        places: COMMAND_LINE | FILE,
        reader: Reader::Number(|profile, text| seconds_into(&mut profile.max_time, text))
    }]),
    setting!(format, "format", Program, |format| match format {
        FormatName::Text => "text".into(),
        FormatName::Json => "json".into(),
    }, { everywhere: true, default: Some("text"), }, [{
        name: "format",
        value: "FORMAT",
        help: "output format: text, or json with one object per line and command (default: text)",
        places: COMMAND_LINE | FILE,
        reader: Reader::Text(|profile, text| {
            profile.format = Some(match text {
                "text" => FormatName::Text,
                "json" => FormatName::Json,
                _ => return Err(format!("invalid format {text:?}; write text or json")),
            });
            Ok(())
        })
    }]),
    setting!(allow_cleartext, "allow-cleartext", Connection, ToString::to_string, { default: Some("false"), }, [{
        name: "allow-cleartext",
        help: "allow sending a password over the network without TLS",
        reader: Reader::Switch(|profile, on| profile.allow_cleartext = Some(on))
    }]),
    setting!(compress, "compress", Connection, ToString::to_string, { default: Some("false"), }, [{
        name: "compress",
        help: "compress both directions, if the server supports COMPRESS=DEFLATE",
        places: COMMAND_LINE | FILE | CONNECT,
        reader: Reader::Switch(|profile, on| profile.compress = Some(on))
    }]),
];

/// A token and a password in one place contradict each other; the file may have both, for different servers.
const PASSWORDS: &[&str] = &[
    "password-file",
    "password-fd",
    "password-command",
    "password",
];

fn text_into(field: &mut Option<String>, text: &str) -> Result<(), String> {
    *field = Some(text.to_owned());
    Ok(())
}

fn seconds_into(field: &mut Option<Duration>, text: &str) -> Result<(), String> {
    let wrong = || "write a number of seconds greater than 0, such as 30 or 2.5".to_owned();
    let seconds: f64 = text.parse().map_err(|_| wrong())?;
    // A year is for ever, and far from what overflows.
    if !(0.001..=31_536_000.0).contains(&seconds) {
        return Err(wrong());
    }
    *field = Some(Duration::from_secs_f64(seconds));
    Ok(())
}

fn in_seconds(limit: &Duration) -> String {
    limit.as_secs_f64().to_string()
}

fn source_words(source: &SecretSource, kind: SecretKind) -> String {
    match source {
        SecretSource::File(path) => format!("from the file {}", path.display()),
        SecretSource::Descriptor(number) => format!("from the file descriptor {number}"),
        SecretSource::Command(command) => format!("from the command {command:?}"),
        SecretSource::Environment => format!("from the variable {}", kind.variable()),
        SecretSource::Prompt => "asked for".into(),
        SecretSource::Given(_) => "given".into(),
    }
}

/// A value that an option takes.
#[cfg(test)]
pub fn sample(option: &Opt) -> &'static str {
    match option.name {
        "security" => "tls",
        "auth" => "PLAIN",
        "pin" => "sha256:0000000000000000000000000000000000000000000000000000000000000000",
        "separator" => "/",
        "format" => "json",
        _ if matches!(option.reader, Reader::Number(_)) => "30",
        _ => "word",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_is_whole() {
        for setting in SETTINGS {
            assert!(!setting.options.is_empty(), "{}", setting.name);
            for option in setting.options {
                let mut profile = Profile::default();
                assert!(!setting.is_said(&profile), "{}", option.name);
                option.read(&mut profile, sample(option)).unwrap();
                assert!(setting.is_said(&profile), "{}", option.name);
                setting.withdraw(&mut profile);
                assert!(!setting.is_said(&profile), "{}", option.name);
                assert_eq!(
                    option.value.is_empty(),
                    matches!(option.reader, Reader::Switch(_)),
                    "{}",
                    option.name
                );
                assert!(
                    option
                        .help
                        .starts_with(|c: char| c.is_lowercase() || c == 'T' || c == 'S'),
                    "{}",
                    option.help
                );
                for other in option.excludes {
                    let mut all = SETTINGS.iter().flat_map(|setting| setting.options);
                    assert!(all.any(|option| option.name == *other), "{other}");
                }
            }
        }
    }

    #[test]
    fn readme_lists_every_option() {
        let readme = include_str!("../../README.md");
        let lists = |text: &str| {
            let mut found = readme.match_indices(text);
            let ends =
                |at: usize| !readme[at..].starts_with(|c: char| c == '-' || c.is_alphanumeric());
            found.any(|(at, _)| ends(at + text.len()))
        };
        for (_, option) in options(COMMAND_LINE) {
            assert!(lists(&format!("--{}", option.name)), "--{}", option.name);
        }
        for (_, option) in options(FILE) {
            assert!(lists(&format!("`{}`", option.name)), "{}", option.name);
        }
    }

    #[test]
    fn what_makes_a_connection_less_safe_is_for_one_server() {
        for name in ["verify", "allow-cleartext", "security", "pin", "port"] {
            let setting = SETTINGS
                .iter()
                .find(|setting| setting.name == name)
                .unwrap();
            assert!(!setting.everywhere, "{name}");
        }
    }

    #[test]
    fn seconds_and_separators() {
        let seconds = |text: &str| {
            let mut limit = None;
            seconds_into(&mut limit, text).map(|()| limit)
        };
        assert_eq!(seconds("2.5"), Ok(Some(Duration::from_millis(2500))));
        for wrong in ["0", "-1", "NaN", "inf", "1e300", "ten"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
        let (_, separator) = options(FILE)
            .find(|(_, option)| option.name == "separator")
            .unwrap();
        let mut profile = Profile::default();
        separator.read(&mut profile, "/").unwrap();
        assert_eq!(profile.separator, Some(b'/'));
        for wrong in ["", "//", "é"] {
            assert!(separator.read(&mut profile, wrong).is_err(), "{wrong}");
        }
    }
}
