//! What a connection is made with, and who says so: the command line, the environment, the configuration file with its named
//! servers, and the defaults.
//!
//! Lives here: [`Profile`], one speaker's settings; [`Stack`], all of them in order, and the [`Plan`] that they come to; the file. Not
//! here: the command line's grammar (`cli`), and connecting (`shell`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use imapadm::auth::{Kind, Method, Needs, SecretSource};
use imapadm::net::{Address, Fingerprint, Interrupt, Security, Target, Timeouts, TlsOptions};
use imapadm::{Error, Options};
use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize};
use toml::Spanned;
use toml::de::{DeString, DeTable};

use crate::files;

/// How long to wait where nobody says.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How results look, as it is written in options and in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FormatName {
    /// Columns for people; in a pipe, parted by tabs
    Text,
    /// One JSON object a line for each command
    Json,
}

/// What one speaker says of a connection; `None` is silence.
#[derive(Debug, Clone, Default)]
pub struct Profile {
    /// A host, or the path of a Unix socket.
    pub host: Option<String>,
    /// The port.
    pub port: Option<u16>,
    /// TLS, STARTTLS or cleartext.
    pub security: Option<Security>,
    /// Who logs in.
    pub user: Option<String>,
    /// Whom to act as.
    pub authz: Option<String>,
    /// The mechanisms that will do, the best first.
    pub auth: Option<Vec<Method>>,
    /// Authorities to trust.
    pub cafile: Option<PathBuf>,
    /// A folder of them.
    pub cadir: Option<PathBuf>,
    /// Whether the system's authorities are trusted too.
    pub system_roots: Option<bool>,
    /// The client's certificate.
    pub cert: Option<PathBuf>,
    /// Its key.
    pub tlskey: Option<PathBuf>,
    /// The name that the server's certificate must have.
    pub tls_server_name: Option<String>,
    /// The only certificate that will do.
    pub pin: Option<Fingerprint>,
    /// Whether the server's certificate is checked; the file can't say no.
    pub verify: Option<bool>,
    /// Where the password comes from.
    pub password: Option<SecretSource>,
    /// Where the token comes from.
    pub token: Option<SecretSource>,
    /// The hierarchy separator of a server that won't say.
    pub separator: Option<u8>,
    /// How long to wait.
    pub timeout: Option<Duration>,
    /// How long a whole run may take; counts only where the program starts.
    pub max_time: Option<Duration>,
    /// How results look.
    pub format: Option<FormatName>,
    /// Whether a password may cross a network in cleartext.
    pub allow_cleartext: Option<bool>,
    /// Whether what is sent and what comes is compressed.
    pub compress: Option<bool>,
    /// The line of the file that each of its keys stands on.
    pub lines: BTreeMap<String, usize>,
}

impl Profile {
    /// What a server's notation says: its host, and perhaps its port, its TLS and the user.
    ///
    /// # Errors
    /// [`Error::Usage`] for what names no server.
    pub fn notation(server: &str, port: Option<&str>) -> Result<Self, Error> {
        let target =
            Target::parse(server, port).map_err(|error| Error::Usage(error.to_string()))?;
        Ok(Self {
            host: Some(match target.address {
                Address::Tcp { host, .. } => host,
                Address::Unix(path) => path.display().to_string(),
            }),
            port: target.explicit_port,
            security: target.security,
            user: target.user,
            ..Self::default()
        })
    }

    /// Whether it says anything of TLS, which is settled when a connection is made.
    pub fn says_of_tls(&self) -> bool {
        self.security.is_some()
            || self.cafile.is_some()
            || self.cadir.is_some()
            || self.cert.is_some()
            || self.tlskey.is_some()
            || self.pin.is_some()
            || self.system_roots.is_some()
            || self.tls_server_name.is_some()
            || self.verify.is_some()
    }

    /// Whether it says which certificates are trusted.
    pub fn says_whom_to_trust(&self) -> bool {
        self.cafile.is_some()
            || self.cadir.is_some()
            || self.system_roots.is_some()
            || self.pin.is_some()
    }

    /// What it says that may hold for a server it was not said for: nothing that makes a connection less safe. Its secrets are withheld
    /// ([`Recipient`]), which can be told only if they are there.
    fn elsewhere(self) -> Self {
        Self {
            user: self.user,
            cafile: self.cafile,
            cadir: self.cadir,
            system_roots: self.system_roots,
            timeout: self.timeout,
            format: self.format,
            password: self.password,
            token: self.token,
            ..Self::default()
        }
    }

    /// Whether it says where a secret comes from.
    pub fn has_secret(&self) -> bool {
        self.password.is_some() || self.token.is_some()
    }

