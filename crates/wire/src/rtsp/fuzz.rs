//! Bodies of the fuzz targets of this module; the targets in `fuzz/` only call them.

use bytes::BytesMut;

use super::message::{Inbound, MAX_BODY_BYTES, MAX_HEADER_BYTES, MessageDecoder};
use super::sdp::{Description, MAX_TRACKS};
use super::transport::Transport;

/// A connection's bytes: whatever they are, decoding ends, keeps to its bounds, and never panics.
pub fn message(data: &[u8]) {
    let mut decoder = MessageDecoder::default();
    let mut buffer = BytesMut::from(data);
    loop {
        let before = buffer.len();
        match decoder.decode(&mut buffer) {
            Ok(Some(Inbound::Request(request))) => {
                assert!(request.body().len() <= MAX_BODY_BYTES);
                if let Some(header) = super::message::header(&request, &rtsp_types::headers::TRANSPORT)
                    && let Ok(transport) = Transport::parse(header)
                {
                    assert_eq!(Transport::parse(&transport.header()), Ok(transport));
                }
            }
            Ok(Some(Inbound::Response(response))) => assert!(response.body().len() <= MAX_BODY_BYTES),
            Ok(Some(Inbound::Frame(frame))) => assert_eq!(frame.framed.len(), frame.packet().len() + 4),
            Ok(None) => {
                assert!(buffer.len() < MAX_HEADER_BYTES + MAX_BODY_BYTES);
                break;
            }
            Err(_) => break,
        }
        assert!(buffer.len() < before, "decoding makes progress");
    }
}

/// A session description: whatever parses can be rewritten for readers and parses again with the same tracks.
pub fn sdp(data: &[u8]) {
    let Ok(description) = Description::parse(data) else { return };
    assert!((1..=MAX_TRACKS).contains(&description.tracks().len()));
    let rewritten = Description::parse(&description.for_readers()).expect("what we write, we read");
    assert_eq!(rewritten.tracks().len(), description.tracks().len());
    for (ours, theirs) in rewritten.tracks().iter().zip(description.tracks()) {
        assert_eq!((ours.payload_type, ours.is_hevc()), (theirs.payload_type, theirs.is_hevc()));
    }
    let _ = description.offer();
}

#[cfg(test)]
mod tests {
    use crate::test_corpus::replay;

    #[test]
    fn the_corpora_of_rtsp_have_no_findings() {
        assert!(replay("rtsp_message", super::message) > 0);
        assert!(replay("sdp", super::sdp) > 0);
    }
}
