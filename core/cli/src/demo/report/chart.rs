//! A few strokes of SVG: just what the report needs.

use std::fmt::Write as _;
use std::ops::Range;

const WIDTH: f64 = 950.0;
const LEFT: f64 = 40.0;
const RIGHT: f64 = 74.0;
const BOTTOM: f64 = 24.0;
/// Height of one row of tags above the plot.
const ROW: f64 = 17.0;
/// Width of a letter of a tag, roughly.
const LETTER: f64 = 7.0;

/// A plot over time, in seconds.
#[derive(Debug)]
pub(super) struct Chart {
    svg: String,
    times: Range<f64>,
    most: f64,
    top: f64,
    height: f64,
}

/// A label above the plot, with a line down to the time it is about.
#[derive(Debug, Clone)]
pub(super) struct Tag {
    pub(super) at: f64,
    pub(super) text: String,
    pub(super) class: &'static str,
}

impl Chart {
    /// A plot that is `height` high, with room for `rows` rows of tags above it.
    pub(super) fn new(label: &str, times: Range<f64>, most: f64, height: f64, rows: usize) -> Self {
        let top = 8.0 + rows as f64 * ROW;
        let total = top + height + BOTTOM;
        let mut svg = String::new();
        let _ = write!(
            svg,
            "<svg viewBox=\"0 0 {WIDTH} {total}\" role=\"img\" aria-label=\"{}\">",
            escape(label)
        );
        Self {
            svg,
            times,
            most,
            top,
            height,
        }
    }

    pub(super) fn x(&self, time: f64) -> f64 {
        let share = (time - self.times.start) / (self.times.end - self.times.start);
        LEFT + share.clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
    }

    pub(super) fn y(&self, value: f64) -> f64 {
        self.top + self.height * (1.0 - (value / self.most).clamp(0.0, 1.0))
    }

    fn base(&self) -> f64 {
        self.top + self.height
    }

    /// Lines across, with their values, and ticks below.
    pub(super) fn axes(mut self, values: &[f64], step: f64, time: impl Fn(f64) -> String) -> Self {
        for value in values {
            let y = self.y(*value);
            let class = if *value == 0.0 { "base" } else { "grid" };
            let _ = write!(
                self.svg,
                "<line class=\"{class}\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{value}</text>",
                WIDTH - RIGHT,
                LEFT - 8.0,
                y + 4.0,
            );
        }
        let y = self.base() + 17.0;
        let mut at = (self.times.start / step).ceil() * step;
        while at <= self.times.end + 1e-9 {
            let _ = write!(
                self.svg,
                "<text x=\"{:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{}</text>",
                self.x(at),
                time(at)
            );
            at += step;
        }
        self
    }

    /// A time in which a fault was in force.
    pub(super) fn band(mut self, from: f64, to: f64, label: &str) -> Self {
        let (x1, x2) = (self.x(from), self.x(to));
        let (top, height) = (self.top, self.height);
        let width = x2 - x1;
        for class in ["band", "hatched"] {
            let _ = write!(
                self.svg,
                "<rect class=\"{class}\" x=\"{x1:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"/>"
            );
        }
        let _ = write!(
            self.svg,
            "<text class=\"band-label\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            x2 - 10.0,
            top + 18.0,
            escape(label)
        );
        self
    }

    /// The area between the points and zero, with its upper edge.
    pub(super) fn area(mut self, points: &[(f64, f64)], class: &str) -> Self {
        let (Some(first), Some(last)) = (points.first(), points.last()) else {
            return self;
        };
        let edge = self.path(points);
        let base = self.base();
        let (x1, x2) = (self.x(first.0), self.x(last.0));
        let _ = write!(
            self.svg,
            "<path class=\"area {class}\" d=\"M{x1:.1} {base:.1}L{}L{x2:.1} {base:.1}Z\"/>\
             <path class=\"line {class}\" d=\"M{edge}\"/>",
            edge
        );
        self
    }

    pub(super) fn line(mut self, points: &[(f64, f64)], class: &str) -> Self {
        let edge = self.path(points);
        let _ = write!(self.svg, "<path class=\"line {class}\" d=\"M{edge}\"/>");
        self
    }

