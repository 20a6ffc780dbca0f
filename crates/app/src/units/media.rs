//! Units of pictures and of where they go.

use std::path::PathBuf;

use hevcast_media::codec::Bitrate;
use hevcast_media::mux::Form;
use hevcast_net::Target;

/// A bitrate in bits/s: `800k`, `2M`, `2500000`.
///
/// # Errors
/// A line that says how to write it.
pub fn bitrate(text: &str) -> Result<Bitrate, String> {
    let (digits, scale) = match text.char_indices().last() {
        Some((at, 'k' | 'K')) => (&text[..at], 1e3),
        Some((at, 'm' | 'M')) => (&text[..at], 1e6),
        _ => (text, 1.0),
    };
    let bits = digits.parse::<f64>().map_err(|_| "write bits per second such as 800k or 2M".to_owned())? * scale;
    // `as` saturates, and makes 0 of what is no number.
    Bitrate::new(bits as u64).map_err(|error| error.to_string())
}

/// A size in pixels: `1280x720`.
///
/// # Errors
/// A line that says how to write it.
pub fn size(text: &str) -> Result<(u32, u32), String> {
    let parsed = text.split_once(['x', 'X', '×']).and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    match parsed {
        Some((w, h)) if (16..=8192).contains(&w) && (16..=8192).contains(&h) => Ok((w, h)),
        _ => Err("write a size such as 1280x720, 16 to 8192 pixels each way".to_owned()),
    }
}

/// A stream's URL.
///
/// # Errors
/// The URL's own error.
pub fn target(text: &str) -> Result<Target, String> {
    Target::parse(text).map_err(|error| error.to_string())
}

/// A file to record to.
///
/// # Errors
/// A line that names the forms there are.
pub fn recording(path: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(path);
    match Form::of(&path) {
        Some(_) => Ok(path),
        None => Err("end the name in .mp4 or .mkv".to_owned()),
    }
}

/// A path on a server: not empty.
///
/// # Errors
/// A line that says so.
pub fn path(text: &str) -> Result<String, String> {
    match text.trim_matches('/') {
        "" => Err("give a path such as live".to_owned()),
        path => Ok(path.to_owned()),
    }
}

/// Where received pictures are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Y4mOutput {
    /// Standard output.
    Stdout,
    /// A file.
    File(PathBuf),
}

/// `y4m:-`, or a file whose name ends in `.y4m`.
///
/// # Errors
/// A line that says so.
pub fn y4m_output(text: &str) -> Result<Y4mOutput, String> {
    match text {
        "y4m:-" => Ok(Y4mOutput::Stdout),
        file if file.ends_with(".y4m") => Ok(Y4mOutput::File(file.into())),
        _ => Err("write y4m:- or a file name that ends in .y4m".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_as_people_write_them() {
        assert_eq!(["2M", "800k"].map(|text| bitrate(text).unwrap().get()), [2_000_000, 800_000]);
        assert_eq!(size("1280x720"), Ok((1280, 720)));
        assert_eq!(y4m_output("y4m:-"), Ok(Y4mOutput::Stdout));
    }

    #[test]
    fn nonsense_says_how_to_write_it() {
        for bad in ["", "M", "-2M", "1", "99G", "é"] {
            assert!(bitrate(bad).is_err(), "{bad}");
        }
        for bad in ["", "1280", "0x0", "99999x1", "axb"] {
            assert!(size(bad).is_err(), "{bad}");
        }
        assert!(y4m_output("x.mp4").is_err());
    }
}
