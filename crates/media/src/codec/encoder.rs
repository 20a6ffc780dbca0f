//! The encoder: one picture in, its coded frame out, in the same call.

use std::time::{Duration, Instant};

use bytes::Bytes;
use hevcast_wire::annexb;
use hevcast_wire::congestion::BitBudget;
use hevcast_wire::time::RtpTicks;
use hevcast_wire::{CodecId, CodedFrame, ParameterSetStage, ParameterSets};

use super::backend::{self, Backend};
use super::cut::CutDetector;
use super::engine::{Encoded, Engine};
use super::error::{EncodeError, Rejected};
use super::rate_controller::{Kind, RateController};
use super::settings::{EncoderChoice, EncoderSettings, RateControl};
use super::threads::{StarvationTest, Threads};
use crate::picture::Picture;
use crate::x265::EncodeParams;

/// What is requested of the encoder for one frame.
#[derive(Clone, Copy, Debug)]
pub struct FrameRequest {
    /// Capture time of the picture; rate control counts bits per second by it.
    pub captured: Instant,
    /// RTP time stamp for the frame.
    pub timestamp: RtpTicks,
    /// Whether it must be an IDR picture; the keyframe interval starts again with it.
    pub idr: bool,
    /// The most bits that it may have; `None`: any number.
    pub budget: Option<BitBudget>,
}

/// An opened H.265 encoder that has been tested on this computer.
pub struct Encoder {
    backend: &'static Backend,
    settings: EncoderSettings,
    engine: Engine,
    rate_controller: RateController,
    cut_detector: CutDetector,
    parameter_sets: ParameterSetStage,
    /// Pictures encoded, which is the time stamp in units of the frame interval.
    count: i64,
    /// Pictures since the last keyframe, that one included.
    since_keyframe: u32,
}

impl Encoder {
    /// Opens the encoder that `settings` choose and tests it: two pictures are encoded, and each must be returned at once; then
    /// it is opened again. [`EncoderChoice::Auto`] tries the hardware encoders in order of preference and then libx265; the
    /// second value lists those that were tried and do not work.
    ///
    /// # Errors
    /// For settings out of bounds, and when the named encoder, or none at all, works here.
    pub fn open(settings: &EncoderSettings) -> Result<(Encoder, Vec<Rejected>), EncodeError> {
        settings.format.check()?;
        let mut rejected = Vec::new();
        if let EncoderChoice::Named(name) = &settings.options.choice {
            let backend = backend::find(name).ok_or_else(|| EncodeError::Missing(name.to_owned()))?;
            return Ok((Encoder::open_tested(backend, settings)?, rejected));
        }
        for backend in backend::TABLE {
            let is_last = backend.name == backend::SOFTWARE;
            // Each encoder names its presets differently: with `auto`, a given one is libx265's.
            let mut own = settings.clone();
            own.options.preset.take_if(|_| !is_last);
            match Encoder::open_tested(backend, &own) {
                Ok(encoder) => return Ok((encoder, rejected)),
                Err(error) if is_last => return Err(error),
                Err(error) => rejected.push(Rejected { name: backend.name.to_owned(), why: error.reason() }),
            }
        }
        Err(EncodeError::Missing(backend::SOFTWARE.to_owned()))
    }

    fn open_tested(backend: &'static Backend, settings: &EncoderSettings) -> Result<Encoder, EncodeError> {
        let mut settings = settings.clone();
        if settings.options.threads.is_none() {
            settings.options.threads = Some(Encoder::threads_that_suit(backend, &settings));
        }
        let mut probe = Encoder::open_one(backend, &settings)?;
        let picture = Picture::new(settings.format)?;
        let first = probe.encode(&picture, true)?;
        probe.encode(&picture, false)?;
        let mut parameter_sets = first.parameter_sets();
        if parameter_sets.is_empty() {
            // Some encoders have them beside the stream only.
            let global = Bytes::copy_from_slice(probe.engine.global_headers());
            parameter_sets = ParameterSets::of_nals(CodecId::H265, &annexb::split(&global).collect::<Vec<_>>());
        }
        if !parameter_sets.is_complete() {
            return Err(probe.failed("its stream has no parameter sets".to_owned()));
        }
        drop(probe);
        let mut encoder = Encoder::open_one(backend, &settings)?;
        encoder.parameter_sets = ParameterSetStage::new(parameter_sets);
        Ok(encoder)
    }

    fn open_one(backend: &'static Backend, settings: &EncoderSettings) -> Result<Encoder, EncodeError> {
        let preset = preset(backend, settings)?;
        let interval = Duration::from_secs_f64(1.0 / settings.frame_rate.per_second());
        Ok(Encoder {
            backend,
            settings: settings.clone(),
            engine: Engine::open(backend, settings, &preset)?,
            rate_controller: RateController::new(settings.options.rate, interval),
            cut_detector: CutDetector::default(),
            parameter_sets: ParameterSetStage::new(ParameterSets::default()),
            count: 0,
            since_keyframe: 0,
        })
    }

