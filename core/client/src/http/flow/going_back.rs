//! A download goes back to the primary path while it comes.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use twinpath_proto::Role;

use super::super::Error;
use super::super::attempt::{Answer, Part};
use super::super::failure::Failure;
use super::super::place::GoesOn;
use super::super::pool::Way;
use super::super::report::RequestEvent;
use super::{Flow, State};

/// A download that has less to come does not go back to the primary path any more.
const WORTH_GOING_BACK: u64 = 512 * 1024;
/// What still comes over the backup while the primary is asked: at the rate of the last second for so long, and this.
const CHANGING: Duration = Duration::from_millis(250);
const CHANGING_BYTES: u64 = 64 * 1024;

/// Nobody waits longer than this for the primary to take over.
const GRACE: Duration = Duration::from_millis(50);
const LONGEST_STAY: Duration = Duration::from_secs(5 * 60);

/// A connection on the primary path that is asked for the rest, from a byte that is still to come over the backup.
#[derive(Debug)]
pub(super) struct GoingBack {
    pub(super) at: u64,
    part: Part,
    task: Task<Result<Answer, Failure>>,
}

#[derive(Debug)]
struct Task<T>(JoinHandle<T>);

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Bytes per second, lately.
#[derive(Debug)]
pub(super) struct Rate {
    since: Instant,
    bytes: u64,
    last: u64,
}

impl Flow {
    /// A download on the backup goes back to the primary once that is preferred again, without a pause and without a byte
    /// that comes twice: the primary is asked for what lies a little ahead.
    pub(super) async fn change_over(&mut self) -> Result<(), Error> {
        let State::Open(answer) = &self.state else {
            return Ok(());
        };
        if let Some(going_back) = &mut self.going_back {
            if going_back.at > self.place.delivered() {
                return Ok(());
            }
            self.report.waits();
            let answered = timeout(GRACE, &mut going_back.task.0).await;
            let part = going_back.part.clone();
            self.going_back = None;
            match answered {
                Ok(Ok(Ok(answer)))
                    if self.place.goes_on(Some(&part), &answer.head) == GoesOn::Here =>
                {
                    self.place.go_on(GoesOn::Here);
                    self.report.tell(&RequestEvent::Failback);
                    self.open(answer);
                }
                _ => {
                    log::debug!(
                        "a download stays on the backup: the primary did not go on with it"
                    );
                    self.again = Some(Instant::now() + self.stays);
                    self.stays = (self.stays * 2).min(LONGEST_STAY);
                }
            }
            return Ok(());
        }
        let may_go_back = answer.role == Role::Backup
            && matches!(answer.way, Way::Path(_))
            && self.place.is_here()
            && self.again.is_none_or(|again| Instant::now() >= again);
        if !may_go_back {
            return Ok(());
        }
        let target = self.client.target(answer.origin());
        if self.client.connector.preferred(&target) == Role::Backup {
            return Ok(());
        }
        let at = self.place.delivered() + self.rate.ahead();
        let rest = self.place.rest().unwrap_or_default();
        if rest < WORTH_GOING_BACK.max(self.rate.ahead() * 2) {
            return Ok(());
        }
        let Some(part) = self.place.part(at) else {
            return Ok(());
        };
        let (client, ask, report) = (
            Arc::clone(&self.client),
            Arc::clone(&self.ask),
            self.report.clone(),
        );
        let asked = part.clone();
        let task = tokio::spawn(async move {
            client
                .attempt(&ask, Some(&asked), Some(Role::Primary), &report)
                .await
        });
        let task = Task(task);
        self.going_back = Some(GoingBack { at, part, task });
        Ok(())
    }
}

impl Rate {
    pub(super) fn new() -> Self {
        Self {
            since: Instant::now(),
            bytes: 0,
            last: 0,
        }
    }

    pub(super) fn count(&mut self, bytes: u64) {
        self.bytes += bytes;
        let span = self.since.elapsed();
        if span >= Duration::from_millis(500) {
            self.last = (self.bytes as f64 / span.as_secs_f64()) as u64;
            (self.since, self.bytes) = (Instant::now(), 0);
        }
    }

    /// What comes while another connection is made ready.
    fn ahead(&self) -> u64 {
        (self.last as f64 * CHANGING.as_secs_f64()) as u64 + CHANGING_BYTES
    }
}
