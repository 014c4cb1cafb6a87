//! What a connection can run over: TCP, a Unix socket, or anything else that carries bytes both ways.
//!
//! Not here: time limits and interrupts (`socket`), which are the same over each of them.

use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, recv, sendmsg};

/// A stream of bytes in both directions, to talk IMAP over: see [`Stream::over`](super::Stream::over).
///
/// `TcpStream` and `UnixStream` are transports. For anything else (an SSH channel, a proxy, the two pipes of a process, memory), implement
/// `Read` and `Write`; both block. The methods here have defaults that are right for a stream that can only block. Implement those that
/// the stream can do better:
///
/// - Without [`set_timeout`](Self::set_timeout), a read blocks for as long as it likes: a time limit or an
///   [`Interrupt`](super::Interrupt) takes effect only when it returns.
/// - Without [`ready`](Self::ready), nothing is read while something is being sent. A peer that stops reading until its own words are
///   read then blocks both ends. IMAP servers rarely do.
///
/// A read that returns 0 is the end of the connection.
///
/// ```
/// use std::io::{self, Read, Write};
/// use imapadm::net::{Stream, Transport};
///
/// /// A server that says one thing.
/// struct Canned(&'static [u8]);
///
/// impl Read for Canned {
///     fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
///         self.0.read(buf)
///     }
/// }
/// impl Write for Canned {
///     fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
///         Ok(buf.len())
///     }
///     fn flush(&mut self) -> io::Result<()> {
///         Ok(())
///     }
/// }
/// impl Transport for Canned {}
///
/// let mut stream = Stream::over(Box::new(Canned(b"* OK hello\r\n")), "a canned server");
/// let mut buf = [0; 64];
/// let count = stream.read(&mut buf)?;
/// assert_eq!(&buf[..count], b"* OK hello\r\n");
/// # Ok::<(), imapadm::net::IoError>(())
/// ```
pub trait Transport: Read + Write + Send {
    /// Limits each read and each write from now on to `limit`, which is never zero and at most 0.2 seconds. One that takes longer fails
    /// with [`WouldBlock`](io::ErrorKind::WouldBlock), and is tried again if there is time left.
    ///
    /// # Errors
    /// The limit can't be set. The connection is given up then.
    fn set_timeout(&mut self, _limit: Duration) -> io::Result<()> {
        Ok(())
    }

    /// Waits at most `limit` until one byte at least can be read or written without waiting, and says which. Zero: as it is now.
    ///
    /// # Errors
    /// The system can't wait. The connection is given up then.
    fn ready(&mut self, limit: Duration) -> io::Result<Ready> {
        Ok(Ready {
            // It is not known, and a read that isn't to wait must not be tried.
            read: !limit.is_zero(),
            write: true,
        })
    }

    /// Reads what has come, without waiting.
    ///
    /// # Errors
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) where nothing has; otherwise as `read`.
    fn read_now(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.ready(Duration::ZERO)?.read {
            self.read(buf)
        } else {
            Err(io::ErrorKind::WouldBlock.into())
        }
    }

    /// Writes as much as there is room for, without waiting.
    ///
    /// # Errors
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) where there is no room; otherwise as `write`.
    fn write_now(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.ready(Duration::ZERO)?.write {
            self.write_vectored(bufs)
        } else {
            Err(io::ErrorKind::WouldBlock.into())
        }
    }

    /// Whether nobody can listen in: the bytes never leave this machine, or are encrypted already. A password may then be sent
    /// without TLS.
    fn is_private(&self) -> bool {
        false
    }

    /// Closes the connection. Nothing is read or written afterwards.
    ///
    /// # Errors
    /// They are ignored: a connection that is gone already is closed.
    fn close(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a [`Transport`] can do without waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ready {
    /// A read: something has come, or the connection is at its end.
    pub read: bool,
    /// A write.
    pub write: bool,
}

/// A dead connection must not end the program by a signal. Apple's sockets are told so when Rust makes them.
#[cfg(not(target_vendor = "apple"))]
const AT_ONCE: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);
#[cfg(target_vendor = "apple")]
const AT_ONCE: SendFlags = SendFlags::DONTWAIT;

/// What the two kinds of sockets have in common; only who can listen in differs.
macro_rules! socket_methods {
    () => {
        fn set_timeout(&mut self, limit: Duration) -> io::Result<()> {
            self.set_read_timeout(Some(limit))?;
            self.set_write_timeout(Some(limit))
        }

        fn ready(&mut self, limit: Duration) -> io::Result<Ready> {
            poll_socket(&*self, limit)
        }

        fn read_now(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let (count, _) = recv(&*self, buf, RecvFlags::DONTWAIT)?;
            Ok(count)
        }

        fn write_now(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
            let mut nothing_else = SendAncillaryBuffer::default();
            Ok(sendmsg(&*self, bufs, &mut nothing_else, AT_ONCE)?)
        }

        fn close(&mut self) -> io::Result<()> {
            self.shutdown(Shutdown::Both)
        }
    };
}

impl Transport for TcpStream {
    socket_methods!();

    /// Only where the peer is on this machine.
    fn is_private(&self) -> bool {
        self.peer_addr()
            .is_ok_and(|peer| super::address::is_loopback(peer.ip()))
    }
}

impl Transport for UnixStream {
    socket_methods!();

    fn is_private(&self) -> bool {
        true
    }
}

/// What a socket can do, within `limit`; a signal ends the wait early.
fn poll_socket(socket: impl AsFd, limit: Duration) -> io::Result<Ready> {
    let limit = Timespec::try_from(limit).map_err(io::Error::other)?;
    let mut polled = [PollFd::new(&socket, PollFlags::IN | PollFlags::OUT)];
    match poll(&mut polled, Some(&limit)) {
        Ok(0) | Err(rustix::io::Errno::INTR) => return Ok(Ready::default()),
        result => result?,
    };
    let [socket] = &polled;
    let told = socket.revents();
    // An error or an end shows at the next read or write, neither of which waits then.
    let over = told.intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL);
    Ok(Ready {
        read: over || told.contains(PollFlags::IN),
        write: over || told.contains(PollFlags::OUT),
    })
}
