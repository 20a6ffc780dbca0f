//! The sessions against each other, over a pipe in memory and in virtual time.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use rtsp_types::{StatusCode, Url};

use super::player::{PlayerEvent, PlayerSession};
use super::publisher::{PublisherEvent, PublisherSession};
use super::server::{Accepted, ServerEvent, ServerSession};
use super::{ClientSession, RESPONSE_TIMEOUT, SessionError};
use crate::parameter_sets::ParameterSets;
use crate::rtsp::message::{Inbound, MessageDecoder};
use crate::rtsp::sdp::{Description, publisher_description};
use crate::session::Session;
use crate::time::{ClockId, Now, UtcMicros};

/// Virtual time, with the server's clock running ahead of the client's.
pub(super) struct World {
    start: Instant,
    elapsed: Duration,
    server_ahead_micros: i64,
}

impl World {
    pub(super) fn new(server_ahead_micros: i64) -> World {
        World { start: Instant::now(), elapsed: Duration::ZERO, server_ahead_micros }
    }

    pub(super) fn client(&self) -> Now {
        let utc = UtcMicros(1_700_000_000_000_000 + self.elapsed.as_micros() as i64);
        Now { instant: self.start + self.elapsed, utc }
    }

    pub(super) fn server(&self) -> Now {
        let Now { instant, utc } = self.client();
        Now { instant, utc: utc.offset_by(self.server_ahead_micros) }
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.elapsed += time;
    }
}

pub(super) fn url() -> Url {
    Url::parse("rtsp://127.0.0.1:8554/live").unwrap()
}

pub(super) fn description() -> Bytes {
    publisher_description("test", &ParameterSets::default())
}

pub(super) fn decode(bytes: &[u8]) -> Vec<Inbound> {
    let (mut decoder, mut buffer, mut out) = (MessageDecoder::default(), BytesMut::from(bytes), Vec::new());
    while let Some(message) = decoder.decode(&mut buffer).unwrap() {
        out.push(message);
    }
    assert!(buffer.is_empty(), "a message was cut: {buffer:?}");
    out
}

/// A server that says yes to everything, and what it was asked.
pub(super) struct Server {
    pub(super) session: ServerSession,
    pub(super) log: Vec<String>,
    refuse: Option<StatusCode>,
}

impl Server {
    pub(super) fn new(world: &World) -> Server {
        Server::started(world.server())
    }

    /// One whose clock is called 7.
    pub(super) fn started(now: Now) -> Server {
        let session = ServerSession::new("c0ffee".into(), now).with_clock(ClockId::new(7));
        Server { session, log: Vec::new(), refuse: None }
    }

    pub(super) fn exchange(&mut self, bytes: &[u8], world: &World) -> Vec<u8> {
        self.exchange_at(bytes, world.server())
    }

    /// Hands in bytes, answers questions, returns the bytes for the client.
    pub(super) fn exchange_at(&mut self, bytes: &[u8], now: Now) -> Vec<u8> {
        for message in decode(bytes) {
            self.session.handle_input(message, now).unwrap();
            let Some(event) = self.session.poll_event() else { continue };
            let accepted = match &event {
                ServerEvent::Describe { .. } => {
                    Accepted::Description(Description::parse(&description()).unwrap().for_readers())
                }
                ServerEvent::Setup { .. } => Accepted::Tracks(1),
                ServerEvent::Announce { .. } => match self.session.announced() {
                    Some(Ok(description)) => Accepted::Announced(Box::new(description)),
                    _ => {
                        self.session.refuse(StatusCode::BadRequest);
                        continue;
                    }
                },
                _ => Accepted::Yes,
            };
            match event {
                ServerEvent::Media { track, rtcp, .. } => self.log.push(format!("media {track} {rtcp}")),
                ServerEvent::Teardown => self.log.push("teardown".into()),
                ServerEvent::Pause => self.log.push("pause".into()),
                other => {
                    self.log.push(format!("{other:?}").chars().take_while(|c| c.is_alphabetic()).collect());
                    match self.refuse {
                        Some(status) => self.session.refuse(status),
                        None => self.session.accept(accepted),
                    }
                }
            }
        }
        drain(|| self.session.poll_transmit())
    }
}

pub(super) fn drain(mut poll: impl FnMut() -> Option<Bytes>) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(bytes) = poll() {
        out.extend_from_slice(&bytes);
    }
    out
}

