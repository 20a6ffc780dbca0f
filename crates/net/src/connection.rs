//! Bytes between a socket and a state machine.
//!
//! One task owns a [`Connection`]; [`Connection::wait_io`] waits until the socket has moved something, in either direction,
//! so that a peer who does not read never keeps us from reading what it sends.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use hevcast_wire::rtsp::message::{Inbound, MessageDecoder, MessageError};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Space offered to a read of a peer that sends little, as most readers do, bytes.
const SMALL_READ_BYTES: usize = 2 * 1024;
/// Space offered to a read of a peer that fills what it is offered, bytes: a keyframe's worth of packets.
const LARGE_READ_BYTES: usize = 64 * 1024;
/// Buffers handed to one vectored write.
const WRITE_BUFFERS: usize = 64;
/// Bytes of a write, and those of one to a socket that was full just before. The kernel takes all of a write that it takes at
/// all, however little it wants to hold unsent, and what it holds is delay that nobody sees.
const WRITE_BYTES: usize = 64 * 1024;
const SMALL_WRITE_BYTES: usize = 2 * 1024;

/// A socket with its incomplete input and its unsent output.
pub struct Connection<S> {
    stream: S,
    decoder: MessageDecoder,
    input: BytesMut,
    /// Space offered to the next read: it grows when a read fills it.
    read_bytes: usize,
    output: VecDeque<Bytes>,
    output_bytes: usize,
    /// What was written may wait in the stream still, as under TLS.
    unflushed: bool,
    /// The socket was full while what is queued waited.
    was_full: bool,
    received_bytes: u64,
    sent_bytes: u64,
    closed: bool,
}

// What is sent may hold credentials.
impl<S: fmt::Debug> fmt::Debug for Connection<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Connection");
        shown.field("stream", &self.stream).field("output_bytes", &self.output_bytes).finish_non_exhaustive()
    }
}

