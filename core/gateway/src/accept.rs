//! The accept loop: lets connections in, at a pace the machine can bear.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::caps::AddressSlot;
use crate::door::{self, Arrival};
use crate::drain::Phase;
use crate::gate::Gate;
use crate::metrics::Cap;
use crate::seldom::Seldom;
use crate::trials::{Trial, Trials};

/// Connections in all of which it is not known yet what they are.
const UNDECIDED: usize = 4096;
/// Descriptors kept for joins, and for the connections to the service of sessions that were let in.
const RESERVE: u64 = 256;

/// On what terms a connection was let in.
#[derive(Debug)]
pub(crate) enum Admission {
    /// With a slot of its address.
    Entitled(AddressSlot, OwnedSemaphorePermit),
    /// Only a join will do, and soon; unless its address has a slot again by then.
    OnTrial(Trial),
    /// Only a join will do: descriptors are short.
    JoinOnly(Trial),
}

/// Accepts until the gate is stopped.
pub(crate) async fn run(listener: TcpListener, gate: Arc<Gate>, arrivals: mpsc::Sender<Arrival>) {
    let undecided = Arc::new(Semaphore::new(UNDECIDED));
    let trials = Trials::default();
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
        let short = is_short(&stream, gate.config.limits.descriptors);
        let admission = admit(&gate, remote.ip(), short, &undecided, &trials);
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
    gate: &Gate,
    ip: IpAddr,
    short: bool,
    undecided: &Arc<Semaphore>,
    trials: &Trials,
) -> Admission {
    if !short {
        if let Some(slot) = gate.caps.take(ip) {
            if let Ok(permit) = Arc::clone(undecided).try_acquire_owned() {
                return Admission::Entitled(slot, permit);
            }
        }
    }
    let (trial, replaced) = trials.begin(ip);
    if replaced {
        gate.metrics.caps_hit.increment(Cap::Handshakes);
    }
    if short {
        Admission::JoinOnly(trial)
    } else {
        Admission::OnTrial(trial)
    }
}

/// Whether descriptors are so short that only joins may have one. The system gives out the lowest number that is free,
/// so a high one says that nearly all are taken.
fn is_short(stream: &TcpStream, limit: u64) -> bool {
    #[cfg(unix)]
    let number = u64::try_from(std::os::fd::AsRawFd::as_raw_fd(stream)).unwrap_or(0);
    #[cfg(not(unix))]
    let number = {
        let _ = stream;
        0
    };
    // A quarter at most, so that a low limit leaves room for anything at all.
    number >= limit - RESERVE.min(limit / 4)
}

/// Waits between failed accepts: when the machine is out of file descriptors, the next call fails as the last one.
#[derive(Debug, Default)]
pub(crate) struct AcceptBackoff {
    failures: u32,
    complaints: Seldom,
}

impl AcceptBackoff {
    pub(crate) fn reset(&mut self) {
        if self.failures > 0 {
            log::debug!("accepting connections again");
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
            if let Some(held_back) = self.complaints.due() {
                log::warn!(
                    "cannot accept connections: {error} ({held_back} earlier failures not shown)"
                );
            }
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
