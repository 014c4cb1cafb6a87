//! From nothing to a connection that somebody can log in on: connecting and the greeting.
//!
//! Not here: STARTTLS (`starttls`), the login (`login`), and sockets and TLS themselves (`net`).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::account::Outcome;
use crate::error::{Error, LostCause};
use crate::net::{Security, Stream, Timeouts, Transport};
use crate::wire::response::{self, Condition, Response, Untagged, words};

use super::Session;
use super::link::{Link, LinkError, LoginTime};
use super::login::code_of;
use super::options::Options;
use super::pipeline::Pipeline;
use super::receive::{heed, learn};
use super::state::{State, sample};

/// Lines that may stand before the greeting (a «motd») before what answers is taken for no IMAP server.
const MOST_BANNER_LINES: usize = 200;

/// The sessions that this process has opened.
static SESSIONS: AtomicU64 = AtomicU64::new(0);

impl Session {
    /// Connects, reads the greeting and goes over to TLS as the options say; logs nobody in.
    ///
    /// After a PREAUTH greeting the session [is authenticated](State::is_authenticated) already.
    ///
    /// # Errors
    /// No connection, no TLS, no IMAP server, or one that says BYE.
    pub fn open(options: Options) -> Result<Self, Error> {
        options.tls.check()?;
        let start = Instant::now();
        let stream = Stream::connect(&options.address, &options.timeouts, &options.interrupt)?;
        Self::on(stream, options, start)
    }