    /// The line of the file that a setting stands on.
    fn line(&self, setting: &str) -> Option<usize> {
        let keys = ["", "-file", "-command"].map(|end| format!("{setting}{end}"));
        let found = keys.iter().find_map(|key| self.lines.get(key));
        // A host's notation may hold these too.
        let in_host = || {
            let held = matches!(setting, "port" | "security" | "user");
            self.lines.get("host").filter(|_| held)
        };
        found.or_else(in_host).copied()
    }

    /// What the environment says: secrets only.
    pub fn environment() -> Self {
        let source = |kind: Kind| kind.in_environment().then_some(SecretSource::Environment);
        Self {
            password: source(Kind::Password),
            token: source(Kind::Token),
            ..Self::default()
        }
    }
}

/// A setting of a [`Profile`], as it is shown. Secrets are not: only where they come from.
type Show = fn(&Profile) -> Option<String>;

/// Every setting under its name in the file, in the order of `--show-config`.
const SETTINGS: &[(&str, Show)] = &[
    ("host", |p| p.host.clone()),
    ("port", |p| p.port.map(|port| port.to_string())),
    ("security", |p| p.security.map(|s| security_word(s).into())),
    ("user", |p| p.user.clone()),
    ("authz", |p| p.authz.clone()),
    ("auth", |p| {
        let names = p.auth.as_ref()?.iter().map(|method| method.name());
        Some(names.collect::<Vec<_>>().join(","))
    }),
    ("cafile", |p| path(p.cafile.as_ref())),
    ("cadir", |p| path(p.cadir.as_ref())),
    ("system-roots", |p| p.system_roots.map(|on| on.to_string())),
    ("cert", |p| path(p.cert.as_ref())),
    ("tlskey", |p| path(p.tlskey.as_ref())),
    ("tls-server-name", |p| p.tls_server_name.clone()),
    ("pin", |p| p.pin.as_ref().map(ToString::to_string)),
    ("verify", |p| p.verify.map(|on| on.to_string())),
    ("password", |p| secret(p.password.as_ref(), Kind::Password)),
    ("token", |p| secret(p.token.as_ref(), Kind::Token)),
    ("separator", |p| {
        p.separator.map(|byte| char::from(byte).to_string())
    }),
    ("timeout", |p| {
        p.timeout.map(|limit| limit.as_secs_f64().to_string())
    }),
    ("max-time", |p| {
        p.max_time.map(|limit| limit.as_secs_f64().to_string())
    }),
    ("format", |p| {
        p.format.map(|format| match format {
            FormatName::Text => "text".into(),
            FormatName::Json => "json".into(),
        })
    }),
    ("allow-cleartext", |p| {
        p.allow_cleartext.map(|on| on.to_string())
    }),
    ("compress", |p| p.compress.map(|on| on.to_string())),
];

fn path(path: Option<&PathBuf>) -> Option<String> {
    path.map(|path| path.display().to_string())
}

fn secret(source: Option<&SecretSource>, kind: Kind) -> Option<String> {
    Some(match source? {
        SecretSource::File(path) => format!("from the file {}", path.display()),
        SecretSource::Descriptor(number) => format!("from the file descriptor {number}"),
        SecretSource::Command(command) => format!("from the command {command:?}"),
        SecretSource::Environment => format!("from the variable {}", kind.variable()),
        SecretSource::Prompt => "asked for".into(),
        SecretSource::Given(_) => "given".into(),
    })
}

/// The word for it in the file.
pub fn security_word(security: Security) -> &'static str {
    match security {
        Security::Tls => "tls",
        Security::StartTls => "starttls",
        Security::None => "none",
    }
}

/// Who says what a [`Profile`] says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The options of `connect` in the shell.
    Connect,
    /// The program's options.
    CommandLine,
    /// The server as it was written.
    Notation,
    /// The environment.
    Environment,
    /// A named server of the file.
    Server(PathBuf, String),
    /// The file's `[defaults]`.
    Defaults(PathBuf),
}

impl Origin {
    /// Whether it is what the program was started with, and not what somebody wrote down for a server.
    fn is_of_start(&self) -> bool {
        matches!(self, Origin::CommandLine | Origin::Environment)
    }

    /// In words, with the line where it is the file.
    fn words(&self, line: Option<usize>) -> String {
        let line = line.map(|line| format!(":{line}")).unwrap_or_default();
        match self {
            Origin::Connect => "connect".into(),
            Origin::CommandLine => "command line".into(),
            Origin::Notation => "the server's notation".into(),
            Origin::Environment => "environment".into(),
            Origin::Server(file, name) => format!("{}{line}, [servers.{name}]", file.display()),
            Origin::Defaults(file) => format!("{}{line}, [defaults]", file.display()),
        }
    }
}

