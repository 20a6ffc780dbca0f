//! A server that pulls streams from cameras (`[[source]]`): always, or only while somebody reads them.

use std::time::{Duration, Instant};

use crate::h264::{PICTURES, assert_same, coded};
use crate::support::camera::{Camera, Codec, Picture, pictures, pictures_of};
use crate::support::hevcast::{Server, expect_figures, start};
use crate::support::pictures::Clip;
use crate::support::{LIMIT, Scratch, has_peer, real_time_shared};

/// Starts a server with this source at the path `gate`.
fn server_with(folder: &Scratch, url: &str, on_demand: bool) -> Server {
    let config = folder.file("hevcast.toml");
    let text = format!("[[source]]\npath = \"gate\"\nurl = \"{url}\"\non_demand = {on_demand}\n");
    std::fs::write(&config, text).unwrap();
    Server::started(start(&["serve", "--listen", "127.0.0.1:0", "--config", config.to_str().unwrap()]))
}

/// A camera that sends these pictures once on each connection, and then nothing more.
fn camera(codec: Codec, footage: Vec<Picture>) -> Camera {
    Camera::of(codec, move |_, playing| {
        playing.singly(&footage);
        playing.wait_for_leave();
    })
}

#[test]
fn a_source_on_demand_is_pulled_while_somebody_reads_it_and_arrives_as_it_was_coded() {
    let Some(coded) = coded(&["-bf", "0"], "a source on demand") else { return };
    let _real_time = real_time_shared();
    let camera = camera(Codec::H264, pictures_of(Codec::H264, &std::fs::read(&coded.stream).unwrap()));
    let mut server = server_with(&coded.folder, &camera.url(), true);
    let shown = coded.folder.file("shown.y4m");
    assert_eq!(camera.connections(), 0, "nobody reads it yet");
    let into = ["--output", shown.to_str().unwrap(), "--stats", "json"];
    let mut receiver = start(&[&["receive", &server.url("gate")], &into[..]].concat());
    let live = expect_figures(&mut receiver, "pictures stamped by the server", |f| {
        f["pictures"]["shown"] != 0 && f["delay_ms"]["relayed"] == true
    });
    assert_eq!(live["delay_ms"]["timescale"], "server");
    expect_figures(&mut receiver, "that the camera has sent all", |f| f["pictures"]["received"] == 0);
    receiver.interrupt().0.succeeded();
    let clip = Clip::read_y4m(&shown);
    // The first picture began the server's publication, for which the reader had waited.
    assert!(clip.len() > PICTURES - 20, "{} of {PICTURES} pictures", clip.len());
    assert_same(&clip, &coded.clip, PICTURES - clip.len());
    assert_eq!((camera.connections(), camera.teardowns()), (1, 0));
    server.process.stderr.expect("that the source is left", |line| line.contains("nobody reads gate"));
    let left = Instant::now();
    while camera.teardowns() != 1 {
        assert!(left.elapsed() < LIMIT, "the camera's session was not ended");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_source_is_pulled_again_when_the_camera_comes_back() {
    if !has_peer("ffmpeg", "a source that comes back") {
        return;
    }
    let _real_time = real_time_shared();
    let (folder, footage) = (Scratch::new(), pictures(400));
    let camera = Camera::start(move |connection, playing| {
        playing.singly(&footage[..if connection == 0 { 60 } else { 400 }]);
    });
    let server = server_with(&folder, &camera.url(), false);
    let mut receiver = start(&["receive", &server.url("gate"), "--wait", "--stats", "json"]);
    expect_figures(&mut receiver, "a live second", |f| f["state"] == "live" && f["pictures"]["shown"] != 0);
    expect_figures(&mut receiver, "a live second of the camera's next connection", |f| {
        camera.connections() == 2 && f["state"] == "live" && f["pictures"]["shown"] != 0
    });
    let exit = receiver.interrupt().0.succeeded();
    let summary = crate::support::hevcast::summary(&exit);
    assert_eq!(summary["reconnects"], 0, "the reader stays while the camera is away");
    assert_eq!(summary["pictures"]["damaged"], 0);
}
