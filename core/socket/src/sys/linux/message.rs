//! Netlink messages, above all of the route family, read from bytes and written to them: no `unsafe`,
//! and no trust in any length.
//!
//! Only the few attributes that are needed are looked at, so an attribute that a newer kernel has
//! changed cannot make a whole message unreadable.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const HEADER: usize = 16;
const NLA_TYPE_MASK: u16 = 0x3fff;
const IFLA_IFNAME: u16 = 3;
const IFLA_LINKINFO: u16 = 18;
const IFLA_EXT_MASK: u16 = 29;
const IFLA_INFO_KIND: u16 = 1;
const RTEXT_FILTER_SKIP_STATS: u32 = 8;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_FLAGS: u16 = 8;
const IFA_F_OPTIMISTIC: u32 = 0x04;
const IFA_F_DADFAILED: u32 = 0x08;
const IFA_F_TENTATIVE: u32 = 0x40;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_MULTIPATH: u16 = 9;
const RTN_UNICAST: u8 = 1;
const RTNH_F_DEAD: u32 = 1;

/// One netlink message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message<'a> {
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) sequence: u32,
    pub(super) payload: &'a [u8],
}

/// The messages of one datagram; ends at the first that claims to be longer than what is left.
pub(super) fn messages(mut rest: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let length = u32_at(rest, 0)? as usize;
        let (kind, flags, sequence) = (u16_at(rest, 4)?, u16_at(rest, 6)?, u32_at(rest, 8)?);
        let payload = rest.get(HEADER..length)?;
        rest = rest.get(aligned(length)..).unwrap_or_default();
        Some(Message {
            kind,
            flags,
            sequence,
            payload,
        })
    })
}

/// The errno of an error message; 0 is an acknowledgement.
pub(super) fn error_code(payload: &[u8]) -> Option<i32> {
    Some(i32::from_ne_bytes(payload.get(..4)?.try_into().ok()?).wrapping_neg())
}

/// A request to dump everything of `kind` and address family `family`.
pub(super) fn dump_request(kind: u16, family: u8, sequence: u32) -> Vec<u8> {
    let mut payload = match kind {
        libc::RTM_GETLINK => vec![0; 16],
        libc::RTM_GETADDR => vec![0; 8],
        _ => vec![0; 12],
    };
    payload[0] = family;
    if kind == libc::RTM_GETLINK {
        payload.extend_from_slice(&8u16.to_ne_bytes());
        payload.extend_from_slice(&IFLA_EXT_MASK.to_ne_bytes());
        payload.extend_from_slice(&RTEXT_FILTER_SKIP_STATS.to_ne_bytes());
    }
    request(kind, libc::NLM_F_DUMP, sequence, &payload)
}

/// A request of `kind` with further flags.
pub(super) fn request(kind: u16, flags: libc::c_int, sequence: u32, payload: &[u8]) -> Vec<u8> {
    let flags = (libc::NLM_F_REQUEST | flags) as u16;
    let mut request = Vec::with_capacity(HEADER + payload.len());
    request.extend_from_slice(&((HEADER + payload.len()) as u32).to_ne_bytes());
    request.extend_from_slice(&kind.to_ne_bytes());
    request.extend_from_slice(&flags.to_ne_bytes());
    request.extend_from_slice(&sequence.to_ne_bytes());
    request.extend_from_slice(&0u32.to_ne_bytes());
    request.extend_from_slice(payload);
    request
}

/// Appends an attribute.
pub(super) fn push_attribute(payload: &mut Vec<u8>, kind: u16, value: &[u8]) {
    payload.extend_from_slice(&((4 + value.len()) as u16).to_ne_bytes());
    payload.extend_from_slice(&kind.to_ne_bytes());
    payload.extend_from_slice(value);
    payload.resize(aligned(payload.len()), 0);
}

/// What an RTM_NEWLINK or RTM_DELLINK says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) index: u32,
    pub(super) name: String,
    /// ARPHRD_…
    pub(super) hardware: u16,
    /// IFF_…
    pub(super) flags: u32,
    /// The driver's own word, as in "tun", "wireguard", "veth".
    pub(super) info_kind: Option<String>,
}

