//! The address translator at the server's end of a link, and its bad days.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::packet::Packet;
use crate::spec::Rebind;

/// First of the ports handed out after a rebinding, above those Linux chooses by itself.
const FIRST_NEW_PORT: u16 = 61_000;

type Key = (u8, SocketAddr, SocketAddr);

/// Translates nothing until asked to: every flow keeps its port, and its address unless the link
/// has a public one.
#[derive(Debug)]
pub(crate) struct Nat {
    public: Option<Ipv4Addr>,
    /// From (protocol, client, server) to the client as the server sees it.
    out: HashMap<Key, SocketAddr>,
    /// From (protocol, client as the server sees it, server) to the client.
    back: HashMap<Key, SocketAddr>,
    forgotten: HashSet<Key>,
    forgotten_back: HashSet<Key>,
    next_port: u16,
    /// Flows that have to be given a new port.
    to_move: HashSet<Key>,
    moved_flows: u64,
    /// Flows get new ports instead of their own.
    moved: bool,
}

impl Nat {
    pub(crate) fn new(public: Option<Ipv4Addr>) -> Self {
        Self {
            public,
            out: HashMap::new(),
            back: HashMap::new(),
            forgotten: HashSet::new(),
            forgotten_back: HashSet::new(),
            next_port: FIRST_NEW_PORT,
            to_move: HashSet::new(),
            moved_flows: 0,
            moved: false,
        }
    }

    /// Loses the table.
    pub(crate) fn rebind(&mut self, how: Rebind) {
        let out = std::mem::take(&mut self.out);
        let back = std::mem::take(&mut self.back);
        // The server's packets to the old ports go nowhere in either case.
        self.forgotten_back.extend(back.into_keys());
        match how {
            Rebind::Forget => self.forgotten.extend(out.into_keys()),
            Rebind::NewPorts => {
                self.moved = true;
                self.to_move.extend(out.into_keys());
            }
        }
    }

    /// How many flows went on from another port.
    pub(crate) fn moved_flows(&self) -> u64 {
        self.moved_flows
    }

    /// Translates a packet on its way to the server; false drops it.
    pub(crate) fn outbound(&mut self, packet: &mut Packet) -> bool {
        let Some((client, server)) = packet.ends() else {
            return true;
        };
        let key = (packet.protocol(), client, server);
        if packet.segment().is_some_and(|s| s.is_initial_syn()) {
            // A new connection from the same port opens its own entry.
            self.to_move.remove(&key);
            if self.forgotten.remove(&key) {
                self.forgotten_back.remove(&key);
            }
        }
        if self.forgotten.contains(&key) {
            return false;
        }
        let outside = match self.out.get(&key) {
            Some(outside) => *outside,
            None => self.bind(key),
        };
        if outside != client {
            packet.set_source(outside);
        }
        true
    }

    fn bind(&mut self, key: Key) -> SocketAddr {
        let (protocol, client, server) = key;
        let ip = match (client.ip(), self.public) {
            (IpAddr::V4(_), Some(public)) => public.into(),
            (ip, _) => ip,
        };
        self.moved_flows += u64::from(self.to_move.remove(&key));
        let port = if self.moved {
            let port = self.next_port;
            self.next_port = port.checked_add(1).unwrap_or(FIRST_NEW_PORT);
            port
        } else {
            client.port()
        };
        let outside = SocketAddr::new(ip, port);
        self.forgotten_back.remove(&(protocol, outside, server));
        self.out.insert(key, outside);
        self.back.insert((protocol, outside, server), client);
        outside
    }

    /// Translates a packet on its way to the client; false drops it.
    pub(crate) fn inbound(&self, packet: &mut Packet) -> bool {
        let Some((server, outside)) = packet.ends() else {
            return true;
        };
        let key = (packet.protocol(), outside, server);
        if self.forgotten_back.contains(&key) {
            return false;
        }
        match self.back.get(&key) {
            Some(&client) if client != outside => packet.set_destination(client),
            Some(_) => {}
            // Without a public address a server may open a connection to the client.
            None => return self.public.is_none() || packet.is_v6(),
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{Segment, flag};

    const CLIENT: &str = "192.168.10.2:4000";
    const SERVER: &str = "203.0.113.10:443";

    fn segment(from: &str, to: &str, flags: u8) -> Packet {
        let segment = Segment {
            seq: 1,
            ack: 1,
            flags,
            payload: 0,
        };
        Packet::forge(from.parse().unwrap(), to.parse().unwrap(), segment).unwrap()
    }

    fn source(packet: &Packet) -> String {
        packet.ends().unwrap().0.to_string()
    }

    #[test]
    fn both_directions_are_translated() {
        let mut nat = Nat::new(Some(Ipv4Addr::new(198, 51, 100, 10)));
        let mut out = segment(CLIENT, SERVER, flag::SYN);
        assert!(nat.outbound(&mut out));
        assert_eq!(source(&out), "198.51.100.10:4000");
        let mut back = segment(SERVER, "198.51.100.10:4000", flag::ACK);
        assert!(nat.inbound(&mut back));
        assert_eq!(back.ends().unwrap().1.to_string(), CLIENT);
        assert!(!nat.inbound(&mut segment(SERVER, "198.51.100.10:4001", flag::ACK)));
    }

    #[test]
    fn forgotten_flows_stay_forgotten_until_a_new_syn() {
        let mut nat = Nat::new(None);
        assert!(nat.outbound(&mut segment(CLIENT, SERVER, flag::SYN)));
        nat.rebind(Rebind::Forget);
        assert!(!nat.outbound(&mut segment(CLIENT, SERVER, flag::ACK)));
        assert!(!nat.inbound(&mut segment(SERVER, CLIENT, flag::ACK)));
        assert!(nat.outbound(&mut segment("192.168.10.2:4001", SERVER, flag::SYN)));
        assert!(nat.outbound(&mut segment(CLIENT, SERVER, flag::SYN)));
        assert!(nat.inbound(&mut segment(SERVER, CLIENT, flag::ACK)));
    }

    #[test]
    fn moved_flows_come_from_a_new_port_and_their_answers_find_back() {
        let mut nat = Nat::new(None);
        assert!(nat.outbound(&mut segment(CLIENT, SERVER, flag::SYN)));
        nat.rebind(Rebind::NewPorts);
        let mut moved = segment(CLIENT, SERVER, flag::ACK);
        assert!(nat.outbound(&mut moved));
        assert_eq!(source(&moved), "192.168.10.2:61000");
        assert!(nat.outbound(&mut segment("192.168.10.2:4001", SERVER, flag::SYN)));
        assert_eq!(nat.moved_flows(), 1, "a new flow was not moved");
        let mut answer = segment(SERVER, "192.168.10.2:61000", flag::RST);
        assert!(nat.inbound(&mut answer));
        assert_eq!(answer.ends().unwrap().1.to_string(), CLIENT);
        assert!(!nat.inbound(&mut segment(SERVER, CLIENT, flag::ACK)));
    }
}
