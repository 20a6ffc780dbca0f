//! The two SEI messages that a sender can put beside each picture, so that a receiver can tell its age: what of them is the same
//! in all codecs. [`CodecId::capture_sei`](crate::CodecId::capture_sei) makes a NAL unit of them. Beside them a third: how
//! pictures are to be turned.
//!
//! Both are `user_data_unregistered` messages (H.264 clause D.1.7, H.265 clause D.2.7: payload type 5, a 16-byte UUID, then
//! free bytes) in one SEI NAL unit before the picture's first slice. Relays that do not transcode pass them through.
//!
//! **Capture time**, in the layout of MISB ST 0604 ("precision time stamp"), 28 bytes:
//!
//! ```text
//! UUID, see below                        16 bytes
//! status                                  1 byte
//! µs since 1970, big endian, as  tt tt FF tt tt FF tt tt FF tt tt   11 bytes
//! ```
//!
//! The FF bytes guard against start codes. Other tools read and write this one too. ST 0604 gives each codec a UUID of its
//! own: A8687DD4-D759-3758-A5CE-F0338B6545F1 is H.265's, the letters `MISPmicrosectime` are H.264's.
//!
//! **Stages**, an extension of this crate, 41 bytes: where the time went before the picture left the sender.
//!
//! ```text
//! B0DE5EBC-FDED-4A94-966D-D9943052341E   16 bytes
//! version = 1                             1 byte
//! capture wait, µs                        4 bytes, big endian, as are the rest
//! encode, µs                              4 bytes
//! send queue of the previous picture, µs  4 bytes
//! bound of the clock's error, µs          4 bytes, FFFFFFFF: not compared with the server's clock
//! identity of the server's clock          8 bytes, 0: unknown; the first senders end before it
//! flags                                   1 byte, only where one is set; bit 0: stamped by a relay
//! ```
//!
//! Readers take longer payloads of version 1 and ignore the excess, so that fields can be added at the end.

use std::time::Duration;

use bytes::Bytes;

use crate::syntax::rbsp::add_emulation_prevention;
use crate::time::{ClockId, UtcMicros};

/// payloadType of `user_data_unregistered` (H.264 clause D.1.1, H.265 clause D.2.1).
const USER_DATA_UNREGISTERED: u32 = 5;
/// payloadType of `display_orientation` (the same clauses).
const DISPLAY_ORIENTATION: u8 = 47;
/// rbsp_trailing_bits behind whole bytes (H.264 and H.265 clause 7.3.2.11).
const RBSP_TRAILING_BITS: u8 = 0x80;
/// The 16 bytes that a `user_data_unregistered` message begins with.
pub(crate) type Uuid = [u8; 16];
/// UUID of the MISB ST 0604 precision time stamp in H.264.
pub(crate) const CAPTURE_UUID_H264: Uuid = *b"MISPmicrosectime";
/// UUID of the MISB ST 0604 precision time stamp in H.265.
pub(crate) const CAPTURE_UUID_H265: Uuid = 0xA8687DD4_D759_3758_A5CE_F0338B6545F1_u128.to_be_bytes();
/// UUID of the stages message, drawn at random (RFC 9562 version 4).
const STAGES_UUID: Uuid = 0xB0DE5EBC_FDED_4A94_966D_D9943052341E_u128.to_be_bytes();
pub(crate) const CAPTURE_LEN: usize = 16 + 1 + 11;
pub(crate) const STAGES_LEN: usize = 16 + 1 + 4 * 4 + 8;
/// Bytes of the flags behind the stages.
const FLAGS_LEN: usize = 1;
/// The flag that a relay has stamped the picture.
const RELAYED: u8 = 1;
const STAGES_VERSION: u8 = 1;
/// The clock bound that means: never compared.
pub(crate) const UNCOMPARED: u32 = u32::MAX;

/// When a picture was captured (MISB ST 0604).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaptureStamp {
    /// The capture time, in the timescale the status and the stages' clock bound describe.
    pub captured: UtcMicros,
    /// MISB time status: bit 7 set = clock not locked to a reference, bit 6 = discontinuity since the last stamp, bit
    /// 5 = it jumped backwards, bits 4 to 0 reserved as ones.
    pub status: u8,
}

