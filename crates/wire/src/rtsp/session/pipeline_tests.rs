//! Requests that are sent before earlier ones have their responses (RFC 2326 section 9.1), at both ends.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use rtsp_types::{StatusCode, headers};

use super::client::ClientSession;
use super::player::{PlayerEvent, PlayerSession};
use super::server::{
    Accepted, MAX_WAITING_REQUEST_BYTES, MAX_WAITING_REQUESTS, ServerEvent, ServerSession, ServerSessionError,
};
use super::tests::{decode, description, drain, url};
use crate::rtsp::auth::{Challenge, Credentials};
use crate::rtsp::clock;
use crate::rtsp::message::{Inbound, MessageDecoder, Response};
use crate::rtsp::sdp::Description;
use crate::session::Session;
use crate::time::{Now, UtcMicros};

fn now() -> Now {
    Now { instant: Instant::now(), utc: UtcMicros(0) }
}

/// Request lines and headers without CSeq, of every kind that a server tells apart.
const REQUESTS: [&str; 15] = [
    "OPTIONS * RTSP/1.0\r\n",
    "DESCRIBE rtsp://h/live RTSP/1.0\r\n",
    "ANNOUNCE rtsp://h/live RTSP/1.0\r\n",
    "SETUP rtsp://h/live/trackID=0 RTSP/1.0\r\nTransport: RTP/AVP/TCP;unicast\r\n",
    "SETUP rtsp://h/live/trackID=0 RTSP/1.0\r\nTransport: RTP/AVP/TCP;unicast;mode=record\r\n",
    "SETUP rtsp://h/live RTSP/1.0\r\nTransport: RTP/AVP;unicast;client_port=1-2\r\n",
    "PLAY rtsp://h/live RTSP/1.0\r\n",
    "PAUSE rtsp://h/live RTSP/1.0\r\n",
    "RECORD rtsp://h/live RTSP/1.0\r\n",
    "GET_PARAMETER rtsp://h/live RTSP/1.0\r\n",
    "GET_PARAMETER rtsp://h/live RTSP/1.0\r\nSession: another\r\n",
    "SET_PARAMETER rtsp://h/live RTSP/1.0\r\n",
    "TEARDOWN rtsp://h/live RTSP/1.0\r\n",
    "PLAY rtsp://::1/live RTSP/1.0\r\n",
    "DESCRIBE rtsp://h/ RTSP/1.0\r\n",
];

fn request(kind: usize, cseq: u32) -> Inbound {
    let body = if REQUESTS[kind].starts_with("ANNOUNCE") { description() } else { Bytes::new() };
    let head = format!("{}CSeq: {cseq}\r\nContent-Length: {}\r\n\r\n", REQUESTS[kind], body.len());
    decode(&[head.as_bytes(), &body].concat()).remove(0)
}

/// How the program decides.
#[derive(Clone, Copy, Debug)]
enum Decision {
    Grant,
    GrantOfAnotherKind,
    Refuse,
    Challenge,
}

/// Decides one open request, if there is one; events that are none are polled on the way.
fn decide(session: &mut ServerSession, events: &mut VecDeque<ServerEvent>, decision: Decision) -> bool {
    events.extend(std::iter::from_fn(|| session.poll_event()));
    let Some(event) = events.pop_front() else { return false };
    let granted = match event {
        ServerEvent::Media { .. } | ServerEvent::Pause | ServerEvent::Teardown => return true,
        ServerEvent::Describe { .. } => {
            Accepted::Description(Description::parse(&description()).unwrap().for_readers())
        }
        ServerEvent::Setup { .. } => Accepted::Tracks(1),
        ServerEvent::Announce { .. } => {
            Accepted::Announced(Box::new(session.announced().expect("it is the open request").unwrap()))
        }
        ServerEvent::Play { .. } | ServerEvent::Record { .. } => Accepted::Yes,
    };
    match (decision, granted) {
        (Decision::Grant, granted) => session.accept(granted),
        (Decision::GrantOfAnotherKind, Accepted::Tracks(_)) => session.accept(Accepted::Yes),
        (Decision::GrantOfAnotherKind, _) => session.accept(Accepted::Tracks(1)),
        (Decision::Refuse, _) => session.refuse(StatusCode::Forbidden),
        (Decision::Challenge, _) => {
            session.challenge(&Challenge { nonce: "f00".into(), digest: true, basic: true });
        }
    }
    true
}

