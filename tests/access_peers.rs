//! Logins and TLS of FFmpeg and GStreamer at our server, by Digest and by Basic.

use std::process::Command;

use crate::gstreamer::{has_elements, launch};
use crate::support::configured_server::{ConfiguredServer, Hashes, LISTEN, LISTEN_SECURELY, user};
use crate::support::footage::ffmpeg;
use crate::support::hevcast::{count, expect_figures, send_pattern, start, summary};
use crate::support::process::{Process, wait_for_bytes};
use crate::support::{Scratch, has_peer, real_time_shared, say};

const LOGIN: &str = "peer:secret";
/// Bytes of an elementary stream that contain pictures and not only parameter sets.
const BYTES: u64 = 10_000;

/// A server with one user, who can log in by the schemes that these hashes allow.
fn configured_server(hashes: Hashes) -> ConfiguredServer {
    let user = user("peer", "secret", hashes, &["*"], &["*"]);
    ConfiguredServer::start(&format!("{LISTEN}{LISTEN_SECURELY}{user}"))
}

/// Whether the installed FFmpeg supports TLS.
fn ffmpeg_has_tls(scenario: &str) -> bool {
    let listed = Command::new("ffmpeg").args(["-hide_banner", "-protocols"]).output().unwrap();
    let has = String::from_utf8_lossy(&listed.stdout).lines().any(|line| line.trim() == "tls");
    if !has {
        say(&format!("skipped: {scenario}: this FFmpeg has no TLS"));
    }
    has
}

/// Fails unless a receiver gets pictures, for whose publisher it waits.
fn assert_receives(case: &str, url: &str) {
    let mut receiver = start(&["receive", url, "--wait", "--stats", "json"]);
    expect_figures(&mut receiver, case, |f| f["state"] == "live" && f["pictures"]["shown"] != 0);
    let received = summary(&receiver.interrupt().0.succeeded());
    assert_eq!(count(&received, "/pictures/damaged"), 0, "{case}: {received}");
}

