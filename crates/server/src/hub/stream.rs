//! One live path: its publisher's packets, and the readers they go to.
//!
//! Packets are forwarded as they come, before the picture is whole. A reader who joins is given the current group of
//! pictures when that is young or is all there is; from a publisher that takes keyframe requests a fresh IRAP picture is
//! asked for instead, once for however many readers come together.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hevcast_wire::rtp::ReceivedPacket;
use hevcast_wire::rtsp::sdp::Description;
use hevcast_wire::time::Now;
use tokio::sync::Notify;

use super::audience::Audience;
use super::batch::{Batch, MediaPacket, Run};
use super::continuity::{Continuity, NotResumed};
use super::delivery::Deliveries;
use super::gop::GopCache;
use super::introduction::Introduction;
use super::metrics::StreamMetrics;
use super::pacing::Pacing;
use super::reader::Reader;
use super::reports::Reports;

/// A group of pictures at most this old is sent to joiners even where a fresh keyframe could be asked for: its few
/// pictures are decoded sooner than a new one could come.
pub const YOUNG_GOP: Duration = Duration::from_millis(500);
/// A keyframe request that has brought nothing for this long is made again.
pub const KEYFRAME_PATIENCE: Duration = Duration::from_millis(500);

/// Least time between two keyframes that somebody asked for: one reader's requests are all readers' cost.
pub const KEYFRAME_SPACING: Duration = Duration::from_millis(250);

/// A live path.
#[derive(Debug)]
pub struct Stream {
    path: String,
    inner: Mutex<Inner>,
    resumed: Notify,
}

#[derive(Debug)]
struct Inner {
    description: Arc<Description>,
    /// The same as readers get it, written once.
    for_readers: Bytes,
    hevc_track: Option<usize>,
    /// The publisher answers keyframe requests.
    takes_requests: bool,
    /// Counts its publishers; the last one's claim is the stream's.
    publisher: u64,
    /// That one is lost, and its return is awaited.
    is_abandoned: bool,
    /// By track.
    continuity: Vec<Continuity>,
    audience: Audience,
    /// What readers who stayed must hear before another publisher's first picture.
    introduction: Introduction,
    gop: GopCache,
    reports: Reports,
    asked_keyframe: Option<Instant>,
    /// A request to the publisher that has not been picked up yet.
    keyframe_request: bool,
    /// The publisher takes limits.
    takes_limits: bool,
    pacing: Pacing,
    /// A limit that it has not been told yet.
    limit_request: Option<u64>,
    /// The publisher's connection.
    waker: Option<Waker>,
    /// A reader needs an IRAP picture, and none has begun since.
    needs_keyframe: bool,
    last_irap: Option<Instant>,
    ended: bool,
    metrics: StreamMetrics,
}

/// What the hub wants of a publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublisherRequest {
    /// An IRAP picture of this track and SSRC.
    Keyframe {
        /// Index of the track.
        track: usize,
        /// The SSRC by which the publisher knows it.
        ssrc: u32,
    },
    /// To send no more than this.
    Limit {
        /// Index of the track.
        track: usize,
        /// The SSRC by which the publisher knows it.
        ssrc: u32,
        /// The most that readers take.
        bits_per_s: u64,
    },
    /// To go: another has taken over.
    Leave,
}

impl Stream {
    pub(super) fn new(path: &str, description: Description) -> Stream {
        let hevc = description.hevc_track().map(|(index, track)| (index, track.keyframe_requests));
        let takes_limits = description.hevc_track().is_some_and(|(_, track)| track.rate_requests);
        let inner = Inner {
            publisher: 0,
            is_abandoned: false,
            continuity: description.tracks().iter().map(|track| Continuity::new(track.clock_rate_hz)).collect(),
            audience: Audience::new(hevc.map(|(index, _)| index)),
            introduction: Introduction::default(),
            gop: GopCache::default(),
            reports: Reports::new(description.tracks().len()),
            asked_keyframe: None,
            keyframe_request: false,
            takes_limits,
            pacing: Pacing::default(),
            limit_request: None,
            waker: None,
            hevc_track: hevc.map(|(index, _)| index),
            takes_requests: hevc.is_some_and(|(_, requests)| requests),
            needs_keyframe: false,
            last_irap: None,
            ended: false,
            metrics: StreamMetrics::default(),
            for_readers: description.for_readers(),
            description: Arc::new(description),
        };
        Stream { path: path.to_owned(), inner: Mutex::new(inner), resumed: Notify::new() }
    }

    /// The publisher is lost. Its readers stay, and see nothing before another publisher's first IRAP picture.
    pub(super) fn abandon(&self, publisher: u64) {
        let mut inner = self.lock();
        if inner.publisher == publisher {
            inner.is_abandoned = true;
            inner.interrupt();
        }
    }

