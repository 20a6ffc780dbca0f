//! What a window costs its own thread, reported once when it closes.

use std::time::Duration;

use serde::Serialize;

use super::text;

/// Work done by the window's thread, and the processor time that it took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// How often the work was done.
    pub count: u64,
    /// Processor time of the window's thread for all of it; zero where the system does not measure it.
    pub cpu: Duration,
}

impl Cost {
    /// Adds one more, which took `cpu`.
    pub fn add(&mut self, cpu: Duration) {
        self.count += 1;
        self.cpu += cpu;
    }

    /// Mean of one, ms.
    fn mean_ms(self) -> Option<f64> {
        (self.count > 0).then(|| text::rounded(self.cpu.as_secs_f64() * 1000.0 / self.count as f64))
    }
}

/// One line, at the window's end.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct WindowFigures {
    /// Always `window`, to tell its line from those of `receive`.
    pub role: &'static str,
    /// Always `summary`: there is one line, at the end.
    pub kind: &'static str,
    /// Pictures copied to graphics memory and drawn.
    pub pictures: u64,
    /// Mean processor time of that, ms.
    pub picture_cpu_ms: Option<f64>,
    /// Times that the whole window was drawn.
    pub frames: u64,
    /// Mean processor time of the window's thread for all that it does, ms a frame.
    pub frame_cpu_ms: Option<f64>,
}

impl WindowFigures {
    /// The figures of a window that has drawn `pictures`, and was drawn as a whole as `frames` says.
    pub fn new(pictures: Cost, frames: Cost) -> WindowFigures {
        WindowFigures {
            role: "window",
            kind: "summary",
            pictures: pictures.count,
            picture_cpu_ms: pictures.mean_ms(),
            frames: frames.count,
            frame_cpu_ms: frames.mean_ms(),
        }
    }
}

impl std::fmt::Display for WindowFigures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ms = |value| text::optional(value, |ms: f64| format!("{ms:.2} ms"));
        let (picture, frame) = (ms(self.picture_cpu_ms), ms(self.frame_cpu_ms));
        write!(f, "window  {} pictures at {picture} each, {} frames at {frame} each", self.pictures, self.frames)
    }
}

/// The processor time that this thread has had; zero where the system does not measure it.
pub fn thread_cpu_time() -> Duration {
    #[cfg(unix)]
    {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
    }
    #[cfg(not(unix))]
    Duration::ZERO
}
