//! A server that does what a test tells it to, and not what a server should.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use flate2::write::DeflateEncoder;
use flate2::{Compression, Decompress, FlushDecompress};
use imapadm::wire::{Framer, Input, Limits};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use socket2::{Domain, Socket, Type};

/// How long a script waits for the client.
const PATIENCE: Duration = Duration::from_secs(30);

/// A scripted server on a free port of 127.0.0.1, for as many connections as come, each in its thread.
///
/// Dropping it closes all connections and waits for the scripts. A script that panicked fails the test there.
pub struct Faulty {
    pub port: u16,
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<Vec<JoinHandle<()>>>>,
}

struct Shared {
    stopping: AtomicBool,
    sockets: Mutex<Vec<TcpStream>>,
    received: Mutex<Vec<String>>,
}

/// One connection, as its script sees it.
pub struct Conn {
    /// The how-manyeth connection this is, from 0: a script can behave better the second time.
    pub number: usize,
    socket: TcpStream,
    /// What the client and the script say: over the socket itself, or in TLS.
    channel: BufReader<Channel>,
    shared: Arc<Shared>,
}

enum Channel {
    Clear(TcpStream),
    Deflated(Inflating, DeflateEncoder<TcpStream>),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

/// Reads a deflate stream. flate2's own reader waits for more bytes while it still has some to give.
struct Inflating {
    socket: TcpStream,
    come: Decompress,
    buffer: Vec<u8>,
}

/// What a script unwinds with when the client has gone: that ends the script, and is no failure.
struct Gone;

impl Faulty {
    /// Starts a server whose every connection is given to the script. The connection closes when the script ends.
    pub fn script(script: impl Fn(&mut Conn) + Send + Sync + 'static) -> Faulty {
        Faulty::at("127.0.0.1".parse().expect("an address"), script)
    }

    /// The same with connections that hold some KiB on either side, as over a bad line, where those of this machine hold megabytes.
    pub fn narrow(script: impl Fn(&mut Conn) + Send + Sync + 'static) -> Faulty {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        // Short segments keep the client's own buffers small too; what is accepted has all of this from the listener.
        socket.set_tcp_mss(536).expect("short segments");
        socket.set_recv_buffer_size(2048).expect("a small buffer");
        socket.set_send_buffer_size(2048).expect("a small buffer");
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        socket.bind(&anywhere.into()).expect("a free port");
        socket.listen(16).expect("a listener");
        Faulty::on(socket.into(), script)
    }

    /// The same on another address of this machine.
    pub fn at(ip: IpAddr, script: impl Fn(&mut Conn) + Send + Sync + 'static) -> Faulty {
        Faulty::on(TcpListener::bind((ip, 0)).expect("a free port"), script)
    }

    fn on(listener: TcpListener, script: impl Fn(&mut Conn) + Send + Sync + 'static) -> Faulty {
        let address = listener.local_addr().expect("its address");
        let port = address.port();
        let shared = Arc::new(Shared {
            stopping: AtomicBool::new(false),
            sockets: Mutex::default(),
            received: Mutex::default(),
        });
        let (theirs, script) = (Arc::clone(&shared), Arc::new(script));
        let acceptor = thread::spawn(move || {
            let mut threads = Vec::new();
            for (number, socket) in listener.incoming().enumerate() {
                let socket = socket.expect("an accepted connection");
                theirs
                    .sockets
                    .lock()
                    .expect("the sockets")
                    .push(socket.try_clone().expect("a second handle"));
                // Looked at after the socket is listed: a drop sees either the one or the other.
                if theirs.stopping.load(Ordering::SeqCst) {
                    break;
                }
                let (shared, script) = (Arc::clone(&theirs), Arc::clone(&script));
                threads.push(thread::spawn(move || {
                    serve(number, socket, shared, &*script)
                }));
            }
            threads
        });
        Faulty {
            port,
            address,
            shared,
            acceptor: Some(acceptor),
        }
    }

    /// All lines that the scripts read so far, of all connections, in the order of their arrival.
    pub fn received(&self) -> Vec<String> {
        self.shared.received.lock().expect("the lines").clone()
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.shared.sockets.lock().expect("the sockets").len()
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // A last connection wakes the acceptor, which then sees that it should stop.
        let _ = TcpStream::connect(self.address);
        for socket in self.shared.sockets.lock().expect("the sockets").iter() {
            // Most are closed already.
            let _ = socket.shutdown(Shutdown::Both);
        }
        let Some(threads) = self.acceptor.take().and_then(|thread| thread.join().ok()) else {
            return;
        };
        for thread in threads {
            if let Err(panic) = thread.join() {
                // Two panics at once would abort the whole test program.
                if !thread::panicking() {
                    resume_unwind(panic);
                }
            }
        }
    }
}

fn serve(number: usize, socket: TcpStream, shared: Arc<Shared>, script: &dyn Fn(&mut Conn)) {
    socket.set_read_timeout(Some(PATIENCE)).expect("a limit");
    socket.set_write_timeout(Some(PATIENCE)).expect("a limit");
    socket.set_nodelay(true).expect("no delay");
    let channel = Channel::Clear(socket.try_clone().expect("a second handle"));
    let mut conn = Conn {
        number,
        socket,
        channel: BufReader::new(channel),
        shared,
    };
    let outcome = catch_unwind(AssertUnwindSafe(|| script(&mut conn)));
    conn.close();
    match outcome {
        Err(panic) if !panic.is::<Gone>() => resume_unwind(panic),
        _ => {}
    }
}

impl Conn {
    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let channel = self.channel.get_mut();
        if channel
            .write_all(bytes.as_ref())
            .and_then(|()| channel.flush())
            .is_err()
        {
            gone();
        }
    }

