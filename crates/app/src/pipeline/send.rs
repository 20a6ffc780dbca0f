//! capture → encode → packetize → publish.
//!
//! Two threads, and a task for each output: the source's, the encoder's, and the outputs' ([`super::outputs`]). Between source and encoder
//! stands the [`Slot`] `capture`, depth 1: a live source's newest picture wins, a file waits. A picture is given up only
//! here, before it is coded, and each cause has a counter. Who watches the sender sees what it pushed ([`super::preview`]),
//! and who records gets it too ([`super::record`]).
//!
//! A live source's pictures are made to fit what the fastest output takes ([`hevcast_wire::congestion`]): coarser, where
//! the rate control allows it, and fewer where that is not enough.

use parking_lot::Mutex;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use hevcast_media::capture::{self, Captured, Input, Pacing, Source, SourceInfo, Wanted};
use hevcast_media::codec::{
    EncodeError, Encoder, EncoderChoice, EncoderOptions, EncoderSettings, FrameRequest, RateControl, Rejected,
};
use hevcast_media::picture::PictureFormat;
use hevcast_media::{FrameRate, Stop};
use hevcast_net::{Clock, Target};
use hevcast_wire::CodecId;
use hevcast_wire::congestion::BitBudget;
use hevcast_wire::time::RtpTicks;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::capture::{CaptureStage, CapturedFrame, SourceState};
use super::keyframe::KeyframeRequest;
use super::outputs::output::Output;
use super::outputs::{self, OutputSettings, OutputState, Outputs, Skip};
use super::preview::{self, PreviewQueue, Show};
use super::record::{RecordOutput, Recorder};
use super::slot::Slot;
use super::stage::{PipelineEnd, Stages};
use super::stamp::{SentStages, Stamper};
use super::thinning::{Sieve, ThinningPolicy};
use crate::figures::counters::Counter;
use crate::figures::send::SendCounters;
use crate::priority;

/// How long a file waits for the link before it checks whether it was stopped.
const ROOM_TIMEOUT: Duration = Duration::from_millis(100);

/// Longest time between keyframes where readers cannot request one, so that none waits for long. Where they can, the
/// encoder's own interval holds.
const FREQUENT_KEYFRAMES: Duration = Duration::from_secs(2);

/// What to send, how it is coded, and to which servers.
#[derive(Clone, Debug)]
pub struct SendSettings {
    /// The camera, screen or file that gives pictures.
    pub input: Input,
    /// The size and frame rate that the source is opened with, if it has them.
    pub wanted: Wanted,
    /// The encoder and its options. Without a keyframe interval, keyframes are as rare as the servers allow.
    pub encoder: EncoderOptions,
    /// The addresses to publish at, one or several.
    pub targets: Vec<Target>,
}

/// A source and an encoder that work together.
struct Opened {
    source: Box<dyn Source>,
    encoder: Encoder,
}

/// A running sender, or relay. To be ended by [`Sending::stop`].
#[derive(Debug)]
pub struct Sending {
    /// What the source gives, as negotiated.
    pub source: SourceInfo,
    /// The name of the encoder that was opened.
    pub encoder: String,
    /// Encoders that were tried before it and why each cannot be used here.
    pub fallbacks: Vec<String>,
    /// What the stages have counted.
    pub counters: Arc<SendCounters>,
    /// Each output's state, with what it has counted.
    pub outputs: Vec<Arc<OutputState>>,
    pub(super) recording: RecordOutput,
    /// What is shown of the source: its description, and whether it is away.
    pub source_state: Arc<SourceState>,
    /// The encoder's; `None` where the source codes.
    pub(super) encoding: Option<Encoding>,
    /// The tasks of a source that codes.
    pub(super) relayed: Option<Relayed>,
    pub(super) stop: Stop,
    pub(super) stop_outputs: watch::Sender<bool>,
    pub(super) stages: Stages,
    pub(super) output_tasks: Vec<JoinHandle<Result<()>>>,
    pub(super) end: PipelineEnd,
}

/// By which the encoder at work is changed.
#[derive(Debug)]
pub(super) struct Encoding {
    /// Of the encoder at work.
    settings: Arc<Mutex<EncoderSettings>>,
    /// Opened beside the one at work, with another rate; the encoder's thread takes it before its next picture.
    next: Arc<Mutex<Option<Encoder>>>,
}

