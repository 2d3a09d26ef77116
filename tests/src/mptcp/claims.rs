//! What a connection claims from moment to moment, held against the truth.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use twinpath::{Mode, Monitor, Protection, Unprotected};

use crate::patience::{STEP, ms};

/// A claim has to be true within this time of the first segment that could show it.
const PROMPT: Duration = ms(1000);
/// On top of it on a busy machine, which makes round trips longer and with them the kernel's patience.
const BUSY: Duration = ms(400);
const EVERY: Duration = ms(10);
/// A look that is later than this tells that nobody could run, the connection's own watcher included.
const LATE: Duration = ms(60);

/// Once both ends have finished, the kernel takes the subflows apart one by one, which is no loss of any.
const CLOSING: Duration = ms(50);

/// Protected, or why not.
pub(super) type Claim = Option<Unprotected>;

pub(super) const PROTECTED: Claim = None;
pub(super) const NO_BACKUP: Claim = Some(Unprotected::NoBackupSubflow);
pub(super) const PRIMARY_LOST: Claim = Some(Unprotected::PrimarySubflowLost);
pub(super) const FELL_BACK: Claim = Some(Unprotected::FellBack);

/// What may be claimed when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Law {
    /// Until the trouble could be known.
    pub(super) before: &'static [Claim],
    /// As long as it may be unknown still.
    pub(super) detecting: &'static [Claim],
    /// From then on.
    pub(super) then: Claim,
    /// Whether it has to be known at all.
    pub(super) is_told: bool,
    /// What it becomes again once the trouble is over.
    pub(super) healed: Option<Claim>,
}

/// What is the case.
#[derive(Debug, Default)]
struct Truth {
    shown: Option<Instant>,
    healed: Option<Instant>,
}

struct Look {
    at: Instant,
    claim: Claim,
    mode: Mode,
}

/// Looks at a connection and at the truth every few milliseconds.
pub(super) struct Watch {
    monitor: Monitor,
    truth: Arc<Mutex<Truth>>,
    looks: Arc<Mutex<Vec<Look>>>,
    task: JoinHandle<()>,
    began: Instant,
}

impl Watch {
    /// `is_shown`: whether a segment could have shown the trouble by now.
    pub(super) fn start(monitor: Monitor, is_shown: impl Fn() -> bool + Send + 'static) -> Self {
        let truth = Arc::new(Mutex::new(Truth::default()));
        let looks = Arc::new(Mutex::new(Vec::new()));
        let looking = {
            let (monitor, truth, looks) = (monitor.clone(), Arc::clone(&truth), Arc::clone(&looks));
            async move {
                loop {
                    let at = Instant::now();
                    let look = Look {
                        at,
                        claim: claim_of(&monitor),
                        mode: monitor.mode(),
                    };
                    // After the claim, which so is never newer than what could be known.
                    if is_shown() {
                        lock(&truth).shown.get_or_insert(at);
                    }
                    lock(&looks).push(look);
                    tokio::time::sleep(EVERY).await;
                }
            }
        };
        Self {
            monitor,
            truth,
            looks,
            task: tokio::spawn(looking),
            began: Instant::now(),
        }
    }

    pub(super) fn claim(&self) -> Claim {
        claim_of(&self.monitor)
    }

    /// Whether the claim had to be true for some time already.
    pub(super) fn is_known(&self) -> bool {
        let shown = lock(&self.truth).shown;
        shown.is_some_and(|shown| shown.elapsed() > PROMPT + BUSY + ms(300))
    }

    /// As [`soon`](crate::soon), and tells what was claimed meanwhile when it is not.
    pub(super) async fn soon<T>(&self, what: &str, future: impl Future<Output = T>) -> T {
        match tokio::time::timeout(STEP, future).await {
            Ok(value) => value,
            Err(_) => {
                let (truth, looks) = (lock(&self.truth), lock(&self.looks));
                let tale = Tale {
                    began: self.began,
                    truth: &truth,
                    looks: &looks,
                };
                panic!("{what}: not within {STEP:?}: {tale}")
            }
        }
    }

    pub(super) fn healed(&self) {
        lock(&self.truth).healed = Some(Instant::now());
    }

    /// Ends it, and panics unless every claim was lawful, and the trouble could be known.
    pub(super) fn check(self, law: &Law) {
        self.task.abort();
        let (truth, looks) = (lock(&self.truth), lock(&self.looks));
        let tale = Tale {
            began: self.began,
            truth: &truth,
            looks: &looks,
        };
        let shown = truth
            .shown
            .unwrap_or_else(|| panic!("nothing could show the trouble: {tale}"));
        let mut known = shown + PROMPT + BUSY;
        let mut last = self.began;
        let mut is_back = false;
        let ended = looks.last().map_or(self.began, |last| last.at);
        for look in looks.iter().filter(|it| ended - it.at >= CLOSING) {
            if look.at > shown && look.at - last > LATE {
                known += look.at - last;
            }
            last = look.at;
            let is_lawful = if look.at < shown {
                law.before.contains(&look.claim)
            } else if truth.healed.is_some_and(|healed| look.at >= healed) {
                is_back |= Some(look.claim) == law.healed;
                Some(look.claim) == law.healed || !is_back && look.claim == law.then
            } else if look.at < known || !law.is_told {
                law.detecting.contains(&look.claim)
            } else {
                look.claim == law.then
            };
            let after = look.at - self.began;
            assert!(
                is_lawful,
                "{} after {after:?} is wrong: {tale}",
                Told(look.claim)
            );
            assert_eq!(
                look.mode == Mode::KernelMptcp,
                look.claim != FELL_BACK,
                "{} and {} after {after:?}: {tale}",
                look.mode,
                Told(look.claim)
            );
        }
        log::info!("claims: {tale}");
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn claim_of(monitor: &Monitor) -> Claim {
    match monitor.protection() {
        Protection::Protected => PROTECTED,
        Protection::Unprotected { reason } => Some(reason),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Told(Claim);

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("protected"),
            Some(reason) => write!(f, "{reason:?}"),
        }
    }
}

/// The changes of the claim, and of the truth.
struct Tale<'a> {
    began: Instant,
    truth: &'a Truth,
    looks: &'a [Look],
}

impl fmt::Display for Tale<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = |at: Instant| at.saturating_duration_since(self.began).as_millis();
        let mut last = None;
        for look in self.looks {
            if last != Some(look.claim) {
                write!(f, "\n  {:>6} ms {}", since(look.at), Told(look.claim))?;
            }
            last = Some(look.claim);
        }
        let ended = self.looks.last().map(|last| last.at);
        let (shown, healed) = (self.truth.shown, self.truth.healed);
        for (what, at) in [("shown", shown), ("healed", healed), ("ended", ended)] {
            if let Some(at) = at {
                write!(f, "\n  {what} at {} ms", since(at))?;
            }
        }
        Ok(())
    }
}
