//! Runs the program as a user's shell would, in a home of its own.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::servers::Server;

/// How long one run may take. The slowest takes seconds; what takes longer hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// A run to be: `Imapadm::on(cyrus()).arg("-c").arg("list").run()`.
pub struct Imapadm {
    /// The options that say which server and which user, made when the run starts.
    target: Option<Target>,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    stdin: Vec<u8>,
    folder: Option<PathBuf>,
    limit: Duration,
    /// A program that starts ours, with its arguments.
    starter: Vec<OsString>,
    home: TempDir,
}

struct Target {
    host: String,
    port: u16,
    user: String,
    password: Option<String>,
    ca: Option<PathBuf>,
    /// Told to do without TLS.
    notls: bool,
}

/// What became of a run.
#[derive(Debug)]
pub struct Run {
    /// The exit status; none when a signal ended it.
    pub status: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    /// What was run, for the messages of failed tests.
    pub command: String,
    pub took: Duration,
}

impl Imapadm {
    /// On this server, as its administrator, over STARTTLS as the program chooses.
    pub fn on(server: &Server) -> Imapadm {
        // In the server's folder, which goes even when the tests are killed.
        let mut run = Imapadm::with_home_in(&server.folder);
        run.target = Some(Target {
            host: server.name().to_owned(),
            port: server.imap,
            user: server.admin.clone(),
            password: Some(server.password.clone()),
            ca: Some(server.ca.clone()),
            notls: false,
        });
        run
    }

    /// On whatever listens on this port of localhost and knows nothing of TLS, as scripted servers mostly do.
    pub fn on_port(port: u16) -> Imapadm {
        let mut run = Imapadm::on_tls_port(port);
        run.target().notls = true;
        run
    }

    /// On whatever listens on this port of localhost, over STARTTLS as the program chooses.
    pub fn on_tls_port(port: u16) -> Imapadm {
        let mut run = Imapadm::bare();
        run.target = Some(Target {
            host: "localhost".to_owned(),
            port,
            user: "someone".to_owned(),
            password: Some("s3cret-Passw0rd".to_owned()),
            ca: None,
            notls: false,
        });
        run
    }

    /// With no arguments but those that the test gives.
    pub fn bare() -> Imapadm {
        // In cargo's folder, so that nothing is left elsewhere when the tests are killed.
        Imapadm::with_home_in(Path::new(env!("CARGO_TARGET_TMPDIR")))
    }

    fn with_home_in(folder: &Path) -> Imapadm {
        Imapadm {
            target: None,
            args: Vec::new(),
            env: Vec::new(),
            stdin: Vec::new(),
            folder: None,
            limit: LIMIT,
            starter: Vec::new(),
            home: tempfile::Builder::new()
                .prefix("home.")
                .tempdir_in(folder)
                .expect("a scratch home"),
        }
    }

    fn target(&mut self) -> &mut Target {
        self.target
            .as_mut()
            .expect("a bare run is told all by its arguments")
    }

    pub fn user(mut self, user: &str) -> Self {
        self.target().user = user.to_owned();
        self
    }

    pub fn password(mut self, password: &str) -> Self {
        self.target().password = Some(password.to_owned());
        self
    }

    /// Without --password-file: the test says otherwise where the password comes from.
    pub fn no_password(mut self) -> Self {
        self.target().password = None;
        self
    }

    pub fn port(mut self, port: u16) -> Self {
        self.target().port = port;
        self
    }

    /// Without --cafile.
    pub fn no_cafile(mut self) -> Self {
        self.target().ca = None;
        self
    }

