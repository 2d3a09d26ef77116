//! The table for programs.

use std::time::Duration;

use serde_json::{Value, json};

use super::measure::{Row, Target};
use super::rows::Bench;

pub(super) fn text(table: &[Row], bench: &Bench, took: Duration) -> String {
    let rows: Vec<Value> = table.iter().map(row).collect();
    let all = json!({
        "v": 1,
        "version": env!("CARGO_PKG_VERSION"),
        "quick": bench.quick,
        "runs": bench.runs,
        "seconds": took.as_secs(),
        "met": table.iter().all(Row::is_met),
        "rows": rows,
    });
    format!("{all:#}\n")
}

fn row(row: &Row) -> Value {
    let contenders: serde_json::Map<String, Value> = row
        .runs
        .iter()
        .map(|(contender, runs)| {
            let measured = json!({
                "median": number(runs.median()),
                "worst": number(runs.worst(row.target)),
                "runs": runs.values().iter().map(|it| number(*it)).collect::<Vec<_>>(),
            });
            (contender.name().to_owned(), measured)
        })
        .collect();
    let (kind, limit) = match row.target {
        Target::MedianAtMost(limit) => ("median_at_most", limit),
        Target::MedianAtLeast(limit) => ("median_at_least", limit),
        Target::EachAtMost(limit) => ("each_at_most", limit),
    };
    json!({
        "name": row.name,
        "what": row.what,
        "unit": row.unit.name(),
        "target": { "kind": kind, "limit": number(limit) },
        "verdict": row.verdict(),
        "contenders": contenders,
        "note": row.note,
        "troubles": row.troubles,
    })
}

/// JSON has no infinity: what never ended is a word.
fn number(value: f64) -> Value {
    if value.is_infinite() {
        json!("never")
    } else {
        // Three digits behind the point tell all there is.
        json!((value * 1e3).round() / 1e3)
    }
}
