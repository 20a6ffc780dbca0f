//! A stream that somebody else has coded, as it is passed on: a receiver without a decoder.
//!
//! [`RelaySource`] plays the stream as a receiver does ([`super::super::play`]), with its reconnects and time-outs. Its
//! frames are ready to be sent: their time stamps go on where the source's begin anew, and those without a capture time get
//! that of their arrival here, which says so: what was before is not known.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use hevcast_net::Clock;
use hevcast_wire::live::Patience;
use hevcast_wire::rtsp::clock::ClockOffset;
use hevcast_wire::time::RtpTicks;
use hevcast_wire::{CodedFrame, RandomAccess, SequenceInfo};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::figures::receive::ReceiveCounters;
use crate::pipeline::keyframe::KeyframeRequest;
use crate::pipeline::origin::Origin;
use crate::pipeline::play::{PlayStage, PlayState, Playable};
use crate::pipeline::receive::{FRAMES_DEPTH, ReceiveSettings};
use crate::pipeline::record::RecordOutput;
use crate::pipeline::stamp::{SentStages, Stamper};

/// How long the first random access frame with its parameter sets may take once the source plays.
const FIRST_FRAME: Duration = Duration::from_secs(20);
/// A step of time stamps that differs by more than this from the time that has passed begins anew: the source is another.
const LARGEST_STEP: Duration = Duration::from_secs(5);

/// A source that is being played; ended by [`RelaySource::stop`].
#[derive(Debug)]
pub struct RelaySource {
    shown: String,
    frames: mpsc::Receiver<Playable>,
    stop: watch::Sender<bool>,
    /// `None` once its result has been returned.
    play_task: Option<JoinHandle<Result<()>>>,
    /// What can be decoded counts as decoded, so that the log does not say that there is no picture.
    received: Arc<ReceiveCounters>,
    keyframe_request: KeyframeRequest,
    stamper: Stamper,
    timeline: Timeline,
}

impl RelaySource {
    /// Begins to play; the frames are offered to `recording` as they come. With `waits`, also where the first connection fails.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn start(
        origin: Origin,
        waits: bool,
        recording: RecordOutput,
        clock: Clock,
    ) -> Result<(RelaySource, watch::Receiver<PlayState>)> {
        let offset = RtpTicks(getrandom::u32().context("the system has no randomness to offer")?);
        let shown = origin.shown();
        let (sender, frames) = mpsc::channel(FRAMES_DEPTH);
        let (stop, stopped) = watch::channel(false);
        let (state_sender, state) = watch::channel(PlayState::Connecting);
        let received = Arc::new(ReceiveCounters::new(clock));
        let keyframe_request = KeyframeRequest::default();
        let play = PlayStage {
            settings: ReceiveSettings { origin, once: false, wait: waits, source_timeout: None },
            clock,
            frames: sender,
            counters: Arc::clone(&received),
            keyframe_request: keyframe_request.clone(),
            recording,
            state: state_sender,
            access: RandomAccess::default(),
            has_lost: false,
            source_timeout: Patience::new(None),
            hold: None,
            has_warned_of_bundles: false,
        };
        let play_task = Some(tokio::spawn(play.run(stopped)));
        let (stamper, timeline) = (Stamper::new(clock, offset), Timeline::new(offset));
        Ok((RelaySource { shown, frames, stop, play_task, received, keyframe_request, stamper, timeline }, state))
    }

    /// Waits for the first frame that decoding can start at, and what its pictures are like.
    ///
    /// # Errors
    /// The source's; or that no such frame came.
    pub async fn first(&mut self) -> Result<(CodedFrame, SequenceInfo)> {
        let deadline = tokio::time::Instant::now() + FIRST_FRAME;
        loop {
            let frame = match tokio::time::timeout_at(deadline, self.next()).await {
                Ok(Some(frame)) => frame,
                Ok(None) => {
                    self.ended().await?;
                    bail!("{}: the stream ended before its first keyframe", self.shown)
                }
                Err(_) => {
                    let seconds = FIRST_FRAME.as_secs();
                    bail!("{}: no keyframe with its parameter sets came within {seconds} s", self.shown)
                }
            };
            let sets = frame.parameter_sets();
            let sps = sets.sps().filter(|_| frame.random_access && sets.is_complete());
            if let Some(sequence) = sps.and_then(|sps| frame.codec.sequence_info(sps)) {
                return Ok((frame, sequence));
            }
        }
    }

    /// The next frame, ready to be sent but for its stamp; `None` when none comes any more. Cancelling it loses nothing.
    pub async fn next(&mut self) -> Option<CodedFrame> {
        loop {
            let Playable::Frame(mut frame) = self.frames.recv().await? else { continue };
            self.received.decoded();
            let arrived = frame.meta.arrived.unwrap_or_else(Instant::now);
            frame.timestamp = self.timeline.place(frame.timestamp, arrived);
            frame.meta.captured = Some(self.stamper.utc(arrived));
            return Some(frame);
        }
    }

    /// The frame with the time of its arrival, where it has no capture time, by the clock of the server that it goes to.
    /// `previous_send_queue`: how long the frame before waited for the socket.
    pub fn stamped(
        &self,
        frame: &CodedFrame,
        server: Option<ClockOffset>,
        previous_send_queue: Duration,
    ) -> CodedFrame {
        let mut frame = frame.clone();
        if let (None, Some(arrived)) = (frame.capture_stamp(), frame.meta.arrived) {
            let stages = SentStages { previous_send_queue, is_relayed: true, ..SentStages::default() };
            self.stamper.stamp(&mut frame, arrived, server, &stages);
        }
        frame
    }

    /// Requests a random access frame of the source.
    pub fn request_keyframe(&self) {
        self.keyframe_request.set();
    }

    /// Ends the session with the source.
    ///
    /// # Errors
    /// What made it end by itself.
    pub async fn stop(mut self) -> Result<()> {
        // Nobody listens where it has ended by itself.
        let _ = self.stop.send(true);
        // What still waits for room in the queue is not waited for.
        self.frames.close();
        self.ended().await
    }

    /// Waits for the end of the task; its error is returned once.
    async fn ended(&mut self) -> Result<()> {
        match self.play_task.take() {
            Some(task) => task.await?,
            None => Ok(()),
        }
    }
}

