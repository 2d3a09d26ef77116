//! The page that is left: the table, and every single run as a dot. It needs nothing but itself.

use std::fmt::Write as _;
use std::time::Duration;

use super::contenders::Contender;
use super::measure::{Row, Target};
use super::rows::Bench;
use super::table;

/// The same look as the report of `twinpath demo`, and what a table and dots need beyond.
const STYLE: &str = include_str!("../demo/report/style.css");
const MORE: &str = include_str!("style.css");

const WIDTH: f64 = 950.0;
const LEFT: f64 = 120.0;
const RIGHT: f64 = 90.0;
const LINE: f64 = 26.0;
const BOTTOM: f64 = 24.0;

pub(super) fn html(rows: &[Row], bench: &Bench, took: Duration) -> String {
    let missed = rows.iter().filter(|row| !row.is_met()).count();
    let headline = match missed {
        0 => "Every target is met.".to_owned(),
        1 => "One target is missed.".to_owned(),
        more => format!("{more} of {} targets are missed.", rows.len()),
    };
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Twinpath bench: {headline}</title>\n<style>\n{STYLE}{MORE}</style>\n</head>\n<body>\n<main>\n\
         <p class=\"brand\"><i></i>Twinpath</p>\n<h1>{headline}</h1>\n\
         <p class=\"lede\">What happens to a connection when Wi-Fi dies, beside kernel MPTCP and plain TCP: the same \
         service, the same links, the same faults at the same times.</p>\n"
    );
    let head: String = table::HEAD.map(|it| format!("<th>{it}</th>")).concat();
    let _ = writeln!(
        page,
        "<section class=\"card wide\">\n<table class=\"results\">\n<thead><tr>{head}</tr></thead>\n<tbody>"
    );
    for row in rows {
        let [what, target, ours, watched, kernel, plain, verdict] =
            table::cells(row).map(|it| escape(&it));
        let class = if row.is_met() { "is-good" } else { "is-bad" };
        let _ = writeln!(
            page,
            "<tr><td>{what}</td><td>{target}</td><td><b>{ours}</b></td><td><b>{watched}</b></td><td>{kernel}</td><td>{plain}</td>\
             <td class=\"{class}\">{verdict}</td></tr>"
        );
    }
    page.push_str("</tbody></table>\n</section>\n");
    for row in rows
        .iter()
        .filter(|row| row.runs.iter().any(|(_, runs)| runs.values().len() > 1))
    {
        page.push_str(&plot(row));
    }
    page.push_str(&footer(rows, bench, took));
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

fn footer(rows: &[Row], bench: &Bench, took: Duration) -> String {
    let mut text = format!(
        "<footer><p>{}</p>\n<ul>",
        escape(&table::conditions(bench, took))
    );
    for row in rows {
        if let Some(note) = &row.note {
            let _ = write!(text, "<li><b>{}</b>: {}.</li>", row.name, escape(note));
        }
        for trouble in &row.troubles {
            let trouble = escape(trouble);
            let _ = write!(text, "<li><b>{}</b>: {trouble}.</li>", row.name);
        }
    }
    let _ = write!(
        text,
        "</ul>\n<p>Twinpath {} on {}; <code>twinpath bench</code> measures it again.</p></footer>\n",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::OS
    );
    text
}

/// Every run of every contender on one line each.
fn plot(row: &Row) -> String {
    let limit = match row.target {
        Target::MedianAtMost(limit) | Target::MedianAtLeast(limit) | Target::EachAtMost(limit) => {
            limit
        }
    };
    let values = row.runs.iter().flat_map(|(_, runs)| runs.values());
    let most = values
        .copied()
        .filter(|it| it.is_finite())
        .fold(limit, f64::max)
        * 1.08;
    let most = if most > 0.0 { most } else { 1.0 };
    let x = |value: f64| {
        if value.is_infinite() {
            WIDTH - RIGHT + 50.0
        } else {
            LEFT + (value / most).clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
        }
    };
    let base = LINE * row.runs.len() as f64 + 6.0;
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {:.0}\" role=\"img\" aria-label=\"{}\">",
        base + BOTTOM,
        escape(row.what)
    );
    for tick in ticks(most) {
        let at = x(tick);
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"0\" y2=\"{base:.1}\"/>\
             <text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            base + 17.0,
            row.unit.show(tick)
        );
    }
    let at = x(limit);
    let _ = write!(
        svg,
        "<line class=\"pin good\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"0\" y2=\"{base:.1}\"/>"
    );
    for ((contender, runs), number) in row.runs.iter().zip(0_u32..) {
        let y = LINE * f64::from(number) + 16.0;
        let class = class(*contender);
        let _ = write!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{contender}</text>",
            LEFT - 14.0,
            y + 4.0
        );
        for value in runs.values().iter().filter(|it| !it.is_nan()) {
            let _ = write!(
                svg,
                "<circle class=\"dot {class}\" cx=\"{:.1}\" cy=\"{y:.1}\" r=\"4.5\"/>",
                x(*value)
            );
        }
        if runs.values().iter().any(|it| it.is_infinite()) {
            let _ = write!(
                svg,
                "<text x=\"{:.1}\" y=\"{:.1}\">never</text>",
                WIDTH - RIGHT + 58.0,
                y + 4.0
            );
        }
    }
    svg.push_str("</svg>");
    format!(
        "<section class=\"card\">\n<h2>{}</h2>\n<p>target {}, dashed; every dot is a run</p>\n<figure>{svg}</figure>\n\
         </section>\n",
        escape(row.what),
        escape(&row.target.show(row.unit))
    )
}

/// Round numbers from zero to `most`, about five.
fn ticks(most: f64) -> Vec<f64> {
    let rough = most / 5.0;
    let power = 10_f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|it| it * power);
    let step = steps.into_iter().find(|it| *it >= rough).unwrap_or(rough);
    let number = (most / step).floor() as u32;
    (0..=number).map(|it| f64::from(it) * step).collect()
}

const fn class(contender: Contender) -> &'static str {
    match contender {
        Contender::Warm | Contender::Cold => "wifi",
        Contender::Watched => "both",
        Contender::Kernel => "cellular",
        Contender::Plain => "plain",
    }
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.trim_end().chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            _ => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::measure::{Runs, Unit};
    use super::*;

    fn row(values: &[f64]) -> Row {
        let mut runs = Runs::default();
        values.iter().for_each(|it| runs.push(*it));
        Row {
            name: "test",
            what: "a <test> & nothing else",
            unit: Unit::Millis,
            target: Target::MedianAtMost(130.0),
            runs: vec![(Contender::Warm, runs.clone()), (Contender::Plain, runs)],
            note: Some("a \"note\"".to_owned()),
            troubles: vec!["it > that".to_owned()],
        }
    }

    #[test]
    fn the_page_is_whole_and_asks_for_nothing_from_outside() {
        let bench = Bench::new(true, None, None, &[]);
        let rows = [
            row(&[100.0, 110.0, f64::INFINITY]),
            row(&[]),
            row(&[500.0, 600.0]),
        ];
        let page = html(&rows, &bench, Duration::from_secs(3));
        assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
        for outside in ["http://", "https://", "src=", "@import", "<script", "<link"] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert!(!page.contains("NaN") && !page.contains("inf"));
        assert!(page.contains("2 of 3 targets are missed."));
        assert!(page.contains("a &lt;test&gt; &amp; nothing else"));
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(ticks(1200.0), [0.0, 500.0, 1000.0]);
        assert_eq!(ticks(1.0), [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]);
    }
}