    /// Takes over from a publisher that is lost (or, with `takeover`, is there), with the same tracks. The number of the
    /// new claim.
    pub(super) fn resume(&self, description: &Description, takeover: bool) -> Result<u64, NotResumed> {
        let mut inner = self.lock();
        if !inner.is_abandoned && !takeover {
            return Err(NotResumed::Live);
        }
        let (before, after) = (inner.description.tracks(), description.tracks());
        if before.len() != after.len() || !before.iter().zip(after).all(|(a, b)| a.is_like(b)) {
            return Err(NotResumed::Different);
        }
        inner.interrupt();
        let was_abandoned = std::mem::take(&mut inner.is_abandoned);
        inner.publisher += 1;
        inner.for_readers = description.for_readers();
        inner.description = Arc::new(description.clone());
        inner.takes_limits = description.hevc_track().is_some_and(|(_, track)| track.rate_requests);
        inner.reports.forget();
        let hevc = description.hevc_track();
        inner.introduction = hevc.map(|(_, track)| Introduction::new(&track.parameter_sets)).unwrap_or_default();
        let (reserve, hevc_track) = (inner.introduction.len(), inner.hevc_track);
        for (track, continuity) in inner.continuity.iter_mut().enumerate() {
            continuity.resume(if Some(track) == hevc_track { reserve } else { 0 });
        }
        if was_abandoned {
            self.resumed.notify_one();
        }
        Ok(inner.publisher)
    }

    /// Waits until another publisher has taken over.
    pub(super) async fn resumed(&self) {
        self.resumed.notified().await;
    }

