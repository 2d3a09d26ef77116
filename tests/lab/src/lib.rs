//! Two links on one machine, and any fault.
//!
//! A [`World`] is a client and a server in network namespaces of their own, with links between them
//! that the lab carries in user space. The client knows a link by its device, `wlan0` or `wwan0`;
//! the server has one address, in reach over every link. Sockets, routes, events and MPTCP are the
//! kernel's own. Nothing outside is touched, and nothing is left when the process ends, however it
//! ends.
//!
//! ```no_run
//! # fn main() -> Result<(), twinpath_lab::LabError> {
//! use twinpath_lab::{Direction, LinkSpec, Rate, World};
//!
//! let slow = LinkSpec { rate: Some(Rate::mbit(5)), ..LinkSpec::cellular() };
//! let world = World::builder().link("wlan0", LinkSpec::wifi()).link("wwan0", slow).build()?;
//! let server = world.server_socket(443);
//! let wifi = world.link("wlan0");
//!
//! world.server().spawn(move || async move { /* listen on `server` */ })?.detach();
//! world.client().run(|| async move {
//!     // connect to `server`, then
//!     wifi.blackhole(Direction::Both);
//!     // and see what becomes of it
//! })?;
//!
//! let before = world.link("wwan0").counters();
//! // something that must leave cellular alone
//! world.link("wwan0").assert_payload_since(&before, 0);
//! # Ok(())
//! # }
//! ```
//!
//! # What a link does to a packet
//!
//! In this order: blackhole and dropped SYNs, stripping of option 30, random loss, the byte queue
//! with its rate, the delay, and at the server's end the NAT. The two directions are independent.
//! Every stage is counted; [`Counters`] are exact at every instant.
//!
//! # Who may have one
//!
//! Root, and an ordinary user after [`become_root_in_user_namespace`] where the system allows user
//! namespaces and lets the user open `/dev/net/tun`. Otherwise [`LabError`] says what is missing.
//! [`Loopback`] is a weaker lab that runs everywhere. Tests take their world from
//! [`world_or_skip!`].

mod available;
mod counters;
// Without namespaces only the relays of `loopback` are left to use these.
#[cfg(target_os = "linux")]
mod engine;
mod error;
#[cfg(target_os = "linux")]
mod flows;
#[cfg(target_os = "linux")]
mod linux;
mod loopback;
#[cfg(target_os = "linux")]
mod nat;
#[cfg(target_os = "linux")]
mod packet;
#[cfg(target_os = "linux")]
mod pep;
#[cfg(target_os = "linux")]
mod pipe;
mod spec;
#[cfg(not(target_os = "linux"))]
mod unsupported;

pub use available::{or_skip, skip};
pub use counters::{Counters, DirectionCounters, Drops, Times, Volume};
pub use error::LabError;
#[cfg(target_os = "linux")]
pub use linux::{
    Cable, CableFaults, Chain, Entered, Host, LinkHandle, Meddling, Task, Twin, World,
    WorldBuilder, become_root_in_user_namespace,
};
pub use loopback::{Loopback, LoopbackBuilder, LoopbackLink};
pub use spec::{Direction, End, LinkSpec, PepSpec, Rate, Rebind, Shape, StripHow, StripMode};
#[cfg(not(target_os = "linux"))]
pub use unsupported::{
    Entered, Host, LinkHandle, Task, World, WorldBuilder, become_root_in_user_namespace,
};
