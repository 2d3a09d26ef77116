//! The page that is left: what happened, in a form to show around. It needs nothing but itself.

mod chart;
mod figures;

use std::fmt::Write as _;
use std::time::Duration;

use super::file::SIZE;
use super::progress::End;
use super::recording::{Mark, Moment, Recording, Run};
use super::terminal::megabytes;
use chart::escape;

const STYLE: &str = include_str!("style.css");

/// The whole page.
pub(super) fn html(recording: &Recording) -> String {
    let mut page = String::with_capacity(128 * 1024);
    let headline = headline(recording);
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Twinpath: {headline}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <p class=\"brand\"><i></i>Twinpath</p>\n<h1>{headline}</h1>\n<p class=\"lede\">{}</p>\n",
        lede(recording)
    );
    let _ = write!(
        page,
        "<section class=\"cards\">\n{}{}</section>\n",
        card("Over twinpath", &recording.twinpath, true),
        card("Over plain TCP", &recording.plain, false)
    );
    page.push_str(&figures::links(recording));
    page.push_str(&figures::moment_of_death(recording));
    page.push_str(&figures::bytes(recording));
    page.push_str(&story(recording));
    page.push_str(&conditions(recording));
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

fn headline(recording: &Recording) -> &'static str {
    match recording.twinpath.last.end {
        Some((_, End::Intact)) => "Wi-Fi died. The download did not.",
        Some((_, End::Damaged)) => "The file arrived damaged.",
        Some((_, End::Failed(_))) => "The download broke.",
        None => "The download did not finish.",
    }
}

fn lede(recording: &Recording) -> String {
    let died = at(recording, Mark::WifiDies).map(seconds);
    let back = at(recording, Mark::WifiReturns).map(seconds);
    let mut text =
        "Two downloads of the same 50 MB file, each over a Wi-Fi and a cellular link of its own. "
            .to_owned();
    if let Some(died) = died {
        let _ = write!(
            text,
            "After {died} Wi-Fi fell silent: no error, no signal, packets just vanished"
        );
        match back {
            Some(back) => {
                let _ = write!(text, "; at {back} it was back.");
            }
            None => text.push('.'),
        }
    }
    text
}

fn card(name: &str, run: &Run, is_ours: bool) -> String {
    let stall = run.last.stall.length;
    let is_good = stall < Duration::from_millis(500);
    let class = if is_good { "is-good" } else { "is-bad" };
    let (number, unit) = big(stall);
    let outcome = match &run.last.end {
        Some((at, End::Intact)) => format!("50 MB in {}, SHA-256 matches", seconds(*at)),
        Some((_, End::Damaged)) => "50 MB, but the SHA-256 does not match".to_owned(),
        Some((at, End::Failed(error))) => {
            format!("broke after {}: {}", seconds(*at), escape(error))
        }
        None => format!(
            "not finished: {:.1} of {:.0} MB",
            megabytes(run.last.received),
            megabytes(SIZE)
        ),
    };
    let last = run.samples.last().copied().unwrap_or_default();
    let (wifi, other) = if is_ours {
        let cellular = format!(
            ", <span class=\"key cellular\"></span>{:.1} MB over cellular",
            megabytes(last.cellular)
        );
        ("wifi", cellular)
    } else {
        ("plain", String::new())
    };
    format!(
        "<div class=\"card\">\n<h2>{name}</h2>\n<p class=\"big {class}\">{number}<small>{unit}</small></p>\n\
         <p class=\"what\">longest time in which nothing arrived</p>\n\
         <ul class=\"facts\"><li>{outcome}</li>\
         <li><span class=\"key {wifi}\"></span>{:.1} MB over Wi-Fi{other}</li></ul>\n</div>\n",
        megabytes(last.wifi)
    )
}

fn story(recording: &Recording) -> String {
    let mut rows = String::new();
    for moment in &recording.moments {
        let (class, text) = (class(moment.mark), escape(&moment.text));
        // The first words say what it is.
        let text = match text.split_once(": ") {
            Some((head, rest)) => format!("<b class=\"{class}\">{head}</b>: {rest}"),
            None => format!("<b class=\"{class}\">{text}</b>"),
        };
        let _ = writeln!(
            rows,
            "<tr><td>{:.2} s</td><td>{text}</td></tr>",
            moment.at.as_secs_f64()
        );
    }
    format!(
        "<section class=\"card\">\n<h2>What happened</h2>\n<table>\n{rows}</table>\n</section>\n"
    )
}

