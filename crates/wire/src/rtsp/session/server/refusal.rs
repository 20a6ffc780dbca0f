//! Refusing a request: the status for the peer, and the reason for the log.

use rtsp_types::StatusCode;

use super::pipeline::take_first;
use super::{OpenRequest, ServerSession};
use crate::rtsp::message::{BadRequest, Request, reply, reply_to_bad, response_bytes};

/// A request that was refused: status code and reason, for the program's log.
#[derive(Debug)]
pub struct Refusal {
    /// The status sent to the peer. A challenge for credentials (401) is no refusal.
    pub status: StatusCode,
    /// What was wrong; empty where the status is enough.
    pub reason: String,
}

impl ServerSession {
    /// The oldest refusal that has not been polled. Polled for the log only: the response is on its way.
    pub fn poll_refusal(&mut self) -> Option<Refusal> {
        take_first(&mut self.refusals)
    }

    /// Answers the open request with this status code.
    pub fn refuse(&mut self, status: StatusCode) {
        self.refuse_because(status, String::new());
    }

    /// Refuses the open request; `reason` is what [`ServerSession::poll_refusal`] says of it.
    pub fn refuse_because(&mut self, status: StatusCode, reason: String) {
        if let Some(OpenRequest { request, .. }) = self.open.take() {
            self.fail_because(&request, status, reason);
            self.advance();
        }
    }

    pub(super) fn fail(&mut self, request: &Request, status: StatusCode) {
        self.fail_because(request, status, String::new());
    }

    pub(super) fn fail_because(&mut self, request: &Request, status: StatusCode, reason: String) {
        self.transmits.push_back(response_bytes(&reply(request, status).replace_body(Vec::new())));
        self.note_refusal(Refusal { status, reason });
    }

    /// Answers a request that cannot be parsed (400).
    pub(super) fn fail_bad(&mut self, request: &BadRequest) {
        self.transmits.push_back(reply_to_bad(request));
        self.note_refusal(Refusal { status: StatusCode::BadRequest, reason: request.what.clone() });
    }
}
