//! Encoder and decoder together, on pictures that are known.

use std::time::{Duration, Instant};

use bytes::Bytes;
use hevcast_wire::congestion::BitBudget;
use hevcast_wire::time::RtpTicks;
use hevcast_wire::{CodecId, CodedFrame, NalKind};

use super::*;
use crate::FrameRate;
use crate::picture::{Matrix, Picture, PictureFormat, Range};
use crate::test_pictures::{flat, pattern, small};

pub(super) fn settings(format: PictureFormat, rate: RateControl) -> EncoderSettings {
    EncoderSettings {
        format,
        frame_rate: FrameRate::whole(30),
        options: EncoderOptions {
            choice: EncoderChoice::Named("libx265".to_owned()),
            rate,
            keyframe_interval: Some(Duration::from_secs(2)),
            ..EncoderOptions::default()
        },
    }
}

pub(super) fn open(format: PictureFormat, rate: RateControl) -> Encoder {
    Encoder::open(&settings(format, rate)).unwrap().0
}

/// A decoder of what the encoder gives.
pub(super) fn decoder() -> Decoder {
    Decoder::new(CodecId::H265).unwrap()
}

/// The request for the picture of this number at 30 pictures/s.
fn request(start: Instant, index: u32) -> FrameRequest {
    let captured = start + Duration::from_micros(33_333) * index;
    FrameRequest { captured, timestamp: RtpTicks(index * 3000), idr: false, budget: None }
}

pub(super) fn decode_one(decoder: &mut Decoder, frame: &CodedFrame, tag: i64) -> Decoded {
    let mut out = Vec::new();
    decoder.decode(frame, tag, &mut out).unwrap();
    assert_eq!(out.len(), 1, "one in, one out");
    out.remove(0)
}

#[test]
fn threads_are_in_the_pps_alone_and_stay_for_the_stream() {
    let format = PictureFormat::limited(320, 240);
    let opened = |threads| {
        let mut settings = settings(format, RateControl::Qp(Qp::clamped(23)));
        settings.options.threads = Some(threads);
        Encoder::open(&settings).unwrap().0
    };
    let [wavefront, single] = [Threads::Wavefront, Threads::Single].map(|threads| {
        let (mut encoder, mut decoder) = (opened(threads), decoder());
        for (index, picture) in pattern(format, 4).iter().enumerate() {
            let coded = encoder.encode(picture, false).unwrap();
            assert!(decode_one(&mut decoder, &coded, index as i64).picture.luma_psnr(picture) > 30.0, "{threads:?}");
        }
        // Another rate within the stream.
        let mut next = encoder.settings().clone();
        next.options.rate = RateControl::Qp(Qp::clamped(30));
        let (next, _) = Encoder::open(&next).unwrap();
        assert_eq!(next.parameter_sets(), encoder.parameter_sets(), "{threads:?}");
        encoder.parameter_sets().clone()
    });
    assert_eq!(wavefront.sps(), single.sps());
    assert_ne!(wavefront, single, "entropy_coding_sync_enabled_flag");
    let chosen = open(format, RateControl::Qp(Qp::clamped(23)));
    assert!(chosen.settings().options.threads.is_some(), "what was found is kept");
}

#[test]
fn one_picture_in_one_picture_out() {
    let format = PictureFormat::limited(640, 360);
    let mut encoder = open(format, RateControl::Qp(Qp::clamped(23)));
    let mut decoder = decoder();
    for (index, picture) in pattern(format, 12).iter().enumerate() {
        let coded = encoder.encode(picture, false).unwrap();
        assert_eq!(coded.random_access, index == 0);
        assert!(coded.nals.len() <= 16);
        let decoded = decode_one(&mut decoder, &coded, index as i64 + 1000);
        assert_eq!(decoded.tag, index as i64 + 1000);
        assert!(!decoded.damaged);
        assert_eq!(decoded.picture.format(), format);
        let psnr = decoded.picture.luma_psnr(picture);
        assert!(psnr > 36.0, "picture {index}: {psnr} dB");
    }
    let mut rest = Vec::new();
    decoder.flush(&mut rest).unwrap();
    assert!(rest.is_empty());
}

