//! Where x265's row workers run, on Linux.
//!
//! With as many workers as processors, each row that is ready wakes one. The kernel often lets two of them share one
//! processor while the other is idle, for as long as a picture lasts: on two processors every twentieth picture took
//! twice its time. So each worker is kept on a processor of its own, as long as that processor is free when the worker
//! wakes. Where another program keeps it waiting ([`LATE`]), the workers are let go for a second, since a worker that
//! cannot move away may wait for that program's turns. If they wait less then, they are let go for longer; if not, they
//! are kept for longer ([`Keeper`]).
//!
//! Only where there are few processors ([`FEW`]): where there are many the kernel finds a free one.

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, Pid, sched_getaffinity, sched_setaffinity, set_name};

/// The most processors with which workers are kept in place.
const FEW: usize = 4;
/// How long a worker that could run is kept waiting, in one picture, for that picture to count as late.
const LATE: Duration = Duration::from_millis(2);
/// A window with so many late pictures is a late one.
const LATE_PICTURES: u32 = 3;
/// So many late windows in a row are reason to try what it is like without: what disturbs for less is soon over anyway.
const LATE_WINDOWS: u32 = 3;
/// How long either place is looked at before it is judged.
const WINDOW: Duration = Duration::from_secs(1);
/// When the first window begins: while a stream starts, everything that starts with it is in the way.
const START_UP: Duration = Duration::from_secs(2);
/// How long the better place is kept before the other one is tried again, the first time; twice as long each time after.
const SHORTEST_STAY: Duration = Duration::from_secs(5);
/// And at most.
const LONGEST_STAY: Duration = Duration::from_secs(320);

/// The workers of one encoder.
pub(super) struct Workers {
    workers: Vec<Worker>,
    /// What they may run on when let go.
    all: CpuSet,
    keeper: Keeper,
}

struct Worker {
    thread: Pid,
    own: CpuSet,
    /// How long it has been kept waiting since it began.
    waited: Duration,
}

/// Calls `open`, which starts the threads of an encoder, and finds them by a name that they inherit.
pub(super) fn started_by<T>(open: impl FnOnce() -> T) -> (T, Option<Workers>) {
    static OPENED: AtomicU32 = AtomicU32::new(0);
    // Linux keeps 15 bytes of a thread's name.
    let name = format!("x265-{:x}", OPENED.fetch_add(1, Ordering::Relaxed));
    let Some(before) = fs::read_to_string("/proc/thread-self/comm").ok().filter(|_| rename(&name)) else {
        return (open(), None);
    };
    let opened = open();
    rename(before.trim_end());
    (opened, Workers::named(&name))
}

fn rename(name: &str) -> bool {
    std::ffi::CString::new(name).is_ok_and(|name| set_name(&name).is_ok())
}

impl Workers {
    /// `None` where they need no place of their own, or where Linux does not tell how long a thread is kept waiting.
    fn named(name: &str) -> Option<Workers> {
        let all = sched_getaffinity(None).ok()?;
        let processors: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&cpu| all.is_set(cpu)).collect();
        if !(2..=FEW).contains(&processors.len()) {
            return None;
        }
        let mut threads: Vec<i32> = fs::read_dir("/proc/self/task")
            .ok()?
            .filter_map(|task| {
                let path = task.ok()?.path();
                let comm = fs::read_to_string(path.join("comm")).ok()?;
                (comm.trim_end() == name).then(|| path.file_name()?.to_str()?.parse().ok())?
            })
            .collect();
        // x265 starts the workers, one for each processor, before the thread that leads them.
        threads.sort_unstable();
        let workers: Option<Vec<Worker>> = threads
            .into_iter()
            .zip(processors)
            .map(|(thread, processor)| {
                let mut own = CpuSet::new();
                own.set(processor);
                let thread = Pid::from_raw(thread)?;
                Some(Worker { thread, own, waited: waited(thread)? })
            })
            .collect();
        Some(Workers { workers: workers?, all, keeper: Keeper::new(Instant::now()) })
    }

    /// After a picture: looks how long they were kept waiting, and keeps them or lets them go.
    pub(super) fn coded_a_picture(&mut self) {
        let mut longest = Duration::ZERO;
        for worker in &mut self.workers {
            let now = waited(worker.thread).unwrap_or(worker.waited);
            longest = longest.max(now.saturating_sub(worker.waited));
            worker.waited = now;
        }
        let Some(change) = self.keeper.after_picture(Instant::now(), longest) else {
            return;
        };
        for worker in &self.workers {
            let may = match change {
                Change::Keep => &worker.own,
                Change::LetGo => &self.all,
            };
            // A refusal (of a container, say) costs only what keeping them would have won.
            let _ = sched_setaffinity(Some(worker.thread), may);
        }
    }
}

