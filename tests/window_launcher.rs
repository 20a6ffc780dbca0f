//! The window of `hevcast` without a command: it offers the roles, becomes the chosen one, and remembers its settings.

use std::net::TcpListener;

use crate::support::hevcast::{command, expect_figures, is_other_program, send_pattern, start};
use crate::support::process::Process;
use crate::support::window::Window;
use crate::support::{Scratch, has_peer, real_time, say};

#[test]
fn the_launcher_becomes_what_is_chosen() {
    if !has_peer("Xvfb", "the launcher's window") {
        return;
    }
    let mut window = Window::open(&["--lang", "en"]);
    window.press("Send");
    window.expect("Start", |element| element.role == "Button" && !element.disabled);
    window.expect_value("Picture", "Stopped");
    window.close();

    let mut window = Window::open(&["--lang", "zh"]);
    window.press("拉流");
    window.expect("开始拉流", |element| element.role == "Button");
    window.close();
}

#[test]
fn the_language_is_the_systems() {
    if !has_peer("Xvfb", "the launcher in the system's language") {
        return;
    }
    for (locale, name) in [("zh_CN.UTF-8", "拉流"), ("en_GB.UTF-8", "Receive")] {
        let mut window = Window::open_with(&[], Scratch::new(), locale);
        window.expect(name, |element| element.role == "Button");
        window.close();
    }
}

#[test]
fn the_servers_window_serves_and_stops() {
    if !has_peer("Xvfb", "the server's window") {
        return;
    }
    let _real_time = real_time();
    if TcpListener::bind("0.0.0.0:8554").is_err() {
        return say("skipped: the server's window: port 8554 is taken");
    }
    let mut window = Window::open(&[]);
    window.press("Serve");
    window.press("Start server");
    let url = window.expect_text("rtsp://127.0.0.1:8554/").replace("PATH", "window");
    let sender = send_pattern(&url, &[]);
    let mut receiver = start(&["receive", &url, "--once", "--stats", "json"]);
    expect_figures(&mut receiver, "pictures", |f| f["pictures"]["shown"].as_u64() > Some(0));
    window.press("Stop server");
    // The stream ends with the server, either by TEARDOWN or by the end of the connection.
    receiver.wait();
    drop(sender);
    window.press("Start server");
    window.expect_text("rtsp://127.0.0.1:8554/");
    window.close();
}

#[test]
fn a_display_that_is_not_there_leaves_the_terminal() {
    if is_other_program("receive") {
        return say("skipped: no display: Windows always has one");
    }
    let mut lost = command(&["receive", "rtsp://127.0.0.1:1/x"]);
    let exit = Process::start("receive", lost.env("DISPLAY", ":4094")).wait();
    assert_eq!(exit.status.code(), Some(1), "{:?}", exit.stderr);
    let said = exit.stderr.join("\n");
    assert!(said.contains("no window can be opened") && said.contains("staying in the terminal"), "{said}");
    assert!(said.contains("nothing listens there"), "{said}");
}