/// All that is said of one connection; who stands first wins, setting by setting.
#[derive(Debug, Clone, Default)]
pub struct Stack {
    layers: Vec<(Origin, Profile)>,
    /// Whom the secrets of the command line and of the environment were given for, once that is settled.
    recipient: Option<Recipient>,
}

/// The server and the user that a secret was given for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    address: Address,
    /// `None` where nobody has a name: whoever has none here either.
    user: Option<String>,
}

impl std::fmt::Display for Recipient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(user) = &self.user {
            write!(f, "{user} at ")?;
        }
        write!(f, "{}", self.address)
    }
}

/// A setting in force.
#[derive(Debug)]
pub struct Setting {
    /// Its name in the file.
    pub name: &'static str,
    /// Its value, if it has one.
    pub value: Option<String>,
    /// Who says so.
    pub origin: String,
}

/// What a connection comes to.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How to reach the server.
    pub options: Options,
    /// Who logs in, if anybody says.
    pub user: Option<String>,
    /// Whom to act as.
    pub authz: Option<String>,
    /// The mechanisms that will do; none is any.
    pub auth: Vec<Method>,
    /// What secret there is, and where it comes from.
    pub secret: Option<(Kind, SecretSource)>,
    /// Whom the secrets are for.
    pub recipient: Option<Recipient>,
    /// A secret that is not used, as it was given for somebody else: which one, and for whom.
    pub withheld: Option<String>,
}

impl Stack {
    /// The first word on a setting, and whose it is.
    fn say<T>(&self, get: impl Fn(&Profile) -> Option<T>) -> Option<T> {
        self.layers.iter().find_map(|(_, profile)| get(profile))
    }

    /// Puts a speaker in front of all others.
    pub fn push(&mut self, origin: Origin, profile: Profile) {
        self.layers.insert(0, (origin, profile));
    }

    /// How results look.
    pub fn format(&self) -> FormatName {
        self.say(|p| p.format).unwrap_or(FormatName::Text)
    }

    /// The same without what is not in force, although it is said: `plan` acts on this, and `show` shows it.
    fn in_force(&self) -> Self {
        let mut said = self.clone();
        let user = self.user();
        let place =
            |says: fn(&Profile) -> bool| self.layers.iter().position(|(_, profile)| says(profile));
        let trust = place(Profile::says_whom_to_trust);
        let own = place(|p| p.cert.is_some() || p.tlskey.is_some());
        let withheld = self.is_for_another();
        for (at, (origin, profile)) in said.layers.iter_mut().enumerate() {
            // Whoever narrows what is trusted must not have it widened by another's settings.
            if trust != Some(at) {
                profile.cafile = None;
                profile.cadir = None;
                profile.system_roots = None;
                profile.pin = None;
            }
            // A key is its certificate's.
            if own != Some(at) {
                profile.cert = None;
                profile.tlskey = None;
            }
            // What is said of another user, his secret above all, is not meant for this one.
            if profile.user.is_some() && profile.user != user {
                profile.authz = None;
                profile.password = None;
                profile.token = None;
            }
            // They come with the program's start, and were meant for whom that was.
            if withheld && origin.is_of_start() {
                profile.password = None;
                profile.token = None;
            }
        }
        said
    }

    /// How long the whole run may take, if that is limited.
    pub fn max_time(&self) -> Option<Duration> {
        self.in_force().say(|p| p.max_time)
    }

    /// Whom this connection is to, as far as secrets go.
    pub fn recipient(&self) -> Option<Recipient> {
        let address = self.target().ok()?.settle(None).0;
        let user = self.user().or_else(local_user);
        Some(Recipient { address, user })
    }

    /// The same, where the secrets of the command line and of the environment were given for somebody, who may be another.
    pub fn with_secrets_for(mut self, recipient: Option<Recipient>) -> Self {
        self.recipient = recipient;
        self
    }

    /// Whether it is known whom those secrets were given for, and that it is somebody else.
    fn is_for_another(&self) -> bool {
        self.recipient
            .as_ref()
            .is_some_and(|given| self.recipient().as_ref() != Some(given))
    }

