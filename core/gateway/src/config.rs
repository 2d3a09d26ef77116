//! What a listener and a forwarder are told.

use std::time::Duration;

use twinpath_proto::{JoinAddress, StaticKey, WindowConfig};

use crate::error::BuildError;

/// What a window may grow to, at least and at most.
const WINDOW: std::ops::RangeInclusive<u32> = 16 * 1024..=16 * 1024 * 1024;
/// Less than this would hardly serve one session.
const LEAST_BUFFERS: u64 = 64 * 1024;

/// The bounds of a gateway. Each one protects the machine from its clients; none is meant to be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Unproven sessions and raw connections that one IPv4 address or one IPv6 /64 may hold. Default 256.
    ///
    /// Joins to a session that exists are never counted.
    pub per_address: usize,
    /// Sessions in all. Default 10,000.
    pub sessions: usize,
    /// Raw connections in all. Default 10,000.
    pub raw: usize,
    /// Bytes of all connections together that wait to be read or acknowledged. Default 1 GiB.
    ///
    /// Past half of it, held or promised, new sessions begin with small windows, and past half of it held windows stop
    /// growing. Past all of it new sessions are refused, services are read no further than each session's fair share
    /// (64 KiB), and sessions that hold more are reset if that lasts, the largest first, those with bytes out of order
    /// or without a leg before all others. It also bounds the sessions: one for every 32 KiB.
    pub buffers: u64,
    /// Descriptors that the process may have open. Default: no bound.
    ///
    /// Near it only joins are taken, so that sessions which exist can still fail over.
    pub descriptors: u64,
    /// Time for a connection to show what it is, and for the client of a new session to prove that it got the answer.
    /// Default 10 s.
    pub handshake: Duration,
    /// Time after which a session whose client was not heard is reset. Default 2 h 4 min, as RFC 5382 has it for TCP.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            per_address: 256,
            sessions: 10_000,
            raw: 10_000,
            buffers: 1024 * 1024 * 1024,
            descriptors: u64::MAX,
            handshake: Duration::from_secs(10),
            idle: Duration::from_secs(2 * 3600 + 4 * 60),
        }
    }
}

/// How a [`Listener`](crate::Listener) accepts.
///
/// ```
/// use std::time::Duration;
/// use twinpath_gateway::ListenerConfig;
///
/// let mut config = ListenerConfig::default();
/// config.raw_after = Some(Duration::from_millis(300));
/// config.limits.per_address = 64;
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ListenerConfig {
    /// The key that clients may pin; without one a client that pins is refused.
    pub key: Option<StaticKey>,
    /// Where clients join, if not where they connected first. At most eight.
    ///
    /// Announcing any also says that other gateways may answer at the address that clients connect to first, as behind
    /// a load balancer: a repeated first flight that this gateway has not seen is then refused, since another may have.
    pub join_addresses: Vec<JoinAddress>,
    /// A new leg carries data towards the client only after it has proven that it hears the gateway.
    ///
    /// Costs a round trip per join; see the threat model in `PROTOCOL.md`.
    pub strict_join: bool,
    /// A client that says nothing for this long is taken for one of a protocol in which the server speaks first.
    ///
    /// Off by default: a silent client then ends at [`Limits::handshake`].
    pub raw_after: Option<Duration>,
    /// How far the window of a session, and what it keeps of its service's bytes, may grow. Default 4 MiB.
    ///
    /// A session moves at most this much in a round trip: more is of use only on paths both long and fast. 16 KiB to
    /// 16 MiB.
    pub window: u32,
    /// The longest time for which a session outlives its last leg. Default 60 s.
    pub ttl_max: Duration,
    /// How long a drain waits for connections to end. Default 30 s.
    pub drain_timeout: Duration,
    /// The bounds.
    pub limits: Limits,
}

impl Default for ListenerConfig {
    fn default() -> Self {
        Self {
            key: None,
            join_addresses: Vec::new(),
            strict_join: false,
            raw_after: None,
            window: WindowConfig::default().max,
            ttl_max: Duration::from_secs(60),
            drain_timeout: Duration::from_secs(30),
            limits: Limits::default(),
        }
    }
}

impl ListenerConfig {
    pub(crate) fn check(&self) -> Result<(), BuildError> {
        let refused = |setting, problem| Err(BuildError::Setting { setting, problem });
        let limits = &self.limits;
        if self.join_addresses.len() > 8 {
            return refused("join addresses", "are at most eight");
        }
        if self
            .join_addresses
            .iter()
            .any(|address| address.host.is_empty() || address.host.len() > 255)
        {
            return refused("join address", "needs a host of 1 to 255 bytes");
        }
        if self.join_addresses.iter().any(|address| address.port == 0) {
            return refused("join address", "needs a port");
        }
        if limits.per_address == 0 || limits.sessions == 0 {
            return refused("limits", "must let at least one connection in");
        }
        if limits.buffers < LEAST_BUFFERS {
            return refused("buffers", "are at least 64 KiB");
        }
        if !WINDOW.contains(&self.window) {
            return refused("window", "is between 16 KiB and 16 MiB");
        }
        if limits.handshake.is_zero() || limits.idle.is_zero() {
            return refused("limits", "must leave some time for handshake and idleness");
        }
        if self.ttl_max < Duration::from_secs(1) {
            return refused("time to live", "is at least one second");
        }
        Ok(())
    }
}
