//! A chain under test: raw pictures in at one end, raw pictures out at the other, all as Y4M in pipes.
//!
//! [`Chain::hevcast`] starts hevcast's three roles as a person would, as processes of their own. Peers beside us are
//! other senders and receivers at the same server: see [`crate::route`].

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

/// Starts `hevcast serve` on a free port; it listens when this returns, and ends a while after `lifetime` if nobody ends
/// it before. Beside it, the address of a stream on it.
///
/// # Errors
/// When it cannot be started, or does not listen.
pub fn serve(program: &Path, lifetime: Duration) -> Result<(Process, String)> {
    serve_as(program, lifetime, |command| command)
}

/// The same, with the command that starts it changed by `prepared`.
///
/// # Errors
/// As [`serve`]'s.
pub fn serve_as(
    program: &Path,
    lifetime: Duration,
    prepared: impl FnOnce(Command) -> Command,
) -> Result<(Process, String)> {
    let lifetime = lifetime + ORPHAN_GRACE;
    let mut serve = Command::new(program);
    serve.args(["serve", "--listen", "127.0.0.1:0", "--duration", &format!("{}s", lifetime.as_secs())]);
    let server = Process::start("hevcast serve", prepared(serve), Stdout::Lines)?;
    let address =
        server.wait_for_line(READY_TIMEOUT, |line| line.strip_prefix("listening on ").map(ToOwned::to_owned))?;
    Ok((server, format!("rtsp://{address}/bench")))
}

/// `hevcast send`, which takes Y4M from its standard input.
pub fn send(program: &Path, settings: &Settings, url: &str) -> Command {
    let mut send = Command::new(program);
    send.args(["send", "--input", "y4m:-", "--to", url, "--stats", "json", "--headless"])
        .args(["--encoder", &settings.encoder])
        .args([if settings.constant { "--qp" } else { "--best-qp" }, &settings.qp.to_string()])
        .args(["--keyframe-interval", &format!("{}ms", settings.keyframe_interval.as_millis())]);
    send
}

/// `hevcast receive`, which gives Y4M on its standard output.
pub fn receive(program: &Path, url: &str) -> Command {
    let mut receive = Command::new(program);
    receive.args(["receive", url, "--output", "y4m:-", "--stats", "json", "--headless", "--wait", "--once"]);
    receive
}

impl Chain {
    /// `hevcast serve`, `send` and `receive`, with figures as JSON. They are starting when this returns: the sender
    /// waits for the header of its input, the receiver for the stream.
    ///
    /// # Errors
    /// When a process cannot be started, or the server does not listen.
    pub fn hevcast(program: &Path, settings: &Settings) -> Result<(Chain, Ends)> {
        let (server, url) = serve(program, settings.run_time())?;
        let mut sender = Process::start("hevcast send", send(program, settings, &url), Stdout::Lines)?;
        let mut receiver = Process::start("hevcast receive", receive(program, &url), Stdout::Data)?;

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

/// Lets a pipe hold a whole picture, where the system allows it.
#[cfg(target_os = "linux")]
pub fn widen(pipe: impl std::os::fd::AsFd) {
    // Refused where an administrator set a lower limit: the pipe stays as it is, and the figures a little higher.
    let _ = rustix::pipe::fcntl_setpipe_size(pipe, PIPE_BYTES);
}

/// Pipes are as they are here.
#[cfg(not(target_os = "linux"))]
pub fn widen<T>(_: T) {
    let _ = PIPE_BYTES;
}
