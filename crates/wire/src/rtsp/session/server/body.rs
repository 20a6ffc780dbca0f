//! What comes with a request and goes with an answer: descriptions, which are long, and whoever asks may be a stranger.

use bytes::Bytes;
use rtsp_types::HeaderName;

use super::{Asked, Question, ServerSession};
use crate::rtsp::message::{Request, response_head_bytes};
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

    /// Answers yes with this body as it is: it is not copied for everyone who asks.
    pub(super) fn succeed_with(&mut self, request: &Request, extra: &[(HeaderName, String)], body: Bytes) {
        let response = self.ok(request, extra, Vec::new());
        self.transmits.push_back(response_head_bytes(&response, body.len()));
        self.transmits.push_back(body);
    }
}
