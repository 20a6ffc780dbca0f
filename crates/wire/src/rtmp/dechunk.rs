//! The reader of chunks: messages are put together again (RTMP 1.0 section 5.3). The counterpart of [`super::chunk`].
//!
//! Chunks of several chunk streams may interleave, and a header may leave out the fields that repeat those of the one before.
//! Memory is bounded by [`MAX_CHUNK_STREAMS`] and [`MAX_PENDING_BYTES`], whatever lengths the headers announce.

use bytes::{Buf, BytesMut};
use thiserror::Error;

use super::chunk::{DEFAULT_CHUNK_BYTES, EXTENDED, Message, MessageType};

/// Most chunk streams that a peer may use; servers use about five.
pub const MAX_CHUNK_STREAMS: usize = 64;
/// Most bytes of unfinished messages over all chunk streams: room for a very large keyframe.
pub const MAX_PENDING_BYTES: usize = 16 * 1024 * 1024;
/// Length of the longest header, bytes: basic, message and extended timestamp.
const MAX_HEADER_LEN: usize = 3 + 11 + 4;

/// Why the chunk framing of a connection is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ChunkError {
    /// A header without all fields, on a chunk stream that has had no full one.
    #[error("a chunk of stream {0} goes on where nothing began")]
    NoPrevious(u32),
    /// A message begins within another of the same chunk stream.
    #[error("a message begins within another on chunk stream {0}")]
    Within(u32),
    /// More than [`MAX_CHUNK_STREAMS`] chunk streams are in use.
    #[error("more than {MAX_CHUNK_STREAMS} chunk streams")]
    TooManyStreams,
    /// Unfinished messages hold more than [`MAX_PENDING_BYTES`].
    #[error("messages of more than {MAX_PENDING_BYTES} bytes")]
    TooLarge,
    /// A chunk size of zero, or beyond 31 bits (section 5.4.1).
    #[error("a chunk size of {0} bytes")]
    ChunkSize(u32),
}

/// Reads chunks and returns whole messages, at the peer's chunk size.
#[derive(Debug)]
pub struct ChunkReader {
    chunk_bytes: usize,
    streams: Vec<ChunkStream>,
    pending_bytes: usize,
}

#[derive(Debug)]
struct ChunkStream {
    id: u32,
    kind: MessageType,
    stream: u32,
    len: usize,
    timestamp: u32,
    /// Timestamp difference, ms, that applies to a message without a header of its own.
    delta: u32,
    is_extended: bool,
    payload: BytesMut,
    /// A message has begun and is not whole.
    has_begun: bool,
}

impl Default for ChunkReader {
    fn default() -> ChunkReader {
        ChunkReader { chunk_bytes: DEFAULT_CHUNK_BYTES, streams: Vec::new(), pending_bytes: 0 }
    }
}

impl ChunkReader {
    /// Sets the payload size, bytes, of the peer's chunks from the next one on (section 5.4.1).
    ///
    /// # Errors
    /// [`ChunkError::ChunkSize`].
    pub fn set_chunk_bytes(&mut self, chunk_bytes: u32) -> Result<(), ChunkError> {
        match chunk_bytes {
            1..=0x7fff_ffff => self.chunk_bytes = chunk_bytes as usize,
            _ => return Err(ChunkError::ChunkSize(chunk_bytes)),
        }
        Ok(())
    }

    /// Drops the unfinished message of this chunk stream, if there is one (section 5.4.2).
    pub fn abort(&mut self, chunk_stream: u32) {
        if let Some(stream) = self.streams.iter_mut().find(|stream| stream.id == chunk_stream) {
            self.pending_bytes -= stream.payload.len();
            stream.payload.clear();
            stream.has_begun = false;
        }
    }

    /// Takes chunks off `input` until a message is whole; `None` when more bytes are needed.
    ///
    /// # Errors
    /// [`ChunkError`]: the framing is lost, the connection useless.
    pub fn read(&mut self, input: &mut BytesMut) -> Result<Option<Message>, ChunkError> {
        loop {
            match self.read_chunk(input)? {
                Chunk::Missing => return Ok(None),
                Chunk::Read => {}
                Chunk::Finished(message) => return Ok(Some(message)),
            }
        }
    }

