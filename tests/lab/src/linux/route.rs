//! Devices, addresses, routes and rules.

use std::io;
use std::net::IpAddr;

use super::netlink::{CREATE, EXCLUSIVE, Netlink, REPLACE, Request};

const NEW_LINK: u16 = 16;
const GET_LINK: u16 = 18;
const NEW_ADDRESS: u16 = 20;
const DEL_ADDRESS: u16 = 21;
const NEW_ROUTE: u16 = 24;
const DEL_ROUTE: u16 = 25;
const NEW_RULE: u16 = 32;
const DEL_RULE: u16 = 33;
const NEW_NEXTHOP: u16 = 104;

const UP: u32 = 1;
const MAIN_TABLE: u32 = 254;
const PROTOCOL_STATIC: u8 = 4;
const SCOPE_UNIVERSE: u8 = 0;
const SCOPE_LINK: u8 = 253;
const UNICAST: u8 = 1;
/// IPv6 addresses are of use at once, without the second of duplicate detection.
const NO_DUPLICATE_DETECTION: u32 = 0x02;

/// A route to everything, or to `to`, through a device.
#[derive(Debug, Clone, Copy)]
pub(super) struct Route {
    pub(super) to: Option<(IpAddr, u8)>,
    pub(super) device: u32,
    pub(super) v6: bool,
    pub(super) table: Option<u32>,
    pub(super) metric: u32,
    pub(super) source: Option<IpAddr>,
}

