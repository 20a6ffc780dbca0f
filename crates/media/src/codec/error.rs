//! Errors of encoders and decoders, each with a message of one line.

use crate::picture::{PictureError, PictureFormat};

/// An encoder that was tried and does not work on this computer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// FFmpeg's name of it, such as `hevc_nvenc`.
    pub name: String,
    /// The reason, in one line.
    pub why: String,
}

/// Why an encoder could not be opened, or failed on a picture.
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
        /// The cause, or FFmpeg's message.
        why: String,
        /// What would help; never a setting that was in use.
        remedy: String,
    },
    /// The encoder has no such preset.
    #[error("{name} has no preset `{preset}`; it knows {known}")]
    Preset {
        /// FFmpeg's name of the encoder.
        name: String,
        /// The requested preset.
        preset: String,
        /// The presets that it has.
        known: String,
    },
    /// The encoder holds pictures back, which would add delay.
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
        /// The encoder's message.
        why: String,
    },
}

/// The advice where the encoder `name` does not work: to use libx265, or for libx265 itself `otherwise`.
pub(super) fn instead_of(name: &str, otherwise: &'static str) -> &'static str {
    if name == super::backend::SOFTWARE { otherwise } else { "use --encoder libx265" }
}

impl EncodeError {
    /// The reason in few words, for a list of encoders that were tried.
    pub fn reason(&self) -> String {
        match self {
            EncodeError::Missing(_) => "not in this FFmpeg".to_owned(),
            EncodeError::HoldsBack(_) => "holds pictures back".to_owned(),
            EncodeError::Open { why, .. } | EncodeError::Failed { why, .. } => why.clone(),
            other => other.to_string(),
        }
    }
}

/// Why a decoder could not be opened, or refused a frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// FFmpeg was built without the decoder.
    #[error("this FFmpeg cannot decode H.265 ({0}); install one with the hevc decoder")]
    Open(String),
    /// The decoder refused an access unit; it goes on with the next one.
    #[error("an access unit of {bytes} bytes cannot be decoded: {why}; ask for a keyframe")]
    Refused {
        /// Size of the access unit in bytes.
        bytes: usize,
        /// The encoder's message.
        why: String,
    },
    /// The decoded picture could not be converted to 8-bit 4:2:0.
    #[error(transparent)]
    Picture(#[from] PictureError),
}
