//! Child processes that are never left behind: ended by SIGTERM, then by SIGKILL, and killed when dropped.
//!
//! What a child says, line by line with the moment it was read, is kept in a bounded log that can be awaited. The end
//! of its output is how its end is noticed: nothing here polls.

use parking_lot::{Condvar, Mutex, MutexGuard};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Lines kept; the oldest go first.
const LOG_LINES: usize = 4096;
/// How long a child may take to end after SIGTERM.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// A line of output.
#[derive(Clone, Debug)]
pub struct Line {
    /// When it was read.
    pub at: Instant,
    /// Without its line break.
    pub text: String,
}

/// What becomes of a child's standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stdout {
    /// Lines, into the log together with standard error's.
    Lines,
    /// Data, for [`Process::take_stdout`].
    Data,
}

#[derive(Debug, Default)]
struct Log {
    inner: Mutex<LogInner>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct LogInner {
    lines: VecDeque<Line>,
    /// Outputs still open.
    open: usize,
}

impl Log {
    fn lock(&self) -> MutexGuard<'_, LogInner> {
        self.inner.lock()
    }

    /// Waits until `found` finds something, for at most `timeout`, and returns what it finds then.
    fn wait<T>(&self, timeout: Duration, mut found: impl FnMut(&LogInner) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + timeout;
        let mut inner = self.lock();
        loop {
            let answer = found(&inner);
            let left = deadline.saturating_duration_since(Instant::now());
            if answer.is_some() || left.is_zero() {
                return answer;
            }
            self.changed.wait_for(&mut inner, left);
        }
    }

    fn follow(self: Arc<Log>, output: impl Read + Send + 'static) -> JoinHandle<()> {
        self.lock().open += 1;
        std::thread::spawn(move || {
            for text in BufReader::new(output).lines().map_while(std::result::Result::ok) {
                let mut inner = self.lock();
                if inner.lines.len() == LOG_LINES {
                    inner.lines.pop_front();
                }
                inner.lines.push_back(Line { at: Instant::now(), text });
                self.changed.notify_all();
            }
            self.lock().open -= 1;
            self.changed.notify_all();
        })
    }
}

