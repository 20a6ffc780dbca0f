//! The sender's window with a real camera driver, in the virtual machine of [`crate::camera_vm`]: Stop releases the
//! camera, for other programs and for the next Start.

use crate::camera_vm::{machine, said};
use crate::support::{real_time, runs, say};

/// The script that runs in the virtual machine. It clicks on buttons at the positions that the log of accessibility
/// information gives.
const INSIDE: &str = r#"
one() { echo "BEGIN $1"; shift; "$@" 2>&1; echo "END $?"; }
program=$1
export XDG_CONFIG_HOME=/tmp LC_ALL=C.UTF-8 DISPLAY=:1
Xvfb :1 -screen 0 640x400x24 -nolisten tcp >/dev/null 2>&1 &
until [ -e /tmp/.X11-unix/X1 ]; do sleep 1; done
RUST_LOG=hevcast=info,hevcast::access=trace "$program" send --start --input camera --size 320x180 --fps 5 \
  --encoder libx265 --listen 127.0.0.1:8554 >/dev/null 2>/tmp/elements &
window=$!
picture() { n=0; until grep '"name":"Picture"' /tmp/elements | tail -1 | grep -q "\"value\":\"$1\""; do
  n=$((n + 1)); [ $n -lt 90 ] || { tail -3 /tmp/elements; return 1; }; sleep 1; done; }
# A point just inside the button of this name.
press() { at=$(grep -o "{\"id\".*\"name\":\"$1\".*}" /tmp/elements | tail -1 |
  sed 's/.*"x":\([0-9]*\)[^,]*,"y":\([0-9]*\).*/\1 \2/')
  xdotool mousemove $((${at% *} + 20)) $((${at#* } + 10)) click 1; }
camera_open() { ls -l /proc/$window/fd | grep -q video0; }
other() { "$program" send --headless --input camera --size 320x180 --fps 5 --encoder libx265 --preset ultrafast \
  --listen 127.0.0.1:8555 --duration 2s; }
one live picture live
one held camera_open
one busy other
press Stop
one stopped picture Stopped
one released sh -c "! ls -l /proc/$window/fd | grep video0"
one free other
press Start
one again picture live
kill $window
one gone wait $window
"#;

#[test]
fn stop_gives_the_camera_back() {
    if let Some(tool) = ["Xvfb", "xdotool"].into_iter().find(|tool| !runs(tool)) {
        return say(&format!("skipped: the sender's window with a camera: {tool} is not installed"));
    }
    let Some(machine) = machine() else { return };
    let _real_time = real_time();
    let exit = machine.run(INSIDE, "");
    for (name, status) in
        [("live", 0), ("held", 0), ("busy", 1), ("stopped", 0), ("released", 0), ("free", 0), ("again", 0), ("gone", 0)]
    {
        let (lines, ended) = said(&exit, name);
        assert_eq!(ended, status, "{name}: {lines:?}");
    }
    let (lines, _) = said(&exit, "busy");
    assert!(lines.iter().any(|line| line.contains("in use by another program")), "{lines:?}");
}
