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
pub mod darkness;
pub mod gap;
pub mod give_back;
pub mod origin;
pub mod outputs;
pub mod play;
pub mod preview;
pub mod receive;
pub mod record;
pub mod relay;
pub mod send;
pub mod serve_record;
pub mod serve_sources;
pub mod session;
pub mod slot;
pub mod source;
pub mod stage;
pub mod stamp;
pub mod stills;
pub mod ticks;
