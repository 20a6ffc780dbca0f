//! Taking a connection's bytes apart: RTSP messages and the interleaved frames between them.
//!
//! [`MessageDecoder`] is fed whatever arrived and yields one [`Inbound`] at a time. Frames (`$`, channel, length; RFC
//! 2326 section 10.12) are the hot path: they are split off the receive buffer without a copy. Text messages go through
//! `rtsp-types`, but only after their header has been found whole and its promised body is within the limit, so that no
//! peer can make us keep or allocate more than [`MAX_HEADER_BYTES`] + [`MAX_BODY_BYTES`].

use bytes::{Buf, Bytes, BytesMut};
use rtsp_types::{Empty, HeaderName, Message, Version, headers};
use thiserror::Error;

use super::request_line;
use crate::rtp::interleave::{self, Peek};

/// A request with its body.
pub type Request = rtsp_types::Request<Vec<u8>>;
/// A response with its body.
pub type Response = rtsp_types::Response<Vec<u8>>;

/// Longest header accepted, bytes up to and including the empty line.
pub const MAX_HEADER_BYTES: usize = 16 * 1024;
/// Longest body accepted, bytes: an SDP of many tracks fits many times over.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// One thing that a peer sent.
#[derive(Debug)]
pub enum Inbound {
    /// A request.
    Request(Request),
    /// A response.
    Response(Response),
    /// A request that nobody can make out; to be answered with 400.
    BadRequest(BadRequest),
    /// An interleaved frame.
    Frame(Frame),
}

/// A request that was understood to be one, but not what it asks for: it can only be refused (400).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRequest {
    /// Its CSeq, to be answered with; empty where it has none.
    pub cseq: String,
    /// What is wrong with it.
    pub what: String,
}

/// An interleaved frame as it stood on the wire, header included, so that it can be forwarded as it is.
#[derive(Clone, Debug)]
pub struct Frame {
    /// `$`, channel, 16-bit length, then the packet.
    pub framed: Bytes,
}

impl Frame {
    /// The channel it came on.
    pub fn channel(&self) -> u8 {
        self.framed.get(1).copied().unwrap_or_default()
    }

    /// The RTP or RTCP packet inside.
    pub fn packet(&self) -> Bytes {
        self.framed.slice(interleave::HEADER_LEN.min(self.framed.len())..)
    }
}

/// Bytes that are not RTSP. The connection cannot be read any further.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum MessageError {
    /// No end of the header within the limit.
    #[error("a message header is longer than {MAX_HEADER_BYTES} bytes")]
    HeaderTooLong,
    /// The body announced is over the limit.
    #[error("a message announces a body of {announced} bytes; at most {MAX_BODY_BYTES} are taken")]
    BodyTooLong {
        /// Content-Length as announced.
        announced: u64,
    },
    /// Content-Length is not a number, or is given twice with different values.
    #[error("a message has the Content-Length {0:?}")]
    ContentLength(String),
    /// Neither a frame, a request nor a response.
    #[error("the peer does not speak RTSP here: {0:?}")]
    Malformed(String),
}

/// Splits a connection's bytes into messages and frames.
#[derive(Debug, Default)]
pub struct MessageDecoder {
    /// Bytes of the present text message already searched for the end of its header.
    searched: usize,
}

impl MessageDecoder {
    /// Takes all whole frames off the front of `buffer` at once, up to the next text; `None` when there is none. The twin
    /// of [`MessageDecoder::decode`] for those who forward frames: [`interleave::frames`] tells them apart.
    pub fn decode_run(&mut self, buffer: &mut BytesMut) -> Option<Bytes> {
        self.skip_line_ends(buffer);
        match interleave::run_len(buffer) {
            0 => None,
            len => Some(buffer.split_to(len).freeze()),
        }
    }

    /// Takes the next message off the front of `buffer`; `None` when it is not whole yet.
    ///
    /// # Errors
    /// [`MessageError`]: the connection has lost its framing and must be closed.
    pub fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Inbound>, MessageError> {
        self.skip_line_ends(buffer);
        match interleave::peek(buffer) {
            Peek::Frame { len, .. } => {
                let whole = interleave::HEADER_LEN + usize::from(len);
                return Ok(Some(Inbound::Frame(Frame { framed: buffer.split_to(whole).freeze() })));
            }
            Peek::Incomplete => return Ok(None),
            Peek::NotInterleaved => {}
        }
        let Some(header_len) = self.find_header_end(buffer)? else { return Ok(None) };
        let whole = header_len + content_length(&buffer[..header_len])?;
        if buffer.len() < whole {
            return Ok(None);
        }
        self.searched = 0;
        let text = buffer.split_to(whole);
        let tidied = match request_line::tidied(&text) {
            Ok(tidied) => tidied,
            Err(bad) => return Ok(Some(Inbound::BadRequest(bad))),
        };
        match Message::<Vec<u8>>::parse(&tidied[..]) {
            Ok((Message::Request(request), _)) => Ok(Some(Inbound::Request(request))),
            Ok((Message::Response(response), _)) => Ok(Some(Inbound::Response(response))),
            _ => request_line::bad(&text).map(|bad| Some(Inbound::BadRequest(bad))).ok_or_else(|| malformed(&text)),
        }
    }

