//! Making a connection: resolving a name, trying its addresses, and saying which failed and why.
//!
//! The addresses are tried as RFC 8305 (Happy Eyeballs) has it: IPv6 and IPv4 by turns, the next one soon after the one before, and
//! whichever answers first is taken. A route that is dead costs a quarter of a second, not the whole limit.

use std::fmt::Write as _;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with, sockopt};

use super::Address;
use super::socket::Socket;
use super::text::{seconds, words};
use super::wait::{Ended, Interrupt, Timeouts, Wait, in_background};

/// How long an address is waited for before the next one is tried beside it (RFC 8305 section 5).
const STAGGER: Duration = Duration::from_millis(250);

/// One address that was tried, and why it failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// `ip:port`.
    pub address: String,
    /// Why it failed, in the system's words.
    pub reason: String,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The name has no address.
    #[error(
        "the host {host:?} has no address: {reason}; check the spelling; if it is correct, check name resolution (`getent hosts {host}`)"
    )]
    NoSuchHost {
        /// The name.
        host: String,
        /// The resolver's words.
        reason: String,
    },
    /// The resolver did not answer.
    #[error(
        "looking up the host {host:?} took longer than {}; check the name servers of this machine",
        seconds(after)
    )]
    LookupTimedOut {
        /// The name.
        host: String,
        /// The limit.
        after: Duration,
    },
    /// Every address failed, not all of them by silence.
    #[error(
        "cannot connect to {to}{}; check that the server is running and listens on this port",
        list(to, tried)
    )]
    Refused {
        /// The address as the user knows it.
        to: String,
        /// All addresses, in the order in which they were tried.
        tried: Vec<Attempt>,
    },
    /// No address answered at all.
    #[error(
        "{to} did not answer within {}{}; check the address and the port, and any firewall in between",
        seconds(after),
        list(to, tried)
    )]
    TimedOut {
        /// The address as the user knows it.
        to: String,
        /// The limit for all addresses together.
        after: Duration,
        /// All addresses, in the order in which they were tried.
        tried: Vec<Attempt>,
    },
    /// A Unix socket that can't be connected to.
    #[error("cannot connect to the socket {}: {}; {}", path.display(), words(source), socket_advice(source))]
    Socket {
        /// Its path.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The interrupt flag is raised.
    #[error("interrupted while connecting")]
    Interrupted,
    /// This machine refused what any connection needs, such as a thread.
    #[error("this machine cannot open a connection now: {}; check its limits (`ulimit -a`)", words(.0))]
    System(#[source] io::Error),
}

fn list(to: &str, tried: &[Attempt]) -> String {
    // An address given as a number is what was tried: it need not be said twice.
    if let [Attempt { address, reason }] = tried
        && address == to
    {
        return format!(": {reason}");
    }
    let mut text = String::new();
    for (index, Attempt { address, reason }) in tried.iter().enumerate() {
        let before = if index == 0 { ": " } else { "; " };
        // Writing to a string does not fail.
        let _ = write!(text, "{before}{address}: {reason}");
    }
    text
}

fn socket_advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "check the path, and that the server is running",
        io::ErrorKind::PermissionDenied => "run imapadm as a user who may use it",
        io::ErrorKind::ConnectionRefused => "no server listens on it; start one",
        io::ErrorKind::TimedOut => "the server does not accept connections; check it",
        _ => "check that it is the server's socket",
    }
}

/// Connects within `timeouts.connect` for everything together.
pub(super) fn connect(
    address: &Address,
    timeouts: &Timeouts,
    interrupt: &Interrupt,
) -> Result<Socket, ConnectError> {
    let limit = timeouts.connect;
    let wait = Wait::new(interrupt, limit);
    let (host, port) = match address {
        Address::Unix(path) => return unix(path, &wait, limit),
        Address::Tcp { host, port } => (host, *port),
    };
    let found = by_turns(resolve(host, port, &wait, limit)?);
    let to = address.to_string();
    let tried = match race(&found, &wait)? {
        Ok(stream) => return Socket::tcp(stream, timeouts.read).map_err(ConnectError::System),
        Err(failed) => failed,
    };
    let answered = tried.iter().any(|(_, why)| matches!(why, Failed::Told(_)));
    let tried = tried
        .into_iter()
        .map(|(peer, why)| Attempt {
            address: peer.to_string(),
            reason: match why {
                Failed::Told(words) => words,
                Failed::Silent(after) => format!("no answer within {}", seconds(&after)),
            },
        })
        .collect();
    Err(if answered {
        ConnectError::Refused { to, tried }
    } else {
        ConnectError::TimedOut {
            to,
            after: limit,
            tried,
        }
    })
}

