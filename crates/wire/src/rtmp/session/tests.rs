//! The session against a server that is played by the test, in virtual time.

use std::time::{Duration, Instant};

use bytes::BytesMut;

use super::super::chunk::OWN_CHUNK_BYTES;
use super::*;
use crate::time::UtcMicros;

/// A session, and its server.
struct World {
    session: RtmpSession,
    now: Now,
    to_client: BytesMut,
    reader: ChunkReader,
    writer: ChunkWriter,
    heard: BytesMut,
}

impl World {
    fn new(role: Role) -> World {
        let address = StreamAddress::of(&"rtmp://h/live/key?token=1".parse().unwrap()).unwrap();
        let now = Now { instant: Instant::now(), utc: UtcMicros(0) };
        let session = RtmpSession::new(role, address, "", "hevcast/0", 1, now);
        let (reader, writer) = (ChunkReader::default(), ChunkWriter::default());
        let mut world = World { session, now, to_client: BytesMut::new(), reader, writer, heard: BytesMut::new() };
        world.to_client.extend_from_slice(&[&[3][..], &[7; 3072]].concat());
        assert_eq!(world.next_event(), None);
        world.listen();
        let _ = world.heard.split_to(1537 + 1536);
        world
    }

    fn next_event(&mut self) -> Option<RtmpEvent> {
        if let Some(event) = self.session.poll_event() {
            return Some(event);
        }
        self.session.handle_input(&mut self.to_client, self.now).unwrap();
        self.session.poll_event()
    }

    fn listen(&mut self) {
        while let Some(bytes) = self.session.poll_transmit() {
            self.heard.extend_from_slice(&bytes);
        }
    }

    fn say(&mut self, kind: MessageType, stream: u32, timestamp: u32, body: &[u8]) {
        let out = &mut self.to_client;
        let body = [Bytes::copy_from_slice(body)];
        assert!(self.writer.write(5, kind, stream, timestamp, body, |bytes| out.extend_from_slice(&bytes)));
    }

    fn command(&mut self, name: &str, transaction: f64, rest: &[Value]) {
        let values = [&[Value::text(name), Value::Number(transaction), Value::Null][..], rest].concat();
        self.say(MessageType::COMMAND, 0, 0, &amf::write(&values));
    }

    fn status(&mut self, level: &str, code: &str, description: &str) {
        let (level, code) = (Value::text(level), Value::text(code));
        let info = Value::object([("level", level), ("code", code), ("description", Value::text(description))]);
        self.command("onStatus", 0.0, &[info]);
    }

    /// The next message that the client sent.
    fn next(&mut self) -> Message {
        self.listen();
        let message = self.reader.read(&mut self.heard).unwrap().expect("a message of the client's");
        if message.kind == MessageType::SET_CHUNK_SIZE {
            self.reader.set_chunk_bytes(OWN_CHUNK_BYTES as u32).unwrap();
        }
        message
    }

    fn next_command(&mut self) -> Vec<Value> {
        loop {
            let message = self.next();
            if message.kind == MessageType::COMMAND {
                return amf::read(&message.body).unwrap();
            }
        }
    }

    fn expect(&mut self, name: &str) -> (f64, Vec<Value>) {
        let command = self.next_command();
        assert_eq!(command[0].as_text(), Some(name), "{command:?}");
        (command[1].as_number().unwrap(), command)
    }

    /// Leads the session to where it has asked for its stream.
    fn opening(role: Role) -> World {
        let mut world = World::new(role);
        let (transaction, _) = world.expect("connect");
        world.command("_result", transaction, &[]);
        assert_eq!(world.next_event(), None);
        if role == Role::Publish {
            for name in ["releaseStream", "FCPublish"] {
                let (transaction, command) = world.expect(name);
                assert_eq!(command[3].as_text(), Some("key?token=1"));
                world.command("_error", transaction, &[]);
            }
        }
        let (transaction, _) = world.expect("createStream");
        world.command("_result", transaction, &[Value::Number(3.0)]);
        assert_eq!(world.next_event(), None);
        world
    }

    fn running(role: Role) -> World {
        let mut world = World::opening(role);
        let code = if role == Role::Publish { "NetStream.Publish.Start" } else { "NetStream.Play.Start" };
        world.status("status", code, "");
        assert_eq!(world.next_event(), Some(RtmpEvent::Started));
        world.listen();
        world
    }