    /// The same over something that is connected already: an SSH channel, a proxy, the pipes of a process.
    ///
    /// `peer` names the other end in messages. [`Options::address`] is not connected to; its host is the name that the server's
    /// certificate has to be for.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn over(
        transport: Box<dyn Transport>,
        peer: impl Into<String>,
        options: Options,
    ) -> Result<Self, Error> {
        options.tls.check()?;
        let mut stream = Stream::over(transport, peer);
        stream.set_read_limit(options.timeouts.read);
        stream.set_interrupt(options.interrupt.clone());
        Self::on(stream, options, Instant::now())
    }

    /// A session on a connection that was begun at `start`.
    fn on(mut stream: Stream, options: Options, start: Instant) -> Result<Self, Error> {
        let left = || options.timeouts.connect.saturating_sub(start.elapsed());
        if options.security == Security::Tls {
            let timeouts = Timeouts {
                connect: left(),
                ..options.timeouts
            };
            let host = options.address.host();
            stream = stream.start_tls(host, &options.tls, &timeouts, &options.interrupt)?;
        }
        let mut session = Self {
            state: State::new(
                options.address.to_string(),
                stream.info(),
                options.separator,
            ),
            link: Link::new(stream, options.trace.clone(), options.timeouts.read, left()),
            asked_id: None,
            watch: None,
            unsolicited: None,
            in_dialogue: false,
            pipeline: Pipeline::default(),
            options,
            after_refusal: false,
            taken: 0,
            stopping: None,
            number: SESSIONS.fetch_add(1, Ordering::Relaxed),
        };
        session.in_time_to_login(Self::begin)?;
        Ok(session)
    }

    /// From the greeting to a connection on which somebody can log in.
    fn begin(&mut self) -> Result<(), Error> {
        self.greet()?;
        let wants_tls = self.options.security == Security::StartTls;
        let in_clear = !self.state.channel.private && !self.options.allow_cleartext;
        if self.state.authenticated && (wants_tls || in_clear) {
            // Whoever stands in between could greet so, and then answer for the server (RFC 9051 section 7.1.4).
            return Err(self.insecure(
                "it claims that you are already logged in (PREAUTH) before the connection is encrypted, and an attacker could fake that; use --tls, or \
                 --notls (and --allow-cleartext over a network) if you trust the network",
            ));
        }
        if wants_tls {
            self.start_tls()?;
        }
        if self.state.authenticated {
            self.compress_if_wanted()?;
        }
        Ok(())
    }

    /// Does a part of the way to the login in what is left of its time.
    pub(super) fn in_time_to_login<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let start = Instant::now();
        let until = start.checked_add(self.link.time_to_login);
        // A part of such a part has no time of its own.
        let Some(until) = until.filter(|_| self.link.login.is_none()) else {
            return work(self);
        };
        self.link.login = Some(LoginTime {
            until,
            after: self.options.timeouts.connect,
        });
        let result = work(self);
        self.link.login = None;
        self.link.time_to_login = self.link.time_to_login.saturating_sub(start.elapsed());
        // In TLS 1.3 a refused client certificate shows only with the first answer, or before the first command.
        result.map_err(|error| self.link.broken_tls.take().map_or(error, Error::Tls))
    }

    /// Reads the greeting (RFC 3501 section 7.1), which lines of something else may precede.
    fn greet(&mut self) -> Result<(), Error> {
        let server = self.state.server.clone();
        let mut before = String::new();
        for _ in 0..MOST_BANNER_LINES {
            let frame = match self.link.receive() {
                Ok(frame) => frame,
                // In TLS 1.3 a refused client certificate shows only now.
                Err(LinkError::Lost(_, Some(error))) => return Err(Error::Tls(error)),
                Err(LinkError::Lost(cause, None)) => {
                    return Err(Error::NotImap {
                        server,
                        why: no_greeting(&cause, &before, self.options.security),
                        cause: before.is_empty().then_some(cause),
                    });
                }
                Err(LinkError::Interrupted | LinkError::DeadlineExceeded) => {
                    return Err(self.given_up("the greeting", Outcome::NotSent));
                }
            };
            let bytes = self.link.framer.bytes(frame);
            if let Ok(Response::Untagged(Untagged::Status(status))) = response::parse(bytes) {
                match status.condition {
                    Condition::Bye => {
                        let (code, arguments) = code_of(&status);
                        return Err(Error::TurnedAway {
                            server,
                            code,
                            arguments,
                            text: status.said(),
                        });
                    }
                    Condition::Ok | Condition::PreAuth => {
                        learn(&mut self.state, &status);
                        heed(&mut self.state, &status);
                        self.state.authenticated = status.condition == Condition::PreAuth;
                        self.state.greeting = words(status.text).into_owned();
                        return Ok(());
                    }
                    Condition::No | Condition::Bad => {}
                }
            }
            if before.is_empty() {
                before = sample(bytes);
                if let Some(protocol) = other_protocol(bytes) {
                    return Err(Error::NotImap {
                        server,
                        why: format!("it greets as {protocol}: {before}"),
                        cause: None,
                    });
                }
            }
        }
        Err(Error::NotImap {
            server,
            why: format!("it keeps sending lines that are not IMAP, first: {before}"),
            cause: None,
        })
    }
}

/// The words for a greeting that never came.
fn no_greeting(cause: &LostCause, before: &str, security: Security) -> String {
    let mut why = match cause {
        LostCause::TimedOut { after, .. } | LostCause::LoginTimedOut { after } => {
            format!("no greeting within {} s", after.as_secs_f32())
        }
        LostCause::Closed => "it closed the connection without a greeting".into(),
        other => other.to_string(),
    };
    if !before.is_empty() {
        why.push_str(&format!("; it sent: {before}"));
    } else if security != Security::Tls {
        why.push_str("; if this port expects TLS from the start, add --tls");
    }
    why
}

/// Which protocol a first line belongs to, if it is a well-known other one, or TLS.
fn other_protocol(line: &[u8]) -> Option<&'static str> {
    if line.starts_with(b"+OK") {
        Some("a POP3 server")
    } else if line.starts_with(b"220") || line.starts_with(b"554") {
        Some("an SMTP or FTP server")
    } else if line.starts_with(b"SSH-") {
        Some("an SSH server")
    } else if line.starts_with(b"HTTP/") {
        Some("a web server")
    } else if line.starts_with(b"\"IMPLEMENTATION\"") {
        Some("a ManageSieve server")
    } else if line.starts_with(&[0x15, 0x03]) {
        Some("a TLS server (add --tls)")
    } else {
        None
    }
}
