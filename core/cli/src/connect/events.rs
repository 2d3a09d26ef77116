//! Writing down what happens to connections.

use std::fmt::Display;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use twinpath::{Connection, Event, Events, Monitor, Protection, Unprotected, UnprotectedReason};

use super::line::{How, Line, Names};
use crate::exit;
use crate::values::EventsTo;

/// How long the end of the command waits for the last events.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where the events of all connections go; nowhere, unless asked for.
pub(crate) struct EventLog {
    out: Option<Mutex<Box<dyn Write + Send>>>,
    started: Instant,
    connections: AtomicU64,
    warned: AtomicBool,
}

impl EventLog {
    /// Opens what `to` says; `-` is `standard`.
    pub(crate) fn open(
        to: Option<&EventsTo>,
        standard: impl Write + Send + 'static,
        started: Instant,
    ) -> io::Result<Self> {
        let out: Option<Box<dyn Write + Send>> = match to {
            None => None,
            Some(EventsTo::Standard) => Some(Box::new(standard)),
            Some(EventsTo::File(path)) => {
                let file = OpenOptions::new().create(true).append(true).open(path)?;
                Some(Box::new(file))
            }
        };
        Ok(Self {
            out: out.map(Mutex::new),
            started,
            connections: AtomicU64::new(0),
            warned: AtomicBool::new(false),
        })
    }

    /// A number for a connection that is about to be made.
    pub(crate) fn number(self: &Arc<Self>) -> Number {
        Number {
            log: Arc::clone(self),
            number: self.connections.fetch_add(1, Ordering::Relaxed) + 1,
        }
    }

    pub(crate) fn line(&self, connection: u64, event: &str) -> Line {
        Line::new(self.started.elapsed(), connection, event)
    }

    pub(crate) fn write(&self, line: Line) {
        let Some(out) = &self.out else { return };
        let text = line.finish();
        let mut out = out.lock().unwrap_or_else(PoisonError::into_inner);
        // One write per line, so that lines of several processes in one file do not mix.
        if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            log::debug!("an event could not be written: {error}");
        }
    }

    /// Says on standard error that a connection has no backup, to those who do not read events. Once, for the next one
    /// would say the same.
    fn warn(&self, reason: Unprotected, monitor: &Monitor) {
        if self.out.is_some() || self.warned.swap(true, Ordering::Relaxed) {
            return;
        }
        match reason {
            Unprotected::NotAGateway => {
                exit::complain(
                    "unprotected: without a gateway at its other end, a connection does not \
                     survive the loss of its path",
                );
            }
            Unprotected::OnePathMandated => exit::complain(format_args!(
                "unprotected: {}; to use two interfaces all the same, name them with --primary \
                 and --backup",
                monitor.mode_reason()
            )),
            other => exit::complain(format_args!(
                "unprotected: {other} ({})",
                monitor.mode_reason()
            )),
        }
    }
}

/// The number of a connection that is being made: it either leads to a connection, or fails.
pub(crate) struct Number {
    log: Arc<EventLog>,
    number: u64,
}

impl Number {
    /// Writes down what happens to `connection`, from now to its end.
    pub(crate) fn follow(self, connection: &Connection) -> Follower {
        let established = Arc::new(AtomicBool::new(false));
        let teller = Teller {
            log: self.log,
            number: self.number,
            monitor: connection.monitor(),
            names: Names::default(),
            established: Arc::clone(&established),
        };
        Follower {
            task: tokio::spawn(teller.tell(connection.events())),
            established,
        }
    }

    /// Writes down that there will be no connection.
    pub(crate) fn failed(self, reason: &str, message: impl Display) {
        let line = self.log.line(self.number, "failed");
        let line = line.field("reason", reason);
        self.log.write(line.field("message", message.to_string()));
    }

    /// As [`failed`](Self::failed), because the command was told to end.
    pub(crate) fn stopped(self) {
        self.failed("stopped", "the command was told to end");
    }
}

/// The task that writes the events of one connection.
pub(crate) struct Follower {
    task: JoinHandle<()>,
    established: Arc<AtomicBool>,
}

impl Follower {
    /// Waits until the last event is written; the connection must have been closed, or dropped. Says
    /// whether the gateway had ever answered and proven itself.
    pub(crate) async fn finish(self) -> bool {
        if tokio::time::timeout(PATIENCE, self.task).await.is_err() {
            log::debug!("a connection did not tell its end");
        }
        self.established.load(Ordering::Relaxed)
    }
}

struct Teller {
    log: Arc<EventLog>,
    number: u64,
    monitor: Monitor,
    names: Names,
    established: Arc<AtomicBool>,
}

impl Teller {
    async fn tell(mut self, mut events: Events) {
        while let Some(event) = events.next().await {
            self.heed(&event);
            let how = How(self.monitor.mode(), self.monitor.mode_reason());
            let bytes = self.names.bytes(&self.monitor.stats());
            let line = self.log.line(self.number, event.kind().as_str());
            if let Some(line) = line.detail(&event, &mut self.names, &how) {
                self.log.write(line.field("bytes", bytes));
            }
        }
        if events.missed() > 0 {
            log::warn!("{} events were lost", events.missed());
        }
    }

    fn heed(&self, event: &Event) {
        match event {
            Event::Established => self.established.store(true, Ordering::Relaxed),
            // What will last. A backup that is down for a while is the business of whoever reads the events.
            Event::Protection(Protection::Unprotected {
                reason:
                    reason @ (Unprotected::NotAGateway
                    | Unprotected::OnePathMandated
                    | Unprotected::Session(UnprotectedReason::NoSecondPath)),
            }) => self.log.warn(*reason, &self.monitor),
            _ => {}
        }
    }
}
