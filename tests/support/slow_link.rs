//! A link with a limited rate in front of a server: a proxy that forwards in both directions, in one of them at most at
//! a given bit rate.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

/// Bytes that the kernel may buffer for the link: few, so that the backlog is at the sender.
const SOCKET_BUFFER_BYTES: usize = 4 * 1024;
/// Bytes that are forwarded at a time.
const CHUNK_BYTES: usize = 1024;

/// The direction whose rate is limited.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Slow {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

/// A running link. Dropping it closes its connections.
pub struct SlowLink {
    address: SocketAddr,
    bits_per_s: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl SlowLink {
    /// Starts a link for one connection to the server at `port`.
    pub fn start(port: u16, slow: Slow, bits_per_s: u64) -> SlowLink {
        let listening = small_socket();
        listening.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        listening.listen(1).unwrap();
        let listener = TcpListener::from(listening);
        let address = listener.local_addr().unwrap();
        let (bits_per_s, ended) = (Arc::new(AtomicU64::new(bits_per_s)), Arc::new(AtomicBool::new(false)));
        let thread = std::thread::spawn({
            let (rate, ended) = (Arc::clone(&bits_per_s), Arc::clone(&ended));
            move || {
                let (client, _) = listener.accept().unwrap();
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                let server = small_socket();
                server.connect(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into()).unwrap();
                let server = TcpStream::from(server);
                let (up, down) = (slow == Slow::Up, slow == Slow::Down);
                std::thread::scope(|scope| {
                    let way = |from: &TcpStream, to: &TcpStream, is_slow: bool| {
                        let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                        let (rate, ended) = (is_slow.then(|| Arc::clone(&rate)), Arc::clone(&ended));
                        scope.spawn(move || forward(from, to, rate.as_deref(), &ended));
                    };
                    way(&client, &server, up);
                    way(&server, &client, down);
                });
            }
        });
        SlowLink { address, bits_per_s, ended, thread: Some(thread) }
    }

    /// The RTSP URL of a path on the server behind the link.
    pub fn url(&self, path: &str) -> String {
        format!("rtsp://{}/{path}", self.address)
    }

    /// Sets the bit rate of the link from now on.
    pub fn set_rate(&self, bits_per_s: u64) {
        self.bits_per_s.store(bits_per_s, Ordering::Relaxed);
    }
}

fn small_socket() -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES).unwrap();
    socket.set_send_buffer_size(SOCKET_BUFFER_BYTES).unwrap();
    socket
}

/// Forwards until one side closes. With a rate, each chunk is delayed by the transmission time of the one before.
fn forward(mut from: TcpStream, mut to: TcpStream, rate: Option<&AtomicU64>, ended: &AtomicBool) {
    let mut chunk = [0; CHUNK_BYTES];
    let mut free_at = Instant::now();
    while let Ok(length @ 1..) = from.read(&mut chunk) {
        if let Some(rate) = rate {
            let takes = Duration::from_secs_f64(length as f64 * 8.0 / rate.load(Ordering::Relaxed) as f64);
            free_at = free_at.max(Instant::now()) + takes;
            // A sleep, since the transmission time of the chunk is what is simulated.
            std::thread::sleep(free_at.saturating_duration_since(Instant::now()));
        }
        if ended.load(Ordering::Relaxed) || to.write_all(&chunk[..length]).is_err() {
            break;
        }
    }
    // Closes both sides, so that both ends learn it.
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

impl Drop for SlowLink {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // Wakes the thread if no client ever connected; otherwise its listener is closed already.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
