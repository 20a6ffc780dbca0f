//! play → depacketise: from a server's packets to coded pictures, over as many connections as it takes.
//!
//! One task. What it is doing can be watched ([`PlayState`]), and what it takes out of the packets can be recorded
//! ([`super::record`]) besides being decoded. SRT and files come as coded pictures, from a [`super::feed`].

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::Result;
use bytes::Bytes;
use hevcast_net::play::{Played, Player};
use hevcast_net::reconnect::Backoff;
use hevcast_net::{Clock, NetError, Protocol, rtmp};
use hevcast_wire::hevc::{AccessUnit, ParameterSets};
use hevcast_wire::rtp::{DepacketisedUnit, Depacketiser, ReceivedPacket, ReceiverStats};
use hevcast_wire::rtsp::clock::ClockOffset;
use tokio::sync::{mpsc, watch};

use super::feed::{Feed, FeedError};
use super::origin::Origin;
use super::receive::ReceiveSettings;
use super::record::RecordTap;
use crate::USER_AGENT;
use crate::figures::receive::ReceiveCounters;
use crate::figures::recorded::Cause;

/// How the stage stands with its server.
#[derive(Clone, Debug)]
pub enum PlayState {
    /// Asking for the stream.
    Connecting,
    /// The server plays, though perhaps no picture has come yet.
    Playing {
        /// Since then.
        since: Instant,
    },
    /// There is no stream; another try comes.
    Retrying {
        /// What became of the last one, in one line.
        why: String,
        /// When it comes.
        at: Instant,
    },
}

/// A coded picture on its way to the decoder.
pub struct Unit {
    /// The picture.
    pub unit: AccessUnit,
    /// When its last packet was here.
    pub arrived: Instant,
    /// The server's clock then.
    pub clock: Option<ClockOffset>,
    /// It comes as it is taken, and not from a file.
    pub is_live: bool,
}

/// What goes through the queue `units`.
pub enum Coded {
    /// The next picture.
    Picture(Unit),
    /// The sequence ends here: a connection that is lost, or pictures that are.
    End,
}

/// A coded picture as it came.
struct Arrived {
    unit: AccessUnit,
    /// Something of it is missing.
    damaged: bool,
    /// Something is missing between the one before and this.
    is_after_loss: bool,
    clock: Option<ClockOffset>,
    is_live: bool,
}

/// A connection, or a file.
enum Source {
    Rtsp(Box<Player>),
    Rtmp(Box<rtmp::Player>),
    Feed(Feed),
}

/// Why there is none, or no longer.
#[derive(Debug, thiserror::Error)]
enum SourceError {
    #[error(transparent)]
    Net(#[from] NetError),
    #[error(transparent)]
    Feed(#[from] FeedError),
}

impl SourceError {
    fn is_temporary(&self) -> bool {
        match self {
            SourceError::Net(error) => error.is_temporary(),
            SourceError::Feed(error) => error.is_temporary(),
        }
    }
}

/// The play and depacketise stages.
pub struct PlayStage {
    /// What to play.
    pub settings: ReceiveSettings,
    /// For time-outs and the server's clock.
    pub clock: Clock,
    /// Queue `units`.
    pub units: mpsc::Sender<Coded>,
    /// Figures.
    pub counters: Arc<ReceiveCounters>,
    /// Somebody needs an IRAP picture.
    pub wants_keyframe: Arc<AtomicBool>,
    /// For whoever records.
    pub tap: RecordTap,
    /// What is being done.
    pub state: watch::Sender<PlayState>,
    /// Pictures before the next IRAP picture are of no use.
    pub waiting_for_irap: bool,
    /// That is because something was lost.
    pub has_lost: bool,
}

impl PlayStage {
    /// Plays, and plays again, until told to stop.
    ///
    /// # Errors
    /// What another try cannot help, or any failure where none is wanted.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) -> Result<()> {
        let mut backoff = Backoff::default();
        let mut has_played = false;
        loop {
            self.state.send_replace(PlayState::Connecting);
            let connected = tokio::select! {
                connected = self.connect() => connected,
                _ = stop.changed() => return Ok(()),
            };
            let why = match connected {
                Ok(mut source) => {
                    if has_played {
                        self.counters.reconnects.fetch_add(1, Ordering::Relaxed);
                        tracing::info!("the stream is back");
                    }
                    has_played = true;
                    backoff.reset();
                    tracing::debug!("playing {}", self.settings.origin.shown());
                    self.state.send_replace(PlayState::Playing { since: Instant::now() });
                    let played = tokio::select! {
                        played = self.play(&mut source) => played,
                        _ = stop.changed() => {
                            source.close().await;
                            return Ok(());
                        }
                    };
                    let once = self.settings.once || matches!(self.settings.origin, Origin::File(_));
                    self.counters.set_waiting();
                    self.tap.break_off();
                    self.end_sequence().await;
                    match played {
                        Ok(()) if once => return Ok(()),
                        Err(error) if once => return Err(error.into()),
                        Ok(()) => "the stream ended".to_owned(),
                        Err(error) => error.to_string(),
                    }
                }
                Err(error) if !error.is_temporary() || !(has_played || self.settings.wait) => return Err(error.into()),
                Err(error) => error.to_string(),
            };
            let pause = backoff.pause();
            tracing::info!("{why}; trying again in {} ms", pause.as_millis());
            self.state.send_replace(PlayState::Retrying { why, at: Instant::now() + pause });
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = stop.changed() => return Ok(()),
            }
        }
    }

