//! The readers of a stream: those that get each packet, and those that wait for a keyframe (random access picture).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::batch::{Batch, MediaPacket};
use super::counted_bytes::SharedCopy;
use super::deliveries::{Deliveries, PREFETCHED, Snapshot};
use super::framing::Framing;
use super::gop::GopCache;
use super::metrics::StreamMetrics;
use super::packet_run::PacketRun;
use super::reader::{Pushed, Reader};
use super::sender_reports::{Report, SenderReports};
use crate::budget::{Budget, Kind};

/// All readers of one stream, grouped by framing.
#[derive(Debug)]
pub(super) struct Readers {
    budget: Arc<Budget>,
    /// The video track, with whose keyframes readers begin; without one they begin with any packet.
    video: Option<usize>,
    attached: Vec<Attached>,
    /// The framings in use, and how many readers have each. Readers of a group get the same bytes.
    groups: Vec<(Framing, usize)>,
    /// The index in `groups` of each framing in use.
    known: HashMap<Framing, usize>,
    /// The indices in `groups` that are unused.
    free: Vec<usize>,
    /// Whether a reader of the stream records, or one did.
    has_recording: bool,
    /// What the publisher's task must write; filled while a batch is pushed, and empty otherwise.
    deliveries: Deliveries,
    /// The readers in the order of `attached`; `None` until the next delivery where that has changed.
    snapshot: Option<Snapshot>,
}

#[derive(Debug)]
struct Attached {
    reader: Arc<Reader>,
    /// The index of the reader's framing in [`Readers::groups`].
    group: usize,
    /// Whether the reader waits for a keyframe, and gets no packets before.
    is_waiting: bool,
    /// Whether the reader has not been sent any picture yet.
    is_new: bool,
}

/// What a stream can send to a reader that joins.
pub(super) struct JoinSource<'a> {
    /// The last sender reports, by which the reader relates the tracks' time stamps to each other.
    pub reports: &'a SenderReports,
    /// The cached group of pictures, where the reader should begin with it.
    pub group: Option<&'a mut GopCache>,
}

impl Readers {
    /// No readers yet. `video` is the index of the video track, if there is one.
    pub(super) fn new(video: Option<usize>, budget: &Arc<Budget>) -> Readers {
        Readers {
            budget: Arc::clone(budget),
            video,
            attached: Vec::new(),
            groups: Vec::new(),
            known: HashMap::new(),
            free: Vec::new(),
            has_recording: false,
            deliveries: Deliveries::new(budget),
            snapshot: None,
        }
    }

    /// How many readers the stream has.
    pub(super) fn len(&self) -> usize {
        self.attached.len()
    }

    /// Adds a reader and queues the packets that it begins with. True where a keyframe should be requested for it.
    pub(super) fn join(&mut self, reader: Arc<Reader>, source: JoinSource<'_>, now: Instant) -> bool {
        let reports = source.reports.all().filter_map(|(track, report)| report.framed_for(reader.framing(), track));
        let has_reports = reader.push_burst(reports, &self.budget, now);
        let (has_begun, needs_keyframe) = match (self.video, source.group) {
            (None, _) => (true, false),
            (Some(track), Some(group)) if has_reports => (group.send_to(&reader, track, true, now), false),
            (Some(_), _) => (false, true),
        };
        reader.wake();
        let group = self.group_of(reader.framing());
        self.has_recording |= reader.records();
        self.snapshot = None;
        self.attached.push(Attached { reader, group, is_waiting: !has_begun, is_new: !has_begun });
        needs_keyframe
    }

    /// Removes a reader, and with it the stream's reference to its socket.
    pub(super) fn leave(&mut self, reader: &Arc<Reader>) {
        self.snapshot = None;
        while let Some(at) = self.attached.iter().position(|attached| Arc::ptr_eq(&attached.reader, reader)) {
            let group = self.attached.remove(at).group;
            self.groups[group].1 -= 1;
            if self.groups[group].1 == 0 {
                self.known.remove(&self.groups[group].0);
                self.free.push(group);
            }
        }
    }

    /// Removes all readers, whose tasks learn that the stream has ended.
    pub(super) fn end(&mut self) {
        (self.groups, self.free, self.snapshot) = (Vec::new(), Vec::new(), None);
        self.known.clear();
        self.attached.drain(..).for_each(|attached| attached.reader.end());
    }

