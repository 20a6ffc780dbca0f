//! What becomes of each frame that is to be recorded: which file it goes to, at which time, or why it is missing.
//!
//! A state machine: frames go in with the time of their arrival, files are behind a trait ([`Storage`]), and nothing here
//! reads a clock or touches a disk. A file begins with a keyframe, when the one before is long enough, when the stream
//! broke off, or when the parameter sets are others; a file for each of these, but not more than `FileRateLimit` allows.
//! Where it does not, a stream that broke off goes on in the file that is open, at the time of arrival; frames whose
//! parameter sets the open file does not have are missing, and counted. A time stamp is never a reason to leave a frame
//! out: see [`super::timeline`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use hevcast_media::mux::RecordError;
use hevcast_wire::{CodedFrame, ParameterSets, SequenceInfo};

use super::timeline::Timeline;
use crate::figures::recorded::{MissingCause, RecordCounters};

/// Files that may begin at once.
const FILES_AT_ONCE: u32 = 4;
/// How long it takes until one more may: a stream that changes with every picture makes twelve files a minute.
const FILE_INTERVAL: Duration = Duration::from_secs(5);
/// A keyframe that is needed and does not come is requested again after this time.
const REQUEST_INTERVAL: Duration = Duration::from_secs(2);

/// A frame on its way to a file.
#[derive(Clone, Debug)]
pub struct RecordFrame {
    /// In memory of its own.
    pub frame: CodedFrame,
    /// The parameter sets that came with it, if it is a random access frame.
    pub sets: ParameterSets,
    /// When it came here, by the monotonic clock.
    pub arrived: Instant,
    /// When it was captured, by its stamp; without one, when it came here.
    pub captured: jiff::Timestamp,
    /// Tells the streams before and after a break apart.
    pub stream: u32,
}

/// Where files are made: the disk, or in tests one that fails.
pub trait Storage {
    /// A file that is being written.
    type File: RecordFile;

    /// The next file, which begins with this frame, of a stream with this size and reordering. Nothing is made before the
    /// first frame is written.
    fn begin(&mut self, first: &RecordFrame, sequence: &SequenceInfo) -> Self::File;

    /// Whether a file so many ticks of 90 kHz long should end at the next keyframe.
    fn is_long_enough(&self, ticks: i64) -> bool;
}

/// A file that frames are written to, until it is ended.
pub trait RecordFile {
    /// Writes a frame at a time in ticks of 90 kHz since the file's beginning.
    ///
    /// # Errors
    /// When it cannot be; the file is of no more use then.
    fn write(&mut self, frame: &RecordFrame, ticks: i64) -> Result<(), RecordError>;

    /// Ends the file: how many of the frames that were written it holds, and why not all.
    fn end(self) -> (u64, Option<RecordError>);
}

/// How often files may begin: a token bucket of [`FILES_AT_ONCE`], filled by one each [`FILE_INTERVAL`].
#[derive(Debug)]
struct FileRateLimit {
    left: u32,
    since: Option<Instant>,
}

impl FileRateLimit {
    fn allows(&mut self, now: Instant) -> bool {
        let since = *self.since.get_or_insert(now);
        let more = now.saturating_duration_since(since).as_nanos() / FILE_INTERVAL.as_nanos();
        if more > 0 {
            self.left = FILES_AT_ONCE.min(self.left.saturating_add(u32::try_from(more).unwrap_or(FILES_AT_ONCE)));
            self.since = Some(now);
        }
        self.left > 0
    }

    fn take(&mut self) {
        self.left = self.left.saturating_sub(1);
    }
}

/// The file that is open.
struct Open<F> {
    file: F,
    sets: ParameterSets,
    timeline: Timeline,
    /// When its first frame came.
    began: Instant,
    /// Frames given to it.
    given: u64,
}

/// Decides for one frame after the other which file it goes to.
pub struct Plan<S: Storage> {
    storage: S,
    counters: Arc<RecordCounters>,
    open: Option<Open<S::File>>,
    file_rate: FileRateLimit,
    stream: u32,
    /// The stream broke off since the open file began, so that the next keyframe should begin another.
    is_another: bool,
    /// Why frames are missing, up to the next keyframe.
    gap: Option<MissingCause>,
    /// When a keyframe was requested that has not come.
    requested: Option<Instant>,
}

impl<S: Storage> Plan<S> {
    /// A plan without a file: the first begins with the next keyframe.
    pub fn new(storage: S, counters: Arc<RecordCounters>) -> Plan<S> {
        let file_rate = FileRateLimit { left: FILES_AT_ONCE, since: None };
        Plan {
            storage,
            counters,
            open: None,
            file_rate,
            stream: 0,
            is_another: false,
            gap: Some(MissingCause::NoKeyframe),
            requested: None,
        }
    }

