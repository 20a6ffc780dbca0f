//! A chain under test: raw pictures in at one end, raw pictures out at the other, all as Y4M in pipes.
//!
//! [`Chain::hevcast`] starts hevcast's three roles as a person would, as processes of their own. Peers beside us
//! (FFmpeg at both ends, GStreamer behind a relay) become further constructors here: whatever takes Y4M on one standard
//! input and gives Y4M on one standard output is measured in the same way, by [`crate::passage`].

use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Command};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::process::{Line, Process, Stdout};
use crate::settings::Settings;

/// How long a server may take to listen.
const READY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the chain may take to empty itself and end after its input has ended.
const END_TIMEOUT: Duration = Duration::from_secs(10);
/// How much longer than the benchmark a server lives if the benchmark itself is killed and cannot stop it.
const ORPHAN_GRACE: Duration = Duration::from_secs(60);
/// What each pipe may hold, where the system lets us: a whole picture. See [`crate::latency`] for why.
const PIPE_BYTES: usize = 1024 * 1024;

/// Running processes, the first to be stopped last.
#[derive(Debug)]
pub struct Chain {
    /// Runs until stopped.
    server: Process,
    /// Ends with its input.
    sender: Process,
    /// Ends with the stream.
    receiver: Process,
}

/// Both ends of a chain.
#[derive(Debug)]
pub struct Ends {
    /// Y4M goes in here.
    pub input: ChildStdin,
    /// Y4M comes out here.
    pub output: ChildStdout,
}

/// The hevcast program beside this one.
///
/// # Errors
/// When it has not been built.
pub fn default_program() -> Result<PathBuf> {
    let own = std::env::current_exe().context("cannot tell where this program is; name hevcast with --hevcast PATH")?;
    let program = own.with_file_name(format!("hevcast{}", std::env::consts::EXE_SUFFIX));
    ensure!(program.is_file(), "{} is not there; build it with `cargo build --release`", program.display());
    Ok(program)
}

impl Chain {
    /// `hevcast serve`, `send` and `receive`, with figures as JSON. They are starting when this returns: the sender
    /// waits for the header of its input, the receiver for the stream.
    ///
    /// # Errors
    /// When a process cannot be started, or the server does not listen.
    pub fn hevcast(program: &Path, settings: &Settings) -> Result<(Chain, Ends)> {
        let lifetime = settings.run_time() + ORPHAN_GRACE;
        let mut serve = Command::new(program);
        serve.args(["serve", "--listen", "127.0.0.1:0", "--duration", &format!("{}s", lifetime.as_secs())]);
        let server = Process::start("hevcast serve", serve, Stdout::Lines)?;
        let address =
            server.wait_for_line(READY_TIMEOUT, |line| line.strip_prefix("listening on ").map(ToOwned::to_owned))?;
        let url = format!("rtsp://{address}/bench");

        let mut send = Command::new(program);
        send.args(["send", "--input", "y4m:-", "--to", &url, "--stats", "json", "--headless"])
            .args(["--encoder", &settings.encoder])
            .args(["--qp", &settings.qp.to_string()])
            .args(["--keyframe-interval", &format!("{}ms", settings.keyframe_interval.as_millis())]);
        let mut sender = Process::start("hevcast send", send, Stdout::Lines)?;

        let mut receive = Command::new(program);
        receive.args(["receive", &url, "--output", "y4m:-", "--stats", "json", "--headless", "--wait", "--once"]);
        let mut receiver = Process::start("hevcast receive", receive, Stdout::Data)?;

        let ends = Ends { input: sender.take_stdin()?, output: receiver.take_stdout()? };
        widen(&ends.input);
        widen(&ends.output);
        Ok((Chain { server, sender, receiver }, ends))
    }

    /// The last line of each process, for errors.
    pub fn last_words(&self) -> String {
        let words = [&self.server, &self.sender, &self.receiver].map(|process| process.last_words());
        words.join("; ")
    }

    /// Waits until all have ended in the order of the data path, as they do once the input is closed; stops the server.
    /// What the receiver has said comes back: its figures.
    ///
    /// # Errors
    /// When one of them failed or did not end.
    pub fn finish(mut self) -> Result<Vec<Line>> {
        self.sender.wait_for_success(END_TIMEOUT)?;
        self.receiver.wait_for_success(END_TIMEOUT)?;
        self.server.stop()?;
        Ok(self.receiver.lines())
    }
}

/// Lets a pipe hold a whole picture.
#[cfg(target_os = "linux")]
pub fn widen(pipe: impl std::os::fd::AsFd) {
    // Refused where an administrator set a lower limit: the pipe stays as it is, and the figures a little higher.
    let _ = rustix::pipe::fcntl_setpipe_size(pipe, PIPE_BYTES);
}

/// Other systems have their own way.
#[cfg(not(target_os = "linux"))]
pub fn widen<T>(_: T) {
    let _ = PIPE_BYTES;
}
