//! The file that is downloaded: bytes that no compression shortens, the same for both downloads.

use sha2::{Digest as _, Sha256};

/// Size of the file.
pub(super) const SIZE: u64 = 50_000_000;
/// Bytes made at once.
const BLOCK: usize = 64 * 1024;

/// The content of the file, made as it is read.
#[derive(Debug, Clone)]
pub(super) struct Content {
    state: u64,
    left: u64,
}

impl Content {
    /// The file of this seed; every run of the demo has its own.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            // The generator stands still at zero.
            state: seed | 1,
            left: SIZE,
        }
    }

    /// Puts the next bytes into `block` and says how many; none at the end.
    pub(super) fn next(&mut self, block: &mut Vec<u8>) -> usize {
        let size = BLOCK.min(usize::try_from(self.left).unwrap_or(BLOCK));
        block.clear();
        while block.len() < size {
            block.extend_from_slice(&self.word().to_le_bytes());
        }
        block.truncate(size);
        self.left -= size as u64;
        size
    }

    /// Marsaglia's xorshift, with a multiplication against its linear lower bits.
    fn word(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// What the whole file hashes to.
    pub(super) fn hash(mut self) -> Hash {
        let mut hasher = Sha256::new();
        let mut block = Vec::with_capacity(BLOCK);
        while self.next(&mut block) > 0 {
            hasher.update(&block);
        }
        Hash(hasher.finalize().into())
    }
}

/// A SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hash(pub(super) [u8; 32]);

impl std::fmt::Display for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_has_its_size_and_is_the_same_each_time() {
        let mut content = Content::new(7);
        let (mut total, mut block) = (0, Vec::new());
        loop {
            let size = content.next(&mut block);
            assert_eq!(size, block.len());
            if size == 0 {
                break;
            }
            total += size as u64;
        }
        assert_eq!(total, SIZE);
        assert_eq!(Content::new(7).hash(), Content::new(7).hash());
        assert_ne!(Content::new(7).hash(), Content::new(9).hash());
    }
}
