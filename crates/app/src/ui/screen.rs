//! Where a pipeline's pictures meet the window: the newest one, and whether it has been drawn.
//!
//! The pipeline's thread puts pictures in, the window's thread takes the newest when it draws. Neither waits for the
//! other but for [`ScreenSink`], whose thread has nothing else to do: it learns here when its picture was drawn, which is
//! the instant that the delay is told by.

use parking_lot::{Condvar, Mutex, MutexGuard};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use eframe::egui;
use hevcast_media::picture::Picture;

use crate::pipeline::receive::Sink;

/// How long a picture may wait to be drawn: longer than any window in sight takes, and short enough that pictures go on
/// being decoded behind a hidden one.
const DRAW_PATIENCE: Duration = Duration::from_millis(100);

/// The shortest time there is.
const AT_ONCE: Duration = Duration::from_nanos(1);

/// The newest picture of a pipeline, for a window.
#[derive(Debug)]
pub struct Screen {
    context: egui::Context,
    inner: Mutex<Inner>,
    drawn: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    newest: Option<(u64, Picture)>,
    /// When that one came.
    newest_at: Option<Instant>,
    /// Pictures put in so far.
    count: u64,
    /// The last one drawn, and when.
    drawn: Option<(u64, Instant)>,
    /// Nothing is shown, whatever comes.
    is_black: bool,
}

impl Screen {
    /// A screen that is black, in the window of `context`.
    pub fn new(context: egui::Context) -> Arc<Screen> {
        Arc::new(Screen {
            context,
            inner: Mutex::new(Inner { is_black: true, ..Inner::default() }),
            drawn: Condvar::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }

    /// Asks the window to draw itself anew.
    pub fn wake(&self) {
        // Without any delay egui would draw twice, in case its first pass has moved something.
        self.context.request_repaint_after(AT_ONCE);
    }

    /// Shows a picture in place of the one before; returns its number, if the screen is not black.
    pub fn show(&self, picture: Picture) -> Option<u64> {
        let number = {
            let mut inner = self.lock();
            if inner.is_black {
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

    /// Turns the screen black until it is lit.
    pub fn black_out(&self) {
        let mut inner = self.lock();
        (inner.is_black, inner.newest, inner.newest_at) = (true, None, None);
        drop(inner);
        self.drawn.notify_all();
        self.wake();
    }

    /// Lets pictures be shown again.
    pub fn light(&self) {
        self.lock().is_black = false;
    }

    /// The newest picture and its number.
    pub fn newest(&self) -> Option<(u64, Picture)> {
        self.lock().newest.clone()
    }

    /// When the newest picture came.
    pub fn newest_at(&self) -> Option<Instant> {
        self.lock().newest_at
    }

    /// The window has drawn picture `number`.
    pub fn set_drawn(&self, number: u64, at: Instant) {
        self.lock().drawn = Some((number, at));
        self.drawn.notify_all();
    }

    /// Waits until picture `number`, or a newer one, was drawn; tells when. `None` when it was not, in time or at all.
    fn wait_drawn(&self, number: u64) -> Option<Instant> {
        let is_open = |inner: &mut Inner| !inner.is_black && inner.drawn.is_none_or(|(drawn, _)| drawn < number);
        let mut inner = self.lock();
        self.drawn.wait_while_for(&mut inner, is_open, DRAW_PATIENCE);
        inner.drawn.filter(|(drawn, _)| *drawn == number).map(|(_, at)| at)
    }
}

/// Presents a receiver's pictures on a screen.
#[derive(Debug)]
pub struct ScreenSink(pub Arc<Screen>);

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
        assert_eq!(sink.present(&picture()).unwrap(), None, "the screen is black");
        screen.light();
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
        assert_eq!(sink.present(&picture()).unwrap(), None, "nobody draws");
    }

    #[test]
    fn a_black_screen_keeps_nothing() {
        let screen = Screen::new(egui::Context::default());
        screen.light();
        screen.show(picture());
        assert!(screen.newest().is_some());
        screen.black_out();
        assert!(screen.newest().is_none() && screen.show(picture()).is_none());
    }
}
