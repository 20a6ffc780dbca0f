//! What an RTMP URL names: `rtmp://HOST[:PORT]/APP[/INSTANCE]/STREAM[?QUERY]`, or `rtmp://HOST[:PORT]/NAME[?QUERY]`.
//!
//! There is no rule in RTMP 1.0. Publishers in use take the last segment with the query as the stream's name, which is
//! often a key, and all before it as the application's; so do we. A lone segment is the application's name, and the stream's
//! is empty: so MediaMTX writes its addresses, and so FFmpeg reads them. The query then stands behind the application.

use std::fmt;

use percent_encoding::percent_decode_str;
use url::Url;

use crate::redact::shown_url;

/// A stream's address in RTMP's terms.
#[derive(Clone, PartialEq, Eq)]
pub struct StreamAddress {
    /// For error texts and logs: the URL without the query, which may hold a key.
    pub shown: String,
    /// Application, with its instance if there is one.
    pub app: String,
    /// The stream's name; empty where the application's is all there is.
    pub stream: String,
    /// The application's URL, as `connect` wants it.
    pub app_url: String,
}

// A stream's name is often a key, and the query a login.
impl fmt::Debug for StreamAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamAddress").field("shown", &self.shown).finish_non_exhaustive()
    }
}

impl StreamAddress {
    /// Takes a URL without a login apart; `None` if it names nothing.
    pub fn of(url: &Url) -> Option<StreamAddress> {
        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let path = url.path().trim_matches('/');
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        let (app, stream) = match path.rsplit_once('/') {
            Some((app, stream)) => (decode(app.trim_end_matches('/')), decode(stream) + &query),
            None if path.is_empty() => return None,
            None => (decode(path) + &query, String::new()),
        };
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let app_url = format!("{}://{}{port}/{app}", url.scheme(), url.host_str()?);
        let mut shown = url.clone();
        shown.set_query(None);
        Some(StreamAddress { shown: shown_url(&shown), app, stream, app_url })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_segment_is_the_stream() {
        for (text, app, stream, app_url) in [
            ("rtmp://h/live/x", "live", "x", "rtmp://h/live"),
            ("rtmps://h:444/live/inst/k-1?a=b&c", "live/inst", "k-1?a=b&c", "rtmps://h:444/live/inst"),
            ("rtmp://h/name", "name", "", "rtmp://h/name"),
            ("rtmp://h/name/", "name", "", "rtmp://h/name"),
            ("rtmp://h/name?user=u&pass=p", "name?user=u&pass=p", "", "rtmp://h/name?user=u&pass=p"),
            ("rtmp://[::1]/a%20b//%E6%98%9F/", "a b", "星", "rtmp://[::1]/a b"),
        ] {
            let address = StreamAddress::of(&text.parse().unwrap()).unwrap();
            assert_eq!((&*address.app, &*address.stream, &*address.app_url), (app, stream, app_url));
            assert!(!address.shown.contains('?'));
        }
        for nothing in ["rtmp://h", "rtmp://h/", "rtmp://h//?x"] {
            assert_eq!(StreamAddress::of(&nothing.parse().unwrap()), None);
        }
    }
}
