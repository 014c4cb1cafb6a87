//! The connection itself: bytes in and out, in clear or in TLS, compressed or not, each wait limited.
//!
//! Not here: making the connection (`connect`), the layers below (`socket`, `tls_layer`), and how bytes are compressed (`deflate`).

use std::fmt;
use std::io;
use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::connect::{self, ConnectError};
use super::deflate::Deflate;
use super::io_error::{IoError, Stop};
use super::socket::Socket;
use super::tls_layer::{Tls, TlsInfo};
use super::transport::Transport;
use super::wait::{Ended, Interrupt, Timeouts, Wait};
use super::{Address, TlsError, TlsOptions};

/// How long saying goodbye may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// Reads that inflate to nothing before a read that does not wait gives up.
const MOST_EMPTY: usize = 64;

/// A connection to a server: TCP, a Unix socket or any other [`Transport`], with or without TLS.
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

/// What is known of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// The peer as `ip:port`, the socket's path, or the name given to [`Stream::over`].
    pub peer: String,
    /// What TLS agreed on; `None` in clear.
    pub tls: Option<TlsInfo>,
    /// Whether nobody on the network can listen: TLS, a Unix socket, a loopback peer, or a [private](Transport::is_private) transport.
    pub private: bool,
    /// Whether both directions are compressed (COMPRESS=DEFLATE, RFC 4978).
    pub compressed: bool,
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
        let socket = connect::connect(address, timeouts, interrupt)?;
        Ok(Stream::on(socket, timeouts.read, interrupt.clone()))
    }

    /// A connection over something that is connected already, with the default limit and a flag of its own; see
    /// [`set_read_limit`](Self::set_read_limit) and [`set_interrupt`](Self::set_interrupt).
    ///
    /// `peer` names the other end in messages. It plays no part in TLS: [`start_tls`](Self::start_tls) is told the host's name.
    pub fn over(transport: Box<dyn Transport>, peer: impl Into<String>) -> Stream {
        let socket = Socket::new(transport, peer.into());
        Stream::on(socket, Timeouts::default().read, Interrupt::new())
    }

    fn on(socket: Socket, limit: Duration, interrupt: Interrupt) -> Stream {
        Stream {
            socket,
            tls: None,
            deflate: None,
            queue: Queue::default(),
            interrupt,
            limit,
        }
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
        let tls = Tls::begin(&mut self.socket, host, options, timeouts.connect, interrupt)?;
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
                Some(tls) => tls.take(rest)?,
            };
            if count == 0 {
                return Err(Stop::Failed(io::ErrorKind::WriteZero.into()));
            }
            queue.taken += count.min(rest.len());
            wait.restart();
        }
        if self.tls.is_none() && !queue.bytes.is_empty() {
            self.socket.flush_within(wait)?;
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
            if self.socket.ready(&wait).map_err(IoError::Broken)? {
                return Ok(true);
            }
            if wait.check().is_err() {
                return Ok(false);
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
        let tls = self.tls.as_ref().map(Tls::info);
        Channel {
            peer: self.socket.peer().to_owned(),
            private: tls.is_some() || self.socket.is_private(),
            compressed: self.deflate.is_some(),
            tls,
        }
    }

    /// What names this very TLS connection on both of its ends and on no other one: the channel binding
    /// `tls-exporter` (RFC 9266 section 2). `None` in clear, and before TLS 1.3, where it would need the extended
    /// master secret.
    pub fn tls_exporter(&self) -> Option<Zeroizing<[u8; 32]>> {
        self.tls.as_ref()?.exporter()
    }

    /// Closes the connection, in TLS with a word of goodbye if that can be sent within two seconds. Nothing
    /// can be read or written afterwards.
    pub fn shutdown(&mut self) {
        // Ctrl-C may be why we leave: it must not keep us from leaving properly.
        let calm = Interrupt::new();
        if let Some(tls) = &mut self.tls {
            tls.say_goodbye(&mut self.socket, &mut Wait::new(&calm, GOODBYE));
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::sync::Arc;
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
    fn errors_and_streams_can_be_sent_around() {
        fn check<T: Send + 'static>() {}
        fn check_both<T: Send + Sync + 'static>() {}
        check::<Stream>();
        check_both::<IoError>();
        check_both::<TlsError>();
        check_both::<ConnectError>();
        check_both::<super::super::FileError>();
    }

    /// What a program might put under a session: it knows nothing of time limits.
    #[derive(Default)]
    struct Memory {
        words: VecDeque<u8>,
        held: Vec<u8>,
        flushed: Arc<std::sync::Mutex<Vec<u8>>>,
    }

    impl Read for Memory {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            self.words.read(buf)
        }
    }
    impl Write for Memory {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            self.held.extend_from_slice(buf);
            Ok(buf.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            self.flushed.lock().unwrap().append(&mut self.held);
            Ok(())
        }
    }
    impl Transport for Memory {}

    #[test]
    fn anything_that_reads_and_writes_carries_a_connection() {
        let memory = Memory {
            words: b"* OK\r\n".iter().copied().collect(),
            ..Memory::default()
        };
        let sent = Arc::clone(&memory.flushed);
        let mut stream = Stream::over(Box::new(memory), "memory");
        let info = stream.info();
        assert_eq!((info.peer.as_str(), info.private), ("memory", false));
        let mut buf = [0; 8];
        // A read that must not wait is not tried where nobody knows whether it would.
        assert_eq!(stream.read_now(&mut buf).unwrap(), None);
        assert_eq!(stream.read(&mut buf).unwrap(), 6);
        assert!(matches!(stream.read(&mut buf), Err(IoError::Closed)));
        stream.queue(b"a ").unwrap();
        assert!(stream.push().unwrap());
        stream.write_all(b"NOOP\r\n").unwrap();
        assert_eq!(*sent.lock().unwrap(), b"a NOOP\r\n");
        assert!(stream.wait_ready(ms(0)).unwrap());
        stream.shutdown();
    }

    #[test]
    fn sockets_made_elsewhere_are_transports() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut stream = Stream::over(Box::new(ours), "the other end");
        assert!(stream.info().private);
        let mut buf = [0; 8];
        assert_eq!(stream.read_now(&mut buf).unwrap(), None);
        let after = ms(20);
        stream.set_read_limit(after);
        assert!(
            matches!(stream.read(&mut buf), Err(IoError::TimedOut { after: told }) if told == after)
        );
        theirs.write_all(b"word").unwrap();
        assert_eq!(stream.read_now(&mut buf).unwrap(), Some(4));
        stream.shutdown();
        assert_eq!(theirs.read(&mut buf).unwrap(), 0);
    }
}
