//! A publisher at servers that are not ours: what they grant, how long they wait, and when they ask for a login again.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use rtsp_types::Url;

use super::publisher::{PublisherEvent, PublisherSession};
use crate::rtsp::auth::Credentials;
use crate::rtsp::message::{Inbound, MessageDecoder};
use crate::rtsp::transport::Channels;
use crate::session::Session;
use crate::time::{Now, UtcMicros};

/// A publisher, and what it has asked so far: each request's text.
struct Bench {
    session: PublisherSession,
    now: Now,
}

impl Bench {
    fn new() -> Bench {
        let now = Now { instant: Instant::now(), utc: UtcMicros(0) };
        let login = Credentials { user: "me".into(), password: "secret".into() };
        let url = Url::parse("rtsp://h/live").unwrap();
        let session = PublisherSession::new(url, Some(login), "test", Bytes::from_static(b"v=0\r\n"), now);
        Bench { session, now }
    }

    /// The one request that waits.
    fn request(&mut self) -> String {
        let text = self.session.poll_transmit().expect("a request").to_vec();
        assert!(self.session.poll_transmit().is_none(), "two requests at once");
        String::from_utf8(text).unwrap()
    }

    /// The next request must be of this method; it is answered so.
    fn answer(&mut self, method: &str, status: &str, headers: &str) -> String {
        let request = self.request();
        assert!(request.starts_with(&format!("{method} ")), "{method} is expected, and not {request}");
        let cseq = request.lines().find_map(|line| line.strip_prefix("CSeq: ")).unwrap();
        let mut bytes = BytesMut::from(format!("RTSP/1.0 {status}\r\nCSeq: {cseq}\r\n{headers}\r\n").as_bytes());
        let message: Inbound = MessageDecoder::default().decode(&mut bytes).unwrap().unwrap();
        self.session.handle_input(message, self.now).unwrap();
        request
    }

    /// As far as RECORD, with these answers' headers.
    fn record(&mut self, public: &str, transport: &str, session: &str) -> Option<PublisherEvent> {
        self.answer("OPTIONS", "200 OK", &format!("Public: {public}\r\n"));
        self.answer("ANNOUNCE", "200 OK", "");
        self.answer("SETUP", "200 OK", &format!("Transport: {transport}\r\nSession: {session}\r\n"));
        let record = self.answer("RECORD", "200 OK", "");
        let id = session.split(';').next().unwrap();
        assert!(record.contains(&format!("Session: {id}\r\n")), "{record}");
        self.session.poll_event()
    }

    /// How long until it keeps the session alive; time goes on to then.
    fn pause(&mut self) -> Duration {
        let due = self.session.poll_timeout().expect("a keepalive");
        let pause = due - self.now.instant;
        self.now.instant = due;
        self.session.handle_timeout(self.now).unwrap();
        pause
    }
}

const PUBLIC: &str = "DESCRIBE, ANNOUNCE, SETUP, PLAY, RECORD, TEARDOWN";
const TRANSPORT: &str = "RTP/AVP/TCP;unicast;interleaved=0-1;mode=record";

#[test]
fn media_goes_on_the_channels_that_are_granted() {
    for (granted, channels) in [
        (TRANSPORT, Channels { rtp: 0, rtcp: 1 }),
        ("RTP/AVP/TCP;unicast;interleaved=4-5;mode=record", Channels { rtp: 4, rtcp: 5 }),
        ("RTP/AVP/TCP;unicast;mode=record", Channels { rtp: 0, rtcp: 1 }),
    ] {
        assert_eq!(Bench::new().record(PUBLIC, granted, "a"), Some(PublisherEvent::Recording(channels)), "{granted}");
    }
}

#[test]
fn a_session_is_kept_alive_as_the_server_offers_and_in_half_its_time() {
    let both = format!("{PUBLIC}, GET_PARAMETER");
    for (public, session, method, seconds) in [
        (PUBLIC, "12345678", "OPTIONS", 30),
        (PUBLIC, "12345678;timeout=10", "OPTIONS", 5),
        (&both, "12345678", "GET_PARAMETER", 30),
        (&both, "12345678; timeout=20", "GET_PARAMETER", 10),
    ] {
        let mut bench = Bench::new();
        bench.record(public, TRANSPORT, session);
        for _ in 0..3 {
            assert_eq!(bench.pause(), Duration::from_secs(seconds), "{public} {session}");
            let request = bench.answer(method, "200 OK", "");
            assert!(request.contains("Session: 12345678\r\n"), "{request}");
        }
    }
}

#[test]
fn a_nonce_that_has_become_stale_is_taken_anew_in_the_midst_of_the_session() {
    let demand = |nonce: &str, more: &str| format!("WWW-Authenticate: Digest realm=\"r\", nonce=\"{nonce}\"{more}\r\n");
    let mut bench = Bench::new();
    bench.answer("OPTIONS", "200 OK", "");
    bench.answer("ANNOUNCE", "401 Unauthorized", &demand("one", ""));
    assert!(bench.answer("ANNOUNCE", "200 OK", "").contains("nonce=\"one\""));
    bench.answer("SETUP", "401 Unauthorized", &demand("two", ", stale=true"));
    let setup = bench.answer("SETUP", "200 OK", &format!("Transport: {TRANSPORT}\r\nSession: a\r\n"));
    assert!(setup.contains("nonce=\"two\""), "{setup}");
    bench.answer("RECORD", "200 OK", "");
    bench.pause();
    bench.answer("OPTIONS", "401 Unauthorized", &demand("three", ", stale=true"));
    assert!(bench.request().contains("nonce=\"three\""), "the keepalive is sent again");
}
