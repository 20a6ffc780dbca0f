//! Plays a stream over RTSP: returns its packets as they come.
//!
//! A [`Player`] is one connection on which the server plays. It sends receiver reports every few seconds (RFC 3550
//! section 6.4.2), and keyframe requests (RFC 4585 section 6.3.1).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hevcast_wire::ParameterSets;
use hevcast_wire::redact::shown_url;
use hevcast_wire::rtp::Depacketizer;
use hevcast_wire::rtp::rtcp::{self, ReceiverStats};
use hevcast_wire::rtsp::clock::ClockOffset;
use hevcast_wire::rtsp::session::ClientSession;
use hevcast_wire::rtsp::session::player::{PlayerEvent, PlayerSession};

use crate::driver::{Driver, DriverEvent};
use crate::redirect::Redirects;
use crate::{Clock, NetError, Target};

/// Least time between two keyframe requests.
const KEYFRAME_REQUEST_INTERVAL: Duration = Duration::from_millis(250);
/// The interval of receiver reports (RFC 3550 section 6.2).
const REPORT_INTERVAL: Duration = Duration::from_secs(5);
/// Most packets that are kept before the response to PLAY comes: as many as a large keyframe has.
const MAX_EARLY_PACKETS: usize = 4096;
/// Most bytes of these packets, since a hostile server could send large ones.
const MAX_EARLY_BYTES: usize = 8 * 1024 * 1024;
/// The synchronisation source (SSRC) of our reports. It need not be unique, since a reader is alone on its connection.
const OWN_SSRC: u32 = 0x6865_7663;

/// What [`Player::next`] returns: a packet of the stream, or its end.
#[derive(Debug)]
pub enum Played {
    /// An RTP packet of the video track that is played.
    Rtp(Bytes),
    /// A compound RTCP packet of that track.
    Rtcp(Bytes),
    /// The session is over: the server sent TEARDOWN, or responded to ours.
    Ended,
}

/// A connection on which a server plays a stream.
#[derive(Debug)]
pub struct Player {
    driver: Driver<PlayerSession>,
    parameter_sets: ParameterSets,
    /// Packets that came before the response to PLAY, as some servers send them.
    early: VecDeque<Bytes>,
    /// When a keyframe was last requested.
    keyframe_requested_at: Option<Instant>,
    /// When the last receiver report was sent.
    reported_at: Instant,
    /// How often bytes were skipped that were neither RTSP nor RTP.
    skips: u64,
}

impl Player {
    /// Connects, follows redirections, and waits until the server plays.
    ///
    /// # Errors
    /// [`NetError`]: no connection, a refusal, no response, or a stream without H.265 or H.264.
    pub async fn connect(target: &Target, user_agent: &str, clock: Clock) -> Result<Player, NetError> {
        let mut redirects = Redirects::from(target);
        loop {
            match Player::connect_once(redirects.at(), user_agent, clock).await {
                Ok(player) => return Ok(player),
                Err(error) => redirects.follow(error)?,
            }
        }
    }

    async fn connect_once(target: &Target, user_agent: &str, clock: Clock) -> Result<Player, NetError> {
        let credentials = target.credentials.clone();
        let start = |now| PlayerSession::new(target.url.clone(), credentials, user_agent, now);
        let mut driver = Driver::connect(target, clock, start).await?;
        let (mut early, mut early_bytes, mut skips) = (VecDeque::new(), 0, 0);
        loop {
            match driver.next_event().await? {
                DriverEvent::Session(PlayerEvent::Playing(parameter_sets)) => {
                    let reported_at = clock.now().instant;
                    return Ok(Player {
                        driver,
                        parameter_sets,
                        early,
                        keyframe_requested_at: None,
                        reported_at,
                        skips,
                    });
                }
                DriverEvent::Session(PlayerEvent::Ended) => return Err(NetError::Closed { url: target.shown() }),
                DriverEvent::Session(PlayerEvent::Rtp(packet))
                    if early.len() < MAX_EARLY_PACKETS && early_bytes + packet.len() <= MAX_EARLY_BYTES =>
                {
                    early_bytes += packet.len();
                    early.push_back(packet);
                }
                DriverEvent::Session(PlayerEvent::Noise(bytes)) => {
                    warn_of_skipped_bytes(&target.shown(), bytes, &mut skips)
                }
                DriverEvent::Session(PlayerEvent::Rtp(_) | PlayerEvent::Rtcp(_))
                | DriverEvent::Sent
                | DriverEvent::Drained => {}
            }
        }
    }

