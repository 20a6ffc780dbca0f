//! Other people's RTSP servers, in the place of `hevcast serve`: MediaMTX and go2rtc, with their default settings.
//!
//! Where a program is, a variable of the environment says; without it, it is passed over with a word.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::process::{Process, Stdout};
use crate::scratch_file::ScratchFile;

/// How long one may take to listen.
const PATIENCE: Duration = Duration::from_secs(20);
/// The path of the stream.
pub const PATH: &str = "bench";

/// Whose server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtherServer {
    MediaMtx,
    Go2rtc,
}

/// A server that listens, on loopback.
#[derive(Debug)]
pub struct Running {
    pub process: Process,
    pub address: SocketAddr,
    _config: ScratchFile,
}

impl OtherServer {
    /// All of them.
    pub const ALL: [OtherServer; 2] = [OtherServer::MediaMtx, OtherServer::Go2rtc];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            OtherServer::MediaMtx => "MediaMTX",
            OtherServer::Go2rtc => "go2rtc",
        }
    }

    /// The program.
    ///
    /// # Errors
    /// When the variable names none.
    pub fn program(self) -> Result<PathBuf> {
        let variable = match self {
            OtherServer::MediaMtx => "HEVCAST_MEDIAMTX",
            OtherServer::Go2rtc => "HEVCAST_GO2RTC",
        };
        let named = std::env::var_os(variable).map(PathBuf::from);
        named.with_context(|| format!("passed over: {variable} names no {}", self.name()))
    }

    /// Starts it with RTSP over TCP alone, for one stream at [`PATH`].
    ///
    /// # Errors
    /// When there is no such program, or it does not listen.
    pub fn start(self) -> Result<Running> {
        let program = self.program()?;
        // Free at this moment, and taken by the server in the next.
        let address = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).context("no free port")?;
        let (text, listens) = match self {
            OtherServer::MediaMtx => {
                let off: String = ["rtmp", "hls", "webrtc", "srt"].map(|name| format!("{name}: no\n")).concat();
                let text = format!("{off}rtspAddress: {address}\nrtspTransports: [tcp]\npaths:\n  all_others:\n");
                (text, "[RTSP] ")
            }
            OtherServer::Go2rtc => {
                let off: String = ["api", "webrtc", "srtp"].map(|name| format!("{name}: {{listen: \"\"}}\n")).concat();
                (format!("{off}rtsp: {{listen: \"{address}\"}}\nstreams: {{{PATH}: }}\n"), "[rtsp] listen")
            }
        };
        let config = ScratchFile::of(&text, "yaml")?;
        let mut command = Command::new(program);
        if self == OtherServer::Go2rtc {
            command.arg("-config");
        }
        // What it writes beside itself, such as certificates, goes with other temporary files.
        command.arg(config.path()).current_dir(std::env::temp_dir());
        let process = Process::start(self.name(), command, Stdout::Lines)?;
        process.wait_for_line(PATIENCE, |line| line.contains(listens).then_some(()))?;
        Ok(Running { process, address, _config: config })
    }
}
