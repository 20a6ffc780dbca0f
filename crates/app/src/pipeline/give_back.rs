//! Memory that a server's peers have made it hold, given back to the system once it is free.
//!
//! Large blocks go back as they are freed ([`memory::map_large_blocks`]); what small ones leave behind is given back here,
//! once much less is held than before.

use std::sync::Arc;
use std::time::Duration;

use hevcast_media::memory;
use hevcast_server::budget::Budget;

/// How often the use of memory is checked.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// How much less must be held than at most since the last time, for it to be worth the while.
const WORTHWHILE_BYTES: u64 = 8 * 1024 * 1024;

/// Decides when memory is worth giving back.
#[derive(Debug, Default)]
struct Watch {
    most_bytes: u64,
}

impl Watch {
    /// Takes note of how much is held now; true when memory should be given back.
    fn is_due(&mut self, held_bytes: u64) -> bool {
        self.most_bytes = self.most_bytes.max(held_bytes);
        let is_time = self.most_bytes - held_bytes >= WORTHWHILE_BYTES;
        if is_time {
            self.most_bytes = held_bytes;
        }
        is_time
    }
}

/// Gives memory back from now on, in a task on this runtime that ends with the last other reference to the budget.
pub(crate) fn start(budget: &Arc<Budget>) {
    memory::map_large_blocks();
    let budget = Arc::downgrade(budget);
    tokio::spawn(async move {
        let (mut watch, mut ticks) = (Watch::default(), tokio::time::interval(CHECK_INTERVAL));
        loop {
            ticks.tick().await;
            let Some(budget) = budget.upgrade() else { return };
            if watch.is_due(budget.usage().used_bytes) {
                // A thread that may wait. It is not awaited: the next check is seconds away.
                drop(tokio::task::spawn_blocking(memory::give_back));
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_given_back_once_when_much_less_is_held() {
        let mut watch = Watch::default();
        let due = [10, 100, 97, 93, 92, 91, 60, 61, 59, 0].map(|mib| watch.is_due(mib << 20));
        assert_eq!(due, [false, false, false, false, true, false, true, false, false, true]);
    }
}
