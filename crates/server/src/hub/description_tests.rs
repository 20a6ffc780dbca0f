//! The description for readers is written once, however many readers request it.

use std::sync::Arc;

use hevcast_wire::rtsp::sdp::Description;

use super::{Hub, PublishRefused, Terms};

fn described(tool: &str) -> Description {
    let text = format!("v=0\r\ns=-\r\nt=0 0\r\na=tool:{tool}\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H265/90000\r\n");
    Description::parse(text.as_bytes()).unwrap()
}

#[test]
fn a_description_is_written_once_and_anew_for_another_publisher() {
    let hub = Arc::new(Hub::default());
    let first = hub.publish("live", described("one"), Terms::default()).unwrap();
    let stream = hub.find("live").unwrap();
    let (once, again) = (stream.description_for_readers(), stream.description_for_readers());
    assert_eq!(once, stream.description().for_readers());
    assert_eq!(once.as_ptr(), again.as_ptr(), "the same bytes for all");
    let second = hub.publish("live", described("two"), Terms { takeover: true, ..Terms::default() }).unwrap();
    let after = stream.description_for_readers();
    assert!(after != once);
    assert_eq!(after, stream.description().for_readers());
    drop((first, second));
}

#[test]
fn a_refused_publisher_is_refused_before_its_description_is_parsed() {
    let hub = Arc::new(Hub::default());
    let terms = Terms { max_streams: 1, ..Terms::default() };
    assert_eq!(hub.may_publish("live", &terms), Ok(()));
    let first = hub.publish("live", described("one"), terms.clone()).unwrap();
    for (path, takeover, expected) in [
        ("live", false, Err(PublishRefused::Taken)),
        ("live", true, Ok(())),
        // The present stream has had no media, and would be ended for the new one.
        ("other", false, Ok(())),
    ] {
        let terms = Terms { takeover, ..terms.clone() };
        assert_eq!(hub.may_publish(path, &terms), expected, "{path} {takeover}");
    }
    first.abandon();
    assert_eq!(hub.may_publish("live", &terms), Ok(()), "its return");
}
