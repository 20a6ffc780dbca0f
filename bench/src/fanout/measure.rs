//! One run: a server, or the bare writer in its place, with a number of readers for some seconds.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::arrivals::Arrivals;
use super::crowd::{Crowd, Guests};
use super::queued::QueuedAt;
use super::source::{Publishing, Sent, Source};
use super::usage::{CpuTimes, all_busy, resident_kib};
use crate::other_server::{OtherServer, PATH, Running};
use crate::process::{Process, Stdout};
use crate::scratch_file::ScratchFile;

/// How long a process may take to listen.
const READY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the stream runs before the first reader comes.
const ALONE: Duration = Duration::from_secs(1);
/// How long all readers read before anything is measured.
const WARM_UP: Duration = Duration::from_secs(2);
/// How long the last packets of the window may take to be counted.
const DRAIN: Duration = Duration::from_millis(500);
/// How long a server lives beyond the window if the benchmark is killed and cannot stop it.
const ORPHAN_GRACE: Duration = Duration::from_secs(120);

/// Connections that the server is let have beside the readers'.
const SPARE_CONNECTIONS: usize = 64;

/// Who writes to the readers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer<'a> {
    /// `hevcast serve`, by this program, with a publisher of this kind.
    Server(&'a Path, Publishing),
    /// Somebody else's server, in the same way.
    Other(OtherServer, Publishing),
    /// [`super::bare_writer`].
    Bare,
}

/// How many, how long.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Readers that read.
    pub reading: usize,
    /// Readers that do not.
    pub stalled: usize,
    /// Time measured.
    pub window: Duration,
}

/// What a run brought.
#[derive(Debug)]
pub struct Measured {
    /// Readers that read.
    pub reading: usize,
    /// Processor time of the writer.
    pub cpu: Duration,
    /// Processor time of everything but the writer and the benchmark itself, by the system's ticks.
    pub others: Duration,
    /// Bytes that its readers read in the window.
    pub bytes: u64,
    /// Its length.
    pub window: Duration,
    /// Memory of the writer before the readers came.
    pub resident_before_kib: u64,
    /// And at the window's end.
    pub resident_kib: u64,
    /// What the readers saw.
    pub arrivals: Arrivals,
    /// What was sent.
    pub sent: Sent,
}

impl Measured {
    /// Processor time of the writer for a Gbit at its readers, in s.
    pub fn cpu_per_gbit(&self) -> f64 {
        self.cpu.as_secs_f64() / (self.bytes as f64 * 8e-9)
    }

    /// Adds another run of the same writer and load; its memory is the larger of both.
    ///
    /// # Errors
    /// As [`Arrivals::pool`].
    pub fn pool(mut self, other: Measured) -> Result<Measured> {
        self.cpu += other.cpu;
        self.others += other.others;
        self.bytes += other.bytes;
        self.window += other.window;
        if other.grown_kib() > self.grown_kib() {
            (self.resident_before_kib, self.resident_kib) = (other.resident_before_kib, other.resident_kib);
        }
        self.arrivals.pool(&other.arrivals)?;
        self.sent.pictures += other.sent.pictures;
        self.sent.moved += other.sent.moved;
        self.sent.keyframe_requests += other.sent.keyframe_requests;
        Ok(self)
    }

    /// What readers got, in Mbit/s.
    pub fn delivered_mbit_per_second(&self) -> f64 {
        self.bytes as f64 * 8e-6 / self.window.as_secs_f64()
    }

    /// What everything else took, in % of one processor.
    pub fn others_percent(&self) -> f64 {
        self.others.as_secs_f64() / self.window.as_secs_f64() * 100.0
    }

    /// Memory by which the writer grew for each reader.
    pub fn kib_per_reader(&self) -> f64 {
        self.grown_kib() as f64 / self.reading.max(1) as f64
    }

    fn grown_kib(&self) -> u64 {
        self.resident_kib.saturating_sub(self.resident_before_kib)
    }
}

/// Adds a run to those before it, if there are any.
///
/// # Errors
/// As [`Measured::pool`].
pub fn pooled(before: Option<Measured>, new: Measured) -> Result<Measured> {
    match before {
        Some(before) => before.pool(new),
        None => Ok(new),
    }
}

/// Lets this process, and those it starts, open as many sockets as the system allows.
///
/// # Errors
/// When the system refuses.
pub fn raise_file_limit() -> Result<()> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).context("the limit of open files")
}

