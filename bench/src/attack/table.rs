//! What came of an attack, as a row, and against its bars.

use std::time::Duration;

use serde_json::{Value, json};

use crate::fanout::Arrivals;
use crate::report::Verdict;

/// Memory that a server may have beyond its budget.
const BEYOND_BUDGET_MIB: f64 = 100.0;
/// And beyond what it had before the attack, some time after it.
const LEFT_MIB: f64 = 50.0;
/// What the viewers' p99 may be, by what it is without.
const P99_TIMES: f64 = 1.2;
const P99_MORE_MS: f64 = 5.0;
/// How long `/healthz` may take.
const HEALTH_BAR: Duration = Duration::from_secs(1);

/// The heading over [`Row`]s.
pub const HEADING: &str = "\
attack           RSS before      peak     after   p99 without      with    healthz   gaps  pictures lost";

/// One attack's figures.
#[derive(Debug)]
pub struct Row {
    /// The attack.
    pub name: &'static str,
    /// The server's memory before the attack.
    pub before_kib: u64,
    /// The most while it lasted.
    pub peak_kib: u64,
    /// Some time after it.
    pub after_kib: u64,
    /// What viewers saw before.
    pub without: Arrivals,
    /// And meanwhile.
    pub with: Arrivals,
    /// The slowest answer of `/healthz`.
    pub health: Duration,
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

impl Row {
    fn p99_ms(&self) -> (f64, f64) {
        (self.without.delays.quantile_ms(0.99), self.with.delays.quantile_ms(0.99))
    }

    /// The row's figures against their bars.
    pub fn verdicts(&self, memory_mib: u64) -> [Verdict; 5] {
        let verdict = |what: &str, figure: f64, bar: f64, unit: &'static str, because: String| Verdict {
            what: format!("{}: {what}", self.name),
            figure,
            bar,
            unit,
            because,
        };
        let (without, with) = self.p99_ms();
        let lost = (self.with.gaps + self.with.partial) as f64;
        let before = mib(self.before_kib);
        [
            verdict(
                "memory at most",
                mib(self.peak_kib),
                memory_mib as f64 + BEYOND_BUDGET_MIB,
                "MiB",
                format!("the budget + {BEYOND_BUDGET_MIB} MiB"),
            ),
            verdict(
                "memory after it",
                mib(self.after_kib),
                before + LEFT_MIB,
                "MiB",
                format!("{before:.0} MiB before + {LEFT_MIB} MiB"),
            ),
            verdict(
                "the viewers' p99",
                with,
                without * P99_TIMES + P99_MORE_MS,
                "ms",
                format!("{without:.2} ms without, times {P99_TIMES}, + {P99_MORE_MS} ms"),
            ),
            verdict(
                "/healthz",
                self.health.as_secs_f64() * 1000.0,
                HEALTH_BAR.as_secs_f64() * 1000.0,
                "ms",
                "the slowest answer".to_owned(),
            ),
            verdict(
                "gaps and pictures lost",
                lost,
                0.0,
                "in all",
                format!("of {} packets measured", self.with.delays.count()),
            ),
        ]
    }

    /// For the report.
    pub fn to_json(&self) -> Value {
        let delays = |arrivals: &Arrivals| {
            let delays = &arrivals.delays;
            json!({ "median": delays.quantile_ms(0.5), "p99": delays.quantile_ms(0.99), "max": delays.max_ms() })
        };
        json!({
            "attack": self.name,
            "resident_before_kib": self.before_kib,
            "resident_peak_kib": self.peak_kib,
            "resident_after_kib": self.after_kib,
            "delay_without_ms": delays(&self.without),
            "delay_with_ms": delays(&self.with),
            "healthz_ms": self.health.as_secs_f64() * 1000.0,
            "gaps": self.with.gaps,
            "pictures_partial": self.with.partial,
        })
    }
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (without, with) = self.p99_ms();
        write!(f, "{:<17}{:>10.0}{:>10.0}", self.name, mib(self.before_kib), mib(self.peak_kib))?;
        write!(f, "{:>10.0}{without:>14.2}{with:>10.2}", mib(self.after_kib))?;
        let health = self.health.as_secs_f64() * 1000.0;
        write!(f, "{health:>11.1}{:>7}{:>15}", self.with.gaps, self.with.partial)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        let arrivals = || Arrivals::new(50).unwrap();
        let (before_kib, peak_kib, after_kib) = (51_200, 400_000, 60_000);
        let health = Duration::from_millis(12);
        Row { name: "publishers", before_kib, peak_kib, after_kib, without: arrivals(), with: arrivals(), health }
    }

    #[test]
    fn rows_stand_under_their_headings() {
        assert_eq!(row().to_string().len(), HEADING.len());
        assert_eq!(row().to_json()["resident_peak_kib"], 400_000);
    }

    #[test]
    fn bars_are_the_budget_and_what_was_before() {
        let verdicts = row().verdicts(256);
        assert_eq!(verdicts.each_ref().map(Verdict::holds), [false, true, true, true, true]);
        assert_eq!(verdicts.map(|verdict| verdict.bar), [356.0, 100.0, 5.0, 1000.0, 0.0]);
    }
}