#[test]
fn a_forced_idr_comes_at_once_with_its_parameter_sets() {
    let format = PictureFormat::limited(320, 192);
    let mut encoder = open(format, RateControl::Qp(Qp::clamped(28)));
    let sets: Vec<Bytes> = encoder.parameter_sets().nals().cloned().collect();
    let nal_type = |nal: &Bytes| nal[0] >> 1;
    assert_eq!(sets.iter().map(nal_type).collect::<Vec<_>>(), [32, 33, 34]);
    for (index, picture) in pattern(format, 7).iter().enumerate() {
        let coded = encoder.encode(picture, index == 4).unwrap();
        let idr = index == 0 || index == 4;
        let types: Vec<u8> = coded.nals.iter().map(nal_type).collect();
        assert_eq!(coded.random_access, idr, "{types:?}");
        assert_eq!(types.iter().any(|kind| [19, 20].contains(kind)), idr, "{types:?}");
        if idr {
            let is_set = |nal: &&Bytes| matches!(CodecId::H265.nal_kind(nal), NalKind::ParameterSet(_));
            assert!(coded.nals.iter().filter(is_set).eq(&sets));
            assert_eq!(types[..3], [32, 33, 34]);
            // A decoder can join here.
            assert!(!decode_one(&mut decoder(), &coded, 0).damaged);
        }
    }
}

#[test]
fn parameters_reach_x265_and_ours_go_where_a_preset_is_named() {
    let format = PictureFormat::limited(320, 192);
    let coded = |preset: Option<&str>, params: &str| {
        let mut requested = settings(format, RateControl::Qp(Qp::clamped(28)));
        (requested.options.preset, requested.options.x265_params) = (preset.map(str::to_owned), params.to_owned());
        Encoder::open(&requested).unwrap().0.encode(&pattern(format, 1)[0], false).unwrap().nals
    };
    assert_ne!(coded(None, ""), coded(Some("ultrafast"), ""));
    assert_eq!(coded(None, "ctu=32:psy-rd=2"), coded(Some("ultrafast"), "subme=1"), "the later word counts");
}

#[test]
fn keyframes_come_at_their_interval() {
    let format = PictureFormat::limited(320, 192);
    let mut requested = settings(format, RateControl::Qp(Qp::clamped(30)));
    requested.options.keyframe_interval = Some(Duration::from_millis(100));
    let mut encoder = Encoder::open(&requested).unwrap().0;
    let keyframes: Vec<bool> =
        pattern(format, 7).iter().map(|picture| encoder.encode(picture, false).unwrap().random_access).collect();
    assert_eq!(keyframes, [true, false, false, true, false, false, true]);
}

#[test]
fn the_reported_qp_is_the_requested_qp() {
    let format = PictureFormat::limited(320, 192);
    for qp in [20, 35] {
        let mut encoder = open(format, RateControl::Qp(Qp::clamped(qp)));
        for picture in pattern(format, 4) {
            let reported = encoder.encode(&picture, false).unwrap().meta.qp.unwrap();
            assert!((reported - f32::from(qp)).abs() <= 1.0, "{reported} for {qp}");
        }
    }
    for rate in [RateControl::Crf(Crf::clamped(28.0)), RateControl::Bitrate(Bitrate::new(500_000).unwrap())] {
        let mut encoder = open(format, rate);
        let reported = encoder.encode(&pattern(format, 1)[0], false).unwrap().meta.qp;
        assert!((0.0..=51.0).contains(&reported.unwrap()));
    }
}

#[test]
fn a_requested_keyframe_has_the_budget_of_a_keyframe() {
    let format = PictureFormat::limited(640, 360);
    let (mut encoder, start) = (open(format, RateControl::Best(Qp::clamped(20))), Instant::now());
    let tight = Some(BitBudget { picture_bits: 1000, keyframe_bits: 10_000_000 });
    let cases = [(true, None), (false, None), (true, tight), (false, tight)];
    let qps = pattern(format, 4).into_iter().zip(cases).zip(0..).map(|((picture, (idr, budget)), index)| {
        encoder.encode_as(&picture, &FrameRequest { idr, budget, ..request(start, index) }).unwrap().meta.qp.unwrap()
    });
    let qps: Vec<f32> = qps.collect();
    assert!(qps[..3].iter().all(|qp| *qp == 20.0) && qps[3] > 25.0, "{qps:?}");
}

#[test]
fn a_picture_at_a_cut_is_coarser_unless_the_qp_is_constant() {
    let format = PictureFormat::limited(640, 360);
    let mut pictures = vec![flat(format, [30, 128, 128]); 4];
    pictures.extend(pattern(format, 8));
    let qps = |rate: RateControl| {
        let (mut encoder, start) = (open(format, rate), Instant::now());
        let requests = (0..).map(|index| request(start, index));
        let coded =
            pictures.iter().zip(requests).map(|(picture, requested)| encoder.encode_as(picture, &requested).unwrap());
        coded.map(|coded| (coded.random_access, coded.meta.qp.unwrap().round() as u8)).collect::<Vec<_>>()
    };
    let best = qps(RateControl::Best(Qp::clamped(20)));
    assert!(best.iter().enumerate().all(|(index, (keyframe, _))| *keyframe == (index == 0)), "{best:?}");
    assert_eq!(best.iter().map(|(_, qp)| *qp).collect::<Vec<_>>(), [20, 20, 20, 20, 28, 26, 24, 22, 20, 20, 20, 20]);
    assert!(qps(RateControl::Qp(Qp::clamped(20))).iter().all(|(_, qp)| *qp == 20));
}

