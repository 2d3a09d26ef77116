//! How many unproven connections one address may hold.
//!
//! A slot belongs to an IPv4 address or to an IPv6 /64, the smallest block a network hands to one customer. Raw
//! connections hold theirs as long as they live, sessions until their client has proven itself, joins never: behind
//! one carrier NAT sit thousands of phones, and a join that is refused is a failover that fails.
//!
//! Nobody can tell a join from anything else before its first bytes are read. A connection from an address that is
//! out of slots is therefore let in *on trial*: few of them at once, for a short time, and only to show its join.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// The block of addresses that shares one allowance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Block {
    V4(Ipv4Addr),
    /// The upper 64 bits of an IPv6 address.
    V6(u64),
}

impl Block {
    pub(crate) fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(v4) => Self::V4(v4),
            IpAddr::V6(v6) => Self::V6((v6.to_bits() >> 64) as u64),
        }
    }
}

/// Counts the slots taken per block of addresses.
#[derive(Debug, Clone)]
pub(crate) struct AddressCaps {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    per_block: usize,
    // Holds only blocks with at least one slot taken, so it is bounded by the number of open connections.
    taken: Mutex<HashMap<Block, usize>>,
}

impl AddressCaps {
    pub(crate) fn new(per_block: usize) -> Self {
        Self {
            inner: Arc::new(Inner {
                per_block,
                taken: Mutex::default(),
            }),
        }
    }

    /// Takes a slot for `ip`; none when the address has used up its own.
    pub(crate) fn take(&self, ip: IpAddr) -> Option<AddressSlot> {
        let block = Block::of(ip);
        let mut taken = self
            .inner
            .taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let count = taken.get(&block).copied().unwrap_or(0);
        if count >= self.inner.per_block {
            return None;
        }
        taken.insert(block, count + 1);
        Some(AddressSlot {
            caps: Arc::clone(&self.inner),
            block,
        })
    }

    #[cfg(test)]
    fn blocks(&self) -> usize {
        self.inner.taken.lock().unwrap().len()
    }
}

/// One slot of an address, given back when dropped.
#[derive(Debug)]
pub(crate) struct AddressSlot {
    caps: Arc<Inner>,
    block: Block,
}

impl Drop for AddressSlot {
    fn drop(&mut self) {
        let mut taken = self
            .caps
            .taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.block) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.block);
                // One flood must not leave its table behind for ever.
                if taken.capacity() > 1024 && taken.len() < taken.capacity() / 8 {
                    taken.shrink_to(256);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_ipv4_address_has_its_own_allowance() {
        let caps = AddressCaps::new(2);
        let first = caps.take(ip("192.0.2.1"));
        let second = caps.take(ip("::ffff:192.0.2.1"));
        assert!(first.is_some() && second.is_some());
        assert!(caps.take(ip("192.0.2.1")).is_none());
        assert!(caps.take(ip("192.0.2.2")).is_some());
        drop(first);
        assert!(caps.take(ip("192.0.2.1")).is_some());
    }

    #[test]
    fn an_ipv6_network_of_64_bits_shares_one_allowance() {
        let caps = AddressCaps::new(1);
        let held = caps.take(ip("2001:db8:1:2::1"));
        assert!(held.is_some());
        assert!(caps.take(ip("2001:db8:1:2:ffff::9")).is_none());
        assert!(caps.take(ip("2001:db8:1:3::1")).is_some());
    }

    #[test]
    fn nothing_is_remembered_once_all_slots_are_back() {
        let caps = AddressCaps::new(4);
        let held: Vec<_> = (0..5000u32)
            .filter_map(|n| caps.take(IpAddr::V4(Ipv4Addr::from_bits(n))))
            .collect();
        assert_eq!(caps.blocks(), 5000);
        drop(held);
        assert_eq!(caps.blocks(), 0);
    }
}
