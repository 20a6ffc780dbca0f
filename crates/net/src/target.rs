//! Where a stream is: a URL, and what stood in it that is nobody's business.

use std::time::Duration;

use hevcast_wire::rtsp::digest::Credentials;
use hevcast_wire::rtsp::path;
use url::Url;

use crate::connect::NetError;
use crate::tls::Fingerprint;

/// RTSP's port (RFC 2326 section 3.2).
pub const RTSP_PORT: u16 = 554;
/// That of RTSP over TLS (RFC 7826 section 22.1).
pub const RTSPS_PORT: u16 = 322;
/// RTMP's port (RTMP 1.0, section 7.2).
pub const RTMP_PORT: u16 = 1935;
/// That of RTMP over TLS.
pub const RTMPS_PORT: u16 = 443;

/// SRT's latency where none is asked for.
pub const SRT_LATENCY: Duration = Duration::from_millis(120);

/// How a stream travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// RTSP over TCP, or over TLS.
    Rtsp,
    /// Enhanced RTMP, or the same over TLS.
    Rtmp,
    /// MPEG-TS over SRT.
    Srt,
}

impl Protocol {
    /// By a URL's scheme.
    fn of(scheme: &str) -> Option<Protocol> {
        match scheme {
            "rtsp" | "rtsps" => Some(Protocol::Rtsp),
            "rtmp" | "rtmps" => Some(Protocol::Rtmp),
            "srt" => Some(Protocol::Srt),
            _ => None,
        }
    }

    fn example(self) -> &'static str {
        match self {
            Protocol::Rtsp => "rtsp://HOST:8554/PATH",
            Protocol::Rtmp => "rtmp://HOST/APP/STREAM",
            Protocol::Srt => "srt://HOST:PORT?streamid=ID",
        }
    }
}

/// Who calls whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SrtMode {
    /// We call.
    #[default]
    Caller,
    /// We wait for a call.
    Listener,
}

/// What an `srt://` URL says behind its port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SrtSettings {
    /// Who calls.
    pub mode: SrtMode,
    /// What the server tells streams apart by.
    pub stream_id: Option<String>,
    /// How long what is lost may be sent again.
    pub latency: Duration,
    /// Encrypts, if both ends know it; 10 to 79 characters.
    pub passphrase: Option<String>,
}

/// Where a stream is: its URL, and what stood in it beside that.
#[derive(Clone, Debug)]
pub struct Target {
    /// URL without credentials.
    pub url: Url,
    /// Login, if the URL had one.
    pub credentials: Option<Credentials>,
    /// The one certificate trusted, if not those of the system's authorities.
    pub pin: Option<Fingerprint>,
    /// With `srt://`.
    pub srt: Option<SrtSettings>,
}

impl Target {
    /// Reads `rtsp://[USER:PASSWORD@]HOST[:PORT]/PATH`, `rtsps://…[#pin=FINGERPRINT]`,
    /// `rtmp[s]://[USER:PASSWORD@]HOST[:PORT]/APP/STREAM`, or
    /// `srt://HOST:PORT[?streamid=ID][&latency=MS][&passphrase=…][&mode=caller|listener]`.
    ///
    /// # Errors
    /// [`NetError::Url`], naming the schemes that can be opened.
    pub fn parse(text: &str) -> Result<Target, NetError> {
        let scheme = text.split("://").next().unwrap_or_default().to_ascii_lowercase();
        let protocol = Protocol::of(&scheme);
        let example = protocol.unwrap_or(Protocol::Rtsp).example();
        let bad = |what: &str| NetError::Url { url: without_password(text), what: what.to_owned(), example };
        // SRS's stream ids begin with `#`, which people do not write as %23.
        let escaped = if protocol == Some(Protocol::Srt) { text.replace('#', "%23") } else { text.to_owned() };
        let mut url = Url::parse(&escaped).map_err(|e| bad(&format!("not a URL ({e})")))?;
        let Some(protocol) = protocol else {
            let what =
                format!("hevcast cannot do {}://, only rtsp://, rtsps://, rtmp://, rtmps:// and srt://", url.scheme());
            return Err(bad(&what));
        };
        if url.host_str().is_none_or(str::is_empty) {
            return Err(bad("no host in it"));
        }
        let names = url.path().trim_matches('/').split('/').filter(|name| !name.is_empty()).count();
        match protocol {
            Protocol::Rtsp if names == 0 => return Err(bad("no path in it")),
            Protocol::Rtmp if names < 2 => return Err(bad("no application and stream in it")),
            Protocol::Srt if url.port().is_none() => return Err(bad("no port in it")),
            Protocol::Rtsp | Protocol::Rtmp | Protocol::Srt => {}
        }
        let srt = match protocol {
            Protocol::Srt => Some(SrtSettings::take_from(&mut url).map_err(|what| bad(&what))?),
            Protocol::Rtsp | Protocol::Rtmp => None,
        };
        let credentials = Credentials::take_from(&mut url);
        let pin = match url.fragment().map(|fragment| fragment.strip_prefix("pin=").unwrap_or_default().parse()) {
            None => None,
            Some(Ok(pin)) => Some(pin),
            Some(Err(wrong)) => return Err(bad(&format!("behind # only pin=FINGERPRINT may stand, and {wrong}"))),
        };
        url.set_fragment(None);
        Ok(Target { url, credentials, pin, srt })
    }

