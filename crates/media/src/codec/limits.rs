//! The parameters of rate control as types which contain valid values only; their bounds are defined here alone.

use std::fmt;
use std::str::FromStr;

/// A number outside of its type's bounds, or a text that is no number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutOfBounds {
    /// Not a [`Qp`]: the text or number is not one from 0 to 51.
    #[error("a QP is a whole number from {} (finest) to {}", Qp::FINEST.0, Qp::COARSEST.0)]
    Qp,
    /// Not a [`Crf`]: the text or number is not one from 0 to 51.
    #[error("the constant rate factor lies between {} (best) and {}", Crf::BEST.0, Crf::WORST.0)]
    Crf,
    /// Not a [`Bitrate`]: the number is below 10 kbit/s or above 1 Gbit/s.
    #[error("the bitrate must lie between {}k and {}M bits per second", Bitrate::LEAST.0 / 1000, Bitrate::MOST.0 / 1_000_000)]
    Bitrate,
}

/// A quantisation parameter of pictures of 8 bits (H.265 section 7.4.7.1): each 6 more halve the precision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Qp(u8);

impl Qp {
    /// QP 0: the finest quantisation and the largest pictures.
    pub const FINEST: Qp = Qp(0);
    /// QP 51: the coarsest quantisation and the smallest pictures.
    pub const COARSEST: Qp = Qp(51);

    /// A QP within its bounds.
    ///
    /// # Errors
    /// [`OutOfBounds::Qp`]
    pub const fn new(qp: u8) -> Result<Qp, OutOfBounds> {
        match qp <= Qp::COARSEST.0 {
            true => Ok(Qp(qp)),
            false => Err(OutOfBounds::Qp),
        }
    }

    /// The valid QP nearest to this number.
    pub const fn clamped(qp: u8) -> Qp {
        match Qp::new(qp) {
            Ok(qp) => qp,
            Err(_) => Qp::COARSEST,
        }
    }

    /// The QP as a number from 0 to 51.
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// x265's constant rate factor: the perceived quality, on the scale of [`Qp`].
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Crf(f32);

impl Crf {
    /// Factor 0: the highest quality and the largest pictures.
    pub const BEST: Crf = Crf(0.0);
    /// Factor 51: the lowest quality and the smallest pictures.
    pub const WORST: Crf = Crf(51.0);

    /// A factor within its bounds.
    ///
    /// # Errors
    /// [`OutOfBounds::Crf`], also for NaN.
    pub fn new(crf: f32) -> Result<Crf, OutOfBounds> {
        match (Crf::BEST.0..=Crf::WORST.0).contains(&crf) {
            true => Ok(Crf(crf)),
            false => Err(OutOfBounds::Crf),
        }
    }

    /// The valid factor nearest to this number; the best for NaN.
    pub const fn clamped(crf: f32) -> Crf {
        // `max` returns the other operand where one is NaN.
        Crf(crf.max(Crf::BEST.0).min(Crf::WORST.0))
    }

    /// The factor as a number from 0 to 51.
    pub const fn get(self) -> f32 {
        self.0
    }
}

/// The bitrate that an encoder is set to, in bits/s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bitrate(u64);

impl Bitrate {
    /// 10 kbit/s: less does not carry a picture.
    pub const LEAST: Bitrate = Bitrate(10_000);
    /// 1 Gbit/s: more than any link that a live stream is sent over.
    pub const MOST: Bitrate = Bitrate(1_000_000_000);

    /// A bitrate within its bounds.
    ///
    /// # Errors
    /// [`OutOfBounds::Bitrate`]
    pub const fn new(bits: u64) -> Result<Bitrate, OutOfBounds> {
        match bits >= Bitrate::LEAST.0 && bits <= Bitrate::MOST.0 {
            true => Ok(Bitrate(bits)),
            false => Err(OutOfBounds::Bitrate),
        }
    }

    /// The number of bits per second.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl FromStr for Qp {
    type Err = OutOfBounds;

    fn from_str(text: &str) -> Result<Qp, OutOfBounds> {
        text.parse().map_or(Err(OutOfBounds::Qp), Qp::new)
    }
}

impl FromStr for Crf {
    type Err = OutOfBounds;

    fn from_str(text: &str) -> Result<Crf, OutOfBounds> {
        text.parse().map_or(Err(OutOfBounds::Crf), Crf::new)
    }
}

impl fmt::Display for Qp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Crf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Bitrate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_are_within_and_what_lies_beyond_is_not() {
        assert_eq!([0, 51, 52, 255].map(|qp| Qp::new(qp).is_ok()), [true, true, false, false]);
        assert_eq!([0, 51, 52, 255].map(|qp| Qp::clamped(qp).get()), [0, 51, 51, 51]);
        let crfs = [0.0, 23.5, 51.0, -0.1, 51.1, f32::NAN, f32::INFINITY];
        assert_eq!(crfs.map(|crf| Crf::new(crf).is_ok()), [true, true, true, false, false, false, false]);
        assert_eq!(crfs.map(|crf| Crf::clamped(crf).get()), [0.0, 23.5, 51.0, 0.0, 51.0, 0.0, 51.0]);
        let rates = [9_999, 10_000, 1_000_000_000, 1_000_000_001, u64::MAX];
        assert_eq!(rates.map(|bits| Bitrate::new(bits).is_ok()), [false, true, true, false, false]);
    }

    #[test]
    fn an_error_names_the_bounds() {
        for bad in ["", "52", "-1", "1e1", "256"] {
            let error = bad.parse::<Qp>().unwrap_err().to_string();
            assert!(error.contains("from 0 (finest) to 51"), "{bad}: {error}");
        }
        for bad in ["", "52", "nan", "-1"] {
            let error = bad.parse::<Crf>().unwrap_err().to_string();
            assert!(error.contains("between 0 (best) and 51"), "{bad}: {error}");
        }
        let error = Bitrate::new(1).unwrap_err().to_string();
        assert!(error.contains("between 10k and 1000M bits per second"), "{error}");
    }
}
