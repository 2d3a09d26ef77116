//! What is wrong with the command line is told in one line, with exit code 64.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use common::{complaint, output};

#[test]
fn help_is_no_error() {
    for args in [
        &["--help"][..],
        &["connect", "--help"],
        &["gateway", "--help"],
        &["demo", "--help"],
        &["doctor", "--help"],
        &["--version"],
    ] {
        let output = output(args);
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert!(output.stderr.is_empty(), "{args:?}");
        assert!(!output.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn no_command_shows_the_help_and_is_an_error() {
    let output = output(&[]);
    assert_eq!(output.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&output.stderr).contains("connect"));
}

#[test]
fn mistakes_are_told_in_one_line() {
    let mistakes: [(&[&str], &str); 26] = [
        (&["doctor"], "HOST[:PORT]"),
        (&["doctor", "http://a/"], "example.com:443"),
        (
            &["doctor", "a", "--listen", "127.0.0.1:1"],
            "cannot be used with",
        ),
        (&["doctor", "a", "--idle", "1"], "3..=7200"),
        (&["doctor", "--hosts", "/nowhere"], "/nowhere"),
        (&["conect", "a:1"], "connect"),
        (&["connect"], "HOST:PORT"),
        (&["connect", "nowhere"], "example.com:443"),
        (&["connect", "2001:db8::1:443"], "[2001:db8::1]:443"),
        (&["connect", "a:1", "--listn", "127.0.0.1:0"], "--listen"),
        (&["connect", "a:1", "--listen", "8080"], "8080"),
        (&["connect", "a:1", "--listen", ":8080"], "127.0.0.1:8080"),
        (&["connect", "a:1", "--primary", ""], "name an interface"),
        (&["connect", "a:1", "--budget", "-1"], "50M"),
        (&["connect", "a:0"], "`twinpath connect --help`"),
        (
            &["gateway", "--listen", "x", "--to", "a:1"],
            "`twinpath gateway --help`",
        ),
        (&["connect", "a:1", "--mode", "magic"], "emulated"),
        (&["connect", "a:1", "--mode", "emulated"], "--gateway"),
        (&["connect", "a:1", "--service", "aggregate"], "handover"),
        (
            &["connect", "a:1", "--pin", "abc", "--gateway"],
            "64 hexadecimal",
        ),
        (&["connect", "a:1", "--pin", &"ab".repeat(32)], "--gateway"),
        (&["connect", "a:1", "--budget", "much"], "50M"),
        (
            &["connect", "a:1", "--primary", "x", "--backup", "x"],
            "same interface",
        ),
        (&["gateway", "--listen", "127.0.0.1:0"], "--to"),
        (
            &["gateway", "--listen", "127.0.0.1:0", "--to", "80"],
            "127.0.0.1:80",
        ),
        (
            &[
                "gateway",
                "--listen",
                "127.0.0.1:0",
                "--to",
                "a:1",
                "--proxy-protocol",
                "v1",
            ],
            "v2",
        ),
    ];
    for (args, hint) in mistakes {
        let text = complaint(&output(args), 64);
        assert!(text.contains(hint), "{args:?}: {text}");
    }
}

#[test]
fn an_interface_that_does_not_exist_is_told_with_those_that_do() {
    let text = complaint(
        &output(&["connect", "192.0.2.1:1", "--primary", "wlan77"]),
        2,
    );
    assert!(text.contains("wlan77") && text.contains("lo"), "{text}");
}

#[test]
fn a_report_that_cannot_be_written_is_told_before_the_demo_plays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("no/report.html");
    let played = output(&["demo", "--report", path.to_str().unwrap()]);
    assert_eq!(String::from_utf8_lossy(&played.stdout), "");
    let text = complaint(&played, 2);
    assert!(
        text.contains("report.html") && text.contains("--report"),
        "{text}"
    );
}