fn conditions(recording: &Recording) -> String {
    let [wifi, cellular] = recording
        .links
        .map(|(rate, rtt)| format!("{rate:.0} Mbit/s and {} ms", rtt.as_millis()));
    format!(
        "<footer><p>Wi-Fi has {wifi} round-trip time, cellular {cellular}, each with a queue of 128 KB. Both downloads \
         have a pair of links of their own and the same faults at the same times. The links are {}. What a link \
         delivered is read from its own counters, what the program had from the program. Twinpath {} on {}; \
         <code>twinpath demo</code> plays it again.</p></footer>\n",
        escape(&recording.stage),
        env!("CARGO_PKG_VERSION"),
        std::env::consts::OS,
    )
}

/// The colour of a mark.
const fn class(mark: Mark) -> &'static str {
    match mark {
        Mark::WifiDies => "fault",
        Mark::WifiReturns | Mark::Failback => "wifi",
        Mark::Hedge | Mark::Failover => "cellular",
        Mark::TwinpathDone => "good",
        Mark::Recovered | Mark::PlainDone => "plain",
    }
}

fn at(recording: &Recording, mark: Mark) -> Option<Duration> {
    let is_it = |moment: &&Moment| moment.mark == mark;
    recording.moments.iter().find(is_it).map(|it| it.at)
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

/// A duration as one big number and its unit.
fn big(duration: Duration) -> (String, &'static str) {
    if duration < Duration::from_secs(1) {
        (duration.as_millis().to_string(), "ms")
    } else {
        (format!("{:.1}", duration.as_secs_f64()), "s")
    }
}

#[cfg(test)]
mod tests {
    use super::super::recording::Sample;
    use super::*;

    fn recording(end: Option<(Duration, End)>) -> Recording {
        let mut run = Run::new();
        for step in 0..=200_u64 {
            run.samples.push(Sample {
                at: Duration::from_millis(20 * step),
                wifi: 125_000 * step,
                cellular: 0,
                received: 125_000 * step,
            });
        }
        run.last.end = end;
        let moment = |millis, mark, text: &str| Moment {
            at: Duration::from_millis(millis),
            mark,
            text: text.to_owned(),
        };
        Recording {
            twinpath: run.clone(),
            plain: run,
            moments: vec![
                moment(2000, Mark::WifiDies, "Wi-Fi falls silent: nobody is told"),
                moment(2100, Mark::Hedge, "hedge: <as well>"),
            ],
            length: Duration::from_secs(4),
            stage: "a test & nothing else".to_owned(),
            links: [
                (50.0, Duration::from_millis(20)),
                (20.0, Duration::from_millis(60)),
            ],
        }
    }

    #[test]
    fn the_page_is_whole_and_asks_for_nothing_from_outside() {
        let page = html(&recording(Some((Duration::from_secs(4), End::Intact))));
        assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
        for outside in ["http://", "https://", "src=", "@import", "<script", "<link"] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
        assert!(page.contains("&lt;as well&gt;") && page.contains("a test &amp; nothing else"));
        assert!(!page.contains("NaN") && !page.contains("inf"));
        assert!(page.contains("The download did not."));
    }

    #[test]
    fn what_went_wrong_is_the_headline() {
        let failed = End::Failed("reset".to_owned());
        let page = html(&recording(Some((Duration::from_secs(3), failed))));
        assert!(page.contains("<h1>The download broke.</h1>"));
        assert!(html(&recording(None)).contains("not finished: "));
    }

    #[test]
    fn an_empty_recording_is_drawn_all_the_same() {
        let mut empty = recording(None);
        empty.twinpath = Run::new();
        empty.plain = Run::new();
        empty.moments.clear();
        empty.length = Duration::ZERO;
        let page = html(&empty);
        assert!(!page.contains("NaN"));
    }
}
