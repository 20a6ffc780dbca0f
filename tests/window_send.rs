//! The sender's real window: its buttons, its picture, and that it leaves nothing behind.

use std::time::{Duration, Instant};

use crate::support::footage::{WEBCAM, find};
use crate::support::hevcast::{Server, expect_figures, is_other_program, start, summary};
use crate::support::window::{Element, Window};
use crate::support::{has_peer, real_time, say};
use crate::window_receive::{file_in, probe, recorded};

/// The limit until the picture is black, long for a busy machine. The documented time is 200 ms, and the measured one
/// is printed.
const PROMPT: Duration = Duration::from_secs(5);
/// The names of the threads of a sender's pipeline.
const STAGES: [&str; 3] = ["capture", "encode", "preview"];

/// The first number in a text; fails if there is none.
fn number(text: &str) -> f64 {
    let digits: String = text.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    digits.parse().unwrap_or_else(|_| panic!("no number in {text:?}"))
}

#[test]
fn ten_rounds_of_start_and_stop_leave_nothing_behind() {
    if !has_peer("Xvfb", "the sender's window") {
        return;
    }
    let Some(footage) = find(WEBCAM, "the sender's window") else { return };
    let _real_time = real_time();
    let server = Server::start();
    let footage = footage.canonicalize().unwrap();
    let input = format!("file:{}", footage.display());
    let url = server.url("live");
    let mut window = Window::open(&["send", "--input", &input, "--loop", "--to", &url, "--encoder", "libx265"]);
    window.expect_value("Picture", "Stopped");
    window.wait_for_black();
    assert!(window.find("Stop").unwrap().disabled, "there is nothing to stop yet");
    let mut slowest = Duration::ZERO;
    for round in 0..10 {
        window.press("Start");
        window.expect_value("Picture", "live");
        window.wait_for_moving_picture();
        let ratio = number(&window.expect_value("Compression ratio", ":1").value);
        // The first second may have few pictures on a busy machine.
        let is_full = |element: &Element| element.value.contains("fps") && number(&element.value) >= 5.0;
        let rate = number(&window.expect("Frame rate", is_full).value);
        let bitrate = number(&window.expect_value("Bitrate", "bit/s").value);
        let qp = number(&window.expect_value("QP", "good").value);
        let is_plausible = (10.0..2000.0).contains(&ratio) && (5.0..=40.0).contains(&rate) && bitrate > 1.0;
        assert!(is_plausible && qp == 23.0, "{ratio}:1, {rate} fps, {bitrate}, QP {qp}");
        // `/proc` has no names of the threads of a Windows program.
        for stage in STAGES.iter().filter(|_| !is_other_program("send")) {
            assert!(window.process.threads().iter().any(|name| name == *stage), "no thread {stage}");
        }
        // Wine's other process opens files.
        let is_open = |window: &Window| window.process.open_files().contains(&footage);
        assert!(is_open(&window) || is_other_program("send"), "the source is not open");

        window.press("Stop");
        slowest = slowest.max(window.wait_for_black());
        window.expect_value("Picture", "Stopped");
        let left = window.process.threads().into_iter().filter(|name| STAGES.contains(&name.as_str()));
        assert_eq!(left.collect::<Vec<_>>(), [""; 0], "threads are left after round {round}");
        assert!(!is_open(&window), "the source is still open");
        let helpers = window.process.descendants();
        assert!(helpers.is_empty(), "other processes: {helpers:?}");
    }
    say(&format!("window: black at most {} ms after Stop", slowest.as_millis()));
    assert!(slowest < PROMPT);
    window.close();
}

#[test]
fn start_and_stop_by_the_keyboard_alone() {
    /// X11's keysym of the tabulator.
    const TAB: u32 = 0xff09;
    if !has_peer("Xvfb", "the sender's window by keyboard") {
        return;
    }
    let _real_time = real_time();
    let pattern = ["send", "--input", "pattern", "--size", "320x240", "--fps", "15", "--encoder", "libx265"];
    let mut window = Window::open(&[&pattern[..], &["--listen", "127.0.0.1:0"]].concat());
    window.expect_value("Picture", "Stopped");
    window.key(TAB);
    window.key(u32::from(b' '));
    window.expect_value("Picture", "live");
    window.wait_for_moving_picture();
    window.key(TAB);
    window.key(u32::from(b' '));
    window.wait_for_black();
    window.expect_value("Picture", "Stopped");
    window.close();
}

