//! Video messages of any content through the unpacker. The body stands beside the code it tries.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hevcast_wire::rtmp::fuzz::video(data));
