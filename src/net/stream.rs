//! The connection itself: bytes in and out, over TCP or a Unix socket, in clear or in TLS, compressed or not, each wait limited.
//!
//! Not here: making the connection (`connect`), what is trusted (`tls`, `verify`), and how bytes are compressed (`deflate`).

use std::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, recv, sendmsg};
use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use zeroize::Zeroizing;

use super::address::is_loopback;
use super::connect::{self, ConnectError};
use super::deflate::{Damaged, Deflate};
use super::tls::Identity;
use super::wait::{Ended, Interrupt, SLICE, Timeouts, Wait, seconds};
use super::{Address, TlsError, TlsOptions};

/// How long saying goodbye may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// Reads that inflate to nothing before a read that does not wait gives up.
const MOST_EMPTY: usize = 64;

/// A connection to a server: TCP or a Unix socket, with or without TLS.
///
/// Every wait ends when the limit passes or the [`Interrupt`] flag is raised, at most 0.2 seconds late.
/// Dropping it closes the socket without a word; [`Stream::shutdown`] closes it properly.
pub struct Stream {
    socket: Socket,
    tls: Option<Tls>,
    /// Between all above and TLS or the socket below.
    deflate: Option<Box<Deflate>>,
    queue: Queue,
    interrupt: Interrupt,
    limit: Duration,
}

/// What is to be sent and what of it the system, or TLS, has taken.
#[derive(Default)]
struct Queue {
    bytes: Vec<u8>,
    taken: usize,
}

/// TLS on a connection.
struct Tls {
    connection: Box<ClientConnection>,
    host: String,
    /// What became of the client's certificate, which tells what some alerts mean.
    identity: Arc<Identity>,
    /// An error that came behind data which had to be handed out first.
    pending: Option<TlsError>,
}

/// What is known of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// The peer as `ip:port`, or the socket's path.
    pub peer: String,
    /// What TLS agreed on; `None` in clear.
    pub tls: Option<TlsInfo>,
    /// Whether nobody on the network can listen: TLS, a Unix socket, or a loopback peer.
    pub private: bool,
    /// Whether both directions are compressed (COMPRESS=DEFLATE, RFC 4978).
    pub compressed: bool,
}

/// What TLS agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsInfo {
    /// `TLSv1.3` or `TLSv1.2`.
    pub version: String,
    /// The cipher suite, such as `TLS13_AES_256_GCM_SHA384`.
    pub cipher: String,
    /// The cipher's strength in bits: what SASL calls the security strength factor (RFC 4422 section 3.7).
    pub bits: u32,
}

/// Why bytes stopped flowing.
///
/// After [`TimedOut`](IoError::TimedOut) and [`Interrupted`](IoError::Interrupted) from a read the connection is
/// as it was and reading may go on. After any error from a write it is not known how much was sent, so the
/// connection is good for reading last words and for dropping.
#[derive(Debug, thiserror::Error)]
pub enum IoError {
    /// Nothing moved within the limit.
    #[error(
        "the server was silent for {}; try again, or allow more time",
        seconds(after)
    )]
    TimedOut {
        /// The limit.
        after: Duration,
    },
    /// The interrupt flag is raised.
    #[error("interrupted; repeat the command if it is still wanted")]
    Interrupted,
    /// The server closed the connection, in TLS with or without saying so.
    #[error(
        "the server closed the connection; connect again, and look into its log if it stays so"
    )]
    Closed,
    /// The connection broke. A TLS error is inside if that was it, see [`IoError::tls`].
    #[error("the connection broke: {}; {}", words(.0), broken_advice(.0))]
    Broken(#[source] io::Error),
}

impl IoError {
    /// The TLS error that broke the connection, if that was it.
    ///
    /// In TLS 1.3 a server's refusal of the client certificate comes after the handshake, with the first read.
    pub fn tls(&self) -> Option<&TlsError> {
        match self {
            IoError::Broken(error) => error.get_ref()?.downcast_ref(),
            _ => None,
        }
    }

    /// The same, taken out; the error itself if it was something else.
    ///
    /// # Errors
    /// The error, unchanged.
    pub fn into_tls(self) -> Result<TlsError, IoError> {
        match self {
            IoError::Broken(error) => match error.downcast::<TlsError>() {
                Ok(error) => Ok(error),
                Err(error) => Err(IoError::Broken(error)),
            },
            other => Err(other),
        }
    }
}

/// TLS errors end in advice of their own.
fn broken_advice(error: &io::Error) -> &'static str {
    if error.get_ref().is_some_and(|inner| inner.is::<TlsError>()) {
        "then connect again"
    } else {
        "connect again"
    }
}

/// An error of the system in its own words, without the number that Rust adds.
pub(crate) fn words(error: &io::Error) -> String {
    let mut text = error.to_string();
    if error.raw_os_error().is_some()
        && let Some(end) = text.rfind(" (os error")
    {
        text.truncate(end);
    }
    text
}

