//! The compressed layer of a connection: raw deflate streams in both directions (RFC 4978, RFC 1951).
//!
//! Lives here: bytes to compressed bytes and back, in memory that does not grow. Not here: the socket and TLS that carry them (`stream`),
//! and the command that turns the layer on (the session's business).

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use zeroize::Zeroizing;

/// Compressed bytes that are read at once.
const ROOM: usize = 16 * 1024;
/// The most that a stored block holds (RFC 1951 section 3.2.4).
const STORED: usize = 0xffff;

/// What came is no deflate stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the server's compressed data is damaged (COMPRESS=DEFLATE, RFC 4978); connect without --compress"
)]
pub(super) struct Damaged;

/// Both directions.
pub(super) struct Deflate {
    sent: Compress,
    come: Decompress,
    /// Compressed bytes that have come; those in `from..to` are still to be inflated.
    buffer: Box<[u8]>,
    from: usize,
    to: usize,
    /// Compressed bytes that came before the layer was there.
    early: Vec<u8>,
}

impl Deflate {
    /// At the start of both streams; `early` has come already.
    pub(super) fn new(early: &[u8]) -> Self {
        Self {
            sent: Compress::new(Compression::default(), false),
            come: Decompress::new(false),
            buffer: vec![0; ROOM].into(),
            from: 0,
            to: 0,
            early: early.to_vec(),
        }
    }

    /// Appends `bytes` to `out` compressed, up to a point from which the other end can have them all (a sync flush, RFC 4978 section 3).
    ///
    /// # Errors
    /// None is known; it is the library's to say.
    pub(super) fn compress(
        &mut self,
        mut bytes: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), flate2::CompressError> {
        loop {
            out.reserve(ROOM);
            let before = self.sent.total_in();
            self.sent.compress_vec(bytes, out, FlushCompress::Sync)?;
            let taken = usize::try_from(self.sent.total_in() - before).unwrap_or(bytes.len());
            bytes = bytes.get(taken..).unwrap_or_default();
            // Room that is left means that nothing was held back.
            if bytes.is_empty() && out.len() < out.capacity() {
                return Ok(());
            }
        }
    }

    /// Secrets as they are, in stored blocks: how short they become beside other words would tell something of them (as CRIME did of
    /// cookies), and the compressor would keep them.
    pub(super) fn store(&mut self, bytes: &[u8]) -> Zeroizing<Vec<u8>> {
        let blocks = bytes.len().div_ceil(STORED);
        // With its length at once: growing would leave a copy behind.
        let mut out = Zeroizing::new(Vec::with_capacity(bytes.len() + 5 * blocks));
        for block in bytes.chunks(STORED) {
            let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
            // After a sync flush a byte begins: not the last block, stored, padding (RFC 1951 section 3.2.3).
            out.push(0);
            out.extend_from_slice(&length.to_le_bytes());
            out.extend_from_slice(&(!length).to_le_bytes());
            out.extend_from_slice(block);
        }
        // The distances that it counts back must not reach over what it has not seen.
        self.sent.reset();
        out
    }

    /// Inflates into `buf` what has come: 0 when more must come first.
    ///
    /// However much a few bytes inflate to, only what `buf` holds is inflated at once.
    ///
    /// # Errors
    /// [`Damaged`], also where the server has ended its stream, which lasts as long as the connection.
    pub(super) fn inflate(&mut self, buf: &mut [u8]) -> Result<usize, Damaged> {
        loop {
            let is_early = !self.early.is_empty();
            let input = if is_early {
                &self.early
            } else {
                self.buffer.get(self.from..self.to).unwrap_or_default()
            };
            let (before_in, before_out) = (self.come.total_in(), self.come.total_out());
            let status = self
                .come
                .decompress(input, buf, FlushDecompress::None)
                .map_err(|_| Damaged)?;
            let taken = usize::try_from(self.come.total_in() - before_in).unwrap_or(usize::MAX);
            let made = usize::try_from(self.come.total_out() - before_out).unwrap_or(usize::MAX);
            let all_taken = taken >= input.len();
            if is_early {
                self.early.drain(..taken.min(self.early.len()));
            } else {
                self.from = (self.from + taken).min(self.to);
            }
            if made > 0 {
                return Ok(made.min(buf.len()));
            }
            match status {
                Status::StreamEnd => return Err(Damaged),
                _ if all_taken && !is_early => return Ok(0),
                // Neither taken nor made, with room for both.
                _ if taken == 0 => return Err(Damaged),
                _ => {}
            }
        }
    }

