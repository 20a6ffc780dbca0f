//! play → depacketize → decode → present.
//!
//! A task and two threads: the socket's ([`super::play`]), the decoder's, and the presenter's. Queue `frames`, depth [`FRAMES_DEPTH`], holds
//! coded frames in order between the task and the decoder; when it is full the socket waits, and with it the server.
//! The [`Slot`] `present`, depth 1, stands before the presenter: on a screen the newest picture wins; a file gets all.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use hevcast_media::Stop;
use hevcast_media::codec::{Decoded, Decoder};
use hevcast_media::picture::Picture;
use hevcast_net::Clock;
use hevcast_wire::live::{Hold, Patience};
use hevcast_wire::rtsp::clock::ClockOffset;
use hevcast_wire::sei::{CaptureStamp, SendStages};
use hevcast_wire::time::RtpTicks;
use hevcast_wire::{CodecId, CodedFrame, RandomAccess};
use tokio::sync::{mpsc, watch};

use super::keyframe::KeyframeRequest;
use super::origin::Origin;
use super::play::{PlayStage, PlayState, Playable};
use super::record::{RecordOutput, Recorder};
use super::slot::Slot;
use super::stage::{PipelineEnd, Stages};
use crate::figures::delay::Shown;
use crate::figures::receive::ReceiveCounters;

/// Depth of the queue `frames`: enough to keep the decoder busy through a joining burst.
pub const FRAMES_DEPTH: usize = 64;

/// How long a sink may take over its last picture when the user stops.
const SINK_TIMEOUT: Duration = Duration::from_millis(100);

/// Where decoded pictures are presented: a window, a file, or nowhere.
pub trait Sink: Send {
    /// Whether every picture counts (a file) or only the newest (a screen).
    fn takes_all(&self) -> bool;

    /// Presents a picture. Returns the instant at which it was handed to the screen, or written; `None` when it was not, such
    /// as on a window that is hidden.
    ///
    /// # Errors
    /// When nothing more can be presented, such as on a broken pipe; it ends the pipeline.
    fn present(&mut self, picture: &Picture) -> Result<Option<Instant>>;
}

/// What to receive, and how failures of the stream are dealt with.
#[derive(Clone, Debug)]
pub struct ReceiveSettings {
    /// The stream, or the file.
    pub origin: Origin,
    /// End with the stream instead of waiting for its return.
    pub once: bool,
    /// Keep trying even if the first connection fails.
    pub wait: bool,
    /// How long nothing may come before the source counts as lost; `None`: a time that follows from how its pictures came so far.
    pub source_timeout: Option<Duration>,
}

/// A decoded picture on its way to the presenter.
struct Presentable {
    picture: Picture,
    timestamp: RtpTicks,
    stamp: Option<(CaptureStamp, Option<SendStages>)>,
    arrived: Instant,
    held: Duration,
    decoded_at: Instant,
    clock: Option<ClockOffset>,
    is_live: bool,
}

/// A running receiver. To be ended by [`Receiving::stop`].
#[derive(Debug)]
pub struct Receiving {
    /// What the stages have counted.
    pub counters: Arc<ReceiveCounters>,
    /// What the play stage is doing.
    pub state: watch::Receiver<PlayState>,
    recording: RecordOutput,
    stop: watch::Sender<bool>,
    play_task: tokio::task::JoinHandle<Result<()>>,
    stages: Stages,
    end: PipelineEnd,
    /// Nothing more is to be presented.
    stop_presenting: Stop,
}

/// Starts receiving into `sink`.
///
/// # Errors
/// When there is no decoder, or no thread for it. What the network does comes out of [`Receiving::stop`].
pub fn start(settings: ReceiveSettings, sink: Box<dyn Sink>, clock: Clock) -> Result<Receiving> {
    start_recorded(settings, sink, clock, None).map(|(receiving, _)| receiving)
}

