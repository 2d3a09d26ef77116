//! The receiving side of the stream: order, window, end.

use std::collections::BTreeMap;

use bytes::{Buf, Bytes};

use super::queue::ByteQueue;
use crate::config::{EARLY_LIMIT, WindowConfig};
use crate::error::WireError;

/// Gaps come only from legs that begin anew; no honest peer makes many.
const MAX_GAPS: usize = 256;

/// Puts the bytes of all legs in order, and says how much more may come.
#[derive(Debug)]
pub(crate) struct ReceiveBuffer {
    ready: ByteQueue,
    /// Runs above `next`, none touching another.
    apart: BTreeMap<u64, ByteQueue>,
    apart_len: u64,
    next: u64,
    read: u64,
    fin: Option<u64>,
    limit: u64,
    window: u64,
    max_window: u64,
    /// Where `read` stood when the window was last looked at, for tuning.
    tuned_at: u64,
}

impl ReceiveBuffer {
    pub(crate) fn new(config: WindowConfig) -> Self {
        // What may come before the window is known must fit.
        let window = u64::from(config.initial).max(EARLY_LIMIT);
        Self {
            ready: ByteQueue::default(),
            apart: BTreeMap::new(),
            apart_len: 0,
            next: 0,
            read: 0,
            fin: None,
            limit: window,
            window,
            max_window: u64::from(config.max).max(window),
            tuned_at: 0,
        }
    }

    /// Everything below has arrived; one more than the end when the end has.
    pub(crate) fn ack(&self) -> u64 {
        self.next + u64::from(self.fin == Some(self.next))
    }

    pub(crate) const fn limit(&self) -> u64 {
        self.limit
    }

    /// Bytes that the application has taken.
    pub(crate) const fn read_offset(&self) -> u64 {
        self.read
    }

    pub(crate) fn is_readable(&self) -> bool {
        self.ready.len() > 0
    }

    /// The peer's end has arrived with everything before it.
    pub(crate) fn is_finished(&self) -> bool {
        self.fin == Some(self.next)
    }

