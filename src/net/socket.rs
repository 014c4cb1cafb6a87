//! The transport under a stream, with a limit on every wait.
//!
//! A transport blocks for a slice of time at most; between slices the limit and the interrupt flag are looked at. Not here: TLS
//! (`tls_layer`), and what can carry bytes (`transport`).

use std::io::{self, IoSlice, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::io_error::Stop;
use super::transport::{Ready, Transport};
use super::wait::{Ended, Wait};

/// The bounds of the silence after which the system asks whether the other end is still there.
const SHORTEST_SILENCE: Duration = Duration::from_secs(10);
const LONGEST_SILENCE: Duration = Duration::from_secs(600);
/// How often it asks before it takes the other end for gone.
const PROBES: u32 = 5;

/// A transport, and what is known of it.
pub(super) struct Socket {
    transport: Box<dyn Transport>,
    peer: String,
    /// Whether nobody can listen in.
    private: bool,
    /// The time limit set on the transport.
    slice: Duration,
    /// Whether it is not to block at all now, whatever that limit.
    at_once: bool,
}

impl Socket {
    /// A TCP connection. From then on the system asks the other end, when nothing was said for `silence`, whether it is still there.
    pub(super) fn tcp(stream: TcpStream, silence: Duration) -> io::Result<Self> {
        // Commands are small and each waits for its answer: holding them back only costs time.
        stream.set_nodelay(true)?;
        keep_alive(&stream, silence);
        let peer = stream.peer_addr()?.to_string();
        Ok(Self::new(Box::new(Tcp(stream)), peer))
    }

    pub(super) fn unix(stream: UnixStream, path: String) -> Self {
        Self::new(Box::new(stream), path)
    }

    pub(super) fn new(transport: Box<dyn Transport>, peer: String) -> Self {
        Socket {
            private: transport.is_private(),
            transport,
            peer,
            slice: Duration::ZERO,
            at_once: false,
        }
    }

    /// Who is at the other end.
    pub(super) fn peer(&self) -> &str {
        &self.peer
    }

    /// Whether nobody can listen in.
    pub(super) fn is_private(&self) -> bool {
        self.private
    }

    /// How long each step may block; zero is not at all.
    fn set_slice(&mut self, slice: Duration) -> io::Result<()> {
        self.at_once = slice.is_zero();
        if !self.at_once && slice != self.slice {
            self.transport.set_timeout(slice)?;
            self.slice = slice;
        }
        Ok(())
    }

    /// Does one step as soon as the transport is ready for it. It is tried once even if no time is left.
    pub(super) fn when_ready<T>(
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

    pub(super) fn write_within(
        &mut self,
        mut bytes: &[u8],
        wait: &mut Wait<'_>,
    ) -> Result<(), Stop> {
        while !bytes.is_empty() {
            match self.when_ready(wait, |socket| socket.write(bytes))? {
                0 => return Err(Stop::Failed(io::ErrorKind::WriteZero.into())),
                count => bytes = &bytes[count.min(bytes.len())..],
            }
            wait.restart();
        }
        self.flush_within(wait)
    }

    /// Has the transport send what it may hold back.
    pub(super) fn flush_within(&mut self, wait: &Wait<'_>) -> Result<(), Stop> {
        self.when_ready(wait, Socket::flush)
    }

    /// Waits for one slice until something can be read or more can be sent: whether that is so.
    pub(super) fn ready(&mut self, wait: &Wait<'_>) -> io::Result<bool> {
        let Ready { read, write } = self.transport.ready(wait.slice())?;
        Ok(read || write)
    }

    pub(super) fn close(&mut self) {
        // One that is closed already is as good.
        let _ = self.transport.close();
    }
}

impl Read for Socket {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.at_once {
            self.transport.read_now(buf)
        } else {
            self.transport.read(buf)
        }
    }
}

impl Write for Socket {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.at_once {
            self.transport.write_now(&[IoSlice::new(buf)])
        } else {
            self.transport.write(buf)
        }
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.at_once {
            self.transport.write_now(bufs)
        } else {
            self.transport.write_vectored(bufs)
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.transport.flush()
    }
}

/// A TCP connection that acknowledges at once what has come and what comes next (TCP_QUICKACK), where the system can be told so.
///
/// A server that sends its words in small parts (Cyrus: two TLS session tickets, then the first answer) holds each
/// back until the one before is acknowledged, and Linux takes 40 ms for that on a connection that looks like a
/// dialogue. The system forgets what it was told with the next thing that is sent, and it does send an
/// acknowledgement that is due when told, hence before each read. Over STARTTLS this brought the time that a login
/// to Cyrus waits from 51 ms to 13 ms.
struct Tcp(TcpStream);

impl Tcp {
    fn acknowledge_at_once(&self) {
        #[cfg(target_os = "linux")]
        // Without it everything works, only later.
        let _ = rustix::net::sockopt::set_tcp_quickack(&self.0, true);
    }
}

impl Read for Tcp {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.acknowledge_at_once();
        self.0.read(buf)
    }
}

impl Write for Tcp {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Transport for Tcp {
    fn set_timeout(&mut self, limit: Duration) -> io::Result<()> {
        self.0.set_timeout(limit)
    }

    fn ready(&mut self, limit: Duration) -> io::Result<Ready> {
        self.0.ready(limit)
    }

    fn read_now(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.acknowledge_at_once();
        self.0.read_now(buf)
    }

    fn write_now(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.write_now(bufs)
    }

    fn is_private(&self) -> bool {
        self.0.is_private()
    }

    fn close(&mut self) -> io::Result<()> {
        self.0.close()
    }
}

/// Has the system ask the other end, when nothing was said for `silence`, whether it is still there.
fn keep_alive(stream: &TcpStream, silence: Duration) {
    #[cfg(target_os = "linux")]
    {
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
