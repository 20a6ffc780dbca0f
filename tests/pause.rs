//! A reader that pauses: what flows to it stops, and goes on when it plays again.

use crate::support::guarded::{Guarded, LISTEN, LISTEN_HTTP};
use crate::support::hevcast::send_pattern;
use crate::support::raw::Raw;
use crate::support::real_time;

/// Frames that must come before it is believed that they flow.
const FLOWING: usize = 10;
/// Packets that pass meanwhile, some seconds' worth, of which none may come.
const PASSED: u64 = 60;

/// What the server has received of the stream, packets.
fn packets(server: &Guarded) -> u64 {
    let name = "hevcast_stream_packets_total{path=\"live\"} ";
    let text = server.get("/metrics");
    text.lines().find_map(|line| line.strip_prefix(name)).map_or(0.0, |value| value.parse().unwrap()) as u64
}

#[test]
fn a_reader_pauses_and_plays_again() {
    let _turn = real_time();
    let mut server = Guarded::start(&format!("{LISTEN}{LISTEN_HTTP}"));
    let _sender = send_pattern(&server.url("", "live"), &[]);
    let mut reader = Raw::connect(server.server.port);
    assert!(reader.ask("OPTIONS", "live", &[], "").value("Public").is_some_and(|methods| methods.contains("PAUSE")));
    reader.set_up("live");
    for _ in 0..2 {
        assert_eq!(reader.status("PLAY", "live", &["Range: npt=now-"]), 200);
        server.server.wait_for_reader("live");
        reader.wait_for_frames(FLOWING);
        assert_eq!(reader.status("PAUSE", "live", &[]), 200);
        server.server.process.stderr.expect("the pause", |line| line.contains("no longer reads live: it paused"));
        // The stream goes on, and nothing of it comes here.
        server.wait_for_counter("hevcast_stream_packets_total{path=\"live\"}", packets(&server) + PASSED);
        assert!(reader.is_quiet());
        assert_eq!(reader.status("GET_PARAMETER", "live", &[]), 200);
        assert!(reader.is_quiet());
    }
    assert_eq!(reader.status("TEARDOWN", "live", &[]), 200);
}
