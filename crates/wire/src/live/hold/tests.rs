//! Arrivals of many kinds, in virtual time.

use proptest::prelude::*;

use super::*;

/// A picture's time by its stamps, and when it comes; both in µs.
type Arrival = (i64, i64);

/// A picture that was held or not: its time by its stamps, when it came, and when it is due; all in µs.
#[derive(Clone, Copy, Debug)]
struct Played {
    media: i64,
    came: i64,
    due: Option<i64>,
}

impl Played {
    fn hold(&self) -> i64 {
        self.due.map_or(0, |due| due - self.came)
    }

    fn shown(&self) -> i64 {
        self.due.unwrap_or(self.came)
    }
}

/// The time stamp of a media time; it wraps soon.
fn ticks(media: i64) -> RtpTicks {
    RtpTicks((((media * 9 + 99) / 100) as u32).wrapping_add(u32::MAX - 1_000_000))
}

fn play(hold: &mut Hold, arrivals: &[Arrival]) -> Vec<Played> {
    let start = Instant::now();
    let at = |micros: i64| start + Duration::from_micros(micros as u64);
    let micros = |instant: Instant| instant.duration_since(start).as_micros() as i64;
    arrivals
        .iter()
        .map(|&(media, came)| Played { media, came, due: hold.arrived(ticks(media), at(came)).map(micros) })
        .collect()
}

/// `pictures` in bundles of `size`, each sent when its last picture is there.
fn bundles(from: i64, interval: i64, size: i64, pictures: i64) -> Vec<Arrival> {
    (0..pictures).map(|n| (from + n * interval, from + ((n / size) * size + size - 1) * interval)).collect()
}

fn singles(from: i64, interval: i64, pictures: i64) -> Vec<Arrival> {
    bundles(from, interval, 1, pictures)
}

/// Each is due, at the pace of its time stamps but for an eighth.
fn assert_even(played: &[Played]) {
    for pair in played.windows(2) {
        let (step, shown) = (pair[1].media - pair[0].media, pair[1].shown() - pair[0].shown());
        assert!(pair[1].due.is_some() && shown >= step - step / 7 - 30, "{pair:?}");
    }
}

const RATES: [i64; 6] = [10, 15, 25, 30, 50, 60];

#[test]
fn bundles_are_played_evenly_with_the_least_hold() {
    for rate in RATES {
        for size in 2..=30 {
            let interval = 1_000_000 / rate;
            if size * interval > 1_500_000 {
                continue;
            }
            let mut hold = Hold::default();
            let played = play(&mut hold, &bundles(0, interval, size, size * 24));
            let news = hold.take_news().unwrap();
            assert_eq!((news.pictures, news.every.as_micros() as i64), (size as u32, size * interval));
            assert_eq!(hold.take_news(), None, "it is said once");
            let settled = &played[(size * 12) as usize..];
            assert_even(settled);
            let longest = settled.iter().map(Played::hold).max().unwrap();
            let least = settled.iter().map(Played::hold).min().unwrap();
            let span = (size - 1) * interval;
            assert!((longest - span).abs() < 100 && least < 100, "{rate}/s in {size}: {least} to {longest} µs");
        }
    }
}

#[test]
fn a_hold_begins_within_nine_bundles_and_within_two_seconds_where_they_are_large() {
    for (size, within) in [(2, 9), (3, 6), (10, 4), (30, 4)] {
        let played = play(&mut Hold::default(), &bundles(0, 33_333, size, size * 20));
        let held = played.iter().position(|picture| picture.due.is_some()).unwrap() as i64;
        assert!(held <= within * size, "bundles of {size}: from picture {held} on");
    }
}

#[test]
fn a_joining_burst_and_a_stall_make_no_hold() {
    let interval = 40_000;
    // Three seconds at once, then singly; then nothing for four seconds, which then come at once or one after the other.
    let burst = (0..75).map(|n| (n * interval, 75 * interval + n * 100));
    let steady = singles(75 * interval, interval, 200).into_iter();
    let stalled = |each: i64| (275..375).map(move |n| (n * interval, (375 * interval) + (n - 275) * each));
    for each in [100, 5_000, 15_000, 25_000] {
        let caught_up: Vec<Arrival> = (375..900).map(|n| (n * interval, n * interval)).collect();
        let mut all: Vec<Arrival> = burst.clone().chain(steady.clone()).chain(stalled(each)).collect();
        let last = all.last().unwrap().1;
        all.extend(caught_up.into_iter().map(|(media, came)| (media, came.max(last))));
        let held = play(&mut Hold::default(), &all).into_iter().find(|picture| picture.due.is_some());
        assert!(held.is_none(), "{held:?}");
    }
}

