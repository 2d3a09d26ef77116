//! Local connections, each over a connection of its own; and how a gateway ends.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use common::{
    PATIENCE, Running, closed_port, echo, events, gateway, hash, listening, noise, twinpath,
};

fn client(target: SocketAddr, more: &[&str]) -> (Running, SocketAddr) {
    let target = target.to_string();
    let mut args = vec!["connect", &target, "--listen", "127.0.0.1:0"];
    args.extend(more);
    let mut running = Running::start(
        twinpath(&args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped()),
    );
    let (address, _, rest) = listening(running.0.stderr.take().unwrap());
    thread::spawn(move || {
        rest.lines()
            .map_while(Result::ok)
            .for_each(|line| eprintln!("client: {line}"))
    });
    (running, address)
}

fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn round_trip(to: SocketAddr, data: &[u8]) -> Vec<u8> {
    let mut stream = connect(to);
    let mut sending = stream.try_clone().unwrap();
    let mut back = Vec::new();
    thread::scope(|scope| {
        scope.spawn(move || {
            sending.write_all(data).unwrap();
            sending.shutdown(Shutdown::Write).unwrap();
        });
        stream.read_to_end(&mut back).unwrap();
    });
    back
}

#[test]
fn every_local_connection_is_carried_both_ways() {
    let (_gateway, gateway, _) = gateway(echo(), &[]);
    let (_client, local) = client(gateway, &["--gateway"]);
    thread::scope(|scope| {
        for number in 0..4 {
            scope.spawn(move || {
                let data = noise(2_000_000 + number);
                assert_eq!(hash(&round_trip(local, &data)), hash(&data));
            });
        }
    });
}

#[test]
fn events_go_to_standard_output_and_count_the_connections() {
    let (_gateway, gateway, _) = gateway(echo(), &[]);
    let (mut client, local) = client(gateway, &["--gateway", "--events", "-"]);
    let mut lines = BufReader::new(client.0.stdout.take().unwrap()).lines();
    for number in 1..=2_u64 {
        assert_eq!(round_trip(local, b"hello"), b"hello");
        loop {
            let line = lines.next().unwrap().unwrap();
            let event = events(&line).remove(0);
            assert_eq!(event["conn"], number);
            if event["event"] == "summary" {
                assert_eq!(event["written"], 5);
                assert_eq!(event["read"], 5);
                break;
            }
        }
    }
    // One that is open when the command is told to end has its summary, too.
    let mut open = connect(local);
    open.write_all(b"x").unwrap();
    open.read_exact(&mut [0]).unwrap();
    client.signal("-TERM");
    assert_eq!(client.wait(), Some(0));
    let rest: Vec<_> = lines.map_while(Result::ok).collect();
    assert!(rest.last().unwrap().contains("\"summary\""), "{rest:?}");
    assert_eq!(
        open.read(&mut [0]).unwrap_err().kind(),
        ErrorKind::ConnectionReset
    );
}

#[test]
fn a_connection_that_could_not_be_made_has_its_number_and_its_event() {
    let (mut client, local) = client(closed_port(), &["--gateway", "--events", "-"]);
    let mut lines = BufReader::new(client.0.stdout.take().unwrap()).lines();
    for number in 1..=2_u64 {
        let error = connect(local).read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        let event = events(&lines.next().unwrap().unwrap()).remove(0);
        assert_eq!(event["event"], "failed");
        assert_eq!(event["conn"], number);
        assert_eq!(event["reason"], "refused");
    }
}

#[test]
fn a_name_may_be_listened_at() {
    let target = echo().to_string();
    let mut running = Running::start(
        twinpath(&["connect", &target, "--listen", "localhost:0"]).stderr(Stdio::piped()),
    );
    let (address, _, _rest) = listening(running.0.stderr.take().unwrap());
    assert!(address.ip().is_loopback(), "{address}");
    assert_eq!(round_trip(address, b"hello"), b"hello");
}

