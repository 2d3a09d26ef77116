//! Randomness as the driver hands it in: one seed, drawn out into as many values as are needed.

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// A deterministic source of random values under a secret seed.
pub(crate) struct Entropy {
    seed: Zeroizing<[u8; 32]>,
    drawn: u64,
}

impl Entropy {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Self {
            seed: Zeroizing::new(seed),
            drawn: 0,
        }
    }

    /// The next `N` random bytes; `N` is small.
    pub(crate) fn draw<const N: usize>(&mut self) -> [u8; N] {
        let mut info = *b"twinpath entropy........";
        info[16..].copy_from_slice(&self.drawn.to_be_bytes());
        self.drawn += 1;
        let mut out = [0; N];
        // Expanding fails only beyond 255 hashes (8160 bytes), far above any N in use.
        let expanded = Hkdf::<Sha256>::new(None, &*self.seed).expand(&info, &mut out);
        debug_assert!(expanded.is_ok());
        out
    }
}

impl std::fmt::Debug for Entropy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entropy").finish_non_exhaustive()
    }
}
