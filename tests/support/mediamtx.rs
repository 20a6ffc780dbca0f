//! MediaMTX, where `HEVCAST_MEDIAMTX` names the program, in a folder of its own.

use std::process::Command;

use super::process::Process;
use super::{Scratch, free_port, say};

/// Its default configuration, but for the loopback, fewer protocols, and two logins: `me` for everything, and anybody for
/// what is called `open`.
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

/// A running MediaMTX. Dropping it ends it.
pub struct MediaMtx {
    /// Ends with this.
    _process: Process,
    rtsp: u16,
    rtmp: u16,
    srt: u16,
    _folder: Scratch,
}

impl MediaMtx {
    /// Starts one with these paths beside any others, in its configuration's form; `None`, and a word, where there is none.
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

    /// A path's URL by RTSP.
    pub fn rtsp(&self, path: &str) -> String {
        format!("rtsp://127.0.0.1:{}/{path}", self.rtsp)
    }

    /// By RTMP.
    pub fn rtmp(&self, path: &str) -> String {
        format!("rtmp://127.0.0.1:{}/{path}", self.rtmp)
    }

    /// By SRT, to publish or to read.
    pub fn srt(&self, what: &str, path: &str) -> String {
        format!("srt://127.0.0.1:{}?streamid={what}:{path}", self.srt)
    }
}
