//! Which task writes to a reader's socket: the publisher's while the socket accepts everything, the reader's otherwise,
//! never both.

use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use bytes::Bytes;
use hevcast_wire::rtsp::transport::Channels;

use super::reader::{MAX_AGE, Outlet, Reader, WritePermit};
use super::tests::{CHANNELS, World, write_permit};

/// A socket that accepts a limited number of bytes.
#[derive(Debug)]
struct Pipe {
    inner: Mutex<(usize, Vec<u8>)>,
    /// The address of the bytes that were last offered to it.
    offered: AtomicUsize,
}

impl Pipe {
    fn new(available: usize) -> Arc<Pipe> {
        Arc::new(Pipe { inner: Mutex::new((available, Vec::new())), offered: AtomicUsize::new(0) })
    }

    fn set_available(&self, available: usize) {
        self.inner.lock().0 = available;
    }

    fn sent(&self) -> Vec<u8> {
        self.inner.lock().1.clone()
    }
}

impl Outlet for Pipe {
    fn try_send(&self, bytes: &[u8]) -> usize {
        self.offered.store(bytes.as_ptr() as usize, Ordering::Relaxed);
        let mut inner = self.inner.lock();
        let len = bytes.len().min(inner.0);
        inner.0 -= len;
        inner.1.extend_from_slice(&bytes[..len]);
        len
    }
}

/// A reader of a stream that has just begun, whose task has written the joining burst.
fn reader_of(world: &mut World, pipe: &Arc<Pipe>) -> Arc<Reader> {
    world.publish(true);
    let reader = Arc::new(Reader::new(vec![Some(CHANNELS)], Some(Arc::clone(pipe) as Arc<dyn Outlet>)));
    world.hub.find("live").unwrap().join(Arc::clone(&reader), world.now);
    assert_eq!(write_permit(&reader), WritePermit::Granted, "a joining burst is the task's");
    task_writes(&reader, pipe);
    reader
}

/// Does what the reader's task should do: writes everything, in order.
fn task_writes(reader: &Reader, pipe: &Pipe) {
    assert!(reader.take_rest().is_empty());
    reader
        .take(usize::MAX, |bytes| assert_eq!(pipe.try_send(&bytes), bytes.len(), "the test's socket is large enough"));
    assert_eq!(write_permit(reader), WritePermit::Idle);
}

/// Counts the frames in a byte stream; panics where the framing is lost.
fn frames(mut bytes: &[u8]) -> usize {
    let mut count = 0;
    while let [b'$', _, high, low, ..] = *bytes {
        bytes = &bytes[4 + usize::from(u16::from_be_bytes([high, low]))..];
        count += 1;
    }
    assert!(bytes.is_empty(), "the framing is lost");
    count
}

#[test]
fn a_reader_whose_socket_accepts_bytes_is_written_to_without_its_task() {
    let (mut world, pipe) = (World::new(true), Pipe::new(usize::MAX));
    let reader = reader_of(&mut world, &pipe);
    let before = frames(&pipe.sent());
    let packets = world.publish(false);
    assert_eq!(frames(&pipe.sent()), before + packets);
    assert_eq!((write_permit(&reader), reader.metrics().depth), (WritePermit::Idle, 0));
    assert!(reader.sent_bytes() > 600);
}

#[test]
fn readers_on_the_publishers_channels_get_the_bytes_that_were_read_and_others_a_copy() {
    let (mut world, pipe, moved) = (World::new(true), Pipe::new(usize::MAX), Pipe::new(usize::MAX));
    let _reader = reader_of(&mut world, &pipe);
    let outlet = Arc::clone(&moved) as Arc<dyn Outlet>;
    let other = Arc::new(Reader::new(vec![Some(Channels { rtp: 6, rtcp: 7 })], Some(outlet)));
    world.hub.find("live").unwrap().join(Arc::clone(&other), world.now);
    task_writes(&other, &moved);
    let (before, moved_before) = (pipe.sent().len(), moved.sent().len());
    let picture = world.picture(false, 5000);
    world.push(&picture);
    assert_eq!(pipe.offered.load(Ordering::Relaxed), picture.whole().as_ptr() as usize, "the same bytes, not a copy");
    let mut expected = pipe.sent()[before..].to_vec();
    let starts: Vec<_> = picture.packets().iter().map(|packet| packet.range.start).collect();
    starts.into_iter().for_each(|start| expected[start - 3] = 6);
    assert_eq!(moved.sent()[moved_before..], expected);
    // When the socket accepts only a part, the rest continues within the frame.
    for available in [0, 3, 4, 5, 700, 5000] {
        let so_far = moved.sent().len();
        moved.set_available(available);
        let picture = world.picture(false, 5000);
        world.push(&picture);
        moved.set_available(usize::MAX);
        assert_eq!(write_permit(&other), WritePermit::Granted);
        moved.try_send(&other.take_rest());
        task_writes(&other, &moved);
        assert_eq!(frames(&moved.sent()[so_far..]), picture.packets().len(), "with available for {available} bytes");
    }
}

