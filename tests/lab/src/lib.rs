//! Two links on one machine, and any fault.

mod available;
mod counters;
mod engine;
mod error;
mod flows;
#[cfg(target_os = "linux")]
mod linux;
mod loopback;
mod nat;
mod packet;
mod pep;
mod pipe;
mod spec;

pub use available::or_skip;
pub use counters::{Counters, DirectionCounters, Drops, Volume};
pub use error::LabError;
#[cfg(target_os = "linux")]
pub use linux::{
    Entered, Host, LinkHandle, Task, World, WorldBuilder, become_root_in_user_namespace,
};
pub use loopback::{Loopback, LoopbackBuilder, LoopbackLink};
pub use spec::{Direction, End, LinkSpec, PepSpec, Rate, Rebind, Shape, StripMode};
