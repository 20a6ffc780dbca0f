//! A webcam that is unplugged and plugged in again, behind Linux's real USB and UVC drivers in the small virtual machine of
//! [`crate::camera_vm`]: the sender waits for it, and its reader stays.

use std::path::PathBuf;
use std::process::Command;

use crate::camera_vm::{machine, said};
use crate::support::footage::ffmpeg;
use crate::support::hevcast::{Server, count, figures, start, summary};
use crate::support::process::Process;
use crate::support::{Scratch, free_port, has_peer, real_time_shared, root};

/// The script that runs in the virtual machine: `$1` is the program, `$2` the server, `$3` the tool that plugs the
/// webcam in, `$4` its port on the host. The webcam unplugs itself some seconds after streaming began.
const INSIDE: &str = r#"
program=$1 server=$2
until_said() { n=0; until [ "$(grep -c "$1" /tmp/trouble)" -ge "$2" ] || [ $((n += 1)) -gt 90 ]; do sleep 1; done; }
"$program" -v send --input camera --size 320x180 --fps 5 --encoder libx265 --preset ultrafast --to "$server/cam" \
  --stats json >/tmp/said 2>/tmp/trouble &
sender=$!
until_said "unplugged; waiting" 1
"$3" 10.0.2.2 "$4"
until_said "INFO.*is back" 1
until_said "unplugged; waiting" 2
kill -INT $sender
wait $sender
status=$?
echo "BEGIN trouble"; cat /tmp/trouble; echo "END 0"
echo "BEGIN stream"; cat /tmp/said; echo "END $status"
"#;

/// A tool in the folder of the virtual machine's script.
fn tool(name: &str) -> PathBuf {
    root().join("../shared/tools/camera-vm").join(name)
}

#[test]
fn a_webcam_that_was_unplugged_goes_on_with_the_same_stream() {
    if !has_peer("ffmpeg", "a webcam that returns") || !has_peer("python3", "a webcam that returns") {
        return;
    }
    let Some(machine) = machine() else { return };
    let _real_time = real_time_shared();
    let (folder, port) = (Scratch::new(), free_port());
    let pictures = folder.file("pictures.mjpeg");
    let pictures = pictures.to_str().unwrap();
    let source = ["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=5:duration=4"];
    let made =
        ffmpeg(&[&source[..], &["-c:v", "mjpeg", "-q:v", "3", "-f", "mjpeg", pictures]].concat()).status().unwrap();
    assert!(made.success());
    let mut webcam = Command::new(tool("usb-webcam"));
    webcam.args(["--mjpeg", pictures, "--size", "320x180", "--unplug", "8", "--port", &port.to_string()]);
    let mut webcam = Process::start("usb-webcam", &mut webcam);
    webcam.stderr.expect("it listens", |line| line.contains("on 127.0.0.1"));

    let server = Server::start();
    let receiver = start(&["receive", &server.url("cam"), "--wait", "--once", "--stats", "json"]);
    let argument = format!("rtsp://10.0.2.2:{} {} {port}", server.port, tool("attach-webcam").display());
    let exit = machine.run_with_webcam(INSIDE, &argument, port);
    let (trouble, _) = said(&exit, "trouble");
    let waits = trouble.iter().filter(|line| line.contains("unplugged; waiting")).count();
    let returns = trouble.iter().filter(|line| line.contains("INFO") && line.ends_with("is back")).count();
    assert!(waits >= 2 && returns == 1, "{trouble:#?}");
    let (lines, status) = said(&exit, "stream");
    assert_eq!(status, 0, "{lines:?} {trouble:#?}");
    let sent = lines.iter().map(|line| figures(line)).rfind(|figures| figures["kind"] == "summary");
    let sent = sent.unwrap_or_else(|| panic!("no summary: {lines:?}"));
    assert_eq!(count(&sent, "/source_returns"), 1, "{sent}");
    assert_eq!(count(&sent, "/reconnects"), 0, "the connection to the server stayed: {sent}");
    let received = summary(&receiver.wait().succeeded());
    assert_eq!(count(&received, "/reconnects"), 0, "the reader stayed: {received}");
    assert!(count(&received, "/pictures/shown") > 0, "{received}");
    webcam.kill();
}
