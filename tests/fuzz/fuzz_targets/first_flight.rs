//! The first bytes that a gateway reads.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| twinpath_fuzz::first_flight(data));
