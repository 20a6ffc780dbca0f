//! The encoder: one picture in, its access unit out, in the same call.

use std::time::{Duration, Instant};

use bytes::Bytes;
use hevcast_wire::congestion::Room;

use super::annexb;
use super::backend::{self, Backend};
use super::cut::Cuts;
use super::engine::{Engine, Unit};
use super::error::{EncodeError, Rejected};
use super::settings::{EncoderChoice, EncoderSettings, RateControl};
use super::steering::{Kind, Steering};
use crate::picture::Picture;
use crate::x265::Order;

/// One coded picture.
#[derive(Clone, Debug)]
pub struct Coded {
    /// The access unit in Annex B format. An IRAP is preceded by its parameter sets.
    pub data: Bytes,
    /// Whether decoding can start here (an IRAP picture).
    pub keyframe: bool,
    /// Mean QP of the picture, where the encoder tells.
    pub qp: Option<f32>,
}

/// What is wanted of one picture.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// When it was taken, by which a bitrate is counted.
    pub at: Instant,
    /// That it be an IDR picture; the keyframe interval starts anew with it.
    pub idr: bool,
    /// The bits that there is room for; `None`: any.
    pub room: Option<Room>,
}

/// An opened H.265 encoder which has proved that it works here.
pub struct Encoder {
    backend: &'static Backend,
    settings: EncoderSettings,
    engine: Engine,
    steering: Steering,
    cuts: Cuts,
    parameter_sets: Vec<Bytes>,
    /// Pictures encoded, which is the time stamp in units of the frame interval.
    count: i64,
    /// Pictures since the last keyframe, that one included.
    since_keyframe: u32,
}

impl Encoder {
    /// Opens the encoder that `settings` choose and proves it: two pictures are really encoded,
    /// and each has to come out at once; then it is opened afresh. [`EncoderChoice::Auto`] tries
    /// hardware in order, each once, and falls back to libx265; the second value lists those that
    /// were tried and did not work.
    ///
    /// # Errors
    /// For settings out of bounds, and when the named encoder, or none at all, works here.
    pub fn open(settings: &EncoderSettings) -> Result<(Encoder, Vec<Rejected>), EncodeError> {
        check_rate(settings.rate)?;
        settings.format.check()?;
        let mut rejected = Vec::new();
        if let EncoderChoice::Named(name) = &settings.choice {
            let backend = backend::find(name).ok_or_else(|| EncodeError::Missing(name.to_owned()))?;
            return Ok((Encoder::prove(backend, settings)?, rejected));
        }
        for backend in backend::TABLE {
            let is_last = backend.name == backend::SOFTWARE;
            // Presets are named differently by each encoder: one given belongs to libx265.
            let own = EncoderSettings { preset: settings.preset.clone().filter(|_| is_last), ..settings.clone() };
            match Encoder::prove(backend, &own) {
                Ok(encoder) => return Ok((encoder, rejected)),
                Err(error) if is_last => return Err(error),
                Err(error) => rejected.push(Rejected { name: backend.name.to_owned(), why: error.reason() }),
            }
        }
        Err(EncodeError::Missing(backend::SOFTWARE.to_owned()))
    }

    fn prove(backend: &'static Backend, settings: &EncoderSettings) -> Result<Encoder, EncodeError> {
        let mut probe = Encoder::open_one(backend, settings)?;
        let picture = Picture::new(settings.format)?;
        let first = probe.encode(&picture, true)?;
        probe.encode(&picture, false)?;
        let in_band = annexb::parameter_sets(&first.data);
        let mut parameter_sets: Vec<Bytes> = in_band.map(Bytes::copy_from_slice).collect();
        if parameter_sets.is_empty() {
            let global = annexb::parameter_sets(probe.engine.global_headers());
            parameter_sets = global.map(Bytes::copy_from_slice).collect();
        }
        if parameter_sets.len() < 3 {
            return Err(probe.failed("its stream has no parameter sets".to_owned()));
        }
        drop(probe);
        let mut encoder = Encoder::open_one(backend, settings)?;
        encoder.parameter_sets = parameter_sets;
        Ok(encoder)
    }

    fn open_one(backend: &'static Backend, settings: &EncoderSettings) -> Result<Encoder, EncodeError> {
        let preset = preset(backend, settings)?;
        let interval = Duration::from_secs_f64(1.0 / settings.frame_rate.per_second());
        Ok(Encoder {
            backend,
            settings: settings.clone(),
            engine: Engine::open(backend, settings, &preset)?,
            steering: Steering::new(settings.rate, interval),
            cuts: Cuts::default(),
            parameter_sets: Vec::new(),
            count: 0,
            since_keyframe: 0,
        })
    }

