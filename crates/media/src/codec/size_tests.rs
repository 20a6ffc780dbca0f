//! The default at every size and rate, and in ten bits.

use super::engine::Engine;
use super::tests::{decode_one, decoder, open, settings};
use super::*;
use crate::FrameRate;
use crate::picture::{Colour, Depth, Matrix, Picture, PictureFormat, Range, Transfer};

/// A size and rate that the default has to open for, and whether pictures are coded too.
const SIZES: [(u32, u32, u32, bool); 26] = [
    (16, 16, 1, true),
    (16, 16, 240, true),
    (18, 34, 30, true),
    (64, 16, 30, true),
    (16, 64, 30, true),
    (320, 240, 240, true),
    (640, 480, 30, true),
    (1280, 720, 144, true),
    (1280, 720, 240, true),
    (1366, 768, 60, true),
    (1920, 1080, 1, true),
    (1920, 1080, 60, true),
    (1920, 1080, 75, true),
    (1920, 1080, 120, true),
    (1920, 1200, 30, true),
    (2560, 1440, 30, true),
    (1440, 2560, 30, true),
    (8192, 16, 30, true),
    (16, 8192, 30, true),
    (8192, 32, 30, true),
    (3840, 2160, 60, false),
    (4096, 2160, 24, false),
    (7680, 4320, 30, false),
    (8192, 4320, 120, false),
    (8192, 4320, 240, false),
    (4320, 8192, 1, false),
];

#[test]
fn the_default_opens_at_every_size_and_rate() {
    for (width, height, fps, is_coded) in SIZES {
        let what = format!("{width}x{height} at {fps}");
        let mut settings = settings(PictureFormat::limited(width, height), RateControl::Best(Qp::clamped(23)));
        settings.frame_rate = FrameRate::whole(fps);
        if !is_coded {
            Engine::open(backend::find("libx265").unwrap(), &settings, "ultrafast")
                .unwrap_or_else(|error| panic!("{what}: {error}"));
            continue;
        }
        let (mut encoder, _) = Encoder::open(&settings).unwrap_or_else(|error| panic!("{what}: {error}"));
        let picture = Picture::new(settings.format).unwrap();
        let coded = encoder.encode(&picture, true).unwrap();
        let mut decoder = decoder();
        let decoded = decode_one(&mut decoder, &coded, 1);
        assert_eq!(decoded.picture.format(), settings.format, "{what}");
        assert!(decoded.picture.luma_psnr(&picture) > 40.0, "{what}");
    }
}

#[test]
fn presets_open_for_small_pictures_too() {
    for preset in ["ultrafast", "medium"] {
        for (width, height) in [(16, 16), (48, 30), (1920, 62)] {
            let mut settings = settings(PictureFormat::limited(width, height), RateControl::Qp(Qp::clamped(23)));
            settings.options.preset = Some(preset.to_owned());
            assert!(Encoder::open(&settings).is_ok(), "{preset} {width}x{height}");
        }
    }
}

#[test]
fn hdr_keeps_its_description_in_ten_bits() {
    if !codes_ten_bits() {
        eprintln!("skipped: this libx265 codes no 10 bits");
        return;
    }
    for (transfer, code_point) in [(Transfer::Pq, 16), (Transfer::Hlg, 18)] {
        let colour = Colour { range: Range::Limited, matrix: Matrix::Bt2020, transfer };
        let format = PictureFormat { depth: Depth::Ten, ..PictureFormat::new(320, 192, colour) };
        let mut encoder = open(format, RateControl::Best(Qp::clamped(20)));
        let sps = encoder.parameter_sets().sps().and_then(|sps| hevcast_wire::h265::parse_sps(sps).ok()).unwrap();
        assert_eq!((sps.bit_depth_luma, sps.profile.profile_idc), (10, 2));
        let said = sps.colour.unwrap();
        assert_eq!((said.primaries, said.transfer, said.matrix), (9, code_point, 9));
        let coded = encoder.encode(&Picture::new(format).unwrap(), true).unwrap();
        let decoded = decode_one(&mut decoder(), &coded, 1);
        // Shown in 8 bits, with what the samples mean.
        assert_eq!(decoded.picture.format(), PictureFormat::new(320, 192, colour));
        assert!(decoded.picture.rows(0).flatten().all(|sample| sample.abs_diff(16) <= 1));
    }
}
