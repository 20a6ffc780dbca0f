//! Sequence parameter sets of x264, and such as no encoder at hand writes.

use proptest::prelude::*;

use super::*;
use crate::h264::test_streams::{
    BASELINE, BitWriter, HIGH, HIGH_422, HIGH_444, HIGH_1080P, INTERLACED_1080, PPS_OF_HIGH,
};
use crate::nal::NalError;

#[test]
fn x264_at_640x480() {
    let info = parse_sps(HIGH).expect("a valid SPS");
    assert_eq!((info.width, info.height, info.coded_samples), (640, 480, 640 * 480));
    assert_eq!((info.chroma_format_idc, info.bit_depth_luma, info.bit_depth_chroma), (1, 8, 8));
    assert_eq!((info.profile.profile_level_id(), info.profile.sps_id), ([100, 0, 30], 0));
    assert_eq!((info.reordered, info.says_reordering, info.held, info.is_interlaced), (2, true, 5, false));
    // Of SMPTE 170M, as FFmpeg marks pictures of this size.
    let colour = Some(Colour { primaries: 6, transfer: 6, matrix: 6 });
    assert_eq!((info.full_range, info.colour, info.timing), (Some(false), colour, Some((1, 30))));
}

#[test]
fn x264_at_1080p_in_full_range_behind_the_parameters_of_a_reference_decoder() {
    let info = parse_sps(HIGH_1080P).expect("a valid SPS");
    assert_eq!((info.width, info.height, info.coded_samples), (1920, 1080, 1920 * 1088));
    assert_eq!((info.profile.profile_idc, info.profile.level_idc), (100, 42));
    assert_eq!((info.full_range, info.timing), (Some(true), Some((1, 60))));
    assert_eq!(info.colour, Some(Colour { primaries: 1, transfer: 1, matrix: 1 }));
    assert_eq!((info.reordered, info.says_reordering, info.held), (2, true, 5));
}

#[test]
fn x264_in_fields() {
    let info = parse_sps(INTERLACED_1080).expect("a valid SPS");
    assert_eq!((info.width, info.height, info.coded_samples), (1920, 1080, 1920 * 1088));
    assert!(info.is_interlaced);
    assert_eq!((info.profile.profile_level_id(), info.timing), ([77, 0x40, 40], Some((1, 25))));
    assert_eq!((info.reordered, info.held), (0, 2));
}

#[test]
fn x264_in_baseline_as_cameras_send_it() {
    let info = parse_sps(BASELINE).expect("a valid SPS");
    assert_eq!((info.width, info.height, info.profile.profile_level_id()), (320, 240, [66, 0xc0, 12]));
    assert!(info.profile.has_constraint(0) && info.profile.has_constraint(1) && !info.profile.has_constraint(2));
    assert_eq!((info.reordered, info.says_reordering, info.held), (0, true, 4));
    assert_eq!(info.timing, Some((1, 15)));
}

#[test]
fn x264_in_other_formats() {
    let info = parse_sps(HIGH_422).expect("a valid SPS");
    assert_eq!((info.width, info.height, info.coded_samples), (400, 226, 400 * 240));
    assert_eq!((info.chroma_format_idc, info.bit_depth_luma, info.bit_depth_chroma), (2, 10, 10));
    let info = parse_sps(HIGH_444).expect("a valid SPS");
    assert_eq!((info.width, info.height, info.chroma_format_idc), (320, 240, 3));
    assert_eq!((info.bit_depth_luma, info.timing), (8, Some((2, 25))));
}

#[test]
fn an_sps_cut_off_before_its_size_is_an_error_and_behind_it_is_not() {
    for len in 0..HIGH.len() {
        let read = parse_sps(&HIGH[..len]);
        match len {
            0..10 => assert!(read.is_err(), "{len} bytes"),
            _ => assert_eq!(read.map(|info| info.width), Ok(640), "{len} bytes"),
        }
    }
    let with_more = [HIGH, &[0x80, 0, 0, 4, 4]].concat();
    assert_eq!(parse_sps(&with_more), parse_sps(HIGH), "what stands behind it says nothing");
}