/// The addresses of the two families by turns; the family that the system prefers goes first (RFC 8305 section 4).
fn by_turns(found: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let Some(first) = found.first().map(SocketAddr::is_ipv6) else {
        return found;
    };
    let (one, other): (Vec<_>, Vec<_>) = found
        .into_iter()
        .partition(|address| address.is_ipv6() == first);
    let (mut one, mut other) = (one.into_iter(), other.into_iter());
    std::iter::from_fn(|| {
        let turn = [one.next(), other.next()];
        turn.iter().any(Option::is_some).then_some(turn)
    })
    .flatten()
    .flatten()
    .collect()
}

/// Why an address is of no use.
#[derive(Debug)]
enum Failed {
    /// The system's words.
    Told(String),
    /// It was waited for so long.
    Silent(Duration),
}

/// A connection that is on its way. Dropping it gives it up.
struct Trying {
    place: usize,
    socket: OwnedFd,
    since: Instant,
}

/// The addresses and why each of them failed.
type Failures = Vec<(SocketAddr, Failed)>;

/// Connects to the first address that answers, and gives up the others.
///
/// # Errors
/// The outer error is one that ends all of it. The inner one is every address, with what was wrong with it.
fn race(
    found: &[SocketAddr],
    wait: &Wait<'_>,
) -> Result<Result<TcpStream, Failures>, ConnectError> {
    // However short the limit is, each of them is tried.
    let stagger = u32::try_from(found.len()).map_or(Duration::ZERO, |count| wait.left() / count);
    let stagger = stagger.min(STAGGER);
    let mut failed: Vec<Option<Failed>> = found.iter().map(|_| None).collect();
    let mut waiting = found.iter().enumerate();
    let mut trying: Vec<Trying> = Vec::new();
    let mut next = Some(Instant::now());
    loop {
        match wait.check() {
            Ok(()) => {}
            Err(Ended::Interrupted) => return Err(ConnectError::Interrupted),
            Err(Ended::TimedOut) => break,
        }
        if trying.is_empty() || next.is_some_and(|next| next <= Instant::now()) {
            match waiting.next() {
                None if trying.is_empty() => break,
                None => next = None,
                Some((place, peer)) => {
                    let since = Instant::now();
                    match begin(peer) {
                        Ok(socket) => {
                            next = Some(since + stagger);
                            trying.push(Trying {
                                place,
                                socket,
                                since,
                            });
                        }
                        // The next one's turn is now.
                        Err(error) => {
                            failed[place] = Some(Failed::Told(words(&error)));
                            continue;
                        }
                    }
                }
            }
        }
        let until_next = next.map(|next| next.saturating_duration_since(Instant::now()));
        let slice = until_next.map_or(wait.slice(), |left| left.min(wait.slice()));
        for place in ready(&trying, slice)
            .map_err(ConnectError::System)?
            .into_iter()
            .rev()
        {
            let one = trying.swap_remove(place);
            match sockopt::socket_error(&one.socket).and_then(|result| result) {
                Ok(()) => {
                    let stream = TcpStream::from(one.socket);
                    stream
                        .set_nonblocking(false)
                        .map_err(ConnectError::System)?;
                    return Ok(Ok(stream));
                }
                Err(error) => {
                    failed[one.place] = Some(Failed::Told(words(&error.into())));
                    next = next.map(|_| Instant::now());
                }
            }
        }
    }
    for one in &trying {
        failed[one.place] = Some(Failed::Silent(rounded(one.since.elapsed())));
    }
    let why = failed
        .into_iter()
        .map(|why| why.unwrap_or(Failed::Silent(Duration::ZERO)));
    Ok(Err(found.iter().copied().zip(why).collect()))
}

/// Starts to connect.
fn begin(peer: &SocketAddr) -> io::Result<OwnedFd> {
    let family = match peer {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    match rustix::net::connect(&socket, peer) {
        Ok(()) | Err(Errno::INPROGRESS | Errno::INTR) => Ok(socket),
        Err(error) => Err(error.into()),
    }
}

/// The places of those of which something is known, in order; none if nothing happens for that long.
fn ready(trying: &[Trying], limit: Duration) -> io::Result<Vec<usize>> {
    let mut polled: Vec<_> = trying
        .iter()
        .map(|one| PollFd::new(&one.socket, PollFlags::OUT))
        .collect();
    let limit = Timespec::try_from(limit).map_err(io::Error::other)?;
    match poll(&mut polled, Some(&limit)) {
        // A signal: whoever waits looks at the flag.
        Err(Errno::INTR) => return Ok(Vec::new()),
        result => result?,
    };
    let told = polled.iter().enumerate();
    Ok(told
        .filter(|(_, one)| !one.revents().is_empty())
        .map(|(place, _)| place)
        .collect())
}

/// In tenths of a second, as nobody counts them more finely.
fn rounded(time: Duration) -> Duration {
    let tenths = (time.as_secs_f64() * 10.0).round() / 10.0;
    Duration::try_from_secs_f64(tenths).unwrap_or(time)
}

fn unix(path: &Path, wait: &Wait<'_>, limit: Duration) -> Result<Socket, ConnectError> {
    let owned = path.to_owned();
    let failed = |source| ConnectError::Socket {
        path: path.to_owned(),
        source,
    };
    // It blocks as long as the server's queue is full.
    let result =
        in_background(wait, move || UnixStream::connect(owned)).map_err(ConnectError::System)?;
    match result {
        Ok(Ok(stream)) => Ok(Socket::unix(stream, path.display().to_string())),
        Ok(Err(error)) => Err(failed(error)),
        Err(Ended::Interrupted) => Err(ConnectError::Interrupted),
        Err(Ended::TimedOut) => Err(failed(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("no answer within {}", seconds(&limit)),
        ))),
    }
}

