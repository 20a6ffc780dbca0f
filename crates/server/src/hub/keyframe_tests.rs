//! The hub in virtual time: keyframes for readers that request many or none, and parameter sets that came once.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hevcast_wire::h265::NalType;
use hevcast_wire::rtp::{Packetizer, ReceivedPacket, RtpPacket};
use hevcast_wire::time::RtpTicks;
use hevcast_wire::{CodecId, CodedFrame, ParameterSets};

use super::reader::Reader;
use super::returning_tests::PARAMETER_SETS;
use super::stream::{KEYFRAME_FOR_SILENT, YOUNG_GOP};
use super::tests::{CHANNELS, FRAME_INTERVAL, World, batch, sequence_numbers, taken};

/// Publishes for `time`, with a keyframe whenever one is requested. Returns how often that was. `each` is called before
/// each picture.
fn run(world: &mut World, time: Duration, mut each: impl FnMut(&mut World)) -> u32 {
    let mut requested = 0;
    for _ in 0..time.as_millis() / FRAME_INTERVAL.as_millis() {
        each(world);
        let is_wanted = world.keyframe_wanted();
        requested += u32::from(is_wanted);
        world.publish(is_wanted);
    }
    requested
}

fn join(world: &World, reader: Reader) -> Arc<Reader> {
    let reader = Arc::new(reader);
    world.hub.find("live").unwrap().join(Arc::clone(&reader), world.now);
    reader
}

fn new_reader() -> Reader {
    Reader::new(vec![Some(CHANNELS)], None)
}

#[test]
fn a_flood_of_requests_is_one_a_second_and_the_first_is_served_at_once() {
    let mut world = World::new(true);
    world.publish(true);
    let flooder = join(&world, new_reader().with_keyframe_requests());
    let stream = world.hub.find("live").unwrap();
    run(&mut world, Duration::from_secs(5), |_| drop(taken(&flooder)));
    stream.reader_requests_keyframe(&flooder, world.now.instant);
    assert!(world.keyframe_wanted(), "the first counts at once");
    world.publish(true);
    let requested = run(&mut world, Duration::from_secs(10), |world| {
        drop(taken(&flooder));
        for _ in 0..20 {
            stream.reader_requests_keyframe(&flooder, world.now.instant);
        }
    });
    assert!((9..=10).contains(&requested), "{requested} keyframes in ten seconds");
    // The number is the same for many such readers.
    let flooders: Vec<_> = (0..50).map(|_| join(&world, new_reader().with_keyframe_requests())).collect();
    let requested = run(&mut world, Duration::from_secs(10), |world| {
        for flooder in &flooders {
            drop(taken(flooder));
            stream.reader_requests_keyframe(flooder, world.now.instant);
        }
        drop(taken(&flooder));
    });
    assert!((8..=14).contains(&requested), "{requested} keyframes in ten seconds, for fifty");
}

#[test]
fn a_second_request_is_served_after_a_second_if_no_keyframe_came() {
    let mut world = World::new(true);
    world.publish(true);
    let reader = join(&world, new_reader().with_keyframe_requests());
    let stream = world.hub.find("live").unwrap();
    run(&mut world, Duration::from_secs(3), |_| drop(taken(&reader)));
    stream.reader_requests_keyframe(&reader, world.now.instant);
    assert_eq!(run(&mut world, FRAME_INTERVAL * 10, |_| drop(taken(&reader))), 1);
    stream.reader_requests_keyframe(&reader, world.now.instant);
    assert_eq!(run(&mut world, FRAME_INTERVAL * 15, |_| drop(taken(&reader))), 0, "not yet");
    assert_eq!(run(&mut world, FRAME_INTERVAL * 10, |_| drop(taken(&reader))), 1, "it is not forgotten");
}

#[test]
fn while_a_reader_never_requests_keyframes_one_comes_every_two_seconds() {
    let most = Duration::from_secs(20).as_millis() / KEYFRAME_FOR_SILENT.as_millis();
    let mut world = World::new(true);
    world.publish(true);
    let stream = world.hub.find("live").unwrap();
    // Readers that request keyframes when they need one: hevcast's own, recordings and stills.
    let readers = [
        new_reader().with_keyframe_requests(),
        Reader::observer(vec![Some(CHANNELS)]),
        new_reader().with_keyframe_requests(),
    ]
    .map(|r| join(&world, r));
    let take = |readers: &[Arc<Reader>]| readers.iter().for_each(|reader| drop(taken(reader)));
    assert_eq!(run(&mut world, Duration::from_secs(20), |_| take(&readers)), 0);
    let relay = join(&world, new_reader());
    run(&mut world, Duration::from_secs(1), |_| take(&[&readers[..], &[Arc::clone(&relay)]].concat()));
    let requested = run(&mut world, Duration::from_secs(20), |_| take(&[&readers[..], &[Arc::clone(&relay)]].concat()));
    assert!((most as u32 - 1..=most as u32).contains(&requested), "{requested} in twenty seconds");
    // After its first request, a reader is known to request keyframes.
    stream.reader_requests_keyframe(&relay, world.now.instant);
    run(&mut world, Duration::from_secs(1), |_| take(&[&readers[..], &[Arc::clone(&relay)]].concat()));
    assert_eq!(run(&mut world, Duration::from_secs(20), |_| take(&[&readers[..], &[Arc::clone(&relay)]].concat())), 0);
    stream.leave(&relay);
    let silent = join(&world, new_reader());
    stream.leave(&silent);
    run(&mut world, Duration::from_secs(1), |_| take(&readers));
    assert_eq!(run(&mut world, Duration::from_secs(20), |_| take(&readers)), 0, "nor for one who left");
}

