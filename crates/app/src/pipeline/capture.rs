//! The capture stage: pictures from the source into the slot `capture`, and the wait for a camera that was unplugged.
//!
//! A source that fails before its first picture ends the stage. Later, one that can come back is waited for, while
//! outputs keep their connections and readers keep theirs; [`SourceState`] has what is shown of it.

use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Result;
use hevcast_media::capture::{CaptureError, Captured, Lost, Pacing, Reopen, Source, SourceInfo};
use hevcast_media::{FrameRate, Stop};

use super::keyframe::KeyframeRequest;
use super::slot::Slot;
use super::thinning::Sieve;
use crate::figures::send::SendCounters;

/// Pause before each try to open a camera again: drivers need some of it after a plug, and each try lists all cameras.
const BETWEEN_TRIES: Duration = Duration::from_millis(500);

/// A picture on its way to the encoder.
#[derive(Debug)]
pub struct CapturedFrame {
    /// The picture, with its capture time and what the source lost before it.
    pub captured: Captured,
    /// Pictures per second that its source means to give.
    pub frame_rate: FrameRate,
}

/// Why a source gives no pictures for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Away {
    /// The camera was unplugged.
    Unplugged,
    /// It is connected and sends nothing.
    Silent,
    /// Another program uses the camera.
    Busy,
    /// It fails in another way.
    Failing,
}

impl Away {
    fn of(error: &CaptureError) -> Away {
        match error {
            CaptureError::Gone(_) | CaptureError::NoCamera | CaptureError::UnknownCamera { .. } => Away::Unplugged,
            CaptureError::Silent { .. } => Away::Silent,
            CaptureError::Busy(_) => Away::Busy,
            _ => Away::Failing,
        }
    }
}

/// The state of a source, shared with whoever shows it.
#[derive(Debug, Default)]
pub struct SourceState {
    shown: Mutex<Shown>,
}

/// What is shown of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// What it is, in one line.
    pub description: String,
    /// Why it gives no pictures for now; `None` while it gives some.
    pub away: Option<Away>,
}

impl SourceState {
    /// The state of a source of this description that gives pictures.
    pub fn new(description: String) -> SourceState {
        SourceState { shown: Mutex::new(Shown { description, away: None }) }
    }

    /// The description of the source, and why it is away if it is.
    pub fn shown(&self) -> Shown {
        self.shown.lock().clone()
    }

    /// Notes whether the source gives pictures, and if not, why.
    pub(super) fn set_away(&self, away: Option<Away>) {
        self.change(|shown| shown.away = away);
    }

    fn change(&self, change: impl FnOnce(&mut Shown)) {
        change(&mut self.shown.lock());
    }
}

/// The capture stage, which runs on a thread of its own.
pub struct CaptureStage {
    /// The source that is open; a camera that is away is replaced by one that gives nothing.
    pub source: Box<dyn Source>,
    /// The slot `capture`, from which the encode stage takes pictures.
    pub slot: Arc<Slot<CapturedFrame>>,
    /// Which pictures of a live source the encoder gets.
    pub sieve: Arc<Sieve>,
    /// Counts pictures captured and lost.
    pub counters: Arc<SendCounters>,
    /// What is shown of the source.
    pub state: Arc<SourceState>,
    /// Set when the source is back: the first picture after the pause is to be a keyframe.
    pub keyframe_request: KeyframeRequest,
    /// Ends the stage, and the wait for a camera.
    pub stop: Stop,
}

/// Why a source gives no more pictures.
enum SourceEnd {
    /// It has ended, or nobody takes its pictures any more.
    Done,
    Failed(CaptureError),
}

impl CaptureStage {
    /// Hands over pictures until the source ends for good.
    ///
    /// # Errors
    /// The source's failure, where it had not given a picture or cannot come back.
    pub fn run(mut self) -> Result<()> {
        let slot = Arc::clone(&self.slot);
        let _closed = slot.close_on_drop();
        let mut has_given = false;
        loop {
            let error = match self.hand_over(&mut has_given) {
                SourceEnd::Done => return Ok(()),
                SourceEnd::Failed(error) => error,
            };
            let reopener = self.source.reopener().filter(|_| has_given);
            let Some(reopener) = reopener else { return Err(error.into()) };
            self.counters.source_away.store(true, Ordering::Release);
            // Nothing to give, and the device closed: its node goes only then.
            self.source = Box::new(Nothing(self.source.info().clone()));
            match self.wait(reopener, error) {
                Some(source) => self.source = source,
                None => return Ok(()),
            }
        }
    }

