//! The hub in virtual time: which reader gets which packets, and when a keyframe is requested of the publisher.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hevcast_wire::h265::NalType;
use hevcast_wire::rtp::{Packetizer, ReceivedPacket, RtcpEvent, RtpPacket, interleave, rtcp};
use hevcast_wire::rtsp::message::Frame;
use hevcast_wire::rtsp::sdp::{Description, publisher_description};
use hevcast_wire::rtsp::transport::Channels;
use hevcast_wire::time::{Now, RtpTicks, UtcMicros};
use hevcast_wire::{CodecId, CodedFrame, ParameterSets};

use super::batch::Batch;
use super::reader::{Reader, WritePermit};
use super::stream::{KEYFRAME_REQUEST_TIMEOUT, KEYFRAME_SPACING, PublisherRequest, YOUNG_GOP};
use super::{Hub, Publication, PublishRefused, Terms, gop, reader};
use crate::budget::Budget;

pub(super) const FRAME_INTERVAL: Duration = Duration::from_millis(33);
pub(super) const CHANNELS: Channels = Channels { rtp: 0, rtcp: 1 };

/// A hub with one publisher that makes pictures, and the virtual time.
pub(super) struct World {
    pub(super) hub: Arc<Hub>,
    pub(super) publication: Option<Publication>,
    pub(super) packetizer: Packetizer,
    pub(super) now: Now,
    pub(super) pictures: u32,
}

impl World {
    pub(super) fn new(takes_requests: bool) -> World {
        World::within(takes_requests, Arc::default())
    }

    /// A world whose hub has this memory budget.
    pub(super) fn within(takes_requests: bool, budget: Arc<Budget>) -> World {
        let hub = Arc::new(Hub::new(budget));
        let sdp = String::from_utf8(publisher_description("t", &ParameterSets::default()).to_vec()).unwrap();
        let sdp = if takes_requests { sdp } else { sdp.replace("a=rtcp-fb", "a=x-other") };
        let publication = hub.publish("live", Description::parse(sdp.as_bytes()).unwrap(), Terms::default()).unwrap();
        World {
            hub,
            publication: Some(publication),
            packetizer: Packetizer::new(7, 96, 100, 200),
            now: Now { instant: Instant::now(), utc: UtcMicros(1_700_000_000_000_000) },
            pictures: 0,
        }
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now.instant += time;
        self.now.utc = self.now.utc.offset_by(time.as_micros() as i64);
    }

    /// The packets of the next picture, with `slice_bytes` of slice data, as one read brings them.
    pub(super) fn picture(&mut self, is_irap: bool, slice_bytes: usize) -> Batch {
        self.pictures += 1;
        let nal = |kind: NalType, len: usize| Bytes::from([vec![kind.0 << 1, 1], vec![0xa5; len]].concat());
        let mut nals = vec![];
        if is_irap {
            nals.extend([nal(NalType::VPS, 10), nal(NalType::SPS, 20), nal(NalType::PPS, 5)]);
        }
        nals.push(nal(NalType::PREFIX_SEI, 150));
        nals.push(nal(if is_irap { NalType::IDR_W_RADL } else { NalType(1) }, slice_bytes));
        let unit = CodedFrame::new(CodecId::H265, RtpTicks(self.pictures * 3000), nals);
        let mut packets = Vec::new();
        self.packetizer.packetize(&unit, &mut packets).unwrap();
        batch(packets.iter().map(RtpPacket::to_bytes))
    }

    pub(super) fn push(&self, batch: &Batch) {
        self.publication.as_ref().unwrap().push(batch, self.now).deliver();
    }

    /// Publishes a picture, one packet per batch, and lets a frame interval pass.
    pub(super) fn publish(&mut self, is_irap: bool) -> usize {
        let picture = self.picture(is_irap, 600);
        for packet in picture.packets() {
            self.push(&batch([picture.packet(packet)]));
        }
        self.pass(FRAME_INTERVAL);
        picture.packets().len()
    }

    pub(super) fn join(&self, channels: Channels) -> Arc<Reader> {
        let reader = Arc::new(Reader::new(vec![Some(channels)], None));
        self.hub.find("live").unwrap().join(Arc::clone(&reader), self.now);
        reader
    }

