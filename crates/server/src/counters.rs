//! Counters of errors and refusals, by kind. `docs/metrics.md` documents each.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// One counter for each kind. Kinds are constants of this program and never come from a peer, so that their number is
/// bounded.
#[derive(Debug, Default)]
pub struct CounterByKind {
    counts: Mutex<BTreeMap<&'static str, u64>>,
}

impl CounterByKind {
    /// Adds 1 to the counter of this kind.
    pub fn increment(&self, kind: &'static str) {
        *self.counts.lock().entry(kind).or_default() += 1;
    }

    /// The counters of all kinds that were counted at least once.
    pub fn all(&self) -> BTreeMap<&'static str, u64> {
        self.counts.lock().clone()
    }
}

/// A counter that many tasks can increase without a lock.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `more` to the counter; it never decreases.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// The sum of everything that was added so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The server's counters that belong to no stream.
#[derive(Debug, Default)]
pub struct Counters {
    /// RTSP connections accepted, including those that are refused afterwards.
    pub accepted: Counter,
    /// RTSP connections refused, by reason: `full`, `address_full`, `tls`, `descriptors`, `memory`.
    pub refused: CounterByKind,
    /// RTSP connections ended, by the kind of their [`CloseReason`](crate::rtsp::close_reason::CloseReason).
    pub ended: CounterByKind,
    /// RTSP requests refused, by status code.
    pub refused_requests: CounterByKind,
    /// Logins by outcome: `right`, `wrong`, `repeated` (a password known to be wrong), `crowded` (not checked, since
    /// too many waited).
    pub logins: CounterByKind,
    /// HTTP connections that the server closed, by reason: `idle`, `slow`, `unread`, `displaced`.
    pub http_closed: CounterByKind,
    /// Interleaved frames on channels that belong to no track.
    pub stray_frames: Counter,
}

/// The kind under which a refusal with this RTSP status code is counted.
pub fn status_kind(status: u16) -> &'static str {
    match status {
        400 => "400",
        401 => "401",
        403 => "403",
        404 => "404",
        414 => "414",
        453 => "453",
        454 => "454",
        455 => "455",
        459 => "459",
        461 => "461",
        500 => "500",
        501 => "501",
        503 => "503",
        505 => "505",
        _ => "other",
    }
}
