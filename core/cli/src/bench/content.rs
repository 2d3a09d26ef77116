//! What is carried: bytes that tell where in the stream they belong, so that a lost, repeated or
//! misplaced one is seen.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// The bytes repeat after this many, a prime: a stream that is off by any smaller number, or by a
/// multiple of any buffer's size, differs.
const PERIOD: usize = 1_048_573;
/// The most that is taken at once.
pub(super) const PORTION: usize = 256 * 1024;

/// A stream's content; each stream has its own place to begin.
#[derive(Debug, Clone, Copy)]
pub(super) struct Content {
    start: u64,
}

impl Content {
    pub(super) const fn new(seed: u64) -> Self {
        Self {
            start: seed % PERIOD as u64,
        }
    }

    /// The bytes from `offset` on, at most [`PORTION`].
    pub(super) fn at(self, offset: u64, size: usize) -> &'static [u8] {
        let from = ((self.start + offset) % PERIOD as u64) as usize;
        &block()[from..from + size.min(PORTION)]
    }
}

fn block() -> &'static [u8] {
    static BLOCK: OnceLock<Vec<u8>> = OnceLock::new();
    BLOCK.get_or_init(|| {
        // Marsaglia's xorshift, with a multiplication against its linear lower bits.
        let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut block = Vec::with_capacity(PERIOD + PORTION + 8);
        while block.len() < PERIOD {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            block.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
        }
        block.truncate(PERIOD);
        block.extend_from_within(..PORTION);
        block
    })
}

/// Compares what arrives with what was sent.
#[derive(Debug)]
pub(super) struct Check {
    content: Content,
    offset: u64,
}

impl Check {
    pub(super) const fn new(content: Content) -> Self {
        Self { content, offset: 0 }
    }

    /// Takes the next bytes of the stream.
    pub(super) fn take(&mut self, mut received: &[u8]) {
        while !received.is_empty() {
            let expected = self.content.at(self.offset, received.len());
            let (now, later) = received.split_at(expected.len());
            if now != expected {
                let differ = now.iter().zip(expected).filter(|(a, b)| a != b);
                BOOKS
                    .wrong
                    .fetch_add(differ.count() as u64, Ordering::Relaxed);
            }
            BOOKS.bytes.fetch_add(now.len() as u64, Ordering::Relaxed);
            self.offset += now.len() as u64;
            received = later;
        }
    }

    pub(super) const fn received(&self) -> u64 {
        self.offset
    }
}

/// The bytes of all runs of all contenders.
#[derive(Debug)]
pub(super) struct Books {
    bytes: AtomicU64,
    wrong: AtomicU64,
}

static BOOKS: Books = Books {
    bytes: AtomicU64::new(0),
    wrong: AtomicU64::new(0),
};

/// Bytes compared so far, and how many of them were not what had been sent.
pub(super) fn compared() -> (u64, u64) {
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    (read(&BOOKS.bytes), read(&BOOKS.wrong))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_the_same_however_it_is_cut() {
        let content = Content::new(7_000_000);
        let whole: Vec<u8> = (0..5)
            .flat_map(|part| content.at(part * PORTION as u64, PORTION))
            .copied()
            .collect();
        assert_eq!(&whole[1_100_000..1_100_100], content.at(1_100_000, 100));
    }

    #[test]
    fn a_missing_byte_is_seen() {
        let content = Content::new(3);
        let mut check = Check::new(content);
        let (_, before) = compared();
        check.take(content.at(0, 1000));
        check.take(&content.at(1001, 1000)[..10]);
        assert!(compared().1 > before);
        assert_eq!(check.received(), 1010);
    }
}