#[test]
fn the_hold_goes_when_pictures_come_singly_again_and_comes_back_with_the_bundles() {
    let interval = 33_333;
    let mut hold = Hold::default();
    let mut all = bundles(0, interval, 10, 200);
    all.extend(singles(200 * interval, interval, 300));
    all.extend(bundles(500 * interval, interval, 10, 200));
    let played = play(&mut hold, &all);
    assert!(played[100..200].iter().all(|picture| picture.due.is_some()));
    // It shrinks without a picture being shown together with another.
    assert_even(&played[100..200]);
    for pair in played[200..500].windows(2) {
        assert!(pair[1].shown() - pair[0].shown() > interval * 4 / 5, "{pair:?}");
    }
    assert!(played[320..500].iter().all(|picture| picture.due.is_none()), "it is gone after 120 pictures");
    assert_even(&played[600..]);
}

#[test]
fn a_stall_between_bundles_does_not_lengthen_the_hold() {
    let interval = 33_333;
    let mut all = bundles(0, interval, 10, 600);
    for (_, came) in all.iter_mut().filter(|(media, _)| (300..400).contains(&(media / interval))) {
        *came = 410 * interval;
    }
    let played = play(&mut Hold::default(), &all);
    let after = played[410..].iter().map(Played::hold).max().unwrap();
    assert!(after <= 9 * interval + 100, "{after} µs");
    assert_even(&played[420..]);
}

#[test]
fn what_catches_up_after_a_stall_does_not_lengthen_the_hold_either() {
    let interval = 33_333;
    let mut all = bundles(0, interval, 10, 600);
    // Three pictures at once, again and again, three times as fast as their time.
    for (media, came) in all.iter_mut().filter(|(media, _)| (300..400).contains(&(media / interval))) {
        let n = *media / interval;
        *came = (*came).max(400 * interval + (n - 300) / 3 * interval);
    }
    for n in 1..all.len() {
        all[n].1 = all[n].1.max(all[n - 1].1);
    }
    let played = play(&mut Hold::default(), &all);
    let after = played[500..].iter().map(Played::hold).max().unwrap();
    assert!(after <= 10 * interval, "{after} µs");
}

#[test]
fn bundles_that_come_later_for_good_are_held_by_that_much_later() {
    let interval = 33_333;
    let later = |(media, came): Arrival| (media, came + if media >= 300 * interval { 900_000 } else { 0 });
    let all: Vec<Arrival> = bundles(0, interval, 10, 600).into_iter().map(later).collect();
    let played = play(&mut Hold::default(), &all);
    assert_even(&played[330..]);
}

#[test]
fn reordered_pictures_in_bundles_are_played_evenly() {
    let interval = 40_000;
    let order = |n: i64| (n / 4) * 4 + [4, 2, 1, 3][(n % 4) as usize];
    let all: Vec<Arrival> =
        bundles(0, interval, 8, 400).into_iter().map(|(m, came)| (order(m / interval) * interval, came)).collect();
    let played = play(&mut Hold::default(), &all);
    for pair in played[200..].windows(2) {
        let shown = pair[1].shown() - pair[0].shown();
        assert!((shown - interval).abs() < interval / 4, "{pair:?}");
    }
}

#[test]
fn time_stamps_that_jump_or_stand_still_end_the_hold() {
    let interval = 33_333;
    let mut hold = Hold::default();
    let before = play(&mut hold, &bundles(0, interval, 10, 200));
    assert!(before.last().unwrap().due.is_some());
    let start = Instant::now();
    assert_eq!(hold.arrived(ticks(60_000_000), start), None);
    assert!(!hold.is_on());
    for n in 0..500 {
        let at = start + Duration::from_millis(n / 10 * 350);
        assert_eq!(hold.arrived(RtpTicks(7), at), None, "all of one time stamp");
    }
}

