//! Users and passwords: what a login needs, and where a password comes from (a file, a command, the environment,
//! the terminal).
//!
//! No error here holds a password: only the file or the command that was to give it.

use rustix::termios::{self, LocalModes, OptionalActions, Termios};
use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

/// The environment variable that may hold the password.
pub const PASSWORD_VARIABLE: &str = "IMAPADM_PASSWORD";

/// The longest first line read from a file or a command, in bytes.
const LONGEST_LINE: usize = 64 * 1024;

/// How long a command may take. It may ask the user for something, so it is not short.
const COMMAND_LIMIT: Duration = Duration::from_secs(60);

/// What proves who one is, wiped when dropped. Debug does not show it.
#[derive(Debug, Clone)]
pub enum Secret {
    /// A password.
    Password(SecretString),
    /// A bearer token of OAuth 2.0 (RFC 6750).
    Token(SecretString),
    /// None: the server knows the client by other means, or wants none.
    None,
}

impl Secret {
    /// The password or the token; empty for none. It must not be copied to where nobody wipes it.
    pub(crate) fn expose(&self) -> &str {
        match self {
            Secret::Password(secret) | Secret::Token(secret) => secret.expose_secret(),
            Secret::None => "",
        }
    }
}

/// Who logs in, with what, and as whom to act. Debug does not show the secret.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Whose secret it is (the authentication identity). EXTERNAL and ANONYMOUS do not send it.
    pub user: String,
    /// Whom to act as, if it is somebody else (the authorization identity).
    pub authz: Option<String>,
    /// What proves it.
    pub secret: Secret,
}

impl Credentials {
    /// A user with a password, who acts for nobody else.
    pub fn password(user: impl Into<String>, password: SecretString) -> Self {
        Credentials {
            user: user.into(),
            authz: None,
            secret: Secret::Password(password),
        }
    }
}

/// Where a password comes from.
#[derive(Debug, Clone)]
pub enum PasswordSource {
    /// The first line of a file.
    File(PathBuf),
    /// The first line that a shell command prints.
    Command(String),
    /// The variable [`PASSWORD_VARIABLE`].
    Environment,
    /// The terminal, even when standard input is a script.
    Prompt,
    /// This one.
    Given(SecretString),
}

impl PasswordSource {
    /// The file if there is one, else the command, else the environment if [`PASSWORD_VARIABLE`] is set, else the
    /// terminal.
    pub fn pick(file: Option<PathBuf>, command: Option<String>) -> PasswordSource {
        pick(file, command, env::var_os(PASSWORD_VARIABLE).is_some())
    }

    /// Fetches the password. `prompt` is what the terminal shows, should it be asked.
    ///
    /// A command runs by `sh -c` without standard input, its errors shown, for 60 seconds at most.
    ///
    /// # Errors
    /// A [`PasswordError`]; an empty password is one too.
    pub fn fetch(&self, prompt: &str) -> Result<SecretString, PasswordError> {
        match self {
            PasswordSource::File(path) => from_file(path.clone()),
            PasswordSource::Command(command) => from_command(command, COMMAND_LIMIT),
            PasswordSource::Environment => from_environment(env::var_os(PASSWORD_VARIABLE)),
            PasswordSource::Prompt => from_terminal(prompt),
            PasswordSource::Given(password) => Ok(password.clone()),
        }
    }
}

fn pick(file: Option<PathBuf>, command: Option<String>, in_environment: bool) -> PasswordSource {
    match (file, command) {
        (Some(file), _) => PasswordSource::File(file),
        (None, Some(command)) => PasswordSource::Command(command),
        // Set but empty counts too: a script whose secret is missing should hear of it, not wait for a person.
        (None, None) if in_environment => PasswordSource::Environment,
        (None, None) => PasswordSource::Prompt,
    }
}