/// The name's addresses in the system's order of preference, each once.
fn resolve(
    host: &str,
    port: u16,
    wait: &Wait<'_>,
    limit: Duration,
) -> Result<Vec<SocketAddr>, ConnectError> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let no_such_host = |reason: String| ConnectError::NoSuchHost {
        host: host.to_owned(),
        reason,
    };
    let owned = host.to_owned();
    let result = in_background(wait, move || {
        (owned.as_str(), port)
            .to_socket_addrs()
            .map(|found| found.collect::<Vec<_>>())
    })
    .map_err(ConnectError::System)?;
    let found = match result {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => {
            let words = words(&error);
            let reason = words
                .strip_prefix("failed to lookup address information: ")
                .unwrap_or(&words);
            return Err(no_such_host(reason.to_owned()));
        }
        Err(Ended::Interrupted) => return Err(ConnectError::Interrupted),
        Err(Ended::TimedOut) => {
            return Err(ConnectError::LookupTimedOut {
                host: host.to_owned(),
                after: limit,
            });
        }
    };
    let mut unique: Vec<SocketAddr> = Vec::with_capacity(found.len());
    for address in found {
        if !unique.contains(&address) {
            unique.push(address);
        }
    }
    if unique.is_empty() {
        return Err(no_such_host("the lookup found none".to_owned()));
    }
    Ok(unique)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;
    use std::time::Instant;

    fn within(connect: Duration) -> Timeouts {
        Timeouts {
            connect,
            ..Timeouts::default()
        }
    }

    fn tcp(host: &str, port: u16) -> Address {
        Address::Tcp {
            host: host.to_owned(),
            port,
        }
    }

    fn error(address: &Address, limit: Duration) -> ConnectError {
        match connect(address, &within(limit), &Interrupt::new()) {
            Ok(_) => panic!("connected to {address}"),
            Err(error) => error,
        }
    }

    /// A port on which nobody listens any more.
    fn free_port() -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    }

    #[test]
    fn a_refusal_lists_every_address() {
        let port = free_port();
        let error = error(&tcp("localhost", port), Duration::from_secs(5));
        let ConnectError::Refused { tried, .. } = &error else {
            panic!("{error}");
        };
        assert!(!tried.is_empty());
        let words = error.to_string();
        for attempt in tried {
            assert!(words.contains(&attempt.address), "{words}");
        }
        assert!(
            words.contains("refused") && !words.contains("os error"),
            "{words}"
        );
    }

    #[test]
    fn a_name_that_does_not_resolve() {
        let error = error(&tcp("nobody.invalid", 143), Duration::from_secs(20));
        // Without any name service the lookup may also hang.
        assert!(
            matches!(
                error,
                ConnectError::NoSuchHost { .. } | ConnectError::LookupTimedOut { .. }
            ),
            "{error}"
        );
        assert!(error.to_string().contains("nobody.invalid"));
    }

    /// A listener at a loopback address that answers nobody any more, and what keeps it so.
    fn silent(ip: &str) -> (SocketAddr, Vec<socket2::Socket>) {
        use socket2::{Domain, Socket, Type};
        let ip: IpAddr = ip.parse().unwrap();
        let new = || Socket::new(Domain::for_address((ip, 0).into()), Type::STREAM, None).unwrap();
        let listener = new();
        listener.bind(&SocketAddr::new(ip, 0).into()).unwrap();
        listener.listen(1).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let mut held = vec![listener];
        // A queue of connections that nobody takes: once it is full, the kernel answers no more.
        for _ in 0..4 {
            let socket = new();
            socket.set_nonblocking(true).unwrap();
            // It goes on by itself.
            let _ = socket.connect(&address.into());
            held.push(socket);
        }
        (address, held)
    }

    fn raced(
        found: &[SocketAddr],
        limit: Duration,
    ) -> Result<Result<TcpStream, Failures>, ConnectError> {
        race(found, &Wait::new(&Interrupt::new(), limit))
    }

    #[test]
    fn silence_ends_at_the_limit() {
        let (address, _held) = silent("127.0.0.1");
        let start = Instant::now();
        let limit = Duration::from_millis(300);
        let error = error(&tcp("127.0.0.1", address.port()), limit);
        assert!(matches!(error, ConnectError::TimedOut { .. }), "{error}");
        assert!(error.to_string().contains("did not answer"), "{error}");
        assert!(error.to_string().contains("0.3 seconds"), "{error}");
        assert!(start.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn the_families_take_turns() {
        let all = |text: &str| -> Vec<SocketAddr> {
            text.split(' ').map(|one| one.parse().unwrap()).collect()
        };
        for (found, tried) in [
            (
                "[::1]:1 [::2]:1 [::3]:1 1.1.1.1:1",
                "[::1]:1 1.1.1.1:1 [::2]:1 [::3]:1",
            ),
            ("1.1.1.1:1 1.1.1.2:1 [::1]:1", "1.1.1.1:1 [::1]:1 1.1.1.2:1"),
            ("1.1.1.1:1", "1.1.1.1:1"),
        ] {
            assert_eq!(by_turns(all(found)), all(tried));
        }
        assert_eq!(by_turns(Vec::new()), []);
    }

    #[test]
    fn an_address_that_is_dead_does_not_keep_from_the_next() {
        let limit = Duration::from_secs(60);
        let working = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = working.local_addr().unwrap();
        for dead in [silent("::1"), silent("127.0.0.2")] {
            let start = Instant::now();
            let stream = raced(&[dead.0, address], limit).unwrap().unwrap();
            assert_eq!(stream.peer_addr().unwrap(), address);
            // The half of the limit that such an address once had.
            assert!(start.elapsed() < limit / 2);
            // Nobody is left who would still connect to the dead one: the loser's socket is closed.
            let stream = raced(&[address, dead.0], limit).unwrap().unwrap();
            assert_eq!(stream.peer_addr().unwrap(), address);
        }
        // One that refuses hands over at once, too.
        let refusing = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let stream = raced(&[refusing, refusing, address], limit)
            .unwrap()
            .unwrap();
        assert_eq!(stream.peer_addr().unwrap(), address);
        assert!(stream.set_read_timeout(Some(limit)).is_ok());
    }

    #[test]
    fn every_address_that_failed_is_told() {
        let (dead, _held) = silent("127.0.0.1");
        let (other, _held_too) = silent("127.0.0.3");
        let refusing = SocketAddr::from(([127, 0, 0, 2], free_port()));
        let found = [dead, refusing, other];
        // So short a limit that not all of them would have had their turn.
        for limit in [100, 700] {
            let failed = raced(&found, Duration::from_millis(limit))
                .unwrap()
                .unwrap_err();
            let peers: Vec<_> = failed.iter().map(|(peer, _)| *peer).collect();
            assert_eq!(peers, found);
            assert!(matches!(&failed[0].1, Failed::Silent(time) if !time.is_zero()));
            assert!(matches!(&failed[1].1, Failed::Told(words) if words.contains("refused")));
            assert!(matches!(failed[2].1, Failed::Silent(_)));
        }
    }

    #[test]
    fn an_interrupt_ends_the_race() {
        let (dead, _held) = silent("127.0.0.1");
        let interrupt = Interrupt::new();
        let flag = interrupt.clone();
        let raiser = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            flag.raise();
        });
        let result = race(&[dead], &Wait::new(&interrupt, Duration::MAX));
        assert!(matches!(result, Err(ConnectError::Interrupted)));
        raiser.join().unwrap();
    }

    #[test]
    fn a_raised_flag_ends_it_at_once() {
        let raised = Interrupt::from(Arc::new(AtomicBool::new(true)));
        let address = tcp("127.0.0.1", free_port());
        let result = connect(&address, &within(Duration::MAX), &raised);
        assert!(matches!(result, Err(ConnectError::Interrupted)));
    }

    #[test]
    fn unix_sockets_that_do_not_work() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let address = Address::Unix(path.clone());
        let words = error(&address, Duration::from_secs(5)).to_string();
        assert!(words.contains("check the path"), "{words}");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let words = error(&address, Duration::from_secs(5)).to_string();
        assert!(words.contains("no server listens"), "{words}");
        let long = Address::Unix(PathBuf::from(format!("/{}", "x".repeat(300))));
        error(&long, Duration::from_secs(5));
    }
}