#[test]
fn a_picture_keeps_within_its_budget_at_once_and_without_a_keyframe() {
    let format = PictureFormat::limited(640, 360);
    let mut encoder = open(format, RateControl::Best(Qp::clamped(16)));
    assert!(encoder.keeps_within_budget());
    let pictures = pattern(format, 24);
    let start = Instant::now();
    let mut coded = Vec::new();
    for (index, picture) in (0..).zip(&pictures) {
        let free: Option<&CodedFrame> = coded.get(7);
        let budget = free.filter(|_| (8..16).contains(&index)).map(|free| {
            let bits = free.size_bytes() as u64 * 8 / 3;
            BitBudget { picture_bits: bits, keyframe_bits: bits * 4 }
        });
        coded.push(encoder.encode_as(picture, &FrameRequest { budget, ..request(start, index) }).unwrap());
    }
    assert!(coded.iter().enumerate().all(|(index, coded)| coded.random_access == (index == 0)));
    let qps: Vec<f32> = coded.iter().map(|coded| coded.meta.qp.unwrap()).collect();
    assert!(qps[..8].iter().all(|qp| *qp == 16.0) && qps[8] > 20.0, "{qps:?}");
    assert_eq!(qps[23], 16.0, "{qps:?}");
    let mean = |range: std::ops::Range<usize>| coded[range].iter().map(|coded| coded.size_bytes()).sum::<usize>();
    assert!(mean(9..16) < mean(1..8) / 2, "{} bytes, before {}", mean(9..16), mean(1..8));
    assert!(!open(format, RateControl::Qp(Qp::clamped(16))).keeps_within_budget(), "a fixed QP is fixed");
}

#[test]
fn a_bitrate_is_kept_by_x265_without_its_own_rate_control() {
    let format = PictureFormat::limited(640, 360);
    let mut encoder = open(format, RateControl::Bitrate(Bitrate::new(400_000).unwrap()));
    let start = Instant::now();
    let pictures = pattern(format, 90);
    let sizes: Vec<usize> = (0..)
        .zip(&pictures)
        .map(|(index, picture)| encoder.encode_as(picture, &request(start, index)).unwrap().annexb_bytes())
        .collect();
    let rate = sizes[30..].iter().sum::<usize>() as f64 * 8.0 / 2.0;
    assert!((320e3..480e3).contains(&rate), "{rate} bits/s");
}

#[test]
fn range_matrix_and_levels_survive() {
    for (range, matrix, luma) in [
        (Range::Full, Matrix::Bt601, 8),
        (Range::Full, Matrix::Bt709, 250),
        (Range::Limited, Matrix::Bt601, 235),
        (Range::Limited, Matrix::Bt709, 16),
    ] {
        let mut format = small(range);
        format.colour.matrix = matrix;
        let values = [luma, 90, 160];
        let coded = open(format, RateControl::Qp(Qp::clamped(20))).encode(&flat(format, values), false).unwrap();
        let decoded = decode_one(&mut decoder(), &coded, 0).picture;
        assert_eq!(decoded.format(), format);
        for (index, value) in values.into_iter().enumerate() {
            let mut samples = decoded.rows(index).flatten();
            assert!(samples.all(|sample| sample.abs_diff(value) <= 2));
        }
    }
}

#[test]
fn damage_is_reported_until_the_next_keyframe() {
    let format = PictureFormat::limited(320, 192);
    let mut encoder = open(format, RateControl::Qp(Qp::clamped(25)));
    let coded: Vec<CodedFrame> = pattern(format, 8)
        .iter()
        .enumerate()
        .map(|(index, picture)| encoder.encode(picture, index == 6).unwrap())
        .collect();
    let mut decoder = decoder();
    let mut damaged = Vec::new();
    // Picture 2 never arrives, so that 3 to 5 build on nothing.
    for (index, unit) in coded.iter().enumerate().filter(|(index, _)| *index != 2) {
        let mut out = Vec::new();
        let _ = decoder.decode(unit, index as i64, &mut out);
        damaged.extend(out.iter().map(|one| (one.tag, one.damaged)));
    }
    let clean: Vec<i64> = damaged.iter().filter(|one| !one.1).map(|one| one.0).collect();
    assert_eq!(clean, [0, 1, 6, 7]);
}

