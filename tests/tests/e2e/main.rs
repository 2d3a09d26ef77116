//! Twinpath from end to end, in the lab.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a step that fails fails the test")]

mod blackhole;
mod budget;
mod command;
mod crossing;
mod crowd;
mod doctor;
mod endpoints;
mod gateway_end;
mod hostile;
mod ipv6;
mod joining;
mod kernel;
mod kernel_calm;
mod kernel_failover;
mod kernel_many;
mod leases;
mod lifecycle;
mod matrix;
mod mptcp_command;
mod opening;
mod pair;
mod raw;
mod relief;
mod web;
