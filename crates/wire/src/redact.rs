//! Addresses of streams with their secrets replaced, for errors, logs and labels.
//!
//! A password stands in an address in more than one place: before the `@`, in a query (`?token=…`), in the path of some
//! cameras (`/user=admin&password=…&channel=1`), in the stream id of an SRT server. And an address that cannot be read is
//! shown, too: its password may be the very reason. So [`redacted`] goes by the text alone, and rather hides too much.

#[cfg(any(feature = "rtsp", feature = "rtmp"))]
use url::Url;

use crate::shown::shown_line;
#[cfg(any(feature = "rtsp", feature = "rtmp"))]
use crate::url_text;

/// The text that replaces a secret.
pub const HIDDEN: &str = "…";

/// A URL as readable text, without its password, and without the values of parameters whose names contain a word like
/// `pass`, `token` or `key`.
#[cfg(any(feature = "rtsp", feature = "rtmp"))]
pub fn shown_url(url: &Url) -> String {
    redacted(&url_text::shown(url))
}

/// Whether an address holds something that [`shown_url`] hides.
#[cfg(any(feature = "rtsp", feature = "rtmp"))]
pub fn holds_secret(url: &Url) -> bool {
    let shown = url_text::shown(url);
    redacted(&shown) != shown_line(&shown)
}

/// Any text that is meant to be an address, without what is secret in it or may be: what stands between the first `:` and
/// the last `@`, what should be a port and is none, and the values that [`shown_url`] hides too. What a terminal would act
/// on is written out.
pub fn redacted(text: &str) -> String {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) if is_scheme(scheme) => (Some(scheme), rest),
        _ => (None, text),
    };
    let scheme = scheme.map(|scheme| format!("{scheme}://")).unwrap_or_default();
    let rest = match rest.rsplit_once('@') {
        Some((login, place)) => match login.split_once(':') {
            Some((user, _)) => format!("{user}:{HIDDEN}@{}", hide_values(place)),
            None => format!("{login}@{}", hide_values(place)),
        },
        None => hide_values(&hide_strange_port(rest)),
    };
    shown_line(&(scheme + &hide_stream_id(&rest)))
}

/// Whether this is a scheme that addresses of streams have. Another word before `://` may be a user's name.
fn is_scheme(text: &str) -> bool {
    const KNOWN: [&str; 17] = [
        "rtsp", "rtsps", "rtspu", "rtmp", "rtmps", "rtmpt", "rtmpe", "srt", "http", "https", "ws", "wss", "udp", "rtp",
        "tcp", "rist", "file",
    ];
    KNOWN.iter().any(|known| text.eq_ignore_ascii_case(known))
}

/// `HOST:WORD` without an `@` may be a login whose host is missing: only a number is a port.
fn hide_strange_port(rest: &str) -> String {
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, _) = rest.split_at(end);
    // An IPv6 address has colons of its own.
    let host_end = authority.starts_with('[').then(|| authority.find(']')).flatten().unwrap_or(0);
    let colon = authority.split_at(host_end).1.find(':').map(|at| host_end + at);
    match colon {
        Some(colon) if !authority.split_at(colon + 1).1.chars().all(|c| c.is_ascii_digit()) => {
            format!("{}:{HIDDEN}", authority.split_at(colon).0)
        }
        _ => rest.to_owned(),
    }
}

/// Hides the value of each `name=value` whose name speaks of a secret.
fn hide_values(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('=') {
        shown.push_str(before);
        shown.push('=');
        let name = before.rsplit(|c: char| !(c.is_ascii_alphanumeric() || "-_.%".contains(c))).next();
        rest = match name {
            Some(name) if names_a_secret(name) => {
                shown.push_str(HIDDEN);
                let end = after.find(['&', ';', ',', '/', '?', '#']).unwrap_or(after.len());
                after.split_at(end).1
            }
            _ => after,
        };
    }
    shown + rest
}

fn names_a_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let whole = ["pass", "pwd", "psw", "token", "secret", "auth", "credential", "signature"];
    whole.iter().any(|word| name.contains(word)) || ["key", "sig", "pw"].iter().any(|word| name.ends_with(word))
}

