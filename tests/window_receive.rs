//! The receiver's real window: it is black with a reason when the stream ends, recovers by itself, and saves snapshots
//! and recordings.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::hevcast::{Server, send_pattern};
use crate::support::window::Window;
use crate::support::{LIMIT, Scratch, has_peer, real_time, root, say};

/// The limit until the picture is black, long for a busy machine. The documented times are half a second, and three
/// seconds after a crash; the measured one is printed.
const PROMPT: Duration = Duration::from_secs(10);

/// Opens a receiver's window that saves files to `folder`.
fn open(url: &str, folder: &Scratch) -> Window {
    let folder = folder.file("");
    Window::open(&["receive", url, "--save-to", folder.to_str().unwrap()])
}

#[test]
fn the_picture_is_black_when_the_sender_ends_and_recovers_when_it_returns() {
    if !has_peer("Xvfb", "the receiver's window") {
        return;
    }
    let _real_time = real_time();
    let server = Server::start();
    let url = server.url("live");
    let folder = Scratch::new();
    let mut window = open(&url, &folder);
    window.expect_value("Picture", "Reconnecting in");
    for _ in 0..2 {
        let sender = send_pattern(&url, &[]);
        window.expect_value("Picture", "live");
        window.wait_for_moving_picture();
        window.expect_value("Delay", " ms ±");
        window.expect_value("Throughput", "bit/s");
        let ended = Instant::now();
        let ending = std::thread::spawn(move || sender.interrupt().0.succeeded());
        window.wait_for_black();
        let took = ended.elapsed();
        ending.join().unwrap();
        window.expect_value("Picture", "Reconnecting in");
        window.expect("Delay", |element| element.value == "—");
        say(&format!("window: black {} ms after Ctrl-C at the sender", took.as_millis()));
        assert!(took < PROMPT);
    }
    window.press("Stop");
    window.expect("Picture", |element| element.value == "Stopped");
    window.close();
}

#[test]
fn black_after_a_senders_crash() {
    if !has_peer("Xvfb", "the receiver's window") {
        return;
    }
    let _real_time = real_time();
    let server = Server::start();
    let url = server.url("live");
    let sender = send_pattern(&url, &[]);
    let folder = Scratch::new();
    let mut window = open(&url, &folder);
    window.expect_value("Picture", "live");
    window.wait_for_moving_picture();
    let crashed = Instant::now();
    sender.kill();
    window.wait_for_black();
    let took = crashed.elapsed();
    say(&format!("window: black {} ms after kill -9 of the sender", took.as_millis()));
    assert!(took < PROMPT);
    let _sender = send_pattern(&url, &[]);
    window.expect_value("Picture", "live");
    window.wait_for_moving_picture();
    window.close();
}

#[test]
fn a_snapshot_and_a_recording_contain_the_shown_pictures() {
    if !has_peer("Xvfb", "the receiver's window") || !has_peer("ffprobe", "the receiver's window") {
        return;
    }
    let _real_time = real_time();
    let server = Server::start();
    let url = server.url("live");
    // Keyframes are rare, so that a recording must not wait for the next one.
    let _sender = send_pattern(&url, &["--keyframe-interval", "1h"]);
    let folder = Scratch::new();
    let mut window = open(&url, &folder);
    window.expect_value("Picture", "live");
    window.key(u32::from(b's'));
    let said = window.expect_text("Saved: ");
    let snapshot = file_in(&said);
    assert_eq!(probe(&snapshot, "stream=codec_name,width,height"), "png,320,240");

    window.key(u32::from(b'r'));
    window.wait_for("twenty pictures", |window| recorded(window, "Recording: ").is_some_and(|count| count >= 20));
    window.press("Stop recording (r)");
    let said = window.expect_text("Recorded: ");
    let count = recorded(&window, "Recorded: ").unwrap();
    let recording = file_in(&said);
    assert_eq!(probe(&recording, "stream=codec_name,width,height"), "hevc,320,240");
    let counted = probe(&recording, "stream=nb_read_frames");
    assert_eq!(counted.parse::<u64>().ok(), Some(count), "the window said {said}, the file holds {counted}");
    let rate = probe(&recording, "stream=avg_frame_rate");
    let (pictures, seconds) = rate.split_once('/').unwrap();
    let rate = pictures.parse::<f64>().unwrap() / seconds.parse::<f64>().unwrap();
    assert!((rate - 15.0).abs() < 3.0, "{rate} pictures a second");
    window.close();
}

#[test]
fn keys_unfold_the_graphs_and_fill_the_screen() {
    if !has_peer("Xvfb", "the receiver's window") {
        return;
    }
    let _real_time = real_time();
    let server = Server::start();
    let url = server.url("live");
    let _sender = send_pattern(&url, &[]);
    let folder = Scratch::new();
    let mut window = open(&url, &folder);
    window.expect_value("Picture", "live");
    window.key(u32::from(b'i'));
    window.expect("Frame interval jitter", |element| element.value.contains(" ms"));
    window.expect("Throughput", |element| element.role == "Image" && element.value.contains("Mbit/s"));
    window.key(u32::from(b'i'));
    window.wait_for("no graphs", |window| window.find("Frame interval jitter").is_none());
    window.key(u32::from(b'f'));
    window.wait_for("nothing but the picture", |window| window.find("Delay").is_none());
    window.key(u32::from(b'f'));
    window.expect("Delay", |_| true);
    window.close();
}

#[test]
fn an_invalid_address_is_reported() {
    if !has_peer("Xvfb", "the receiver's window") {
        return;
    }
    let folder = Scratch::new();
    let mut window = Window::open(&["receive", "--save-to", folder.file("").to_str().unwrap()]);
    window.press("Play");
    window.expect_text("rtsp://HOST:8554/PATH");
    window.close();
}

/// The number of recorded pictures, in the window's text after `word`.
pub fn recorded(window: &Window, word: &str) -> Option<u64> {
    let said = window.text(word)?;
    said[said.rfind('(')? + 1..].split(' ').next()?.parse().ok()
}

/// The path of the file that a message names.
pub fn file_in(said: &str) -> PathBuf {
    let path = said.split_once(": ").unwrap().1;
    let path = path.split(" (").next().unwrap();
    let path = windows_path(path).unwrap_or_else(|| PathBuf::from(path));
    assert!(path.exists(), "there is no {}", path.display());
    path
}

/// Where a Windows program's path is, as this system sees it; `None` for a path that is not on its drive.
pub fn windows_path(path: &str) -> Option<PathBuf> {
    let on_drive = path.strip_prefix("C:\\")?.replace('\\', "/");
    Some(root().join("target/windows/wine/root/.wine-window/drive_c").join(on_drive))
}

/// The output of ffprobe for a file's video, with the number of pictures.
pub fn probe(path: &Path, entries: &str) -> String {
    let begun = Instant::now();
    let arguments = ["-v", "error", "-count_frames", "-select_streams", "v:0", "-of", "csv=p=0", "-show_entries"];
    let output = Command::new("ffprobe").args(arguments).arg(entries).arg(path).output().unwrap();
    assert!(output.status.success(), "ffprobe: {}", String::from_utf8_lossy(&output.stderr));
    assert!(begun.elapsed() < LIMIT);
    String::from_utf8(output.stdout).unwrap().trim().trim_end_matches(',').to_owned()
}
