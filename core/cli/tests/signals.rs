//! Signals end a connection, not only the process.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::Stdio;

use common::{PATIENCE, Running, events, gateway, service, twinpath};

#[test]
fn a_signal_ends_the_session_at_the_gateway_and_is_accounted_for() {
    let (tell, told) = std::sync::mpsc::channel();
    let service = service(move |mut stream| {
        let mut byte = [0];
        let _ = stream.read(&mut byte);
        let _ = stream.write_all(&byte);
        let end = stream.read(&mut byte).map_err(|error| error.kind());
        let _ = tell.send(end);
    });
    let (_gateway, address, _) = gateway(service, &[]);
    let (through, direct) = (address.to_string(), service.to_string());
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        for args in [&[through.as_str(), "--gateway"][..], &[direct.as_str()]] {
            let mut running = Running::start(
                twinpath(&["connect", "--events", "-"])
                    .args(args)
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .stderr(Stdio::piped()),
            );
            let mut stdin = running.0.stdin.take().unwrap();
            stdin.write_all(b"x").unwrap();
            let mut stdout = running.0.stdout.take().unwrap();
            stdout.read_exact(&mut [0]).unwrap();
            running.signal(signal);
            assert_eq!(running.wait(), Some(code));
            let end = told.recv_timeout(PATIENCE).unwrap();
            assert_eq!(end, Err(std::io::ErrorKind::ConnectionReset));
            let mut text = String::new();
            let mut stderr = running.0.stderr.take().unwrap();
            stderr.read_to_string(&mut text).unwrap();
            let summary = events(&text).pop().unwrap();
            assert_eq!(summary["event"], "summary", "{text}");
            assert_eq!(summary["reason"], "reset");
        }
    }
}

#[test]
fn a_signal_ends_it_while_standard_output_is_not_read() {
    let service = service(|mut stream| while stream.write_all(&[7; 65536]).is_ok() {});
    let (_gateway, address, _) = gateway(service, &[]);
    let address = address.to_string();
    let mut running = Running::start(
        twinpath(&["connect", &address, "--gateway"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped()),
    );
    let mut stdout = running.0.stdout.take().unwrap();
    stdout.read_exact(&mut [0; 100_000]).unwrap();
    running.signal("-TERM");
    assert_eq!(running.wait(), Some(143));
    drop(stdout);
}

#[cfg(target_os = "linux")]
#[test]
fn a_signal_ends_a_connect_that_hangs_and_is_told() {
    // With a full queue, a listener does not answer.
    let listener =
        socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    listener.bind(&any.into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let _fills_it = std::net::TcpStream::connect(address).unwrap();
    let target = address.to_string();
    let mut running = Running::start(
        twinpath(&["-v", "-v", "connect", &target, "--events", "-"]).stderr(Stdio::piped()),
    );
    let mut lines = BufReader::new(running.0.stderr.take().unwrap())
        .lines()
        .map_while(Result::ok);
    lines.find(|line| line.contains("connecting as")).unwrap();
    running.signal("-TERM");
    assert_eq!(running.wait(), Some(143));
    let told: Vec<_> = lines.filter(|line| line.starts_with('{')).collect();
    let told = events(&told.join("\n"));
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["event"], "failed");
    assert_eq!(told[0]["reason"], "stopped");
}