    /// FFmpeg's name of the encoder at work.
    pub fn name(&self) -> &str {
        self.backend.name
    }

    /// What it was opened with.
    pub fn settings(&self) -> &EncoderSettings {
        &self.settings
    }

    /// VPS, SPS and PPS as NAL units without start codes, for SDP.
    pub fn parameter_sets(&self) -> &[Bytes] {
        &self.parameter_sets
    }

    /// Whether it keeps within the room of each picture; others can only be given fewer pictures.
    pub fn keeps_within_room(&self) -> bool {
        self.engine.takes_qp() && !matches!(self.settings.rate, RateControl::Qp(_))
    }

    /// Encodes the picture taken just now, for which there is any room; see [`Encoder::encode_as`].
    ///
    /// # Errors
    /// For a picture of another format than the settings', and when the encoder fails.
    pub fn encode(&mut self, picture: &Picture, idr: bool) -> Result<Coded, EncodeError> {
        self.encode_as(picture, &Wish { at: Instant::now(), idr, room: None })
    }

    /// Encodes one picture; its access unit comes back at once.
    ///
    /// # Errors
    /// For a picture of another format than the settings', and when the encoder fails.
    pub fn encode_as(&mut self, picture: &Picture, wish: &Wish) -> Result<Coded, EncodeError> {
        if picture.format() != self.settings.format {
            return Err(EncodeError::Format { got: picture.format(), opened: self.settings.format });
        }
        let keyframe_is_due = self.count == 0 || self.since_keyframe >= self.settings.keyframe_pictures();
        // Looked at before every picture, keyframes too, and only where the QP is ours to choose.
        let is_cut = self.keeps_within_room() && self.cuts.is_cut(picture);
        let kind = match is_cut {
            _ if wish.idr || keyframe_is_due => Kind::Keyframe,
            true => Kind::Cut,
            false => Kind::Next,
        };
        let qp = match self.engine.takes_qp() {
            true => self.steering.qp(wish.at, kind, wish.room),
            false => None,
        };
        let order = Order { idr: wish.idr, qp };
        let unit = self.engine.encode(picture, self.count, order).map_err(|why| self.failed(why))?;
        let unit = unit.ok_or_else(|| EncodeError::HoldsBack(self.backend.name.to_owned()))?;
        self.count += 1;
        self.since_keyframe = if unit.keyframe { 1 } else { self.since_keyframe.saturating_add(1) };
        if let Some(qp) = unit.qp {
            let kind = if unit.keyframe { Kind::Keyframe } else { kind };
            self.steering.coded(kind, unit.data.len() as u64 * 8, f64::from(qp));
        }
        Ok(self.coded(unit))
    }

    fn coded(&self, unit: Unit) -> Coded {
        let Unit { data, keyframe, qp } = unit;
        let complete = !keyframe || annexb::parameter_sets(&data).next().is_some();
        let data = if complete { data } else { self.with_parameter_sets(&data) };
        Coded { data, keyframe, qp }
    }

    /// A copy of `unit` with the parameter sets before it, for encoders which give them only once.
    fn with_parameter_sets(&self, unit: &[u8]) -> Bytes {
        const START_CODE: [u8; 4] = [0, 0, 0, 1];
        let mut whole = Vec::with_capacity(unit.len() + 256);
        for set in &self.parameter_sets {
            whole.extend_from_slice(&START_CODE);
            whole.extend_from_slice(set);
        }
        whole.extend_from_slice(unit);
        Bytes::from(whole)
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

fn check_rate(rate: RateControl) -> Result<(), EncodeError> {
    let problem = match rate {
        RateControl::Qp(qp) | RateControl::Best(qp) if qp > 51 => format!("QP {qp} is out of bounds; use 0 to 51"),
        RateControl::Crf(crf) if !(0.0..=51.0).contains(&crf) => {
            format!("CRF {crf} is out of bounds; use 0 to 51")
        }
        RateControl::Bitrate(rate) if !(10_000..=1_000_000_000).contains(&rate) => {
            format!("{rate} bits/s is out of bounds; use 10k to 1000M")
        }
        _ => return Ok(()),
    };
    Err(EncodeError::Rate(problem))
}

fn preset(backend: &Backend, settings: &EncoderSettings) -> Result<String, EncodeError> {
    let known = backend.presets;
    match &settings.preset {
        None => Ok(known.first().copied().unwrap_or_default().to_owned()),
        Some(preset) if known.contains(&preset.as_str()) => Ok(preset.clone()),
        Some(preset) => Err(EncodeError::Preset {
            name: backend.name.to_owned(),
            preset: preset.clone(),
            known: if known.is_empty() { "none".to_owned() } else { known.join(", ") },
        }),
    }
}
