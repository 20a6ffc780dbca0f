//! The address of a stream: its URL, and the secrets and options that were taken out of it.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use hevcast_wire::redact::{redacted, shown_url};
use hevcast_wire::rtsp::auth::Credentials;
use hevcast_wire::rtsp::path;
use hevcast_wire::secret::Secret;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use url::Url;

use crate::error::NetError;
use crate::tls::Fingerprint;

/// The default port of RTSP (RFC 2326 section 3.2).
pub const RTSP_PORT: u16 = 554;
/// The default port of RTSP over TLS (RFC 7826 section 22.1).
pub const RTSPS_PORT: u16 = 322;
/// The default port of RTMP (RTMP 1.0 section 7.2).
pub const RTMP_PORT: u16 = 1935;
/// The default port of RTMP over TLS, that of HTTPS.
pub const RTMPS_PORT: u16 = 443;

/// The latency of SRT where the URL sets none.
pub const SRT_LATENCY: Duration = Duration::from_millis(120);

/// The protocol by which a stream is transported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// RTSP with interleaved RTP, over TCP or TLS.
    Rtsp,
    /// Enhanced RTMP, over TCP or TLS.
    Rtmp,
    /// MPEG-TS over SRT, as caller or as listener.
    Srt,
}

impl Protocol {
    /// The protocol of a URL scheme in lower case; `None` where it is unknown.
    fn of(scheme: &str) -> Option<Protocol> {
        match scheme {
            "rtsp" | "rtsps" => Some(Protocol::Rtsp),
            "rtmp" | "rtmps" => Some(Protocol::Rtmp),
            "srt" => Some(Protocol::Srt),
            _ => None,
        }
    }

    /// The form of a URL of this protocol, for error texts.
    fn example(self) -> &'static str {
        match self {
            Protocol::Rtsp => "rtsp://HOST:8554/PATH",
            Protocol::Rtmp => "rtmp://HOST/APP/STREAM",
            Protocol::Srt => "srt://HOST:PORT?streamid=ID",
        }
    }
}

/// Which end opens the connection (the option `mode` of SRT).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SrtMode {
    /// This program connects to the other end.
    #[default]
    Caller,
    /// This program waits for the other end to connect.
    Listener,
}

/// The options of an `srt://` URL, from its query.
#[derive(Clone, PartialEq, Eq)]
pub struct SrtSettings {
    /// The option `mode`: which end opens the connection.
    pub mode: SrtMode,
    /// The option `streamid`, by which a server identifies the stream.
    pub stream_id: Option<String>,
    /// The option `latency`: how long lost packets may be sent again, which is also the delay that SRT adds.
    pub latency: Duration,
    /// The passphrase with which the stream is encrypted, which both ends must know; 10 to 79 characters.
    pub passphrase: Option<Secret>,
}

/// The characters that are percent-encoded in a login that was typed without encoding. `%` is not among them, since the
/// login may be encoded already.
const IN_LOGIN: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'/').add(b'?').add(b'@').add(b'\\').add(b':');

/// The address of a stream. Secrets are kept apart from the URL, so that they do not get into texts.
#[derive(Clone)]
pub struct Target {
    /// The URL, without credentials, pin and passphrase.
    pub url: Url,
    /// The user and password, if the URL or the options gave them.
    pub credentials: Option<Credentials>,
    /// The fingerprint of the only certificate to trust; `None` to trust those of the system's certificate authorities.
    pub pin: Option<Fingerprint>,
    /// The SRT options; only for `srt://`.
    pub srt: Option<SrtSettings>,
}

