//! RTCP: reports of both ends, and the request for a keyframe (RFC 3550 section 6, RFC 4585, RFC 5104).
//!
//! A compound packet begins with a report, of the sender (SR) or of the receiver (RR), and names its source (SDES
//! CNAME); then may follow goodbyes (BYE) and payload-specific feedback: "the picture is broken" (PLI, RFC 4585
//! section 6.3.1) or "give me a full intra picture" (FIR, RFC 5104 section 4.3.1). Both ask for an IDR picture here. How to
//! ask for less is in [`tmmbr`].
//!
//! Reading is lenient where nothing depends on it: packets we have no use for are stepped over unread, a PLI may have
//! excess bytes, and feedback may come without a report before it (RFC 5506).

use bytes::Bytes;
use rtcp_types::prelude::*;
use rtcp_types::{
    Bye, Compound, Fir, PayloadFeedback, Pli, ReceiverReport, ReportBlock as RawBlock, RtcpParseError, Sdes, SdesChunk,
    SdesItem, SenderReport, TransportFeedback,
};
use thiserror::Error;

use super::tmmbr;
use crate::time::RtpTicks;

/// Packets, or keyframe requests, that are read from one compound; what stands behind is ignored.
pub const MAX_EVENTS: usize = 64;
/// Bytes of the header all RTCP packets share.
const COMMON_HEADER_LEN: usize = 4;

/// Why bytes are not a compound RTCP packet.
#[derive(Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RtcpError {
    /// The version of a packet is not 2.
    #[error("RTCP packet at byte {at}: version {version}, not 2")]
    Version {
        /// Offset of the packet in the compound packet, bytes.
        at: usize,
        /// The version field of the packet.
        version: u8,
    },
    /// A packet is longer than what is left of the compound.
    #[error("RTCP packet at byte {at}: {wanted} bytes wanted, {left} are left")]
    Truncated {
        /// Offset of the packet in the compound packet, bytes.
        at: usize,
        /// Bytes the packet takes by its own account.
        wanted: usize,
        /// Bytes of the compound packet from `at` on.
        left: usize,
    },
    /// A packet's content does not fit its type.
    #[error("RTCP packet of type {packet_type} at byte {at}: {source}")]
    Content {
        /// Offset of the packet in the compound packet, bytes.
        at: usize,
        /// RTCP packet type, as registered (RFC 3550 section 12.1).
        packet_type: u8,
        /// What the parser says of it.
        source: RtcpParseError,
    },
}

/// How one receiver fares with one source; the fields of a report block (RFC 3550 section 6.4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReceiverStats {
    /// Packets lost since the last report, as a fraction of 256.
    pub fraction_lost: u8,
    /// Packets lost since the beginning, at most 2^24 - 1.
    pub cumulative_lost: u32,
    /// Highest sequence number received, wraps counted in the upper half.
    pub extended_highest_sequence_number: u32,
    /// Interarrival jitter in ticks of the media clock.
    pub interarrival_jitter: u32,
    /// LSR: the middle 32 bits of the last sender report's NTP time; 0 before the first.
    pub last_sr: u32,
    /// DLSR: time since that report arrived, in units of 1/65536 s; 0 before the first.
    pub delay_since_last_sr: u32,
}

/// A report block: [`ReceiverStats`] and the source they are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportBlock {
    /// SSRC of the source that is reported on.
    pub ssrc: u32,
    /// Loss and jitter of that source, as received.
    pub stats: ReceiverStats,
}

/// How a keyframe was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyframeRequestKind {
    /// Picture loss indication (RFC 4585 section 6.3.1).
    Pli,
    /// Full intra request (RFC 5104 section 4.3.1).
    Fir {
        /// The request's number: the same one again is a repetition, not a new request.
        seq: u8,
    },
}