#[test]
fn many_joiners_at_once_get_the_cached_group() {
    let mut world = World::new(true);
    world.publish(true);
    let mut waited = 0;
    let requested = run(&mut world, Duration::from_secs(10), |world| {
        let reader = join(world, new_reader().with_keyframe_requests());
        waited += u32::from(taken(&reader).is_empty());
        world.hub.find("live").unwrap().leave(&reader);
    });
    assert!(requested <= 14, "{requested} keyframes in ten seconds of joins");
    assert!(waited < 150, "{waited} of 300 got nothing at once");
}

fn nals(kinds: &[(NalType, usize)]) -> Vec<Bytes> {
    kinds.iter().map(|(kind, len)| Bytes::from([vec![kind.0 << 1, 1], vec![0xa5; *len]].concat())).collect()
}

/// Publishes a picture of these NAL units, in packets of at most `max_payload` bytes.
fn publish(world: &mut World, nals: Vec<Bytes>, max_payload: usize) {
    let number = world.packetizer.next_sequence_number();
    let mut packetizer = Packetizer::new(7, 96, number, max_payload);
    world.pictures += 1;
    let mut packets = Vec::new();
    packetizer.packetize(&CodedFrame::new(CodecId::H265, RtpTicks(world.pictures * 3000), nals), &mut packets).unwrap();
    world.packetizer = packetizer;
    world.push(&batch(packets.iter().map(RtpPacket::to_bytes)));
    world.pass(FRAME_INTERVAL);
}

#[test]
fn parameter_sets_that_came_once_in_band_are_sent_to_every_later_joiner() {
    // The parameter sets are sent whole, or in fragments.
    for max_payload in [200, 20] {
        let mut world = World::new(true);
        let first = join(&world, new_reader());
        let sets = PARAMETER_SETS.map(Bytes::from_static);
        let idr = || nals(&[(NalType::IDR_W_RADL, 300)]);
        publish(&mut world, [sets.to_vec(), idr()].concat(), max_payload);
        let stream = world.hub.find("live").unwrap();
        let expected = ParameterSets::of_nals(CodecId::H265, &sets);
        assert_eq!(stream.description().video_track().unwrap().1.parameter_sets, expected, "DESCRIBE names them");
        for round in 0..3 {
            // The first group contains them, and later groups do not.
            let late = join(&world, new_reader());
            let packets: Vec<_> = taken(&late)
                .into_iter()
                .filter(|f| f.channel() == 0)
                .map(|f| ReceivedPacket::parse(f.packet()).unwrap())
                .collect();
            let numbers: Vec<u16> = packets.iter().map(|packet| packet.header.sequence_number).collect();
            assert!(numbers.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)), "{numbers:?}");
            if round > 0 {
                assert!(packets.iter().zip(&sets).all(|(packet, nal)| packet.payload == *nal), "{packets:?}");
                assert!(packets[..4].iter().all(|packet| packet.header.timestamp == packets[3].header.timestamp));
            }
            publish(&mut world, idr(), 200);
        }
        // A reader that joined at the start gets each packet once.
        let numbers = sequence_numbers(&first);
        assert!(numbers.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)), "{numbers:?}");
        // So does a reader that waited for a keyframe.
        world.pass(YOUNG_GOP);
        let waiting = join(&world, new_reader());
        assert!(sequence_numbers(&waiting).is_empty());
        publish(&mut world, idr(), 200);
        let frames: Vec<_> = taken(&waiting).into_iter().filter(|frame| frame.channel() == 0).collect();
        assert_eq!(ReceivedPacket::parse(frames[0].packet()).unwrap().payload, sets[0]);
    }
}

#[test]
fn parameter_sets_that_come_with_each_keyframe_are_not_sent_twice() {
    let mut world = World::new(false);
    let sets = PARAMETER_SETS.map(Bytes::from_static).to_vec();
    for _ in 0..2 {
        publish(&mut world, [sets.clone(), nals(&[(NalType::IDR_W_RADL, 150)])].concat(), 200);
    }
    let late = join(&world, new_reader());
    let frames = taken(&late).into_iter().filter(|frame| frame.channel() == 0).count();
    let mut packets = Vec::new();
    let unit = CodedFrame::new(CodecId::H265, RtpTicks(0), [sets, nals(&[(NalType::IDR_W_RADL, 150)])].concat());
    Packetizer::new(7, 96, 0, 200).packetize(&unit, &mut packets).unwrap();
    assert_eq!(frames, packets.len());
}
