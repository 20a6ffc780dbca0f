//! RTP time stamps, which wrap, as the time stamps of a file or a container, which do not.

use hevcast_wire::time::RtpTicks;

/// Counts on from the first time stamp, which is 0.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unwrapper {
    last: Option<(RtpTicks, i64)>,
}

impl Unwrapper {
    /// Where `timestamp` stands, in ticks of 90 kHz: later than the last by at least one, for equal time stamps would be
    /// one picture.
    pub fn ticks(&mut self, timestamp: RtpTicks) -> i64 {
        let ticks = match self.last {
            None => 0,
            Some((last, ticks)) => ticks + i64::from(timestamp.0.wrapping_sub(last.0) as i32).max(1),
        };
        self.last = Some((timestamp, ticks));
        ticks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts_on_over_the_wrap_and_never_back() {
        let mut unwrapper = Unwrapper::default();
        let ticks = [u32::MAX - 10, u32::MAX, 20, 20, 10, 3020].map(|n| unwrapper.ticks(RtpTicks(n)));
        assert_eq!(ticks, [0, 10, 31, 32, 33, 3043]);
    }
}
