//! RTP as it runs on an RTSP connection: packets between `$` frames, and H.265 in their payloads.
//!
//! - [`packet`]: the header of a media packet, read and written (RFC 3550 section 5.1).
//! - [`interleave`]: the four bytes that set a packet apart from RTSP text on the same connection (RFC 2326
//!   section 10.12).
//! - [`rtcp`]: reports, and the requests for a keyframe (RFC 3550 section 6, RFC 4585, RFC 5104).
//! - [`tmmbr`]: the request to send less, and its answer (RFC 5104).
//! - [`format`](mod@format): which packets on a track's channels are the track's.
//! - [`payload`]: single NAL unit, aggregation and fragmentation, the three shapes of a payload. What differs is in
//!   [`h264::payload`](crate::h264::payload) (RFC 6184 section 5.2) and [`h265::payload`](crate::h265::payload) (RFC 7798
//!   section 4.4).
//! - [`packetizer`] and its twin [`depacketizer`]: frames to packets and back, with [`sequence`] telling what was
//!   lost between.

mod assembly;
pub mod depacketizer;
pub mod format;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
pub mod interleave;
pub mod packet;
pub mod packetizer;
pub mod rtcp;
pub mod sequence;
pub mod tmmbr;

pub use crate::video_codec::payload;
pub use depacketizer::{DepacketizeError, DepacketizeStats, Depacketizer};
pub use format::PayloadFormat;
pub use packet::{ReceivedPacket, RtpError, RtpHeader, RtpPacket};
pub use packetizer::{DEFAULT_MAX_PAYLOAD, PacketizeError, Packetizer};
pub use rtcp::{KeyframeRequestKind, ReceiverStats, ReportBlock, RtcpError, RtcpEvent};
