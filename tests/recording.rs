//! Recordings contain everything that was coded, even if the program that writes them is killed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::footage::{Excerpt, WEBCAM, decode, find};
use crate::support::hevcast::{Server, command, count, expect_figures, number, run, send_pattern, start, summary};
use crate::support::pictures::{Clip, assert_run};
use crate::support::process::Process;
use crate::support::{LIMIT, Scratch, has_peer, real_time_shared, say};

/// The frame rate of the pattern in these scenarios, in pictures per second.
const FPS: u64 = 15;
/// Most pictures that a fragment holds: those of a second, and one that waits for the time stamp of the next.
const FRAGMENT_PICTURES: u64 = FPS + 2;
/// How many recorders are killed.
const KILLS: u64 = 50;
/// How many of these run at the same time.
const AT_ONCE: u64 = 5;

/// The number of pictures in a file, all of which ffprobe decodes, and whether the first is a keyframe.
pub fn probed(path: &Path) -> u64 {
    let name = path.to_str().unwrap();
    let arguments =
        ["-v", "error", "-count_frames", "-show_entries", "stream=codec_name,nb_read_frames", "-of", "csv=p=0"];
    let output = Command::new("ffprobe").args(arguments).arg(name).stdin(Stdio::null()).output().unwrap();
    let (errors, printed) = (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success() && errors.is_empty(), "ffprobe on {name}: {errors}");
    let (codec, pictures) = printed.trim().split_once(',').unwrap_or_else(|| panic!("ffprobe on {name}: {printed:?}"));
    assert_eq!(codec, "hevc", "{name}");
    if pictures == "N/A" {
        // What ffprobe prints for no pictures: the file ends after its header.
        return 0;
    }
    pictures.parse().unwrap_or_else(|_| panic!("ffprobe counts {pictures:?} pictures in {name}"))
}

/// The arguments of a sender of the pattern that records to `file`.
fn recording_sender(file: &Path) -> Vec<String> {
    let fps = FPS.to_string();
    let fixed = ["send", "--input", "pattern", "--size", "320x240", "--fps", &fps, "--encoder", "libx265"];
    let options = ["--listen", "127.0.0.1:0", "--stats", "json", "--record", file.to_str().unwrap()];
    [&fixed[..], &options].concat().into_iter().map(str::to_owned).collect()
}

