//! Nothing that a server writes reaches a person but through [`crate::shown`].

use std::time::{Duration, Instant};

use bytes::BytesMut;
use proptest::prelude::*;
use rtsp_types::Url;

use super::player::PlayerSession;
use super::publisher::PublisherSession;
use super::{ClientSession, SessionError};
use crate::rtsp::message::MessageDecoder;
use crate::session::Session;
use crate::shown::is_harmless;
use crate::time::{Now, UtcMicros};

/// A secret in the address, which no error may show.
const URL: &str = "rtsp://h/live?token=s3cr3t";

fn now() -> Now {
    Now { instant: Instant::now(), utc: UtcMicros(0) }
}

/// Answers a session's requests with these texts, one after the other, until one is an error.
fn error_of(session: &mut impl ClientSession, answers: &[String]) -> Option<String> {
    for answer in answers {
        while session.poll_transmit().is_some() {}
        let mut buffer = BytesMut::from(answer.as_bytes());
        let message = match MessageDecoder::default().decode(&mut buffer) {
            Ok(Some(message)) => message,
            Ok(None) => return None,
            Err(error) => return Some(error.to_string()),
        };
        if let Err(error) = session.handle_input(message, now()) {
            return Some(error.to_string());
        }
    }
    None
}

fn is_fit(text: &str) -> bool {
    text.chars().all(is_harmless) && !text.contains("s3cr3t")
}

fn with_body(head: &str, body: &str) -> String {
    format!("RTSP/1.0 200 OK\r\n{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

proptest! {
    /// Reasons, places, challenges, descriptions, transports: with what acts on a terminal in any of them.
    #[test]
    fn whatever_a_server_writes_is_fit_to_be_shown(
        status in prop::sample::select(vec![301u16, 302, 401, 403, 404, 461, 499, 500, 551]),
        text in "[ -~\u{1b}\u{7}\u{9b}\u{85}\u{202e}\u{2028}é客]{0,40}",
    ) {
        let ok = "RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n".to_owned();
        let sdp = format!("v=0\r\no=- 1 1 IN IP4 0\r\ns={text}\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 {text}/90000\r\n");
        let hevc = "v=0\r\no=- 1 1 IN IP4 0\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H265/90000\r\n";
        let refused = format!("RTSP/1.0 {status} {text}\r\nCSeq: 2\r\nLocation: {text}\r\nWWW-Authenticate: {text}\r\n\r\n");
        let described = with_body("CSeq: 2", hevc);
        for answers in [
            vec![refused.replace("CSeq: 2", "CSeq: 1")],
            vec![ok.clone(), refused.clone()],
            vec![ok.clone(), with_body("CSeq: 2", &sdp)],
            vec![ok.clone(), with_body("CSeq: 2", &text)],
            vec![ok.clone(), described.replace("\r\nContent-Length", &format!("\r\nContent-Base: {text}\r\nContent-Length"))],
            vec![ok.clone(), described, format!("RTSP/1.0 200 OK\r\nCSeq: 3\r\nTransport: {text}\r\n\r\n")],
            vec![format!("{text}\r\n\r\n")],
        ] {
            let mut player = PlayerSession::new(Url::parse(URL).unwrap(), None, "test", now());
            let error = error_of(&mut player, &answers).unwrap_or_default();
            prop_assert!(is_fit(&error), "{error:?}");
            let mut publisher = PublisherSession::new(Url::parse(URL).unwrap(), None, "test", "v=0".into(), now());
            let error = error_of(&mut publisher, &answers).unwrap_or_default();
            prop_assert!(is_fit(&error), "{error:?}");
        }
    }
}

#[test]
fn a_time_out_names_the_request_and_whether_others_were_answered() {
    let later = Now { instant: now().instant + Duration::from_secs(6), ..now() };
    let ok = ["RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n".to_owned()];
    for (answered, expected) in [(&[][..], ("OPTIONS", false)), (&ok, ("DESCRIBE", true))] {
        let mut player = PlayerSession::new(Url::parse(URL).unwrap(), None, "test", now());
        error_of(&mut player, answered);
        let error = player.handle_timeout(later).unwrap_err();
        assert!(is_fit(&error.to_string()) && error.to_string().ends_with("within 5 s"), "{error}");
        assert!(
            matches!(error, SessionError::NoResponse { request, has_responded, .. } if (request, has_responded) == expected)
        );
    }
    let mut publisher = PublisherSession::new(Url::parse(URL).unwrap(), None, "test", "v=0".into(), now());
    error_of(&mut publisher, &ok);
    let error = publisher.handle_timeout(later).unwrap_err();
    assert!(matches!(error, SessionError::NoResponse { request: "ANNOUNCE", has_responded: true, .. }), "{error:?}");
}
