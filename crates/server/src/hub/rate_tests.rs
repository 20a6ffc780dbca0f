//! The rate limits that are requested of a publisher, with readers on links of different bit rates, in virtual time.

use std::sync::Arc;
use std::task::Poll;

use hevcast_wire::rtp::tmmbr::UNLIMITED_BPS;

use super::reader::{Reader, WritePermit};
use super::stream::PublisherRequest;
use super::tests::{CHANNELS, FRAME_INTERVAL, World, batch, request, write_permit};

const PICTURE_BYTES: usize = 8_000;

/// The published bit rate without a limit, in bits/s.
fn published_bps() -> f64 {
    PICTURE_BYTES as f64 * 8.0 / FRAME_INTERVAL.as_secs_f64()
}

/// A reader whose link carries `takes_bytes` in the time of one picture.
struct Link {
    reader: Arc<Reader>,
    takes_bytes: usize,
    /// Bytes that the link can still carry in the present picture's time.
    available_bytes: usize,
}

impl Link {
    fn join(world: &World, takes_bytes: usize) -> Link {
        Link { reader: world.join(CHANNELS), takes_bytes, available_bytes: 0 }
    }

    /// Lets the reader's task write what the link can carry in the time of one picture.
    fn pass(&mut self) {
        self.available_bytes += self.takes_bytes;
        while self.available_bytes > 0 && write_permit(&self.reader) == WritePermit::Granted {
            let mut taken = 0;
            self.reader.take(1, |frames| taken += frames.len());
            self.reader.wrote(taken as u64);
            self.available_bytes = self.available_bytes.saturating_sub(taken);
        }
        if write_permit(&self.reader) != WritePermit::Granted {
            self.available_bytes = 0;
        }
    }
}

/// Publishes pictures within the requested limits, and lets each link carry its part. Returns the limits, each with the
/// index of the picture at which it was requested.
fn run(world: &mut World, links: &mut [Link], pictures: usize) -> Vec<(usize, u64)> {
    let (mut limits, mut bytes) = (Vec::new(), PICTURE_BYTES);
    for index in 0..pictures {
        let picture = world.picture(index == 0, bytes);
        // One packet per batch, all at the same time.
        for packet in picture.packets() {
            world.push(&batch([picture.packet(packet)]));
        }
        links.iter_mut().for_each(Link::pass);
        while let Poll::Ready(wanted) = request(world.publication.as_ref().unwrap()) {
            if let PublisherRequest::Limit { track, ssrc, bits_per_s } = wanted {
                assert_eq!((track, ssrc), (0, 7));
                limits.push((index, bits_per_s));
                let fits = bits_per_s as f64 / 8.0 * FRAME_INTERVAL.as_secs_f64();
                bytes = PICTURE_BYTES.min(fits as usize);
            }
        }
        world.pass(FRAME_INTERVAL);
    }
    limits
}

#[test]
fn a_slow_link_limits_the_publisher_and_its_recovery_lifts_that_in_steps() {
    let mut world = World::new(true);
    let mut links = [Link::join(&world, PICTURE_BYTES * 10)];
    assert_eq!(run(&mut world, &mut links, 30), []);
    links[0].takes_bytes = PICTURE_BYTES / 2;
    let limits = run(&mut world, &mut links, 60);
    assert!(limits[0].0 <= 5, "{limits:?}");
    let settled = limits.last().unwrap().1 as f64 / published_bps();
    assert!((0.3..0.6).contains(&settled), "{settled} of what was published, where half passes: {limits:?}");
    assert_eq!(links[0].reader.metrics().jumps, 0, "nothing had to be given up");

    links[0].takes_bytes = PICTURE_BYTES * 10;
    let limits = run(&mut world, &mut links, 300);
    let late: Vec<_> = limits.into_iter().filter(|limit| limit.0 > 10).collect();
    let steps: Vec<f64> = late.windows(2).map(|pair| pair[1].1 as f64 / pair[0].1 as f64).collect();
    let (last, before) = steps.split_last().unwrap();
    assert!(before.iter().all(|step| (1.05..1.2).contains(step)), "{late:?}");
    assert!(*last > 2.0 && late.last().unwrap().1 == UNLIMITED_BPS, "{late:?}");
}

#[test]
fn a_reader_gets_everything_that_its_link_can_carry() {
    let mut world = World::new(true);
    let mut links = [3, 40, 2].map(|quarters| Link::join(&world, PICTURE_BYTES * quarters / 4));
    assert_eq!(run(&mut world, &mut links, 60), []);
    assert!(links[0].reader.metrics().jumps > 0);
}

#[test]
fn an_observer_does_not_count_as_a_fast_link() {
    let mut world = World::new(true);
    let reader = Arc::new(Reader::observer(vec![Some(CHANNELS)]));
    world.hub.find("live").unwrap().join(Arc::clone(&reader), world.now);
    let still = Link { reader, takes_bytes: PICTURE_BYTES * 10, available_bytes: 0 };
    let mut links = [Link::join(&world, PICTURE_BYTES / 2), still];
    assert!(!run(&mut world, &mut links, 60).is_empty());
    assert_eq!(links[0].reader.metrics().jumps, 0, "nothing had to be given up");
}

#[test]
fn a_limit_goes_with_the_reader_it_was_for() {
    let mut world = World::new(true);
    let mut links = [Link::join(&world, PICTURE_BYTES / 2)];
    assert!(!run(&mut world, &mut links, 14).is_empty());
    world.hub.find("live").unwrap().leave(&links[0].reader);
    assert_eq!(run(&mut world, &mut [], 3), [(0, UNLIMITED_BPS)]);
}

#[test]
fn a_publisher_without_tmmbr_is_sent_no_limits() {
    let mut world = World::new(false);
    let mut links = [Link::join(&world, PICTURE_BYTES / 2)];
    assert_eq!(run(&mut world, &mut links, 60), []);
}