#[test]
fn other_units_are_refused_by_type() {
    assert_eq!(parse_sps(PPS_OF_HIGH), Err(SpsError::NotAnSps(NalType::PPS.0)));
    assert_eq!(parse_sps(&[]), Err(SpsError::Header(NalError::TooShort { len: 0 })));
    assert_eq!(parse_sps(&[0xe7, 100]), Err(SpsError::Header(NalError::ForbiddenBit { header: 0xe7 })));
}

/// An SPS with what is not said by a name at its usual value.
#[derive(Clone, Debug)]
struct Written {
    profile_idc: u8,
    constraints: u8,
    level_idc: u8,
    chroma_format_idc: u32,
    bit_depth_minus8: u32,
    /// Per list its values' differences, or none for the list that is not there.
    scaling_lists: Option<Vec<Option<Vec<i32>>>>,
    pic_order_cnt_type: u32,
    offsets: Vec<i32>,
    references: u32,
    columns: u32,
    map_units: u32,
    is_interlaced: bool,
    crop: Option<[u32; 4]>,
    vui: Option<Vui>,
}

/// num_units_in_tick and time_scale, then max_num_reorder_frames and max_dec_frame_buffering.
type Vui = (u32, u32, Option<(u32, u32)>);

impl Default for Written {
    fn default() -> Written {
        Written {
            profile_idc: 77,
            constraints: 0,
            level_idc: 30,
            chroma_format_idc: 1,
            bit_depth_minus8: 0,
            scaling_lists: None,
            pic_order_cnt_type: 0,
            offsets: Vec::new(),
            references: 1,
            columns: 40,
            map_units: 30,
            is_interlaced: false,
            crop: None,
            vui: None,
        }
    }
}

impl Written {
    fn nal(&self) -> Vec<u8> {
        let mut bits = BitWriter::default();
        bits.u(8, self.profile_idc.into()).u(8, self.constraints.into()).u(8, self.level_idc.into()).ue(0);
        if self.profile_idc >= 100 {
            bits.ue(self.chroma_format_idc);
            if self.chroma_format_idc == 3 {
                bits.u(1, 0);
            }
            bits.ue(self.bit_depth_minus8).ue(self.bit_depth_minus8).u(1, 0).u(1, self.scaling_lists.is_some().into());
            for list in self.scaling_lists.iter().flatten() {
                bits.u(1, list.is_some().into());
                for &delta in list.iter().flatten() {
                    bits.se(delta);
                }
            }
        }
        bits.ue(0).ue(self.pic_order_cnt_type);
        match self.pic_order_cnt_type {
            0 => drop(bits.ue(2)),
            1 => {
                bits.u(1, 0).se(-1).se(i32::MAX).ue(self.offsets.len() as u32);
                for &offset in &self.offsets {
                    bits.se(offset);
                }
            }
            _ => {}
        }
        bits.ue(self.references).u(1, 0).ue(self.columns - 1).ue(self.map_units - 1);
        bits.u(1, u64::from(!self.is_interlaced));
        if self.is_interlaced {
            bits.u(1, 0);
        }
        bits.u(1, 1).u(1, self.crop.is_some().into());
        for &offset in self.crop.iter().flatten() {
            bits.ue(offset);
        }
        bits.u(1, self.vui.is_some().into());
        if let Some((units_in_tick, time_scale, restriction)) = self.vui {
            // A sample aspect ratio in full, overscan, no signal type, chroma locations, timing.
            bits.u(1, 1).u(8, 255).u(32, 0x0010_000b).u(2, 3).u(1, 0).u(1, 1).ue(1).ue(1);
            bits.u(1, 1).u(32, units_in_tick.into()).u(32, time_scale.into()).u(1, 1);
            // Both reference decoders, one of them with two buffers.
            bits.u(1, 1).ue(1).u(8, 0x42).ue(999).ue(1).u(1, 0).ue(77).ue(0).u(1, 1).u(20, 0xfffff);
            bits.u(1, 1).ue(0).u(8, 0x42).ue(0).ue(1).u(1, 0).u(20, 0).u(1, 1).u(1, 0);
            bits.u(1, restriction.is_some().into());
            if let Some((reordered, held)) = restriction {
                bits.u(1, 1).ue(0).ue(0).ue(16).ue(16).ue(reordered).ue(held);
            }
        }
        bits.nal(0x67)
    }

