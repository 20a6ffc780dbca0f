//! A link in the middle of a TCP connection: a proxy on loopback that forwards both directions as [`super::link`] says.
//!
//! One direction carries video and has the script's rate; the other has its delay and its stalls. Each direction of each
//! connection is two threads: one takes in what there is room for, one gives out what has arrived.
//!
//! **What the kernel hides.** A sender's bytes wait in its own socket, where it can see them, until the pipe's socket has
//! room. Loopback would make that megabytes; so the pipe's sockets have [`SOCKET_BUFFER_BYTES`], set before they listen
//! or connect, and segments of Ethernet's size, as the kernel counts a buffer by segments. Linux doubles the figure and
//! counts its own overhead in: 3 to 7 KiB of video fit (by `ss`; a test holds it to the doubled figure), at most 60 ms at
//! 1 Mbit/s. With what waits in the link itself, a sender has at most 110 ms in the pipe at 1 Mbit/s, and 65 ms at
//! 4 Mbit/s. On a link so short this is still enough for any rate that is tried here.

use parking_lot::{Condvar, Mutex, MutexGuard};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use socket2::{Domain, Protocol, Socket, Type};

use super::link::{Link, SEGMENT_BYTES};
use super::script::Script;
use super::tap::{Passed, Tap};

/// What is asked of the kernel for each buffer of the pipe's sockets.
const SOCKET_BUFFER_BYTES: usize = 4 * 1024;
/// Connections that may wait to be accepted.
const ACCEPT_BACKLOG: i32 = 8;
/// Connections followed at once; a chain has one, and a few more when it reconnects.
const MAX_CONNECTIONS: usize = 64;
/// A wait that somebody will end, or that is begun again.
const LONG: Duration = Duration::from_secs(1);

/// Which way video goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Video {
    /// From whoever connects: a publisher.
    FromClient,
    /// To whoever connects: a reader.
    ToClient,
}

/// A listening proxy. Dropped, it closes all connections and its threads end.
#[derive(Debug)]
pub struct Pipe {
    shared: Arc<Shared>,
    address: SocketAddr,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    script: Arc<Script>,
    video: Video,
    opened: Instant,
    stopped: AtomicBool,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    begins: Option<Duration>,
    directions: Vec<Arc<Direction>>,
    sockets: Vec<TcpStream>,
    threads: Vec<JoinHandle<()>>,
}

/// One direction of a connection.
#[derive(Debug)]
struct Direction {
    state: Mutex<DirectionState>,
    changed: Condvar,
}

#[derive(Debug)]
struct DirectionState {
    link: Link,
    tap: Option<Tap>,
    /// Nothing more comes in.
    ended: bool,
    /// Nothing more goes out.
    broken: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change of what the locks hold is complete in itself.
    mutex.lock()
}

fn small_socket() -> Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES)?;
    socket.set_send_buffer_size(SOCKET_BUFFER_BYTES)?;
    #[cfg(unix)]
    socket.set_tcp_mss(SEGMENT_BYTES as u32)?;
    socket.set_tcp_nodelay(true)?;
    Ok(socket)
}

