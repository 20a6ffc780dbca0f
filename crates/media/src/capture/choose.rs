//! The choice among a camera's modes: a pure function of what it offers and what was requested.

use super::layout::cost;
use super::{CameraMode, Wanted};
use crate::frame_rate::FrameRate;

/// The preferred size where none was requested.
const DEFAULT_SIZE: (u32, u32) = (1280, 720);
/// The preferred rate where none was requested; modes that are faster are run at this rate if they offer it.
const DEFAULT_RATE: FrameRate = FrameRate::whole(30);
/// The lowest rate, in pictures per second, at which motion is fluent: below it a smaller picture is preferred.
const FLUENT_FPS: f64 = 14.5;

/// A mode and the rate to run it at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    /// Index into the modes.
    pub(super) mode: usize,
    /// Rate to request; `None` when the driver lists none and none was requested.
    pub(super) frame_rate: Option<FrameRate>,
}

/// Chooses a mode; `None` when no mode has the requested size and rate.
///
/// A requested size or rate is met exactly. Beyond that modes are preferred, in this order, for a fluent rate, for the size
/// nearest to 1280x720 from below, for the rate nearest to 30, and for the pixel format that is cheapest to convert:
/// uncompressed where it reaches the rate, else JPEG.
pub(super) fn choose(modes: &[CameraMode], wanted: &Wanted) -> Option<Choice> {
    let candidates = modes.iter().enumerate().filter_map(|(index, mode)| {
        let size_fits = wanted.size.is_none_or(|size| size == (mode.width, mode.height));
        let rate = rate_for(mode, wanted.fps)?;
        size_fits.then_some((index, mode, rate))
    });
    let best = candidates.max_by(|a, b| {
        let key = |&(index, mode, rate): &(usize, &CameraMode, Option<FrameRate>)| {
            let fps = rate.unwrap_or(DEFAULT_RATE).per_second();
            (
                fps >= FLUENT_FPS,
                size_rank(mode),
                // Compared in tenths, so that 29.97 and 30 tie.
                (fps.min(DEFAULT_RATE.per_second()) * 10.0).round() as u64,
                std::cmp::Reverse((cost(&mode.fourcc), index)),
            )
        };
        key(a).cmp(&key(b))
    });
    best.map(|(mode, _, frame_rate)| Choice { mode, frame_rate })
}

/// The rate to run `mode` at: the outer option is `None` when it does not offer the requested rate, the inner one when it lists
/// no rates and none was requested.
fn rate_for(mode: &CameraMode, wanted: Option<FrameRate>) -> Option<Option<FrameRate>> {
    let by_rate = |a: &&FrameRate, b: &&FrameRate| a.per_second().total_cmp(&b.per_second());
    let rates = &mode.frame_rates;
    if rates.is_empty() {
        return Some(wanted);
    }
    match wanted {
        Some(wanted) => {
            let fits = rates.iter().find(|rate| rate.is_about(wanted))?;
            Some(Some(*fits))
        }
        None => {
            let preferred = DEFAULT_RATE.per_second() * 1.005;
            let slow_enough = rates.iter().filter(|rate| rate.per_second() <= preferred);
            let best = slow_enough.max_by(by_rate);
            Some(best.or_else(|| rates.iter().min_by(by_rate)).copied())
        }
    }
}

/// Larger is better: sizes within 1280x720 by area, then larger ones, the smallest first.
fn size_rank(mode: &CameraMode) -> (bool, i64) {
    let area = i64::from(mode.width) * i64::from(mode.height);
    let within = mode.width <= DEFAULT_SIZE.0 && mode.height <= DEFAULT_SIZE.1;
    (within, if within { area } else { -area })
}

/// The requested size and rate, for an error message.
pub(super) fn describe_wanted(wanted: &Wanted) -> String {
    let size = wanted.size.map(|(width, height)| format!("{width}x{height}"));
    let rate = wanted.fps.map(|fps| format!("{fps} fps"));
    match (size, rate) {
        (Some(size), Some(rate)) => format!("{size} at {rate}"),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => "mode that can be read".to_owned(),
    }
}

