//! Requests that arrive while another waits for the program's decision (RFC 2326 section 9.1).
//!
//! A client may send requests without waiting for the responses, and gets the responses in the order of its requests. What a
//! request means depends on the ones before it (PLAY is valid once SETUP has been accepted), so one request at a time is open
//! for a decision, and those behind it wait here, unread. The queue is bounded in number and in bytes.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use thiserror::Error;

use super::{Refusal, SESSION_TIMEOUT, ServerEvent, ServerSession};
use crate::rtsp::message::{BadRequest, Inbound, Request};
use crate::session::Session;
use crate::time::Now;

/// Most requests that may wait behind an undecided one.
pub const MAX_WAITING_REQUESTS: usize = 64;
/// Most bytes of such requests: a few descriptions.
pub const MAX_WAITING_REQUEST_BYTES: usize = 256 * 1024;
/// Most events, and most pieces of responses, that the program may leave unpolled.
const MAX_UNPOLLED: usize = 1024;
/// Most refusals that are kept for [`ServerSession::poll_refusal`]; beyond that the newest are dropped.
const MAX_REFUSALS: usize = MAX_WAITING_REQUESTS + 1;

/// Why a server's session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ServerSessionError {
    /// The peer has sent nothing for as long as the session's time-out (RFC 2326 section 12.37).
    #[error("nothing was received for {} s", SESSION_TIMEOUT.as_secs())]
    Timeout,
    /// More requests are pipelined than are kept: they wait behind an undecided one, or their responses are not polled.
    #[error("more requests are pipelined than are kept")]
    TooManyPipelined,
}

/// A request in the queue, with the time when it came: a clock exchange is answered with that time.
#[derive(Debug)]
pub(super) enum Waiting {
    Request(Box<Request>, Now),
    Bad(BadRequest),
}

impl Waiting {
    /// Bytes of memory that the peer has chosen.
    fn bytes(&self) -> usize {
        match self {
            Waiting::Request(request, _) => {
                let headers = request.headers().map(|(name, value)| name.as_str().len() + value.as_str().len());
                let url = request.request_uri().map_or(0, |url| url.as_str().len());
                request.body().len() + url + headers.sum::<usize>()
            }
            Waiting::Bad(bad) => bad.cseq.len() + bad.what.len(),
        }
    }
}

impl ServerSession {
    /// Takes a request: at once, or behind the one that is open.
    fn enqueue(&mut self, request: Waiting) -> Result<(), ServerSessionError> {
        let bytes = request.bytes();
        if self.open.is_some()
            && (self.waiting.len() >= MAX_WAITING_REQUESTS || self.waiting_bytes + bytes > MAX_WAITING_REQUEST_BYTES)
        {
            return Err(ServerSessionError::TooManyPipelined);
        }
        self.waiting_bytes += bytes;
        self.waiting.push_back(request);
        self.advance();
        Ok(())
    }

    /// Answers waiting requests up to the next that the program has to decide.
    pub(super) fn advance(&mut self) {
        while self.open.is_none() {
            let Some(request) = take_first(&mut self.waiting) else { break };
            self.waiting_bytes -= request.bytes();
            match request {
                Waiting::Request(request, now) => self.handle_request(*request, now),
                Waiting::Bad(bad) => self.fail_bad(&bad),
            }
        }
    }

    /// Notes a refusal for the log.
    pub(super) fn note_refusal(&mut self, refusal: Refusal) {
        if self.refusals.len() < MAX_REFUSALS {
            self.refusals.push_back(refusal);
        }
    }

    /// Whether the peer has sent a clock exchange, see [`crate::rtsp::clock`].
    pub fn has_compared_clocks(&self) -> bool {
        self.compared_clocks
    }

    /// Requests that wait behind the open one.
    pub fn waiting_requests(&self) -> usize {
        self.waiting.len()
    }

    /// How many pieces of responses have not been polled; a description is one beside its header.
    pub fn waiting_answers(&self) -> usize {
        self.transmits.len()
    }

    /// Memory in use for the peer, bytes: responses that have not been polled, and requests that wait.
    pub fn waiting_bytes(&self) -> usize {
        self.transmits.iter().map(Bytes::len).sum::<usize>() + self.waiting_bytes
    }
}

/// Takes the first element. A queue that becomes empty frees its memory: a server has thousands of connections, and most of
/// them are silent most of the time.
pub(super) fn take_first<T>(queue: &mut VecDeque<T>) -> Option<T> {
    let first = queue.pop_front();
    if queue.is_empty() {
        *queue = VecDeque::new();
    }
    first
}

impl Session for ServerSession {
    type Input<'i> = Inbound;
    type Event = ServerEvent;
    type Error = ServerSessionError;

    /// Requests are taken in order, frames at once: a publisher waits for RECORD's response before it sends any.
    ///
    /// # Errors
    /// [`ServerSessionError::TooManyPipelined`].
    fn handle_input(&mut self, input: Inbound, now: Now) -> Result<(), ServerSessionError> {
        if self.events.len().max(self.transmits.len()) >= MAX_UNPOLLED {
            return Err(ServerSessionError::TooManyPipelined);
        }
        self.last_received = now.instant;
        match input {
            Inbound::Request(request) => self.enqueue(Waiting::Request(Box::new(request), now))?,
            Inbound::BadRequest(bad) => self.enqueue(Waiting::Bad(bad))?,
            Inbound::Frame(frame) => {
                if let Some((track, rtcp)) = self.handle_channel(frame.channel(), now) {
                    self.events.push_back(ServerEvent::Media { track, rtcp, frame });
                }
            }
            // We send clients no requests that matter, so a response means nothing.
            Inbound::Response(_) => {}
            Inbound::Noise(_) => self.stray_frames += 1,
        }
        Ok(())
    }

    fn poll_event(&mut self) -> Option<ServerEvent> {
        take_first(&mut self.events)
    }

    fn poll_transmit(&mut self) -> Option<Bytes> {
        take_first(&mut self.transmits)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        Some(self.deadline())
    }

    fn handle_timeout(&mut self, now: Now) -> Result<(), ServerSessionError> {
        if self.deadline() <= now.instant { Err(ServerSessionError::Timeout) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_gives_its_elements_in_order_and_its_memory_back_with_the_last() {
        let mut queue: VecDeque<u32> = (0..100).collect();
        let taken: Vec<u32> = std::iter::from_fn(|| take_first(&mut queue)).collect();
        assert!(taken.into_iter().eq(0..100));
        assert_eq!(queue.capacity(), 0);
    }
}
