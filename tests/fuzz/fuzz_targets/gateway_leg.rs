//! What a client may send to a gateway once it has a session.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| twinpath_fuzz::gateway_leg(data));
