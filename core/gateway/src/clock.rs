//! The clock that sessions live by: it goes on while the machine sleeps.

use twinpath_proto::Time;

pub(crate) fn now() -> Time {
    Time::from_duration(twinpath_socket::now_boottime())
}
