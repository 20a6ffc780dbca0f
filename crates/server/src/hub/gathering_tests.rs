//! Gathering in virtual time, driven as the task of a publisher's connection does it.

use std::collections::VecDeque;

use parking_lot::Mutex;
use proptest::prelude::*;

use super::super::batch::Batch;
use super::super::reader::{Outlet, Reader};
use super::super::tests::{CHANNELS, World, write_permit};
use super::*;

/// A socket that accepts everything, and counts writes.
#[derive(Debug, Default)]
struct Sink(Mutex<(Vec<u8>, usize)>);

impl Outlet for Sink {
    fn try_send(&self, bytes: &[u8]) -> usize {
        let mut sent = self.0.lock();
        sent.0.extend_from_slice(bytes);
        sent.1 += 1;
        bytes.len()
    }
}

/// A publisher's connection, and the sockets of the stream's readers.
struct Connection {
    world: World,
    gathering: Gathering,
    sinks: Vec<std::sync::Arc<Sink>>,
    readers: Vec<std::sync::Arc<Reader>>,
    input: Vec<u8>,
    /// When each whole frame in `input` came.
    came: VecDeque<Instant>,
    /// Bytes of whole frames that have been pushed.
    pushed: Vec<u8>,
}

impl Connection {
    /// With so many readers, which have been sent a first picture.
    fn new(readers: usize) -> Connection {
        let mut world = World::new(true);
        world.publish(true);
        let mut connection = Connection {
            world,
            gathering: Gathering::of(Some(CHANNELS.rtp)),
            sinks: Vec::new(),
            readers: Vec::new(),
            input: Vec::new(),
            came: VecDeque::new(),
            pushed: Vec::new(),
        };
        for _ in 0..readers {
            let sink = std::sync::Arc::new(Sink::default());
            let outlet: std::sync::Arc<dyn Outlet> = sink.clone();
            let reader = std::sync::Arc::new(Reader::new(vec![Some(CHANNELS)], Some(outlet)));
            connection.world.hub.find("live").unwrap().join(reader.clone(), connection.world.now);
            write_permit(&reader);
            reader.take(usize::MAX, drop);
            write_permit(&reader);
            connection.sinks.push(sink);
            connection.readers.push(reader);
        }
        connection
    }

    fn is_many(&self) -> bool {
        self.readers.len() >= MANY_READERS
    }

    fn whole_frames(&self) -> usize {
        interleave::frames(&self.input).count()
    }

    /// What the task does when it has read, or its timer has fired.
    fn look(&mut self) {
        let now = self.world.now.instant;
        let publication = self.world.publication.as_ref().unwrap();
        if publication.gathers(&mut self.gathering, &self.input, now) {
            assert!(self.is_many(), "few wait for nothing");
            assert!(self.gathering.until().is_some_and(|until| until > now && until <= now + GATHERING_TIME));
            return;
        }
        assert_eq!(self.gathering.until(), None);
        let len = interleave::run_len(&self.input);
        let run: Vec<u8> = self.input.drain(..len).collect();
        for came in self.came.drain(..) {
            assert!(now - came <= GATHERING_TIME, "a packet waited for {:?}", now - came);
        }
        self.pushed.extend_from_slice(&run);
        if !run.is_empty() {
            let batch = Batch::interleaved(run.into(), |channel| Some((0, channel == CHANNELS.rtcp)));
            publication.push(&batch, self.world.now).deliver();
        }
    }

    /// Lets time pass; the timer fires.
    fn pass(&mut self, time: Duration) {
        let end = self.world.now.instant + time;
        while let Some(until) = self.gathering.until().filter(|&until| until <= end) {
            self.world.pass(until - self.world.now.instant);
            self.look();
        }
        self.world.pass(end - self.world.now.instant);
    }

    /// A read brings these bytes.
    fn read(&mut self, bytes: &[u8]) {
        let before = self.whole_frames();
        self.input.extend_from_slice(bytes);
        self.came.extend((before..self.whole_frames()).map(|_| self.world.now.instant));
        self.look();
    }

    /// The frames of the next picture.
    fn picture(&mut self, slice_bytes: usize) -> Vec<Vec<u8>> {
        let picture = self.world.picture(false, slice_bytes);
        picture.packets().iter().map(|packet| picture.stored(packet).to_vec()).collect()
    }
}