    fn info(&self) -> SpsInfo {
        parse_sps(&self.nal()).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

#[test]
fn a_stream_that_does_not_say_its_reordering_may_use_all_that_its_level_allows() {
    let plain = Written::default();
    assert_eq!((plain.info().reordered, plain.info().says_reordering, plain.info().held), (6, false, 7));
    // Level 1 is too low for the size, and holds at least what the stream refers to.
    let too_low = Written { level_idc: 10, references: 3, ..plain.clone() };
    assert_eq!((too_low.info().reordered, too_low.info().held), (0, 4));
    let in_order = Written { pic_order_cnt_type: 2, ..plain.clone() };
    assert_eq!((in_order.info().reordered, in_order.info().says_reordering, in_order.info().held), (0, true, 7));
    let intra = Written { profile_idc: 110, constraints: 0x10, references: 0, ..plain.clone() };
    assert_eq!((intra.info().reordered, intra.info().says_reordering, intra.info().held), (0, false, 1));
    let said = Written { vui: Some((1, 50, Some((1, 2)))), ..plain };
    assert_eq!((said.info().reordered, said.info().says_reordering, said.info().held), (1, true, 3));
    let too_much = Written { vui: Some((1, 50, Some((99, 0)))), ..said.clone() };
    assert_eq!((too_much.info().reordered, too_much.info().held), (16, 17));
    let unsaid = Written { vui: Some((1, 50, None)), ..said };
    assert_eq!((unsaid.info().reordered, unsaid.info().says_reordering), (6, false));
}

#[test]
fn ticks_are_fields() {
    let timing = |units_in_tick, time_scale| {
        Written { vui: Some((units_in_tick, time_scale, None)), ..Written::default() }.info().timing
    };
    assert_eq!(timing(1001, 60_000), Some((1001, 30_000)));
    assert_eq!(timing(1, 25), Some((2, 25)));
    assert_eq!(timing(0, 0), Some((0, 0)));
    assert_eq!(timing(u32::MAX, 3), None);
}

#[test]
fn sizes_beyond_every_level_are_errors() {
    let of = |columns, map_units, is_interlaced, crop| {
        parse_sps(&Written { columns, map_units, is_interlaced, crop, ..Written::default() }.nal())
    };
    let refused = |element, value| Err(SpsError::OutOfRange { element, value });
    assert!(of(1055, 1055, false, None).is_ok());
    assert_eq!(of(1056, 1, false, None), refused("pic_width_in_mbs_minus1", 1055));
    assert_eq!(of(1, 1056, false, None), refused("pic_height_in_map_units_minus1", 1055));
    assert_eq!(of(1, 528, true, None), refused("FrameHeightInMbs", 1056));
    assert_eq!(of(1, 1, false, Some([4, 4, 0, 0])), refused("frame_crop_right_offset", 4));
    assert_eq!(of(1, 1, true, Some([0, 0, 1, 7])), refused("frame_crop_bottom_offset", 7));
    assert_eq!(of(1, 1, true, Some([0, 0, 1, 6])).map(|info| (info.width, info.height)), Ok((16, 4)));
}

/// The differences of a scaling list: all of its values, or ending in that to 0.
fn scaling_list(values: usize) -> impl Strategy<Value = Vec<i32>> {
    (prop::collection::vec(1_i32..256, values), 0..=values).prop_map(move |(scales, ends_at)| {
        let mut list: Vec<i32> = Vec::new();
        let mut last = 8;
        for scale in scales.into_iter().take(ends_at).chain((ends_at < values).then_some(0)) {
            // The shorter way round, as the range of delta_scale is -128 to 127.
            list.push((scale - last + 128).rem_euclid(256) - 128);
            last = scale;
        }
        list
    })
}

fn written() -> impl Strategy<Value = Written> {
    let lists = |chroma_format_idc| {
        let count = if chroma_format_idc == 3 { 12 } else { 8 };
        let list = |index| prop::option::of(scaling_list(if index < 6 { 16 } else { 64 }));
        prop::option::of((0..count).map(list).collect::<Vec<_>>())
    };
    let format = (prop::sample::select(vec![66_u8, 77, 88, 100, 110, 122, 244]), 0_u32..4, 0_u32..7)
        .prop_flat_map(move |(profile, chroma, depth)| (Just((profile, chroma, depth)), lists(chroma)));
    let order =
        (0_u32..3, prop::collection::vec(any::<i32>().prop_filter("a code", |v| *v > i32::MIN), 0..256), 0_u32..17);
    let size = (1_u32..300, 1_u32..300, any::<bool>(), prop::option::of(prop::array::uniform4(0_u32..4)));
    let vui = prop::option::of((any::<u32>(), any::<u32>(), prop::option::of((0_u32..17, 0_u32..17))));
    (format, order, size, vui, any::<u8>(), any::<u8>()).prop_map(
        |((format, scaling_lists), order, size, vui, constraints, level_idc)| Written {
            profile_idc: format.0,
            constraints,
            level_idc,
            chroma_format_idc: format.1,
            bit_depth_minus8: format.2,
            scaling_lists,
            pic_order_cnt_type: order.0,
            offsets: order.1,
            references: order.2,
            columns: size.0,
            map_units: size.1,
            is_interlaced: size.2,
            crop: size.3,
            vui,
        },
    )
}

proptest! {
    #[test]
    fn whatever_is_written_is_read(written in written()) {
        let info = written.info();
        let is_high = written.profile_idc >= 100;
        let (chroma, depth) = if is_high { (written.chroma_format_idc, written.bit_depth_minus8) } else { (1, 0) };
        prop_assert_eq!(u32::from(info.chroma_format_idc), chroma);
        prop_assert_eq!((info.bit_depth_luma, info.bit_depth_chroma), (8 + depth as u8, 8 + depth as u8));
        let fields = 1 + u32::from(written.is_interlaced);
        let (coded_width, coded_height) = (16 * written.columns, 16 * fields * written.map_units);
        prop_assert_eq!(info.coded_samples, u64::from(coded_width) * u64::from(coded_height));
        let [left, right, top, bottom] = written.crop.unwrap_or_default();
        let unit_x = if matches!(chroma, 1 | 2) { 2 } else { 1 };
        let unit_y = if chroma == 1 { 2 * fields } else { fields };
        prop_assert_eq!(info.width, coded_width - unit_x * (left + right));
        prop_assert_eq!(info.height, coded_height - unit_y * (top + bottom));
        prop_assert_eq!(info.is_interlaced, written.is_interlaced);
        prop_assert!(info.reordered < info.held && u32::from(info.held) > written.references && info.held <= 17);
        let restriction = written.vui.and_then(|(.., restriction)| restriction);
        prop_assert_eq!(info.says_reordering, written.pic_order_cnt_type == 2 || restriction.is_some());
        if let Some((reordered, _)) = restriction {
            let expected = if written.pic_order_cnt_type == 2 { 0 } else { reordered };
            prop_assert_eq!(u32::from(info.reordered), expected);
        }
        if let (Some((units_in_tick, time_scale, _)), Some((frame, second))) = (written.vui, info.timing) {
            let product = |a: u32, b: u32| u64::from(a) * u64::from(b);
            prop_assert_eq!(u128::from(product(frame, time_scale)), u128::from(product(units_in_tick, second)) * 2);
        }
    }

    #[test]
    fn no_flipped_bits_panic(flips in prop::collection::vec((1..HIGH_1080P.len(), any::<u8>()), 1..6)) {
        let mut nal = HIGH_1080P.to_vec();
        for (at, mask) in flips {
            nal[at] ^= mask;
        }
        if let Ok(info) = parse_sps(&nal) {
            prop_assert!((1..=MAX_DIMENSION).contains(&info.width) && (1..=MAX_DIMENSION).contains(&info.height));
            prop_assert!((1..=17).contains(&info.held) && info.reordered <= 16);
        }
    }

    #[test]
    fn noise_never_panics(noise in prop::collection::vec(any::<u8>(), 0..120)) {
        if let Ok(info) = parse_sps(&[&[0x67][..], &noise].concat()) {
            prop_assert!((1..=MAX_DIMENSION).contains(&info.width) && (1..=MAX_DIMENSION).contains(&info.height));
        }
    }
}