impl Stream {
    /// Connects. A name's addresses are tried side by side, each soon after the one before (RFC 8305), within
    /// `timeouts.connect` for all together.
    ///
    /// From then on the system finds out by itself (TCP keepalive) when the other end is gone, within about twice `timeouts.read`, also
    /// while nothing is said; reading then ends in [`IoError::Broken`].
    ///
    /// # Errors
    /// A [`ConnectError`] that names every address tried.
    pub fn connect(
        address: &Address,
        timeouts: &Timeouts,
        interrupt: &Interrupt,
    ) -> Result<Stream, ConnectError> {
        let socket = connect::connect(address, timeouts.connect, interrupt)?;
        socket.keep_alive(timeouts.read);
        Ok(Stream {
            socket,
            tls: None,
            deflate: None,
            queue: Queue::default(),
            interrupt: interrupt.clone(),
            limit: timeouts.read,
        })
    }

    /// Turns TLS on, right after connecting or after STARTTLS, within `timeouts.connect`.
    ///
    /// `host` is the name that the certificate must have, unless the options name another. The caller must not
    /// have read bytes beyond the answer to STARTTLS: they came in clear, perhaps from somebody in between (RFC 9051
    /// section 11.1).
    ///
    /// # Errors
    /// A [`TlsError`]; the connection is gone then.
    pub fn start_tls(
        mut self,
        host: &str,
        options: &TlsOptions,
        timeouts: &Timeouts,
        interrupt: &Interrupt,
    ) -> Result<Stream, TlsError> {
        if self.tls.is_some() {
            return Err(TlsError::AlreadyOn);
        }
        let host = options.server_name.as_deref().unwrap_or(host);
        let (config, identity) = options.config()?;
        let name = server_name(host)?;
        let connection = ClientConnection::new(config, name).map_err(|error| TlsError::Other {
            host: host.to_owned(),
            reason: error.to_string(),
        })?;
        let mut tls = Tls {
            connection: Box::new(connection),
            host: host.to_owned(),
            identity,
            pending: None,
        };
        tls.handshake(
            &mut self.socket,
            &mut Wait::new(interrupt, timeouts.connect),
        )
        .map_err(|stop| match stop {
            Handshake::Failed(error) => error,
            Handshake::Stopped(Stop::Ended(Ended::Interrupted)) => TlsError::Interrupted,
            Handshake::Stopped(Stop::Ended(Ended::TimedOut)) => TlsError::TimedOut {
                host: host.to_owned(),
                after: timeouts.connect,
            },
            Handshake::Stopped(Stop::Failed(source)) if is_closing(&source) => TlsError::Closed {
                host: host.to_owned(),
            },
            Handshake::Stopped(Stop::Failed(source)) => TlsError::Broken {
                host: host.to_owned(),
                source,
            },
        })?;
        self.tls = Some(tls);
        self.interrupt = interrupt.clone();
        self.limit = timeouts.read;
        Ok(self)
    }

    /// Reads what has come, waiting for it at most the read limit. Each byte that arrives restarts the limit.
    /// An empty `buf` gives 0; the end of the stream is [`IoError::Closed`].
    ///
    /// # Errors
    /// An [`IoError`].
    pub fn read(&mut self, buf: &mut [u8]) -> Result<usize, IoError> {
        self.read_within(buf, self.limit)
    }

    /// [`Stream::read`] with another limit. With a limit of zero it takes what is there already.
    ///
    /// # Errors
    /// An [`IoError`].
    pub fn read_within(&mut self, buf: &mut [u8], limit: Duration) -> Result<usize, IoError> {
        let interrupt = self.interrupt.clone();
        self.read_until(buf, &mut Wait::new(&interrupt, limit))
            .map_err(|stop| stop.into_io_error(limit))
    }

    /// Reads what has come, without waiting and without heeding the interrupt flag: `None` where nothing has.
    ///
    /// # Errors
    /// An [`IoError`].
    pub fn read_now(&mut self, buf: &mut [u8]) -> Result<Option<usize>, IoError> {
        let undisturbed = Interrupt::new();
        match self.read_until(buf, &mut Wait::new(&undisturbed, Duration::ZERO)) {
            Ok(count) => Ok(Some(count)),
            Err(Stop::Ended(_)) => Ok(None),
            Err(stop) => Err(stop.into_io_error(Duration::ZERO)),
        }
    }

