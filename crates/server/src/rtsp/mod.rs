//! The RTSP server: it connects the hub to sockets. [`listener`] accepts connections, `serve` runs one from its
//! acceptance to its end, [`connection`] is its task, [`request_handler`] handles its requests, `fair_share` limits how
//! much it may move at a time, [`deadlines`] how long it may wait, `shutdown` ends it, and [`close_reason`] names the
//! reason.

pub mod close_reason;
pub mod connection;
pub mod deadlines;
mod fair_share;
pub mod listener;
pub mod request_handler;
mod serve;
mod shutdown;
