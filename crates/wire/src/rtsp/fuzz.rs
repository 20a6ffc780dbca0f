//! Bodies of the fuzz targets of this module; the targets in `fuzz/` only call them.

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use rtsp_types::{StatusCode, Url};

use super::auth::{Authorization, Challenge, Ha1};
use super::clock::{ClockReply, ClockRequest};
use super::message::{Inbound, MAX_BODY_BYTES, MAX_HEADER_BYTES, MAX_HEADERS, MAX_NOISE_BYTES, MessageDecoder};
use super::path::{self, MAX_PATH_BYTES, StreamPath};
use super::sdp::{Description, H264Parameters, MAX_TRACKS, Track};
use super::session::player::PlayerSession;
use super::session::server::{Accepted, ServerEvent, ServerSession};
use super::transport::{Channels, Transport};
use crate::codec::CodecId;
use crate::rtp::interleave;
use crate::session::Session;
use crate::time::{Now, UtcMicros};

/// Size of the pieces, bytes, where the input is decoded in pieces.
const CHUNK_BYTES: usize = 7;

/// Any bytes through the decoders of a server and of a client, at once and in small pieces. Checks that decoding ends, stays
/// within its bounds and does not panic.
pub fn message(data: &[u8]) {
    for decoder in [MessageDecoder::default, MessageDecoder::of_server] {
        decode(decoder(), [data].into_iter());
        decode(decoder(), data.chunks(CHUNK_BYTES));
    }
}

fn decode<'d>(mut decoder: MessageDecoder, pieces: impl Iterator<Item = &'d [u8]>) {
    let mut buffer = BytesMut::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            let (before, noise) = (buffer.len(), decoder.noise_bytes());
            match decoder.decode(&mut buffer) {
                Ok(Some(inbound)) => check(&inbound),
                Ok(None) => break,
                Err(_) => return,
            }
            assert!(buffer.len() < before || noise > 0, "decoding makes progress");
        }
        assert!(buffer.len() < MAX_HEADER_BYTES + MAX_BODY_BYTES);
        assert!(decoder.noise_bytes() <= MAX_NOISE_BYTES);
    }
}

fn check(inbound: &Inbound) {
    match inbound {
        Inbound::Request(request) => {
            assert!(request.body().len() <= MAX_BODY_BYTES && request.headers().count() <= MAX_HEADERS);
            assert_one_request(super::message::request_bytes(request));
            if let Some(asked) = ClockRequest::parse(request.body()) {
                assert_eq!(ClockRequest::parse(&asked.body()), Some(asked));
            }
            if let Some(header) = super::message::header(request, &rtsp_types::headers::TRANSPORT)
                && let Ok(transport) = Transport::parse(header)
            {
                assert_eq!(Transport::parse(&transport.header()), Ok(transport));
            }
        }
        Inbound::Response(response) => {
            assert!(response.body().len() <= MAX_BODY_BYTES && response.headers().count() <= MAX_HEADERS);
            assert_one_answer(super::message::response_bytes(response));
            if let Some(reply) = ClockReply::parse(response.body()) {
                assert_eq!(ClockReply::parse(&reply.body()), Some(reply));
            }
            if let Some(header) = response.header(&rtsp_types::headers::TRANSPORT) {
                let _ = Transport::granted(header.as_str(), Channels { rtp: 0, rtcp: 1 });
            }
        }
        Inbound::BadRequest(request) => {
            assert_one_answer(super::message::reply_to_bad(request));
            assert!(!request.what.contains(char::is_control));
        }
        Inbound::Frame(frame) => assert_eq!(frame.framed.len(), frame.packet().len() + 4),
        Inbound::Noise(bytes) => assert!((1..=MAX_NOISE_BYTES).contains(bytes)),
    }
}

/// Checks that a request, when written, reads back as one request.
fn assert_one_request(bytes: Bytes) {
    let mut buffer = BytesMut::from(&bytes[..]);
    match MessageDecoder::default().decode(&mut buffer) {
        Ok(Some(Inbound::Request(again))) => {
            assert!(buffer.is_empty(), "more than a request: {bytes:?}");
            assert_eq!(super::message::request_bytes(&again), bytes);
        }
        other => panic!("{other:?} in {bytes:?}"),
    }
}