    /// How its stream travels.
    pub fn protocol(&self) -> Protocol {
        // `parse` makes no others.
        Protocol::of(self.url.scheme()).unwrap_or(Protocol::Rtsp)
    }

    /// The same, where only a certificate with this fingerprint is trusted, if there is one.
    #[must_use]
    pub fn pinned(self, pin: Option<Fingerprint>) -> Target {
        Target { pin: pin.or(self.pin), ..self }
    }

    /// The same with this login, unless the URL had one.
    #[must_use]
    pub fn with_login(self, login: Option<Credentials>) -> Target {
        Target { credentials: self.credentials.or(login), ..self }
    }

    /// The URL for people and logs, in its own letters and without what may be secret: of RTMP's, the query often holds a key.
    pub fn shown(&self) -> String {
        let mut url = self.url.clone();
        if self.protocol() == Protocol::Rtmp {
            url.set_query(None);
        }
        path::shown(&url)
    }

    /// The URL with the pin, as [`Target::parse`] reads it, in its own letters and without a password.
    pub fn to_text(&self) -> String {
        let url = path::shown(&self.url);
        match self.pin {
            Some(pin) => format!("{url}#pin={pin}"),
            None => url,
        }
    }

    /// `HOST:PORT`, for people.
    pub fn address(&self) -> String {
        format!("{}:{}", self.url.host_str().unwrap_or_default(), self.port())
    }

    pub(crate) fn is_tls(&self) -> bool {
        matches!(self.url.scheme(), "rtsps" | "rtmps")
    }

    pub(crate) fn port(&self) -> u16 {
        self.url.port().unwrap_or(match (self.protocol(), self.is_tls()) {
            (Protocol::Rtmp, true) => RTMPS_PORT,
            (Protocol::Rtmp, false) => RTMP_PORT,
            (_, true) => RTSPS_PORT,
            (_, false) => RTSP_PORT,
        })
    }
}

impl Default for SrtSettings {
    fn default() -> SrtSettings {
        SrtSettings { mode: SrtMode::Caller, stream_id: None, latency: SRT_LATENCY, passphrase: None }
    }
}

impl SrtSettings {
    /// Reads what stands behind `?`, and takes the passphrase out of the URL.
    fn take_from(url: &mut Url) -> Result<SrtSettings, String> {
        let mut settings = SrtSettings::default();
        // Unlike a form's: `+` means itself.
        let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
        let mut shown = Vec::new();
        for pair in url.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let decoded = decode(value);
            match name {
                "streamid" => settings.stream_id = Some(decoded),
                "latency" => {
                    let millis: Option<u64> = decoded.trim_end_matches("ms").parse().ok().filter(|ms| *ms <= 60_000);
                    let millis = millis.ok_or("latency is in milliseconds, 0 to 60000, such as latency=120")?;
                    settings.latency = Duration::from_millis(millis);
                }
                "passphrase" if (10..=79).contains(&decoded.len()) => settings.passphrase = Some(decoded),
                "passphrase" => return Err("a passphrase has 10 to 79 characters".to_owned()),
                "mode" => {
                    settings.mode = match decoded.as_str() {
                        "caller" => SrtMode::Caller,
                        "listener" => SrtMode::Listener,
                        _ => return Err("mode is caller or listener".to_owned()),
                    }
                }
                // Said for the far end's sake; MPEG-TS goes by this one only.
                "transtype" if decoded == "live" => {}
                _ => return Err(format!("hevcast knows no {name}=, only streamid, latency, passphrase and mode")),
            }
            if name != "passphrase" {
                shown.push(pair.to_owned());
            }
        }
        let shown = shown.join("&");
        url.set_query((!shown.is_empty()).then_some(&shown));
        Ok(settings)
    }
}

