//! PAUSE (RFC 2326 section 10.6): what flows stops, the session stays.

use std::time::Duration;

use super::server::SESSION_TIMEOUT;
use super::tests::{Server, World, description};

/// Sends requests; the last answer.
fn ask(server: &mut Server, world: &World, text: &str) -> String {
    String::from_utf8(server.exchange(text.as_bytes(), world)).unwrap()
}

fn request(method: &str, headers: &str) -> String {
    format!("{method} rtsp://h/live RTSP/1.0\r\nCSeq: 1\r\nSession: c0ffee\r\n{headers}\r\n")
}

#[test]
fn a_reader_pauses_and_plays_again_as_often_as_it_likes() {
    let mut world = World::new(0);
    let mut server = Server::new(&world);
    let setup = "SETUP rtsp://h/live/trackID=0 RTSP/1.0\r\nCSeq: 1\r\nTransport: RTP/AVP/TCP;interleaved=2-3\r\n\r\n";
    assert!(ask(&mut server, &world, setup).contains(" 200 "));
    assert!(ask(&mut server, &world, &request("OPTIONS", "")).contains(", PAUSE,"));
    for round in 0..3 {
        let played = ask(&mut server, &world, &request("PLAY", "Range: npt=now-\r\n"));
        assert!(played.contains(" 200 ") && played.contains("Range: npt=now-"), "{played}");
        let paused = ask(&mut server, &world, &request("PAUSE", ""));
        assert!(paused.contains(" 200 ") && paused.contains("Session: c0ffee;"), "{paused}");
        // A second press changes nothing.
        assert!(ask(&mut server, &world, &request("PAUSE", "")).contains(" 200 "));
        assert_eq!(server.log.iter().filter(|event| *event == "pause").count(), round + 1);
        // It lives by what is heard of it, be it a keepalive or a report on its channel.
        world.pass(SESSION_TIMEOUT / 2);
        assert!(ask(&mut server, &world, &request("GET_PARAMETER", "")).contains(" 200 "));
        world.pass(SESSION_TIMEOUT / 2);
        server.exchange(b"$\x03\x00\x01x", &world);
        assert_eq!(server.session.deadline(), world.server().instant + SESSION_TIMEOUT);
        world.pass(Duration::from_secs(1));
    }
    assert_eq!(server.session.stray_frames, 0, "its channels are its own, playing or not");
    assert!(ask(&mut server, &world, &request("TEARDOWN", "")).contains(" 200 "));
    assert!(ask(&mut server, &world, &request("PAUSE", "")).contains(" 455 "), "nothing is left to pause");
}

#[test]
fn a_publishers_pause_is_taken_for_what_it_is() {
    let world = World::new(0);
    let mut server = Server::new(&world);
    let sdp = description();
    let announce = format!("Content-Length: {}\r\n\r\n{}", sdp.len(), String::from_utf8_lossy(&sdp));
    let announce = format!("ANNOUNCE rtsp://h/live RTSP/1.0\r\nCSeq: 1\r\n{announce}");
    assert!(ask(&mut server, &world, &announce).contains(" 200 "));
    let setup = "SETUP rtsp://h/live/trackID=0 RTSP/1.0\r\nCSeq: 1\r\nTransport: RTP/AVP/TCP;mode=record\r\n\r\n";
    assert!(ask(&mut server, &world, setup).contains(" 200 "));
    for strays in 1..3 {
        assert!(ask(&mut server, &world, &request("RECORD", "")).contains(" 200 "));
        server.exchange(b"$\x00\x00\x01x", &world);
        assert_eq!(server.session.stray_frames, strays - 1);
        assert!(ask(&mut server, &world, &request("PAUSE", "")).contains(" 200 "));
        server.exchange(b"$\x00\x00\x01x", &world);
        assert_eq!(server.session.stray_frames, strays, "what comes all the same means nothing");
    }
    let events = server.log.iter().filter(|event| *event == "Record").count();
    assert_eq!(events, 2, "RECORD goes on with the same stream: {:?}", server.log);
}
