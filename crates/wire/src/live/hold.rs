//! Smoothing of pictures that arrive in bundles.
//!
//! Some servers write to a player only every few hundred milliseconds, and then all pictures since the last time. A receiver
//! that shows the newest picture would show one of each bundle. [`Hold`] delays pictures before they are decoded, so that all
//! are shown at the intervals of their time stamps. The delay is the smallest that shows every picture: the picture that waited
//! longest at the server is not delayed at all.
//!
//! Two pictures came *together* when the time between their arrivals is less than half of that between their time stamps. A
//! *bundle* is a wait of more than one and a half times the interval, followed by pictures that came together. Only several
//! bundles in a row begin a hold. The following do not:
//!
//! - pictures that arrive one by one, with jitter of up to 0.4 of their interval: they never come together;
//! - the burst that a joining reader gets: no wait precedes it;
//! - a stall of the network: it is one bundle among single pictures, and the pictures that catch up after it come without a
//!   further wait.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::media_time::MediaTime;
use crate::time::RtpTicks;

/// The longest delay of a picture. Where bundles are further apart than this, some of their pictures are not shown.
pub const MAX_HOLD: Duration = Duration::from_secs(2);
/// The most pictures that are held at a time: the queue before the decoder has a fixed depth.
pub const MAX_HELD_PICTURES: i64 = 48;
/// Points at which a hold begins. Each bundle gives one for every picture that came together with the one before, up to
/// [`POINTS_OF_BUNDLE`]; each picture that came alone takes [`POINTS_OF_SINGLE`] away.
const ENOUGH_POINTS: u32 = 8;
/// The most points that are counted, so that a hold ends after [`MAX_POINTS`] / [`POINTS_OF_SINGLE`] pictures that came alone.
const MAX_POINTS: u32 = 12;
/// The most points of one bundle: two bundles do not begin a hold, however many pictures they have.
const POINTS_OF_BUNDLE: u32 = 3;
/// Points that a picture which came alone takes away.
const POINTS_OF_SINGLE: u32 = 2;
/// The longest bundle by its time stamps, µs. What lasts longer is a stall, or the time stamps run faster than time does.
const MAX_BUNDLE_US: i64 = 3_000_000;
/// How many of the last bundles set the length of the hold.
const RECENT: usize = 8;
/// How many of these count when a hold begins: older ones were not yet part of the row.
const BEGUN_BY: usize = 3;
/// The most by which jitter makes a bundle later than the hold allows for, µs: the hold grows by it. A bundle that is later still
/// is a stall, unless the next is as late.
const JITTER_US: i64 = 150_000;

/// Pictures that came together, or one that came alone.
#[derive(Clone, Copy, Debug, Default)]
struct Group {
    pictures: u32,
    points: u32,
    /// It began after a wait, and is a bundle if more than one picture came.
    is_bundle: bool,
    /// When its first picture came, µs since the first picture of all.
    came_us: i64,
    /// When its first picture is due by its time stamp, µs on the sender's clock.
    media_us: i64,
}

/// How large the bundles are and how often they come, for a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bundles {
    /// Pictures in the bundle before the one that began the hold.
    pub pictures: u32,
    /// Time from the first picture of that bundle to the first of the next.
    pub every: Duration,
}

/// Decides how long pictures wait before they are decoded. One per receiver.
#[derive(Debug, Default)]
pub struct Hold {
    epoch: Option<Instant>,
    media: MediaTime,
    /// When the last picture came, and its time by its time stamp, µs.
    last: Option<(i64, i64)>,
    group: Group,
    group_before: Group,
    points: u32,
    /// Lateness of the first pictures of the last [`RECENT`] groups: arrival less time stamp, µs.
    firsts: VecDeque<i64>,
    /// While there is a hold: the lateness at which each picture is decoded, µs.
    base_us: Option<i64>,
    /// When the picture before was to be decoded, µs.
    due_us: i64,
    /// Interval between pictures by their time stamps, smoothed, µs.
    interval_us: i64,
    /// Lateness of the last bundle where it was too large to be jitter, µs.
    stalled_us: Option<i64>,
    news: Option<Bundles>,
}

impl Hold {
    /// Forgets all pictures so far, as after a reconnect. No picture is delayed until bundles are found again.
    pub fn restart(&mut self) {
        *self = Hold { epoch: self.epoch, ..Hold::default() };
    }

    /// Whether pictures are being held, since they come in bundles.
    pub fn is_on(&self) -> bool {
        self.base_us.is_some()
    }

