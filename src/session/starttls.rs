//! STARTTLS (RFC 3501 section 6.2.1).
//!
//! Here: when it may be said, and what has to be distrusted around it. Not here: TLS itself (`net`).

use std::time::Instant;

use crate::error::{Error, LostCause, sentence};
use crate::net::{Timeouts, TlsError};

use super::Session;
use super::request::Bare;

impl Session {
    /// STARTTLS (RFC 3501 section 6.2.1): encrypts a connection that is in cleartext, before anybody has logged in.
    ///
    /// # Errors
    /// [`Error::Insecure`] for a server that does not offer it, refuses it, or sends more in cleartext behind its OK; [`Error::Tls`] for
    /// a handshake that fails. [`Error::Usage`] where there is TLS already, and after the login.
    pub fn start_tls(&mut self) -> Result<(), Error> {
        if self.state.channel.tls.is_some() {
            return Err(Error::Usage("the connection is already encrypted".into()));
        }
        if self.state.authenticated {
            return Err(Error::Usage(
                "STARTTLS must come before the login; connect again without --notls".into(),
            ));
        }
        if !self.first_capabilities()?.has("STARTTLS") {
            return Err(self.insecure(
                "it does not offer STARTTLS, or an attacker may have removed the offer; use --tls if it has a port for TLS (usually 993), or --notls if \
                 you trust the network",
            ));
        }
        match self.run(Bare("STARTTLS")) {
            Err(Error::Refused(refusal)) => {
                let why = sentence(
                    &format!("it offers STARTTLS but refuses it: {}", refusal.said()),
                    "try --tls, or ask its administrator",
                );
                return Err(self.insecure(&why));
            }
            result => result?,
        }
        if !self.link.framer.pending().is_empty() {
            // Whoever stands in between could have put it there, to be taken for the server's words inside of TLS.
            self.give_up("it may have been tampered with");
            return Err(self.insecure(
                "it sent more in cleartext after its OK to STARTTLS, as an attacker would; find out what is between you and the server",
            ));
        }
        let options = &self.options;
        let limit = options.timeouts.connect;
        let started = self.link.start_tls(
            options.address.host(),
            &options.tls,
            &Timeouts {
                connect: self.link.login.map_or(limit, |login| {
                    login.until.saturating_duration_since(Instant::now())
                }),
                ..options.timeouts
            },
            &options.interrupt,
        );
        if let Err(error) = started {
            self.give_up("its TLS does not work");
            if let TlsError::Plaintext { said, .. } = &error {
                return Err(self.insecure(&format!(
                    "it said OK to STARTTLS and then continued in cleartext{}: its TLS does not work, or an attacker is answering for it; ask its \
                     administrator, or use --tls if it has a port for TLS (usually 993)",
                    if said.is_empty() { String::new() } else { format!(" ({said:?})") }
                )));
            }
            return Err(error.into());
        }
        self.state.forget_cleartext();
        if let Some(stream) = self.link.stream() {
            self.state.channel = stream.info();
        }
        // In TLS 1.3 a refused client certificate shows only with the first answer.
        match self.first_capabilities() {
            Ok(_) => Ok(()),
            Err(error) => Err(self.link.broken_tls.take().map_or(error, Error::Tls)),
        }
    }

    /// The connection can't be trusted any more: nothing is said on it.
    pub(super) fn give_up(&mut self, why: &'static str) {
        self.link.close();
        self.link.over.get_or_insert(LostCause::Ended { why });
    }

    pub(super) fn insecure(&self, why: &str) -> Error {
        Error::Insecure {
            server: self.state.server.clone(),
            why: why.to_owned(),
        }
    }
}
