//! Measurement of the offset between the peer's clock and the local one, over the RTSP connection.
//!
//! Four timestamps, as in NTP (RFC 5905 section 8): the client sends GET_PARAMETER (RFC 2326 section 10.8) with `t1`, the server
//! answers with `t1`, its time of arrival `t2` and of departure `t3`, and the client notes the arrival `t4`. Then
//! offset = ((t2 − t1) + (t3 − t4)) / 2, and the true offset lies within half the round trip of it, at that moment.
//!
//! Clocks drift, so the bound of an exchange grows with its age. Any two exchanges limit the drift between them: to the
//! difference of their offsets, plus or minus both bounds, divided by the time between them. The range that all pairs of the
//! last [`HISTORY`] exchanges allow is the drift; it extrapolates an exchange's offset ([`ClockOffset::at`]), and its own
//! uncertainty, plus [`WANDER_PPB`] for oscillators that change with temperature, widens the bound over time. Of the
//! last [`WINDOW`] exchanges the one with the smallest bound *now* is used: mostly that with the shortest round trip, since
//! queueing can only lengthen a round trip.
//!
//! A publisher writes the bound of its own estimate into each picture ([`SendStages`](crate::sei::SendStages)), so that a
//! reader can add the errors of both ends, and the id of the server's clock ([`ClockId`]), so that a reader at another server
//! does not compare times of different clocks.

use std::collections::VecDeque;
use std::time::Duration;

pub use crate::clock_offset::ClockOffset;
use crate::clock_offset::{micros, part};
use crate::time::{ClockId, Now, UtcMicros};

/// The number of latest exchanges from which the best is chosen.
pub const WINDOW: usize = 8;

/// The number of latest exchanges from which the drift is estimated: one minute at one exchange per second.
pub const HISTORY: usize = 64;

/// Largest drift between two clocks that is assumed, parts per billion: oscillators are within 100 ppm each, and
/// slewing by `adjtime` adds up to 500 ppm on most systems.
pub const MAX_DRIFT_PPB: i64 = 500_000;

/// How far the drift may change from its estimate over the last minute, parts per billion.
pub const WANDER_PPB: i64 = 20_000;

/// A wall clock that departs from the monotonic clock by more than this, µs, beyond [`MAX_DRIFT_PPB`], counts as set.
const STEP_MICROS: i64 = 2_000;

/// Header of the OPTIONS response by which a server announces that it supports the exchange.
pub const SUPPORT_HEADER: &str = "X-Hevcast-Clock";

/// Content-Type of the request and response bodies.
pub const CONTENT_TYPE: &str = "text/x-hevcast-clock";

/// Body of the client's request: one line per field, `key: value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockRequest {
    /// When the request was sent, by the client's clock.
    pub t1: UtcMicros,
}

/// Body of the server's response: all that the client needs beside its own time of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockReply {
    /// `t1` of the request, repeated so that the two can be matched: when it was sent, by the sender's clock.
    pub t1: UtcMicros,
    /// When the request was read, by the server's clock.
    pub t2: UtcMicros,
    /// When the answer was written, by the server's clock.
    pub t3: UtcMicros,
    /// Id of the server's clock; `None` where the server gives none.
    pub clock: Option<ClockId>,
}

/// The value of a body's line `key: value`.
fn field<'a>(body: &'a [u8], key: &str) -> Option<&'a str> {
    let text = std::str::from_utf8(body).ok()?;
    Some(text.lines().filter_map(|line| line.split_once(':')).find(|(k, _)| k.trim() == key)?.1.trim())
}

fn time(body: &[u8], key: &str) -> Option<UtcMicros> {
    field(body, key)?.parse().ok().map(UtcMicros)
}

impl ClockRequest {
    /// The body in text form, for the media type [`CONTENT_TYPE`].
    pub fn body(&self) -> Vec<u8> {
        format!("t1: {}\r\n", self.t1.0).into_bytes()
    }

    /// Parses a body; `None` if it lacks a field.
    pub fn parse(body: &[u8]) -> Option<ClockRequest> {
        Some(ClockRequest { t1: time(body, "t1")? })
    }
}

impl ClockReply {
    /// The body in text form, for the media type [`CONTENT_TYPE`].
    pub fn body(&self) -> Vec<u8> {
        let mut body = format!("t1: {}\r\nt2: {}\r\nt3: {}\r\n", self.t1.0, self.t2.0, self.t3.0);
        if let Some(ClockId(id)) = self.clock {
            body.push_str(&format!("clock: {id:016x}\r\n"));
        }
        body.into_bytes()
    }

