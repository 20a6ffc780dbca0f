//! The memory that peers make the hub hold is all counted and stays within the budget, in virtual time.

use std::sync::Arc;

use bytes::Bytes;
use hevcast_wire::ParameterSets;
use hevcast_wire::rtp::interleave;
use hevcast_wire::rtsp::sdp::{Description, publisher_description};
use hevcast_wire::rtsp::transport::Channels;
use proptest::prelude::*;

use super::batch::Batch;
use super::reader::Reader;
use super::stream::KEYFRAME_SPACING;
use super::tests::{CHANNELS, World, consecutive, sequence_numbers, write_permit};
use super::{Publication, PublishRefused, Terms};
use crate::budget::{Budget, Kind};
use crate::hub::owner::Owner;

const MIB: u64 = 1 << 20;

fn description() -> Description {
    let sdp = String::from_utf8(publisher_description("t", &ParameterSets::default()).to_vec()).unwrap();
    Description::parse(sdp.replace("a=rtcp-fb", "a=x-other").as_bytes()).unwrap()
}

/// The same packets in a read of which most is on a channel of no track.
fn among_strays(batch: &Batch) -> Batch {
    let mut whole = Vec::new();
    for packet in batch.packets() {
        whole.extend_from_slice(&interleave::frame(200, &vec![0; 20_000]));
        whole.extend_from_slice(&interleave::frame(CHANNELS.rtp, &batch.packet(packet)));
    }
    Batch::interleaved(Bytes::from(whole), |channel| (channel == CHANNELS.rtp).then_some((0, false)))
}

#[test]
fn a_group_of_small_packets_takes_what_it_holds() {
    let budget = Arc::new(Budget::new(1024 * MIB));
    let mut world = World::within(false, Arc::clone(&budget));
    world.publish(true);
    let before = budget.used_by(Kind::Groups);
    let mut bytes = 0;
    for _ in 0..1000 {
        let picture = world.picture(false, 20);
        bytes +=
            picture.packets().iter().map(|packet| (interleave::HEADER_LEN + packet.range.len()) as u64).sum::<u64>();
        world.push(&among_strays(&picture));
    }
    let used = budget.used_by(Kind::Groups) - before;
    assert!(used <= bytes * 3 / 2 + 10_000, "{used} for {bytes} bytes of packets");
}

#[test]
fn joiners_and_stuck_readers_on_channels_of_their_own_share_what_waits() {
    let budget = Arc::new(Budget::new(1024 * MIB));
    let mut world = World::within(false, Arc::clone(&budget));
    world.publish(true);
    for _ in 0..100 {
        let picture = world.picture(false, 60_000);
        world.push(&picture);
    }
    let group = budget.usage().used_bytes;
    let own = |at: u8| world.join(Channels { rtp: 2 * at + 2, rtcp: 2 * at + 3 });
    let readers: Vec<_> = (0..100).map(own).collect();
    let joined = budget.usage().used_bytes - group;
    assert!(joined < 2 * MIB, "{joined} for a hundred joining bursts");
    readers.iter().for_each(|reader| drop(sequence_numbers(reader)));
    let mut bytes = 0;
    for _ in 0..50 {
        let picture = world.picture(false, 60_000);
        bytes += picture.whole().len() as u64;
        world.push(&picture);
    }
    let waiting = budget.used_by(Kind::Queues);
    assert!((bytes..bytes + 4 * MIB).contains(&waiting), "{waiting} for a hundred readers with {bytes} to come");
    let numbers = sequence_numbers(&readers[7]);
    assert!(!numbers.is_empty() && consecutive(&numbers));
    drop((readers, world));
    let usage = budget.usage();
    assert_eq!(usage.used_bytes, 0, "{usage:?}");
}

