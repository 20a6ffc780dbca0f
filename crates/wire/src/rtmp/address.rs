//! What an RTMP URL names: `rtmp://HOST[:PORT]/APP[/INSTANCE]/STREAM[?QUERY]`.
//!
//! There is no rule in RTMP 1.0. Publishers in use take the last segment with the query as the stream's name, which is
//! often a key, and all before it as the application's; so do we.

use percent_encoding::percent_decode_str;
use url::Url;

use crate::rtsp::path;

/// A stream's address in RTMP's terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamAddress {
    /// For people: the URL without the query, which may hold a key.
    pub shown: String,
    /// Application, with its instance if there is one.
    pub app: String,
    /// The stream's name.
    pub stream: String,
    /// The application's URL, as `connect` wants it.
    pub app_url: String,
}

impl StreamAddress {
    /// Takes a URL without a login apart; `None` if it lacks an application or a stream.
    pub fn of(url: &Url) -> Option<StreamAddress> {
        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let (app, stream) = url.path().trim_matches('/').rsplit_once('/')?;
        let app = decode(app.trim_end_matches('/'));
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let app_url = format!("{}://{}{port}/{app}", url.scheme(), url.host_str()?);
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        let mut shown = url.clone();
        shown.set_query(None);
        Some(StreamAddress { shown: path::shown(&shown), app, stream: decode(stream) + &query, app_url })
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
            ("rtmp://[::1]/a%20b//%E6%98%9F/", "a b", "星", "rtmp://[::1]/a b"),
        ] {
            let address = StreamAddress::of(&text.parse().unwrap()).unwrap();
            assert_eq!((&*address.app, &*address.stream, &*address.app_url), (app, stream, app_url));
            assert!(!address.shown.contains('?'));
        }
        assert_eq!(StreamAddress::of(&"rtmp://h/live".parse().unwrap()), None);
    }
}