/// What runs where the source codes ([`super::relay`]).
#[derive(Debug)]
pub(super) struct Relayed {
    /// Ends it.
    pub(super) stop: watch::Sender<bool>,
    /// Its end says why the source has ended.
    pub(super) task: JoinHandle<Result<()>>,
}

/// Opens everything and starts sending; `show` gets the picture as pushed.
///
/// # Errors
/// The first thing that cannot be had: the source, an encoder, or the server; of several servers, all.
pub async fn start(settings: SendSettings, show: Option<Show>, clock: Clock) -> Result<Sending> {
    let stop = Stop::new();
    let targets = settings.targets.clone();
    let fixed_keyframes = settings.encoder.keyframe_interval.is_some();
    let (opened, fallbacks) = tokio::task::spawn_blocking(move || open(&settings)).await??;
    let Opened { source, encoder } = opened;
    let info = source.info().clone();

    let (stop_outputs, outputs_stopped) = watch::channel(false);
    let (guard, end) = PipelineEnd::new();
    let (parameter_sets, size) = (encoder.parameter_sets(), (info.format.width, info.format.height));
    let to_open = targets.into_iter().map(|target| OutputSettings {
        target,
        parameter_sets: parameter_sets.clone(),
        clock,
        size,
    });
    let interval = Duration::from_secs_f64(1.0 / info.frame_rate.per_second());
    let (outputs, running) = outputs::start(to_open.collect(), interval, &outputs_stopped, guard).await?;

    let (slot, sieve) = (Arc::new(Slot::default()), Arc::new(Sieve::default()));
    let counters = Arc::new(SendCounters::default());
    let next_encoder = Arc::new(Mutex::new(None));
    let (recording, keyframe_request) = (RecordOutput::default(), KeyframeRequest::default());
    let encoder_name = encoder.name().to_owned();
    let encoder_settings = encoder.settings().clone().with_choice(EncoderChoice::Named(encoder_name.clone()));
    let encoder_settings = Arc::new(Mutex::new(encoder_settings));
    let source_state = Arc::new(SourceState::new(info.description.clone()));
    let mut stages = Stages::default();
    let encode = EncodeStage {
        encoder,
        encoder_settings: Arc::clone(&encoder_settings),
        next_encoder: Arc::clone(&next_encoder),
        thinning: ThinningPolicy::new(Instant::now()),
        sieve: Arc::clone(&sieve),
        preview: show.map(|show| preview::start(&mut stages, CodecId::H265, show)).transpose()?,
        stamper: Stamper::new(clock, RtpTicks(getrandom::u32().context("the system has no randomness to offer")?)),
        pacing: info.pacing,
        keyframes_are_fixed: fixed_keyframes,
        last_keyframe: None,
        keyframe_request: keyframe_request.clone(),
        outputs,
        recording: recording.clone(),
        counters: Arc::clone(&counters),
        stop: stop.clone(),
    };
    let capture = CaptureStage {
        source,
        slot: Arc::clone(&slot),
        sieve,
        counters: Arc::clone(&counters),
        state: Arc::clone(&source_state),
        keyframe_request,
        stop: stop.clone(),
    };
    stages.spawn("capture", move || capture.run())?;
    stages.spawn("encode", move || encode.run(&slot))?;
    Ok(Sending {
        source: info,
        encoder: encoder_name,
        fallbacks,
        counters,
        outputs: running.states,
        recording,
        source_state,
        encoding: Some(Encoding { settings: encoder_settings, next: next_encoder }),
        relayed: None,
        stop,
        stop_outputs,
        stages,
        output_tasks: running.tasks,
        end,
    })
}

fn open(settings: &SendSettings) -> Result<(Opened, Vec<String>)> {
    let source = capture::open(&settings.input, &settings.wanted)?;
    let info = source.info();
    let encoder_settings =
        EncoderSettings { format: info.format, frame_rate: info.frame_rate, options: settings.encoder.clone() };
    let (encoder, rejected) = open_encoder(&encoder_settings)?;
    let fallbacks = rejected.iter().map(|r| format!("{}: {}", r.name, r.why)).collect();
    Ok((Opened { source, encoder }, fallbacks))
}