impl Target {
    /// Parses `rtsp://[USER:PASSWORD@]HOST[:PORT]/PATH`, `rtsps://…[#pin=FINGERPRINT]`,
    /// `rtmp[s]://[USER:PASSWORD@]HOST[:PORT]/APP/STREAM`, or
    /// `srt://HOST:PORT[?streamid=ID][&latency=MS][&passphrase=…][&mode=caller|listener]`.
    ///
    /// # Errors
    /// [`NetError::Url`], which says what is wrong and gives an example.
    pub fn parse(text: &str) -> Result<Target, NetError> {
        let scheme = text.split("://").next().unwrap_or_default().to_ascii_lowercase();
        let protocol = Protocol::of(&scheme);
        let example = protocol.unwrap_or(Protocol::Rtsp).example();
        let bad = |what: &str| NetError::Url { url: redacted(text), what: what.to_owned(), example };
        let escaped = match protocol {
            // SRT has no login, and stream ids of SRS begin with `#`, which users do not write as %23.
            Some(Protocol::Srt) => text.replace('#', "%23"),
            Some(Protocol::Rtsp | Protocol::Rtmp) => encode_login(text).ok_or_else(|| {
                bad("it is not clear where its password ends: write @ as %40, / as %2F, ? as %3F and # as %23 in it")
            })?,
            None => text.to_owned(),
        };
        let mut url = Url::parse(&escaped).map_err(|e| bad(&format!("not a URL ({e})")))?;
        let Some(protocol) = protocol else {
            let what = format!(
                "hevcast does not support {}://, only rtsp://, rtsps://, rtmp://, rtmps:// and srt://",
                url.scheme()
            );
            return Err(bad(&what));
        };
        if url.host_str().is_none_or(str::is_empty) {
            return Err(bad("no host in it"));
        }
        let names = url.path().trim_matches('/').split('/').filter(|name| !name.is_empty()).count();
        match protocol {
            // Some cameras have their only stream at "/", or identify it in the query alone.
            Protocol::Rtsp if url.path().is_empty() => return Err(bad("no path in it")),
            Protocol::Rtmp if names == 0 => return Err(bad("no application and stream in it")),
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
        Target { url, credentials, pin: None, srt }.pinned(pin)
    }

    /// The protocol by which the stream is transported.
    pub fn protocol(&self) -> Protocol {
        // `parse` accepts no other schemes.
        Protocol::of(self.url.scheme()).unwrap_or(Protocol::Rtsp)
    }

    /// The same target with this pin, if there is one: only a certificate with this fingerprint is trusted.
    ///
    /// # Errors
    /// [`NetError::Url`] where the protocol uses no certificate, since a pin that is never compared would protect
    /// nothing.
    pub fn pinned(self, pin: Option<Fingerprint>) -> Result<Target, NetError> {
        if pin.is_none() || self.is_tls() {
            return Ok(Target { pin: pin.or(self.pin), ..self });
        }
        let (scheme, protocol) = (self.url.scheme(), self.protocol());
        let (what, example) = match protocol {
            Protocol::Rtsp => ("give a pin with rtsps:// only", "rtsps://HOST:8322/PATH"),
            Protocol::Rtmp => ("give a pin with rtmps:// only", "rtmps://HOST/APP/STREAM"),
            Protocol::Srt => ("leave the pin out; a passphrase protects SRT", protocol.example()),
        };
        let what = format!("{scheme}:// shows no certificate that a pin could be compared with: {what}");
        Err(NetError::Url { url: self.shown(), what, example })
    }

    /// The same target with this login, unless the URL had one.
    #[must_use]
    pub fn with_login(self, login: Option<Credentials>) -> Target {
        Target { credentials: self.credentials.or(login), ..self }
    }

    /// Whether the target has a user name without a password.
    pub fn lacks_password(&self) -> bool {
        self.credentials.as_ref().is_some_and(|login| login.password.is_empty())
    }

    /// The same target with this password, where it [lacks one](Target::lacks_password).
    #[must_use]
    pub fn with_password(mut self, password: Option<&Secret>) -> Target {
        if let (Some(login), Some(password)) = (self.credentials.as_mut().filter(|l| l.password.is_empty()), password) {
            login.password = password.clone();
        }
        self
    }

    /// The same target with this passphrase, where it is an SRT target without one.
    #[must_use]
    pub fn with_passphrase(mut self, passphrase: Option<&Secret>) -> Target {
        if let Some(srt) = &mut self.srt {
            srt.passphrase = srt.passphrase.take().or_else(|| passphrase.cloned());
        }
        self
    }

    /// The URL for error texts and logs: percent-decoded where possible, and without what may be secret. The query of
    /// an RTMP URL is left out, since it often contains a key.
    pub fn shown(&self) -> String {
        let mut url = self.url.clone();
        if self.protocol() == Protocol::Rtmp {
            url.set_query(None);
        }
        shown_url(&url)
    }

    /// The URL with the pin, as [`Target::parse`] reads it: percent-decoded where possible, and without login and
    /// passphrase. A key in its query stays, since the stream could not be found without it.
    pub fn to_text(&self) -> String {
        let url = path::shown(&self.url);
        match self.pin {
            Some(pin) => format!("{url}#pin={pin}"),
            None => url,
        }
    }

    /// The address as `HOST:PORT`, for error texts.
    pub fn address(&self) -> String {
        format!("{}:{}", self.url.host_str().unwrap_or_default(), self.port())
    }

    /// Whether the connection is under TLS.
    pub(crate) fn is_tls(&self) -> bool {
        matches!(self.url.scheme(), "rtsps" | "rtmps")
    }

    /// Whether the host is this computer, by a loopback address or a name of `localhost` (RFC 6761 section 6.3).
    pub(crate) fn is_loopback(&self) -> bool {
        let host = self.url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_ascii_lowercase();
        match host.parse::<IpAddr>() {
            Ok(ip) => ip.to_canonical().is_loopback(),
            Err(_) => host == "localhost" || host.ends_with(".localhost"),
        }
    }

    /// The port in the URL, or the default port of its scheme.
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
    /// Parses the options in the URL's query, and removes the passphrase from the URL.
    fn take_from(url: &mut Url) -> Result<SrtSettings, String> {
        let mut settings = SrtSettings::default();
        // Unlike in HTML forms, `+` is not a space.
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
                "passphrase" => settings.passphrase = Some(srt_passphrase(&decoded)?),
                "mode" => {
                    settings.mode = match decoded.as_str() {
                        "caller" => SrtMode::Caller,
                        "listener" => SrtMode::Listener,
                        _ => return Err("mode is caller or listener".to_owned()),
                    }
                }
                // Accepted since other programs need it; MPEG-TS is always sent in this mode.
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

/// Checks the length of an SRT passphrase, 10 to 79 bytes.
///
/// # Errors
/// A text that states the allowed length.
pub fn srt_passphrase(text: &str) -> Result<Secret, String> {
    match (10..=79).contains(&text.len()) {
        true => Ok(text.into()),
        false => Err("a passphrase has 10 to 79 characters".to_owned()),
    }
}

/// The URL with its login percent-encoded, where a password with `/`, `?` or `#` was typed without encoding. `None`
/// where it is not clear whether such a character ends the login.
fn encode_login(text: &str) -> Option<String> {
    let Some((scheme, rest)) = text.split_once("://") else { return Some(text.to_owned()) };
    let authority_len = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, behind) = rest.split_at(authority_len);
    let is_ipv6 = authority.starts_with('[') && authority.contains(']');
    let Some((_, place)) = behind.rsplit_once('@').filter(|_| authority.contains(':') && !is_ipv6) else {
        return Some(text.to_owned());
    };
    let port = authority.rsplit_once(':').map_or("", |(_, port)| port);
    let is_port = !port.is_empty() && port.chars().all(|c| c.is_ascii_digit());
    match authority.contains('@') || is_port {
        // A well-formed address whose path or query contains an @. It is refused where the part behind that could be
        // the real host.
        true => (!place.contains('/')).then(|| text.to_owned()),
        false => {
            let (login, _) = rest.rsplit_once('@')?;
            let (user, password) = login.split_once(':')?;
            let [user, password] = [user, password].map(|part| utf8_percent_encode(part, IN_LOGIN));
            Some(format!("{scheme}://{user}:{password}@{place}"))
        }
    }
}

// Written by hand, since queries and stream ids contain secrets, too.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Target { credentials, pin, srt, .. } = self;
        let mut shown = f.debug_struct("Target");
        shown.field("url", &self.shown()).field("credentials", credentials).field("pin", pin).field("srt", srt).finish()
    }
}