/// Any bytes as a session description. Checks that what parses can be written for readers, reads back the same, and is
/// then written the same.
pub fn sdp(data: &[u8]) {
    let Ok(description) = Description::parse(data) else { return };
    assert!((1..=MAX_TRACKS).contains(&description.tracks().len()));
    let written = description.for_readers();
    let again = Description::parse(&written).expect("what we write, we read");
    assert_eq!(again.tracks().len(), description.tracks().len());
    for (index, (ours, theirs)) in again.tracks().iter().zip(description.tracks()).enumerate() {
        assert!(ours.is_like(theirs), "{ours:?} of {theirs:?}");
        assert_eq!((ours.codec, &ours.parameter_sets), (theirs.codec, &theirs.parameter_sets));
        let read = |track: &Track| H264Parameters::of_parameters(track.parameters());
        assert!(ours.codec != Some(CodecId::H264) || read(ours) == read(theirs));
        assert!(ours.other_payload_types.is_empty() && ours.control.is_some());
        let _ = description.payload_format(index);
    }
    assert_eq!(again.for_readers(), written);
    assert!(written.split(|&byte| byte == b'\n').all(|line| line.is_empty() || line.get(1) == Some(&b'=')));
    let _ = description.offer();
}

/// Answers to server events, taken from the input: two bits for each event.
struct Runner {
    decisions: u64,
    /// The description for readers: that of the publisher, once there is one.
    description: Description,
}

/// Description for readers before a publisher announces one.
const DESCRIBED: &[u8] = b"v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n\
a=rtpmap:96 H265/90000\r\na=control:a\r\nm=audio 0 RTP/AVP 97\r\na=rtpmap:97 OPUS/48000/2\r\na=control:b\r\n";

impl Runner {
    /// Answers an event that needs an answer: accepts, refuses, or asks for credentials.
    fn answer(&mut self, session: &mut ServerSession, event: ServerEvent) {
        assert_possible(&event);
        assert!(!session.method().is_empty() || matches!(event, ServerEvent::Teardown | ServerEvent::Pause));
        let login = session.authorization();
        if let Some(Authorization::Digest(digest)) = &login {
            digest.proves(Ha1::new("me", "secret"), session.method(), "f00");
        }
        let decision = self.decisions & 3;
        self.decisions = self.decisions.rotate_right(2);
        let accepted = match event {
            ServerEvent::Media { .. } | ServerEvent::Pause | ServerEvent::Teardown => return,
            _ if decision == 2 => return session.refuse(StatusCode::Forbidden),
            _ if decision == 3 && login.is_none() => {
                return session.challenge(&Challenge { nonce: "f00".to_owned(), digest: true, basic: true });
            }
            ServerEvent::Announce { .. } => match session.announced() {
                Some(Ok(description)) => {
                    assert!((1..=MAX_TRACKS).contains(&description.tracks().len()));
                    self.description = description.clone();
                    Accepted::Announced(Box::new(description))
                }
                _ => return session.refuse(StatusCode::BadRequest),
            },
            ServerEvent::Describe { .. } => Accepted::Description(self.description.for_readers()),
            ServerEvent::Setup { .. } => Accepted::Tracks(self.description.tracks().len()),
            ServerEvent::Play { .. } | ServerEvent::Record { .. } => Accepted::Yes,
        };
        session.accept(accepted);
    }
}

/// Checks that the values of an event are within their bounds.
fn assert_possible(event: &ServerEvent) {
    match event {
        ServerEvent::Describe { path } | ServerEvent::Setup { path } | ServerEvent::Announce { path } => {
            assert_normal(path)
        }
        ServerEvent::Play { channels, .. } | ServerEvent::Record { channels, .. } => assert_apart(channels),
        ServerEvent::Media { .. } | ServerEvent::Pause | ServerEvent::Teardown => {}
    }
}

/// Checks that a path is in normal form and reads back the same from a URL.
fn assert_normal(path: &StreamPath) {
    assert!((1..=MAX_PATH_BYTES).contains(&path.len()) && !path.contains(char::is_control));
    assert_eq!(StreamPath::parse(&path::encoded(path).to_string()).as_ref(), Ok(path));
}

/// Checks that there is a track, and that no two tracks share a channel.
fn assert_apart(channels: &[Option<Channels>]) {
    assert!(channels.len() <= MAX_TRACKS && channels.iter().any(Option::is_some));
    let mut all: Vec<u8> = channels.iter().flatten().flat_map(|pair| [pair.rtp, pair.rtcp]).collect();
    all.sort_unstable();
    assert!(all.windows(2).all(|pair| pair[0] != pair[1]), "a channel belongs to two: {all:?}");
}

/// Checks that the bytes are exactly one response that can be read.
fn assert_one_answer(bytes: Bytes) {
    assert!(bytes.len() <= 4 * MAX_HEADER_BYTES + MAX_BODY_BYTES);
    let mut buffer = BytesMut::from(&bytes[..]);
    match MessageDecoder::default().decode(&mut buffer) {
        Ok(Some(Inbound::Response(_))) => assert!(buffer.is_empty(), "more than an answer: {bytes:?}"),
        other => panic!("{other:?} in {bytes:?}"),
    }
}