impl Link {
    /// `None` for messages that are not about the link itself, such as those of a bridge about its
    /// ports.
    pub(super) fn parse(payload: &[u8]) -> Option<Self> {
        if *payload.first()? != libc::AF_UNSPEC as u8 {
            return None;
        }
        let mut link = Self {
            index: u32_at(payload, 4)?,
            name: String::new(),
            hardware: u16_at(payload, 2)?,
            flags: u32_at(payload, 8)?,
            info_kind: None,
        };
        for (kind, value) in attributes(payload.get(16..)?) {
            match kind {
                IFLA_IFNAME => link.name = text(value),
                IFLA_LINKINFO => {
                    link.info_kind = attributes(value)
                        .find(|(kind, _)| *kind == IFLA_INFO_KIND)
                        .map(|(_, value)| text(value))
                }
                _ => {}
            }
        }
        Some(link)
    }

    /// Switched on, with a carrier, and not waiting for a supplicant.
    pub(super) fn is_up(&self) -> bool {
        let all = (libc::IFF_UP | libc::IFF_RUNNING | libc::IFF_LOWER_UP) as u32;
        self.flags & all == all
    }
}

/// An address of an interface, if it can be used as a source.
pub(super) fn parse_address(payload: &[u8]) -> Option<(u32, IpAddr)> {
    let mut flags = u32::from(*payload.get(2)?);
    let index = u32_at(payload, 4)?;
    let (mut local, mut address) = (None, None);
    for (kind, value) in attributes(payload.get(8..)?) {
        match kind {
            IFA_LOCAL => local = ip(value),
            IFA_ADDRESS => address = ip(value),
            IFA_FLAGS => flags = u32_at(value, 0)?,
            _ => {}
        }
    }
    let unproven = flags & IFA_F_TENTATIVE != 0 && flags & IFA_F_OPTIMISTIC == 0;
    if unproven || flags & IFA_F_DADFAILED != 0 {
        return None;
    }
    // On a point-to-point link IFA_ADDRESS is the peer's.
    Some((index, local.or(address)?))
}

/// A route that leads to the internet as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DefaultRouteMessage {
    pub(super) v6: bool,
    /// The interfaces by which it leaves.
    pub(super) interfaces: Vec<u32>,
}

impl DefaultRouteMessage {
    /// `None` if it is any other route. Halves of the address space, by which VPNs go before a
    /// default route without removing it, and `2000::/3` count as one.
    pub(super) fn parse(payload: &[u8]) -> Option<Self> {
        let (family, prefix, kind) = (*payload.first()?, *payload.get(1)?, *payload.get(7)?);
        let v6 = i32::from(family) == libc::AF_INET6;
        if kind != RTN_UNICAST || (!v6 && i32::from(family) != libc::AF_INET) || prefix > 3 {
            return None;
        }
        let mut destination = 0;
        let mut interfaces = Vec::new();
        let dead = u32_at(payload, 8)? & RTNH_F_DEAD != 0;
        for (kind, value) in attributes(payload.get(12..)?) {
            match kind {
                RTA_DST => destination = *value.first()?,
                RTA_OIF if !dead => interfaces.push(u32_at(value, 0)?),
                RTA_MULTIPATH => interfaces.extend(next_hops(value)),
                _ => {}
            }
        }
        let whole = prefix <= 1 || (v6 && prefix == 3 && destination == 0x20);
        whole.then_some(Self { v6, interfaces })
    }
}

/// The interfaces of a route with several next hops.
fn next_hops(mut rest: &[u8]) -> impl Iterator<Item = u32> + '_ {
    std::iter::from_fn(move || {
        loop {
            let length = usize::from(u16_at(rest, 0)?);
            let dead = u32::from(*rest.get(2)?) & RTNH_F_DEAD != 0;
            let index = u32_at(rest, 4)?;
            if length < 8 {
                return None;
            }
            rest = rest.get(aligned(length)..).unwrap_or_default();
            if !dead {
                return Some(index);
            }
        }
    })
}

pub(super) fn attributes(mut rest: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(rest, 0)?);
        let kind = u16_at(rest, 2)? & NLA_TYPE_MASK;
        let value = rest.get(4..length)?;
        rest = rest.get(aligned(length)..).unwrap_or_default();
        Some((kind, value))
    })
}

