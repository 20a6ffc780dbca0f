//! A webcam that is unplugged and plugged in again, behind Linux's real USB and UVC drivers in the small virtual machine of
//! [`crate::camera_vm`]: the sender waits for it, and its reader stays.

use std::path::Path;

use crate::camera_vm::{machine, said};
use crate::support::footage::ffmpeg;
use crate::support::hevcast::{Server, count, figures, start, summary};
use crate::support::{Scratch, has_peer, real_time_shared};
use crate::webcam_vm::{Webcam, accounted_for, tool};

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

#[test]
fn a_webcam_that_was_unplugged_goes_on_with_the_same_stream() {
    if !has_peer("ffmpeg", "a webcam that returns") || !has_peer("python3", "a webcam that returns") {
        return;
    }
    let Some(machine) = machine() else { return };
    let _real_time = real_time_shared();
    let folder = Scratch::new();
    let pictures = folder.file("pictures.mjpeg");
    let pictures = pictures.to_str().unwrap();
    let source = ["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=5:duration=4"];
    let made =
        ffmpeg(&[&source[..], &["-c:v", "mjpeg", "-q:v", "3", "-f", "mjpeg", pictures]].concat()).status().unwrap();
    assert!(made.success());
    let webcam = Webcam::start(Path::new(pictures), &["--unplug", "8"], &machine.folder);
    let port = webcam.port;

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
    // Of each time that it was plugged in, the picture that was under way when it was pulled out, and one that the driver had
    // ready, may be lost uncounted.
    let (given, accounted) = (webcam.end().len() as u64, accounted_for(&sent));
    assert!((given.saturating_sub(4)..=given).contains(&accounted), "{given} given, {accounted} accounted for: {sent}");
}
