//! One live path: its publisher's packets, and the readers they go to.
//!
//! Packets are forwarded as they come, before the picture is whole. A reader who joins is given the current group of
//! pictures when that is young or is all there is; from a publisher that takes keyframe requests a fresh IRAP picture is
//! asked for instead, once for however many readers come together.

mod seen;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hevcast_wire::rtsp::sdp::Description;
use hevcast_wire::time::Now;
use hevcast_wire::{CodecId, ParameterSets};
use tokio::sync::Notify;

use super::audience::Audience;
use super::batch::{Batch, MediaPacket};
use super::continuity::Continuity;
use super::delivery::Deliveries;
use super::gop::{self, GopCache};
use super::introduction::Introduction;
use super::metrics::StreamMetrics;
use super::pacing::Pacing;
use super::publisher::NotResumed;
pub use super::publisher::PublisherRequest;
use super::reader::Reader;
use super::reports::Reports;
use super::wishes::Wishes;
pub use super::wishes::{KEYFRAME_FOR_SILENT, KEYFRAME_PATIENCE, KEYFRAME_SPACING};
use crate::budget::{Budget, Reservation};
use crate::doors::owner::Owner;

/// A group of pictures at most this old is sent to joiners even where a fresh keyframe could be asked for: its few
/// pictures are decoded sooner than a new one could come.
pub const YOUNG_GOP: Duration = Duration::from_millis(500);
/// A publisher that has sent nothing for so long gives its path to another who may have it: its connection may be half
/// open, which TCP tells after minutes.
pub const SILENCE: Duration = Duration::from_secs(10);

/// A live path.
#[derive(Debug)]
pub struct Stream {
    path: String,
    owner: Owner,
    /// Which of the hub's streams it is, in the order in which they came.
    number: u64,
    inner: Mutex<Inner>,
    resumed: Notify,
}

#[derive(Debug)]
struct Inner {
    budget: Arc<Budget>,
    /// What the description takes.
    room: Reservation,
    description: Arc<Description>,
    /// The same as readers get it, written once.
    for_readers: Bytes,
    hevc_track: Option<usize>,
    wishes: Wishes,
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
    /// The publisher takes limits.
    takes_limits: bool,
    pacing: Pacing,
    /// A limit that it has not been told yet.
    limit_request: Option<u64>,
    /// The publisher's connection.
    waker: Option<Waker>,
    /// When packets came last.
    heard: Option<Instant>,
    ended: bool,
    /// That its group of pictures is too long to be kept has been said.
    said_too_long: bool,
    metrics: StreamMetrics,
}

impl Stream {
    pub(super) fn new(path: &str, description: Description, room: Reservation, budget: &Arc<Budget>) -> Stream {
        let hevc = description.hevc_track().map(|(index, track)| (index, track.keyframe_requests));
        let takes_limits = description.hevc_track().is_some_and(|(_, track)| track.rate_requests);
        let inner = Inner {
            publisher: 0,
            is_abandoned: false,
            continuity: description.tracks().iter().map(|track| Continuity::new(track.clock_rate_hz)).collect(),
            audience: Audience::new(hevc.map(|(index, _)| index), budget),
            introduction: Introduction::default(),
            gop: GopCache::new(budget, sets_of(&description), description.hevc_format()),
            reports: Reports::new(description.tracks().len()),
            takes_limits,
            pacing: Pacing::default(),
            limit_request: None,
            waker: None,
            hevc_track: hevc.map(|(index, _)| index),
            wishes: Wishes::new(hevc.is_some_and(|(_, requests)| requests)),
            heard: None,
            ended: false,
            said_too_long: false,
            metrics: StreamMetrics::default(),
            for_readers: description.for_readers(),
            description: Arc::new(description),
            budget: Arc::clone(budget),
            room,
        };
        let (owner, inner) = (Owner::default(), Mutex::new(inner));
        Stream { path: path.to_owned(), owner, number: 0, inner, resumed: Notify::new() }
    }

