//! Counters of what went wrong or was refused, by kind; `docs/metrics.md` names each.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// A counter for each kind. Kinds are words of this program, never a peer's, so that there are few.
#[derive(Debug, Default)]
pub struct CounterByKind {
    counts: Mutex<BTreeMap<&'static str, u64>>,
}

impl CounterByKind {
    /// Counts one more.
    pub fn increment(&self, kind: &'static str) {
        *self.counts.lock().entry(kind).or_default() += 1;
    }

    /// The counters of all kinds that have happened.
    pub fn all(&self) -> BTreeMap<&'static str, u64> {
        self.counts.lock().clone()
    }
}

/// A counter.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Counts so many more.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// The count so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The server's counters that belong to no stream.
#[derive(Debug, Default)]
pub struct Counters {
    /// Connections accepted.
    pub accepted: Counter,
    /// Connections refused: `full`, `address_full`, `tls`, `descriptors`.
    pub refused: CounterByKind,
    /// Connections ended, by the kind of their `CloseReason`.
    pub ended: CounterByKind,
    /// Requests refused, by status code.
    pub refused_requests: CounterByKind,
    /// Logins: `right`, `wrong`, `repeated`, `crowded`.
    pub logins: CounterByKind,
    /// HTTP connections closed by us: `idle`, `slow`, `unread`, `displaced`.
    pub http_closed: CounterByKind,
    /// Frames on channels that belong to no track.
    pub stray_frames: Counter,
}

/// A status code as a kind.
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
