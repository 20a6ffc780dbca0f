//! A child process: its output lines as they come, its exit, and that it never outlives the test.

use parking_lot::{Condvar, Mutex};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::LIMIT;

/// How often it is checked whether a child has ended.
const WATCH: Duration = Duration::from_millis(1);

/// Most lines of a stream that a failure prints, since figures come every second.
const TOLD_LINES: usize = 30;

/// A running child process. Dropping it kills the child and all its descendants.
pub struct Process {
    name: String,
    child: Child,
    /// The lines of its standard output.
    pub stdout: Lines,
    /// The lines of its standard error.
    pub stderr: Lines,
    ended: bool,
}

/// How a child process ended, and its output.
pub struct Exit {
    name: String,
    /// The exit status of the process.
    pub status: ExitStatus,
    /// All lines of its standard output.
    pub stdout: Vec<String>,
    /// All lines of its standard error.
    pub stderr: Vec<String>,
}

impl Process {
    /// Starts `command` with an empty standard input.
    pub fn start(name: &str, command: &mut Command) -> Process {
        Process::spawn(name, command.stdin(Stdio::null()))
    }

    /// Starts `command`; also returns its standard input, for the test to write to.
    pub fn start_fed(name: &str, command: &mut Command) -> (Process, ChildStdin) {
        let mut process = Process::spawn(name, command.stdin(Stdio::piped()));
        let stdin = process.child.stdin.take().unwrap();
        (process, stdin)
    }

    /// Starts `command` with this standard output, which the test holds and need not read.
    pub fn start_into(name: &str, command: &mut Command, stdout: impl Into<Stdio>) -> Process {
        Process::spawn_into(name, command.stdin(Stdio::null()), stdout.into())
    }

    fn spawn(name: &str, command: &mut Command) -> Process {
        Process::spawn_into(name, command, Stdio::piped())
    }

    fn spawn_into(name: &str, command: &mut Command, stdout: Stdio) -> Process {
        let spawned = command.stdout(stdout).stderr(Stdio::piped()).spawn();
        let mut child = spawned.unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let stdout_name = format!("{name}'s standard output");
        let stdout = match child.stdout.take() {
            Some(stdout) => Lines::of(stdout_name, stdout),
            None => Lines::of(stdout_name, std::io::empty()),
        };
        let stderr = Lines::of(format!("{name}'s standard error"), child.stderr.take().unwrap());
        Process { name: name.to_owned(), child, stdout, stderr, ended: false }
    }

    /// Waits until the process has ended by itself, at most for [`LIMIT`](super::LIMIT).
    pub fn wait(self) -> Exit {
        self.wait_within(LIMIT)
    }

    /// Waits until the process has ended by itself, at most for `limit`.
    pub fn wait_within(mut self, limit: Duration) -> Exit {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(begun.elapsed() < limit, "{} still runs after {limit:?}", self.name);
            std::thread::sleep(WATCH);
        };
        self.ended = true;
        let (stdout, stderr) = (self.stdout.finish(), self.stderr.finish());
        Exit { name: self.name.clone(), status, stdout, stderr }
    }

    /// Sends SIGINT, as Ctrl-C does, and waits for the end; also returns how long that took.
    pub fn interrupt(self) -> (Exit, Duration) {
        self.signal(Signal::INT);
        let begun = Instant::now();
        let exit = self.wait();
        (exit, begun.elapsed())
    }

    /// Sends SIGTERM, as a system that shuts down does, and waits for the end.
    pub fn terminate(self) -> Exit {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Sends SIGKILL, like a crash: the process cannot clean up.
    pub fn kill(self) -> Exit {
        self.signal(Signal::KILL);
        let exit = self.wait();
        assert_eq!(exit.status.signal(), Some(Signal::KILL.as_raw()), "{} had already ended", exit.name);
        exit
    }

    /// Sends SIGHUP, upon which the server reads its configuration again.
    pub fn hang_up(&self) {
        self.signal(Signal::HUP);
    }

    fn signal(&self, signal: Signal) {
        // The child has not been waited for, so the id is still its own.
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// The process id of the child.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The names of its threads, sorted.
    pub fn threads(&self) -> Vec<String> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.id())).into_iter().flatten().flatten();
        let name = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm")).ok();
        let mut names: Vec<String> = tasks.filter_map(name).map(|name| name.trim().to_owned()).collect();
        names.sort();
        names
    }

    /// How long its first thread has run on a processor (proc(5), `schedstat`, the first figure, ns).
    pub fn cpu_time(&self) -> Duration {
        let schedstat = std::fs::read_to_string(format!("/proc/{}/schedstat", self.id())).unwrap();
        Duration::from_nanos(schedstat.split(' ').next().unwrap().parse().unwrap())
    }

    /// The targets of all its open file descriptors.
    pub fn open_files(&self) -> Vec<PathBuf> {
        let links = std::fs::read_dir(format!("/proc/{}/fd", self.id())).into_iter().flatten().flatten();
        links.filter_map(|link| std::fs::read_link(link.path()).ok()).collect()
    }

    /// The process ids of all its running descendants.
    pub fn descendants(&self) -> Vec<Pid> {
        let mut found = vec![Pid::from_child(&self.child)];
        let mut next = 0;
        while let Some(parent) = found.get(next).copied() {
            next += 1;
            let tasks = std::fs::read_dir(format!("/proc/{}/task", parent.as_raw_nonzero()));
            for task in tasks.into_iter().flatten().flatten() {
                let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
                let ids = children.split_whitespace().filter_map(|id| Pid::from_raw(id.parse().ok()?));
                found.extend(ids);
            }
        }
        found.split_off(1)
    }
}

