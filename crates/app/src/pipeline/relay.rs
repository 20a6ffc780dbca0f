//! A stream that somebody else has coded, passed on as it is: play → depacketize → publish.
//!
//! A task plays the source as a receiver does ([`super::play`]), with its reconnects and its patience; another hands each frame
//! to the outputs ([`super::outputs`]), so that a camera is coded once, by itself. What an output cannot take is dropped up to
//! the next random access frame, which is asked of the source. Frames without a capture time get that of their arrival here,
//! which says so: what was before is not known.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use hevcast_media::FrameRate;
use hevcast_media::Stop;
use hevcast_media::capture::{Pacing, SourceInfo, StampSource};
use hevcast_media::picture::PictureFormat;
use hevcast_net::{Clock, Target};
use hevcast_wire::live::Patience;
use hevcast_wire::time::RtpTicks;
use hevcast_wire::{CodedFrame, RandomAccess, SequenceInfo};
use tokio::sync::{mpsc, watch};

use super::capture::{Away, SourceState};
use super::origin::Origin;
use super::outputs::{self, OutputSettings, OutputState, Outputs};
use super::play::{PlayStage, PlayState, Playable};
use super::preview::{self, PreviewQueue, Show};
use super::receive::{FRAMES_DEPTH, ReceiveSettings};
use super::record::RecordTap;
use super::send::{Relayed, Sending};
use super::stage::{End, Stages};
use super::stamp::{SentStages, Stamper};
use crate::figures::receive::ReceiveCounters;
use crate::figures::send::SendCounters;

/// How long the first random access frame with its parameter sets may take once the source plays.
const FIRST_FRAME: Duration = Duration::from_secs(20);
/// A step of time stamps that differs by more than this from the time that has passed begins anew: the source is another.
const LARGEST_STEP: Duration = Duration::from_secs(5);

/// What to pass on, and where.
#[derive(Clone, Debug)]
pub struct RelaySettings {
    /// The stream.
    pub origin: Target,
    /// Where to, once or several times.
    pub targets: Vec<Target>,
}

/// Opens the source and starts passing it on; `show` gets the picture as pushed.
///
/// # Errors
/// The first thing that cannot be had: the source, a frame of it that can be decoded, or the server; of several servers, all.
pub async fn start(settings: RelaySettings, show: Option<Show>, clock: Clock) -> Result<Sending> {
    let shown = settings.origin.shown();
    let (counters, tap) = (Arc::new(SendCounters::default()), RecordTap::default());
    let (frames, mut queue) = mpsc::channel(FRAMES_DEPTH);
    let (stop_play, stopped) = watch::channel(false);
    let (told, mut state) = watch::channel(PlayState::Connecting);
    let (source_wants, keyframe_wanted) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let received = Arc::new(ReceiveCounters::new(clock));
    let play = PlayStage {
        settings: ReceiveSettings {
            origin: Origin::Stream(Box::new(settings.origin)),
            once: false,
            wait: false,
            source_timeout: None,
        },
        clock,
        frames,
        counters: Arc::clone(&received),
        wants_keyframe: Arc::clone(&source_wants),
        tap: tap.clone(),
        state: told,
        access: RandomAccess::default(),
        has_lost: false,
        patience: Patience::new(None),
        hold: None,
        told_of_bundles: false,
    };
    let mut play_task = tokio::spawn(play.run(stopped));
    let first = tokio::select! {
        first = first_frame(&mut queue) => first,
        ended = &mut play_task => {
            ended??;
            bail!("{shown}: the stream ended before its first keyframe")
        }
        () = tokio::time::sleep(FIRST_FRAME) => None,
    };
    let Some((first, sequence)) = first else {
        let _ = stop_play.send(true);
        bail!("{shown}: no keyframe with its parameter sets came within {} s", FIRST_FRAME.as_secs());
    };

    let (stop_outputs, outputs_stopped) = watch::channel(false);
    let (guard, end) = End::guarded();
    let size = (sequence.width, sequence.height);
    let parameter_sets = first.parameter_sets();
    let to_open = settings.targets.into_iter().map(|target| OutputSettings {
        target,
        parameter_sets: parameter_sets.clone(),
        clock,
        size,
    });
    // What a camera gives cannot be made smaller, so that its interval decides nothing.
    let interval = Duration::from_millis(33);
    let (outputs, running) = outputs::start(to_open.collect(), interval, &outputs_stopped, guard).await?;
    let description = format!("{shown}, {} {}x{} as it comes", first.codec, size.0, size.1);
    let source_state = Arc::new(SourceState::new(description.clone()));
    let offset = getrandom::u32().context("the system has no randomness to offer")?;
    let mut stages = Stages::default();
    let relay = RelayStage {
        preview: show.map(|show| preview::start(&mut stages, first.codec, show)).transpose()?,
        outputs,
        stamper: Stamper::new(clock, RtpTicks(offset)),
        timeline: Timeline::new(RtpTicks(offset)),
        raw_bits: raw_bits(&sequence),
        counters: Arc::clone(&counters),
        received,
        keyframe_wanted: Arc::clone(&keyframe_wanted),
        source_wants,
    };
    let relay_task = tokio::spawn(relay.run(first, queue));
    let shown_state = Arc::clone(&source_state);
    let state_task = tokio::spawn(async move {
        while state.changed().await.is_ok() {
            let is_away = matches!(*state.borrow_and_update(), PlayState::Retrying { .. });
            shown_state.set_away(is_away.then_some(Away::Silent));
        }
    });
    Ok(Sending {
        source: SourceInfo {
            description,
            format: PictureFormat::limited(size.0, size.1),
            frame_rate: FrameRate::whole(30),
            pacing: Pacing::Live,
            stamps: StampSource::Receipt,
            note: None,
        },
        encoder: "none, passed on".to_owned(),
        fallbacks: Vec::new(),
        counters,
        outputs: running.states,
        tap,
        keyframe_wanted,
        source_state,
        encoding: None,
        relayed: Some(Relayed { stop_play, tasks: vec![relay_task, state_task], play_task }),
        stop: Stop::new(),
        stop_outputs,
        stages,
        output_tasks: running.tasks,
        end,
    })
}

