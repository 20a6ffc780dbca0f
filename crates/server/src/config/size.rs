//! Sizes with their units, such as `"512 MiB"`.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// The units that a size may have (upper and lower case are the same), and how many bytes each stands for.
const UNITS: [(&str, u64); 8] = [
    ("mib", 1 << 20),
    ("m", 1 << 20),
    ("mb", 1_000_000),
    ("gib", 1 << 30),
    ("g", 1 << 30),
    ("gb", 1_000_000_000),
    ("tib", 1 << 40),
    ("kib", 1 << 10),
];
/// The sizes that are accepted, in bytes: with less than 64 MiB the server could not serve even a few connections.
const RANGE_BYTES: std::ops::RangeInclusive<u64> = 64 << 20..=1 << 40;

/// Deserializes a size such as `"512 MiB"` into bytes, for `serde(deserialize_with)`.
pub(super) fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let bytes = match toml::Value::deserialize(deserializer)? {
        toml::Value::String(text) => parse(&text),
        _ => None,
    };
    let bytes = bytes.ok_or_else(|| D::Error::custom("a size with its unit is wanted here, such as \"512 MiB\""))?;
    match RANGE_BYTES.contains(&bytes) {
        true => Ok(bytes),
        false => Err(D::Error::custom("64 MiB to 1 TiB are taken")),
    }
}

fn parse(text: &str) -> Option<u64> {
    let text = text.trim();
    let unit_at = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(unit_at);
    let unit = unit.trim().to_ascii_lowercase();
    let (_, unit_bytes) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let bytes = number.parse::<f64>().ok()? * *unit_bytes as f64;
    // The cast saturates: a number that is too large becomes `u64::MAX`, which is out of range.
    Some(bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_units() {
        for (text, bytes) in [
            ("512 MiB", Some(512 << 20)),
            ("1GiB", Some(1 << 30)),
            (" 1.5 gib ", Some(3 << 29)),
            ("2 GB", Some(2_000_000_000)),
            ("300M", Some(300 << 20)),
            ("5", None),
            ("MiB", None),
            ("1.2.3 MiB", None),
            ("-1 MiB", None),
            ("5 ells", None),
            ("", None),
            ("１ MiB", None),
        ] {
            assert_eq!(parse(text), bytes, "{text:?}");
        }
    }
}
