//! That something can be tried again: to a task that waits, or to a caller by a plain call.

use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use crate::wait::{Cancellation, give_up};

/// Remembers that something can be tried again, until somebody has waited for it. Each time it is raised one of those who wait
/// is told, the first of them.
pub(crate) struct Signal {
    raised: Arc<Raised>,
    waker: Waker,
}

#[derive(Default)]
struct Raised {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    is_raised: bool,
    waiting: VecDeque<(Ticket, Waker)>,
}

/// Who waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ticket {
    /// A future, by a number of its own.
    Future(u64),
    /// A caller, by the number that it chose.
    Caller(u64),
}

/// No two futures have the same number.
static NEXT: AtomicU64 = AtomicU64::new(1);

impl State {
    /// Whether it need not wait at all.
    fn begin(&mut self, ticket: Ticket, waker: &Waker) -> bool {
        let is_raised = mem::take(&mut self.is_raised);
        if !is_raised {
            self.waiting.push_back((ticket, waker.clone()));
        }
        is_raised
    }

    fn place(&self, ticket: Ticket) -> Option<usize> {
        self.waiting.iter().position(|(other, _)| *other == ticket)
    }
}

impl Raised {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn raise(&self) {
        let mut state = self.lock();
        let first = state.waiting.pop_front();
        state.is_raised |= first.is_none();
        // Whoever is told may look at once.
        drop(state);
        if let Some((_, waker)) = first {
            waker.wake();
        }
    }

    /// It waits no longer. If it was told meanwhile, the next one is told instead.
    fn give_up(&self, ticket: Ticket) {
        let mut state = self.lock();
        let Some(place) = state.place(ticket) else {
            drop(state);
            self.raise();
            return;
        };
        state.waiting.remove(place);
    }
}

impl Wake for Raised {
    fn wake(self: Arc<Self>) {
        self.raise();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.raise();
    }
}

/// A future that waits for the signal.
struct Waiting<'a> {
    raised: &'a Raised,
    ticket: Option<Ticket>,
}

impl Future for Waiting<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let raised = self.raised;
        let mut state = raised.lock();
        let Some(ticket) = self.ticket else {
            let ticket = Ticket::Future(NEXT.fetch_add(1, Ordering::Relaxed));
            if state.begin(ticket, cx.waker()) {
                return Poll::Ready(());
            }
            drop(state);
            self.ticket = Some(ticket);
            return Poll::Pending;
        };
        if let Some(place) = state.place(ticket) {
            state.waiting[place].1.clone_from(cx.waker());
            return Poll::Pending;
        }
        drop(state);
        self.ticket = None;
        Poll::Ready(())
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.raised.give_up(ticket);
        }
    }
}

impl Default for Signal {
    fn default() -> Self {
        let raised = Arc::<Raised>::default();
        let waker = Waker::from(Arc::clone(&raised));
        Self { raised, waker }
    }
}

impl Signal {
    /// Raises the signal when it is woken.
    pub(crate) const fn waker(&self) -> &Waker {
        &self.waker
    }

    pub(crate) fn raise(&self) {
        self.raised.raise();
    }

    /// Whoever took what there was has others look as well: they were not told, and there may be more, or nothing ever.
    pub(crate) fn pass_on(&self) {
        let is_awaited = !self.raised.lock().waiting.is_empty();
        if is_awaited {
            self.raise();
        }
    }

    /// Waits until it is raised; `false` if that was given up.
    pub(crate) async fn wait(&self, cancellation: Option<Arc<Cancellation>>) -> bool {
        let waiting = Waiting {
            raised: &self.raised,
            ticket: None,
        };
        give_up(waiting, cancellation).await.is_some()
    }

    /// Has the waker woken once it is raised; `false` if it is raised already, and nobody is told.
    pub(crate) fn tell(&self, caller: u64, waker: &Waker) -> bool {
        !self.raised.lock().begin(Ticket::Caller(caller), waker)
    }

    /// The caller need not be told any more.
    pub(crate) fn forget(&self, caller: u64) {
        self.raised.give_up(Ticket::Caller(caller));
    }
}

impl Drop for Signal {
    fn drop(&mut self) {
        // Nobody will raise it again.
        let waiting = mem::take(&mut self.raised.lock().waiting);
        for (_, waker) in waiting {
            waker.wake();
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signal").finish_non_exhaustive()
    }
}
