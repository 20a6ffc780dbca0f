//! What both ends show: counted by the stages, read once a second.
//!
//! Stages only add to atomic counters ([`send::SendCounters`], [`receive::ReceiveCounters`]); a reporter takes the
//! difference over the second that has passed, and writes it as a line of text for people or of JSON for programs. The
//! names are fixed and listed in `docs/figures.md`.

pub mod counters;
pub mod delay;
pub mod outputs;
pub mod receive;
pub mod recorded;
pub mod send;
pub mod text;
pub mod window;
