//! Byte streams that show every loss, repetition and swap, and how long one waited for them.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Written and read at once.
const PORTION: usize = 16 * 1024;
/// Waits beyond this are logged.
const NOTABLE: Duration = Duration::from_millis(50);

/// A SHA-256.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Hash([u8; 32]);

impl Hash {
    /// Of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..6]
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// An endless stream of bytes that differ from place to place.
#[derive(Debug, Clone)]
pub struct Pattern {
    state: u64,
}

impl Pattern {
    /// The one with this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self {
            state: (number << 1) | 1,
        }
    }

    /// The next bytes; the streams of all callers are alike as long as the sizes are.
    #[must_use]
    pub fn take(&mut self, size: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(size + 8);
        while bytes.len() < size {
            self.state ^= self.state << 13;
            self.state ^= self.state >> 7;
            self.state ^= self.state << 17;
            bytes.extend_from_slice(&self.state.to_le_bytes());
        }
        bytes.truncate(size);
        bytes
    }

    /// Writes `size` bytes and says what they hash to.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    pub async fn write(
        &mut self,
        size: u64,
        to: &mut (impl AsyncWrite + Unpin),
    ) -> io::Result<Hash> {
        let mut hash = Sha256::new();
        let mut left = size;
        while left > 0 {
            let portion = self.take(left.min(PORTION as u64) as usize);
            hash.update(&portion);
            to.write_all(&portion).await?;
            left -= portion.len() as u64;
        }
        Ok(Hash(hash.finalize().into()))
    }
}

/// What was read so far: how much, what it hashes to, and the longest wait for more.
#[derive(Debug, Clone)]
pub struct Tally {
    hash: Sha256,
    /// Bytes read.
    pub bytes: u64,
    /// The longest time for which a read waited, from the second one on.
    pub stall: Duration,
    buffer: Vec<u8>,
    begun: bool,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            hash: Sha256::new(),
            bytes: 0,
            stall: Duration::ZERO,
            buffer: vec![0; PORTION],
            begun: false,
        }
    }
}

impl Tally {
    /// Reads once; false at the end of the stream.
    ///
    /// # Errors
    ///
    /// Those of the reader.
    pub async fn read(&mut self, from: &mut (impl AsyncRead + Unpin)) -> io::Result<bool> {
        let began = Instant::now();
        let size = from.read(&mut self.buffer).await?;
        let waited = began.elapsed();
        if waited > NOTABLE {
            log::info!("read {} bytes at {} after {waited:?}", size, self.bytes);
        }
        if self.begun {
            self.stall = self.stall.max(waited);
        }
        self.begun = true;
        self.bytes += size as u64;
        self.hash.update(&self.buffer[..size]);
        Ok(size > 0)
    }

    /// Reads until there are `bytes` in all.
    ///
    /// # Errors
    ///
    /// Those of the reader; an early end is one.
    pub async fn read_to(
        &mut self,
        bytes: u64,
        from: &mut (impl AsyncRead + Unpin),
    ) -> io::Result<()> {
        while self.bytes < bytes {
            if !self.read(from).await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }

    /// Reads up to the end of the stream.
    ///
    /// # Errors
    ///
    /// Those of the reader.
    pub async fn read_to_end(&mut self, from: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
        while self.read(from).await? {}
        Ok(())
    }

    /// What everything read so far hashes to.
    #[must_use]
    pub fn hash(&self) -> Hash {
        Hash(self.hash.clone().finalize().into())
    }
}

/// Reads the echoes of messages of that size, cut from a pattern, up to the end of the stream. `sent` tells when each was
/// sent; gives how long the slowest took.
///
/// # Panics
///
/// When an echo differs from its message, or is missing.
pub(crate) async fn read_echoes(
    read: &mut (impl AsyncRead + Unpin),
    mut pattern: Pattern,
    size: usize,
    sent: &RefCell<Vec<Instant>>,
) -> io::Result<Duration> {
    let mut message = vec![0; size];
    let (mut number, mut worst) = (0, Duration::ZERO);
    while read.read(&mut message[..1]).await? > 0 {
        read.read_exact(&mut message[1..]).await?;
        let expected = pattern.take(size);
        assert_eq!(message, expected, "message {number} is another");
        worst = worst.max(sent.borrow()[number].elapsed());
        number += 1;
    }
    assert_eq!(number, sent.borrow().len(), "messages are missing");
    Ok(worst)
}
