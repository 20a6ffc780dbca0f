//! Where the stages meet: [`send`] is the left half of the data path, [`receive`] the right half.
//!
//! ```text
//! capture → encode → packetize → publish ──TCP──▶ hub ──TCP──▶ play → depacketize → decode → present
//! └────────────── send ────────────────┘                      └─────────── receive ──────────────────┘
//! ```
//!
//! Stages run on threads of their own (codecs, devices) or as tasks (sockets). Between them stand named, bounded
//! hand-offs: [`slot`] where the newest picture wins, channels of fixed depth where coded pictures must keep their order.

pub mod capture;
pub mod gap;
pub mod keyframe;
pub mod no_picture;
pub mod origin;
pub mod outputs;
pub mod play;
pub mod preview;
pub mod receive;
pub mod record;
pub mod relay;
pub mod send;
pub mod session;
pub mod slot;
pub mod source;
pub mod stage;
pub mod stamp;
pub mod thinning;
pub mod ticks;

#[cfg(feature = "serve")]
pub(crate) mod give_back;
#[cfg(feature = "serve")]
pub(crate) mod serve_record;
#[cfg(feature = "serve")]
pub(crate) mod serve_sources;
#[cfg(feature = "serve")]
pub(crate) mod stills;

/// Why a protocol cannot be spoken that this program was built without; in one line.
#[cfg(not(all(feature = "rtmp", feature = "srt")))]
pub(crate) fn not_built(protocol: hevcast_net::Protocol) -> anyhow::Error {
    anyhow::anyhow!("{protocol:?} is no part of this hevcast; build or install one with that feature")
}
