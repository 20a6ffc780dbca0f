//! The readers of a stream: those who get each packet, and those who wait for an IRAP picture to begin with.

use std::sync::Arc;
use std::time::Instant;

use hevcast_wire::rtsp::transport::Channels;

use super::batch::{Batch, MediaPacket, Rendered};
use super::delivery::Deliveries;
use super::gop::GopCache;
use super::metrics::StreamMetrics;
use super::reader::{Pushed, Reader};
use super::reports::Report;

/// Groups above which those without readers are given up.
const MAX_GROUPS: usize = 16;

/// All readers.
#[derive(Debug, Default)]
pub(super) struct Audience {
    /// The H.265 track, by whose IRAP pictures readers begin; without one they begin anywhere.
    video: Option<usize>,
    readers: Vec<Attached>,
    /// The channels of readers, each set once: readers of a group get the same bytes.
    groups: Vec<Vec<Option<Channels>>>,
    /// Some of them record, or did.
    has_recording: bool,
    /// Empty but while a batch is pushed.
    deliveries: Deliveries,
}

#[derive(Debug)]
struct Attached {
    reader: Arc<Reader>,
    /// Index of its channels among all different ones.
    group: usize,
    /// Nothing is sent before an IRAP picture.
    waiting: bool,
}

impl Audience {
    /// Nobody yet.
    pub fn new(video: Option<usize>) -> Audience {
        Audience { video, ..Audience::default() }
    }

    /// How many they are.
    pub fn len(&self) -> usize {
        self.readers.len()
    }

    /// One more.
    pub fn join(&mut self, reader: Arc<Reader>, waiting: bool) {
        let group = self.group_of(reader.channels());
        self.has_recording |= reader.records();
        self.readers.push(Attached { reader, group, waiting });
    }

    /// All wait: what comes next is not the sequence that was.
    pub fn wait(&mut self) {
        self.readers.iter_mut().for_each(|attached| attached.waiting = self.video.is_some());
    }

    /// An IRAP picture has begun: those who waited get its packets so far, and the rest as it comes.
    pub fn release(&mut self, gop: &GopCache, track: usize, now: Instant) {
        for attached in self.readers.iter_mut().filter(|attached| attached.waiting) {
            attached.waiting = false;
            gop.send_to(&attached.reader, track, now);
            attached.reader.wake();
        }
    }

    /// Gives packets to all who do not wait. Who is overrun waits from now on; true when a keyframe
    /// should be asked for because of that.
    pub fn forward(
        &mut self,
        batch: &Batch,
        packets: &[MediaPacket],
        now: Instant,
        metrics: &mut StreamMetrics,
    ) -> bool {
        if packets.is_empty() {
            return false;
        }
        if self.has_recording {
            self.count_missed(batch, packets);
        }
        let mut made: Vec<Option<Option<Rendered>>> = vec![None; self.groups.len()];
        let (groups, video) = (std::mem::take(&mut self.groups), self.video);
        let keyframe_is_wanted = self.push(now, metrics, |attached| {
            let render = || batch.render(packets, &groups[attached.group], video);
            made[attached.group].get_or_insert_with(render).clone()
        });
        self.groups = groups;
        keyframe_is_wanted
    }

    /// Recordings that wait are told what they miss.
    fn count_missed(&self, batch: &Batch, packets: &[MediaPacket]) {
        for attached in self.readers.iter().filter(|attached| attached.waiting && attached.reader.records()) {
            attached.reader.miss(batch.pictures(packets, self.video));
        }
    }

    /// Gives a report of ours to all who do not wait; as [`Audience::forward`].
    pub fn send_report(&mut self, track: usize, report: &Report, now: Instant, metrics: &mut StreamMetrics) -> bool {
        self.push(now, metrics, |attached| attached.reader.channels_of(track).map(|channels| report.framed(channels)))
    }

    fn push(
        &mut self,
        now: Instant,
        metrics: &mut StreamMetrics,
        mut frames_for: impl FnMut(&Attached) -> Option<Rendered>,
    ) -> bool {
        let mut keyframe_is_wanted = false;
        for attached in self.readers.iter_mut().filter(|attached| !attached.waiting) {
            let Some(frames) = frames_for(attached) else { continue };
            match attached.reader.push(frames, now) {
                Pushed::Queued => {}
                Pushed::Deliver(frames) => self.deliveries.add(&attached.reader, frames),
                Pushed::Overrun { packets, is_alive } => {
                    metrics.overrun(packets);
                    attached.waiting = self.video.is_some();
                    keyframe_is_wanted |= is_alive;
                }
            }
        }
        keyframe_is_wanted
    }

    /// What the reader with the fastest link takes, bits/s; `None` where one takes all that comes.
    pub fn limit_bps(&self, sent_bps: u64, now: Instant) -> Option<u64> {
        // Each is asked, as each has its queue to look at.
        let counted = self.readers.iter().filter(|attached| !attached.reader.looks_on());
        let limits = counted.map(|attached| attached.reader.limit_bps(sent_bps, now).unwrap_or(u64::MAX));
        limits.max().filter(|&limit| limit != u64::MAX)
    }

    /// What can be written now.
    pub fn take_deliveries(&mut self) -> Deliveries {
        std::mem::take(&mut self.deliveries)
    }

    /// One less.
    pub fn leave(&mut self, reader: &Arc<Reader>) {
        self.readers.retain(|attached| !Arc::ptr_eq(&attached.reader, reader));
    }

    /// Tells all that it is over.
    pub fn end(&mut self) {
        self.readers.drain(..).for_each(|attached| attached.reader.end());
    }

    /// The group of these channels. There are as many as peers have asked for, so those nobody has any more are given up
    /// when there are many.
    fn group_of(&mut self, channels: &[Option<Channels>]) -> usize {
        if self.groups.len() >= MAX_GROUPS {
            self.groups.clear();
            for at in 0..self.readers.len() {
                let reader = Arc::clone(&self.readers[at].reader);
                self.readers[at].group = self.add_group(reader.channels());
            }
        }
        self.add_group(channels)
    }

    fn add_group(&mut self, channels: &[Option<Channels>]) -> usize {
        let known = self.groups.iter().position(|group| group == channels);
        known.unwrap_or_else(|| {
            self.groups.push(channels.to_vec());
            self.groups.len() - 1
        })
    }
}
