//! The encoder's options as the settings panel edits them.

use std::str::FromStr;

use hevcast_media::codec::{Crf, DEFAULT_QP, EncoderChoice, EncoderOptions, Qp, RateControl};
use serde::{Deserialize, Serialize};

use super::form::{Read, read};
use crate::cli::EncodeArgs;
use crate::ui::words::Words;
use crate::units;

/// The kinds of [`RateControl`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RateKind {
    /// A QP, and a higher one while the network is too slow for it.
    #[default]
    Best,
    /// Constant QP.
    Qp,
    /// Constant quality.
    Crf,
    /// Constant bitrate.
    Bitrate,
}

/// [`EncoderOptions`] while they are being edited: text, which may be half-typed, and a value for each kind of rate control,
/// so that a kind that is chosen again still has its value. All of it is remembered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct EncoderForm {
    /// `auto`, or an encoder's name.
    pub encoder: String,
    /// The kind of rate control in use.
    pub rate: RateKind,
    /// The QP of [`RateKind::Best`] and [`RateKind::Qp`].
    pub qp: u8,
    /// The rate factor of [`RateKind::Crf`].
    pub crf: f32,
    /// The bitrate of [`RateKind::Bitrate`], such as `2M`.
    pub bitrate: String,
    /// Such as `2s`; empty: the default.
    pub keyframe_interval: String,
}

impl Default for EncoderForm {
    fn default() -> EncoderForm {
        EncoderForm {
            encoder: "auto".to_owned(),
            rate: RateKind::Best,
            qp: DEFAULT_QP.get(),
            crf: f32::from(DEFAULT_QP.get()),
            bitrate: "2M".to_owned(),
            keyframe_interval: String::new(),
        }
    }
}

impl EncoderForm {
    /// The options in the form; those without a field are taken from `others`.
    ///
    /// # Errors
    /// The first field that cannot be read, and how to write it.
    pub(crate) fn options(&self, others: EncoderOptions, words: &Words) -> Read<EncoderOptions> {
        let choice = EncoderChoice::from_str(self.encoder.trim());
        Ok(EncoderOptions {
            choice: choice.map_err(|error| format!("{}: {error}", words.encoder))?,
            rate: self.rate(words)?,
            keyframe_interval: read(words.keyframe_interval, &self.keyframe_interval, units::duration)?,
            ..others
        })
    }

    /// The rate control.
    ///
    /// # Errors
    /// How to write a bitrate.
    pub(crate) fn rate(&self, words: &Words) -> Read<RateControl> {
        Ok(match self.rate {
            RateKind::Best => RateControl::Best(Qp::clamped(self.qp)),
            RateKind::Qp => RateControl::Qp(Qp::clamped(self.qp)),
            RateKind::Crf => RateControl::Crf(Crf::clamped(self.crf)),
            RateKind::Bitrate => {
                let bits = read(words.bitrate, &self.bitrate, units::bitrate)?;
                RateControl::Bitrate(bits.ok_or_else(|| format!("{}: 2M", words.bitrate))?)
            }
        })
    }

    /// Takes over what the command line names; the rest stays as remembered.
    pub(crate) fn apply(&mut self, args: &EncodeArgs) {
        if let EncoderChoice::Named(name) = &args.encoder {
            self.encoder.clone_from(name);
        }
        match args.rate() {
            None => {}
            Some(RateControl::Best(qp)) => (self.rate, self.qp) = (RateKind::Best, qp.get()),
            Some(RateControl::Qp(qp)) => (self.rate, self.qp) = (RateKind::Qp, qp.get()),
            Some(RateControl::Crf(crf)) => (self.rate, self.crf) = (RateKind::Crf, crf.get()),
            Some(RateControl::Bitrate(bits)) => (self.rate, self.bitrate) = (RateKind::Bitrate, bits.to_string()),
        }
        if let Some(interval) = args.keyframe_interval {
            self.keyframe_interval = format!("{}ms", interval.as_millis());
        }
    }
}
