//! Packets on a track's RTP channel that are not the track's media: RTCP, and other payload formats of the description.

use std::sync::Arc;

use bytes::Bytes;
use hevcast_wire::rtp::rtcp;
use hevcast_wire::rtsp::sdp::Description;
use hevcast_wire::rtsp::transport::Channels;

use super::tests::{World, batch, taken};
use super::{Hub, Terms};

#[test]
fn rtcp_on_the_channel_of_rtp_reaches_readers_on_their_own() {
    let mut world = World::new(false);
    world.publish(true);
    let reader = world.join(Channels { rtp: 4, rtcp: 5 });
    taken(&reader);
    let picture = world.picture(false, 100);
    let report = rtcp::receiver_report(1, 2, "t", &Default::default());
    let packets = picture.packets().iter().map(|packet| picture.packet(packet));
    world.push(&batch([Bytes::from(report.to_vec())].into_iter().chain(packets)));
    let channels: Vec<u8> = taken(&reader).iter().map(|frame| frame.channel()).collect();
    assert_eq!((channels[0], channels[1]), (5, 4), "{channels:?}");
}

#[test]
fn packets_of_another_format_begin_no_group() {
    let hub = Arc::new(Hub::default());
    let sdp = b"m=video 0 RTP/AVP 96 97\r\na=rtpmap:96 H265/90000\r\na=rtpmap:97 rtx/90000\r\n";
    let publication = hub.publish("live", Description::parse(sdp).unwrap(), Terms::default()).unwrap();
    let mut world = World::new(false);
    let picture = world.picture(true, 600);
    let typed = |of: u8| {
        let packets = picture.packets().iter().map(|packet| {
            let mut bytes = picture.packet(packet).to_vec();
            bytes[1] = bytes[1] & 0x80 | of;
            Bytes::from(bytes)
        });
        batch(packets)
    };
    publication.push(&typed(97), world.now).deliver();
    assert_eq!(publication.stream().metrics().keyframes, 0);
    publication.push(&typed(96), world.now).deliver();
    assert_eq!(publication.stream().metrics().keyframes, 1);
}
