//! Cuts the bytes of one leg into frames; payload is handed on as it arrives, without a copy.

use bytes::{Buf, Bytes, BytesMut};

use crate::error::WireError;
use crate::wire::frame::{
    CRITICAL, DATA, DATA_HEADER_LEN, Frame, HEADER_LEN, MAX_CONTROL, MAX_DATA, MAX_SKIPPED,
};

/// The state between two pieces of input: at most one incomplete control frame is kept.
#[derive(Debug, Default)]
pub(crate) struct FrameReader {
    carry: BytesMut,
    data: Option<(u64, usize)>,
    skip: usize,
}

impl FrameReader {
    /// The next frame in `input`, or `None` when it is used up.
    pub(crate) fn next(&mut self, input: &mut Bytes) -> Result<Option<Frame>, WireError> {
        loop {
            if self.skip > 0 {
                let n = self.skip.min(input.len());
                input.advance(n);
                self.skip -= n;
                if self.skip > 0 {
                    return Ok(None);
                }
            }
            if let Some((offset, left)) = self.data {
                if input.is_empty() {
                    return Ok(None);
                }
                let payload = input.split_to(left.min(input.len()));
                let rest = left - payload.len();
                self.data = (rest > 0).then_some((offset + payload.len() as u64, rest));
                return Ok(Some(Frame::Data { offset, payload }));
            }
            let Some((kind, len)) = self.header(input) else {
                return Ok(None);
            };
            if kind == DATA {
                if !(8..=8 + MAX_DATA).contains(&len) {
                    return Err(WireError("bad length of a DATA frame"));
                }
                let Some(head) = self.take(DATA_HEADER_LEN, input) else {
                    return Ok(None);
                };
                let mut offset = [0; 8];
                offset.copy_from_slice(&head[HEADER_LEN..]);
                let offset = u64::from_be_bytes(offset);
                if offset.checked_add(MAX_DATA as u64 + 1).is_none() {
                    return Err(WireError("offset out of range"));
                }
                self.data = (len > 8).then_some((offset, len - 8));
                continue;
            }
            if len > MAX_CONTROL {
                if kind & CRITICAL != 0 || len > MAX_SKIPPED {
                    return Err(WireError("frame too long"));
                }
                self.take(HEADER_LEN, input);
                self.skip = len;
                continue;
            }
            let Some(whole) = self.take(HEADER_LEN + len, input) else {
                return Ok(None);
            };
            if let Some(frame) = Frame::parse(kind, &whole[HEADER_LEN..])? {
                return Ok(Some(frame));
            }
        }
    }

    /// Type and length of the next frame, which stay where they are.
    fn header(&mut self, input: &mut Bytes) -> Option<(u8, usize)> {
        if self.carry.len() < HEADER_LEN && !self.carry.is_empty() {
            let n = (HEADER_LEN - self.carry.len()).min(input.len());
            self.carry.extend_from_slice(&input.split_to(n));
        }
        let from: &[u8] = if self.carry.is_empty() {
            input
        } else {
            &self.carry
        };
        let Some(head) = from.get(..HEADER_LEN) else {
            if self.carry.is_empty() {
                self.carry.extend_from_slice(&input.split_to(input.len()));
            }
            return None;
        };
        let word = u32::from_be_bytes([0, head[1], head[2], head[3]]);
        Some((head[0], word as usize))
    }

    /// The next `n` bytes, if they are all there; else what there is is kept.
    fn take(&mut self, n: usize, input: &mut Bytes) -> Option<Bytes> {
        if self.carry.is_empty() && input.len() >= n {
            return Some(input.split_to(n));
        }
        let missing = n.saturating_sub(self.carry.len()).min(input.len());
        self.carry.extend_from_slice(&input.split_to(missing));
        (self.carry.len() >= n).then(|| std::mem::take(&mut self.carry).freeze())
    }
}
