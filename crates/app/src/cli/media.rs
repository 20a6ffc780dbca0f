//! The commands that deal with pictures: send, receive and demo.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use hevcast_media::FrameRate;
use hevcast_media::capture::Wanted;
use hevcast_media::codec::{Bitrate, Crf, EncoderChoice, EncoderOptions, Qp, RateControl};
use hevcast_net::tls::Fingerprint;
use hevcast_net::{Clock, NetError, Target};

use super::SkewArgs;
use crate::login::LoginArgs;
use crate::pipeline::origin::Origin;
use crate::pipeline::session::{Destination, SendInput, SendPlan};
use crate::report::Format;
use crate::sinks::Y4mOutput;
use crate::units;

/// Where the pictures come from.
#[derive(Clone, Debug, Args)]
pub(crate) struct SourceArgs {
    /// camera, camera:NAME_OR_PATH, screen, file:PATH, pattern, y4m:-, or a stream such as rtsp://CAMERA/PATH, which is passed
    /// on as the camera encodes it (default: the first camera, or the test pattern if there is none)
    #[arg(long, value_parser = SendInput::from_str)]
    pub input: Option<SendInput>,
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
    /// The input that `--input` and `--loop` name; `None` without `--input`.
    pub(crate) fn input(&self) -> Option<SendInput> {
        self.input.clone().map(|input| input.looped(self.looped))
    }

    /// `--size` and `--fps`, as a source takes them.
    pub(crate) fn wanted(&self) -> Wanted {
        Wanted { size: self.size, fps: self.fps }
    }
}

/// How pictures are encoded.
#[derive(Clone, Debug, Args)]
pub(crate) struct EncodeArgs {
    /// auto, or an encoder that `hevcast devices` lists
    #[arg(long, default_value = "auto")]
    pub encoder: EncoderChoice,
    /// Adaptive: this QP at best, 0 to 51 (20 to 25 is the good band); a higher one while the network is too slow for it, and
    /// for a tenth of a second where the scene changes (default: 23)
    #[arg(long, group = "rate")]
    pub best_qp: Option<Qp>,
    /// Constant QP, 0 to 51; frames are dropped while the network is too slow for it
    #[arg(long, group = "rate")]
    pub qp: Option<Qp>,
    /// Constant quality (CRF), 0 to 51; lower quality while the network is too slow for it
    #[arg(long, group = "rate")]
    pub crf: Option<Crf>,
    /// Constant bitrate, such as 800k or 2M; less while the network is too slow for it
    #[arg(long, value_parser = units::bitrate, group = "rate")]
    pub bitrate: Option<Bitrate>,
    /// The encoder's own speed preset
    #[arg(long)]
    pub preset: Option<String>,
    /// Longest time between keyframes (default: 10s where readers can request one, else 2s)
    #[arg(long, value_parser = units::duration)]
    pub keyframe_interval: Option<Duration>,
}

impl EncodeArgs {
    /// The rate control that one of `--best-qp`, `--qp`, `--crf` and `--bitrate` asks for; `None` without any of them.
    pub(crate) fn rate(&self) -> Option<RateControl> {
        let best = self.best_qp.map(RateControl::Best).or(self.qp.map(RateControl::Qp));
        best.or(self.crf.map(RateControl::Crf)).or(self.bitrate.map(RateControl::Bitrate))
    }

    /// These arguments as the encoder takes them; what is not given is the encoder's default.
    pub(crate) fn options(&self) -> EncoderOptions {
        let default = EncoderOptions::default();
        EncoderOptions {
            choice: self.encoder.clone(),
            rate: self.rate().unwrap_or(default.rate),
            preset: self.preset.clone(),
            keyframe_interval: self.keyframe_interval,
            ..default
        }
    }
}

/// How long a command runs, and how its figures are written.
#[derive(Clone, Debug, Args)]
pub(crate) struct RunArgs {
    /// End after this time, such as 10s or 5m
    #[arg(long, value_parser = units::duration)]
    pub duration: Option<Duration>,
    /// Stay in the terminal, even where there is a display
    #[arg(long)]
    pub headless: bool,
    /// Format of the figures of each second (default: text in the terminal; none while a window is open)
    #[arg(long, value_enum)]
    pub stats: Option<Format>,
    /// The clock of time stamps and delays.
    #[command(flatten)]
    pub skew: SkewArgs,
}

impl RunArgs {
    /// The clock by which time stamps and delays are taken.
    pub(crate) fn clock(&self) -> Clock {
        self.skew.clock()
    }

    /// The format of the figures in the terminal.
    pub(crate) fn stats(&self) -> Format {
        self.stats.unwrap_or_default()
    }
}

