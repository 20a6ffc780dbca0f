//! Demands: which paths of sources on demand somebody wants to read. The program pulls a source while there is demand
//! for its path.

use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::time::Instant;

use tokio::sync::watch;

/// When each path of a source on demand was last requested by a reader. There are no more entries than configured
/// sources.
#[derive(Debug, Default)]
pub struct Demands {
    last: Mutex<HashMap<String, Instant>>,
    changes: watch::Sender<()>,
}

impl Demands {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.last.lock()
    }

    /// Records that a reader requested `path`, which is that of a configured source.
    pub fn add(&self, path: &str, now: Instant) {
        self.lock().insert(path.to_owned(), now);
        self.changes.send_replace(());
    }

    /// When a reader last requested `path`; `None` if none ever did.
    pub fn last(&self, path: &str) -> Option<Instant> {
        self.lock().get(path).copied()
    }

    /// Removes `path`, whose source is no longer configured.
    pub fn forget(&self, path: &str) {
        self.lock().remove(path);
    }

    /// A receiver that is notified whenever a reader requests a path.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_last_demand_counts_and_wakes() {
        let (demands, now) = (Demands::default(), Instant::now());
        let mut changes = demands.changes();
        assert_eq!(demands.last("gate"), None);
        demands.add("gate", now);
        demands.add("gate", now + Duration::from_secs(1));
        assert!(changes.has_changed().unwrap());
        changes.mark_unchanged();
        assert_eq!((demands.last("gate"), demands.last("yard")), (Some(now + Duration::from_secs(1)), None));
        demands.forget("gate");
        assert_eq!(demands.last("gate"), None);
    }
}
