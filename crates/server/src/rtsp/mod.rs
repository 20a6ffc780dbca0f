//! The hub on sockets: [`listener`] takes connections, [`connection`] serves one, [`answers`] is what it says to its peer's
//! questions, `bulk` when it has moved enough for now, [`deadlines`] how long it waits, `goodbye` its end, and [`ending`] why
//! that came.

pub mod answers;
mod bulk;
pub mod connection;
pub mod deadlines;
pub mod ending;
mod goodbye;
pub mod listener;
