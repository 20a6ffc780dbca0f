//! Files and folders that hold pictures: made anew or not at all, and not for everybody to read.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::windows_names;

use hevcast_media::mux::{Form, MakeFile, RecordError};
use jiff::Timestamp;

/// Names that are tried for one file.
const MAX_TRIES: u32 = 10_000;

/// What a recording's files are called, and where one ends and the next begins.
pub trait FileNames: Send {
    /// The container format of the files.
    fn form(&self) -> Form;

    /// What makes the file whose first picture was captured at `first`, once there is a picture to write.
    fn maker(&self, first: Timestamp) -> MakeFile;

    /// Whether a file so many ticks of 90 kHz long should end at the next keyframe.
    fn is_long_enough(&self, ticks: i64) -> bool {
        let _ = ticks;
        false
    }
}

/// Makes a file that was not there. Its owner may read and write it, the owner's group may read it, nobody else may do
/// anything; `umask` can take more away.
///
/// # Errors
/// When something of that name is there, or the system refuses.
pub fn create_private(path: &Path) -> io::Result<File> {
    windows_names::check(path)?;
    private(OpenOptions::new().write(true).create_new(true)).open(path)
}

/// Makes a file, or empties one that is there, which keeps its rights.
///
/// # Errors
/// When the system refuses.
pub fn overwrite_private(path: &Path) -> io::Result<File> {
    windows_names::check(path)?;
    private(OpenOptions::new().write(true).create(true).truncate(true)).open(path)
}

fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o640);
    options
}

/// Makes a folder and those above it where they are not there; they may be read by whom [`create_private`] lets read a file.
///
/// # Errors
/// When the system refuses.
pub fn create_private_folder(path: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o750);
    builder.recursive(true).create(path)
}

/// Makes the first of `base`, `base-2`, … from the `from`th on that is not there; returns its number, too.
///
/// # Errors
/// When none can be made.
pub fn create_numbered(base: &Path, from: u32) -> Result<(PathBuf, u32), RecordError> {
    for number in (from.max(1)..).take(MAX_TRIES as usize) {
        let path = numbered(base, number);
        match create_private(&path) {
            Ok(_) => return Ok((path, number)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(cannot_make(path, &error)),
        }
    }
    Err(RecordError { path: base.to_owned(), why: "all names like this are taken; choose another".to_owned() })
}

/// Says what to do.
fn cannot_make(path: PathBuf, error: &io::Error) -> RecordError {
    let why = match (error.kind(), path.parent()) {
        (ErrorKind::NotFound, Some(folder)) if !folder.as_os_str().is_empty() => {
            format!("there is no folder {}; make it, or choose another", folder.display())
        }
        (ErrorKind::PermissionDenied, _) => format!("{error}; choose a folder that may be written"),
        _ => error.to_string(),
    };
    RecordError { path, why }
}

/// The name of the `number`th file of a recording.
pub fn numbered(base: &Path, number: u32) -> PathBuf {
    if number < 2 {
        return base.to_owned();
    }
    let mut name = base.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{number}"));
    if let Some(extension) = base.extension() {
        name.push(".");
        name.push(extension);
    }
    base.with_file_name(name)
}

/// One file after the other: `video.mp4`, `video-2.mp4`, …, and none that is there already.
#[derive(Debug)]
pub struct Numbered {
    base: PathBuf,
    form: Form,
    /// The number of the next.
    next: Arc<AtomicU32>,
}

impl Numbered {
    /// Names that begin with `base` itself. Whether a file can be made there is tried now, so that nobody finds out when a
    /// lesson is over that it was not recorded.
    ///
    /// # Errors
    /// When it cannot, or the name ends in something else than `.mp4` or `.mkv`.
    pub fn new(base: PathBuf) -> Result<Numbered, RecordError> {
        let Some(form) = Form::of(&base) else {
            return Err(RecordError { path: base, why: "the name ends neither in .mp4 nor in .mkv".to_owned() });
        };
        let (tried, _) = create_numbered(&base, 1)?;
        std::fs::remove_file(&tried).map_err(|error| cannot_make(tried, &error))?;
        Ok(Numbered { base, form, next: Arc::new(AtomicU32::new(1)) })
    }
}

impl FileNames for Numbered {
    fn form(&self) -> Form {
        self.form
    }

    fn maker(&self, _: Timestamp) -> MakeFile {
        let (base, next) = (self.base.clone(), Arc::clone(&self.next));
        Box::new(move || {
            let (path, number) = create_numbered(&base, next.load(Ordering::Relaxed))?;
            next.store(number.saturating_add(1), Ordering::Relaxed);
            Ok(path)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("hevcast-files-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn files_of_one_recording_are_numbered() {
        let base = Path::new("/tmp/a.b/video.mp4");
        assert_eq!(numbered(base, 1), base);
        assert_eq!(numbered(base, 2), Path::new("/tmp/a.b/video-2.mp4"));
        assert_eq!(numbered(Path::new("bare"), 3), Path::new("bare-3"));
        assert_eq!(numbered(Path::new("客厅.mkv"), 3), Path::new("客厅-3.mkv"));
    }

    #[test]
    fn two_recordings_of_one_name_make_two_files_and_overwrite_nothing() {
        let folder = scratch("two");
        let base = folder.join("lesson.mp4");
        std::fs::write(folder.join("lesson-2.mp4"), "mine").unwrap();
        // Both look first, as two programs do that are started by one script.
        let (one, other) = (Numbered::new(base.clone()).unwrap(), Numbered::new(base.clone()).unwrap());
        assert!(!base.exists(), "the try leaves nothing");
        let now = Timestamp::UNIX_EPOCH;
        let mut names: Vec<PathBuf> =
            [&one, &other, &one].map(|files| files.maker(now)().unwrap()).into_iter().collect();
        names.sort();
        assert_eq!(names, ["lesson-3.mp4", "lesson-4.mp4", "lesson.mp4"].map(|name| folder.join(name)));
        assert_eq!(std::fs::read(folder.join("lesson-2.mp4")).unwrap(), b"mine");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn where_no_file_can_be_made_is_known_before_the_first_picture() {
        let error = Numbered::new("/nowhere/at/all.mp4".into()).unwrap_err().to_string();
        assert_eq!(
            error,
            "cannot record to /nowhere/at/all.mp4: there is no folder /nowhere/at; make it, or choose another"
        );
        let error = Numbered::new("/tmp/video.avi".into()).unwrap_err().to_string();
        assert!(error.contains("neither in .mp4 nor in .mkv"), "{error}");
        let error = Numbered::new(std::env::current_exe().unwrap().join("x.mp4")).unwrap_err().to_string();
        assert!(error.contains("cannot record to") && !error.contains('\n'), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn what_is_made_is_not_for_everybody() {
        use std::os::unix::fs::PermissionsExt;
        let folder = scratch("private");
        let inner = folder.join("cameras/1");
        create_private_folder(&inner).unwrap();
        create_private_folder(&inner).unwrap();
        let file = inner.join("x.mp4");
        create_private(&file).unwrap();
        overwrite_private(&inner.join("y.png")).unwrap();
        for path in [&folder.join("cameras"), &inner, &file, &inner.join("y.png")] {
            let mode = path.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o027, 0, "{}: {mode:o}", path.display());
        }
        // A link that leads nowhere is something that is there.
        std::os::unix::fs::symlink("nowhere/x.mp4", inner.join("link.mp4")).unwrap();
        assert_eq!(create_private(&inner.join("link.mp4")).unwrap_err().kind(), ErrorKind::AlreadyExists);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