/// Starts FFmpeg as a publisher of a test pattern.
fn ffmpeg_publishes(url: &str) -> Process {
    let picture = ["-re", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=15", "-pix_fmt", "yuv420p"];
    let codec = ["-c:v", "libx265", "-preset", "ultrafast", "-tune", "zerolatency"];
    let settings = ["-x265-params", "log-level=none:keyint=15"];
    let output = ["-f", "rtsp", "-rtsp_transport", "tcp", url];
    Process::start("ffmpeg", &mut ffmpeg(&[&picture[..], &codec, &settings, &output].concat()))
}

/// Fails unless FFmpeg reads enough bytes of the stream.
fn assert_ffmpeg_reads(case: &str, url: &str) {
    let folder = Scratch::new();
    let file = folder.file("read.h265");
    let into = ["-c", "copy", "-frames:v", "15", file.to_str().unwrap()];
    Process::start(case, &mut ffmpeg(&[&["-rtsp_transport", "tcp", "-i", url], &into[..]].concat())).wait().succeeded();
    let read = std::fs::metadata(&file).map_or(0, |file| file.len());
    assert!(read > 1000, "{case}: {read} bytes in 15 pictures");
}

#[test]
fn ffmpeg_logs_in_by_digest_and_by_basic() {
    if !has_peer("ffmpeg", "FFmpeg logs in") {
        return;
    }
    let _real_time = real_time_shared();
    for hashes in [Hashes::Ha1, Hashes::Argon2, Hashes::Both] {
        let server = configured_server(hashes);
        let url = server.url(LOGIN, "live");
        let _publisher = ffmpeg_publishes(&url);
        assert_receives(&format!("from FFmpeg, {hashes:?}"), &url);
        assert_ffmpeg_reads(&format!("FFmpeg reads, {hashes:?}"), &url);
    }
}

#[test]
fn ffmpeg_gets_no_access_with_a_wrong_password() {
    if !has_peer("ffmpeg", "FFmpeg is refused") {
        return;
    }
    let server = configured_server(Hashes::Ha1);
    let url = server.url("peer:guess", "live");
    let reader = Process::start("ffmpeg", &mut ffmpeg(&["-rtsp_transport", "tcp", "-i", &url, "-f", "null", "-"]));
    let exit = reader.wait();
    assert!(!exit.status.success());
    assert!(exit.stderr.iter().any(|line| line.contains("401")), "{:?}", exit.stderr);
}

#[test]
fn ffmpeg_uses_tls() {
    let scenario = "FFmpeg by TLS";
    if !has_peer("ffmpeg", scenario) || !ffmpeg_has_tls(scenario) {
        return;
    }
    let _real_time = real_time_shared();
    for hashes in [Hashes::Ha1, Hashes::Argon2] {
        let server = configured_server(hashes);
        let (plain, secure) = (server.url(LOGIN, "live"), server.secure_url(LOGIN, "live"));
        let _publisher = ffmpeg_publishes(&secure);
        assert_receives(&format!("from FFmpeg by TLS, {hashes:?}"), &plain);
        assert_ffmpeg_reads(&format!("FFmpeg reads by TLS, {hashes:?}"), &secure);
    }
}

/// Fails unless GStreamer reads enough bytes of the stream with this source element.
fn assert_gstreamer_reads(source: &str) {
    let folder = Scratch::new();
    let file = folder.file("read.h265");
    let depay = "rtph265depay ! h265parse ! video/x-h265,stream-format=byte-stream";
    let reader = launch(&format!("{source} ! {depay} ! filesink buffer-mode=unbuffered location={}", file.display()));
    wait_for_bytes(&file, BYTES);
    reader.terminate();
}

/// Starts GStreamer as a publisher of a test pattern with this sink element.
fn gstreamer_publishes(sink: &str) -> Process {
    let picture = "videotestsrc is-live=true ! video/x-raw,format=I420,width=320,height=240,framerate=15/1";
    let encode = "x265enc speed-preset=ultrafast tune=zerolatency key-int-max=15 ! h265parse";
    launch(&format!("{picture} ! {encode} ! {sink}"))
}

#[test]
fn gstreamer_logs_in_by_digest_and_by_basic() {
    let scenario = "GStreamer logs in";
    if !has_elements(&["rtspclientsink", "rtspsrc", "x265enc", "h265parse", "rtph265depay"], scenario) {
        return;
    }
    let _real_time = real_time_shared();
    for hashes in [Hashes::Ha1, Hashes::Argon2] {
        let server = configured_server(hashes);
        let (url, without) = (server.url(LOGIN, "live"), server.url("", "live"));
        let login = "user-id=peer user-pw=secret";
        let publisher = gstreamer_publishes(&format!("rtspclientsink protocols=tcp {login} location={without}"));
        assert_receives(&format!("from GStreamer, {hashes:?}"), &url);
        assert_gstreamer_reads(&format!("rtspsrc protocols=tcp {login} location={without}"));
        // The login in the URL, as other programs write it.
        assert_gstreamer_reads(&format!("rtspsrc protocols=tcp location={url}"));
        publisher.terminate();
    }
}

#[test]
fn gstreamer_uses_tls() {
    let scenario = "GStreamer by TLS";
    if !has_elements(&["rtspclientsink", "rtspsrc", "x265enc", "h265parse", "rtph265depay"], scenario) {
        return;
    }
    let _real_time = real_time_shared();
    let server = configured_server(Hashes::Ha1);
    let (url, secure) = (server.url(LOGIN, "live"), server.secure_url("", "live"));
    let way = format!("protocols=tcp tls-validation-flags=0 user-id=peer user-pw=secret location={secure}");
    if !gstreamer_has_tls(&format!("rtspsrc {way} ! fakesink")) {
        say(&format!("skipped: {scenario}: GLib has no TLS (glib-networking)"));
        return;
    }
    let publisher = gstreamer_publishes(&format!("rtspclientsink {way}"));
    assert_receives("from GStreamer by TLS", &url);
    publisher.terminate();
    let _sender = send_pattern(&server.url(LOGIN, "ours"), &[]);
    assert_gstreamer_reads(&format!("rtspsrc {}", way.replace("/live", "/ours")));
}

/// Whether GLib has TLS support, by the error of a pipeline that reads from a port without a server.
fn gstreamer_has_tls(pipeline: &str) -> bool {
    let exit = launch(pipeline).wait();
    !exit.stderr.iter().any(|line| line.contains("TLS support is not available"))
}
