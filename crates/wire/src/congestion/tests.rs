//! The governor in front of links in virtual time.

use std::collections::VecDeque;

use super::*;

const INTERVAL: Duration = Duration::from_micros(33_333);
const TICK: Duration = Duration::from_millis(1);
/// What lies in the kernel, where no queue of ours sees it.
const HIDDEN_BYTES: f64 = 6000.0;

/// How a sender reacts to the room it is given.
#[derive(Clone, Copy, PartialEq)]
enum Sender {
    /// Pictures fit, within a tenth.
    Follows,
    /// Pictures are as large as ever, but fewer.
    Fixed,
}

/// One picture that has arrived.
#[derive(Clone, Copy)]
struct Arrived {
    sent: Duration,
    delay: Duration,
}

struct Run {
    arrived: Vec<Arrived>,
    /// When pictures were coded, and their bits.
    coded: Vec<(Duration, f64)>,
    limits: Vec<(Duration, Option<u64>)>,
}

/// Sends `wanted_bps` over a link whose rate at each moment is `link_bps`, for `length`.
fn run(sender: Sender, wanted_bps: f64, length: Duration, link_bps: impl Fn(Duration) -> f64) -> Run {
    let start = Instant::now();
    let (mut governor, mut allowance) = (Governor::default(), Allowance::default());
    // Pictures in the queue, and in the kernel: when they were coded, and the bytes left of each.
    let (mut queue, mut hidden) = (VecDeque::<(Duration, f64)>::new(), VecDeque::<(Duration, f64, bool)>::new());
    let (mut taken, mut seed) = (0.0, 1_u32);
    let mut run = Run { arrived: Vec::new(), coded: Vec::new(), limits: Vec::new() };
    let (mut now, mut next) = (Duration::ZERO, Duration::ZERO);
    while now < length {
        if now >= next {
            next += INTERVAL;
            let age = queue.front().map_or(Duration::ZERO, |&(at, _)| now - at);
            let waiting: f64 = queue.iter().map(|(_, bytes)| bytes).sum();
            let seen = Queue { waiting_bytes: waiting.ceil() as u64, age, taken_bytes: taken as u64 };
            governor.look(start + now, &seen);
            run.limits.push((now, governor.limit_bps(&Queue::default())));
            let is_allowed = sender == Sender::Follows || allowance.allows(start + now, governor.limit_bps(&seen));
            if !governor.is_full(&seen) && is_allowed {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let noise = 0.9 + 0.2 * f64::from(seed >> 8) / f64::from(1 << 24);
                let wanted = wanted_bps * INTERVAL.as_secs_f64();
                let bits = match governor.limit_bps(&seen).map(|limit| BitBudget::within(limit, INTERVAL)) {
                    Some(room) if sender == Sender::Follows => wanted.min(room.picture_bits as f64),
                    _ => wanted,
                } * noise;
                allowance.spend(bits as u64);
                queue.push_back((now, bits / 8.0));
                run.coded.push((now, bits));
            }
        }
        let mut room = HIDDEN_BYTES - hidden.iter().map(|(_, bytes, _)| bytes).sum::<f64>();
        while room > 0.0
            && let Some((at, bytes)) = queue.front_mut()
        {
            let moved = room.min(*bytes);
            (room, taken, *bytes) = (room - moved, taken + moved, *bytes - moved);
            let is_last = *bytes <= 0.0;
            hidden.push_back((*at, moved, is_last));
            if is_last {
                queue.pop_front();
            }
        }
        let mut passes = link_bps(now) / 8.0 * TICK.as_secs_f64();
        while passes > 0.0
            && let Some((at, bytes, is_last)) = hidden.front_mut()
        {
            let moved = passes.min(*bytes);
            (passes, *bytes) = (passes - moved, *bytes - moved);
            if *bytes <= 0.0 {
                if *is_last {
                    run.arrived.push(Arrived { sent: *at, delay: now + TICK - *at });
                }
                hidden.pop_front();
            }
        }
        now += TICK;
    }
    run
}

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl Run {
    fn delays(&self, from: Duration, to: Duration) -> Vec<Duration> {
        let within = self.arrived.iter().filter(|a| (from..to).contains(&(a.sent + a.delay)));
        let mut delays: Vec<_> = within.map(|a| a.delay).collect();
        delays.sort_unstable();
        delays
    }

    fn percentile(&self, from: Duration, to: Duration, percent: usize) -> Duration {
        let delays = self.delays(from, to);
        delays[(delays.len() - 1) * percent / 100]
    }

    fn rate_bps(&self, from: Duration, to: Duration) -> f64 {
        let bits = self.coded.iter().filter(|(at, _)| (from..to).contains(at)).map(|(_, bits)| bits).sum::<f64>();
        bits / (to - from).as_secs_f64()
    }

    fn limit_at(&self, at: Duration) -> Option<u64> {
        self.limits.iter().rev().find(|(from, _)| *from <= at).and_then(|(_, limit)| *limit)
    }
}

