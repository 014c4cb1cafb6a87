//! COMPRESS=DEFLATE (RFC 4978).
//!
//! Here: when it is asked for. Not here: the compression itself (`net`).

use crate::error::Error;
use crate::wire::encode::Encoder;
use crate::wire::response::Status;

use super::Session;
use super::request::{Effect, Request};
use super::state::{Extension, State};

impl Session {
    /// Compresses both directions from now on (COMPRESS=DEFLATE, RFC 4978), to the connection's end. After [`Options::compress`](super::Options::compress) this does
    /// nothing more.
    ///
    /// # Errors
    /// The server lacks it or refuses it, and the session goes on as it was; or the connection was lost.
    pub fn compress(&mut self) -> Result<(), Error> {
        if self.state.channel.compressed {
            return Ok(());
        }
        if self.state.capabilities().has("XIMAPPROXY") {
            // It passes the server's capabilities on, COMPRESS among them, and what is compressed then means nothing to it.
            return Err(Error::Usage(
                "imapproxy is in between (XIMAPPROXY) and cannot pass on compressed data; connect to the server itself"
                    .into(),
            ));
        }
        self.run(Compress)?;
        self.link.start_deflate();
        if let Some(stream) = self.link.stream() {
            self.state.channel = stream.info();
        }
        Ok(())
    }

    /// What [`Options::compress`] asks for; a server that can't do it is no reason to do without the session.
    pub(super) fn compress_if_wanted(&mut self) -> Result<(), Error> {
        self.state.uncompressed = None;
        if !self.options.compress {
            return Ok(());
        }
        match self.compress() {
            Err(error @ (Error::Unsupported { .. } | Error::Refused(_) | Error::Usage(_))) => {
                self.state.uncompressed = Some(error.to_string());
                Ok(())
            }
            result => result,
        }
    }
}

/// COMPRESS (RFC 4978 section 3).
struct Compress;

impl Request for Compress {
    type Reply = ();
    fn verb(&self) -> &'static str {
        "COMPRESS"
    }
    fn effect(&self) -> Effect {
        Effect::Session
    }
    fn extension(&self) -> Option<Extension> {
        Some(Extension {
            name: "COMPRESS=DEFLATE",
            implied_by: &[],
            rfc: "RFC 4978",
        })
    }
    fn alone(&self) -> bool {
        // The bytes behind it are of another kind.
        true
    }
    fn write(&self, command: &mut Encoder<'_>) {
        command.atom("COMPRESS").space().atom("DEFLATE");
    }
    fn finish(self, _: &Status<'_>, _: &mut State) -> Result<(), Error> {
        Ok(())
    }
}
