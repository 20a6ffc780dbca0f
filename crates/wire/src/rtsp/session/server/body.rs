//! What comes with a request and goes with an answer: descriptions, which are long, and whoever asks may be a stranger.

use bytes::Bytes;

use super::{Asked, Question, ServerSession};
use crate::rtsp::sdp::{Description, SdpError};

impl ServerSession {
    /// Bytes that came with the open question.
    pub fn question_bytes(&self) -> usize {
        self.question.as_ref().map_or(0, |question| question.request.body().len())
    }

    /// What the open question announces. Not looked at before it is asked for: that is work, which a peer that may not
    /// publish should not cause. `None` where nothing is announced.
    ///
    /// # Errors
    /// [`SdpError`]: refuse it (400).
    pub fn announced(&self) -> Option<Result<Description, SdpError>> {
        match &self.question {
            Some(Question { request, asked: Asked::Announce { .. } }) => Some(Description::parse(request.body())),
            _ => None,
        }
    }

    /// Gives the last answer this body, as it is: it is not copied for everyone who asks.
    pub(super) fn attach(&mut self, body: Bytes) {
        let Some(head) = self.transmits.pop_back() else { return };
        // An answer without a body ends in the empty line that ends its header.
        let Some(fields) = head.strip_suffix(b"\r\n") else { return };
        let length = format!("Content-Length: {}\r\n\r\n", body.len());
        self.transmits.push_back([fields, length.as_bytes()].concat().into());
        self.transmits.push_back(body);
    }
}
