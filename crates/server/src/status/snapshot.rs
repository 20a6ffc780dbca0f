//! A snapshot of the server at one moment: what the API returns and the status page shows.
//!
//! The [`Sampler`] takes a snapshot once a second. Rates are averages over the time since the last one.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::Ordering;
use std::time::Instant;

use hevcast_wire::time::Now;
use serde::Serialize;

use crate::budget::Usage;
use crate::hub::stream::Stream;
use crate::recordings::RecordingView;
use crate::sessions::{Session, SessionActivity};
use crate::state::State;

/// The state of the server at one moment. It is serialized as JSON by the API; `docs/metrics.md` documents its fields.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Snapshot {
    /// The version of the program, such as `0.1.0`.
    pub version: &'static str,
    /// When the snapshot was taken, in milliseconds since 1970 (UTC).
    pub unix_ms: i64,
    /// How long the server has been running, in seconds.
    pub uptime_s: f64,
    /// The TCP port on which RTSP listens, so that the page can show how to publish.
    pub rtsp_port: u16,
    /// How many RTSP connections are open, of publishers, readers and others.
    pub connections: usize,
    /// The live streams, sorted by path.
    pub streams: Vec<StreamView>,
    /// The connections that neither publish nor read.
    pub others: Vec<SessionView>,
    /// The counters of errors and refusals.
    pub counters: CountersView,
    /// The use of the memory budget.
    pub memory: MemoryView,
}

/// The use of the memory budget at one moment.
#[derive(Clone, Debug, Default, Serialize)]
pub struct MemoryView {
    /// The limit of the budget (`[limits] memory`), in bytes.
    pub limit_bytes: u64,
    /// The sum of all reservations, in bytes.
    pub reserved_bytes: u64,
    /// Reserved bytes by kind of memory.
    pub reserved: BTreeMap<&'static str, u64>,
    /// How many reservations were refused, by kind of memory.
    pub refused: BTreeMap<&'static str, u64>,
}

impl From<Usage> for MemoryView {
    fn from(usage: Usage) -> MemoryView {
        MemoryView {
            limit_bytes: usage.limit_bytes,
            reserved_bytes: usage.used_bytes,
            reserved: usage.kinds.iter().map(|(kind, bytes, _)| (kind.name(), *bytes)).collect(),
            refused: usage.kinds.iter().map(|(kind, _, refused)| (kind.name(), *refused)).collect(),
        }
    }
}

/// A live stream at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct StreamView {
    /// The path at which the stream is published and read.
    pub path: String,
    /// The encoding of each track by its SDP name, such as `H265`.
    pub tracks: Vec<String>,
    /// The publisher's connection; `None` while the return of a lost publisher is awaited.
    pub publisher: Option<SessionView>,
    /// How many publishers the stream has had, the present one included.
    pub publishers: u64,
    /// Bytes received from publishers so far, framing included.
    pub received_bytes: u64,
    /// Bits received per second, framing included.
    pub bitrate_bps: f64,
    /// Pictures per second, counted by RTP markers; audio packets with a marker count, too.
    pub frame_rate: f64,
    /// RTP packets received so far, over all tracks.
    pub packets: u64,
    /// Keyframes (random access pictures) received so far.
    pub keyframes: u64,
    /// RTP packets missing by their sequence numbers, which the publishers left out.
    pub lost_packets: u64,
    /// Frames on RTP channels that were not RTP packets.
    pub bad_packets: u64,
    /// Packets discarded from the queues of readers that were too slow.
    pub dropped_packets: u64,
    /// How often a reader's queue was emptied because it was past a bound.
    pub jumps: u64,
    /// The state of the stream's recording; `None` where it is not recorded.
    pub recording: Option<RecordingView>,
    /// The connections of the stream's readers.
    pub readers: Vec<SessionView>,
}

/// An RTSP connection at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct SessionView {
    /// The connection's id, as in the log and for `DELETE /api/v1/sessions/ID`.
    pub id: u64,
    /// The address and port of the peer, as text.
    pub peer: String,
    /// The name of the user that logged in; `None` without a login.
    pub user: Option<String>,
    /// Whether the connection is under TLS (`rtsps://`).
    pub tls: bool,
    /// How long the connection has been open, in seconds.
    pub age_s: f64,
    /// Bytes received from the peer so far.
    pub received_bytes: u64,
    /// Bytes sent to the peer so far.
    pub sent_bytes: u64,
    /// Bits per second, received from a publisher or sent to a reader.
    pub bitrate_bps: f64,
    /// Packets in the reader's queue; 0 for other connections.
    pub queued_packets: u64,
    /// Packets discarded from the reader's queue so far; 0 for other connections.
    pub dropped_packets: u64,
    /// How often the reader's queue was emptied; the viewer saw a jump each time.
    pub jumps: u64,
}

/// The values of the [counters](crate::counters::Counters) that belong to no stream.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CountersView {
    /// RTSP connections accepted since the server started.
    pub accepted: u64,
    /// RTSP connections refused, by the reasons of [`Counters::refused`](crate::counters::Counters::refused).
    pub refused: BTreeMap<&'static str, u64>,
    /// RTSP connections ended, by [`CloseReason::kind`](crate::rtsp::close_reason::CloseReason::kind).
    pub ended: BTreeMap<&'static str, u64>,
    /// RTSP requests refused, by status code.
    pub refused_requests: BTreeMap<&'static str, u64>,
    /// Logins over RTSP and HTTP, by outcome.
    pub logins: BTreeMap<&'static str, u64>,
    /// HTTP connections closed by the server, by reason.
    pub http_closed: BTreeMap<&'static str, u64>,
    /// Interleaved frames on channels that belong to no track.
    pub stray_frames: u64,
}

