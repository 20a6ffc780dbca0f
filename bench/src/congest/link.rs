//! One direction of a link with a small buffer, in virtual time: when each byte that it takes comes out.
//!
//! Bytes wait in the buffer for their turn, pass at the script's rate, and come out a delay later. As the script is known,
//! a segment's time is known when it is taken in, and nothing here has to be woken.
//!
//! **How much waits.** The buffer holds [`BUFFER`] of the rate at the moment, at least [`MIN_BUFFER_BYTES`] and at most
//! [`MAX_BUFFER_BYTES`]. Whoever sends notices a slow link after that and not seconds later.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::script::{Script, ScriptTime, nanos};

/// Most bytes that are taken in as one: what an Ethernet frame carries.
pub const SEGMENT_BYTES: usize = 1448;
/// What may wait in the link, as the time in which it passes.
const BUFFER: Duration = Duration::from_millis(50);
/// What may wait however slow the link is: a link with less could not be kept busy.
const MIN_BUFFER_BYTES: usize = 2 * SEGMENT_BYTES;
/// What may wait however fast it is.
const MAX_BUFFER_BYTES: usize = 64 * 1024;
/// Bytes that may be on their way or undelivered as nobody takes them; beyond that nothing is taken in.
const MAX_HELD_BYTES: usize = 256 * 1024;

/// Bytes on their way.
#[derive(Debug)]
struct Segment {
    bytes: Vec<u8>,
    /// When it has left the buffer.
    departs: Duration,
    /// When it comes out.
    arrives: Duration,
}

/// One direction. Times are those since the link was made.
#[derive(Debug)]
pub struct Link {
    script: Arc<Script>,
    /// When the script begins; until it is known, the link is as at the script's beginning.
    begins: Option<Duration>,
    /// False where only delay and stalls hold: the way back, which carries next to nothing.
    has_rate: bool,
    on_the_way: VecDeque<Segment>,
    held_bytes: usize,
    last_departs: Duration,
}

impl Link {
    /// An empty one; with `has_rate`, what passes is bounded by the script's rate.
    pub fn new(script: Arc<Script>, has_rate: bool) -> Link {
        let on_the_way = VecDeque::new();
        Link { script, begins: None, has_rate, on_the_way, held_bytes: 0, last_departs: Duration::ZERO }
    }

    /// The script begins at `at`, which must not be in the past.
    pub fn begin(&mut self, at: Duration) {
        self.begins = Some(at);
    }

    fn script_time(&self, now: Duration) -> ScriptTime {
        // Far enough before for anything to pass, and far from the end of the numbers.
        self.begins.map_or(ScriptTime::MIN / 2, |begins| nanos(now) - nanos(begins))
    }

    /// How many bytes may be taken in now.
    pub fn room_bytes(&self, now: Duration) -> usize {
        let waiting: usize = self.waiting(now).map(|segment| segment.bytes.len()).sum();
        let of_rate = u128::from(self.script.rate_bps(self.script_time(now))) * BUFFER.as_micros() / 8_000_000;
        let buffer = (of_rate as usize).clamp(MIN_BUFFER_BYTES, MAX_BUFFER_BYTES);
        buffer.saturating_sub(waiting).min(MAX_HELD_BYTES.saturating_sub(self.held_bytes))
    }

    /// When the next segment leaves the buffer, and so makes room.
    pub fn next_room(&self, now: Duration) -> Option<Duration> {
        self.waiting(now).last().map(|segment| segment.departs)
    }

    /// Those still in the buffer, the last one first.
    fn waiting(&self, now: Duration) -> impl Iterator<Item = &Segment> {
        self.on_the_way.iter().rev().take_while(move |segment| segment.departs > now)
    }

    /// Takes a segment in; `now` never goes back.
    pub fn push(&mut self, now: Duration, bytes: &[u8]) {
        let starts = self.last_departs.max(now);
        let counted = if self.has_rate { bytes.len() } else { 1 };
        let departs = starts + self.script.passing_time(self.script_time(starts), counted);
        self.last_departs = departs;
        self.held_bytes += bytes.len();
        let arrives = departs + self.script.delay;
        self.on_the_way.push_back(Segment { bytes: bytes.to_vec(), departs, arrives });
    }

    /// When the next segment comes out.
    pub fn next_arrival(&self) -> Option<Duration> {
        self.on_the_way.front().map(|segment| segment.arrives)
    }