/// A running child.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: Arc<Log>,
    followers: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts `command`, called `name` in errors. Its standard input is a pipe: see [`Process::take_stdin`].
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start(name: &str, mut command: Command, stdout: Stdout) -> Result<Process> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {name} ({})", command.get_program().display()))?;
        let log = Arc::new(Log::default());
        let mut followers = Vec::new();
        if let Some(stderr) = child.stderr.take() {
            followers.push(Arc::clone(&log).follow(stderr));
        }
        if stdout == Stdout::Lines
            && let Some(stdout) = child.stdout.take()
        {
            followers.push(Arc::clone(&log).follow(stdout));
        }
        Ok(Process { name: name.to_owned(), child, log, followers })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The pipe to its standard input.
    ///
    /// # Errors
    /// When it has been taken before.
    pub fn take_stdin(&mut self) -> Result<ChildStdin> {
        self.child.stdin.take().with_context(|| format!("{}'s input is taken", self.name))
    }

    /// The pipe from its standard output.
    ///
    /// # Errors
    /// When it is read as lines, or has been taken before.
    pub fn take_stdout(&mut self) -> Result<ChildStdout> {
        self.child.stdout.take().with_context(|| format!("{}'s output is taken", self.name))
    }

    /// What it has said so far.
    pub fn lines(&self) -> Vec<Line> {
        self.log.lock().lines.iter().cloned().collect()
    }

    /// Waits until it says a line in which `find` finds something.
    ///
    /// # Errors
    /// When it ends first or says no such thing for `timeout`; its last words are in the error.
    pub fn wait_for_line<T>(&self, timeout: Duration, find: impl Fn(&str) -> Option<T>) -> Result<T> {
        let found = self.log.wait(timeout, |log| {
            let found = log.lines.iter().find_map(|line| find(&line.text));
            (found.is_some() || log.open == 0).then_some(found)
        });
        match found {
            Some(Some(found)) => Ok(found),
            Some(None) => bail!("it ended before it was ready; {}", self.last_words()),
            None => bail!("not ready within {} s; {}", timeout.as_secs(), self.last_words()),
        }
    }

    /// Waits until it has ended by itself, and demands success.
    ///
    /// # Errors
    /// When it still runs after `timeout` (it keeps running), or failed.
    pub fn wait_for_success(&mut self, timeout: Duration) -> Result<()> {
        match self.wait_for_end(timeout)? {
            Some(status) if status.success() => Ok(()),
            Some(status) => bail!("it failed ({status}); {}", self.last_words()),
            None => bail!("it does not end by itself; {}", self.last_words()),
        }
    }

    /// Asks it to end; it is killed if it does not.
    ///
    /// # Errors
    /// When it had to be killed, or the system does not report its use.
    pub fn stop(self) -> Result<()> {
        self.stop_and_read().map(drop)
    }

    /// Like [`Process::stop`]; what it has said up to its end comes back.
    ///
    /// # Errors
    /// As there.
    pub fn stop_and_read(mut self) -> Result<Vec<Line>> {
        self.terminate();
        if self.wait_for_end(STOP_TIMEOUT)?.is_none() {
            bail!("{} did not end within {} s of SIGTERM and was killed", self.name, STOP_TIMEOUT.as_secs());
        }
        Ok(self.lines())
    }

    /// Its name and the last line that it said, for errors.
    pub fn last_words(&self) -> String {
        let last = self.log.lock().lines.back().map(|line| line.text.clone());
        format!("{}: {}", self.name, last.as_deref().unwrap_or("not a word"))
    }

    /// Waits for the end of its output, which comes with its own; `None` when it has not come.
    fn wait_for_end(&mut self, timeout: Duration) -> Result<Option<ExitStatus>> {
        if self.log.wait(timeout, |log| (log.open == 0).then_some(())).is_none() {
            return Ok(None);
        }
        let status = self.child.wait().with_context(|| format!("{} cannot be waited for", self.name))?;
        Ok(Some(status))
    }

    #[cfg(unix)]
    fn terminate(&mut self) {
        use rustix::process::{Pid, Signal, kill_process};
        // One that has ended in the meantime needs no signal. Its id is ours until it is waited for.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        }
    }

    #[cfg(not(unix))]
    fn terminate(&mut self) {
        let _ = self.child.kill();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Killing one that has been waited for does nothing, and a failure has no one to be reported to.
        let _ = self.child.kill();
        let _ = self.child.wait();
        for follower in self.followers.drain(..) {
            let _ = follower.join();
        }
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    fn shell(script: &str) -> Process {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Process::start("the script", command, Stdout::Lines).unwrap()
    }

    #[test]
    fn a_line_is_awaited_and_a_signal_ends_it() {
        let process = shell("echo starting; echo ready on 7; exec sleep 60");
        let port: u16 = process.wait_for_line(SOON, |line| line.strip_prefix("ready on ")?.parse().ok()).unwrap();
        assert_eq!((port, process.lines().len()), (7, 2));
        let begun = Instant::now();
        process.stop().unwrap();
        assert!(begun.elapsed() < STOP_TIMEOUT);
    }

    #[test]
    fn failures_come_with_their_last_words() {
        let error = shell("echo no camera >&2; exit 3").wait_for_line(SOON, |_| None::<()>).unwrap_err().to_string();
        assert!(error.contains("no camera"), "{error}");
        let mut process = shell("echo no server >&2; exit 3");
        let error = process.wait_for_success(SOON).unwrap_err().to_string();
        assert!(error.contains("no server") && error.contains('3'), "{error}");
        shell("exit 0").wait_for_success(SOON).unwrap();
    }

    #[test]
    fn dropping_leaves_nothing_behind() {
        let process = shell("trap '' TERM; echo up; exec sleep 60");
        process.wait_for_line(SOON, |line| (line == "up").then_some(())).unwrap();
        let log = Arc::clone(&process.log);
        drop(process);
        assert_eq!(log.lock().open, 0);
    }
}
