//! The Twinpath session: one byte stream over two paths, as a state machine without any I/O.
//!
//! Nothing here touches a socket, a clock or a task. A driver hands in what happened
//! (`leg_opened`, `leg_received`, `leg_closed`, `path_changed`, `handle_timeout`, each with the
//! time) and carries out what is asked for (`poll_transmit` per leg, `poll_action`,
//! `poll_timeout`), and tells the application what `poll_event` says. Both ends are a [`Session`];
//! a gateway finds out with [`FirstFlight`] and [`Directory`] whose leg it has accepted.
//!
//! The bytes on the wire, and the reasons for the rules, are in PROTOCOL.md beside this crate.

mod allowance;
mod buffer;
mod config;
mod crypto;
mod directory;
mod entropy;
mod error;
mod event;
mod first_flight;
mod leg;
mod rtt;
mod session;
mod stats;
mod time;
mod types;
mod wire;

pub use config::{ClientConfig, GatewayConfig, WindowConfig};
pub use crypto::{ParseKeyError, PublicKey, StaticKey};
pub use directory::{Directory, DirectoryConfig, HelloRoute, JoinRoute, Tombstone};
pub use error::{Refusal, SessionError, WireError};
pub use event::{
    Action, ChunkOutcome, DialError, DialTarget, Event, FailoverReason, LegDownReason, LegEnd,
    PathChange, Protection, ReadOutcome, UnprotectedReason,
};
pub use first_flight::{FIRST_FLIGHT_MAX, FirstFlight, refuse, refuse_version};
pub use session::{AcceptError, JoinError, Session};
pub use stats::{PathStats, Stats};
pub use time::Time;
pub use types::{JoinAddress, LegId, ResetCode, Role, ServiceType, SessionId, Side, Standby};
pub use wire::hello::Hello;
pub use wire::join::Join;

/// The version of the protocol that this crate speaks.
pub const VERSION: u8 = 1;
/// The lowest version that this crate speaks.
pub const MIN_VERSION: u8 = 1;
