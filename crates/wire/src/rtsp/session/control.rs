//! The addresses of a session and of its tracks, which a description and its answer name in a dozen ways.
//!
//! RFC 2326 (appendix C.1.1) resolves a track's `a=control` against Content-Base, Content-Location or the request's URL, as
//! RFC 3986 resolves a reference. FFmpeg and VLC put it behind the base instead, whatever that ends in, query included, and
//! cameras are tested with those. GStreamer's server wants it before the query. So there are several addresses that a track may
//! have; [`Addresses`] has them in the order in which they are worth a try, and the session goes on to the next where a server
//! knows nothing of one.

use rtsp_types::Url;

/// Most addresses tried for one request.
const MAX_TRIED: usize = 6;

/// What an answer to DESCRIBE names.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DescribedUrls<'a> {
    /// The header Content-Base, as it came.
    pub content_base: Option<&'a str>,
    /// The header Content-Location, as it came.
    pub content_location: Option<&'a str>,
    /// The description's control for the whole session.
    pub session: Option<&'a str>,
    /// The control attribute of the track, as written; `None` where it has none.
    pub track: Option<&'a str>,
}

/// URLs for SETUP of the track and for PLAY of the session, in the order of trying.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Addresses {
    /// Addresses to try for the track's SETUP, the likeliest first.
    pub track: Vec<Url>,
    /// Addresses to try for PLAY and the requests behind it, the likeliest first.
    pub session: Vec<Url>,
}

impl Addresses {
    /// Those that `named` may mean, in an answer to a request for `request`.
    pub(super) fn new(request: &Url, named: DescribedUrls<'_>) -> Addresses {
        let mut bases: Vec<Url> = Vec::new();
        for text in [named.content_base, named.content_location].into_iter().flatten() {
            bases.extend(text.split(',').filter_map(|text| read_base(text, request)));
        }
        // A session's own absolute address is the base, too: that is how FFmpeg reads it.
        let session = named.session.map(str::trim).filter(|control| !matches!(*control, "" | "*"));
        let session = session.and_then(|control| match absolute(control) {
            Some(url) => Some(url),
            None => of_control(bases.first().unwrap_or(request), control).into_iter().find(Url::has_host),
        });
        let bases: Vec<Url> = session.into_iter().chain(bases).chain([request.clone()]).collect();
        let mut all = Vec::new();
        bases.iter().for_each(|base| push(&mut all, at_host_of(base, request)));
        bases.into_iter().for_each(|base| push(&mut all, base));
        let mut track = Vec::new();
        match named.track.map(str::trim) {
            None | Some("" | "*") => all.iter().for_each(|base| push(&mut track, base.clone())),
            Some(control) => {
                if let Some(url) = absolute(control) {
                    // As it is written: that is what others send. Behind an address translation its host may mean nothing.
                    let here = at_host_of(&url, request);
                    push(&mut track, url);
                    push(&mut track, here);
                }
                for base in &all {
                    of_control(base, control).into_iter().for_each(|url| push(&mut track, url));
                }
            }
        }
        // Servers without a common control know the track's address only.
        let mut session = all;
        track.iter().take(1).for_each(|url| push(&mut session, url.clone()));
        track.truncate(MAX_TRIED);
        session.truncate(MAX_TRIED);
        Addresses { track, session }
    }
}

/// The addresses that a control which is none itself may mean at this base.
fn of_control(base: &Url, control: &str) -> Vec<Url> {
    if absolute(control).is_some() {
        return Vec::new();
    }
    let joined = base.join(control).ok();
    let behind = appended(base, control.trim_start_matches('/'));
    let before_query = base.query().map(|_| {
        let mut url = base.clone();
        url.set_path(&format!("{}/{}", base.path().trim_end_matches('/'), control.trim_start_matches('/')));
        url
    });
    // A path from the root is one (RFC 3986 section 4.2), and so is a query; anything else goes behind.
    let all = match control.starts_with(['/', '?']) {
        true => [joined, behind, before_query],
        false => [behind, joined, before_query],
    };
    all.into_iter().flatten().collect()
}

