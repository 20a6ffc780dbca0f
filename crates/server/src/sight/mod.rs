//! What can be seen of a server: [`sessions`] are its connections, [`counters`] what went wrong.

pub mod counters;
pub mod sessions;
