//! What passes between a stream and its publisher beside packets.

/// What the hub wants of a publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublisherRequest {
    /// An IRAP picture of this track and SSRC.
    Keyframe {
        /// Index of the track.
        track: usize,
        /// The SSRC by which the publisher knows it.
        ssrc: u32,
    },
    /// To send no more than this.
    Limit {
        /// Index of the track.
        track: usize,
        /// The SSRC by which the publisher knows it.
        ssrc: u32,
        /// The most that readers take.
        bits_per_s: u64,
    },
    /// To go: another has taken over.
    Leave,
}

/// Why a publisher cannot take over a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotResumed {
    /// Its publisher is there.
    Live,
    /// It is lost, but its tracks were others.
    Different,
}