/// Time stamps that go on where the source's begin anew, as after a reconnect.
#[derive(Debug)]
struct Timeline {
    offset: RtpTicks,
    /// Time stamp and arrival of the last frame, as it came.
    last: Option<(RtpTicks, Instant)>,
}

impl Timeline {
    /// Begins at `offset`.
    fn new(offset: RtpTicks) -> Timeline {
        Timeline { offset, last: None }
    }

    /// The time stamp under which a frame is passed on.
    fn place(&mut self, timestamp: RtpTicks, arrived: Instant) -> RtpTicks {
        let largest = LARGEST_STEP.as_secs() as i64 * RtpTicks::HZ as i64;
        match self.last {
            None => self.offset = RtpTicks(self.offset.0.wrapping_sub(timestamp.0)),
            Some((last, at)) => {
                let step = i64::from(timestamp.0.wrapping_sub(last.0) as i32);
                let elapsed =
                    arrived.saturating_duration_since(at).as_micros() as i64 * RtpTicks::HZ as i64 / 1_000_000;
                if (step - elapsed).abs() > largest {
                    let placed = last.0.wrapping_add(self.offset.0).wrapping_add(elapsed.max(1) as u32);
                    self.offset = RtpTicks(placed.wrapping_sub(timestamp.0));
                }
            }
        }
        self.last = Some((timestamp, arrived));
        RtpTicks(timestamp.0.wrapping_add(self.offset.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_on_where_the_source_begins_anew() {
        let (mut timeline, begun) = (Timeline::new(RtpTicks(u32::MAX - 1000)), Instant::now());
        let mut place = |ticks: u32, ms: u64| timeline.place(RtpTicks(ticks), begun + Duration::from_millis(ms)).0;
        let first = place(77, 0);
        assert_eq!(first, u32::MAX - 1000);
        assert_eq!(place(3077, 33).wrapping_sub(first), 3000);
        // B-pictures come out of order.
        assert_eq!(place(1577, 50).wrapping_sub(first), 1500);
        // Another connection, a second later, at any time stamp.
        assert_eq!(place(2_000_000_000, 1050).wrapping_sub(first), 1500 + 90_000);
        assert_eq!(place(2_000_003_000, 1083).wrapping_sub(first), 1500 + 93_000);
        // The source stood still for a minute, and its clock with it or not.
        assert_eq!(place(2_000_003_000 + 60 * 90_000, 61_083).wrapping_sub(first), 1500 + 93_000 + 60 * 90_000);
    }
}
