//! A configuration file of a program that is measured, in the folder for temporary files.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};

/// Removed when dropped.
#[derive(Debug)]
pub struct ConfigFile(PathBuf);

impl ConfigFile {
    /// Writes `text` to a new file, whose name ends in `extension`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(text: &str, extension: &str) -> Result<ConfigFile> {
        static WRITTEN: AtomicU32 = AtomicU32::new(0);
        let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
        let name = format!("hevcast-bench-{}-{number}.{extension}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).context("a server's configuration cannot be written")?;
        Ok(ConfigFile(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for ConfigFile {
    fn drop(&mut self) {
        // In the folder for temporary files, where a rest does no harm.
        let _ = std::fs::remove_file(&self.0);
    }
}
