//! The three pictures of the report.

use std::time::Duration;

use super::super::file::SIZE;
use super::super::progress::End;
use super::super::recording::{Mark, Moment, Recording, Run, STEP};
use super::super::terminal::megabytes;
use super::chart::{Chart, Tag};
use super::{at, big, class};

/// Each point of the throughput stands for this.
const POINT: Duration = Duration::from_millis(100);
/// How much is seen before and after Wi-Fi's death when looked at closely.
const BEFORE: f64 = 0.3;
const AFTER: f64 = 1.2;

/// What each link delivered, in both downloads.
pub(super) fn links(recording: &Recording) -> String {
    let rows = 3;
    let ours = recording.twinpath.throughput(POINT);
    let plain = recording.plain.throughput(POINT);
    let tags = tags(recording);
    let only = |points: &[(Duration, [f64; 2])], which: usize| -> Vec<(f64, f64)> {
        points
            .iter()
            .map(|(at, rates)| (at.as_secs_f64(), rates[which]))
            .collect()
    };
    let first = timeline(
        recording,
        "Throughput of each link under the twinpath connection",
        190.0,
        rows,
    )
    .area(&only(&ours, 0), "wifi")
    .area(&only(&ours, 1), "cellular")
    .tags(&tags, rows)
    .finish();
    let done = end_tag(&recording.plain, recording.length, Mark::PlainDone);
    let second = timeline(
        recording,
        "Throughput of Wi-Fi under the plain TCP connection",
        120.0,
        1,
    )
    .area(&only(&plain, 0), "plain")
    .tags(&done, 1)
    .finish();
    format!(
        "<section class=\"card\">\n<p class=\"legend\"><span><i class=\"key wifi\"></i>Wi-Fi</span>\
         <span><i class=\"key cellular\"></i>cellular</span><span><i class=\"key plain\"></i>Wi-Fi, plain TCP</span></p>\n\
         <h2>What each link delivered</h2>\n<p>Megabits per second over time, in seconds</p>\n\
         <figure><figcaption>Twinpath</figcaption>{PATTERN}{first}</figure>\n\
         <figure><figcaption>Plain TCP</figcaption>{second}</figure>\n</section>\n"
    )
}

/// The stripes of a fault, for all pictures of the page.
const PATTERN: &str = "<svg width=\"0\" height=\"0\" style=\"position:absolute\" aria-hidden=\"true\"><defs>\
    <pattern id=\"hatch\" width=\"8\" height=\"8\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">\
    <line class=\"stripe\" x1=\"0\" y1=\"0\" x2=\"0\" y2=\"8\"/></pattern></defs></svg>";

/// A chart over the whole time, with the fault behind everything.
fn timeline(recording: &Recording, label: &str, height: f64, rows: usize) -> Chart {
    let most = recording.links[0].0.max(recording.links[1].0);
    let chart = Chart::new(label, 0.0..end_of(recording), most * 1.06, height, rows);
    let values = [0.0, most * 0.2, most * 0.4, most * 0.6, most * 0.8, most];
    let values: &[f64] = if height < 150.0 {
        &[0.0, most * 0.4, most]
    } else {
        &values
    };
    with_fault(recording, chart).axes(values, step_of(recording), |at| format!("{at:.0}"))
}

fn with_fault(recording: &Recording, chart: Chart) -> Chart {
    let Some(died) = at(recording, Mark::WifiDies) else {
        return chart;
    };
    let back = at(recording, Mark::WifiReturns).unwrap_or(recording.length);
    chart.band(died.as_secs_f64(), back.as_secs_f64(), "Wi-Fi is silent")
}

/// The moment of Wi-Fi's death, closely.
pub(super) fn moment_of_death(recording: &Recording) -> String {
    let Some(died) = at(recording, Mark::WifiDies) else {
        return String::new();
    };
    let died = died.as_secs_f64();
    let stall = recording.twinpath.last.stall;
    let from = stall.from.as_secs_f64() - died;
    let (number, unit) = big(stall.length);
    let ours = closely(
        recording,
        &recording.twinpath,
        died,
        "Bytes the twinpath download got around the loss of Wi-Fi",
    );
    // The longest stall may be another one, if all went very well.
    let ours = if (-BEFORE..AFTER).contains(&from) {
        let to = (from + stall.length.as_secs_f64()).min(AFTER);
        ours.brace(from, to, &format!("{number} {unit}"))
    } else {
        ours
    };
    let near = |moment: &&Moment| (moment.at.as_secs_f64() - died) < AFTER;
    let wanted = [Mark::Hedge, Mark::Failover];
    let tags: Vec<Tag> = recording
        .moments
        .iter()
        .filter(near)
        .filter(|it| wanted.contains(&it.mark))
        .map(|it| Tag {
            at: it.at.as_secs_f64() - died,
            text: it.mark.label().to_owned(),
            class: class(it.mark),
        })
        .collect();
    let ours = ours.tags(&tags, 1).finish();
    let plain = closely(
        recording,
        &recording.plain,
        died,
        "Bytes the plain TCP download got around the loss of Wi-Fi",
    );
    let plain = plain.finish();
    format!(
        "<section class=\"card\">\n<h2>The moment it happened</h2>\n<p>What the program got in each {} ms, in \
         kilobytes, from {:.0} ms before to {:.1} s after</p>\n<figure><figcaption>Twinpath</figcaption>{ours}</figure>\n\
         <figure><figcaption>Plain TCP</figcaption>{plain}</figure>\n</section>\n",
        STEP.as_millis(),
        BEFORE * 1000.0,
        AFTER
    )
}

