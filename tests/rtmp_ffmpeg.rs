//! A recent FFmpeg as the sender or as the receiver, over Enhanced RTMP through nginx.

use std::path::Path;
use std::process::Command;

use crate::footage::{JOINED_BY, LEAST_DB};
use crate::rtmp::send;
use crate::support::footage::Excerpt;
use crate::support::hevcast::start;
use crate::support::nginx::{Nginx, new_ffmpeg};
use crate::support::pictures::{Clip, assert_run};
use crate::support::process::Process;
use crate::support::{Scratch, real_time_shared};

/// The length of the excerpts, in seconds.
const SECONDS: u32 = 5;

fn ffmpeg(program: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(["-nostdin", "-hide_banner", "-loglevel", "error", "-y"]).args(arguments);
    command
}

#[test]
fn we_send_and_a_new_ffmpeg_reads_from_where_it_joins() {
    let scenario = "FFmpeg reads RTMP";
    let (Some(nginx), Some(program)) = (Nginx::start(scenario), new_ffmpeg(scenario)) else { return };
    let Some(excerpt) = Excerpt::cut(SECONDS, scenario) else { return };
    let _real_time = real_time_shared();
    let folder = Scratch::new();
    let output = folder.file("read.y4m");
    let url = nginx.url("live", "cam");
    let sender = send(&excerpt, &url);
    // Between keyframes, where nginx sends a new reader no keyframe.
    std::thread::sleep(std::time::Duration::from_millis(300));
    let into = ["-fps_mode", "passthrough", "-strict", "-1", "-f", "yuv4mpegpipe", output.to_str().unwrap()];
    let reader = Process::start("ffmpeg", &mut ffmpeg(&program, &[&["-i", &url], &into[..]].concat()));
    sender.wait().succeeded();
    reader.wait().succeeded();

    let clip = Clip::read_y4m(&output);
    assert!(clip.header.contains("XCOLORRANGE=FULL"), "FFmpeg must see full range: {}", clip.header);
    let found = assert_run(&clip, &excerpt.clip, JOINED_BY, LEAST_DB);
    assert_eq!(found.missing_at_end, 0, "of {} pictures", excerpt.clip.len());
}

#[test]
fn a_new_ffmpeg_publishes_and_we_receive() {
    let scenario = "FFmpeg publishes RTMP";
    let (Some(nginx), Some(program)) = (Nginx::start(scenario), new_ffmpeg(scenario)) else { return };
    let Some(excerpt) = Excerpt::cut(SECONDS, scenario) else { return };
    let _real_time = real_time_shared();
    let folder = Scratch::new();
    let output = folder.file("received.y4m");
    let url = nginx.url("waiting", "cam");
    let mut receiver = start(&["receive", &url, "-v", "--once", "--output", output.to_str().unwrap()]);
    receiver.stderr.expect("the receiver's place", |line| line.contains("playing "));
    let codec =
        ["-c:v", "libx265", "-preset", "ultrafast", "-tune", "zerolatency", "-x265-params", "qp=23:log-level=none"];
    let pixels = ["-pix_fmt", "yuvj420p", "-color_range", "pc", "-fps_mode", "passthrough"];
    let arguments = [&["-re", "-i", excerpt.name(), "-an"], &codec[..], &pixels, &["-f", "flv", &url]].concat();
    Process::start("ffmpeg", &mut ffmpeg(&program, &arguments)).wait().succeeded();
    receiver.wait().succeeded();

    let found = assert_run(&Clip::read_y4m(&output), &excerpt.clip, 0, LEAST_DB);
    assert_eq!(found.missing_at_end, 0, "of {} pictures", excerpt.clip.len());
}