    fn read_until(&mut self, buf: &mut [u8], wait: &mut Wait<'_>) -> Result<usize, Stop> {
        if buf.is_empty() {
            return Ok(0);
        }
        let (socket, tls) = (&mut self.socket, &mut self.tls);
        let mut read = |buf: &mut [u8], wait: &mut Wait<'_>| match tls {
            None => match socket.when_ready(wait, |socket| socket.read(buf))? {
                0 => Err(Stop::closed()),
                count => Ok(count),
            },
            Some(tls) => tls.read(socket, buf, wait),
        };
        let Some(deflate) = &mut self.deflate else {
            return read(buf, wait);
        };
        let (start, limit) = (Instant::now(), wait.left());
        for times in 0.. {
            match deflate.inflate(buf).map_err(Stop::damaged)? {
                0 => {}
                count => return Ok(count),
            }
            // What inflates to nothing is no sign of life, however much of it comes.
            let over = start.elapsed() >= limit && !wait.is_none();
            if over || (wait.is_none() && times > MOST_EMPTY) {
                break;
            }
            let count = read(deflate.space(), wait)?;
            deflate.filled(count);
        }
        Err(Stop::Ended(Ended::TimedOut))
    }

    /// Sends all of it, and before that what is [queued](Self::queue). The read limit applies to each part that the system takes, so a long
    /// literal over a slow line does not time out as long as it moves. The interrupt flag is not heeded.
    ///
    /// This is the way for secrets: no copy of them stays behind. It waits for the system to take them and reads nothing meanwhile, so
    /// nothing should be under way whose answer could fill the connection.
    ///
    /// # Errors
    /// An [`IoError`]. What was sent is not known then.
    pub fn write_all(&mut self, bytes: &[u8]) -> Result<(), IoError> {
        // A command that is sent by half is worse than a late Ctrl-C.
        let undisturbed = Interrupt::new();
        let mut wait = Wait::new(&undisturbed, self.limit);
        let stored = self.deflate.as_mut().map(|deflate| deflate.store(bytes));
        let bytes = stored.as_ref().map_or(bytes, |stored| stored);
        self.send_queued(&mut wait)
            .and_then(|()| match &mut self.tls {
                None => self.socket.write_within(bytes, &mut wait),
                Some(tls) => tls.write(&mut self.socket, bytes, &mut wait),
            })
            .map_err(|stop| stop.into_io_error(self.limit))
    }

    /// Takes bytes that [`push`](Self::push) then sends: on a compressed connection a batch that the server can inflate to its end. No
    /// secrets: they stand in memory until they are overwritten.
    ///
    /// # Errors
    /// [`IoError::Broken`] where they can't be compressed, which is not known to happen.
    pub fn queue(&mut self, bytes: &[u8]) -> Result<(), IoError> {
        match &mut self.deflate {
            Some(deflate) => deflate
                .compress(bytes, &mut self.queue.bytes)
                .map_err(|error| IoError::Broken(error.into())),
            None => {
                self.queue.bytes.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    /// Compresses both directions from here on (RFC 4978 section 3), right after the answer to COMPRESS. `early` is what was read behind that
    /// answer: it is compressed already.
    ///
    /// [`queue`](Self::queue) compresses; [`write_all`](Self::write_all), the way for secrets, only wraps. A second time it does nothing.
    pub fn start_deflate(&mut self, early: &[u8]) {
        if self.deflate.is_none() {
            self.deflate = Some(Box::new(Deflate::new(early)));
        }
    }

    /// Sends of what is [queued](Self::queue) as much as the system takes at once; `true` when that is all of it.
    ///
    /// Where it is not, the server may be waiting for its own words to be read: read them ([`read_now`](Self::read_now)), and
    /// [`wait_ready`](Self::wait_ready) when there are none.
    ///
    /// # Errors
    /// An [`IoError`]. What was sent is not known then.
    pub fn push(&mut self) -> Result<bool, IoError> {
        let undisturbed = Interrupt::new();
        match self.send_queued(&mut Wait::new(&undisturbed, Duration::ZERO)) {
            Ok(()) => Ok(true),
            Err(Stop::Ended(_)) => Ok(false),
            Err(stop) => Err(stop.into_io_error(Duration::ZERO)),
        }
    }

    /// How many bytes of the queue neither the system nor TLS has taken.
    pub fn queued(&self) -> usize {
        self.queue.bytes.len() - self.queue.taken
    }

    fn send_queued(&mut self, wait: &mut Wait<'_>) -> Result<(), Stop> {
        let queue = &mut self.queue;
        loop {
            if let Some(tls) = &mut self.tls {
                tls.flush(&mut self.socket, wait)?;
            }
            let rest = queue.bytes.get(queue.taken..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            let count = match &mut self.tls {
                None => self.socket.when_ready(wait, |socket| socket.write(rest))?,
                // As much as its buffer holds.
                Some(tls) => tls.connection.writer().write(rest).map_err(Stop::Failed)?,
            };
            if count == 0 {
                return Err(Stop::Failed(io::ErrorKind::WriteZero.into()));
            }
            queue.taken += count.min(rest.len());
            wait.restart();
        }
        queue.bytes.clear();
        queue.taken = 0;
        Ok(())
    }

    /// Waits until something can be read or more can be sent, at most for `limit`: whether that came. The interrupt flag is not heeded.
    ///
    /// # Errors
    /// [`IoError::Broken`] where the system can't wait.
    pub fn wait_ready(&mut self, limit: Duration) -> Result<bool, IoError> {
        let undisturbed = Interrupt::new();
        let wait = Wait::new(&undisturbed, limit);
        loop {
            let slice = Timespec {
                tv_sec: 0,
                // A slice is less than a second.
                tv_nsec: wait.slice().subsec_nanos().into(),
            };
            let mut waited = [PollFd::new(&self.socket, PollFlags::IN | PollFlags::OUT)];
            match poll(&mut waited, Some(&slice)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {
                    if wait.check().is_err() {
                        return Ok(false);
                    }
                }
                Ok(_) => return Ok(true),
                Err(error) => return Err(IoError::Broken(error.into())),
            }
        }
    }

    /// Sets which flag ends a wait.
    pub fn set_interrupt(&mut self, interrupt: Interrupt) {
        self.interrupt = interrupt;
    }

    /// Sets the limit of [`Stream::read`] and [`Stream::write_all`].
    pub fn set_read_limit(&mut self, limit: Duration) {
        self.limit = limit;
    }

    /// What is known of the connection.
    pub fn info(&self) -> Channel {
        let tls = self.tls.as_ref().map(|tls| {
            let version = match tls.connection.protocol_version() {
                Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3".to_owned(),
                Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2".to_owned(),
                Some(other) => format!("{other:?}"),
                None => "unknown".to_owned(),
            };
            let cipher = match tls.connection.negotiated_cipher_suite() {
                Some(suite) => format!("{:?}", suite.suite()),
                None => "unknown".to_owned(),
            };
            // Every suite that rustls has is AES with one of these lengths, or ChaCha20.
            let bits = if cipher.contains("AES_128") { 128 } else { 256 };
            TlsInfo {
                version,
                cipher,
                bits,
            }
        });
        Channel {
            peer: self.socket.peer.clone(),
            private: tls.is_some() || self.socket.local,
            compressed: self.deflate.is_some(),
            tls,
        }
    }

    /// What names this very TLS connection on both of its ends and on no other one: the channel binding
    /// `tls-exporter` (RFC 9266 section 2). `None` in clear, and before TLS 1.3, where it would need the extended
    /// master secret.
    pub fn tls_exporter(&self) -> Option<Zeroizing<[u8; 32]>> {
        let connection = &self.tls.as_ref()?.connection;
        if connection.protocol_version() != Some(rustls::ProtocolVersion::TLSv1_3) {
            return None;
        }
        let mut exported = Zeroizing::new([0; 32]);
        connection
            .export_keying_material(&mut exported[..], b"EXPORTER-Channel-Binding", Some(b""))
            .ok()?;
        Some(exported)
    }

    /// Closes the connection, in TLS with a word of goodbye if that can be sent within two seconds. Nothing
    /// can be read or written afterwards.
    pub fn shutdown(&mut self) {
        // Ctrl-C may be why we leave: it must not keep us from leaving properly.
        let calm = Interrupt::new();
        if let Some(tls) = &mut self.tls {
            tls.connection.send_close_notify();
            // The server may be gone already.
            let _ = tls.flush(&mut self.socket, &mut Wait::new(&calm, GOODBYE));
        }
        self.socket.close();
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("channel", &self.info())
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

/// The name to check a certificate for. A final dot and a zone mean something to the resolver only.
fn server_name(host: &str) -> Result<ServerName<'static>, TlsError> {
    let bare = host.strip_suffix('.').unwrap_or(host);
    let bare = match bare.split_once('%') {
        Some((ip, _zone)) if ip.contains(':') => ip,
        _ => bare,
    };
    ServerName::try_from(bare.to_owned()).map_err(|_| TlsError::BadName {
        host: host.to_owned(),
    })
}

/// Why a step on the socket did not happen.
#[derive(Debug)]
enum Stop {
    Ended(Ended),
    Failed(io::Error),
}

impl Stop {
    fn closed() -> Self {
        Stop::Failed(io::ErrorKind::UnexpectedEof.into())
    }

    fn damaged(error: Damaged) -> Self {
        Stop::Failed(io::Error::new(io::ErrorKind::InvalidData, error))
    }

    fn into_io_error(self, limit: Duration) -> IoError {
        match self {
            Stop::Ended(Ended::TimedOut) => IoError::TimedOut { after: limit },
            Stop::Ended(Ended::Interrupted) => IoError::Interrupted,
            Stop::Failed(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe
                ) =>
            {
                IoError::Closed
            }
            Stop::Failed(error) => IoError::Broken(error),
        }
    }
}

impl From<TlsError> for Stop {
    fn from(error: TlsError) -> Self {
        Stop::Failed(io::Error::new(io::ErrorKind::InvalidData, error))
    }
}

/// Why a handshake ended.
enum Handshake {
    Failed(TlsError),
    Stopped(Stop),
}

impl From<Stop> for Handshake {
    fn from(stop: Stop) -> Self {
        Handshake::Stopped(stop)
    }
}

/// How a peer that goes away in the middle shows.
fn is_closing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
    )
}

/// The bounds of the silence after which the system asks whether the other end is still there.
const SHORTEST_SILENCE: Duration = Duration::from_secs(10);
const LONGEST_SILENCE: Duration = Duration::from_secs(600);
/// How often it asks before it takes the other end for gone.
const PROBES: u32 = 5;

/// The socket under a [`Stream`]. It blocks for a slice of time at most.
pub(super) struct Socket {
    kind: Kind,
    peer: String,
    /// Whether the bytes never leave the machine.
    local: bool,
    /// The time limit set on the socket.
    slice: Duration,
    /// Whether it does not block at all now, whatever that limit.
    at_once: bool,
}

enum Kind {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    pub(super) fn tcp(stream: TcpStream) -> io::Result<Self> {
        // Commands are small and each waits for its answer: holding them back only costs time.
        stream.set_nodelay(true)?;
        let peer = stream.peer_addr()?;
        Self::new(Kind::Tcp(stream), peer.to_string(), is_loopback(peer.ip()))
    }

    pub(super) fn unix(stream: UnixStream, path: String) -> io::Result<Self> {
        Self::new(Kind::Unix(stream), path, true)
    }

    fn new(kind: Kind, peer: String, local: bool) -> io::Result<Self> {
        let mut socket = Socket {
            kind,
            peer,
            local,
            slice: Duration::ZERO,
            at_once: false,
        };
        socket.set_slice(SLICE)?;
        Ok(socket)
    }

    /// How long each step may block; zero is not at all.
    fn set_slice(&mut self, slice: Duration) -> io::Result<()> {
        self.at_once = slice.is_zero();
        if !self.at_once && slice != self.slice {
            let limit = Some(slice);
            match &self.kind {
                Kind::Tcp(stream) => {
                    stream.set_read_timeout(limit)?;
                    stream.set_write_timeout(limit)?;
                }
                Kind::Unix(stream) => {
                    stream.set_read_timeout(limit)?;
                    stream.set_write_timeout(limit)?;
                }
            }
            self.slice = slice;
        }
        Ok(())
    }

    /// Does one step as soon as the socket is ready for it. It is tried once even if no time is left.
    fn when_ready<T>(
        &mut self,
        wait: &Wait<'_>,
        mut step: impl FnMut(&mut Socket) -> io::Result<T>,
    ) -> Result<T, Stop> {
        loop {
            if wait.interrupt().raised() {
                return Err(Stop::Ended(Ended::Interrupted));
            }
            self.set_slice(wait.slice()).map_err(Stop::Failed)?;
            match step(self) {
                Ok(done) => return Ok(done),
                // A signal came, or a slice is over. «Timed out» is neither, but the network's own verdict on a
                // dead connection.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock
                    ) =>
                {
                    wait.check().map_err(Stop::Ended)?;
                }
                Err(error) => return Err(Stop::Failed(error)),
            }
        }
    }

    fn write_within(&mut self, mut bytes: &[u8], wait: &mut Wait<'_>) -> Result<(), Stop> {
        while !bytes.is_empty() {
            match self.when_ready(wait, |socket| socket.write(bytes))? {
                0 => return Err(Stop::Failed(io::ErrorKind::WriteZero.into())),
                count => bytes = &bytes[count.min(bytes.len())..],
            }
            wait.restart();
        }
        Ok(())
    }

    /// Has the system acknowledge at once what has come and what comes next (TCP_QUICKACK), where it can be told so.
    ///
    /// A server that sends its words in small parts (Cyrus: two TLS session tickets, then the first answer) holds each
    /// back until the one before is acknowledged, and Linux takes 40 ms for that on a connection that looks like a
    /// dialogue. The system forgets what it was told with the next thing that is sent, and it does send an
    /// acknowledgement that is due when told, hence before each read. Over STARTTLS this brought the time that a login
    /// to Cyrus waits from 51 ms to 13 ms.
    fn acknowledge_at_once(&self) {
        #[cfg(target_os = "linux")]
        if let Kind::Tcp(stream) = &self.kind {
            // Without it everything works, only later.
            let _ = rustix::net::sockopt::set_tcp_quickack(stream, true);
        }
    }

    /// Has the system ask the other end, when nothing was said for `silence`, whether it is still there.
    fn keep_alive(&self, silence: Duration) {
        #[cfg(target_os = "linux")]
        if let Kind::Tcp(stream) = &self.kind {
            use rustix::net::sockopt;
            let silence = silence.clamp(SHORTEST_SILENCE, LONGEST_SILENCE);
            // Where the system can't do it, a dead connection is found out later: by the next thing that is sent.
            let _ = sockopt::set_tcp_keepidle(stream, silence)
                .and_then(|()| sockopt::set_tcp_keepintvl(stream, silence / PROBES))
                .and_then(|()| sockopt::set_tcp_keepcnt(stream, PROBES))
                .and_then(|()| sockopt::set_socket_keepalive(stream, true));
            // What was sent and is never acknowledged; the double leaves our own limit on sending to come first.
            let unacknowledged = u32::try_from(2 * silence.as_millis()).unwrap_or(u32::MAX);
            let _ = sockopt::set_tcp_user_timeout(stream, unacknowledged);
        }
    }

    fn close(&self) {
        // A socket that is closed already is as good.
        let _ = match &self.kind {
            Kind::Tcp(stream) => stream.shutdown(Shutdown::Both),
            Kind::Unix(stream) => stream.shutdown(Shutdown::Both),
        };
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.kind {
            Kind::Tcp(stream) => stream.as_fd(),
            Kind::Unix(stream) => stream.as_fd(),
        }
    }
}

/// A dead connection must not end the program by a signal. Apple's sockets are told so when Rust makes them.
#[cfg(not(target_vendor = "apple"))]
const AT_ONCE: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);
#[cfg(target_vendor = "apple")]
const AT_ONCE: SendFlags = SendFlags::DONTWAIT;