/// What a compound RTCP packet says, one by one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RtcpEvent {
    /// The sender's clock and counts (RFC 3550 section 6.4.1).
    SenderReport {
        /// SSRC of the sender.
        ssrc: u32,
        /// Wall clock in NTP's 64-bit format.
        ntp: u64,
        /// The same instant on the media clock.
        rtp: RtpTicks,
        /// Packets sent since the beginning, modulo 2^32.
        packets: u32,
        /// Payload bytes sent since the beginning, modulo 2^32.
        octets: u32,
    },
    /// A receiver's view (RFC 3550 section 6.4.2).
    ReceiverReport {
        /// SSRC of the receiver that reports.
        ssrc: u32,
        /// One block for each source it hears, at most 31.
        blocks: Vec<ReportBlock>,
    },
    /// Sources that leave (RFC 3550 section 6.6), at most 31.
    Bye {
        /// SSRCs of the sources that leave (BYE).
        ssrcs: Vec<u32>,
    },
    /// A receiver asks for a picture at which decoding can start.
    KeyframeRequest {
        /// The source that should send it.
        ssrc: u32,
        /// Which of the two messages asked for it.
        kind: KeyframeRequestKind,
    },
    /// A source should send no more than so much (RFC 5104 section 4.2.1).
    RateLimit {
        /// SSRC of the source that is to be limited.
        ssrc: u32,
        /// The most that it should send.
        bits_per_s: u64,
        /// SSRC of the receiver that asks.
        requester: u32,
    },
    /// A packet that says nothing to us.
    Other,
}

/// Reads a compound RTCP packet; at most [`MAX_EVENTS`] events.
///
/// # Errors
///
/// [`RtcpError`] when the lengths within do not fit, or a packet that matters is broken.
pub fn parse(compound: &[u8]) -> Result<Vec<RtcpEvent>, RtcpError> {
    let mut events = Vec::new();
    let mut at = 0;
    while let Some(rest) = compound.get(at..).filter(|rest| !rest.is_empty()) {
        let &[first, packet_type, high, low, ..] = rest else {
            return Err(RtcpError::Truncated { at, wanted: COMMON_HEADER_LEN, left: rest.len() });
        };
        if first >> 6 != 2 {
            return Err(RtcpError::Version { at, version: first >> 6 });
        }
        // The length counts words and not the first (RFC 3550 section 6.4.1).
        let wanted = COMMON_HEADER_LEN + 4 * usize::from(u16::from_be_bytes([high, low]));
        let packet = rest.get(..wanted).ok_or(RtcpError::Truncated { at, wanted, left: rest.len() })?;
        parse_one(packet_type, packet, &mut events).map_err(|source| RtcpError::Content { at, packet_type, source })?;
        if events.len() >= MAX_EVENTS {
            events.truncate(MAX_EVENTS);
            break;
        }
        at += wanted;
    }
    Ok(events)
}

/// Whether a compound packet says that the source `ssrc` leaves: the stream has ended (RFC 3550 section 6.6). A goodbye of
/// another source, such as one that this has taken over from, ends nothing. What cannot be read says nothing.
pub fn has_bye(compound: &[u8], ssrc: u32) -> bool {
    let events = parse(compound).unwrap_or_default();
    events.iter().any(|event| matches!(event, RtcpEvent::Bye { ssrcs } if ssrcs.contains(&ssrc)))
}

fn parse_one(packet_type: u8, packet: &[u8], events: &mut Vec<RtcpEvent>) -> Result<(), RtcpParseError> {
    match packet_type {
        SenderReport::PACKET_TYPE => {
            let report = SenderReport::parse(packet)?;
            events.push(RtcpEvent::SenderReport {
                ssrc: report.ssrc(),
                ntp: report.ntp_timestamp(),
                rtp: RtpTicks(report.rtp_timestamp()),
                packets: report.packet_count(),
                octets: report.octet_count(),
            });
        }
        ReceiverReport::PACKET_TYPE => {
            let report = ReceiverReport::parse(packet)?;
            let blocks = report.report_blocks().map(|block| read_block(&block)).collect();
            events.push(RtcpEvent::ReceiverReport { ssrc: report.ssrc(), blocks });
        }
        Bye::PACKET_TYPE => events.push(RtcpEvent::Bye { ssrcs: Bye::parse(packet)?.ssrcs().collect() }),
        PayloadFeedback::PACKET_TYPE => {
            let feedback = PayloadFeedback::parse(packet)?;
            match feedback.count() {
                Pli::FCI_FORMAT => events
                    .push(RtcpEvent::KeyframeRequest { ssrc: feedback.media_ssrc(), kind: KeyframeRequestKind::Pli }),
                Fir::FCI_FORMAT => {
                    let request = feedback.parse_fci::<Fir<'_>>()?;
                    events.extend(request.entries().take(MAX_EVENTS).map(|entry| RtcpEvent::KeyframeRequest {
                        ssrc: entry.ssrc(),
                        kind: KeyframeRequestKind::Fir { seq: entry.sequence() },
                    }));
                }
                _ => events.push(RtcpEvent::Other),
            }
        }
        tmmbr::TRANSPORT_FEEDBACK => {
            let feedback = TransportFeedback::parse(packet)?;
            let requester = feedback.sender_ssrc();
            let limits = tmmbr::limits(packet).take(MAX_EVENTS);
            match feedback.count() {
                tmmbr::TMMBR => events.extend(limits.map(|tmmbr::Limit { ssrc, bits_per_s }| RtcpEvent::RateLimit {
                    ssrc,
                    bits_per_s,
                    requester,
                })),
                _ => events.push(RtcpEvent::Other),
            }
        }
        _ => events.push(RtcpEvent::Other),
    }
    Ok(())
}

