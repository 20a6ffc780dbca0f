//! `hevcast devices`

use hevcast_media::capture;
use hevcast_media::codec;

use crate::report::{Format, Reporter};

/// Prints the cameras and the encoders. Each encoder is opened to see whether it works, which takes a moment.
pub(crate) fn run() {
    let reporter = Reporter { format: Format::Text, stdout_is_taken: false };
    let line = |text: &str| reporter.note(text);
    let cameras = capture::cameras();
    line("Cameras:");
    if cameras.is_empty() {
        line("  none; hevcast send uses its test pattern");
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
}
