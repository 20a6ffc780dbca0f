//! The hub on sockets: [`listener`] takes connections, [`connection`] serves one, [`answers`] is what it says to its peer's
//! questions, [`deadlines`] how long it waits, and [`ending`] why it was over.

pub mod answers;
pub mod connection;
pub mod deadlines;
pub mod ending;
pub mod listener;