/// Opens an encoder whose worker threads have the priority of stages that pictures pass.
fn open_encoder(settings: &EncoderSettings) -> Result<(Encoder, Vec<Rejected>), EncodeError> {
    priority::while_raised(|| Encoder::open(settings))
}

/// The encode stage.
struct EncodeStage {
    encoder: Encoder,
    encoder_settings: Arc<Mutex<EncoderSettings>>,
    next_encoder: Arc<Mutex<Option<Encoder>>>,
    thinning: ThinningPolicy,
    /// The capture stage's.
    sieve: Arc<Sieve>,
    preview: Option<PreviewQueue>,
    stamper: Stamper,
    pacing: Pacing,
    /// The user has said how often keyframes come.
    keyframes_are_fixed: bool,
    /// When the last keyframe was captured.
    last_keyframe: Option<Instant>,
    /// The capture stage's.
    keyframe_request: KeyframeRequest,
    outputs: Outputs,
    recording: RecordOutput,
    counters: Arc<SendCounters>,
    stop: Stop,
}

impl EncodeStage {
    fn run(mut self, slot: &Slot<CapturedFrame>) -> Result<()> {
        let _closed = slot.close_on_drop();
        while let Some(CapturedFrame { captured, frame_rate }) = slot.take() {
            if self.stop.is_stopped() {
                break;
            }
            let next = self.next_encoder.lock().take();
            let is_changed = next.is_some();
            if let Some(next) = next {
                // Its first picture is an IDR picture.
                self.encoder = next;
            }
            if self.fit_encoder(captured.picture.format(), frame_rate)? || is_changed {
                self.thinning.restart(Instant::now(), slot.dropped());
            }
            match self.bit_budget() {
                Ok(budget) => {
                    let took = self.encode(&captured, budget)?;
                    let interval = Duration::from_secs_f64(1.0 / frame_rate.per_second());
                    self.thinning.after_picture(Instant::now(), interval, took, slot.dropped(), &self.sieve);
                }
                Err(dropped) => dropped.add(1),
            }
        }
        Ok(())
    }

    /// The bit budget of this picture; the counter of the cause where it is not worth coding.
    fn bit_budget(&mut self) -> Result<Option<BitBudget>, &Counter> {
        if self.pacing == Pacing::Patient && self.outputs.is_connected() {
            // A file has no live edge to keep up with: it waits until the link has taken what was coded.
            while !self.stop.is_stopped() && !self.outputs.wait_for_room(ROOM_TIMEOUT) {}
            return Ok(None);
        }
        match self.outputs.bit_budget(Instant::now(), self.encoder.keeps_within_budget()) {
            Ok(budget) => Ok(budget),
            Err(Skip::NoConnection) if self.recording.is_recording() => Ok(None),
            Err(Skip::NoConnection) => Err(&self.counters.dropped_no_connection),
            Err(Skip::Backlog) => Err(&self.counters.dropped_backlog),
        }
    }

    /// Whether readers who cannot request a keyframe should get one with the picture captured at `at`.
    fn keyframe_is_due(&self, at: Instant) -> bool {
        let age = self.last_keyframe.map(|last| at.saturating_duration_since(last));
        !self.keyframes_are_fixed
            && !self.outputs.pass_on_keyframe_requests()
            && age.is_some_and(|age| age >= FREQUENT_KEYFRAMES)
    }

    /// Opens an encoder for what the source gives now, if that has changed: a file whose size changes, a camera that came
    /// back in another mode. Returns whether it did.
    fn fit_encoder(&mut self, format: PictureFormat, frame_rate: FrameRate) -> Result<bool> {
        let at_work = self.encoder.settings();
        if (at_work.format, at_work.frame_rate) == (format, frame_rate) {
            return Ok(false);
        }
        let same = EncoderChoice::Named(self.encoder.name().to_owned());
        let mut settings = EncoderSettings { format, frame_rate, ..at_work.clone() }.with_choice(same);
        // The parameter sets are others anyway.
        settings.options.threads = None;
        let any = || open_encoder(&settings.clone().with_choice(EncoderChoice::Auto));
        let (next, _) = open_encoder(&settings).or_else(|_| any())?;
        tracing::info!("pictures of {}x{} from now on, by {}", format.width, format.height, next.name());
        *self.encoder_settings.lock() = settings.with_choice(EncoderChoice::Named(next.name().to_owned()));
        // Its first picture is an IDR picture.
        self.encoder = next;
        Ok(true)
    }

