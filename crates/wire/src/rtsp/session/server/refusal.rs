//! Refusing a request: what the peer is told, and what the log is.

use rtsp_types::StatusCode;

use super::{Question, ServerEvent, ServerSession};
use crate::rtsp::message::{BadRequest, Request, reply, reply_to_bad, response_bytes};

/// How the last message was refused.
#[derive(Debug)]
pub struct Refusal {
    /// What the peer was told; the wish for a login is no refusal.
    pub status: StatusCode,
    /// What was wrong, for the log; empty where the status says it all.
    pub reason: String,
}

impl ServerSession {
    /// How the last message was refused, once.
    pub fn poll_refusal(&mut self) -> Option<Refusal> {
        self.refused.take()
    }

    /// Answers the open question with no.
    pub fn refuse(&mut self, status: StatusCode) {
        if let Some(Question { request, .. }) = self.question.take() {
            self.fail(&request, status);
        }
    }

    /// Answers the open question with no; what was wrong is for the log.
    pub fn refuse_because(&mut self, status: StatusCode, reason: String) {
        if let Some(Question { request, .. }) = self.question.take() {
            self.fail_because(&request, status, reason);
        }
    }

    pub(super) fn fail(&mut self, request: &Request, status: StatusCode) -> Option<ServerEvent> {
        self.fail_because(request, status, String::new())
    }

    pub(super) fn fail_because(
        &mut self,
        request: &Request,
        status: StatusCode,
        reason: String,
    ) -> Option<ServerEvent> {
        self.transmits.push_back(response_bytes(&reply(request, status).replace_body(Vec::new())));
        self.refused = Some(Refusal { status, reason });
        None
    }

    /// Refuses a request that nobody can make out.
    pub(super) fn fail_bad(&mut self, request: &BadRequest) -> Option<ServerEvent> {
        self.transmits.push_back(reply_to_bad(request));
        self.refused = Some(Refusal { status: StatusCode::BadRequest, reason: request.what.clone() });
        None
    }
}