    /// Stray line ends between messages and frames are harmless and common.
    fn skip_line_ends(&mut self, buffer: &mut BytesMut) {
        while matches!(buffer.first(), Some(b'\r' | b'\n')) {
            buffer.advance(1);
            self.searched = 0;
        }
    }

    /// Length of the header with its closing empty line, once that has arrived.
    fn find_header_end(&mut self, buffer: &[u8]) -> Result<Option<usize>, MessageError> {
        const END: &[u8] = b"\r\n\r\n";
        // A first byte no message starts with is told at once, not after 16 KiB of it.
        if buffer.first().is_some_and(|b| !b.is_ascii_alphabetic()) {
            return Err(malformed(buffer));
        }
        let from = self.searched.saturating_sub(END.len() - 1);
        let found = buffer[from..].windows(END.len()).position(|w| w == END).map(|at| from + at + END.len());
        match found {
            Some(end) if end <= MAX_HEADER_BYTES => Ok(Some(end)),
            None if buffer.len() < MAX_HEADER_BYTES => {
                self.searched = buffer.len();
                Ok(None)
            }
            _ => Err(MessageError::HeaderTooLong),
        }
    }
}

fn malformed(bytes: &[u8]) -> MessageError {
    let shown = bytes.split(|&b| b == b'\r' || b == b'\n').next().unwrap_or_default();
    MessageError::Malformed(String::from_utf8_lossy(&shown[..shown.len().min(80)]).into_owned())
}

fn content_length(header: &[u8]) -> Result<usize, MessageError> {
    let mut length = None;
    for line in header.split(|&b| b == b'\n') {
        let Some(colon) = line.iter().position(|&b| b == b':') else { continue };
        if !line[..colon].trim_ascii().eq_ignore_ascii_case(b"content-length") {
            continue;
        }
        let text = String::from_utf8_lossy(line[colon + 1..].trim_ascii()).into_owned();
        let announced: u64 = match text.parse() {
            Ok(n) if length.is_none_or(|l| l == n) => n,
            _ => return Err(MessageError::ContentLength(text)),
        };
        if announced > MAX_BODY_BYTES as u64 {
            return Err(MessageError::BodyTooLong { announced });
        }
        length = Some(announced);
    }
    Ok(length.unwrap_or(0) as usize)
}

/// Bytes of a request, ready for the socket.
pub fn request_bytes(request: &Request) -> Bytes {
    let mut out = Vec::with_capacity(512);
    // Writing to a Vec fails only for a length that does not fit its header; a body here is at most an SDP of ours.
    match request.write(&mut out) {
        Ok(()) => out.into(),
        Err(_) => Bytes::new(),
    }
}

/// Bytes of a response, ready for the socket.
pub fn response_bytes(response: &Response) -> Bytes {
    let mut out = Vec::with_capacity(512);
    match response.write(&mut out) {
        Ok(()) => out.into(),
        Err(_) => Bytes::new(),
    }
}

/// An answer to `request`: its CSeq copied, no body yet. A CSeq with a line end or the like in it, which the parser lets
/// through, is not: it would be a header of our answer.
pub fn reply(request: &Request, status: rtsp_types::StatusCode) -> rtsp_types::Response<Empty> {
    let mut response = rtsp_types::Response::builder(Version::V1_0, status).empty();
    if let Some(cseq) = request.header(&headers::CSEQ)
        && !cseq.as_str().contains(char::is_control)
    {
        response.insert_header(headers::CSEQ, cseq.as_str());
    }
    response
}

/// The answer to a request that nobody can make out.
pub fn reply_to_bad(request: &BadRequest) -> Bytes {
    let mut response =
        rtsp_types::Response::builder(Version::V1_0, rtsp_types::StatusCode::BadRequest).build(Vec::new());
    if !request.cseq.is_empty() {
        response.insert_header(headers::CSEQ, request.cseq.as_str());
    }
    response_bytes(&response)
}

