//! Reads and writes over memory that the caller lends for the length of a call, by numbers alone.
//!
//! They are for Kotlin: JNA looks through every structure that a call has, which takes longer than to move 64 KiB. They do what
//! [`try_read`](Connection::try_read) and [`try_write`](Connection::try_write) do, and leave telling what went wrong to those.
#![allow(
    unsafe_code,
    reason = "exported by name, and given memory by its address"
)]

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::slice;
use std::sync::{Arc, LazyLock, PoisonError, RwLock, Weak};

use crate::connection::Connection;

/// What is told instead of an error: the other way tells it.
const ELSEWHERE: i32 = -1;

static OPEN: LazyLock<RwLock<HashMap<u64, Weak<Connection>>>> = LazyLock::new(RwLock::default);

/// From now on the connection is known by that number, until it is [forgotten](forget).
pub(crate) fn remember(number: u64, connection: &Arc<Connection>) {
    let mut open = OPEN.write().unwrap_or_else(PoisonError::into_inner);
    open.insert(number, Arc::downgrade(connection));
}

pub(crate) fn forget(number: u64) {
    let mut open = OPEN.write().unwrap_or_else(PoisonError::into_inner);
    open.remove(&number);
}

fn connection(number: u64) -> Option<Arc<Connection>> {
    let open = OPEN.read().unwrap_or_else(PoisonError::into_inner);
    open.get(&number)?.upgrade()
}

/// Takes what has come, at most `length` bytes, without waiting, and puts it at `address`; tells how many. -1 if `try_read` has
/// something else to tell.
///
/// # Safety
///
/// At `address` there are `length` bytes, which were written before and which nobody else uses during the call.
#[unsafe(no_mangle)]
unsafe extern "C" fn twinpath_try_read(number: u64, address: u64, length: u32) -> i32 {
    told(number, address, length, |connection, first, length| {
        // SAFETY: the caller lends it for the call, and it has been written before.
        let space = unsafe { slice::from_raw_parts_mut(first, length) };
        connection.read_into(space)
    })
}

/// Accepts as many of the `length` bytes at `address` as there is room for, without waiting; tells how many. -1 if `try_write`
/// has something else to tell.
///
/// # Safety
///
/// At `address` there are `length` bytes, which nobody changes during the call.
#[unsafe(no_mangle)]
unsafe extern "C" fn twinpath_try_write(number: u64, address: u64, length: u32) -> i32 {
    told(number, address, length, |connection, first, length| {
        // SAFETY: the caller lends it for the call.
        let bytes = unsafe { slice::from_raw_parts(first, length) };
        let accepted = connection.try_write(bytes).ok()?;
        usize::try_from(accepted).ok()
    })
}

/// No panic leaves the library.
fn told(
    number: u64,
    address: u64,
    length: u32,
    call: impl FnOnce(&Connection, *mut u8, usize) -> Option<usize>,
) -> i32 {
    let called = catch_unwind(AssertUnwindSafe(|| {
        let connection = connection(number)?;
        let first = ptr::with_exposed_provenance_mut::<u8>(usize::try_from(address).ok()?);
        if first.is_null() {
            return None;
        }
        let moved = call(&connection, first, usize::try_from(length).ok()?)?;
        i32::try_from(moved).ok()
    }));
    called.ok().flatten().unwrap_or(ELSEWHERE)
}
