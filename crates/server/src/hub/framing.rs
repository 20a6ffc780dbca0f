//! How packets are framed for a reader, as they leave the hub.
//!
//! In the hub packets are ranges of shared bytes, with [`HEADER_LEN`](hevcast_wire::rtp::interleave::HEADER_LEN) bytes in front of each.
//! From a publisher on an RTSP connection those are the header of the frame in which the packet came, so that what one
//! read brought leaves to readers on the same channels as it is, by reference. For every other reader the header only
//! says, by its channel, of which track the packet is and whether it is RTCP, and how long it is; a `Reframing` makes
//! of it what that reader gets.

use std::sync::Arc;

use bytes::Bytes;
use hevcast_wire::rtsp::transport::Channels;

/// How a reader gets its packets. Readers of the same framing share the framed bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Framing {
    /// In frames on its RTSP connection (RFC 2326 section 10.12). By track: its channels; `None` where the reader did
    /// not set the track up.
    Interleaved(Vec<Option<Channels>>),
    /// Each packet as one datagram. By track: whether the reader set it up.
    Datagram(Vec<bool>),
}

/// A packet for an outlet that sends datagrams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Index of the track.
    pub track: usize,
    /// RTCP rather than RTP: of datagrams each has a port of its own (RFC 3550 section 11).
    pub rtcp: bool,
    /// The packet, as it was published.
    pub packet: Bytes,
}

/// Which packets a channel number in front of stored packets stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StoredChannel {
    pub channel: u8,
    pub track: usize,
    pub rtcp: bool,
}

impl StoredChannel {
    /// A channel that belongs to this kind of packet alone; there are at most 16 tracks.
    pub(super) fn own(track: usize, rtcp: bool) -> StoredChannel {
        StoredChannel { channel: (track * 2) as u8 | u8::from(rtcp), track, rtcp }
    }
}

/// What becomes of stored packets for readers that do not get them as they are stored.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reframing {
    /// Frames on other channels, or fewer of them. Pairs of the stored channel and the reader's, `None` for what the
    /// reader does not get.
    Interleaved(Vec<(u8, Option<u8>)>),
    /// Datagrams. Pairs of the stored channel and what it stands for, `None` for what the reader does not get.
    Datagrams(Vec<(u8, Option<StoredChannel>)>),
}

/// Finds a stored channel among pairs.
fn find<T: Copy>(pairs: &[(u8, Option<T>)], channel: u8) -> Option<T> {
    pairs.iter().find(|(stored, _)| *stored == channel).and_then(|(_, target)| *target)
}

impl Reframing {
    /// The reader's channel for packets of a stored channel; `None` where it does not get them in frames.
    pub(super) fn channel(&self, stored: u8) -> Option<u8> {
        match self {
            Reframing::Interleaved(pairs) => find(pairs, stored),
            Reframing::Datagrams(_) => None,
        }
    }

    /// Of which track the datagrams of a stored channel are, and whether they are RTCP; `None` where the reader does
    /// not get them as datagrams.
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

    /// Whether the reader gets none of the packets.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Reframing::Interleaved(pairs) => pairs.iter().all(|(_, target)| target.is_none()),
            Reframing::Datagrams(pairs) => pairs.iter().all(|(_, target)| target.is_none()),
        }
    }

    /// Whether packets leave one by one.
    pub(super) fn is_datagrams(&self) -> bool {
        matches!(self, Reframing::Datagrams(_))
    }
}

impl Framing {
    /// The channels of its tracks, by track; none where there are no channels.
    pub fn channels(&self) -> &[Option<Channels>] {
        match self {
            Framing::Interleaved(channels) => channels,
            Framing::Datagram(_) => &[],
        }
    }

    /// Whether the reader set this track up.
    pub fn takes(&self, track: usize) -> bool {
        match self {
            Framing::Interleaved(channels) => channels.get(track).is_some_and(Option::is_some),
            Framing::Datagram(tracks) => tracks.get(track).copied().unwrap_or_default(),
        }
    }

    /// The reader's own channel for packets of this kind; `None` where it has none.
    fn channel(&self, track: usize, rtcp: bool) -> Option<u8> {
        let pair = self.channels().get(track).copied().flatten()?;
        Some(if rtcp { pair.rtcp } else { pair.rtp })
    }

    /// How packets of this kind should be stored that are made for this reader alone.
    pub(super) fn stored_channel(&self, track: usize, rtcp: bool) -> StoredChannel {
        let own = StoredChannel::own(track, rtcp);
        StoredChannel { channel: self.channel(track, rtcp).unwrap_or(own.channel), ..own }
    }

    /// What becomes of packets on these stored channels; `None` where they leave as they are stored.
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
    /// Frames on these channels, by track.
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
