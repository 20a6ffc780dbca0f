//! Readers of datagrams get the published packets one by one, byte for byte.

use parking_lot::Mutex;
use std::sync::Arc;

use bytes::Bytes;
use hevcast_wire::rtp::{interleave, rtcp};
use hevcast_wire::rtsp::sdp::Description;
use hevcast_wire::time::{Now, UtcMicros};
use proptest::prelude::*;

use super::batch::Batch;
use super::reader::{Datagram, Framing, Outlet, Reader, WritePermit};
use super::tests::{World, write_permit};
use super::{Hub, Publication, Terms};

/// A socket for datagrams that accepts a limited number of them.
#[derive(Debug, Default)]
struct Port(Mutex<(usize, Vec<Datagram>)>);

impl Port {
    fn set_available(&self, datagrams: usize) {
        self.0.lock().0 = datagrams;
    }

    fn take(&self) -> Vec<Datagram> {
        std::mem::take(&mut self.0.lock().1)
    }
}

impl Outlet for Port {
    fn try_send(&self, _: &[u8]) -> usize {
        unreachable!("there are no frames for a reader of datagrams")
    }

    fn try_send_datagram(&self, datagram: &Datagram) -> bool {
        let mut inner = self.0.lock();
        let has_room = inner.0 > 0;
        if has_room {
            inner.0 -= 1;
            inner.1.push(datagram.clone());
        }
        has_room
    }
}

/// What the reader's task takes when its permit allows it.
fn taken(reader: &Reader) -> Vec<Datagram> {
    let mut datagrams = Vec::new();
    while write_permit(reader) == WritePermit::Granted {
        reader.take_datagrams(1, |datagram| datagrams.push(datagram));
    }
    datagrams
}

fn now() -> Now {
    Now { instant: std::time::Instant::now(), utc: UtcMicros(0) }
}

/// Publishes two audio tracks, whose packets the hub does not parse.
fn publish_sound() -> (Arc<Hub>, Publication) {
    let hub = Arc::new(Hub::default());
    let track = "m=audio 0 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n";
    let description = Description::parse(format!("v=0\r\n{track}{track}").as_bytes()).unwrap();
    let publication = hub.publish("sound", description, Terms::default()).unwrap();
    (hub, publication)
}

#[test]
fn a_joiner_gets_the_report_and_the_group_as_datagrams_and_then_what_comes() {
    let mut world = World::new(false);
    let mut published: Vec<Bytes> = Vec::new();
    for at in 0..5 {
        let picture = world.picture(at == 0, 5000);
        published.extend(picture.packets().iter().map(|packet| picture.packet(packet)));
        world.push(&picture);
    }
    let port = Arc::new(Port::default());
    port.set_available(usize::MAX);
    let outlet = Some(Arc::clone(&port) as Arc<dyn Outlet>);
    let reader = Arc::new(Reader::new(Framing::Datagram(vec![true]), outlet));
    world.hub.find("live").unwrap().join(Arc::clone(&reader), world.now);
    let burst = taken(&reader);
    let (report, group) = burst.split_first().unwrap();
    assert!(report.rtcp && rtcp::parse(&report.packet).is_ok(), "{report:?}");
    assert!(group.iter().all(|datagram| datagram.track == 0 && !datagram.rtcp));
    assert_eq!(group.iter().map(|datagram| datagram.packet.clone()).collect::<Vec<_>>(), published);
    // From now on the publisher's task sends, without copying what was read.
    let picture = world.picture(false, 5000);
    world.push(&picture);
    let sent = port.take();
    assert_eq!(sent.len(), picture.packets().len());
    for (datagram, packet) in sent.iter().zip(picture.packets()) {
        assert_eq!(datagram.packet.as_ptr(), picture.packet(packet).as_ptr(), "not a copy");
        assert_eq!(datagram.packet, picture.packet(packet));
    }
    let bytes: usize = sent.iter().map(|datagram| datagram.packet.len()).sum();
    assert_eq!((reader.sent_bytes(), reader.metrics().depth), (bytes as u64, 0));
}

#[test]
fn readers_of_datagrams_that_wait_share_one_copy() {
    let (hub, publication) = publish_sound();
    let join = || {
        let reader = Arc::new(Reader::new(Framing::Datagram(vec![true, true]), None));
        hub.find("sound").unwrap().join(Arc::clone(&reader), now());
        reader
    };
    let readers = [join(), join()];
    let batch = Batch::of_packets([(0, false, &b"one"[..]), (1, false, b"two")]);
    publication.push(&batch, now()).deliver();
    let [first, second] = readers.map(|reader| taken(&reader));
    assert!(first.len() == 2 && first == second);
    let pointers = |datagrams: &[Datagram]| datagrams.iter().map(|of| of.packet.as_ptr()).collect::<Vec<_>>();
    assert_eq!(pointers(&first), pointers(&second));
}

#[test]
fn readers_of_datagrams_learn_the_end_of_a_lost_publisher() {
    let (hub, publication) = publish_sound();
    let reader = Arc::new(Reader::new(Framing::Datagram(vec![true]), None));
    hub.find("sound").unwrap().join(Arc::clone(&reader), now());
    publication.push(&Batch::of_packets([(0, false, &b"last"[..])]), now()).deliver();
    drop(publication);
    assert_eq!(taken(&reader).len(), 1);
    assert_eq!(write_permit(&reader), WritePermit::Ended);
    assert!(reader.channels().is_empty());
}

proptest! {
    /// Holds for any batches, with frames of no track between, whatever the socket accepts at a time and whenever the
    /// task runs.
    #[test]
    fn datagrams_are_what_was_published_in_its_order(
        reads in prop::collection::vec(
            (
                prop::collection::vec((0..5u8, prop::collection::vec(any::<u8>(), 0..40)), 1..12),
                prop_oneof![0..12usize, Just(usize::MAX)],
                any::<bool>(),
            ),
            1..20,
        ),
        tracks in prop_oneof![Just(vec![true, true]), Just(vec![false, true]), Just(vec![true])],
        has_outlet in any::<bool>(),
    ) {
        let (hub, publication) = publish_sound();
        let port = Arc::new(Port::default());
        let outlet = has_outlet.then(|| Arc::clone(&port) as Arc<dyn Outlet>);
        let framing = Framing::Datagram(tracks.clone());
        let reader = Arc::new(Reader::new(framing, outlet));
        let at = now();
        hub.find("sound").unwrap().join(Arc::clone(&reader), at);
        let (mut got, mut expected) = (Vec::new(), Vec::new());
        for (frames, available, task_runs) in reads {
            let whole: Vec<u8> =
                frames.iter().flat_map(|(channel, packet)| interleave::frame(*channel, packet).to_vec()).collect();
            // Channel 4 belongs to no track.
            let kind_of = |channel: u8| (channel < 4).then_some((usize::from(channel / 2), channel % 2 == 1));
            let batch = Batch::interleaved(whole.into(), kind_of);
            for packet in batch.packets() {
                if tracks.get(packet.track) == Some(&true) {
                    expected.push((packet.track, packet.rtcp, batch.packet(packet)));
                }
            }
            port.set_available(available);
            publication.push(&batch, at).deliver();
            got.extend(port.take());
            if task_runs {
                got.extend(taken(&reader));
            }
        }
        got.extend(taken(&reader));
        let got: Vec<_> = got.into_iter().map(|datagram| (datagram.track, datagram.rtcp, datagram.packet)).collect();
        // The hub inserts sender reports where a payload looks like RTP.
        let got: Vec<_> = got.into_iter().filter(|of| expected.contains(of)).collect();
        prop_assert_eq!(got, expected);
    }
}