    /// Whether the claim of this number is the stream's.
    pub(super) fn is_claimed_by(&self, publisher: u64) -> bool {
        self.lock().publisher == publisher
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The path, without slashes around it.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What the publisher announced.
    pub fn description(&self) -> Arc<Description> {
        Arc::clone(&self.lock().description)
    }

    /// The same as readers get it: the same bytes for all who ask.
    pub fn description_for_readers(&self) -> Bytes {
        self.lock().for_readers.clone()
    }

    /// Number of readers now.
    pub fn reader_count(&self) -> usize {
        self.lock().audience.len()
    }

    /// Forwards packets that arrived together. What can be written at once is the caller's to [deliver](Deliveries), now
    /// that no lock is held.
    pub(super) fn push(&self, publisher: u64, batch: &Batch, now: Now) -> Deliveries {
        let mut inner = self.lock();
        let inner = &mut *inner;
        if inner.publisher != publisher {
            return Deliveries::default();
        }
        inner.metrics.count(batch);
        let changed = inner.continued(batch, now.instant);
        let batch = changed.as_ref().unwrap_or(batch);
        let packets = batch.packets();
        // What has been looked at is forwarded as one stretch, cut where readers begin or a report of ours comes between.
        let mut sent = 0;
        for (at, packet) in packets.iter().enumerate() {
            if let Some(report) = inner.reports.note(batch, packet, now) {
                inner.forward(batch, &packets[sent..at], now.instant);
                sent = at;
                let metrics = &mut inner.metrics;
                let overran = inner.audience.send_report(packet.track, &report, now.instant, metrics);
                inner.needs_keyframe |= overran;
            }
            if packet.rtcp || inner.hevc_track != Some(packet.track) {
                continue;
            }
            if inner.gop.begins_irap(batch.packet(packet), now.instant) {
                inner.forward(batch, &packets[sent..at], now.instant);
                sent = at;
                (inner.asked_keyframe, inner.needs_keyframe, inner.last_irap) = (None, false, Some(now.instant));
                inner.introduce(&batch.run(packet));
                inner.audience.release(&inner.gop, packet.track, now.instant);
                inner.metrics.keyframes += 1;
            }
            inner.gop.keep(batch.run(packet));
        }
        inner.forward(batch, &packets[sent..], now.instant);
        inner.ask_if_due(now.instant);
        if inner.takes_limits
            && let Some(limit) = inner.pacing.look(&inner.audience, inner.metrics.received_bytes, now.instant)
        {
            inner.limit_request = Some(limit);
            inner.wake_publisher();
        }
        inner.audience.take_deliveries()
    }

    /// Forgets a reader, and with it its socket, at once: there may be no further packet to do that at. Only for a task
    /// that has [a claim](super::reader::Claim::Mine), which it keeps.
    pub fn leave(&self, reader: &Arc<Reader>) {
        self.lock().audience.leave(reader);
    }

    /// Adds a reader. What it needs to begin is queued before this returns, or asked of the publisher.
    pub fn join(&self, reader: Arc<Reader>, now: Now) {
        let now = now.instant;
        let mut inner = self.lock();
        let inner = &mut *inner;
        if inner.ended {
            reader.end();
            return;
        }
        for (track, channels) in reader.channels().iter().enumerate() {
            if let (Some(report), Some(channels)) = (inner.reports.last(track), channels) {
                reader.push_burst(report.framed(*channels), now);
            }
        }
        let mut waiting = false;
        if let Some(track) = inner.hevc_track {
            let cached = inner.gop.age(now).is_some_and(|age| !inner.takes_requests || age <= YOUNG_GOP);
            if cached {
                inner.gop.send_to(&reader, track, now);
            } else {
                waiting = true;
                inner.needs_keyframe = true;
                inner.ask_if_due(now);
            }
        }
        reader.wake();
        inner.audience.join(reader, waiting);
    }

    /// Asks the publisher for an IRAP picture: at once, or when enough time has passed since the last.
    pub fn request_keyframe(&self, now: Instant) {
        let mut inner = self.lock();
        inner.needs_keyframe = true;
        inner.ask_if_due(now);
    }

    /// What is wanted of a publisher. Pending, with the task to be woken, while that is nothing.
    pub(super) fn poll_request(&self, publisher: u64, cx: &mut Context<'_>) -> Poll<PublisherRequest> {
        let mut inner = self.lock();
        if inner.publisher != publisher || inner.ended {
            return Poll::Ready(PublisherRequest::Leave);
        }
        let track = inner.hevc_track.unwrap_or_default();
        let ssrc = inner.continuity.get(track).map_or(0, Continuity::publishers_ssrc);
        if std::mem::take(&mut inner.keyframe_request) {
            return Poll::Ready(PublisherRequest::Keyframe { track, ssrc });
        }
        if let Some(bits_per_s) = inner.limit_request.take() {
            return Poll::Ready(PublisherRequest::Limit { track, ssrc, bits_per_s });
        }
        inner.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// What has passed so far.
    pub fn metrics(&self) -> StreamMetrics {
        let inner = self.lock();
        let lost_packets = inner.continuity.iter().map(Continuity::lost_packets).sum();
        StreamMetrics {
            lost_packets,
            is_abandoned: inner.is_abandoned,
            publishers: inner.publisher + 1,
            ..inner.metrics
        }
    }

    /// Tells all readers that it is over.
    pub(super) fn end(&self) {
        let mut inner = self.lock();
        inner.ended = true;
        inner.interrupt();
        inner.audience.end();
    }
}

impl Inner {
    /// What comes next is not the sequence that was: readers wait for an IRAP picture, the publisher has to look up.
    fn interrupt(&mut self) {
        self.gop = GopCache::default();
        (self.asked_keyframe, self.last_irap, self.keyframe_request) = (None, None, false);
        // Another publisher has not been asked for anything.
        (self.pacing, self.limit_request) = (Pacing::default(), None);
        self.audience.wait();
        self.wake_publisher();
    }

    fn wake_publisher(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// The batch as readers should get it, where that is not as it came: behind a publisher's return.
    fn continued(&mut self, batch: &Batch, now: Instant) -> Option<Batch> {
        if !self.continuity.iter().any(Continuity::changes) {
            for packet in batch.packets().iter().filter(|packet| !packet.rtcp) {
                if let Some(continuity) = self.continuity.get_mut(packet.track) {
                    continuity.follow(batch.framed(packet), now);
                }
            }
            return None;
        }
        let (mut bytes, mut packets) = (batch.copied(), Vec::new());
        for packet in batch.packets() {
            match self.continuity.get_mut(packet.track) {
                // It speaks of time stamps that readers do not see.
                Some(continuity) if packet.rtcp && continuity.changes() => continue,
                Some(continuity) if !packet.rtcp => continuity.rewrite(&mut bytes[packet.range.clone()], now),
                _ => {}
            }
            packets.push(packet.clone());
        }
        Some(Batch::of_packets(bytes.freeze(), packets))
    }

    /// Puts another publisher's parameter sets before its first IRAP picture, which shows by this frame.
    fn introduce(&mut self, frame: &Run) {
        let first = self.gop.first(frame);
        let channel = first.channel();
        if let Ok(ReceivedPacket { header, .. }) = ReceivedPacket::parse(first.first_packet())
            && let Some(frames) = self.introduction.take(&header, channel)
        {
            self.gop.precede(frames);
        }
    }

    /// Gives packets to all readers that do not wait.
    fn forward(&mut self, batch: &Batch, packets: &[MediaPacket], now: Instant) {
        self.needs_keyframe |= self.audience.forward(batch, packets, now, &mut self.metrics);
    }

    fn ask_if_due(&mut self, now: Instant) {
        let within = |at: Option<Instant>, time| at.is_some_and(|at| now.saturating_duration_since(at) < time);
        let asked = within(self.asked_keyframe, KEYFRAME_PATIENCE) || within(self.last_irap, KEYFRAME_SPACING);
        if self.takes_requests && self.needs_keyframe && !self.is_abandoned && !asked {
            self.asked_keyframe = Some(now);
            self.keyframe_request = true;
            self.wake_publisher();
        }
    }
}
