//! The clock of a session: one that goes on while the device sleeps, because a session's time to live does.

use twinpath_proto::Time;

/// The time to hand to a [`Session`](twinpath_proto::Session).
#[must_use]
pub fn now() -> Time {
    Time::from_duration(twinpath_socket::now_boottime())
}