#[test]
fn the_rate_changes_while_pictures_are_pushed() {
    if !has_peer("Xvfb", "the sender's window") {
        return;
    }
    let _real_time = real_time();
    let server = Server::start();
    let url = server.url("live");
    let more = ["--input", "pattern", "--size", "320x240", "--fps", "15", "--encoder", "libx265", "--to", &url];
    let mut window = Window::open(&[&["send", "--start", "--stats", "json"], &more[..]].concat());
    window.expect_value("Picture", "live");
    let mut receiver = start(&["receive", &url, "--stats", "json"]);
    window.expect("QP", |element| element.value.starts_with("23.0"));
    window.press("Settings");
    // Settings that cannot change while pictures are sent are disabled.
    window.expect("Size", |element| element.role == "TextInput" && element.disabled);
    let slider = window.expect("Best QP", |element| element.role == "Slider" && !element.disabled).area();
    let coarse = (slider.x + (slider.width / 4 * 3) as i16, slider.centre().1);
    window.display.hold(coarse);
    let turned = Instant::now();
    window.expect("QP", |element| element.role == "Status" && element.value.contains("coarse"));
    say(&format!("window: another QP on the label after {} ms", turned.elapsed().as_millis()));
    window.display.release(coarse);
    let sent = expect_figures(&mut window.process, "another QP", |f| f["qp"].as_f64() > Some(25.5));
    assert_eq!(sent["frames"]["dropped"]["coded"], 0, "{sent}");
    expect_figures(&mut receiver, "a live second", |f| f["state"] == "live");
    let received = summary(&receiver.interrupt().0.succeeded());
    assert_eq!((&received["pictures"]["damaged"], &received["reconnects"]), (&0.into(), &0.into()), "{received}");
    window.close();
}

#[test]
fn a_start_that_fails_says_why_and_start_works_again() {
    if !has_peer("Xvfb", "the sender's window") {
        return;
    }
    let _real_time = real_time();
    let server = Server::start();
    let url = server.url("live");
    let port = server.port;
    server.process.interrupt().0.succeeded();
    let mut window = Window::open(&["send", "--start", "--input", "pattern", "--size", "320x240", "--to", &url]);
    let why = window.expect_text("nothing listens there");
    assert!(why.contains("hevcast serve") || why.contains("hevcast.exe serve"), "what to do is not said: {why}");
    let _server = Server::start_on(port);
    window.press("Start");
    window.expect_value("Picture", "live");
    window.wait_for_moving_picture();
    window.close();
}

#[test]
fn the_server_inside_is_there_while_pictures_are_pushed() {
    if !has_peer("Xvfb", "the sender's window") {
        return;
    }
    let _real_time = real_time();
    let arguments = ["send", "--lang", "zh", "--input", "pattern", "--size", "320x240", "--listen", "127.0.0.1:0"];
    let mut window = Window::open(&arguments);
    for _ in 0..2 {
        window.press("开始推流");
        let url = window.expect_text("rtsp://127.0.0.1:");
        let mut receiver = start(&["receive", &url, "--once", "--stats", "json"]);
        expect_figures(&mut receiver, "pictures", |f| f["pictures"]["shown"].as_u64() > Some(0));
        window.press("关闭推流");
        receiver.wait().succeeded();
        window.expect_value("画面", "已停止");
        window.wait_for("no address", |window| !window.says("rtsp://127.0.0.1:"));
    }
    window.close();
}

#[test]
fn it_records_while_it_pushes_from_keyframe_to_keyframe() {
    if !has_peer("Xvfb", "the sender's window") || !has_peer("ffprobe", "the sender's window") {
        return;
    }
    let _real_time = real_time();
    let server = Server::start();
    let url = server.url("live");
    // Keyframes are rare, so that a recording must not wait for the next one.
    let input = ["send", "--input", "pattern", "--size", "320x240", "--fps", "15", "--keyframe-interval", "1h"];
    let mut window = Window::open(&[&input[..], &["--encoder", "libx265", "--to", &url, "--start"]].concat());
    window.expect_value("Picture", "live");
    let mut files = Vec::new();
    for _ in 0..2 {
        window.press("Record (r)");
        window.wait_for("twenty pictures", |window| recorded(window, "Recording: ").is_some_and(|count| count >= 20));
        window.press("Stop recording (r)");
        let said = window.expect_text("Recorded: ");
        let count = recorded(&window, "Recorded: ").unwrap();
        let file = file_in(&said);
        assert_eq!(probe(&file, "stream=nb_read_frames").parse().ok(), Some(count), "the window said {said}");
        files.push(file);
        window.expect_value("Picture", "live");
    }
    assert_ne!(files[0], files[1]);
    window.close();
}