impl CaptureStamp {
    /// Status of a clock that is locked to its reference and ran on steadily.
    pub const LOCKED: u8 = 0x1f;
    /// Status of a clock that nobody compared with a reference.
    pub const UNLOCKED: u8 = 0x9f;
}

/// Where a picture spent its time inside the sender. On the wire in whole µs, saturating at 2^32 - 1 (71 minutes).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendStages {
    /// From capture until the encoder took the picture.
    pub capture_wait: Duration,
    /// From there until the encoder gave it back coded.
    pub encode: Duration,
    /// How long the previous picture waited to be written to the socket: this one's own wait is not yet known when it
    /// is stamped.
    pub previous_send_queue: Duration,
    /// The most by which the capture stamp may differ from the server's clock; `None` when the two were not compared
    /// and the stamp is the sender's system clock.
    pub clock_bound: Option<Duration>,
    /// Which server's clock that is; `None` where it is not known.
    pub clock: Option<ClockId>,
    /// The capture time is when a relay received the picture of a camera that does not tell: what was before is not in it.
    pub relayed: bool,
}

/// How a picture is to be turned before it is shown (H.264 clause D.2.27, H.265 clause D.3.17): first the flips, then the
/// rotation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DisplayOrientation {
    /// hor_flip: left and right are exchanged.
    pub horizontal_flip: bool,
    /// ver_flip: top and bottom are exchanged.
    pub vertical_flip: bool,
    /// anticlockwise_rotation, in parts of a turn of 1/65536: 16384 is a quarter.
    pub anticlockwise_rotation: u16,
}

/// An SEI NAL unit of a header and a payload, to which emulation prevention is added.
pub(crate) fn nal_unit(header: &[u8], rbsp: &[u8]) -> Bytes {
    let mut nal = Vec::with_capacity(header.len() + rbsp.len() + rbsp.len() / 2);
    nal.extend_from_slice(header);
    add_emulation_prevention(rbsp, &mut nal);
    Bytes::from(nal)
}

/// The payload of an SEI NAL unit with a display orientation message. `persists` is its last five bits, by which it holds until
/// further notice; they differ by codec.
pub(crate) fn orientation_rbsp(orientation: DisplayOrientation, persists: u8) -> [u8; 6] {
    let DisplayOrientation { horizontal_flip, vertical_flip, anticlockwise_rotation } = orientation;
    // display_orientation_cancel_flag 0, hor_flip, ver_flip, then 16 bits of the rotation.
    let flips = u32::from(horizontal_flip) << 22 | u32::from(vertical_flip) << 21;
    let [_, a, b, c] = (flips | u32::from(anticlockwise_rotation) << 5 | u32::from(persists)).to_be_bytes();
    [DISPLAY_ORIENTATION, 3, a, b, c, RBSP_TRAILING_BITS]
}

/// The payload of an SEI NAL unit that carries a picture's capture time under this UUID and, if given, its stages: without a
/// header and without emulation prevention.
pub(crate) fn capture_rbsp(uuid: &Uuid, stamp: &CaptureStamp, stages: Option<&SendStages>) -> Vec<u8> {
    let mut rbsp = Vec::with_capacity(2 + CAPTURE_LEN + 2 + STAGES_LEN + FLAGS_LEN + 1);
    rbsp.extend([USER_DATA_UNREGISTERED as u8, CAPTURE_LEN as u8]);
    write_capture(uuid, stamp, &mut rbsp);
    if let Some(stages) = stages {
        let flags_len = if stages.relayed { FLAGS_LEN } else { 0 };
        rbsp.extend([USER_DATA_UNREGISTERED as u8, (STAGES_LEN + flags_len) as u8]);
        write_stages(stages, &mut rbsp);
    }
    rbsp.push(RBSP_TRAILING_BITS);
    rbsp
}

