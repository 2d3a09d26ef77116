//! TCP's checksum, where a machine has left it to a network card that was never there.
//!
//! Between two hosts of one machine (veth, virtio) and in what a kernel has merged (GRO), segments have only the sum of the
//! pseudo-header in the place of the checksum. Kernels know such packets by a mark, which raw sockets do not pass on.

/// Of TCP's header (RFC 9293 §3.1).
const AT: usize = 16;
const TCP: u8 = 6;

/// Finishes the checksum of the segment at `tcp` if only the pseudo-header is summed up so far. What is wrong in any other way
/// stays as it is. `addresses` are those of the IP header, source and destination.
pub(crate) fn finish(addresses: &[u8], tcp: &mut [u8]) {
    let (Some(field), Ok(length)) = (tcp.get(AT..AT + 2), u32::try_from(tcp.len())) else {
        return;
    };
    let begun = add(u64::from(TCP) + u64::from(length), addresses);
    if field != folded(begun).to_be_bytes() {
        return;
    }
    // With that sum in its place, it is the sum of all there is.
    let sum = !folded(add(0, tcp));
    tcp[AT..AT + 2].copy_from_slice(&sum.to_be_bytes());
}

/// Sums up as RFC 1071 §1 does, without folding: the carries of 2^32 bytes have room.
fn add(sum: u64, bytes: &[u8]) -> u64 {
    bytes.chunks(2).fold(sum, |sum, pair| {
        let low = pair.get(1).copied().unwrap_or(0);
        sum + u64::from(u16::from_be_bytes([pair[0], low]))
    })
}

fn folded(mut sum: u64) -> u16 {
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    // Folded above.
    sum as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESSES: [u8; 8] = [192, 0, 2, 1, 198, 51, 100, 2];

    fn pseudo(length: u64) -> u64 {
        add(6 + length, &ADDRESSES)
    }

    fn segment(payload: &[u8]) -> Vec<u8> {
        let mut tcp: Vec<u8> = (1..=20).collect();
        tcp.extend(payload);
        let begun = folded(pseudo(tcp.len() as u64)).to_be_bytes();
        tcp[AT..AT + 2].copy_from_slice(&begun);
        tcp
    }

    /// As whoever receives it does.
    fn is_right(tcp: &[u8]) -> bool {
        folded(pseudo(tcp.len() as u64) + add(0, tcp)) == 0xffff
    }

    #[test]
    fn what_was_begun_is_finished_whatever_the_length() {
        for length in [0, 1, 2, 7, 1460, 40_000] {
            let mut tcp = segment(&vec![0xab; length]);
            assert!(!is_right(&tcp));
            finish(&ADDRESSES, &mut tcp);
            assert!(is_right(&tcp), "{length}");
            let finished = tcp.clone();
            finish(&ADDRESSES, &mut tcp);
            assert_eq!(tcp, finished, "it is finished once");
        }
    }

    #[test]
    fn what_is_wrong_stays_wrong_and_what_is_cut_off_is_left_alone() {
        let mut tcp = segment(b"hello");
        finish(&ADDRESSES, &mut tcp);
        tcp[20] ^= 1;
        let changed = tcp.clone();
        finish(&ADDRESSES, &mut tcp);
        assert_eq!(tcp, changed);
        assert!(!is_right(&tcp));
        for length in 0..18 {
            finish(&ADDRESSES, &mut tcp[..length]);
        }
        assert_eq!(tcp, changed);
    }
}
