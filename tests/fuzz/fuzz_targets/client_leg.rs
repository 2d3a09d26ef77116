//! What a gateway, or something else, may send to a client.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| twinpath_fuzz::client_leg(data));
