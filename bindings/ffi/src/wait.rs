//! Waiting that can be given up without losing anything.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Gives up a call that waits. It may be used before the call begins, and for several calls.
#[derive(Debug, Default, uniffi::Object)]
pub struct Cancellation {
    token: CancellationToken,
}

#[uniffi::export]
impl Cancellation {
    /// Nothing is given up yet.
    #[uniffi::constructor]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Gives up all calls that have this, now and later.
    pub fn cancel(&self) {
        self.token.cancel();
    }
}

#[cfg(feature = "http")]
impl Cancellation {
    pub(crate) fn is_cancelled(&self) -> bool {
        self.token.is_cancelled()
    }
}

/// Remembers that something can be tried again, until somebody has waited for it.
pub(crate) struct Signal {
    raised: Arc<Raised>,
    waker: Waker,
}

#[derive(Default)]
struct Raised {
    notify: Notify,
    waiting: AtomicUsize,
}

impl Wake for Raised {
    fn wake(self: Arc<Self>) {
        self.notify.notify_one();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.notify.notify_one();
    }
}

/// Counted as long as it lives.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
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
        self.raised.notify.notify_one();
    }

    /// Whoever took what there was has others look as well: they were not told, and there may be more, or nothing ever.
    pub(crate) fn pass_on(&self) {
        if self.raised.waiting.load(Ordering::SeqCst) > 0 {
            self.raise();
        }
    }

    /// Waits until it is raised; `false` if that was given up.
    pub(crate) async fn wait(&self, cancellation: Option<Arc<Cancellation>>) -> bool {
        let _waiting = Waiting::new(&self.raised.waiting);
        give_up(self.raised.notify.notified(), cancellation)
            .await
            .is_some()
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signal").finish_non_exhaustive()
    }
}

/// What the future gives, or `None` if that was given up first.
pub(crate) async fn give_up<F: Future>(
    future: F,
    cancellation: Option<Arc<Cancellation>>,
) -> Option<F::Output> {
    let Some(cancellation) = cancellation else {
        return Some(future.await);
    };
    cancellation.token.run_until_cancelled(future).await
}
