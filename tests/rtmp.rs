//! Enhanced RTMP through nginx, which does not support H.265 itself: every picture arrives, with its capture time.

use crate::footage::{JOINED_BY, LEAST_DB};
use crate::support::footage::Excerpt;
use crate::support::hevcast::{command, count, number, start, summary, wait_until_sending};
use crate::support::nginx::Nginx;
use crate::support::pictures::{Clip, assert_run};
use crate::support::process::Process;
use crate::support::{Scratch, real_time_shared, say};

/// The length of the excerpts, in seconds: long enough for more than two of the sender's forced keyframes.
const SECONDS: u32 = 5;

/// Starts a sender of an H.265 file, and waits until the server has accepted it.
pub fn send(excerpt: &Excerpt, url: &str) -> Process {
    let input = format!("file:{}", excerpt.name());
    let send = ["send", "--input", &input, "--encoder", "libx265", "--qp", "23", "--to", url, "--stats", "json"];
    let mut sender = Process::start("send", &mut command(&send));
    wait_until_sending(&mut sender, true);
    sender
}

#[test]
fn every_picture_passes_through_nginx_with_its_capture_time() {
    let scenario = "RTMP through nginx";
    let Some(nginx) = Nginx::start(scenario) else { return };
    let Some(excerpt) = Excerpt::cut(SECONDS, scenario) else { return };
    let _real_time = real_time_shared();
    let folder = Scratch::new();
    let output = folder.file("received.y4m");
    let url = nginx.url("waiting", "cam?key=1");
    let mut receiver =
        start(&["receive", &url, "-v", "--once", "--stats", "json", "--output", output.to_str().unwrap()]);
    receiver.stderr.expect("the receiver's place", |line| line.contains("playing "));
    let sent = summary(&send(&excerpt, &url).wait().succeeded());
    let received = summary(&receiver.wait().succeeded());

    let clip = Clip::read_y4m(&output);
    assert!(clip.header.contains("XCOLORRANGE=FULL"), "full range must stay so: {}", clip.header);
    // A sender may skip its first pictures while its output connects; everything that it has sent must arrive.
    let found = assert_run(&clip, &excerpt.clip, 3, LEAST_DB);
    assert_eq!(found.missing_at_end, 0, "the last of {} pictures are missing", excerpt.clip.len());
    assert_eq!(count(&sent, "/frames/sent"), count(&received, "/pictures/received"), "{received}");
    assert_eq!(received["delay_ms"]["timescale"], "system_clocks", "{received}");
    say(&format!("{scenario}: median delay {:.1} ms", number(&received, "/delay_ms/median")));
}

#[test]
fn a_late_reader_begins_at_the_next_keyframe() {
    let scenario = "RTMP, joining late";
    let Some(nginx) = Nginx::start(scenario) else { return };
    let Some(excerpt) = Excerpt::cut(SECONDS, scenario) else { return };
    let _real_time = real_time_shared();
    let folder = Scratch::new();
    let output = folder.file("received.y4m");
    let url = nginx.url("live", "cam");
    let sender = send(&excerpt, &url);
    // At some time within the first two seconds, between keyframes.
    std::thread::sleep(std::time::Duration::from_millis(300));
    let receiver = start(&["receive", &url, "--once", "--output", output.to_str().unwrap()]);
    sender.wait().succeeded();
    receiver.wait().succeeded();
    let found = assert_run(&Clip::read_y4m(&output), &excerpt.clip, JOINED_BY, LEAST_DB);
    assert!(found.first > 0 && found.missing_at_end == 0, "began at {}", found.first);
}

#[test]
fn a_second_sender_gets_the_servers_reason() {
    let scenario = "RTMP, refused";
    let Some(nginx) = Nginx::start(scenario) else { return };
    let _real_time = real_time_shared();
    let url = nginx.url("live", "cam");
    let pattern = ["send", "--input", "pattern", "--size", "320x240", "--encoder", "libx265", "--to"];
    let mut first = start(&[&pattern[..], &[&url, "--stats", "json"]].concat());
    wait_until_sending(&mut first, true);
    let second = start(&[&pattern[..], &[&url]].concat()).wait();
    assert!(!second.status.success());
    let said = second.stderr.join("\n");
    assert!(said.contains("refused to publish: NetStream.Publish.BadName: Already publishing"), "{said}");
    // Nobody publishes this stream, and this application does not let readers wait.
    let reader = start(&["receive", &nginx.url("live", "nothing"), "--once"]).wait();
    let said = reader.stderr.join("\n");
    assert!(!reader.status.success() && said.contains("NetStream.Play.StreamNotFound"), "{said}");
    first.interrupt().0.succeeded();
}