    /// Lets all readers wait for a keyframe, since the next packets do not continue those before.
    pub(super) fn wait_for_keyframe(&mut self) {
        self.attached.iter_mut().for_each(|attached| attached.is_waiting = self.video.is_some());
    }

    /// Whether a reader waits for a keyframe, or may have to once more packets are pushed to it.
    pub(super) fn may_begin(&self) -> bool {
        self.attached.iter().any(|attached| attached.is_waiting || !attached.reader.is_idle())
    }

    /// Handles the beginning of a keyframe: readers that waited get its packets so far, and the rest as it comes.
    pub(super) fn keyframe_began(&mut self, group: &mut GopCache, track: usize, now: Instant) {
        for attached in self.attached.iter_mut().filter(|attached| attached.is_waiting) {
            attached.is_waiting = !group.send_to(&attached.reader, track, attached.is_new, now);
            attached.is_new &= attached.is_waiting;
            attached.reader.wake();
        }
    }

    /// Whether there is a reader that accepts packets and has never requested a keyframe.
    pub(super) fn has_silent_reader(&self) -> bool {
        self.attached.iter().any(|attached| attached.reader.never_requests_keyframes())
    }

    /// Pushes packets to all readers that do not wait for a keyframe. A reader whose queue was emptied waits from then
    /// on; true where a keyframe should be requested because of that.
    pub(super) fn forward(
        &mut self,
        batch: &Batch,
        packets: &[MediaPacket],
        now: Instant,
        metrics: &mut StreamMetrics,
    ) -> bool {
        if self.has_recording {
            self.count_missed(batch, packets);
        }
        let Some(run) = batch.contiguous_run(packets, self.video) else { return false };
        self.push(now, metrics, |framing| run.framed_for(framing))
    }

    /// Counts the pictures in these packets as missed by the recordings that wait for a keyframe.
    fn count_missed(&self, batch: &Batch, packets: &[MediaPacket]) {
        for attached in self.attached.iter().filter(|attached| attached.is_waiting && attached.reader.records()) {
            attached.reader.miss(batch.pictures(packets, self.video));
        }
    }

    /// Pushes a sender report that the hub made to all readers that do not wait; returns the same as
    /// [`Readers::forward`].
    pub(super) fn send_report(
        &mut self,
        track: usize,
        report: &Report,
        now: Instant,
        metrics: &mut StreamMetrics,
    ) -> bool {
        self.push(now, metrics, |framing| report.framed_for(framing, track))
    }

    /// Pushes what `make` makes for each framing, once for all readers of a group.
    fn push(
        &mut self,
        now: Instant,
        metrics: &mut StreamMetrics,
        make: impl Fn(&Framing) -> Option<PacketRun>,
    ) -> bool {
        let mut needs_keyframe = false;
        // The run of each group, and its index among the deliveries.
        let mut made: Vec<Option<(Option<PacketRun>, Option<usize>)>> = vec![None; self.groups.len()];
        let mut waiting = SharedCopy::new(&self.budget, Kind::Queues);
        for at in 0..self.attached.len() {
            if at % PREFETCHED == 0 {
                let some = self.attached.iter().skip(at).take(PREFETCHED);
                std::hint::black_box(some.fold(true, |all, attached| all & attached.reader.is_idle()));
            }
            let Some(attached) = self.attached.get_mut(at).filter(|attached| !attached.is_waiting) else { continue };
            let make = || (make(&self.groups[attached.group].0), None);
            let (Some(run), index) = made[attached.group].get_or_insert_with(make) else { continue };
            match attached.reader.push(run, now, &mut waiting) {
                Pushed::Queued => {}
                Pushed::Deliver => {
                    let add = || self.deliveries.add_run(run.outgoing.clone());
                    let run = *index.get_or_insert_with(add);
                    self.deliveries.add(at, run);
                }
                Pushed::Overrun { packets, is_alive } => {
                    metrics.overrun(packets);
                    attached.is_waiting = self.video.is_some();
                    needs_keyframe |= is_alive;
                }
            }
        }
        needs_keyframe
    }

