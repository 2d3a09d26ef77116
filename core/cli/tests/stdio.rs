//! Standard input and output over one connection.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use common::{
    Running, closed_port, complaint, echo, gateway, hash, noise, output, service, twinpath,
    with_input,
};

#[test]
fn ten_megabytes_go_there_and_back_through_a_gateway() {
    let (_gateway, address, _) = gateway(echo(), &[]);
    let address = address.to_string();
    let data = noise(10_000_000);
    let output = with_input(&mut twinpath(&["connect", &address, "--gateway"]), &data);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(
        told.contains("unprotected") && told.contains("private"),
        "{told}"
    );
    assert_eq!(output.stdout.len(), data.len());
    assert_eq!(hash(&output.stdout), hash(&data));
}

#[test]
fn the_same_over_plain_tcp_to_any_server() {
    let address = echo().to_string();
    let data = noise(10_000_000);
    for args in [
        &["connect", &address][..],
        &["connect", &address, "--mode", "plain"],
    ] {
        let output = with_input(&mut twinpath(args), &data);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert_eq!(hash(&output.stdout), hash(&data));
    }
}

#[test]
fn a_plain_connection_passes_a_gateway_as_well() {
    let (_gateway, address, _) = gateway(echo(), &[]);
    let address = address.to_string();
    let mut command = twinpath(&["connect", &address, "--gateway", "--mode", "plain"]);
    let output = with_input(&mut command, b"hello");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(output.stdout, b"hello");
}

#[test]
fn the_end_of_standard_input_is_the_end_of_one_direction_only() {
    // Answers when its client has ended.
    let service = service(|mut stream| {
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all);
        thread::sleep(Duration::from_millis(100));
        let _ = write!(stream, "got {} bytes", all.len());
        let _ = stream.shutdown(Shutdown::Both);
    });
    let (_gateway, address, _) = gateway(service, &[]);
    let address = address.to_string();
    let output = with_input(
        &mut twinpath(&["connect", &address, "--gateway"]),
        &[7; 1000],
    );
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(output.stdout, b"got 1000 bytes");
}

#[test]
fn the_peers_end_is_the_end_while_standard_input_is_open() {
    let service = service(|mut stream| {
        let mut byte = [0];
        let _ = stream.read(&mut byte);
        let _ = stream.write_all(b"bye");
        // The other direction stays open for a while.
        let _ = stream.shutdown(Shutdown::Write);
        thread::sleep(Duration::from_secs(5));
    });
    let (_gateway, address, _) = gateway(service, &[]);
    let address = address.to_string();
    let mut running = Running::start(
        twinpath(&["connect", &address, "--gateway"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped()),
    );
    let mut stdin = running.0.stdin.take().unwrap();
    stdin.write_all(b"x").unwrap();
    let mut got = String::new();
    running
        .0
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut got)
        .unwrap();
    assert_eq!(got, "bye");
    assert_eq!(running.wait(), Some(0));
    drop(stdin);
}

#[test]
fn bytes_arrive_while_the_connection_stays_open() {
    let (_gateway, address, _) = gateway(echo(), &[]);
    let address = address.to_string();
    let mut running = Running::start(
        twinpath(&["connect", &address, "--gateway"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped()),
    );
    let mut stdin = running.0.stdin.take().unwrap();
    let mut stdout = running.0.stdout.take().unwrap();
    for word in [&b"one"[..], b"two", b"three without a newline"] {
        stdin.write_all(word).unwrap();
        let mut back = vec![0; word.len()];
        stdout.read_exact(&mut back).unwrap();
        assert_eq!(back, word);
    }
    drop(stdin);
    assert_eq!(running.wait(), Some(0));
}

#[test]
fn whoever_has_read_enough_may_go() {
    let (_gateway, address, _) = gateway(echo(), &[]);
    let address = address.to_string();
    let mut running = Running::start(
        twinpath(&["connect", &address, "--gateway"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped()),
    );
    drop(running.0.stdout.take());
    let mut stdin = running.0.stdin.take().unwrap();
    let _ = stdin.write_all(&noise(1_000_000));
    assert_eq!(running.wait(), Some(0));
    let mut told = String::new();
    running
        .0
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut told)
        .unwrap();
    assert!(!told.contains("ipe"), "no broken pipe: {told}");
}

#[test]
fn a_port_where_nobody_listens_is_told() {
    let address = closed_port().to_string();
    for args in [
        &["connect", &address][..],
        &["connect", &address, "--gateway"],
    ] {
        let text = complaint(&output(args), 2);
        assert!(
            text.contains("refused") && text.contains("check the port"),
            "{text}"
        );
    }
}

#[test]
fn a_name_that_does_not_exist_is_told() {
    let text = complaint(&output(&["connect", "nowhere.invalid:443"]), 2);
    assert!(text.contains("nowhere.invalid"), "{text}");
}

#[test]
fn a_server_that_is_no_gateway_is_told() {
    let web = service(|mut stream| {
        let mut buffer = [0; 4096];
        let _ = stream.read(&mut buffer);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    for service in [web, echo()] {
        let began = Instant::now();
        let address = service.to_string();
        let text = complaint(&output(&["connect", &address, "--gateway"]), 2);
        assert!(text.contains("not a twinpath gateway"), "{text}");
        assert!(
            began.elapsed() < Duration::from_secs(8),
            "{:?}",
            began.elapsed()
        );
    }
}

#[test]
fn a_pinned_key_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    let (_gateway, address, told) = gateway(echo(), &["--key", file.to_str().unwrap()]);
    let key = told
        .iter()
        .find_map(|line| line.strip_prefix("twinpath: new public key "))
        .unwrap();
    let address = address.to_string();
    let right = ["connect", &address, "--gateway", "--pin", key];
    let output = with_input(&mut twinpath(&right), b"hello");
    assert_eq!(output.stdout, b"hello");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let wrong = "ab".repeat(32);
    let text = complaint(
        &common::output(&["connect", &address, "--gateway", "--pin", &wrong]),
        2,
    );
    assert!(text.contains("pin"), "{text}");
}

#[cfg(unix)]
#[test]
fn a_key_that_others_can_change_is_told_with_its_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    let path = file.to_str().unwrap();
    drop(gateway(echo(), &["--key", path]));
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o660)).unwrap();
    let (_gateway, _, told) = gateway(echo(), &["--key", path]);
    let warning = told.iter().find(|line| line.contains("WARN")).unwrap();
    assert!(
        warning.contains(path) && warning.contains("changed"),
        "{warning}"
    );
}

#[test]
fn a_service_that_cannot_be_reached_is_told() {
    let (_gateway, address, _) = gateway(closed_port(), &[]);
    let address = address.to_string();
    let output = with_input(&mut twinpath(&["connect", &address, "--gateway"]), b"hello");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("service behind the gateway"), "{text}");
    assert_eq!(output.status.code(), Some(2), "{text}");
}
