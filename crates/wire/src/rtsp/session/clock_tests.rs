//! Delays told by clocks that are wrong and drift, over paths that are asymmetric and jitter: the real sessions of a
//! sender and a receiver against the real server's, in virtual time.
//!
//! [`crate::rtsp::clock`] tries the estimate by itself. Here it is fed as the sessions feed it, by their own timers.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::ClientSession;
use super::player::PlayerSession;
use super::publisher::PublisherSession;
use super::tests::{Server, decode, description, drain, url};
use crate::rtsp::clock::ClockOffset;
use crate::time::{Now, UtcMicros};

/// Length of a run, ns of true time.
const RUN: i64 = 90 * SECOND;
const SECOND: i64 = 1_000_000_000;
const MILLISECOND: i64 = 1_000_000;

/// A computer: where its clocks stood at the start of true time, and how fast they run.
#[derive(Clone, Copy, Debug)]
struct Computer {
    start: Instant,
    ahead_micros: i64,
    ppm: i64,
    /// Set by this much at half-time.
    step_micros: i64,
}

impl Computer {
    fn new(ahead_micros: i64, ppm: i64) -> Computer {
        Computer { start: Instant::now() + Duration::from_secs(1000), ahead_micros, ppm, step_micros: 0 }
    }

    /// How far its clocks have run at `at` ns of true time, ns.
    fn run(&self, at: i64) -> i64 {
        at + (i128::from(at) * i128::from(self.ppm) / 1_000_000) as i64
    }

    /// Its clocks at `at` ns of true time.
    fn now(&self, at: i64) -> Now {
        let run = self.run(at);
        let step = if at >= RUN / 2 { self.step_micros } else { 0 };
        let utc = UtcMicros(1_700_000_000_000_000 + self.ahead_micros + step + run.div_euclid(1000));
        Now { instant: self.start + Duration::from_nanos(run.unsigned_abs()), utc }
    }

    /// When its monotonic clock will show `instant`, in true time.
    fn when(&self, instant: Instant) -> i64 {
        let run = instant.saturating_duration_since(self.start).as_nanos() as i128;
        (run * 1_000_000 / (1_000_000 + i128::from(self.ppm))) as i64 + 2
    }
}

/// A seeded source of chance (SplitMix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: i64) -> i64 {
        (self.next() % limit.max(1) as u64) as i64
    }
}

/// What a way costs: always `least`, mostly up to `jitter` more, and one time in eight ten times that. All ns.
#[derive(Clone, Copy, Debug)]
struct Way {
    least: i64,
    jitter: i64,
}

impl Way {
    fn take(self, chance: &mut Chance) -> i64 {
        let jitter = if chance.below(8) == 0 { self.jitter * 10 } else { self.jitter };
        self.least + chance.below(jitter)
    }
}

/// What a client knew of the server's clock, and since when.
type Known = Vec<(i64, ClockOffset)>;

/// Runs a client against the server for all of [`RUN`].
fn run(mut client: impl ClientSession, own: Computer, server: Computer, ways: [Way; 2], chance: &mut Chance) -> Known {
    let mut session = Server::started(server.now(0));
    let (mut at, mut known) = (0, Known::new());
    while at < RUN {
        let bytes = drain(|| client.poll_transmit());
        if bytes.is_empty() {
            at = at.max(own.when(client.poll_timeout().expect("the clocks are compared for ever")));
            client.handle_timeout(own.now(at)).unwrap();
            continue;
        }
        at += ways[0].take(chance);
        let answer = session.exchange_at(&bytes, server.now(at));
        at += ways[1].take(chance);
        for message in decode(&answer) {
            client.handle_input(message, own.now(at)).unwrap();
        }
        known.extend(client.clock().map(|clock| (at, clock)));
    }
    known
}

/// What was known at `at`.
fn known_at(known: &Known, at: i64) -> Option<ClockOffset> {
    let count = known.partition_point(|(since, _)| *since <= at);
    Some(known[..count].last()?.1)
}

/// A picture's delay as it is told, its bound, and what it was in truth. All µs.
#[derive(Debug)]
struct Told {
    at: i64,
    delay: i64,
    bound: i64,
    truth: i64,
}

