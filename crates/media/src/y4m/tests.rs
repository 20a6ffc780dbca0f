//! The twins against each other, and the reader against bad input.

use super::*;
use crate::FrameRate;
use crate::picture::{Picture, PictureFormat, Range};
use crate::test_pictures::{pattern, small};

fn written(pictures: &[Picture], rate: FrameRate) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), pictures[0].format(), rate).unwrap();
    for picture in pictures {
        writer.write(picture).unwrap();
    }
    writer.into_inner()
}

fn header_error(header: &str) -> String {
    Reader::new(header.as_bytes()).err().unwrap().to_string()
}

#[test]
fn what_one_writes_the_other_reads() {
    for range in [Range::Limited, Range::Full] {
        let pictures = pattern(small(range), 3);
        let bytes = written(&pictures, "29.97".parse().unwrap());
        let mut reader = Reader::new(bytes.as_slice()).unwrap();
        assert_eq!(reader.format(), small(range));
        assert_eq!(reader.frame_rate().to_string(), "29.97");
        for picture in &pictures {
            let read = reader.read().unwrap().unwrap();
            for index in 0..3 {
                assert!(read.rows(index).eq(picture.rows(index)));
            }
        }
        assert!(reader.read().unwrap().is_none());
    }
}

#[test]
fn odd_sizes_are_cropped() {
    let mut bytes = b"YUV4MPEG2 W17 H19 F25:1 C420mpeg2\nFRAME Ip\n".to_vec();
    bytes.extend((0..17 * 19).map(|index| (index % 17) as u8));
    bytes.extend([100; 9 * 10]);
    bytes.extend([200; 9 * 10]);
    bytes.extend(b"FRAME\n");
    bytes.extend([7; 17 * 19 + 2 * 9 * 10]);
    let mut reader = Reader::new(bytes.as_slice()).unwrap();
    assert_eq!(reader.coded_size(), (17, 19));
    let picture = reader.read().unwrap().unwrap();
    assert_eq!((picture.format().width, picture.format().height), (16, 18));
    let expected: Vec<u8> = (0..16).collect();
    assert!(picture.rows(0).all(|row| row == expected));
    assert!(picture.rows(1).all(|row| row == [100; 8]));
    assert!(picture.rows(2).all(|row| row == [200; 8]));
    let second = reader.read().unwrap().unwrap();
    assert!((0..3).all(|index| second.rows(index).flatten().all(|&sample| sample == 7)));
    assert!(reader.read().unwrap().is_none());
}

#[test]
fn bad_headers_are_refused_with_advice() {
    assert!(header_error("").contains("yuv4mpegpipe"));
    assert!(header_error("RIFF....AVI LIST").contains("yuv4mpegpipe"));
    assert!(header_error("YUV4MPEG2 W64 H48 C422\n").contains("-pix_fmt yuv420p"));
    assert!(header_error("YUV4MPEG2 W64 H48 C420p10\n").contains("C420p10"));
    assert!(header_error("YUV4MPEG2 W64\n").contains("H0"));
    assert!(header_error("YUV4MPEG2 W4294967295 H48\n").contains("out of bounds"));
    assert!(header_error("YUV4MPEG2 W-1 H48\n").contains("W-1"));
    assert!(header_error("YUV4MPEG2 W64 H48 F1000000:1\n").contains("F1000000:1"));
    assert!(header_error("YUV4MPEG2 W64 H48 Fx:1\n").contains("Fx:1"));
    assert!(header_error("YUV4MPEG2 W64 H48 F-25:1\n").contains("F-25:1"));
    assert!(header_error("YUV4MPEG2 W64 H48 é\n").contains('é'));
    assert!(header_error("YUV4MPEG2 W64 H48").contains("cut off"));
    let endless = format!("YUV4MPEG2 {}", "x".repeat(5000));
    assert!(header_error(&endless).contains("longer than"));
}

#[test]
fn an_unknown_rate_is_25() {
    for rate in ["F0:0", "F25:0", "F0:1", ""] {
        let header = format!("YUV4MPEG2 W64 H48 {rate}\n");
        assert_eq!(Reader::new(header.as_bytes()).unwrap().frame_rate(), FrameRate::whole(25), "{rate}");
    }
}

#[test]
fn whatever_stands_beside_eight_bit_420_is_taken() {
    for (beside, fps, aspect) in [
        ("F30", 30, (1, 1)),
        ("F25:1 It A64:45 C420", 25, (64, 45)),
        ("C420JPEG F50:1 Im A0:0 XYSCSS=420JPEG", 50, (1, 1)),
        ("F25:1  I? A1952:2280\r", 25, (1952, 2280)),
        ("A:1 A-1:2 Ax F25:1 XLENGTH=3", 25, (1, 1)),
    ] {
        let header = format!("YUV4MPEG2 W64 H48 {beside}\n");
        let reader = Reader::new(header.as_bytes()).unwrap_or_else(|error| panic!("{beside}: {error}"));
        assert_eq!((reader.frame_rate(), reader.pixel_aspect()), (FrameRate::whole(fps), aspect), "{beside}");
    }
}

#[test]
fn a_cut_or_damaged_stream_is_told() {
    let bytes = written(&pattern(small(Range::Limited), 1), FrameRate::whole(30));
    for cut in [bytes.len() - 1, bytes.len() / 2] {
        let mut reader = Reader::new(&bytes[..cut]).unwrap();
        assert!(matches!(reader.read(), Err(Y4mError::Truncated)));
    }
    let mut twice = bytes.clone();
    twice.extend_from_slice(b"NOISE\n");
    let mut reader = Reader::new(twice.as_slice()).unwrap();
    assert!(reader.read().unwrap().is_some());
    assert!(matches!(reader.read(), Err(Y4mError::NotFrame)));
}

#[test]
fn a_picture_of_another_size_is_scaled_to_the_header() {
    let format = small(Range::Limited);
    let mut writer = Writer::new(Vec::new(), format, FrameRate::whole(30)).unwrap();
    let larger = Picture::new(PictureFormat::limited(640, 384)).unwrap();
    writer.write(&larger).unwrap();
    let bytes = writer.into_inner();
    let mut reader = Reader::new(bytes.as_slice()).unwrap();
    let picture = reader.read().unwrap().unwrap();
    assert!(picture.rows(0).flatten().all(|&sample| sample == 16));
    assert!(reader.read().unwrap().is_none());
}
