//! The kernel's MPTCP path manager: endpoints and limits, by generic netlink.

use std::net::IpAddr;
use std::{fs, io};

use super::host::Host;
use super::namespace::Namespace;
use super::netlink::{Netlink, Request, attributes};
use super::world::World;
use crate::error::{LabError, Step as _};

const CONTROL_FAMILY: u16 = 16;
const CONTROL_GET_FAMILY: u8 = 3;
const CONTROL_FAMILY_ID: u16 = 1;
const CONTROL_FAMILY_NAME: u16 = 2;

const FAMILY: &[u8] = b"mptcp_pm\0";
const ADD_ADDRESS: u8 = 1;
const FLUSH_ADDRESSES: u8 = 4;
const SET_LIMITS: u8 = 5;

const FLAG_SUBFLOW: u32 = 2;
const FLAG_BACKUP: u32 = 4;

/// More than any test needs, fewer than the kernel's eight.
const LIMIT: u32 = 4;

impl World {
    /// Makes the named link the kernel's MPTCP backup: connections of the client open a subflow on
    /// it with the backup flag.
    ///
    /// # Errors
    ///
    /// When there is no such link, or the kernel has no MPTCP.
    pub fn mptcp_endpoint_backup(&self, link: &str) -> Result<(), LabError> {
        self.mptcp_endpoint(link, true)
    }

    /// Lets MPTCP connections of the client use the named link, as a backup or beside the others.
    ///
    /// # Errors
    ///
    /// When there is no such link, or the kernel has no MPTCP.
    pub fn mptcp_endpoint(&self, link: &str, backup: bool) -> Result<(), LabError> {
        let handle = self.find_link(link)?;
        for host in [self.client(), self.server()] {
            let mut manager = PathManager::open(host.namespace())?;
            manager
                .raise_limits()
                .step(|| "set the limits of MPTCP".into())?;
        }
        let mut manager = PathManager::open(self.client().namespace())?;
        for ip in handle.addresses() {
            manager
                .add_endpoint(ip, handle.index(), backup)
                .step(|| format!("make {link} an MPTCP endpoint"))?;
        }
        Ok(())
    }

    /// Removes every MPTCP endpoint of the client, with the subflows that started there.
    ///
    /// # Errors
    ///
    /// When the kernel has no MPTCP.
    pub fn mptcp_flush_endpoints(&self) -> Result<(), LabError> {
        let mut manager = PathManager::open(self.client().namespace())?;
        manager.flush().step(|| "remove the MPTCP endpoints".into())
    }
}

impl Host {
    /// One of the kernel's own counters of MPTCP on this host, as `nstat` names them without `MPTcpExt`.
    ///
    /// # Errors
    ///
    /// When the kernel has no such counter.
    pub fn mptcp_mib(&self, name: &str) -> Result<u64, LabError> {
        const COUNTERS: &str = "/proc/thread-self/net/netstat";
        self.namespace().inside(|| {
            let step = || format!("read the counter {name} of MPTCP");
            let text = fs::read_to_string(COUNTERS).step(step)?;
            let value = counter(&text, name);
            value
                .ok_or_else(|| io::ErrorKind::NotFound.into())
                .step(step)
        })
    }
}

/// A counter of a table of two lines: names, and values in the same order.
fn counter(text: &str, name: &str) -> Option<u64> {
    let mut lines = text
        .lines()
        .filter_map(|line| line.strip_prefix("MPTcpExt:"));
    let (names, values) = (lines.next()?, lines.next()?);
    let mut pairs = names.split_whitespace().zip(values.split_whitespace());
    let (_, value) = pairs.find(|(it, _)| *it == name)?;
    value.parse().ok()
}

/// A path manager of one namespace.
#[derive(Debug)]
struct PathManager {
    netlink: Netlink,
    family: u16,
}

impl PathManager {
    fn open(namespace: &Namespace) -> Result<Self, LabError> {
        namespace.inside(|| {
            let mut netlink = Netlink::generic().step(|| "open a generic netlink socket".into())?;
            let family = resolve(&mut netlink).map_err(LabError::NoMptcp)?;
            Ok(Self { netlink, family })
        })
    }

    /// Lets every connection have more than one subflow.
    fn raise_limits(&mut self) -> io::Result<()> {
        const ACCEPTED_ADDRESSES: u16 = 2;
        const SUBFLOWS: u16 = 3;
        let request = self
            .command(SET_LIMITS)
            .u32(ACCEPTED_ADDRESSES, LIMIT)
            .u32(SUBFLOWS, LIMIT);
        self.netlink.request(request)?;
        Ok(())
    }

    /// Lets connections open a subflow from `ip` through `device`.
    fn add_endpoint(&mut self, ip: IpAddr, device: u32, backup: bool) -> io::Result<()> {
        const ADDRESS: u16 = 1;
        const ADDRESS_FAMILY: u16 = 1;
        const ADDRESS_V4: u16 = 3;
        const ADDRESS_V6: u16 = 4;
        const ADDRESS_FLAGS: u16 = 6;
        const ADDRESS_DEVICE: u16 = 7;
        let flags = FLAG_SUBFLOW | if backup { FLAG_BACKUP } else { 0 };
        let request = self.command(ADD_ADDRESS).nest(ADDRESS, |nest| {
            // AF_INET and AF_INET6 are 2 and 10.
            let nest = match ip {
                IpAddr::V4(v4) => nest
                    .attribute(ADDRESS_FAMILY, &(libc::AF_INET as u16).to_ne_bytes())
                    .attribute(ADDRESS_V4, &v4.octets()),
                IpAddr::V6(v6) => nest
                    .attribute(ADDRESS_FAMILY, &(libc::AF_INET6 as u16).to_ne_bytes())
                    .attribute(ADDRESS_V6, &v6.octets()),
            };
            nest.u32(ADDRESS_FLAGS, flags).u32(ADDRESS_DEVICE, device)
        });
        self.netlink.request(request)?;
        Ok(())
    }

    /// Removes every endpoint, and with it the subflows that started there.
    fn flush(&mut self) -> io::Result<()> {
        let request = self.command(FLUSH_ADDRESSES);
        self.netlink.request(request)?;
        Ok(())
    }

    fn command(&self, command: u8) -> Request {
        Request::new(self.family, 0, &[command, 1, 0, 0])
    }
}

fn resolve(netlink: &mut Netlink) -> io::Result<u16> {
    let request = Request::new(CONTROL_FAMILY, 0, &[CONTROL_GET_FAMILY, 1, 0, 0])
        .attribute(CONTROL_FAMILY_NAME, FAMILY);
    let answer = netlink.request(request)?.ok_or(io::ErrorKind::NotFound)?;
    let id = attributes(answer.get(4..).unwrap_or_default())
        .find(|(kind, _)| *kind == CONTROL_FAMILY_ID)
        .and_then(|(_, value)| value.get(..2).map(|id| u16::from_ne_bytes([id[0], id[1]])));
    id.ok_or_else(|| io::ErrorKind::InvalidData.into())
}
