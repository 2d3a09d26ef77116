//! The subflows that a connection has had, and what they have carried.

use std::net::SocketAddr;
use std::time::Duration;

use twinpath_proto::{Role, Time};
use twinpath_socket::mptcp::{MptcpInfo, Subflow};

/// A joined subflow counts after two of its round trips, and not before this.
const SETTLING: Duration = Duration::from_millis(100);

/// Those that there are, and the sums of those that were.
#[derive(Debug, Default)]
pub(super) struct Subflows {
    seen: Vec<Seen>,
    /// Bytes sent and received over those that were, on each path.
    before: [(u64, u64); 2],
}

/// A subflow that there is.
#[derive(Debug)]
struct Seen {
    local: SocketAddr,
    role: Role,
    sent: u64,
    received: u64,
    /// Bytes of ours that have arrived.
    arrived: u64,
    /// Established for the first time then.
    since: Option<Time>,
}

impl Subflows {
    /// Keeps only the sums of subflows that the kernel lists no more.
    pub(super) fn forget_the_gone(&mut self, info: &MptcpInfo) {
        let before = &mut self.before;
        self.seen.retain(|seen| {
            let listed = info.subflows.iter().any(|it| it.local == seen.local);
            if !listed {
                let (sent, received) = &mut before[seen.role.index()];
                (*sent, *received) = (*sent + seen.sent, *received + seen.received);
            }
            listed
        });
    }

    /// Takes the counters of one over. True if it has carried something since the last look.
    pub(super) fn count(&mut self, role: Role, subflow: &Subflow, now: Time) -> bool {
        let is_same = |seen: &Seen| seen.local == subflow.local;
        let index = self.seen.iter().position(is_same).unwrap_or_else(|| {
            self.seen.push(Seen {
                local: subflow.local,
                role,
                sent: 0,
                received: 0,
                arrived: 0,
                since: None,
            });
            self.seen.len() - 1
        });
        let seen = &mut self.seen[index];
        let health = &subflow.health;
        let received = health.bytes_received.unwrap_or_default();
        let arrived = health.bytes_acked.unwrap_or_default();
        let moved = (seen.arrived, seen.received) != (arrived, received);
        seen.sent = health.bytes_sent.unwrap_or_default();
        (seen.received, seen.arrived) = (received, arrived);
        if subflow.established {
            seen.since.get_or_insert(now);
        }
        moved
    }

    /// Bytes sent and received on a path.
    pub(super) fn carried(&self, role: Role) -> (u64, u64) {
        let of_path = self.seen.iter().filter(|seen| seen.role == role);
        of_path.fold(self.before[role.index()], |(sent, received), seen| {
            (sent + seen.sent, received + seen.received)
        })
    }

    /// Whether the peer has surely taken that subflow in. An initiator of a join sees it established a round trip before
    /// it is proven to the peer, which until then may give MPTCP up and turn it away.
    pub(super) fn is_settled(&self, subflow: &Subflow, now: Time) -> bool {
        let round_trips = subflow.health.srtt.unwrap_or_default() * 2;
        let since = self.seen.iter().find(|seen| seen.local == subflow.local);
        since
            .and_then(|seen| seen.since)
            .is_some_and(|since| now.saturating_since(since) >= round_trips.max(SETTLING))
    }
}
