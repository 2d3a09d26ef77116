//! The session between two virtual ends. In one binary, which is compiled and linked once.

#![allow(clippy::unwrap_used, reason = "these are tests")]

#[path = "../sim/mod.rs"]
mod sim;

mod adversity;
mod calm;
mod credit;
mod failover;
mod going_back;
mod hedging;
mod joining;
mod lifetime;
mod opening;
mod proving;
mod silence;
mod slow_links;
mod versions;
