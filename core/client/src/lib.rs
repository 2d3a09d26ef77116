//! A connection with cellular backup, for any app.
//!
//! Wi-Fi carries the connection and the phone's cellular link stands by. When Wi-Fi disappears **or stops answering**,
//! the bytes go on over cellular: none lost, none twice, none out of order. When Wi-Fi is healthy again, they go back.
//!
//! ```no_run
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! use twinpath::{Connector, Peer, ServiceType};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let connector = Connector::builder().service(ServiceType::Handover).peer(Peer::Gateway).build()?;
//! let mut connection = connector.connect("gateway.example.com:443").await?;
//! let mut events = connection.events();
//! tokio::spawn(async move {
//!     while let Some(event) = events.next().await {
//!         println!("{}", event.kind());
//!     }
//! });
//! connection.write_all(b"hello").await?;
//! let mut answer = [0; 5];
//! connection.read_exact(&mut answer).await?;
//! let summary = connection.close().await;
//! println!("{} failovers, worst stall {:?}", summary.failovers, summary.worst_stall);
//! # Ok(())
//! # }
//! ```
//!
//! # What a connection can promise
//!
//! | peer | mode | when the path dies |
//! |---|---|---|
//! | a Twinpath gateway | [`Mode::Emulated`] | the stream goes on over the other path, lossless between this end and the gateway |
//! | any server that speaks MPTCP, from Linux with an MPTCP endpoint for the backup, or `CAP_NET_ADMIN` to [add one](mptcp) | [`Mode::KernelMptcp`] | the kernel moves the stream; [`Protection`] says whether it can |
//! | any server, by a platform's own MPTCP ([`ConnectorBuilder::multipath_entitlement`]) | [`Mode::KernelMptcp`] | the platform moves the stream if it has become MPTCP, which nobody tells: it is never called protected |
//! | any server | [`Mode::PlainPair`] | connecting survives a dead path; a connection that is up ends with [`Interrupted`] within about a quarter of a second, [an exchange](Connection::exchange) that may be repeated goes on, and so do requests of the HTTP client |
//! | either, with one usable path | [`Mode::SinglePath`] | a session with a gateway waits for a path to come back |
//!
//! The mode, the reason for it and the present [`Protection`] can always be read; nothing degrades silently.
//!
//! # One path where it is demanded
//!
//! A socket bound to an interface bypasses a VPN. So with a VPN in force, with a mandated proxy, or towards a private or
//! local target, a connection takes the system's route, on one path, and tells the reason
//! ([`Connection::mode_reason`]). [`ConnectorBuilder::respect_mandates`] turns this off, and so does naming an
//! interface.
//!
//! # Cellular costs money
//!
//! While the primary path is good, the backup carries nothing. What all connections of a connector together may spend on
//! it is bounded by a [`Budget`]: 50 MB a day unless set otherwise, and nothing while roaming or saving data. The kernel's
//! MPTCP knows of no budget: it is chosen only where its endpoint has the backup flag and something is left to spend.

mod budget;
mod chunks;
pub mod clock;
mod connection;
mod connector;
mod detect;
#[cfg(feature = "diagnosis")]
pub mod diagnosis;
mod dialer;
pub mod driver;
mod error;
mod events;
#[cfg(feature = "faults")]
pub mod faults;
#[cfg(feature = "http")]
pub mod http;
mod inner;
mod kernel;
mod mode;
mod monitor;
pub mod mptcp;
mod pair;
mod plain;
pub mod pool;
mod record;
mod split;
mod stats;
mod target;
#[cfg(feature = "tls")]
pub mod tls;
#[cfg(feature = "tower")]
mod tower;

pub use budget::Budget;
pub use chunks::Chunks;
pub use connection::Connection;
pub use connector::{Connector, ConnectorBuilder, InterfaceSelector, Peer, connect_with_backup};
pub use dialer::{Dialer, Path, SocketDialer};
pub use error::{Attempt, BuildError, ConnectError, ErrorKind};
pub use events::{Event, EventKind, Events, PathName};
pub use mode::{Mode, ModeReason, PathInfo, Protection, Unprotected};
pub use monitor::Monitor;
pub use pair::{Interrupted, InterruptedCause};
pub use split::{ReadHalf, WriteHalf};
pub use stats::{ConnectionStats, ConnectionSummary, PathStats, PathSummary};
pub use target::Target;
pub use twinpath_proto::{
    FailoverReason, LegDownReason, Refusal, ResetCode, Role, ServiceType, SessionError, Standby,
    UnprotectedReason,
};
pub use twinpath_socket::{
    Cost, DefaultRoute, Interface, InterfaceKind, feed_interfaces, feed_proxy, unfeed_interfaces,
};

/// The example of the README, so that it keeps compiling.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
