//! Anything as what a server says to a player's session. The body stands beside the code it tries.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hevcast_wire::rtsp::fuzz::player(data, std::time::Instant::now()));
