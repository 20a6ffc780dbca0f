//! What can be seen of a session from outside of its questions.

use bytes::Bytes;

use super::ServerSession;

impl ServerSession {
    /// Whether the peer has compared its clock with ours, as a hevcast does.
    pub fn has_compared_clocks(&self) -> bool {
        self.compared_clocks
    }

    /// How many pieces of answers wait for the socket; a description is one beside its header.
    pub fn waiting_answers(&self) -> usize {
        self.transmits.len()
    }

    /// Their bytes.
    pub fn waiting_bytes(&self) -> usize {
        self.transmits.iter().map(Bytes::len).sum()
    }
}
