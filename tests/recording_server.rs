//! A server that records: when it is killed, its configuration changes, its disk is full, or FFmpeg publishes.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::recording::{on_small_disk, probed};
use crate::support::configured_server::get;
use crate::support::footage::{WEBCAM, ffmpeg, find};
use crate::support::hevcast::{Server, command, count, expect_figures, figures, send_pattern, start, summary};
use crate::support::process::{Exit, Process};
use crate::support::{LIMIT, Scratch, has_peer, real_time_shared, say};

/// Most pictures that a fragment of [`send_pattern`] holds: those of a second, and one that waits for the time stamp of
/// the next.
const FRAGMENT_PICTURES: u64 = 15 + 2;
/// How many pictures may be on their way to a server when it is killed.
const ON_THEIR_WAY: u64 = 3;
/// How many servers are killed.
const KILLS: u64 = 10;
/// How many of these run at the same time.
const AT_ONCE: u64 = 5;

/// Starts a server with the configuration file `config`.
fn serve(config: &Path) -> Server {
    Server::started(Process::start("serve", &mut serving(config)))
}

fn serving(config: &Path) -> Command {
    command(&["serve", "--listen", "127.0.0.1:0", "--config", config.to_str().unwrap()])
}

/// The files in a folder, sorted by name, which is the order of time; empty where there is no folder.
fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.sort();
    files
}

