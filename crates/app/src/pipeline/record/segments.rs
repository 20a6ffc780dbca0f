//! The files of a server's recordings: one folder for each path, one file for each stretch of time, and the oldest deleted
//! where there are too many.
//!
//! `recordings/cameras/1/2026-11-26T12-30-05Z.mp4` began at that time, by its first picture's capture time.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use hevcast_media::mux::{Form, MakeFile, RecordError};
use hevcast_server::config::record::{Record, RecordFormat};
use hevcast_wire::time::RtpTicks;
use jiff::Timestamp;

use super::files::{FileNames, create_numbered, create_private_folder};
use super::folders::{folder_of, path_of};

/// A name is the time in this form.
const NAME: &str = "%Y-%m-%dT%H-%M-%SZ";

/// The names of the files of one path, and what of them is kept.
#[derive(Clone, Debug)]
pub struct Segments {
    folder: PathBuf,
    format: RecordFormat,
    length_ticks: i64,
    max_bytes: u64,
    max_age: Duration,
}

impl Segments {
    /// The files of the stream at `path`, below the folder that the configuration names, which `root` completes.
    pub fn new(config: &Record, root: &Path, path: &str) -> Segments {
        Segments {
            folder: folder_of(&root.join(&config.folder), path),
            format: config.format,
            length_ticks: (config.segment.as_secs_f64() * RtpTicks::HZ as f64) as i64,
            max_bytes: config.max_bytes,
            max_age: config.max_age,
        }
    }

    /// Makes the file whose first picture was captured at `first`, and room for it.
    fn make(&self, first: Timestamp) -> Result<PathBuf, RecordError> {
        delete_old(&self.folder, self.max_bytes, self.max_age);
        create_private_folder(&self.folder).map_err(|error| RecordError {
            path: self.folder.clone(),
            why: format!("no folder can be made: {error}"),
        })?;
        let name = first.strftime(NAME);
        create_numbered(&self.folder.join(format!("{name}.{}", self.format.extension())), 1).map(|(path, _)| path)
    }
}

impl FileNames for Segments {
    fn form(&self) -> Form {
        match self.format {
            RecordFormat::Mp4 => Form::Mp4,
            RecordFormat::Mkv => Form::Matroska,
        }
    }

    fn maker(&self, first: Timestamp) -> MakeFile {
        let segments = self.clone();
        Box::new(move || segments.make(first))
    }

    fn is_long_enough(&self, ticks: i64) -> bool {
        ticks >= self.length_ticks
    }
}

/// Deletes what is beyond the limits in a folder.
fn delete_old(folder: &Path, max_bytes: u64, max_age: Duration) {
    for file in too_many(files_in(folder), max_bytes, max_age) {
        match std::fs::remove_file(&file) {
            Ok(()) => tracing::info!("deleted the old recording {}", file.display()),
            Err(error) => tracing::warn!("cannot delete the old recording {}: {error}", file.display()),
        }
    }
}

/// Deletes the files that have become too old of all paths that are recorded, live or not. A path is known by its folder's
/// name.
pub fn delete_aged(config: &Record, root: &Path) {
    let mut folders = vec![(root.join(&config.folder), Vec::new())];
    while let Some((folder, names)) = folders.pop() {
        if config.paths.match_path(&path_of(names.iter().map(String::as_str))) {
            delete_old(&folder, u64::MAX, config.max_age);
        }
        // Links are not followed.
        let entries = std::fs::read_dir(&folder).into_iter().flatten().filter_map(Result::ok);
        for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
            let name = entry.file_name().to_string_lossy().into_owned();
            folders.push((entry.path(), [&names[..], &[name]].concat()));
        }
    }
}

/// A file of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Kept {
    path: PathBuf,
    bytes: u64,
    /// Since it was last written to.
    age: Duration,
}

/// The files in a folder whose names we gave, oldest first.
#[expect(clippy::disallowed_methods, reason = "the ages of files are told by the system's clock")]
fn files_in(folder: &Path) -> Vec<Kept> {
    let now = SystemTime::now();
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let mut kept: Vec<Kept> = entries
        .filter(|entry| entry.file_name().to_str().is_some_and(is_ours))
        .filter_map(|entry| {
            let data = entry.metadata().ok().filter(std::fs::Metadata::is_file)?;
            let age = data.modified().ok().and_then(|at| now.duration_since(at).ok()).unwrap_or_default();
            Some(Kept { path: entry.path(), bytes: data.len(), age })
        })
        .collect();
    kept.sort_by(|a, b| b.age.cmp(&a.age).then_with(|| a.path.cmp(&b.path)));
    kept
}

