//! The server half of Twinpath.
//!
//! A client that has a backup path opens a *session*: one byte stream over several TCP connections, its legs. This
//! crate ends sessions and everything else that arrives on the same port:
//!
//! * [`Listener`] is for servers written in Rust: its connections are read and written like sockets, whether they are
//!   sessions or the plain connections of clients that know nothing of them.
//! * [`Forwarder`] stands before an unchanged TCP service and forwards both kinds to it, with the
//!   [PROXY protocol](ProxyProtocol) where the service wants to know its clients.
//!
//! The first bytes of a connection tell which kind it is; a raw one is told at the first byte that no session begins
//! with, and everything it says is handed on untouched: half-closes and resets as well as bytes.
//!
//! Both are bounded in every respect ([`Limits`]), count what they do in the Prometheus text format, and end in order
//! ([`ShutdownHandle`]): while draining they take nothing new, but joins stay welcome, so that a session survives the
//! loss of its Wi-Fi up to its last byte.

mod accept;
mod caps;
mod carry;
mod census;
mod clock;
mod config;
mod door;
mod drain;
mod error;
mod forward;
mod gate;
mod keyfile;
mod ledger;
mod listener;
mod metrics;
mod negotiated;
mod proxy_protocol;
mod raw;
mod seldom;
mod splice;
mod sweep;
mod trials;
mod upstream;

pub use config::{Limits, ListenerConfig};
pub use drain::{ExitReport, Phase, ShutdownHandle};
pub use error::{BuildError, KeyFileError};
pub use forward::{Forwarder, ForwarderBuilder};
pub use gate::PeerInfo;
pub use keyfile::KeyFile;
pub use listener::{Accepted, Listener};
pub use proxy_protocol::ProxyProtocol;
pub use raw::RawStream;
pub use twinpath::Connection;
pub use twinpath_proto::{JoinAddress, PublicKey, StaticKey};
