//! The subflows of every program, and the end of one of them, by `NETLINK_SOCK_DIAG`
//! (include/uapi/linux/sock_diag.h, inet_diag.h).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::super::message::{attributes, ip, request, u32_at};
use super::super::netlink::Query;

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const SOCK_DESTROY: u16 = 21;

/// `INET_DIAG_INFO`: the kernel's `struct tcp_info`, asked for by the bit of its number less one.
const INFO: u16 = 2;
/// `INET_DIAG_ULP_INFO`, in which a subflow names its protocol. Told with `CAP_NET_ADMIN` only.
const PROTOCOL: u16 = 19;
/// `INET_ULP_INFO_NAME`.
const PROTOCOL_NAME: u16 = 1;

const ESTABLISHED: u32 = 1;
const NO_COOKIE: [u8; 8] = [0xff; 8];
/// Of `struct inet_diag_sockid`: ports, addresses, the interface that it is bound to, and a cookie.
const IDENTITY: usize = 48;
/// Of `struct inet_diag_msg`.
const ANSWER: usize = 72;
/// `tcpi_last_data_recv` and `tcpi_last_ack_recv`.
const LAST_DATA_RECEIVED: usize = 52;
const LAST_ACK_RECEIVED: usize = 56;

pub(crate) fn last_heard_at(local: IpAddr) -> io::Result<Vec<(IpAddr, Duration)>> {
    let mut query = Query::new(libc::NETLINK_SOCK_DIAG)?;
    let mut heard = Vec::new();
    // A socket of IPv6 may have addresses of IPv4.
    for family in [libc::AF_INET, libc::AF_INET6] {
        let payload = encode(family, None, 1 << ESTABLISHED);
        heard.extend(query.ask(
            |sequence| request(SOCK_DIAG_BY_FAMILY, libc::NLM_F_DUMP, sequence, &payload),
            |answer| parse(answer, local),
        )?);
    }
    Ok(heard)
}

/// Ends a TCP connection, as a subflow is one, of whichever program.
pub(crate) fn end_subflow(local: SocketAddr, remote: SocketAddr) -> io::Result<()> {
    let mut query = Query::new(libc::NETLINK_SOCK_DIAG)?;
    // A socket that is bound to an interface is found by its addresses and that interface only, and one of IPv6 may have
    // addresses of IPv4.
    for family in [libc::AF_INET, libc::AF_INET6] {
        let payload = encode(family, None, u32::MAX);
        let found: Vec<[u8; IDENTITY]> = query.ask(
            |sequence| request(SOCK_DIAG_BY_FAMILY, libc::NLM_F_DUMP, sequence, &payload),
            |answer| identity(answer, local, remote),
        )?;
        let Some(found) = found.first() else {
            continue;
        };
        let payload = encode(family, Some(found), u32::MAX);
        return query
            .ask(
                |sequence| request(SOCK_DESTROY, libc::NLM_F_ACK, sequence, &payload),
                |_| None::<()>,
            )
            .map(drop);
    }
    Err(io::ErrorKind::NotFound.into())
}

/// What names a socket in an answer, if it has these ends.
fn identity(answer: &[u8], local: SocketAddr, remote: SocketAddr) -> Option<[u8; IDENTITY]> {
    let is_v4 = i32::from(*answer.first()?) == libc::AF_INET;
    let identity: [u8; IDENTITY] = answer.get(4..4 + IDENTITY)?.try_into().ok()?;
    let end = |port: usize, address: usize| {
        let length = if is_v4 { 4 } else { 16 };
        let ip = ip(identity.get(address..address + length)?)?.to_canonical();
        let port = u16::from_be_bytes([identity[port], identity[port + 1]]);
        Some(SocketAddr::new(ip, port))
    };
    let is = |end: SocketAddr, wanted: SocketAddr| {
        end == SocketAddr::new(wanted.ip().to_canonical(), wanted.port())
    };
    (is(end(0, 4)?, local) && is(end(2, 20)?, remote)).then_some(identity)
}

