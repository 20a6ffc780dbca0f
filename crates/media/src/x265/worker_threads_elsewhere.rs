//! x265's row workers where they are not pinned to processors: on other systems than Linux.

/// Never made here.
pub(super) enum WorkerThreads {}

/// Calls `open`; there are no threads to pin.
pub(super) fn started_by<T>(open: impl FnOnce() -> T) -> (T, Option<WorkerThreads>) {
    (open(), None)
}

impl WorkerThreads {
    /// Never called here.
    pub(super) fn mean_wait(&mut self) -> std::time::Duration {
        match *self {}
    }

    /// Never called here.
    pub(super) fn after_picture(&mut self) {
        match *self {}
    }
}
