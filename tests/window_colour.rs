//! The pixels on the display have the colours of the source, for both colour matrices and both ranges.

use std::process::Stdio;

use crate::support::footage::ffmpeg;
use crate::support::hevcast::{Server, command, wait_until_sending};
use crate::support::process::Process;
use crate::support::window::Window;
use crate::support::{Scratch, has_peer, real_time};

/// Four bars, as 8-bit luma, Cb and Cr: reddish, greenish, bluish, grey. The values are within the limited range, and
/// are different colours in each of the four cases.
const BARS: [[u8; 3]; 4] = [[90, 100, 190], [150, 70, 60], [70, 190, 110], [128, 128, 128]];
/// The width of a bar and the height of the picture, in pixels.
const BAR: (usize, usize) = (80, 240);
/// How far an RGB value may be off, by rounding and by coding at a very low QP.
const TOLERANCE: i32 = 4;

/// Red, green and blue of a sample, by the equations of the standards (BT.601-7 section 2.5.1, BT.709-6 section 3.2).
fn expected([y, cb, cr]: [u8; 3], is_bt709: bool, is_full: bool) -> [i32; 3] {
    let (kr, kb) = if is_bt709 { (0.2126, 0.0722) } else { (0.299, 0.114) };
    let (black, luma, chroma) = if is_full { (0.0, 255.0, 255.0) } else { (16.0, 219.0, 224.0) };
    let y = (f64::from(y) - black) / luma;
    let (cb, cr) = ((f64::from(cb) - 128.0) / chroma, (f64::from(cr) - 128.0) / chroma);
    let red = y + 2.0 * (1.0 - kr) * cr;
    let blue = y + 2.0 * (1.0 - kb) * cb;
    let green = (y - kr * red - kb * blue) / (1.0 - kr - kb);
    [red, green, blue].map(|value| (value * 255.0).round().clamp(0.0, 255.0) as i32)
}

/// The bars as one picture in planar 4:2:0.
fn bars() -> Vec<u8> {
    let mut picture = Vec::new();
    for (plane, divisor) in [(0, 1), (1, 2), (2, 2)] {
        for _ in 0..BAR.1 / divisor {
            for bar in BARS {
                picture.extend(std::iter::repeat_n(bar[plane], BAR.0 / divisor));
            }
        }
    }
    picture
}

/// Encodes the bars losslessly as a video that is marked with this matrix and range.
fn video(folder: &Scratch, is_bt709: bool, is_full: bool) -> std::path::PathBuf {
    let (raw, path) = (folder.file("bars.yuv"), folder.file("bars.mkv"));
    std::fs::write(&raw, bars().repeat(10)).unwrap();
    let matrix = if is_bt709 { "bt709" } else { "smpte170m" };
    let range = if is_full { "pc" } else { "tv" };
    let size = format!("{}x{}", BAR.0 * BARS.len(), BAR.1);
    let input = ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", &size, "-r", "10", "-i", raw.to_str().unwrap()];
    let marks = ["-colorspace", matrix, "-color_primaries", matrix, "-color_trc", matrix, "-color_range", range];
    let codec = ["-c:v", "libx264", "-qp", "0", "-preset", "ultrafast", "-pix_fmt", "yuv420p", path.to_str().unwrap()];
    let status = ffmpeg(&[&input[..], &marks, &codec].concat()).stdin(Stdio::null()).status().unwrap();
    assert!(status.success(), "ffmpeg cannot write the bars");
    path
}

#[test]
fn both_matrices_and_both_ranges_are_shown_in_their_colours() {
    if !has_peer("Xvfb", "colours on the display") || !has_peer("ffmpeg", "colours on the display") {
        return;
    }
    let _real_time = real_time();
    let server = Server::start();
    for (is_bt709, is_full) in [(false, false), (false, true), (true, false), (true, true)] {
        let folder = Scratch::new();
        let file = video(&folder, is_bt709, is_full);
        let url = server.url(&format!("colour-{is_bt709}-{is_full}"));
        let input = format!("file:{}", file.display());
        let arguments = ["send", "--input", &input, "--loop", "--qp", "4", "--encoder", "libx265", "--to", &url];
        let mut sender = Process::start("send", &mut command(&arguments));
        wait_until_sending(&mut sender, false);
        let mut window = Window::open(&["receive", &url]);
        window.expect_value("Picture", "live");
        let sky = window.sky();
        window.wait_for_pixels(sky, "coloured", |pixels| pixels.iter().flatten().any(|&value| value > 60));
        // The picture is as wide as its area, so that each bar is a quarter of it.
        let area = window.find("Picture").unwrap().area();
        let pixels = window.display.pixels(area);
        for (n, bar) in BARS.into_iter().enumerate() {
            let x = usize::from(area.width) * (2 * n + 1) / 8;
            let shown = pixels[usize::from(area.height / 2) * usize::from(area.width) + x].map(i32::from);
            let due = expected(bar, is_bt709, is_full);
            let is_close = shown.iter().zip(due).all(|(shown, due)| (shown - due).abs() <= TOLERANCE);
            assert!(is_close, "BT.709 {is_bt709}, full range {is_full}, bar {n}: {shown:?} instead of {due:?}");
        }
        window.close();
        sender.interrupt().0.succeeded();
    }
}