/// The modes, for an error message: each size once, largest first, with its highest rate.
pub(super) fn describe_offered(modes: &[CameraMode]) -> String {
    /// Number of sizes after which the list is cut.
    const MAX_LISTED: usize = 12;
    let mut sizes: Vec<(u32, u32, f64)> = Vec::new();
    for mode in modes {
        let highest = mode.frame_rates.iter().map(|rate| rate.per_second());
        let highest = highest.fold(0.0, f64::max);
        let known = sizes.iter_mut().find(|size| (size.0, size.1) == (mode.width, mode.height));
        match known {
            Some(size) => size.2 = size.2.max(highest),
            None => sizes.push((mode.width, mode.height, highest)),
        }
    }
    if sizes.is_empty() {
        return "no pixel format that hevcast takes".to_owned();
    }
    sizes.sort_by_key(|size| std::cmp::Reverse(u64::from(size.0) * u64::from(size.1)));
    let more = sizes.len() > MAX_LISTED;
    let mut words: Vec<String> = sizes
        .iter()
        .take(MAX_LISTED)
        .map(|(width, height, fps)| match *fps > 0.0 {
            true => format!("{width}x{height} up to {} fps", (fps * 100.0).round() / 100.0),
            false => format!("{width}x{height}"),
        })
        .collect();
    if more {
        words.push("smaller ones".to_owned());
    }
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(fourcc: &str, width: u32, height: u32, fps: &[u32]) -> CameraMode {
        CameraMode {
            fourcc: fourcc.to_owned(),
            width,
            height,
            frame_rates: fps.iter().map(|&fps| FrameRate::whole(fps)).collect(),
        }
    }

    /// What an ordinary USB 2 webcam offers: fast only in JPEG.
    fn webcam() -> Vec<CameraMode> {
        vec![
            mode("MJPG", 1920, 1080, &[30, 15]),
            mode("MJPG", 1280, 720, &[60, 30, 15]),
            mode("MJPG", 640, 480, &[30]),
            mode("YUYV", 1280, 720, &[10, 5]),
            mode("YUYV", 640, 480, &[30, 15]),
        ]
    }

    fn chosen(modes: &[CameraMode], size: Option<(u32, u32)>, fps: Option<u32>) -> Option<String> {
        let wanted = Wanted { size, fps: fps.map(FrameRate::whole) };
        choose(modes, &wanted).map(|choice| {
            let mode = &modes[choice.mode];
            let rate = choice.frame_rate.map_or("?".to_owned(), |rate| rate.to_string());
            format!("{} {}x{} {rate}", mode.fourcc, mode.width, mode.height)
        })
    }

    #[test]
    fn prefers_720p_fluent_then_uncompressed() {
        let modes = webcam();
        assert_eq!(chosen(&modes, None, None).unwrap(), "MJPG 1280x720 30");
        assert_eq!(chosen(&modes, Some((640, 480)), None).unwrap(), "YUYV 640x480 30");
        assert_eq!(chosen(&modes, Some((1280, 720)), Some(10)).unwrap(), "YUYV 1280x720 10");
        assert_eq!(chosen(&modes, None, Some(60)).unwrap(), "MJPG 1280x720 60");
    }

    #[test]
    fn a_slow_large_mode_loses_to_a_fluent_small_one() {
        let modes = [mode("YUYV", 1280, 720, &[10]), mode("YUYV", 640, 480, &[30])];
        assert_eq!(chosen(&modes, None, None).unwrap(), "YUYV 640x480 30");
        let only_large = [mode("YUYV", 1920, 1080, &[60]), mode("YUYV", 3840, 2160, &[30])];
        assert_eq!(chosen(&only_large, None, None).unwrap(), "YUYV 1920x1080 60");
    }

    #[test]
    fn what_is_not_offered_is_named() {
        let modes = webcam();
        assert_eq!(chosen(&modes, Some((800, 600)), None), None);
        assert_eq!(chosen(&modes, Some((640, 480)), Some(60)), None);
        assert_eq!(describe_offered(&modes), "1920x1080 up to 30 fps, 1280x720 up to 60 fps, 640x480 up to 30 fps");
        assert_eq!(describe_offered(&[]), "no pixel format that hevcast takes");
    }

    #[test]
    fn a_driver_that_lists_no_rates_is_believed() {
        let modes = [mode("YUYV", 640, 480, &[])];
        assert_eq!(chosen(&modes, None, None).unwrap(), "YUYV 640x480 ?");
        assert_eq!(chosen(&modes, None, Some(15)).unwrap(), "YUYV 640x480 15");
    }
}
