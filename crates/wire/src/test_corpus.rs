//! Replays the committed corpora of the fuzz targets, so that what was found once stays mended on stable Rust too.

use std::path::PathBuf;

/// Runs a target's body over each file of its corpus; returns how many there were.
pub(crate) fn replay(target: &str, body: fn(&[u8])) -> usize {
    let corpus = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let files = std::fs::read_dir(&corpus).expect("the corpus is committed");
    let paths = files.map(|file| file.expect("a file").path());
    paths.map(|path| body(&std::fs::read(&path).expect("a readable file"))).count()
}