    /// The secret of the command line or of the environment that is not used, and whom it was given for.
    fn withheld(&self) -> Option<String> {
        let given = self.recipient.as_ref().filter(|_| self.is_for_another())?;
        let (kind, source) = self.layers.iter().find_map(|(origin, profile)| {
            let password = profile
                .password
                .as_ref()
                .map(|source| (Kind::Password, source));
            let token = profile.token.as_ref().map(|source| (Kind::Token, source));
            password.or(token).filter(|_| origin.is_of_start())
        })?;
        // What a command is told may itself be a secret, so it is not repeated.
        let what = match source {
            SecretSource::Environment => kind.variable().to_owned(),
            _ => format!("the {kind} of the command line"),
        };
        Some(format!("{what} is not used here: it was given for {given}"))
    }

    /// What it all comes to.
    ///
    /// # Errors
    /// [`Error::Usage`] if no server is named.
    pub fn plan(&self, interrupt: &Interrupt) -> Result<Plan, Error> {
        let (address, security) = self.target()?.settle(None);
        let said = self.in_force();
        let tls = TlsOptions {
            verify: said.say(|p| p.verify).unwrap_or(true),
            cafile: said.say(|p| p.cafile.clone()),
            cadir: said.say(|p| p.cadir.clone()),
            system_roots: said.say(|p| p.system_roots).unwrap_or(false),
            cert: said.say(|p| p.cert.clone()),
            key: said.say(|p| p.tlskey.clone()),
            server_name: said.say(|p| p.tls_server_name.clone()),
            pin: said.say(|p| p.pin),
            known: None,
        };
        let timeout = said.say(|p| p.timeout).unwrap_or(TIMEOUT);
        let auth = said.say(|p| p.auth.clone()).unwrap_or_default();
        let authz = said.say(|p| p.authz.clone());
        Ok(Plan {
            options: Options {
                security,
                tls,
                timeouts: Timeouts {
                    connect: timeout,
                    read: timeout,
                },
                allow_cleartext: said.say(|p| p.allow_cleartext).unwrap_or(false),
                separator: said.say(|p| p.separator),
                compress: said.say(|p| p.compress).unwrap_or(false),
                interrupt: interrupt.clone(),
                ..Options::new(address)
            },
            user: said.user(),
            // An empty one says: nobody else.
            authz: authz.filter(|authz| !authz.is_empty()),
            secret: said.secret(&auth),
            recipient: self.recipient(),
            withheld: self.withheld(),
            auth,
        })
    }

    /// Who logs in, as far as anybody says.
    pub fn user(&self) -> Option<String> {
        self.say(|p| p.user.clone())
    }

    /// Forgets who was to log in by the options of `connect` and `authenticate`: somebody else is to.
    pub fn forget_identity(&mut self) {
        for (origin, profile) in &mut self.layers {
            if *origin == Origin::Connect {
                profile.user = None;
                profile.authz = None;
                profile.auth = None;
                profile.password = None;
                profile.token = None;
            }
        }
    }

    fn target(&self) -> Result<Target, Error> {
        let host = self.say(|p| p.host.clone()).ok_or_else(|| {
            Error::Usage("no server is named; name one: imapadm SERVER, or connect SERVER".into())
        })?;
        // A socket has no port, whatever the defaults say.
        let port = if host.starts_with('/') {
            None
        } else {
            self.say(|p| p.port).map(|port| port.to_string())
        };
        let mut target = Target::parse(&host, port.as_deref())
            .map_err(|error| Error::Usage(error.to_string()))?;
        target.security = self.say(|p| p.security).or(target.security);
        Ok(target)
    }

    /// The secret of whoever first names one that the mechanisms can use; of two in one place, the password, unless only a token will do.
    fn secret(&self, auth: &[Method]) -> Option<(Kind, SecretSource)> {
        let any =
            |needs: Needs| auth.is_empty() || auth.iter().any(|method| method.needs() == needs);
        self.say(|profile| {
            let password = profile.password.clone().filter(|_| any(Needs::Password));
            let token = profile.token.clone().filter(|_| any(Needs::Token));
            let password = password.map(|source| (Kind::Password, source));
            let token = token.map(|source| (Kind::Token, source));
            password.or(token)
        })
    }

