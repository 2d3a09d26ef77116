//! The last line: where the bytes came from. And the events on the way.

use std::time::Duration;

use twinpath::http::{RequestEvent, RequestSummary};

use crate::connect::{EventLog, Line};

/// What a download came to, in one line.
pub(super) fn line(size: u64, kept: u64, took: Duration, summary: &RequestSummary) -> String {
    let mut parts = Vec::new();
    for path in summary.paths.iter().filter(|path| path.body > 0) {
        let name = path
            .path
            .as_ref()
            .map_or_else(|| path.role.to_string(), |path| path.name.to_string());
        parts.push(format!("{} over {name}", bytes(path.body)));
    }
    if kept > 0 {
        parts.push(format!("{} from an earlier run", bytes(kept)));
    }
    let mut text = format!("{} in {:.1} s", bytes(size), took.as_secs_f64());
    if !parts.is_empty() {
        text.push_str(": ");
        text.push_str(&parts.join(", "));
    }
    let many = |count: u32, one: &str| match count {
        0 => None,
        1 => Some(format!("1 {one}")),
        more => Some(format!("{more} {one}s")),
    };
    let happened = [
        many(summary.failovers, "failover"),
        many(summary.failbacks, "failback"),
        many(summary.replays, "replay"),
        many(summary.resumes, "resume"),
        many(summary.restarts, "restart"),
        many(summary.hedges, "hedge"),
        (summary.fetched_again > 0)
            .then(|| format!("{} fetched again", bytes(summary.fetched_again))),
        (summary.on_backup() > 0)
            .then(|| format!("{} on the backup in all", bytes(summary.on_backup()))),
    ];
    let happened: Vec<_> = happened.into_iter().flatten().collect();
    if !happened.is_empty() {
        text.push_str("; ");
        text.push_str(&happened.join(", "));
        text.push_str(&format!(
            "; longest wait {} ms",
            summary.worst_stall.as_millis()
        ));
    }
    text
}

fn bytes(count: u64) -> String {
    match count {
        0..10_000 => format!("{count} B"),
        10_000..1_000_000 => format!("{:.1} kB", count as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", count as f64 / 1e6),
        _ => format!("{:.2} GB", count as f64 / 1e9),
    }
}

/// Writes an event down.
pub(super) fn record(log: &EventLog, event: &RequestEvent) {
    let line = log.line(1, event.name());
    log.write(match event {
        RequestEvent::Answered { status, path, mode } => {
            let line = line
                .field("status", status.as_u16())
                .field("mode", mode.as_str());
            match path {
                Some(path) => line.field("to", &*path.name),
                None => line,
            }
        }
        RequestEvent::Failover { from, why } => {
            line.field("from", from.to_string()).field("reason", &**why)
        }
        RequestEvent::Resumed { at } => line.field("at", *at),
        RequestEvent::Postponed { by } => line.field(
            "within_ms",
            u64::try_from(by.as_millis()).unwrap_or(u64::MAX),
        ),
        _ => line,
    });
}

/// The last event.
pub(super) fn record_summary(log: &EventLog, reason: &str, summary: &RequestSummary) {
    let mut paths = serde_json::Map::new();
    for path in &summary.paths {
        let name = path
            .path
            .as_ref()
            .map_or_else(|| path.role.to_string(), |path| path.name.to_string());
        paths.insert(name, serde_json::json!([path.sent, path.received]));
    }
    let line: Line = log
        .line(1, "summary")
        .field("reason", reason)
        .field(
            "stall_ms",
            u64::try_from(summary.worst_stall.as_millis()).unwrap_or(u64::MAX),
        )
        .field("failovers", summary.failovers)
        .field("failbacks", summary.failbacks)
        .field("replays", summary.replays)
        .field("resumes", summary.resumes)
        .field("restarts", summary.restarts)
        .field("hedges", summary.hedges)
        .field("fetched_again", summary.fetched_again)
        .field("on_backup", summary.on_backup())
        .field("bytes", serde_json::Value::Object(paths));
    log.write(line);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_what_happened_and_nothing_that_did_not() {
        let mut summary = RequestSummary::default();
        let took = Duration::from_millis(1500);
        assert_eq!(line(12_345, 0, took, &summary), "12.3 kB in 1.5 s");
        summary.failovers = 1;
        summary.resumes = 2;
        summary.worst_stall = Duration::from_millis(210);
        assert_eq!(
            line(50_000_000, 1000, took, &summary),
            "50.0 MB in 1.5 s: 1000 B from an earlier run; 1 failover, 2 resumes; longest wait 210 ms"
        );
    }
}