    /// Parses a body; `None` if it lacks a time. An id that cannot be read counts as absent.
    pub fn parse(body: &[u8]) -> Option<ClockReply> {
        let clock = field(body, "clock").and_then(|id| u64::from_str_radix(id, 16).ok()).and_then(ClockId::new);
        Some(ClockReply { t1: time(body, "t1")?, t2: time(body, "t2")?, t3: time(body, "t3")?, clock })
    }
}

/// One request and its response, with the offset that they give.
#[derive(Clone, Copy, Debug)]
struct Exchange {
    at: Now,
    offset_micros: i64,
    bound_micros: i64,
}

/// Estimates offset and drift from the exchanges of one connection.
#[derive(Debug, Default)]
pub struct ClockEstimator {
    exchanges: VecDeque<Exchange>,
    best: Option<ClockOffset>,
}

impl ClockEstimator {
    /// Adds an exchange whose response arrived `now`. One with a negative round trip is ignored. When the local clock
    /// was set since the last one, or another clock answers, earlier exchanges are discarded.
    pub fn add(&mut self, reply: &ClockReply, now: Now) {
        let round_trip = now.utc.micros_since(reply.t1).saturating_sub(reply.t3.micros_since(reply.t2));
        if round_trip < 0 {
            return;
        }
        let offset_micros = reply.t2.micros_since(reply.t1).saturating_add(reply.t3.micros_since(now.utc)) / 2;
        // Half the round trip, and the microsecond that integer division may have lost.
        let new = Exchange { at: now, offset_micros, bound_micros: round_trip / 2 + 1 };
        let is_another = self.best.is_some_and(|best| best.clock != reply.clock);
        if is_another || self.exchanges.back().is_some_and(|last| was_set(last.at, now) || !agree(last, &new)) {
            self.exchanges.clear();
        }
        if self.exchanges.len() == HISTORY {
            self.exchanges.pop_front();
        }
        self.exchanges.push_back(new);
        let (drift_ppb, drift_bound_ppb) = self.drift();
        let recent = self.exchanges.iter().rev().take(WINDOW);
        let offsets = recent.map(|exchange| ClockOffset {
            measured: exchange.at.instant,
            offset_micros: exchange.offset_micros,
            bound: Duration::from_micros(exchange.bound_micros.unsigned_abs()),
            drift_ppb,
            drift_bound_ppb,
            clock: reply.clock,
        });
        self.best = offsets.min_by_key(|offset| offset.at(now.instant).bound);
    }

    /// The best of the last [`WINDOW`] exchanges, as measured: see [`ClockOffset::at`]. `None` before the first.
    pub fn best(&self) -> Option<ClockOffset> {
        self.best
    }

    /// The middle of the drift range that all pairs of exchanges allow, and its uncertainty, both in parts per billion.
    fn drift(&self) -> (i64, i64) {
        let (mut least, mut most) = (-MAX_DRIFT_PPB, MAX_DRIFT_PPB);
        for (n, later) in self.exchanges.iter().enumerate() {
            for earlier in self.exchanges.range(..n) {
                let apart = micros(later.at.instant.saturating_duration_since(earlier.at.instant));
                if apart == 0 {
                    continue;
                }
                let by_time = |gained: i64| {
                    let ppb = i128::from(gained) * 1_000_000_000 / i128::from(apart);
                    i64::try_from(ppb).unwrap_or(if gained < 0 { i64::MIN } else { i64::MAX })
                };
                let gained = later.offset_micros.saturating_sub(earlier.offset_micros);
                let unsure = later.bound_micros.saturating_add(earlier.bound_micros);
                least = least.max(by_time(gained.saturating_sub(unsure)));
                most = most.min(by_time(gained.saturating_add(unsure)));
            }
        }
        if least > most {
            // No single drift fits all pairs, so it has changed: only the limit is certain.
            return (0, MAX_DRIFT_PPB);
        }
        let half = most / 2 - least / 2 + 1;
        (least / 2 + most / 2, half.saturating_add(WANDER_PPB).min(MAX_DRIFT_PPB * 2))
    }
}

/// Whether a clock was set between two readings.
fn was_set(before: Now, now: Now) -> bool {
    let monotonic = micros(now.instant.saturating_duration_since(before.instant));
    let gained = now.utc.micros_since(before.utc).saturating_sub(monotonic);
    gained.saturating_abs() > STEP_MICROS.saturating_add(part(monotonic, MAX_DRIFT_PPB))
}