fn read_block(block: &RawBlock<'_>) -> ReportBlock {
    ReportBlock {
        ssrc: block.ssrc(),
        stats: ReceiverStats {
            fraction_lost: block.fraction_lost(),
            cumulative_lost: block.cumulative_lost(),
            extended_highest_sequence_number: block.extended_sequence_number(),
            interarrival_jitter: block.interarrival_jitter(),
            last_sr: block.last_sender_report_timestamp(),
            delay_since_last_sr: block.delay_since_last_sender_report_timestamp(),
        },
    }
}

/// A sender report of `ssrc` with its name: the wall clock `ntp` (NTP's 64-bit format) and the media clock `rtp` at the
/// same instant, and the wrapping counts of packets and payload bytes so far (RFC 3550 section 6.4.1).
pub fn sender_report(ssrc: u32, ntp: u64, rtp: RtpTicks, packet_count: u32, octet_count: u32, cname: &str) -> Bytes {
    let report = SenderReport::builder(ssrc)
        .ntp_timestamp(ntp)
        .rtp_timestamp(rtp.0)
        .packet_count(packet_count)
        .octet_count(octet_count);
    write(Compound::builder().add_packet(report).add_packet(name(ssrc, cname)))
}

/// A receiver report of `own_ssrc` on `media_ssrc`, with the receiver's name (RFC 3550 section 6.4.2).
pub fn receiver_report(own_ssrc: u32, media_ssrc: u32, cname: &str, stats: &ReceiverStats) -> Bytes {
    let block = RawBlock::builder(media_ssrc)
        .fraction_lost(stats.fraction_lost)
        .cumulative_lost(stats.cumulative_lost.min(0xff_ffff))
        .extended_sequence_number(stats.extended_highest_sequence_number)
        .interarrival_jitter(stats.interarrival_jitter)
        .last_sender_report_timestamp(stats.last_sr)
        .delay_since_last_sender_report_timestamp(stats.delay_since_last_sr);
    let report = ReceiverReport::builder(own_ssrc).add_report_block(block);
    write(Compound::builder().add_packet(report).add_packet(name(own_ssrc, cname)))
}

/// A picture loss indication from `sender_ssrc` to the sender of `media_ssrc`, behind an empty receiver report (RFC
/// 4585 section 6.3.1).
pub fn pli(sender_ssrc: u32, media_ssrc: u32) -> Bytes {
    let feedback = PayloadFeedback::builder_owned(Pli::builder()).sender_ssrc(sender_ssrc).media_ssrc(media_ssrc);
    write(Compound::builder().add_packet(ReceiverReport::builder(sender_ssrc)).add_packet(feedback))
}

/// A full intra request, behind an empty receiver report (RFC 5104 section 4.3.1). `seq` rises by one with each new
/// request and stays when one is repeated. The header's media source is zero: the entry names it.
pub fn fir(sender_ssrc: u32, media_ssrc: u32, seq: u8) -> Bytes {
    let request = Fir::builder().add_ssrc(media_ssrc, seq);
    let feedback = PayloadFeedback::builder_owned(request).sender_ssrc(sender_ssrc);
    write(Compound::builder().add_packet(ReceiverReport::builder(sender_ssrc)).add_packet(feedback))
}