#[test]
fn a_decoder_that_joins_late_says_damaged() {
    let format = PictureFormat::limited(320, 192);
    let mut encoder = open(format, RateControl::Qp(Qp::clamped(25)));
    let coded: Vec<CodedFrame> =
        pattern(format, 3).iter().map(|picture| encoder.encode(picture, false).unwrap()).collect();
    let mut decoder = decoder();
    let mut out = Vec::new();
    let _ = decoder.decode(&coded[1], 0, &mut out);
    assert!(out.iter().all(|decoded| decoded.damaged));
}

#[test]
fn garbage_is_an_error_or_nothing_and_then_it_goes_on() {
    let format = PictureFormat::limited(320, 192);
    let mut decoder = decoder();
    let mut seed = 7_u32;
    for length in [0, 1, 3, 4, 64, 1000, 70_000] {
        let mut noise: Vec<u8> = Vec::new();
        noise.resize_with(length, || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 24) as u8
        });
        let mut out = Vec::new();
        let frame = |noise: &[u8]| CodedFrame::new(CodecId::H265, RtpTicks(0), vec![Bytes::copy_from_slice(noise)]);
        let _ = decoder.decode(&frame(&noise), 0, &mut out);
        noise.splice(0..0, [0x26, 1]);
        let _ = decoder.decode(&frame(&noise), 0, &mut out);
        assert!(out.iter().all(|decoded| decoded.damaged));
    }
    let coded = open(format, RateControl::Qp(Qp::clamped(25))).encode(&pattern(format, 1)[0], false);
    assert!(!decode_one(&mut decoder, &coded.unwrap(), 5).damaged);
}

#[test]
fn a_cut_frame_is_not_passed_off_as_whole() {
    let format = PictureFormat::limited(640, 360);
    let picture = &pattern(format, 1)[0];
    let coded = open(format, RateControl::Qp(Qp::clamped(18))).encode(picture, false).unwrap();
    let mut out = Vec::new();
    // Within the slice's header: FFmpeg conceals what is missing behind it without logging an error, unless the encoder used
    // wavefronts and so signalled where each row begins. The depacketizer knows of lost packets in any case.
    let mut cut = coded.clone();
    let slice = cut.nals.iter_mut().rfind(|nal| CodecId::H265.nal_kind(nal).is_slice()).unwrap();
    slice.truncate(3);
    let result = decoder().decode(&cut, 0, &mut out);
    assert!(result.is_err() || out.iter().all(|decoded| decoded.damaged));
}

#[test]
fn auto_falls_back_and_says_what_it_tried() {
    let mut requested = settings(small(Range::Limited), RateControl::Qp(Qp::clamped(30)));
    requested.options.choice = EncoderChoice::Auto;
    let (encoder, rejected) = Encoder::open(&requested).unwrap();
    assert!(rejected.iter().all(|one| !one.why.is_empty() && !one.why.contains('\n')));
    let works: Vec<String> = encoders().into_iter().filter(|info| info.works.is_ok()).map(|info| info.name).collect();
    assert_eq!(works.first().map(String::as_str), Some(encoder.name()));
    assert!(works.contains(&"libx265".to_owned()));
}

#[test]
fn what_cannot_be_opened_says_why() {
    let format = small(Range::Limited);
    let error = |change: &dyn Fn(&mut EncoderSettings)| {
        let mut requested = settings(format, RateControl::Qp(Qp::clamped(30)));
        change(&mut requested);
        Encoder::open(&requested).err().unwrap().to_string()
    };
    assert!(error(&|s| s.options.preset = Some("warp".to_owned())).contains("ultrafast"));
    assert!(error(&|s| s.options.choice = EncoderChoice::Named("h264".to_owned())).contains("h264"));
    assert!(error(&|s| s.format.width = 321).contains("321x192"));
    assert_eq!("x265".parse(), Ok(EncoderChoice::Named("libx265".to_owned())));
    assert_eq!("hevc_nvenc".parse::<EncoderChoice>(), "nvenc".parse());
    assert!("h264".parse::<EncoderChoice>().is_err());
}

#[test]
fn a_picture_of_another_size_is_refused() {
    let mut encoder = open(small(Range::Limited), RateControl::Qp(Qp::clamped(30)));
    let other = Picture::new(small(Range::Full)).unwrap();
    assert!(matches!(encoder.encode(&other, false), Err(EncodeError::Format { .. })));
}

#[test]
fn a_coded_picture_outlives_its_encoder() {
    let format = small(Range::Limited);
    let mut encoder = open(format, RateControl::Qp(Qp::clamped(30)));
    let coded = encoder.encode(&pattern(format, 1)[0], false).unwrap();
    drop(encoder);
    let thread = std::thread::spawn(move || coded.random_access && coded.nals.iter().all(|nal| !nal.is_empty()));
    assert!(thread.join().unwrap());
}
