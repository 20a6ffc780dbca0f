//! Requests as they are written in use, before the parser sees them.
//!
//! RFC 2326 section 6.1 wants a method, an absolute URL and a version with one space between. FFmpeg writes names as they are
//! into the URL (`ANNOUNCE rtsp://h/live cam RTSP/1.0`, `/客厅` in UTF-8), others put two spaces or write `rtsp/1.0`:
//! [`tidied`] makes the one form of it. What is framed as a request and still cannot be read is [`Unreadable`]: it is
//! answered, and the connection goes on.

use std::borrow::Cow;

use bytes::Bytes;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use rtsp_types::{StatusCode, Url, Version, headers};
use thiserror::Error;

use super::message::response_bytes;

/// What the parser takes for no part of a URL; beyond ASCII everything is encoded anyway.
const NOT_IN_URLS: &AsciiSet = &CONTROLS.add(b' ');
/// Longest CSeq that is answered with, bytes.
const MAX_CSEQ_BYTES: usize = 32;
/// How much of a line is quoted in a log, characters.
const QUOTED_CHARS: usize = 80;

/// Why a request cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// The URL is written in another encoding, such as GBK or Latin-1.
    #[error("the URL of {0:?} is not UTF-8")]
    NotUtf8(String),
    /// A tab, or what else has no place in a line.
    #[error("the URL of {0:?} has a control character")]
    Control(String),
    /// No absolute URL.
    #[error("{line:?} has no URL such as rtsp://HOST/PATH ({what})")]
    Url {
        /// The request's first line.
        line: String,
        /// What is wrong with it.
        what: String,
    },
    /// The first line is right, and one behind it is not.
    #[error("a header of {0:?} cannot be read")]
    Header(String),
}

/// A request that cannot be read, of which it is known where it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// Why.
    pub fault: Fault,
    cseq: Option<String>,
}

impl Unreadable {
    fn new(fault: Fault, text: &[u8]) -> Unreadable {
        Unreadable { fault, cseq: cseq(text) }
    }

    /// The answer: 400.
    pub fn answer(&self) -> Bytes {
        let mut response = rtsp_types::Response::builder(Version::V1_0, StatusCode::BadRequest).empty();
        if let Some(cseq) = &self.cseq {
            response.insert_header(headers::CSEQ, cseq.as_str());
        }
        response_bytes(&response.replace_body(Vec::new()))
    }
}

/// The parts of a request's first line, and what stands behind it.
struct Parts<'a> {
    line: &'a [u8],
    method: &'a [u8],
    url: &'a [u8],
    version: &'a [u8],
    behind: &'a [u8],
}

/// Takes a message apart that may be a request: `METHOD URL RTSP/x.y`, and whatever is in the URL.
fn parts(text: &[u8]) -> Option<Parts<'_>> {
    let end = text.iter().position(|&byte| byte == b'\n')?;
    let (line, behind) = text.split_at(end);
    let line = line.trim_ascii_end();
    let (method, rest) = line.split_at(line.iter().position(|&byte| byte == b' ')?);
    let rest = rest.trim_ascii_start();
    let (url, version) = rest.split_at(rest.iter().rposition(|&byte| byte == b' ')?);
    let version = version.trim_ascii_start();
    let is_method = !method.is_empty() && method.iter().all(|byte| byte.is_ascii_alphabetic() || b"_-".contains(byte));
    let is_rtsp = version.first_chunk().is_some_and(|name: &[u8; 5]| name.eq_ignore_ascii_case(b"RTSP/"));
    (is_method && is_rtsp).then_some(Parts { line, method, url: url.trim_ascii(), version, behind })
}

/// The message, its first line in the form that RFC 2326 wants if it is a request's; as it came where it is none.
///
/// # Errors
/// [`Unreadable`] where it is a request, and its URL is none.
pub(super) fn tidied(text: &[u8]) -> Result<Cow<'_, [u8]>, Unreadable> {
    let Some(Parts { line, method, url, version, behind }) = parts(text) else { return Ok(Cow::Borrowed(text)) };
    let refused = |fault: fn(String) -> Fault| Unreadable::new(fault(quoted(line)), text);
    let url = std::str::from_utf8(url).map_err(|_| refused(Fault::NotUtf8))?;
    if url.chars().any(char::is_control) {
        return Err(refused(Fault::Control));
    }
    let url = utf8_percent_encode(url, NOT_IN_URLS).to_string();
    if url != "*"
        && let Err(error) = Url::parse(&url)
    {
        return Err(Unreadable::new(Fault::Url { line: quoted(line), what: error.to_string() }, text));
    }
    // Other versions than 1.0 are told apart by nobody, and refused as such (505).
    let version: &[u8] = if version.eq_ignore_ascii_case(b"RTSP/1.0") { b"RTSP/1.0" } else { b"RTSP/2.0" };
    let tidy = [method, b" ", url.as_bytes(), b" ", version, b"\r"].concat();
    match text.strip_prefix(&tidy[..]) {
        Some(rest) if rest == behind => Ok(Cow::Borrowed(text)),
        _ => Ok(Cow::Owned([&tidy, behind].concat())),
    }
}

