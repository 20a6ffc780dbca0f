//! What readers saw, summed up as it comes, in bounded memory: the delays of packets, the gaps between them, and how far
//! apart readers got the same picture.

use anyhow::{Context, Result};
use hdrhistogram::Histogram;

use super::framing::Packet;

/// Longest time that the histogram distinguishes, in µs: a minute.
const MAX_MICROS: u64 = 60_000_000;
/// Pictures that may be on their way to some of the readers: eight seconds.
const OPEN_PICTURES: usize = 256;

/// Times in bounded memory, to three digits.
#[derive(Clone, Debug)]
pub struct Times(Histogram<u64>);

impl Times {
    /// None yet.
    ///
    /// # Errors
    /// Never with these bounds; the library cannot know.
    pub fn new() -> Result<Times> {
        Ok(Times(Histogram::new_with_bounds(1, MAX_MICROS, 3).context("bounds of a histogram")?))
    }

    /// Adds a time in ns.
    pub fn add(&mut self, nanos: u64) {
        self.0.saturating_record((nanos / 1000).max(1));
    }

    /// Adds all of another's.
    ///
    /// # Errors
    /// Never, as all have the same bounds.
    pub fn merge(&mut self, other: &Times) -> Result<()> {
        self.0.add(&other.0).context("histograms of other bounds")
    }

    /// Number of times.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The time that this part of all is at most, in ms.
    pub fn quantile_ms(&self, quantile: f64) -> f64 {
        self.0.value_at_quantile(quantile) as f64 / 1000.0
    }

    /// The longest, in ms.
    pub fn max_ms(&self) -> f64 {
        self.0.max() as f64 / 1000.0
    }
}

/// All that readers saw of what was queued within a window of time.
#[derive(Debug)]
pub struct Arrivals {
    readers: u32,
    /// From queued to here, for each packet of each reader.
    pub delays: Times,
    /// From the first reader who had a picture whole to the last, for each picture that all of them got.
    pub spreads: Times,
    /// Times that a sequence number was not the next, over all readers and all the time.
    pub gaps: u64,
    /// Pictures that not all readers got.
    pub partial: u64,
    /// Reads that brought something, over all readers: at least one for each write of the server's that was not
    /// followed by another before its reader came to read.
    pub reads: u64,
    /// Pictures whose last packet came, over all readers.
    pub received: u64,
    /// By picture number, modulo its length.
    open: Vec<Option<Open>>,
}

/// A picture on its way.
#[derive(Clone, Copy, Debug)]
struct Open {
    timestamp: u32,
    first: u64,
    last: u64,
    readers: u32,
}

impl Arrivals {
    /// For so many readers.
    ///
    /// # Errors
    /// As [`Times::new`].
    pub fn new(readers: usize) -> Result<Arrivals> {
        Ok(Arrivals {
            readers: readers as u32,
            delays: Times::new()?,
            spreads: Times::new()?,
            gaps: 0,
            partial: 0,
            reads: 0,
            received: 0,
            open: vec![None; OPEN_PICTURES],
        })
    }

    /// Follows a reader's sequence; `expected` is that reader's.
    pub fn follow(&mut self, packet: Packet, expected: &mut Option<u16>) {
        self.gaps += u64::from(expected.is_some_and(|expected| expected != packet.sequence_number));
        *expected = Some(packet.sequence_number.wrapping_add(1));
    }

    /// Takes a packet of the window, queued and read at these ns. `ticks` is the time between pictures.
    pub fn take(&mut self, packet: Packet, queued: u64, now: u64, ticks: u32) {
        self.delays.add(now.saturating_sub(queued));
        if !packet.marker {
            return;
        }
        self.received += 1;
        let slot = (packet.timestamp / ticks) as usize % OPEN_PICTURES;
        match &mut self.open[slot] {
            Some(open) if open.timestamp == packet.timestamp => {
                open.last = now;
                open.readers += 1;
            }
            other => {
                let new = Open { timestamp: packet.timestamp, first: now, last: now, readers: 1 };
                if let Some(old) = other.replace(new) {
                    self.close(old);
                }
            }
        }
    }

