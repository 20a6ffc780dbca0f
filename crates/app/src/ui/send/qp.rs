//! The QP as a bar from 0 to 51 with the good band marked, and advice for a QP outside of it.

use eframe::egui::{Align2, Color32, FontId, Label, Rect, Response, RichText, Sense, Ui, accesskit, pos2, vec2};
use hevcast_media::codec::Qp;

use crate::figures::text;
use crate::ui::figure::describe;
use crate::ui::words::Words;

/// The band in which H.265 looks good and stays small.
pub(super) const GOOD: std::ops::RangeInclusive<f64> = 20.0..=25.0;
/// The QP at the right end of the bar.
const LARGEST: f64 = Qp::COARSEST.get() as f64;

/// Advice for the mean QP of a second. Within half a step of the band it counts as good, since encoders vary the QP by block.
pub(super) fn advice(qp: f64, words: &Words) -> &'static str {
    match qp {
        qp if qp < GOOD.start() - 0.5 => words.qp_fine,
        qp if qp > GOOD.end() + 0.5 => words.qp_coarse,
        _ => words.qp_good,
    }
}

/// Shows the bar, `width` points wide.
pub(super) fn bar(ui: &mut Ui, qp: Option<f64>, width: f32, words: &Words) -> Response {
    let value = text::optional(qp, |qp| format!("{qp:.1}"));
    let hint = qp.map_or(words.qp_good, |qp| advice(qp, words));
    let (rect, response) = ui.allocate_exact_size(vec2(width, 44.0), Sense::hover());
    let visuals = ui.visuals();
    let painter = ui.painter();
    painter.text(
        rect.left_top(),
        Align2::LEFT_TOP,
        format!("QP {value}"),
        FontId::proportional(16.0),
        visuals.strong_text_color(),
    );
    let line = Rect::from_min_max(pos2(rect.left(), rect.bottom() - 16.0), pos2(rect.right(), rect.bottom() - 6.0));
    let at = |qp: f64| line.left() + line.width() * (qp / LARGEST) as f32;
    painter.rect_filled(line, 3.0, visuals.faint_bg_color.blend(visuals.weak_text_color().gamma_multiply(0.35)));
    let band = Rect::from_x_y_ranges(at(*GOOD.start())..=at(*GOOD.end()), line.y_range());
    painter.rect_filled(band, 0.0, Color32::from_rgb(46, 160, 67));
    if let Some(qp) = qp {
        let mark = Rect::from_center_size(pos2(at(qp.min(LARGEST)), line.center().y), vec2(4.0, 18.0));
        painter.rect_filled(mark, 2.0, visuals.strong_text_color());
    }
    describe(&response, accesskit::Role::Status, "QP", &format!("{value} {hint}"));
    ui.add(Label::new(RichText::new(hint).size(12.0)).wrap());
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Language;

    #[test]
    fn advice_follows_the_band() {
        let words = Language::En.words();
        assert_eq!(advice(23.0, words), words.qp_good);
        assert_eq!((advice(12.0, words), advice(33.0, words)), (words.qp_fine, words.qp_coarse));
    }
}
