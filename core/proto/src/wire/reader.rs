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

    /// How much of `input` is payload that carries the stream on from `next`. Takes nothing.
    pub(crate) fn in_order_ahead(&self, input: &[u8], mut next: u64) -> usize {
        let mut sum = 0;
        let mut count = |offset: u64, size: usize| {
            let end = offset.saturating_add(size as u64);
            if offset <= next && end > next {
                sum += (end - next) as usize;
                next = end;
            }
        };
        let mut at = self.skip;
        if let Some((offset, left)) = self.data {
            let size = left.min(input.len());
            count(offset, size);
            at = left;
        }
        // The head of the first frame may have come with the last input.
        let kept = self.carry.len();
        let byte = |at: usize| match at.checked_sub(kept) {
            Some(at) => input.get(at).copied(),
            None => self.carry.get(at).copied(),
        };
        while let (Some(kind), Some(a), Some(b), Some(c)) =
            (byte(at), byte(at + 1), byte(at + 2), byte(at + 3))
        {
            let len = u32::from_be_bytes([0, a, b, c]) as usize;
            if kind == DATA {
                let mut offset = [0; 8];
                for (place, at) in offset.iter_mut().zip(at + HEADER_LEN..) {
                    *place = byte(at).unwrap_or_default();
                }
                let here = (input.len() + kept).saturating_sub(at + DATA_HEADER_LEN);
                count(u64::from_be_bytes(offset), len.saturating_sub(8).min(here));
            }
            at += HEADER_LEN + len;
        }
        sum
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{ResetCode, Role};
    use bytes::BufMut;

    fn frame(kind: u8, body: &[u8]) -> BytesMut {
        let mut out = BytesMut::new();
        out.put_u32(u32::from(kind) << 24 | body.len() as u32);
        out.put_slice(body);
        out
    }

    fn read(bytes: &[u8]) -> Result<Vec<Frame>, WireError> {
        read_in_parts(bytes, bytes.len())
    }

    fn read_in_parts(bytes: &[u8], size: usize) -> Result<Vec<Frame>, WireError> {
        let mut reader = FrameReader::default();
        let mut out = Vec::new();
        for part in bytes.chunks(size.max(1)) {
            let mut part = Bytes::copy_from_slice(part);
            while let Some(frame) = reader.next(&mut part)? {
                out.push(frame);
            }
            assert!(part.is_empty());
            assert!(reader.carry.len() <= HEADER_LEN + MAX_CONTROL);
        }
        Ok(out)
    }

    /// Neighbouring stretches of DATA made one.
    fn joined(frames: Vec<Frame>) -> Vec<Frame> {
        let mut out: Vec<Frame> = Vec::new();
        for frame in frames {
            match (out.last_mut(), frame) {
                (
                    Some(Frame::Data { offset, payload }),
                    Frame::Data {
                        offset: next,
                        payload: more,
                    },
                ) if *offset + payload.len() as u64 == next => {
                    *payload = [&payload[..], &more].concat().into();
                }
                (_, frame) => out.push(frame),
            }
        }
        out
    }

    #[test]
    fn a_stream_of_frames_reads_the_same_however_it_is_cut() {
        let frames = vec![
            Frame::Ping { id: 1 },
            Frame::Data {
                offset: u64::from(u32::MAX),
                payload: Bytes::from(vec![7; 300]),
            },
            Frame::Switch {
                epoch: 3,
                active: Role::Backup,
                next: 4,
                limit: 5,
            },
            Frame::Reset {
                code: ResetCode::Other(999),
                delivered: u64::MAX,
            },
            Frame::Data {
                offset: 0,
                payload: Bytes::from_static(b"x"),
            },
            Frame::Fin { offset: 1 },
        ];
        let mut bytes = BytesMut::new();
        for frame in &frames {
            frame.encode(&mut bytes);
            bytes.extend_from_slice(&[0x7f, 0, 0, 2, 1, 1]);
        }
        for size in 1..=bytes.len() {
            assert_eq!(
                joined(read_in_parts(&bytes, size).unwrap()),
                frames,
                "{size}"
            );
        }
    }

    #[test]
    fn unknown_frames_are_passed_over_unless_critical() {
        let ping = frame(0x83, &[0, 0, 0, 1]);
        for len in [0, 1, MAX_CONTROL, MAX_CONTROL + 1, MAX_SKIPPED] {
            let bytes = [&frame(0x01, &vec![0; len])[..], &ping].concat();
            for size in [1, 3, bytes.len()] {
                assert_eq!(read_in_parts(&bytes, size), Ok(vec![Frame::Ping { id: 1 }]));
            }
            assert!(read(&frame(0x80, &vec![0; len])).is_err(), "{len}");
        }
        assert!(read(&frame(0x01, &vec![0; MAX_SKIPPED + 1])).is_err());
    }

    #[test]
    fn a_length_is_judged_before_the_body_has_come() {
        let header = |kind: u8, len: usize| (u32::from(kind) << 24 | len as u32).to_be_bytes();
        assert!(read(&header(0x82, MAX_CONTROL + 1)).is_err());
        assert!(read(&header(0x01, MAX_SKIPPED + 1)).is_err());
        assert!(read(&header(DATA, 7)).is_err());
        assert!(read(&header(DATA, 8 + MAX_DATA + 1)).is_err());
        assert_eq!(read(&header(DATA, 8 + MAX_DATA)), Ok(vec![]));
    }

    #[test]
    fn known_frames_may_be_longer_but_not_shorter_than_known() {
        let lengths = [
            (0x82, 16),
            (0x83, 4),
            (0x84, 4),
            (0x85, 24),
            (0x86, 8),
            (0x87, 12),
            (0x88, 8),
            (0x09, 4),
            (0x8A, 32),
        ];
        for (kind, len) in lengths {
            for n in 0..len {
                assert!(read(&frame(kind, &vec![0; n])).is_err(), "{kind:#x} {n}");
            }
            let known = read(&frame(kind, &vec![0; len])).unwrap();
            assert_eq!(known.len(), 1);
            assert_eq!(read(&frame(kind, &vec![0; len + 9])), Ok(known));
        }
    }

    #[test]
    fn data_is_handed_on_before_the_frame_is_whole() {
        let whole = frame(DATA, &[&[0; 8], &[1; 100][..]].concat());
        let got = read(&whole[..DATA_HEADER_LEN + 40]).unwrap();
        let payload = Bytes::from(vec![1; 40]);
        assert_eq!(got, [Frame::Data { offset: 0, payload }]);
        assert_eq!(read(&frame(DATA, &[0; 8])), Ok(vec![]));
    }

    #[test]
    fn an_offset_whose_end_would_overflow_is_a_violation() {
        let highest = u64::MAX - MAX_DATA as u64 - 1;
        assert!(read(&frame(DATA, &highest.to_be_bytes())).is_ok());
        assert!(read(&frame(DATA, &(highest + 1).to_be_bytes())).is_err());
    }

    #[test]
    fn a_switch_to_no_path_is_a_violation() {
        let mut body = [0; 24];
        body[4] = 2;
        assert!(read(&frame(0x85, &body)).is_err());
    }

    #[test]
    fn what_carries_the_stream_on_is_known_before_it_is_read() {
        let mut bytes = frame(0x81, &[&100u64.to_be_bytes()[..], &[7; 50]].concat());
        bytes.extend(frame(0x40, &[0; 3000]));
        bytes.extend(frame(0x83, &[0; 4]));
        // Again, beyond a gap, and partly known.
        bytes.extend(frame(0x81, &[&100u64.to_be_bytes()[..], &[7; 50]].concat()));
        bytes.extend(frame(0x81, &[&500u64.to_be_bytes()[..], &[7; 90]].concat()));
        bytes.extend(frame(0x81, &[&140u64.to_be_bytes()[..], &[7; 20]].concat()));
        let bytes = bytes.freeze();
        for cut in 0..bytes.len() {
            let mut reader = FrameReader::default();
            let (mut next, mut sum) = (100, 0);
            for mut part in [bytes.slice(..cut), bytes.slice(cut..)] {
                let ahead = reader.in_order_ahead(&part, next);
                let before = next;
                while let Some(frame) = reader.next(&mut part).unwrap() {
                    if let Frame::Data { offset, payload } = frame {
                        let end = offset + payload.len() as u64;
                        if offset <= next && end > next {
                            next = end;
                        }
                    }
                }
                assert_eq!(ahead as u64, next - before, "cut at {cut}");
                sum += ahead;
            }
            assert_eq!(sum, 60, "cut at {cut}");
        }
    }
}