/// `control` behind the whole of `base`, with one slash between; a query straight behind it.
fn appended(base: &Url, control: &str) -> Option<Url> {
    let text = base.as_str();
    let slash = if text.ends_with('/') || control.starts_with('?') { "" } else { "/" };
    Url::parse(&format!("{text}{slash}{control}")).ok()
}

/// A control or a header's text that is an RTSP address of its own. Some write the scheme twice.
fn absolute(text: &str) -> Option<Url> {
    let mut rest = text.trim();
    let mut scheme = None;
    loop {
        let (before, after) = rest.split_once("://")?;
        if !is_rtsp(before) {
            return None;
        }
        scheme = scheme.or(Some(before));
        match after.split_once("://") {
            Some((again, _)) if is_rtsp(again) => rest = after,
            _ => {
                let url = Url::parse(&format!("{}://{after}", scheme?)).ok()?;
                return Some(url).filter(|url| url.has_host());
            }
        }
    }
}

fn is_rtsp(scheme: &str) -> bool {
    scheme.eq_ignore_ascii_case("rtsp") || scheme.eq_ignore_ascii_case("rtsps")
}

/// The base that a header names: an address, or `HOST[:PORT]/PATH`, or a path. What is neither is none.
fn read_base(text: &str, request: &Url) -> Option<Url> {
    let text = text.trim().trim_matches(['"', '<', '>']);
    if text.is_empty() || text == "*" {
        return None;
    }
    if let Some(url) = absolute(text) {
        return Some(url);
    }
    if text.contains("://") {
        return None;
    }
    if text.starts_with(['/', '?']) {
        return request.join(text).ok();
    }
    let host = text.split('/').next().unwrap_or_default();
    let is_host = request.host_str().is_some_and(|own| host.split(':').next() == Some(own))
        || host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok())
        || host.parse::<core::net::Ipv4Addr>().is_ok();
    match is_host {
        true => Url::parse(&format!("{}://{text}", request.scheme())).ok().filter(Url::has_host),
        false => request.join(&format!("/{text}")).ok(),
    }
}

/// `url` at the host, the port and the scheme of `request`: a server behind an address translation names the host that it
/// believes to be, and one behind TLS not that it is.
fn at_host_of(url: &Url, request: &Url) -> Url {
    let mut moved = url.clone();
    let _ = moved.set_host(request.host_str());
    let _ = moved.set_port(request.port());
    let _ = moved.set_scheme(request.scheme());
    moved
}