/// Runs a client (publisher or player) against the server until neither has more to say.
macro_rules! converse {
    ($client:expr, $server:expr, $world:expr) => {{
        let mut result = Ok(());
        loop {
            let bytes = drain(|| $client.poll_transmit());
            if bytes.is_empty() {
                break result;
            }
            $world.pass(std::time::Duration::from_millis(2));
            let answer = $server.exchange(&bytes, &$world);
            $world.pass(std::time::Duration::from_millis(2));
            for message in decode(&answer) {
                if result.is_ok() {
                    result = $client.handle_input(message, $world.client());
                }
            }
        }
    }};
}

pub(super) use converse;

#[test]
fn a_publisher_reaches_recording_and_tears_down() {
    let mut world = World::new(0);
    let mut server = Server::new(&world);
    let mut publisher = PublisherSession::new(url(), None, "test", description(), world.client());
    converse!(publisher, server, world).unwrap();
    assert!(matches!(publisher.poll_event(), Some(PublisherEvent::Recording(c)) if (c.rtp, c.rtcp) == (0, 1)));
    assert!(server.log == ["Announce", "Record"], "{:?}", server.log);

    server.exchange(b"$\x00\x00\x01x$\x01\x00\x01y$\x09\x00\x01z", &world);
    assert_eq!(server.log[server.log.len() - 2..], ["media 0 false", "media 0 true"]);
    assert_eq!(server.session.stray_frames, 1);

    publisher.teardown(world.client());
    converse!(publisher, server, world).unwrap();
    assert_eq!(publisher.poll_event(), Some(PublisherEvent::Ended));
    assert_eq!(server.log.last().unwrap(), "teardown");
}

#[test]
fn a_player_reaches_playing_and_gets_its_packets() {
    let mut world = World::new(0);
    let mut server = Server::new(&world);
    let mut player = PlayerSession::new(url(), None, "test", world.client());
    converse!(player, server, world).unwrap();
    assert!(matches!(player.poll_event(), Some(PlayerEvent::Playing(_))));
    assert!(server.log == ["Describe", "Setup", "Play"], "{:?}", server.log);
    for message in decode(b"$\x00\x00\x01x$\x01\x00\x01y$\x05\x00\x01z") {
        player.handle_input(message, world.client()).unwrap();
    }
    assert!(matches!(player.poll_event(), Some(PlayerEvent::Rtp(p)) if &p[..] == b"x"));
    assert!(matches!(player.poll_event(), Some(PlayerEvent::Rtcp(p)) if &p[..] == b"y"));
    assert!(player.poll_event().is_none());

    server.session.teardown(url());
    let bye = server.exchange(b"", &world);
    for message in decode(&bye) {
        player.handle_input(message, world.client()).unwrap();
    }
    assert!(matches!(player.poll_event(), Some(PlayerEvent::Ended)), "a server's TEARDOWN is a clear end");
}

#[test]
fn the_clocks_are_compared_within_their_bound() {
    let mut world = World::new(3_600_000_000);
    let mut server = Server::new(&world);
    let mut player = PlayerSession::new(url(), None, "test", world.client());
    converse!(player, server, world).unwrap();
    for _ in 0..10 {
        let due = player.poll_timeout().unwrap();
        let wait = due.saturating_duration_since(world.client().instant);
        world.pass(wait);
        player.handle_timeout(world.client()).unwrap();
        converse!(player, server, world).unwrap();
    }
    let clock = player.clock().unwrap();
    let error = (clock.offset_micros - 3_600_000_000).unsigned_abs();
    assert!(error <= clock.bound.as_micros() as u64 && clock.bound < Duration::from_millis(3), "{clock:?}");
    assert_eq!(clock.clock, ClockId::new(7), "the server has said which clock it is");
}

#[test]
fn refusals_name_the_request_and_what_to_do() {
    let refuse = |status: StatusCode| {
        let mut world = World::new(0);
        let mut server = Server::new(&world);
        server.refuse = Some(status);
        let mut player = PlayerSession::new(url(), None, "test", world.client());
        converse!(player, server, world).unwrap_err()
    };
    let text = refuse(StatusCode::NotFound).to_string();
    assert!(text.contains("rtsp://127.0.0.1:8554/live") && text.contains("DESCRIBE") && text.contains("404"), "{text}");
    assert!(matches!(refuse(StatusCode::Unauthorized), SessionError::Unauthorized { .. }));
    assert!(matches!(refuse(StatusCode::UnsupportedTransport), SessionError::Transport { .. }));
    assert!(matches!(refuse(StatusCode::ServiceUnavailable), SessionError::Refused { status: 503, .. }));
}

