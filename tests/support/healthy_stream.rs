//! A healthy stream on a server that a test abuses: whatever the test does, the stream must not be affected, and the
//! server's memory must not grow.

use super::configured_server::{ConfiguredServer, LISTEN, LISTEN_HTTP};
use super::hevcast::{count, expect_figures, send_pattern, start, summary};
use super::process::Process;
use super::raw::Raw;
use super::say;

/// A server with a sender and a receiver of one stream, at the path `healthy`.
pub struct HealthyStream {
    /// The server that the test abuses.
    pub server: ConfiguredServer,
    sender: Process,
    receiver: Process,
    /// The server's resident memory when the stream was running, in KiB.
    resident_kib: u64,
}

impl HealthyStream {
    /// Starts server, sender and receiver, with these lines in the table `[limits]`.
    pub fn start(limits: &str) -> HealthyStream {
        HealthyStream::start_with("", &format!("[limits]\n{limits}"))
    }

    /// Starts server, sender and receiver. `top` and `tables` are parts of the configuration, which must allow
    /// everybody to send and receive `healthy`.
    pub fn start_with(top: &str, tables: &str) -> HealthyStream {
        let server = ConfiguredServer::start(&format!("{LISTEN}{top}{LISTEN_HTTP}{tables}"));
        let url = server.url("", "healthy");
        let sender = send_pattern(&url, &[]);
        let mut receiver = start(&["receive", &url, "--stats", "json"]);
        expect_live(&mut receiver);
        let resident_kib = resident_kib(&server.server.process);
        HealthyStream { server, sender, receiver, resident_kib }
    }

    /// Opens another connection to the server.
    pub fn connect(&self) -> Raw {
        Raw::connect(self.server.server.port)
    }

    /// Waits until one of the server's counters is at least `least`.
    pub fn wait_for_counter(&self, name: &str, least: usize) {
        self.server.wait_for_counter(name, least as u64);
    }

    /// Waits for a line with this text in the server's log.
    pub fn expect_log(&mut self, text: &str) {
        self.server.server.process.stderr.expect(text, |line| line.contains(text));
    }

    /// By how much the server's resident memory has grown, in KiB.
    pub fn grown_kib(&self) -> u64 {
        resident_kib(&self.server.server.process).saturating_sub(self.resident_kib)
    }

    /// Fails unless the stream still runs and has missed nothing, and the server's memory has grown by less than
    /// `most_kib`.
    pub fn assert_unaffected(mut self, case: &str, most_kib: u64) {
        while self.receiver.stdout.next_now().is_some() {}
        // The first figures may be of a second that began earlier.
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

/// The resident memory of a process, in KiB.
fn resident_kib(process: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("no VmRSS");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or_else(|| panic!("no size in {line:?}"))
}
