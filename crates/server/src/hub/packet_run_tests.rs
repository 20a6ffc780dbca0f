//! Packet runs in each framing, in pieces and as a whole.

use proptest::prelude::*;

use super::super::framing::{Framing, StoredChannel};
use super::*;
use hevcast_wire::rtsp::transport::Channels;

fn frame(channel: u8, len: usize) -> Vec<u8> {
    let header = interleave::frame_header(channel, len as u16);
    [&header[..], &vec![channel; len]].concat()
}

/// The stored channels 0, 1 and 2: RTP and RTCP of the first track, and RTP of the second.
const STORED: [StoredChannel; 3] = [
    StoredChannel { channel: 0, track: 0, rtcp: false },
    StoredChannel { channel: 1, track: 0, rtcp: true },
    StoredChannel { channel: 2, track: 1, rtcp: false },
];

fn outgoing(frames: &[Vec<u8>], framing: &Framing) -> Outgoing {
    Outgoing { bytes: frames.concat().into(), reframing: framing.reframing(&STORED) }
}

fn interleaved(pairs: &[Option<(u8, u8)>]) -> Framing {
    pairs.iter().map(|pair| pair.map(|(rtp, rtcp)| Channels { rtp, rtcp })).collect::<Vec<_>>().into()
}

#[test]
fn a_reader_on_the_publishers_channels_shares_the_bytes() {
    let outgoing = outgoing(&[frame(0, 3), frame(2, 5)], &interleaved(&[Some((0, 1)), Some((2, 3))]));
    let bytes = outgoing.bytes.clone();
    assert_eq!((outgoing.count(), outgoing.framed().as_ptr()), ((2, 16), bytes.as_ptr()));
}

#[test]
fn a_reader_on_other_channels_or_of_fewer_tracks_gets_its_own() {
    let outgoing = outgoing(&[frame(0, 3), frame(1, 2), frame(2, 5)], &interleaved(&[Some((8, 9)), None]));
    assert_eq!(outgoing.count(), (2, 13));
    assert_eq!(&outgoing.framed()[..], b"$\x08\0\x03\0\0\0$\x09\0\x02\x01\x01");
}

#[test]
fn readers_of_one_framing_share_the_framed_bytes_however_they_alternate() {
    let frames = [frame(0, 300), frame(2, 500)];
    let framings = [interleaved(&[Some((8, 9)), None]), interleaved(&[Some((4, 5)), Some((6, 7))])];
    // Two readers of each framing, each with a reframing value of its own, as from different batches.
    let stored = Bytes::from(frames.concat());
    let of = |framing: &Framing| Outgoing { bytes: stored.clone(), reframing: framing.reframing(&STORED) };
    let mut cache = FramedCache::default();
    let mut addresses = Vec::new();
    for round in 0..2 {
        for (at, framing) in framings.iter().enumerate() {
            let outgoing = of(framing);
            let bytes = cache.bytes_of(&outgoing);
            assert_eq!(bytes, &outgoing.clone().framed()[..]);
            match round {
                0 => addresses.push(bytes.as_ptr()),
                _ => assert_eq!(bytes.as_ptr(), addresses[at], "made once"),
            }
        }
    }
    assert_eq!(cache.made.len(), 2);
    // Other packets, and more framings than the cache keeps.
    let other = Outgoing { bytes: frame(0, 9).into(), ..of(&framings[0]) };
    assert_eq!(cache.bytes_of(&other), &other.clone().framed()[..]);
    for channel in (10..60).step_by(2) {
        let outgoing = of(&interleaved(&[Some((channel, channel + 1))]));
        assert_eq!(cache.bytes_of(&outgoing), &outgoing.clone().framed()[..]);
        assert!(cache.made.len() <= CACHED_FRAMINGS);
    }
}

proptest! {
    #[test]
    fn pieces_are_whole_packets_bounded_and_lose_nothing(
        lens in prop::collection::vec(prop_oneof![0..40usize, 0..3000usize, Just(65_535)], 1..60),
        framing in prop_oneof![
            Just(interleaved(&[Some((0, 1)), Some((2, 3))])),
            Just(interleaved(&[Some((10, 11)), None])),
            Just(Framing::Datagram(vec![true, true])),
            Just(Framing::Datagram(vec![false, true])),
        ],
    ) {
        let frames: Vec<_> = lens.iter().enumerate().map(|(at, len)| frame((at % 3) as u8, *len)).collect();
        let outgoing = outgoing(&frames, &framing);
        let (whole, is_datagrams) = (outgoing.clone().framed(), outgoing.is_datagrams());
        let all: Vec<_> = outgoing.datagrams().map(|(datagram, _)| datagram).collect();
        let mut run = PacketRun::of(outgoing);
        let (packets, len) = (run.packets, run.len);
        prop_assert_eq!(len, whole.len());
        let (mut got, mut got_packets, mut datagrams) = (Vec::new(), 0, Vec::new());
        loop {
            let piece = run.take_piece();
            datagrams.extend(piece.outgoing.datagrams().map(|(datagram, _)| datagram));
            let bytes = piece.outgoing.framed();
            prop_assert!(bytes.len() <= PIECE_BYTES + 65_539);
            prop_assert_eq!(bytes.len(), piece.len);
            prop_assert!(is_datagrams || interleave::run_len(&bytes) == bytes.len());
            got.extend_from_slice(&bytes);
            got_packets += piece.packets;
            if piece.is_last {
                break;
            }
            prop_assert_eq!((run.len, run.packets), (len - got.len(), packets - got_packets));
        }
        prop_assert_eq!((&got[..], got_packets), (&whole[..], packets));
        prop_assert_eq!(&datagrams, &all);
        if is_datagrams {
            prop_assert_eq!(datagrams.len(), packets as usize);
            prop_assert_eq!(datagrams.iter().flat_map(|datagram| datagram.packet.to_vec()).collect::<Vec<_>>(), got);
        }
    }
}
