//! One live path: its publisher's packets, and the readers they go to.
//!
//! Packets are forwarded as they come, before the picture is whole. A reader who joins is given the current group of
//! pictures when that is young or is all there is; from a publisher that takes keyframe requests a fresh IRAP picture is
//! asked for instead, once for however many readers come together.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use hevcast_wire::rtp::{ReceivedPacket, RtcpEvent, interleave, rtcp};
use hevcast_wire::rtsp::message::Frame;
use hevcast_wire::rtsp::sdp::Description;
use hevcast_wire::time::Now;
use tokio::sync::Notify;

use super::continuity::Continuity;
use super::gop::GopCache;
use super::reader::Reader;

/// A group of pictures at most this old is sent to joiners even where a fresh keyframe could be asked for: its few
/// pictures are decoded sooner than a new one could come.
pub const YOUNG_GOP: Duration = Duration::from_millis(500);
/// A keyframe request that has brought nothing for this long is made again.
pub const KEYFRAME_PATIENCE: Duration = Duration::from_millis(500);

/// Least time between two keyframes that somebody asked for: one reader's requests are all readers' cost.
pub const KEYFRAME_SPACING: Duration = Duration::from_millis(250);
/// How often readers hear our own sender report where the publisher sends none (RFC 3550 section 6.2).
const REPORT_INTERVAL: Duration = Duration::from_secs(5);

/// A packet of a publisher.
#[derive(Clone, Debug)]
pub struct MediaPacket {
    /// Index of the track.
    pub track: usize,
    /// RTCP rather than RTP.
    pub rtcp: bool,
    /// The packet, framed as it came.
    pub frame: Frame,
}

/// A live path.
#[derive(Debug)]
pub struct Stream {
    path: String,
    hevc_track: Option<usize>,
    takes_requests: bool,
    inner: Mutex<Inner>,
    keyframe_wanted: Notify,
    resumed: Notify,
}

#[derive(Debug)]
struct Inner {
    description: Arc<Description>,
    /// Counts its publishers; the last one's claim is the stream's.
    publisher: u64,
    /// That one is lost, and its return is awaited.
    is_abandoned: bool,
    /// By track.
    continuity: Vec<Continuity>,
    readers: Vec<Attached>,
    gop: GopCache,
    /// By track: the last sender report.
    reports: Vec<Option<Report>>,
    asked_keyframe: Option<Instant>,
    /// A reader needs an IRAP picture, and none has begun since.
    needs_keyframe: bool,
    last_irap: Option<Instant>,
    ended: bool,
}

/// Why a publisher cannot take over a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotResumed {
    /// Its publisher is there.
    Live,
    /// It is lost, but its tracks were others.
    Different,
}

/// A sender report, framed.
#[derive(Clone, Debug)]
struct Report {
    framed: Bytes,
    /// When we made it; `None` where it is the publisher's own.
    made: Option<Instant>,
}

#[derive(Debug)]
struct Attached {
    reader: Arc<Reader>,
    /// Nothing is sent before an IRAP picture.
    waiting: bool,
}

impl Stream {
    pub(super) fn new(path: &str, description: Description) -> Stream {
        let hevc = description.hevc_track().map(|(index, track)| (index, track.keyframe_requests));
        let inner = Inner {
            publisher: 0,
            is_abandoned: false,
            continuity: description.tracks().iter().map(|track| Continuity::new(track.clock_rate_hz)).collect(),
            readers: Vec::new(),
            gop: GopCache::default(),
            reports: vec![None; description.tracks().len()],
            asked_keyframe: None,
            needs_keyframe: false,
            last_irap: None,
            ended: false,
            description: Arc::new(description),
        };
        Stream {
            path: path.to_owned(),
            hevc_track: hevc.map(|(index, _)| index),
            takes_requests: hevc.is_some_and(|(_, requests)| requests),
            inner: Mutex::new(inner),
            keyframe_wanted: Notify::new(),
            resumed: Notify::new(),
        }
    }

    /// The publisher is lost. Its readers stay, and see nothing before another publisher's first IRAP picture.
    pub(super) fn abandon(&self) {
        let mut inner = self.lock();
        inner.is_abandoned = true;
        inner.gop = GopCache::default();
        (inner.asked_keyframe, inner.last_irap) = (None, None);
        for attached in &mut inner.readers {
            attached.waiting = self.hevc_track.is_some();
        }
    }

