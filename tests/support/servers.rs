//! Real servers, started by the scripts in tests/servers.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Which software a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Cyrus,
    Dovecot,
}

impl Kind {
    fn script(self) -> PathBuf {
        let name = match self {
            Kind::Cyrus => "cyrus",
            Kind::Dovecot => "dovecot",
        };
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/servers")
            .join(name)
    }
}

/// A running server. Dropping it stops it and waits until it and its folder are gone.
#[derive(Debug)]
pub struct Server {
    pub kind: Kind,
    /// The address that it listens on: 127.0.0.1, unless it was started otherwise.
    pub host: String,
    /// The port for plain connections and STARTTLS.
    pub imap: u16,
    /// The port for TLS from the first byte.
    pub imaps: u16,
    /// The Unix socket; only Cyrus has one.
    pub socket: Option<PathBuf>,
    /// Who may do everything.
    pub admin: String,
    /// Everybody's password.
    pub password: String,
    /// A bearer token that Dovecot takes for alice's.
    pub token: Option<String>,
    /// The same, an hour too old.
    pub expired_token: Option<String>,
    /// The authority that signed the server's certificate and the client's.
    pub ca: PathBuf,
    /// A certificate that says «alice».
    pub client_cert: PathBuf,
    pub client_key: PathBuf,
    /// All that the server keeps, its log too.
    pub folder: PathBuf,
    /// The script that keeps it running for as long as our end of its stdin is open.
    script: Child,
    users_given: AtomicUsize,
    plain_users_given: AtomicUsize,
}

/// The Cyrus server that all tests share. The first who asks starts it.
///
/// A static is never dropped: the server ends because the script's stdin closes when this process ends, however
/// it ends.
pub fn cyrus() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(|| Server::start_cyrus(&[]))
}

/// The Dovecot server that all tests share, as [`cyrus`] is.
pub fn dovecot() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(|| Server::start_dovecot(&[]))
}

/// A lower-case name that no other test of this run has, for a user or a mailbox.
pub fn unique(prefix: &str) -> String {
    static GIVEN: AtomicUsize = AtomicUsize::new(0);
    format!(
        "{}{:03}",
        prefix.to_lowercase(),
        GIVEN.fetch_add(1, Ordering::Relaxed)
    )
}

impl Server {
    /// A Cyrus server of the test's own, with the script's options, such as `["--set", "altnamespace: yes"]`.
    pub fn start_cyrus(options: &[&str]) -> Server {
        Server::start(Kind::Cyrus, options)
    }

    /// A Dovecot server of the test's own, with the script's options, such as `["--separator", "."]`.
    pub fn start_dovecot(options: &[&str]) -> Server {
        Server::start(Kind::Dovecot, options)
    }

    fn start(kind: Kind, options: &[&str]) -> Server {
        // Into a file: nobody has to read it unless something went wrong.
        let mut complaints = tempfile::tempfile().expect("a file for the script's stderr");
        let mut script = Command::new(kind.script())
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(clone(&complaints))
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", kind.script().display()));
        let mut line = String::new();
        BufReader::new(script.stdout.take().expect("the stdout is piped"))
            .read_line(&mut line)
            .expect("a line from the script");
        let Ok(described) = serde_json::from_str::<serde_json::Value>(&line) else {
            drop(script.stdin.take());
            let status = script.wait();
            let mut text = String::new();
            complaints.rewind().expect("the stderr's beginning");
            complaints
                .read_to_string(&mut text)
                .expect("the script's stderr");
            panic!("{kind:?} does not start ({status:?}), it printed {line:?} and said:\n{text}");
        };
        let text = |member: &str| {
            described[member]
                .as_str()
                .unwrap_or_else(|| panic!("no {member} in {line}"))
                .to_owned()
        };
        let port = |member: &str| {
            described[member]
                .as_u64()
                .and_then(|number| u16::try_from(number).ok())
                .unwrap_or_else(|| panic!("no port {member} in {line}"))
        };
        Server {
            kind,
            host: text("host"),
            imap: port("imap"),
            imaps: port("imaps"),
            socket: described["socket"].as_str().map(PathBuf::from),
            admin: text("admin"),
            password: text("password"),
            token: described["token"].as_str().map(str::to_owned),
            expired_token: described["expired_token"].as_str().map(str::to_owned),
            ca: text("ca").into(),
            client_cert: text("client_cert").into(),
            client_key: text("client_key").into(),
            folder: text("folder").into(),
            script,
            users_given: AtomicUsize::new(0),
            plain_users_given: AtomicUsize::new(0),
        }
    }

    /// The name of a user whom no other test has: he can log in, and nothing was done with his account.
    ///
    /// On Dovecot he may use SETQUOTA. On Cyrus he has no mailbox until the admin makes `user.NAME`.
    pub fn user(&self) -> String {
        let last = match self.kind {
            Kind::Cyrus => 80,
            Kind::Dovecot => 250,
        };
        let number = self.users_given.fetch_add(1, Ordering::Relaxed) + 1;
        assert!(
            number <= last,
            "{:?} has no untouched user left; tests/servers could make more",
            self.kind
        );
        format!("u{number:03}")
    }

    /// A user of Dovecot as most are: one who may not change quotas.
    pub fn plain_user(&self) -> String {
        assert_eq!(self.kind, Kind::Dovecot, "on Cyrus every user() is plain");
        let number = self.plain_users_given.fetch_add(1, Ordering::Relaxed) + 251;
        assert!(number <= 300, "Dovecot has no untouched plain user left");
        format!("u{number:03}")
    }

    /// What to call it, so that the certificate fits.
    pub fn name(&self) -> &str {
        if self.host == "127.0.0.1" {
            "localhost"
        } else {
            &self.host
        }
    }

    /// What the server logged. Cyrus logs to the system, so there is hardly anything for it.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.script.stdin.take());
        // A failed wait means that it is gone already. A drop must not panic.
        let _ = self.script.wait();
    }
}

fn clone(file: &File) -> File {
    file.try_clone().expect("a second handle of the file")
}
