//! What was recorded is read back by FFmpeg's demuxer.

use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::FrameRate;
use crate::av::codec::{Output, Threads};
use crate::av::demux::Demuxer;
use crate::av::frame::Frame;
use crate::codec::{Encoder, EncoderChoice, EncoderOptions, EncoderSettings, Qp, RateControl};
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

/// A recording that makes this file.
fn recording(path: &Path, what: &Recorded<'_>) -> Recording {
    let (form, path) = (Form::of(path).unwrap(), path.to_owned());
    let make = move || {
        let made = File::create_new(&path);
        made.map(|_| path.clone()).map_err(|error| RecordError { path: path.clone(), why: error.to_string() })
    };
    Recording::new(form, Box::new(make), what)
}

/// What a file of these pictures holds.
fn pictures(parameter_sets: &ParameterSets) -> Recorded<'_> {
    Recorded { size: (320, 192), parameter_sets, reordered: 0, began: "2026-11-26T12:30:05.25Z" }
}

/// `count` coded pictures, a keyframe every five, and their parameter sets.
fn coded(count: u64) -> (Vec<CodedFrame>, ParameterSets) {
    let format = PictureFormat::limited(320, 192);
    let settings = EncoderSettings {
        format,
        frame_rate: FrameRate::whole(30),
        options: EncoderOptions {
            choice: EncoderChoice::Named("libx265".to_owned()),
            rate: RateControl::Qp(Qp::clamped(28)),
            keyframe_interval: Some(Duration::from_millis(167)),
            ..EncoderOptions::default()
        },
    };
    let mut encoder = Encoder::open(&settings).unwrap().0;
    let sets = encoder.parameter_sets().clone();
    let units = pattern(format, count).iter().map(|picture| encoder.encode(picture, false).unwrap()).collect();
    (units, sets)
}

/// Time stamps in ticks of the pictures that a file holds, each of them decoded.
fn read_back(path: &Path) -> Vec<u128> {
    let mut demuxer = Demuxer::open_file(path).unwrap();
    let mut decoder = demuxer.decoder(Threads::One).unwrap();
    let (mut packet, mut frame) = (Packet::empty().unwrap(), Frame::empty().unwrap());
    let mut stamps = Vec::new();
    while demuxer.read(&mut packet).unwrap() {
        decoder.send_packet(Some(&packet)).unwrap();
        while decoder.receive_frame(&mut frame).unwrap() == Output::Ready {
            let nanos = demuxer.time_since(frame.pts(), 0).as_nanos();
            stamps.push((nanos * TICKS_PER_SECOND as u128 + 500_000_000) / 1_000_000_000);
        }
    }
    decoder.send_packet(None).unwrap();
    while decoder.receive_frame(&mut frame).unwrap() == Output::Ready {
        stamps.push((demuxer.time_since(frame.pts(), 0).as_nanos() * 90_000 + 500_000_000) / 1_000_000_000);
    }
    stamps
}

#[test]
fn every_picture_is_in_the_file_at_its_time() {
    let file = Scratch::new("whole.mp4");
    let (units, sets) = coded(12);
    let mut recording = recording(&file.0, &pictures(&sets));
    // A camera is never quite even.
    let ticks: Vec<i64> = (0..12).map(|n| n * 3000 + n % 3 * 100).collect();
    for (unit, ticks) in units.iter().zip(&ticks) {
        recording.write(unit, *ticks).unwrap();
    }
    assert_eq!(recording.finish(), Finished { kept: 12, error: None });
    assert_eq!(read_back(&file.0), ticks.iter().map(|&ticks| ticks as u128).collect::<Vec<_>>());
}

