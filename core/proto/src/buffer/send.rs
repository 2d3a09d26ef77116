//! The sending side of the stream: bytes are kept until the peer has acknowledged them.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};

/// Writes below this are copied together, so that the index below stays short.
const SMALL: usize = 4096;
/// Size of the pieces that small writes are copied into.
const PIECE: usize = 16 * 1024;

/// Kept ready at least, however small the peer's window is.
const LEAST_USEFUL: u64 = 512 * 1024;
/// A waiting writer is woken when this much is free.
const FAIR_ROOM: u64 = 64 * 1024;

/// Bytes from `acked` to `end`, addressed by their offset in the stream.
#[derive(Debug)]
pub(crate) struct SendBuffer {
    /// Each with the offset of its first byte.
    pieces: VecDeque<(u64, Bytes)>,
    /// Behind the last piece.
    tail: BytesMut,
    acked: u64,
    end: u64,
    capacity: u64,
    /// More than this ahead of the peer's window is not worth having.
    useful: u64,
    finished: bool,
}

impl SendBuffer {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            pieces: VecDeque::new(),
            tail: BytesMut::new(),
            acked: 0,
            end: 0,
            capacity: capacity as u64,
            useful: LEAST_USEFUL,
            finished: false,
        }
    }

    /// Everything below is acknowledged.
    pub(crate) const fn acked(&self) -> u64 {
        self.acked
    }

    /// Offset behind the last byte accepted.
    pub(crate) const fn end(&self) -> u64 {
        self.end
    }

    pub(crate) fn room(&self) -> usize {
        let most = self.capacity.min(self.useful);
        most.saturating_sub(self.end - self.acked) as usize
    }

    /// The peer takes that many bytes more than it has acknowledged: twice as many are kept ready,
    /// and not more, which would only fall out of the caches.
    pub(crate) fn expect_window(&mut self, window: u64) {
        self.useful = self.useful.max(window.saturating_mul(2));
    }

    pub(crate) const fn is_finished(&self) -> bool {
        self.finished
    }

    pub(crate) const fn finish(&mut self) {
        self.finished = true;
    }

    /// Enough room that waking a waiting writer is worth it.
    pub(crate) fn has_fair_room(&self) -> bool {
        self.room() as u64 >= FAIR_ROOM.min(self.capacity / 4).max(1)
    }

    /// More than that is not accepted; what was accepted stays.
    pub(crate) const fn set_capacity(&mut self, capacity: u64) {
        self.capacity = capacity;
    }

    /// Accepts a prefix by copying it.
    pub(crate) fn push(&mut self, data: &[u8]) -> usize {
        let n = data.len().min(self.room());
        let data = &data[..n];
        if n < SMALL {
            if self.tail.capacity() == 0 {
                self.tail.reserve(SMALL);
            }
            self.tail.extend_from_slice(data);
            self.end += n as u64;
            if self.tail.len() >= SMALL {
                self.seal();
            }
        } else {
            self.seal();
            for piece in data.chunks(PIECE) {
                self.push_piece(Bytes::copy_from_slice(piece));
            }
        }
        n
    }

    /// Accepts a prefix without a copy where it is long enough.
    pub(crate) fn push_bytes(&mut self, data: &mut Bytes) -> usize {
        let n = data.len().min(self.room());
        if n < SMALL {
            let n = self.push(&data[..n]);
            data.advance(n);
            n
        } else {
            self.seal();
            self.push_piece(data.split_to(n));
            n
        }
    }

    fn push_piece(&mut self, piece: Bytes) {
        let start = self.end;
        self.end += piece.len() as u64;
        self.pieces.push_back((start, piece));
    }

    fn seal(&mut self) {
        if !self.tail.is_empty() {
            let piece = std::mem::take(&mut self.tail).freeze();
            self.pieces
                .push_back((self.end - piece.len() as u64, piece));
        }
    }

    /// Up to `max` bytes from `offset` on, which lies in the buffer.
    pub(crate) fn slice(&self, offset: u64, max: usize) -> Bytes {
        let after = self.pieces.partition_point(|(start, _)| *start <= offset);
        if let Some((start, piece)) = after.checked_sub(1).and_then(|i| self.pieces.get(i)) {
            let skip = (offset - start) as usize;
            if skip < piece.len() {
                return piece.slice(skip..piece.len().min(skip.saturating_add(max)));
            }
        }
        let tail_start = self.end - self.tail.len() as u64;
        let skip = offset.saturating_sub(tail_start) as usize;
        let rest = self.tail.get(skip..).unwrap_or_default();
        Bytes::copy_from_slice(&rest[..rest.len().min(max)])
    }

    /// Forgets what lies below `offset`.
    pub(crate) fn ack(&mut self, offset: u64) {
        self.acked = self.acked.max(offset.min(self.end));
        while let Some((start, piece)) = self.pieces.front() {
            if start + piece.len() as u64 > self.acked {
                break;
            }
            self.pieces.pop_front();
        }
        let tail_start = self.end - self.tail.len() as u64;
        if self.acked > tail_start {
            self.tail.advance((self.acked - tail_start) as usize);
        }
        if self.acked == self.end {
            // An idle session holds no memory.
            self.tail = BytesMut::new();
            self.pieces = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_slice_of_mixed_writes_reads_back() {
        let text: Vec<u8> = (0..60_000u32).map(|i| (i % 251) as u8).collect();
        let mut b = SendBuffer::new(50_000);
        let mut at = 0;
        for size in [1, 5000, 3, 4095, 4096, 17, 20_000, 4, 30_000] {
            at += b.push(&text[at..(at + size).min(text.len())]);
        }
        assert_eq!(at, 50_000);
        assert_eq!(b.room(), 0);
        for offset in [0u64, 1, 2, 5000, 5001, 9100, 13_000, 33_000, 49_999] {
            let mut out = Vec::new();
            while out.len() < 5000 && offset + (out.len() as u64) < b.end() {
                out.extend_from_slice(&b.slice(offset + out.len() as u64, 1000));
            }
            assert_eq!(out, text[offset as usize..offset as usize + out.len()]);
        }
        b.ack(20_001);
        assert_eq!(b.room(), 20_001);
        assert_eq!(b.slice(20_001, 4)[..], text[20_001..20_005]);
        b.ack(50_000);
        assert_eq!(b.acked(), b.end());
    }
}
