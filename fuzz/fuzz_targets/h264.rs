//! Anything as a payload, a NAL unit and a byte stream of H.264. The body stands beside the code it tries.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hevcast_wire::h264::fuzz::h264(data));