    fn fails(&mut self) -> String {
        self.session.handle_input(&mut self.to_client, self.now).unwrap_err().to_string()
    }
}

#[test]
fn a_publisher_connects_and_says_what_it_can() {
    let mut world = World::new(Role::Publish);
    let (_, connect) = world.expect("connect");
    let text = |name: &str| connect[2].get(name).and_then(Value::as_text).map(str::to_owned);
    assert_eq!((text("app").as_deref(), text("tcUrl").as_deref()), (Some("live"), Some("rtmp://h/live")));
    assert_eq!(connect[2].get("fourCcList"), Some(&Value::Array(vec![Value::text("hvc1")])));
    let mut world = World::opening(Role::Publish);
    let (_, publish) = world.expect("publish");
    assert_eq!(publish[3..], [Value::text("key?token=1"), Value::text("live")]);
    world.status("status", "NetStream.Publish.Start", "Start publishing");
    assert_eq!(world.next_event(), Some(RtmpEvent::Started));
    assert_eq!(world.session.poll_timeout(), None);
    world.session.send_video(40, &[Bytes::from(vec![1; 70_000]), Bytes::from_static(&[2])]).unwrap();
    let video = world.next();
    assert_eq!((video.kind, video.stream, video.timestamp, video.body.len()), (MessageType::VIDEO, 3, 40, 70_001));
    let long = Bytes::from(vec![0; 1 << 24]);
    assert!(world.session.send_video(80, &[long]).unwrap_err().to_string().contains("longer than RTMP allows"));
    world.session.end();
    world.expect("FCUnpublish");
    assert_eq!(world.expect("deleteStream").1[3], Value::Number(3.0));
}

#[test]
fn a_refusal_is_told_in_the_servers_words() {
    let mut world = World::opening(Role::Publish);
    world.status("error", "NetStream.Publish.BadName", "Stream already publishing");
    let error = world.session.handle_input(&mut world.to_client, world.now).unwrap_err();
    assert!(error.is_temporary());
    let error = error.to_string();
    let expected = "rtmp://h/live/key: the server refused to publish: NetStream.Publish.BadName: Stream already \
                    publishing";
    assert_eq!(error, expected);
    let mut world = World::new(Role::Play);
    let (transaction, _) = world.expect("connect");
    let info = Value::object([("code", Value::text("NetConnection.Connect.InvalidApp"))]);
    world.command("_error", transaction, &[info]);
    assert!(world.fails().ends_with("refused to connect: NetConnection.Connect.InvalidApp"));
    let mut world = World::new(Role::Play);
    let (transaction, _) = world.expect("connect");
    let description = Value::text("[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : ");
    world.command("_error", transaction, &[Value::object([("description", description)])]);
    assert!(world.fails().contains("wants a login"));
}

#[test]
fn a_player_gets_its_streams_pictures_and_hears_that_there_is_sound() {
    let mut world = World::running(Role::Play);
    world.say(MessageType::AUDIO, 3, 0, b"sound");
    world.say(MessageType::VIDEO, 2, 0, b"another stream's");
    world.say(MessageType::DATA, 3, 0, b"broken");
    world.say(MessageType::VIDEO, 3, 7, b"ours");
    let video = |timestamp, body: &'static [u8]| Some(RtmpEvent::Video { timestamp, body: Bytes::from_static(body) });
    assert_eq!((world.next_event(), world.next_event()), (Some(RtmpEvent::Sound), video(7, b"ours")));
    world.status("status", "NetStream.Play.UnpublishNotify", "");
    assert_eq!(world.next_event(), Some(RtmpEvent::Ended));
    let mut world = World::opening(Role::Play);
    world.say(MessageType::VIDEO, 3, 7, b"early");
    assert_eq!((world.next_event(), world.next_event()), (Some(RtmpEvent::Started), video(7, b"early")));
    world.say(MessageType::USER_CONTROL, 0, 0, &[0, 1, 0, 0, 0, 3]);
    assert_eq!(world.next_event(), Some(RtmpEvent::Ended));
}

