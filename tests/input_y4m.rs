//! YUV4MPEG2 on standard input: pictures arrive in order with their content, and invalid headers are reported.
//!
//! A pipe is a live source, of which older pictures are skipped if they are late. So each picture is written only when
//! the one before has come out at the receiver: then none may be missing.

use std::io::Write;
use std::process::ChildStdin;

use crate::bad_input::assert_one_line;
use crate::support::hevcast::{Server, command, start, wait_until_sending};
use crate::support::pictures::Clip;
use crate::support::process::{Process, wait_for_bytes};
use crate::support::{Scratch, real_time_shared};

/// How many pictures are written in each scenario.
const PICTURES: u8 = 12;

/// The grey value of picture `index`, which differs enough from that of adjacent pictures to be recognised after
/// coding.
fn grey(index: u8) -> u8 {
    30 + index * 16
}

/// One picture of `width` x `height`: grey, with white beyond the largest even size.
pub fn picture(width: usize, height: usize, grey: u8) -> Vec<u8> {
    let mut bytes = b"FRAME\n".to_vec();
    for row in 0..height {
        let beyond = row >= height / 2 * 2;
        bytes.extend((0..width).map(|column| if beyond || column >= width / 2 * 2 { 235 } else { grey }));
    }
    bytes.resize(bytes.len() + 2 * width.div_ceil(2) * height.div_ceil(2), 128);
    bytes
}

/// Starts a sender that reads from the test, and writes the header.
pub fn fed_sender(url: &str, header: &str) -> (Process, ChildStdin) {
    let arguments = ["send", "--input", "y4m:-", "--encoder", "libx265", "--qp", "12", "--to", url];
    let (mut sender, mut feed) = Process::start_fed("send", &mut command(&arguments));
    feed.write_all(format!("{header}\n").as_bytes()).unwrap();
    wait_until_sending(&mut sender, false);
    (sender, feed)
}

/// Sends grey pictures of this size; returns the received pictures and the sender's output.
fn through(width: usize, height: usize) -> (Clip, Vec<String>) {
    let _real_time = real_time_shared();
    let folder = Scratch::new();
    let output = folder.file("received.y4m");
    let mut server = Server::start();
    let url = server.url("live");
    let (sender, mut feed) = fed_sender(&url, &format!("YUV4MPEG2 W{width} H{height} F20:1 Ip A1:1 C420jpeg"));
    let receiver = start(&["receive", &url, "--once", "--output", output.to_str().unwrap()]);
    server.wait_for_reader("live");
    let picture_bytes = (width / 2 * 2 * (height / 2 * 2) * 3 / 2 + b"FRAME\n".len()) as u64;
    for index in 0..PICTURES {
        feed.write_all(&picture(width, height, grey(index))).unwrap();
        wait_for_bytes(&output, picture_bytes * (u64::from(index) + 1));
    }
    drop(feed);
    let said = sender.wait().succeeded().stdout;
    receiver.wait().succeeded();
    (Clip::read_y4m(&output), said)
}

/// Fails unless every picture has arrived, with its grey value in all samples.
fn assert_greys(clip: &Clip) {
    assert_eq!(clip.len(), usize::from(PICTURES), "pictures were lost or doubled");
    for (index, luma) in (0..PICTURES).zip(&clip.luma) {
        let (least, most) = (luma.iter().min().unwrap(), luma.iter().max().unwrap());
        let expected = grey(index);
        assert!(
            least.abs_diff(expected) <= 3 && most.abs_diff(expected) <= 3,
            "picture {index} should be grey {expected} and has {least} to {most}"
        );
    }
}

#[test]
fn pictures_arrive_in_order_with_their_content() {
    let (clip, _) = through(128, 96);
    assert_eq!((clip.width, clip.height), (128, 96));
    assert_greys(&clip);
}

#[test]
fn odd_sizes_are_cropped_and_it_is_said() {
    let (clip, said) = through(131, 97);
    assert_eq!((clip.width, clip.height), (130, 96));
    assert_greys(&clip);
    let noted = said.iter().any(|line| line.contains("131x97") && line.contains("130x96"));
    assert!(noted, "no note about the crop: {said:?}");
}

#[test]
fn a_writer_that_is_cut_off_ends_the_stream_cleanly() {
    let _real_time = real_time_shared();
    let server = Server::start();
    let url = server.url("live");
    let (sender, mut feed) = fed_sender(&url, "YUV4MPEG2 W64 H64 F20:1 Ip A1:1 C420jpeg");
    feed.write_all(&picture(64, 64, 99)[..1000]).unwrap();
    drop(feed);
    let exit = sender.wait().succeeded();
    let warned = exit.stderr.iter().any(|line| line.contains("ended within a picture"));
    assert!(warned, "nothing is said about the cut: {:?}", exit.stderr);
}

#[test]
fn headers_that_make_no_sense() {
    let server = Server::start();
    let url = server.url("live");
    let cases = [
        ("nothing at all", "", "not a YUV4MPEG2 stream"),
        ("another format", "RIFF1234AVI LIST and so on\n", "not a YUV4MPEG2 stream"),
        ("no size", "YUV4MPEG2 F30:1 C420jpeg\n", "header"),
        ("no width to speak of", "YUV4MPEG2 W0 H96 F30:1 C420jpeg\n", "W0"),
        ("a side beyond all bounds", "YUV4MPEG2 W99999999 H96 F30:1 C420jpeg\n", "99999999"),
        ("4:4:4", "YUV4MPEG2 W128 H96 F30:1 C444\n", "444"),
    ];
    for (case, header, word) in cases {
        let (sender, mut feed) = Process::start_fed(
            "send",
            &mut command(&["send", "--input", "y4m:-", "--encoder", "libx265", "--to", &url]),
        );
        feed.write_all(header.as_bytes()).unwrap();
        drop(feed);
        assert_one_line(case, &sender.wait(), 1, &[word]);
    }
    let (sender, mut feed) =
        Process::start_fed("send", &mut command(&["send", "--input", "y4m:-", "--encoder", "libx265", "--to", &url]));
    // The sender may close the pipe before everything is written.
    let _ = feed.write_all(format!("YUV4MPEG2 {}", "X".repeat(4000)).as_bytes());
    drop(feed);
    assert_one_line("a header without end", &sender.wait(), 1, &["longer than"]);
}
