//! Authentication as far as the session knows it: the credentials that a request brings, and the challenge that asks for
//! them. The program checks them.

use bytes::BytesMut;
use rtsp_types::{StatusCode, headers};

use super::{OpenRequest, ServerSession};
use crate::rtsp::auth::{Authorization, Challenge};
use crate::rtsp::message::{header, reply, response_bytes};

impl ServerSession {
    /// The credentials of the open request; `None` where there are none that can be parsed.
    pub fn authorization(&self) -> Option<Authorization> {
        let request = &self.open.as_ref()?.request;
        Authorization::parse(header(request, &headers::AUTHORIZATION)?).ok()
    }

    /// Method of the open request; empty where no request is open.
    pub fn method(&self) -> &str {
        self.open.as_ref().map_or("", |open| open.request.method().into())
    }

    /// Answers the open request with a challenge for credentials (401).
    pub fn challenge(&mut self, challenge: &Challenge) {
        let Some(OpenRequest { request, .. }) = self.open.take() else { return };
        // One header line per scheme, which `rtsp-types` would join into one: some clients parse only the first scheme
        // of a line.
        let response = response_bytes(&reply(&request, StatusCode::Unauthorized).replace_body(Vec::new()));
        let status_line = response.windows(2).position(|pair| pair == b"\r\n").map_or(0, |at| at + 2);
        let mut bytes = BytesMut::from(&response[..status_line]);
        for value in challenge.headers() {
            bytes.extend_from_slice(format!("WWW-Authenticate: {value}\r\n").as_bytes());
        }
        bytes.extend_from_slice(&response[status_line..]);
        self.transmits.push_back(bytes.freeze());
        self.advance();
    }
}
