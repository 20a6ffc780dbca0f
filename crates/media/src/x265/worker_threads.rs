//! Measures how long x265's threads wait for a processor, and pins its row workers to processors, on Linux.
//!
//! There are as many workers as processors, and each row that can be coded wakes one. The kernel often runs two of them on one
//! processor while the other is idle, for as long as a picture lasts: on two processors every twentieth picture took twice
//! its time. So each worker is pinned to a processor of its own. Where other programs keep pinned workers waiting ([`LATE`]),
//! the workers are unpinned for a second; if they wait less then, they stay unpinned for longer, else they are pinned again
//! for longer ([`PinPolicy`]).
//!
//! They are pinned only where there are few processors ([`MAX_PROCESSORS`]): among many the kernel finds an idle one. An
//! encoder that codes with one thread has no workers. How long its threads wait is also told to whoever asks.

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, Pid, sched_getaffinity, sched_setaffinity, set_name};

/// The most processors with which workers are pinned, and the most threads whose waits are measured.
const MAX_PROCESSORS: usize = 4;
/// A picture counts as late if a worker that could run waited for a processor longer than this.
const LATE: Duration = Duration::from_millis(2);
/// A window with this many late pictures counts as late.
const LATE_PICTURES: u32 = 3;
/// After this many late windows in a row the workers are unpinned; shorter disturbances are over by then.
const LATE_WINDOWS: u32 = 3;
/// How long waits are measured before pinned and unpinned workers are compared.
const WINDOW: Duration = Duration::from_secs(1);
/// When the first window begins: while a stream starts, everything else that starts with it uses the processors, too.
const START_UP: Duration = Duration::from_secs(2);
/// How long the better state is kept before the other one is tried again, the first time; twice as long each time after.
const MIN_HOLD: Duration = Duration::from_secs(5);
/// The longest that it is kept.
const MAX_HOLD: Duration = Duration::from_secs(320);

/// The threads of one encoder that code pictures.
pub(super) struct WorkerThreads {
    workers: Vec<Worker>,
    /// How long all of them together had waited when that was last asked for.
    asked: Duration,
    /// `None` where they are not pinned.
    pinning: Option<Pinning>,
}

struct Worker {
    thread: Pid,
    /// How long it has waited for a processor since it began.
    waited: Duration,
}

struct Pinning {
    policy: PinPolicy,
    /// The processor of each worker.
    own: Vec<CpuSet>,
    /// The processors that they may run on when unpinned.
    all: CpuSet,
}

/// Calls `open`, which starts the threads of an encoder, and finds these by a thread name that they inherit.
pub(super) fn started_by<T>(open: impl FnOnce() -> T) -> (T, Option<WorkerThreads>) {
    static OPENED: AtomicU32 = AtomicU32::new(0);
    // Linux keeps 15 bytes of a thread's name.
    let name = format!("x265-{:x}", OPENED.fetch_add(1, Ordering::Relaxed));
    let Some(before) = fs::read_to_string("/proc/thread-self/comm").ok().filter(|_| rename(&name)) else {
        return (open(), None);
    };
    let opened = open();
    rename(before.trim_end());
    (opened, WorkerThreads::named(&name))
}

fn rename(name: &str) -> bool {
    std::ffi::CString::new(name).is_ok_and(|name| set_name(&name).is_ok())
}

