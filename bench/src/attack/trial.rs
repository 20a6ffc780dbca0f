//! One attack beside one healthy stream.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};

use super::peer::Peer;
use super::table::Row;
use crate::fanout::{Arrivals, Crowd, Guests, Publishing, QueuedAt, Source, resident_kib};
use crate::process::{Process, Stdout};

/// How long a server may take to listen.
const READY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long viewers read before anything is measured.
const WARM_UP: Duration = Duration::from_secs(2);
/// How long the last packets may take to be counted.
const DRAIN: Duration = Duration::from_millis(500);
/// How often memory is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// How often, and for how long at most, `/healthz` is asked.
const HEALTH_INTERVAL: Duration = Duration::from_millis(250);
const HEALTH_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a server lives if the benchmark is killed and cannot stop it.
const LIFETIME: &str = "1200s";

/// What an attack does until the end that it is told; its connections are closed when it is over.
pub type Attack = fn(&Target) -> Result<Vec<Peer>>;

/// What is attacked, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Where RTSP is spoken.
    pub rtsp: SocketAddr,
    /// Where HTTP is.
    pub http: SocketAddr,
    until: Instant,
}

impl Target {
    /// Whether the attack is to go on.
    pub fn goes_on(&self) -> bool {
        Instant::now() < self.until
    }

    /// Waits for its end.
    pub fn wait(&self) {
        std::thread::sleep(self.until.saturating_duration_since(Instant::now()));
    }
}

/// How each attack is run.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The program whose `serve` is attacked.
    pub program: PathBuf,
    /// Viewers of the healthy stream.
    pub viewers: usize,
    /// How long each part lasts.
    pub window: Duration,
    /// How long after the attack memory is looked at again.
    pub settle: Duration,
    /// `[limits] memory`.
    pub memory_mib: u64,
}

impl Trial {
    /// Runs one.
    ///
    /// # Errors
    /// What made it impossible.
    pub fn run(&self, name: &'static str, attack: Attack) -> Result<Row> {
        let folder = std::env::temp_dir().join(format!("hevcast-bench-attack-{}", std::process::id()));
        std::fs::create_dir_all(&folder).context("no folder for the server's configuration")?;
        let row = self.run_in(&folder, name, attack).with_context(|| format!("the attack {name}"));
        // What is left of it is a small file.
        let _ = std::fs::remove_dir_all(&folder);
        row
    }

    fn run_in(&self, folder: &Path, name: &'static str, attack: Attack) -> Result<Row> {
        let config = folder.join("hevcast.toml");
        std::fs::write(&config, configuration(self.memory_mib))?;
        let mut serve = Command::new(&self.program);
        serve.arg("serve").arg("--config").arg(&config).args(["--duration", LIFETIME]);
        let process = Process::start("hevcast serve", serve, Stdout::Lines)?;
        let rtsp: SocketAddr = told(&process, "listening on ", "")?;
        let http: SocketAddr = told(&process, "status page: http://", "/")?;
        let queued = Arc::new(QueuedAt::new());
        let url = format!("rtsp://{rtsp}/bench");
        let source = Source::publish(&url, Publishing::default(), Arc::clone(&queued))?;
        std::thread::sleep(WARM_UP);

        let join = || -> Result<Crowd> {
            let guests = Guests { address: rtsp, url: url.clone(), reading: self.viewers, stalled: 0 };
            let crowd = Crowd::join(guests, Arc::clone(&queued))?;
            std::thread::sleep(WARM_UP);
            let begin = queued.now();
            crowd.measure(begin, begin + self.window.as_nanos() as u64);
            Ok(crowd)
        };
        let without = join()?;
        std::thread::sleep(self.window + DRAIN);
        let without = without.leave()?;

        let before_kib = resident_kib(process.id())?;
        let with = join()?;
        let target = Target { rtsp, http, until: Instant::now() + self.window };
        let watch = Watch::start(process.id(), http);
        let attackers = std::thread::spawn(move || attack(&target));
        std::thread::sleep(self.window + DRAIN);
        let attackers = attackers.join().map_err(|_| anyhow!("it panicked"))??;
        let with: Arrivals = with.leave().with_context(|| process.last_words())?;
        let (peak_kib, health) = watch.stop()?;
        drop(attackers);
        std::thread::sleep(self.settle);
        let after_kib = resident_kib(process.id())?;
        source.stop()?;
        process.stop()?;
        Ok(Row { name, before_kib, peak_kib, after_kib, without, with, health })
    }
}

fn told(process: &Process, before: &str, after: &str) -> Result<SocketAddr> {
    process.wait_for_line(READY_TIMEOUT, |line| line.strip_prefix(before)?.trim_end_matches(after).parse().ok())
}

/// A server that is open but for one path, which has a user whose password takes long to look at.
fn configuration(memory_mib: u64) -> String {
    let hash = format!("$argon2id$v=19$m=19456,t=2,p=1$YSBncmFpbiBvZiBzYWx0${}", "A".repeat(43));
    format!(
        "listen = \"127.0.0.1:0\"\n[http]\nlisten = \"127.0.0.1:0\"\n[limits]\nmemory = \"{memory_mib} MiB\"\n\
         [anyone]\npublish = [\"bench\", \"attack/*\"]\nread = [\"bench\", \"attack/*\"]\n\
         [[user]]\nname = \"someone\"\nargon2 = \"{hash}\"\nread = [\"closed\"]\n"
    )
}

/// Looks at the server from outside while it is attacked.
struct Watch {
    stop: Arc<AtomicBool>,
    peak_kib: Arc<AtomicU64>,
    memory: std::thread::JoinHandle<()>,
    health: std::thread::JoinHandle<Duration>,
}

impl Watch {
    fn start(process: u32, http: SocketAddr) -> Watch {
        let (stop, peak_kib) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, peak) = (Arc::clone(&stop), Arc::clone(&peak_kib));
        let memory = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                peak.fetch_max(resident_kib(process).unwrap_or_default(), Ordering::Relaxed);
                std::thread::sleep(LOOK_INTERVAL);
            }
        });
        let stopped = Arc::clone(&stop);
        let health = std::thread::spawn(move || {
            let mut slowest = Duration::ZERO;
            while !stopped.load(Ordering::Relaxed) {
                let begun = Instant::now();
                let is_healthy = ask_health(http).is_ok_and(|is_healthy| is_healthy);
                slowest = slowest.max(if is_healthy { begun.elapsed() } else { HEALTH_TIMEOUT });
                std::thread::sleep(HEALTH_INTERVAL);
            }
            slowest
        });
        Watch { stop, peak_kib, memory, health }
    }

    /// The most memory, KiB, and the slowest answer.
    fn stop(self) -> Result<(u64, Duration)> {
        self.stop.store(true, Ordering::Relaxed);
        self.memory.join().map_err(|_| anyhow!("looking at memory panicked"))?;
        let health = self.health.join().map_err(|_| anyhow!("asking for health panicked"))?;
        Ok((self.peak_kib.load(Ordering::Relaxed), health))
    }
}

fn ask_health(http: SocketAddr) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(&http, HEALTH_TIMEOUT)?;
    stream.set_read_timeout(Some(HEALTH_TIMEOUT))?;
    write!(stream, "GET /healthz HTTP/1.1\r\nHost: {http}\r\nConnection: close\r\n\r\n")?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer)?;
    Ok(answer == *b"HTTP/1.1 200")
}
