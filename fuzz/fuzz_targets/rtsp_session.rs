//! Anything as what a peer says to a server's session, and whatever the server decides. The body stands beside the code it
//! tries.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hevcast_wire::rtsp::fuzz::session(data, std::time::Instant::now()));
