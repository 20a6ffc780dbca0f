//! A server at clients that take liberties: what is taken, and what is refused, with a word for the log.

use std::time::Instant;

use bytes::BytesMut;
use rtsp_types::StatusCode;

use super::server::{Accepted, Refusal, ServerEvent, ServerSession};
use crate::rtsp::message::{Inbound, MessageDecoder};
use crate::session::Session;
use crate::time::{Now, UtcMicros};

struct Bench {
    session: ServerSession,
    decoder: MessageDecoder,
    now: Now,
}

impl Bench {
    fn new() -> Bench {
        let now = Now { instant: Instant::now(), utc: UtcMicros(0) };
        Bench { session: ServerSession::new("c0ffee".to_owned(), now), decoder: MessageDecoder::default(), now }
    }

    /// The status of the answer to what a client says, everything being granted.
    fn ask(&mut self, text: &str) -> u16 {
        let mut buffer = BytesMut::from(text.as_bytes());
        let message = self.decoder.decode(&mut buffer).unwrap().expect("a message");
        assert!(buffer.is_empty(), "{buffer:?}");
        self.session.handle_input(message, self.now).unwrap();
        match self.session.poll_event() {
            Some(ServerEvent::Setup { .. }) => self.session.accept(Accepted::Tracks(1)),
            Some(ServerEvent::Announce { path }) => match self.session.announced().expect("a description") {
                Ok(description) => self.session.accept(Accepted::Announced(Box::new(description))),
                Err(error) => self.session.refuse_because(StatusCode::BadRequest, format!("{path}: {error}")),
            },
            Some(_) => self.session.accept(Accepted::Yes),
            None => {}
        }
        let answer = self.session.poll_transmit().expect("an answer");
        let Ok(Some(Inbound::Response(response))) = MessageDecoder::default().decode(&mut BytesMut::from(&answer[..]))
        else {
            panic!("{answer:?}")
        };
        u16::from(response.status())
    }

    fn announce(&mut self, sdp: &str) -> u16 {
        let head = format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n", sdp.len());
        self.ask(&format!("ANNOUNCE rtsp://h/live RTSP/1.0\r\nCSeq: 1\r\n{head}{sdp}"))
    }
}

#[test]
fn a_publisher_that_takes_liberties_is_taken() {
    for sdp in [
        "m=video 0 RTP/AVP 96\na=rtpmap:96 H265/90000\na=control:streamid=0\n",
        "o=- 1 1 IN\r\ns=\r\nc=IN\r\nm=video -1 RTP/AVP 98 96\r\na=rtpmap:96 H265/90000\r\na=control:streamid=0\r\n\0",
    ] {
        for transport in
            ["RTP/AVP/TCP;unicast;interleaved=0-1;mode=record", "RTP/AVP/TCP;unicast;interleaved;mode=\"RECORD\""]
        {
            let mut bench = Bench::new();
            assert_eq!(bench.announce(sdp), 200);
            let setup = format!("SETUP rtsp://h/live/streamid=0 RTSP/1.0\nCSeq: 2\nTransport: {transport}\n\n");
            assert_eq!(bench.ask(&setup), 200, "{transport}");
            assert_eq!(bench.ask("record  rtsp://h/live  RTSP/1.0 \r\ncseq:3\r\n \r\nSession: c0ffee\r\n\r\n"), 200);
            assert!(bench.session.poll_refusal().is_none());
        }
    }
}

#[test]
fn the_reason_of_a_refusal_is_for_the_log() {
    for (sdp, word) in
        [("", "empty"), ("hello", "begins \"hello\""), ("v=0\r\n", "0 tracks"), (&"m=x\n".repeat(17), "17 tracks")]
    {
        let mut bench = Bench::new();
        assert_eq!(bench.announce(sdp), 400);
        let Some(Refusal { status: StatusCode::BadRequest, reason }) = bench.session.poll_refusal() else { panic!() };
        assert!(reason.contains("live") && reason.contains(word), "{reason}");
    }
    let mut bench = Bench::new();
    assert_eq!(bench.ask("SETUP rtsp://h/live RTSP/1.0\r\nTransport: RTP/AVP;unicast;client_port=1-2\r\n\r\n"), 461);
    assert!(bench.session.poll_refusal().unwrap().reason.contains("client_port=1-2"));
    assert_eq!(bench.ask("DESCRIBE rtsp://::1/live RTSP/1.0\r\nCSeq: 4\r\n\r\n"), 400);
    assert!(bench.session.poll_refusal().unwrap().reason.contains("rtsp://::1/live"));
    assert_eq!(bench.ask("OPTIONS * RTSP/1.0\r\n\r\n"), 200);
    assert!(bench.session.poll_refusal().is_none());
}
