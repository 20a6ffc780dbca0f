//! Coded pictures come from FFmpeg's encoder, in the layouts that cameras use.

use super::*;
use crate::av::AVPixelFormat;
use crate::av::codec::EncoderSetup;
use crate::av::scaler::{Scaler, Side};
use crate::picture::{Colour, Matrix, Range};
use crate::test_pictures::pattern;

const FULL: Colour = Colour::new(Range::Full, Matrix::Bt601);

fn format(width: u32, height: u32) -> PictureFormat {
    PictureFormat::new(width, height, FULL)
}

/// Pseudo-random samples, smooth enough to survive coding.
fn samples(frame: &mut Frame, width: u32, height: u32) {
    let rows = height as usize;
    let half = width.div_ceil(2) as usize;
    let mut state = width * 7919 + height;
    for (index, width) in [(0, width as usize), (1, half), (2, half)] {
        let (plane, stride) = frame.plane_mut(index, width, rows).unwrap();
        for (row, samples) in plane.chunks_mut(stride).enumerate() {
            for (column, sample) in samples[..width].iter_mut().enumerate() {
                state = state.wrapping_mul(1_103_515_245).wrapping_add(12345);
                let edge = if (row / 5 + column / 7 + index) % 3 == 0 { 120 } else { 0 };
                *sample = (edge + 40 + (state >> 24) / 4 + (row as u32 * 3) % 60) as u8;
            }
        }
    }
}

/// A 4:2:2 frame as the decoder returns it.
fn frame_422(width: u32, height: u32) -> Frame {
    let mut frame = Frame::alloc(AVPixelFormat::YUVJ422P, width, height, 0).unwrap();
    samples(&mut frame, width, height);
    frame.set_colour(FULL);
    frame
}

fn jpeg_of(frame: &Frame, width: u32, height: u32) -> Vec<u8> {
    let setup = EncoderSetup {
        name: "mjpeg",
        format: format(width, height),
        pixels: frame.format(),
        frame_rate: crate::FrameRate::whole(30),
        keyframe_interval: 1,
        bit_rate: 0,
        buffer_bits: 0,
        pool: None,
        options: &[("huffman", "default".to_owned()), ("qmax", "3".to_owned())],
    };
    let mut encoder = Codec::encoder(&setup).unwrap();
    encoder.send_frame(frame).unwrap();
    let mut packet = Packet::empty().unwrap();
    assert_eq!(encoder.receive_packet(&mut packet).unwrap(), Output::Ready);
    packet.data().to_vec()
}

fn jpeg(width: u32, height: u32) -> Vec<u8> {
    jpeg_of(&frame_422(width, height), width, height)
}

/// The same without its Huffman tables (DHT, ITU-T T.81 B.2.4.2).
fn without_tables(jpeg: &[u8]) -> Vec<u8> {
    let mut out = jpeg[..2].to_vec();
    let mut at = 2;
    while jpeg[at + 1] != 0xda {
        let end = at + 2 + usize::from(u16::from_be_bytes([jpeg[at + 2], jpeg[at + 3]]));
        if jpeg[at + 1] != 0xc4 {
            out.extend_from_slice(&jpeg[at..end]);
        }
        at = end;
    }
    out.extend_from_slice(&jpeg[at..]);
    assert!(out.len() < jpeg.len(), "it had tables");
    out
}

/// The largest difference of two pictures in any sample.
fn difference(a: &Picture, b: &Picture) -> u8 {
    assert_eq!(a.format(), b.format());
    let plane =
        |index| a.rows(index).zip(b.rows(index)).flat_map(|(a, b)| a.iter().zip(b)).map(|(a, b)| a.abs_diff(*b));
    (0..3).flat_map(plane).max().unwrap()
}

/// What swscale makes of a 4:2:2 frame.
fn by_swscale(mut frame: Frame, format: PictureFormat) -> Picture {
    frame.crop(format.width, format.height);
    let to = crate::picture::side_of(format);
    let scaled = Scaler::new(Side::of(&frame), to).unwrap().run(&frame).unwrap();
    Picture::from_frame(scaled, format).unwrap()
}

fn is_damaged(result: &Result<Unpacked, PictureError>) -> bool {
    matches!(result, Err(PictureError::Damaged(_)))
}

#[test]
fn half_the_rows_of_chroma_are_what_swscale_makes_at_every_size() {
    let sides = (16..=50).chain([63, 64, 65, 66, 127, 180, 239, 360]);
    for height in sides.clone() {
        for width in sides.clone().step_by(3) {
            let format = format(width & !1, height & !1);
            let expected = by_swscale(frame_422(width, height), format);
            let frame = frame_422(width, height);
            let luma = frame.plane(0, 16, 1).unwrap().0.as_ptr();
            let picture = Converter::default().picture_as(frame, format).unwrap();
            assert_eq!(picture.plane(0).0.as_ptr(), luma, "{width}x{height}: luma is not copied");
            let off = difference(&picture, &expected);
            assert!(off <= 1, "{width}x{height}: {off} levels off");
        }
    }
}

