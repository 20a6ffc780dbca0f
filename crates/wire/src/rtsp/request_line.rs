//! The URL of a request as it is written in use, before the line is read.
//!
//! RFC 2326 section 6.1 wants an absolute URL in ASCII, between single blanks. FFmpeg writes names into it as they are
//! (`ANNOUNCE rtsp://h/live cam RTSP/1.0`, `/客厅` in UTF-8): [`tidied`] encodes what should have been, so that one name is
//! one name. What is neither ASCII nor UTF-8 is no name that anybody could find again, and is refused.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::message::BadRequest;

/// What is no part of a URL; beyond ASCII everything is encoded anyway.
const NOT_IN_URLS: &AsciiSet = &CONTROLS.add(b' ');
/// Longest CSeq that is answered with, bytes.
const MAX_CSEQ_BYTES: usize = 32;
/// How much of a URL is quoted in a log, characters.
const QUOTED_CHARS: usize = 80;

/// The parts of a request's first line, and what stands behind it.
struct Parts<'a> {
    method: &'a [u8],
    url: &'a [u8],
    version: &'a [u8],
    behind: &'a [u8],
}

/// Takes a message apart that may be a request: `METHOD URL RTSP/x.y`, and whatever is in the URL.
fn parts(text: &[u8]) -> Option<Parts<'_>> {
    let (line, behind) = text.split_at(text.iter().position(|&byte| byte == b'\n')?);
    let line = line.trim_ascii_end();
    let (method, rest) = line.split_at(line.iter().position(|&byte| byte == b' ')?);
    let rest = rest.trim_ascii_start();
    let (url, version) = rest.split_at(rest.iter().rposition(|&byte| byte == b' ')?);
    let version = version.trim_ascii_start();
    let is_method = !method.is_empty() && method.iter().all(|byte| byte.is_ascii_alphabetic() || b"_-".contains(byte));
    let is_rtsp = version.first_chunk().is_some_and(|name: &[u8; 5]| name.eq_ignore_ascii_case(b"RTSP/"));
    (is_method && is_rtsp).then_some(Parts { method, url: url.trim_ascii(), version, behind })
}

/// A message's head, or the whole of it, with its URL in ASCII if it is a request; as it came where it is none.
///
/// # Errors
/// [`BadRequest`] where the URL is not UTF-8, or has a control character.
pub(super) fn tidied(text: &[u8]) -> Result<Cow<'_, [u8]>, BadRequest> {
    let Some(Parts { method, url, version, behind }) = parts(text) else { return Ok(Cow::Borrowed(text)) };
    let Ok(url) = std::str::from_utf8(url) else {
        return Err(refused(text, &format!("its URL is not UTF-8: {:?}", quoted(url))));
    };
    if url.chars().any(char::is_control) {
        return Err(refused(text, &format!("its URL has a control character: {:?}", quoted(url.as_bytes()))));
    }
    let url = utf8_percent_encode(url, NOT_IN_URLS).to_string();
    let tidy = [method, b" ", url.as_bytes(), b" ", version, b"\r"].concat();
    match text.strip_prefix(&tidy[..]) {
        Some(rest) if rest == behind => Ok(Cow::Borrowed(text)),
        _ => Ok(Cow::Owned([&tidy, behind].concat())),
    }
}

fn refused(text: &[u8], what: &str) -> BadRequest {
    BadRequest { cseq: cseq(text).unwrap_or_default(), what: what.to_owned() }
}

/// The beginning of a URL, without a login in it.
pub(super) fn quoted(url: &[u8]) -> String {
    let url = String::from_utf8_lossy(url);
    let (scheme, rest) = url.split_once("://").unwrap_or(("", &url));
    let rest = rest.rsplit_once('@').map_or(rest.to_owned(), |(_, behind)| format!("…@{behind}"));
    let scheme = if scheme.is_empty() { String::new() } else { format!("{scheme}://") };
    (scheme + &rest).chars().take(QUOTED_CHARS).collect()
}

/// The CSeq of a request whose other headers may be anything.
fn cseq(text: &[u8]) -> Option<String> {
    let mut lines = text.split(|&byte| byte == b'\n').take_while(|line| !line.trim_ascii().is_empty());
    lines.find_map(|line| {
        let (name, value) = line.split_at(line.iter().position(|&byte| byte == b':')?);
        let value = value.trim_ascii_start().strip_prefix(b":")?.trim_ascii();
        let is_fit = value.len() <= MAX_CSEQ_BYTES && value.iter().all(u8::is_ascii_graphic);
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
    fn a_name_may_stand_in_it_as_it_is() {
        let behind = "\r\nCSeq: 1\r\n\r\nbody";
        for (line, url) in [
            ("ANNOUNCE rtsp://h/客厅 RTSP/1.0", "rtsp://h/%E5%AE%A2%E5%8E%85"),
            ("ANNOUNCE rtsp://h/live cam/streamid=0 RTSP/1.0", "rtsp://h/live%20cam/streamid=0"),
            ("ANNOUNCE rtsp://h/a RTSP/1.0 b RTSP/1.0", "rtsp://h/a%20RTSP/1.0%20b"),
            ("ANNOUNCE  rtsp://h/p  RTSP/1.0 ", "rtsp://h/p"),
            ("ANNOUNCE rtsp://h/p?name=a b&c=星 RTSP/1.0", "rtsp://h/p?name=a%20b&c=%E6%98%9F"),
        ] {
            assert_eq!(tidy(format!("{line}{behind}").as_bytes()), format!("ANNOUNCE {url} RTSP/1.0{behind}"));
        }
        // A line end without its return is for whoever reads lines.
        assert!(tidy("PLAY rtsp://h/é RTSP/1.0\n\n".as_bytes()).starts_with("PLAY rtsp://h/%C3%A9 RTSP/1.0"));
    }

    #[test]
    fn a_url_of_another_encoding_is_answered_with_the_requests_number() {
        let line = |url: &[u8]| [b"DESCRIBE ", url, b" RTSP/1.0\r\nUser-Agent: x\r\ncseq :7\r\n\r\n"].concat();
        let wrong: [(&[u8], &str); 5] = [
            (b"rtsp://h/caf\xe9", "not UTF-8"),
            (b"rtsp://h/\xbf\xcd\xcc\xfc", "not UTF-8"),
            (b"rtsp://me:s3cret@h/\xff", "not UTF-8"),
            (b"rtsp://h/a\tb", "control"),
            ("rtsp://h/a\u{85}b".as_bytes(), "control"),
        ];
        for (url, word) in wrong {
            let bad = tidied(&line(url)).unwrap_err();
            let what = &bad.what;
            assert!(what.contains(word) && !what.contains(char::is_control) && !what.contains("s3cret"), "{what}");
            assert_eq!(bad.cseq, "7");
        }
    }

    #[test]
    fn a_cseq_that_would_be_more_than_that_is_not_repeated() {
        for header in ["", "CSeq: \r\n x", "CSeq: 1\rX: 2", "CSeq: 1 2", &format!("CSeq: {}", "1".repeat(33))] {
            let text = format!("PLAY h\t RTSP/1.0\r\n{header}\r\n\r\nCSeq: 9\r\n");
            assert_eq!(tidied(text.replace("h\t", "h\t/").as_bytes()).unwrap_err().cseq, "", "{header}");
        }
    }
}