fn cseqs(bytes: &[u8]) -> Vec<u32> {
    let number = |response: &Response| response.header(&headers::CSEQ).unwrap().as_str().parse().unwrap();
    let responses = decode(bytes).into_iter().map(|message| match message {
        Inbound::Response(response) => number(&response),
        other => panic!("{other:?}"),
    });
    responses.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    /// However many requests are handed in before the program decides, and however it decides: each has one response, in the
    /// order of the requests, and none comes before those of the requests ahead of it are decided.
    #[test]
    fn each_pipelined_request_has_one_response_in_its_order(
        steps in prop::collection::vec(
            (
                0..REQUESTS.len(),
                0usize..4,
                prop::sample::select(vec![
                    Decision::Grant, Decision::Grant, Decision::GrantOfAnotherKind, Decision::Refuse, Decision::Challenge,
                ]),
                any::<bool>(),
            ),
            1..MAX_WAITING_REQUESTS,
        ),
    ) {
        let mut session = ServerSession::new("c0ffee".into(), now());
        let (mut events, mut bytes) = (VecDeque::new(), Vec::new());
        for (index, (kind, decisions, decision, polls)) in steps.iter().enumerate() {
            session.handle_input(request(*kind, index as u32 + 1), now()).unwrap();
            if *polls {
                bytes.extend(drain(|| session.poll_transmit()));
            }
            for _ in 0..*decisions {
                decide(&mut session, &mut events, *decision);
            }
            let (answered, waiting) = (cseqs(&bytes).len(), session.waiting_requests());
            let open = usize::from(!session.method().is_empty());
            prop_assert!(answered + waiting + open <= index + 1);
            prop_assert!(open == 1 || waiting == 0, "nothing waits behind nothing");
        }
        while decide(&mut session, &mut events, Decision::Grant) {}
        bytes.extend(drain(|| session.poll_transmit()));
        let all: Vec<u32> = (1..=steps.len() as u32).collect();
        prop_assert_eq!(cseqs(&bytes), all);
        prop_assert_eq!((session.waiting_requests(), session.waiting_bytes()), (0, 0));
    }

    /// A server that asks for credentials refuses every request that is in flight, and answers in any order. That is one
    /// challenge, and no refusal of the credentials.
    #[test]
    fn a_challenge_to_several_requests_in_flight_is_one(picks in prop::collection::vec(0usize..8, 40)) {
        let credentials = Credentials { user: "me".into(), password: "secret".into() };
        let mut player = PlayerSession::new(url(), Some(credentials), "test", now());
        let (mut open, mut most_open, mut nonce) = (Vec::new(), 0, 0);
        for pick in picks {
            let sent = String::from_utf8(drain(|| player.poll_transmit())).unwrap();
            open.extend(decode(sent.as_bytes()));
            most_open = most_open.max(open.len());
            if open.is_empty() {
                break;
            }
            let Inbound::Request(request) = open.remove(pick % open.len()) else { panic!("no request") };
            let method: &str = request.method().into();
            let cseq = request.header(&headers::CSEQ).unwrap().as_str();
            let is_authorized = request.header(&headers::AUTHORIZATION).is_some();
            let (status, headers, body) = match method {
                "OPTIONS" => ("200 OK", format!("Public: GET_PARAMETER\r\n{}: 1\r\n", clock::SUPPORT_HEADER), Bytes::new()),
                _ if !is_authorized => {
                    nonce += 1;
                    ("401 Unauthorized", format!("WWW-Authenticate: Digest realm=\"r\", nonce=\"{nonce}\"\r\n"), Bytes::new())
                }
                "DESCRIBE" => ("200 OK", String::new(), description()),
                "SETUP" => ("200 OK", "Transport: RTP/AVP/TCP;interleaved=0-1\r\nSession: 1\r\n".into(), Bytes::new()),
                _ => ("200 OK", String::new(), Bytes::new()),
            };
            let head = format!("RTSP/1.0 {status}\r\nCSeq: {cseq}\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
            let response = decode(&[head.as_bytes(), &body].concat()).remove(0);
            player.handle_input(response, now()).map_err(|error| TestCaseError::fail(error.to_string()))?;
        }
        prop_assert!(most_open >= 2, "the clock exchange is in flight beside DESCRIBE");
        let events: Vec<PlayerEvent> = std::iter::from_fn(|| player.poll_event()).collect();
        prop_assert!(matches!(events[..], [PlayerEvent::Playing(_)]), "{:?}", events);
        prop_assert!(player.client().auth().unsupported_schemes().is_none());
    }
}

#[test]
fn wrong_credentials_are_sent_once_for_each_request_in_flight() {
    let credentials = Credentials { user: "me".into(), password: "guess".into() };
    let mut player = PlayerSession::new(url(), Some(credentials), "test", now());
    drain(|| player.poll_transmit());
    let options = format!("RTSP/1.0 200 OK\r\nCSeq: 1\r\n{}: 1\r\n\r\n", clock::SUPPORT_HEADER);
    player.handle_input(decode(options.as_bytes()).remove(0), now()).unwrap();
    let mut authorized = 0;
    for cseq in 2..20 {
        authorized +=
            usize::from(String::from_utf8_lossy(&drain(|| player.poll_transmit())).contains("Authorization:"));
        let refusal = format!(
            "RTSP/1.0 401 Unauthorized\r\nCSeq: {cseq}\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"{cseq}\"\r\n\r\n"
        );
        if player.handle_input(decode(refusal.as_bytes()).remove(0), now()).is_err() {
            assert_eq!(authorized, 2, "the clock exchange and DESCRIBE");
            return;
        }
    }
    panic!("credentials are refused for ever");
}

#[test]
fn what_waits_behind_an_undecided_request_is_bounded() {
    let fill = |body_bytes: usize| {
        let mut session = ServerSession::new("c0ffee".into(), now());
        for cseq in 0..1000u32 {
            let text = format!("SET_PARAMETER * RTSP/1.0\r\nCSeq: {cseq}\r\nContent-Length: {body_bytes}\r\n\r\n");
            let mut bytes = BytesMut::from(text.as_bytes());
            bytes.resize(bytes.len() + body_bytes, b'x');
            let message = match cseq {
                0 => request(1, 0),
                _ => MessageDecoder::default().decode(&mut bytes).unwrap().unwrap(),
            };
            if let Err(error) = session.handle_input(message, now()) {
                assert_eq!(error, ServerSessionError::TooManyPipelined);
                return (session.waiting_requests(), session.waiting_bytes());
            }
        }
        panic!("there is no bound")
    };
    assert_eq!(fill(0).0, MAX_WAITING_REQUESTS);
    let (requests, bytes) = fill(60_000);
    assert!(requests == 4 && bytes <= MAX_WAITING_REQUEST_BYTES, "{requests} requests of {bytes} bytes");
}

#[test]
fn what_a_program_does_not_poll_is_bounded() {
    let mut server = ServerSession::new("c0ffee".into(), now());
    let refused = (0..10_000u32).find(|cseq| server.handle_input(request(0, *cseq), now()).is_err());
    assert_eq!((refused, server.waiting_answers()), (Some(1024), 1024));

    let mut player = PlayerSession::new(url(), None, "test", now());
    for (cseq, (headers, body)) in [
        ("", Bytes::new()),
        ("", description()),
        ("Transport: RTP/AVP/TCP;interleaved=0-1\r\nSession: 1\r\n", Bytes::new()),
        ("", Bytes::new()),
    ]
    .into_iter()
    .enumerate()
    {
        let head = format!("RTSP/1.0 200 OK\r\nCSeq: {}\r\n{headers}Content-Length: {}\r\n\r\n", cseq + 1, body.len());
        player.handle_input(decode(&[head.as_bytes(), &body].concat()).remove(0), now()).unwrap();
    }
    for _ in 0..10_000 {
        player.handle_input(decode(b"$\x00\x00\x01x").remove(0), now()).unwrap();
    }
    assert_eq!(std::iter::from_fn(|| player.poll_event()).count(), 4096, "PLAY's response and the first packets");
}
