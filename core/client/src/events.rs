//! What happens to a connection, told to whoever listens.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use twinpath_proto::{FailoverReason, LegDownReason, Role, SessionError};

use crate::mode::{Mode, ModeReason, Protection};
use crate::stats::ConnectionSummary;

/// A listener that falls behind by more than this loses the oldest events.
const QUEUE: usize = 64;
/// Events kept for the first listener: `events()` can be called only once there is a connection, and by then its first
/// leg is up.
const BACKLOG: usize = 16;

/// A path in an event: its role, and the interface it runs over.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PathName {
    /// Primary or backup.
    pub role: Role,
    /// The system's name of the interface, where one is known.
    pub interface: Option<Arc<str>>,
}

impl fmt::Display for PathName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.interface {
            Some(interface) => write!(f, "{} ({interface})", self.role),
            None => self.role.fmt(f),
        }
    }
}

/// Something that happened to a connection.
#[derive(Debug, Clone)]
#[non_exhaustive]
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
        /// Why.
        reason: LegDownReason,
    },
    /// `from` is suspected; what is unacknowledged goes on `to` as well.
    Hedge {
        /// The suspected path.
        from: PathName,
        /// The path that carries the copies, or is dialled for them.
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
        /// Why.
        reason: FailoverReason,
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
    Protection(Protection),
    /// The mode has changed, as when a second interface appeared.
    Mode {
        /// The mode.
        mode: Mode,
        /// Why.
        reason: ModeReason,
    },
    /// The budget is spent; the backup is closed until it is raised.
    BudgetExhausted,
    /// The gateway will end within that time.
    GoingAway {
        /// From the moment of the event.
        within: Duration,
    },
    /// The session has ended.
    Closed(Result<(), SessionError>),
    /// The last event: the account of the whole connection.
    Summary(Box<ConnectionSummary>),
}

/// What an [`Event`] is about, for logs and filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// [`Event::Established`]
    Established,
    /// [`Event::LegUp`]
    LegUp,
    /// [`Event::LegDown`]
    LegDown,
    /// [`Event::Hedge`]
    Hedge,
    /// [`Event::Recovered`]
    Recovered,
    /// [`Event::Failover`]
    Failover,
    /// [`Event::Failback`]
    Failback,
    /// [`Event::Protection`]
    Protection,
    /// [`Event::Mode`]
    Mode,
    /// [`Event::BudgetExhausted`]
    BudgetExhausted,
    /// [`Event::GoingAway`]
    GoingAway,
    /// [`Event::Closed`]
    Closed,
    /// [`Event::Summary`]
    Summary,
}

impl EventKind {
    /// The name as it stands in the output of the command line tool.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Established => "established",
            Self::LegUp => "leg_up",
            Self::LegDown => "leg_down",
            Self::Hedge => "hedge",
            Self::Recovered => "recovered",
            Self::Failover => "failover",
            Self::Failback => "failback",
            Self::Protection => "protection",
            Self::Mode => "mode",
            Self::BudgetExhausted => "budget_exhausted",
            Self::GoingAway => "going_away",
            Self::Closed => "closed",
            Self::Summary => "summary",
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Event {
    /// What it is about.
    #[must_use]
    pub const fn kind(&self) -> EventKind {
        match self {
            Self::Established => EventKind::Established,
            Self::LegUp { .. } => EventKind::LegUp,
            Self::LegDown { .. } => EventKind::LegDown,
            Self::Hedge { .. } => EventKind::Hedge,
            Self::Recovered { .. } => EventKind::Recovered,
            Self::Failover { .. } => EventKind::Failover,
            Self::Failback { .. } => EventKind::Failback,
            Self::Protection(_) => EventKind::Protection,
            Self::Mode { .. } => EventKind::Mode,
            Self::BudgetExhausted => EventKind::BudgetExhausted,
            Self::GoingAway { .. } => EventKind::GoingAway,
            Self::Closed(_) => EventKind::Closed,
            Self::Summary(_) => EventKind::Summary,
        }
    }
}

/// The events of one connection, as one listener sees them.
///
/// The queue is bounded: a listener that does not keep up loses the oldest events, and [`missed`](Self::missed) counts
/// them. The first listener of a connection also gets the events from before it listened, up to 16.
#[derive(Debug)]
pub struct Events {
    queue: Arc<Queue>,
}

impl Events {
    /// Waits for the next event; `None` once the connection is over and all events were taken.
    ///
    /// # Cancel safety
    ///
    /// Safe: dropping the future loses no event.
    pub async fn next(&mut self) -> Option<Event> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The poll form of [`next`](Self::next).
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let mut waiting = self.queue.lock();
        if let Some(event) = waiting.events.pop_front() {
            return Poll::Ready(Some(event));
        }
        if waiting.ended {
            return Poll::Ready(None);
        }
        waiting.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// The next event, if there is one already.
    pub fn try_next(&mut self) -> Option<Event> {
        self.queue.lock().events.pop_front()
    }