impl fmt::Debug for SrtSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SrtSettings { mode, stream_id, latency, passphrase } = self;
        let stream_id = stream_id.as_ref().map(|id| redacted(&format!("streamid={id}")));
        let mut shown = f.debug_struct("SrtSettings");
        shown.field("mode", mode).field("stream_id", &stream_id).field("latency", latency);
        shown.field("passphrase", passphrase).finish()
    }
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
            ("rtmp://h/", "no application", "rtmp://HOST/APP/STREAM"),
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
    fn the_root_is_a_path_like_any_other() {
        for text in ["rtsp://h/", "rtsp://h:554/?inst=2&h26x=4", "rtsps://h/?x"] {
            assert_eq!(Target::parse(text).unwrap().url.as_str(), text);
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
        let nameless = Target::parse("rtsp://:secret@h/live").unwrap();
        assert_eq!((nameless.url.as_str(), nameless.lacks_password()), ("rtsp://h/live", false));
        let filled = Target::parse("rtsp://u@h/live").unwrap().with_password(Some(&"p".into()));
        assert_eq!((filled.lacks_password(), filled.credentials.unwrap().password.reveal()), (false, "p"));
        for text in [
            "http://u:secret@h/live",
            "srt://h?passphrase=secretsecret",
            "rtmp://u:secret@h",
            "rtsp://u:secret@h",
            "rtsp://u:secret@[bad/live",
            "rtsp://u:12/secret@h/live",
            "u:secret@h/live",
            "rtsp:/u:secret@h/live",
            "rtsp://h:secret/live",
            "srt://h?streamid=publish:x:u:secret",
        ] {
            let error = Target::parse(text).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("secret"), "{error} {error:?}");
        }
    }

    #[test]
    fn a_password_may_be_typed_as_it_is_where_it_is_clear_what_it_is() {
        for (typed, password) in [
            ("p@ss", "p@ss"),
            ("a:b", "a:b"),
            ("p#ss", "p#ss"),
            ("p/ss", "p/ss"),
            ("p?ss", "p?ss"),
            ("p%ss", "p%ss"),
            ("p%25ss%2f", "p%ss/"),
            ("p ss", "p ss"),
            ("p[s]s", "p[s]s"),
            ("ü€", "ü€"),
            ("p#/?:s", "p#/?:s"),
            ("/", "/"),
            ("12#x y/", "12#x y/"),
        ] {
            let text = format!("rtsp://admin:{typed}@h:554/live?x=1");
            // Digits before such a character could be a port.
            let target = match Target::parse(&text) {
                Ok(target) => target,
                Err(error) => {
                    assert!(typed.starts_with("12") && error.to_string().contains("%2F"), "{error}");
                    continue;
                }
            };
            assert_eq!(
                (target.url.as_str(), target.shown().as_str()),
                ("rtsp://h:554/live?x=1", "rtsp://h:554/live?x=1")
            );
            assert_eq!(target.credentials.unwrap().password.reveal(), password);
        }
        for text in ["rtsp://u:12/ab@h/live", "rtsp://u:p@ss/wo@h/live"] {
            let error = Target::parse(text).unwrap_err().to_string();
            assert!(error.contains("where its password ends") && error.contains("rtsp://u:…@h/live"), "{error}");
        }
        for text in
            ["rtsp://h:554/live?mail=a@b.c", "rtsp://h/x@y/z", "rtsp://u:p@h/live@home", "rtsp://[::1]:554/x@y/z"]
        {
            assert!(Target::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn nothing_secret_is_in_what_a_target_shows() {
        for text in [
            "rtsp://u:secret@h/live?token=secret",
            "rtmp://u:secret@h/live/x?key=secret",
            "srt://h:1?passphrase=secretsecret&streamid=read:x:u:secret",
            "srt://h:1?streamid=#!::r=x,u=u,s=secret",
        ] {
            let target = Target::parse(text).unwrap();
            let all = format!("{target:?} {target:#?} {} {}", target.shown(), target.address());
            assert!(!all.contains("secret"), "{all}");
        }
    }

    #[test]
    fn a_pin_is_refused_where_no_certificate_is_shown() {
        let pin = "ab".repeat(32);
        for (text, word) in [("rtsp://h/x", "rtsps://"), ("rtmp://h/a/x", "rtmps://"), ("srt://h:1", "passphrase")] {
            let error = Target::parse(text).unwrap().pinned(Some(pin.parse().unwrap())).unwrap_err().to_string();
            assert!(error.contains("shows no certificate") && error.contains(word), "{error}");
            assert!(Target::parse(text).unwrap().pinned(None).is_ok());
        }
        for text in ["rtsp", "rtmp"] {
            assert!(Target::parse(&format!("{text}://h/a/x#pin={pin}")).is_err());
            assert!(Target::parse(&format!("{text}s://h/a/x#pin={pin}")).is_ok());
        }
    }

    #[test]
    fn this_computer_is_distinguished_from_others() {
        for (host, is_loopback) in [
            ("127.0.0.1", true),
            ("127.8.9.1", true),
            ("[::1]", true),
            ("[::ffff:127.0.0.1]", true),
            ("localhost", true),
            ("cam.LocalHost", true),
            ("10.0.0.1", false),
            ("127.0.0.1.example.org", false),
            ("[fe80::1]", false),
        ] {
            assert_eq!(Target::parse(&format!("rtsp://{host}/x")).unwrap().is_loopback(), is_loopback, "{host}");
        }
    }

    #[test]
    fn an_srt_url_is_read_as_its_servers_document_it() {
        let target =
            Target::parse("srt://h:10080?streamid=#!::r=live/x,m=publish&latency=200&passphrase=0123456789").unwrap();
        let srt = target.srt.clone().unwrap();
        assert_eq!(srt.stream_id.as_deref(), Some("#!::r=live/x,m=publish"));
        assert_eq!((srt.latency, srt.mode), (Duration::from_millis(200), SrtMode::Caller));
        assert_eq!(srt.passphrase.as_ref().map(Secret::reveal), Some("0123456789"));
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
        assert_eq!(Target::parse("rtmp://h/x").unwrap().shown(), "rtmp://h/x");
        let keyed = Target::parse("rtmps://h/live/x?key=1").unwrap();
        assert_eq!((keyed.address().as_str(), keyed.shown().as_str()), ("h:443", "rtmps://h/live/x"));
    }
}
