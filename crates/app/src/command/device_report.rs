//! `hevcast devices --report`: what this computer has and how it behaves, to be sent to somebody who looks for a fault.
//!
//! It names models and figures, and neither people, computers, networks nor files: a camera is called by its USB ids, since its own name may
//! be a person's.

use std::time::{Duration, Instant, SystemTime};

use hevcast_media::capture::{self, CameraInfo, CaptureTimes, Input, Lost, Source, Wanted};
use hevcast_media::codec::{Decoded, Decoder, Encoder, EncoderChoice, EncoderOptions, EncoderSettings, encoders};
use hevcast_media::picture::Picture;
use hevcast_media::{FrameRate, Stop};
use hevcast_wire::CodecId;

/// Pictures that each camera and each encoder is tried with, after the first.
const PICTURES: usize = 60;
/// Size of the pictures that encoders are tried with, in luma samples.
const SIZE: (u32, u32) = (1280, 720);
/// Pauses by which the precision of a pause is measured.
const PAUSES: usize = 50;
/// Steps of a clock that are looked at.
const STEPS: usize = 50;

/// Writes the report line by line, each as soon as it is known.
pub(super) fn write(line: &mut dyn FnMut(&str)) {
    line(&format!("hevcast {} ({})", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH));
    line(&format!("system: {}", system().unwrap_or_else(|| std::env::consts::OS.to_owned())));
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    line(&format!("processors: {processors}, {}", processor().unwrap_or_else(|| "unknown".to_owned())));
    for adapter in graphics() {
        line(&format!("graphics: {adapter}"));
    }
    clocks(line);
    let cameras = capture::cameras();
    line(&format!("cameras: {}", cameras.len()));
    for (index, camera) in cameras.iter().enumerate() {
        report_camera(index + 1, camera, line);
    }
    match test_pictures() {
        Ok(pictures) => coders(&pictures, line),
        Err(error) => line(&format!("encoders: not tried, there are no test pictures ({error})")),
    }
}

/// The steps of both clocks, and how long a pause of 1 ms takes.
#[allow(clippy::disallowed_methods, reason = "it is the system's clock that is looked at, not what it says")]
fn clocks(line: &mut dyn FnMut(&str)) {
    let monotonic = (0..STEPS).map(|_| step(Instant::now, |now, then| now.duration_since(then)));
    let system = (0..STEPS).map(|_| step(SystemTime::now, |now, then| now.duration_since(then).unwrap_or_default()));
    let (monotonic, system) = (Spread::of(monotonic.collect()), Spread::of(system.collect()));
    line(&format!(
        "clocks: monotonic clock steps by {:.1} µs, system clock by {:.1} µs",
        monotonic.median.as_secs_f64() * 1e6,
        system.median.as_secs_f64() * 1e6
    ));
    let stop = Stop::new();
    let pauses = (0..PAUSES).map(|_| {
        let begun = Instant::now();
        stop.wait_until(begun + Duration::from_millis(1));
        begun.elapsed()
    });
    line(&format!("pause of 1 ms: {}", Spread::of(pauses.collect())));
}

/// The time between two different readings of a clock.
fn step<T: Copy + PartialEq>(now: impl Fn() -> T, between: impl Fn(T, T) -> Duration) -> Duration {
    let first = now();
    loop {
        let later = now();
        if later != first {
            return between(later, first);
        }
    }
}

fn report_camera(number: usize, camera: &CameraInfo, line: &mut dyn FnMut(&str)) {
    line(&format!("camera {number}: {}", usb_id(&camera.path).unwrap_or_else(|| "not USB".to_owned())));
    for mode in &camera.modes {
        let rates: Vec<String> = mode.frame_rates.iter().map(ToString::to_string).collect();
        line(&format!("  {} {}x{} at {}", mode.fourcc, mode.width, mode.height, rates.join(", ")));
    }
    match try_camera(camera) {
        Ok(tried) => tried.lines().for_each(|text| line(&format!("  {text}"))),
        // The error may name the camera.
        Err(error) => line(&format!("  failed: {}", error.replace(&camera.name, "it").replace(&camera.path, "it"))),
    }
}

