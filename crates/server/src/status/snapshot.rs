//! A server at one moment: the API's answer, and what the status page draws.
//!
//! The [`Sampler`] takes a snapshot once a second; rates are over the time since the last.

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

/// A server at one moment.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Snapshot {
    /// Version of the program.
    pub version: &'static str,
    /// When it was taken, ms since 1970.
    pub unix_ms: i64,
    /// How long the server has run, s.
    pub uptime_s: f64,
    /// Port on which RTSP is spoken, for those who want to publish.
    pub rtsp_port: u16,
    /// Connections open, of any kind.
    pub connections: usize,
    /// Live streams, by path.
    pub streams: Vec<StreamView>,
    /// Connections that neither publish nor read.
    pub others: Vec<SessionView>,
    /// The counters of what went wrong or was refused.
    pub counters: CountersView,
    /// The memory that peers make the server hold.
    pub memory: MemoryView,
}

/// The memory budget.
#[derive(Clone, Debug, Default, Serialize)]
pub struct MemoryView {
    /// `[limits] memory`, bytes.
    pub limit_bytes: u64,
    /// All that is reserved of it, bytes.
    pub reserved_bytes: u64,
    /// The same by what it is for.
    pub reserved: BTreeMap<&'static str, u64>,
    /// How often there was no room, by what it was needed for.
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

/// A live stream.
#[derive(Clone, Debug, Serialize)]
pub struct StreamView {
    /// Its path.
    pub path: String,
    /// Its tracks' encodings, such as `H265`.
    pub tracks: Vec<String>,
    /// Its publisher; none while the return of a lost one is awaited.
    pub publisher: Option<SessionView>,
    /// Publishers that it has had.
    pub publishers: u64,
    /// Bytes received so far, framing included.
    pub received_bytes: u64,
    /// Bits received a second, framing included.
    pub bitrate_bps: f64,
    /// Pictures a second (for sound: packets with a marker).
    pub frame_rate: f64,
    /// RTP packets received so far.
    pub packets: u64,
    /// Keyframes so far.
    pub keyframes: u64,
    /// RTP packets that its publishers left out.
    pub lost_packets: u64,
    /// Frames that were no RTP.
    pub bad_packets: u64,
    /// Packets given up for slow readers.
    pub dropped_packets: u64,
    /// How often that happened.
    pub jumps: u64,
    /// Its recording, if there is one.
    pub recording: Option<RecordingView>,
    /// Its readers.
    pub readers: Vec<SessionView>,
}

/// A connection.
#[derive(Clone, Debug, Serialize)]
pub struct SessionView {
    /// Its id, for `DELETE /api/v1/sessions/ID` and in the log.
    pub id: u64,
    /// The peer's address and port.
    pub peer: String,
    /// The user that logged in.
    pub user: Option<String>,
    /// It came by `rtsps://`.
    pub tls: bool,
    /// How long it has been open, s.
    pub age_s: f64,
    /// Bytes received from it.
    pub received_bytes: u64,
    /// Bytes sent to it.
    pub sent_bytes: u64,
    /// Bits a second, from a publisher or to a reader.
    pub bitrate_bps: f64,
    /// A reader's packets that wait.
    pub queued_packets: u64,
    /// A reader's packets given up.
    pub dropped_packets: u64,
    /// How often that happened: jumps that its viewer saw.
    pub jumps: u64,
}

/// The counters that belong to no stream.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CountersView {
    /// Connections accepted.
    pub accepted: u64,
    /// Connections refused, by reason.
    pub refused: BTreeMap<&'static str, u64>,
    /// Connections ended, by reason.
    pub ended: BTreeMap<&'static str, u64>,
    /// Requests refused, by RTSP status.
    pub refused_requests: BTreeMap<&'static str, u64>,
    /// Logins, by outcome.
    pub logins: BTreeMap<&'static str, u64>,
    /// HTTP connections closed by the server, by reason.
    pub http_closed: BTreeMap<&'static str, u64>,
    /// Frames on channels that belong to no track.
    pub stray_frames: u64,
}

/// Takes snapshots, and keeps of the last what rates are computed from.
#[derive(Debug, Default)]
pub struct Sampler {
    sampled_at: Option<Instant>,
    /// By connection: bytes that count for its rate.
    sessions: HashMap<u64, u64>,
    /// By path: bytes received and markers.
    streams: HashMap<String, (u64, u64)>,
}

impl Sampler {
    /// Takes a snapshot.
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

    fn stream(&self, stream: &Stream, passed: Option<f64>, seen: &mut HashMap<String, (u64, u64)>) -> StreamView {
        let metrics = stream.metrics();
        let before = self.streams.get(stream.path()).copied();
        seen.insert(stream.path().to_owned(), (metrics.received_bytes, metrics.markers));
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

/// The increase per second; 0 while that is not known.
fn rate(before: Option<u64>, now: u64, passed: Option<f64>) -> f64 {
    match (before, passed) {
        (Some(before), Some(passed)) if passed > 0.0 => now.saturating_sub(before) as f64 / passed,
        _ => 0.0,
    }
}