/// Whether two exchanges are consistent with clocks that were not set between them.
fn agree(before: &Exchange, now: &Exchange) -> bool {
    let apart = micros(now.at.instant.saturating_duration_since(before.at.instant));
    let difference = now.offset_micros.saturating_sub(before.offset_micros).saturating_abs();
    let allowed = before.bound_micros.saturating_add(now.bound_micros).saturating_add(part(apart, MAX_DRIFT_PPB));
    difference <= allowed.saturating_add(1)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use proptest::prelude::*;

    /// A clock under test: how far ahead of the truth it is, and what it gains.
    #[derive(Clone, Copy, Debug)]
    struct Skew {
        shift_micros: i64,
        drift_ppm: i64,
    }

    impl Skew {
        /// Its reading at a true time, µs since the start.
        fn utc(self, truth: i64) -> UtcMicros {
            UtcMicros(1_700_000_000_000_000 + truth + self.shift_micros + truth * self.drift_ppm / 1_000_000)
        }

        /// Both its readings; its monotonic clock drifts alike.
        fn now(self, base: Instant, truth: i64) -> Now {
            let run = (truth + truth * self.drift_ppm / 1_000_000).unsigned_abs();
            Now { instant: base + Duration::from_micros(run), utc: self.utc(truth) }
        }
    }

    /// One exchange that begins at `truth` over a path of these delays, and the true time of its end.
    fn exchange(own: Skew, server: Skew, truth: i64, (there, back): (i64, i64)) -> (ClockReply, i64) {
        let (arrives, leaves) = (truth + there, truth + there + 5);
        let reply = ClockReply { t1: own.utc(truth), t2: server.utc(arrives), t3: server.utc(leaves), clock: None };
        (reply, leaves + back)
    }

    fn skew() -> impl Strategy<Value = Skew> {
        (-3_600_000_000i64..3_600_000_000, -200i64..=200)
            .prop_map(|(shift_micros, drift_ppm)| Skew { shift_micros, drift_ppm })
    }

    /// A path's delays there and back: asymmetric by a constant each, and now and then a queue.
    fn paths() -> impl Strategy<Value = Vec<(i64, i64)>> {
        (0i64..20_000, 0i64..20_000, proptest::collection::vec((0i64..3_000, 0i64..3_000, 0i64..80_000), 40..90))
            .prop_map(|(there, back, jitter)| {
                let queue = |late: i64| if late > 60_000 { late } else { 0 };
                jitter.into_iter().map(|(a, b, late)| (there + a + queue(late), back + b)).collect()
            })
    }

    /// The error of an end's idea of the server's time at `truth`, and its bound, both µs.
    fn error(estimator: &ClockEstimator, own: Skew, server: Skew, base: Instant, truth: i64) -> (i64, i64) {
        let now = own.now(base, truth);
        let offset = estimator.best().unwrap().at(now.instant);
        let guess = now.utc.offset_by(offset.offset_micros);
        (guess.micros_since(server.utc(truth)), micros(offset.bound))
    }

    proptest! {
        /// The issue's own demand: sender and receiver, each against the server, shifted, drifting, over bad paths.
        #[test]
        fn the_true_delay_lies_within_the_bound(
            sender in skew(), receiver in skew(), server in skew(), paths in paths(), other_paths in paths(),
        ) {
            let base = Instant::now();
            let (mut at_sender, mut at_receiver) = (ClockEstimator::default(), ClockEstimator::default());
            for (second, (path, other)) in (0i64..).zip(paths.iter().zip(&other_paths)) {
                let begin = second * 1_000_000;
                let (reply, end) = exchange(sender, server, begin, *path);
                at_sender.add(&reply, sender.now(base, end));
                let (reply, other_end) = exchange(receiver, server, begin, *other);
                at_receiver.add(&reply, receiver.now(base, other_end));
                // Captured and presented at any time until the next exchanges.
                for captured in [150_000, 400_000, 900_000].map(|after| begin + after) {
                    let delay = 40_000;
                    let (early, early_bound) = error(&at_sender, sender, server, base, captured);
                    let (late, late_bound) = error(&at_receiver, receiver, server, base, captured + delay);
                    // The delay shown is off by what both ends are off, and by the server's own drift over it.
                    let off = (late - early).abs();
                    prop_assert!(off <= early_bound + late_bound + 10, "{off} µs off, bound {early_bound} + {late_bound}");
                }
            }
        }
    }

    /// On a path as short as the loopback's the bound stays small although the clocks drift.
    #[test]
    fn a_short_path_gives_a_small_bound_and_the_drift_is_found() {
        let base = Instant::now();
        let own = Skew { shift_micros: 3_600_000_000, drift_ppm: 200 };
        let server = Skew { shift_micros: 0, drift_ppm: 0 };
        let mut estimator = ClockEstimator::default();
        let mut worst = 0;
        for second in 0..60 {
            let (reply, end) = exchange(own, server, second * 1_000_000, (60, 40));
            estimator.add(&reply, own.now(base, end));
            let (_, bound) = error(&estimator, own, server, base, second * 1_000_000 + 999_000);
            worst = worst.max(bound);
        }
        assert!(worst < 1000, "±{worst} µs, a second after the exchange");
        let best = estimator.best().unwrap();
        assert!((best.drift_ppb + 200_000).abs() < 20_000, "{best:?}");
        let (off, bound) = error(&estimator, own, server, base, 60_000_000);
        assert!(off.abs() <= bound && bound < 150, "{off} ±{bound}");
    }

    /// The worst there is: a path that is slow one way only, so that the error is all of the bound, and a drift that adds.
    #[test]
    fn the_bound_holds_between_exchanges_before_the_drift_is_known() {
        let base = Instant::now();
        let server = Skew { shift_micros: 0, drift_ppm: 0 };
        for (drift_ppm, path) in [(200, (0, 100)), (-200, (100, 0)), (200, (100, 0)), (-200, (0, 100))] {
            let own = Skew { shift_micros: -7, drift_ppm };
            let mut estimator = ClockEstimator::default();
            for second in 0..20 {
                let (reply, end) = exchange(own, server, second * 1_000_000, path);
                estimator.add(&reply, own.now(base, end));
                for after in [1_000, 500_000, 999_000] {
                    let (off, bound) = error(&estimator, own, server, base, second * 1_000_000 + after);
                    assert!(
                        off.abs() <= bound,
                        "{off} ±{bound} µs, {after} µs after exchange {second}, {drift_ppm} ppm"
                    );
                }
            }
        }
    }

    #[test]
    fn a_clock_that_was_set_begins_anew() {
        let base = Instant::now();
        let server = Skew { shift_micros: 0, drift_ppm: 0 };
        let mut own = Skew { shift_micros: 0, drift_ppm: 0 };
        let mut estimator = ClockEstimator::default();
        assert_eq!(estimator.best(), None);
        for second in 0..10 {
            if second == 5 {
                own.shift_micros = -20_000;
            }
            // The later exchanges are the worse ones, and yet the earlier ones must not win.
            let path = if second < 5 { (50, 50) } else { (9_000, 9_000) };
            let (reply, end) = exchange(own, server, second * 1_000_000, path);
            estimator.add(&reply, own.now(base, end));
        }
        let (off, bound) = error(&estimator, own, server, base, 9_500_000);
        assert!(off.abs() <= bound, "{off} ±{bound}");
        let reply = ClockReply { t1: UtcMicros(10), t2: UtcMicros(0), t3: UtcMicros(0), clock: None };
        let before = estimator.best();
        estimator.add(&reply, Now { instant: base, utc: UtcMicros(0) });
        assert_eq!(estimator.best(), before, "an answer before its request");
    }

    #[test]
    fn bodies_read_back() {
        let request = ClockRequest { t1: UtcMicros(-5) };
        assert_eq!(ClockRequest::parse(&request.body()), Some(request));
        for clock in [None, ClockId::new(1), ClockId::new(u64::MAX - 4)] {
            let reply = ClockReply { t1: UtcMicros(1), t2: UtcMicros(2), t3: UtcMicros(3), clock };
            assert_eq!(ClockReply::parse(&reply.body()), Some(reply));
        }
        assert_eq!(ClockRequest::parse(b"packets_received"), None);
        assert_eq!(ClockReply::parse(&[0xff, 0xfe]), None);
    }

    #[test]
    fn an_identity_that_is_none_leaves_the_times() {
        for id in ["", "0", "-1", "not a number", "123456789abcdef01"] {
            let reply = ClockReply::parse(format!("t1: 1\r\nt2: 2\r\nt3: 3\r\nclock: {id}\r\n").as_bytes());
            assert_eq!(reply.map(|reply| (reply.t3, reply.clock)), Some((UtcMicros(3), None)), "{id}");
        }
    }

    #[test]
    fn another_clock_behind_the_same_address_begins_anew() {
        let base = Instant::now();
        let still = Skew { shift_micros: 0, drift_ppm: 0 };
        let mut estimator = ClockEstimator::default();
        for (second, id, path) in [(0, 1, (50, 50)), (1, 2, (9_000, 9_000))] {
            let (reply, end) = exchange(still, still, second * 1_000_000, path);
            estimator.add(&ClockReply { clock: ClockId::new(id), ..reply }, still.now(base, end));
        }
        let best = estimator.best().unwrap();
        assert_eq!(best.clock, ClockId::new(2));
        assert!(best.bound >= Duration::from_millis(9), "the first clock's exchange is useless: {best:?}");
    }
}
