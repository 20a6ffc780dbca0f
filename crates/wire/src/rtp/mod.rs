//! RTP as it runs on an RTSP connection: packets between `$` frames, and H.265 in their payloads.
//!
//! - [`packet`]: the header of a media packet, read and written (RFC 3550 section 5.1).
//! - [`interleave`]: the four bytes that set a packet apart from RTSP text on the same connection (RFC 2326
//!   section 10.12).
//! - [`rtcp`]: reports, and the requests for a keyframe (RFC 3550 section 6, RFC 4585, RFC 5104).
//! - [`tmmbr`]: the request to send less, and its answer (RFC 5104).
//! - [`format`](mod@format): which packets on a track's channels are the track's.
//! - [`payload`]: single NAL unit, aggregation and fragmentation, the three shapes of a payload; [`h264_payload`] (RFC 6184
//!   section 5.2) and [`h265_payload`] (RFC 7798 section 4.4) write and read them.
//! - [`packetizer`] and its twin [`depacketizer`]: frames to packets and back, with [`sequence`] telling what was
//!   lost between.

mod assembly;
pub mod depacketizer;
pub mod format;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
pub mod h264_payload;
pub mod h265_payload;
pub mod interleave;
pub mod packet;
pub mod packetizer;
pub mod payload;
pub mod rtcp;
pub mod sequence;
pub mod tmmbr;

pub use depacketizer::{DepacketizeError, DepacketizeStats, Depacketizer};
pub use format::PayloadFormat;
pub use packet::{ReceivedPacket, RtpError, RtpHeader, RtpPacket};
pub use packetizer::{DEFAULT_MAX_PAYLOAD, PacketizeError, Packetizer};
pub use rtcp::{KeyframeRequestKind, ReceiverStats, ReportBlock, RtcpError, RtcpEvent};
