//! A player at cameras that are odd: how they answer, where they want to be asked, and what they send on which channel.

use std::time::{Duration, Instant};

use bytes::BytesMut;
use rtsp_types::Url;

use super::player::{PlayerEvent, PlayerSession};
use super::{ClientSession, SessionError};
use crate::rtp::interleave;
use crate::rtsp::message::MessageDecoder;
use crate::session::Session;
use crate::time::{Now, UtcMicros};

/// What a camera does when it is asked; the default is right.
struct Camera {
    url: &'static str,
    /// Headers of DESCRIBE's answer.
    describe: &'static str,
    sdp: &'static str,
    /// The only URLs that it knows for SETUP and for PLAY; any, where there is none.
    setup: Option<&'static str>,
    play: Option<&'static str>,
    /// What it says to others.
    refusal: &'static str,
    transport: &'static str,
    /// Writes the status line and the headers of an answer; gets the request's method and CSeq.
    write: fn(&str, u32, &str) -> String,
}

fn plainly(_: &str, cseq: u32, status: &str) -> String {
    format!("RTSP/1.0 {status}\r\nCSeq: {cseq}\r\n")
}

const SDP: &str =
    "v=0\r\nm=video 0 RTP/AVP 96 97\r\na=rtpmap:96 H265/90000\r\na=rtpmap:97 rtx/90000\r\na=control:trackID=1\r\n";

const RIGHT: Camera = Camera {
    url: "rtsp://h:8554/live",
    describe: "Content-Base: rtsp://h:8554/live/\r\n",
    sdp: SDP,
    setup: None,
    play: None,
    refusal: "404 Not Found",
    transport: "RTP/AVP/TCP;unicast;interleaved=0-1",
    write: plainly,
};

/// A player at a camera, and what it has asked.
struct Bench {
    camera: Camera,
    session: PlayerSession,
    decoder: MessageDecoder,
    now: Now,
    asked: Vec<String>,
}

impl Bench {
    fn new(camera: Camera) -> Bench {
        let now = Now { instant: Instant::now(), utc: UtcMicros(0) };
        let session = PlayerSession::new(Url::parse(camera.url).unwrap(), None, "test", now);
        Bench { camera, session, decoder: MessageDecoder::of_server(), now, asked: Vec::new() }
    }

    /// The camera's answer to a request.
    fn answer(&mut self, request: &str) -> Vec<u8> {
        let mut words = request.split(' ');
        let (method, url) = (words.next().unwrap(), words.next().unwrap());
        let cseq = request.lines().nth(1).and_then(|line| line.strip_prefix("CSeq: ")).expect("CSeq first");
        self.asked.push(format!("{method} {url}"));
        let camera = &self.camera;
        let known = match method {
            "SETUP" => camera.setup,
            "PLAY" => camera.play,
            _ => None,
        };
        let status = if known.is_none_or(|known| known == url) { "200 OK" } else { camera.refusal };
        let mut text = (camera.write)(method, cseq.parse().unwrap(), status);
        let (headers, body) = match method {
            "DESCRIBE" => (format!("{}Content-Length: {}\r\n", camera.describe, camera.sdp.len()), camera.sdp),
            "SETUP" => (format!("Transport: {}\r\nSession: 1\r\n", camera.transport), ""),
            "OPTIONS" => ("Public: DESCRIBE, SETUP, PLAY, GET_PARAMETER\r\n".to_owned(), ""),
            _ => (String::new(), ""),
        };
        text.push_str(&headers);
        text.push_str("\r\n");
        text.push_str(body);
        text.into_bytes()
    }

    fn hear(&mut self, bytes: &[u8]) -> Result<(), SessionError> {
        let mut buffer = BytesMut::from(bytes);
        while let Some(message) = self.decoder.decode(&mut buffer).unwrap() {
            self.session.handle_input(message, self.now)?;
        }
        assert!(buffer.is_empty(), "a message was cut: {buffer:?}");
        Ok(())
    }

    /// Answers whatever is asked, until nothing is.
    fn converse(&mut self) -> Result<(), SessionError> {
        while let Some(bytes) = self.session.poll_transmit() {
            let answer = self.answer(std::str::from_utf8(&bytes).unwrap());
            self.hear(&answer)?;
        }
        Ok(())
    }

    fn events(&mut self) -> Vec<PlayerEvent> {
        std::iter::from_fn(|| self.session.poll_event()).collect()
    }

    fn plays(&mut self) -> bool {
        self.converse().unwrap();
        matches!(&self.events()[..], [PlayerEvent::Playing(_)])
    }
}

