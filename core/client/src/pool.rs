//! Buffers to read into, used again once nobody holds their bytes any more.
//!
//! Fresh memory is slow memory: the kernel clears every page before it copies into it, and an allocator that gives large
//! buffers back makes that happen for each of them. Buffers are kept per thread, so that an idle connection holds none.

#![allow(
    clippy::missing_const_for_thread_local,
    reason = "it is const; the lint does not see that where thread locals are emulated"
)]

use std::cell::RefCell;
use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// Room of a buffer, in bytes: enough for a system call to cost little beside the copying.
pub const SIZE: usize = 64 * 1024;
/// Less than this is copied out of its buffer: who keeps a piece keeps the whole buffer.
const WORTH_KEEPING: usize = SIZE / 2;
/// Buffers kept per thread: 2 MiB, about what a fast connection has under way.
const KEPT: usize = 32;
/// Buffers asked whether they are free. The oldest are let go first as a rule; one slow reader must not hide the rest.
const ASKED: usize = 4;

thread_local! {
    static BUFFERS: RefCell<VecDeque<BytesMut>> = const { RefCell::new(VecDeque::new()) };
}

/// An empty buffer with room for [`SIZE`] bytes.
#[must_use]
pub fn take() -> BytesMut {
    let used = BUFFERS.with_borrow_mut(|buffers| {
        for _ in 0..ASKED.min(buffers.len()) {
            let mut oldest = buffers.pop_front()?;
            if oldest.try_reclaim(SIZE) {
                return Some(oldest);
            }
            buffers.push_back(oldest);
        }
        None
    });
    used.unwrap_or_else(|| BytesMut::with_capacity(SIZE))
}

/// What was read into `buffer`, to be kept; copied if it is little. What room is left can be read into.
pub fn detach(buffer: &mut BytesMut) -> Bytes {
    if buffer.len() < WORTH_KEEPING {
        let copied = Bytes::copy_from_slice(buffer);
        buffer.clear();
        copied
    } else {
        buffer.split().freeze()
    }
}

/// Keeps `buffer`, what others still hold of it included, for a later [`take`].
pub fn give(mut buffer: BytesMut) {
    buffer.clear();
    BUFFERS.with_borrow_mut(|buffers| {
        if buffers.len() == KEPT {
            buffers.pop_front();
        }
        buffers.push_back(buffer);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_once_its_bytes_are_let_go() {
        let mut buffer = take();
        let place = buffer.as_ptr();
        buffer.extend_from_slice(&[7; 1000]);
        let held = buffer.split().freeze();
        give(buffer);
        let other = take();
        assert!(other.capacity() >= SIZE);
        assert_ne!(other.as_ptr(), place, "its bytes are still held");
        assert_eq!(held, [7; 1000][..]);
        drop(held);
        let again = take();
        assert_eq!(again.as_ptr(), place);
        assert!(again.is_empty() && again.capacity() >= SIZE);
    }

    #[test]
    fn one_that_is_held_for_long_hides_no_other() {
        let mut slow = take();
        slow.extend_from_slice(b"held");
        let held = slow.split();
        give(slow);
        let free = take();
        let place = free.as_ptr();
        give(free);
        assert_eq!(take().as_ptr(), place);
        drop(held);
    }

    #[test]
    fn little_does_not_hold_a_whole_buffer() {
        let mut buffer = take();
        buffer.extend_from_slice(&[1; WORTH_KEEPING - 1]);
        let little = detach(&mut buffer);
        assert_eq!(buffer.capacity(), SIZE);
        buffer.extend_from_slice(&[1; WORTH_KEEPING]);
        let much = detach(&mut buffer);
        assert_eq!(buffer.capacity(), SIZE - WORTH_KEEPING);
        assert_eq!(much[1..], little);
    }

    #[test]
    fn only_so_many_are_kept() {
        let all: Vec<_> = (0..2 * KEPT).map(|_| take()).collect();
        all.into_iter().for_each(give);
        assert_eq!(BUFFERS.with_borrow(VecDeque::len), KEPT);
    }
}
