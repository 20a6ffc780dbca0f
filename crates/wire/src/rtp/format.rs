//! Which packets on a track's channels are the track's, and how their payloads are built: what its description says of it.
//!
//! The packets of a channel need not all be the track's. RTCP may come on the channel of RTP and the other way round
//! (RFC 5761 section 4 tells them apart), and so may retransmissions, error correction or a second format, of payload types
//! that the description names or does not (RFC 3550 section 5.1: a receiver must ignore types it does not understand).

use std::ops::RangeInclusive;

use crate::codec::{CodecId, TrackId};

/// RTCP packet types: those in use and those that RFC 5761 section 4 keeps free of RTP payload types.
const RTCP_TYPES: RangeInclusive<u8> = 192..=223;

/// What a description says of a track's packets. The default says nothing: all RTP packets are
/// the track's, and H.265.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayloadFormat {
    /// Which track of the description it is.
    pub track: TrackId,
    /// What the track is coded in.
    pub codec: CodecId,
    /// The track's payload type; `None` where it is not known.
    own: Option<u8>,
    /// A bit for each other payload type that the description names.
    others: u128,
    /// Decoding order numbers stand in the payloads (RFC 7798 section 4.4).
    pub has_decoding_order_numbers: bool,
}

impl Default for PayloadFormat {
    fn default() -> PayloadFormat {
        PayloadFormat {
            track: TrackId::default(),
            codec: CodecId::H265,
            own: None,
            others: 0,
            has_decoding_order_numbers: false,
        }
    }
}

impl PayloadFormat {
    /// Of a track in this codec, whatever its payload type.
    pub fn any_type(codec: CodecId) -> PayloadFormat {
        PayloadFormat { codec, ..PayloadFormat::default() }
    }

    /// Of the payload type `own`, in a description that names `others`, too.
    pub fn new(own: u8, others: impl IntoIterator<Item = u8>) -> PayloadFormat {
        let bits = others.into_iter().filter(|&of| of < 128 && of != own).fold(0, |bits, of| bits | 1 << of);
        PayloadFormat { own: Some(own & 0x7f), others: bits, ..PayloadFormat::default() }
    }

    /// Whether a packet is RTCP, on whichever channel it came: by its type, its version and its length.
    pub fn is_rtcp(&self, packet: &[u8]) -> bool {
        let Some(&[first, second, high, low]) = packet.first_chunk() else { return false };
        let len = (usize::from(u16::from_be_bytes([high, low])) + 1) * 4;
        // A type of the track's own is the track's, marker or not.
        first >> 6 == 2 && RTCP_TYPES.contains(&second) && self.own != Some(second & 0x7f) && len <= packet.len()
    }

    /// Whether a packet has a header of RTP, and is the track's by its payload type.
    pub fn is_own_rtp(&self, packet: &[u8]) -> bool {
        match packet {
            [first, second, rest @ ..] => first >> 6 == 2 && rest.len() >= 10 && self.own == Some(second & 0x7f),
            _ => false,
        }
    }

    /// Whether a payload type is that of something else in the description.
    pub fn is_anothers(&self, payload_type: u8) -> bool {
        self.others & 1_u128.checked_shl(u32::from(payload_type)).unwrap_or(0) != 0
    }
}

/// Packets in a row of one type that nobody named, without one of the type that was taken, after which they are taken for
/// the stream: some tenths of a second of video.
const MIN_RUN: u32 = 200;

/// Chooses a track's packets among those of its channel by their payload type.
#[derive(Clone, Debug, Default)]
pub(super) struct Chosen {
    format: PayloadFormat,
    /// The type of the packets taken so far.
    taken: Option<u8>,
    /// The last type that nobody named and was not taken, and how many packets of it came since one that was.
    run: (u8, u32),
}

/// What is to be done with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// It is the track's.
    Take,
    /// It is, and what was taken before was something else.
    TakeAnew,
    /// It is not.
    PassOver,
}