/// Puts an address behind those that are worth trying before, once and without a login; one that is none is left out.
fn push(to: &mut Vec<Url>, mut url: Url) {
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_fragment(None);
    if is_rtsp(url.scheme()) && url.has_host() && !to.contains(&url) {
        to.push(url);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn addresses(request: &str, named: DescribedUrls<'_>) -> (Vec<String>, Vec<String>) {
        let Addresses { track, session } = Addresses::new(&Url::parse(request).unwrap(), named);
        let texts = |urls: Vec<Url>| urls.into_iter().map(String::from).collect();
        (texts(track), texts(session))
    }

    /// The first address for a track and for the session.
    fn first(request: &str, content_base: &str, session: &str, track: &str) -> (String, String) {
        let some = |text| Some(text).filter(|text: &&str| !text.is_empty());
        let named = DescribedUrls {
            content_base: some(content_base),
            content_location: None,
            session: some(session),
            track: some(track),
        };
        let (track, session) = addresses(request, named);
        (track[0].clone(), session[0].clone())
    }

    #[test]
    fn a_control_goes_behind_the_base() {
        let stream = ("rtsp://h/live/trackID=1".to_owned(), "rtsp://h/live/".to_owned());
        assert_eq!(first("rtsp://h/live", "rtsp://h/live/", "*", "trackID=1"), stream);
        let (track, session) = first("rtsp://h/live", "", "", "trackID=1");
        assert_eq!((track.as_str(), session.as_str()), ("rtsp://h/live/trackID=1", "rtsp://h/live"));
        let (track, _) = first("rtsp://h/stream.sdp?profile=1", "", "", "trackID=1");
        assert_eq!(track, "rtsp://h/stream.sdp?profile=1/trackID=1", "behind the query");
        let (track, _) = first("rtsp://h/?inst=2", "", "", "trackID=1");
        assert_eq!(track, "rtsp://h/?inst=2/trackID=1");
    }

    #[test]
    fn a_control_from_the_root_replaces_the_path() {
        let (track, _) = first("rtsp://h/media/1/video/1", "rtsp://h/", "", "/media/1/video/1");
        assert_eq!(track, "rtsp://h/media/1/video/1");
        let (track, _) = first("rtsp://h/live?x=1", "", "", "?x=1&track=2");
        assert_eq!(track, "rtsp://h/live?x=1&track=2");
    }

    #[test]
    fn an_address_of_its_own_is_asked_for_as_it_stands_then_at_our_host() {
        let named = DescribedUrls { track: Some("rtsp://10.0.0.9:554/media/video"), ..DescribedUrls::default() };
        let (track, session) = addresses("rtsp://public:8554/media", named);
        assert_eq!(track[..2], ["rtsp://10.0.0.9:554/media/video", "rtsp://public:8554/media/video"]);
        assert_eq!(session[0], "rtsp://public:8554/media");
        let (track, session) = first("rtsp://h/x", "", "rtsp://h/?inst=2", "rtsp://h/?inst=2&stream=video");
        assert_eq!((track.as_str(), session.as_str()), ("rtsp://h/?inst=2&stream=video", "rtsp://h/?inst=2"));
        let (track, _) = first("rtsp://h/x", "", "rtsp://h/other", "track1");
        assert_eq!(track, "rtsp://h/other/track1", "the session's address is the base");
    }

    #[test]
    fn a_base_is_read_however_it_is_written() {
        for base in [
            "rtsp://h:8554/s/",
            " rtsp://h:8554/s/ ",
            "rtsp://rtsp://h:8554/s/",
            "RTSP://rtsp://rtsp://h:8554/s/",
            "rtsp://h:8554/s/, rtsp://h:8554/s/",
            "h:8554/s/",
            "h/s/",
            "10.0.0.1/s/",
            "/s/",
            "s/",
            "rtsp://10.0.0.1:554/s/",
            "http://h/s/",
            "rtsp://",
            ",",
        ] {
            let (track, _) = first("rtsp://h:8554/s", base, "", "trackID=1");
            assert_eq!(track, "rtsp://h:8554/s/trackID=1", "{base}");
        }
    }

    #[test]
    fn what_a_server_may_mean_is_all_there() {
        let named = DescribedUrls {
            content_base: Some("rtsp://h/a/?x=1"),
            track: Some("trackID=1"),
            ..DescribedUrls::default()
        };
        let (track, _) = addresses("rtsp://h/a?x=1", named);
        for meant in [
            "rtsp://h/a/?x=1/trackID=1",
            "rtsp://h/a/trackID=1",
            "rtsp://h/a/trackID=1?x=1",
            "rtsp://h/a?x=1/trackID=1",
        ] {
            assert!(track.iter().any(|url| url == meant), "{meant} in {track:?}");
        }
        let (track, session) = addresses("rtsp://h/a", DescribedUrls::default());
        assert_eq!((track, session), (vec!["rtsp://h/a".to_owned()], vec!["rtsp://h/a".to_owned()]));
    }

    proptest! {
        #[test]
        fn there_are_always_some_and_never_many(
            base in ".{0,40}", session in ".{0,20}", track in ".{0,40}", path in "[a-z/?=&%]{0,20}",
        ) {
            let request = Url::parse(&format!("rtsp://h/{path}")).unwrap();
            let named = DescribedUrls {
                content_base: Some(&base), content_location: Some(&track), session: Some(&session), track: Some(&track),
            };
            let found = Addresses::new(&request, named);
            for urls in [&found.track, &found.session] {
                prop_assert!((1..=MAX_TRIED).contains(&urls.len()));
                prop_assert!(urls.iter().all(|url| is_rtsp(url.scheme()) && url.has_host()), "{urls:?}");
            }
        }
    }
}
