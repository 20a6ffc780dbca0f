//! Parameter sets as packets, for readers that have not got them.
//!
//! Some publishers (FFmpeg) name their parameter sets in the description only. A reader that stays while another
//! publisher follows has the first publisher's; so the next publisher's first keyframe is preceded by packets that
//! carry its own (RFC 7798 section 7.1 lets what the description says be said in band as well).

use bytes::{BufMut, Bytes, BytesMut};
use hevcast_wire::ParameterSets;
use hevcast_wire::rtp::{ReceivedPacket, RtpHeader, interleave};

/// Parameter sets that are to be sent before a keyframe, once.
#[derive(Debug, Default)]
pub(super) struct ParameterSetInjector {
    nals: Vec<Bytes>,
}

impl ParameterSetInjector {
    /// For these parameter sets; empty where they are incomplete.
    pub(super) fn new(sets: &ParameterSets) -> ParameterSetInjector {
        let nals = if sets.is_complete() { sets.nals().cloned().collect() } else { Vec::new() };
        ParameterSetInjector { nals }
    }

    /// Number of packets, and with it of sequence numbers, that they take.
    pub(super) fn len(&self) -> u16 {
        self.nals.len() as u16
    }

    /// Whether there is nothing to send, or it has been sent.
    pub(super) fn is_empty(&self) -> bool {
        self.nals.is_empty()
    }

    /// The packets in their frames, with the time stamp and the sequence numbers right before those of `before`, the
    /// frame that they precede. The injector is empty afterwards.
    pub(super) fn take(&mut self, before: &[u8]) -> Option<Bytes> {
        let packet = before.get(interleave::HEADER_LEN..)?;
        let channel = *before.get(1)?;
        let header = ReceivedPacket::parse(Bytes::copy_from_slice(packet)).ok()?.header;
        let nals = std::mem::take(&mut self.nals);
        let mut frames = BytesMut::new();
        for (at, nal) in nals.iter().enumerate() {
            let back = (nals.len() - at) as u16;
            frames.put_slice(&interleave::frame_header(channel, (RtpHeader::LEN + nal.len()) as u16));
            // Version 2, no marker: the picture follows (RFC 3550 section 5.1).
            frames.put_slice(&[0x80, header.payload_type & 0x7f]);
            frames.put_u16(header.sequence_number.wrapping_sub(back));
            frames.put_u32(header.timestamp.0);
            frames.put_u32(header.ssrc);
            frames.put_slice(nal);
        }
        (!frames.is_empty()).then(|| frames.freeze())
    }
}
