//! The recordings that are being made, by the program: the server itself writes no files.

use parking_lot::{Mutex, MutexGuard};
use std::collections::BTreeMap;

use serde::Serialize;

/// A recording at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RecordingView {
    /// The file being written; none while its first keyframe is awaited.
    pub file: Option<String>,
    /// Files begun.
    pub files: u64,
    /// Pictures that came to be recorded: `pictures`, `not_recorded`, and those that wait for the disk.
    pub came: u64,
    /// Pictures in all files.
    pub pictures: u64,
    /// Coded bytes of all pictures.
    pub bytes: u64,
    /// Pictures that are missing in the files.
    pub not_recorded: u64,
    /// The same by cause.
    pub not_recorded_by: BTreeMap<&'static str, u64>,
    /// Why nothing is written, though it should be.
    pub trouble: Option<String>,
}

/// Shows a recording at the moment of the call.
pub type View = Box<dyn Fn() -> RecordingView + Send + Sync>;

/// One of the recordings that a path has had: a new one may begin before the old one's file has its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordingId(u64);

/// The recordings by path.
#[derive(Default)]
pub struct Recordings(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    by_path: BTreeMap<String, (RecordingId, View)>,
    given: u64,
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

    /// The stream at `path` is recorded, as `view` shows. Replaces an earlier recording of it.
    pub fn insert(&self, path: &str, view: View) -> RecordingId {
        let mut entries = self.lock();
        entries.given += 1;
        let id = RecordingId(entries.given);
        entries.by_path.insert(path.to_owned(), (id, view));
        id
    }

    /// The recording has ended; a later one of the same path stays.
    pub fn remove(&self, path: &str, id: RecordingId) {
        let mut entries = self.lock();
        if entries.by_path.get(path).is_some_and(|(there, _)| *there == id) {
            entries.by_path.remove(path);
        }
    }

    /// The recording of a path, if there is one.
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
