//! The events of connections as JSON lines.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use tokio::task::JoinHandle;
use twinpath::{Connection, ConnectionSummary, Event, Events, Monitor, PathName, Protection, Role};

use crate::args::EventsTo;

/// The version of the format: it grows when a field changes its meaning, not when one is added.
const VERSION: u32 = 1;
/// How long the end of the command waits for the last events.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where the events of all connections go; nowhere, unless asked for.
pub(crate) struct EventLog {
    out: Option<Mutex<Box<dyn Write + Send>>>,
    started: Instant,
    connections: AtomicU64,
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
        })
    }

    /// Writes down what happens to `connection`, from now to its end.
    pub(crate) fn follow(self: &Arc<Self>, connection: &Connection) -> Follower {
        let number = self.connections.fetch_add(1, Ordering::Relaxed) + 1;
        let established = Arc::new(AtomicBool::new(false));
        let teller = Teller {
            log: Arc::clone(self),
            number,
            monitor: connection.monitor(),
            names: Names::default(),
            established: Arc::clone(&established),
        };
        Follower {
            task: tokio::spawn(teller.tell(connection.events())),
            established,
        }
    }

    fn write(&self, line: Line) {
        let Some(out) = &self.out else { return };
        let text = line.finish();
        let mut out = out.lock().unwrap_or_else(PoisonError::into_inner);
        // One write per line, so that lines of several processes in one file do not mix.
        if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            log::debug!("an event could not be written: {error}");
        }
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

/// The interfaces under the paths, as far as they are known.
#[derive(Debug, Default)]
struct Names([Option<String>; 2]);

impl Names {
    fn learn(&mut self, role: Role, name: &str) {
        let slot = &mut self.0[usize::from(role == Role::Backup)];
        if slot.as_deref() != Some(name) {
            *slot = Some(name.to_owned());
        }
    }

    fn of(&self, role: Role) -> String {
        self.0[usize::from(role == Role::Backup)]
            .clone()
            .unwrap_or_else(|| role.to_string())
    }

    fn name(&mut self, path: &PathName) -> String {
        if let Some(interface) = &path.interface {
            self.learn(path.role, interface);
        }
        self.of(path.role)
    }
}

/// One line of JSON, its fields in the order in which they were added.
#[derive(Debug)]
struct Line(String);

impl Line {
    fn new() -> Self {
        Self(format!("{{\"v\":{VERSION}"))
    }

    fn field(mut self, name: &str, value: impl Into<Value>) -> Self {
        // Writing to a string does not fail.
        let _ = write!(self.0, ",\"{name}\":{}", value.into());
        self
    }

    fn finish(mut self) -> String {
        self.0.push_str("}\n");
        self.0
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
            if matches!(event, Event::Established) {
                self.established.store(true, Ordering::Relaxed);
            }
            let line = Line::new()
                .field("t_ms", millis(self.log.started.elapsed()))
                .field("conn", self.number)
                .field("event", event.kind().as_str());
            let bytes = self.bytes();
            if let Some(line) = self.detail(&event, line) {
                self.log.write(line.field("bytes", bytes));
            }
        }
        if events.missed() > 0 {
            log::warn!("{} events were lost", events.missed());
        }
    }

    /// What each interface has carried so far: sent, received.
    fn bytes(&mut self) -> Value {
        let mut bytes = Map::new();
        for path in self.monitor.stats().paths {
            if let Some(interface) = &path.interface {
                self.names.learn(path.role, &interface.name);
            }
            if path.sent + path.received > 0 {
                let counted = vec![path.sent, path.received];
                bytes.insert(self.names.of(path.role), counted.into());
            }
        }
        Value::Object(bytes)
    }

    /// What there is to tell of an event beside its name; `None` for those that are not told.
    fn detail(&mut self, event: &Event, line: Line) -> Option<Line> {
        Some(match event {
            Event::LegUp { path } => line.field("to", self.names.name(path)),
            Event::LegDown { path, reason } => line
                .field("from", self.names.name(path))
                .field("reason", reason.to_string()),
            Event::Hedge { from, to } | Event::Failback { from, to } => line
                .field("from", self.names.name(from))
                .field("to", self.names.name(to)),
            Event::Recovered { path, stall } => line
                .field("to", self.names.name(path))
                .field("stall_ms", millis(*stall)),
            // The stall is told when it ends.
            Event::Failover {
                from, to, reason, ..
            } => line
                .field("from", self.names.name(from))
                .field("to", self.names.name(to))
                .field("reason", reason.to_string()),
            Event::Protection(Protection::Protected) => line.field("protected", true),
            Event::Protection(Protection::Unprotected { reason }) => line
                .field("protected", false)
                .field("reason", reason.to_string()),
            Event::Summary(summary) => Self::summary(summary, line),
            _ => return None,
        })
    }

    fn summary(summary: &ConnectionSummary, line: Line) -> Line {
        let reason = summary.error.map_or("closed", |error| error.as_str());
        line.field("reason", reason)
            .field("stall_ms", millis(summary.worst_stall))
            .field("mode", summary.mode.as_str())
            .field("duration_ms", millis(summary.duration))
            .field("hedges", summary.hedges)
            .field("failovers", summary.failovers)
            .field("failbacks", summary.failbacks)
            .field("written", summary.written)
            .field("read", summary.read)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_without_an_interface_is_called_by_its_role() {
        let mut names = Names::default();
        let nameless = PathName {
            role: Role::Backup,
            interface: None,
        };
        assert_eq!(names.name(&nameless), "backup");
        let named = PathName {
            role: Role::Backup,
            interface: Some("wwan0".into()),
        };
        assert_eq!(names.name(&named), "wwan0");
        assert_eq!(names.name(&nameless), "wwan0", "it is remembered");
        assert_eq!(names.of(Role::Primary), "primary");
    }
}
