//! Chains with the pipe in their middle: hevcast's own, and FFmpeg at both ends of our server.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command};
use std::time::Duration;

use anyhow::{Context, Result};

use super::pipe::{Pipe, Video};
use super::script::Script;
use crate::chain::widen;
use crate::process::{Line, Process, Stdout};

/// What is sent, bit/s, in both programs' words.
pub const BITRATE: &str = "2M";
/// Pictures from one periodic keyframe to the next: hevcast's default of 2 s, and FFmpeg is told the same, so that what a
/// server drops up to the next keyframe is as long for both.
const GROUP_PICTURES: &str = "60";
/// How long a server may take to listen, and FFmpeg to publish.
const READY_TIMEOUT: Duration = Duration::from_secs(20);
/// How long hevcast may take to end after its input.
const END_TIMEOUT: Duration = Duration::from_secs(10);
/// How long FFmpeg may take, before it is made to.
const PEER_END_TIMEOUT: Duration = Duration::from_secs(3);
/// How much longer than a run a server lives if the benchmark is killed and cannot stop it.
const ORPHAN_GRACE: Duration = Duration::from_secs(120);

/// Where the pipe stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum At {
    /// Between sender and server.
    Uplink,
    /// Between server and receiver.
    Downlink,
    /// Nowhere: to see, with a link that is none, what the pipe itself costs.
    #[value(hide = true)]
    Nowhere,
}

impl At {
    /// As verdicts call it.
    pub fn name(self) -> &'static str {
        match self {
            At::Uplink => "uplink",
            At::Downlink => "downlink",
            At::Nowhere => "nowhere",
        }
    }
}

/// Whose sender and receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Ours.
    Hevcast,
    /// `ffmpeg` at both ends.
    Ffmpeg,
}

impl Who {
    /// As tables and plots call it.
    pub fn name(self) -> &'static str {
        match self {
            Who::Hevcast => "hevcast",
            Who::Ffmpeg => "ffmpeg",
        }
    }
}

/// Processes that run, with the pipe between them.
#[derive(Debug)]
pub struct Chain {
    who: Who,
    /// The link that is shaped.
    pub pipe: Pipe,
    sender: Process,
    server: Process,
    receiver: Option<Process>,
    read_url: String,
}

/// What the ends have said.
#[derive(Debug)]
pub struct Said {
    /// The sender.
    pub sender: Vec<Line>,
    /// The receiver.
    pub receiver: Vec<Line>,
}

impl Chain {
    /// Starts the server, the pipe and the sender, which waits for its input.
    ///
    /// # Errors
    /// When one of them does not start.
    pub fn start(who: Who, program: &Path, at: At, script: Script) -> Result<(Chain, ChildStdin)> {
        let lifetime = (script.length + ORPHAN_GRACE).as_secs();
        let mut serve = Command::new(program);
        serve.args(["serve", "--listen", "127.0.0.1:0", "--duration", &format!("{lifetime}s")]);
        let server = Process::start("hevcast serve", serve, Stdout::Lines)?;
        let address: SocketAddr =
            server.wait_for_line(READY_TIMEOUT, |line| line.strip_prefix("listening on ")?.parse().ok())?;
        let video = if at == At::Uplink { Video::FromClient } else { Video::ToClient };
        let pipe = Pipe::open(address, video, script)?;
        let url = |address: SocketAddr| format!("rtsp://{address}/bench");
        let (to, from) = match at {
            At::Uplink => (pipe.address(), address),
            At::Downlink => (address, pipe.address()),
            At::Nowhere => (address, address),
        };
        let send = match who {
            Who::Hevcast => hevcast_send(program, &url(to)),
            Who::Ffmpeg => ffmpeg_push(&url(to)),
        };
        let mut sender = Process::start(&format!("{}'s sender", who.name()), send, Stdout::Lines)?;
        let input = sender.take_stdin()?;
        widen(&input);
        Ok((Chain { who, pipe, sender, server, receiver: None, read_url: url(from) }, input))
    }

