//! A connected TCP socket, plain or under TLS, as one type.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

use crate::send_buffer;

/// A connected TCP socket, plain or under TLS.
#[derive(Debug)]
pub enum Stream {
    /// Without TLS. Shared, since another task may write to it while its own task has nothing to write.
    Plain(Arc<TcpStream>),
    /// Under TLS, as for `rtsps://` and `rtmps://`.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// Wraps a connected socket that is used without TLS.
    pub fn plain(socket: TcpStream) -> Stream {
        Stream::Plain(Arc::new(socket))
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(socket) => loop {
                ready!(socket.poll_read_ready(cx))?;
                match socket.try_read_buf(buffer) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    done => return Poll::Ready(done.map(drop)),
                }
            },
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(socket) => poll_send(socket, cx, |socket| socket.try_write(bytes)),
            Stream::Tls(stream) => {
                let written = Pin::new(&mut **stream).poll_write(cx, bytes);
                full_if_pending(stream.get_ref().0, written)
            }
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(socket) => poll_send(socket, cx, |socket| socket.try_write_vectored(slices)),
            Stream::Tls(stream) => {
                let written = Pin::new(&mut **stream).poll_write_vectored(cx, slices);
                full_if_pending(stream.get_ref().0, written)
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(_) => Poll::Ready(Ok(())),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(socket) => Poll::Ready(socket2::SockRef::from(&**socket).shutdown(std::net::Shutdown::Write)),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// Writes as many bytes as the socket accepts without waiting, and returns their number. Tasks that wait to write are
/// not woken. An error counts as 0 bytes; the socket's own task will get it, too.
pub fn send_now(socket: &TcpStream, bytes: &[u8]) -> usize {
    socket2::SockRef::from(socket).send(bytes).unwrap_or(0)
}

/// Reads the memory that [`send_now`] needs of a socket, without effect. With many sockets it is far away from the
/// processor, which waits for several such places no longer than for one.
pub fn prefetch(socket: &TcpStream) {
    std::hint::black_box(&socket2::SockRef::from(socket));
}

/// Sends as soon as the socket accepts bytes.
fn poll_send(
    socket: &TcpStream,
    cx: &mut Context<'_>,
    mut send: impl FnMut(&TcpStream) -> io::Result<usize>,
) -> Poll<io::Result<usize>> {
    loop {
        ready!(full_if_pending(socket, socket.poll_write_ready(cx)))?;
        match send(socket) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            done => return Poll::Ready(done),
        }
    }
}

/// Passes a result on. Where the socket is full, its send buffer is adapted, on systems that need it.
fn full_if_pending<T>(socket: &TcpStream, result: Poll<T>) -> Poll<T> {
    if result.is_pending() {
        send_buffer::adapt(socket);
    }
    result
}
