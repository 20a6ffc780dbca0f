//! A real camera driver: Linux's `vivid` in a small virtual machine sends to a server outside.
//!
//! One boot for all tests, since emulation is slow: first the errors, then the stream. Unplugging a camera is tested by
//! [`crate::camera_returns`]. The commands that run inside are in [`INSIDE`]; they print marks where each begins and
//! how it ended.

use parking_lot::Mutex;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::support::hevcast::{Server, count, figures, number, start, summary};
use crate::support::process::{Exit, Process};
use crate::support::{Scratch, real_time_shared, root, runs, say};

/// The virtual machine ends itself after this many seconds, even if a command hangs.
const MACHINE_SECONDS: u32 = 400;
/// How many pictures must arrive.
const PICTURES: u64 = 10;

/// The script that runs in the virtual machine: `$1` is the program, `$2` the server.
const INSIDE: &str = r#"
one() { echo "BEGIN $1"; shift; "$@" 2>&1; echo "END $?"; }
send() { "$program" send --encoder libx265 --preset ultrafast "$@"; }
until_sending() { n=0; until grep -q "sending to" "$1" || [ $((n += 1)) -gt 60 ]; do sleep 1; done; }
program=$1 server=$2
one devices "$program" devices
one no-such-mode send --input camera --size 1234x566 --to "$server/none"
one no-such-camera send --input camera:/dev/video9 --to "$server/none"
send --input camera --size 320x180 --fps 5 --to "$server/cam" --duration 10s --stats json >/tmp/stream 2>&1 &
until_sending /tmp/stream
one busy send --input camera --size 320x180 --fps 5 --to "$server/none"
wait $!
one stream sh -c "cat /tmp/stream; exit $?"
"#;

/// The script that boots the virtual machine. `None` where it or something that it needs is absent; then prints what is
/// skipped.
pub fn machine() -> Option<Machine> {
    let script = root().join("../shared/tools/camera-vm/camera-vm");
    let absent = match () {
        () if !script.exists() => format!("there is no {}", script.display()),
        () => match ["qemu-system-x86_64", "busybox", "cpio", "modprobe"].into_iter().find(|tool| !runs(tool)) {
            Some(tool) => format!("{tool} is not installed"),
            None => return Some(Machine::new(script)),
        },
    };
    say(&format!("skipped: a real camera driver: {absent}"));
    None
}

/// The output lines between a command's marks, and its exit status.
pub fn said(exit: &Exit, name: &str) -> (Vec<String>, i32) {
    let all = exit.stdout.join("\n");
    // Output of the firmware may precede the first mark.
    let mark = format!("BEGIN {name}");
    let mut said = Vec::new();
    for line in exit.stdout.iter().skip_while(|line| !line.ends_with(&mark)).skip(1) {
        match line.strip_prefix("END ") {
            Some(status) => return (said, status.parse().unwrap()),
            None => said.push(line.clone()),
        }
    }
    panic!("{name} has not run to its end; the machine said:\n{all}\n{}", exit.stderr.join("\n"));
}

/// Fails unless a command inside ended with status 1 and one line with these words.
fn assert_one_line_inside(exit: &Exit, name: &str, words: &[&str]) {
    let (lines, status) = said(exit, name);
    assert_eq!((lines.len(), status), (1, 1), "{name}: one line and status 1 were due: {lines:?}");
    for word in [&["hevcast: "], words].concat() {
        assert!(lines[0].contains(word), "{name}: no {word:?} in {:?}", lines[0]);
    }
}

/// The virtual machine, and a folder with the program that has the same path inside and outside.
pub struct Machine {
    script: PathBuf,
    /// The folder.
    pub folder: Scratch,
}

