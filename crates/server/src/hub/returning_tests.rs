//! The hub in virtual time when a publisher is lost, and comes back or does not.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use hevcast_wire::ParameterSets;
use hevcast_wire::rtp::{Packetizer, ReceivedPacket};
use hevcast_wire::rtsp::sdp::{Description, publisher_description};

use super::reader::WritePermit;
use super::stream::{PublisherRequest, SILENCE, YOUNG_GOP};
use super::tests::{CHANNELS, FRAME_INTERVAL, World, consecutive, request, sequence_numbers, taken, write_permit};
use super::{PublishRefused, Terms};

/// The VPS, SPS and PPS of a stream of small pictures.
pub(super) const PARAMETER_SETS: [&[u8]; 3] = [
    &[
        0x40, 0x01, 0x0c, 0x01, 0xff, 0xff, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00,
        0x03, 0x00, 0x5a, 0x92, 0x80, 0x90,
    ],
    &[
        0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x5a,
        0xa0, 0x05, 0x02, 0x01, 0xe1, 0x65, 0x92, 0xa4, 0x93, 0x2b, 0xc0, 0x5a, 0x02, 0x00, 0x00, 0x03, 0x00, 0x02,
        0x00, 0x00, 0x03, 0x00, 0x3c, 0x10,
    ],
    &[0x44, 0x01, 0xc1, 0x72, 0xb4, 0x62, 0x40],
];

/// Abandons the publication, and begins another one `after` later.
fn come_back(world: &mut World, after: Duration) {
    let lost = world.publication.take().unwrap();
    let description = (*lost.stream().description()).clone();
    lost.abandon();
    world.pass(after);
    world.publication = Some(world.hub.publish("live", description, Terms::default()).unwrap());
    world.packetizer = Packetizer::new(99, 96, 5000, 200);
    world.pictures = 1_000_000;
    assert!(matches!(pin!(lost.resumed()).poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(())));
    // Dropping the publication that was lost does not end the stream.
    drop(lost);
}

#[test]
fn readers_stay_when_their_publisher_comes_back() {
    let mut world = World::new(true);
    world.publish(true);
    let reader = world.join(CHANNELS);
    let before = sequence_numbers(&reader);
    come_back(&mut world, Duration::from_secs(10));
    assert!(write_permit(&reader) == WritePermit::Idle && world.hub.find("live").is_some());
    world.publish(false);
    assert!(sequence_numbers(&reader).is_empty(), "nothing before an IRAP picture");
    let irap = world.publish(true);
    let frames = taken(&reader);
    let rtp: Vec<_> = frames.iter().filter(|frame| frame.channel() == CHANNELS.rtp).collect();
    assert_eq!(rtp.len(), irap);
    let headers: Vec<_> = rtp.iter().map(|f| ReceivedPacket::parse(f.packet()).unwrap().header).collect();
    assert!(headers.iter().all(|header| header.ssrc == 7), "readers get the same SSRC");
    let numbers: Vec<u16> = headers.iter().map(|header| header.sequence_number).collect();
    assert!(consecutive(&numbers) && numbers[0] > *before.last().unwrap(), "{before:?} {numbers:?}");
    // The time stamps advance by ten seconds and a few pictures.
    let passed = f64::from(headers[0].timestamp.0.wrapping_sub(3000)) / 90_000.0;
    assert!((10.0..10.2).contains(&passed), "{passed} s");
}

#[test]
fn parameter_sets_in_the_description_only_are_sent_to_readers_who_stayed() {
    let mut world = World::new(true);
    world.publish(true);
    let reader = world.join(CHANNELS);
    let before = sequence_numbers(&reader);
    let lost = world.publication.take().unwrap();
    lost.abandon();
    let mut sets = ParameterSets::default();
    let nals = PARAMETER_SETS.map(Bytes::from_static);
    assert!(nals.iter().all(|nal| sets.update(nal)) && sets.is_complete());
    let description = Description::parse(&publisher_description("t", &sets)).unwrap();
    world.publication = Some(world.hub.publish("live", description, Terms::default()).unwrap());
    world.packetizer = Packetizer::new(99, 96, 5000, 200);
    let irap = world.publish(true);
    let frames: Vec<_> = taken(&reader).into_iter().filter(|frame| frame.channel() == CHANNELS.rtp).collect();
    let packets: Vec<_> = frames.iter().map(|frame| ReceivedPacket::parse(frame.packet()).unwrap()).collect();
    assert_eq!(packets.len(), 3 + irap);
    assert!(packets.iter().zip(&nals).all(|(packet, nal)| packet.payload == *nal));
    assert!(packets.iter().all(|packet| packet.header.timestamp == packets[0].header.timestamp));
    let numbers: Vec<u16> = packets.iter().map(|packet| packet.header.sequence_number).collect();
    assert!(consecutive(&numbers) && numbers[0] == before.last().unwrap() + 1, "{before:?} {numbers:?}");
    // They are sent once only.
    world.publish(true);
    assert_eq!(sequence_numbers(&reader).len(), irap);
}