impl Read for Socket {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.acknowledge_at_once();
        if self.at_once {
            let (count, _) = recv(&*self, buf, RecvFlags::DONTWAIT)?;
            return Ok(count);
        }
        match &mut self.kind {
            Kind::Tcp(stream) => stream.read(buf),
            Kind::Unix(stream) => stream.read(buf),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.at_once {
            return self.write_vectored(&[IoSlice::new(buf)]);
        }
        match &mut self.kind {
            Kind::Tcp(stream) => stream.write(buf),
            Kind::Unix(stream) => stream.write(buf),
        }
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.at_once {
            let count = sendmsg(&*self, bufs, &mut SendAncillaryBuffer::default(), AT_ONCE)?;
            return Ok(count);
        }
        match &mut self.kind {
            Kind::Tcp(stream) => stream.write_vectored(bufs),
            Kind::Unix(stream) => stream.write_vectored(bufs),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads from the socket and keeps the first bytes, which tell TLS from plain text.
struct Noting<'a> {
    socket: &'a mut Socket,
    first: &'a mut Vec<u8>,
}

impl Read for Noting<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        const KEPT: usize = 60;
        let count = self.socket.read(buf)?;
        let room = KEPT.saturating_sub(self.first.len());
        self.first.extend(buf.iter().take(count.min(room)));
        Ok(count)
    }
}