/// Which way bytes went in one [`Connection::poll_io`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Io {
    /// Bytes were read, or the peer closed its side.
    Read,
    /// Bytes were written, and nothing was there to read: the task will be woken for what comes, and for room once a
    /// write did not take all.
    Wrote,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Takes over a connected socket.
    pub fn new(stream: S) -> Connection<S> {
        Connection {
            stream,
            decoder: MessageDecoder::default(),
            input: BytesMut::new(),
            read_bytes: SMALL_READ_BYTES,
            output: VecDeque::new(),
            output_bytes: 0,
            unflushed: false,
            was_full: false,
            received_bytes: 0,
            sent_bytes: 0,
            closed: false,
        }
    }

    /// Takes over a socket connected to a server, some of which send bytes that are nothing: they are passed over.
    pub fn to_server(stream: S) -> Connection<S> {
        Connection { decoder: MessageDecoder::of_server(), ..Connection::new(stream) }
    }

    /// Puts bytes behind what is to be sent. The caller bounds how much: see [`Self::queued_bytes`].
    pub fn queue(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.output_bytes += bytes.len();
            self.output.push_back(bytes);
        }
    }

    /// Bytes queued and not yet taken by the kernel; under TLS at least 1 while a record is not out.
    pub fn queued_bytes(&self) -> usize {
        self.output_bytes.max(usize::from(self.unflushed))
    }

    /// Bytes of memory for what is read.
    pub fn input_bytes(&self) -> usize {
        self.input.capacity()
    }

    /// Bytes read since the start.
    pub fn received_bytes(&self) -> u64 {
        self.received_bytes
    }

    /// Bytes written since the start.
    pub fn sent_bytes(&self) -> u64 {
        self.sent_bytes
    }

    /// Whether the peer has closed its side. What was read before may not be parsed yet.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// All whole frames that stand before the next message, as they came; [`hevcast_wire::rtp::interleave::frames`]
    /// splits them.
    pub fn next_frames(&mut self) -> Option<Bytes> {
        self.decoder.decode_run(&mut self.input)
    }

    /// The next whole message among the bytes read.
    ///
    /// # Errors
    /// [`MessageError`]: the framing is lost, the connection useless.
    pub fn next_message(&mut self) -> Result<Option<Inbound>, MessageError> {
        self.decoder.decode(&mut self.input)
    }

    /// Whether the peer has sent a message or a frame.
    pub fn has_begun(&self) -> bool {
        self.decoder.has_begun()
    }

    /// Bytes that were skipped, where no message or frame was among them; 0 where one was.
    pub fn unread_bytes(&self) -> usize {
        if self.decoder.has_begun() { 0 } else { self.decoder.noise_bytes() }
    }

    /// The bytes read and not yet parsed, for protocols other than RTSP.
    pub fn input(&mut self) -> &mut BytesMut {
        &mut self.input
    }

    /// Waits until bytes were read or written, or the peer closed its side. Cancelling it loses nothing.
    ///
    /// # Errors
    /// The socket's.
    pub async fn wait_io(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_io(cx)).await?;
        Ok(())
    }

    /// As [`Connection::wait_io`], for a task that waits for other things too.
    ///
    /// # Errors
    /// The socket's.
    pub fn poll_io(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Io>> {
        let wrote = self.poll_write(cx)?;
        let read = self.poll_read(cx)?;
        match (read.is_ready(), wrote.is_ready()) {
            (true, _) => Poll::Ready(Ok(Io::Read)),
            (false, true) => Poll::Ready(Ok(Io::Wrote)),
            (false, false) => Poll::Pending,
        }
    }

    /// Writes until nothing is queued.
    ///
    /// # Errors
    /// The socket's.
    pub async fn flush(&mut self) -> io::Result<()> {
        while self.queued_bytes() > 0 {
            poll_fn(|cx| self.poll_write(cx)).await?;
        }
        Ok(())
    }

    /// Writes what is queued, closes our side, and waits until the peer has closed its own; what still comes is not kept.
    ///
    /// # Errors
    /// The socket's.
    pub async fn finish(&mut self) -> io::Result<()> {
        self.flush().await?;
        self.stream.shutdown().await?;
        while !self.closed {
            self.input.clear();
            poll_fn(|cx| self.poll_read(cx)).await?;
        }
        Ok(())
    }

    /// As [`Connection::poll_io`], while another may write to the socket: nothing is written.
    ///
    /// # Errors
    /// The socket's.
    pub fn poll_reading(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Io>> {
        self.poll_read(cx).map_ok(|()| Io::Read)
    }

    /// The socket.
    pub fn stream(&self) -> &S {
        &self.stream
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.output.is_empty() {
            return match self.unflushed {
                true => self.poll_flush(cx),
                false => Poll::Pending,
            };
        }
        let mut slices = [IoSlice::new(&[]); WRITE_BUFFERS];
        let mut room = if self.was_full { SMALL_WRITE_BYTES } else { WRITE_BYTES };
        let mut count = 0;
        for (slice, bytes) in slices.iter_mut().zip(&self.output) {
            if room == 0 {
                break;
            }
            let bytes = &bytes[..bytes.len().min(room)];
            *slice = IoSlice::new(bytes);
            (count, room) = (count + 1, room - bytes.len());
        }
        let stream = Pin::new(&mut self.stream);
        let wrote = match &slices[..count] {
            // The common case of a reader: what one read of the publisher's brought is one stretch of bytes.
            [only] => stream.poll_write(cx, only),
            several => stream.poll_write_vectored(cx, several),
        };
        match wrote {
            Poll::Pending => {
                self.was_full = true;
                Poll::Pending
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(0)) => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            Poll::Ready(Ok(written)) => {
                self.written(written);
                self.was_full &= !self.output.is_empty();
                self.unflushed = true;
                if self.output.is_empty() && self.poll_flush(cx)?.is_pending() {
                    tracing::trace!("a TLS record waits for the socket");
                }
                Poll::Ready(Ok(()))
            }
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx)?;
        self.unflushed = flushed.is_pending();
        flushed.map(Ok)
    }

    fn written(&mut self, mut written: usize) {
        self.sent_bytes += written as u64;
        self.output_bytes -= written;
        while written > 0 {
            let Some(front) = self.output.front_mut() else { break };
            if front.len() > written {
                front.advance(written);
                break;
            }
            written -= front.len();
            self.output.pop_front();
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.closed {
            return Poll::Pending;
        }
        // Frames are slices of this buffer, and one that is kept keeps the buffer: half of it is used before a new one is
        // made. The other half is given up: a picture cut in two by the buffer's end would be written twice to each reader.
        if self.input.capacity() - self.input.len() < self.read_bytes / 2 {
            self.input.reserve(self.read_bytes);
        }
        let offered = self.input.capacity() - self.input.len();
        match pin!(self.stream.read_buf(&mut self.input)).poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(read)) => {
                self.received_bytes += read as u64;
                self.closed |= read == 0;
                if read == offered {
                    self.read_bytes = (self.read_bytes * 4).min(LARGE_READ_BYTES);
                }
                Poll::Ready(Ok(()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn output_is_sent_in_order_however_little_the_peer_takes() {
        let (ours, theirs) = tokio::io::duplex(7);
        let mut connection = Connection::new(ours);
        let mut expected = Vec::new();
        for n in 0..200u8 {
            let bytes = vec![n; usize::from(n % 5) + 1];
            expected.extend_from_slice(&bytes);
            connection.queue(bytes.into());
        }
        let reader = tokio::spawn(async move {
            let (mut theirs, mut got) = (theirs, Vec::new());
            theirs.read_to_end(&mut got).await.unwrap();
            got
        });
        connection.flush().await.unwrap();
        assert_eq!((connection.queued_bytes(), connection.sent_bytes()), (0, expected.len() as u64));
        drop(connection);
        assert_eq!(reader.await.unwrap(), expected);
    }

    #[tokio::test]
    async fn a_peer_that_does_not_read_is_still_heard() {
        let (ours, mut theirs) = tokio::io::duplex(16);
        let mut connection = Connection::new(ours);
        connection.queue(Bytes::from_static(&[0; 100]));
        tokio::io::AsyncWriteExt::write_all(&mut theirs, b"$\x00\x00\x01x").await.unwrap();
        loop {
            connection.wait_io().await.unwrap();
            if let Some(Inbound::Frame(frame)) = connection.next_message().unwrap() {
                assert_eq!(&frame.packet()[..], b"x");
                break;
            }
        }
        assert!(connection.queued_bytes() > 0);
        drop(theirs);
    }
}
