//! The windows' settings, kept in `hevcast/windows.toml` in the user's configuration folder. The file may be deleted at any
//! time.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use eframe::egui::ThemePreference;
use hevcast_net::Target;
use hevcast_wire::redact::redacted;
use serde::{Deserialize, Serialize};

use super::send::form::SendForm;
use crate::language::Language;
use crate::pipeline::origin::Origin;

/// How many addresses are kept.
const HISTORY: usize = 12;

/// The contents of the file. Keys that are missing have their defaults; unknown keys are ignored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Remembered {
    /// The language that was chosen; `None`: the system's.
    pub language: Option<Language>,
    /// The language by `--lang`, for this run only.
    #[serde(skip)]
    pub asked_language: Option<Language>,
    /// The colours that were chosen.
    pub theme: Theme,
    /// The sender's settings.
    pub send: SendForm,
    /// The receiver's addresses, the latest first, without passwords.
    #[serde(deserialize_with = "decoded")]
    pub watched: Vec<String>,
}

/// The colours of the windows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Theme {
    /// As the system has it.
    #[default]
    System,
    /// Light on dark.
    Dark,
    /// Dark on light.
    Light,
}

impl From<Theme> for ThemePreference {
    fn from(theme: Theme) -> ThemePreference {
        match theme {
            Theme::System => ThemePreference::System,
            Theme::Dark => ThemePreference::Dark,
            Theme::Light => ThemePreference::Light,
        }
    }
}

impl Remembered {
    /// Reads the file; the defaults if that fails.
    pub(super) fn load() -> Remembered {
        let Some(path) = path() else { return Remembered::default() };
        match std::fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text).unwrap_or_else(|error| {
                tracing::warn!("{} is ignored: {error}", path.display());
                Remembered::default()
            }),
            Err(_) => Remembered::default(),
        }
    }

    /// The language of the windows.
    pub(super) fn language(&self) -> Language {
        self.asked_language.or(self.language).unwrap_or_else(Language::of_the_system)
    }

    /// Writes the file. A failure is logged, and has no other effect.
    pub(super) fn save(&self) {
        let Some(path) = path() else { return };
        if let Err(error) = self.write(&path) {
            tracing::warn!("the settings were not saved: {error:#}");
        }
    }

    fn write(&self, path: &Path) -> Result<()> {
        let mut kept = self.clone();
        kept.send.take_login();
        kept.send.url = kept.send.url.split_whitespace().map(storable).collect::<Vec<_>>().join(" ");
        if !kept.send.remember_password {
            kept.send.password.clear();
        }
        let text = toml::to_string(&kept)?;
        let folder = path.parent().context("the file of settings has no folder")?;
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        // First to another file: a crash while writing leaves the old one intact.
        let new = path.with_extension("new");
        let written = open_private(&new).and_then(|mut file| file.write_all(text.as_bytes()));
        written.and_then(|()| std::fs::rename(&new, path)).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Puts an address at the head of the receiver's addresses.
    pub(super) fn add_watched(&mut self, url: &str) {
        self.watched.retain(|known| known != url);
        self.watched.insert(0, url.to_owned());
        self.watched.truncate(HISTORY);
    }
}

/// A URL without its password, also if it cannot be parsed.
fn storable(url: &str) -> String {
    Target::parse(url).map_or_else(|_| redacted(url), |target| target.to_text())
}

/// Reads addresses, which earlier versions wrote percent-encoded.
fn decoded<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let kept = Vec::<String>::deserialize(deserializer)?;
    Ok(kept.into_iter().map(|url| url.parse::<Origin>().map_or(url, |origin| origin.to_text())).collect())
}

/// Creates a file that only the user can read, since addresses may contain keys.
fn open_private(path: &Path) -> std::io::Result<std::fs::File> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    // The mode above applies to a new file only.
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(file)
}

