//! Two honest ends over legs that come and go.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| twinpath_fuzz::session_pair(data));
