//! Stream names in any language, as users and programs write them: one name is one stream in rights, recordings, the
//! status page and the log.

use crate::support::configured_server::{ConfiguredServer, LISTEN, LISTEN_HTTP};
use crate::support::footage::ffmpeg;
use crate::support::hevcast::{count, expect_figures, send_pattern, start, summary};
use crate::support::process::Process;
use crate::support::raw::Raw;
use crate::support::{has_peer, real_time_shared};

/// Percent-encodes everything except unreserved characters, with lower or upper case digits.
fn encoded(name: &str, capital: bool) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'/' => char::from(byte).to_string(),
        _ if capital => format!("%{byte:02X}"),
        _ => format!("%{byte:02x}"),
    };
    name.bytes().map(escape).collect()
}

#[test]
fn ffmpeg_publishes_and_reads_names_as_people_write_them() {
    if !has_peer("ffmpeg", "FFmpeg publishes names in Chinese") {
        return;
    }
    let _real_time = real_time_shared();
    for name in ["客厅", "live cam"] {
        let mut server = ConfiguredServer::start(LISTEN);
        let url = server.url("", name);
        let source = ["-re", "-f", "lavfi", "-i", "testsrc2=s=320x240:r=15", "-c:v", "libx265", "-preset", "ultrafast"];
        let to = ["-x265-params", "keyint=15:log-level=none", "-f", "rtsp", "-rtsp_transport", "tcp", &url];
        let publisher = Process::start("ffmpeg", &mut ffmpeg(&[&source[..], &to].concat()));
        let publishes = format!(": publishes {name} (");
        server.server.process.stderr.expect("the name in the log", |line| line.contains(&publishes));
        for written in [name.to_owned(), encoded(name, true), encoded(name, false)] {
            let url = server.url("", &written);
            let mut receiver = start(&["receive", &url, "--stats", "json"]);
            expect_figures(&mut receiver, "a live second", |f| f["state"] == "live" && f["pictures"]["shown"] != 0);
            receiver.interrupt().0.succeeded();
            let read = ["-rtsp_transport", "tcp", "-i", &url, "-frames:v", "3", "-f", "null", "-"];
            Process::start("ffmpeg", &mut ffmpeg(&read)).wait().succeeded();
        }
        drop(publisher);
    }
}

#[test]
fn a_sender_and_a_receiver_tell_the_name_as_it_is() {
    let _real_time = real_time_shared();
    let mut server = ConfiguredServer::start(LISTEN);
    let mut sender = send_pattern(&server.url("", "客厅"), &["--stats", "json"]);
    server.server.process.stderr.expect("the name in the log", |line| line.contains(": publishes 客厅 ("));
    expect_figures(&mut sender, "the name in figures", |f| f.to_string().contains("/客厅\""));
    let mut receiver = start(&["receive", &server.url("", "%e5%ae%a2%e5%8e%85"), "--stats", "json"]);
    expect_figures(&mut receiver, "a live second", |f| f["state"] == "live" && f["pictures"]["shown"] != 0);
    assert_eq!(count(&summary(&receiver.interrupt().0.succeeded()), "/reconnects"), 0);
    let absent = start(&["receive", &server.url("", "厨房")]).wait();
    assert!(absent.stderr.iter().any(|line| line.contains("/厨房 ")), "{:?}", absent.stderr);
}

#[test]
fn rights_and_figures_hold_however_a_name_is_written() {
    for (pattern, name) in [("客厅", "客厅"), ("%E5%AE%A2%E5%8E%85/*", "客厅/一楼 (1)"), ("café\\\"{x}", "café\"{x}")]
    {
        let anyone = format!("[anyone]\npublish = [\"{pattern}\"]\nread = [\"{pattern}\"]\n");
        let mut server = ConfiguredServer::start(&format!("{LISTEN}{anyone}{LISTEN_HTTP}"));
        let port = server.server.port;
        let mut publisher = Raw::connect(port);
        publisher.publish(&encoded(name, false));
        server
            .server
            .process
            .stderr
            .expect("the name in the log", |line| line.contains(&format!(": publishes {name} (")));
        for written in [name.to_owned(), encoded(name, true), encoded(name, false), format!("/{name}/?key=a b")] {
            assert_eq!(Raw::connect(port).status("DESCRIBE", &written, &[]), 200, "{written}");
        }
        for written in ["厨房", "客厅x", "%25E5%25AE%25A2", "LIVE"] {
            assert_eq!(Raw::connect(port).status("DESCRIBE", written, &[]), 401, "{written}");
        }
        let label = name.replace('"', "\\\"");
        server.wait_for_counter(&format!("hevcast_stream_publishers_total{{path=\"{label}\"}}"), 1);
        let status = server.get("/api/v1/status");
        assert!(status.contains(&format!("\"path\":\"{label}\"")), "{status}");
        let still = server.get(&format!("/api/v1/streams/{}/still.jpg", encoded(name, true)));
        assert!(still.contains("no picture yet"), "{still}");
    }
}

#[test]
fn an_invalid_name_is_refused_and_reported() {
    let mut server = ConfiguredServer::start(LISTEN);
    let mut raw = Raw::connect(server.server.port);
    let request = |url: &[u8]| [b"ANNOUNCE rtsp://me:s3cret@h/", url, b" RTSP/1.0\r\nCSeq: 7\r\n\r\n"].concat();
    for (url, word) in [
        (&b"caf\xe9"[..], "UTF-8"),
        (b"\xbf\xcd\xcc\xfc", "UTF-8"),
        (b"caf%E9", "UTF-8"),
        (b"%E5%AE", "UTF-8"),
        (b"a%00b", "U+0000"),
        (b"a%0d%0aX-Evil:%201", "U+000D"),
        (b"a\tb", "control"),
        ("\u{202e}gnp.exe".as_bytes(), "U+202E"),
        (b"a%2F..%2Fb", "segment"),
    ] {
        assert!(raw.send(&request(url)));
        let answer = raw.answer().expect("an answer");
        assert_eq!((answer.status, answer.value("CSeq")), (400, Some("7")), "{}", answer.header);
        let warning = server.server.process.stderr.expect(word, |line| line.contains("WARN") && line.contains(word));
        assert!(!warning.contains("s3cret") && !warning.contains('\u{202e}'), "{warning}");
    }
    raw.publish("still-here");
}