#[test]
fn a_silent_server_is_an_error_that_names_the_request() {
    let mut world = World::new(0);
    let mut publisher = PublisherSession::new(url(), None, "test", description(), world.client());
    drain(|| publisher.poll_transmit());
    world.pass(RESPONSE_TIMEOUT - Duration::from_millis(1));
    publisher.handle_timeout(world.client()).unwrap();
    world.pass(Duration::from_millis(1));
    let error = publisher.handle_timeout(world.client()).unwrap_err();
    assert!(matches!(error, SessionError::NoResponse { request: "OPTIONS", .. }), "{error}");
}

#[test]
fn sessions_are_kept_alive_by_requests() {
    let mut world = World::new(0);
    let mut server = Server::new(&world);
    let mut player = PlayerSession::new(url(), None, "test", world.client());
    converse!(player, server, world).unwrap();
    for _ in 0..300 {
        let due = player.poll_timeout().expect("a playing session always has a next keepalive");
        world.pass(due.saturating_duration_since(world.client().instant));
        player.handle_timeout(world.client()).unwrap();
        converse!(player, server, world).unwrap();
        assert!(server.session.deadline() > world.server().instant, "the server never sees silence");
    }
}

/// Sends text to a fresh server and returns the status line of each answer.
fn statuses(requests: &[&str]) -> Vec<String> {
    let world = World::new(0);
    let mut server = Server::new(&world);
    let mut out = Vec::new();
    for request in requests {
        let answer = String::from_utf8(server.exchange(request.as_bytes(), &world)).unwrap();
        out.push(answer.lines().next().unwrap_or_default().to_owned());
    }
    out
}

#[test]
fn the_wire_profiles_corners() {
    let cases: &[(&[&str], &str)] = &[
        (&["OPTIONS * RTSP/2.0\r\nCSeq: 1\r\n\r\n"], "RTSP/1.0 505"),
        (&["PLAY rtsp://h/p RTSP/1.0\r\nCSeq: 1\r\n\r\n"], "RTSP/1.0 455"),
        (&["RECORD rtsp://h/p RTSP/1.0\r\nCSeq: 1\r\n\r\n"], "RTSP/1.0 455"),
        (&["PAUSE rtsp://h/p RTSP/1.0\r\nCSeq: 1\r\n\r\n"], "RTSP/1.0 455"),
        (&["SETUP rtsp://h/p RTSP/1.0\r\nCSeq: 1\r\n\r\n"], "RTSP/1.0 400"),
        (&["GET_PARAMETER rtsp://h/p RTSP/1.0\r\nCSeq: 1\r\nSession: other\r\n\r\n"], "RTSP/1.0 454"),
        (
            &["SETUP rtsp://h/p RTSP/1.0\r\nCSeq: 1\r\nTransport: RTP/AVP;unicast;client_port=1-2\r\n\r\n"],
            "RTSP/1.0 461",
        ),
        (&["SETUP rtsp://h/p/trackID=0 RTSP/1.0\r\nCSeq: 1\r\nTransport: RTP/AVP/TCP\r\n\r\n"], "RTSP/1.0 200"),
        (&["SETUP rtsp://h/p/trackID=7 RTSP/1.0\r\nCSeq: 1\r\nTransport: RTP/AVP/TCP\r\n\r\n"], "RTSP/1.0 404"),
        (&["SETUP rtsp://h/p?a=b/trackID=0 RTSP/1.0\r\nCSeq: 1\r\nTransport: RTP/AVP/TCP\r\n\r\n"], "RTSP/1.0 200"),
        (&["ANNOUNCE rtsp://h/p RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 3\r\n\r\nabc"], "RTSP/1.0 400"),
        (&["GET_PARAMETER rtsp://h/p RTSP/1.0\r\nCSeq: 1\r\n\r\n"], "RTSP/1.0 200"),
        (
            &[
                "SETUP rtsp://h/p/trackID=0 RTSP/1.0\r\nCSeq: 1\r\nTransport: RTP/AVP/TCP\r\n\r\n",
                "SETUP rtsp://h/p/trackID=0 RTSP/1.0\r\nCSeq: 2\r\nTransport: RTP/AVP/TCP\r\n\r\n",
            ],
            "RTSP/1.0 455",
        ),
        (
            &[
                "SETUP rtsp://h/p/trackID=0 RTSP/1.0\r\nCSeq: 1\r\nTransport: RTP/AVP/TCP\r\n\r\n",
                "SETUP rtsp://h/other/trackID=0 RTSP/1.0\r\nCSeq: 2\r\nTransport: RTP/AVP/TCP\r\n\r\n",
            ],
            "RTSP/1.0 459",
        ),
        // Refused at its first SETUP, the connection is as it was: nothing to play, and free for another path.
        (
            &[
                "SETUP rtsp://h/p/trackID=7 RTSP/1.0\r\nCSeq: 1\r\nTransport: RTP/AVP/TCP\r\n\r\n",
                "PLAY rtsp://h/p RTSP/1.0\r\nCSeq: 2\r\n\r\n",
            ],
            "RTSP/1.0 455",
        ),
        (
            &[
                "SETUP rtsp://h/p/trackID=7 RTSP/1.0\r\nCSeq: 1\r\nTransport: RTP/AVP/TCP\r\n\r\n",
                "SETUP rtsp://h/other/trackID=0 RTSP/1.0\r\nCSeq: 2\r\nTransport: RTP/AVP/TCP\r\n\r\n",
            ],
            "RTSP/1.0 200",
        ),
    ];
    for (requests, expected) in cases {
        let answers = statuses(requests);
        assert!(answers.last().unwrap().starts_with(expected), "{requests:?} gave {answers:?}");
    }
}