    /// Encodes a picture and hands it to the outputs; returns how long the encoder took.
    fn encode(&mut self, captured: &Captured, budget: Option<BitBudget>) -> Result<Duration> {
        let (begun, at) = (Instant::now(), captured.at);
        // All are taken, for one keyframe serves all.
        let is_requested = self.keyframe_request.take()
            | self.outputs.take_keyframe_request()
            | self.recording.take_keyframe_request();
        let idr = is_requested || self.keyframe_is_due(at);
        let request = FrameRequest { captured: at, timestamp: self.stamper.rtp(at), idr, budget };
        let mut frame = self.encoder.encode_as(&captured.picture, &request)?;
        frame.meta.captured = Some(self.stamper.utc(at));
        if frame.random_access {
            self.last_keyframe = Some(at);
        }
        let done = Instant::now();
        let (stamper, capture_wait, encode) = (&self.stamper, begun.saturating_duration_since(at), done - begun);
        self.counters.encoded(&frame, captured.picture.format().raw_bits(), encode);
        self.counters.waited(capture_wait, captured.times);
        // Each output has a server of its own, and with it a clock.
        let stamped = |clock, previous_send_queue| {
            let mut frame = frame.clone();
            let stages = SentStages { capture_wait, encode, previous_send_queue, is_relayed: false };
            stamper.stamp(&mut frame, at, clock, &stages);
            frame
        };
        if self.recording.is_recording() {
            self.recording.offer(stamped(None, Duration::ZERO))?;
        }
        let stamped_for = |output: &OutputState| stamped(output.server_clock(), output.backlog.last_wait());
        self.outputs.offer(&frame, Instant::now(), stamped_for);
        if let Some(preview) = &mut self.preview
            && !preview.offer(&frame)
        {
            self.counters.dropped_preview.add(1);
        }
        Ok(encode)
    }
}

impl Sending {
    /// Waits until the source has ended, or a stage has failed, and everything coded has left: stages end in order, the
    /// output last.
    pub async fn finished(&self) {
        self.end.wait().await;
    }

    /// Whether the source codes, and its frames are passed on as they are.
    pub fn is_relay(&self) -> bool {
        self.relayed.is_some()
    }

    /// The frame rate that the source was opened with.
    pub fn frame_rate(&self) -> FrameRate {
        self.source.frame_rate
    }

    /// Goes on with another rate, within a few pictures and without missing one: an encoder is opened for it beside the
    /// one at work. Bounds are the encoder's.
    ///
    /// # Errors
    /// When there is no such encoder; the old one stays at work.
    pub async fn set_rate(&self, rate: RateControl) -> Result<()> {
        let Some(encoding) = &self.encoding else { bail!("the source codes by itself: change its own settings") };
        let mut settings = encoding.settings.lock().clone();
        settings.options.rate = rate;
        let (encoder, _) = tokio::task::spawn_blocking(move || open_encoder(&settings)).await??;
        *encoding.next.lock() = Some(encoder);
        Ok(())
    }

    /// Records what is sent to `path`, from a keyframe on, which is requested.
    ///
    /// # Errors
    /// When no file can be made there, or there is no thread for it.
    pub fn record(&self, path: PathBuf) -> Result<Recorder> {
        Recorder::start(&self.recording, path, Arc::clone(&self.counters.recorded))
    }

    /// Ends the stages in order: source, encoder, outputs. A link that does not take the last pictures within a moment is
    /// torn down.
    ///
    /// # Errors
    /// What made a stage end by itself, such as a camera that was unplugged.
    pub async fn stop(self) -> Result<()> {
        self.stop.stop();
        let mut relayed = Ok(());
        if let Some(Relayed { stop, task }) = self.relayed {
            // Nobody listens where it has ended by itself.
            let _ = stop.send(true);
            relayed = task.await?;
        }
        let sent = outputs::end(self.output_tasks, &self.stop_outputs).await;
        self.stages.join().await.and(relayed).and(sent)
    }
}
