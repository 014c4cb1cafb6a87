//! A stand-in for an IMAP server: it answers what an administrator's client asks, worded as Cyrus 3.6 words it, from
//! memory and at once, so that what is measured beside it is the client.
//!
//! ```text
//! standin [--mailboxes N] [--delay MS] [--plain 1]
//! ```
//!
//! It prints its port on 127.0.0.1 and serves until its stdin is closed. Everybody may log in. It lists `user.u0000001`
//! and so on, N of them, in one answer that is made before the first client comes. `--delay` is the round trip: each
//! answer leaves so much after its command came, however many are under way, so that it costs latency and no throughput. With `--plain 1` it
//! offers no LIST-EXTENDED and LIST-STATUS, as many servers don't, so that the counts of each mailbox have to be asked for.
//!
//! It shares no code with the client, on purpose: whoever measures must not measure himself. It knows no literals but those
//! that need no pause (LITERAL+), and keeps no state: every mailbox exists, every change succeeds.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const CAPABILITIES: &str = "IMAP4rev1 LITERAL+ ID ENABLE ACL CHILDREN METADATA NAMESPACE QUOTA RIGHTS=kxten SPECIAL-USE \
    STATUS=SIZE UIDPLUS UNSELECT AUTH=PLAIN SASL-IR X-QUOTA=STORAGE X-QUOTA=MESSAGE";
const EXTENDED: &str = " LIST-EXTENDED LIST-STATUS";
/// What every mailbox holds.
const COUNTS: &str = "(MESSAGES 12 RECENT 0 UNSEEN 3 UIDNEXT 98 UIDVALIDITY 1700000000 SIZE 81921)";

/// The answer to `LIST "" "*"`, without the tagged line.
fn listing(mailboxes: u32) -> Vec<u8> {
    let mut all = Vec::with_capacity(mailboxes as usize * 48);
    for number in 1..=mailboxes {
        line_of(&mut all, number);
    }
    all
}

fn line_of(out: &mut Vec<u8>, number: u32) {
    // Writing to a Vec does not fail.
    let _ = write!(out, "* LIST (\\HasNoChildren) \".\" user.u{number:07}\r\n");
}

fn main() -> io::Result<()> {
    let (mut mailboxes, mut delay, mut plain) = (1_000_000, 0, 0);
    let mut arguments = std::env::args().skip(1);
    while let Some(option) = arguments.next() {
        let value = arguments.next().and_then(|value| value.parse().ok());
        match (option.as_str(), value) {
            ("--mailboxes", Some(value)) => mailboxes = value,
            ("--delay", Some(value)) => delay = value,
            ("--plain", Some(value)) => plain = value,
            _ => {
                eprintln!("standin [--mailboxes N] [--delay MS] [--plain 1]");
                std::process::exit(2);
            }
        }
    }
    let server = Arc::new(Server {
        listing: listing(mailboxes),
        mailboxes,
        delay: Duration::from_millis(delay.into()),
        capabilities: format!("{CAPABILITIES}{}", if plain == 0 { EXTENDED } else { "" }),
    });
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    println!("{}", listener.local_addr()?.port());
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = Arc::clone(&server);
            // A client that goes away in the middle is no concern of ours.
            thread::spawn(move || Connection::serve(&server, client));
        }
    });
    // Whoever started us holds the other end; when he goes, we go.
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}

struct Server {
    listing: Vec<u8>,
    mailboxes: u32,
    delay: Duration,
    capabilities: String,
}

/// A part of the answers, in the order in which it goes out.
enum Piece {
    Bytes(Vec<u8>),
    Listing,
}

/// Where the answers go.
enum Way {
    /// At once.
    Straight(TcpStream),
    /// To a thread that sends each when it is due.
    Delayed(Sender<(Instant, Piece)>, JoinHandle<()>),
}

struct Connection<'s> {
    server: &'s Server,
    /// Answers that are gathered until all commands that have come are answered.
    out: Vec<u8>,
    way: Way,
    /// When the commands came that are being answered.
    came: Instant,
    /// The tag of an AUTHENTICATE whose credentials are still to come.
    authenticating: Option<Vec<u8>>,
    over: bool,
}