impl Pipe {
    /// Listens on loopback; whoever connects is connected to `target`.
    ///
    /// # Errors
    /// When the system does not let it.
    pub fn open(target: SocketAddr, video: Video, script: Script) -> Result<Pipe> {
        let socket = small_socket().context("a socket for the pipe")?;
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).context("a port for the pipe")?;
        socket.listen(ACCEPT_BACKLOG)?;
        let listener = TcpListener::from(socket);
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            script: Arc::new(script),
            video,
            opened: Instant::now(),
            stopped: AtomicBool::new(false),
            inner: Mutex::default(),
        });
        let of_thread = Arc::clone(&shared);
        let accepting = Some(std::thread::spawn(move || of_thread.accept(&listener, target)));
        Ok(Pipe { shared, address, accepting })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// When it was opened.
    pub fn opened(&self) -> Instant {
        self.shared.opened
    }

    /// The script begins at `at`, which lies ahead.
    pub fn begin(&self, at: Instant) {
        let at = at.saturating_duration_since(self.shared.opened);
        let mut inner = lock(&self.shared.inner);
        inner.begins = Some(at);
        inner.directions.iter().for_each(|direction| lock(&direction.state).link.begin(at));
    }

    /// The coded pictures that came into the pipe, connection after connection.
    pub fn pictures(&self) -> Vec<Passed> {
        let inner = lock(&self.shared.inner);
        let mut pictures = Vec::new();
        for direction in &inner.directions {
            if let Some(tap) = &lock(&direction.state).tap {
                pictures.extend_from_slice(tap.pictures());
            }
        }
        pictures
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Release);
        // Wakes the one who waits for connections. If it fails, nobody waits.
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
        let threads = {
            let mut inner = lock(&self.shared.inner);
            for socket in &inner.sockets {
                let _ = socket.shutdown(Shutdown::Both);
            }
            for direction in &inner.directions {
                lock(&direction.state).broken = true;
                direction.changed.notify_all();
            }
            std::mem::take(&mut inner.threads)
        };
        for thread in threads {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn accept(self: &Arc<Shared>, listener: &TcpListener, target: SocketAddr) {
        for client in listener.incoming() {
            if self.stopped.load(Ordering::Acquire) || lock(&self.inner).sockets.len() >= 2 * MAX_CONNECTIONS {
                return;
            }
            // A connection that cannot be had is closed, and the one who wanted it says so.
            let _ = client.map_err(anyhow::Error::from).and_then(|client| self.connect(client, target));
        }
    }

    fn connect(self: &Arc<Shared>, client: TcpStream, target: SocketAddr) -> Result<()> {
        client.set_nodelay(true)?;
        let socket = small_socket()?;
        socket.connect(&target.into())?;
        let server = TcpStream::from(socket);
        self.forward(&client, &server, self.video == Video::FromClient)?;
        self.forward(&server, &client, self.video == Video::ToClient)?;
        lock(&self.inner).sockets.extend([client, server]);
        Ok(())
    }

    fn forward(self: &Arc<Shared>, from: &TcpStream, to: &TcpStream, has_video: bool) -> Result<()> {
        let (from, to) = (from.try_clone()?, to.try_clone()?);
        let mut inner = lock(&self.inner);
        let mut link = Link::new(Arc::clone(&self.script), has_video);
        if let Some(begins) = inner.begins {
            link.begin(begins);
        }
        let state = DirectionState { link, tap: has_video.then(Tap::default), ended: false, broken: false };
        let direction = Arc::new(Direction { state: Mutex::new(state), changed: Condvar::new() });
        inner.directions.push(Arc::clone(&direction));
        let (taking, opened) = (Arc::clone(&direction), self.opened);
        inner.threads.push(std::thread::spawn(move || taking.take_in(from, opened)));
        inner.threads.push(std::thread::spawn(move || direction.give_out(to, opened)));
        Ok(())
    }
}

impl Direction {
    /// Reads as much as the link has room for, until the connection ends.
    fn take_in(&self, mut from: TcpStream, opened: Instant) {
        let mut buffer = [0; SEGMENT_BYTES];
        loop {
            let mut state = lock(&self.state);
            loop {
                if state.broken {
                    return;
                }
                let now = opened.elapsed();
                if state.link.room_bytes(now) >= SEGMENT_BYTES {
                    break;
                }
                let until = state.link.next_room(now).map_or(LONG, |at| at.saturating_sub(now));
                self.changed.wait_for(&mut state, until);
            }
            drop(state);
            let read = from.read(&mut buffer);
            let mut state = lock(&self.state);
            match read {
                Ok(len @ 1..) => {
                    let (now, bytes) = (opened.elapsed(), &buffer[..len]);
                    state.link.push(now, bytes);
                    if let Some(tap) = &mut state.tap {
                        tap.feed(bytes, now);
                    }
                }
                _ => state.ended = true,
            }
            self.changed.notify_all();
            if state.ended {
                return;
            }
        }
    }