#[test]
fn the_address_that_the_camera_knows_is_found() {
    let is_found = |camera: Camera| {
        let what = format!("{} {} {:?}", camera.url, camera.describe, camera.setup);
        let mut bench = Bench::new(camera);
        assert!(bench.plays(), "{what}: {:?}", bench.asked);
        bench.asked
    };
    for refusal in ["404 Not Found", "400 Bad Request", "451 Parameter Not Understood", "454 Session Not Found"] {
        for (url, setup) in [
            ("rtsp://h:8554/live?x=1", "rtsp://h:8554/live?x=1/trackID=1"),
            ("rtsp://h:8554/live?x=1", "rtsp://h:8554/live/trackID=1?x=1"),
            ("rtsp://h:8554/live?x=1", "rtsp://h:8554/trackID=1"),
            ("rtsp://h:8554/live", "rtsp://h:8554/live/trackID=1"),
            ("rtsp://h:8554/", "rtsp://h:8554/trackID=1"),
            ("rtsp://h:8554/?inst=2&x=4", "rtsp://h:8554/?inst=2&x=4/trackID=1"),
        ] {
            is_found(Camera { url, setup: Some(setup), describe: "", refusal, ..RIGHT });
        }
        for setup in ["rtsp://10.0.0.9:554/live/trackID=1", "rtsp://h:8554/live/trackID=1"] {
            is_found(Camera {
                setup: Some(setup),
                describe: "Content-Base: rtsp://10.0.0.9:554/live/\r\n",
                refusal,
                ..RIGHT
            });
        }
        for play in ["rtsp://h:8554/live/", "rtsp://h:8554/live", "rtsp://h:8554/live/trackID=1"] {
            let asked = is_found(Camera { play: Some(play), refusal, ..RIGHT });
            assert_eq!(asked.last().unwrap(), &format!("PLAY {play}"));
        }
    }
    let asked = is_found(RIGHT);
    assert_eq!(
        asked[2..],
        ["SETUP rtsp://h:8554/live/trackID=1", "PLAY rtsp://h:8554/live/"],
        "what is usual comes first"
    );
}

#[test]
fn the_address_that_played_is_kept() {
    let mut bench = Bench::new(Camera { play: Some("rtsp://h:8554/live"), ..RIGHT });
    assert!(bench.plays());
    bench.session.teardown(bench.now);
    bench.converse().unwrap();
    assert_eq!(bench.asked.last().unwrap(), "TEARDOWN rtsp://h:8554/live");
}

#[test]
fn a_camera_that_knows_no_address_is_left_with_its_first_refusal() {
    let mut bench = Bench::new(Camera { setup: Some("nowhere"), refusal: "451 No", ..RIGHT });
    let error = bench.converse().unwrap_err();
    assert!(matches!(error, SessionError::Refused { request: "SETUP", status: 451, .. }), "{error}");
    assert!((2..=6).contains(&bench.asked.iter().filter(|asked| asked.starts_with("SETUP")).count()));
    // One that closes the connection instead of looking at another address has said why.
    let mut bench = Bench::new(Camera { setup: Some("nowhere"), ..RIGHT });
    for _ in 0..3 {
        let request = bench.session.poll_transmit().unwrap();
        let answer = bench.answer(std::str::from_utf8(&request).unwrap());
        bench.hear(&answer).unwrap();
    }
    assert!(matches!(bench.session.handle_closed(), Some(SessionError::NotFound { request: "SETUP", .. })));
    assert!(bench.session.handle_closed().is_none() && Bench::new(RIGHT).session.handle_closed().is_none());
    // Another refusal has nothing to do with the address.
    let mut bench = Bench::new(Camera { setup: Some("nowhere"), refusal: "453 Not Enough Bandwidth", ..RIGHT });
    assert!(bench.converse().is_err());
    assert_eq!(bench.asked.len(), 3);
}

#[test]
fn answers_are_taken_whatever_their_number() {
    let numbers: [fn(&str, u32, &str) -> String; 7] = [
        |_, _, status| format!("RTSP/1.0 {status}\r\nCSeq: 0\r\n"),
        |_, _, status| format!("RTSP/1.0 {status}\r\nCSeq: 1\r\n"),
        |_, cseq, status| format!("RTSP/1.0 {status}\r\nCseq: {}\r\n", cseq - 1),
        |_, cseq, status| format!("RTSP/1.0 {status}\r\nCSeq: {}\r\n", cseq + 1),
        |_, _, status| format!("RTSP/1.0 {status}\r\n"),
        |_, _, status| format!("RTSP/1.0 {status}\r\nCSeq: abc\r\n"),
        |method, cseq, status| format!("RTSP/1.0 {status}\r\nCSeq: {}\r\n", if method == "OPTIONS" { 0 } else { cseq }),
    ];
    for (at, write) in numbers.into_iter().enumerate() {
        assert!(Bench::new(Camera { write, ..RIGHT }).plays(), "the {at}th");
    }
    let odd: [fn(&str, u32, &str) -> String; 3] = [
        |_, cseq, _| format!("RTSP/1.0 200\r\nCSeq: {cseq}\r\n"),
        |_, cseq, status| format!("RTSP/1.0 {status}\nCSeq: {cseq}\n \n"),
        |_, cseq, status| format!("RTSP/1.0 100 Continue\r\nCSeq: {cseq}\r\n\r\nRTSP/1.0 {status}\r\nCSeq: {cseq}\r\n"),
    ];
    for (at, write) in odd.into_iter().enumerate() {
        assert!(Bench::new(Camera { write, ..RIGHT }).plays(), "the {at}th");
    }
}

