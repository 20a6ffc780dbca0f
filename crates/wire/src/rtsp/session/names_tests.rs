//! What a server's session makes of the names in requests, as they come.

use std::time::Instant;

use bytes::BytesMut;
use rtsp_types::StatusCode;

use super::server::{Accepted, Refusal, ServerEvent, ServerSession};
use crate::rtsp::message::MessageDecoder;
use crate::rtsp::path::MAX_PATH_BYTES;
use crate::session::Session;
use crate::time::{Now, UtcMicros};

const DESCRIPTION: &str = "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H265/90000\r\n\
                           a=control:streamid=0\r\nm=audio 0 RTP/AVP 97\r\na=rtpmap:97 L16/8000\r\na=control:streamid=1\r\n";

/// A connection at a server that says yes to everything.
struct Peer {
    session: ServerSession,
    now: Now,
    paths: Vec<String>,
}

impl Peer {
    fn new() -> Peer {
        let now = Now { instant: Instant::now(), utc: UtcMicros(0) };
        Peer { session: ServerSession::new("c0ffee".into(), now), now, paths: Vec::new() }
    }

    /// Sends a request with these bytes for its URL; the answer.
    fn ask(&mut self, method: &str, url: impl AsRef<[u8]>, headers: &str, body: &str) -> String {
        let head = format!(" RTSP/1.0\r\nCSeq: 1\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len());
        let bytes = [method.as_bytes(), b" ", url.as_ref(), head.as_bytes()].concat();
        let message = MessageDecoder::default().decode(&mut BytesMut::from(&bytes[..])).unwrap().unwrap();
        self.session.handle_input(message, self.now).unwrap();
        let accepted = match self.session.poll_event() {
            None => None,
            Some(ServerEvent::Describe { path }) => Some((path, Accepted::Description("v=0\r\n".into()))),
            Some(ServerEvent::Setup { path }) => Some((path, Accepted::Tracks(2))),
            Some(ServerEvent::Announce { path }) => {
                let description = self.session.announced().unwrap().unwrap();
                Some((path, Accepted::Announced(Box::new(description))))
            }
            Some(ServerEvent::Play { path, .. } | ServerEvent::Record { path, .. }) => Some((path, Accepted::Yes)),
            Some(ServerEvent::Pause | ServerEvent::Teardown | ServerEvent::Media { .. }) => None,
        };
        if let Some((path, accepted)) = accepted {
            self.paths.push(path.to_string());
            self.session.accept(accepted);
        }
        // A description stands beside its head.
        let answer: Vec<_> = std::iter::from_fn(|| self.session.poll_transmit()).collect();
        String::from_utf8(answer.concat()).unwrap()
    }

    fn refusal(&mut self) -> Refusal {
        self.session.poll_refusal().expect("a refusal")
    }
}

const PLAY_TRANSPORT: &str = "Transport: RTP/AVP/TCP;unicast\r\n";
const RECORD_TRANSPORT: &str = "Transport: RTP/AVP/TCP;unicast;mode=record\r\n";

#[test]
fn every_question_names_the_stream_in_its_one_form() {
    for written in ["客厅/live cam", "%e5%ae%a2%E5%8E%85/live%20cam", "/客%e5%8e%85//live cam/"] {
        let url = format!("rtsp://h:8554/{written}");
        let base = url.trim_end_matches('/');
        let mut reader = Peer::new();
        let described = reader.ask("DESCRIBE", &url, "", "");
        let content_base = described.lines().find_map(|line| line.strip_prefix("Content-Base: ")).unwrap();
        assert!(
            content_base.is_ascii() && content_base.ends_with('/') && !content_base.contains(' '),
            "{content_base}"
        );
        // As FFmpeg goes on, by the base, and as others do, by what they typed.
        assert!(reader.ask("SETUP", format!("{content_base}trackID=0"), PLAY_TRANSPORT, "").contains(" 200 "));
        assert!(reader.ask("SETUP", format!("{base}/trackID=1"), PLAY_TRANSPORT, "").contains(" 200 "));
        assert!(reader.ask("PLAY", &url, "", "").contains(" 200 "));
        assert_eq!(reader.paths, ["客厅/live cam"; 4]);

        let mut publisher = Peer::new();
        assert!(publisher.ask("ANNOUNCE", &url, "", DESCRIPTION).contains(" 200 "));
        for track in 0..2 {
            let setup = publisher.ask("SETUP", format!("{base}/streamid={track}"), RECORD_TRANSPORT, "");
            assert!(setup.contains(" 200 "), "{setup}");
        }
        assert!(publisher.ask("RECORD", &url, "", "").contains(" 200 "));
        assert_eq!(publisher.paths, ["客厅/live cam"; 2]);
    }
}

#[test]
fn what_is_no_name_is_refused_with_a_word_for_the_log_and_the_connection_goes_on() {
    let mut peer = Peer::new();
    for method in ["OPTIONS", "DESCRIBE", "ANNOUNCE", "SETUP", "PLAY", "GET_PARAMETER"] {
        for (url, word) in [
            (&b"rtsp://h/caf\xe9"[..], "UTF-8"),
            (b"rtsp://h/\xbf\xcd\xcc\xfc", "UTF-8"),
            (b"rtsp://h/caf%E9", "UTF-8"),
            (b"rtsp://h/%BF%CD", "UTF-8"),
            (b"rtsp://h/a%00b", "U+0000"),
            (b"rtsp://h/a%0d%0aX:1", "U+000D"),
            (b"rtsp://h/a%2f..%2fb", "segment"),
        ] {
            let answer = peer.ask(method, url, PLAY_TRANSPORT, DESCRIPTION);
            assert!(answer.starts_with("RTSP/1.0 400 ") && answer.contains("CSeq: 1\r\n"), "{answer}");
            let refusal = peer.refusal();
            assert_eq!(refusal.status, StatusCode::BadRequest);
            let why = refusal.reason;
            assert!(why.contains(word) && !why.contains(char::is_control), "{why}");
        }
    }
    assert!(peer.paths.is_empty());
    assert!(peer.ask("DESCRIBE", "rtsp://h/live", "", "").contains(" 200 "));
}

#[test]
fn as_long_as_a_name_may_be_it_may_be_in_every_request() {
    for (letter, bytes) in [("x", 1), ("é", 2), ("客", 3), ("😀", 4)] {
        for count in [1, 240 / bytes, 246 / bytes, MAX_PATH_BYTES / bytes, MAX_PATH_BYTES / bytes + 1] {
            let expected = if count * bytes <= MAX_PATH_BYTES { " 200 " } else { " 414 " };
            let url = format!("rtsp://h/{}", letter.repeat(count));
            let (mut publisher, mut reader) = (Peer::new(), Peer::new());
            for answer in [
                publisher.ask("ANNOUNCE", &url, "", DESCRIPTION),
                reader.ask("DESCRIBE", &url, "", ""),
                reader.ask("SETUP", format!("{url}/trackID=0"), PLAY_TRANSPORT, ""),
            ] {
                assert!(answer.contains(expected), "{count} {letter}: {answer}");
            }
            if expected == " 200 " {
                for (method, url) in [("SETUP", format!("{url}/streamid=1")), ("RECORD", url)] {
                    let answer = publisher.ask(method, &url, RECORD_TRANSPORT, "");
                    assert!(answer.contains(" 200 "), "{method} of {count} {letter}: {answer}");
                }
            } else {
                assert!(reader.refusal().reason.contains("at most 256"));
            }
        }
    }
}