/// Publishes a stream whose group of pictures has about `bytes`.
fn stream(world: &mut World, path: &str, bytes: usize) -> Result<Publication, PublishRefused> {
    let publication = world.hub.publish(path, description(), Terms::default())?;
    let keyframe = world.picture(true, 100);
    publication.push(&keyframe, world.now).deliver();
    let mut pushed = 0;
    while pushed < bytes {
        let picture = world.picture(false, 60_000);
        pushed += picture.whole().len();
        publication.push(&picture, world.now).deliver();
    }
    Ok(publication)
}

#[test]
fn where_the_budget_is_full_the_oldest_groups_go_and_young_ones_stay() {
    let budget = Arc::new(Budget::new(64 * MIB));
    let mut world = World::within(false, Arc::clone(&budget));
    let mut hoarders = Vec::new();
    for number in 0..20 {
        hoarders.push(stream(&mut world, &format!("hoard{number}"), 8 * MIB as usize).unwrap());
        world.pass(super::CACHE_FREEING_INTERVAL * 2);
        // A camera with short groups publishes all the time.
        world.publish(true);
        for _ in 0..10 {
            let picture = world.picture(false, 5000);
            world.push(&picture);
        }
        assert!(budget.usage().used_bytes <= 64 * MIB);
        let numbers = sequence_numbers(&world.join(CHANNELS));
        assert!(!numbers.is_empty() && consecutive(&numbers), "the camera's joiners begin at once");
    }
    let kept = hoarders.iter().filter(|hoarder| hoarder.stream().cached().is_some()).count();
    assert!((1..6).contains(&kept), "{kept} groups of 8 MiB in 64");
    drop((hoarders, world));
    assert_eq!(budget.usage().used_bytes, 0);
}

#[test]
fn without_available_memory_a_reader_that_is_behind_jumps_and_new_streams_are_refused() {
    let budget = Arc::new(Budget::new(8 * MIB));
    let mut world = World::within(true, Arc::clone(&budget));
    world.publish(true);
    let reader = world.join(CHANNELS);
    sequence_numbers(&reader);
    let used = budget.usage().used_bytes;
    world.pass(KEYFRAME_SPACING);
    let hog = budget.reserve(Kind::Connections, 8 * MIB - used - 1000).unwrap();
    world.publish(false);
    assert_eq!(reader.metrics().jumps, 1, "no memory is available for it to wait");
    let refused = world.hub.publish("other", description(), Terms::default()).map(drop);
    assert!(matches!(refused, Err(PublishRefused::OverBudget(_))), "{refused:?}");
    drop(hog);
    assert!(world.keyframe_wanted());
    let irap = world.publish(true);
    assert_eq!(sequence_numbers(&reader).len(), irap, "and goes on when memory is available again");
}

#[test]
fn streams_announced_without_media_give_way_to_others() {
    let world = World::new(true);
    let terms = |address: u8| Terms {
        max_streams: 8,
        max_streams_per_owner: 4,
        owner: Owner::Address([10, 0, 0, address].into()),
        takeover: false,
        now: None,
    };
    let publish = |path: &str, address| world.hub.publish(path, description(), terms(address));
    let mut packets = World::new(true);
    let picture = packets.picture(true, 100);
    world.push(&picture);
    let squatters: Vec<_> = (0..4).map(|at| publish(&format!("squat{at}"), 1).unwrap()).collect();
    let fifth = publish("squat4", 1).unwrap();
    assert!(world.hub.find("squat0").is_none(), "its owner's oldest goes");
    let mut others: Vec<_> = (0..4).map(|at| publish(&format!("camera{at}"), 2 + at).unwrap()).collect();
    others.iter().for_each(|camera| camera.push(&picture, world.now).deliver());
    assert_eq!(world.hub.streams().len(), 8);
    // The limit of streams is reached: a stream without media is ended, never one with media.
    for at in 4..7 {
        others.push(publish(&format!("camera{at}"), 2 + at).unwrap());
        others.last().unwrap().push(&picture, world.now).deliver();
    }
    assert!(others.iter().all(|camera| world.hub.find(camera.stream().path()).is_some()));
    let refused = publish("camera9", 99).map(drop).unwrap_err();
    assert_eq!(refused, PublishRefused::Full(8));
    let user = Terms {
        owner: Owner::User("me".to_owned()),
        max_streams: 99,
        max_streams_per_owner: 1,
        takeover: false,
        now: None,
    };
    let mine = world.hub.publish("mine", description(), user.clone()).unwrap();
    mine.push(&picture, world.now).deliver();
    let refused = world.hub.publish("mine too", description(), user).map(drop).unwrap_err();
    assert_eq!(refused, PublishRefused::OwnerFull(1));
    // The connections of ended streams may still hold their publications.
    drop((squatters, fifth));
    assert!(world.hub.find("live").is_some());
}