/// Runs `writer` under `load`.
///
/// # Errors
/// What made it impossible.
pub fn run(writer: Writer<'_>, load: Load) -> Result<Measured> {
    let queued = Arc::new(QueuedAt::new());
    match writer {
        Writer::Server(program, publishing) => server(program, publishing, load, queued),
        Writer::Other(program, publishing) => other(program, publishing, load, queued),
        Writer::Bare => bare(load, queued),
    }
}

fn server(program: &Path, publishing: Publishing, load: Load, queued: Arc<QueuedAt>) -> Result<Measured> {
    let mut serve = Command::new(program);
    let connections = load.reading + load.stalled + SPARE_CONNECTIONS;
    let config = ScratchFile::of(&format!("[limits]\nconnections = {connections}\n"), "toml")?;
    let lifetime = (load.window + ORPHAN_GRACE).as_secs();
    serve
        .args(["serve", "--listen", "127.0.0.1:0", "--duration", &format!("{lifetime}s"), "--config"])
        .arg(config.path());
    let process = Process::start("hevcast serve", serve, Stdout::Lines)?;
    let address = told_address(&process, "listening on ")?;
    let measured = serving(&process, address, publishing, load, queued)?;
    process.stop()?;
    Ok(measured)
}

fn other(other: OtherServer, publishing: Publishing, load: Load, queued: Arc<QueuedAt>) -> Result<Measured> {
    let Running { process, address, .. } = &other.start()?;
    serving(process, *address, publishing, load, queued)
}

/// A server that listens at an address.
fn serving(
    process: &Process,
    address: SocketAddr,
    publishing: Publishing,
    load: Load,
    queued: Arc<QueuedAt>,
) -> Result<Measured> {
    let url = format!("rtsp://{address}/{PATH}");
    let source = Source::publish(&url, publishing, Arc::clone(&queued))?;
    std::thread::sleep(ALONE);
    let resident_before_kib = resident_kib(process.id())?;
    let guests = Guests { address, url, reading: load.reading, stalled: load.stalled };
    let crowd = Crowd::join(guests, Arc::clone(&queued))?;
    let measured = window(process, crowd, &queued, load, resident_before_kib)?;
    // The readers are gone, and the server has not kept the publisher from saying goodbye.
    let sent = source.stop()?;
    Ok(Measured { sent, ..measured })
}

fn bare(load: Load, queued: Arc<QueuedAt>) -> Result<Measured> {
    // This very program, even where its file has been replaced since it was started.
    let mut command = Command::new("/proc/self/exe");
    command.args(["bare-writer", "--readers", &load.reading.to_string()]);
    let process = Process::start("the bare writer", command, Stdout::Lines)?;
    let (address, source) = (told_address(&process, "readers at ")?, told_address(&process, "source at ")?);
    let resident_before_kib = resident_kib(process.id())?;
    let url = format!("rtsp://{address}/{PATH}");
    let guests = Guests { address, url, reading: load.reading, stalled: load.stalled };
    let source = Source::feed(source, Arc::clone(&queued))?;
    let crowd = Crowd::join(guests, Arc::clone(&queued))?;
    let measured = window(&process, crowd, &queued, load, resident_before_kib)?;
    // It ends when its readers have gone, which the source may notice first.
    let sent = source.stop().unwrap_or_default();
    process.stop()?;
    Ok(Measured { sent, ..measured })
}

fn told_address(process: &Process, behind: &str) -> Result<SocketAddr> {
    process.wait_for_line(READY_TIMEOUT, |line| line.strip_prefix(behind).and_then(|address| address.parse().ok()))
}

/// Warms up, and measures.
fn window(
    process: &Process,
    crowd: Crowd,
    queued: &QueuedAt,
    load: Load,
    resident_before_kib: u64,
) -> Result<Measured> {
    std::thread::sleep(WARM_UP);
    let begin = queued.now();
    crowd.measure(begin, begin + load.window.as_nanos() as u64);
    let (own, all) = (CpuTimes::of(std::process::id())?, all_busy()?);
    let (cpu, bytes, begun) = (CpuTimes::of(process.id())?, crowd.bytes(), Instant::now());
    std::thread::sleep(load.window);
    let (cpu, bytes) = (CpuTimes::of(process.id())?.since(&cpu), crowd.bytes() - bytes);
    let window = begun.elapsed();
    let own = CpuTimes::of(std::process::id())?.since(&own);
    let others = all_busy()?.saturating_sub(all).saturating_sub(own + cpu);
    let resident_kib = resident_kib(process.id())?;
    std::thread::sleep(DRAIN);
    let arrivals = crowd.leave().with_context(|| process.last_words())?;
    let (reading, sent) = (load.reading, Sent::default());
    Ok(Measured { reading, cpu, others, bytes, window, resident_before_kib, resident_kib, arrivals, sent })
}
