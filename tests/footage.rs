//! Natural footage through our own server: every picture arrives once, in order, with the quality that its QP should
//! give.

use std::path::Path;

use crate::support::footage::{Excerpt, ROAD, WEBCAM, decode, find};
use crate::support::hevcast::{self, Server, count, start, summary};
use crate::support::pictures::{Clip, Match as Found, assert_run, mean, psnr};
use crate::support::{Scratch, real_time, say};

/// The least luma PSNR of a picture at QP 23, in dB.
pub const LEAST_DB: f64 = 38.0;
/// How many pictures may be missed at the beginning: a receiver that waits for the stream tries again at least every
/// two seconds.
pub const JOINED_BY: usize = 75;

#[test]
fn a_webcams_whole_footage_arrives_picture_by_picture() {
    let Some(footage) = find(WEBCAM, "a webcam's footage") else { return };
    let _real_time = real_time();
    let folder = Scratch::new();
    let output = folder.file("received.y4m");
    let server = Server::start();
    let url = server.url("live");
    let receive = ["receive", &url, "--wait", "--once", "--stats", "json", "--output", output.to_str().unwrap()];
    let receiver = start(&receive);
    let input = format!("file:{}", footage.display());
    let sent = hevcast::run(&["send", "--input", &input, "--qp", "23", "--to", &url, "--stats", "json"]).succeeded();
    let received = receiver.wait().succeeded();

    let source = decode(&footage);
    let clip = Clip::read_y4m(&output);
    assert!(clip.header.contains("XCOLORRANGE=FULL"), "full range must stay so: {}", clip.header);
    let found = assert_run(&clip, &source, JOINED_BY, LEAST_DB);
    assert_eq!(found.missing_at_end, 0, "pictures at the end of {} are missing", source.len());
    for (index, (picture, own)) in clip.luma.iter().zip(&source.luma[found.first..]).enumerate() {
        let shift = mean(picture) - mean(own);
        assert!(shift.abs() < 0.5, "levels of picture {index} are off by {shift:.2}");
    }

    let (sent, received) = (summary(&sent), summary(&received));
    assert_eq!(count(&sent, "/frames/sent"), source.len() as u64, "{sent}");
    assert_eq!(count(&received, "/pictures/received"), clip.len() as u64, "{received}");
    assert_eq!(count(&received, "/pictures/shown"), clip.len() as u64, "{received}");
    let lost = ["/pictures/dropped", "/pictures/damaged", "/rtp_gaps"].map(|name| count(&received, name));
    assert_eq!(lost, [0, 0, 0], "{received}");
    let Found { first, least_db, .. } = found;
    say(&format!("footage: {} of {} pictures, joined at {first}, least {least_db:.1} dB", clip.len(), source.len()));
}

/// The pictures that a receiver writes when `footage` is sent with these arguments.
fn received(footage: &Path, how: &[&str]) -> Clip {
    let folder = Scratch::new();
    let output = folder.file("received.y4m");
    let server = Server::start();
    let url = server.url("live");
    let receiver = start(&["receive", &url, "--wait", "--once", "--output", output.to_str().unwrap()]);
    let input = format!("file:{}", footage.display());
    hevcast::run(&[&["send", "--input", &input, "--to", &url], how].concat()).succeeded();
    receiver.wait().succeeded();
    Clip::read_y4m(&output)
}

/// The footage has two scene changes within its first six seconds.
#[test]
fn by_default_a_cut_is_coarse_for_a_tenth_of_a_second() {
    let Some(footage) = find(WEBCAM, "a webcam's footage") else { return };
    let _real_time = real_time();
    let clip = received(&footage, &["--encoder", "libx265", "--duration", "6s"]);
    let source = decode(&footage);
    let Found { first, least_db, .. } = assert_run(&clip, &source, JOINED_BY, 36.0);
    let is_coarse: Vec<bool> = clip.luma.iter().zip(&source.luma[first..]).map(|(a, b)| psnr(a, b) < 42.0).collect();
    let runs: Vec<usize> = is_coarse.split(|coarse| !coarse).map(<[bool]>::len).filter(|&run| run > 0).collect();
    assert!((1..=2).contains(&runs.len()) && runs.iter().all(|&run| run <= 4), "coarse for {runs:?} pictures");
    say(&format!("footage with cuts: {} pictures, coarse for {runs:?}, least {least_db:.1} dB", clip.len()));
}

#[test]
fn a_file_with_sound_and_limited_range_streams_too() {
    let Some(footage) = find(ROAD, "road footage with sound") else { return };
    let _real_time = real_time();
    let clip = received(&footage, &["--qp", "22", "--duration", "5s"]);
    assert!(clip.header.contains("XCOLORRANGE=LIMITED"), "limited range must stay so: {}", clip.header);
    assert!(clip.len() > 20, "five seconds at 12.5 pictures a second brought only {}", clip.len());
    let mut source = decode(&footage);
    source.luma.truncate(90);
    assert_run(&clip, &source, JOINED_BY, 36.0);
}

#[test]
fn a_slow_encoder_loses_nothing_of_a_file() {
    let Some(excerpt) = Excerpt::cut(1, "a slow encoder") else { return };
    let _real_time = real_time();
    let server = Server::start();
    let input = format!("file:{}", excerpt.name());
    // The encoder is slower than real time, so that it is busy when the file ends.
    let slow = ["--encoder", "libx265", "--preset", "medium", "--size", "1280x720"];
    let send = ["send", "--input", &input, "--to", &server.url("slow"), "--stats", "json"];
    let sent = summary(&hevcast::run(&[&send[..], &slow].concat()).succeeded());
    let pictures = excerpt.clip.len() as u64;
    let counts = ["captured", "encoded", "sent"].map(|name| count(&sent, &format!("/frames/{name}")));
    assert_eq!(counts, [pictures; 3], "{sent}");
}
