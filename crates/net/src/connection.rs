//! Buffers the bytes between a socket and a state machine.
//!
//! One task owns a [`Connection`]. [`Connection::wait_io`] waits until the socket has moved bytes in either direction,
//! so that a peer that does not read cannot keep us from reading what it sends.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use hevcast_wire::rtsp::message::{Inbound, MessageDecoder, MessageError};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Bytes offered to a read from a peer that sends little, as most readers do.
const SMALL_READ_BYTES: usize = 2 * 1024;
/// Bytes offered to a read from a peer that fills what it is offered: as many as the packets of a keyframe have.
const LARGE_READ_BYTES: usize = 64 * 1024;
/// How many buffers are passed to one vectored write.
const WRITE_BUFFERS: usize = 64;
/// Most bytes of one write, and of one write to a socket that was full just before. The kernel accepts a write as a
/// whole, even where that exceeds `TCP_NOTSENT_LOWAT`, and bytes in the kernel are delay that cannot be measured.
const WRITE_BYTES: usize = 64 * 1024;
const SMALL_WRITE_BYTES: usize = 2 * 1024;

/// A socket with its unparsed input and its unsent output.
pub struct Connection<S> {
    stream: S,
    decoder: MessageDecoder,
    input: BytesMut,
    /// Bytes offered to the next read. They become more when a read fills them.
    read_bytes: usize,
    output: VecDeque<Bytes>,
    output_bytes: usize,
    /// Whether written bytes may still be buffered in the stream, as under TLS.
    unflushed: bool,
    /// Whether the socket was full since the output was last empty.
    was_full: bool,
    received_bytes: u64,
    sent_bytes: u64,
    closed: bool,
}

// Written by hand, since the output may contain credentials.
impl<S: fmt::Debug> fmt::Debug for Connection<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Connection");
        shown.field("stream", &self.stream).field("output_bytes", &self.output_bytes).finish_non_exhaustive()
    }
}

/// In which direction a [`Connection::poll_io`] has moved bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Io {
    /// Bytes were read, or the peer closed its side ([`Connection::is_closed`]).
    Read,
    /// Bytes were written, and there was nothing to read. The task will be woken when there is, and when the socket
    /// accepts more after a partial write.
    Wrote,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Wraps a connected socket, with empty buffers.
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

    /// Wraps a socket that is connected to a server. Bytes that are neither RTSP nor RTP, as some servers send, are
    /// skipped.
    pub fn to_server(stream: S) -> Connection<S> {
        Connection { decoder: MessageDecoder::of_server(), ..Connection::new(stream) }
    }

    /// Appends bytes to the output. The caller bounds how many: see [`Self::queued_bytes`].
    pub fn queue(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.output_bytes += bytes.len();
            self.output.push_back(bytes);
        }
    }

    /// Bytes that are queued and not yet accepted by the kernel; under TLS at least 1 until all records are written.
    pub fn queued_bytes(&self) -> usize {
        self.output_bytes.max(usize::from(self.unflushed))
    }

    /// Bytes of memory that the input buffer takes.
    pub fn input_bytes(&self) -> usize {
        self.input.capacity()
    }

    /// Bytes read from the socket so far.
    pub fn received_bytes(&self) -> u64 {
        self.received_bytes
    }

    /// Bytes written to the socket so far.
    pub fn sent_bytes(&self) -> u64 {
        self.sent_bytes
    }

    /// Whether the peer has closed its side. Input from before may not be parsed yet.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Takes all complete interleaved frames before the next message, as one run of bytes, which
    /// [`hevcast_wire::rtp::interleave::frames`] splits.
    pub fn next_frames(&mut self) -> Option<Bytes> {
        self.decoder.decode_run(&mut self.input)
    }

    /// Takes the next complete message or frame of the input; `None` where there is none yet.
    ///
    /// # Errors
    /// [`MessageError`]: the framing is lost, so that the connection must be closed.
    pub fn next_message(&mut self) -> Result<Option<Inbound>, MessageError> {
        self.decoder.decode(&mut self.input)
    }

    /// Whether the peer has sent a complete message or frame.
    pub fn has_begun(&self) -> bool {
        self.decoder.has_begun()
    }

    /// Bytes that were skipped, if no message or frame has come at all; otherwise 0.
    pub fn unread_bytes(&self) -> usize {
        if self.decoder.has_begun() { 0 } else { self.decoder.noise_bytes() }
    }

    /// The input that is not parsed yet.
    pub fn unparsed(&self) -> &[u8] {
        &self.input
    }

    /// The input that is not parsed yet, for protocols other than RTSP.
    pub fn input(&mut self) -> &mut BytesMut {
        &mut self.input
    }

    /// Waits until bytes were read or written, or the peer closed its side. It is cancel safe.
    ///
    /// # Errors
    /// The error of the socket.
    pub async fn wait_io(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_io(cx)).await?;
        Ok(())
    }

    /// The poll function of [`Connection::wait_io`], for a task that waits for other things, too.
    ///
    /// # Errors
    /// The error of the socket.
    pub fn poll_io(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Io>> {
        let wrote = self.poll_write(cx)?;
        let read = self.poll_read(cx)?;
        match (read.is_ready(), wrote.is_ready()) {
            (true, _) => Poll::Ready(Ok(Io::Read)),
            (false, true) => Poll::Ready(Ok(Io::Wrote)),
            (false, false) => Poll::Pending,
        }
    }

    /// Writes until no output is queued.
    ///
    /// # Errors
    /// The error of the socket.
    pub async fn flush(&mut self) -> io::Result<()> {
        while self.queued_bytes() > 0 {
            poll_fn(|cx| self.poll_write(cx)).await?;
        }
        Ok(())
    }

    /// Writes what is queued, closes our side, and waits until the peer has closed its side. Input is discarded
    /// meanwhile.
    ///
    /// # Errors
    /// The error of the socket.
    pub async fn finish(&mut self) -> io::Result<()> {
        self.flush().await?;
        self.stream.shutdown().await?;
        while !self.closed {
            self.input.clear();
            poll_fn(|cx| self.poll_read(cx)).await?;
        }
        Ok(())
    }

    /// The same as [`Connection::poll_io`] without writing, while another task may write to the socket.
    ///
    /// # Errors
    /// The error of the socket.
    pub fn poll_reading(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Io>> {
        self.poll_read(cx).map_ok(|()| Io::Read)
    }

    /// The socket, for another task to write to.
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
        let mut available = if self.was_full { SMALL_WRITE_BYTES } else { WRITE_BYTES };
        let mut count = 0;
        for (slice, bytes) in slices.iter_mut().zip(&self.output) {
            if available == 0 {
                break;
            }
            let bytes = &bytes[..bytes.len().min(available)];
            *slice = IoSlice::new(bytes);
            (count, available) = (count + 1, available - bytes.len());
        }
        let stream = Pin::new(&mut self.stream);
        let wrote = match &slices[..count] {
            // The common case of a reader: what one read of a publisher's socket brought is one contiguous run of
            // bytes.
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
        // Frames are slices of this buffer, and one that is kept keeps the whole buffer in memory: at least half of it
        // is used before a new one is made. The rest is not used, since a picture that is split at the buffer's end
        // would take two writes for each reader.
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
    async fn input_is_read_from_a_peer_that_does_not_read() {
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