/// Arguments of `hevcast send`.
#[derive(Clone, Debug, Args)]
pub(crate) struct SendArgs {
    /// Where the pictures come from.
    #[command(flatten)]
    pub source: SourceArgs,
    /// How they are encoded.
    #[command(flatten)]
    pub encode: EncodeArgs,
    /// Server to publish to; may be given several times: `rtsp://[USER:PASSWORD@]HOST[:PORT]/PATH`, `rtsps://…`,
    /// `srt://HOST:PORT?streamid=ID` or `rtmp://HOST/APP/STREAM` (default: the built-in server)
    #[arg(id = "address", long = "to", value_name = "URL", value_parser = units::target)]
    pub to: Vec<Target>,
    /// The login for those without their own.
    #[command(flatten)]
    pub login: LoginArgs,
    /// With rtsps:// and rtmps://: trust the server with this certificate and no other; the server prints the fingerprint
    #[arg(long, value_name = "FINGERPRINT", requires = "address")]
    pub pin: Option<Fingerprint>,
    /// Address and port of the built-in server
    #[arg(long, default_value = "0.0.0.0:8554", conflicts_with = "address")]
    pub listen: SocketAddr,
    /// Path of the stream on the built-in server
    #[arg(long, default_value = "live", conflicts_with = "address", value_parser = units::path)]
    pub path: String,
    /// Also record what is sent; the file's name ends in .mp4 or .mkv
    #[arg(long, value_name = "FILE", value_parser = units::recording)]
    pub record: Option<PathBuf>,
    /// Start immediately, without pressing Start in the window
    #[arg(long)]
    pub start: bool,
    /// How long it runs, and how its figures are written.
    #[command(flatten)]
    pub run: RunArgs,
}

impl SendArgs {
    /// What is to be sent, how and where to.
    ///
    /// # Errors
    /// When `--pin` is given for a server that shows no certificate.
    pub(crate) fn plan(&self) -> Result<SendPlan, NetError> {
        let target = |target: &Target| Ok::<_, NetError>(self.login.complete(target.clone().pinned(self.pin)?));
        let destination = match &self.to[..] {
            [] => self.built_in(),
            targets => Destination::Servers(targets.iter().map(target).collect::<Result<_, _>>()?),
        };
        Ok(SendPlan {
            input: self.source.input().map(|input| input.completed_by(&self.login)),
            wanted: self.source.wanted(),
            encoder: self.encode.options(),
            destination,
            record: self.record.clone(),
        })
    }

    /// The built-in server as `--listen` and `--path` have it.
    pub(crate) fn built_in(&self) -> Destination {
        Destination::BuiltIn { listen: self.listen, path: self.path.clone() }
    }
}

/// Arguments of `hevcast receive`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ReceiveArgs {
    /// The stream, as `rtsp://[USER:PASSWORD@]HOST[:PORT]/PATH`, `rtsps://…`, `srt://HOST:PORT?streamid=ID` or
    /// `rtmp://HOST/APP/STREAM`; or a recorded file
    #[arg(id = "address", value_name = "URL")]
    pub url: Option<Origin>,
    /// The login, if the URL has none.
    #[command(flatten)]
    pub login: LoginArgs,
    /// With rtsps:// and rtmps://: trust the server with this certificate and no other; the server prints the fingerprint
    #[arg(long, value_name = "FINGERPRINT", requires = "address")]
    pub pin: Option<Fingerprint>,
    /// Write the pictures as YUV4MPEG2: y4m:- for standard output, or FILE.y4m
    #[arg(long, value_parser = Y4mOutput::from_str)]
    pub output: Option<Y4mOutput>,
    /// Record the stream; the file's name ends in .mp4 or .mkv
    #[arg(long, value_name = "FILE", value_parser = units::recording)]
    pub record: Option<PathBuf>,
    /// Folder for the window's snapshots and recordings (default: your folders for pictures and videos)
    #[arg(long, value_name = "FOLDER")]
    pub save_to: Option<PathBuf>,
    /// End when the stream ends, instead of waiting for its return
    #[arg(long)]
    pub once: bool,
    /// If there is no stream yet, wait until it begins
    #[arg(long)]
    pub wait: bool,
    /// Reconnect when no packet has come for this long (default: 10s, or longer where the stream's pictures come rarely)
    #[arg(long, value_name = "TIME", value_parser = units::duration)]
    pub source_timeout: Option<Duration>,
    /// How long it runs, and how its figures are written.
    #[command(flatten)]
    pub run: RunArgs,
}