    /// Every setting, as it is in force.
    ///
    /// # Errors
    /// [`Error::Usage`] if what names the server can't be one.
    pub fn show(&self) -> Result<Vec<Setting>, Error> {
        let target = match self.say(|p| p.host.clone()) {
            Some(_) => Some(self.target()?.settle(None)),
            None => None,
        };
        let by_default = |name: &str| -> Option<String> {
            Some(match (name, &target) {
                ("port", Some((Address::Tcp { port, .. }, _))) => port.to_string(),
                ("security", Some((_, security))) => security_word(*security).into(),
                ("security", None) => security_word(Security::StartTls).into(),
                ("system-roots" | "allow-cleartext" | "compress", _) => "false".into(),
                ("verify", _) => "true".into(),
                ("timeout", _) => TIMEOUT.as_secs().to_string(),
                ("format", _) => "text".into(),
                _ => return None,
            })
        };
        let said = self.in_force();
        let rows = SETTINGS.iter().map(|(name, show)| {
            let said = said.layers.iter().find_map(|(origin, profile)| {
                let mut value = show(profile)?;
                if ["password", "token"].contains(name) && origin.is_of_start() {
                    value.push_str(match target {
                        Some(_) => ", for this server and user only",
                        None => ", for the first server and user only",
                    });
                }
                Some((value, origin.words(profile.line(name))))
            });
            match said {
                Some((value, origin)) => Setting {
                    name,
                    value: Some(value),
                    origin,
                },
                None => Setting {
                    name,
                    value: by_default(name),
                    origin: "default".into(),
                },
            }
        });
        Ok(rows.collect())
    }
}

/// The configuration file: what it says of all connections, and the servers that have a name.
#[derive(Debug, Clone, Default)]
pub struct Config {
    file: PathBuf,
    defaults: Profile,
    servers: BTreeMap<String, Profile>,
}

impl Config {
    /// Reads the user's file, if there is one.
    ///
    /// # Errors
    /// [`Error::Usage`] for a file that can't be read or that says what makes no sense, with line and column.
    pub fn load() -> Result<Self, Error> {
        let Some(file) = files::config() else {
            return Ok(Self::default());
        };
        // It names commands to run and servers to give passwords to.
        let Some(text) = files::read(&file)? else {
            return Ok(Self {
                file,
                ..Self::default()
            });
        };
        Self::read(&file, &text)
    }

    fn read(file: &Path, text: &str) -> Result<Self, Error> {
        let wrong_at = |error: toml::de::Error| {
            let at = error.span().map_or(0, |span| span.start.min(text.len()));
            let before = text.get(..at).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
            Error::Usage(format!(
                "{}:{line}:{column}: {}; correct the configuration",
                file.display(),
                error.message().trim_end().replace('\n', ", ")
            ))
        };
        let table = DeTable::parse(text).map_err(wrong_at)?;
        let lines = lines(text, table.get_ref());
        let written = File::deserialize(toml::Deserializer::from(table)).map_err(wrong_at)?;
        let folder = file.parent().unwrap_or(Path::new("/"));
        let wrong = |place: &str, error: &Error| {
            Error::Usage(format!("{}, [{place}]: {error}", file.display()))
        };
        let mut defaults = written
            .defaults
            .profile(folder)
            .map_err(|error| wrong("defaults", &error))?;
        defaults.lines = lines.get("defaults").cloned().unwrap_or_default();
        let mut servers = BTreeMap::new();
        for (name, server) in written.servers {
            let mut profile = server
                .profile(folder)
                .map_err(|error| wrong(&format!("servers.{name}"), &error))?;
            if profile.host.is_none() {
                // A name that is a host need not be written twice.
                let notation = Profile::notation(&name, None)
                    .map_err(|error| wrong(&format!("servers.{name}"), &error))?;
                profile.host = notation.host;
                profile.port = profile.port.or(notation.port);
                profile.security = profile.security.or(notation.security);
            }
            profile.lines = lines
                .get(&format!("servers.{name}"))
                .cloned()
                .unwrap_or_default();
            servers.insert(name, profile);
        }
        Ok(Self {
            file: file.to_owned(),
            defaults,
            servers,
        })
    }

    /// The names of the servers, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.servers.keys().map(String::as_str)
    }

    /// What is said of the server that a word names, and who says it: one of the file, else the word's own notation.
    ///
    /// # Errors
    /// [`Error::Usage`] for what names no server.
    pub fn server(&self, word: &str, port: Option<&str>) -> Result<(Origin, Profile), Error> {
        let Some(named) = self.servers.get(word) else {
            return Ok((Origin::Notation, Profile::notation(word, port)?));
        };
        let mut profile = named.clone();
        if port.is_some() {
            profile.port = Profile::notation("localhost", port)?.port;
        }
        Ok((Origin::Server(self.file.clone(), word.to_owned()), profile))
    }

    /// What the file says of every connection.
    pub fn defaults(&self) -> (Origin, Profile) {
        (Origin::Defaults(self.file.clone()), self.defaults.clone())
    }
}

