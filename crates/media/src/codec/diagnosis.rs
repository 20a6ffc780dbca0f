//! Finds out why x265 did not open. x265 gives no reason, so it is opened again without each part of the settings in turn.

use super::backend;
use super::error::EncodeError;
use super::limits::Qp;
use super::settings::{EncoderSettings, RateControl};
use crate::frame_rate::FrameRate;
use crate::picture::PictureFormat;
use crate::x265::{Setup, X265, X265Error};

/// A size and rate that every x265 opens for.
const SMALL: (u32, u32) = (640, 480);
const USUAL_RATE: FrameRate = FrameRate::whole(30);

/// The error for the user: why x265 does not open with `settings`, and what would help.
pub(super) fn of_x265(error: X265Error, settings: &EncoderSettings, preset: &str) -> EncodeError {
    let (why, remedy) = match error {
        X265Error::Open => cause(settings, &|settings| opens(settings, preset)),
        X265Error::Memory => (error.to_string(), "close other programs, or use a smaller --size".to_owned()),
        error => (error.to_string(), "use an encoder of FFmpeg's: --encoder auto".to_owned()),
    };
    EncodeError::Open { name: backend::SOFTWARE.to_owned(), why, remedy }
}

fn opens(settings: &EncoderSettings, preset: &str) -> bool {
    let preset = if settings.options.preset.is_some() { preset } else { "ultrafast" };
    let params = backend::x265_params(settings);
    X265::open(&Setup { format: settings.format, frame_rate: settings.frame_rate, preset, params: &params }).is_ok()
}

/// The cause and its remedy: the first part of the settings without which x265 opens.
fn cause(settings: &EncoderSettings, opens: &dyn Fn(&EncoderSettings) -> bool) -> (String, String) {
    let PictureFormat { width, height, .. } = settings.format;
    let fps = settings.frame_rate;
    let without = |change: &dyn Fn(&mut EncoderSettings)| {
        let mut changed = settings.clone();
        change(&mut changed);
        changed != *settings && opens(&changed)
    };
    if without(&|s| s.options.x265_params.clear()) {
        return (format!("x265 refuses `{}`", settings.options.x265_params), "leave these parameters out".to_owned());
    }
    if without(&|s| s.options.preset = None) {
        let preset = settings.options.preset.as_deref().unwrap_or_default();
        return (format!("x265 refuses preset {preset} at {width}x{height}"), "leave --preset out".to_owned());
    }
    if without(&|s| s.frame_rate = USUAL_RATE) {
        return (format!("x265 refuses {width}x{height} at {fps} fps"), format!("use --fps {USUAL_RATE}"));
    }
    if without(&|s| (s.format.width, s.format.height) = SMALL) {
        let why = format!("x265 refuses pictures of {width}x{height}, or has no memory for them");
        return (why, "use a smaller --size".to_owned());
    }
    if without(&|s| s.options.rate = RateControl::Qp(Qp::clamped(23))) {
        return ("x265 refuses this rate control".to_owned(), "use --qp 23".to_owned());
    }
    let why = format!("x265 gives no reason ({width}x{height} at {fps} fps)");
    (why, "check that libx265 is whole, or use an encoder of FFmpeg's: --encoder auto".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Crf, EncoderOptions};

    fn settings() -> EncoderSettings {
        EncoderSettings {
            format: PictureFormat::limited(8192, 4320),
            frame_rate: FrameRate::whole(240),
            options: EncoderOptions {
                rate: RateControl::Crf(Crf::clamped(20.0)),
                preset: Some("placebo".to_owned()),
                x265_params: "qg-size=7".to_owned(),
                ..EncoderOptions::default()
            },
        }
    }

    /// Whatever is to blame is named, and no remedy is one that was in use.
    #[test]
    fn the_cause_is_what_it_opens_without() {
        type Opens = fn(&EncoderSettings) -> bool;
        let cases: [(Opens, &str, &str); 6] = [
            (|s| s.options.x265_params.is_empty(), "`qg-size=7`", "leave these parameters out"),
            (|s| s.options.preset.is_none(), "preset placebo", "leave --preset out"),
            (|s| s.frame_rate == USUAL_RATE, "8192x4320 at 240 fps", "use --fps 30"),
            (|s| s.format.width == 640, "pictures of 8192x4320", "use a smaller --size"),
            (|s| matches!(s.options.rate, RateControl::Qp(_)), "rate control", "use --qp 23"),
            (|_| false, "no reason", "--encoder auto"),
        ];
        for (opens, expected, advised) in cases {
            let (why, remedy) = cause(&settings(), &opens);
            assert!(why.contains(expected), "{why}");
            assert!(remedy.contains(advised), "{remedy}");
            assert!(!remedy.contains("libx265,") && !remedy.contains("--encoder libx265"), "{remedy}");
        }
    }

    #[test]
    fn x265_itself_is_opened() {
        let settings = EncoderSettings {
            format: PictureFormat::limited(1920, 1200),
            frame_rate: USUAL_RATE,
            options: EncoderOptions {
                rate: RateControl::Qp(Qp::clamped(23)),
                x265_params: "ctu=16".to_owned(),
                ..EncoderOptions::default()
            },
        };
        let error = of_x265(X265Error::Open, &settings, "ultrafast").to_string();
        assert_eq!(error, "libx265 cannot be opened: x265 refuses `ctu=16`; leave these parameters out");
    }
}