fn closely(recording: &Recording, run: &Run, died: f64, label: &str) -> Chart {
    let rate = recording.links[0].0;
    // What Wi-Fi carries in a step, and a good half more for what waited behind a gap.
    let most = (rate * STEP.as_secs_f64() * 1000.0 / 8.0 * 1.6 / 50.0).ceil() * 50.0;
    let mut chart = Chart::new(label, -BEFORE..AFTER, most, 110.0, 1)
        .band(0.0, AFTER, "Wi-Fi is silent")
        .axes(&[0.0, most / 2.0, most], 0.1, |at| {
            match (at * 1000.0).round() as i64 {
                0 => "Wi-Fi dies".to_owned(),
                millis if millis % 300 == 0 => format!("{millis:+} ms"),
                _ => String::new(),
            }
        });
    let mut before = (0.0, 0, 0, 0);
    for sample in &run.samples {
        let now = (
            sample.at.as_secs_f64() - died,
            sample.received,
            sample.wifi,
            sample.cellular,
        );
        if now.0 > -BEFORE && before.0 < AFTER && before.0 >= -BEFORE {
            let kilobytes = (now.1 - before.1) as f64 / 1000.0;
            let by_cellular = now.3 - before.3 > now.2 - before.2;
            let class = match (std::ptr::eq(run, &recording.plain), by_cellular) {
                (true, _) => "plain",
                (false, true) => "cellular",
                (false, false) => "wifi",
            };
            chart = chart.bar(before.0, now.0, kilobytes, class);
        }
        before = now;
    }
    chart
}

/// How many bytes the programs had.
pub(super) fn bytes(recording: &Recording) -> String {
    let points = |run: &Run| -> Vec<(f64, f64)> {
        let every = run.samples.iter().step_by(5).chain(run.samples.last());
        every
            .map(|it| (it.at.as_secs_f64(), megabytes(it.received)))
            .collect()
    };
    let (ours, plain) = (points(&recording.twinpath), points(&recording.plain));
    let full = megabytes(SIZE);
    let label = "Megabytes that each program had over time";
    let chart = Chart::new(label, 0.0..end_of(recording), full * 1.04, 200.0, 1);
    let mut chart = with_fault(recording, chart)
        .axes(&[0.0, full * 0.5, full], step_of(recording), |at| {
            format!("{at:.0}")
        })
        .line(&plain, "plain bold")
        .line(&ours, "wifi bold");
    if let Some((x, y)) = middle(&ours) {
        chart = chart.word(x, y, "twinpath", "wifi");
    }
    if let Some((x, y)) = middle(&plain) {
        chart = chart.word(x, y, "plain TCP", "plain");
    }
    let mut tags = end_tag(&recording.twinpath, recording.length, Mark::TwinpathDone);
    tags.extend(end_tag(&recording.plain, recording.length, Mark::PlainDone));
    let svg = chart.tags(&tags, 1).finish();
    format!(
        "<section class=\"card\">\n<h2>How far the downloads were</h2>\n<p>Megabytes over time, in seconds</p>\n\
         <figure>{svg}</figure>\n</section>\n"
    )
}

/// A point late in a line, for its name.
fn middle(points: &[(f64, f64)]) -> Option<(f64, f64)> {
    points.get(points.len() * 9 / 10).copied()
}

/// What is written above the throughput: of several hedges in a row the first stands for all.
fn tags(recording: &Recording) -> Vec<Tag> {
    let mut tags: Vec<Tag> = Vec::new();
    let mut hedged = f64::NEG_INFINITY;
    for moment in &recording.moments {
        let at = moment.at.as_secs_f64();
        match moment.mark {
            Mark::Recovered | Mark::PlainDone | Mark::WifiDies | Mark::TwinpathDone => continue,
            Mark::Hedge if at < hedged + 1.0 => continue,
            Mark::Hedge => hedged = at,
            _ => {}
        }
        tags.push(Tag {
            at,
            text: moment.mark.label().to_owned(),
            class: class(moment.mark),
        });
    }
    tags.extend(end_tag(
        &recording.twinpath,
        recording.length,
        Mark::TwinpathDone,
    ));
    tags
}

/// How a download ended.
fn end_tag(run: &Run, length: Duration, mark: Mark) -> Vec<Tag> {
    let (at, text) = match &run.last.end {
        Some((at, End::Intact)) => (*at, format!("done, {:.1} s", at.as_secs_f64())),
        Some((at, End::Damaged)) => (*at, "damaged".to_owned()),
        Some((at, End::Failed(_))) => (*at, "broken".to_owned()),
        None => (length, "not finished".to_owned()),
    };
    vec![Tag {
        at: at.as_secs_f64(),
        text,
        class: class(mark),
    }]
}

/// Where the time axis ends.
fn end_of(recording: &Recording) -> f64 {
    recording.length.as_secs_f64().ceil().max(1.0)
}

fn step_of(recording: &Recording) -> f64 {
    if end_of(recording) > 15.0 { 5.0 } else { 1.0 }
}
