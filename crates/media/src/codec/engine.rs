//! One interface to all encoders: x265, which is called directly, and the others, which are called through FFmpeg.

use std::time::Duration;

use bytes::Bytes;
use hevcast_wire::annexb;

use super::backend::{self, Backend, SOFTWARE};
use super::diagnosis;
use super::error::{EncodeError, instead_of};
use super::settings::EncoderSettings;
use crate::av::codec::{Codec, EncoderSetup, Output, has_encoder};
use crate::av::frame::Frame;
use crate::av::hardware::Pool;
use crate::av::packet::Packet;
use crate::av::scaler::{Scaler, Side};
use crate::av::{AVPixelFormat, AvError};
use crate::picture::{Picture, side_of};
use crate::x265::{self, EncodeParams, X265};

/// An opened encoder of the table.
pub(super) enum Engine {
    /// libx265, called directly.
    X265(Box<X265>),
    /// An encoder of FFmpeg's.
    FFmpeg(FFmpeg),
}

/// What an encoder makes of one picture.
pub(super) struct Encoded {
    /// Its NAL units without start codes, in shared bytes.
    pub(super) nals: Vec<Bytes>,
    /// The mean QP over the picture; `None` where the encoder does not report it.
    pub(super) qp: Option<f32>,
}

/// An encoder of FFmpeg's, and what brings pictures into its pixel format and memory.
pub(super) struct FFmpeg {
    codec: Codec,
    upload: Upload,
}

/// Brings pictures into the pixel format and the memory that the encoder reads.
struct Upload {
    scaler: Option<Scaler>,
    pool: Option<Pool>,
}

impl Engine {
    pub(super) fn open(backend: &Backend, settings: &EncoderSettings, preset: &str) -> Result<Engine, EncodeError> {
        let name = backend.name;
        if name == SOFTWARE {
            let params = backend::x265_params(settings);
            let setup =
                x265::Setup { format: settings.format, frame_rate: settings.frame_rate, preset, params: &params };
            let opened = X265::open(&setup).map(|x265| Engine::X265(Box::new(x265)));
            return opened.map_err(|error| diagnosis::of_x265(error, settings, preset));
        }
        if !has_encoder(name) {
            return Err(EncodeError::Missing(name.to_owned()));
        }
        let refused = |error: AvError| EncodeError::Open {
            name: name.to_owned(),
            why: error.to_string(),
            remedy: instead_of(name, "use a smaller --size").to_owned(),
        };
        FFmpeg::open(backend, settings, preset).map(Engine::FFmpeg).map_err(refused)
    }

    /// Whether a QP can be set for each picture.
    pub(super) fn takes_qp(&self) -> bool {
        matches!(self, Engine::X265(_))
    }

    /// How long the encoder's threads were ready to run and waited for a processor since this was last asked for, on average; `None`
    /// where that is not measured.
    pub(super) fn mean_wait(&mut self) -> Option<Duration> {
        match self {
            Engine::X265(x265) => x265.mean_wait(),
            Engine::FFmpeg(_) => None,
        }
    }

    /// Parameter sets that do not come with keyframes, in Annex B format or none.
    pub(super) fn global_headers(&self) -> &[u8] {
        match self {
            Engine::X265(_) => &[],
            Engine::FFmpeg(ffmpeg) => ffmpeg.codec.extradata(),
        }
    }

    /// Encodes a picture. `None` if the encoder holds it back. The error is the encoder's message.
    pub(super) fn encode(
        &mut self,
        picture: &Picture,
        pts: i64,
        params: EncodeParams,
    ) -> Result<Option<Encoded>, String> {
        match self {
            Engine::X265(x265) => {
                let output = x265.encode(picture, pts, params).map_err(|error| error.to_string())?;
                Ok(output.map(|output| Encoded { nals: output.nals, qp: Some(output.mean_qp) }))
            }
            Engine::FFmpeg(ffmpeg) => ffmpeg.encode(picture, pts, params.idr).map_err(|error| error.to_string()),
        }
    }
}

impl FFmpeg {
    fn open(backend: &Backend, settings: &EncoderSettings, preset: &str) -> Result<FFmpeg, AvError> {
        let format = settings.format;
        let pixels = backend.pixels_of(format.depth);
        let pool = match backend.vaapi_upload {
            true => Some(Pool::vaapi(pixels, format.width, format.height)?),
            false => None,
        };
        let (bit_rate, buffer_bits) = backend.context_rate(settings);
        let codec = Codec::encoder(&EncoderSetup {
            name: backend.name,
            format,
            pixels: match &pool {
                Some(_) => AVPixelFormat::VAAPI,
                None => pixels,
            },
            frame_rate: settings.frame_rate,
            keyframe_interval: settings.keyframe_pictures(),
            bit_rate,
            buffer_bits,
            pool: pool.as_ref(),
            options: &backend.options(settings, preset),
        })?;
        Ok(FFmpeg { codec, upload: Upload::new(backend, settings, pool)? })
    }

    fn encode(&mut self, picture: &Picture, pts: i64, idr: bool) -> Result<Option<Encoded>, AvError> {
        let mut frame = self.upload.run(picture)?;
        frame.set_pts(pts);
        frame.request_keyframe(idr);
        let mut packet = Packet::empty()?;
        self.codec.send_frame(&frame)?;
        match self.codec.receive_packet(&mut packet)? {
            Output::Ready => {
                let qp = packet.mean_qp();
                let nals = annexb::split(&Bytes::from_owner(packet)).collect();
                Ok(Some(Encoded { nals, qp }))
            }
            Output::NeedsInput | Output::Ended => Ok(None),
        }
    }
}

impl Upload {
    fn new(backend: &Backend, settings: &EncoderSettings, pool: Option<Pool>) -> Result<Upload, AvError> {
        let format = settings.format;
        let from = side_of(format);
        let to = Side { format: backend.pixels_of(format.depth), ..from };
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
