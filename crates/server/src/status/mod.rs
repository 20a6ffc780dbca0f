//! What can be seen of a server: a [`snapshot`] of all of it once a second, [`http`], which shows it, with [`stills`]
//! made by the program, and the log's warnings of memory that is used up.

#[cfg_attr(not(feature = "status"), path = "no_http.rs")]
pub mod http;
pub(crate) mod memory_warnings;
pub mod snapshot;
pub mod stills;
