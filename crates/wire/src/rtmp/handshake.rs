//! The handshake (RTMP 1.0 section 5.2), in its simple form, which every server takes.
//!
//! Each end sends a version byte (C0, S0) and 1536 bytes (C1, S1), and echoes the other's 1536 bytes (C2, S2). The contents
//! carry nothing that is used: timestamps, which are ignored, and random bytes.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Version of unencrypted RTMP (section 5.2.2).
const VERSION: u8 = 3;
/// Length of each of C1, C2, S1 and S2, bytes (sections 5.2.3 and 5.2.4).
const PACKET_LEN: usize = 1536;

/// The peer's first byte is not version 3: it does not speak RTMP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotRtmp;

/// C0 and C1: the bytes that a client sends first, with pseudo-random content from `seed`.
pub fn start(seed: u64) -> Bytes {
    let mut out = BytesMut::with_capacity(1 + PACKET_LEN);
    out.put_u8(VERSION);
    out.put_bytes(0, 8);
    let mut noise = seed | 1;
    while out.len() < 1 + PACKET_LEN {
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        out.put_u64(noise);
    }
    out.freeze()
}

/// Takes S0, S1 and S2 off `input` when they are there, and returns C2.
///
/// # Errors
/// [`NotRtmp`] as soon as the first byte shows it.
pub fn respond(input: &mut BytesMut) -> Result<Option<Bytes>, NotRtmp> {
    if input.first().is_some_and(|version| *version != VERSION) {
        return Err(NotRtmp);
    }
    if input.len() < 1 + 2 * PACKET_LEN {
        return Ok(None);
    }
    input.advance(1);
    let reply = Bytes::copy_from_slice(&input[..PACKET_LEN]);
    input.advance(2 * PACKET_LEN);
    Ok(Some(reply))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn their_packet_goes_back() {
        let start = start(9);
        assert_eq!((start.len(), &start[..9]), (1537, &[3, 0, 0, 0, 0, 0, 0, 0, 0][..]));
        let mut input = BytesMut::from(&[&[3][..], &[7; PACKET_LEN], &start[1..1536]].concat()[..]);
        assert_eq!(respond(&mut input), Ok(None));
        input.extend_from_slice(b"\x00rest");
        assert_eq!(respond(&mut input), Ok(Some(Bytes::from(vec![7; PACKET_LEN]))));
        assert_eq!(input[..], b"rest"[..]);
        assert_eq!(respond(&mut BytesMut::from(&b"HTTP/1.1 400"[..])), Err(NotRtmp));
    }
}
