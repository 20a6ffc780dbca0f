//! How packets are framed for a reader when they leave the hub: as interleaved frames, or as datagrams.
//!
//! In the hub, packets are ranges of shared bytes, with a header of
//! [`HEADER_LEN`](hevcast_wire::rtp::interleave::HEADER_LEN) bytes in front of each. From a publisher on an RTSP
//! connection that is the header of the interleaved frame in which the packet came, so that the result of one read can
//! be passed by reference to readers on the same channels. For every other reader the header only tells, by its
//! channel, to which track the packet belongs and whether it is RTCP, and its length; a `Reframing` turns it into what
//! that reader gets.

use std::sync::Arc;

use bytes::Bytes;
use hevcast_wire::rtsp::transport::Channels;

/// How a reader gets its packets, and of which tracks. Readers with the same framing share the framed bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Framing {
    /// As interleaved frames on the RTSP connection (RFC 2326 section 10.12), with the channels of each track; `None`
    /// for tracks that the reader did not set up.
    Interleaved(Vec<Option<Channels>>),
    /// Each packet as one datagram. For each track, whether the reader set it up.
    Datagram(Vec<bool>),
}

/// One packet for an outlet that sends datagrams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// The index of the track in the description.
    pub track: usize,
    /// Whether the packet is RTCP, which is sent to a port of its own (RFC 3550 section 11).
    pub rtcp: bool,
    /// The bytes of the packet, a slice of the stored bytes.
    pub packet: Bytes,
}

/// The meaning of a channel number in the stored header of packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StoredChannel {
    /// The channel number in the stored header.
    pub channel: u8,
    /// The index of the track to which its packets belong.
    pub track: usize,
    /// Whether its packets are RTCP.
    pub rtcp: bool,
}

impl StoredChannel {
    /// The channel for packets of this kind where the publisher's connection determined none; it is unique, since there
    /// are at most 16 tracks.
    pub(super) fn own(track: usize, rtcp: bool) -> StoredChannel {
        StoredChannel { channel: (track * 2) as u8 | u8::from(rtcp), track, rtcp }
    }
}

/// How stored packets are framed anew, for readers that do not get them as they are stored.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reframing {
    /// As frames on other channels, or fewer of them: pairs of the stored channel and the reader's, `None` where the
    /// reader does not get the packets.
    Interleaved(Vec<(u8, Option<u8>)>),
    /// As datagrams: pairs of the stored channel and its meaning, `None` where the reader does not get the packets.
    Datagrams(Vec<(u8, Option<StoredChannel>)>),
}

/// The second value of the pair with this stored channel.
fn find<T: Copy>(pairs: &[(u8, Option<T>)], channel: u8) -> Option<T> {
    pairs.iter().find(|(stored, _)| *stored == channel).and_then(|(_, target)| *target)
}

impl Reframing {
    /// The reader's channel for packets of a stored channel; `None` where the reader does not get them as frames.
    pub(super) fn channel(&self, stored: u8) -> Option<u8> {
        match self {
            Reframing::Interleaved(pairs) => find(pairs, stored),
            Reframing::Datagrams(_) => None,
        }
    }

    /// The track of a stored channel's packets, and whether they are RTCP; `None` where the reader does not get them as
    /// datagrams.
    pub(super) fn datagram(&self, stored: u8) -> Option<(usize, bool)> {
        match self {
            Reframing::Interleaved(_) => None,
            Reframing::Datagrams(pairs) => find(pairs, stored).map(|of| (of.track, of.rtcp)),
        }
    }

    /// Whether the reader gets packets of a stored channel.
    pub(super) fn takes(&self, stored: u8) -> bool {
        self.channel(stored).is_some() || self.datagram(stored).is_some()
    }

    /// Whether the reader gets packets of none of the stored channels.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Reframing::Interleaved(pairs) => pairs.iter().all(|(_, target)| target.is_none()),
            Reframing::Datagrams(pairs) => pairs.iter().all(|(_, target)| target.is_none()),
        }
    }

    /// Whether the reader gets each packet as a datagram.
    pub(super) fn is_datagrams(&self) -> bool {
        matches!(self, Reframing::Datagrams(_))
    }
}

impl Framing {
    /// The interleaved channels, by track; empty where the reader gets datagrams.
    pub fn channels(&self) -> &[Option<Channels>] {
        match self {
            Framing::Interleaved(channels) => channels,
            Framing::Datagram(_) => &[],
        }
    }

