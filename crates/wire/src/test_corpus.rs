//! Replays the committed corpora of the fuzz targets, so that what was found once stays mended on stable Rust too.

use std::path::PathBuf;

/// Runs a target's body over each file of its corpus; returns how many there were.
pub(crate) fn replay(target: &str, body: fn(&[u8])) -> usize {
    let corpus = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let files = std::fs::read_dir(&corpus).expect("the corpus is committed");
    let paths = files.map(|file| file.expect("a file").path());
    paths.map(|path| body(&std::fs::read(&path).expect("a readable file"))).count()
}

#[test]
fn every_fuzz_target_has_a_corpus_and_is_built() {
    let fuzz = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let names = |under: &str| {
        let entries = std::fs::read_dir(fuzz.join(under)).expect("the folder is committed");
        let stem = |path: PathBuf| path.file_stem().expect("a name").to_string_lossy().into_owned();
        let mut names: Vec<String> = entries.map(|entry| stem(entry.expect("an entry").path())).collect();
        names.sort();
        names
    };
    let manifest = std::fs::read_to_string(fuzz.join("Cargo.toml")).expect("the manifest is committed");
    let built = manifest.lines().filter_map(|line| line.strip_prefix("path = \"fuzz_targets/")?.strip_suffix(".rs\""));
    let mut built: Vec<String> = built.map(str::to_owned).collect();
    built.sort();
    assert_eq!(names("fuzz_targets"), built);
    assert_eq!(names("fuzz_targets"), names("corpus"));
}