    /// Writes what has arrived, until nothing more comes.
    fn give_out(&self, mut to: TcpStream, opened: Instant) {
        loop {
            let mut state = lock(&self.state);
            let bytes = loop {
                let now = opened.elapsed();
                if let Some(bytes) = state.link.pop(now) {
                    break Some(bytes);
                }
                let next = state.link.next_arrival();
                if state.broken || (state.ended && next.is_none()) {
                    break None;
                }
                self.changed.wait_for(&mut state, next.map_or(LONG, |at| at.saturating_sub(now)));
            };
            drop(state);
            let written = bytes.as_ref().map(|bytes| to.write_all(bytes));
            if !matches!(written, Some(Ok(()))) {
                lock(&self.state).broken = true;
                // The other side may be gone already.
                let _ = to.shutdown(Shutdown::Write);
            }
            self.changed.notify_all();
            if !matches!(written, Some(Ok(()))) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::script::{FULL_BPS, Scenario};
    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    /// A pipe, and both ends of a connection through it.
    fn connected(scenario: Scenario, scale: f64) -> (Pipe, TcpStream, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let script = Script::of(scenario, scale, Duration::ZERO, 0);
        let pipe = Pipe::open(listener.local_addr().unwrap(), Video::FromClient, script).unwrap();
        let client = TcpStream::connect(pipe.address()).unwrap();
        let (server, _) = listener.accept().unwrap();
        for end in [&client, &server] {
            end.set_read_timeout(Some(SOON)).unwrap();
        }
        (pipe, client, server)
    }

    #[test]
    fn both_directions_pass_whole_and_end() {
        let (pipe, mut client, mut server) = connected(Scenario::Unshaped, 1.0);
        let sent: Vec<u8> = (0..300_000u32).map(|n| n as u8).collect();
        let (up, down) = (sent.clone(), sent.clone());
        let mut back = server.try_clone().unwrap();
        let mut there = client.try_clone().unwrap();
        let writers = [
            std::thread::spawn(move || there.write_all(&up).and_then(|()| there.shutdown(Shutdown::Write))),
            std::thread::spawn(move || back.write_all(&down).and_then(|()| back.shutdown(Shutdown::Write))),
        ];
        let read_at_server = std::thread::spawn(move || {
            let mut received = Vec::new();
            server.read_to_end(&mut received).map(|_| received)
        });
        let mut received = Vec::new();
        client.read_to_end(&mut received).unwrap();
        assert!(received == sent && read_at_server.join().unwrap().unwrap() == sent);
        writers.into_iter().for_each(|writer| writer.join().unwrap().unwrap());
        drop(pipe);
    }

    #[test]
    fn a_slow_link_takes_at_least_its_time() {
        let (_pipe, mut client, mut server) = connected(Scenario::Cut, 1.0);
        let begun = Instant::now();
        const BYTES: usize = 200_000;
        let writer = std::thread::spawn(move || client.write_all(&[0; BYTES]));
        server.read_exact(&mut [0; BYTES]).unwrap();
        let least = Duration::from_secs_f64(BYTES as f64 * 8.0 / FULL_BPS as f64);
        assert!(begun.elapsed() >= least, "{:?}", begun.elapsed());
        writer.join().unwrap().unwrap();
    }

    #[test]
    fn little_is_hidden_in_the_kernel() {
        const OWN_BYTES: usize = 4 * 1024;
        const LINK_BYTES: usize = 25_000;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let pipe = Pipe::open(listener.local_addr().unwrap(), Video::FromClient, Script::stalled()).unwrap();
        pipe.begin(pipe.opened());
        let socket = small_socket().unwrap();
        socket.set_send_buffer_size(OWN_BYTES).unwrap();
        socket.connect(&pipe.address().into()).unwrap();
        let mut client = TcpStream::from(socket);
        // Nothing passes any more when this is over.
        client.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
        let mut taken = 0;
        while let Ok(len @ 1..) = client.write(&[0; 1000]) {
            taken += len;
        }
        let hidden = taken.saturating_sub(LINK_BYTES);
        // Of these, the client's own buffer, which the kernel doubles, is not the pipe's.
        assert!((1..=2 * OWN_BYTES + 2 * SOCKET_BUFFER_BYTES).contains(&hidden), "{taken} bytes were taken");
    }
}
