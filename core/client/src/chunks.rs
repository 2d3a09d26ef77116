//! Bytes in several pieces.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// Bytes in the pieces in which they came, to be passed on in one vectored write.
///
/// As a [`Buf`] it can be given to `tokio::io::AsyncWriteExt::write_all_buf`.
#[derive(Debug, Default, Clone)]
pub struct Chunks {
    pieces: VecDeque<Bytes>,
}

impl Chunks {
    /// Appends a piece.
    pub fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.pieces.push_back(piece);
        }
    }

    /// Takes the first piece.
    pub fn pop(&mut self) -> Option<Bytes> {
        self.pieces.pop_front()
    }

    /// Whether no byte is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }
}

impl Buf for Chunks {
    fn remaining(&self) -> usize {
        self.pieces.iter().map(Bytes::len).sum()
    }

    fn chunk(&self) -> &[u8] {
        self.pieces.front().map_or(&[], |piece| piece)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut filled = 0;
        for (slice, piece) in slices.iter_mut().zip(&self.pieces) {
            *slice = IoSlice::new(piece);
            filled += 1;
        }
        filled
    }

    fn advance(&mut self, mut count: usize) {
        while let Some(piece) = self.pieces.front_mut() {
            if piece.len() > count {
                piece.advance(count);
                return;
            }
            count -= piece.len();
            self.pieces.pop_front();
        }
        assert_eq!(count, 0, "advanced beyond the end");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_one_sequence_of_bytes() {
        let mut chunks = Chunks::default();
        for piece in [&b"ab"[..], b"", b"cde", b"f"] {
            chunks.push(Bytes::from_static(piece));
        }
        assert_eq!(chunks.remaining(), 6);
        let mut slices = [IoSlice::new(&[]); 2];
        assert_eq!(chunks.chunks_vectored(&mut slices), 2);
        assert_eq!((&*slices[0], &*slices[1]), (&b"ab"[..], &b"cde"[..]));
        chunks.advance(3);
        assert_eq!(chunks.chunk(), b"de");
        assert_eq!(chunks.copy_to_bytes(3), b"def"[..]);
        assert!(chunks.is_empty() && chunks.pop().is_none());
    }
}
