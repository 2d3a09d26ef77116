//! The lab of namespaces and TUN devices.

mod addressing;
mod emulator;
mod host;
mod link;
mod namespace;
mod netlink;
mod route;
mod sys;
mod world;

pub use host::{Entered, Host, Task};
pub use link::LinkHandle;
pub use world::{World, WorldBuilder};
