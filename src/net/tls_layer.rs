//! TLS on a connection: the handshake, and bytes in and out.
//!
//! Not here: what is trusted (`tls`, `verify`), and what went wrong (`tls_error`).

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use zeroize::Zeroizing;

use super::io_error::{Stop, is_closing};
use super::socket::Socket;
use super::tls::{Identity, TlsOptions};
use super::tls_error::TlsError;
use super::wait::{Ended, Interrupt, Wait};

/// TLS on a connection.
pub(super) struct Tls {
    connection: Box<ClientConnection>,
    host: String,
    /// What became of the client's certificate, which tells what some alerts mean.
    identity: Arc<Identity>,
    /// An error that came behind data which had to be handed out first.
    pending: Option<TlsError>,
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
    /// Turns TLS on, within `limit`. `host` is the name that the certificate must have, unless the options name another.
    pub(super) fn begin(
        socket: &mut Socket,
        host: &str,
        options: &TlsOptions,
        limit: Duration,
        interrupt: &Interrupt,
    ) -> Result<Tls, TlsError> {
        let host = options.server_name.as_deref().unwrap_or(host);
        let (config, identity) = options.setup()?;
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
        tls.handshake(socket, &mut Wait::new(interrupt, limit))
            .map_err(|stop| match stop {
                Handshake::Failed(error) => error,
                Handshake::Stopped(Stop::Ended(Ended::Interrupted)) => TlsError::Interrupted,
                Handshake::Stopped(Stop::Ended(Ended::TimedOut)) => TlsError::TimedOut {
                    host: host.to_owned(),
                    after: limit,
                },
                Handshake::Stopped(Stop::Failed(source)) if is_closing(&source) => {
                    TlsError::Closed {
                        host: host.to_owned(),
                    }
                }
                Handshake::Stopped(Stop::Failed(source)) => TlsError::Broken {
                    host: host.to_owned(),
                    source,
                },
            })?;
        Ok(tls)
    }

    /// What was agreed on.
    pub(super) fn info(&self) -> TlsInfo {
        let version = match self.connection.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3".to_owned(),
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2".to_owned(),
            Some(other) => format!("{other:?}"),
            None => "unknown".to_owned(),
        };
        let cipher = match self.connection.negotiated_cipher_suite() {
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
    }

    /// See [`Stream::tls_exporter`](super::Stream::tls_exporter).
    pub(super) fn exporter(&self) -> Option<Zeroizing<[u8; 32]>> {
        let connection = &self.connection;
        if connection.protocol_version() != Some(rustls::ProtocolVersion::TLSv1_3) {
            return None;
        }
        let mut exported = Zeroizing::new([0; 32]);
        connection
            .export_keying_material(&mut exported[..], b"EXPORTER-Channel-Binding", Some(b""))
            .ok()?;
        Some(exported)
    }

    /// Tells the server that nothing more will come, without giving more time than `wait`.
    pub(super) fn say_goodbye(&mut self, socket: &mut Socket, wait: &mut Wait<'_>) {
        self.connection.send_close_notify();
        // The server may be gone already.
        let _ = self.flush(socket, wait);
    }

    /// Takes bytes to be encrypted: as much as its buffer holds.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<usize, Stop> {
        self.connection.writer().write(bytes).map_err(Stop::Failed)
    }

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
        socket.flush_within(wait)
    }

    /// Sends what rustls has to send, with the limit anew for each part taken.
    pub(super) fn flush(&mut self, socket: &mut Socket, wait: &mut Wait<'_>) -> Result<(), Stop> {
        if !self.connection.wants_write() {
            return Ok(());
        }
        while self.connection.wants_write() {
            let connection = &mut self.connection;
            if socket.when_ready(wait, |socket| connection.write_tls(socket))? == 0 {
                return Err(Stop::Failed(io::ErrorKind::WriteZero.into()));
            }
            wait.restart();
        }
        socket.flush_within(wait)
    }

    pub(super) fn read(
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

    pub(super) fn write(
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
            let count = self.take(bytes)?;
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
}
