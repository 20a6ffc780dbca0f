//! The state that an output's task shares with the encoder's thread and with the figures.

use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hevcast_net::backlog::Backlog;
use hevcast_wire::rtp::tmmbr::UNLIMITED_BPS;
use hevcast_wire::rtsp::clock::ClockOffset;

use crate::figures::outputs::{OutputCounters, OutputCounts, OutputStatus};
use crate::pipeline::keyframe::KeyframeRequest;

/// Shared by the output's task, which notes what its link takes, the encoder's thread, which reads that, and the figures.
#[derive(Debug, Default)]
pub struct OutputState {
    /// Where to, without a password.
    pub url: String,
    /// Frames that have not left, each with the time at which it was offered.
    pub backlog: Backlog,
    connected: AtomicBool,
    keyframe_request: KeyframeRequest,
    /// What the server says that its readers take, bits/s; 0: not limited.
    readers_limit_bps: AtomicU64,
    server_clock: Mutex<Option<ClockOffset>>,
    /// Why there is no connection.
    trouble: Mutex<Option<String>>,
    counters: OutputCounters,
}

impl OutputState {
    /// The state of an output to `url` that is not connected yet.
    pub(super) fn new(url: String) -> OutputState {
        OutputState { url, ..OutputState::default() }
    }

    /// Whether the server takes frames now.
    pub fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Acquire)
    }

    /// Why it does not, in one line.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().clone()
    }

    /// Takes the request for a keyframe; false where there is none.
    pub(super) fn take_keyframe_request(&self) -> bool {
        self.keyframe_request.take()
    }

    /// The next picture should be an IRAP picture: for a reader, or because this output cannot use another.
    pub(super) fn request_keyframe(&self) {
        self.keyframe_request.set();
    }

    /// The most that the server's readers take, bits/s, if they are limited.
    pub(super) fn readers_limit_bps(&self) -> Option<u64> {
        Some(self.readers_limit_bps.load(Ordering::Relaxed)).filter(|&limit| limit != 0)
    }

    /// The server has said what its readers take, bits/s (TMMBR, RFC 5104 section 4.2.1).
    pub(super) fn set_readers_limit(&self, limit_bps: u64) {
        let limit_bps = if limit_bps >= UNLIMITED_BPS { 0 } else { limit_bps.max(1) };
        self.readers_limit_bps.store(limit_bps, Ordering::Relaxed);
    }

    /// The server's clock as last measured.
    pub fn server_clock(&self) -> Option<ClockOffset> {
        *self.server_clock.lock()
    }

    /// Stamps frames by this clock of the server from now on; by ours, where it has none.
    pub(super) fn set_server_clock(&self, clock: Option<ClockOffset>) {
        *self.server_clock.lock() = clock;
    }

    /// A connection is there, on which the stream begins with a keyframe.
    pub(super) fn set_connected(&self, clock: Option<ClockOffset>) {
        // Before the first picture: by the lost server's clock its stamp could not be compared.
        self.set_server_clock(clock);
        self.set_readers_limit(UNLIMITED_BPS);
        *self.trouble.lock() = None;
        self.request_keyframe();
        self.connected.store(true, Ordering::Release);
    }

    /// There is no connection; why, in one line, unless the stream has ended.
    pub(super) fn set_disconnected(&self, why: Option<String>) {
        *self.trouble.lock() = why;
        self.connected.store(false, Ordering::Release);
    }

    /// Counts a frame whose last byte the kernel has taken.
    pub(super) fn count_sent_frame(&self) {
        self.counters.sent.add(1);
    }

    /// Counts bytes that the kernel has taken.
    pub(super) fn count_sent_bytes(&self, bytes: u64) {
        self.backlog.progress(bytes);
        self.counters.sent_bytes.add(bytes);
    }

    /// Counts a connection that came back.
    pub(super) fn count_reconnect(&self) {
        self.counters.reconnects.add(1);
    }

    /// Counts frames that this output did not get, or lost with its connection.
    pub(super) fn count_dropped(&self, frames: u64) {
        self.counters.dropped.add(frames);
    }
}

impl OutputStatus for OutputState {
    fn url(&self) -> &str {
        &self.url
    }

    fn is_connected(&self) -> bool {
        OutputState::is_connected(self)
    }

    fn trouble(&self) -> Option<String> {
        OutputState::trouble(self)
    }

    fn backlog_age(&self, now: Instant) -> Duration {
        self.backlog.age(now)
    }

    fn counts(&self) -> OutputCounts {
        self.counters.read()
    }
}