/// How long a thread of ours has stood in a processor's queue, able to run (proc(5), `schedstat`, the second figure, ns).
fn waited(thread: Pid) -> Option<Duration> {
    let path = format!("/proc/self/task/{}/schedstat", thread.as_raw_nonzero());
    let figures = fs::read_to_string(path).ok()?;
    figures.split_whitespace().nth(1)?.parse().ok().map(Duration::from_nanos)
}

/// What is to be done with the workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Keep,
    LetGo,
}

/// Decides when workers are kept; no threads inside, time is an argument.
#[derive(Debug)]
struct Keeper {
    state: State,
    window: Window,
    stay: Duration,
}

#[derive(Debug)]
enum State {
    /// No picture yet: x265's threads may still be setting themselves up.
    New,
    /// `until`: before it, letting go is known to be no better. `late`: late windows in a row; `least`: the least mean wait
    /// in one of them.
    Kept { since: Instant, until: Instant, late: u32, least: Duration },
    /// `kept`: how long they were kept waiting before that, a picture.
    LetGo { until: Instant, kept: Duration },
}

/// What pictures were like in one place.
#[derive(Debug)]
struct Window {
    begin: Instant,
    pictures: u32,
    late: u32,
    waited: Duration,
}

impl Window {
    fn new(begin: Instant) -> Window {
        Window { begin, pictures: 0, late: 0, waited: Duration::ZERO }
    }

    fn add(&mut self, waited: Duration) {
        self.pictures += 1;
        self.late += u32::from(waited > LATE);
        self.waited += waited;
    }

    /// The mean wait in a picture.
    fn mean(&self) -> Duration {
        self.waited / self.pictures.max(1)
    }
}

impl Keeper {
    fn new(now: Instant) -> Keeper {
        Keeper { state: State::New, window: Window::new(now), stay: SHORTEST_STAY }
    }

    /// `waited`: the longest that a worker was kept waiting in the picture that was finished at `now`.
    fn after_picture(&mut self, now: Instant, waited: Duration) -> Option<Change> {
        if let State::New = self.state {
            self.window = Window::new(now + START_UP);
            self.state = State::Kept { since: now, until: now, late: 0, least: Duration::MAX };
            return Some(Change::Keep);
        }
        if now < self.window.begin {
            return None;
        }
        self.window.add(waited);
        if now - self.window.begin < WINDOW {
            return None;
        }
        let seen = std::mem::replace(&mut self.window, Window::new(now));
        match self.state {
            State::Kept { since, until, late, least } => {
                let (late, least) = match seen.late >= LATE_PICTURES {
                    true => (late + 1, least.min(seen.mean())),
                    false => (0, Duration::MAX),
                };
                if late < LATE_WINDOWS || now < until {
                    self.state = State::Kept { since, until, late, least };
                    return None;
                }
                // What went well for longer than the last stay is over and forgotten.
                if now - since > self.stay.max(SHORTEST_STAY * 12) {
                    self.stay = SHORTEST_STAY;
                }
                self.state = State::LetGo { until: now + self.next_stay(), kept: least };
                Some(Change::LetGo)
            }
            State::LetGo { until, kept } => {
                let is_no_better = seen.mean() >= kept;
                if !is_no_better && now < until {
                    return None;
                }
                let until = if is_no_better { now + self.stay } else { now };
                self.state = State::Kept { since: now, until, late: 0, least: Duration::MAX };
                Some(Change::Keep)
            }
            State::New => None,
        }
    }

