//! `hevcast devices`

use anyhow::Result;
use hevcast_media::capture;
use hevcast_media::codec;

/// Prints cameras and encoders. Encoders are really tried, which takes a moment.
///
/// # Errors
/// None so far.
pub fn run() -> Result<()> {
    let cameras = capture::cameras();
    println!("Cameras:");
    if cameras.is_empty() {
        println!("  none; hevcast send uses its test pattern");
    }
    for camera in cameras {
        println!("  {} ({})", camera.name, camera.path);
        for mode in camera.modes {
            let rates: Vec<String> = mode.frame_rates.iter().map(ToString::to_string).collect();
            let rates = if rates.is_empty() { "any rate".to_owned() } else { format!("{} fps", rates.join(", ")) };
            println!("    {} {}x{} at {rates}", mode.fourcc, mode.width, mode.height);
        }
    }
    println!("Encoders, in the order in which they are tried:");
    for encoder in codec::encoders() {
        match encoder.works {
            Ok(()) => println!("  {}: works", encoder.name),
            Err(why) => println!("  {}: {why}", encoder.name),
        }
    }
    Ok(())
}