/// The delays of pictures 33 ms apart, captured here and presented there.
fn told(sender: (&Known, Computer), receiver: (&Known, Computer), server: Computer, chance: &mut Chance) -> Vec<Told> {
    let mut all = Vec::new();
    for at in (0..RUN - SECOND).step_by(33 * MILLISECOND as usize) {
        let presented = at + 12 * MILLISECOND + chance.below(400 * MILLISECOND);
        // Stamped when it has been coded, by what is known then; likewise at the other end.
        let Some(stamped_by) = known_at(sender.0, at + 10 * MILLISECOND) else { continue };
        let Some(read_by) = known_at(receiver.0, presented - MILLISECOND) else { continue };
        let (captured, shown) = (sender.1.now(at), receiver.1.now(presented));
        let (stamped_by, read_by) = (stamped_by.at(captured.instant), read_by.at(shown.instant));
        let stamp = captured.utc.offset_by(stamped_by.offset_micros);
        let delay = shown.utc.offset_by(read_by.offset_micros).micros_since(stamp);
        // Clocks are read in whole microseconds.
        let bound = (stamped_by.bound + read_by.bound).as_micros() as i64 + 2;
        // In the server's seconds, as all that is told.
        let truth = (server.run(presented) - server.run(at)) / 1000;
        all.push(Told { at, delay, bound, truth });
    }
    all
}

fn all_ends(computers: [Computer; 3], ways: [[Way; 2]; 2], seed: u64) -> Vec<Told> {
    let [server, sender, receiver] = computers;
    let mut chance = Chance(seed);
    let publisher = PublisherSession::new(url(), None, "test", description(), sender.now(0));
    let player = PlayerSession::new(url(), None, "test", receiver.now(0));
    let sent = run(publisher, sender, server, ways[0], &mut chance);
    let received = run(player, receiver, server, ways[1], &mut chance);
    told((&sent, sender), (&received, receiver), server, &mut chance)
}

fn is_true(told: &Told) -> bool {
    (told.delay - told.truth).abs() <= told.bound
}

fn computer() -> impl Strategy<Value = Computer> {
    (-3_600_000_000i64..=3_600_000_000, -200i64..=200).prop_map(|(ahead, ppm)| Computer::new(ahead, ppm))
}

fn way() -> impl Strategy<Value = Way> {
    (10_000..40 * MILLISECOND, 1..20 * MILLISECOND).prop_map(|(least, jitter)| Way { least, jitter })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_delay_lies_within_its_bound(
        computers in [computer(), computer(), computer()],
        ways in [[way(), way()], [way(), way()]],
        seed: u64,
    ) {
        let told = all_ends(computers, ways, seed);
        prop_assert!(told.len() > 2500, "{} pictures", told.len());
        let wrong: Vec<&Told> = told.iter().filter(|told| !is_true(told)).collect();
        prop_assert!(wrong.is_empty(), "{} of {}: {:?}", wrong.len(), told.len(), wrong[0]);
        // And no wider than what cannot be known: half of each way's cost, and the little that drift adds.
        let mut bounds: Vec<i64> = told.iter().filter(|told| told.at > 20 * SECOND).map(|told| told.bound).collect();
        bounds.sort_unstable();
        let median = bounds[bounds.len() / 2];
        let least = ways.iter().flatten().map(|way| way.least / 2000).sum::<i64>();
        let jitter = ways.iter().flatten().map(|way| way.jitter / 2000).sum::<i64>();
        prop_assert!(median <= least + jitter + 1000, "median bound {median} µs, ways {ways:?}");
    }
}

#[test]
fn on_a_short_path_drift_hardly_widens_the_bound() {
    let computers =
        [(0, 200), (3_600_000_000, -200), (-3_600_000_000, -200)].map(|(ahead, ppm)| Computer::new(ahead, ppm));
    let way = Way { least: 40_000, jitter: 30_000 };
    let told = all_ends(computers, [[way; 2]; 2], 1);
    assert!(told.iter().all(is_true));
    let worst = |since: i64| told.iter().filter(|told| told.at >= since).map(|told| told.bound).max().unwrap();
    assert!(worst(0) < 2000, "at any time: {} µs", worst(0));
    assert!(worst(20 * SECOND) < 450, "once the drift is known: {} µs", worst(20 * SECOND));
}

#[test]
fn whoevers_clock_is_set_the_delay_is_true_again_after_a_second() {
    // So that an exchange from before the step would often be the better one.
    let way = Way { least: 100_000, jitter: 5 * MILLISECOND };
    for set in 0..3 {
        let mut computers = [(0, 50), (1000, -100), (-1000, 0)].map(|(ahead, ppm)| Computer::new(ahead, ppm));
        computers[set].step_micros = -7_000_000;
        let told = all_ends(computers, [[way; 2]; 2], 2);
        let wrong: Vec<&Told> = told.iter().filter(|told| !is_true(told)).collect();
        // Before it, those that were on their way; behind it, until the next exchange of either end.
        let is_at_the_step = |told: &&Told| (RUN / 2 - SECOND / 2..RUN / 2 + 3 * SECOND / 2).contains(&told.at);
        assert!(told.len() > 2500 && wrong.iter().all(is_at_the_step), "{set}: {wrong:?}");
    }
}