/// The same, recorded from its very first keyframe on to `record`, where that is given.
///
/// # Errors
/// As [`start`]'s; and when no file can be made there.
pub fn start_recorded(
    settings: ReceiveSettings,
    sink: Box<dyn Sink>,
    clock: Clock,
    record: Option<PathBuf>,
) -> Result<(Receiving, Option<Recorder>)> {
    let (frames, queue) = mpsc::channel(FRAMES_DEPTH);
    let (stop, stopped) = watch::channel(false);
    let counters = Arc::new(ReceiveCounters::new(clock));
    let slot = Arc::new(Slot::default());
    let keyframe_request = KeyframeRequest::default();
    let recording = RecordOutput::default();
    // Before the first picture can come.
    let recorder = record.map(|path| Recorder::start(&recording, path, Arc::clone(&counters.recorded))).transpose()?;
    let (state_sender, state) = watch::channel(PlayState::Connecting);
    let takes_all = sink.takes_all();
    let play = PlayStage {
        access: RandomAccess::default(),
        has_lost: false,
        source_timeout: Patience::new(settings.source_timeout),
        hold: (!takes_all).then(Hold::default),
        has_warned_of_bundles: false,
        settings,
        clock,
        frames,
        counters: Arc::clone(&counters),
        keyframe_request: keyframe_request.clone(),
        recording: recording.clone(),
        state: state_sender,
    };
    let stop_presenting = Stop::new();
    let decode = DecodeStage {
        decoder: Decoder::new(CodecId::H265)?,
        codec: CodecId::H265,
        takes_all,
        counters: Arc::clone(&counters),
        keyframe_request,
        in_decoder: Vec::new(),
        stop: stop_presenting.clone(),
    };
    let mut stages = Stages::default();
    let (decoded, shown_by) = (Arc::clone(&slot), Arc::clone(&counters));
    stages.spawn("decode", move || decode.run(queue, &decoded))?;
    let (guard, end) = PipelineEnd::new();
    stages.spawn("present", move || {
        let _guard = guard;
        present_stage(sink, &slot, &shown_by)
    })?;
    let play_task = tokio::spawn(play.run(stopped));
    let receiving = Receiving { counters, state, recording, stop, play_task, stages, end, stop_presenting };
    Ok((receiving, recorder))
}

/// The decode stage.
struct DecodeStage {
    /// For frames of `codec`; another is opened where that changes.
    decoder: Decoder,
    codec: CodecId,
    takes_all: bool,
    counters: Arc<ReceiveCounters>,
    keyframe_request: KeyframeRequest,
    /// Frames whose pictures have not come out; more than one only where the stream reorders pictures.
    in_decoder: Vec<(i64, Inside)>,
    stop: Stop,
}

/// A frame in the decoder.
struct Inside {
    frame: CodedFrame,
    /// How long it was held before.
    held: Duration,
}

/// Most frames that wait for their pictures: the largest decoded picture buffer of H.264 and H.265.
const MAX_IN_DECODER: usize = 16;

impl DecodeStage {
    fn run(mut self, mut queue: mpsc::Receiver<Playable>, slot: &Slot<Presentable>) -> Result<()> {
        let _closed = slot.close_on_drop();
        let mut tag = 0;
        let mut decoded = Vec::new();
        let mut next = None;
        while let Some(playable) = next.take().or_else(|| queue.blocking_recv()) {
            if self.stop.is_stopped() {
                return Ok(());
            }
            let Playable::Frame(frame) = playable else {
                if !self.drain(slot) {
                    return Ok(());
                }
                continue;
            };
            if frame.codec != self.codec {
                // What the one before still holds comes first.
                if !self.drain(slot) {
                    return Ok(());
                }
                (self.decoder, self.codec) = (Decoder::new(frame.codec)?, frame.codec);
            }
            let held = match frame.meta.due {
                Some(due) if self.stop.wait_until(due) => return Ok(()),
                Some(_) => frame.meta.arrived.map_or(Duration::ZERO, |arrived| arrived.elapsed()),
                None => Duration::ZERO,
            };
            tag += 1;
            if self.in_decoder.len() == MAX_IN_DECODER {
                self.in_decoder.remove(0);
            }
            // With another frame waiting we are behind the live edge: a screen need not show this one. What is held is not
            // behind, and neither is the last before an end.
            next = queue.try_recv().ok();
            let is_live_edge = frame.meta.due.is_some() || !matches!(next, Some(Playable::Frame(_)));
            let result = self.decoder.decode(&frame, tag, &mut decoded);
            self.in_decoder.push((tag, Inside { frame, held }));
            if let Err(error) = result {
                tracing::debug!("{error}");
                self.counters.damaged.add(1);
                self.keyframe_request.set();
            }
            for decoded in decoded.drain(..) {
                if !self.hand_over(decoded, is_live_edge, slot) {
                    return Ok(());
                }
            }
        }
        if !self.stop.is_stopped() {
            self.drain(slot);
        }
        Ok(())
    }

