//! Reads values as people write them on the command line and in the windows.

#[cfg(feature = "media")]
mod media;

use std::time::Duration;

use hevcast_net::Clock;

#[cfg(feature = "media")]
pub(crate) use self::media::*;

/// Longest time accepted: one year.
const LONGEST_SECONDS: f64 = 366.0 * 24.0 * 3600.0;

/// Reads how far a clock is off, and how fast it drifts, as `SECONDS,PPM`: two signed whole numbers.
///
/// # Errors
/// How to write it, in one line.
pub(crate) fn clock_skew(text: &str) -> Result<Clock, String> {
    let parsed = text.split_once(',').and_then(|(seconds, ppm)| Some((seconds.parse().ok()?, ppm.parse().ok()?)));
    let (seconds, ppm): (i32, i32) = parsed.ok_or_else(|| format!("`{text}` is not SECONDS,PPM, such as -3600,200"))?;
    Ok(Clock::skewed(i64::from(seconds) * 1_000_000, i64::from(ppm)))
}

/// Reads a time: `500ms`, `2s`, `1.5m`, `1h`; a bare number is seconds.
///
/// # Errors
/// How to write it, or its bounds, in one line.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let scale = match &text[digits.len()..] {
        "ms" => 1e-3,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err("write a time such as 500ms, 2s, 5m or 1h".to_owned()),
    };
    let seconds = digits.parse::<f64>().map_err(|_| "write a time such as 500ms, 2s, 5m or 1h".to_owned())? * scale;
    if !(seconds > 0.0 && seconds <= LONGEST_SECONDS) {
        return Err("the time must be greater than 0 and at most 1 year".to_owned());
    }
    Ok(Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1.5m"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("10"), Ok(Duration::from_secs(10)));
        for bad in ["", "s", "-1s", "nan", "1y", "9999999h", "1e999s"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
