//! Priority of the threads that a picture passes, so that they get a processor at once on a busy computer.
//!
//! Their niceness is [`NICENESS`], where the system permits it (RLIMIT_NICE or CAP_SYS_NICE, setpriority(2)), or where RTKit grants
//! it, as on most desktops (`org.freedesktop.RealtimeKit1`, with the feature `gui`, which has D-Bus already). No real-time class: a
//! thread of this niceness leaves a tenth of a contended processor to each other thread, one of a real-time class leaves
//! nothing. Threads of windows, recordings, stills and previews keep the priority that the program was started with, or a lower
//! one.
//!
//! On Windows the process has the class "above normal", and threads that pictures pass are registered with MMCSS.
//!
//! The environment variable [`VARIABLE`] set to `normal` turns it off, for measurements.
//!
//! A thread inherits the niceness of the thread that starts it, x265's workers too, unless RTKit gave it.

/// The variable that turns it off.
pub(crate) const VARIABLE: &str = "HEVCAST_PRIORITY";

/// How this process's threads get their priority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Means {
    /// The system permits it.
    Permitted,
    /// RTKit gives it on request.
    #[cfg(all(target_os = "linux", feature = "gui"))]
    RtKit,
    /// It cannot be had: why not.
    Unavailable(String),
}

#[cfg(target_os = "linux")]
pub(crate) use linux::*;

#[cfg(all(windows, feature = "media"))]
pub(crate) use self::windows::*;

#[cfg(not(any(target_os = "linux", all(windows, feature = "media"))))]
pub(crate) use elsewhere::*;

/// Windows, where everybody may have it: see [`hevcast_media::system`].
#[cfg(all(windows, feature = "media"))]
mod windows {
    use std::sync::LazyLock;

    use hevcast_media::system;

    use super::{Means, VARIABLE};

    static MEANS: LazyLock<Means> = LazyLock::new(|| {
        if std::env::var_os(VARIABLE).is_some_and(|value| value == "normal") {
            return Means::Unavailable(format!("{VARIABLE}=normal turns it off"));
        }
        match system::raise_process() {
            Ok(()) => Means::Permitted,
            Err(error) => Means::Unavailable(format!("the system does not permit it ({error})")),
        }
    });

    /// How the priority is had. The first call raises the process.
    pub(crate) fn means() -> &'static Means {
        &MEANS
    }

    /// Raises the priority of this thread.
    pub(crate) fn raise() {
        if *means() == Means::Permitted && !system::raise_thread() {
            tracing::debug!("MMCSS does not run; the thread has its process's priority alone");
        }
    }

    /// Runs work; threads that it starts have the priority of the process.
    pub(crate) fn while_raised<T>(work: impl FnOnce() -> T) -> T {
        work()
    }

    /// Gives this thread the priority of an ordinary process: for work that no picture waits for.
    pub(crate) fn normal() {
        if *means() == Means::Permitted {
            system::restore_thread();
        }
    }

    /// As [`normal`]: between that and standing still there is nothing.
    pub(crate) fn lower() {
        normal();
    }
}

/// Where this program knows no priorities of threads.
#[cfg(not(any(target_os = "linux", all(windows, feature = "media"))))]
mod elsewhere {
    use super::Means;

    /// How the priority is had: not at all.
    pub(crate) fn means() -> &'static Means {
        static MEANS: std::sync::LazyLock<Means> =
            std::sync::LazyLock::new(|| Means::Unavailable("not on this system".to_owned()));
        &MEANS
    }

    /// Does nothing.
    pub(crate) fn raise() {}

    /// Runs work.
    pub(crate) fn while_raised<T>(work: impl FnOnce() -> T) -> T {
        work()
    }

    /// Does nothing.
    pub(crate) fn normal() {}

    /// Does nothing.
    pub(crate) fn lower() {}
}

#[cfg(target_os = "linux")]
mod linux {
    use std::sync::LazyLock;

    use rustix::process::{Pid, getpriority_process, setpriority_process};
    use rustix::thread::gettid;

    use super::{Means, VARIABLE};

    /// Niceness of raised threads, on Linux's scale from −20 to 19. Against threads of niceness 0 it has nine times their
    /// share of a processor.
    const NICENESS: i32 = -10;

    /// Names of x265's worker threads begin so; see `media`.
    #[cfg(feature = "gui")]
    const WORKER_PREFIX: &str = "x265-";

    /// The niceness that the program was started with.
    static STARTED_WITH: LazyLock<i32> =
        LazyLock::new(|| getpriority_process(Some(rustix::process::getpid())).unwrap_or(0));

    /// The niceness of threads whose work is worth less than all else of the program.
    const LOW_NICENESS: i32 = 10;

    static MEANS: LazyLock<Means> = LazyLock::new(find_means);

