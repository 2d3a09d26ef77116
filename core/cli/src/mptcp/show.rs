//! The findings as lines.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _};

use super::findings::{Findings, State};

const WIDTH: usize = "missing".len();

pub(super) fn text(findings: &Findings) -> String {
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|it| !it.is_empty());
    with_colour(
        findings,
        io::stdout().is_terminal() && !is_dumb && !no_colour,
    )
}

fn with_colour(findings: &Findings, has_colour: bool) -> String {
    let mut text = String::new();
    let topic = findings.0.iter().map(|it| it.topic.len()).max();
    let topic = topic.unwrap_or_default();
    for finding in &findings.0 {
        let (before, after) = match finding.state {
            _ if !has_colour => ("", ""),
            State::Ok => ("\x1b[32m", "\x1b[0m"),
            State::Missing => ("\x1b[31m", "\x1b[0m"),
            State::Note => ("\x1b[33m", "\x1b[0m"),
        };
        let state = finding.state.as_str();
        let name = finding.topic;
        let _ = writeln!(
            text,
            "{before}{state:WIDTH$}{after}  {name:topic$}  {}",
            finding.text
        );
        if let Some(advice) = &finding.advice {
            let _ = writeln!(text, "{:WIDTH$}  {:topic$}  -> {advice}", "", "");
        }
    }
    text + match findings.is_possible() {
        true => {
            "A protected connection is possible, if the server and the networks let MPTCP through."
        }
        false => "No protected connection is possible now.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_finding_is_a_line_and_what_to_do_another() {
        let mut findings = Findings::default();
        findings.ok("kernel", "good");
        findings.missing("endpoint", "none", "make one");
        let text = with_colour(&findings, false);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "ok       kernel    good");
        assert_eq!(lines[1], "missing  endpoint  none");
        assert_eq!(lines[2], "                   -> make one");
        assert_eq!(lines[3], "No protected connection is possible now.");
        assert!(with_colour(&findings, true).contains("\x1b[31mmissing\x1b[0m"));
    }
}
