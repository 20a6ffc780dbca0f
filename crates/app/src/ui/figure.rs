//! A figure to be read from a distance: its name, and its value as large as fits.

use eframe::egui::{Align2, Color32, FontId, Rect, Response, Sense, Ui, Vec2, accesskit, pos2, vec2};

/// Smallest and largest size of a value, in points.
const VALUE_SIZES: (f32, f32) = (18.0, 72.0);

/// Shows `name`, `value` below it and `note` below that, within `size` points. Screen readers get them as one element.
pub(super) fn figure(ui: &mut Ui, name: &str, value: &str, note: &str, size: Vec2) -> Response {
    let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
    let visuals = ui.visuals();
    let (weak, strong) = (visuals.text_color(), visuals.strong_text_color());
    let name_size = (size.y * 0.18).clamp(12.0, 22.0);
    let note_size = if note.is_empty() { 0.0 } else { (size.y * 0.15).clamp(11.0, 16.0) };
    let room = vec2(size.x, size.y - (name_size + note_size) * 1.3);
    let top = rect.left_top();
    text(ui, rect, top.y, name, name_size, weak);
    let value_size = fitting(ui, value, room);
    text(ui, rect, top.y + name_size * 1.3, value, value_size, strong);
    if !note.is_empty() {
        text(ui, rect, top.y + name_size * 1.3 + value_size * 1.15, note, note_size, weak);
    }
    describe(
        &response,
        accesskit::Role::Status,
        name,
        &if note.is_empty() { value.to_owned() } else { format!("{value} {note}") },
    );
    response
}

/// Describes something that is painted to screen readers: its role, name and value.
pub(super) fn describe(response: &Response, role: accesskit::Role, name: &str, value: &str) {
    response.ctx.accesskit_node_builder(response.id, |node| {
        node.set_role(role);
        node.set_label(name);
        node.set_value(value);
        // egui sets the bounds only of what can be clicked.
        let rect = response.rect;
        let (x0, y0, x1, y1) = (rect.min.x.into(), rect.min.y.into(), rect.max.x.into(), rect.max.y.into());
        node.set_bounds(accesskit::Rect { x0, y0, x1, y1 });
    });
}

fn text(ui: &Ui, rect: Rect, top: f32, text: &str, size: f32, colour: Color32) {
    let size = size.min(fitting(ui, text, vec2(rect.width(), size)));
    let painter = ui.painter().with_clip_rect(rect.expand(4.0));
    painter.text(pos2(rect.left(), top), Align2::LEFT_TOP, text, FontId::proportional(size), colour);
}

/// The largest font size, in points, at which `text` fits into `room`.
fn fitting(ui: &Ui, text: &str, room: Vec2) -> f32 {
    const TRIED: f32 = 20.0;
    let layout = ui.painter().layout_no_wrap(text.to_owned(), FontId::proportional(TRIED), Color32::WHITE);
    let by_width = TRIED * room.x / layout.size().x.max(1.0);
    by_width.min(room.y * 0.85).clamp(10.0, VALUE_SIZES.1).max(VALUE_SIZES.0.min(by_width))
}
