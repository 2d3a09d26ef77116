//! One timer per connection, for whatever the session waits for next.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep};
use twinpath_proto::Time;

/// A timer that is moved as seldom as possible: deadlines of a busy session move later with every acknowledgement, and
/// a timer that fires early once costs less than one that is set again for each.
#[derive(Debug, Default)]
pub(super) struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
    armed: Option<Time>,
}

impl Timer {
    /// Ready when `deadline` (or an earlier one that was set before) has come; then the caller looks again.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        deadline: Option<Time>,
        now: Time,
    ) -> Poll<()> {
        let Some(deadline) = deadline else {
            return Poll::Pending;
        };
        if self.armed.is_none_or(|armed| deadline < armed) {
            let at = Instant::now() + deadline.saturating_since(now);
            match &mut self.sleep {
                Some(sleep) => sleep.as_mut().reset(at),
                None => self.sleep = Some(Box::pin(tokio::time::sleep_until(at))),
            }
            self.armed = Some(deadline);
        }
        let Some(sleep) = &mut self.sleep else {
            return Poll::Pending;
        };
        if sleep.as_mut().poll(cx).is_ready() {
            self.armed = None;
            return Poll::Ready(());
        }
        Poll::Pending
    }
}
