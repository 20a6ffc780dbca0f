//! The readers of a stream: those who get each packet, and those who wait for an IRAP picture to begin with.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use hevcast_wire::rtsp::transport::Channels;

use super::batch::{Batch, MediaPacket};
use super::delivery::Deliveries;
use super::frames::Frames;
use super::gop::GopCache;
use super::held::SharedCopy;
use super::metrics::StreamMetrics;
use super::reader::{Pushed, Reader};
use super::reports::Report;
use crate::budget::{Budget, Kind};

/// All readers.
#[derive(Debug)]
pub(super) struct Audience {
    budget: Arc<Budget>,
    /// The H.265 track, by whose IRAP pictures readers begin; without one they begin anywhere.
    video: Option<usize>,
    readers: Vec<Attached>,
    /// The channels of readers, each set once, and how many have them: readers of a group get the same bytes.
    groups: Vec<(Vec<Option<Channels>>, usize)>,
    /// By channels: where in `groups` they are.
    known: HashMap<Vec<Option<Channels>>, usize>,
    /// Places in `groups` that nobody has.
    free: Vec<usize>,
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
    /// Nothing has been sent at all.
    is_new: bool,
}

impl Audience {
    /// Nobody yet.
    pub fn new(video: Option<usize>, budget: &Arc<Budget>) -> Audience {
        Audience {
            budget: Arc::clone(budget),
            video,
            readers: Vec::new(),
            groups: Vec::new(),
            known: HashMap::new(),
            free: Vec::new(),
            has_recording: false,
            deliveries: Deliveries::new(budget),
        }
    }

    /// How many they are.
    pub fn len(&self) -> usize {
        self.readers.len()
    }

    /// One more.
    pub fn join(&mut self, reader: Arc<Reader>, waiting: bool) {
        let group = self.group_of(reader.channels());
        self.has_recording |= reader.records();
        self.readers.push(Attached { reader, group, waiting, is_new: waiting });
    }

    /// All wait: what comes next is not the sequence that was.
    pub fn wait(&mut self) {
        self.readers.iter_mut().for_each(|attached| attached.waiting = self.video.is_some());
    }

    /// An IRAP picture has begun: those who waited get its packets so far, and the rest as it comes.
    pub fn release(&mut self, gop: &mut GopCache, track: usize, now: Instant) {
        for attached in self.readers.iter_mut().filter(|attached| attached.waiting) {
            attached.waiting = !gop.send_to(&attached.reader, track, attached.is_new, now);
            attached.is_new &= attached.waiting;
            attached.reader.wake();
        }
    }

    /// Whether somebody reads who never asks for a keyframe, and takes what comes.
    pub fn has_silent(&self) -> bool {
        self.readers.iter().any(|attached| attached.reader.never_asks())
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
        if self.has_recording {
            self.count_missed(batch, packets);
        }
        let Some(stretch) = batch.stretch(packets, self.video) else { return false };
        let mut made: Vec<Option<Option<Frames>>> = vec![None; self.groups.len()];
        let groups = std::mem::take(&mut self.groups);
        let keyframe_is_wanted = self.push(now, metrics, |attached| {
            let make = || stretch.for_channels(&groups[attached.group].0);
            made[attached.group].get_or_insert_with(make).clone()
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
        mut frames_for: impl FnMut(&Attached) -> Option<Frames>,
    ) -> bool {
        let mut keyframe_is_wanted = false;
        let mut waiting = SharedCopy::new(&self.budget, Kind::Queues);
        for attached in self.readers.iter_mut().filter(|attached| !attached.waiting) {
            let Some(frames) = frames_for(attached) else { continue };
            match attached.reader.push(frames, now, &mut waiting) {
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
        std::mem::replace(&mut self.deliveries, Deliveries::new(&self.budget))
    }

    /// One less.
    pub fn leave(&mut self, reader: &Arc<Reader>) {
        while let Some(at) = self.readers.iter().position(|attached| Arc::ptr_eq(&attached.reader, reader)) {
            let group = self.readers.remove(at).group;
            self.groups[group].1 -= 1;
            if self.groups[group].1 == 0 {
                self.known.remove(&self.groups[group].0);
                self.free.push(group);
            }
        }
    }

    /// Tells all that it is over.
    pub fn end(&mut self) {
        (self.groups, self.free) = (Vec::new(), Vec::new());
        self.known.clear();
        self.readers.drain(..).for_each(|attached| attached.reader.end());
    }

    /// The group of these channels, with one reader more.
    fn group_of(&mut self, channels: &[Option<Channels>]) -> usize {
        let group = match self.known.get(channels) {
            Some(group) => *group,
            None => {
                let group = self.free.pop().unwrap_or(self.groups.len());
                if group == self.groups.len() {
                    self.groups.push((Vec::new(), 0));
                }
                self.groups[group].0 = channels.to_vec();
                self.known.insert(channels.to_vec(), group);
                group
            }
        };
        self.groups[group].1 += 1;
        group
    }
}
