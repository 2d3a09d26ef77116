//! Names that are looked up while the default route leads into a dead network.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use simple_dns::{CLASS, Packet, PacketFlag, QTYPE, RCODE, ResourceRecord, TYPE, rdata};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UdpSocket},
    time::timeout,
};
use twinpath_socket::{Binding, find, resolve};

use super::{
    SOON,
    world::{self, Tun, ip},
};

/// The C library asks again only after so long.
const SYSTEM_RETRY: Duration = Duration::from_secs(5);

/// What a name server says: `gw.example` has two addresses, nothing else is there.
fn answer(query: &[u8], truncate: bool) -> Vec<u8> {
    let query = Packet::parse(query).unwrap();
    let question = query.questions[0].clone();
    let (name, kind) = (question.qname.clone(), question.qtype);
    let mut reply = Packet::new_reply(query.id());
    reply.questions.push(question);
    let data = match kind {
        QTYPE::TYPE(TYPE::A) => rdata::RData::A(rdata::A {
            address: u32::from_be_bytes([198, 51, 100, 1]),
        }),
        _ => rdata::RData::AAAA(rdata::AAAA {
            address: 0x2001_0db8_00ff_0000_0000_0000_0000_0001,
        }),
    };
    if name.to_string() != "gw.example" {
        *reply.rcode_mut() = RCODE::NameError;
    } else if truncate {
        reply.set_flags(PacketFlag::TRUNCATION);
    } else {
        reply.answers = vec![ResourceRecord::new(name, CLASS::IN, 5, data)];
    }
    reply.build_bytes_vec().unwrap()
}

/// Answers the queries that leave by a link, from beyond it.
async fn serve(link: Tun) {
    while let Some(packet) = link.sent().await {
        let header = usize::from(packet[0] & 0xf) * 4;
        let udp = &packet[header..];
        if packet[9] != 17 || udp[2..4] != 53u16.to_be_bytes() {
            continue;
        }
        let text = answer(&udp[8..], false);
        let mut reply = vec![0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 17, 0, 0];
        reply.extend([&packet[16..20], &packet[12..16]].concat());
        let total = (28 + text.len()) as u16;
        reply[2..4].copy_from_slice(&total.to_be_bytes());
        let sum: u32 = reply
            .chunks(2)
            .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
            .sum();
        let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
        reply[10..12].copy_from_slice(&sum.to_be_bytes());
        reply.extend([&udp[2..4], &udp[..2]].concat());
        reply.extend((total - 20).to_be_bytes());
        // Without a checksum, as IPv4 allows.
        reply.extend([0, 0]);
        reply.extend(text);
        link.receive(&reply);
    }
}

fn sorted(found: Vec<SocketAddr>) -> Vec<IpAddr> {
    let mut found: Vec<_> = found.iter().map(SocketAddr::ip).collect();
    found.sort();
    found
}

fn both() -> Vec<IpAddr> {
    ["198.51.100.1", "2001:db8:ff::1"]
        .map(|text| text.parse().unwrap())
        .to_vec()
}

/// The default route leads by a link that swallows everything; the other one is to be answered.
fn dead_wifi(resolv: &str) -> (Tun, Tun) {
    let wifi = Tun::with("wlan0", "10.1.0.2/24");
    let cellular = Tun::with("wwan0", "10.2.0.2/24");
    ip("route add default dev wlan0 metric 10");
    ip("route add default dev wwan0 metric 20");
    world::resolv_conf(resolv);
    (wifi, cellular)
}

#[test]
fn a_name_is_found_over_one_interface_while_the_default_route_is_dead() {
    world::run(|| async {
        let (_wifi, cellular) = dead_wifi("nameserver 192.0.2.53\n");
        let binding = find("wwan0").unwrap().binding();
        let server = tokio::spawn(serve(cellular));
        let began = Instant::now();
        let found = timeout(SOON, resolve("gw.example", 443, &binding)).await;
        let taken = began.elapsed();
        eprintln!("found over cellular after {taken:?}");
        assert_eq!(sorted(found.unwrap().unwrap()), both());
        assert!(taken < SYSTEM_RETRY, "the system's resolver: {taken:?}");
        server.abort();
    });
}

#[test]
fn a_short_name_is_completed_and_a_dead_server_passed_over() {
    world::run(|| async {
        let (_wifi, cellular) = dead_wifi(
            "nameserver 2001:db8::53\nnameserver 192.0.2.53\nsearch wrong.example example\n",
        );
        let binding = find("wwan0").unwrap().binding();
        let server = tokio::spawn(serve(cellular));
        let found = timeout(SOON, resolve("gw", 443, &binding)).await;
        assert_eq!(sorted(found.unwrap().unwrap()), both());
        server.abort();
    });
}

#[test]
fn an_answer_that_is_cut_off_is_fetched_by_tcp() {
    world::run(|| async {
        ip("link set lo up");
        ip("addr add 192.0.2.53/32 dev lo");
        world::resolv_conf("nameserver 192.0.2.53\n");
        let binding = Binding::Interface {
            name: "lo".into(),
            index: 0,
        };
        let udp = UdpSocket::bind("192.0.2.53:53").await.unwrap();
        let tcp = TcpListener::bind("192.0.2.53:53").await.unwrap();
        let server = tokio::spawn(async move {
            let mut buffer = [0; 512];
            let mut system = None;
            loop {
                tokio::select! {
                    Ok((length, from)) = udp.recv_from(&mut buffer) => {
                        // Who asks first is the system's resolver, which hears nothing.
                        if *system.get_or_insert(from) != from {
                            let reply = answer(&buffer[..length], true);
                            udp.send_to(&reply, from).await.unwrap();
                        }
                    }
                    Ok((mut stream, _)) = tcp.accept() => {
                        let length = stream.read_u16().await.unwrap();
                        let query = &mut buffer[..length.into()];
                        stream.read_exact(query).await.unwrap();
                        let reply = answer(query, false);
                        stream.write_u16(reply.len() as u16).await.unwrap();
                        stream.write_all(&reply).await.unwrap();
                    }
                }
            }
        });
        let found = timeout(SOON, resolve("gw.example", 443, &binding)).await;
        assert_eq!(sorted(found.unwrap().unwrap()), both());
        server.abort();
    });
}

#[test]
fn the_systems_no_is_final() {
    world::run(|| async {
        ip("link set lo up");
        ip("addr add 192.0.2.53/32 dev lo");
        world::resolv_conf("nameserver 192.0.2.53\n");
        let udp = UdpSocket::bind("192.0.2.53:53").await.unwrap();
        let server = tokio::spawn(async move {
            let mut buffer = [0; 512];
            loop {
                let (length, from) = udp.recv_from(&mut buffer).await.unwrap();
                let reply = answer(&buffer[..length], false);
                udp.send_to(&reply, from).await.unwrap();
            }
        });
        // Nothing answers over this link.
        let _cellular = Tun::with("wwan0", "10.2.0.2/24");
        let binding = find("wwan0").unwrap().binding();
        let error = timeout(SOON, resolve("other.example", 443, &binding)).await;
        let error = error.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound, "{error}");
        server.abort();
    });
}
