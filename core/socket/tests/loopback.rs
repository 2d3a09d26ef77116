//! Sockets on the loopback interface.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    io::{self, Write},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::{Duration, Instant},
};

use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
#[cfg(target_os = "linux")]
use twinpath_socket::raise_descriptor_limit;
use twinpath_socket::{
    Binding, ConnectOptions, ListenOptions, abort, connect, listen, now_boottime, resolve,
    tcp_health, tune,
};

async fn pair(opts: &ConnectOptions) -> (TcpStream, TcpStream) {
    let listener = listen((Ipv4Addr::LOCALHOST, 0).into(), &ListenOptions::default()).unwrap();
    let addr = listener.local_addr().unwrap();
    let (ours, theirs) = tokio::join!(connect(addr, opts), listener.accept());
    (ours.unwrap(), theirs.unwrap().0)
}

#[tokio::test]
async fn bytes_go_both_ways() {
    let (mut ours, mut theirs) = pair(&ConnectOptions::default()).await;
    ours.write_all(b"ping").await.unwrap();
    let mut buffer = [0; 4];
    theirs.read_exact(&mut buffer).await.unwrap();
    theirs.write_all(b"pong").await.unwrap();
    ours.read_exact(&mut buffer).await.unwrap();
    assert_eq!(&buffer, b"pong");
}