/// Waits until a file has at least `bytes`.
pub fn wait_for_bytes(path: &Path, bytes: u64) {
    let begun = Instant::now();
    loop {
        let held = std::fs::metadata(path).map_or(0, |file| file.len());
        if held >= bytes {
            return;
        }
        assert!(begun.elapsed() < LIMIT, "{} holds {held} of {bytes} bytes after {LIMIT:?}", path.display());
        std::thread::sleep(WATCH);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        for descendant in self.descendants() {
            let _ = kill_process(descendant, Signal::KILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            // Both threads end with the child, since its streams are closed then.
            self.stdout.finish();
            self.stderr.finish();
            eprintln!("{}\n{}", self.stdout.last_lines(), self.stderr.last_lines());
        }
    }
}

impl Exit {
    /// Fails unless the child ended with status 0.
    pub fn succeeded(self) -> Exit {
        assert!(
            self.status.success(),
            "{} ended with {}; it said:\n{}\n{}",
            self.name,
            self.status,
            self.stdout.join("\n"),
            self.stderr.join("\n"),
        );
        self
    }
}

/// The lines of an output stream, collected by a thread. [`Lines::expect`] goes through them once, from first to last.
pub struct Lines {
    name: String,
    shared: Arc<(Mutex<Collected>, Condvar)>,
    consumed: usize,
    collector: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Collected {
    lines: Vec<String>,
    ended: bool,
}

impl Lines {
    fn of(name: String, stream: impl Read + Send + 'static) -> Lines {
        let shared: Arc<(Mutex<Collected>, Condvar)> = Arc::default();
        let collector = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || collect(stream, &shared)
        });
        Lines { name, shared, consumed: 0, collector: Some(collector) }
    }

    /// Waits for the next line for which `wanted` holds. The lines before it are consumed, too.
    pub fn expect(&mut self, what: &str, mut wanted: impl FnMut(&str) -> bool) -> String {
        let begun = Instant::now();
        let (lock, changed) = &*self.shared;
        let mut collected = lock.lock();
        loop {
            while let Some(line) = collected.lines.get(self.consumed) {
                self.consumed += 1;
                if wanted(line) {
                    return line.clone();
                }
            }
            let left = LIMIT.saturating_sub(begun.elapsed());
            if collected.ended || left.is_zero() {
                let why = if collected.ended { "it ended" } else { "time is up" };
                drop(collected);
                panic!("waiting for {what} on {}: {why}\n{}", self.name, self.last_lines());
            }
            changed.wait_for(&mut collected, left);
        }
    }

    /// Consumes the next line, if it has come already.
    pub fn next_now(&mut self) -> Option<String> {
        let line = self.shared.0.lock().lines.get(self.consumed).cloned();
        self.consumed += usize::from(line.is_some());
        line
    }

    /// All lines, once the stream has ended.
    fn finish(&mut self) -> Vec<String> {
        if let Some(collector) = self.collector.take() {
            collector.join().unwrap();
        }
        self.shared.0.lock().lines.clone()
    }

    /// The last lines so far under a heading, for failures.
    fn last_lines(&self) -> String {
        let collected = self.shared.0.lock();
        let before = collected.lines.len().saturating_sub(TOLD_LINES);
        format!("--- {}, after {before} lines:\n{}", self.name, collected.lines[before..].join("\n"))
    }
}

fn collect(stream: impl Read, shared: &(Mutex<Collected>, Condvar)) {
    let (lock, changed) = shared;
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    while stream.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        lock.lock().lines.push(text);
        changed.notify_all();
        line.clear();
    }
    lock.lock().ended = true;
    changed.notify_all();
}
