//! What is told of connections: events as lines of JSON, and one line for whoever reads none.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use std::io::{Read as _, Write as _};
use std::process::Stdio;

use common::{Running, closed_port, echo, events, gateway, output, service, twinpath, with_input};
use serde_json::Value;

/// The events that a run tells on standard error.
fn told(args: &[&str], input: &[u8]) -> Vec<Value> {
    let output = with_input(twinpath(args).args(["--events", "-"]), input);
    let text = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<_> = text.lines().filter(|line| line.starts_with('{')).collect();
    events(&lines.join("\n"))
}

fn find<'a>(events: &'a [Value], name: &str) -> &'a Value {
    let found = events.iter().find(|event| event["event"] == name);
    found.unwrap_or_else(|| panic!("no {name}: {events:?}"))
}

#[test]
fn events_are_lines_of_json_on_standard_error_or_in_a_file() {
    let (_gateway, address, _) = gateway(echo(), &[]);
    let address = address.to_string();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events");
    let path = file.to_str().unwrap();
    let args = ["connect", &address, "--gateway", "--events"];
    let to_stderr = with_input(twinpath(&args).arg("-"), b"hello");
    assert_eq!(to_stderr.stdout, b"hello");
    let told = String::from_utf8(to_stderr.stderr).unwrap();
    for run in 1..=2 {
        let output = with_input(twinpath(&args).arg(path), b"hello");
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(output.stderr, b"");
        let text = std::fs::read_to_string(&file).unwrap();
        let summaries = events(&text)
            .iter()
            .filter(|it| it["event"] == "summary")
            .count();
        assert_eq!(summaries, run, "the file is appended to");
    }
    let lines = events(&told);
    let known = ["leg_up", "leg_down", "protection", "summary"];
    for line in &lines {
        assert_eq!(line["v"], 1);
        assert_eq!(line["conn"], 1);
        assert!(line["t_ms"].is_u64());
        assert!(known.contains(&line["event"].as_str().unwrap()), "{line}");
    }
    let summary = lines.last().unwrap();
    assert_eq!(summary["event"], "summary");
    assert_eq!(summary["reason"], "closed");
    assert_eq!(summary["written"], 5);
    assert!(summary["stall_ms"].is_u64());
    let bytes = summary["bytes"].as_object().unwrap();
    assert_eq!(bytes.len(), 1, "one path: {summary}");
    for counted in bytes.values() {
        assert!(counted[0].as_u64().unwrap() > 5 && counted[1].as_u64().unwrap() > 5);
    }
}

#[test]
fn one_path_by_mandate_is_told_with_the_reason() {
    let (_gateway, address, _) = gateway(echo(), &[]);
    let events = told(&["connect", &address.to_string(), "--gateway"], b"hello");
    for name in ["protection", "summary"] {
        let event = find(&events, name);
        assert_eq!(event["mode"], "single-path", "{event}");
        let why = event["mode_reason"].as_str().unwrap();
        assert!(why.contains("private or local network"), "{event}");
    }
    assert_eq!(find(&events, "protection")["protected"], false);
}

#[test]
fn a_plain_connection_tells_its_leg_that_it_is_unprotected_and_how_it_ended() {
    let address = echo().to_string();
    let orderly = told(&["connect", &address], b"hello");
    assert!(find(&orderly, "leg_up")["to"].is_string());
    let protection = find(&orderly, "protection");
    assert_eq!(protection["protected"], false);
    assert_eq!(protection["reason"], "the server is not a gateway");
    assert_eq!(find(&orderly, "summary")["reason"], "closed");

    let rude = service(|mut stream| {
        let _ = stream.read(&mut [0]);
        let linger = Some(std::time::Duration::ZERO);
        socket2::SockRef::from(&stream).set_linger(linger).unwrap();
    });
    let reset = told(&["connect", &rude.to_string()], b"hello");
    assert_eq!(find(&reset, "summary")["reason"], "reset");
}

#[test]
fn without_events_an_unprotected_connection_is_told_in_one_line() {
    let (_gateway, through, _) = gateway(echo(), &[]);
    for (args, words) in [
        (
            &["connect", &through.to_string(), "--gateway"][..],
            "--primary",
        ),
        (&["connect", &echo().to_string()], "without a gateway"),
    ] {
        let output = output(args);
        assert_eq!(output.status.code(), Some(0));
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(
            text.contains("unprotected") && text.contains(words),
            "{text}"
        );
    }
}

#[test]
fn a_connect_that_fails_is_an_event() {
    let refused = closed_port().to_string();
    let events = told(&["connect", &refused, "--gateway"], b"");
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0]["event"], "failed");
    assert_eq!(events[0]["conn"], 1);
    assert_eq!(events[0]["reason"], "refused");
    assert!(events[0]["message"].as_str().unwrap().contains(&refused));
    assert!(events[0].get("bytes").is_none());
}

#[cfg(unix)]
#[test]
fn a_gateway_that_will_end_is_told() {
    let (running, address, _) = gateway(echo(), &["--drain-timeout", "20"]);
    let address = address.to_string();
    let mut client = Running::start(
        twinpath(&["connect", &address, "--gateway", "--events", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped()),
    );
    let mut stdin = client.0.stdin.take().unwrap();
    stdin.write_all(b"x").unwrap();
    client
        .0
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut [0])
        .unwrap();
    running.signal("-TERM");
    let lines = std::io::BufReader::new(client.0.stderr.take().unwrap());
    let event = std::io::BufRead::lines(lines)
        .map(|line| events(&line.unwrap()).remove(0))
        .find(|event| event["event"] == "going_away")
        .unwrap();
    let within = event["within_ms"].as_u64().unwrap();
    assert!((1_000..=20_000).contains(&within), "{event}");
    drop(stdin);
    assert_eq!(client.wait(), Some(0));
}