/// Half a link from the tenth to the thirtieth second.
fn cut(now: Duration) -> f64 {
    if (s(10)..s(30)).contains(&now) { 1e6 } else { 4e6 }
}

#[test]
fn nothing_is_limited_where_nothing_waits() {
    let run = run(Sender::Follows, 2e6, s(20), |_| 4e6);
    assert!(run.limits.iter().all(|(_, limit)| limit.is_none()));
    assert_eq!(run.arrived.len(), run.coded.len());
}

#[test]
fn a_cut_link_is_followed_down_and_up() {
    let run = run(Sender::Follows, 2e6, s(50), cut);
    let lowered = run.limits.iter().find(|(_, limit)| limit.is_some()).unwrap();
    assert!((s(10)..s(10) + Duration::from_millis(300)).contains(&lowered.0), "{:?}", lowered.0);
    let (p95, p50) = (run.percentile(s(10), s(30), 95), run.percentile(s(10), s(30), 50));
    assert!(p95 < Duration::from_millis(200), "p95 {p95:?}");
    assert!(p50 < Duration::from_millis(120), "p50 {p50:?}");
    let used = run.rate_bps(s(12), s(30));
    assert!((0.75e6..1.0e6).contains(&used), "{used} bits/s of 1 Mbit/s");
    let after = run.percentile(s(31), s(35), 95);
    assert!(after < Duration::from_millis(60), "{after:?}");
    let back = run.rate_bps(s(38), s(50));
    assert!(back > 1.9e6, "{back} bits/s of 2 Mbit/s");
    assert_eq!(run.limit_at(s(50)), None);
}

#[test]
fn steps_upwards_are_steps() {
    let run = run(Sender::Follows, 2e6, s(50), cut);
    let ups = run.limits.windows(2).filter_map(|pair| Some((pair[0].1? as f64, pair[1].1? as f64)));
    let worst = ups.map(|(before, after)| after / before).fold(0.0, f64::max);
    assert!((1.1..1.2).contains(&worst), "{worst}");
}

#[test]
fn who_cannot_follow_skips_pictures_and_keeps_the_delay() {
    let run = run(Sender::Fixed, 2e6, s(40), cut);
    let p95 = run.percentile(s(10), s(30), 95);
    assert!(p95 < Duration::from_millis(200), "{p95:?}");
    let used = run.rate_bps(s(12), s(30));
    assert!((0.75e6..1.1e6).contains(&used), "{used}");
    assert!(run.percentile(s(31), s(40), 95) < Duration::from_millis(60));
}

#[test]
fn a_standstill_is_no_reason_to_send_less_afterwards() {
    let run = run(Sender::Follows, 2e6, s(30), |now| if (s(10)..s(15)).contains(&now) { 0.0 } else { 4e6 });
    let back = run.delays(s(15) + Duration::from_millis(300), s(30));
    assert!(back.iter().all(|&delay| delay < Duration::from_millis(100)), "{:?}", back.last());
    let waiting = run.coded.iter().filter(|(at, _)| (s(11)..s(15)).contains(at)).count();
    assert_eq!(waiting, 0, "nothing is coded for a link that stands still");
    let rate = run.rate_bps(s(16), s(20));
    assert!(rate > 1.8e6, "{rate}");
}

#[test]
fn links_of_all_speeds_are_used_and_keep_their_delay() {
    for link in [150e3, 400e3, 1.3e6, 1.9e6, 2.2e6] {
        let run = run(Sender::Follows, 2e6, s(40), |_| link);
        let hidden = Duration::from_secs_f64(HIDDEN_BYTES * 8.0 / link);
        let p95 = run.percentile(s(5), s(40), 95);
        assert!(p95 < hidden + Duration::from_millis(200), "{link}: {p95:?}");
        let used = run.rate_bps(s(5), s(40));
        assert!(used > link.min(2e6) * 0.7, "{used} of {link}");
    }
}

