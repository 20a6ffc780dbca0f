//! Which paths somebody wants to read that nobody publishes: by them, sources on demand are pulled.

use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::time::Instant;

use tokio::sync::watch;

/// The last demand for each path of a source. Their number is bounded by that of the configured sources.
#[derive(Debug, Default)]
pub struct Demands {
    last: Mutex<HashMap<String, Instant>>,
    changes: watch::Sender<()>,
}

impl Demands {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.last.lock()
    }

    /// Somebody wants to read `path`, which is that of a configured source.
    pub fn add(&self, path: &str, now: Instant) {
        self.lock().insert(path.to_owned(), now);
        self.changes.send_replace(());
    }

    /// When `path` was last wanted.
    pub fn last(&self, path: &str) -> Option<Instant> {
        self.lock().get(path).copied()
    }

    /// Forgets `path`: its source is no longer configured.
    pub fn forget(&self, path: &str) {
        self.lock().remove(path);
    }

    /// Changes whenever a path is wanted.
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
        assert_eq!(demands.last("door"), None);
        demands.add("door", now);
        demands.add("door", now + Duration::from_secs(1));
        assert!(changes.has_changed().unwrap());
        changes.mark_unchanged();
        assert_eq!((demands.last("door"), demands.last("gate")), (Some(now + Duration::from_secs(1)), None));
        demands.forget("door");
        assert_eq!(demands.last("door"), None);
    }
}