#[test]
fn a_frame_of_another_range_still_goes_through_swscale() {
    let limited = PictureFormat::limited(64, 48);
    let expected = by_swscale(frame_422(64, 48), limited);
    let picture = Converter::default().picture_as(frame_422(64, 48), limited).unwrap();
    assert_eq!(difference(&picture, &expected), 0, "full range was narrowed");
}

#[test]
fn a_frame_that_others_share_is_not_written_to() {
    let frame = frame_422(64, 48);
    let kept = frame.share().unwrap();
    let picture = Converter::default().picture_as(frame, format(64, 48)).unwrap();
    assert!(difference(&picture, &by_swscale(frame_422(64, 48), format(64, 48))) <= 1);
    let untouched = frame_422(64, 48);
    assert_eq!(kept.plane(1, 32, 48).unwrap().0, untouched.plane(1, 32, 48).unwrap().0);
    let mut copy = picture.clone();
    copy.plane_mut(0).unwrap().0.fill(0);
    assert_eq!(kept.plane(0, 64, 48).unwrap().0, untouched.plane(0, 64, 48).unwrap().0);
}

#[test]
fn pictures_are_decoded_in_place_with_and_without_huffman_tables() {
    for (width, height) in [(64, 48), (66, 50), (320, 180), (640, 362)] {
        let coded = jpeg(width, height);
        let mut decoder = JpegDecoder::new().unwrap();
        let format = format(width & !1, height & !1);
        let with = decoder.decode(&coded, format).unwrap().picture;
        let without = decoder.decode(&without_tables(&coded), format).unwrap().picture;
        assert_eq!(difference(&with, &without), 0, "{width}x{height}");
        let source = by_swscale(frame_422(width, height), format);
        let psnr = with.luma_psnr(&source);
        assert!(psnr > 30.0, "{width}x{height}: {psnr} dB");
        assert_eq!(with.format().colour, FULL);
    }
}

#[test]
fn the_decoders_own_frames_are_converted_without_a_copy() {
    let mut decoder = JpegDecoder::new().unwrap();
    for _ in 0..3 {
        let frame = decoder.frame(&jpeg(320, 180)).unwrap();
        assert_eq!(frame.format(), AVPixelFormat::YUVJ422P);
        let luma = frame.plane(0, 320, 180).unwrap().0.as_ptr();
        let picture = decoder.converter.picture_as(frame, format(320, 180)).unwrap();
        assert_eq!(picture.plane(0).0.as_ptr(), luma);
    }
}

#[test]
fn a_jpeg_that_is_4_2_0_already_is_a_picture_as_it_is() {
    let picture = pattern(format(64, 48), 1).remove(0);
    let coded = jpeg_of(picture.frame(), 64, 48);
    let decoded = JpegDecoder::new().unwrap().decode(&coded, format(64, 48)).unwrap();
    assert!(decoded.picture.luma_psnr(&picture) > 30.0);
}

#[test]
fn a_picture_that_ends_anywhere_is_damaged_and_the_next_is_whole() {
    let whole = jpeg(128, 96);
    let mut decoder = JpegDecoder::new().unwrap();
    let first = decoder.decode(&whole, format(128, 96)).unwrap().picture;
    for end in (0..whole.len() - 2).step_by(5).chain([whole.len() - 2, whole.len() - 1]) {
        let cut = decoder.decode(&whole[..end], format(128, 96));
        assert!(is_damaged(&cut), "cut at {end} of {}: {cut:?}", whole.len());
        let next = decoder.decode(&whole, format(128, 96)).unwrap().picture;
        assert_eq!(difference(&first, &next), 0, "after a cut at {end}");
    }
    let padded = [&whole[..], &[0; 700]].concat();
    assert!(decoder.decode(&padded, format(128, 96)).is_ok(), "cameras pad");
}

#[test]
fn a_hole_in_the_coded_samples_is_damage_even_with_an_end() {
    let whole = jpeg(128, 96);
    let mut decoder = JpegDecoder::new().unwrap();
    decoder.decode(&whole, format(128, 96)).unwrap();
    let cut = [&whole[..whole.len() / 2], &EOI].concat();
    assert!(is_damaged(&decoder.decode(&cut, format(128, 96))));
}

#[test]
fn what_all_pictures_of_a_camera_lack_is_no_damage() {
    let whole = jpeg(128, 96);
    let mut decoder = JpegDecoder::new().unwrap();
    let endless = &whole[..whole.len() - 2];
    assert!(decoder.decode(endless, format(128, 96)).is_ok(), "a camera that leaves out the end");
    decoder.decode(&whole, format(128, 96)).unwrap();
    let short = &whole[..whole.len() * 3 / 4];
    for number in 1..=ALWAYS_DAMAGED {
        assert!(is_damaged(&decoder.decode(short, format(128, 96))), "{number}");
    }
    assert!(decoder.decode(short, format(128, 96)).is_ok(), "shown as far as it goes");
    assert!(is_damaged(&decoder.decode(&[], format(128, 96))), "nothing can be shown of nothing");
    assert!(is_damaged(&decoder.decode(&[0; 64], format(128, 96))));
}
