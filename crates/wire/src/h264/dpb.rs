//! How many pictures a decoder holds where the stream does not say so (H.264 clause A.3.1 and table A-1).

use super::sps::SpsProfile;

/// The most frames that any stream makes a decoder hold (clause A.3.1).
pub(super) const MAX_FRAMES: u8 = 16;

/// level_idc and MaxDpbMbs: the macroblocks of all pictures held, by level (table A-1). Level 1b has the same number as
/// level 1, under whichever of its two names (level_idc 9, or 11 with a constraint flag).
const MAX_DPB_MACROBLOCKS: [(u8, u32); 20] = [
    (9, 396),
    (10, 396),
    (11, 900),
    (12, 2376),
    (13, 2376),
    (20, 2376),
    (21, 4752),
    (22, 8100),
    (30, 8100),
    (31, 18_000),
    (32, 20_480),
    (40, 32_768),
    (41, 32_768),
    (42, 34_816),
    (50, 110_400),
    (51, 184_320),
    (52, 184_320),
    (60, 696_320),
    (61, 696_320),
    (62, 696_320),
];

/// MaxDpbFrames: the frames of `macroblocks` each that a decoder of the stream's level holds, 0 to 16. A level that the
/// standard does not have allows 16.
pub(super) fn max_frames(profile: &SpsProfile, macroblocks: u32) -> u8 {
    let is_1b = profile.level_idc == 11 && matches!(profile.profile_idc, 66 | 77 | 88) && profile.has_constraint(3);
    let level_idc = if is_1b { 9 } else { profile.level_idc };
    let known = MAX_DPB_MACROBLOCKS.iter().find(|(idc, _)| *idc == level_idc);
    let frames = known.and_then(|(_, all)| all.checked_div(macroblocks)).unwrap_or(u32::from(MAX_FRAMES));
    frames.min(u32::from(MAX_FRAMES)) as u8
}

/// Whether the profile is one of intra pictures only, which need no reordering and hold none (clause E.2.1): the High
/// profiles, where their constraint_set3_flag is set, and CAVLC 4:4:4 Intra.
pub(super) fn is_intra_only(profile: &SpsProfile) -> bool {
    matches!(profile.profile_idc, 44 | 86 | 100 | 110 | 122 | 244) && profile.has_constraint(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(profile_idc: u8, constraints: u8, level_idc: u8) -> SpsProfile {
        SpsProfile { profile_idc, constraints, level_idc, sps_id: 0 }
    }

    /// The frames that clause A.3.1 gives for common sizes.
    #[test]
    fn sizes_and_levels_have_their_frames() {
        for (level_idc, width, height, expected) in [
            (10, 176, 144, 4),
            (11, 176, 144, 9),
            (12, 352, 288, 6),
            (30, 640, 480, 6),
            (31, 1280, 720, 5),
            (40, 1920, 1088, 4),
            (42, 1920, 1088, 4),
            (51, 1920, 1088, 16),
            (51, 3840, 2160, 5),
            (62, 16, 16, 16),
            // Larger than the level allows, and a level that there is not.
            (10, 1920, 1088, 0),
            (77, 1920, 1088, 16),
        ] {
            let frames = max_frames(&profile(100, 0, level_idc), width / 16 * (height / 16));
            assert_eq!(frames, expected, "level {level_idc}, {width}x{height}");
        }
    }

    #[test]
    fn level_1b_has_two_names() {
        for (profile_idc, constraints, level_idc, expected) in
            [(66, 0x10, 11, 4), (66, 0, 11, 9), (100, 0x10, 11, 9), (100, 0, 9, 4)]
        {
            assert_eq!(max_frames(&profile(profile_idc, constraints, level_idc), 99), expected);
        }
    }

    #[test]
    fn intra_profiles_are_told_by_their_constraint() {
        assert!(is_intra_only(&profile(110, 0x10, 40)) && is_intra_only(&profile(44, 0x10, 40)));
        assert!(!is_intra_only(&profile(110, 0, 40)) && !is_intra_only(&profile(66, 0x10, 40)));
    }
}