    /// Sums up the pictures that were still on their way.
    pub fn finish(&mut self) {
        for slot in 0..OPEN_PICTURES {
            if let Some(open) = self.open[slot].take() {
                self.close(open);
            }
        }
    }

    /// Adds what was seen in another run, which has been finished.
    ///
    /// # Errors
    /// As [`Times::merge`].
    pub fn pool(&mut self, other: &Arrivals) -> Result<()> {
        self.gaps += other.gaps;
        self.partial += other.partial;
        self.reads += other.reads;
        self.received += other.received;
        self.delays.merge(&other.delays)?;
        self.spreads.merge(&other.spreads)
    }

    /// In how many reads a reader got a picture, on average.
    pub fn reads_per_picture(&self) -> f64 {
        self.reads as f64 / self.received.max(1) as f64
    }

    fn close(&mut self, picture: Open) {
        if picture.readers == self.readers {
            self.spreads.add(picture.last - picture.first);
        } else {
            self.partial += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICKS: u32 = 3000;
    const MS: u64 = 1_000_000;

    fn packet(picture: u32, sequence_number: u16, marker: bool) -> Packet {
        Packet { marker, sequence_number, timestamp: picture * TICKS }
    }

    #[test]
    fn the_spread_is_from_the_first_reader_to_the_last() {
        let mut arrivals = Arrivals::new(3).unwrap();
        for (picture, at) in [(0, 10), (1, 40), (0, 12), (0, 17), (1, 41), (1, 42)] {
            arrivals.take(packet(picture, 0, false), 0, at * MS, TICKS);
            arrivals.take(packet(picture, 1, true), 0, at * MS, TICKS);
        }
        // Two of three readers got it.
        arrivals.take(packet(2, 2, true), 0, 50 * MS, TICKS);
        arrivals.take(packet(2, 2, true), 0, 59 * MS, TICKS);
        arrivals.finish();
        assert_eq!((arrivals.spreads.count(), arrivals.partial), (2, 1));
        assert!((arrivals.spreads.max_ms() - 7.0).abs() < 0.02, "{}", arrivals.spreads.max_ms());
        assert!((arrivals.spreads.quantile_ms(0.5) - 2.0).abs() < 0.02);
        assert_eq!(arrivals.delays.count(), 14);
    }

    #[test]
    fn pictures_that_take_too_long_are_closed_by_later_ones() {
        let mut arrivals = Arrivals::new(1).unwrap();
        for picture in 0..1000 {
            arrivals.take(packet(picture, 0, true), 0, u64::from(picture) * MS, TICKS);
        }
        arrivals.finish();
        assert_eq!((arrivals.spreads.count(), arrivals.partial), (1000, 0));
    }

    #[test]
    fn gaps_are_jumps_of_a_readers_own_sequence() {
        let mut arrivals = Arrivals::new(2).unwrap();
        let mut expected = [None, None];
        for (reader, number) in [(0, 65_535), (1, 7), (0, 0), (1, 8), (0, 2), (1, 9)] {
            arrivals.follow(packet(0, number, false), &mut expected[reader]);
        }
        assert_eq!(arrivals.gaps, 1);
    }

    #[test]
    fn quantiles_are_in_milliseconds() {
        let (mut times, mut more) = (Times::new().unwrap(), Times::new().unwrap());
        (1..=99).for_each(|ms| times.add(ms * MS));
        more.add(1000 * MS);
        times.merge(&more).unwrap();
        let close = |figure: f64, to: f64| assert!((figure / to - 1.0).abs() < 0.002, "{figure}, not {to}");
        close(times.quantile_ms(0.5), 50.0);
        close(times.quantile_ms(0.99), 99.0);
        close(times.max_ms(), 1000.0);
        assert_eq!(times.count(), 100);
    }
}
