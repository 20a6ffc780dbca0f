//! Bitrates, picture sizes, URLs and file names, as people write them.

use std::path::PathBuf;

use hevcast_media::codec::Bitrate;
use hevcast_media::mux::Form;
use hevcast_net::Target;

/// Reads a bitrate in bits per second: `800k`, `2M`, `2500000`.
///
/// # Errors
/// How to write it, in one line.
pub(crate) fn bitrate(text: &str) -> Result<Bitrate, String> {
    let (digits, scale) = match text.char_indices().last() {
        Some((at, 'k' | 'K')) => (&text[..at], 1e3),
        Some((at, 'm' | 'M')) => (&text[..at], 1e6),
        _ => (text, 1.0),
    };
    let bits = digits.parse::<f64>().map_err(|_| "write bits per second such as 800k or 2M".to_owned())? * scale;
    // `as` saturates, and makes NaN 0.
    Bitrate::new(bits as u64).map_err(|error| error.to_string())
}

/// Reads a size in pixels: `1280x720`, 16 to 8192 each.
///
/// # Errors
/// How to write it, in one line.
pub(crate) fn size(text: &str) -> Result<(u32, u32), String> {
    let parsed = text.split_once(['x', 'X', '×']).and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    match parsed {
        Some((w, h)) if (16..=8192).contains(&w) && (16..=8192).contains(&h) => Ok((w, h)),
        _ => Err("write a size such as 1280x720; width and height are 16 to 8192 pixels".to_owned()),
    }
}

/// Reads a stream's URL.
///
/// # Errors
/// What is wrong with it, in one line.
pub(crate) fn target(text: &str) -> Result<Target, String> {
    Target::parse(text).map_err(|error| error.to_string())
}

/// Reads the name of a file to record to, by whose ending the format is chosen.
///
/// # Errors
/// The endings that are known, in one line.
pub(crate) fn recording(path: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(path);
    match Form::of(&path) {
        Some(_) => Ok(path),
        None => Err("end the name in .mp4 or .mkv".to_owned()),
    }
}

/// Reads the path of a stream on a server, without slashes around it.
///
/// # Errors
/// When it is empty.
pub(crate) fn path(text: &str) -> Result<String, String> {
    match text.trim_matches('/') {
        "" => Err("write a path such as live".to_owned()),
        path => Ok(path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bitrates_and_sizes_are_read_as_people_write_them() {
        assert_eq!(["2M", "800k"].map(|text| bitrate(text).unwrap().get()), [2_000_000, 800_000]);
        assert_eq!(size("1280x720"), Ok((1280, 720)));
    }

    #[test]
    fn what_is_neither_is_refused() {
        for bad in ["", "M", "-2M", "1", "99G", "é"] {
            assert!(bitrate(bad).is_err(), "{bad}");
        }
        for bad in ["", "1280", "0x0", "99999x1", "axb"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }
}
