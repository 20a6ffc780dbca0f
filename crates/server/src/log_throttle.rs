//! Limits how often a repeated error is logged, so that a peer cannot fill the log.

use std::time::{Duration, Instant};

/// Least time between two log lines about the same kind of error.
const INTERVAL: Duration = Duration::from_secs(10);

/// One kind of error, which is logged at most once in [`INTERVAL`].
#[derive(Debug, Default)]
pub(crate) struct LogThrottle {
    logged_at: Option<Instant>,
}

impl LogThrottle {
    /// Logs an error, unless one was logged less than [`INTERVAL`] before `now`; `line` is called only when it is
    /// logged.
    pub(crate) fn error(&mut self, now: Instant, line: impl FnOnce() -> String) {
        if self.logged_at.is_none_or(|at| now.saturating_duration_since(at) >= INTERVAL) {
            self.logged_at = Some(now);
            let line = line();
            tracing::error!("{line}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_made_once_in_ten_seconds() {
        let (mut throttle, start, mut lines) = (LogThrottle::default(), Instant::now(), 0);
        for second in 0..25 {
            throttle.error(start + Duration::from_secs(second), || {
                lines += 1;
                String::new()
            });
        }
        assert_eq!(lines, 3);
    }
}
