//! Reads, writes and waits by numbers alone, over memory that the caller lends for the length of a call.
//!
//! They are for Kotlin: JNA looks through every structure that a call has, which takes longer than to move 64 KiB. A wait of
//! uniffi's takes half a dozen of such calls. They do what [`try_read`](crate::Connection::try_read),
//! [`try_write`](crate::Connection::try_write) and the waits for them do, and leave telling what went wrong to those.
#![allow(
    unsafe_code,
    reason = "exported by name, and given memory by its address"
)]

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::slice;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, OnceLock, PoisonError, RwLock, Weak};
use std::task::{Wake, Waker};

use crate::signal::Signal;

/// What is told instead of an error: the other way tells it.
const ELSEWHERE: i32 = -1;
/// There is nothing at the moment; waiting may help.
const NOTHING_YET: i32 = -2;

/// What can be read from, or written to, by its number.
pub(crate) trait Lent: Send + Sync {
    /// Fills the space with what has come, as far as it goes, without waiting.
    fn read_into(&self, space: &mut [u8]) -> Taken;

    /// Accepts as many of the bytes as there is room for, without waiting.
    fn write_from(&self, _bytes: &[u8]) -> Taken {
        Taken::Elsewhere
    }

    /// Raised once a read may give something else than it did.
    fn readable(&self) -> &Signal;

    /// Raised once there may be room for more; nothing if it cannot be written to.
    fn writable(&self) -> Option<&Signal> {
        None
    }
}

/// What became of a read or a write.
pub(crate) enum Taken {
    /// So many bytes; none: it has ended.
    Bytes(usize),
    /// None so far.
    NothingYet,
    /// The other way tells what is the matter.
    Elsewhere,
}

/// Whom to tell that a wait is over, by its ticket.
type Tell = extern "C" fn(u64);

static OPEN: LazyLock<RwLock<HashMap<u64, Weak<dyn Lent>>>> = LazyLock::new(RwLock::default);
static NEXT: AtomicU64 = AtomicU64::new(1);
static TELL: OnceLock<Tell> = OnceLock::new();

/// A number that nothing else has or had.
pub(crate) fn number() -> u64 {
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// From now on it is known by that number, until it is [forgotten](forget).
pub(crate) fn remember(number: u64, what: &Arc<dyn Lent>) {
    let mut open = OPEN.write().unwrap_or_else(PoisonError::into_inner);
    open.insert(number, Arc::downgrade(what));
}

pub(crate) fn forget(number: u64) {
    let mut open = OPEN.write().unwrap_or_else(PoisonError::into_inner);
    open.remove(&number);
}

fn lent(number: u64) -> Option<Arc<dyn Lent>> {
    let open = OPEN.read().unwrap_or_else(PoisonError::into_inner);
    open.get(&number)?.upgrade()
}

/// Tells one caller.
struct Caller(u64);

impl Wake for Caller {
    fn wake(self: Arc<Self>) {
        if let Some(tell) = TELL.get() {
            tell(self.0);
        }
    }
}

/// Takes what has come, at most `length` bytes, without waiting, and puts it at `address`; tells how many. 0 at the end, -2 if
/// there is nothing yet, -1 if `try_read` has something else to tell.
///
/// # Safety
///
/// At `address` there are `length` bytes, which were written before and which nobody else uses during the call.
#[unsafe(no_mangle)]
unsafe extern "C" fn twinpath_try_read(number: u64, address: u64, length: u32) -> i32 {
    moved(number, address, length, |lent, first, length| {
        // SAFETY: the caller lends it for the call, and it has been written before.
        let space = unsafe { slice::from_raw_parts_mut(first, length) };
        lent.read_into(space)
    })
}

/// Accepts as many of the `length` bytes at `address` as there is room for, without waiting; tells how many. -2 if there is no
/// room yet, -1 if `try_write` has something else to tell.
///
/// # Safety
///
/// At `address` there are `length` bytes, which nobody changes during the call.
#[unsafe(no_mangle)]
unsafe extern "C" fn twinpath_try_write(number: u64, address: u64, length: u32) -> i32 {
    moved(number, address, length, |lent, first, length| {
        // SAFETY: the caller lends it for the call.
        let bytes = unsafe { slice::from_raw_parts(first, length) };
        lent.write_from(bytes)
    })
}

/// Names whom to tell that a wait is over, with its ticket. It is told on any thread, and does not wait itself. The first one
/// that is named stays, and has 1; all others have 0, and must not go on: what else is called belongs to the first as well.
#[unsafe(no_mangle)]
extern "C" fn twinpath_tell_by(tell: Option<Tell>) -> i32 {
    tell.is_some_and(|tell| TELL.set(tell).is_ok()).into()
}

/// Has the ticket told once a read may give something else than it did, and gives 1. 0: it may already, and nothing is told.
///
/// A ticket is used once. That it was told may also mean nothing: whoever was told tries again.
#[unsafe(no_mangle)]
extern "C" fn twinpath_when_readable(number: u64, ticket: u64) -> i32 {
    when(number, ticket, |lent| Some(lent.readable()))
}

/// As [`twinpath_when_readable`], once there may be room for more.
#[unsafe(no_mangle)]
extern "C" fn twinpath_when_writable(number: u64, ticket: u64) -> i32 {
    when(number, ticket, |lent| lent.writable())
}

/// The ticket for [`twinpath_when_readable`] need not be told any more. It may have been meanwhile.
#[unsafe(no_mangle)]
extern "C" fn twinpath_not_when_readable(number: u64, ticket: u64) {
    guarded(|| {
        lent(number)?.readable().forget(ticket);
        Some(())
    });
}

/// As [`twinpath_not_when_readable`], for [`twinpath_when_writable`].
#[unsafe(no_mangle)]
extern "C" fn twinpath_not_when_writable(number: u64, ticket: u64) {
    guarded(|| {
        lent(number)?.writable()?.forget(ticket);
        Some(())
    });
}

fn when(number: u64, ticket: u64, signal: impl FnOnce(&dyn Lent) -> Option<&Signal>) -> i32 {
    let is_waiting = guarded(|| {
        let lent = lent(number)?;
        let waker = Waker::from(Arc::new(Caller(ticket)));
        Some(signal(&*lent)?.tell(ticket, &waker))
    });
    is_waiting.unwrap_or(false).into()
}

fn moved(
    number: u64,
    address: u64,
    length: u32,
    call: impl FnOnce(&dyn Lent, *mut u8, usize) -> Taken,
) -> i32 {
    let taken = guarded(|| {
        let lent = lent(number)?;
        let first = ptr::with_exposed_provenance_mut::<u8>(usize::try_from(address).ok()?);
        if first.is_null() {
            return None;
        }
        Some(call(&*lent, first, usize::try_from(length).ok()?))
    });
    match taken {
        Some(Taken::Bytes(size)) => i32::try_from(size).unwrap_or(ELSEWHERE),
        Some(Taken::NothingYet) => NOTHING_YET,
        Some(Taken::Elsewhere) | None => ELSEWHERE,
    }
}

/// No panic leaves the library.
fn guarded<R>(call: impl FnOnce() -> Option<R>) -> Option<R> {
    catch_unwind(AssertUnwindSafe(call)).ok().flatten()
}
