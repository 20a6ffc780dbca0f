//! Input files of unusual kinds: rotated, with non-square pixels, in HDR, with a changing size, with a cover picture.
//! What is sent is also recorded, and compared with what FFmpeg shows of the file.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::hevcast::{run, summary};
use crate::support::process::Exit;
use crate::support::{Scratch, has_peer, say};

/// The mean difference of 8-bit RGB values that coding may cause; a picture with a wrong rotation differs by about 60.
const ALIKE: f64 = 8.0;
/// The size to which both are scaled for the comparison.
const THUMB: (usize, usize) = (64, 64);

/// Makes a file with FFmpeg's test picture, which has no symmetry, encoded with these arguments.
fn make(folder: &Scratch, name: &str, arguments: &[&str]) -> PathBuf {
    let path = folder.file(name);
    let status = Command::new("ffmpeg").args(["-v", "error", "-y"]).args(arguments).arg(&path).status();
    assert!(status.is_ok_and(|status| status.success()), "ffmpeg cannot make {name}");
    path
}

/// Sends a file and records what is sent.
fn sent(folder: &Scratch, file: &Path) -> (Exit, PathBuf) {
    let record = folder.file(&format!("{}-sent.mp4", file.file_stem().unwrap().to_string_lossy()));
    let (input, target) = (format!("file:{}", file.display()), record.display().to_string());
    let arguments = [
        "send",
        "--encoder",
        "libx265",
        "--qp",
        "12",
        "--listen",
        "127.0.0.1:0",
        "--record",
        &target,
        "--input",
        &input,
    ];
    (run(&arguments), record)
}

/// The first picture as FFmpeg shows it: rotated as the file says, and scaled down.
fn thumb(file: &Path) -> Vec<u8> {
    let filter = format!("scale={}:{}:flags=area,format=rgb24", THUMB.0, THUMB.1);
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-i"]).arg(file).args(["-frames:v", "1", "-vf", &filter, "-f", "rawvideo", "-"]);
    ffmpeg.output().unwrap().stdout
}

/// The output of ffprobe for these entries of the video stream.
fn probe(file: &Path, entries: &str) -> String {
    let mut ffprobe = Command::new("ffprobe");
    ffprobe.args([
        "-v",
        "error",
        "-select_streams",
        "v:0",
        "-of",
        "csv=p=0",
        "-show_entries",
        &format!("stream={entries}"),
    ]);
    String::from_utf8(ffprobe.arg(file).output().unwrap().stdout).unwrap().trim().trim_end_matches(',').to_owned()
}

fn assert_alike(name: &str, file: &Path, record: &Path) {
    let (expected, got) = (thumb(file), thumb(record));
    assert_eq!((expected.len(), got.len()), (THUMB.0 * THUMB.1 * 3, THUMB.0 * THUMB.1 * 3), "{name}");
    let sum: u64 = expected.iter().zip(&got).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    let difference = sum as f64 / expected.len() as f64;
    say(&format!("{name}: differs by {difference:.1} from what FFmpeg shows"));
    assert!(difference < ALIKE, "{name} differs by {difference}");
}

fn assert_said(name: &str, exit: &Exit, words: &str) {
    assert!(exit.stdout.iter().any(|line| line.contains(words)), "{name}: {words:?} is not said: {:?}", exit.stdout);
}

