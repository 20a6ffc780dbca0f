//! The methods of a reader that the task of its connection calls: it asks for the write permit, and takes what is
//! queued.

use std::task::Context;

use bytes::Bytes;

use super::{Datagram, Reader, WritePermit};
use crate::hub::packet_run::Outgoing;

impl Reader {
    /// Whether the reader's task may write, be it output of its own (`has_output`) or queued packets. The task is woken
    /// when that may have changed.
    pub fn poll_write(&self, cx: &mut Context<'_>, has_output: bool) -> WritePermit {
        let mut inner = self.lock();
        if inner.waker.is_none() {
            // The waker is stored once, since a task's waker stays the same.
            inner.waker = Some(cx.waker().clone());
        }
        if !self.hot.ownership.try_acquire() {
            if has_output {
                self.hot.ownership.request();
            }
            // The publisher's task may have released it between the two calls.
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

    /// Takes the unsent rest of what the publisher's task wrote, which must be written to the connection before
    /// anything else. Only for a task whose permit is [`WritePermit::Granted`].
    pub fn take_rest(&self) -> Bytes {
        let mut inner = self.lock();
        if inner.rest.is_datagrams() {
            return Bytes::new();
        }
        inner.unwritten.0 += inner.rest.bytes.len();
        std::mem::take(&mut inner.rest).bytes
    }

    /// Records that the reader's task has written `bytes` to the socket.
    pub fn wrote(&self, bytes: u64) {
        let mut inner = self.lock();
        inner.written_bytes += bytes;
        inner.unwritten.0 = inner.unwritten.0.saturating_sub(bytes as usize);
    }

    /// Takes interleaved frames off the queue until they have `limit_bytes`. Only for a task whose permit is
    /// [`WritePermit::Granted`], and after [the rest](Reader::take_rest). Not for a reader of datagrams.
    pub fn take(&self, limit_bytes: usize, mut each: impl FnMut(Bytes)) {
        debug_assert!(!matches!(self.framing, super::Framing::Datagram(_)), "a reader of datagrams has no frames");
        self.take_pieces(limit_bytes, |outgoing| each(outgoing.framed()));
    }

    /// Takes datagrams until they have `limit_bytes`: first those that the publisher's task could not send, then those
    /// of the queue. Only for a task whose permit is [`WritePermit::Granted`], and for a reader of datagrams.
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