impl Machine {
    fn new(script: PathBuf) -> Machine {
        // The virtual machine has a /tmp of its own.
        let home = PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| "/var".into()));
        let folder = Scratch::within(&home.join(".cache"));
        std::fs::copy(env!("CARGO_BIN_EXE_hevcast"), folder.file("hevcast")).unwrap();
        Machine { script, folder }
    }

    /// Boots it, runs a shell script inside with the program as `$1` and `argument` as `$2`, and waits for its end.
    pub fn run(&self, inside: &str, argument: &str) -> Exit {
        self.run_with(inside, argument, None)
    }

    /// The same with the webcam that the tool `usb-webcam` serves at this port, and no other camera.
    pub fn run_with_webcam(&self, inside: &str, argument: &str, port: u16) -> Exit {
        self.run_with(inside, argument, Some(port))
    }

    fn run_with(&self, inside: &str, argument: &str, webcam: Option<u16>) -> Exit {
        // Emulation takes all processors: two machines beside each other would both be too slow for what they are asked.
        static ONE: Mutex<()> = Mutex::new(());
        let _one = ONE.lock();
        let (program, path) = (self.folder.file("hevcast"), self.folder.file("inside.sh"));
        std::fs::write(&path, inside).unwrap();
        // The first line may follow the firmware's last on the same line, which is removed.
        let line = format!("echo; echo up; sh {} {} {argument}", path.display(), program.display());
        let mut command = Command::new(&self.script);
        let booting = command.arg(line).env("CAMERA_VM_TIMEOUT", MACHINE_SECONDS.to_string());
        if let Some(port) = webcam {
            booting.env("CAMERA_VM_USB", port.to_string());
        }
        Process::start("camera-vm", booting).wait_within(Duration::from_secs(MACHINE_SECONDS.into()) * 2)
    }
}

#[test]
fn a_camera_sends_from_within_a_machine_with_its_drivers_stamps() {
    let Some(machine) = machine() else { return };
    let _real_time = real_time_shared();
    let server = Server::start();
    let receiver = start(&["receive", &server.url("cam"), "--wait", "--once", "--stats", "json"]);
    let machine = machine.run(INSIDE, &format!("rtsp://10.0.2.2:{}", server.port));

    let (devices, status) = said(&machine, "devices");
    assert_eq!(status, 0, "{devices:?}");
    let shown = |word: &str| devices.iter().any(|line| line.contains(word));
    assert!(shown("/dev/video0") && shown("320x180") && shown("libx265: works"), "{devices:?}");
    assert_one_line_inside(&machine, "no-such-mode", &["1234x566", "offers", "320x180", "fps"]);
    assert_one_line_inside(&machine, "no-such-camera", &["/dev/video9", "/dev/video0"]);
    assert_one_line_inside(&machine, "busy", &["in use by another program"]);
    check_stream(&machine, &receiver.wait().succeeded());
}

/// Fails unless the pictures have the driver's capture times, and the delay is computed from them.
fn check_stream(machine: &Exit, receiver: &Exit) {
    let (lines, status) = said(machine, "stream");
    assert_eq!(status, 0, "the sender inside failed: {lines:?}");
    let sent = lines.iter().map(|line| figures(line)).rfind(|figures| figures["kind"] == "summary");
    let sent = sent.unwrap_or_else(|| panic!("no summary: {lines:?}"));
    let received = summary(receiver);
    assert!(count(&received, "/pictures/shown") >= PICTURES, "{received} of {sent}");
    assert_eq!(received["size"], serde_json::json!([320, 180]), "{received}");

    let live = receiver.stdout.iter().map(|line| figures(line)).rfind(|figures| figures["state"] == "live");
    let live = live.unwrap_or_else(|| panic!("never live: {:?}", receiver.stdout));
    assert_eq!(live["delay_ms"]["timescale"], "server", "{live}");
    assert!(number(&live, "/delay_ms/median") > 0.0 && number(&live, "/delay_ms/bound") > 0.0, "{live}");
    let wait = number(&live, "/stages_ms/capture_wait");
    say(&format!("camera: {wait:.1} ms from the driver's stamp to the encoder, emulated"));
    let is_reported = lines.iter().any(|line| line.contains("stamp") && line.contains("driver"));
    assert!(is_reported, "the sender does not say that its stamps are the driver's: {lines:#?}");
}