#[test]
fn a_login_is_tried_once() {
    let mut world = World::new(0);
    let credentials = crate::rtsp::auth::Credentials { user: "u".into(), password: "p".into() };
    let mut player = PlayerSession::new(url(), Some(credentials), "test", world.client());
    drain(|| player.poll_transmit());
    let challenge = |cseq: u32| {
        format!(
            "RTSP/1.0 401 Unauthorized\r\nCSeq: {cseq}\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n\
             WWW-Authenticate: Basic realm=\"r\"\r\n\r\n"
        )
    };
    let mut answer = |cseq| {
        let message = decode(challenge(cseq).as_bytes()).remove(0);
        world.pass(Duration::from_millis(1));
        player.handle_input(message, world.client()).map(|()| drain(|| player.poll_transmit()))
    };
    let again = String::from_utf8(answer(1).unwrap()).unwrap();
    assert!(again.contains("Authorization: Digest username=\"u\""), "{again}");
    assert!(matches!(answer(2), Err(SessionError::Unauthorized { .. })));
}

#[test]
fn a_connection_may_begin_another_session_after_teardown() {
    let mut world = World::new(0);
    let mut server = Server::new(&world);
    for _ in 0..2 {
        let mut publisher = PublisherSession::new(url(), None, "test", description(), world.client());
        converse!(publisher, server, world).unwrap();
        publisher.teardown(world.client());
        converse!(publisher, server, world).unwrap();
        server.exchange(b"$\x00\x00\x01x", &world);
    }
    assert_eq!(server.log, ["Announce", "Record", "teardown", "Announce", "Record", "teardown"]);
    assert_eq!(server.session.stray_frames, 2, "late media of an ended session means nothing");
}

#[test]
fn media_keeps_a_player_alive_whose_keepalives_go_unanswered() {
    let mut world = World::new(0);
    let mut server = Server::new(&world);
    let mut player = PlayerSession::new(url(), None, "test", world.client());
    converse!(player, server, world).unwrap();
    for _ in 0..60 {
        world.pass(Duration::from_secs(1));
        player.handle_timeout(world.client()).unwrap();
        drain(|| player.poll_transmit());
        let media = decode(b"$\x00\x00\x01x").remove(0);
        player.handle_input(media, world.client()).unwrap();
    }
    world.pass(RESPONSE_TIMEOUT);
    let error = player.handle_timeout(world.client()).unwrap_err();
    assert!(matches!(error, SessionError::NoResponse { .. }), "without media, silence is silence: {error}");
}

#[test]
fn answers_without_cseq_are_taken_in_order() {
    let world = World::new(0);
    let mut player = PlayerSession::new(url(), None, "test", world.client());
    drain(|| player.poll_transmit());
    let options = decode(b"RTSP/1.0 200 OK\r\nPublic: DESCRIBE\r\n\r\n").remove(0);
    player.handle_input(options, world.client()).unwrap();
    let next = String::from_utf8(drain(|| player.poll_transmit())).unwrap();
    assert!(next.starts_with("DESCRIBE "), "{next}");
}
