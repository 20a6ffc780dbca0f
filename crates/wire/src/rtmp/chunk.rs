//! Messages cut into chunks, as they travel (RTMP 1.0 section 5.3).
//!
//! ```text
//! +--------------+----------------+--------------------+----------+
//! | fmt, chunk   | message header | extended timestamp | up to N  |
//! | stream (1-3) | (11, 7, 3, 0)  | (0 or 4)           | bytes    |
//! +--------------+----------------+--------------------+----------+
//! ```
//!
//! Written here: every message begins with a whole header, so that none depends on one before, and goes on with chunks
//! that have none. Read in [`super::dechunk`]: everything that others write.

use bytes::{BufMut, Bytes, BytesMut};

/// Bytes of a message that a chunk holds until Set Chunk Size changes that (section 5.4.1).
pub const DEFAULT_CHUNK_BYTES: usize = 128;
/// Our chunk size, bytes, and the largest that SRS takes: a header every 64 KiB costs nothing.
pub const OWN_CHUNK_BYTES: usize = 64 * 1024;
/// A timestamp field of this value: the time stands behind the header (section 5.3.1.3).
pub(super) const EXTENDED: u32 = 0xff_ffff;
/// The longest message there can be.
pub const MAX_MESSAGE_BYTES: usize = 0xff_ffff;
/// Parts of a message shorter than this are copied among the headers.
const COPIED_BYTES: usize = 64;

/// Chunk streams that we use (section 5.3.1.1 reserves 0 to 2).
pub(super) const CONTROL_CHUNKS: u8 = 2;
pub(super) const COMMAND_CHUNKS: u8 = 3;
pub(super) const DATA_CHUNKS: u8 = 4;
pub(super) const VIDEO_CHUNKS: u8 = 6;

/// What a message is (sections 5.4 and 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageType(pub u8);

impl MessageType {
    /// The sender's chunks hold so many bytes.
    pub const SET_CHUNK_SIZE: MessageType = MessageType(1);
    /// The rest of a message will not come.
    pub const ABORT: MessageType = MessageType(2);
    /// So much has arrived.
    pub const ACKNOWLEDGEMENT: MessageType = MessageType(3);
    /// Begin, end, ping.
    pub const USER_CONTROL: MessageType = MessageType(4);
    /// Window Acknowledgement Size (section 5.4.4).
    pub const WINDOW_SIZE: MessageType = MessageType(5);
    /// How much may be on its way.
    pub const PEER_BANDWIDTH: MessageType = MessageType(6);
    /// Sound.
    pub const AUDIO: MessageType = MessageType(8);
    /// Pictures.
    pub const VIDEO: MessageType = MessageType(9);
    /// A command whose values are in AMF 3, though most senders write AMF 0 behind one byte.
    pub const COMMAND_AMF3: MessageType = MessageType(17);
    /// What a stream is like.
    pub const DATA: MessageType = MessageType(18);
    /// A command.
    pub const COMMAND: MessageType = MessageType(20);
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What it is.
    pub kind: MessageType,
    /// Message stream that it belongs to; 0 is the connection's own.
    pub stream: u32,
    /// When it is for, ms; wraps at 2^32.
    pub timestamp: u32,
    /// Its content.
    pub body: Bytes,
}

/// Cuts messages into chunks.
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
    /// Sets the chunk size from the next message on; the peer must have got Set Chunk Size before.
    pub fn set_chunk_bytes(&mut self, chunk_bytes: usize) {
        self.chunk_bytes = chunk_bytes.max(1);
    }

    /// Writes a message whose content stands in parts; large ones are not copied. One that is too long for RTMP is not
    /// written, and that is told by `false`.
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
