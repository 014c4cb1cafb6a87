//! Who says what of a connection, and what that comes to: the speakers in order, and the plan of a connection.

use std::time::Duration;

use imapadm::auth::{Method, Needs, SecretKind, SecretSource};
use imapadm::net::{
    Address, ClientIdentity, Interrupt, Roots, Security, Target, Timeouts, TlsOptions,
};
use imapadm::{Error, Options};

use super::file::Config;
use super::profile::{FormatName, Origin, Profile, security_word};
use super::table::{SETTINGS, Scope, Setting, TIMEOUT};

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

/// A setting, as it is in force.
#[derive(Debug)]
pub struct InForce {
    /// Its name.
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
    pub secret: Option<(SecretKind, SecretSource)>,
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
        let place = |scope| {
            self.layers
                .iter()
                .position(|(_, profile)| profile.says(scope))
        };
        let trust = place(Scope::Trust);
        let own = place(Scope::OwnCertificate);
        let withheld = self.is_for_another();
        for (at, (origin, profile)) in said.layers.iter_mut().enumerate() {
            let is_of_another = profile.user.is_some() && profile.user != user;
            // They come with the program's start, and were meant for whom that was.
            let is_withheld = withheld && origin.is_of_start();
            profile.withdraw(|setting| match setting.scope {
                // Whoever narrows what is trusted must not have it widened by another's settings.
                Scope::Trust => trust != Some(at),
                // A key is its certificate's.
                Scope::OwnCertificate => own != Some(at),
                // What is said of another user, his secret above all, is not meant for this one.
                Scope::Secret => is_of_another || is_withheld,
                _ => is_of_another && setting.name == "authz",
            });
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
                .map(|source| (SecretKind::Password, source));
            let token = profile
                .token
                .as_ref()
                .map(|source| (SecretKind::Token, source));
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
        let mut tls = TlsOptions::new();
        tls.verify = said.say(|p| p.verify).unwrap_or(true);
        tls.roots = said.roots();
        tls.identity = said.client_identity()?;
        tls.server_name = said.say(|p| p.tls_server_name.clone());
        tls.pin = said.say(|p| p.pin);
        let timeout = said.say(|p| p.timeout).unwrap_or(TIMEOUT);
        let auth = said.say(|p| p.auth.clone()).unwrap_or_default();
        let authz = said.say(|p| p.authz.clone());
        let mut options = Options::new(address)
            .security(security)
            .tls(tls)
            .timeouts(Timeouts {
                connect: timeout,
                read: timeout,
            })
            .interrupt(interrupt.clone());
        options.allow_cleartext = said.say(|p| p.allow_cleartext).unwrap_or(false);
        options.separator = said.say(|p| p.separator);
        options.compress = said.say(|p| p.compress).unwrap_or(false);
        Ok(Plan {
            options,
            user: said.user(),
            // An empty one says: nobody else.
            authz: authz.filter(|authz| !authz.is_empty()),
            secret: said.secret(&auth),
            recipient: self.recipient(),
            withheld: self.withheld(),
            auth,
        })
    }

    /// The authorities to trust: those that are named, or else the public ones.
    fn roots(&self) -> Roots {
        let file = self.say(|p| p.cafile.clone()).map(Roots::file);
        let folder = self.say(|p| p.cadir.clone()).map(Roots::folder);
        let named = file.into_iter().chain(folder).reduce(Roots::and);
        let roots = named.unwrap_or_default();
        match self.say(|p| p.system_roots) {
            Some(true) => roots.and(Roots::system()),
            _ => roots,
        }
    }

    /// The client's certificate and its key.
    fn client_identity(&self) -> Result<Option<ClientIdentity>, Error> {
        let (cert, key) = (self.say(|p| p.cert.clone()), self.say(|p| p.tlskey.clone()));
        match (cert, key) {
            (Some(cert), Some(key)) => Ok(Some(ClientIdentity::files(cert, key))),
            (Some(cert), None) => Ok(Some(ClientIdentity::file(cert))),
            (None, Some(key)) => Err(Error::Usage(format!(
                "the private key {} is given without a certificate; give the certificate's file with cert",
                key.display()
            ))),
            (None, None) => Ok(None),
        }
    }

    /// Who logs in, as far as anybody says.
    pub fn user(&self) -> Option<String> {
        self.say(|p| p.user.clone())
    }

    /// Forgets who was to log in by the options of `connect` and `authenticate`: somebody else is to.
    pub fn forget_identity(&mut self) {
        for (origin, profile) in &mut self.layers {
            if *origin == Origin::Connect {
                profile.withdraw(|setting| matches!(setting.scope, Scope::Login | Scope::Secret));
            }
        }
    }

    fn target(&self) -> Result<Target, Error> {
        let host = self.say(|p| p.host.clone()).ok_or_else(|| {
            Error::Usage("no server is given; write: imapadm SERVER, or connect SERVER".into())
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
    fn secret(&self, auth: &[Method]) -> Option<(SecretKind, SecretSource)> {
        let any =
            |needs: Needs| auth.is_empty() || auth.iter().any(|method| method.needs() == needs);
        self.say(|profile| {
            let password = profile.password.clone().filter(|_| any(Needs::Password));
            let token = profile.token.clone().filter(|_| any(Needs::Token));
            let password = password.map(|source| (SecretKind::Password, source));
            let token = token.map(|source| (SecretKind::Token, source));
            password.or(token)
        })
    }

    /// Every setting, as it is in force.
    ///
    /// # Errors
    /// [`Error::Usage`] if what names the server can't be one.
    pub fn show(&self) -> Result<Vec<InForce>, Error> {
        let target = match self.say(|p| p.host.clone()) {
            Some(_) => Some(self.target()?.settle(None)),
            None => None,
        };
        let by_default = |setting: &Setting| -> Option<String> {
            match (setting.name, &target) {
                ("port", Some((Address::Tcp { port, .. }, _))) => Some(port.to_string()),
                ("security", Some((_, security))) => Some(security_word(*security).into()),
                ("security", None) => Some(security_word(Security::StartTls).into()),
                _ => setting.default.map(str::to_owned),
            }
        };
        let said = self.in_force();
        let rows = SETTINGS.iter().map(|setting| {
            let name = setting.name;
            let said = said.layers.iter().find_map(|(origin, profile)| {
                let mut value = setting.show(profile)?;
                if setting.scope == Scope::Secret && origin.is_of_start() {
                    value.push_str(match target {
                        Some(_) => ", for this server and user only",
                        None => ", for the first server and user only",
                    });
                }
                Some((value, origin.words(profile.line(name))))
            });
            match said {
                Some((value, origin)) => InForce {
                    name,
                    value: Some(value),
                    origin,
                },
                None => InForce {
                    name,
                    value: by_default(setting),
                    origin: "default".into(),
                },
            }
        });
        Ok(rows.collect())
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
    mut command_line: Profile,
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
    if elsewhere {
        // Its secrets are withheld (`Recipient`), which can be told only if they are there.
        command_line.withdraw(|setting| !setting.everywhere);
    }
    layers.push((Origin::CommandLine, command_line));
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

#[cfg(test)]
mod tests {
    use std::path::Path;

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
        assert_eq!(plan.options.tls.roots, Roots::file("/etc/x/ca.pem"));
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
}