    /// With the client certificate that this server's authority has signed.
    pub fn certificate(self, server: &Server) -> Self {
        self.arg("--cert")
            .arg(&server.client_cert)
            .arg("--tlskey")
            .arg(&server.client_key)
    }

    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    pub fn args<I>(mut self, args: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        self.args
            .extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env
            .push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    pub fn stdin(mut self, text: impl AsRef<[u8]>) -> Self {
        self.stdin = text.as_ref().to_vec();
        self
    }

    /// The folder to run in; without this it is the scratch home.
    pub fn in_folder(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    /// Less time than the usual minute.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Started by another program, such as `["setsid"]`, which leaves it without a terminal.
    pub fn through(mut self, starter: &[&str]) -> Self {
        self.starter = starter.iter().map(OsString::from).collect();
        self
    }

    /// Puts a file into the scratch home and returns its path. Nobody else may read it: the program insists on that where
    /// a file holds a secret.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.home.path().join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).expect("a folder in the scratch home");
        }
        std::fs::write(&path, content).expect("a file in the scratch home");
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&path, private).expect("a private file");
        path
    }

    /// The scratch home, which goes when this value does.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The program's arguments, as they will be.
    pub fn arguments(&self) -> Vec<OsString> {
        let mut all: Vec<OsString> = Vec::new();
        if let Some(target) = &self.target {
            all.extend(["--port".into(), target.port.to_string().into()]);
            all.extend(["-u".into(), target.user.clone().into()]);
            if let Some(password) = &target.password {
                let file = self.file(".password", format!("{password}\n"));
                all.extend(["--password-file".into(), file.into()]);
            }
            if let Some(ca) = &target.ca {
                all.extend(["--cafile".into(), ca.into()]);
            }
            if target.notls {
                all.push("--notls".into());
            }
        }
        all.extend(self.args.iter().cloned());
        if let Some(target) = &self.target {
            all.push(target.host.clone().into());
        }
        all
    }

    /// The program's whole environment: nothing of the tests' own, which could hold a password or a locale.
    pub fn environment(&self) -> Vec<(OsString, OsString)> {
        let home = self.home.path();
        let mut all: Vec<(OsString, OsString)> = vec![
            ("HOME".into(), home.into()),
            ("XDG_CONFIG_HOME".into(), home.join("config").into()),
            ("XDG_DATA_HOME".into(), home.join("data").into()),
            ("XDG_STATE_HOME".into(), home.join("state").into()),
            ("XDG_CACHE_HOME".into(), home.join("cache").into()),
            ("LANG".into(), "C.UTF-8".into()),
        ];
        // PATH for --password-command, the others for whoever measures coverage or looks for a panic.
        for name in ["PATH", "LLVM_PROFILE_FILE", "RUST_BACKTRACE"] {
            if let Some(value) = std::env::var_os(name) {
                all.push((name.into(), value));
            }
        }
        all.extend(self.env.iter().cloned());
        all
    }

    /// Starts it, with all its pipes in the caller's hands.
    #[track_caller]
    pub fn start(&self) -> Child {
        let mut words = self.starter.clone();
        words.push(env!("CARGO_BIN_EXE_imapadm").into());
        words.extend(self.arguments());
        Command::new(&words[0])
            .args(&words[1..])
            .env_clear()
            .envs(self.environment())
            .current_dir(self.folder.as_deref().unwrap_or(self.home.path()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts")
    }

    /// Runs it to its end.
    #[track_caller]
    pub fn run(&self) -> Run {
        let command = format!("imapadm {:?}", self.arguments());
        let started = Instant::now();
        let mut child = self.start();
        // Each pipe has its thread, or a full one would stop the program while we look at another.
        let mut stdin = child.stdin.take().expect("stdin is piped");
        let input = self.stdin.clone();
        thread::spawn(move || {
            // A program that ends without reading all is no mistake of the test's.
            let _ = stdin.write_all(&input);
        });
        let stdout = reading(child.stdout.take().expect("stdout is piped"));
        let stderr = reading(child.stderr.take().expect("stderr is piped"));
        let status = wait(&mut child, self.limit);
        if status.is_none() {
            child.kill().expect("the program can be killed");
            child.wait().expect("the killed program ends");
        }
        let run = Run {
            status: status.and_then(|status| status.code()),
            stdout: stdout.join().expect("stdout is read"),
            stderr: stderr.join().expect("stderr is read"),
            command,
            took: started.elapsed(),
        };
        assert!(
            status.is_some(),
            "killed after {:?}: it hangs\n{run}",
            self.limit
        );
        run
    }
}

impl Run {
    /// It must have succeeded.
    #[track_caller]
    pub fn ok(self) -> Run {
        self.fails(0)
    }

    /// It must have ended with this status.
    #[track_caller]
    pub fn fails(self, status: i32) -> Run {
        assert_eq!(
            self.status,
            Some(status),
            "the wrong exit status (left) of\n{self}"
        );
        self
    }

    /// It must have printed this.
    #[track_caller]
    pub fn says(self, text: &str) -> Run {
        assert!(
            self.stdout.contains(text),
            "no {text:?} in the output of\n{self}"
        );
        self
    }

    /// It must have complained so.
    #[track_caller]
    pub fn complains(self, text: &str) -> Run {
        assert!(
            self.stderr.contains(text),
            "no {text:?} in the complaints of\n{self}"
        );
        self
    }

    /// Neither output may hold this: a password, an escape sequence.
    #[track_caller]
    pub fn never_says(self, text: &str) -> Run {
        assert!(
            !self.stdout.contains(text) && !self.stderr.contains(text),
            "{text:?} in what was printed by\n{self}"
        );
        self
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}", self.command)?;
        writeln!(f, "status {:?} after {:?}", self.status, self.took)?;
        writeln!(f, "--- stdout\n{}", self.stdout)?;
        write!(f, "--- stderr\n{}", self.stderr)
    }
}

fn reading(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).expect("a readable pipe");
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Sends a signal, such as `INT`, to a run that was started.
pub fn signal(child: &Child, name: &str) {
    let status = Command::new("kill")
        .args([format!("-{name}"), child.id().to_string()])
        .stdin(Stdio::null())
        .status();
    assert!(status.expect("kill runs").success());
}

/// Its status, or none when the time is up.
pub fn wait(child: &mut Child, limit: Duration) -> Option<std::process::ExitStatus> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait().expect("a child to wait for") {
            return Some(status);
        }
        if Instant::now() >= deadline {
            return None;
        }
        thread::sleep(Duration::from_millis(5));
    }
}