    /// The bit rate that the fastest reader's link can carry, in bits/s; `None` where a link carries everything that is
    /// sent.
    pub(super) fn limit_bps(&self, sent_bps: u64, now: Instant) -> Option<u64> {
        // Every reader is sampled, since each estimates its link by its own queue.
        let counted = self.attached.iter().filter(|attached| !attached.reader.is_observer());
        let limits = counted.map(|attached| attached.reader.limit_bps(sent_bps, now).unwrap_or(u64::MAX));
        limits.max().filter(|&limit| limit != u64::MAX)
    }

    /// Takes the deliveries of the batch that was pushed, for the caller to write when it holds no lock.
    pub(super) fn take_deliveries(&mut self) -> Deliveries {
        let mut deliveries = std::mem::replace(&mut self.deliveries, Deliveries::new(&self.budget));
        if !deliveries.is_empty() {
            let readers = || self.attached.iter().map(|attached| Arc::clone(&attached.reader)).collect();
            deliveries.set_readers(self.snapshot.get_or_insert_with(readers));
        }
        deliveries
    }

    /// The index of this framing's group, which is made if necessary and counts one more reader.
    fn group_of(&mut self, framing: &Framing) -> usize {
        let group = match self.known.get(framing) {
            Some(group) => *group,
            None => {
                let group = self.free.pop().unwrap_or(self.groups.len());
                if group == self.groups.len() {
                    self.groups.push((framing.clone(), 0));
                }
                self.groups[group].0 = framing.clone();
                self.known.insert(framing.clone(), group);
                group
            }
        };
        self.groups[group].1 += 1;
        group
    }
}

#[cfg(test)]
mod tests {
    use hevcast_wire::rtsp::transport::Channels;
    use proptest::prelude::*;

    use super::super::tests::batch;
    use super::*;

    fn reader(channel: u8) -> Arc<Reader> {
        Arc::new(Reader::new(vec![Some(Channels { rtp: channel, rtcp: channel + 1 })], None))
    }

    fn join(readers: &mut Readers, reader: &Arc<Reader>) -> bool {
        let source = JoinSource { reports: &SenderReports::new(1), group: None };
        readers.join(Arc::clone(reader), source, Instant::now())
    }

    fn queued(reader: &Reader) -> u64 {
        reader.metrics().depth
    }

    #[test]
    fn a_joiner_of_video_waits_and_a_joiner_of_audio_begins_at_once() {
        let (budget, now, mut metrics) = (Arc::default(), Instant::now(), StreamMetrics::default());
        let packets = batch([bytes::Bytes::from_static(b"packet")]);
        for (video, expected) in [(Some(0), 0), (None, 1)] {
            let (mut readers, reader) = (Readers::new(video, &budget), reader(0));
            assert_eq!(join(&mut readers, &reader), video.is_some(), "whether it needs a keyframe");
            readers.forward(&packets, packets.packets(), now, &mut metrics);
            readers.take_deliveries().deliver();
            assert_eq!(queued(&reader), expected, "{video:?}");
        }
    }

    proptest! {
        #[test]
        fn groups_are_those_of_the_readers_that_are_there(
            steps in prop::collection::vec((any::<bool>(), 0..6u8), 0..60),
        ) {
            let (mut readers, mut there) = (Readers::new(None, &Arc::default()), Vec::new());
            for (is_join, at) in steps {
                if is_join {
                    let reader = reader(at * 2);
                    join(&mut readers, &reader);
                    there.push(reader);
                } else if !there.is_empty() {
                    let left = there.swap_remove(usize::from(at) % there.len());
                    readers.leave(&left);
                    prop_assert_eq!(Arc::strong_count(&left), 1, "nothing is kept of it");
                }
                let mut channels: Vec<_> = there.iter().map(|reader| reader.channels().to_vec()).collect();
                channels.sort_by_key(|channels| channels[0].map(|pair| pair.rtp));
                channels.dedup();
                prop_assert_eq!((readers.len(), readers.known.len()), (there.len(), channels.len()));
                prop_assert!(readers.groups.len() - readers.free.len() == channels.len());
                for attached in &readers.attached {
                    prop_assert_eq!(&readers.groups[attached.group].0, attached.reader.framing());
                }
            }
        }
    }
}
