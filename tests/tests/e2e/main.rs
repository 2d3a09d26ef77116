//! Twinpath from end to end, in the lab.
#![cfg(target_os = "linux")]

mod blackhole;
mod matrix;
