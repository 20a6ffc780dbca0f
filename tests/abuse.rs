//! Peers that send invalid, too many or too few bytes: they are refused or their connections closed, and nobody else is
//! affected.

use crate::support::configured_server::LISTEN_SECURELY;
use crate::support::healthy_stream::HealthyStream;
use crate::support::raw::{Raw, frame};
use crate::support::real_time_shared;

/// By how much the server's memory may grow, in KiB: for caches that fill, and less than what is sent to it.
const MOST_KIB: u64 = 8 * 1024;
const READ: &str = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1";

/// Pseudo-random bytes, the same in each run.
struct Garbage(u64);

impl Garbage {
    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut next = || {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 as u8
        };
        (0..count).map(|_| next()).collect()
    }
}

#[test]
fn requests_that_never_become_whole_are_closed() {
    let _real_time = real_time_shared();
    let healthy = HealthyStream::start("request_timeout_s = 2\n");
    // Connections that send nothing at all.
    let mut silent: Vec<Raw> = (0..20).map(|_| healthy.connect()).collect();
    for raw in &mut silent {
        raw.wait_for_close();
    }
    // A connection that sends one request, and then no more.
    let mut once = healthy.connect();
    assert_eq!(once.status("OPTIONS", "healthy", &[]), 200);
    once.wait_for_close();
    // A connection that never completes a request.
    let mut slow = healthy.connect();
    let long = format!("X-Long: {}", "a".repeat(10_000));
    let text = slow.text("OPTIONS", "healthy", &[&long], "");
    slow.send_slowly(text.as_bytes());
    // A connection that never completes a body.
    let mut slow = healthy.connect();
    let text = slow.text("ANNOUNCE", "other", &["Content-Length: 5000"], "");
    assert!(slow.send(text.as_bytes()));
    slow.send_slowly(&[b'v'; 5000]);
    healthy.wait_for_counter("hevcast_connections_ended_total{why=\"idle\"}", 23);
    healthy.assert_unaffected("requests that are not whole", MOST_KIB);
}

#[test]
fn requests_that_are_too_long_or_none_at_all_are_closed_at_once() {
    let _real_time = real_time_shared();
    // The timeout is so long that connections are not closed because of it.
    let healthy = HealthyStream::start("request_timeout_s = 3600\n");
    for _ in 0..20 {
        let mut raw = healthy.connect();
        let text = raw.text("ANNOUNCE", "big", &["Content-Length: 10000000000"], "");
        raw.send(text.as_bytes());
        raw.wait_for_close();
        for length in ["-1", "1e3", "18446744073709551616", "5\r\nContent-Length: 6"] {
            let mut raw = healthy.connect();
            let text = raw.text("ANNOUNCE", "big", &[&format!("Content-Length: {length}")], "");
            raw.send(text.as_bytes());
            raw.wait_for_close();
        }
        let mut raw = healthy.connect();
        let long = format!("X-Long: {}", "a".repeat(20_000));
        let text = raw.text("OPTIONS", "healthy", &[&long], "");
        raw.send(text.as_bytes());
        raw.wait_for_close();
        // A header without end is refused as soon as it is too long, and not buffered until its end.
        let mut raw = healthy.connect();
        raw.send(text.trim_end().as_bytes());
        raw.wait_for_close();
    }
    let mut garbage = Garbage(1);
    for _ in 0..20 {
        for bytes in [&b"GET / HTTP/1.1\r\nHost: camera\r\n\r\n"[..], b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"] {
            let mut raw = healthy.connect();
            raw.send(bytes);
            raw.wait_for_close();
        }
        let mut raw = healthy.connect();
        // The bytes do not begin like an interleaved frame, whose end would be awaited.
        raw.send(&[b"\x01", &garbage.bytes(30_000)[..]].concat());
        raw.wait_for_close();
    }
    for (why, least) in [("body_too_long", 20), ("header_too_long", 40), ("malformed", 140)] {
        healthy.wait_for_counter(&format!("hevcast_connections_ended_total{{why=\"{why}\"}}"), least);
    }
    healthy.assert_unaffected("requests that are none", MOST_KIB);
}

