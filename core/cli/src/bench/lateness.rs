//! How late the machine itself is: what a run shows is worth nothing if everybody had to wait for
//! the processor.

use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const NAP: Duration = Duration::from_millis(2);

static WORST: AtomicU64 = AtomicU64::new(0);

/// Begins to watch, or forgets what was seen.
pub(super) fn reset() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        let _ = thread::Builder::new().name("lateness".into()).spawn(|| {
            loop {
                let due = Instant::now() + NAP;
                thread::sleep(NAP);
                let late = Instant::now().saturating_duration_since(due);
                WORST.fetch_max(late.as_micros() as u64, Ordering::Relaxed);
            }
        });
    });
    WORST.store(0, Ordering::Relaxed);
}

/// The latest that a thread woke since then.
pub(super) fn worst() -> Duration {
    Duration::from_micros(WORST.load(Ordering::Relaxed))
}
