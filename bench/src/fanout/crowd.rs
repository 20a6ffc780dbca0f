//! Many readers in one thread: they join, then read all that comes as fast as it comes, and note it in [`Arrivals`].
//!
//! One `epoll`, one buffer that all reads share, and per reader a socket and a few bytes of [`Framing`]: a thousand
//! readers should cost the machine little beside what is measured.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, SyncSender};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use socket2::{Domain, Socket, Type};

use super::arrivals::Arrivals;
use super::framing::Framing;
use super::handshake::{Handshake, Progress};
use super::pictures::TICKS;
use super::queued::QueuedAt;

/// What one read may bring: more than the largest picture, so that a reader is emptied in one.
const READ_BYTES: usize = 256 * 1024;
/// Handshakes under way at a time.
const JOINING_AT_ONCE: usize = 32;
/// Sockets told of by one wait.
const EVENTS: usize = 1024;
/// How long a wait lasts at most: how soon the end is noticed.
const WAIT: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
/// How long all may take to join.
const JOIN_TIMEOUT: Duration = Duration::from_secs(60);

/// Readers at one source address: fewer than a server takes from one, and than an address has ports.
const READERS_PER_ADDRESS: usize = 1000;

/// The address from which a reader of this number connects: 127.0.0.1 and those behind it.
fn local_address(number: usize) -> Ipv4Addr {
    let first = u32::from(Ipv4Addr::LOCALHOST);
    Ipv4Addr::from(first + (number / READERS_PER_ADDRESS) as u32)
}

fn connect_from(local: Ipv4Addr, server: SocketAddr) -> Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(server), Type::STREAM, None).context("a socket")?;
    // A system may have no other loopback address than the first.
    if local != Ipv4Addr::LOCALHOST {
        socket.bind(&SocketAddr::from((local, 0)).into()).context("a reader has no address")?;
    }
    socket.connect(&server.into()).context("a reader cannot connect")?;
    Ok(socket.into())
}

/// Who joins, and where.
#[derive(Clone, Debug)]
pub struct Guests {
    /// Where they connect to.
    pub address: SocketAddr,
    /// What they ask for over RTSP.
    pub url: String,
    /// How many read.
    pub reading: usize,
    /// How many join, before the others, and then never read.
    pub stalled: usize,
}

/// Readers that have joined.
#[derive(Debug)]
pub struct Crowd {
    shared: Arc<Shared>,
    thread: JoinHandle<Result<Arrivals>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Bytes read by all.
    bytes: AtomicU64,
    /// Packets queued from this ns on are measured; 0 while none are.
    begin: AtomicU64,
    /// And up to this one.
    end: AtomicU64,
    stop: AtomicBool,
}

impl Crowd {
    /// Lets all of them join; they read from then on.
    ///
    /// # Errors
    /// When one of them is refused, or they take too long.
    pub fn join(guests: Guests, queued: Arc<QueuedAt>) -> Result<Crowd> {
        let shared = Arc::new(Shared::default());
        let members = Members {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC).context("no epoll")?,
            members: Vec::with_capacity(guests.reading + guests.stalled),
            playing: 0,
            buffer: vec![0; READ_BYTES],
            arrivals: Arrivals::new(guests.reading)?,
            shared: Arc::clone(&shared),
            queued,
            guests,
        };
        let (joined, all_joined) = mpsc::sync_channel(1);
        let thread = std::thread::spawn(move || members.run(joined));
        match all_joined.recv_timeout(JOIN_TIMEOUT) {
            Ok(()) => Ok(Crowd { shared, thread }),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                shared.stop.store(true, Ordering::Relaxed);
                bail!("the readers have not all joined within {} s", JOIN_TIMEOUT.as_secs())
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => match thread.join() {
                Ok(Err(error)) => Err(error),
                _ => bail!("the readers' thread ended"),
            },
        }
    }

    /// Bytes that all have read so far.
    pub fn bytes(&self) -> u64 {
        self.shared.bytes.load(Ordering::Relaxed)
    }

    /// From now on, what is queued from `begin` up to `end`, in ns of the common clock, is measured.
    pub fn measure(&self, begin: u64, end: u64) {
        self.shared.end.store(end, Ordering::Relaxed);
        self.shared.begin.store(begin, Ordering::Release);
    }

    /// All leave; what they saw.
    ///
    /// # Errors
    /// When one of them lost its connection.
    pub fn leave(self) -> Result<Arrivals> {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("the readers' thread panicked"))?
    }
}