    /// Takes over from a publisher that is lost, with the same tracks. The number of the new claim.
    pub(super) fn resume(&self, description: &Description) -> Result<u64, NotResumed> {
        let mut inner = self.lock();
        if !inner.is_abandoned {
            return Err(NotResumed::Live);
        }
        let (before, after) = (inner.description.tracks(), description.tracks());
        if before.len() != after.len() || !before.iter().zip(after).all(|(a, b)| a.is_like(b)) {
            return Err(NotResumed::Different);
        }
        inner.is_abandoned = false;
        inner.publisher += 1;
        inner.description = Arc::new(description.clone());
        // The publisher's own reports speak of time stamps that readers do not see: ours take their place.
        inner.reports.fill(None);
        inner.continuity.iter_mut().for_each(Continuity::resume);
        self.resumed.notify_one();
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

    /// Number of readers now.
    pub fn reader_count(&self) -> usize {
        self.lock().readers.len()
    }

    /// Forwards packets that arrived together.
    pub(super) fn push(&self, packets: &[MediaPacket], now: Now) {
        let mut inner = self.lock();
        let inner = &mut *inner;
        for packet in packets {
            self.forward(inner, packet, now);
        }
        inner.readers.retain(|attached| !attached.reader.is_gone());
        for attached in &inner.readers {
            attached.reader.wake();
        }
    }

    fn forward(&self, inner: &mut Inner, packet: &MediaPacket, now: Now) {
        let MediaPacket { track, rtcp: is_rtcp, frame } = packet;
        let packet = match inner.continuity.get_mut(*track) {
            // It speaks of time stamps that readers do not see.
            Some(continuity) if *is_rtcp && continuity.is_shifted() => return,
            Some(continuity) if !is_rtcp => {
                &MediaPacket { frame: continuity.forward(frame, now.instant), ..packet.clone() }
            }
            _ => packet,
        };
        let frame = &packet.frame;
        let framed = &frame.framed;
        let report = self.note_report(inner, packet, now);
        let now = now.instant;
        if !is_rtcp && self.hevc_track == Some(*track) && inner.gop.push(framed, frame.packet(), now) {
            (inner.asked_keyframe, inner.needs_keyframe, inner.last_irap) = (None, false, Some(now));
            self.release_waiting(inner, now);
        }
        let mut overran = false;
        for attached in inner.readers.iter_mut().filter(|attached| !attached.waiting) {
            if let Some(report) = &report {
                attached.reader.push(*track, true, report, now);
            }
            if !attached.reader.push(*track, *is_rtcp, framed, now) {
                attached.waiting = self.hevc_track.is_some();
                overran = true;
            }
        }
        inner.needs_keyframe |= overran;
        self.ask_if_due(inner, now);
    }

    /// Keeps what a joiner must hear before its first packet (RFC 3550 section 6.4.1): the publisher's last sender
    /// report or, where it sends none, our own of when its packets come. Returns a report of ours to pass on now.
    fn note_report(&self, inner: &mut Inner, packet: &MediaPacket, now: Now) -> Option<Bytes> {
        let MediaPacket { track, rtcp: is_rtcp, frame } = packet;
        let report = inner.reports.get_mut(*track)?;
        if *is_rtcp {
            let events = rtcp::parse(&frame.packet()).unwrap_or_default();
            if events.iter().any(|event| matches!(event, RtcpEvent::SenderReport { .. })) {
                *report = Some(Report { framed: frame.framed.clone(), made: None });
            }
            return None;
        }
        let is_due = match report {
            None => true,
            Some(Report { made, .. }) => {
                made.is_some_and(|at| now.instant.saturating_duration_since(at) >= REPORT_INTERVAL)
            }
        };
        if !is_due {
            return None;
        }
        let ReceivedPacket { header, .. } = ReceivedPacket::parse(frame.packet()).ok()?;
        let made = rtcp::sender_report(header.ssrc, now.utc.to_ntp(), header.timestamp, 0, 0, "hevcast");
        let framed = frame_rtcp(0, &made);
        *report = Some(Report { framed: framed.clone(), made: Some(now.instant) });
        Some(framed)
    }

    /// An IRAP picture has begun: those who waited get its packets so far, and the rest as it comes. The packet that
    /// showed it is the last in the cache and is about to be forwarded to all.
    fn release_waiting(&self, inner: &mut Inner, now: Instant) {
        let Some(track) = self.hevc_track else { return };
        let Some((_, earlier)) = inner.gop.packets().split_last() else { return };
        for attached in inner.readers.iter_mut().filter(|attached| attached.waiting) {
            attached.waiting = false;
            for framed in earlier {
                attached.reader.push_burst(track, false, framed, now);
            }
        }
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
        for (track, report) in inner.reports.iter().enumerate() {
            if let Some(report) = report {
                reader.push_burst(track, true, &report.framed, now);
            }
        }
        let mut waiting = false;
        if let Some(track) = self.hevc_track {
            let cached = inner.gop.age(now).is_some_and(|age| !self.takes_requests || age <= YOUNG_GOP);
            if cached {
                for framed in inner.gop.packets() {
                    reader.push_burst(track, false, framed, now);
                }
            } else {
                waiting = true;
                inner.needs_keyframe = true;
                self.ask_if_due(inner, now);
            }
        }
        reader.wake();
        inner.readers.push(Attached { reader, waiting });
    }

    /// Asks the publisher for an IRAP picture: at once, or when enough time has passed since the last.
    pub fn request_keyframe(&self, now: Instant) {
        let mut inner = self.lock();
        inner.needs_keyframe = true;
        self.ask_if_due(&mut inner, now);
    }

    fn ask_if_due(&self, inner: &mut Inner, now: Instant) {
        let within = |at: Option<Instant>, time| at.is_some_and(|at| now.saturating_duration_since(at) < time);
        let asked = within(inner.asked_keyframe, KEYFRAME_PATIENCE) || within(inner.last_irap, KEYFRAME_SPACING);
        if self.takes_requests && inner.needs_keyframe && !inner.is_abandoned && !asked {
            inner.asked_keyframe = Some(now);
            self.keyframe_wanted.notify_one();
        }
    }

    /// Waits until the publisher should be asked for a keyframe; yields the track and the SSRC to name.
    pub async fn keyframe_wanted(&self) -> (usize, u32) {
        self.keyframe_wanted.notified().await;
        let track = self.hevc_track.unwrap_or_default();
        (track, self.lock().continuity.get(track).map_or(0, Continuity::publishers_ssrc))
    }

    /// Tells all readers that it is over.
    pub(super) fn end(&self) {
        let mut inner = self.lock();
        inner.ended = true;
        for attached in inner.readers.drain(..) {
            attached.reader.end();
        }
    }
}

/// An RTCP packet in a frame of its own.
pub fn frame_rtcp(channel: u8, packet: &[u8]) -> Bytes {
    let mut framed = BytesMut::with_capacity(interleave::HEADER_LEN + packet.len());
    framed.put_slice(&interleave::frame_header(channel, packet.len() as u16));
    framed.put_slice(packet);
    framed.freeze()
}