    async fn connect(&self) -> Result<Source, SourceError> {
        let target = match &self.settings.origin {
            Origin::File(path) => return Ok(Source::Feed(Feed::file(path).await?)),
            Origin::Stream(target) => target,
        };
        Ok(match target.protocol() {
            Protocol::Srt => Source::Feed(Feed::srt(target).await?),
            Protocol::Rtmp => Source::Rtmp(Box::new(rtmp::Player::connect(target, USER_AGENT, self.clock).await?)),
            Protocol::Rtsp => Source::Rtsp(Box::new(Player::connect(target, USER_AGENT, self.clock).await?)),
        })
    }

    async fn play(&mut self, source: &mut Source) -> Result<(), SourceError> {
        match source {
            Source::Rtsp(player) => self.play_rtsp(player).await?,
            Source::Rtmp(player) => self.play_rtmp(player).await?,
            Source::Feed(feed) => self.play_feed(feed).await?,
        }
        Ok(())
    }

    /// Hands on what a feed gives until it ends.
    async fn play_feed(&mut self, feed: &mut Feed) -> Result<(), FeedError> {
        let mut parameter_sets = ParameterSets::default();
        let before = self.counters.received_bytes.load(Ordering::Relaxed);
        self.waiting_for_irap = true;
        while let Some(unit) = feed.next().await? {
            self.counters.received_bytes.store(before + feed.received_bytes(), Ordering::Relaxed);
            let arrived = Arrived { unit, damaged: false, is_after_loss: false, clock: None, is_live: !feed.is_file() };
            self.take_unit(arrived, &mut parameter_sets).await;
        }
        Ok(())
    }

    /// Hands on what an RTMP server plays until it ends.
    async fn play_rtmp(&mut self, player: &mut rtmp::Player) -> Result<(), NetError> {
        let mut parameter_sets = player.parameter_sets().clone();
        let before = self.counters.received_bytes.load(Ordering::Relaxed);
        self.waiting_for_irap = true;
        loop {
            let next = match player.next().await {
                Err(NetError::Closed { .. }) => None,
                other => other?,
            };
            let Some(unit) = next else { return Ok(()) };
            self.counters.received_bytes.store(before + player.received_bytes(), Ordering::Relaxed);
            let arrived = Arrived { unit, damaged: false, is_after_loss: false, clock: None, is_live: true };
            self.take_unit(arrived, &mut parameter_sets).await;
        }
    }

