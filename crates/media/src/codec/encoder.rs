//! The encoder: one picture in, its access unit out, in the same call.

use bytes::Bytes;

use super::annexb;
use super::backend::{self, Backend};
use super::error::{EncodeError, Rejected};
use super::settings::{EncoderChoice, EncoderSettings, RateControl};
use crate::av::AvError;
use crate::av::codec::{Codec, EncoderSetup, Output, has_encoder};
use crate::av::ffi::AVPixelFormat;
use crate::av::frame::Frame;
use crate::av::hardware::Pool;
use crate::av::packet::Packet;
use crate::av::scaler::{Scaler, Side};
use crate::picture::Picture;

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

/// An opened H.265 encoder which has proved that it works here.
pub struct Encoder {
    backend: &'static Backend,
    settings: EncoderSettings,
    codec: Codec,
    upload: Upload,
    parameter_sets: Vec<Bytes>,
    /// Pictures encoded, which is the time stamp in units of the frame interval.
    count: i64,
}

/// How pictures get to where the encoder reads them.
struct Upload {
    scaler: Option<Scaler>,
    pool: Option<Pool>,
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
            let global = annexb::parameter_sets(probe.codec.extradata());
            parameter_sets = global.map(Bytes::copy_from_slice).collect();
        }
        if parameter_sets.len() < 3 {
            let why = "its stream has no parameter sets".to_owned();
            return Err(probe.failed(why));
        }
        drop(probe);
        let mut encoder = Encoder::open_one(backend, settings)?;
        encoder.parameter_sets = parameter_sets;
        Ok(encoder)
    }

    fn open_one(backend: &'static Backend, settings: &EncoderSettings) -> Result<Encoder, EncodeError> {
        let name = backend.name;
        if !has_encoder(name) {
            return Err(EncodeError::Missing(name.to_owned()));
        }
        let why = |error: AvError| EncodeError::Open { name: name.to_owned(), why: error.to_string() };
        let preset = preset(backend, settings)?;
        let size = (settings.format.width, settings.format.height);
        let pool = match backend.vaapi_upload {
            true => Some(Pool::vaapi(size.0, size.1).map_err(why)?),
            false => None,
        };
        let (bit_rate, buffer_bits) = backend.context_rate(settings);
        let codec = Codec::encoder(&EncoderSetup {
            name,
            format: settings.format,
            pixels: match &pool {
                Some(_) => AVPixelFormat::VAAPI,
                None => backend.pixels,
            },
            frame_rate: settings.frame_rate,
            keyframe_interval: settings.keyframe_pictures(),
            bit_rate,
            buffer_bits,
            pool: pool.as_ref(),
            options: &backend.options(settings, &preset),
        })
        .map_err(why)?;
        Ok(Encoder {
            backend,
            settings: settings.clone(),
            codec,
            upload: Upload::new(backend, settings, pool).map_err(why)?,
            parameter_sets: Vec::new(),
            count: 0,
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

    /// Encodes one picture; its access unit comes back at once. With `force_idr` it becomes an
    /// IDR, and the keyframe interval starts anew.
    ///
    /// # Errors
    /// For a picture of another format than the settings', and when the encoder fails.
    pub fn encode(&mut self, picture: &Picture, force_idr: bool) -> Result<Coded, EncodeError> {
        if picture.format() != self.settings.format {
            return Err(EncodeError::Format { got: picture.format(), opened: self.settings.format });
        }
        let failed =
            |error: AvError| EncodeError::Failed { name: self.backend.name.to_owned(), why: error.to_string() };
        let mut frame = self.upload.run(picture).map_err(failed)?;
        frame.set_pts(self.count);
        frame.ask_keyframe(force_idr);
        self.count += 1;
        let mut packet = Packet::empty().map_err(failed)?;
        self.codec.send_frame(&frame).map_err(failed)?;
        match self.codec.receive_packet(&mut packet).map_err(failed)? {
            Output::Ready => Ok(self.coded(packet)),
            Output::NeedsInput | Output::Ended => Err(EncodeError::HoldsBack(self.backend.name.to_owned())),
        }
    }

    fn coded(&self, packet: Packet) -> Coded {
        let keyframe = packet.is_keyframe();
        let qp = packet.mean_qp();
        let complete = !keyframe || annexb::parameter_sets(packet.data()).next().is_some();
        let data = if complete { Bytes::from_owner(packet) } else { self.with_parameter_sets(packet.data()) };
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

impl Upload {
    fn new(backend: &Backend, settings: &EncoderSettings, pool: Option<Pool>) -> Result<Upload, AvError> {
        let format = settings.format;
        let from =
            Side { format: AVPixelFormat::YUV420P, width: format.width, height: format.height, colour: format.colour };
        let to = Side { format: backend.pixels, ..from };
        let scaler = match from == to {
            true => None,
            false => Some(Scaler::new(from, to)?),
        };
        Ok(Upload { scaler, pool })
    }

    fn run(&mut self, picture: &Picture) -> Result<Frame, AvError> {
        let converted = match &mut self.scaler {
            None => picture.frame().share()?,
            Some(scaler) => scaler.run(picture.frame())?,
        };
        match &self.pool {
            None => Ok(converted),
            Some(pool) => pool.upload(&converted),
        }
    }
}

fn check_rate(rate: RateControl) -> Result<(), EncodeError> {
    let problem = match rate {
        RateControl::Qp(qp) if qp > 51 => format!("QP {qp} is out of bounds; use 0 to 51"),
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