    fn read_chunk(&mut self, input: &mut BytesMut) -> Result<Chunk, ChunkError> {
        let mut header = Header { bytes: &input[..input.len().min(MAX_HEADER_LEN)], at: 0 };
        let Some((format, id)) = header.basic() else { return Ok(Chunk::Missing) };
        let index = match self.streams.iter().position(|stream| stream.id == id) {
            Some(index) => index,
            None if format != 0 => return Err(ChunkError::NoPrevious(id)),
            None if self.streams.len() == MAX_CHUNK_STREAMS => return Err(ChunkError::TooManyStreams),
            None => {
                self.streams.push(ChunkStream::new(id));
                self.streams.len() - 1
            }
        };
        let Some(known) = self.streams.get_mut(index) else { return Ok(Chunk::Missing) };
        let Some(fields) = header.message(format, known) else { return Ok(Chunk::Missing) };
        if known.has_begun && format != 3 {
            return Err(ChunkError::Within(id));
        }
        let begun = known.payload.len();
        let take = (fields.len - begun).min(self.chunk_bytes);
        if self.pending_bytes + take > MAX_PENDING_BYTES {
            return Err(ChunkError::TooLarge);
        }
        if input.len() < header.at + take {
            return Ok(Chunk::Missing);
        }
        let header_len = header.at;
        known.begin(format, &fields);
        input.advance(header_len);
        let is_whole = begun + take == known.len;
        if is_whole && begun == 0 {
            // One chunk: a slice of what was read.
            known.has_begun = false;
            return Ok(Chunk::Finished(known.message(input.split_to(take))));
        }
        known.payload.extend_from_slice(&input[..take]);
        input.advance(take);
        self.pending_bytes += take;
        if !is_whole {
            return Ok(Chunk::Read);
        }
        self.pending_bytes -= known.len;
        known.has_begun = false;
        let payload = std::mem::take(&mut known.payload);
        Ok(Chunk::Finished(known.message(payload)))
    }
}

enum Chunk {
    Missing,
    Read,
    Finished(Message),
}

impl ChunkStream {
    fn new(id: u32) -> ChunkStream {
        ChunkStream {
            id,
            kind: MessageType(0),
            stream: 0,
            len: 0,
            timestamp: 0,
            delta: 0,
            is_extended: false,
            payload: BytesMut::new(),
            has_begun: false,
        }
    }

    /// Takes over what a chunk's header says.
    fn begin(&mut self, format: u8, fields: &Fields) {
        (self.kind, self.stream, self.len) = (fields.kind, fields.stream, fields.len);
        if !self.has_begun {
            self.delta = fields.time;
            // Without a header, the time is as much later as it was the last time, and behind a whole header as that
            // header's time (section 5.3.1.2.4).
            self.timestamp = if format == 0 { fields.time } else { self.timestamp.wrapping_add(fields.time) };
            self.is_extended = fields.is_extended;
        }
        self.has_begun = true;
    }

    fn message(&self, body: BytesMut) -> Message {
        Message { kind: self.kind, stream: self.stream, timestamp: self.timestamp, body: body.freeze() }
    }
}

/// A chunk's header with what it left out filled in.
struct Fields {
    kind: MessageType,
    stream: u32,
    len: usize,
    /// Absolute in format 0, else a distance.
    time: u32,
    is_extended: bool,
}