/// Takes pictures from a camera in the mode that `hevcast send` would choose.
fn try_camera(camera: &CameraInfo) -> Result<String, String> {
    let begun = Instant::now();
    let name = if camera.path.is_empty() { &camera.name } else { &camera.path };
    let opened = capture::open(&Input::Camera(Some(name.clone())), &Wanted::default());
    let mut source = opened.map_err(|error| error.to_string())?;
    let taken = take(source.as_mut(), PICTURES).map_err(|error| error.to_string())?;
    let info = source.info();
    let (mut lost, mut times) = (Lost::default(), Vec::new());
    for picture in &taken {
        lost.driver += picture.lost.driver;
        lost.damaged += picture.lost.damaged;
        lost.drained += picture.lost.drained;
        times.push(picture.times);
    }
    let of = |part: fn(&CaptureTimes) -> Duration| Spread::of(times.iter().map(part).collect());
    let intervals = taken.windows(2).map(|pair| pair[1].at.saturating_duration_since(pair[0].at));
    let first = taken.first().map_or(Duration::ZERO, |first| first.received.duration_since(begun));
    Ok(format!(
        "opened: {}x{} at {} fps, times by {:?}, {:?}\nfirst picture after {:.0} ms\ninterval: {}\nage when taken: {}\n\
         decoding: {}\nconversion: {}\nlost: {} by the driver, {} damaged, {} older than another",
        info.format.width,
        info.format.height,
        info.frame_rate,
        info.stamps,
        info.format.colour,
        first.as_secs_f64() * 1e3,
        Spread::of(intervals.collect()),
        Spread::of(taken.iter().map(|taken| taken.received.saturating_duration_since(taken.at)).collect()),
        of(|times| times.decode),
        of(|times| times.convert),
        lost.driver,
        lost.damaged,
        lost.drained
    ))
}

/// What is noted of a picture that was taken.
struct Taken {
    at: Instant,
    received: Instant,
    times: CaptureTimes,
    lost: Lost,
}

fn take(source: &mut dyn Source, count: usize) -> Result<Vec<Taken>, capture::CaptureError> {
    let stop = Stop::new();
    let mut taken = Vec::new();
    while taken.len() <= count {
        let Some(captured) = source.next(&stop)? else { break };
        taken.push(Taken { at: captured.at, received: Instant::now(), times: captured.times, lost: captured.lost });
    }
    Ok(taken)
}

/// Some pictures of the test pattern, so that none is like the one before.
fn test_pictures() -> Result<Vec<Picture>, capture::CaptureError> {
    let wanted = Wanted { size: Some(SIZE), fps: Some(FrameRate::whole(120)) };
    let mut source = capture::open(&Input::Pattern, &wanted)?;
    let stop = Stop::new();
    let mut pictures = Vec::new();
    while pictures.len() <= PICTURES {
        let Some(captured) = source.next(&stop)? else { break };
        pictures.push(captured.picture);
    }
    Ok(pictures)
}

/// Codes and decodes the pictures with each encoder that works.
fn coders(pictures: &[Picture], line: &mut dyn FnMut(&str)) {
    for encoder in encoders() {
        let said = match encoder.works {
            Ok(()) => code(&encoder.name, pictures).unwrap_or_else(|error| error),
            Err(why) => why,
        };
        line(&format!("encoder {}: {said}", encoder.name));
    }
}

fn code(encoder: &str, pictures: &[Picture]) -> Result<String, String> {
    let format = pictures.first().ok_or("no test pictures")?.format();
    let settings = EncoderSettings {
        format,
        frame_rate: FrameRate::whole(30),
        options: EncoderOptions { choice: EncoderChoice::Named(encoder.to_owned()), ..EncoderOptions::default() },
    };
    let (mut encoder, _) = Encoder::open(&settings).map_err(|error| error.to_string())?;
    let mut decoder = Decoder::new(CodecId::H265).map_err(|error| error.to_string())?;
    let (mut coding, mut decoding, mut shown) = (Vec::new(), Vec::new(), 0);
    for (index, picture) in pictures.iter().enumerate() {
        let begun = Instant::now();
        let frame = encoder.encode(picture, index == 0).map_err(|error| error.to_string())?;
        let coded = Instant::now();
        let mut out: Vec<Decoded> = Vec::new();
        decoder.decode(&frame, index as i64, &mut out).map_err(|error| error.to_string())?;
        coding.push(coded - begun);
        decoding.push(coded.elapsed());
        shown += out.len();
    }
    Ok(format!(
        "{}x{}: coding {}; decoding {}; {shown} of {} pictures came back at once",
        format.width,
        format.height,
        Spread::of(coding),
        Spread::of(decoding),
        pictures.len()
    ))
}

