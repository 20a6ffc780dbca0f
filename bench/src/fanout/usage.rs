//! What a process has used: its processor time and its memory, by the system's own books (`proc(5)`).

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result};

/// Units of `stat`'s times: 10 ms on every Linux that Rust runs on.
const STAT_TICK: Duration = Duration::from_millis(10);

/// Processor time by thread.
#[derive(Clone, Debug, Default)]
pub struct CpuTimes(HashMap<String, Duration>);

impl CpuTimes {
    /// Of the process with this number, in ns by thread; where the kernel does not keep these, in ticks as a whole.
    ///
    /// # Errors
    /// When there is no such process.
    pub fn of(process: u32) -> Result<CpuTimes> {
        let tasks = std::fs::read_dir(format!("/proc/{process}/task")).context("the process is gone")?;
        let mut times = HashMap::new();
        for task in tasks.filter_map(std::result::Result::ok) {
            // A thread may end between the listing and the reading.
            let Ok(text) = std::fs::read_to_string(task.path().join("schedstat")) else { continue };
            let nanos = text.split(' ').next().and_then(|nanos| nanos.parse().ok()).context("schedstat of a thread")?;
            times.insert(task.file_name().to_string_lossy().into_owned(), Duration::from_nanos(nanos));
        }
        if times.is_empty() {
            let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).context("the process is gone")?;
            times.insert(String::new(), whole(&stat).context("stat of the process")?);
        }
        Ok(CpuTimes(times))
    }

    /// Time used since `earlier` by the threads that were there at both ends.
    pub fn since(&self, earlier: &CpuTimes) -> Duration {
        let used = |(thread, now): (&String, &Duration)| Some(now.saturating_sub(*earlier.0.get(thread)?));
        self.0.iter().filter_map(used).sum()
    }
}

/// User and system time of a process, from its `stat`.
fn whole(stat: &str) -> Option<Duration> {
    // The name in parentheses may hold anything; behind it stands field 3.
    let (_, fields) = stat.rsplit_once(") ")?;
    let ticks = fields.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u32>().ok()).sum::<Option<u32>>()?;
    Some(STAT_TICK * ticks)
}

/// Time that all processors together have spent on anything since the system was started, or been kept from us by the
/// machine's host.
///
/// # Errors
/// When the system does not report it.
pub fn all_busy() -> Result<Duration> {
    let stat = std::fs::read_to_string("/proc/stat").context("the system does not tell its processor time")?;
    busy(&stat).context("/proc/stat without its first line")
}

fn busy(stat: &str) -> Option<Duration> {
    let fields = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace();
    // user, nice, system, idle, iowait, irq, softirq, steal
    let working = fields.take(8).enumerate().filter(|(index, _)| !matches!(index, 3 | 4));
    Some(STAT_TICK * working.map(|(_, ticks)| ticks.parse::<u32>().ok()).sum::<Option<u32>>()?)
}

/// Resident memory of the process, in KiB.
///
/// # Errors
/// When there is no such process.
pub fn resident_kib(process: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).context("the process is gone")?;
    vm_rss(&status).context("the system does not tell its memory")
}

fn vm_rss(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_that_come_or_go_are_left_out() {
        let times = |times: &[(&str, u64)]| {
            CpuTimes(times.iter().map(|&(thread, ms)| (thread.to_owned(), Duration::from_millis(ms))).collect())
        };
        let earlier = times(&[("1", 100), ("2", 50), ("3", 7)]);
        let later = times(&[("1", 130), ("2", 55), ("4", 1000)]);
        assert_eq!(later.since(&earlier), Duration::from_millis(35));
    }

    #[test]
    fn a_process_is_read_whatever_its_name() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194304 1 2 3 4 120 30 0 0 20 0 1 0";
        assert_eq!(whole(stat), Some(Duration::from_millis(1500)));
        assert_eq!(vm_rss("VmPeak:\t  99 kB\nVmRSS:\t    1234 kB\n"), Some(1234));
        assert_eq!(busy("cpu  100 20 30 4000 500 6 7 8 0 0\ncpu0 1"), Some(Duration::from_millis(1710)));
        assert_eq!((whole("42"), vm_rss("VmPeak: 1 kB")), (None, None));
    }

    #[test]
    fn our_own_books_can_be_read() {
        let own = std::process::id();
        assert!(CpuTimes::of(own).unwrap().since(&CpuTimes::default()).is_zero());
        assert!(resident_kib(own).unwrap() > 100);
        assert!(CpuTimes::of(u32::MAX).is_err());
    }
}
