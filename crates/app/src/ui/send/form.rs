//! The sender's settings as the panel edits them, and the [`SendPlan`] that they stand for.

use std::fmt;
use std::str::FromStr;

use hevcast_media::FrameRate;
use hevcast_media::capture::{Input, Wanted};
use hevcast_net::Target;
use hevcast_wire::redact::redacted;
use hevcast_wire::rtsp::auth::Credentials;
use hevcast_wire::secret::Secret;
use serde::{Deserialize, Serialize};

use super::encoder_form::EncoderForm;
use crate::cli::SendArgs;
use crate::pipeline::session::{Destination, SendInput, SendPlan};
use crate::ui::words::Words;
use crate::units;

/// The kinds of input that the panel offers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum InputKind {
    /// The first camera, or the test pattern if there is none.
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
    /// All of them, in the order in which they are offered.
    pub(crate) const ALL: [InputKind; 5] =
        [InputKind::Auto, InputKind::Camera, InputKind::Screen, InputKind::File, InputKind::Pattern];

    /// The kind's name in the panel.
    pub(crate) fn name(self, words: &Words) -> &'static str {
        match self {
            InputKind::Auto => words.input_auto,
            InputKind::Camera => words.input_camera,
            InputKind::Screen => words.input_screen,
            InputKind::File => words.input_file,
            InputKind::Pattern => words.input_pattern,
        }
    }
}

/// The panel's fields. An empty text means the default.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct SendForm {
    /// Where pictures come from.
    pub input: InputKind,
    /// A camera's path or name; empty: the first camera.
    pub camera: String,
    /// A video file's path.
    pub file: String,
    /// The file starts over at its end.
    pub repeat: bool,
    /// Such as `1280x720`; empty: the source's own.
    pub size: String,
    /// Pictures per second; empty: the source's own.
    pub frame_rate: String,
    /// The encoder's options.
    #[serde(flatten)]
    pub encoder: EncoderForm,
    /// One or more URLs, with spaces between; empty: the built-in server.
    pub url: String,
    /// The user of URLs without a login of their own.
    pub user: String,
    /// The user's password.
    pub password: String,
    /// The password is written to the file of settings, too.
    pub remember_password: bool,
    /// SRT's passphrase from the command line; the URLs are shown without it.
    #[serde(skip)]
    pub passphrase: Option<Secret>,
}

// Without the password, so that no log has it.
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
            encoder: EncoderForm::default(),
            url: String::new(),
            user: String::new(),
            password: String::new(),
            remember_password: false,
            passphrase: None,
        }
    }
}

/// A field's value, or a line with the field's name and how to write it.
pub(crate) type Read<T> = Result<T, String>;

/// The value of the field `name`; `None` if it is empty.
pub(crate) fn read<T>(name: &str, text: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Read<Option<T>> {
    match text.trim() {
        "" => Ok(None),
        text => parse(text).map(Some).map_err(|error| format!("{name}: {error}")),
    }
}

impl SendForm {
    /// What the fields stand for. What the panel has no field for comes from the command line's `args`.
    ///
    /// # Errors
    /// The first field that cannot be read, in one line.
    pub(crate) fn plan(&self, args: &SendArgs, words: &Words) -> Read<SendPlan> {
        let frame_rate = |text: &str| FrameRate::from_str(text).map_err(|error| error.to_string());
        let input = args.source.input().filter(has_no_field).map(|input| input.completed_by(&args.login));
        Ok(SendPlan {
            input: match input {
                Some(input) => Some(input),
                None => self.input(words)?.map(SendInput::Pictures),
            },
            wanted: Wanted {
                size: read(words.size, &self.size, units::size)?,
                fps: read(words.frame_rate, &self.frame_rate, frame_rate)?,
            },
            encoder: self.encoder.options(args.encode.options(), words)?,
            destination: self.destination(args, words)?,
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

    fn destination(&self, args: &SendArgs, words: &Words) -> Read<Destination> {
        let target = |text: &str| {
            let target = units::target(text).map_err(|error| format!("{}: {error}", words.address))?;
            Ok(target.with_login(self.login()).with_passphrase(self.passphrase.as_ref()))
        };
        let targets = self.url.split_whitespace().map(target).collect::<Read<Vec<Target>>>()?;
        Ok(if targets.is_empty() { args.built_in() } else { Destination::Servers(targets) })
    }

    /// Moves a login in the URL into the fields for it, so that the URL can be shown and written to the file.
    pub(crate) fn take_login(&mut self) {
        if let Ok(target) = Target::parse(self.url.trim())
            && let Some(login) = target.credentials.clone()
        {
            self.url = target.to_text();
            (self.user, self.password) = (login.user, login.password.reveal().to_owned());
        }
    }

    /// The login in the fields; `None` without a user.
    fn login(&self) -> Option<Credentials> {
        let user = self.user.trim();
        (!user.is_empty()).then(|| Credentials { user: user.to_owned(), password: self.password.as_str().into() })
    }

    /// Takes over what the command line names; the rest stays as remembered.
    pub(crate) fn apply(&mut self, args: &SendArgs) {
        match args.source.input() {
            Some(SendInput::Pictures(Input::Camera(name))) => {
                (self.input, self.camera) = (InputKind::Camera, name.unwrap_or_default());
            }
            Some(SendInput::Pictures(Input::Screen)) => self.input = InputKind::Screen,
            Some(SendInput::Pictures(Input::Pattern)) => self.input = InputKind::Pattern,
            Some(SendInput::Pictures(Input::File { path, looped })) => {
                (self.input, self.file, self.repeat) = (InputKind::File, path.display().to_string(), looped);
            }
            // The panel has no field for these: see `plan`.
            Some(SendInput::Pictures(Input::Y4mStdin) | SendInput::Stream(_)) | None => {}
        }
        if let Some((width, height)) = args.source.size {
            self.size = format!("{width}x{height}");
        }
        if let Some(rate) = args.source.fps {
            self.frame_rate = rate.to_string();
        }
        self.encoder.apply(&args.encode);
        if !args.to.is_empty() {
            // A pin without a certificate to compare it with is refused before the window opens: see `SendArgs::plan`.
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

/// Whether the panel has no field for this input.
fn has_no_field(input: &SendInput) -> bool {
    matches!(input, SendInput::Stream(_) | SendInput::Pictures(Input::Y4mStdin))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Language;
    use clap::Parser;

    fn plan(form: &SendForm) -> Read<SendPlan> {
        form.plan(&SendArgs::default(), Language::En.words())
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
    fn what_the_panel_has_no_field_for_comes_from_the_command_line() {
        for (line, part) in [
            ("hevcast send --input rtsp://u:p@camera/x", "camera/x"),
            ("hevcast send --input y4m:-", "Y4mStdin"),
            ("hevcast send --preset slow", "slow"),
            ("hevcast send --listen 127.0.0.1:99 --path door", "door"),
        ] {
            let args = args(line);
            let mut form = SendForm::default();
            form.apply(&args);
            let planned = format!("{:?}", form.plan(&args, Language::En.words()).unwrap());
            assert_eq!(planned, format!("{:?}", args.plan().unwrap()));
            assert!(planned.contains(part), "{planned}");
        }
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
            ("Keyframe interval", |form| form.encoder.keyframe_interval = "never".to_owned()),
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
