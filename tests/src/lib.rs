//! End-to-end tests of Twinpath: real sockets, real links in namespaces, real faults.
//!
//! A [`Scene`] is a world of the lab with a service and a gateway in it. A test says in a line what it needs and plays
//! in the client's place:
//!
//! ```no_run
//! use twinpath_tests::{Scene, Service};
//!
//! # fn test() {
//! Scene::before(Service::Echo).play(async |scene| {
//!     let mut client = scene.connect().await;
//!     client.chat("hello").await;
//! });
//! # }
//! ```
//!
//! Every scene has a world of its own, so that tests can run beside each other, and ends within a minute. Where the
//! machine cannot have a world, the test is skipped aloud, or fails if `TWINPATH_REQUIRE_LAB=1` is set. What the crates
//! log is shown with `TWINPATH_LOG=debug`.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    reason = "what fails here fails the test that called it"
)]

mod client;
mod command;
mod competition;
mod dialer;
mod fault;
mod foreign;
mod gateway;
mod mptcp;
mod patience;
mod peers;
mod reference;
mod scene;
mod servers;
mod service;
mod stream;
mod tale;
mod ward;
mod watched;
mod web;
mod workload;

pub use client::Client;
pub use command::{Twinpath, binary, events};
pub use dialer::{Tap, Tapping};
pub use fault::{Failover, Fault, Strike};
pub use foreign::in_lab;
pub use gateway::Gateway;
pub use mptcp::{Family, Trouble, Work};
pub use patience::{LIMIT, ms, soon};
pub use peers::{Nginx, curl};
pub use scene::{CELLULAR, PORT, Scene, SceneBuilder, VPN, WIFI};
pub use servers::{RunningServer, Server};
pub use service::{Book, Service, Visit};
pub use stream::{Hash, Pattern, Tally};
pub use tale::Tale;
pub use ward::{Said, Speaks, Ward, ask_doctor, serve_mptcp};
pub use watched::{claims, endpoints, left_as, taken_out};
pub use web::{Entry, Identity, Make, RealServer, WebBook, WebProxy, WebServer, content};
pub use workload::Workload;
