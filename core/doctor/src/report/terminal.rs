//! The report as text.

use std::fmt::Write as _;

use serde_json::Value;
use twinpath::diagnosis::Outcome;

use super::words::between;
use crate::advice::advice;
use crate::trace::Hop;
use crate::{Examined, ExaminedPath};

/// How text may look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// With colours.
    pub colour: bool,
}

impl Style {
    fn mark(self, outcome: Outcome) -> String {
        let (word, colour) = match outcome {
            Outcome::Works => ("ok     ", 32),
            Outcome::WithoutMptcp => ("without", 33),
            Outcome::Broken => ("broken ", 31),
            Outcome::Unknown => ("unknown", 36),
        };
        match self.colour {
            true => format!("\x1b[{colour}m{word}\x1b[0m"),
            false => word.to_owned(),
        }
    }
}

/// The report in lines.
#[must_use]
pub fn text(examined: &Examined, style: Style) -> String {
    let mut text = String::new();
    for path in &examined.paths {
        one(&mut text, path, style);
    }
    for note in &examined.notes {
        let _ = writeln!(text, "note     {note}");
    }
    text
}

fn one(text: &mut String, path: &ExaminedPath, style: Style) {
    let told = &path.told;
    let mut line = |head: &str, rest: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{head}  {rest}");
    };
    let family = if told.server.is_ipv6() {
        "IPv6"
    } else {
        "IPv4"
    };
    let head = format!(
        "{} ({}), {family}: {}.",
        told.interface, told.kind, told.summary
    );
    line(&style.mark(told.outcome()), &head);
    let indent = "       ";
    let sure = told.certainty.name();
    line(indent, &format!("certainty: {sure}"));
    for change in change_lines(path) {
        line(indent, &change);
    }
    for evidence in &told.evidence {
        line(indent, &format!("- {evidence}"));
    }
    for finding in &told.findings {
        line(indent, &format!("- {}: {}", finding.topic, finding.text));
    }
    for need in &told.needs {
        line(indent, &format!("? not known: {need}"));
    }
    let trace = path.trace.as_ref();
    for hop in trace.map(|it| &it.hops[..]).unwrap_or_default() {
        line(indent, &hop_line(hop, path));
    }
    if let Some(at) = trace.and_then(|it| it.server_at) {
        line(indent, &format!("{at:>3}  {} answers", told.server));
    }
    advise(text, path);
}

/// What was changed or dropped, and between which hops.
pub(super) fn change_lines(path: &ExaminedPath) -> Vec<String> {
    let trace = path.trace.as_ref();
    let changes = path.changes.iter();
    let mut lines: Vec<_> = changes
        .map(|it| format!("{}, {}", it.difference, between(it.between, trace)))
        .collect();
    if let Some(dropped) = path.dropped {
        lines.push(format!(
            "SYNs with the option vanish {}",
            between(dropped, trace)
        ));
    }
    if let Some(back) = &path.back {
        way_back(&mut lines, back, "SYN-ACKs with the option");
    }
    if let Some(join) = &path.join {
        let trace = Some(&join.trace);
        lines.extend(join.changes.iter().map(|it| {
            let between = between(it.between, trace);
            format!("of SYNs that join {}, {between}", it.difference)
        }));
        if let Some(dropped) = join.dropped {
            lines.push(format!("SYNs that join vanish {}", between(dropped, trace)));
        }
        if let Some(back) = &join.back {
            way_back(&mut lines, back, "answers to joins");
        }
    }
    lines
}

/// `which` is what may vanish.
fn way_back(lines: &mut Vec<String>, back: &Value, which: &str) {
    if let Some(error) = back["error"].as_str() {
        lines.push(format!(
            "not known: the way back, hop by hop: the other end says: {error}"
        ));
    }
    let ends = |between: &Value| {
        let hop = |number: &str, names: &str| {
            let number = between[number].as_u64().unwrap_or_default();
            let names = between[names].as_array().into_iter().flatten();
            let names: Vec<_> = names.filter_map(Value::as_str).collect();
            match number {
                0 => "the server".to_owned(),
                _ if names.is_empty() => format!("hop {number} from there"),
                _ => format!("hop {number} from there ({})", names.join(" ")),
            }
        };
        let (after, by) = (hop("after", "after_from"), hop("by", "by_from"));
        format!("between {after} and {by}")
    };
    for change in back["changes"].as_array().into_iter().flatten() {
        let what = change["what"].as_str().unwrap_or_default();
        let ends = ends(&change["between"]);
        lines.push(format!("on the way back {what}, {ends}"));
    }
    let dropped = &back["dropped"];
    if dropped["by"].is_u64() {
        lines.push(format!("on the way back {which} vanish {}", ends(dropped)));
    }
}

fn advise(text: &mut String, path: &ExaminedPath) {
    let advice = advice(&path.told);
    let _ = writeln!(text, "\n         {}", advice.plain);
    for remedy in &advice.remedies {
        let _ = writeln!(text, "         {}: {}", remedy.product, remedy.cause);
        for command in remedy.commands {
            let _ = writeln!(text, "             {command}");
        }
        let _ = writeln!(text, "             [{}]", remedy.source);
    }
}

pub(super) fn hop_line(hop: &Hop, path: &ExaminedPath) -> String {
    let names: Vec<_> = hop.responders().iter().map(ToString::to_string).collect();
    let Some(best) = hop
        .observations
        .iter()
        .max_by_key(|it| it.comparison.quoted)
    else {
        return format!("{:>3}  silent", hop.ttl);
    };
    let comparison = &best.comparison;
    let differences: Vec<_> = comparison
        .differences
        .iter()
        .map(ToString::to_string)
        .collect();
    let seen = match &differences[..] {
        [] if comparison.quoted < 20 => {
            format!("quotes {} bytes only, which are as sent", comparison.quoted)
        }
        [] => "as sent".into(),
        some => some.join("; "),
    };
    // Behind the hop where they vanish others were traced.
    let of = match path.dropped.is_some_and(|it| hop.ttl > it.after) {
        true => "of a SYN without the option: ",
        false => "",
    };
    format!("{:>3}  {}  {of}{seen}", hop.ttl, names.join(" "))
}
