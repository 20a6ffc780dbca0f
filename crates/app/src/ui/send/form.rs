//! The sender's settings as they stand in the panel: text as people write it, and what it comes to.

use std::fmt;
use std::str::FromStr;

use hevcast_media::FrameRate;
use hevcast_media::capture::{Input, Wanted};
use hevcast_media::codec::{Crf, EncoderChoice, Qp, RateControl};
use hevcast_net::Target;
use hevcast_wire::redact::redacted;
use hevcast_wire::rtsp::auth::Credentials;
use hevcast_wire::secret::Secret;
use serde::{Deserialize, Serialize};

use crate::cli::{DEFAULT_QP, SendArgs};
use crate::pipeline::session::{Destination, SendInput, SendPlan};
use crate::ui::words::Words;
use crate::units;

/// Where pictures come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InputKind {
    /// The first camera, else the pattern.
    #[default]
    Auto,
    /// A camera.
    Camera,
    /// The whole screen.
    Screen,
    /// A video file.
    File,
    /// The test pattern.
    Pattern,
}

impl InputKind {
    /// All of them.
    pub const ALL: [InputKind; 5] =
        [InputKind::Auto, InputKind::Camera, InputKind::Screen, InputKind::File, InputKind::Pattern];

    /// Its name.
    pub fn name(self, words: &Words) -> &'static str {
        match self {
            InputKind::Auto => words.input_auto,
            InputKind::Camera => words.input_camera,
            InputKind::Screen => words.input_screen,
            InputKind::File => words.input_file,
            InputKind::Pattern => words.input_pattern,
        }
    }
}

/// What stays constant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RateKind {
    /// Nothing: a QP, and a coarser one where the link takes no more.
    #[default]
    Best,
    /// The QP.
    Qp,
    /// The perceived quality.
    Crf,
    /// The bitrate.
    Bitrate,
}

/// The panel's fields. Empty text means "as it comes".
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the panel names them")]
pub struct SendForm {
    pub input: InputKind,
    /// A camera's path or name; empty: the first.
    pub camera: String,
    pub file: String,
    /// The file starts over at its end.
    pub repeat: bool,
    pub size: String,
    pub frame_rate: String,
    /// `auto`, or an encoder's name.
    pub encoder: String,
    pub rate: RateKind,
    pub qp: u8,
    pub crf: f32,
    /// Such as `2M`.
    pub bitrate: String,
    /// Such as `2s`.
    pub keyframe_interval: String,
    /// One or more, with spaces between; empty: a server inside.
    pub url: String,
    pub user: String,
    pub password: String,
    pub remember_password: bool,
    /// Of SRT's addresses from the command line, which are shown without.
    #[serde(skip)]
    pub passphrase: Option<Secret>,
}

// The password is for nobody's log.
impl fmt::Debug for SendForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendForm").field("url", &redacted(&self.url)).field("user", &self.user).finish_non_exhaustive()
    }
}

impl Default for SendForm {
    fn default() -> SendForm {
        SendForm {
            input: InputKind::Auto,
            camera: String::new(),
            file: String::new(),
            repeat: true,
            size: String::new(),
            frame_rate: String::new(),
            encoder: "auto".to_owned(),
            rate: RateKind::Best,
            qp: DEFAULT_QP.get(),
            crf: f32::from(DEFAULT_QP.get()),
            bitrate: "2M".to_owned(),
            keyframe_interval: String::new(),
            url: String::new(),
            user: String::new(),
            password: String::new(),
            remember_password: false,
            passphrase: None,
        }
    }
}

/// A value, or what is wrong with its field: the field's name, and how to write it.
type Read<T> = Result<T, String>;

