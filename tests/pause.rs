//! A reader that sends PAUSE: its media stops, and goes on after the next PLAY.

use crate::support::configured_server::{ConfiguredServer, LISTEN, LISTEN_HTTP};
use crate::support::hevcast::send_pattern;
use crate::support::raw::Raw;
use crate::support::real_time;

/// How many frames must come to conclude that media flows.
const FLOWING: usize = 10;
/// How many packets the server receives during the pause, of which none may reach the reader.
const PASSED: u64 = 60;

/// The metric that counts the packets which the server has received of the stream.
fn packets(server: &ConfiguredServer) -> u64 {
    let name = "hevcast_stream_packets_total{path=\"live\"} ";
    let text = server.get("/metrics");
    text.lines().find_map(|line| line.strip_prefix(name)).map_or(0.0, |value| value.parse().unwrap()) as u64
}

#[test]
fn a_reader_pauses_and_plays_again() {
    let _real_time = real_time();
    let mut server = ConfiguredServer::start(&format!("{LISTEN}{LISTEN_HTTP}"));
    let _sender = send_pattern(&server.url("", "live"), &[]);
    let mut reader = Raw::connect(server.server.port);
    assert!(
        reader.request("OPTIONS", "live", &[], "").value("Public").is_some_and(|methods| methods.contains("PAUSE"))
    );
    reader.set_up("live");
    for _ in 0..2 {
        assert_eq!(reader.status("PLAY", "live", &["Range: npt=now-"]), 200);
        server.server.wait_for_reader("live");
        reader.wait_for_frames(FLOWING);
        assert_eq!(reader.status("PAUSE", "live", &[]), 200);
        server.server.process.stderr.expect("the pause", |line| line.contains("no longer reads live: it paused"));
        // The stream goes on, and no packet of it comes to the paused reader.
        server.wait_for_counter("hevcast_stream_packets_total{path=\"live\"}", packets(&server) + PASSED);
        assert!(reader.has_no_unread_input());
        assert_eq!(reader.status("GET_PARAMETER", "live", &[]), 200);
        assert!(reader.has_no_unread_input());
    }
    assert_eq!(reader.status("TEARDOWN", "live", &[]), 200);
}
