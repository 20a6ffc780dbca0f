//! The commands that deal with pictures: send, receive and demo.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use hevcast_media::FrameRate;
use hevcast_media::capture::Wanted;
use hevcast_media::codec::{Bitrate, Crf, EncoderChoice, Qp, RateControl};
use hevcast_net::tls::Fingerprint;
use hevcast_net::{Clock, NetError, Target};

use super::SkewArgs;
use crate::login::LoginArgs;
use crate::pipeline::origin::Origin;
use crate::pipeline::session::{Destination, SendInput, SendPlan};
use crate::report::Format;
use crate::units::{self, Y4mOutput};

/// QP where none is asked for: within the band 20 to 25 in which H.265 looks good and stays small.
pub const DEFAULT_QP: Qp = Qp::clamped(23);

/// Where pictures come from.
#[derive(Clone, Debug, Args)]
pub struct SourceArgs {
    /// camera, camera:NAME_OR_PATH, screen, file:PATH, pattern, y4m:-, or a stream such as rtsp://CAMERA/PATH, which is passed
    /// on as the camera codes it (default: the first camera, else pattern)
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
    /// The input, if one was asked for.
    pub fn input(&self) -> Option<SendInput> {
        self.input.clone().map(|input| input.looped(self.looped))
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
    /// The best QP, 0 to 51; 20 to 25 is the good band. Coarser where the link takes no more, and for a tenth of a
    /// second where the scene changes (default: 23)
    #[arg(long, group = "rate")]
    pub best_qp: Option<Qp>,
    /// Constant QP instead, 0 to 51; a link too slow for it gets fewer pictures
    #[arg(long, group = "rate")]
    pub qp: Option<Qp>,
    /// Constant quality instead, 0 to 51, coarser where the link takes no more
    #[arg(long, group = "rate")]
    pub crf: Option<Crf>,
    /// Constant bitrate instead, such as 800k or 2M, less where the link takes no more
    #[arg(long, value_parser = units::bitrate, group = "rate")]
    pub bitrate: Option<Bitrate>,
    /// The encoder's own speed preset
    #[arg(long)]
    pub preset: Option<String>,
    /// Time between keyframes nobody asked for (default: 10s where readers can ask for one, else 2s)
    #[arg(long, value_parser = units::duration)]
    pub keyframe_interval: Option<Duration>,
}

impl EncodeArgs {
    /// What stays constant.
    pub fn rate(&self) -> RateControl {
        match (self.bitrate, self.crf, self.qp) {
            (Some(bits), _, _) => RateControl::Bitrate(bits),
            (_, Some(crf), _) => RateControl::Crf(crf),
            (_, _, Some(qp)) => RateControl::Qp(qp),
            _ => RateControl::Best(self.best_qp.unwrap_or(DEFAULT_QP)),
        }
    }

    /// Whether anything was said of it, so that nothing remembered counts.
    #[cfg(feature = "gui")]
    pub fn names_a_rate(&self) -> bool {
        self.best_qp.is_some() || self.qp.is_some() || self.crf.is_some() || self.bitrate.is_some()
    }

    /// All that a sender needs to know.
    pub fn plan(&self, source: &SourceArgs, destination: Destination) -> SendPlan {
        SendPlan {
            input: source.input(),
            wanted: source.wanted(),
            encoder: self.encoder.clone(),
            rate: self.rate(),
            preset: self.preset.clone(),
            keyframe_interval: self.keyframe_interval,
            destination,
            record: None,
        }
    }
}

/// How long, and how figures are written.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// End after this time, such as 10s or 5m
    #[arg(long, value_parser = units::duration)]
    pub duration: Option<Duration>,
    /// Stay in the terminal, even where there is a display
    #[arg(long)]
    pub headless: bool,
    /// How the figures of each second are written (default: text in the terminal; beside a window nothing)
    #[arg(long, value_enum)]
    pub stats: Option<Format>,
    /// By which clock.
    #[command(flatten)]
    pub skew: SkewArgs,
}

impl RunArgs {
    /// The clock that stamps and delays are taken by.
    pub fn clock(&self) -> Clock {
        self.skew.clock()
    }

    /// How figures are written in the terminal.
    pub fn stats(&self) -> Format {
        self.stats.unwrap_or_default()
    }
}

/// `hevcast send`
#[derive(Clone, Debug, Args)]
pub struct SendArgs {
    /// Where pictures come from.
    #[command(flatten)]
    pub source: SourceArgs,
    /// How they are encoded.
    #[command(flatten)]
    pub encode: EncodeArgs,
    /// Push to this server, once or several times, as `rtsp://[USER:PASSWORD@]HOST[:PORT]/PATH`, `rtsps://…`,
    /// `srt://HOST:PORT?streamid=ID` or `rtmp://HOST/APP/STREAM` (default: a server inside)
    #[arg(id = "address", long = "to", value_name = "URL", value_parser = units::target)]
    pub to: Vec<Target>,
    /// The login for those without their own.
    #[command(flatten)]
    pub login: LoginArgs,
    /// With rtsps:// and rtmps://: trust the server with this certificate and no other; the server prints the fingerprint
    #[arg(long, value_name = "FINGERPRINT", requires = "address")]
    pub pin: Option<Fingerprint>,
    /// Where the server inside listens
    #[arg(long, default_value = "0.0.0.0:8554", conflicts_with = "address")]
    pub listen: SocketAddr,
    /// The path on the server inside
    #[arg(long, default_value = "live", conflicts_with = "address", value_parser = units::path)]
    pub path: String,
    /// Record what is sent, too; the file's name ends in .mp4 or .mkv
    #[arg(long, value_name = "FILE", value_parser = units::recording)]
    pub record: Option<PathBuf>,
    /// Start at once, not at the press of the window's button
    #[arg(long)]
    pub start: bool,
    /// How long, and how figures are written.
    #[command(flatten)]
    pub run: RunArgs,
}

