//! Tests publisher and player with an independent server, over the loopback.

use std::time::Duration;

use bytes::Bytes;
use hevcast_wire::time::RtpTicks;
use hevcast_wire::{CodecId, CodedFrame};

use super::play::Played;
use super::relay::Relay;
use super::{Player, Publisher};
use crate::{Clock, NetError, Target};

/// Parameter sets of x265 for 640x480 at 30 pictures per second.
const VPS: &[u8] = &[
    0x40, 0x01, 0x0c, 0x01, 0xff, 0xff, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03,
    0x00, 0x5a, 0x92, 0x80, 0x90,
];
const SPS: &[u8] = &[
    0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x5a, 0xa0,
    0x05, 0x02, 0x01, 0xe1, 0x65, 0x92, 0xa4, 0x93, 0x2b, 0xc0, 0x5a, 0x02, 0x00, 0x00, 0x03, 0x00, 0x02, 0x00, 0x00,
    0x03, 0x00, 0x3c, 0x10,
];
const PPS: &[u8] = &[0x44, 0x01, 0xc1, 0x72, 0xb4, 0x62, 0x40];
/// An SEI message before the slices, like the one with the capture time.
const SEI: &[u8] = &[0x4e, 0x01, 0x05, 0x02, 0x11, 0x22, 0x80];

fn target(relay: &Relay, path: &str) -> Target {
    Target::parse(&format!("rtmp://{}/{path}", relay.address)).unwrap()
}

/// The picture with this number: every tenth is an IDR picture with its parameter sets.
fn picture(number: usize) -> CodedFrame {
    let is_idr = number.is_multiple_of(10);
    let mut nals = if is_idr { vec![VPS, SPS, PPS, SEI] } else { vec![SEI] };
    let mut slice = vec![if is_idr { 0x28 } else { 0x02 }, 0x01, 0xaf, number as u8];
    // Larger than several chunks.
    slice.resize(if is_idr { 200_000 } else { 3000 }, 0x55);
    nals.push(&slice);
    let nals = nals.into_iter().map(Bytes::copy_from_slice).collect();
    CodedFrame::new(CodecId::H265, RtpTicks(number as u32 * 3600), nals)
}

/// The next picture; fails on anything else except messages without a picture.
async fn next(player: &mut Player) -> CodedFrame {
    loop {
        match player.next().await.unwrap() {
            Played::Picture(frame) if frame.meta.lost_before == 0 => return frame,
            Played::Other => {}
            other => panic!("{other:?}"),
        }
    }
}

async fn publish(publisher: &mut Publisher, number: usize) {
    publisher.queue(&picture(number)).unwrap();
    while !publisher.is_drained() {
        publisher.next_event().await.unwrap();
    }
}

#[tokio::test]
async fn pictures_pass_through_a_foreign_server_in_order() {
    let mut relay = Relay::start().await;
    let clock = Clock::default();
    let target = target(&relay, "live/inst/cam?key=1");
    let mut publisher = Publisher::connect(&target, "hevcast/0", clock).await.unwrap();
    let mut player = Player::connect(&target, "hevcast/0", clock).await.unwrap();
    publish(&mut publisher, 3).await;
    for number in 10..45 {
        publish(&mut publisher, number).await;
    }
    let described = relay.metadata.recv().await.unwrap();
    assert_eq!((described.video_width, described.video_height), (Some(640), Some(480)));
    for number in 10..45 {
        let unit = next(&mut player).await;
        assert_eq!(unit.nals, picture(number).nals, "picture {number}");
        assert_eq!(unit.timestamp, RtpTicks((number as u32 - 10) * 40 * 90));
    }
    assert!(publisher.sent_bytes() > 800_000 && player.received_bytes() > 800_000);
    let mut late = Player::connect(&target, "hevcast/0", clock).await.unwrap();
    // After the beginning of the stream, in which a SequenceStart is not repeated.
    for number in 95..102 {
        publish(&mut publisher, number).await;
    }
    // Messages before the first parameter sets contain no picture that can be decoded.
    let first = next(&mut late).await;
    assert_eq!((first.parameter_sets().is_complete(), first.nals), (true, picture(100).nals));
    player.close().await;
    publisher.close().await;
}