    /// The application has taken everything up to the end.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.is_finished() && self.ready.len() == 0
    }

    /// Takes payload that came on any leg; says whether more is in order than before.
    pub(crate) fn insert(
        &mut self,
        mut offset: u64,
        mut payload: Bytes,
    ) -> Result<bool, WireError> {
        let mut end = offset + payload.len() as u64;
        if end > self.limit {
            return Err(WireError("data beyond the window"));
        }
        if self.fin.is_some_and(|fin| end > fin) {
            return Err(WireError("data beyond the end"));
        }
        if end <= self.next {
            return Ok(false);
        }
        if offset < self.next {
            payload.advance((self.next - offset) as usize);
            offset = self.next;
        }
        if offset == self.next {
            self.next = end;
            self.ready.push(payload);
            self.join_runs();
            return Ok(true);
        }
        // What a run already holds is cut off the front and the back of the new piece; what lies
        // in the middle of it is cut out by taking the piece in parts.
        while offset < end {
            if let Some((start, run)) = self.apart.range_mut(..=offset).next_back() {
                let run_end = start + run.len() as u64;
                if run_end > offset {
                    let known = (run_end.min(end) - offset) as usize;
                    payload.advance(known);
                    offset += known as u64;
                    continue;
                }
            }
            let part_end = match self.apart.range(offset..).next() {
                Some((start, _)) => end.min(*start),
                None => end,
            };
            let part = payload.split_to((part_end - offset) as usize);
            self.insert_apart(offset, part)?;
            offset = part_end;
        }
        end = end.max(self.next);
        debug_assert!(end >= self.next);
        Ok(false)
    }

    fn insert_apart(&mut self, offset: u64, part: Bytes) -> Result<(), WireError> {
        let len = part.len() as u64;
        if let Some((start, run)) = self.apart.range_mut(..offset).next_back() {
            if start + run.len() as u64 == offset {
                run.push(part);
                self.apart_len += len;
                return Ok(());
            }
        }
        if self.apart.len() >= MAX_GAPS {
            return Err(WireError("too many gaps"));
        }
        let mut run = ByteQueue::default();
        run.push(part);
        self.apart.insert(offset, run);
        self.apart_len += len;
        Ok(())
    }

    /// Moves runs that are in order by now to what can be read.
    fn join_runs(&mut self) {
        while let Some(entry) = self.apart.first_entry() {
            let start = *entry.key();
            if start > self.next {
                break;
            }
            let mut run = entry.remove();
            let run_end = start + run.len() as u64;
            self.apart_len -= run.len() as u64;
            if run_end <= self.next {
                continue;
            }
            let mut known = (self.next - start) as usize;
            while known > 0 {
                match run.take(known) {
                    Some(piece) => known -= piece.len(),
                    None => break,
                }
            }
            self.next = run_end;
            self.ready.append(run);
        }
    }

    /// The peer's stream ends at `offset`.
    pub(crate) fn finish(&mut self, offset: u64) -> Result<(), WireError> {
        let highest = self
            .apart
            .last_key_value()
            .map_or(self.next, |(start, run)| start + run.len() as u64);
        if offset < highest || self.fin.is_some_and(|fin| fin != offset) {
            return Err(WireError("contradicting ends of the stream"));
        }
        if offset > self.limit {
            return Err(WireError("end beyond the window"));
        }
        self.fin = Some(offset);
        Ok(())
    }

    pub(crate) fn read(&mut self, out: &mut [u8]) -> usize {
        let n = self.ready.read(out);
        self.read += n as u64;
        n
    }

    pub(crate) fn take(&mut self, max: usize) -> Option<Bytes> {
        let piece = self.ready.take(max)?;
        self.read += piece.len() as u64;
        Some(piece)
    }

    /// Moves the limit after reading; true when the peer should hear of it. `fast` means that the
    /// application drained a quarter of the window within two round trips: the window may grow.
    pub(crate) fn update_limit(&mut self, fast: bool) -> bool {
        if self.read - self.tuned_at >= self.window / 4 {
            if fast && self.window < self.max_window {
                self.window = (self.window * 2).min(self.max_window);
            }
            self.tuned_at = self.read;
        }
        // A shrunken window takes nothing back of what was promised.
        let wanted = (self.read + self.window).max(self.limit);
        let closed = self.limit <= self.next;
        if wanted > self.limit && (closed || wanted - self.limit >= self.window / 4) {
            self.limit = wanted;
            return true;
        }
        false
    }

    /// Nothing more may come until the application reads.
    pub(crate) const fn is_closed(&self) -> bool {
        self.limit <= self.next
    }

    /// Bytes held.
    pub(crate) const fn held(&self) -> u64 {
        self.ready.len() as u64 + self.apart_len
    }

    /// Bytes held that are not in order yet.
    pub(crate) const fn apart(&self) -> u64 {
        self.apart_len
    }

    /// Bounds further growth.
    pub(crate) fn set_max_window(&mut self, max: u64) {
        self.max_window = max;
        self.window = self.window.min(max.max(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer() -> ReceiveBuffer {
        ReceiveBuffer::new(WindowConfig {
            initial: 4096,
            max: 4096,
        })
    }

    fn all(buffer: &mut ReceiveBuffer) -> Vec<u8> {
        let mut out = vec![0; 8192];
        let n = buffer.read(&mut out);
        out.truncate(n);
        out
    }

    #[test]
    fn pieces_in_any_order_with_overlaps_come_out_once() {
        let text: Vec<u8> = (0..=255).collect();
        let mut b = buffer();
        for (from, to) in [
            (100, 120),
            (90, 130),
            (50, 60),
            (40, 95),
            (200, 256),
            (110, 210),
            (10, 45),
        ] {
            assert!(
                !b.insert(from, Bytes::copy_from_slice(&text[from as usize..to]))
                    .unwrap()
            );
        }
        assert!(b.insert(0, Bytes::copy_from_slice(&text[..11])).unwrap());
        assert_eq!(b.ack(), 256);
        assert_eq!(all(&mut b), text);
        assert_eq!(b.held(), 0);
    }

    #[test]
    fn the_end_is_acknowledged_as_one_more() {
        let mut b = buffer();
        b.finish(3).unwrap();
        assert_eq!(b.ack(), 0);
        b.insert(0, Bytes::from_static(b"abc")).unwrap();
        assert_eq!(b.ack(), 4);
        assert!(!b.is_exhausted());
        all(&mut b);
        assert!(b.is_exhausted());
    }

    #[test]
    fn a_window_of_next_to_nothing_is_told_only_when_it_moves() {
        let mut b = buffer();
        let limit = b.limit();
        b.set_max_window(1);
        for offset in 0..100 {
            b.insert(offset, Bytes::from_static(b"x")).unwrap();
            all(&mut b);
            assert!(!b.update_limit(false), "at {offset} of {limit}");
        }
    }

    #[test]
    fn lies_are_refused() {
        let mut b = buffer();
        assert!(b.insert(16_000, Bytes::from(vec![0; 385])).is_err());
        b.insert(10, Bytes::from_static(b"x")).unwrap();
        assert!(b.finish(5).is_err());
        b.finish(11).unwrap();
        assert!(b.finish(12).is_err());
        assert!(b.insert(11, Bytes::from_static(b"x")).is_err());
    }
}
