//! SYNs whose life ends on the way. The router where that is sends an ICMP error with a quote of what reached it, and
//! the difference to what was sent lies between this hop and the one before.
//!
//! All probes of a trace are of one flow, so that load balancers send them one way; each hop is asked once a second, and
//! answers that contradict each other make the interval as wide as it takes to be true.

mod dropped;
mod hop;
mod locate;
mod send;

pub(crate) use dropped::ROUNDS;
pub use dropped::{Compared, trace_dropped};
pub use hop::{Hop, Observation, Trace};
pub use locate::{Interval, Located, dropped_between, locate};
pub use send::Tracer;