    /// The parameter sets in the description; empty where it has none.
    pub fn parameter_sets(&self) -> &ParameterSets {
        &self.parameter_sets
    }

    /// A depacketizer for the track's payload format, which the description states.
    pub fn depacketizer(&self) -> Depacketizer {
        Depacketizer::of(self.driver.session.payload_format())
    }

    /// Waits for the next packet. It is cancel safe.
    ///
    /// # Errors
    /// [`NetError`]: the session is over.
    pub async fn next(&mut self) -> Result<Played, NetError> {
        if let Some(packet) = self.early.pop_front() {
            return Ok(Played::Rtp(packet));
        }
        loop {
            match self.driver.next_event().await? {
                DriverEvent::Session(PlayerEvent::Rtp(packet)) => return Ok(Played::Rtp(packet)),
                DriverEvent::Session(PlayerEvent::Rtcp(packet)) => return Ok(Played::Rtcp(packet)),
                DriverEvent::Session(PlayerEvent::Ended) => return Ok(Played::Ended),
                DriverEvent::Session(PlayerEvent::Noise(bytes)) => {
                    warn_of_skipped_bytes(&shown_url(&self.driver.session.session_url()), bytes, &mut self.skips);
                }
                DriverEvent::Session(PlayerEvent::Playing(_)) | DriverEvent::Sent | DriverEvent::Drained => {}
            }
        }
    }

    /// Requests a keyframe from the source `media_ssrc` by a PLI. A request less than 250 ms after the last one is
    /// ignored.
    pub fn request_keyframe(&mut self, media_ssrc: u32) {
        let now = self.driver.clock().now().instant;
        if self.keyframe_requested_at.is_some_and(|at| now.saturating_duration_since(at) < KEYFRAME_REQUEST_INTERVAL) {
            return;
        }
        self.keyframe_requested_at = Some(now);
        self.driver.session.send_rtcp(&rtcp::pli(OWN_SSRC, media_ssrc));
    }

    /// Sends a receiver report if one is due; `stats` is called only then.
    pub fn report(&mut self, media_ssrc: u32, stats: impl FnOnce() -> ReceiverStats) {
        let now = self.driver.clock().now().instant;
        if now.saturating_duration_since(self.reported_at) >= REPORT_INTERVAL {
            self.reported_at = now;
            self.driver.session.send_rtcp(&rtcp::receiver_report(OWN_SSRC, media_ssrc, "hevcast", &stats()));
        }
    }

    /// How the server's clock differs from ours; `None` if the server does not support comparing clocks.
    pub fn clock(&self) -> Option<ClockOffset> {
        self.driver.session.clock()
    }

    /// Bytes read from the socket so far, framing included.
    pub fn received_bytes(&self) -> u64 {
        self.driver.connection.received_bytes()
    }

    /// Ends the session by TEARDOWN, and closes the connection.
    pub async fn close(self) {
        self.driver.close().await;
    }
}

/// Logs that bytes were skipped: as a warning the first time and whenever the number of times has doubled, otherwise at
/// debug level.
fn warn_of_skipped_bytes(url: &str, bytes: usize, times: &mut u64) {
    *times += 1;
    match times.is_power_of_two() {
        true => tracing::warn!("{url} sent {bytes} bytes that are neither RTSP nor RTP: ignored (time {times})"),
        false => tracing::debug!("{url} sent {bytes} bytes that are neither RTSP nor RTP: ignored"),
    }
}
