//! What a receiver shows: a stream, or a file.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use hevcast_net::target::SrtMode;
use hevcast_net::tls::Fingerprint;
use hevcast_net::{NetError, Target};
use hevcast_wire::redact::redacted;

use crate::login::LoginArgs;

/// Where coded pictures come from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// A stream by RTSP, RTMP or SRT.
    Stream(Box<Target>),
    /// A recording, or another file with H.265 or H.264 in it.
    File(PathBuf),
}

impl FromStr for Origin {
    type Err = String;

    /// A URL, or a file's name.
    fn from_str(text: &str) -> Result<Origin, String> {
        if let Some(path) = text.strip_prefix("file://") {
            return Ok(Origin::File(path.into()));
        }
        if !text.contains("://") && Path::new(text).is_file() {
            return Ok(Origin::File(text.into()));
        }
        match Target::parse(text) {
            Ok(target) => Ok(Origin::Stream(Box::new(target))),
            Err(_) if !text.contains("://") => {
                let text = redacted(text);
                Err(format!("{text}: there is no such file, and it is not an address such as rtsp://HOST:8554/PATH"))
            }
            Err(error) => Err(error.to_string()),
        }
    }
}

impl From<Target> for Origin {
    fn from(target: Target) -> Origin {
        Origin::Stream(Box::new(target))
    }
}

impl Origin {
    /// The same, where only a certificate with this fingerprint is trusted, if there is one.
    ///
    /// # Errors
    /// [`NetError::Url`] where no certificate is shown.
    pub fn pinned(self, pin: Option<Fingerprint>) -> Result<Origin, NetError> {
        match self {
            Origin::Stream(target) => Ok(target.pinned(pin)?.into()),
            Origin::File(path) if pin.is_none() => Ok(Origin::File(path)),
            Origin::File(path) => {
                let what = "a file shows no certificate that a pin could be compared with".to_owned();
                Err(NetError::Url { url: path.display().to_string(), what, example: "rtsps://HOST:8322/PATH" })
            }
        }
    }

    /// The same with this login, where it has none.
    #[must_use]
    pub fn with_login(self, login: &LoginArgs) -> Origin {
        match self {
            Origin::Stream(target) => login.complete(*target).into(),
            file @ Origin::File(_) => file,
        }
    }

    /// The stream, if it is one.
    pub fn target(&self) -> Option<&Target> {
        match self {
            Origin::Stream(target) => Some(target),
            Origin::File(_) => None,
        }
    }

    /// Whether it is open only once its first pictures are there. Who listens for a sender waits without end.
    pub fn opens_with_pictures(&self) -> bool {
        self.target().and_then(|target| target.srt.as_ref()).is_some_and(|srt| srt.mode == SrtMode::Caller)
    }

    /// For logs, without what may be secret.
    pub fn shown(&self) -> String {
        match self {
            Origin::Stream(target) => target.shown(),
            Origin::File(path) => path.display().to_string(),
        }
    }

    /// As [`Origin::from_str`] reads it, without a password.
    pub fn to_text(&self) -> String {
        match self {
            Origin::Stream(target) => target.to_text(),
            Origin::File(path) => path.display().to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_told_from_an_address() {
        let file = std::env::current_exe().unwrap().display().to_string();
        for text in [file.clone(), format!("file://{file}")] {
            let origin: Origin = text.parse().unwrap();
            assert!(matches!(&origin, Origin::File(path) if path.display().to_string() == file), "{origin:?}");
        }
        let origin: Origin = "srt://h:1?streamid=x".parse().unwrap();
        assert_eq!(origin.to_text(), "srt://h:1?streamid=x");
        let error = "missing.mp4".parse::<Origin>().unwrap_err();
        assert!(error.contains("no such file") && error.contains("rtsp://"), "{error}");
        let error = "me:secret@h/x".parse::<Origin>().unwrap_err();
        assert!(error.contains("me:…@h/x"), "{error}");
        assert!("http://h/x".parse::<Origin>().unwrap_err().contains("does not support http://"));
    }
}