    /// The next segment, if it has come out.
    pub fn pop(&mut self, now: Duration) -> Option<Vec<u8>> {
        self.on_the_way.pop_front_if(|segment| segment.arrives <= now).map(|segment| {
            self.held_bytes -= segment.bytes.len();
            segment.bytes
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::script::{CUT_BPS, FULL_BPS, Scenario};
    use super::*;

    /// Keeps the link full from 0 to `end`, looking each ms; what came out, by time.
    fn drive(link: &mut Link, end: Duration) -> Vec<(Duration, usize)> {
        let mut out = Vec::new();
        let mut now = Duration::ZERO;
        while now < end {
            while link.room_bytes(now) >= SEGMENT_BYTES {
                link.push(now, &[0; SEGMENT_BYTES]);
            }
            while let Some(bytes) = link.pop(now) {
                out.push((now, bytes.len()));
            }
            now += Duration::from_millis(1);
        }
        out
    }

    fn bps(out: &[(Duration, usize)], from: u64, to: u64) -> f64 {
        let (from, to) = (Duration::from_secs(from), Duration::from_secs(to));
        let bytes: usize = out.iter().filter(|(at, _)| (from..to).contains(at)).map(|(_, bytes)| bytes).sum();
        bytes as f64 * 8.0 / (to - from).as_secs_f64()
    }

    #[test]
    fn what_passes_is_what_the_script_says() {
        let script = Arc::new(Script::of(Scenario::Cut, 1.0, Duration::ZERO, 0));
        let mut link = Link::new(script, true);
        link.begin(Duration::ZERO);
        let out = drive(&mut link, Duration::from_secs(36));
        for (from, to, expected) in [(1, 8, FULL_BPS), (9, 28, CUT_BPS), (29, 36, FULL_BPS)] {
            let ratio = bps(&out, from, to) / expected as f64;
            assert!((0.99..1.01).contains(&ratio), "{from} s to {to} s: {ratio}");
        }
        let script = Arc::new(Script::of(Scenario::Stall, 1.0, Duration::ZERO, 0));
        let mut link = Link::new(script, true);
        link.begin(Duration::ZERO);
        let out = drive(&mut link, Duration::from_secs(20));
        // What had passed when the stall began comes out all the same, a delay later.
        assert!(!out.iter().any(|(at, _)| (8_020..13_000).contains(&at.as_millis())));
        assert!((0.99..1.01).contains(&(bps(&out, 14, 20) / FULL_BPS as f64)));
    }

    #[test]
    fn little_waits() {
        let script = Arc::new(Script::of(Scenario::Stall, 1.0, Duration::ZERO, 0));
        let mut link = Link::new(script, true);
        link.begin(Duration::ZERO);
        let now = Duration::from_secs(9);
        let mut taken = 0;
        while link.room_bytes(now) >= SEGMENT_BYTES {
            link.push(now, &[0; SEGMENT_BYTES]);
            taken += SEGMENT_BYTES;
        }
        assert!((20_000..=25_000).contains(&taken), "50 ms of 4 Mbit/s: {taken}");
        assert!(link.next_room(now).unwrap() > Duration::from_secs(13), "none before the stall is over");
        assert_eq!(link.pop(Duration::from_secs(13)), None);
    }

    #[test]
    fn what_nobody_takes_stops_the_sender() {
        let mut link = Link::new(Arc::new(Script::of(Scenario::Unshaped, 1.0, Duration::ZERO, 0)), true);
        let mut taken = 0;
        for ms in 0..10_000 {
            let now = Duration::from_millis(ms);
            while link.room_bytes(now) >= SEGMENT_BYTES {
                link.push(now, &[0; SEGMENT_BYTES]);
                taken += SEGMENT_BYTES;
            }
        }
        assert!((MAX_HELD_BYTES - SEGMENT_BYTES..=MAX_HELD_BYTES).contains(&taken));
        assert!(link.pop(Duration::from_secs(10)).is_some() && link.room_bytes(Duration::from_secs(10)) > 0);
    }

    #[test]
    fn the_way_back_knows_delay_and_stalls_only() {
        let mut link = Link::new(Arc::new(Script::of(Scenario::Stall, 1.0, Duration::ZERO, 0)), false);
        link.begin(Duration::from_secs(1));
        link.push(Duration::ZERO, &[0; 10_000]);
        let arrives = link.next_arrival().unwrap();
        assert!(arrives > Duration::from_millis(10) && arrives < Duration::from_millis(11));
        link.push(Duration::from_secs(10), &[0; 10]);
        assert_eq!(link.pop(arrives).map(|bytes| bytes.len()), Some(10_000));
        assert!(link.next_arrival().unwrap() > Duration::from_secs(14), "8 to 13 s of the script stall");
    }
}
