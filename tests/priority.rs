//! Priority on a busy computer: the threads that pictures pass have more, and other programs still get theirs.

use std::process::Command;
use std::time::Duration;

use crate::support::hevcast::start;
use crate::support::process::Process;
use crate::support::real_time;

/// How long the computer is busy.
const BUSY: Duration = Duration::from_secs(5);
/// The least share of a processor that each busy program must have, with as many programs as processors.
const LEAST_SHARE: f64 = 0.1;

/// The name and the niceness of each thread of a process (proc(5), `stat`: the name in brackets, niceness is the 19th field).
fn niceness_by_thread(process: &Process) -> Vec<(String, i32)> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", process.id())).unwrap().flatten();
    let stats = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("stat")).ok());
    let read = |stat: String| {
        let (head, fields) = stat.rsplit_once(')').unwrap();
        let niceness = fields.split_whitespace().nth(19 - 3).unwrap().parse().unwrap();
        (head.split_once('(').unwrap().1.to_owned(), niceness)
    };
    stats.map(read).collect()
}

/// Whether this process may raise priorities: root, or a limit that permits it.
fn may_raise() -> bool {
    Command::new("nice").args(["-n", "-10", "true"]).output().is_ok_and(|output| output.stderr.is_empty())
}

#[test]
fn stages_are_raised_recordings_are_not_and_other_programs_get_their_share() {
    let _real_time = real_time();
    let scratch = crate::support::Scratch::new();
    let file = scratch.file("recording.mkv");
    let processors = std::thread::available_parallelism().unwrap().get();
    let busy: Vec<Process> = (0..processors)
        .map(|_| Process::start("a busy loop", Command::new("sh").args(["-c", "while :; do :; done"])))
        .collect();
    let sender = start(&[
        "send",
        "--start",
        "--headless",
        "--input",
        "pattern",
        "--size",
        "1280x720",
        "--record",
        file.to_str().unwrap(),
    ]);
    let mut sender = sender;
    // A thread has its name once it has run, which the figures of a second that has coded pictures show.
    sender.stdout.expect("a second with pictures", |line| line.starts_with("send ") && !line.contains(" encoded 0 "));

    let by_thread = niceness_by_thread(&sender);
    let expected = if may_raise() { -10 } else { 0 };
    for name in ["capture", "encode", "x265-"] {
        let found: Vec<i32> =
            by_thread.iter().filter(|(thread, _)| thread.starts_with(name)).map(|found| found.1).collect();
        assert!(!found.is_empty() && found.iter().all(|niceness| *niceness == expected), "{name}: {by_thread:?}");
    }
    let recorder = by_thread.iter().find(|(thread, _)| thread == "record");
    assert_eq!(recorder.map(|found| found.1), Some(0), "{by_thread:?}");

    let before: Vec<Duration> = busy.iter().map(Process::cpu_time).collect();
    // The time that is measured, and no event.
    std::thread::sleep(BUSY);
    for (process, before) in busy.iter().zip(before) {
        let share = (process.cpu_time() - before).as_secs_f64() / BUSY.as_secs_f64();
        assert!(share >= LEAST_SHARE, "another program got {share:.2} of a processor");
    }
    sender.interrupt().0.succeeded();
}