    pub(super) fn keyframe_wanted(&self) -> bool {
        let wanted = PublisherRequest::Keyframe { track: 0, ssrc: 7 };
        request(self.publication.as_ref().unwrap()) == Poll::Ready(wanted)
    }
}

/// The next request to the publisher.
pub(super) fn request(publication: &Publication) -> Poll<PublisherRequest> {
    publication.poll_request(&mut Context::from_waker(Waker::noop()))
}

/// A batch of RTP packets of the first track, as one read brings them.
pub(super) fn batch(packets: impl IntoIterator<Item = Bytes>) -> Batch {
    let frames: Vec<u8> = packets.into_iter().flat_map(|packet| interleave::frame(CHANNELS.rtp, &packet)).collect();
    Batch::interleaved(Bytes::from(frames), |_| Some((0, false)))
}

/// The write permit of a reader's task that has no output of its own.
pub(super) fn write_permit(reader: &Reader) -> WritePermit {
    reader.poll_write(&mut Context::from_waker(Waker::noop()), false)
}

/// Takes everything queued, in the pieces in which a socket gets it.
pub(super) fn pieces(reader: &Reader) -> Vec<Bytes> {
    let mut pieces = Vec::new();
    if write_permit(reader) == WritePermit::Granted {
        reader.take(usize::MAX, |piece| pieces.push(piece));
    }
    pieces
}

/// Takes everything queued, as single frames.
pub(super) fn taken(reader: &Reader) -> Vec<Frame> {
    let whole = Bytes::from(pieces(reader).concat());
    interleave::frames(&whole).map(|(_, range)| Frame { framed: whole.slice(range) }).collect()
}

/// Takes everything queued; returns the sequence numbers of its RTP packets.
pub(super) fn sequence_numbers(reader: &Reader) -> Vec<u16> {
    let rtp = taken(reader).into_iter().filter(|frame| frame.channel() % 2 == 0);
    rtp.map(|frame| ReceivedPacket::parse(frame.packet()).unwrap().header.sequence_number).collect()
}

pub(super) fn consecutive(numbers: &[u16]) -> bool {
    numbers.windows(2).all(|pair| pair[1] == pair[0] + 1)
}

#[test]
fn packets_are_forwarded_as_they_come_and_shared() {
    let mut world = World::new(true);
    world.publish(true);
    let (reader, other) = (world.join(CHANNELS), world.join(CHANNELS));
    sequence_numbers(&reader);
    sequence_numbers(&other);
    let picture = world.picture(false, 5000);
    let (first, rest) = picture.packets().split_first().unwrap();
    assert!(!rest.is_empty());
    world.push(&picture.with_packets(vec![first.clone()]));
    let got = pieces(&reader);
    assert_eq!(got.len(), 1, "the first packet of a picture does not wait for the rest");
    assert_eq!(got[0].as_ptr(), pieces(&other)[0].as_ptr(), "one copy for all who wait");
    world.push(&picture.with_packets(rest.to_vec()));
    let got = pieces(&reader);
    assert_eq!(got.len(), 1, "what was read at once is written at once");
    assert_eq!(got[0], picture.whole()[first.range.end..]);
}

#[test]
fn a_joiner_gets_a_young_group_at_once_after_a_sender_report() {
    let mut world = World::new(true);
    world.publish(false);
    let in_group = world.publish(true) + world.publish(false);
    let reader = world.join(CHANNELS);
    assert!(!world.keyframe_wanted(), "no keyframe is spent on a group that is young");
    let frames = taken(&reader);
    let report = rtcp::parse(&frames[0].packet()).unwrap();
    assert!(matches!(report[0], RtcpEvent::SenderReport { ssrc: 7, .. }), "{report:?}");
    assert_eq!(frames.len(), 1 + in_group);
    let next = world.publish(false);
    assert_eq!(sequence_numbers(&reader).len(), next, "and then each packet once");
}

#[test]
fn readers_who_come_together_cost_one_keyframe() {
    let mut world = World::new(true);
    world.publish(true);
    world.pass(YOUNG_GOP);
    world.publish(false);
    let readers: Vec<_> = (0..100).map(|_| world.join(CHANNELS)).collect();
    assert!(world.keyframe_wanted());
    assert!(!world.keyframe_wanted(), "one request for all of them");
    world.publish(false);
    assert!(readers.iter().all(|r| sequence_numbers(r).is_empty()), "nothing before it could be decoded");
    let irap = world.publish(true);
    for reader in &readers {
        let numbers = sequence_numbers(reader);
        assert!(numbers.len() == irap && consecutive(&numbers), "the whole IRAP unit, from its parameter sets on");
    }
}

