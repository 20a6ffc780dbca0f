//! Runs MediaMTX in a folder of its own, where `HEVCAST_MEDIAMTX` names the program.

use std::process::Command;

use super::process::Process;
use super::{Scratch, free_port, say};

/// The default configuration, except that it listens on the loopback with fewer protocols, and has two logins: `me` for
/// everything, and anybody for paths called `open`.
const CONFIGURATION: &str = "
logLevel: info
rtspAddress: 127.0.0.1:RTSP
rtspTransports: [tcp]
rtmpAddress: 127.0.0.1:RTMP
srtAddress: 127.0.0.1:SRT
hls: no
webrtc: no
moq: no
paths:
  all_others:
PATHS
";

/// A running MediaMTX. Dropping it ends the process.
pub struct MediaMtx {
    /// The process, which ends when this is dropped.
    _process: Process,
    rtsp: u16,
    rtmp: u16,
    srt: u16,
    _folder: Scratch,
}

impl MediaMtx {
    /// Starts MediaMTX with these additional paths in its configuration. `None` where it is absent; then prints what is
    /// skipped.
    pub fn start(scenario: &str, paths: &str) -> Option<MediaMtx> {
        let Some(program) = std::env::var_os("HEVCAST_MEDIAMTX") else {
            say(&format!("skipped: {scenario}: HEVCAST_MEDIAMTX names no MediaMTX"));
            return None;
        };
        let (folder, [rtsp, rtmp, srt]) = (Scratch::new(), [free_port(), free_port(), free_port()]);
        let text = CONFIGURATION.replace("PATHS", paths);
        let text = [("RTSP", rtsp), ("RTMP", rtmp), ("SRT", srt)]
            .into_iter()
            .fold(text, |text, (name, port)| text.replace(name, &port.to_string()));
        let file = folder.file("mediamtx.yml");
        std::fs::write(&file, text).unwrap();
        let mut process = Process::start("MediaMTX", Command::new(program).arg(&file));
        process.stdout.expect("MediaMTX to listen", |line| line.contains("[SRT] started"));
        Some(MediaMtx { _process: process, rtsp, rtmp, srt, _folder: folder })
    }

    /// The RTSP URL of a path.
    pub fn rtsp(&self, path: &str) -> String {
        format!("rtsp://127.0.0.1:{}/{path}", self.rtsp)
    }

    /// The RTMP URL of a path.
    pub fn rtmp(&self, path: &str) -> String {
        format!("rtmp://127.0.0.1:{}/{path}", self.rtmp)
    }

    /// The SRT URL of a path, to publish or to read it.
    pub fn srt(&self, what: &str, path: &str) -> String {
        format!("srt://127.0.0.1:{}?streamid={what}:{path}", self.srt)
    }
}
