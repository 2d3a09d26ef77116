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
            Rebind::NewPorts => self.moved = true,
        }
    }

    /// Translates a packet on its way to the server; false drops it.
    pub(crate) fn outbound(&mut self, packet: &mut Packet) -> bool {
        let Some((client, server)) = packet.ends() else {
            return true;
        };
        let key = (packet.protocol(), client, server);
        if packet.segment().is_some_and(|s| s.is_initial_syn()) && self.forgotten.remove(&key) {
            // A new connection from the same port opens its own entry.
            self.forgotten_back.remove(&key);
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