impl<'s> Connection<'s> {
    fn serve(server: &'s Arc<Server>, client: TcpStream) -> io::Result<()> {
        client.set_nodelay(true)?;
        let mut reading = client.try_clone()?;
        let way = if server.delay.is_zero() {
            Way::Straight(client)
        } else {
            let (sender, receiver) = mpsc::channel();
            let server = Arc::clone(server);
            Way::Delayed(
                sender,
                thread::spawn(move || drop(send_when_due(&server, client, &receiver))),
            )
        };
        let mut connection = Connection {
            server,
            out: Vec::with_capacity(256 * 1024),
            way,
            came: Instant::now(),
            authenticating: None,
            over: false,
        };
        connection.say(&format!(
            "* OK [CAPABILITY {}] standin Cyrus IMAP 3.6.1 server ready\r\n",
            server.capabilities
        ));
        connection.release()?;
        let mut input = vec![0; 256 * 1024];
        let mut held = 0;
        while !connection.over {
            if held == input.len() {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let count = reading.read(&mut input[held..])?;
            if count == 0 {
                break;
            }
            connection.came = Instant::now();
            held += count;
            let mut done = 0;
            while let Some(length) = command_length(&input[done..held]) {
                connection.answer(&input[done..done + length])?;
                done += length;
            }
            connection.release()?;
            input.copy_within(done..held, 0);
            held -= done;
        }
        if let Way::Delayed(sender, thread) = connection.way {
            drop(sender);
            let _ = thread.join();
        }
        reading.shutdown(Shutdown::Both)
    }

    fn answer(&mut self, command: &[u8]) -> io::Result<()> {
        let mut rest = command.trim_ascii_end();
        if let Some(tag) = self.authenticating.take() {
            self.done(&tag, "OK", "Success (no protection)");
            return Ok(());
        }
        let tag = word(&mut rest);
        let verb = word(&mut rest).to_ascii_uppercase();
        let first = word(&mut rest);
        match verb.as_slice() {
            b"CREATE" => self.done(
                tag,
                "OK",
                "[MAILBOXID (7j0pep4g3ds958owkq53adas)] Completed",
            ),
            b"SETACL" | b"SETQUOTA" | b"NOOP" | b"ENABLE" => self.done(tag, "OK", "Completed"),
            b"GETACL" => {
                self.say("* ACL ");
                self.out.extend_from_slice(first);
                self.say(" zoe lrswipkxtecdan cyrus lrswipkxtecdan\r\n");
                self.done(tag, "OK", "Completed");
            }
            b"GETQUOTA" => {
                self.say("* QUOTA ");
                self.out.extend_from_slice(first);
                self.say(" (STORAGE 0 20480)\r\n");
                self.done(tag, "OK", "Completed");
            }
            b"STATUS" => {
                self.say("* STATUS ");
                self.out.extend_from_slice(first);
                self.say(" ");
                self.say(COUNTS);
                self.say("\r\n");
                self.done(tag, "OK", "Completed");
            }
            b"LIST" => {
                let pattern = word(&mut rest);
                let counts = word(&mut rest).eq_ignore_ascii_case(b"RETURN")
                    && rest.windows(8).any(|part| part == b"STATUS (");
                return self.list(tag, pattern, counts);
            }
            b"CAPABILITY" => {
                self.say(&format!("* CAPABILITY {}\r\n", self.server.capabilities));
                self.done(tag, "OK", "Completed");
            }
            b"NAMESPACE" => {
                self.say("* NAMESPACE NIL ((\"user.\" \".\")) ((\"\" \".\"))\r\n");
                self.done(tag, "OK", "Completed");
            }
            b"ID" => {
                self.say("* ID (\"name\" \"Cyrus IMAPD\" \"version\" \"3.6.1\")\r\n");
                self.done(tag, "OK", "Completed");
            }
            b"AUTHENTICATE" if word(&mut rest).is_empty() => {
                self.authenticating = Some(tag.to_vec());
                self.say("+ \r\n");
            }
            b"LOGIN" | b"AUTHENTICATE" => {
                let text = format!(
                    "[CAPABILITY {}] User logged in SESSIONID=<standin>",
                    self.server.capabilities
                );
                self.done(tag, "OK", &text);
            }
            b"LOGOUT" => {
                self.say("* BYE LOGOUT received\r\n");
                self.done(tag, "OK", "Completed");
                self.over = true;
            }
            _ => self.done(tag, "BAD", "Unrecognized command"),
        }
        Ok(())
    }

    fn list(&mut self, tag: &[u8], pattern: &[u8], counts: bool) -> io::Result<()> {
        let pattern = pattern.strip_prefix(b"\"").unwrap_or(pattern);
        let pattern = pattern.strip_suffix(b"\"").unwrap_or(pattern);
        match pattern {
            b"" => self.say("* LIST (\\Noselect) \".\" \"\"\r\n"),
            b"*" | b"user.*" | b"user.%" if counts => {
                for number in 1..=self.server.mailboxes {
                    line_of(&mut self.out, number);
                    self.say(&format!("* STATUS user.u{number:07} {COUNTS}\r\n"));
                    if self.out.len() > 128 * 1024 {
                        self.release()?;
                    }
                }
            }
            b"*" | b"user.*" | b"user.%" => {
                self.release()?;
                self.send(Piece::Listing)?;
            }
            name => {
                let number = std::str::from_utf8(name).ok();
                let number = number.and_then(|name| name.strip_prefix("user.u")?.parse().ok());
                match number {
                    Some(number) if (1..=self.server.mailboxes).contains(&number) => {
                        line_of(&mut self.out, number);
                    }
                    // A pattern would have to be matched a million times, which is not what is measured.
                    None if name.contains(&b'*') || name.contains(&b'%') => {
                        self.done(tag, "BAD", "The stand-in knows no such pattern");
                        return Ok(());
                    }
                    _ => {}
                }
            }
        }
        self.done(tag, "OK", "Completed");
        Ok(())
    }

    fn say(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn done(&mut self, tag: &[u8], condition: &str, text: &str) {
        self.out.extend_from_slice(tag);
        for part in [" ", condition, " ", text, "\r\n"] {
            self.say(part);
        }
    }

    /// Lets go what has gathered.
    fn release(&mut self) -> io::Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        if let Way::Straight(client) = &mut self.way {
            client.write_all(&self.out)?;
            self.out.clear();
            return Ok(());
        }
        let bytes = std::mem::take(&mut self.out);
        self.send(Piece::Bytes(bytes))
    }

    fn send(&mut self, piece: Piece) -> io::Result<()> {
        match &mut self.way {
            Way::Straight(client) => client.write_all(bytes_of(self.server, &piece)),
            Way::Delayed(sender, _) => sender
                .send((self.came + self.server.delay, piece))
                .map_err(|_| io::ErrorKind::BrokenPipe.into()),
        }
    }
}

fn bytes_of<'a>(server: &'a Server, piece: &'a Piece) -> &'a [u8] {
    match piece {
        Piece::Bytes(bytes) => bytes,
        Piece::Listing => &server.listing,
    }
}

fn send_when_due(
    server: &Server,
    mut client: TcpStream,
    pieces: &Receiver<(Instant, Piece)>,
) -> io::Result<()> {
    while let Ok((due, piece)) = pieces.recv() {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        client.write_all(bytes_of(server, &piece))?;
    }
    Ok(())
}

/// How long the first command is, its literals and its line end included; nothing, while it is not all there.
fn command_length(input: &[u8]) -> Option<usize> {
    let mut end = 0;
    loop {
        let line = input.get(end..)?;
        let length = line.iter().position(|&byte| byte == b'\n')? + 1;
        end += length;
        match literal(line[..length].trim_ascii_end()) {
            Some(literal) => end += literal,
            None => return Some(end),
        }
    }
}

/// The length that `{n+}` at the end of a line announces.
fn literal(line: &[u8]) -> Option<usize> {
    let line = line.strip_suffix(b"+}")?;
    let brace = line.iter().rposition(|&byte| byte == b'{')?;
    std::str::from_utf8(&line[brace + 1..]).ok()?.parse().ok()
}

/// Takes the next word off the front, as it was spelled: an atom, a quoted string or a literal.
fn word<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let text = rest.trim_ascii_start();
    let length = match text {
        [b'"', quoted @ ..] => {
            let mut escaped = false;
            let end = quoted.iter().position(|&byte| {
                let closing = byte == b'"' && !escaped;
                escaped = byte == b'\\' && !escaped;
                closing
            });
            end.map_or(text.len(), |end| end + 2)
        }
        [b'{', ..] => {
            let line = text.iter().position(|&byte| byte == b'\n');
            line.and_then(|end| Some(end + 1 + literal(text[..end].trim_ascii_end())?))
                .unwrap_or(text.len())
        }
        _ => {
            let end = text.iter().position(u8::is_ascii_whitespace);
            end.unwrap_or(text.len())
        }
    };
    let (word, behind) = text.split_at(length.min(text.len()));
    *rest = behind;
    word
}