#[test]
fn what_the_socket_does_not_accept_is_left_to_the_task_and_comes_first() {
    let (mut world, pipe) = (World::new(true), Pipe::new(usize::MAX));
    let reader = reader_of(&mut world, &pipe);
    let before = frames(&pipe.sent());
    pipe.set_available(300);
    let packets = world.publish(false) + world.publish(false);
    assert!(reader.metrics().depth > 0, "the second picture waits behind the cut frame");
    pipe.set_available(usize::MAX);
    assert_eq!(write_permit(&reader), WritePermit::Granted);
    let rest = reader.take_rest();
    assert!(!rest.is_empty());
    pipe.try_send(&rest);
    task_writes(&reader, &pipe);
    assert_eq!(frames(&pipe.sent()), before + packets);
    let more = world.publish(false);
    assert_eq!(frames(&pipe.sent()), before + packets + more, "and the publisher writes again");
}

#[test]
fn a_picture_that_has_begun_is_finished_though_the_queue_behind_it_is_discarded() {
    // The socket accepts a part of the first, the second, and the last of four frames.
    for available in [1, 300, 700] {
        let (mut world, pipe) = (World::new(true), Pipe::new(usize::MAX));
        let reader = reader_of(&mut world, &pipe);
        let before = frames(&pipe.sent());
        pipe.set_available(available);
        let picture = world.publish(false);
        world.publish(false);
        world.pass(MAX_AGE + Duration::from_millis(1));
        world.publish(false);
        assert_eq!(reader.metrics().jumps, 1);
        pipe.set_available(usize::MAX);
        assert_eq!(write_permit(&reader), WritePermit::Granted);
        pipe.try_send(&reader.take_rest());
        task_writes(&reader, &pipe);
        assert_eq!(frames(&pipe.sent()), before + picture, "with available for {available} bytes");
        // Later packets are not for a reader that waits for a keyframe.
        world.publish(false);
        assert_eq!(frames(&pipe.sent()), before + picture);
        let irap = world.publish(true);
        task_writes(&reader, &pipe);
        assert_eq!(frames(&pipe.sent()), before + picture + irap);
    }
}

#[test]
fn what_a_reader_waited_for_is_not_overtaken_by_what_follows() {
    let (mut world, pipe) = (World::new(true), Pipe::new(usize::MAX));
    world.publish(true);
    world.pass(super::stream::YOUNG_GOP);
    let reader = Arc::new(Reader::new(vec![Some(CHANNELS)], Some(Arc::clone(&pipe) as Arc<dyn Outlet>)));
    world.hub.find("live").unwrap().join(Arc::clone(&reader), world.now);
    task_writes(&reader, &pipe);
    let before = frames(&pipe.sent());
    let irap = world.publish(true);
    assert_eq!(frames(&pipe.sent()), before, "all of it is the task's");
    task_writes(&reader, &pipe);
    assert_eq!(frames(&pipe.sent()), before + irap);
}

#[test]
fn a_task_with_a_response_waits_for_a_write_in_progress_and_is_next() {
    let (mut world, pipe) = (World::new(true), Pipe::new(usize::MAX));
    let reader = reader_of(&mut world, &pipe);
    let picture = world.picture(false, 600);
    let deliveries = world.publication.as_ref().unwrap().push(&picture, world.now);
    let with_answer = || reader.poll_write(&mut Context::from_waker(Waker::noop()), true);
    assert_eq!(with_answer(), WritePermit::Busy);
    // Meanwhile the next picture comes from another thread, and is queued.
    let second = world.picture(false, 600);
    world.publication.as_ref().unwrap().push(&second, world.now).deliver();
    let before = frames(&pipe.sent());
    deliveries.deliver();
    assert_eq!(frames(&pipe.sent()), before + picture.packets().len());
    assert_eq!(with_answer(), WritePermit::Granted);
    assert_eq!(reader.take_rest(), Bytes::new());
    // While the reader's task has the ownership, no other task writes.
    world.publish(false);
    assert_eq!(frames(&pipe.sent()), before + picture.packets().len());
    task_writes(&reader, &pipe);
}

#[test]
fn a_reader_that_left_is_not_written_to() {
    let (mut world, pipe) = (World::new(true), Pipe::new(usize::MAX));
    let reader = reader_of(&mut world, &pipe);
    assert_eq!(reader.poll_write(&mut Context::from_waker(Waker::noop()), true), WritePermit::Granted);
    world.hub.find("live").unwrap().leave(&reader);
    let before = pipe.sent().len();
    world.publish(false);
    assert_eq!(pipe.sent().len(), before);
    assert_eq!(world.hub.find("live").unwrap().reader_count(), 0);
}

#[test]
#[cfg(debug_assertions)]
fn deliveries_that_are_dropped_undelivered_are_found() {
    let (mut world, pipe) = (World::new(true), Pipe::new(usize::MAX));
    let _reader = reader_of(&mut world, &pipe);
    let picture = world.picture(false, 600);
    let before = pipe.sent();
    let deliveries = world.publication.as_ref().unwrap().push(&picture, world.now);
    let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || drop(deliveries)));
    assert!(dropped.is_err() && pipe.sent() == before, "dropping writes to no socket");
    // Empty deliveries may be dropped.
    drop(super::deliveries::Deliveries::default());
}