#[derive(Clone, Debug)]
enum Step {
    Publish(usize),
    Push { stream: usize, is_irap: bool, bytes: usize, strays: bool },
    Join { stream: usize, channel: u8 },
    Take(usize),
    Leave(usize),
    End(usize),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0..4usize).prop_map(Step::Publish),
        8 => (0..4usize, prop::bool::weighted(0.1), 0..60_000usize, any::<bool>())
            .prop_map(|(stream, is_irap, bytes, strays)| Step::Push { stream, is_irap, bytes, strays }),
        3 => (0..4usize, 0..5u8).prop_map(|(stream, at)| Step::Join { stream, channel: at * 2 }),
        3 => any::<usize>().prop_map(Step::Take),
        1 => any::<usize>().prop_map(Step::Leave),
        1 => (0..4usize).prop_map(Step::End),
        2 => (0..700u64).prop_map(Step::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_peers_do_it_stays_within_the_budget_and_nothing_is_left(steps in prop::collection::vec(step(), 0..200)) {
        // The budget is small, so that it is often full.
        let limit = 600_000;
        let budget = Arc::new(Budget::new(limit));
        let mut world = World::within(false, Arc::clone(&budget));
        let mut streams: Vec<Option<Publication>> = (0..4).map(|_| None).collect();
        let mut readers: Vec<(usize, Arc<Reader>)> = Vec::new();
        for step in steps {
            match step {
                Step::Publish(at) if streams[at].is_none() => {
                    streams[at] = world.hub.publish(&format!("s{at}"), description(), Terms::default()).ok();
                }
                Step::Push { stream, is_irap, bytes, strays } => {
                    let picture = world.picture(is_irap, bytes);
                    let picture = if strays { among_strays(&picture) } else { picture };
                    if let Some(publication) = &streams[stream] {
                        publication.push(&picture, world.now).deliver();
                    }
                }
                Step::Join { stream, channel } => if let Some(publication) = &streams[stream] {
                    let reader = Arc::new(Reader::new(vec![Some(Channels { rtp: channel, rtcp: channel + 1 })], None));
                    publication.stream().join(Arc::clone(&reader), world.now);
                    readers.push((stream, reader));
                },
                Step::Take(at) if !readers.is_empty() => drop(sequence_numbers(&readers[at % readers.len()].1)),
                Step::Leave(at) if !readers.is_empty() => {
                    let (stream, reader) = readers.swap_remove(at % readers.len());
                    if let Some(publication) = &streams[stream] {
                        let _ = write_permit(&reader);
                        publication.stream().leave(&reader);
                    }
                }
                Step::End(at) => {
                    readers.retain(|(stream, _)| *stream != at);
                    streams[at] = None;
                }
                Step::Pass(ms) => world.pass(std::time::Duration::from_millis(ms)),
                _ => {}
            }
            prop_assert!(budget.usage().used_bytes <= limit);
        }
        drop((streams, readers, world));
        let usage = budget.usage();
        prop_assert!(usage.used_bytes == 0 && usage.kinds.iter().all(|(_, used, _)| *used == 0), "{:?}", usage);
    }
}
