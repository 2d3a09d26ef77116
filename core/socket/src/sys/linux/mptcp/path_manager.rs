//! The path manager, by generic netlink (family `mptcp_pm`,
//! Documentation/netlink/specs/mptcp_pm.yaml).

use std::io;
use std::net::IpAddr;

use crate::mptcp::{Endpoint, EndpointFlags, MptcpLimits};

use super::super::generic::Family;
use super::super::message::{attributes, ip, push_attribute, u16_at, u32_at};

const ADD_ADDRESS: u8 = 1;
const DELETE_ADDRESS: u8 = 2;
const GET_ADDRESS: u8 = 3;
const SET_LIMITS: u8 = 5;
const GET_LIMITS: u8 = 6;

const ADDRESS: u16 = 1;
const ACCEPTED_ADDRESSES: u16 = 2;
const SUBFLOWS: u16 = 3;

const ADDRESS_FAMILY: u16 = 1;
const ADDRESS_ID: u16 = 2;
const ADDRESS_V4: u16 = 3;
const ADDRESS_V6: u16 = 4;
const ADDRESS_FLAGS: u16 = 6;
const ADDRESS_INTERFACE: u16 = 7;

const NESTED: u16 = 0x8000;

#[derive(Debug)]
pub(crate) struct PathManager {
    family: Family,
}

impl PathManager {
    pub(crate) fn open() -> io::Result<Self> {
        Family::open("mptcp_pm").map(|family| Self { family })
    }

    pub(crate) fn namespace(&self) -> io::Result<u64> {
        self.family.namespace()
    }

    pub(crate) fn endpoints(&mut self) -> io::Result<Vec<Endpoint>> {
        self.family.command(GET_ADDRESS, true, &[], parse_endpoint)
    }

    pub(crate) fn add(&mut self, endpoint: &Endpoint) -> io::Result<()> {
        self.order(ADD_ADDRESS, &encode_endpoint(endpoint))
    }

    pub(crate) fn remove(&mut self, endpoint: &Endpoint) -> io::Result<()> {
        self.order(DELETE_ADDRESS, &encode_endpoint(endpoint))
    }

    pub(crate) fn limits(&mut self) -> io::Result<MptcpLimits> {
        let answers = self.family.command(GET_LIMITS, false, &[], |answer| {
            let value = |wanted| {
                attributes(answer)
                    .find(|(kind, _)| *kind == wanted)
                    .and_then(|(_, value)| u32_at(value, 0))
            };
            Some(MptcpLimits {
                subflows: value(SUBFLOWS)?,
                accepted_addresses: value(ACCEPTED_ADDRESSES)?,
            })
        })?;
        answers
            .first()
            .copied()
            .ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    pub(crate) fn set_limits(&mut self, limits: MptcpLimits) -> io::Result<()> {
        let mut payload = Vec::new();
        push_attribute(
            &mut payload,
            ACCEPTED_ADDRESSES,
            &limits.accepted_addresses.to_ne_bytes(),
        );
        push_attribute(&mut payload, SUBFLOWS, &limits.subflows.to_ne_bytes());
        self.order(SET_LIMITS, &payload)
    }

    fn order(&mut self, command: u8, payload: &[u8]) -> io::Result<()> {
        self.family
            .command(command, false, payload, |_| None::<()>)
            .map(drop)
    }
}

fn encode_endpoint(endpoint: &Endpoint) -> Vec<u8> {
    let mut nest = Vec::new();
    let family = match endpoint.address {
        IpAddr::V4(_) => libc::AF_INET,
        IpAddr::V6(_) => libc::AF_INET6,
    };
    push_attribute(&mut nest, ADDRESS_FAMILY, &(family as u16).to_ne_bytes());
    match endpoint.address {
        IpAddr::V4(v4) => push_attribute(&mut nest, ADDRESS_V4, &v4.octets()),
        IpAddr::V6(v6) => push_attribute(&mut nest, ADDRESS_V6, &v6.octets()),
    }
    push_attribute(&mut nest, ADDRESS_ID, &[endpoint.id]);
    push_attribute(
        &mut nest,
        ADDRESS_FLAGS,
        &endpoint.flags.bits().to_ne_bytes(),
    );
    if endpoint.interface != 0 {
        push_attribute(
            &mut nest,
            ADDRESS_INTERFACE,
            &endpoint.interface.to_ne_bytes(),
        );
    }
    let mut payload = Vec::new();
    push_attribute(&mut payload, ADDRESS | NESTED, &nest);
    payload
}

fn parse_endpoint(answer: &[u8]) -> Option<Endpoint> {
    let (_, nest) = attributes(answer).find(|(kind, _)| *kind == ADDRESS)?;
    let (mut id, mut address, mut flags, mut interface) = (0, None, 0, 0);
    for (kind, value) in attributes(nest) {
        match kind {
            ADDRESS_ID => id = *value.first()?,
            ADDRESS_V4 | ADDRESS_V6 => address = ip(value),
            ADDRESS_FLAGS => flags = u32_at(value, 0)?,
            ADDRESS_INTERFACE => interface = u32_at(value, 0)?,
            // The family follows from the address.
            ADDRESS_FAMILY => drop(u16_at(value, 0)?),
            _ => {}
        }
    }
    let mut endpoint = Endpoint::new(address?, interface, EndpointFlags::from_bits(flags));
    endpoint.id = id;
    Some(endpoint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_read_as_it_was_written() {
        for address in ["198.51.100.7", "2001:db8::7"] {
            let flags = EndpointFlags::SUBFLOW.with(EndpointFlags::BACKUP);
            let mut endpoint = Endpoint::new(address.parse().unwrap(), 3, flags);
            endpoint.id = 5;
            let bytes = encode_endpoint(&endpoint);
            assert_eq!(parse_endpoint(&bytes), Some(endpoint));
            for cut in 0..bytes.len() {
                let _ = parse_endpoint(&bytes[..cut]);
            }
        }
    }
}