/// Finds the capture time under one of these UUIDs, and the stages if they are there, in the payload of an SEI NAL unit
/// without emulation prevention; the twin of [`capture_rbsp`].
///
/// Walks all messages of the unit (H.264 clause 7.3.2.3, H.265 clause 7.3.5) and passes over those of others. `None` where
/// there is no capture time, or the unit breaks off before its end.
pub(crate) fn find_capture(
    mut rbsp: impl Iterator<Item = u8>,
    uuids: &[Uuid],
) -> Option<(CaptureStamp, Option<SendStages>)> {
    let (mut stamp, mut stages) = (None, None);
    // The trailing bits read as a message type without a size, which ends the walk as a truncation would.
    while let Some((payload_type, payload_size)) = message_header(&mut rbsp) {
        let mut head = [0; STAGES_LEN + FLAGS_LEN];
        let keep = if payload_type == USER_DATA_UNREGISTERED { payload_size.min(head.len()) } else { 0 };
        for slot in head.iter_mut().take(keep) {
            let Some(byte) = rbsp.next() else {
                return stamp.map(|stamp| (stamp, stages));
            };
            *slot = byte;
        }
        let excess = payload_size - keep;
        if excess > 0 && rbsp.nth(excess - 1).is_none() {
            break;
        }
        let payload = head.get(..keep)?;
        stamp = stamp.or_else(|| uuids.iter().find_map(|uuid| read_capture(uuid, payload)));
        stages = stages.or_else(|| read_stages(payload));
    }
    stamp.map(|stamp| (stamp, stages))
}

/// Reads payloadType and payloadSize: each a run of FF bytes and a last byte, added up (H.264
/// clause 7.3.2.3.1, H.265 clause 7.3.5).
pub(crate) fn message_header(rbsp: &mut impl Iterator<Item = u8>) -> Option<(u32, usize)> {
    let mut coded = || {
        let mut value: u32 = 0;
        loop {
            let byte = rbsp.next()?;
            value = value.saturating_add(u32::from(byte));
            if byte != 0xff {
                return Some(value);
            }
        }
    };
    let payload_type = coded()?;
    Some((payload_type, usize::try_from(coded()?).ok()?))
}

pub(crate) fn write_capture(uuid: &Uuid, stamp: &CaptureStamp, out: &mut Vec<u8>) {
    let [a, b, c, d, e, f, g, h] = stamp.captured.0.to_be_bytes();
    out.extend(uuid);
    out.extend([stamp.status, a, b, 0xff, c, d, 0xff, e, f, 0xff, g, h]);
}

fn read_capture(uuid: &Uuid, payload: &[u8]) -> Option<CaptureStamp> {
    let rest = payload.strip_prefix(uuid)?;
    let &[status, a, b, 0xff, c, d, 0xff, e, f, 0xff, g, h, ..] = rest else {
        return None;
    };
    Some(CaptureStamp { captured: UtcMicros(i64::from_be_bytes([a, b, c, d, e, f, g, h])), status })
}

pub(crate) fn write_stages(stages: &SendStages, out: &mut Vec<u8>) {
    let micros = |duration: Duration| u32::try_from(duration.as_micros()).unwrap_or(u32::MAX);
    let clock_bound = stages.clock_bound.map_or(UNCOMPARED, |bound| micros(bound).min(UNCOMPARED - 1));
    out.extend(STAGES_UUID);
    out.push(STAGES_VERSION);
    for value in [micros(stages.capture_wait), micros(stages.encode), micros(stages.previous_send_queue), clock_bound] {
        out.extend(value.to_be_bytes());
    }
    out.extend(stages.clock.map_or(0, |clock| clock.0.get()).to_be_bytes());
    if stages.relayed {
        out.push(RELAYED);
    }
}

fn read_stages(payload: &[u8]) -> Option<SendStages> {
    let (&STAGES_VERSION, rest) = payload.strip_prefix(&STAGES_UUID)?.split_first()? else {
        return None;
    };
    let (values, rest) = rest.split_at_checked(4 * 4)?;
    let &[capture_wait, encode, previous_send_queue, clock_bound] = values.as_chunks::<4>().0 else {
        return None;
    };
    let clock = rest.first_chunk().map(|id| u64::from_be_bytes(*id)).and_then(ClockId::new);
    let duration = |value: [u8; 4]| Duration::from_micros(u32::from_be_bytes(value).into());
    let clock_bound = (clock_bound != UNCOMPARED.to_be_bytes()).then(|| duration(clock_bound));
    Some(SendStages {
        capture_wait: duration(capture_wait),
        encode: duration(encode),
        previous_send_queue: duration(previous_send_queue),
        clock_bound,
        clock,
        relayed: rest.get(8).is_some_and(|flags| flags & RELAYED != 0),
    })
}

#[cfg(test)]
#[path = "sei_tests.rs"]
mod tests;