/// Whether a name is one that [`Segments`] gives.
pub(super) fn is_ours(name: &str) -> bool {
    let Some((stem, "mp4" | "mkv")) = name.rsplit_once('.') else { return false };
    let (time, number) = match stem.split_once('Z') {
        Some((time, "")) => (time, None),
        Some((time, number)) => (time, number.strip_prefix('-').or(Some("no number"))),
        None => return false,
    };
    let is_number = number.is_none_or(|number| !number.is_empty() && number.chars().all(|c| c.is_ascii_digit()));
    is_number && jiff::civil::DateTime::strptime("%Y-%m-%dT%H-%M-%S", time).is_ok()
}

/// Of `kept`, oldest first, those beyond the limits.
fn too_many(kept: Vec<Kept>, max_bytes: u64, max_age: Duration) -> Vec<PathBuf> {
    let mut total: u64 = kept.iter().map(|file| file.bytes).sum();
    let beyond = kept.into_iter().take_while(|file| {
        let goes = total > max_bytes || file.age > max_age;
        total -= if goes { file.bytes } else { 0 };
        goes
    });
    beyond.map(|file| file.path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_ours_count() {
        for name in ["2026-11-26T12-30-05Z.mp4", "2026-11-26T12-30-05Z-2.mkv"] {
            assert!(is_ours(name), "{name}");
        }
        for name in [
            "2026-11-26T12-30-05Z.txt",
            "2026-11-26.mp4",
            "holiday.mp4",
            "2026-11-26T12-30-05Z-.mp4",
            "2026-11-26T12-30-05Z2.mp4",
            "x2026-11-26T12-30-05Z.mp4",
            "2026-13-26T12-30-05Z.mp4",
        ] {
            assert!(!is_ours(name), "{name}");
        }
    }

    #[test]
    fn files_of_recorded_paths_age_though_nobody_publishes() {
        let root = std::env::temp_dir().join(format!("hevcast-segments-{}", std::process::id()));
        let old = SystemTime::now() - Duration::from_secs(90_000);
        let made = |name: &str, is_old: bool| {
            let file = root.join("kept").join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            let made = std::fs::File::create(&file).unwrap();
            if is_old {
                made.set_modified(old).unwrap();
            }
            file
        };
        let goes = made("cameras/1/2026-11-25T11-00-00Z.mp4", true);
        let stays = [
            made("cameras/1/2026-11-26T12-30-05Z.mp4", false),
            made("cameras/1/holiday.mp4", true),
            made("others/2026-11-25T11-00-00Z.mp4", true),
        ];
        let text = "[record]\npaths = [\"cameras/*\"]\nfolder = \"kept\"\nmax_days = 1\nmax_gb = 0";
        let record = hevcast_server::config::Config::parse(text, "f").unwrap().record;
        delete_aged(&record, &root);
        let (gone, there) = (!goes.exists(), stays.iter().all(|file| file.exists()));
        std::fs::remove_dir_all(&root).unwrap();
        assert!(gone && there, "{gone} {there}");
    }

    #[test]
    fn the_oldest_go_until_the_rest_is_within_both_limits() {
        let file = |n: u64| Kept { path: n.to_string().into(), bytes: 10, age: Duration::from_secs(n) };
        let kept = || vec![file(9), file(7), file(5), file(3)];
        let names = |paths: Vec<PathBuf>| paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>();
        let (much, long) = (1000, Duration::from_secs(1000));
        assert!(too_many(kept(), much, long).is_empty());
        assert_eq!(names(too_many(kept(), 25, long)), ["9", "7"]);
        assert_eq!(names(too_many(kept(), much, Duration::from_secs(6))), ["9", "7"]);
        assert_eq!(names(too_many(kept(), 35, Duration::from_secs(4))), ["9", "7", "5"]);
        assert_eq!(too_many(kept(), 0, long).len(), 4);
    }
}