impl SendArgs {
    /// What is asked for.
    ///
    /// # Errors
    /// A pin for a server that shows no certificate.
    pub fn plan(&self) -> Result<SendPlan, NetError> {
        let target = |target: &Target| Ok::<_, NetError>(self.login.complete(target.clone().pinned(self.pin)?));
        let destination = match &self.to[..] {
            [] => Destination::Inside { listen: self.listen, path: self.path.clone() },
            targets => Destination::Servers(targets.iter().map(target).collect::<Result<_, _>>()?),
        };
        let plan = self.encode.plan(&self.source, destination);
        let input = plan.input.map(|input| input.completed_by(&self.login));
        Ok(SendPlan { record: self.record.clone(), input, ..plan })
    }
}

/// `hevcast receive`
#[derive(Clone, Debug, Args)]
pub struct ReceiveArgs {
    /// The stream, as `rtsp://[USER:PASSWORD@]HOST[:PORT]/PATH`, `rtsps://…`, `srt://HOST:PORT?streamid=ID` or
    /// `rtmp://HOST/APP/STREAM`; or a recording's file
    #[arg(id = "address", value_name = "URL")]
    pub url: Option<Origin>,
    /// The login, if the URL has none.
    #[command(flatten)]
    pub login: LoginArgs,
    /// With rtsps:// and rtmps://: trust the server with this certificate and no other; the server prints the fingerprint
    #[arg(long, value_name = "FINGERPRINT", requires = "address")]
    pub pin: Option<Fingerprint>,
    /// Write the pictures as YUV4MPEG2: y4m:- for standard output, or FILE.y4m
    #[arg(long, value_parser = units::y4m_output)]
    pub output: Option<Y4mOutput>,
    /// Record what comes; the file's name ends in .mp4 or .mkv
    #[arg(long, value_name = "FILE", value_parser = units::recording)]
    pub record: Option<PathBuf>,
    /// Where the window saves snapshots and recordings (default: your folders for pictures and videos)
    #[arg(long, value_name = "FOLDER")]
    pub save_to: Option<PathBuf>,
    /// End with the stream instead of waiting for its return
    #[arg(long)]
    pub once: bool,
    /// Wait for the stream to begin, if it is not there yet
    #[arg(long)]
    pub wait: bool,
    /// Count the source as lost, and connect anew, when no packet comes for so long (default: 10s, longer where pictures
    /// come rarely)
    #[arg(long, value_name = "TIME", value_parser = units::duration)]
    pub source_timeout: Option<Duration>,
    /// How long, and how figures are written.
    #[command(flatten)]
    pub run: RunArgs,
}

impl ReceiveArgs {
    /// What is asked for, if anything is.
    ///
    /// # Errors
    /// A pin for a server that shows no certificate.
    pub fn origin(&self) -> Result<Option<Origin>, NetError> {
        let completed = |origin: Origin| Ok(origin.pinned(self.pin)?.with_login(&self.login));
        self.url.clone().map(completed).transpose()
    }
}

/// `hevcast demo`
#[derive(Clone, Debug, Args)]
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    #[test]
    fn a_login_from_a_file_is_for_addresses_without_their_own() {
        let file = std::env::temp_dir().join(format!("hevcast-cli-password-{}", std::process::id()));
        std::fs::write(&file, "s3cret\nmore").unwrap();
        let file_name = file.display().to_string();
        let login = ["--user", "me", "--password-file", &file_name];
        let to = ["hevcast", "send", "--to", "rtsp://h/a", "--to", "rtsp://x:y@h/b"];
        let sent = Cli::try_parse_from(to.iter().chain(&login)).unwrap();
        let received = Cli::try_parse_from(["hevcast", "receive", "rtsp://h/a"].iter().chain(&login)).unwrap();
        std::fs::remove_file(&file).unwrap();
        let Some(Command::Send(args)) = sent.command else { panic!("another command") };
        assert!(!format!("{args:?}").contains("s3cret"), "a password is not to be printed");
        let Destination::Servers(targets) = args.plan().unwrap().destination else { panic!("no servers") };
        let logins: Vec<_> = targets.iter().filter_map(|target| target.credentials.clone()).collect();
        let logins: Vec<_> = logins.iter().map(|login| (login.user.as_str(), login.password.reveal())).collect();
        assert_eq!(logins, [("me", "s3cret"), ("x", "y")]);
        let Some(Command::Receive(args)) = received.command else { panic!("another command") };
        let Some(Origin::Stream(target)) = args.origin().unwrap() else { panic!("no stream") };
        let login = target.credentials.unwrap();
        assert_eq!((login.user.as_str(), login.password.reveal()), ("me", "s3cret"));
        for nobody in [["hevcast", "send", "--user", "me"], ["hevcast", "receive", "--user", "me"]] {
            assert!(Cli::try_parse_from(nobody).is_err(), "a login for no address");
        }
    }

    #[test]
    fn a_pin_for_who_shows_no_certificate_is_refused() {
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
        for (urls, is_well) in [(["rtsps://h/a", "rtmps://h/a/b"], true), (["rtsps://h/a", "rtsp://h/b"], false)] {
            let line = ["hevcast", "send", "--to", urls[0], "--to", urls[1], "--pin", &pin];
            let Some(Command::Send(args)) = Cli::try_parse_from(line).unwrap().command else {
                panic!("another command")
            };
            assert_eq!(args.plan().is_ok(), is_well);
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