impl Tls {
    /// Runs the handshake to its end. The limit is for all of it.
    fn handshake(&mut self, socket: &mut Socket, wait: &mut Wait<'_>) -> Result<(), Handshake> {
        let mut first = Vec::new();
        while self.connection.is_handshaking() {
            if let Err(stop) = self.send(socket, wait) {
                // The server may have said why before it hung up.
                if matches!(&stop, Stop::Failed(error) if is_closing(error)) {
                    self.receive(socket, wait, &mut first)?;
                }
                return Err(stop.into());
            }
            if self.connection.is_handshaking() {
                wait.check().map_err(Stop::Ended)?;
                self.receive(socket, wait, &mut first)?;
            }
        }
        Ok(self.send(socket, wait)?)
    }

    /// One read of the handshake.
    fn receive(
        &mut self,
        socket: &mut Socket,
        wait: &Wait<'_>,
        first: &mut Vec<u8>,
    ) -> Result<(), Handshake> {
        let connection = &mut self.connection;
        let count = socket.when_ready(wait, |socket| {
            let mut noting = Noting {
                socket,
                first: &mut *first,
            };
            connection.read_tls(&mut noting)
        })?;
        if count == 0 {
            return Err(Stop::closed().into());
        }
        if let Err(error) = self.connection.process_new_packets() {
            // The alert tells the server's log why we leave. It goes out only if there is room for it now.
            let _ = self.connection.write_tls(socket);
            return Err(Handshake::Failed(TlsError::from_rustls(
                &self.host,
                error,
                first,
                self.identity.client(),
            )));
        }
        Ok(())
    }

