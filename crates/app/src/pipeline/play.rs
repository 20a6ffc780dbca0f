//! play → depacketize: from a server's packets to coded pictures, over as many connections as it takes.
//!
//! One task. What it is doing can be watched ([`PlayState`]), and what it takes out of the packets can be recorded
//! ([`super::record`]) besides being decoded. SRT and files come as coded pictures, from a [`super::feed`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use bytes::Bytes;
use hevcast_net::play::{Played, Player};
use hevcast_net::reconnect::Backoff;
use hevcast_net::{Clock, rtmp};
use hevcast_wire::h265::{AccessUnit, ParameterSets, RandomAccess, Verdict};
use hevcast_wire::live::{Bundles, Hold, NoPicture, Patience};
use hevcast_wire::rtp::rtcp::says_goodbye;
use hevcast_wire::rtp::{DepacketizedUnit, Depacketizer, ReceivedPacket, ReceiverStats};
use hevcast_wire::rtsp::clock::ClockOffset;
use tokio::sync::{mpsc, watch};

use super::coded_source::{Ended, Source, SourceError, next, next_message, within};
use super::darkness::{tell_why, why_it_ended};
use super::feed::Feed;
use super::origin::Origin;
use super::receive::ReceiveSettings;
use super::record::RecordTap;
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
    /// When it is to be decoded, where pictures come in bundles; else at once.
    pub due: Option<Instant>,
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