/// The first frame that decoding can start at, and what its pictures are like; `None` when none comes any more.
async fn first_frame(queue: &mut mpsc::Receiver<Playable>) -> Option<(CodedFrame, SequenceInfo)> {
    while let Some(playable) = queue.recv().await {
        let Playable::Frame(frame) = playable else { continue };
        let sets = frame.parameter_sets();
        let sequence = sets.sps().filter(|_| sets.is_complete()).and_then(|sps| frame.codec.sequence_info(sps));
        if let Some(sequence) = sequence {
            return Some((frame, sequence));
        }
    }
    None
}

/// Bits of a picture in 4:2:0 before it was coded, as the compression ratio counts them.
fn raw_bits(sequence: &SequenceInfo) -> u64 {
    let bytes = if sequence.bit_depth > 8 { 2 } else { 1 };
    u64::from(sequence.width) * u64::from(sequence.height) * 12 * bytes
}

/// The task that hands frames to the outputs.
struct RelayStage {
    preview: Option<PreviewQueue>,
    outputs: Outputs,
    stamper: Stamper,
    timeline: Timeline,
    raw_bits: u64,
    counters: Arc<SendCounters>,
    /// Of the source: what can be decoded is taken for decoded, so that nobody is told of a dark picture.
    received: Arc<ReceiveCounters>,
    /// By whoever records.
    keyframe_wanted: Arc<AtomicBool>,
    /// Asks the source for a random access frame.
    source_wants: Arc<AtomicBool>,
}

impl RelayStage {
    async fn run(mut self, first: CodedFrame, mut queue: mpsc::Receiver<Playable>) {
        self.pass_on(first);
        while let Some(playable) = queue.recv().await {
            if let Playable::Frame(frame) = playable {
                self.pass_on(frame);
            }
        }
    }

    fn pass_on(&mut self, mut frame: CodedFrame) {
        let now = Instant::now();
        let arrived = frame.meta.arrived.unwrap_or(now);
        self.received.decoded();
        self.counters.captured.fetch_add(1, Ordering::Relaxed);
        if let Some(sequence) = frame.parameter_sets().sps().and_then(|sps| frame.codec.sequence_info(sps)) {
            self.raw_bits = raw_bits(&sequence);
        }
        self.counters.encoded(&frame, self.raw_bits, Duration::ZERO);
        frame.timestamp = self.timeline.place(frame.timestamp, arrived);
        frame.meta.captured = Some(self.stamper.utc(arrived));
        // What each link takes is looked at, so that one that is behind is given nothing more.
        let _ = self.outputs.bit_budget(now, true);
        let is_stamped = frame.capture_stamp().is_some();
        let stamper = &self.stamper;
        self.outputs.offer(&frame, now, |output: &OutputState| {
            let mut frame = frame.clone();
            if !is_stamped {
                let previous_send_queue = output.backlog.last_wait();
                let stages = SentStages { previous_send_queue, is_relayed: true, ..SentStages::default() };
                stamper.stamp(&mut frame, arrived, output.server_clock(), &stages);
            }
            frame
        });
        if let Some(preview) = &mut self.preview
            && !preview.offer(&frame)
        {
            self.counters.dropped_preview.fetch_add(1, Ordering::Relaxed);
        }
        let wanted = self.keyframe_wanted.swap(false, Ordering::AcqRel) | self.outputs.take_keyframe_wanted();
        if wanted {
            self.source_wants.store(true, Ordering::Release);
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
