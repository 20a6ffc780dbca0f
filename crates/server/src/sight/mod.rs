//! What can be seen of a server: [`sessions`] are its connections, [`counters`] what went wrong,
//! [`snapshot`] is all of it at one moment, [`http`] shows that, with [`stills`] and [`recordings`] made by others.

pub mod counters;
pub(crate) mod fullness;
pub mod http;
pub mod recordings;
pub mod sessions;
pub mod snapshot;
pub mod stills;
