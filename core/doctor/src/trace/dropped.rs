//! Where packets with the option vanish: two traces of one flow, with the option and without it.

use std::io;

use super::hop::Trace;
use super::locate::{Interval, dropped_between};
use super::send::Tracer;
use crate::packet::Ask;

/// Chance takes all answers of a hop on a path that loses 2 % each way once in fifteen thousand times.
pub(crate) const ROUNDS: u32 = 3;
/// Without the option: what chance takes of it makes the interval wider, and not wrong.
const PLAIN_ROUNDS: u32 = 2;

/// What two traces tell together.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Compared {
    /// The hops that got the option, and behind them those that answer without it.
    pub trace: Trace,
    /// The last hop that got the option; 0 if none did.
    pub reached: u8,
    /// Between which hops the option's packets vanish, if a hop or the server behind the last that got them answers
    /// others.
    pub dropped: Option<Interval>,
}

impl Compared {
    /// Of a trace with the option alone.
    #[must_use]
    pub fn of(trace: Trace) -> Self {
        Self {
            reached: trace.farthest(),
            trace,
            dropped: None,
        }
    }
}

/// Traces with the option, and without it behind the last hop that answers, unless the server does.
///
/// Both are of the tracer's flow, so that no hop is of another way; and no hop is asked again that has just answered.
///
/// # Errors
///
/// The kernel's, when it sends nothing.
///
/// # Cancel safety
///
/// As [`Tracer::trace`].
pub async fn trace_dropped(tracer: &Tracer<'_>, ask: Ask) -> io::Result<Compared> {
    let mut trace = tracer.trace(ask, ROUNDS).await?;
    let reached = trace.farthest();
    if trace.server_at.is_some() {
        return Ok(Compared::of(trace));
    }
    let plain = tracer
        .trace_behind(reached, ask.without_option(), PLAIN_ROUNDS)
        .await?;
    let dropped = dropped_between(&trace, &plain);
    trace.hops.truncate(reached.into());
    trace
        .hops
        .extend(plain.hops.into_iter().skip(reached.into()));
    trace.server_at = plain.server_at;
    Ok(Compared {
        trace,
        reached,
        dropped,
    })
}
