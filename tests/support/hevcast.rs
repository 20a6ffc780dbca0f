//! Runs the program under test, and reads its output.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::process::{Exit, Process};

/// Names another program than the one that was compiled with the tests, such as `scripts/windows/hevcast`.
const PROGRAM: &str = "HEVCAST_PROGRAM";
/// The commands for which it is used, separated by commas; without, all.
const PROGRAM_FOR: &str = "HEVCAST_PROGRAM_FOR";

/// The other program, if `command` is to be run by one.
fn other_program(command: &str) -> Option<OsString> {
    let commands = std::env::var(PROGRAM_FOR).ok();
    let is_meant = commands.is_none_or(|commands| commands.split(',').any(|name| name == command));
    std::env::var_os(PROGRAM).filter(|_| is_meant)
}

/// Whether another program is used for this command.
pub fn is_other_program(command: &str) -> bool {
    other_program(command).is_some()
}

/// The program with these arguments, without environment variables that would change logs or open windows.
pub fn command(arguments: &[&str]) -> Command {
    let other = other_program(arguments.first().unwrap_or(&""));
    let mut command = Command::new(other.unwrap_or_else(|| env!("CARGO_BIN_EXE_hevcast").into()));
    command.args(arguments);
    for name in ["RUST_LOG", "DISPLAY", "WAYLAND_DISPLAY"] {
        command.env_remove(name);
    }
    command
}

/// Starts the program. Failures name the process by its first argument.
pub fn start(arguments: &[&str]) -> Process {
    Process::start(arguments[0], &mut command(arguments))
}

/// Runs the program until it ends by itself.
pub fn run(arguments: &[&str]) -> Exit {
    start(arguments).wait()
}

/// A running `hevcast serve` on a port of its own.
pub struct Server {
    /// The process. Its standard error logs connections.
    pub process: Process,
    /// The port on which it listens on the loopback.
    pub port: u16,
}

impl Server {
    /// Starts a server on a port that the system chooses.
    pub fn start() -> Server {
        Server::start_on(0)
    }

    /// Starts a server on `port`.
    pub fn start_on(port: u16) -> Server {
        Server::start_by(port, &[])
    }

    /// Starts a server with a configuration that has a status page; also returns the page's URL.
    pub fn start_with_page(config: &Path) -> (Server, String) {
        let mut server = Server::start_by(0, &["--config", config.to_str().unwrap()]);
        let line = server.process.stdout.expect("the page's address", |line| line.starts_with("status page: "));
        (server, line.trim_start_matches("status page: ").to_owned())
    }

    fn start_by(port: u16, more: &[&str]) -> Server {
        let listen = format!("127.0.0.1:{port}");
        Server::started(start(&[&["serve", "--listen", &listen, "-v"], more].concat()))
    }

    /// Wraps a process that has just been started, and waits until it listens.
    pub fn started(mut process: Process) -> Server {
        let line = process.stdout.expect("the address", |line| line.starts_with("listening on "));
        let address = line.trim_start_matches("listening on ");
        let port = address.rsplit(':').next().unwrap().parse().unwrap_or_else(|_| panic!("no port in {line:?}"));
        Server { process, port }
    }

    /// Waits until the next reader plays `path`; it may not have received a picture yet.
    pub fn wait_for_reader(&mut self, path: &str) {
        let news = format!(": reads {path} ");
        self.process.stderr.expect("a reader", |line| line.contains(&news));
    }

    /// The RTSP URL of a path on the server.
    pub fn url(&self, path: &str) -> String {
        format!("rtsp://127.0.0.1:{}/{path}", self.port)
    }
}

/// Starts a sender of the test pattern, 320x240 at 15 pictures per second, and waits until it sends.
pub fn send_pattern(url: &str, more: &[&str]) -> Process {
    let arguments = ["send", "--input", "pattern", "--size", "320x240", "--fps", "15", "--encoder", "libx265"];
    let mut sender = start(&[&arguments[..], &["--to", url], more].concat());
    wait_until_sending(&mut sender, more.contains(&"json"));
    sender
}

/// Waits until the server has accepted a sender. With figures in JSON, the sender prints that on standard error.
pub fn wait_until_sending(sender: &mut Process, is_json: bool) {
    let lines = if is_json { &mut sender.stderr } else { &mut sender.stdout };
    lines.expect("the sender to send", |line| line.contains("sending to "));
}

/// Parses a line of figures in JSON; `Null` for any other line.
pub fn figures(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or(Value::Null)
}

/// Waits for a line of figures for which `wanted` holds.
pub fn expect_figures(process: &mut Process, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    figures(&process.stdout.expect(what, |line| wanted(&figures(line))))
}

/// The summary in the JSON lines of a process that has ended; fails unless it is the last line.
pub fn summary(exit: &Exit) -> Value {
    let last = exit.stdout.last().unwrap_or_else(|| panic!("no figures at all; it said {:?}", exit.stderr));
    let figures = figures(last);
    assert_eq!(figures["kind"], "summary", "the last line is {last:?}");
    figures
}

/// The integer at a JSON pointer in figures; fails if there is none.
pub fn count(figures: &Value, pointer: &str) -> u64 {
    figures.pointer(pointer).and_then(Value::as_u64).unwrap_or_else(|| panic!("no count {pointer} in {figures}"))
}

/// The number at a JSON pointer in figures; fails if there is none.
pub fn number(figures: &Value, pointer: &str) -> f64 {
    figures.pointer(pointer).and_then(Value::as_f64).unwrap_or_else(|| panic!("no number {pointer} in {figures}"))
}