    fn next_stay(&mut self) -> Duration {
        let stay = self.stay;
        self.stay = (self.stay * 2).min(LONGEST_STAY);
        stay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PICTURE: Duration = Duration::from_millis(33);
    const LONG: Duration = Duration::from_millis(5);

    /// Feeds pictures that wait for `waited` each until something changes; how long that took.
    fn until_change(keeper: &mut Keeper, now: &mut Instant, waited: Duration) -> (Change, Duration) {
        let begun = *now;
        for _ in 0..100_000 {
            *now += PICTURE;
            if let Some(change) = keeper.after_picture(*now, waited) {
                return (change, *now - begun);
            }
        }
        panic!("nothing changed in an hour");
    }

    #[test]
    fn kept_after_the_first_picture_and_as_long_as_few_are_late() {
        let mut now = Instant::now();
        let mut keeper = Keeper::new(now);
        assert_eq!(keeper.after_picture(now, LONG), Some(Change::Keep));
        for picture in 0..10_000 {
            now += PICTURE;
            // For three seconds at the start all are; then two in each second, and now and then all of a second.
            let all = picture < 95 || picture > 300 && picture / 30 % 5 == 0;
            let waited = if all || picture % 16 == 0 { LONG } else { Duration::ZERO };
            assert_eq!(keeper.after_picture(now, waited), None, "picture {picture}");
        }
    }

    #[test]
    fn let_go_for_longer_each_time_that_it_helps_and_short_again_after_a_good_while() {
        let mut now = Instant::now();
        let mut keeper = Keeper::new(now);
        keeper.after_picture(now, Duration::ZERO);
        let mut stays = Vec::new();
        for _ in 0..7 {
            let (change, after) = until_change(&mut keeper, &mut now, LONG);
            assert_eq!(change, Change::LetGo);
            assert!(after <= START_UP + 3 * WINDOW + 4 * PICTURE, "{after:?}");
            let (change, after) = until_change(&mut keeper, &mut now, LONG / 2);
            assert_eq!(change, Change::Keep);
            stays.push((after.as_secs_f64() / 5.0).round() as u32 * 5);
        }
        // A second, rounded up to whole pictures, is what each look takes.
        assert_eq!(stays, [5, 10, 20, 40, 80, 160, 320]);
        for _ in 0..20_000 {
            now += PICTURE;
            assert_eq!(keeper.after_picture(now, Duration::ZERO), None);
        }
        until_change(&mut keeper, &mut now, LONG);
        assert!(until_change(&mut keeper, &mut now, LONG / 2).1 < SHORTEST_STAY + 2 * WINDOW);
    }

    #[test]
    fn kept_for_longer_each_time_that_letting_go_does_not_help() {
        let mut now = Instant::now();
        let mut keeper = Keeper::new(now);
        keeper.after_picture(now, Duration::ZERO);
        let mut kept = Vec::new();
        for _ in 0..4 {
            let (change, after) = until_change(&mut keeper, &mut now, LONG);
            assert_eq!(change, Change::LetGo);
            kept.push(after.as_secs());
            let (change, after) = until_change(&mut keeper, &mut now, LONG * 2);
            assert_eq!(change, Change::Keep);
            assert!(after < WINDOW + 2 * PICTURE, "{after:?}");
        }
        assert!(kept[1..].iter().zip([10, 20, 40]).all(|(kept, stay)| (stay..stay + 3).contains(kept)), "{kept:?}");
    }

    #[test]
    fn threads_started_inside_are_found_and_others_are_not() {
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let name = || fs::read_to_string("/proc/thread-self/comm").unwrap_or_default();
        let before = name();
        let (thread, workers) = started_by(|| {
            // Not by `std::thread::Builder`, which would name it itself.
            std::thread::spawn(move || stopped.recv())
        });
        assert_eq!(name(), before);
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        if let Some(workers) = workers {
            assert_eq!(workers.workers.len(), 1);
        } else {
            assert!(!(2..=FEW).contains(&processors), "no worker was found on {processors} processors");
        }
        drop(stop);
        assert!(thread.join().is_ok_and(|received| received.is_err()));
    }
}