/// MediaMTX takes a login in SRT's stream id: `publish:PATH:USER:PASSWORD`, and `s=PASSWORD` in the form that begins with
/// `#!::`.
fn hide_stream_id(text: &str) -> String {
    let Some((before, id)) = text.split_once("streamid=") else { return text.to_owned() };
    let (id, after) = id.split_at(id.find('&').unwrap_or(id.len()));
    let mut shown = format!("{before}streamid=");
    if id.contains("!::") {
        let parts = id.split(',').map(|part| match part.rsplit_once("s=") {
            Some((head, _)) if head.is_empty() || head.ends_with("!::") => format!("{head}s={HIDDEN}"),
            _ => part.to_owned(),
        });
        shown.push_str(&parts.collect::<Vec<_>>().join(","));
    } else {
        let parts = id.splitn(4, ':').enumerate().map(|(at, part)| if at < 3 { part } else { HIDDEN });
        shown.push_str(&parts.collect::<Vec<_>>().join(":"));
    }
    shown + after
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_password_is_hidden_wherever_it_stands() {
        for (text, expected) in [
            ("rtsp://me:s3cret@host:8554/live", "rtsp://me:…@host:8554/live"),
            ("rtsp://:s3cret@host/live", "rtsp://:…@host/live"),
            ("rtsp://me:s3c@ret@host/live", "rtsp://me:…@host/live"),
            ("rtsp://me:s3c/ret@host/live", "rtsp://me:…@host/live"),
            ("rtsp://me:s3c#ret@host/live", "rtsp://me:…@host/live"),
            ("rtsp://me:s3c?ret@[bad/live", "rtsp://me:…@[bad/live"),
            ("rtsp://me:12/s3cret@host/live", "rtsp://me:…@host/live"),
            ("me:s3cret@host/live", "me:…@host/live"),
            ("rtsp:/me:s3cret@host/live", "rtsp:…@host/live"),
            ("rtsp//me:s3cret@host/live", "rtsp//me:…@host/live"),
            ("me:s3://cret@host", "me:…@host"),
            ("http://me:s3cret@host/x", "http://me:…@host/x"),
            ("rtsp://me:s3cret", "rtsp://me:…"),
            ("rtsp://me:s3cret%40host/live", "rtsp://me:…"),
            ("rtsp://me:s3c/ret", "rtsp://me:…"),
            ("rtsp://host/live?token=s3cret&channel=1", "rtsp://host/live?token=…&channel=1"),
            ("rtsp://host/user=admin&password=s3cret&channel=1", "rtsp://host/user=admin&password=…&channel=1"),
            ("rtsp://host/user=admin_password=s3cret_channel=1", "rtsp://host/user=admin_password=…"),
            ("rtmp://host/live/x?user=me&pass=s3cret", "rtmp://host/live/x?user=me&pass=…"),
            ("srt://h:1?passphrase=s3cret12345&latency=5", "srt://h:1?passphrase=…&latency=5"),
            ("srt://h:1?streamid=publish:live:me:s3cret&latency=5", "srt://h:1?streamid=publish:live:me:…&latency=5"),
            (
                "srt://h:1?streamid=#!::m=publish,r=live,u=me,s=s3cret",
                "srt://h:1?streamid=#!::m=publish,r=live,u=me,s=…",
            ),
            ("srt://h:1?streamid=%23!::s=s3cret,r=live", "srt://h:1?streamid=%23!::s=…,r=live"),
            ("rtsp://\u{1b}[31mme:s3cret@h", r"rtsp://\u{1b}[31mme:…@h"),
        ] {
            assert_eq!(redacted(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_secret_is_shown() {
        for text in [
            "rtsp://host:8554/live",
            "rtsp://[::1]:8554/live?channel=1&subtype=0",
            "rtsp://me@host/live",
            "rtsp://host/cam/realmonitor?channel=1&subtype=0&unicast=true",
            "srt://h:1?streamid=#!::r=live/x,m=publish&latency=200",
            "srt://h:1?streamid=publish:live/cam",
            "hello",
            "",
        ] {
            assert_eq!(redacted(text), text);
        }
    }

    #[cfg(any(feature = "rtsp", feature = "rtmp"))]
    #[test]
    fn a_url_is_shown_without_its_secret() {
        let url: Url = "rtsp://host/live?token=abc".parse().unwrap();
        assert_eq!(shown_url(&url), "rtsp://host/live?token=…");
        assert!(holds_secret(&url) && !holds_secret(&"rtsp://host/live".parse().unwrap()));
    }

    proptest! {
        /// However it is spelt: nothing of a password of some length, up to the last `@`, comes out.
        #[test]
        fn nothing_of_a_password_comes_out(
            scheme in "(|rtsp://|rtmps://|http://|srt://|rtsp:/)",
            user in "[a-z]{0,4}",
            password in r"[ -~é客]{0,6}QQ7[ -~é客]{0,6}",
            host in r"(host|10\.0\.0\.1:554|\[::1\]:8554|\[bad)",
        ) {
            let text = format!("{scheme}{user}:{password}@{host}/live");
            prop_assert!(!redacted(&text).contains("QQ7"), "{text}: {}", redacted(&text));
        }
    }
}
