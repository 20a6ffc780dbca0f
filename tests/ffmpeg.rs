//! FFmpeg as the sender or as the receiver, with the same checks of every picture.

use std::process::Command;

use crate::footage::{JOINED_BY, LEAST_DB};
use crate::support::footage::{Excerpt, ffmpeg};
use crate::support::hevcast::{Server, command, start, wait_until_sending};
use crate::support::pictures::{Clip, assert_run};
use crate::support::process::Process;
use crate::support::{Scratch, real_time_shared};

/// The length of the excerpts, in seconds.
const SECONDS: u32 = 4;

/// The command that publishes a file in H.265 at QP 23, in real time.
fn publishing(file: &str, url: &str) -> Command {
    let codec =
        ["-c:v", "libx265", "-preset", "ultrafast", "-tune", "zerolatency", "-x265-params", "qp=23:log-level=none"];
    let pixels = ["-pix_fmt", "yuvj420p", "-color_range", "pc", "-fps_mode", "passthrough"];
    let output = ["-f", "rtsp", "-rtsp_transport", "tcp", url];
    ffmpeg(&[&["-re", "-i", file, "-an"], &codec[..], &pixels, &output].concat())
}

#[test]
fn ffmpeg_publishes_and_we_receive() {
    let Some(excerpt) = Excerpt::cut(SECONDS, "FFmpeg publishes") else { return };
    let _real_time = real_time_shared();
    let folder = Scratch::new();
    let output = folder.file("received.y4m");
    let server = Server::start();
    let url = server.url("from/ffmpeg");
    let receiver = start(&["receive", &url, "--wait", "--once", "--output", output.to_str().unwrap()]);
    Process::start("ffmpeg", &mut publishing(excerpt.name(), &url)).wait().succeeded();
    receiver.wait().succeeded();

    let clip = Clip::read_y4m(&output);
    assert!(clip.header.contains("XCOLORRANGE=FULL"), "full range must stay so: {}", clip.header);
    let found = assert_run(&clip, &excerpt.clip, 0, LEAST_DB);
    assert_eq!(found.missing_at_end, 0, "the last of {} pictures are missing", excerpt.clip.len());
}

#[test]
fn we_send_and_ffmpeg_reads() {
    let Some(excerpt) = Excerpt::cut(SECONDS, "FFmpeg reads") else { return };
    let _real_time = real_time_shared();
    let folder = Scratch::new();
    let output = folder.file("read.y4m");
    let server = Server::start();
    let url = server.url("to-ffmpeg");
    let input = format!("file:{}", excerpt.name());
    let send = ["send", "--input", &input, "--encoder", "libx265", "--qp", "23", "--to", &url, "--stats", "json"];
    let mut sender = Process::start("send", &mut command(&send));
    wait_until_sending(&mut sender, true);
    let into = ["-fps_mode", "passthrough", "-strict", "-1", "-f", "yuv4mpegpipe", output.to_str().unwrap()];
    let reader = Process::start("ffmpeg", &mut ffmpeg(&[&["-rtsp_transport", "tcp", "-i", &url], &into[..]].concat()));
    sender.wait().succeeded();
    reader.wait().succeeded();

    let clip = Clip::read_y4m(&output);
    assert!(clip.header.contains("XCOLORRANGE=FULL"), "FFmpeg must see full range: {}", clip.header);
    let found = assert_run(&clip, &excerpt.clip, JOINED_BY, LEAST_DB);
    assert_eq!(found.missing_at_end, 0, "the last of {} pictures are missing", excerpt.clip.len());
}