#[test]
fn files_are_sent_as_ffmpeg_shows_them() {
    if !has_peer("ffmpeg", "files") {
        return;
    }
    let folder = Scratch::new();
    let source = ["-f", "lavfi", "-i", "testsrc2=s=320x192:r=10:d=0.3"];
    let plain = make(&folder, "plain.mp4", &[&source[..], &["-c:v", "libx264", "-pix_fmt", "yuv420p"]].concat());
    let plain = plain.display().to_string();

    for (degrees, size) in [("90", "192,320"), ("180", "320,192"), ("270", "192,320")] {
        // FFmpeg before version 6 sets the rotation like this; later versions ignore it and use `-display_rotation`.
        let name = format!("turned{degrees}.mp4");
        let old = format!("rotate={degrees}");
        let mut file = make(&folder, &name, &["-i", &plain, "-c", "copy", "-metadata:s:v:0", &old]);
        if !probe_all(&file).contains("rotation") {
            file = make(&folder, &name, &["-display_rotation", degrees, "-i", &plain, "-c", "copy"]);
        }
        let (exit, record) = sent(&folder, &file);
        let exit = exit.succeeded();
        assert_eq!(probe(&record, "width,height"), size, "{name}");
        assert_said(&name, &exit, "as the file says");
        assert_alike(&name, &file, &record);
    }

    for (aspect, size) in [("64/45", "456,192"), ("8/9", "320,216")] {
        let filter = format!("setsar={aspect}");
        let coder = ["-vf", &filter, "-c:v", "libx264", "-pix_fmt", "yuv420p"];
        let file = make(&folder, &format!("oblong{}.mkv", &aspect[..1]), &[&source[..], &coder].concat());
        let (exit, record) = sent(&folder, &file);
        assert_eq!(probe(&record, "width,height"), size, "{aspect}");
        assert_said(aspect, &exit.succeeded(), "oblong pixels made square");
        assert_alike(aspect, &file, &record);
    }

    for (name, transfer) in [("pq.mp4", "smpte2084"), ("hlg.mp4", "arib-std-b67")] {
        let params = format!("log-level=error:colorprim=bt2020:colormatrix=bt2020nc:transfer={transfer}");
        let coder = ["-vf", "scale=out_color_matrix=bt2020", "-pix_fmt", "yuv420p10le", "-c:v", "libx265"];
        let colour = ["-x265-params", &params, "-color_primaries", "bt2020", "-colorspace", "bt2020nc"];
        let file = make(&folder, name, &[&source[..], &coder, &colour, &["-color_trc", transfer]].concat());
        let (exit, record) = sent(&folder, &file);
        assert_said(name, &exit.succeeded(), "HDR (");
        let said = probe(&record, "color_space,color_transfer,color_primaries");
        assert_eq!(said, format!("bt2020nc,{transfer},bt2020"), "{name}");
        assert_alike(name, &file, &record);
    }

    let cover = make(&folder, "cover.jpg", &[&source[..], &["-frames:v", "1"]].concat()).display().to_string();
    let sound = ["-f", "lavfi", "-i", "sine=d=0.5", "-i", &cover, "-map", "0", "-map", "1", "-c:v", "copy"];
    let song = make(&folder, "song.m4a", &[&sound[..], &["-disposition:v", "attached_pic"]].concat());
    let (exit, _) = sent(&folder, &song);
    assert_eq!(exit.stderr.len(), 1, "{:?}", exit.stderr);
    assert!(exit.stderr[0].contains("it holds no video (a cover does not count)"), "{:?}", exit.stderr);
}

/// Everything that ffprobe prints about a file's video stream.
fn probe_all(file: &Path) -> String {
    let mut ffprobe = Command::new("ffprobe");
    ffprobe.args(["-v", "error", "-select_streams", "v:0", "-show_streams"]).arg(file);
    String::from_utf8(ffprobe.output().unwrap().stdout).unwrap()
}

#[test]
fn a_file_whose_size_changes_goes_on_in_the_new_one() {
    if !has_peer("ffmpeg", "a size that changes") {
        return;
    }
    let folder = Scratch::new();
    let coder = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-f", "mpegts"];
    let mut both = Vec::new();
    for (name, size, offset) in [("small.ts", "320x240", "0"), ("wide.ts", "640x360", "1")] {
        let source = format!("testsrc2=s={size}:r=10:d=1");
        let first = ["-f", "lavfi", "-i", &source, "-output_ts_offset", offset];
        both.extend(std::fs::read(make(&folder, name, &[&first[..], &coder].concat())).unwrap());
    }
    let file = folder.file("both.ts");
    std::fs::write(&file, both).unwrap();
    let input = format!("file:{}", file.display());
    let arguments = ["send", "--encoder", "libx265", "--listen", "127.0.0.1:0", "--stats", "json", "--input", &input];
    let exit = run(&arguments).succeeded();
    let said = exit.stderr.iter().any(|line| line.contains("pictures of 640x360 from now on"));
    assert!(said, "{:?}", exit.stderr);
    let last = summary(&exit);
    assert_eq!(last["frames"]["encoded"], 20, "{last}");
    assert_eq!(last["frames"]["keyframes"], 2, "the new size begins with a keyframe: {last}");
}
