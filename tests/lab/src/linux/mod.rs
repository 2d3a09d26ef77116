//! The lab of namespaces and TUN devices.

mod addressing;
mod cable;
mod chain;
mod emulator;
mod host;
mod link;
mod mptcp;
mod namespace;
mod netlink;
mod proxy;
mod route;
mod sys;
mod twin;
mod userns;
mod world;

pub use cable::{Cable, CableFaults, Meddling};
pub use chain::Chain;
pub use host::{Entered, Host, Task};
pub use link::LinkHandle;
pub use twin::Twin;
pub use userns::become_root_in_user_namespace;
pub use world::{World, WorldBuilder};