/// Waits until `find` returns something.
fn wait_for<T>(what: &str, find: impl Fn() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = find() {
            return found;
        }
        assert!(begun.elapsed() < LIMIT, "{what}: not after {LIMIT:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The recorded pictures and files in a server's log, in the order of its lines.
fn recorded(exit: &Exit) -> Vec<(u64, PathBuf)> {
    let of = |line: &String| {
        let (_, said) = line.split_once(" recorded ")?;
        let (pictures, file) = said.split_once(" pictures to ")?;
        Some((pictures.parse().ok()?, file.into()))
    };
    exit.stderr.iter().filter_map(of).collect()
}

#[test]
fn a_killed_server_loses_a_fragment_of_its_recording_at_most() {
    if !has_peer("ffprobe", "recording servers are killed") {
        return;
    }
    let _real_time = real_time_shared();
    // Times that are distributed by the golden ratio: evenly, and the same in each run.
    let moment = |n: u64| Duration::from_millis(n.wrapping_mul(0x9E37_79B9_7F4A_7C15) % 2500);
    let (mut files, mut most_lost) = (0, 0);
    for round in 0..KILLS / AT_ONCE {
        let mut rigs: Vec<(Server, Process, Scratch, u64)> = (0..AT_ONCE)
            .map(|n| {
                let (number, folder) = (round * AT_ONCE + n, Scratch::new());
                let format = if number.is_multiple_of(2) { "mp4" } else { "mkv" };
                let config = folder.file("hevcast.toml");
                // Segments of 1.2 seconds, so that some servers are killed between two segments.
                let text = format!("[record]\npaths = [\"*\"]\nsegment_minutes = 0.02\nformat = \"{format}\"\n");
                std::fs::write(&config, text).unwrap();
                let server = serve(&config);
                let sender = send_pattern(&server.url("live"), &["--stats", "json"]);
                (server, sender, folder, number)
            })
            .collect();
        for (_, sender, ..) in &mut rigs {
            expect_figures(sender, "a second of pictures", |f| f["frames"]["sent"].as_u64() > Some(0));
        }
        let from = Instant::now();
        for (server, sender, folder, number) in rigs {
            // A sleep, since the time of the kill is what varies.
            std::thread::sleep((from + moment(number)).saturating_duration_since(Instant::now()));
            server.process.kill();
            let said = sender.interrupt().0.stdout;
            let seconds = said.iter().map(|line| figures(line)).filter(|f| f["kind"] == "second");
            let sent: u64 = seconds.map(|second| count(&second, "/frames/sent")).sum();
            let segments = files_in(&folder.file("recordings/live"));
            let found: u64 = segments.iter().map(|segment| probed(segment)).sum();
            assert!(found + FRAGMENT_PICTURES + ON_THEIR_WAY >= sent, "{found} of {sent} pictures in {segments:?}");
            files += segments.len();
            most_lost = most_lost.max(sent.saturating_sub(found));
        }
    }
    say(&format!("{KILLS} servers killed: {files} files open, at most {most_lost} of a server's pictures are missing"));
}

#[test]
fn on_a_full_disk_a_server_goes_on_and_logs_it_and_records_again_after_a_reload() {
    let Some(footage) = find(WEBCAM, "a server's disk is full") else { return };
    let folder = Scratch::new();
    let place = folder.file("disk");
    std::fs::create_dir(&place).unwrap();
    let Some(inside) = on_small_disk(&place) else { return };
    let _real_time = real_time_shared();
    let config = folder.file("hevcast.toml");
    let text = |format| {
        let http = "[http]\nlisten = \"127.0.0.1:0\"\n";
        format!("{http}[record]\npaths = [\"*\"]\nfolder = \"disk\"\nformat = \"{format}\"\n")
    };
    std::fs::write(&config, text("mp4")).unwrap();
    let mut server = Server::started(Process::start("serve", &mut inside(&serving(&config))));
    let page = server.process.stdout.expect("the page's address", |line| line.starts_with("status page: "));
    let port = page.trim_end_matches('/').rsplit(':').next().unwrap().parse().unwrap();
    let url = server.url("live");
    let input = format!("file:{}", footage.display());
    let send = ["send", "--input", &input, "--loop", "--encoder", "libx265", "--qp", "20", "--stats", "json"];
    let mut sender = start(&[&send[..], &["--to", &url]].concat());
    let receiver = start(&["receive", &url, "--wait", "--once", "--stats", "json"]);

    let line = server.process.stderr.expect("the recording's end", |line| line.contains("the recording has ended"));
    assert!(line.contains("No space left on device") && line.contains("the stream goes on"), "{line}");
    let trouble = wait_for("the trouble", || {
        let status = get(port, "/api/v1/status");
        let status = figures(status.split_once("\r\n\r\n").map_or("", |(_, body)| body));
        status["streams"][0]["recording"]["trouble"].as_str().map(str::to_owned)
    });
    assert!(trouble.contains("No space left on device"), "{trouble}");

    // The disk of the namespace is accessed through /proc of the process. Its files are readable.
    let disk = PathBuf::from(format!("/proc/{}/root{}/live", server.process.id(), place.display()));
    let files = files_in(&disk);
    assert_eq!(files.len(), 1, "{files:?}");
    let kept = folder.file("kept.mp4");
    std::fs::copy(&files[0], &kept).unwrap();
    let pictures = probed(&kept);
    assert!(pictures > 0, "{trouble}");

    // With free space and after a reload it records again, into Matroska this time, until the disk is full again.
    std::fs::remove_file(&files[0]).unwrap();
    std::fs::write(&config, text("mkv")).unwrap();
    server.process.hang_up();
    server.process.stderr.expect("the next one's end", |line| line.contains("the recording has ended"));
    let files = files_in(&disk);
    assert!(files.len() == 1 && files[0].extension().is_some_and(|extension| extension == "mkv"), "{files:?}");
    let kept = folder.file("kept.mkv");
    std::fs::copy(&files[0], &kept).unwrap();
    assert!(probed(&kept) > 0);

    expect_figures(&mut sender, "pictures after that", |f| f["frames"]["sent"].as_u64() >= Some(25));
    expect_figures(&mut sender, "and on", |f| f["frames"]["sent"].as_u64() >= Some(25));
    let (sent, received) = (summary(&sender.interrupt().0), summary(&receiver.wait()));
    assert_eq!(count(&sent, "/frames/dropped/coded"), 0, "{sent}");
    assert_eq!(count(&received, "/pictures/damaged") + count(&received, "/rtp_gaps"), 0, "{received}");
    server.process.terminate().succeeded();
    say(&format!("a disk of 256 KiB holds {pictures} pictures, and nothing broken"));
}

#[test]
fn a_reload_begins_and_ends_recordings_while_the_stream_is_live() {
    if !has_peer("ffprobe", "recordings begin and end") {
        return;
    }
    let _real_time = real_time_shared();
    let folder = Scratch::new();
    let (config, live) = (folder.file("hevcast.toml"), folder.file("recordings/live"));
    let configure = |paths: &str| std::fs::write(&config, format!("[record]\npaths = [{paths}]\n")).unwrap();
    configure("");
    let mut server = serve(&config);
    let mut sender = send_pattern(&server.url("live"), &["--stats", "json"]);
    expect_figures(&mut sender, "a second of pictures", |f| f["frames"]["sent"].as_u64() > Some(0));
    assert!(!live.exists(), "nothing is to be recorded yet");

    configure("\"live\"");
    server.process.hang_up();
    // The file is larger than a header once its first fragment is written.
    wait_for("a recording", || files_in(&live).first()?.metadata().ok().filter(|file| file.len() > 4096));
    configure("");
    server.process.hang_up();
    server.process.stderr.expect("its end", |line| line.contains(" pictures to "));

    configure("\"live\"");
    server.process.hang_up();
    wait_for("another", || files_in(&live).get(1)?.metadata().ok().filter(|file| file.len() > 4096));
    // Ended like at a shutdown of the system, so that the file is complete.
    let exit = server.process.terminate().succeeded();
    let found = recorded(&exit);
    assert_eq!(found.len(), 2, "{:?}", exit.stderr);
    for (pictures, file) in found {
        assert!(pictures > 0);
        let name = file.file_name().unwrap();
        assert_eq!(probed(&live.join(name)), pictures, "{}", file.display());
    }
    sender.interrupt();
}

#[test]
fn a_foreign_stream_with_reordered_pictures_is_recorded_picture_by_picture() {
    if !has_peer("ffmpeg", "pictures are reordered") || !has_peer("ffprobe", "pictures are reordered") {
        return;
    }
    let _real_time = real_time_shared();
    for format in ["mp4", "mkv"] {
        let folder = Scratch::new();
        let config = folder.file("hevcast.toml");
        let text = format!("[record]\npaths = [\"*\"]\nsegment_minutes = 0.02\nformat = \"{format}\"\n");
        std::fs::write(&config, text).unwrap();
        let server = serve(&config);
        let url = server.url("live");
        // FFmpeg's default encoding, except for closed groups of pictures.
        let parameters = "log-level=none:keyint=25:bframes=4:b-adapt=0:open-gop=0";
        let codec = ["-pix_fmt", "yuv420p", "-c:v", "libx265", "-preset", "veryfast", "-x265-params", parameters];
        let input = ["-re", "-f", "lavfi", "-i", "testsrc=size=320x240:rate=25", "-frames:v", "100"];
        let output = ["-f", "rtsp", "-rtsp_transport", "tcp", &url];
        let publishing = &mut ffmpeg(&[&input[..], &codec, &output].concat());
        Process::start("ffmpeg", publishing).wait().succeeded();
        server.process.terminate().succeeded();

        let segments = files_in(&folder.file("recordings/live"));
        assert!(segments.len() >= 2, "{segments:?}");
        let mut found = 0;
        for segment in &segments {
            found += probed(segment);
            let mut times = shown_at(segment);
            assert!(!times.is_sorted_by(|a, b| a <= b), "{} is in another order", segment.display());
            times.sort_by(f64::total_cmp);
            let even = times.windows(2).all(|pair| (pair[1] - pair[0] - 0.04).abs() < 0.002);
            assert!(even, "{}: {times:?}", segment.display());
        }
        assert_eq!(found, 100, "{segments:?}");
    }
}

/// The presentation times of a file's pictures, in seconds, in decoding order.
fn shown_at(file: &Path) -> Vec<f64> {
    let arguments = ["-v", "error", "-show_entries", "packet=pts_time", "-of", "csv=p=0"];
    let output = Command::new("ffprobe").args(arguments).arg(file).stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| line.trim_end_matches(',').parse().unwrap_or_else(|_| panic!("{line:?}"))).collect()
}
