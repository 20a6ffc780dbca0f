//! What has become of the pictures that were to be recorded: recorded, or missing by cause. The sum always holds:
//! came = recorded + missing + those that wait in the queue `record`, which is empty once the recording has ended.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// Why a picture is missing in a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It came before a keyframe that decoding could begin with.
    NoKeyframe,
    /// It was a keyframe without parameter sets that can be read, or came behind one.
    NoParameterSets,
    /// Parts of it, or of pictures before it, were lost on the way here.
    Lost,
    /// The queue was full: files were written more slowly than pictures came.
    Slow,
    /// Its parameter sets want another file, and files had begun too often of late.
    TooManyFiles,
    /// The file could not be written, as on a full disk.
    Failed,
}

/// All causes, in the order of [`Cause`].
const CAUSES: [Cause; 6] =
    [Cause::NoKeyframe, Cause::NoParameterSets, Cause::Lost, Cause::Slow, Cause::TooManyFiles, Cause::Failed];

impl Cause {
    /// Its name in JSON and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Cause::NoKeyframe => "no_keyframe",
            Cause::NoParameterSets => "no_parameter_sets",
            Cause::Lost => "lost",
            Cause::Slow => "slow",
            Cause::TooManyFiles => "too_many_files",
            Cause::Failed => "failed",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Cause::NoKeyframe => "came before a keyframe",
            Cause::NoParameterSets => "came without parameter sets",
            Cause::Lost => "were lost on the way",
            Cause::Slow => "came faster than the disk writes",
            Cause::TooManyFiles => "wanted new files too often",
            Cause::Failed => "could not be written",
        }
    }
}

/// Counts so far, added to while pictures are recorded.
#[derive(Debug, Default)]
pub struct Tally {
    came: AtomicU64,
    recorded: AtomicU64,
    missing: [AtomicU64; CAUSES.len()],
    files: AtomicU64,
    bytes: AtomicU64,
}

/// A reading of a [`Tally`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Pictures that were to be recorded.
    pub came: u64,
    /// Those in files.
    pub recorded: u64,
    missing: [u64; CAUSES.len()],
    /// Files begun.
    pub files: u64,
    /// Coded bytes given to files.
    pub bytes: u64,
}

impl Tally {
    /// Pictures came.
    pub fn came(&self, pictures: u64) {
        self.came.fetch_add(pictures, Ordering::Relaxed);
    }

    /// A picture of so many bytes was given to a file.
    pub fn recorded(&self, bytes: u64) {
        self.recorded.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Pictures are missing.
    pub fn missing(&self, cause: Cause, pictures: u64) {
        self.missing[cause as usize].fetch_add(pictures, Ordering::Relaxed);
    }

    /// Pictures that were given to a file are not in it.
    pub fn not_kept(&self, pictures: u64) {
        self.recorded.fetch_sub(pictures, Ordering::Relaxed);
        self.missing(Cause::Failed, pictures);
    }

    /// A file has begun.
    pub fn file(&self) {
        self.files.fetch_add(1, Ordering::Relaxed);
    }

    /// How it stands.
    pub fn read(&self) -> Counts {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counts {
            came: get(&self.came),
            recorded: get(&self.recorded),
            missing: self.missing.each_ref().map(get),
            files: get(&self.files),
            bytes: get(&self.bytes),
        }
    }
}

impl Counts {
    /// Those since an earlier reading.
    #[must_use]
    pub fn since(self, before: Counts) -> Counts {
        let mut missing = self.missing;
        missing.iter_mut().zip(before.missing).for_each(|(now, before)| *now -= before);
        Counts {
            came: self.came - before.came,
            // What could not be kept may have been recorded before.
            recorded: self.recorded.saturating_sub(before.recorded),
            missing,
            files: self.files - before.files,
            bytes: self.bytes - before.bytes,
        }
    }

    /// Pictures that are missing, whatever the cause.
    pub fn missing(&self) -> u64 {
        self.missing.iter().sum()
    }

    /// Pictures that are missing for this cause.
    pub fn missing_by(&self, cause: Cause) -> u64 {
        self.missing[cause as usize]
    }

    /// The same by the names of the causes, all of them.
    pub fn by_cause(&self) -> BTreeMap<&'static str, u64> {
        CAUSES.iter().map(|&cause| (cause.name(), self.missing_by(cause))).collect()
    }

    /// What is missing and why, in one line; `None` when nothing is.
    pub fn missing_words(&self) -> Option<String> {
        let causes = CAUSES.iter().filter(|&&cause| self.missing_by(cause) > 0);
        let words: Vec<_> = causes.map(|&cause| format!("{} {}", self.missing_by(cause), cause.words())).collect();
        (!words.is_empty())
            .then(|| format!("{} of {} pictures are missing: {}", self.missing(), self.came, words.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_kept_moves_from_one_side_of_the_sum_to_the_other() {
        let tally = Tally::default();
        tally.came(5);
        (0..4).for_each(|_| tally.recorded(100));
        tally.missing(Cause::Lost, 1);
        assert_eq!(
            tally.read().missing_words().as_deref(),
            Some("1 of 5 pictures are missing: 1 were lost on the way")
        );
        tally.not_kept(3);
        let counts = tally.read();
        assert_eq!((counts.came, counts.recorded, counts.missing()), (5, 1, 4));
        assert_eq!((counts.missing_by(Cause::Failed), counts.by_cause()["failed"]), (3, 3));
        assert_eq!(counts.since(counts), Counts::default());
        assert_eq!(Counts::default().missing_words(), None);
    }

    #[test]
    fn causes_are_counted_each_in_its_own_place() {
        for (place, cause) in CAUSES.into_iter().enumerate() {
            assert_eq!(cause as usize, place);
        }
    }
}