/// Why there is no password; the user's to mend. No variant holds a password.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// The file can't be read.
    #[error("cannot read the password file {}: {}; check the path and who may read it", path.display(), words(source))]
    File {
        /// Its path.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Nothing in the first line.
    #[error(
        "{origin} gives an empty password, which no server takes; put the password into its first line"
    )]
    Empty {
        /// Where it was to come from.
        origin: Origin,
    },
    /// A first line without end.
    #[error(
        "{origin} gives a first line of more than 64 KiB, which is no password; check that it is the right one"
    )]
    TooLong {
        /// Where it was to come from.
        origin: Origin,
    },
    /// Not text.
    #[error(
        "{origin} gives a password that is not UTF-8; convert it, for example with `iconv -t utf-8`"
    )]
    NotUtf8 {
        /// Where it was to come from.
        origin: Origin,
    },
    /// The shell can't be started, or the command's output can't be read.
    #[error("cannot run {origin}: {}; check that `sh` works", words(source))]
    CommandStart {
        /// The command.
        origin: Origin,
        /// The system's reason.
        source: io::Error,
    },
    /// The command failed.
    #[error("{origin} failed with {status}; run it by itself to see why")]
    CommandFailed {
        /// The command.
        origin: Origin,
        /// How it ended.
        status: ExitStatus,
    },
    /// The command took too long.
    #[error(
        "{origin} did not finish within {} seconds and was stopped; run it by itself to see what it waits for",
        after.as_secs()
    )]
    CommandTimedOut {
        /// The command.
        origin: Origin,
        /// The limit.
        after: Duration,
    },
    /// The variable is not set.
    #[error("the variable {PASSWORD_VARIABLE} is not set; set it, or use --password-file")]
    NotInEnvironment,
    /// Nobody to ask.
    #[error(
        "no password is given and there is no terminal to ask on; give --password-file, --password-command, or the \
         variable {PASSWORD_VARIABLE}"
    )]
    NoTerminal,
    /// The user stopped at the prompt.
    #[error("no password was typed; start again, or give --password-file")]
    NotTyped,
    /// The user pressed Ctrl-C at the prompt.
    #[error("interrupted at the password prompt; start again when you like")]
    Interrupted,
    /// The terminal failed.
    #[error("cannot read the password from the terminal: {}; give --password-file", words(.0))]
    Terminal(#[source] io::Error),
}

/// Where a password was to come from, as errors name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A file.
    File(PathBuf),
    /// A command.
    Command(String),
    /// The variable [`PASSWORD_VARIABLE`].
    Environment,
    /// The terminal.
    Terminal,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Origin::File(path) => write!(f, "the password file {}", path.display()),
            Origin::Command(command) => write!(f, "the password command {command:?}"),
            Origin::Environment => write!(f, "the variable {PASSWORD_VARIABLE}"),
            Origin::Terminal => write!(f, "the terminal"),
        }
    }
}

/// An error of the system in its own words, without the number that Rust adds.
fn words(error: &io::Error) -> String {
    let mut text = error.to_string();
    if error.raw_os_error().is_some()
        && let Some(end) = text.rfind(" (os error")
    {
        text.truncate(end);
    }
    text
}

fn from_file(path: PathBuf) -> Result<SecretString, PasswordError> {
    let line = File::open(&path)
        .and_then(|mut file| first_line(&mut file))
        .map_err(|source| PasswordError::File {
            path: path.clone(),
            source,
        })?;
    password(line, Origin::File(path))
}

fn from_environment(value: Option<OsString>) -> Result<SecretString, PasswordError> {
    let origin = Origin::Environment;
    let value = value.ok_or(PasswordError::NotInEnvironment)?;
    match value.into_string() {
        Ok(text) => password(Line::Whole(Zeroizing::new(text.into_bytes())), origin),
        Err(bytes) => {
            drop(Zeroizing::new(bytes.into_encoded_bytes()));
            Err(PasswordError::NotUtf8 { origin })
        }
    }
}

/// A first line.
enum Line {
    /// Without its line end.
    Whole(Zeroizing<Vec<u8>>),
    TooLong,
}

