//! Stream paths in one normal form, however a client writes them.
//!
//! The path of a request's URL names the stream (RFC 2326 section 3.2). Clients write the same path in different ways: in UTF-8,
//! percent-encoded in whole or in part, with `%e5` for `%E5`, composed or decomposed (macOS). [`StreamPath`] is the normal form
//! of all of them. Streams, access rules and recordings are found by it alone:
//!
//! - percent-decoded exactly once, and UTF-8 (RFC 3986 section 2.1, RFC 3987 section 3.1); a `%` that is not followed by two
//!   hexadecimal digits stands for itself;
//! - in Unicode normalization form C, so that composed and decomposed spellings are equal;
//! - its segments separated by one `/`, with none at either end. An encoded slash counts as a slash: access is decided on this
//!   form, so it gives access to nothing more. Segments that are `.` or `..` after decoding are refused: URL parsing has
//!   resolved the unencoded ones already;
//! - without control characters, line separators, direction marks and invisible characters, which would change the text around
//!   the path or make two paths look alike.
//!
//! Letters keep their case. A path is percent-encoded again only where a URL is written: [`encoded`].

use std::fmt;
use std::ops::Deref;

use icu_normalizer::ComposingNormalizerBorrowed;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use rtsp_types::Url;
use thiserror::Error;

use crate::url_text::is_out_of_place;
pub use crate::url_text::shown;

/// Longest path that is accepted, bytes of UTF-8 after decoding.
pub const MAX_PATH_BYTES: usize = 256;

/// The ASCII characters of a path that are percent-encoded in a URL, beside everything that is not ASCII (RFC 3986
/// section 3.3).
const ENCODED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Why a text cannot be a stream's path.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PathError {
    /// The decoded bytes are not UTF-8; they may be GBK or Latin-1.
    #[error("the path {0:?} is not UTF-8")]
    NotUtf8(String),
    /// It has a control character, a line separator, a direction mark or an invisible character.
    #[error("the path has the character U+{:04X}, which no path may have", u32::from(*.0))]
    Character(char),
    /// It has a segment `.` or `..` after decoding.
    #[error("the path {0:?} has a segment . or ..")]
    Dots(String),
    /// It has no segment at all.
    #[error("no path is given")]
    Empty,
    /// It is longer than [`MAX_PATH_BYTES`].
    #[error("the path has {bytes} bytes; at most {MAX_PATH_BYTES} are taken")]
    TooLong {
        /// Bytes of UTF-8 after decoding.
        bytes: usize,
    },
}

/// A stream's path in normal form: see [the module](self). Decoded, so fit for messages and file names; in a URL it is
/// [`encoded`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamPath(String);

impl StreamPath {
    /// The path of a request's URL; query and fragment do not count.
    ///
    /// # Errors
    /// [`PathError`]. After [`PathError::Empty`] and [`PathError::TooLong`] the URL may still be a valid one that names no stream.
    pub fn of_url(url: &Url) -> Result<StreamPath, PathError> {
        StreamPath::parse(url.path())
    }

    /// The path that a text stands for, percent-encoded or not.
    ///
    /// # Errors
    /// [`PathError`]
    pub fn parse(text: &str) -> Result<StreamPath, PathError> {
        let path = normal(text)?;
        match path.len() {
            0 => Err(PathError::Empty),
            bytes if bytes > MAX_PATH_BYTES => Err(PathError::TooLong { bytes }),
            _ => Ok(StreamPath(path)),
        }
    }
}

impl Deref for StreamPath {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StreamPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A prefix of paths in the same normal form. A slash at its end is kept, so that `a/` covers `a/b` and not `ab`; `""` covers
/// all paths.
///
/// # Errors
/// [`PathError`]: no path can begin like this.
pub fn beginning(text: &str) -> Result<String, PathError> {
    let mut path = normal(text)?;
    if !path.is_empty() && decoded(text)?.ends_with('/') {
        path.push('/');
    }
    match path.len() {
        bytes if bytes > MAX_PATH_BYTES => Err(PathError::TooLong { bytes }),
        _ => Ok(path),
    }
}

/// A path in normal form, percent-encoded for a URL (RFC 3986 section 3.3).
pub fn encoded(path: &str) -> impl fmt::Display + '_ {
    utf8_percent_encode(path, ENCODED)
}

