//! Making a connection: resolving a name, trying its addresses in turn, and saying which failed and why.

use std::fmt::Write as _;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Address;
use super::stream::{Socket, words};
use super::wait::{Ended, Interrupt, Wait, in_background, seconds};

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
pub enum ConnectError {
    /// The name has no address.
    #[error(
        "the host {host:?} has no address: {reason}; check the spelling, or the name service (`getent hosts \
         {host}`) if the name is right"
    )]
    NoSuchHost {
        /// The name.
        host: String,
        /// The resolver's words.
        reason: String,
    },
    /// The resolver did not answer.
    #[error(
        "looking up the host {host:?} took longer than {}; check this machine's name servers",
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
        "cannot connect to {to}{}; check that the server runs and listens on this port",
        list(to, tried)
    )]
    Refused {
        /// The address as the user knows it.
        to: String,
        /// All addresses tried, in order.
        tried: Vec<Attempt>,
    },
    /// No address answered at all.
    #[error(
        "{to} did not answer within {}{}; check the address and the port, and that no firewall is in between",
        seconds(after),
        list(to, tried)
    )]
    TimedOut {
        /// The address as the user knows it.
        to: String,
        /// The limit for all addresses together.
        after: Duration,
        /// All addresses tried, in order.
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
    #[error("interrupted while connecting; start again when you like")]
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
        io::ErrorKind::NotFound => "check the path, and that the server runs",
        io::ErrorKind::PermissionDenied => "run as a user who may use it",
        io::ErrorKind::ConnectionRefused => "no server listens on it, start one",
        io::ErrorKind::TimedOut => "the server does not take connections, check it",
        _ => "check that it is the server's socket",
    }
}

/// Connects within `limit` for everything together.
pub(super) fn connect(
    address: &Address,
    limit: Duration,
    interrupt: &Interrupt,
) -> Result<Socket, ConnectError> {
    let wait = Wait::new(interrupt, limit);
    let (host, port) = match address {
        Address::Unix(path) => return unix(path, &wait, limit),
        Address::Tcp { host, port } => (host, *port),
    };
    let found = resolve(host, port, &wait, limit)?;
    let mut tried: Vec<Attempt> = Vec::with_capacity(found.len());
    let mut answered = false;
    for (index, &peer) in found.iter().enumerate() {
        // What is left is shared evenly, so that a silent address leaves time for those after it.
        let others = u32::try_from(found.len() - index).unwrap_or(u32::MAX);
        let share = (wait.left() / others).max(Duration::from_millis(1));
        let result = in_background(&Wait::new(interrupt, share), move || {
            TcpStream::connect_timeout(&peer, share)
        })
        .map_err(ConnectError::System)?;
        let reason = match result {
            Ok(Ok(stream)) => return Socket::tcp(stream).map_err(ConnectError::System),
            Err(Ended::Interrupted) => return Err(ConnectError::Interrupted),
            Err(Ended::TimedOut) => None,
            Ok(Err(error)) if error.kind() == io::ErrorKind::TimedOut => None,
            Ok(Err(error)) => Some(words(&error)),
        };
        answered |= reason.is_some();
        tried.push(Attempt {
            address: peer.to_string(),
            reason: reason.unwrap_or_else(|| format!("no answer within {}", seconds(&share))),
        });
    }
    let to = address.to_string();
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
        Ok(Ok(stream)) => {
            Socket::unix(stream, path.display().to_string()).map_err(ConnectError::System)
        }
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

    fn tcp(host: &str, port: u16) -> Address {
        Address::Tcp {
            host: host.to_owned(),
            port,
        }
    }

    fn error(address: &Address, limit: Duration) -> ConnectError {
        match connect(address, limit, &Interrupt::new()) {
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

    #[test]
    fn silence_ends_at_the_limit() {
        // A queue of connections that nobody takes: once it is full, the kernel answers no more.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let address = tcp("127.0.0.1", port);
        let interrupt = Interrupt::new();
        let mut held = Vec::new();
        let limit = Duration::from_millis(150);
        for _ in 0..5000 {
            let start = Instant::now();
            match connect(&address, limit, &interrupt) {
                Ok(socket) => held.push(socket),
                Err(error) => {
                    assert!(matches!(error, ConnectError::TimedOut { .. }), "{error}");
                    assert!(error.to_string().contains("did not answer"), "{error}");
                    assert!(start.elapsed() < Duration::from_secs(3));
                    return;
                }
            }
        }
        panic!("the queue never filled");
    }

    #[test]
    fn a_raised_flag_ends_it_at_once() {
        let raised = Interrupt::from(Arc::new(AtomicBool::new(true)));
        let address = tcp("127.0.0.1", free_port());
        let result = connect(&address, Duration::MAX, &raised);
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
