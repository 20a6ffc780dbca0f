//! What becomes of each picture that is to be recorded: which file it goes to, at which time, or why it is missing.
//!
//! A state machine: pictures go in with the time of their arrival, files are behind a trait ([`Shelf`]), and nothing here
//! reads a clock or touches a disk. A file begins with a keyframe, when the one before is long enough, when the stream
//! broke off, or when the parameter sets are others; a file for each of these, but not more than `FilePace` allows.
//! Where it does not, a stream that broke off goes on in the file that is open, at the time of arrival; pictures whose
//! parameter sets the open file does not have are missing, and counted. A time stamp is never a reason to leave a picture
//! out: see [`super::timeline`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use hevcast_media::mux::RecordError;
use hevcast_wire::{CodedFrame, ParameterSets, SequenceInfo};

use super::timeline::Timeline;
use crate::figures::recorded::{Cause, Tally};

/// Files that may begin one right after the other.
const FILES_AT_ONCE: u32 = 4;
/// How long it takes until one more may: a stream that changes with every picture makes twelve files a minute.
const FILE_INTERVAL: Duration = Duration::from_secs(5);
/// A keyframe that is needed and does not come is asked for again after this time.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// A frame on its way to a file.
#[derive(Clone, Debug)]
pub struct Picture {
    /// In memory of its own.
    pub frame: CodedFrame,
    /// Those that came with it, if it is a random access frame.
    pub sets: ParameterSets,
    /// When it was here.
    pub arrived: Instant,
    /// When it was taken; by our clock where it does not say.
    pub taken: jiff::Timestamp,
    /// Tells the streams before and after a break apart.
    pub stream: u32,
}

/// Where files are made.
pub trait Shelf {
    /// A file of it.
    type File: RecordFile;

    /// The next file, which begins with this picture, of a stream like this. Nothing is made before the
    /// first picture is written.
    fn begin(&mut self, first: &Picture, sequence: &SequenceInfo) -> Self::File;

    /// Whether a file so many ticks of 90 kHz long should end at the next keyframe.
    fn is_long_enough(&self, ticks: i64) -> bool;
}

/// A file being written.
pub trait RecordFile {
    /// Writes a picture at a time in ticks of 90 kHz since the file's beginning.
    ///
    /// # Errors
    /// When it cannot be; the file is of no more use then.
    fn write(&mut self, picture: &Picture, ticks: i64) -> Result<(), RecordError>;

    /// Ends it: how many of the pictures it holds, and why not all.
    fn end(self) -> (u64, Option<RecordError>);
}

/// How often files may begin.
#[derive(Debug)]
struct FilePace {
    left: u32,
    since: Option<Instant>,
}

impl FilePace {
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
    /// When its first picture was here.
    began: Instant,
    /// Pictures given to it.
    given: u64,
}

/// What becomes of pictures, one after the other.
pub struct Plan<S: Shelf> {
    shelf: S,
    tally: Arc<Tally>,
    open: Option<Open<S::File>>,
    pace: FilePace,
    stream: u32,
    /// The stream broke off since the file began.
    is_another: bool,
    /// Why pictures are missing, up to the next keyframe.
    gap: Option<Cause>,
    /// When a keyframe was asked for that has not come.
    asked: Option<Instant>,
}

impl<S: Shelf> Plan<S> {
    /// Nothing is recorded yet.
    pub fn new(shelf: S, tally: Arc<Tally>) -> Plan<S> {
        let pace = FilePace { left: FILES_AT_ONCE, since: None };
        Plan { shelf, tally, open: None, pace, stream: 0, is_another: false, gap: Some(Cause::NoKeyframe), asked: None }
    }

    /// Takes the next picture. True when a keyframe should be asked for.
    ///
    /// # Errors
    /// When a file cannot be written; nothing more can be recorded then.
    pub fn take(&mut self, picture: &Picture) -> Result<bool, RecordError> {
        let now = picture.arrived;
        if picture.stream != self.stream {
            (self.stream, self.is_another, self.gap) = (picture.stream, true, Some(Cause::NoKeyframe));
        }
        let is_long = self.is_long(now);
        if picture.frame.random_access {
            // A file that could not be ended leaves this picture without one.
            self.gap = self.admit(picture, is_long).inspect_err(|_| self.tally.missing(Cause::Failed, 1))?;
        }
        if let Some(cause) = self.gap {
            self.tally.missing(cause, 1);
        } else {
            self.write(picture)?;
        }
        // One that was refused for its parameter sets is not what is missing.
        let is_needed = is_long || self.gap.is_some_and(|cause| cause == Cause::NoKeyframe);
        if !is_needed || picture.frame.random_access {
            self.asked = None;
        }
        let is_due = self.asked.is_none_or(|asked| now.saturating_duration_since(asked) >= ASK_AGAIN);
        let asks = is_needed && !picture.frame.random_access && is_due;
        self.asked = if asks { Some(now) } else { self.asked };
        Ok(asks)
    }

    /// Whether the file that is open should end, and another may begin.
    fn is_long(&mut self, now: Instant) -> bool {
        let is_long = self.open.as_ref().is_some_and(|open| self.shelf.is_long_enough(open.timeline.latest()));
        is_long && (self.has_lasted(now) || self.pace.allows(now))
    }

    /// Whether it is long by our time, or nearly: time stamps can say of any file that it is.
    fn has_lasted(&self, now: Instant) -> bool {
        let lasted = self.open.as_ref().map(|open| now.saturating_duration_since(open.began));
        lasted.is_some_and(|lasted| self.shelf.is_long_enough(in_ticks(lasted + lasted / 8)))
    }

    /// Finds a file for a keyframe and what follows it; the cause where there is none.
    fn admit(&mut self, picture: &Picture, is_long: bool) -> Result<Option<Cause>, RecordError> {
        let now = picture.arrived;
        let fits = self.open.as_ref().is_some_and(|open| open.sets.contains(&picture.sets));
        let is_wanted = !fits || is_long || self.is_another;
        let sps = picture.sets.sps().filter(|_| picture.sets.is_complete());
        let sequence = sps.and_then(|sps| picture.frame.codec.sequence_info(sps));
        match sequence.filter(|_| is_wanted) {
            Some(sequence) if is_long || self.pace.allows(now) => {
                if !(is_long && self.has_lasted(now)) {
                    self.pace.take();
                }
                self.end()?;
                self.open = Some(Open {
                    file: self.shelf.begin(picture, &sequence),
                    sets: picture.sets.clone(),
                    timeline: Timeline::new(picture.frame.timestamp, now, sequence.reordered > 0),
                    began: now,
                    given: 0,
                });
            }
            _ if fits => {}
            Some(_) => return Ok(Some(Cause::TooManyFiles)),
            None => return Ok(Some(Cause::NoParameterSets)),
        }
        self.is_another = false;
        Ok(None)
    }

    fn write(&mut self, picture: &Picture) -> Result<(), RecordError> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let ticks = if open.given == 0 { 0 } else { open.timeline.place(picture.frame.timestamp, picture.arrived) };
        open.given += 1;
        self.tally.recorded(picture.frame.annexb_bytes() as u64);
        match open.file.write(picture, ticks) {
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
        self.tally.not_kept(open.given.saturating_sub(kept));
        error.map_or(Ok(()), Err)
    }

    /// Where files are made.
    pub fn shelf(&self) -> &S {
        &self.shelf
    }
}

fn in_ticks(time: Duration) -> i64 {
    i64::try_from(time.as_micros() * 9 / 100).unwrap_or(i64::MAX)
}
