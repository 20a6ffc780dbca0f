//! Gathering: where many read a stream, the packets of a picture that has begun to arrive wait for its end, so that each
//! reader gets the picture in one write.
//!
//! A publisher that writes each RTP packet by itself, as FFmpeg does, wakes the server with the first one. Passed on at
//! once, that one costs every reader a write of its own, and a write of 1 KiB takes the system nearly as long as one of
//! 16 KiB. The rule: from [`MANY_READERS`] on, what has come of a picture waits for the picture's last packet, which has
//! the RTP marker (RFC 7798 section 4.1, RFC 6184 section 5.1), at most for [`GATHERING_TIME`] and at most for
//! [`GATHERED_BYTES`]. A picture that is there as a whole never waits, nor does what belongs to no picture, nor anything
//! where fewer read. A picture's last packet is not delayed, so that no picture is decoded later.
//!
//! What waits stays unparsed in the connection's receive buffer, and becomes one [`Batch`](super::batch::Batch) with what
//! follows: the rest of the hub sees a larger read.

use std::time::{Duration, Instant};

use hevcast_wire::rtp::interleave::{self, HEADER_LEN};

use super::batch;

/// From how many readers on packets are gathered.
pub const MANY_READERS: usize = 16;
/// How long the packets of a picture wait for its end. The timer of the connection's task adds up to a millisecond.
pub const GATHERING_TIME: Duration = Duration::from_millis(1);
/// How many bytes may wait: as many as one read brings.
pub const GATHERED_BYTES: usize = 64 * 1024;

/// What of a publisher's input waits for the end of its picture.
#[derive(Debug, Default)]
pub struct Gathering {
    /// The interleaved channel of the video track's RTP packets; `None` without one, and then nothing waits.
    video_channel: Option<u8>,
    /// By when what waits is to be forwarded; `None` while nothing waits.
    until: Option<Instant>,
}

impl Gathering {
    /// Nothing waits. Pictures are those of this interleaved channel.
    pub fn of(video_channel: Option<u8>) -> Gathering {
        Gathering { video_channel, until: None }
    }

    /// Whether the frames at the front of the input, which has just grown or is looked at because the time is
    /// [over](Gathering::until), must wait. Otherwise all of them are to be forwarded now. `readers` is asked for the
    /// number of the stream's readers where that matters.
    pub fn holds(&mut self, input: &[u8], readers: impl FnOnce() -> usize, now: Instant) -> bool {
        let until = self.until.unwrap_or(now + GATHERING_TIME);
        let is_held =
            input.len() < GATHERED_BYTES && self.ends_amid_picture(input) && now < until && readers() >= MANY_READERS;
        self.until = is_held.then_some(until);
        is_held
    }

    /// By when [`holds`](Gathering::holds) must be called again; `None` while nothing waits.
    pub fn until(&self) -> Option<Instant> {
        self.until
    }

    /// Whether the last picture in the whole frames at the front of the input has not come to its end; false where
    /// there is no part of a picture.
    fn ends_amid_picture(&self, input: &[u8]) -> bool {
        let of_video = |&(channel, _): &(u8, _)| Some(channel) == self.video_channel;
        let packets = interleave::frames(input).filter(of_video).map(|(_, frame)| &input[frame][HEADER_LEN..]);
        packets.filter(|packet| !batch::is_rtcp(packet)).last().is_some_and(|packet| !batch::is_marked(packet))
    }
}

#[cfg(test)]
#[path = "gathering_tests.rs"]
mod tests;
