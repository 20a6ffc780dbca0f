//! Anything as the bytes of an RTSP connection. The body stands beside the code it tries.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hevcast_wire::rtsp::fuzz::message(data));
