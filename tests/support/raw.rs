//! A tiny IMAP client of the tests' own, to arrange what a test needs and to check what came of it.
//!
//! It shares nothing with the package, so that a mistake there does not confirm itself here.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::servers::Server;

/// How long a server may take for a line. None here ever does; a test must not hang when one does.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection.
pub struct Raw {
    reader: BufReader<Box<dyn Read + Send>>,
    writer: Box<dyn Write + Send>,
    commands: usize,
    /// The server's first line.
    pub greeting: String,
    /// The program that speaks TLS for us, if one does.
    openssl: Option<Child>,
}

/// What came back for one command.
#[derive(Debug)]
pub struct Answer {
    /// The untagged responses, literals included, without the line end.
    pub lines: Vec<String>,
    /// OK, NO or BAD.
    pub status: String,
    /// What follows the status.
    pub text: String,
}

impl Answer {
    /// The untagged responses that begin with `* NAME `, without that.
    pub fn named(&self, name: &str) -> Vec<&str> {
        let start = format!("* {name} ");
        self.lines
            .iter()
            .filter_map(|line| line.strip_prefix(&start))
            .collect()
    }
}

impl Raw {
    /// To the server's plain port.
    pub fn connect(server: &Server) -> Raw {
        let socket = TcpStream::connect((server.host.as_str(), server.imap)).expect("a connection");
        socket.set_read_timeout(Some(PATIENCE)).expect("a limit");
        let reader = socket.try_clone().expect("a second handle");
        Raw::over(Box::new(reader), Box::new(socket))
    }

    /// To a Unix socket.
    pub fn connect_socket(path: &Path) -> Raw {
        let socket = UnixStream::connect(path).expect("a connection");
        socket.set_read_timeout(Some(PATIENCE)).expect("a limit");
        let reader = socket.try_clone().expect("a second handle");
        Raw::over(Box::new(reader), Box::new(socket))
    }

    /// To the TLS port, with another's TLS; with alice's certificate if that is wanted.
    pub fn connect_tls(server: &Server, with_certificate: bool) -> Raw {
        let mut openssl = Command::new("openssl");
        openssl
            .args(["s_client", "-quiet", "-no_ign_eof", "-verify_return_error"])
            .arg("-connect")
            .arg(format!("{}:{}", server.host, server.imaps))
            .arg("-CAfile")
            .arg(&server.ca);
        if with_certificate {
            openssl.arg("-cert").arg(&server.client_cert);
            openssl.arg("-key").arg(&server.client_key);
        }
        let mut child = openssl
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl runs");
        let writer = child.stdin.take().expect("its stdin is piped");
        let reader = child.stdout.take().expect("its stdout is piped");
        let mut raw = Raw::over(Box::new(reader), Box::new(writer));
        raw.openssl = Some(child);
        raw
    }

    /// To the plain port, and logged in.
    pub fn login(server: &Server, user: &str) -> Raw {
        let mut raw = Raw::connect(server);
        raw.ok(&format!("LOGIN {user} {}", server.password));
        raw
    }

    /// As the server's administrator.
    pub fn admin(server: &Server) -> Raw {
        Raw::login(server, &server.admin)
    }

    fn over(reader: Box<dyn Read + Send>, writer: Box<dyn Write + Send>) -> Raw {
        let mut raw = Raw {
            reader: BufReader::new(reader),
            writer,
            commands: 0,
            greeting: String::new(),
            openssl: None,
        };
        raw.greeting = raw.line();
        raw
    }

    /// Sends one command, without tag and line end, and gathers all that comes back for it.
    pub fn command(&mut self, command: &str) -> Answer {
        self.parts(&[command.as_bytes()])
    }

