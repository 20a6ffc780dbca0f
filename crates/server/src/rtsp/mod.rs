//! The hub on sockets: [`listener`] takes connections, [`connection`] serves one, [`answers`] is what it says to its peer's
//! questions, [`deadlines`] how long it waits, and [`ending`] why it was over.

mod answers;
pub mod connection;
mod deadlines;
pub mod ending;
pub mod listener;
