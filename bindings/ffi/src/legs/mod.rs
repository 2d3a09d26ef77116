//! Legs that the platform opens, where its own framework has to (on iOS, `NWConnection` wakes the modem and does DNS64).
//!
//! The contract is a pipe of bytes that only ever tells, so that no thread waits on either side:
//!
//! | | Rust asks the [`PlatformLeg`] to | and is told through the [`LegPipe`] |
//! |---|---|---|
//! | dial | ([`LegDialer::dial`]) | [`connected`](LegPipe::connected) |
//! | send | `send` bytes | [`sent`](LegPipe::sent), as soon as the platform has taken them |
//! | receive | `receive` so many bytes at most | [`received`](LegPipe::received), [`received_end`](LegPipe::received_end) |
//! | finish | `finish` the sending direction | |
//! | close | `close`, once, whatever happened | |
//! | | | [`failed`](LegPipe::failed), at any time |
//!
//! There are no counters of a kernel here. So what the platform has not taken yet is bounded (128 KiB), and no more is
//! received than was asked for.

mod dialer;
mod lease;
mod pipe;
mod stream;

use std::sync::Arc;
use std::time::Duration;

use crate::block::Block;
use crate::error::Failure;
use crate::names::{InterfaceKind, Role, Service};

pub(crate) use dialer::PlatformDialer;
pub use lease::CellularUse;
pub(crate) use lease::LeasingDialer;
pub use pipe::LegPipe;

/// The way that a leg has to take.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct LegInterface {
    /// The system's name of it.
    pub name: String,
    /// The system's index of it, 0 where it is not known.
    pub index: u32,
    /// What it is.
    pub kind: InterfaceKind,
    /// Android's `Network.getNetworkHandle()`, where it is known.
    pub network_handle: Option<u64>,
}

/// Where a leg goes.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct LegTarget {
    /// The role of its path.
    pub role: Role,
    /// The interface it must leave by; the system's choice if there is none.
    pub interface: Option<LegInterface>,
    /// The host, to be looked up over that interface if there are no addresses.
    pub host: String,
    /// The TCP port.
    pub port: u16,
    /// Addresses to be tried instead of the host, the best first: a further leg has to reach the server of the first.
    pub addresses: Vec<String>,
}

/// Opens legs. It is called on the library's thread and must return at once; so must what it returns.
#[uniffi::export(foreign)]
pub trait LegDialer: Send + Sync {
    /// Begins to open a leg, and tells `pipe` what becomes of it.
    fn dial(&self, target: LegTarget, pipe: Arc<LegPipe>) -> Result<Arc<dyn PlatformLeg>, Failure>;

    /// Begins to open a connection whose paths the platform keeps by itself, with MPTCP, and tells `pipe` what becomes of
    /// it. Only asked for with [`multipath_entitlement`](crate::options::ConnectorOptions::multipath_entitlement), and the
    /// target has no interface. An error if there is no such thing: then an ordinary leg is asked for.
    fn dial_multipath(
        &self,
        target: LegTarget,
        service: Service,
        pipe: Arc<LegPipe>,
    ) -> Result<Arc<dyn PlatformLeg>, Failure>;
}

/// A leg that the platform has opened, or is opening.
#[uniffi::export(foreign)]
pub trait PlatformLeg: Send + Sync {
    /// Sends these bytes after all that came before.
    fn send(&self, bytes: Block) -> Result<(), Failure>;

    /// Receives once, at least one byte and `max` at most. Not asked for again before it was answered.
    fn receive(&self, max: u32) -> Result<(), Failure>;

    /// Ends the sending direction after all that was sent.
    fn finish(&self) -> Result<(), Failure>;

    /// Gives the leg up, at any time; the last call. What was sent still leaves, unless it is to be aborted: then the peer
    /// is told by a reset, where there is such a thing.
    fn close(&self, aborted: bool) -> Result<(), Failure>;
}

/// What is known of a leg that is open.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct LegFacts {
    /// The address that was reached. Without it, a further leg may reach another server of the same name.
    pub peer_address: Option<String>,
    /// The round-trip time of the handshake.
    pub rtt: Option<Duration>,
}
