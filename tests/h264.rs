//! H.264 at the receiver: from any sender, every picture is shown bit for bit as FFmpeg decodes it, recorded, and
//! relayed unchanged.

use std::path::{Path, PathBuf};

use crate::gstreamer::{has_elements, launch};
use crate::support::camera::{Camera, Codec, pictures_of};
use crate::support::footage::{decode, ffmpeg};
use crate::support::hevcast::{Server, expect_figures, run, start};
use crate::support::pictures::Clip;
use crate::support::process::Process;
use crate::support::{Scratch, has_peer, real_time, real_time_shared};

/// How many pictures each stream has.
pub const PICTURES: usize = 60;

/// A file with an x264 stream, and its pictures as FFmpeg decodes them.
pub struct Coded {
    pub folder: Scratch,
    pub stream: PathBuf,
    pub clip: Clip,
}

/// Encodes a stream with these options. `None` where FFmpeg is absent; then prints what is skipped.
pub fn coded(options: &[&str], scenario: &str) -> Option<Coded> {
    has_peer("ffmpeg", scenario).then(|| {
        let folder = Scratch::new();
        let stream = folder.file("coded.264");
        let (count, output) = (PICTURES.to_string(), stream.to_str().unwrap());
        let source = ["-f", "lavfi", "-i", "testsrc2=size=322x182:rate=20", "-frames:v", &count, "-pix_fmt", "yuv420p"];
        let codec = ["-c:v", "libx264", "-preset", "veryfast", "-g", "20", "-f", "h264"];
        let status = ffmpeg(&[&source[..], &codec, options, &[output]].concat()).status().unwrap();
        assert!(status.success(), "ffmpeg does not code H.264: {status}");
        let clip = decode(&stream);
        assert_eq!(clip.len(), PICTURES);
        Coded { folder, stream, clip }
    })
}

/// Fails unless the received pictures are the source's from index `first` to the last, sample for sample.
pub fn assert_same(received: &Clip, source: &Clip, first: usize) {
    assert_eq!((received.width, received.height), (source.width, source.height));
    assert_eq!(received.len(), source.len() - first, "pictures from {first} on");
    for (index, (own, other)) in received.luma.iter().zip(&source.luma[first..]).enumerate() {
        assert!(own == other, "picture {index} of {} differs", received.len());
    }
}

/// Publishes an H.264 file without encoding it again, in real time.
fn publish(stream: &Path, url: &str) -> Process {
    let input = ["-re", "-r", "20", "-i", stream.to_str().unwrap(), "-c", "copy"];
    Process::start("ffmpeg", &mut ffmpeg(&[&input[..], &["-f", "rtsp", "-rtsp_transport", "tcp", url]].concat()))
}

#[test]
fn ffmpeg_publishes_h264_and_we_show_and_record_it() {
    let Some(coded) = coded(&["-bf", "0"], "FFmpeg publishes H.264") else { return };
    let _real_time = real_time_shared();
    let (shown, recorded) = (coded.folder.file("shown.y4m"), coded.folder.file("recorded.mp4"));
    let server = Server::start();
    let url = server.url("cam");
    let into = ["--output", shown.to_str().unwrap(), "--record", recorded.to_str().unwrap()];
    let receiver = start(&[&["receive", &url, "--wait", "--once"], &into[..]].concat());
    publish(&coded.stream, &url).wait().succeeded();
    receiver.wait().succeeded();
    assert_same(&Clip::read_y4m(&shown), &coded.clip, 0);
    assert_same(&decode(&recorded), &coded.clip, 0);
    // The recording can be shown like any other file.
    let again = coded.folder.file("again.y4m");
    run(&["receive", recorded.to_str().unwrap(), "--output", again.to_str().unwrap()]).succeeded();
    assert_same(&Clip::read_y4m(&again), &coded.clip, 0);
}

#[test]
fn gstreamer_publishes_h264_and_we_show_it() {
    let scenario = "GStreamer publishes H.264";
    let Some(coded) = coded(&["-tune", "zerolatency"], scenario) else { return };
    if !has_elements(&["rtspclientsink", "h264parse"], scenario) {
        return;
    }
    // Alone: on a busy computer GStreamer's sink gives up before its TEARDOWN is sent, and fails.
    let _real_time = real_time();
    let shown = coded.folder.file("shown.y4m");
    let server = Server::start();
    let url = server.url("gst");
    let receiver = start(&["receive", &url, "--wait", "--once", "--output", shown.to_str().unwrap()]);
    let pipeline = format!(
        "filesrc location={} ! h264parse config-interval=-1 ! video/x-h264,framerate=20/1 ! identity sync=true ! \
         rtspclientsink protocols=tcp location={url}",
        coded.stream.display()
    );
    launch(&pipeline).wait().succeeded();
    receiver.wait().succeeded();
    assert_same(&Clip::read_y4m(&shown), &coded.clip, 0);
}

#[test]
fn a_camera_that_codes_h264_is_shown_whatever_its_encoder_does() {
    for (name, options) in [
        ("several slices, no B-pictures", &["-bf", "0", "-x264-params", "slices=3"][..]),
        ("B-pictures", &["-bf", "2"][..]),
        ("baseline", &["-profile:v", "baseline", "-x264-params", "repeat-headers=1:aud=1"][..]),
    ] {
        let Some(coded) = coded(options, "a camera of H.264") else { return };
        let _real_time = real_time_shared();
        let footage = pictures_of(Codec::H264, &std::fs::read(&coded.stream).unwrap());
        assert_eq!(footage.len(), PICTURES, "{name}");
        let camera = Camera::of(Codec::H264, move |_, playing| playing.singly(&footage));
        let shown = coded.folder.file("shown.y4m");
        run(&["receive", &camera.url(), "--once", "--output", shown.to_str().unwrap()]).succeeded();
        assert_same(&Clip::read_y4m(&shown), &coded.clip, 0);
    }
}

#[test]
fn a_cameras_stream_is_passed_on_as_it_is() {
    let Some(coded) = coded(&["-bf", "0"], "a camera is passed on") else { return };
    let _real_time = real_time_shared();
    let footage = pictures_of(Codec::H264, &std::fs::read(&coded.stream).unwrap());
    let camera = Camera::of(Codec::H264, move |_, playing| {
        playing.singly(&footage);
        playing.wait_for_leave();
    });
    let server = Server::start();
    let url = server.url("gate");
    let (shown, kept) = (coded.folder.file("shown.y4m"), coded.folder.file("kept.mkv"));
    let into = ["--output", shown.to_str().unwrap(), "--record", kept.to_str().unwrap(), "--stats", "json"];
    let mut receiver = start(&[&["receive", &url, "--wait"], &into[..]].concat());
    let relay = start(&["send", "--input", &camera.url(), "--to", &url]);
    expect_figures(&mut receiver, "pictures stamped by the relay", |f| {
        f["pictures"]["shown"] != 0 && f["delay_ms"]["relayed"] == true
    });
    expect_figures(&mut receiver, "that the camera has sent all", |f| f["pictures"]["received"] == 0);
    relay.interrupt().0.succeeded();
    receiver.interrupt().0.succeeded();
    let clip = Clip::read_y4m(&shown);
    assert_same(&clip, &coded.clip, PICTURES - clip.len());
    assert!(clip.len() >= 20, "{} pictures: the last whole group at least", clip.len());
    assert_same(&decode(&kept), &coded.clip, PICTURES - clip.len());
}
