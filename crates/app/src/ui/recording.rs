//! Recording from a window: names of new files, and the text for the recording's state.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::pipeline::record::RecordState;
use crate::ui::words::Words;

/// A name that no file has yet, made of date and time, in `folder` or else in the home folder.
pub(super) fn new_file(folder: Option<PathBuf>, extension: &str) -> PathBuf {
    let folder = folder.or_else(dirs::home_dir).unwrap_or_default();
    let now = jiff::ZonedDateTime::now().strftime("hevcast-%Y-%m-%d-%H%M%S").to_string();
    let names = std::iter::once(now.clone()).chain((2..).map(|n| format!("{now}-{n}")));
    let mut paths = names.map(|name| folder.join(format!("{name}.{extension}")));
    // There is no end of names, so one of them is free.
    paths.find(|path| !path.exists()).unwrap_or_default()
}

/// Creates the folder of a new file, if it is missing.
///
/// # Errors
/// When it cannot be created.
pub(super) fn make_folder(path: &Path) -> Result<()> {
    let folder = path.parent().context("no folder to save to")?;
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create the folder {}", folder.display()))
}

/// The text for the recording's state; `None` if nothing was recorded. A failure is shown until the next recording.
pub(super) fn record_words(record: &RecordState, words: &Words) -> Option<String> {
    let of = |template: &str, path: &Path, pictures: u64| {
        template.replace("{file}", &path.display().to_string()).replace("{pictures}", &pictures.to_string())
    };
    Some(match record {
        RecordState::Off => return None,
        RecordState::Waiting => words.recording_waits.to_owned(),
        RecordState::Running { path, pictures } => of(words.recording, path, *pictures),
        RecordState::Done { path, pictures } => of(words.recorded, path, *pictures),
        RecordState::Failed(why) => why.clone(),
    })
}