/// The speakers of the connection that the program begins with: the command line has the first word.
pub fn at_start(
    command_line: Profile,
    server: Option<(Origin, Profile)>,
    config: &Config,
) -> Stack {
    let mut layers = vec![
        (Origin::CommandLine, command_line),
        (Origin::Environment, Profile::environment()),
    ];
    layers.extend(server);
    layers.push(config.defaults());
    Stack {
        layers,
        recipient: None,
    }
}

/// The speakers of a connection that is made inside the shell: what was said for it alone comes before what the program was started
/// with. `started` is the server that the program was started with: what the command line says of that one's secrets and safety is not
/// meant for another.
pub fn inside(
    options: Profile,
    server: (Origin, Profile),
    command_line: Profile,
    started: Option<&Stack>,
    config: &Config,
) -> Stack {
    let mut layers = vec![(Origin::Connect, options), server];
    let here = |stack: &Stack| stack.target().ok().map(|target| target.settle(None).0);
    let mut stack = Stack {
        layers: layers.clone(),
        recipient: None,
    };
    stack.layers.push(config.defaults());
    let elsewhere = started.is_some_and(|started| here(started) != here(&stack));
    layers.push((
        Origin::CommandLine,
        if elsewhere {
            command_line.elsewhere()
        } else {
            command_line
        },
    ));
    layers.push((Origin::Environment, Profile::environment()));
    layers.push(config.defaults());
    Stack {
        layers,
        recipient: None,
    }
}

/// Who is logged in on this machine, as cyradm takes it.
pub fn local_user() -> Option<String> {
    ["USER", "LOGNAME"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok())
        .filter(|name| !name.is_empty())
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    defaults: Table,
    #[serde(default)]
    servers: BTreeMap<String, Table>,
}

/// The line of every key, by table.
fn lines(text: &str, file: &DeTable<'_>) -> BTreeMap<String, BTreeMap<String, usize>> {
    let line = |at: usize| text.get(..at).unwrap_or_default().matches('\n').count() + 1;
    let keys = |table: &DeTable<'_>| {
        let of = |(key, _): (&Spanned<DeString<'_>>, _)| {
            (key.get_ref().to_string(), line(key.span().start))
        };
        table.iter().map(of).collect::<BTreeMap<_, _>>()
    };
    let mut all = BTreeMap::new();
    for (name, value) in file {
        let (name, Some(table)) = (name.get_ref(), value.get_ref().as_table()) else {
            continue;
        };
        all.insert(name.to_string(), keys(table));
        for (inner, value) in table {
            if let Some(table) = value.get_ref().as_table() {
                all.insert(format!("{name}.{}", inner.get_ref()), keys(table));
            }
        }
    }
    all
}

/// One table of the file.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct Table {
    host: Option<String>,
    #[serde(deserialize_with = "port")]
    port: Option<String>,
    #[serde(deserialize_with = "security")]
    security: Option<Security>,
    user: Option<String>,
    authz: Option<String>,
    #[serde(deserialize_with = "methods")]
    auth: Option<Vec<Method>>,
    cafile: Option<PathBuf>,
    #[serde(alias = "capath")]
    cadir: Option<PathBuf>,
    system_roots: Option<bool>,
    cert: Option<PathBuf>,
    tlskey: Option<PathBuf>,
    tls_server_name: Option<String>,
    #[serde(deserialize_with = "fingerprint")]
    pin: Option<Fingerprint>,
    #[serde(deserialize_with = "no_password")]
    #[allow(dead_code)]
    password: (),
    password_file: Option<PathBuf>,
    password_command: Option<String>,
    token_file: Option<PathBuf>,
    token_command: Option<String>,
    #[serde(deserialize_with = "separator")]
    separator: Option<u8>,
    #[serde(deserialize_with = "timeout")]
    timeout: Option<Duration>,
    #[serde(deserialize_with = "timeout")]
    max_time: Option<Duration>,
    format: Option<FormatName>,
    allow_cleartext: Option<bool>,
    compress: Option<bool>,
}

