//! The report as JSON. The shape is written up in SCHEMA.md.

use std::net::IpAddr;

use serde_json::{Value, json};
use twinpath::diagnosis::{Outcome, SCHEMA_VERSION, Verdict};

use crate::advice::advice;
use crate::packet::{MPTCP, Seen};
use crate::trace::{Compared, Hop, Interval, Located, Trace};
use crate::{Examined, ExaminedPath};

/// All of it as one JSON object: that of [`twinpath::diagnosis`] with more in it.
#[must_use]
pub fn json(examined: &Examined) -> Value {
    json!({
        "v": SCHEMA_VERSION,
        "target": examined.target,
        "outcome": examined.outcome().name(),
        "paths": examined.paths.iter().map(path).collect::<Vec<_>>(),
        "notes": examined.notes,
    })
}

/// The reports of many targets as one JSON object.
#[must_use]
pub fn many_json(all: &[Examined], outcome: Outcome) -> Value {
    json!({
        "v": SCHEMA_VERSION,
        "outcome": outcome.name(),
        "targets": all.iter().map(json).collect::<Vec<_>>(),
    })
}

fn path(path: &ExaminedPath) -> Value {
    let mut value = path.told.json();
    let advice = advice(&path.told);
    let remedies = advice.remedies.iter().map(|it| {
        json!({
            "product": it.product,
            "cause": it.cause,
            "commands": it.commands,
            "source": it.source,
        })
    });
    value["advice"] = json!({
        "plain": advice.plain,
        "remedies": remedies.collect::<Vec<_>>(),
    });
    if let Some(trace) = &path.trace {
        value["trace"] = trace_json(trace, &path.changes);
        if let Some(dropped) = path.dropped {
            value["trace"]["dropped"] = between(dropped, trace);
        }
    }
    if let Some(back) = &path.back {
        value["trace_back"] = back.clone();
    }
    if matches!(path.told.verdict, Verdict::SynDropped { .. }) {
        let on = match (path.arrives, path.dropped) {
            (true, _) => Some("back"),
            (false, Some(_)) => Some("out"),
            (false, None) => None,
        };
        value["dropped_on"] = json!(on);
    }
    if let Some(join) = &path.join {
        value["trace_join"] = trace_json(&join.trace, &join.changes);
        if let Some(dropped) = join.dropped {
            value["trace_join"]["dropped"] = between(dropped, &join.trace);
        }
        if let Some(back) = &join.back {
            value["trace_join_back"] = back.clone();
        }
    }
    value
}

/// Two traces as one JSON object, with what was changed and between which hops packets with the option vanish: behind the
/// last hop that got them, where no hop tells more.
#[must_use]
pub fn compared_json(compared: &Compared, changes: &[Located]) -> Value {
    let mut value = trace_json(&compared.trace, changes);
    let (after, trace) = (compared.reached, &compared.trace);
    value["dropped"] = match compared.dropped {
        Some(dropped) => between(dropped, trace),
        None => json!({
            "after": after,
            "after_from": names(after, trace),
            "by": null,
            "by_from": [],
        }),
    };
    value
}

/// A trace as one JSON object, with what was changed.
#[must_use]
pub fn trace_json(trace: &Trace, changes: &[Located]) -> Value {
    let changes = changes.iter().map(|it| {
        json!({
            "what": it.difference.to_string(),
            "between": between(it.between, trace),
        })
    });
    json!({
        "hops": trace.hops.iter().map(hop).collect::<Vec<_>>(),
        "server_at": trace.server_at,
        "changes": changes.collect::<Vec<_>>(),
    })
}

fn hop(hop: &Hop) -> Value {
    let option = Seen::Option(MPTCP);
    let mut seen = hop
        .observations
        .iter()
        .filter(|it| it.comparison.seen.contains(&option))
        .peekable();
    let mptcp =
        seen.peek()
            .is_some()
            .then(|| match seen.all(|it| it.comparison.is_intact(option)) {
                true => "as_sent",
                false => "changed",
            });
    let quoted = hop.observations.iter().map(|it| it.comparison.quoted).max();
    json!({
        "ttl": hop.ttl,
        "from": hop.responders(),
        "quoted": quoted,
        "mptcp": mptcp,
    })
}

fn between(interval: Interval, trace: &Trace) -> Value {
    json!({
        "after": interval.after,
        "after_from": names(interval.after, trace),
        "by": interval.by,
        "by_from": names(interval.by, trace),
    })
}

fn names(ttl: u8, trace: &Trace) -> Vec<IpAddr> {
    let at = ttl.checked_sub(1).map(usize::from);
    let hop = at.and_then(|at| trace.hops.get(at));
    hop.map(Hop::responders).unwrap_or_default()
}
