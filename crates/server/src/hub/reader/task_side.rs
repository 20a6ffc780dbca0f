//! A reader as the task of its connection uses it: it takes what is queued, when it may write.

use std::task::Context;

use bytes::Bytes;

use super::{Datagram, Reader, WritePermit};
use crate::hub::packet_run::Outgoing;

impl Reader {
    /// Whether the reader's task may write: what it has itself (`has_output`) or what is queued. The task is woken when
    /// that may have changed.
    pub fn poll_write(&self, cx: &mut Context<'_>, has_output: bool) -> WritePermit {
        let mut inner = self.lock();
        if inner.waker.is_none() {
            // A task's waker stays the same.
            inner.waker = Some(cx.waker().clone());
        }
        if !self.hot.ownership.try_acquire() {
            if has_output {
                self.hot.ownership.request();
            }
            // It may have been released meanwhile.
            if !self.hot.ownership.try_acquire() {
                return WritePermit::Busy;
            }
        }
        if inner.is_broken {
            return WritePermit::OutOfMemory;
        }
        if !has_output {
            inner.unwritten = (0, None);
        }
        if has_output || inner.has_output() {
            return WritePermit::Granted;
        }
        if inner.is_ended {
            return WritePermit::Ended;
        }
        inner.is_stuck = false;
        if self.hot.outlet.is_some() {
            self.hot.ownership.release();
        }
        match std::mem::take(&mut inner.lacks_keyframe_request) {
            true => WritePermit::NeedsKeyframe,
            false => WritePermit::Idle,
        }
    }

    /// Takes what a write of the publisher's task left of a frame, before which nothing else may be written to a
    /// connection. Only for a task whose permit is [`WritePermit::Granted`].
    pub fn take_rest(&self) -> Bytes {
        let mut inner = self.lock();
        if inner.rest.is_datagrams() {
            return Bytes::new();
        }
        inner.unwritten.0 += inner.rest.bytes.len();
        std::mem::take(&mut inner.rest).bytes
    }

    /// The reader's task has written so many bytes to the socket.
    pub fn wrote(&self, bytes: u64) {
        let mut inner = self.lock();
        inner.written_bytes += bytes;
        inner.unwritten.0 = inner.unwritten.0.saturating_sub(bytes as usize);
    }

    /// Takes frames off the queue until `limit_bytes` are reached. Only for a task whose permit is
    /// [`WritePermit::Granted`], after [the rest](Reader::take_rest). A reader of datagrams has no frames.
    pub fn take(&self, limit_bytes: usize, mut each: impl FnMut(Bytes)) {
        debug_assert!(!matches!(self.framing, super::Framing::Datagram(_)), "a reader of datagrams has no frames");
        self.take_pieces(limit_bytes, |outgoing| each(outgoing.framed()));
    }

    /// Takes packets until `limit_bytes` are reached, for a reader of datagrams: first those that a write of the
    /// publisher's task left, then those of the queue. Only for a task whose permit is [`WritePermit::Granted`].
    pub fn take_datagrams(&self, limit_bytes: usize, mut each: impl FnMut(Datagram)) {
        let rest = std::mem::take(&mut self.lock().rest);
        let mut bytes = 0;
        for (datagram, _) in rest.datagrams() {
            bytes += datagram.packet.len();
            each(datagram);
        }
        self.lock().unwritten.0 += bytes;
        self.take_pieces(limit_bytes.saturating_sub(bytes), |outgoing| {
            outgoing.datagrams().for_each(|(datagram, _)| each(datagram));
        });
    }

    fn take_pieces(&self, limit_bytes: usize, mut each: impl FnMut(Outgoing)) {
        let mut inner = self.lock();
        let mut taken = 0;
        while taken < limit_bytes {
            let Some((piece, at)) = inner.queue.take_piece() else { break };
            self.hot.note_leaving(piece.is_amid_picture);
            inner.unwritten.0 += piece.len;
            if let Some(at) = at {
                inner.unwritten.1.get_or_insert(at);
            }
            (inner.is_stuck, inner.lacks_keyframe_request) = (false, false);
            taken += piece.len;
            each(piece.outgoing);
        }
    }
}
