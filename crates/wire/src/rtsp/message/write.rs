//! Messages as bytes.
//!
//! CSeq is the first header, and spelled as RFC 2326 has it: recorders are known that read it from the second line only and
//! refuse everything else with 400.

use std::fmt::Write as _;

use bytes::Bytes;
use rtsp_types::{HeaderName, HeaderValue, Version, headers};

use super::{Request, Response};

/// Bytes of a request, ready for the socket.
pub fn request_bytes(request: &Request) -> Bytes {
    let method: &str = request.method().into();
    let uri = request.request_uri().map_or("*", |url| url.as_str());
    let first = format!("{method} {uri} {}", version(request.version()));
    message_bytes(&first, request.headers(), request.body())
}

/// Bytes of a response, ready for the socket.
pub fn response_bytes(response: &Response) -> Bytes {
    message_bytes(&status_line(response), response.headers(), response.body())
}

/// Bytes of a response up to its body, which is sent behind it as it is: `body_len` bytes, whatever the response's own.
pub fn response_head_bytes(response: &Response, body_len: usize) -> Bytes {
    head(&status_line(response), response.headers(), body_len).into()
}

fn status_line(response: &Response) -> String {
    format!("{} {} {}", version(response.version()), u16::from(response.status()), response.reason_phrase())
}

fn version(version: Version) -> &'static str {
    match version {
        Version::V1_0 => "RTSP/1.0",
        Version::V2_0 => "RTSP/2.0",
    }
}

fn message_bytes<'m>(
    first: &str,
    headers: impl Iterator<Item = (&'m HeaderName, &'m HeaderValue)>,
    body: &[u8],
) -> Bytes {
    let mut bytes = head(first, headers, body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes.into()
}

fn head<'m>(first: &str, headers: impl Iterator<Item = (&'m HeaderName, &'m HeaderValue)>, body_len: usize) -> String {
    let (cseq, others): (Vec<_>, Vec<_>) = headers.partition(|(name, _)| **name == headers::CSEQ);
    let has = |wanted: HeaderName| others.iter().any(|(name, _)| **name == wanted);
    // Without its length, a description would end where the next thing begins that is none of its lines.
    let lacks_length = has(headers::CONTENT_TYPE) && !has(headers::CONTENT_LENGTH);
    let mut text = String::with_capacity(512 + body_len);
    text.push_str(first);
    text.push_str("\r\n");
    for (name, value) in cseq.into_iter().chain(others) {
        // Writing to a String cannot fail.
        let _ = write!(text, "{}: {}\r\n", name.as_str(), value.as_str());
    }
    if lacks_length {
        let _ = write!(text, "Content-Length: {body_len}\r\n");
    }
    text.push_str("\r\n");
    text
}