impl Chosen {
    pub(super) fn new(format: PayloadFormat) -> Chosen {
        Chosen { format, ..Chosen::default() }
    }

    pub(super) fn format(&self) -> &PayloadFormat {
        &self.format
    }

    /// Decides by the payload type. The type that the description names is the track's. Where packets of a type come that it
    /// does not name at all, before any that it does, they are taken: cameras are wrong about their own type.
    pub(super) fn choose(&mut self, payload_type: u8) -> Choice {
        let Some(own) = self.format.own else { return Choice::Take };
        if self.taken == Some(payload_type) {
            self.run = (0, 0);
            return Choice::Take;
        }
        if payload_type != own {
            if self.format.is_anothers(payload_type) {
                return Choice::PassOver;
            }
            self.run = match self.run {
                (of, count) if of == payload_type => (of, count.saturating_add(1)),
                _ => (payload_type, 1),
            };
            if self.taken.is_some() && self.run.1 < MIN_RUN {
                return Choice::PassOver;
            }
        }
        self.run = (0, 0);
        match self.taken.replace(payload_type) {
            None => Choice::Take,
            Some(_) => Choice::TakeAnew,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choices(chosen: &mut Chosen, payload_types: &[u8]) -> Vec<Choice> {
        payload_types.iter().map(|&of| chosen.choose(of)).collect()
    }

    #[test]
    fn the_named_type_is_taken_and_no_other() {
        use Choice::{PassOver, Take};
        let mut chosen = Chosen::new(PayloadFormat::new(96, [97, 0]));
        assert_eq!(
            choices(&mut chosen, &[97, 96, 97, 0, 96, 127, 96]),
            [PassOver, Take, PassOver, PassOver, Take, PassOver, Take]
        );
    }

    #[test]
    fn a_type_that_nobody_named_is_taken_until_the_named_one_comes() {
        use Choice::{PassOver, Take, TakeAnew};
        let mut chosen = Chosen::new(PayloadFormat::new(96, [97]));
        assert_eq!(
            choices(&mut chosen, &[97, 98, 98, 99, 96, 98]),
            [PassOver, Take, Take, PassOver, TakeAnew, PassOver]
        );
    }

    #[test]
    fn a_stream_that_changes_its_type_is_followed_once_that_is_clear() {
        let mut chosen = Chosen::new(PayloadFormat::new(96, [97]));
        assert_eq!(chosen.choose(96), Choice::Take);
        for _ in 1..MIN_RUN {
            assert_eq!(chosen.choose(100), Choice::PassOver);
        }
        assert_eq!(choices(&mut chosen, &[100, 100]), [Choice::TakeAnew, Choice::Take]);
        assert!((0..1000).all(|_| chosen.choose(97) == Choice::PassOver), "another track's type is never taken");
    }

    #[test]
    fn where_nothing_is_known_all_is_taken() {
        assert_eq!(choices(&mut Chosen::default(), &[96, 0, 127]), [Choice::Take; 3]);
    }

    #[test]
    fn rtcp_is_told_by_type_and_length() {
        let format = PayloadFormat::new(96, []);
        for kind in [200, 201, 202, 203, 204, 205, 206, 207] {
            assert!(format.is_rtcp(&[0x81, kind, 0, 1, 0, 0, 0, 0]), "{kind}");
        }
        assert!(!format.is_rtcp(&[0x80, 200, 0, 2, 0, 0, 0, 0]), "longer than the packet");
        assert!(!format.is_rtcp(&[0x40, 200, 0, 1, 0, 0, 0, 0]), "of another version");
        assert!(!format.is_rtcp(&[0x80, 0x80 | 96, 0, 1, 0, 0, 0, 0]) && !format.is_rtcp(&[0x80, 200]));
        assert!(!PayloadFormat::new(72, []).is_rtcp(&[0x80, 200, 0, 1, 0, 0, 0, 0]), "the track's own type");
    }
}