    /// Goes over to TLS. When the client breaks the handshake off, this says with which words, and all that is left
    /// for the script is to end.
    pub fn start_tls(&mut self, config: &Arc<ServerConfig>) -> Result<(), String> {
        assert_eq!(
            self.channel.buffer(),
            b"",
            "the client spoke before it had the word to begin TLS"
        );
        let mut tls = ServerConnection::new(Arc::clone(config)).expect("a TLS configuration");
        let mut socket = self.socket.try_clone().expect("a second handle");
        while tls.is_handshaking() {
            tls.complete_io(&mut socket)
                .map_err(|error| error.to_string())?;
        }
        self.channel = BufReader::new(Channel::Tls(Box::new(StreamOwned::new(tls, socket))));
        Ok(())
    }

    /// The same, where a client that breaks it off is what the test is about: the script ends then.
    pub fn tls_or_gone(&mut self, config: &Arc<ServerConfig>) {
        if self.start_tls(config).is_err() {
            gone();
        }
    }

    /// Greets as a server with these capabilities beside IMAP4rev1, and lets in whoever sends LOGIN.
    #[track_caller]
    pub fn let_in(&mut self, capabilities: &str) {
        let code = format!("[CAPABILITY IMAP4rev1 {capabilities}]");
        self.send(format!("* OK {code} ready\r\n"));
        let (tag, command) = self.expect_command();
        assert!(command.starts_with("LOGIN "), "not LOGIN but {command:?}");
        self.send(format!("{tag} OK {code} in\r\n"));
    }

    /// Compresses both directions (RFC 4978) of a connection in clear.
    pub fn start_deflate(&mut self) {
        assert_eq!(self.channel.buffer(), b"", "the client spoke too early");
        let socket = || self.socket.try_clone().expect("a second handle");
        let sent = DeflateEncoder::new(socket(), Compression::default());
        let channel = Channel::Deflated(Inflating::new(socket()), sent);
        self.channel = BufReader::new(channel);
    }

    /// What both ends of this TLS connection, and nobody else, can derive (RFC 9266 section 2).
    pub fn tls_exporter(&mut self) -> [u8; 32] {
        let Channel::Tls(tls) = self.channel.get_mut() else {
            panic!("it has no TLS")
        };
        let label = b"EXPORTER-Channel-Binding";
        let derived = tls.conn.export_keying_material([0; 32], label, Some(b""));
        derived.expect("the handshake is done")
    }

    /// Sends bytes one at a time, each in a packet of its own, with a pause between them.
    pub fn send_slowly(&mut self, bytes: impl AsRef<[u8]>, pause: Duration) {
        for byte in bytes.as_ref() {
            self.send([*byte]);
            self.stall(pause);
        }
    }

    /// The next line without its end, or none when the client closed the connection.
    #[track_caller]
    pub fn line(&mut self) -> Option<String> {
        let mut bytes = self.bytes_of_line()?;
        while bytes.last().is_some_and(|last| b"\r\n".contains(last)) {
            bytes.pop();
        }
        let line = String::from_utf8_lossy(&bytes).into_owned();
        let mut received = self.shared.received.lock().expect("the lines");
        received.push(line.clone());
        Some(line)
    }

