//! A live stream: it forwards its publisher's packets to its readers.
//!
//! A [`Stream`] is composed of parts with one task each: which publisher holds it (`PublisherSlot`) and what it
//! announced (`Announcement`), how packets are rewritten when the publisher was another before (`Timelines`,
//! `ParameterSetInjector`), what joiners get ([`GopCache`], `SenderReports`), the readers (`Readers`), and what is
//! requested of the publisher (`KeyframeRequester`, `RateRequester`). Packets are forwarded as they come, before their
//! picture is complete.

mod accessors;

use parking_lot::{Mutex, MutexGuard};
use std::sync::{Arc, Once};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hevcast_wire::rtsp::sdp::Description;
use hevcast_wire::time::Now;
use tokio::sync::Notify;

use super::announcement::Announcement;
use super::batch::{Batch, MediaPacket};
use super::deliveries::Deliveries;
use super::gop::{self, GopCache};
use super::keyframe_requester::KeyframeRequester;
pub use super::keyframe_requester::{KEYFRAME_FOR_SILENT, KEYFRAME_REQUEST_TIMEOUT, KEYFRAME_SPACING};
use super::metrics::StreamMetrics;
use super::owner::Owner;
use super::parameter_set_injector::ParameterSetInjector;
pub use super::publisher_slot::{PublisherRequest, SILENCE};
use super::publisher_slot::{PublisherSlot, ResumeError};
use super::rate_requester::RateRequester;
use super::reader::Reader;
use super::readers::{JoinSource, Readers};
use super::sender_reports::SenderReports;
use super::timeline_rewriter::Timelines;
use crate::budget::{Budget, Reservation};

/// A cached group of pictures that is at most this old is sent to joiners even where a new keyframe could be requested:
/// its few pictures are decoded sooner than a new keyframe could arrive.
pub const YOUNG_GOP: Duration = Duration::from_millis(500);

/// A live stream with its publisher and its readers. All methods are safe for concurrent use.
#[derive(Debug)]
pub struct Stream {
    path: String,
    owner: Owner,
    /// The stream's number among the hub's, in the order in which streams began.
    number: u64,
    budget: Arc<Budget>,
    inner: Mutex<Inner>,
    /// Notified when another publisher has continued the stream of one that was lost.
    resumed: Notify,
    /// Makes the warning that the group of pictures is too long to be cached appear once.
    long_group_warning: Once,
}

#[derive(Debug)]
struct Inner {
    publisher: PublisherSlot,
    announcement: Announcement,
    timelines: Timelines,
    injector: ParameterSetInjector,
    group: GopCache,
    reports: SenderReports,
    readers: Readers,
    keyframes: KeyframeRequester,
    rate: RateRequester,
    metrics: StreamMetrics,
    is_ended: bool,
}

impl Stream {
    /// A new stream, whose publisher holds the slot as publication 0. `reservation` is that of the description.
    pub(super) fn new(path: &str, announced: Description, reservation: Reservation, budget: &Arc<Budget>) -> Stream {
        let announcement = Announcement::new(announced, reservation);
        let description = announcement.description();
        let inner = Inner {
            publisher: PublisherSlot::default(),
            timelines: Timelines::new(description.tracks().iter().map(|track| track.clock_rate_hz)),
            injector: ParameterSetInjector::default(),
            group: GopCache::new(budget, announcement.parameter_sets(), description.video_format()),
            reports: SenderReports::new(description.tracks().len()),
            readers: Readers::new(announcement.video_track(), budget),
            keyframes: KeyframeRequester::new(announcement.takes_keyframe_requests()),
            rate: RateRequester::new(announcement.takes_rate_requests()),
            metrics: StreamMetrics::default(),
            is_ended: false,
            announcement,
        };
        Stream {
            path: path.to_owned(),
            owner: Owner::default(),
            number: 0,
            budget: Arc::clone(budget),
            inner: Mutex::new(inner),
            resumed: Notify::new(),
            long_group_warning: Once::new(),
        }
    }

    /// The same stream, with its owner and its number among the hub's.
    pub(super) fn of_owner(self, owner: Owner, number: u64) -> Stream {
        Stream { owner, number, ..self }
    }

    /// Records that this publication's connection is lost. The readers stay, and get nothing before another publisher's
    /// first keyframe.
    pub(super) fn abandon(&self, publication: u64) {
        let mut inner = self.lock();
        if inner.publisher.abandon(publication) {
            inner.interrupt();
        }
    }