/// An RTCP packet that means nothing to the hub (APP, RFC 3550 section 6.7), in its frame.
fn rtcp(channel: u8) -> Vec<u8> {
    [&interleave::frame_header(channel, 12)[..], &[0x80, 204, 0, 2, 0, 0, 0, 7, b't', b'e', b's', b't']].concat()
}

#[test]
fn a_picture_that_comes_packet_by_packet_is_one_write_where_many_read_and_several_where_few_do() {
    for readers in [1, MANY_READERS - 1, MANY_READERS, MANY_READERS + 4] {
        let mut connection = Connection::new(readers);
        let frames = connection.picture(1100);
        assert!(frames.len() > 5);
        let expected = if connection.is_many() { 1 } else { frames.len() };
        for frame in frames {
            connection.read(&frame);
            connection.pass(Duration::from_micros(20));
        }
        for sink in &connection.sinks {
            let (sent, writes) = &*sink.0.lock();
            assert_eq!((sent, *writes), (&connection.pushed, expected), "with {readers} readers");
        }
    }
}

#[test]
fn what_is_no_part_of_a_picture_and_what_is_too_much_do_not_wait() {
    let mut connection = Connection::new(MANY_READERS);
    for channel in [CHANNELS.rtcp, CHANNELS.rtp] {
        connection.read(&rtcp(channel));
        assert!(connection.input.is_empty(), "RTCP on channel {channel}");
    }
    let mut frames = connection.picture(2 * GATHERED_BYTES);
    frames.pop();
    let mut most = 0;
    for frame in frames {
        connection.read(&frame);
        most = most.max(connection.input.len());
    }
    assert!((GATHERED_BYTES / 2..GATHERED_BYTES).contains(&most), "{most} bytes waited");
    let mut without_video = Gathering::of(None);
    assert!(!without_video.holds(&connection.picture(600)[0], || MANY_READERS, connection.world.now.instant));
}

#[test]
fn after_the_time_is_over_the_rest_of_the_picture_waits_anew() {
    let mut connection = Connection::new(MANY_READERS);
    let frames = connection.picture(1100);
    connection.read(&frames[0]);
    connection.pass(GATHERING_TIME);
    assert_eq!(connection.pushed, frames[0]);
    connection.pass(GATHERING_TIME * 5);
    connection.read(&frames[1..].concat());
    assert_eq!(connection.pushed, frames.concat());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn every_reader_gets_the_same_bytes_in_order_and_nothing_waits_too_long(
        readers in prop_oneof![1..MANY_READERS, MANY_READERS..MANY_READERS + 6],
        pictures in prop::collection::vec((10..1500_usize, any::<bool>(), any::<bool>()), 1..8),
        cuts in prop::collection::vec((1..1500_usize, 0..2500_u64), 1..80),
    ) {
        let mut connection = Connection::new(readers);
        let mut stream = Vec::new();
        for (slice_bytes, has_end, has_report) in pictures {
            let mut frames = connection.picture(slice_bytes);
            if !has_end {
                frames.pop();
            }
            if has_report {
                frames.insert(frames.len() / 2, rtcp(CHANNELS.rtcp));
            }
            stream.extend(frames.concat());
        }
        let mut at = 0;
        for (len, micros) in cuts.into_iter().chain([(usize::MAX, 0)]) {
            let end = at + len.min(stream.len() - at);
            connection.read(&stream[at..end]);
            at = end;
            let whole = interleave::run_len(&stream[..at]);
            if !connection.is_many() {
                prop_assert_eq!(connection.pushed.len(), whole, "few wait for nothing");
            }
            if let Some((_, last)) = interleave::frames(&stream[..whole]).filter(|(channel, _)| *channel == CHANNELS.rtp).last()
                && batch::is_marked(&stream[last][HEADER_LEN..])
            {
                prop_assert_eq!(connection.pushed.len(), whole, "a whole picture waits for nothing");
            }
            connection.pass(Duration::from_micros(micros));
        }
        connection.pass(GATHERING_TIME);
        prop_assert_eq!(&connection.pushed, &stream);
        for (sink, reader) in connection.sinks.iter().zip(&connection.readers) {
            prop_assert_eq!(&sink.0.lock().0, &stream);
            prop_assert_eq!(reader.metrics().depth, 0);
        }
    }
}