/// A connection to a server session. Checks that every request gets exactly one response, in any state, and that nothing else
/// gets one. The first eight bytes of the input are the answers to events, the rest is what the peer sends.
pub fn session(data: &[u8], start: Instant) {
    let Some((decisions, said)) = data.split_first_chunk() else { return };
    let Ok(description) = Description::parse(DESCRIBED) else { return };
    let mut runner = Runner { decisions: u64::from_le_bytes(*decisions), description };
    let now = Now { instant: start, utc: UtcMicros(0) };
    let mut session = ServerSession::new("c0ffee".to_owned(), now);
    let mut decoder = MessageDecoder::default();
    let mut buffer = BytesMut::from(said);
    loop {
        while let Some(run) = decoder.decode_run(&mut buffer) {
            for (channel, _) in interleave::frames(&run) {
                let strays = session.stray_frames;
                let found = session.handle_channel(channel, now);
                assert_eq!(session.stray_frames - strays, u64::from(found.is_none()));
                assert!(found.is_none_or(|(track, _)| track < MAX_TRACKS));
            }
        }
        let Ok(Some(message)) = decoder.decode(&mut buffer) else { break };
        assert!(!matches!(message, Inbound::Frame(_)), "frames come in runs, and this one would be lost");
        let is_request = matches!(message, Inbound::Request(_) | Inbound::BadRequest(_));
        session.handle_input(message, now).expect("nothing is left to wait behind");
        if let Some(event) = session.poll_event() {
            runner.answer(&mut session, event);
        }
        assert!(session.method().is_empty(), "a question is left open");
        assert_eq!(session.waiting_answers() > 0, is_request);
        assert!(
            session
                .poll_refusal()
                .is_none_or(|refusal| is_request && refusal.status != StatusCode::InternalServerError)
        );
        let pieces: Vec<Bytes> = std::iter::from_fn(|| session.poll_transmit()).collect();
        if is_request {
            assert_one_answer(pieces.concat().into());
        }
    }
    if let Ok(url) = Url::parse("rtsp://h/live") {
        session.teardown(url);
    }
    assert_eq!(session.waiting_answers(), 1);
}

/// Most requests that one response can lead to: the next one of the session, and a clock exchange.
const MAX_REQUESTS_AT_ONCE: usize = 2;

/// Any bytes as a server's side of a connection to a player of `rtsp://h:8554/live?x=1`. Checks that each message leads to a
/// bounded number of requests, that these can be read, and that a refused session ends.
pub fn player(data: &[u8], start: Instant) {
    let now = Now { instant: start, utc: UtcMicros(0) };
    let Ok(url) = Url::parse("rtsp://h:8554/live?x=1") else { return };
    let mut session = PlayerSession::new(url, None, "fuzz", now);
    let mut decoder = MessageDecoder::of_server();
    let mut buffer = BytesMut::from(data);
    let mut requests = std::iter::from_fn(|| session.poll_transmit()).count();
    while let Ok(Some(message)) = decoder.decode(&mut buffer) {
        let is_frame = matches!(message, Inbound::Frame(_) | Inbound::Noise(_));
        let is_over = session.handle_input(message, now).is_err();
        let sent: Vec<Bytes> = std::iter::from_fn(|| session.poll_transmit()).collect();
        assert!(sent.len() <= if is_frame { 0 } else { MAX_REQUESTS_AT_ONCE }, "{sent:?}");
        for bytes in sent {
            let mut buffer = BytesMut::from(&bytes[..]);
            match MessageDecoder::default().decode(&mut buffer) {
                Ok(Some(Inbound::Request(_))) => requests += 1,
                Ok(Some(Inbound::Response(_))) => {}
                other => panic!("{other:?} in {bytes:?}"),
            }
            assert!(buffer.is_empty(), "more than a message: {bytes:?}");
        }
        while session.poll_event().is_some() {}
        if is_over {
            return;
        }
    }
    assert!(requests >= 1);
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use crate::test_corpus::{mutated, replay};

    #[test]
    fn the_corpora_of_rtsp_have_no_findings() {
        assert!(replay("rtsp_message", super::message) > 0);
        assert!(replay("rtsp_player", |data| super::player(data, Instant::now())) > 0);
        assert!(replay("rtsp_session", |data| super::session(data, Instant::now())) > 0);
        assert!(replay("sdp", super::sdp) > 0);
    }
    #[test]
    fn changed_descriptions_have_no_findings() {
        mutated("sdp", super::sdp);
    }

    #[test]
    fn changed_messages_have_no_findings() {
        mutated("rtsp_message", super::message);
    }

    #[test]
    fn changed_sessions_have_no_findings() {
        mutated("rtsp_player", |data| super::player(data, Instant::now()));
        mutated("rtsp_session", |data| super::session(data, Instant::now()));
    }
}
