//! Packets on the RTSP connection itself (RFC 2326 section 10.12).
//!
//! A frame is `$`, a channel number, two bytes of length, and that many bytes of one RTP or RTCP packet. SETUP fixed
//! the channel numbers: an even one for RTP, the next for RTCP. RTSP text and frames alternate freely on the
//! connection, but neither interrupts the other; no RTSP message begins with `$`, so one byte decides.

use std::ops::Range;

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// The byte a frame begins with: `$`.
pub const MAGIC: u8 = b'$';
/// Length of a frame's header, bytes: `$`, channel, two bytes of length (RFC 2326 section 10.12).
pub const HEADER_LEN: usize = 4;

/// The header of a frame that carries `len` bytes on `channel`.
pub fn frame_header(channel: u8, len: u16) -> [u8; HEADER_LEN] {
    let [high, low] = len.to_be_bytes();
    [MAGIC, channel, high, low]
}

/// A frame of a packet of at most 65535 bytes, by copying it; what is beyond is cut off.
pub fn frame(channel: u8, packet: &[u8]) -> Bytes {
    let len = u16::try_from(packet.len()).unwrap_or(u16::MAX);
    let mut framed = BytesMut::with_capacity(HEADER_LEN + usize::from(len));
    framed.put_slice(&frame_header(channel, len));
    framed.put_slice(&packet[..usize::from(len)]);
    framed.freeze()
}

/// What stands at the front of a receive buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peek {
    /// Nothing yet, or part of a frame: read more.
    Incomplete,
    /// A frame of which all bytes are there.
    Frame {
        /// Channel of the frame, as agreed in SETUP.
        channel: u8,
        /// Bytes of the packet, which begins at [`HEADER_LEN`].
        len: u16,
    },
    /// The first byte is not `$`, so RTSP text follows.
    NotInterleaved,
}

/// Looks at the front of a receive buffer; the twin of [`frame_header`].
pub fn peek(buffer: &[u8]) -> Peek {
    match *buffer {
        [] | [MAGIC] | [MAGIC, _] | [MAGIC, _, _] => Peek::Incomplete,
        [MAGIC, channel, high, low, ref rest @ ..] => {
            let len = u16::from_be_bytes([high, low]);
            if rest.len() >= usize::from(len) { Peek::Frame { channel, len } } else { Peek::Incomplete }
        }
        _ => Peek::NotInterleaved,
    }
}

/// Takes a whole frame off the front of a receive buffer, without a copy: its channel and its packet.
///
/// `None` leaves the buffer as it is; [`peek`] says why.
pub fn take(buffer: &mut BytesMut) -> Option<(u8, Bytes)> {
    let Peek::Frame { channel, len } = peek(buffer) else {
        return None;
    };
    let mut frame = buffer.split_to(HEADER_LEN + usize::from(len));
    frame.advance(HEADER_LEN);
    Some((channel, frame.freeze()))
}

/// Bytes of the whole frames at the front of a receive buffer, up to the first thing that is none.
pub fn run_len(buffer: &[u8]) -> usize {
    frames(buffer).last().map_or(0, |(_, range)| range.end)
}

/// The whole frames at the front of a buffer: their channels, and where they stand with their headers.
pub fn frames(buffer: &[u8]) -> impl Iterator<Item = (u8, Range<usize>)> + '_ {
    let mut start = 0;
    std::iter::from_fn(move || {
        let Peek::Frame { channel, len } = peek(&buffer[start..]) else { return None };
        let range = start..start + HEADER_LEN + usize::from(len);
        start = range.end;
        Some((channel, range))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_and_text_alternate() {
        let mut buffer = BytesMut::new();
        for (channel, packet) in [(0, &b"rtp"[..]), (1, &b""[..])] {
            buffer.extend_from_slice(&frame_header(channel, packet.len() as u16));
            buffer.extend_from_slice(packet);
        }
        buffer.extend_from_slice(b"RTSP/1.0 200 OK\r\n");
        assert_eq!(peek(&buffer), Peek::Frame { channel: 0, len: 3 });
        assert_eq!(take(&mut buffer), Some((0, Bytes::from_static(b"rtp"))));
        assert_eq!(take(&mut buffer), Some((1, Bytes::new())));
        assert_eq!(peek(&buffer), Peek::NotInterleaved);
        assert_eq!(take(&mut buffer), None);
        assert_eq!(&buffer[..4], b"RTSP");
    }

    #[test]
    fn a_run_ends_with_its_last_whole_frame() {
        let frames_of = |buffer: &[u8]| frames(buffer).collect::<Vec<_>>();
        let mut buffer = vec![MAGIC, 0, 0, 2, 1, 1, MAGIC, 3, 0, 0];
        assert_eq!(frames_of(&buffer), [(0, 0..6), (3, 6..10)]);
        buffer.extend_from_slice(&[MAGIC, 0, 0, 2, 1]);
        assert_eq!(run_len(&buffer), 10, "part of a frame is none");
        assert_eq!((run_len(b"RTSP"), run_len(b"")), (0, 0));
    }

    #[test]
    fn every_part_of_a_frame_waits_for_the_rest() {
        let frame = [MAGIC, 2, 0, 3, 7, 8, 9];
        for len in 0..frame.len() {
            assert_eq!(peek(&frame[..len]), Peek::Incomplete, "{len} bytes");
        }
        assert_eq!(peek(&frame), Peek::Frame { channel: 2, len: 3 });
    }
}
