//! What was recorded is read back by FFmpeg's demuxer.

use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::FrameRate;
use crate::av::codec::{Output, Threads};
use crate::av::demux::Demuxer;
use crate::av::frame::Frame;
use crate::codec::{Encoder, EncoderChoice, EncoderSettings, RateControl};
use crate::picture::PictureFormat;
use crate::test_pictures::pattern;

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        Scratch(std::env::temp_dir().join(format!("hevcast-mux-{}-{name}", std::process::id())))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// What a file of these pictures holds.
fn pictures(parameter_sets: &[u8]) -> Recorded<'_> {
    Recorded { size: (320, 192), parameter_sets, reordered: 0, began: "2026-11-26T12:30:05.25Z" }
}

/// `count` coded pictures, a keyframe every five, and their parameter sets.
fn coded(count: u64) -> (Vec<crate::codec::Coded>, Vec<u8>) {
    let format = PictureFormat::limited(320, 192);
    let settings = EncoderSettings {
        format,
        frame_rate: FrameRate::whole(30),
        rate: RateControl::Qp(28),
        preset: None,
        x265_params: String::new(),
        keyframe_interval: Duration::from_millis(167),
        choice: EncoderChoice::Named("libx265".to_owned()),
    };
    let mut encoder = Encoder::open(&settings).unwrap().0;
    let sets = encoder.parameter_sets().iter().flat_map(|set| [&[0, 0, 0, 1], &set[..]].concat()).collect();
    let units = pattern(format, count).iter().map(|picture| encoder.encode(picture, false).unwrap()).collect();
    (units, sets)
}

/// Time stamps in ticks of the pictures that a file holds, each of them decoded.
fn read_back(path: &Path) -> Vec<u128> {
    let mut demuxer = Demuxer::open(path.to_str().unwrap(), None, &[]).unwrap();
    let mut decoder = demuxer.decoder(Threads::One).unwrap();
    let (mut packet, mut frame) = (Packet::empty().unwrap(), Frame::empty().unwrap());
    let mut stamps = Vec::new();
    while demuxer.read(&mut packet).unwrap() {
        decoder.send_packet(Some(&packet)).unwrap();
        while decoder.receive_frame(&mut frame).unwrap() == Output::Ready {
            let nanos = demuxer.time_since(frame.raw().pts, 0).as_nanos();
            stamps.push((nanos * TICKS_PER_SECOND as u128 + 500_000_000) / 1_000_000_000);
        }
    }
    decoder.send_packet(None).unwrap();
    while decoder.receive_frame(&mut frame).unwrap() == Output::Ready {
        stamps.push((demuxer.time_since(frame.raw().pts, 0).as_nanos() * 90_000 + 500_000_000) / 1_000_000_000);
    }
    stamps
}

#[test]
fn every_picture_is_in_the_file_at_its_time() {
    let file = Scratch::new("whole.mp4");
    let (units, sets) = coded(12);
    let mut recording = Recording::new(&file.0, &pictures(&sets)).unwrap();
    // A camera is never quite even.
    let ticks: Vec<i64> = (0..12).map(|n| n * 3000 + n % 3 * 100).collect();
    for (unit, ticks) in units.iter().zip(&ticks) {
        recording.write(&unit.data, *ticks, unit.keyframe).unwrap();
    }
    assert_eq!(recording.finish().unwrap(), 12);
    assert_eq!(read_back(&file.0), ticks.iter().map(|&ticks| ticks as u128).collect::<Vec<_>>());
}

#[test]
fn a_recording_that_breaks_off_keeps_all_but_its_last_fragment() {
    for name in ["broken.mp4", "broken.mkv"] {
        let file = Scratch::new(name);
        let (units, sets) = coded(12);
        let mut recording = Recording::new(&file.0, &pictures(&sets)).unwrap();
        for (n, unit) in (0..).zip(&units) {
            recording.write(&unit.data, n * 3000, unit.keyframe).unwrap();
        }
        // As a crash leaves it: nothing is written any more.
        std::mem::forget(recording);
        assert_eq!(read_back(&file.0).len(), 10, "{name}: keyframes are at 0, 5 and 10");
    }
}

#[test]
fn a_recording_that_breaks_off_at_once_keeps_its_first_picture_or_is_not_there() {
    for name in ["early.mp4", "early.mkv"] {
        for count in 1..4 {
            let file = Scratch::new(name);
            let (units, sets) = coded(count);
            let mut recording = Recording::new(&file.0, &pictures(&sets)).unwrap();
            for (n, unit) in (0..).zip(&units) {
                recording.write(&unit.data, n * 3000, unit.keyframe).unwrap();
            }
            std::mem::forget(recording);
            match count {
                1 => assert!(!file.0.exists(), "{name}"),
                _ => assert_eq!(read_back(&file.0).len(), 1, "{name}"),
            }
        }
    }
}

#[test]
fn a_file_that_cannot_be_made_is_named() {
    let (units, sets) = coded(1);
    let mut recording = Recording::new(Path::new("/nowhere/at/all.mp4"), &pictures(&sets)).unwrap();
    recording.write(&units[0].data, 0, true).unwrap();
    let error = recording.finish().unwrap_err();
    assert!(error.to_string().contains("/nowhere/at/all.mp4"), "{error}");
}

#[test]
fn a_name_with_another_ending_is_refused() {
    let (_, sets) = coded(1);
    let error = Recording::new(Path::new("/tmp/video.avi"), &pictures(&sets)).err().unwrap();
    assert!(error.to_string().contains("neither in .mp4 nor in .mkv"), "{error}");
}

#[test]
fn pictures_that_are_shown_in_another_order_keep_their_times() {
    for name in ["reordered.mp4", "reordered.mkv"] {
        let file = Scratch::new(name);
        let (units, sets) = coded(9);
        // The encoder does not reorder; the times say it had: what the file does with them is looked at.
        let ticks = [0, 4, 2, 1, 3, 8, 6, 5, 7].map(|n| n * 9000);
        let mut recording = Recording::new(&file.0, &Recorded { reordered: 2, ..pictures(&sets) }).unwrap();
        for (unit, ticks) in units.iter().zip(ticks) {
            recording.write(&unit.data, ticks, unit.keyframe).unwrap();
        }
        assert_eq!(recording.finish().unwrap(), 9);
        let mut demuxer = Demuxer::open(file.0.to_str().unwrap(), None, &[]).unwrap();
        let mut packet = Packet::empty().unwrap();
        let mut found = Vec::new();
        while demuxer.read(&mut packet).unwrap() {
            found.push(demuxer.rescaled(packet.stamp().unwrap(), TICKS_PER_SECOND));
        }
        let from = found[0];
        assert_eq!(found.iter().map(|at| at - from).collect::<Vec<_>>(), ticks, "{name}");
    }
}
