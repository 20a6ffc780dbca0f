//! Recordings with file names of all kinds, at the end of the stream, and where no file can be made.

use std::path::Path;
use std::process::Stdio;

use crate::recording::probed;
use crate::support::footage::ffmpeg;
use crate::support::hevcast::{Server, expect_figures, is_other_program, run, send_pattern, start};
use crate::support::pictures::Clip;
use crate::support::{Scratch, has_peer, real_time_shared};

/// The command of a sender that sends two seconds of the pattern and records to `name`.
fn recorded(name: &str) -> crate::support::process::Exit {
    let pattern =
        ["send", "--headless", "--input", "pattern", "--size", "64x64", "--fps", "15", "--encoder", "libx265"];
    let record = format!("--record={name}");
    run(&[&pattern[..], &["--duration", "1s", "--listen", "127.0.0.1:0", &record]].concat())
}

#[test]
fn a_files_name_is_no_address() {
    if !has_peer("ffprobe", "recordings have odd names") {
        return;
    }
    let _real_time = real_time_shared();
    let folder = Scratch::new();
    let names = ["12:30:05+08:00.mp4", "pipe:1.mp4", "concat:a|b.mkv", "客厅 a%d.mkv"];
    let is_windows = is_other_program("send");
    for name in names {
        if is_windows && name.contains(':') {
            let exit = recorded(folder.file(name).to_str().unwrap());
            assert!(
                !exit.status.success() && exit.stderr.iter().any(|line| line.contains("on Windows")),
                "{:?}",
                exit.stderr
            );
            continue;
        }
        let file = folder.file(name);
        // The file's name alone, with the folder as the working directory.
        recorded(file.to_str().unwrap()).succeeded();
        assert!(probed(&folder.file(name)) > 0, "{name}");
        let shown = run(&["receive", file.to_str().unwrap(), "--headless", "--once"]);
        shown.succeeded();
        let input = format!("file:{}", file.display());
        let sent = ["send", "--headless", "--encoder", "libx265", "--listen", "127.0.0.1:0", "--input", &input];
        run(&sent).succeeded();
    }
}

#[test]
fn where_nothing_can_be_recorded_the_command_fails_before_it_begins() {
    let _real_time = real_time_shared();
    let exit = recorded("/nope/x.mp4");
    assert!(!exit.status.success(), "{:?}", exit.stderr);
    let said: Vec<&String> = exit.stderr.iter().filter(|line| line.contains("/nope/x.mp4")).collect();
    assert!(said.len() == 1 && said[0].contains("there is no folder /nope"), "{:?}", exit.stderr);
}

#[test]
fn two_receivers_with_one_name_make_two_files() {
    if !has_peer("ffprobe", "two receivers record under one name") {
        return;
    }
    let _real_time = real_time_shared();
    let folder = Scratch::new();
    let file = folder.file("lesson.mp4");
    let server = Server::start();
    let senders = ["1", "2"].map(|name| send_pattern(&server.url(name), &[]));
    let record = ["--record", file.to_str().unwrap(), "--stats", "json"];
    let mut receivers =
        ["1", "2"].map(|name| start(&[&["receive", "--headless", &server.url(name)][..], &record].concat()));
    for receiver in &mut receivers {
        for _ in 0..2 {
            expect_figures(receiver, "pictures", |f| f["pictures"]["shown"].as_u64() > Some(0));
        }
    }
    for receiver in receivers {
        receiver.interrupt().0.succeeded();
    }
    for sender in senders {
        sender.interrupt();
    }
    for name in ["lesson.mp4", "lesson-2.mp4"] {
        assert!(probed(&folder.file(name)) > 0, "{name}");
    }
}

#[test]
fn the_last_pictures_of_a_reordered_file_are_shown() {
    if !has_peer("ffmpeg", "a file ends in B-pictures") {
        return;
    }
    let folder = Scratch::new();
    let (file, shown) = (folder.file("b.mp4"), folder.file("shown.y4m"));
    let parameters = "log-level=none:keyint=20:bframes=4:b-adapt=0:b-pyramid=1";
    let codec = ["-pix_fmt", "yuv420p", "-c:v", "libx265", "-preset", "veryfast", "-x265-params", parameters];
    let input = ["-f", "lavfi", "-i", "testsrc=size=320x240:rate=25", "-frames:v", "33"];
    let made = ffmpeg(&[&input[..], &codec, &[file.to_str().unwrap()]].concat()).stdin(Stdio::null()).status();
    assert!(made.unwrap().success());
    run(&["receive", file.to_str().unwrap(), "--output", shown.to_str().unwrap()]).succeeded();
    assert_eq!(Clip::read_y4m(&shown).luma.len(), 33);
}

#[cfg(unix)]
#[test]
fn recordings_of_a_server_are_each_in_a_folder_of_its_own_and_not_for_everybody() {
    use std::os::unix::fs::PermissionsExt;
    if !has_peer("ffprobe", "paths have odd names") {
        return;
    }
    let _real_time = real_time_shared();
    let folder = Scratch::new();
    let config = folder.file("hevcast.toml");
    std::fs::write(&config, "[record]\npaths = [\"*\"]\n").unwrap();
    let server = Server::started(start(&["serve", "--listen", "127.0.0.1:0", "--config", config.to_str().unwrap()]));
    let paths = ["cam:1", "cam;1", "cam_1", "Cam_1"];
    let senders = paths.map(|path| send_pattern(&server.url(path), &["--stats", "json"]));
    for mut sender in senders {
        expect_figures(&mut sender, "a second of pictures", |f| f["frames"]["sent"].as_u64() > Some(0));
        sender.interrupt().0.succeeded();
    }
    let exit = server.process.interrupt().0.succeeded();
    let root = folder.file("recordings");
    let mut folders: Vec<_> = std::fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    assert_eq!(folders.len(), paths.len(), "{folders:?}");
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    for folder in &folders {
        let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files.len(), 1, "{files:?}");
        let said = format!("recorded {} pictures to ", probed(&files[0]));
        let name = files[0].file_name().unwrap().to_str().unwrap();
        let is_said = |line: &String| line.contains(&said) && line.contains(name);
        assert!(exit.stderr.iter().any(is_said), "{said}{name}: {:?}", exit.stderr);
        if is_other_program("serve") {
            // Windows has no modes: who may read a file is up to its folder.
            continue;
        }
        assert_eq!((mode(folder) & 0o027, mode(&files[0]) & 0o037), (0, 0), "{}", folder.display());
    }
}