#[test]
fn a_connection_without_a_tls_handshake_is_closed() {
    let _real_time = real_time_shared();
    let healthy = HealthyStream::start_with("", &format!("{LISTEN_SECURELY}[limits]\nrequest_timeout_s = 2\n"));
    let connect = || Raw::connect(healthy.server.secure_port());
    let mut silent: Vec<Raw> = (0..20).map(|_| connect()).collect();
    // Bytes that look like the beginning of a TLS ClientHello, and bytes that do not.
    let mut begun: Vec<Raw> = (0..20).map(|_| connect()).collect();
    for raw in &mut begun {
        assert!(raw.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"));
    }
    let mut plain: Vec<Raw> = (0..20).map(|_| connect()).collect();
    for raw in &mut plain {
        let text = raw.text("OPTIONS", "healthy", &[], "");
        raw.send(text.as_bytes());
    }
    for raw in silent.iter_mut().chain(&mut begun).chain(&mut plain) {
        raw.wait_for_close();
    }
    healthy.wait_for_counter("hevcast_connections_refused_total{why=\"tls\"}", 60);
    healthy.assert_unaffected("no handshake", MOST_KIB);
}

#[test]
fn requests_out_of_order_are_refused_and_change_nothing() {
    let _real_time = real_time_shared();
    let healthy = HealthyStream::start("");
    let mut raw = healthy.connect();
    assert_eq!(raw.status("PLAY", "healthy", &[]), 455, "PLAY before SETUP");
    assert_eq!(raw.status("RECORD", "healthy", &[]), 455, "RECORD before ANNOUNCE");
    let record = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1;mode=record";
    assert_eq!(raw.status("SETUP", "healthy/trackID=0", &[record]), 455, "SETUP for sending before ANNOUNCE");
    assert_eq!(raw.status("SETUP", "healthy/trackID=7", &[READ]), 404, "a track that is none");
    assert_eq!(raw.status("SETUP", "healthy/trackID=0", &["Transport: RTP/AVP;unicast;client_port=1-2"]), 461);
    assert_eq!(raw.status("SETUP", "healthy/trackID=0", &[]), 400, "no transport");
    assert_eq!(raw.status("DESCRIBE", "nothing", &[]), 404);
    assert_eq!(raw.status("DESCRIBE", &"a".repeat(300), &[]), 414);
    assert_eq!(raw.status("DANCE", "healthy", &[]), 501);
    // The connection still works after all of that.
    raw.read("healthy");
    assert_eq!(raw.status("SETUP", "healthy/trackID=0", &[READ]), 455, "SETUP while playing");
    assert_eq!(raw.status("ANNOUNCE", "other", &[]), 455, "ANNOUNCE while playing");
    assert_eq!(raw.status("RECORD", "healthy", &[]), 455, "RECORD while playing");
    assert_eq!(raw.status("TEARDOWN", "healthy", &[]), 200);

    let mut twice = healthy.connect();
    twice.set_up("healthy");
    assert_eq!(twice.status("SETUP", "healthy/trackID=0", &[READ]), 455, "SETUP of the same track");
    assert_eq!(twice.status("SETUP", "other/trackID=0", &[READ]), 459, "SETUP of another path");

    let mut publisher = healthy.connect();
    let answer = publisher.request("ANNOUNCE", "other", &[], "this describes nothing");
    assert_eq!(answer.status, 400, "{}", answer.header);
    publisher.announce("other");
    assert_eq!(publisher.status("PLAY", "other", &[]), 455, "PLAY by a publisher");
    assert_eq!(publisher.status("ANNOUNCE", "other", &[]), 455, "ANNOUNCE once more");
    assert_eq!(publisher.status("RECORD", "other", &[]), 200);
    assert_eq!(publisher.status("RECORD", "other", &[]), 455, "RECORD once more");
    assert_eq!(publisher.status("SETUP", "other/trackID=0", &[record]), 455, "SETUP while recording");

    // The path of the healthy stream is taken.
    let mut second = healthy.connect();
    let sdp = "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H265/90000\r\n";
    assert_eq!(second.request("ANNOUNCE", "healthy", &["Content-Type: application/sdp"], sdp).status, 403);
    for (status, least) in
        [("400", 2), ("403", 1), ("404", 2), ("414", 1), ("455", 11), ("459", 1), ("461", 1), ("501", 1)]
    {
        healthy.wait_for_counter(&format!("hevcast_requests_refused_total{{status=\"{status}\"}}"), least);
    }
    healthy.assert_unaffected("requests out of order", MOST_KIB);
}

#[test]
fn nobody_gets_into_anothers_session() {
    let _real_time = real_time_shared();
    let healthy = HealthyStream::start("");
    let mut owner = healthy.connect();
    owner.set_up("healthy");
    let stolen = format!("Session: {}", owner.session.clone().expect("no session id"));
    let mut thief = healthy.connect();
    for method in ["SETUP", "PLAY", "TEARDOWN", "GET_PARAMETER", "OPTIONS"] {
        assert_eq!(thief.status(method, "healthy/trackID=0", &[READ, &stolen]), 454, "{method}");
    }
    assert_eq!(thief.status("PLAY", "healthy", &["Session: guess"]), 454);
    assert_eq!(owner.status("PLAY", "healthy", &[]), 200, "the owner's is untouched");
    healthy.wait_for_counter("hevcast_requests_refused_total{status=\"454\"}", 6);
    healthy.assert_unaffected("others' sessions", MOST_KIB);
}

#[test]
fn media_that_means_nothing_goes_nowhere() {
    let _real_time = real_time_shared();
    let healthy = HealthyStream::start("");
    let mut garbage = Garbage(2);
    // From a connection without a role, from a reader, and on channels of no track.
    let mut nobody = healthy.connect();
    let mut reader = healthy.connect();
    reader.read("healthy");
    for channel in [0, 1, 2, 77, 255] {
        let packet = garbage.bytes(1200);
        assert!(nobody.send(&frame(channel, &packet)) && reader.send(&frame(channel, &packet)));
        assert!(nobody.send(&frame(channel, &[])) && reader.send(&frame(channel, &[])));
    }
    assert_eq!((nobody.status("OPTIONS", "x", &[]), reader.status("OPTIONS", "x", &[])), (200, 200));
    // From a publisher: a reader of its path gets the bytes as they are, or nothing.
    let mut publisher = healthy.connect();
    publisher.publish("garbage");
    let mut victim = healthy.connect();
    victim.read("garbage");
    for size in (0..2000).chain([65_535]) {
        let rtp = garbage.bytes(size);
        // Every other packet begins like RTP, and then like RTCP.
        let like = |mut packet: Vec<u8>, second: u8| {
            if size % 2 == 1 && packet.len() > 1 {
                (packet[0], packet[1]) = (0x80 | packet[0] & 0x3f, second);
            }
            packet
        };
        assert!(publisher.send(&frame(0, &like(rtp, 96))));
        let rtcp = garbage.bytes(size);
        let kind = 200 + (size % 8) as u8;
        assert!(publisher.send(&frame(1, &like(rtcp, kind))));
    }
    assert_eq!(publisher.status("OPTIONS", "garbage", &[]), 200);
    assert_eq!(victim.status("OPTIONS", "garbage", &[]), 200);
    // Ten from the connection without a role, and six from the reader, which has two channels.
    healthy.wait_for_counter("hevcast_stray_frames_total", 16);
    healthy.wait_for_counter("hevcast_stream_bad_packets_total{path=\"garbage\"}", 500);
    healthy.assert_unaffected("media that means nothing", MOST_KIB);
}
