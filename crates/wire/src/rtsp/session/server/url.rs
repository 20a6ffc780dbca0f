//! The URLs of requests: which stream, and which track of it.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use rtsp_types::{StatusCode, Url};

use super::{Request, ServerSession};
use crate::rtsp::path::{PathError, StreamPath};
use crate::rtsp::sdp::TRACK_CONTROL;

impl ServerSession {
    /// Refuses a request for the path of its URL.
    pub(super) fn fail_path(&mut self, request: &Request, error: &PathError) {
        let status = match error {
            PathError::Empty => StatusCode::NotFound,
            PathError::TooLong { .. } => StatusCode::RequestURITooLong,
            PathError::NotUtf8(_) | PathError::Character(_) | PathError::Dots(_) => StatusCode::BadRequest,
        };
        self.fail_because(request, status, error.to_string())
    }
}

/// Splits `…/trackID=N` off a SETUP URL.
pub(super) fn split_track(url: &str) -> (&str, Option<usize>) {
    let number = |last: &str| decoded(last.split('?').next()?).strip_prefix(TRACK_CONTROL)?.parse().ok();
    match url.rsplit_once('/').map(|(stream, last)| (stream, number(last))) {
        Some((stream, Some(track))) => (stream, Some(track)),
        _ => (url, None),
    }
}

/// Whether a SETUP URL is that of the track with this control, which may be a whole URL or the last part of one. Either may
/// be encoded as its writer pleases.
pub(super) fn names_track(url: &str, control: &str) -> bool {
    let (url, control) = (decoded(url), decoded(control.trim_matches('/')));
    match url.strip_suffix(&*control) {
        Some(before) => !control.is_empty() && (before.is_empty() || before.ends_with('/')),
        None => false,
    }
}

fn decoded(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

/// The path of what is left of a URL without its track.
pub(super) fn path_of(url: &str) -> Result<StreamPath, PathError> {
    Url::parse(url).map_or(Err(PathError::Empty), |url| StreamPath::of_url(&url))
}

/// The base for relative controls: the request's URL as the client writes it, encoded, without its query, ending in a slash.
pub(super) fn content_base(url: &Url) -> String {
    let mut base = url.clone();
    base.set_query(None);
    base.set_fragment(None);
    format!("{}/", base.as_str().trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tracks_are_found_behind_path_and_query() {
        assert_eq!(split_track("rtsp://h/a/b/trackID=3"), ("rtsp://h/a/b", Some(3)));
        assert_eq!(split_track("rtsp://h/a?q=1/trackID=0"), ("rtsp://h/a?q=1", Some(0)));
        assert_eq!(split_track("rtsp://h/a"), ("rtsp://h/a", None));
        assert_eq!(split_track("rtsp://h/a/trackID%3D1?q=1"), ("rtsp://h/a", Some(1)));
        assert_eq!(path_of("rtsp://h/a/b/").as_deref(), Ok("a/b"));
        assert_eq!(path_of("nonsense"), Err(PathError::Empty));
    }

    #[test]
    fn a_control_names_its_own_track_only() {
        assert!(names_track("rtsp://h/a/streamid=1", "streamid=1") && names_track("rtsp://h/a/1", "rtsp://h/a/1"));
        assert!(names_track("rtsp://h/a?q=1/streamid=0", "streamid=0"));
        assert!(names_track("rtsp://h/a/streamid%3d1", "streamid=1") && names_track("rtsp://h/a/%E8%A7%86=1", "视=1"));
        assert!(!names_track("rtsp://h/a/11", "1") && !names_track("rtsp://h/a", ""));
    }

    #[test]
    fn the_base_for_controls_ends_in_a_slash() {
        let base = |text| content_base(&Url::parse(text).unwrap());
        assert_eq!(base("rtsp://h/a?q=1"), "rtsp://h/a/");
        assert_eq!(base("rtsp://h/a/"), "rtsp://h/a/");
        assert_eq!(base("rtsp://h/客厅 1#x"), "rtsp://h/%E5%AE%A2%E5%8E%85%201/");
    }
}