#[tokio::test]
async fn options_arrive_at_the_kernel() {
    let mut opts = ConnectOptions::default();
    opts.send_buffer = Some(64 * 1024);
    let (ours, theirs) = pair(&opts).await;
    tune(&theirs, &ConnectOptions::default()).unwrap();
    for stream in [&ours, &theirs] {
        let socket = SockRef::from(stream);
        assert!(socket.tcp_nodelay().unwrap());
        assert!(socket.keepalive().unwrap());
    }
    assert!(SockRef::from(&ours).send_buffer_size().unwrap() >= 64 * 1024);

    opts.nodelay = false;
    opts.keepalive = None;
    tune(&ours, &opts).unwrap();
    assert!(!SockRef::from(&ours).tcp_nodelay().unwrap());
    assert!(!SockRef::from(&ours).keepalive().unwrap());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn limits_arrive_at_the_kernel() {
    let mut opts = ConnectOptions::default();
    opts.user_timeout = Some(Duration::from_secs(7));
    opts.notsent_lowat = Some(16 * 1024);
    let (ours, _theirs) = pair(&opts).await;
    let socket = SockRef::from(&ours);
    assert_eq!(
        socket.tcp_user_timeout().unwrap(),
        Some(Duration::from_secs(7))
    );
    assert_eq!(socket.tcp_notsent_lowat().unwrap(), 16 * 1024);
    assert_eq!(
        socket.tcp_keepalive_time().unwrap(),
        Duration::from_secs(15 * 60)
    );
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn only_a_leg_ends_when_its_peer_keeps_the_window_closed() {
    for (opts, limit) in [
        (ConnectOptions::default(), None),
        (ConnectOptions::of_leg(), Some(Duration::from_secs(60))),
    ] {
        let (ours, theirs) = pair(&opts).await;
        tune(&theirs, &opts).unwrap();
        for stream in [&ours, &theirs] {
            assert_eq!(SockRef::from(stream).tcp_user_timeout().unwrap(), limit);
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_limit_of_descriptors_is_the_hard_one() {
    let raised = raise_descriptor_limit().unwrap();
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let words: Vec<_> = line.unwrap().split_whitespace().collect();
    let numbers: Vec<u64> = words[3..5].iter().map(|it| it.parse().unwrap()).collect();
    assert_eq!(numbers, [raised, raised]);
}

#[tokio::test]
async fn abort_is_a_reset() {
    let (mut ours, mut theirs) = pair(&ConnectOptions::default()).await;
    ours.write_all(b"never mind").await.unwrap();
    abort(ours);
    let mut all = Vec::new();
    let error = theirs.read_to_end(&mut all).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_closed_port_refuses() {
    let listener = listen((Ipv4Addr::LOCALHOST, 0).into(), &ListenOptions::default()).unwrap();
    let addr = listener.local_addr().unwrap();
    drop(listener);
    let error = connect(addr, &ConnectOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn a_listener_can_start_again_at_once() {
    let listener = listen((Ipv4Addr::LOCALHOST, 0).into(), &ListenOptions::default()).unwrap();
    let addr = listener.local_addr().unwrap();
    let opts = ConnectOptions::default();
    let (ours, theirs) = tokio::join!(connect(addr, &opts), listener.accept());
    // The side that closes first keeps the address in TIME_WAIT.
    drop(theirs);
    drop(listener);
    listen(addr, &ListenOptions::default()).unwrap();
    drop(ours);
}

#[tokio::test]
async fn an_ipv6_listener_takes_both_families_unless_told_otherwise() {
    async fn v4_arrives(listener: &TcpListener) -> bool {
        let port = listener.local_addr().unwrap().port();
        connect(
            (Ipv4Addr::LOCALHOST, port).into(),
            &ConnectOptions::default(),
        )
        .await
        .is_ok()
    }
    let any: SocketAddr = (Ipv6Addr::UNSPECIFIED, 0).into();
    let mut opts = ListenOptions::default();
    let Ok(both) = listen(any, &opts) else {
        // Not by eprintln, which is captured when a test passes.
        let _ = writeln!(
            io::stderr(),
            "SKIPPED an_ipv6_listener_takes_both_families: no IPv6"
        );
        return;
    };
    assert!(v4_arrives(&both).await);
    opts.v6_only = true;
    let one = listen(any, &opts).unwrap();
    assert!(!v4_arrives(&one).await);
}

#[tokio::test]
async fn health_tells_of_a_connection_in_use() {
    let (mut ours, mut theirs) = pair(&ConnectOptions::default()).await;
    let mut buffer = vec![0; 10_000];
    ours.write_all(&buffer).await.unwrap();
    theirs.read_exact(&mut buffer).await.unwrap();
    theirs.write_all(b"thanks").await.unwrap();
    ours.read_exact(&mut buffer[..6]).await.unwrap();
    let health = tcp_health(&ours).unwrap();
    assert!(health.srtt.unwrap() < Duration::from_secs(1), "{health:?}");
    assert!(health.mss.unwrap() > 0, "{health:?}");
    if cfg!(target_os = "linux") {
        // The SYN counts as one.
        assert!(
            (10_000..=10_001).contains(&health.bytes_acked.unwrap()),
            "{health:?}"
        );
        assert_eq!(health.bytes_received, Some(6), "{health:?}");
        assert_eq!(
            (health.unacked, health.notsent_bytes, health.queued_bytes),
            (Some(0), Some(0), Some(0)),
            "{health:?}"
        );
        assert_eq!(
            (health.retransmits, health.backoff, health.total_retrans),
            (Some(0), Some(0), Some(0)),
            "{health:?}"
        );
        assert!(
            health.min_rtt.unwrap() <= Duration::from_secs(1),
            "{health:?}"
        );
        assert!(
            health.last_ack_recv.unwrap() < Duration::from_secs(1),
            "{health:?}"
        );
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn health_tells_of_bytes_that_wait() {
    let (ours, _theirs) = pair(&ConnectOptions::default()).await;
    // Nobody reads there, so it fills.
    let mut sent = 0;
    while let Ok(bytes) = ours.try_write(&[7; 65536]) {
        sent += bytes as u64;
        ours.writable().await.unwrap();
        if tcp_health(&ours).unwrap().notsent_bytes.unwrap() > 0 {
            break;
        }
    }
    let health = tcp_health(&ours).unwrap();
    assert!(health.notsent_bytes.unwrap() > 0, "{health:?}");
    assert!(health.queued_bytes.unwrap() <= sent, "{health:?}");
    assert!(
        health.queued_bytes.unwrap() >= health.notsent_bytes.unwrap(),
        "{health:?}"
    );
}

#[tokio::test]
async fn a_dropped_connect_ends_the_attempt() {
    // The discard prefix (RFC 6666) is routed nowhere, or the attempt fails at once: either way it
    // must not outlive its future.
    let opts = ConnectOptions::default();
    let attempt = connect("[100::1]:9".parse().unwrap(), &opts);
    let before = Instant::now();
    let _ = tokio::time::timeout(Duration::from_millis(20), attempt).await;
    assert!(before.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn literals_are_not_looked_up() {
    for host in ["2001:db8::7", "[2001:db8::7]"] {
        let found = resolve(host, 443, &Binding::AndroidNetwork(1))
            .await
            .unwrap();
        assert_eq!(found, ["[2001:db8::7]:443".parse().unwrap()]);
    }
}

#[tokio::test]
async fn localhost_is_found_and_nonsense_is_not() {
    let found = resolve("localhost", 80, &Binding::Unbound).await.unwrap();
    assert!(
        !found.is_empty()
            && found
                .iter()
                .all(|address| address.ip().is_loopback() && address.port() == 80),
        "{found:?}"
    );
    let error = resolve("name.invalid", 80, &Binding::Unbound)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound, "{error}");
    assert!(error.to_string().contains("name.invalid"), "{error}");
}

#[tokio::test]
async fn a_binding_of_another_platform_is_an_error() {
    if cfg!(target_os = "android") {
        return;
    }
    let opts = ConnectOptions::bound_to(Binding::AndroidNetwork(7));
    let error = connect("127.0.0.1:9".parse().unwrap(), &opts)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Unsupported);
}

#[test]
fn the_clock_goes_on() {
    let before = now_boottime();
    std::thread::sleep(Duration::from_millis(5));
    let passed = now_boottime() - before;
    assert!(
        passed >= Duration::from_millis(5) && passed < Duration::from_secs(5),
        "{passed:?}"
    );
}
