//! `hevcast devices`

use hevcast_media::capture;
use hevcast_media::codec;
use hevcast_wire::shown::PROGRAM;

use super::device_report;
use crate::cli::DevicesArgs;
use crate::priority::{self, Means};
use crate::report::{Format, Reporter};

/// Prints the cameras and the encoders. Each encoder is opened to see whether it works, which takes a moment.
pub(crate) fn run(args: &DevicesArgs) {
    let reporter = Reporter { format: Format::Text, stdout_is_taken: false };
    let line = |text: &str| reporter.note(text);
    if args.report {
        device_report::write(&mut |text| line(text));
        return line(&format!("priority: {}", priority_line(priority::means())));
    }
    let cameras = capture::cameras();
    line("Cameras:");
    if cameras.is_empty() {
        line(&format!("  none; {PROGRAM} send uses its test pattern"));
    }
    for camera in cameras {
        line(&format!("  {} ({})", camera.name, camera.path));
        for mode in camera.modes {
            let rates: Vec<String> = mode.frame_rates.iter().map(ToString::to_string).collect();
            let rates = if rates.is_empty() { "any rate".to_owned() } else { format!("{} fps", rates.join(", ")) };
            line(&format!("    {} {}x{} at {rates}", mode.fourcc, mode.width, mode.height));
        }
    }
    line("Encoders, in the order in which they are tried:");
    for encoder in codec::encoders() {
        let works = encoder.works.err().unwrap_or_else(|| "works".to_owned());
        line(&format!("  {}: {works}", encoder.name));
    }
    line("Priority on a busy computer:");
    line(&format!("  {}", priority_line(priority::means())));
}

/// Which priority the threads that pictures pass have, and where they have none, how to get it.
fn priority_line(means: &Means) -> String {
    match means {
        Means::Permitted => "raised, as this system permits".to_owned(),
        #[cfg(all(target_os = "linux", feature = "gui"))]
        Means::RtKit => "raised by RTKit".to_owned(),
        Means::Unavailable(why) => format!(
            "not raised: {why}. To have it: install rtkit on a desktop, or allow niceness -10 to your user \
             (`nice -10` in /etc/security/limits.conf)"
        ),
    }
}
