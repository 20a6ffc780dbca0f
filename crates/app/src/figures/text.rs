//! Figures as people read them.

/// A time since the start: `1:02`, minutes and seconds.
pub fn clock(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

/// Bits a second: `812 kbit/s`, `4.31 Mbit/s`.
pub fn bits_per_second(bits: u64) -> String {
    match bits {
        0..=999_999 => format!("{} kbit/s", bits.div_ceil(1000)),
        _ => format!("{:.2} Mbit/s", bits as f64 / 1e6),
    }
}

/// Rounded to a thousandth, which is below what any figure here means.
pub fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// A figure that may not be known: `—` then, never a guess.
pub fn optional<T>(value: Option<T>, show: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| "—".to_owned(), show)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_units() {
        assert_eq!((clock(62.4), clock(5.0)), ("1:02".into(), "0:05".into()));
        assert_eq!(bits_per_second(812_000), "812 kbit/s");
        assert_eq!(bits_per_second(4_311_000), "4.31 Mbit/s");
        assert_eq!(optional(None::<f64>, |x| x.to_string()), "—");
    }
}
