//! What happens to a connection, to be pulled.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crate::error::{Failure, Kind};
use crate::names::Mode;
use crate::runtime;
use crate::signal::Signal;
use crate::stats::{PathName, Protection, Summary};
use crate::wait::Cancellation;

/// Something that happened to a connection.
#[derive(Debug, Clone, PartialEq, uniffi::Enum)]
pub enum Event {
    /// The gateway has answered and proven itself.
    Established,
    /// A leg carries bytes, or could.
    LegUp {
        /// Its path.
        path: PathName,
    },
    /// A leg is gone.
    LegDown {
        /// Its path.
        path: PathName,
        /// Why, in words.
        reason: String,
    },
    /// `from` is suspected; what is unacknowledged goes on `to` as well.
    Hedge {
        /// The suspected path.
        from: PathName,
        /// The path that carries the copies.
        to: PathName,
    },
    /// A suspected path answered after all, or something moved again after a failover.
    Recovered {
        /// The path that carries the bytes.
        path: PathName,
        /// The longest time without progress in it.
        stall: Duration,
    },
    /// The backup became active.
    Failover {
        /// The path that was left.
        from: PathName,
        /// The path that carries the bytes.
        to: PathName,
        /// Why, in words.
        reason: String,
        /// Time without progress so far.
        stall: Duration,
    },
    /// The primary became active again.
    Failback {
        /// The path that was left.
        from: PathName,
        /// The path that carries the bytes.
        to: PathName,
    },
    /// What the connection can claim has changed.
    ProtectionChanged {
        /// What it can claim.
        protection: Protection,
    },
    /// The mode has changed.
    ModeChanged {
        /// The mode.
        mode: Mode,
        /// Why, in words.
        reason: String,
    },
    /// The budget is spent; the backup is closed until it is raised.
    BudgetExhausted,
    /// The gateway will end within that time.
    GoingAway {
        /// From the moment of the event.
        within: Duration,
    },
    /// The session has ended.
    Closed {
        /// What ended it, if it did not end in order.
        error: Option<String>,
    },
    /// The last event: the account of the whole connection.
    Ended {
        /// The account.
        summary: Summary,
    },
}

impl Event {
    /// `None` for events that this surface does not know.
    fn of(event: twinpath::Event) -> Option<Self> {
        use twinpath::Event as Core;
        Some(match event {
            Core::Established => Self::Established,
            Core::LegUp { path } => Self::LegUp { path: path.into() },
            Core::LegDown { path, reason } => Self::LegDown {
                path: path.into(),
                reason: reason.to_string(),
            },
            Core::Hedge { from, to } => Self::Hedge {
                from: from.into(),
                to: to.into(),
            },
            Core::Recovered { path, stall } => Self::Recovered {
                path: path.into(),
                stall,
            },
            Core::Failover {
                from,
                to,
                reason,
                stall,
            } => Self::Failover {
                from: from.into(),
                to: to.into(),
                reason: reason.to_string(),
                stall,
            },
            Core::Failback { from, to } => Self::Failback {
                from: from.into(),
                to: to.into(),
            },
            Core::Protection(protection) => Self::ProtectionChanged {
                protection: protection.into(),
            },
            Core::Mode { mode, reason } => Self::ModeChanged {
                mode: mode.into(),
                reason: reason.to_string(),
            },
            Core::BudgetExhausted => Self::BudgetExhausted,
            Core::GoingAway { within } => Self::GoingAway { within },
            Core::Closed(result) => Self::Closed {
                error: result.err().map(|error| error.to_string()),
            },
            Core::Summary(summary) => Self::Ended {
                summary: (*summary).into(),
            },
            _ => return None,
        })
    }
}

/// What the next event is at this moment.
#[derive(Debug, Clone, PartialEq, uniffi::Enum)]
pub enum NextEvent {
    /// This.
    Happened {
        /// It.
        event: Event,
    },
    /// Nothing has happened yet: wait until it is ready.
    NotYet,
    /// Nothing will happen any more.
    Over,
}

/// The events of one connection, as one listener sees them. At most 64 wait; a listener that does not keep up loses the
/// oldest.
#[derive(Debug, uniffi::Object)]
pub struct Events {
    inner: Mutex<twinpath::Events>,
    signal: Signal,
    /// Raises the signal, but later.
    waker: Waker,
}

impl Events {
    pub(crate) fn of(events: twinpath::Events) -> Arc<Self> {
        let signal = Signal::default();
        let waker = Waker::from(Arc::new(Later(signal.waker().clone())));
        Arc::new(Self {
            inner: Mutex::new(events),
            signal,
            waker,
        })
    }
}

/// Events are told while a connection is held for what happens to it, and a listener that is told in place (a coroutine that
/// is not confined) may well ask the connection for something. So it is told from the runtime, where nothing is held.
struct Later(Waker);

impl Wake for Later {
    fn wake(self: Arc<Self>) {
        match runtime::handle() {
            Ok(runtime) => {
                let waker = self.0.clone();
                runtime.spawn(async move { waker.wake() });
            }
            Err(_) => self.0.wake_by_ref(),
        }
    }
}

#[uniffi::export]
impl Events {
    /// The next event, without waiting.
    pub fn try_next(&self) -> Result<NextEvent, Failure> {
        let mut events = self
            .inner
            .lock()
            .map_err(|_| Failure::new(Kind::Other, "a listener has failed"))?;
        let mut cx = Context::from_waker(&self.waker);
        loop {
            match events.poll_next(&mut cx) {
                Poll::Pending => return Ok(NextEvent::NotYet),
                Poll::Ready(None) => {
                    self.signal.pass_on();
                    return Ok(NextEvent::Over);
                }
                Poll::Ready(Some(event)) => {
                    if let Some(event) = Event::of(event) {
                        self.signal.pass_on();
                        return Ok(NextEvent::Happened { event });
                    }
                }
            }
        }
    }

    /// Waits until something may have happened. Nothing is lost when this is given up.
    pub async fn ready(&self, cancellation: Option<Arc<Cancellation>>) -> Result<(), Failure> {
        match self.signal.wait(cancellation).await {
            true => Ok(()),
            false => Err(Failure::cancelled()),
        }
    }

    /// How many events were lost because they were not taken in time.
    pub fn missed(&self) -> Result<u64, Failure> {
        let events = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(events.missed())
    }
}
