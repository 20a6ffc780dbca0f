//! GStreamer as the sender or as the receiver, with the same checks of every picture.

use std::process::{Command, Stdio};

use crate::footage::{JOINED_BY, LEAST_DB};
use crate::support::footage::Excerpt;
use crate::support::hevcast::{Server, start, wait_until_sending};
use crate::support::pictures::{Clip, assert_run};
use crate::support::process::{Process, wait_for_bytes};
use crate::support::{Scratch, has_peer, real_time_shared, say};

/// The length of the excerpts, in seconds.
const SECONDS: u32 = 4;

/// Whether GStreamer has all of these elements. Where it does not, prints what is skipped.
pub fn has_elements(elements: &[&str], scenario: &str) -> bool {
    if !has_peer("gst-launch-1.0", scenario) {
        return false;
    }
    let absent = |element: &&&str| {
        let status = Command::new("gst-inspect-1.0").args(["--exists", element]).stdout(Stdio::null()).status();
        !status.is_ok_and(|status| status.success())
    };
    let Some(element) = elements.iter().find(absent) else { return true };
    assert!(std::env::var_os("HEVCAST_REQUIRE_PEERS").is_none(), "{scenario}: GStreamer has no {element}");
    say(&format!("skipped: {scenario}: GStreamer has no {element} (make setup installs it)"));
    false
}

/// Starts a pipeline in the syntax of gst-launch.
pub fn launch(pipeline: &str) -> Process {
    let mut command = Command::new("gst-launch-1.0");
    Process::start("gst-launch", command.arg("-q").args(pipeline.split_whitespace()))
}

#[test]
fn gstreamer_publishes_and_we_receive() {
    let scenario = "GStreamer publishes";
    if !has_elements(&["rtspclientsink", "x265enc", "h265parse", "avdec_h264"], scenario) {
        return;
    }
    let Some(excerpt) = Excerpt::cut(SECONDS, scenario) else { return };
    let _real_time = real_time_shared();
    let folder = Scratch::new();
    let output = folder.file("received.y4m");
    let server = Server::start();
    let url = server.url("from/gstreamer");
    let receiver = start(&["receive", &url, "--wait", "--once", "--output", output.to_str().unwrap()]);
    let source = format!("filesrc location={} ! matroskademux ! h264parse ! avdec_h264", excerpt.name());
    let encode = "x265enc qp=23 speed-preset=ultrafast tune=zerolatency ! h265parse";
    let sender = launch(&format!("{source} ! {encode} ! rtspclientsink protocols=tcp location={url}"));
    // Ended by the test, since rtspclientsink 1.22 has a race by which its own end of stream is sometimes lost.
    let bytes = excerpt.clip.len() * excerpt.clip.width * excerpt.clip.height * 3 / 2;
    wait_for_bytes(&output, bytes as u64);
    sender.terminate();
    receiver.wait().succeeded();

    let found = assert_run(&Clip::read_y4m(&output), &excerpt.clip, 0, LEAST_DB);
    assert_eq!(found.missing_at_end, 0, "the last of {} pictures are missing", excerpt.clip.len());
}

#[test]
fn we_send_and_gstreamer_reads() {
    let scenario = "GStreamer reads";
    if !has_elements(&["rtspsrc", "rtph265depay", "h265parse", "avdec_h265"], scenario) {
        return;
    }
    let Some(excerpt) = Excerpt::cut(SECONDS, scenario) else { return };
    let _real_time = real_time_shared();
    let folder = Scratch::new();
    let output = folder.file("read.yuv");
    let server = Server::start();
    let url = server.url("to-gstreamer");
    let input = format!("file:{}", excerpt.name());
    let send = ["send", "--input", &input, "--encoder", "libx265", "--qp", "23", "--to", &url, "--stats", "json"];
    let mut sender = start(&send);
    wait_until_sending(&mut sender, true);
    let source = format!("rtspsrc location={url} protocols=tcp ! rtph265depay ! h265parse ! avdec_h265");
    let reader = launch(&format!("{source} ! video/x-raw,format=I420 ! filesink location={}", output.display()));
    sender.wait().succeeded();
    reader.wait().succeeded();

    let found = assert_run(&Clip::read_raw(&output, &excerpt.clip), &excerpt.clip, JOINED_BY, LEAST_DB);
    assert_eq!(found.missing_at_end, 0, "the last of {} pictures are missing", excerpt.clip.len());
}
