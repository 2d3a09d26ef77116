//! A file of servers.

use std::path::Path;

use twinpath::Target;

use super::parse_server;
use crate::exit::Failure;

/// More than a report can show.
const MOST: usize = 10_000;

pub(super) fn read(file: &Path) -> Result<Vec<Target>, Failure> {
    let text = std::fs::read_to_string(file);
    let text = text.map_err(|error| Failure::usage(format!("{}: {error}", file.display())))?;
    parse(&text).map_err(|error| Failure::usage(format!("{}: {error}", file.display())))
}

fn parse(text: &str) -> Result<Vec<Target>, String> {
    let mut targets = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let server = line.split('#').next().unwrap_or_default().trim();
        if server.is_empty() {
            continue;
        }
        if targets.len() == MOST {
            return Err(format!("it has more than {MOST} servers"));
        }
        let target = parse_server(server).map_err(|error| format!("line {number}: {error}"))?;
        targets.push(target);
    }
    if targets.is_empty() {
        return Err("it names no server".into());
    }
    Ok(targets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_empty_lines_are_no_servers() {
        let targets = parse("# ours\nexample.com\n\n192.0.2.1:80 # theirs\n").unwrap();
        let targets: Vec<_> = targets.iter().map(ToString::to_string).collect();
        assert_eq!(targets, ["example.com:443", "192.0.2.1:80"]);
        assert!(parse("# nobody\n").is_err());
        assert!(parse("a\nb c\n").unwrap_err().contains("line 2"));
    }
}
