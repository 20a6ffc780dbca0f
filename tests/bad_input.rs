//! Errors are one line that says what is wrong and what to do, with exit status 2 for an invalid command line and 1
//! otherwise.

use std::net::TcpListener;

use crate::support::Scratch;
use crate::support::hevcast::{Server, run, send_pattern};
use crate::support::process::Exit;

/// A port on which nothing listens: one that the test has just closed.
pub fn dead_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Fails unless the program ended with `status` and exactly one line on standard error with all of `words` in it.
pub fn assert_one_line(case: &str, exit: &Exit, status: i32, words: &[&str]) {
    let said = exit.stderr.join("\n");
    assert_eq!(exit.status.code(), Some(status), "{case}: another status than expected; it said:\n{said}");
    assert_eq!(exit.stderr.len(), 1, "{case}: not one line but:\n{said}");
    assert!(said.starts_with("hevcast: "), "{case}: the line does not say who speaks: {said}");
    for word in words {
        assert!(said.contains(word), "{case}: no {word:?} in: {said}");
    }
    for word in ["panicked", "backtrace", "RUST_BACKTRACE", "src/", "Error {", "Some("] {
        assert!(!said.contains(word), "{case}: {word:?} is an internal detail in the output: {said}");
    }
}

#[test]
fn a_command_line_that_makes_no_sense() {
    let to = ["--to", "rtsp://127.0.0.1:1/x"];
    let pin = "ab".repeat(32);
    let cases: [(&[&str], &[&str]); 22] = [
        (&["receive", "rtsp://127.0.0.1:1/x", "--pin", &pin], &["rtsp://127.0.0.1:1/x", "no certificate", "rtsps://"]),
        (&["send", "--to", "srt://127.0.0.1:1", "--pin", &pin], &["no certificate", "passphrase"]),
        (&["receive", "rtsp://me:12/Hidden@127.0.0.1/x"], &["rtsp://me:…@127.0.0.1/x", "%2F"]),
        (&["receive", "me:Hidden@127.0.0.1/x"], &["me:…@127.0.0.1/x"]),
        (&["send", "rtsp://me:Hidden@127.0.0.1/x"], &["rtsp://me:…@127.0.0.1/x"]),
        (&["send", "--to=http://:Hidden@127.0.0.1/x"], &["http://:…@127.0.0.1/x", "rtsp://"]),
        (&["send", "--to", "http://127.0.0.1/x"], &["http://", "rtsp://"]),
        (&["send", "--to", "rtsp://127.0.0.1:8554"], &["path"]),
        (&["receive", "udp://127.0.0.1/x"], &["udp://", "rtsp://"]),
        (&["receive", "not a url"], &["URL", "rtsp://"]),
        (&["receive"], &["URL"]),
        (&["receive", "rtsp://127.0.0.1/x", "--output", "x.mp4"], &["y4m"]),
        (&["send", "--qp", "99", to[0], to[1]], &["99", "--qp", "51"]),
        (&["send", "--size", "0x0", to[0], to[1]], &["0x0", "--size", "1280x720"]),
        (&["send", "--qp", "20", "--crf", "23", to[0], to[1]], &["--qp", "--crf"]),
        (&["send", "--best-qp", "20", "--qp", "23", to[0], to[1]], &["--best-qp", "--qp"]),
        (&["send", "--bitrate", "fast", to[0], to[1]], &["--bitrate", "2M"]),
        (&["send", "--fps", "0", to[0], to[1]], &["--fps"]),
        (&["send", "--encoder", "h261", to[0], to[1]], &["h261", "libx265"]),
        (&["send", "--input", "television", to[0], to[1]], &["television", "camera", "file:PATH"]),
        (&["serve", "--listen", "nowhere"], &["--listen"]),
        (&["watch"], &["watch"]),
    ];
    for (arguments, words) in cases {
        let exit = run(arguments);
        assert_one_line(&arguments.join(" "), &exit, 2, words);
        assert!(!exit.stderr[0].contains("Hidden"), "a password is in the output: {}", exit.stderr[0]);
    }
}

#[test]
fn nobody_listens() {
    let url = format!("rtsp://127.0.0.1:{}/live", dead_port());
    let words = ["no connection", "127.0.0.1", "hevcast serve"];
    assert_one_line("receive", &run(&["receive", &url]), 1, &words);
    assert_one_line("send", &run(&["send", "--input", "pattern", "--encoder", "libx265", "--to", &url]), 1, &words);
}

/// A second of silence as a WAV file: media without video.
fn silence() -> Vec<u8> {
    let mut file =
        b"RIFF\x64\x1f\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data\x40\x1f\0\0".to_vec();
    file.resize(file.len() + 8000, 128);
    file
}

#[test]
fn files_that_are_no_video() {
    let folder = Scratch::new();
    let server = Server::start();
    let text = "bread, milk, a camera\n".repeat(100);
    let files: [(&str, Option<&[u8]>); 6] = [
        ("absent.mkv", None),
        ("empty.mp4", Some(b"")),
        ("zeros.mkv", Some(&[0; 10_000])),
        ("notes.mkv", Some(text.as_bytes())),
        ("notes.txt", Some(text.as_bytes())),
        ("silence.wav", Some(&silence())),
    ];
    let mut wrong = Vec::new();
    for (name, content) in files {
        let path = folder.file(name);
        if let Some(content) = content {
            std::fs::write(&path, content).unwrap();
        }
        let input = format!("file:{}", path.display());
        let exit = run(&["send", "--input", &input, "--encoder", "libx265", "--to", &server.url("live")]);
        if exit.status.success() {
            wrong.push((name, exit.stdout));
            continue;
        }
        assert_one_line(name, &exit, 1, &[name, "cannot be read as a video"]);
    }
    assert!(wrong.is_empty(), "these were sent as if they were videos: {wrong:#?}");
}

#[test]
fn things_that_cannot_be_had() {
    let server = Server::start();
    let url = server.url("live");
    let taken = format!("127.0.0.1:{}", server.port);
    let pattern = ["send", "--input", "pattern", "--to", &url];
    let cases: [(&str, Vec<&str>, &[&str]); 5] = [
        ("port taken", vec!["serve", "--listen", &taken], &["cannot listen", &taken, "--listen"]),
        ("port taken for send", vec!["send", "--input", "pattern", "--listen", &taken], &["cannot listen", "--listen"]),
        ("no such path", vec!["receive", &url], &["404", "live", "start the sender"]),
        ("no such preset", [&pattern[..], &["--encoder", "libx265", "--preset", "warp"]].concat(), &["warp"]),
        ("no such camera", vec!["send", "--input", "camera:/dev/video99", "--to", &url], &["camera"]),
    ];
    for (case, arguments, words) in cases {
        assert_one_line(case, &run(&arguments), 1, words);
    }
    let output = ["receive", &url, "--wait", "--output", "/nowhere/at/all.y4m"];
    assert_one_line("no such folder", &run(&output), 1, &["/nowhere/at/all.y4m"]);
}

#[test]
fn a_second_sender_on_a_live_path() {
    let server = Server::start();
    let url = server.url("live");
    let mut first = send_pattern(&url, &["--stats", "json"]);
    let exit = run(&["send", "--input", "pattern", "--encoder", "libx265", "--to", &url]);
    assert_one_line("second sender", &exit, 1, &["403", "another sender"]);
    let sends = |line: &str| line.contains(r#""kind":"second""#) && !line.contains(r#""sent":0,"#);
    first.stdout.expect("the first sender to go on", sends);
    first.interrupt().0.succeeded();
}
