//! How long things may take: no test may hang.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use tokio::time::timeout;

/// No test takes longer.
pub const LIMIT: Duration = Duration::from_secs(60);
/// No single step of a test takes longer.
pub(crate) const STEP: Duration = Duration::from_secs(20);
/// Something blocks the thread, and no timer of the test can end it.
const STUCK: Duration = Duration::from_secs(90);

/// So many milliseconds.
#[must_use]
pub const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Waits for something that must happen within the time that any step of a test may take.
///
/// # Panics
///
/// When it does not.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match timeout(STEP, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: not within {STEP:?}"),
    }
}

/// Ends the process, with a word about it, if it is not dropped in time.
#[derive(Debug)]
pub(crate) struct Watchdog {
    _alive: Sender<()>,
}

impl Watchdog {
    pub(crate) fn start() -> Self {
        let name = thread::current().name().unwrap_or("a test").to_owned();
        let (alive, ended) = channel();
        thread::spawn(move || {
            if ended.recv_timeout(STUCK) == Err(RecvTimeoutError::Timeout) {
                eprintln!("{name} hangs and cannot be ended; the whole run is given up");
                std::process::abort();
            }
        });
        Self { _alive: alive }
    }
}
