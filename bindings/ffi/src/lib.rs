//! What Swift and Kotlin call: a thin surface over [`twinpath`], made for uniffi.
//!
//! Apps do not use it as it is generated; the APIs in `bindings/swift` and `bindings/kotlin` are written over it.
//!
//! # How calls wait
//!
//! A call that takes or gives bytes never waits, and one that waits takes or gives nothing: `try_read` and `readable`,
//! `try_write` and `writable`, `try_next` and `ready`. So a wait can be cancelled at any moment, by dropping its future
//! (Kotlin) or with a [`Cancellation`] (Swift, whose tasks do not tell Rust), and no byte and no event is lost.
//!
//! What takes time, sockets and timers included, happens in a runtime of the library's own. A caller's thread copies its
//! own bytes, and nothing else.

#![allow(
    clippy::needless_pass_by_value,
    reason = "uniffi hands values over, not references"
)]

mod block;
mod connection;
mod connector;
#[cfg(feature = "diagnosis")]
mod diagnosis;
mod error;
mod events;
#[cfg(feature = "faults")]
mod faults;
#[cfg(feature = "http")]
mod http;
mod legs;
mod lent;
mod logging;
mod names;
mod networks;
mod options;
mod runtime;
mod signal;
mod stats;
mod wait;

pub use block::Block;
pub use connection::Connection;
pub use connector::{Budget, Connector, Hooks};
#[cfg(feature = "diagnosis")]
pub use diagnosis::diagnose;
pub use error::{Failure, Interruption, Kind};
pub use events::{Event, Events};
#[cfg(feature = "faults")]
pub use faults::{Fault, FaultInjection};
#[cfg(feature = "http")]
pub use http::{
    Answer, Head, Header, HttpClient, HttpOptions, PathUse, Payload, Progress, Request,
    RequestSummary, ServerTrust, TlsOptions,
};
pub use legs::{CellularUse, LegDialer, LegFacts, LegInterface, LegPipe, LegTarget, PlatformLeg};
pub use logging::{LogLevel, LogSink, set_log_sink};
pub use names::{Cost, InterfaceKind, Mode, Peer, Role, Service, Standby};
pub use networks::{Families, Network, set_networks, set_proxy_mandated};
pub use options::{ConnectorOptions, InterfaceChoice, PeerRule};
pub use stats::{PathName, PathStats, PathSummary, Protection, Stats, Summary, UnprotectedTime};
pub use wait::Cancellation;

uniffi::setup_scaffolding!("twinpath_ffi");

/// The version of the library.
#[uniffi::export]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}
