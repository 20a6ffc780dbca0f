//! Decides when the publisher is sent a request for another bit rate (TMMBR, RFC 5104 section 3.5.4).
//!
//! The requested limit is that of the reader with the fastest link, so that no reader gets less than its link can
//! carry. Readers with slower links lose pictures by the bounds of their own queues.

use std::time::{Duration, Instant};

use hevcast_wire::rtp::tmmbr::UNLIMITED_BPS;

/// Least time between two samples of the readers' queues: about the time of one picture at 30 pictures per second.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(30);
/// A limit that differs from the last one by less than this part (1/32) is not requested.
const SIGNIFICANT_PART: u64 = 32;
/// The time constant over which the published bit rate is averaged, in seconds.
const AVERAGING_TIME_S: f64 = 0.5;

/// The rate requests to one publisher.
#[derive(Debug)]
pub(super) struct RateRequester {
    /// Whether the publisher has announced that it obeys TMMBR.
    is_supported: bool,
    sampled_at: Option<Instant>,
    /// Bytes that had come from the publisher by the last sample.
    sampled_bytes: u64,
    /// The published bit rate, averaged over [`AVERAGING_TIME_S`], in bits/s.
    mean_bps: f64,
    /// The limit that was requested last, in bits/s.
    requested_bps: u64,
    /// A limit that the publisher's connection has not taken yet, in bits/s.
    pending_bps: Option<u64>,
}

impl RateRequester {
    /// No limit yet. `is_supported` says whether the publisher obeys limits.
    pub(super) fn new(is_supported: bool) -> RateRequester {
        RateRequester {
            is_supported,
            sampled_at: None,
            sampled_bytes: 0,
            mean_bps: 0.0,
            requested_bps: UNLIMITED_BPS,
            pending_bps: None,
        }
    }

    /// Samples the readers' queues at most every [`SAMPLE_INTERVAL`]; true when the publisher's connection must be
    /// woken to take a new limit. `published_bytes` have come from the publisher so far. `limit_of` is called with the
    /// mean bit rate of these, in bits/s, and returns what the fastest link can carry, or `None` where it can carry
    /// everything.
    pub(super) fn update(
        &mut self,
        published_bytes: u64,
        now: Instant,
        limit_of: impl FnOnce(u64) -> Option<u64>,
    ) -> bool {
        let passed = self.sampled_at.map(|at| now.saturating_duration_since(at));
        if !self.is_supported || passed.is_some_and(|passed| passed < SAMPLE_INTERVAL) {
            return false;
        }
        self.sampled_at = Some(now);
        let new_bytes = published_bytes.saturating_sub(std::mem::replace(&mut self.sampled_bytes, published_bytes));
        match passed.map(|passed| passed.as_secs_f64()) {
            Some(seconds) => {
                let bps = new_bytes as f64 * 8.0 / seconds;
                self.mean_bps += (bps - self.mean_bps) * (seconds / AVERAGING_TIME_S).min(1.0);
            }
            None => self.mean_bps = 0.0,
        }
        let limit_bps = limit_of(self.mean_bps as u64).unwrap_or(UNLIMITED_BPS);
        if limit_bps.abs_diff(self.requested_bps) <= self.requested_bps / SIGNIFICANT_PART {
            return false;
        }
        self.requested_bps = limit_bps;
        self.pending_bps = Some(limit_bps);
        true
    }

    /// Takes the new limit, in bits/s, for the publisher's connection to send it.
    pub(super) fn take_request(&mut self) -> Option<u64> {
        self.pending_bps.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Publishes 1 Mbit/s in pictures of 40 ms. Returns every limit that was requested, and the last mean rate.
    fn run(requester: &mut RateRequester, pictures: u32, limit_bps: impl Fn(u32) -> Option<u64>) -> (Vec<u64>, u64) {
        let (start, mut requested, mut mean_bps) = (Instant::now(), Vec::new(), 0);
        for picture in 0..pictures {
            let (bytes, now) = (u64::from(picture) * 5000, start + Duration::from_millis(40) * picture);
            let is_new = requester.update(bytes, now, |mean| {
                mean_bps = mean;
                limit_bps(picture)
            });
            let request = requester.take_request();
            assert_eq!(is_new, request.is_some());
            requested.extend(request);
        }
        (requested, mean_bps)
    }

    #[test]
    fn a_limit_is_requested_once_and_lifted_once() {
        let mut requester = RateRequester::new(true);
        let (requested, mean_bps) = run(&mut requester, 200, |picture| Some(500_000).filter(|_| picture < 100));
        assert_eq!(requested, [500_000, UNLIMITED_BPS]);
        assert!((990_000..=1_010_000).contains(&mean_bps), "{mean_bps}");
    }

    #[test]
    fn small_changes_are_not_requested() {
        let limit = |picture: u32| Some(if picture < 10 { 640_000 } else { 640_000 + u64::from(picture % 2) * 20_000 });
        assert_eq!(run(&mut RateRequester::new(true), 50, limit).0, [640_000]);
        let limit = |picture: u32| Some(if picture < 10 { 640_000 } else { 661_000 });
        assert_eq!(run(&mut RateRequester::new(true), 50, limit).0, [640_000, 661_000]);
    }

    #[test]
    fn readers_are_sampled_once_per_picture_and_never_for_a_publisher_that_obeys_no_limits() {
        let (mut requester, start, mut samples) = (RateRequester::new(true), Instant::now(), 0);
        for ms in 0..300 {
            requester.update(0, start + Duration::from_millis(ms), |_| {
                samples += 1;
                None
            });
        }
        assert_eq!(samples, 10);
        let mut requester = RateRequester::new(false);
        assert!(
            !requester.update(0, start, |_| unreachable!("it takes no limits")) && requester.take_request().is_none()
        );
    }
}