#[test]
fn an_answer_that_comes_twice_is_one() {
    let twice = |_: &str, cseq: u32, status: &str| {
        let again = format!("RTSP/1.0 {status}\r\nCSeq: {}\r\nPublic: PLAY\r\n\r\n", cseq.saturating_sub(1));
        format!("{again}RTSP/1.0 {status}\r\nCSeq: {cseq}\r\n")
    };
    let mut bench = Bench::new(Camera { write: twice, ..RIGHT });
    // The one before OPTIONS' answer has the number 0, and nobody could tell.
    bench.camera.write = plainly;
    let options = bench.session.poll_transmit().unwrap();
    let answer = bench.answer(std::str::from_utf8(&options).unwrap());
    bench.hear(&answer).unwrap();
    bench.camera.write = twice;
    assert!(bench.plays());
}

#[test]
fn a_keepalive_that_is_refused_under_another_number_is_answered() {
    let mut bench = Bench::new(RIGHT);
    assert!(bench.plays());
    bench.camera.write = |_, cseq, _| format!("RTSP/1.0 400 Bad Request\r\nCSeq: {}\r\n", cseq - 1);
    for _ in 0..20 {
        bench.now.instant = bench.session.poll_timeout().expect("a keepalive") + Duration::from_millis(1);
        bench.session.handle_timeout(bench.now).unwrap();
        assert!(bench.session.poll_timeout().expect("the answer") > bench.now.instant);
        bench.converse().unwrap();
    }
    assert!(bench.asked.len() >= 24, "{:?}", bench.asked);
}

fn rtp(payload_type: u8) -> Vec<u8> {
    [&[0x80, payload_type][..], &[0; 30]].concat()
}

const SENDER_REPORT: [u8; 28] = {
    let mut report = [0; 28];
    (report[0], report[1], report[3]) = (0x80, 200, 6);
    report
};

/// What comes of packets on channels: `v` for video, `c` for RTCP.
fn kinds(transport: &'static str, packets: &[(u8, &[u8])]) -> String {
    let mut bench = Bench::new(Camera { transport, ..RIGHT });
    assert!(bench.plays(), "{transport}");
    for (channel, packet) in packets {
        bench.hear(&interleave::frame(*channel, packet)).unwrap();
    }
    let kind = |event: &PlayerEvent| match event {
        PlayerEvent::Rtp(_) => 'v',
        PlayerEvent::Rtcp(_) => 'c',
        _ => '?',
    };
    bench.events().iter().map(kind).collect()
}

#[test]
fn packets_are_told_apart_by_what_they_are() {
    let (video, report) = (&rtp(96)[..], &SENDER_REPORT[..]);
    let usual = "RTP/AVP/TCP;unicast;interleaved=0-1";
    assert_eq!(kinds(usual, &[(0, video), (1, report), (0, report), (1, video), (0, video)]), "vccvv");
    assert_eq!(kinds("RTP/AVP/TCP;interleaved=1-0", &[(0, video), (1, report)]), "vc");
    assert_eq!(kinds("RTP/AVP/TCP;interleaved=0-0", &[(0, video), (0, report)]), "vc");
    assert_eq!(kinds("RTP/AVP;unicast;interleaved=0-1", &[(0, video)]), "v");
    assert_eq!(kinds("RTP/AVP/TCP;unicast;interleaved", &[(0, video)]), "v");
    let marked = &rtp(96 | 0x80)[..];
    assert_eq!(kinds(usual, &[(0, marked)]), "v", "a marker makes no RTCP of it");
}

#[test]
fn another_channel_than_granted_is_taken_while_the_granted_ones_are_silent() {
    let (video, report, other) = (&rtp(96)[..], &SENDER_REPORT[..], &rtp(97)[..]);
    let usual = "RTP/AVP/TCP;unicast;interleaved=0-1";
    assert_eq!(kinds(usual, &[(2, other), (2, video), (3, report), (2, video)]), "vcv");
    assert_eq!(kinds(usual, &[(0, video), (2, video), (0, video)]), "vv");
}

#[test]
fn udp_is_refused_by_name() {
    let mut bench = Bench::new(Camera { transport: "RTP/AVP;unicast;client_port=1-2;server_port=3-4", ..RIGHT });
    let error = bench.converse().unwrap_err().to_string();
    assert!(error.contains("server_port=3-4"), "{error}");
}

#[test]
fn noise_is_told_and_the_stream_goes_on() {
    let mut bench = Bench::new(RIGHT);
    assert!(bench.plays());
    let frame = interleave::frame(0, &rtp(96));
    bench.hear(&[&frame[..], &[0x9c; 80], &frame, &frame].concat()).unwrap();
    let events = bench.events();
    assert!(matches!(
        &events[..],
        [PlayerEvent::Rtp(_), PlayerEvent::Noise(80), PlayerEvent::Rtp(_), PlayerEvent::Rtp(_)]
    ));
}
