//! What hostile clients request of a server session costs little.

use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::server::{Accepted, ServerEvent, ServerSession};
use crate::rtsp::auth::Challenge;
use crate::rtsp::message::{Inbound, MessageDecoder};
use crate::session::Session;
use crate::time::{Now, UtcMicros};

fn now() -> Now {
    Now { instant: Instant::now(), utc: UtcMicros(0) }
}

fn asked(session: &mut ServerSession, text: &str) -> Option<ServerEvent> {
    let message = MessageDecoder::default().decode(&mut BytesMut::from(text.as_bytes())).unwrap().unwrap();
    session.handle_input(message, now()).unwrap();
    session.poll_event()
}

fn answer(session: &mut ServerSession) -> Vec<Bytes> {
    std::iter::from_fn(|| session.poll_transmit()).collect()
}

#[test]
fn a_description_is_sent_as_it_is_however_many_ask() {
    let described = Bytes::from(vec![b'x'; 55 * 1024]);
    for _ in 0..3 {
        let mut session = ServerSession::new("c0ffee".into(), now());
        let event = asked(&mut session, "DESCRIBE rtsp://h/live RTSP/1.0\r\nCSeq: 1\r\n\r\n");
        assert!(matches!(event, Some(ServerEvent::Describe { .. })));
        session.accept(Accepted::Description(described.clone()));
        let pieces = answer(&mut session);
        assert_eq!(pieces.last().unwrap().as_ptr(), described.as_ptr(), "the same bytes, and no copy");
        let mut whole = BytesMut::from(&pieces.concat()[..]);
        let Ok(Some(Inbound::Response(response))) = MessageDecoder::default().decode(&mut whole) else {
            panic!("no answer: {pieces:?}")
        };
        assert_eq!(
            (response.body().len(), whole.len()),
            (described.len(), 0),
            "with its length, and nothing behind it"
        );
    }
}

#[test]
fn what_is_announced_is_not_looked_at_before_it_is_asked_for() {
    let junk = "this describes nothing";
    let text = format!("ANNOUNCE rtsp://h/live RTSP/1.0\r\nCSeq: 1\r\nContent-Length: {}\r\n\r\n{junk}", junk.len());
    let mut session = ServerSession::new("c0ffee".into(), now());
    assert!(session.announced().is_none());
    assert!(matches!(asked(&mut session, &text), Some(ServerEvent::Announce { .. })), "a question, whatever it holds");
    assert!(matches!(session.announced(), Some(Err(_))));
    session.challenge(&Challenge { nonce: "f00".into(), digest: true, basic: true });
    assert!(answer(&mut session).concat().starts_with(b"RTSP/1.0 401"), "the login is wished for first");
    assert!(session.announced().is_none(), "the question is answered");
}