impl Table {
    /// What it says; paths are relative to the file's folder, or begin with `~/`.
    fn profile(self, folder: &Path) -> Result<Profile, Error> {
        let place = |path: PathBuf| match (path.strip_prefix("~"), dirs::home_dir()) {
            (Ok(rest), Some(home)) => home.join(rest),
            _ => folder.join(path),
        };
        let one = |file: Option<PathBuf>, command: Option<String>, kind: Kind| match (file, command)
        {
            (Some(_), Some(_)) => Err(Error::Usage(format!(
                "{kind}-file and {kind}-command exclude each other; keep one"
            ))),
            (Some(file), None) => Ok(Some(SecretSource::File(place(file)))),
            (None, command) => Ok(command.map(SecretSource::Command)),
        };
        let server = match &self.host {
            Some(host) => Profile::notation(host, self.port.as_deref())?,
            None => Profile {
                port: match self.port.as_deref() {
                    Some(port) => Profile::notation("localhost", Some(port))?.port,
                    None => None,
                },
                ..Profile::default()
            },
        };
        Ok(Profile {
            host: server.host,
            port: server.port,
            security: self.security.or(server.security),
            user: self.user.or(server.user),
            authz: self.authz,
            auth: self.auth,
            cafile: self.cafile.map(place),
            cadir: self.cadir.map(place),
            system_roots: self.system_roots,
            cert: self.cert.map(place),
            tlskey: self.tlskey.map(place),
            tls_server_name: self.tls_server_name,
            pin: self.pin,
            verify: None,
            password: one(self.password_file, self.password_command, Kind::Password)?,
            token: one(self.token_file, self.token_command, Kind::Token)?,
            separator: self.separator,
            timeout: self.timeout,
            max_time: self.max_time,
            format: self.format,
            allow_cleartext: self.allow_cleartext,
            compress: self.compress,
            lines: BTreeMap::new(),
        })
    }
}

fn security<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Security>, D::Error> {
    let word = String::deserialize(input)?;
    [Security::Tls, Security::StartTls, Security::None]
        .into_iter()
        .find(|security| security_word(*security) == word)
        .map(Some)
        .ok_or_else(|| {
            de::Error::custom(format!(
                "{word:?} is none of \"tls\", \"starttls\" and \"none\""
            ))
        })
}

/// A number or a name.
fn port<'de, D: Deserializer<'de>>(input: D) -> Result<Option<String>, D::Error> {
    let word = match toml::Value::deserialize(input)? {
        toml::Value::String(word) => word,
        toml::Value::Integer(number) => number.to_string(),
        _ => {
            return Err(de::Error::custom(
                "a port is a number, or \"imap\" or \"imaps\"",
            ));
        }
    };
    Target::parse("localhost", Some(&word)).map_err(de::Error::custom)?;
    Ok(Some(word))
}

/// One text, or an array of them.
fn methods<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Vec<Method>>, D::Error> {
    let wrong = || de::Error::custom("auth is a text such as \"SCRAM-SHA-256,PLAIN\", or an array");
    let list = match toml::Value::deserialize(input)? {
        toml::Value::String(list) => list,
        toml::Value::Array(list) => list
            .iter()
            .map(|name| name.as_str().ok_or_else(wrong))
            .collect::<Result<Vec<_>, _>>()?
            .join(","),
        _ => return Err(wrong()),
    };
    Method::parse_list(&list)
        .map(Some)
        .map_err(de::Error::custom)
}

fn fingerprint<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Fingerprint>, D::Error> {
    let text = String::deserialize(input)?;
    text.parse().map(Some).map_err(de::Error::custom)
}

fn no_password<'de, D: Deserializer<'de>>(_: D) -> Result<(), D::Error> {
    Err(de::Error::custom(
        "a password does not belong into this file: use password-command, or password-file with a file that only you can read",
    ))
}

fn separator<'de, D: Deserializer<'de>>(input: D) -> Result<Option<u8>, D::Error> {
    read_separator(&String::deserialize(input)?)
        .map(Some)
        .map_err(de::Error::custom)
}

fn timeout<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Duration>, D::Error> {
    let text = match toml::Value::deserialize(input)? {
        toml::Value::Integer(number) => number.to_string(),
        toml::Value::Float(number) => number.to_string(),
        toml::Value::String(text) => text,
        _ => String::new(),
    };
    read_seconds(&text).map(Some).map_err(de::Error::custom)
}