    /// The same, published by this owner as the hub's stream of this number.
    pub(super) fn of_owner(self, owner: Owner, number: u64) -> Stream {
        Stream { owner, number, ..self }
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
    pub(super) fn resume(
        &self,
        description: &Description,
        takeover: bool,
        room: Reservation,
    ) -> Result<u64, (NotResumed, Reservation)> {
        let mut inner = self.lock();
        if !inner.is_abandoned && !takeover {
            return Err((NotResumed::Live, room));
        }
        let (before, after) = (inner.description.tracks(), description.tracks());
        if before.len() != after.len() || !before.iter().zip(after).all(|(a, b)| a.is_like(b)) {
            return Err((NotResumed::Different, room));
        }
        inner.interrupt();
        inner.room = room;
        inner.gop = GopCache::new(&inner.budget, sets_of(description), description.hevc_format());
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

    /// Forwards packets that arrived together. What can be written at once is the caller's to [deliver](Deliveries), now
    /// that no lock is held.
    pub(super) fn push(&self, publisher: u64, batch: &Batch, now: Now) -> Deliveries {
        let mut inner = self.lock();
        let inner = &mut *inner;
        if inner.publisher != publisher {
            return Deliveries::default();
        }
        inner.metrics.count(batch);
        inner.heard = Some(now.instant);
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
                if inner.audience.send_report(packet.track, &report, now.instant, metrics) {
                    inner.wishes.need();
                }
            }
            if packet.rtcp || inner.hevc_track != Some(packet.track) {
                continue;
            }
            let framed = batch.framed(packet);
            if inner.gop.begins_irap(batch.packet(packet), framed, now.instant) {
                inner.forward(batch, &packets[sent..at], now.instant);
                sent = at;
                inner.wishes.irap(now.instant);
                inner.introduce(framed);
                inner.audience.release(&mut inner.gop, packet.track, now.instant);
                inner.metrics.keyframes += 1;
            }
            if !inner.gop.keep(framed) && !std::mem::replace(&mut inner.said_too_long, true) {
                let mib = gop::MAX_BYTES >> 20;
                tracing::warn!(
                    "{}: its group of pictures is longer than {mib} MiB and not kept: who joins waits for the next \
                     keyframe; let its sender make them more often",
                    self.path
                );
            }
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
        let (reports, channels) = (&inner.reports, reader.channels().iter().enumerate());
        let reports = channels.filter_map(|(track, channels)| Some(reports.last(track)?.framed((*channels)?)));
        let mut waiting = !reader.push_burst(reports, &inner.budget, now) && inner.hevc_track.is_some();
        if let Some(track) = inner.hevc_track {
            // Where no keyframe can be had soon, an older group is better than none.
            let is_young = |age| age <= YOUNG_GOP || !inner.wishes.may_ask(now);
            if inner.gop.age(now).is_some_and(is_young) && !waiting {
                waiting = !inner.gop.send_to(&reader, track, true, now);
            } else {
                waiting = true;
                inner.wishes.need();
                inner.ask_if_due(now);
            }
        }
        reader.wake();
        inner.audience.join(reader, waiting);
    }

    /// Asks the publisher for an IRAP picture: at once, or when enough time has passed since the last.
    pub fn request_keyframe(&self, now: Instant) {
        let mut inner = self.lock();
        inner.wishes.need();
        inner.ask_if_due(now);
    }

    /// A reader asks for an IRAP picture. Its first wish counts at once, further ones once a second.
    pub fn reader_asks(&self, reader: &Reader, now: Instant) {
        let due = reader.asks(now);
        let mut inner = self.lock();
        inner.wishes.need_at(due);
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
        if inner.wishes.take_request() {
            return Poll::Ready(PublisherRequest::Keyframe { track, ssrc });
        }
        if let Some(bits_per_s) = inner.limit_request.take() {
            return Poll::Ready(PublisherRequest::Limit { track, ssrc, bits_per_s });
        }
        inner.waker = Some(cx.waker().clone());
        Poll::Pending
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
    /// Puts parameter sets that came in band into the description.
    fn take_news_of_sets(&mut self) {
        if let (Some(track), Some(sets)) = (self.hevc_track, self.gop.news_of_sets()) {
            self.description = Arc::new(self.description.with_parameter_sets(track, sets));
            self.for_readers = self.description.for_readers();
        }
    }

    /// What comes next is not the sequence that was: readers wait for an IRAP picture, the publisher has to look up.
    fn interrupt(&mut self) {
        self.gop.give_up();
        self.wishes.interrupt();
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
    fn introduce(&mut self, frame: &[u8]) {
        if !self.introduction.is_empty()
            && let Some(frames) = self.introduction.take(self.gop.first(frame))
        {
            self.gop.precede(&frames);
        }
    }

    /// Gives packets to all readers that do not wait.
    fn forward(&mut self, batch: &Batch, packets: &[MediaPacket], now: Instant) {
        if self.audience.forward(batch, packets, now, &mut self.metrics) {
            self.wishes.need();
        }
    }

    fn ask_if_due(&mut self, now: Instant) {
        let Inner { wishes, audience, is_abandoned, .. } = self;
        if !*is_abandoned && wishes.is_due(now, || audience.has_silent()) {
            self.wake_publisher();
        }
    }
}

/// The parameter sets that a description names.
fn sets_of(description: &Description) -> &ParameterSets {
    static NONE: ParameterSets = ParameterSets::new(CodecId::H265);
    description.hevc_track().map_or(&NONE, |(_, track)| &track.parameter_sets)
}