    /// Sends a command of several parts; each but the first is sent as a literal after the one before it.
    ///
    /// `parts(&[b"CREATE ", b"any \"name"])` sends `CREATE {9}`, waits for the `+` and sends the name.
    pub fn parts(&mut self, parts: &[&[u8]]) -> Answer {
        self.commands += 1;
        let tag = format!("r{}", self.commands);
        self.send(format!("{tag} ").as_bytes());
        let mut lines = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                self.send(format!("{{{}}}\r\n", part.len()).as_bytes());
                loop {
                    let line = self.line();
                    if line.starts_with('+') {
                        break;
                    }
                    // The server may refuse the literal, which ends the command.
                    if let Some(answer) = finished(&tag, &line, &mut lines) {
                        return answer;
                    }
                    lines.push(line);
                }
            }
            self.send(part);
        }
        self.send(b"\r\n");
        loop {
            let line = self.line();
            if let Some(answer) = finished(&tag, &line, &mut lines) {
                return answer;
            }
            lines.push(line);
        }
    }

    /// Sends a command that must be answered OK, and returns the untagged lines.
    #[track_caller]
    pub fn ok(&mut self, command: &str) -> Vec<String> {
        let answer = self.command(command);
        assert_eq!(answer.status, "OK", "to {command}: {answer:?}");
        answer.lines
    }

    /// Puts a message into a mailbox, whose name must need no literal.
    #[track_caller]
    pub fn append(&mut self, mailbox: &str, message: &str) {
        let answer = self.parts(&[
            format!("APPEND \"{mailbox}\" ").as_bytes(),
            message.as_bytes(),
        ]);
        assert_eq!(answer.status, "OK", "to APPEND {mailbox}: {answer:?}");
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) {
        self.writer.write_all(bytes).expect("the server listens");
        self.writer.flush().expect("the server listens");
    }

    /// The next line, with the literals that it announces and what follows them, without the last line end.
    #[track_caller]
    pub fn line(&mut self) -> String {
        let mut bytes = Vec::new();
        loop {
            let count = self
                .reader
                .read_until(b'\n', &mut bytes)
                .expect("a line in time");
            assert!(count > 0, "the server closed the connection");
            let Some(length) = announced(&bytes) else {
                break;
            };
            let start = bytes.len();
            bytes.resize(start + length, 0);
            self.reader
                .read_exact(&mut bytes[start..])
                .expect("the whole literal");
        }
        while bytes.last().is_some_and(|last| b"\r\n".contains(last)) {
            bytes.pop();
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        if let Some(openssl) = &mut self.openssl {
            // It may have ended with the connection; a drop must not panic.
            let _ = openssl.kill();
            let _ = openssl.wait();
        }
    }
}

/// A message with nothing special about it.
pub fn message(subject: &str) -> String {
    format!(
        "From: alice@example.org\r\nTo: bob@example.org\r\nSubject: {subject}\r\n\
         Date: Thu, 01 Jan 2026 12:00:00 +0000\r\nMessage-ID: <{subject}@example.org>\r\n\r\nThe text.\r\n"
    )
}

/// The answer, when this line is the one with the tag.
fn finished(tag: &str, line: &str, lines: &mut Vec<String>) -> Option<Answer> {
    let rest = line.strip_prefix(tag)?.strip_prefix(' ')?;
    let (status, text) = rest.split_once(' ').unwrap_or((rest, ""));
    Some(Answer {
        lines: std::mem::take(lines),
        status: status.to_owned(),
        text: text.to_owned(),
    })
}

/// The length of the literal that a line ends by announcing, which only data can: status text may well end in `{5}`.
fn announced(line: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(line.strip_suffix(b"\r\n")?)
        .ok()
        .or_else(|| {
            // Before the announcement anything may stand, even what is not UTF-8.
            let line = line.strip_suffix(b"\r\n")?;
            let brace = line.iter().rposition(|byte| *byte == b'{')?;
            std::str::from_utf8(&line[brace..]).ok()
        })?;
    let mut words = text.split(' ');
    let (_tag, kind) = (words.next(), words.next());
    if matches!(kind, Some("OK" | "NO" | "BAD" | "BYE" | "PREAUTH")) {
        return None;
    }
    let (_, number) = text.strip_suffix('}')?.rsplit_once('{')?;
    number.parse().ok()
}