#[test]
fn any_queue_will_do() {
    let mut governor = Governor::default();
    let start = Instant::now();
    for (step, queue) in [
        Queue { waiting_bytes: u64::MAX, age: Duration::MAX, taken_bytes: 5 },
        Queue { waiting_bytes: 0, age: Duration::MAX, taken_bytes: 0 },
        Queue { waiting_bytes: u64::MAX, age: Duration::ZERO, taken_bytes: u64::MAX },
        Queue { waiting_bytes: u64::MAX, age: Duration::MAX, taken_bytes: 0 },
    ]
    .into_iter()
    .cycle()
    .take(100)
    .enumerate()
    {
        // Time stands still now and then, and goes back once.
        let at = if step == 50 { start } else { start + INTERVAL * (step as u32 / 2) };
        governor.look(at, &queue);
        governor.is_full(&queue);
        if let Some(limit) = governor.limit_bps(&queue) {
            assert!(limit as f64 >= LOWEST_BPS / 4.0);
            assert!(BitBudget::within(limit, INTERVAL).picture_bits <= limit);
        }
    }
}

#[test]
fn pauses_now_and_then_cost_no_quality() {
    // 50 ms to 1.5 s, every ten seconds.
    let pauses = [0.05, 0.09, 0.15, 0.2, 0.28, 0.35, 0.6, 1.5];
    let is_paused = |now: Duration| {
        let at = now.as_secs_f64() % 10.0;
        at < pauses[(now.as_secs() / 10) as usize % pauses.len()] && now > s(1)
    };
    let run = run(Sender::Follows, 2e6, s(160), |now| if is_paused(now) { 0.0 } else { 4e6 });
    for tenth in 1..16 {
        let (from, to) = (s(tenth * 10 + 3), s(tenth * 10 + 10));
        let rate = run.rate_bps(from, to);
        assert!(rate > 1.9e6, "{rate} bits/s from {from:?}");
        let p95 = run.percentile(from, to, 95);
        assert!(p95 < Duration::from_millis(50), "{p95:?} from {from:?}");
    }
}

#[test]
fn a_queue_is_answered_before_anything_is_known_of_the_link_and_only_for_as_long_as_it_is_old() {
    let start = Instant::now();
    let mut governor = Governor::sending(1_000_000);
    let look = |governor: &mut Governor, at: u64, age: u64, waiting_bytes| {
        let queue = Queue { waiting_bytes, age: Duration::from_millis(age), taken_bytes: 0 };
        governor.look(start + Duration::from_millis(at), &queue);
        governor.limit_bps(&queue)
    };
    assert_eq!(look(&mut governor, 0, 0, 4000), None);
    assert_eq!(look(&mut governor, 33, 33, 8000), None);
    let first = look(&mut governor, 66, 66, 10_000).unwrap();
    assert!((400_000..700_000).contains(&first), "by what waits: {first}");
    assert!(look(&mut governor, 99, 99, 16_000).unwrap() < first, "by more, when more does");
    assert_eq!(look(&mut governor, 132, 10, 2000), None);
}

#[test]
fn what_waits_is_emptied_soon() {
    let run = run(Sender::Follows, 2e6, s(20), cut);
    let hidden = Duration::from_secs_f64(HIDDEN_BYTES * 8.0 / 1e6);
    let late = run.delays(s(10) + Duration::from_millis(600), s(11));
    let most = late.last().unwrap();
    assert!(*most < hidden + Duration::from_millis(20), "{most:?} with {hidden:?} in the kernel");
}

#[test]
fn a_pause_on_a_slow_link_leaves_its_limit() {
    // While the queue from the cut is there, so that the link's speed is known.
    let (from, to) = (s(10) + Duration::from_millis(300), s(13));
    let is_paused = |now: Duration| (from..to).contains(&now);
    let run = run(Sender::Follows, 2e6, s(20), |now| if is_paused(now) { 0.0 } else { cut(now) });
    let (before, after) = (run.limit_at(from).unwrap(), run.limit_at(to).unwrap());
    assert!(after as f64 > 0.85 * before as f64, "{before} before, {after} after");
}

#[test]
fn a_step_that_made_a_queue_is_not_soon_tried_again() {
    let run = run(Sender::Follows, 2e6, s(30), cut);
    let lowered = run.limits.windows(2).filter(|pair| pair[1].1 < pair[0].1).map(|pair| pair[1].0);
    let lowered: Vec<_> = lowered.filter(|at| *at > s(12)).collect();
    assert!((1..8).contains(&lowered.len()), "{lowered:?}");
}