impl ReceiveArgs {
    /// The stream or file to receive, with its login; `None` without a URL.
    ///
    /// # Errors
    /// When `--pin` is given for a server that shows no certificate.
    pub(crate) fn origin(&self) -> Result<Option<Origin>, NetError> {
        let completed = |origin: Origin| Ok(origin.pinned(self.pin)?.with_login(&self.login));
        self.url.clone().map(completed).transpose()
    }
}

/// Arguments of `hevcast devices`.
#[derive(Clone, Debug, Args)]
pub(crate) struct DevicesArgs {
    /// Try each camera and encoder, and print figures to send to whoever looks for a fault: no names, no addresses
    #[arg(long)]
    pub report: bool,
}

/// Arguments of `hevcast demo`.
#[derive(Clone, Debug, Args)]
pub(crate) struct DemoArgs {
    /// Where the pictures come from.
    #[command(flatten)]
    pub source: SourceArgs,
    /// How they are encoded.
    #[command(flatten)]
    pub encode: EncodeArgs,
    /// How long it runs
    #[arg(long, default_value = "10s", value_parser = units::duration)]
    pub duration: Duration,
    /// Stay in the terminal
    #[arg(long)]
    pub headless: bool,
    /// File for the last received picture
    #[arg(long, default_value = "hevcast-demo.png")]
    pub picture: PathBuf,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    #[test]
    fn a_login_from_a_file_is_for_urls_without_their_own() {
        let file = std::env::temp_dir().join(format!("hevcast-cli-password-{}", std::process::id()));
        std::fs::write(&file, "s3cret\nmore").unwrap();
        let file_name = file.display().to_string();
        let login = ["--user", "me", "--password-file", &file_name];
        let to = ["hevcast", "send", "--to", "rtsp://h/a", "--to", "rtsp://x:y@h/b"];
        let sent = Cli::try_parse_from(to.iter().chain(&login)).unwrap();
        let received = Cli::try_parse_from(["hevcast", "receive", "rtsp://h/a"].iter().chain(&login)).unwrap();
        std::fs::remove_file(&file).unwrap();
        let Some(Command::Send(args)) = sent.command else { panic!("another command") };
        assert!(!format!("{args:?}").contains("s3cret"), "a password must not be printed");
        let Destination::Servers(targets) = args.plan().unwrap().destination else { panic!("no servers") };
        let logins: Vec<_> = targets.iter().filter_map(|target| target.credentials.clone()).collect();
        let logins: Vec<_> = logins.iter().map(|login| (login.user.as_str(), login.password.reveal())).collect();
        assert_eq!(logins, [("me", "s3cret"), ("x", "y")]);
        let Some(Command::Receive(args)) = received.command else { panic!("another command") };
        let Some(Origin::Stream(target)) = args.origin().unwrap() else { panic!("no stream") };
        let login = target.credentials.unwrap();
        assert_eq!((login.user.as_str(), login.password.reveal()), ("me", "s3cret"));
        for without_url in [["hevcast", "send", "--user", "me"], ["hevcast", "receive", "--user", "me"]] {
            assert!(Cli::try_parse_from(without_url).is_err(), "a login without a URL");
        }
    }

    #[test]
    fn a_pin_for_a_server_without_a_certificate_is_refused() {
        let pin = "ab".repeat(32);
        for url in ["rtsp://h/a", "rtmp://h/a/b", "srt://h:1", "recording.mp4"] {
            let origin = if url.contains("://") {
                url.to_owned()
            } else {
                std::env::current_exe().unwrap().display().to_string()
            };
            let Some(Command::Receive(args)) =
                Cli::try_parse_from(["hevcast", "receive", &origin, "--pin", &pin]).unwrap().command
            else {
                panic!("another command")
            };
            assert!(args.origin().unwrap_err().to_string().contains("no certificate"), "{url}");
        }
        for (urls, is_accepted) in [(["rtsps://h/a", "rtmps://h/a/b"], true), (["rtsps://h/a", "rtsp://h/b"], false)] {
            let line = ["hevcast", "send", "--to", urls[0], "--to", urls[1], "--pin", &pin];
            let Some(Command::Send(args)) = Cli::try_parse_from(line).unwrap().command else {
                panic!("another command")
            };
            assert_eq!(args.plan().is_ok(), is_accepted);
        }
    }

    #[test]
    fn every_role_can_be_opened_without_arguments() {
        assert_eq!(SendArgs::default().path, "live");
        #[cfg(feature = "serve")]
        assert_eq!(crate::cli::ServeArgs::default().listen, None);
        assert!(ReceiveArgs::default().url.is_none());
    }
}