fn aligned(length: usize) -> usize {
    length.next_multiple_of(4)
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn text(value: &[u8]) -> String {
    let end = value
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(value.len());
    String::from_utf8_lossy(&value[..end]).into_owned()
}

pub(super) fn ip(value: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(value) {
        return Some(Ipv4Addr::from(four).into());
    }
    <[u8; 16]>::try_from(value)
        .ok()
        .map(|sixteen| Ipv6Addr::from(sixteen).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = ((4 + value.len()) as u16).to_ne_bytes().to_vec();
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn route(family: i32, prefix: u8, attributes: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = vec![
            family as u8,
            prefix,
            0,
            0,
            254,
            0,
            0,
            RTN_UNICAST,
            0,
            0,
            0,
            0,
        ];
        bytes.extend(attributes.concat());
        bytes
    }

    #[test]
    fn the_peer_of_a_tunnel_is_not_our_address() {
        let mut bytes = vec![libc::AF_INET as u8, 32, 0, 0];
        bytes.extend_from_slice(&7u32.to_ne_bytes());
        bytes.extend(attribute(IFA_ADDRESS, &[10, 0, 0, 2]));
        bytes.extend(attribute(IFA_LOCAL, &[10, 0, 0, 1]));
        assert_eq!(
            parse_address(&bytes),
            Some((7, "10.0.0.1".parse().unwrap()))
        );
        bytes.extend(attribute(IFA_FLAGS, &IFA_F_TENTATIVE.to_ne_bytes()));
        assert_eq!(parse_address(&bytes), None, "tentative");
    }

    #[test]
    fn default_routes_and_halves_are_told_from_others() {
        let oif = attribute(RTA_OIF, &3u32.to_ne_bytes());
        let found = |family, prefix, more: &[Vec<u8>]| {
            DefaultRouteMessage::parse(&route(family, prefix, more)).map(|it| it.interfaces)
        };
        assert_eq!(
            found(libc::AF_INET, 0, std::slice::from_ref(&oif)),
            Some(vec![3])
        );
        assert_eq!(
            found(
                libc::AF_INET,
                1,
                &[attribute(RTA_DST, &[128, 0, 0, 0]), oif.clone()]
            ),
            Some(vec![3])
        );
        assert_eq!(
            found(
                libc::AF_INET,
                3,
                &[attribute(RTA_DST, &[0x20, 0, 0, 0]), oif.clone()]
            ),
            None
        );
        assert_eq!(found(libc::AF_INET, 24, std::slice::from_ref(&oif)), None);
        let mut internet = vec![0x20];
        internet.resize(16, 0);
        assert_eq!(
            found(
                libc::AF_INET6,
                3,
                &[attribute(RTA_DST, &internet), oif.clone()]
            ),
            Some(vec![3])
        );
        let mut hops = Vec::new();
        for (flags, index) in [(0u8, 4u32), (1, 5), (0, 6)] {
            hops.extend_from_slice(&8u16.to_ne_bytes());
            hops.extend_from_slice(&[flags, 0]);
            hops.extend_from_slice(&index.to_ne_bytes());
        }
        assert_eq!(
            found(libc::AF_INET, 0, &[attribute(RTA_MULTIPATH, &hops)]),
            Some(vec![4, 6]),
            "a dead next hop is none"
        );
    }

    #[test]
    fn no_length_is_believed() {
        let request = dump_request(libc::RTM_GETLINK, 0, 9);
        for cut in 0..request.len() {
            assert_eq!(messages(&request[..cut]).count(), 0, "cut at {cut}");
        }
        assert_eq!(
            messages(&request).next().map(|it| (it.kind, it.sequence)),
            Some((libc::RTM_GETLINK, 9))
        );
        // A length of zero must not be read for ever.
        assert_eq!(messages(&[0; 64]).count(), 0);
        assert_eq!(attributes(&[0; 64]).count(), 0);
        assert_eq!(next_hops(&[0; 64]).count(), 0);
        for kind in 0..4u8 {
            for length in 0..40 {
                let junk = vec![kind; length];
                let _ = (
                    Link::parse(&junk),
                    parse_address(&junk),
                    DefaultRouteMessage::parse(&junk),
                );
            }
        }
    }
}