impl WorkerThreads {
    /// The threads with this name; `None` where Linux does not report how long they wait.
    fn named(name: &str) -> Option<WorkerThreads> {
        let all = sched_getaffinity(None).ok()?;
        let processors: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&cpu| all.is_set(cpu)).collect();
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
        let pinning = (threads.len() > 1 && (2..=MAX_PROCESSORS).contains(&processors.len()))
            .then(|| Pinning::new(all, &processors));
        let workers: Option<Vec<Worker>> = threads
            .into_iter()
            .take(processors.len().min(MAX_PROCESSORS))
            .map(|thread| {
                let thread = Pid::from_raw(thread)?;
                Some(Worker { thread, waited: waited(thread)? })
            })
            .collect();
        let workers = workers.filter(|workers| !workers.is_empty())?;
        let asked = workers.iter().map(|worker| worker.waited).sum();
        Some(WorkerThreads { workers, asked, pinning })
    }

    /// How long a thread waited for a processor since this was last asked for, on average.
    pub(super) fn mean_wait(&mut self) -> Duration {
        let now = self.workers.iter().map(|worker| waited(worker.thread).unwrap_or_default()).sum();
        let before = std::mem::replace(&mut self.asked, now);
        now.saturating_sub(before) / self.workers.len().max(1) as u32
    }

    /// Where workers are pinned: measures after each picture how long they waited, and pins or unpins them.
    pub(super) fn after_picture(&mut self) {
        let Some(Pinning { policy, own, all }) = &mut self.pinning else { return };
        let mut longest = Duration::ZERO;
        for worker in &mut self.workers {
            let now = waited(worker.thread).unwrap_or(worker.waited);
            longest = longest.max(now.saturating_sub(worker.waited));
            worker.waited = now;
        }
        let Some(change) = policy.after_picture(Instant::now(), longest) else { return };
        for (worker, own) in self.workers.iter().zip(own) {
            let processors = match change {
                Change::Pin => &*own,
                Change::Unpin => &*all,
            };
            // Where it is not permitted, as in some containers, the workers just stay unpinned.
            let _ = sched_setaffinity(Some(worker.thread), processors);
        }
    }
}

impl Pinning {
    fn new(all: CpuSet, processors: &[usize]) -> Pinning {
        let only = |processor: &usize| {
            let mut set = CpuSet::new();
            set.set(*processor);
            set
        };
        Pinning { policy: PinPolicy::new(Instant::now()), own: processors.iter().map(only).collect(), all }
    }
}

/// How long a thread of this process has waited in a processor's run queue (proc(5), `schedstat`, the second figure, ns).
fn waited(thread: Pid) -> Option<Duration> {
    let path = format!("/proc/self/task/{}/schedstat", thread.as_raw_nonzero());
    let figures = fs::read_to_string(path).ok()?;
    figures.split_whitespace().nth(1)?.parse().ok().map(Duration::from_nanos)
}

/// What to do with the workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Pin,
    Unpin,
}

/// Decides when workers are pinned: a state machine without threads, for which time is an argument.
#[derive(Debug)]
struct PinPolicy {
    state: State,
    window: Window,
    /// How long the next better state will be kept.
    hold: Duration,
}

#[derive(Debug)]
enum State {
    /// No picture yet: x265's threads may still be setting themselves up.
    New,
    /// `until`: before it, unpinning is known to be no better. `late`: number of late windows in a row; `least`: the least mean
    /// wait in one of them.
    Pinned { since: Instant, until: Instant, late: u32, least: Duration },
    /// `pinned_wait`: the mean wait per picture while they were pinned.
    Unpinned { until: Instant, pinned_wait: Duration },
}

/// Waits measured over some time.
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

    /// The mean wait per picture.
    fn mean(&self) -> Duration {
        self.waited / self.pictures.max(1)
    }
}

impl PinPolicy {
    fn new(now: Instant) -> PinPolicy {
        PinPolicy { state: State::New, window: Window::new(now), hold: MIN_HOLD }
    }

    /// `waited`: the longest that a worker waited in the picture that was finished at `now`.
    fn after_picture(&mut self, now: Instant, waited: Duration) -> Option<Change> {
        if let State::New = self.state {
            self.window = Window::new(now + START_UP);
            self.state = State::Pinned { since: now, until: now, late: 0, least: Duration::MAX };
            return Some(Change::Pin);
        }
        if now < self.window.begin {
            return None;
        }
        self.window.add(waited);
        if now - self.window.begin < WINDOW {
            return None;
        }
        let measured = std::mem::replace(&mut self.window, Window::new(now));
        match self.state {
            State::Pinned { since, until, late, least } => {
                let (late, least) = match measured.late >= LATE_PICTURES {
                    true => (late + 1, least.min(measured.mean())),
                    false => (0, Duration::MAX),
                };
                if late < LATE_WINDOWS || now < until {
                    self.state = State::Pinned { since, until, late, least };
                    return None;
                }
                // After a long time without late windows, earlier disturbances no longer count.
                if now - since > self.hold.max(MIN_HOLD * 12) {
                    self.hold = MIN_HOLD;
                }
                self.state = State::Unpinned { until: now + self.next_hold(), pinned_wait: least };
                Some(Change::Unpin)
            }
            State::Unpinned { until, pinned_wait } => {
                let is_no_better = measured.mean() >= pinned_wait;
                if !is_no_better && now < until {
                    return None;
                }
                let until = if is_no_better { now + self.hold } else { now };
                self.state = State::Pinned { since: now, until, late: 0, least: Duration::MAX };
                Some(Change::Pin)
            }
            State::New => None,
        }
    }

