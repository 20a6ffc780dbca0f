//! Which source to open and what to request of it, and the notation of sources on the command line.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::frame_rate::FrameRate;

/// A source of pictures to be opened, written as `camera`, `camera:NAME`, `screen`, `file:PATH`, `pattern` or `y4m:-`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A camera by path (`/dev/video0`, on Windows its symbolic link), number (`0`) or part of its name; `None`: the first.
    Camera(Option<String>),
    /// The whole screen, with the pointer.
    Screen,
    /// A video file, which is decoded and played in real time.
    File {
        /// Path of the file.
        path: PathBuf,
        /// Whether it starts over at its end.
        looped: bool,
    },
    /// A moving test picture with a clock.
    Pattern,
    /// Raw pictures in Y4M format from standard input.
    Y4mStdin,
}

/// Size and rate requested of a source; `None` leaves the choice to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Width and height in pixels.
    pub size: Option<(u32, u32)>,
    /// Pictures per second, which cameras, the screen and the pattern are set to.
    pub fps: Option<FrameRate>,
}

/// A text that is no [`Input`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown input `{0}`; use camera, camera:NAME, screen, file:PATH, pattern or y4m:-")]
pub struct UnknownInput(pub String);

impl FromStr for Input {
    type Err = UnknownInput;

    fn from_str(text: &str) -> Result<Input, UnknownInput> {
        let (kind, rest) = match text.split_once(':') {
            Some((kind, rest)) => (kind, Some(rest)),
            None => (text, None),
        };
        match (kind, rest) {
            ("camera", None | Some("")) => Ok(Input::Camera(None)),
            ("camera", Some(name)) => Ok(Input::Camera(Some(name.to_owned()))),
            ("screen", None) => Ok(Input::Screen),
            ("pattern", None) => Ok(Input::Pattern),
            ("y4m", Some("-")) => Ok(Input::Y4mStdin),
            ("file", Some(path)) if !path.is_empty() => Ok(Input::File { path: PathBuf::from(path), looped: false }),
            _ => Err(UnknownInput(text.to_owned())),
        }
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Input::Camera(None) => f.write_str("camera"),
            Input::Camera(Some(name)) => write!(f, "camera:{name}"),
            Input::Screen => f.write_str("screen"),
            Input::File { path, .. } => write!(f, "file:{}", path.display()),
            Input::Pattern => f.write_str("pattern"),
            Input::Y4mStdin => f.write_str("y4m:-"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_back() {
        for word in ["camera", "camera:USB Cam", "screen", "file:a b.mp4", "pattern", "y4m:-"] {
            let input: Input = word.parse().unwrap();
            assert_eq!(input.to_string(), word);
        }
        for word in ["", "file:", "file", "y4m", "y4m:x", "Pattern", "screen:1"] {
            assert!(word.parse::<Input>().is_err(), "{word}");
        }
    }
}
