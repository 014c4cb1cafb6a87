//! Where a password or a token comes from: a file, a descriptor, a command, the environment, the terminal.
//!
//! No error here holds a secret: only the file or the command that was to give it. Not here: the netrc file (`netrc`).

use rustix::termios::{self, LocalModes, OptionalActions, Termios};
use std::env;
use std::ffi::OsString;
use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::net::words;
use crate::open;

/// What kind of secret is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretKind {
    /// A password.
    Password,
    /// A bearer token (RFC 6750), for OAUTHBEARER and XOAUTH2.
    Token,
}

impl SecretKind {
    /// The environment variable that may hold it: `IMAPADM_PASSWORD` or `IMAPADM_TOKEN`.
    pub fn variable(self) -> &'static str {
        match self {
            SecretKind::Password => "IMAPADM_PASSWORD",
            SecretKind::Token => "IMAPADM_TOKEN",
        }
    }

    /// Whether the environment has it. Set but empty counts too: a script whose secret is missing should hear of it, not wait
    /// for a person.
    pub fn in_environment(self) -> bool {
        env::var_os(self.variable()).is_some()
    }
}

impl fmt::Display for SecretKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SecretKind::Password => "password",
            SecretKind::Token => "token",
        })
    }
}

/// The longest first line read from a file or a command, in bytes.
const LONGEST_LINE: usize = 64 * 1024;

/// How long a command may take. It may ask the user for something, so it is not short.
const COMMAND_LIMIT: Duration = Duration::from_secs(60);

/// Where a secret comes from.
#[derive(Debug, Clone)]
pub enum SecretSource {
    /// The first line of a file that nobody but its owner may read.
    File(PathBuf),
    /// The first line that an open file descriptor gives. No more than that is read.
    Descriptor(u32),
    /// The first line that a shell command prints.
    Command(String),
    /// The variable [`SecretKind::variable`].
    Environment,
    /// The terminal, even when standard input is a script.
    Prompt,
    /// This one.
    Given(SecretString),
}

impl SecretSource {
    /// Fetches the secret. `prompt` is what the terminal shows, should it be asked.
    ///
    /// A command runs by `sh -c` without standard input, its errors shown, for 60 seconds at most.
    ///
    /// # Errors
    /// A [`SecretError`]; an empty secret is one too.
    pub fn fetch(&self, kind: SecretKind, prompt: &str) -> Result<SecretString, SecretError> {
        let origin = |place| Origin { kind, place };
        match self {
            SecretSource::File(path) => from_file(path, origin(Place::File(path.clone()))),
            SecretSource::Descriptor(number) => {
                from_descriptor(*number, origin(Place::Descriptor(*number)))
            }
            SecretSource::Command(command) => from_command(
                command,
                COMMAND_LIMIT,
                origin(Place::Command(command.clone())),
            ),
            SecretSource::Environment => {
                from_environment(env::var_os(kind.variable()), origin(Place::Environment))
            }
            SecretSource::Prompt => from_terminal(prompt, origin(Place::Terminal)),
            SecretSource::Given(secret) => Ok(secret.clone()),
        }
    }
}

/// Why there is no secret; the user's to mend. No variant holds one.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file or the descriptor can't be read.
    #[error(
        "cannot read {origin}: {}; check that it exists and that you may read it",
        words(source)
    )]
    Unreadable {
        /// Where it was to come from.
        origin: Origin,
        /// The system's reason.
        source: io::Error,
    },
    /// Others than the file's owner may read it.
    #[error("{origin} is readable by others (mode {mode:04o}); restrict it: chmod 600 {}", path.display())]
    Exposed {
        /// The file.
        origin: Origin,
        /// Its path.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Nothing in the first line.
    #[error("{origin} gives an empty {0}, which no server accepts; put the {0} into its first line", origin.kind)]
    Empty {
        /// Where it was to come from.
        origin: Origin,
    },
    /// A first line without end.
    #[error(
        "{origin} gives a first line of more than 64 KiB, which is too long for a {}; check that it is the right one", origin.kind
    )]
    TooLong {
        /// Where it was to come from.
        origin: Origin,
    },
    /// Not text.
    #[error(
        "{origin} gives a {} that is not UTF-8; convert it, for example with `iconv -t utf-8`", origin.kind
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
    #[error("{origin} failed with {status}; run it on its own to see why")]
    CommandFailed {
        /// The command.
        origin: Origin,
        /// How it ended.
        status: ExitStatus,
    },
    /// The command took too long.
    #[error(
        "{origin} did not finish within {} seconds and was stopped; run it on its own to see what it waits for",
        after.as_secs()
    )]
    CommandTimedOut {
        /// The command.
        origin: Origin,
        /// The limit.
        after: Duration,
    },
    /// The variable is not set.
    #[error("{origin} is not set; set it, or use --{}-file", origin.kind)]
    NotInEnvironment {
        /// The variable.
        origin: Origin,
    },
    /// The netrc file can't be read, or its words make no sense.
    #[error("cannot use {}: {why}", path.display())]
    Netrc {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        why: String,
    },
    /// Nobody to ask.
    #[error(
        "no password is given, and there is no terminal to ask for one; use --password-file, --password-command, or the variable \
         IMAPADM_PASSWORD"
    )]
    NoTerminal,
    /// The user stopped at the prompt.
    #[error("no password was typed; start again, or use --password-file")]
    NotTyped,
    /// The user pressed Ctrl-C at the prompt.
    #[error("interrupted at the password prompt")]
    Interrupted,
    /// The terminal failed.
    #[error("cannot read the password from the terminal: {}; use --password-file", words(.0))]
    Terminal(#[source] io::Error),
}

