//! What has become of the pictures that were to be recorded: recorded, or missing by cause. The sum always holds:
//! came = recorded + missing + those that wait in the queue `record`, which is empty once the recording has ended.

use std::collections::BTreeMap;

use super::counters::counters;

/// Why a picture is missing in a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingCause {
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

/// All causes, in the order of [`MissingCause`].
const MISSING_CAUSES: [MissingCause; 6] = [
    MissingCause::NoKeyframe,
    MissingCause::NoParameterSets,
    MissingCause::Lost,
    MissingCause::Slow,
    MissingCause::TooManyFiles,
    MissingCause::Failed,
];

impl MissingCause {
    /// Its name in JSON and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            MissingCause::NoKeyframe => "no_keyframe",
            MissingCause::NoParameterSets => "no_parameter_sets",
            MissingCause::Lost => "lost",
            MissingCause::Slow => "slow",
            MissingCause::TooManyFiles => "too_many_files",
            MissingCause::Failed => "failed",
        }
    }

    fn words(self) -> &'static str {
        match self {
            MissingCause::NoKeyframe => "came before a keyframe",
            MissingCause::NoParameterSets => "came without parameter sets",
            MissingCause::Lost => "were lost on the way",
            MissingCause::Slow => "came faster than the disk writes",
            MissingCause::TooManyFiles => "wanted new files too often",
            MissingCause::Failed => "could not be written",
        }
    }
}

counters! {
    /// What has become of the frames that were to be recorded, over all recordings of a stream.
    pub struct RecordCounters {
        /// Frames that were to be recorded.
        pub came,
        /// Those that are in files.
        pub recorded,
        /// Those that are not, by [`MissingCause`].
        missing[MISSING_CAUSES.len()],
        /// Files that have been made.
        pub files,
        /// Coded bytes given to files.
        pub bytes,
    }
    /// A reading of [`RecordCounters`], or the difference of two.
    pub struct RecordCounts;
}

impl RecordCounters {
    /// Counts a frame of so many bytes that was given to a file.
    pub fn count_recorded(&self, bytes: u64) {
        self.recorded.add(1);
        self.bytes.add(bytes);
    }

    /// Counts frames that are missing.
    pub fn count_missing(&self, cause: MissingCause, frames: u64) {
        self.missing[cause as usize].add(frames);
    }

    /// Counts frames as missing that were given to a file, and are not in it.
    pub fn count_not_kept(&self, frames: u64) {
        self.recorded.take_back(frames);
        self.count_missing(MissingCause::Failed, frames);
    }
}

impl RecordCounts {
    /// Pictures that are missing, whatever the cause.
    pub fn missing(&self) -> u64 {
        self.missing.iter().sum()
    }

    /// Pictures that are missing for this cause.
    pub fn missing_by(&self, cause: MissingCause) -> u64 {
        self.missing[cause as usize]
    }

    /// The same by the names of the causes, all of them.
    pub fn by_cause(&self) -> BTreeMap<&'static str, u64> {
        MISSING_CAUSES.iter().map(|&cause| (cause.name(), self.missing_by(cause))).collect()
    }

    /// What is missing and why, in one line; `None` when nothing is.
    pub fn missing_words(&self) -> Option<String> {
        let causes = MISSING_CAUSES.iter().filter(|&&cause| self.missing_by(cause) > 0);
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
        let counters = RecordCounters::default();
        counters.came.add(5);
        (0..4).for_each(|_| counters.count_recorded(100));
        counters.count_missing(MissingCause::Lost, 1);
        assert_eq!(
            counters.read().missing_words().as_deref(),
            Some("1 of 5 pictures are missing: 1 were lost on the way")
        );
        counters.count_not_kept(3);
        let counts = counters.read();
        assert_eq!((counts.came, counts.recorded, counts.missing()), (5, 1, 4));
        assert_eq!((counts.missing_by(MissingCause::Failed), counts.by_cause()["failed"]), (3, 3));
        assert_eq!(counts.since(counts), RecordCounts::default());
        assert_eq!(RecordCounts::default().missing_words(), None);
    }

    #[test]
    fn causes_are_counted_each_in_its_own_place() {
        for (place, cause) in MISSING_CAUSES.into_iter().enumerate() {
            assert_eq!(cause as usize, place);
        }
    }
}