/// A number of seconds.
///
/// # Errors
/// The words for what is none.
pub fn read_seconds(text: &str) -> Result<Duration, String> {
    let wrong = || "write a number of seconds greater than 0, such as 30 or 2.5".to_owned();
    let seconds: f64 = text.parse().map_err(|_| wrong())?;
    // A year is for ever, and far from what overflows.
    if !(0.001..=31_536_000.0).contains(&seconds) {
        return Err(wrong());
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// A hierarchy separator.
///
/// # Errors
/// The words for what is none.
pub fn read_separator(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        [byte] if byte.is_ascii_graphic() => Ok(*byte),
        _ => Err("write one character, such as . or /".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
[defaults]
user = "cyrus"
timeout = 5
[servers.work]
host = "imap.example.org:1143"
security = "none"
auth = ["SCRAM-SHA-256", "plain"]
password-command = "pass imap"
cafile = "ca.pem"
[servers."mail.example.org"]
port = "imaps"
"#;

    fn config(text: &str) -> Result<Config, String> {
        Config::read(Path::new("/etc/x/config.toml"), text).map_err(|error| error.to_string())
    }

    fn stack(config: &Config, word: &str, command_line: Profile) -> Stack {
        let server = config.server(word, None).unwrap();
        at_start(command_line, Some(server), config)
    }

    #[test]
    fn who_speaks_first_wins() {
        let config = config(FILE).unwrap();
        let interrupt = Interrupt::new();
        let plan = stack(&config, "work", Profile::default())
            .plan(&interrupt)
            .unwrap();
        assert_eq!(plan.options.address.to_string(), "imap.example.org:1143");
        assert_eq!(plan.options.security, Security::None);
        assert_eq!(plan.options.timeouts.read, Duration::from_secs(5));
        assert_eq!(plan.options.tls.cafile, Some("/etc/x/ca.pem".into()));
        assert_eq!(plan.user.as_deref(), Some("cyrus"));
        assert_eq!(plan.auth.len(), 2);
        let command_line = Profile {
            user: Some("bob".into()),
            security: Some(Security::StartTls),
            ..Profile::default()
        };
        let plan = stack(&config, "work", command_line.clone())
            .plan(&interrupt)
            .unwrap();
        assert_eq!(
            (plan.user.as_deref(), plan.options.security),
            (Some("bob"), Security::StartTls)
        );
        // Inside the shell the server's own settings are nearer.
        let server = config.server("work", None).unwrap();
        let plan = inside(Profile::default(), server, command_line, None, &config)
            .plan(&interrupt)
            .unwrap();
        assert_eq!(plan.options.security, Security::None);
        let plan = stack(&config, "mail.example.org", Profile::default())
            .plan(&interrupt)
            .unwrap();
        assert_eq!(plan.options.security, Security::Tls);
        assert_eq!(plan.options.address.to_string(), "mail.example.org:993");
    }

    #[test]
    fn what_makes_no_sense_has_its_line_and_column() {
        for (text, words) in [
            (
                "[servers.a]\nhost = \"h\"\npasword-file = \"x\"\n",
                ":3:1: unknown field `pasword-file`",
            ),
            ("[server.a]\n", ":1:2: unknown field `server`"),
            (
                "[defaults]\nsecurity = \"ssl\"\n",
                ":2:12: \"ssl\" is none of",
            ),
            ("[defaults]\nport = 0\n", ":2:8:"),
            ("[defaults]\ntimeout = -1\n", ":2:11: write a number"),
            ("[defaults]\npassword = \"x\"\n", "does not belong"),
            ("[defaults]\nauth = \"NTLM\"\n", ":2:8:"),
            ("[defaults]\npin = \"md5:00\"\n", ":2:7:"),
            ("[defaults\n", ":1:10:"),
            (
                "[servers.a]\npassword-file = \"x\"\npassword-command = \"y\"\n",
                "[servers.a]: password-file and",
            ),
            ("[servers.\"a b\"]\n", "[servers.a b]:"),
        ] {
            let error = config(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn each_setting_tells_who_said_it() {
        let config = config(FILE).unwrap();
        let command_line = Profile {
            user: Some("bob".into()),
            password: Some(SecretSource::Given("hunter2".into())),
            ..Profile::default()
        };
        let shown = stack(&config, "work", command_line).show().unwrap();
        let of = |name: &str| {
            let setting = shown.iter().find(|setting| setting.name == name).unwrap();
            (
                setting.value.as_deref().unwrap_or("-"),
                setting.origin.as_str(),
            )
        };
        assert_eq!(of("user"), ("bob", "command line"));
        assert_eq!(
            of("auth"),
            (
                "SCRAM-SHA-256,PLAIN",
                "/etc/x/config.toml:8, [servers.work]"
            )
        );
        assert_eq!(of("timeout"), ("5", "/etc/x/config.toml:4, [defaults]"));
        assert_eq!(
            of("password"),
            ("given, for this server and user only", "command line")
        );
        assert_eq!(of("format"), ("text", "default"));
        assert_eq!(of("pin"), ("-", "default"));
    }

    #[test]
    fn seconds_and_separators() {
        assert_eq!(read_seconds("2.5"), Ok(Duration::from_millis(2500)));
        for wrong in ["0", "-1", "NaN", "inf", "1e300", "ten"] {
            assert!(read_seconds(wrong).is_err(), "{wrong}");
        }
        assert_eq!(read_separator("/"), Ok(b'/'));
        assert!(read_separator("//").is_err() && read_separator("é").is_err());
        assert!(read_separator("").is_err());
    }
}