/// Where a secret was to come from, as errors name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    kind: SecretKind,
    place: Place,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    File(PathBuf),
    Descriptor(u32),
    Command(String),
    Environment,
    Terminal,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind;
        match &self.place {
            Place::File(path) => write!(f, "the {kind} file {}", path.display()),
            Place::Descriptor(number) => write!(f, "the {kind}'s file descriptor {number}"),
            Place::Command(command) => write!(f, "the {kind} command {command:?}"),
            Place::Environment => write!(f, "the variable {}", kind.variable()),
            Place::Terminal => write!(f, "the terminal"),
        }
    }
}

fn from_file(path: &Path, origin: Origin) -> Result<SecretString, SecretError> {
    let unreadable = |source| SecretError::Unreadable {
        origin: origin.clone(),
        source,
    };
    let mut file = open::to_read_or_pipe(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if let Some(mode) = exposed(&metadata) {
        return Err(SecretError::Exposed {
            path: path.to_owned(),
            origin,
            mode,
        });
    }
    let line = first_line(&mut file).map_err(unreadable)?;
    secret(line, origin)
}

/// The permission bits of a file that others than its owner may use. What is no file, such as a pipe, has readers of its own kind.
pub(super) fn exposed(metadata: &Metadata) -> Option<u32> {
    let mode = metadata.permissions().mode() & 0o777;
    (metadata.is_file() && mode & 0o077 != 0).then_some(mode)
}

fn from_descriptor(number: u32, origin: Origin) -> Result<SecretString, SecretError> {
    let unreadable = |source| SecretError::Unreadable {
        origin: origin.clone(),
        source,
    };
    // Byte by byte: what follows the line may be somebody else's, such as the script on standard input.
    let line = match number {
        // Opened anew, a file would be read from its beginning, and then once more by the script.
        0 => first_line(&mut Bytewise(io::stdin().lock())),
        _ => {
            File::open(format!("/dev/fd/{number}")).and_then(|file| first_line(&mut Bytewise(file)))
        }
    };
    secret(line.map_err(unreadable)?, origin)
}

/// Reads no more than it is asked for right now.
struct Bytewise<R>(R);

impl<R: Read> Read for Bytewise<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let one = buf.len().min(1);
        self.0.read(&mut buf[..one])
    }
}

