//! What the scenarios share: processes that cannot outlive their test, the program under test, a server that refuses,
//! a browser, pictures and how alike they are, and the means to step aside.

pub mod asked;
pub mod beside;
pub mod camera;
pub mod display;
pub mod fake_server;
pub mod footage;
pub mod guarded;
pub mod hevcast;
pub mod mediamtx;
pub mod nginx;
pub mod pictures;
pub mod process;
pub mod raw;
pub mod slow_link;
pub mod webdriver;
pub mod window;

use parking_lot::{Mutex, MutexGuard};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// How long anything may take before a test gives up on it; nothing here is slow, machines may be.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Holds the place of the one scenario that may run video in real time. Keep the guard for as long as that lasts.
pub fn real_time() -> MutexGuard<'static, ()> {
    static PLACE: Mutex<()> = Mutex::new(());
    // A scenario that failed has let its processes go; the place is free all the same.
    PLACE.lock()
}

/// Says something past the test harness, which keeps the words of tests that pass to itself.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "scenarios: {text}");
}

/// Whether `tool` runs here; says what is skipped where it does not, and fails where peers are required.
pub fn has_peer(tool: &str, scenario: &str) -> bool {
    is_there(runs(tool), tool, scenario)
}

/// The same of a peer that was looked for in another way.
pub fn is_there(found: bool, peer: &str, scenario: &str) -> bool {
    if !found {
        assert!(
            std::env::var_os("HEVCAST_REQUIRE_PEERS").is_none(),
            "{scenario}: {peer} is required and not installed"
        );
        say(&format!("skipped: {scenario}: {peer} is not installed (make setup-tests installs it)"));
    }
    found
}

/// Whether a program of this name can be started.
pub fn runs(tool: &str) -> bool {
    Command::new(tool).arg("-version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// A port that nobody has, neither of TCP nor of UDP; somebody may take it before it is used, but the system gives others
/// first.
pub fn free_port() -> u16 {
    loop {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        if std::net::UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// The workspace's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// A folder of its own that goes away with the test.
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes one in the system's temporary folder.
    pub fn new() -> Scratch {
        Scratch::within(&std::env::temp_dir())
    }

    /// Makes one in `parent`.
    pub fn within(parent: &Path) -> Scratch {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("hevcast-scenario-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