    fn next_hold(&mut self) -> Duration {
        let hold = self.hold;
        self.hold = (self.hold * 2).min(MAX_HOLD);
        hold
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PICTURE: Duration = Duration::from_millis(33);
    const LONG: Duration = Duration::from_millis(5);

    /// Feeds pictures that wait for `waited` each until there is a change; returns it and how long that took.
    fn until_change(policy: &mut PinPolicy, now: &mut Instant, waited: Duration) -> (Change, Duration) {
        let begun = *now;
        for _ in 0..100_000 {
            *now += PICTURE;
            if let Some(change) = policy.after_picture(*now, waited) {
                return (change, *now - begun);
            }
        }
        panic!("nothing changed in an hour");
    }

    #[test]
    fn pinned_after_the_first_picture_and_as_long_as_few_are_late() {
        let mut now = Instant::now();
        let mut policy = PinPolicy::new(now);
        assert_eq!(policy.after_picture(now, LONG), Some(Change::Pin));
        for picture in 0..10_000 {
            now += PICTURE;
            // For three seconds at the start all are; then two in each second, and now and then all of a second.
            let all = picture < 95 || picture > 300 && picture / 30 % 5 == 0;
            let waited = if all || picture % 16 == 0 { LONG } else { Duration::ZERO };
            assert_eq!(policy.after_picture(now, waited), None, "picture {picture}");
        }
    }

    #[test]
    fn unpinned_for_longer_each_time_that_it_helps_and_short_again_after_a_long_time() {
        let mut now = Instant::now();
        let mut policy = PinPolicy::new(now);
        policy.after_picture(now, Duration::ZERO);
        let mut stays = Vec::new();
        for _ in 0..7 {
            let (change, after) = until_change(&mut policy, &mut now, LONG);
            assert_eq!(change, Change::Unpin);
            assert!(after <= START_UP + 3 * WINDOW + 4 * PICTURE, "{after:?}");
            let (change, after) = until_change(&mut policy, &mut now, LONG / 2);
            assert_eq!(change, Change::Pin);
            stays.push((after.as_secs_f64() / 5.0).round() as u32 * 5);
        }
        // Each measurement takes a second, rounded up to whole pictures.
        assert_eq!(stays, [5, 10, 20, 40, 80, 160, 320]);
        for _ in 0..20_000 {
            now += PICTURE;
            assert_eq!(policy.after_picture(now, Duration::ZERO), None);
        }
        until_change(&mut policy, &mut now, LONG);
        assert!(until_change(&mut policy, &mut now, LONG / 2).1 < MIN_HOLD + 2 * WINDOW);
    }

    #[test]
    fn pinned_for_longer_each_time_that_unpinning_does_not_help() {
        let mut now = Instant::now();
        let mut policy = PinPolicy::new(now);
        policy.after_picture(now, Duration::ZERO);
        let mut kept = Vec::new();
        for _ in 0..4 {
            let (change, after) = until_change(&mut policy, &mut now, LONG);
            assert_eq!(change, Change::Unpin);
            kept.push(after.as_secs());
            let (change, after) = until_change(&mut policy, &mut now, LONG * 2);
            assert_eq!(change, Change::Pin);
            assert!(after < WINDOW + 2 * PICTURE, "{after:?}");
        }
        assert!(kept[1..].iter().zip([10, 20, 40]).all(|(kept, stay)| (stay..stay + 3).contains(kept)), "{kept:?}");
    }

    #[test]
    fn threads_started_inside_are_found_and_others_are_not() {
        let (stop, stopped) = std::sync::mpsc::sync_channel::<()>(1);
        let name = || fs::read_to_string("/proc/thread-self/comm").unwrap_or_default();
        let before = name();
        let (thread, workers) = started_by(|| {
            // Not by `std::thread::Builder`, which would name it itself.
            std::thread::spawn(move || stopped.recv())
        });
        assert_eq!(name(), before);
        let workers = workers.expect("a thread was started");
        assert_eq!((workers.workers.len(), workers.pinning.is_some()), (1, false), "one thread is not pinned");
        drop(stop);
        assert!(thread.join().is_ok_and(|received| received.is_err()));
    }
}
