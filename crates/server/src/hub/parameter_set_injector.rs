//! Sends parameter sets in band, as packets, to readers that do not have them.
//!
//! Some publishers (FFmpeg) give their parameter sets in the description only. A reader that stays while another
//! publisher follows knows the first publisher's description. So the next publisher's first keyframe is preceded by
//! packets with its parameter sets (RFC 7798 section 7.1 allows them in band as well as in the description).

use bytes::{BufMut, Bytes, BytesMut};
use hevcast_wire::ParameterSets;
use hevcast_wire::rtp::{ReceivedPacket, RtpHeader, interleave};

/// Parameter sets that are sent once, before the next keyframe.
#[derive(Debug, Default)]
pub(super) struct ParameterSetInjector {
    nals: Vec<Bytes>,
}

impl ParameterSetInjector {
    /// An injector of these parameter sets; empty where they are incomplete.
    pub(super) fn new(sets: &ParameterSets) -> ParameterSetInjector {
        let nals = if sets.is_complete() { sets.nals().cloned().collect() } else { Vec::new() };
        ParameterSetInjector { nals }
    }

    /// How many packets, and so how many sequence numbers, the parameter sets take.
    pub(super) fn len(&self) -> u16 {
        self.nals.len() as u16
    }

    /// Whether there is nothing to send, or everything was sent.
    pub(super) fn is_empty(&self) -> bool {
        self.nals.is_empty()
    }

    /// The parameter sets as interleaved frames that precede `before`, the first frame of a keyframe: with its time
    /// stamp, and the sequence numbers right before its own. The injector is empty afterwards. `None` where there is
    /// nothing to send, or `before` is not RTP.
    pub(super) fn take(&mut self, before: &[u8]) -> Option<Bytes> {
        let packet = before.get(interleave::HEADER_LEN..)?;
        let channel = *before.get(1)?;
        let header = ReceivedPacket::parse(Bytes::copy_from_slice(packet)).ok()?.header;
        let nals = std::mem::take(&mut self.nals);
        let mut frames = BytesMut::new();
        for (at, nal) in nals.iter().enumerate() {
            let back = (nals.len() - at) as u16;
            frames.put_slice(&interleave::frame_header(channel, (RtpHeader::LEN + nal.len()) as u16));
            // Version 2 and no marker, since the picture follows (RFC 3550 section 5.1).
            frames.put_slice(&[0x80, header.payload_type & 0x7f]);
            frames.put_u16(header.sequence_number.wrapping_sub(back));
            frames.put_u32(header.timestamp.0);
            frames.put_u32(header.ssrc);
            frames.put_slice(nal);
        }
        (!frames.is_empty()).then(|| frames.freeze())
    }
}