fn decoded(text: &str) -> Result<String, PathError> {
    let decoded = percent_decode_str(text).decode_utf8();
    // Bounded, since the error is written into log lines.
    decoded.map(Into::into).map_err(|_| PathError::NotUtf8(text.chars().take(80).collect()))
}

/// The normal form, without a bound on its length.
fn normal(text: &str) -> Result<String, PathError> {
    let decoded = decoded(text)?;
    if let Some(c) = decoded.chars().find(|&c| is_out_of_place(c)) {
        return Err(PathError::Character(c));
    }
    let segments: Vec<&str> = decoded.split('/').filter(|segment| !segment.is_empty()).collect();
    if segments.iter().any(|segment| matches!(*segment, "." | "..")) {
        return Err(PathError::Dots(decoded.chars().take(80).collect()));
    }
    Ok(ComposingNormalizerBorrowed::new_nfc().normalize(&segments.join("/")).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use percent_encoding::NON_ALPHANUMERIC;
    use proptest::prelude::*;

    fn of(url: &str) -> Result<String, PathError> {
        StreamPath::of_url(&Url::parse(url).unwrap()).map(|path| path.to_string())
    }

    #[test]
    fn one_name_has_one_form_however_it_is_written() {
        for (name, spellings) in [
            ("客厅", &["客厅", "%E5%AE%A2%E5%8E%85", "%e5%ae%a2%E5%8e%85", "客%e5%8e%85", "/客厅/", "客厅?a=b#c"][..]),
            ("cam(1)", &["cam(1)", "cam%281%29", "cam%281)"]),
            ("live cam", &["live cam", "live%20cam"]),
            ("a~b|c", &["a~b|c", "a%7Eb%7Cc", "a%7eb|c"]),
            ("café", &["café", "cafe\u{301}", "caf%C3%A9", "cafe%CC%81"]),
            ("a/b", &["a/b", "//a//b//", "a%2Fb", "a%2f%2Fb", "x/../a/./b", "%2e/a/b"]),
            ("%E5", &["%25E5", "%25%45%35"]),
            ("100%", &["100%", "100%25"]),
            ("Live", &["Live", "%4Cive"]),
            ("a+b", &["a+b", "a%2Bb"]),
            ("می\u{200c}خواهم", &["می\u{200c}خواهم", "می%E2%80%8cخواهم"]),
            ("❤\u{fe0f}👩\u{200d}🔧", &["❤\u{fe0f}👩\u{200d}🔧", "❤%EF%B8%8F👩\u{200d}%F0%9F%94%A7"]),
        ] {
            for spelling in spellings {
                assert_eq!(of(&format!("rtsp://h/{spelling}")).as_deref(), Ok(name), "{spelling}");
            }
        }
        assert_ne!(of("rtsp://h/live"), of("rtsp://h/LIVE"));
    }

    #[test]
    fn what_is_no_name_is_refused_with_its_reason() {
        for (path, error) in [
            ("%FF", PathError::NotUtf8("/%FF".into())),
            ("caf%E9", PathError::NotUtf8("/caf%E9".into())),
            ("%E5%AE", PathError::NotUtf8("/%E5%AE".into())),
            ("%C0%AE%C0%AE/x", PathError::NotUtf8("/%C0%AE%C0%AE/x".into())),
            ("a%00", PathError::Character('\0')),
            ("a%0d%0aX:%201", PathError::Character('\r')),
            ("%1b[31m", PathError::Character('\u{1b}')),
            ("%C2%85", PathError::Character('\u{85}')),
            ("\u{202e}gnp.exe", PathError::Character('\u{202e}')),
            ("a\u{2028}b", PathError::Character('\u{2028}')),
            ("live%E2%80%8B", PathError::Character('\u{200b}')),
            ("\u{feff}live", PathError::Character('\u{feff}')),
            ("public%2f..%2fsecret", PathError::Dots("/public/../secret".into())),
            ("a%2F%2e", PathError::Dots("/a/.".into())),
            ("", PathError::Empty),
            ("%2F/", PathError::Empty),
            ("..", PathError::Empty),
        ] {
            assert_eq!(of(&format!("rtsp://h/{path}")), Err(error), "{path}");
        }
        // 3 bytes each, however many it takes to write them.
        assert!(of(&format!("rtsp://h/{}", "客".repeat(85))).is_ok());
        assert_eq!(of(&format!("rtsp://h/{}", "%E5%AE%A2".repeat(86))), Err(PathError::TooLong { bytes: 258 }));
    }

    #[test]
    fn a_beginning_has_the_same_form_and_keeps_its_slash() {
        for (text, form) in [
            ("", ""),
            ("/", ""),
            ("cameras/", "cameras/"),
            ("//cameras//%E5%AE%A2", "cameras/客"),
            ("caf%C3%A9%2f", "café/"),
        ] {
            assert_eq!(beginning(text).as_deref(), Ok(form), "{text}");
        }
        assert!(matches!(beginning("%E5"), Err(PathError::NotUtf8(_))) && beginning("../").is_err());
    }

    #[test]
    fn a_url_is_shown_in_its_own_letters() {
        for (url, expected) in [
            ("rtsp://h:8554/客厅", "rtsp://h:8554/客厅"),
            ("rtsp://h/%e5%ae%a2%E5%8e%85/1?t=%E6%98%9F", "rtsp://h/客厅/1?t=星"),
            ("rtsp://h/live cam%2F100%25%3F", "rtsp://h/live%20cam%2F100%25%3F"),
            ("rtsp://h/caf%E9", "rtsp://h/caf%E9"),
            ("rtsp://h/100%/%zz%E5", "rtsp://h/100%/%zz%E5"),
            ("rtsp://h/%E3%80%80%E2%80%AE%1b%E5%AE%A2%ff", "rtsp://h/%E3%80%80%E2%80%AE%1b客%ff"),
        ] {
            assert_eq!(shown(&Url::parse(url).unwrap()), expected);
        }
    }

    fn bytes_of(url: &Url) -> Vec<u8> {
        percent_decode_str(url.as_str()).collect()
    }

    proptest! {
        #[test]
        fn a_form_written_into_a_url_is_read_as_itself(text in "\\PC{0,40}") {
            if let Ok(path) = StreamPath::parse(&text) {
                let url = Url::parse(&format!("rtsp://h/{}", encoded(&path))).unwrap();
                prop_assert_eq!(StreamPath::of_url(&url), Ok(path.clone()));
                let all = utf8_percent_encode(&path, NON_ALPHANUMERIC);
                prop_assert_eq!(StreamPath::parse(&all.to_string()), Ok(path));
            }
        }

        #[test]
        fn what_is_shown_is_the_same_url(path in "([a-z/?#&=]|%[0-9a-fA-F]{2}|%|\\PC){0,30}") {
            let url = Url::parse(&format!("rtsp://h/{path}")).unwrap();
            let again = Url::parse(&shown(&url)).unwrap();
            prop_assert_eq!(bytes_of(&again), bytes_of(&url));
            prop_assert_eq!(StreamPath::of_url(&again).ok(), StreamPath::of_url(&url).ok());
            prop_assert!(!shown(&url).chars().any(is_out_of_place));
        }

        #[test]
        fn no_bytes_make_a_form_that_is_not_one(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let escaped: String = bytes.iter().map(|byte| format!("%{byte:02x}")).collect();
            if let Ok(path) = StreamPath::parse(&escaped) {
                prop_assert!((1..=MAX_PATH_BYTES).contains(&path.len()) && !path.chars().any(is_out_of_place));
                prop_assert!(path.split('/').all(|segment| !matches!(segment, "" | "." | "..")));
            }
        }
    }
}