    /// How the priority is had. The first call tries it on this thread, which keeps it.
    pub(crate) fn means() -> &'static Means {
        &MEANS
    }

    fn find_means() -> Means {
        LazyLock::force(&STARTED_WITH);
        if std::env::var_os(VARIABLE).is_some_and(|value| value == "normal") {
            return Means::Unavailable(format!("{VARIABLE}=normal turns it off"));
        }
        if *STARTED_WITH > 0 {
            return Means::Unavailable(format!("started with a lower priority (niceness {})", *STARTED_WITH));
        }
        let Err(error) = setpriority_process(None, NICENESS) else { return Means::Permitted };
        let not_permitted = format!("the system does not permit it ({error})");
        #[cfg(feature = "gui")]
        return match rtkit::raise(gettid()) {
            Ok(()) => Means::RtKit,
            Err(error) => Means::Unavailable(format!("{not_permitted}, and RTKit does not grant it ({error})")),
        };
        #[cfg(not(feature = "gui"))]
        Means::Unavailable(not_permitted)
    }

    /// Raises the priority of this thread. Does nothing where it cannot be had.
    pub(crate) fn raise() {
        raise_thread(gettid());
    }

    /// Runs work with this thread's priority raised, so that the threads that it starts inherit that: an encoder's workers.
    pub(crate) fn while_raised<T>(work: impl FnOnce() -> T) -> T {
        let before = getpriority_process(None);
        raise();
        let result = work();
        // RTKit's priority is not inherited.
        #[cfg(feature = "gui")]
        if *means() == Means::RtKit {
            worker_threads().into_iter().for_each(raise_thread);
        }
        if let Ok(before) = before {
            // Less priority is always permitted.
            let _ = setpriority_process(None, before);
        }
        result
    }

    #[cfg(feature = "gui")]
    fn worker_threads() -> Vec<Pid> {
        let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return Vec::new() };
        tasks
            .filter_map(|task| {
                let path = task.ok()?.path();
                let name = std::fs::read_to_string(path.join("comm")).ok()?;
                let id = path.file_name()?.to_str()?.parse().ok()?;
                name.starts_with(WORKER_PREFIX).then(|| Pid::from_raw(id))?
            })
            .collect()
    }

    fn raise_thread(thread: Pid) {
        let means = means();
        if matches!(means, Means::Unavailable(_)) || getpriority_process(Some(thread)).is_ok_and(|now| now <= NICENESS)
        {
            return;
        }
        let raised = match means {
            #[cfg(feature = "gui")]
            Means::RtKit => rtkit::raise(thread).map_err(|error| error.to_string()),
            _ => setpriority_process(Some(thread), NICENESS).map_err(|error| error.to_string()),
        };
        if let Err(error) = raised {
            tracing::debug!("a thread keeps its priority: {error}");
        }
    }

    /// Gives this thread the priority that the program was started with: for work that no picture waits for.
    pub(crate) fn normal() {
        let started_with = *STARTED_WITH;
        if getpriority_process(None).is_ok_and(|now| now < started_with) {
            // Less priority is always permitted.
            let _ = setpriority_process(None, started_with);
        }
    }

    /// Gives this thread, and those that it starts from now on, less priority than the program was started with: for work that
    /// the stream does not depend on, such as drawing what a sender pushes.
    pub(crate) fn lower() {
        if let Err(error) = setpriority_process(None, LOW_NICENESS.max(*STARTED_WITH)) {
            tracing::debug!("no lower priority for a thread that only watches: {error}");
        }
    }

    /// RTKit, the service of desktops that gives threads a priority which their user may not take.
    #[cfg(feature = "gui")]
    mod rtkit {
        use std::sync::LazyLock;
        use std::time::Duration;

        use rustix::process::Pid;
        use zbus::blocking::Connection;
        use zbus::blocking::connection::Builder;

        /// It answers at once, or is not there.
        const TIMEOUT: Duration = Duration::from_secs(1);

        static BUS: LazyLock<zbus::Result<Connection>> =
            LazyLock::new(|| Builder::system()?.method_timeout(TIMEOUT).build());

        /// Asks for a thread's niceness.
        pub(super) fn raise(thread: Pid) -> zbus::Result<()> {
            let bus = BUS.as_ref().map_err(Clone::clone)?;
            let (name, path) = ("org.freedesktop.RealtimeKit1", "/org/freedesktop/RealtimeKit1");
            let arguments = (thread.as_raw_nonzero().get() as u64, super::NICENESS);
            bus.call_method(Some(name), path, Some(name), "MakeThreadHighPriority", &arguments).map(drop)
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::thread;

    use rustix::process::getpriority_process;

    use super::*;

    fn niceness() -> i32 {
        getpriority_process(None).unwrap()
    }

    /// Runs a test in a thread of its own, whose priority is nobody else's.
    fn in_thread<T: Send + 'static>(test: impl FnOnce() -> T + Send + 'static) -> T {
        thread::spawn(test).join().unwrap()
    }

    /// What a raised thread has where `before` was its niceness.
    fn raised_from(before: i32) -> i32 {
        match means() {
            Means::Unavailable(_) => before,
            _ => before.min(-10),
        }
    }

    #[test]
    fn a_thread_is_raised_goes_back_and_below() {
        in_thread(|| {
            let before = in_thread(niceness);
            raise();
            assert_eq!(niceness(), raised_from(before));
            raise();
            assert_eq!(niceness(), raised_from(before), "raising twice is raising once");
            normal();
            assert_eq!(niceness(), before);
            lower();
            assert_eq!(niceness(), before.max(10));
        });
    }

    #[test]
    fn threads_that_are_started_while_raised_are_raised_and_their_starter_is_not() {
        in_thread(|| {
            // It finds out, which raises its own thread, before this one is looked at.
            in_thread(means);
            let before = niceness();
            let started = while_raised(|| in_thread(niceness));
            if *means() == Means::Permitted {
                assert_eq!(started, raised_from(before));
            }
            assert_eq!(niceness(), before);
        });
    }
}
