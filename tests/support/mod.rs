//! What the scenarios share: child processes that end with their test, the program under test, fake servers, peers, a
//! browser, comparison of pictures, and skipping where something is absent.

pub mod camera;
pub mod configured_server;
pub mod display;
pub mod fake_server;
pub mod footage;
pub mod healthy_stream;
pub mod hevcast;
pub mod mediamtx;
pub mod nginx;
pub mod pictures;
pub mod process;
pub mod raw;
pub mod rtsp_request;
pub mod slow_link;
pub mod webdriver;
pub mod window;

use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The timeout of everything that a test waits for: long, since the machine may be slow.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Scenarios that run video in real time hold it: alone, or several at a time.
static REAL_TIME: RwLock<()> = RwLock::new(());

/// The machine for a scenario alone that runs video in real time and depends on its pace. The scenario holds the guard as
/// long as it does; one that fails ends its processes and releases it.
pub fn real_time() -> RwLockWriteGuard<'static, ()> {
    REAL_TIME.write()
}

/// The machine for a scenario that runs video in real time, but waits for events most of its time and asserts no pace: beside
/// others of this kind.
pub fn real_time_shared() -> RwLockReadGuard<'static, ()> {
    REAL_TIME.read()
}

/// Prints a line past the test harness, which hides the output of tests that pass.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "scenarios: {text}");
}

/// Whether `tool` can be run. Where it cannot, prints which scenario is skipped, or fails if peers are required.
pub fn has_peer(tool: &str, scenario: &str) -> bool {
    is_there(runs(tool), tool, scenario)
}

/// The same for a peer that was searched for in another way: `found` is the result.
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

/// A port that is free for both TCP and UDP. Another process may take it before it is used, but the system assigns
/// others first.
pub fn free_port() -> u16 {
    loop {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        if std::net::UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// The root folder of the workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// A temporary folder that is deleted when this is dropped.
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes a folder in the system's temporary folder.
    pub fn new() -> Scratch {
        Scratch::within(&std::env::temp_dir())
    }

    /// Makes a folder in `parent`.
    pub fn within(parent: &Path) -> Scratch {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("hevcast-scenario-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    /// The path of a file in the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
