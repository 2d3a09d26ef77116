//! The table as plain text.

use std::fmt::Write as _;
use std::time::Duration;

use super::contenders::Contender;
use super::measure::{Row, Runs};
use super::rows::Bench;

const COLUMNS: usize = 7;
/// The heads of the columns.
pub(super) const HEAD: [&str; COLUMNS] = [
    "",
    "target",
    "twinpath",
    "kernel + twinpath",
    "kernel MPTCP",
    "plain TCP",
    "",
];

/// The cells of a row.
pub(super) fn cells(row: &Row) -> [String; COLUMNS] {
    let cell = |runs: Option<&Runs>| match runs {
        Some(runs) if runs.values().len() == 1 => row.unit.show(runs.median()),
        Some(runs) if !runs.is_empty() => format!(
            "{} / {}",
            row.unit.show(runs.median()),
            row.unit.show(runs.worst(row.target))
        ),
        _ => "-".to_owned(),
    };
    [
        row.what.to_owned(),
        row.target.show(row.unit),
        cell(row.emulated()),
        cell(row.of(Contender::Watched)),
        cell(row.of(Contender::Kernel)),
        cell(row.of(Contender::Plain)),
        row.verdict().to_owned(),
    ]
}

pub(super) fn text(table: &[Row], bench: &Bench, took: Duration) -> String {
    let mut lines = vec![HEAD.map(str::to_owned)];
    lines.extend(table.iter().map(cells));
    let mut widths = [0; COLUMNS];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for (at, line) in lines.iter().enumerate() {
        for (column, (cell, width)) in line.iter().zip(widths).enumerate() {
            let _ = match column {
                0 => write!(text, "{cell:<width$}"),
                _ if column == COLUMNS - 1 => write!(text, "  {cell}"),
                _ => write!(text, "  {cell:>width$}"),
            };
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
        if at == 0 {
            let _ = writeln!(
                text,
                "{}",
                "-".repeat(widths.iter().sum::<usize>() + 2 * (COLUMNS - 1))
            );
        }
    }
    text.push('\n');
    text.push_str(&conditions(bench, took));
    for row in table {
        if let Some(note) = &row.note {
            let _ = writeln!(text, "{}: {note}.", row.name);
        }
    }
    for row in table {
        for trouble in &row.troubles {
            let _ = writeln!(text, "{}: {trouble}.", row.name);
        }
    }
    text
}

/// What holds for the whole table.
pub(super) fn conditions(bench: &Bench, took: Duration) -> String {
    let length = if bench.quick { ", with --quick" } else { "" };
    format!(
        "Median / worst of {} runs of each contender{length}, in {:.0} s. Wi-Fi has 50 Mbit/s and 20 ms, cellular 20 \
         Mbit/s and 60 ms, queues hold 128 KB; TCP is {}, MPTCP the kernel's with its defaults.\n",
        bench.runs,
        took.as_secs_f64(),
        super::scene::congestion_control(),
    )
}
