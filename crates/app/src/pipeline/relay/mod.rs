//! A stream that somebody else has coded, passed on as it is: play → depacketize → publish.
//!
//! A task takes frames of the [source] to the outputs ([`super::outputs`]), so that a camera is coded once, by itself. What an
//! output cannot take is dropped up to the next random access frame, which is requested of the source.

pub mod source;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use hevcast_media::capture::{Pacing, SourceInfo, StampSource};
use hevcast_media::picture::PictureFormat;
use hevcast_media::{FrameRate, Stop};
use hevcast_net::{Clock, Target};
use hevcast_wire::{CodedFrame, SequenceInfo};
use tokio::sync::watch;

use self::source::RelaySource;
use super::capture::{Away, SourceState};
use super::origin::Origin;
use super::outputs::{self, OutputSettings, OutputState, Outputs};
use super::play::PlayState;
use super::preview::{self, PreviewQueue, Show};
use super::record::RecordOutput;
use super::send::{Relayed, Sending};
use super::stage::{PipelineEnd, Stages};
use crate::figures::send::SendCounters;

/// What to pass on, and to which servers.
#[derive(Clone, Debug)]
pub struct RelaySettings {
    /// The stream that is pulled.
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
    let (counters, recording) = (Arc::new(SendCounters::default()), RecordOutput::default());
    let origin = Origin::Stream(Box::new(settings.origin));
    let (mut source, state) = RelaySource::start(origin, false, recording.clone(), clock)?;
    let (first, sequence) = source.first().await?;

    let (stop_outputs, outputs_stopped) = watch::channel(false);
    let (guard, end) = PipelineEnd::new();
    let (size, parameter_sets) = ((sequence.width, sequence.height), first.parameter_sets());
    let to_open = settings.targets.into_iter().map(|target| OutputSettings {
        target,
        parameter_sets: parameter_sets.clone(),
        clock,
        size,
    });
    // What a camera gives cannot be made smaller, so that its interval decides nothing.
    let interval = Duration::from_millis(33);
    let (outputs, running) = outputs::start(to_open.collect(), interval, &outputs_stopped, guard).await?;
    let description = format!("{shown}, {} {}x{}, not recoded", first.codec, size.0, size.1);
    let source_state = Arc::new(SourceState::new(description.clone()));
    let (stop, stopped) = watch::channel(false);
    let mut stages = Stages::default();
    let relay = RelayStage {
        source,
        preview: show.map(|show| preview::start(&mut stages, first.codec, show)).transpose()?,
        outputs,
        raw_bits: raw_bits(&sequence),
        counters: Arc::clone(&counters),
    };
    let relay_task = tokio::spawn(relay.run(first, stopped));
    tokio::spawn(show_state(state, Arc::clone(&source_state)));
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
        recording,
        source_state,
        encoding: None,
        relayed: Some(Relayed { stop, task: relay_task }),
        stop: Stop::new(),
        stop_outputs,
        stages,
        output_tasks: running.tasks,
        end,
    })
}

/// Keeps `shown` up to date on whether the source gives pictures, until it has ended.
async fn show_state(mut state: watch::Receiver<PlayState>, shown: Arc<SourceState>) {
    while state.changed().await.is_ok() {
        let is_away = matches!(*state.borrow_and_update(), PlayState::Retrying { .. });
        shown.set_away(is_away.then_some(Away::Silent));
    }
}

/// Bits of a picture in 4:2:0 before it was coded, as the compression ratio counts them.
fn raw_bits(sequence: &SequenceInfo) -> u64 {
    let bytes = if sequence.bit_depth > 8 { 2 } else { 1 };
    u64::from(sequence.width) * u64::from(sequence.height) * 12 * bytes
}

/// The task that hands frames to the outputs.
struct RelayStage {
    source: RelaySource,
    preview: Option<PreviewQueue>,
    outputs: Outputs,
    raw_bits: u64,
    counters: Arc<SendCounters>,
}

impl RelayStage {
    async fn run(mut self, first: CodedFrame, mut stop: watch::Receiver<bool>) -> Result<()> {
        self.pass_on(&first);
        loop {
            tokio::select! {
                frame = self.source.next() => match frame {
                    Some(frame) => self.pass_on(&frame),
                    None => break,
                },
                _ = stop.changed() => break,
            }
        }
        // The outputs end with their queues, while the source's session is ended.
        let RelayStage { source, outputs, .. } = self;
        drop(outputs);
        source.stop().await
    }

    fn pass_on(&mut self, frame: &CodedFrame) {
        let now = Instant::now();
        self.counters.captured.add(1);
        if let Some(sequence) = frame.parameter_sets().sps().and_then(|sps| frame.codec.sequence_info(sps)) {
            self.raw_bits = raw_bits(&sequence);
        }
        self.counters.encoded(frame, self.raw_bits, Duration::ZERO);
        // Updates what each link takes, so that one that is behind is given nothing more.
        let _ = self.outputs.bit_budget(now, true);
        let source = &self.source;
        self.outputs.offer(frame, now, |output: &OutputState| {
            source.stamped(frame, output.server_clock(), output.backlog.last_wait())
        });
        if let Some(preview) = &mut self.preview
            && !preview.offer(frame)
        {
            self.counters.dropped_preview.add(1);
        }
        if self.outputs.take_keyframe_request() {
            self.source.request_keyframe();
        }
    }
}