#[test]
fn the_publisher_that_came_back_is_sent_requests_with_its_own_ssrc() {
    let mut world = World::new(true);
    world.publish(true);
    come_back(&mut world, Duration::from_secs(1));
    world.publish(true);
    world.pass(YOUNG_GOP);
    world.join(CHANNELS);
    let requested = request(world.publication.as_ref().unwrap());
    assert_eq!(requested, Poll::Ready(PublisherRequest::Keyframe { track: 0, ssrc: 99 }));
}

#[test]
fn a_lost_path_goes_to_a_publisher_with_other_tracks_and_its_readers_learn_the_end() {
    let mut world = World::new(true);
    world.publish(true);
    let reader = world.join(CHANNELS);
    sequence_numbers(&reader);
    let lost = world.publication.take().unwrap();
    lost.abandon();
    let sdp = b"v=0\r\nm=audio 0 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n";
    let _other = world.hub.publish("live", Description::parse(sdp).unwrap(), Terms::default()).unwrap();
    assert_eq!(write_permit(&reader), WritePermit::Ended);
    drop(lost);
    assert!(world.hub.find("live").is_some(), "the old claim does not end the new stream");
}

#[test]
fn a_publisher_that_does_not_come_back_ends_its_stream() {
    let mut world = World::new(true);
    world.publish(true);
    let reader = world.join(CHANNELS);
    sequence_numbers(&reader);
    let lost = world.publication.take().unwrap();
    lost.abandon();
    // A reader that joins meanwhile waits, too.
    let late = world.join(CHANNELS);
    assert!(sequence_numbers(&late).is_empty() && write_permit(&late) == WritePermit::Idle);
    drop(lost);
    assert!(
        write_permit(&reader) == WritePermit::Ended
            && write_permit(&late) == WritePermit::Ended
            && world.hub.find("live").is_none()
    );
}

#[test]
fn where_it_is_allowed_another_publisher_takes_over_from_one_that_is_there() {
    let mut world = World::new(true);
    world.publish(true);
    let reader = world.join(CHANNELS);
    let before = sequence_numbers(&reader);
    let first = world.publication.take().unwrap();
    let description = (*first.stream().description()).clone();
    let terms = Terms { takeover: true, ..Terms::default() };
    world.publication = Some(world.hub.publish("live", description, terms).unwrap());
    assert_eq!(request(&first), Poll::Ready(PublisherRequest::Leave));
    let second = world.publication.replace(first);
    world.publish(true);
    assert!(sequence_numbers(&reader).is_empty(), "packets of a replaced publisher are not forwarded");
    // The end of the replaced publication does not end the stream.
    world.publication.as_ref().unwrap().abandon();
    world.publication = second;
    world.packetizer = Packetizer::new(99, 96, 5000, 200);
    let irap = world.publish(true);
    let numbers = sequence_numbers(&reader);
    assert!(numbers.len() == irap && consecutive(&numbers) && numbers[0] == before.last().unwrap() + 1);
    assert_eq!(request(world.publication.as_ref().unwrap()), Poll::Pending);
    let metrics = world.hub.find("live").unwrap().metrics();
    assert_eq!((metrics.publishers, metrics.keyframes, metrics.is_abandoned), (2, 2, false));
}

#[test]
fn a_publisher_that_has_long_been_silent_gives_its_path_to_another_and_its_readers_stay() {
    let mut world = World::new(true);
    world.publish(true);
    let reader = world.join(CHANNELS);
    sequence_numbers(&reader);
    let silent = world.publication.take().unwrap();
    let description = (*silent.stream().description()).clone();
    let terms = |world: &World| Terms { now: Some(world.now.instant), ..Terms::default() };
    world.pass(SILENCE - FRAME_INTERVAL * 2);
    let refused = world.hub.publish("live", description.clone(), terms(&world)).map(drop);
    assert_eq!(refused.unwrap_err(), PublishRefused::Taken);
    world.pass(FRAME_INTERVAL * 2);
    world.publication = Some(world.hub.publish("live", description, terms(&world)).unwrap());
    assert_eq!(request(&silent), Poll::Ready(PublisherRequest::Leave));
    world.packetizer = Packetizer::new(99, 96, 5000, 200);
    let irap = world.publish(true);
    assert_eq!(sequence_numbers(&reader).len(), irap);
}
