//! Clocks by `clock_gettime`.
#![allow(unsafe_code, reason = "clock_gettime")]

use std::{io, time::Duration};

/// The reading of a clock, or the kernel's reason for having none of that kind.
pub(in crate::sys) fn read(clock: libc::clockid_t) -> io::Result<Duration> {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `now` is a valid timespec to write to.
    if unsafe { libc::clock_gettime(clock, &raw mut now) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // Both are positive for a clock that began at boot, and the nanoseconds are below 10⁹.
    Ok(Duration::new(
        u64::try_from(now.tv_sec).unwrap_or(0),
        u32::try_from(now.tv_nsec).unwrap_or(0),
    ))
}
