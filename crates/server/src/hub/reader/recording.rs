//! The queue of a reader that records: pictures are kept however late they are, and missing pictures are counted.
//!
//! A recording can use a late picture like any other, and there is no network link behind the queue. So the queue is
//! bounded in bytes only: a publisher whose link was interrupted sends many seconds of pictures at once.

use std::time::Duration;

use hevcast_wire::rtsp::transport::Channels;

use super::{MAX_AGE, MAX_BURST_AGE, MAX_BYTES, Reader};

/// Most bytes in the queue of a recording's reader (queue `reader`).
pub(super) const MAX_RECORDING_BYTES: usize = 64 * 1024 * 1024;

impl Reader {
    /// A reader within this program whose packets are recorded.
    pub fn recording(channels: Vec<Option<Channels>>) -> Reader {
        let mut reader = Reader::new(channels, None).with_keyframe_requests();
        reader.hot.records = true;
        reader
    }

    /// Whether the reader was made by [`Reader::recording`].
    pub(in crate::hub) fn records(&self) -> bool {
        self.hot.records
    }

    /// The bounds of the reader's queue: the most age, and the most bytes.
    pub(super) fn bounds(&self, is_in_burst: bool) -> (Duration, usize) {
        match (self.hot.records, is_in_burst) {
            (true, _) => (Duration::MAX, MAX_RECORDING_BYTES),
            (false, false) => (MAX_AGE, MAX_BYTES),
            (false, true) => (MAX_BURST_AGE, MAX_BYTES),
        }
    }

    /// Counts pictures that the reader does not get because it waits for a keyframe.
    pub(in crate::hub) fn miss(&self, pictures: u64) {
        self.lock().missed_pictures += pictures;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::hub::reader::WritePermit;
    use crate::hub::tests::{CHANNELS, World, write_permit};

    use super::*;

    fn record(world: &World) -> Arc<Reader> {
        let reader = Arc::new(Reader::recording(vec![Some(CHANNELS)]));
        world.hub.find("live").unwrap().join(Arc::clone(&reader), world.now);
        reader
    }

    /// Takes everything queued; returns how many pictures that were, by their markers.
    fn taken(reader: &Reader) -> u64 {
        let mut markers = 0;
        reader.take(usize::MAX, |frames| {
            let packets = hevcast_wire::rtp::interleave::frames(&frames);
            let media = packets.filter(|(channel, _)| *channel == CHANNELS.rtp);
            markers += media.filter(|(_, range)| frames[range.start + 5] & 0x80 != 0).count() as u64;
        });
        markers
    }

    #[test]
    fn a_burst_behind_a_stall_is_recorded_whole_however_late() {
        let mut world = World::new(false);
        let reader = record(&world);
        world.publish(true);
        world.pass(Duration::from_secs(20));
        for _ in 0..600 {
            let picture = world.picture(false, 2000);
            world.push(&picture);
        }
        assert_eq!((taken(&reader), reader.metrics().jumps), (601, 0));
    }

    #[test]
    fn what_came_is_what_it_got_and_what_it_missed() {
        let mut world = World::new(false);
        // Pictures are missed before the first keyframe, and when the queue is past its bound since nothing is taken.
        world.publish(false);
        let reader = record(&world);
        world.publish(false);
        world.publish(false);
        let mut came = 2;
        let mut got = 0;
        for round in 0..2 {
            for n in 0..150 {
                let picture = world.picture(n % 40 == 0, 600_000);
                world.push(&picture);
                came += 1;
            }
            assert_eq!(write_permit(&reader), WritePermit::Granted);
            got += taken(&reader);
            let metrics = reader.metrics();
            assert_eq!(got + metrics.missed_pictures, came, "round {round}: {metrics:?}");
            assert!(metrics.jumps > round);
        }
    }
}