    /// Hands over what the decoder holds back for pictures that do not come any more: where the stream reorders them, the
    /// last ones. False when the presenter has ended.
    fn drain(&mut self, slot: &Slot<Presentable>) -> bool {
        // Without reordering each picture came out with its frame.
        if self.in_decoder.is_empty() {
            return true;
        }
        let mut decoded = Vec::new();
        if let Err(error) = self.decoder.flush(&mut decoded) {
            tracing::debug!("{error}");
        }
        let mut is_open = true;
        for decoded in decoded {
            is_open = is_open && self.presentable(decoded).is_none_or(|last| slot.put_when_empty(last));
        }
        self.in_decoder.clear();
        is_open
    }

    /// A decoded picture with what came beside it.
    fn presentable(&mut self, decoded: Decoded) -> Option<Presentable> {
        let index = self.in_decoder.iter().position(|(tag, _)| *tag == decoded.tag)?;
        let (_, Inside { frame, held }) = self.in_decoder.remove(index);
        self.counters.decoded();
        if decoded.damaged {
            self.counters.damaged.add(1);
            self.keyframe_request.set();
        }
        let decoded_at = Instant::now();
        Some(Presentable {
            timestamp: frame.timestamp,
            stamp: frame.capture_stamp(),
            arrived: frame.meta.arrived.unwrap_or(decoded_at),
            held,
            decoded_at,
            clock: frame.meta.server_clock,
            is_live: frame.meta.is_live,
            picture: decoded.picture,
        })
    }

    /// False when the presenter has ended.
    fn hand_over(&mut self, decoded: Decoded, is_live_edge: bool, slot: &Slot<Presentable>) -> bool {
        let Some(presentable) = self.presentable(decoded) else { return true };
        if self.takes_all {
            return slot.put_when_empty(presentable);
        }
        if is_live_edge {
            let before = slot.dropped();
            slot.put_newest(presentable);
            self.counters.dropped.add(slot.dropped() - before);
        } else {
            self.counters.dropped.add(1);
        }
        true
    }
}

/// The present stage.
fn present_stage(mut sink: Box<dyn Sink>, slot: &Slot<Presentable>, counters: &ReceiveCounters) -> Result<()> {
    let _closed = slot.close_on_drop();
    while let Some(Presentable { picture, timestamp, stamp, arrived, held, decoded_at, clock, is_live }) = slot.take() {
        let Some(presented) = sink.present(&picture)? else {
            counters.dropped.add(1);
            continue;
        };
        counters.shown(Shown {
            format: picture.format(),
            timestamp,
            stamp,
            arrived,
            held,
            decoded_at,
            presented,
            clock,
            is_live,
        });
    }
    Ok(())
}

impl Receiving {
    /// Records the stream as received to `path`, from a keyframe on, which is requested.
    ///
    /// # Errors
    /// When no file can be made there, or there is no thread for it.
    pub fn record(&self, path: PathBuf) -> Result<Recorder> {
        Recorder::start(&self.recording, path, Arc::clone(&self.counters.recorded))
    }

    /// Waits until the stream has ended for good and everything has been presented, or the sink has failed: stages end
    /// in order, the presenter last.
    pub async fn finished(&self) {
        self.end.wait().await;
    }

    /// Ends the stages in order. What has not been presented by now is given up, and so is a sink that takes nothing.
    ///
    /// # Errors
    /// What made a stage end by itself: an error of the network, or of the sink.
    pub async fn stop(self) -> Result<()> {
        self.stop_presenting.stop();
        // Nobody listens when the task has already ended.
        let _ = self.stop.send(true);
        let played = self.play_task.await?;
        match tokio::time::timeout(SINK_TIMEOUT, self.stages.join()).await {
            Ok(stages) => played.and(stages),
            Err(_) => {
                tracing::warn!("the output does not take the last picture; it is given up");
                played
            }
        }
    }
}