#[test]
fn a_request_without_a_keyframe_is_repeated() {
    let mut world = World::new(true);
    world.publish(true);
    world.pass(YOUNG_GOP);
    world.join(CHANNELS);
    assert!(world.keyframe_wanted());
    world.pass(KEYFRAME_REQUEST_TIMEOUT);
    world.join(CHANNELS);
    assert!(world.keyframe_wanted());
}

#[test]
fn from_a_publisher_without_keyframe_requests_a_joiner_gets_the_whole_group() {
    let mut world = World::new(false);
    let mut in_group = world.publish(true);
    for _ in 0..100 {
        in_group += world.publish(false);
    }
    let reader = world.join(CHANNELS);
    assert!(!world.keyframe_wanted());
    let numbers = sequence_numbers(&reader);
    assert!(numbers.len() == in_group && consecutive(&numbers), "{} of {in_group}", numbers.len());
    let next = world.publish(true);
    assert_eq!(sequence_numbers(&world.join(CHANNELS)).len(), next, "the next group replaces it");
}

#[test]
fn a_group_too_long_to_keep_is_not_kept_in_part() {
    let mut world = World::new(false);
    world.publish(true);
    let mut pushed = 0;
    while pushed <= gop::MAX_BYTES {
        let picture = world.picture(false, 60_000);
        pushed += picture.whole().len();
        world.push(&picture);
    }
    assert_eq!(sequence_numbers(&world.join(CHANNELS)), [0u16; 0]);
    world.publish(true);
    assert!(!sequence_numbers(&world.join(CHANNELS)).is_empty());
}

#[test]
fn a_slow_reader_jumps_to_the_next_irap_and_nobody_else_notices() {
    let mut world = World::new(true);
    world.publish(true);
    let (slow, quick) = (world.join(CHANNELS), world.join(CHANNELS));
    let mut quick_numbers = sequence_numbers(&quick);
    sequence_numbers(&slow);
    let pictures = reader::MAX_AGE.as_millis() / FRAME_INTERVAL.as_millis() + 2;
    for _ in 0..pictures {
        world.publish(false);
        quick_numbers.extend(sequence_numbers(&quick));
    }
    assert!(slow.metrics().jumps == 1 && slow.metrics().dropped_packets > 0, "{:?}", slow.metrics());
    assert!(world.keyframe_wanted(), "a keyframe is requested to resume from");
    world.publish(false);
    assert!(sequence_numbers(&slow).is_empty(), "nothing of a sequence with a hole in it");
    let irap = world.publish(true);
    let next = world.publish(false);
    let numbers = sequence_numbers(&slow);
    assert!(numbers.len() == irap + next && consecutive(&numbers));
    quick_numbers.extend(sequence_numbers(&quick));
    assert!(consecutive(&quick_numbers) && quick.metrics().jumps == 0);
}

#[test]
fn a_reader_that_takes_nothing_costs_one_keyframe_until_it_takes_something() {
    let mut world = World::new(true);
    world.publish(true);
    let stuck = world.join(CHANNELS);
    stuck.set_requests_keyframes();
    let pictures = reader::MAX_BURST_AGE.as_millis() / FRAME_INTERVAL.as_millis() + 2;
    let mut requested = 0;
    for _ in 0..pictures * 5 {
        let is_wanted = world.keyframe_wanted();
        requested += u32::from(is_wanted);
        world.publish(is_wanted);
    }
    assert!(requested == 1 && stuck.metrics().jumps == 2, "{requested} keyframes, {:?}", stuck.metrics());
    assert_eq!(
        write_permit(&stuck),
        WritePermit::NeedsKeyframe,
        "once it accepts bytes again, one should be requested"
    );
    assert_eq!(write_permit(&stuck), WritePermit::Idle);
}

#[test]
fn a_reader_on_other_channels_gets_the_same_packets() {
    let mut world = World::new(true);
    let sent = world.publish(true);
    let reader = world.join(Channels { rtp: 4, rtcp: 5 });
    let frames = taken(&reader);
    assert_eq!(frames.iter().map(Frame::channel).collect::<Vec<_>>(), [&[5][..], &vec![4; sent]].concat());
    assert!(ReceivedPacket::parse(frames[1].packet()).is_ok());
}

