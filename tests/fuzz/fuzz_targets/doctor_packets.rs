//! What arrives at `twinpath doctor` from the network.
#![no_main]

#[path = "../src/packets.rs"]
mod packets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| packets::doctor_packets(data));
