//! Several readers of one path, and several paths of one server, at the same time.

use crate::support::hevcast::{Server, count, expect_figures, send_pattern, start, summary};
use crate::support::raw::{Raw, frame};
use crate::support::real_time;

#[test]
fn five_readers_of_one_path_all_see_it() {
    let _real_time = real_time();
    let server = Server::start();
    let url = server.url("live");
    let sender = send_pattern(&url, &["--stats", "json"]);
    let mut readers: Vec<_> = (0..5).map(|_| start(&["receive", &url, "--once", "--stats", "json"])).collect();
    for reader in &mut readers {
        expect_figures(reader, "a second of pictures", |f| f["pictures"]["shown"].as_u64() >= Some(10));
    }
    let sent = summary(&sender.interrupt().0.succeeded());
    assert_eq!(count(&sent, "/frames/dropped/backlog"), 0, "readers must not hold the sender back: {sent}");
    for reader in readers {
        let received = summary(&reader.wait().succeeded());
        let faults = ["/pictures/damaged", "/rtp_gaps", "/reconnects"].map(|name| count(&received, name));
        assert_eq!(faults, [0, 0, 0], "{received}");
    }
}

#[test]
fn two_paths_do_not_mix() {
    let _real_time = real_time();
    let server = Server::start();
    let sizes = [("left", "160x120", [160, 120]), ("deep/er/right", "192x144", [192, 144])];
    let mut streams = Vec::new();
    for (path, size, pixels) in sizes {
        let url = server.url(path);
        let send = ["send", "--input", "pattern", "--size", size, "--fps", "10", "--encoder", "libx265", "--to", &url];
        let sender = start(&[&send[..], &["--stats", "json"]].concat());
        let receiver = start(&["receive", &url, "--wait", "--stats", "json"]);
        streams.push((sender, receiver, pixels));
    }
    for (_, receiver, pixels) in &mut streams {
        let live = expect_figures(receiver, "a second of pictures", |f| f["pictures"]["shown"].as_u64() >= Some(5));
        assert_eq!(live["size"], serde_json::json!(pixels), "a picture of the other path: {live}");
    }
    let (mut second, first) = (streams.pop().unwrap(), streams.pop().unwrap());
    first.0.interrupt().0.succeeded();
    expect_figures(&mut second.1, "the other path to go on", |f| f["pictures"]["shown"].as_u64() >= Some(5));
}

/// An empty receiver report (RFC 3550 section 6.4.2).
const REPORT: [u8; 8] = [0x80, 201, 0, 1, 0, 0, 0, 7];

#[test]
fn readers_that_talk_while_the_stream_ends_see_an_end_and_no_reset() {
    let server = Server::start();
    let reports = frame(1, &REPORT).repeat(1000);
    // Repeated, since it depends on timing whether unread input is left when the server closes.
    for _ in 0..20 {
        let mut publisher = Raw::connect(server.port);
        publisher.publish("live");
        let mut readers: Vec<Raw> = (0..4).map(|_| Raw::connect(server.port)).collect();
        readers.iter_mut().for_each(|reader| reader.read("live"));
        std::thread::scope(|scope| {
            let talk = |reader: &mut Raw| reader.send_until_end(&reports);
            let talking: Vec<_> = readers.iter_mut().map(|reader| scope.spawn(move || talk(reader))).collect();
            assert_eq!(publisher.status("TEARDOWN", "live", &[]), 200);
            talking.into_iter().for_each(|reader| reader.join().unwrap());
        });
    }
}
