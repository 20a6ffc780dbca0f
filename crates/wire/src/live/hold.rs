//! Smoothing of pictures that arrive in bundles.
//!
//! Some servers write to a player only every few hundred milliseconds, and then all pictures since the last time: a
//! receiver that shows the newest would show one picture of each bundle. [`Hold`] decides how long each picture waits before
//! it is decoded, so that all are shown, at the pace of their time stamps, and the one that waited longest at the server does
//! not wait again: no less would give every picture.
//!
//! A picture came *together* with the one before when less than half the time had passed that lies between them by their time
//! stamps. A bundle is a wait of more than one and a half times that, then pictures that came together. Only a row of
//! bundles makes a hold: pictures that come singly, with up to four tenths of their distance of jitter, never come together;
//! a joining burst has no wait before it; a stall is one bundle among single pictures; and what catches up after a stall
//! does not wait again.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::media_time::MediaTime;
use crate::time::RtpTicks;

/// The longest hold: bundles of longer than this lose pictures as before.
pub const MAX_HOLD: Duration = Duration::from_secs(2);
/// The most pictures that are held: they lie in a queue of a fixed depth.
pub const MAX_HELD_PICTURES: i64 = 48;
/// Points that make a hold. Each bundle gives one for every picture that came together with the one before, up to
/// [`POINTS_OF_BUNDLE`]; each picture that came singly takes [`POINTS_OF_SINGLE`] away.
const ENOUGH_POINTS: u32 = 8;
/// The most points: so that a hold ends within [`MAX_POINTS`] / [`POINTS_OF_SINGLE`] single pictures.
const MAX_POINTS: u32 = 12;
/// No single burst is enough, and no two.
const POINTS_OF_BUNDLE: u32 = 3;
/// See [`ENOUGH_POINTS`].
const POINTS_OF_SINGLE: u32 = 2;
/// A bundle that lasts longer by its time stamps is none: they run faster than time, or it is a stall, µs.
const MAX_BUNDLE_US: i64 = 3_000_000;
/// Recent bundles that the hold is measured by.
const RECENT: usize = 8;
/// Of these, those that made the hold begin.
const BEGUN_BY: usize = 3;
/// A bundle that is late by no more than this is late by jitter, and the hold grows by it; beyond it is a stall, unless the
/// next is as late, µs.
const JITTER_US: i64 = 150_000;
/// A hold that is too long becomes shorter by one part in so many of the time from picture to picture.
const SHRINKS_BY: i64 = 8;
/// A hold that is shorter than this at the end is none, µs.
const NO_HOLD_US: i64 = 1000;

/// Of pictures that came together.
#[derive(Clone, Copy, Debug, Default)]
struct Group {
    pictures: u32,
    points: u32,
    /// A wait was before it.
    is_bundle: bool,
    /// When its first picture came, and its time by its stamps, µs.
    came_us: i64,
    media_us: i64,
}

/// How regularly bundles of pictures come: what a report of them says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bundles {
    /// Typical number of pictures in a bundle.
    pub pictures: u32,
    /// Time from the beginning of one bundle to that of the next.
    pub every: Duration,
}

/// Decides how long pictures wait before they are decoded. One per receiver.
#[derive(Debug, Default)]
pub struct Hold {
    epoch: Option<Instant>,
    media: MediaTime,
    /// When the last picture came and its time by its stamps, µs.
    last: Option<(i64, i64)>,
    group: Group,
    group_before: Group,
    points: u32,
    /// How late the first pictures of recent groups came, against their time stamps, µs.
    firsts: VecDeque<i64>,
    /// While there is a hold: a picture is due when it is as late as this, µs.
    base_us: Option<i64>,
    /// When the picture before was due, µs.
    due_us: i64,
    /// From picture to picture by their time stamps, smoothed, µs.
    interval_us: i64,
    /// The last bundle's lateness, if it came too late to be jitter, µs.
    stalled_us: Option<i64>,
    news: Option<Bundles>,
}

impl Hold {
    /// Forgets what came, as after a reconnect: nothing is held until bundles come again.
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

    /// Takes a picture that came at `at`, and returns when it is to be decoded; `None` for at once, while there is no hold. Never before
    /// `at`, never more than [`MAX_HOLD`] later, and never before a picture that came earlier.
    pub fn arrived(&mut self, timestamp: RtpTicks, at: Instant) -> Option<Instant> {
        let now = at.saturating_duration_since(*self.epoch.get_or_insert(at)).as_micros() as i64;
        let Some(media) = self.media.advance(timestamp) else {
            self.restart();
            return None;
        };
        let Some((came, before)) = self.last.replace((now, media)) else {
            // The first: perhaps of a joining burst, whose lateness says nothing.
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

    /// Enough bundles have come: from the present picture on they are held.
    fn begin(&mut self) {
        let Group { pictures, came_us, .. } = self.group_before;
        let every = Duration::from_micros((self.group.came_us - came_us).max(0) as u64);
        self.news = Some(Bundles { pictures, every });
        self.firsts.drain(..self.firsts.len().saturating_sub(BEGUN_BY));
        self.base_us = self.firsts.iter().max().copied();
    }

    /// A picture came behind all before.
    fn began(&mut self, now: i64, media: i64, is_bundle: bool) {
        let group = Group { pictures: 1, points: 0, is_bundle, came_us: now, media_us: media };
        self.group_before = std::mem::replace(&mut self.group, group);
        if self.group_before.pictures == 1 {
            self.points = self.points.saturating_sub(POINTS_OF_SINGLE);
        }
        let lateness = now - media;
        let is_stalled = self.base_us.is_some_and(|base| lateness > base + JITTER_US);
        // Two bundles in a row as late are how late they are now.
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

    /// How late pictures are to be shown, for one that comes so late, `step` behind the one before.
    fn base(&mut self, lateness: i64, step: i64) -> Option<i64> {
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
