//! What real webcams do, behind Linux's real USB and UVC drivers in the small virtual machine of [`crate::camera_vm`]: JPEGs
//! without Huffman tables, cut off or empty ones, half the frame rate in the dark. ([`crate::camera_returns`] unplugs one.)
//!
//! The webcam stands still for two seconds before it is unplugged at the end, so that whatever it gave has arrived by then.
//! Then this sum must hold: pictures that the camera gave = pictures encoded + pictures counted as dropped, by cause. And
//! each picture that arrives at a receiver outside must be one of those that the camera has.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::camera_vm::{machine, said};
use crate::support::footage::{WEBCAM, ffmpeg, find};
use crate::support::hevcast::{Server, count, figures, start, summary};
use crate::support::pictures::{Clip, psnr};
use crate::support::process::Process;
use crate::support::{Scratch, free_port, has_peer, real_time_shared, root, say};

/// The script that runs in the virtual machine: `$1` is the program, `$2` the server. Stops the sender when the webcam is gone.
const INSIDE: &str = r#"
program=$1 server=$2
"$program" -v send --input camera --size 320x180 --fps 5 --encoder libx265 --preset ultrafast --to "$server/cam" \
  --stats json >/tmp/said 2>/tmp/trouble &
sender=$!
n=0
until grep -q "unplugged; waiting" /tmp/trouble || [ $((n += 1)) -gt 90 ]; do sleep 1; done
kill -INT $sender
wait $sender
status=$?
echo "BEGIN trouble"; cat /tmp/trouble; echo "END 0"
echo "BEGIN stream"; cat /tmp/said; echo "END $status"
"#;

/// From when on the webcam gives no pictures, and when it is unplugged, in seconds after the stream's beginning.
const END: [&str; 4] = ["--stall", "9", "--unplug", "11.5"];
/// Pictures that the webcam has; it gives them round and round.
const PICTURES: usize = 20;
/// The least luma PSNR of a picture that arrived and the camera's own, in dB: the encoder may have been coarse at its start.
const LEAST_DB: f64 = 30.0;
/// The least number of pictures that must be encoded: an emulated encoder takes some 300 ms for one, on a busy computer a second.
const LEAST_ENCODED: u64 = 3;

/// A tool in the folder of the virtual machine's script.
pub fn tool(name: &str) -> PathBuf {
    root().join("../shared/tools/camera-vm").join(name)
}

/// The webcam `usb-webcam`, which serves at a port.
pub struct Webcam {
    process: Process,
    /// Where it serves.
    pub port: u16,
    log: PathBuf,
}

impl Webcam {
    /// Starts one of 320x180 at five pictures a second that has the pictures of a file, and does what `habits` say. The log
    /// is kept in `folder`, which the virtual machine must see.
    pub fn start(pictures: &Path, habits: &[&str], folder: &Scratch) -> Webcam {
        let (port, log) = (free_port(), folder.file("webcam.log"));
        let mut command = Command::new(tool("usb-webcam"));
        command.arg("--mjpeg").arg(pictures).args(["--size", "320x180", "--port", &port.to_string()]).args(habits);
        let mut process = Process::start("usb-webcam", command.arg("--log").arg(&log));
        process.stderr.expect("it listens", |line| line.contains("on 127.0.0.1"));
        Webcam { process, port, log }
    }

    /// What it noted on each picture that it gave: `truncated`, `empty`, or nothing. It is gone then.
    pub fn end(self) -> Vec<String> {
        self.process.kill();
        let log = std::fs::read_to_string(&self.log).unwrap();
        log.lines().map(|line| line.split(' ').nth(3).unwrap_or_default().to_owned()).collect()
    }
}

/// The pictures that a summary of the sender accounts for: encoded, or dropped by whatever cause.
pub fn accounted_for(summary: &Value) -> u64 {
    let causes = ["driver", "damaged", "drained", "encoder_busy", "thinned", "backlog", "no_connection"];
    let dropped: u64 = causes.iter().map(|cause| count(summary, &format!("/frames/dropped/{cause}"))).sum();
    count(summary, "/frames/encoded") + dropped
}

/// JPEGs of natural footage as webcams send them: 4:2:2, with the usual Huffman tables.
fn jpegs(folder: &Scratch, scenario: &str) -> Option<PathBuf> {
    let footage = find(WEBCAM, scenario)?;
    let pictures = folder.file("pictures.mjpeg");
    let (from, to) = (footage.to_str().unwrap(), pictures.to_str().unwrap());
    let scaled = ["-i", from, "-vf", "fps=5,scale=320:180", "-frames:v", &PICTURES.to_string(), "-an"];
    let coded = ["-pix_fmt", "yuvj422p", "-c:v", "mjpeg", "-q:v", "3", "-huffman", "default", "-f", "mjpeg", to];
    assert!(ffmpeg(&[&scaled[..], &coded[..]].concat()).status().unwrap().success());
    Some(pictures)
}

/// What FFmpeg makes of them.
fn decoded(pictures: &Path, folder: &Scratch) -> Clip {
    let to = folder.file("pictures.y4m");
    let arguments = ["-i", pictures.to_str().unwrap(), "-pix_fmt", "yuvj420p", "-strict", "-1", to.to_str().unwrap()];
    assert!(ffmpeg(&arguments).status().unwrap().success());
    Clip::read_y4m(&to)
}

/// Cuts every `nth` picture of a file in its midst.
fn cut_every(nth: usize, pictures: &Path) {
    let bytes = std::fs::read(pictures).unwrap();
    let begins: Vec<usize> = (0..bytes.len() - 2).filter(|&at| bytes[at..at + 3] == [0xff, 0xd8, 0xff]).collect();
    assert_eq!(begins.len(), PICTURES);
    let ends = begins.iter().skip(1).copied().chain([bytes.len()]);
    let mut kept = Vec::new();
    for (index, (begin, end)) in begins.iter().copied().zip(ends).enumerate() {
        let end = if (index + 1) % nth == 0 { (begin + end) / 2 } else { end };
        kept.extend_from_slice(&bytes[begin..end]);
    }
    std::fs::write(pictures, kept).unwrap();
}

