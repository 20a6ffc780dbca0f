//! The screen as a source, on a virtual display.

use crate::bad_input::assert_one_line;
use crate::support::display::Display;
use crate::support::hevcast::{Server, command, expect_figures, start, wait_until_sending};
use crate::support::process::Process;
use crate::support::{has_peer, real_time};

#[test]
fn a_screen_is_sent_in_its_size() {
    if !has_peer("Xvfb", "the screen as a source") {
        return;
    }
    let _real_time = real_time();
    let display = Display::start((400, 300));
    let server = Server::start();
    let url = server.url("screen");
    let arguments = ["send", "--headless", "--input", "screen", "--fps", "10", "--encoder", "libx265", "--to", &url];
    let mut sender = Process::start("send", command(&arguments).env("DISPLAY", &display.name));
    wait_until_sending(&mut sender, false);
    let mut receiver = start(&["receive", &url, "--stats", "json"]);
    let shown = expect_figures(&mut receiver, "a picture of it", |f| f["pictures"]["shown"].as_u64() > Some(0));
    assert_eq!(shown["size"], serde_json::json!([400, 300]), "{shown}");
    receiver.interrupt().0.succeeded();
    sender.interrupt().0.succeeded();
}

#[test]
fn a_missing_display_is_reported() {
    let server = Server::start();
    let url = server.url("screen");
    let arguments = ["send", "--headless", "--input", "screen", "--encoder", "libx265", "--to", &url];
    let exit = Process::start("send", command(&arguments).env_remove("DISPLAY")).wait();
    assert_one_line("no DISPLAY", &exit, 1, &["no screen to capture", "DISPLAY"]);
    let exit = Process::start("send", command(&arguments).env("DISPLAY", ":4094")).wait();
    assert_one_line("dead DISPLAY", &exit, 1, &["no screen to capture", ":4094"]);
}