/// What the parser could not read though its first line is a request's; `None` where nothing says that it is RTSP.
pub(super) fn unreadable(text: &[u8]) -> Option<Unreadable> {
    let parts = parts(text)?;
    Some(Unreadable::new(Fault::Header(quoted(parts.line)), text))
}

fn quoted(line: &[u8]) -> String {
    String::from_utf8_lossy(line).chars().take(QUOTED_CHARS).collect()
}

/// The CSeq of a request whose other headers may be anything.
fn cseq(text: &[u8]) -> Option<String> {
    let mut lines = text.split(|&byte| byte == b'\n').take_while(|line| !line.trim_ascii().is_empty());
    lines.find_map(|line| {
        let (name, value) = line.split_at(line.iter().position(|&byte| byte == b':')?);
        let value = value.trim_ascii_start().strip_prefix(b":")?.trim_ascii();
        let is_fit = (1..=MAX_CSEQ_BYTES).contains(&value.len()) && value.iter().all(u8::is_ascii_graphic);
        let text = String::from_utf8_lossy(value).into_owned();
        (name.trim_ascii().eq_ignore_ascii_case(b"cseq") && is_fit).then_some(text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tidy(text: &[u8]) -> String {
        String::from_utf8(tidied(text).unwrap().into_owned()).unwrap()
    }

    #[test]
    fn what_is_as_it_should_be_is_left_alone() {
        for text in [
            &b"OPTIONS rtsp://h/p RTSP/1.0\r\nCSeq: 1\r\n\r\n"[..],
            b"OPTIONS * RTSP/1.0\r\n\r\n",
            b"DESCRIBE rtsp://h/%e5%ae%a2?a=|^\"<> RTSP/2.0\r\n\r\nbody\xff",
            b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n",
            b"GET / HTTP/1.1\r\n\r\n",
            b"\x16\x03\x01\n",
            b"OPTIONS\r\n\r\n",
            b"",
        ] {
            assert!(
                matches!(tidied(text), Ok(Cow::Borrowed(same)) if same == text),
                "{}",
                String::from_utf8_lossy(text)
            );
        }
    }

    #[test]
    fn small_liberties_mean_what_they_seem_to() {
        let behind = "\r\nCSeq: 1\r\n\r\nbody";
        for (line, url) in [
            ("ANNOUNCE rtsp://h/客厅 RTSP/1.0", "rtsp://h/%E5%AE%A2%E5%8E%85"),
            ("ANNOUNCE rtsp://h/live cam/streamid=0 RTSP/1.0", "rtsp://h/live%20cam/streamid=0"),
            ("ANNOUNCE rtsp://h/a RTSP/1.0 b RTSP/1.0", "rtsp://h/a%20RTSP/1.0%20b"),
            ("ANNOUNCE  rtsp://h/p  RTSP/1.0 ", "rtsp://h/p"),
            ("ANNOUNCE rtsp://h/p?name=a b rtsp/1.0", "rtsp://h/p?name=a%20b"),
        ] {
            assert_eq!(tidy(format!("{line}{behind}").as_bytes()), format!("ANNOUNCE {url} RTSP/1.0{behind}"));
        }
        assert!(tidy(b"OPTIONS rtsp://h/p RTSP/1.1\r\n\r\n").starts_with("OPTIONS rtsp://h/p RTSP/2.0\r\n"));
        // A line end without its return is for whoever reads lines.
        assert_eq!(tidy(b"OPTIONS rtsp://h/p RTSP/1.0\n\n"), "OPTIONS rtsp://h/p RTSP/1.0\r\n\n");
    }

    #[test]
    fn a_url_that_is_none_is_answered_with_the_requests_number() {
        let line = |url: &[u8]| [b"DESCRIBE ", url, b" RTSP/1.0\r\nUser-Agent: x\r\ncseq :7\r\n\r\n"].concat();
        let faults: [(&[u8], &str); 7] = [
            (b"rtsp://h/caf\xe9", "not UTF-8"),
            (b"rtsp://h/\xbf\xcd\xcc\xfc", "not UTF-8"),
            (b"rtsp://h/a\tb", "control"),
            ("rtsp://h/a\u{85}b".as_bytes(), "control"),
            (b"/live", "rtsp://HOST/PATH"),
            (b"rtsp://::1/live", "rtsp://HOST/PATH"),
            (b"rtsp://h:port/live", "rtsp://HOST/PATH"),
        ];
        for (url, word) in faults {
            let unreadable = tidied(&line(url)).unwrap_err();
            let said = unreadable.fault.to_string();
            assert!(said.contains(word) && !said.contains(char::is_control), "{said}");
            assert_eq!(&unreadable.answer()[..], b"RTSP/1.0 400 Bad Request\r\nCSeq: 7\r\n\r\n");
        }
    }

    #[test]
    fn a_cseq_that_would_be_more_than_that_is_not_repeated() {
        for header in ["", "CSeq: \r\n x", "CSeq: 1\rX: 2", "CSeq: 1 2", &format!("CSeq: {}", "1".repeat(33))] {
            let text = format!("PLAY h RTSP/1.0\r\n{header}\r\n\r\nCSeq: 9\r\n");
            let answer = tidied(text.as_bytes()).unwrap_err().answer();
            assert_eq!(&answer[..], b"RTSP/1.0 400 Bad Request\r\n\r\n", "{header}");
        }
    }
}
