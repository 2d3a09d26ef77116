//! How a gateway ends: it serves, then drains, then stops.
//!
//! Draining refuses new sessions and raw connections and tells every client that the gateway is going away, but
//! joins stay welcome: a session that is on its way out must still survive the loss of its Wi-Fi.

use std::time::Duration;

use tokio::sync::watch;

/// Where a gateway is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Everything is welcome.
    Serving,
    /// Only joins to sessions that exist are welcome; ends when the last connection has ended, or in time.
    Draining,
    /// Everything still open is reset.
    Stopped,
}

/// Ends a [`Forwarder`](crate::Forwarder) or a [`Listener`](crate::Listener): gently, or at once.
///
/// Clones control the same gateway. A program that maps a signal to [`advance`](Self::advance) drains on the first
/// one and ends on the second.
#[derive(Debug, Clone)]
pub struct ShutdownHandle {
    phase: watch::Sender<Phase>,
}

impl ShutdownHandle {
    pub(crate) fn new() -> Self {
        Self {
            phase: watch::Sender::new(Phase::Serving),
        }
    }

    /// Begins to drain; does nothing when draining or stopped already.
    pub fn drain(&self) {
        self.raise(Phase::Draining);
    }

    /// Ends at once: what is still open is reset.
    pub fn stop(&self) {
        self.raise(Phase::Stopped);
    }

    /// Goes one step further: drains when serving, stops when draining.
    pub fn advance(&self) {
        self.phase.send_if_modified(|phase| {
            let next = match *phase {
                Phase::Serving => Phase::Draining,
                Phase::Draining | Phase::Stopped => Phase::Stopped,
            };
            let changed = *phase != next;
            *phase = next;
            changed
        });
    }

    /// The phase the gateway is in.
    #[must_use]
    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Waits until the gateway is in `phase` or beyond it.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is lost by dropping the future.
    pub async fn reached(&self, phase: Phase) {
        let mut watch = self.phase.subscribe();
        // Fails only when every sender is gone, and `self` is one.
        let _ = watch.wait_for(|now| *now >= phase).await;
    }

    fn raise(&self, to: Phase) {
        self.phase.send_if_modified(|phase| {
            let raised = *phase < to;
            if raised {
                *phase = to;
            }
            raised
        });
    }
}

/// How a gateway ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ExitReport {
    /// Whether every connection ended by itself, so that none was cut off.
    pub clean: bool,
    /// Sessions that were reset because they outlived the drain.
    pub sessions_cut: u64,
    /// Raw connections that were reset because they outlived the drain.
    pub raw_cut: u64,
    /// Time from the first call to drain or stop to the end.
    pub drained_for: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_signal_stops() {
        let handle = ShutdownHandle::new();
        assert_eq!(handle.phase(), Phase::Serving);
        handle.advance();
        assert_eq!(handle.phase(), Phase::Draining);
        handle.drain();
        assert_eq!(handle.phase(), Phase::Draining);
        handle.clone().advance();
        assert_eq!(handle.phase(), Phase::Stopped);
    }

    #[test]
    fn a_stopped_gateway_never_drains_again() {
        let handle = ShutdownHandle::new();
        handle.stop();
        handle.drain();
        assert_eq!(handle.phase(), Phase::Stopped);
    }
}
