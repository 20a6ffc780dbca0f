//! play → depacketize: from a [source](super::source) to frames that can be decoded, over as many connections as it takes.
//!
//! One task. What it is doing can be watched ([`PlayState`]), and what comes can be recorded ([`super::record`]) besides
//! being decoded.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use hevcast_net::reconnect::Backoff;
use hevcast_net::{Clock, Protocol};
use hevcast_wire::live::{Bundles, Hold, NoPicture, Patience};
use hevcast_wire::{CodedFrame, RandomAccess, Verdict};
use tokio::sync::{mpsc, watch};

use super::keyframe::KeyframeRequest;
use super::no_picture::{watch_pictures, why_it_ended};
use super::origin::Origin;
use super::outputs::output::Output;
use super::receive::ReceiveSettings;
use super::record::RecordOutput;
use super::source::feed::Feed;
#[cfg(feature = "rtmp")]
use super::source::rtmp::RtmpSource;
use super::source::rtsp::RtspSource;
use super::source::{CodedSource, Ended, SourceError, SourceEvent, SourceStats, within};
use crate::figures::receive::ReceiveCounters;
use crate::figures::recorded::MissingCause;

/// What the play stage is doing, for people.
#[derive(Clone, Debug)]
pub enum PlayState {
    /// It connects, and requests the stream.
    Connecting,
    /// The server plays, though perhaps no picture has come yet.
    Playing {
        /// When it began to.
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

/// What goes through the queue `frames`.
#[derive(Debug)]
pub enum Playable {
    /// The next frame; all that it refers to has come.
    Frame(CodedFrame),
    /// The sequence ends here: a connection that is lost, or frames that are. What the decoder holds can be shown.
    EndOfSequence,
}

/// What becomes of the stage after a connection.
enum Attempt {
    /// The stage ends: it was stopped, or plays once.
    Over,
    /// Another try comes; why, in one line.
    Again(String),
}

/// What outlasts a connection.
struct Session<'a> {
    /// A connection has played before.
    has_played: &'a mut bool,
    backoff: &'a mut Backoff,
    stop: &'a mut watch::Receiver<bool>,
}

/// The play stage, a task that owns one source after the other.
pub struct PlayStage {
    /// The stream or file to play, and how persistently.
    pub settings: ReceiveSettings,
    /// The clock by which the server's is measured.
    pub clock: Clock,
    /// The queue `frames`, to the decoder or the relay.
    pub frames: mpsc::Sender<Playable>,
    /// Counts what comes, and what is lost.
    pub counters: Arc<ReceiveCounters>,
    /// Set by this stage and the decoder's when they need an IRAP picture.
    pub keyframe_request: KeyframeRequest,
    /// The recording of what comes, if anybody records.
    pub recording: RecordOutput,
    /// Notified of each change of what the stage does.
    pub state: watch::Sender<PlayState>,
    /// Decides which frames can be decoded.
    pub access: RandomAccess,
    /// Something was lost since a picture could last be decoded.
    pub has_lost: bool,
    /// How long nothing may come before the source counts as lost.
    pub source_timeout: Patience,
    /// When pictures that come in bundles are to be decoded; `None` where all are wanted as soon as they are there.
    pub hold: Option<Hold>,
    /// The line in the log about bundles has been written.
    pub has_warned_of_bundles: bool,
}

impl PlayStage {
    /// Plays, over one connection after the other, until stopped.
    ///
    /// # Errors
    /// What another try cannot help, or any failure where none is wanted.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) -> Result<()> {
        let mut backoff = Backoff::default();
        let mut has_played = false;
        loop {
            self.state.send_replace(PlayState::Connecting);
            let why = match self.attempt(&mut has_played, &mut backoff, &mut stop).await? {
                Attempt::Over => return Ok(()),
                Attempt::Again(why) => why,
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

    /// One connection, or the file, by the protocol that it takes: another source adds a line here.
    async fn attempt(
        &mut self,
        has_played: &mut bool,
        backoff: &mut Backoff,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<Attempt> {
        let (origin, clock, counters) = (self.settings.origin.clone(), self.clock, Arc::clone(&self.counters));
        let mut session = Session { has_played, backoff, stop };
        match &origin {
            Origin::File(path) => self.play_from(Feed::file(path), &mut session).await,
            Origin::Stream(target) => match target.protocol() {
                Protocol::Rtsp => self.play_from(RtspSource::open(target, clock, counters), &mut session).await,
                #[cfg(feature = "rtmp")]
                Protocol::Rtmp => self.play_from(RtmpSource::open(target, clock, counters), &mut session).await,
                #[cfg(feature = "srt")]
                Protocol::Srt => self.play_from(Feed::srt(target), &mut session).await,
                #[cfg(not(all(feature = "rtmp", feature = "srt")))]
                absent => Err(super::not_built(absent)),
            },
        }
    }

    /// Opens a source and plays it until it ends or the stage is stopped.
    async fn play_from<S: CodedSource, E: Into<SourceError>>(
        &mut self,
        opening: impl Future<Output = Result<S, E>>,
        session: &mut Session<'_>,
    ) -> Result<Attempt> {
        let connected = tokio::select! {
            connected = self.open(opening) => connected,
            _ = session.stop.changed() => return Ok(Attempt::Over),
        };
        let mut source = match connected {
            Ok(source) => source,
            Err(error) if !error.is_temporary() || !(*session.has_played || self.settings.wait) => {
                return Err(error.into());
            }
            Err(error) => return Ok(Attempt::Again(error.to_string())),
        };
        if std::mem::replace(session.has_played, true) {
            self.counters.reconnects.add(1);
            tracing::info!("the stream is back");
        }
        let shown = self.settings.origin.shown();
        tracing::debug!("playing {shown}");
        let (counters, begun) = (Arc::clone(&self.counters), Instant::now());
        self.state.send_replace(PlayState::Playing { since: begun });
        self.begin(begun);
        let played = tokio::select! {
            played = self.play(&mut source) => played,
            never = watch_pictures(&counters, &shown) => match never {},
            _ = session.stop.changed() => {
                source.close().await;
                return Ok(Attempt::Over);
            }
        };
        if matches!(played, Err(SourceError::Silent(_))) {
            self.source_timeout.given_up();
        }
        if matches!(played, Ok(Ended::Bye) | Err(SourceError::Silent(_))) {
            source.close().await;
        }
        self.counters.set_waiting();
        self.recording.end_stream();
        self.end_sequence().await;
        let last = self.counters.last_received().filter(|last| *last >= begun);
        session.backoff.ended(last.map_or(Duration::ZERO, |last| last - begun));
        let is_file = matches!(self.settings.origin, Origin::File(_));
        // Who waits for the stream to begin, waits for its first picture.
        let has_begun = self.counters.last_received().is_some() || !self.settings.wait;
        let once = (self.settings.once && has_begun) || is_file;
        match played {
            Ok(_) if once => Ok(Attempt::Over),
            Err(error) if once || error.is_hopeless() => Err(error.into()),
            Ok(_) if last.is_none() && self.counters.evidence().why() == NoPicture::Nothing => {
                Ok(Attempt::Again(format!("the stream ended: {}", why_it_ended(NoPicture::Nothing))))
            }
            Ok(_) => Ok(Attempt::Again("the stream ended".to_owned())),
            Err(error) => Ok(Attempt::Again(error.to_string())),
        }
    }

    /// Opens a source. One by SRT is open once its pictures can be read: while none come, the log says why.
    async fn open<S, E: Into<SourceError>>(
        &self,
        opening: impl Future<Output = Result<S, E>>,
    ) -> Result<S, SourceError> {
        let opening = pin!(async { opening.await.map_err(E::into) });
        if !self.settings.origin.opens_with_pictures() {
            return opening.await;
        }
        self.counters.evidence().forget();
        let shown = self.settings.origin.shown();
        tokio::select! {
            opened = within(self.source_timeout.now(false), Duration::ZERO, opening) => opened,
            never = watch_pictures(&self.counters, &shown) => match never {},
        }
    }

    /// A connection has begun to play: nothing connects to what came before.
    fn begin(&mut self, now: Instant) {
        self.access.break_off();
        self.has_lost = false;
        self.source_timeout.connected(now);
        self.counters.evidence().forget();
        if let Some(hold) = &mut self.hold {
            hold.restart();
        }
    }

    /// Hands on what a source gives until it ends.
    async fn play<S: CodedSource>(&mut self, source: &mut S) -> Result<Ended, SourceError> {
        let before = self.counters.received_bytes.get();
        let mut counted = SourceStats::default();
        // Only while we listen is silence the source's.
        let mut listening = Instant::now();
        loop {
            let stats = source.stats();
            let event = match stats.is_paced {
                true => source.next().await?,
                false => {
                    let timeout = self.source_timeout.now(stats.server_clock.is_some());
                    within(timeout, listening.elapsed(), pin!(source.next())).await?
                }
            };
            self.count(before, &counted, source.stats());
            counted = source.stats();
            match event {
                SourceEvent::Frame(frame) => self.take_frame(frame).await,
                SourceEvent::Media => {}
                SourceEvent::Other => continue,
                SourceEvent::Ended(ended) => return Ok(ended),
            }
            let is_requested = self.keyframe_request.take() | self.recording.take_keyframe_request();
            if is_requested && !source.request_keyframe() {
                self.keyframe_request.set();
            }
            listening = Instant::now();
        }
    }

    /// Adds what a source has counted since the last time; `before` it, so many bytes had come.
    fn count(&self, before: u64, last: &SourceStats, now: SourceStats) {
        let counters = &self.counters;
        counters.received_bytes.set(before + now.received_bytes);
        counters.rtp_gaps.add(now.gaps - last.gaps);
        counters.malformed.add(now.malformed - last.malformed);
        self.recording.count_missing(MissingCause::Lost, now.dropped_frames - last.dropped_frames);
    }

    /// Hands a frame to the decoder, if it can be decoded.
    async fn take_frame(&mut self, mut frame: CodedFrame) {
        let now = Instant::now();
        self.counters.received(now);
        self.source_timeout.picture(now);
        self.counters.evidence().picture(&frame);
        frame.meta.arrived = Some(now);
        if let Some(hold) = self.hold.as_mut().filter(|_| frame.meta.is_live) {
            frame.meta.due = hold.arrived(frame.timestamp, now);
        }
        if let Some(bundles) = self.hold.as_mut().and_then(Hold::take_news) {
            self.warn_of_bundles(bundles);
        }
        if frame.meta.damaged {
            self.counters.damaged.add(1);
        }
        self.has_lost |= frame.meta.damaged || frame.meta.lost_before > 0;
        let was_waiting = self.access.is_waiting();
        let verdict = self.access.take(&frame);
        if (self.access.is_waiting() && !was_waiting) || matches!(verdict, Verdict::Decodable { begins_anew: true }) {
            // What the decoder still holds is whole, and its successors come later than it should be shown.
            self.end_sequence().await;
        }
        if !matches!(verdict, Verdict::Decodable { .. }) {
            let is_lost = self.has_lost && verdict == Verdict::BeforeIrap;
            self.recording.count_missing(if is_lost { MissingCause::Lost } else { MissingCause::NoKeyframe }, 1);
            if verdict == Verdict::BeforeIrap {
                self.keyframe_request.set();
            }
            self.counters.dropped.add(1);
            return;
        }
        self.has_lost = false;
        if self.recording.is_recording()
            && let Err(error) = self.recording.offer(frame.clone())
        {
            tracing::debug!("{error}");
        }
        // Waiting for room here makes the socket wait, and then the server: a joining burst of any length arrives whole,
        // and a reader that is too slow for good is the server's to bound.
        if self.frames.send(Playable::Frame(frame)).await.is_err() {
            self.counters.dropped.add(1);
        }
    }

    /// Ends the sequence for the decoder: what comes next does not follow what came.
    async fn end_sequence(&self) {
        // An error is that the decoder has ended by itself, which ends the pipeline.
        let _ = self.frames.send(Playable::EndOfSequence).await;
    }

    fn warn_of_bundles(&mut self, Bundles { pictures, every }: Bundles) {
        if !std::mem::replace(&mut self.has_warned_of_bundles, true) {
            tracing::warn!(
                "{}: pictures come in bundles of about {pictures} every {} ms, and are held to be shown evenly; without that \
                 delay if the server sends each at once (SRS: min_latency on; play {{ mw_latency 0; }})",
                self.settings.origin.shown(),
                every.as_millis()
            );
        }
    }
}
