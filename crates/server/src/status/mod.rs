//! The status of a server: a [`snapshot`] of everything once a second, the status page and API over [`http`] that show
//! it, [`stills`] of the streams, which the program makes, and warnings in the log when the memory budget is used up.

#[cfg_attr(not(feature = "status"), path = "no_http.rs")]
pub mod http;
pub(crate) mod memory_warnings;
pub mod snapshot;
pub mod stills;
