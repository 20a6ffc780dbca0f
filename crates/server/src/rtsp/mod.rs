//! The hub on sockets: [`listener`] accepts connections, `serve` leads one from its acceptance to its end,
//! [`connection`] is its task, [`request_handler`] answers its requests, `fair_share` says when it has moved enough for
//! now, [`deadlines`] how long it waits, `shutdown` ends it, and [`close_reason`] says why.

pub mod close_reason;
pub mod connection;
pub mod deadlines;
mod fair_share;
pub mod listener;
pub mod request_handler;
mod serve;
mod shutdown;
