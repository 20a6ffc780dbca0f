//! What is measured: the same settings for every chain and for the floor.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use hevcast_media::FrameRate;
use hevcast_media::codec::{EncoderChoice, EncoderOptions, EncoderSettings, Qp, RateControl};
use hevcast_media::picture::PictureFormat;
use serde_json::{Value, json};

use crate::footage;

/// The first part of each run, in which codecs, caches and connections warm up, is not measured.
pub const WARM_UP: Duration = Duration::from_secs(1);
/// The time between keyframes, hevcast's default with its own server, in both chain and floor.
pub const KEYFRAME_INTERVAL: Duration = Duration::from_secs(10);

/// Settings that benchmarks of delay have in common.
#[derive(Clone, Debug, Args)]
pub struct SettingsArgs {
    /// Picture size in pixels
    #[arg(long, default_value = "640x480", value_parser = size, value_name = "WxH")]
    size: (u32, u32),
    /// Pictures per second
    #[arg(long, default_value = "30")]
    fps: FrameRate,
    /// Time measured, after a warm-up of a second
    #[arg(long, default_value = "40", value_parser = clap::value_parser!(u32).range(2..=3600))]
    seconds: u32,
    /// hevcast's best QP, and the constant one of others
    #[arg(long, default_value = "23", value_parser = clap::value_parser!(u8).range(0..=51))]
    qp: u8,
    /// auto, or one of those that `hevcast devices` lists
    #[arg(long, default_value = "auto")]
    encoder: String,
    /// Footage, played in a loop [default: ../shared/media/webcam-640x480-30fps.mkv]
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
}

/// Settings, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Width and height in pixels.
    pub size: (u32, u32),
    /// Pictures per second.
    pub fps: FrameRate,
    /// Time measured, without the warm-up.
    pub measured: Duration,
    /// hevcast's best QP, and the constant one of others.
    pub qp: u8,
    /// Whether hevcast's is constant, too. It is not by default: where the scene changes, a few pictures are coarser.
    pub constant: bool,
    /// The encoder, in hevcast's words.
    pub encoder: String,
    /// Time between keyframes.
    pub keyframe_interval: Duration,
    /// Footage.
    pub input: PathBuf,
}

fn size(text: &str) -> Result<(u32, u32), String> {
    let side = |text: &str| text.parse().ok().filter(|side: &u32| side.is_multiple_of(2));
    let sides = text.split_once('x').and_then(|(width, height)| side(width).zip(side(height)));
    sides.ok_or_else(|| "write even sides as WxH, such as 640x480".to_owned())
}

impl From<SettingsArgs> for Settings {
    fn from(args: SettingsArgs) -> Settings {
        Settings {
            size: args.size,
            fps: args.fps,
            measured: Duration::from_secs(args.seconds.into()),
            qp: args.qp,
            constant: false,
            encoder: args.encoder,
            keyframe_interval: KEYFRAME_INTERVAL,
            input: args.input.unwrap_or_else(footage::default_path),
        }
    }
}

impl Settings {
    /// Pictures within `time`.
    pub fn pictures(&self, time: Duration) -> u32 {
        (time.as_secs_f64() * self.fps.per_second()).round() as u32
    }

    /// Time of a run with its warm-up.
    pub fn run_time(&self) -> Duration {
        WARM_UP + self.measured
    }

    /// The encoder's settings, as `hevcast send` makes them of the same words.
    ///
    /// # Errors
    /// For an unknown encoder.
    pub fn encoder_settings(&self, format: PictureFormat) -> Result<EncoderSettings> {
        Ok(EncoderSettings {
            format,
            frame_rate: self.fps,
            options: EncoderOptions {
                choice: self.encoder.parse::<EncoderChoice>()?,
                rate: if self.constant {
                    RateControl::Qp(Qp::clamped(self.qp))
                } else {
                    RateControl::Best(Qp::clamped(self.qp))
                },
                keyframe_interval: Some(self.keyframe_interval),
                ..EncoderOptions::default()
            },
        })
    }

    /// For the report.
    pub fn to_json(&self) -> Value {
        json!({
            "width": self.size.0,
            "height": self.size.1,
            "fps": self.fps.per_second(),
            "measured_s": self.measured.as_secs_f64(),
            "warm_up_s": WARM_UP.as_secs_f64(),
            "qp": self.qp,
            "constant_qp": self.constant,
            "encoder": self.encoder,
            "keyframe_interval_s": self.keyframe_interval.as_secs_f64(),
            "input": self.input.display().to_string(),
        })
    }
}