    /// Hands over pictures until the source fails or ends.
    fn hand_over(&mut self, has_given: &mut bool) -> SourceEnd {
        let (pacing, frame_rate) = (self.source.info().pacing, self.source.info().frame_rate);
        loop {
            let captured = match self.source.next(&self.stop) {
                Ok(Some(captured)) => captured,
                ended => {
                    // No further picture tells of these.
                    let lost = self.source.take_lost();
                    self.count_lost(lost);
                    return match ended {
                        Err(error) => SourceEnd::Failed(error),
                        Ok(_) => SourceEnd::Done,
                    };
                }
            };
            *has_given = true;
            if self.counters.source_away.load(Ordering::Acquire) {
                self.is_back();
            }
            self.counters.captured.add(1);
            self.count_lost(captured.lost);
            let arrived = CapturedFrame { captured, frame_rate };
            match pacing {
                Pacing::Live if !self.sieve.passes(self.counters.captured.get()) => {
                    self.counters.dropped_thinned.add(1)
                }
                Pacing::Live => self.slot.put_newest(arrived),
                Pacing::Patient => {
                    if !self.slot.put_when_empty(arrived) {
                        return SourceEnd::Done;
                    }
                }
            }
            self.counters.dropped_encoder_busy.set(self.slot.dropped());
        }
    }

    fn count_lost(&self, lost: Lost) {
        self.counters.dropped_driver.add(lost.driver);
        self.counters.dropped_damaged.add(lost.damaged);
        self.counters.dropped_drained.add(lost.drained);
    }

    /// Notes that the source gives pictures again.
    fn is_back(&self) {
        let description = self.source.info().description.clone();
        tracing::info!("{description} is back");
        self.state.change(|shown| *shown = Shown { description, away: None });
        self.counters.source_returns.add(1);
        self.keyframe_request.set();
        self.counters.source_away.store(false, Ordering::Release);
    }

    /// Tries to open the source until it works; `None` when stopped.
    fn wait(&self, mut reopener: Box<dyn Reopen>, error: CaptureError) -> Option<Box<dyn Source>> {
        let mut shown = self.shown_away();
        let mut error = error;
        loop {
            let away = Away::of(&error);
            if shown != Some(away) {
                tracing::warn!("{}", waiting_line(&error));
                self.state.change(|shown| shown.away = Some(away));
                shown = Some(away);
            }
            if self.stop.wait_until(Instant::now() + BETWEEN_TRIES) {
                return None;
            }
            match reopener.reopen() {
                Ok(source) => return Some(source),
                Err(again) => error = again,
            }
        }
    }

    fn shown_away(&self) -> Option<Away> {
        self.state.shown().away
    }
}

/// What is wrong, and that it is waited for.
fn waiting_line(error: &CaptureError) -> String {
    match error {
        CaptureError::Gone(name) => format!("{name} was unplugged; waiting until it is back"),
        CaptureError::Silent { name, seconds } => {
            format!("{name} has sent no picture for {seconds} s; opening it again until it does")
        }
        CaptureError::Busy(name) => format!("{name} is in use by another program; waiting until it is free"),
        other => format!("{other}; trying again"),
    }
}

/// Stands in for a source that is away.
struct Nothing(SourceInfo);

impl Source for Nothing {
    fn info(&self) -> &SourceInfo {
        &self.0
    }

    fn next(&mut self, _stop: &Stop) -> Result<Option<Captured>, CaptureError> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use hevcast_media::capture::{CaptureTimes, StampSource};
    use hevcast_media::picture::{Picture, PictureFormat};

    use super::*;
    use crate::figures::counters::Counter;

    /// What a source does in one call, or a try to open one.
    enum Step {
        Picture(u32),
        Fail(CaptureError),
        End,
    }

    type Script = Arc<Mutex<VecDeque<Step>>>;

    /// Plays its script; the next source goes on with it.
    struct Camera {
        info: SourceInfo,
        script: Script,
        comes_back: bool,
    }

    fn info(width: u32) -> SourceInfo {
        SourceInfo {
            description: format!("camera of {width}"),
            format: PictureFormat::limited(width, 64),
            frame_rate: FrameRate::whole(if width == 64 { 30 } else { 15 }),
            pacing: Pacing::Patient,
            note: None,
            stamps: StampSource::Receipt,
        }
    }

    impl Source for Camera {
        fn info(&self) -> &SourceInfo {
            &self.info
        }

        fn next(&mut self, _stop: &Stop) -> Result<Option<Captured>, CaptureError> {
            let step = self.script.lock().pop_front();
            match step {
                Some(Step::Picture(width)) => Ok(Some(Captured {
                    picture: Picture::new(PictureFormat::limited(width, 64)).unwrap(),
                    at: Instant::now(),
                    lost: Lost { driver: 1, damaged: 2, drained: 3 },
                    times: CaptureTimes::default(),
                })),
                Some(Step::Fail(error)) => Err(error),
                Some(Step::End) | None => Ok(None),
            }
        }

        fn take_lost(&mut self) -> Lost {
            Lost { damaged: 10, ..Lost::default() }
        }

        fn reopener(&self) -> Option<Box<dyn Reopen>> {
            self.comes_back.then(|| Box::new(Reopener(Arc::clone(&self.script))) as Box<dyn Reopen>)
        }
    }

    struct Reopener(Script);

