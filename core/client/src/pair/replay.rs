//! What was said of an exchange, as long as it may be said again.

use std::io::IoSlice;

use bytes::{Bytes, BytesMut};

/// More than this is not kept: whoever sends more has to be able to make it again.
const MOST: usize = 256 * 1024;

/// The bytes written since the exchange began.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    written: BytesMut,
}

impl Replay {
    /// Keeps the first `size` bytes of `bufs` as well; `None` if they are too many.
    pub(crate) fn keep(mut self, bufs: &[IoSlice<'_>], size: usize) -> Option<Self> {
        if self.written.len() + size > MOST {
            return None;
        }
        let mut rest = size;
        for buf in bufs {
            let part = buf.len().min(rest);
            self.written.extend_from_slice(&buf[..part]);
            rest -= part;
        }
        Some(self)
    }

    pub(crate) fn bytes(&self) -> Bytes {
        self.written.clone().freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_accepted_is_kept_in_order_and_no_more_than_may_be() {
        let bufs = [IoSlice::new(b"GET "), IoSlice::new(b"/ HTTP")];
        let replay = Replay::default().keep(&bufs, 7).unwrap();
        let replay = replay.keep(&[IoSlice::new(b"TTP/1.1")], 7).unwrap();
        assert_eq!(replay.bytes(), "GET / HTTP/1.1");
        let large = vec![0; MOST];
        assert!(replay.keep(&[IoSlice::new(&large)], MOST).is_none());
    }
}
