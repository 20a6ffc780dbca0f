//! Language and theme, which all windows share.

use eframe::egui::{Context, Ui};

use super::remember::{Remembered, Theme};
use super::words::Words;
use crate::language::Language;

/// Shows the choice of language and theme.
pub(super) fn show(ui: &mut Ui, remembered: &mut Remembered, words: &Words) {
    ui.horizontal_wrapped(|ui| {
        ui.label(words.language);
        let mut language = remembered.language();
        for other in [Language::En, Language::Zh] {
            if ui.selectable_value(&mut language, other, other.name()).clicked() {
                (remembered.asked_language, remembered.language) = (None, Some(language));
            }
        }
    });
    ui.horizontal_wrapped(|ui| {
        ui.label(words.theme);
        for (theme, name) in
            [(Theme::System, words.theme_system), (Theme::Dark, words.theme_dark), (Theme::Light, words.theme_light)]
        {
            ui.selectable_value(&mut remembered.theme, theme, name);
        }
    });
}

/// Applies the theme that was chosen to the window.
pub(super) fn apply(context: &Context, remembered: &Remembered) {
    context.set_theme(eframe::egui::ThemePreference::from(remembered.theme));
}
