//! What can go wrong with a codec, each in one line.

use crate::picture::{PictureError, PictureFormat};

/// An encoder that was tried and does not work here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// FFmpeg's name of it, such as `hevc_nvenc`.
    pub name: String,
    /// Why, in one line.
    pub why: String,
}

/// Why encoding failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// FFmpeg was built without the encoder.
    #[error("this FFmpeg has no encoder {0}; install an FFmpeg built with it, or use --encoder auto")]
    Missing(String),
    /// The encoder did not open with these settings.
    #[error("{name} cannot be opened: {why}; {remedy}")]
    Open {
        /// FFmpeg's name of the encoder.
        name: String,
        /// The cause, or FFmpeg's words.
        why: String,
        /// What would help: never what was in use.
        remedy: String,
    },
    /// The preset is none that the encoder knows.
    #[error("{name} has no preset `{preset}`; it knows {known}")]
    Preset {
        /// FFmpeg's name of the encoder.
        name: String,
        /// The preset asked for.
        preset: String,
        /// The presets that it has.
        known: String,
    },
    /// The encoder keeps pictures back, which would be delay.
    #[error("{0} holds pictures back instead of coding each at once; {remedy}", remedy = instead_of(.0, "leave --preset out"))]
    HoldsBack(String),
    /// A picture of another format than the encoder was opened for.
    #[error("the picture is {got:?} but the encoder was opened for {opened:?}; open a new encoder")]
    Format {
        /// The picture's format.
        got: PictureFormat,
        /// The encoder's format.
        opened: PictureFormat,
    },
    /// The picture could not be converted for the encoder.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// The encoder failed on a picture.
    #[error("{name} failed: {why}; restart the stream, or {remedy}", remedy = instead_of(name, "use a smaller --size"))]
    Failed {
        /// FFmpeg's name of the encoder.
        name: String,
        /// FFmpeg's words.
        why: String,
    },
}

/// The advice where the encoder `name` does not do: libx265, or for libx265 itself `otherwise`.
pub(super) fn instead_of(name: &str, otherwise: &'static str) -> &'static str {
    if name == super::backend::SOFTWARE { otherwise } else { "use --encoder libx265" }
}

impl EncodeError {
    /// Why this encoder is not used, in few words, for a list of those that were tried.
    pub fn reason(&self) -> String {
        match self {
            EncodeError::Missing(_) => "not in this FFmpeg".to_owned(),
            EncodeError::HoldsBack(_) => "holds pictures back".to_owned(),
            EncodeError::Open { why, .. } | EncodeError::Failed { why, .. } => why.clone(),
            other => other.to_string(),
        }
    }
}

/// Why decoding failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// FFmpeg was built without an HEVC decoder.
    #[error("this FFmpeg cannot decode H.265 ({0}); install one with the hevc decoder")]
    Open(String),
    /// The access unit was refused; the decoder goes on with the next one.
    #[error("an access unit of {bytes} bytes cannot be decoded: {why}; ask for a keyframe")]
    Refused {
        /// Size of the access unit in bytes.
        bytes: usize,
        /// FFmpeg's words.
        why: String,
    },
    /// The decoded picture could not be converted to 8-bit 4:2:0.
    #[error(transparent)]
    Picture(#[from] PictureError),
}
