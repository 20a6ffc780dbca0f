//! What is Windows' own: where settings are, log-off, the report for somebody who looks for a fault. `make test-windows` runs
//! these with the Windows program by Wine, and with it many of the other scenarios.

use std::path::PathBuf;
use std::process::Command;

use crate::support::hevcast::{expect_figures, is_other_program, run, summary};
use crate::support::process::Process;
use crate::support::window::Window;
use crate::support::{Scratch, has_peer, real_time, say};
use crate::window_receive::{probe, windows_path};

/// Whether the program is the one for Windows. Otherwise prints which scenario is skipped.
fn is_windows(scenario: &str) -> bool {
    let is_windows = is_other_program("send");
    if !is_windows {
        say(&format!("skipped: {scenario}: `make test-windows` runs it"));
    }
    is_windows
}

/// `scripts/windows/wine`, beside the program's script.
fn wine() -> PathBuf {
    let program = std::env::var_os("HEVCAST_PROGRAM").unwrap();
    PathBuf::from(program).with_file_name("wine")
}

/// The file of settings in %APPDATA%, as this system sees it.
fn settings() -> PathBuf {
    windows_path(r"C:\users\root\AppData\Roaming\hevcast\windows.toml").unwrap()
}

#[test]
fn settings_are_kept_in_appdata() {
    if !is_windows("settings in %APPDATA%") || !has_peer("Xvfb", "settings in %APPDATA%") {
        return;
    }
    let mut window = Window::open(&[]);
    assert!(!settings().exists(), "a new folder of settings is empty");
    window.press("中文");
    window.expect("推流", |element| element.role == "Button");
    let folder = window.close_and_keep();
    let kept = std::fs::read_to_string(settings()).unwrap();
    assert!(kept.contains("language = \"zh\""), "{kept}");
    let mut window = Window::open_with(&[], folder, "C.UTF-8");
    window.expect("推流", |element| element.role == "Button");
    window.close();
}

#[test]
fn log_off_ends_a_sender_and_its_recording() {
    if !is_windows("log-off") || !has_peer("Xvfb", "log-off") || !has_peer("ffprobe", "log-off") {
        return;
    }
    let _real_time = real_time();
    let folder = Scratch::new();
    let file = folder.file("课堂 录像.mp4");
    let record = format!("--record={}", file.display());
    let pattern = ["send", "--start", "--input", "pattern", "--size", "320x240", "--fps", "15", "--encoder", "libx265"];
    let more = ["--listen", "127.0.0.1:0", "--stats", "json", &record];
    let mut window = Window::open(&[&pattern[..], &more].concat());
    expect_figures(&mut window.process, "a second of sending", |f| f["frames"]["sent"].as_u64() > Some(5));
    let mut log_off = Command::new(wine());
    log_off.args(["wineboot", "--end-session"]).env("DISPLAY", &window.display.name);
    Process::start("wineboot", &mut log_off).wait();
    let exit = window.process.wait().succeeded();
    assert_eq!(summary(&exit)["role"], "window");
    let recorded: u64 = probe(&file, "stream=nb_read_frames").parse().unwrap();
    assert!(recorded > 5, "{recorded} pictures were recorded");
}

#[test]
fn the_report_tells_of_system_clocks_and_encoders() {
    if !is_windows("the devices' report") {
        return;
    }
    let _real_time = real_time();
    let exit = run(&["devices", "--report"]).succeeded();
    for word in ["system: Windows 10", "processors: ", "clocks: ", "pause of 1 ms: ", "cameras: ", "encoder hevc_mf: "]
    {
        assert!(exit.stdout.iter().any(|line| line.starts_with(word)), "no {word:?} in {:?}", exit.stdout);
    }
    let x265 = exit.stdout.iter().find(|line| line.starts_with("encoder libx265: ")).unwrap();
    assert!(x265.contains("61 of 61 pictures came back at once"), "{x265}");
}