/// The play and depacketize stages.
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
    /// Which pictures can be decoded.
    pub access: RandomAccess,
    /// Something was lost since a picture could last be decoded.
    pub has_lost: bool,
    /// How long silence may last.
    pub patience: Patience,
    /// When pictures that come in bundles are to be decoded; `None` where all are wanted as soon as they are there.
    pub hold: Option<Hold>,
    /// Bundles were told of.
    pub told_of_bundles: bool,
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
                connected = self.open() => connected,
                _ = stop.changed() => return Ok(()),
            };
            let why = match connected {
                Ok(mut source) => {
                    if has_played {
                        self.counters.reconnects.fetch_add(1, Ordering::Relaxed);
                        tracing::info!("the stream is back");
                    }
                    has_played = true;
                    let shown = self.settings.origin.shown();
                    tracing::debug!("playing {shown}");
                    let (counters, begun) = (Arc::clone(&self.counters), Instant::now());
                    self.state.send_replace(PlayState::Playing { since: begun });
                    self.begin(begun);
                    let played = tokio::select! {
                        played = self.play(&mut source) => played,
                        never = tell_why(&counters, &shown) => match never {},
                        _ = stop.changed() => {
                            source.close().await;
                            return Ok(());
                        }
                    };
                    if matches!(played, Ok(Ended::Goodbye) | Err(SourceError::Silent(_))) {
                        source.close().await;
                    }
                    self.counters.set_waiting();
                    self.tap.break_off();
                    self.end_sequence().await;
                    let last = self.counters.last_received().filter(|last| *last >= begun);
                    backoff.ended(last.map_or(Duration::ZERO, |last| last - begun));
                    let is_file = matches!(self.settings.origin, Origin::File(_));
                    // Who waits for the stream to begin, waits for its first picture.
                    let has_begun = self.counters.last_received().is_some() || !self.settings.wait;
                    let once = (self.settings.once && has_begun) || is_file;
                    match played {
                        Ok(_) if once => return Ok(()),
                        Err(error) if once || error.is_hopeless() => return Err(error.into()),
                        Ok(_) if last.is_none() && self.counters.evidence().why() == NoPicture::Nothing => {
                            format!("the stream ended: {}", why_it_ended(NoPicture::Nothing))
                        }
                        Ok(_) => "the stream ended".to_owned(),
                        Err(error) => error.to_string(),
                    }
                }
                Err(error) if !error.is_temporary() || !(has_played || self.settings.wait) => return Err(error.into()),
                Err(error) => error.to_string(),
            };
            // Without randomness all come back at once, and that is no reason not to come back.
            let pause = backoff.pause(getrandom::u32().unwrap_or_default());
            tracing::info!("{why}; trying again in {} ms", pause.as_millis());
            self.state.send_replace(PlayState::Retrying { why, at: Instant::now() + pause });
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = stop.changed() => return Ok(()),
            }
        }
    }

    /// Opens the source. One by SRT is open once its pictures can be read: where none come, that is told meanwhile.
    async fn open(&self) -> Result<Source, SourceError> {
        let opening = Source::open(&self.settings.origin, self.clock);
        if !self.settings.origin.opens_with_pictures() {
            return opening.await;
        }
        self.counters.evidence().forget();
        let shown = self.settings.origin.shown();
        tokio::select! {
            opened = within(self.patience.now(false), Duration::ZERO, opening) => opened,
            never = tell_why(&self.counters, &shown) => match never {},
        }
    }

    /// A connection has begun to play: nothing connects to what came before.
    fn begin(&mut self, now: Instant) {
        self.access.break_off();
        self.has_lost = false;
        self.patience.connected(now);
        self.counters.evidence().forget();
        if let Some(hold) = &mut self.hold {
            hold.restart();
        }
    }

    async fn play(&mut self, source: &mut Source) -> Result<Ended, SourceError> {
        let played = match source {
            Source::Rtsp(player) => self.play_rtsp(player).await,
            Source::Rtmp(player) => self.play_rtmp(player).await,
            Source::Feed(feed) => self.play_feed(feed).await,
        };
        if matches!(played, Err(SourceError::Silent(_))) {
            self.patience.given_up();
        }
        played
    }

    /// Hands on what a feed gives until it ends.
    async fn play_feed(&mut self, feed: &mut Feed) -> Result<Ended, SourceError> {
        let mut parameter_sets = ParameterSets::default();
        let before = self.counters.received_bytes.load(Ordering::Relaxed);
        loop {
            let unit = match feed.is_file() {
                true => feed.next().await?,
                false => within(self.patience.now(false), Duration::ZERO, feed.next()).await?,
            };
            let Some(unit) = unit else { return Ok(Ended::Session) };
            self.counters.received_bytes.store(before + feed.received_bytes(), Ordering::Relaxed);
            self.counters.evidence().message();
            let arrived = Arrived { unit, damaged: false, is_after_loss: false, clock: None, is_live: !feed.is_file() };
            self.take_unit(arrived, &mut parameter_sets).await;
        }
    }

    /// Hands on what an RTMP server plays until it ends.
    async fn play_rtmp(&mut self, player: &mut rtmp::Player) -> Result<Ended, SourceError> {
        let mut parameter_sets = player.parameter_sets().clone();
        let before = self.counters.received_bytes.load(Ordering::Relaxed);
        let mut listening = Instant::now();
        loop {
            let played = within(self.patience.now(false), listening.elapsed(), next_message(player)).await?;
            self.counters.received_bytes.store(before + player.received_bytes(), Ordering::Relaxed);
            match played {
                rtmp::Played::Picture { unit, is_after_loss } => {
                    self.counters.evidence().message();
                    let arrived = Arrived { unit, damaged: false, is_after_loss, clock: None, is_live: true };
                    self.take_unit(arrived, &mut parameter_sets).await;
                }
                rtmp::Played::Other => self.counters.evidence().message(),
                rtmp::Played::Malformed(error) => {
                    self.counters.evidence().message();
                    self.malformed(&error);
                }
                rtmp::Played::Sound => {
                    self.counters.evidence().sound();
                    continue;
                }
                rtmp::Played::Ended => return Ok(Ended::Session),
            }
            listening = Instant::now();
        }
    }

    /// Takes one connection's packets apart until the stream ends.
    async fn play_rtsp(&mut self, player: &mut Player) -> Result<Ended, SourceError> {
        let mut depacketizer = player.depacketizer();
        let mut parameter_sets = player.parameter_sets().clone();
        let before = self.counters.received_bytes.load(Ordering::Relaxed);
        // Only while we listen is silence the source's.
        let mut listening = Instant::now();
        loop {
            let patience = self.patience.now(player.clock().is_some());
            let ended = match within(patience, listening.elapsed(), next(player)).await? {
                Played::Rtp(packet) => {
                    self.counters.received_bytes.store(before + player.received_bytes(), Ordering::Relaxed);
                    self.depacketize(packet, &mut depacketizer);
                    None
                }
                Played::Rtcp(packet) => match depacketizer.ssrc() {
                    Some(ssrc) if says_goodbye(&packet, ssrc) => Some(Ended::Goodbye),
                    _ => continue,
                },
                Played::Ended => Some(Ended::Session),
            };
            if ended.is_some() {
                depacketizer.flush();
            }
            self.take_units(&mut depacketizer, &mut parameter_sets, player.clock()).await;
            if let Some(ended) = ended {
                return Ok(ended);
            }
            if let Some(ssrc) = depacketizer.ssrc() {
                if self.wants_keyframe.swap(false, Ordering::AcqRel) {
                    player.request_keyframe(ssrc);
                }
                player.report(ssrc, || ReceiverStats {
                    extended_highest_sequence_number: depacketizer.extended_highest_sequence_number(),
                    cumulative_lost: u32::try_from(depacketizer.stats().lost_packets).unwrap_or(u32::MAX),
                    ..ReceiverStats::default()
                });
            }
            listening = Instant::now();
        }
    }

    async fn take_units(&mut self, from: &mut Depacketizer, sets: &mut ParameterSets, clock: Option<ClockOffset>) {
        while let Some(DepacketizedUnit { unit, damaged, lost_before, .. }) = from.poll() {
            let arrived = Arrived { unit, damaged, is_after_loss: lost_before > 0, clock, is_live: true };
            self.take_unit(arrived, sets).await;
        }
    }

    fn depacketize(&self, packet: Bytes, depacketizer: &mut Depacketizer) {
        let (gaps, dropped) = (depacketizer.stats().gaps, depacketizer.stats().dropped_units);
        let result = ReceivedPacket::parse(packet).map(|packet| {
            self.counters.evidence().payload(&packet.payload);
            depacketizer.push(&packet)
        });
        match result {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.malformed(&error),
            Err(error) => self.malformed(&error),
        }
        self.counters.rtp_gaps.fetch_add(depacketizer.stats().gaps - gaps, Ordering::Relaxed);
        self.tap.miss(Cause::Lost, depacketizer.stats().dropped_units - dropped);
    }

    fn malformed(&self, error: &dyn std::error::Error) {
        self.counters.malformed.fetch_add(1, Ordering::Relaxed);
        tracing::debug!("{}: {error}", self.settings.origin.shown());
    }

    /// Hands a unit to the decoder, if it can be decoded.
    async fn take_unit(&mut self, arrived: Arrived, sets: &mut ParameterSets) {
        let Arrived { mut unit, damaged, is_after_loss, clock, is_live } = arrived;
        let now = Instant::now();
        self.counters.received(now);
        self.patience.picture(now);
        for nal in &unit.nals {
            sets.update(nal);
        }
        self.counters.evidence().picture(&unit, damaged, sets);
        let due = self.hold.as_mut().filter(|_| is_live).and_then(|hold| hold.arrived(unit.timestamp, now));
        if let Some(bundles) = self.hold.as_mut().and_then(Hold::take_news) {
            self.tell_of_bundles(bundles);
        }
        if damaged {
            self.counters.damaged.fetch_add(1, Ordering::Relaxed);
        }
        self.has_lost |= damaged || is_after_loss;
        let was_waiting = self.access.is_waiting();
        let verdict = self.access.take(&unit, is_after_loss, damaged);
        if (self.access.is_waiting() && !was_waiting) || matches!(verdict, Verdict::Decodable { begins_anew: true }) {
            // What the decoder still holds is whole, and its successors come later than it should be shown.
            self.end_sequence().await;
        }
        if !matches!(verdict, Verdict::Decodable { .. }) {
            let is_lost = self.has_lost && verdict == Verdict::BeforeIrap;
            self.tap.miss(if is_lost { Cause::Lost } else { Cause::NoKeyframe }, 1);
            if verdict == Verdict::BeforeIrap {
                self.wants_keyframe.store(true, Ordering::Release);
            }
            self.counters.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.has_lost = false;
        unit.ensure_parameter_sets(sets);
        self.tap.offer(&unit);
        // Waiting for room here makes the socket wait, and then the server: a joining burst of any length arrives whole,
        // and a reader that is too slow for good is the server's to bound.
        let unit = Unit { unit, arrived: now, clock, is_live, due };
        if self.units.send(Coded::Picture(unit)).await.is_err() {
            self.counters.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Tells the decoder that what comes next does not follow what came.
    async fn end_sequence(&self) {
        // The decoder has ended by itself, and whoever waits for it knows.
        let _ = self.units.send(Coded::End).await;
    }

    fn tell_of_bundles(&mut self, Bundles { pictures, every }: Bundles) {
        if !std::mem::replace(&mut self.told_of_bundles, true) {
            tracing::warn!(
                "{}: pictures come in bundles of about {pictures} every {} ms, and are held to be shown evenly; without that \
                 delay if the server sends each at once (SRS: min_latency on; play {{ mw_latency 0; }})",
                self.settings.origin.shown(),
                every.as_millis()
            );
        }
    }
}
