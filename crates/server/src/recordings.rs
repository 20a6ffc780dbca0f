//! The registry of recordings in progress. The program writes the files, not this crate, and registers each recording
//! here for the status page and the metrics.

use parking_lot::{Mutex, MutexGuard};
use std::collections::BTreeMap;

use serde::Serialize;

/// What is known of a recording at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RecordingView {
    /// The name of the file being written; `None` while the first keyframe is awaited.
    pub file: Option<String>,
    /// How many files were begun, the present one included.
    pub files: u64,
    /// Pictures that were to be recorded: the sum of `pictures`, `not_recorded` and those that still wait to be
    /// written.
    pub came: u64,
    /// Pictures written, in all files of this recording.
    pub pictures: u64,
    /// Coded bytes of all pictures written.
    pub bytes: u64,
    /// Pictures that are missing from the files.
    pub not_recorded: u64,
    /// The missing pictures by cause, such as a full disk.
    pub not_recorded_by: BTreeMap<&'static str, u64>,
    /// Why nothing is being written although it should be, such as a full disk.
    pub trouble: Option<String>,
}

/// Returns what is known of a recording at the moment of the call.
pub type View = Box<dyn Fn() -> RecordingView + Send + Sync>;

/// Identifies one of the recordings that a path has had: a new one may begin before the old one's file is finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordingId(u64);

/// The recordings in progress, by path.
#[derive(Default)]
pub struct Recordings(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    /// The latest recording of each path.
    by_path: BTreeMap<String, (RecordingId, View)>,
    /// The number of the last [`RecordingId`].
    last_id: u64,
}

impl std::fmt::Debug for Recordings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.lock().by_path.keys()).finish()
    }
}

impl Recordings {
    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock()
    }

    /// Registers a recording of the stream at `path`, whose state `view` returns. Replaces an earlier recording of that
    /// path.
    pub fn insert(&self, path: &str, view: View) -> RecordingId {
        let mut entries = self.lock();
        entries.last_id += 1;
        let id = RecordingId(entries.last_id);
        entries.by_path.insert(path.to_owned(), (id, view));
        id
    }

    /// Removes a recording that has ended. A later one of the same path stays.
    pub fn remove(&self, path: &str, id: RecordingId) {
        let mut entries = self.lock();
        if entries.by_path.get(path).is_some_and(|(there, _)| *there == id) {
            entries.by_path.remove(path);
        }
    }

    /// The state of the recording of a path; `None` where it is not recorded.
    pub fn of(&self, path: &str) -> Option<RecordingView> {
        self.lock().by_path.get(path).map(|(_, view)| view())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_that_ends_late_does_not_hide_its_successor() {
        let recordings = Recordings::default();
        let view = |files| -> View { Box::new(move || RecordingView { files, ..RecordingView::default() }) };
        let first = recordings.insert("live", view(1));
        let second = recordings.insert("live", view(2));
        recordings.remove("live", first);
        assert_eq!(recordings.of("live").map(|view| view.files), Some(2));
        recordings.remove("live", second);
        assert_eq!(recordings.of("live"), None);
    }
}
