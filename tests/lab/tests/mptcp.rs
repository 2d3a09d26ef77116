//! Kernel MPTCP works in the lab, and middleboxes break it as they do outside.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a step that fails fails the test")]

mod common;

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use common::sys::is_mptcp;
use common::{PORT, ms};
use socket2::{Domain, Protocol, Socket, Type};
use twinpath_lab::{Direction, Host, LinkSpec, PepSpec, StripHow, StripMode, World, world_or_skip};

fn mptcp_socket() -> io::Result<Socket> {
    Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::MPTCP))
}

/// An MPTCP echo server on a thread per connection; false without MPTCP in the kernel.
fn start_server(world: &World) -> bool {
    let _on_server = world.server().enter().unwrap();
    let socket = match mptcp_socket() {
        Ok(socket) => socket,
        Err(error) => {
            twinpath_lab::skip(format_args!("no MPTCP: {error}"));
            return false;
        }
    };
    socket.bind(&world.server_socket(PORT).into()).unwrap();
    socket.listen(16).unwrap();
    let listener: TcpListener = socket.into();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || {
                let mut stream = stream.unwrap();
                let mut buffer = [0; 4096];
                while let Ok(n @ 1..) = stream.read(&mut buffer) {
                    if stream.write_all(&buffer[..n]).is_err() {
                        break;
                    }
                }
            });
        }
    });
    true
}

fn connect(world: &World, to: SocketAddr) -> TcpStream {
    let _on_client = world.client().enter().unwrap();
    let socket = mptcp_socket().unwrap();
    socket.connect(&to.into()).unwrap();
    let stream: TcpStream = socket.into();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

fn echo(stream: &mut TcpStream) {
    stream.write_all(b"ping").unwrap();
    let mut back = [0; 4];
    stream.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"ping");
}

/// Whether it is MPTCP after connecting, and after the first echo.
fn negotiated(world: &World) -> (bool, bool) {
    let mut stream = connect(world, world.server_socket(PORT));
    let at_first = is_mptcp(&stream);
    echo(&mut stream);
    echo(&mut stream);
    (at_first, is_mptcp(&stream))
}

#[test]
fn stripping_option_30_turns_mptcp_into_tcp() {
    let world = world_or_skip!();
    if !start_server(&world) {
        return;
    }
    let wifi = world.link("wlan0");
    assert_eq!(
        negotiated(&world),
        (true, true),
        "MPTCP does not work without a middlebox"
    );
    for (mode, direction, expected) in [
        (StripMode::Syn, Direction::Both, (false, false)),
        (StripMode::SynAck, Direction::Down, (false, false)),
        (StripMode::All, Direction::Both, (false, false)),
        (StripMode::NonSyn, Direction::Both, (true, false)),
        // No SYN-ACK goes up: nothing is stripped.
        (StripMode::SynAck, Direction::Up, (true, true)),
    ] {
        for how in [StripHow::Overwrite, StripHow::Remove] {
            let cell = format!("{mode:?} {how:?} {direction:?}");
            let before = wifi.counters();
            let fallbacks = || -> u64 {
                let name = |it| format!("MPCapableFallback{it}");
                let count = |host: &Host, it| host.mptcp_mib(&name(it)).unwrap();
                count(world.client(), "SYNACK") + count(world.server(), "ACK")
            };
            let fallbacks_before = fallbacks();
            wifi.take_out_mptcp(mode, how, direction);
            assert_eq!(negotiated(&world), expected, "{cell}");
            let stripped = wifi.counters() - before;
            let stripped = stripped.up.stripped + stripped.down.stripped;
            assert_eq!(stripped > 0, expected != (true, true), "{cell}");
            let fell_back = fallbacks() > fallbacks_before;
            assert_eq!(fell_back, expected != (true, true), "{cell}");
            wifi.heal();
        }
    }
    assert_eq!(negotiated(&world), (true, true), "not healed");
}

#[test]
fn a_backup_endpoint_takes_over_when_wifi_goes_silent() {
    let world = world_or_skip!();
    if !start_server(&world) {
        return;
    }
    world.mptcp_endpoint_backup("wwan0").unwrap();
    let (wifi, cellular) = (world.link("wlan0"), world.link("wwan0"));
    let mut stream = connect(&world, world.server_socket(PORT));
    for _ in 0..10 {
        echo(&mut stream);
    }
    std::thread::sleep(ms(300));
    assert!(
        cellular.counters().up.offered.syns >= 1,
        "no subflow was joined"
    );
    let before = cellular.counters();
    echo(&mut stream);
    cellular.assert_payload_since(&before, 0);
    wifi.blackhole(Direction::Both);
    echo(&mut stream);
    assert!((cellular.counters() - before).payload_offered() >= 8);
    assert!(is_mptcp(&stream));
    world.mptcp_flush_endpoints().unwrap();
}

#[test]
fn mptcp_syns_can_be_dropped_alone() {
    let world = world_or_skip!();
    if !start_server(&world) {
        return;
    }
    let wifi = world.link("wlan0");
    wifi.drop_mptcp_syns(true);
    let (at_first, later) = negotiated(&world);
    assert!(!at_first && !later, "the kernel did not fall back");
    assert!(wifi.counters().up.dropped.syn >= 1);
}

#[test]
fn a_proxy_does_not_pass_option_30() {
    let spec = LinkSpec {
        pep: Some(PepSpec { near_rtt: ms(2) }),
        rtt: ms(10),
        ..LinkSpec::default()
    };
    let world = world_or_skip!(World::builder().link("wlan0", spec).build());
    if !start_server(&world) {
        return;
    }
    assert_eq!(negotiated(&world), (false, false));
}
