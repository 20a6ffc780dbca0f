//! `hevcast devices`

use anyhow::Result;
use hevcast_media::capture;
use hevcast_media::codec;

use crate::report::{Format, Reporter};

/// Prints cameras and encoders. Encoders are really tried, which takes a moment.
///
/// # Errors
/// None so far.
pub fn run() -> Result<()> {
    let reporter = Reporter { format: Format::Text, stdout_is_taken: false };
    let say = |line: &str| reporter.say(line);
    let cameras = capture::cameras();
    say("Cameras:");
    if cameras.is_empty() {
        say("  none; hevcast send uses its test pattern");
    }
    for camera in cameras {
        say(&format!("  {} ({})", camera.name, camera.path));
        for mode in camera.modes {
            let rates: Vec<String> = mode.frame_rates.iter().map(ToString::to_string).collect();
            let rates = if rates.is_empty() { "any rate".to_owned() } else { format!("{} fps", rates.join(", ")) };
            say(&format!("    {} {}x{} at {rates}", mode.fourcc, mode.width, mode.height));
        }
    }
    say("Encoders, in the order in which they are tried:");
    for encoder in codec::encoders() {
        let works = encoder.works.err().unwrap_or_else(|| "works".to_owned());
        say(&format!("  {}: {works}", encoder.name));
    }
    Ok(())
}