/// The thread's own.
struct Members {
    guests: Guests,
    epoll: OwnedFd,
    members: Vec<Member>,
    /// Those that have been answered to PLAY.
    playing: usize,
    buffer: Vec<u8>,
    arrivals: Arrivals,
    shared: Arc<Shared>,
    queued: Arc<QueuedAt>,
}

struct Member {
    stream: TcpStream,
    stage: Stage,
}

enum Stage {
    Asking(Box<Handshake>),
    Reading { framing: Framing, expected: Option<u16> },
    Stalled,
}

impl Members {
    fn run(mut self, joined: SyncSender<()>) -> Result<Arrivals> {
        let total = self.guests.reading + self.guests.stalled;
        let mut events = Vec::with_capacity(EVENTS);
        while !self.shared.stop.load(Ordering::Relaxed) {
            while self.members.len() < total && self.members.len() - self.playing < JOINING_AT_ONCE {
                self.connect()?;
            }
            if self.playing == total {
                // Told once; nobody listens afterwards.
                let _ = joined.try_send(());
            }
            match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&WAIT)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error).context("epoll"),
            }
            for event in events.drain(..) {
                let number = event.data.u64() as usize;
                self.read(number).with_context(|| format!("reader {number} of {total}"))?;
            }
        }
        self.arrivals.finish();
        Ok(self.arrivals)
    }

    fn connect(&mut self) -> Result<()> {
        let mut stream = connect_from(local_address(self.members.len()), self.guests.address)?;
        stream.set_nodelay(true)?;
        let (handshake, request) = Handshake::new(&self.guests.url);
        stream.write_all(request.as_bytes())?;
        let stage = Stage::Asking(Box::new(handshake));
        stream.set_nonblocking(true)?;
        let number = epoll::EventData::new_u64(self.members.len() as u64);
        epoll::add(&self.epoll, &stream, number, epoll::EventFlags::IN).context("epoll")?;
        self.members.push(Member { stream, stage });
        Ok(())
    }

    fn read(&mut self, number: usize) -> Result<()> {
        let Members { members, buffer, arrivals, shared, queued, .. } = self;
        let member = &mut members[number];
        let len = match member.stream.read(buffer) {
            Ok(0) => bail!("the connection was closed"),
            Ok(len) => len,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return Ok(()),
            Err(error) => return Err(error).context("the connection broke"),
        };
        let now = queued.now();
        match &mut member.stage {
            Stage::Reading { framing, expected } => {
                note(&buffer[..len], now, framing, expected, arrivals, shared, queued)
            }
            Stage::Asking(handshake) => match handshake.feed(&buffer[..len])? {
                Progress::Waiting => Ok(()),
                // A socket that has nothing else to send takes a request whole.
                Progress::Ask(request) => member.stream.write_all(request.as_bytes()).context("asking"),
                Progress::Playing(rest) => {
                    self.playing += 1;
                    if number < self.guests.stalled {
                        member.stage = Stage::Stalled;
                        return epoll::delete(&self.epoll, &member.stream).context("epoll");
                    }
                    member.stage = Stage::reading();
                    let Stage::Reading { framing, expected } = &mut member.stage else { return Ok(()) };
                    note(&rest, now, framing, expected, arrivals, shared, queued)
                }
            },
            Stage::Stalled => Ok(()),
        }
    }
}

impl Stage {
    fn reading() -> Stage {
        Stage::Reading { framing: Framing::default(), expected: None }
    }
}

/// Notes what a read brought to a reader.
fn note(
    bytes: &[u8],
    now: u64,
    framing: &mut Framing,
    expected: &mut Option<u16>,
    arrivals: &mut Arrivals,
    shared: &Shared,
    queued: &QueuedAt,
) -> Result<()> {
    shared.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    let begin = shared.begin.load(Ordering::Acquire);
    let window = begin..shared.end.load(Ordering::Relaxed);
    arrivals.reads += u64::from(begin > 0 && window.contains(&now));
    framing.feed(bytes, |packet| {
        arrivals.follow(packet, expected);
        let at = queued.of(packet.sequence_number);
        if begin > 0 && window.contains(&at) {
            arrivals.take(packet, at, now, TICKS);
        }
    })
}