    /// How many events were lost because they were not taken in time.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.queue.lock().missed
    }
}

impl futures_core::Stream for Events {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        Self::poll_next(self.get_mut(), cx)
    }
}

#[derive(Debug, Default)]
struct Queue {
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    events: VecDeque<Event>,
    missed: u64,
    ended: bool,
    waker: Option<Waker>,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sending end: what a connection holds.
#[derive(Debug, Default)]
pub(crate) struct EventBus {
    listeners: Vec<Weak<Queue>>,
    backlog: VecDeque<Event>,
    listened: bool,
    ended: bool,
}

impl EventBus {
    pub(crate) fn listen(&mut self) -> Events {
        let queue = Arc::new(Queue::default());
        {
            let mut waiting = queue.lock();
            waiting.events = std::mem::take(&mut self.backlog);
            waiting.ended = self.ended;
        }
        self.listened = true;
        self.listeners.push(Arc::downgrade(&queue));
        Events { queue }
    }

    pub(crate) fn send(&mut self, event: &Event) {
        if !self.listened {
            if self.backlog.len() == BACKLOG {
                self.backlog.pop_front();
            }
            self.backlog.push_back(event.clone());
        }
        self.listeners.retain(|listener| {
            let Some(queue) = listener.upgrade() else {
                return false;
            };
            let mut waiting = queue.lock();
            if waiting.events.len() == QUEUE {
                waiting.events.pop_front();
                waiting.missed += 1;
            }
            waiting.events.push_back(event.clone());
            let waker = waiting.waker.take();
            // Whoever is woken may look at once.
            drop(waiting);
            if let Some(waker) = waker {
                waker.wake();
            }
            true
        });
    }

    pub(crate) fn end(&mut self) {
        self.ended = true;
        for queue in self
            .listeners
            .drain(..)
            .filter_map(|listener| listener.upgrade())
        {
            let mut waiting = queue.lock();
            waiting.ended = true;
            let waker = waiting.waker.take();
            drop(waiting);
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_listener_loses_the_oldest_events_and_knows_how_many() {
        let mut bus = EventBus::default();
        let mut events = bus.listen();
        bus.send(&Event::Established);
        for _ in 0..QUEUE + 2 {
            bus.send(&Event::BudgetExhausted);
        }
        assert_eq!(events.missed(), 3);
        assert_eq!(
            events.try_next().map(|event| event.kind()),
            Some(EventKind::BudgetExhausted)
        );
    }

    #[test]
    fn the_first_listener_hears_what_happened_before_and_the_second_does_not() {
        let mut bus = EventBus::default();
        bus.send(&Event::Established);
        let (mut first, mut second) = (bus.listen(), bus.listen());
        assert!(first.try_next().is_some());
        assert!(second.try_next().is_none());
    }

    #[test]
    fn whoever_is_woken_may_look_at_once() {
        struct Looks(Mutex<Events>, Mutex<Vec<EventKind>>);
        impl std::task::Wake for Looks {
            fn wake(self: Arc<Self>) {
                // A lock that is held would make it wait for ever.
                let Self(events, seen) = &*self;
                assert!(events.lock().unwrap().queue.waiting.try_lock().is_ok());
                let event = events.lock().unwrap().try_next();
                seen.lock().unwrap().extend(event.map(|it| it.kind()));
            }
        }
        let mut bus = EventBus::default();
        let looks = Arc::new(Looks(Mutex::new(bus.listen()), Mutex::default()));
        let waker = Waker::from(Arc::clone(&looks));
        let mut cx = Context::from_waker(&waker);
        assert!(looks.0.lock().unwrap().poll_next(&mut cx).is_pending());
        bus.send(&Event::Established);
        assert_eq!(*looks.1.lock().unwrap(), [EventKind::Established]);
        assert!(looks.0.lock().unwrap().poll_next(&mut cx).is_pending());
        bus.end();
    }

    #[tokio::test]
    async fn listeners_hear_of_the_end() {
        let mut bus = EventBus::default();
        let mut events = bus.listen();
        bus.send(&Event::Established);
        bus.end();
        assert!(events.next().await.is_some());
        assert!(events.next().await.is_none());
        assert!(bus.listen().next().await.is_none());
    }
}
