//! The gateway over loopback. In one binary, which is compiled and linked once; what measures the memory of its process has one
//! of its own.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;

mod drain;
mod hostile;
mod limits;
mod listener;
mod negotiated;
mod page;
mod pressure;
mod proof;
mod raw;
mod session;
