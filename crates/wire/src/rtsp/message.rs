//! Taking a connection's bytes apart: RTSP messages and the interleaved frames between them.
//!
//! [`MessageDecoder`] is fed whatever arrived and yields one [`Inbound`] at a time. Frames (`$`, channel, length; RFC
//! 2326 section 10.12) are the hot path: they are split off the receive buffer without a copy. Text messages are read by
//! `head` leniently, but only after their head has been found whole and the body it promises is within the
//! limit, so that no peer can make us keep or allocate more than [`MAX_HEADER_BYTES`] + [`MAX_BODY_BYTES`].
//!
//! Where a peer breaks the framing, bytes that cannot be parsed are skipped, up to [`MAX_NOISE_BYTES`]
//! ([`Inbound::Noise`]): always from a server, and from a client once frames of it have come. Before that a client of another
//! protocol is refused at its first bytes.

mod body;
mod head;
mod noise;
mod write;

use bytes::{Buf, Bytes, BytesMut};
use rtsp_types::{Empty, HeaderName, Version, headers};
use thiserror::Error;

use self::head::Head;
pub use self::head::{BadRequest, MAX_HEADERS};
use self::noise::{Channels, Found, Start};
pub use self::write::{request_bytes, response_bytes, response_head_bytes};
use super::request_line;
use crate::rtp::interleave::{self, Peek};

/// An RTSP request with its body, read or to be written.
pub type Request = rtsp_types::Request<Vec<u8>>;
/// An RTSP response with its body, read or to be written.
pub type Response = rtsp_types::Response<Vec<u8>>;

/// Longest header accepted, bytes up to and including the empty line.
pub const MAX_HEADER_BYTES: usize = 16 * 1024;
/// Longest body accepted, bytes: an SDP of many tracks fits many times over.
pub const MAX_BODY_BYTES: usize = 64 * 1024;
/// Most bytes skipped in a stretch before a message or a frame must follow: four of the longest frames.
pub const MAX_NOISE_BYTES: usize = 256 * 1024;
/// The same before the first of all, where what is there may be another protocol: the rest of a packet or two.
pub const MAX_NOISE_AT_START_BYTES: usize = 4 * 1024;

/// One thing that a peer sent.
#[derive(Debug)]
pub enum Inbound {
    /// A whole request with its body (RFC 2326 section 6).
    Request(Request),
    /// A whole response with its body (RFC 2326 section 7).
    Response(Response),
    /// A request that cannot be parsed; to be answered with 400.
    BadRequest(BadRequest),
    /// An RTP or RTCP packet in an interleaved frame (RFC 2326 section 10.12).
    Frame(Frame),
    /// This many bytes were neither message nor frame, and were skipped. The message or frame before them may be incomplete.
    Noise(usize),
}

/// An interleaved frame as it stood on the wire, header included, so that it can be forwarded as it is.
#[derive(Clone, Debug)]
pub struct Frame {
    /// `$`, channel, 16-bit length, then the packet.
    pub framed: Bytes,
}

impl Frame {
    /// Channel number in the frame's header, as agreed in SETUP.
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
#[non_exhaustive]
pub enum MessageError {
    /// The header does not end within [`MAX_HEADER_BYTES`].
    #[error("a message header is longer than {MAX_HEADER_BYTES} bytes")]
    HeaderTooLong,
    /// The body that Content-Length announces is longer than [`MAX_BODY_BYTES`].
    #[error("a message announces a body of {announced} bytes; at most {MAX_BODY_BYTES} are taken")]
    BodyTooLong {
        /// Length of the body that Content-Length announces, bytes.
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
    /// Bytes of the present text message already searched for the end of its head.
    searched: usize,
    /// Noise is skipped; where not, it is an error that ends the connection.
    takes_noise: bool,
    /// A message or a frame has been decoded before.
    has_begun: bool,
    /// Bytes of the present stretch of noise skipped; `None` outside of one.
    noise: Option<usize>,
    channels: Channels,
}

impl MessageDecoder {
    /// A decoder for what a server sends.
    pub fn of_server() -> MessageDecoder {
        MessageDecoder { takes_noise: true, ..MessageDecoder::default() }
    }

    /// Bytes that have been skipped as noise at the end of what came; 0 where it was read.
    pub fn noise_bytes(&self) -> usize {
        self.noise.unwrap_or_default()
    }

    /// Whether a message or a frame has come.
    pub fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Takes all whole frames off the front of `buffer` at once, up to the next text; `None` when there is none. The twin
    /// of [`MessageDecoder::decode`] for programs that forward frames: [`interleave::frames`] splits them.
    pub fn decode_run(&mut self, buffer: &mut BytesMut) -> Option<Bytes> {
        if self.noise.is_some() {
            return None;
        }
        self.skip_blanks(buffer);
        match interleave::run_len(buffer) {
            0 => None,
            len => {
                self.note_frame(buffer.get(1).copied().unwrap_or_default());
                Some(buffer.split_to(len).freeze())
            }
        }
    }