/// A `struct inet_diag_req_v2`: of one connection, or of all in these states.
fn encode(family: i32, one: Option<&[u8; IDENTITY]>, states: u32) -> Vec<u8> {
    let mut payload = vec![family as u8, libc::IPPROTO_TCP as u8, 1 << (INFO - 1), 0];
    payload.extend_from_slice(&states.to_ne_bytes());
    match one {
        Some(identity) => payload.extend_from_slice(identity),
        None => {
            payload.extend_from_slice(&[0; IDENTITY - NO_COOKIE.len()]);
            payload.extend_from_slice(&NO_COOKIE);
        }
    }
    payload
}

/// The peer of a subflow, and how long ago it was heard, if the subflow starts at that address.
fn parse(answer: &[u8], local: IpAddr) -> Option<(IpAddr, Duration)> {
    let is_v4 = i32::from(*answer.first()?) == libc::AF_INET;
    let address = |offset: usize| {
        let length = if is_v4 { 4 } else { 16 };
        Some(ip(answer.get(offset..offset + length)?)?.to_canonical())
    };
    let (source, peer) = (address(8)?, address(24)?);
    if source != local.to_canonical() {
        return None;
    }
    let (mut heard, mut is_subflow) = (None, false);
    for (kind, value) in attributes(answer.get(ANSWER..)?) {
        match kind {
            INFO => {
                let of = |offset| u32_at(value, offset);
                heard = Some(of(LAST_DATA_RECEIVED)?.min(of(LAST_ACK_RECEIVED)?));
            }
            PROTOCOL => {
                is_subflow = attributes(value)
                    .any(|(kind, name)| kind == PROTOCOL_NAME && name.starts_with(b"mptcp"));
            }
            _ => {}
        }
    }
    heard
        .filter(|_| is_subflow)
        .map(|millis| (peer, Duration::from_millis(millis.into())))
}

#[cfg(test)]
mod tests {
    use super::super::super::message::push_attribute;
    use super::*;

    fn answer(local: [u8; 4], protocol: &[u8], heard: [u32; 2]) -> Vec<u8> {
        let mut answer = vec![0; ANSWER];
        answer[0] = libc::AF_INET as u8;
        answer[8..12].copy_from_slice(&local);
        answer[24..28].copy_from_slice(&[192, 0, 2, 1]);
        let mut info = vec![0; 104];
        info[LAST_DATA_RECEIVED..][..4].copy_from_slice(&heard[0].to_ne_bytes());
        info[LAST_ACK_RECEIVED..][..4].copy_from_slice(&heard[1].to_ne_bytes());
        push_attribute(&mut answer, INFO, &info);
        let mut nest = Vec::new();
        push_attribute(&mut nest, PROTOCOL_NAME, protocol);
        push_attribute(&mut answer, PROTOCOL, &nest);
        answer
    }

    #[test]
    fn only_subflows_from_that_address_are_counted_and_the_newest_sign_of_life_counts() {
        let local = "10.1.0.2".parse().unwrap();
        let subflow = answer([10, 1, 0, 2], b"mptcp\0", [900, 30]);
        let heard = ("192.0.2.1".parse().unwrap(), Duration::from_millis(30));
        assert_eq!(parse(&subflow, local), Some(heard));
        let tls = answer([10, 1, 0, 2], b"tls\0", [900, 30]);
        assert_eq!(parse(&tls, local), None);
        let other = answer([10, 1, 0, 3], b"mptcp\0", [900, 30]);
        assert_eq!(parse(&other, local), None);
        for cut in 0..subflow.len() {
            let _ = parse(&subflow[..cut], local);
        }
    }

    #[test]
    fn a_socket_is_named_as_the_kernel_names_it() {
        let mut answer = answer([10, 1, 0, 2], b"mptcp\0", [900, 30]);
        answer[4..8].copy_from_slice(&[0x13, 0x88, 0x01, 0xbb]);
        answer[40] = 7;
        let local = "10.1.0.2:5000".parse().unwrap();
        let remote = "192.0.2.1:443".parse().unwrap();
        let found = identity(&answer, local, remote).unwrap();
        assert_eq!(found[36], 7, "the interface");
        assert_eq!(identity(&answer, remote, local), None);
        let one = encode(libc::AF_INET, Some(&found), u32::MAX);
        assert_eq!(one.len(), 56);
        assert_eq!(&one[8..16], &answer[4..12]);
        assert_eq!(encode(libc::AF_INET6, None, 2).len(), 56);
        for cut in 0..52 {
            assert_eq!(identity(&answer[..cut], local, remote), None);
        }
    }
}
