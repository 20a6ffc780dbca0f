//! What an output's task tells everyone else.

use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use hevcast_net::backlog::Backlog;
use hevcast_wire::rtp::tmmbr::UNLIMITED_BPS;
use hevcast_wire::rtsp::clock::ClockOffset;

/// What the encoder's thread and an output's task tell each other, and both the figures.
#[derive(Debug, Default)]
pub struct OutputState {
    /// Where to, without a password.
    pub url: String,
    /// Pictures that have not left.
    pub backlog: Backlog,
    connected: AtomicBool,
    keyframe_wanted: AtomicBool,
    /// What the server says that its readers take, bits/s; 0: not limited.
    readers_limit_bps: AtomicU64,
    server_clock: Mutex<Option<ClockOffset>>,
    /// Why there is no connection.
    trouble: Mutex<Option<String>>,
    sent_pictures: AtomicU64,
    sent_bytes: AtomicU64,
    reconnects: AtomicU64,
    dropped: AtomicU64,
}

impl OutputState {
    /// Of an output that is not connected yet.
    pub(super) fn new(url: String) -> OutputState {
        OutputState { url, ..OutputState::default() }
    }

    /// Whether the server takes pictures now.
    pub fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Acquire)
    }

    /// Why it does not, in one line.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().clone()
    }

    /// Whether the next picture should be an IRAP picture; asking clears it.
    pub(super) fn take_keyframe_wanted(&self) -> bool {
        self.keyframe_wanted.swap(false, Ordering::AcqRel)
    }

    pub(super) fn want_keyframe(&self) {
        self.keyframe_wanted.store(true, Ordering::Release);
    }

    /// The most that the server's readers take, bits/s, if they are limited.
    pub(super) fn readers_limit_bps(&self) -> Option<u64> {
        Some(self.readers_limit_bps.load(Ordering::Relaxed)).filter(|&limit| limit != 0)
    }

    pub(super) fn limit_readers(&self, limit_bps: u64) {
        let limit_bps = if limit_bps >= UNLIMITED_BPS { 0 } else { limit_bps.max(1) };
        self.readers_limit_bps.store(limit_bps, Ordering::Relaxed);
    }

    /// The server's clock as last measured.
    pub fn server_clock(&self) -> Option<ClockOffset> {
        *self.server_clock.lock()
    }

    /// Stamps are in this server's time from now on.
    pub(super) fn go_by(&self, clock: Option<ClockOffset>) {
        *self.server_clock.lock() = clock;
    }

    /// A connection is there: what comes next begins anew.
    pub(super) fn connected(&self, clock: Option<ClockOffset>) {
        // Before the first picture: by the lost server's clock its stamp could not be compared.
        self.go_by(clock);
        self.limit_readers(UNLIMITED_BPS);
        *self.trouble.lock() = None;
        self.want_keyframe();
        self.connected.store(true, Ordering::Release);
    }

    /// There is none, and why.
    pub(super) fn disconnected(&self, why: Option<String>) {
        *self.trouble.lock() = why;
        self.connected.store(false, Ordering::Release);
    }

    /// Pictures whose last byte the kernel has taken.
    pub fn sent_pictures(&self) -> u64 {
        self.sent_pictures.load(Ordering::Relaxed)
    }

    /// Bytes the kernel has taken, framing included; with SRT those of the pictures alone.
    pub fn sent_bytes(&self) -> u64 {
        self.sent_bytes.load(Ordering::Relaxed)
    }

    pub(super) fn sent_picture(&self) {
        self.sent_pictures.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn sent(&self, bytes: u64) {
        self.backlog.progress(bytes);
        self.sent_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Times the connection came back.
    pub fn reconnects(&self) -> u64 {
        self.reconnects.load(Ordering::Relaxed)
    }

    pub(super) fn reconnected(&self) {
        self.reconnects.fetch_add(1, Ordering::Relaxed);
    }

    /// Coded pictures that this output did not get, or lost with its connection.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    pub(super) fn drop_pictures(&self, pictures: u64) {
        self.dropped.fetch_add(pictures, Ordering::Relaxed);
    }
}