#[test]
fn a_recording_that_breaks_off_keeps_all_but_its_last_fragment() {
    for name in ["broken.mp4", "broken.mkv"] {
        let file = Scratch::new(name);
        let (units, sets) = coded(12);
        let mut recording = recording(&file.0, &pictures(&sets));
        for (n, unit) in (0..).zip(&units) {
            recording.write(unit, n * 3000).unwrap();
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
            let mut recording = recording(&file.0, &pictures(&sets));
            for (n, unit) in (0..).zip(&units) {
                recording.write(unit, n * 3000).unwrap();
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
    let mut recording = recording(Path::new("/nowhere/at/all.mp4"), &pictures(&sets));
    recording.write(&units[0], 0).unwrap();
    let error = recording.finish().error.unwrap();
    assert!(error.to_string().contains("/nowhere/at/all.mp4"), "{error}");
}

#[test]
fn a_file_is_known_by_its_ending() {
    for (name, form) in [("a.mp4", Form::Mp4), ("12:30.MKV", Form::Matroska), ("http://x.mp4", Form::Mp4)] {
        assert_eq!(Form::of(Path::new(name)), Some(form), "{name}");
    }
    for name in ["video.avi", "mp4", ".mp4", "x.mp4.part", ""] {
        assert_eq!(Form::of(Path::new(name)), None, "{name}");
    }
}

#[test]
fn a_name_is_a_name_whatever_ffmpeg_would_make_of_it() {
    let folder = Scratch::new("names");
    std::fs::create_dir_all(&folder.0).unwrap();
    let (units, sets) = coded(3);
    let mut names: Vec<std::ffi::OsString> =
        ["12:30.mp4", "pipe:1.mkv", "http:x.mp4", "concat:a|b.mp4", "a%d.mkv", "-x.mp4"]
            .iter()
            .chain(&[
                "file:y.mp4",
                "data:,z.mkv",
                "客厅 ☎.mp4",
                "a\nb.mp4",
                "C:x.mp4",
                "*.mp4",
                "subfile,,start,0,end,9,,:q.mp4",
            ])
            .map(Into::into)
            .collect();
    #[cfg(unix)]
    names.push(std::os::unix::ffi::OsStringExt::from_vec(b"caf\xe9.mp4".to_vec()));
    for name in names {
        let file = folder.0.join(&name);
        let mut recording = recording(&file, &pictures(&sets));
        for (n, unit) in (0..).zip(&units) {
            recording.write(unit, n * 3000).unwrap();
        }
        assert_eq!(recording.finish(), Finished { kept: 3, error: None }, "{name:?}");
        assert_eq!(read_back(&file).len(), 3, "{name:?}");
        let mut coded = crate::coded_file::CodedFile::open(&file).unwrap();
        assert!(coded.read().unwrap().is_some(), "{name:?}");
    }
    std::fs::remove_dir_all(&folder.0).unwrap();
}

#[test]
fn what_is_kept_is_in_the_file_at_any_moment() {
    for name in ["kept.mp4", "kept.mkv"] {
        let (file, crashed) = (Scratch::new(name), Scratch::new(&format!("crashed-{name}")));
        let (units, sets) = coded(30);
        let mut recording = recording(&file.0, &pictures(&sets));
        for (n, unit) in (0..).zip(&units) {
            // Some fragments end with a keyframe, some with a second.
            recording.write(unit, n * 3000 + n / 7 * 50_000).unwrap();
            if std::fs::copy(&file.0, &crashed.0).is_ok() {
                assert!(read_back(&crashed.0).len() as u64 >= recording.kept, "{name} after picture {n}");
            } else {
                assert_eq!(recording.kept, 0, "{name}");
            }
        }
        assert!(recording.kept >= 25, "{name}: {}", recording.kept);
    }
}

#[test]
fn pictures_that_are_shown_in_another_order_keep_their_times() {
    for name in ["reordered.mp4", "reordered.mkv"] {
        let file = Scratch::new(name);
        let (units, sets) = coded(9);
        // The encoder does not reorder, but the times are those of a reordered stream, and the file must keep them.
        let ticks = [0, 4, 2, 1, 3, 8, 6, 5, 7].map(|n| n * 9000);
        let mut recording = recording(&file.0, &Recorded { reordered: 2, ..pictures(&sets) });
        for (unit, ticks) in units.iter().zip(ticks) {
            recording.write(unit, ticks).unwrap();
        }
        assert_eq!(recording.finish(), Finished { kept: 9, error: None });
        let mut demuxer = Demuxer::open_file(&file.0).unwrap();
        let mut packet = Packet::empty().unwrap();
        let mut found = Vec::new();
        while demuxer.read(&mut packet).unwrap() {
            found.push(demuxer.rescaled(packet.stamp().unwrap(), TICKS_PER_SECOND));
        }
        let from = found[0];
        assert_eq!(found.iter().map(|at| at - from).collect::<Vec<_>>(), ticks, "{name}");
    }
}
