//! Packets that are read, changed and made up.

use super::change::{fold, sum};
use super::*;

fn at(address: &str) -> SocketAddr {
    address.parse().unwrap()
}

fn syn(source: &str, destination: &str) -> Packet {
    let segment = Segment {
        seq: 7,
        ack: 0,
        flags: flag::SYN,
        payload: 0,
    };
    Packet::forge(at(source), at(destination), segment).unwrap()
}

/// Both checksums come out as zero when summed over what they cover.
fn assert_checksums(packet: &Packet) {
    let bytes = packet.as_bytes();
    let addresses = if packet.is_v6() {
        &bytes[8..40]
    } else {
        assert_eq!(fold(sum(&bytes[..20])), 0);
        &bytes[12..20]
    };
    let body = &bytes[packet.transport..];
    let pseudo = sum(addresses) + u64::from(packet.protocol) + body.len() as u64;
    assert_eq!(fold(pseudo + sum(body)), 0);
}

/// Inserts options into a segment that has none.
fn with_options(packet: &Packet, options: &[u8]) -> Packet {
    let mut bytes = packet.as_bytes().to_vec();
    bytes.extend_from_slice(options);
    let length = bytes.len();
    if packet.is_v6() {
        bytes[4..6].copy_from_slice(&((length - 40) as u16).to_be_bytes());
    } else {
        bytes[2..4].copy_from_slice(&(length as u16).to_be_bytes());
    }
    bytes[packet.transport + 12] = ((5 + options.len() / 4) as u8) << 4;
    let mut packet = Packet::parse(bytes).unwrap();
    packet.fix_checksums();
    packet
}

#[test]
fn translation_keeps_checksums_right() {
    for (source, destination, other) in [
        ("192.0.2.1:1000", "203.0.113.1:443", "198.51.100.9:61000"),
        (
            "[2001:db8::1]:1000",
            "[2001:db8::2]:443",
            "[2001:db8::3]:61000",
        ),
    ] {
        let mut packet = syn(source, destination);
        assert_checksums(&packet);
        packet.set_source(at(other));
        assert_checksums(&packet);
        packet.set_destination(at(source));
        assert_checksums(&packet);
        assert_eq!(packet.ends(), Some((at(other), at(source))));
    }
}

#[test]
fn only_option_30_becomes_nops() {
    // MSS, NOP, an MPTCP option of 12 bytes, window scale.
    let mut options = vec![2, 4, 5, 0xb4, 1, 30, 12];
    options.extend([0xaa; 10]);
    options.extend([3, 3, 7]);
    for (source, destination) in [
        ("192.0.2.1:1", "203.0.113.1:2"),
        ("[2001:db8::1]:1", "[2001:db8::2]:2"),
    ] {
        let mut packet = with_options(&syn(source, destination), &options);
        assert!(packet.has_mptcp());
        assert!(packet.strip_mptcp());
        assert_checksums(&packet);
        assert!(!packet.has_mptcp() && !packet.strip_mptcp());
        let left = &packet.as_bytes()[packet.transport + 20..];
        assert_eq!(left[..5], options[..5]);
        assert_eq!(left[5..17], [OPTION_NOP; 12]);
        assert_eq!(left[17..], options[17..]);
    }
}

#[test]
fn only_option_30_is_cut_out_and_the_payload_stays() {
    // NOP, NOP, timestamps, an MPTCP option of 20 bytes that is not aligned, NOP, NOP.
    let mut options = vec![1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8, 30, 18];
    options.extend([0xaa; 16]);
    options.extend([1, 1]);
    for (source, destination) in [
        ("192.0.2.1:1", "203.0.113.1:2"),
        ("[2001:db8::1]:1", "[2001:db8::2]:2"),
    ] {
        let mut whole = with_options(&syn(source, destination), &options);
        whole.bytes.extend(b"payload");
        let length = whole.bytes.len();
        if whole.is_v6() {
            whole.bytes[4..6].copy_from_slice(&((length - 40) as u16).to_be_bytes());
        } else {
            whole.bytes[2..4].copy_from_slice(&(length as u16).to_be_bytes());
        }
        let mut packet = Packet::parse(whole.bytes).unwrap();
        assert!(packet.remove_mptcp());
        assert_checksums(&packet);
        assert!(!packet.has_mptcp() && !packet.remove_mptcp());
        assert_eq!(packet.segment().unwrap().payload, 7);
        let mut packet = Packet::parse(packet.as_bytes().to_vec()).unwrap();
        assert!(!packet.strip_mptcp());
        let left = &packet.as_bytes()[packet.transport + 20..];
        assert_eq!(left[..12], options[..12]);
        assert_eq!(left[12..16], [1, 1, OPTION_END, OPTION_END]);
        assert_eq!(&left[16..], b"payload");
    }
}

#[test]
fn malformed_packets_are_refused_or_harmless() {
    let good = with_options(&syn("192.0.2.1:1", "203.0.113.1:2"), &[30, 200, 2, 0]);
    assert!(!good.has_mptcp(), "an option reaches beyond the header");
    let mut state = 1_u32;
    for round in 0..200_000 {
        let mut bytes = good.as_bytes().to_vec();
        for _ in 0..4 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let place = (state >> 16) as usize % bytes.len();
            bytes[place] = (state >> 8) as u8;
        }
        if round % 3 == 0 {
            bytes[0] = 0x60;
            let length = (bytes.len() - 40) as u16;
            bytes[4..6].copy_from_slice(&length.to_be_bytes());
        }
        bytes.truncate(bytes.len() - (state >> 24) as usize % 3);
        if let Some(mut packet) = Packet::parse(bytes) {
            let _ = (packet.segment(), packet.volume());
            let mut other = packet.clone();
            let _ = (packet.strip_mptcp(), other.remove_mptcp());
            if let Some((source, _)) = packet.ends() {
                packet.set_destination(source);
            }
        }
    }
}