/// What came of a webcam with some habits.
struct Ran {
    /// The sender's figures: each second, then the summary.
    lines: Vec<Value>,
    /// What the webcam noted on each picture.
    notes: Vec<String>,
}

impl Ran {
    fn summary(&self) -> &Value {
        self.lines.iter().rfind(|figures| figures["kind"] == "summary").unwrap()
    }

    fn dropped(&self, cause: &str) -> u64 {
        count(self.summary(), &format!("/frames/dropped/{cause}"))
    }

    /// How many pictures the camera gave up to the last whole one: that the driver dropped a picture is seen at the next.
    fn given(&self) -> u64 {
        self.notes.iter().rposition(String::is_empty).map_or(0, |last| last as u64 + 1)
    }

    /// How many of these had a note.
    fn noted(&self, note: &str) -> u64 {
        self.notes[..self.given() as usize].iter().filter(|noted| *noted == note).count() as u64
    }
}

/// Sends from a webcam with these habits, changing its file before by `prepare`, and checks what must hold of all.
fn run(scenario: &str, habits: &[&str], prepare: impl Fn(&Path)) -> Option<Ran> {
    if !has_peer("python3", scenario) {
        return None;
    }
    let folder = Scratch::new();
    let pictures = jpegs(&folder, scenario)?;
    let machine = machine()?;
    let _real_time = real_time_shared();
    let source = decoded(&pictures, &folder);
    prepare(&pictures);
    let webcam = Webcam::start(&pictures, &[habits, &END].concat(), &machine.folder);
    let (server, output) = (Server::start(), folder.file("received.y4m"));
    let url = server.url("cam");
    let receive = ["receive", &url, "--wait", "--once", "--stats", "json", "--output", output.to_str().unwrap()];
    let receiver = start(&receive);
    let argument = format!("rtsp://10.0.2.2:{}", server.port);
    let exit = machine.run_with_webcam(INSIDE, &argument, webcam.port);
    let notes = webcam.end();

    let (trouble, _) = said(&exit, "trouble");
    let (lines, status) = said(&exit, "stream");
    assert_eq!(status, 0, "{scenario}: the sender failed: {lines:?} {trouble:#?}");
    let lines: Vec<Value> = lines.iter().map(|line| figures(line)).filter(|line| line.is_object()).collect();
    let ran = Ran { lines, notes };
    let sent = ran.summary();
    say(&format!("{scenario}: gave {}, {}, capture {}", ran.notes.len(), sent["frames"], sent["capture_ms"]));
    assert_eq!(accounted_for(sent), ran.given(), "{scenario}: pictures given and accounted for: {sent}");
    assert!(count(sent, "/frames/encoded") >= LEAST_ENCODED, "{scenario}: {sent} {trouble:#?}");
    assert!(sent["capture_ms"]["decode"].as_f64() > Some(0.0), "{scenario}: {sent}");
    assert!(sent["capture_ms"]["convert"].as_f64() > Some(0.0), "{scenario}: {sent}");

    let received = summary(&receiver.wait().succeeded());
    assert_eq!(count(&received, "/pictures/damaged"), 0, "{scenario}: {received}");
    let clip = Clip::read_y4m(&output);
    assert!(clip.len() > 0, "{scenario}: {} pictures arrived: {received}", clip.len());
    for (index, picture) in clip.luma.iter().enumerate() {
        let nearest = source.luma.iter().map(|own| psnr(picture, own)).fold(0.0, f64::max);
        assert!(nearest >= LEAST_DB, "{scenario}: picture {index} is none of the camera's: {nearest:.1} dB");
    }
    Some(ran)
}

#[test]
fn jpegs_without_huffman_tables_are_shown() {
    let Some(ran) = run("a webcam without Huffman tables", &["--no-huffman"], |_| {}) else { return };
    assert_eq!(ran.dropped("damaged"), 0, "{}", ran.summary());
}

#[test]
fn jpegs_that_are_cut_off_are_counted_and_not_shown() {
    // Of some the camera says so, and the driver drops them; of others it does not.
    let (told, silent) = ("6", 4);
    let ran = run("a webcam with cut-off pictures", &["--truncate", told], |pictures| cut_every(silent, pictures));
    let Some(ran) = ran else { return };
    assert!(ran.noted("truncated") >= 2 && ran.dropped("driver") >= ran.noted("truncated"), "{}", ran.summary());
    assert!(ran.dropped("damaged") >= 1, "{}", ran.summary());
}

#[test]
fn pictures_without_bytes_are_counted_and_the_others_shown() {
    let Some(ran) = run("a webcam with empty pictures", &["--empty", "5"], |_| {}) else { return };
    let lost = ran.dropped("driver") + ran.dropped("damaged");
    assert!(ran.noted("empty") >= 2 && lost >= ran.noted("empty"), "{}", ran.summary());
}

#[test]
fn half_the_frame_rate_in_the_dark_is_no_fault() {
    let Some(ran) = run("a webcam in the dark", &["--dark", "4"], |_| {}) else { return };
    assert_eq!(ran.dropped("damaged"), 0, "{}", ran.summary());
    assert_eq!(count(ran.summary(), "/source_returns"), 0, "it is slow, not away: {}", ran.summary());
    // Four seconds of five pictures, five of two and a half.
    let given = ran.notes.len();
    assert!((18..=42).contains(&given), "{given} pictures given: was it dark?");
}