    fn path(&self, points: &[(f64, f64)]) -> String {
        let point =
            |(time, value): &(f64, f64)| format!("{:.1} {:.1}", self.x(*time), self.y(*value));
        points.iter().map(point).collect::<Vec<_>>().join("L")
    }

    /// A bar from `from` to `to`.
    pub(super) fn bar(mut self, from: f64, to: f64, value: f64, class: &str) -> Self {
        let (x1, x2, y) = (self.x(from), self.x(to), self.y(value));
        let height = self.base() - y;
        if height >= 0.1 && x2 > x1 {
            let _ = write!(
                self.svg,
                "<rect class=\"bar {class}\" x=\"{:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{height:.1}\"/>",
                x1 + 0.5,
                x2 - x1 - 1.0,
            );
        }
        self
    }

    /// A brace over a time, with what it means.
    pub(super) fn brace(mut self, from: f64, to: f64, label: &str) -> Self {
        let (x1, x2) = (self.x(from), self.x(to));
        let y = self.top + self.height * 0.42;
        let _ = write!(
            self.svg,
            "<path class=\"brace\" d=\"M{x1:.1} {:.1}V{:.1}M{x1:.1} {y:.1}H{x2:.1}M{x2:.1} {:.1}V{:.1}\"/>\
             <text class=\"brace-label\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            y - 6.0,
            y + 6.0,
            y - 6.0,
            y + 6.0,
            f64::midpoint(x1, x2),
            y - 12.0,
            escape(label)
        );
        self
    }

    /// Tags above the plot; those that would overlap go into another row.
    pub(super) fn tags(mut self, tags: &[Tag], rows: usize) -> Self {
        let mut ends = vec![f64::NEG_INFINITY; rows.max(1)];
        for tag in tags {
            let x = self.x(tag.at);
            let width = tag.text.chars().count() as f64 * LETTER;
            let row = ends.iter().position(|end| *end < x).unwrap_or(0);
            ends[row] = x + width + 10.0;
            let y = self.top - 6.0 - row as f64 * ROW;
            let _ = write!(
                self.svg,
                "<line class=\"pin {class}\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.1}\" y2=\"{:.1}\"/>\
                 <text class=\"tag {class}\" x=\"{:.1}\" y=\"{y:.1}\">{}</text>",
                y - 9.0,
                self.base(),
                x + 4.0,
                escape(&tag.text),
                class = tag.class,
            );
        }
        self
    }

    /// A word beside a line that rises from left to right.
    pub(super) fn word(mut self, time: f64, value: f64, text: &str, class: &str) -> Self {
        let (x, y) = (self.x(time) - 12.0, self.y(value) - 4.0);
        let _ = write!(
            self.svg,
            "<text class=\"tag {class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"end\">{}</text>",
            escape(text)
        );
        self
    }

    pub(super) fn finish(mut self) -> String {
        self.svg.push_str("</svg>");
        self.svg
    }
}

/// Text that stands in the page as it is.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
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
    use super::*;

    #[test]
    fn the_plot_is_where_it_should_be() {
        let chart = Chart::new("a \"plot\"", 0.0..10.0, 50.0, 100.0, 1);
        assert!((chart.x(0.0) - LEFT).abs() < 1e-9);
        assert!((chart.x(99.0) - (WIDTH - RIGHT)).abs() < 1e-9, "clamped");
        assert!(chart.y(50.0) < chart.y(0.0));
        let svg = chart.area(&[(0.0, 0.0), (5.0, 50.0)], "wifi").finish();
        assert!(svg.contains("a &quot;plot&quot;") && svg.ends_with("</svg>"));
    }

    #[test]
    fn tags_that_would_overlap_go_into_rows() {
        let tag = |at, text: &str| Tag {
            at,
            text: text.to_owned(),
            class: "wifi",
        };
        let chart = Chart::new("", 0.0..10.0, 1.0, 100.0, 2);
        let (low, high) = (chart.top - 6.0, chart.top - 6.0 - ROW);
        let svg = chart
            .tags(
                &[tag(1.0, "first"), tag(1.1, "second"), tag(9.0, "third")],
                2,
            )
            .finish();
        assert_eq!(svg.matches(&format!("y=\"{low:.1}\"")).count(), 2);
        assert_eq!(svg.matches(&format!("y=\"{high:.1}\"")).count(), 1);
    }
}
