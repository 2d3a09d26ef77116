//! Twinpath from end to end, in the lab.
#![cfg(target_os = "linux")]

mod blackhole;
mod budget;
mod command;
mod crowd;
mod gateway_end;
mod hostile;
mod joining;
mod matrix;
mod opening;
mod raw;