    /// The bundles of a hold that has begun since the last call, if one has.
    pub fn take_news(&mut self) -> Option<Bundles> {
        self.news.take()
    }

    /// Takes a picture that came at `at`, and returns when it is to be decoded; `None` while there is no hold, which means at
    /// once. Not before `at`, at most [`MAX_HOLD`] later, and not before a picture that came earlier.
    pub fn arrived(&mut self, timestamp: RtpTicks, at: Instant) -> Option<Instant> {
        let now = at.saturating_duration_since(*self.epoch.get_or_insert(at)).as_micros() as i64;
        let Some(media) = self.media.advance(timestamp) else {
            self.restart();
            return None;
        };
        let Some((came, before)) = self.last.replace((now, media)) else {
            // The first picture may belong to the burst of a joining reader, whose lateness tells nothing.
            self.group = Group { pictures: 1, came_us: now, media_us: media, ..Group::default() };
            return None;
        };
        let (step, waited) = (media - before, now - came);
        if step > 0 {
            self.interval_us += (step - self.interval_us) / if self.interval_us == 0 { 1 } else { 8 };
            match waited * 2 < step {
                true => self.joined(media),
                false => self.began(now, media, waited * 2 > step * 3),
            }
        }
        let base = self.base(now - media, step)?;
        let longest = (MAX_HELD_PICTURES * self.interval_us).min(MAX_HOLD.as_micros() as i64);
        self.due_us = (now + (media + base - now).clamp(0, longest)).max(self.due_us);
        Some(at + Duration::from_micros((self.due_us - now) as u64))
    }

    /// A picture came together with the one before.
    fn joined(&mut self, media: i64) {
        self.group.pictures += 1;
        if media - self.group.media_us > MAX_BUNDLE_US && self.stalled_us.is_none() {
            (self.points, self.base_us) = (0, None);
        } else if self.group.is_bundle && self.group.points < POINTS_OF_BUNDLE {
            self.group.points += 1;
            self.points = (self.points + 1).min(MAX_POINTS);
            if self.points >= ENOUGH_POINTS && self.base_us.is_none() {
                self.begin();
            }
        }
    }

    /// Begins a hold: enough bundles have come.
    fn begin(&mut self) {
        let Group { pictures, came_us, .. } = self.group_before;
        let every = Duration::from_micros((self.group.came_us - came_us).max(0) as u64);
        self.news = Some(Bundles { pictures, every });
        self.firsts.drain(..self.firsts.len().saturating_sub(BEGUN_BY));
        self.base_us = self.firsts.iter().max().copied();
    }

    /// A picture did not come together with the one before: a new group begins.
    fn began(&mut self, now: i64, media: i64, is_bundle: bool) {
        let group = Group { pictures: 1, points: 0, is_bundle, came_us: now, media_us: media };
        self.group_before = std::mem::replace(&mut self.group, group);
        if self.group_before.pictures == 1 {
            self.points = self.points.saturating_sub(POINTS_OF_SINGLE);
        }
        let lateness = now - media;
        let is_stalled = self.base_us.is_some_and(|base| lateness > base + JITTER_US);
        // Two bundles in a row of the same lateness are no stall: the path has become slower.
        let is_as_late = |stalled: i64| (lateness - stalled).abs() <= JITTER_US;
        let is_confirmed = is_bundle && self.stalled_us.is_some_and(is_as_late);
        self.stalled_us = is_stalled.then_some(lateness);
        if is_stalled && !is_confirmed {
            return;
        }
        if self.firsts.len() == RECENT {
            self.firsts.pop_front();
        }
        self.firsts.push_back(lateness);
    }

    /// The lateness at which pictures are to be decoded, after one of this `lateness`, `step` µs behind the one before; `None`
    /// where there is no hold.
    fn base(&mut self, lateness: i64, step: i64) -> Option<i64> {
        /// A hold that is too long shortens with each picture by the interval between pictures divided by this.
        const SHRINKS_BY: i64 = 8;
        /// A hold ends, when bundles have ceased, once it is shorter than this, µs.
        const NO_HOLD_US: i64 = 1000;
        let base = self.base_us?;
        let target = self.firsts.iter().max().copied().unwrap_or(lateness);
        let base = match target < base {
            true => target.max(base - step.max(0) / SHRINKS_BY),
            false => target,
        };
        self.base_us = Some(base);
        if self.points == 0 && base - lateness < NO_HOLD_US {
            self.base_us = None;
        }
        self.base_us
    }
}

#[cfg(test)]
mod tests;