fn family(v6: bool) -> u8 {
    // AF_INET and AF_INET6 are 2 and 10.
    if v6 {
        libc::AF_INET6 as u8
    } else {
        libc::AF_INET as u8
    }
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

fn link_body(index: u32, flags: u32, change: u32) -> Vec<u8> {
    let mut body = vec![0; 4];
    body.extend_from_slice(&index.to_ne_bytes());
    body.extend_from_slice(&flags.to_ne_bytes());
    body.extend_from_slice(&change.to_ne_bytes());
    body
}

impl Netlink {
    /// The index of the device `name`.
    pub(super) fn device_index(&mut self, name: &str) -> io::Result<u32> {
        const NAME: u16 = 3;
        let mut text = name.as_bytes().to_vec();
        text.push(0);
        let request = Request::new(GET_LINK, 0, &link_body(0, 0, 0)).attribute(NAME, &text);
        let answer = self.request(request)?.ok_or(io::ErrorKind::NotFound)?;
        let index = answer.get(4..8).ok_or(io::ErrorKind::InvalidData)?;
        Ok(u32::from_ne_bytes([index[0], index[1], index[2], index[3]]))
    }

    pub(super) fn set_device_up(&mut self, device: u32, up: bool) -> io::Result<()> {
        let flags = if up { UP } else { 0 };
        self.request(Request::new(NEW_LINK, 0, &link_body(device, flags, UP)))?;
        Ok(())
    }

    /// MTU, and how many packets may wait for the emulator before the kernel drops them uncounted.
    pub(super) fn set_device_size(&mut self, device: u32, mtu: u32, queue: u32) -> io::Result<()> {
        const MTU: u16 = 4;
        const QUEUE_LENGTH: u16 = 13;
        let request = Request::new(NEW_LINK, 0, &link_body(device, 0, 0))
            .u32(MTU, mtu)
            .u32(QUEUE_LENGTH, queue);
        self.request(request)?;
        Ok(())
    }

    pub(super) fn add_address(&mut self, device: u32, ip: IpAddr, prefix: u8) -> io::Result<()> {
        const FLAGS: u16 = 8;
        let request = address(NEW_ADDRESS, CREATE | REPLACE, device, ip, prefix)
            .u32(FLAGS, NO_DUPLICATE_DETECTION);
        self.request(request)?;
        Ok(())
    }

    pub(super) fn delete_address(&mut self, device: u32, ip: IpAddr, prefix: u8) -> io::Result<()> {
        self.request(address(DEL_ADDRESS, 0, device, ip, prefix))?;
        Ok(())
    }

    pub(super) fn add_route(&mut self, wanted: &Route) -> io::Result<()> {
        self.request(route(NEW_ROUTE, CREATE | REPLACE, wanted))?;
        Ok(())
    }

    /// A route to everything that chooses one of these devices for each flow.
    pub(super) fn add_shared_route(&mut self, devices: [u32; 2], v6: bool) -> io::Result<()> {
        const NEXTHOP: u16 = 30;
        const GROUP: u16 = 2;
        const OUT: u16 = 5;
        // Numbers of the namespace's own.
        let ids = [1, 2, 3].map(|id| if v6 { id + 10 } else { id });
        for (id, device) in ids.into_iter().zip(devices) {
            self.request(nexthop(id, family(v6)).u32(OUT, device))?;
        }
        let mut group = Vec::new();
        for id in &ids[..2] {
            group.extend_from_slice(&id.to_ne_bytes());
            // Alike, which is a weight of 1, written as 0.
            group.extend_from_slice(&[0; 4]);
        }
        // A group has no family.
        self.request(nexthop(ids[2], 0).attribute(GROUP, &group))?;
        let (device, metric) = (0, 0);
        let (to, table, source) = (None, None, None);
        let wanted = Route {
            to,
            device,
            v6,
            table,
            metric,
            source,
        };
        self.request(route(NEW_ROUTE, CREATE | REPLACE, &wanted).u32(NEXTHOP, ids[2]))?;
        Ok(())
    }

    pub(super) fn delete_route(&mut self, unwanted: &Route) -> io::Result<()> {
        self.request(route(DEL_ROUTE, 0, unwanted))?;
        Ok(())
    }

    /// Packets from `ip` look in `table` first.
    pub(super) fn add_rule(&mut self, ip: IpAddr, table: u32) -> io::Result<()> {
        match self.request(rule(NEW_RULE, CREATE | EXCLUSIVE, ip, table)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    }

    pub(super) fn delete_rule(&mut self, ip: IpAddr, table: u32) -> io::Result<()> {
        self.request(rule(DEL_RULE, 0, ip, table))?;
        Ok(())
    }
}

fn address(kind: u16, flags: u16, device: u32, ip: IpAddr, prefix: u8) -> Request {
    const ADDRESS: u16 = 1;
    const LOCAL: u16 = 2;
    let mut body = vec![family(ip.is_ipv6()), prefix, 0, SCOPE_UNIVERSE];
    body.extend_from_slice(&device.to_ne_bytes());
    Request::new(kind, flags, &body)
        .attribute(LOCAL, &octets(ip))
        .attribute(ADDRESS, &octets(ip))
}

fn route(kind: u16, flags: u16, route: &Route) -> Request {
    const DESTINATION: u16 = 1;
    const DEVICE: u16 = 4;
    const METRIC: u16 = 6;
    const SOURCE: u16 = 7;
    const TABLE: u16 = 15;
    let prefix = route.to.map_or(0, |(_, prefix)| prefix);
    // The table is given by its attribute, which has room for more than 255 of them.
    let scope = if route.v6 { SCOPE_UNIVERSE } else { SCOPE_LINK };
    let mut body = vec![
        family(route.v6),
        prefix,
        0,
        0,
        0,
        PROTOCOL_STATIC,
        scope,
        UNICAST,
    ];
    body.extend_from_slice(&0_u32.to_ne_bytes());
    let mut request = Request::new(kind, flags, &body)
        .u32(TABLE, route.table.unwrap_or(MAIN_TABLE))
        .u32(METRIC, route.metric);
    // Where a nexthop is named it has the device.
    if route.device != 0 {
        request = request.u32(DEVICE, route.device);
    }
    if let Some((to, _)) = route.to {
        request = request.attribute(DESTINATION, &octets(to));
    }
    if let Some(source) = route.source {
        request = request.attribute(SOURCE, &octets(source));
    }
    request
}

/// `struct nhmsg` (include/uapi/linux/nexthop.h), and what names it.
fn nexthop(id: u32, family: u8) -> Request {
    const ID: u16 = 1;
    let body = [family, SCOPE_UNIVERSE, PROTOCOL_STATIC, 0, 0, 0, 0, 0];
    Request::new(NEW_NEXTHOP, CREATE | REPLACE, &body).u32(ID, id)
}

fn rule(kind: u16, flags: u16, ip: IpAddr, table: u32) -> Request {
    const SOURCE: u16 = 2;
    const PRIORITY: u16 = 6;
    const TABLE: u16 = 15;
    const TO_TABLE: u8 = 1;
    let full = if ip.is_ipv6() { 128 } else { 32 };
    let body = [
        family(ip.is_ipv6()),
        0,
        full,
        0,
        0,
        0,
        0,
        TO_TABLE,
        0,
        0,
        0,
        0,
    ];
    Request::new(kind, flags, &body)
        .attribute(SOURCE, &octets(ip))
        .u32(PRIORITY, 1000 + table)
        .u32(TABLE, table)
}
