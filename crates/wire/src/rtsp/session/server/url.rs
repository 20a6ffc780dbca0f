//! The URLs of requests: which stream, and which track of it.

use rtsp_types::Url;

use crate::rtsp::sdp::TRACK_CONTROL;

/// Splits `…/trackID=N` off a SETUP URL.
pub(super) fn split_track(url: &str) -> (&str, Option<usize>) {
    match url.rsplit_once('/') {
        Some((stream, last)) => match last.strip_prefix(TRACK_CONTROL).and_then(|n| n.parse().ok()) {
            Some(track) => (stream, Some(track)),
            None => (url, None),
        },
        None => (url, None),
    }
}

/// Whether a SETUP URL is that of the track with this control, which may be a whole URL or the last part of one.
pub(super) fn names_track(url: &str, control: &str) -> bool {
    let control = control.trim_matches('/');
    match url.strip_suffix(control) {
        Some(before) => !control.is_empty() && (before.is_empty() || before.ends_with('/')),
        None => false,
    }
}

pub(super) fn path_of(url: &str) -> String {
    Url::parse(url).map(|url| url.path().trim_matches('/').to_owned()).unwrap_or_default()
}

/// The base for relative controls: the request's URL without its query, ending in a slash.
pub(super) fn content_base(url: &Url) -> String {
    let mut base = url.clone();
    base.set_query(None);
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
        assert_eq!((path_of("rtsp://h/a/b/"), path_of("nonsense")), ("a/b".into(), String::new()));
    }

    #[test]
    fn a_control_names_its_own_track_only() {
        assert!(names_track("rtsp://h/a/streamid=1", "streamid=1") && names_track("rtsp://h/a/1", "rtsp://h/a/1"));
        assert!(names_track("rtsp://h/a?q=1/streamid=0", "streamid=0"));
        assert!(!names_track("rtsp://h/a/11", "1") && !names_track("rtsp://h/a", ""));
    }

    #[test]
    fn the_base_for_controls_ends_in_a_slash() {
        let base = |text| content_base(&Url::parse(text).unwrap());
        assert_eq!(base("rtsp://h/a?q=1"), "rtsp://h/a/");
        assert_eq!(base("rtsp://h/a/"), "rtsp://h/a/");
    }
}