fn read<T>(name: &str, text: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Read<Option<T>> {
    match text.trim() {
        "" => Ok(None),
        text => parse(text).map(Some).map_err(|error| format!("{name}: {error}")),
    }
}

impl SendForm {
    /// What the fields come to; `at_home` is where a server inside listens and its path.
    ///
    /// # Errors
    /// The first field that makes no sense, in one line.
    pub fn plan(&self, at_home: (std::net::SocketAddr, &str), words: &Words) -> Read<SendPlan> {
        let encoder = EncoderChoice::from_str(self.encoder.trim()).map_err(|e| format!("{}: {e}", words.encoder))?;
        let interval = read(words.keyframe_interval, &self.keyframe_interval, units::duration)?;
        let target = |text: &str| units::target(text).map_err(|error| format!("{}: {error}", words.address));
        let targets = self.url.split_whitespace().map(target).collect::<Read<Vec<Target>>>()?;
        let destination = if targets.is_empty() {
            Destination::Inside { listen: at_home.0, path: at_home.1.to_owned() }
        } else {
            let complete = |target: Target| target.with_login(self.login()).with_passphrase(self.passphrase.as_ref());
            Destination::Servers(targets.into_iter().map(complete).collect())
        };
        Ok(SendPlan {
            input: self.input(words)?.map(SendInput::Pictures),
            wanted: Wanted {
                size: read(words.size, &self.size, units::size)?,
                fps: read(words.frame_rate, &self.frame_rate, |t| FrameRate::from_str(t).map_err(|e| e.to_string()))?,
            },
            encoder,
            rate: self.rate(words)?,
            preset: None,
            keyframe_interval: interval,
            destination,
            record: None,
        })
    }

    fn input(&self, words: &Words) -> Read<Option<Input>> {
        let camera = self.camera.trim();
        Ok(match self.input {
            InputKind::Auto => None,
            InputKind::Camera => Some(Input::Camera((!camera.is_empty()).then(|| camera.to_owned()))),
            InputKind::Screen => Some(Input::Screen),
            InputKind::Pattern => Some(Input::Pattern),
            InputKind::File => match self.file.trim() {
                "" => return Err(words.choose_file.to_owned()),
                path => Some(Input::File { path: path.into(), looped: self.repeat }),
            },
        })
    }

    /// What stays constant.
    ///
    /// # Errors
    /// How to write a bitrate.
    pub fn rate(&self, words: &Words) -> Read<RateControl> {
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

    /// Puts a login that stands in the URL into its own fields, so that the URL can be shown and kept.
    pub fn take_login(&mut self) {
        if let Ok(target) = Target::parse(self.url.trim())
            && let Some(login) = target.credentials.clone()
        {
            self.url = target.to_text();
            (self.user, self.password) = (login.user, login.password.reveal().to_owned());
        }
    }

    /// The login of the fields.
    fn login(&self) -> Option<Credentials> {
        let user = self.user.trim();
        (!user.is_empty()).then(|| Credentials { user: user.to_owned(), password: self.password.as_str().into() })
    }

    /// Takes over what the command line asked for.
    pub fn apply(&mut self, args: &SendArgs) {
        let pictures = args.source.input().and_then(|input| match input {
            SendInput::Pictures(input) => Some(input),
            // A stream has no place in the panel: see `SendWindow`.
            SendInput::Stream(_) => None,
        });
        match pictures {
            None => {}
            Some(Input::Camera(name)) => (self.input, self.camera) = (InputKind::Camera, name.unwrap_or_default()),
            Some(Input::Screen) => self.input = InputKind::Screen,
            Some(Input::Pattern) => self.input = InputKind::Pattern,
            Some(Input::File { path, looped }) => {
                (self.input, self.file, self.repeat) = (InputKind::File, path.display().to_string(), looped);
            }
            // A pipe has no place in the panel: see `SendWindow`.
            Some(Input::Y4mStdin) => {}
        }
        if let Some((width, height)) = args.source.size {
            self.size = format!("{width}x{height}");
        }
        if let Some(rate) = args.source.fps {
            self.frame_rate = rate.to_string();
        }
        if let EncoderChoice::Named(name) = &args.encode.encoder {
            self.encoder.clone_from(name);
        }
        if args.encode.names_a_rate() {
            match args.encode.rate() {
                RateControl::Best(qp) => (self.rate, self.qp) = (RateKind::Best, qp.get()),
                RateControl::Qp(qp) => (self.rate, self.qp) = (RateKind::Qp, qp.get()),
                RateControl::Crf(crf) => (self.rate, self.crf) = (RateKind::Crf, crf.get()),
                RateControl::Bitrate(bits) => (self.rate, self.bitrate) = (RateKind::Bitrate, bits.to_string()),
            }
        }
        if let Some(interval) = args.encode.keyframe_interval {
            self.keyframe_interval = format!("{}ms", interval.as_millis());
        }
        if !args.to.is_empty() {
            // A pin that does not belong to an address is told where it is sent to: see `SendArgs::plan`.
            let pinned = |target: &Target| target.clone().pinned(args.pin).unwrap_or_else(|_| target.clone());
            let urls: Vec<String> = args.to.iter().map(|target| pinned(target).to_text()).collect();
            self.url = urls.join(" ");
            let completed = args.to.iter().map(|target| args.login.complete(target.clone()));
            self.passphrase = completed.filter_map(|target| target.srt).find_map(|srt| srt.passphrase);
            // The panel has fields for one login.
            let login = args.to.iter().find_map(|target| target.credentials.clone()).or(args.login.login());
            if let Some(Credentials { user, password }) = login {
                (self.user, self.password) = (user, password.reveal().to_owned());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::words::Language;
    use clap::Parser;

    fn plan(form: &SendForm) -> Read<SendPlan> {
        form.plan((([0, 0, 0, 0], 8554).into(), "live"), Language::En.words())
    }

    fn args(line: &str) -> SendArgs {
        match crate::cli::Cli::try_parse_from(line.split(' ')).unwrap().command {
            Some(crate::cli::Command::Send(args)) => args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_command_line_and_the_panel_ask_for_the_same() {
        for rate in ["--bitrate 1M", "--best-qp 20", "--qp 21", "--crf 22"] {
            let line = format!(
                "hevcast send --input file:a.mkv --loop --size 640x480 --fps 25 {rate} --keyframe-interval 3s \
                 --encoder libx265 --to rtsp://u:p@host/live"
            );
            let args = args(&line);
            let mut form = SendForm::default();
            form.apply(&args);
            let (by_form, by_line) = (plan(&form).unwrap(), args.plan().unwrap());
            assert_eq!(format!("{by_form:?}"), format!("{by_line:?}"));
            assert!(!form.url.contains("p@"), "the password has a field of its own");
        }
    }

    #[test]
    fn a_passphrase_is_used_and_not_shown() {
        let mut form = SendForm::default();
        form.apply(&args("hevcast send --to srt://h:1?passphrase=secretsecret"));
        let Destination::Servers(targets) = plan(&form).unwrap().destination else { panic!("no server") };
        assert_eq!(targets[0].srt.as_ref().unwrap().passphrase, Some("secretsecret".into()));
        assert!(!format!("{form:?} {}", toml::to_string(&form).unwrap()).contains("secret"));
    }

    #[test]
    fn as_it_is_at_first_it_asks_for_nothing_in_particular() {
        let line = format!("{:?}", args("hevcast send").plan().unwrap());
        assert_eq!(format!("{:?}", plan(&SendForm::default()).unwrap()), line);
    }

    #[test]
    fn what_makes_no_sense_is_named_by_its_field() {
        type Spoil = fn(&mut SendForm);
        let cases: [(&str, Spoil); 5] = [
            ("Size", |form| form.size = "big".to_owned()),
            ("Frame rate", |form| form.frame_rate = "fast".to_owned()),
            ("Keyframe interval", |form| form.keyframe_interval = "never".to_owned()),
            ("Server", |form| form.url = "http://host".to_owned()),
            ("Choose a file", |form| form.input = InputKind::File),
        ];
        for (name, spoil) in cases {
            let mut form = SendForm::default();
            spoil(&mut form);
            assert!(plan(&form).unwrap_err().starts_with(name), "{name}: {:?}", plan(&form));
        }
    }
}