#[test]
fn pings_are_answered_and_arrivals_told() {
    let mut world = World::running(Role::Play);
    while world.reader.read(&mut world.heard).unwrap().is_some() {}
    world.say(MessageType::USER_CONTROL, 0, 0, &[0, 6, 1, 2, 3, 4]);
    world.say(MessageType::USER_CONTROL, 0, 0, &[0, 99, 1, 2, 3, 4]);
    assert_eq!(world.next_event(), None);
    let answer = world.next();
    assert_eq!((answer.kind, &answer.body[..]), (MessageType::USER_CONTROL, &[0, 7, 1, 2, 3, 4][..]));
    world.say(MessageType::WINDOW_SIZE, 0, 0, &2000u32.to_be_bytes());
    world.say(MessageType::AUDIO, 3, 0, &[0; 1500]);
    assert_eq!(world.next_event(), Some(RtmpEvent::Sound));
    assert_eq!(world.next().kind, MessageType::ACKNOWLEDGEMENT);
    world.say(MessageType::PEER_BANDWIDTH, 0, 0, &[0, 38, 37, 160, 2]);
    assert_eq!(world.next_event(), None);
    assert_eq!(world.next().kind, MessageType::WINDOW_SIZE);
}

#[test]
fn silence_and_nonsense_are_errors() {
    let mut world = World::opening(Role::Publish);
    world.now.instant += RESPONSE_TIMEOUT - Duration::from_millis(1);
    assert!(world.session.handle_timeout(world.now).is_ok());
    world.now.instant += Duration::from_millis(1);
    let error = world.session.handle_timeout(world.now).unwrap_err();
    assert!(error.is_temporary() && error.to_string().contains("does not answer publish within 5 s"), "{error}");
    for (kind, body) in [(MessageType::COMMAND, &b"\x02\x00"[..]), (MessageType::SET_CHUNK_SIZE, &[0, 0, 0, 0])] {
        let mut world = World::running(Role::Publish);
        world.say(kind, 0, 0, body);
        assert!(world.fails().starts_with("rtmp://h/live/key: "));
    }
    let mut world = World::running(Role::Publish);
    for short in [&b""[..], b"\x02\x00\x01x", b"\x05"] {
        world.say(MessageType::COMMAND, 0, 0, short);
        world.say(MessageType::USER_CONTROL, 0, 0, short);
        world.say(MessageType::ABORT, 0, 0, short);
    }
    assert_eq!(world.next_event(), None);
    world.status("error", "NetConnection.Connect.Rejected", "go away");
    assert!(world.fails().contains("ended the stream: NetConnection.Connect.Rejected: go away"));
}

#[test]
fn a_server_that_asks_and_reads_nothing_is_left() {
    for (kind, body) in [(MessageType::USER_CONTROL, vec![0, 6, 1, 2, 3, 4]), (MessageType::PEER_BANDWIDTH, vec![0; 5])]
    {
        let mut world = World::running(Role::Play);
        for _ in 0..4 {
            (0..MAX_UNREAD_RESPONSES).for_each(|_| world.say(kind, 0, 0, &body));
            assert_eq!(world.next_event(), None);
            world.session.handle_drained();
        }
        (0..=MAX_UNREAD_RESPONSES).for_each(|_| world.say(kind, 0, 0, &body));
        assert!(world.fails().contains("does not read the answers"));
    }
    // A window of one byte: one acknowledgement waits, not one for every message.
    let mut world = World::running(Role::Play);
    while world.reader.read(&mut world.heard).unwrap().is_some() {}
    world.say(MessageType::WINDOW_SIZE, 0, 0, &1u32.to_be_bytes());
    (0..1000).for_each(|_| world.say(MessageType::AUDIO, 3, 0, &[0; 10]));
    world.say(MessageType::USER_CONTROL, 0, 0, &[&[0, 6][..], &[1; 5000]].concat());
    while let Some(event) = world.next_event() {
        assert_eq!(event, RtmpEvent::Sound);
    }
    assert_eq!(world.next().kind, MessageType::ACKNOWLEDGEMENT);
    assert!(world.next().body.len() < 100, "a ping without end is answered in short");
}

#[test]
fn whatever_a_server_says_is_fit_to_be_shown() {
    let nasty = "go\u{1b}]0;x\u{7} away\r\n\u{9b}2J \u{202e}";
    for (role, code) in [(Role::Publish, "NetStream.Publish.BadName"), (Role::Play, "NetStream.Play.StreamNotFound")] {
        let mut world = World::opening(role);
        world.status("error", code, nasty);
        let text = world.fails();
        assert!(text.chars().all(crate::shown::is_harmless) && text.contains("away"), "{text:?}");
    }
}
