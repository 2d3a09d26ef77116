//! What can happen to a link.

use std::net::IpAddr;

use crate::counters::Drops;
use crate::packet::Packet;
use crate::pipe::Pipe;
use crate::spec::{Direction, End, Rebind, StripHow, StripMode};

use super::{Engine, Port};

/// Faults of one direction.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Faults {
    pub(super) blackhole: bool,
    /// Only what lies behind the proxy is silent.
    blackhole_behind_pep: bool,
    /// Only this address of the server is out of reach.
    without_server: Option<IpAddr>,
    pub(super) drop_syns: bool,
    drop_mptcp_syns: bool,
    pub(super) strip: (StripMode, StripHow),
}

impl Engine {
    fn each_fault(&mut self, direction: Direction, change: impl Fn(&mut Faults)) {
        if direction.has_up() {
            change(&mut self.up_faults);
        }
        if direction.has_down() {
            change(&mut self.down_faults);
        }
    }

    /// From this instant nothing more arrives in `direction`, what is in flight included.
    pub(crate) fn blackhole(&mut self, direction: Direction) {
        self.each_fault(direction, |faults| faults.blackhole = true);
        let near = self.near.as_mut();
        let (near_up, near_down) =
            near.map_or((None, None), |n| (Some(&mut n.up), Some(&mut n.down)));
        if direction.has_up() {
            self.counters.up.dropped.blackhole += self.up.clear() + near_up.map_or(0, Pipe::clear);
        }
        if direction.has_down() {
            self.counters.down.dropped.blackhole +=
                self.down.clear() + near_down.map_or(0, Pipe::clear);
        }
    }

    /// As `blackhole`, but the proxy on the link stays in reach of the client.
    pub(crate) fn blackhole_behind_pep(&mut self, direction: Direction) {
        self.each_fault(direction, |faults| faults.blackhole_behind_pep = true);
        if direction.has_up() {
            self.counters.up.dropped.blackhole += self.up.clear();
        }
        if direction.has_down() {
            self.counters.down.dropped.blackhole += self.down.clear();
        }
    }

    /// From this instant nothing more enters to or from that address of the server.
    pub(crate) fn blackhole_server(&mut self, server: IpAddr) {
        self.each_fault(Direction::Both, |faults| {
            faults.without_server = Some(server);
        });
    }

    /// Ends blackholes, SYN drops and stripping.
    pub(crate) fn heal(&mut self) {
        self.up_faults = Faults::default();
        self.down_faults = Faults::default();
    }

    pub(crate) fn drop_syns(&mut self, on: bool) {
        self.each_fault(Direction::Both, |faults| faults.drop_syns = on);
    }

    pub(crate) fn drop_mptcp_syns(&mut self, on: bool) {
        self.each_fault(Direction::Both, |faults| faults.drop_mptcp_syns = on);
    }

    pub(crate) fn strip_mptcp(&mut self, mode: StripMode, how: StripHow, direction: Direction) {
        self.each_fault(direction, |faults| faults.strip = (mode, how));
    }

    pub(crate) fn rebind_nat(&mut self, how: Rebind) {
        self.nat.rebind(how);
    }

    /// The device went down or came up; a link that is down loses what it carried.
    pub(crate) fn set_down(&mut self, down: bool) {
        self.is_down = down;
        if down {
            self.counters.up.dropped.down += self.up.clear();
            self.counters.down.dropped.down += self.down.clear();
            if let Some(near) = &mut self.near {
                self.counters.up.dropped.down += near.up.clear();
                self.counters.down.dropped.down += near.down.clear();
            }
        }
    }

    /// Forges resets for every connection seen, or those to one port; says how many connections.
    pub(crate) fn inject_rst(&mut self, to: End, port: Option<u16>) -> usize {
        let mut connections = 0;
        for flow in self.flows.matching(port) {
            let before = self.outbox.len();
            let from_pep = self.is_pep(&flow);
            // With a proxy each end has its own connection, and the other end of it is the proxy.
            if to != End::Server && !from_pep {
                for packet in self.flows.forge(flow, true) {
                    self.counters.down.resets += 1;
                    self.outbox.push((Port::Client, packet));
                }
            }
            if to != End::Client && (from_pep || self.near.is_none()) {
                for mut packet in self.flows.forge(flow, false) {
                    if self.nat.outbound(&mut packet) {
                        self.counters.up.resets += 1;
                        self.outbox.push((Port::Server, packet));
                    }
                }
            }
            connections += usize::from(self.outbox.len() > before);
            if to == End::Both {
                self.flows.forget(flow);
            }
        }
        connections
    }
}

pub(super) type Cause = fn(&mut Drops) -> &mut u64;

/// The cause for which a direction's faults drop this packet.
pub(super) fn refuse(faults: &Faults, packet: &Packet) -> Option<Cause> {
    if faults.blackhole || faults.blackhole_behind_pep {
        return Some(|drops| &mut drops.blackhole);
    }
    let ends = [packet.source_ip(), packet.destination_ip()];
    if faults.without_server.is_some_and(|it| ends.contains(&it)) {
        return Some(|drops| &mut drops.blackhole);
    }
    if faults.drop_syns || faults.drop_mptcp_syns {
        let syn = packet.segment().is_some_and(|s| s.is_initial_syn());
        if syn && (faults.drop_syns || packet.has_mptcp()) {
            return Some(|drops| &mut drops.syn);
        }
    }
    None
}