    /// Starts the receiver. FFmpeg's wants a stream to be there, so the sender must be fed by now.
    ///
    /// # Errors
    /// When there is no stream, or the receiver does not start.
    pub fn receive(&mut self, program: &Path) -> Result<ChildStdout> {
        let receive = match self.who {
            Who::Hevcast => hevcast_receive(program, &self.read_url),
            Who::Ffmpeg => {
                let published = |line: &str| line.starts_with("Output #0, rtsp").then_some(());
                self.sender.wait_for_line(READY_TIMEOUT, published)?;
                ffmpeg_pull(&self.read_url)
            }
        };
        let receiver = Process::start(&format!("{}'s receiver", self.who.name()), receive, Stdout::Data)?;
        let receiver = self.receiver.insert(receiver);
        let output = receiver.take_stdout()?;
        widen(&output);
        Ok(output)
    }

    /// The last line of each process, for errors.
    pub fn last_words(&self) -> String {
        let processes = [Some(&self.server), Some(&self.sender), self.receiver.as_ref()];
        processes.into_iter().flatten().map(Process::last_words).collect::<Vec<_>>().join("; ")
    }

    /// Waits until all have ended, as they do once the input is closed; FFmpeg is made to, if its queue is too long.
    /// The pipe's last state comes back with it.
    ///
    /// # Errors
    /// When one of hevcast's failed or did not end.
    pub fn finish(self) -> Result<(Said, Pipe)> {
        let Chain { who, pipe, mut sender, server, receiver, .. } = self;
        let mut receiver = receiver.context("no receiver was started")?;
        // What was said before the end counts, whatever becomes of the process.
        let said = match who {
            Who::Hevcast => {
                sender.wait_for_success(END_TIMEOUT)?;
                receiver.wait_for_success(END_TIMEOUT)?;
                Said { sender: sender.lines(), receiver: receiver.lines() }
            }
            Who::Ffmpeg => {
                let said = Said { sender: sender.lines(), receiver: receiver.lines() };
                for mut process in [sender, receiver] {
                    // A failure at its end says nothing about its delay before; dropped, it is killed.
                    let _ = process.wait_for_success(PEER_END_TIMEOUT);
                }
                said
            }
        };
        server.stop()?;
        Ok((said, pipe))
    }
}

fn hevcast_send(program: &Path, url: &str) -> Command {
    let mut send = Command::new(program);
    send.args(["send", "--input", "y4m:-", "--to", url, "--bitrate", BITRATE]);
    send.args(["--stats", "json", "--headless"]);
    send
}

fn hevcast_receive(program: &Path, url: &str) -> Command {
    let mut receive = Command::new(program);
    receive.args(["receive", url, "--output", "y4m:-", "--stats", "json", "--headless", "--wait", "--once"]);
    receive
}

fn ffmpeg() -> Command {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostats", "-hide_banner"]);
    command
}

/// Rate control with a buffer of a quarter of a second, as live streaming is told to use it.
fn ffmpeg_push(url: &str) -> Command {
    let mut push = ffmpeg();
    push.args(["-f", "yuv4mpegpipe", "-i", "-"]);
    push.args(["-c:v", "libx265", "-preset", "ultrafast", "-tune", "zerolatency", "-g", GROUP_PICTURES]);
    push.args(["-b:v", BITRATE, "-maxrate", BITRATE, "-bufsize", "500k"]);
    push.args(["-f", "rtsp", "-rtsp_transport", "tcp", url]);
    push
}

fn ffmpeg_pull(url: &str) -> Command {
    let mut pull = ffmpeg();
    pull.args(["-fflags", "nobuffer", "-flags", "low_delay", "-probesize", "32", "-analyzeduration", "0"]);
    pull.args(["-rtsp_transport", "tcp", "-i", url]);
    pull.args(["-an", "-fps_mode", "passthrough", "-strict", "-1", "-f", "yuv4mpegpipe", "-"]);
    pull
}