    /// Whether the reader set this track up, so that it gets its packets.
    pub fn takes(&self, track: usize) -> bool {
        match self {
            Framing::Interleaved(channels) => channels.get(track).is_some_and(Option::is_some),
            Framing::Datagram(tracks) => tracks.get(track).copied().unwrap_or_default(),
        }
    }

    /// The reader's channel for packets of this kind; `None` where it has none.
    fn channel(&self, track: usize, rtcp: bool) -> Option<u8> {
        let pair = self.channels().get(track).copied().flatten()?;
        Some(if rtcp { pair.rtcp } else { pair.rtp })
    }

    /// The stored channel for packets that the hub makes for this reader alone, chosen so that they need not be
    /// reframed.
    pub(super) fn stored_channel(&self, track: usize, rtcp: bool) -> StoredChannel {
        let own = StoredChannel::own(track, rtcp);
        StoredChannel { channel: self.channel(track, rtcp).unwrap_or(own.channel), ..own }
    }

    /// How packets on these stored channels are framed anew for the reader; `None` where they leave as they are stored.
    pub(super) fn reframing(&self, stored: &[StoredChannel]) -> Option<Arc<Reframing>> {
        match self {
            Framing::Interleaved(_) => {
                let own = |of: &StoredChannel| (of.channel, self.channel(of.track, of.rtcp));
                if stored.iter().map(own).all(|(stored, target)| Some(stored) == target) {
                    return None;
                }
                Some(Arc::new(Reframing::Interleaved(stored.iter().map(own).collect())))
            }
            Framing::Datagram(_) => {
                let own = |of: &StoredChannel| (of.channel, Some(*of).filter(|of| self.takes(of.track)));
                Some(Arc::new(Reframing::Datagrams(stored.iter().map(own).collect())))
            }
        }
    }
}

impl From<Vec<Option<Channels>>> for Framing {
    /// Interleaved frames on these channels, by track.
    fn from(channels: Vec<Option<Channels>>) -> Framing {
        Framing::Interleaved(channels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIDEO: StoredChannel = StoredChannel { channel: 8, track: 0, rtcp: false };
    const REPORTS: StoredChannel = StoredChannel { channel: 9, track: 0, rtcp: true };
    const SOUND: StoredChannel = StoredChannel { channel: 4, track: 1, rtcp: false };

    fn interleaved(pairs: &[Option<(u8, u8)>]) -> Framing {
        pairs.iter().map(|pair| pair.map(|(rtp, rtcp)| Channels { rtp, rtcp })).collect::<Vec<_>>().into()
    }

    #[test]
    fn on_the_publishers_channels_packets_leave_as_they_are_stored() {
        let framing = interleaved(&[Some((8, 9)), Some((4, 5))]);
        assert_eq!(framing.reframing(&[VIDEO, REPORTS, SOUND]), None);
        let made = framing.stored_channel(1, true);
        assert_eq!((made.channel, framing.reframing(&[made])), (5, None), "what is made for one reader, too");
    }

    #[test]
    fn other_channels_and_fewer_tracks_are_a_reframing() {
        let reframing = interleaved(&[Some((0, 1))]).reframing(&[VIDEO, REPORTS, SOUND]).unwrap();
        let channels = [8, 9, 4, 77].map(|stored| reframing.channel(stored));
        assert_eq!(channels, [Some(0), Some(1), None, None]);
        assert!(reframing.takes(8) && !reframing.takes(4) && !reframing.is_empty() && !reframing.is_datagrams());
        let fewer = interleaved(&[Some((8, 9))]).reframing(&[SOUND]).unwrap();
        assert!(fewer.is_empty());
    }

    #[test]
    fn datagrams_are_named_by_track_and_kind() {
        let framing = Framing::Datagram(vec![true]);
        let reframing = framing.reframing(&[VIDEO, REPORTS, SOUND]).unwrap();
        let kinds = [8, 9, 4, 77].map(|stored| reframing.datagram(stored));
        assert_eq!(kinds, [Some((0, false)), Some((0, true)), None, None]);
        assert!(reframing.is_datagrams() && !reframing.takes(4) && framing.takes(0) && !framing.takes(1));
        assert!(framing.reframing(&[SOUND]).unwrap().is_empty());
    }
}
