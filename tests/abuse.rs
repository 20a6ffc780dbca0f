//! Peers that say what makes no sense, or too much, or too little: they are refused or closed, and nobody else notices.

use crate::support::beside::Beside;
use crate::support::guarded::LISTEN_SECURELY;
use crate::support::raw::{Raw, frame};
use crate::support::real_time;

/// By so much a server may grow meanwhile, KiB: caches that fill, not what was sent to it.
const MOST_KIB: u64 = 8 * 1024;
const READ: &str = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1";

/// Bytes without any sense in them, the same each time.
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
    let _turn = real_time();
    let beside = Beside::start("request_timeout_s = 2\n");
    // They say nothing at all.
    let mut silent: Vec<Raw> = (0..20).map(|_| beside.connect()).collect();
    for raw in &mut silent {
        raw.wait_for_close();
    }
    // One asks once, and then no more.
    let mut once = beside.connect();
    assert_eq!(once.status("OPTIONS", "healthy", &[]), 200);
    once.wait_for_close();
    // One never gets to the end of its sentence.
    let mut slow = beside.connect();
    let long = format!("X-Long: {}", "a".repeat(10_000));
    let text = slow.text("OPTIONS", "healthy", &[&long], "");
    slow.dribble(text.as_bytes());
    // The same within a body.
    let mut slow = beside.connect();
    let text = slow.text("ANNOUNCE", "other", &["Content-Length: 5000"], "");
    assert!(slow.say(text.as_bytes()));
    slow.dribble(&[b'v'; 5000]);
    beside.wait_for_counter("hevcast_connections_ended_total{why=\"idle\"}", 23);
    beside.assert_unmoved("requests that are not whole", MOST_KIB);
}

#[test]
fn requests_that_are_too_long_or_none_at_all_are_closed_at_once() {
    let _turn = real_time();
    // So patient that closing is no matter of time.
    let beside = Beside::start("request_timeout_s = 3600\n");
    for _ in 0..20 {
        let mut raw = beside.connect();
        let text = raw.text("ANNOUNCE", "big", &["Content-Length: 10000000000"], "");
        raw.say(text.as_bytes());
        raw.wait_for_close();
        for length in ["-1", "1e3", "18446744073709551616", "5\r\nContent-Length: 6"] {
            let mut raw = beside.connect();
            let text = raw.text("ANNOUNCE", "big", &[&format!("Content-Length: {length}")], "");
            raw.say(text.as_bytes());
            raw.wait_for_close();
        }
        let mut raw = beside.connect();
        let long = format!("X-Long: {}", "a".repeat(20_000));
        let text = raw.text("OPTIONS", "healthy", &[&long], "");
        raw.say(text.as_bytes());
        raw.wait_for_close();
        // A header that never ends is closed when it is too long, and not kept until it ends.
        let mut raw = beside.connect();
        raw.say(text.trim_end().as_bytes());
        raw.wait_for_close();
    }
    let mut garbage = Garbage(1);
    for _ in 0..20 {
        for bytes in [&b"GET / HTTP/1.1\r\nHost: camera\r\n\r\n"[..], b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"] {
            let mut raw = beside.connect();
            raw.say(bytes);
            raw.wait_for_close();
        }
        let mut raw = beside.connect();
        // Not the beginning of a frame, which may be long and is waited for.
        raw.say(&[b"\x01", &garbage.bytes(30_000)[..]].concat());
        raw.wait_for_close();
    }
    for (why, least) in [("body_too_long", 20), ("header_too_long", 40), ("malformed", 140)] {
        beside.wait_for_counter(&format!("hevcast_connections_ended_total{{why=\"{why}\"}}"), least);
    }
    beside.assert_unmoved("requests that are none", MOST_KIB);
}

