//! What a session knows of logins: the one that came along, and how to wish for one. Whether it is right, the runner knows.

use bytes::BytesMut;
use rtsp_types::{StatusCode, headers};

use super::{Question, ServerSession};
use crate::rtsp::login::{Challenge, Login};
use crate::rtsp::message::{header, reply, response_bytes};

impl ServerSession {
    /// The login that came with the open question; `None` where there was none that can be read.
    pub fn login(&self) -> Option<Login> {
        let request = &self.question.as_ref()?.request;
        Login::parse(header(request, &headers::AUTHORIZATION)?).ok()
    }

    /// Method of the open question; empty where there is none.
    pub fn method(&self) -> &str {
        self.question.as_ref().map_or("", |question| question.request.method().into())
    }

    /// Answers the open question with the wish for a login (401).
    pub fn challenge(&mut self, challenge: &Challenge) {
        let Some(Question { request, .. }) = self.question.take() else { return };
        // A line for each, written by hand: in one line, as the parser's crate would join them, some clients find the
        // second part of the first's.
        let response = response_bytes(&reply(&request, StatusCode::Unauthorized).replace_body(Vec::new()));
        let status_line = response.windows(2).position(|pair| pair == b"\r\n").map_or(0, |at| at + 2);
        let mut bytes = BytesMut::from(&response[..status_line]);
        for value in challenge.headers() {
            bytes.extend_from_slice(format!("WWW-Authenticate: {value}\r\n").as_bytes());
        }
        bytes.extend_from_slice(&response[status_line..]);
        self.transmits.push_back(bytes.freeze());
    }
}