    /// Lets another publisher with the same tracks continue the stream of one that is lost or, with `takeover`, of one
    /// that is connected. Returns the number of its publication.
    ///
    /// # Errors
    /// [`ResumeError`] with the unused reservation.
    pub(super) fn resume(
        &self,
        description: &Description,
        takeover: bool,
        reservation: Reservation,
    ) -> Result<u64, (ResumeError, Reservation)> {
        let mut inner = self.lock();
        if !inner.publisher.is_free(takeover) {
            return Err((ResumeError::Occupied, reservation));
        }
        if !inner.announcement.is_continued_by(description) {
            return Err((ResumeError::DifferentTracks, reservation));
        }
        inner.interrupt();
        let was_abandoned = inner.publisher.is_abandoned();
        let publication = inner.publisher.resume();
        inner.announce(Announcement::new(description.clone(), reservation), &self.budget);
        if was_abandoned {
            self.resumed.notify_one();
        }
        Ok(publication)
    }

    /// Waits until another publisher has continued the stream of one that was lost.
    pub(super) async fn resumed(&self) {
        self.resumed.notified().await;
    }

    /// Whether the publication with this number holds the stream.
    pub(super) fn is_published_by(&self, publication: u64) -> bool {
        self.lock().publisher.is_held_by(publication)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }

    /// Forwards packets that arrived together. The caller must [deliver](Deliveries::deliver) what is returned, now
    /// that no lock is held.
    pub(super) fn push(&self, publication: u64, batch: &Batch, now: Now) -> Deliveries {
        let mut inner = self.lock();
        let inner = &mut *inner;
        if !inner.publisher.is_held_by(publication) {
            return Deliveries::default();
        }
        inner.metrics.count(batch);
        inner.publisher.touch(now.instant);
        let rewritten = inner.timelines.rewrite(batch, now.instant);
        let batch = rewritten.as_ref().unwrap_or(batch);
        let packets = batch.packets();
        let video_track = inner.announcement.video_track();
        // Packets are forwarded in contiguous runs, which are cut where waiting readers begin and where the hub inserts
        // a sender report.
        let mut sent = 0;
        for (at, packet) in packets.iter().enumerate() {
            if let Some(report) = inner.reports.update(batch, packet, now) {
                inner.forward(batch, &packets[sent..at], now.instant);
                sent = at;
                if inner.readers.send_report(packet.track, &report, now.instant, &mut inner.metrics) {
                    inner.keyframes.request();
                }
            }
            if packet.rtcp || video_track != Some(packet.track) {
                continue;
            }
            let stored = batch.stored(packet);
            if inner.group.begins_irap(batch.packet(packet), stored, now.instant) {
                if inner.readers.may_begin() {
                    inner.forward(batch, &packets[sent..at], now.instant);
                    sent = at;
                }
                inner.keyframe_began(packet.track, stored, now.instant);
            }
            if !inner.group.keep(stored) {
                self.warn_of_long_group();
            }
        }
        inner.forward(batch, &packets[sent..], now.instant);
        inner.update_keyframe_request(now.instant);
        let (readers, published_bytes) = (&inner.readers, inner.metrics.received_bytes);
        let limit_of = |mean_bps| readers.limit_bps(mean_bps, now.instant);
        if inner.rate.update(published_bytes, now.instant, limit_of) {
            inner.publisher.wake();
        }
        inner.readers.take_deliveries()
    }

    fn warn_of_long_group(&self) {
        self.long_group_warning.call_once(|| {
            let mib = gop::MAX_BYTES >> 20;
            tracing::warn!(
                "{}: its group of pictures is longer than {mib} MiB and not kept: who joins waits for the next \
                 keyframe; let its sender make them more often",
                self.path
            );
        });
    }

    /// Removes a reader, and with it the reference to its socket. That cannot be left to the next packet, which may
    /// never come. Only for the task that owns the writing to [its socket](super::write_permit::WritePermit::Granted),
    /// and keeps it.
    pub fn leave(&self, reader: &Arc<Reader>) {
        self.lock().readers.leave(reader);
    }

    /// Adds a reader. The packets that it begins with are queued before this returns, or a keyframe is requested of the
    /// publisher.
    pub fn join(&self, reader: Arc<Reader>, now: Now) {
        let now = now.instant;
        let mut inner = self.lock();
        let inner = &mut *inner;
        if inner.is_ended {
            reader.end();
            return;
        }
        // Where no keyframe can be requested soon, an older group is better than waiting.
        let is_young = |age| age <= YOUNG_GOP || !inner.keyframes.can_request(now);
        let is_usable = inner.group.age(now).is_some_and(is_young);
        let source = JoinSource { reports: &inner.reports, group: is_usable.then_some(&mut inner.group) };
        if inner.readers.join(reader, source, now) {
            inner.keyframes.request();
            inner.update_keyframe_request(now);
        }
    }