    /// Takes the next message off the front of `buffer`; `None` when it is not whole yet.
    ///
    /// # Errors
    /// [`MessageError`]: the connection has lost its framing and must be closed.
    pub fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Inbound>, MessageError> {
        if self.noise.is_some() {
            return self.skip_noise(buffer, 0);
        }
        self.skip_blanks(buffer);
        match interleave::peek(buffer) {
            Peek::Frame { channel, len } => {
                self.note_frame(channel);
                let whole = interleave::HEADER_LEN + usize::from(len);
                return Ok(Some(Inbound::Frame(Frame { framed: buffer.split_to(whole).freeze() })));
            }
            Peek::Incomplete => return Ok(None),
            Peek::NotInterleaved => {}
        }
        match noise::text_start(buffer) {
            Start::Perhaps => return Ok(None),
            Start::Yes => {}
            Start::No if self.takes_noise && !is_http(buffer) => return self.skip_noise(buffer, 1),
            // A byte that no message starts with is an error at once, not after 16 KiB.
            Start::No if buffer.first().is_some_and(|b| !b.is_ascii_alphabetic()) => return Err(malformed(buffer)),
            Start::No => {}
        }
        let Some(head_len) = self.find_head_end(buffer)? else { return Ok(None) };
        let (head, rest) = buffer.split_at(head_len);
        let Some(body_len) = body::len(head, rest)? else { return Ok(None) };
        let read = match request_line::tidied(head) {
            Ok(tidied) => head::read(&tidied, rest[..body_len].to_vec()),
            Err(bad) => Some(Head::Bad(bad)),
        };
        let Some(read) = read else {
            let is_noise = self.takes_noise && !is_http(buffer);
            return if is_noise { self.skip_noise(buffer, 1) } else { Err(malformed(buffer)) };
        };
        buffer.advance(head_len + body_len);
        self.searched = 0;
        self.has_begun = true;
        Ok(Some(match read {
            Head::Request(request) => Inbound::Request(request),
            Head::Response(response) => Inbound::Response(response),
            Head::Bad(bad) => Inbound::BadRequest(bad),
        }))
    }

    fn note_frame(&mut self, channel: u8) {
        self.channels.note(channel);
        self.has_begun = true;
        self.takes_noise = true;
    }

    /// Stray line ends between messages and frames are harmless and common; blanks and zeros are seen, too.
    fn skip_blanks(&mut self, buffer: &mut BytesMut) {
        while matches!(buffer.first(), Some(b'\r' | b'\n' | b' ' | b'\t' | 0)) {
            buffer.advance(1);
            self.searched = 0;
        }
    }

    /// Continues a stretch of noise, or begins one whose first `known` bytes are known to be noise.
    fn skip_noise(&mut self, buffer: &mut BytesMut, known: usize) -> Result<Option<Inbound>, MessageError> {
        let passed = self.noise.unwrap_or_default();
        let limit = if self.has_begun { MAX_NOISE_BYTES } else { MAX_NOISE_AT_START_BYTES };
        let (skip, is_found) = match noise::find(buffer, &self.channels, known) {
            Found::At(at) => (at, true),
            Found::NotBefore(at) => (at, false),
        };
        if passed + skip > limit {
            return Err(malformed(buffer));
        }
        self.searched = 0;
        buffer.advance(skip);
        self.noise = Some(passed + skip).filter(|_| !is_found);
        Ok(is_found.then_some(Inbound::Noise(passed + skip)))
    }

    /// Length of the head with its closing empty line, once that has arrived.
    fn find_head_end(&mut self, buffer: &[u8]) -> Result<Option<usize>, MessageError> {
        match head::end(buffer, self.searched) {
            Some(end) if end <= MAX_HEADER_BYTES => Ok(Some(end)),
            None if buffer.len() < MAX_HEADER_BYTES => {
                self.searched = head::search_from(buffer, self.searched);
                Ok(None)
            }
            _ => Err(MessageError::HeaderTooLong),
        }
    }
}

/// Whether this is HTTP: then the connection is to the wrong port, and skipping bytes would not help.
fn is_http(bytes: &[u8]) -> bool {
    let line = bytes.split(|&b| b == b'\n').next().unwrap_or_default();
    let page = [&b"<!doctype"[..], b"<html"];
    let is_page = page.iter().any(|tag| line.get(..tag.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(tag)));
    is_page || line.windows(5).any(|word| word == b"HTTP/")
}

fn malformed(bytes: &[u8]) -> MessageError {
    let shown = bytes.split(|&b| b == b'\r' || b == b'\n').next().unwrap_or_default();
    MessageError::Malformed(String::from_utf8_lossy(&shown[..shown.len().min(80)]).into_owned())
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

/// The response to a request that cannot be parsed.
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
mod tests;