    /// Among how many threads a picture should be divided on this computer as it is now. Only libx265 has the choice; whatever
    /// keeps it from coding test pictures is told better by the stream's own.
    fn threads_that_suit(backend: &'static Backend, settings: &EncoderSettings) -> Threads {
        if backend.name != backend::SOFTWARE {
            return Threads::default();
        }
        let threads = Encoder::test_for_starvation(backend, settings);
        threads.inspect_err(|error| tracing::debug!("no test pictures: {error}")).unwrap_or_default()
    }

    /// Codes test pictures, so small that they take little time on a busy computer, too.
    fn test_for_starvation(backend: &'static Backend, settings: &EncoderSettings) -> Result<Threads, EncodeError> {
        let mut settings = settings.clone();
        (settings.format.width, settings.format.height) = StarvationTest::SIZE;
        let mut probe = Encoder::open_one(backend, &settings)?;
        let mut test = StarvationTest::default();
        for shift in 0.. {
            let picture = Picture::textured(settings.format, shift)?;
            let begun = Instant::now();
            probe.encode(&picture, false)?;
            let Some(waited) = probe.engine.mean_wait() else { break };
            if let Some(threads) = test.after_picture(begun.elapsed(), waited) {
                tracing::debug!("{threads:?} after {test:?}");
                return Ok(threads);
            }
        }
        Ok(Threads::default())
    }

    /// FFmpeg's name of the encoder, such as `libx265`.
    pub fn name(&self) -> &str {
        self.backend.name
    }

    /// The settings that it was opened with, which never change.
    pub fn settings(&self) -> &EncoderSettings {
        &self.settings
    }

    /// VPS, SPS and PPS of the stream, for a session description.
    pub fn parameter_sets(&self) -> &ParameterSets {
        self.parameter_sets.known()
    }

    /// Whether it keeps within [`FrameRequest::budget`]. The bitrate of other encoders falls only with the frame rate.
    pub fn keeps_within_budget(&self) -> bool {
        self.engine.takes_qp() && !matches!(self.settings.options.rate, RateControl::Qp(_))
    }

    /// Encodes a picture that was captured just now, without a bit budget: see [`Encoder::encode_as`].
    ///
    /// # Errors
    /// For a picture of another format than the settings', and when the encoder fails.
    pub fn encode(&mut self, picture: &Picture, idr: bool) -> Result<CodedFrame, EncodeError> {
        let timestamp = RtpTicks::default();
        self.encode_as(picture, &FrameRequest { captured: Instant::now(), timestamp, idr, budget: None })
    }

    /// Encodes one picture and returns its frame. A random access frame has its parameter sets.
    ///
    /// # Errors
    /// For a picture of another format than the settings', and when the encoder fails.
    pub fn encode_as(&mut self, picture: &Picture, request: &FrameRequest) -> Result<CodedFrame, EncodeError> {
        if picture.format() != self.settings.format {
            return Err(EncodeError::Format { got: picture.format(), opened: self.settings.format });
        }
        let keyframe_is_due = self.count == 0 || self.since_keyframe >= self.settings.keyframe_pictures();
        // Run on every picture, keyframes included, since it compares with the one before.
        let is_cut = self.keeps_within_budget() && self.cut_detector.is_cut(picture);
        let kind = match is_cut {
            _ if request.idr || keyframe_is_due => Kind::Keyframe,
            true => Kind::Cut,
            false => Kind::Next,
        };
        let qp = match self.engine.takes_qp() {
            true => self.rate_controller.qp(request.captured, kind, request.budget),
            false => None,
        };
        let params = EncodeParams { idr: request.idr, qp };
        let coded = self.engine.encode(picture, self.count, params).map_err(|why| self.failed(why))?;
        let Encoded { nals, qp } = coded.ok_or_else(|| EncodeError::HoldsBack(self.backend.name.to_owned()))?;
        let mut frame = CodedFrame::new(CodecId::H265, request.timestamp, nals);
        frame.meta.qp = qp;
        self.count += 1;
        self.since_keyframe = if frame.random_access { 1 } else { self.since_keyframe.saturating_add(1) };
        if let Some(qp) = qp {
            let kind = if frame.random_access { Kind::Keyframe } else { kind };
            self.rate_controller.coded(kind, frame.annexb_bytes() as u64 * 8, f64::from(qp));
        }
        self.parameter_sets.process(&mut frame);
        Ok(frame)
    }

    fn failed(&self, why: String) -> EncodeError {
        EncodeError::Failed { name: self.backend.name.to_owned(), why }
    }
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").field("name", &self.name()).field("settings", &self.settings).finish_non_exhaustive()
    }
}

fn preset(backend: &Backend, settings: &EncoderSettings) -> Result<String, EncodeError> {
    let known = backend.presets;
    match &settings.options.preset {
        None => Ok(known.first().copied().unwrap_or_default().to_owned()),
        Some(preset) if known.contains(&preset.as_str()) => Ok(preset.clone()),
        Some(preset) => Err(EncodeError::Preset {
            name: backend.name.to_owned(),
            preset: preset.clone(),
            known: if known.is_empty() { "none".to_owned() } else { known.join(", ") },
        }),
    }
}