    /// The next line as it is, with its end.
    #[track_caller]
    fn bytes_of_line(&mut self) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        match self.channel.read_until(b'\n', &mut bytes) {
            Ok(0) => None,
            Ok(_) => Some(bytes),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                panic!("the client sent no line within {PATIENCE:?}")
            }
            Err(_) => None,
        }
    }

    /// The next line. When the client has gone, the script ends here.
    #[track_caller]
    pub fn expect_line(&mut self) -> String {
        self.line().unwrap_or_else(|| gone())
    }

    /// Whether the client has sent more than was read of it. In clear only.
    pub fn has_more(&mut self) -> bool {
        let mut byte = [0];
        self.socket.set_nonblocking(true).expect("a mode");
        let waiting = self.socket.peek(&mut byte);
        self.socket.set_nonblocking(false).expect("a mode");
        !self.channel.buffer().is_empty() || matches!(waiting, Ok(1))
    }

    /// The next line, split into its tag and the rest.
    #[track_caller]
    pub fn expect_command(&mut self) -> (String, String) {
        let line = self.expect_line();
        let (tag, rest) = line.split_once(' ').unwrap_or((&line, ""));
        (tag.to_owned(), rest.to_owned())
    }

    /// The next command with its literals, and without its line end. Where the client waits to send one, it is asked for it.
    #[track_caller]
    pub fn expect_whole_command(&mut self) -> Vec<u8> {
        let mut framer = Framer::new(Limits::default());
        loop {
            match framer.next_command().expect("a command of some length") {
                Some(Input::Command(frame)) => return framer.bytes(frame).to_vec(),
                Some(Input::NeedContinuation { .. }) => {
                    framer.go_on().expect("a literal of some length");
                    self.send("+ go on\r\n");
                }
                None => {
                    // A line at a time: what stands behind the command is for whoever reads next.
                    let line = self.bytes_of_line().unwrap_or_else(|| gone());
                    for part in line.chunks(1024) {
                        framer.space()[..part.len()].copy_from_slice(part);
                        framer.filled(part.len());
                    }
                }
            }
        }
    }

    /// So many bytes, whatever they are.
    pub fn expect_bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        if self.channel.read_exact(&mut bytes).is_err() {
            gone();
        }
        bytes
    }

    /// Answers each command until the client goes: `answer` gets the tag and the command and returns the bytes.
    pub fn answer(&mut self, mut answer: impl FnMut(&str, &str) -> String) {
        loop {
            let (tag, command) = self.expect_command();
            let reply = answer(&tag, &command);
            self.send(reply);
        }
    }

    /// Waits, but no longer than the test lasts.
    pub fn stall(&mut self, time: Duration) {
        let deadline = Instant::now() + time;
        while Instant::now() < deadline {
            if self.shared.stopping.load(Ordering::SeqCst) {
                gone();
            }
            let rest = deadline.saturating_duration_since(Instant::now());
            thread::sleep(rest.min(Duration::from_millis(10)));
        }
    }

    /// Takes the client's first TLS record and answers with what is none.
    pub fn garble_handshake(&mut self) {
        let header = self.expect_bytes(5);
        let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
        self.expect_bytes(length);
        self.send(b"\xde\xad\xbe\xef this is not TLS \x00\xff\r\n");
    }

    /// Ends the connection, in both directions.
    pub fn close(&mut self) {
        if let Channel::Tls(tls) = self.channel.get_mut() {
            tls.conn.send_close_notify();
            let _ = tls.flush();
        }
        // The client may have been quicker.
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    /// Sends no more, but still reads.
    pub fn close_sending(&mut self) {
        let _ = self.socket.shutdown(Shutdown::Write);
    }
}

impl Inflating {
    fn new(socket: TcpStream) -> Inflating {
        Inflating {
            socket,
            come: Decompress::new(false),
            buffer: Vec::new(),
        }
    }
}

impl Read for Inflating {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            let before = (self.come.total_in(), self.come.total_out());
            self.come
                .decompress(&self.buffer, buffer, FlushDecompress::None)?;
            self.buffer
                .drain(..(self.come.total_in() - before.0) as usize);
            let made = (self.come.total_out() - before.1) as usize;
            if made > 0 {
                return Ok(made);
            }
            let mut more = [0; 4096];
            match self.socket.read(&mut more)? {
                0 => return Ok(0),
                count => self.buffer.extend_from_slice(&more[..count]),
            }
        }
    }
}

impl Read for Channel {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Channel::Clear(socket) => socket.read(buffer),
            Channel::Deflated(come, _) => come.read(buffer),
            Channel::Tls(tls) => tls.read(buffer),
        }
    }
}

impl Write for Channel {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Channel::Clear(socket) => socket.write(bytes),
            Channel::Deflated(_, sent) => sent.write(bytes),
            Channel::Tls(tls) => tls.write(bytes),
        }
    }
    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Channel::Clear(socket) => socket.flush(),
            Channel::Deflated(_, sent) => sent.flush(),
            Channel::Tls(tls) => tls.flush(),
        }
    }
}

fn gone() -> ! {
    // Not panic!, which would print a message.
    resume_unwind(Box::new(Gone))
}

/// A server that says OK to everything, and NO to what names a mailbox with «bad» in it.
pub fn willing() -> Faulty {
    Faulty::script(|conn| {
        conn.let_in("ACL QUOTA");
        conn.answer(|tag, command| {
            if command.contains("bad") {
                format!("{tag} NO [CANNOT] the server's own words\r\n")
            } else if let Some(root) = command.strip_prefix("GETQUOTA ") {
                format!("* QUOTA {root} ()\r\n{tag} OK done\r\n")
            } else {
                format!("{tag} OK done\r\n")
            }
        });
    })
}

/// What the server was told to create, in its order.
pub fn created(server: &Faulty) -> Vec<String> {
    let received = server.received();
    let names = received
        .iter()
        .filter_map(|line| line.split_once("CREATE "));
    names.map(|(_, name)| name.to_owned()).collect()
}