/// Median, 95th percentile and most of some times.
struct Spread {
    median: Duration,
    p95: Duration,
    most: Duration,
}

impl Spread {
    fn of(mut times: Vec<Duration>) -> Spread {
        times.sort_unstable();
        let at = |share: usize| times.get(times.len().saturating_sub(1) * share / 100).copied().unwrap_or_default();
        Spread { median: at(50), p95: at(95), most: at(100) }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        write!(f, "median {:.2} ms, p95 {:.2} ms, most {:.2} ms", ms(self.median), ms(self.p95), ms(self.most))
    }
}

/// A USB device's vendor and product, such as `046d:0825`: of a device node on Linux, of a symbolic link on Windows.
fn usb_id(path: &str) -> Option<String> {
    let path = path.to_ascii_lowercase();
    let after = |word: &str| path.split_once(word).and_then(|(_, rest)| rest.get(..4)).map(str::to_owned);
    if let (Some(vendor), Some(product)) = (after("vid_"), after("pid_")) {
        return Some(format!("USB {vendor}:{product}"));
    }
    let node = path.strip_prefix("/dev/")?;
    let read = |name| std::fs::read_to_string(format!("/sys/class/video4linux/{node}/device/../{name}")).ok();
    Some(format!("USB {}:{}", read("idVendor")?.trim(), read("idProduct")?.trim()))
}

#[cfg(windows)]
fn system() -> Option<String> {
    hevcast_media::system::version()
}

#[cfg(windows)]
fn processor() -> Option<String> {
    std::env::var("PROCESSOR_IDENTIFIER").ok()
}

#[cfg(windows)]
fn graphics() -> Vec<String> {
    hevcast_media::system::graphics()
}

/// The distribution and the kernel's version.
#[cfg(not(windows))]
fn system() -> Option<String> {
    let release = std::fs::read_to_string("/etc/os-release").ok()?;
    let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?.trim_matches('"');
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
    Some(format!("{name}, kernel {}", kernel.trim()))
}

#[cfg(not(windows))]
fn processor() -> Option<String> {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let model = cpuinfo.lines().find(|line| line.starts_with("model name") || line.starts_with("Model"))?;
    Some(model.split_once(':')?.1.trim().to_owned())
}

/// The adapters' PCI ids and drivers.
#[cfg(not(windows))]
fn graphics() -> Vec<String> {
    let cards = std::fs::read_dir("/sys/class/drm").into_iter().flatten().flatten();
    let described = cards.filter_map(|card| {
        // Outputs have a dash in their names.
        let _ = card.file_name().to_str()?.strip_prefix("card")?.parse::<u32>().ok()?;
        let device = card.path().join("device");
        let read = |name| std::fs::read_to_string(device.join(name)).unwrap_or_default().trim().to_owned();
        let driver = std::fs::read_link(device.join("driver")).ok()?;
        Some(format!("{}:{}, driver {}", read("vendor"), read("device"), driver.file_name()?.to_str()?))
    });
    described.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_camera_is_called_by_its_usb_ids() {
        let link = r"\\?\usb#vid_046D&pid_0825&mi_00#7&1f#{65e8773d-8f56-11d0-a3b9-00a0c9223196}\global";
        assert_eq!(usb_id(link).as_deref(), Some("USB 046d:0825"));
        for path in ["", "vid_04", "/dev/", "/dev/no-such", "vid_客厅pid_客厅"] {
            assert_eq!(usb_id(path), None, "{path}");
        }
    }

    #[test]
    fn a_spread_of_nothing_is_zero() {
        assert_eq!(Spread::of(Vec::new()).most, Duration::ZERO);
        let spread = Spread::of((1..=100).map(Duration::from_millis).collect());
        assert_eq!(spread.to_string(), "median 50.00 ms, p95 95.00 ms, most 100.00 ms");
    }

    #[test]
    fn the_report_names_each_encoder_with_its_times_or_its_reason() {
        let mut lines = Vec::new();
        let pictures = test_pictures().unwrap();
        coders(&pictures[..5], &mut |line| lines.push(line.to_owned()));
        let x265 = lines.iter().find(|line| line.starts_with("encoder libx265: ")).unwrap();
        assert!(
            x265.contains("1280x720: coding median ") && x265.contains("5 of 5 pictures came back at once"),
            "{x265}"
        );
        assert_eq!(lines.len(), encoders().len());
    }
}
