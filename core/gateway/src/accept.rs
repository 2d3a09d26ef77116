//! The accept loop: lets connections in, at a pace the machine can bear.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::caps::AddressSlot;
use crate::door::{self, Arrival};
use crate::drain::Phase;
use crate::gate::Gate;
use crate::metrics::Cap;
use crate::splice::reset_on_drop;

/// Connections in all of which it is not known yet what they are.
const UNDECIDED: usize = 4096;
/// Of connections beyond the limits, how many may try at once to show that they are joins.
const ON_TRIAL: usize = 1024;

/// On what terms a connection was let in.
#[derive(Debug)]
pub(crate) struct Admission {
    /// A slot of its address. Without one, only a join will do, and soon.
    pub(crate) slot: Option<AddressSlot>,
    _undecided: OwnedSemaphorePermit,
}

/// Accepts until the gate is stopped.
pub(crate) async fn run(listener: TcpListener, gate: Arc<Gate>, arrivals: mpsc::Sender<Arrival>) {
    let undecided = Arc::new(Semaphore::new(UNDECIDED));
    let trials = Arc::new(Semaphore::new(ON_TRIAL));
    let mut backoff = AcceptBackoff::default();
    loop {
        let accepted = tokio::select! {
            biased;
            () = gate.shutdown.reached(Phase::Stopped) => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, remote) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                gate.metrics.accept_errors.increment();
                backoff.wait(&error).await;
                continue;
            }
        };
        backoff.reset();
        let Some(admission) = admit(gate.caps.take(remote.ip()), &undecided, &trials) else {
            gate.metrics.caps_hit.increment(Cap::Handshakes);
            reset_on_drop(&stream);
            continue;
        };
        tokio::spawn(door::receive(
            Arc::clone(&gate),
            stream,
            remote,
            admission,
            arrivals.clone(),
        ));
    }
}

fn admit(
    slot: Option<AddressSlot>,
    undecided: &Arc<Semaphore>,
    trials: &Arc<Semaphore>,
) -> Option<Admission> {
    if slot.is_some() {
        if let Ok(permit) = Arc::clone(undecided).try_acquire_owned() {
            return Some(Admission {
                slot,
                _undecided: permit,
            });
        }
    }
    let permit = Arc::clone(trials).try_acquire_owned().ok()?;
    Some(Admission {
        slot: None,
        _undecided: permit,
    })
}

/// Waits between failed accepts: when the machine is out of file descriptors, the next call fails as the last one.
#[derive(Debug, Default)]
pub(crate) struct AcceptBackoff {
    failures: u32,
}

impl AcceptBackoff {
    pub(crate) fn reset(&mut self) {
        if self.failures > 0 {
            log::info!("accepting connections again");
            self.failures = 0;
        }
    }

    pub(crate) async fn wait(&mut self, error: &io::Error) {
        if let Some(delay) = self.delay(error) {
            tokio::time::sleep(delay).await;
        }
    }

    fn delay(&mut self, error: &io::Error) -> Option<Duration> {
        // These concern the one connection, which is gone; the next may be fine.
        if matches!(
            error.kind(),
            io::ErrorKind::ConnectionAborted
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::Interrupted
        ) {
            return None;
        }
        if self.failures == 0 {
            log::warn!("cannot accept connections: {error}");
        }
        let delay = Duration::from_millis(10 << self.failures.min(7)).min(Duration::from_secs(1));
        self.failures = self.failures.saturating_add(1);
        Some(delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lack_of_descriptors_slows_down_and_a_lost_connection_does_not() {
        let mut backoff = AcceptBackoff::default();
        let lack = io::Error::other("too many open files");
        let waits: Vec<_> = (0..10).filter_map(|_| backoff.delay(&lack)).collect();
        assert_eq!(waits[0], Duration::from_millis(10));
        assert!(waits.windows(2).all(|pair| pair[0] <= pair[1]));
        assert_eq!(waits[9], Duration::from_secs(1));
        assert_eq!(
            backoff.delay(&io::ErrorKind::ConnectionAborted.into()),
            None
        );
        backoff.reset();
        assert_eq!(backoff.delay(&lack), Some(Duration::from_millis(10)));
    }
}
