//! The choice of x265's coding tree unit (CTU) size for the pictures' size and rate.
//!
//! Units of 16 samples are coded fastest (`hevcast-bench encoder`), but H.265 does not allow them from level 5 on, and
//! x265 then does not open. Nor does it open for a picture whose shorter side is less than one unit.

use hevcast_wire::h265::Level;

use super::settings::EncoderSettings;

/// x265 pads pictures to whole coding units, which have at least this size each way in its fastest preset.
const PADDED_TO: u32 = 16;
/// The least size beyond the highest level: all encoders and decoders for such pictures support it.
const BEYOND_ALL_LEVELS: u32 = 32;
/// x265's sizes, the largest first.
const SIZES: [u32; 3] = [64, 32, 16];
/// Presets that use units of 32 samples; the slower ones use 64.
const FAST_PRESETS: [&str; 2] = ["ultrafast", "superfast"];

/// The chosen size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TreeUnits {
    /// Luma samples each way: 16, 32 or 64.
    pub(super) size: u32,
    /// No size fits both the level and the picture: for strips such as 8192x16, which are coded against the level's rule.
    pub(super) breaks_level: bool,
}

impl TreeUnits {
    /// The smallest size that the level allows, or that of a given preset, but at most the picture's shorter side.
    pub(super) fn of(settings: &EncoderSettings) -> TreeUnits {
        let (width, height) = (settings.format.width, settings.format.height);
        let padded = |side: u32| side.next_multiple_of(PADDED_TO);
        let rate = settings.frame_rate;
        let level = Level::lowest(padded(width), padded(height), rate.num(), rate.den());
        let least = level.map_or(BEYOND_ALL_LEVELS, Level::smallest_ctb);
        let most = SIZES.into_iter().find(|size| *size <= width.min(height)).unwrap_or(PADDED_TO);
        let wanted = match settings.options.preset.as_deref() {
            None => least,
            Some(preset) if FAST_PRESETS.contains(&preset) => 32,
            Some(_) => 64,
        };
        TreeUnits { size: wanted.min(most), breaks_level: least > most }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FrameRate;
    use crate::codec::{EncoderChoice, EncoderOptions, Qp, RateControl};
    use crate::picture::PictureFormat;

    fn units(width: u32, height: u32, fps: u32, preset: Option<&str>) -> (u32, bool) {
        let settings = EncoderSettings {
            format: PictureFormat::limited(width, height),
            frame_rate: FrameRate::whole(fps),
            options: EncoderOptions {
                choice: EncoderChoice::Named("libx265".to_owned()),
                rate: RateControl::Qp(Qp::clamped(23)),
                preset: preset.map(str::to_owned),
                keyframe_interval: Some(std::time::Duration::from_secs(2)),
                ..EncoderOptions::default()
            },
        };
        let TreeUnits { size, breaks_level } = TreeUnits::of(&settings);
        (size, breaks_level)
    }

    #[test]
    fn small_where_allowed_and_larger_from_level_5_on() {
        for (width, height, fps) in
            [(16, 16, 240), (640, 480, 30), (1920, 1080, 30), (1920, 1080, 60), (1280, 720, 144)]
        {
            assert_eq!(units(width, height, fps, None), (16, false), "{width}x{height} at {fps}");
        }
        for (width, height, fps) in [
            (1920, 1080, 75),
            (1920, 1080, 120),
            (1920, 1200, 1),
            (1280, 720, 240),
            (1440, 2560, 30),
            (3840, 2160, 30),
            (8192, 4320, 240),
            (8192, 8192, 240),
            (8192, 32, 1),
        ] {
            assert_eq!(units(width, height, fps, None), (32, false), "{width}x{height} at {fps}");
        }
    }

    #[test]
    fn a_unit_is_never_larger_than_the_picture() {
        assert_eq!(units(8192, 16, 30, None), (16, true));
        assert_eq!(units(16, 8192, 30, None), (16, true));
        assert_eq!(units(640, 480, 30, Some("medium")), (64, false));
        assert_eq!(units(640, 62, 30, Some("medium")), (32, false));
        assert_eq!(units(30, 640, 30, Some("medium")), (16, false));
        assert_eq!(units(1920, 1080, 120, Some("ultrafast")), (32, false));
        assert_eq!(units(16, 16, 30, Some("ultrafast")), (16, false));
        for width in (16..8192).step_by(14) {
            for height in [16, 30, 62, 1080, 8192] {
                let (size, breaks_level) = units(width, height, 30, None);
                assert!(size <= width.min(height), "{width}x{height}");
                assert!(breaks_level || size >= 32 || u64::from(width) * u64::from(height) <= 2_228_224);
            }
        }
    }
}