#[tokio::test]
async fn the_same_goes_under_tls() {
    let (relay, pin) = Relay::start_secure().await;
    let clock = Clock::default();
    let url = format!("rtmps://{}/live/cam#pin={pin}", relay.address);
    let target = Target::parse(&url).unwrap();
    let mut publisher = Publisher::connect(&target, "hevcast/0", clock).await.unwrap();
    let mut player = Player::connect(&target, "hevcast/0", clock).await.unwrap();
    for number in 0..5 {
        publish(&mut publisher, number).await;
        assert_eq!(next(&mut player).await.nals, picture(number).nals, "picture {number}");
    }
    publisher.close().await;
    let other = Target::parse(&format!("rtmps://{}/live/cam#pin={}", relay.address, "ab".repeat(32))).unwrap();
    let refused = Player::connect(&other, "hevcast/0", clock).await.unwrap_err();
    assert!(refused.to_string().contains("its certificate is another"), "{refused}");
}

#[tokio::test]
async fn a_login_is_proved_where_it_is_asked_for() {
    let relay = Relay::start().await;
    let connect = async |login: &str| {
        let target = Target::parse(&format!("rtmp://{login}{}/locked/cam", relay.address)).unwrap();
        Publisher::connect(&target, "hevcast/0", Clock::default()).await
    };
    connect("cam:secret@").await.unwrap();
    for (login, words) in [("", "wants a login"), ("cam:guess@", "refused the login")] {
        let error = connect(login).await.unwrap_err();
        assert!(!error.is_temporary() && error.to_string().contains(words), "{error}");
        assert!(!error.to_string().contains("guess"));
    }
}

#[tokio::test]
async fn a_refused_publisher_gets_the_reason() {
    let relay = Relay::start().await;
    let refused = Publisher::connect(&target(&relay, "live/taken"), "hevcast/0", Clock::default()).await;
    let error = refused.unwrap_err();
    assert!(matches!(error, NetError::Rtmp(_)) && error.is_temporary(), "{error}");
    let error = error.to_string();
    assert!(
        error.contains("/live/taken: the server refused to publish: NetStream.Publish.BadName: Somebody"),
        "{error}"
    );
}

#[tokio::test]
async fn a_port_of_another_protocol_is_reported() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = Target::parse(&format!("rtmp://{}/live/x", listener.local_addr().unwrap())).unwrap();
    let serve = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut socket, b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        socket
    };
    let (socket, refused) = tokio::join!(serve, Player::connect(&target, "hevcast/0", Clock::default()));
    assert!(refused.unwrap_err().to_string().contains("does not speak RTMP"));
    drop(socket);
}

#[tokio::test]
async fn cancelled_polls_lose_nothing() {
    let relay = Relay::start().await;
    let clock = Clock::default();
    let target = target(&relay, "live/cam");
    let mut publisher = Publisher::connect(&target, "hevcast/0", clock).await.unwrap();
    let mut player = Player::connect(&target, "hevcast/0", clock).await.unwrap();
    let sending = async {
        for number in 0..30 {
            publisher.queue(&picture(number)).unwrap();
            while !publisher.is_drained() {
                let _ = tokio::time::timeout(Duration::from_micros(50), publisher.next_event()).await;
            }
        }
        publisher
    };
    let receiving = async {
        let mut units = Vec::new();
        while units.len() < 30 {
            if let Ok(played) = tokio::time::timeout(Duration::from_micros(50), player.next()).await
                && let Played::Picture(unit) = played.unwrap()
            {
                units.push(unit);
            }
        }
        units
    };
    let (_publisher, units) = tokio::join!(sending, receiving);
    for (number, unit) in units.into_iter().enumerate() {
        assert_eq!(unit.nals, picture(number).nals, "picture {number}");
    }
}

#[tokio::test]
async fn a_close_without_a_reason_says_what_the_server_may_require() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = Target::parse(&format!("rtmp://{}/live/x?key=wrong", listener.local_addr().unwrap())).unwrap();
    let server = tokio::spawn(async move {
        // One server reads the input and closes, the next closes at once.
        for reads in [true, false] {
            let (mut socket, _) = listener.accept().await.unwrap();
            if reads {
                tokio::io::AsyncReadExt::read(&mut socket, &mut [0; 4096]).await.unwrap();
            }
        }
    });
    let published = Publisher::connect(&target, "hevcast/0", Clock::default()).await.map(|_| ()).unwrap_err();
    let played = Player::connect(&target, "hevcast/0", Clock::default()).await.map(|_| ()).unwrap_err();
    for (error, word) in [(published, "somebody may publish there"), (played, "key, login or name")] {
        assert!(matches!(error, NetError::ClosedAtStart { .. }) && error.is_temporary(), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(word) && !text.contains("wrong"), "{text}");
    }
    server.await.unwrap();
}