/// Takes snapshots. It keeps the values of the last one from which rates are computed.
#[derive(Debug, Default)]
pub struct Sampler {
    sampled_at: Option<Instant>,
    /// By connection: the bytes of which its rate is computed.
    sessions: HashMap<u64, u64>,
    /// By path: bytes received and RTP markers.
    streams: HashMap<String, (u64, u64)>,
}

impl Sampler {
    /// Takes a snapshot of the server at the time `now`.
    pub fn sample(&mut self, state: &State, now: Now) -> Snapshot {
        let passed = self.sampled_at.map(|at| now.instant.saturating_duration_since(at).as_secs_f64());
        self.sampled_at = Some(now.instant);
        let all = state.sessions.all();
        let (mut publishers, mut readers) = (HashMap::new(), HashMap::<String, Vec<SessionView>>::new());
        let (mut others, mut bytes) = (Vec::new(), HashMap::new());
        for session in &all {
            let activity = session.activity();
            let (view, moved) = self.session(session, &activity, now.instant, passed);
            bytes.insert(session.id, moved);
            match activity {
                SessionActivity::Publishing(path) => drop(publishers.insert(path, view)),
                SessionActivity::Reading(path, _) => readers.entry(path).or_default().push(view),
                SessionActivity::Idle => others.push(view),
            }
        }
        self.sessions = bytes;
        let mut counted = HashMap::new();
        let mut streams = Vec::new();
        for stream in state.hub.streams() {
            let mut view = self.stream(&stream, passed, &mut counted);
            view.publisher = publishers.remove(&view.path);
            view.recording = state.recordings.of(&view.path);
            view.readers = readers.remove(&view.path).unwrap_or_default();
            streams.push(view);
        }
        self.streams = counted;
        let counters = &state.counters;
        Snapshot {
            version: env!("CARGO_PKG_VERSION"),
            unix_ms: now.utc.0 / 1000,
            uptime_s: now.instant.saturating_duration_since(state.started).as_secs_f64(),
            rtsp_port: state.rtsp_port,
            connections: all.len(),
            streams,
            others,
            counters: CountersView {
                accepted: counters.accepted.get(),
                refused: counters.refused.all(),
                ended: counters.ended.all(),
                refused_requests: counters.refused_requests.all(),
                logins: counters.logins.all(),
                http_closed: counters.http_closed.all(),
                stray_frames: counters.stray_frames.get(),
            },
            memory: state.budget.usage().into(),
        }
    }

    fn session(
        &self,
        session: &Session,
        activity: &SessionActivity,
        now: Instant,
        passed: Option<f64>,
    ) -> (SessionView, u64) {
        let received_bytes = session.received_bytes.load(Ordering::Relaxed);
        let mut sent_bytes = session.sent_bytes.load(Ordering::Relaxed);
        let mut queue = None;
        if let SessionActivity::Reading(_, reader) = activity {
            sent_bytes += reader.sent_bytes();
            queue = Some(reader.metrics());
        }
        let moved = if matches!(activity, SessionActivity::Publishing(_)) { received_bytes } else { sent_bytes };
        let before = self.sessions.get(&session.id).copied();
        let queue = queue.unwrap_or_default();
        let view = SessionView {
            id: session.id,
            peer: session.peer.to_string(),
            user: session.user(),
            tls: session.tls,
            age_s: now.saturating_duration_since(session.since).as_secs_f64(),
            received_bytes,
            sent_bytes,
            bitrate_bps: rate(before, moved, passed) * 8.0,
            queued_packets: queue.depth,
            dropped_packets: queue.dropped_packets,
            jumps: queue.jumps,
        };
        (view, moved)
    }

    fn stream(&self, stream: &Stream, passed: Option<f64>, counted: &mut HashMap<String, (u64, u64)>) -> StreamView {
        let metrics = stream.metrics();
        let before = self.streams.get(stream.path()).copied();
        counted.insert(stream.path().to_owned(), (metrics.received_bytes, metrics.markers));
        StreamView {
            path: stream.path().to_owned(),
            tracks: stream.description().tracks().iter().map(|track| track.encoding.clone()).collect(),
            publisher: None,
            publishers: metrics.publishers,
            received_bytes: metrics.received_bytes,
            bitrate_bps: rate(before.map(|(bytes, _)| bytes), metrics.received_bytes, passed) * 8.0,
            frame_rate: rate(before.map(|(_, markers)| markers), metrics.markers, passed),
            packets: metrics.packets,
            keyframes: metrics.keyframes,
            lost_packets: metrics.lost_packets,
            bad_packets: metrics.bad_packets,
            dropped_packets: metrics.dropped_packets,
            jumps: metrics.jumps,
            recording: None,
            readers: Vec::new(),
        }
    }
}

/// The increase from `before` to `now` per second; 0 while there is no earlier value.
fn rate(before: Option<u64>, now: u64, passed: Option<f64>) -> f64 {
    match (before, passed) {
        (Some(before), Some(passed)) if passed > 0.0 => now.saturating_sub(before) as f64 / passed,
        _ => 0.0,
    }
}