    /// Room to read compressed bytes into, once [`inflate`](Self::inflate) has no more.
    pub(super) fn space(&mut self) -> &mut [u8] {
        self.buffer.copy_within(self.from..self.to, 0);
        self.to -= self.from;
        self.from = 0;
        self.buffer.get_mut(self.to..).unwrap_or_default()
    }

    /// Says that the first `count` bytes of [`space`](Self::space) were read into.
    pub(super) fn filled(&mut self, count: usize) {
        self.to = self.to.saturating_add(count).min(self.buffer.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Gives this to the layer in pieces and returns all that it makes of it, `room` bytes at a time.
    fn inflated(wire: &[u8], pieces: usize, room: usize) -> Result<Vec<u8>, Damaged> {
        let early = pieces.min(wire.len()) / 2;
        let mut layer = Deflate::new(&wire[..early]);
        let (mut all, mut buf) = (Vec::new(), vec![0; room]);
        let mut rest = &wire[early..];
        loop {
            match layer.inflate(&mut buf)? {
                0 if rest.is_empty() => return Ok(all),
                0 => {
                    let space = layer.space();
                    let count = pieces.min(rest.len()).min(space.len());
                    space[..count].copy_from_slice(&rest[..count]);
                    layer.filled(count);
                    rest = &rest[count..];
                }
                count => all.extend_from_slice(&buf[..count]),
            }
        }
    }

    #[test]
    fn each_batch_can_be_read_at_once_and_secrets_stand_between() {
        let mut layer = Deflate::new(b"");
        let mut wire = Vec::new();
        let mut said = Vec::new();
        let secret = vec![b's'; 70_000];
        for number in 0..50 {
            let command = format!("a{number} GETACL user.u{number:07}\r\n").repeat(number);
            layer.compress(command.as_bytes(), &mut wire).unwrap();
            said.extend_from_slice(command.as_bytes());
            assert_eq!(inflated(&wire, 4096, 999).unwrap(), said);
            if number % 10 == 3 {
                wire.extend_from_slice(&layer.store(&secret));
                said.extend_from_slice(&secret);
            }
        }
        assert!(wire.len() < 5 * secret.len() + 5_000, "{}", wire.len());
        assert!(layer.store(b"").is_empty());
    }

    #[test]
    fn a_bomb_comes_in_portions() {
        let mut layer = Deflate::new(b"");
        let mut wire = Vec::new();
        layer.compress(&vec![0; 50 << 20], &mut wire).unwrap();
        assert!(wire.len() < 100_000);
        let mut layer = Deflate::new(b"");
        let mut buf = [1; 1000];
        layer.space()[..10_000].copy_from_slice(&wire[..10_000]);
        layer.filled(10_000);
        for _ in 0..1000 {
            let count = layer.inflate(&mut buf).unwrap();
            assert!((1..=1000).contains(&count));
        }
        assert!(layer.from < 10_000, "the rest is still as it came");
    }

    #[test]
    fn what_is_no_stream_is_damaged_and_half_a_stream_is_not_yet() {
        for garbage in [&b"\xff\xff\xff"[..], b"\x00\x01\x00\x00\x00a"] {
            assert_eq!(inflated(garbage, 5, 100), Err(Damaged), "{garbage:?}");
        }
        // A stream that ends although the connection goes on.
        let mut wire = Vec::with_capacity(100);
        Compress::new(Compression::default(), false)
            .compress_vec(b"", &mut wire, FlushCompress::Finish)
            .unwrap();
        assert_eq!(inflated(&wire, 5, 100), Err(Damaged));
        let mut wire = Vec::new();
        Deflate::new(b"")
            .compress(b"* OK [\r\n", &mut wire)
            .unwrap();
        for length in 0..wire.len() - 6 {
            assert!(inflated(&wire[..length], 3, 100).unwrap().len() < 8);
        }
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(
            parts in prop::collection::vec(
                (prop::collection::vec(any::<u8>(), 1..400), 1usize..300, any::<bool>()),
                1..9,
            ),
            pieces in 1usize..5000,
            room in 1usize..5000,
        ) {
            let mut layer = Deflate::new(b"");
            let (mut wire, mut said) = (Vec::new(), Vec::new());
            for (part, times, secret) in parts {
                let part = part.repeat(times);
                if secret {
                    wire.extend_from_slice(&layer.store(&part));
                } else {
                    layer.compress(&part, &mut wire).unwrap();
                }
                said.extend_from_slice(&part);
            }
            prop_assert_eq!(inflated(&wire, pieces, room), Ok(said));
        }

        #[test]
        fn whatever_comes_is_no_panic(
            wire in prop::collection::vec(any::<u8>(), 0..300),
            pieces in 1usize..50,
        ) {
            let _ = inflated(&wire, pieces, 64).map(|_| ());
        }
    }
}