    impl Reopen for Reopener {
        fn reopen(&mut self) -> Result<Box<dyn Source>, CaptureError> {
            let mut script = self.0.lock();
            let width = match script.front() {
                Some(Step::Picture(width)) => *width,
                Some(Step::End) | None => 64,
                Some(Step::Fail(_)) => match script.pop_front() {
                    Some(Step::Fail(error)) => return Err(error),
                    _ => 64,
                },
            };
            Ok(Box::new(Camera { info: info(width), script: Arc::clone(&self.0), comes_back: true }))
        }
    }

    struct Ran {
        result: Result<()>,
        /// Width and rate of each picture.
        pictures: Vec<(u32, u32)>,
        returns: u64,
        /// Lost by the driver, damaged, drained.
        lost: [u64; 3],
        shown: Shown,
        keyframe_requested: bool,
    }

    fn run(steps: Vec<Step>, comes_back: bool) -> Ran {
        let slot = Arc::new(Slot::default());
        let (counters, keyframe_request) = (Arc::new(SendCounters::default()), KeyframeRequest::default());
        let state = Arc::new(SourceState::new("camera of 64".to_owned()));
        let script = Arc::new(Mutex::new(VecDeque::from(steps)));
        let stage = CaptureStage {
            source: Box::new(Camera { info: info(64), script, comes_back }),
            slot: Arc::clone(&slot),
            sieve: Arc::default(),
            counters: Arc::clone(&counters),
            state: Arc::clone(&state),
            keyframe_request: keyframe_request.clone(),
            stop: Stop::new(),
        };
        std::thread::scope(|scope| {
            let running = scope.spawn(|| stage.run());
            let arrived = std::iter::from_fn(|| slot.take());
            let pictures =
                arrived.map(|a: CapturedFrame| (a.captured.picture.format().width, a.frame_rate.num())).collect();
            Ran {
                pictures,
                result: running.join().unwrap(),
                returns: counters.source_returns.get(),
                lost: [&counters.dropped_driver, &counters.dropped_damaged, &counters.dropped_drained]
                    .map(Counter::get),
                shown: state.shown(),
                keyframe_requested: keyframe_request.take(),
            }
        })
    }

    fn gone() -> Step {
        Step::Fail(CaptureError::Gone("camera".to_owned()))
    }

    #[test]
    fn a_camera_that_comes_back_goes_on_even_in_another_size() {
        let busy = || Step::Fail(CaptureError::Busy("camera".to_owned()));
        let silent = || Step::Fail(CaptureError::Silent { name: "camera".to_owned(), seconds: 10 });
        // Unplugged; there, but busy; open, but gone before its first picture; then back, smaller and slower, twice.
        let steps = vec![
            Step::Picture(64),
            gone(),
            busy(),
            Step::Picture(32),
            Step::Picture(32),
            silent(),
            gone(),
            Step::Picture(32),
            Step::End,
        ];
        let ran = run(steps, true);
        assert!(ran.result.is_ok(), "{:?}", ran.result);
        assert_eq!(ran.pictures, [(64, 30), (32, 15), (32, 15), (32, 15)]);
        assert_eq!(ran.returns, 2);
        // Four pictures tell what was lost before them, and three ends what was lost since.
        assert_eq!(ran.lost, [4, 4 * 2 + 3 * 10, 4 * 3]);
        assert_eq!(ran.shown, Shown { description: "camera of 32".to_owned(), away: None });
        assert!(ran.keyframe_requested);
    }

    #[test]
    fn what_never_worked_or_cannot_come_back_ends_the_stream() {
        let never = run(vec![gone()], true);
        assert!(never.result.unwrap_err().to_string().contains("camera has gone"));
        let file = run(vec![Step::Picture(64), gone()], false);
        assert_eq!((file.pictures.len(), file.returns), (1, 0));
        assert!(file.result.is_err());
    }

    #[test]
    fn a_stop_ends_the_wait() {
        let (slot, counters) = (Arc::new(Slot::default()), Arc::new(SendCounters::default()));
        let state = Arc::new(SourceState::default());
        let steps = (0..10_000).map(|_| gone());
        let script = Arc::new(Mutex::new([Step::Picture(64)].into_iter().chain(steps).collect()));
        let stop = Stop::new();
        let stage = CaptureStage {
            source: Box::new(Camera { info: info(64), script, comes_back: true }),
            slot: Arc::clone(&slot),
            sieve: Arc::default(),
            counters,
            state: Arc::clone(&state),
            keyframe_request: KeyframeRequest::default(),
            stop: stop.clone(),
        };
        std::thread::scope(|scope| {
            let running = scope.spawn(|| stage.run());
            assert!(slot.take().is_some());
            while state.shown().away != Some(Away::Unplugged) {
                std::thread::yield_now();
            }
            stop.stop();
            assert!(running.join().unwrap().is_ok());
        });
    }

    #[test]
    fn each_line_says_what_is_waited_for() {
        let line = waiting_line(&CaptureError::Gone("HD Webcam (/dev/video0)".to_owned()));
        assert_eq!(line, "HD Webcam (/dev/video0) was unplugged; waiting until it is back");
        let line = waiting_line(&CaptureError::Forbidden("cam".to_owned()));
        assert!(line.ends_with("; trying again"), "{line}");
    }
}