struct Header<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Header<'_> {
    /// An unsigned number of `len` bytes; `None` where the bytes end before.
    fn unsigned(&mut self, len: usize) -> Option<u32> {
        let bytes = self.bytes.get(self.at..self.at + len)?;
        self.at += len;
        Some(bytes.iter().fold(0, |value, byte| value << 8 | u32::from(*byte)))
    }

    /// Format and chunk stream (section 5.3.1.1).
    fn basic(&mut self) -> Option<(u8, u32)> {
        let first = self.unsigned(1)?;
        let id = match first & 0x3f {
            0 => self.unsigned(1)? + 64,
            1 => (self.unsigned(2)? as u16).swap_bytes() as u32 + 64,
            id => id,
        };
        Some(((first >> 6) as u8, id))
    }

    /// The rest (section 5.3.1.2).
    fn message(&mut self, format: u8, known: &ChunkStream) -> Option<Fields> {
        let mut fields = Fields {
            kind: known.kind,
            stream: known.stream,
            len: known.len,
            time: known.delta,
            is_extended: known.is_extended,
        };
        if format < 3 {
            fields.time = self.unsigned(3)?;
            fields.is_extended = fields.time == EXTENDED;
        }
        if format < 2 {
            fields.len = self.unsigned(3)? as usize;
            fields.kind = MessageType(self.unsigned(1)? as u8);
        }
        if format == 0 {
            fields.stream = self.unsigned(4)?.swap_bytes();
        }
        if fields.is_extended {
            fields.time = self.unsigned(4)?;
        }
        Some(fields)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::super::chunk::ChunkWriter;
    use super::*;

    fn written(writer: &ChunkWriter, chunk_stream: u8, message: &Message) -> Vec<u8> {
        let mut out = Vec::new();
        let parts = [message.body.slice(..message.body.len() / 3), message.body.slice(message.body.len() / 3..)];
        let emit = |bytes: Bytes| out.extend_from_slice(&bytes);
        assert!(writer.write(chunk_stream, message.kind, message.stream, message.timestamp, parts, emit));
        out
    }

    fn message(timestamp: u32, len: usize) -> Message {
        let body = (0..len).map(|n| n as u8).collect::<Vec<u8>>().into();
        Message { kind: MessageType::VIDEO, stream: 1, timestamp, body }
    }

    #[test]
    fn a_long_time_stands_behind_every_header() {
        let bytes = written(&ChunkWriter::default(), 6, &message(0x0100_0000, 200));
        assert_eq!(bytes[..16], [6, 0xff, 0xff, 0xff, 0, 0, 200, 9, 1, 0, 0, 0, 1, 0, 0, 0]);
        assert_eq!(bytes[16 + 128..][..5], [0xc6, 1, 0, 0, 0]);
        assert_eq!(bytes.len(), 16 + 5 + 200);
    }

    #[test]
    fn headers_that_leave_things_out() {
        let mut input = BytesMut::new();
        input.extend_from_slice(b"\x05\0\0\x0a\0\0\x02\x08\x01\0\0\0ab");
        input.extend_from_slice(b"\x45\0\0\x05\0\0\x03\x09abc");
        input.extend_from_slice(b"\x85\0\0\x07def");
        input.extend_from_slice(b"\xc5ghi");
        input.extend_from_slice(b"\x00\x02\0\0\x01\0\0\0\x14\0\0\0\0"); // stream 66, empty
        input.extend_from_slice(b"\x01\x02\x01\0\0\x01\0\0\x01\x14\0\0\0\0x"); // stream 322
        let mut reader = ChunkReader::default();
        let mut found = Vec::new();
        while let Some(message) = reader.read(&mut input).unwrap() {
            found.push((message.kind.0, message.stream, message.timestamp, message.body.to_vec()));
        }
        let video = |time, body: &[u8]| (9, 1, time, body.to_vec());
        let rest =
            [video(15, b"abc"), video(22, b"def"), video(29, b"ghi"), (20, 0, 1, vec![]), (20, 0, 1, b"x".to_vec())];
        assert_eq!(found, [&[(8, 1, 10, b"ab".to_vec())][..], &rest].concat());
        assert_eq!(reader.streams.iter().map(|stream| stream.id).collect::<Vec<_>>(), [5, 66, 322]);
    }

    #[test]
    fn messages_interleave_and_may_be_given_up() {
        let writer = ChunkWriter::default();
        let (a, b) = (written(&writer, 6, &message(1, 300)), written(&writer, 3, &message(2, 200)));
        let mut reader = ChunkReader::default();
        let mut input = BytesMut::new();
        for bytes in [&a[..140], &b[..140], &a[140..140 + 129]] {
            input.extend_from_slice(bytes);
            assert_eq!(reader.read(&mut input), Ok(None));
        }
        input.extend_from_slice(&b[140..]);
        assert_eq!(reader.read(&mut input), Ok(Some(message(2, 200))));
        reader.abort(6);
        assert_eq!(reader.pending_bytes, 0);
        input.extend_from_slice(&a);
        assert_eq!(reader.read(&mut input), Ok(Some(message(1, 300))));
    }

    #[test]
    fn what_makes_no_sense_is_an_error() {
        let read = |bytes: &[u8]| ChunkReader::default().read(&mut BytesMut::from(bytes));
        assert_eq!(read(b"\xc7"), Err(ChunkError::NoPrevious(7)));
        let whole = written(&ChunkWriter::default(), 6, &message(1, 200));
        assert_eq!(read(&[&whole[..140], &whole[..140]].concat()), Err(ChunkError::Within(6)));
        let crowd: Vec<u8> = (0..65).flat_map(|id| [0, id, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0]).collect();
        let mut reader = ChunkReader::default();
        let mut input = BytesMut::from(&crowd[..]);
        for _ in 0..64 {
            assert!(reader.read(&mut input).unwrap().is_some());
        }
        assert_eq!(reader.read(&mut input), Err(ChunkError::TooManyStreams));
        assert_eq!(reader.set_chunk_bytes(0), Err(ChunkError::ChunkSize(0)));
        assert_eq!(reader.set_chunk_bytes(1 << 31), Err(ChunkError::ChunkSize(1 << 31)));
    }

    proptest! {
        #[test]
        fn messages_survive_any_cut(
            sizes in prop::collection::vec((any::<u32>(), 0usize..700), 1..6), chunk in 1usize..300, step in 1usize..97,
        ) {
            let mut writer = ChunkWriter::default();
            writer.set_chunk_bytes(chunk);
            let messages: Vec<Message> = sizes.into_iter().map(|(timestamp, len)| message(timestamp, len)).collect();
            let bytes: Vec<u8> = messages.iter().flat_map(|message| written(&writer, 6, message)).collect();
            let mut reader = ChunkReader::default();
            reader.set_chunk_bytes(chunk as u32).unwrap();
            let (mut input, mut found) = (BytesMut::new(), Vec::new());
            for bytes in bytes.chunks(step) {
                input.extend_from_slice(bytes);
                while let Some(message) = reader.read(&mut input).unwrap() {
                    found.push(message);
                }
            }
            prop_assert_eq!(found, messages);
            prop_assert_eq!(reader.pending_bytes, 0);
        }

        #[test]
        fn reading_anything_never_panics(bytes in prop::collection::vec(prop_oneof![0u8..8, any::<u8>()], 0..300)) {
            let (mut reader, mut input) = (ChunkReader::default(), BytesMut::from(&bytes[..]));
            while let Ok(Some(message)) = reader.read(&mut input) {
                prop_assert!(message.body.len() <= bytes.len());
            }
        }
    }
}
