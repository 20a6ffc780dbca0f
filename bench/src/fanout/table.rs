//! What is printed of a run, and written as JSON.

use serde_json::{Value, json};

use super::measure::Measured;
use super::source::Publishing;

/// The heading over [`Row`]s.
pub const HEADING: &str = "\
readers                    CPU s/Gbit  ratio  reads   gaps  delay p50     p99     max  spread p50     p99    RSS MB  KiB/reader   Mbit/s  others %";

/// A run's line in the table.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// Who wrote.
    pub name: &'static str,
    /// How the publisher wrote; `None` of the limit.
    pub publishing: Option<Publishing>,
    /// What came of it.
    pub measured: &'a Measured,
    /// Its processor time by the limit's, where there is one.
    pub ratio: Option<f64>,
}

impl Row<'_> {
    /// For the report.
    pub fn to_json(self) -> Value {
        let Measured { reading, cpu, bytes, window, resident_before_kib, resident_kib, arrivals, sent, .. } =
            self.measured;
        let (delays, spreads) = (&arrivals.delays, &arrivals.spreads);
        json!({
            "who": self.name,
            "publisher": self.publishing.map(Publishing::name),
            "readers": reading,
            "window_s": window.as_secs_f64(),
            "cpu_s": cpu.as_secs_f64(),
            "cpu_s_per_gbit": self.measured.cpu_per_gbit(),
            "ratio": self.ratio,
            "others_percent": self.measured.others_percent(),
            "bytes": bytes,
            "delivered_mbit_per_s": self.measured.delivered_mbit_per_second(),
            "packets": delays.count(),
            "gaps": arrivals.gaps,
            "delay_ms": {
                "median": delays.quantile_ms(0.5), "p99": delays.quantile_ms(0.99), "max": delays.max_ms(),
            },
            "reads_per_picture": arrivals.reads_per_picture(),
            "pictures": spreads.count(),
            "pictures_partial": arrivals.partial,
            "spread_ms": { "median": spreads.quantile_ms(0.5), "p99": spreads.quantile_ms(0.99) },
            "resident_before_kib": resident_before_kib,
            "resident_kib": resident_kib,
            "kib_per_reader": self.measured.kib_per_reader(),
            "pictures_sent": sent.pictures,
            "pace_lost": sent.moved,
            "keyframe_requests": sent.keyframe_requests,
        })
    }
}

impl std::fmt::Display for Row<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Measured { reading, resident_kib, arrivals, .. } = self.measured;
        let (delays, spreads) = (&arrivals.delays, &arrivals.spreads);
        let ratio = self.ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"));
        let publishing = self.publishing.map_or("", Publishing::name);
        write!(f, "{reading:>7} {:<9}{publishing:<8}{:>12.4}{ratio:>7}", self.name, self.measured.cpu_per_gbit())?;
        write!(f, "{:>7.2}{:>7}", arrivals.reads_per_picture(), arrivals.gaps)?;
        write!(f, "{:>11.2}{:>8.2}{:>8.2}", delays.quantile_ms(0.5), delays.quantile_ms(0.99), delays.max_ms())?;
        write!(f, "{:>12.2}{:>8.2}", spreads.quantile_ms(0.5), spreads.quantile_ms(0.99))?;
        write!(
            f,
            "{:>10.1}{:>12.1}{:>9.1}{:>10.0}",
            *resident_kib as f64 / 1024.0,
            self.measured.kib_per_reader(),
            self.measured.delivered_mbit_per_second(),
            self.measured.others_percent()
        )
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::arrivals::Arrivals;
    use super::super::source::Sent;
    use super::*;

    #[test]
    fn rows_stand_under_their_headings() {
        let measured = Measured {
            reading: 1000,
            cpu: Duration::from_secs(5),
            others: Duration::from_secs(1),
            bytes: 1_250_000_000,
            window: Duration::from_secs(10),
            resident_before_kib: 10_000,
            resident_kib: 30_000,
            arrivals: Arrivals::new(1000).unwrap(),
            sent: Sent::default(),
        };
        let row = Row { name: "server", publishing: Some(Publishing::Picture), measured: &measured, ratio: Some(1.25) };
        assert_eq!(row.to_string().len(), HEADING.len());
        let json = row.to_json();
        assert_eq!((&json["cpu_s_per_gbit"], &json["delivered_mbit_per_s"]), (&json!(0.5), &json!(1000.0)));
        assert_eq!(json["kib_per_reader"], 20.0);
    }
}