#[test]
fn who_does_not_shake_hands_is_closed() {
    let _turn = real_time();
    let beside = Beside::start_with("", &format!("{LISTEN_SECURELY}[limits]\nrequest_timeout_s = 2\n"));
    let connect = || Raw::connect(beside.server.secure_port());
    let mut silent: Vec<Raw> = (0..20).map(|_| connect()).collect();
    // What looks like the beginning of a hello, and what does not.
    let mut begun: Vec<Raw> = (0..20).map(|_| connect()).collect();
    for raw in &mut begun {
        assert!(raw.say(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"));
    }
    let mut plain: Vec<Raw> = (0..20).map(|_| connect()).collect();
    for raw in &mut plain {
        let text = raw.text("OPTIONS", "healthy", &[], "");
        raw.say(text.as_bytes());
    }
    for raw in silent.iter_mut().chain(&mut begun).chain(&mut plain) {
        raw.wait_for_close();
    }
    beside.wait_for_counter("hevcast_connections_refused_total{why=\"tls\"}", 60);
    beside.assert_unmoved("no handshake", MOST_KIB);
}

#[test]
fn requests_out_of_order_are_refused_and_change_nothing() {
    let _turn = real_time();
    let beside = Beside::start("");
    let mut raw = beside.connect();
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
    // None of that has spoilt it.
    raw.read("healthy");
    assert_eq!(raw.status("SETUP", "healthy/trackID=0", &[READ]), 455, "SETUP while playing");
    assert_eq!(raw.status("ANNOUNCE", "other", &[]), 455, "ANNOUNCE while playing");
    assert_eq!(raw.status("RECORD", "healthy", &[]), 455, "RECORD while playing");
    assert_eq!(raw.status("TEARDOWN", "healthy", &[]), 200);

    let mut twice = beside.connect();
    twice.set_up("healthy");
    assert_eq!(twice.status("SETUP", "healthy/trackID=0", &[READ]), 455, "SETUP of the same track");
    assert_eq!(twice.status("SETUP", "other/trackID=0", &[READ]), 459, "SETUP of another path");

    let mut publisher = beside.connect();
    let answer = publisher.ask("ANNOUNCE", "other", &[], "this describes nothing");
    assert_eq!(answer.status, 400, "{}", answer.header);
    publisher.announce("other");
    assert_eq!(publisher.status("PLAY", "other", &[]), 455, "PLAY by a publisher");
    assert_eq!(publisher.status("ANNOUNCE", "other", &[]), 455, "ANNOUNCE once more");
    assert_eq!(publisher.status("RECORD", "other", &[]), 200);
    assert_eq!(publisher.status("RECORD", "other", &[]), 455, "RECORD once more");
    assert_eq!(publisher.status("SETUP", "other/trackID=0", &[record]), 455, "SETUP while recording");

    // The path of the healthy one is taken.
    let mut second = beside.connect();
    let sdp = "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H265/90000\r\n";
    assert_eq!(second.ask("ANNOUNCE", "healthy", &["Content-Type: application/sdp"], sdp).status, 403);
    for (status, least) in
        [("400", 2), ("403", 1), ("404", 2), ("414", 1), ("455", 11), ("459", 1), ("461", 1), ("501", 1)]
    {
        beside.wait_for_counter(&format!("hevcast_requests_refused_total{{status=\"{status}\"}}"), least);
    }
    beside.assert_unmoved("requests out of order", MOST_KIB);
}

#[test]
fn nobody_gets_into_anothers_session() {
    let _turn = real_time();
    let beside = Beside::start("");
    let mut owner = beside.connect();
    owner.set_up("healthy");
    let stolen = format!("Session: {}", owner.session.clone().expect("no session id"));
    let mut thief = beside.connect();
    for method in ["SETUP", "PLAY", "TEARDOWN", "GET_PARAMETER", "OPTIONS"] {
        assert_eq!(thief.status(method, "healthy/trackID=0", &[READ, &stolen]), 454, "{method}");
    }
    assert_eq!(thief.status("PLAY", "healthy", &["Session: guess"]), 454);
    assert_eq!(owner.status("PLAY", "healthy", &[]), 200, "the owner's is untouched");
    beside.wait_for_counter("hevcast_requests_refused_total{status=\"454\"}", 6);
    beside.assert_unmoved("others' sessions", MOST_KIB);
}

#[test]
fn media_that_means_nothing_goes_nowhere() {
    let _turn = real_time();
    let beside = Beside::start("");
    let mut garbage = Garbage(2);
    // From one who is nobody, from a reader, and on channels that are nobody's.
    let mut nobody = beside.connect();
    let mut reader = beside.connect();
    reader.read("healthy");
    for channel in [0, 1, 2, 77, 255] {
        let packet = garbage.bytes(1200);
        assert!(nobody.say(&frame(channel, &packet)) && reader.say(&frame(channel, &packet)));
        assert!(nobody.say(&frame(channel, &[])) && reader.say(&frame(channel, &[])));
    }
    assert_eq!((nobody.status("OPTIONS", "x", &[]), reader.status("OPTIONS", "x", &[])), (200, 200));
    // From a publisher: a reader of its path gets what there is, or nothing.
    let mut publisher = beside.connect();
    publisher.publish("garbage");
    let mut victim = beside.connect();
    victim.read("garbage");
    for size in (0..2000).chain([65_535]) {
        let rtp = garbage.bytes(size);
        // Every other one at least begins like RTP, then like RTCP.
        let like = |mut packet: Vec<u8>, second: u8| {
            if size % 2 == 1 && packet.len() > 1 {
                (packet[0], packet[1]) = (0x80 | packet[0] & 0x3f, second);
            }
            packet
        };
        assert!(publisher.say(&frame(0, &like(rtp, 96))));
        let rtcp = garbage.bytes(size);
        let kind = 200 + (size % 8) as u8;
        assert!(publisher.say(&frame(1, &like(rtcp, kind))));
    }
    assert_eq!(publisher.status("OPTIONS", "garbage", &[]), 200);
    assert_eq!(victim.status("OPTIONS", "garbage", &[]), 200);
    // Ten from one who is nobody, and six from the reader, whose channels are two.
    beside.wait_for_counter("hevcast_stray_frames_total", 16);
    beside.wait_for_counter("hevcast_stream_bad_packets_total{path=\"garbage\"}", 500);
    beside.assert_unmoved("media that means nothing", MOST_KIB);
}