    /// Takes the next frame. True when a keyframe should be requested.
    ///
    /// # Errors
    /// When a file cannot be written; nothing more can be recorded then.
    pub fn take(&mut self, frame: &RecordFrame) -> Result<bool, RecordError> {
        let now = frame.arrived;
        if frame.stream != self.stream {
            (self.stream, self.is_another, self.gap) = (frame.stream, true, Some(MissingCause::NoKeyframe));
        }
        let is_long = self.is_long(now);
        if frame.frame.random_access {
            // A file that could not be ended leaves this frame without one.
            self.gap =
                self.admit(frame, is_long).inspect_err(|_| self.counters.count_missing(MissingCause::Failed, 1))?;
        }
        if let Some(cause) = self.gap {
            self.counters.count_missing(cause, 1);
        } else {
            self.write(frame)?;
        }
        // One that was refused for its parameter sets is not what is missing.
        let is_needed = is_long || self.gap.is_some_and(|cause| cause == MissingCause::NoKeyframe);
        if !is_needed || frame.frame.random_access {
            self.requested = None;
        }
        let is_due =
            self.requested.is_none_or(|requested| now.saturating_duration_since(requested) >= REQUEST_INTERVAL);
        let requests = is_needed && !frame.frame.random_access && is_due;
        self.requested = if requests { Some(now) } else { self.requested };
        Ok(requests)
    }

    /// Whether the open file is long enough to end with the next keyframe, and another may begin.
    fn is_long(&mut self, now: Instant) -> bool {
        let is_long = self.open.as_ref().is_some_and(|open| self.storage.is_long_enough(open.timeline.latest()));
        is_long && (self.has_lasted(now) || self.file_rate.allows(now))
    }

    /// Whether the open file is long enough by our clock too, or nearly: time stamps may claim any length.
    fn has_lasted(&self, now: Instant) -> bool {
        let lasted = self.open.as_ref().map(|open| now.saturating_duration_since(open.began));
        lasted.is_some_and(|lasted| self.storage.is_long_enough(in_ticks(lasted + lasted / 8)))
    }

    /// Finds a file for a keyframe and what follows it; the cause where there is none.
    fn admit(&mut self, frame: &RecordFrame, is_long: bool) -> Result<Option<MissingCause>, RecordError> {
        let now = frame.arrived;
        let fits = self.open.as_ref().is_some_and(|open| open.sets.contains(&frame.sets));
        let is_wanted = !fits || is_long || self.is_another;
        let sps = frame.sets.sps().filter(|_| frame.sets.is_complete());
        let sequence = sps.and_then(|sps| frame.frame.codec.sequence_info(sps));
        match sequence.filter(|_| is_wanted) {
            Some(sequence) if is_long || self.file_rate.allows(now) => {
                if !(is_long && self.has_lasted(now)) {
                    self.file_rate.take();
                }
                self.end()?;
                self.open = Some(Open {
                    file: self.storage.begin(frame, &sequence),
                    sets: frame.sets.clone(),
                    timeline: Timeline::new(frame.frame.timestamp, now, sequence.reordered > 0),
                    began: now,
                    given: 0,
                });
            }
            _ if fits => {}
            Some(_) => return Ok(Some(MissingCause::TooManyFiles)),
            None => return Ok(Some(MissingCause::NoParameterSets)),
        }
        self.is_another = false;
        Ok(None)
    }

    fn write(&mut self, frame: &RecordFrame) -> Result<(), RecordError> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let ticks = if open.given == 0 { 0 } else { open.timeline.place(frame.frame.timestamp, frame.arrived) };
        open.given += 1;
        self.counters.count_recorded(frame.frame.annexb_bytes() as u64);
        match open.file.write(frame, ticks) {
            Ok(()) => Ok(()),
            Err(error) => self.end().and(Err(error)),
        }
    }

    /// Ends the file that is open.
    ///
    /// # Errors
    /// When its end cannot be written.
    pub fn end(&mut self) -> Result<(), RecordError> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let (kept, error) = open.file.end();
        self.counters.count_not_kept(open.given.saturating_sub(kept));
        error.map_or(Ok(()), Err)
    }

    /// The storage in which the files are made.
    pub fn storage(&self) -> &S {
        &self.storage
    }
}

fn in_ticks(time: Duration) -> i64 {
    i64::try_from(time.as_micros() * 9 / 100).unwrap_or(i64::MAX)
}