fn path() -> Option<PathBuf> {
    Some(dirs::config_dir()?.join("hevcast").join("windows.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::send::encoder_form::{EncoderForm, RateKind};

    fn written(remembered: &Remembered) -> String {
        let folder = std::env::temp_dir().join(format!("hevcast-remember-{}", std::process::id()));
        let path = folder.join("windows.toml");
        remembered.write(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_dir_all(folder).unwrap();
        text
    }

    #[test]
    fn a_password_is_kept_only_when_asked() {
        let mut remembered = Remembered::default();
        remembered.send.password = "secret word".to_owned();
        assert!(!written(&remembered).contains("secret"));
        let in_url = SendForm { url: "rtsp://me:secret@host/live".to_owned(), ..SendForm::default() };
        let text = written(&Remembered { send: in_url, ..Remembered::default() });
        assert!(text.contains("rtsp://host/live") && text.contains("me") && !text.contains("secret"), "{text}");
        for url in
            ["rtsp://:secret@host/live", "rtsp://me:12/secret@host/live", "http://me:secret@h/x rtsp://b:secret@h/y"]
        {
            let text = written(&Remembered {
                send: SendForm { url: url.to_owned(), ..SendForm::default() },
                ..Remembered::default()
            });
            assert!(!text.contains("secret"), "{url}: {text}");
        }
        remembered.send.remember_password = true;
        let text = written(&remembered);
        assert_eq!(toml::from_str::<Remembered>(&text).unwrap(), remembered);
    }

    /// The file as version 0.1 wrote it.
    const WRITTEN_BEFORE: &str = "\
language = \"en\"
theme = \"dark\"
watched = [\"rtsp://host/live\"]

[send]
input = \"file\"
camera = \"/dev/video2\"
file = \"a.mkv\"
repeat = false
size = \"640x480\"
frame_rate = \"25\"
encoder = \"libx265\"
rate = \"crf\"
qp = 30
crf = 21.5
bitrate = \"half\"
keyframe_interval = \"3s\"
url = \"rtsp://host/live\"
user = \"me\"
password = \"word\"
remember_password = true
";

    #[test]
    fn the_file_keeps_its_keys() {
        let read: Remembered = toml::from_str(WRITTEN_BEFORE).unwrap();
        let encoder = EncoderForm {
            encoder: "libx265".to_owned(),
            rate: RateKind::Crf,
            qp: 30,
            crf: 21.5,
            bitrate: "half".to_owned(),
            keyframe_interval: "3s".to_owned(),
        };
        assert_eq!(read.send.encoder, encoder);
        assert_eq!((read.send.size.as_str(), read.send.user.as_str()), ("640x480", "me"));
        assert_eq!(toml::from_str::<toml::Value>(&written(&read)).unwrap(), toml::from_str(WRITTEN_BEFORE).unwrap());
    }

    #[test]
    fn a_file_of_another_version_is_read_as_far_as_it_goes() {
        let read: Remembered = toml::from_str("language = \"zh\"\nnews = 1\n[send]\nqp = 30\n").unwrap();
        assert_eq!((read.language, read.send.encoder.qp, read.theme), (Some(Language::Zh), 30, Theme::System));
        let kept = ["rtsp://h/%E5%AE%A2%E5%8E%85", "rtsp://h/live%20cam", "no address"];
        let mut read: Remembered = toml::from_str(&format!("watched = {kept:?}")).unwrap();
        assert_eq!(read.watched, ["rtsp://h/客厅", "rtsp://h/live%20cam", "no address"]);
        read.add_watched(&"rtsp://h/%e5%ae%a2厅".parse::<Origin>().unwrap().to_text());
        assert_eq!(read.watched.len(), 3);
    }

    #[test]
    fn the_history_has_each_address_once_and_an_end() {
        let mut remembered = Remembered::default();
        for n in (0..40).chain([35]) {
            remembered.add_watched(&format!("rtsp://host/{n}"));
        }
        assert_eq!(remembered.watched.len(), HISTORY);
        assert_eq!(remembered.watched[..2], ["rtsp://host/35", "rtsp://host/39"]);
    }
}
