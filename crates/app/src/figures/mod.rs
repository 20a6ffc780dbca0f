//! What both ends count, and the figures that are reported of it once a second.
//!
//! Stages add to [`counters`], which cost them an atomic addition ([`send::SendCounters`], [`receive::ReceiveCounters`],
//! [`outputs::OutputCounters`], [`recorded::RecordCounters`]). A reporter takes the difference over the second that has
//! passed, and makes figures of it: a line of text for people, or of JSON for programs. Their names are fixed and listed in
//! `docs/figures.md`.
//!
//! Nothing here uses the pipeline: its stages use this.

pub mod capture_wait;
pub mod counters;
pub mod delay;
pub mod outputs;
pub mod receive;
pub mod recorded;
pub mod send;
pub mod text;
pub mod window;
