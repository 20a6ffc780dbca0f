//! The request to send less for a while, and its twin, the answer: TMMBR and TMMBN (RFC 5104 sections 4.2.1 and 4.2.2).
//!
//! Both are transport feedback that carries tuples of a source, a bitrate as `mantissa * 2^exponent`, and the bytes that
//! each packet costs beyond RTP. A request stands until the next; the answer names whose request is the one in force.

use bytes::Bytes;

/// RTCP packet type of transport feedback (RFC 4585 section 6.1).
pub(super) const TRANSPORT_FEEDBACK: u8 = 205;
/// Feedback message type of the request.
pub(super) const TMMBR: u8 = 3;
/// Feedback message type of the answer.
const TMMBN: u8 = 4;
/// Bytes of header, sender and media source before the tuples.
const TUPLES_AT: usize = 12;
const TUPLE_LEN: usize = 8;
/// Width of the mantissa.
const MANTISSA_BITS: u32 = 17;
/// What a packet costs beyond RTP on an interleaved channel, by what is counted here: its four bytes of framing.
const OVERHEAD_BYTES: u16 = 4;
/// A bitrate, bits/s, that stands for no limit.
pub const UNLIMITED_BPS: u64 = 1 << 40;

/// One tuple.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limit {
    /// In a request: the source that should send less. In an answer: whose request it is.
    pub(super) ssrc: u32,
    /// The most that it should send.
    pub(super) bits_per_s: u64,
}

/// A request of `sender_ssrc` that `media_ssrc` send at most `bits_per_s`, rounded down to 17 bits.
pub fn tmmbr(sender_ssrc: u32, media_ssrc: u32, bits_per_s: u64) -> Bytes {
    write(TMMBR, sender_ssrc, media_ssrc, bits_per_s)
}

/// The answer of `media_ssrc` to a request of `requester_ssrc`, whose limit is in force.
pub fn tmmbn(media_ssrc: u32, requester_ssrc: u32, bits_per_s: u64) -> Bytes {
    write(TMMBN, media_ssrc, requester_ssrc, bits_per_s)
}

fn write(kind: u8, sender_ssrc: u32, tuple_ssrc: u32, bits_per_s: u64) -> Bytes {
    let exponent = (u64::BITS - bits_per_s.leading_zeros()).saturating_sub(MANTISSA_BITS);
    let mantissa = (bits_per_s >> exponent) as u32;
    let mut packet = Vec::with_capacity(8 + TUPLES_AT + TUPLE_LEN);
    // An empty receiver report before it (RFC 3550 section 6.1).
    packet.extend_from_slice(&[0x80, 201, 0, 1]);
    packet.extend_from_slice(&sender_ssrc.to_be_bytes());
    // The length counts words and not the first. The header's media source is zero: the tuple names it.
    packet.extend_from_slice(&[0x80 | kind, TRANSPORT_FEEDBACK, 0, 4]);
    packet.extend_from_slice(&sender_ssrc.to_be_bytes());
    packet.extend_from_slice(&[0; 4]);
    packet.extend_from_slice(&tuple_ssrc.to_be_bytes());
    packet.extend_from_slice(&(exponent << 26 | mantissa << 9 | u32::from(OVERHEAD_BYTES)).to_be_bytes());
    packet.into()
}

/// The tuples of a request or an answer; what is not whole is not there. `packet` begins with its header.
pub(super) fn limits(packet: &[u8]) -> impl Iterator<Item = Limit> {
    let tuples = packet.get(TUPLES_AT..).unwrap_or_default().chunks_exact(TUPLE_LEN);
    tuples.filter_map(|tuple| {
        let (ssrc, rate) = tuple.split_first_chunk::<4>()?;
        let rate = u32::from_be_bytes(*rate.first_chunk::<4>()?);
        let (exponent, mantissa) = (rate >> 26, u64::from(rate >> 9 & ((1 << MANTISSA_BITS) - 1)));
        let fits = mantissa.leading_zeros() >= exponent;
        let bits_per_s = if fits { mantissa << exponent } else { u64::MAX };
        Some(Limit { ssrc: u32::from_be_bytes(*ssrc), bits_per_s })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_request_as_the_standard_draws_it() {
        // 850 000 bit/s are 106 250 * 2^3.
        let expected = [
            &[0x80, 201, 0, 1, 0, 0, 0, 8][..],
            &[0x83, 205, 0, 4, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 7],
            &(3_u32 << 26 | 106_250 << 9 | 4).to_be_bytes(),
        ]
        .concat();
        assert_eq!(tmmbr(8, 7, 850_000)[..], expected);
        let told: Vec<_> = limits(&tmmbr(8, 7, 850_000)[8..]).collect();
        assert_eq!(told, [Limit { ssrc: 7, bits_per_s: 850_000 }]);
        assert_eq!(tmmbn(7, 8, 850_000)[8] & 0x1f, TMMBN);
    }

    #[test]
    fn a_rate_beyond_all_is_not_less() {
        let told = |word: u32| limits(&[&[0; 16][..], &word.to_be_bytes()].concat()).next().map(|l| l.bits_per_s);
        assert_eq!(told(u32::MAX), Some(u64::MAX));
        assert_eq!(told(0), Some(0));
        assert_eq!(limits(&[0x83, 205, 0, 2]).count(), 0);
    }

    proptest! {
        #[test]
        fn rates_lose_little(bits_per_s in 0_u64..=UNLIMITED_BPS) {
            let told = limits(&tmmbr(1, 2, bits_per_s)[8..]).next().map(|limit| limit.bits_per_s).unwrap_or_default();
            prop_assert!(told <= bits_per_s && bits_per_s - told <= bits_per_s >> (MANTISSA_BITS - 1));
        }
    }
}
