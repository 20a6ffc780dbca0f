//! Bodies of requests and responses: session descriptions, which are long, while the peer may not be authenticated yet.

use bytes::Bytes;
use rtsp_types::HeaderName;

use super::{OpenRequest, RequestKind, ServerSession};
use crate::rtsp::message::{Request, response_head_bytes};
use crate::rtsp::sdp::{Description, SdpError};

impl ServerSession {
    /// Length of the open request's body, bytes; 0 where no request is open.
    pub fn request_body_bytes(&self) -> usize {
        self.open.as_ref().map_or(0, |open| open.request.body().len())
    }

    /// The description in the open ANNOUNCE. It is parsed by this call and not before: that is work, which a peer that may
    /// not publish should not cause. `None` where no ANNOUNCE is open.
    ///
    /// # Errors
    /// [`SdpError`]: refuse it (400).
    pub fn announced(&self) -> Option<Result<Description, SdpError>> {
        match &self.open {
            Some(OpenRequest { request, kind: RequestKind::Announce { .. } }) => {
                Some(Description::parse(request.body()))
            }
            _ => None,
        }
    }

    /// Grants with a body that is shared between all who ask, not copied.
    pub(super) fn succeed_with(&mut self, request: &Request, extra: &[(HeaderName, String)], body: Bytes) {
        let response = self.ok(request, extra, Vec::new());
        self.transmits.push_back(response_head_bytes(&response, body.len()));
        self.transmits.push_back(body);
    }
}
