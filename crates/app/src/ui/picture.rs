//! The picture area of a window: a pipeline's newest picture in its own proportions, or a message on black.

use std::sync::Arc;
use std::time::Instant;

use eframe::egui::{Align2, Color32, FontId, PaintCallback, Rect, Response, Sense, Ui, accesskit, pos2, vec2};
use eframe::egui_glow::CallbackFn;
use eframe::glow;
use hevcast_media::picture::Picture;
use hevcast_media::present::{PicturePainter, PresentError};
use parking_lot::Mutex;

use super::figure::describe;
use super::screen::Screen;
use super::words::Words;
use crate::figures::window::{Cost, thread_cpu_time};

/// Draws the newest picture of a [`Screen`].
#[derive(Debug)]
pub(super) struct PictureArea {
    screen: Arc<Screen>,
    drawing: Arc<Mutex<Drawing>>,
}

#[derive(Debug, Default)]
struct Drawing {
    painter: Option<Result<PicturePainter, PresentError>>,
    /// The number of the picture whose planes are in graphics memory.
    uploaded: u64,
    cost: Cost,
}

/// What the picture area shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PictureContent {
    /// The newest picture.
    Picture,
    /// This message on black.
    Message(String),
}

impl PictureArea {
    /// An area that shows `screen`.
    pub(super) fn new(screen: Arc<Screen>) -> PictureArea {
        PictureArea { screen, drawing: Arc::default() }
    }

    /// The processor time that copying and drawing pictures has taken so far.
    pub(super) fn cost(&self) -> Cost {
        self.drawing.lock().cost
    }

    /// Fills the rest of `ui`. `waiting` is the message until there is a picture.
    pub(super) fn show(&self, ui: &mut Ui, content: PictureContent, waiting: &str, words: &Words) -> Response {
        let (rect, response) = ui.allocate_exact_size(ui.available_size(), Sense::click());
        ui.painter().rect_filled(rect, 0.0, Color32::BLACK);
        let newest = self.screen.newest();
        let state = match (content, newest) {
            (PictureContent::Picture, Some((number, picture))) => match self.error() {
                Some(error) => error,
                None => {
                    self.draw(ui, rect, number, picture);
                    words.live.to_owned()
                }
            },
            (PictureContent::Picture, None) => waiting.to_owned(),
            (PictureContent::Message(message), _) => message,
        };
        if state != words.live {
            draw_message(ui, rect, &state);
        }
        describe(&response, accesskit::Role::Image, words.picture, &state);
        response
    }

    /// Why pictures cannot be drawn on this display.
    fn error(&self) -> Option<String> {
        let drawing = self.drawing.lock();
        drawing.painter.as_ref()?.as_ref().err().map(ToString::to_string)
    }

    fn draw(&self, ui: &Ui, rect: Rect, number: u64, picture: Picture) {
        let format = picture.format();
        let place = fitted(rect, picture.shown_size(), ui.ctx().pixels_per_point());
        let (drawing, screen) = (Arc::clone(&self.drawing), Arc::clone(&self.screen));
        let callback = CallbackFn::new(move |info, painter| {
            let scale = info.viewport_in_pixels().width_px as f32 / format.width as f32;
            let mut drawing = drawing.lock();
            if drawing.draw(painter.gl(), number, &picture, scale) {
                screen.set_drawn(number, Instant::now());
            }
        });
        ui.painter().add(PaintCallback { rect: place, callback: Arc::new(callback) });
    }
}

impl Drawing {
    /// Draws a picture, which is copied to graphics memory if it is new. False if pictures cannot be drawn on this display.
    fn draw(&mut self, gl: &glow::Context, number: u64, picture: &Picture, scale: f32) -> bool {
        let begun = thread_cpu_time();
        let painter = self.painter.get_or_insert_with(|| PicturePainter::new(gl));
        let Ok(painter) = painter else { return false };
        let is_new = self.uploaded != number;
        if is_new {
            painter.upload(gl, picture);
            self.uploaded = number;
        }
        painter.draw(gl, scale);
        if is_new {
            self.cost.add(thread_cpu_time().saturating_sub(begun));
        }
        true
    }
}

/// The place of a picture: as large as fits in its proportions, on whole pixels, so that no row of it is blurred over two.
fn fitted(rect: Rect, (width, height): (u32, u32), pixels_per_point: f32) -> Rect {
    let room = rect.size() * pixels_per_point;
    let scale = (room.x / width as f32).min(room.y / height as f32);
    let size = vec2((width as f32 * scale).round(), (height as f32 * scale).round());
    let corner = (rect.min.to_vec2() * pixels_per_point + (room - size) / 2.0).round();
    Rect::from_min_size(pos2(corner.x, corner.y) / pixels_per_point, size / pixels_per_point)
}

/// Draws a message in the middle of the area.
fn draw_message(ui: &Ui, rect: Rect, text: &str) {
    let size = (rect.height() / 16.0).clamp(14.0, 32.0);
    let colour = Color32::from_gray(150);
    let layout = ui.painter().layout(text.to_owned(), FontId::proportional(size), colour, rect.width() * 0.9);
    let place = Align2::CENTER_CENTER.anchor_size(rect.center(), layout.size());
    ui.painter().galley(place.min, layout, colour);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_keeps_its_proportions_and_sits_on_whole_pixels() {
        let rect = Rect::from_min_size(pos2(3.0, 7.0), vec2(501.0, 333.0));
        for pixels_per_point in [1.0, 1.25, 2.0] {
            let place = fitted(rect, (640, 480), pixels_per_point);
            assert!(rect.expand(1.0).contains_rect(place), "{place:?}");
            assert!((place.aspect_ratio() - 4.0 / 3.0).abs() < 0.01, "{place:?}");
            for side in [place.min.x, place.min.y, place.max.x, place.max.y] {
                let pixels = side * pixels_per_point;
                assert!((pixels - pixels.round()).abs() < 0.01, "{side} at {pixels_per_point}");
            }
        }
        let same = Rect::from_min_size(pos2(10.0, 10.0), vec2(640.0, 480.0));
        assert_eq!(fitted(same, (640, 480), 1.0), same, "its own size is left alone");
    }
}
