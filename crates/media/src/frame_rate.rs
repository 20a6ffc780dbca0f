//! Frame rates as exact fractions: 30000/1001 stays what it is.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Pictures per second, as the fraction `num / den`. Both parts are at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FrameRate {
    num: u32,
    den: u32,
}

/// A text that is not a frame rate, or one out of bounds; it is what the error shows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a frame rate; write pictures per second such as 30, 29.97 or 30000/1001")]
pub struct NoFrameRate(pub String);

impl FrameRate {
    /// The highest rate accepted, in pictures per second.
    pub const MAX: u32 = 1000;

    /// `num / den` pictures per second; `None` for zero parts and above [`FrameRate::MAX`].
    pub fn new(num: u32, den: u32) -> Option<FrameRate> {
        let in_bounds = num > 0 && den > 0 && u64::from(num) <= u64::from(den) * 1000;
        in_bounds.then(|| {
            let common = gcd(num, den);
            FrameRate { num: num / common, den: den / common }
        })
    }

    /// A whole number of pictures per second, brought into `1..=MAX`.
    pub const fn whole(fps: u32) -> FrameRate {
        let num = match fps {
            0 => 1,
            1..=Self::MAX => fps,
            _ => Self::MAX,
        };
        FrameRate { num, den: 1 }
    }

    /// Numerator of the reduced fraction: pictures per [`FrameRate::den`] seconds.
    pub fn num(self) -> u32 {
        self.num
    }

    /// Denominator of the reduced fraction: seconds in which [`FrameRate::num`] pictures are shown.
    pub fn den(self) -> u32 {
        self.den
    }

    /// Pictures per second, for display and for comparing.
    pub fn per_second(self) -> f64 {
        f64::from(self.num) / f64::from(self.den)
    }

    /// Time from one picture to the next, rounded down to a nanosecond.
    pub fn interval(self) -> Duration {
        self.time_of(1)
    }

    /// Time from picture 0 to picture `index`, without accumulated rounding.
    pub fn time_of(self, index: u64) -> Duration {
        let nanos = u128::from(index) * u128::from(self.den) * 1_000_000_000 / u128::from(self.num);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Whether both name the same rate within half a percent (29.97 is not 30.5, but is 30).
    pub fn is_about(self, other: FrameRate) -> bool {
        (self.per_second() / other.per_second() - 1.0).abs() < 0.005
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl FromStr for FrameRate {
    type Err = NoFrameRate;

    fn from_str(text: &str) -> Result<FrameRate, NoFrameRate> {
        parse(text.trim()).ok_or_else(|| NoFrameRate(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<FrameRate> {
    if let Some((num, den)) = text.split_once('/') {
        return FrameRate::new(num.trim().parse().ok()?, den.trim().parse().ok()?);
    }
    if let Ok(whole) = text.parse::<u32>() {
        return FrameRate::new(whole, 1);
    }
    let fps: f64 = text.parse().ok()?;
    if !(0.001..=f64::from(FrameRate::MAX)).contains(&fps) {
        return None;
    }
    // 23.976, 29.97, 59.94 are the NTSC fractions of 1001; anything else is taken to a thousandth.
    let ntsc = FrameRate::new((fps.round() * 1000.0) as u32, 1001);
    match ntsc {
        Some(rate) if (rate.per_second() - fps).abs() < 0.0051 && fps.fract() != 0.0 => Some(rate),
        _ => FrameRate::new((fps * 1000.0).round() as u32, 1000),
    }
}

impl fmt::Display for FrameRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.den == 1 {
            return write!(f, "{}", self.num);
        }
        let text = format!("{:.2}", self.per_second());
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_whole_decimal_and_fraction() {
        assert_eq!("30".parse(), Ok(FrameRate::whole(30)));
        assert_eq!("29.97".parse::<FrameRate>().unwrap().den(), 1001);
        assert_eq!("30000/1001".parse::<FrameRate>().unwrap().num(), 30000);
        assert_eq!("12.5".parse::<FrameRate>().unwrap(), FrameRate::new(25, 2).unwrap());
        for bad in ["", "0", "-3", "x", "30/0", "1001", "nan", "inf", "1/0/2"] {
            assert!(bad.parse::<FrameRate>().is_err(), "{bad}");
        }
    }

    #[test]
    fn shows_as_people_write_it() {
        assert_eq!(FrameRate::whole(30).to_string(), "30");
        assert_eq!(FrameRate::new(30000, 1001).unwrap().to_string(), "29.97");
        assert_eq!(FrameRate::new(25, 2).unwrap().to_string(), "12.5");
    }

    #[test]
    fn times_do_not_drift() {
        let ntsc = FrameRate::new(30000, 1001).unwrap();
        assert_eq!(ntsc.time_of(30000), Duration::from_secs(1001));
        assert!(ntsc.is_about(FrameRate::whole(30)));
        assert!(!FrameRate::whole(25).is_about(FrameRate::whole(24)));
    }
}
