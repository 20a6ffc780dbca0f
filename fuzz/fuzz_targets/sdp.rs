//! Anything as a session description. The body stands beside the code it tries.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hevcast_wire::rtsp::fuzz::sdp(data));