    /// Sends what rustls has to send, without giving more time for what moves.
    fn send(&mut self, socket: &mut Socket, wait: &Wait<'_>) -> Result<(), Stop> {
        while self.connection.wants_write() {
            let connection = &mut self.connection;
            if socket.when_ready(wait, |socket| connection.write_tls(socket))? == 0 {
                return Err(Stop::Failed(io::ErrorKind::WriteZero.into()));
            }
        }
        Ok(())
    }

    /// Sends what rustls has to send, with the limit anew for each part taken.
    fn flush(&mut self, socket: &mut Socket, wait: &mut Wait<'_>) -> Result<(), Stop> {
        while self.connection.wants_write() {
            let connection = &mut self.connection;
            if socket.when_ready(wait, |socket| connection.write_tls(socket))? == 0 {
                return Err(Stop::Failed(io::ErrorKind::WriteZero.into()));
            }
            wait.restart();
        }
        Ok(())
    }

    fn read(
        &mut self,
        socket: &mut Socket,
        buf: &mut [u8],
        wait: &mut Wait<'_>,
    ) -> Result<usize, Stop> {
        loop {
            let result = self.connection.reader().read(buf);
            if !matches!(result, Ok(1..))
                && let Some(error) = self.pending.take()
            {
                return Err(error.into());
            }
            match result {
                Ok(0) => return Err(Stop::closed()),
                Ok(count) => return Ok(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // This includes an end without close_notify, as many servers close.
                Err(error) => return Err(Stop::Failed(error)),
            }
            // An answer to a key update, say. What the system does not take at once must not keep from reading: it may be just that which the
            // server waits for.
            match self.flush(socket, wait) {
                Err(Stop::Ended(Ended::TimedOut)) if wait.is_none() => {}
                result => result?,
            }
            let connection = &mut self.connection;
            socket.when_ready(wait, |socket| connection.read_tls(socket))?;
            wait.restart();
            if let Err(error) = self.connection.process_new_packets() {
                let _ = self.connection.write_tls(socket);
                // What came before the error, the server's last words perhaps, is handed out first.
                self.pending = Some(TlsError::from_rustls(
                    &self.host,
                    error,
                    b"",
                    self.identity.client(),
                ));
            }
        }
    }

    fn write(
        &mut self,
        socket: &mut Socket,
        mut bytes: &[u8],
        wait: &mut Wait<'_>,
    ) -> Result<(), Stop> {
        // Before anything is handed to rustls, so that a raised flag means that nothing was sent.
        self.flush(socket, wait)?;
        if wait.interrupt().raised() {
            return Err(Stop::Ended(Ended::Interrupted));
        }
        while !bytes.is_empty() {
            // rustls takes as much as its buffer holds.
            let count = self
                .connection
                .writer()
                .write(bytes)
                .map_err(Stop::Failed)?;
            if count == 0 {
                return Err(Stop::Failed(io::ErrorKind::WriteZero.into()));
            }
            bytes = &bytes[count.min(bytes.len())..];
            self.flush(socket, wait)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    const SOON: Timeouts = Timeouts {
        connect: Duration::from_secs(5),
        read: Duration::from_secs(5),
    };

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    /// Our end and the server's end of a fresh connection.
    fn pair() -> (Stream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = Address::Tcp {
            host: "127.0.0.1".to_owned(),
            port: listener.local_addr().unwrap().port(),
        };
        let stream = Stream::connect(&address, &SOON, &Interrupt::new()).unwrap();
        (stream, listener.accept().unwrap().0)
    }

    #[test]
    fn bytes_go_both_ways() {
        let (mut stream, mut server) = pair();
        server.write_all(b"* OK hello\r\n").unwrap();
        let mut buf = [0; 64];
        let count = stream.read(&mut buf).unwrap();
        assert_eq!(&buf[..count], b"* OK hello\r\n");
        stream.write_all(b"a NOOP\r\n").unwrap();
        let count = server.read(&mut buf).unwrap();
        assert_eq!(&buf[..count], b"a NOOP\r\n");
        assert_eq!(stream.read(&mut []).unwrap(), 0);
        let info = stream.info();
        assert!(info.peer.starts_with("127.0.0.1:") && info.private && info.tls.is_none());
        stream.shutdown();
        assert_eq!(server.read(&mut buf).unwrap(), 0);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn an_answer_in_small_parts_does_not_wait_for_our_acknowledgements() {
        let (mut stream, mut server) = pair();
        let answering = thread::spawn(move || {
            let mut buf = [0; 8];
            while server.read(&mut buf).unwrap() > 0 {
                for _ in 0..4 {
                    server.write_all(b"part").unwrap();
                }
            }
        });
        let mut rounds: Vec<Duration> = (0..21)
            .map(|_| {
                let start = Instant::now();
                stream.write_all(b"?").unwrap();
                let mut buf = [0; 16];
                let mut count = 0;
                while count < 16 {
                    count += stream.read(&mut buf).unwrap();
                }
                start.elapsed()
            })
            .collect();
        stream.shutdown();
        answering.join().unwrap();
        // Most of them; the machine may be busy. A delayed acknowledgement takes 40 ms.
        rounds.sort();
        assert!(rounds[10] < ms(30), "{rounds:?}");
    }

    #[test]
    fn a_unix_socket_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("imap");
        let listener = UnixListener::bind(&path).unwrap();
        let address = Address::Unix(path.clone());
        let mut stream = Stream::connect(&address, &SOON, &Interrupt::new()).unwrap();
        let mut server = listener.accept().unwrap().0;
        assert_eq!(
            stream.info(),
            Channel {
                peer: path.display().to_string(),
                tls: None,
                private: true,
                compressed: false,
            }
        );
        stream.write_all(b"x").unwrap();
        let mut buf = [0; 8];
        assert_eq!(server.read(&mut buf).unwrap(), 1);
        drop(server);
        assert!(matches!(stream.read(&mut buf), Err(IoError::Closed)));
    }

    #[test]
    fn silence_ends_at_the_limit_and_reading_goes_on() {
        let (mut stream, mut server) = pair();
        let mut buf = [0; 8];
        for limit in [ms(0), ms(30), ms(450)] {
            let start = Instant::now();
            let error = stream.read_within(&mut buf, limit).unwrap_err();
            assert!(matches!(error, IoError::TimedOut { after } if after == limit));
            let took = start.elapsed();
            assert!(took >= limit && took < limit + ms(1000), "{took:?}");
        }
        server.write_all(b"late").unwrap();
        assert_eq!(stream.read(&mut buf).unwrap(), 4);
        server.write_all(b"there").unwrap();
        thread::sleep(ms(50));
        assert_eq!(stream.read_within(&mut buf, ms(0)).unwrap(), 5);
        stream.set_read_limit(ms(40));
        assert!(
            matches!(stream.read(&mut buf), Err(IoError::TimedOut { after }) if after == ms(40))
        );
    }

    #[test]
    fn a_flag_ends_a_read_soon() {
        let (mut stream, mut server) = pair();
        let flag = Arc::new(AtomicBool::new(false));
        let interrupt = Interrupt::from(flag.clone());
        stream.set_interrupt(interrupt.clone());
        let raiser = thread::spawn(move || {
            thread::sleep(ms(100));
            flag.store(true, Ordering::SeqCst);
        });
        let start = Instant::now();
        let mut buf = [0; 8];
        assert!(matches!(stream.read(&mut buf), Err(IoError::Interrupted)));
        assert!(start.elapsed() < ms(1500));
        raiser.join().unwrap();
        // A write is not disturbed by it, or a command would be sent by half.
        assert!(interrupt.raised());
        stream.write_all(b"yes").unwrap();
        assert_eq!(server.read(&mut buf).unwrap(), 3);
    }

    #[test]
    fn a_server_that_takes_nothing_ends_a_write() {
        let (mut stream, _server) = pair();
        stream.set_read_limit(ms(300));
        let error = stream.write_all(&vec![0; 64 << 20]).unwrap_err();
        assert!(matches!(error, IoError::TimedOut { .. }), "{error:?}");
    }

    #[test]
    fn what_is_queued_goes_out_as_far_as_there_is_room() {
        let (mut stream, mut server) = pair();
        assert!(stream.push().unwrap());
        assert!(stream.wait_ready(ms(0)).unwrap(), "there is room");
        stream.queue(&vec![7; 32 << 20]).unwrap();
        let start = Instant::now();
        assert!(!stream.push().unwrap());
        let left = stream.queued();
        assert!(left > 0 && left < 32 << 20, "{left}");
        assert!(!stream.wait_ready(ms(300)).unwrap(), "no room, no word");
        assert!(start.elapsed() >= ms(300));
        let mut buf = [0; 8];
        assert_eq!(stream.read_now(&mut buf).unwrap(), None);
        // Words that come end the wait, and are read although there is no room.
        server.write_all(b"word").unwrap();
        assert!(stream.wait_ready(ms(5000)).unwrap());
        assert_eq!(stream.read_now(&mut buf).unwrap(), Some(4));
        let reader = thread::spawn(move || {
            let mut all = vec![0; (32 << 20) + 1];
            server.read_exact(&mut all).unwrap();
            (all.pop(), all.iter().all(|&byte| byte == 7))
        });
        while !stream.push().unwrap() {
            assert!(stream.wait_ready(ms(5000)).unwrap());
        }
        assert_eq!(stream.queued(), 0);
        // What is written behind comes behind, also while the queue is not empty.
        stream.queue(b"").unwrap();
        stream.write_all(b"!").unwrap();
        assert_eq!(reader.join().unwrap(), (Some(b'!'), true));
        assert!(matches!(stream.read(&mut buf), Err(IoError::Closed)));
        assert!(matches!(stream.read_now(&mut buf), Err(IoError::Closed)));
    }

    #[test]
    fn a_slow_server_does_not_end_a_write() {
        let (mut stream, mut server) = pair();
        stream.set_read_limit(ms(1000));
        let total = 32 << 20;
        let reader = thread::spawn(move || {
            let mut buf = vec![0; 1 << 20];
            let mut sum = 0;
            loop {
                match server.read(&mut buf).unwrap() {
                    0 => return sum,
                    count => sum += count,
                }
                thread::sleep(ms(20));
            }
        });
        stream.write_all(&vec![7; total]).unwrap();
        stream.shutdown();
        assert_eq!(reader.join().unwrap(), total);
    }

    #[test]
    fn a_server_that_is_gone() {
        let (mut stream, server) = pair();
        drop(server);
        let mut buf = [0; 8];
        assert!(matches!(stream.read(&mut buf), Err(IoError::Closed)));
        let mut last = None;
        for _ in 0..50 {
            if let Err(error) = stream.write_all(b"x") {
                last = Some(error);
                break;
            }
            thread::sleep(ms(10));
        }
        assert!(matches!(last, Some(IoError::Closed | IoError::Broken(_))));
        stream.shutdown();
    }

    #[test]
    fn names_for_certificates() {
        for good in [
            "mail",
            "mail.example.org.",
            "192.0.2.1",
            "::1",
            "fe80::1%eth0",
        ] {
            assert!(server_name(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "a b", "/run/sock"] {
            assert!(
                matches!(server_name(bad), Err(TlsError::BadName { .. })),
                "{bad}"
            );
        }
    }

    #[test]
    fn errors_and_streams_can_be_sent_around() {
        fn check<T: Send + 'static>() {}
        fn check_both<T: Send + Sync + 'static>() {}
        check::<Stream>();
        check_both::<IoError>();
        check_both::<TlsError>();
        check_both::<ConnectError>();
        check_both::<super::super::FileError>();
    }

    #[test]
    fn words_have_no_numbers() {
        assert_eq!(
            words(&io::Error::from_raw_os_error(111)),
            "Connection refused"
        );
        assert_eq!(words(&io::Error::other("x (os error")), "x (os error");
    }
}
