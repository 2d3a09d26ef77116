//! What a session is told at its start, and the constants of the protocol.

use std::time::Duration;

use crate::crypto::StaticKey;
use crate::types::{JoinAddress, ServiceType, Standby};

/// How much the peer may send ahead of the application's reading.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WindowConfig {
    /// Bytes at the start; at least 16 KiB are taken, which may come before it is known.
    pub initial: u32,
    /// Bytes that tuning may grow it to.
    pub max: u32,
}

impl Default for WindowConfig {
    fn default() -> Self {
        Self {
            initial: 256 * 1024,
            max: 4 * 1024 * 1024,
        }
    }
}

/// The client's half of a session.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// What is asked of the two paths.
    pub service: ServiceType,
    /// How ready the backup is kept.
    pub standby: Standby,
    /// How long the session outlives its last leg; the gateway may shorten it. Default 60 s.
    pub ttl: Duration,
    /// The gateway's public key that WELCOME must prove.
    pub pin: Option<[u8; 32]>,
    /// With a pin: let data leave before the gateway has proven its key.
    pub early_data: bool,
    /// Bytes that this session may spend on the backup, both ways; `None` is without limit.
    pub budget: Option<u64>,
    /// The receive window.
    pub window: WindowConfig,
    /// Bytes accepted from the application before they are acknowledged.
    pub send_buffer: usize,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            service: ServiceType::Handover,
            standby: Standby::Cold,
            ttl: DEFAULT_TTL,
            pin: None,
            early_data: false,
            budget: None,
            window: WindowConfig::default(),
            send_buffer: 4 * 1024 * 1024,
        }
    }
}

/// The gateway's half of a session.
#[derive(Clone, Debug)]
pub struct GatewayConfig {
    /// Proven to clients that pin it.
    pub static_key: Option<StaticKey>,
    /// The longest time to live that is granted. Default 60 s.
    pub ttl_max: Duration,
    /// The receive window.
    pub window: WindowConfig,
    /// Bytes accepted from the service before they are acknowledged.
    pub send_buffer: usize,
    /// Where joins shall go, if not where HELLO went; at most 8 are announced.
    pub join_addresses: Vec<JoinAddress>,
    /// A new leg gets data only after it has proven that it hears the gateway (+1 round trip).
    pub strict_join: bool,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            static_key: None,
            ttl_max: DEFAULT_TTL,
            window: WindowConfig::default(),
            send_buffer: 4 * 1024 * 1024,
            join_addresses: Vec::new(),
            strict_join: false,
        }
    }
}

pub(crate) const DEFAULT_TTL: Duration = Duration::from_secs(60);
/// Data that may leave before the gateway's window is known.
pub(crate) const EARLY_LIMIT: u64 = 16 * 1024;
/// No WELCOME by then: not a gateway.
pub(crate) const WELCOME_TIMEOUT: Duration = Duration::from_secs(5);
/// A joined leg of a cold standby stays this long after it was needed.
pub(crate) const COLD_LINGER: Duration = Duration::from_secs(30);
/// Time on the backup before the primary is taken again.
pub(crate) const FAILBACK_HOLD: Duration = Duration::from_secs(5);
/// The hold is doubled per flap up to this.
pub(crate) const FAILBACK_HOLD_MAX: Duration = Duration::from_secs(300);
/// After this long without a failover the hold starts anew.
pub(crate) const FLAP_MEMORY: Duration = Duration::from_secs(600);
/// A primary that is slower than it was, but steady for this long, is proven as well.
pub(crate) const FAILBACK_STEADY: Duration = Duration::from_secs(30);
/// PONGs that prove a primary.
pub(crate) const FAILBACK_PROOFS: u32 = 3;
/// PINGs that must be unanswered before a leg is condemned.
pub(crate) const CONDEMN_PINGS: u32 = 3;
/// PINGs on a suspected leg.
pub(crate) const SUSPECT_PINGS: u32 = 8;
/// A gateway's first push after idleness may wait for a radio that sleeps.
pub(crate) const PUSH_GRACE: Duration = Duration::from_millis(300);
/// Silence that counts as idleness.
pub(crate) const IDLE: Duration = Duration::from_secs(1);
/// A handed-in time that is this much late means that the machine slept.
pub(crate) const CLOCK_JUMP: Duration = Duration::from_secs(3);
/// Interactive: a round trip time that is too slow to stay with.
pub(crate) const SLOW_SRTT: Duration = Duration::from_millis(600);
/// Interactive: how long it must stay slow.
pub(crate) const SLOW_FOR: Duration = Duration::from_secs(2);
