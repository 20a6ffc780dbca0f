//! Hands a pipeline's newest picture to the window, and says when the window has drawn it.
//!
//! The pipeline's thread puts pictures in; the window's thread takes the newest one whenever it draws. Only [`ScreenSink`]
//! waits: its thread has nothing else to do, and the instant at which its picture was drawn ends the measured delay.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use eframe::egui;
use hevcast_media::picture::Picture;
use parking_lot::{Condvar, Mutex};

use crate::pipeline::receive::Sink;

/// How long to wait until a picture is drawn: longer than a visible window takes, and short enough that decoding goes on while
/// the window is hidden.
const DRAW_TIMEOUT: Duration = Duration::from_millis(100);

/// The shortest delay.
const AT_ONCE: Duration = Duration::from_nanos(1);

/// The newest picture of a pipeline, for a window.
#[derive(Debug)]
pub(super) struct Screen {
    context: egui::Context,
    inner: Mutex<Inner>,
    drawn: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    newest: Option<(u64, Picture)>,
    /// When it was put in.
    newest_at: Option<Instant>,
    /// Pictures put in so far.
    count: u64,
    /// The number of the last picture drawn, and when that was.
    drawn: Option<(u64, Instant)>,
    /// Pictures are discarded, and nothing is shown.
    is_blank: bool,
}

impl Screen {
    /// A blank screen in the window of `context`.
    pub(super) fn new(context: egui::Context) -> Arc<Screen> {
        Arc::new(Screen {
            context,
            inner: Mutex::new(Inner { is_blank: true, ..Inner::default() }),
            drawn: Condvar::new(),
        })
    }

    /// Requests a repaint of the window.
    pub(super) fn wake(&self) {
        // Without a delay egui draws twice, in case its first pass has moved something.
        self.context.request_repaint_after(AT_ONCE);
    }

    /// Shows a picture in place of the previous one; returns its number. `None` while the screen is blank.
    pub(super) fn show(&self, picture: Picture) -> Option<u64> {
        let number = {
            let mut inner = self.inner.lock();
            if inner.is_blank {
                return None;
            }
            inner.count += 1;
            inner.newest = Some((inner.count, picture));
            inner.newest_at = Some(Instant::now());
            inner.count
        };
        self.wake();
        Some(number)
    }

    /// Makes the screen black, and discards pictures until [`Screen::unblank`].
    pub(super) fn blank(&self) {
        let mut inner = self.inner.lock();
        (inner.is_blank, inner.newest, inner.newest_at) = (true, None, None);
        drop(inner);
        self.drawn.notify_all();
        self.wake();
    }

    /// Shows pictures again, from the next one on.
    pub(super) fn unblank(&self) {
        self.inner.lock().is_blank = false;
    }

    /// The newest picture and its number.
    pub(super) fn newest(&self) -> Option<(u64, Picture)> {
        self.inner.lock().newest.clone()
    }

    /// When the newest picture was put in.
    pub(super) fn newest_at(&self) -> Option<Instant> {
        self.inner.lock().newest_at
    }

    /// To be called when the window has drawn picture `number`.
    pub(super) fn set_drawn(&self, number: u64, at: Instant) {
        self.inner.lock().drawn = Some((number, at));
        self.drawn.notify_all();
    }

    /// Waits until picture `number` or a newer one has been drawn. Returns when; `None` if picture `number` was not drawn, or not
    /// within [`DRAW_TIMEOUT`].
    fn wait_drawn(&self, number: u64) -> Option<Instant> {
        let is_pending = |inner: &mut Inner| !inner.is_blank && inner.drawn.is_none_or(|(drawn, _)| drawn < number);
        let mut inner = self.inner.lock();
        self.drawn.wait_while_for(&mut inner, is_pending, DRAW_TIMEOUT);
        inner.drawn.filter(|(drawn, _)| *drawn == number).map(|(_, at)| at)
    }
}

/// A receiver's [`Sink`] that shows pictures on a screen and waits until each has been drawn.
#[derive(Debug)]
pub(super) struct ScreenSink(pub Arc<Screen>);

impl Sink for ScreenSink {
    fn takes_all(&self) -> bool {
        false
    }

    fn present(&mut self, picture: &Picture) -> Result<Option<Instant>> {
        Ok(self.0.show(picture.clone()).and_then(|number| self.0.wait_drawn(number)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hevcast_media::picture::PictureFormat;

    fn picture() -> Picture {
        Picture::new(PictureFormat::limited(64, 64)).unwrap()
    }

    #[test]
    fn a_picture_is_presented_when_the_window_has_drawn_it() {
        let screen = Screen::new(egui::Context::default());
        let mut sink = ScreenSink(Arc::clone(&screen));
        assert_eq!(sink.present(&picture()).unwrap(), None, "the screen is blank");
        screen.unblank();
        let at = std::thread::scope(|scope| {
            let presenting = scope.spawn(|| sink.present(&picture()).unwrap());
            let at = loop {
                if let Some((number, _)) = screen.newest() {
                    let at = Instant::now();
                    screen.set_drawn(number, at);
                    break at;
                }
            };
            assert_eq!(presenting.join().unwrap(), Some(at));
            at
        });
        assert!(at <= Instant::now());
        assert_eq!(sink.present(&picture()).unwrap(), None, "no window draws");
    }

    #[test]
    fn a_blank_screen_keeps_nothing() {
        let screen = Screen::new(egui::Context::default());
        screen.unblank();
        screen.show(picture());
        assert!(screen.newest().is_some());
        screen.blank();
        assert!(screen.newest().is_none() && screen.show(picture()).is_none());
    }
}
