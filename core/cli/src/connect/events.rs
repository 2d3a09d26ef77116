//! The events of connections as JSON lines.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use tokio::task::JoinHandle;
use twinpath::{Connection, ConnectionSummary, Event, Events, PathName, Protection, Role};

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
        let mut names = Names::default();
        for path in connection.stats().paths {
            if let Some(interface) = path.interface {
                names.learn(path.role, &interface.name);
            }
        }
        let teller = Teller {
            log: Arc::clone(self),
            number,
            names,
            established: Arc::clone(&established),
        };
        Follower {
            task: tokio::spawn(teller.tell(connection.events())),
            established,
        }
    }

    fn write(&self, line: &Value) {
        let Some(out) = &self.out else { return };
        let mut text = line.to_string();
        text.push('\n');
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

struct Teller {
    log: Arc<EventLog>,
    number: u64,
    names: Names,
    established: Arc<AtomicBool>,
}

impl Teller {
    async fn tell(mut self, mut events: Events) {
        while let Some(event) = events.next().await {
            if matches!(event, Event::Established) {
                self.established.store(true, Ordering::Relaxed);
            }
            let mut line = json!({
                "v": VERSION,
                "t_ms": millis(self.log.started.elapsed()),
                "conn": self.number,
                "event": event.kind().as_str(),
            });
            if let (Some(fields), Some(line)) = (self.fields(&event), line.as_object_mut()) {
                line.extend(fields);
                self.log.write(&Value::Object(std::mem::take(line)));
            }
        }
        if events.missed() > 0 {
            log::warn!("{} events were lost", events.missed());
        }
    }

    /// What there is to tell of an event beside its name; `None` for those that are not told.
    fn fields(&mut self, event: &Event) -> Option<Map<String, Value>> {
        let fields = match event {
            Event::LegUp { path } => json!({ "to": self.names.name(path) }),
            Event::LegDown { path, reason } => {
                json!({ "from": self.names.name(path), "reason": reason.to_string() })
            }
            Event::Hedge { from, to } => {
                json!({ "from": self.names.name(from), "to": self.names.name(to) })
            }
            Event::Recovered { path, stall } => {
                json!({ "to": self.names.name(path), "stall_ms": millis(*stall) })
            }
            // The stall is told when it ends.
            Event::Failover {
                from, to, reason, ..
            } => json!({
                "from": self.names.name(from),
                "to": self.names.name(to),
                "reason": reason.to_string(),
            }),
            Event::Failback { from, to } => {
                json!({ "from": self.names.name(from), "to": self.names.name(to) })
            }
            Event::Protection(Protection::Protected) => json!({ "protected": true }),
            Event::Protection(Protection::Unprotected { reason }) => {
                json!({ "protected": false, "reason": reason.to_string() })
            }
            Event::Summary(summary) => self.summary(summary),
            _ => return None,
        };
        match fields {
            Value::Object(fields) => Some(fields),
            _ => None,
        }
    }

    fn summary(&self, summary: &ConnectionSummary) -> Value {
        let bytes: BTreeMap<_, _> = summary
            .paths
            .iter()
            .filter(|path| path.sent + path.received > 0)
            .map(|path| (self.names.of(path.role), [path.sent, path.received]))
            .collect();
        let reason = summary.error.map_or("closed", |error| error.as_str());
        json!({
            "reason": reason,
            "stall_ms": millis(summary.worst_stall),
            "bytes": bytes,
            "mode": summary.mode.as_str(),
            "duration_ms": millis(summary.duration),
            "hedges": summary.hedges,
            "failovers": summary.failovers,
            "failbacks": summary.failbacks,
            "written": summary.written,
            "read": summary.read,
        })
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
