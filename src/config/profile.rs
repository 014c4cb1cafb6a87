//! What one speaker says of a connection, and who that is.
//!
//! Not here: how it is written (`table`), and who is heard first (`stack`).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use imapadm::Error;
use imapadm::auth::{Method, SecretKind, SecretSource};
use imapadm::net::{Address, Fingerprint, Security, Target};

/// How results look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormatName {
    /// Columns for people; in a pipe, separated by tabs.
    Text,
    /// One JSON object per line for each command.
    Json,
}

/// What one speaker says of a connection; `None` is silence. Each field has its entry in the table.
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
    /// The mechanisms to use, the best first.
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
    /// The only certificate to accept.
    pub pin: Option<Fingerprint>,
    /// Whether the server's certificate is checked.
    pub verify: Option<bool>,
    /// Where the password comes from.
    pub password: Option<SecretSource>,
    /// Where the token comes from.
    pub token: Option<SecretSource>,
    /// The hierarchy separator, for a server that does not tell.
    pub separator: Option<u8>,
    /// How long to wait.
    pub timeout: Option<Duration>,
    /// How long a whole run may take; counts only where the program starts.
    pub max_time: Option<Duration>,
    /// How results look.
    pub format: Option<FormatName>,
    /// Whether a password may cross a network in cleartext.
    pub allow_cleartext: Option<bool>,
    /// Whether both directions are compressed.
    pub compress: Option<bool>,
    /// The line of the file that each setting is on, by the setting's name.
    pub lines: BTreeMap<&'static str, usize>,
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

    /// What the environment says: secrets only.
    pub fn environment() -> Self {
        let source = |kind: SecretKind| kind.in_environment().then_some(SecretSource::Environment);
        Self {
            password: source(SecretKind::Password),
            token: source(SecretKind::Token),
            ..Self::default()
        }
    }

    /// The line of the file that a setting is on.
    pub fn line(&self, setting: &str) -> Option<usize> {
        // A host's notation may hold these too.
        let in_host = || {
            let held = matches!(setting, "port" | "security" | "user");
            self.lines.get("host").filter(|_| held)
        };
        self.lines.get(setting).or_else(in_host).copied()
    }
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
    pub fn is_of_start(&self) -> bool {
        matches!(self, Origin::CommandLine | Origin::Environment)
    }

    /// In words, with the line where it is the file.
    pub fn words(&self, line: Option<usize>) -> String {
        let line = line.map(|line| format!(":{line}")).unwrap_or_default();
        match self {
            Origin::Connect => "connect".into(),
            Origin::CommandLine => "command line".into(),
            Origin::Notation => "the server argument".into(),
            Origin::Environment => "environment".into(),
            Origin::Server(file, name) => format!("{}{line}, [servers.{name}]", file.display()),
            Origin::Defaults(file) => format!("{}{line}, [defaults]", file.display()),
        }
    }
}
