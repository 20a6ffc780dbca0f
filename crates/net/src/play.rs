//! The play stage: packets of a stream, as they come.
//!
//! A [`Player`] is one connection that has reached PLAY. It reports to the server every few seconds, as RTP asks, and
//! passes on the wish for a keyframe.

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

/// Least time between two wishes for a keyframe.
const KEYFRAME_REQUEST_INTERVAL: Duration = Duration::from_millis(250);
/// Time between receiver reports.
const REPORT_INTERVAL: Duration = Duration::from_secs(5);
/// Most packets kept while PLAY's answer is on its way: a large keyframe's.
const MAX_EARLY_PACKETS: usize = 4096;
/// Most of their bytes: packets of a server that has nothing good in mind are larger.
const MAX_EARLY_BYTES: usize = 8 * 1024 * 1024;
/// Our own synchronisation source in reports; one reader has a connection to itself, so it need not be unique.
const OWN_SSRC: u32 = 0x6865_7663;

/// What came from the server.
#[derive(Debug)]
pub enum Played {
    /// An RTP packet of the H.265 track.
    Rtp(Bytes),
    /// A compound RTCP packet of the H.265 track.
    Rtcp(Bytes),
    /// The server ended the session.
    Ended,
}

/// A playing connection.
#[derive(Debug)]
pub struct Player {
    driver: Driver<PlayerSession>,
    parameter_sets: ParameterSets,
    /// Packets that overtook PLAY's answer, as some servers send them.
    early: VecDeque<Bytes>,
    asked_keyframe: Option<Instant>,
    reported: Instant,
    /// Stretches of bytes that were neither RTSP nor RTP.
    noises: u64,
}

impl Player {
    /// Connects and waits until the server plays.
    ///
    /// # Errors
    /// [`NetError`]: no connection, a refusal, silence, or a stream that is not H.265.
    pub async fn connect(target: &Target, user_agent: &str, clock: Clock) -> Result<Player, NetError> {
        let mut redirects = Redirects::from(target);
        loop {
            match Player::connect_there(redirects.at(), user_agent, clock).await {
                Ok(player) => return Ok(player),
                Err(error) => redirects.follow(error)?,
            }
        }
    }

    async fn connect_there(target: &Target, user_agent: &str, clock: Clock) -> Result<Player, NetError> {
        let credentials = target.credentials.clone();
        let start = |now| PlayerSession::new(target.url.clone(), credentials, user_agent, now);
        let mut driver = Driver::connect(target, clock, start).await?;
        let (mut early, mut early_bytes, mut noises) = (VecDeque::new(), 0, 0);
        loop {
            match driver.next_event().await? {
                DriverEvent::Session(PlayerEvent::Playing(parameter_sets)) => {
                    let reported = clock.now().instant;
                    return Ok(Player { driver, parameter_sets, early, asked_keyframe: None, reported, noises });
                }
                DriverEvent::Session(PlayerEvent::Ended) => return Err(NetError::Closed { url: target.shown() }),
                DriverEvent::Session(PlayerEvent::Rtp(packet))
                    if early.len() < MAX_EARLY_PACKETS && early_bytes + packet.len() <= MAX_EARLY_BYTES =>
                {
                    early_bytes += packet.len();
                    early.push_back(packet);
                }
                DriverEvent::Session(PlayerEvent::Noise(bytes)) => tell_noise(&target.shown(), bytes, &mut noises),
                DriverEvent::Session(PlayerEvent::Rtp(_) | PlayerEvent::Rtcp(_))
                | DriverEvent::Sent
                | DriverEvent::Drained => {}
            }
        }
    }

    /// The parameter sets of the description; empty when it had none.
    pub fn parameter_sets(&self) -> &ParameterSets {
        &self.parameter_sets
    }

    /// A depacketizer of the track's packets, as the description has them.
    pub fn depacketizer(&self) -> Depacketizer {
        Depacketizer::of(self.driver.session.payload_format())
    }

    /// Waits for the next packet. Cancelling it loses nothing.
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
                    tell_noise(&shown_url(&self.driver.session.session_url()), bytes, &mut self.noises);
                }
                DriverEvent::Session(PlayerEvent::Playing(_)) | DriverEvent::Sent | DriverEvent::Drained => {}
            }
        }
    }

    /// Asks for an IRAP picture of `media_ssrc`; more often than every 250 ms is once.
    pub fn request_keyframe(&mut self, media_ssrc: u32) {
        let now = self.driver.clock().now().instant;
        if self.asked_keyframe.is_some_and(|at| now.saturating_duration_since(at) < KEYFRAME_REQUEST_INTERVAL) {
            return;
        }
        self.asked_keyframe = Some(now);
        self.driver.session.send_rtcp(&rtcp::pli(OWN_SSRC, media_ssrc));
    }

    /// Sends a receiver report when one is due; `stats` is asked only then.
    pub fn report(&mut self, media_ssrc: u32, stats: impl FnOnce() -> ReceiverStats) {
        let now = self.driver.clock().now().instant;
        if now.saturating_duration_since(self.reported) >= REPORT_INTERVAL {
            self.reported = now;
            self.driver.session.send_rtcp(&rtcp::receiver_report(OWN_SSRC, media_ssrc, "hevcast", &stats()));
        }
    }

    /// The server's clock, if it tells.
    pub fn clock(&self) -> Option<ClockOffset> {
        self.driver.session.clock()
    }

    /// Bytes read from the socket, framing included.
    pub fn received_bytes(&self) -> u64 {
        self.driver.connection.received_bytes()
    }

    /// Ends the session.
    pub async fn close(self) {
        self.driver.close().await;
    }
}

/// Says that bytes were passed over: the first time, and then whenever they are twice as many times.
fn tell_noise(url: &str, bytes: usize, times: &mut u64) {
    *times += 1;
    match times.is_power_of_two() {
        true => tracing::warn!("{url} sent {bytes} bytes that are neither RTSP nor RTP: passed over (time {times})"),
        false => tracing::debug!("{url} sent {bytes} bytes that are neither RTSP nor RTP: passed over"),
    }
}