/// A goodbye of `ssrc`, behind an empty receiver report (RFC 3550 section 6.6).
pub fn bye(ssrc: u32) -> Bytes {
    let goodbye = Bye::builder().add_source(ssrc);
    write(Compound::builder().add_packet(ReceiverReport::builder(ssrc)).add_packet(goodbye))
}

/// A source description of one CNAME, cut to the 255 bytes that fit (RFC 3550 section 6.5.1).
fn name(ssrc: u32, cname: &str) -> rtcp_types::SdesBuilder<'_> {
    let fits = |(start, letter): &(usize, char)| start + letter.len_utf8() <= 255;
    let end = cname.char_indices().take_while(fits).last().map_or(0, |(start, letter)| start + letter.len_utf8());
    let cname = cname.get(..end).unwrap_or_default();
    Sdes::builder().add_chunk(SdesChunk::builder(ssrc).add_item(SdesItem::builder(SdesItem::CNAME, cname)))
}

/// Every limit a writer checks is kept by the builders above, so that none of them fails.
fn write(compound: impl RtcpPacketWriter) -> Bytes {
    let mut packet = vec![0; compound.calculate_size().unwrap_or(0)];
    let written = compound.write_into(&mut packet);
    debug_assert!(written.is_ok_and(|len| len == packet.len()));
    packet.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STATS: ReceiverStats = ReceiverStats {
        fraction_lost: 3,
        cumulative_lost: 70_000,
        extended_highest_sequence_number: 0x2_0005,
        interarrival_jitter: 45,
        last_sr: 0xdead_beef,
        delay_since_last_sr: 65_536,
    };

    /// The packets of a compound by type number, as another implementation reads them.
    fn types(compound: &[u8]) -> Vec<u8> {
        let compound = Compound::parse(compound).expect("a compound");
        compound.map(|packet| packet.expect("a packet").type_()).collect()
    }

    #[test]
    fn a_sender_report_round_trips() {
        let report = sender_report(7, 0x0123_4567_89ab_cdef, RtpTicks(90_000), 11, 12_345, "hevcast@host");
        let expected = RtcpEvent::SenderReport {
            ssrc: 7,
            ntp: 0x0123_4567_89ab_cdef,
            rtp: RtpTicks(90_000),
            packets: 11,
            octets: 12_345,
        };
        assert_eq!(parse(&report), Ok(vec![expected, RtcpEvent::Other]));
        assert_eq!(types(&report), [200, 202]);
    }

    #[test]
    fn a_receiver_report_round_trips() {
        let report = receiver_report(8, 7, "hevcast@host", &STATS);
        let blocks = vec![ReportBlock { ssrc: 7, stats: STATS }];
        assert_eq!(parse(&report), Ok(vec![RtcpEvent::ReceiverReport { ssrc: 8, blocks }, RtcpEvent::Other]));
        assert_eq!(types(&report), [201, 202]);
    }

    #[test]
    fn keyframe_requests_round_trip() {
        let empty = RtcpEvent::ReceiverReport { ssrc: 8, blocks: vec![] };
        let request = |kind| RtcpEvent::KeyframeRequest { ssrc: 7, kind };
        assert_eq!(parse(&pli(8, 7)), Ok(vec![empty.clone(), request(KeyframeRequestKind::Pli)]));
        assert_eq!(parse(&fir(8, 7, 200)), Ok(vec![empty, request(KeyframeRequestKind::Fir { seq: 200 })]));
        // RFC 5104 section 4.3.1.2: the media source of the header is zero.
        assert_eq!(fir(8, 7, 200)[8..], [0x84, 206, 0, 4, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 7, 200, 0, 0, 0]);
    }

    #[test]
    fn a_rate_request_is_read_and_its_notification_is_not_one() {
        let expected = RtcpEvent::RateLimit { ssrc: 7, bits_per_s: 850_000, requester: 8 };
        assert_eq!(parse(&tmmbr::tmmbr(8, 7, 850_000)).map(|events| events.last().cloned()), Ok(Some(expected)));
        let answer = parse(&tmmbr::tmmbn(7, 8, 850_000)).map(|events| events.last().cloned());
        assert_eq!(answer, Ok(Some(RtcpEvent::Other)));
    }

    #[test]
    fn a_bye_round_trips() {
        let events = parse(&bye(8)).expect("a compound");
        assert_eq!(events.last(), Some(&RtcpEvent::Bye { ssrcs: vec![8] }));
    }

    #[test]
    fn a_bye_counts_for_its_source_alone_at_any_position() {
        let report = sender_report(8, 1, RtpTicks(2), 3, 4, "camera");
        for compound in [bye(8), [&report[..], &bye(8)[8..]].concat().into(), bye(8).slice(8..)] {
            assert!(has_bye(&compound, 8) && !has_bye(&compound, 7), "{compound:?}");
        }
        // Of several sources, with a reason behind them, as GStreamer sends it.
        let reason = [0x82, 203, 0, 4, 0, 0, 0, 7, 0, 0, 0, 8, 3, b'e', b'o', b's', 0, 0, 0, 0];
        assert!(has_bye(&reason, 8) && has_bye(&reason, 7));
        for other in [&report[..], &bye(8)[..10], &[0x80, 203, 0, 0], b"noise"] {
            assert!(!has_bye(other, 8), "{other:?}");
        }
    }

    #[test]
    fn feedback_counts_without_a_report_and_with_excess_bytes() {
        let bare_pli = [0x81, 206, 0, 3, 0, 0, 0, 8, 0, 0, 0, 7, 0xff, 0xff, 0xff, 0xff];
        let expected = RtcpEvent::KeyframeRequest { ssrc: 7, kind: KeyframeRequestKind::Pli };
        assert_eq!(parse(&bare_pli), Ok(vec![expected]));
    }

    #[test]
    fn a_broken_source_description_does_not_hide_what_follows() {
        let broken_sdes = [0x81, 202, 0, 2, 0, 0, 0, 8, 1, 200, 0, 0];
        let compound = [&broken_sdes[..], &pli(8, 7)[8..]].concat();
        let expected = RtcpEvent::KeyframeRequest { ssrc: 7, kind: KeyframeRequestKind::Pli };
        assert_eq!(parse(&compound), Ok(vec![RtcpEvent::Other, expected]));
    }

    #[test]
    fn lengths_that_do_not_fit_are_errors() {
        let report = sender_report(7, 1, RtpTicks(2), 3, 4, "a");
        assert_eq!(parse(&report[..27]), Err(RtcpError::Truncated { at: 0, wanted: 28, left: 27 }));
        assert_eq!(parse(&report[..30]), Err(RtcpError::Truncated { at: 28, wanted: 4, left: 2 }));
        assert_eq!(parse(&[0x40, 200, 0, 0]), Err(RtcpError::Version { at: 0, version: 1 }));
        let without_blocks = [0x81, 201, 0, 1, 0, 0, 0, 8];
        assert!(matches!(parse(&without_blocks), Err(RtcpError::Content { at: 0, packet_type: 201, .. })));
        assert_eq!(parse(&[]), Ok(vec![]));
    }

    #[test]
    fn events_are_bounded() {
        let many = [0x80, 204, 0, 0].repeat(10_000);
        assert_eq!(parse(&many).map(|events| events.len()), Ok(MAX_EVENTS));
    }

    #[test]
    fn every_name_fits() {
        for name in ["", "a", &"ü".repeat(300), &"x".repeat(255), &"x".repeat(256)] {
            let report = receiver_report(8, 7, name, &ReceiverStats { cumulative_lost: u32::MAX, ..STATS });
            assert_eq!(types(&report), [201, 202], "{} bytes", name.len());
        }
    }

    proptest! {
        #[test]
        fn noise_never_panics(mut data in prop::collection::vec(any::<u8>(), 8..80), packet_type in 200u8..208) {
            data[0] = 0x80 | data[0] & 0x3f;
            data[1] = packet_type;
            data[2] = 0;
            data[3] %= 20;
            let _ = parse(&data);
        }
    }
}
