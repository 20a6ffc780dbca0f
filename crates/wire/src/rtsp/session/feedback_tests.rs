//! What a server's feedback is to a publisher.

use super::publisher::{PublisherEvent, PublisherSession};
use super::tests::{Server, World, converse, decode, description, drain, url};
use crate::rtp::{interleave, rtcp, tmmbr};
use crate::session::Session;

#[test]
fn keyframe_and_rate_requests_are_reported_once_and_the_latter_answered() {
    let mut world = World::new(0);
    let mut server = Server::new(&world);
    let mut publisher = PublisherSession::new(url(), None, "test", description(), world.client());
    converse!(publisher, server, world).unwrap();
    assert!(matches!(publisher.poll_event(), Some(PublisherEvent::Recording(_))));

    let pli = interleave::frame(1, &rtcp::pli(1, 2));
    for message in decode(&pli.repeat(3)) {
        publisher.handle_input(message, world.client()).unwrap();
    }
    assert_eq!(publisher.poll_event(), Some(PublisherEvent::KeyframeRequested));
    assert_eq!(publisher.poll_event(), None, "requests in one read are one request");

    let limits = [900_000, 800_000].map(|bps| interleave::frame(1, &tmmbr::tmmbr(1, 2, bps)));
    for message in decode(&limits.concat()) {
        publisher.handle_input(message, world.client()).unwrap();
    }
    assert_eq!(publisher.poll_event(), Some(PublisherEvent::RateLimited(800_000)));
    assert_eq!(publisher.poll_event(), None, "the newest limit is the one");
    let answers = [900_000, 800_000].map(|bps| interleave::frame(1, &tmmbr::tmmbn(2, 1, bps)));
    assert_eq!(drain(|| publisher.poll_transmit()), answers.concat());
}
