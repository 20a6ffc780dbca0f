//! The settings of an encoder.

use std::str::FromStr;
use std::time::Duration;

use super::limits::{Bitrate, Crf, Qp};
use super::threads::Threads;
use crate::frame_rate::FrameRate;
use crate::picture::PictureFormat;

/// How the number of bits is controlled: what stays constant while the content changes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RateControl {
    /// A constant quantisation parameter, whatever bitrate results.
    Qp(Qp),
    /// The same, but a higher one for a picture that would exceed its
    /// [`BitBudget`](hevcast_wire::congestion::BitBudget), and for a few pictures after a scene cut.
    Best(Qp),
    /// A constant perceived quality: x265's constant rate factor.
    Crf(Crf),
    /// A constant bitrate, kept over a fraction of a second.
    Bitrate(Bitrate),
}

/// Which encoder to use, written as `auto` or by the encoder's name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum EncoderChoice {
    /// The first hardware encoder that works on this computer, else libx265.
    #[default]
    Auto,
    /// The encoder with this name of FFmpeg's.
    Named(String),
}

/// A text that is neither `auto` nor the name of a supported encoder.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown encoder `{0}`; use auto, libx265, nvenc, qsv, vaapi, amf, videotoolbox or v4l2m2m")]
pub struct UnknownEncoder(pub String);

impl FromStr for EncoderChoice {
    type Err = UnknownEncoder;

    /// `auto`, or an encoder by its FFmpeg name (`hevc_nvenc`, `libx265`) or short (`nvenc`,
    /// `x265`).
    fn from_str(text: &str) -> Result<EncoderChoice, UnknownEncoder> {
        if text == "auto" {
            return Ok(EncoderChoice::Auto);
        }
        super::backend::find(text)
            .map(|backend| EncoderChoice::Named(backend.name.to_owned()))
            .ok_or_else(|| UnknownEncoder(text.to_owned()))
    }
}

impl RateControl {
    /// The constant QP that an encoder is opened with; `None` for other rate controls.
    pub(crate) fn constant_qp(self) -> Option<Qp> {
        match self {
            RateControl::Qp(qp) | RateControl::Best(qp) => Some(qp),
            RateControl::Crf(_) | RateControl::Bitrate(_) => None,
        }
    }
}

/// QP of an encoder where none is chosen: within the band 20 to 25, in which H.265 looks good and stays small.
pub const DEFAULT_QP: Qp = Qp::clamped(23);

/// Time between keyframes where none is chosen. A keyframe takes longer to encode and to send than its neighbours, so there
/// should be few; but a recording can be entered at keyframes only.
pub(super) const DEFAULT_KEYFRAME_INTERVAL: Duration = Duration::from_secs(10);

/// What a user chooses of the encoder. The command line, the window, the pipeline and the encoder all hold this one type.
#[derive(Clone, Debug, PartialEq)]
pub struct EncoderOptions {
    /// Which encoder to open: one by name, or the best that works.
    pub choice: EncoderChoice,
    /// How the number of bits is controlled.
    pub rate: RateControl,
    /// The encoder's own speed preset; `None`: its fastest one, for libx265 with tuned parameters.
    pub preset: Option<String>,
    /// Time from one keyframe to the next when none is requested earlier; `None`: 10 s, and the caller requests the others.
    pub keyframe_interval: Option<Duration>,
    /// Further parameters of libx265, as `name=value:name=value`, which take precedence over the built-in ones: for measurements.
    pub x265_params: String,
    /// Among how many threads libx265 divides a picture; `None`: what suits the computer when the encoder is opened.
    pub threads: Option<Threads>,
}

impl Default for EncoderOptions {
    fn default() -> EncoderOptions {
        EncoderOptions {
            choice: EncoderChoice::Auto,
            rate: RateControl::Best(DEFAULT_QP),
            preset: None,
            keyframe_interval: None,
            x265_params: String::new(),
            threads: None,
        }
    }
}

/// Everything an encoder is opened with: the pictures that the source gives, and what the user chose.
#[derive(Clone, Debug, PartialEq)]
pub struct EncoderSettings {
    /// Size and colour of the pictures to come.
    pub format: PictureFormat,
    /// Nominal frame rate of these pictures.
    pub frame_rate: FrameRate,
    /// What the user chose.
    pub options: EncoderOptions,
}

impl EncoderSettings {
    /// The same with another encoder.
    pub fn with_choice(mut self, choice: EncoderChoice) -> EncoderSettings {
        self.options.choice = choice;
        self
    }

    /// The longest time between keyframes in pictures, at least 1.
    pub(crate) fn keyframe_pictures(&self) -> u32 {
        let interval = self.options.keyframe_interval.unwrap_or(DEFAULT_KEYFRAME_INTERVAL);
        let pictures = interval.as_secs_f64() * self.frame_rate.per_second();
        // `as` saturates, so that any interval is in bounds.
        (pictures.round() as u32).clamp(1, 1_000_000)
    }
}
