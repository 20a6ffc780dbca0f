//! What is being recorded, by whoever can write files: the server itself cannot.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

/// A recording at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RecordingView {
    /// The file being written; none while its first keyframe is awaited.
    pub file: Option<String>,
    /// Pictures in all files of this recording.
    pub pictures: u64,
    /// Why nothing is written, though it should be.
    pub trouble: Option<String>,
}

/// How a recording stands now.
pub type Look = Box<dyn Fn() -> RecordingView + Send + Sync>;

/// The recordings by path.
#[derive(Default)]
pub struct Recordings(Mutex<BTreeMap<String, Look>>);

impl std::fmt::Debug for Recordings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.lock().keys()).finish()
    }
}

impl Recordings {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Look>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The stream at `path` is recorded; in place of what was said of it before.
    pub fn insert(&self, path: &str, look: Look) {
        self.lock().insert(path.to_owned(), look);
    }

    /// It no longer is.
    pub fn remove(&self, path: &str) {
        self.lock().remove(path);
    }

    /// How it stands, if it is.
    pub fn of(&self, path: &str) -> Option<RecordingView> {
        self.lock().get(path).map(|look| look())
    }
}
