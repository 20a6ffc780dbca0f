//! Warns in the log when reservations of memory were refused, at most once in 10 s.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::budget::Usage;
use crate::state::State;

/// How often the budget's counters are checked.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// Least time between two warnings.
const WARNING_INTERVAL: Duration = Duration::from_secs(10);

/// When the last warning was logged, and the counters at that time.
#[derive(Debug, Default)]
struct MemoryWarning {
    logged_at: Option<Instant>,
    /// Refused reservations by kind, as of the last warning.
    refused: Vec<u64>,
}

impl MemoryWarning {
    /// The warning to be logged now: `None` where nothing was refused since the last one, or that was logged recently.
    fn update(&mut self, usage: &Usage, now: Instant) -> Option<String> {
        if self.logged_at.is_some_and(|at| now.saturating_duration_since(at) < WARNING_INTERVAL) {
            return None;
        }
        let before = |at: usize| self.refused.get(at).copied().unwrap_or_default();
        let news = usage.kinds.iter().enumerate().filter(|(at, (_, _, refused))| *refused > before(*at));
        let news: Vec<String> =
            news.map(|(at, (kind, _, refused))| format!("{} ({} times)", kind.name(), refused - before(at))).collect();
        if news.is_empty() {
            return None;
        }
        self.logged_at = Some(now);
        self.refused = usage.kinds.iter().map(|(_, _, refused)| *refused).collect();
        let (used, limit) = (usage.used_bytes >> 20, usage.limit_bytes >> 20);
        let most = usage.kinds.iter().max_by_key(|(_, used, _)| *used).map_or("", |(kind, _, _)| kind.name());
        Some(format!(
            "no memory left in the budget for {}: {used} of {limit} MiB are used, most of it for {most}; see limits.memory",
            news.join(", ")
        ))
    }
}

/// Checks the budget once a second until the server stops.
pub(crate) async fn watch(state: Arc<State>, mut stopped: watch::Receiver<bool>) {
    let (mut warning, mut ticks) = (MemoryWarning::default(), tokio::time::interval(CHECK_INTERVAL));
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                if let Some(line) = warning.update(&state.budget.usage(), state.clock.now().instant) {
                    tracing::warn!("{line}");
                }
            }
            _ = stopped.changed() => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::{Budget, Kind};

    #[test]
    fn it_is_logged_at_intervals_however_often_it_happens() {
        let (budget, mut warning, start) = (Arc::new(Budget::new(100 << 20)), MemoryWarning::default(), Instant::now());
        assert_eq!(warning.update(&budget.usage(), start), None);
        let held = budget.reserve(Kind::Groups, 70 << 20).unwrap();
        assert!((0..9).all(|_| budget.reserve(Kind::Groups, 7 << 20).is_err()));
        let line = warning.update(&budget.usage(), start).unwrap();
        assert!(line.contains("groups (9 times): 70 of 100 MiB are used, most of it for groups"), "{line}");
        assert!(budget.reserve(Kind::Logins, 70 << 20).is_err());
        assert_eq!(warning.update(&budget.usage(), start + CHECK_INTERVAL), None);
        let line = warning.update(&budget.usage(), start + WARNING_INTERVAL).unwrap();
        assert!(line.contains("for logins (1 times)") && !line.contains("groups ("), "{line}");
        assert_eq!(warning.update(&budget.usage(), start + WARNING_INTERVAL * 2), None);
        drop(held);
    }
}