#[test]
fn what_cannot_be_carried_is_reset() {
    let (_client, local) = client(closed_port(), &["--gateway"]);
    let error = connect(local).read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let (_gateway, gateway, _) = gateway(closed_port(), &[]);
    let (_client, local) = client(gateway, &["--gateway"]);
    let mut stream = connect(local);
    let _ = stream.write_all(b"hello");
    let error = stream.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_local_reset_reaches_the_service() {
    let (tell, told) = std::sync::mpsc::channel();
    let service = common::service(move |mut stream| {
        let mut buffer = [0; 16];
        let result = loop {
            match stream.read(&mut buffer) {
                Ok(1..) => {}
                other => break other,
            }
        };
        let _ = tell.send(result.map_err(|error| error.kind()));
    });
    let (_gateway, gateway, _) = gateway(service, &[]);
    let (_client, local) = client(gateway, &["--gateway"]);
    let mut stream = connect(local);
    stream.write_all(b"hello").unwrap();
    thread::sleep(Duration::from_millis(200));
    socket2::SockRef::from(&stream)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(stream);
    assert_eq!(
        told.recv_timeout(PATIENCE).unwrap(),
        Err(ErrorKind::ConnectionReset)
    );
}

#[test]
fn a_gateway_drains_at_the_first_signal_and_stops_at_the_second() {
    let (mut running, address, _) = gateway(echo(), &[]);
    let (_client, local) = client(address, &["--gateway"]);
    let mut stream = connect(local);
    let exchange = |stream: &mut TcpStream| {
        stream.write_all(b"x")?;
        stream.read_exact(&mut [0])
    };
    exchange(&mut stream).unwrap();
    running.signal("-TERM");
    thread::sleep(Duration::from_millis(300));
    assert!(
        running.0.try_wait().unwrap().is_none(),
        "a connection is open"
    );
    exchange(&mut stream).unwrap();
    running.signal("-TERM");
    assert_eq!(running.wait(), Some(0));
    assert!(exchange(&mut stream).is_err());
}

#[test]
fn an_idle_gateway_ends_at_once_and_a_taken_port_is_told() {
    let (mut running, address, _) = gateway(echo(), &[]);
    let address = address.to_string();
    let second = common::output(&["gateway", "--listen", &address, "--to", "127.0.0.1:1"]);
    let text = common::complaint(&second, 2);
    assert!(text.contains("another program"), "{text}");
    running.signal("-INT");
    assert_eq!(running.wait(), Some(0));
}

#[cfg(target_os = "linux")]
#[test]
fn a_gateway_takes_all_the_descriptors_it_may_have_and_says_if_they_are_few() {
    let program = env!("CARGO_BIN_EXE_twinpath");
    let script = format!(
        "ulimit -S -n 256; ulimit -H -n 600; \
         exec {program} gateway --listen 127.0.0.1:0 --to 127.0.0.1:9"
    );
    let mut command = std::process::Command::new("sh");
    command.args(["-c", &script]).env_remove("RUST_LOG");
    let mut running = Running::start(command.stderr(Stdio::piped()));
    let (_, _, mut rest) = listening(running.0.stderr.take().unwrap());
    let mut warning = String::new();
    rest.read_line(&mut warning).unwrap();
    assert!(
        warning.contains("600 open files") && warning.contains("56000"),
        "{warning}"
    );
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", running.0.id())).unwrap();
    let line = limits.lines().find(|it| it.starts_with("Max open files"));
    let words: Vec<_> = line.unwrap().split_whitespace().collect();
    assert_eq!(words[3..5], ["600", "600"]);
}

#[cfg(target_os = "linux")]
#[test]
fn with_few_descriptors_connections_wait_instead_of_being_lost() {
    let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let counts = Arc::new((now, most));
    let service = common::service({
        let counts = Arc::clone(&counts);
        move |mut stream| {
            let (now, most) = &*counts;
            most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
            let _ = stream.read_exact(&mut [0]);
            let _ = stream.write_all(b"x");
            let _ = stream.read(&mut [0]);
            // Before the client's side can see the end.
            now.fetch_sub(1, SeqCst);
        }
    });
    let program = env!("CARGO_BIN_EXE_twinpath");
    let script = format!(
        "ulimit -S -n 40; ulimit -H -n 84; \
         exec {program} connect {service} --listen 127.0.0.1:0"
    );
    let mut command = std::process::Command::new("sh");
    command.args(["-c", &script]).env_remove("RUST_LOG");
    let mut running = Running::start(command.stderr(Stdio::piped()));
    let (address, _, mut rest) = listening(running.0.stderr.take().unwrap());
    let mut warning = String::new();
    rest.read_line(&mut warning).unwrap();
    assert!(
        warning.contains("84 open files") && warning.contains("5 connections"),
        "{warning}"
    );
    thread::spawn(move || rest.lines().for_each(drop));
    let mut open: Vec<_> = (0..12).map(|_| connect(address)).collect();
    for stream in &mut open {
        stream.write_all(b"x").unwrap();
    }
    let begun = Instant::now();
    while counts.0.load(SeqCst) < 5 {
        assert!(begun.elapsed() < PATIENCE, "{}", counts.0.load(SeqCst));
        thread::sleep(Duration::from_millis(10));
    }
    // Each that ends makes room for one that waits.
    for mut stream in open {
        stream.read_exact(&mut [0]).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    }
    assert_eq!(counts.1.load(SeqCst), 5);
}
