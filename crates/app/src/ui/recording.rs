//! What both windows need to record: names of new files, and words for what is being done.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::pipeline::record::{RecordState, Recorder};
use crate::ui::one_line;
use crate::ui::words::Words;

/// A name that no file has yet, by the time of day; in the home folder where there is no better one.
pub fn new_file(folder: Option<PathBuf>, extension: &str) -> PathBuf {
    let folder = folder.or_else(dirs::home_dir).unwrap_or_default();
    let now = jiff::ZonedDateTime::now().strftime("hevcast-%Y-%m-%d-%H%M%S").to_string();
    let names = std::iter::once(now.clone()).chain((2..).map(|n| format!("{now}-{n}")));
    let mut paths = names.map(|name| folder.join(format!("{name}.{extension}")));
    // The names go on without end, so one of them is free.
    paths.find(|path| !path.exists()).unwrap_or_default()
}

/// Makes the folder that a file is to be in.
///
/// # Errors
/// When that cannot be.
pub fn make_folder(path: &Path) -> Result<()> {
    let folder = path.parent().context("no folder to save to")?;
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))
}

/// What to say of a recording; a failure stays said until the next one.
pub fn record_words(record: &RecordState, words: &Words) -> Option<String> {
    let of =
        |word: &str, path: &Path, pictures: u64| format!("{word}: {} ({pictures} {})", path.display(), words.pictures);
    Some(match record {
        RecordState::Off => return None,
        RecordState::Waiting => words.recording_waits.to_owned(),
        RecordState::Running { path, pictures } => of(words.recording, path, *pictures),
        RecordState::Done { path, pictures } => of(words.recorded, path, *pictures),
        RecordState::Failed(why) => why.clone(),
    })
}

/// A recording that was asked for, and how it stands.
pub fn begun(recorder: Result<Recorder>) -> (Option<Recorder>, RecordState) {
    match recorder {
        Ok(recorder) => (Some(recorder), RecordState::Waiting),
        Err(error) => (None, RecordState::Failed(one_line(&error))),
    }
}

/// The recorder's next state. One that has ended by itself, as on a full disk, is let go.
pub async fn recorded(recorder: &mut Option<Recorder>) -> RecordState {
    let Some(running) = recorder else { return std::future::pending().await };
    match running.state.changed().await {
        Ok(()) => {
            let state = running.state.borrow_and_update().clone();
            if matches!(state, RecordState::Failed(_)) {
                *recorder = None;
            }
            state
        }
        Err(_) => {
            let state = running.state.borrow().clone();
            *recorder = None;
            state
        }
    }
}