/// A header as text; `None` when absent.
pub fn header<'m>(message: &'m Request, name: &HeaderName) -> Option<&'m str> {
    message.header(name).map(|value| value.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode_all(bytes: &[u8]) -> Result<Vec<Inbound>, MessageError> {
        let mut decoder = MessageDecoder::default();
        let mut buffer = BytesMut::from(bytes);
        let mut out = Vec::new();
        while let Some(inbound) = decoder.decode(&mut buffer)? {
            out.push(inbound);
        }
        Ok(out)
    }

    const OPTIONS: &[u8] = b"OPTIONS rtsp://h/p RTSP/1.0\r\nCSeq: 1\r\n\r\n";

    #[test]
    fn messages_and_frames_side_by_side() {
        let mut bytes = OPTIONS.to_vec();
        bytes.extend_from_slice(b"$\x02\x00\x03abc\r\nRTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 2\r\n\r\nhi");
        let all = decode_all(&bytes).unwrap();
        assert!(matches!(&all[0], Inbound::Request(r) if r.method() == rtsp_types::Method::Options));
        assert!(matches!(&all[1], Inbound::Frame(f) if f.channel() == 2 && &f.packet()[..] == b"abc"));
        assert!(matches!(&all[2], Inbound::Response(r) if r.body() == b"hi"));
    }

    #[test]
    fn a_frame_behind_a_stray_line_end_belongs_to_a_run() {
        let mut buffer = BytesMut::from(&b"\r\n$\x00\x00\x01a$\x00\x00\x01b\r\n"[..]);
        let mut decoder = MessageDecoder::default();
        assert_eq!(decoder.decode_run(&mut buffer).as_deref(), Some(&b"$\x00\x00\x01a$\x00\x00\x01b"[..]));
        assert!(decoder.decode_run(&mut buffer).is_none() && decoder.decode(&mut buffer).unwrap().is_none());
    }

    #[test]
    fn a_message_may_come_a_byte_at_a_time() {
        let mut decoder = MessageDecoder::default();
        let mut buffer = BytesMut::new();
        let mut whole = 0;
        for &byte in OPTIONS {
            buffer.extend_from_slice(&[byte]);
            whole += usize::from(decoder.decode(&mut buffer).unwrap().is_some());
        }
        assert_eq!(whole, 1);
        assert!(buffer.is_empty());
    }

    #[test]
    fn what_stands_in_a_cseq_adds_nothing_to_the_answer() {
        let answer_to = |cseq: &str| {
            let bytes = format!("OPTIONS rtsp://h/p RTSP/1.0\r\nCSeq: {cseq}\r\n\r\n123456789");
            let mut buffer = BytesMut::from(bytes.as_bytes());
            let decoded = MessageDecoder::default().decode(&mut buffer);
            let Ok(Some(Inbound::Request(request))) = decoded else { panic!("{decoded:?}") };
            response_bytes(&reply(&request, rtsp_types::StatusCode::Ok).replace_body(Vec::new()))
        };
        assert_eq!(&answer_to("7")[..], b"RTSP/1.0 200 Ok\r\nCSeq: 7\r\n\r\n");
        assert_eq!(&answer_to("7\nContent-Length: 9")[..], b"RTSP/1.0 200 Ok\r\n\r\n");
    }

    #[test]
    fn a_request_that_cannot_be_made_out_leaves_what_follows_alone() {
        let mut bytes = b"DESCRIBE rtsp://h/caf\xe9 RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 2\r\n\r\nhi\r\n".to_vec();
        bytes.extend_from_slice(b"DESCRIBE rtsp://[h/p RTSP/1.0\r\nCSeq: 2\r\n\r\n$\x00\x00\x01x");
        bytes.extend_from_slice("DESCRIBE rtsp://h/live cam/客厅 RTSP/1.0\r\nCSeq: 3\r\n\r\n".as_bytes());
        let all = decode_all(&bytes).unwrap();
        for (at, cseq) in [(0, "1"), (1, "2")] {
            let Inbound::BadRequest(bad) = &all[at] else { panic!("{:?}", all[at]) };
            let answer = format!("RTSP/1.0 400 Bad Request\r\nCSeq: {cseq}\r\n\r\n");
            assert_eq!(&reply_to_bad(bad)[..], answer.as_bytes());
        }
        assert!(matches!(&all[2], Inbound::Frame(f) if &f.packet()[..] == b"x"));
        let Inbound::Request(request) = &all[3] else { panic!("{:?}", all[3]) };
        assert_eq!(request.request_uri().unwrap().path(), "/live%20cam/%E5%AE%A2%E5%8E%85");
    }

    #[test]
    fn what_is_not_rtsp_is_an_error() {
        assert!(matches!(decode_all(b"\x16\x03\x01\x02"), Err(MessageError::Malformed(_))));
        assert!(matches!(decode_all(b"GET / HTTP/1.1\r\n\r\n"), Err(MessageError::Malformed(_))));
        assert_eq!(decode_all(&[b'A'; MAX_HEADER_BYTES + 1]).unwrap_err(), MessageError::HeaderTooLong);
    }

    #[test]
    fn a_body_over_the_limit_is_refused_before_it_is_awaited() {
        let huge = b"ANNOUNCE rtsp://h/p RTSP/1.0\r\nContent-Length: 10000000000\r\n\r\n";
        assert_eq!(decode_all(huge).unwrap_err(), MessageError::BodyTooLong { announced: 10_000_000_000 });
        let odd = b"ANNOUNCE rtsp://h/p RTSP/1.0\r\nContent-Length: 1\r\ncontent-length: 2\r\n\r\n";
        assert!(matches!(decode_all(odd), Err(MessageError::ContentLength(_))));
    }
}
