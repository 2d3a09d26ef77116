//! Waiting that can be given up without losing anything.

use std::sync::Arc;

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
