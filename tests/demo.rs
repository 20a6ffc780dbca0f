//! The demo: sender, server and receiver in one command, with a table of figures while it runs, and a picture file at
//! the end.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use crate::support::hevcast::run;
use crate::support::{Scratch, real_time};

/// Reads width, height and RGB samples of a PNG file.
fn read_png(path: &Path) -> (u32, u32, Vec<u8>) {
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut reader = png::Decoder::new(BufReader::new(file)).read_info().unwrap();
    let mut samples = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut samples).unwrap();
    assert_eq!((info.color_type, info.bit_depth), (png::ColorType::Rgb, png::BitDepth::Eight));
    (info.width, info.height, samples)
}

#[test]
fn a_demo_shows_figures_and_writes_a_picture() {
    let _real_time = real_time();
    let folder = Scratch::new();
    let picture = folder.file("picture.png");
    let arguments = ["demo", "--headless", "--input", "pattern", "--size", "640x360", "--duration", "3s", "--picture"];
    let exit = run(&[&arguments[..], &[picture.to_str().unwrap()]].concat()).succeeded();

    let (width, height, samples) = read_png(&picture);
    assert_eq!((width, height), (640, 360), "a picture of another size");
    let (least, most) = (samples.iter().min().unwrap(), samples.iter().max().unwrap());
    assert!(most - least > 100, "a picture without contrast: samples from {least} to {most}");

    let output = exit.stdout.join("\n");
    for word in ["compression", "sent fps", "bitrate", "QP", "delay", "throughput", "encoder: ", "picture.png"] {
        assert!(output.contains(word), "no {word:?} in:\n{output}");
    }
    let rows = exit.stdout.iter().filter(|line| line.contains(" | ") && line.contains(":1 ") && line.contains("bit/s"));
    assert!(rows.count() >= 2, "no row for each second in:\n{output}");
    assert!(output.contains('±'), "no delay with its bound in:\n{output}");
}

#[test]
fn a_picture_that_cannot_be_written_is_reported() {
    let _real_time = real_time();
    let arguments = ["demo", "--headless", "--input", "pattern", "--size", "160x120", "--duration", "1s"];
    let exit = run(&[&arguments[..], &["--picture", "/nowhere/at/all.png"]].concat());
    assert_eq!(exit.status.code(), Some(1), "{:?}", exit.stderr);
    let last = exit.stderr.last().map(String::as_str).unwrap_or_default();
    assert!(last.starts_with("hevcast: ") && last.contains("/nowhere/at/all.png"), "it said {last:?}");
}
