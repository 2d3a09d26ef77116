//! The clock that goes on while the device sleeps.

use std::time::Duration;

use crate::sys;

/// The time since some fixed moment in the past (usually the boot), **counting the time the device
/// slept**.
///
/// [`std::time::Instant`] stands still during sleep on Linux, Android and Apple's systems, so a
/// session that has expired while the phone lay in a pocket would look fresh. This clock is
/// monotonic and is not set by anyone, but only differences of two readings mean something, and
/// only on one device.
///
/// Source: `CLOCK_BOOTTIME` on Linux and Android, `CLOCK_MONOTONIC_RAW` on Apple's systems (where
/// it counts sleep), `QueryInterruptTimePrecise` on Windows. Elsewhere it is the ordinary monotonic
/// clock, which may not count sleep.
#[must_use]
pub fn now_boottime() -> Duration {
    sys::boottime()
}
