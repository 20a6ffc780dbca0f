//! Anything as what an RTMP server says to a client's session. The body stands beside the code it tries.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hevcast_wire::rtmp::fuzz::session(data, std::time::Instant::now()));
