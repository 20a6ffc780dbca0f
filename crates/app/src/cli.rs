//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use hevcast_media::FrameRate;
use hevcast_media::capture::{Input, Wanted};
use hevcast_media::codec::{EncoderChoice, RateControl};
use hevcast_net::Target;

use crate::figures::report::Format;
use crate::units;

/// QP where none is asked for: within the band 20 to 25 in which H.265 looks good and stays small.
const DEFAULT_QP: u8 = 23;

/// Live H.265 video from a camera to any number of screens, with the true delay on the label.
#[derive(Debug, Parser)]
#[command(name = "hevcast", version, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Say more on standard error; twice for FFmpeg's own words too.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// The program's roles.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Send a camera's picture (or a screen, a file, a pattern) to a server, by default one inside.
    Send(SendArgs),
    /// Run a server: anyone may publish on any path, anyone may read it.
    Serve(ServeArgs),
    /// Receive a stream.
    Receive(ReceiveArgs),
    /// Server, sender and receiver in one, to see that it works and how fast.
    Demo(DemoArgs),
    /// List cameras with their modes, and the encoders that work here.
    Devices,
}

/// Where pictures come from.
#[derive(Clone, Debug, Args)]
pub struct SourceArgs {
    /// camera, camera:NAME_OR_PATH, screen, file:PATH, pattern or y4m:- (default: the first camera, else pattern)
    #[arg(long)]
    pub input: Option<Input>,
    /// Start a file over at its end
    #[arg(long = "loop")]
    pub looped: bool,
    /// Picture size in pixels
    #[arg(long, value_name = "WxH", value_parser = units::size)]
    pub size: Option<(u32, u32)>,
    /// Pictures per second
    #[arg(long)]
    pub fps: Option<FrameRate>,
}

impl SourceArgs {
    /// The input, if one was asked for.
    pub fn input(&self) -> Option<Input> {
        self.input.clone().map(|input| match input {
            Input::File { path, .. } => Input::File { path, looped: self.looped },
            other => other,
        })
    }

    /// Size and rate asked for.
    pub fn wanted(&self) -> Wanted {
        Wanted { size: self.size, fps: self.fps }
    }
}

/// How pictures are encoded.
#[derive(Clone, Debug, Args)]
pub struct EncodeArgs {
    /// auto, or one of those that `hevcast devices` lists
    #[arg(long, default_value = "auto")]
    pub encoder: EncoderChoice,
    /// Constant QP, 0 to 51; 20 to 25 is the good band (default: 23)
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=51), group = "rate")]
    pub qp: Option<u8>,
    /// Constant quality instead, 0 to 51
    #[arg(long, value_parser = units::crf, group = "rate")]
    pub crf: Option<f32>,
    /// Constant bitrate instead, such as 800k or 2M
    #[arg(long, value_parser = units::bitrate, group = "rate")]
    pub bitrate: Option<u64>,
    /// The encoder's own speed preset
    #[arg(long)]
    pub preset: Option<String>,
    /// Time between keyframes nobody asked for
    #[arg(long, default_value = "2s", value_parser = units::duration)]
    pub keyframe_interval: Duration,
}

impl EncodeArgs {
    /// What stays constant.
    pub fn rate(&self) -> RateControl {
        match (self.bitrate, self.crf) {
            (Some(bits), _) => RateControl::Bitrate(bits),
            (_, Some(crf)) => RateControl::Crf(crf),
            _ => RateControl::Qp(self.qp.unwrap_or(DEFAULT_QP)),
        }
    }
}

/// How long, and how figures are written.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// End after this time, such as 10s or 5m
    #[arg(long, value_parser = units::duration)]
    pub duration: Option<Duration>,
    /// Stay in the terminal
    #[arg(long)]
    pub headless: bool,
    /// How the figures of each second are written
    #[arg(long, value_enum, default_value = "text")]
    pub stats: Format,
}

/// `hevcast send`
#[derive(Debug, Args)]
pub struct SendArgs {
    /// Where pictures come from.
    #[command(flatten)]
    pub source: SourceArgs,
    /// How they are encoded.
    #[command(flatten)]
    pub encode: EncodeArgs,
    /// Push to this server, as `rtsp://[USER:PASSWORD@]HOST[:PORT]/PATH` (default: a server inside)
    #[arg(long, value_parser = units::target)]
    pub to: Option<Target>,
    /// Where the server inside listens
    #[arg(long, default_value = "0.0.0.0:8554", conflicts_with = "to")]
    pub listen: SocketAddr,
    /// The path on the server inside
    #[arg(long, default_value = "live", conflicts_with = "to", value_parser = units::path)]
    pub path: String,
    /// How long, and how figures are written.
    #[command(flatten)]
    pub run: RunArgs,
}

/// `hevcast serve`
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Address and port to listen on
    #[arg(long, default_value = "0.0.0.0:8554")]
    pub listen: SocketAddr,
    /// End after this time
    #[arg(long, value_parser = units::duration)]
    pub duration: Option<Duration>,
}

/// `hevcast receive`
#[derive(Debug, Args)]
pub struct ReceiveArgs {
    /// The stream, as `rtsp://[USER:PASSWORD@]HOST[:PORT]/PATH`
    #[arg(value_parser = units::target)]
    pub url: Target,
    /// Write the pictures as YUV4MPEG2: y4m:- for standard output, or FILE.y4m
    #[arg(long, value_parser = units::y4m_output)]
    pub output: Option<Y4mOutput>,
    /// End with the stream instead of waiting for its return
    #[arg(long)]
    pub once: bool,
    /// Wait for the stream to begin, if it is not there yet
    #[arg(long)]
    pub wait: bool,
    /// How long, and how figures are written.
    #[command(flatten)]
    pub run: RunArgs,
}

/// Where received pictures are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Y4mOutput {
    /// Standard output.
    Stdout,
    /// A file.
    File(PathBuf),
}

/// `hevcast demo`
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Where pictures come from.
    #[command(flatten)]
    pub source: SourceArgs,
    /// How they are encoded.
    #[command(flatten)]
    pub encode: EncodeArgs,
    /// How long it runs without a display
    #[arg(long, default_value = "10s", value_parser = units::duration)]
    pub duration: Duration,
    /// Stay in the terminal
    #[arg(long)]
    pub headless: bool,
    /// Where the last received picture is written
    #[arg(long, default_value = "hevcast-demo.png")]
    pub picture: PathBuf,
}
