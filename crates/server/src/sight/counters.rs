//! What went wrong, or was not let in, counted by its kind: `docs/metrics.md` names each.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Counted by kind. A kind is a word of ours, never a peer's: there are only so many.
#[derive(Debug, Default)]
pub struct ByKind {
    counts: Mutex<BTreeMap<&'static str, u64>>,
}

impl ByKind {
    /// One more.
    pub fn count(&self, kind: &'static str) {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner).entry(kind).or_default() += 1;
    }

    /// All kinds that have happened.
    pub fn all(&self) -> BTreeMap<&'static str, u64> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A plain count.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// So many more.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// Now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// All counts of the server that belong to no stream.
#[derive(Debug, Default)]
pub struct Counters {
    /// Connections accepted.
    pub accepted: Count,
    /// Connections closed at the door: `full`, `address_full`, `tls`, `descriptors`.
    pub refused: ByKind,
    /// Connections ended, by [`why`](crate::rtsp::ending::Ending::kind).
    pub ended: ByKind,
    /// Requests refused, by status code.
    pub refused_requests: ByKind,
    /// Logins: `right`, `wrong`, `repeated`, `crowded`.
    pub logins: ByKind,
    /// HTTP connections closed by us: `idle`, `slow`, `unread`, `displaced`.
    pub http_closed: ByKind,
    /// Frames on channels that belong to no track.
    pub stray_frames: Count,
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
