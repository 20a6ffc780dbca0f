//! A healthy stream beside what is done to its server: whatever that is, the stream must not notice, and the server must
//! not grow.

use super::guarded::{Guarded, LISTEN, LISTEN_HTTP};
use super::hevcast::{count, expect_figures, send_pattern, start, summary};
use super::process::Process;
use super::raw::Raw;
use super::say;

/// A server with a sender and a receiver that are both well.
pub struct Beside {
    /// The server.
    pub server: Guarded,
    sender: Process,
    receiver: Process,
    /// What the server had in memory when the stream was running, KiB.
    resident_kib: u64,
}

impl Beside {
    /// Starts all three, with these limits.
    pub fn start(limits: &str) -> Beside {
        Beside::start_with("", &format!("[limits]\n{limits}"))
    }

    /// Starts all three; `top` and `tables` of the configuration let anybody send and receive `healthy`.
    pub fn start_with(top: &str, tables: &str) -> Beside {
        let server = Guarded::start(&format!("{LISTEN}{top}{LISTEN_HTTP}{tables}"));
        let url = server.url("", "healthy");
        let sender = send_pattern(&url, &[]);
        let mut receiver = start(&["receive", &url, "--stats", "json"]);
        expect_live(&mut receiver);
        let resident_kib = resident_kib(&server.server.process);
        Beside { server, sender, receiver, resident_kib }
    }

    /// Another connection to the server.
    pub fn connect(&self) -> Raw {
        Raw::connect(self.server.server.port)
    }

    /// Waits until one of the server's counters has so much.
    pub fn wait_for_counter(&self, name: &str, least: usize) {
        self.server.wait_for_counter(name, least as u64);
    }

    /// Waits for what the server says in its log.
    pub fn expect_log(&mut self, text: &str) {
        self.server.server.process.stderr.expect(text, |line| line.contains(text));
    }

    /// By how much the server has grown, KiB.
    pub fn grown_kib(&self) -> u64 {
        resident_kib(&self.server.server.process).saturating_sub(self.resident_kib)
    }

    /// Fails unless the stream still runs, has missed nothing, and the server has grown by less than this.
    pub fn assert_unmoved(mut self, case: &str, most_kib: u64) {
        while self.receiver.stdout.next_now().is_some() {}
        // The first second may have begun before.
        expect_live(&mut self.receiver);
        expect_live(&mut self.receiver);
        let grown = self.grown_kib();
        say(&format!("{case}: the server has grown by {grown} KiB"));
        let summary = summary(&self.receiver.interrupt().0.succeeded());
        let faults = ["/reconnects", "/pictures/damaged", "/rtp_gaps"].map(|name| count(&summary, name));
        assert_eq!(faults, [0, 0, 0], "{case}: {summary}");
        assert!(grown < most_kib, "{case}: the server has grown by {grown} KiB");
        self.sender.interrupt().0.succeeded();
        self.server.server.process.interrupt().0.succeeded();
    }
}

fn expect_live(receiver: &mut Process) {
    expect_figures(receiver, "a live second", |f| f["state"] == "live" && f["pictures"]["shown"] != 0);
}

/// What a process has in memory, KiB.
fn resident_kib(process: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("no VmRSS");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or_else(|| panic!("no size in {line:?}"))
}
