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
    let status = u16::from(response.status());
    let first = format!("{} {status} {}", version(response.version()), response.reason_phrase());
    message_bytes(&first, response.headers(), response.body())
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
    let (cseq, others): (Vec<_>, Vec<_>) = headers.partition(|(name, _)| **name == headers::CSEQ);
    let has = |wanted: HeaderName| others.iter().any(|(name, _)| **name == wanted);
    // Without its length, a description would end where the next thing begins that is none of its lines.
    let lacks_length = has(headers::CONTENT_TYPE) && !has(headers::CONTENT_LENGTH);
    let mut text = String::with_capacity(512 + body.len());
    text.push_str(first);
    text.push_str("\r\n");
    for (name, value) in cseq.into_iter().chain(others) {
        // Writing to a String cannot fail.
        let _ = write!(text, "{}: {}\r\n", name.as_str(), value.as_str());
    }
    if lacks_length {
        let _ = write!(text, "Content-Length: {}\r\n", body.len());
    }
    text.push_str("\r\n");
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(body);
    bytes.into()
}
