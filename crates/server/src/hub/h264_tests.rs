//! Streams of H.264: groups of pictures begin at IDR pictures and at recovery points, and joiners get their parameter sets.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hevcast_wire::rtp::{Depacketizer, Packetizer, PayloadFormat, ReceivedPacket, RtpPacket};
use hevcast_wire::rtsp::sdp::{Description, publisher_description};
use hevcast_wire::rtsp::transport::Channels;
use hevcast_wire::time::{Now, RtpTicks, UtcMicros};
use hevcast_wire::{CodecId, CodedFrame, ParameterSets};

use super::reader::Reader;
use super::tests::{batch, taken};
use super::{Hub, Publication, Terms};

/// The SPS and PPS of an x264 stream, 320x240 in High profile.
const SPS: &[u8] =
    &[0x67, 0x64, 0x00, 0x0d, 0xac, 0xd9, 0x41, 0x41, 0xfb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00];
const PPS: &[u8] = &[0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0];
/// A recovery point SEI message with a recovery of 3 frames.
const RECOVERY: &[u8] = &[0x06, 0x06, 0x01, 0x24, 0x80];

struct World {
    hub: Arc<Hub>,
    publication: Publication,
    packetizer: Packetizer,
    now: Now,
    ticks: u32,
}

impl World {
    fn new() -> World {
        let hub = Arc::new(Hub::default());
        let sdp = String::from_utf8(publisher_description("t", &ParameterSets::new(CodecId::H264)).to_vec()).unwrap();
        // A camera that does not support keyframe requests.
        let sdp = sdp.replace("a=rtcp-fb", "a=x-other");
        let publication = hub.publish("live", Description::parse(sdp.as_bytes()).unwrap(), Terms::default()).unwrap();
        let now = Now { instant: Instant::now(), utc: UtcMicros(1_700_000_000_000_000) };
        World { hub, publication, packetizer: Packetizer::new(7, 96, 100, 200), now, ticks: 0 }
    }

    /// Publishes a frame of these NAL units and a slice, one packet per batch.
    fn publish(&mut self, before: &[&[u8]], slice: u8) {
        self.ticks += 3000;
        let slice = [&[slice, 0x88][..], &[0xa5; 500]].concat();
        let nals = before.iter().copied().chain([&slice[..]]).map(Bytes::copy_from_slice).collect();
        let mut packets = Vec::new();
        self.packetizer.packetize(&CodedFrame::new(CodecId::H264, RtpTicks(self.ticks), nals), &mut packets).unwrap();
        for packet in packets.iter().map(RtpPacket::to_bytes) {
            self.publication.push(&batch([packet]), self.now).deliver();
        }
        self.now.instant += Duration::from_millis(40);
    }

    /// The frames that a reader which joins now gets at once.
    fn joiner_gets(&self) -> Vec<CodedFrame> {
        let reader = Arc::new(Reader::new(vec![Some(Channels { rtp: 0, rtcp: 1 })], None));
        self.hub.find("live").unwrap().join(Arc::clone(&reader), self.now);
        let mut depacketizer = Depacketizer::of(PayloadFormat::any_type(CodecId::H264));
        let mut frames = Vec::new();
        for frame in taken(&reader) {
            if frame.channel() == 0 {
                depacketizer.push(&ReceivedPacket::parse(frame.packet()).unwrap()).unwrap();
                frames.extend(std::iter::from_fn(|| depacketizer.poll()));
            }
        }
        frames
    }
}

const IDR: u8 = 0x65;
const OTHER: u8 = 0x41;

#[test]
fn a_joiner_gets_the_group_from_its_idr_picture_on() {
    let mut world = World::new();
    world.publish(&[], OTHER);
    assert!(world.joiner_gets().is_empty(), "nothing could be decoded");
    world.publish(&[SPS, PPS], IDR);
    world.publish(&[], OTHER);
    world.publish(&[], OTHER);
    let got = world.joiner_gets();
    assert_eq!(got.len(), 3);
    assert!(got[0].is_idr() && got[0].parameter_sets().is_complete());
    assert_eq!(world.publication.stream().metrics().keyframes, 1);
    let description = world.publication.stream().description();
    assert!(description.video_track().unwrap().1.parameter_sets.is_complete(), "DESCRIBE names them from now on");
}

#[test]
fn a_stream_without_idr_pictures_is_joined_at_its_recovery_points() {
    let mut world = World::new();
    world.publish(&[SPS, PPS, RECOVERY], OTHER);
    world.publish(&[], OTHER);
    world.publish(&[RECOVERY], OTHER);
    world.publish(&[], OTHER);
    let got = world.joiner_gets();
    // The group, behind the parameter sets that its first picture lacks.
    assert_eq!(got.len(), 2, "{got:?}");
    let kinds: Vec<u8> = got[0].nals.iter().map(|nal| nal[0] & 0x1f).collect();
    assert_eq!(kinds, [7, 8, 6, 1]);
}