/// The first line, read into one buffer from the start: one that grows, or one more in between, would leave unwiped
/// copies behind. What follows the line is read in part.
fn first_line(source: &mut impl Read) -> io::Result<Line> {
    // Room for a line end, too.
    let mut line = Zeroizing::new(vec![0; LONGEST_LINE + 2]);
    let mut filled = 0;
    let end = loop {
        match source.read(&mut line[filled..]) {
            // The end, or no more room.
            Ok(0) => break filled,
            Ok(count) => {
                let fresh = &line[filled..filled + count];
                if let Some(at) = fresh.iter().position(|&byte| byte == b'\n') {
                    let end = filled + at;
                    break end - usize::from(line[..end].ends_with(b"\r"));
                }
                filled += count;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    };
    line.truncate(end);
    Ok(if line.len() > LONGEST_LINE {
        Line::TooLong
    } else {
        Line::Whole(line)
    })
}

fn password(line: Line, origin: Origin) -> Result<SecretString, PasswordError> {
    let line = match line {
        Line::TooLong => return Err(PasswordError::TooLong { origin }),
        Line::Whole(line) if line.is_empty() => return Err(PasswordError::Empty { origin }),
        Line::Whole(line) => line,
    };
    match std::str::from_utf8(&line) {
        Ok(text) => Ok(SecretString::from(text)),
        Err(_) => Err(PasswordError::NotUtf8 { origin }),
    }
}

fn from_command(command: &str, limit: Duration) -> Result<SecretString, PasswordError> {
    let origin = Origin::Command(command.to_owned());
    let failed = |source| PasswordError::CommandStart {
        origin: origin.clone(),
        source,
    };
    let mut child = Command::new("sh")
        .arg("-c")
        .arg(command)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let result = watch(&mut child, limit);
    if !matches!(result, Ok(Some(_))) {
        // It is to be gone, and waited for, whatever happened. It may be gone already.
        let _ = child.kill();
        let _ = child.wait();
    }
    match result.map_err(failed)? {
        None => Err(PasswordError::CommandTimedOut {
            origin,
            after: limit,
        }),
        Some((status, _)) if !status.success() => {
            Err(PasswordError::CommandFailed { origin, status })
        }
        Some((_, line)) => password(line, origin),
    }
}

/// The command's end and its first line; `None` if it takes too long.
fn watch(child: &mut Child, limit: Duration) -> io::Result<Option<(ExitStatus, Line)>> {
    let mut output = child
        .stdout
        .take()
        .ok_or_else(|| io::Error::other("its output is not there"))?;
    let (sender, receiver) = mpsc::sync_channel(1);
    // The first line is all we wait for: a helper that the command leaves behind may hold the pipe open for hours.
    // The rest is read and thrown away, as a command that can't write its rest would fail.
    thread::Builder::new()
        .name("password".to_owned())
        .spawn(move || {
            // The receiver may have given up.
            let _ = sender.send(first_line(&mut output));
            let _ = io::copy(&mut output, &mut io::sink());
        })?;
    let deadline = Instant::now() + limit;
    let left = || deadline.saturating_duration_since(Instant::now());
    let line = match receiver.recv_timeout(left()) {
        Ok(line) => line?,
        Err(RecvTimeoutError::Timeout) => return Ok(None),
        Err(RecvTimeoutError::Disconnected) => {
            return Err(io::Error::other("its output ended early"));
        }
    };
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some((status, line)));
        }
        if left().is_zero() {
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(5).min(left()));
    }
}

fn from_terminal(prompt: &str) -> Result<SecretString, PasswordError> {
    // The terminal is opened here first to tell «there is none» from other errors.
    if File::options()
        .read(true)
        .write(true)
        .open("/dev/tty")
        .is_err()
    {
        return Err(PasswordError::NoTerminal);
    }
    // A user or host in it may come from anywhere.
    let prompt: String = prompt
        .chars()
        .filter(|letter| !letter.is_control())
        .collect();
    // rpassword shows its prompt first: a password that is pasted or sent at once would be seen.
    let _quiet = Quiet::new();
    match rpassword::prompt_password(prompt).map(Zeroizing::new) {
        Ok(text) if text.is_empty() => Err(PasswordError::NotTyped),
        Ok(text) => Ok(SecretString::from(text.as_str())),
        Err(error) => Err(match error.kind() {
            io::ErrorKind::UnexpectedEof => PasswordError::NotTyped,
            io::ErrorKind::Interrupted => PasswordError::Interrupted,
            io::ErrorKind::InvalidData => PasswordError::NotUtf8 {
                origin: Origin::Terminal,
            },
            _ => PasswordError::Terminal(error),
        }),
    }
}

/// The terminal's echo, switched off until this is dropped.
struct Quiet {
    terminal: File,
    before: Termios,
}

impl Quiet {
    /// `None` where there is no terminal, which whoever asks for the password will find out too.
    fn new() -> Option<Self> {
        let terminal = File::options()
            .read(true)
            .write(true)
            .open("/dev/tty")
            .ok()?;
        let before = termios::tcgetattr(&terminal).ok()?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        termios::tcsetattr(&terminal, OptionalActions::Now, &quiet).ok()?;
        Some(Self { terminal, before })
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // A terminal that is gone needs no echo.
        let _ = termios::tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;
    use std::fs;

    fn of_file(content: &[u8]) -> Result<String, PasswordError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        fs::write(&path, content).unwrap();
        PasswordSource::File(path)
            .fetch("")
            .map(|password| password.expose_secret().to_owned())
    }

    fn of_command(command: &str) -> Result<String, PasswordError> {
        PasswordSource::Command(command.to_owned())
            .fetch("")
            .map(|password| password.expose_secret().to_owned())
    }