#[test]
fn the_end_of_a_publication_frees_its_path_and_ends_its_readers() {
    let mut world = World::new(true);
    world.publish(true);
    let reader = world.join(CHANNELS);
    let stream = world.hub.find("live").unwrap();
    let refused = world.hub.publish("live", (*stream.description()).clone(), Terms::default());
    assert_eq!(refused.map(|_| ()).unwrap_err(), PublishRefused::Taken);
    world.publication = None;
    assert_eq!(write_permit(&reader), WritePermit::Granted, "what is queued is still delivered");
    sequence_numbers(&reader);
    assert_eq!(write_permit(&reader), WritePermit::Ended);
    assert!(world.hub.find("live").is_none() && world.hub.streams().is_empty());
    let late = Arc::new(Reader::new(vec![Some(CHANNELS)], None));
    stream.join(Arc::clone(&late), world.now);
    assert_eq!(write_permit(&late), WritePermit::Ended, "a reader that joins too late learns the end at once");
}

#[test]
fn other_codecs_are_relayed_untouched_and_readers_leave() {
    let hub = Arc::new(Hub::default());
    let sdp = b"v=0\r\nm=audio 0 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n";
    let publication = hub.publish("sound", Description::parse(sdp).unwrap(), Terms::default()).unwrap();
    let now = Now { instant: Instant::now(), utc: UtcMicros(0) };
    let reader = Arc::new(Reader::new(vec![Some(CHANNELS)], None));
    hub.find("sound").unwrap().join(Arc::clone(&reader), now);
    let packet = || Bytes::from_static(b"not even RTP");
    publication.push(&batch([packet(), packet()]), now).deliver();
    assert_eq!(taken(&reader).len(), 2);
    assert_eq!(publication.stream().reader_count(), 1);
    // The reader is removed at once, with its socket, since the publisher may send nothing for long.
    publication.stream().leave(&reader);
    assert_eq!((publication.stream().reader_count(), Arc::strong_count(&reader)), (0, 1));
    publication.push(&batch([packet()]), now).deliver();
    assert_eq!(taken(&reader).len(), 0);
}

#[test]
fn a_joining_burst_is_never_cut() {
    let mut world = World::new(false);
    world.publish(true);
    let mut in_group = 0;
    let mut bytes = 0;
    while bytes <= reader::MAX_BYTES + 1_000_000 {
        let picture = world.picture(false, 60_000);
        bytes += picture.whole().len();
        in_group += picture.packets().len();
        world.push(&picture);
    }
    let reader = world.join(CHANNELS);
    // A burst may take longer to send than a live packet may wait.
    world.pass(reader::MAX_AGE * 2);
    in_group += world.publish(false);
    let numbers = sequence_numbers(&reader);
    assert!(numbers.len() > in_group && consecutive(&numbers), "{} of more than {in_group}", numbers.len());
    assert_eq!(reader.metrics().jumps, 0);
}

#[test]
fn one_readers_requests_do_not_cost_everybody_a_keyframe_each() {
    let mut world = World::new(true);
    world.publish(true);
    let stream = world.hub.find("live").unwrap();
    let mut keyframes = 0;
    for _ in 0..30 {
        stream.request_keyframe(world.now.instant);
        let is_wanted = world.keyframe_wanted();
        keyframes += u32::from(is_wanted);
        world.publish(is_wanted);
    }
    let most = 30 * FRAME_INTERVAL.as_millis() / KEYFRAME_SPACING.as_millis() + 1;
    assert!(keyframes >= 2 && u128::from(keyframes) <= most, "{keyframes} keyframes in 30 pictures");
}

#[test]
fn a_publisher_without_reports_gets_ours_every_five_seconds() {
    let mut world = World::new(true);
    let early = world.join(CHANNELS);
    world.publish(true);
    let reports = |reader: &Reader| taken(reader).iter().filter(|frame| frame.channel() == CHANNELS.rtcp).count();
    assert_eq!(reports(&early), 0, "a reader who still waits for a picture needs none");
    world.publish(false);
    for _ in 0..2 {
        world.pass(Duration::from_secs(5));
        pieces(&early);
        world.publish(false);
        assert_eq!(reports(&early), 1);
    }
}
