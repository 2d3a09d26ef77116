//! The body of the fuzz target for what arrives at `twinpath doctor`. It is also compiled into an ordinary test of
//! that crate, which replays the corpus and mutations of it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use twinpath_doctor::listen::way_back;
use twinpath_doctor::packet::{
    Ask, Packet, Piece, Probe, Seen, compare, differences_of_tcp, ip_header, mptcp_of, options,
    segment, understand,
};
use twinpath_doctor::report::options_in_words;

/// The first byte says what the others are: bit 0, IPv6; bit 1, ICMP; bit 2, what another end says of the way back.
pub fn doctor_packets(data: &[u8]) {
    let Some((&what, bytes)) = data.split_first() else {
        return;
    };
    if what & 4 != 0 {
        return told_by_another_end(bytes);
    }
    let (is_v6, is_icmp) = (what & 1 != 0, what & 2 != 0);
    let source = match bytes.get(12..16) {
        _ if is_v6 => IpAddr::V6(Ipv6Addr::LOCALHOST),
        Some(octets) => IpAddr::V4(Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3])),
        None => IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    walk(bytes);
    match understand(bytes, source, is_icmp) {
        Some(Packet::Segment(answer)) => {
            assert!(!is_icmp && answer.options.len() <= 40);
            let flags = answer.flags;
            let meanings = [flags.is_bare_ack(), flags.is_syn_ack(), flags.is_reset()];
            assert!(meanings.into_iter().filter(|it| *it).count() <= 1);
            walk(&answer.options);
        }
        Some(Packet::Error(error, _)) => {
            assert!(is_icmp && error.tcp.len() >= 8 && error.tcp.len() <= bytes.len());
            assert_eq!(error.ip.source.is_ipv6(), is_v6);
            let sent = sent(is_v6);
            let (ip, tcp) = ip_header(&sent).expect("what is sent is whole");
            let syn = segment(tcp).expect("what is sent is whole");
            let told = compare(&ip, &syn, 64_240, &error);
            // Of what was not seen nothing is said, unless it was not sent.
            for difference in &told.differences {
                let of = difference.of();
                let is_new = matches!(of, Seen::Option(_));
                assert!(
                    told.seen.contains(&of) || is_new,
                    "{difference} of {told:?}"
                );
            }
            // What is as it was sent, as far as it goes, does not differ.
            if tcp.starts_with(error.tcp) {
                let options = told
                    .differences
                    .iter()
                    .filter(|it| matches!(it.of(), Seen::Option(_)));
                assert_eq!(options.count(), 0, "{told:?}");
            }
        }
        None => {}
    }
}

/// What is believed of it is small and plain, and stays what it is.
fn told_by_another_end(bytes: &[u8]) {
    let Some(told) = way_back(&String::from_utf8_lossy(bytes)) else {
        return;
    };
    let text = told.to_string();
    assert!(text.len() < 1 << 20 && text.bytes().all(|it| matches!(it, b' '..=b'~')));
    assert_eq!(way_back(&text), Some(told));
}

/// A list of options ends, and no piece is longer than what there is.
fn walk(bytes: &[u8]) {
    let mut length = 0;
    for piece in options(bytes) {
        length += match piece {
            Piece::Nop => 1,
            Piece::Option { data, .. } => 2 + data.len(),
            Piece::Cut { data, .. } => 1 + data.len(),
            Piece::Broken { .. } => 2,
        };
    }
    assert!(length <= bytes.len());
    let _ = mptcp_of(bytes);
    let _ = options_in_words(bytes);
    assert_eq!(
        differences_of_tcp(bytes, bytes)
            .iter()
            .filter(|it| is_loss(it))
            .count(),
        0
    );
}

/// An option that is there twice may differ from its double, but is not gone.
fn is_loss(difference: &twinpath_doctor::packet::Difference) -> bool {
    use twinpath_doctor::packet::Difference::{Added, Nops, Removed};
    matches!(difference, Removed(_) | Nops(_) | Added(_))
}

fn sent(is_v6: bool) -> Vec<u8> {
    let (source, destination): (SocketAddr, SocketAddr) = if is_v6 {
        (
            (Ipv6Addr::LOCALHOST, 4000).into(),
            (Ipv6Addr::LOCALHOST, 443).into(),
        )
    } else {
        (
            ([192, 0, 2, 1], 4000).into(),
            ([198, 51, 100, 2], 443).into(),
        )
    };
    let (seq, ask, ttl) = (99, Ask::Capable, 1);
    Probe {
        source,
        destination,
        seq,
        ask,
        ttl,
    }
    .packet()
}
