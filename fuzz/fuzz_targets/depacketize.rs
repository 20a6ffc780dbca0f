//! RTP packets of any content through the depacketizer. The body stands beside the code it tries.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hevcast_wire::rtp::fuzz::depacketize(data));
