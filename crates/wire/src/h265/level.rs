//! The lowest level that a size and rate of pictures fit in, and what it asks of an encoder (H.265 clause A.4.1,
//! tables A.8 and A.9).

/// A level of the Main profiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// general_level_idc: 30 times the level's number.
    idc: u8,
    /// MaxLumaPs: luma samples of a picture.
    max_luma_samples: u64,
    /// MaxLumaSr: luma samples a second.
    max_luma_samples_per_second: u64,
}

const fn level(idc: u8, max_luma_samples: u64, max_luma_samples_per_second: u64) -> Level {
    Level { idc, max_luma_samples, max_luma_samples_per_second }
}

/// Tables A.8 and A.9, the lowest level first.
const LEVELS: [Level; 13] = [
    level(30, 36_864, 552_960),
    level(60, 122_880, 3_686_400),
    level(63, 245_760, 7_372_800),
    level(90, 552_960, 16_588_800),
    level(93, 983_040, 33_177_600),
    level(120, 2_228_224, 66_846_720),
    level(123, 2_228_224, 133_693_440),
    level(150, 8_912_896, 267_386_880),
    level(153, 8_912_896, 534_773_760),
    level(156, 8_912_896, 1_069_547_520),
    level(180, 35_651_584, 1_069_547_520),
    level(183, 35_651_584, 2_139_095_040),
    level(186, 35_651_584, 4_278_190_080),
];

/// general_level_idc of level 5, from which on coding tree blocks of 16 samples are not allowed.
const LEVEL_5: u8 = 150;

impl Level {
    /// The lowest level for pictures of `width` by `height` coded luma samples, `pictures` of them in `seconds`. `None`
    /// beyond level 6.2, and for sides or a time of zero.
    pub fn lowest(width: u32, height: u32, pictures: u32, seconds: u32) -> Option<Level> {
        if width == 0 || height == 0 || seconds == 0 {
            return None;
        }
        let samples = u64::from(width) * u64::from(height);
        let is_enough = |level: &&Level| {
            // Neither side may be longer than the square root of 8 MaxLumaPs.
            let longest = u64::from(width.max(height));
            samples <= level.max_luma_samples
                && longest * longest <= 8 * level.max_luma_samples
                && u128::from(samples) * u128::from(pictures)
                    <= u128::from(level.max_luma_samples_per_second) * u128::from(seconds)
        };
        LEVELS.iter().find(is_enough).copied()
    }

    /// general_level_idc: 30 times the level's number, so 93 is level 3.1.
    pub fn idc(self) -> u8 {
        self.idc
    }

    /// The smallest coding tree block it allows, in luma samples each way.
    pub fn smallest_ctb(self) -> u32 {
        if self.idc < LEVEL_5 { 16 } else { 32 }
    }
}

impl std::fmt::Display for Level {
    /// As people write it: `5` or `5.1`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.idc / 30, self.idc % 30 / 3) {
            (whole, 0) => write!(f, "{whole}"),
            (whole, tenth) => write!(f, "{whole}.{tenth}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn named(width: u32, height: u32, fps: u32) -> String {
        Level::lowest(width, height, fps, 1).map_or("none".to_owned(), |level| level.to_string())
    }

    /// Table A.10 gives the rates at which common sizes leave each level; clause A.4.1 the rest.
    #[test]
    fn sizes_and_rates_have_their_levels() {
        for (width, height, fps, expected) in [
            (16, 16, 1, "1"),
            (176, 144, 15, "1"),
            (352, 288, 30, "2"),
            (640, 368, 30, "2.1"),
            (640, 480, 30, "3"),
            (1280, 720, 30, "3.1"),
            (1280, 720, 60, "4"),
            (1280, 720, 144, "4.1"),
            (1280, 720, 240, "5"),
            (1920, 1088, 30, "4"),
            (1920, 1088, 60, "4.1"),
            (1920, 1088, 64, "4.1"),
            (1920, 1088, 65, "5"),
            (1920, 1088, 75, "5"),
            (1920, 1088, 120, "5"),
            (1920, 1200, 1, "5"),
            (2560, 1440, 30, "5"),
            (1440, 2560, 30, "5"),
            (3840, 2160, 30, "5"),
            (3840, 2160, 60, "5.1"),
            (3840, 2160, 120, "5.2"),
            (3840, 2160, 240, "6.1"),
            (4096, 2160, 24, "5"),
            (7680, 4320, 5, "6"),
            (7680, 4320, 60, "6.1"),
            (8192, 4320, 120, "6.2"),
            (8192, 4320, 240, "none"),
            (8192, 8192, 1, "none"),
            // By its longer side alone.
            (4222, 16, 1, "4"),
            (4223, 16, 1, "5"),
            (16, 8192, 1, "5"),
            (0, 16, 1, "none"),
            (16, 0, 1, "none"),
        ] {
            assert_eq!(named(width, height, fps), expected, "{width}x{height} at {fps}");
        }
        assert_eq!(Level::lowest(640, 480, 30, 0), None);
        assert_eq!(Level::lowest(1920, 1088, 60_000, 1001).map(Level::idc), Some(123));
    }

    #[test]
    fn small_blocks_end_with_level_4_1() {
        let smallest: Vec<_> = LEVELS.iter().map(|level| (level.to_string(), level.smallest_ctb())).collect();
        assert!(smallest[..7].iter().all(|(_, ctb)| *ctb == 16), "{smallest:?}");
        assert!(smallest[7..].iter().all(|(_, ctb)| *ctb == 32), "{smallest:?}");
        assert_eq!((smallest[6].0.as_str(), smallest[7].0.as_str()), ("4.1", "5"));
    }

    proptest! {
        #[test]
        fn larger_or_faster_is_never_a_lower_level(
            (width, height, fps) in (1_u32..20_000, 1_u32..20_000, 0_u32..1000),
            (wider, higher, faster) in (0_u32..2000, 0_u32..2000, 0_u32..100),
        ) {
            let idc = |level: Option<Level>| level.map_or(u8::MAX, Level::idc);
            let small = Level::lowest(width, height, fps, 1);
            let large = Level::lowest(width + wider, height + higher, fps + faster, 1);
            prop_assert!(idc(small) <= idc(large));
            prop_assert_eq!(small, Level::lowest(height, width, fps, 1), "upright or not");
        }
    }
}
