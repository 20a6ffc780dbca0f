//! A file for the time of a measurement, in the folder for temporary files.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};

/// Its name is nobody else's. The file is removed when this is dropped.
#[derive(Debug)]
pub struct ScratchFile(PathBuf);

impl ScratchFile {
    /// A name that ends in `extension`, for a file that somebody else writes.
    pub fn named(extension: &str) -> ScratchFile {
        static NAMED: AtomicU32 = AtomicU32::new(0);
        let number = NAMED.fetch_add(1, Ordering::Relaxed);
        let name = format!("hevcast-bench-{}-{number}.{extension}", std::process::id());
        ScratchFile(std::env::temp_dir().join(name))
    }

    /// A file with this text.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn of(text: &str, extension: &str) -> Result<ScratchFile> {
        let file = ScratchFile::named(extension);
        std::fs::write(&file.0, text).with_context(|| format!("cannot write {}", file.0.display()))?;
        Ok(file)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for ScratchFile {
    fn drop(&mut self) {
        // In the folder for temporary files, where a rest does no harm.
        let _ = std::fs::remove_file(&self.0);
    }
}