    /// Takes one connection's packets apart until the stream ends.
    async fn play_rtsp(&mut self, player: &mut Player) -> Result<(), NetError> {
        let mut depacketiser = Depacketiser::new();
        let mut parameter_sets = player.parameter_sets().clone();
        let before = self.counters.received_bytes.load(Ordering::Relaxed);
        self.waiting_for_irap = true;
        loop {
            let packet = match next(player).await? {
                Played::Rtp(packet) => packet,
                Played::Ended => {
                    depacketiser.flush();
                    self.take_units(&mut depacketiser, &mut parameter_sets, player.clock()).await;
                    return Ok(());
                }
            };
            self.counters.received_bytes.store(before + player.received_bytes(), Ordering::Relaxed);
            self.depacketise(packet, &mut depacketiser);
            self.take_units(&mut depacketiser, &mut parameter_sets, player.clock()).await;
            if let Some(ssrc) = depacketiser.ssrc() {
                if self.wants_keyframe.swap(false, Ordering::AcqRel) {
                    player.request_keyframe(ssrc);
                }
                player.report(ssrc, || ReceiverStats {
                    extended_highest_sequence_number: depacketiser.extended_highest_sequence_number(),
                    cumulative_lost: u32::try_from(depacketiser.stats().lost_packets).unwrap_or(u32::MAX),
                    ..ReceiverStats::default()
                });
            }
        }
    }

    async fn take_units(&mut self, from: &mut Depacketiser, sets: &mut ParameterSets, clock: Option<ClockOffset>) {
        while let Some(DepacketisedUnit { unit, damaged, lost_before, .. }) = from.poll() {
            let arrived = Arrived { unit, damaged, is_after_loss: lost_before > 0, clock, is_live: true };
            self.take_unit(arrived, sets).await;
        }
    }

    fn depacketise(&self, packet: Bytes, depacketiser: &mut Depacketiser) {
        let (gaps, dropped) = (depacketiser.stats().gaps, depacketiser.stats().dropped_units);
        let result = ReceivedPacket::parse(packet).map(|packet| depacketiser.push(&packet));
        match result {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.malformed(&error),
            Err(error) => self.malformed(&error),
        }
        self.counters.rtp_gaps.fetch_add(depacketiser.stats().gaps - gaps, Ordering::Relaxed);
        self.tap.miss(Cause::Lost, depacketiser.stats().dropped_units - dropped);
    }

    fn malformed(&self, error: &dyn std::error::Error) {
        self.counters.malformed.fetch_add(1, Ordering::Relaxed);
        tracing::debug!("{}: {error}", self.settings.origin.shown());
    }

    /// Hands a unit to the decoder; after a loss nothing that builds on it, up to the next IRAP picture.
    async fn take_unit(&mut self, arrived: Arrived, sets: &mut ParameterSets) {
        let Arrived { mut unit, damaged, is_after_loss, clock, is_live } = arrived;
        self.counters.received(Instant::now());
        for nal in &unit.nals {
            sets.update(nal);
        }
        if (damaged || is_after_loss) && !std::mem::replace(&mut self.waiting_for_irap, true) {
            // What the decoder still holds is whole, and its successors come later than it should be shown.
            self.end_sequence().await;
        }
        self.has_lost |= damaged || is_after_loss;
        if damaged {
            self.counters.damaged.fetch_add(1, Ordering::Relaxed);
        } else if unit.is_irap() {
            (self.waiting_for_irap, self.has_lost) = (false, false);
        }
        if self.waiting_for_irap {
            let cause = if self.has_lost { Cause::Lost } else { Cause::NoKeyframe };
            self.tap.miss(cause, 1);
            self.wants_keyframe.store(true, Ordering::Release);
            self.counters.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        unit.ensure_parameter_sets(sets);
        self.tap.offer(&unit);
        // Waiting for room here makes the socket wait, and then the server: a joining burst of any length arrives whole,
        // and a reader that is too slow for good is the server's to bound.
        let unit = Unit { unit, arrived: Instant::now(), clock, is_live };
        if self.units.send(Coded::Picture(unit)).await.is_err() {
            self.counters.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Tells the decoder that what comes next does not follow what came.
    async fn end_sequence(&self) {
        // The decoder has ended by itself, and whoever waits for it knows.
        let _ = self.units.send(Coded::End).await;
    }
}

impl Source {
    async fn close(self) {
        match self {
            Source::Rtsp(player) => player.close().await,
            Source::Rtmp(player) => player.close().await,
            Source::Feed(feed) => drop(feed),
        }
    }
}

/// The next packet; a connection closed in order is an end like any other, for most servers say no more than that.
async fn next(player: &mut Player) -> Result<Played, NetError> {
    match player.next().await {
        Err(NetError::Closed { .. }) => Ok(Played::Ended),
        // The same, by a server that had not read our last report.
        Err(NetError::Io { error, .. }) if error.kind() == ErrorKind::ConnectionReset => Ok(Played::Ended),
        other => other,
    }
}
