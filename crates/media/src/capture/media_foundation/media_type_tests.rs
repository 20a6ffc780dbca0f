use super::super::super::choose::choose;
use super::super::super::layout::{cost, layout};
use super::*;
use crate::av::AVPixelFormat;
use crate::capture::Wanted;

const NV12: u128 = 0x3231564e_0000_0010_8000_00aa00389b71;
const YUY2: u128 = 0x32595559_0000_0010_8000_00aa00389b71;
const MJPG: u128 = 0x47504a4d_0000_0010_8000_00aa00389b71;
const RGB24: u128 = 0x00000014_0000_0010_8000_00aa00389b71;
const H264: u128 = 0x34363248_0000_0010_8000_00aa00389b71;

fn native(subtype: u128, size: (u32, u32), fps: &[u32], types: &mut Vec<NativeType>) {
    for &fps in fps {
        let frame_rate = Some(FrameRate::whole(fps));
        types.push(NativeType { index: types.len() as u32, subtype, size, frame_rate });
    }
}

fn webcam() -> Vec<NativeType> {
    let mut types = Vec::new();
    native(YUY2, (640, 480), &[30, 15], &mut types);
    native(H264, (1920, 1080), &[30], &mut types);
    native(MJPG, (1280, 720), &[60, 30], &mut types);
    native(YUY2, (1280, 720), &[10], &mut types);
    // Some drivers list a type twice.
    native(YUY2, (640, 480), &[15, 20], &mut types);
    types
}

#[test]
fn subtypes_have_names_and_every_name_a_layout() {
    for (subtype, expected) in [(NV12, "NV12"), (YUY2, "YUY2"), (MJPG, "MJPG"), (RGB24, "RGB24")] {
        assert_eq!(name(subtype), Some(expected));
    }
    assert_eq!((name(H264), name(0), name(u128::MAX)), (None, None, None));
    for (_, name) in SUBTYPES {
        assert!(layout(name).is_some(), "{name}");
        assert!(cost(name) < usize::from(u8::MAX));
    }
}

#[test]
fn types_of_one_size_are_one_mode() {
    let modes = modes(&webcam());
    let shown: Vec<String> = modes
        .iter()
        .map(|mode| {
            let rates: Vec<String> = mode.frame_rates.iter().map(ToString::to_string).collect();
            format!("{} {}x{} {}", mode.fourcc, mode.width, mode.height, rates.join(","))
        })
        .collect();
    assert_eq!(shown, ["YUY2 640x480 30,15,20", "MJPG 1280x720 60,30", "YUY2 1280x720 10"]);
}

#[test]
fn the_chosen_mode_leads_back_to_its_type() {
    let types = webcam();
    let modes = modes(&types);
    let chosen = |size, fps: Option<u32>| {
        let choice = choose(&modes, &Wanted { size, fps: fps.map(FrameRate::whole) })?;
        native_type(&types, &modes[choice.mode], choice.frame_rate).map(|chosen| chosen.index)
    };
    assert_eq!(chosen(None, None), Some(4), "MJPG 1280x720 at 30");
    assert_eq!(chosen(None, Some(60)), Some(3));
    assert_eq!(chosen(Some((640, 480)), Some(15)), Some(1), "the first of two");
    assert_eq!(chosen(Some((1280, 720)), Some(10)), Some(5));
    assert_eq!(chosen(Some((800, 600)), None), None);
    // No rate is listed: any is taken.
    let silent = [NativeType { index: 7, subtype: NV12, size: (640, 480), frame_rate: None }];
    let modes = super::modes(&silent);
    assert!(modes[0].frame_rates.is_empty());
    assert_eq!(native_type(&silent, &modes[0], Some(FrameRate::whole(25))).unwrap().index, 7);
}

#[test]
fn colours_are_as_described_or_as_usual() {
    let raw = Layout::Raw(AVPixelFormat::NV12);
    let colour = |matrix, range, height| {
        let colour = sample_colour(raw, DescribedColour { matrix, range }, height);
        (colour.matrix, colour.range)
    };
    assert_eq!(colour(2, 2, 1080), (Matrix::Bt601, Range::Limited));
    assert_eq!(colour(1, 1, 480), (Matrix::Bt709, Range::Full));
    assert_eq!(colour(4, 0, 480), (Matrix::Bt2020, Range::Limited));
    assert_eq!(colour(0, 0, 480), (Matrix::Bt601, Range::Limited));
    assert_eq!(colour(0, 3, 1080), (Matrix::Bt709, Range::Limited));
    let nothing = DescribedColour::default();
    assert_eq!(sample_colour(Layout::Raw(AVPixelFormat::BGR24), nothing, 480).range, Range::Full);
    let jpeg = sample_colour(Layout::Jpeg, DescribedColour { matrix: 1, range: 2 }, 1080);
    assert_eq!(jpeg, Colour::new(Range::Full, Matrix::Bt601));
}

#[test]
fn strides_are_as_stated_or_as_usual() {
    assert_eq!(default_stride(NV12, 640, None), 640);
    assert_eq!(default_stride(YUY2, 640, Some(0)), 1280);
    assert_eq!(default_stride(YUY2, 640, Some(1344)), 1344);
    assert_eq!(default_stride(RGB24, 641, None), -1924);
    assert_eq!(default_stride(RGB24, 640, Some((-1920_i32).cast_unsigned())), -1920);
    assert_eq!(default_stride(RGB24, 640, Some(1920)), 1920);
    assert_eq!(default_stride(RGB24, u32::MAX, None), -12_884_901_888);
}

#[test]
fn packed_numbers() {
    assert_eq!(unpacked(0x0000_0500_0000_02d0), (1280, 720));
    assert_eq!(unpacked(u64::MAX), (u32::MAX, u32::MAX));
}