#[test]
fn time_stamps_that_run_too_fast_or_too_slow_make_no_hold() {
    for speed in [0.3, 0.5, 2.0, 3.0, 8.0] {
        // With a stall now and then.
        let came = |n: i64| n * 33_333 + (n / 90) * 700_000;
        let all: Vec<Arrival> = (0..2000).map(|n| ((n as f64 * 33_333.0 * speed) as i64, came(n))).collect();
        let held = play(&mut Hold::default(), &all).into_iter().find(|picture| picture.due.is_some());
        assert!(held.is_none(), "at {speed}: {held:?}");
    }
}

proptest! {
    /// Single pictures within four tenths of their distance of when they are due, with a joining burst, and stalls that are
    /// apart.
    #[test]
    fn pictures_that_come_singly_are_never_held(
        rate in prop::sample::select(RATES.to_vec()),
        burst in 0i64..200,
        jitter in prop::collection::vec(0.0f64..0.4, 300),
        stalls in prop::collection::vec((12i64..60, 0i64..3_000_000), 0..6),
    ) {
        let interval = 1_000_000 / rate;
        let mut all: Vec<Arrival> = (0..burst).map(|n| (n * interval, burst * interval)).collect();
        // Each begins so many pictures after the end of the one before.
        let mut next = burst;
        let stalls: Vec<(i64, i64)> = stalls.into_iter().map(|(after, lasts)| {
            let from = next + after;
            next = from + lasts / interval + 1;
            (from * interval, from * interval + lasts)
        }).collect();
        for (n, jitter) in jitter.into_iter().enumerate() {
            let media = (burst + n as i64) * interval;
            let came = media + (interval as f64 * jitter) as i64;
            let stall = stalls.iter().find(|(from, to)| (*from..*to).contains(&media));
            all.push((media, stall.map_or(came, |(_, to)| came.max(*to))));
        }
        for n in 1..all.len() {
            all[n].1 = all[n].1.max(all[n - 1].1);
        }
        for picture in play(&mut Hold::default(), &all) {
            prop_assert_eq!(picture.due, None, "{:?}", picture);
        }
    }

    /// Bundles of any size that are late by jitter and lack pictures: every one that came is shown by itself.
    #[test]
    fn bundles_with_jitter_and_losses_are_played_evenly(
        rate in prop::sample::select(RATES.to_vec()),
        size in 4i64..24,
        jitter in prop::collection::vec(0.0f64..0.9, 60),
        lost in prop::collection::vec(0u8..10, 1440),
    ) {
        let interval = 1_000_000 / rate;
        prop_assume!(size * interval <= 1_500_000);
        let late = |n: i64| (interval as f64 * jitter[(n / size) as usize % jitter.len()]) as i64;
        let all: Vec<Arrival> = bundles(0, interval, size, size * 60).into_iter().enumerate()
            .filter(|(n, _)| lost[*n] != 0)
            .map(|(n, (media, came))| (media, came + late(n as i64)))
            .collect();
        let played = play(&mut Hold::default(), &all);
        let settled = &played[all.len() / 2..];
        for pair in settled.windows(2) {
            prop_assert!(pair[1].due.is_some());
            prop_assert!(pair[1].shown() - pair[0].shown() >= interval * 4 / 5, "{:?}", pair);
        }
        let longest = settled.iter().map(Played::hold).max().unwrap();
        prop_assert!(longest <= size * interval + interval, "{} µs", longest);
    }

    /// Whatever comes.
    #[test]
    fn a_hold_is_bounded_and_keeps_the_order(
        arrivals in prop::collection::vec((prop::sample::select(vec![-40_000i64, 0, 100, 33_333, 33_333, 33_333, 500_000, 12_000_000]), prop::sample::select(vec![0i64, 10, 100, 33_333, 350_000, 350_000, 4_000_000])), 1..400),
    ) {
        let (mut media, mut came) = (50_000_000, 0);
        let all: Vec<Arrival> = arrivals.into_iter().map(|(step, waited)| {
            (media, came) = (media + step, came + waited);
            (media, came)
        }).collect();
        let mut last = None;
        for picture in play(&mut Hold::default(), &all) {
            prop_assert!((0..=MAX_HOLD.as_micros() as i64).contains(&picture.hold()), "{:?}", picture);
            if let Some((due, last)) = picture.due.zip(last) {
                prop_assert!(due >= last);
            }
            last = picture.due;
        }
    }
}
