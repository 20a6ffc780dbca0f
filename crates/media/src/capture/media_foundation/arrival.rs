//! What a call of `IMFSourceReaderCallback::OnReadSample` says, and which pictures are missing before it.

use super::failure::Failure;

/// `MF_SOURCE_READER_FLAG`
mod flag {
    pub(super) const ERROR: u32 = 0x1;
    pub(super) const END_OF_STREAM: u32 = 0x2;
    pub(super) const CURRENT_MEDIA_TYPE_CHANGED: u32 = 0x20;
    pub(super) const STREAM_TICK: u32 = 0x100;
}

/// E_FAIL: what a reader that says no more than `ERROR` is taken to mean.
const UNSPECIFIED: i32 = 0x8000_4005_u32.cast_signed();

/// What a call says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// It has a picture.
    Picture,
    /// It has none: nothing came, or the driver dropped one, which [`Gaps`] counts.
    Nothing,
    /// There will be no more.
    Failed(Failure),
}

impl Arrival {
    /// The meaning of a call with this status, these flags, and a sample or none.
    pub(super) fn of(status: i32, flags: u32, has_sample: bool) -> Arrival {
        if status < 0 {
            Arrival::Failed(Failure::Code(status))
        } else if flags & flag::ERROR != 0 {
            Arrival::Failed(Failure::Code(UNSPECIFIED))
        } else if flags & flag::END_OF_STREAM != 0 {
            Arrival::Failed(Failure::Ended)
        } else if has_sample {
            Arrival::Picture
        } else {
            Arrival::Nothing
        }
    }
}

/// Whether the pictures from this call on may be of another media type.
pub(super) fn changes_type(flags: u32) -> bool {
    flags & flag::CURRENT_MEDIA_TYPE_CHANGED != 0
}

/// Counts the gaps in a stream: a tick stands for a sample that is missing, and a sample that does not continue the one before
/// it (MFSampleExtension_Discontinuity) stands for at least one. The first sample continues none.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Gaps {
    has_begun: bool,
    has_ticked: bool,
}

impl Gaps {
    /// Pictures that are missing, by a call with these flags.
    pub(super) fn missing(&mut self, flags: u32, has_sample: bool, is_discontinuous: bool) -> u64 {
        let ticks = flags & flag::STREAM_TICK != 0 && self.has_begun;
        let jumps = has_sample && is_discontinuous && self.has_begun && !self.has_ticked && !ticks;
        self.has_begun |= has_sample;
        self.has_ticked = (ticks || self.has_ticked) && !has_sample;
        u64::from(ticks || jumps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_say_what_came() {
        assert_eq!(Arrival::of(0, 0, true), Arrival::Picture);
        assert_eq!(Arrival::of(0, 0x100, false), Arrival::Nothing);
        assert_eq!(Arrival::of(0, 0x2, false), Arrival::Failed(Failure::Ended));
        assert_eq!(Arrival::of(0, 0x1, true), Arrival::Failed(Failure::Code(UNSPECIFIED)));
        let gone = 0xC00D_3EA2_u32.cast_signed();
        assert_eq!(Arrival::of(gone, 0x3, false), Arrival::Failed(Failure::Code(gone)));
        assert!(changes_type(0x20) && changes_type(0x30) && !changes_type(0x10));
    }

    #[test]
    fn gaps_are_counted_once() {
        let mut gaps = Gaps::default();
        assert_eq!(gaps.missing(0x100, false, false), 0, "a tick before the stream begins");
        assert_eq!(gaps.missing(0, true, true), 0, "the first sample");
        assert_eq!(gaps.missing(0, true, false), 0);
        assert_eq!(gaps.missing(0, true, true), 1);
        assert_eq!(gaps.missing(0x100, false, false), 1);
        assert_eq!(gaps.missing(0x100, false, false), 1);
        assert_eq!(gaps.missing(0, true, true), 0, "the gap of the ticks before it");
        assert_eq!(gaps.missing(0, true, true), 1);
        assert_eq!(gaps.missing(0x100, true, true), 1);
        assert_eq!(gaps.missing(0, true, false), 0);
    }
}
