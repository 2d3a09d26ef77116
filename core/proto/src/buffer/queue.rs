//! A queue of bytes in pieces, in which small pieces are copied together.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};

/// Pieces below this are copied together: a piece holds on to the whole buffer that it was read
/// into, so that many small ones would keep far more memory than they count for.
const SMALL: usize = 2048;
/// Size up to which small pieces are collected.
const COLLECTED: usize = 8192;

#[derive(Debug, Default)]
pub(crate) struct ByteQueue {
    pieces: VecDeque<Bytes>,
    tail: BytesMut,
    len: usize,
}

impl ByteQueue {
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn push(&mut self, bytes: Bytes) {
        self.len += bytes.len();
        if bytes.len() < SMALL {
            self.tail.extend_from_slice(&bytes);
            if self.tail.len() >= COLLECTED {
                self.seal();
            }
        } else {
            self.seal();
            self.pieces.push_back(bytes);
        }
    }

    /// Moves everything of `other` behind what is here.
    pub(crate) fn append(&mut self, mut other: Self) {
        other.seal();
        for piece in other.pieces {
            self.push(piece);
        }
    }

    /// Copies from the front.
    pub(crate) fn read(&mut self, out: &mut [u8]) -> usize {
        let mut done = 0;
        while done < out.len() {
            let Some(piece) = self.front() else { break };
            let n = piece.len().min(out.len() - done);
            piece.copy_to_slice(&mut out[done..done + n]);
            done += n;
            self.drop_empty();
        }
        self.len -= done;
        done
    }

    /// Takes one piece of at most `max` bytes off the front, without a copy.
    pub(crate) fn take(&mut self, max: usize) -> Option<Bytes> {
        let piece = self.front()?;
        let out = piece.split_to(piece.len().min(max));
        self.len -= out.len();
        self.drop_empty();
        Some(out)
    }

    fn front(&mut self) -> Option<&mut Bytes> {
        if self.pieces.is_empty() {
            self.seal();
        }
        self.pieces.front_mut()
    }

    fn drop_empty(&mut self) {
        if self.pieces.front().is_some_and(Bytes::is_empty) {
            self.pieces.pop_front();
        }
        if self.len == 0 && self.pieces.capacity() > 16 {
            self.pieces = VecDeque::new();
        }
    }

    fn seal(&mut self) {
        if !self.tail.is_empty() {
            self.pieces
                .push_back(std::mem::take(&mut self.tail).freeze());
        }
    }
}