fn without_password(text: &str) -> String {
    let Ok(mut url) = Url::parse(text) else { return text.to_owned() };
    let has_phrase = url.query().is_some_and(|query| query.contains("passphrase="));
    if url.password().is_none() && !has_phrase {
        return text.to_owned();
    }
    if url.password().is_some() {
        let _ = url.set_password(Some("…"));
    }
    if has_phrase {
        url.set_query(Some("…"));
    }
    url.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_that_cannot_be_opened_say_which_can() {
        for (text, word, example) in [
            ("srt://h", "no port", "srt://HOST:PORT"),
            ("srt://h:1?latency=soon", "milliseconds", "srt://HOST:PORT"),
            ("srt://h:1?mode=rendezvous", "caller or listener", "srt://HOST:PORT"),
            ("srt://h:1?pbkeylen=16", "no pbkeylen=", "srt://HOST:PORT"),
            ("rtmp://h/live", "no application", "rtmp://HOST/APP/STREAM"),
            ("rtsp://h:1", "no path", "rtsp://HOST:8554/PATH"),
            ("hello", "not a URL", "rtsp://HOST:8554/PATH"),
            ("rtsp:///p", "host", "rtsp://HOST:8554/PATH"),
            ("http://h/p", "only rtsp://, rtsps://, rtmp://, rtmps:// and srt://", "rtsp://HOST:8554/PATH"),
        ] {
            let error = Target::parse(text).unwrap_err().to_string();
            assert!(error.contains(word) && error.contains(example), "{text}: {error}");
        }
    }

    #[test]
    fn a_login_in_the_url_is_used_and_hidden() {
        let target = Target::parse("rtsp://u:p@h/live").unwrap();
        assert_eq!(target.url.as_str(), "rtsp://h/live");
        assert_eq!(target.address(), "h:554");
        assert_eq!(target.credentials.unwrap().user, "u");
        let pinned = format!("rtsps://h/live#pin={}", "ab".repeat(32));
        let target = Target::parse(&pinned).unwrap();
        assert_eq!((target.address().as_str(), target.url.as_str()), ("h:322", "rtsps://h/live"));
        assert_eq!(target.to_text(), pinned);
        assert!(Target::parse("rtsps://h/live#pin=ab").is_err() && Target::parse("rtsp://h/live#x").is_err());
        for text in ["http://u:secret@h/live", "srt://h?passphrase=secretsecret", "rtmp://u:secret@h/live"] {
            let error = Target::parse(text).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn an_srt_url_is_read_as_its_servers_document_it() {
        let target =
            Target::parse("srt://h:10080?streamid=#!::r=live/x,m=publish&latency=200&passphrase=0123456789").unwrap();
        let srt = target.srt.clone().unwrap();
        assert_eq!(srt.stream_id.as_deref(), Some("#!::r=live/x,m=publish"));
        assert_eq!((srt.latency, srt.mode), (Duration::from_millis(200), SrtMode::Caller));
        assert_eq!(srt.passphrase.as_deref(), Some("0123456789"));
        assert_eq!(target.to_text(), "srt://h:10080?streamid=%23!::r=live/x,m=publish&latency=200");
        assert_eq!((target.protocol(), target.address().as_str()), (Protocol::Srt, "h:10080"));
        let again = Target::parse(&target.to_text()).unwrap().srt.unwrap();
        assert_eq!(again.stream_id, srt.stream_id);
        let plain = Target::parse("srt://0.0.0.0:9000?mode=listener").unwrap().srt.unwrap();
        assert_eq!((plain.mode, plain.latency, plain.stream_id), (SrtMode::Listener, SRT_LATENCY, None));
    }

    #[test]
    fn a_url_is_shown_in_its_own_letters_and_read_again_as_the_same() {
        for (text, shown) in [
            ("rtsp://h/客厅", "rtsp://h/客厅"),
            ("rtsp://h/%e5%ae%a2%E5%8E%85/live cam", "rtsp://h/客厅/live%20cam"),
            ("rtmp://h/直播/星", "rtmp://h/直播/星"),
            ("srt://h:1?streamid=#!::r=live/星,m=publish", "srt://h:1?streamid=%23!::r=live/星,m=publish"),
        ] {
            let target = Target::parse(text).unwrap();
            assert_eq!((target.shown().as_str(), target.to_text().as_str()), (shown, shown));
            let again = Target::parse(shown).unwrap();
            assert_eq!((again.shown(), again.srt), (target.shown(), target.srt));
        }
    }

    #[test]
    fn an_rtmp_url_has_its_own_ports() {
        assert_eq!(Target::parse("rtmp://h/live/x").unwrap().address(), "h:1935");
        let keyed = Target::parse("rtmps://h/live/x?key=1").unwrap();
        assert_eq!((keyed.address().as_str(), keyed.shown().as_str()), ("h:443", "rtmps://h/live/x"));
    }
}