fn started(arguments: &[String]) -> Process {
    start(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn a_killed_recorder_loses_a_fragment_at_most() {
    if !has_peer("ffprobe", "recorders are killed") {
        return;
    }
    let _real_time = real_time_shared();
    let folder = Scratch::new();
    // Times that are distributed by the golden ratio: evenly, and the same in each run.
    let moment = |n: u64| Duration::from_millis(n.wrapping_mul(0x9E37_79B9_7F4A_7C15) % 2000);
    let mut least_lost = u64::MAX;
    let mut most_lost = 0;
    for round in 0..KILLS / AT_ONCE {
        let mut recorders: Vec<(Process, PathBuf, u64)> = (0..AT_ONCE)
            .map(|n| {
                let number = round * AT_ONCE + n;
                let file = folder.file(&format!("{number}.{}", if number.is_multiple_of(2) { "mp4" } else { "mkv" }));
                (started(&recording_sender(&file)), file, number)
            })
            .collect();
        for (recorder, ..) in &mut recorders {
            expect_figures(recorder, "a second of pictures", |f| f["frames"]["encoded"].as_u64() > Some(0));
        }
        let from = Instant::now();
        for (recorder, file, number) in recorders {
            // A sleep, since the time of the kill is what varies.
            std::thread::sleep((from + moment(number)).saturating_duration_since(Instant::now()));
            let exit = recorder.kill();
            let seconds = exit.stdout.iter().filter_map(|line| {
                let figures = crate::support::hevcast::figures(line);
                figures.pointer("/frames/encoded").and_then(serde_json::Value::as_u64)
            });
            let coded: u64 = seconds.sum();
            let found = probed(&file);
            assert!(found + FRAGMENT_PICTURES >= coded, "{}: {found} of {coded} pictures", file.display());
            let lost = coded.saturating_sub(found);
            (least_lost, most_lost) = (least_lost.min(lost), most_lost.max(lost));
        }
    }
    say(&format!("{KILLS} recorders killed: {least_lost} to {most_lost} pictures short of what they had said"));
}

#[test]
fn what_is_sent_and_what_comes_are_recorded_picture_by_picture() {
    let Some(excerpt) = Excerpt::cut(3, "both ends record") else { return };
    let _real_time = real_time_shared();
    let folder = Scratch::new();
    let (sent, received) = (folder.file("sent.mkv"), folder.file("received.mp4"));
    let server = Server::start();
    let url = server.url("recorded");
    let receiver = start(&["receive", &url, "--wait", "--once", "--record", received.to_str().unwrap()]);
    let input = format!("file:{}", excerpt.name());
    let to = ["--to", &url, "--record", sent.to_str().unwrap()];
    run(&[&["send", "--input", &input, "--encoder", "libx265", "--qp", "23"][..], &to].concat()).succeeded();
    receiver.wait().succeeded();
    for (file, joined_by) in [(&sent, 0), (&received, crate::footage::JOINED_BY)] {
        let found = assert_run(&decode(file), &excerpt.clip, joined_by, crate::footage::LEAST_DB);
        assert_eq!(found.missing_at_end, 0, "{}", file.display());
    }

    // A recording can be sent again, and an existing file is not overwritten.
    let again = folder.file("again.y4m");
    let exit = run(&["receive", sent.to_str().unwrap(), "--output", again.to_str().unwrap(), "--stats", "json"]);
    let shown = summary(&exit);
    assert_eq!(shown["delay_ms"], serde_json::Value::Null, "a recording has no delay");
    assert!(number(&shown, "/time_s") > 2.5, "three seconds were shown in {} s", shown["time_s"]);
    exit.succeeded();
    assert_eq!(assert_run(&Clip::read_y4m(&again), &excerpt.clip, 0, crate::footage::LEAST_DB).missing_at_end, 0);
    let before = std::fs::read(&sent).unwrap();
    let size = ["--size", "64x64", "--duration", "1s", "--listen", "127.0.0.1:0", "--record", sent.to_str().unwrap()];
    run(&[&["send", "--input", "pattern", "--encoder", "libx265"][..], &size].concat()).succeeded();
    assert!(std::fs::read(&sent).unwrap() == before, "a second recording of that name overwrote the first");
    assert!(probed(&folder.file("sent-2.mkv")) > 0);
}

/// Wraps commands so that they run in a namespace of their own, in which a disk of 256 KiB is mounted at `place`, which
/// needs no privileges. `None` where the system does not allow that; then prints what is skipped.
pub fn on_small_disk(place: &Path) -> Option<impl Fn(&Command) -> Command + use<>> {
    let mount = format!("mount -t tmpfs -o size=256k tmpfs '{}' && exec \"$0\" \"$@\"", place.display());
    let unshare = move |program: &Command| {
        let mut unshare = Command::new("unshare");
        unshare.args(["--user", "--map-root-user", "--mount", "sh", "-c", &mount]);
        unshare.arg(program.get_program()).args(program.get_args());
        unshare
    };
    let possible = unshare(&Command::new("true")).stderr(Stdio::null()).status();
    if !possible.is_ok_and(|status| status.success()) {
        say("skipped: the disk is full: this system gives no name spaces to mount in");
        return None;
    }
    Some(unshare)
}

#[test]
fn on_a_full_disk_the_recording_ends_and_the_stream_goes_on() {
    let Some(footage) = find(WEBCAM, "the disk is full") else { return };
    let disk = Scratch::new();
    let place = disk.file("disk");
    std::fs::create_dir(&place).unwrap();
    let Some(inside) = on_small_disk(&place) else { return };
    let _real_time = real_time_shared();
    let file = place.join("full.mp4");
    let input = format!("file:{}", footage.display());
    let server = Server::start();
    let url = server.url("full");
    let send = ["send", "--input", &input, "--loop", "--encoder", "libx265", "--qp", "20", "--stats", "json"];
    let to = ["--to", &url, "--record", file.to_str().unwrap(), "--duration", "20s"];
    let program = command(&[&send[..], &to].concat());
    let mut sender = Process::start("send", &mut inside(&program));
    let receiver = start(&["receive", &url, "--wait", "--once", "--stats", "json"]);
    let line = sender.stderr.expect("the end of the recording", |line| line.contains("the recording has ended"));
    assert!(line.contains("No space left on device") && line.contains("the stream goes on"), "{line}");
    expect_figures(&mut sender, "pictures after that", |f| f["frames"]["sent"].as_u64() >= Some(25));
    expect_figures(&mut sender, "and on", |f| f["frames"]["sent"].as_u64() >= Some(25));
    let (sent, _) = sender.interrupt();
    let (sent, received) = (summary(&sent), summary(&receiver.wait()));
    assert_eq!(count(&sent, "/frames/dropped/coded"), 0, "{sent}");
    assert_eq!(count(&received, "/pictures/damaged") + count(&received, "/rtp_gaps"), 0, "{received}");
}

#[test]
fn the_server_records_in_segments_and_deletes_the_oldest() {
    if !has_peer("ffprobe", "the server records") {
        return;
    }
    let _real_time = real_time_shared();
    let folder = Scratch::new();
    let config = folder.file("hevcast.toml");
    // Segments of 1.2 seconds, without a limit on their size.
    let text = "[record]\npaths = [\"kept/*\"]\nsegment_minutes = 0.02\nformat = \"mkv\"\n";
    std::fs::write(&config, text).unwrap();
    let server = Server::started(start(&["serve", "--listen", "127.0.0.1:0", "--config", config.to_str().unwrap()]));
    let other = send_pattern(&server.url("other"), &["--stats", "json"]);
    let mut sender = send_pattern(&server.url("kept/cam-1"), &["--stats", "json"]);
    expect_figures(&mut sender, "five seconds", |f| f["time_s"].as_f64() > Some(5.5));
    other.interrupt().0.succeeded();
    let sent = summary(&sender.interrupt().0);
    let segments = recorded_in(&folder.file("recordings/kept/cam-1"), 3);
    assert!(!folder.file("recordings/other").exists(), "a path that is not named is not recorded");
    server.process.interrupt().0.succeeded();

    let pictures: Vec<u64> = segments.iter().map(|segment| probed(segment)).collect();
    // The recorder joins the stream at a keyframe, so that this is the first picture.
    assert_eq!(pictures.iter().sum::<u64>(), count(&sent, "/frames/sent"), "{pictures:?} in {segments:?}");
    for (segment, pictures) in segments.iter().zip(&pictures) {
        assert_eq!(decode(segment).luma.len() as u64, *pictures, "each begins with a keyframe");
    }

    // With a limit, the oldest segments are deleted when the next one begins.
    let bytes: u64 = segments.iter().map(|segment| segment.metadata().unwrap().len()).sum();
    std::fs::write(&config, format!("{text}max_gb = {:.9}\n", bytes as f64 * 0.6 / 1e9)).unwrap();
    let strange = segments[0].with_file_name("holiday.mkv");
    std::fs::write(&strange, "not ours").unwrap();
    let server = Server::started(start(&["serve", "--listen", "127.0.0.1:0", "--config", config.to_str().unwrap()]));
    let mut sender = send_pattern(&server.url("kept/cam-1"), &["--stats", "json"]);
    expect_figures(&mut sender, "a picture", |f| f["frames"]["sent"].as_u64() > Some(0));
    let begun = Instant::now();
    while segments[0].exists() {
        assert!(begun.elapsed() < LIMIT, "the oldest segment is still there");
        expect_figures(&mut sender, "another second", |f| f["kind"] == "second");
    }
    assert!(strange.exists() && segments.last().unwrap().exists());
    sender.interrupt().0.succeeded();
    server.process.interrupt().0.succeeded();
}

/// The files in a folder, sorted by name, once there are at least `least` and the last is complete.
fn recorded_in(folder: &Path, least: usize) -> Vec<PathBuf> {
    let begun = Instant::now();
    loop {
        let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        files.sort();
        if files.len() >= least {
            return files;
        }
        assert!(begun.elapsed() < LIMIT, "{} holds {files:?}", folder.display());
        std::thread::yield_now();
    }
}
