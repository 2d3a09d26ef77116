//! One event as a line of JSON. The fields are described to users in [`crate::help`].

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Map, Value};
use twinpath::{
    ConnectionStats, ConnectionSummary, Event, Mode, ModeReason, PathName, Protection, Role,
};

/// The version of the format: it grows when a field changes its meaning, not when one is added.
const VERSION: u32 = 1;

/// One line of JSON, its fields in the order in which they were added.
#[derive(Debug)]
pub(crate) struct Line(String);

impl Line {
    /// What every line begins with.
    pub(crate) fn new(since_start: Duration, connection: u64, event: &str) -> Self {
        Self(format!("{{\"v\":{VERSION}"))
            .field("t_ms", millis(since_start))
            .field("conn", connection)
            .field("event", event)
    }

    pub(crate) fn field(mut self, name: &str, value: impl Into<Value>) -> Self {
        // Writing to a string does not fail.
        let _ = write!(self.0, ",\"{name}\":{}", value.into());
        self
    }

    /// What there is to tell of an event beside its name; `None` for those that are not told.
    pub(crate) fn detail(self, event: &Event, names: &mut Names, how: &How) -> Option<Self> {
        Some(match event {
            Event::LegUp { path } => self.field("to", names.name(path)),
            Event::LegDown { path, reason } => self
                .field("from", names.name(path))
                .field("reason", reason.to_string()),
            Event::Hedge { from, to } | Event::Failback { from, to } => self
                .field("from", names.name(from))
                .field("to", names.name(to)),
            Event::Recovered { path, stall } => self
                .field("to", names.name(path))
                .field("stall_ms", millis(*stall)),
            // The stall is told when it ends.
            Event::Failover {
                from, to, reason, ..
            } => self
                .field("from", names.name(from))
                .field("to", names.name(to))
                .field("reason", reason.to_string()),
            Event::Protection(protection) => self.protection(*protection).how(how),
            Event::Mode { mode, reason } => self.how(&How(*mode, reason.clone())),
            Event::BudgetExhausted => self,
            Event::GoingAway { within } => self.field("within_ms", millis(*within)),
            Event::Summary(summary) => self.summary(summary),
            _ => return None,
        })
    }

    fn protection(self, protection: Protection) -> Self {
        match protection {
            Protection::Protected => self.field("protected", true),
            Protection::Unprotected { reason } => self
                .field("protected", false)
                .field("reason", reason.to_string()),
        }
    }

    fn how(self, How(mode, reason): &How) -> Self {
        self.field("mode", mode.as_str())
            .field("mode_reason", reason.to_string())
    }

    fn summary(self, summary: &ConnectionSummary) -> Self {
        let reason = summary.error.map_or("closed", |error| error.as_str());
        self.field("reason", reason)
            .field("stall_ms", millis(summary.worst_stall))
            .how(&How(summary.mode, summary.mode_reason.clone()))
            .field("duration_ms", millis(summary.duration))
            .field("protected_ms", millis(summary.protected))
            .field("hedges", summary.hedges)
            .field("failovers", summary.failovers)
            .field("failbacks", summary.failbacks)
            .field("written", summary.written)
            .field("read", summary.read)
    }

    pub(crate) fn finish(mut self) -> String {
        self.0.push_str("}\n");
        self.0
    }
}

/// How a connection runs, and why.
#[derive(Debug)]
pub(crate) struct How(pub(crate) Mode, pub(crate) ModeReason);

/// The interfaces under the paths, as far as they are known.
#[derive(Debug, Default)]
pub(crate) struct Names([Option<String>; 2]);

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

    /// What each interface has carried so far: sent, received.
    pub(crate) fn bytes(&mut self, stats: &ConnectionStats) -> Value {
        let mut bytes = Map::new();
        for path in &stats.paths {
            if let Some(interface) = &path.interface {
                self.learn(path.role, &interface.name);
            }
            if path.sent + path.received > 0 {
                let counted = vec![path.sent, path.received];
                bytes.insert(self.of(path.role), counted.into());
            }
        }
        Value::Object(bytes)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use twinpath::Unprotected;

    use super::*;

    fn told(event: &Event) -> Option<String> {
        let how = How(Mode::SinglePath, ModeReason::PrivateTarget);
        Line::new(Duration::from_millis(7), 3, event.kind().as_str())
            .detail(event, &mut Names::default(), &how)
            .map(Line::finish)
    }

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

    #[test]
    fn a_spent_budget_and_a_gateway_that_goes_away_are_told() {
        assert_eq!(
            told(&Event::BudgetExhausted).unwrap(),
            "{\"v\":1,\"t_ms\":7,\"conn\":3,\"event\":\"budget_exhausted\"}\n"
        );
        let within = Duration::from_secs(30);
        assert_eq!(
            told(&Event::GoingAway { within }).unwrap(),
            "{\"v\":1,\"t_ms\":7,\"conn\":3,\"event\":\"going_away\",\"within_ms\":30000}\n"
        );
    }

    #[test]
    fn what_is_not_protected_says_how_it_runs_and_why() {
        let reason = Unprotected::OnePathMandated;
        let line = told(&Event::Protection(Protection::Unprotected { reason })).unwrap();
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["protected"], false);
        assert_eq!(line["reason"], "only one path may be used");
        assert_eq!(line["mode"], "single-path");
        assert_eq!(
            line["mode_reason"],
            "the target is in a private or local network"
        );
    }

    #[test]
    fn what_the_last_line_tells_is_not_told_twice() {
        assert_eq!(told(&Event::Established), None);
        assert_eq!(told(&Event::Closed(Ok(()))), None);
    }
}