fn from_environment(value: Option<OsString>, origin: Origin) -> Result<SecretString, SecretError> {
    let Some(value) = value else {
        return Err(SecretError::NotInEnvironment { origin });
    };
    match value.into_string() {
        Ok(text) => secret(Line::Whole(Zeroizing::new(text.into_bytes())), origin),
        Err(bytes) => {
            drop(Zeroizing::new(bytes.into_encoded_bytes()));
            Err(SecretError::NotUtf8 { origin })
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

fn secret(line: Line, origin: Origin) -> Result<SecretString, SecretError> {
    let line = match line {
        Line::TooLong => return Err(SecretError::TooLong { origin }),
        Line::Whole(line) if line.is_empty() => return Err(SecretError::Empty { origin }),
        Line::Whole(line) => line,
    };
    match std::str::from_utf8(&line) {
        Ok(text) => Ok(SecretString::from(text)),
        Err(_) => Err(SecretError::NotUtf8 { origin }),
    }
}

fn from_command(
    command: &str,
    limit: Duration,
    origin: Origin,
) -> Result<SecretString, SecretError> {
    let failed = |source| SecretError::CommandStart {
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
        None => Err(SecretError::CommandTimedOut {
            origin,
            after: limit,
        }),
        Some((status, _)) if !status.success() => {
            Err(SecretError::CommandFailed { origin, status })
        }
        Some((_, line)) => secret(line, origin),
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

fn from_terminal(prompt: &str, origin: Origin) -> Result<SecretString, SecretError> {
    // The terminal is opened here first to tell «there is none» from other errors.
    if File::options()
        .read(true)
        .write(true)
        .open("/dev/tty")
        .is_err()
    {
        return Err(SecretError::NoTerminal);
    }
    // A user or host in it may come from anywhere.
    let prompt: String = prompt
        .chars()
        .filter(|letter| !letter.is_control())
        .collect();
    // rpassword shows its prompt before it changes the terminal: a password that is pasted or sent at once would be seen, and a
    // Ctrl-C typed at once would be a signal that does not end the prompt.
    let _quiet = Quiet::new();
    match rpassword::prompt_password(prompt).map(Zeroizing::new) {
        Ok(text) if text.is_empty() => Err(SecretError::Empty { origin }),
        Ok(text) => Ok(SecretString::from(text.as_str())),
        Err(error) => Err(match error.kind() {
            io::ErrorKind::UnexpectedEof => SecretError::NotTyped,
            io::ErrorKind::Interrupted => SecretError::Interrupted,
            io::ErrorKind::InvalidData => SecretError::NotUtf8 { origin },
            _ => SecretError::Terminal(error),
        }),
    }
}

/// The terminal as a password needs it, until this is dropped: no echo, and Ctrl-C is a key like others.
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
        quiet
            .local_modes
            .remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
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

    fn of_file(content: &[u8]) -> Result<String, SecretError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        SecretSource::File(path)
            .fetch(SecretKind::Password, "")
            .map(|password| password.expose_secret().to_owned())
    }

    fn of_command(command: &str) -> Result<String, SecretError> {
        SecretSource::Command(command.to_owned())
            .fetch(SecretKind::Password, "")
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
            assert!(matches!(of_file(empty), Err(SecretError::Empty { .. })));
        }
        let error = of_file(b"hunter2\xff\n").unwrap_err();
        assert!(matches!(error, SecretError::NotUtf8 { .. }));
        assert!(!format!("{error} {error:?}").contains("hunter2"));
        let long = vec![b'x'; LONGEST_LINE + 1];
        assert!(matches!(of_file(&long), Err(SecretError::TooLong { .. })));
        let endless = SecretSource::File("/dev/zero".into()).fetch(SecretKind::Password, "");
        assert!(matches!(endless, Err(SecretError::Unreadable { .. })));
        let missing = SecretSource::File("/nowhere/secret".into()).fetch(SecretKind::Password, "");
        let words = missing.unwrap_err().to_string();
        assert!(
            words.contains("/nowhere/secret") && !words.contains("os error"),
            "{words}"
        );
        let folder = SecretSource::File("/".into()).fetch(SecretKind::Password, "");
        assert!(matches!(folder, Err(SecretError::Unreadable { .. })));
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
        assert!(matches!(of_command("true"), Err(SecretError::Empty { .. })));
        assert!(matches!(
            of_command("head -c 70000 /dev/zero"),
            Err(SecretError::TooLong { .. })
        ));
        assert!(matches!(
            of_command("printf '\\377\\n'"),
            Err(SecretError::NotUtf8 { .. })
        ));
        let slow = ["sleep 20", "echo a; sleep 20", "sleep 20; echo a"];
        for command in slow {
            let start = Instant::now();
            let origin = Origin {
                kind: SecretKind::Password,
                place: Place::Command(command.to_owned()),
            };
            let error = from_command(command, Duration::from_millis(200), origin).unwrap_err();
            assert!(
                matches!(error, SecretError::CommandTimedOut { .. }),
                "{error}"
            );
            assert!(start.elapsed() < Duration::from_secs(10));
        }
    }

    #[test]
    fn the_environment() {
        let origin = || Origin {
            kind: SecretKind::Password,
            place: Place::Environment,
        };
        let fetch = |value: Option<&str>| from_environment(value.map(OsString::from), origin());
        assert_eq!(fetch(Some("hunter2")).unwrap().expose_secret(), "hunter2");
        assert!(matches!(fetch(Some("")), Err(SecretError::Empty { .. })));
        assert!(matches!(
            fetch(None),
            Err(SecretError::NotInEnvironment { .. })
        ));
        use std::os::unix::ffi::OsStringExt;
        let error = from_environment(Some(OsString::from_vec(b"hunter2\xff".to_vec())), origin())
            .unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        fs::write(&path, "hunter2\n").unwrap();
        for (mode, fine) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let result = SecretSource::File(path.clone()).fetch(SecretKind::Password, "");
            assert_eq!(result.is_ok(), fine, "{mode:o}");
            if let Err(error) = result {
                let words = error.to_string();
                assert!(
                    words.contains("chmod 600") && words.contains("06"),
                    "{words}"
                );
            }
        }
    }

    #[test]
    fn a_descriptor_gives_one_line_and_no_more() {
        use std::os::fd::AsRawFd;
        let (reader, mut writer) = io::pipe().unwrap();
        io::Write::write_all(&mut writer, b"hunter2\nlm\n").unwrap();
        drop(writer);
        let number = u32::try_from(reader.as_raw_fd()).unwrap();
        let secret = SecretSource::Descriptor(number)
            .fetch(SecretKind::Token, "")
            .unwrap();
        assert_eq!(secret.expose_secret(), "hunter2");
        assert_eq!(io::read_to_string(reader).unwrap(), "lm\n");
        let error = SecretSource::Descriptor(999)
            .fetch(SecretKind::Token, "")
            .unwrap_err();
        assert!(error.to_string().contains("file descriptor 999"), "{error}");
    }

    #[test]
    fn a_given_one_is_not_shown() {
        let source = SecretSource::Given("hunter2".into());
        assert_eq!(
            source
                .fetch(SecretKind::Password, "")
                .unwrap()
                .expose_secret(),
            "hunter2"
        );
        assert!(!format!("{source:?}").contains("hunter2"));
    }
}
