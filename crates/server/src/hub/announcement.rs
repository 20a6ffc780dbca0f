//! The description that a stream's publisher announced, and its SDP text for readers.

use std::sync::Arc;

use bytes::Bytes;
use hevcast_wire::rtsp::sdp::Description;
use hevcast_wire::{CodecId, ParameterSets};

use crate::budget::Reservation;

/// The description in effect, with the parameter sets that came in band since it was announced.
#[derive(Debug)]
pub(super) struct Announcement {
    description: Arc<Description>,
    /// The index of the video track, stored since every read needs it.
    video_track: Option<usize>,
    /// The description as SDP for readers, written once for all of them.
    sdp: Bytes,
    /// Counts the memory of the description in the budget.
    _reservation: Reservation,
}

impl Announcement {
    /// The announcement of a description whose memory is reserved.
    pub(super) fn new(description: Description, reservation: Reservation) -> Announcement {
        let video_track = description.video_track().map(|(track, _)| track);
        Announcement {
            video_track,
            sdp: description.for_readers(),
            description: Arc::new(description),
            _reservation: reservation,
        }
    }

    /// The parsed description, shared so that it can be used without a lock.
    pub(super) fn description(&self) -> &Arc<Description> {
        &self.description
    }

    /// The description as SDP for readers.
    pub(super) fn sdp(&self) -> &Bytes {
        &self.sdp
    }

    /// The index of the track whose pictures the hub parses: the first H.265 track, otherwise the first H.264 track.
    pub(super) fn video_track(&self) -> Option<usize> {
        self.video_track
    }

    /// Whether the publisher announced that it obeys bit rate limits for the video track (TMMBR, RFC 5104).
    pub(super) fn takes_rate_requests(&self) -> bool {
        self.description.video_track().is_some_and(|(_, track)| track.rate_requests)
    }

    /// Whether the publisher announced that it answers keyframe requests for the video track (PLI, RFC 4585).
    pub(super) fn takes_keyframe_requests(&self) -> bool {
        self.description.video_track().is_some_and(|(_, track)| track.keyframe_requests)
    }

    /// The parameter sets in the description; empty without a video track.
    pub(super) fn parameter_sets(&self) -> &ParameterSets {
        static NONE: ParameterSets = ParameterSets::new(CodecId::H265);
        self.description.video_track().map_or(&NONE, |(_, track)| &track.parameter_sets)
    }

    /// Whether readers that know this description can continue with a publisher of the other one, since the tracks are
    /// the same.
    pub(super) fn is_continued_by(&self, other: &Description) -> bool {
        let (before, after) = (self.description.tracks(), other.tracks());
        before.len() == after.len() && before.iter().zip(after).all(|(before, after)| before.is_like(after))
    }

    /// Puts parameter sets that came in band into the description and its text.
    pub(super) fn set_parameter_sets(&mut self, track: usize, sets: &ParameterSets) {
        self.description = Arc::new(self.description.with_parameter_sets(track, sets));
        self.sdp = self.description.for_readers();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::{Budget, Kind};

    fn announced(sdp: &str, budget: &Arc<Budget>) -> Announcement {
        Announcement::new(Description::parse(sdp.as_bytes()).unwrap(), budget.reserve(Kind::Streams, 100).unwrap())
    }

    const VIDEO: &str = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H265/90000\r\n";
    const SOUND: &str = "m=audio 0 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n";

    #[test]
    fn readers_go_on_where_the_tracks_are_the_same() {
        let budget = Arc::default();
        let announcement = announced(VIDEO, &budget);
        for (sdp, expected) in [
            (VIDEO.to_owned(), true),
            (VIDEO.replace("96", "97"), false),
            (VIDEO.replace("H265", "H264"), false),
            (SOUND.to_owned(), false),
            (format!("{VIDEO}{SOUND}"), false),
            (format!("s=another name\r\n{VIDEO}"), true),
        ] {
            let other = Description::parse(sdp.as_bytes()).unwrap();
            assert_eq!(announcement.is_continued_by(&other), expected, "{sdp}");
        }
        drop(announcement);
        assert_eq!(budget.usage().used_bytes, 0, "its reservation goes with it");
    }

    #[test]
    fn parameter_sets_that_came_later_are_in_the_description_and_in_its_text() {
        let mut announcement = announced(VIDEO, &Arc::default());
        assert_eq!(announcement.video_track(), Some(0));
        let before = announcement.sdp().clone();
        let mut sets = ParameterSets::default();
        for nal in super::super::returning_tests::PARAMETER_SETS {
            sets.update(&Bytes::from_static(nal));
        }
        announcement.set_parameter_sets(0, &sets);
        assert_eq!(announcement.parameter_sets(), &sets);
        assert!(*announcement.sdp() != before && *announcement.sdp() == announcement.description().for_readers());
        let sound = announced(SOUND, &Arc::default());
        assert!(sound.video_track().is_none() && !sound.parameter_sets().is_complete());
    }
}
