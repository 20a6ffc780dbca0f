//! The writer of chunks: messages are sent in pieces of a fixed size (RTMP 1.0 section 5.3).
//!
//! ```text
//! +--------------+----------------+--------------------+----------+
//! | fmt, chunk   | message header | extended timestamp | up to N  |
//! | stream (1-3) | (11, 7, 3, 0)  | (0 or 4)           | bytes    |
//! +--------------+----------------+--------------------+----------+
//! ```
//!
//! Every message is written with a full header (format 0), so that it depends on none before, and its further chunks
//! without one (format 3). The reader, [`super::dechunk`], takes all four formats.

use bytes::{BufMut, Bytes, BytesMut};

/// Payload bytes of a chunk until a Set Chunk Size message (section 5.4.1).
pub const DEFAULT_CHUNK_BYTES: usize = 128;
/// Payload bytes of the chunks that this crate's client sends: the largest size that SRS takes.
pub const OWN_CHUNK_BYTES: usize = 64 * 1024;
/// Value of the timestamp field by which an extended timestamp follows the header (section 5.3.1.3).
pub(super) const EXTENDED: u32 = 0xff_ffff;
/// Longest message, bytes: its length field has 24 bits (section 5.3.1.2.1).
pub const MAX_MESSAGE_BYTES: usize = 0xff_ffff;
/// Parts of a message shorter than this, bytes, are copied into the buffer of the headers; longer ones are sent as they are.
const COPIED_BYTES: usize = 64;

/// Chunk stream ids that the client uses; section 5.3.1.1 reserves 0 to 2.
pub(super) const CONTROL_CHUNKS: u8 = 2;
pub(super) const COMMAND_CHUNKS: u8 = 3;
pub(super) const DATA_CHUNKS: u8 = 4;
pub(super) const VIDEO_CHUNKS: u8 = 6;

/// Message type id (sections 5.4 and 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageType(pub u8);

/// Of the protocol itself (sections 5.4 and 6.2).
impl MessageType {
    /// Set Chunk Size: payload bytes of the sender's chunks from here on (section 5.4.1).
    pub const SET_CHUNK_SIZE: MessageType = MessageType(1);
    /// Abort Message: the rest of a message will not be sent (section 5.4.2).
    pub const ABORT: MessageType = MessageType(2);
    /// Acknowledgement: bytes received so far (section 5.4.3).
    pub const ACKNOWLEDGEMENT: MessageType = MessageType(3);
    /// User Control: begin and end of streams, ping (sections 6.2 and 7.1.7).
    pub const USER_CONTROL: MessageType = MessageType(4);
    /// Window Acknowledgement Size: bytes after which an acknowledgement is due (section 5.4.4).
    pub const WINDOW_SIZE: MessageType = MessageType(5);
    /// Set Peer Bandwidth: unacknowledged bytes that the peer may have sent (section 5.4.5).
    pub const PEER_BANDWIDTH: MessageType = MessageType(6);
}

/// Of commands and media (section 7.1).
impl MessageType {
    /// Audio message: an FLV audio tag's body (section 7.1.4).
    pub const AUDIO: MessageType = MessageType(8);
    /// Video message: an FLV video tag's body (section 7.1.5).
    pub const VIDEO: MessageType = MessageType(9);
    /// Command message in AMF 3 (section 7.1.1); most senders write one zero byte and AMF 0.
    pub const COMMAND_AMF3: MessageType = MessageType(17);
    /// Data message in AMF 0, such as `onMetaData` (section 7.1.2).
    pub const DATA: MessageType = MessageType(18);
    /// Command message in AMF 0, such as `connect` (section 7.1.1).
    pub const COMMAND: MessageType = MessageType(20);
}

/// A message, whole and without chunk headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Message type, which decides how the body is read.
    pub kind: MessageType,
    /// Message stream that it belongs to; 0 is the connection's own.
    pub stream: u32,
    /// Timestamp, ms from an origin that the sender chooses; wraps at 2^32 (section 5.1).
    pub timestamp: u32,
    /// Body of the message, without its header.
    pub body: Bytes,
}

/// Writes messages as chunks, at the present chunk size.
#[derive(Debug)]
pub struct ChunkWriter {
    chunk_bytes: usize,
}

impl Default for ChunkWriter {
    fn default() -> ChunkWriter {
        ChunkWriter { chunk_bytes: DEFAULT_CHUNK_BYTES }
    }
}

impl ChunkWriter {
    /// Sets the chunk size, bytes, from the next message on. A Set Chunk Size message must have been written before.
    pub fn set_chunk_bytes(&mut self, chunk_bytes: usize) {
        self.chunk_bytes = chunk_bytes.max(1);
    }

    /// Writes a message whose body is in parts and hands the bytes to `emit` in order; large parts are not copied. Returns `false`
    /// and writes nothing if the body is longer than [`MAX_MESSAGE_BYTES`].
    #[must_use]
    pub fn write(
        &self,
        chunk_stream: u8,
        kind: MessageType,
        stream: u32,
        timestamp: u32,
        parts: impl IntoIterator<Item = Bytes> + Clone,
        mut emit: impl FnMut(Bytes),
    ) -> bool {
        let len: usize = parts.clone().into_iter().map(|part| part.len()).sum();
        if len > MAX_MESSAGE_BYTES {
            return false;
        }
        let field = timestamp.min(EXTENDED);
        let mut small = BytesMut::with_capacity(16 + 5 * (len / self.chunk_bytes) + COPIED_BYTES);
        small.put_u8(chunk_stream);
        small.put_uint(u64::from(field), 3);
        small.put_uint(len as u64, 3);
        small.put_u8(kind.0);
        small.put_u32_le(stream);
        let put_extended = |small: &mut BytesMut| {
            if field == EXTENDED {
                small.put_u32(timestamp);
            }
        };
        put_extended(&mut small);
        let mut room = self.chunk_bytes;
        for mut part in parts {
            while !part.is_empty() {
                if room == 0 {
                    // No header, but the extended timestamp once more (section 5.3.1.3).
                    small.put_u8(0xc0 | chunk_stream);
                    put_extended(&mut small);
                    room = self.chunk_bytes;
                }
                let piece = part.split_to(part.len().min(room));
                room -= piece.len();
                if piece.len() < COPIED_BYTES {
                    small.put_slice(&piece);
                } else {
                    if !small.is_empty() {
                        emit(small.split().freeze());
                    }
                    emit(piece);
                }
            }
        }
        if !small.is_empty() {
            emit(small.freeze());
        }
        true
    }
}
