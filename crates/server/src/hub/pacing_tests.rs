//! What a publisher is asked to keep to, by readers with links of all speeds, in virtual time.

use std::sync::Arc;
use std::task::Poll;

use hevcast_wire::rtp::tmmbr::UNLIMITED_BPS;

use super::reader::Reader;
use super::stream::PublisherRequest;
use super::tests::{CHANNELS, FRAME_INTERVAL, World, claim, request};

const PICTURE_BYTES: usize = 8_000;

/// What is published here, bits/s.
fn published_bps() -> f64 {
    PICTURE_BYTES as f64 * 8.0 / FRAME_INTERVAL.as_secs_f64()
}

/// A reader whose link takes one picture in so many.
struct Link {
    reader: Arc<Reader>,
    one_in: usize,
}

impl Link {
    fn join(world: &World, one_in: usize) -> Link {
        Link { reader: world.join(CHANNELS), one_in }
    }
}

/// Publishes pictures, of which each link takes its share; the limits that the publisher heard of, and with which picture.
fn run(world: &mut World, links: &[Link], pictures: usize) -> Vec<(usize, u64)> {
    let mut limits = Vec::new();
    for index in 0..pictures {
        let picture = world.picture(index == 0, PICTURE_BYTES);
        world.push(&picture);
        for link in links {
            match link.one_in {
                1 => link.reader.take(usize::MAX, drop),
                // The frames of one push, which are a picture's.
                one_in if index % one_in == 0 => link.reader.take(1, drop),
                _ => {}
            }
            let _ = claim(&link.reader);
        }
        while let Poll::Ready(wanted) = request(world.publication.as_ref().unwrap()) {
            if let PublisherRequest::Limit { track, ssrc, bits_per_s } = wanted {
                assert_eq!((track, ssrc), (0, 7));
                limits.push((index, bits_per_s));
            }
        }
        world.pass(FRAME_INTERVAL);
    }
    limits
}

#[test]
fn a_slow_link_limits_the_publisher_and_its_recovery_lifts_that_in_steps() {
    let mut world = World::new(true);
    let mut links = [Link::join(&world, 2)];
    let limits = run(&mut world, &links, 14);
    let (first, limit) = limits[0];
    assert!(first <= 10, "heard with picture {first}, {limits:?}");
    let of_published = limits.last().unwrap().1 as f64 / published_bps();
    assert!((0.3..0.6).contains(&of_published), "{of_published} of what is published, where half passes");

    links[0].one_in = 1;
    let limits = run(&mut world, &links, 300);
    let steps: Vec<f64> = limits.windows(2).map(|pair| pair[1].1 as f64 / pair[0].1 as f64).collect();
    let (last, before) = steps.split_last().unwrap();
    assert!(before.iter().all(|step| (1.05..1.2).contains(step)), "{limits:?}");
    assert!(*last > 2.0 && limits.last().unwrap().1 == UNLIMITED_BPS, "{limits:?}");
}

#[test]
fn nothing_is_taken_from_a_reader_who_could_have_had_it() {
    let mut world = World::new(true);
    let links = [Link::join(&world, 3), Link::join(&world, 1), Link::join(&world, 2)];
    assert_eq!(run(&mut world, &links, 60), []);
    assert!(links[0].reader.metrics().jumps > 0);
}

#[test]
fn a_limit_goes_with_the_reader_it_was_for() {
    let mut world = World::new(true);
    let links = [Link::join(&world, 2)];
    assert!(!run(&mut world, &links, 14).is_empty());
    world.hub.find("live").unwrap().leave(&links[0].reader);
    assert_eq!(run(&mut world, &[], 3), [(0, UNLIMITED_BPS)]);
}

#[test]
fn who_takes_no_limits_is_told_none() {
    let mut world = World::new(false);
    let links = [Link::join(&world, 2)];
    assert_eq!(run(&mut world, &links, 60), []);
}