    /// Requests a keyframe (random access picture) of the publisher: at once, or when enough time has passed since the
    /// last one.
    pub fn request_keyframe(&self, now: Instant) {
        let mut inner = self.lock();
        inner.keyframes.request();
        inner.update_keyframe_request(now);
    }

    /// Handles a reader's keyframe request (PLI or FIR). Its first request takes effect at once, further ones once per
    /// second.
    pub fn reader_requests_keyframe(&self, reader: &Reader, now: Instant) {
        let due = reader.keyframe_request_due(now);
        let mut inner = self.lock();
        inner.keyframes.request_at(due);
        inner.update_keyframe_request(now);
    }

    /// Takes the next request to the publisher. Pending while there is none; the task is woken when there is one.
    pub(super) fn poll_request(&self, publication: u64, cx: &mut Context<'_>) -> Poll<PublisherRequest> {
        let mut inner = self.lock();
        if !inner.publisher.is_held_by(publication) || inner.is_ended {
            return Poll::Ready(PublisherRequest::Leave);
        }
        let track = inner.announcement.video_track().unwrap_or_default();
        let ssrc = inner.timelines.publisher_ssrc(track);
        if inner.keyframes.take_request() {
            return Poll::Ready(PublisherRequest::Keyframe { track, ssrc });
        }
        if let Some(bits_per_s) = inner.rate.take_request() {
            return Poll::Ready(PublisherRequest::Limit { track, ssrc, bits_per_s });
        }
        inner.publisher.set_waker(cx);
        Poll::Pending
    }

    /// Ends the stream; all readers' tasks learn it once they have taken what is queued.
    pub(super) fn end(&self) {
        let mut inner = self.lock();
        inner.is_ended = true;
        inner.interrupt();
        inner.readers.end();
    }
}

impl Inner {
    /// Puts parameter sets that came in band into the description.
    fn update_announcement(&mut self) {
        if let (Some(track), Some(sets)) = (self.announcement.video_track(), self.group.new_parameter_sets()) {
            self.announcement.set_parameter_sets(track, sets);
        }
    }

    /// Prepares for packets that do not continue those before: readers wait for a keyframe, and open requests to the
    /// publisher are dropped.
    fn interrupt(&mut self) {
        self.group.give_up();
        self.keyframes.publisher_changed();
        self.rate = RateRequester::new(self.announcement.takes_rate_requests());
        self.readers.wait_for_keyframe();
        self.publisher.wake();
    }

    /// Adapts to another publisher with the same tracks, which begins with this announcement.
    fn announce(&mut self, announcement: Announcement, budget: &Arc<Budget>) {
        let format = announcement.description().video_format();
        self.group = GopCache::new(budget, announcement.parameter_sets(), format);
        self.rate = RateRequester::new(announcement.takes_rate_requests());
        self.reports.clear();
        self.injector = ParameterSetInjector::new(announcement.parameter_sets());
        let (reserved, video_track) = (self.injector.len(), announcement.video_track());
        self.timelines.resume(|track| if Some(track) == video_track { reserved } else { 0 });
        self.announcement = announcement;
    }

    /// Handles the beginning of a keyframe of this track, recognised by this stored packet: readers that waited for it
    /// begin.
    fn keyframe_began(&mut self, track: usize, stored: &[u8], now: Instant) {
        self.keyframes.keyframe_began(now);
        if !self.injector.is_empty()
            && let Some(frames) = self.injector.take(self.group.first(stored))
        {
            self.group.precede(&frames);
        }
        self.readers.keyframe_began(&mut self.group, track, now);
        self.metrics.keyframes += 1;
    }

    /// Forwards packets to all readers that do not wait for a keyframe.
    fn forward(&mut self, batch: &Batch, packets: &[MediaPacket], now: Instant) {
        if self.readers.forward(batch, packets, now, &mut self.metrics) {
            self.keyframes.request();
        }
    }

    /// Wakes the publisher's task if a keyframe is to be requested of the publisher now.
    fn update_keyframe_request(&mut self, now: Instant) {
        let readers = &self.readers;
        if !self.publisher.is_abandoned() && self.keyframes.update(now, || readers.has_silent_reader()) {
            self.publisher.wake();
        }
    }
}