    #[test]
    fn the_first_line_of_a_file() {
        assert_eq!(of_file(b"hunter2").unwrap(), "hunter2");
        assert_eq!(of_file(b"hunter2\n").unwrap(), "hunter2");
        assert_eq!(of_file(b"hunter2\r\nmore\n").unwrap(), "hunter2");
        assert_eq!(of_file(b" two words \nmore").unwrap(), " two words ");
        assert_eq!(of_file("pässwörd\n".as_bytes()).unwrap(), "pässwörd");
        let longest = "x".repeat(LONGEST_LINE);
        assert_eq!(
            of_file(format!("{longest}\r\n").as_bytes()).unwrap(),
            longest
        );
    }

    #[test]
    fn files_that_do_not_do() {
        for empty in [&b""[..], b"\n", b"\r\n", b"\nhunter2"] {
            assert!(matches!(of_file(empty), Err(PasswordError::Empty { .. })));
        }
        let error = of_file(b"hunter2\xff\n").unwrap_err();
        assert!(matches!(error, PasswordError::NotUtf8 { .. }));
        assert!(!format!("{error} {error:?}").contains("hunter2"));
        let long = vec![b'x'; LONGEST_LINE + 1];
        assert!(matches!(of_file(&long), Err(PasswordError::TooLong { .. })));
        let endless = PasswordSource::File("/dev/zero".into()).fetch("");
        assert!(matches!(endless, Err(PasswordError::TooLong { .. })));
        let missing = PasswordSource::File("/nowhere/secret".into()).fetch("");
        let words = missing.unwrap_err().to_string();
        assert!(
            words.contains("/nowhere/secret") && !words.contains("os error"),
            "{words}"
        );
        let folder = PasswordSource::File("/".into()).fetch("");
        assert!(matches!(folder, Err(PasswordError::File { .. })));
    }

    #[test]
    fn the_first_line_of_a_command() {
        assert_eq!(of_command("echo hunter2").unwrap(), "hunter2");
        assert_eq!(
            of_command("printf 'hunter2\\nuser: x\\n'").unwrap(),
            "hunter2"
        );
        // No standard input to wait for, and much output after the first line.
        assert_eq!(of_command("cat; echo a; seq 100000").unwrap(), "a");
        // A helper stays behind with the pipe open.
        let start = Instant::now();
        assert_eq!(of_command("echo a; sleep 20 &").unwrap(), "a");
        assert!(start.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn commands_that_do_not_do() {
        let failed = of_command("echo hunter2; exit 3").unwrap_err();
        assert!(failed.to_string().contains("exit status: 3"), "{failed}");
        assert!(matches!(
            of_command("true"),
            Err(PasswordError::Empty { .. })
        ));
        assert!(matches!(
            of_command("head -c 70000 /dev/zero"),
            Err(PasswordError::TooLong { .. })
        ));
        assert!(matches!(
            of_command("printf '\\377\\n'"),
            Err(PasswordError::NotUtf8 { .. })
        ));
        let slow = ["sleep 20", "echo a; sleep 20", "sleep 20; echo a"];
        for command in slow {
            let start = Instant::now();
            let error = from_command(command, Duration::from_millis(200)).unwrap_err();
            assert!(
                matches!(error, PasswordError::CommandTimedOut { .. }),
                "{error}"
            );
            assert!(start.elapsed() < Duration::from_secs(10));
        }
    }

    #[test]
    fn the_environment() {
        let fetch = |value: Option<&str>| from_environment(value.map(OsString::from));
        assert_eq!(fetch(Some("hunter2")).unwrap().expose_secret(), "hunter2");
        assert!(matches!(fetch(Some("")), Err(PasswordError::Empty { .. })));
        assert!(matches!(fetch(None), Err(PasswordError::NotInEnvironment)));
        use std::os::unix::ffi::OsStringExt;
        let error =
            from_environment(Some(OsString::from_vec(b"hunter2\xff".to_vec()))).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }

    #[test]
    fn the_order_of_sources() {
        let file = || Some(PathBuf::from("f"));
        let command = || Some("c".to_owned());
        assert!(matches!(
            pick(file(), command(), true),
            PasswordSource::File(_)
        ));
        assert!(matches!(
            pick(None, command(), true),
            PasswordSource::Command(_)
        ));
        assert!(matches!(
            pick(None, None, true),
            PasswordSource::Environment
        ));
        assert!(matches!(pick(None, None, false), PasswordSource::Prompt));
    }

    #[test]
    fn a_given_one_is_not_shown() {
        let source = PasswordSource::Given("hunter2".into());
        assert_eq!(source.fetch("").unwrap().expose_secret(), "hunter2");
        assert!(!format!("{source:?}").contains("hunter2"));
    }
}
